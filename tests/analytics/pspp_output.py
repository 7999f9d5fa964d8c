"""What PSPP printed when it ran the exported syntax, held against the exported cells.

PSPP rounds what it prints, most p-values to three decimals; a printed number agrees
when the exported one could have been rounded to it. Two of its numbers are wrong in
version 1.6.2 and not compared: Shapiro-Wilk of fewer than six values (it prints NaN, or a
p that neither R nor scipy finds), and the two-sided p of Fisher's exact test (it prints
values above 1).
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

LEAST_FOR_SHAPIRO = 6
NAMES = "SET TVARS=NAMES TNUMBERS=VALUES.\n"
"""Makes PSPP print names and codes where it would print labels."""

STRATA = {"g": ("A", "B", "C", "D"), "d": ("LF", "LC")}
Printed = dict[tuple[str, str, str, str], str]
"""Printed p-value by block (as the syntax echoes it), variable, method and group."""


@dataclass
class Agreement:
    """What was compared: how many, what differs, what was not printed or is beyond PSPP, the largest distance."""

    compared: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    absent: Counter[str] = field(default_factory=Counter)
    beyond: Counter[str] = field(default_factory=Counter)
    largest: float = 0.0


def printed_by(path: Path) -> Printed:
    """Read the output of ``pspp -o output.csv``."""
    found: Printed = {}
    block, table, friedman = "", "", ""
    rows: list[list[str]] = []
    for line in [*path.read_text(encoding="utf-8").splitlines(), ""]:
        if line.startswith("Table: "):
            table, rows = line.removeprefix("Table: "), []
        elif table and line:
            rows.append(next(csv.reader([line])))
        elif table:
            if table == "Ranks" and len(rows) > 1:
                friedman = rows[1][0].partition("_w")[0]
            for key, p in _p_values(table, rows, friedman):
                found[(block, *key)] = p
            table = ""
        elif re.fullmatch(r"(eligible|treated|landmark) [\w ]+", line):
            block = line
    return found


Found = list[tuple[tuple[str, str, str], str]]


def _p_values(table: str, rows: list[list[str]], friedman: str) -> Found:
    match table:
        case "Independent Samples Test":
            return _two_means(rows)
        case "One-Sample Test":
            return [((row[0], "t_paired", ""), row[3]) for row in rows if row[0]]
        case "ANOVA":
            return [((row[0], "anova", ""), row[6]) for row in rows if row[1] == "Between Groups"]
        case "Chi-Square Tests":
            names = {"Pearson Chi-Square": "chi2", "Continuity Correction": "chi2_yates"}
            found = [(("sex", names[row[0]], ""), row[3]) for row in rows if row[0] in names]
            return found + [
                (("sex", "fisher", ""), row[4]) for row in rows if row[0] == "Fisher's Exact Test"
            ]
        case "Tests of Normality":
            return _normality(rows)
        case "Test Statistics":
            return _ranks(rows, friedman)
    return []


def _two_means(rows: list[list[str]]) -> Found:
    found: Found = []
    variable = ""
    for row in rows:
        variable = row[0] or variable
        if row[1] == "Equal variances assumed":
            found += [((variable, "levene_mean", ""), row[3]), ((variable, "t_pooled", ""), row[6])]
        elif row[1] == "Equal variances not assumed":
            found.append(((variable, "t_welch", ""), row[6]))
    return found


def _normality(rows: list[list[str]]) -> Found:
    factor, variable = rows[0][1], ""
    strata = ("ALL",) if factor == "everybody" else STRATA[factor[-1]]
    found: Found = []
    for row in rows[2:]:
        variable = row[0] or variable
        found.append(((variable, "shapiro", strata[int(float(row[1])) - 1]), row[4]))
    return found


def _ranks(rows: list[list[str]], friedman: str) -> Found:
    head = rows[0]
    if "Mann-Whitney U" in head:
        place = head.index("Asymp. Sig. (2-tailed)")
        return [((row[0], "mannwhitney_asymptotic", ""), row[place]) for row in rows[1:]]
    p_values = next(row for row in rows if row[0].startswith("Asymp"))
    if head[0] == "N":
        return [((friedman, "friedman", ""), p_values[1])]
    method = "signedrank_asymptotic" if any(" - zero" in name for name in head) else "kruskal"
    names = [name.removesuffix(" - zero") for name in head[1:]]
    return [((name, method, ""), p) for name, p in zip(names, p_values[1:], strict=True)]


def compare(printed: Printed, cells: list[dict[str, str]]) -> Agreement:
    """Hold every p-value of the exported cells against what was printed for it."""
    agreement = Agreement()
    for row in cells:
        name, all_weeks = variable(row), row["measure"] == "level" and row["week_from"] != row["week_to"]
        groups = " ".join(part for part in (row["group1"], row["group2"]) if part)
        one_time = row["measure"] in ("level", "baseline") and not all_weeks
        groups = "four groups" if groups == "ALL" and one_time else groups
        where = (f"{row['population']} {groups}", row["analyte"] if all_weeks else name)
        if row["method"] == "fisher":
            agreement.beyond["fisher"] += 1
        elif row["p_value"]:
            _hold(agreement, printed, (*where, row["method"], ""), row["p_value"])
        for column, group in (("shapiro_p1", "group1"), ("shapiro_p2", "group2")):
            if row[column] and int(row[f"n{column[-1]}"]) < LEAST_FOR_SHAPIRO:
                agreement.beyond["shapiro"] += 1
            elif row[column]:
                key = (f"{row['population']} normality", name, "shapiro", row[group])
                _hold(agreement, printed, key, row[column])
    return agreement


def variable(row: dict[str, str]) -> str:
    """Return the name that the syntax gives to what a cell is about."""
    if row["measure"] == "baseline":
        return row["analyte"]
    weeks = f"w{row['week_from']}"
    if row["week_from"] != row["week_to"]:
        weeks = f"d{row['week_from']}_{row['week_to']}"
    return f"{row['analyte']}_{weeks}"


def _hold(agreement: Agreement, printed: Printed, key: tuple[str, str, str, str], ours: str) -> None:
    method = key[2]
    text = printed.get(key, "")
    if not text.strip(". "):
        agreement.absent[method] += 1
        return
    gap, allowed = abs(float(text) - float(ours)), half_of_the_last_digit(text)
    agreement.compared[method] += 1
    agreement.largest = max(agreement.largest, gap)
    if not gap <= allowed * (1 + 1e-9) + 1e-12:
        agreement.wrong.append(f"{key}: cells {ours}, PSPP {text}")


def half_of_the_last_digit(text: str) -> float:
    """Return how far a number may lie from its printed form: ``.034`` means 0.0335 to 0.0345."""
    mantissa, _e, power = text.upper().partition("E")
    decimals = len(mantissa.partition(".")[2])
    return 0.5 * float(10.0 ** (int(power or 0) - decimals))
