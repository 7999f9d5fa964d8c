"""Planning an infusion with a day, an hour and a lot; calling one off; taking a plan back."""

from __future__ import annotations

from datetime import date, time
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from infusions import planning, selectors
from infusions.actions.lots import locked as locked_lot
from infusions.actions.rules import as_sentence, merged
from infusions.models import CellLot, PlannedInfusion
from patients import selectors as patient_selectors
from patients.models import Patient
from trial import audit, protocol, vocabulary
from trial.models import User
from trial.refusals import Conflict

SOURCE = "plan"
_FIELDS = ("planned_on", "planned_at", "lot", "note")


def plan_infusion(
    *,
    patient: Patient,
    number: int,
    planned_on: date,
    by: User,
    planned_at: time | None = None,
    lot: CellLot | None = None,
    note: str = "",
    version: int = 0,
) -> PlannedInfusion:
    """Plan an infusion and set a bag of a lot aside for it; a plan that exists is moved.

    Parameters
    ----------
    version
        The version of the plan the person had on screen, 0 for none.

    Raises
    ------
    ValidationError
        By field, with everything that stands against the plan.
    Conflict
        If somebody else changed the same field of the plan meanwhile.
    """
    with audit.revision(by=by, source=SOURCE):
        patient = patient_selectors.locked(patient)
        if lot is not None:
            # the last bag is promised once: whoever plans waits here
            lot = locked_lot(lot)
        stored = _plan(patient, number) or PlannedInfusion(patient=patient, number=number, version=0)
        mine: dict[str, Any] = {
            "planned_on": planned_on,
            "planned_at": planned_at,
            "lot": lot,
            "note": note.strip(),
        }
        is_ = {name: getattr(stored, name) for name in _FIELDS}
        if stored.version != version:
            before = selectors.row_as_it_was(stored, version) if version else PlannedInfusion()
            then = None if before is None else {name: getattr(before, name) for name in _FIELDS}
            mine = merged(mine, is_, then, version=stored.version, by=selectors.last_writer(stored))
        wish = selectors.wish(patient, number, mine["planned_on"], mine["lot"])
        if against := planning.obstacles(wish):
            errors: dict[str, list[str]] = {}
            for each in against:
                errors.setdefault(each.field, []).append(f"{each.sentence.said(_)} {each.remedy.said(_)}")
            raise ValidationError(errors)
        if mine == is_ and not stored.not_done and stored.pk:
            return stored
        for name, value in mine.items():
            setattr(stored, name, value)
        stored.not_done = ""
        _save(stored, by, "plan changed")
    return stored


def call_off(
    *, patient: Patient, number: int, because: str, by: User, note: str = "", version: int = 0
) -> PlannedInfusion:
    """Record that an infusion was not given and why; the bag set aside is free again.

    Raises
    ------
    ValidationError
        If the infusion was given, or the reason is not of the list or needs a note.
    Conflict
        If somebody changed the plan since ``version``.
    """
    with audit.revision(by=by, source=SOURCE):
        patient = patient_selectors.locked(patient)
        if not 1 <= number <= protocol.MOST_INFUSIONS:
            raise ValidationError({"number": _("The protocol has infusions 1 to 8.")})
        if any(each.number == number for each in selectors.valid_infusions(patient)):
            raise ValidationError(
                {
                    "number": _("Infusion %(number)s was given. Void it first if it was not.")
                    % {"number": number}
                }
            )
        if because not in vocabulary.codes(vocabulary.NOT_DONE_REASONS):
            raise ValidationError({"not_done": _("Say why it was not given: pick a reason of the list.")})
        if because == "other" and not note.strip():
            raise ValidationError({"note": _("Say in the note what the reason was.")})
        stored = _plan(patient, number) or PlannedInfusion(patient=patient, number=number, version=0)
        if stored.version != version:
            raise Conflict([], stored.version)
        stored.not_done, stored.note = because, note.strip()
        _save(stored, by, "not given")
    return stored


def cancel_plan(*, plan: PlannedInfusion, by: User, version: int) -> PlannedInfusion:
    """Take a plan back as if it had never been made; the bag is free again.

    Raises
    ------
    Conflict
        If somebody changed the plan since ``version``.
    """
    with audit.revision(by=by, reason="plan withdrawn", source=SOURCE):
        patient_selectors.locked(plan.patient)
        stored = PlannedInfusion.objects.get(pk=plan.pk)
        if stored.version != version or stored.voided_at is not None:
            raise Conflict([], stored.version)
        stored.voided_at = timezone.now()
        stored.version += 1
        stored.save(update_fields=["voided_at", "version"])
    return stored


def _plan(patient: Patient, number: int) -> PlannedInfusion | None:
    found: PlannedInfusion | None = (
        PlannedInfusion.objects.valid().filter(patient=patient, number=number).select_related("lot").first()
    )
    return found


def _save(plan: PlannedInfusion, by: User, reason: str) -> None:
    plan.version += 1
    plan.clean_fields(exclude=["patient", "lot"])
    try:
        with transaction.atomic(), audit.revision(by=by, reason=reason if plan.pk else ""):
            plan.save()
    except IntegrityError as error:
        raise as_sentence(error) from error
