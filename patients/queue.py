"""The work queue as a page shows it: stat tiles, sections, rows on one shared calendar."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from django.urls import reverse
from django.utils.translation import gettext as _

from patients.day_scale import DayScale, WindowMark, queue_scale, window_mark
from patients.worklist import WEEK_DAYS, Section, Task
from trial.models import User
from trial.roles import Permission, allowed

DATED: tuple[Section, ...] = (Section.OVERDUE, Section.CLOSING, Section.TODAY, Section.WEEK)
"""Sections whose tasks have a day."""

ALL: tuple[Section, ...] = tuple(Section)

FEW, MANY = 12, 200
"""Rows of one section: beside the others, and when it is looked at alone."""

GLYPHS = {
    Section.OVERDUE: "overdue",
    Section.CLOSING: "closing",
    Section.TODAY: "due",
    Section.WEEK: "open",
    Section.UNFINISHED: "note",
}


@dataclass(frozen=True, slots=True)
class Tile:
    """A count that is also the filter; ``key`` is the digit that presses it."""

    section: Section
    key: str
    count: int
    is_shown: bool

    @property
    def word(self) -> str:
        return {
            Section.OVERDUE: _("Overdue"),
            Section.CLOSING: _("Window closing"),
            Section.TODAY: _("Due today"),
            Section.WEEK: _("This week"),
            Section.UNFINISHED: _("Screening unfinished"),
        }[self.section]

    @property
    def glyph(self) -> str:
        return GLYPHS[self.section]


@dataclass(frozen=True, slots=True)
class Tick:
    """A day named on the calendar's head."""

    x: str
    label: str
    is_today: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One task, where it lies on the calendar, and what opens when its button is pressed."""

    task: Task
    mark: WindowMark | None
    url: str
    action: str
    glyph: str


@dataclass(frozen=True, slots=True)
class Part:
    """A section of the queue with its rows; ``hidden`` are left out for want of room."""

    tile: Tile
    note: str
    rows: tuple[Row, ...]
    hidden: int

    @property
    def section(self) -> Section:
        return self.tile.section


@dataclass(frozen=True, slots=True)
class Queue:
    """The whole queue of a person on a day."""

    today: date
    tiles: tuple[Tile, ...]
    parts: tuple[Part, ...]
    ticks: tuple[Tick, ...]
    mondays: tuple[str, ...]
    today_x: str
    shown: str

    @property
    def is_empty(self) -> bool:
        return not any(tile.count for tile in self.tiles)


def arrange(
    tasks: Iterable[Task], user: User, *, today: date, shown: str = "", sections: Sequence[Section] = ALL
) -> Queue:
    """Arrange tasks into sections.

    Parameters
    ----------
    today
        The day in the middle of the calendar; each row counts from its own site's day.
    shown
        The section looked at alone; anything else shows all of them.
    """
    by_section: dict[Section, list[Task]] = {section: [] for section in sections}
    for task in tasks:
        if task.section in by_section:
            by_section[task.section].append(task)
    alone = Section(shown) if shown in [str(section) for section in sections] else None
    scale = queue_scale(today)
    tiles = tuple(
        Tile(section, str(place), len(by_section[section]), section is alone)
        for place, section in enumerate(sections, start=1)
    )
    most = MANY if alone else FEW
    parts = tuple(
        Part(
            tile,
            _note(tile.section, today),
            tuple(_row(task, scale, user) for task in by_section[tile.section][:most]),
            max(0, tile.count - most),
        )
        for tile in tiles
        if tile.count and (alone is None or tile.is_shown)
    )
    mondays = list(scale.mondays())
    return Queue(
        today=today,
        tiles=tiles,
        parts=parts,
        ticks=(
            *(
                Tick(scale.at(day), f"{day:%m-%d}")
                for day in mondays
                if abs((day - today).days) > 3 and (scale.last - day).days > 1
            ),
            Tick(scale.at(today), f"{today:%m-%d}", is_today=True),
        ),
        mondays=tuple(scale.at(day) for day in mondays),
        today_x=scale.at(today),
        shown=alone.value if alone else "",
    )


def _note(section: Section, today: date) -> str:
    match section:
        case Section.OVERDUE:
            return _("window has closed")
        case Section.CLOSING:
            return _("closes within 2 days")
        case Section.TODAY:
            return today.isoformat()
        case Section.WEEK:
            return _("to %(day)s") % {"day": (today + timedelta(days=WEEK_DAYS)).isoformat()}
        case _:
            return _("no date attached")


def _row(task: Task, scale: DayScale, user: User) -> Row:
    subject_id = task.patient.subject_id
    mark = window_mark(task.appointment, scale, task.record.today) if task.appointment else None
    url, action = reverse("analytics:trend", args=[subject_id]), _("Open")
    if task.appointment is None:
        url = reverse("patients:eligibility", args=[subject_id])
        if allowed(user, Permission.ENTER_CLINICAL_DATA):
            url, action = reverse("patients:screen", args=[subject_id]), _("Screen")
            if task.waits_for_enrolment:
                url, action = reverse("patients:eligibility", args=[subject_id]), _("Enrol")
    elif task.is_infusion:
        if allowed(user, Permission.RECORD_INFUSIONS):
            url, action = (
                reverse("infusions:give", args=[subject_id, task.appointment.number]),
                _("Record infusion"),
            )
        else:
            url = reverse("infusions:course", args=[subject_id])
    elif allowed(user, Permission.ENTER_CLINICAL_DATA):
        url, action = (
            reverse("patients:enter_visit", args=[subject_id, task.appointment.number]),
            _("Enter labs"),
        )
    return Row(task, mark, url, action, GLYPHS[task.section])
