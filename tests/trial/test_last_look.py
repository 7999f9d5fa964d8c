"""Since when there is news: sittings and the pause between them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from trial import last_look
from trial.models import LastLook, User

NINE = datetime(2026, 3, 19, 9, 0, tzinfo=UTC)
YESTERDAY = datetime(2026, 3, 18, 9, 20, tzinfo=UTC)


def after(minutes: float) -> datetime:
    return NINE + timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("pause", "expected"),
    [
        pytest.param(0, YESTERDAY, id="at_once"),
        pytest.param(29.99, YESTERDAY, id="the_same_sitting"),
        pytest.param(30, NINE, id="thirty_minutes_begin_a_new_one"),
        pytest.param(60 * 24 * 3, NINE, id="after_the_weekend"),
        pytest.param(-5, YESTERDAY, id="a_clock_that_went_back"),
    ],
)
def test_a_pause_of_thirty_minutes_begins_a_sitting(pause: float, expected: datetime) -> None:
    assert last_look.before(NINE, YESTERDAY, after(pause)) == expected


@pytest.mark.django_db
def test_looks_move_the_clock_and_sittings_the_news(coordinator: User, monitor: User) -> None:
    assert last_look.look(coordinator, now=NINE) is None
    assert last_look.look(coordinator, now=after(10)) is None
    assert last_look.look(coordinator, now=after(39)) is None, "29 minutes after the last look"
    assert last_look.look(coordinator, now=after(69)) == after(39)
    assert last_look.look(coordinator, now=after(80)) == after(39), "reading on loses no news"
    assert last_look.last(coordinator) == after(39)
    assert last_look.last(monitor) is None
    assert LastLook.objects.get(user=coordinator).seen_at == after(80)


@pytest.mark.django_db
def test_a_window_that_looked_a_moment_earlier_moves_nothing_back(coordinator: User) -> None:
    last_look.look(coordinator, now=after(10))
    last_look.look(coordinator, now=NINE)
    assert LastLook.objects.get(user=coordinator).seen_at == after(10)
