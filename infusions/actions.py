"""What the ward does with infusions and lots: one function per intention.

An infusion that was given is recorded whatever it was like; where it lies
outside the protocol, a coded deviation says why. Only what cannot have happened
is refused: a ninth infusion, a day in the future, one after the subject's death.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, time
from decimal import Decimal

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from infusions import dosing, selectors
from infusions.models import CellLot, Infusion
from patients.models import Patient
from trial import audit, protocol
from trial.models import User

SOURCE = "infusion"


class ChangedMeanwhile(Exception):
    """Somebody else saved this infusion after the page was opened."""

    def __init__(self, current: Infusion) -> None:
        super().__init__(f"infusion {current.pk} is at version {current.version}")
        self.current = current


@dataclass(frozen=True, slots=True)
class NewLot:
    """A lot that is registered together with its first infusion."""

    code: str
    expires_on: date | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """What was written, and what that did to the subject's group."""

    infusion: Infusion
    group: dosing.GroupChange
    written: audit.Written


@dataclass(frozen=True, slots=True, kw_only=True)
class Particulars:
    """Everything about one infusion that a person records."""

    given_on: date
    weight_kg: Decimal | None = None
    cells: Decimal | None = None
    volume_ml: Decimal | None = None
    lot: CellLot | NewLot | None = None
    started_at: time | None = None
    stopped_at: time | None = None
    deviation: str = ""
    deviation_note: str = ""
    reaction: str = ""


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
    particulars = Particulars(
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
        patient = _locked(patient)
        others = selectors.valid_infusions(patient)
        _refuse_number(patient, number, others)
        _refuse_impossible(patient, number, particulars, others)
        infusion = Infusion(patient=patient, number=number)
        _store(infusion, particulars)
        change = dosing.group_change(patient.diagnosis, given_before=len(others), given_after=len(others) + 1)
    return Recorded(infusion, change, written)


def correct_infusion(
    *, infusion: Infusion, version: int, particulars: Particulars, by: User, reason: str
) -> Recorded:
    """Replace what was recorded about an infusion; the number stays.

    Equal particulars leave no trace.

    Raises
    ------
    ChangedMeanwhile
        If somebody saved the infusion after ``version``.
    ValidationError
        As for :func:`give_infusion`; or no reason, or the infusion is voided.
    """
    _demand_reason(reason)
    with audit.revision(by=by, reason=reason, source=SOURCE) as written:
        patient = _locked(infusion.patient)
        stored = (
            Infusion.objects.select_for_update(no_key=True, of=("self",))
            .select_related("lot")
            .get(pk=infusion.pk)
        )
        _refuse_voided(stored)
        if stored.version != version:
            raise ChangedMeanwhile(stored)
        others = [other for other in selectors.valid_infusions(patient) if other.pk != stored.pk]
        _refuse_impossible(patient, stored.number, particulars, others)
        stored.patient = patient
        if particulars != as_recorded(stored):
            stored.version += 1
            _store(stored, particulars)
        count = len(others) + 1
        change = dosing.group_change(patient.diagnosis, given_before=count, given_after=count)
    return Recorded(stored, change, written)


def void_infusion(*, infusion: Infusion, by: User, reason: str, version: int | None = None) -> Recorded:
    """Strike an infusion that did not take place; later ones keep their numbers.

    Raises
    ------
    ChangedMeanwhile
        If ``version`` is given and somebody saved the infusion after it.
    ValidationError
        If there is no reason or the infusion is voided already.
    """
    _demand_reason(reason)
    with audit.revision(by=by, reason=reason, source=SOURCE) as written:
        patient = _locked(infusion.patient)
        stored = Infusion.objects.select_for_update(no_key=True, of=("self",)).get(pk=infusion.pk)
        _refuse_voided(stored)
        if version is not None and stored.version != version:
            raise ChangedMeanwhile(stored)
        count = len(selectors.valid_infusions(patient))
        stored.patient = patient
        stored.voided_at = timezone.now()
        stored.version += 1
        stored.save(update_fields=["voided_at", "version"])
        change = dosing.group_change(patient.diagnosis, given_before=count, given_after=count - 1)
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


def as_recorded(infusion: Infusion) -> Particulars:
    """Return an infusion's particulars as they are stored."""
    return Particulars(
        given_on=infusion.given_on,
        weight_kg=infusion.weight_kg,
        cells=infusion.cells,
        volume_ml=infusion.volume_ml,
        lot=infusion.lot,
        started_at=infusion.started_at,
        stopped_at=infusion.stopped_at,
        deviation=infusion.deviation,
        deviation_note=infusion.deviation_note,
        reaction=infusion.reaction,
    )


# --- the steps ------------------------------------------------------------------------------


def _locked(patient: Patient) -> Patient:
    # one writer per subject: the rules below look at all its infusions
    return (
        Patient.objects.select_for_update(no_key=True, of=("self",)).select_related("site").get(pk=patient.pk)
    )


def _store(infusion: Infusion, particulars: Particulars) -> None:
    if isinstance(particulars.lot, NewLot):
        lot = CellLot(code=particulars.lot.code, expires_on=particulars.lot.expires_on)
        _save_lot(lot)
        particulars = replace(particulars, lot=lot)
    for name in Particulars.__slots__:
        setattr(infusion, name, getattr(particulars, name))
    infusion.full_clean(
        exclude=["patient", "lot", "number"], validate_unique=False, validate_constraints=False
    )
    try:
        with transaction.atomic():
            infusion.save()
    except IntegrityError as error:
        raise _as_sentence(error) from error


def _save_lot(lot: CellLot) -> None:
    lot.full_clean(validate_unique=False, validate_constraints=False)
    try:
        with transaction.atomic():
            lot.save()
    except IntegrityError as error:
        raise _as_sentence(error, lot=lot.code) from error


def _refuse_number(patient: Patient, number: int, others: Sequence[Infusion]) -> None:
    if not 1 <= number <= protocol.MOST_INFUSIONS:
        raise ValidationError(
            {
                "number": _("Infusion %(number)s of %(subject)s: the protocol has infusions 1 to %(most)s.")
                % {"number": number, "subject": patient, "most": protocol.MOST_INFUSIONS}
            }
        )
    for other in others:
        if other.number == number:
            raise ValidationError(
                {
                    "number": _(
                        "Infusion %(number)s of %(subject)s is recorded already, given on %(on)s. "
                        "Correct it, or record the next number."
                    )
                    % {"number": number, "subject": patient, "on": other.given_on.isoformat()}
                }
            )


def _refuse_impossible(
    patient: Patient, number: int, particulars: Particulars, others: Sequence[Infusion]
) -> None:
    errors: dict[str, str] = {}
    today = selectors.today_at(patient.site)
    died_on = selectors.died_on(patient)
    if particulars.given_on > today:
        errors["given_on"] = _(
            "Given on %(on)s: that is after today, %(today)s at the site. Record an infusion once it was given."
        ) % {"on": particulars.given_on.isoformat(), "today": today.isoformat()}
    elif died_on is not None and particulars.given_on > died_on:
        errors["given_on"] = _(
            "Given on %(on)s: the subject died on %(died)s. Correct the date, or the outcome first."
        ) % {"on": particulars.given_on.isoformat(), "died": died_on.isoformat()}
    elif patient.birth_date is not None and particulars.given_on <= patient.birth_date:
        errors["given_on"] = _("Given on %(on)s: the subject was born on %(born)s. Correct the date.") % {
            "on": particulars.given_on.isoformat(),
            "born": patient.birth_date.isoformat(),
        }
    if particulars.deviation not in ("", *dosing.DEVIATION_AT):
        errors["deviation"] = _("Deviation %(code)s is not in the list. Pick one of the list.") % {
            "code": particulars.deviation
        }
    elif not particulars.deviation:
        lot = particulars.lot
        breaches = selectors.breaches_of(
            patient,
            dosing.Given(number, particulars.given_on, particulars.weight_kg, particulars.cells),
            lot_known=lot is not None,
            lot_expires_on=lot.expires_on if lot is not None else None,
            others=others,
        )
        if breaches:
            sentences = " ".join(breach.sentence.said(_) for breach in breaches)
            errors["deviation"] = _("%(sentences)s Say why with a deviation from the list.") % {
                "sentences": sentences
            }
        elif particulars.deviation_note:
            errors["deviation_note"] = _("A note belongs to a deviation. Pick one, or empty the note.")
    elif (
        particulars.deviation == dosing.DEVIATION_THAT_NEEDS_A_NOTE and not particulars.deviation_note.strip()
    ):
        errors["deviation_note"] = _('Deviation "other" needs a note that says why.')
    if errors:
        raise ValidationError(errors)


def _refuse_voided(infusion: Infusion) -> None:
    if infusion.voided_at is not None:
        raise ValidationError(
            _("Infusion %(number)s was voided and does not change any more. Record it again if it was given.")
            % {"number": infusion.number}
        )


def _demand_reason(reason: str) -> None:
    if not reason.strip():
        raise ValidationError({"reason": _("A change of what was recorded needs a reason.")})


def _as_sentence(error: IntegrityError, lot: str = "") -> ValidationError:
    """Turn a violated constraint into an error at the field it is about."""
    diagnostics = getattr(error.__cause__, "diag", None)
    constraint = getattr(diagnostics, "constraint_name", "") or ""
    match constraint:
        case "one_infusion_per_number":
            return ValidationError(
                {"number": _("This infusion was recorded a moment ago. Reload the course to see it.")}
            )
        case "weight_is_25_to_250_kg":
            return ValidationError(
                {"weight_kg": _("A weight lies between 25 and 250 kg. Check the value and unit.")}
            )
        case "cells_are_more_than_none":
            return ValidationError({"cells": _("The number of cells is more than none.")})
        case "volume_is_more_than_none":
            return ValidationError({"volume_ml": _("The volume is more than none.")})
        case "infusion_stops_after_it_starts":
            return ValidationError({"stopped_at": _("An infusion stops after it starts. Check both times.")})
        case "lot_code_is_letters_digits_and_dashes":
            return ValidationError(
                {
                    "lot": _("Lot %(lot)s: a code has capital letters, digits, dashes and dots, 24 at most.")
                    % {"lot": lot}
                }
            )
        case "viability_is_a_percentage":
            return ValidationError({"viability_percent": _("Viability is a percentage, 0 to 100.")})
        case _ if lot:
            return ValidationError(
                {"lot": _("Lot %(lot)s is registered already. Pick it from the list.") % {"lot": lot}}
            )
    raise error
