"""The weight at an infusion on both sides of every limit; no database."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from infusions import weights
from infusions.dosing import Given

DAY = date(2024, 3, 4)


def a_weight(number: int, kg: str | None, *, on: date = DAY) -> Given:
    return Given(number, on, None if kg is None else Decimal(kg))


@pytest.mark.parametrize(
    ("weight", "fires"),
    [("39.9", True), ("40.0", False), ("60.0", False), ("120.0", False), ("120.1", True), ("25.0", True)],
)
def test_a_weight_outside_the_usual_asks(weight: str, fires: bool) -> None:
    asked = weights.doubt(a_weight(1, weight), [])
    assert (asked is not None) is fires
    if asked:
        assert str(asked) == f"{weight} kg: usual are 40 to 120 kg."


@pytest.mark.parametrize(
    ("weight", "last", "days", "why"),
    [
        pytest.param("66.0", "60.0", 14, "", id="10_percent_more"),
        pytest.param("66.1", "60.0", 14, "more than 10 % apart", id="beyond_it"),
        pytest.param("54.0", "60.0", 14, "", id="10_percent_less"),
        pytest.param("53.9", "60.0", 14, "more than 10 % apart", id="beyond_that"),
        pytest.param("85.0", "80.0", 7, "", id="5_kg_in_a_week"),
        pytest.param("85.1", "80.0", 7, "more than 5 kg a week", id="beyond_5_kg"),
        pytest.param("74.9", "80.0", 7, "more than 5 kg a week", id="as_much_less"),
        pytest.param("85.1", "80.0", 3, "more than 5 kg a week", id="faster_than_a_week"),
        pytest.param("85.1", "80.0", 8, "", id="in_more_than_a_week"),
        pytest.param("110.0", "100.0", 14, "", id="10_kg_in_two_weeks"),
        pytest.param("110.1", "100.0", 15, "more than 10 % apart", id="a_share_whatever_the_days"),
    ],
)
def test_a_weight_against_the_last_one(weight: str, last: str, days: int, why: str) -> None:
    given = a_weight(4, weight, on=DAY + timedelta(days=days))
    asked = weights.doubt(given, [a_weight(1, "99"), a_weight(3, last), a_weight(5, "40")])
    assert (asked is not None) is bool(why)
    assert why in str(asked or "")


def test_a_weight_that_nobody_took_asks_nothing() -> None:
    assert weights.doubt(a_weight(2, None), [a_weight(1, "60")]) is None
    assert weights.doubt(a_weight(2, "60"), [a_weight(1, None), a_weight(3, "90")]) is None


def test_last_weight_is_that_of_the_nearest_infusion_before() -> None:
    given = [a_weight(1, "60"), a_weight(2, "62"), a_weight(3, None), a_weight(5, "70")]
    nearest = weights.last_weight(4, given)
    assert nearest is not None and nearest.number == 2
    assert weights.last_weight(1, given) is None


def test_a_course_tells_each_of_its_doubts() -> None:
    found = weights.doubted([a_weight(3, "38"), a_weight(1, "60"), a_weight(2, "61")])
    assert [(given.number, str(why)) for given, why in found] == [(3, "38 kg: usual are 40 to 120 kg.")]
