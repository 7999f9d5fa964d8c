"""What monitors, physicians and coordinators of the demonstration did lately, through the actions of the ward."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from django.core.exceptions import ValidationError

from analytics.synthetic_study import Study
from infusions.actions.planning import plan_infusion
from infusions.models import CellLot
from patients import casebook_rows, grading, worklist
from patients.actions import queries, verification
from patients.actions.events import EventEntry, record_event
from patients.actions.queries import About
from patients.actions.signing import sign
from patients.models import Patient, Visit
from patients.schedule import State
from patients.verifications import items
from trial import protocol
from trial.models import User

GRADED = 3
"""Subjects of the first site of whom a laboratory value became an adverse event."""
VERIFIED, SIGNED = 9, 4
"""Subjects of the first site whose values were compared with the source, and of those, signed."""
_QUESTIONS = (
    (
        "inr",
        "The report of this day shows another INR. Please look again.",
        "Read again: the report was amended.",
    ),
    ("tbil", "Was this bilirubin drawn before the infusion of that day?", ""),
    ("platelets", "Low platelets: clotted sample?", ""),
)


def recent_work(study: Study, people: Mapping[str, User]) -> None:
    """Verify, sign, ask and plan at the first site."""
    subjects = _finished(people["li.min"])
    _record_from_labs(subjects, people["li.min"])
    _verify(subjects[:VERIFIED], people["chen.yu"])
    _sign(subjects[:SIGNED], people["zhou.hui"])
    _ask(subjects[VERIFIED:], people["chen.yu"], people["li.min"])
    _plan(study, people["li.min"])


def _finished(coordinator: User) -> list[Patient]:
    """Return subjects of a site with their first three visits entered, the latest recruited first."""
    found = Patient.objects.filter(site=coordinator.site, status=Patient.Status.ENROLLED)
    for week in protocol.WEEKS[:3]:
        found = found.filter(visits__week=week)
    return list(found.order_by("-recruited_on", "subject_id"))


def _record_from_labs(subjects: list[Patient], by: User) -> None:
    """Record the gravest laboratory value of a few subjects as an adverse event, as the page of grades offers it."""
    gravest = (
        next((one for one in grading.proposals(patient) if one.proposed), None) for patient in subjects
    )
    dated = ((one, one.result.visit.visited_on) for one in gravest if one is not None)
    for one, day in islice(((one, day) for one, day in dated if day is not None), GRADED):
        record_event(
            patient=one.result.patient,
            entry=EventEntry(
                term=one.term,
                grade=one.proposed,
                onset_on=day,
                relation="unlikely",
                action="none",
                result="recovering",
                lab_result_id=one.result.pk,
            ),
            by=by,
        )


def _verify(subjects: list[Patient], by: User) -> None:
    for patient in subjects:
        found = [
            item
            for week in protocol.WEEKS[:2]
            for visit in Visit.objects.valid().filter(patient=patient, week=week)
            for item in items(patient, visit=visit)
        ]
        verification.verify(
            patient=patient,
            rows=[verification.Claim(item.table, item.row, item.version) for item in found],
            by=by,
        )


def _sign(subjects: list[Patient], by: User) -> None:
    for patient in subjects:
        visit = Visit.objects.valid().get(patient=patient, week=protocol.BASELINE_WEEK)
        digest = casebook_rows.read(patient, only_visits=True).digest(visit.pk)
        sign(patient=patient, meaning="reviewed", digest=digest, by=by, visit=visit)


def _ask(subjects: list[Patient], monitor: User, coordinator: User) -> None:
    for patient, (analyte, question, answer) in zip(subjects, _QUESTIONS, strict=False):
        visit = Visit.objects.valid().filter(patient=patient, week=protocol.WEEKS[2]).first()
        if visit is None:
            continue
        asked = queries.open_query(
            patient=patient, about=About(topic="visit", visit=visit), field=analyte, text=question, by=monitor
        )
        if answer:
            queries.answer_query(query=asked, text=answer, by=coordinator)


def _plan(study: Study, by: User) -> None:
    """Set a bag aside for the next infusions of the coordinator's site, where a lot may be given."""
    lot = (
        CellLot.objects.filter(
            site=by.site, release__in=("released", "conditional"), expires_on__gte=study.today
        )
        .order_by("-expires_on")
        .first()
    )
    waiting = (
        task
        for task in worklist.dated_tasks(by)
        if task.is_infusion and task.appointment is not None and task.appointment.state is not State.OVERDUE
    )
    for task in islice(waiting, 4):
        appointment = task.appointment
        assert appointment is not None
        day = max(appointment.due_on or study.today, study.today)
        if lot is not None and lot.expires_on is not None and day > lot.expires_on:
            day = lot.expires_on
        try:
            plan_infusion(patient=task.patient, number=appointment.number, planned_on=day, lot=lot, by=by)
        except ValidationError:
            # too soon after the last one, or no bag left: the queue shows it as not planned
            continue
