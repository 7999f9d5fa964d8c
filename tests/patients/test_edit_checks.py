"""Hard and soft checks: both sides of every limit."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from patients import edit_checks
from patients.edit_checks import Around, Course, Doubt, Earlier, Life
from patients.entries import LabEntry
from trial import protocol

DAY = date(2024, 2, 12)
STEP = Decimal("0.000001")


def entry(analyte: str, text: str | Decimal, unit: str = "", comparator: str = "") -> LabEntry:
    return LabEntry(
        analyte=analyte,
        value=Decimal(text),
        typed_text=str(text),
        typed_unit=unit,
        comparator=comparator,
    )


def doubts(*entries: LabEntry, earlier: Mapping[str, Earlier] | None = None, **around: Any) -> list[Doubt]:
    return list(edit_checks.doubts(entries, Around(earlier=earlier or {}, drawn_on=DAY, **around)))


def last(analyte: str, value: str, days: int = 7) -> dict[str, Earlier]:
    return {analyte: Earlier(Decimal(value), DAY - timedelta(days=days))}


# --- hard -----------------------------------------------------------------------------------


@pytest.mark.parametrize("analyte", protocol.PANEL, ids=lambda a: a.code)
def test_hard_limits_are_closed(analyte: protocol.Analyte) -> None:
    for limit, outward in ((analyte.hard.low, -STEP), (analyte.hard.high, STEP)):
        if limit is None:
            continue
        assert edit_checks.breach(entry(analyte.code, limit)) is None
        beyond = edit_checks.breach(entry(analyte.code, limit + outward))
        assert beyond is not None
        assert beyond.rule == "hard_limit"


def test_a_hard_limit_holds_in_the_unit_that_was_typed_and_says_so() -> None:
    assert edit_checks.breach(entry("tbil", "99", "mg/dL")) is None
    beyond = edit_checks.breach(entry("tbil", "99.5", "mg/dL"))
    assert beyond is not None
    assert str(beyond.sentence) == "TBIL 99.5 mg/dL is not possible: a value lies between 0 and 99.415 mg/dL."
    slipped = edit_checks.breach(entry("tbil", "140", "mg/dL"))
    assert slipped is not None
    assert str(slipped.remedy) == "Did you mean µmol/L? Otherwise check the report."


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        (LabEntry(analyte="glucose", value=Decimal(5)), "unknown_analyte"),
        (LabEntry(analyte="tbil"), "no_value_and_no_reason"),
        (LabEntry(analyte="tbil", missing_reason="forgot"), "no_value_and_no_reason"),
        (LabEntry(analyte="tbil", value=Decimal(5), missing_reason="lost"), "value_and_reason"),
        (entry("tbil", "5", "g/L"), "unit_not_accepted"),
        (LabEntry(analyte="tbil", missing_reason="lost"), None),
        (entry("tbil", "5"), None),
    ],
)
def test_an_entry_is_a_value_in_an_accepted_unit_or_a_coded_reason(given: LabEntry, rule: str | None) -> None:
    found = edit_checks.breach(given)
    assert (found.rule if found else None) == rule
    if found:
        assert str(found.sentence) and str(found.remedy)


@pytest.mark.parametrize(
    ("day", "life", "rule"),
    [
        (DAY, Life(DAY), None),
        (DAY + timedelta(days=1), Life(DAY), "future"),
        (DAY, Life(DAY, born_on=DAY - timedelta(days=1)), None),
        (DAY, Life(DAY, born_on=DAY), "before_birth"),
        (DAY, Life(DAY, died_on=DAY), None),
        (DAY, Life(DAY, died_on=DAY - timedelta(days=1)), "after_death"),
    ],
)
def test_days_of_a_life(day: date, life: Life, rule: str | None) -> None:
    found = edit_checks.day_breach(day, life)
    assert (found.rule if found else None) == rule


# --- soft: the unit -------------------------------------------------------------------------


def test_a_unit_slip_names_the_other_unit_and_what_it_would_be() -> None:
    (doubt,) = doubts(entry("tbil", "8.2"), earlier=last("tbil", "152.8"))
    assert (doubt.rule, doubt.unit) == ("unit_slip", "mg/dL")
    assert str(doubt.sentence) == "8.2 µmol/L, last 152.8: did you mean mg/dL?"
    assert str(doubt.detail) == "8.2 mg/dL is 140.2 µmol/L."


@pytest.mark.parametrize(
    ("value", "unit", "before", "fires"),
    [
        pytest.param("25", "umol/L", "100", False, id="four_times_off_is_not_apart"),
        pytest.param("24.9", "umol/L", "100", False, id="apart_but_not_near_in_the_other_unit"),
        pytest.param("17.54", "umol/L", "100", True, id="three_times_off_in_the_other_unit_is_near"),
        pytest.param("17.55", "umol/L", "100", False, id="just_beyond_three_times"),
        pytest.param("90", "mg/dL", "100", True, id="the_other_way_round"),
        pytest.param("8.2", "mg/dL", "140", False, id="right_as_it_is"),
        pytest.param("0", "umol/L", "100", False, id="zero_says_nothing"),
    ],
)
def test_a_unit_slip_against_the_last_value(value: str, unit: str, before: str, fires: bool) -> None:
    found = [d.rule for d in doubts(entry("tbil", value, unit), earlier=last("tbil", before, days=60))]
    assert ("unit_slip" in found) is fires


@pytest.mark.parametrize(
    ("analyte", "value", "unit", "fires"),
    [
        ("tbil", "50", "umol/L", True),
        ("tbil", "50.1", "umol/L", False),
        ("tbil", "49", "mg/dL", False),
        ("creatinine", "20", "umol/L", True),
        ("creatinine", "30", "umol/L", False),
        ("creatinine", "20.1", "umol/L", False),  # 1776 is no better
        ("creatinine", "5", "mg/dL", False),
        ("albumin", "9.9", "g/L", True),
        ("albumin", "18", "g/L", False),
        ("albumin", "33", "g/dL", True),
        ("sodium", "140", "mmol/L", False),
    ],
)
def test_a_small_value_without_a_last_one(analyte: str, value: str, unit: str, fires: bool) -> None:
    found = [d.rule for d in doubts(entry(analyte, value, unit), is_liver_failure=True)]
    assert ("unit_slip" in found) is fires


def test_bilirubin_is_small_only_in_liver_failure_and_only_once() -> None:
    assert doubts(entry("tbil", "40")) == []
    assert [d.rule for d in doubts(entry("tbil", "40"), is_liver_failure=True)] == ["unit_slip"]
    for before, fires in (("50", False), ("50.1", True)):
        ago = last("tbil", before, days=60)
        assert bool(doubts(entry("tbil", "40"), earlier=ago, is_liver_failure=True)) is fires


@pytest.mark.parametrize(
    ("analyte", "value", "unit", "other"),
    [
        ("tbil", "4.99", "umol/L", "mg/dL"),  # x 17.1
        ("tbil", "60", "mg/dL", "umol/L"),  # / 17.1
        ("creatinine", "5", "umol/L", "mg/dL"),  # x 88.4
        ("creatinine", "31", "mg/dL", "umol/L"),  # / 88.4
        ("albumin", "3.3", "g/L", "g/dL"),  # x 10
        ("albumin", "4", "g/dL", ""),
    ],
)
def test_a_value_that_is_usual_only_in_the_other_unit(
    analyte: str, value: str, unit: str, other: str
) -> None:
    found = [d.unit for d in doubts(entry(analyte, value, unit)) if d.rule == "unit_slip"]
    assert found == ([other] if other else [])


@pytest.mark.parametrize(
    ("analyte", "value", "before", "rules"),
    [
        ("inr", "16.8", None, ["point_slip"]),
        ("inr", "8", None, []),
        ("inr", "8.01", None, ["point_slip"]),
        ("pta", "9.9", None, ["point_slip"]),
        ("pta", "10", None, []),
        ("pta", "4.8", "48", ["point_slip"]),
        ("inr", "9.2", "9", ["outside_usual"]),  # the last one says that it is so
        ("platelets", "401", None, ["point_slip"]),
        ("platelets", "400", None, []),
    ],
)
def test_a_value_that_is_usual_only_with_the_point_elsewhere(
    analyte: str, value: str, before: str | None, rules: list[str]
) -> None:
    earlier = last(analyte, before, days=100) if before else {}
    assert [d.rule for d in doubts(entry(analyte, value), earlier=earlier)] == rules


def test_a_value_in_the_other_unit_that_became_too_large_names_the_standard_unit() -> None:
    (doubt,) = doubts(entry("tbil", "60", "mg/dL"), earlier=last("tbil", "70"))
    assert doubt.unit == "umol/L"
    assert str(doubt.detail) == "60 mg/dL would be 1026 µmol/L."


# --- soft: the usual range ------------------------------------------------------------------


@pytest.mark.parametrize(
    "analyte", [a for a in protocol.PANEL if a.soft.low is not None], ids=lambda a: a.code
)
def test_values_below_the_usual_range_are_asked_about(analyte: protocol.Analyte) -> None:
    low = analyte.soft.low
    assert low is not None
    ago = {analyte.code: Earlier(low, DAY - timedelta(days=100))}
    assert doubts(entry(analyte.code, low), earlier=ago) == []
    (doubt,) = doubts(entry(analyte.code, low - Decimal("0.01")), earlier=ago)
    assert doubt.rule == "outside_usual"
    assert "below" in str(doubt.sentence)
    assert doubts(entry(analyte.code, low - Decimal("0.01"), comparator="<"), earlier=ago) == []


@pytest.mark.parametrize(
    "analyte", [a for a in protocol.PANEL if a.soft.high is not None], ids=lambda a: a.code
)
def test_values_above_the_usual_range_are_asked_about(analyte: protocol.Analyte) -> None:
    high = analyte.soft.high
    assert high is not None
    ago = {analyte.code: Earlier(high, DAY - timedelta(days=100))}
    assert doubts(entry(analyte.code, high), earlier=ago) == []
    assert doubts(entry(analyte.code, high + Decimal("0.01"), comparator=">"), earlier=ago) == []
    (limit,) = doubts(entry(analyte.code, high + Decimal("0.01"), comparator="<"), earlier=ago)
    assert limit.rule == "outside_usual", "a limit of detection above the usual range is a slip"
    (doubt,) = doubts(entry(analyte.code, high + Decimal("0.01")), earlier=ago)
    assert doubt.rule == "outside_usual"
    assert "above" in str(doubt.sentence)


# --- soft: changes --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("analyte", "before", "value", "days", "fires"),
    [
        ("tbil", "100", "200", 7, False),
        ("tbil", "100", "200.1", 7, True),
        ("tbil", "100", "49.9", 7, True),
        ("tbil", "100", "300", 8, False),
        ("alt", "100", "300", 28, False),
        ("alt", "100", "301", 300, True),
        ("ast", "100", "300", 300, False),
        ("ast", "102", "34", 28, False),
        ("ast", "102", "33.9", 28, True),
        ("creatinine", "100", "175", 7, False),
        ("creatinine", "100", "176", 7, True),
        ("inr", "1.5", "2.5", 300, False),
        ("inr", "1.5", "2.51", 300, True),
        ("pta", "40", "65", 300, False),
        ("pta", "40", "66", 300, True),
        ("sodium", "130", "138", 2, False),
        ("sodium", "130", "139", 2, True),
        ("sodium", "130", "139", 3, False),
        ("albumin", "30", "38", 7, False),
        ("albumin", "30", "38.1", 7, True),
        ("albumin", "30", "38.1", 8, False),
        ("creatinine", "100", "176", 8, False),
        ("platelets", "30", "300", 1, False),
    ],
)
def test_a_change_against_the_last_value(
    analyte: str, before: str, value: str, days: int, fires: bool
) -> None:
    found = [d.rule for d in doubts(entry(analyte, value), earlier=last(analyte, before, days))]
    assert found == (["jump"] if fires else [])


def test_a_change_needs_a_day_to_count_from() -> None:
    undated = {"tbil": Earlier(Decimal(100)), "inr": Earlier(Decimal("1.5"))}
    found = doubts(entry("tbil", "300"), entry("inr", "2.6"), earlier=undated)
    assert [(d.analyte, str(d.sentence)) for d in found] == [
        ("inr", "2.6 after 1.5 ratio: an unusual change.")
    ]


def test_a_change_names_both_values_as_they_were_reported() -> None:
    (found,) = doubts(entry("pta", "74.5"), earlier=last("pta", "33.6", 7))
    assert str(found.sentence) == "74.5 after 33.6 %, 7 days before: an unusual change."


# --- soft: the panel ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pta", "inr", "fires"),
    [
        ("71", "1.71", True),
        ("70", "1.71", False),
        ("71", "1.7", False),
        ("39", "1.29", True),
        ("40", "1.29", False),
        ("39", "1.3", False),
    ],
)
def test_prothrombin_activity_and_inr_go_together(pta: str, inr: str, fires: bool) -> None:
    found = doubts(entry("pta", pta), entry("inr", inr))
    assert [(d.analyte, d.rule) for d in found] == ([("inr", "pta_inr")] if fires else [])


def test_a_copied_panel_is_asked_about_once() -> None:
    values = {"tbil": "100", "alt": "64", "ast": "58", "pta": "48", "inr": "1.6"}
    earlier = {code: Earlier(Decimal(value), DAY - timedelta(days=7)) for code, value in values.items()}
    panel = [entry(code, value) for code, value in values.items()]

    (doubt,) = doubts(*panel, earlier=earlier)
    assert (doubt.analyte, doubt.rule) == ("tbil", "copied")
    assert doubts(*panel[:4], earlier=earlier) == []
    assert doubts(*panel[:4], entry("inr", "1.61"), earlier=earlier) == []


def test_a_missing_value_raises_no_doubt() -> None:
    assert doubts(LabEntry(analyte="tbil", missing_reason="lost"), earlier=last("tbil", "100")) == []


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("0", "0"),
        ("140.2200", "140.22"),
        ("1000000", "1000000"),
        ("0.0004", "0.0004"),
        ("99.41520", "99.415"),
    ],
)
def test_plain_numbers(value: str, text: str) -> None:
    assert edit_checks.plain(Decimal(value)) == text


@pytest.mark.parametrize(
    ("since", "to", "fires"),
    [
        (7, None, False),
        (8, None, True),
        (0, None, False),
        (-1, None, True),
        (30, 7, False),
        (30, 8, True),
    ],
)
def test_albumin_given_between_two_draws_explains_its_rise(since: int, to: int | None, fires: bool) -> None:
    ended = None if to is None else DAY - timedelta(days=to)
    given = Course(DAY - timedelta(days=since), ended)
    found = doubts(entry("albumin", "39"), earlier=last("albumin", "30"), albumin=[given])
    assert [d.rule for d in found] == (["jump"] if fires else [])


# --- soft: the day --------------------------------------------------------------------------


def day_rules(day: date, **around: Any) -> list[str]:
    found = edit_checks.doubts([], Around(drawn_on=day, **around))
    assert all(doubt.analyte == edit_checks.DAY_FIELD for doubt in found)
    return [doubt.rule for doubt in found]


@pytest.mark.parametrize("visit", protocol.VISITS, ids=lambda v: f"week_{v.week}")
def test_a_window_is_closed_on_both_sides(visit: protocol.ScheduledVisit) -> None:
    def rules(off: int) -> list[str]:
        day = DAY + timedelta(days=visit.day + off)
        return day_rules(day, week=visit.week, first_infusion_on=DAY)

    assert rules(-visit.window.before) == rules(visit.window.after) == []
    assert rules(-visit.window.before - 1) in (["outside_window"], ["nearer_another_week"])
    late = ["after_first_infusion"] if visit.week == 0 else ["outside_window"]
    assert rules(visit.window.after + 1) == late


@pytest.mark.parametrize(("study_day", "rule"), [(55, "outside_window"), (56, "nearer_another_week")])
def test_a_day_nearer_another_week_says_which(study_day: int, rule: str) -> None:
    found = edit_checks.doubts(
        [], Around(drawn_on=DAY + timedelta(days=study_day), week=4, first_infusion_on=DAY)
    )
    assert [d.rule for d in found] == [rule]
    assert ("nearer week 12" in str(found[0].sentence)) is (rule == "nearer_another_week")


def test_an_unscheduled_draw_has_no_window() -> None:
    assert day_rules(DAY + timedelta(days=400), first_infusion_on=DAY) == []


@pytest.mark.parametrize(
    ("around", "off", "rules"),
    [
        ({"recruited_on": DAY}, 0, []),
        ({"recruited_on": DAY}, -1, ["before_recruitment"]),
        ({"died_on": DAY}, 0, []),
        ({"died_on": DAY}, 1, ["after_death"]),
        ({"transplanted_on": DAY}, 0, []),
        ({"transplanted_on": DAY}, 1, ["after_transplant"]),
        ({"week": 4, "other_visits": {1: DAY}}, 1, []),
        ({"week": 4, "other_visits": {1: DAY}}, 0, ["out_of_order"]),
        ({"week": 4, "other_visits": {12: DAY}}, -1, []),
        ({"week": 4, "other_visits": {12: DAY}}, 0, ["out_of_order"]),
        ({"week": 4, "other_visits": {4: DAY}}, 0, []),
        ({"other_visits": {1: DAY}}, -5, []),
    ],
)
def test_a_day_against_the_other_days_of_a_subject(
    around: dict[str, Any], off: int, rules: list[str]
) -> None:
    assert day_rules(DAY + timedelta(days=off), **around) == rules
