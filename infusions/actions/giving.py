"""Recording, correcting and striking an infusion that was given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from infusions import dosing, particulars, selectors
from infusions.actions.agreement import ask_about_course
from infusions.actions.lots import save_lot
from infusions.actions.rules import ADDED_LATER, as_sentence, corrects, demand_reason, merged
from infusions.models import CellLot, Infusion, VitalSigns
from infusions.particulars import NewLot, Particulars
from infusions.vitals import Vitals
from patients import selectors as patient_selectors
from patients.models import Patient
from trial import audit
from trial.models import User
from trial.refusals import Conflict

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
    reaction_grade: int | None = None,
    vein: str = "",
    bag: str = "",
    checked_by: str = "",
    interruption: str = "",
    observed_until: datetime | None = None,
    vitals: Mapping[str, Vitals] | None = None,
    reason: str = "",
) -> Recorded:
    """Record an infusion that was given, with the vital signs by moment.

    A bag that was set aside for it is used up by this; nothing else is to be done.

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
        reaction_grade=reaction_grade,
        vein=vein,
        bag=bag,
        checked_by=checked_by,
        interruption=interruption,
        observed_until=observed_until,
    )
    with audit.revision(by=by, reason=reason, source=SOURCE) as written:
        around = selectors.circumstances(patient_selectors.locked(patient), number)
        given = _in_one_line(_with_lot_as_it_is(given))
        _refuse(given, around)
        infusion = Infusion(patient=around.patient, number=number)
        _store(infusion, given)
        _store_vitals(infusion, dict(vitals or {}), {})
        change = particulars.group_change(around, is_new=True)
        ask_about_course(around.patient, by=by)
    return Recorded(infusion, change, written)


def correct_infusion(
    *,
    infusion: Infusion,
    version: int,
    given: Particulars,
    by: User,
    reason: str = "",
    vitals: Mapping[str, Vitals] | None = None,
    vitals_seen: Mapping[str, Vitals] | None = None,
) -> Recorded:
    """Replace what was recorded about an infusion; the number stays.

    Equal particulars leave no trace. What somebody else changed since
    ``version`` stays changed where this person left it alone. Filling in what
    was empty (the signs after 24 hours) is no correction and needs no reason.

    Parameters
    ----------
    vitals, vitals_seen
        The vital signs as they are to be, and as they stood on this person's
        page; None leaves them.

    Raises
    ------
    Conflict
        If both changed the same field since ``version``.
    ValidationError
        As for :func:`give_infusion`; or a change without a reason, or the infusion is voided.
    """
    with audit.revision(by=by, reason=reason, source=SOURCE) as written:
        patient = patient_selectors.locked(infusion.patient)
        stored = _current(infusion)
        was = Particulars.of(stored)
        given = _in_one_line(_with_lot_as_it_is(_merged(given, stored, version)), was)
        signs = selectors.vitals_of(stored)
        new_signs = _merged_vitals(vitals, signs, vitals_seen, stored)
        around = selectors.circumstances(patient, stored.number, correcting=stored)
        _refuse(given, around, is_stored=_is_same_lot(given, was))
        if given != was or new_signs != signs:
            if _changes_what_stands(given, was, new_signs, signs):
                demand_reason(reason)
            stored.version += 1
            with audit.revision(by=by, reason="" if reason.strip() else ADDED_LATER):
                _store(stored, given)
                _store_vitals(stored, new_signs, signs)
            ask_about_course(patient, by=by)
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
    demand_reason(reason)
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
        ask_about_course(patient, by=by)
    return Recorded(stored, change, written)


# --- the steps ------------------------------------------------------------------------------


def _with_lot_as_it_is(given: Particulars) -> Particulars:
    """Judge the lot by what is stored now, not by what a page loaded a while ago."""
    if not isinstance(given.lot, CellLot):
        return given
    return replace(given, lot=CellLot.objects.get(pk=given.lot.pk))


_TEXTS = ("deviation_note", "reaction", "interruption", "bag", "checked_by")


def _in_one_line(given: Particulars, was: Particulars | None = None) -> Particulars:
    """Write what is new of the texts without line breaks and outer space, as every text of the study is written."""
    new: dict[str, Any] = {}
    for name in _TEXTS:
        text = getattr(given, name)
        if was is None or text != getattr(was, name):
            new[name] = " ".join(text.splitlines()).replace("\t", " ").strip()
    return replace(given, **new)


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


def _fields(given: Particulars) -> dict[str, Any]:
    return {name: getattr(given, name) for name in Particulars.__slots__}


def _merged(mine: Particulars, stored: Infusion, version: int) -> Particulars:
    """Join what two people changed; only a field that both changed is a conflict."""
    if stored.version == version:
        return mine
    before = selectors.as_it_was(stored, version)
    joined = merged(
        _fields(mine),
        _fields(Particulars.of(stored)),
        None if before is None else _fields(before),
        version=stored.version,
        by=selectors.last_writer(stored),
    )
    return replace(mine, **joined)


def _merged_vitals(
    mine: Mapping[str, Vitals] | None,
    stored: Mapping[str, Vitals],
    seen: Mapping[str, Vitals] | None,
    infusion: Infusion,
) -> dict[str, Vitals]:
    if mine is None:
        return dict(stored)
    found = {}
    for moment, vitals in mine.items():
        before = (seen if seen is not None else stored).get(moment, Vitals())
        joined = merged(
            {f"{moment}.{name}": value for name, value in vitals.values().items()},
            {f"{moment}.{name}": value for name, value in stored.get(moment, Vitals()).values().items()},
            {f"{moment}.{name}": value for name, value in before.values().items()},
            version=infusion.version,
            by=selectors.last_writer(infusion),
        )
        found[moment] = Vitals(**{name.partition(".")[2]: value for name, value in joined.items()})
    return {moment: vitals for moment, vitals in {**stored, **found}.items() if vitals or moment in stored}


def _changes_what_stands(
    given: Particulars, was: Particulars, signs: Mapping[str, Vitals], signs_before: Mapping[str, Vitals]
) -> bool:
    return corrects(_fields(given), _fields(was)) or any(
        corrects(signs.get(moment, Vitals()).values(), before.values())
        for moment, before in signs_before.items()
    )


def _is_same_lot(given: Particulars, was: Particulars) -> bool:
    return isinstance(given.lot, CellLot) and given.lot == was.lot


def _refuse(given: Particulars, around: particulars.Circumstances, *, is_stored: bool = False) -> None:
    if errors := particulars.refusals(given, around, is_stored=is_stored):
        raise ValidationError(dict(errors))


def _store(infusion: Infusion, given: Particulars) -> None:
    if isinstance(given.lot, NewLot):
        lot = CellLot(code=given.lot.code, expires_on=given.lot.expires_on)
        save_lot(lot)
        given = replace(given, lot=lot)
    for name in Particulars.__slots__:
        setattr(infusion, name, getattr(given, name))
    infusion.clean_fields(exclude=["patient", "lot", "number"])
    try:
        with transaction.atomic():
            infusion.save()
    except IntegrityError as error:
        raise as_sentence(error) from error


def _store_vitals(infusion: Infusion, signs: Mapping[str, Vitals], before: Mapping[str, Vitals]) -> None:
    """Write the moments that differ; one row per moment."""
    for moment, vitals in signs.items():
        if vitals == before.get(moment, Vitals()):
            continue
        row = VitalSigns.objects.filter(infusion=infusion, moment=moment).first() or VitalSigns(
            patient=infusion.patient, infusion=infusion, moment=moment
        )
        for name, value in vitals.values().items():
            setattr(row, name, value)
        row.clean_fields(exclude=["patient", "infusion"])
        row.save()
