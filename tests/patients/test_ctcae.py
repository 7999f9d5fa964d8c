"""Grades on both sides of every bound of the criteria."""

from __future__ import annotations

from decimal import Decimal

import pytest

from patients import ctcae
from patients.ctcae import Baseline, Rule
from trial.protocol import Limits


def limits(low: str | None, high: str | None) -> Limits:
    return Limits(None if low is None else Decimal(low), None if high is None else Decimal(high))


NORMAL = {
    "alt": limits("9", "50"),
    "ast": limits("15", "40"),
    "tbil": limits("5", "20"),
    "creatinine": limits("57", "100"),
    "inr": limits("0.8", "1.2"),
    "platelets": limits("125", "350"),
    "albumin": limits("40", "55"),
    "sodium": limits("137", "147"),
    "temperature": limits(None, None),
}


def grade(
    analyte: str, value: str, baseline: str | None = None, *, comparator: str = "", at: Limits | None = None
) -> ctcae.Grade:
    reference = at or NORMAL[analyte]
    before = None if baseline is None else Baseline(Decimal(baseline), reference)
    found = ctcae.propose(analyte, Decimal(value), reference, before, comparator=comparator)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("analyte", "value", "expected"),
    [
        # multiples of the upper limit: ALT 50, AST 40, bilirubin 20
        ("alt", "50", 0), ("alt", "50.1", 1), ("alt", "150", 1), ("alt", "150.1", 2), ("alt", "250", 2),
        ("alt", "250.1", 3), ("alt", "1000", 3), ("alt", "1000.1", 4),
        ("ast", "40", 0), ("ast", "40.1", 1), ("ast", "120", 1), ("ast", "120.1", 2), ("ast", "200", 2),
        ("ast", "200.1", 3), ("ast", "800", 3), ("ast", "800.1", 4),
        ("tbil", "20", 0), ("tbil", "20.1", 1), ("tbil", "30", 1), ("tbil", "30.1", 2), ("tbil", "60", 2),
        ("tbil", "60.1", 3), ("tbil", "200", 3), ("tbil", "200.1", 4),
        ("creatinine", "100", 0), ("creatinine", "100.1", 1), ("creatinine", "150", 1),
        ("creatinine", "150.1", 2), ("creatinine", "300", 2), ("creatinine", "300.1", 3),
        ("creatinine", "600", 3), ("creatinine", "600.1", 4),
        # fixed bounds
        ("inr", "1.2", 0), ("inr", "1.21", 1), ("inr", "1.5", 1), ("inr", "1.51", 2), ("inr", "2.5", 2),
        ("inr", "2.51", 3), ("inr", "20", 3),
        ("platelets", "125", 0), ("platelets", "124", 1), ("platelets", "75", 1), ("platelets", "74", 2),
        ("platelets", "50", 2), ("platelets", "49", 3), ("platelets", "25", 3), ("platelets", "24", 4),
        ("albumin", "40", 0), ("albumin", "39.9", 1), ("albumin", "30", 1), ("albumin", "29.9", 2),
        ("albumin", "20", 2), ("albumin", "19.9", 3), ("albumin", "5", 3),
        ("sodium", "137", 0), ("sodium", "136", 1), ("sodium", "130", 1), ("sodium", "129.9", 2),
        ("sodium", "125", 2), ("sodium", "124.9", 3), ("sodium", "120", 3), ("sodium", "119.9", 4),
        ("temperature", "37.9", 0), ("temperature", "38.0", 1), ("temperature", "39.0", 1),
        ("temperature", "39.1", 2), ("temperature", "40.0", 2), ("temperature", "40.1", 3),
    ],
)  # fmt: skip
def test_without_a_baseline_the_limits_of_normal_decide(analyte: str, value: str, expected: int) -> None:
    assert grade(analyte, value).grade == expected


@pytest.mark.parametrize(
    ("analyte", "baseline", "value", "expected"),
    [
        # an abnormal baseline: ALT from 1.5 times it, bilirubin from just above it
        ("alt", "100", "149.9", 0), ("alt", "100", "150", 1), ("alt", "100", "300", 1),
        ("alt", "100", "300.1", 2), ("alt", "100", "500", 2), ("alt", "100", "500.1", 3),
        ("alt", "100", "2000", 3), ("alt", "100", "2000.1", 4),
        ("ast", "100", "149.9", 0), ("ast", "100", "150", 1), ("ast", "100", "2000.1", 4),
        ("tbil", "200", "200", 0), ("tbil", "200", "200.1", 1), ("tbil", "200", "300", 1),
        ("tbil", "200", "300.1", 2), ("tbil", "200", "600", 2), ("tbil", "200", "600.1", 3),
        ("tbil", "100", "1000", 3), ("tbil", "100", "1000.1", 4),
    ],
)  # fmt: skip
def test_an_abnormal_baseline_is_graded_against_itself(
    analyte: str, baseline: str, value: str, expected: int
) -> None:
    found = grade(analyte, value, baseline)
    assert (found.grade, found.rule, found.limit) == (expected, Rule.BASELINE, Decimal(baseline))


@pytest.mark.parametrize(("baseline", "rule"), [("50", Rule.REFERENCE), ("50.1", Rule.BASELINE)])
def test_a_baseline_is_abnormal_above_the_upper_limit(baseline: str, rule: Rule) -> None:
    assert grade("alt", "140", baseline).rule is rule


@pytest.mark.parametrize(
    ("baseline", "value", "expected", "rule"),
    [
        ("60", "90", 0, Rule.REFERENCE),
        ("60", "90.1", 2, Rule.BASELINE),
        ("60", "180", 2, Rule.REFERENCE),
        ("60", "180.1", 3, Rule.BASELINE),
        ("200", "200", 2, Rule.REFERENCE),
        ("500", "600.1", 4, Rule.REFERENCE),
    ],
)
def test_creatinine_takes_the_higher_of_its_two_rules(
    baseline: str, value: str, expected: int, rule: Rule
) -> None:
    found = grade("creatinine", value, baseline)
    assert (found.grade, found.rule) == (expected, rule)


def test_the_baselines_own_range_tells_whether_it_was_abnormal() -> None:
    before = Baseline(Decimal(45), limits("9", "40"))
    found = ctcae.propose("alt", Decimal(120), limits("9", "50"), before)
    assert found is not None
    assert (found.rule, found.grade) == (Rule.BASELINE, 1)


def test_the_range_of_another_laboratory_gives_another_grade() -> None:
    assert grade("alt", "45").grade == 0
    assert grade("alt", "45", at=limits("7", "40")).grade == 1


def test_a_value_beyond_a_detection_limit_is_graded_at_the_limit() -> None:
    assert grade("inr", "2.5", comparator=">").grade == 3
    over = grade("alt", "1000", comparator=">")
    assert (over.grade, over.note) == (4, None)
    some = grade("tbil", "100", comparator=">")
    assert some.grade == 3
    assert some.note is not None
    assert grade("platelets", "25", comparator="<").grade == 4
    assert grade("tbil", "100", comparator="<").note is None


def test_what_a_value_cannot_tell_is_said() -> None:
    sodium, fever, albumin = grade("sodium", "127"), grade("temperature", "40.2"), grade("albumin", "18")
    assert sodium.note is not None
    assert "symptoms" in str(sodium.note)
    assert fever.note is not None
    assert "24 hours" in str(fever.note)
    assert albumin.note is not None
    assert grade("sodium", "122").note is None


def test_without_a_limit_there_is_no_grade_and_a_reason() -> None:
    found = grade("alt", "400", at=limits("9", None))
    assert (found.grade, found.is_severe) == (None, False)
    assert found.note is not None
    assert grade("platelets", "100", at=limits(None, "350")).grade is None
    assert grade("platelets", "40", at=limits(None, "350")).grade == 3


def test_what_the_criteria_do_not_know_has_no_grade() -> None:
    assert ctcae.propose("afp", Decimal(9), limits(None, "7")) is None
