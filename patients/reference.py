"""The reference range of each result, as it was in force where and when it was measured.

One query however many results; what is worked out is in :mod:`patients.ranges`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime

from django.db.models import prefetch_related_objects

from patients import ranges
from patients.models import Laboratory, LabResult, Patient, ReferenceRange, Visit
from patients.ranges import Range, Reference, Step
from trial import clock, protocol
from trial.protocol import Limits

__all__ = ["Reference", "Step", "bands", "ranges_of", "references", "references_for", "steps_for"]


def ranges_of(laboratories: Iterable[int]) -> list[Range]:
    """Return the valid ranges of laboratories, by their ids, in one query; none for none."""
    wanted = sorted(set(laboratories))
    if not wanted:
        return []
    rows = ReferenceRange.objects.filter(laboratory__in=wanted, voided_at__isnull=True)
    return [as_range(row) for row in rows.select_related("laboratory")]


def as_range(row: ReferenceRange) -> Range:
    """Return a stored range as the pure rules take it."""
    return Range(
        laboratory=row.laboratory_id,
        analyte=row.analyte,
        sex=row.sex,
        age_from=row.age_from,
        age_to=row.age_to,
        valid_from=row.valid_from,
        valid_to=row.valid_to,
        limits=Limits(row.low, row.high),
        laboratory_name=row.laboratory.name,
    )


def drawn_on(visit: Visit, patient: Patient, sampled_at: datetime | None = None) -> date | None:
    """Return the day of a draw at the subject's site, or None when it is not known."""
    if visit.visited_on is not None or sampled_at is None:
        return visit.visited_on
    return sampled_at.astimezone(clock.zone(patient.site)).date()


def references_for(results: Sequence[LabResult]) -> dict[int, Reference]:
    """Return the reference of each result by its id, in a constant number of queries.

    Visits, subjects and sites are loaded for all at once where they are not there yet.
    """
    prefetch_related_objects(list(results), "visit", "patient__site")
    known = ranges_of(r.laboratory_id for r in results if r.laboratory_id is not None)
    found = {}
    for result in results:
        day = drawn_on(result.visit, result.patient, result.sampled_at)
        found[result.pk] = ranges.in_force(
            known,
            laboratory=result.laboratory_id,
            analyte=result.analyte,
            sex=result.patient.sex,
            age=None if day is None else result.patient.age_on(day),
            day=day,
        )
    return found


def references(patient: Patient, *, laboratory: Laboratory | None, day: date | None) -> dict[str, Reference]:
    """Return the reference of every analyte for a draw that is not stored yet, in one query at most."""
    known = ranges_of([] if laboratory is None else [laboratory.pk])
    age = None if day is None else patient.age_on(day)
    return {
        analyte.code: ranges.in_force(
            known,
            laboratory=None if laboratory is None else laboratory.pk,
            analyte=analyte.code,
            sex=patient.sex,
            age=age,
            day=day,
        )
        for analyte in protocol.PANEL
    }


def steps_for(patient: Patient, results: Iterable[LabResult]) -> Mapping[str, Sequence[Step]]:
    """Return by analyte how the reference of a subject changes over time, in one query.

    ``results`` are the subject's, with their visits loaded; those without a value count too.
    """
    stays: dict[str, dict[date, int | None]] = {}
    laboratories: set[int] = set()
    for result in results:
        day = drawn_on(result.visit, patient, result.sampled_at)
        if day is not None:
            stays.setdefault(result.analyte, {})[day] = result.laboratory_id
        if result.laboratory_id is not None:
            laboratories.add(result.laboratory_id)
    known = ranges_of(laboratories)
    return {
        analyte.code: ranges.steps(
            known,
            sorted(stays.get(analyte.code, {}).items(), key=lambda stay: stay[0]),
            analyte=analyte.code,
            sex=patient.sex,
            age_on=patient.age_on,
        )
        for analyte in protocol.PANEL
    }


def bands(patient: Patient, analyte: str) -> list[tuple[date | None, date | None, Limits]]:
    """Return the first and last day and the limits of each reference of a subject over time."""
    results = LabResult.objects.filter(patient=patient, analyte=analyte, visit__voided_at__isnull=True)
    found = steps_for(patient, results.select_related("visit"))[analyte]
    return [(step.first, step.last, step.reference.limits) for step in found]
