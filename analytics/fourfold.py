"""Fourfold tables with their margins held: Fisher's exact p, and the odds ratio that R would print."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from analytics.samples import Floats

SMALLEST_STEP = float(np.finfo(np.float64).eps)
SEARCH_TOLERANCE = SMALLEST_STEP**0.25
"""How near R's search for an odds ratio below 1 comes to the root, 0.00012."""


class Fourfold:
    """A 2 x 2 table with its margins held fixed: the hypergeometric distribution of its first cell.

    Parameters
    ----------
    a, b
        First row.
    c, d
        Second row.

    Notes
    -----
    The odds ratio and its limits are roots that have no closed form. R's ``fisher.test``
    stops its search for them at `SEARCH_TOLERANCE`, on the odds ratio where it is below
    1 and on its inverse otherwise. The same steps are taken here, so that whoever repeats
    a result in R finds the same digits; the exact root lies within that tolerance.
    """

    def __init__(self, a: int, b: int, c: int, d: int) -> None:
        row, column, n = a + b, a + c, a + b + c + d
        self.observed = a
        self.support: Floats = np.arange(max(0, row + column - n), min(row, column) + 1, dtype=np.float64)
        k = self.support[:-1]
        steps = np.log((row - k) * (column - k)) - np.log((k + 1) * (n - row - column + k + 1))
        logs = np.concatenate([[0.0], np.cumsum(steps)])
        self.logs: Floats = logs - logs.max()
        weights = np.exp(self.logs)
        self.probability: Floats = weights / weights.sum()
        self.place = a - int(self.support[0])

    def p_value(self) -> float:
        """Return the sum over the tables that are no more probable than the observed one."""
        p = self.probability
        return min(1.0, float(p[p <= p[self.place] * (1 + 1e-7)].sum()))

    def odds_ratio(self) -> float | None:
        """Return the odds ratio that makes the observed cell its own expectation; ``None`` if infinite."""
        if self.place == self.support.size - 1:
            return None
        if self.place == 0:
            return 0.0
        return self._odds_at(lambda p: math.fsum(p * self.support) - self.observed)

    def limits(self, confidence: float) -> tuple[float, float | None]:
        """Return the odds ratios that leave the observed cell half of the error in either tail."""
        error = (1 - confidence) / 2
        low, high = 0.0, None
        if self.place > 0:
            low = self._odds_at(lambda p: math.fsum(p[self.place :]) - error)
        if self.place < self.support.size - 1:
            high = self._odds_at(lambda p: error - math.fsum(p[: self.place + 1]))
        return low, high

    def _odds_at(self, rising: Callable[[Floats], float]) -> float:
        """Return the odds ratio at which a function of the tilted distribution crosses zero."""
        at_one = rising(self._tilted(1.0))
        if at_one == 0:
            return 1.0
        if at_one > 0:
            return root(lambda odds: rising(self._tilted(odds)), 0.0, 1.0, SEARCH_TOLERANCE)
        return 1 / root(
            lambda inverse: rising(self._tilted(1 / inverse)), SMALLEST_STEP, 1.0, SEARCH_TOLERANCE
        )

    def _tilted(self, odds: float) -> Floats:
        """Return the distribution of the first cell under an odds ratio; shape of the support."""
        if odds == 0:
            lowest: Floats = np.zeros(self.support.size)
            lowest[0] = 1.0
            return lowest
        logs = self.logs + math.log(odds) * self.support
        weights = np.exp(logs - logs.max())
        tilted: Floats = weights / math.fsum(weights)
        return tilted


def root(function: Callable[[float], float], low: float, high: float, tolerance: float) -> float:
    """Return where a function changes its sign, as near as asked and no nearer.

    Parameters
    ----------
    function
        Continuous, with different signs at both ends.
    low, high
        Ends of the interval.
    tolerance
        Absolute error of the answer that ends the search.

    Notes
    -----
    Brent's method: an inverse quadratic or linear step where it promises more than
    halving. scipy's ``brentq`` limits a step by the one before it as well but keeps other
    points, and so ends at other digits than R's ``uniroot``, which this one follows.

    References
    ----------
    R. P. Brent, Algorithms for Minimization without Derivatives, Prentice-Hall 1973, chapter 4.
    """
    previous, best, other = low, high, low
    f_previous, f_best, f_other = function(low), function(high), function(low)
    while True:
        moved = best - previous
        if abs(f_other) < abs(f_best):
            previous, best, other = best, other, best
            f_previous, f_best, f_other = f_best, f_other, f_best
        smallest = 2 * SMALLEST_STEP * abs(best) + tolerance / 2
        step = (other - best) / 2
        if abs(step) <= smallest or f_best == 0:
            return best
        if abs(moved) >= smallest and abs(f_previous) > abs(f_best):
            ratio = f_best / f_previous
            if previous == other:
                up, down = 2 * step * ratio, 1 - ratio
            else:
                before, now = f_previous / f_other, f_best / f_other
                up = ratio * (2 * step * before * (before - now) - (best - previous) * (now - 1))
                down = (before - 1) * (now - 1) * (ratio - 1)
            up, down = (up, -down) if up > 0 else (-up, down)
            if up < 1.5 * step * down - abs(smallest * down) / 2 and up < abs(moved * down) / 2:
                step = up / down
        if abs(step) < smallest:
            step = math.copysign(smallest, step)
        previous, f_previous = best, f_best
        best += step
        f_best = function(best)
        if (f_best > 0) == (f_other > 0):
            other, f_other = previous, f_previous
