"""Which tests begin first: on every worker its share of the long modules, so that all end together.

xdist gives each worker an equal number of neighbours and lets the one that is done
take from the end of another's. Long modules therefore stand at the beginning of a
worker's part, and what shares a house or a world stays on one worker.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

LONG: dict[str, float] = {
    "journeys": 205,
    "faults": 70,
    "test_refresh": 75,
    "test_access": 56,
    "test_run": 35,
    "test_imports": 27,
    "test_hostile": 40,
    "test_imports_hostile": 25,
    "test_freshness": 21,
    "test_round_trip": 20,
    "test_scripts": 15,
    "test_entry_together": 19,
}
"""Seconds of modules, and of directories whose modules share something; roughly, on two quiet cores."""

Item = TypeVar("Item")


def in_parts(items: Sequence[Item], group_of: Callable[[Item], str], workers: int) -> list[Item]:
    """Return the items in an order whose ``workers`` equal parts begin with about as many seconds each.

    Parameters
    ----------
    items
        All tests, in the order that each part shall keep among its short ones.
    group_of
        Name of the module or directory that a test counts for.
    workers
        How many parts.
    """
    groups: dict[str, list[Item]] = {}
    short: list[Item] = []
    for item in items:
        name = group_of(item)
        (groups.setdefault(name, []) if name in LONG else short).append(item)
    parts: list[list[Item]] = [[] for _ in range(workers)]
    seconds = [0.0] * workers
    for name in sorted(groups, key=lambda name: (-LONG[name], name)):
        least = seconds.index(min(seconds))
        parts[least] += groups[name]
        seconds[least] += LONG[name]
    for place, part in enumerate(parts):
        # as xdist cuts: what does not divide goes to the later ones
        size = (len(items) - sum(map(len, parts[:place]))) // (workers - place)
        missing = max(0, size - len(part))
        part.extend(short[:missing])
        del short[:missing]
    return [item for part in parts for item in part] + short
