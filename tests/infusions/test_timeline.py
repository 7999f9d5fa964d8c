"""The drawing of a course: where marks stand, which look they have, when they give way."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from infusions import timeline
from infusions.timeline import Look, Voided
from patients.schedule import Facts

RECRUITED = date(2026, 1, 5)
FIRST = RECRUITED + timedelta(days=7)


def drawn(
    today: date, given: dict[int, int] | None = None, voided: tuple[Voided, ...] = (), **facts: object
) -> timeline.Timeline:
    """Draw a course; ``given`` maps a number to days after recruitment."""
    days = {number: RECRUITED + timedelta(days=after) for number, after in (given or {}).items()}
    facts = {"recruited_on": RECRUITED, "planned_course": "prolonged", "given": days, **facts}
    drawing = timeline.draw(Facts(**facts), today, voided)  # type: ignore[arg-type]
    assert drawing is not None
    return drawing


def looks(drawing: timeline.Timeline) -> dict[int, Look]:
    return {mark.number: mark.look for mark in drawing.infusions}


def place(x: str) -> float:
    assert x.endswith("%")
    return float(x[:-1])


def test_every_state_has_its_look() -> None:
    # on day 39: 1 given, 2 missed, 3 given late, 4 given, 5 overdue, 6 ahead ...
    drawing = drawn(RECRUITED + timedelta(days=39), {1: 7, 3: 25, 4: 28})
    assert looks(drawing) == {
        1: Look.GIVEN,
        2: Look.MISSED,
        3: Look.GIVEN,
        4: Look.GIVEN,
        5: Look.OVERDUE,
        6: Look.PLANNED,
        7: Look.PLANNED,
        8: Look.PLANNED,
    }


def test_marks_lie_in_the_order_of_their_days_and_on_the_page() -> None:
    drawing = drawn(FIRST, {1: 7})
    places = [place(mark.x) for mark in drawing.infusions]
    assert places == sorted(places)
    assert all(0 <= x <= 100 for x in places)
    assert all(0 <= place(visit.mark.x) <= 100 for visit in drawing.visits)


def test_equal_days_have_equal_distances() -> None:
    first, second, third = (place(mark.x) for mark in drawn(FIRST, {1: 7, 2: 14, 3: 21}).infusions[:3])
    assert second - first == pytest.approx(third - second, abs=0.02)


@pytest.mark.parametrize(
    ("after", "is_ghosted"),
    [
        pytest.param(12, False, id="two_days_early_is_on_time"),
        pytest.param(16, False, id="two_days_late_is_on_time"),
        pytest.param(17, True, id="three_days_late_leaves_a_ghost"),
        pytest.param(11, True, id="three_days_early_too"),
    ],
)
def test_one_given_outside_its_window_leaves_a_ghost_where_it_was_due(after: int, is_ghosted: bool) -> None:
    drawing = drawn(FIRST + timedelta(days=30), {1: 5, 2: after})
    second = next(mark for mark in drawing.infusions if mark.number == 2)
    assert bool(second.ghost) is is_ghosted
    if is_ghosted:
        assert second.link is not None
        assert place(second.link.start) < place(second.link.end)
        assert second.ghost == drawing.scale.at(RECRUITED + timedelta(days=14))


def test_marks_that_would_touch_stand_in_two_rows_and_voided_ones_give_way() -> None:
    apart = drawn(FIRST, {1: 7, 2: 14})
    assert {mark.y for mark in apart.infusions} == set(timeline.ONE_ROW)
    crowded = drawn(FIRST, {1: 7}, voided=(Voided(1, RECRUITED + timedelta(days=7)),))
    by_look = {mark.look: mark.y for mark in crowded.infusions}
    assert (by_look[Look.GIVEN], by_look[Look.VOIDED]) == timeline.TWO_ROWS


def test_visits_have_windows_and_looks() -> None:
    drawing = drawn(FIRST + timedelta(days=40), {1: 7}, seen={0: FIRST, 1: None})
    by_week = {visit.mark.number: visit for visit in drawing.visits}
    assert by_week[0].mark.look is Look.DONE
    assert by_week[1].mark.look is Look.DONE, "a visit without a day stands at its due day"
    assert by_week[1].mark.day == FIRST + timedelta(days=7)
    assert by_week[4].mark.look is Look.OVERDUE
    assert by_week[12].mark.look is Look.PLANNED
    assert all(visit.window is not None for visit in drawing.visits)


def test_today_the_run_in_and_the_landmark_stand_where_they_belong() -> None:
    drawing = drawn(FIRST + timedelta(days=3), {1: 7})
    assert drawing.run_in is not None
    assert drawing.recruited is not None
    assert drawing.landmark == drawing.scale.at(FIRST + timedelta(days=28))
    assert (
        place(drawing.recruited.x)
        < place(drawing.infusions[0].x)
        < place(drawing.today)
        < place(drawing.landmark)
    )
    assert not drawing.today_is_late


def test_long_after_the_course_today_is_not_drawn() -> None:
    assert drawn(FIRST + timedelta(days=900), {1: 7}).today == ""


def test_nothing_due_after_observation_ended_is_drawn() -> None:
    drawing = drawn(FIRST + timedelta(days=60), {1: 7}, ended_on=FIRST + timedelta(days=9))
    assert looks(drawing) == {1: Look.GIVEN, 2: Look.MISSED}
    assert [visit.mark.number for visit in drawing.visits] == [0, 1]


def test_without_any_day_there_is_no_drawing() -> None:
    assert timeline.draw(Facts(recruited_on=None), FIRST) is None


def test_infusions_without_a_day_of_recruitment_are_drawn_all_the_same() -> None:
    drawing = drawn(FIRST, {1: 7, 2: 14}, recruited_on=None)
    assert looks(drawing) == {1: Look.GIVEN, 2: Look.GIVEN}
    assert drawing.run_in is None
