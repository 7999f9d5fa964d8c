"""Rows that lie on the floors above and hang on a subject, reached by the name of their relation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from types import MappingProxyType
from typing import Any

from django.db.models import Count, Exists, IntegerField, OuterRef, Q, QuerySet, Subquery

from patients.models import Patient
from trial.models import AuditEntry

PLACES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "infusions_infusion": ("number",),
        "infusions_plannedinfusion": ("number",),
        "infusions_coursedecision": (),
    }
)
"""Tables up there in which two valid rows of one subject cannot stand in the same place, and what a place is."""


def infusions() -> QuerySet[Any]:
    """Return the infusions of all subjects, the voided ones too."""
    return _related("infusions")


def vitals() -> QuerySet[Any]:
    """Return the vital signs of all infusions."""
    model: Any = infusions().model._meta.get_field("vitals").related_model
    rows: QuerySet[Any] = model._default_manager.all()
    return rows


def course_decisions() -> QuerySet[Any]:
    """Return the decisions on the course of all subjects, the voided ones too."""
    return _related("course_decisions")


GIVABLE = ("released", "conditional")
"""States of a lot in which it may be given."""
RECALLED, RECALL_DAYS = "recalled", 14
"""For how long a recall is told to everybody whose subjects got the lot; their courses tell it for ever."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is planned for an infusion: why it was not given (empty while it waits), the lot set aside, the hour.

    ``release`` is the state of that lot, ``expires_on`` its last day.
    """

    patient_id: int
    number: int
    not_done: str
    lot: str
    planned_on: date | None
    planned_at: time | None
    release: str = ""
    expires_on: date | None = None

    @property
    def is_lot_lost(self) -> bool:
        """Whether a lot was set aside that may not be given any more."""
        return bool(self.lot) and (self.release not in GIVABLE or self.is_lot_expired)

    @property
    def is_lot_expired(self) -> bool:
        return bool(self.expires_on and self.planned_on and self.expires_on < self.planned_on)


def planned_infusions(patients: Iterable[int]) -> list[Plan]:
    """Return what is planned or called off for these subjects, in one query."""
    plans = _related("planned_infusions").filter(patient__in=list(patients), voided_at__isnull=True)
    rows = plans.order_by().values_list(
        "patient",
        "number",
        "not_done",
        "lot__code",
        "planned_on",
        "planned_at",
        "lot__release",
        "lot__expires_on",
    )
    return [
        Plan(patient, number, why, lot or "", day, hour, release or "", expires_on)
        for patient, number, why, lot, day, hour, release, expires_on in rows
    ]


def lots_to_decide() -> list[str]:
    """Return the codes of the lots whose release is not final, the oldest first."""
    return list(
        _lots()
        .filter(release__in=["quarantine", "conditional"])
        .order_by("pk")
        .values_list("code", flat=True)
    )


def decisions_by_patient(patients: Iterable[int]) -> dict[int, str]:
    """Return by patient what was decided about the course: ``prolong`` or ``stop``."""
    decisions = _related("course_decisions").filter(patient__in=list(patients), voided_at__isnull=True)
    return dict(decisions.order_by().values_list("patient", "decision"))


@dataclass(frozen=True, slots=True)
class LotNews:
    """A lot that asks for attention: it expires soon, or it failed or was recalled after it was given.

    ``count`` is the number of open plans that rest on an expiring lot, or the
    number of subjects who got another one, as far as a person may see them.
    """

    code: str
    expires_on: date | None
    count: int
    is_recalled: bool = False


def expiring_lots(patients: QuerySet[Patient], today: date, days: int = 7) -> list[LotNews]:
    """Return the lots that can be given and expire within so many days, the soonest first."""
    open_plans = (
        _related("planned_infusions")
        .filter(
            lot=OuterRef("pk"),
            voided_at__isnull=True,
            not_done="",
            patient__in=patients,
        )
        .exclude(
            Exists(
                infusions().filter(
                    patient=OuterRef("patient"), number=OuterRef("number"), voided_at__isnull=True
                )
            )
        )
    )
    lots = _lots().filter(
        release__in=GIVABLE,
        expires_on__gte=today,
        expires_on__lte=today + timedelta(days=days),
    )
    sites = patients.order_by().values("site")
    lots = lots.filter(Q(site__isnull=True) | Q(site__in=sites))
    counted = Subquery(
        open_plans.order_by().values("lot").annotate(n=Count("pk")).values("n"), output_field=IntegerField()
    )
    return [
        LotNews(lot.code, lot.expires_on, lot.n or 0)
        for lot in lots.annotate(n=counted).order_by("expires_on", "code")
    ]


def alarming_lots(patients: QuerySet[Patient], now: datetime) -> list[LotNews]:
    """Return the lots these patients got that failed a test and are not recalled yet, or were recalled lately."""
    given = infusions().filter(patient__in=patients, voided_at__isnull=True, lot__isnull=False)
    recall = AuditEntry.objects.filter(
        table=_lots().model._meta.db_table,
        row=OuterRef("pk"),
        new__release=RECALLED,
        revision__made_at__gte=now - timedelta(days=RECALL_DAYS),
    ).exclude(old__release=RECALLED)
    # the few recalled lots once, not the trail for every infusion
    recalled = _lots().filter(Exists(recall), release=RECALLED).values("pk")
    found = (
        given.filter(Q(lot__release_tests__result="fail", lot__release__in=GIVABLE) | Q(lot__in=recalled))
        .order_by("lot__code")
        .values_list("lot__code", "lot__expires_on", "lot__release")
        .annotate(n=Count("patient", distinct=True))
    )
    return [
        LotNews(code, expires_on, count, is_recalled=release == RECALLED)
        for code, expires_on, release, count in found
    ]


def scores() -> QuerySet[Any]:
    """Return the computed scores of all visits, each from the run that changed it."""
    return _related("scores")


def _lots() -> QuerySet[Any]:
    model: Any = infusions().model._meta.get_field("lot").related_model
    rows: QuerySet[Any] = model._default_manager.all()
    return rows


def results_revision() -> int | None:
    """Return the revision as of which all results are there; None before they were ever computed."""
    run: Any = _related("scores").model._meta.get_field("run").related_model
    newest: int | None = run._default_manager.order_by("-id").values_list("revision", flat=True).first()
    return newest


def _related(name: str) -> QuerySet[Any]:
    model: Any = Patient._meta.get_field(name).related_model
    rows: QuerySet[Any] = model._default_manager.all()
    return rows
