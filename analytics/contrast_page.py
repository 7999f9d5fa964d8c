"""Reads one contrast into the terms of its page: rows, figure, sentence, fairness, and what moved it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise
from typing import Any

import numpy as np
from django.utils.safestring import SafeString
from numpy.typing import NDArray

from analytics import contrast_source, contrasts, figures, followed, selectors, whereabouts
from analytics.cells import CellKey, CellResult, GroupResult
from analytics.contrast_source import Cells, Question
from analytics.contrast_words import (
    SIGNIFICANT,
    estimate_words,
    headline,
    method_words,
    span_label,
)
from analytics.fairness import Fairness, fairness
from analytics.models import Cell
from analytics.samples import MISSING, Ints
from analytics.selectors import Freshness
from analytics.study_arrays import StudyArrays, places_of
from analytics.words import said
from trial import marks, protocol
from trial.models import Revision
from trial.protocol import Direction, Measure, Population
from trial.unit_words import unit_said

MOST_MOVES = 12


@dataclass(frozen=True, slots=True)
class GroupRow:
    """One group of one interval in numbers; ``size`` is the sum of all the counts."""

    code: str
    size: int
    n: int
    not_due: int
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
    was: Move | None


@dataclass(frozen=True, slots=True)
class Move:
    """A change of one p-value between two revisions."""

    span: tuple[int, int]
    label: str
    before: float | None
    after: float | None
    crossed: bool
    revision: int
    made_at: datetime | None
    who: str
    why: str


@dataclass(frozen=True, slots=True)
class Beside:
    """One interval after the landmark: as treated, and at the landmark."""

    label: str
    sides: tuple[BesideSide, ...]


@dataclass(frozen=True, slots=True)
class BesideSide:
    """One grouping of an interval; without a result, ``key`` is absent."""

    n1: int
    n2: int
    estimate: float | None
    ci_low: float | None
    ci_high: float | None
    p_value: float | None
    note: str
    rows_query: str


@dataclass(frozen=True, slots=True)
class ContrastPage:
    """Everything the page of one contrast shows."""

    question: Question
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
    headline: SafeString | None
    headline_row: IntervalRow | None
    is_smallest_p: bool
    moves: tuple[Move, ...]
    freshness: Freshness
    revision: int
    has_results: bool
    is_decrease: bool
    rises: bool
    observed: tuple[whereabouts.StatusRow, ...]
    weeks: tuple[int, ...]
    fairness: Fairness
    beside: tuple[Beside, ...]

    @property
    def size(self) -> int:
        """Subjects of both groups."""
        return sum(self.subjects)


def contrast(question: Question, today: date) -> ContrastPage:
    """Read one contrast of one quantity over its weeks.

    Parameters
    ----------
    question
        What is compared.
    today
        Visits whose window is open or to come on this day are not due, not missing.
    """
    pair = group1, group2 = question.pair
    study = contrast_source.study_of(question)
    stored = contrast_source.cells_of(question, study, group1, group2)
    subjects = followed.everybody()
    status = whereabouts.statuses(study, question.analyte, subjects, today)
    members = [study.members(question.grouping, code) for code in pair]
    weeks = list(protocol.cells_of(question.measure))
    figure = figures.contrast(
        [_samples(study, question, span, stored.get(span)) for span in weeks],
        [_estimate(stored.get(span)) for span in weeks],
    )
    freshness = selectors.freshness()
    moves = _moves([stored[span][0] for span in weeks if span in stored]) if question.is_stored else []
    rows = tuple(
        _row(question, stored[span], figure.rows[place], figure.forest[place], status, members, moves)
        for place, span in enumerate(weeks)
        if span in stored
    )
    sizes = [result for _key, result in stored.values() if result.p_value is not None]
    chosen, is_smallest = _headline(rows)
    unit, decimals = unit_said(protocol.unit_of(question.analyte)), protocol.decimals_of(question.analyte)
    return ContrastPage(
        question=question,
        figure=figure,
        rows=rows,
        group1=group1,
        group2=group2,
        analyte=question.analyte,
        unit=unit,
        decimals=decimals,
        holm_size=sizes[0].holm_size if sizes else 0,
        bh_size=sizes[0].bh_size if sizes else 0,
        subjects=(members[0].size, members[1].size),
        headline=headline(
            *stored[chosen.key.week_from, chosen.key.week_to],
            unit=unit,
            decimals=decimals,
            direction=direction_of(question.analyte),
        )
        if chosen
        else None,
        headline_row=chosen,
        is_smallest_p=is_smallest,
        moves=tuple(moves),
        freshness=freshness,
        revision=freshness.shown if question.is_stored else freshness.latest,
        has_results=bool(stored),
        is_decrease=question.measure is not Measure.LEVEL,
        rises=direction_of(question.analyte) is Direction.RISES,
        observed=whereabouts.by_week(status, members),
        weeks=protocol.WEEKS,
        fairness=fairness(list(subjects.values()), pair, as_of=today),
        beside=_beside(question),
    )


def direction_of(analyte: str) -> Direction:
    """Return which way a quantity moves in recovery; every score falls."""
    return protocol.ANALYTES[analyte].direction if analyte in protocol.ANALYTES else Direction.FALLS


def _samples(
    study: StudyArrays, question: Question, span: tuple[int, int], stored: tuple[CellKey, CellResult] | None
) -> list[figures.GroupSample]:
    result = stored[1] if stored else CellResult()
    samples = []
    for code, group in zip(question.pair, (result.group1, result.group2), strict=True):
        values = [
            value
            for _subject, _a, _b, value in values_of(
                study, study.members(question.grouping, code), question.analyte, span, question.measure
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


def values_of(
    study: StudyArrays, members: Ints, analyte: str, span: tuple[int, int], measure: Measure
) -> list[tuple[str, float, float, float]]:
    """Return (subject, earlier, later, value) of the members who have what the measure needs."""
    if analyte not in study.values:
        return []
    scale = 10.0 ** places_of(analyte)
    start, end = (protocol.WEEKS.index(week) for week in span)
    both = study.values[analyte][members][:, [start, end]]
    complete = (both != MISSING).all(axis=1)
    found = []
    for place, (a, b) in zip(members[complete].tolist(), both[complete].tolist(), strict=True):
        value = a if measure in (Measure.LEVEL, Measure.BASELINE) else a - b
        found.append((study.subject_ids[place], a / scale, b / scale, value / scale))
    return found


def _estimate(stored: tuple[CellKey, CellResult] | None) -> tuple[float, float, float] | None:
    result = stored[1] if stored else None
    if result is None or result.estimate is None or result.ci_low is None or result.ci_high is None:
        return None
    return result.estimate, result.ci_low, result.ci_high


def is_primary(key: CellKey) -> bool:
    """Return whether a cell is the comparison named in advance."""
    return (
        (key.group1, key.group2) == protocol.PRIMARY_CONTRAST
        and key.analyte == protocol.PRIMARY_ANALYTE
        and key.measure == Measure.INTERVAL
        and (key.week_from, key.week_to) == protocol.PRIMARY_INTERVAL
    )


def _row(
    question: Question,
    stored: tuple[CellKey, CellResult],
    boxes: tuple[figures.BoxRow, ...],
    forest: figures.ForestRow | None,
    status: NDArray[np.int8],
    members: Sequence[Ints],
    moves: Sequence[Move],
) -> IntervalRow:
    key, result = stored
    span = (key.week_from, key.week_to)
    groups = zip(question.pair, (result.group1, result.group2), members, strict=True)
    return IntervalRow(
        key=key,
        label=span_label(span),
        before_courses_differ=contrast_source.before_courses_differ(span),
        primary=is_primary(key),
        groups=tuple(
            group_row(code, group, whereabouts.not_due(status, rows, span))
            for code, group, rows in groups
            if group
        ),
        boxes=boxes,
        forest=forest,
        method=method_words(result.method),
        reason=said(result.reason) if result.reason else "",
        estimate=result.estimate,
        ci_low=result.ci_low,
        ci_high=result.ci_high,
        estimate_name=estimate_words(result.method),
        p_value=result.p_value,
        p_holm=result.p_holm,
        p_bh=result.p_bh,
        note=marks.semicolon().join(said(note) for note in result.notes if note.text not in _SAID_IN_COLUMNS),
        rows_query=rows_query(question, key),
        was=next((move for move in moves if move.span == span), None),
    )


_SAID_IN_COLUMNS = frozenset({contrasts.NOT_OBSERVABLE})


def rows_query(question: Question, key: CellKey) -> str:
    """Return what the address of the rows behind a cell asks for."""
    parts = [f"{name}={value}" for name, value in key._asdict().items()]
    if question.without_plasma:
        parts.append("plasma=out")
    if question.at_landmark and question.population is Population.ELIGIBLE:
        parts.append("among=eligible")
    return "&".join(parts)


def group_row(code: str, group: GroupResult, not_due: int = 0) -> GroupRow:
    """Return a group in numbers; who is not yet due is not missing."""
    s = group.summary
    absent = group.size - s.n - group.died - group.transplanted
    waiting = min(max(not_due, group.not_due), absent)
    return GroupRow(
        code, group.size, s.n, waiting, absent - waiting, group.died, group.transplanted,
        s.mean, s.sd, s.median, s.q1, s.q3,
    )  # fmt: skip


def _headline(rows: Sequence[IntervalRow]) -> tuple[IntervalRow | None, bool]:
    """Return the row the sentence speaks of, and whether it was picked for its small p."""
    tested = [row for row in rows if row.p_value is not None and row.estimate is not None]
    primary = next((row for row in tested if row.primary), None)
    if primary is not None:
        return primary, False
    smallest = min(tested, key=lambda row: row.p_value or 0.0, default=None)
    return smallest, len(tested) > 1


def _beside(question: Question) -> tuple[Beside, ...]:
    both = contrast_source.landmark_beside(question)
    spans = [span for span in protocol.INTERVALS if not contrast_source.before_courses_differ(span)]
    return tuple(
        Beside(
            span_label(span),
            tuple(_side(both[population], span) for population in (Population.TREATED, Population.LANDMARK)),
        )
        for span in spans
    )


def _side(cells: Cells, span: tuple[int, int]) -> BesideSide:
    if span not in cells:
        return BesideSide(0, 0, None, None, None, None, "", "")
    key, result = cells[span]
    return BesideSide(
        result.group1.n if result.group1 else 0,
        result.group2.n if result.group2 else 0,
        result.estimate,
        result.ci_low,
        result.ci_high,
        result.p_value,
        said(result.notes[0]) if result.p_value is None and result.notes else "",
        "&".join(f"{name}={value}" for name, value in key._asdict().items()),
    )


def _moves(keys: Sequence[CellKey]) -> list[Move]:
    """Return how the p-values of these cells came to be what they are, newest first."""
    if not keys:
        return []
    first = keys[0]
    wanted = {(key.week_from, key.week_to) for key in keys}
    history: dict[tuple[int, int], list[tuple[int, float | None]]] = {}
    stored = (
        Cell.objects.filter(
            population=first.population,
            measure=first.measure,
            group1=first.group1,
            group2=first.group2,
            analyte=first.analyte,
        )
        .order_by("-run_id")
        .values_list("week_from", "week_to", "revision", "result__selected")[: 40 * len(keys)]
    )
    for week_from, week_to, revision, chosen in stored:
        number: Any = chosen[1] if chosen else None
        history.setdefault((week_from, week_to), []).append(
            (revision, None if number is None else float(number))
        )
    steps = [
        (revision, span, before, after)
        for span, points in history.items()
        if span in wanted
        for (revision, after), (_earlier, before) in pairwise(points)
        if before != after
    ]
    steps = sorted(steps, key=lambda step: (-step[0], step[1]))[:MOST_MOVES]
    revisions = Revision.objects.filter(number__in=[step[0] for step in steps]).select_related("actor")
    made = {revision.number: revision for revision in revisions}
    return [_move(step, made.get(step[0])) for step in steps]


def _move(step: tuple[int, tuple[int, int], float | None, float | None], by: Revision | None) -> Move:
    number, span, before, after = step
    return Move(
        span=span,
        label=span_label(span),
        before=before,
        after=after,
        crossed=before is not None and after is not None and (before < SIGNIFICANT) != (after < SIGNIFICANT),
        revision=number,
        made_at=by.made_at if by else None,
        who=by.actor.shown_name if by else "",
        why=by.reason if by else "",
    )
