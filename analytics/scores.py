"""The score of a visit with everything that made it, and the scores of many visits at once.

The formulas are in :mod:`analytics.meld`. Values come in the study's standard units;
statistics use the unrounded score, screens the reported one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from functools import lru_cache
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analytics.meld import (
    ALBUMIN_HIGH,
    ALBUMIN_LOW,
    CREATININE_CEILING,
    CREATININE_CEILING_3_0,
    FEMALE_POINTS,
    FLOOR,
    PER_POINT,
    SODIUM_COUNTS_ABOVE,
    SODIUM_HIGH,
    SODIUM_LOW,
    half_up,
    meld_3_0,
    meld_2001,
    meld_2001_bounded,
    meld_aetiology,
    meld_na_kim2008,
    meld_na_optn2016,
    meld_na_optn2016_reported,
    meld_unos_2002,
    points_3_0,
    points_2001,
    points_unos,
    reported,
    sodium_points,
    with_sodium,
)
from analytics.samples import MISSING, SCALE, Floats, Ints, Sentence, _, say, scaled
from analytics.study_arrays import SCORE_PLACES, Bools
from trial import protocol, units
from trial.protocol import Sex

__all__ = [
    "InputUsed",
    "ScoreResult",
    "Term",
    "compute",
    "compute_many",
    "half_up",
    "meld_3_0",
    "meld_2001",
    "meld_2001_bounded",
    "meld_aetiology",
    "meld_na_kim2008",
    "meld_na_optn2016",
    "meld_na_optn2016_reported",
    "meld_unos_2002",
    "reported",
]  # fmt: skip

YOUNG_BELOW = 18
NEEDS_TWELVE = ("meld_na_optn2016", "meld_3_0")


# --- the score of a visit -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class InputUsed:
    """One input of a score, in the study's standard unit.

    Parameters
    ----------
    code
        Analyte.
    used
        The value that entered the formula.
    clamped_from
        What was measured, if a bound replaced it.
    note
        Which bound.
    """

    code: str
    used: Decimal
    clamped_from: Decimal | None = None
    note: Sentence | None = None


@dataclass(frozen=True, slots=True)
class Term:
    """One summand of a score as it is shown: what it is, and its points."""

    label: str
    points: float


@dataclass(frozen=True, slots=True)
class ScoreResult:
    """A score with everything that made it, or the words why there is none.

    Parameters
    ----------
    variant
        Code of :data:`trial.protocol.SCORES`.
    value
        Unrounded score, to ten decimals; what statistics use.
    reported
        Integer for display.
    inputs_used
        Inputs in the order of the variant, bounds applied.
    terms
        Summands; they add up to the value.
    obstacle
        Why there is no value.
    """

    variant: str
    value: Decimal | None = None
    reported: int | None = None
    inputs_used: tuple[InputUsed, ...] = ()
    terms: tuple[Term, ...] = ()
    obstacle: Sentence | None = None

    @property
    def why_not(self) -> str:
        """The obstacle in English; empty when there is a value."""
        return str(self.obstacle) if self.obstacle else ""


MISSING_INPUT = _("not computable: {inputs} missing")
ABSURD_INPUT = _("not computable: {input} of {value} {unit} is outside {low} to {high}")
NOT_POSITIVE = _("not computable: {input} of {value} {unit} is not above zero")
SEX_MISSING = Sentence(_("not computable: sex missing"))
AGE_MISSING = Sentence(_("not computable: age missing"))
TOO_YOUNG = _("not computable: younger than {age} years")
RAISED = _("raised to the floor of {bound}")
LOWERED = _("lowered to the ceiling of {bound}")
DIALYSED = _("set to {bound} because of dialysis")


@dataclass(frozen=True, slots=True)
class _Bounds:
    """Ends of the range within which a formula holds an input, in conventional units."""

    low: float | None = None
    high: float | None = None
    dialysed: float | None = None


_FROM_ONE = _Bounds(low=FLOOR)
_UNOS_BOUNDS: Mapping[str, _Bounds] = {
    "tbil": _FROM_ONE,
    "inr": _FROM_ONE,
    "creatinine": _Bounds(FLOOR, CREATININE_CEILING, CREATININE_CEILING),
}
_SODIUM_BOUNDS = _Bounds(SODIUM_LOW, SODIUM_HIGH)
_BOUNDS: Mapping[str, Mapping[str, _Bounds]] = MappingProxyType(
    {
        "meld_2001_raw": {},
        "meld_unos_2002": _UNOS_BOUNDS,
        "meld_na_optn2016": {**_UNOS_BOUNDS, "sodium": _SODIUM_BOUNDS},
        "meld_3_0": {
            "tbil": _FROM_ONE,
            "inr": _FROM_ONE,
            "creatinine": _Bounds(FLOOR, CREATININE_CEILING_3_0, CREATININE_CEILING_3_0),
            "sodium": _SODIUM_BOUNDS,
            "albumin": _Bounds(ALBUMIN_LOW, ALBUMIN_HIGH),
        },
    }
)
_CONVENTIONAL: Mapping[str, Decimal] = MappingProxyType(
    {
        "tbil": units.BILIRUBIN_UMOL_PER_MG_DL,
        "creatinine": units.CREATININE_UMOL_PER_MG_DL,
        "albumin": units.GRAMS_PER_LITRE_IN_G_DL,
    }
)
"""Standard units in one conventional unit."""
_SIX_PLACES = Decimal(1).scaleb(-units.STORED_PLACES)


def compute(
    variant_code: str,
    inputs: Mapping[str, Decimal | None],
    *,
    sex: Sex | str | None = None,
    age: Decimal | int | None = None,
    dialysed: bool = False,
    points: int | None = None,
) -> ScoreResult:
    """Compute one score of one visit.

    Parameters
    ----------
    variant_code
        Code of :data:`trial.protocol.SCORES`.
    inputs
        Values of one draw by analyte code, in standard units (umol/L, ratio, mmol/L, g/L).
    sex
        Needed by MELD 3.0.
    age
        Years at registration; needed by MELD 3.0 for men, and MELD-Na is not defined below 12.
    dialysed
        At least two dialyses or 24 hours of haemodiafiltration within seven days.
    points
        The score in 10^-10 points if :func:`compute_many` has computed it already.

    Returns
    -------
    ScoreResult
        A value or an obstacle; never both, never NaN.
    """
    variant = protocol.SCORE_AT[variant_code]
    given = {code: inputs.get(code) for code in variant.inputs}
    present = {code: value for code, value in given.items() if value is not None}
    obstacle = _missing(given) or _absurd(present) or _person(variant_code, sex, age)
    if obstacle is not None:
        return ScoreResult(variant_code, obstacle=obstacle)
    stored = {code: _stored(value) for code, value in present.items()}
    used = tuple(_used(variant_code, code, value, dialysed) for code, value in stored.items())
    young = age is not None and age < YOUNG_BELOW
    if points is None:
        # the array form is the only one that turns measured values into points
        one = compute_many(
            variant_code,
            {code: np.array([int(value * SCALE)]) for code, value in stored.items()},
            sex=[str(sex or "")],
            age=scaled([age]),
            dialysed=np.array([dialysed]),
        )
        points = int(one[0])
    value = Decimal(points).scaleb(-SCORE_PLACES)
    x = {entry.code: _conventional(entry.code, entry.used) for entry in used}
    terms = _terms(variant_code, x, _extra(sex, young))
    return ScoreResult(variant_code, value, _shown(variant_code, float(value), x), used, terms)


def _missing(given: Mapping[str, Decimal | None]) -> Sentence | None:
    absent = [protocol.label_of(code) for code, value in given.items() if value is None]
    return say(MISSING_INPUT, inputs=", ".join(absent)) if absent else None


def _absurd(given: Mapping[str, Decimal]) -> Sentence | None:
    for code, value in given.items():
        finite = value.is_finite()
        if finite and _usable(code, value):
            continue
        analyte = protocol.ANALYTES[code]
        words = {"input": analyte.label, "value": value, "unit": analyte.unit_symbol}
        if finite and analyte.hard.holds(value):
            return say(NOT_POSITIVE, **words)
        return say(ABSURD_INPUT, **words, low=analyte.hard.low, high=analyte.hard.high)
    return None


# a laboratory reports a few hundred different values of an analyte, in tens of thousands of visits


@lru_cache(maxsize=65536)
def _usable(code: str, value: Decimal) -> bool:
    return protocol.ANALYTES[code].hard.holds(value) and _stored(value) > 0


def _person(variant_code: str, sex: Sex | str | None, age: Decimal | int | None) -> Sentence | None:
    if variant_code == "meld_3_0":
        if not sex:
            return SEX_MISSING
        if age is None and sex != Sex.FEMALE:
            return AGE_MISSING
    if variant_code in NEEDS_TWELVE and age is not None and age < protocol.YOUNGEST_AGE_MELD_NA:
        return say(TOO_YOUNG, age=protocol.YOUNGEST_AGE_MELD_NA)
    return None


def _extra(sex: Sex | str | None, young: bool) -> float:
    return FEMALE_POINTS if young or sex == Sex.FEMALE else 0.0


@lru_cache(maxsize=65536)
def _stored(value: Decimal) -> Decimal:
    """Return the value with the six decimals that the study keeps."""
    return value.quantize(_SIX_PLACES, rounding=ROUND_HALF_EVEN)


def _conventional(code: str, value: Decimal) -> float:
    return float(value) / float(_CONVENTIONAL.get(code, Decimal(1)))


@lru_cache(maxsize=65536)
def _used(variant_code: str, code: str, value: Decimal, dialysed: bool) -> InputUsed:
    """Say what an input counts as, in its standard unit."""
    bounds = _BOUNDS[variant_code].get(code, _Bounds())
    factor = _CONVENTIONAL.get(code, Decimal(1))
    plain = value.normalize() if value != value.to_integral_value() else value.quantize(Decimal(1))

    def held(bound: float, words: str) -> InputUsed:
        limit = Decimal(str(bound)) * factor
        limit = limit.quantize(Decimal(1)) if limit == limit.to_integral_value() else limit.normalize()
        if limit == plain:
            return InputUsed(code, plain)
        return InputUsed(code, limit, plain, say(words, bound=limit))

    if dialysed and bounds.dialysed is not None:
        return held(bounds.dialysed, DIALYSED)
    if bounds.low is not None and value < Decimal(str(bounds.low)) * factor:
        return held(bounds.low, RAISED)
    if bounds.high is not None and value > Decimal(str(bounds.high)) * factor:
        return held(bounds.high, LOWERED)
    return InputUsed(code, plain)


def _terms(variant_code: str, x: Mapping[str, float], extra: float) -> tuple[Term, ...]:
    """Return the summands of a score; ``x`` holds conventional units, bounds applied."""
    ln = {code: math.log(x[code]) for code in ("tbil", "inr", "creatinine")}
    if variant_code == "meld_2001_raw":
        return (
            Term("3.8 ln(TBIL)", 3.8 * ln["tbil"]),
            Term("11.2 ln(INR)", 11.2 * ln["inr"]),
            Term("9.6 ln(creatinine)", 9.6 * ln["creatinine"]),
            Term("6.4 x aetiology", 6.4 * protocol.AETIOLOGY_TERM),
        )
    if variant_code == "meld_3_0":
        low_sodium, low_albumin = SODIUM_HIGH - x["sodium"], ALBUMIN_HIGH - x["albumin"]
        return (
            Term("female, or younger than 18", extra),
            Term("4.56 ln(TBIL)", 4.56 * ln["tbil"]),
            Term("0.82 (137 - Na)", 0.82 * low_sodium),
            Term("-0.24 (137 - Na) ln(TBIL)", -0.24 * low_sodium * ln["tbil"]),
            Term("9.09 ln(INR)", 9.09 * ln["inr"]),
            Term("11.14 ln(creatinine)", 11.14 * ln["creatinine"]),
            Term("1.85 (3.5 - albumin)", 1.85 * low_albumin),
            Term("-1.83 (3.5 - albumin) ln(creatinine)", -1.83 * low_albumin * ln["creatinine"]),
            Term("6", 6.0),
        )
    unos = (
        Term("9.57 ln(creatinine)", 9.57 * ln["creatinine"]),
        Term("3.78 ln(TBIL)", 3.78 * ln["tbil"]),
        Term("11.20 ln(INR)", 11.20 * ln["inr"]),
        Term("6.43", 6.43),
    )
    if variant_code == "meld_unos_2002":
        return unos
    m = points_unos(ln["tbil"], ln["inr"], ln["creatinine"], 1)
    counts = m > SODIUM_COUNTS_ABOVE
    low_sodium = SODIUM_HIGH - x["sodium"]
    return (*unos, Term("(1.32 - 0.033 MELD) (137 - Na)", sodium_points(m, low_sodium) if counts else 0.0))


def _shown(variant_code: str, value: float, x: Mapping[str, float]) -> int:
    if variant_code == "meld_na_optn2016":  # the policy enters sodium into the rounded MELD
        ln_b, ln_i, ln_c = (math.log(x[code]) for code in ("tbil", "inr", "creatinine"))
        return reported(with_sodium(float(half_up(points_unos(ln_b, ln_i, ln_c, 1))), x["sodium"]))
    return reported(value, bounded=variant_code != "meld_2001_raw")


# --- many visits at once --------------------------------------------------------------------


def compute_many(
    variant_code: str,
    inputs: Mapping[str, ArrayLike],
    *,
    sex: ArrayLike = "",
    age: ArrayLike = MISSING,
    dialysed: ArrayLike = False,
) -> Ints:
    """Compute one score for many visits; equal, digit for digit, to :func:`compute`.

    Parameters
    ----------
    variant_code
        Code of :data:`trial.protocol.SCORES`.
    inputs
        Integers that count millionths of the standard unit, by analyte code, ``MISSING``
        where there is none; all of one shape.
    sex
        ``F``, ``M`` or empty, by visit.
    age
        Years x 10^6, or ``MISSING``, by visit.
    dialysed
        Whether dialysed, by visit.

    Returns
    -------
    NDArray[np.int64]
        Integers that count 10^-10 points; ``MISSING`` where :func:`compute` gives an
        obstacle.
    """
    variant = protocol.SCORE_AT[variant_code]
    arrays = {code: np.asarray(inputs[code], dtype=np.int64) for code in variant.inputs}
    shape = next(iter(arrays.values())).shape
    usable = np.ones(shape, np.bool_)
    for code, array in arrays.items():
        hard = protocol.ANALYTES[code].hard
        low = 1 if hard.low is None else max(1, int(hard.low * SCALE))
        high = np.iinfo(np.int64).max if hard.high is None else int(hard.high * SCALE)
        usable &= (array >= low) & (array <= high)
    extra, defined = _extra_points(variant_code, sex, age)
    usable &= defined
    on_dialysis = np.broadcast_to(np.asarray(dialysed, dtype=np.bool_), shape)[usable]
    x: dict[str, Floats] = {}
    for code, array in arrays.items():
        bounds = _BOUNDS[variant_code].get(code, _Bounds())
        values = array[usable] / SCALE / float(_CONVENTIONAL.get(code, Decimal(1)))
        if bounds.low is not None or bounds.high is not None:
            values = np.clip(values, bounds.low, bounds.high)
        x[code] = values if bounds.dialysed is None else np.where(on_dialysis, bounds.dialysed, values)
    points = np.full(shape, MISSING)
    points[usable] = np.rint(
        _many_points(variant_code, x, np.broadcast_to(extra, shape)[usable]) * PER_POINT
    ).astype(np.int64)
    return points


def _many_points(variant_code: str, x: Mapping[str, Floats], extra: Floats) -> Floats:
    ln_b, ln_i, ln_c = (_logarithms(x[code]) for code in ("tbil", "inr", "creatinine"))
    if variant_code == "meld_2001_raw":
        return points_2001(ln_b, ln_i, ln_c, protocol.AETIOLOGY_TERM)
    if variant_code == "meld_3_0":
        return points_3_0(ln_b, ln_i, ln_c, SODIUM_HIGH - x["sodium"], ALBUMIN_HIGH - x["albumin"], extra)
    m = points_unos(ln_b, ln_i, ln_c, 1)
    if variant_code == "meld_unos_2002":
        return m
    adjusted: Floats = np.where(m > SODIUM_COUNTS_ABOVE, m + sodium_points(m, SODIUM_HIGH - x["sodium"]), m)
    return adjusted


def _logarithms(values: Floats) -> Floats:
    """Return natural logarithms by the mathematical library, which numpy's own differ from in the last bit."""
    distinct, places = np.unique(values, return_inverse=True)
    return np.array([math.log(value) for value in distinct.tolist()], dtype=np.float64)[places]


def _extra_points(variant_code: str, sex: ArrayLike, age: ArrayLike) -> tuple[Floats, Bools]:
    """Return the points of MELD 3.0 for sex and age, and where the person allows the score at all."""
    sexes: NDArray[np.str_] = np.asarray(sex, dtype=np.str_)
    ages: Ints = np.asarray(age, dtype=np.int64)
    known, female = ages != MISSING, sexes == Sex.FEMALE.value
    defined = np.ones(np.broadcast_shapes(sexes.shape, ages.shape), np.bool_)
    if variant_code in NEEDS_TWELVE:
        defined &= ~(known & (ages < protocol.YOUNGEST_AGE_MELD_NA * SCALE))
    if variant_code == "meld_3_0":
        defined &= (sexes != "") & (female | known)
    young = known & (ages < YOUNG_BELOW * SCALE)
    return np.where(female | young, FEMALE_POINTS, 0.0), defined
