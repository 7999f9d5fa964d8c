"""The sensitivity of one contrast as a report: every interval asked again in every way."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from analytics import contrast_source, followed, frames, reports, sensitivity
from analytics.contrast_page import is_primary
from analytics.contrast_source import Question
from analytics.contrast_words import method_words, span_label
from analytics.samples import Sentence
from analytics.words import said
from trial import protocol
from trial.protocol import Population
from trial.unit_words import unit_said


@dataclass(frozen=True, slots=True)
class ShownRow:
    """One way of asking again, in words; an open end of the interval is empty."""

    code: str
    label: str
    method: str
    n1: int
    n2: int
    estimate: float | None
    ci_low: float | None
    ci_high: float | None
    p_value: float | None
    note: str
    differs: bool


@dataclass(frozen=True, slots=True)
class ShownInterval:
    """The rows of one interval."""

    label: str
    primary: bool
    before_courses_differ: bool
    rows: tuple[ShownRow, ...]
    ways: int
    agree: int


@dataclass(frozen=True, slots=True)
class SensitivityPage:
    """Everything the part shows, and the revision it belongs to."""

    intervals: tuple[ShownInterval, ...]
    group1: str
    group2: str
    unit: str
    revision: int
    made_at: datetime
    excluded: int


def read(question: Question) -> SensitivityPage:
    """Return the sensitivity of a contrast, worked out at most once per revision.

    The plasma switch changes nothing here: leaving those draws out is one of the rows.
    """
    key = "-".join((*question.pair, question.analyte, question.measure.value, question.grouping.value))
    if question.at_landmark:
        key += "-" + question.population.value
    made = reports.report("sensitivity", key, lambda: _work(question))
    return SensitivityPage(
        tuple(_interval(question, item) for item in made.body["intervals"]),
        *question.pair,
        unit_said(protocol.unit_of(question.analyte)),
        made.revision,
        made.made_at,
        made.body["after_plasma"],
    )


def _work(question: Question) -> dict[str, Any]:
    study = frames.study(codes=[question.analyte])
    mask = followed.after_plasma_mask(study)
    if question.at_landmark and question.population is Population.ELIGIBLE:
        study = contrast_source.study_of(replace(question, without_plasma=False))
    return {
        "after_plasma": int(mask.sum()),
        "intervals": [
            {
                "span": list(span),
                "rows": [
                    _stored(row)
                    for row in sensitivity.rows(
                        study,
                        question.grouping,
                        question.pair,
                        question.analyte,
                        question.measure,
                        span,
                        after_plasma=mask,
                    )
                ],
            }
            for span in protocol.cells_of(question.measure)
        ],
    }


def _stored(row: sensitivity.SensitivityRow) -> dict[str, Any]:
    note = None if row.note is None else [row.note.text, dict(row.note.values)]
    return {
        "code": row.code,
        "label": row.label,
        "method": row.method,
        "n": [row.n1, row.n2],
        "numbers": [row.estimate, row.ci_low, row.ci_high, row.p_value],
        "note": note,
    }


def _interval(question: Question, item: dict[str, Any]) -> ShownInterval:
    start, end = item["span"]
    span = (int(start), int(end))
    first = item["rows"][0]["numbers"][3]
    rows = tuple(_row(row, first) for row in item["rows"])
    tested = [row for row in rows[1:] if row.p_value is not None]
    return ShownInterval(
        span_label(span),
        is_primary(question.key(*question.pair, span)),
        contrast_source.before_courses_differ(span),
        rows,
        len(tested),
        sum(not row.differs for row in tested),
    )


def _row(row: dict[str, Any], first: float | None) -> ShownRow:
    estimate, low, high, p = (None if x is None else float(x) for x in row["numbers"])
    note = ""
    if row["note"] is not None:
        text, values = row["note"]
        note = said(Sentence(text, tuple(values.items())))
    differs = first is not None and p is not None and (first < sensitivity.ALPHA) != (p < sensitivity.ALPHA)
    return ShownRow(
        row["code"],
        _(row["label"]),
        method_words(row["method"]),
        int(row["n"][0]),
        int(row["n"][1]),
        estimate,
        low,
        high,
        p,
        note,
        differs,
    )
