"""What may be planned: each refusal on both sides of its limit."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from infusions import planning
from infusions.planning import LotFacts, Wish

TODAY = date(2026, 3, 1)
DAY = date(2026, 3, 10)
LOT = LotFacts("UC-1", "released", date(2026, 3, 10), 1)
WISH = Wish(
    number=2,
    planned_on=DAY,
    today=TODAY,
    lot=LOT,
    given={1: DAY - timedelta(days=7)},
    recruited_on=date(2026, 2, 24),
)


def rules(wish: Wish) -> set[str]:
    return {each.rule for each in planning.obstacles(wish)}


def test_what_fits_is_planned() -> None:
    assert rules(WISH) == set()
    assert rules(replace(WISH, lot=None)) == set()


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"number": 9}, "beyond_course"),
        ({"number": 0}, "beyond_course"),
        ({"number": 1}, "given"),
        ({"enrolled": False}, "not_enrolled"),
        ({"ended_on": DAY}, "ended"),
        ({"planned_on": TODAY - timedelta(days=1)}, "past"),
        ({"given": {1: DAY - timedelta(days=4)}}, "gap"),
        ({"given": {}, "planned": {3: DAY + timedelta(days=4)}}, "gap"),
        ({"given": {1: DAY + timedelta(days=7)}}, "order"),
        ({"number": 5, "stopped_on": TODAY}, "stopped"),
        ({"lot": replace(LOT, release="quarantine")}, "quarantine"),
        ({"lot": replace(LOT, release="rejected")}, "rejected"),
        ({"lot": replace(LOT, release="recalled")}, "recalled"),
        ({"lot": replace(LOT, expires_on=DAY - timedelta(days=1))}, "expired"),
        ({"lot": replace(LOT, bags_left=0)}, "no_bags"),
        ({"recruited_on": DAY + timedelta(days=1)}, "before_recruitment"),
    ],
)
def test_what_the_protocol_forbids_is_refused(change: dict[str, object], rule: str) -> None:
    assert rule in rules(replace(WISH, **change))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        {"number": 8},
        {"ended_on": DAY + timedelta(days=1)},
        {"planned_on": TODAY, "given": {}},
        {"given": {1: DAY - timedelta(days=5)}},
        {"lot": replace(LOT, release="conditional")},
        {"lot": replace(LOT, expires_on=None)},
        {"lot": replace(LOT, bags_left=None)},
        {"number": 4, "stopped_on": TODAY},
    ],
)
def test_on_the_other_side_of_the_limit_it_is_allowed(change: dict[str, object]) -> None:
    assert rules(replace(WISH, **change)) == set()  # type: ignore[arg-type]


def test_a_conditional_lot_and_a_day_outside_the_window_are_warned_of() -> None:
    assert planning.warnings(WISH) == ()
    [conditional] = planning.warnings(replace(WISH, lot=replace(LOT, release="conditional")))
    assert "cultures are not read yet" in str(conditional)
    [late] = planning.warnings(replace(WISH, planned_on=DAY + timedelta(days=3), lot=None))
    assert "outside the window 2026-03-08 to 2026-03-12" in str(late)


def test_bags_are_counted_only_where_somebody_counted_them() -> None:
    assert planning.free_bags(6, given=2, reserved=3, discarded=1) == 0
    assert planning.free_bags(None, given=2, reserved=3) is None
