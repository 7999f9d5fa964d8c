"""Exact null distributions of rank tests and of fourfold tables, ties included.

Nothing is sampled and nothing assumes distinct values: all arrangements of the
observed ranks are counted. Counts are floats; they only ever add, so that tails
as small as 1e-300 keep fifteen digits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from analytics.samples import Floats, Ints

MOST_EXACT = 100
"""Largest number of values whose arrangements are counted."""


def rank_sum_p(ranks2: Ints, chosen: int, sum2: int) -> float:
    """Two-sided exact p-value of a rank sum.

    Parameters
    ----------
    ranks2
        Doubled midranks of all values, ascending.
    chosen
        Size of the group whose ranks were summed.
    sum2
        Doubled rank sum of that group.

    Returns
    -------
    float
        Share of the subsets of that size whose sum lies at least as far from its
        expectation as the observed one.

    Notes
    -----
    Both halves of the ranks are expanded on their own into a table [how many chosen,
    their sum]; a tail is then the sum over all ways to divide the group between the
    halves. This needs about an eighth of the work of one table for all ranks.
    """
    n = ranks2.size
    expected2 = chosen * (n + 1)
    distance = abs(sum2 - expected2)
    if distance == 0:
        return 1.0
    # the smallest rank comes off every rank, and the common divisor of the rest out of them
    least = int(ranks2[0])
    step = int(np.gcd.reduce(ranks2 - least)) or 1
    items = (ranks2 - least) // step
    at_most = (expected2 - distance - chosen * least) // step
    at_least = -((-(expected2 + distance - chosen * least)) // step)
    half = n // 2
    base = int(items[half])
    low, low_up_to = _subset_sums(items[:half].tobytes())
    _high, high_up_to = _subset_sums((items[half:] - base).tobytes())
    tail = 0.0
    for from_low in range(max(0, chosen - (n - half)), min(half, chosen) + 1):
        counts, up_to, others = low[from_low], low_up_to[from_low], high_up_to[chosen - from_low]
        shift = (chosen - from_low) * base
        tail += _pairs_at_most(counts, up_to, others, at_most - shift)
        tail += _pairs_at_least(counts, up_to, others, at_least - shift)
    return min(1.0, tail / math.comb(n, chosen))


def _pairs_at_most(counts: Floats, up_to: Floats, others: Floats, limit: int) -> float:
    """Return how many pairs of subsets have sums that total at most ``limit``.

    ``counts`` and ``up_to`` are the subsets of one half by their sum and cumulated,
    ``others`` those of the other half cumulated.
    """
    if limit < 0:
        return 0.0
    any_other = min(
        max(limit - others.size + 2, 0), counts.size
    )  # beside sums below this one, any other will do
    last = min(counts.size, limit + 1)
    pairs = float(counts[any_other:last] @ others[limit - last + 1 : limit - any_other + 1][::-1])
    return pairs + (float(up_to[any_other - 1] * others[-1]) if any_other else 0.0)


def _pairs_at_least(counts: Floats, up_to: Floats, others: Floats, limit: int) -> float:
    """Return how many pairs of subsets have sums that total at least ``limit``."""
    first = max(limit - others.size + 1, 0)
    any_other = min(max(limit, 0), counts.size)  # beside this sum and above, any other will do
    pairs = 0.0
    if first < any_other:
        fewer = others[limit - any_other : limit - first][::-1]
        pairs = float(counts[first:any_other] @ (others[-1] - fewer))
    above = up_to[-1] - (up_to[any_other - 1] if any_other else 0.0)
    return pairs + float(above * others[-1])


@lru_cache(maxsize=32)
def _subset_sums(items: bytes) -> tuple[Floats, Floats]:
    """Count the subsets of some integers by size (row) and sum (column); the first integer is 0.

    Returns
    -------
    tuple
        The counts, and the counts cumulated along each row. At most fifty integers
        have fewer than 2^53 subsets of one size: every count is exact.
    """
    ranks = np.frombuffer(items, dtype=np.int64)
    table = np.zeros((ranks.size + 1, int(ranks.sum()) + 1))
    before = np.empty_like(table)
    table[0, 0] = 1.0
    reached = 1
    for taken, rank in enumerate(ranks.tolist()):
        old = before[: taken + 1, :reached]
        old[...] = table[: taken + 1, :reached]
        table[1 : taken + 2, rank : rank + reached] += old
        reached += rank
    up_to = np.cumsum(table, axis=1, out=before)
    table.setflags(write=False)
    up_to.setflags(write=False)
    return table, up_to


def signed_rank_p(ranks2: Ints, positive2: int) -> float:
    """Two-sided exact p-value of a sum of signed ranks.

    Parameters
    ----------
    ranks2
        Doubled midranks of the absolute differences, ascending, zeros left out.
    positive2
        Doubled sum of the ranks that belong to positive differences.

    Returns
    -------
    float
        Share of the 2^n assignments of signs whose sum lies at least as far from its
        expectation as the observed one. The distribution is symmetric, so that twice
        the smaller tail is the answer.
    """
    total = int(ranks2.sum())
    limit = min(positive2, total - positive2)
    if 2 * limit == total:
        return 1.0
    step = int(np.gcd.reduce(ranks2))
    limit //= step
    counts = np.zeros(limit + 1)
    counts[0] = 1.0
    reached = 1
    for rank in (ranks2 // step).tolist():
        if rank > limit:
            break
        moved = min(reached, limit + 1 - rank)
        counts[rank : rank + moved] += counts[:moved]
        reached = min(reached + rank, limit + 1)
    return min(1.0, 2 * math.ldexp(float(counts.sum()), -ranks2.size))


# --- fourfold tables ------------------------------------------------------------------------


class Fourfold:
    """A 2 x 2 table with its margins held fixed: the hypergeometric distribution of its first cell.

    Parameters
    ----------
    a, b
        First row.
    c, d
        Second row.
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
        return self._solve(lambda p: float(p @ self.support) - self.observed)

    def limits(self, confidence: float) -> tuple[float, float | None]:
        """Return the odds ratios that leave the observed cell half of the error in either tail."""
        error = (1 - confidence) / 2
        low, high = 0.0, None
        if self.place > 0:
            low = self._solve(lambda p: float(p[self.place :].sum()) - error)
        if self.place < self.support.size - 1:
            high = self._solve(lambda p: error - float(p[: self.place + 1].sum()))
        return low, high

    def _solve(self, rising: Callable[[Floats], float]) -> float:
        """Return the odds ratio at which a function of the tilted distribution crosses zero."""
        low, high = -700.0, 700.0
        while high - low > 1e-14 * max(1.0, abs(low)):
            middle = (low + high) / 2
            logs = self.logs + middle * (self.support - self.observed)
            tilted = np.exp(logs - logs.max())
            if rising(tilted / tilted.sum()) < 0:
                low = middle
            else:
                high = middle
        return math.exp((low + high) / 2)
