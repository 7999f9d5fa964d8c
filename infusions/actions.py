"""What the ward does with infusions and lots: one function per intention.

An infusion that was given is recorded whatever it was like; where it lies
outside the protocol, a coded deviation says why. Only what cannot have happened
is refused: a ninth infusion, a day in the future, one after the subject's death.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, time
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from infusions import dosing, particulars, selectors
from infusions.models import CellLot, Infusion
from infusions.particulars import NewLot, Particulars
from patients import selectors as patient_selectors
from patients.actions.rules import violated_constraint
from patients.models import Patient
from trial import audit
from trial.models import User
from trial.refusals import Clash, Conflict

SOURCE = "infusion"


@dataclass(frozen=True, slots=True)
class Recorded:
    """What was written, and what that did to the subject's group."""

    infusion: Infusion
    group: dosing.GroupChange
    written: audit.Written


def give_infusion(
    *,
    patient: Patient,
    number: int,
    given_on: date,
    by: User,
    weight_kg: Decimal | None = None,
    cells: Decimal | None = None,
    volume_ml: Decimal | None = None,
    lot: CellLot | NewLot | None = None,
    started_at: time | None = None,
    stopped_at: time | None = None,
    deviation: str = "",
    deviation_note: str = "",
    reaction: str = "",
    reason: str = "",
) -> Recorded:
    """Record an infusion that was given.

    Raises
    ------
    ValidationError
        By field: what cannot be, or a deviation that is not said.
    """
    given = Particulars(
        given_on=given_on,
        weight_kg=weight_kg,
        cells=cells,
        volume_ml=volume_ml,
        lot=lot,
        started_at=started_at,
        stopped_at=stopped_at,
        deviation=deviation,
        deviation_note=deviation_note,
        reaction=reaction,
    )
    with audit.revision(by=by, reason=reason, source=SOURCE) as written:
        around = selectors.circumstances(patient_selectors.locked(patient), number)
        _refuse(given, around)
        infusion = Infusion(patient=around.patient, number=number)
        _store(infusion, given)
        change = particulars.group_change(around, is_new=True)
    return Recorded(infusion, change, written)


def correct_infusion(
    *, infusion: Infusion, version: int, given: Particulars, by: User, reason: str
) -> Recorded:
    """Replace what was recorded about an infusion; the number stays.

    Equal particulars leave no trace. What somebody else changed since
    ``version`` stays changed where this person left it alone.

    Raises
    ------
    Conflict
        If both changed the same field since ``version``.
    ValidationError
        As for :func:`give_infusion`; or no reason, or the infusion is voided.
    """
    _demand_reason(reason)
    with audit.revision(by=by, reason=reason, source=SOURCE) as written:
        patient = patient_selectors.locked(infusion.patient)
        stored = _current(infusion)
        given = _merged(given, stored, version)
        around = selectors.circumstances(patient, stored.number, correcting=stored)
        _refuse(given, around)
        if given != Particulars.of(stored):
            stored.version += 1
            _store(stored, given)
        change = particulars.group_change(around, is_new=False)
    return Recorded(stored, change, written)


def void_infusion(*, infusion: Infusion, by: User, reason: str, version: int | None = None) -> Recorded:
    """Strike an infusion that did not take place; later ones keep their numbers.

    Raises
    ------
    Conflict
        If ``version`` is given and somebody saved the infusion after it.
    ValidationError
        If there is no reason or the infusion is voided already.
    """
    _demand_reason(reason)
    with audit.revision(by=by, reason=reason, source=SOURCE) as written:
        patient = patient_selectors.locked(infusion.patient)
        stored = _current(infusion)
        if version is not None and stored.version != version:
            raise Conflict([], stored.version)
        stored.voided_at = timezone.now()
        stored.version += 1
        stored.save(update_fields=["voided_at", "version"])
        left = len(selectors.valid_infusions(patient))
        change = dosing.group_change(patient.diagnosis, given_before=left + 1, given_after=left)
    return Recorded(stored, change, written)


def register_lot(
    *,
    code: str,
    by: User,
    donor_code: str = "",
    passage: int | None = None,
    viability_percent: Decimal | None = None,
    expires_on: date | None = None,
    reason: str = "",
) -> CellLot:
    """Register a lot of cells under its code.

    Raises
    ------
    ValidationError
        If the code is taken or cannot be a code.
    """
    lot = CellLot(
        code=code,
        donor_code=donor_code,
        passage=passage,
        viability_percent=viability_percent,
        expires_on=expires_on,
    )
    with audit.revision(by=by, reason=reason, source="lot"):
        _save_lot(lot)
    return lot


# --- the steps ------------------------------------------------------------------------------


def _current(infusion: Infusion) -> Infusion:
    rows = Infusion.objects.select_for_update(no_key=True, of=("self",)).select_related(
        "lot", "patient__site"
    )
    stored: Infusion = rows.get(pk=infusion.pk)
    if stored.voided_at is not None:
        raise ValidationError(
            _("Infusion %(number)s was voided and does not change any more. Record it again if it was given.")
            % {"number": stored.number}
        )
    return stored


def _merged(mine: Particulars, stored: Infusion, version: int) -> Particulars:
    """Join what two people changed; only a field that both changed is a conflict."""
    if stored.version == version:
        return mine
    theirs, before = Particulars.of(stored), selectors.as_it_was(stored, version)
    changed_by_them = [
        name
        for name in Particulars.__slots__
        if before is None or getattr(before, name) != getattr(theirs, name)
    ]
    kept: dict[str, Any] = {}
    clashes = []
    for name in changed_by_them:
        own, other, was = (getattr(each, name, None) for each in (mine, theirs, before))
        if before is not None and own == was:
            kept[name] = other
        elif own != other:
            clashes.append(
                Clash(name, _shown(own), _shown(other), _shown(was), selectors.last_writer(stored))
            )
    if clashes:
        raise Conflict(clashes, stored.version)
    return replace(mine, **kept)


def _shown(value: object) -> str:
    return "" if value is None else str(getattr(value, "code", value))


def _refuse(given: Particulars, around: particulars.Circumstances) -> None:
    if errors := particulars.refusals(given, around):
        raise ValidationError(dict(errors))


def _demand_reason(reason: str) -> None:
    if not reason.strip():
        raise ValidationError({"reason": _("A change of what was recorded needs a reason.")})


def _store(infusion: Infusion, given: Particulars) -> None:
    if isinstance(given.lot, NewLot):
        lot = CellLot(code=given.lot.code, expires_on=given.lot.expires_on)
        _save_lot(lot)
        given = replace(given, lot=lot)
    for name in Particulars.__slots__:
        setattr(infusion, name, getattr(given, name))
    infusion.clean_fields(exclude=["patient", "lot", "number"])
    try:
        with transaction.atomic():
            infusion.save()
    except IntegrityError as error:
        raise _as_sentence(error) from error


def _save_lot(lot: CellLot) -> None:
    lot.clean_fields()
    try:
        with transaction.atomic():
            lot.save(force_insert=True)
    except IntegrityError as error:
        raise _as_sentence(error, lot=lot.code) from error


def _as_sentence(error: IntegrityError, lot: str = "") -> ValidationError:
    """Turn a violated constraint into an error at the field it is about."""
    match constraint := violated_constraint(error):
        case "one_infusion_per_number":
            return ValidationError(
                {"number": _("This infusion was recorded a moment ago. Reload the course to see it.")}
            )
        case "weight_is_25_to_250_kg":
            return ValidationError(
                {"weight_kg": _("A weight lies between 25 and 250 kg. Check value and unit.")}
            )
        case "cells_are_more_than_none":
            return ValidationError({"cells": _("The number of cells is more than none.")})
        case "volume_is_more_than_none":
            return ValidationError({"volume_ml": _("The volume is more than none.")})
        case "infusion_stops_after_it_starts":
            return ValidationError({"stopped_at": _("An infusion stops after it starts. Check both times.")})
        case "lot_code_is_letters_digits_and_dashes":
            sentence = _("Lot %(lot)s: a code has capital letters, digits, dashes and dots, 24 at most.")
            return ValidationError({"code": sentence % {"lot": lot}})
        case "viability_is_a_percentage":
            return ValidationError({"viability_percent": _("Viability is a percentage, 0 to 100.")})
        case _ if constraint.startswith("infusions_celllot_code"):
            sentence = _("Lot %(lot)s is registered already. Pick it from the list.")
            return ValidationError({"code": sentence % {"lot": lot}})
    raise error
