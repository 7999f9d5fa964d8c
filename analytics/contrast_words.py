"""How the page of a contrast says what was found: methods, weeks, and the sentence on top."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from analytics.cells import CellKey, CellResult
from trial.protocol import Direction, Measure
from trial.templatetags.cordline import difference, group_mark, limit, p_value

METHODS: Mapping[str, str] = {
    "t_pooled": gettext_noop("t test, pooled"),
    "t_welch": gettext_noop("t test, Welch"),
    "mannwhitney_asymptotic": gettext_noop("Mann-Whitney"),
    "mannwhitney_cc": gettext_noop("Mann-Whitney, continuity corrected"),
    "mannwhitney_exact": gettext_noop("Mann-Whitney, exact"),
    "levene_mean": gettext_noop("Levene"),
    "hodges_lehmann": gettext_noop("Hodges-Lehmann"),
    "t_paired": gettext_noop("paired t test"),
    "signedrank_asymptotic": gettext_noop("Wilcoxon signed rank"),
    "signedrank_cc": gettext_noop("Wilcoxon signed rank, continuity corrected"),
    "signedrank_exact": gettext_noop("Wilcoxon signed rank, exact"),
    "chi2": gettext_noop("chi-squared"),
    "chi2_yates": gettext_noop("chi-squared, Yates"),
    "fisher": gettext_noop("Fisher's exact test"),
    "kruskal": gettext_noop("Kruskal-Wallis"),
    "anova": gettext_noop("analysis of variance"),
    "friedman": gettext_noop("Friedman"),
}
SIGNIFICANT = 0.05


def method_words(method: str) -> str:
    """Return the name of a method on screen."""
    return _(METHODS[method]) if method in METHODS else method


def estimate_words(method: str) -> str:
    """Return what the estimate beside a method is."""
    if not method:
        return ""
    if method.startswith("t_"):
        return _("mean difference")
    return _("odds ratio") if method == "fisher" else _("Hodges-Lehmann")


def span_label(span: tuple[int, int]) -> str:
    """Return the weeks of a cell as they are written: ``W4-12`` with an en dash, ``W4``."""
    start, end = span
    return f"W{start}" if start == end else f"W{start}\N{EN DASH}{end}"


def named(code: str) -> SafeString | str:
    """Return a group as its mark, or as its letters where it has no mark."""
    return group_mark(code) or format_html("<strong>{}</strong>", code)


def interval_words(low: float | None, high: float | None, decimals: int) -> str:
    """Return a confidence interval in words, ``decimals`` those of the values; an end that is missing is open."""
    if low is None and high is None:
        return _("no interval")
    if low is None:
        return _("no lower end, up to %(high)s") % {"high": limit(high, decimals)}
    if high is None:
        return _("from %(low)s, no upper end") % {"low": limit(low, decimals)}
    return _("%(low)s to %(high)s") % {"low": limit(low, decimals), "high": limit(high, decimals)}


def headline(
    key: CellKey, result: CellResult, *, unit: str, decimals: int, direction: Direction
) -> SafeString:
    """Return the sentence on top: what was seen, how sure, and what is left of it once adjusted.

    Parameters
    ----------
    key, result
        The comparison, which has a p-value and an estimate.
    unit, decimals
        How its values are printed; the estimate has one decimal more.
    direction
        Which way the quantity moves in recovery; a rise is never called a decrease.
    """
    estimate = result.estimate or 0.0
    said = {
        "span": span_label((key.week_from, key.week_to)),
        "one": named(key.group1),
        "two": named(key.group2),
        "size": format_html("<strong>{} {}</strong>", limit(abs(estimate), decimals), unit),
        "signed": format_html("<strong>{} {}</strong>", difference(estimate, decimals), unit),
        "interval": interval_words(result.ci_low, result.ci_high, decimals),
        "p": p_value(result.p_value),
        "of": result.holm_size,
        "holm": format_html("<strong>{}</strong>", p_value(result.p_holm)),
        "what": _what(key.measure, direction),
    }
    shown = (result.p_value or 0.0) < SIGNIFICANT
    if not shown:
        first = _(
            "In {span} no difference of the {what} between {one} and {two} was shown:"
            " {one} − {two} {signed} ({interval}), p {p}. Not shown is not equal:"
            " every difference within the interval stays possible."
        )
    elif estimate >= 0:
        first = _("In {span} the {what} was larger in {one} than in {two} by {size} ({interval}), p {p}.")
    else:
        said["interval"] = interval_words(
            None if result.ci_high is None else -result.ci_high,
            None if result.ci_low is None else -result.ci_low,
            decimals,
        )
        first = _("In {span} the {what} was larger in {two} than in {one} by {size} ({interval}), p {p}.")
    if result.holm_size < 2:
        second = _("The only test of its family; nothing to adjust for.")
    elif not shown:
        second = _("Holm over {of} tests {holm}.")
    elif (result.p_holm or 0.0) < SIGNIFICANT:
        second = _("Holm over {of} tests {holm}: below 0.05 once adjusted, too.")
    else:
        second = _("Holm over {of} tests {holm}: not below 0.05 once adjusted.")
    return format_html("{} {}", format_html(first, **said), format_html(second, **said))


def _what(measure: str, direction: Direction) -> str:
    if measure == Measure.LEVEL:
        return _("observed level")
    if direction is Direction.FALLS:
        return _("observed decrease")
    return _("observed decrease (a rise counts below zero)")
