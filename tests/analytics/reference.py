"""Hold rows of the ``cells`` and ``tests`` exports against what R computed for one real cohort.

The cohort is the Mayo PBC sequential data (R package survival, ``pbcseq``; Murtaugh et
al., Hepatology 20 (1994) 126-134); R 4.2 made ``data/pbcseq/reference.csv``. The rows
compared may come from the pure functions or from exported files, as numbers or as text.
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from analytics.statistics import benjamini_hochberg, holm

HERE = Path(__file__).parent / "data" / "pbcseq"
POPULATION = "treated"
TOLERANCE, SHAPIRO_P_TOLERANCE = 1e-6, 1e-3
NOTHING = 1e-12  # what counts as zero: R prints 1.3e-29 where the exact answer is 0

MEASURES = {
    "subjects": "baseline",
    "age": "baseline",
    "sex": "baseline",
    "value": "level",
    "value_between": "level",
    "four_groups": "level",
    "friedman": "level",
    "interval_decrease": "interval",
    "interval_between": "interval",
    "cumulative_decrease": "cumulative",
    "cumulative_between": "cumulative",
    "paired_vs_baseline": "cumulative",
}

# method in the reference -> (method in the tests export, columns that must agree)
TESTS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "t_welch": ("t_welch", ("statistic", "estimate", "ci_low", "ci_high", "p_value")),
    "t_pooled": ("t_pooled", ("statistic", "estimate", "ci_low", "ci_high", "p_value")),
    "t_paired": ("t_paired", ("statistic", "estimate", "ci_low", "ci_high", "p_value")),
    "levene_mean": ("levene_mean", ("statistic", "p_value")),
    "wilcoxon_asym_nocc": ("mannwhitney_asymptotic", ("statistic", "p_value")),
    "wilcoxon_asym_cc": ("mannwhitney_cc", ("statistic", "p_value")),
    "wilcoxon_exact_ties": ("mannwhitney_exact", ("statistic", "p_value")),
    "hodges_lehmann": ("hodges_lehmann", ("estimate",)),
    "hl_moses_order_statistic": ("hodges_lehmann", ("estimate", "ci_low", "ci_high")),
    "signedrank_asym_nocc": ("signedrank_asymptotic", ("statistic", "p_value")),
    "signedrank_asym_cc": ("signedrank_cc", ("statistic", "p_value")),
    "signedrank_exact_ties_zeros_dropped": ("signedrank_exact", ("statistic", "p_value")),
    "hl_walsh_zeros_dropped": ("hodges_lehmann", ("estimate",)),
    "chisq_pearson": ("chi2", ("statistic", "p_value")),
    "chisq_yates": ("chi2_yates", ("statistic", "p_value")),
    "fisher_two_sided": ("fisher", ("estimate", "ci_low", "ci_high", "p_value")),
    "kruskal_wallis": ("kruskal", ("statistic", "p_value")),
    "anova_oneway": ("anova", ("statistic", "p_value")),
    "friedman_tie_corrected": ("friedman", ("statistic", "p_value")),
}

# method in the reference -> column of the cells export that holds its estimate
CELLS: Mapping[str, str] = {
    "mean": "mean1",
    "sd": "sd1",
    "median": "median1",
    "q1_type6": "q1_1",
    "q3_type6": "q3_1",
    "min": "min1",
    "max": "max1",
    "median_decrease": "median1",
    "percent_male_group1": "mean1",
    "percent_male_group2": "mean2",
}

NO_COUNTERPART: Mapping[str, str] = {
    "q1_type7": "the study prints type 6 (SPSS); type 7 is the default of R",
    "q3_type7": "the study prints type 6 (SPSS); type 7 is the default of R",
    "levene_median": "the study centres at the mean, as SPSS does",
    "t_welch_df": "degrees of freedom have no column; compared as Comparison.df",
    "chisq_min_expected": "no column; it decides which test is selected",
    "n_zero_differences": "no column; the note says how many zeros were left out",
    "hl_walsh_with_zeros": "the study leaves zeros out, as its signed-rank test does; compared as a function",
    "hl_wilcox.test_asym_nocc": "a numerical root with R's tolerance of 1e-4, not an order statistic",
    "wilcoxon_asym_nocc_naivefloat": "a wrong answer on purpose",
    "signedrank_asym_nocc_naivefloat": "a wrong answer on purpose",
}

ADJUSTED_P = {
    "t_welch": "t_welch",
    "t_paired": "t_paired",
    "wilcoxon_asym_nocc": "mannwhitney_asymptotic",
    "signedrank_asym_nocc": "signedrank_asymptotic",
}

Row = Mapping[str, Any]
Key = tuple[str, str, str, str, int, int]


@dataclass
class Agreement:
    """What was compared, by analysis and method of the reference, and what disagreed."""

    compared: Counter[tuple[str, str]] = field(default_factory=Counter)
    skipped: Counter[tuple[str, str]] = field(default_factory=Counter)
    numbers: int = 0
    wrong: list[str] = field(default_factory=list)


@cache
def reference() -> tuple[dict[str, str], ...]:
    """Return the rows of the reference."""
    with (HERE / "reference.csv").open(encoding="utf-8", newline="") as lines:
        return tuple(csv.DictReader(lines))


def key_of(row: Row) -> Key:
    """Return the cell that a row of the reference speaks of: measure, groups, analyte, weeks."""
    analysis = row["analysis"].removeprefix("adjusted_")
    group1, _, group2 = row["comparison"].partition("_vs_")
    if group1 == "A_B_C_D":
        group1 = "ALL"
    weeks = [
        int(week) for week in row["week_or_interval"].replace("..", "-").replace("W", "").split("-") if week
    ]
    weeks = weeks or [0]
    measure, analyte = MEASURES[analysis], row["analyte"] or "subjects"
    return measure, group1, group2, analyte, weeks[0], weeks[-1]


def _own_key(row: Row) -> Key:
    return (
        row["measure"],
        row["group1"],
        row["group2"] or "",
        row["analyte"],
        int(row["week_from"]),
        int(row["week_to"]),
    )


def number(value: Any) -> float | None:
    """Return a field as a number; an empty one as ``None``."""
    return None if value in (None, "") else float(value)


def agrees(ours: float | None, theirs: float, tolerance: float = TOLERANCE) -> bool:
    """Return whether two numbers agree within a relative tolerance."""
    return ours is not None and math.isclose(ours, theirs, rel_tol=tolerance, abs_tol=NOTHING)


def compare(tests_rows: Iterable[Row], cells_rows: Iterable[Row]) -> Agreement:
    """Compare exported rows with every row of the reference that has a counterpart."""
    tests = {(_own_key(r), r["method"]): r for r in tests_rows if r["population"] == POPULATION}
    cells = {_own_key(r): r for r in cells_rows if r["population"] == POPULATION}
    adjusted = _adjusted(tests)
    agreement = Agreement()
    for row in reference():
        method, key = row["method"], key_of(row)
        if method in NO_COUNTERPART:
            agreement.skipped[row["analysis"], method] += 1
            continue
        pairs = list(_pairs(row, method, key, tests, cells, adjusted))
        agreement.compared[row["analysis"], method] += 1
        for name, ours, theirs, tolerance in pairs:
            agreement.numbers += 1
            if not agrees(number(ours), float(theirs), tolerance):
                agreement.wrong.append(f"{method} {key} {name}: {ours} instead of {theirs}")
        if not pairs:
            agreement.wrong.append(f"{method} {key}: nothing compared")
    return agreement


def _pairs(
    row: Row,
    method: str,
    key: Key,
    tests: Mapping[tuple[Key, str], Row],
    cells: Mapping[Key, Row],
    adjusted: Mapping[tuple[Key, str], tuple[float, float, int]],
) -> Iterable[tuple[str, Any, str, float]]:
    """Yield name, our number, R's number and the tolerance for one row of the reference."""
    if row["analysis"].startswith("adjusted_"):
        raw, corrected, size = adjusted.get((key, method), (None, None, None))
        yield "family", size, row["statistic"], TOLERANCE
        yield "raw p", raw, row["estimate"], TOLERANCE
        yield "adjusted p", corrected, row["p_value"], TOLERANCE
        return
    cell = cells.get(key, {})
    yield "n1", cell.get("n1"), row["n1"], 0
    if key[2] and row["n2"]:
        yield "n2", cell.get("n2"), row["n2"], 0
    elif row["n2"] and row["analysis"] != "paired_vs_baseline":
        yield "missing1", cell.get("missing1"), row["n2"], 0
    if method == "shapiro_wilk":
        yield "W", cell.get("shapiro_w1"), row["statistic"], TOLERANCE
        yield "p", cell.get("shapiro_p1"), row["p_value"], SHAPIRO_P_TOLERANCE
    elif method in CELLS:
        yield CELLS[method], cell.get(CELLS[method]), row["estimate"], TOLERANCE
    elif method.startswith("count_male_group"):
        group = method[-1]
        percent, n = number(cell.get(f"mean{group}")), number(cell.get(f"n{group}"))
        men = None if percent is None or n is None else round(percent * n / 100)
        yield "men", men, row["estimate"], 0
    elif method in TESTS:
        own, columns = TESTS[method]
        for column in columns:
            if row[column]:
                yield column, tests.get((key, own), {}).get(column), row[column], TOLERANCE


def _adjusted(tests: Mapping[tuple[Key, str], Row]) -> dict[tuple[Key, str], tuple[float, float, int]]:
    """Return raw p, adjusted p and family size for every ``adjusted_*`` row, from our own p-values."""
    families: dict[tuple[str, ...], list[tuple[Key, str]]] = {}
    for row in reference():
        if row["analysis"].startswith("adjusted_"):
            key, method = key_of(row), row["method"]
            analyte = key[3] if method.endswith("family=analyte") else ""
            families.setdefault((row["analysis"], row["comparison"], method, analyte), []).append(
                (key, method)
            )
    adjusted = {}
    for members in families.values():
        correction, test, _family = members[0][1].split(":")
        raw = [number(tests.get((key, ADJUSTED_P[test]), {}).get("p_value")) for key, _method in members]
        p_values = [1.0 if p is None else p for p in raw]
        corrected = (holm if correction == "holm" else benjamini_hochberg)(p_values)
        for member, p, q in zip(members, p_values, corrected, strict=True):
            adjusted[member] = (p, q, len(members))
    return adjusted
