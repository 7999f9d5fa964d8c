"""Order statistics of all pairwise differences or averages, without making all of them.

Ten thousand subjects have fifty million pairs. Their k-th smallest is found by
counting: for a candidate t the pairs up to t are counted by bisection in sorted
arrays, the candidates are narrowed by interpolation, and only the few thousand pairs
of the last bracket are written out and sorted. All of it is integer arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from analytics.samples import Ints

OrderStatistics = Callable[[Sequence[int]], list[int]]
"""Returns the k-th smallest of some pairs, for ascending k = 1, 2, ..."""

WRITE_OUT = 40_000
"""Up to so many pairs all of them are simply sorted."""
_COARSE, _NEAR = 40, 25
_FEW = 1.5


def differences(x: Ints, y: Ints) -> OrderStatistics:
    """Return the order statistics of all x - y; both ascending."""
    if x.size * y.size <= WRITE_OUT:
        return _sorted(np.subtract.outer(x, y).ravel())
    return _Sums.of(x, -y[::-1]).order_statistics


def walsh_sums(x: Ints) -> OrderStatistics:
    """Return the order statistics of all x_i + x_j with i <= j; x ascending."""
    if x.size * (x.size + 1) // 2 <= WRITE_OUT:
        rows, columns = _upper_triangle(x.size)
        return _sorted(x[rows] + x[columns])
    return _Sums.of(x, x, halved=True).order_statistics


@lru_cache(maxsize=32)
def _upper_triangle(n: int) -> tuple[Ints, Ints]:
    """Return rows and columns of the pairs i <= j; strata of one study come in few sizes."""
    rows, columns = np.triu_indices(n)
    return rows, columns


def _sorted(values: Ints) -> OrderStatistics:
    def order_statistics(ranks: Sequence[int]) -> list[int]:
        at = [rank - 1 for rank in ranks]
        chosen: list[int] = np.partition(values, at)[at].tolist()
        return chosen

    return order_statistics


@dataclass
class _Sums:
    """All sums of a value of ``a`` and a value of ``b``; halved: of a with itself, each pair once.

    ``a`` and ``b`` are distinct and ascending; ``of_a`` and ``of_b`` say how often each occurs.
    """

    a: Ints
    of_a: Ints
    b: Ints
    of_b: Ints
    halved: bool
    up_to_b: Ints = field(init=False)
    every: int = field(init=False)
    seen: dict[int, int] = field(init=False)

    def __post_init__(self) -> None:
        self.up_to_b = np.concatenate([[0], np.cumsum(self.of_b)])
        below = int(self.a[0]) + int(self.b[0]) - 1
        top = int(self.a[-1]) + int(self.b[-1])
        self.every = int(self.of_a.sum()) * int(self.up_to_b[-1])
        if self.halved:
            self.every = (self.every + int(self.of_a.sum())) // 2
        self.seen = {below: 0, top: self.every}

    @classmethod
    def of(cls, a: Ints, b: Ints, *, halved: bool = False) -> _Sums:
        return cls(*np.unique(a, return_counts=True), *np.unique(b, return_counts=True), halved)

    def count(self, t: int) -> int:
        """Return how many sums are at most ``t``."""
        found = int(self.of_a @ self.up_to_b[self.b.searchsorted(t - self.a, "right")])
        if self.halved:
            found = (found + int(self.of_a[: self.a.searchsorted(t // 2, "right")].sum())) // 2
        self.seen[t] = found
        return found

    def order_statistics(self, ranks: Sequence[int]) -> list[int]:
        # a few quantiles of either side, all added up, say roughly where each rank lies
        coarse = np.sort(np.add.outer(_quantiles(self.a, self.of_a), _quantiles(self.b, self.of_b)).ravel())
        written: tuple[int, int, Ints, Ints] | None = None
        found = []
        for rank in ranks:
            if written is None or not written[2].size or not written[0] < rank <= written[1]:
                written = self._write_out(*self._narrow(rank, rank / self.every, coarse))
            before, _last, values, counts = written
            found.append(int(values[np.searchsorted(counts, rank - before)]))
        return found

    def _narrow(self, rank: int, share: float, coarse: Ints) -> tuple[int, int]:
        """Return (low, high) with count(low) < rank <= count(high) and few sums between."""
        few = _FEW * (self.a.size + self.b.size) * self.every / (self.a.size * self.b.size)
        low = max((t for t, c in self.seen.items() if c < rank))
        high = min((t for t, c in self.seen.items() if c >= rank))
        place = min(max(int(share * coarse.size), _NEAR), coarse.size - 1 - _NEAR)
        slope = (
            2 * _NEAR / coarse.size * self.every / max(1, int(coarse[place + _NEAR] - coarse[place - _NEAR]))
        )
        guess, step = int(coarse[place]), 0
        last: tuple[int, int] | None = None
        while high - low > 1 and self.seen[high] - self.seen[low] > few:
            if step % 6 == 5:  # interpolation that does not get on gives way to bisection
                guess = (low + high) // 2
            guess = min(max(guess, low + 1), high - 1)
            found = self.count(guess)
            if found < rank:
                low = guess
            else:
                high = guess
            if last is not None and 0 < abs(found - last[1]) < self.every // 8:
                slope = (found - last[1]) / (guess - last[0])
            last = (guess, found)
            # aim a little beyond the rank, so that the bracket closes from the other side
            guess += int((rank - found + math.copysign(few / 3, rank - found)) / slope)
            step += 1
        return low, high

    def _write_out(self, low: int, high: int) -> tuple[int, int, Ints, Ints]:
        """Return the sums in (low, high], ascending, with how many there are up to each."""
        before, last = self.seen[low], self.seen[high]
        if high - low == 1:
            return before, last, np.array([high]), np.array([last - before])
        left = self.b.searchsorted(low - self.a, "right")
        right = self.b.searchsorted(high - self.a, "right")
        if self.halved:
            left = np.maximum(left, np.arange(self.a.size))
            right = np.maximum(left, right)
        sizes = right - left
        rows = np.repeat(np.arange(self.a.size), sizes)
        columns = np.arange(rows.size) - np.repeat(np.cumsum(sizes) - sizes - left, sizes)
        values = self.a[rows] + self.b[columns]
        weights = self.of_a[rows] * self.of_b[columns]
        if self.halved:
            own = rows == columns
            weights[own] = (weights[own] + self.of_a[rows[own]]) // 2
        if weights.size == last - before:  # nothing occurs twice, and sorting alone is faster
            return before, last, np.sort(values), np.arange(1, values.size + 1)
        order = np.argsort(values)
        return before, last, values[order], np.cumsum(weights[order])


def _quantiles(values: Ints, weights: Ints) -> Ints:
    """Return evenly spaced quantiles of weighted ascending values."""
    up_to = np.cumsum(weights)
    wanted = (np.arange(_COARSE) * 2 + 1) * int(up_to[-1]) // (2 * _COARSE) + 1
    quantiles: Ints = values[np.minimum(up_to.searchsorted(wanted), values.size - 1)]
    return quantiles
