"""A synthetic study of any size, as the files a hospital would bring."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from analytics import imports
from patients.imports.importing import Outcome, opened
from tests import factories
from trial import audit, protocol

# centre, spread between subjects on the log scale, decimals
LABS = {
    "tbil": (150, 0.6, 1),
    "alt": (120, 0.7, 0),
    "ast": (110, 0.7, 0),
    "pta": (45, 0.3, 1),
    "inr": (1.8, 0.3, 2),
    "creatinine": (75, 0.25, 0),
    "albumin": (32, 0.12, 1),
    "sodium": (138, 0.02, 0),
}
SHARES = {"A": 37, "B": 27, "C": 28, "D": 31}  # the paper's groups
FALLS = (1.0, 0.85, 0.65, 0.55, 0.45)  # what is left of the first value, week by week
VISIT_MISSED = (0.0, 0.02, 0.05, 0.09, 0.14)
VALUE_MISSING = 0.03
RECRUITED = date(2024, 1, 8)


def write(directory: Path, patients: int, *, seed: int = 20200101) -> Path:
    """Write ``subjects.csv``, ``infusions.csv`` and ``visits.csv``."""
    random = np.random.default_rng(seed)
    share = np.array(list(SHARES.values())) / sum(SHARES.values())
    groups = [protocol.GROUPS[i] for i in random.choice(len(SHARES), size=patients, p=share)]
    subjects, infusions = [], []
    for number, group in enumerate(groups):
        code, day = subject(number), RECRUITED + timedelta(days=int(random.integers(300)))
        sex, age = random.choice(["F", "M"], p=[0.2, 0.8]), random.integers(18, 61)
        subjects.append([code, "GE", sex, age, group.diagnosis.value, day])
        given = 8 if group.course is protocol.Course.PROLONGED else 4
        infusions += [[code, k, day + timedelta(days=7 * k)] for k in range(1, given + 1)]
    _write(
        directory / "subjects.csv",
        ["subject_id", "site", "sex", "age", "diagnosis", "recruited_on"],
        subjects,
    )
    _write(directory / "infusions.csv", ["subject_id", "number", "given_on"], infusions)
    starts = [row[2] for row in infusions if row[1] == 1]
    _write(
        directory / "visits.csv",
        ["subject_id", "week", "visit_date", *LABS],
        list(_visits(random, patients, starts)),
    )
    return directory


def subject(number: int) -> str:
    return f"GE-{number + 1:06d}"


def _visits(random: np.random.Generator, patients: int, starts: list[date]) -> Iterator[list[object]]:
    shape = (patients, len(protocol.WEEKS))
    missed = random.random(shape) < np.array(VISIT_MISSED)
    values = {}
    for code, (centre, spread, places) in LABS.items():
        own = random.lognormal(0, spread, patients)[:, None]
        falls = np.array(FALLS) if code in ("tbil", "alt", "ast") else 1.0
        low, high = (
            float(limit or 0)
            for limit in (protocol.ANALYTES[code].hard.low, protocol.ANALYTES[code].hard.high)
        )
        drawn = np.clip(centre * own * falls * random.lognormal(0, spread / 3, shape), low, high)
        values[code] = np.where(random.random(shape) < VALUE_MISSING, np.nan, np.round(drawn, places))
    for row in range(patients):
        for place, week in enumerate(protocol.WEEKS):
            if not missed[row, place]:
                drawn = [values[code][row, place] for code in LABS]
                texts = [
                    "" if np.isnan(x) else f"{x:.{LABS[code][2]}f}"
                    for code, x in zip(LABS, drawn, strict=True)
                ]
                yield [subject(row), week, starts[row] + timedelta(days=7 * week), *texts]


def _write(path: Path, header: list[str], rows: list[list[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def import_study(directory: Path) -> None:
    """Import the three files the way the command does."""
    factories.a_site(code="GE")
    for kind in ("subjects", "infusions", "visits"):
        outcome = import_file(directory / f"{kind}.csv", kind)
        assert outcome.all_accepted, (kind, outcome)


def import_file(path: Path, kind: str, *, asks: bool = True) -> Outcome:
    """Import one file the way the command does; without asking it is held against no soft check."""
    context = imports.context_for(audit.service_account())
    with opened(path, name=path.name, kind=imports.KINDS[kind], context=context) as staged:
        return staged.commit(reason="benchmark", asks=asks)
