"""What a signature covers, as one text that is the same for the same values, and its digest.

Pure. The signed document is JSON with sorted keys and no white space, in UTF-8:

``{"format": "cordline casebook 1", "scope": "visit" | "casebook", "subject": "GE-001", "tables": {...}}``

``tables`` holds for each table a list of rows, each an object of the columns in
:data:`SIGNED`. Numbers that are measured are written as text with every digit
that says something (``"171"``, never ``171.00000000``), days and hours in ISO
8601, moments in UTC, absent values as ``null``. Keys of the database never take
part: a laboratory stands there by its code, a result by its visit's week and
day; rows are sorted by their own text. Voided rows are left out.

A digest is the SHA-256 of that text. Whoever changes what it is made of gives
:data:`FORMAT` another number and keeps the old one computable.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from types import MappingProxyType
from typing import Any

FORMAT = "cordline casebook 1"

Row = Mapping[str, object]

SIGNED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "patients_patient": (
            "subject_id",
            "sex",
            "birth_date",
            "age_at_recruitment",
            "diagnosis",
            "recruited_on",
            "planned_course",
            "status",
        ),
        "patients_visit": ("week", "visited_on", "not_done", "note", "ascites", "encephalopathy"),
        "patients_labresult": (
            "visit",
            "analyte",
            "value",
            "comparator",
            "typed_text",
            "typed_unit",
            "missing_reason",
            "sampled_at",
            "laboratory",
        ),
        "patients_screening": ("screened_on", "protocol_version", "rule_set", "verdict"),
        "patients_screeninganswer": ("screening", "criterion", "answer", "evidence", "evidence_on"),
        "patients_screeningfact": (
            "screening",
            "fact",
            "value",
            "typed_text",
            "typed_unit",
            "happened_on",
            "source",
        ),
        "patients_adverseevent": (
            "term",
            "grade",
            "ctcae_version",
            "onset_on",
            "onset_at",
            "ended_on",
            "serious",
            "aware_at",
            "reported_at",
            "relation",
            "action",
            "result",
            "lab_result",
            "note",
        ),
        "patients_treatment": (
            "kind",
            "agent",
            "dose",
            "started_on",
            "started_at",
            "ended_on",
            "ended_at",
            "note",
        ),
        "patients_outcome": ("kind", "happened_on", "note"),
        "infusions_infusion": (
            "number",
            "given_on",
            "started_at",
            "stopped_at",
            "weight_kg",
            "cells",
            "volume_ml",
            "lot",
            "deviation",
            "deviation_note",
            "reaction",
            "reaction_grade",
            "vein",
            "bag",
            "observed_until",
            "checked_by",
            "interruption",
        ),
        "infusions_vitalsigns": (
            "infusion",
            "moment",
            "temperature_c",
            "pulse",
            "systolic",
            "diastolic",
            "respiration",
            "saturation",
        ),
        "infusions_coursedecision": ("decided_on", "decision", "grounds", "decided_by"),
    }
)
"""What is signed of each table, by the names of the fields."""

ADDED: Mapping[str, frozenset[str]] = MappingProxyType(
    {"patients_visit": frozenset({"ascites", "encephalopathy"})}
)
"""Fields that came later than the format: they take part where they say something."""

UNSIGNED = frozenset(
    {"id", "patient", "version", "voided_at", "locked_at", "merged_into", "site", "stopped_next_day"}
)
"""Fields of those tables that say nothing about what was observed."""

OF_A_VISIT = ("patients_visit", "patients_labresult")
"""Tables of which a visit's signature covers the visit's own rows."""


def document(subject: str, tables: Mapping[str, Iterable[Row]], *, is_visit: bool) -> dict[str, Any]:
    """Return what is signed, ready to be written down.

    Parameters
    ----------
    subject
        Code of the subject.
    tables
        Valid rows by table; each row has the fields of :data:`SIGNED`.
    is_visit
        Whether one visit is signed, or the whole casebook.
    """
    names = OF_A_VISIT if is_visit else tuple(SIGNED)
    return {
        "format": FORMAT,
        "scope": "visit" if is_visit else "casebook",
        "subject": subject,
        "tables": {
            name: sorted(
                (_fields(name, row) for row in tables.get(name, ())),
                key=_text,
            )
            for name in names
        },
    }


def _fields(table: str, row: Row) -> dict[str, object]:
    added = ADDED.get(table, frozenset())
    return {field: plain(row[field]) for field in SIGNED[table] if field not in added or row.get(field)}


def canonical(signed: Mapping[str, Any]) -> str:
    """Return the one text of a document."""
    return _text(signed)


def digest(signed: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a document, in hexadecimal."""
    return hashlib.sha256(canonical(signed).encode()).hexdigest()


def plain(value: object) -> object:
    """Return a value as the document holds it.

    Raises
    ------
    TypeError
        If it has no exact form: a float has none.
    """
    match value:
        case None | bool() | int() | str():
            return value
        case Decimal():
            return f"{value.normalize():f}" if value else "0"
        case datetime():
            if value.tzinfo is None:
                raise TypeError("a moment without a time zone cannot be signed")
            return value.astimezone(UTC).isoformat()
        case date() | time():
            return value.isoformat()
        case list() | tuple():
            return [plain(each) for each in value]
    raise TypeError(f"{type(value).__name__} has no exact form")


def changed_fields(table: str, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> Sequence[str]:
    """Return the signed fields in which two images of a row in the trail differ; all of them when one is missing.

    The trail names columns: a field that refers to another row ends in ``_id`` there. A row
    written before a field of :data:`ADDED` existed counts as one where it was empty.
    """
    fields = SIGNED.get(table, ())
    if old is None or new is None or bool(old.get("voided_at")) != bool(new.get("voided_at")):
        return fields
    added = ADDED.get(table, frozenset())
    return [
        field
        for field in fields
        if (old.get(field), old.get(f"{field}_id")) != (new.get(field), new.get(f"{field}_id"))
        and not (field in added and not old.get(field) and not new.get(field))
    ]


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
