"""Tails and quantiles of the distributions that the methods refer to, with types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.special
from numpy.typing import NDArray

_ndtr: Callable[[float], float] = scipy.special.ndtr
_ndtri: Callable[[float], float] = scipy.special.ndtri
_stdtr: Callable[[float, float], float] = scipy.special.stdtr
_stdtrit: Callable[[float, float], float] = scipy.special.stdtrit
_fdtrc: Callable[[float, float, float], float] = scipy.special.fdtrc
_chdtrc: Callable[[float, float], float] = scipy.special.chdtrc


def normal_below(z: float) -> float:
    """Return P(Z <= z) of the standard normal."""
    return float(_ndtr(z))


def normal_quantile(p: float) -> float:
    """Return the z with P(Z <= z) = p."""
    return float(_ndtri(p))


def normal_quantiles(p: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Return the z with P(Z <= z) = p for many p."""
    z: NDArray[np.float64] = scipy.special.ndtri(p)
    return z


def t_beyond(t: float, df: float) -> float:
    """Return P(|T| >= |t|) of Student's t."""
    return min(1.0, 2 * float(_stdtr(df, -abs(t))))


def t_quantile(p: float, df: float) -> float:
    """Return the t with P(T <= t) = p."""
    return float(_stdtrit(df, p))


def f_above(f: float, df1: float, df2: float) -> float:
    """Return P(F >= f)."""
    return float(_fdtrc(df1, df2, f))


def chi2_above(x: float, df: float) -> float:
    """Return P(X >= x) of chi-squared."""
    return float(_chdtrc(df, x))
