"""Joining a subject that was registered twice, as one revision that can be taken back.

Everything recorded under the second code moves to the first. Where both codes
hold a record in the same place (a visit of one week, an infusion of one number),
a person says which stays; the other is voided and stays readable under the code
that was given up. Of two visits, the one that stays takes over the results that
only the other has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import models
from django.utils import timezone

from patients import upstairs
from patients.actions.rules import demand_reason
from patients.models import LabResult, Patient, PatientIdentity, Visit
from trial import audit, undo, vocabulary
from trial.models import Revision, User
from trial.refusals import Problem, Refused, refuse
from trial.sentences import Sentence
from trial.triggers import audited


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


SOURCE = "merge"
FIRST, SECOND = "first", "second"

PLACES: Mapping[str, tuple[str, ...]] = {
    "patients_visit": ("week", "visited_on"),
    "patients_screening": ("screened_on",),
    "patients_outcome": ("kind",),
}
"""Where two valid records of one subject cannot stand side by side; a visit of a week by its week alone."""


@dataclass(frozen=True, slots=True)
class Collision:
    """One place that both codes hold; ``first`` is of the code that stays."""

    table: str
    place: str
    first: models.Model
    second: models.Model

    @property
    def key(self) -> str:
        """What a choice is filed under."""
        return f"{self.table}:{self.place}"


@dataclass(slots=True)
class Merged(audit.Written):
    """What a merge moved, by table."""

    moved: dict[str, int] = field(default_factory=dict)


def collisions(first: Patient, second: Patient) -> list[Collision]:
    """Return the places where both subjects hold a valid record, in the order of the record."""
    return list(_collisions(first, second))


def _collisions(first: Patient, second: Patient) -> Iterator[Collision]:
    for model in _of_a_patient():
        names = {**PLACES, **upstairs.PLACES}.get(model._meta.db_table)
        if names is None:
            continue
        rows = model._default_manager.filter(voided_at__isnull=True)
        held = {_place(row, names): row for row in rows.filter(patient=first)}
        for row in rows.filter(patient=second).order_by("pk"):
            place = _place(row, names)
            if place in held:
                yield Collision(model._meta.db_table, place, held[place], row)


def _place(row: models.Model, names: tuple[str, ...]) -> str:
    if isinstance(row, Visit):
        return f"W{row.week}" if row.week is not None else f"{row.visited_on}"
    return " ".join(str(getattr(row, name)) for name in names)


def merge(*, first: Patient, second: Patient, choices: Mapping[str, str], by: User, reason: str) -> Merged:
    """Move everything of ``second`` to ``first`` and give the second code up.

    Parameters
    ----------
    choices
        For every collision, by its key: ``first`` or ``second``, whose record stays.

    Raises
    ------
    Refused
        If the two cannot be one person (site, sex, diagnosis, date of birth), one
        was merged already, or a collision has no choice.
    """
    demand_reason(reason)
    with audit.revision(by=by, reason=reason, source=SOURCE) as written:
        # always in the same order, so that two merges of the same pair do not wait for one another for ever
        locked = {
            p.pk: p
            for p in Patient.objects.select_for_update().filter(pk__in=[first.pk, second.pk]).order_by("pk")
        }
        first, second = locked[first.pk], locked[second.pk]
        _refuse_strangers(first, second)
        found = collisions(first, second)
        if undecided := [c for c in found if choices.get(c.key) not in (FIRST, SECOND)]:
            raise Refused(_undecided(collision) for collision in undecided)
        behind: dict[str, set[int]] = {}
        now = timezone.now()
        for collision in found:
            stays_second = choices[collision.key] == SECOND
            stays, goes = collision.first, collision.second
            if stays_second:
                stays, goes = goes, stays
            _void(goes, now)
            if isinstance(stays, Visit) and isinstance(goes, Visit):
                _take_over(stays, goes)
            if goes is collision.second:
                behind.setdefault(collision.table, set()).add(goes.pk)
        done = Merged()
        lost_visits = behind.get(Visit._meta.db_table, set())
        for model in _of_a_patient():
            rows = model._default_manager.filter(patient=second).exclude(
                pk__in=behind.get(model._meta.db_table, set())
            )
            if any(f.name == "visit" for f in model._meta.local_fields):
                rows = rows.exclude(visit_id__in=lost_visits)
            moved = rows.update(patient=first)
            if moved:
                done.moved[model._meta.db_table] = moved
        second.merged_into = first
        second.version += 1
        second.save(update_fields=["merged_into", "version"])
        # written in any case, so that the merge is in the history of both
        first.recruited_on = first.recruited_on or second.recruited_on
        first.version += 1
        first.save(update_fields=["recruited_on", "version"])
    done.id = written.id
    return done


def undo_merge(*, second: Patient, by: User, reason: str) -> undo.Undone:
    """Give a code back that was given up, with everything that was moved from it.

    Raises
    ------
    Refused
        If a moved record was changed since, or the subject was not merged.
    """
    revision = merge_revision(second)
    if revision is None:
        raise refuse(
            "",
            second.subject_id,
            "not_merged",
            Sentence(_("%(subject)s is not merged into another subject."), {"subject": second.subject_id}),
            Sentence(_("Nothing has to be taken back.")),
        )
    return undo.undo(revision=revision, by=by, reason=reason, source=SOURCE)


def merge_revision(second: Patient) -> Revision | None:
    """Return the revision that gave a code up, or None."""
    if second.merged_into_id is None:
        return None
    return (
        Revision.objects.filter(
            entries__table=Patient._meta.db_table,
            entries__row=second.pk,
            entries__old__merged_into_id=None,
            entries__new__merged_into_id=second.merged_into_id,
        )
        .order_by("-number")
        .first()
    )


# --- the steps ------------------------------------------------------------------------------


def _of_a_patient() -> list[type[Any]]:
    """Return every table with a trail whose rows belong to a subject and follow it, on all floors."""
    return [
        model
        for model, kept in audited().items()
        if kept.patient == "patient_id" and model is not PatientIdentity
    ]


def _void(row: models.Model, now: Any) -> None:
    names = ["voided_at"]
    row.voided_at = now  # type: ignore[attr-defined]
    if hasattr(row, "version"):
        row.version += 1
        names.append("version")
    row.save(update_fields=names)


def _take_over(stays: Visit, goes: Visit) -> None:
    """Give the visit that stays the results and grades that only the other has."""
    has = set(LabResult.objects.filter(visit=stays).values_list("analyte", flat=True))
    missing = LabResult.objects.filter(visit=goes).exclude(analyte__in=has)
    missing.update(visit=stays, patient=stays.patient_id)
    graded = [field for field in vocabulary.FINDINGS if not getattr(stays, field) and getattr(goes, field)]
    if graded:
        for field in graded:
            setattr(stays, field, getattr(goes, field))
        stays.version += 1
        stays.save(update_fields=["version", *graded])


def _refuse_strangers(first: Patient, second: Patient) -> None:
    problems = []
    if first.pk == second.pk:
        problems.append(_problem("subject", second.subject_id, _("A subject cannot be merged with itself.")))
    problems += [
        _problem("subject", patient.subject_id, _("%(value)s was merged before."))
        for patient in (first, second)
        if patient.merged_into_id is not None
    ]
    for name, told in (
        ("site_id", _("The subjects are of different sites.")),
        ("sex", _("The subjects differ in sex.")),
        ("diagnosis", _("The subjects differ in diagnosis.")),
    ):
        if getattr(first, name) != getattr(second, name):
            problems.append(_problem(name, str(getattr(second, name)), told))
    if first.birth_date and second.birth_date and first.birth_date != second.birth_date:
        problems.append(_problem("birth_date", "", _("The subjects have different dates of birth.")))
    if problems:
        raise Refused(problems)


def _problem(place: str, value: str, told: str) -> Problem:
    return Problem(
        place,
        value,
        "not_one_person",
        Sentence(told, {"value": value}),
        Sentence(_("Correct the details of the one that is wrong, or choose another subject.")),
    )


def _undecided(collision: Collision) -> Problem:
    return Problem(
        collision.key,
        "",
        "undecided",
        Sentence(_("Both subjects hold %(place)s."), {"place": collision.place}),
        Sentence(_("Say which of the two stays.")),
    )
