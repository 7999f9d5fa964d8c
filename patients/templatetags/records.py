"""Verified, signed, locked: marks and locks for the heads of any page of a subject."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import template
from django.template.base import FilterExpression, Parser, Token
from django.utils.html import format_html
from django.utils.safestring import SafeString

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


class LockedFields(template.Node):
    """What is typed into a record; of a locked one nothing can be."""

    def __init__(
        self, fields: template.NodeList, patient: FilterExpression, visit: FilterExpression | None
    ) -> None:
        self.nodelist, self.patient, self.visit = fields, patient, visit

    def render(self, context: template.Context) -> SafeString:
        """Render the fields, inside a disabled fieldset when the record is locked."""
        fields = self.nodelist.render(context)
        visit = self.visit.resolve(context, ignore_failures=True) if self.visit else None
        if not locks.rule_of(self.patient.resolve(context), visit or None):
            return fields
        return format_html('<fieldset class="locked-form" disabled>{}</fieldset>', fields)


@register.tag
def locked_fields(parser: Parser, token: Token) -> LockedFields:
    """Disable the fields up to ``{% endlocked_fields %}`` while ``{% locked_fields patient visit %}`` is locked.

    The head of the page says who locked it and why. The visit is left out for
    records of the subject that belong to none.
    """
    _name, patient, *visit = token.split_contents()
    fields = parser.parse(("endlocked_fields",))
    parser.delete_first_token()
    return LockedFields(
        fields, parser.compile_filter(patient), parser.compile_filter(visit[0]) if visit else None
    )


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
    return verified_tables(patient, table)[table]


@register.simple_tag
def verified_tables(patient: Patient, *tables: str) -> Mapping[str, Mapping[int, dict[str, Any]]]:
    """Return the same of several tables, by table and row; one query, and one per table that has marks."""
    place = zone(patient.site)
    found: dict[str, dict[int, dict[str, Any]]] = {table: {} for table in tables}
    for (table, row), mark in verifications.marks(patient, *tables).items():
        found[table][row] = {"words": mark.words(place), "is_current": mark.is_current}
    return found
