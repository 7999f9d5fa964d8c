"""Reads one contrast into the terms of its page: rows, figure, sentence, and what moved it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from analytics import figures, frames, selectors
from analytics.contrasts import MISSING, CellKey, CellResult, GroupResult, StudyArrays, places_of
from analytics.models import Cell
from analytics.samples import Ints
from trial import protocol, units
from trial.models import Revision
from trial.protocol import Measure, Population

METHODS: Mapping[str, str] = {
    "t_pooled": gettext_noop("t test, pooled"),
    "t_welch": gettext_noop("t test, Welch"),
    "mannwhitney_asymptotic": gettext_noop("Mann-Whitney"),
    "mannwhitney_cc": gettext_noop("Mann-Whitney, continuity corrected"),
    "mannwhitney_exact": gettext_noop("Mann-Whitney, exact"),
    "levene_mean": gettext_noop("Levene"),
    "hodges_lehmann": gettext_noop("Hodges-Lehmann"),
}
SIGNIFICANT = 0.05
MOST_MOVES = 12


@dataclass(frozen=True, slots=True)
class GroupRow:
    """One group of one interval in numbers."""

    code: str
    n: int
    missing: int
    died: int
    transplanted: int
    mean: float | None
    sd: float | None
    median: float | None
    q1: float | None
    q3: float | None


@dataclass(frozen=True, slots=True)
class IntervalRow:
    """One interval: both groups, the test and why, the estimate, p and its adjustments."""

    key: CellKey
    label: str
    before_courses_differ: bool
    primary: bool
    groups: tuple[GroupRow, ...]
    boxes: tuple[figures.BoxRow, ...]
    forest: figures.ForestRow | None
    method: str
    reason: str
    estimate: float | None
    ci_low: float | None
    ci_high: float | None
    estimate_name: str
    p_value: float | None
    p_holm: float | None
    p_bh: float | None
    note: str
    rows_query: str


@dataclass(frozen=True, slots=True)
class Move:
    """A change of one p-value between two revisions."""

    label: str
    before: str
    after: str
    crossed: bool
    revision: int
    made_at: datetime | None
    who: str
    why: str


@dataclass(frozen=True, slots=True)
class ContrastPage:
    """Everything the page of one contrast shows."""

    figure: figures.ContrastFigure
    rows: tuple[IntervalRow, ...]
    group1: str
    group2: str
    analyte: str
    unit: str
    decimals: int
    holm_size: int
    bh_size: int
    subjects: tuple[int, int]
    headline: IntervalRow | None
    moves: tuple[Move, ...]
    freshness: Any
    has_results: bool
    is_decrease: bool


def contrast(pair: tuple[str, str], analyte: str, measure: Measure, population: Population) -> ContrastPage:
    """Read one contrast of one quantity over its weeks."""
    group1, group2 = pair
    stored = {
        (key.week_from, key.week_to): (key, result)
        for key, result in selectors.current_cells(
            population=population.value, measure=measure.value, group1=group1, group2=group2, analyte=analyte
        )
    }
    weeks = list(protocol.cells_of(measure))
    study = frames.study(codes=[analyte])
    samples = [_samples(study, pair, analyte, span, measure, population, stored.get(span)) for span in weeks]
    estimates = [_estimate(stored.get(span)) for span in weeks]
    figure = figures.contrast(samples, estimates)
    rows = [
        _row(stored[span], span, pair, figure.rows[place], figure.forest[place])
        for place, span in enumerate(weeks)
        if span in stored
    ]
    sizes = [result for _key, result in stored.values() if result.p_value is not None]
    return ContrastPage(
        figure=figure,
        rows=tuple(rows),
        group1=group1,
        group2=group2,
        analyte=analyte,
        unit=units.symbol(protocol.unit_of(analyte)),
        decimals=protocol.decimals_of(analyte),
        holm_size=sizes[0].holm_size if sizes else 0,
        bh_size=sizes[0].bh_size if sizes else 0,
        subjects=_subjects(population, pair),
        headline=_headline(rows),
        moves=tuple(_moves([row.key for row in rows])),
        freshness=selectors.freshness(),
        has_results=bool(stored),
        is_decrease=measure is not Measure.LEVEL,
    )


def _samples(
    study: StudyArrays,
    pair: tuple[str, str],
    analyte: str,
    span: tuple[int, int],
    measure: Measure,
    population: Population,
    stored: tuple[CellKey, CellResult] | None,
) -> list[figures.GroupSample]:
    result = stored[1] if stored else CellResult()
    samples = []
    for code, group in zip(pair, (result.group1, result.group2), strict=True):
        values: list[float] = []
        if analyte in study.values:
            values = [
                value
                for _subject, _a, _b, value in _values(
                    study, study.members(population, code), analyte, span, measure
                )
            ]
        summary = group.summary if group else None
        samples.append(
            figures.GroupSample(
                code,
                tuple(values) if len(values) <= figures.MOST_DOTS else (),
                summary.q1 if summary else None,
                summary.median if summary else None,
                summary.q3 if summary else None,
            )
        )
    return samples


def _values(
    study: StudyArrays, members: Ints, analyte: str, span: tuple[int, int], measure: Measure
) -> list[tuple[str, float, float, float]]:
    """Return (subject, earlier, later, value) of the members who have what the measure needs."""
    scale = 10.0 ** places_of(analyte)
    start, end = (protocol.WEEKS.index(week) for week in span)
    both = study.values[analyte][members][:, [start, end]]
    complete = (both != MISSING).all(axis=1)
    found = []
    for place, (a, b) in zip(members[complete].tolist(), both[complete].tolist(), strict=True):
        value = a if measure is Measure.LEVEL else a - b
        found.append((study.subject_ids[place], a / scale, b / scale, value / scale))
    return found


def _estimate(stored: tuple[CellKey, CellResult] | None) -> tuple[float, float, float] | None:
    result = stored[1] if stored else None
    if result is None or result.estimate is None or result.ci_low is None or result.ci_high is None:
        return None
    return result.estimate, result.ci_low, result.ci_high


def _row(
    stored: tuple[CellKey, CellResult],
    span: tuple[int, int],
    pair: tuple[str, str],
    boxes: tuple[figures.BoxRow, ...],
    forest: figures.ForestRow | None,
) -> IntervalRow:
    key, result = stored
    primary = (
        pair == protocol.PRIMARY_CONTRAST
        and key.analyte == protocol.PRIMARY_ANALYTE
        and key.measure == Measure.INTERVAL
        and span == protocol.PRIMARY_INTERVAL
    )
    return IntervalRow(
        key=key,
        label=span_label(key),
        before_courses_differ=key.week_to <= protocol.COURSES[protocol.Course.STANDARD]
        and key.measure != "baseline",
        primary=primary,
        groups=tuple(
            _group_row(code, group)
            for code, group in zip(pair, (result.group1, result.group2), strict=True)
            if group
        ),
        boxes=boxes,
        forest=forest,
        method=_(METHODS.get(result.method, result.method)),
        reason=said(result.reason),
        estimate=result.estimate,
        ci_low=result.ci_low,
        ci_high=result.ci_high,
        estimate_name=_("mean difference") if result.method.startswith("t_") else _("Hodges-Lehmann"),
        p_value=result.p_value,
        p_holm=result.p_holm,
        p_bh=result.p_bh,
        note="; ".join(said(note) for note in result.notes),
        rows_query="&".join(f"{name}={value}" for name, value in key._asdict().items()),
    )


def _group_row(code: str, group: GroupResult) -> GroupRow:
    s = group.summary
    missing = group.size - s.n - group.died - group.transplanted
    return GroupRow(code, s.n, missing, group.died, group.transplanted, s.mean, s.sd, s.median, s.q1, s.q3)


def said(sentence: Any) -> str:
    """Return a sentence of the analysis in the language of the page."""
    if sentence is None:
        return ""
    return _(sentence.text).format(**sentence.fields)


def span_label(key: CellKey) -> str:
    """Return the weeks of a cell as they are written: ``W4–12``, ``W4``."""
    if key.week_from == key.week_to:
        return f"W{key.week_from}"
    return f"W{key.week_from}\N{EN DASH}{key.week_to}"


def _subjects(population: Population, pair: tuple[str, str]) -> tuple[int, int]:
    counts = {
        key.group1: result.group1.n
        for key, result in selectors.current_cells(
            population=population.value, measure=Measure.BASELINE.value, analyte="subjects", group2=""
        )
        if result.group1
    }
    return counts.get(pair[0], 0), counts.get(pair[1], 0)


def _headline(rows: Sequence[IntervalRow]) -> IntervalRow | None:
    tested = [row for row in rows if row.p_value is not None and row.estimate is not None]
    return next(
        (row for row in tested if row.primary), min(tested, key=lambda r: r.p_value or 0, default=None)
    )


def _moves(keys: Sequence[CellKey]) -> list[Move]:
    """Return how the p-values of these cells came to be what they are, newest first."""
    if not keys:
        return []
    first = keys[0]
    wanted = {(key.week_from, key.week_to): key for key in keys}
    history: dict[tuple[int, int], list[tuple[int, float | None]]] = {}
    stored = (
        Cell.objects.filter(
            population=first.population,
            measure=first.measure,
            group1=first.group1,
            group2=first.group2,
            analyte=first.analyte,
        )
        .order_by("-revision")
        .values_list("week_from", "week_to", "revision", "result__selected")[: 40 * len(keys)]
    )
    for week_from, week_to, revision, chosen in stored:
        history.setdefault((week_from, week_to), []).append((revision, chosen[1] if chosen else None))
    steps = []
    for span, points in history.items():
        if span not in wanted:
            continue
        for (revision, after), (_earlier, before) in pairwise(points):
            if before != after:
                steps.append((revision, span, before, after))
    steps = sorted(steps, reverse=True)[:MOST_MOVES]
    made = {
        revision.number: revision
        for revision in Revision.objects.filter(number__in=[step[0] for step in steps]).select_related(
            "actor"
        )
    }
    moves = []
    for number, span, before, after in steps:
        by = made.get(number)
        crossed = before is not None and after is not None and (before < SIGNIFICANT) != (after < SIGNIFICANT)
        moves.append(
            Move(
                span_label(wanted[span]),
                p_words(before),
                p_words(after),
                crossed,
                number,
                by.made_at if by else None,
                by.actor.shown_name if by else "",
                by.reason if by else "",
            )
        )
    return moves


def p_words(p_value: float | None) -> str:
    """Return a p-value as it is printed: never 0.000."""
    if p_value is None:
        return "\N{EN DASH}"
    if p_value < 0.001:
        return "< 0.001"
    return f"{p_value:.3f}" if p_value < 0.1 else f"{p_value:.2f}"


@dataclass(frozen=True, slots=True)
class SubjectRow:
    """One subject behind a cell."""

    subject_id: str
    group: str
    earlier: float | None
    later: float | None
    value: float


def rows_behind(key: CellKey) -> list[SubjectRow]:
    """Return the subjects whose values a cell is made of, group by group."""
    study = frames.study(codes=[key.analyte])
    if key.analyte not in study.values:
        return []
    found = []
    population, measure = Population(key.population), Measure(key.measure)
    for code in (key.group1, key.group2):
        if not code:
            continue
        members = study.members(population, code)
        found += [
            SubjectRow(subject, code, a, b, value)
            for subject, a, b, value in _values(
                study, members, key.analyte, (key.week_from, key.week_to), measure
            )
        ]
    return found
