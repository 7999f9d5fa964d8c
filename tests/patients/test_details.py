"""Correcting what a subject was registered with, and what follows from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from patients import actions
from patients.actions.details import correct_details, details_of, doubts
from patients.entries import LabEntry
from patients.forms.details import texts_of
from patients.models import DataQuery, Patient
from tests import factories
from trial import audit
from trial.models import Revision, Site, User
from trial.refusals import Conflict, Refused

pytestmark = pytest.mark.django_db
Sites = dict[str, Site]


@pytest.fixture
def patient(sites: Sites) -> Patient:
    return factories.a_patient(site=sites["GE"], subject_id="GE-001")


def correct(patient: Patient, by: User, reason: str = "typing slip corrected", **changes: Any) -> Patient:
    details = replace(details_of(Patient.objects.get(pk=patient.pk)), **changes)
    done = correct_details(patient=patient, details=details, by=by, reason=reason)
    factories.settle()
    return done


def rules(found: pytest.ExceptionInfo[Refused]) -> dict[str, str]:
    return {problem.field: problem.rule for problem in found.value.problems}


def test_equal_values_leave_no_trace_and_changes_need_a_reason(patient: Patient, coordinator: User) -> None:
    before = audit.latest_revision()
    correct(patient, coordinator, reason="")
    assert audit.latest_revision() == before
    with pytest.raises(Refused) as refused:
        correct(patient, coordinator, reason="", sex="F")
    assert rules(refused) == {"reason": "reason_needed"}
    correct(patient, coordinator, sex="F")
    stored = Patient.objects.get(pk=patient.pk)
    assert (stored.sex, stored.version) == ("F", patient.version + 1)
    made = Revision.objects.get(number=audit.latest_revision())
    assert (made.source, made.reason) == ("subject details", "typing slip corrected")


def test_days_that_cannot_be_are_refused_by_their_field(patient: Patient, coordinator: User) -> None:
    first = factories.a_visit(patient, 0, tbil="171").visited_on
    assert first is not None
    for changes, expected in (
        ({"birth_date": None}, {"birth_date": "age"}),
        ({"recruited_on": date(2999, 1, 1)}, {"recruited_on": "future"}),
        ({"recruited_on": date(1975, 5, 4)}, {"recruited_on": "before_birth"}),
        ({"recruited_on": None}, {"recruited_on": "empty"}),
        ({"planned_course": ""}, {"planned_course": "empty"}),
        ({"diagnosis": "flu"}, {"diagnosis": "not_in_the_list"}),
        ({"age_at_recruitment": Decimal(121)}, {"age_at_recruitment": "age"}),
        ({"birth_date": first, "recruited_on": first + timedelta(1)}, {"birth_date": "after_first_record"}),
    ):
        with pytest.raises(Refused) as refused:
            correct(patient, coordinator, **changes)
        assert rules(refused) == expected, changes


def test_both_ends_of_the_protocols_age_are_believed(patient: Patient) -> None:
    day = patient.recruited_on
    assert day is not None
    for years, is_doubted in ((15, True), (16, False), (60, False), (61, True)):
        born = date(day.year - years, day.month, day.day)
        assert bool(doubts(patient, replace(details_of(patient), birth_date=born))) is is_doubted, years


def test_what_is_in_doubt_asks_a_query_that_closes_when_mended(patient: Patient, coordinator: User) -> None:
    correct(patient, coordinator, birth_date=date(1950, 1, 1))
    (query,) = DataQuery.objects.filter(patient=patient)
    assert (query.topic, query.field, query.state) == ("subject", "birth_date", "open")
    correct(patient, coordinator, birth_date=date(1970, 1, 1))
    query.refresh_from_db()
    assert query.state == "closed"


def test_the_checks_of_visits_follow_the_recruitment(patient: Patient, coordinator: User) -> None:
    early = patient.recruited_on - timedelta(3)  # type: ignore[operator]
    actions.record_labs(
        patient=patient,
        week=0,
        visited_on=early,
        entries=[LabEntry(analyte="tbil", value=Decimal(171), typed_text="171", typed_unit="umol/L")],
        by=coordinator,
        kept=None,
    )
    factories.settle()
    query = DataQuery.objects.get(patient=patient, check_code="before_recruitment")
    correct(patient, coordinator, recruited_on=early)
    query.refresh_from_db()
    assert query.state == "closed"


def test_another_persons_change_of_another_field_is_kept_and_of_the_same_is_a_conflict(
    patient: Patient, coordinator: User, data_manager: User
) -> None:
    on_screen, seen = details_of(patient), patient.version
    correct(patient, data_manager, sex="F")
    correct_details(
        patient=patient,
        details=replace(on_screen, diagnosis="liver_failure"),
        by=coordinator,
        reason="typing slip corrected",
        version=seen,
    )
    factories.settle()
    stored = Patient.objects.get(pk=patient.pk)
    assert (stored.sex, stored.diagnosis) == ("F", "liver_failure")
    with pytest.raises(Conflict) as conflict:
        correct_details(
            patient=patient,
            details=replace(on_screen, sex="M", birth_date=date(1976, 1, 1), diagnosis="cirrhosis"),
            by=coordinator,
            reason="typing slip corrected",
            version=correct(patient, data_manager, birth_date=date(1977, 1, 1)).version - 1,
        )
    assert [clash.field for clash in conflict.value.clashes] == ["birth_date"]


def test_page_asks_once_about_a_doubt_saves_and_is_repeatable(
    patient: Patient, coordinator: User, signed_in: Callable[[User], Client]
) -> None:
    browser, url = signed_in(coordinator), f"/patients/{patient.subject_id}/details/"
    assert 'name="birth_date"' in browser.get(url).content.decode()
    form = texts_of(patient) | {
        "version": str(patient.version),
        "submission_key": "details-once",
        "reason": "source_checked",
        "birth_date": "1950-01-01",
    }
    answer = browser.post(url, form)
    asked = answer.context["form"]
    assert (answer.status_code, asked.asks) == (422, True)
    form["doubts_confirmed"] = asked.doubts_key
    for _again in range(2):
        assert browser.post(url, form).status_code == 302
    stored = Patient.objects.get(pk=patient.pk)
    assert (stored.birth_date, stored.version) == (date(1950, 1, 1), patient.version + 1)
    stale = form | {"submission_key": "another", "birth_date": "1976-02-02", "version": str(patient.version)}
    assert browser.post(url, stale).status_code == 409
