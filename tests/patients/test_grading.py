"""Grades: proposed against range and baseline, confirmed by a person, out of date when the value changes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from patients import actions, grading
from patients.actions.grades import confirm_grade
from patients.ctcae import Rule
from patients.grading import FirstInfusion, State, is_before
from patients.models import ConfirmedGrade, LabResult, Patient, Visit
from tests import factories
from trial import audit
from trial.models import Site, User
from trial.refusals import Conflict, Refused

pytestmark = pytest.mark.django_db

SignedIn = Callable[[User], Client]
FIRST = date(2024, 1, 15)


@pytest.fixture
def patient(sites: dict[str, Site]) -> Patient:
    """Bilirubin abnormal at baseline, ALT normal; both rise after the first infusion."""
    patient = factories.a_patient(site=sites["GE"], subject_id="GE-001")
    factories.a_visit(patient, 0, FIRST, tbil="100", alt="40", inr="2.6", sodium="140", albumin="42")
    factories.an_infusion(patient, 1, FIRST)
    factories.a_visit(
        patient, 1, date(2024, 1, 22), tbil="250", alt="260", inr="2.6", sodium="140", albumin="35"
    )
    return patient


def result(patient: Patient, analyte: str, week: int = 1) -> LabResult:
    return LabResult.objects.get(patient=patient, visit__week=week, analyte=analyte)


def graded(patient: Patient) -> dict[str, grading.Proposal]:
    return {one.result.analyte: one for one in grading.proposals(patient)}


def corrected(patient: Patient, analyte: str, text: str) -> None:
    entry = actions.LabEntry(
        analyte=analyte,
        value=Decimal(text),
        comparator="",
        typed_text=text,
        typed_unit="umol/L",
        missing_reason="",
    )
    visit = Visit.objects.get(patient=patient, week=1)
    actions.record_labs(visit=visit, entries=[entry], by=audit.service_account(), reason="typing slip")
    factories.settle()


@pytest.mark.parametrize(
    ("day", "week", "sampled", "started", "before"),
    [
        (date(2024, 1, 14), 1, None, None, True),
        (date(2024, 1, 16), 0, None, None, False),
        (FIRST, 0, None, None, True),
        (FIRST, None, None, None, False),
        (FIRST, 0, time(11), time(10), False),
        (FIRST, None, time(9), time(10), True),
        (FIRST, None, time(9), None, False),
        (None, 0, None, None, True),
        (None, 4, None, None, False),
    ],
)
def test_the_baseline_is_drawn_before_the_first_infusion(
    day: date | None, week: int | None, sampled: time | None, started: time | None, before: bool
) -> None:
    drawn = LabResult(
        visit=Visit(week=week, visited_on=day),
        sampled_at=None if sampled is None else datetime.combine(FIRST, sampled, UTC),
    )
    moment = None if started is None else datetime.combine(FIRST, started, UTC)
    assert is_before(drawn, FirstInfusion(FIRST, moment)) is before


def test_results_after_the_first_infusion_are_graded_severe_ones_first(patient: Patient) -> None:
    found = grading.proposals(patient)
    assert [one.proposed for one in found] == sorted((one.proposed for one in found), reverse=True)
    by_analyte = {one.result.analyte: one for one in found}
    assert set(by_analyte) == {"tbil", "alt", "inr", "albumin"}
    alt, tbil, inr = by_analyte["alt"], by_analyte["tbil"], by_analyte["inr"]
    assert (alt.proposed, alt.grade.rule, alt.baseline_grade) == (3, Rule.REFERENCE, 0)
    assert (tbil.proposed, tbil.grade.rule, tbil.baseline_grade) == (2, Rule.BASELINE, 3)
    assert (inr.proposed, inr.baseline_grade, inr.grade_change) == (3, 3, 0)
    assert (tbil.change, tbil.baseline_shown) == ("+150.0", "100.0")
    assert tbil.rule_said == "2.5 × abnormal baseline 100"


def test_before_the_first_infusion_nothing_is_graded() -> None:
    patient = factories.a_patient()
    factories.a_visit(patient, 0, FIRST, tbil="100")
    assert grading.proposals(patient) == []


def test_the_range_of_the_laboratory_decides_the_grade(patient: Patient) -> None:
    laboratory = factories.a_laboratory()
    factories.a_range(laboratory, "alt", "5", "60")
    factories.measured_by(laboratory, patient)
    assert graded(patient)["alt"].proposed == 2


def test_confirming_is_kept_and_a_later_change_makes_it_out_of_date(
    patient: Patient, hepatologist: User
) -> None:
    tbil = result(patient, "tbil")
    made = confirm_grade(result=tbil, grade=2, by=hepatologist, version=tbil.version)
    factories.settle()
    assert (made.grade, made.proposed, made.against_baseline) == (2, 2, True)
    assert graded(patient)["tbil"].state is State.CONFIRMED
    assert confirm_grade(result=tbil, grade=2, by=hepatologist).pk == made.pk
    corrected(patient, "tbil", "350")
    assert graded(patient)["tbil"].state is State.OUTDATED
    with pytest.raises(Conflict):
        confirm_grade(result=tbil, grade=3, by=hepatologist, version=tbil.version)
    again = confirm_grade(result=tbil, grade=3, by=hepatologist)
    factories.settle()
    made.refresh_from_db()
    assert made.voided_at is not None
    assert again.result_version == result(patient, "tbil").version
    assert graded(patient)["tbil"].state is State.CONFIRMED


def test_a_changed_range_brings_a_confirmed_grade_back(patient: Patient, hepatologist: User) -> None:
    confirm_grade(result=result(patient, "alt"), grade=3, by=hepatologist)
    factories.settle()
    laboratory = factories.a_laboratory()
    factories.a_range(laboratory, "alt", "5", "60")
    factories.measured_by(laboratory, patient)
    assert graded(patient)["alt"].state is State.OUTDATED


def test_another_grade_needs_a_reason(patient: Patient, hepatologist: User) -> None:
    alt = result(patient, "alt")
    with pytest.raises(Refused) as refused:
        confirm_grade(result=alt, grade=1, by=hepatologist)
    assert refused.value.problems[0].rule == "reason_needed"
    made = confirm_grade(result=alt, grade=1, by=hepatologist, reason="haemolysed sample")
    factories.settle()
    assert (made.grade, made.proposed) == (1, 3)
    with pytest.raises(Refused):
        confirm_grade(result=alt, grade=3, by=hepatologist)
    with pytest.raises(Refused) as refused:
        confirm_grade(result=alt, grade=6, by=hepatologist, reason="x")
    assert refused.value.problems[0].rule == "grade"


def test_a_baseline_is_not_graded(patient: Patient, hepatologist: User) -> None:
    with pytest.raises(Refused) as refused:
        confirm_grade(result=result(patient, "tbil", week=0), grade=3, by=hepatologist)
    assert refused.value.problems[0].rule == "not_graded"


def test_new_severe_grades_are_those_above_baseline_that_nobody_confirmed(
    patient: Patient, hepatologist: User, hepatologist_elsewhere: User
) -> None:
    found = grading.new_severe_grades(hepatologist)
    assert [(one.result.analyte, one.proposed) for one in found] == [("alt", 3)]
    assert grading.new_severe_grades(hepatologist_elsewhere) == []
    confirm_grade(result=result(patient, "alt"), grade=3, by=hepatologist)
    factories.settle()
    assert grading.new_severe_grades(hepatologist) == []


def test_new_severe_grades_cost_the_same_for_more_subjects(
    sites: dict[str, Site], patient: Patient, hepatologist: User
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as caught:
            grading.new_severe_grades(hepatologist)
        return len(caught)

    few = queries()
    for _each in range(3):
        other = factories.a_patient(site=sites["GE"])
        factories.a_visit(other, 0, FIRST, alt="40")
        factories.an_infusion(other, 1, FIRST)
        factories.a_visit(other, 1, date(2024, 1, 22), alt="1200")
    assert len(grading.new_severe_grades(hepatologist)) == 4
    assert queries() == few


# --- the page -------------------------------------------------------------------------------


def test_a_grade_is_confirmed_on_the_page(patient: Patient, hepatologist: User, signed_in: SignedIn) -> None:
    client = signed_in(hepatologist)
    url = reverse("patients:grades", args=[patient.subject_id])
    page = client.get(url)
    assert [one.proposed for one, _event in page.context["waiting"]] == [3, 3, 2, 1]
    alt = result(patient, "alt")
    one = reverse("patients:grade", args=[patient.subject_id, alt.pk])
    posted = {"grade": "3", "version": str(alt.version), "submission_key": "once"}
    for _twice in range(2):
        assert client.post(one, posted).status_code == 302
        factories.settle()
    assert ConfirmedGrade.objects.count() == 1
    assert f"{hepatologist.shown_name}, <time" in client.get(url).content.decode()
    other = client.get(f"{one}?grade=1")
    assert other.context["chosen_grade"] == "1"
    wrong = client.post(one, {"grade": "1", "version": str(alt.version), "reason": " "})
    assert wrong.status_code == 422
    assert "no reason is given" in wrong.content.decode()
    stale = client.post(one, {"grade": "1", "version": "0", "reason": "haemolysed"})
    assert stale.status_code == 409
    assert "haemolysed" in stale.content.decode()


def test_a_coordinator_reads_the_grades_and_records_the_event(
    patient: Patient, coordinator: User, signed_in: SignedIn
) -> None:
    client = signed_in(coordinator)
    page = client.get(reverse("patients:grades", args=[patient.subject_id])).content.decode()
    alt = result(patient, "alt")
    assert f"term=Alanine+aminotransferase+increased&amp;grade=3&amp;result={alt.pk}" in page
    assert "data-grade-url" not in page
    one = reverse("patients:grade", args=[patient.subject_id, alt.pk])
    assert client.post(one, {"grade": "3"}).status_code == 403
