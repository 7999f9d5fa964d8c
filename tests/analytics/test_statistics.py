"""Each method against published examples, scipy, brute force, and the samples nobody should test."""

from __future__ import annotations

import itertools
import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from analytics import pairs, statistics
from analytics.fourfold import SEARCH_TOLERANCE
from analytics.samples import (
    MISSING,
    SCALE,
    Comparison,
    Ints,
    Sample,
    exact_sum,
    rounded_to_scale,
    say,
    scaled,
    shapiro,
    summarise,
)


def sample(*values: float | str) -> Sample:
    return Sample.of(Decimal(str(value)) for value in values)


def numbers(text: str) -> Sample:
    return sample(*text.split())


SLEEP_1 = numbers("0.7 -1.6 -0.2 -1.2 -0.1 3.4 3.7 0.8 0.0 2.0")
SLEEP_2 = numbers("1.9 0.8 1.1 0.1 -0.1 4.4 5.5 1.6 4.6 3.4")
PRESSURE_TREATED = sample(94, 108, 110, 90)
PRESSURE_CONTROL = sample(80, 94, 85, 90, 90, 90, 108, 94, 78, 105, 88)


# --- published examples ---------------------------------------------------------------------


def test_sleep_as_r_prints_it() -> None:
    welch = statistics.t_welch(SLEEP_1, SLEEP_2)
    assert welch.statistic == pytest.approx(-1.8608, abs=5e-5)
    assert welch.df == pytest.approx(17.776, abs=5e-4)
    assert welch.p_value == pytest.approx(0.07939, abs=5e-6)
    differences = Sample(SLEEP_1.given - SLEEP_2.given)
    paired = statistics.t_paired(differences)
    assert paired.statistic == pytest.approx(-4.0621, abs=5e-5)
    assert paired.p_value == pytest.approx(0.002833, abs=5e-7)
    plain, corrected, _exact = statistics.signed_rank(differences)
    assert corrected.p_value == pytest.approx(0.009091, abs=5e-7)
    assert plain.p_value == pytest.approx(0.007632, abs=5e-7)
    assert str(plain.note) == "1 zero differences left out"


def test_blood_pressure_with_ties_as_statxact() -> None:
    asymptotic, _corrected, exact = statistics.mann_whitney(PRESSURE_TREATED, PRESSURE_CONTROL)
    assert exact.p_value == pytest.approx(0.0989, abs=5e-5)
    assert asymptotic.p_value == pytest.approx(0.0853, abs=5e-5)
    assert statistics.hodges_lehmann(PRESSURE_TREATED, PRESSURE_CONTROL).estimate == 9.5


def test_hollander_and_wolfe_depression_pairs() -> None:
    before = numbers("1.83 0.50 1.62 2.48 1.68 1.88 1.55 3.06 1.30")
    after = numbers("0.878 0.647 0.598 2.05 1.06 1.29 1.06 3.14 1.29")
    differences = Sample(after.given - before.given)
    assert statistics.signedrank_exact(differences).p_value == pytest.approx(0.0391, abs=5e-5)
    shift = statistics.hodges_lehmann_paired(differences)
    assert shift.estimate == pytest.approx(-0.46, abs=1e-9)
    assert (shift.ci_low, shift.ci_high) == (-0.786, -0.01)


def test_hollander_and_wolfe_permeability() -> None:
    term = numbers("0.80 0.83 1.89 1.04 1.45 1.38 1.91 1.64 0.73 1.46")
    early = numbers("1.15 0.88 0.90 0.74 1.21")
    assert statistics.mannwhitney_exact(early, term).p_value == pytest.approx(0.2544, abs=5e-5)
    assert statistics.hodges_lehmann(early, term).estimate == pytest.approx(-0.305, abs=1e-12)


def test_zeros_are_dropped() -> None:
    before, after = sample(12, 9, 15, 11, 8, 14, 10, 13), sample(9, 6, 16, 11, 4, 15, 10, 17)
    v = statistics.signedrank_asymptotic(Sample(before.given - after.given))
    w = stats.wilcoxon(before.given - after.given, method="asymptotic", correction=False)
    assert v.statistic is not None and min(v.statistic, 21 - v.statistic) == w.statistic == 8.5
    assert v.p_value == pytest.approx(w.pvalue, rel=1e-12)


def test_a_fourfold_table_that_three_tests_judge_differently() -> None:
    table = [[2, 10], [14, 14]]
    assert statistics.smallest_expected(table) == 4.8
    assert statistics.chi2(table).p_value == pytest.approx(0.0486, abs=5e-5)
    assert statistics.chi2_yates(table).p_value == pytest.approx(0.105, abs=5e-4)
    assert statistics.fisher(table).p_value == pytest.approx(0.0788, abs=5e-5)


def test_fisher_as_r_prints_the_tea_tasting() -> None:
    tea = statistics.fisher([[3, 1], [1, 3]])
    assert tea.p_value == pytest.approx(0.4857, abs=5e-5)
    assert tea.estimate == pytest.approx(6.408309, rel=1e-4)
    assert tea.ci_low == pytest.approx(0.2117329, rel=1e-4)
    # R finds the upper limit as the inverse of a root near 0.0016, to a tolerance of 1.2e-4
    assert tea.ci_high == pytest.approx(621.9337505, rel=1e-2)


def test_quartiles_are_those_of_spss() -> None:
    summary = summarise([Decimal(n) for n in range(1, 11)])
    assert (summary.q1, summary.median, summary.q3) == (2.75, 5.5, 8.25)
    assert (summary.n, summary.mean, summary.minimum, summary.maximum) == (10, 5.5, 1.0, 10.0)
    assert summary.sd == pytest.approx(3.0276503540974917, rel=1e-15)


# --- integers, so that ties are ties --------------------------------------------------------


def test_floats_split_ties_that_decimals_keep() -> None:
    assert 8.4 - 8.1 != 7.3 - 7.0
    first = scaled(["8.4", "7.3"]) - scaled(["8.1", "7.0"])
    assert first[0] == first[1]


def test_scaling() -> None:
    assert scaled([Decimal("1.5"), "0.0000005", "0.0000015", 3, None]).tolist() == [
        1500000,
        0,
        2,
        3000000,
        MISSING,
    ]
    ten_places = np.array([10_000_5000, 10_001_5000, 10_001_4999, -10_000_5000, -10_001_5000])
    assert rounded_to_scale(ten_places, 10).tolist() == [10000, 10002, 10001, -10000, -10002]
    assert rounded_to_scale(ten_places, 6) is ten_places


def test_sums_and_spreads_do_not_overflow() -> None:
    huge = np.full(100, 10**18, dtype=np.int64)
    assert exact_sum(huge) == 10**20
    assert exact_sum(-huge) == -(10**20)
    dna = Sample(np.array([0, 10**18, 10**18 - 1, 5 * 10**17]))
    assert dna.summary.sd == pytest.approx(np.std(dna.given / SCALE, ddof=1), rel=1e-12)


def test_spread_around_a_large_mean_keeps_its_digits() -> None:
    near = Sample(np.array([10**15 + 1, 10**15 + 2, 10**15 + 4]))
    assert near.summary.sd == pytest.approx(np.std([1.0, 2.0, 4.0], ddof=1) / SCALE, rel=1e-12)


# --- against scipy and brute force ----------------------------------------------------------

tied = st.lists(st.integers(0, 6), min_size=3, max_size=9).map(lambda xs: Sample(np.array(xs) * SCALE))


def raw(x: Sample) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return x.given / SCALE


@settings(max_examples=60, deadline=None)
@given(a=tied, b=tied)
@pytest.mark.filterwarnings("ignore:Precision loss:RuntimeWarning")
def test_two_samples_with_ties(a: Sample, b: Sample) -> None:
    assume(not (a.constant and b.constant))
    x, y = raw(a), raw(b)
    plain, corrected, exact = statistics.mann_whitney(a, b)
    expected = stats.mannwhitneyu(x, y, use_continuity=False, method="asymptotic")
    assert plain.statistic == expected.statistic
    assert plain.p_value == pytest.approx(expected.pvalue, rel=1e-9)
    expected = stats.mannwhitneyu(x, y, use_continuity=True, method="asymptotic")
    assert corrected.p_value == pytest.approx(expected.pvalue, rel=1e-9)
    assert exact.p_value == pytest.approx(_permuted(x, y), rel=1e-9)
    assert statistics.t_pooled(a, b).p_value == pytest.approx(stats.ttest_ind(x, y).pvalue, rel=1e-9)
    welch = statistics.t_welch(a, b)
    expected = stats.ttest_ind(x, y, equal_var=False)
    interval = expected.confidence_interval()
    assert welch.p_value == pytest.approx(expected.pvalue, rel=1e-9)
    assert (welch.ci_low, welch.ci_high) == pytest.approx((interval.low, interval.high), rel=1e-9, abs=1e-12)
    levene = statistics.levene_mean(a, b)
    if levene.done:
        assert levene.p_value == pytest.approx(stats.levene(x, y, center="mean").pvalue, rel=1e-7, abs=1e-12)
    shift = statistics.hodges_lehmann(a, b)
    assert shift.estimate == pytest.approx(np.median(np.subtract.outer(x, y)), abs=1e-12)
    assert statistics.hodges_lehmann(b, a).estimate == -(shift.estimate or 0.0)
    assert statistics.kruskal([a, b]).p_value == pytest.approx(stats.kruskal(x, y).pvalue, rel=1e-9)
    means = stats.f_oneway(x, y).pvalue
    equal = a.total * len(b) == b.total * len(a)  # scipy then divides 0 by 0
    assert statistics.anova([a, b]).p_value == pytest.approx(1.0 if equal else means, rel=1e-7)


def _permuted(
    x: np.ndarray[tuple[int, ...], np.dtype[np.float64]], y: np.ndarray[tuple[int, ...], np.dtype[np.float64]]
) -> float:
    ranks = stats.rankdata(np.concatenate([x, y]))
    expected = len(x) * (len(ranks) + 1) / 2
    observed = abs(ranks[: len(x)].sum() - expected)
    few = ranks[: len(x)] if len(x) <= len(y) else ranks[len(x) :]
    centre = len(few) * (len(ranks) + 1) / 2
    far = [abs(sum(chosen) - centre) >= observed - 1e-9 for chosen in itertools.combinations(ranks, len(few))]
    return float(np.mean(far))


@settings(max_examples=60, deadline=None)
@given(xs=st.lists(st.integers(-4, 5), min_size=3, max_size=11))
def test_differences_with_ties_and_zeros(xs: list[int]) -> None:
    d = Sample(np.array(xs) * SCALE)
    kept = np.array([x for x in xs if x])
    assume(kept.size)
    plain, corrected, exact = statistics.signed_rank(d)
    assert plain.p_value == pytest.approx(
        stats.wilcoxon(kept, method="asymptotic", correction=False).pvalue, rel=1e-9
    )
    assert corrected.p_value == pytest.approx(
        stats.wilcoxon(kept, method="asymptotic", correction=True).pvalue, rel=1e-9
    )
    ranks = stats.rankdata(np.abs(kept))
    centre = ranks.sum() / 2
    observed = abs(ranks[kept > 0].sum() - centre)
    signs = itertools.product([0, 1], repeat=kept.size)
    far = [abs(np.dot(sign, ranks) - centre) >= observed - 1e-9 for sign in signs]
    assert exact.p_value == pytest.approx(np.mean(far), rel=1e-9)
    rows, columns = np.triu_indices(kept.size)
    walsh = (kept[rows] + kept[columns]) / 2
    assert statistics.hodges_lehmann_paired(d).estimate == pytest.approx(np.median(walsh), abs=1e-12)


def test_exact_tails_keep_their_digits() -> None:
    """Two groups of fifty that do not overlap: two of C(100, 50) arrangements are as extreme."""
    low, high = Sample(np.arange(50) * SCALE), Sample(np.arange(50, 100) * SCALE)
    assert statistics.mannwhitney_exact(low, high).p_value == pytest.approx(2 / math.comb(100, 50), rel=1e-12)
    up = statistics.signedrank_exact(Sample(np.arange(1, 101) * SCALE))
    assert up.p_value == pytest.approx(2.0**-99, rel=1e-12)


def test_exact_stops_at_a_hundred() -> None:
    many, few = Sample(np.arange(98) * SCALE), sample(1, 2, 3)
    assert str(statistics.mannwhitney_exact(many, few).note) == "exact not computed: n > 100"
    assert str(statistics.signedrank_exact(Sample(np.arange(1, 102))).note) == "exact not computed: n > 100"


@pytest.mark.parametrize("n", [3, 4, 5, 6, 7, 11, 12, 40, 123, 4999])
def test_shapiro_as_scipy(n: int) -> None:
    """scipy's weights rest on a normal quantile of seven digits, ours on one of sixteen."""
    random = np.random.default_rng(n)
    for values in (random.normal(100, 20, n), random.lognormal(3, 1, n)):
        x = Sample(np.rint(values * 10).astype(np.int64) * (SCALE // 10))
        if x.constant:
            continue
        expected = stats.shapiro(raw(x))
        assert x.normality.w == pytest.approx(expected.statistic, rel=1e-8)
        assert x.normality.p_value == pytest.approx(expected.pvalue, rel=1e-5, abs=1e-300)


def test_shapiro_of_three_and_of_extremes() -> None:
    line = shapiro(sample(1, 2, 3))
    assert line.w == pytest.approx(1.0) and line.p_value == pytest.approx(1.0)
    assert shapiro(sample(0, 0, 1)).p_value == pytest.approx(0.0, abs=1e-9)
    assert shapiro(sample(*[0] * 10, 1)).p_value == pytest.approx(
        stats.shapiro([0] * 10 + [1]).pvalue, rel=1e-3
    )


def test_shapiro_of_many_looks_at_the_first_5000() -> None:
    random = np.random.default_rng(3)
    values = np.rint(random.normal(0, 1e8, 6000)).astype(np.int64)
    whole, first = Sample(values).normality, Sample(values[:5000]).normality
    assert (whole.w, whole.p_value) == (first.w, first.p_value)
    assert str(whole.note) == "normality judged on the first 5000 of 6000 values"
    late = np.concatenate([np.zeros(5000, np.int64), [1, 2, 3]])
    assert str(Sample(late).normality.note) == "constant"


@settings(max_examples=40, deadline=None)
@given(
    x=st.lists(st.integers(-30, 30), min_size=2, max_size=60),
    y=st.lists(st.integers(-30, 30), min_size=2, max_size=60),
    spread=st.sampled_from([1, 7, 10**9]),
    data=st.data(),
)
def test_counting_finds_what_sorting_finds(
    x: list[int], y: list[int], spread: int, data: st.DataObject
) -> None:
    a, b = np.sort(np.array(x)) * spread, np.sort(np.array(y))
    every = np.sort(np.subtract.outer(a, b).ravel())
    ranks = sorted(data.draw(st.lists(st.integers(1, every.size), min_size=1, max_size=4)))
    counted = pairs._Sums.of(a, -b[::-1]).order_statistics(ranks)
    assert counted == pairs.differences(a, b)(ranks) == [int(every[k - 1]) for k in ranks]
    rows, columns = np.triu_indices(a.size)
    walsh = np.sort(a[rows] + a[columns])
    ranks = sorted(data.draw(st.lists(st.integers(1, walsh.size), min_size=1, max_size=4)))
    counted = pairs._Sums.of(a, a, halved=True).order_statistics(ranks)
    assert counted == pairs.walsh_sums(a)(ranks) == [int(walsh[k - 1]) for k in ranks]


@pytest.mark.parametrize("places", [1, 10**5])
def test_shifts_of_large_samples_are_exact(places: int) -> None:
    random = np.random.default_rng(5)
    a, b = (np.rint(random.lognormal(4, 1, n) * SCALE / places).astype(np.int64) * places for n in (900, 700))
    shift = statistics.hodges_lehmann(Sample(a), Sample(b))
    assert shift.estimate == np.median(np.subtract.outer(a, b)) / SCALE
    rows, columns = np.triu_indices(a.size)
    centre = statistics.hodges_lehmann_paired(Sample(a - np.int64(10**8)), keep_zeros=True)
    assert centre.estimate == pytest.approx(np.median(a[rows] + a[columns]) / 2 / SCALE - 100, rel=1e-12)


@pytest.mark.parametrize("spread", [1, 4])
def test_friedman_as_scipy(spread: int) -> None:
    random = np.random.default_rng(spread)
    blocks: Ints = random.integers(0, 3 * spread, (30, 5))
    q = statistics.friedman(blocks)
    expected = stats.friedmanchisquare(*blocks.T)
    assert (q.statistic, q.p_value) == pytest.approx((expected.statistic, expected.pvalue), rel=1e-9)


def test_several_groups_as_scipy() -> None:
    random = np.random.default_rng(8)
    groups = [Sample(random.integers(0, 30, n) * SCALE) for n in (20, 31, 8, 15)]
    columns = [raw(group) for group in groups]
    h, f = statistics.kruskal(groups), statistics.anova(groups)
    expected = stats.kruskal(*columns)
    assert (h.statistic, h.p_value) == pytest.approx((expected.statistic, expected.pvalue), rel=1e-9)
    expected = stats.f_oneway(*columns)
    assert (f.statistic, f.p_value) == pytest.approx((expected.statistic, expected.pvalue), rel=1e-9)


@settings(max_examples=50, deadline=None)
@given(cells=st.tuples(*[st.integers(0, 40)] * 4))
def test_fourfold_tables_as_scipy(cells: tuple[int, int, int, int]) -> None:
    a, b, c, d = cells
    table = [[a, b], [c, d]]
    if 0 in (a + b, c + d, a + c, b + d):
        assert not statistics.fisher(table).done
        return
    fisher = statistics.fisher(table)
    assert fisher.p_value == pytest.approx(stats.fisher_exact(table).pvalue, rel=1e-9)
    conditional = stats.contingency.odds_ratio(table)
    interval = conditional.confidence_interval()
    for ours, theirs in (
        (fisher.estimate, conditional.statistic),
        (fisher.ci_low, interval.low),
        (fisher.ci_high, interval.high),
    ):
        if math.isinf(theirs):
            assert ours is None
        else:  # scipy solves to the last digit, R and we to a tolerance below 1
            assert ours is not None
            exact, searched = (theirs, ours) if theirs < 1 else (1 / theirs, 1 / ours)
            assert searched == pytest.approx(exact, abs=SEARCH_TOLERANCE)
    for test, corrected in ((statistics.chi2(table), False), (statistics.chi2_yates(table), True)):
        if (
            not corrected or abs(a * d - b * c) / (a + b + c + d) >= 0.5
        ):  # scipy shrinks a smaller distance to 0
            expected = stats.chi2_contingency(table, correction=corrected)
            assert test.p_value == pytest.approx(expected.pvalue, rel=1e-9)


@settings(max_examples=30, deadline=None)
@given(p=st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_is_the_closed_test_of_bonferroni(p: list[float]) -> None:
    """A hypothesis is rejected when Bonferroni rejects every family it belongs to: the definition, not the steps."""
    families = [f for size in range(1, len(p) + 1) for f in itertools.combinations(range(len(p)), size)]
    closed = [max(min(1.0, len(f) * min(p[j] for j in f)) for f in families if i in f) for i in range(len(p))]
    assert statistics.holm(p) == pytest.approx(closed)


@settings(max_examples=30, deadline=None)
@given(p=st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_the_false_discovery_rate_as_scipy(p: list[float]) -> None:
    assert statistics.benjamini_hochberg(p) == pytest.approx(stats.false_discovery_control(p, method="bh"))


def test_adjusting_nothing() -> None:
    assert statistics.holm([]) == statistics.bh([]) == []


# --- samples nobody should test -------------------------------------------------------------

EMPTY, ONE, TWO, SAME = sample(), sample(5), sample(5, 6), sample(5, 5, 5, 5)
OTHER = sample(1, 2, 4, 8)

TWO_SAMPLE = (
    statistics.t_pooled,
    statistics.t_welch,
    statistics.levene_mean,
    statistics.mannwhitney_asymptotic,
    statistics.mannwhitney_cc,
    statistics.mannwhitney_exact,
)
ONE_SAMPLE = (
    statistics.t_paired,
    statistics.signedrank_asymptotic,
    statistics.signedrank_cc,
    statistics.signedrank_exact,
    statistics.hodges_lehmann_paired,
)


def says_nothing_but(comparison: Comparison, words: str) -> None:
    assert not comparison.done
    assert (comparison.statistic, comparison.estimate, comparison.p_value) == (None, None, None)
    assert str(comparison.note) == words


@pytest.mark.parametrize("method", [*TWO_SAMPLE, statistics.hodges_lehmann])
@pytest.mark.parametrize(("few", "n"), [(EMPTY, 0), (ONE, 1), (TWO, 2)])
def test_too_few_in_one_group(method: object, few: Sample, n: int) -> None:
    assert callable(method)
    says_nothing_but(method(few, OTHER), f"not tested (n = {n})")
    says_nothing_but(method(OTHER, few), f"not tested (n = {n})")


@pytest.mark.parametrize("method", TWO_SAMPLE)
def test_all_values_equal(method: object) -> None:
    assert callable(method)
    says_nothing_but(method(SAME, SAME), "constant")


def test_constant_but_different_groups_can_be_ranked() -> None:
    other = sample(7, 7, 7, 7)
    assert statistics.mannwhitney_exact(SAME, other).p_value == pytest.approx(2 / 70)
    says_nothing_but(statistics.t_welch(SAME, other), "constant")
    assert statistics.hodges_lehmann(SAME, other).estimate == -2.0


def test_levene_of_two_symmetric_pairs_has_no_spread_to_compare() -> None:
    says_nothing_but(statistics.levene_mean(sample(1, 3, 1, 3), sample(2, 6, 2, 6)), "constant")


@pytest.mark.parametrize("method", ONE_SAMPLE)
@pytest.mark.parametrize(("few", "n"), [(EMPTY, 0), (ONE, 1), (TWO, 2)])
def test_too_few_differences(method: object, few: Sample, n: int) -> None:
    assert callable(method)
    says_nothing_but(method(few), f"not tested (n = {n})")


def test_differences_of_zero_only() -> None:
    nothing = sample(0, 0, 0)
    for method in ONE_SAMPLE[1:]:
        says_nothing_but(method(nothing), "every difference is zero")
    says_nothing_but(statistics.t_paired(nothing), "constant")


def test_a_shift_without_an_interval_says_so() -> None:
    shift = statistics.hodges_lehmann(sample(1, 2, 3), sample(2, 3, 5))
    assert shift.estimate is not None and shift.ci_low is None and shift.ci_high is None
    assert str(shift.note) == "no interval: n = 3"
    paired = statistics.hodges_lehmann_paired(sample(1, 2, 4))
    assert (paired.ci_low, str(paired.note)) == (None, "no interval: n = 3")


@pytest.mark.parametrize(("n", "low"), [(5, None), (6, 1.0), (7, 2.0), (8, 2.0), (12, 4.0), (17, 6.0)])
def test_an_interval_of_few_differences_covers_what_it_says(n: int, low: float | None) -> None:
    # as R's wilcox.test(1:n, conf.int = TRUE), but none of five: R's covers 93.75 %
    assert statistics.hodges_lehmann_paired(sample(*range(1, n + 1))).ci_low == low


def test_several_groups_that_cannot_be_compared() -> None:
    says_nothing_but(statistics.kruskal([OTHER, TWO]), "not tested (n = 2)")
    says_nothing_but(statistics.anova([OTHER, EMPTY]), "not tested (n = 0)")
    says_nothing_but(statistics.kruskal([SAME, SAME]), "constant")
    says_nothing_but(statistics.anova([SAME, SAME]), "constant")
    says_nothing_but(statistics.friedman(np.zeros((2, 5), np.int64)), "not tested (n = 2)")
    says_nothing_but(statistics.friedman(np.zeros((4, 5), np.int64)), "constant")


def test_tables_that_cannot_be_tested() -> None:
    for method in (statistics.chi2, statistics.chi2_yates, statistics.fisher):
        says_nothing_but(method([[3, 0], [5, 0]]), "constant: a row or a column of the table is empty")
        says_nothing_but(method([[0, 0], [0, 0]]), "no data")
    for method in (statistics.chi2_yates, statistics.fisher):
        says_nothing_but(method([[3, 1], [2, 2], [1, 1]]), "only for a table of two rows and two columns")
    assert statistics.smallest_expected([[0, 0], [0, 0]]) == 0.0


def test_an_infinite_odds_ratio_is_left_empty() -> None:
    only = statistics.fisher([[4, 0], [1, 3]])
    assert (only.estimate, only.ci_high) == (None, None)
    assert only.ci_low is not None and only.ci_low > 0
    assert str(only.note) == "the odds ratio has no upper limit"
    none = statistics.fisher([[0, 4], [3, 1]])
    assert (none.estimate, none.ci_low) == (0.0, 0.0)


def test_summaries_of_little() -> None:
    empty, one = EMPTY.summary, ONE.summary
    assert (empty.n, empty.mean, empty.median, empty.sd) == (0, None, None, None)
    assert (one.n, one.mean, one.sd, one.q1, one.median, one.q3) == (1, 5.0, None, 5.0, 5.0, 5.0)
    assert (TWO.summary.q1, TWO.summary.q3) == (5.0, 6.0)
    assert str(EMPTY.normality.note) == "no data"
    assert str(TWO.normality.note) == "not tested (n = 2)"


def test_sentences_keep_their_numbers_apart() -> None:
    sentence = say("not tested (n = {n})", n=2)
    assert (sentence.text, dict(sentence.fields), str(sentence)) == (
        "not tested (n = {n})",
        {"n": "2"},
        "not tested (n = 2)",
    )
