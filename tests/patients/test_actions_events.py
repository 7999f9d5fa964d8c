"""Adverse events and treatments: recorded, corrected, merged, refused, reported, struck."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, time, timedelta
from typing import Any

import pytest
from django.utils import timezone

from patients import actions, selectors
from patients.actions import EventEntry, TreatmentEntry
from patients.actions.treatments import overlapping
from patients.models import AdverseEvent, Patient
from tests import factories
from trial import audit, clock
from trial.models import AuditEntry, Revision, Site, User
from trial.refusals import Conflict, Refused

pytestmark = pytest.mark.django_db
Sites = dict[str, Site]
DAY = date(2024, 2, 1)
FEVER = EventEntry(term="Fever", grade=2, onset_on=DAY)
PLASMA = TreatmentEntry(kind="plasma", started_on=DAY, started_at=time(19))


@pytest.fixture
def patient(sites: Sites) -> Patient:
    return factories.a_patient(site=sites["GE"])


def rules(refused: Any) -> dict[str, str]:
    return {problem.field: problem.rule for problem in refused.value.problems}


def at_noon(patient: Patient, day: date = DAY) -> datetime:
    return clock.moment_at(patient.site, day, time(12))


def record(patient: Patient, entry: EventEntry, by: User) -> AdverseEvent:
    event = actions.record_event(patient=patient, entry=entry, by=by)
    audit.settle()
    return event


# --- adverse events -------------------------------------------------------------------------


def test_a_term_of_the_list_is_stored_in_its_spelling(patient: Patient, coordinator: User) -> None:
    event = record(patient, replace(FEVER, term=" fever "), coordinator)

    assert (event.term, event.grade, event.ctcae_version, event.version) == ("Fever", 2, "5.0", 1)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"term": "  "}, {"term": "no_term"}),
        ({"grade": 0}, {"grade": "no_grade"}),
        ({"grade": 6}, {"grade": "no_grade"}),
        ({"relation": "maybe"}, {"relation": "not_in_the_list"}),
        ({"ended_on": DAY - timedelta(days=1)}, {"ended_on": "ends_before_it_starts"}),
        ({"ended_on": DAY}, {}),
        ({"serious": "important"}, {"aware_on": "no_clock"}),
        ({"onset_on": date(1960, 1, 1)}, {"onset_on": "before_birth"}),
        ({"lab_result_id": 10**9}, {"lab_result": "no_such_result"}),
    ],
)
def test_an_event_that_cannot_be(
    patient: Patient, coordinator: User, changes: dict[str, Any], expected: dict[str, str]
) -> None:
    entry = replace(FEVER, **changes)
    if not expected:
        assert record(patient, entry, coordinator).pk
        return
    with pytest.raises(Refused) as refused:
        record(patient, entry, coordinator)
    assert rules(refused) == expected
    assert not AdverseEvent.objects.exists()


def test_days_are_held_against_the_life_and_the_clock(patient: Patient, coordinator: User) -> None:
    today = clock.today_at(patient.site)
    ahead = {"onset_on": today + timedelta(days=1)}
    with pytest.raises(Refused) as refused:
        record(patient, replace(FEVER, **ahead), coordinator)
    assert rules(refused) == {"onset_on": "future"}
    with pytest.raises(Refused) as refused:
        record(
            patient,
            replace(FEVER, serious="important", aware_at=timezone.now() + timedelta(minutes=2)),
            coordinator,
        )
    assert rules(refused) == {"aware_on": "future"}
    with pytest.raises(Refused) as refused:
        known = at_noon(patient, DAY - timedelta(days=1))
        record(patient, replace(FEVER, serious="important", aware_at=known), coordinator)
    assert rules(refused) == {"aware_on": "known_before_onset"}
    factories.an_outcome(patient, "death", DAY)
    assert record(patient, FEVER, coordinator).pk, "on the day of death"
    with pytest.raises(Refused) as refused:
        record(patient, replace(FEVER, onset_on=DAY + timedelta(days=1)), coordinator)
    assert rules(refused) == {"onset_on": "after_death"}


def test_a_result_of_another_subject_is_not_taken(patient: Patient, coordinator: User) -> None:
    other = factories.a_visit(factories.a_patient(site=patient.site), 0, tbil="171")
    result = other.lab_results.get()

    with pytest.raises(Refused) as refused:
        record(patient, replace(FEVER, lab_result_id=result.pk), coordinator)
    assert rules(refused) == {"lab_result": "no_such_result"}


def test_what_was_empty_is_filled_without_a_reason_and_a_change_needs_one(
    patient: Patient, coordinator: User
) -> None:
    event = record(patient, FEVER, coordinator)
    ended = replace(FEVER, ended_on=DAY + timedelta(days=2), result="recovered")
    event = actions.correct_event(event=event, entry=ended, by=coordinator, version=1)
    audit.settle()
    assert (event.ended_on, event.version) == (ended.ended_on, 2)
    assert Revision.objects.latest("number").reason == "completed later"
    with pytest.raises(Refused) as refused:
        actions.correct_event(event=event, entry=replace(ended, grade=3), by=coordinator, version=2)
    assert rules(refused) == {"reason": "reason_needed"}
    before = audit.latest_revision()
    same = actions.correct_event(event=event, entry=ended, by=coordinator, version=2)
    audit.settle()
    assert (same.version, audit.latest_revision()) == (2, before), "equal values leave no trace"


def test_two_people_on_one_event(patient: Patient, coordinator: User, data_manager: User) -> None:
    event = record(patient, FEVER, coordinator)
    actions.correct_event(
        event=event, entry=replace(FEVER, grade=3), by=data_manager, version=1, reason="source checked"
    )
    audit.settle()

    merged = actions.correct_event(
        event=event, entry=replace(FEVER, relation="possible"), by=coordinator, version=1
    )
    audit.settle()
    assert (merged.grade, merged.relation, merged.version) == (3, "possible", 3)
    with pytest.raises(Conflict) as conflict:
        actions.correct_event(
            event=event, entry=replace(FEVER, grade=4), by=coordinator, version=1, reason="typing slip"
        )
    (clash,) = conflict.value.clashes
    assert (clash.field, clash.before, clash.theirs, clash.mine) == ("grade", "2", "3", "4")
    assert conflict.value.version == 3


def test_the_report_is_recorded_once(patient: Patient, coordinator: User) -> None:
    event = record(patient, FEVER, coordinator)
    with pytest.raises(Refused) as refused:
        actions.report_event(event=event, by=coordinator)
    assert rules(refused) == {"": "not_serious"}
    serious = replace(FEVER, serious="important", aware_at=at_noon(patient))
    event = actions.correct_event(event=event, entry=serious, by=coordinator, version=1)
    audit.settle()
    assert selectors.serious_waiting(coordinator) == [event]
    reported = actions.report_event(event=event, by=coordinator, at=at_noon(patient) + timedelta(hours=3))
    again = actions.report_event(event=event, by=coordinator)
    audit.settle()

    assert again.reported_at == reported.reported_at == at_noon(patient) + timedelta(hours=3)
    assert again.version == reported.version
    assert selectors.serious_waiting(coordinator) == []
    # it turns out not to be serious: clock and report go, with a reason
    plain = actions.correct_event(event=event, entry=FEVER, by=coordinator, reason="source checked")
    assert (plain.aware_at, plain.reported_at) == (None, None)


def test_who_sees_which_clocks(sites: Sites, patient: Patient, coordinator: User, data_manager: User) -> None:
    elsewhere = factories.a_patient(site=sites["GS"])
    serious = replace(FEVER, serious="important", aware_at=at_noon(patient))
    own, other = record(patient, serious, coordinator), record(elsewhere, serious, data_manager)

    assert selectors.serious_waiting(coordinator) == [own]
    assert set(selectors.serious_waiting(data_manager)) == {own, other}
    actions.void_event(event=own, by=coordinator, reason="wrong subject")
    assert selectors.serious_waiting(coordinator) == []


def test_a_voided_event_stays_in_the_trail(patient: Patient, coordinator: User) -> None:
    event = record(patient, FEVER, coordinator)
    with pytest.raises(Refused):
        actions.void_event(event=event, by=coordinator, reason=" ")
    actions.void_event(event=event, by=coordinator, reason="wrong subject")
    audit.settle()
    assert selectors.events(patient) == []
    assert AuditEntry.objects.filter(table="patients_adverseevent", row=event.pk).count() == 2
    with pytest.raises(Refused) as refused:
        actions.correct_event(event=event, entry=replace(FEVER, grade=3), by=coordinator, reason="x")
    assert rules(refused) == {"": "voided"}


# --- treatments -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"kind": "leeches"}, {"kind": "not_in_the_list"}),
        ({"kind": "other"}, {"agent": "no_agent"}),
        ({"kind": "other", "agent": "ursodeoxycholic acid"}, {}),
        ({"ended_on": DAY - timedelta(days=1)}, {"ended_on": "ends_before_it_starts"}),
        ({"ended_at": time(20)}, {"ended_on": "hour_without_day"}),
        ({"ended_on": DAY, "ended_at": time(18)}, {"ended_at": "ends_before_it_starts"}),
        ({"ended_on": DAY, "ended_at": time(19)}, {}),
        ({"ended_on": DAY + timedelta(days=1), "ended_at": time(1)}, {}),
        ({"started_on": date(1960, 1, 1)}, {"started_on": "before_birth"}),
    ],
)
def test_a_treatment_that_cannot_be(
    patient: Patient, coordinator: User, changes: dict[str, Any], expected: dict[str, str]
) -> None:
    entry = replace(PLASMA, **changes)
    if not expected:
        assert actions.record_treatment(patient=patient, entry=entry, by=coordinator).pk
        return
    with pytest.raises(Refused) as refused:
        actions.record_treatment(patient=patient, entry=entry, by=coordinator)
    assert rules(refused) == expected


def test_a_treatment_that_went_on_is_ended_without_a_reason(patient: Patient, coordinator: User) -> None:
    antiviral = TreatmentEntry(kind="antiviral", agent="entecavir", dose="0.5 mg daily", started_on=DAY)
    stored = actions.record_treatment(patient=patient, entry=antiviral, by=coordinator)
    audit.settle()
    ended = actions.correct_treatment(
        treatment=stored,
        entry=replace(antiviral, ended_on=DAY + timedelta(days=60)),
        by=coordinator,
        version=1,
    )
    audit.settle()
    assert (ended.ended_on, ended.version) == (DAY + timedelta(days=60), 2)
    with pytest.raises(Refused) as refused:
        actions.correct_treatment(
            treatment=stored, entry=replace(antiviral, dose="1 mg daily"), by=coordinator, version=2
        )
    assert rules(refused) == {"reason": "reason_needed"}


def test_two_people_on_one_treatment(patient: Patient, coordinator: User, data_manager: User) -> None:
    stored = actions.record_treatment(patient=patient, entry=PLASMA, by=coordinator)
    audit.settle()
    actions.correct_treatment(
        treatment=stored,
        entry=replace(PLASMA, started_at=time(20)),
        by=data_manager,
        version=1,
        reason="source",
    )
    audit.settle()
    merged = actions.correct_treatment(
        treatment=stored, entry=replace(PLASMA, dose="400 mL"), by=coordinator, version=1
    )
    audit.settle()
    assert (merged.started_at, merged.dose) == (time(20), "400 mL")
    with pytest.raises(Conflict) as conflict:
        actions.correct_treatment(
            treatment=stored,
            entry=replace(PLASMA, started_at=time(21)),
            by=coordinator,
            version=1,
            reason="slip",
        )
    assert [(c.field, c.before, c.theirs, c.mine) for c in conflict.value.clashes] == [
        ("started_at", "19:00", "20:00", "21:00")
    ]


@pytest.mark.parametrize(
    ("kind", "other", "overlaps"),
    [
        ("antiviral", {}, True),  # both go on
        ("antiviral", {"agent": "tenofovir"}, False),
        ("antiviral", {"agent": "Entecavir"}, True),
        ("antiviral", {"ended_on": DAY - timedelta(days=1), "started_on": DAY - timedelta(days=9)}, False),
        ("antiviral", {"ended_on": DAY, "started_on": DAY - timedelta(days=9)}, True),
        ("plasma", {}, True),  # the same bag twice
        ("plasma", {"started_at": time(22)}, False),  # another bag
        ("plasma", {"started_on": DAY - timedelta(days=1)}, False),
    ],
)
def test_the_same_agent_at_the_same_time(
    patient: Patient, coordinator: User, kind: str, other: dict[str, Any], overlaps: bool
) -> None:
    entry = TreatmentEntry(kind=kind, agent="entecavir", started_on=DAY)
    stored = actions.record_treatment(patient=patient, entry=replace(entry, **other), by=coordinator)

    assert bool(overlapping(entry, [stored])) is overlaps
    assert overlapping(entry, [stored], but=stored.pk) == []


def test_the_database_itself_keeps_days_in_order(patient: Patient) -> None:
    from django.db import IntegrityError, transaction

    from patients.models import Treatment

    with (
        pytest.raises(IntegrityError, match="treatment_ends_after_it_starts"),
        audit.revision(by=audit.service_account()),
        transaction.atomic(),
    ):
        Treatment.objects.create(
            patient=patient, kind="plasma", started_on=DAY, ended_on=DAY - timedelta(days=1)
        )
