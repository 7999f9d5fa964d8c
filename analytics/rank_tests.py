"""Rank tests of two samples and of paired differences, and the shifts of Hodges and Lehmann."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from analytics import exact, pairs
from analytics.distributions import chi2_above, normal_below, normal_quantile
from analytics.samples import (
    CONFIDENCE,
    CONSTANT,
    SCALE,
    Comparison,
    Ints,
    Sample,
    Sentence,
    _,
    say,
    too_few,
)

MANN_WHITNEY = ("mannwhitney_asymptotic", "mannwhitney_cc", "mannwhitney_exact")
SIGNED_RANK = ("signedrank_asymptotic", "signedrank_cc", "signedrank_exact")
HODGES_LEHMANN = "hodges_lehmann"

NO_EXACT = _("exact not computed: n > {most}")
ZEROS_LEFT_OUT = _("{zeros} zero differences left out")
ALL_ZERO = Sentence(_("every difference is zero"))
NO_INTERVAL = _("no interval: n = {n}")


def doubled_ranks(ordered: Ints) -> tuple[Ints, int]:
    """Rank ascending integers.

    Parameters
    ----------
    ordered
        Values in ascending order.

    Returns
    -------
    tuple
        Twice the midranks, which makes them integers, and the sum of t^3 - t over
        the groups of t equal values.
    """
    n = ordered.size
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    if starts.size == n:
        return np.arange(2, 2 * n + 1, 2, dtype=np.int64), 0
    ends = np.append(starts[1:], n)
    sizes = ends - starts
    ties = sum(t * t * t - t for t in sizes[sizes > 1].tolist())
    return np.repeat(starts + ends + 1, sizes), ties


# --- two samples ----------------------------------------------------------------------------


def mann_whitney(a: Sample, b: Sample) -> tuple[Comparison, Comparison, Comparison]:
    """Compare two samples by Mann and Whitney's U, in three ways.

    Parameters
    ----------
    a, b
        Groups 1 and 2.

    Returns
    -------
    tuple of Comparison
        ``mannwhitney_asymptotic``: z without continuity correction, as SPSS prints it.
        ``mannwhitney_cc``: with it, as R does by default. ``mannwhitney_exact``: all
        arrangements of the observed ranks, ties included, up to 100 values. The
        statistic is U of group 1: pairs in which its value is larger, ties as a half.

    Notes
    -----
    The variance of U is m n / 12 (N + 1 - sum(t^3 - t) / (N (N - 1))). The exact test
    adds the probability of every U at least as far from m n / 2 as the observed one.

    References
    ----------
    M. Hollander, D. A. Wolfe, Nonparametric Statistical Methods, chapter 4.
    """
    m, n = len(a), len(b)
    why = too_few(a, b)
    x, y = a.ordered, b.ordered
    if why is None and a.constant and b.constant and x[0] == y[0]:
        why = CONSTANT
    if why is not None:
        first, second, third = (Comparison.not_done(method, why, m, n) for method in MANN_WHITNEY)
        return first, second, third
    ranks2, ties = doubled_ranks(np.sort(np.concatenate([x, y])))
    u2 = int(y.searchsorted(x, "left").sum()) + int(y.searchsorted(x, "right").sum())
    total = m + n
    sigma = math.sqrt(m * n / 12 * (total + 1 - ties / (total * (total - 1))))
    plain, corrected = _normal_tails(u2 / 2 - m * n / 2, sigma)
    return (
        Comparison(MANN_WHITNEY[0], m, n, statistic=u2 / 2, p_value=plain),
        Comparison(MANN_WHITNEY[1], m, n, statistic=u2 / 2, p_value=corrected),
        _exact_mann_whitney(ranks2, u2, m, n),
    )


def _normal_tails(distance: float, sigma: float) -> tuple[float, float]:
    """Return two-sided p without and with the continuity correction of one half."""
    z = abs(distance) / sigma
    corrected = max(0.0, abs(distance) - 0.5) / sigma
    return 2 * normal_below(-z), 2 * normal_below(-corrected)


def _exact_mann_whitney(ranks2: Ints, u2: int, m: int, n: int) -> Comparison:
    method = MANN_WHITNEY[2]
    if m + n > exact.MOST_EXACT:
        return Comparison.not_done(method, say(NO_EXACT, most=exact.MOST_EXACT), m, n)
    sum2 = u2 + m * (m + 1)
    if m > n:  # the smaller group has fewer subsets to keep apart
        p = exact.rank_sum_p(ranks2, n, int(ranks2.sum()) - sum2)
    else:
        p = exact.rank_sum_p(ranks2, m, sum2)
    return Comparison(method, m, n, statistic=u2 / 2, p_value=p)


def mannwhitney_asymptotic(a: Sample, b: Sample) -> Comparison:
    """Return U with its normal p-value, corrected for ties but not for continuity."""
    return mann_whitney(a, b)[0]


def mannwhitney_cc(a: Sample, b: Sample) -> Comparison:
    """Return U with its normal p-value, corrected for ties and for continuity."""
    return mann_whitney(a, b)[1]


def mannwhitney_exact(a: Sample, b: Sample) -> Comparison:
    """Return U with its exact p-value, given the ties that were observed."""
    return mann_whitney(a, b)[2]


def hodges_lehmann(a: Sample, b: Sample) -> Comparison:
    """Estimate the shift between two samples: the median of all differences x - y.

    Parameters
    ----------
    a, b
        Groups 1 and 2.

    Returns
    -------
    Comparison
        Estimate and 95 % interval in the unit of the values; no p-value.

    Notes
    -----
    The interval is Moses': the c-th smallest and the c-th largest difference, with
    c = m n / 2 - 1.96 sqrt(m n (m + n + 1) / 12), rounded to the nearest integer.
    Both are order statistics of exact integers. R's ``wilcox.test`` searches a root
    numerically instead and differs by its tolerance or by one order statistic.
    """
    m, n = len(a), len(b)
    why = too_few(a, b)
    if why is not None:
        return Comparison.not_done(HODGES_LEHMANN, why, m, n)
    count = m * n
    c = round(count / 2 - _reach(count * (m + n + 1) / 12))
    return _shift(pairs.differences(a.ordered, b.ordered), count, c, SCALE, m, n)


def _reach(variance: float) -> float:
    """Return how far from the middle the normal distribution lays the end of a 95 % interval."""
    return normal_quantile((1 + CONFIDENCE) / 2) * math.sqrt(variance)


def _shift(
    order: pairs.OrderStatistics,
    count: int,
    c: int,
    scale: int,
    n1: int,
    n2: int | None,
    note: Sentence | None = None,
) -> Comparison:
    middle = [(count + 1) // 2, count // 2 + 1]
    if c < 1:
        low, high = order(middle)
        short = say(NO_INTERVAL, n=min(n1, n2) if n2 else n1)
        return Comparison(
            HODGES_LEHMANN,
            n1,
            n2,
            estimate=(low + high) / (2 * scale),
            note=note or short,
        )
    first, low, high, last = order([c, *middle, count + 1 - c])
    return Comparison(
        HODGES_LEHMANN,
        n1,
        n2,
        estimate=(low + high) / (2 * scale),
        ci_low=first / scale,
        ci_high=last / scale,
        note=note,
    )


# --- paired differences ---------------------------------------------------------------------


def signed_rank(differences: Sample) -> tuple[Comparison, Comparison, Comparison]:
    """Test whether paired differences lie around zero, by Wilcoxon's signed ranks, in three ways.

    Parameters
    ----------
    differences
        One difference per subject, earlier - later.

    Returns
    -------
    tuple of Comparison
        ``signedrank_asymptotic`` as SPSS, ``signedrank_cc`` with continuity correction
        as R, ``signedrank_exact`` over all signs of the observed ranks, up to 100
        differences. The statistic is V, the sum of the ranks of positive differences.

    Notes
    -----
    Differences of zero are left out, equal ones share their mean rank. The variance
    of V is n (n + 1) (2 n + 1) / 24 - sum(t^3 - t) / 48.

    References
    ----------
    F. Wilcoxon, Biometrics Bulletin 1 (1945) 80-83.
    """
    n = len(differences)
    why = too_few(differences)
    kept = differences.given[differences.given != 0]
    if why is None and not kept.size:
        why = ALL_ZERO
    if why is not None:
        first, second, third = (Comparison.not_done(method, why, n) for method in SIGNED_RANK)
        return first, second, third
    used = kept.size
    note = _zeros(n - used)
    sizes = np.abs(kept)
    order = np.argsort(sizes)
    ranks2, ties = doubled_ranks(sizes[order])
    v2 = int(ranks2[kept[order] > 0].sum())
    sigma = math.sqrt(used * (used + 1) * (2 * used + 1) / 24 - ties / 48)
    plain, corrected = _normal_tails(v2 / 2 - used * (used + 1) / 4, sigma)
    if used > exact.MOST_EXACT:
        last = Comparison.not_done(SIGNED_RANK[2], say(NO_EXACT, most=exact.MOST_EXACT), n)
    else:
        p = exact.signed_rank_p(ranks2, v2)
        last = Comparison(SIGNED_RANK[2], n, statistic=v2 / 2, p_value=p, note=note)
    return (
        Comparison(SIGNED_RANK[0], n, statistic=v2 / 2, p_value=plain, note=note),
        Comparison(SIGNED_RANK[1], n, statistic=v2 / 2, p_value=corrected, note=note),
        last,
    )


def _zeros(count: int) -> Sentence | None:
    return say(ZEROS_LEFT_OUT, zeros=count) if count else None


def signedrank_asymptotic(differences: Sample) -> Comparison:
    """Return V with its normal p-value, corrected for ties but not for continuity."""
    return signed_rank(differences)[0]


def signedrank_cc(differences: Sample) -> Comparison:
    """Return V with its normal p-value, corrected for ties and for continuity."""
    return signed_rank(differences)[1]


def signedrank_exact(differences: Sample) -> Comparison:
    """Return V with its exact p-value, given the ties that were observed."""
    return signed_rank(differences)[2]


def hodges_lehmann_paired(differences: Sample, *, keep_zeros: bool = False) -> Comparison:
    """Estimate the centre of paired differences: the median of all Walsh averages.

    Parameters
    ----------
    differences
        One difference per subject, earlier - later.
    keep_zeros
        Whether differences of zero count. The study leaves them out, so that
        estimate, interval and signed-rank test speak of the same differences; R does so too.

    Returns
    -------
    Comparison
        Estimate and 95 % interval in the unit of the values; no p-value.

    Notes
    -----
    The Walsh averages are (d_i + d_j) / 2 with i <= j. The interval goes from the c-th
    smallest to the c-th largest. Up to 100 differences c is the largest that covers 95 %
    of the distribution without ties, as in R's exact ``wilcox.test``; five differences
    have no interval, for their widest covers 93.75 %. Beyond, it inverts the normal test:
    c = n (n + 1) / 4 - 1.96 sqrt(n (n + 1) (2 n + 1) / 24) rounded up.
    """
    n = len(differences)
    why = too_few(differences)
    d = differences.ordered
    kept = d if keep_zeros else d[d != 0]
    if why is None and not kept.size:
        why = ALL_ZERO
    if why is not None:
        return Comparison.not_done(HODGES_LEHMANN, why, n)
    used = kept.size
    count = used * (used + 1) // 2
    return _shift(pairs.walsh_sums(kept), count, _walsh_place(used), 2 * SCALE, n, None, _zeros(n - used))


@lru_cache(maxsize=8192)
def _walsh_place(n: int) -> int:
    """Return which of the ordered Walsh averages, counted from either end, ends the 95 % interval."""
    place = math.ceil(n * (n + 1) / 4 - _reach(n * (n + 1) * (2 * n + 1) / 24))
    if n <= exact.MOST_EXACT:
        ranks2 = np.arange(2, 2 * n + 1, 2)
        place = max(0, place - 2)
        while exact.signed_rank_p(ranks2, 2 * place) <= 1 - CONFIDENCE:
            place += 1
    return place


# --- more than two groups -------------------------------------------------------------------


def kruskal(groups: list[Sample]) -> Comparison:
    """Compare several groups by Kruskal and Wallis' H, corrected for ties.

    Notes
    -----
    H = 12 / (N (N + 1)) sum n_i (mean rank_i - (N + 1) / 2)^2, divided by
    1 - sum(t^3 - t) / (N^3 - N); chi-squared with one degree of freedom less than groups.
    """
    n = sum(len(group) for group in groups)
    why = too_few(*groups)
    if why is not None:
        return Comparison.not_done("kruskal", why, n)
    pooled = np.sort(np.concatenate([group.ordered for group in groups]))
    if pooled[0] == pooled[-1]:
        return Comparison.not_done("kruskal", CONSTANT, n)
    _ranks, ties = doubled_ranks(pooled)
    spread = 0.0
    for group in groups:
        x = group.ordered
        sum2 = int(pooled.searchsorted(x, "left").sum()) + int(pooled.searchsorted(x, "right").sum()) + x.size
        spread += (sum2 - x.size * (n + 1)) ** 2 / (4 * x.size)
    h = 12 * spread / (n * (n + 1)) / (1 - ties / (n**3 - n))
    return Comparison(
        "kruskal",
        n,
        statistic=h,
        df=len(groups) - 1,
        p_value=chi2_above(h, len(groups) - 1),
    )


def friedman(blocks: Ints) -> Comparison:
    """Compare several times within subjects by Friedman's test, corrected for ties.

    Parameters
    ----------
    blocks
        Integers of shape (subjects, times), every subject complete.

    Notes
    -----
    Q = 12 n / (k (k + 1)) sum (mean rank_j - (k + 1) / 2)^2, divided by
    1 - sum(t^3 - t) / (n k (k^2 - 1)); chi-squared with k - 1 degrees of freedom.
    """
    n, k = blocks.shape
    why = too_few(Sample(blocks[:, 0]))
    if why is not None:
        return Comparison.not_done("friedman", why, n)
    ranks2 = np.ones(blocks.shape, np.int64)
    equal = np.zeros(blocks.shape, np.int64)
    for j in range(k):
        other = blocks[:, j : j + 1]
        same = other == blocks
        ranks2 += 2 * (other < blocks) + same
        equal += same
    ties = int((equal * equal).sum()) - n * k
    if ties == n * k * (k * k - 1):
        return Comparison.not_done("friedman", CONSTANT, n)
    spread = sum((s - n * (k + 1)) ** 2 for s in ranks2.sum(axis=0).tolist()) / 4
    q = 12 * spread / (n * k * (k + 1)) / (1 - ties / (n * k * (k * k - 1)))
    return Comparison("friedman", n, statistic=q, df=k - 1, p_value=chi2_above(q, k - 1))
