"""Ascites and encephalopathy of visits that never took place, in keeping with their labs. Pure, deterministic.

Drawn from a stream of its own, so that the labs and the ward of a seed stay what
they are without it. The shares are our invention.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation

import numpy as np

from analytics.synthetic_labs import LabCell
from analytics.synthetic_study import SeenVisit, Study, Subject
from trial import protocol
from trial.protocol import Diagnosis

SEED = 21
NOT_RECORDED = 0.06
_ASCITES_FROM = (("severe", 2.1), ("moderate", 0.75))
_ENCEPHALOPATHY_FROM = (("4", 4.2), ("3", 3.4), ("2", 2.7), ("1", 2.0))


@dataclass(frozen=True, slots=True)
class Graded:
    """What a physician graded at one visit; empty where nobody wrote it down."""

    subject_id: str
    week: int | None
    visited_on: date
    ascites: str
    encephalopathy: str


def grades(study: Study) -> list[Graded]:
    """Return the grades of every visit of a study; visits without any are left out."""
    random = np.random.default_rng([SEED, len(study.subjects)])
    found = []
    for subject in study.enrolled:
        # how a subject leans towards either, whatever the labs of the day
        leaning = random.normal(0.0, 0.6, size=2)
        for visit in subject.visits:
            noise, written = random.normal(0.0, 0.35, size=2), random.uniform(size=2)
            fluid, mind = _load(subject, visit) + leaning + noise
            one = Graded(
                subject.subject_id,
                visit.week,
                visit.visited_on,
                "" if written[0] < NOT_RECORDED else _grade(fluid, _ASCITES_FROM, "none"),
                "" if written[1] < NOT_RECORDED else _grade(mind, _ENCEPHALOPATHY_FROM, "0"),
            )
            if one.ascites or one.encephalopathy:
                found.append(one)
    return found


def _load(subject: Subject, visit: SeenVisit) -> np.ndarray:
    """Return how much the labs of a visit speak for ascites and for encephalopathy."""
    albumin, inr, tbil = (
        _value(visit, code, usual) for code, usual in (("albumin", 32.0), ("inr", 1.5), ("tbil", 100.0))
    )
    failing = 0.25 if subject.diagnosis is Diagnosis.LIVER_FAILURE else 0.0
    return np.array(
        [0.14 * (33.0 - albumin) + 0.5 * (inr - 1.5) + 0.3, 1.1 * (inr - 1.6) + tbil / 400.0 + failing]
    )


def _value(visit: SeenVisit, code: str, usual: float) -> float:
    cell = visit.labs.get(code, LabCell())
    try:
        number = Decimal(cell.text)
    except InvalidOperation:
        return usual
    analyte = protocol.ANALYTES[code]
    return float(analyte.in_standard_unit(number, cell.unit or analyte.unit))


def _grade(load: float, bounds: tuple[tuple[str, float], ...], otherwise: str) -> str:
    return next((code for code, least in bounds if load >= least), otherwise)
