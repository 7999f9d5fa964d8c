"""Ways of doing the same thing, run in turn, as ratios of their medians.

Absolute times say more about the machine and its neighbours than about the
software; only ratios of things that ran in turn are worth writing down. Besides the
clock a way is measured by the processor time of this process and of its database
server process, which neighbours disturb less.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from django.db import connection

MakeTable = Callable[[str], "Table"]
Act = Callable[[], object]

_TICKS = os.sysconf("SC_CLK_TCK")


def _nothing() -> None:
    """Prepare nothing."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way: what is timed, and what has to be put in order before each time."""

    act: Act
    prepare: Act = _nothing


@dataclass(frozen=True, slots=True)
class Timing:
    """Medians, in seconds."""

    wall: float
    cpu: float


@dataclass
class Table:
    """Timings of several ways beside the first one."""

    title: str
    rounds: int
    rows: list[tuple[str, Timing, Timing]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def measure(self, ways: Mapping[str, Way], *, rounds: int | None = None) -> dict[str, Timing]:
        """Run every way once to warm up, then in turn; ratios are to the first."""
        rounds = rounds or self.rounds
        found: dict[str, list[Timing]] = {name: [] for name in ways}
        for number in range(rounds + 1):
            for name, way in ways.items():
                way.prepare()
                timing = timed(way.act)
                if number:
                    found[name].append(timing)
        medians = {
            name: Timing(median(t.wall for t in timings), median(t.cpu for t in timings))
            for name, timings in found.items()
        }
        first = next(iter(medians.values()))
        self.rows += [(name, timing, first) for name, timing in medians.items()]
        return medians

    def note(self, text: str) -> None:
        self.notes.append(text)

    def __str__(self) -> str:
        wide = max((len(name) for name, _timing, _first in self.rows), default=0)
        lines = [f"{self.title} (medians of {self.rounds})", f"  {'':{wide}}      cpu     wall      scale"]
        for name, timing, first in self.rows:
            lines.append(
                f"  {name:{wide}} {_ratio(timing.cpu, first.cpu)} {_ratio(timing.wall, first.wall)} {_scale(timing.wall)}"
            )
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])


def _ratio(a: float, b: float) -> str:
    if not b:
        return "       -"
    ratio = a / b
    return f"{ratio:8.2f}" if ratio >= 0.1 or not ratio else f"{f'1/{1 / ratio:.0f}':>8}"


def _scale(seconds: float) -> str:
    return f"{seconds:8.2f} s" if seconds >= 1 else f"{seconds * 1000:7.1f} ms"


def timed(act: Act) -> Timing:
    """Time one act."""
    server = _server_cpu()
    wall, cpu = time.perf_counter(), time.process_time()
    act()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return Timing(wall, cpu + _server_cpu() - server)


def _server_cpu() -> float:
    """Return the processor time of our connection's server process, 0 when it is not on this machine."""
    if connection.connection is None or connection.connection.closed:
        return 0.0
    try:
        text = Path(f"/proc/{connection.connection.info.backend_pid}/stat").read_text()
    except OSError:
        return 0.0
    fields = text.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
