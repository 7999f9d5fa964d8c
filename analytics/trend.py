"""Reads one subject's course into the terms of a figure: what the trend page draws and tabulates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from analytics import figures, selectors
from patients.draw_marks import DrawMark, draw_marks
from patients.models import LabResult, Patient, Visit
from patients.reference import Reference, Step, references_for, steps_for
from trial import protocol, units
from trial.models import AuditEntry
from trial.protocol import Direction, Limits, Population

LEAST_FOR_RIBBON = 3
"""Subjects of a group below which quartiles say nothing."""


@dataclass(frozen=True, slots=True)
class Value:
    """One value of the table: printed, flagged, and where it came from."""

    shown: str
    flag: str
    typed: str
    plasma: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """One draw of the table."""

    head: str
    date: str
    day: str
    url_week: int | None
    visit_id: int
    left_out: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One quantity of the table over all draws."""

    label: str
    unit: str
    values: tuple[Value | None, ...]
    change: str


@dataclass(frozen=True, slots=True)
class TrendPage:
    """The figure, the table that says the same, and what to call it all."""

    figure: figures.Trend | None
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    group: str
    group_n: int
    days: str
    revision: int
    has_hollow: bool = False


def trend(
    patient: Patient, *, today: date, log: bool = False, relative: bool = False, whole_study: bool = False
) -> TrendPage:
    """Read and place everything the trend page shows, in a constant number of queries."""
    visits = list(patient.visits.filter(voided_at__isnull=True).prefetch_related("lab_results", "scores"))
    infusions = list(patient.infusions.filter(voided_at__isnull=True).order_by("given_on", "number"))
    outcomes = list(patient.outcomes.filter(voided_at__isnull=True).order_by("happened_on"))
    day_zero = _day_zero(patient, infusions, visits)
    group = protocol.group_of(patient.diagnosis, len(infusions))
    around = _group_levels(group)
    writers = _writers(result.pk for visit in visits for result in visit.lab_results.all())
    seen = sorted(
        ((visit, _day_of(visit, day_zero)) for visit in visits if visit.lab_results.all()),
        key=lambda pair: pair[1],
    )
    held = _References.of(patient, [result for visit in visits for result in visit.lab_results.all()])
    marks = draw_marks(patient, visits, [r for visit in visits for r in visit.lab_results.all()])
    series = [
        _series(protocol.ANALYTES[code], seen, around, held, marks, lambda day: (day - day_zero).days)
        for code in protocol.TREND
    ]
    series.append(_score_series(seen, around, marks))
    shown_weeks = [*protocol.WEEKS, *(w for w in range(2, 25, 2))]
    figure = None
    if seen:
        days = [day for _visit, day in seen]
        until_today = (today - day_zero).days
        end = max(days[-1], min(until_today, days[-1] + 28)) if not whole_study else 25 * 7
        figure = figures.trend(
            series,
            [_draw(visit, day, day_zero, writers, held, marks[visit.pk]) for visit, day in seen],
            _infusion_marks(patient, infusions, day_zero, until_today, ended=bool(outcomes)),
            first_day=min(days[0], 0) - 2,
            last_day=end + 3,
            weeks=sorted(set(shown_weeks)),
            windows=[(v.day - v.window.before, v.day + v.window.after) for v in protocol.VISITS],
            today=until_today,
            ended=[
                ((o.happened_on - day_zero).days, _(protocol.OUTCOME_LABELS[protocol.OutcomeKind(o.kind)]))
                for o in outcomes
            ],
            log=log,
            relative=relative,
        )
    return TrendPage(
        figure=figure,
        columns=tuple(_column(visit, day, day_zero, marks[visit.pk]) for visit, day in seen),
        rows=tuple(_row(one, seen, marks) for one in series),
        group=group,
        group_n=max((n for n, _point in around.values()), default=0),
        days=_("weeks since the first infusion") if infusions else _("weeks since the first infusion is due"),
        revision=selectors.freshness().shown,
        has_hollow=any(marks[visit.pk].after for visit, _day in seen),
    )


def _day_zero(patient: Patient, infusions: Sequence[Any], visits: Sequence[Visit]) -> date:
    if infusions:
        first: date = infusions[0].given_on
        return first
    if patient.recruited_on:
        return protocol.infusion_due(1, patient.recruited_on)
    dated = [visit.visited_on - timedelta(days=7 * (visit.week or 0)) for visit in visits if visit.visited_on]
    return min(dated, default=timezone.localdate())


def _day_of(visit: Visit, day_zero: date) -> int:
    if visit.visited_on is None:
        return 7 * (visit.week or 0)
    return (visit.visited_on - day_zero).days


def _group_levels(group: str) -> Mapping[tuple[str, int], tuple[int, figures.GroupPoint]]:
    """Return n, median and quartiles of a group by quantity and week."""
    levels = {}
    for key, result in selectors.current_cells(
        population=Population.TREATED.value,
        measure=protocol.Measure.LEVEL.value,
        group1=group,
        group2="",
        analyte__in=[*protocol.TREND, protocol.DEFAULT_SCORE],
    ):
        summary = result.group1.summary if result.group1 else None
        if summary is None or key.week_from != key.week_to or summary.n < LEAST_FOR_RIBBON:
            continue
        if summary.q1 is not None and summary.median is not None and summary.q3 is not None:
            levels[key.analyte, key.week_from] = (
                summary.n,
                figures.GroupPoint(7 * key.week_from, summary.q1, summary.median, summary.q3),
            )
    return levels


def _around(
    levels: Mapping[tuple[str, int], tuple[int, figures.GroupPoint]], code: str
) -> tuple[figures.GroupPoint, ...]:
    return tuple(point for (analyte, _week), (_n, point) in sorted(levels.items()) if analyte == code)


@dataclass(frozen=True, slots=True)
class _References:
    """The reference of each result, and how each analyte's changes over time."""

    by_result: Mapping[int, Reference]
    steps: Mapping[str, Sequence[Step]]

    @classmethod
    def of(cls, patient: Patient, results: Sequence[LabResult]) -> _References:
        for result in results:
            result.patient = patient
        return cls(references_for(results), steps_for(patient, results))

    def laboratories(self, results: Iterable[LabResult]) -> str:
        """Name the laboratories whose ranges results are held against."""
        names = {self.by_result[result.pk].laboratory for result in results if result.pk in self.by_result}
        return ", ".join(sorted(name for name in names if name))


def _series(
    analyte: protocol.Analyte,
    seen: Sequence[tuple[Visit, int]],
    around: Mapping[tuple[str, int], tuple[int, figures.GroupPoint]],
    held: _References,
    marks: Mapping[int, DrawMark],
    day_of: Callable[[date], int],
) -> figures.Series:
    steps = held.steps[analyte.code]
    drawn = [
        held.by_result[result.pk].limits
        for visit, _day in seen
        for result in visit.lab_results.all()
        if result.analyte == analyte.code
    ]
    reference = drawn[-1] if drawn else steps[-1].reference.limits
    readings = [
        figures.Reading(
            day,
            result.value,
            shown(result, analyte),
            held.by_result[result.pk].flag(result.value),
            hollow=marks[visit.pk].after is not None,
        )
        for visit, day in seen
        for result in visit.lab_results.all()
        if result.analyte == analyte.code and result.value is not None
    ]
    return figures.Series(
        code=analyte.code,
        label=analyte.label,
        unit=analyte.unit_symbol,
        decimals=analyte.decimals,
        readings=tuple(readings),
        reference=reference,
        reference_words=reference_words(reference),
        direction=analyte.direction,
        group=_around(around, analyte.code),
        spans=tuple(
            figures.Span(
                None if step.first is None else day_of(step.first),
                None if step.last is None else day_of(step.last),
                step.reference.limits,
            )
            for step in steps
        ),
    )


def _score_series(
    seen: Sequence[tuple[Visit, int]],
    around: Mapping[tuple[str, int], tuple[int, figures.GroupPoint]],
    marks: Mapping[int, DrawMark],
) -> figures.Series:
    variant = protocol.SCORE_AT[protocol.DEFAULT_SCORE]
    readings = []
    for visit, day in seen:
        newest = max(
            (s for s in visit.scores.all() if s.variant == variant.code), key=_newest_run, default=None
        )
        if newest is not None and newest.value is not None:
            hollow = marks[visit.pk].after is not None
            readings.append(figures.Reading(day, newest.value, f"{newest.value:.1f}", hollow=hollow))
    return figures.Series(
        code=variant.code,
        label="MELD",
        unit=variant.label.removeprefix("MELD").strip(" ()"),
        decimals=1,
        readings=tuple(readings),
        reference=None,
        reference_words="",
        direction=Direction.FALLS,
        group=_around(around, variant.code),
    )


def _newest_run(score: Any) -> int:
    return int(score.run_id)


def shown(result: LabResult, analyte: protocol.Analyte) -> str:
    """Return a value as it is printed: exactly as reported, rounded only when its unit was converted."""
    if result.value is None:
        return ""
    if result.typed_unit == analyte.unit:
        return f"{result.comparator}{result.value.normalize():f}"
    return f"{result.comparator}{result.value:.{analyte.decimals}f}"


def reference_words(reference: Limits) -> str:
    """Return a range as it is printed beside a chart."""
    sides = {"low": reference.low, "high": reference.high}
    printed = {name: "" if side is None else f"{side.normalize():f}" for name, side in sides.items()}
    if reference.low is None:
        return _("ref up to %(high)s") % printed
    if reference.high is None:
        return _("ref from %(low)s") % printed
    return _("ref %(low)s to %(high)s") % printed


def _writers(rows: Iterable[int]) -> Mapping[int, AuditEntry]:
    """Return the newest entry of the trail for each lab result."""
    entries = (
        AuditEntry.objects.filter(table=LabResult._meta.db_table, row__in=list(rows))
        .order_by("row", "-id")
        .distinct("row")
        .select_related("revision__actor")
    )
    return {entry.row: entry for entry in entries}


def _draw(
    visit: Visit,
    day: int,
    day_zero: date,
    writers: Mapping[int, AuditEntry],
    held: _References,
    mark: DrawMark,
) -> figures.Draw:
    when = visit.visited_on or day_zero + timedelta(days=day)
    entries = [writers[r.pk] for r in visit.lab_results.all() if r.pk in writers]
    newest = max(entries, key=lambda entry: entry.revision.number or 0, default=None)
    lines = []
    converted = [
        f"{protocol.ANALYTES[r.analyte].label} {r.typed_text} {units.symbol(r.typed_unit)}"
        for r in visit.lab_results.all()
        if r.value is not None and r.typed_unit and r.typed_unit != protocol.ANALYTES[r.analyte].unit
    ]
    if converted:
        lines.append(_("typed %(values)s") % {"values": ", ".join(converted)})
    if laboratories := held.laboratories(visit.lab_results.all()):
        lines.append(laboratories)
    if newest is not None:
        lines.append(
            _("%(who)s, %(when)s, revision %(number)s")
            % {
                "who": newest.revision.actor.shown_name,
                "when": timezone.localtime(newest.revision.made_at).strftime("%Y-%m-%d %H:%M"),
                "number": newest.revision.number,
            }
        )
    if visit.visited_on is None:
        lines.append(_("date of the visit not recorded; placed at its week"))
    lines += [words for words in (mark.plasma, mark.left_out) if words]
    return figures.Draw(
        day, _head(visit) + " \N{MIDDLE DOT} " + _study_day(day), when.isoformat(), tuple(lines)
    )


def _infusion_marks(
    patient: Patient, infusions: Sequence[Any], day_zero: date, until: int, *, ended: bool
) -> list[figures.InfusionMark]:
    marks, given = [], {infusion.number for infusion in infusions}
    for infusion in infusions:
        late = False
        if patient.recruited_on:
            first, last = protocol.INFUSION_WINDOW.around(
                protocol.infusion_due(infusion.number, patient.recruited_on)
            )
            late = not first <= infusion.given_on <= last
        dose = ""
        if infusion.cells and infusion.weight_kg:
            dose = f", {infusion.cells / 1_000_000:.1f} \N{MULTIPLICATION SIGN}10\N{SUPERSCRIPT SIX}"
        words = _("infusion %(number)s, %(date)s%(dose)s") % {
            "number": infusion.number,
            "date": infusion.given_on.isoformat(),
            "dose": dose,
        }
        marks.append(
            figures.InfusionMark(
                infusion.number, (infusion.given_on - day_zero).days, "late" if late else "given", words
            )
        )
        if late and patient.recruited_on:
            planned = (protocol.infusion_due(infusion.number, patient.recruited_on) - day_zero).days
            marks.append(
                figures.InfusionMark(
                    infusion.number,
                    planned,
                    "planned",
                    _("infusion %(number)s was due") % {"number": infusion.number},
                )
            )
    course = protocol.Course(patient.planned_course) if patient.planned_course else protocol.Course.STANDARD
    if patient.recruited_on and not ended:
        for number in range(1, protocol.COURSES[course] + 1):
            if number in given:
                continue
            due = (protocol.infusion_due(number, patient.recruited_on) - day_zero).days
            missed = due + protocol.INFUSION_WINDOW.after < until
            words = _("infusion %(number)s missed") if missed else _("infusion %(number)s is due")
            marks.append(
                figures.InfusionMark(
                    number, due, "missed" if missed else "planned", words % {"number": number}
                )
            )
    return sorted(marks, key=lambda mark: (mark.day, mark.number))


def _head(visit: Visit) -> str:
    return _("week %(week)s") % {"week": visit.week} if visit.week is not None else _("unscheduled")


def _study_day(day: int) -> str:
    return _("day %(day)s") % {"day": str(day).replace("-", figures.MINUS)}


def _column(visit: Visit, day: int, day_zero: date, mark: DrawMark) -> Column:
    return Column(
        head=f"W{visit.week}" if visit.week is not None else _("unsch."),
        date=visit.visited_on.isoformat() if visit.visited_on else _("not recorded"),
        day=_study_day(day),
        url_week=visit.week,
        visit_id=visit.pk,
        left_out=mark.left_out,
    )


def _row(series: figures.Series, seen: Sequence[tuple[Visit, int]], marks: Mapping[int, DrawMark]) -> Row:
    by_day: dict[int, list[figures.Reading]] = defaultdict(list)
    for reading in series.readings:
        by_day[reading.day].append(reading)
    typed = {
        day: f"{r.typed_text} {units.symbol(r.typed_unit)}"
        for visit, day in seen
        for r in visit.lab_results.all()
        if r.analyte == series.code and r.value is not None
    }
    cells: list[Value | None] = []
    for visit, day in seen:
        here = by_day[day][0] if by_day[day] else None
        plasma = marks[visit.pk].plasma
        cells.append(None if here is None else Value(here.shown, here.flag, typed.get(day, ""), plasma))
    base = next((r for r in reversed(series.readings) if r.day <= 0), None)
    change = ""
    if base and len(series.readings) > 1 and series.readings[-1] is not base:
        change = figures.with_sign(series.readings[-1].value - base.value, series.decimals)
    return Row(series.label, series.unit, tuple(cells), change)
