"""What waits today, for everybody a person looks after.

The schedule (:mod:`patients.schedule`) says of one subject what is overdue; here
it is asked for many at once, with a number of queries that does not grow. What
was given lies a floor above, so it is reached through the reverse relation.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum

from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from patients import schedule, upstairs
from patients.models import Outcome, Patient, Screening, Visit
from patients.schedule import Appointment, Facts, Kind, State
from trial import protocol, vocabulary
from trial.clock import today_at
from trial.models import User

CLOSING_DAYS = 2
"""A window that closes within so many days is called closing."""

WEEK_DAYS = 6
"""Days after today that still belong to "this week"."""

_LAST_WAITING_DAY = max(
    max(visit.analysis_days[1], visit.day + visit.window.after + schedule.ENTRY_DAYS)
    for visit in protocol.VISITS
)
_LAST_INFUSION_DAY = 7 * (protocol.MOST_INFUSIONS + 1)


def today_for(user: User) -> date:
    """Return the day it is at a person's site; the study's day for those who see all sites."""
    return today_at(user.site) if user.site is not None else timezone.localdate()


# --- the facts of many subjects -------------------------------------------------------------


@dataclass(slots=True)
class Record:
    """A subject, the facts of its schedule, and what a queue row says beside them."""

    patient: Patient
    facts: Facts
    today: date
    last_weight_kg: Decimal | None = None
    latest_week: int | None = None
    plans: Mapping[int, upstairs.Plan] = field(default_factory=dict)

    @property
    def given(self) -> int:
        return len(self.facts.given)

    @property
    def group(self) -> str:
        """Group by what was given; empty while nothing was."""
        return protocol.group_of(self.patient.diagnosis, self.given) if self.given else ""


def records(patients: Sequence[Patient]) -> list[Record]:
    """Load what the schedules of these subjects need, in a number of queries that does not grow.

    ``patients`` come with their site.
    """
    ids = [patient.pk for patient in patients]
    given: dict[int, dict[int, date]] = defaultdict(dict)
    weights: dict[int, Decimal] = {}
    infusions = (
        Patient.objects.filter(pk__in=ids, infusions__voided_at__isnull=True, infusions__isnull=False)
        .order_by("pk", "infusions__number")
        .values_list("pk", "infusions__number", "infusions__given_on", "infusions__weight_kg")
    )
    for pk, number, given_on, weight in infusions:
        given[pk][number] = given_on
        if weight is not None:
            weights[pk] = weight
    seen: dict[int, dict[int, date | None]] = defaultdict(dict)
    not_done: dict[int, set[int]] = defaultdict(set)
    visits = (
        Visit.objects.valid()
        .filter(patient__in=ids, week__isnull=False)
        .order_by("patient", "week")
        .values_list("patient", "week", "visited_on", "not_done")
    )
    for pk, week, visited_on, why_not in visits:
        if why_not:
            not_done[pk].add(week)
        else:
            seen[pk][week] = visited_on
    ended: dict[int, date] = {}
    outcomes = Outcome.objects.valid().filter(patient__in=ids).values_list("patient", "happened_on")
    for pk, happened_on in outcomes:
        ended[pk] = min(happened_on, ended.get(pk, happened_on))
    decisions = upstairs.decisions_by_patient(ids)
    not_given: dict[int, set[int]] = defaultdict(set)
    plans: dict[int, dict[int, upstairs.Plan]] = defaultdict(dict)
    for plan in upstairs.planned_infusions(ids):
        if plan.not_done:
            not_given[plan.patient_id].add(plan.number)
        else:
            plans[plan.patient_id][plan.number] = plan
    todays = {site.pk: today_at(site) for site in {patient.site for patient in patients}}
    return [
        Record(
            patient,
            Facts(
                recruited_on=patient.recruited_on,
                planned_course=patient.planned_course,
                given=given.get(patient.pk, {}),
                seen=seen.get(patient.pk, {}),
                not_done=frozenset(not_done.get(patient.pk, ())),
                ended_on=ended.get(patient.pk),
                screened_out=patient.status != Patient.Status.ENROLLED,
                not_given=frozenset(not_given.get(patient.pk, ())),
                decision=decisions.get(patient.pk, ""),
            ),
            todays[patient.site_id],
            weights.get(patient.pk),
            max(seen.get(patient.pk, {}), default=None),
            plans.get(patient.pk, {}),
        )
        for patient in patients
    ]


def record(patient: Patient) -> Record:
    """Load what the schedule of one subject needs."""
    return records([patient])[0]


def may_be_waiting(user: User) -> QuerySet[Patient]:
    """Return the visible subjects for whom anything can still be due.

    A superset by dates alone, so that the schedule is worked out for the few
    hundred in follow-up and not for everybody who ever took part.
    """
    earliest = timezone.now().date() - timedelta(days=1)
    in_follow_up = upstairs.infusions().filter(
        patient=OuterRef("pk"),
        voided_at__isnull=True,
        given_on__gte=earliest - timedelta(days=_LAST_WAITING_DAY),
    )
    return (
        Patient.objects.visible_to(user)
        .filter(status=Patient.Status.ENROLLED)
        .filter(Exists(in_follow_up) | Q(recruited_on__gte=earliest - timedelta(days=_LAST_INFUSION_DAY)))
        .select_related("site")
        .order_by("subject_id")
    )


# --- the queue ------------------------------------------------------------------------------


class Section(StrEnum):
    """Parts of the queue, the most pressing first."""

    OVERDUE = "overdue"
    CLOSING = "closing"
    TODAY = "today"
    WEEK = "week"
    UNFINISHED = "unfinished"
    QUERIES = "queries"
    DRAFTS = "drafts"
    LOTS = "lots"


@dataclass(frozen=True, slots=True)
class Task:
    """One row of the queue: a visit or an infusion with its window, or an unfinished screening."""

    section: Section
    record: Record
    appointment: Appointment | None = None
    unknown_criteria: int = 0
    screened_on: date | None = None

    @property
    def patient(self) -> Patient:
        return self.record.patient

    @property
    def age(self) -> int | None:
        return self.patient.age_on(self.record.today)

    @property
    def days_past(self) -> int:
        """Days since the window closed; 0 while it has not."""
        if self.appointment is None or self.section is not Section.OVERDUE:
            return 0
        return self.appointment.days_past(self.record.today)

    @property
    def is_infusion(self) -> bool:
        return self.appointment is not None and self.appointment.kind is Kind.INFUSION

    @property
    def waits_for_enrolment(self) -> bool:
        """Whether every criterion is answered and somebody has to enrol the subject."""
        return self.appointment is None and self.unknown_criteria == 0

    @property
    def title(self) -> str:
        """What is to be done."""
        if self.waits_for_enrolment:
            return _("Eligible: enrol")
        if self.appointment is None:
            return _("Screening: %(unknown)s of %(all)s criteria unknown") % {
                "unknown": self.unknown_criteria,
                "all": len(protocol.CRITERIA),
            }
        number = self.appointment.number
        if self.is_infusion:
            most = max(number, self.record.facts.planned_infusions)
            return _("Infusion %(number)s of %(most)s") % {"number": number, "most": most}
        return _("Visit week %(week)s") % {"week": number}

    @property
    def note(self) -> str:
        """The one thing to know before doing it."""
        if self.appointment is None:
            return ""
        if self.is_infusion:
            return self._infusion_note(self.appointment.number)
        analytes = ngettext("%(count)s analyte", "%(count)s analytes", len(protocol.REQUIRED_ANALYTES)) % {
            "count": len(protocol.REQUIRED_ANALYTES)
        }
        if self.record.latest_week is None:
            return _("%(analytes)s · no labs yet") % {"analytes": analytes}
        return _("%(analytes)s · last labs week %(week)s") % {
            "analytes": analytes,
            "week": self.record.latest_week,
        }

    @property
    def lacks_decision(self) -> bool:
        """Whether this infusion would change the group, and nobody has decided to prolong the course."""
        if self.appointment is None or not self.is_infusion or not self.record.group:
            return False
        after = protocol.group_of(self.patient.diagnosis, self.record.given + 1)
        return after != self.record.group and not self.record.facts.decision

    @property
    def warning(self) -> str:
        """What stands against it: the lot set aside may not be given any more."""
        plan = (
            self.record.plans.get(self.appointment.number) if self.appointment and self.is_infusion else None
        )
        if plan is None or not plan.is_lot_lost:
            return ""
        return _("reserved lot %(lot)s is %(state)s: plan another") % {
            "lot": plan.lot,
            "state": _state_said(plan),
        }

    def _infusion_note(self, number: int) -> str:
        weight = self.record.last_weight_kg
        if number > 1 and not self.record.given:
            first = _("infusion 1 is not given yet")
        elif self.record.given and weight is None:
            first = _("no weight recorded")
        elif weight is None:
            if protocol.BASELINE_WEEK in self.record.facts.seen:
                first = _("week 0 labs are in")
            else:
                first = _("week 0 labs are missing")
        else:
            target = protocol.DOSE.target(weight) / 1_000_000
            first = _("%(weight)s kg · target %(target)s × 10⁶ cells") % {
                "weight": weight,
                "target": f"{target.normalize():f}",
            }
        plan = self.record.plans.get(number)
        if plan is not None and plan.lot:
            # what stands against the lot is a warning of its own
            if not plan.is_lot_lost:
                first = _("%(first)s · lot %(lot)s reserved") % {"first": first, "lot": plan.lot}
        else:
            first = _("%(first)s · no lot reserved") % {"first": first}
        after = protocol.group_of(self.patient.diagnosis, self.record.given + 1)
        if not self.record.group or after == self.record.group:
            return first
        if self.lacks_decision:
            return _("%(first)s · decision to prolong missing, would become %(group)s") % {
                "first": first,
                "group": after,
            }
        return _("%(first)s · would become %(group)s") % {"first": first, "group": after}

    @property
    def when(self) -> str:
        """How far off it is, in words."""
        today, appointment = self.record.today, self.appointment
        if appointment is None or appointment.closes_on is None or appointment.due_on is None:
            return _("since %(day)s") % {"day": f"{self.screened_on:%m-%d}"} if self.screened_on else ""
        if self.section is Section.OVERDUE:
            return _("%(days)s d past window") % {"days": appointment.days_past(today)}
        if self.section is Section.TODAY:
            plan = self.record.plans.get(appointment.number) if self.is_infusion else None
            if plan is not None and plan.planned_on == today and plan.planned_at is not None:
                return _("today %(hour)s") % {"hour": f"{plan.planned_at:%H:%M}"}
            return _("today")
        days = (appointment.due_on - today).days
        if days > 0:
            return _("tomorrow") if days == 1 else _("in %(days)s d") % {"days": days}
        match (appointment.closes_on - today).days:
            case 0:
                return _("closes today")
            case 1:
                return _("closes tomorrow")
            case left:
                return _("closes in %(days)s d") % {"days": left}


def tasks(user: User) -> list[Task]:
    """Return everything that waits within a week or should be finished, the most pressing first."""
    return dated_tasks(user) + unfinished_screenings(user)


def dated_tasks(user: User) -> list[Task]:
    """Return the visits and infusions that wait within a week, the most pressing first."""
    return tasks_of(records(list(may_be_waiting(user))))


def tasks_of(subjects: Iterable[Record]) -> list[Task]:
    """Return the visits and infusions of these subjects that wait within a week, the most pressing first."""
    return sorted((task for each in subjects for task in _scheduled(each)), key=_urgency)


def _urgency(task: Task) -> tuple[int, date, str, bool]:
    appointment = task.appointment
    is_pressing = task.section in (Section.OVERDUE, Section.CLOSING)
    day = appointment and (appointment.closes_on if is_pressing else appointment.due_on)
    return list(Section).index(task.section), day or date.max, task.patient.subject_id, task.is_infusion


def _scheduled(each: Record) -> Iterator[Task]:
    for appointment in schedule.waiting(each.facts, each.today):
        if section := section_of(appointment, each.today):
            yield Task(section, each, appointment)


def section_of(appointment: Appointment, today: date) -> Section | None:
    """Return the part of the queue an appointment belongs to today; None while it is far off."""
    if appointment.state is State.OVERDUE:
        return Section.OVERDUE
    if appointment.due_on is None or appointment.closes_on is None or not appointment.waits:
        return None
    if appointment.due_on == today:
        return Section.TODAY
    if appointment.state is State.OPEN and appointment.due_on < today:
        closes_soon = appointment.closes_on - today <= timedelta(days=CLOSING_DAYS)
        return Section.CLOSING if closes_soon else Section.WEEK
    return Section.WEEK if appointment.due_on - today <= timedelta(days=WEEK_DAYS) else None


def _state_said(plan: upstairs.Plan) -> str:
    """Return why a lot may not be given any more."""
    if plan.release in upstairs.GIVABLE:
        return _("expired")
    return _(vocabulary.by_code(vocabulary.RELEASE_STATES)[plan.release].label)


def unfinished_screenings(user: User) -> list[Task]:
    """Return the subjects whose screening waits for answers or whose enrolment waits, the oldest first."""
    latest = (
        Screening.objects.valid()
        .filter(patient=OuterRef("pk"))
        .order_by("-screened_on", "-id")
        .annotate(
            known=Count("answers", filter=Q(answers__answer__in=[protocol.Answer.YES, protocol.Answer.NO]))
        )
    )
    patients = (
        Patient.objects.visible_to(user)
        .exclude(status=Patient.Status.SCREEN_FAILED)
        .annotate(
            verdict=Subquery(latest.values("verdict")[:1]),
            screened_on=Subquery(latest.values("screened_on")[:1]),
            known=Subquery(latest.values("known")[:1]),
        )
        .filter(
            Q(verdict=protocol.VerdictState.PENDING)
            | Q(verdict__isnull=True, status=Patient.Status.SCREENING)
            | Q(verdict=protocol.VerdictState.ELIGIBLE, status=Patient.Status.SCREENING)
        )
        .select_related("site")
        .order_by("screened_on", "subject_id")
    )
    return [
        Task(
            Section.UNFINISHED,
            Record(patient, Facts(patient.recruited_on, screened_out=True), today_at(patient.site)),
            unknown_criteria=len(protocol.CRITERIA) - (patient.known or 0),
            screened_on=patient.screened_on,
        )
        for patient in patients
    ]
