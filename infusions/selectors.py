"""What is read about infusions and lots, always within what a person may see."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from zoneinfo import ZoneInfo

from django.utils import timezone

from infusions import dosing
from infusions.models import Infusion
from patients.models import Outcome, Patient
from trial import protocol
from trial.models import Site


def today_at(site: Site) -> date:
    """Return the day it is at a site."""
    return timezone.now().astimezone(ZoneInfo(site.time_zone)).date()


# --- one subject ----------------------------------------------------------------------------


def valid_infusions(patient: Patient) -> list[Infusion]:
    """Return the subject's infusions that were given and not voided, by number."""
    return list(Infusion.objects.valid().filter(patient=patient).select_related("lot").order_by("number"))


def died_on(patient: Patient) -> date | None:
    """Return the day the subject died, or None."""
    return (
        Outcome.objects.valid()
        .filter(patient=patient, kind=protocol.OutcomeKind.DEATH)
        .values_list("happened_on", flat=True)
        .first()
    )


def ended_on(patient: Patient) -> date | None:
    """Return the first day on which the subject left observation, or None."""
    return (
        Outcome.objects.valid()
        .filter(patient=patient)
        .order_by("happened_on")
        .values_list("happened_on", flat=True)
        .first()
    )


def breaches_of(
    patient: Patient,
    given: dosing.Given,
    *,
    lot_known: bool,
    lot_expires_on: date | None,
    others: Sequence[Infusion],
) -> tuple[dosing.Breach, ...]:
    """Return the rules that an infusion of this subject breaks, among its other valid ones."""
    return dosing.breaches(
        given,
        others=[facts(other) for other in others],
        recruited_on=patient.recruited_on,
        enrolled=patient.status == Patient.Status.ENROLLED,
        lot_known=lot_known,
        lot_expires_on=lot_expires_on,
        ended_on=ended_on(patient),
    )


def facts(infusion: Infusion) -> dosing.Given:
    """Return what the rules look at."""
    return dosing.Given(infusion.number, infusion.given_on, infusion.weight_kg, infusion.cells)
