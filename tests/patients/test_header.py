"""The header of a patient's pages: who, group, score, next due; in a fixed number of queries."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from patients import actions, selectors
from patients.models import Patient
from tests import factories
from tests.patients.scores import score
from trial import clock
from trial.models import Site, User

pytestmark = pytest.mark.django_db

Sites = dict[str, Site]


@pytest.fixture
def today(sites: Sites) -> date:
    return clock.today_at(sites["GE"])


def subject(sites: Sites, today: date, *, weeks_ago: int, **fields: Any) -> Patient:
    return factories.a_patient(site=sites["GE"], recruited_on=today - timedelta(days=7 * weeks_ago), **fields)


def give(patient: Patient, *numbers: int) -> None:
    for number in numbers:
        factories.an_infusion(patient, number)


def test_before_the_first_infusion(sites: Sites, today: date, coordinator: User) -> None:
    header = selectors.header(subject(sites, today, weeks_ago=0), coordinator)
    assert (header.group, header.group_sentence, header.given, header.planned) == (
        "",
        "no infusion yet",
        0,
        4,
    )
    assert [pip.look for pip in header.pips] == ["planned"] * 4 + ["beyond"] * 4
    assert header.course_label == "standard course"
    assert header.meld.reported is None and header.meld.change is None
    assert header.next_due is not None
    assert (header.next_label, header.next_is_visit) == ("Visit week 0", True)


def test_a_standard_course_counts_what_was_given(sites: Sites, today: date, coordinator: User) -> None:
    patient = subject(sites, today, weeks_ago=4)
    give(patient, 1, 3)
    factories.an_infusion(patient, 4, today)
    header = selectors.header(patient, coordinator)
    assert (header.group, header.group_sentence) == ("D", "3 of 4 infusions")
    assert [pip.look for pip in header.pips] == ["given", "missed", "given", "given"] + ["beyond"] * 4


def test_a_late_infusion_has_a_look_of_its_own(sites: Sites, today: date, coordinator: User) -> None:
    patient = subject(sites, today, weeks_ago=4)
    assert patient.recruited_on
    factories.an_infusion(patient, 1, patient.recruited_on + timedelta(days=9))
    factories.an_infusion(patient, 2, patient.recruited_on + timedelta(days=17))
    assert [pip.look for pip in selectors.header(patient, coordinator).pips][:2] == ["given", "late"]


@pytest.mark.parametrize(("diagnosis", "group"), [("liver_failure", "A"), ("cirrhosis", "C")])
def test_the_fifth_infusion_makes_the_course_prolonged(
    sites: Sites, today: date, coordinator: User, diagnosis: str, group: str
) -> None:
    patient = subject(sites, today, weeks_ago=6, diagnosis=diagnosis, planned_course="prolonged")
    give(patient, 1, 2, 3, 4, 5)
    header = selectors.header(patient, coordinator)
    assert patient.recruited_on
    fifth = (patient.recruited_on + timedelta(days=35)).isoformat()
    assert header.group == group
    assert header.group_sentence == f"became {group} on {fifth}, infusion 5 (day 28)"
    assert header.course_label == "prolonged course"
    assert header.next_due is not None


def test_the_score_is_the_newest_with_a_value_and_its_change_since_baseline(
    sites: Sites, today: date, coordinator: User
) -> None:
    patient = subject(sites, today, weeks_ago=20)
    give(patient, 1)
    first = today - timedelta(days=133)
    baseline = factories.a_visit(patient, 0, first, tbil="171")
    later = factories.a_visit(patient, 4, first + timedelta(days=28), tbil="100")
    unknown = factories.a_visit(patient, 12, first + timedelta(days=84), tbil="90")
    score(baseline, 21)
    score(later, 15, revision=1)
    clamped = [
        {"code": "creatinine", "used": "88.4", "clamped_from": "70", "note": None},
        {"code": "inr", "used": "1.2", "clamped_from": None, "note": None},
    ]
    score(later, 9, revision=2, inputs=clamped)
    score(unknown, None, revision=3)

    meld = selectors.header(patient, coordinator).meld
    assert (meld.reported, meld.baseline, meld.change, meld.week, meld.revision) == (9, 21, -12, 4, 2)
    assert meld.why_not == "INR missing"
    (clamp,) = meld.clamps
    assert (clamp.label, clamp.measured, clamp.used, clamp.is_raised) == (
        "Creatinine",
        Decimal(70),
        Decimal("88.4"),
        True,
    )

    transplanted = actions.record_outcome(
        patient=patient, kind="transplant", happened_on=first + timedelta(days=28), by=coordinator
    )
    assert selectors.header(patient, coordinator).meld.reported == 21, (
        "what is drawn from that day on does not count"
    )
    actions.void_outcome(outcome=transplanted, by=coordinator, reason="belonged to another subject")
    assert selectors.header(patient, coordinator).meld.reported == 9
    actions.void_visit(visit=later, by=coordinator, reason="belonged to another subject")
    meld = selectors.header(patient, coordinator).meld
    assert (meld.reported, meld.change) == (21, None)


def test_who_the_person_is_shows_only_to_who_may_know(
    sites: Sites, today: date, coordinator: User, statistician: User
) -> None:
    patient = subject(sites, today, weeks_ago=1, identity={"name": "王丽"})
    assert selectors.header(patient, coordinator).may_identify
    assert not selectors.header(patient, statistician).may_identify
    assert "王丽" not in str(selectors.header(patient, coordinator)), "only on the page that logs who looked"


def test_what_ended_follow_up_stands_first(sites: Sites, today: date, coordinator: User) -> None:
    patient = subject(sites, today, weeks_ago=1)
    give(patient, 1)
    actions.record_outcome(patient=patient, kind="death", happened_on=today, by=coordinator)
    header = selectors.header(patient, coordinator)
    assert header.ended == f"died on {today.isoformat()}"


def test_infusions_are_counted_beside_the_subjects(sites: Sites, today: date, coordinator: User) -> None:
    patient = subject(sites, today, weeks_ago=6)
    give(patient, 1, 2)
    voided = factories.an_infusion(patient, 3)
    from infusions.actions import void_infusion

    void_infusion(infusion=voided, by=coordinator, reason="never given")
    found = selectors.with_course(selectors.patients(coordinator)).get(pk=patient.pk)
    assert found.infusions_given == 2
    assert patient.recruited_on
    assert found.first_infusion_on == patient.recruited_on + timedelta(days=7)


def test_the_number_of_queries_is_fixed(
    sites: Sites, today: date, coordinator: User, django_assert_num_queries: Any
) -> None:
    empty, full = subject(sites, today, weeks_ago=0), subject(sites, today, weeks_ago=20)
    give(full, 1, 2, 3)
    for week in (0, 1, 4):
        score(factories.a_visit(full, week, tbil="171"), 20)
    for patient in (empty, full):
        found = selectors.patient_or_404(coordinator, patient.subject_id)
        with django_assert_num_queries(8):
            selectors.header(found, coordinator)
