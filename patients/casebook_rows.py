"""Reading what a signature covers: one subject's valid rows, in as many queries as there are tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from django.db.models import QuerySet

from patients import casebook, upstairs
from patients.models import (
    AdverseEvent,
    LabResult,
    Outcome,
    Patient,
    Screening,
    ScreeningAnswer,
    ScreeningFact,
    Treatment,
    Visit,
)

_LOOKUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "laboratory": ("laboratory__code",),
        "lot": ("lot__code",),
        "visit": ("visit__week", "visit__visited_on"),
        "screening": ("screening__screened_on",),
        "infusion": ("infusion__number",),
        "lab_result": ("lab_result__analyte", "lab_result__visit__week", "lab_result__visit__visited_on"),
    }
)
"""How a row that another one refers to is named without a key of the database."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One row with its keys beside it, which are never signed."""

    pk: int
    visit: int | None
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Casebook:
    """What is recorded about a subject: valid rows by table."""

    patient: Patient
    tables: Mapping[str, Sequence[Kept]]

    def document(self, visit: int | None = None) -> dict[str, Any]:
        """Return what is signed: one visit, or everything."""
        tables = {
            name: [row.fields for row in rows if visit is None or row.visit == visit]
            for name, rows in self.tables.items()
        }
        return casebook.document(self.patient.subject_id, tables, is_visit=visit is not None)

    def digest(self, visit: int | None = None) -> str:
        """Return the digest of one visit, or of everything."""
        return casebook.digest(self.document(visit))


def read(patient: Patient, *, only_visits: bool = False) -> Casebook:
    """Read what can be signed of a subject; ``only_visits`` leaves out what no visit's signature covers."""
    sources = {
        name: rows
        for name, rows in _sources(patient).items()
        if not only_visits or name in casebook.OF_A_VISIT
    }
    return Casebook(patient, {name: _rows(name, rows) for name, rows in sources.items()})


def _sources(patient: Patient) -> Mapping[str, QuerySet[Any]]:
    valid = {"patient": patient, "voided_at__isnull": True}
    screened = {"patient": patient, "screening__voided_at__isnull": True}
    return {
        "patients_patient": Patient.objects.filter(pk=patient.pk),
        "patients_visit": Visit.objects.filter(**valid),
        "patients_labresult": LabResult.objects.filter(patient=patient, visit__voided_at__isnull=True),
        "patients_screening": Screening.objects.filter(**valid),
        "patients_screeninganswer": ScreeningAnswer.objects.filter(**screened),
        "patients_screeningfact": ScreeningFact.objects.filter(**screened),
        "patients_adverseevent": AdverseEvent.objects.filter(**valid),
        "patients_treatment": Treatment.objects.filter(**valid),
        "patients_outcome": Outcome.objects.filter(**valid),
        "infusions_infusion": upstairs.infusions().filter(**valid),
        "infusions_vitalsigns": upstairs.vitals().filter(patient=patient, infusion__voided_at__isnull=True),
        "infusions_coursedecision": upstairs.course_decisions().filter(**valid),
    }


def _rows(table: str, rows: QuerySet[Any]) -> Sequence[Kept]:
    fields = casebook.SIGNED[table]
    lookups = [_LOOKUPS.get(field, (field,)) for field in fields]
    keys = ["pk", *_visit_key(table)]
    flat = [lookup for group in lookups for lookup in group]
    found = []
    for row in rows.order_by("pk").values_list(*keys, *flat):
        values = iter(row[len(keys) :])
        named = {
            field: _one([next(values) for _ in group]) for field, group in zip(fields, lookups, strict=True)
        }
        found.append(Kept(row[0], row[1] if len(keys) > 1 else None, named))
    return found


def _visit_key(table: str) -> Iterable[str]:
    match table:
        case "patients_visit":
            return ("id",)
        case "patients_labresult":
            return ("visit_id",)
    return ()


def _one(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else values
