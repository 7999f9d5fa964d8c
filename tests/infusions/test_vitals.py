"""Vital signs as they are typed, and their limits."""

from __future__ import annotations

from decimal import Decimal

import pytest

from infusions import vitals
from infusions.vitals import Vitals
from trial.typed import Unreadable


@pytest.mark.parametrize(
    ("column", "text", "found"),
    [
        ("temperature_c", "36.8", {"temperature_c": Decimal("36.8")}),
        ("temperature_c", "３６．８", {"temperature_c": Decimal("36.8")}),
        ("temperature_c", "32", {"temperature_c": Decimal("32.0")}),
        ("temperature_c", "43", {"temperature_c": Decimal("43.0")}),
        ("pulse", "72", {"pulse": 72}),
        ("pressure", "118/76", {"systolic": 118, "diastolic": 76}),
        ("pressure", "118 76", {"systolic": 118, "diastolic": 76}),
        ("pressure", "", {"systolic": None, "diastolic": None}),
        ("saturation", "100", {"saturation": 100}),
        ("respiration", "", {"respiration": None}),
    ],
)
def test_a_cell_is_read(column: str, text: str, found: dict[str, object]) -> None:
    assert vitals.read_cell(column, text) == found


@pytest.mark.parametrize(
    ("column", "text", "rule"),
    [
        ("temperature_c", "31.9", "limit"),
        ("temperature_c", "43.1", "limit"),
        ("temperature_c", "36.85", "too_many_decimals"),
        ("pulse", "19", "limit"),
        ("pulse", "72.5", "too_many_decimals"),
        ("pulse", "<60", "plain"),
        ("pressure", "118", "pressure"),
        ("pressure", "76/118", "pressure_order"),
        ("pressure", "118/118", "pressure_order"),
        ("saturation", "101", "limit"),
    ],
)
def test_what_cannot_be_a_measurement_is_refused_with_its_rule(column: str, text: str, rule: str) -> None:
    with pytest.raises(Unreadable) as raised:
        vitals.read_cell(column, text)
    assert raised.value.rule == rule
    assert str(raised.value.remedy)


@pytest.mark.parametrize(
    ("text", "doubtful"), [("35.4", True), ("35.5", False), ("37.9", False), ("38.0", True)]
)
def test_fever_and_cold_are_marked(text: str, doubtful: bool) -> None:
    measured = Vitals(temperature_c=Decimal(text))
    assert vitals.column_is_doubtful(measured, "temperature_c") is doubtful
    assert bool(list(vitals.doubts({"m15": measured}))) is doubtful


def test_a_pressure_stands_in_one_cell() -> None:
    assert Vitals(systolic=118, diastolic=76).cell("pressure") == "118/76"
    assert not Vitals()
