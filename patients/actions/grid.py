"""Saving a sheet: each row whole or not at all, all of them under the one revision they are saved in."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from patients.actions.visits import record_labs
from patients.entries import LabEntry
from patients.models import Laboratory, Patient
from trial import audit
from trial.models import User
from trial.refusals import Conflict, Refused

SOURCE = "grid entry"


@dataclass(frozen=True, slots=True, kw_only=True)
class RowEntry:
    """What a sheet says of one subject's visit; the fields mean what they mean to :func:`record_labs`."""

    patient: Patient
    entries: Sequence[LabEntry]
    visited_on: date | None = None
    laboratory: Laboratory | None = None
    version: int | None = None
    decided: Mapping[str, int] = field(default_factory=dict)
    kept: Collection[str] = ()


@dataclass(slots=True)
class WrittenRows:
    """What a save of a sheet wrote: the revision, who was saved, and what stands in the others' way."""

    id: int | None = None
    saved: set[int] = field(default_factory=set)
    refused: dict[int, Refused] = field(default_factory=dict)
    conflicts: dict[int, Conflict] = field(default_factory=dict)


def record_rows(*, rows: Sequence[RowEntry], week: int, by: User, reason: str = "") -> WrittenRows:
    """Save the rows of a sheet in one transaction; a row that cannot be saved leaves nothing behind.

    Subjects are locked in the order of their keys, so that two sheets saved at
    the same instant wait for each other and never for ever.
    """
    done = WrittenRows()
    with audit.revision(by=by, reason=reason, source=SOURCE):
        for row in sorted(rows, key=lambda one: one.patient.pk):
            try:
                written = record_labs(
                    patient=row.patient,
                    week=week,
                    entries=row.entries,
                    visited_on=row.visited_on,
                    laboratory=row.laboratory,
                    reason=reason,
                    version=row.version,
                    decided=row.decided,
                    kept=row.kept,
                    by=by,
                    source=SOURCE,
                )
            except Refused as refused:
                done.refused[row.patient.pk] = refused
            except Conflict as conflict:
                done.conflicts[row.patient.pk] = conflict
            else:
                done.saved.add(row.patient.pk)
                done.id = written.id or done.id
    return done
