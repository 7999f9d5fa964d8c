"""Every cell of a study: its key, its numbers against one scipy call per test, its words."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from scipy import stats

from analytics import choice, contrasts, statistics
from analytics.contrasts import (
    CELLS_COLUMNS,
    MISSING,
    TESTS_COLUMNS,
    CellKey,
    CellResult,
    Ended,
    GroupResult,
    StudyArrays,
    Summary,
    adjust,
    all_keys,
    as_json,
    cells_row,
    compute,
    digest,
    digests,
    from_json,
    places_of,
    scaled,
)
from analytics.samples import Ints, Sample
from trial import protocol

N = 90
CODES = ("tbil", "alt", "albumin", "meld_unos_2002")


def arrays(n: int = N, seed: int = 1, **changes: Any) -> dict[str, Any]:
    """Random subjects with ties, gaps, deaths and all four groups."""
    random = np.random.default_rng(seed)
    values: dict[str, Ints] = {}
    for code, (centre, step) in zip(CODES, ((300, 10), (80, 20), (30, 5), (20, 0.125)), strict=True):
        x = np.rint(random.lognormal(0, 0.5, (n, 5)) * centre / step) * step
        values[code] = np.rint(x * 10 ** places_of(code)).astype(np.int64)
        values[code][random.random((n, 5)) < 0.1] = MISSING
    values["albumin"][:, 3] = scaled(["30"])[0]
    ended = np.zeros((n, 5), np.int8)
    ended[3, 2:], ended[4, 3:], ended[5, 4:] = Ended.DEAD, Ended.TRANSPLANTED, Ended.NOT_DUE
    for code in CODES:
        values[code][5, 4] = MISSING
    infusions = random.integers(1, 9, n)
    study = {
        "subject_ids": [f"S{i:03d}" for i in range(n)],
        "diagnosis": random.choice(["liver_failure", "cirrhosis"], n),
        "sex": random.choice(["F", "M"], n),
        "age": random.integers(20, 60, n) * 10**6,
        "valid_infusions": infusions,
        "infusions_by_landmark": np.minimum(infusions, 5),
        "eligible": random.random(n) < 0.8,
        "landmark": random.random(n) < 0.9,
        "values": values,
        "ended": ended,
        "censored": {"alt": random.random((n, 5)) < 0.02},
    }
    return {**study, **changes}


@pytest.fixture(scope="module")
def study() -> StudyArrays:
    return StudyArrays.build(**arrays())


@pytest.fixture(scope="module")
def results(study: StudyArrays) -> dict[CellKey, CellResult]:
    return adjust(compute(study))


def key(
    analyte: str,
    measure: str,
    start: int,
    end: int,
    group1: str,
    group2: str = "",
    population: str = "treated",
) -> CellKey:
    return CellKey(population, measure, group1, group2, analyte, start, end)


# --- the worked fixture of the study's definitions --------------------------------------------

TBIL = {
    "P1": (300, 250, 180, 90, 40),
    "P2": (420, 380, 300, None, 120),
    "P3": (510, 520, 560, None, None),
    "P4": (260, 200, 150, 80, 60),
    "P5": (350, None, 210, 130, None),
    "P6": (180, 160, 140, 100, 90),
}


@pytest.fixture(scope="module")
def six() -> dict[CellKey, CellResult]:
    ended = np.zeros((6, 5), np.int8)
    ended[2, 3:], ended[4, 4:] = Ended.DEAD, Ended.TRANSPLANTED
    study = StudyArrays.build(
        subject_ids=list(TBIL),
        diagnosis=["liver_failure"] * 6,
        sex=["M"] * 5 + [""],
        age=scaled([40] * 6),
        valid_infusions=[8] * 6,
        values={"tbil": np.stack([scaled(row) for row in TBIL.values()])},
        ended=ended,
    )
    return compute(study)


@pytest.mark.parametrize(
    ("measure", "start", "end", "n", "median", "q1", "q3"),
    [
        ("interval", 0, 1, 5, 40, 5, 55),
        ("interval", 1, 4, 5, 50, -10, 75),
        ("interval", 4, 12, 4, 75, 47.5, 87.5),
        ("interval", 12, 24, 3, 20, 10, 50),
        ("cumulative", 0, 1, 5, 40, 5, 55),
        ("cumulative", 0, 4, 6, 115, 17.5, 125),
        ("cumulative", 0, 12, 4, 195, 105, 217.5),
        ("cumulative", 0, 24, 4, 230, 117.5, 290),
    ],
)
def test_worked_decreases(
    six: dict[CellKey, CellResult],
    measure: str,
    start: int,
    end: int,
    n: int,
    median: float,
    q1: float,
    q3: float,
) -> None:
    group = six[key("tbil", measure, start, end, "A")].group1
    assert group is not None
    s = group.summary
    assert (group.n, s.median, s.q1, s.q3) == (n, median, q1, q3)


def test_who_is_not_observed_and_why(six: dict[CellKey, CellResult]) -> None:
    observed = [six[key("tbil", "level", week, week, "A")].group1 for week in protocol.WEEKS]
    assert [group.n for group in observed if group] == [6, 5, 6, 4, 4]
    last = six[key("tbil", "cumulative", 0, 24, "A")]
    assert last.group1 is not None
    assert (last.group1.died, last.group1.transplanted, last.group1.not_due, last.group1.missing) == (
        1,
        1,
        0,
        0,
    )
    assert last.note == "group A: 1 died, 1 transplanted, 0 not yet due"
    twelve = six[key("tbil", "interval", 4, 12, "A")].group1
    assert twelve is not None and (twelve.died, twelve.missing) == (1, 1)
    complete = six[key("tbil", "level", 0, 24, "A")]
    assert complete.group1 is not None and (complete.group1.n, complete.method) == (3, "friedman")


def test_one_known_sex_only(six: dict[CellKey, CellResult]) -> None:
    sex = six[key("sex", "baseline", 0, 0, "A")]
    assert sex.group1 is not None
    assert (sex.group1.n, sex.group1.missing, sex.group1.summary.mean) == (5, 1, 100.0)
    nobody = six[key("sex", "baseline", 0, 0, "C", "D")]
    assert (nobody.method, nobody.note) == ("", "no data")


# --- keys -----------------------------------------------------------------------------------


def test_every_cell_is_listed_once() -> None:
    keys = all_keys()
    assert len(set(keys)) == len(keys)
    per_quantity = 12 * (5 + 4 + 4) + 7
    assert len(keys) == 3 * (len(protocol.MEASURED) * per_quantity + 2 * 12 + 7)
    assert {k.measure for k in keys} == set(protocol.Measure)
    for k in keys:
        assert k.group1 in protocol.STRATA
        assert not k.group2 or (k.group1, k.group2) in protocol.CONTRASTS
        assert (k.week_from == k.week_to) == (k.measure in ("level", "baseline") and not k.over_all_weeks)


def test_the_groups_of_the_populations(study: StudyArrays) -> None:
    treated = {s: study.members("treated", s).size for s in protocol.STRATA}
    assert treated["ALL"] == N == treated["LF"] + treated["LC"]
    assert treated["LF"] == treated["A"] + treated["B"] and min(treated.values()) > 10
    assert study.members("eligible", "ALL").size == study.eligible.sum()
    few = StudyArrays.build(**arrays(infusions_by_landmark=np.full(N, 4), landmark=np.ones(N, bool)))
    assert few.members("landmark", "A").size == few.members("landmark", "C").size == 0
    assert few.members("landmark", "B").size == few.members("landmark", "LF").size


# --- every cell against scipy ---------------------------------------------------------------


def column(study: StudyArrays, k: CellKey, group: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Decimals, subtracted as decimals and rounded once: the slow and obvious way."""
    rows = study.members(k.population, group)
    if k.analyte == "age":
        return np.array([float(Decimal(int(x)).scaleb(-6)) for x in study.age[rows]])
    places = places_of(k.analyte)
    found = []
    for row in study.values[k.analyte][rows].tolist():
        first, last = (row[protocol.WEEKS.index(week)] for week in (k.week_from, k.week_to))
        if first != MISSING and last != MISSING:
            earlier, later = Decimal(first).scaleb(-places), Decimal(last).scaleb(-places)
            decrease = earlier - (later if k.week_from != k.week_to else 0)
            found.append(float(round(decrease, 6)))
    return np.array(found)


def expected(study: StudyArrays, k: CellKey) -> tuple[str, float | None]:
    """Return the method and the p-value that one scipy call after the other arrives at."""
    a = column(study, k, k.group1)
    groups = [a, column(study, k, k.group2)] if k.group2 else [a]
    if k.omnibus:
        groups = [column(study, k, group) for group in protocol.GROUP_CODES]
    elif not k.group2 and k.week_from == k.week_to:
        return "", None
    if min(map(len, groups)) < 3:
        return "", None
    if len({float(x) for group in groups for x in group}) == 1:
        return "", None
    normal = all(len(set(g.tolist())) > 1 and stats.shapiro(g).pvalue >= 0.05 for g in groups)
    if k.omnibus:
        test = stats.f_oneway(*groups) if normal else stats.kruskal(*groups)
        return "anova" if normal else "kruskal", float(test.pvalue)
    if not k.group2:
        if normal:
            return "t_paired", float(stats.ttest_1samp(a, 0).pvalue)
        if not a.any():
            return "", None
        test = stats.wilcoxon(a[a != 0], method="asymptotic", correction=False)
        return "signedrank_asymptotic", float(test.pvalue)
    if not normal:
        test = stats.mannwhitneyu(*groups, method="asymptotic", use_continuity=False)
        return "mannwhitney_asymptotic", float(test.pvalue)
    alike = stats.levene(*groups, center="mean").pvalue >= 0.05
    return ("t_pooled" if alike else "t_welch"), float(stats.ttest_ind(*groups, equal_var=alike).pvalue)


def test_every_cell_against_scipy(study: StudyArrays, results: dict[CellKey, CellResult]) -> None:
    met: Counter[str] = Counter()
    for k, result in results.items():
        if k.over_all_weeks or k.analyte in ("sex", "subjects") or k.analyte not in (*CODES, "age"):
            continue
        method, p = expected(study, k)
        assert result.method == method, k
        assert result.p_value == (None if p is None else pytest.approx(p, rel=1e-9, abs=1e-300)), k
        met[method] += 1
        if result.group1 is not None and result.group1.n:
            s, a = result.group1.summary, column(study, k, k.group1)
            assert (s.mean, s.median) == pytest.approx((np.mean(a), np.median(a)), rel=1e-12, abs=1e-12)
            assert (s.minimum, s.maximum) == (a.min(), a.max())
            quartiles = np.percentile(a, [25, 75], method="weibull")
            assert (s.q1, s.q3) == pytest.approx(tuple(quartiles), rel=1e-12, abs=1e-12)
            assert s.sd == pytest.approx(np.std(a, ddof=1), rel=1e-10, abs=1e-12)
    assert sum(met.values()) > 1800
    assert set(met) >= {
        "",
        "t_paired",
        "t_pooled",
        "mannwhitney_asymptotic",
        "signedrank_asymptotic",
        "kruskal",
    }


def test_a_cell_shows_the_interval_of_its_test(results: dict[CellKey, CellResult]) -> None:
    for result in results.values():
        if result.method in ("mannwhitney_asymptotic", "signedrank_asymptotic"):
            shown = result.test("hodges_lehmann")
        elif result.method.startswith("t_") or result.method == "fisher":
            shown = result.test(result.method)
        else:
            assert result.estimate is None
            continue
        assert shown is not None
        assert (result.estimate, result.ci_low, result.ci_high) == (
            shown.estimate,
            shown.ci_low,
            shown.ci_high,
        )


def test_nothing_is_nan(results: dict[CellKey, CellResult]) -> None:
    for k, result in results.items():
        for field in (*cells_row(k, result, 7), *(x for row in contrasts.tests_rows(k, result) for x in row)):
            assert not isinstance(field, float) or np.isfinite(field), k
        if not result.method and (k.between or k.measure in ("interval", "cumulative")):
            assert result.note, k


# --- the rule, case by case -----------------------------------------------------------------


def normal_scores(n: int, centre: float, spread: float) -> Sample:
    return Sample(
        np.rint((stats.norm.ppf((np.arange(n) + 0.5) / n) * spread + centre) * 10**6).astype(np.int64)
    )


SKEWED = Sample(np.rint(np.exp(np.linspace(0, 5, 30)) * 10**6).astype(np.int64))
CONSTANT = Sample(np.full(10, 5 * 10**6))


def few(*values: int) -> Sample:
    return Sample(np.array(values, np.int64) * 10**6)


@pytest.mark.parametrize(
    ("a", "b", "method", "why"),
    [
        (normal_scores(30, 5, 1), normal_scores(25, 6, 1), "t_pooled", "variances alike"),
        (normal_scores(30, 5, 1), normal_scores(25, 6, 5), "t_welch", "variances differ"),
        (normal_scores(30, 5, 1), SKEWED, "mannwhitney_asymptotic", "group B does not look normal"),
        (SKEWED, SKEWED, "mannwhitney_asymptotic", "group A does not look normal (Shapiro-Wilk p < 0.001)"),
        (CONSTANT, normal_scores(30, 5, 1), "mannwhitney_asymptotic", "all values of group A are equal"),
        (few(1, 1, 1), few(2, 2, 3), "mannwhitney_exact", "only 3 and 3 values"),
        (few(1, 1, 1), few(2, 2, 2, 3), "mannwhitney_exact", "only 3 and 4 values"),
        (few(1, 1, 1), few(2, 2, 2, 2, 3), "mannwhitney_asymptotic", "all values of group A are equal"),
    ],
)
def test_the_rule_between_groups(a: Sample, b: Sample, method: str, why: str) -> None:
    chosen = choice.between(a, b, "A", "B")
    assert chosen.selected is not None and chosen.selected.method == method
    assert why in str(chosen.reason)


@pytest.mark.parametrize(
    ("differences", "method", "why"),
    [
        (normal_scores(20, 1, 1), "t_paired", "look normal"),
        (SKEWED, "signedrank_asymptotic", "do not look normal"),
        (CONSTANT, "signedrank_asymptotic", "all differences are equal"),
        (few(3, 3, 3, 3), "signedrank_exact", "only 4 differences other than zero"),
        (few(0, 0, 0, 0, 3, 3, 3, 3, 3), "signedrank_exact", "only 5 differences other than zero"),
        (few(3, 3, 3, 3, 3, 3), "signedrank_asymptotic", "all differences are equal"),
    ],
)
def test_the_rule_within_a_group(differences: Sample, method: str, why: str) -> None:
    chosen = choice.within(differences)
    assert chosen.selected is not None and chosen.selected.method == method
    assert why in str(chosen.reason)


def test_the_rule_for_four_groups() -> None:
    bells = [normal_scores(20, m, 1) for m in (1, 2, 3, 4)]
    names = protocol.GROUP_CODES
    assert choice.omnibus(bells, names).selected == choice.omnibus(bells, names).tests[1]
    chosen = choice.omnibus([*bells[:2], SKEWED, bells[3]], names)
    assert chosen.selected is not None and chosen.selected.method == "kruskal"
    assert str(chosen.reason).startswith("group C does not look normal")
    assert "all values of group D" in str(choice.omnibus([*bells[:3], CONSTANT], names).reason)


@pytest.mark.parametrize(
    ("table", "method", "why"),
    [
        ([[20, 20], [15, 25]], "chi2", "at least 5"),
        ([[2, 10], [14, 14]], "chi2_yates", "4.8"),
        ([[2, 9], [14, 14]], "fisher", "below 40"),
        ([[0, 50], [1, 30]], "fisher", "below 1"),
        ([[9, 9], [8, 10], [7, 3], [5, 5]], "chi2", "more than two groups"),
    ],
)
def test_the_rule_for_counts(table: list[list[int]], method: str, why: str) -> None:
    chosen = choice.counts(table)
    assert chosen.selected is not None and chosen.selected.method == method
    assert why in str(chosen.reason)


# --- words ----------------------------------------------------------------------------------


def of_sizes(sizes: Mapping[str, int], value: int | None = None) -> StudyArrays:
    """A study with some subjects per group and values that differ, or do not."""
    groups = [
        protocol.GROUPS[protocol.GROUP_CODES.index(code)] for code, k in sizes.items() for _ in range(k)
    ]
    n = len(groups)
    numbers = np.arange(n * 5).reshape(n, 5) ** 2 if value is None else np.full((n, 5), value)
    return StudyArrays.build(
        subject_ids=[f"S{i}" for i in range(n)],
        diagnosis=[group.diagnosis for group in groups],
        sex=["F"] * n,
        age=[MISSING] * n,
        valid_infusions=[8 if group.course is protocol.Course.PROLONGED else 4 for group in groups],
        values={"tbil": numbers * 10**6},
    )


@pytest.mark.parametrize(
    ("sizes", "note"),
    [
        ({}, "no data"),
        ({"A": 5}, "not tested (n = 0)"),
        ({"A": 5, "B": 1}, "not tested (n = 1)"),
        ({"A": 2, "B": 5}, "not tested (n = 2)"),
        ({"A": 3, "B": 3}, ""),
    ],
)
def test_small_groups_give_words(sizes: Mapping[str, int], note: str) -> None:
    cell = compute(of_sizes(sizes))[key("tbil", "interval", 4, 12, "A", "B")]
    assert (cell.note, bool(cell.method), cell.p_value is None) == (note, not note, bool(note))


def test_constant_values_give_words() -> None:
    cells = compute(of_sizes(dict.fromkeys("ABCD", 5), value=7))
    assert cells[key("tbil", "level", 4, 4, "A", "B")].note == "constant"
    assert cells[key("tbil", "cumulative", 0, 4, "A")].note == "every difference is zero"
    assert cells[key("tbil", "level", 4, 4, "ALL")].note == "constant"
    assert cells[key("tbil", "level", 0, 24, "LF")].note == "constant"
    assert cells[key("sex", "baseline", 0, 0, "A", "B")].note.startswith("constant")
    assert cells[key("age", "baseline", 0, 0, "A", "B")].note == "no data"
    assert cells[key("wbc", "level", 0, 24, "A")].note == "no data"


def test_values_at_a_limit_are_counted(study: StudyArrays, results: dict[CellKey, CellResult]) -> None:
    cell = results[key("alt", "interval", 0, 1, "ALL")]
    rows = study.members("treated", "ALL")
    both = (study.values["alt"][rows][:, :2] != MISSING).all(axis=1)
    limited = int((study.censored["alt"][rows][:, :2].any(axis=1) & both).sum())
    assert cell.group1 is not None and cell.group1.censored == limited > 0
    assert f"group ALL: {limited} at a detection limit, entered as the limit" in cell.note


def test_more_than_5000_are_said_to_be_judged_by_their_first() -> None:
    random = np.random.default_rng(2)
    n = 5200
    study = StudyArrays.build(
        subject_ids=[f"S{i:05d}" for i in range(n)],
        diagnosis=["cirrhosis"] * n,
        sex=["F"] * n,
        age=random.integers(20, 60, n) * 10**6,
        valid_infusions=[4] * n,
        values={},
    )
    wanted = key("age", "baseline", 0, 0, "D")
    assert "first 5000 of 5200" in compute(study, [wanted])[wanted].note


# --- one poisonous column -------------------------------------------------------------------


def test_a_failing_column_blocks_nobody(study: StudyArrays, monkeypatch: pytest.MonkeyPatch) -> None:
    some = [k for k in all_keys() if k.analyte in ("alt", "ast", "age", "albumin")]
    whole = compute(study, some)
    column_of = contrasts._column

    def poisonous(study: StudyArrays, code: str, start: int, end: int) -> Any:
        if (code, end) == ("alt", 12):
            raise ZeroDivisionError("nothing to divide by" if start else "")
        return column_of(study, code, start, end)

    monkeypatch.setattr(contrasts, "_column", poisonous)
    failed = 0
    for k, result in adjust(compute(study, some)).items():
        if k.analyte == "alt" and k.week_to == 12:
            words = "ZeroDivisionError: nothing to divide by" if k.week_from else "ZeroDivisionError"
            weeks = "W12" if k.week_from == 12 else f"W{k.week_from}-12"
            assert result.note == f"failed: ALT, {weeks}: {words}"
            assert cells_row(k, result)[-1] == result.note
            assert from_json(as_json(result)) == result
            failed += 1
        else:
            assert result.tests == whole[k].tests
    assert failed == 3 * 12 * 3


# --- order, digests, storage ----------------------------------------------------------------


def test_the_order_of_subjects_does_not_matter(study: StudyArrays) -> None:
    given = arrays()
    order = np.random.default_rng(9).permutation(N)

    def shuffled(entry: Any) -> Any:
        if isinstance(entry, dict):
            return {code: array[order] for code, array in entry.items()}
        return [entry[i] for i in order] if isinstance(entry, list) else entry[order]

    other = StudyArrays.build(**{name: shuffled(entry) for name, entry in given.items()})
    some = [k for k in all_keys() if k.analyte != "tbil"]
    assert compute(other, some) == compute(study, some)
    assert digests(other) == digests(study)


def test_a_digest_changes_with_its_cell_only(study: StudyArrays) -> None:
    row = int(study.members("treated", "A")[0])
    changed = {code: array.copy() for code, array in study.values.items()}
    changed["tbil"][row, 3] += 10**6
    before, after = digests(study), digests(replace(study, values=changed))
    moved = {k for k in before if before[k] != after[k]}
    in_populations = {p for p in protocol.Population if row in study.members(p, "ALL")}
    groups_there = {p: protocol.GROUP_CODES[study.groups(p)[row]] for p in in_populations}
    for k in before:
        strata = [k.group1, k.group2] if k.group2 else [k.group1]
        touched = (
            k.analyte == "tbil"
            and 12 in k.weeks
            and k.population in groups_there
            and any(groups_there[protocol.Population(k.population)] in protocol.STRATA[s] for s in strata)
        )
        assert (k in moved) == touched, k
    some = [k for k in all_keys() if k.analyte in ("tbil", "age", "sex", "subjects")]
    fresh = compute(replace(study, values=changed), some)
    assert {k for k, result in compute(study, some).items() if result != fresh[k]} <= moved
    assert all(len(found) == 32 for found in before.values())


@pytest.mark.parametrize("name", ["age", "sex", "ended", "censored", "valid_infusions", "eligible"])
def test_every_input_is_in_some_digest(study: StudyArrays, name: str) -> None:
    array = study.censored["alt"] if name == "censored" else getattr(study, name)
    changed = array.copy()
    at = (int(study.members("eligible", "ALL")[0]),) + (() if changed.ndim == 1 else (2,))
    if name == "sex":
        changed[at] = "M" if changed[at] == "F" else "F"
    elif changed.dtype == bool:
        changed[at] = not changed[at]
    else:
        changed[at] = 8 if changed[at] < 5 else 1
    changes: dict[str, Any] = {name: {"alt": changed} if name == "censored" else changed}
    other = replace(study, **changes)
    before, after = digests(study), digests(other)
    assert before != after
    some = [k for k in all_keys() if k.analyte not in ("tbil", "albumin", "meld_unos_2002")]
    now, then = compute(other, some), compute(study, some)
    assert {k for k in now if now[k] != then[k]} <= {k for k in before if before[k] != after[k]}


def test_some_keys_only(study: StudyArrays, results: dict[CellKey, CellResult]) -> None:
    wanted = key("tbil", "interval", 4, 12, "C", "D")
    (found,) = compute(study, [wanted]).items()
    assert found == (wanted, replace(results[wanted], p_holm=None, holm_size=0, p_bh=None, bh_size=0))
    assert digests(study, [wanted]) == {wanted: digest(study, wanted)}


def test_json_keeps_every_digit(results: dict[CellKey, CellResult]) -> None:
    for result in results.values():
        assert from_json(json.loads(json.dumps(as_json(result), allow_nan=False))) == result
    integral = CellResult(statistic=1e16, p_value=1.0)
    assert from_json({**as_json(integral), "selected": [10**16, 1, None, None, None]}) == integral


# --- multiplicity ---------------------------------------------------------------------------


def test_families(results: dict[CellKey, CellResult]) -> None:
    wanted = key("tbil", "interval", 4, 12, "A", "B")
    cell = results[wanted]
    with_p = [
        k for k, r in results.items() if k[:4] == wanted[:4] and r.p_value is not None
    ]  # fmt: skip
    assert (cell.holm_size, cell.bh_size) == (4, len(with_p))
    family = [results[k].p_value for k in with_p if k.analyte == "tbil"]
    index = [k for k in with_p if k.analyte == "tbil"].index(wanted)
    assert cell.p_holm == pytest.approx(statistics.holm(family)[index])
    everything = [results[k].p_value for k in with_p]
    assert cell.p_bh == pytest.approx(stats.false_discovery_control(everything)[with_p.index(wanted)])


def test_all_weeks_at_once_are_a_family_of_their_own(results: dict[CellKey, CellResult]) -> None:
    friedman, omnibus = (
        results[key("tbil", "level", 0, 24, "ALL")],
        results[key("tbil", "level", 4, 4, "ALL")],
    )
    assert (friedman.method, friedman.holm_size, friedman.p_holm) == ("friedman", 1, friedman.p_value)
    assert omnibus.holm_size == 5


def test_adjusting_again_changes_nothing(results: dict[CellKey, CellResult]) -> None:
    assert adjust(results) == results
    lost = {k: replace(r, p_value=None) for k, r in results.items()}
    assert all(r.p_holm is None and r.bh_size == 0 for r in adjust(lost).values())


# --- rows -----------------------------------------------------------------------------------


def test_a_row_of_cells(results: dict[CellKey, CellResult]) -> None:
    assert CELLS_COLUMNS[:12] == (
        "population", "measure", "group1", "group2", "analyte", "unit", "week_from", "week_to",
        "n1", "n2", "missing1", "missing2",
    )  # fmt: skip
    wanted = key("tbil", "interval", 4, 12, "LF", "LC")
    result = results[wanted]
    row = dict(zip(CELLS_COLUMNS, cells_row(wanted, result, 12), strict=True))
    assert result.group1 is not None
    assert (row["unit"], row["revision"], row["method"]) == ("umol/L", 12, result.method)
    assert row["n1"] == result.group1.n and row["missing1"] == result.group1.size - result.group1.n
    assert row["q1_1"] == result.group1.summary.q1 and row["p_holm"] == result.p_holm
    alone = key("tbil", "level", 0, 0, "A")
    row = dict(zip(CELLS_COLUMNS, cells_row(alone, results[alone]), strict=True))
    assert (row["n2"], row["mean2"], row["method"], row["revision"], row["note"]) == (None,) * 5


def test_rows_of_tests(results: dict[CellKey, CellResult]) -> None:
    assert (
        *CELLS_COLUMNS[:8], "method", "statistic", "estimate", "ci_low", "ci_high", "p_value",
    ) == TESTS_COLUMNS  # fmt: skip
    shown = key("tbil", "interval", 4, 12, "LF", "LC")
    done = [test for test in results[shown].tests if test.done]
    for row, test in zip(contrasts.tests_rows(shown, results[shown]), done, strict=True):
        assert row[:8] == ("treated", "interval", "LF", "LC", "tbil", "umol/L", 4, 12)
        assert row[8:] == (
            test.method,
            test.statistic,
            test.estimate,
            test.ci_low,
            test.ci_high,
            test.p_value,
        )

    def methods(k: CellKey) -> list[Any]:
        rows = list(contrasts.tests_rows(k, results[k]))
        assert all(len(row) == len(TESTS_COLUMNS) for row in rows)
        return [row[TESTS_COLUMNS.index("method")] for row in rows]

    assert methods(key("tbil", "interval", 4, 12, "A", "B")) == [
        "t_pooled", "t_welch", "levene_mean",
        "mannwhitney_asymptotic", "mannwhitney_cc", "mannwhitney_exact", "hodges_lehmann",
    ]  # fmt: skip
    assert methods(key("tbil", "cumulative", 0, 12, "A")) == [
        "t_paired", "signedrank_asymptotic", "signedrank_cc", "signedrank_exact", "hodges_lehmann",
    ]  # fmt: skip
    assert methods(key("tbil", "level", 12, 12, "ALL")) == ["kruskal", "anova"]
    assert methods(key("tbil", "level", 0, 24, "C")) == ["friedman"]
    assert methods(key("sex", "baseline", 0, 0, "A", "B")) == ["chi2", "chi2_yates", "fisher"]
    assert methods(key("tbil", "level", 12, 12, "A")) == []


def test_subjects_are_counted(study: StudyArrays, results: dict[CellKey, CellResult]) -> None:
    for stratum in protocol.STRATA:
        group = results[key("subjects", "baseline", 0, 0, stratum)].group1
        assert group == GroupResult(
            study.members("treated", stratum).size, 0, 0, 0, 0, 0, Summary(group.n if group else 0)
        )


# --- arrays that do not fit -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"subject_ids": ["S1"] * N}, "ascend"),
        ({"age": [1, 2]}, "index|age"),
        ({"ended": np.zeros((N, 4))}, "shape"),
        ({"diagnosis": ["hepatitis"] * N}, "diagnosis"),
        ({"sex": ["X"] * N}, "sex"),
        ({"values": {"glucose": np.zeros((N, 5))}}, "glucose"),
        ({"values": {"tbil": np.zeros((N, 1))}}, "tbil"),
        ({"censored": {"glucose": np.zeros((N, 5))}}, "glucose"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises((ValueError, IndexError), match=words):
        StudyArrays.build(**arrays(**changes))


def test_a_column_of_the_wrong_length_is_named(study: StudyArrays) -> None:
    with pytest.raises(ValueError, match="age must hold one entry"):
        replace(study, age=study.age[:4])
    with pytest.raises(ValueError, match="ended must have the shape"):
        replace(study, ended=study.ended[:, :4])
    with pytest.raises(ValueError, match="values of tbil must have the shape"):
        replace(study, values={"tbil": study.values["tbil"][:4]})


def test_values_after_death_and_transplantation_are_blanked(study: StudyArrays) -> None:
    gone: Sequence[int] = np.flatnonzero((study.ended == Ended.DEAD).any(axis=1)).tolist()
    assert gone == [3]
    for code in CODES:
        assert (study.values[code][3, 2:] == MISSING).all() and (study.values[code][4, 3:] == MISSING).all()
        assert (study.values[code][3, :2] != MISSING).any()
