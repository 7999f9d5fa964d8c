"""A comparison asked again: small examples worked by hand, and scipy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from analytics import sensitivity
from analytics.samples import MISSING
from analytics.sensitivity import SensitivityRow
from analytics.study_arrays import Ended, StudyArrays
from trial import protocol
from trial.protocol import Measure, Population

M = None
W4_12 = (4, 12)


def a_study(
    one: list[tuple[Any, Any]], two: list[tuple[Any, Any]], dead: tuple[str, ...] = ()
) -> StudyArrays:
    """Return groups C and D with values at weeks 4 and 12; ``dead`` died before week 12."""
    ids = [f"C{n}" for n in range(len(one))] + [f"D{n}" for n in range(len(two))]
    values = np.full((len(ids), len(protocol.WEEKS)), MISSING, np.int64)
    ended = np.zeros(values.shape, np.int8)
    for row, pair in enumerate([*one, *two]):
        for place, value in zip((2, 3), pair, strict=True):
            if value is not M:
                values[row, place] = round(value * 1_000_000)
        if ids[row] in dead:
            ended[row, 3:] = Ended.DEAD
    return StudyArrays.build(
        subject_ids=ids,
        diagnosis=["cirrhosis"] * len(ids),
        sex=["F"] * len(ids),
        age=[40] * len(ids),
        valid_infusions=[8] * len(one) + [4] * len(two),
        values={"tbil": values, "pta": values, "sodium": values},
        ended=ended,
    )


def asked(study: StudyArrays, analyte: str = "tbil", **more: Any) -> dict[str, SensitivityRow]:
    rows = sensitivity.rows(study, Population.TREATED, ("C", "D"), analyte, Measure.INTERVAL, W4_12, **more)
    return {row.code: row for row in rows}


ONE = [(100, 60), (90, 61), (80, 44), (120, 71), (95, 62)]  # falls of 40, 29, 36, 49, 33
TWO = [(100, 80), (90, 75), (80, 70.5), (120, 95), (70, M)]  # falls of 20, 15, 9.5, 25


def test_both_tests_are_those_of_scipy() -> None:
    found = asked(a_study(ONE, TWO))
    a, b = [40, 29, 36, 49, 33], [20, 15, 9.5, 25]
    assert found["pooled"].p_value == pytest.approx(stats.ttest_ind(a, b).pvalue, rel=1e-9)
    welch = stats.ttest_ind(a, b, equal_var=False)
    assert found["welch"].p_value == pytest.approx(welch.pvalue, rel=1e-9)
    interval = welch.confidence_interval(0.95)
    assert (found["welch"].ci_low, found["welch"].ci_high) == pytest.approx(tuple(interval), rel=1e-9)
    ranks = stats.mannwhitneyu(a, b, use_continuity=False, method="asymptotic")
    assert found["ranks"].p_value == pytest.approx(ranks.pvalue, rel=1e-9)
    assert found["exact"].p_value == pytest.approx(stats.mannwhitneyu(a, b, method="exact").pvalue)
    shift = float(np.median([x - y for x in a for y in b]))
    assert found["ranks"].estimate == pytest.approx(shift)
    assert (found["shown"].n1, found["shown"].n2) == (5, 4)


def test_the_dead_take_the_worst_rank() -> None:
    study = a_study(ONE, TWO, dead=("D4",))
    row = asked(study)["worst"]
    a, b = [40, 29, 36, 49, 33], [20, 15, 9.5, 25, -1000]
    ranks = stats.mannwhitneyu(a, b, use_continuity=False, method="asymptotic")
    assert (row.n1, row.n2) == (5, 5)
    assert row.p_value == pytest.approx(ranks.pvalue, rel=1e-9)
    # 25 differences: five reach into the worst rank, all above; the median is the 13th smallest
    assert row.estimate == pytest.approx(sorted(x - y for x in a for y in b)[12])
    assert row.ci_high is None, "the upper end lies among the worst ranks"
    assert row.note is sensitivity.OPEN_ABOVE


def test_for_a_quantity_that_rises_the_worst_rank_is_the_other_end() -> None:
    # falls of PTA are bad: the dead of D rank above every fall, so that C looks the better by less
    row = asked(a_study(ONE, TWO, dead=("D4",)), "pta")["worst"]
    a, b = [40, 29, 36, 49, 33], [20, 15, 9.5, 25, 1000]
    ranks = stats.mannwhitneyu(a, b, use_continuity=False, method="asymptotic")
    assert row.p_value == pytest.approx(ranks.pvalue, rel=1e-9)
    assert asked(a_study(ONE, TWO), "sodium")["worst"].note is sensitivity.NO_DIRECTION


def test_a_shift_between_ranks_only_has_no_size() -> None:
    row = asked(a_study(ONE, [(9, M), (9, M), (9, M), (5, 4)], dead=("D0", "D1", "D2")))["worst"]
    assert row.p_value is not None
    assert row.estimate is None
    assert row.note is sensitivity.UNBOUNDED


def test_the_worst_rank_of_tiny_groups_is_tested_exactly() -> None:
    row = asked(a_study(ONE[:3], [(120, 95), (70, M), (80, M)], dead=("D1", "D2")))["worst"]
    assert (row.method, row.p_value) == ("mannwhitney_exact", 0.1), "the approximation would say 0.0463"


def test_draws_after_plasma_and_incomplete_subjects_leave() -> None:
    study = a_study(ONE, TWO)
    mask = np.zeros((10, 5), np.bool_)
    mask[0, 3] = True  # C0 at week 12
    mask[1, 1] = True  # C1 at week 1, which this interval does not use
    found = asked(study, after_plasma=mask)
    assert (found["plasma"].n1, found["plasma"].n2) == (4, 4)
    assert dict(found["plasma"].note.values) == {"values": "1"} if found["plasma"].note else False
    assert (found["complete"].n1, found["complete"].n2) == (0, 0), "nobody has week 0"
    assert asked(study)["plasma"].note is sensitivity.NO_PLASMA
    left = sensitivity.masked(study, mask).values["tbil"]
    assert np.count_nonzero(left == MISSING) == np.count_nonzero(study.values["tbil"] == MISSING) + 1


@pytest.mark.parametrize(
    ("one", "two", "dead"),
    [
        pytest.param([], [], (), id="nobody"),
        pytest.param([(5, 4)], [(6, 4)], (), id="one_each"),
        pytest.param([(5, 4)] * 5, [(5, 4)] * 5, (), id="all_equal"),
        pytest.param([(M, M)] * 4, [(M, M)] * 4, (), id="all_missing"),
        pytest.param([(M, M)] * 3, [(M, M)] * 3, ("C0", "C1", "C2", "D0", "D1", "D2"), id="all_dead"),
    ],
)
def test_degenerate_studies_give_words(one: list[Any], two: list[Any], dead: tuple[str, ...]) -> None:
    for row in asked(a_study(one, two, dead)).values():
        numbers = (row.estimate, row.ci_low, row.ci_high, row.p_value)
        assert all(x is None or np.isfinite(x) for x in numbers)
        assert row.p_value is not None or row.note is not None, row.code
        assert row.p_value is None or row.p_value > 0.05
