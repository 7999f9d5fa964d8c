"""The course of one subject as a drawing: recruitment, run-in, infusions, visits, today. Pure geometry.

Horizontal positions are percent of the width (:mod:`patients.day_scale`); a mark
that would cover its neighbour moves to a second row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum
from types import MappingProxyType

from patients import schedule
from patients.day_scale import DayScale, Line, Span
from patients.schedule import Appointment, State
from trial import protocol


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


NARROWEST = 720
"""Pixels the drawing has at least; below that it scrolls."""

MARK = 20
"""Pixels a numbered mark takes."""


class Look(StrEnum):
    """How a mark is drawn; every look has a shape of its own."""

    GIVEN = "given"
    DONE = "done"
    PLANNED = "planned"
    OPEN = "open"
    OVERDUE = "overdue"
    MISSED = "missed"
    VOIDED = "voided"


LOOK_LABELS: Mapping[Look, str] = MappingProxyType(
    {
        Look.GIVEN: _("given"),
        Look.DONE: _("seen"),
        Look.PLANNED: _("planned"),
        Look.OPEN: _("window open"),
        Look.OVERDUE: _("overdue"),
        Look.MISSED: _("missed"),
        Look.VOIDED: _("voided"),
    }
)
ONE_ROW, TWO_ROWS = (95,), (83, 107)
"""Pixels from the top of the drawing to the rows of infusions."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A numbered mark at a day, ``y`` pixels from the top.

    ``ghost`` is where it was due when it was given outside its window, and
    ``link`` the line between the two.
    """

    look: Look
    number: int
    day: date
    x: str
    y: int = ONE_ROW[0]
    ghost: str = ""
    link: Line | None = None

    @property
    def words(self) -> str:
        """The look in words, for the screen to translate."""
        return LOOK_LABELS[self.look]


@dataclass(frozen=True, slots=True)
class VisitMark:
    """A visit with its window."""

    mark: Mark
    window: Span | None


@dataclass(frozen=True, slots=True)
class Tick:
    """A week of the axis."""

    week: int
    day: date
    x: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """Everything the template draws."""

    scale: DayScale
    ticks: tuple[Tick, ...]
    recruited: Mark | None
    run_in: Span | None
    infusions: tuple[Mark, ...]
    visits: tuple[VisitMark, ...]
    landmark: str
    today: str
    today_is_late: bool


@dataclass(frozen=True, slots=True)
class Voided:
    """An infusion that was struck out."""

    number: int
    given_on: date


_LOOKS = {
    State.DUE: Look.PLANNED,
    State.OPEN: Look.OPEN,
    State.OVERDUE: Look.OVERDUE,
    State.MISSED: Look.MISSED,
}
_TICK_WEEKS = (0, 1, 2, 4, 6, 8, 12, 16, 20, 24)


def draw(facts: schedule.Facts, today: date, voided: Sequence[Voided] = ()) -> Timeline | None:
    """Lay out a subject's course.

    Returns
    -------
    Timeline or None
        None when no day is known that could stand on an axis.
    """
    infusions, visits = schedule.infusions(facts, today), schedule.visits(facts, today)
    scale = _scale(facts, infusions, visits, voided)
    if scale is None:
        return None
    start = schedule.anchor(facts, today)
    landmark = start + timedelta(days=protocol.LANDMARK_DAY) if facts.first_infusion_on and start else None
    run_in_ends = start or (facts.recruited_on and protocol.infusion_due(1, facts.recruited_on))
    return Timeline(
        scale=scale,
        ticks=_ticks(scale, start),
        recruited=Mark(Look.DONE, 0, facts.recruited_on, scale.at(facts.recruited_on))
        if facts.recruited_on
        else None,
        run_in=scale.span(facts.recruited_on, run_in_ends - timedelta(days=1))
        if facts.recruited_on and run_in_ends
        else None,
        infusions=_in_rows([*_infusion_marks(scale, infusions), *_voided_marks(scale, voided)], scale),
        visits=tuple(_visit_marks(scale, visits)),
        landmark=scale.at(landmark) if landmark and scale.shows(landmark) else "",
        today=scale.at(today) if scale.shows(today) else "",
        today_is_late=scale.share(today) > 0.9,
    )


def _scale(
    facts: schedule.Facts,
    infusions: Iterable[Appointment],
    visits: Iterable[Appointment],
    voided: Sequence[Voided],
) -> DayScale | None:
    days = [facts.recruited_on, *(v.given_on for v in voided)]
    for appointment in (*infusions, *visits):
        if appointment.state is not State.NOT_APPLICABLE:
            days += [appointment.opens_on, appointment.closes_on, appointment.due_on, appointment.done_on]
    known = [day for day in days if day is not None]
    if not known:
        return None
    return DayScale(min(known) - timedelta(days=4), max(known) + timedelta(days=4))


def _ticks(scale: DayScale, start: date | None) -> tuple[Tick, ...]:
    if start is None:
        return ()
    days = ((week, protocol.visit_due(week, start)) for week in _TICK_WEEKS)
    return tuple(Tick(week, day, scale.at(day)) for week, day in days if scale.shows(day))


def _infusion_marks(scale: DayScale, appointments: Iterable[Appointment]) -> Iterable[Mark]:
    for appointment in appointments:
        due_on, given_on = appointment.due_on, appointment.done_on
        if given_on is not None:
            ghost, link = "", None
            if due_on and not _in_window(appointment, given_on):
                ghost = scale.at(due_on)
                link = Line(scale.at(min(due_on, given_on)), scale.at(max(due_on, given_on)))
            yield Mark(Look.GIVEN, appointment.number, given_on, scale.at(given_on), ghost=ghost, link=link)
        elif due_on is not None and appointment.state in _LOOKS:
            yield Mark(_LOOKS[appointment.state], appointment.number, due_on, scale.at(due_on))


def _in_window(appointment: Appointment, day: date) -> bool:
    if appointment.opens_on is None or appointment.closes_on is None:
        return True
    return appointment.opens_on <= day <= appointment.closes_on


def _voided_marks(scale: DayScale, voided: Sequence[Voided]) -> Iterable[Mark]:
    for infusion in voided:
        yield Mark(Look.VOIDED, infusion.number, infusion.given_on, scale.at(infusion.given_on))


def _in_rows(marks: list[Mark], scale: DayScale) -> tuple[Mark, ...]:
    """Move a mark to the second row when the first has no room; voided ones give way."""
    rows: list[list[Mark]] = [[], []]
    for mark in sorted(marks, key=lambda m: (m.look is Look.VOIDED, m.day, m.number)):
        free = [row for row in rows if not any(_touch(mark, other, scale) for other in row)]
        (free or rows)[0].append(mark)
    heights = TWO_ROWS if rows[1] else ONE_ROW
    placed = [replace(mark, y=y) for row, y in zip(rows, heights, strict=False) for mark in row]
    return tuple(sorted(placed, key=lambda m: (m.day, m.number)))


def _touch(one: Mark, other: Mark, scale: DayScale) -> bool:
    return abs(scale.share(one.day) - scale.share(other.day)) < MARK / NARROWEST


def _visit_marks(scale: DayScale, appointments: Iterable[Appointment]) -> Iterable[VisitMark]:
    for appointment in appointments:
        window = (
            scale.span(appointment.opens_on, appointment.closes_on)
            if appointment.opens_on
            and appointment.closes_on
            and appointment.state is not State.NOT_APPLICABLE
            else None
        )
        day = appointment.done_on or appointment.due_on
        if day is None or appointment.state is State.NOT_APPLICABLE:
            continue
        look = _LOOKS.get(appointment.state, Look.DONE)
        yield VisitMark(Mark(look, appointment.number, day, scale.at(day)), window)
