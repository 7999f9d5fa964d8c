"""Which range holds for whom and when."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from patients.ranges import Range, Reference, Step, flag, in_force, steps
from trial import protocol
from trial.protocol import Limits, Sex

DAY = date(2024, 3, 8)
JANUARY, JUNE = date(2024, 1, 1), date(2024, 6, 30)
A_DAY = timedelta(days=1)


def a_range(low: str | None = "5", high: str | None = "40", **fields: Any) -> Range:
    given: dict[str, Any] = {
        "laboratory": 1,
        "analyte": "alt",
        "sex": "",
        "age_from": 0,
        "age_to": 150,
        "valid_from": JANUARY,
        "valid_to": JUNE,
        "laboratory_name": "Central",
    }
    limits = Limits(None if low is None else Decimal(low), None if high is None else Decimal(high))
    return Range(limits=limits, **(given | fields))


def found(*ranges: Range, **asked: Any) -> Reference:
    given: dict[str, Any] = {"laboratory": 1, "analyte": "alt", "sex": "M", "age": 40, "day": DAY}
    return in_force(ranges, **(given | asked))


@pytest.mark.parametrize(
    ("asked", "is_ours"),
    [
        ({"day": JANUARY}, True),
        ({"day": JANUARY - A_DAY}, False),
        ({"day": JUNE}, True),
        ({"day": JUNE + A_DAY}, False),
        ({"age": 18}, True),
        ({"age": 17}, False),
        ({"age": 60}, True),
        ({"age": 61}, False),
        ({"age": None}, False),
        ({"sex": "M"}, True),
        ({"sex": "F"}, False),
        ({"laboratory": 2}, False),
        ({"laboratory": None}, False),
        ({"analyte": "ast"}, False),
        ({"day": None}, False),
    ],
)
def test_a_range_holds_within_its_dates_ages_sex_and_laboratory(asked: dict[str, Any], is_ours: bool) -> None:
    one = a_range(sex="M", age_from=18, age_to=60)
    reference = found(one, **asked)
    assert reference.is_protocols is not is_ours
    if not is_ours:
        sex, analyte = Sex(asked.get("sex", "M")), asked.get("analyte", "alt")
        assert reference.limits == protocol.ANALYTES[analyte].reference[sex]


def test_an_unknown_age_still_has_a_range_that_holds_for_every_age() -> None:
    assert found(a_range(), age=None).laboratory == "Central"


@pytest.mark.parametrize(
    ("value", "limits", "said"),
    [
        ("40", ("5", "40"), ""),
        ("40.1", ("5", "40"), "high"),
        ("5", ("5", "40"), ""),
        ("4.9", ("5", "40"), "low"),
        ("0", (None, "40"), ""),
        ("1000", ("5", None), ""),
    ],
)
def test_the_ends_of_a_range_are_within_it(
    value: str, limits: tuple[str | None, str | None], said: str
) -> None:
    low, high = (None if end is None else Decimal(end) for end in limits)
    assert flag(Decimal(value), Limits(low, high)) == said


@pytest.mark.parametrize(
    ("fields", "overlap"),
    [
        ({}, True),
        ({"sex": "M"}, True),
        ({"valid_from": JUNE}, True),
        ({"valid_from": JUNE + A_DAY, "valid_to": None}, False),
        ({"age_from": 60, "age_to": 70}, True),
        ({"age_from": 61, "age_to": 70}, False),
        ({"sex": "F"}, False),
        ({"laboratory": 2}, False),
        ({"analyte": "ast"}, False),
    ],
)
def test_two_ranges_overlap_when_one_result_could_have_both(fields: dict[str, Any], overlap: bool) -> None:
    one = a_range(sex="M", age_from=18, age_to=60)
    other = a_range(**({"age_from": 18, "age_to": 60} | fields))
    assert one.overlaps(other) is overlap
    assert other.overlaps(one) is overlap


def stepped(ranges: list[Range], stays: list[tuple[date, int | None]], born: int = 1980) -> list[Step]:
    return steps(ranges, stays, analyte="alt", sex="M", age_on=lambda day: day.year - born)


def test_without_a_laboratory_the_reference_never_changes() -> None:
    assert stepped([], [(DAY, None)]) == [
        Step(None, None, Reference(protocol.ANALYTES["alt"].reference[Sex.MALE]))
    ]
    assert len(stepped([a_range()], [])) == 1


def test_the_reference_steps_on_the_day_a_range_changes() -> None:
    later = a_range("7", "50", valid_from=JUNE + A_DAY, valid_to=None)
    before, first, second = stepped([a_range(), later], [(DAY, 1)])
    assert (before.last, before.reference.is_protocols) == (JANUARY - A_DAY, True)
    assert (first.first, first.last, first.reference.limits.high) == (JANUARY, JUNE, Decimal(40))
    assert (second.first, second.last, second.reference.limits.high) == (JUNE + A_DAY, None, Decimal(50))


def test_the_reference_steps_when_another_laboratory_measures() -> None:
    ours = a_range(valid_from=date(2000, 1, 1), valid_to=None)
    theirs = a_range("7", "55", laboratory=2, valid_from=date(2000, 1, 1), valid_to=None)
    moved = date(2024, 5, 1)
    found = stepped([ours, theirs], [(DAY, 1), (moved, 2)])
    assert [(s.first, s.reference.limits.high) for s in found[1:]] == [
        (date(2000, 1, 1), Decimal(40)),
        (moved, Decimal(55)),
    ]


def test_the_reference_steps_on_a_birthday() -> None:
    young = a_range("1", "30", age_to=44, valid_from=date(2020, 1, 1), valid_to=None)
    old = a_range("2", "60", age_from=45, valid_from=date(2020, 1, 1), valid_to=None)
    found = stepped([young, old], [(DAY, 1), (date(2026, 1, 1), 1)])
    assert [(s.first, s.reference.limits.high) for s in found[1:]] == [
        (date(2020, 1, 1), Decimal(30)),
        (date(2025, 1, 1), Decimal(60)),
    ]
