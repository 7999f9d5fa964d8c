"""The rule sets on both sides of every limit, and what stays open when something is not known."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from patients import rule_sets, rules
from patients.facts import FACT_AT, FactEntry, for_rules
from patients.rule_sets import diagnose
from patients.rules import AllOf, AnyOf, Facts, Known, State, Threshold
from trial import protocol, vocabulary
from trial.protocol import Diagnosis, Sex

DAY = date(2024, 3, 1)
MET, NOT_MET, OPEN = State.MET, State.NOT_MET, State.OPEN


def lab(value: str, unit: str, *, days_ago: int = 0) -> Known:
    sign = value[0] if value[0] in "<>" else ""
    return Known(Decimal(value.lstrip("<>")), unit, DAY - timedelta(days=days_ago), sign)


def facts(**known: Known) -> Facts:
    reference = {a.code: a.reference[Sex.MALE] for a in protocol.PANEL}
    return Facts(known, reference)


def threshold(fact: str, sign: str, limit: str, unit: str, value: str, reported_in: str) -> State:
    return Threshold(fact, sign, Decimal(limit), unit).state(facts(**{fact: lab(value, reported_in)}))


@pytest.mark.parametrize(
    ("rule", "value", "state"),
    [
        # the unit of the rule decides: the same value passes one and fails the other
        (("tbil", ">=", "5", "mg/dL"), ("85.0", "umol/L"), NOT_MET),
        (("tbil", ">=", "85", "umol/L"), ("85.0", "umol/L"), MET),
        (("tbil", ">=", "85", "umol/L"), ("84.9", "umol/L"), NOT_MET),
        (("tbil", ">=", "5", "mg/dL"), ("85.5", "umol/L"), MET),
        (("tbil", ">=", "5", "mg/dL"), ("85.4", "umol/L"), NOT_MET),
        (("tbil", ">=", "5", "mg/dL"), ("4.97", "mg/dL"), NOT_MET),
        (("tbil", ">=", "5", "mg/dL"), ("5.0", "mg/dL"), MET),
        (("tbil", ">=", "85", "umol/L"), ("4.97", "mg/dL"), NOT_MET),
        (("tbil", ">=", "171", "umol/L"), ("171", "umol/L"), MET),
        (("tbil", ">=", "171", "umol/L"), ("170.9", "umol/L"), NOT_MET),
        (("tbil", ">=", "12", "mg/dL"), ("205.2", "umol/L"), MET),
        (("tbil", ">=", "12", "mg/dL"), ("205", "umol/L"), NOT_MET),
        (("pta", "<=", "40", "%"), ("40", "%"), MET),
        (("pta", "<", "40", "%"), ("40", "%"), NOT_MET),
        (("pta", "<", "40", "%"), ("39.9", "%"), MET),
        (("inr", ">=", "1.5", "ratio"), ("1.5", "ratio"), MET),
        (("inr", ">=", "1.5", "ratio"), ("1.49", "ratio"), NOT_MET),
        (("inr", ">", "1.3", "ratio"), ("1.3", "ratio"), NOT_MET),
        (("albumin", "<", "35", "g/L"), ("3.5", "g/dL"), NOT_MET),
        (("albumin", "<", "35", "g/L"), ("3.4", "g/dL"), MET),
        # beyond a detection limit: decided only where the limit decides
        (("tbil", ">=", "171", "umol/L"), (">171", "umol/L"), MET),
        (("tbil", ">=", "171", "umol/L"), (">170", "umol/L"), OPEN),
        (("pta", "<", "40", "%"), ("<40", "%"), MET),
        (("pta", "<", "40", "%"), ("<41", "%"), OPEN),
        (("pta", ">", "30", "%"), ("<30", "%"), NOT_MET),
    ],
)
def test_a_threshold(rule: tuple[str, str, str, str], value: tuple[str, str], state: State) -> None:
    assert threshold(*rule, *value) is state


@pytest.mark.parametrize(
    ("before", "after", "days", "state"),
    [
        ("100", "117.1", 1, MET),
        ("100", "117.0", 1, NOT_MET),
        ("100", "134.2", 2, MET),
        ("100", "134.1", 2, NOT_MET),
        ("100", "200", 0, OPEN),
        ("100", "<200", 1, OPEN),
    ],
)
def test_a_daily_rise_needs_two_days(before: str, after: str, days: int, state: State) -> None:
    given = facts(tbil_before=lab(before, "umol/L", days_ago=days), tbil=lab(after, "umol/L"))
    assert rules.DailyRise(Decimal("17.1")).state(given) is state


def test_a_daily_rise_without_a_date_cannot_be_determined() -> None:
    undated = Known(Decimal(100), "umol/L")
    given = facts(tbil_before=undated, tbil=lab("300", "umol/L"))
    assert rules.DailyRise(Decimal("17.1")).state(given) is OPEN


def on(days_after: int) -> Known:
    return Known(day=DAY + timedelta(days=days_after))


NEVER = Known(Decimal(0))


@pytest.mark.parametrize(
    ("known", "state"),
    [
        pytest.param({"ascites_on": on(28)}, OPEN, id="no_day_of_jaundice"),
        pytest.param({"jaundice_on": on(0), "ascites_on": on(28)}, MET, id="28_days"),
        pytest.param(
            {"jaundice_on": on(0), "ascites_on": on(29)}, OPEN, id="29_days_and_the_other_not_known"
        ),
        pytest.param(
            {"jaundice_on": on(0), "ascites_on": on(29), "encephalopathy_on": NEVER}, NOT_MET, id="29_days"
        ),
        pytest.param({"jaundice_on": on(0), "encephalopathy_on": on(0)}, MET, id="the_same_day"),
        pytest.param(
            {"jaundice_on": on(0), "ascites_on": on(-1), "encephalopathy_on": NEVER}, NOT_MET, id="before"
        ),
        pytest.param({"jaundice_on": on(0)}, OPEN, id="neither_is_given"),
        pytest.param({"ascites_on": NEVER, "encephalopathy_on": NEVER}, NOT_MET, id="there_was_neither"),
        pytest.param({"jaundice_on": on(0), "ascites_on": Known(Decimal(1))}, OPEN, id="ascites_without_day"),
    ],
)
def test_four_weeks(known: dict[str, Known], state: State) -> None:
    assert rules.WithinFourWeeks().state(facts(**known)) is state


FAILING = {
    "tbil": lab("300", "umol/L"),
    "inr": lab("2.1", "ratio"),
    "pta": lab("35", "%"),
    "jaundice_on": on(-20),
    "ascites_on": on(-10),
    "encephalopathy_on": NEVER,
}


@pytest.mark.parametrize(
    ("rule_set", "changed", "state"),
    [
        ("apasl/1", {}, MET),
        ("apasl/1", {"tbil": lab("85.0", "umol/L")}, NOT_MET),
        ("sysu-85/1", {"tbil": lab("85.0", "umol/L"), "tbil_before": lab("80", "umol/L", days_ago=2)}, MET),
        ("sysu-85/1", {"tbil": lab("84", "umol/L"), "tbil_before": lab("66.8", "umol/L", days_ago=1)}, MET),
        ("sysu-85/1", {"inr": lab("1.4", "ratio")}, NOT_MET),
        ("apasl/1", {"inr": lab("1.4", "ratio")}, MET),
        ("apasl/1", {"inr": lab("1.4", "ratio"), "pta": lab("40", "%")}, NOT_MET),
        ("sysu-rct/1", {"tbil": lab("306", "umol/L")}, MET),
        ("sysu-rct/1", {"tbil": lab("305.9", "umol/L")}, NOT_MET),
        (
            "cma18/1",
            {"tbil": lab("306", "umol/L"), "inr": lab("1.4", "ratio"), "pta": lab("40", "%")},
            MET,
        ),
        (
            "cma12-early/1",
            {"ascites_on": NEVER, "ascites_grade": NEVER, "encephalopathy_grade": NEVER},
            MET,
        ),
        ("cma12-early/1", {"encephalopathy_grade": NEVER, "ascites_grade": Known(Decimal(3))}, NOT_MET),
        ("cma12-early/1", {"encephalopathy_grade": NEVER}, OPEN),
        ("cma12-middle/1", {"encephalopathy_grade": Known(Decimal(2))}, MET),
        ("cma12-middle/1", {"encephalopathy_grade": NEVER, "pta": lab("30", "%")}, MET),
        ("cma12-middle/1", {"encephalopathy_grade": Known(Decimal(3))}, NOT_MET),
        ("cma12-late/1", {"encephalopathy_grade": Known(Decimal(3))}, MET),
        ("cma12-late/1", {"encephalopathy_grade": NEVER, "pta": lab("20", "%")}, MET),
        ("cma12-late/1", {"encephalopathy_grade": NEVER, "pta": lab("21", "%")}, NOT_MET),
        ("cossh/1", {"tbil": lab("12", "mg/dL")}, MET),
        ("cossh/1", {"tbil": lab("205", "umol/L")}, NOT_MET),
    ],
)
def test_the_sets_differ_where_their_definitions_do(
    rule_set: str, changed: dict[str, Known], state: State
) -> None:
    assert diagnose(facts(**(FAILING | changed)), rule_set).liver_failure is state


YES = Known(Decimal(1), day=DAY)


@pytest.mark.parametrize(
    ("known", "state"),
    [
        pytest.param({}, OPEN, id="nothing"),
        pytest.param({"histology": YES}, MET, id="histology"),
        pytest.param({"stiffness": lab("12.1", "kPa"), "alt": lab("249", "U/L")}, MET, id="stiffness"),
        pytest.param(
            {"stiffness": lab("12.0", "kPa"), "alt": lab("249", "U/L")}, OPEN, id="12_kpa_is_not_above"
        ),
        pytest.param({"stiffness": lab("12.1", "kPa"), "alt": lab("250", "U/L")}, OPEN, id="alt_5_uln"),
        pytest.param({"platelets": lab("124", "10^9/L"), "albumin": lab("34.9", "g/L")}, MET, id="albumin"),
        pytest.param({"platelets": lab("124", "10^9/L"), "inr": lab("1.31", "ratio")}, MET, id="inr"),
        pytest.param({"platelets": lab("125", "10^9/L"), "inr": lab("1.31", "ratio")}, OPEN, id="plt_at_lln"),
    ],
)
def test_cirrhosis_by_any_one_sign(known: dict[str, Known], state: State) -> None:
    assert diagnose(facts(**known)).cirrhosis is state


def test_cirrhosis_is_ruled_out_only_when_every_sign_is_known() -> None:
    no = Known(Decimal(0), day=DAY)
    known = {
        "histology": no,
        "varices": no,
        "imaging": no,
        "stiffness": lab("6", "kPa"),
        "platelets": lab("200", "10^9/L"),
    }
    assert diagnose(facts(**known)).cirrhosis is NOT_MET
    del known["varices"]
    assert diagnose(facts(**known)).cirrhosis is OPEN


def test_liver_failure_goes_before_cirrhosis_and_both_flags_are_kept() -> None:
    both = diagnose(facts(**FAILING, imaging=YES))
    assert (both.liver_failure, both.cirrhosis, both.decompensated) == (MET, MET, MET)
    assert both.counts_as is Diagnosis.LIVER_FAILURE
    calm = FAILING | {"tbil": lab("40", "umol/L"), "imaging": YES}
    assert diagnose(facts(**calm)).counts_as is Diagnosis.CIRRHOSIS
    # cirrhosis is certain, liver failure is not known: nobody can say which goes first
    unsure = {code: known for code, known in FAILING.items() if code != "tbil"} | {"imaging": YES}
    found = diagnose(facts(**unsure))
    assert (found.either, found.counts_as) == (MET, None)


def test_what_is_not_known_is_never_not_met() -> None:
    for rule_set in rule_sets.LIVER_FAILURE:
        found = diagnose(Facts(), rule_set.name)
        assert (found.liver_failure, found.cirrhosis, found.decompensated) == (OPEN, OPEN, OPEN)
        assert all(
            check.state is OPEN and str(check.rule) and str(check.seen)
            for check in found.liver_failure_checks
        )


def test_a_check_names_value_unit_and_day() -> None:
    (bilirubin, *_rest) = diagnose(facts(tbil=lab("85.0", "umol/L"))).liver_failure_checks
    assert str(bilirubin.rule) == "TBIL ≥ 5 mg/dL"
    assert str(bilirubin.seen) == "85 µmol/L = 4.97 mg/dL on 2024-03-01"


def test_parts_are_joined_by_what_is_known() -> None:
    met, failed, unknown = (
        Threshold("inr", ">=", Decimal(1), "ratio"),
        Threshold("inr", ">=", Decimal(9), "ratio"),
        Threshold("pta", ">=", Decimal(1), "%"),
    )
    given = facts(inr=lab("2", "ratio"))
    assert AnyOf((unknown, met)).state(given) is MET
    assert AnyOf((unknown, failed)).state(given) is OPEN
    assert AllOf((unknown, failed)).state(given) is NOT_MET
    assert AllOf((unknown, met)).state(given) is OPEN


def test_the_study_chooses_a_set_that_exists_and_facts_have_one_list() -> None:
    assert protocol.RULE_SET in rule_sets.RULE_SET_AT
    assert len({each.name for each in rule_sets.LIVER_FAILURE}) == len(rule_sets.LIVER_FAILURE)
    assert all(len(each.name) <= 16 for each in rule_sets.LIVER_FAILURE)
    assert set(FACT_AT) == set(vocabulary.codes(vocabulary.SCREENING_FACTS))


def test_what_never_was_has_no_grade() -> None:
    never = FactEntry(fact="encephalopathy_on", value=Decimal(0), typed_text="0")
    found = for_rules({"encephalopathy_on": never}, Sex.MALE)
    assert found.known["encephalopathy_grade"] == Known(Decimal(0))
