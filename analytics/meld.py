"""The formulas of the MELD family, one small function each.

They take conventional units (mg/dL, g/dL), as they were published, and return the
unrounded score. ``ln`` is the natural logarithm throughout.

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
from decimal import ROUND_HALF_UP, Decimal
from typing import TypeVar

from analytics.samples import Floats
from analytics.study_arrays import SCORE_PLACES

Number = TypeVar("Number", float, Floats)

LOWEST_REPORTED, HIGHEST_REPORTED = 6, 40
FLOOR = 1.0
CREATININE_CEILING, CREATININE_CEILING_3_0 = 4.0, 3.0
SODIUM_LOW, SODIUM_HIGH, SODIUM_HIGH_2008 = 125.0, 137.0, 140.0
ALBUMIN_LOW, ALBUMIN_HIGH = 1.5, 3.5
SODIUM_COUNTS_ABOVE = 11.0
FEMALE_POINTS = 1.33

PER_POINT = 10**SCORE_PLACES


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
    return points_2001(math.log(bilirubin_mg_dl), math.log(inr), math.log(creatinine_mg_dl), aetiology)


def meld_2001_bounded(
    *, bilirubin_mg_dl: float, inr: float, creatinine_mg_dl: float, aetiology: int = 1, dialysed: bool = False
) -> float:
    """MELD with the coefficients of 2001 and the bounds of UNOS, a hybrid in common use."""
    b, i, c = _bounded(bilirubin_mg_dl, inr, creatinine_mg_dl, dialysed, CREATININE_CEILING)
    return points_2001(math.log(b), math.log(i), math.log(c), aetiology)


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
    return points_unos(math.log(b), math.log(i), math.log(c), aetiology)


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
    return with_sodium(m, sodium_mmol_l)


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
    return with_sodium(float(half_up(m)), sodium_mmol_l)


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
    return points_3_0(math.log(b), math.log(i), math.log(c), low_sodium, low_albumin, extra)


def half_up(value: float) -> int:
    """Round to an integer, a half away from zero, after the ten decimals that are stored."""
    stored = Decimal(round(value * PER_POINT)).scaleb(-SCORE_PLACES)
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


def points_2001(ln_bilirubin: Number, ln_inr: Number, ln_creatinine: Number, aetiology: int) -> Number:
    return 3.8 * ln_bilirubin + 11.2 * ln_inr + 9.6 * ln_creatinine + 6.4 * aetiology


def points_unos(ln_bilirubin: Number, ln_inr: Number, ln_creatinine: Number, aetiology: int) -> Number:
    return 10 * (0.957 * ln_creatinine + 0.378 * ln_bilirubin + 1.120 * ln_inr + 0.643 * aetiology)


def sodium_points(m: Number, low_sodium: Number) -> Number:
    return 1.32 * low_sodium - 0.033 * m * low_sodium


def points_3_0(
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


def with_sodium(m: float, sodium: float) -> float:
    if m <= SODIUM_COUNTS_ABOVE:
        return m
    return m + sodium_points(m, SODIUM_HIGH - min(max(sodium, SODIUM_LOW), SODIUM_HIGH))
