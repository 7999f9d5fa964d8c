"""A subject's course as its page shows it: the drawing, and a row for every number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from infusions import dosing, planning, selectors, timeline
from infusions.models import CellLot, CourseDecision, Infusion, PlannedInfusion
from infusions.particulars import Circumstances, Particulars, breaches
from infusions.vitals import Vitals, doubts, is_doubtful
from patients import schedule, worklist
from patients.models import Patient
from patients.schedule import Appointment, State
from trial import protocol, vocabulary

GLYPHS = {
    State.DONE: "done",
    State.OVERDUE: "overdue",
    State.OPEN: "due",
    State.DUE: "open",
    State.MISSED: "missed",
    State.NOT_APPLICABLE: "open",
}


@dataclass(frozen=True, slots=True)
class CourseRow:
    """One number of the course: when it is due, what was given, what differs."""

    appointment: Appointment
    infusion: Infusion | None = None
    millions: str = ""
    per_kg: Decimal | None = None
    off_target: Decimal | None = None
    breaches: tuple[dosing.Breach, ...] = ()
    plan: PlannedInfusion | None = None
    vitals: Mapping[str, Vitals] = field(default_factory=dict)
    lot_alarm: bool = False

    @property
    def lost_lot(self) -> str:
        """Why the lot set aside may not be given any more, in words; empty while it may."""
        if self.plan is None or self.plan.lot is None or self.plan.planned_on is None:
            return ""
        found = planning.lost(
            self.plan.lot.code, self.plan.lot.release, self.plan.lot.expires_on, self.plan.planned_on
        )
        return found[0].sentence.said(_) if found else ""

    @property
    def hottest(self) -> Decimal | None:
        """The highest temperature around the infusion."""
        return max(
            (v.temperature_c for v in self.vitals.values() if v.temperature_c is not None), default=None
        )

    @property
    def is_hot(self) -> bool:
        return self.hottest is not None and is_doubtful("temperature_c", self.hottest)

    @property
    def doubts(self) -> list[str]:
        """Vital signs outside their limits, in words."""
        return [each.said(_) for each in doubts(self.vitals)]

    @property
    def moments_open(self) -> list[str]:
        """Moments at which nothing was measured, where anything was."""
        if not self.vitals:
            return []
        return [_(term.label) for term in vocabulary.VITAL_MOMENTS if not self.vitals.get(term.code)]

    @property
    def not_given(self) -> str:
        """Why a planned infusion was not given, in words."""
        if self.plan is None or not self.plan.not_done:
            return ""
        return _(vocabulary.by_code(vocabulary.NOT_DONE_REASONS)[self.plan.not_done].label)

    @property
    def glyph(self) -> str:
        return GLYPHS[self.appointment.state]

    @property
    def state_label(self) -> str:
        return _(schedule.STATE_LABELS[self.appointment.state])

    @property
    def window_words(self) -> str:
        """When the window opens, closes or closed."""
        appointment = self.appointment
        if appointment.opens_on is None or appointment.closes_on is None:
            return ""
        match appointment.state:
            case State.DUE:
                return _("opens %(day)s") % {"day": appointment.opens_on.isoformat()}
            case State.OPEN:
                return _("open until %(day)s") % {"day": appointment.closes_on.isoformat()}
            case State.OVERDUE | State.MISSED:
                return _("closed %(day)s") % {"day": appointment.closes_on.isoformat()}
            case _:
                return ""

    @property
    def days_off_words(self) -> str:
        """How early or late it was given; empty on the day."""
        days = self.appointment.days_off()
        if not days:
            return ""
        said = {"days": abs(days)}
        if days > 0:
            return ngettext("%(days)s day late", "%(days)s days late", days) % said
        return ngettext("%(days)s day early", "%(days)s days early", -days) % said

    @property
    def sentences(self) -> list[str]:
        """What lies outside the protocol."""
        return [breach.sentence.said(_) for breach in self.breaches]

    @property
    def deviation(self) -> str:
        """The coded cause, as its label."""
        code = self.infusion.deviation if self.infusion else ""
        return _(dosing.DEVIATION_AT[code].label) if code else ""


@dataclass(frozen=True, slots=True)
class Course:
    """A subject's course for its page."""

    record: worklist.Record
    drawing: timeline.Timeline | None
    rows: tuple[CourseRow, ...]
    voided: tuple[Infusion, ...]
    next_number: int | None
    decision: CourseDecision | None = None
    lots: tuple[CellLot, ...] = ()
    alarms: tuple[CourseRow, ...] = ()

    @property
    def vital_rows(self) -> list[CourseRow]:
        return [row for row in self.rows if row.vitals]

    @property
    def is_undecided(self) -> bool:
        """Whether the fifth is next or given, and nobody decided."""
        given = sum(row.infusion is not None for row in self.rows)
        return self.decision is None and given >= protocol.PROLONGED_FROM - 1


def course(patient: Patient, record: worklist.Record) -> Course:
    """Return what the course tab shows of a subject."""
    around = selectors.circumstances(patient, 0)
    given = {infusion.number: infusion for infusion in around.others}
    voided = selectors.voided_infusions(patient)
    free = [number for number in range(1, protocol.MOST_INFUSIONS + 1) if number not in given]
    after_last = max(given, default=0) + 1
    planned = {plan.number: plan for plan in selectors.plans(patient)}
    signs = selectors.vitals_by_infusion(around.others)
    lots = {infusion.lot.pk: infusion.lot for infusion in around.others if infusion.lot}
    alarmed = selectors.alarmed_lots(lots.values())
    rows = tuple(
        replace(
            _row(appointment, given.get(appointment.number), around),
            plan=planned.get(appointment.number),
            vitals=signs.get(given[appointment.number].pk, {}) if appointment.number in given else {},
            lot_alarm=appointment.number in given and given[appointment.number].lot_id in alarmed,
        )
        for appointment in _appointments(record, planned)
    )
    return Course(
        record=record,
        drawing=timeline.draw(
            record.facts,
            record.today,
            [timeline.Voided(infusion.number, infusion.given_on) for infusion in voided],
        ),
        rows=rows,
        voided=tuple(voided),
        next_number=_next_number(record, free, after_last),
        decision=selectors.decision_of(patient),
        lots=tuple(sorted(lots.values(), key=lambda lot: lot.code)),
        alarms=tuple(row for row in rows if row.lot_alarm),
    )


def _next_number(record: worklist.Record, free: Sequence[int], after_last: int) -> int | None:
    """Return the infusion to offer: the one due next, or the one after the last, or whichever is not given."""
    for appointment in schedule.waiting(record.facts, record.today):
        if appointment.kind is schedule.Kind.INFUSION and appointment.number in free:
            return appointment.number
    return after_last if after_last in free else next(iter(free), None)


def _appointments(record: worklist.Record, planned: Mapping[int, PlannedInfusion]) -> list[Appointment]:
    """Return the infusions of the schedule, and those planned beyond it."""
    found = list(schedule.infusions(record.facts, record.today))
    known = {each.number for each in found}
    found += [
        Appointment(schedule.Kind.INFUSION, number, State.DUE, due_on=plan.planned_on)
        for number, plan in planned.items()
        if number not in known
    ]
    return sorted(found, key=lambda each: each.number)


def _row(appointment: Appointment, infusion: Infusion | None, around: Circumstances) -> CourseRow:
    if infusion is None:
        return CourseRow(appointment)
    others = [other for other in around.others if other.pk != infusion.pk]
    weight, cells = infusion.weight_kg, infusion.cells
    row = CourseRow(
        appointment,
        infusion,
        dosing.millions(cells) if cells is not None else "",
        breaches=breaches(
            Particulars.of(infusion), replace(around, number=infusion.number, others=others), is_stored=True
        ),
    )
    if weight is None or cells is None:
        return row
    return replace(
        row,
        per_kg=dosing.cells_per_kg(cells, weight) / dosing.MILLION,
        off_target=dosing.percent_off_target(cells, weight),
    )
