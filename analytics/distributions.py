"""Tails and quantiles of the distributions that the methods refer to, with types."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray


@cache
def _special() -> Any:
    """Return scipy's functions, imported when something is computed: a fifth of a second that no start waits for."""
    import scipy.special

    return scipy.special


def normal_below(z: float) -> float:
    """Return P(Z <= z) of the standard normal."""
    return float(_special().ndtr(z))


def normal_quantile(p: float) -> float:
    """Return the z with P(Z <= z) = p."""
    return float(_special().ndtri(p))


def normal_quantiles(p: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Return the z with P(Z <= z) = p for many p."""
    z: NDArray[np.float64] = _special().ndtri(p)
    return z


def t_beyond(t: float, df: float) -> float:
    """Return P(|T| >= |t|) of Student's t."""
    return min(1.0, 2 * float(_special().stdtr(df, -abs(t))))


def t_quantile(p: float, df: float) -> float:
    """Return the t with P(T <= t) = p."""
    return float(_special().stdtrit(df, p))


def f_above(f: float, df1: float, df2: float) -> float:
    """Return P(F >= f)."""
    return float(_special().fdtrc(df1, df2, f))


def chi2_above(x: float, df: float) -> float:
    """Return P(X >= x) of chi-squared."""
    return float(_special().chdtrc(df, x))
