"""Reads one subject's course into the terms of a figure: what the trend page draws and tabulates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _

from analytics import selectors, trend_figure, trend_group, trend_table
from analytics import trend_words as words
from analytics.figures import tick_text
from analytics.trend_group import Around
from analytics.trend_lanes import InfusionMark, Sheet
from analytics.trend_table import Happening, Table, Value
from analytics.trend_terms import Draw, Happened, Marks, Reading, Series, Span, Trend
from analytics.trend_words import Due, Origin
from infusions import selectors as infusion_selectors
from infusions.models import Infusion
from patients import selectors as patient_selectors
from patients import verifications
from patients.draw_marks import DrawMark, draw_marks
from patients.models import LabResult, Outcome, Patient, Visit
from patients.patient_header import clamps
from patients.reference import Reference, Step, references_for, steps_for
from patients.serious import Infused
from trial import clock, marks, protocol
from trial.models import AuditEntry
from trial.protocol import Direction
from trial.unit_words import unit_said

TAIL = 28
"""Days that the axis shows at most after the last draw of a subject whose follow-up ended, or after the study."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """How the trend is drawn; each is a switch of the page's address."""

    log: bool = False
    relative: bool = False
    whole: bool = False
    dates: bool = False
    bare: bool = False
    unbanded: bool = False
    scheduled: bool = False


@dataclass(frozen=True, slots=True)
class TrendPage:
    """The figure, the table that says the same, and what to call it all."""

    figure: Trend | None
    table: Table
    group: str
    group_from: int
    group_n: int
    group_revision: int
    axis: str
    reference: str
    revision: int
    obstacles: Mapping[str, str]
    infusions: str
    happenings: tuple[Happening, ...] = ()
    has_hollow: bool = False
    has_limits: bool = False
    has_left_out: bool = False
    hidden: int = 0
    steps: int = 0

    @property
    def rows(self) -> tuple[trend_table.Row, ...]:
        return self.table.rows

    @property
    def is_said(self) -> bool:
        """Whether the figure says in words whatever happened, so that paper needs no second page."""
        lanes = self.figure.lanes if self.figure else ()
        return self.figure is not None and not any(lane.unlabelled for lane in lanes)

    @property
    def columns(self) -> tuple[trend_table.Column, ...]:
        return self.table.columns


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A visit with values, where it stands on the axis, and what to know about it."""

    visit: Visit
    day: int
    at: float
    mark: DrawMark
    results: Mapping[str, LabResult]

    @property
    def when(self) -> str:
        return f"{words.head(self.visit)} \N{MIDDLE DOT} {words.study_day(self.day)}"


@dataclass(frozen=True, slots=True)
class _Held:
    """What every result is held against, and where it comes from."""

    references: Mapping[int, Reference]
    steps: Mapping[str, Sequence[Step]]
    origins: Mapping[int, Origin]


def group_of(patient: Patient) -> str:
    """Return the group whose course stands behind a subject's; nobody is in one before the first infusion."""
    given = patient.infusions.filter(voided_at__isnull=True).count()
    return protocol.group_of(patient.diagnosis, given) if given else ""


def trend(
    patient: Patient,
    *,
    today: date,
    wanted: Wanted | None = None,
    shares: Around | None = None,
    sheet: Sheet = trend_figure.SCREEN,
) -> TrendPage:
    """Read and place everything the trend page shows, in a constant number of queries.

    Parameters
    ----------
    patient
        The subject.
    today
        The day at the site.
    wanted
        How it is drawn.
    shares
        The group's shares of week 0, for a drawing relative to it; else its levels are read.
    sheet
        Measures of the drawing.
    """
    wanted = wanted or Wanted()
    visits = list(
        patient.visits.filter(voided_at__isnull=True).prefetch_related("lab_results__laboratory", "scores")
    )
    results = [result for visit in visits for result in visit.lab_results.all()]
    infusions = sorted(infusion_selectors.valid_infusions(patient), key=lambda i: (i.given_on, i.number))
    outcomes = sorted(patient_selectors.outcomes(patient), key=lambda outcome: outcome.happened_on)
    day_zero = _day_zero(patient, infusions, visits, today)
    freshness = selectors.freshness()
    group = protocol.group_of(patient.diagnosis, len(infusions)) if infusions else ""
    around = shares or trend_group.levels(group, freshness.shown)
    every = _drawn(patient, visits, results, day_zero)
    drawn = [one for one in every if one.visit.week is not None] if wanted.scheduled else every
    held = _held(patient, results)
    until = (today - day_zero).days
    due = Due(patient.recruited_on, patient.planned_course, day_zero, today, bool(outcomes))
    ended = _ended(outcomes, day_zero)
    lanes = _lanes(patient, infusions, due, ended)
    series = [_lab_series(protocol.ANALYTES[code], drawn, held, day_zero) for code in protocol.TREND]
    score = protocol.SCORE_AT[protocol.DEFAULT_SCORE]
    series.append(_score_series(score, drawn))
    tabulated = _table(series, drawn, held)
    if not wanted.bare:
        series = [replace(one, group=tuple(around.points.get(one.code, ()))) for one in series]
    if wanted.unbanded:
        series = [replace(one, reference=None, spans=()) for one in series]
    figure = None
    if drawn:
        last = max(one.day for one in drawn)
        end = max([last, *(mark.day for mark in lanes.marks if mark.state in ("given", "late"))])
        final = protocol.VISITS[-1]
        study_end = final.day + final.window.after
        # who is still followed is shown until today, so that a visit that never came is a gap;
        # what ended the follow-up is seen however long after the last value it came
        longest = study_end + TAIL
        shown = max([end + TAIL, *(min(day, longest) for day, _word in ended)]) if outcomes else longest
        end = max(end, min(until, shown))
        if wanted.whole:
            end = max(end, study_end)
        first = min(*(one.day for one in drawn), 0) - 3
        figure = trend_figure.trend(
            series,
            [_draw(one, day_zero) for one in drawn],
            lanes.happened,
            first_day=first,
            last_day=end + 3,
            weeks=_weeks(day_zero, dates=wanted.dates),
            windows=[_window(visit, day_zero) for visit in protocol.VISITS],
            today=until,
            ended=ended,
            log=wanted.log,
            relative=wanted.relative,
            sheet=sheet,
            marks=Marks(marks.comma(), marks.between_words(), marks.between_sentences()),
        )
    readings = [reading for one in series for reading in one.readings]
    return TrendPage(
        figure=figure,
        table=tabulated,
        group=group,
        group_from=around.least,
        group_n=around.most,
        group_revision=around.revision,
        axis=_("weeks since the first infusion") if infusions else _("weeks since the first infusion is due"),
        reference=words.whose_reference(
            patient, [held.references[r.pk] for r in results if r.pk in held.references]
        ),
        revision=freshness.shown,
        obstacles=words.obstacle_words(),
        infusions=lanes.happened.infusions_words,
        happenings=tuple(lanes.happenings),
        has_hollow=any(reading.hollow for reading in readings),
        has_limits=any(reading.comparator for reading in readings),
        has_left_out=any(reading.left_out for reading in readings),
        hidden=len(every) - len(drawn),
        steps=max((len({span.limits for span in one.spans}) for one in series), default=0),
    )


# --- days -----------------------------------------------------------------------------------


def _day_zero(patient: Patient, infusions: Sequence[Infusion], visits: Sequence[Visit], today: date) -> date:
    if infusions:
        return infusions[0].given_on
    if patient.recruited_on:
        return protocol.infusion_due(1, patient.recruited_on)
    dated = [visit.visited_on - timedelta(days=7 * (visit.week or 0)) for visit in visits if visit.visited_on]
    return min(dated, default=today)


def _weeks(day_zero: date, *, dates: bool) -> list[tuple[int, str]]:
    shown = sorted({*protocol.WEEKS, *range(-8, protocol.WEEKS[-1] + 3, 2)} | set(range(-4, 5)))
    return [
        (week, (day_zero + timedelta(days=7 * week)).isoformat() if dates else tick_text(week))
        for week in shown
    ]


def _window(visit: protocol.ScheduledVisit, day_zero: date) -> tuple[int, int, str]:
    first, last = visit.day - visit.window.before, visit.day + visit.window.after
    said = {
        "week": visit.week,
        "first": (day_zero + timedelta(days=first)).isoformat(),
        "last": (day_zero + timedelta(days=last)).isoformat(),
    }
    return first, last, _("window of week %(week)s: %(first)s to %(last)s") % said


def _ended(outcomes: Sequence[Outcome], day_zero: date) -> list[tuple[int, str]]:
    return [
        ((one.happened_on - day_zero).days, _(protocol.OUTCOME_LABELS[protocol.OutcomeKind(one.kind)]))
        for one in outcomes
    ]


def _drawn(
    patient: Patient, visits: Sequence[Visit], results: Sequence[LabResult], day_zero: date
) -> list[_Drawn]:
    marks = draw_marks(patient, visits, results)
    placed = sorted(
        (
            (_day_of(visit, day_zero), visit.week is None, visit.pk, visit)
            for visit in visits
            if visit.lab_results.all()
        ),
        key=lambda one: one[:3],
    )
    found: list[_Drawn] = []
    for day, _unscheduled, pk, visit in placed:
        # two draws of a day stand beside one another
        at = day + 0.4 if found and found[-1].day == day else float(day)
        by_code = {result.analyte: result for result in visit.lab_results.all()}
        found.append(_Drawn(visit, day, at, marks[pk], by_code))
    return found


def _day_of(visit: Visit, day_zero: date) -> int:
    if visit.visited_on is None:
        return 7 * (visit.week or 0)
    return (visit.visited_on - day_zero).days


def _draw(one: _Drawn, day_zero: date) -> Draw:
    when = one.visit.visited_on or day_zero + timedelta(days=one.day)
    return Draw(
        day=one.at,
        label=words.head(one.visit),
        date=when.isoformat(),
        key=one.visit.pk,
        notes=_notes(one),
        study_day=words.study_day(one.day),
    )


def _notes(one: _Drawn) -> tuple[str, ...]:
    undated = "" if one.visit.visited_on else _("date of the visit not recorded; placed at its week")
    return tuple(note for note in (undated, one.mark.plasma, one.mark.left_out) if note)


# --- what happened --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Lanes:
    """What stands above the strips, placed and in words."""

    marks: Sequence[InfusionMark]
    happened: Happened
    happenings: Sequence[Happening]


def _lanes(
    patient: Patient, infusions: Sequence[Infusion], due: Due, ended: Sequence[tuple[int, str]]
) -> _Lanes:
    plans = infusion_selectors.plans(patient)
    marks = words.infusion_marks(infusions, plans, due)
    infused = [Infused(one.number, one.given_on, one.started_at) for one in infusions]
    treatments = [
        words.treatment_item(one, due.day_zero, due.until) for one in patient_selectors.treatments(patient)
    ]
    events = [words.event_item(one, infused, due.day_zero) for one in patient_selectors.events(patient)]
    happened = Happened(
        infusions=marks,
        infusions_label=_("Infusions"),
        infusions_words=words.infusions_summary(infusions, marks, plans, due),
        lanes={_("Plasma, albumin, other"): treatments, _("Adverse events"): events},
    )
    return _Lanes(marks, happened, trend_table.happenings(marks, treatments, events, ended))


# --- values ---------------------------------------------------------------------------------


def _held(patient: Patient, results: Sequence[LabResult]) -> _Held:
    for result in results:
        result.patient = patient
    entries = _writers(result.pk for result in results)
    marks = verifications.marks(patient, verifications.LABS)
    zone = clock.zone(patient.site)
    return _Held(
        references_for(results),
        steps_for(patient, results),
        {r.pk: Origin(entries.get(r.pk), marks.get((verifications.LABS, r.pk)), zone) for r in results},
    )


def _writers(rows: Iterable[int]) -> Mapping[int, AuditEntry]:
    """Return the newest entry of the trail for each lab result."""
    entries = (
        AuditEntry.objects.filter(table=LabResult._meta.db_table, row__in=list(rows))
        .order_by("row", "-id")
        .distinct("row")
        .select_related("revision__actor")
    )
    return {entry.row: entry for entry in entries}


def _lab_series(analyte: protocol.Analyte, drawn: Sequence[_Drawn], held: _Held, day_zero: date) -> Series:
    def day_of(day: date | None) -> int | None:
        return None if day is None else (day - day_zero).days

    steps = held.steps[analyte.code]
    measured = [
        (one, one.results[analyte.code])
        for one in drawn
        if analyte.code in one.results and one.results[analyte.code].value is not None
    ]
    reference = held.references[measured[-1][1].pk] if measured else steps[-1].reference
    return Series(
        code=analyte.code,
        label=_(analyte.label),
        unit=unit_said(analyte.unit),
        decimals=analyte.decimals,
        readings=tuple(
            _reading(one, result, analyte, held) for one, result in measured if words.is_understood(result)
        ),
        reference=reference.limits,
        reference_words=words.reference_words(reference.limits),
        direction=analyte.direction,
        spans=tuple(Span(day_of(step.first), day_of(step.last), step.reference.limits) for step in steps),
        refused=words.refused((one.visit, result) for one, result in measured),
    )


def _reading(one: _Drawn, result: LabResult, analyte: protocol.Analyte, held: _Held) -> Reading:
    reference = held.references[result.pk]
    lines = words.card(result, reference, held.origins[result.pk], one.when)
    return Reading(
        day=one.at,
        value=result.value or Decimal(0),
        shown=words.shown(result, analyte),
        flag=reference.flag(result.value),
        hollow=one.mark.after is not None,
        comparator=result.comparator,
        week=one.visit.week,
        left_out=bool(one.mark.left_out),
        draw=one.visit.pk,
        lines=tuple(line for line in (*lines, *_notes(one)) if line),
    )


def _score_series(variant: protocol.ScoreVariant, drawn: Sequence[_Drawn]) -> Series:
    readings = []
    for one in drawn:
        score = _newest(one.visit, variant.code)
        if score is None or score.value is None:
            continue
        # the integer that rules allocation is not what statistics use: both are said
        inputs = marks.listed(
            f"{_(protocol.ANALYTES[each['code']].label)} {Decimal(str(each['used'])).normalize():f}"
            f" {unit_said(protocol.ANALYTES[each['code']].unit)}"
            for each in score.inputs
        )
        lines = (
            f"{one.when} \N{MIDDLE DOT} " + _("reported as %(score)s") % {"score": score.reported},
            _("from %(inputs)s") % {"inputs": inputs},
            " \N{MIDDLE DOT} ".join(words.clamped(clamp) for clamp in clamps(score.inputs)),
            _("computed from revision %(number)s") % {"number": score.revision},
            *_notes(one),
        )
        readings.append(
            Reading(
                day=one.at,
                value=score.value,
                shown=f"{score.value:.1f}",
                hollow=one.mark.after is not None,
                week=one.visit.week,
                left_out=bool(one.mark.left_out),
                draw=one.visit.pk,
                lines=tuple(line for line in lines if line),
            )
        )
    return Series(
        code=variant.code,
        label="MELD",
        unit=variant.label.removeprefix("MELD").strip(" ()"),
        decimals=1,
        readings=tuple(readings),
        reference=None,
        reference_words="",
        direction=Direction.FALLS,
        has_percent=False,
    )


def _newest(visit: Visit, variant: str) -> Any:
    return max((s for s in visit.scores.all() if s.variant == variant), key=lambda s: s.run_id, default=None)


# --- table ----------------------------------------------------------------------------------


def _table(series: Sequence[Series], drawn: Sequence[_Drawn], held: _Held) -> Table:
    return Table(
        columns=tuple(trend_table.column(one.visit, one.day, one.mark) for one in drawn),
        rows=tuple(trend_table.row(one, [_value(one.code, each, held) for each in drawn]) for one in series),
    )


def _value(code: str, one: _Drawn, held: _Held) -> Value | None:
    if code not in protocol.ANALYTES:
        return _score_value(code, one)
    analyte, result = protocol.ANALYTES[code], one.results.get(code)
    if result is None:
        return None
    if result.value is None:
        why = next((r.label for r in protocol.MISSING_REASONS if r.code == result.missing_reason), "")
        return Value(shown="", flag="", typed="", why_none=_(why) if why else _("missing"))
    is_plain = result.typed_unit == analyte.unit
    understood = words.is_understood(result)
    return Value(
        shown=words.shown(result, analyte) if understood else words.typed(result),
        flag=held.references[result.pk].flag(result.value) if understood else "",
        typed=words.typed(result),
        plasma=one.mark.plasma,
        note="" if is_plain else words.typed(result) if understood else _("unit unknown"),
        revision=held.origins[result.pk].revision,
        head=f"{_(analyte.label)}, {one.when}",
    )


def _score_value(code: str, one: _Drawn) -> Value | None:
    score = _newest(one.visit, code)
    if score is None:
        return None
    if score.value is None:
        return Value(shown="\N{EN DASH}", flag="", typed="", why_none=score.why_in_words)
    note = marks.listed(words.clamped(clamp) for clamp in clamps(score.inputs))
    return Value(f"{score.value:.1f}", "", "", plasma=one.mark.plasma, note=note)
