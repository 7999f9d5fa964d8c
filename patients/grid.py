"""What a sheet of one week's visits shows: which subjects, and what their values are held against.

Everything is read for all rows at once: the number of queries is the same for
one subject and for sixty.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum

from django.db.models import Min

from patients import draws, locks, schedule, selectors, worklist
from patients.edit_checks import Around, Course, Life
from patients.locks import Lock
from patients.models import Laboratory, LabResult, Outcome, Patient, Treatment, Visit
from patients.schedule import Appointment, State
from patients.worklist import Record
from trial import protocol
from trial.models import AuditEntry, Revision, Site, User
from trial.protocol import Diagnosis, OutcomeKind


def _(message: str) -> str:
    """Mark a word for translation; screens translate it when they show it."""
    return message


ROWS = 60
"""Rows of one sheet: with the panel's columns they stay below what one form may send."""
SOON = timedelta(days=7)


class Kind(StrEnum):
    """Why a subject stands on the sheet; the choices of its filter."""

    OVERDUE = "overdue"
    OPEN = "open"
    SOON = "soon"
    ENTERED = "entered"


KIND_LABELS: Mapping[Kind, str] = {
    Kind.OVERDUE: _("overdue"),
    Kind.OPEN: _("window open"),
    Kind.SOON: _("due within 7 days"),
    Kind.ENTERED: _("entered"),
}
GLYPHS: Mapping[Kind, str] = {
    Kind.OVERDUE: "overdue",
    Kind.OPEN: "due",
    Kind.SOON: "open",
    Kind.ENTERED: "done",
}


@dataclass(frozen=True, slots=True)
class Contents:
    """Which subjects a sheet has: those of this page, and how many there are of each kind and week."""

    patients: Sequence[int]
    total: int
    page: int
    by_kind: Mapping[Kind, int]
    waiting_by_week: Mapping[int, int]

    @property
    def pages(self) -> int:
        return max(1, -(-self.total // ROWS))


def contents(user: User, site: Site, week: int, kinds: Sequence[Kind], page: int = 1) -> Contents:
    """Return who stands on the sheet of a site and a week, by code."""
    found: dict[int, tuple[str, Kind]] = {}
    waiting_by_week: dict[int, int] = defaultdict(int)
    for each in worklist.records(list(worklist.may_be_waiting(user).filter(site=site))):
        for appointment in schedule.visits(each.facts, each.today):
            kind = _kind_of(appointment, each.today)
            if kind is None:
                continue
            waiting_by_week[appointment.number] += 1
            if appointment.number == week:
                found[each.patient.pk] = (each.patient.subject_id, kind)
    entered = (
        Visit.objects.visible_to(user)
        .valid()
        .filter(week=week, not_done="", patient__site=site, patient__merged_into__isnull=True)
        .values_list("patient", "patient__subject_id")
    )
    for pk, subject_id in entered:
        found[pk] = (subject_id, Kind.ENTERED)
    by_kind = dict.fromkeys(Kind, 0)
    for _code, kind in found.values():
        by_kind[kind] += 1
    shown = sorted((code, pk) for pk, (code, kind) in found.items() if kind in kinds)
    page = min(max(page, 1), max(1, -(-len(shown) // ROWS)))
    here = shown[(page - 1) * ROWS : page * ROWS]
    return Contents([pk for _code, pk in here], len(shown), page, by_kind, waiting_by_week)


def busiest_week(waiting: Mapping[int, int]) -> int:
    """Return the week for which most subjects wait."""
    return max(protocol.WEEKS, key=lambda week: (waiting.get(week, 0), -week))


def _kind_of(appointment: Appointment, today: date) -> Kind | None:
    match appointment.state:
        case State.OVERDUE:
            return Kind.OVERDUE
        case State.OPEN:
            return Kind.OPEN
        case State.DUE if appointment.due_on is not None and appointment.due_on - today <= SOON:
            return Kind.SOON
    return None


# --- the rows of a sheet --------------------------------------------------------------------


@dataclass(slots=True)
class Line:
    """One subject of a sheet: its visit, what is stored, and what its values are held against."""

    record: Record
    visit: Visit
    stored: dict[str, LabResult] = field(default_factory=dict)
    results: list[LabResult] = field(default_factory=list)
    other_visits: dict[int, date] = field(default_factory=dict)
    albumin: list[Course] = field(default_factory=list)
    died_on: date | None = None
    transplanted_on: date | None = None
    lock: Lock | None = None

    @property
    def patient(self) -> Patient:
        return self.record.patient

    @property
    def appointment(self) -> Appointment:
        week = self.visit.week
        return next(a for a in schedule.visits(self.record.facts, self.record.today) if a.number == week)

    @property
    def kind(self) -> Kind | None:
        return Kind.ENTERED if self.visit.pk else _kind_of(self.appointment, self.record.today)

    @property
    def version(self) -> int:
        return self.visit.version if self.visit.pk else 0

    @property
    def suggested_day(self) -> date | None:
        """The day that a new draw is preset to: today while the visit is open."""
        is_open = not self.visit.pk and self.appointment.state is State.OPEN
        return self.record.today if is_open else None

    @property
    def about(self) -> date:
        """The day that stands in for one that is not typed yet."""
        due = self.appointment.due_on
        return self.visit.visited_on or (min(due, self.record.today) if due else self.record.today)

    @property
    def life(self) -> Life:
        return Life(self.record.today, self.patient.birth_date, self.patient.recruited_on)

    def last(self, drawn_on: date) -> Mapping[str, selectors.LastValue]:
        """Return the last value of every analyte before a day."""
        return selectors.last_before(self.results, visit=self.visit, drawn_on=drawn_on)

    def around(self, drawn_on: date | None, last: Mapping[str, selectors.LastValue]) -> Around:
        """Return what the draw is held against, as :func:`patients.draws.around` reads it for one visit."""
        return Around(
            drawn_on=drawn_on,
            week=self.visit.week,
            earlier={code: value.as_earlier() for code, value in last.items()},
            is_liver_failure=self.patient.diagnosis == Diagnosis.LIVER_FAILURE,
            albumin=self.albumin,
            recruited_on=self.patient.recruited_on,
            first_infusion_on=self.record.facts.first_infusion_on,
            died_on=self.died_on,
            transplanted_on=self.transplanted_on,
            other_visits=self.other_visits,
        )


def lines(user: User, site: Site, week: int, patients: Sequence[int]) -> list[Line]:
    """Load these subjects of a sheet by code, as far as the person may see them; a constant number of queries."""
    seen = selectors.patients(user).filter(site=site, pk__in=list(patients)).order_by("subject_id")
    found = {
        each.patient.pk: Line(each, Visit(patient=each.patient, week=week))
        for each in worklist.records(list(seen))
    }
    ids = list(found)
    for visit in Visit.objects.valid().filter(patient__in=ids, week__isnull=False):
        line = found[visit.patient_id]
        if visit.week == week:
            visit.patient = line.patient
            line.visit = visit
        elif visit.visited_on is not None:
            line.other_visits[visit.week] = visit.visited_on
    results = LabResult.objects.filter(patient__in=ids, visit__voided_at__isnull=True)
    for result in results.select_related("visit", "laboratory"):
        line = found[result.patient_id]
        if result.visit_id == line.visit.pk:
            line.stored[result.analyte] = result
        if result.value is not None:
            line.results.append(result)
    albumin = Treatment.objects.filter(patient__in=ids, kind=draws.ALBUMIN, voided_at__isnull=True)
    for pk, since, to in albumin.values_list("patient", "started_on", "ended_on"):
        found[pk].albumin.append(Course(since, to))
    ends = Outcome.objects.valid().filter(
        patient__in=ids, kind__in=[OutcomeKind.DEATH.value, OutcomeKind.TRANSPLANT.value]
    )
    for pk, kind, day in ends.values_list("patient", "kind").annotate(day=Min("happened_on")).order_by():
        if kind == OutcomeKind.DEATH:
            found[pk].died_on = day
        else:
            found[pk].transplanted_on = day
    held = list(found.values())
    pairs = [(line.patient, line.visit if line.visit.pk else None) for line in held]
    for line, lock in zip(held, locks.locks_on(pairs), strict=True):
        line.lock = lock
    return held


# --- laboratories ---------------------------------------------------------------------------


def laboratories(user: User, site: Site) -> list[Laboratory]:
    """Return the laboratories in use that may measure for a site, with their units."""
    mine = Laboratory.objects.visible_to(user).filter(is_active=True).prefetch_related("units")
    return [laboratory for laboratory in mine if laboratory.site_id in (None, site.pk)]


def usual_laboratory(site: Site, choices: Sequence[Laboratory]) -> Laboratory | None:
    """Return the laboratory that a sheet is preset to: the site's last one, else its own."""
    by_id = {laboratory.pk: laboratory for laboratory in choices}
    last = (
        LabResult.objects.filter(patient__site=site, laboratory__in=list(by_id))
        .order_by("-id")
        .values_list("laboratory_id", flat=True)
        .first()
    )
    own = [laboratory for laboratory in choices if laboratory.site_id == site.pk]
    return by_id[last] if last is not None else next(iter(own or choices), None)


# --- after a save ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ReadBack:
    """What a revision wrote of a sheet, counted in the database."""

    revision: Revision
    patients: frozenset[int]
    values: int


_SAID = ("value", "comparator", "typed_text", "typed_unit", "missing_reason")


def read_back(user: User, site: Site, revision_id: int) -> ReadBack | None:
    """Count what a person's own revision wrote of a site; None when it is not theirs or wrote nothing."""
    revision = Revision.objects.filter(pk=revision_id, actor=user).first()
    if revision is None:
        return None
    tables = [LabResult._meta.db_table, Visit._meta.db_table]
    here = Patient.objects.visible_to(user).filter(site=site).values("pk")
    entries = list(AuditEntry.objects.filter(revision=revision, table__in=tables, patient_id__in=here))
    if not entries:
        return None
    values = {
        entry.row
        for entry in entries
        if entry.table == LabResult._meta.db_table
        and any((entry.old or {}).get(name) != (entry.new or {}).get(name) for name in _SAID)
    }
    return ReadBack(
        revision,
        frozenset(entry.patient_id for entry in entries if entry.patient_id is not None),
        len(values),
    )
