"""Exact null distributions of rank tests, ties included.

Nothing is sampled and nothing assumes distinct values: all arrangements of the
observed ranks are counted. Counts are whole numbers or floats that only ever add, so
that tails as small as 1e-300 keep fifteen digits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from analytics.samples import Floats, Ints

MOST_EXACT = 100
"""Largest number of values whose arrangements are counted."""

Counts = NDArray[np.uint32] | NDArray[np.uint64]
_MOST_IN_32_BITS = 34
"""So many integers have fewer than 2^32 subsets of one size."""


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
    distance = abs(sum2 - chosen * (ranks2.size + 1))
    return _rank_sum_p(ranks2.astype(np.int16).tobytes(), chosen, distance) if distance else 1.0


@lru_cache(maxsize=8192)
def _rank_sum_p(ranks2: bytes, chosen: int, distance: int) -> float:
    """Return the p-value; populations that differ in a few subjects ask for the same one again."""
    ranks = np.frombuffer(ranks2, np.int16).astype(np.int64)
    n = ranks.size
    expected2 = chosen * (n + 1)
    halves = _Halves(_half(ranks[: n // 2]), _half(ranks[n // 2 :]), chosen)
    tails = halves.up_to(expected2 - distance) + halves.beyond(expected2 + distance - 1)
    return min(1.0, tails / math.comb(n, chosen))


class _Subsets:
    """How many subsets of some integers there are, by size (row) and sum (column).

    Parameters
    ----------
    counts
        The table; its first column is the sum ``least``.
    """

    def __init__(self, counts: Counts, least: int) -> None:
        self.counts = counts
        self.sums: Ints = np.arange(least, least + counts.shape[1])

    @cached_property
    def below(self) -> Counts:
        """The counts cumulated along each row: column i holds the subsets with one of the first i sums."""
        below = np.zeros((self.counts.shape[0], self.counts.shape[1] + 1), self.counts.dtype)
        np.cumsum(self.counts, axis=1, out=below[:, 1:])
        return below

    @cached_property
    def of_size(self) -> Floats:
        """All subsets of each size."""
        return _of_size(self.counts.shape[0] - 1)


@lru_cache(maxsize=MOST_EXACT)
def _of_size(items: int) -> Floats:
    return np.array([math.comb(items, size) for size in range(items + 1)], np.float64)


@dataclass(frozen=True, slots=True)
class _Half:
    """Half of the ranks: each is ``centre`` plus ``step`` times one of the integers of ``subsets``."""

    subsets: _Subsets
    step: int
    centre: int


def _half(ranks: Ints) -> _Half:
    # ranks without ties are two apart, around whatever centre: all such halves share one table
    centre = int(ranks[ranks.size // 2])
    step = int(np.gcd.reduce(ranks - centre)) or 1
    return _Half(_subsets(((ranks - centre) // step).tobytes()), step, centre)


@lru_cache(maxsize=32)
def _subsets(items: bytes) -> _Subsets:
    """Count the subsets of some integers around 0.

    Notes
    -----
    Integers come in the order of their size, so that the table grows from its middle.
    Rows beyond the middle are not computed: leaving out instead of choosing mirrors
    them. At most fifty integers have fewer than 2^53 subsets of one size.
    """
    given = np.frombuffer(items, dtype=np.int64)
    most = given.size // 2
    low, high = int(given[given < 0].sum()), int(given[given > 0].sum())
    margin = int(np.abs(given).max())
    small = given.size <= _MOST_IN_32_BITS
    old, new = np.zeros((2, most + 1, high - low + 1 + 2 * margin), np.uint32 if small else np.uint64)
    first = margin - low
    last = first + 1
    old[0, first] = new[0, first] = 1
    for taken, item in enumerate(given[np.argsort(np.abs(given), kind="stable")].tolist(), start=1):
        if item < 0:
            first += item
        else:
            last += item
        rows = min(taken, most)
        without, having = old[1 : rows + 1, first:last], old[:rows, first - item : last - item]
        np.add(without, having, out=new[1 : rows + 1, first:last])
        old, new = new, old
    table = np.empty((given.size + 1, high - low + 1), old.dtype)
    table[: most + 1] = old[:, margin : margin + table.shape[1]]
    table[most + 1 :] = table[: given.size - most][::-1, ::-1]
    table.setflags(write=False)
    return _Subsets(table, low)


@dataclass(frozen=True, slots=True)
class _Halves:
    """Subsets of all ranks with ``chosen`` members, as pairs of subsets of the two halves."""

    one: _Half
    two: _Half
    chosen: int

    def up_to(self, limit: int) -> float:
        """Return how many have a sum of at most ``limit``."""
        return self._pairs(limit, beyond=False)

    def beyond(self, limit: int) -> float:
        """Return how many have a sum above ``limit``; they are counted as such, for a difference would cancel."""
        return self._pairs(limit, beyond=True)

    def _pairs(self, limit: int, *, beyond: bool) -> float:
        one, two = self.one.subsets, self.two.subsets
        sizes = np.arange(
            max(0, self.chosen - two.of_size.size + 1), min(one.of_size.size - 1, self.chosen) + 1
        )
        others = self.chosen - sizes
        # beside each sum of the first half: how many columns of the second stay within the limit
        left = limit - self.one.centre * sizes - self.two.centre * others
        taken = self.one.step * one.sums
        columns = two.sums.size
        most = (left - taken[0]) // self.two.step - two.sums[0] + 1
        least = (left - taken[-1]) // self.two.step - two.sums[0] + 1
        none, every = most <= 0, least >= columns
        certain = none if beyond else every
        pairs = float((one.of_size[sizes[certain]] * two.of_size[others[certain]]).sum())
        some = ~(none | every)
        if some.any():
            others = others[some]
            within = left[some, None] - taken
            if self.two.step > 1:
                within //= self.two.step
            within -= two.sums[0] - 1
            np.maximum(within, 0, out=within)
            np.minimum(within, columns, out=within)
            within += others[:, None] * (columns + 1)
            partners = two.below.ravel().take(within).astype(np.float64)
            if beyond:
                np.subtract(two.of_size[others, None], partners, out=partners)
            partners *= one.counts[sizes[some]]
            pairs += float(partners.sum())
        return pairs


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
