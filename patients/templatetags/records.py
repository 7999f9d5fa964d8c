"""Verified, signed, locked: marks and locks for the heads of any page of a subject."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import template

from patients import locks, marks, signatures, verifications
from patients.locks import Lock
from patients.marks import Marks
from patients.models import Patient, Visit
from patients.verifications import Share
from trial.clock import zone

register = template.Library()


@register.simple_tag
def lock_on(patient: Patient, visit: Visit | None = None) -> Lock | None:
    """Return the lock on a visit or on a subject's other records; a visit not saved yet has that of the subject."""
    return locks.lock_on(patient, visit if visit is not None and visit.pk else None)


@register.inclusion_tag("patients/_marks.html")
def casebook_marks(patient: Patient) -> dict[str, Any]:
    """Show whether a casebook is signed and locked; the share that is verified stands on its own page."""
    signed = signatures.by_visit(signatures.signatures(patient, only_casebook=True)).get(None)
    return {"marks": Marks(Share(), signed, locks.lock_on(patient))}


@register.inclusion_tag("patients/_marks.html")
def visit_marks(patient: Patient, visit: Visit) -> dict[str, Any]:
    """Show what is verified, signed and locked of one visit."""
    return {"marks": marks.of_visit(patient, visit)}


@register.simple_tag
def marks_of_visits(patient: Patient, visits: Any) -> Mapping[int, Marks]:
    """Return the marks of several visits by key, for a table that shows them all."""
    return marks.of_visits(patient, list(visits))


@register.simple_tag
def verified_rows(patient: Patient, table: str = verifications.LABS) -> Mapping[int, dict[str, Any]]:
    """Return by row of a table who verified it, in words, and whether it changed since."""
    place = zone(patient.site)
    return {
        row: {"words": mark.words(place), "is_current": mark.is_current}
        for (_table, row), mark in verifications.marks(patient, table).items()
    }
