"""What tests need to exist, made the way the ward makes it: through actions, under a revision."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING, Any

from django.db import connection
from django.utils import timezone

from trial import audit, protocol
from trial.models import Site, User
from trial.roles import Role

if TYPE_CHECKING:
    from analytics.models import Snapshot
    from infusions.models import CellLot, CourseDecision, Infusion
    from patients.models import (
        AdverseEvent,
        DataQuery,
        Laboratory,
        Outcome,
        Patient,
        ReferenceRange,
        Treatment,
        Visit,
    )

SITES = {"GE": "Guangzhou East", "GS": "Guangzhou South"}
RECRUITED_ON = date(2024, 1, 8)
_numbers = count(1)


@contextmanager
def by_the_software() -> Iterator[None]:
    """Write as the service account, in a revision that is finished before the test writes its own."""
    with audit.revision(by=audit.service_account(), reason="made for a test", source="tests"):
        yield
    settle()


def settle() -> None:
    """Number what was written, as the commit would; in a committed test it is numbered already."""
    if connection.in_atomic_block:
        audit.settle()


def a_site(*, code: str = "GE", name: str = "") -> Site:
    """Return the hospital with this code."""
    found = Site.objects.filter(code=code).first()
    if found is None:
        with by_the_software():
            found = Site.objects.create(code=code, name=name or SITES.get(code, code))
    return found


def a_user(
    *, username: str, role: Role | None, site: Site | None = None, password: str | None = None, **fields: Any
) -> User:
    """Return a new account; without a password nobody can log in through the form."""
    user = User(username=username, role=role.value if role else "", site=site, **fields)
    if password is None:
        user.set_unusable_password()
    else:
        user.set_password(password)
    with by_the_software():
        user.save(force_insert=True)
    return user


def a_patient(*, site: Site | None = None, by: User | None = None, **fields: Any) -> Patient:
    """Return an enrolled subject with cirrhosis, unless told otherwise."""
    from patients import actions

    given: dict[str, Any] = {
        "subject_id": f"T-{next(_numbers):05d}",
        "sex": protocol.Sex.MALE,
        "birth_date": date(1975, 5, 4),
        "diagnosis": protocol.Diagnosis.CIRRHOSIS,
        "recruited_on": RECRUITED_ON,
        "planned_course": protocol.Course.STANDARD,
    }
    if "age" in fields:
        del given["birth_date"]
    patient: Patient = actions.enrol(
        by=by or audit.service_account(), site=site or a_site(), reason="made for a test", **(given | fields)
    )
    settle()
    return patient


def _entries(values: dict[str, object]) -> list[Any]:
    from patients import actions

    return [
        actions.LabEntry(
            analyte=code,
            value=Decimal(str(value)),
            comparator="",
            typed_text=str(value),
            typed_unit=protocol.ANALYTES[code].unit,
            missing_reason="",
        )
        for code, value in values.items()
    ]


def a_visit(
    patient: Patient, week: int, visited_on: date | None = None, *, by: User | None = None, **values: object
) -> Visit:
    """Return the visit of a week, with labs in standard units: ``a_visit(p, 0, tbil="171", inr="1.8")``."""
    from patients import actions
    from patients.models import Visit

    day = visited_on or (patient.recruited_on or RECRUITED_ON) + timedelta(days=7 + 7 * week)
    actions.record_labs(
        patient=patient,
        week=week,
        visited_on=day,
        entries=_entries(values),
        by=by or audit.service_account(),
        reason="made for a test",
    )
    settle()
    return Visit.objects.get(patient=patient, week=week, voided_at=None)


def a_draw(patient: Patient, drawn_on: date | None = None, **values: object) -> Visit:
    """Return an unscheduled draw with labs in standard units."""
    from patients import actions
    from patients.models import Visit

    day = drawn_on or (patient.recruited_on or RECRUITED_ON) + timedelta(days=45)
    actions.record_labs(
        patient=patient,
        week=None,
        visited_on=day,
        entries=_entries(values),
        by=audit.service_account(),
        reason="made for a test",
    )
    settle()
    return Visit.objects.get(patient=patient, week=None, visited_on=day, voided_at=None)


def an_infusion(
    patient: Patient, number: int, given_on: date | None = None, *, by: User | None = None, **fields: Any
) -> Infusion:
    """Return an infusion on the day it was due, at the target dose for 60 kg, of a lot nobody wrote down.

    The row and the queries about the course are those that the action leaves; its refusals have tests of their own.
    """
    from infusions import dosing, selectors
    from infusions.actions.agreement import ask_about_course
    from infusions.models import Infusion
    from infusions.particulars import facts

    given: dict[str, Any] = {
        "weight_kg": Decimal("60.0"),
        "cells": Decimal(60_000_000),
        "volume_ml": Decimal("100.0"),
        "deviation": "not_documented",
    }
    day = given_on or (patient.recruited_on or RECRUITED_ON) + timedelta(days=7 * number)
    by = by or audit.service_account()
    with audit.revision(by=by, reason="made for a test", source="infusion"):
        infusion = Infusion.objects.create(patient=patient, number=number, given_on=day, **(given | fields))
        decision = selectors.decision_of(patient)
        so_far = [facts(each) for each in Infusion.objects.valid().filter(patient=patient)]
        if dosing.disagreements(so_far, decision.decision if decision else ""):
            ask_about_course(patient, by=by)
    settle()
    return infusion


def a_lot(code: str, expires_on: date | None = None, *, release: str = "released", **fields: Any) -> CellLot:
    """Return a lot that may be given, unless told otherwise."""
    from infusions.models import CellLot

    with by_the_software():
        return CellLot.objects.create(code=code, expires_on=expires_on, release=release, **fields)


def a_decision(patient: Patient, decision: str = "prolong", decided_on: date | None = None) -> CourseDecision:
    """Return the decision about a subject's course, by default to prolong it when the fifth is due."""
    from infusions.models import CourseDecision

    day = decided_on or (patient.recruited_on or RECRUITED_ON) + timedelta(days=35)
    with by_the_software():
        return CourseDecision.objects.create(
            patient=patient, decision=decision, decided_on=day, grounds="TBIL falls", decided_by="Zhou Hui"
        )


def an_outcome(patient: Patient, kind: str = "completed", happened_on: date | None = None) -> Outcome:
    """Return an outcome of the subject, by default the end of the study as planned."""
    from patients import actions
    from patients.models import Outcome

    day = happened_on or (patient.recruited_on or RECRUITED_ON) + timedelta(days=180)
    actions.record_outcome(
        patient=patient,
        kind=protocol.OutcomeKind(kind),
        happened_on=day,
        by=audit.service_account(),
        reason="made for a test",
    )
    settle()
    return Outcome.objects.get(patient=patient, kind=kind, voided_at=None)


def a_query(
    patient: Patient, *, by: User, visit: Visit | None = None, field: str = "", text: str = "Which report?"
) -> DataQuery:
    """Return an open question of a person on a subject, or on a value of one of its visits."""
    from patients.actions.queries import About, open_query

    about = About(topic="subject") if visit is None else About(topic="visit", visit=visit)
    query = open_query(patient=patient, about=about, field=field, text=text, by=by)
    settle()
    return query


def an_event(
    patient: Patient,
    term: str = "Fever",
    grade: int = 2,
    onset_on: date | None = None,
    *,
    by: User | None = None,
    **fields: Any,
) -> AdverseEvent:
    """Return an adverse event, by default one that is not serious, in the third week."""
    from patients import actions

    event = actions.record_event(
        patient=patient,
        entry=actions.EventEntry(
            term=term,
            grade=grade,
            onset_on=onset_on or (patient.recruited_on or RECRUITED_ON) + timedelta(days=15),
            **fields,
        ),
        by=by or audit.service_account(),
        reason="made for a test",
    )
    settle()
    return event


def a_treatment(
    patient: Patient,
    kind: str = "plasma",
    started_on: date | None = None,
    *,
    by: User | None = None,
    **fields: Any,
) -> Treatment:
    """Return a treatment of the subject."""
    from patients import actions

    treatment = actions.record_treatment(
        patient=patient,
        entry=actions.TreatmentEntry(
            kind=kind,
            started_on=started_on or (patient.recruited_on or RECRUITED_ON) + timedelta(days=13),
            **fields,
        ),
        by=by or audit.service_account(),
        reason="made for a test",
    )
    settle()
    return treatment


def a_laboratory(code: str = "GE-LAB", *, site: Site | None = None, name: str = "") -> Laboratory:
    """Return a new laboratory, without a site one that serves all."""
    from patients.actions import laboratories

    made = laboratories.create_laboratory(
        code=code, name=name or f"Laboratory {code}", site=site, by=audit.service_account()
    )
    settle()
    return made


def a_range(
    laboratory: Laboratory, analyte: str, low: str | None, high: str | None, **fields: Any
) -> ReferenceRange:
    """Return a new range in the standard unit, of both sexes and all ages from 2024 on unless told otherwise."""
    from patients.actions import laboratories

    given: dict[str, Any] = {
        "low": None if low is None else Decimal(low),
        "high": None if high is None else Decimal(high),
        "unit": protocol.ANALYTES[analyte].unit,
        "valid_from": date(2024, 1, 1),
    }
    made = laboratories.add_range(
        laboratory=laboratory,
        entry=laboratories.RangeEntry(analyte=analyte, **(given | fields)),
        by=audit.service_account(),
    )
    settle()
    return made


def measured_by(laboratory: Laboratory | None, patient: Patient) -> None:
    """Say who measured all results of a subject so far."""
    from patients.models import LabResult

    with by_the_software():
        LabResult.objects.filter(patient=patient).update(laboratory=laboratory)


def a_snapshot(by: User) -> Snapshot:
    """Return a snapshot of an empty study, without the seconds that computing one takes."""
    from analytics.models import Snapshot, SnapshotBlock

    named = [
        {"file": f"{name}.csv", "sha256": hashlib.sha256(b"").hexdigest()} for name in ("subjects", "cells")
    ]
    manifest = json.dumps({"environment": {"python": "3"}, "files": named})
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for file in named:
            archive.writestr(file["file"], b"")
        archive.writestr("manifest.json", manifest)
    frozen = Snapshot.objects.create(
        title="Interim look",
        purpose="safety board",
        made_by=by,
        made_at=timezone.now(),
        revision=0,
        run=0,
        code_version="x",
        manifest=manifest,
        sha256=hashlib.sha256(manifest.encode()).hexdigest(),
        size=len(packed.getvalue()),
    )
    SnapshotBlock.objects.create(snapshot=frozen, place=0, content=packed.getvalue())
    return frozen
