"""The MELD family: one small function per formula, and the score of a visit with everything that made it.

Formulas take conventional units (mg/dL, g/dL), as they were published; :func:`compute`
takes the study's standard units. Statistics use the unrounded value, screens the
reported one. ``ln`` is the natural logarithm throughout.

References
----------
.. [1] P. S. Kamath et al., Hepatology 33 (2001) 464-470: the original score.
.. [2] R. Wiesner et al., Gastroenterology 124 (2003) 91-96: bounds and constant used by UNOS since 2002.
.. [3] W. R. Kim et al., N Engl J Med 359 (2008) 1018-1026: sodium.
.. [4] OPTN policy 9.1, January 2016: sodium in allocation.
.. [5] W. R. Kim et al., Gastroenterology 161 (2021) 1887-1895: MELD 3.0; OPTN policy 9.1.D since 2023.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from types import MappingProxyType
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analytics.samples import MISSING, SCALE, Floats, Ints, Sentence, _, say
from analytics.study_arrays import SCORE_PLACES
from trial import protocol, units
from trial.protocol import Sex

Number = TypeVar("Number", float, Floats)

LOWEST_REPORTED, HIGHEST_REPORTED = 6, 40
FLOOR = 1.0
CREATININE_CEILING, CREATININE_CEILING_3_0 = 4.0, 3.0
SODIUM_LOW, SODIUM_HIGH, SODIUM_HIGH_2008 = 125.0, 137.0, 140.0
ALBUMIN_LOW, ALBUMIN_HIGH = 1.5, 3.5
SODIUM_COUNTS_ABOVE = 11.0
FEMALE_POINTS = 1.33
YOUNG_BELOW = 18

_PER_POINT = 10**SCORE_PLACES


# --- the formulas ---------------------------------------------------------------------------


def meld_2001(*, bilirubin_mg_dl: float, inr: float, creatinine_mg_dl: float, aetiology: int = 1) -> float:
    """MELD as first published, without bounds.

    Parameters
    ----------
    bilirubin_mg_dl, inr, creatinine_mg_dl
        Above zero.
    aetiology
        0 for cholestatic or alcoholic disease, 1 for any other; viral hepatitis counts 1.

    Returns
    -------
    float
        3.8 ln(bilirubin) + 11.2 ln(INR) + 9.6 ln(creatinine) + 6.4 aetiology. It may be
        negative or exceed 40. [1]_
    """
    _positive(bilirubin_mg_dl=bilirubin_mg_dl, inr=inr, creatinine_mg_dl=creatinine_mg_dl)
    return _points_2001(math.log(bilirubin_mg_dl), math.log(inr), math.log(creatinine_mg_dl), aetiology)


def meld_2001_bounded(
    *, bilirubin_mg_dl: float, inr: float, creatinine_mg_dl: float, aetiology: int = 1, dialysed: bool = False
) -> float:
    """MELD with the coefficients of 2001 and the bounds of UNOS, a hybrid in common use."""
    b, i, c = _bounded(bilirubin_mg_dl, inr, creatinine_mg_dl, dialysed, CREATININE_CEILING)
    return _points_2001(math.log(b), math.log(i), math.log(c), aetiology)


def meld_aetiology(
    *, bilirubin_mg_dl: float, inr: float, creatinine_mg_dl: float, aetiology: int = 1, dialysed: bool = False
) -> float:
    """MELD with the coefficients and bounds of UNOS and the aetiology term of 2001.

    Returns
    -------
    float
        10 (0.957 ln(creatinine) + 0.378 ln(bilirubin) + 1.120 ln(INR) + 0.643 aetiology).
    """
    b, i, c = _bounded(bilirubin_mg_dl, inr, creatinine_mg_dl, dialysed, CREATININE_CEILING)
    return _points_unos(math.log(b), math.log(i), math.log(c), aetiology)


def meld_unos_2002(
    *, bilirubin_mg_dl: float, inr: float, creatinine_mg_dl: float, dialysed: bool = False
) -> float:
    """MELD as UNOS has used it since 2002, unrounded and uncapped.

    Parameters
    ----------
    bilirubin_mg_dl, inr, creatinine_mg_dl
        Values below 1 count as 1, creatinine above 4 as 4.
    dialysed
        At least two dialyses or 24 hours of haemodiafiltration within seven days:
        creatinine counts as 4.

    Returns
    -------
    float
        10 (0.957 ln(creatinine) + 0.378 ln(bilirubin) + 1.120 ln(INR) + 0.643). [2]_

    Examples
    --------
    >>> round(meld_unos_2002(bilirubin_mg_dl=4.2, inr=1.2, creatinine_mg_dl=1.9), 4)
    20.0392
    """
    return meld_aetiology(
        bilirubin_mg_dl=bilirubin_mg_dl, inr=inr, creatinine_mg_dl=creatinine_mg_dl, dialysed=dialysed
    )


def meld_na_optn2016(
    *,
    bilirubin_mg_dl: float,
    inr: float,
    creatinine_mg_dl: float,
    sodium_mmol_l: float,
    dialysed: bool = False,
) -> float:
    """MELD-Na of the 2016 allocation policy, no step of it rounded.

    Parameters
    ----------
    bilirubin_mg_dl, inr, creatinine_mg_dl, dialysed
        As :func:`meld_unos_2002`, whose value is M below.
    sodium_mmol_l
        Held within 125 to 137.

    Returns
    -------
    float
        M + 1.32 (137 - sodium) - 0.033 M (137 - sodium) when M exceeds 11, else M. [4]_

    Notes
    -----
    The policy rounds M before it compares it with 11; its wording is read in three
    ways. This form rounds nothing, so that statistics keep every digit, and
    :func:`meld_na_optn2016_reported` rounds M to an integer first.
    """
    _positive(sodium_mmol_l=sodium_mmol_l)
    m = meld_unos_2002(
        bilirubin_mg_dl=bilirubin_mg_dl, inr=inr, creatinine_mg_dl=creatinine_mg_dl, dialysed=dialysed
    )
    return _with_sodium(m, sodium_mmol_l)


def meld_na_optn2016_reported(
    *,
    bilirubin_mg_dl: float,
    inr: float,
    creatinine_mg_dl: float,
    sodium_mmol_l: float,
    dialysed: bool = False,
) -> float:
    """MELD-Na of the 2016 allocation policy with M rounded to an integer before sodium enters."""
    _positive(sodium_mmol_l=sodium_mmol_l)
    m = meld_unos_2002(
        bilirubin_mg_dl=bilirubin_mg_dl, inr=inr, creatinine_mg_dl=creatinine_mg_dl, dialysed=dialysed
    )
    return _with_sodium(float(half_up(m)), sodium_mmol_l)


def meld_na_kim2008(
    *,
    bilirubin_mg_dl: float,
    inr: float,
    creatinine_mg_dl: float,
    sodium_mmol_l: float,
    dialysed: bool = False,
) -> float:
    """MELD-Na as proposed in 2008: M - sodium - 0.025 M (140 - sodium) + 140, sodium within 125 to 140. [3]_"""
    _positive(sodium_mmol_l=sodium_mmol_l)
    m = meld_unos_2002(
        bilirubin_mg_dl=bilirubin_mg_dl, inr=inr, creatinine_mg_dl=creatinine_mg_dl, dialysed=dialysed
    )
    sodium = min(max(sodium_mmol_l, SODIUM_LOW), SODIUM_HIGH_2008)
    return m - sodium - 0.025 * m * (140 - sodium) + 140


def meld_3_0(
    *,
    bilirubin_mg_dl: float,
    inr: float,
    creatinine_mg_dl: float,
    sodium_mmol_l: float,
    albumin_g_dl: float,
    female: bool,
    registered_under_18: bool = False,
    dialysed: bool = False,
) -> float:
    """MELD 3.0, unrounded and uncapped.

    Parameters
    ----------
    bilirubin_mg_dl, inr
        Values below 1 count as 1.
    creatinine_mg_dl
        Held within 1 to 3; counts as 3 under dialysis.
    sodium_mmol_l
        Held within 125 to 137.
    albumin_g_dl
        Held within 1.5 to 3.5.
    female
        Women get 1.33 points.
    registered_under_18
        So does everybody who was younger than 18 at registration.
    dialysed
        As :func:`meld_unos_2002`.

    Returns
    -------
    float
        4.56 ln(bilirubin) + 0.82 (137 - sodium) - 0.24 (137 - sodium) ln(bilirubin)
        + 9.09 ln(INR) + 11.14 ln(creatinine) + 1.85 (3.5 - albumin)
        - 1.83 (3.5 - albumin) ln(creatinine) + 6, and the points for sex or age. [5]_
    """
    _positive(sodium_mmol_l=sodium_mmol_l, albumin_g_dl=albumin_g_dl)
    b, i, c = _bounded(bilirubin_mg_dl, inr, creatinine_mg_dl, dialysed, CREATININE_CEILING_3_0)
    low_sodium = 137 - min(max(sodium_mmol_l, SODIUM_LOW), SODIUM_HIGH)
    low_albumin = 3.5 - min(max(albumin_g_dl, ALBUMIN_LOW), ALBUMIN_HIGH)
    extra = FEMALE_POINTS if female or registered_under_18 else 0.0
    return _points_3_0(math.log(b), math.log(i), math.log(c), low_sodium, low_albumin, extra)


def half_up(value: float) -> int:
    """Round to an integer, a half away from zero, after the ten decimals that are stored."""
    stored = Decimal(round(value * _PER_POINT)).scaleb(-SCORE_PLACES)
    return int(stored.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def reported(value: float, *, bounded: bool = True) -> int:
    """Return the integer that is reported for a score, held within 6 to 40 unless unbounded."""
    whole = half_up(value)
    return min(max(whole, LOWEST_REPORTED), HIGHEST_REPORTED) if bounded else whole


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"{name} must be above zero, not {value}")


def _bounded(
    bilirubin: float, inr: float, creatinine: float, dialysed: bool, ceiling: float
) -> tuple[float, float, float]:
    _positive(bilirubin_mg_dl=bilirubin, inr=inr, creatinine_mg_dl=creatinine)
    held = ceiling if dialysed else min(max(creatinine, FLOOR), ceiling)
    return max(bilirubin, FLOOR), max(inr, FLOOR), held


# The arithmetic itself, for one subject or for an array of them.


def _points_2001(ln_bilirubin: Number, ln_inr: Number, ln_creatinine: Number, aetiology: int) -> Number:
    return 3.8 * ln_bilirubin + 11.2 * ln_inr + 9.6 * ln_creatinine + 6.4 * aetiology


def _points_unos(ln_bilirubin: Number, ln_inr: Number, ln_creatinine: Number, aetiology: int) -> Number:
    return 10 * (0.957 * ln_creatinine + 0.378 * ln_bilirubin + 1.120 * ln_inr + 0.643 * aetiology)


def _sodium_points(m: Number, low_sodium: Number) -> Number:
    return 1.32 * low_sodium - 0.033 * m * low_sodium


def _points_3_0(
    ln_bilirubin: Number,
    ln_inr: Number,
    ln_creatinine: Number,
    low_sodium: Number,
    low_albumin: Number,
    extra: Number,
) -> Number:
    return (
        extra
        + 4.56 * ln_bilirubin
        + 0.82 * low_sodium
        - 0.24 * low_sodium * ln_bilirubin
        + 9.09 * ln_inr
        + 11.14 * ln_creatinine
        + 1.85 * low_albumin
        - 1.83 * low_albumin * ln_creatinine
        + 6
    )


def _with_sodium(m: float, sodium: float) -> float:
    if m <= SODIUM_COUNTS_ABOVE:
        return m
    return m + _sodium_points(m, SODIUM_HIGH - min(max(sodium, SODIUM_LOW), SODIUM_HIGH))


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


def compute(
    variant_code: str,
    inputs: Mapping[str, Decimal | None],
    *,
    sex: Sex | str | None = None,
    age: Decimal | int | None = None,
    dialysed: bool = False,
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

    Returns
    -------
    ScoreResult
        A value or an obstacle; never both, never NaN.
    """
    variant = protocol.SCORE_AT[variant_code]
    given = {code: inputs.get(code) for code in variant.inputs}
    obstacle = _missing(given) or _absurd(given) or _person(variant_code, sex, age)
    if obstacle is not None:
        return ScoreResult(variant_code, obstacle=obstacle)
    stored = {code: _stored(value) for code, value in given.items() if value is not None}
    used = tuple(_used(variant_code, code, value, dialysed) for code, value in stored.items())
    young = age is not None and age < YOUNG_BELOW
    # the array form is the only one that turns measured values into points
    points = compute_many(
        variant_code,
        {code: np.array([int(value * SCALE)]) for code, value in stored.items()},
        extra=np.array([_extra(sex, young)]),
        dialysed=np.array([dialysed]),
    )
    value = Decimal(int(points[0])).scaleb(-SCORE_PLACES)
    x = {entry.code: _conventional(entry.code, entry.used) for entry in used}
    terms = _terms(variant_code, x, _extra(sex, young))
    return ScoreResult(variant_code, value, _shown(variant_code, float(value), x), used, terms)


def _missing(given: Mapping[str, Decimal | None]) -> Sentence | None:
    absent = [protocol.label_of(code) for code, value in given.items() if value is None]
    return say(MISSING_INPUT, inputs=", ".join(absent)) if absent else None


def _absurd(given: Mapping[str, Decimal | None]) -> Sentence | None:
    for code, value in given.items():
        if value is None:
            continue
        analyte = protocol.ANALYTES[code]
        words = {"input": analyte.label, "value": value, "unit": analyte.unit_symbol}
        if not value.is_finite() or not analyte.hard.holds(value):
            return say(ABSURD_INPUT, **words, low=analyte.hard.low, high=analyte.hard.high)
        if _stored(value) <= 0:
            return say(NOT_POSITIVE, **words)
    return None


def _person(variant_code: str, sex: Sex | str | None, age: Decimal | int | None) -> Sentence | None:
    if variant_code == "meld_3_0":
        if not sex:
            return SEX_MISSING
        if age is None and sex != Sex.FEMALE:
            return AGE_MISSING
    needs_twelve = variant_code in ("meld_na_optn2016", "meld_3_0")
    if needs_twelve and age is not None and age < protocol.YOUNGEST_AGE_MELD_NA:
        return say(TOO_YOUNG, age=protocol.YOUNGEST_AGE_MELD_NA)
    return None


def _extra(sex: Sex | str | None, young: bool) -> float:
    return FEMALE_POINTS if young or sex == Sex.FEMALE else 0.0


def _stored(value: Decimal) -> Decimal:
    """Return the value with the six decimals that the study keeps."""
    return value.quantize(Decimal(1).scaleb(-units.STORED_PLACES), rounding=ROUND_HALF_EVEN)


def _conventional(code: str, value: Decimal) -> float:
    return float(value) / float(_CONVENTIONAL.get(code, Decimal(1)))


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
    m = _points_unos(ln["tbil"], ln["inr"], ln["creatinine"], 1)
    counts = m > SODIUM_COUNTS_ABOVE
    low_sodium = SODIUM_HIGH - x["sodium"]
    return (*unos, Term("(1.32 - 0.033 MELD) (137 - Na)", _sodium_points(m, low_sodium) if counts else 0.0))


def _shown(variant_code: str, value: float, x: Mapping[str, float]) -> int:
    if variant_code == "meld_na_optn2016":  # the policy enters sodium into the rounded MELD
        ln_b, ln_i, ln_c = (math.log(x[code]) for code in ("tbil", "inr", "creatinine"))
        return reported(_with_sodium(float(half_up(_points_unos(ln_b, ln_i, ln_c, 1))), x["sodium"]))
    return reported(value, bounded=variant_code != "meld_2001_raw")


# --- many visits at once --------------------------------------------------------------------


def compute_many(
    variant_code: str,
    inputs: Mapping[str, ArrayLike],
    *,
    extra: ArrayLike = 0.0,
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
    extra
        Points of MELD 3.0 for sex or age (:func:`extra_points`); NaN where they are unknown.
    dialysed
        Whether dialysed, by visit.

    Returns
    -------
    NDArray[np.int64]
        Integers that count 10^-10 points; ``MISSING`` where an input is missing, not
        above zero, or outside its hard limits.
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
    more = np.broadcast_to(np.asarray(extra, dtype=np.float64), shape)
    if variant_code == "meld_3_0":
        usable = usable & np.isfinite(more)
    on_dialysis = np.broadcast_to(np.asarray(dialysed, dtype=np.bool_), shape)[usable]
    x: dict[str, Floats] = {}
    for code, array in arrays.items():
        bounds = _BOUNDS[variant_code].get(code, _Bounds())
        values = array[usable] / SCALE / float(_CONVENTIONAL.get(code, Decimal(1)))
        if bounds.low is not None or bounds.high is not None:
            values = np.clip(values, bounds.low, bounds.high)
        x[code] = values if bounds.dialysed is None else np.where(on_dialysis, bounds.dialysed, values)
    points = np.full(shape, MISSING)
    points[usable] = np.rint(_many_points(variant_code, x, more[usable]) * _PER_POINT).astype(np.int64)
    return points


def _many_points(variant_code: str, x: Mapping[str, Floats], extra: Floats) -> Floats:
    ln_b, ln_i, ln_c = (_logarithms(x[code]) for code in ("tbil", "inr", "creatinine"))
    if variant_code == "meld_2001_raw":
        return _points_2001(ln_b, ln_i, ln_c, protocol.AETIOLOGY_TERM)
    if variant_code == "meld_3_0":
        return _points_3_0(ln_b, ln_i, ln_c, SODIUM_HIGH - x["sodium"], ALBUMIN_HIGH - x["albumin"], extra)
    m = _points_unos(ln_b, ln_i, ln_c, 1)
    if variant_code == "meld_unos_2002":
        return m
    with_sodium: Floats = np.where(
        m > SODIUM_COUNTS_ABOVE, m + _sodium_points(m, SODIUM_HIGH - x["sodium"]), m
    )
    return with_sodium


def _logarithms(values: Floats) -> Floats:
    """Return natural logarithms by the mathematical library, which numpy's own differ from in the last bit."""
    distinct, places = np.unique(values, return_inverse=True)
    return np.array([math.log(value) for value in distinct.tolist()], dtype=np.float64)[places]


def extra_points(sex: ArrayLike, age: ArrayLike) -> Floats:
    """Return the points of MELD 3.0 for sex and age, NaN where they cannot be known.

    Parameters
    ----------
    sex
        ``F``, ``M`` or empty.
    age
        Years x 10^6, or ``MISSING``.
    """
    sexes: NDArray[np.str_] = np.asarray(sex, dtype=np.str_)
    ages: Ints = np.asarray(age, dtype=np.int64)
    female = sexes == Sex.FEMALE.value
    points = np.where(female | (ages < YOUNG_BELOW * SCALE), FEMALE_POINTS, 0.0)
    unknown = (sexes == "") | (~female & (ages == MISSING))
    too_young = (ages != MISSING) & (ages < protocol.YOUNGEST_AGE_MELD_NA * SCALE)
    return np.where(unknown | too_young, np.nan, points)
