"""Days on a drawn axis."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from patients.day_scale import DayScale, queue_scale, window_mark
from patients.schedule import Appointment, Kind, State

MONDAY = date(2026, 3, 2)
TEN_DAYS = DayScale(MONDAY, MONDAY + timedelta(days=9))


def test_a_day_stands_in_its_middle() -> None:
    assert TEN_DAYS.at(MONDAY) == "5.00%"
    assert TEN_DAYS.at(MONDAY + timedelta(days=9)) == "95.00%"


def test_a_bar_covers_whole_days() -> None:
    span = TEN_DAYS.span(MONDAY + timedelta(days=2), MONDAY + timedelta(days=4))
    assert span is not None
    assert (span.x, span.width, span.cut_left, span.cut_right) == ("20.00%", "30.00%", False, False)


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        pytest.param(-5, 1, ("0.00%", "20.00%", True, False), id="runs_off_at_the_left"),
        pytest.param(8, 30, ("80.00%", "20.00%", False, True), id="runs_off_at_the_right"),
        pytest.param(-5, 30, ("0.00%", "100.00%", True, True), id="at_both"),
        pytest.param(-5, -1, None, id="lies_before"),
        pytest.param(10, 12, None, id="lies_after"),
        pytest.param(4, 3, None, id="is_empty"),
    ],
)
def test_a_bar_is_cut_at_the_ends(
    first: int, last: int, expected: tuple[str, str, bool, bool] | None
) -> None:
    span = TEN_DAYS.span(MONDAY + timedelta(days=first), MONDAY + timedelta(days=last))
    assert (None if span is None else (span.x, span.width, span.cut_left, span.cut_right)) == expected


@pytest.mark.parametrize("start", [0, 1, 6])
def test_mondays_are_mondays(start: int) -> None:
    scale = DayScale(MONDAY + timedelta(days=start), MONDAY + timedelta(days=start + 20))
    mondays = list(scale.mondays())
    assert len(mondays) == 3
    assert all(day.weekday() == 0 and scale.shows(day) for day in mondays)


def appointment(state: State, today: date, *, closes: int, due: int) -> Appointment:
    due_on = today + timedelta(days=due)
    closes_on = today + timedelta(days=closes)
    return Appointment(Kind.VISIT, 4, state, due_on, due_on - timedelta(days=4), closes_on)


def test_only_an_overdue_row_has_the_line_from_its_window_to_today() -> None:
    today = MONDAY
    scale = queue_scale(today)
    overdue = window_mark(appointment(State.OVERDUE, today, closes=-5, due=-9), scale, today)
    assert overdue is not None
    assert overdue.late is not None
    assert overdue.late.end == scale.at(today)
    assert float(overdue.late.start[:-1]) < float(overdue.late.end[:-1])
    still_open = window_mark(appointment(State.OPEN, today, closes=2, due=-2), scale, today)
    assert still_open is not None
    assert still_open.late is None


def test_a_window_long_past_starts_its_line_at_the_edge() -> None:
    scale = queue_scale(MONDAY)
    mark = window_mark(appointment(State.OVERDUE, MONDAY, closes=-40, due=-44), scale, MONDAY)
    assert mark is not None
    assert (mark.window, mark.due) == (None, "")
    assert mark.late is not None
    assert mark.late.start == "0.00%"


def test_without_dates_nothing_is_drawn() -> None:
    scale = queue_scale(MONDAY)
    assert window_mark(Appointment(Kind.VISIT, 4, State.DONE), scale, MONDAY) is None
