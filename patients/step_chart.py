"""Enrolment by group as a step chart. Pure geometry.

The axis runs in months; a line steps up where subjects entered, and ends with
its group's letter and count, moved apart where lines end close together.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

WIDTH, HEIGHT = 392, 196
LEFT, RIGHT, TOP, BOTTOM = 28, 84, 12, 24
LABEL_STEP = 18
MOST_STEPS = 60
"""Days at which a line may step; a longer study steps in bins."""


@dataclass(frozen=True, slots=True)
class StepLine:
    """One group's line and the label at its end."""

    code: str
    count: int
    path: str
    end_x: float
    end_y: float
    label_y: float


@dataclass(frozen=True, slots=True)
class Level:
    """A horizontal rule of the count axis."""

    y: float
    value: int


@dataclass(frozen=True, slots=True)
class MonthTick:
    """A month named on the time axis."""

    x: float
    label: str


@dataclass(frozen=True, slots=True)
class StepChart:
    """Everything the template draws, in pixels."""

    lines: tuple[StepLine, ...]
    levels: tuple[Level, ...]
    months: tuple[MonthTick, ...]
    plot_right: float
    label_x: float


def draw(entered: Mapping[str, Sequence[date]], today: date) -> StepChart | None:
    """Lay out the cumulative number of subjects of each group by the day they entered.

    Returns
    -------
    StepChart or None
        None while nobody has entered.
    """
    days = sorted(day for group in entered.values() for day in group)
    if not days:
        return None
    first, last = days[0], max(today, days[-1])
    most = max(len(group) for group in entered.values())
    step = _nice(most)
    top = step * -(-most // step)
    span = max((last - first).days, 1)
    plot_right = WIDTH - RIGHT

    def x(day: date) -> float:
        return round(LEFT + (plot_right - LEFT) * (day - first).days / span, 1)

    def y(count: int) -> float:
        return round(HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * count / top, 1)

    ends = {code: y(len(group)) for code, group in entered.items() if group}
    labels = _apart(ends)
    lines = tuple(
        StepLine(
            code,
            len(group),
            _path([(x(day), y(count)) for day, count in _steps(sorted(group), first, last)], y(0)),
            plot_right,
            ends[code],
            labels[code],
        )
        for code, group in entered.items()
        if group
    )
    return StepChart(
        lines=lines,
        levels=tuple(Level(y(value), value) for value in range(0, top + 1, step)),
        months=tuple(_months(first, last, x)),
        plot_right=plot_right,
        label_x=plot_right + 10,
    )


def _nice(most: int) -> int:
    """Return a round step that makes at most five levels."""
    for step in (1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 500, 1000, 2000, 2500, 5000):
        if most <= 4 * step:
            return step
    return int("1" + "0" * len(str(most)))


def _steps(days: Sequence[date], first: date, last: date) -> list[tuple[date, int]]:
    """Return the count at the start, wherever it changes, and at the end."""
    bins = max(1, -(-(last - first).days // MOST_STEPS))
    marks = {first + timedelta(days=-(-(day - first).days // bins) * bins) for day in days}
    shown = sorted({min(mark, last) for mark in marks} | {first, last})
    return [(mark, bisect_right(days, mark)) for mark in shown]


def _path(points: Sequence[tuple[float, float]], floor: float) -> str:
    parts = [f"M{points[0][0]:g} {floor:g}"]
    for x, y in points:
        parts += [f"H{x:g}", f"V{y:g}"]
    return "".join(parts)


def _apart(ends: Mapping[str, float]) -> dict[str, float]:
    """Move labels apart, keeping their order and staying above the axis."""
    placed: dict[str, float] = {}
    lowest = float(HEIGHT - BOTTOM)
    for code, wanted in sorted(ends.items(), key=lambda item: -item[1]):
        placed[code] = min(wanted, lowest)
        lowest = placed[code] - LABEL_STEP
    short = TOP - min(placed.values())
    if short <= 0:
        return placed
    # no room above: push everything down just as far as needed, from the top
    highest = float(TOP)
    for code in sorted(placed, key=lambda c: placed[c]):
        placed[code] = max(placed[code], highest)
        highest = placed[code] + LABEL_STEP
    return placed


def _months(first: date, last: date, x: Callable[[date], float]) -> list[MonthTick]:
    months = []
    year, month = first.year, first.month
    while date(year, month, 1) <= last:
        months.append(date(year, month, 1))
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
    inside = [day for day in months if day >= first] or [first]
    every = max(1, -(-len(inside) // 4))
    return [MonthTick(x(day), f"{day:%Y-%m}") for day in inside[::every]]
