"""Two tables beside a contrast: the change within each group, and how the groups were at baseline."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

from django.utils.translation import gettext as _

from analytics import contrast_source, contrasts, followed, selectors, whereabouts
from analytics.cells import AGE, SEX, CellKey, CellResult
from analytics.contrast_page import GroupRow, group_row, rows_query
from analytics.contrast_source import Question
from analytics.contrast_words import estimate_words, method_words, span_label
from analytics.selectors import Freshness
from analytics.words import said
from trial import protocol
from trial.protocol import Measure
from trial.unit_words import unit_said


@dataclass(frozen=True, slots=True)
class TableRow:
    """One line: what it is of, one or two groups in numbers, and the test."""

    label: str
    note_label: str
    unit: str
    decimals: int
    is_share: bool
    groups: tuple[GroupRow, ...]
    method: str
    reason: str
    estimate: float | None
    estimate_name: str
    ci_low: float | None
    ci_high: float | None
    p_value: float | None
    p_holm: float | None
    p_bh: float | None
    note: str
    rows_query: str


@dataclass(frozen=True, slots=True)
class Part:
    """The rows of one group, with the sizes of the families their p-values are adjusted in."""

    code: str
    holm_size: int
    bh_size: int
    rows: tuple[TableRow, ...]


@dataclass(frozen=True, slots=True)
class TablePage:
    """A table under the name of a contrast."""

    question: Question
    group1: str
    group2: str
    parts: tuple[Part, ...]
    subjects: tuple[int, int]
    freshness: Freshness
    revision: int
    has_results: bool

    @property
    def size(self) -> int:
        """Subjects of both groups."""
        return sum(self.subjects)


def within(question: Question, today: date) -> TablePage:
    """Return the change since week 0 within each group of a contrast.

    That one group changed and the other did not is no difference between them; the page says so.
    """
    question = replace(question, measure=Measure.CUMULATIVE)
    study = contrast_source.study_of(question)
    status = whereabouts.statuses(study, question.analyte, followed.everybody(), today)
    parts = []
    for code in question.pair:
        cells = contrast_source.cells_of(question, study, code, "")
        members = study.members(question.grouping, code)
        rows = tuple(
            _row(
                question,
                key,
                result,
                (code,),
                span_label(span),
                not_due=(whereabouts.not_due(status, members, span),),
                before=contrast_source.before_courses_differ(span),
            )
            for span, (key, result) in cells.items()
        )
        tested = next((result for _key, result in cells.values() if result.p_value is not None), CellResult())
        parts.append(Part(code, tested.holm_size, tested.bh_size, rows))
    sizes_of = tuple(study.members(question.grouping, code).size for code in question.pair)
    return _page(question, tuple(parts), (sizes_of[0], sizes_of[1]))


def baseline(question: Question) -> TablePage:
    """Return age, sex and every quantity at week 0, the groups of a contrast side by side."""
    study = contrast_source.study_of(question, every_quantity=True)
    group1, group2 = question.pair
    first = protocol.BASELINE_WEEK
    place = question.grouping.value
    keys = [
        CellKey(place, Measure.BASELINE.value, group1, group2, code, first, first) for code in (AGE, SEX)
    ] + [
        CellKey(place, Measure.LEVEL.value, group1, group2, code, first, first) for code in protocol.MEASURED
    ]
    if question.is_stored:
        found: dict[CellKey, CellResult] = {}
        for measure in (Measure.BASELINE, Measure.LEVEL):
            found |= dict(
                selectors.current_cells(
                    population=place,
                    measure=measure.value,
                    group1=group1,
                    group2=group2,
                    week_from=first,
                    week_to=first,
                )
            )
    else:
        found = contrasts.compute(study, keys)
    rows = tuple(
        _row(question, key, found[key], question.pair, _(protocol.label_of(key.analyte)))
        for key in keys
        if key in found
    )
    sizes = tuple(study.members(question.grouping, code).size for code in question.pair)
    return _page(question, (Part("", 0, 0, rows),) if rows else (), (sizes[0], sizes[1]))


def _page(question: Question, parts: tuple[Part, ...], subjects: tuple[int, int]) -> TablePage:
    freshness = selectors.freshness()
    return TablePage(
        question=question,
        group1=question.pair[0],
        group2=question.pair[1],
        parts=parts,
        subjects=subjects,
        freshness=freshness,
        revision=freshness.shown if question.is_stored else freshness.latest,
        has_results=any(part.rows for part in parts),
    )


def _row(
    question: Question,
    key: CellKey,
    result: CellResult,
    codes: tuple[str, ...],
    label: str,
    *,
    not_due: tuple[int, ...] = (0, 0),
    before: bool = False,
) -> TableRow:
    groups = zip(codes, (result.group1, result.group2), not_due, strict=False)
    return TableRow(
        label=label,
        note_label=_("before the courses differ") if before else "",
        unit=unit_said(protocol.unit_of(key.analyte)),
        decimals=protocol.decimals_of(key.analyte),
        is_share=key.analyte == SEX,
        groups=tuple(group_row(code, group, waiting) for code, group, waiting in groups if group),
        method=method_words(result.method),
        reason=said(result.reason) if result.reason else "",
        estimate=result.estimate,
        estimate_name=estimate_words(result.method),
        ci_low=result.ci_low,
        ci_high=result.ci_high,
        p_value=result.p_value,
        p_holm=result.p_holm,
        p_bh=result.p_bh,
        note="; ".join(said(note) for note in result.notes if note.text != contrasts.NOT_OBSERVABLE),
        rows_query=rows_query(question, key),
    )
