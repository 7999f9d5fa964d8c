"""When visits and infusions are due, and the one definition of overdue.

Two clocks: infusion *k* is due 7 x *k* days after recruitment, the visit of
week *w* 7 x *w* days after the first infusion. Until that is given, its planned
day stands in, never earlier than today. Pure: today comes in as an argument, as
a day at the subject's site.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from types import MappingProxyType

from trial import protocol


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


ENTRY_DAYS = 14
"""Days after a visit's window in which its results may still come back; our assumption."""


class Kind(StrEnum):
    VISIT = "visit"
    INFUSION = "infusion"


class State(StrEnum):
    """Where one visit or infusion stands today.

    ``due``: its window has not opened. ``open``: today lies in its window.
    ``overdue``: the window has closed, nothing is recorded, and it can still be
    made good. ``missed``: it no longer can, or somebody said that it was not done. ``not_applicable``: observation
    ended before it was due, or it is not planned.
    """

    DUE = "due"
    OPEN = "open"
    OVERDUE = "overdue"
    MISSED = "missed"
    DONE = "done"
    NOT_APPLICABLE = "not_applicable"


STATE_LABELS: Mapping[State, str] = MappingProxyType(
    {
        State.DUE: _("due"),
        State.OPEN: _("window open"),
        State.OVERDUE: _("overdue"),
        State.MISSED: _("missed"),
        State.DONE: _("done"),
        State.NOT_APPLICABLE: _("not applicable"),
    }
)
WAITING: tuple[State, ...] = (State.OVERDUE, State.OPEN, State.DUE)
"""States that still ask for something, the most pressing first."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the schedule of one subject depends on.

    ``given`` holds the days of valid infusions by number, ``seen`` the days of
    valid visits by week (None where only the week is known), ``not_done`` the
    weeks whose visit did not take place, ``ended_on`` the first outcome that
    ends follow-up.
    """

    recruited_on: date | None
    planned_course: str = ""
    given: Mapping[int, date] = field(default_factory=dict)
    seen: Mapping[int, date | None] = field(default_factory=dict)
    not_done: frozenset[int] = frozenset()
    ended_on: date | None = None
    screened_out: bool = False
    not_given: frozenset[int] = frozenset()
    decision: str = ""

    @property
    def first_infusion_on(self) -> date | None:
        return min(self.given.values(), default=None)

    @property
    def planned_infusions(self) -> int:
        """Infusions of the planned course; the decision about it outranks the first plan."""
        if self.decision:
            decided = protocol.Course.PROLONGED if self.decision == "prolong" else protocol.Course.STANDARD
            return protocol.COURSES[decided]
        return protocol.COURSES[protocol.Course(self.planned_course or protocol.Course.STANDARD)]


@dataclass(frozen=True, slots=True)
class Appointment:
    """One visit (``number`` is its week) or infusion of a subject's schedule."""

    kind: Kind
    number: int
    state: State
    due_on: date | None = None
    opens_on: date | None = None
    closes_on: date | None = None
    done_on: date | None = None

    @property
    def waits(self) -> bool:
        return self.state in WAITING

    def days_past(self, today: date) -> int:
        """Return how many days ago the window closed; 0 while it is open or ahead."""
        return max(0, (today - self.closes_on).days) if self.closes_on else 0

    def days_off(self) -> int | None:
        """Return how many days after the due day it was done; negative when before."""
        return (self.done_on - self.due_on).days if self.done_on and self.due_on else None


def study_day(day: date, first_infusion_on: date) -> int:
    """Return the day of the study: 0 is the day of the first infusion."""
    return (day - first_infusion_on).days


def anchor(facts: Facts, today: date) -> date | None:
    """Return the day that visits count from: the first infusion, or its planned day.

    Returns
    -------
    date or None
        None when no infusion was given and none can be planned: recruitment is
        unknown, or the whole course has passed.
    """
    if facts.first_infusion_on is not None:
        return facts.first_infusion_on
    if facts.recruited_on is None:
        return None
    last = protocol.infusion_due(facts.planned_infusions, facts.recruited_on)
    if today > last + timedelta(days=protocol.INFUSION_WINDOW.after):
        return None
    return max(protocol.infusion_due(1, facts.recruited_on), today)


def infusions(facts: Facts, today: date) -> tuple[Appointment, ...]:
    """Return the infusions of the planned course and any given beyond it, by number."""
    most = max([facts.planned_infusions, *facts.given])
    return tuple(_infusion(number, facts, today) for number in range(1, most + 1))


def _infusion(number: int, facts: Facts, today: date) -> Appointment:
    due_on = protocol.infusion_due(number, facts.recruited_on) if facts.recruited_on else None
    given_on = facts.given.get(number)
    if due_on is None:
        state = State.DONE if given_on else State.NOT_APPLICABLE
        return Appointment(Kind.INFUSION, number, state, done_on=given_on)
    opens_on, closes_on = protocol.INFUSION_WINDOW.around(due_on)
    if given_on is not None:
        state = State.DONE
    elif number in facts.not_given:
        state = State.MISSED
    elif _is_over(due_on, facts) or number > facts.planned_infusions:
        state = State.NOT_APPLICABLE
    elif facts.ended_on is not None and today > facts.ended_on:
        state = State.MISSED  # nobody is infused after the end
    else:
        # the next number's window takes over: an infusion belongs to its week
        next_opens = due_on + timedelta(days=7 - protocol.INFUSION_WINDOW.before)
        is_passed = any(other > number for other in facts.given)
        lost_from = today if is_passed and closes_on < today else next_opens
        state = _state(opens_on, closes_on, lost_from, today)
    return Appointment(Kind.INFUSION, number, state, due_on, opens_on, closes_on, given_on)


def visits(facts: Facts, today: date) -> tuple[Appointment, ...]:
    """Return the visits of the protocol in the order of their weeks."""
    start = anchor(facts, today)
    return tuple(_visit(visit, facts, start, today) for visit in protocol.VISITS)


def _visit(visit: protocol.ScheduledVisit, facts: Facts, start: date | None, today: date) -> Appointment:
    is_done, seen_on = visit.week in facts.seen, facts.seen.get(visit.week)
    if start is None:
        state = State.DONE if is_done else State.NOT_APPLICABLE
        return Appointment(Kind.VISIT, visit.week, state, done_on=seen_on)
    due_on = protocol.visit_due(visit.week, start)
    opens_on, closes_on = visit.window.around(due_on)
    if is_done:
        state = State.DONE
    elif _is_over(due_on, facts):
        state = State.NOT_APPLICABLE
    elif visit.week in facts.not_done:
        state = State.MISSED
    else:
        last = max(start + timedelta(days=visit.analysis_days[1]), closes_on + timedelta(days=ENTRY_DAYS))
        if facts.ended_on is not None:
            # nothing is drawn after the end, which closes the window; what was drawn before may still come back
            closes_on = min(closes_on, max(facts.ended_on, opens_on))
            last = min(last, closes_on + timedelta(days=ENTRY_DAYS))
        state = _state(opens_on, closes_on, last + timedelta(days=1), today)
    return Appointment(Kind.VISIT, visit.week, state, due_on, opens_on, closes_on, seen_on)


def _is_over(due_on: date, facts: Facts) -> bool:
    return facts.screened_out or (facts.ended_on is not None and due_on > facts.ended_on)


def _state(opens_on: date, closes_on: date, lost_from: date, today: date) -> State:
    if today < opens_on:
        return State.DUE
    if today <= closes_on:
        return State.OPEN
    return State.OVERDUE if today < lost_from else State.MISSED


def appointments(facts: Facts, today: date) -> Iterator[Appointment]:
    """Yield visits and infusions of a subject, visits first."""
    yield from visits(facts, today)
    yield from infusions(facts, today)


def waiting(facts: Facts, today: date) -> list[Appointment]:
    """Return what still asks for something: overdue first, then open, then ahead, each by date."""
    return sorted((a for a in appointments(facts, today) if a.waits), key=_urgency)


def next_due(facts: Facts, today: date) -> Appointment | None:
    """Return the most pressing appointment, or None when nothing is left to do."""
    return next(iter(waiting(facts, today)), None)


def _urgency(appointment: Appointment) -> tuple[int, date, bool, int]:
    due_on = appointment.due_on or date.max
    # labs are drawn before the infusion of the same day
    is_infusion = appointment.kind is Kind.INFUSION
    return WAITING.index(appointment.state), due_on, is_infusion, appointment.number
