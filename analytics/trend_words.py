"""What the trend page says of a value, an infusion, a treatment and an event.

Takes records that are read already; asks the database nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from analytics.figures import MINUS
from analytics.trend_lanes import InfusionMark, LaneItem
from analytics.trend_terms import Obstacle
from infusions.dosing import millions
from infusions.models import Infusion, PlannedInfusion
from patients import ctcae_terms, serious
from patients.models import AdverseEvent, LabResult, Patient, Treatment, Visit
from patients.patient_header import Clamp
from patients.reference import Reference
from patients.serious import Infused
from patients.verifications import Mark
from trial import protocol, units, vocabulary
from trial.marks import comma, listed
from trial.models import AuditEntry
from trial.protocol import Limits
from trial.unit_words import unit_said

TREATMENT_LABELS = {code: term.label for code, term in vocabulary.by_code(vocabulary.TREATMENTS).items()}
NOT_DONE_LABELS = {code: term.label for code, term in vocabulary.by_code(vocabulary.NOT_DONE_REASONS).items()}


def obstacle_words() -> Mapping[str, str]:
    """Return why a strip shows less than was asked for, by :class:`Obstacle`."""
    return {
        Obstacle.EMPTY: _("not measured"),
        Obstacle.NO_BASELINE: _("no value at week 0: no share of it to draw"),
        Obstacle.ZERO_BASELINE: _("the value at week 0 is 0: no share of it to draw"),
        Obstacle.NOT_POSITIVE: _("linear: a logarithm needs values above 0"),
    }


# --- values ---------------------------------------------------------------------------------


def shown(result: LabResult, analyte: protocol.Analyte) -> str:
    """Return a value as it is printed: exactly as reported, rounded only when its unit was converted."""
    if result.value is None:
        return ""
    if result.typed_unit == analyte.unit:
        return f"{result.comparator}{result.value.normalize():f}"
    return f"{result.comparator}{result.value:.{analyte.decimals}f}"


def typed(result: LabResult) -> str:
    """Return what the report said, with its unit."""
    return f"{result.typed_text} {unit_said(result.typed_unit)}".strip()


def is_understood(result: LabResult) -> bool:
    """Return whether the study knows how to convert the unit of a result into the standard one."""
    analyte = protocol.ANALYTES[result.analyte]
    return result.typed_unit == analyte.unit or result.typed_unit in analyte.accepted


def refused(results: Iterable[tuple[Visit, LabResult]]) -> str:
    """Say which values are not drawn because their unit is not known; empty when all are."""
    wrong = [f"{_day(visit)} {typed(result)}" for visit, result in results if not is_understood(result)]
    if not wrong:
        return ""
    return ngettext(
        "not drawn, unit unknown: %(values)s", "not drawn, units unknown: %(values)s", len(wrong)
    ) % {"values": listed(wrong)}


def _day(visit: Visit) -> str:
    return visit.visited_on.isoformat() if visit.visited_on else head(visit)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a result comes from: who wrote it last, who compared it with its source."""

    entry: AuditEntry | None = None
    mark: Mark | None = None
    zone: ZoneInfo | None = None

    @property
    def revision(self) -> int | None:
        return self.entry.revision.number if self.entry else None

    def words(self, result: LabResult) -> list[str]:
        """Say laboratory, who, when, revision and who verified, the way a card shows them."""
        found = [result.laboratory.name] if result.laboratory else []
        if self.entry is not None:
            revision = self.entry.revision
            found.append(
                _("%(who)s %(when)s, revision %(number)s")
                % {
                    "who": revision.actor.shown_name,
                    "when": _moment(revision.made_at, self.zone),
                    "number": revision.number,
                }
            )
        if self.mark is not None:
            found.append(self.mark.words(self.zone))
        return found


def _moment(at: datetime, zone: ZoneInfo | None) -> str:
    return at.astimezone(zone).strftime("%Y-%m-%d %H:%M")


def card(result: LabResult, reference: Reference, origin: Origin, when: str) -> tuple[str, ...]:
    """Return the lines of a laboratory value's card."""
    first = [when, _("typed %(text)s") % {"text": typed(result)}]
    if not is_understood(result):
        first.append(_("unit unknown"))
    if result.comparator:
        first.append(
            _("reported below its limit") if result.comparator == "<" else _("reported above its limit")
        )
    return (
        " \N{MIDDLE DOT} ".join(first),
        " \N{MIDDLE DOT} ".join(origin.words(result)),
        reference_said(reference),
    )


def reference_words(reference: Limits) -> str:
    """Return a range as it is printed beside a chart."""
    sides = {"low": reference.low, "high": reference.high}
    printed = {name: "" if side is None else f"{side.normalize():f}" for name, side in sides.items()}
    if reference.low is None:
        return _("ref up to %(high)s") % printed
    if reference.high is None:
        return _("ref from %(low)s") % printed
    return _("ref %(low)s to %(high)s") % printed


def reference_said(reference: Reference) -> str:
    """Return a range with whose it is and since when it holds."""
    said = reference_words(reference.limits)
    if reference.is_protocols:
        return _("%(range)s, adult range of the protocol") % {"range": said}
    if reference.valid_from is None:
        return said
    return _("%(range)s, valid since %(day)s") % {"range": said, "day": reference.valid_from.isoformat()}


def whose_reference(patient: Patient, references: Iterable[Reference]) -> str:
    """Return for whom and since when the ranges of the figure hold, for its legend."""
    who = protocol.SEX_LABELS[protocol.Sex(patient.sex)] if patient.sex else ""
    held = list(references)
    days = {each.valid_from for each in held if not each.is_protocols}
    values = {"who": _(who) if who else _("sex not known")}
    if not days:
        return _("reference, %(who)s, adult range of the protocol") % values
    if len(days) == 1 and None not in days and all(not each.is_protocols for each in held):
        (since,) = days
        return _("reference, %(who)s, valid since %(day)s") % {
            **values,
            "day": since.isoformat() if since else "",
        }
    return _("reference, %(who)s, of the date and laboratory of each value") % values


def clamped(clamp: Clamp) -> str:
    """Return which bound replaced an input of a score."""
    values = {"label": clamp.label, "measured": _plain(clamp.measured), "used": _plain(clamp.used)}
    if clamp.by_dialysis:
        return _("%(label)s %(measured)s counts as %(used)s because of dialysis") % values
    if clamp.is_raised:
        return _("%(label)s %(measured)s raised to %(used)s") % values
    return _("%(label)s %(measured)s lowered to %(used)s") % values


def _plain(value: Any) -> str:
    return f"{value.normalize():f}"


# --- days -----------------------------------------------------------------------------------


def head(visit: Visit) -> str:
    """Return which visit it is."""
    return _("week %(week)s") % {"week": visit.week} if visit.week is not None else _("unscheduled")


def short_head(visit: Visit) -> str:
    """Return which visit it is, as the head of a column."""
    return f"W{visit.week}" if visit.week is not None else _("unsch.")


def study_day(day: int) -> str:
    """Return a day counted from the first infusion."""
    return _("day %(day)s") % {"day": str(day).replace("-", MINUS)}


# --- infusions ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Due:
    """What a subject's infusions are held against."""

    recruited_on: date | None
    course: str
    day_zero: date
    until: date
    is_over: bool


def infusion_marks(
    infusions: Sequence[Infusion], plans: Sequence[PlannedInfusion], due: Due
) -> list[InfusionMark]:
    """Return every infusion given, its ghost when late, and those missed or still to come."""
    marks, given = [], {infusion.number for infusion in infusions}
    for infusion in infusions:
        off = days_off(infusion, due.recruited_on)
        marks.append(
            _mark(
                infusion.number,
                infusion.given_on,
                "late" if off else "given",
                infusion_words(infusion, off),
                due,
            )
        )
        if off and due.recruited_on:
            planned = protocol.infusion_due(infusion.number, due.recruited_on)
            words = _("infusion %(number)s was due on %(day)s") % {
                "number": infusion.number,
                "day": planned.isoformat(),
            }
            marks.append(_mark(infusion.number, planned, "ghost", words, due))
    reasons = {plan.number: plan for plan in plans}
    course = protocol.Course(due.course) if due.course else protocol.Course.STANDARD
    if due.recruited_on is None or due.is_over:
        numbers: list[int] = [number for number, plan in reasons.items() if plan.not_done]
    else:
        numbers = list(range(1, protocol.COURSES[course] + 1))
    for number in numbers:
        if number in given or due.recruited_on is None:
            continue
        day, plan = protocol.infusion_due(number, due.recruited_on), reasons.get(number)
        values = {"number": number, "day": day.isoformat()}
        if plan is not None and plan.not_done:
            why = _(NOT_DONE_LABELS.get(plan.not_done, plan.not_done))
            words = _("infusion %(number)s missed on %(day)s, %(why)s") % {**values, "why": why}
            marks.append(_mark(number, day, "missed", words, due))
        elif (due.until - day).days > protocol.INFUSION_WINDOW.after:
            marks.append(
                _mark(number, day, "missed", _("infusion %(number)s missed on %(day)s") % values, due)
            )
        else:
            marks.append(
                _mark(number, day, "planned", _("infusion %(number)s is due on %(day)s") % values, due)
            )
    return sorted(marks, key=lambda mark: (mark.day, mark.number))


def _mark(number: int, day: date, state: str, words: str, due: Due) -> InfusionMark:
    return InfusionMark(number, (day - due.day_zero).days, state, words)


def days_off(infusion: Infusion, recruited_on: date | None) -> int:
    """Return by how many days an infusion missed its window's due day; 0 within the window."""
    if recruited_on is None:
        return 0
    planned = protocol.infusion_due(infusion.number, recruited_on)
    first, last = protocol.INFUSION_WINDOW.around(planned)
    return 0 if first <= infusion.given_on <= last else (infusion.given_on - planned).days


def infusion_words(infusion: Infusion, off: int) -> str:
    """Return an infusion with day, dose and lot."""
    parts = [
        _("infusion %(number)s, %(day)s") % {"number": infusion.number, "day": infusion.given_on.isoformat()}
    ]
    if infusion.cells:
        parts.append(_("%(millions)s million cells") % {"millions": millions(infusion.cells)})
        if infusion.weight_kg:
            per_kg = infusion.cells / infusion.weight_kg / 1_000_000
            parts.append(f"{per_kg:.2f} {units.symbol('10^6/kg')}")
    else:
        parts.append(_("dose not recorded"))
    parts.append(_("lot %(code)s") % {"code": infusion.lot.code} if infusion.lot else _("lot not recorded"))
    if off:
        parts.append(late_words(off))
    return " \N{MIDDLE DOT} ".join(parts)


def late_words(off: int) -> str:
    """Return how late or early an infusion was."""
    if off > 0:
        return ngettext("%(n)s day late", "%(n)s days late", off) % {"n": off}
    return ngettext("%(n)s day early", "%(n)s days early", -off) % {"n": -off}


def infusions_summary(
    infusions: Sequence[Infusion], marks: Sequence[InfusionMark], plans: Sequence[PlannedInfusion], due: Due
) -> str:
    """Return the infusions in a line: how many given, which late, which missed."""
    parts = [_("%(n)s given") % {"n": len(infusions)}]
    parts += [
        _("no. %(number)s: %(late)s") % {"number": infusion.number, "late": late_words(off)}
        for infusion in infusions
        if (off := days_off(infusion, due.recruited_on))
    ]
    reasons = {plan.number: plan.not_done for plan in plans if plan.not_done}
    for mark in marks:
        if mark.state == "missed":
            said = _("no. %(number)s missed") % {"number": mark.number}
            why = reasons.get(mark.number)
            parts.append(f"{said}{comma()}{_(NOT_DONE_LABELS.get(why, why))}" if why else said)
    return " \N{MIDDLE DOT} ".join(parts)


# --- treatments and events ------------------------------------------------------------------


def treatment_item(treatment: Treatment, day_zero: date, until: date) -> LaneItem:
    """Return a treatment as a point or a bar; without an end it goes on until today."""
    is_point = treatment.kind in vocabulary.PLASMA and treatment.ended_on in (None, treatment.started_on)
    last = treatment.ended_on or until
    return LaneItem(
        first=(treatment.started_on - day_zero).days,
        last=None if is_point else max((last - day_zero).days, (treatment.started_on - day_zero).days),
        label=treatment_label(treatment),
        words=treatment_words(treatment),
        look="plasma" if treatment.kind in vocabulary.PLASMA else "bar",
    )


def treatment_label(treatment: Treatment) -> str:
    """Return a treatment in the words beside its mark."""
    kind = _(TREATMENT_LABELS.get(treatment.kind, treatment.kind))
    name = treatment.agent if treatment.agent and treatment.kind not in vocabulary.PLASMA else kind
    return f"{name} {treatment.dose}".strip()


def treatment_words(treatment: Treatment) -> str:
    """Return a treatment with kind, agent, dose and days."""
    kind = _(TREATMENT_LABELS.get(treatment.kind, treatment.kind))
    parts = [kind, treatment.agent, treatment.dose, treatment_days(treatment), treatment.note]
    return " \N{MIDDLE DOT} ".join(part for part in parts if part)


def treatment_days(treatment: Treatment) -> str:
    """Return when a treatment was given."""
    since = treatment.started_on.isoformat()
    if treatment.started_at:
        since += f" {treatment.started_at:%H:%M}"
    if treatment.ended_on == treatment.started_on:
        return since
    if treatment.ended_on is not None:
        return _("%(since)s to %(until)s") % {"since": since, "until": treatment.ended_on.isoformat()}
    return since if treatment.kind in vocabulary.PLASMA else _("since %(since)s") % {"since": since}


def event_item(event: AdverseEvent, infused: Sequence[Infused], day_zero: date) -> LaneItem:
    """Return an adverse event with its grade and how long after the last infusion it began."""
    return LaneItem(
        first=(event.onset_on - day_zero).days,
        last=None,
        label=f"{_(event.term)}{comma()}{since_infusion(event, infused)}",
        words=event_words(event, infused),
        look="event",
        box=str(event.grade),
        is_grave=bool(event.serious) or event.grade >= 3,
    )


def since_infusion(event: AdverseEvent, infused: Sequence[Infused]) -> str:
    """Return how long after the last infusion an event began."""
    return serious.since_last_infusion(event.onset_on, event.onset_at, infused).sentence.said(_)


def event_words(event: AdverseEvent, infused: Sequence[Infused]) -> str:
    """Return an adverse event with grade, days, and what it is related to."""
    parts = [
        _(event.term),
        _("grade %(grade)s") % {"grade": event.grade},
        _(ctcae_terms.term_of(event.term).means(event.grade)),
        _("serious") if event.serious else "",
        since_infusion(event, infused),
    ]
    if event.ended_on:
        parts.append(_("until %(day)s") % {"day": event.ended_on.isoformat()})
    return " \N{MIDDLE DOT} ".join(part for part in parts if part)
