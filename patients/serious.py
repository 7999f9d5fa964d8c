"""What follows from adverse events: the clock of a serious one, the time since the infusion, open questions.

Pure. Days and hours of an event are those of the site, the clock counts in UTC.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Protocol

from patients.ctcae_terms import FATAL_GRADE
from trial.protocol import OutcomeKind
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


REPORT_HOURS = 24
"""Hours within which a serious event is reported once the site knows of it."""
REPORT_WITHIN = timedelta(hours=REPORT_HOURS)


# --- the clock ------------------------------------------------------------------------------


class ClockState(StrEnum):
    WAITING = "waiting"
    OVERDUE = "overdue"
    REPORTED = "reported"
    LATE = "late"


@dataclass(frozen=True, slots=True)
class Clock:
    """The clock of a serious event: until when, in which state, and how far from the limit."""

    due_at: datetime
    state: ClockState
    off: timedelta

    @property
    def is_waiting(self) -> bool:
        """Whether a report is still to be made."""
        return self.state in (ClockState.WAITING, ClockState.OVERDUE)

    @property
    def sentence(self) -> Sentence:
        """Say it in words."""
        minutes = int(self.off.total_seconds()) // 60
        values = {"hours": minutes // 60, "minutes": minutes % 60, "most": REPORT_HOURS}
        match self.state:
            case ClockState.WAITING:
                return Sentence(_("report due in %(hours)s h %(minutes)s min"), values)
            case ClockState.OVERDUE:
                return Sentence(_("report overdue by %(hours)s h %(minutes)s min"), values)
            case ClockState.REPORTED:
                return Sentence(_("reported within %(most)s h"), values)
            case _:
                return Sentence(_("reported %(hours)s h %(minutes)s min too late"), values)


def clock(aware_at: datetime | None, reported_at: datetime | None, now: datetime) -> Clock | None:
    """Return the clock of an event; None for one without a clock. The limit itself is still in time."""
    if aware_at is None:
        return None
    due_at = aware_at + REPORT_WITHIN
    off = (reported_at or now) - due_at
    is_late = off > timedelta()
    if reported_at is not None:
        state = ClockState.LATE if is_late else ClockState.REPORTED
    else:
        state = ClockState.OVERDUE if is_late else ClockState.WAITING
    return Clock(due_at, state, abs(off))


# --- since the infusion ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Infused:
    """One infusion: its number, day, and hour if that is known."""

    number: int
    given_on: date
    started_at: time | None = None


@dataclass(frozen=True, slots=True)
class Since:
    """How long after the last infusion something began; ``number`` is None before any."""

    number: int | None = None
    days: int = 0
    hours: int | None = None

    @property
    def sentence(self) -> Sentence:
        """Say it in words: hours for the first two days, then days."""
        values = {"number": self.number, "days": self.days, "hours": self.hours}
        if self.number is None:
            return Sentence(_("before any infusion"))
        if self.hours is not None and self.hours < 48:
            return Sentence(_("%(hours)s h after infusion %(number)s"), values)
        if self.days == 0:
            return Sentence(_("on the day of infusion %(number)s"), values)
        return Sentence(_("%(days)s d after infusion %(number)s"), values)


def since_last_infusion(onset_on: date, onset_at: time | None, infusions: Iterable[Infused]) -> Since:
    """Return the time from the last infusion to an onset.

    On the day of an infusion the hours decide, where both are known; otherwise the
    infusion counts as given before.
    """

    def came_before(infused: Infused) -> bool:
        if infused.given_on != onset_on or onset_at is None or infused.started_at is None:
            return infused.given_on <= onset_on
        return infused.started_at <= onset_at

    last = max(
        (one for one in infusions if came_before(one)),
        key=lambda one: (one.given_on, one.started_at or time.min, one.number),
        default=None,
    )
    if last is None:
        return Since()
    hours = None
    if onset_at is not None and last.started_at is not None:
        passed = datetime.combine(onset_on, onset_at) - datetime.combine(last.given_on, last.started_at)
        hours = passed // timedelta(hours=1)
    return Since(last.number, (onset_on - last.given_on).days, hours)


# --- questions ------------------------------------------------------------------------------


class EventFacts(Protocol):
    """What the questions look at in an event."""

    pk: int
    term: str
    grade: int
    result: str
    serious: str


class OutcomeFacts(Protocol):
    kind: str


@dataclass(frozen=True, slots=True)
class Question:
    """Something that does not fit together; nothing is refused because of it. ``event`` names the row."""

    rule: str
    sentence: Sentence
    event: int | None = None


def questions(events: Sequence[EventFacts], outcomes: Sequence[OutcomeFacts]) -> Iterator[Question]:
    """Yield what events and outcomes say against each other: grade 5 goes with a death, and a death with grade 5."""
    died = any(outcome.kind == OutcomeKind.DEATH for outcome in outcomes)
    for event in events:
        values = {"term": Sentence(event.term.replace("%", "%%")), "grade": event.grade}
        if event.grade == FATAL_GRADE and not died:
            yield Question(
                "grade_5_without_death",
                Sentence(_("%(term)s has grade 5, and no death is recorded."), values),
                event.pk,
            )
        is_fatal = event.result == "fatal" or event.serious == "death"
        if is_fatal and event.grade != FATAL_GRADE:
            yield Question(
                "fatal_below_grade_5",
                Sentence(_("%(term)s is called fatal, and its grade is %(grade)s."), values),
                event.pk,
            )
        if event.grade == FATAL_GRADE and event.result not in ("", "fatal"):
            yield Question(
                "grade_5_survived",
                Sentence(_("%(term)s has grade 5, and its outcome is not fatal."), values),
                event.pk,
            )
    if died and not any(event.grade == FATAL_GRADE for event in events):
        yield Question("death_without_grade_5", Sentence(_("A death is recorded, and no event of grade 5.")))
