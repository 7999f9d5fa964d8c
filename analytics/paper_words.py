"""How the paper set prints tests, p-values and the reasons why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from analytics.cells import CellKey, CellResult
from analytics.choice import ALPHA
from trial.templatetags.cordline import NOTHING
from trial.templatetags.cordline import p_value as printed_p

TESTS: Mapping[str, str] = {
    "t_pooled": gettext_noop("Student's t test (pooled variance)"),
    "t_welch": gettext_noop("Welch's t test"),
    "mannwhitney_asymptotic": gettext_noop("Mann-Whitney U test (asymptotic, without continuity correction)"),
    "mannwhitney_exact": gettext_noop("Mann-Whitney U test (exact)"),
    "chi2": gettext_noop("Pearson's chi-squared test"),
    "chi2_yates": gettext_noop("chi-squared test with Yates' correction"),
    "fisher": gettext_noop("Fisher's exact test"),
    "t_paired": gettext_noop("paired t test"),
    "signedrank_asymptotic": gettext_noop("Wilcoxon signed-rank test (asymptotic)"),
    "signedrank_exact": gettext_noop("Wilcoxon signed-rank test (exact)"),
    "anova": gettext_noop("analysis of variance"),
    "kruskal": gettext_noop("Kruskal-Wallis test"),
    "friedman": gettext_noop("Friedman's test"),
}


def test_name(method: str) -> str:
    """Return a test in the words of a statistics section."""
    return _(TESTS.get(method, method))


def said(sentence: Any) -> str:
    """Return a sentence of the analysis in the language of the reader."""
    return "" if sentence is None else _(sentence.text).format(**sentence.fields)


def p_text(p_value: float | None) -> str:
    """Return ``P = 0.020`` or ``P < 0.001``."""
    if p_value is None:
        return ""
    words = printed_p(p_value)
    return f"P {words}" if words.startswith("<") else f"P = {words}"


def p_alone(p_value: float | None) -> str:
    """Return a p-value as it stands in a column of them."""
    return NOTHING if p_value is None else printed_p(p_value)


def significant(p_value: float | None) -> bool:
    """Return whether a p-value is below the level of the paper; 0.05 itself is not."""
    return p_value is not None and p_value < ALPHA


def why_not(result: CellResult) -> str:
    """Return in few words why a cell has no p-value: ``not tested (n = 2)``, ``constant``, ``no data``."""
    if result.p_value is not None:
        return ""
    if result.group1 is None or not (result.group1.n or (result.group2 and result.group2.n)):
        return _("no data")
    untested = [
        said(note) for note in result.notes if note.text.startswith(("not tested", "constant", "failed"))
    ]
    return untested[0] if untested else _("not tested")


def looks_normal(result: CellResult) -> bool:
    """Return whether the rule prints mean and SD: every group of the cell looks normal."""
    groups = [group for group in (result.group1, result.group2) if group is not None]
    return bool(groups) and all(
        group.normality is not None
        and group.normality.p_value is not None
        and group.normality.p_value >= ALPHA
        for group in groups
    )


def rows_query(key: CellKey) -> str:
    """Return the query that opens the rows behind a cell."""
    return "&".join(f"{name}={value}" for name, value in key._asdict().items())
