"""What Today shows a role beside the queue: what it alone can do something about.

Every part costs the same few queries, whatever the number of subjects.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.db.models import Exists, OuterRef, Q, Subquery
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from patients import casebook, grading, query_list, signatures, upstairs, verifications
from patients.models import DataQuery, LabResult, Outcome, Patient, Signature, Visit
from patients.query_life import State
from patients.verifications import Share
from patients.worklist import Record
from trial import protocol
from trial.models import AuditEntry, Job, Site, User

SHOWN = 6
RISE_DAYS = 35
"""A rise counts as news while the later visit is at most so many days old; our choice."""
DECISION_DAYS = 21
"""Days after the fourth infusion in which the course is still to be decided; our choice."""


# --- hepatologist ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rise:
    """A subject whose score rose from one visit to the next."""

    subject_id: str
    week: int | None
    day: date
    before: int
    after: int

    @property
    def by(self) -> int:
        return self.after - self.before


def rises(user: User, today: date) -> list[Rise]:
    """Return the subjects whose MELD rose since the visit before, the steepest first. Two queries."""
    scores = upstairs.scores().filter(
        variant=protocol.DEFAULT_SCORE,
        visit__voided_at__isnull=True,
        visit__visited_on__isnull=False,
        patient__in=Patient.objects.visible_to(user),
    )
    recent = set(
        scores.filter(visit__visited_on__gte=today - timedelta(days=RISE_DAYS))
        .order_by()
        .values_list("patient_id", flat=True)
    )
    newest = (
        scores.filter(patient_id__in=recent)
        .order_by("visit_id", "-run_id")
        .distinct("visit_id")
        .values_list(
            "patient_id", "patient__subject_id", "visit__week", "visit__visited_on", "reported", "visit_id"
        )
    )
    by_patient: dict[int, list[Any]] = {}
    for row in newest:
        if row[4] is not None:
            by_patient.setdefault(row[0], []).append(row)
    found = []
    for rows in by_patient.values():
        rows.sort(key=lambda row: (row[3], row[5]))
        if len(rows) < 2:
            continue
        (*_ignored, before, _visit), (_pk, subject_id, week, day, after, _last) = rows[-2:]
        if after > before and day >= today - timedelta(days=RISE_DAYS):
            found.append(Rise(subject_id, week, day, before, after))
    return sorted(found, key=lambda rise: (-rise.by, -rise.after, rise.subject_id))


@dataclass(frozen=True, slots=True)
class ToSign:
    """A visit with results under which no name stands, or the casebook of a subject whose follow-up ended."""

    subject_id: str
    what: str
    url: str


def to_sign_again(user: User) -> list[ToSign]:
    """Return the visits and casebooks whose newest signature is void, the last signed first.

    What was written after a signature makes it a candidate; whether the signed
    values differ is then decided by the digest, as everywhere. Only the latest
    candidates are looked at, so that the cost does not grow with the study;
    what is locked can change no more and is left out.
    """
    newest = (
        Signature.objects.visible_to(user)
        .order_by("patient_id", "visit_id", "-signed_at", "-id")
        .distinct("patient_id", "visit_id")
    )
    later = AuditEntry.objects.filter(id__gt=OuterRef("entry"))
    own = AuditEntry.objects.filter(table=Signature._meta.db_table, row=OuterRef("pk"), op="I")
    results = LabResult.objects.filter(visit=OuterRef(OuterRef("visit_id")))
    of_visit = later.filter(table=Visit._meta.db_table, row=OuterRef("visit_id"))
    of_results = later.filter(table=LabResult._meta.db_table, row__in=results.values("pk"))
    of_book = later.filter(patient_id=OuterRef("patient_id"), table__in=list(casebook.SIGNED))
    candidates = (
        Signature.objects.annotate(entry=Subquery(own.values("id")[:1]))
        .filter(
            Q(visit__voided_at__isnull=True, visit__locked_at__isnull=True),
            pk__in=newest.values("pk"),
            patient__locked_at__isnull=True,
            patient__merged_into__isnull=True,
        )
        .filter(
            Q(visit__isnull=False) & (Exists(of_visit) | Exists(of_results))
            | Q(visit__isnull=True) & Exists(of_book)
        )
        .select_related("patient", "visit")
        .order_by("-signed_at", "-id")
    )
    found = []
    for signature in candidates[:SHOWN]:
        visit = signature.visit
        states = signatures.signatures(signature.patient, visit=visit, only_casebook=visit is None)
        if states[0].is_valid:
            continue
        code = signature.patient.subject_id
        if visit is None:
            found.append(ToSign(code, _("casebook, changed since"), reverse("patients:sign", args=[code])))
            continue
        place = _("week %(week)s") % {"week": visit.week} if visit.week is not None else f"{visit.visited_on}"
        what = _("%(place)s, changed since") % {"place": place}
        found.append(ToSign(code, what, f"{reverse('patients:sign', args=[code])}?visit={visit.pk}"))
    return found


def visits_to_sign(user: User) -> tuple[list[ToSign], int]:
    """Return the latest visits that nobody has signed, and how many there are."""
    signed = Signature.objects.filter(visit=OuterRef("pk"))
    results = LabResult.objects.filter(visit=OuterRef("pk"))
    waiting = (
        Visit.objects.visible_to(user)
        .valid()
        .filter(~Exists(signed), Exists(results))
        .order_by("-visited_on", "patient__subject_id")
    )
    rows = list(waiting.values_list("pk", "patient__subject_id", "week", "visited_on")[:SHOWN])
    found = [
        ToSign(
            code,
            _("week %(week)s") % {"week": week} if week is not None else f"{day}",
            f"{reverse('patients:sign', args=[code])}?visit={pk}",
        )
        for pk, code, week, day in rows
    ]
    return found, waiting.count()


def casebooks_to_sign(user: User) -> tuple[list[ToSign], int]:
    """Return the casebooks of ended subjects that nobody has signed as a whole, and how many there are."""
    signed = Signature.objects.filter(patient=OuterRef("pk"), visit__isnull=True)
    ended = Outcome.objects.valid().filter(patient=OuterRef("pk"))
    waiting = Patient.objects.visible_to(user).filter(Exists(ended), ~Exists(signed)).order_by("subject_id")
    codes = list(waiting.values_list("subject_id", flat=True)[:SHOWN])
    return [
        ToSign(code, _("casebook"), reverse("patients:sign", args=[code])) for code in codes
    ], waiting.count()


def decisions_due(subjects: Iterable[Record]) -> list[Record]:
    """Return the subjects with four infusions about whose course nobody has decided, the longest ago first."""

    def is_due(each: Record) -> bool:
        facts = each.facts
        if facts.decision or facts.ended_on or facts.screened_out:
            return False
        if each.given != protocol.PROLONGED_FROM - 1:
            return False
        return max(facts.given.values()) >= each.today - timedelta(days=DECISION_DAYS)

    found = [each for each in subjects if is_due(each)]
    return sorted(found, key=lambda each: max(each.facts.given.values()))


def severe_grades(user: User) -> tuple[list[grading.Proposal], int]:
    """Return the newest severe grades that nobody confirmed, and how many there are."""
    found = grading.new_severe_grades(user)
    return found[:SHOWN], len(found)


# --- monitor --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SiteShare:
    """How much of a site is verified, and the visit to go on with."""

    site: Site
    share: Share
    next_url: str
    next_words: str


def verified_by_site(user: User) -> list[SiteShare]:
    """Return by site how much is verified, with the earliest visit that has something to compare."""
    shares = verifications.shares_by_site(user)
    following = verifications.next_visits(user)
    found = []
    for site in Site.objects.filter(pk__in=shares).order_by("code"):
        url = words = ""
        if site.pk in following:
            code, visit, week = following[site.pk]
            url = f"{reverse('patients:verify', args=[code])}?visit={visit}"
            words = f"{code} W{week}" if week is not None else code
        found.append(SiteShare(site, shares[site.pk], url, words))
    return found


def answered(user: User) -> tuple[Sequence[query_list.QueryRow], int]:
    """Return the answered queries that wait to be judged, the oldest first, and how many there are."""
    waiting = DataQuery.objects.visible_to(user).filter(state=State.ANSWERED)
    shown = waiting.select_related("patient__site", "visit", "assigned_to", "opened_by").order_by("id")
    return query_list.rows(list(shown[:SHOWN]), user), waiting.count()


# --- data manager ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Housekeeping:
    """What a data manager keeps in order."""

    open: int
    answered: int
    old: int
    locked: int
    ready_to_lock: int
    frozen: int
    pending_lots: tuple[str, ...]
    imports: tuple[tuple[str, Job], ...]


def housekeeping(user: User) -> Housekeeping:
    """Return queries, locks, lots whose release waits, and own imports that refused rows. A few counts."""
    queries = DataQuery.objects.visible_to(user)
    old = timezone.now() - timedelta(days=query_list.OLD_DAYS)
    visible = Patient.objects.visible_to(user)
    ended = Outcome.objects.valid().filter(patient=OuterRef("pk"))
    asked = queries.filter(patient=OuterRef("pk")).exclude(state=State.CLOSED)
    signed = Signature.objects.filter(patient=OuterRef("pk"), visit__isnull=True)
    jobs = Job.objects.visible_to(user).filter(
        Q(result__to_mend=True) | Q(result__has_key="file_refused"), kind="import_preview"
    )
    return Housekeeping(
        open=queries.filter(state=State.OPEN).count(),
        answered=queries.filter(state=State.ANSWERED).count(),
        old=queries.exclude(state=State.CLOSED).filter(opened_at__lt=old).count(),
        locked=visible.filter(locked_at__isnull=False).count(),
        ready_to_lock=visible.filter(
            Exists(ended), Exists(signed), ~Exists(asked), locked_at__isnull=True
        ).count(),
        frozen=Site.objects.filter(frozen_at__isnull=False).count(),
        pending_lots=tuple(upstairs.lots_to_decide()),
        imports=tuple((str(job.parameters.get("name", "")), job) for job in jobs[:SHOWN]),
    )
