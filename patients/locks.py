"""What is locked, by whom and why: read from the rows and from the trail that locked them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q
from django.utils.translation import gettext as _

from patients.models import Patient, Visit
from trial import locks
from trial.lock_functions import CASEBOOK_LOCKED, SITE_FROZEN, VISIT_LOCKED
from trial.models import AuditEntry, Site
from trial.refusals import Refused
from trial.trail_words import draw_label

Lockable = Visit | Patient | Site


@dataclass(frozen=True, slots=True)
class Lock:
    """Why nothing may be written: the rule, since when, by whom, and the reason that was given; which site, if one is."""

    rule: str
    since: datetime
    by: str = ""
    reason: str = ""
    revision: int | None = None
    site: str = ""

    @property
    def what(self) -> str:
        """What is locked, in words."""
        match self.rule:
            case "visit_is_locked":
                return _("This visit is locked.")
            case "casebook_is_locked":
                return _("The casebook of this subject is locked.")
        return _("%(site)s is frozen.") % {"site": self.site}


def rule_of(patient: Patient, visit: Visit | None = None) -> str:
    """Return the rule that keeps a visit, or a subject's other records, from being changed; empty when none does."""
    if visit is not None and visit.locked_at is not None:
        return VISIT_LOCKED
    if patient.locked_at is not None:
        return CASEBOOK_LOCKED
    return SITE_FROZEN if patient.site.frozen_at is not None else ""


def lock_on(patient: Patient, visit: Visit | None = None) -> Lock | None:
    """Return the lock on a visit or on a subject's other records, with who set it and why; None while it is open."""
    rule = rule_of(patient, visit)
    if not rule:
        return None
    row: Lockable = patient.site if rule == SITE_FROZEN else patient
    if rule == VISIT_LOCKED and visit is not None:
        row = visit
    return _told(rule, row)


def locks_on(records: Sequence[tuple[Patient, Visit | None]]) -> list[Lock | None]:
    """Return the lock on each of many visits, or on the subject's other records, in one query."""
    rows = [_locked_row(rule_of(patient, visit), patient, visit) for patient, visit in records]
    locked = {(row._meta.db_table, row.pk): row for _rule, row in rows if row is not None}
    if not locked:
        return [None] * len(records)
    wanted = Q()
    for table, pk in locked:
        wanted |= Q(table=table, row=pk)
    setting: dict[tuple[str, int], AuditEntry] = {}
    written = AuditEntry.objects.filter(wanted, revision__number__isnull=False)
    for entry in written.select_related("revision__actor").order_by("id"):
        if _sets_lock(entry, _column(locked[entry.table, entry.row])):
            setting[entry.table, entry.row] = entry
    return [
        None if row is None else _lock(rule, row, setting.get((row._meta.db_table, row.pk)))
        for rule, row in rows
    ]


def site_lock(site: Site) -> Lock | None:
    """Return why a whole site may not write; None while it may."""
    return _told(SITE_FROZEN, site) if site.frozen_at is not None else None


def refuse_locked(patient: Patient, visit: Visit | None = None) -> None:
    """Refuse a write before it reaches the database, which would refuse it too.

    Raises
    ------
    Refused
        If the visit, the casebook or the site is locked.
    """
    rule = rule_of(patient, visit)
    if rule:
        raise refusal(rule, patient, visit)


def refusal(rule: str, patient: Patient, visit: Visit | None = None) -> Refused:
    """Return the refusal of a write by a rule."""
    label = draw_label({"week": visit.week, "visited_on": visit.visited_on}) if visit is not None else ""
    return locks.refusal(rule, subject=patient.subject_id, visit=label, site=patient.site.code)


def _locked_row(rule: str, patient: Patient, visit: Visit | None) -> tuple[str, Lockable | None]:
    if not rule:
        return rule, None
    if rule == SITE_FROZEN:
        return rule, patient.site
    return rule, visit if rule == VISIT_LOCKED else patient


def _told(rule: str, row: Lockable) -> Lock:
    column = _column(row)
    entries = (
        AuditEntry.objects.filter(table=row._meta.db_table, row=row.pk)
        .exclude(**{f"new__{column}": None})
        .filter(revision__number__isnull=False)
        .select_related("revision__actor")
        .order_by("-id")
    )
    return _lock(rule, row, next((entry for entry in entries[:20] if _sets_lock(entry, column)), None))


def _column(row: Lockable) -> str:
    return "frozen_at" if isinstance(row, Site) else "locked_at"


def _sets_lock(entry: AuditEntry, column: str) -> bool:
    after, before = (entry.new or {}).get(column), (entry.old or {}).get(column)
    return after is not None and after != before


def _lock(rule: str, row: Lockable, entry: AuditEntry | None) -> Lock:
    since: datetime = getattr(row, _column(row))
    site = row.name if isinstance(row, Site) else ""
    if entry is None:
        return Lock(rule, since, site=site)
    made = entry.revision
    return Lock(rule, since, made.actor.shown_name, made.reason, made.number, site)
