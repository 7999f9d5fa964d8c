"""The laboratory of the demonstration study: where values start, how they move, how they are printed.

The levels follow published cohorts (:mod:`analytics.synthetic`); the course
afterwards is invented. INR and PTA come from one clotting time, bilirubin,
INR and creatinine rise before a death. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trial import protocol
from trial.protocol import Diagnosis

Array = NDArray[np.float64]

MISSING_CELLS = 0.025
HBV_DNA_LIMIT = 20


@dataclass(slots=True)
class LabCell:
    """One value as a laboratory would print it, or the reason why there is none."""

    text: str = ""
    unit: str = ""
    missing: str = ""


@dataclass(frozen=True, slots=True)
class Draws:
    """All random numbers, drawn before any decision: one subject's fate leaves the others alone."""

    severity: Array
    response: Array
    uniform: Array
    start: Array
    noise: Array
    missing: Array
    jitter: Array
    infusion: Array
    dose: Array


@dataclass(frozen=True, slots=True)
class Luck:
    """One subject's share of the random numbers."""

    draws: Draws
    i: int

    def __getattr__(self, name: str) -> Any:
        return getattr(self.draws, name)[self.i]


@dataclass(frozen=True, slots=True)
class Levels:
    """Where one diagnosis starts and what it tends to; medians and spreads of logarithms."""

    tbil: tuple[float, float]
    alt: tuple[float, float]
    inr_above_one: tuple[float, float]
    albumin: tuple[float, float]
    platelets: tuple[float, float]
    hbv_log10: tuple[float, float]
    afp: tuple[float, float]
    tbil_floor: float
    inr_floor: float
    albumin_later: float
    rates: tuple[float, float, float]
    death_logit: float


LEVELS = {
    Diagnosis.LIVER_FAILURE: Levels(
        (305.0, 0.36), (165.0, 0.80), (1.10, 0.28), (31.0, 3.2), (102.0, 0.42), (5.2, 1.5), (55.0, 0.9),
        17.0, 1.06, 36.5, (0.115, 0.30, 0.085), -2.2,
    ),
    Diagnosis.CIRRHOSIS: Levels(
        (52.0, 0.50), (64.0, 0.55), (0.42, 0.30), (30.5, 3.8), (70.0, 0.45), (4.3, 1.5), (12.0, 0.8),
        19.0, 1.14, 34.5, (0.060, 0.22, 0.030), -4.1,
    ),
}  # fmt: skip
_COURSE_ON_RATE = {"A": (0.92, 1.18), "B": (1.06, 0.92), "C": (1.0, 1.30), "D": (1.0, 0.88)}
"""How the rate of recovery is bent before and after week 4; our invention."""

_NOISE = {
    "tbil": 0.10, "alt": 0.14, "ast": 0.13, "inr": 0.045, "pta": 0.05, "creatinine": 0.08, "platelets": 0.11,
    "wbc": 0.20, "afp": 0.25,
}  # fmt: skip
_WEEKS = np.array(protocol.WEEKS, dtype=float)
SLOTS = (*protocol.WEEKS, -1)  # the last slot is for an unscheduled draw
PANEL = (
    "tbil",
    "alt",
    "ast",
    "pta",
    "inr",
    "creatinine",
    "albumin",
    "sodium",
    "platelets",
    "wbc",
    "hbv_dna",
    "afp",
)
_RARE = {"hbv_dna": {0, 4, 12, 24}, "afp": {0, 12, 24}, "wbc": {0, 1, 4, 12, 24, -1}}


def course_of_values(
    diagnosis: Diagnosis, group: str, luck: Luck, *, first: date, died_on: date | None
) -> Array:
    """Return the analytes of :data:`PANEL` at each slot of :data:`SLOTS`, before rounding."""
    levels = LEVELS[diagnosis]
    severity, response, start = float(luck.severity), float(luck.response), luck.start
    weeks = np.append(_WEEKS, 2.4)
    early, late = _COURSE_ON_RATE[group]
    pace = np.exp(0.40 * response - 0.10 * severity)
    elapsed = early * np.minimum(weeks, 4.0) + late * np.maximum(weeks - 4.0, 0.0)
    worse = _decline(died_on, first, weeks)

    def spread(level: tuple[float, float], part: int, weight: float) -> float:
        centre, width = level
        return float(centre * np.exp(width * (weight * severity + np.sqrt(1 - weight**2) * start[part])))

    def towards(floor: float, begin: float, rate: float) -> Array:
        return np.asarray(floor + (begin - floor) * np.exp(-rate * pace * elapsed))

    tbil_rate, alt_rate, inr_rate = levels.rates
    tbil = towards(levels.tbil_floor, spread(levels.tbil, 0, 0.65), tbil_rate) * np.exp(0.55 * worse)
    alt = towards(28.0, spread(levels.alt, 1, 0.15), alt_rate) * np.exp(0.25 * worse)
    ast = 3.4 * alt**0.74 * np.exp(0.18 * start[2] + 0.15 * worse)
    inr = towards(levels.inr_floor, 1 + spread(levels.inr_above_one, 3, 0.60), inr_rate) * np.exp(
        0.30 * worse
    )
    creatinine = 76.0 * np.exp(0.20 * start[4] + 0.06 * severity) * np.exp(0.50 * worse)
    albumin = levels.albumin_later + (
        levels.albumin[0] - levels.albumin_later - 0.9 * severity + levels.albumin[1] * start[5] * 0.8
    ) * np.exp(-0.06 * elapsed)
    sodium = 136.8 - 0.7 * severity + 1.6 * start[6] + 0.03 * elapsed - 3.0 * worse
    platelets = spread(levels.platelets, 7, 0.20) * (1 + 0.006 * elapsed)
    wbc = 5.6 * np.exp(0.25 * start[8] + 0.10 * severity) * np.exp(0.35 * worse)
    hbv = 10 ** np.maximum(
        levels.hbv_log10[0]
        + levels.hbv_log10[1] * start[9]
        - 2.6 * (1 - np.exp(-0.5 * weeks))
        - 0.11 * weeks,
        0.3,
    )
    afp = 3.0 + spread(levels.afp, 10, 0.0) * np.exp(-0.05 * weeks)
    pta = 100.0 * inr**-1.2
    rows = np.stack(np.broadcast_arrays(
        tbil, alt, ast, pta, inr, creatinine, albumin, sodium, platelets, wbc, hbv, afp), axis=1)  # fmt: skip
    return _noisy(rows.astype(float), luck.noise)


def _decline(died_on: date | None, first: date, weeks: Array) -> Array:
    """Return how far a dying liver has got worse at each week: it begins five weeks before the death."""
    if died_on is None:
        return np.zeros_like(weeks)
    left = (died_on - first).days / 7.0 - weeks
    return np.clip((5.0 - left) / 5.0, 0.0, 1.2)


def _noisy(rows: Array, noise: Array) -> Array:
    noisy = rows.copy()
    for place, code in enumerate(PANEL):
        if code in _NOISE:
            noisy[:, place] *= np.exp(_NOISE[code] * noise[:, place])
    noisy[:, PANEL.index("albumin")] += 1.0 * noise[:, PANEL.index("albumin")]
    noisy[:, PANEL.index("sodium")] += 1.7 * noise[:, PANEL.index("sodium")]
    noisy[:, PANEL.index("hbv_dna")] *= np.exp(0.3 * noise[:, PANEL.index("hbv_dna")])
    inr, pta = PANEL.index("inr"), PANEL.index("pta")
    # one clotting time makes both: what is noise in one shows in the other
    noisy[:, pta] *= np.exp(-1.2 * _NOISE["inr"] * noise[:, inr])
    for place, code in enumerate(PANEL):
        limits = protocol.ANALYTES[code].hard
        low = float(limits.low or 0)
        high = float(limits.high or np.inf)
        noisy[:, place] = np.clip(noisy[:, place], low * 1.02, high * 0.98)
    noisy[:, inr] = np.maximum(noisy[:, inr], 0.86)
    noisy[:, pta] = np.clip(noisy[:, pta], 9.0, 126.0)
    return noisy


def printed_panel(luck: Luck, slot: int, row: Array, *, other_units: bool) -> dict[str, LabCell]:
    """Return what the laboratory reports for one draw."""
    labs: dict[str, LabCell] = {}
    week = SLOTS[slot]
    spoiled = luck.missing[slot, len(PANEL) + 2] < 0.01  # the whole tube
    for place, code in enumerate(PANEL):
        if code in _RARE and week not in _RARE[code]:
            continue
        chance = luck.missing[slot, place]
        if (spoiled and code in ("creatinine", "sodium", "alt", "ast", "tbil")) or chance < MISSING_CELLS:
            if chance < MISSING_CELLS / 3 and code not in protocol.REQUIRED_ANALYTES:
                continue
            labs[code] = LabCell(missing="haemolysed" if spoiled else _why(chance))
            continue
        labs[code] = _printed(code, float(row[place]), other_units=other_units)
    return labs


def _why(chance: float) -> str:
    reasons = ("not_drawn", "too_little", "haemolysed", "lost", "not_ordered")
    return reasons[int(chance / MISSING_CELLS * len(reasons))]


def _printed(code: str, value: float, *, other_units: bool) -> LabCell:
    analyte = protocol.ANALYTES[code]
    if code == "hbv_dna":
        return LabCell(
            f"<{HBV_DNA_LIMIT}" if value < HBV_DNA_LIMIT else f"{_three_digits(value):d}", analyte.unit
        )
    if code in ("tbil", "creatinine") and other_units:
        reported = value / float(analyte.accepted["mg/dL"])
        return LabCell(f"{reported:.2f}", "mg/dL")
    decimals = 1 if code in ("tbil", "pta") else analyte.decimals
    return LabCell(f"{value:.{decimals}f}", analyte.unit)


def _three_digits(value: float) -> int:
    return int(float(f"{value:.3g}"))
