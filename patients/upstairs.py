"""Rows that lie on the floors above and hang on a subject, reached by the name of their relation."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from django.db.models import QuerySet

from patients.models import Patient

PLACES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "infusions_infusion": ("number",),
        "infusions_plannedinfusion": ("number",),
        "infusions_coursedecision": (),
    }
)
"""Tables up there in which two valid rows of one subject cannot stand in the same place, and what a place is."""


def infusions() -> QuerySet[Any]:
    """Return the infusions of all subjects, the voided ones too."""
    return _related("infusions")


def vitals() -> QuerySet[Any]:
    """Return the vital signs of all infusions."""
    model: Any = infusions().model._meta.get_field("vitals").related_model
    rows: QuerySet[Any] = model._default_manager.all()
    return rows


def course_decisions() -> QuerySet[Any]:
    """Return the decisions on the course of all subjects, the voided ones too."""
    return _related("course_decisions")


def scores() -> QuerySet[Any]:
    """Return the computed scores of all visits, each from the run that changed it."""
    return _related("scores")


def _related(name: str) -> QuerySet[Any]:
    model: Any = Patient._meta.get_field(name).related_model
    rows: QuerySet[Any] = model._default_manager.all()
    return rows
