"""What the data say beside the ticks: both sides of every limit."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from patients import eligibility
from patients.edit_checks import Earlier
from patients.eligibility import Subject
from patients.entries import AnswerEntry
from trial.protocol import Answer, Diagnosis, Sex

DAY = date(2024, 1, 8)
YES, NO, UNKNOWN = Answer.YES, Answer.NO, Answer.UNKNOWN


def subject(**changed: object) -> Subject:
    given = {"screened_on": DAY, "age": 44, "sex": Sex.FEMALE, "diagnosis": Diagnosis.LIVER_FAILURE}
    return Subject(**(given | changed))


def found(criterion: str, answers: dict[str, AnswerEntry] | None = None, **changed: object) -> Answer:
    return eligibility.findings(subject(**changed), answers or {})[criterion].answer


@pytest.mark.parametrize(("age", "answer"), [(15, NO), (16, YES), (60, YES), (61, NO), (None, UNKNOWN)])
def test_age(age: int | None, answer: Answer) -> None:
    assert found("inclusion_c", age=age) is answer


@pytest.mark.parametrize(("days", "answer"), [(182, NO), (183, YES), (None, UNKNOWN)])
def test_hbsag(days: int | None, answer: Answer) -> None:
    evidence = None if days is None else DAY - timedelta(days=days)
    assert found("inclusion_a", {"inclusion_a": AnswerEntry(YES, "", evidence)}) is answer


@pytest.mark.parametrize(("days", "answer"), [(60, YES), (61, NO), (None, UNKNOWN)])
def test_a_severe_complication(days: int | None, answer: Answer) -> None:
    evidence = None if days is None else DAY - timedelta(days=days)
    assert found("exclusion_a", {"exclusion_a": AnswerEntry(YES, "", evidence)}) is answer


@pytest.mark.parametrize(
    ("labs", "answer"),
    [
        pytest.param({}, UNKNOWN, id="no_labs"),
        pytest.param({"tbil": "85.5", "inr": "1.5"}, YES, id="both_at_the_limit"),
        pytest.param(
            {"tbil": "85.4", "inr": "1.5"}, NO, id="bilirubin_just_below_5_mg_dl_but_pta_unknown_is_no"
        ),
        pytest.param({"tbil": "85.0", "inr": "2", "pta": "30"}, NO, id="85_umol_is_4_97_mg_dl"),
        pytest.param({"tbil": "171", "inr": "1.49", "pta": "40"}, NO, id="pta_exactly_40_is_not_below"),
        pytest.param({"tbil": "171", "inr": "1.49", "pta": "39.9"}, YES, id="either_arm"),
        pytest.param({"tbil": "171", "inr": "1.49"}, UNKNOWN, id="the_other_arm_is_not_known"),
        pytest.param({"tbil": "171", "pta": "39"}, YES, id="pta_alone"),
        pytest.param({"inr": "2"}, UNKNOWN, id="no_bilirubin"),
    ],
)
def test_liver_failure(labs: dict[str, str], answer: Answer) -> None:
    values = {code: Earlier(Decimal(value), DAY) for code, value in labs.items()}
    assert found("inclusion_b", labs=values) is answer


def test_cirrhosis_is_not_judged_from_labs() -> None:
    values = {"tbil": Earlier(Decimal(200)), "inr": Earlier(Decimal(2))}
    assert found("inclusion_b", diagnosis=Diagnosis.CIRRHOSIS, labs=values) is UNKNOWN


def test_men_are_not_pregnant_and_nothing_is_said_of_what_only_a_clinician_knows() -> None:
    assert found("exclusion_e", sex=Sex.MALE) is NO
    said = eligibility.findings(subject(), {})
    assert "exclusion_e" not in said
    assert set(said) == {"inclusion_a", "inclusion_b", "inclusion_c", "exclusion_a"}
    assert all(str(finding.sentence) for finding in said.values())
