"""What the data say beside the ticks: both sides of every limit."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from patients import eligibility
from patients.eligibility import Subject
from patients.entries import AnswerEntry
from patients.models import Patient
from patients.rules import Facts, Known
from trial import protocol
from trial.protocol import Answer, Diagnosis, Sex

DAY = date(2024, 1, 8)
YES, NO, UNKNOWN = Answer.YES, Answer.NO, Answer.UNKNOWN
NEVER = Known(Decimal(0))


def subject(known: dict[str, Known] | None = None, **changed: object) -> Subject:
    given = {"screened_on": DAY, "age": 44, "sex": Sex.FEMALE, "diagnosis": Diagnosis.LIVER_FAILURE}
    reference = {a.code: a.reference[Sex.FEMALE] for a in protocol.PANEL}
    return Subject(facts=Facts(known or {}, reference), **(given | changed))


def found(criterion: str, known: dict[str, Known] | None = None, **changed: object) -> Answer:
    return eligibility.findings(subject(known, **changed))[criterion].answer


def ago(days: int) -> Known:
    return Known(day=DAY - timedelta(days=days))


@pytest.mark.parametrize(("age", "answer"), [(15, NO), (16, YES), (60, YES), (61, NO), (None, UNKNOWN)])
def test_age(age: int | None, answer: Answer) -> None:
    assert found("inclusion_c", age=age) is answer


@pytest.mark.parametrize(
    ("born", "day", "answer"),
    [
        pytest.param(date(2008, 1, 9), DAY, NO, id="16_tomorrow"),
        pytest.param(date(2008, 1, 8), DAY, YES, id="16_today"),
        pytest.param(date(1963, 1, 9), DAY, YES, id="61_tomorrow"),
        pytest.param(date(1963, 1, 8), DAY, NO, id="61_today"),
        pytest.param(date(2008, 2, 29), date(2024, 2, 28), NO, id="a_leap_day_before_it"),
        pytest.param(date(2008, 2, 29), date(2024, 2, 29), YES, id="a_leap_day_on_it"),
        pytest.param(date(1962, 2, 28), date(2023, 2, 27), YES, id="61_on_the_next_day"),
        pytest.param(date(1964, 2, 29), date(2025, 2, 28), YES, id="61_on_the_first_of_march"),
        pytest.param(date(1964, 2, 29), date(2025, 3, 1), NO, id="the_first_of_march_counts"),
    ],
)
def test_age_on_the_day_of_screening(born: date, day: date, answer: Answer) -> None:
    age = Patient(birth_date=born).age_on(day)
    assert found("inclusion_c", age=age, screened_on=day, born_on=born) is answer


@pytest.mark.parametrize(("days", "answer"), [(182, NO), (183, YES), (None, UNKNOWN)])
def test_hbsag(days: int | None, answer: Answer) -> None:
    assert found("inclusion_a", None if days is None else {"hbsag_first_on": ago(days)}) is answer


@pytest.mark.parametrize(
    ("rupture", "septicaemia", "answer"),
    [
        (ago(60), NEVER, YES),
        (ago(61), NEVER, NO),
        (ago(0), None, YES),
        (ago(61), None, UNKNOWN),
        (NEVER, ago(60), YES),
        (NEVER, ago(61), NO),
        (NEVER, NEVER, NO),
        (NEVER, None, UNKNOWN),
        (None, None, UNKNOWN),
    ],
)
def test_a_severe_complication(rupture: Known | None, septicaemia: Known | None, answer: Answer) -> None:
    given = {"rupture_on": rupture, "septicaemia_on": septicaemia}
    assert found("exclusion_a", {code: known for code, known in given.items() if known}) is answer


def test_liver_failure_names_its_rule_and_a_diagnosis_that_differs_is_told() -> None:
    known = {
        "tbil": Known(Decimal(300), "umol/L", DAY),
        "pta": Known(Decimal(30), "%", DAY),
        "jaundice_on": ago(10),
        "ascites_on": ago(2),
    }
    finding = eligibility.findings(subject(known, diagnosis=Diagnosis.CIRRHOSIS))["inclusion_b"]
    assert finding.answer is YES
    assert finding.rule == "apasl/1, cirrhosis/1"
    assert "registered with liver cirrhosis" in str(finding.warning)
    assert eligibility.findings(subject(known))["inclusion_b"].warning is None
    by_another = eligibility.findings(subject(known, rule_set="cossh/1"))["inclusion_b"]
    assert (by_another.answer, by_another.rule) == (UNKNOWN, "cossh/1, cirrhosis/1")


@pytest.mark.parametrize(("afp", "prompts"), [("7", False), ("7.1", True), (None, None)])
def test_afp_prompts_and_never_decides(afp: str | None, prompts: bool | None) -> None:
    known = {} if afp is None else {"afp": Known(Decimal(afp), "ng/mL", DAY)}
    finding = eligibility.findings(subject(known)).get("exclusion_h")
    assert (finding and (finding.answer, finding.warning is not None)) == (
        None if prompts is None else (UNKNOWN, prompts)
    )


def test_a_tick_against_the_data_is_a_disagreement_and_an_unknown_is_none() -> None:
    given = {"inclusion_c": AnswerEntry(NO), "inclusion_a": AnswerEntry(YES), "exclusion_b": AnswerEntry(YES)}
    assert set(eligibility.disagreements(subject(), given)) == {"inclusion_c"}
    assert not eligibility.disagreements(subject(), {"inclusion_c": AnswerEntry(UNKNOWN)})


def test_men_are_not_pregnant_and_nothing_is_said_of_what_only_a_clinician_knows() -> None:
    assert found("exclusion_e", sex=Sex.MALE) is NO
    said = eligibility.findings(subject())
    assert set(said) == {"inclusion_a", "inclusion_b", "inclusion_c", "exclusion_a"}
    assert all(str(finding.sentence) for finding in said.values())
