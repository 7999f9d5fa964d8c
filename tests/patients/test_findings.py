"""Ascites and encephalopathy of a visit: stored beside the labs, merged, corrected with a reason, taken back."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse

from patients import actions, casebook, casebook_rows
from patients.actions.merge import merge
from patients.entries import LabEntry
from patients.models import LabResult, Patient, Visit
from tests import factories
from trial import audit, undo
from trial.models import Revision, User
from trial.refusals import Conflict, Refused

pytestmark = pytest.mark.django_db

DAY = date(2024, 2, 12)


@pytest.fixture
def patient(sites: dict[str, object]) -> Patient:
    return factories.a_patient(site=sites["GE"], subject_id="GE-001")


def save(patient: Patient, by: User, *analytes: str, week: int = 4, **options: object) -> actions.WrittenLabs:
    entries = [LabEntry(analyte=code, value=Decimal(100), typed_text="100") for code in analytes]
    written = actions.record_labs(
        patient=patient, week=week, visited_on=DAY, entries=entries, by=by, **options
    )
    audit.settle()
    return written


def visit_of(patient: Patient, week: int = 4) -> Visit:
    return Visit.objects.get(patient=patient, week=week, voided_at=None)


def graded(visit: Visit) -> tuple[str, str]:
    return visit.ascites, visit.encephalopathy


def test_grades_are_saved_corrected_and_undone(patient: Patient, coordinator: User) -> None:
    save(patient, coordinator, "tbil", findings={"ascites": "moderate", "encephalopathy": ""})
    assert graded(visit_of(patient)) == ("moderate", "")
    # a grade that is new needs no reason, whether or not a lab comes with it
    save(patient, coordinator, findings={"encephalopathy": "2"})
    before = audit.latest_revision()
    assert save(patient, coordinator, findings={"ascites": "moderate"}).id is None
    assert audit.latest_revision() == before, "what is stored already leaves no trace"
    with pytest.raises(Refused) as refused:
        save(patient, coordinator, findings={"ascites": ""})
    assert [problem.rule for problem in refused.value.problems] == ["reason_needed"]
    save(patient, coordinator, findings={"ascites": "severe"}, reason="typing slip corrected")
    assert graded(visit_of(patient)) == ("severe", "2")

    newest = Revision.objects.order_by("-number").first()
    assert newest is not None
    undo.undo(revision=newest, by=coordinator, reason="it was right before")
    assert graded(visit_of(patient)) == ("moderate", "2")


def test_what_is_not_of_the_list_is_refused(patient: Patient, coordinator: User) -> None:
    with pytest.raises(Refused) as refused:
        save(patient, coordinator, "tbil", findings={"ascites": "some", "encephalopathy": "5"})
    assert {(p.field, p.rule) for p in refused.value.problems} == {
        ("ascites", "unknown_finding"),
        ("encephalopathy", "unknown_finding"),
    }
    assert not Visit.objects.exists()
    visit = factories.a_visit(patient, 4, tbil="100")
    coded = pytest.raises(IntegrityError, match="findings_are_coded")
    with coded, transaction.atomic(), factories.by_the_software():
        Visit.objects.filter(pk=visit.pk).update(encephalopathy="9")


def test_two_people_grade_one_visit(patient: Patient, coordinator: User, hepatologist: User) -> None:
    save(patient, coordinator, "tbil")
    seen = visit_of(patient).version
    save(patient, hepatologist, findings={"ascites": "moderate", "encephalopathy": ""})
    # the other page shows neither grade; it adds one and leaves the other alone
    save(patient, coordinator, findings={"ascites": "", "encephalopathy": "1"}, version=seen)
    assert graded(visit_of(patient)) == ("moderate", "1")
    with pytest.raises(Conflict) as conflict:
        save(patient, coordinator, "alt", findings={"ascites": "severe"}, version=seen, reason="slip")
    (clash,) = conflict.value.clashes
    assert (clash.field, clash.mine, clash.theirs, clash.before, clash.by) == (
        "ascites",
        "severe",
        "mild or moderate",
        "",
        hepatologist.shown_name,
    )
    assert LabResult.objects.filter(patient=patient).count() == 1
    decided = {"ascites": conflict.value.version}
    save(patient, coordinator, findings={"ascites": "severe"}, version=seen, decided=decided, reason="slip")
    assert graded(visit_of(patient)) == ("severe", "1")


def test_a_grade_says_that_the_visit_took_place(patient: Patient, coordinator: User) -> None:
    actions.mark_not_done(by=coordinator, patient=patient, week=4, why="no_show")
    audit.settle()
    with pytest.raises(Refused):
        save(patient, coordinator, findings={"ascites": "none"})
    save(patient, coordinator, findings={"ascites": "none"}, reason="checked against the source")
    assert (visit_of(patient).not_done, visit_of(patient).ascites) == ("", "none")
    # two empty grades alone make no visit
    save(patient, coordinator, week=12, findings={"ascites": "", "encephalopathy": ""})
    assert not Visit.objects.filter(patient=patient, week=12).exists()


def test_a_signature_from_before_there_were_grades_stands_until_one_is_recorded(
    patient: Patient, coordinator: User
) -> None:
    visit = factories.a_visit(patient, 4, tbil="171")
    book = casebook_rows.read(patient)
    (row,) = book.document(visit.pk)["tables"]["patients_visit"]
    assert set(row) == {"week", "visited_on", "not_done", "note"}, "the text of a visit without grades"
    before = book.digest(visit.pk)
    save(patient, coordinator, findings={"ascites": "none"})
    assert casebook_rows.read(patient).digest(visit.pk) != before
    old, new = {"week": 4, "voided_at": None}, {"week": 4, "voided_at": None, "ascites": ""}
    assert not casebook.changed_fields("patients_visit", old, new)
    assert casebook.changed_fields("patients_visit", old, new | {"ascites": "none"}) == ["ascites"]


def test_the_page_asks_shows_and_keeps_what_is_chosen(
    signed_in: Callable[[User], Client], coordinator: User, patient: Patient
) -> None:
    browser, url = signed_in(coordinator), reverse("patients:enter_visit", args=[patient.subject_id, 4])
    page = browser.get(url).content.decode()
    assert "At the bedside" in page and "1 · mild or moderate" in page
    form = {"visited_on": DAY.isoformat(), "version": "0", "tbil": "140", "ascites": "moderate"}
    refused = browser.post(url, {**form, "tbil": "14o", "encephalopathy": "3"})
    assert refused.status_code == 422
    assert re.search(r'<option value="3" selected>3 · grade 3', refused.content.decode())
    wrong = browser.post(url, {**form, "encephalopathy": "coma"})
    assert wrong.status_code == 422 and "This grade is not of the list" in wrong.content.decode()

    assert browser.post(url, {**form, "encephalopathy": ""}).status_code == 302
    assert graded(visit_of(patient)) == ("moderate", "")
    page = browser.get(url).content.decode()
    assert re.search(r'<option value="moderate" selected>', page)
    # an address or a draft that knows no grades leaves them
    again = {
        "visited_on": DAY.isoformat(),
        "version": str(visit_of(patient).version),
        "tbil": "140",
        "alt": "60",
    }
    assert browser.post(url, again).status_code == 302
    assert graded(visit_of(patient)) == ("moderate", "")


def test_the_visit_that_stays_takes_over_grades(patient: Patient, data_manager: User) -> None:
    other = factories.a_patient(site=patient.site, subject_id="GE-002")
    save(patient, data_manager, "tbil", findings={"ascites": "none"})
    save(other, data_manager, "alt", findings={"ascites": "severe", "encephalopathy": "1"})
    merge(
        first=patient, second=other, choices={"patients_visit:W4": "first"}, by=data_manager, reason="twice"
    )
    assert graded(visit_of(patient)) == ("none", "1")
