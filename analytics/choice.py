"""Which test the paper's rule selects, and why, in words.

Every test of a cell is computed; the rule only says which of them the cell shows.
A group counts as normal when Shapiro-Wilk gives p of at least 0.05; one that cannot
be judged (fewer than three values, all equal) does not count as normal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from analytics import statistics
from analytics.samples import Comparison, Ints, Normality, Sample, Sentence, _, say

ALPHA = 0.05
"""The paper: P < 0.05 is significant."""

LEAST_FOR_CHI2, LEAST_EXPECTED, LEAST_EXPECTED_YATES = 40, 5, 1

ALIKE = _(
    "both groups look normal (Shapiro-Wilk p {p1} and p {p2}), variances alike (Levene p {levene}): pooled t-test"
)
UNLIKE = _(
    "both groups look normal (Shapiro-Wilk p {p1} and p {p2}), variances differ (Levene p {levene}): Welch's t-test"
)
NOT_NORMAL = _("group {group} does not look normal (Shapiro-Wilk p {p}): Mann-Whitney test")
CONSTANT_GROUP = _("all values of group {group} are equal: Mann-Whitney test")
CHANGES_NORMAL = _("the differences look normal (Shapiro-Wilk p {p}): paired t-test")
CHANGES_NOT_NORMAL = _("the differences do not look normal (Shapiro-Wilk p {p}): signed-rank test")
CHANGES_CONSTANT = _("all differences are equal: signed-rank test")
FEW_IN_GROUPS = _(
    "only {n1} and {n2} values, of which no arrangement gives an exact p below 0.05: exact Mann-Whitney test"
)
FEW_CHANGES = _(
    "only {n} differences other than zero, of which no signs give an exact p below 0.05: exact signed-rank test"
)
ALL_NORMAL = _("every group looks normal (smallest Shapiro-Wilk p {p}): analysis of variance")
ONE_NOT_NORMAL = _("group {group} does not look normal (Shapiro-Wilk p {p}): Kruskal-Wallis test")
ONE_CONSTANT = _("all values of group {group} are equal: Kruskal-Wallis test")
REPEATED = _("the weeks of one subject depend on each other: Friedman's test of the subjects with every week")
PEARSON = _("n = {n} is at least 40 and every expected count at least 5: Pearson's chi-squared")
YATES = _(
    "n = {n} is at least 40, the smallest expected count {expected} below 5: chi-squared with Yates' correction"
)
FISHER_SMALL = _("n = {n} is below 40: Fisher's exact test")
FISHER_RARE = _("the smallest expected count {expected} is below 1: Fisher's exact test")
PEARSON_WIDE = _("more than two groups: Pearson's chi-squared; smallest expected count {expected}")


@dataclass(frozen=True, slots=True)
class Choice:
    """All tests of a cell and the one that the rule selects.

    Parameters
    ----------
    tests
        Every test that applies, done or not.
    selected
        The chosen one, or none when it could not be done.
    interval
        What carries its estimate and interval.
    reason
        Why it was chosen.
    why_not
        Why there is none.
    """

    tests: tuple[Comparison, ...]
    selected: Comparison | None = None
    interval: Comparison | None = None
    reason: Sentence | None = None
    why_not: Sentence | None = None


def _chosen(
    tests: tuple[Comparison, ...], selected: Comparison, reason: Sentence, interval: Comparison | None = None
) -> Choice:
    if not selected.done:
        return Choice(tests, why_not=selected.note)
    return Choice(tests, selected, interval, reason)


def p_words(p: float) -> str:
    """Write a p-value as it stands in a sentence: ``= 0.0123`` or ``< 0.001``."""
    return "< 0.001" if p < 0.001 else f"= {p:.3g}"


def looks_normal(normality: Normality) -> bool:
    """Return whether a sample counts as normal."""
    return normality.p_value is not None and normality.p_value >= ALPHA


def _departure(normality: Normality, group: str, not_normal: str, constant: str) -> Sentence:
    if normality.p_value is None:
        return say(constant, group=group)
    return say(not_normal, group=group, p=p_words(normality.p_value))


def too_few_to_approximate(arrangements: int) -> bool:
    """Return whether the most extreme of equally probable arrangements, on both sides, is not significant.

    The normal approximation knows no such limit: three values beside three others give p = 0.0495,
    four equal differences p = 0.0455, where the exact tests cannot fall below 0.1 and 0.125.
    """
    return 2 / arrangements >= ALPHA


def between(a: Sample, b: Sample, group1: str, group2: str) -> Choice:
    """Compare two groups: t-test when both look normal, pooled if Levene allows, else Mann-Whitney.

    The Mann-Whitney test is the paper's, by the normal approximation, unless the groups are too small for it.
    """
    pooled, welch = statistics.t_pooled(a, b), statistics.t_welch(a, b)
    levene = statistics.levene_mean(a, b)
    ranks = statistics.mann_whitney(a, b)
    shift = statistics.hodges_lehmann(a, b)
    tests = (pooled, welch, levene, *ranks, shift)
    for sample, group in ((a, group1), (b, group2)):
        if not looks_normal(sample.normality):
            if too_few_to_approximate(math.comb(len(a) + len(b), len(a))):
                return _chosen(tests, ranks[-1], say(FEW_IN_GROUPS, n1=len(a), n2=len(b)), shift)
            reason = _departure(sample.normality, group, NOT_NORMAL, CONSTANT_GROUP)
            return _chosen(tests, ranks[0], reason, shift)
    alike = levene.p_value is None or levene.p_value >= ALPHA
    reason = say(
        ALIKE if alike else UNLIKE,
        p1=p_words(a.normality.p_value or 0.0),
        p2=p_words(b.normality.p_value or 0.0),
        levene=p_words(1.0 if levene.p_value is None else levene.p_value),
    )
    chosen = pooled if alike else welch
    return _chosen(tests, chosen, reason, chosen)


def within(differences: Sample) -> Choice:
    """Test paired differences: paired t-test when they look normal, else Wilcoxon's signed ranks.

    Those are the paper's, by the normal approximation, unless the differences are too few for it.
    """
    t, ranks = statistics.t_paired(differences), statistics.signed_rank(differences)
    shift = statistics.hodges_lehmann_paired(differences)
    tests = (t, *ranks, shift)
    normality = differences.normality
    if looks_normal(normality):
        return _chosen(tests, t, say(CHANGES_NORMAL, p=p_words(normality.p_value or 0.0)), t)
    used = int((differences.given != 0).sum())
    if too_few_to_approximate(2**used):
        return _chosen(tests, ranks[-1], say(FEW_CHANGES, n=used), shift)
    if normality.p_value is None:
        return _chosen(tests, ranks[0], say(CHANGES_CONSTANT), shift)
    return _chosen(tests, ranks[0], say(CHANGES_NOT_NORMAL, p=p_words(normality.p_value)), shift)


def omnibus(groups: Sequence[Sample], names: Sequence[str]) -> Choice:
    """Compare all groups at once: analysis of variance when all look normal, else Kruskal-Wallis."""
    ranks, means = statistics.kruskal(list(groups)), statistics.anova(groups)
    tests = (ranks, means)
    for sample, name in zip(groups, names, strict=True):
        if not looks_normal(sample.normality):
            return _chosen(tests, ranks, _departure(sample.normality, name, ONE_NOT_NORMAL, ONE_CONSTANT))
    smallest = min(sample.normality.p_value or 0.0 for sample in groups)
    return _chosen(tests, means, say(ALL_NORMAL, p=p_words(smallest)))


def over_weeks(blocks: Ints) -> Choice:
    """Compare the weeks within the subjects who have all of them."""
    test = statistics.friedman(blocks)
    return _chosen((test,), test, say(REPEATED))


def counts(table: Sequence[Sequence[int]]) -> Choice:
    """Compare shares: Pearson, Yates or Fisher by the size of the table and its smallest expected count."""
    n, smallest = sum(map(sum, table)), statistics.smallest_expected(table)
    expected = f"{smallest:.3g}"
    pearson = statistics.chi2(table)
    if len(table) != 2:
        return _chosen((pearson,), pearson, say(PEARSON_WIDE, expected=expected))
    yates, fisher = statistics.chi2_yates(table), statistics.fisher(table)
    tests = (pearson, yates, fisher)
    if n < LEAST_FOR_CHI2:
        return _chosen(tests, fisher, say(FISHER_SMALL, n=n), fisher)
    if smallest < LEAST_EXPECTED_YATES:
        return _chosen(tests, fisher, say(FISHER_RARE, expected=expected), fisher)
    if smallest < LEAST_EXPECTED:
        return _chosen(tests, yates, say(YATES, n=n, expected=expected))
    return _chosen(tests, pearson, say(PEARSON, n=n))
