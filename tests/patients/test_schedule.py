"""Due, open, overdue, missed, done, not applicable: both sides of every day."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from patients import schedule
from patients.schedule import Appointment, Facts, Kind, State

RECRUITED = date(2024, 1, 8)
FIRST = RECRUITED + timedelta(days=7)


def on(days: int, start: date = FIRST) -> date:
    return start + timedelta(days=days)


def visit(facts: Facts, week: int, today: date) -> Appointment:
    return next(a for a in schedule.visits(facts, today) if a.number == week)


def infusion(facts: Facts, number: int, today: date) -> Appointment:
    return next(a for a in schedule.infusions(facts, today) if a.number == number)


@pytest.fixture
def treated() -> Facts:
    return Facts(RECRUITED, "standard", given={1: FIRST}, seen={0: FIRST})


@pytest.mark.parametrize(
    ("week", "day", "state"),
    [
        (1, 4, State.DUE),
        (1, 5, State.OPEN),
        (1, 9, State.OPEN),
        (1, 10, State.OVERDUE),
        (1, 23, State.OVERDUE),  # results may come back for two weeks after the window
        (1, 24, State.MISSED),
        (4, 23, State.DUE),
        (4, 24, State.OPEN),
        (4, 32, State.OPEN),
        (4, 33, State.OVERDUE),
        (4, 55, State.OVERDUE),  # the end of the analysis window
        (4, 56, State.MISSED),
        (24, 210, State.OVERDUE),
        (24, 211, State.MISSED),
    ],
)
def test_a_visit_on_the_days_that_decide(treated: Facts, week: int, day: int, state: State) -> None:
    found = visit(treated, week, on(day))
    assert found.state is state
    assert found.due_on == on(7 * week)


def test_baseline_is_due_before_the_first_infusion() -> None:
    facts = Facts(RECRUITED, "standard")
    found = visit(facts, 0, RECRUITED)
    assert (found.opens_on, found.due_on, found.closes_on) == (on(-3), FIRST, FIRST)
    assert visit(facts, 0, on(-4)).state is State.DUE
    assert visit(facts, 0, on(-3)).state is State.OPEN


def test_until_the_first_infusion_its_planned_day_stands_in_and_never_lies_behind() -> None:
    facts = Facts(RECRUITED, "standard")
    assert schedule.anchor(facts, RECRUITED) == FIRST
    assert schedule.anchor(facts, on(9)) == on(9)
    assert visit(facts, 4, on(9)).due_on == on(37)
    last = on(21) + timedelta(days=2)
    assert schedule.anchor(facts, last) == last
    assert schedule.anchor(facts, last + timedelta(days=1)) is None
    assert visit(facts, 4, last + timedelta(days=1)).state is State.NOT_APPLICABLE


def test_a_visit_that_was_made_is_done_whenever_it_was(treated: Facts) -> None:
    facts = Facts(RECRUITED, "standard", given=treated.given, seen={1: on(12), 4: None})
    found = visit(facts, 1, on(300))
    assert (found.state, found.done_on, found.days_off()) == (State.DONE, on(12), 5)
    assert visit(facts, 4, on(300)).days_off() is None


@pytest.mark.parametrize(
    ("number", "day", "state"),
    [
        (2, 4, State.DUE),
        (2, 5, State.OPEN),
        (2, 9, State.OPEN),
        (2, 10, State.OVERDUE),
        (2, 11, State.OVERDUE),
        (2, 12, State.MISSED),  # the window of the third opens
        (4, 25, State.OVERDUE),
        (4, 26, State.MISSED),
    ],
)
def test_an_infusion_on_the_days_that_decide(treated: Facts, number: int, day: int, state: State) -> None:
    assert infusion(treated, number, on(day)).state is state


def test_an_infusion_passed_over_is_missed_once_its_window_has_closed() -> None:
    facts = Facts(RECRUITED, "standard", given={1: FIRST, 3: on(9)})
    assert infusion(facts, 2, on(9)).state is State.OPEN
    assert infusion(facts, 2, on(10)).state is State.MISSED


def test_what_was_given_beyond_the_plan_is_shown_but_not_asked_for() -> None:
    given = {number: on(7 * (number - 1)) for number in range(1, 6)}
    facts = Facts(RECRUITED, "standard", given=given)
    assert [a.number for a in schedule.infusions(facts, on(30))] == [1, 2, 3, 4, 5]
    skipped = Facts(RECRUITED, "standard", given={1: FIRST, 7: on(42)})
    assert infusion(skipped, 6, on(60)).state is State.NOT_APPLICABLE


def test_without_a_plan_or_a_day_of_recruitment() -> None:
    assert len(schedule.infusions(Facts(RECRUITED), RECRUITED)) == 4
    unknown = Facts(None, "prolonged", given={2: FIRST}, seen={1: on(7)})
    assert infusion(unknown, 2, on(9)).state is State.DONE
    assert infusion(unknown, 1, on(9)).state is State.NOT_APPLICABLE
    assert visit(unknown, 4, on(9)).due_on == on(28)
    nothing = Facts(None, seen={1: None})
    assert visit(nothing, 1, on(9)).state is State.DONE
    assert visit(nothing, 4, on(9)).state is State.NOT_APPLICABLE
    assert schedule.next_due(nothing, on(9)) is None


@pytest.mark.parametrize(("ended", "state"), [(27, State.NOT_APPLICABLE), (28, State.OVERDUE)])
def test_after_the_end_nothing_is_asked_for(treated: Facts, ended: int, state: State) -> None:
    facts = Facts(RECRUITED, "standard", given=treated.given, seen={0: FIRST}, ended_on=on(ended))
    assert visit(facts, 4, on(40)).state is state
    assert infusion(facts, 4, on(30)).state is State.MISSED
    assert visit(facts, 12, on(40)).state is State.NOT_APPLICABLE


def test_a_screen_failure_has_nothing_due() -> None:
    facts = Facts(RECRUITED, "standard", screened_out=True)
    assert {a.state for a in schedule.appointments(facts, RECRUITED)} == {State.NOT_APPLICABLE}


def test_the_most_pressing_comes_first(treated: Facts) -> None:
    found = [(a.kind, a.number, a.state) for a in schedule.waiting(treated, on(13))]
    assert found[:3] == [
        (Kind.VISIT, 1, State.OVERDUE),
        (Kind.INFUSION, 3, State.OPEN),
        (Kind.INFUSION, 4, State.DUE),
    ]
    first = schedule.next_due(treated, on(13))
    assert first is not None
    assert (first.number, first.days_past(on(13)), first.waits) == (1, 4, True)
    assert visit(treated, 4, on(13)).days_past(on(13)) == 0


def test_study_days_count_from_the_first_infusion() -> None:
    assert schedule.study_day(FIRST, FIRST) == 0
    assert schedule.study_day(on(-1), FIRST) == -1
    assert Appointment(Kind.VISIT, 1, State.NOT_APPLICABLE).days_past(FIRST) == 0


@pytest.mark.parametrize(("days", "state"), [(0, State.OPEN), (1, State.MISSED)])
def test_nobody_is_infused_after_the_end(days: int, state: State) -> None:
    due = FIRST
    facts = Facts(RECRUITED, "standard", ended_on=due)

    found = schedule.infusions(facts, due + timedelta(days=days))
    assert found[0].state is state
    assert {each.state for each in found[1:]} == {State.NOT_APPLICABLE}


def test_what_was_drawn_before_the_end_is_waited_for_14_days(treated: Facts) -> None:
    ended = on(28)
    facts = Facts(RECRUITED, "standard", given=treated.given, seen={0: FIRST, 1: None}, ended_on=ended)

    def week_4(days: int) -> State:
        found = schedule.visits(facts, ended + timedelta(days=days))
        return next(each.state for each in found if each.number == 4)

    assert [week_4(days) for days in (0, 1, schedule.ENTRY_DAYS, schedule.ENTRY_DAYS + 1)] == [
        State.OPEN, State.OVERDUE, State.OVERDUE, State.MISSED,
    ]  # fmt: skip
    late = visit(facts, 4, on(31))
    assert (late.closes_on, late.days_past(on(31))) == (ended, 3), "the end closes the window"
