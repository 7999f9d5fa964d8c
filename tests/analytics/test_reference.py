"""The whole analysis of a real cohort against R (see :mod:`tests.analytics.reference`)."""

from __future__ import annotations

import csv
from collections import Counter
from decimal import Decimal

import numpy as np
import pytest

from analytics import contrasts
from analytics.contrasts import (
    CELLS_COLUMNS,
    MISSING,
    TESTS_COLUMNS,
    CellKey,
    CellResult,
    StudyArrays,
    adjust,
    cells_row,
    compute,
    scaled,
)
from analytics.samples import Sample
from analytics.statistics import hodges_lehmann_paired, smallest_expected
from tests.analytics import reference
from trial import protocol

MEASURED_THERE = ("ast", "tbil", "pt", "albumin", "platelets")


def rows_of(name: str) -> list[dict[str, str]]:
    with (reference.HERE / name).open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


@pytest.fixture(scope="module")
def study() -> StudyArrays:
    subjects = rows_of("subjects.csv")
    given = Counter(row["subject_id"] for row in rows_of("infusions.csv"))
    place = {row["subject_id"]: i for i, row in enumerate(subjects)}
    values = {code: np.full((len(subjects), len(protocol.WEEKS)), MISSING) for code in MEASURED_THERE}
    for row in rows_of("visits.csv"):
        at = place[row["subject_id"]], protocol.WEEKS.index(int(row["week"]))
        for code in MEASURED_THERE:
            if row[code]:
                values[code][at] = scaled([row[code]])[0]
    return StudyArrays.build(
        subject_ids=[row["subject_id"] for row in subjects],
        diagnosis=[row["diagnosis"] for row in subjects],
        sex=[row["sex"] for row in subjects],
        age=scaled(Decimal(row["age"]) for row in subjects),
        valid_infusions=[given[row["subject_id"]] for row in subjects],
        values=values,
    )


@pytest.fixture(scope="module")
def results(study: StudyArrays) -> dict[CellKey, CellResult]:
    return adjust(compute(study))


def test_every_number_of_r_is_ours(results: dict[CellKey, CellResult]) -> None:
    tests = [
        dict(zip(TESTS_COLUMNS, row, strict=True))
        for k, r in results.items()
        for row in contrasts.tests_rows(k, r)
    ]
    cells = [dict(zip(CELLS_COLUMNS, cells_row(k, r, 1), strict=True)) for k, r in results.items()]
    agreement = reference.compare(tests, cells)
    rows = sum(agreement.compared.values())
    print(f"{rows} of {len(reference.reference())} rows, {agreement.numbers} numbers compared")
    assert agreement.wrong == []
    assert rows > 6000
    assert agreement.numbers > 15000
    assert {method for _analysis, method in agreement.skipped} == set(reference.NO_COUNTERPART)
    assert rows + sum(agreement.skipped.values()) == len(reference.reference())


def _rows(method: str) -> list[dict[str, str]]:
    return [row for row in reference.reference() if row["method"] == method]


def _cell(results: dict[CellKey, CellResult], row: dict[str, str]) -> CellResult:
    return results[CellKey("treated", *reference.key_of(row))]


def test_degrees_of_freedom(results: dict[CellKey, CellResult]) -> None:
    for row in _rows("t_welch_df"):
        test = _cell(results, row).test("t_welch")
        assert test is not None
        assert reference.agrees(test.df, float(row["statistic"]))


def test_smallest_expected_count(study: StudyArrays) -> None:
    for row in _rows("chisq_min_expected"):
        table = []
        for group in row["comparison"].split("_vs_"):
            sex = study.sex[study.members("treated", group)]
            table.append([int((sex == "M").sum()), int((sex == "F").sum())])
        assert reference.agrees(smallest_expected(table), float(row["estimate"]))


def _differences(study: StudyArrays, row: dict[str, str]) -> Sample:
    _measure, group, _nobody, code, start, end = reference.key_of(row)
    both = study.values[code][study.members("treated", group)]
    both = both[:, [protocol.WEEKS.index(start), protocol.WEEKS.index(end)]]
    both = both[(both != MISSING).all(axis=1)]
    return Sample(both[:, 0] - both[:, 1])


def test_zero_differences(study: StudyArrays, results: dict[CellKey, CellResult]) -> None:
    for row in _rows("n_zero_differences"):
        zeros = int(row["statistic"])
        test = _cell(results, row).test("signedrank_asymptotic")
        assert test is not None
        assert (test.note.fields["zeros"] if test.note else "0") == str(zeros)


def test_walsh_average_with_zeros_kept(study: StudyArrays) -> None:
    for row in _rows("hl_walsh_with_zeros"):
        estimate = hodges_lehmann_paired(_differences(study, row), keep_zeros=True).estimate
        assert reference.agrees(estimate, float(row["estimate"]))


def test_intervals_are_close_to_the_roots_of_wilcox_test(results: dict[CellKey, CellResult]) -> None:
    """R searches roots; its limits differ by its tolerance or by one order statistic."""
    close = rows = 0
    for row in _rows("hl_wilcox.test_asym_nocc"):
        shift = _cell(results, row).test("hodges_lehmann")
        assert shift is not None and shift.ci_low is not None and shift.ci_high is not None
        width = shift.ci_high - shift.ci_low
        gaps = abs(shift.ci_low - float(row["ci_low"])), abs(shift.ci_high - float(row["ci_high"]))
        assert max(gaps) < 0.3 * width
        close += max(gaps) < 0.01 * width
        rows += 1
    assert close > 0.9 * rows


def test_naive_floats_would_have_been_wrong(results: dict[CellKey, CellResult]) -> None:
    ours = {"wilcoxon": "mannwhitney_asymptotic", "signedrank": "signedrank_asymptotic"}
    different = 0
    for naive in (*_rows("wilcoxon_asym_nocc_naivefloat"), *_rows("signedrank_asym_nocc_naivefloat")):
        right = next(
            row
            for row in reference.reference()
            if row["method"] == naive["method"].removesuffix("_naivefloat")
            and all(row[c] == naive[c] for c in ("analysis", "comparison", "analyte", "week_or_interval"))
        )
        test = _cell(results, naive).test(ours[naive["method"].split("_")[0]])
        assert test is not None
        assert reference.agrees(test.p_value, float(right["p_value"]))
        if not reference.agrees(float(right["p_value"]), float(naive["p_value"])):
            different += 1
            assert not reference.agrees(test.p_value, float(naive["p_value"]))
    assert different > 20
