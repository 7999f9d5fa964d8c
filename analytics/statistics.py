"""The methods of the study, each said once: what it computes, on what, and after whom.

Every method takes :class:`~analytics.samples.Sample` objects and returns a
:class:`~analytics.samples.Comparison`, which carries words instead of a number
where a number would mean nothing. Rank tests live in :mod:`analytics.rank_tests`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from analytics.distributions import chi2_above, f_above, t_beyond, t_quantile
from analytics.fourfold import Fourfold
from analytics.rank_tests import (
    friedman,
    hodges_lehmann,
    hodges_lehmann_paired,
    kruskal,
    mann_whitney,
    mannwhitney_asymptotic,
    mannwhitney_cc,
    mannwhitney_exact,
    signed_rank,
    signedrank_asymptotic,
    signedrank_cc,
    signedrank_exact,
)
from analytics.samples import (
    CONFIDENCE,
    CONSTANT,
    MISSING,
    NO_DATA,
    SCALE,
    Comparison,
    Normality,
    Sample,
    Sentence,
    Summary,
    _,
    say,
    scaled,
    shapiro,
    summarise,
    too_few,
)

__all__ = [
    "METHODS", "MISSING", "NO_DATA", "Comparison", "Normality", "Sample", "Sentence", "Summary",
    "anova", "benjamini_hochberg", "bh", "chi2", "chi2_yates", "fisher", "friedman", "hodges_lehmann",
    "hodges_lehmann_paired", "holm", "kruskal", "levene_mean", "mann_whitney", "mannwhitney_asymptotic",
    "mannwhitney_cc", "mannwhitney_exact", "say", "scaled", "shapiro", "signed_rank", "signedrank_asymptotic",
    "signedrank_cc", "signedrank_exact", "smallest_expected", "summarise", "t_paired", "t_pooled", "t_welch",
]  # fmt: skip

METHODS: tuple[str, ...] = (
    "t_pooled", "t_welch", "levene_mean",
    "mannwhitney_asymptotic", "mannwhitney_cc", "mannwhitney_exact", "hodges_lehmann",
    "t_paired", "signedrank_asymptotic", "signedrank_cc", "signedrank_exact",
    "chi2", "chi2_yates", "fisher", "friedman", "kruskal", "anova",
)  # fmt: skip
"""Every method, by the name it has in the ``tests`` export."""

EMPTY_MARGIN = Sentence(_("constant: a row or a column of the table is empty"))
ONLY_FOURFOLD = Sentence(_("only for a table of two rows and two columns"))
NO_UPPER_LIMIT = Sentence(_("the odds ratio has no upper limit"))


# --- means ----------------------------------------------------------------------------------


def t_pooled(a: Sample, b: Sample) -> Comparison:
    """Compare two means by Student's t with one variance for both groups.

    Returns
    -------
    Comparison
        t, degrees of freedom m + n - 2, difference of the means with its 95 %
        interval, two-sided p.
    """
    m, n = len(a), len(b)
    why = too_few(a, b) or (CONSTANT if a.constant and b.constant else None)
    if why is not None:
        return Comparison.not_done("t_pooled", why, m, n)
    df = m + n - 2
    error = math.sqrt((a.squares + b.squares) / df * (1 / m + 1 / n))
    return _t_comparison("t_pooled", _mean_difference(a, b), error, df, m, n)


def t_welch(a: Sample, b: Sample) -> Comparison:
    """Compare two means by Welch's t, each group with its own variance.

    Returns
    -------
    Comparison
        As :func:`t_pooled`, with Satterthwaite's degrees of freedom.
    """
    m, n = len(a), len(b)
    why = too_few(a, b) or (CONSTANT if a.constant and b.constant else None)
    if why is not None:
        return Comparison.not_done("t_welch", why, m, n)
    of_a, of_b = a.variance / m, b.variance / n
    error2 = of_a + of_b
    df = error2**2 / (of_a**2 / (m - 1) + of_b**2 / (n - 1))
    return _t_comparison("t_welch", _mean_difference(a, b), math.sqrt(error2), df, m, n)


def t_paired(differences: Sample) -> Comparison:
    """Test whether the mean of paired differences is zero.

    Returns
    -------
    Comparison
        t with n - 1 degrees of freedom, mean difference with its 95 % interval, two-sided p.
    """
    n = len(differences)
    why = too_few(differences) or (CONSTANT if differences.constant else None)
    if why is not None:
        return Comparison.not_done("t_paired", why, n)
    return _t_comparison(
        "t_paired",
        differences.mean,
        math.sqrt(differences.variance / n),
        n - 1,
        n,
        None,
    )


def _mean_difference(a: Sample, b: Sample) -> float:
    m, n = len(a), len(b)
    return (a.total * n - b.total * m) / (m * n * SCALE)


def _t_comparison(
    method: str, estimate: float, error: float, df: float, n1: int, n2: int | None
) -> Comparison:
    t = estimate / error
    reach = t_quantile((1 + CONFIDENCE) / 2, df) * error
    return Comparison(
        method,
        n1,
        n2,
        statistic=t,
        df=df,
        estimate=estimate,
        ci_low=estimate - reach,
        ci_high=estimate + reach,
        p_value=t_beyond(t, df),
    )


def levene_mean(a: Sample, b: Sample) -> Comparison:
    """Compare two variances by Levene's test around the means, as SPSS does.

    Notes
    -----
    The analysis of variance of ``|x - mean of its group|``; F with 1 and m + n - 2
    degrees of freedom.
    """
    m, n = len(a), len(b)
    why = too_few(a, b) or (CONSTANT if a.constant and b.constant else None)
    if why is not None:
        return Comparison.not_done("levene_mean", why, m, n)
    (mean_a, within_a), (mean_b, within_b) = (
        a.absolute_deviations,
        b.absolute_deviations,
    )
    df, within = m + n - 2, within_a + within_b
    if within == 0:
        return Comparison.not_done("levene_mean", CONSTANT, m, n)
    f = (mean_a - mean_b) ** 2 * m * n / (m + n) * df / within
    return Comparison("levene_mean", m, n, statistic=f, df=df, p_value=f_above(f, 1, df))


def anova(groups: Sequence[Sample]) -> Comparison:
    """Compare several means by the one-way analysis of variance.

    Returns
    -------
    Comparison
        F, its denominator's degrees of freedom, p.
    """
    n = sum(len(group) for group in groups)
    why = too_few(*groups) or (CONSTANT if all(group.constant for group in groups) else None)
    if why is not None:
        return Comparison.not_done("anova", why, n)
    grand = sum(group.total for group in groups)
    # group mean - grand mean as one exact quotient: the two may agree in many digits
    between = sum(
        len(g) * ((g.total * n - grand * len(g)) / (len(g) * n * SCALE)) ** 2 for g in groups
    )  # fmt: skip
    within = sum(group.squares for group in groups)
    df1, df2 = len(groups) - 1, n - len(groups)
    f = between / df1 / (within / df2)
    return Comparison("anova", n, statistic=f, df=df2, p_value=f_above(f, df1, df2))


# --- counts ---------------------------------------------------------------------------------

Table = Sequence[Sequence[int]]


def _margins(table: Table) -> tuple[list[int], list[int], int]:
    rows = [sum(row) for row in table]
    columns = [sum(column) for column in zip(*table, strict=True)]
    return rows, columns, sum(rows)


def _unusable(method: str, table: Table) -> Comparison | None:
    rows, columns, total = _margins(table)
    sizes = (rows[0], rows[1] if len(rows) == 2 else None)
    if not total:
        return Comparison.not_done(method, NO_DATA, *sizes)
    if 0 in rows or 0 in columns:
        return Comparison.not_done(method, EMPTY_MARGIN, *sizes)
    return None


def smallest_expected(table: Table) -> float:
    """Return the smallest count expected if rows and columns were independent; 0 for an empty table."""
    rows, columns, total = _margins(table)
    return min(rows) * min(columns) / total if total else 0.0


def _chi2(method: str, table: Table, correction: float) -> Comparison:
    unusable = _unusable(method, table)
    if unusable is not None:
        return unusable
    rows, columns, total = _margins(table)
    x = 0.0
    for row, counts in zip(rows, table, strict=True):
        for column, count in zip(columns, counts, strict=True):
            # observed - expected as one exact quotient
            distance = abs(count * total - row * column) / total
            x += max(0.0, distance - correction) ** 2 * total / (row * column)
    df = (len(rows) - 1) * (len(columns) - 1)
    return Comparison(
        method,
        rows[0],
        rows[1] if len(rows) == 2 else None,
        statistic=x,
        df=df,
        p_value=chi2_above(x, df),
    )


def chi2(table: Table) -> Comparison:
    """Test independence by Pearson's chi-squared, without correction; rows are groups."""
    return _chi2("chi2", table, 0.0)


def chi2_yates(table: Table) -> Comparison:
    """Test independence in a fourfold table by chi-squared with Yates' correction of one half."""
    if len(table) != 2 or len(table[0]) != 2:
        return Comparison.not_done("chi2_yates", ONLY_FOURFOLD, sum(table[0]))
    return _chi2("chi2_yates", table, 0.5)


def fisher(table: Table) -> Comparison:
    """Test independence in a fourfold table exactly, with the odds ratio given the margins.

    Returns
    -------
    Comparison
        Two-sided p, which sums the tables no more probable than the observed one; the
        conditional maximum-likelihood odds ratio with its 95 % interval from both tails.
        An infinite ratio or limit is left empty and the note says so.

    References
    ----------
    R. A. Fisher, Journal of the Royal Statistical Society 98 (1935) 39-82.
    """
    if len(table) != 2 or len(table[0]) != 2:
        return Comparison.not_done("fisher", ONLY_FOURFOLD, sum(table[0]))
    unusable = _unusable("fisher", table)
    if unusable is not None:
        return unusable
    (a, b), (c, d) = table
    margins_held = Fourfold(a, b, c, d)
    low, high = margins_held.limits(CONFIDENCE)
    return Comparison(
        "fisher",
        a + b,
        c + d,
        estimate=margins_held.odds_ratio(),
        ci_low=low,
        ci_high=high,
        p_value=margins_held.p_value(),
        note=None if high is not None else NO_UPPER_LIMIT,
    )


# --- multiplicity ---------------------------------------------------------------------------


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values by Holm's step-down procedure, which controls the familywise error.

    Notes
    -----
    The i-th smallest of k becomes the largest of (k - j + 1) p_(j) over j <= i, at most 1.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1)))
    return [float(x) for x in adjusted]


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values by Benjamini and Hochberg's step-up procedure, which controls the false discovery rate.

    Notes
    -----
    The i-th smallest of k becomes the smallest of k p_(j) / j over j >= i, at most 1.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")[::-1]
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.minimum.accumulate(p[order] * p.size / np.arange(p.size, 0, -1)))
    return [float(x) for x in adjusted]


bh = benjamini_hochberg
