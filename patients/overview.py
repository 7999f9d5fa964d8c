"""The study at a glance: who entered when, and how complete the visits are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.db.models import Count, Exists, Min, OuterRef, Q, QuerySet, Subquery

from patients import step_chart
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


def _with_first_infusion(user: User) -> QuerySet[Patient]:
    infusions = Patient._meta.get_field("infusions").related_model.objects.filter(
        patient=OuterRef("pk"), voided_at__isnull=True
    )
    by_patient = infusions.order_by().values("patient")
    treated: QuerySet[Patient] = (
        Patient.objects.visible_to(user)
        .annotate(
            first_on=Subquery(by_patient.values(day=Min("given_on"))[:1]),
            given_count=Subquery(by_patient.values(n=Count("pk"))[:1]),
        )
        .filter(first_on__isnull=False)
    )
    return treated


def enrolment(user: User, today: date) -> Enrolment:
    """Return who entered when, by the group they are in now. One query."""
    entered: dict[str, list[date]] = {code: [] for code in protocol.GROUP_CODES}
    in_course = 0
    rows = _with_first_infusion(user).values_list("diagnosis", "planned_course", "first_on", "given_count")
    for diagnosis, planned, first_on, given in rows.order_by("first_on"):
        entered[protocol.group_of(diagnosis, given)].append(first_on)
        # may still become A or C: the last planned infusion is not past
        if given < protocol.PROLONGED_FROM and planned == protocol.Course.PROLONGED:
            last = first_on + timedelta(
                days=7 * (protocol.MOST_INFUSIONS - 1) + protocol.INFUSION_WINDOW.after
            )
            in_course += last >= today
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


def completeness(user: User) -> Completeness:
    """Return, by site and week, how many visits are entered of those whose day has come.

    A visit is expected once its due day has come, unless observation had ended
    before it; one entered early counts as expected too. Three queries.
    """
    sites = {site.pk: site for site in (Site.objects.all() if user.sees_all_sites else [user.site])}
    ended = Outcome.objects.valid().filter(patient=OuterRef("pk")).order_by("happened_on")
    treated = _with_first_infusion(user).annotate(ended_on=Subquery(ended.values("happened_on")[:1]))
    counts: dict[str, Any] = {}
    for week in protocol.WEEKS:
        seen = Exists(Visit.objects.valid().filter(patient=OuterRef("pk"), week=week))
        counts[f"entered_{week}"] = Count("pk", filter=Q(seen))
        counts[f"expected_{week}"] = Count("pk", filter=Q(seen) | _expected(week, sites.values()))
    found = {row["site"]: row for row in treated.order_by().values("site").annotate(**counts)}
    rows = [
        HeatRow(
            sites[pk], tuple(Heat(row[f"entered_{week}"], row[f"expected_{week}"]) for week in protocol.WEEKS)
        )
        for pk, row in sorted(found.items(), key=lambda item: sites[item[0]].code)
    ]
    if len(rows) > 1:
        rows.append(
            HeatRow(
                None, tuple(_together([row.cells[i] for row in rows]) for i in range(len(protocol.WEEKS)))
            )
        )
    return Completeness(protocol.WEEKS, tuple(rows), audit.latest_revision())


def _expected(week: int, sites: Any) -> Q:
    """Return whether a week's day has come at a subject's site and the subject was still followed."""
    expected = Q(pk__in=[])
    days = timedelta(days=7 * week)
    for site in sites:
        has_come = Q(site=site, first_on__lte=today_at(site) - days)
        expected |= has_come & (Q(ended_on__isnull=True) | Q(ended_on__gte=_shifted("first_on", days)))
    return expected


def _shifted(field: str, by: timedelta) -> Any:
    from django.db.models import DateField, ExpressionWrapper, F

    return ExpressionWrapper(F(field) + by, output_field=DateField())


def _together(cells: Sequence[Heat]) -> Heat:
    return Heat(sum(cell.entered for cell in cells), sum(cell.expected for cell in cells))
