"""The study at a glance: who entered when, and how complete the visits are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from django.db.models import Count, Min

from patients import step_chart, upstairs
from patients.models import Outcome, Patient, Visit
from trial import audit, protocol
from trial.clock import today_at
from trial.models import Site, User

HEAT_STEPS = (70, 80, 90, 97)
"""Percent from which a cell of the heat map takes the next darker shade; our choice."""


# --- enrolment ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Enrolment:
    """The step chart and the counts its caption names."""

    chart: step_chart.StepChart | None
    treated: int
    in_course: int


@dataclass(frozen=True, slots=True)
class Treated:
    """A subject with at least one valid infusion."""

    patient_id: int
    site_id: int
    diagnosis: str
    planned_course: str
    first_on: date
    given: int


def treated(user: User) -> list[Treated]:
    """Return the visible subjects with at least one valid infusion. One query."""
    infusions = upstairs.infusions().filter(
        voided_at__isnull=True, patient__in=Patient.objects.visible_to(user)
    )
    by_patient = infusions.order_by().values_list(
        "patient_id", "patient__site_id", "patient__diagnosis", "patient__planned_course"
    )
    return [Treated(*row) for row in by_patient.annotate(first_on=Min("given_on"), given=Count("pk"))]


def enrolment(subjects: Iterable[Treated], today: date) -> Enrolment:
    """Return who entered when, by the group they are in now."""
    entered: dict[str, list[date]] = {code: [] for code in protocol.GROUP_CODES}
    in_course = 0
    for subject in subjects:
        entered[protocol.group_of(subject.diagnosis, subject.given)].append(subject.first_on)
        # may still become A or C: the last planned infusion is not past
        if subject.given < protocol.PROLONGED_FROM and subject.planned_course == protocol.Course.PROLONGED:
            last = 7 * (protocol.MOST_INFUSIONS - 1) + protocol.INFUSION_WINDOW.after
            in_course += subject.first_on + timedelta(days=last) >= today
    return Enrolment(
        chart=step_chart.draw(entered, today),
        treated=sum(len(days) for days in entered.values()),
        in_course=in_course,
    )


# --- completeness ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Heat:
    """Visits of one week at one site: entered of those whose day has come."""

    entered: int
    expected: int

    @property
    def percent(self) -> int | None:
        """Rounded down, so that 100 means all."""
        return 100 * self.entered // self.expected if self.expected else None

    @property
    def shade(self) -> str:
        """The step of the heat scale, or ``none`` while nothing is expected."""
        if self.percent is None:
            return "none"
        return str(1 + sum(self.percent >= step for step in HEAT_STEPS))


@dataclass(frozen=True, slots=True)
class HeatRow:
    """One site's weeks; ``site`` is None for all sites together."""

    site: Site | None
    cells: tuple[Heat, ...]


@dataclass(frozen=True, slots=True)
class Completeness:
    """The heat map, with the revision it was read at."""

    weeks: tuple[int, ...]
    rows: tuple[HeatRow, ...]
    revision: int


def completeness(user: User, subjects: Iterable[Treated]) -> Completeness:
    """Return, by site and week, how many visits are entered of those whose day has come.

    A visit is expected once its due day has come, unless observation had ended
    before it; one entered early counts as expected too. Four queries.
    """
    sites = {site.pk: site for site in (Site.objects.all() if user.sees_all_sites else [user.site]) if site}
    todays = {pk: today_at(site) for pk, site in sites.items()}
    seen = set(
        Visit.objects.visible_to(user)
        .valid()
        .filter(week__isnull=False, not_done="")
        .values_list("patient_id", "week")
        .order_by()
    )
    outcomes = Outcome.objects.visible_to(user).valid().order_by().values_list("patient_id")
    ended = dict(outcomes.annotate(day=Min("happened_on")))
    tallies: dict[int, list[list[int]]] = {}
    for subject in subjects:
        row = tallies.setdefault(subject.site_id, [[0, 0] for _ in protocol.WEEKS])
        last = min(todays[subject.site_id], ended.get(subject.patient_id, date.max))
        for tally, week in zip(row, protocol.WEEKS, strict=True):
            is_entered = (subject.patient_id, week) in seen
            tally[0] += is_entered
            tally[1] += is_entered or protocol.visit_due(week, subject.first_on) <= last
    rows = [
        HeatRow(sites[pk], tuple(Heat(*tally) for tally in tallies[pk]))
        for pk in sorted(tallies, key=lambda pk: sites[pk].code)
    ]
    if len(rows) > 1:
        weeks = zip(*(row.cells for row in rows), strict=True)
        rows.append(HeatRow(None, tuple(_together(cells) for cells in weeks)))
    return Completeness(protocol.WEEKS, tuple(rows), audit.latest_revision())


def _together(cells: Sequence[Heat]) -> Heat:
    return Heat(sum(cell.entered for cell in cells), sum(cell.expected for cell in cells))
