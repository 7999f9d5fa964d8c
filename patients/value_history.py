"""One laboratory value through time: what was typed, by whom, when and why it changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from django.utils.translation import gettext as _

from patients.models import Laboratory, LabResult, Patient
from trial import protocol, trail_words, value_reasons
from trial.models import AuditEntry, User
from trial.unit_words import unit_said

SHOWN = ("value", "comparator", "typed_text", "typed_unit", "missing_reason", "laboratory_id", "sampled_at")
"""What makes a version: a row that was written without one of these changing is none."""
LABS = LabResult._meta.db_table
MOST = 200


@dataclass(frozen=True, slots=True)
class Version:
    """What a value was from a revision on.

    ``value`` is in the standard unit and written in full; ``missing`` says why there is
    none. ``why`` and ``note`` are the reason of the revision, coded and in words.
    """

    revision: int
    made_at: datetime
    who: User
    why: str
    note: str
    source: str
    value: str
    missing: str
    typed: str
    laboratory: str
    is_gone: bool


@dataclass(frozen=True, slots=True)
class Draw:
    """One visit at which the analyte stands, with its versions, newest first."""

    visited_on: Any
    is_void: bool
    versions: tuple[Version, ...]


def of(patient: Patient, week: int, analyte: str) -> list[Draw]:
    """Return every version of an analyte of one week, the valid visit first. Three queries.

    Parameters
    ----------
    patient
        Must be visible to the reader; this function does not ask.
    week
        A week of the protocol. A week that was voided and entered anew has two draws.
    analyte
        A code of the panel.
    """
    results = {
        result.pk: result
        for result in LabResult.objects.filter(
            patient=patient, visit__week=week, analyte=analyte
        ).select_related("visit")
    }
    entries = list(
        AuditEntry.objects.filter(table=LABS, row__in=list(results), revision__number__isnull=False)
        .select_related("revision__actor")
        .order_by("-pk")[: MOST * max(1, len(results))]
    )
    names = _laboratories(entries)
    draws = [
        Draw(
            result.visit.visited_on,
            result.visit.voided_at is not None,
            tuple(
                _version(
                    entry,
                    names,
                    value_reasons.named(patient.subject_id, f"W{week}", analyte),
                )
                for entry in entries
                if entry.row == result.pk and _is_version(entry)
            ),
        )
        for result in results.values()
    ]
    return sorted(draws, key=lambda draw: draw.is_void)


def _laboratories(entries: list[AuditEntry]) -> dict[int, str]:
    named = {row.get("laboratory_id") for entry in entries if (row := entry.new or entry.old)}
    found = Laboratory.objects.filter(pk__in=[pk for pk in named if pk])
    return {laboratory.pk: laboratory.name for laboratory in found}


def _is_version(entry: AuditEntry) -> bool:
    before, after = entry.old or {}, entry.new or {}
    return entry.op != AuditEntry.Op.UPDATE or any(before.get(name) != after.get(name) for name in SHOWN)


def _version(entry: AuditEntry, laboratories: Mapping[int, str], value: str) -> Version:
    row = entry.new or entry.old or {}
    revision = entry.revision
    # an import has one reason for all of its values, and a coded one for those that it replaced
    why, note = (
        value_reasons.of_value(revision.reason, value) if entry.op == AuditEntry.Op.UPDATE else ("", "")
    )
    why, note = (_(why), note) if why else trail_words.reason_parts(value_reasons.whole(revision.reason))
    missing = row.get("missing_reason") or ""
    labels = {reason.code: reason.label for reason in protocol.MISSING_REASONS}
    unit = unit_said(row.get("typed_unit") or "")
    return Version(
        revision=revision.number or 0,
        made_at=revision.made_at,
        who=revision.actor,
        why=why,
        note=note,
        source=revision.source,
        value=f"{row.get('comparator') or ''}{_plain(row.get('value'))}",
        missing=_(labels.get(missing, missing)) if missing else "",
        typed=f"{row.get('typed_text') or ''} {unit}".strip(),
        laboratory=laboratories.get(row.get("laboratory_id") or 0, ""),
        is_gone=entry.op == AuditEntry.Op.DELETE,
    )


def _plain(stored: Any) -> str:
    """Return an exact number without the zeros that only its column adds."""
    if stored is None:
        return ""
    try:
        return f"{Decimal(str(stored)).normalize():f}"
    except InvalidOperation:
        return str(stored)
