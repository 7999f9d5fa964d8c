"""Marks on the data that somebody asks about: which fields of a subject have a query that is not closed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.urls import reverse
from django.utils.translation import gettext as _

from patients import query_words
from patients.models import DataQuery, Patient
from patients.query_life import State

WHOLE = ""
"""The field of a query about a visit as a whole."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One query that is not closed, as ``patients/_query_mark.html`` shows it beside its field."""

    url: str
    label: str
    is_open: bool


Marks = Mapping[int, Mapping[str, tuple[Mark, ...]]]
"""By visit and field."""


def open_queries(patient: Patient) -> Marks:
    """Return the marks of a subject by visit and field, in one query.

    >>> open_queries(patient).get(visit.pk, {}).get("tbil", ())
    """
    found: dict[int, dict[str, tuple[Mark, ...]]] = {}
    asked = (
        DataQuery.objects.filter(patient=patient, visit__isnull=False)
        .exclude(state=State.CLOSED)
        .select_related("visit")
        .order_by("id")
    )
    for query in asked:
        of_visit = found.setdefault(query.visit_id, {})
        of_visit[query.field] = (*of_visit.get(query.field, ()), _mark(patient, query))
    return found


def open_by_infusion(patient: Patient) -> Mapping[int, tuple[Mark, ...]]:
    """Return the marks of a subject's infusions by number, in one query."""
    found: dict[int, tuple[Mark, ...]] = {}
    asked = DataQuery.objects.filter(patient=patient, topic="infusion").exclude(state=State.CLOSED)
    for query in asked.order_by("id"):
        if query.number is not None:
            found[query.number] = (*found.get(query.number, ()), _mark(patient, query))
    return found


def _mark(patient: Patient, query: DataQuery) -> Mark:
    is_open = query.state == State.OPEN
    pattern = _("open query: %(what)s") if is_open else _("answered query: %(what)s")
    return Mark(
        url=reverse("patients:query", args=[patient.subject_id, query.pk]),
        label=pattern % {"what": query_words.title(query)},
        is_open=is_open,
    )
