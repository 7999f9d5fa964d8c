"""What is read about infusions and lots, always within what a person may see."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import date, timedelta
from typing import Any, TypeVar

from django.db.models import (
    Case,
    Count,
    Exists,
    F,
    IntegerField,
    Max,
    Model,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    When,
)
from django.db.models.functions import Coalesce
from django.http import Http404

from infusions import planning, release
from infusions.models import (
    CellLot,
    CourseDecision,
    CustodyEvent,
    Infusion,
    PlannedInfusion,
    ReleaseTest,
    VitalSigns,
)
from infusions.particulars import Circumstances, Particulars
from infusions.vitals import Vitals
from patients import selectors as patient_selectors
from patients.models import Outcome, Patient
from trial.models import AuditEntry, User
from trial.roles import sees_donor

Row = TypeVar("Row", bound=Model)

LOT_STAYS_DAYS = 90
"""Days after its last day that a lot is still offered for infusions recorded late."""

EXPIRING_DAYS = 7
"""A lot that expires within so many days is called expiring."""


# --- one subject ----------------------------------------------------------------------------


def valid_infusions(patient: Patient) -> list[Infusion]:
    """Return the subject's infusions that were given and not voided, by number."""
    return list(
        Infusion.objects.valid()
        .filter(patient=patient)
        .select_related("lot", "patient__site")
        .order_by("number")
    )


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
    decision = decision_of(patient)
    return Circumstances(
        patient=patient,
        number=number,
        life=patient_selectors.life(patient),
        others=others,
        ended_on=next((o.happened_on for o in patient_selectors.outcomes(patient)), None),
        decision=decision.decision if decision else "",
        plan=next((plan for plan in plans(patient) if plan.number == number), None),
    )


def as_it_was(infusion: Infusion, version: int) -> Particulars | None:
    """Return an infusion's particulars at an earlier version, from the trail; None if it never had it."""
    then = row_as_it_was(infusion, version)
    return None if then is None else Particulars.of(then)


def row_as_it_was(row: Row, version: int) -> Row | None:
    """Return a row at an earlier version of its own, from the trail; None if it never had it."""
    entry = AuditEntry.objects.filter(table=row._meta.db_table, row=row.pk, new__version=version).last()
    if entry is None or entry.new is None:
        return None
    then = type(row)()
    for field in row._meta.concrete_fields:
        value = entry.new.get(field.column)
        setattr(then, field.attname, None if value is None else field.to_python(value))
    return then


def last_writer(row: Model) -> str:
    """Return the name of whoever last wrote a row."""
    entry = (
        AuditEntry.objects.filter(table=row._meta.db_table, row=row.pk)
        .select_related("revision__actor")
        .last()
    )
    return entry.revision.actor.shown_name if entry else ""


def vitals_of(infusion: Infusion) -> dict[str, Vitals]:
    """Return the vital signs of an infusion by moment."""
    return vitals_by_infusion([infusion]).get(infusion.pk, {})


def vitals_by_infusion(infusions: Iterable[Infusion]) -> Mapping[int, dict[str, Vitals]]:
    """Return the vital signs of several infusions in one query: by infusion, then by moment."""
    names = [each.name for each in fields(Vitals)]
    found: dict[int, dict[str, Vitals]] = defaultdict(dict)
    for row in VitalSigns.objects.filter(infusion__in=[infusion.pk for infusion in infusions]):
        found[row.infusion_id][row.moment] = Vitals(**{name: getattr(row, name) for name in names})
    return found


def plans(patient: Patient) -> list[PlannedInfusion]:
    """Return what is planned or called off for a subject, by number."""
    return list(
        PlannedInfusion.objects.valid().filter(patient=patient).select_related("lot").order_by("number")
    )


def decision_of(patient: Patient) -> CourseDecision | None:
    """Return the decision about a subject's course, or None."""
    found: CourseDecision | None = CourseDecision.objects.valid().filter(patient=patient).first()
    return found


def wish(patient: Patient, number: int, planned_on: date, lot: CellLot | None) -> planning.Wish:
    """Return what the rules of planning look at."""
    around = circumstances(patient, number)
    given = {other.number: other.given_on for other in around.others}
    return planning.Wish(
        number=number,
        planned_on=planned_on,
        today=around.today,
        lot=None if lot is None else lot_facts(lot, but_for=(patient, number)),
        given=given,
        planned={
            plan.number: plan.planned_on
            for plan in plans(patient)
            if plan.planned_on and not plan.not_done and plan.number not in given
        },
        recruited_on=patient.recruited_on,
        ended_on=around.ended_on,
        enrolled=patient.status == Patient.Status.ENROLLED,
        stopped_on=_stopped_on(patient),
    )


def _stopped_on(patient: Patient) -> date | None:
    decision = decision_of(patient)
    return decision.decided_on if decision is not None and decision.decision == "stop" else None


def voided_infusions(patient: Patient) -> list[Infusion]:
    """Return the subject's infusions that were struck, by number."""
    return list(
        Infusion.objects.filter(patient=patient, voided_at__isnull=False)
        .select_related("lot")
        .order_by("number", "voided_at")
    )


# --- lots -----------------------------------------------------------------------------------


def open_plans() -> QuerySet[PlannedInfusion]:
    """Return the plans that hold a bag: not taken back, not called off, not given, before any outcome."""
    given = Infusion.objects.valid().filter(patient=OuterRef("patient"), number=OuterRef("number"))
    ended = Outcome.objects.valid().filter(
        patient=OuterRef("patient"), happened_on__lte=OuterRef("planned_on")
    )
    found: QuerySet[PlannedInfusion] = PlannedInfusion.objects.valid().filter(
        ~Exists(given), ~Exists(ended), not_done=""
    )
    return found


def lots_to_choose(patient: Patient, today: date, *, and_also: CellLot | None = None) -> QuerySet[CellLot]:
    """Return the lots a form offers, of the subject's site: those still good, soonest to expire first, then those expired lately."""
    offered = _of_site(patient.site_id) & (
        Q(expires_on__isnull=True) | Q(expires_on__gte=today - timedelta(days=LOT_STAYS_DAYS))
    )
    if and_also is not None:
        offered |= Q(pk=and_also.pk)
    is_expired = Case(When(expires_on__lt=today, then=1), default=0)
    return CellLot.objects.filter(offered).order_by(is_expired, "expires_on", "code")


def lots_to_plan(user: User, day: date) -> QuerySet[CellLot]:
    """Return the lots that may be planned for a day, soonest to expire first."""
    return (
        with_bags(lots_visible_to(user))
        .filter(release__in=release.GIVABLE)
        .filter(Q(expires_on__isnull=True) | Q(expires_on__gte=day))
        .order_by("expires_on", "code")
    )


def lot_with_code(code: str) -> CellLot | None:
    """Return the lot with a code, or None."""
    return CellLot.objects.filter(code=code).first()


def lots_visible_to(user: User) -> QuerySet[CellLot]:
    """Return the lots a person may see: those of no site in particular, of their site, or given to their subjects."""
    if user.sees_all_sites:
        return CellLot.objects.all()
    return CellLot.objects.filter(_of_site(user.site_id))


def _of_site(site_id: int | None) -> Q:
    theirs = Infusion.objects.filter(lot=OuterRef("pk"), patient__site=site_id)
    return Q(site__isnull=True) | Q(site=site_id) | Q(Exists(theirs))


def lot_or_404(user: User, code: str) -> CellLot:
    """Return a visible lot with its bags counted."""
    found = with_bags(lots_visible_to(user)).select_related("site").filter(code=code).first()
    if found is None:
        raise Http404
    return found


def may_change(user: User, lot: CellLot) -> bool:
    """Return whether a lot is a person's to describe: a bag that came from another site makes it visible, no more."""
    return user.sees_all_sites or lot.site_id in (None, user.site_id)


def with_bags(found: QuerySet[CellLot]) -> QuerySet[CellLot]:
    """Add how many bags are given, set aside and discarded, at whichever site."""
    return found.annotate(
        bags_given=_counted(Infusion.objects.valid().filter(lot=OuterRef("pk"))),
        bags_reserved=_counted(open_plans().filter(lot=OuterRef("pk"))),
        bags_discarded=_counted(
            CustodyEvent.objects.filter(lot=OuterRef("pk"), step="discarded").exclude(bag="")
        ),
    )


def _counted(rows: QuerySet[Any]) -> Coalesce:
    counted = rows.order_by().values("lot").annotate(n=Count("pk")).values("n")
    return Coalesce(Subquery(counted, output_field=IntegerField()), 0)


def lot_facts(lot: CellLot, *, but_for: tuple[Patient, int] | None = None) -> planning.LotFacts:
    """Return what the rules of planning look at; ``but_for`` is the plan in question, whose bag is its own."""
    counted: Any = with_bags(CellLot.objects.filter(pk=lot.pk)).get()
    reserved = counted.bags_reserved
    if but_for is not None:
        patient, number = but_for
        reserved -= open_plans().filter(lot=lot, patient=patient, number=number).count()
    return planning.LotFacts(
        lot.code,
        counted.release,
        counted.expires_on,
        planning.free_bags(
            counted.bags,
            given=counted.bags_given,
            reserved=reserved,
            discarded=counted.bags_discarded,
        ),
    )


def release_results(lot: CellLot) -> dict[str, str]:
    """Return the result of every release test that was entered, by test."""
    return dict(ReleaseTest.objects.filter(lot=lot).values_list("test", "result"))


def release_tests(lots: Iterable[CellLot]) -> Mapping[int, dict[str, ReleaseTest]]:
    """Return the release tests of several lots in one query: by lot, then by test."""
    found: dict[int, dict[str, ReleaseTest]] = defaultdict(dict)
    for row in ReleaseTest.objects.filter(lot__in=[lot.pk for lot in lots]):
        found[row.lot_id][row.test] = row
    return found


def custody(lot: CellLot) -> list[CustodyEvent]:
    """Return the chain of custody of a lot, in time."""
    return list(CustodyEvent.objects.filter(lot=lot).order_by("happened_at", "id"))


def recipients(user: User, lot: CellLot) -> list[Infusion]:
    """Return the valid infusions of a lot that a person may see, each subject's in time, with the site."""
    return list(
        Infusion.objects.visible_to(user)
        .valid()
        .filter(lot=lot)
        .select_related("patient__site", "lot")
        .prefetch_related("patient__outcomes")
        .order_by("given_on", "patient__subject_id", "number")
    )


def reserved_for(user: User, lot: CellLot) -> list[PlannedInfusion]:
    """Return the open plans of a lot that a person may see."""
    return list(
        open_plans()
        .filter(lot=lot, patient__in=Patient.objects.visible_to(user))
        .select_related("patient__site")
        .order_by("planned_on", "patient__subject_id")
    )


def alarmed_lots(lots: Iterable[CellLot]) -> frozenset[int]:
    """Return those of these lots that failed a test or were recalled after somebody got them."""
    ids = {lot.pk for lot in lots}
    given = set(
        Infusion.objects.valid().filter(lot__in=ids).order_by().values_list("lot_id", flat=True).distinct()
    )
    failed = set(ReleaseTest.objects.filter(lot__in=given, result="fail").values_list("lot_id", flat=True))
    bad = {lot.pk for lot in lots if lot.release in ("recalled", "rejected")}
    return frozenset(given & (failed | bad))


def lots(user: User, today: date) -> QuerySet[CellLot]:
    """Return the lots with how many infusions and subjects this person may see got them, newest first.

    A lot that expired without anybody this person may see getting it is left out.
    """
    return (
        _with_recipients(user, lots_visible_to(user))
        .filter(Q(expires_on__isnull=True) | Q(expires_on__gte=today) | Q(infusion_count__gt=0))
        .order_by("-expires_on", "code")
    )


def all_lots(user: User) -> QuerySet[CellLot]:
    """Return every lot a person may see, with its bags and recipients counted, newest first."""
    return with_bags(_with_recipients(user, lots_visible_to(user))).order_by(
        F("expires_on").desc(nulls_first=True), "code"
    )


def _with_recipients(user: User, found: QuerySet[CellLot]) -> QuerySet[CellLot]:
    # asked once a lot: joined with its infusions a lot would have its bags counted once for each of them
    seen = Infusion.objects.visible_to(user).valid().filter(lot=OuterRef("pk")).order_by().values("lot")
    return found.annotate(
        infusion_count=_counted(seen),
        subject_count=Coalesce(
            Subquery(
                seen.annotate(n=Count("patient", distinct=True)).values("n"), output_field=IntegerField()
            ),
            0,
        ),
        last_given_on=Subquery(seen.annotate(day=Max("given_on")).values("day")),
    )


def may_see_donor(user: User) -> bool:
    """Return whether a person needs the donor code: who enters lots, and who releases them."""
    return sees_donor(user)


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


def planned_soon(user: User, today: date, *, days: int, site: str = "") -> list[PlannedInfusion]:
    """Return the open plans of the coming days that a person may see, in time."""
    found = open_plans().filter(
        patient__in=Patient.objects.visible_to(user),
        planned_on__gte=today,
        planned_on__lt=today + timedelta(days=days),
    )
    if site:
        found = found.filter(patient__site__code=site)
    return list(
        found.select_related("lot", "patient__site").order_by(
            "planned_on", "planned_at", "patient__subject_id"
        )
    )
