"""What is read about subjects, always within what a person may see.

What was given and the scores lie floors above; they are reached through the
reverse relations.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from django.db.models import Count, Max, Min, Q, QuerySet
from django.http import Http404

from patients.edit_checks import Earlier, Life
from patients.models import AdverseEvent, LabResult, Outcome, Patient, Screening, Treatment, Visit
from patients.patient_header import Header, header
from patients.plasma import Given, Moment
from trial import vocabulary
from trial.clock import moment_at, today_at, zone
from trial.models import AuditEntry, Revision, Site, User
from trial.protocol import OutcomeKind
from trial.refusals import Moved

__all__ = [
    "Header",
    "LastValue",
    "any_visit_or_404",
    "draw_or_404",
    "drawn_at",
    "end_of_observation",
    "event_or_404",
    "events",
    "follow_given_up",
    "header",
    "labs_until",
    "last_before",
    "last_saved",
    "last_seen_on",
    "last_values",
    "life",
    "locked",
    "moment_of",
    "outcome_or_404",
    "outcomes",
    "patient_or_404",
    "patients",
    "plasma_given",
    "plasma_hours",
    "result_of",
    "results_of",
    "screenings",
    "serious_waiting",
    "sites_for",
    "subject_of",
    "today_at",
    "treatment_or_404",
    "treatments",
    "visit_at",
    "visit_of_week",
    "with_course",
]


# --- subjects -------------------------------------------------------------------------------


def patients(user: User) -> QuerySet[Patient]:
    """Return the subjects this person may see, with their site."""
    visible: QuerySet[Patient] = Patient.objects.visible_to(user).select_related("site")
    return visible


def with_course(subjects: QuerySet[Patient]) -> QuerySet[Patient]:
    """Add to each subject ``infusions_given`` and ``first_infusion_on``, by valid infusions."""
    given = Q(infusions__voided_at__isnull=True)
    return subjects.annotate(
        infusions_given=Count("infusions", filter=given, distinct=True),
        first_infusion_on=Min("infusions__given_on", filter=given),
    )


def patient_or_404(user: User, subject_id: str) -> Patient:
    """Return a subject this person may see; another site's is as absent as a missing one."""
    found = patients(user).filter(subject_id=subject_id).first()
    if found is None:
        gone = Patient.objects.given_up(user).filter(subject_id=subject_id).first()
        if gone is not None:
            raise Moved(gone.subject_id, _kept(gone).subject_id)
        raise Http404
    return found


def follow_given_up(user: User, patients: Collection[int]) -> None:
    """Raise :class:`Moved` if one of these subjects was merged into another since a page showed it."""
    gone = Patient.objects.given_up(user).filter(pk__in=patients).order_by("pk").first()
    if gone is not None:
        raise Moved(gone.subject_id, _kept(gone).subject_id)


def _kept(patient: Patient) -> Patient:
    """Follow a code that was given up to the one that stands for it."""
    while patient.merged_into is not None:
        patient = patient.merged_into
    return patient


def subject_of(revision: Revision) -> Patient:
    """Return the subject that a revision registered."""
    number = AuditEntry.objects.filter(revision=revision, table=Patient._meta.db_table).values("patient_id")[
        :1
    ]
    found: Patient = Patient.objects.get(pk__in=number)
    return found


def locked(patient: Patient) -> Patient:
    """Return the subject with its row locked: one writer per subject until the transaction ends."""
    found: Patient = (
        Patient.objects.select_for_update(no_key=True, of=("self",)).select_related("site").get(pk=patient.pk)
    )
    return found


def sites_for(user: User) -> QuerySet[Site]:
    """Return the sites at which this person may register subjects."""
    return Site.objects.all() if user.sees_all_sites else Site.objects.filter(user=user)


def life(patient: Patient, *, but_for_deaths: bool = False) -> Life:
    """Return the days that dates of this subject are held against."""
    died_on = None
    if not but_for_deaths:
        died_on = (
            Outcome.objects.valid()
            .filter(patient=patient, kind=OutcomeKind.DEATH.value)
            .values_list("happened_on", flat=True)
            .first()
        )
    return Life(
        today=today_at(patient.site),
        born_on=patient.birth_date,
        recruited_on=patient.recruited_on,
        died_on=died_on,
    )


def last_seen_on(patient: Patient) -> date | None:
    """Return the last day on which something valid happened to a subject, other than an outcome.

    Everything counts that a form refuses after a death, so that neither order of
    entry lets the two stand together. Draws do not: they are kept, and left out of
    the analysis with that reason.
    """
    last = {
        Screening: ("screened_on",),
        AdverseEvent: ("onset_on", "ended_on"),
        Treatment: ("started_on", "ended_on"),
    }
    given = Patient.objects.filter(pk=patient.pk, infusions__voided_at__isnull=True)
    found: list[dict[str, date | None]] = [given.aggregate(day=Max("infusions__given_on"))]
    for model, names in last.items():
        rows = model._default_manager.filter(patient=patient, voided_at__isnull=True)
        found.append(rows.aggregate(**{name: Max(name) for name in names}))
    return max((day for days in found for day in days.values() if day is not None), default=None)


# --- visits and what was measured -----------------------------------------------------------


def visit_of_week(patient: Patient, week: int) -> Visit | None:
    """Return the valid visit of a week, or None while there is none."""
    found: Visit | None = Visit.objects.valid().filter(patient=patient, week=week).first()
    return found


def visit_at(patient: Patient, week: int | None, day: date | None) -> Visit | None:
    """Return the valid visit of a week, or without one the unscheduled draw of a day."""
    if week is not None:
        return visit_of_week(patient, week)
    found: Visit | None = Visit.objects.valid().filter(patient=patient, week=None, visited_on=day).first()
    return found


def draw_or_404(user: User, subject_id: str, visit_id: int) -> Visit:
    """Return a valid unscheduled draw of a visible subject."""
    return _visit_or_404(user, subject_id, pk=visit_id, week__isnull=True)


def any_visit_or_404(user: User, subject_id: str, visit_id: int) -> Visit:
    """Return a valid visit of a visible subject by its id, scheduled or not."""
    return _visit_or_404(user, subject_id, pk=visit_id)


def _visit_or_404(user: User, subject_id: str, **which: Any) -> Visit:
    found: Visit | None = (
        Visit.objects.visible_to(user)
        .valid()
        .filter(patient__subject_id=subject_id, **which)
        .select_related("patient__site")
        .first()
    )
    if found is None:
        raise Http404
    return found


def results_of(visit: Visit) -> dict[str, LabResult]:
    """Return the stored results of a visit by analyte; none for a visit not saved yet."""
    if visit._state.adding:
        return {}
    return {result.analyte: result for result in visit.lab_results.all()}


@dataclass(frozen=True, slots=True)
class LastValue:
    """The last value of an analyte before a draw, in the standard unit, and when it was drawn."""

    result: LabResult
    drawn_on: date | None
    week: int | None

    @property
    def value(self) -> Decimal:
        value: Decimal | None = self.result.value
        return value if value is not None else Decimal(0)

    def as_earlier(self) -> Earlier:
        """Return what the edit checks compare with."""
        return Earlier(self.value, self.drawn_on)


def last_values(patient: Patient, *, visit: Visit, drawn_on: date) -> Mapping[str, LastValue]:
    """Return the last value of every analyte drawn before ``drawn_on``, leaving out ``visit`` itself."""
    results = LabResult.objects.filter(
        patient=patient, value__isnull=False, visit__voided_at__isnull=True
    ).select_related("visit")
    return last_before(results, visit=visit, drawn_on=drawn_on)


def last_before(results: Iterable[LabResult], *, visit: Visit, drawn_on: date) -> Mapping[str, LastValue]:
    """Return the last of these results of one subject before ``drawn_on``, leaving out ``visit`` itself."""
    found: dict[str, LastValue] = {}
    for result in sorted(results, key=lambda r: _order(r.visit)):
        other = result.visit
        if other.pk == visit.pk:
            continue
        if other.visited_on is not None:
            is_before = other.visited_on < drawn_on
        else:
            is_before = visit.week is not None and other.week is not None and other.week < visit.week
        if is_before:
            found[result.analyte] = LastValue(result, other.visited_on, other.week)
    return MappingProxyType(found)


def labs_until(patient: Patient, day: date) -> Mapping[str, Earlier]:
    """Return the last value of every analyte drawn on or before ``day``."""
    results = (
        LabResult.objects.filter(
            patient=patient, value__isnull=False, visit__voided_at__isnull=True, visit__visited_on__lte=day
        )
        .order_by("visit__visited_on", "visit_id")
        .values_list("analyte", "value", "visit__visited_on")
    )
    return {analyte: Earlier(value, drawn_on) for analyte, value, drawn_on in results}


def _order(visit: Visit) -> tuple[date, int, int]:
    return visit.visited_on or date.min, visit.week if visit.week is not None else -1, visit.pk


def last_saved(visit: Visit) -> Revision | None:
    """Return the newest revision that wrote results of a visit."""
    entry = (
        AuditEntry.objects.filter(
            patient_id=visit.patient_id, table=LabResult._meta.db_table, new__visit_id=visit.pk
        )
        .select_related("revision__actor")
        .order_by("-id")
        .first()
    )
    return entry.revision if entry is not None else None


# --- eligibility and outcomes ---------------------------------------------------------------


def screenings(patient: Patient) -> Sequence[Screening]:
    """Return the valid screenings of a subject with their answers, the newest first."""
    return list(
        Screening.objects.valid()
        .filter(patient=patient)
        .prefetch_related("answers")
        .order_by("-screened_on", "-id")
    )


def outcomes(patient: Patient) -> Sequence[Outcome]:
    """Return the valid outcomes of a subject by date."""
    return list(Outcome.objects.valid().filter(patient=patient).order_by("happened_on", "id"))


def outcome_or_404(user: User, subject_id: str, outcome_id: int) -> Outcome:
    """Return a valid outcome of a visible subject."""
    found: Outcome | None = (
        Outcome.objects.visible_to(user)
        .valid()
        .filter(patient__subject_id=subject_id, pk=outcome_id)
        .select_related("patient__site")
        .first()
    )
    if found is None:
        raise Http404
    return found


# --- treatment ------------------------------------------------------------------------------


def plasma_hours(patient: Patient) -> tuple[Given, ...]:
    """Return when plasma was given to a subject, for :func:`patients.plasma.after_plasma`."""
    rows = Treatment.objects.valid().filter(patient=patient, kind__in=vocabulary.PLASMA)
    return tuple(plasma_given(row, patient.site) for row in rows.order_by("started_on", "started_at", "id"))


def plasma_given(row: Treatment, site: Site) -> Given:
    """Return one row of plasma with its moments; without an end it ended when it started."""
    start = moment_of(site, row.started_on, row.started_at)
    end = start if row.ended_on is None else moment_of(site, row.ended_on, row.ended_at)
    return Given(row.kind, start, end)


def moment_of(site: Site, day: date, hour: time | None) -> Moment:
    """Return a day and an hour of a site as a moment, or the whole day while the hour is not known."""
    if hour is None:
        whole = (moment_at(site, day, time.min), moment_at(site, day, time(23, 59)))
        return Moment(whole[0].astimezone(UTC), whole[1].astimezone(UTC), day.isoformat())
    at = moment_at(site, day, hour).astimezone(UTC)
    return Moment(at, at, f"{day.isoformat()} {hour:%H:%M}")


def drawn_at(site: Site, visit: Visit, sampled_at: datetime | None = None) -> Moment | None:
    """Return when blood was drawn: the moment if it is known, else the day of the visit, else nothing."""
    if sampled_at is not None:
        local = sampled_at.astimezone(zone(site))
        at = sampled_at.astimezone(UTC)
        return Moment(at, at, f"{local:%Y-%m-%d %H:%M}")
    return None if visit.visited_on is None else moment_of(site, visit.visited_on, None)


def treatments(patient: Patient) -> list[Treatment]:
    """Return the valid treatments of a subject, the newest first."""
    return list(
        Treatment.objects.valid().filter(patient=patient).order_by("-started_on", "-started_at", "-id")
    )


def treatment_or_404(user: User, subject_id: str, treatment_id: int) -> Treatment:
    """Return a valid treatment of a visible subject."""
    found: Treatment | None = (
        Treatment.objects.visible_to(user)
        .valid()
        .filter(patient__subject_id=subject_id, pk=treatment_id)
        .select_related("patient__site")
        .first()
    )
    if found is None:
        raise Http404
    return found


# --- adverse events -------------------------------------------------------------------------


def events(patient: Patient) -> list[AdverseEvent]:
    """Return the valid adverse events of a subject, the newest first."""
    return list(
        AdverseEvent.objects.valid()
        .filter(patient=patient)
        .select_related("lab_result__visit")
        .order_by("-onset_on", "-onset_at", "-id")
    )


def event_or_404(user: User, subject_id: str, event_id: int) -> AdverseEvent:
    """Return a valid adverse event of a visible subject."""
    found: AdverseEvent | None = (
        AdverseEvent.objects.visible_to(user)
        .valid()
        .filter(patient__subject_id=subject_id, pk=event_id)
        .select_related("patient__site", "lab_result__visit")
        .first()
    )
    if found is None:
        raise Http404
    return found


def serious_waiting(user: User) -> list[AdverseEvent]:
    """Return the serious events that this person sees and that nobody has reported yet, the oldest clock first.

    :func:`patients.serious.clock` says of each how much time is left.
    """
    return list(
        AdverseEvent.objects.visible_to(user)
        .valid()
        .filter(aware_at__isnull=False, reported_at__isnull=True)
        .exclude(serious="")
        .select_related("patient__site")
        .order_by("aware_at", "id")
    )


def result_of(patient: Patient, number: str) -> LabResult | None:
    """Return the result of a subject that an address names, or None when it names none."""
    if not (number.isascii() and number.isdigit() and len(number) < 19):
        return None
    found: LabResult | None = (
        LabResult.objects.filter(pk=number, patient=patient, visit__voided_at__isnull=True)
        .select_related("visit")
        .first()
    )
    return found


def end_of_observation(outcomes: Sequence[Outcome]) -> Outcome | None:
    """Return the death or transplant from whose day on values are left out of the analysis, or None."""
    ends = [o for o in outcomes if o.kind in (OutcomeKind.DEATH, OutcomeKind.TRANSPLANT)]
    return min(ends, key=lambda o: (o.happened_on, o.kind), default=None)
