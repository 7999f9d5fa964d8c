"""What is read about infusions and lots, always within what a person may see."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from django.db.models import Count, Max, Q, QuerySet
from django.http import Http404

from infusions.models import CellLot, Infusion
from infusions.particulars import Circumstances, Particulars
from patients import selectors as patient_selectors
from patients.models import Patient
from trial.models import AuditEntry, User

LOT_STAYS_DAYS = 90
"""Days after its last day that a lot is still offered for infusions recorded late."""

EXPIRING_DAYS = 7
"""A lot that expires within so many days is called expiring."""


# --- one subject ----------------------------------------------------------------------------


def valid_infusions(patient: Patient) -> list[Infusion]:
    """Return the subject's infusions that were given and not voided, by number."""
    return list(Infusion.objects.valid().filter(patient=patient).select_related("lot").order_by("number"))


def infusion_or_404(user: User, subject_id: str, number: int) -> Infusion:
    """Return a valid infusion of a visible subject."""
    infusion: Infusion | None = (
        Infusion.objects.visible_to(user)
        .valid()
        .filter(patient__subject_id=subject_id, number=number)
        .select_related("lot", "patient__site")
        .first()
    )
    if infusion is None:
        raise Http404
    return infusion


def circumstances(patient: Patient, number: int, *, correcting: Infusion | None = None) -> Circumstances:
    """Return what the rules look at when an infusion of this subject is recorded or corrected."""
    others = [other for other in valid_infusions(patient) if correcting is None or other.pk != correcting.pk]
    return Circumstances(
        patient=patient,
        number=number,
        life=patient_selectors.life(patient),
        others=others,
        ended_on=next((o.happened_on for o in patient_selectors.outcomes(patient)), None),
    )


def as_it_was(infusion: Infusion, version: int) -> Particulars | None:
    """Return an infusion's particulars at an earlier version, from the trail; None if it never had it."""
    entry = AuditEntry.objects.filter(
        table=Infusion._meta.db_table, row=infusion.pk, new__version=version
    ).last()
    if entry is None or entry.new is None:
        return None
    then = Infusion()
    for field in Infusion._meta.concrete_fields:
        value = entry.new.get(field.column)
        setattr(then, field.attname, None if value is None else field.to_python(value))
    return Particulars.of(then)


def last_writer(infusion: Infusion) -> str:
    """Return the name of whoever last wrote an infusion."""
    entry = (
        AuditEntry.objects.filter(table=Infusion._meta.db_table, row=infusion.pk)
        .select_related("revision__actor")
        .last()
    )
    return entry.revision.actor.shown_name if entry else ""


def voided_infusions(patient: Patient) -> list[Infusion]:
    """Return the subject's infusions that were struck, by number."""
    return list(
        Infusion.objects.filter(patient=patient, voided_at__isnull=False)
        .select_related("lot")
        .order_by("number", "voided_at")
    )


# --- lots -----------------------------------------------------------------------------------


def lots_to_choose(today: date, *, and_also: CellLot | None = None) -> QuerySet[CellLot]:
    """Return the lots a form offers: those still good or expired lately, soonest to expire first."""
    offered = Q(expires_on__isnull=True) | Q(expires_on__gte=today - timedelta(days=LOT_STAYS_DAYS))
    if and_also is not None:
        offered |= Q(pk=and_also.pk)
    return CellLot.objects.filter(offered).order_by("expires_on", "code")


def lot_with_code(code: str) -> CellLot | None:
    """Return the lot with a code, or None."""
    return CellLot.objects.filter(code=code).first()


def lots(user: User, today: date) -> QuerySet[CellLot]:
    """Return the lots with how many infusions and subjects this person may see got them, newest first.

    A lot that expired without anybody this person may see getting it is left out.
    """
    seen = Q(
        infusions__voided_at__isnull=True,
        infusions__patient__in=Patient.objects.visible_to(user),
    )
    return (
        CellLot.objects.annotate(
            infusion_count=Count("infusions", filter=seen),
            subject_count=Count("infusions__patient", filter=seen, distinct=True),
            last_given_on=Max("infusions__given_on", filter=seen),
        )
        .filter(Q(expires_on__isnull=True) | Q(expires_on__gte=today) | Q(infusion_count__gt=0))
        .order_by("-expires_on", "code")
    )


# --- the place ------------------------------------------------------------------------------


def given_lately(user: User, *, lot: str = "", site: str = "", most: int = 50) -> Sequence[Infusion]:
    """Return the newest valid infusions a person may see, of one lot or site when asked."""
    found = Infusion.objects.visible_to(user).valid()
    if lot:
        found = found.filter(lot__code=lot)
    if site:
        found = found.filter(patient__site__code=site)
    return list(
        found.select_related("lot", "patient__site").order_by("-given_on", "patient__subject_id")[:most]
    )
