"""A value that a program reports reads as the same text in a form: same value, or same rule and words."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from patients import reported
from patients.entries import LabEntry
from patients.forms.panel_row import Row, read
from patients.reported import Reported, Wrong
from tests.corpus import TEXTS
from trial import loinc, protocol, typed
from trial.protocol import Sex
from trial.strict_json import JsonNumber
from trial.typed import Unreadable

MORE = (
    "140",
    "17.10",
    "< 5",
    ">=20",
    "8.2 mg/dL",
    "0.0001",
    "99999999999",
    "5 mg",
    "12 umol/L",
    "1e-3",
    "３.5",
)


@pytest.mark.parametrize("analyte", protocol.PANEL, ids=lambda analyte: analyte.code)
def test_a_form_and_a_program_read_alike(analyte: protocol.Analyte) -> None:
    for text in (*TEXTS, *MORE):
        if not text.strip():
            continue  # a form takes an empty field for nothing; a program that sends nothing is told so
        row = Row(analyte, text, analyte.unit, "", None, None, analyte.reference[Sex.MALE])
        read(row)
        unit = "" if typed_unit(text) else analyte.unit
        sent = reported.read(Reported(analyte=analyte.code, value=text, unit=unit), usual_units={})
        if isinstance(sent, Wrong):
            said = f"{sent.sentence} {sent.remedy}"
            assert row.errors == [said], text
        else:
            assert row.errors == [], text
            assert row.entry == sent, text


def typed_unit(text: str) -> str | None:
    try:
        return typed.read_number(text).unit
    except Unreadable:
        return None


def wrong(**sent: str) -> tuple[str, str]:
    found = reported.read(Reported(**sent), usual_units={})
    assert isinstance(found, Wrong), found
    return found.part, found.rule


def right(*, usual: dict[str, str] | None = None, **sent: str) -> LabEntry:
    found = reported.read(Reported(**sent), usual_units=usual or {})
    assert isinstance(found, LabEntry), found
    return found


def test_a_unit_is_said_or_cannot_be_mistaken() -> None:
    assert wrong(analyte="tbil", value="8.2") == ("unit", "unit_not_said")
    assert wrong(analyte="tbil", value="8.2 mg/dL", unit="umol/L") == ("unit", "two_units")
    assert wrong(analyte="pta", value="80", unit="mg/dL") == ("unit", "unit_not_accepted")
    assert wrong(analyte="pta", value="80", unit="furlong") == ("unit", "unit_not_accepted")
    assert right(analyte="pta", value="80").unit == "%"
    assert right(analyte="sodium", value="140").unit == "mmol/L"
    assert right(analyte="tbil", value="8.2", usual={"tbil": "mg/dL"}).standard_value == Decimal("140.22")


def test_a_loinc_code_says_which_units_it_can_have() -> None:
    for analyte in protocol.PANEL:
        assert loinc.CODES[analyte.loinc].analyte == analyte.code
        assert analyte.unit in loinc.CODES[analyte.loinc].units
    assert right(analyte="1975-2", value="8.2").unit == "mg/dL"
    assert right(analyte="14631-6", value="140").unit == "umol/L"
    assert wrong(analyte="14631-6", value="8.2", unit="mg/dL") == ("unit", "unit_of_another_code")
    assert wrong(analyte="2160-0", value="81", unit="umol/L") == ("unit", "unit_of_another_code")
    assert wrong(analyte="0000-0", value="1") == ("analyte", "unknown_analyte")


def test_prothrombin_activity_is_never_taken_for_inr() -> None:
    """Public tables give 5894-1 for INR; it is activity in percent."""
    assert loinc.CODES["5894-1"].analyte == "pta"
    assert {code.loinc for code in loinc.codes_of("inr")} == {"6301-6", "34714-6"}
    for unit in ("{INR}", "1", "ratio"):
        assert wrong(analyte="5894-1", value="1.8", unit=unit) == ("unit", "unit_not_accepted")
    assert wrong(analyte="6301-6", value="80", unit="%") == ("unit", "unit_not_accepted")


def test_numbers_keep_their_digits_and_powers_of_json_are_written_out() -> None:
    assert right(analyte="alt", value=JsonNumber("17.10"), unit="U/L").typed_text == "17.10"
    assert right(analyte="hbv_dna", value=JsonNumber("1e6")).value == Decimal(1_000_000)
    assert wrong(analyte="hbv_dna", value=JsonNumber("1e400")) == ("value", "exponent")
    assert wrong(analyte="hbv_dna", value="1e6") == ("value", "exponent")
    assert right(analyte="hbv_dna", value="20", comparator="<").comparator == "<"
    assert wrong(analyte="hbv_dna", value="20", comparator="ad") == ("comparator", "comparator")


def test_there_is_a_value_or_a_reason() -> None:
    assert right(analyte="alt", missing="haemolysed").missing_reason == "haemolysed"
    assert wrong(analyte="alt") == ("value", "no_value_and_no_reason")
    assert wrong(analyte="alt", value="5", missing="lost") == ("value", "value_and_reason")
    assert wrong(analyte="alt", missing="dog ate it") == ("missing", "missing_reason")


def test_a_moment_is_a_day_at_the_site() -> None:
    zone, today = ZoneInfo("Asia/Shanghai"), date(2024, 6, 1)
    day, moment = reported.read_when("2024-02-12T23:30:00Z", zone=zone, today=today)
    assert (day, moment) == (date(2024, 2, 13), datetime(2024, 2, 12, 23, 30, tzinfo=UTC))
    assert reported.read_when("2024-02-12", zone=zone, today=today) == (date(2024, 2, 12), None)
    for text, rule in (
        ("2024-02-12T23:30:00", "no_offset"),
        ("2024-02-30T10:00:00Z", "not_a_time"),
        ("9999-12-31T23:59:59-23:59", "not_a_time"),
        ("0001-01-01T00:00:00+14:00", "not_a_time"),
        ("0900-01-01T00:00:00Z", "date_out_of_range"),
        ("2024-02", "not_a_date"),
        ("02/03/2024", "ambiguous_date"),
    ):
        with pytest.raises(Unreadable) as refused:
            reported.read_when(text, zone=zone, today=today)
        assert refused.value.rule == rule, text
