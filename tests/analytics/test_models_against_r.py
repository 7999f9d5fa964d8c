"""Survival, hazard ratios, ANCOVA and mixed model: every number R gives for one real cohort, and words without numbers.

``data/pbcseq_models/make_reference.R`` made the reference with survival, cmprsk, lme4 and lm (R 4.2).
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from analytics import cox, mixed, regression, survival
from analytics.survival import End
from trial import protocol

DATA = Path(__file__).parent / "data"
TOLERANCE = 1e-6
NOTHING = 1e-12
PAIRS = {"-".join(pair): pair for pair in protocol.CONTRASTS}
CAUSES = {"death": End.DIED, "transplant": End.TRANSPLANTED}
AT = (7, 28, 84, 168)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


Key = tuple[str, str, str, str, str]


@cache
def reference() -> dict[Key, float]:
    return {
        (row["analysis"], row["comparison"], row["term"], row["at"], row["quantity"]): float(row["value"])
        for row in rows_of(DATA / "pbcseq_models" / "reference.csv")
    }


@dataclass(frozen=True, eq=False)
class Cohort:
    days: NDArray[np.float64]
    ends: NDArray[np.int64]
    fifth: NDArray[np.float64]
    group: NDArray[np.str_]
    tbil: NDArray[np.float64]

    def arm(self, key: str) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Return who is in a comparison, and 1 for those in its first group."""
        first, second = (np.isin(self.group, protocol.STRATA[code]) for code in PAIRS[key])
        inside = first | second
        return inside, first[inside].astype(np.int64)


@cache
def cohort(landmark: bool = False) -> Cohort:
    given: dict[str, dict[int, date]] = {}
    for row in rows_of(DATA / "pbcseq" / "infusions.csv"):
        given.setdefault(row["subject_id"], {})[int(row["number"])] = date.fromisoformat(row["given_on"])
    values = {
        (row["subject_id"], int(row["week"])): float(row["tbil"])
        for row in rows_of(DATA / "pbcseq" / "visits.csv")
        if row["tbil"]
    }
    subjects = rows_of(DATA / "pbcseq" / "subjects.csv")
    ends = rows_of(DATA / "pbcseq_models" / "follow_up.csv")
    assert [row["subject_id"] for row in subjects] == [row["subject_id"] for row in ends]
    names = [row["subject_id"] for row in subjects]
    fifth = np.array(
        [(given[n][5] - given[n][1]).days if 5 in given[n] else np.nan for n in names], np.float64
    )
    days = np.array([float(row["days"]) for row in ends])
    counts = [len(given[n]) for n in names]
    keep = np.ones(len(names), np.bool_)
    if landmark:
        keep = days >= protocol.LANDMARK_DAY
        counts = [
            sum((d - given[n][1]).days <= protocol.LANDMARK_DAY for d in given[n].values()) for n in names
        ]
        days = days - protocol.LANDMARK_DAY
    group = [protocol.group_of(row["diagnosis"], count) for row, count in zip(subjects, counts, strict=True)]
    tbil = [[values.get((n, week), np.nan) for week in protocol.WEEKS] for n in names]
    return Cohort(
        days[keep],
        np.array([int(row["status"]) for row in ends])[keep],
        fifth[keep],
        np.array(group)[keep],
        np.array(tbil)[keep],
    )


Found = Iterator[tuple[Key, float]]


def survival_numbers(name: str, key: str) -> Found:
    who = cohort(name == "landmark")
    inside, arm = who.arm(key)
    days, ends = who.days[inside], who.ends[inside]
    for cause, end in CAUSES.items():
        test = survival.gray(days, ends, 1 - arm, end)
        assert test.statistic is not None and test.p_value is not None, test
        yield (name, key, cause, "", "gray"), test.statistic
        yield (name, key, cause, "", "gray_p"), test.p_value
        for one in (1, 0):
            mine = arm == one
            curve = survival.cumulative_incidence(days[mine], ends[mine], end)
            yield from along(name, key, f"{cause}{one}", "incidence", curve)
            for day, n in zip(AT, survival.at_risk(days[mine], AT), strict=True):
                yield (name, key, f"{cause}{one}", str(day), "at_risk"), n
    died = ends == End.DIED
    test = survival.logrank(days, died, 1 - arm)
    assert test.statistic is not None and test.p_value is not None
    yield (name, key, "survival", "", "logrank"), test.statistic
    yield (name, key, "survival", "", "logrank_p"), test.p_value
    for one in (1, 0):
        curve = survival.kaplan_meier(days[arm == one], died[arm == one])
        yield from along(name, key, f"survival{one}", "km", curve)


def along(name: str, key: str, term: str, quantity: str, curve: survival.Curve) -> Found:
    for day in AT:
        found = curve.at(day)
        if found is None:
            continue
        place = int(np.searchsorted(curve.days, day, side="right")) - 1
        yield (name, key, term, str(day), quantity), found[0]
        yield (name, key, term, str(day), f"{quantity}_se"), float(curve.se[place]) if place >= 0 else 0.0
        if found[1] is not None and found[2] is not None:
            yield (name, key, term, str(day), f"{quantity}_low"), found[1]
            yield (name, key, term, str(day), f"{quantity}_high"), found[2]


def cox_numbers(key: str) -> Found:
    who, at_landmark = cohort(), cohort(landmark=True)
    (inside, arm), (still, later) = who.arm(key), at_landmark.arm(key)
    rows = {
        "naive": cox.fixed(who.days[inside], who.ends[inside] > 0, arm == 1),
        "landmark": cox.fixed(at_landmark.days[still], at_landmark.ends[still] > 0, later == 1),
        "time_dependent": cox.switching(who.days[inside], who.ends[inside] > 0, who.fifth[inside]),
    }
    for name, table in rows.items():
        for ties in ("efron", "breslow"):
            fit = cox.cox(table, ties=ties)
            assert fit.log_ratio is not None and fit.se is not None and fit.p_value is not None
            yield (f"cox_{name}_{ties}", key, "arm", "", "log_ratio"), fit.log_ratio
            yield (f"cox_{name}_{ties}", key, "arm", "", "se"), fit.se
            yield (f"cox_{name}_{ties}", key, "arm", "", "p"), fit.p_value
            if name == "time_dependent":
                yield (f"cox_{name}_{ties}", key, "arm", "", "person_days"), fit.person_days[1]


def ancova_numbers(name: str, key: str, week: int, before: int) -> Found:
    who = cohort(name == "ancova_landmark")
    inside, arm = who.arm(key)
    pair = who.tbil[inside][:, [protocol.WEEKS.index(before), protocol.WEEKS.index(week)]]
    both = np.isfinite(pair).all(axis=1)
    fit = regression.ancova(pair[both, 0], pair[both, 1], arm[both])
    yield (name, key, "arm", str(week), "n"), fit.n1 + fit.n2
    for c in fit.coefficients:
        numbers = {
            "estimate": c.estimate, "se": c.se, "p": c.p_value, "low": c.low, "high": c.high,
            "se_hc3": c.se_hc3, "p_hc3": c.p_hc3,
        }  # fmt: skip
        for quantity, number in numbers.items():
            yield (name, key, c.name, str(week), quantity), number


def mixed_numbers(name: str, key: str) -> Found:
    who = cohort()
    inside, arm = who.arm(key)
    fit = mixed.mixed(who.tbil[inside], arm, protocol.WEEKS, random_slope=name == "mixed_slope")
    assert fit.residual is not None and fit.intercept is not None and fit.log_likelihood is not None
    assert fit.random_slope == (name == "mixed_slope")
    for term, estimate, se in fit.fixed:
        yield (name, key, term, "", "estimate"), estimate
        yield (name, key, term, "", "se"), se
    yield (name, key, "residual", "", "variance"), fit.residual
    yield (name, key, "intercept", "", "variance"), fit.intercept
    if fit.random_slope:
        assert fit.slope is not None and fit.covariance is not None
        yield (name, key, "slope", "", "variance"), fit.slope
        yield (name, key, "intercept_slope", "", "covariance"), fit.covariance
    yield (name, key, "all", "", "reml_log_likelihood"), fit.log_likelihood
    yield (name, key, "all", "", "n_subjects"), fit.n1 + fit.n2
    yield (name, key, "all", "", "n_values"), fit.values
    assert fit.wald is not None and fit.p_value is not None
    yield (name, key, "week:arm", "", "wald"), fit.wald
    yield (name, key, "week:arm", "", "wald_p"), fit.p_value


def everything(name: str) -> Found:
    for key in PAIRS:
        if name in ("treated", "landmark"):
            yield from survival_numbers(name, key)
        elif name == "ancova":
            for week in (4, 12, 24):
                yield from ancova_numbers(name, key, week, 0)
        elif name == "ancova_landmark":
            for week in (12, 24):
                yield from ancova_numbers(name, key, week, 4)
        elif name.startswith("mixed"):
            yield from mixed_numbers(name, key)
        elif key in ("A-B", "C-D"):
            yield from cox_numbers(key)
    if name == "treated":
        who = cohort()
        codes = np.array([protocol.GROUP_CODES.index(code) for code in who.group.tolist()])
        for cause, end in CAUSES.items():
            test = survival.gray(who.days, who.ends, codes, end)
            assert test.statistic is not None and test.p_value is not None
            yield (name, "A-B-C-D", cause, "", "gray"), test.statistic
            yield (name, "A-B-C-D", cause, "", "gray_p"), test.p_value


@pytest.mark.parametrize(
    "name", ["treated", "landmark", "cox", "ancova", "ancova_landmark", "mixed_slope", "mixed_intercept"]
)
def test_every_number_is_r_s(name: str) -> None:
    theirs = {
        key: value
        for key, value in reference().items()
        if key[0] == name or (name == "cox" and key[0].startswith("cox_"))
    }
    ours = dict(everything(name))
    assert ours.keys() == theirs.keys()
    worst, where = 0.0, None
    for key, value in theirs.items():
        apart = abs(ours[key] - value)
        relative = apart / abs(value) if abs(value) > NOTHING else apart
        if relative > worst:
            worst, where = relative, key
    print(f"{name}: {len(theirs)} numbers, largest relative difference {worst:.2g} at {where}")
    assert worst < TOLERANCE, where


def test_an_incidence_that_reaches_everybody_has_no_interval() -> None:
    # 1/9 + 1/9 + 7/9 of doubles is 0.9999999999999999
    curve = survival.cumulative_incidence(
        [7, 7, 7, 28, 28, 0, 28, 84, 14], [0, 0, 1, 0, 0, 1, 0, 1, 0], survival.End.DIED
    )
    value, low, high = curve.at(84) or (0.0, 0.0, 0.0)
    assert (low, high) == (None, None) and value == pytest.approx(1)
    assert curve.at(7) == pytest.approx((2 / 9, 0.028018053068, 0.531095475445))


def test_a_covariate_that_one_subject_alone_tells_is_said_so() -> None:
    before, after, arm = [40, 40, 40, 40, 80, 40], [80, 40, 80, 80, 80, 20], [1, 1, 1, 0, 0, 0]
    assert regression.ancova(before, after, arm).note == regression.ONE_APART
    assert regression.ancova(before, before, arm).note == regression.NOTHING_LEFT
