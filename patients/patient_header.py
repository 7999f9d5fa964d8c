"""The header of a patient's pages: who, group, MELD now, next due; read in five seconds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from patients import schedule, worklist
from patients.models import Patient
from patients.schedule import Appointment, State
from patients.serious import Clock, clock
from trial import protocol, roles, units
from trial.models import User
from trial.protocol import Diagnosis, Sex


@dataclass(frozen=True, slots=True)
class Pip:
    """One of the eight infusions of the longest course.

    ``look`` is given, late, missed, planned, or beyond what is planned.
    """

    number: int
    look: str
    given_on: date | None = None


@dataclass(frozen=True, slots=True)
class Clamp:
    """An input of the score that a bound replaced."""

    label: str
    measured: Decimal
    used: Decimal
    unit: str
    is_raised: bool
    by_dialysis: bool = False


@dataclass(frozen=True, slots=True)
class MeldNow:
    """The newest score, and how it moved since week 0. ``why_not`` stands where there is none."""

    variant: str
    value: Decimal | None = None
    reported: int | None = None
    baseline: int | None = None
    week: int | None = None
    drawn_on: date | None = None
    revision: int | None = None
    clamps: tuple[Clamp, ...] = ()
    why_not: str = ""

    @property
    def change(self) -> int | None:
        """Reported points since week 0; None without a baseline or at the baseline itself."""
        if self.reported is None or self.baseline is None or self.week == protocol.BASELINE_WEEK:
            return None
        return self.reported - self.baseline


@dataclass(frozen=True, slots=True)
class SeriousNow:
    """A serious event whose report is still to be made, and how long it has."""

    term: str
    clock: Clock

    @property
    def said(self) -> str:
        return self.clock.sentence.said(_)


@dataclass(frozen=True, slots=True)
class Header:
    """Everything the four cells show."""

    patient: Patient
    today: date
    age: int | None
    group: str
    group_sentence: str
    given: int
    planned: int
    first_infusion_on: date | None
    pips: tuple[Pip, ...]
    meld: MeldNow
    next_due: Appointment | None
    ended: str
    may_enter: bool
    may_infuse: bool
    may_identify: bool = False
    may_merge: bool = False
    may_correct: bool = False
    is_eligible: bool = False
    """Whether the newest screening says so."""
    serious: tuple[SeriousNow, ...] = ()

    @property
    def subject_id(self) -> str:
        return str(self.patient.subject_id)

    @property
    def sex_label(self) -> str:
        return _(protocol.SEX_LABELS[Sex(self.patient.sex)])

    @property
    def diagnosis_label(self) -> str:
        return _(protocol.DIAGNOSIS_LABELS[Diagnosis(self.patient.diagnosis)])

    @property
    def course_label(self) -> str:
        """The course by what was given; the planned one while nothing was."""
        if self.given:
            return _(protocol.COURSE_LABELS[protocol.course_of(self.given)])
        if not self.patient.planned_course:
            return ""
        return _(protocol.COURSE_LABELS[protocol.Course(self.patient.planned_course)])

    @property
    def next_is_visit(self) -> bool:
        return self.next_due is not None and self.next_due.kind is schedule.Kind.VISIT

    @property
    def next_label(self) -> str:
        """What is due next, in words."""
        if self.next_due is None:
            return ""
        if self.next_is_visit:
            return _("Visit week %(week)s") % {"week": self.next_due.number}
        return _("Infusion %(number)s of %(most)s") % {
            "number": self.next_due.number,
            "most": max(self.planned, self.next_due.number),
        }

    @property
    def next_state(self) -> str:
        return "" if self.next_due is None else _(schedule.STATE_LABELS[self.next_due.state])


def header(patient: Patient, user: User, record: worklist.Record | None = None) -> Header:
    """Return the header of a subject for a person; the number of queries does not depend on the data.

    A page that has the subject's record already passes it on.
    """
    record = record or worklist.record(patient)
    facts, today = record.facts, record.today
    given = len(facts.given)
    outcomes = list(patient.outcomes.filter(voided_at__isnull=True).order_by("happened_on", "id"))
    return Header(
        patient=patient,
        today=today,
        may_identify=roles.allowed(user, roles.Permission.VIEW_IDENTITY),
        may_correct=roles.allowed(user, roles.Permission.REGISTER_SUBJECTS),
        may_merge=roles.allowed(user, roles.Permission.MERGE_SUBJECTS),
        age=patient.age_on(today),
        group=record.group,
        group_sentence=_group_sentence(patient, facts),
        given=given,
        planned=max(facts.planned_infusions, *facts.given, 0),
        first_infusion_on=facts.first_infusion_on,
        pips=_pips(facts, today),
        meld=_meld_now(patient, outcomes),
        next_due=schedule.next_due(facts, today),
        ended=_ended(outcomes),
        may_enter=roles.allowed(user, roles.Permission.ENTER_CLINICAL_DATA),
        may_infuse=roles.allowed(user, roles.Permission.RECORD_INFUSIONS),
        serious=_serious(patient),
        is_eligible=_newest_verdict(patient) == protocol.VerdictState.ELIGIBLE,
    )


def _newest_verdict(patient: Patient) -> str | None:
    if patient.status != Patient.Status.SCREENING:
        return None
    newest = patient.screenings.filter(voided_at__isnull=True).order_by("-screened_on", "-id")
    found: str | None = newest.values_list("verdict", flat=True).first()
    return found


def _ended(outcomes: list[Any]) -> str:
    if not outcomes:
        return ""
    first = outcomes[0]
    return _("%(outcome)s on %(day)s") % {
        "outcome": _(protocol.OUTCOME_LABELS[protocol.OutcomeKind(first.kind)]),
        "day": first.happened_on.isoformat(),
    }


def _group_sentence(patient: Patient, facts: schedule.Facts) -> str:
    """Say how the group came about: how many were given, or when the fifth made it another."""
    given = sorted((day, number) for number, day in facts.given.items())
    if not given:
        return _("no infusion yet")
    if len(given) < protocol.PROLONGED_FROM:
        return _("%(given)s of %(planned)s infusions") % {
            "given": len(given),
            "planned": max(facts.planned_infusions, *facts.given),
        }
    became_on, ordinal = given[protocol.PROLONGED_FROM - 1][0], protocol.PROLONGED_FROM
    return _("became %(group)s on %(day)s, infusion %(number)s (day %(study_day)s)") % {
        "group": protocol.group_of(patient.diagnosis, len(given)),
        "day": became_on.isoformat(),
        "number": ordinal,
        "study_day": schedule.study_day(became_on, given[0][0]),
    }


_LOOKS = {State.MISSED: "missed", State.NOT_APPLICABLE: "beyond"}


def _pips(facts: schedule.Facts, today: date) -> tuple[Pip, ...]:
    known = {appointment.number: appointment for appointment in schedule.infusions(facts, today)}
    return tuple(_pip(number, known.get(number)) for number in range(1, protocol.MOST_INFUSIONS + 1))


def _pip(number: int, appointment: Appointment | None) -> Pip:
    if appointment is None:
        return Pip(number, "beyond")
    if appointment.state is not State.DONE:
        return Pip(number, _LOOKS.get(appointment.state, "planned"))
    off = appointment.days_off()
    is_late = off is not None and off > protocol.INFUSION_WINDOW.after
    return Pip(number, "late" if is_late else "given", appointment.done_on)


def _meld_now(patient: Patient, outcomes: list[Any]) -> MeldNow:
    """Return the newest score that counts: none drawn from the day of death or transplantation on."""
    ends = [o.happened_on for o in outcomes if protocol.OutcomeKind(o.kind) in protocol.ENDS_OBSERVATION]
    last = min(ends, default=date.max)
    label = protocol.SCORE_AT[protocol.DEFAULT_SCORE].label
    newest = (
        patient.scores.filter(variant=protocol.DEFAULT_SCORE, visit__voided_at__isnull=True)
        .order_by("visit_id", "-id")
        .distinct("visit_id")
        .select_related("visit")
    )
    counting = [s for s in newest if (s.visit.visited_on or date.min) < last]
    scores = sorted(counting, key=lambda s: (s.visit.visited_on or date.min, s.visit.week or 0, s.visit_id))
    if not scores:
        return MeldNow(label)
    first = next((s for s in scores if s.visit.week == protocol.BASELINE_WEEK), None)
    shown = next((s for s in reversed(scores) if s.value is not None), scores[-1])
    return MeldNow(
        variant=label,
        value=shown.value,
        reported=shown.reported,
        baseline=first.reported if first else None,
        week=shown.visit.week,
        drawn_on=shown.visit.visited_on,
        # both numbers are printed, so the younger one says how far they have been computed
        revision=max(s.revision for s in (shown, first or shown)),
        clamps=clamps(shown.inputs),
        why_not=scores[-1].why_in_words,
    )


def clamps(inputs: list[dict[str, Any]]) -> tuple[Clamp, ...]:
    """Return the inputs of a stored score that a bound replaced."""
    found = []
    for used in inputs:
        if used.get("clamped_from") is None:
            continue
        measured, entered = Decimal(str(used["clamped_from"])), Decimal(str(used["used"]))
        analyte = protocol.ANALYTES[used["code"]]
        found.append(
            Clamp(
                _(analyte.label),
                measured,
                entered,
                units.symbol(analyte.unit),
                is_raised=entered > measured,
                by_dialysis=_by_dialysis(used),
            )
        )
    return tuple(found)


def _serious(patient: Patient) -> tuple[SeriousNow, ...]:
    """Return the clocks that run, the oldest first."""
    now = timezone.now()
    waiting = (
        patient.adverse_events.filter(
            voided_at__isnull=True, aware_at__isnull=False, reported_at__isnull=True
        )
        .exclude(serious="")
        .order_by("aware_at", "id")
    )
    clocks = ((event.term, clock(event.aware_at, None, now)) for event in waiting)
    return tuple(SeriousNow(term, running) for term, running in clocks if running is not None)


def _by_dialysis(used: dict[str, Any]) -> bool:
    """Return whether renal replacement set an input, as the note of the stored score says."""
    return "dialysis" in str((used.get("note") or [""])[0])
