"""Planning, calling off, deciding, vital signs, and what a course that disagrees asks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.core.exceptions import PermissionDenied, ValidationError
from django.test import Client
from django.urls import reverse

from infusions import actions, dosing, selectors
from infusions.dosing import Given
from infusions.models import CellLot, CourseDecision, Infusion, PlannedInfusion, VitalSigns
from infusions.particulars import Particulars
from infusions.vitals import Vitals
from patients import worklist
from patients.models import DataQuery, Outcome, Patient
from tests.factories import RECRUITED_ON, a_decision, a_lot, a_patient, an_infusion, an_outcome, settle
from trial import audit, protocol
from trial.models import AuditEntry, Site, User
from trial.refusals import Conflict

pytestmark = pytest.mark.django_db

SignIn = Callable[[User], Client]
FIRST = RECRUITED_ON + timedelta(days=7)


@pytest.fixture(autouse=True)
def _today() -> Any:
    """It is the day the first infusion is due, ten in the morning in Guangzhou."""
    with time_machine.travel(f"{FIRST}T02:00:00Z", tick=True):
        yield


@pytest.fixture
def patient(sites: dict[str, Site]) -> Patient:
    return a_patient(
        site=sites["GE"],
        subject_id="GE-001",
        diagnosis=protocol.Diagnosis.LIVER_FAILURE,
        planned_course=protocol.Course.PROLONGED,
    )


@pytest.fixture
def lot(patient: Patient) -> CellLot:
    return a_lot("UC-2607-A", FIRST + timedelta(days=30), bags=1)


def plan(patient: Patient, by: User, number: int = 1, **more: Any) -> PlannedInfusion:
    more.setdefault("planned_on", RECRUITED_ON + timedelta(days=7 * number))
    made = actions.plan_infusion(patient=patient, number=number, by=by, **more)
    settle()
    return made


def give(patient: Patient, by: User, lot: CellLot, number: int = 1, **more: Any) -> Infusion:
    given: dict[str, Any] = {
        "given_on": RECRUITED_ON + timedelta(days=7 * number),
        "weight_kg": Decimal(60),
        "cells": Decimal(60_000_000),
    }
    recorded = actions.give_infusion(patient=patient, number=number, by=by, lot=lot, **(given | more))
    settle()
    return recorded.infusion


# --- planning -------------------------------------------------------------------------------


def test_the_last_bag_is_promised_once_and_giving_it_uses_the_promise(
    patient: Patient, lot: CellLot, coordinator: User, sites: dict[str, Site]
) -> None:
    other = a_patient(site=sites["GE"], subject_id="GE-002")
    plan(patient, coordinator, lot=lot, planned_at=time(9))
    assert selectors.lot_facts(lot).bags_left == 0
    with pytest.raises(ValidationError, match="given or set aside"):
        plan(other, coordinator, lot=lot)
    [task] = [
        t
        for t in worklist.tasks(coordinator)
        if t.is_infusion and t.patient == patient and t.appointment.number == 1
    ]  # type: ignore[union-attr]
    assert "lot UC-2607-A reserved" in task.note and not task.warning
    with audit.revision(by=coordinator, reason="bacteria found", source="test"):
        CellLot.objects.filter(pk=lot.pk).update(release="recalled")
    [warning] = [t.warning for t in worklist.tasks(coordinator) if t.warning]
    assert warning == "reserved lot UC-2607-A is recalled: plan another"
    with audit.revision(by=coordinator, reason="another lot was meant", source="test"):
        CellLot.objects.filter(pk=lot.pk).update(release="released")
    give(patient, coordinator, lot)
    assert selectors.lot_facts(lot).bags_left == 0
    assert not selectors.open_plans().exists()


def test_who_is_lost_keeps_no_bag(
    patient: Patient, lot: CellLot, coordinator: User, sites: dict[str, Site]
) -> None:
    other = a_patient(site=sites["GE"], subject_id="GE-002")
    plan(patient, coordinator, lot=lot)
    lost = an_outcome(patient, "lost", FIRST)
    assert selectors.lot_facts(lot).bags_left == 1
    assert selectors.planned_soon(coordinator, FIRST, days=7) == []
    with audit.revision(by=coordinator, reason="came back", source="test"):
        Outcome.objects.filter(pk=lost.pk).update(happened_on=FIRST + timedelta(days=1))
    assert selectors.lot_facts(lot).bags_left == 0
    with pytest.raises(ValidationError, match="given or set aside"):
        plan(other, coordinator, lot=lot)


def test_a_plan_is_moved_by_its_own_bag_and_keeps_its_row(
    patient: Patient, lot: CellLot, coordinator: User
) -> None:
    made = plan(patient, coordinator, lot=lot)
    moved = plan(patient, coordinator, lot=lot, planned_on=FIRST + timedelta(days=1), version=made.version)
    assert (moved.pk, moved.version, moved.planned_on) == (made.pk, 2, FIRST + timedelta(days=1))


def test_two_people_planning_one_infusion_collide_on_the_same_field(
    patient: Patient, lot: CellLot, coordinator: User, data_manager: User
) -> None:
    plan(patient, coordinator, lot=lot)
    plan(patient, data_manager, planned_on=FIRST + timedelta(days=1), version=1)
    with pytest.raises(Conflict) as raised:
        plan(patient, coordinator, lot=lot, planned_on=FIRST + timedelta(days=2), version=1)
    assert "planned_on" in {clash.field for clash in raised.value.clashes}


def test_an_infusion_that_is_called_off_frees_its_bag_and_is_missed(
    patient: Patient, lot: CellLot, coordinator: User
) -> None:
    plan(patient, coordinator, lot=lot)
    with pytest.raises(ValidationError, match="reason of the list"):
        actions.call_off(patient=patient, number=1, because="", by=coordinator, version=1)
    with pytest.raises(ValidationError, match="note"):
        actions.call_off(patient=patient, number=1, because="other", by=coordinator, version=1)
    actions.call_off(patient=patient, number=1, because="too_ill", by=coordinator, version=1)
    settle()
    assert selectors.lot_facts(lot).bags_left == 1
    waiting = {(t.appointment.number, t.is_infusion) for t in worklist.tasks(coordinator) if t.appointment}
    assert (1, True) not in waiting
    give(patient, coordinator, lot)
    assert Infusion.objects.count() == 1, "what was given all the same is recordable"


def test_a_withdrawn_plan_is_as_none(patient: Patient, lot: CellLot, coordinator: User) -> None:
    made = plan(patient, coordinator, lot=lot)
    actions.cancel_plan(plan=made, by=coordinator, version=1)
    settle()
    assert selectors.plans(patient) == []
    with pytest.raises(Conflict):
        actions.cancel_plan(plan=made, by=coordinator, version=1)


def test_the_page_refuses_with_the_rule_and_keeps_what_was_typed(
    patient: Patient, coordinator: User, signed_in: SignIn
) -> None:
    bad = a_lot("UC-BAD", FIRST - timedelta(days=1), release="quarantine")
    address = reverse("infusions:plan", args=["GE-001", 1])
    form = {
        "submission_key": "p",
        "intent": "plan",
        "planned_on": FIRST.isoformat(),
        "planned_at": "0930",
        "lot": str(bad.pk),
        "note": "after breakfast",
        "version": "0",
    }
    client = signed_in(coordinator)
    answer = client.post(address, form)
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "Lot UC-BAD is in quarantine. Pick another lot." in page
    assert "expires on 2024-01-14, before the infusion" in page
    assert 'value="after breakfast"' in page
    first, second = (client.post(address, form | {"lot": ""}) for _ in range(2))
    assert (first.status_code, second.status_code) == (302, 302)
    assert PlannedInfusion.objects.get().planned_at == time(9, 30)


# --- what was given -------------------------------------------------------------------------


@pytest.mark.parametrize("release", ["quarantine", "rejected", "recalled"])
def test_a_lot_that_was_not_released_is_a_deviation_and_never_a_refusal(
    patient: Patient, coordinator: User, release: str
) -> None:
    bad = a_lot("UC-BAD", release=release)
    with pytest.raises(ValidationError, match="Say why"):
        give(patient, coordinator, bad)
    assert give(patient, coordinator, bad, deviation="lot_unavailable").lot == bad


def test_a_conditional_lot_is_no_deviation(patient: Patient, coordinator: User) -> None:
    assert give(patient, coordinator, a_lot("UC-C", release="conditional")).deviation == ""


@pytest.mark.parametrize(
    ("started", "stopped", "possible"),
    [
        ("23:40", "00:20", True),
        ("18:00", "06:00", True),
        ("17:59", "00:20", False),
        ("18:00", "06:01", False),
        ("10:00", "09:00", False),
        ("10:00", "10:00", False),
        ("10:00", "10:01", True),
    ],
)
def test_only_a_late_infusion_runs_past_midnight(
    patient: Patient, lot: CellLot, coordinator: User, started: str, stopped: str, possible: bool
) -> None:
    hours = {"started_at": time.fromisoformat(started), "stopped_at": time.fromisoformat(stopped)}
    if possible:
        assert give(patient, coordinator, lot, **hours).stopped_at == hours["stopped_at"]
    else:
        with pytest.raises(ValidationError, match="Check both times"):
            give(patient, coordinator, lot, **hours)


# --- vital signs ----------------------------------------------------------------------------

WARM = Vitals(temperature_c=Decimal("36.8"), pulse=72)


def test_signs_after_a_day_are_added_without_a_reason_and_changed_only_with_one(
    patient: Patient, lot: CellLot, coordinator: User
) -> None:
    infusion = give(patient, coordinator, lot, vitals={"before": WARM, "h24": Vitals()})
    assert set(selectors.vitals_of(infusion)) == {"before"}
    given = Particulars.of(infusion)
    later = {"before": WARM, "h24": Vitals(temperature_c=Decimal("37.2"))}
    correct: dict[str, Any] = {"infusion": infusion, "given": given, "by": coordinator}
    actions.correct_infusion(**correct, version=1, vitals=later, vitals_seen={"before": WARM})
    settle()
    assert VitalSigns.objects.count() == 2
    hot = {**later, "before": Vitals(temperature_c=Decimal("38.6"), pulse=72)}
    with pytest.raises(ValidationError, match="needs a reason"):
        actions.correct_infusion(**correct, version=2, vitals=hot, vitals_seen=later)
    actions.correct_infusion(**correct, version=2, vitals=hot, vitals_seen=later, reason="typing slip")
    settle()
    assert AuditEntry.objects.filter(table="infusions_vitalsigns", op="U").count() == 1


def test_two_people_at_one_grid_merge_or_collide(
    patient: Patient, lot: CellLot, coordinator: User, data_manager: User
) -> None:
    infusion = give(patient, coordinator, lot, vitals={"before": WARM})
    given = Particulars.of(infusion)
    seen = {"before": WARM}
    common: dict[str, Any] = {"infusion": infusion, "version": 1, "given": given, "vitals_seen": seen}
    actions.correct_infusion(**common, by=coordinator, vitals=seen | {"m15": Vitals(pulse=80)})
    settle()
    actions.correct_infusion(**common, by=data_manager, vitals=seen | {"m30": Vitals(pulse=84)})
    settle()
    assert {m: v.pulse for m, v in selectors.vitals_of(infusion).items()} == {
        "before": 72,
        "m15": 80,
        "m30": 84,
    }
    with pytest.raises(Conflict) as raised:
        actions.correct_infusion(**common, by=data_manager, vitals=seen | {"m15": Vitals(pulse=99)})
    assert [(c.field, c.mine, c.theirs) for c in raised.value.clashes] == [("m15.pulse", "99", "80")]


# --- the decision ---------------------------------------------------------------------------


def decide(patient: Patient, by: User, decision: str = "prolong", **more: Any) -> CourseDecision:
    given = {"grounds": "TBIL falls", "decided_on": FIRST, "decision": decision}
    made = actions.decide_course(patient=patient, by=by, **(given | more))
    settle()
    return made


def test_a_hepatologist_decides_and_a_coordinator_records_who_did(
    patient: Patient, hepatologist: User, coordinator: User, monitor: User
) -> None:
    with pytest.raises(ValidationError, match="which physician decided"):
        decide(patient, coordinator)
    assert decide(patient, hepatologist).decided_by == hepatologist.shown_name
    changed = decide(
        patient, coordinator, "stop", decided_by="Zhou Hui", version=1, reason="checked against the source"
    )
    assert (changed.decision, changed.version) == ("stop", 2)
    with pytest.raises(PermissionDenied):
        decide(patient, monitor)
    with pytest.raises(ValidationError, match="grounds"):
        decide(patient, hepatologist, grounds=" ", version=2)


def test_the_fifth_without_a_decision_is_a_deviation_and_today_says_so(
    patient: Patient, lot: CellLot, coordinator: User
) -> None:
    for number in range(1, 5):
        with time_machine.travel(f"{RECRUITED_ON + timedelta(days=7 * number)}T02:00:00Z"):
            an_infusion(patient, number)
    with time_machine.travel(f"{RECRUITED_ON + timedelta(days=35)}T02:00:00Z"):
        [task] = [t for t in worklist.tasks(coordinator) if t.is_infusion]
        assert "decision to prolong missing, would become A" in task.note
        good = a_lot("UC-NEW")
        with pytest.raises(ValidationError, match="decision to prolong the course is not recorded"):
            give(patient, coordinator, good, 5)
        a_decision(patient)
        [task] = [t for t in worklist.tasks(coordinator) if t.is_infusion]
        assert "missing" not in task.note
        assert give(patient, coordinator, good, 5).deviation == ""


def test_what_a_decision_left_empty_is_filled_in_without_a_reason(
    patient: Patient, coordinator: User, hepatologist: User
) -> None:
    with audit.revision(by=hepatologist, source="import"):
        stored = CourseDecision.objects.create(
            patient=patient, decision="prolong", decided_on=FIRST, grounds="TBIL falls"
        )
    with time_machine.travel(f"{FIRST + timedelta(days=30)}T02:00:00Z"):
        again = actions.decide_course(
            patient=patient,
            decision="prolong",
            grounds="TBIL falls",
            decided_on=FIRST,
            decided_by="Zhou Hui",
            version=stored.version,
            by=coordinator,
        )
    assert (again.pk, again.decided_by, again.version) == (stored.pk, "Zhou Hui", stored.version + 1)


def test_the_planned_course_follows_the_decision(patient: Patient, coordinator: User) -> None:
    assert worklist.record(patient).facts.planned_infusions == 8
    a_decision(patient, "stop")
    assert worklist.record(patient).facts.planned_infusions == 4


# --- where number, time and decision disagree -----------------------------------------------


def days_of(*days: int) -> list[Given]:
    return [Given(number, FIRST + timedelta(days=day)) for number, day in enumerate(days, start=1)]


@pytest.mark.parametrize(
    ("days", "decision", "rules"),
    [
        ((0, 7, 14, 21), "", []),
        ((0, 7, 14, 21, 28), "prolong", []),
        ((0, 6, 12, 18, 24), "", []),
        ((0, 5, 11, 17, 23), "", ["count_long_time_short"]),
        ((0, 10, 21, 32), "", []),
        ((0, 10, 21, 33), "", ["count_short_time_long"]),
        ((0, 7, 14, 21, 28), "stop", ["after_stop"]),
        ((0, 7, 14, 21), "stop", []),
        ((), "stop", []),
    ],
)
def test_a_course_disagrees_on_one_side_of_its_limit(
    days: tuple[int, ...], decision: str, rules: list[str]
) -> None:
    assert [breach.rule.value for breach in dosing.disagreements(days_of(*days), decision)] == rules


def test_a_disagreement_asks_once_and_closes_itself(
    patient: Patient, coordinator: User, hepatologist: User
) -> None:
    with time_machine.travel("2024-03-20T02:00:00Z"):
        for number in range(1, 6):
            an_infusion(patient, number)
        made = decide(patient, hepatologist, "stop")
        assert DataQuery.objects.get().check_code == "after_stop"
        an_infusion(patient, 6)
        query = DataQuery.objects.get()
        assert (query.topic, query.field, query.state) == ("infusion", "course", "open")
        actions.void_decision(decision=made, by=hepatologist, reason="not decided", version=made.version)
        settle()
        query.refresh_from_db()
        assert query.state == "closed"


def test_the_decision_is_read_by_all_and_written_by_few(
    patient: Patient, hepatologist: User, coordinator: User, monitor: User, signed_in: SignIn
) -> None:
    address = reverse("infusions:decide", args=["GE-001"])
    form = {
        "submission_key": "d",
        "decision": "prolong",
        "decided_on": FIRST.isoformat(),
        "decided_by": "",
        "grounds": "TBIL falls",
        "version": "0",
        "reason": "",
        "reason_note": "",
    }
    assert signed_in(monitor).get(address).status_code == 200
    assert signed_in(monitor).post(address, form).status_code == 403
    missing = signed_in(coordinator).post(address, form | {"grounds": ""})
    assert missing.status_code == 422 and set(missing.context["form"].errors) == {"decided_by", "grounds"}
    assert signed_in(hepatologist).post(address, form).status_code == 302
    assert CourseDecision.objects.get().decided_on == date(2024, 1, 15)
