#!/usr/bin/env python3
"""Compute every p-value of cells.csv again, from the other files of this export alone.

    python reproduce.py [DIRECTORY]

DIRECTORY holds the exported CSV files (default: where this script lies). Needs
subjects.csv, infusions.csv, labs_long.csv, scores.csv and cells.csv; nothing of the
software that made them. Written for Python 3.10 or newer with numpy 1.22 or newer and
scipy 1.8 or newer. Writes reproduced.csv beside the files.

Exit status: 0 every p-value agrees, 1 one or more differ, 2 a file cannot be used.
"""

import csv
import itertools
import math
import sys
from collections import Counter
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import numpy as np
import scipy
from scipy import stats

TOLERANCE = 1e-6  # relative
# scipy's normal quantiles have seven digits, which Shapiro-Wilk of thousands of values shows; R's have all
SHAPIRO_TOLERANCE = 5e-6
# Shapiro-Wilk of three values of which two are equal has p = 0 exactly, as the difference of two
# arcsines; every program prints what rounding leaves of it
NOTHING_OF_THREE = 1e-12
ALPHA = 0.05
LANDMARK_DAY = 28  # infusions until this day, counted from the first, make the landmark group
PROLONGED_FROM = 5  # infusions
SHAPIRO_MOST = 5000  # Royston's approximation ends there
POOLED_AGE = 90  # stands in a de-identified file for every age over 89
VALUE_PLACES, SCORE_PLACES, DIFFERENCE_PLACES = 6, 10, 6
STRATA = {"A": "A", "B": "B", "C": "C", "D": "D", "LF": "AB", "LC": "CD", "ALL": "ABCD"}
KEY = ("population", "measure", "group1", "group2", "analyte", "week_from", "week_to")
P_VALUES = ("p_value", "p_holm", "p_bh", "shapiro_p1", "shapiro_p2")
TOLERANCES = dict.fromkeys(P_VALUES[:3], TOLERANCE) | dict.fromkeys(P_VALUES[3:], SHAPIRO_TOLERANCE)
THREE = {("shapiro_p1", 3), ("shapiro_p2", 3)}
NEEDED = {
    "subjects": {"subject_id", "sex", "age", "diagnosis", "group", "eligible", "treated", "landmark"},
    "infusions": {"subject_id"},
    "labs_long": {"subject_id", "week", "analyte", "value", "after_end"},
    "scores": {"subject_id", "week", "score", "value", "after_end"},
    "cells": {*KEY, *P_VALUES, "n1", "n2", "method"},
}

Row = dict[str, str]
Key = tuple[str, str, str, str, str, int, int]
Chosen = tuple[str, float | None]  # method and p-value
Result = dict[str, Any]


class Unusable(Exception):
    """A file is not there or lacks what is needed."""


# --- the files ------------------------------------------------------------------------------


def read(directory: Path, name: str) -> list[Row]:
    path = directory / f"{name}.csv"
    if not path.exists():
        raise Unusable(f"{path} is not there; export the datasets {', '.join(NEEDED)} as CSV")
    csv.field_size_limit(2**31 - 1)
    with path.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines)
        lacking = NEEDED[name] - set(reader.fieldnames or ())
        if lacking:
            raise Unusable(f"{path} lacks the columns {', '.join(sorted(lacking))}")
        return list(reader)


def yes(text: str) -> bool:
    return text.strip().lower() in {"t", "true", "1", "yes"}


def whole(text: str, places: int) -> int:
    """Return a decimal as a whole number of 10^-places of its unit."""
    return int(Decimal(text).scaleb(places).to_integral_value(ROUND_HALF_UP))


def number(text: str) -> float | None:
    return float(text) if text else None


class Study:
    """The subjects, whose rows they are in which population, and the values by week."""

    def __init__(self, directory: Path) -> None:
        files = {name: read(directory, name) for name in NEEDED}
        self.cells = files["cells"]
        subjects = sorted(files["subjects"], key=lambda row: row["subject_id"])
        self.ids = [row["subject_id"] for row in subjects]
        self.sex = {row["subject_id"]: row["sex"] for row in subjects}
        self.age = {row["subject_id"]: whole(row["age"], VALUE_PLACES) for row in subjects if row["age"]}
        identified = bool(subjects) and "birth_date" in subjects[0]
        limit = POOLED_AGE * 10**VALUE_PLACES
        self.pooled = set() if identified else {who for who, age in self.age.items() if age >= limit}
        early = self.infusions_until_landmark(files["infusions"])
        self.group: dict[tuple[str, str], str] = {}
        for row in subjects:
            who = row["subject_id"]
            for population in ("eligible", "treated", "landmark"):
                if yes(row[population]):
                    self.group[population, who] = row["group"]
            if ("landmark", who) in self.group:
                prolonged = early[who] >= PROLONGED_FROM
                pair = "AB" if row["diagnosis"] == "liver_failure" else "CD"
                self.group["landmark", who] = pair[0] if prolonged else pair[1]
        self.values: dict[tuple[str, int], dict[str, int]] = {}
        for row in files["labs_long"]:
            self.keep(row, row["analyte"], VALUE_PLACES)
        for row in files["scores"]:
            self.keep(row, row["score"], SCORE_PLACES)
        self.places = {row["score"]: SCORE_PLACES for row in files["scores"]}
        self.weeks = sorted({int(row["week_from"]) for row in self.cells if row["measure"] == "level"})

    @staticmethod
    def infusions_until_landmark(infusions: list[Row]) -> Counter[str]:
        days: dict[str, list[int]] = {}
        for row in infusions:
            if "given_day" in row:
                day = int(row["given_day"])
            else:  # an identified export has dates
                day = date.fromisoformat(row["given_on"]).toordinal()
            days.setdefault(row["subject_id"], []).append(day)
        return Counter(
            {who: sum(day <= min(given) + LANDMARK_DAY for day in given) for who, given in days.items()}
        )

    def keep(self, row: Row, code: str, places: int) -> None:
        """A value counts at its week unless it was taken on or after death or transplantation.

        A value below or above a detection limit enters as the limit itself, which is what
        the column ``value`` holds; ``comparator`` only says so.
        """
        if row["week"] and row["value"] and not yes(row["after_end"]):
            self.values.setdefault((code, int(row["week"])), {})[row["subject_id"]] = whole(
                row["value"], places
            )

    def members(self, population: str, stratum: str) -> list[str]:
        return [who for who in self.ids if self.group.get((population, who), "-") in STRATA[stratum]]

    def sample(self, population: str, stratum: str, code: str, start: int, end: int) -> "Sample":
        """Return millionths of the unit: values of a week, or differences earlier - later.

        Whole numbers, so that equal decimals are equal; differences of scores are
        rounded half-even to six places, once.
        """
        places = self.places.get(code, VALUE_PLACES)
        step = 10 ** (places - DIFFERENCE_PLACES)
        if code == "age":
            first: dict[str, int] = self.age
            second: dict[str, int] | None = None
        else:
            first = self.values.get((code, start), {})
            second = self.values.get((code, end), {}) if start != end else None
        found = []
        for who in self.members(population, stratum):
            if who in first and (second is None or who in second):
                x = first[who] - (second[who] if second is not None else 0)
                low, rest = divmod(x, step)
                found.append(low + (2 * rest > step or (2 * rest == step and low % 2 == 1)))
        return Sample(found)


class Sample:
    """Values of one group, with the test of normality."""

    def __init__(self, values: list[int]) -> None:
        self.whole = values
        self.n = len(values)
        self.constant = len(set(values)) < 2
        self.normal_p: float | None = None
        judged = values[:SHAPIRO_MOST]
        if self.n >= 3 and len(set(judged)) > 1:
            # whole numbers around their median: no digit is lost to a distant zero
            middle = sorted(judged)[len(judged) // 2]
            self.normal_p = float(stats.shapiro([float(x - middle) for x in judged]).pvalue)
        self.normal = self.normal_p is not None and self.normal_p >= ALPHA

    @property
    def x(self) -> Any:
        return np.array(self.whole, dtype=float) / 10**DIFFERENCE_PLACES


# --- the rule of the paper ------------------------------------------------------------------


def between(a: Sample, b: Sample) -> Chosen:
    """Both normal: t-test, pooled if Levene's test about the means allows; else Mann-Whitney."""
    if a.normal and b.normal:
        shift = min(a.whole + b.whole)
        x, y = (np.array([v - shift for v in s.whole], dtype=float) for s in (a, b))
        levene = float(stats.levene(x, y, center="mean").pvalue)
        alike = math.isnan(levene) or levene >= ALPHA
        result = stats.ttest_ind(x, y, equal_var=alike)
        return ("t_pooled" if alike else "t_welch"), float(result.pvalue)
    if min(a.n, b.n) < 3 or len(set(a.whole) | set(b.whole)) == 1:
        return "", None
    ranks = stats.rankdata(np.array(a.whole + b.whole, dtype=np.int64))
    if 2 / math.comb(a.n + b.n, a.n) >= ALPHA:
        return "mannwhitney_exact", every_arrangement(ranks, a.n)
    u = float(ranks[: a.n].sum()) - a.n * (a.n + 1) / 2
    total = a.n + b.n
    sigma = math.sqrt(a.n * b.n / 12 * (total + 1 - tied(ranks) / (total * (total - 1))))
    return "mannwhitney_asymptotic", 2 * float(stats.norm.sf(abs(u - a.n * b.n / 2) / sigma))


def every_arrangement(ranks: Any, n: int) -> float:
    """Return the share of all groups of n ranks whose sum lies as far out; there are at most 40."""
    distance = abs(2 * ranks[:n].sum() - n * (ranks.size + 1))
    sums = [2 * sum(some) - n * (ranks.size + 1) for some in itertools.combinations(ranks, n)]
    return float(sum(abs(s) >= distance for s in sums) / len(sums))


def every_sign(ranks: Any, positive: float) -> float:
    """Return the share of all signs whose sum lies as far out; there are at most 32."""
    half = ranks.sum() / 2
    sums = [
        sum(rank for rank, sign in zip(ranks, signs, strict=True) if sign)
        for signs in itertools.product((0, 1), repeat=ranks.size)
    ]
    return float(sum(abs(s - half) >= abs(positive - half) for s in sums) / len(sums))


def tied(ranks: Any) -> int:
    return sum(t**3 - t for t in Counter(ranks.tolist()).values())


def within(d: Sample) -> Chosen:
    """Differences normal: paired t-test; else Wilcoxon's signed ranks without the zeros."""
    if d.normal:
        x = d.x
        return "t_paired", float(stats.ttest_1samp(x, 0.0).pvalue)
    kept = np.array([v for v in d.whole if v], dtype=np.int64)
    if d.n < 3 or not kept.size:
        return "", None
    ranks = stats.rankdata(np.abs(kept))
    positive, n = float(ranks[kept > 0].sum()), kept.size
    if 2 / 2**n >= ALPHA:
        return "signedrank_exact", every_sign(ranks, positive)
    sigma = math.sqrt(n * (n + 1) * (2 * n + 1) / 24 - tied(ranks) / 48)
    return "signedrank_asymptotic", 2 * float(stats.norm.sf(abs(positive - n * (n + 1) / 4) / sigma))


def omnibus(samples: list[Sample]) -> Chosen:
    """Four groups normal: analysis of variance; else Kruskal-Wallis."""
    everything = [v for s in samples for v in s.whole]
    if min(s.n for s in samples) < 3 or len(set(everything)) < 2:
        return "", None
    shift = min(everything)
    moved = [np.array([v - shift for v in s.whole], dtype=float) for s in samples]
    if all(s.normal for s in samples):
        return "anova", float(stats.f_oneway(*moved).pvalue)
    return "kruskal", float(stats.kruskal(*[np.array(s.whole, dtype=np.int64) for s in samples]).pvalue)


def over_weeks(blocks: list[list[int]]) -> Chosen:
    """Friedman's test of the subjects who have every week."""
    if len(blocks) < 3 or all(len(set(block)) == 1 for block in blocks):
        return "", None
    columns = [np.array(column, dtype=np.int64) for column in zip(*blocks, strict=True)]
    return "friedman", float(stats.friedmanchisquare(*columns).pvalue)


def shares(table: list[list[int]]) -> Chosen:
    """Shares of men: Pearson, Yates or Fisher by the size of the table and its least expected count."""
    rows, columns = [sum(row) for row in table], [sum(column) for column in zip(*table, strict=True)]
    if not sum(rows) or 0 in rows or 0 in columns:
        return "", None
    total = sum(rows)
    least = min(rows) * min(columns) / total
    if len(table) > 2:
        return "chi2", float(stats.chi2_contingency(table, correction=False)[1])
    if total < 40 or least < 1:
        return "fisher", float(stats.fisher_exact(table)[1])
    if least < 5:
        return "chi2_yates", float(stats.chi2_contingency(table, correction=True)[1])
    return "chi2", float(stats.chi2_contingency(table, correction=False)[1])


def holm(p: list[float]) -> list[float]:
    order = sorted(range(len(p)), key=p.__getitem__)
    adjusted, largest = [0.0] * len(p), 0.0
    for place, index in enumerate(order):
        largest = max(largest, (len(p) - place) * p[index])
        adjusted[index] = min(1.0, largest)
    return adjusted


def benjamini_hochberg(p: list[float]) -> list[float]:
    order = sorted(range(len(p)), key=p.__getitem__, reverse=True)
    adjusted, smallest = [0.0] * len(p), 1.0
    for place, index in enumerate(order):
        smallest = min(smallest, p[index] * len(p) / (len(p) - place))
        adjusted[index] = smallest
    return adjusted


# --- every row of cells.csv -----------------------------------------------------------------


class Desk:
    """Works through the rows; whatever two of them share is computed once."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self.samples: dict[tuple[tuple[str, ...], tuple[str, int, int]], Sample] = {}

    def sample(self, population: str, stratum: str, *where: Any) -> Sample:
        key = (tuple(self.study.members(population, stratum)), where)
        if key not in self.samples:
            self.samples[key] = self.study.sample(population, stratum, *where)
        return self.samples[key]

    def row(self, key: Key) -> tuple[str, float | None, list[int], list[float | None]]:
        """Return method, p, n and p of Shapiro-Wilk of both groups."""
        population, measure, group1, group2, code, start, end = key
        groups = [group1, group2] if group2 else [group1]
        four = group1 == "ALL" and start == end
        if code == "subjects":
            return "", None, [len(self.study.members(population, group1))], []
        if code == "sex":
            counts = [self.men_and_women(population, group) for group in groups]
            table = [self.men_and_women(population, group) for group in "ABCD"] if four else counts
            method, p = shares(table) if len(table) > 1 and any(map(sum, counts)) else ("", None)
            return method, p, [sum(row) for row in counts], []
        if measure == "level" and start != end:
            blocks = self.complete(population, group1, code)
            method, p = over_weeks(blocks)
            return method, p, [len(blocks)], []
        samples = [self.sample(population, group, code, start, end) for group in groups]
        if group2:
            chosen = between(*samples)
        elif start != end:
            chosen = within(samples[0])
        elif four:
            chosen = omnibus([self.sample(population, group, code, start, end) for group in "ABCD"])
        else:
            chosen = "", None
        return (chosen[0], chosen[1], [s.n for s in samples], [s.normal_p for s in samples])

    def men_and_women(self, population: str, stratum: str) -> list[int]:
        sexes = [self.study.sex[who] for who in self.study.members(population, stratum)]
        return [sexes.count("M"), sexes.count("F")]

    def complete(self, population: str, stratum: str, code: str) -> list[list[int]]:
        weeks = [self.study.values.get((code, week), {}) for week in self.study.weeks]
        return [
            [week[who] for week in weeks]
            for who in self.study.members(population, stratum)
            if all(who in week for week in weeks)
        ]


def families(rows: list[Row], results: list[Result]) -> None:
    """Adjust: Holm over the weeks of one quantity, Benjamini-Hochberg over all quantities as well."""
    narrow: dict[tuple[object, ...], list[Result]] = {}
    wide: dict[tuple[object, ...], list[Result]] = {}
    for row, result in zip(rows, results, strict=True):
        if result["p_value"] is not None:
            all_weeks = row["measure"] == "level" and row["week_from"] != row["week_to"]
            family = (row["population"], row["measure"], row["group1"], row["group2"], all_weeks)
            wide.setdefault(family, []).append(result)
            narrow.setdefault((*family, row["analyte"]), []).append(result)
    for members, column, adjust in (
        *((members, "p_holm", holm) for members in narrow.values()),
        *((members, "p_bh", benjamini_hochberg) for members in wide.values()),
    ):
        for result, p in zip(members, adjust([result["p_value"] for result in members]), strict=True):
            result[column] = p


def reproduce(study: Study) -> tuple[list[Result], set[int]]:
    """Return one result for each row of cells.csv, and the places of the rows that a pooled age hides."""
    desk = Desk(study)
    results: list[Result] = []
    hidden: set[int] = set()
    for place, row in enumerate(study.cells):
        population, measure, group1, group2, code = (row[name] for name in KEY[:5])
        key = (population, measure, group1, group2, code, int(row["week_from"]), int(row["week_to"]))
        method, p, sizes, normal = desk.row(key)
        if row["analyte"] == "age" and study.pooled:
            groups = [row["group1"], *([row["group2"]] if row["group2"] else [])]
            if any(study.pooled & set(study.members(row["population"], group)) for group in groups):
                # cannot be computed without the true age; the family goes on with the file's own p-value
                hidden.add(place)
                method, p = row["method"], number(row["p_value"])
                normal = [number(row["shapiro_p1"]), number(row["shapiro_p2"])][: len(groups)]
        n1, n2 = (*sizes, None)[:2]
        shapiro1, shapiro2 = (*normal, None, None)[:2]
        results.append(
            {"method": method, "n1": n1, "n2": n2, "p_value": p, "p_holm": None, "p_bh": None,
             "shapiro_p1": shapiro1, "shapiro_p2": shapiro2}
        )  # fmt: skip
    families(study.cells, results)
    return results, hidden


def distance(mine: float | None, theirs: float | None) -> float:
    """Return the relative difference; one that is there on one side only is infinite."""
    if mine is None or theirs is None:
        return 0.0 if mine is theirs else math.inf
    if mine == theirs:
        return 0.0
    gap = abs(mine - theirs) / max(abs(mine), abs(theirs))
    return math.inf if math.isnan(gap) else gap


def compare(study: Study, results: list[Result], hidden: set[int]) -> int:
    """Print what agrees and what does not; return the number of rows that differ."""
    counted: Counter[str] = Counter()
    equal: Counter[str] = Counter()
    largest: dict[str, float] = dict.fromkeys(P_VALUES, 0.0)
    different: list[tuple[Row, Result, list[str]]] = []
    for place, (row, mine) in enumerate(zip(study.cells, results, strict=True)):
        if place in hidden:
            continue
        wrong = [
            name
            for name in ("method", "n1", "n2")
            if str("" if mine[name] is None else mine[name]) != row[name]
        ]
        for name in P_VALUES:
            theirs = number(row[name])
            if mine[name] is None and theirs is None:
                continue
            gap = distance(mine[name], theirs)
            if (name, mine.get("n" + name[-1])) in THREE and max(
                mine[name] or 0.0, theirs or 0.0
            ) < NOTHING_OF_THREE:
                gap = 0.0
            counted[name] += 1
            agrees = gap <= TOLERANCES[name]
            equal[name] += agrees
            largest[name] = max(largest[name], gap)
            if not agrees:
                wrong.append(name)
        if wrong:
            different.append((row, mine, wrong))
    for row, mine, wrong in different:
        print("differs:", *(row[name] or "-" for name in KEY))
        for name in wrong:
            print(f"    {name}: cells.csv {row[name] or 'nothing'}, reproduced {mine[name]}")
    print(f"{'column':<12}{'p-values':>10}{'equal':>10}  largest relative difference of what is allowed")
    for name in P_VALUES:
        print(f"{name:<12}{counted[name]:>10}{equal[name]:>10}  {largest[name]:.2g} of {TOLERANCES[name]:g}")
    print(
        f"p-values: {sum(counted.values())}; equal to {TOLERANCE:g} relative: {sum(equal.values())}; "
        f"largest relative difference: {max(largest.values()):.2g}; rows that differ: {len(different)}"
    )
    if hidden:
        print(
            f"not reproducible from this file: {len(hidden)} rows of age, because {len(study.pooled)} subjects are "
            f"over {POOLED_AGE - 1} and a de-identified file pools their ages as {POOLED_AGE}"
        )
    return len(different)


def write(directory: Path, study: Study, results: list[Result], hidden: set[int]) -> None:
    with (directory / "reproduced.csv").open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow([*KEY, "method", "n1", "n2", *P_VALUES, "from_cells"])
        for place, (row, mine) in enumerate(zip(study.cells, results, strict=True)):
            out.writerow(
                [*(row[name] for name in KEY),
                 *("" if mine[name] is None else mine[name] for name in ("method", "n1", "n2", *P_VALUES)),
                 "t" if place in hidden else "f"]
            )  # fmt: skip


def main() -> int:
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent
    print(f"Python {sys.version.split()[0]}, numpy {np.__version__}, scipy {scipy.__version__}")
    try:
        study = Study(directory)
    except Unusable as error:
        print(error)
        return 2
    results, hidden = reproduce(study)
    write(directory, study, results, hidden)
    return 1 if compare(study, results, hidden) else 0


if __name__ == "__main__":
    sys.exit(main())
