"""The analysis as it is usually written: floats, one scipy call per test, nothing shared.

Only the methods that scipy has are here. It has no exact Mann-Whitney or signed-rank
test for ties and no interval of Hodges and Lehmann, so this rival does less than the
software it is measured against.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
from scipy import stats

from analytics.cells import AGE, SEX, SUBJECTS, CellKey
from analytics.samples import MISSING
from analytics.study_arrays import StudyArrays, places_of
from trial import protocol

Found = dict[CellKey, list[Any]]


def compute(study: StudyArrays, keys: Iterable[CellKey]) -> Found:
    """Return the numbers of every cell."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {key: _cell(study, key) for key in keys}


def _cell(study: StudyArrays, key: CellKey) -> list[Any]:
    strata = [key.group1, *([key.group2] if key.group2 else [])]
    if key.analyte == SUBJECTS:
        return [study.members(key.population, key.group1).size]
    if key.analyte == SEX:
        return _shares(study, key, strata)
    if key.over_all_weeks:
        return _weeks(study, key)
    columns = [_column(study, key, stratum) for stratum in strata]
    found = [_described(column) for column in columns]
    if any(column.size < 3 for column in columns):
        return found
    found += [stats.shapiro(column) for column in columns]
    if len(columns) == 2:
        found += _between(*columns)
    elif key.week_from != key.week_to:
        found += _within(columns[0])
    elif key.omnibus:
        parts = [_column(study, key, code) for code in protocol.GROUP_CODES]
        if min(part.size for part in parts) >= 3:
            found += [*(stats.shapiro(part) for part in parts), stats.kruskal(*parts), stats.f_oneway(*parts)]
    return found


def _column(study: StudyArrays, key: CellKey, stratum: str) -> Any:
    rows = study.members(key.population, stratum)
    if key.analyte == AGE:
        return study.age[rows] / 1e6
    if key.analyte not in study.values:
        return np.zeros(0)
    both = study.values[key.analyte][rows][:, [protocol.WEEKS.index(w) for w in (key.week_from, key.week_to)]]
    both = both[(both != MISSING).all(axis=1)] / 10.0 ** places_of(key.analyte)
    return both[:, 0] if key.week_from == key.week_to else np.round(both[:, 0] - both[:, 1], 6)


def _described(x: Any) -> Any:
    if not x.size:
        return None
    return (
        x.size, x.mean(), x.std(ddof=1) if x.size > 1 else None, np.median(x),
        np.quantile(x, [0.25, 0.75], method="weibull"), x.min(), x.max(),
    )  # fmt: skip


def _between(a: Any, b: Any) -> list[Any]:
    pooled, welch = stats.ttest_ind(a, b), stats.ttest_ind(a, b, equal_var=False)
    return [
        pooled, pooled.confidence_interval(), welch, welch.confidence_interval(), stats.levene(a, b, center="mean"),
        stats.mannwhitneyu(a, b, use_continuity=False, method="asymptotic"),
        stats.mannwhitneyu(a, b, use_continuity=True, method="asymptotic"),
    ]  # fmt: skip


def _within(d: Any) -> list[Any]:
    if not d.any():
        return []
    t = stats.ttest_1samp(d, 0)
    return [
        t, t.confidence_interval(), stats.wilcoxon(d, correction=False, method="asymptotic"),
        stats.wilcoxon(d, correction=True, method="asymptotic"),
    ]  # fmt: skip


def _weeks(study: StudyArrays, key: CellKey) -> list[Any]:
    if key.analyte not in study.values:
        return []
    blocks = study.values[key.analyte][study.members(key.population, key.group1)]
    blocks = blocks[(blocks != MISSING).all(axis=1)]
    return [stats.friedmanchisquare(*blocks.T)] if len(blocks) >= 3 else []


def _shares(study: StudyArrays, key: CellKey, strata: list[str]) -> list[Any]:
    if key.omnibus:
        strata = list(protocol.GROUP_CODES)
    table = []
    for stratum in strata:
        sex = study.sex[study.members(key.population, stratum)]
        table.append([int((sex == "M").sum()), int((sex == "F").sum())])
    if len(table) < 2 or 0 in np.sum(table, axis=0) or 0 in np.sum(table, axis=1):
        return [table]
    found: list[Any] = [stats.chi2_contingency(table, correction=False)]
    if len(table) == 2:
        found += [stats.chi2_contingency(table, correction=True), stats.fisher_exact(table)]
    return found
