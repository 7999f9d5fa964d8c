"""The dose, its limits and the order of infusions: both sides of every limit."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from infusions import dosing
from infusions.dosing import Given, Rule
from trial import protocol

DAY = date(2026, 3, 2)


def rules(given: Given, *others: Given, **circumstances: object) -> list[Rule]:
    circumstances = {"recruited_on": DAY - timedelta(days=7), **circumstances}
    return [breach.rule for breach in dosing.breaches(given, others=others, **circumstances)]  # type: ignore[arg-type]


def a_dose(number: int = 1, day: date = DAY, *, weight: str = "60", cells: str = "60e6") -> Given:
    return Given(number, day, Decimal(weight), Decimal(cells))


def test_target_is_a_million_cells_per_kg() -> None:
    assert dosing.target_cells(Decimal("64.5")) == 64_500_000
    assert dosing.target_cells(Decimal(52)) == 52_000_000
    assert dosing.cells_per_kg(Decimal("64.5e6"), Decimal("64.5")) == protocol.DOSE.cells_per_kg


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        pytest.param("48000000", [], id="20_percent_below_is_allowed"),
        pytest.param("47999999", [Rule.DOSE_BELOW], id="one_cell_less_is_not"),
        pytest.param("72000000", [], id="20_percent_above_is_allowed"),
        pytest.param("72000001", [Rule.DOSE_ABOVE], id="one_cell_more_is_not"),
        pytest.param("60000000", [], id="on_target"),
    ],
)
def test_tolerance(cells: str, expected: list[Rule]) -> None:
    assert rules(a_dose(cells=cells)) == expected


def test_a_dose_just_outside_never_reads_as_the_limit() -> None:
    (breach,) = dosing.breaches(a_dose(cells="72000100"), others=[], recruited_on=None)
    assert "20.0002 % above" in str(breach.sentence)
    assert "60 × 10⁶" in str(breach.sentence)
    one_cell = dosing.percent_off_target(Decimal(300_000_001), Decimal(250))
    assert one_cell == Decimal("20.0000004")


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        pytest.param(4, [Rule.GAP_SHORT], id="four_days_are_too_few"),
        pytest.param(5, [], id="five_days_will_do"),
        pytest.param(0, [Rule.GAP_SHORT], id="the_same_day"),
    ],
)
def test_gap_counts_in_both_directions(days: int, expected: list[Rule]) -> None:
    later = a_dose(2, DAY + timedelta(days=days))
    assert rules(later, a_dose(1)) == expected
    assert rules(a_dose(1), later) == expected


def test_gap_is_named_with_the_infusion_it_is_to() -> None:
    (breach,) = dosing.breaches(
        a_dose(3, DAY + timedelta(days=10)),
        others=[a_dose(1), a_dose(2, DAY + timedelta(days=7))],
        recruited_on=DAY,
    )
    assert str(breach.sentence) == "Only 3 days from infusion 2 on 2026-03-09; at least 5 are meant."


def test_numbers_follow_dates() -> None:
    assert rules(a_dose(3, DAY + timedelta(days=14)), a_dose(1)) == []  # 2 was missed
    assert rules(a_dose(1, DAY + timedelta(days=14)), a_dose(2)) == [Rule.OUT_OF_ORDER]


@pytest.mark.parametrize(
    ("circumstances", "expected"),
    [
        pytest.param({"lot_expires_on": DAY}, [], id="lot_may_be_given_on_its_last_day"),
        pytest.param({"lot_expires_on": DAY - timedelta(days=1)}, [Rule.LOT_EXPIRED], id="not_a_day_later"),
        pytest.param({"recruited_on": DAY}, [], id="on_the_day_of_recruitment"),
        pytest.param(
            {"recruited_on": DAY + timedelta(days=1)}, [Rule.BEFORE_RECRUITMENT], id="the_day_before"
        ),
        pytest.param({"recruited_on": None}, [], id="recruitment_unknown"),
        pytest.param({"enrolled": False}, [Rule.NOT_ENROLLED], id="not_enrolled"),
        pytest.param({"ended_on": DAY}, [], id="on_the_day_observation_ended"),
        pytest.param({"ended_on": DAY - timedelta(days=1)}, [Rule.AFTER_END], id="after_it"),
        pytest.param({"lot_known": False}, [Rule.UNDOCUMENTED], id="no_lot"),
    ],
)
def test_circumstances(circumstances: dict[str, object], expected: list[Rule]) -> None:
    assert rules(a_dose(), **circumstances) == expected


def test_an_undocumented_dose_is_said_and_no_arithmetic_is_done() -> None:
    assert rules(Given(1, DAY)) == [Rule.UNDOCUMENTED, Rule.UNDOCUMENTED]
    assert rules(Given(1, DAY, Decimal(60))) == [Rule.UNDOCUMENTED]


@pytest.mark.parametrize(
    ("diagnosis", "before", "after", "groups", "happens"),
    [
        pytest.param("liver_failure", 4, 5, ("B", "A"), True, id="the_fifth_makes_B_become_A"),
        pytest.param("cirrhosis", 4, 5, ("D", "C"), True, id="the_fifth_makes_D_become_C"),
        pytest.param("cirrhosis", 5, 4, ("C", "D"), True, id="voiding_the_fifth_takes_it_back"),
        pytest.param("liver_failure", 3, 4, ("B", "B"), False, id="four_is_still_standard"),
        pytest.param("liver_failure", 0, 1, (None, "B"), False, id="the_first_gives_a_group"),
        pytest.param("liver_failure", 1, 0, ("B", None), False, id="none_left_no_group"),
    ],
)
def test_group_change(
    diagnosis: str, before: int, after: int, groups: tuple[str | None, str | None], happens: bool
) -> None:
    change = dosing.group_change(diagnosis, given_before=before, given_after=after)
    assert (change.group_before, change.group_after) == groups
    assert change.happens is happens


def test_millions_has_no_trailing_zeros_or_exponent() -> None:
    assert dosing.millions(Decimal(64500000)) == "64.5"
    assert dosing.millions(Decimal(60000000)) == "60"
    assert dosing.millions(Decimal(100000000)) == "100"
