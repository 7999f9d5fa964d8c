"""What the values of a draw are held against: the same for a form, a grid, a save and an interface."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from decimal import Decimal

from django.db.models import Min
from django.utils import timezone

from patients import edit_checks, selectors, upstairs
from patients.edit_checks import Around, Course, Doubt
from patients.entries import LabEntry
from patients.models import Laboratory, LabResult, Outcome, Patient, Treatment, Visit
from patients.selectors import LastValue
from trial.models import Draft, User
from trial.protocol import Diagnosis, OutcomeKind

ALBUMIN = "albumin"
ALSO_OPEN = timedelta(minutes=2)
"""Somebody who typed into the same form so recently is still there; our assumption."""


def around(
    patient: Patient,
    visit: Visit,
    *,
    drawn_on: date | None,
    last: Mapping[str, LastValue] | None = None,
) -> Around:
    """Read what a draw of this visit is held against, in a constant number of queries.

    ``drawn_on`` is the day as it is typed or stored; the visit need not be stored.
    ``last`` holds the last values where they are read already.
    """
    given = upstairs.infusions().filter(patient=patient, voided_at__isnull=True)
    ends = dict(
        Outcome.objects.valid()
        .filter(patient=patient, kind__in=[OutcomeKind.DEATH.value, OutcomeKind.TRANSPLANT.value])
        .order_by()
        .values_list("kind")
        .annotate(day=Min("happened_on"))
    )
    others = Visit.objects.valid().filter(patient=patient, week__isnull=False, visited_on__isnull=False)
    if last is None:
        last = selectors.last_values(patient, visit=visit, drawn_on=drawn_on) if drawn_on else {}
    return Around(
        drawn_on=drawn_on,
        week=visit.week,
        earlier={code: value.as_earlier() for code, value in last.items()},
        is_liver_failure=patient.diagnosis == Diagnosis.LIVER_FAILURE,
        albumin=[
            Course(since, to)
            for since, to in Treatment.objects.filter(
                patient=patient, kind=ALBUMIN, voided_at__isnull=True
            ).values_list("started_on", "ended_on")
        ],
        recruited_on=patient.recruited_on,
        first_infusion_on=min(given.values_list("given_on", flat=True), default=None),
        died_on=ends.get(OutcomeKind.DEATH.value),
        transplanted_on=ends.get(OutcomeKind.TRANSPLANT.value),
        other_visits=dict(others.exclude(pk=visit.pk).values_list("week", "visited_on")),
    )


def entered(result: LabResult) -> LabEntry:
    """Return a stored result as the entry it came from, in the unit of the report."""
    unit, value = result.typed_unit, result.value
    if value is not None and unit:
        value = value / _factor(result.analyte, unit)
    return LabEntry(
        analyte=result.analyte,
        value=value,
        comparator=result.comparator,
        typed_text=result.typed_text,
        typed_unit=unit,
        missing_reason=result.missing_reason,
    )


def _factor(analyte: str, unit: str) -> Decimal:
    return LabEntry(analyte=analyte).declared.accepted[unit]


def standing_doubts(visit: Visit) -> tuple[Doubt, ...]:
    """Return every soft check that fires on a visit as it is stored now."""
    entries = [entered(result) for result in visit.lab_results.all()]
    return edit_checks.doubts(entries, around(visit.patient, visit, drawn_on=visit.visited_on))


# --- laboratories ---------------------------------------------------------------------------


def laboratories_for(
    user: User, patient: Patient, stored: Mapping[str, LabResult] | None = None
) -> list[Laboratory]:
    """Return the laboratories in use that may have measured a subject's draw, with their units.

    The one that measured what is ``stored`` stays although it is no longer in use.
    """
    mine = Laboratory.objects.visible_to(user).filter(is_active=True)
    found = [
        laboratory
        for laboratory in mine.prefetch_related("units")
        if laboratory.site_id in (None, patient.site_id)
    ]
    measured = {result.laboratory_id for result in (stored or {}).values() if result.laboratory_id}
    gone = measured - {laboratory.pk for laboratory in found}
    if gone:
        found += Laboratory.objects.filter(pk__in=gone).prefetch_related("units")
    return found


def usual_laboratory(patient: Patient, choices: Iterable[Laboratory]) -> Laboratory | None:
    """Return the laboratory that a new draw is preset to: the subject's last one, else the site's own."""
    by_id = {laboratory.pk: laboratory for laboratory in choices}
    last = (
        LabResult.objects.filter(patient=patient, laboratory__isnull=False, visit__voided_at__isnull=True)
        .order_by("-visit__visited_on", "-id")
        .values_list("laboratory_id", flat=True)
        .first()
    )
    if last in by_id:
        return by_id[last]
    own = [laboratory for laboratory in by_id.values() if laboratory.site_id == patient.site_id]
    return next(iter(own or by_id.values()), None)


def units_of(laboratory: Laboratory | None) -> Mapping[str, str]:
    """Return the unit a laboratory reports by analyte, where it is not the standard one."""
    return {} if laboratory is None else {unit.analyte: unit.unit for unit in laboratory.units.all()}


# --- who else is here -----------------------------------------------------------------------


def also_open(place: str, user: User) -> list[str]:
    """Return who else is typing into the same form now."""
    others = Draft.objects.filter(place=place, saved_at__gt=timezone.now() - ALSO_OPEN).exclude(person=user)
    return [draft.person.shown_name for draft in others.select_related("person")]
