"""Registering, screening and ending: what is stored, what is refused, what follows."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from patients import actions
from patients.entries import AnswerEntry
from patients.models import Outcome, Patient, PatientIdentity, Screening, ScreeningAnswer
from tests import factories
from trial import audit, clock, protocol
from trial.models import Revision, Site, User
from trial.protocol import Answer
from trial.refusals import Conflict, Refused

pytestmark = pytest.mark.django_db

DAY = date(2024, 1, 10)
Sites = dict[str, Site]


def enrol(site: Site, by: User, **fields: object) -> Patient:
    given = {"sex": "M", "birth_date": date(1975, 5, 4), "diagnosis": "cirrhosis", "recruited_on": DAY}
    patient = actions.enrol(by=by, site=site, **(given | fields))
    audit.settle()
    return patient


def rules(refused: pytest.ExceptionInfo[Refused]) -> dict[str, str]:
    return {problem.field: problem.rule for problem in refused.value.problems}


# --- enrol ----------------------------------------------------------------------------------


def test_codes_follow_one_another_at_each_site(sites: Sites, coordinator: User) -> None:
    assert enrol(sites["GE"], coordinator).subject_id == "GE-001"
    assert enrol(sites["GE"], coordinator, subject_id="GE-041").subject_id == "GE-041"
    assert enrol(sites["GE"], coordinator, subject_id="GE-X9").subject_id == "GE-X9"
    assert enrol(sites["GE"], coordinator).subject_id == "GE-042"
    assert enrol(sites["GS"], coordinator).subject_id == "GS-001"
    assert enrol(sites["GE"], coordinator, subject_id="GE-999").subject_id == "GE-999"
    assert enrol(sites["GE"], coordinator).subject_id == "GE-1000"


def test_the_person_stands_in_a_table_apart(sites: Sites, coordinator: User) -> None:
    patient = enrol(
        sites["GE"], coordinator, identity={"name": " Wang  Ame\u0301lie", "hospital_number": "H1"}
    )
    assert patient.identity.name == "Wang  Am\u00e9lie"
    assert not PatientIdentity.objects.filter(patient=enrol(sites["GE"], coordinator)).exists()


def test_a_person_is_registered_once_per_site_and_nothing_is_told_about_others(
    sites: Sites, coordinator: User
) -> None:
    enrol(sites["GE"], coordinator, identity={"hospital_number": "H1"})
    with pytest.raises(Refused) as refused:
        enrol(sites["GE"], coordinator, identity={"hospital_number": "H1"})
    assert rules(refused) == {"hospital_number": "known_person"}
    assert "GE-001" in str(refused.value.problems[0])
    assert enrol(sites["GS"], coordinator, identity={"hospital_number": "H1"}).subject_id == "GS-001"


@pytest.mark.parametrize(
    ("fields", "field", "rule"),
    [
        ({"subject_id": "GE-001"}, "subject_id", "subject_id_taken"),
        ({"subject_id": "ge 1"}, "subject_id", "subject_id_form"),
        ({"birth_date": None}, "birth_date", "age"),
        ({"birth_date": None, "age": 121}, "birth_date", "age"),
        ({"recruited_on": date(2999, 1, 1)}, "recruited_on", "future"),
        ({"birth_date": date(2999, 1, 1)}, "birth_date", "future"),
        ({"birth_date": DAY}, "recruited_on", "before_birth"),
        ({"identity": {"name": "x" * 121}}, "name", "too_long"),
        ({"identity": {"phone": "1\x07"}}, "phone", "control_character"),
    ],
)
def test_what_cannot_be_is_refused(
    sites: Sites, coordinator: User, fields: dict[str, object], field: str, rule: str
) -> None:
    enrol(sites["GE"], coordinator)
    with pytest.raises(Refused) as refused:
        enrol(sites["GE"], coordinator, **fields)
    assert rules(refused)[field] == rule
    assert Patient.objects.count() == 1


def test_an_age_may_stand_for_a_date_of_birth(sites: Sites, coordinator: User) -> None:
    patient = enrol(sites["GE"], coordinator, birth_date=None, age=Decimal("44.5"))
    assert patient.age_on(DAY) == 44
    assert patient.age_on(DAY + timedelta(days=366)) == 45


# --- screening ------------------------------------------------------------------------------


def passing(**changed: AnswerEntry) -> dict[str, AnswerEntry]:
    return {c.code: AnswerEntry(c.passes) for c in protocol.CRITERIA} | changed


def screen(patient: Patient, by: User, answers: dict[str, AnswerEntry], **options: object) -> Screening:
    given = {"screened_on": DAY} | options
    screening = actions.record_screening(patient=patient, answers=answers, by=by, **given)
    audit.settle()
    patient.refresh_from_db()
    return screening


@pytest.fixture
def candidate(sites: Sites, coordinator: User) -> Patient:
    return enrol(sites["GE"], coordinator, status=Patient.Status.SCREENING)


def test_all_criteria_passed_enrol_the_subject(candidate: Patient, coordinator: User) -> None:
    screening = screen(candidate, coordinator, passing())
    assert screening.verdict == "eligible"
    assert screening.protocol_version == protocol.VERSION
    assert candidate.status == Patient.Status.ENROLLED
    assert screening.answers.count() == len(protocol.CRITERIA)


@pytest.mark.parametrize("criterion", protocol.CRITERIA, ids=lambda c: c.code)
def test_one_criterion_is_enough_to_fail_or_to_stay_open(
    candidate: Patient, coordinator: User, criterion: protocol.Criterion
) -> None:
    pending = screen(candidate, coordinator, passing(**{criterion.code: AnswerEntry(Answer.UNKNOWN)}))
    assert (pending.verdict, candidate.status) == ("pending", Patient.Status.SCREENING)

    against = Answer.NO if criterion.passes is Answer.YES else Answer.YES
    failed = screen(candidate, coordinator, {criterion.code: AnswerEntry(against)})
    assert failed.pk == pending.pk
    assert (failed.verdict, candidate.status) == ("not_eligible", Patient.Status.SCREEN_FAILED)


def test_equal_answers_leave_no_trace(candidate: Patient, coordinator: User) -> None:
    screen(candidate, coordinator, passing())
    before = audit.latest_revision()
    assert screen(candidate, coordinator, passing()).version == 1
    assert audit.latest_revision() == before


def test_an_unknown_may_be_answered_but_an_answer_changes_only_for_a_reason(
    candidate: Patient, coordinator: User
) -> None:
    screen(candidate, coordinator, {"inclusion_a": AnswerEntry(Answer.YES, "HBsAg", DAY)})
    assert (
        screen(candidate, coordinator, passing(inclusion_a=AnswerEntry(Answer.YES, "HBsAg", DAY))).version
        == 2
    )

    with pytest.raises(Refused) as refused:
        screen(candidate, coordinator, {"exclusion_h": AnswerEntry(Answer.YES)})
    assert rules(refused) == {"reason": "reason_needed"}
    assert candidate.status == Patient.Status.ENROLLED

    screen(
        candidate, coordinator, {"exclusion_h": AnswerEntry(Answer.YES)}, reason="checked against the source"
    )
    assert candidate.status == Patient.Status.SCREEN_FAILED
    reason = Revision.objects.get(number=audit.latest_revision()).reason
    assert "checked against the source" in reason


def test_only_the_newest_screening_decides(candidate: Patient, coordinator: User) -> None:
    screen(candidate, coordinator, passing(), screened_on=DAY + timedelta(days=30))
    screen(candidate, coordinator, passing(exclusion_h=AnswerEntry(Answer.YES)), screened_on=DAY)
    assert candidate.status == Patient.Status.ENROLLED


def test_two_people_answer_the_same_screening(
    candidate: Patient, coordinator: User, data_manager: User
) -> None:
    screen(candidate, coordinator, passing(), version=0)
    with pytest.raises(Conflict) as conflict:
        screen(candidate, data_manager, passing(exclusion_c=AnswerEntry(Answer.YES)), version=0)
    assert conflict.value.version == 1
    assert [(c.mine, c.theirs) for c in conflict.value.clashes] == [("yes", "no")]


@pytest.mark.parametrize(
    ("answers", "day", "field", "rule"),
    [
        ({"inclusion_z": AnswerEntry(Answer.YES)}, DAY, "inclusion_z", "unknown_criterion"),
        ({"inclusion_a": AnswerEntry(Answer.YES, "", date(2999, 1, 1))}, DAY, "inclusion_a", "future"),
        ({}, date(2999, 1, 1), "screened_on", "future"),
        ({}, date(1970, 1, 1), "screened_on", "before_birth"),
    ],
)
def test_screenings_that_cannot_be(
    candidate: Patient, coordinator: User, answers: dict[str, AnswerEntry], day: date, field: str, rule: str
) -> None:
    with pytest.raises(Refused) as refused:
        screen(candidate, coordinator, answers, screened_on=day)
    assert rules(refused) == {field: rule}
    assert not ScreeningAnswer.objects.exists()


# --- outcomes -------------------------------------------------------------------------------


def end(patient: Patient, by: User, kind: str, day: date, **options: object) -> Outcome:
    outcome = actions.record_outcome(patient=patient, kind=kind, happened_on=day, by=by, **options)
    audit.settle()
    return outcome


@pytest.fixture
def patient(sites: Sites, coordinator: User) -> Patient:
    return enrol(sites["GE"], coordinator)


def test_an_outcome_is_recorded_once_and_corrected_with_a_reason(patient: Patient, coordinator: User) -> None:
    first = end(patient, coordinator, "transplant", DAY + timedelta(days=9), note="elsewhere")
    before = audit.latest_revision()
    end(patient, coordinator, "transplant", DAY + timedelta(days=9), note=" elsewhere ")
    assert audit.latest_revision() == before
    with pytest.raises(Refused) as refused:
        end(patient, coordinator, "transplant", DAY + timedelta(days=10))
    assert rules(refused) == {"reason": "reason_needed"}
    again = end(patient, coordinator, "transplant", DAY + timedelta(days=10), reason="typing slip corrected")
    assert (again.pk, again.happened_on, again.version) == (first.pk, DAY + timedelta(days=10), 2)


def test_a_death_is_not_before_the_last_visit_or_infusion(patient: Patient, coordinator: User) -> None:
    factories.a_visit(patient, 0, DAY + timedelta(days=5), tbil="140")
    infusion = factories.an_infusion(patient, 1, DAY + timedelta(days=7))
    with pytest.raises(Refused) as refused:
        end(patient, coordinator, "death", DAY + timedelta(days=6))
    assert rules(refused) == {"happened_on": "seen_after_death"}
    assert infusion.given_on.isoformat() in str(refused.value.problems[0])
    assert end(patient, coordinator, "death", DAY + timedelta(days=7)).kind == "death"


@pytest.mark.parametrize(
    ("days", "rule"), [(-1, "before_recruitment"), (0, None)], ids=["day_before", "day_of_recruitment"]
)
def test_an_outcome_is_not_before_recruitment(
    patient: Patient, coordinator: User, days: int, rule: str | None
) -> None:
    day = DAY + timedelta(days=days)
    if rule is None:
        assert end(patient, coordinator, "withdrawal", day).happened_on == day
        return
    with pytest.raises(Refused) as refused:
        end(patient, coordinator, "withdrawal", day)
    assert rules(refused) == {"happened_on": rule}


def test_nothing_happens_after_death_or_in_the_future(patient: Patient, coordinator: User) -> None:
    tomorrow = clock.today_at(patient.site) + timedelta(days=1)
    with pytest.raises(Refused) as refused:
        end(patient, coordinator, "lost", tomorrow)
    assert rules(refused) == {"happened_on": "future"}
    death = end(patient, coordinator, "death", DAY)
    with pytest.raises(Refused) as refused:
        end(patient, coordinator, "transplant", DAY + timedelta(days=1))
    assert rules(refused) == {"happened_on": "after_death"}
    end(patient, coordinator, "death", DAY + timedelta(days=2), reason="checked against the source")
    death.refresh_from_db()
    assert death.happened_on == DAY + timedelta(days=2)


def test_a_voided_outcome_no_longer_counts(patient: Patient, coordinator: User) -> None:
    outcome = end(patient, coordinator, "death", DAY)
    with pytest.raises(Refused):
        actions.void_outcome(outcome=outcome, by=coordinator, reason="")
    actions.void_outcome(outcome=outcome, by=coordinator, reason="belonged to another subject")
    with pytest.raises(Refused) as refused:
        actions.void_outcome(outcome=outcome, by=coordinator, reason="again")
    assert rules(refused) == {"": "voided"}
    assert end(patient, coordinator, "death", DAY + timedelta(days=1)).pk != outcome.pk


def test_a_stale_page_does_not_overwrite_an_outcome(patient: Patient, coordinator: User) -> None:
    end(patient, coordinator, "lost", DAY, version=0)
    with pytest.raises(Conflict) as conflict:
        end(patient, coordinator, "lost", DAY + timedelta(days=1), version=0, reason="typing slip corrected")
    assert conflict.value.version == 1
