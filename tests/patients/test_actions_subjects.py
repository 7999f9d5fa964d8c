"""Registering, screening and ending: what is stored, what is refused, what follows."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from patients import actions
from patients.actions import EventEntry
from patients.entries import AnswerEntry
from patients.facts import FactEntry
from patients.models import (
    Outcome,
    Patient,
    PatientIdentity,
    Screening,
    ScreeningAnswer,
    ScreeningFact,
)
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
    assert rules(refused) == {"another_than": "known_person"}
    assert "GE-001" in str(refused.value.problems[0])
    second = enrol(sites["GE"], coordinator, identity={"hospital_number": "h1"}, another_than=["GE-001"])
    assert second.subject_id == "GE-002"
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


def test_the_same_name_and_birthday_may_be_the_same_person(sites: Sites, coordinator: User) -> None:
    who = {"name": "Wang Li"}
    enrol(sites["GE"], coordinator, identity=who)
    assert enrol(sites["GE"], coordinator, identity=who, birth_date=date(1975, 5, 5)).subject_id == "GE-002"
    with pytest.raises(Refused, match="GE-001"):
        enrol(sites["GE"], coordinator, identity={"name": "WANG LI"})


def test_all_criteria_passed_make_eligible_and_enrolment_is_a_step_of_its_own(
    candidate: Patient, coordinator: User
) -> None:
    screening = screen(candidate, coordinator, passing())
    assert screening.verdict == "eligible"
    assert (screening.protocol_version, screening.rule_set) == (protocol.VERSION, protocol.RULE_SET)
    assert candidate.status == Patient.Status.SCREENING
    actions.enrol_screened(patient=candidate, by=coordinator, recruited_on=None, planned_course="prolonged")
    audit.settle()
    candidate.refresh_from_db()
    assert (candidate.status, candidate.planned_course, candidate.recruited_on) == (
        Patient.Status.ENROLLED,
        "prolonged",
        DAY,
    )
    with pytest.raises(Refused, match="enrolled already"):
        actions.enrol_screened(patient=candidate, by=coordinator, recruited_on=DAY, planned_course="standard")
    assert screening.answers.count() == len(protocol.CRITERIA)


@pytest.mark.parametrize("criterion", protocol.CRITERIA, ids=lambda c: c.code)
def test_one_criterion_is_enough_to_fail_or_to_stay_open(
    candidate: Patient, coordinator: User, criterion: protocol.Criterion
) -> None:
    pending = screen(candidate, coordinator, passing(**{criterion.code: AnswerEntry(Answer.UNKNOWN)}))
    assert (pending.verdict, candidate.status) == ("pending", Patient.Status.SCREENING)

    against = Answer.NO if criterion.passes is Answer.YES else Answer.YES
    failed = screen(candidate, coordinator, {criterion.code: AnswerEntry(against, "says the record")})
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
    assert candidate.status == Patient.Status.SCREENING

    screen(
        candidate, coordinator, {"exclusion_h": AnswerEntry(Answer.YES)}, reason="checked against the source"
    )
    assert candidate.status == Patient.Status.SCREEN_FAILED
    reason = Revision.objects.get(number=audit.latest_revision()).reason
    assert "checked against the source" in reason


def test_only_the_newest_screening_decides(candidate: Patient, coordinator: User) -> None:
    screen(candidate, coordinator, passing(), screened_on=DAY + timedelta(days=30))
    screen(candidate, coordinator, passing(exclusion_h=AnswerEntry(Answer.YES)), screened_on=DAY)
    assert candidate.status == Patient.Status.SCREENING


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


# --- facts, disagreement, enrolment ---------------------------------------------------------


def a_lab(code: str, value: str, unit: str, day: date = DAY) -> FactEntry:
    return FactEntry(fact=code, value=Decimal(value), typed_text=value, typed_unit=unit, happened_on=day)


def facts(*entries: FactEntry) -> dict[str, FactEntry]:
    return {entry.fact: entry for entry in entries}


def test_facts_are_stored_exact_with_unit_and_day_and_change_for_a_reason(
    candidate: Patient, coordinator: User
) -> None:
    given = facts(
        a_lab("tbil", "5.0", "mg/dL"), FactEntry(fact="hbsag_first_on", happened_on=date(2020, 1, 1))
    )
    screening = screen(candidate, coordinator, {}, facts=given)
    stored = screening.facts.get(fact="tbil")
    assert (stored.value, stored.typed_text, stored.typed_unit, stored.happened_on) == (
        Decimal("85.5"),
        "5.0",
        "mg/dL",
        DAY,
    )
    before = audit.latest_revision()
    assert screen(candidate, coordinator, {}, facts=given).version == 1
    assert audit.latest_revision() == before
    changed = facts(a_lab("tbil", "6.0", "mg/dL"))
    with pytest.raises(Refused) as refused:
        screen(candidate, coordinator, {}, facts=changed)
    assert rules(refused) == {"reason": "reason_needed"}
    again = screen(candidate, coordinator, {}, facts=changed, reason="typing slip corrected")
    assert (again.version, again.facts.get(fact="tbil").value) == (2, Decimal("102.6"))
    taken_back = facts(FactEntry(fact="tbil"))
    screen(candidate, coordinator, {}, facts=taken_back, reason="typing slip corrected")
    assert set(screening.facts.values_list("fact", flat=True)) == {"hbsag_first_on"}


@pytest.mark.parametrize(
    ("entry", "rule"),
    [
        (a_lab("tbil", "1700.1", "umol/L"), "hard_limit"),
        (a_lab("tbil", "5", "g/L"), "unit_not_accepted"),
        (a_lab("tbil", "300", "umol/L", DAY + timedelta(days=1)), "after_screening"),
        (a_lab("tbil", "300", "umol/L", date(2999, 1, 1)), "future"),
        (FactEntry(fact="tbil", value=Decimal(300), typed_text="300", typed_unit="umol/L"), "no_day"),
        (FactEntry(fact="tbil", happened_on=DAY), "day_without_value"),
        (FactEntry(fact="encephalopathy_grade", value=Decimal(5), typed_text="5"), "grade"),
        (FactEntry(fact="encephalopathy_grade", value=Decimal("1.5"), typed_text="1.5"), "grade"),
        (a_lab("stiffness", "75.1", "kPa"), "hard_limit"),
        (FactEntry(fact="rupture_on", happened_on=date(1970, 1, 1)), "before_birth"),
        (FactEntry(fact="shoe_size", happened_on=DAY), "unknown_fact"),
    ],
)
def test_facts_that_cannot_be(candidate: Patient, coordinator: User, entry: FactEntry, rule: str) -> None:
    with pytest.raises(Refused) as refused:
        screen(candidate, coordinator, {}, facts=facts(entry))
    assert rules(refused) == {f"fact_{entry.fact}": rule}
    assert not ScreeningFact.objects.exists()


def test_a_tick_against_the_data_stands_only_with_its_reason(candidate: Patient, coordinator: User) -> None:
    known = facts(FactEntry(fact="hbsag_first_on", happened_on=DAY - timedelta(days=182)))
    with pytest.raises(Refused) as refused:
        screen(candidate, coordinator, passing(), facts=known)
    assert rules(refused) == {"inclusion_a": "unexplained"}
    assert "182 days" in str(refused.value.problems[0])
    kept = passing(inclusion_a=AnswerEntry(Answer.YES, "positive elsewhere in 2015"))
    assert screen(candidate, coordinator, kept, facts=known).verdict == "eligible"


def test_two_people_write_the_same_fact(candidate: Patient, coordinator: User, data_manager: User) -> None:
    screen(candidate, coordinator, {}, facts=facts(a_lab("tbil", "300", "umol/L")), version=0)
    with pytest.raises(Conflict) as conflict:
        screen(candidate, data_manager, {}, facts=facts(a_lab("tbil", "310", "umol/L")), version=0)
    (clash,) = conflict.value.clashes
    assert (clash.field, clash.mine, clash.theirs) == (
        "TBIL",
        "310 µmol/L, 2024-01-10",
        "300 µmol/L, 2024-01-10",
    )


def test_screened_again_after_a_failure_the_subject_waits_for_enrolment(
    candidate: Patient, coordinator: User
) -> None:
    screen(candidate, coordinator, passing(exclusion_h=AnswerEntry(Answer.YES)))
    assert candidate.status == Patient.Status.SCREEN_FAILED
    with pytest.raises(Refused, match="does not find the subject eligible"):
        actions.enrol_screened(patient=candidate, by=coordinator, recruited_on=DAY, planned_course="standard")
    screen(candidate, coordinator, passing(), screened_on=DAY + timedelta(days=30))
    assert candidate.status == Patient.Status.SCREENING
    assert Screening.objects.filter(patient=candidate).count() == 2


@pytest.mark.parametrize(
    ("day", "rule"),
    [(None, "empty"), (DAY - timedelta(days=1), "before_screening"), (date(2999, 1, 1), "future")],
)
def test_a_day_of_recruitment_that_cannot_be(
    sites: Sites, coordinator: User, day: date | None, rule: str
) -> None:
    fresh = enrol(sites["GE"], coordinator, status=Patient.Status.SCREENING, recruited_on=None)
    screen(fresh, coordinator, passing())
    with pytest.raises(Refused) as refused:
        actions.enrol_screened(patient=fresh, by=coordinator, recruited_on=day, planned_course="standard")
    assert rules(refused) == {"recruited_on": rule}


def test_an_enrolment_of_somebody_else_is_seen(sites: Sites, coordinator: User) -> None:
    fresh = enrol(sites["GE"], coordinator, status=Patient.Status.SCREENING, recruited_on=None)
    screen(fresh, coordinator, passing())
    with pytest.raises(Conflict):
        actions.enrol_screened(
            patient=fresh,
            by=coordinator,
            recruited_on=DAY,
            planned_course="standard",
            version=fresh.version + 1,
        )


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


def test_a_death_is_not_before_anything_that_is_recorded(patient: Patient, coordinator: User) -> None:
    # a draw stays as it is, whatever the day: it is left out of the analysis
    factories.a_visit(patient, 0, DAY + timedelta(days=15), tbil="140")
    infusion = factories.an_infusion(patient, 1, DAY + timedelta(days=7))
    with pytest.raises(Refused) as refused:
        end(patient, coordinator, "death", DAY + timedelta(days=6))
    assert rules(refused) == {"happened_on": "seen_after_death"}
    assert infusion.given_on.isoformat() in str(refused.value.problems[0])
    event = actions.record_event(
        patient=patient,
        by=coordinator,
        entry=EventEntry(term="Fever", grade=1, onset_on=DAY + timedelta(days=8)),
    )
    audit.settle()
    with pytest.raises(Refused) as refused:
        end(patient, coordinator, "death", DAY + timedelta(days=7))
    assert event.onset_on.isoformat() in str(refused.value.problems[0])
    actions.void_event(event=event, by=coordinator, reason="belonged to another subject or visit")
    audit.settle()
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
