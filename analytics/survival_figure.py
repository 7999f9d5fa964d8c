"""Draws curves of survival as coordinates: steps, bands, axes, and numbers at risk under the axis."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

WIDTH, PLOT_HEIGHT = 640, 236
LEFT, RIGHT, TOP = 92, 30, 14
AXIS, RISK_LINE = 40, 18
LEAST_APART = 15
"""Vertical room of a letter at the end of a curve."""
LEAST_SHARE = 0.2
"""The axis of an incidence reaches at least this high, so that one event among many stays small."""
END_ROOM = 7
"""Days drawn beyond the last mark."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A tick: where it stands and what it says."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class CurveLine:
    """One curve: its steps, the band of its interval, its letter at the end, and who is at risk."""

    code: str
    path: str
    band: str
    end_x: float
    end_y: float
    letter_y: float
    dashed: bool
    risk: tuple[Mark, ...]
    risk_y: float


@dataclass(frozen=True, slots=True)
class Picture:
    """One panel in pixels."""

    width: int
    height: int
    left: float
    right: float
    top: float
    bottom: float
    x: tuple[Mark, ...]
    y: tuple[Mark, ...]
    curves: tuple[CurveLine, ...]
    risk_head_y: float
    axis_words_y: float


def picture(panel: Mapping[str, Any], marks: Sequence[Mapping[str, int]], highest: float) -> Picture:
    """Return the drawing of one panel.

    Parameters
    ----------
    panel
        As :func:`analytics.survival_reading.body` has it.
    marks
        Days under which numbers at risk stand, with their study weeks.
    highest
        Upper end of the axis, a share of 1; the same for panels that are compared.
    """
    bottom = float(TOP + PLOT_HEIGHT)
    last = marks[-1]["day"] + END_ROOM if marks else 1.0

    def across(day: float) -> float:
        return round(LEFT + min(max(day, 0.0), last) / last * (WIDTH - LEFT - RIGHT), 1)

    def up(value: float) -> float:
        return round(bottom - min(value, highest) / highest * PLOT_HEIGHT, 1)

    shown = _apart(marks, across)
    lines = []
    for place, curve in enumerate(panel["curves"]):
        if not curve["n"]:
            continue
        until = min(curve["last"], last)
        points = [
            (d, v, lo, hi)
            for d, v, lo, hi in zip(curve["days"], curve["value"], curve["low"], curve["high"], strict=True)
            if d <= until
        ]
        path, value = [f"M{across(0)} {up(curve['start'])}"], curve["start"]
        for day, value, _low, _high in points:
            path.append(f"H{across(day)}V{up(value)}")
        path.append(f"H{across(until)}")
        lines.append(
            CurveLine(
                curve["code"],
                "".join(path),
                _band(points, until, across, up),
                across(until),
                up(value),
                up(value),
                place == 1,
                tuple(
                    Mark(across(mark["day"]), str(curve["at_risk"][k]))
                    for k, mark in enumerate(marks)
                    if k in shown
                ),
                bottom + AXIS + RISK_LINE * (place + 1),
            )
        )
    steps = _steps(highest)
    return Picture(
        WIDTH,
        int(bottom + AXIS + RISK_LINE * (len(panel["curves"]) + 0.6)),
        float(LEFT),
        float(WIDTH - RIGHT),
        float(TOP),
        bottom,
        tuple(Mark(across(mark["day"]), str(mark["week"])) for k, mark in enumerate(marks) if k in shown),
        tuple(Mark(up(step), f"{round(100 * step)} %") for step in steps),
        tuple(_letters(lines)),
        bottom + AXIS,
        bottom + 16,
    )


def highest_of(panels: Sequence[Mapping[str, Any]]) -> float:
    """Return a round upper end of the axis for some panels of incidence."""
    most = 0.0
    for panel in panels:
        for curve in panel["curves"]:
            most = max([most, *curve["value"], *(h for h in curve["high"] if h is not None)])
    return next((top for top in (LEAST_SHARE, 0.4, 0.6, 0.8) if most <= top), 1.0)


def _steps(highest: float) -> list[float]:
    step = highest / 4 if highest < 1 else 0.25
    return [round(k * step, 4) for k in range(round(highest / step) + 1)]


def _apart(marks: Sequence[Mapping[str, int]], across: Any) -> set[int]:
    """Return which marks have room, the later one of two that touch."""
    kept: list[int] = []
    for k in reversed(range(len(marks))):
        if not kept or across(marks[kept[-1]]["day"]) - across(marks[k]["day"]) >= 20 or k == 0:
            if k == 0 and kept and across(marks[kept[-1]]["day"]) - across(marks[0]["day"]) < 20:
                kept.pop()
            kept.append(k)
    return set(kept)


def _band(points: Sequence[tuple[float, float, Any, Any]], until: float, across: Any, up: Any) -> str:
    """Return the outline of an interval: forward along its upper steps, back along its lower ones.

    Where there is no interval (nothing has happened yet, or to everybody) the band is as thin as the curve.
    """
    upper: list[str] = []
    lower: list[str] = []
    for k, (day, value, low, high) in enumerate(points):
        ends = across(points[k + 1][0] if k + 1 < len(points) else until)
        over, under = up(value if high is None else high), up(value if low is None else low)
        upper += [f"{across(day)} {over}", f"{ends} {over}"]
        lower += [f"{across(day)} {under}", f"{ends} {under}"]
    return f"M{'L'.join(upper + lower[::-1])}Z" if upper else ""


def _letters(lines: Sequence[CurveLine]) -> list[CurveLine]:
    """Move the letters at the ends of two curves apart, where both end at one place."""
    if len(lines) == 2 and abs(lines[0].end_x - lines[1].end_x) < LEAST_APART:
        gap = lines[1].end_y - lines[0].end_y
        if abs(gap) < LEAST_APART:
            middle = (lines[0].end_y + lines[1].end_y) / 2
            sign = math.copysign(1, gap) if gap else 1.0
            return [
                _moved(lines[0], middle - sign * LEAST_APART / 2),
                _moved(lines[1], middle + sign * LEAST_APART / 2),
            ]
    return list(lines)


def _moved(line: CurveLine, letter_y: float) -> CurveLine:
    return replace(line, letter_y=round(letter_y, 1))
