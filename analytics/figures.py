"""Where everything stands in the charts on screen: geometry only, no markup, no database.

Lengths are pixels of the drawing's own coordinate system, y downwards. Templates
turn these records into SVG; what they print has already been put into words.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

MINUS = "\N{MINUS SIGN}"


def with_sign(value: Decimal | float, decimals: int) -> str:
    """Return a change with its sign, a typographic minus and fixed decimals."""
    text = f"{abs(value):.{decimals}f}"
    if not any(digit in text for digit in "123456789"):
        return text
    return ("+" if value > 0 else MINUS) + text


def tick_text(value: float) -> str:
    """Return a number as an axis writes it."""
    return f"{value:g}".replace("-", MINUS)


def nice_ticks(low: float, high: float, count: int) -> list[float]:
    """Return round numbers that cover ``low`` to ``high``, about ``count`` of them."""
    if high <= low:
        high = low + (abs(low) or 1.0)
    raw = (high - low) / max(1, count - 1)
    power = 10 ** math.floor(math.log10(raw))
    step = next(step for step in (1, 2, 2.5, 5, 10) if step * power >= raw * 0.999) * power
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(place * step, 10) for place in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Return 1, 2, 5 times powers of ten around a positive range, thinned to at most five."""
    every = [
        factor * 10.0**power
        for power in range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
        for factor in (1, 2, 5)
    ]
    below = max((tick for tick in every if tick <= low), default=every[0])
    above = min((tick for tick in every if tick >= high), default=every[-1])
    inside = [tick for tick in every if below <= tick <= above]
    thinned = inside[:: max(1, math.ceil(len(inside) / 5))]
    return thinned if thinned[-1] == above else [*thinned, above]


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps values to pixels, linear or logarithmic."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float | Decimal) -> float:
        low, high, at = self.low, self.high, float(value)
        if self.log:
            low, high, at = math.log10(low), math.log10(high), math.log10(max(at, self.low / 10))
        share = (at - low) / (high - low)
        return round(self.start + share * (self.end - self.start), 2)

    def clipped(self, value: float | Decimal) -> float:
        """Return the pixel of a value, held within the axis."""
        return self(min(max(float(value), self.low), self.high))


@dataclass(frozen=True, slots=True)
class Tick:
    at: float
    text: str


# --- two groups, interval by interval -------------------------------------------------------

CONTRAST_WIDTH, CONTRAST_ROW = 420.0, 92.0
SPREAD = 9.0
"""How far dots of one group are spread vertically, in pixels."""
MOST_DOTS = 400
FOREST_WIDTH = 150.0


@dataclass(frozen=True, slots=True)
class GroupSample:
    """One group's values and their quartiles; ``values`` is empty when there are too many to draw."""

    code: str
    values: tuple[float, ...]
    q1: float | None
    median: float | None
    q3: float | None


@dataclass(frozen=True, slots=True)
class BoxRow:
    """One group of one interval, placed."""

    code: str
    y: float
    dots: tuple[tuple[float, float], ...]
    beyond_left: int
    beyond_right: int
    box_x: float | None
    box_width: float
    median: float | None


@dataclass(frozen=True, slots=True)
class ForestRow:
    """An estimate with its interval, placed; arrows where it runs off the axis."""

    low: float
    high: float
    estimate: float
    off_left: bool
    off_right: bool


@dataclass(frozen=True, slots=True)
class ContrastFigure:
    """Boxes and estimates of every interval on two shared axes."""

    width: float
    row_height: float
    rows: tuple[tuple[BoxRow, ...], ...]
    ticks: tuple[Tick, ...]
    zero: float | None
    forest_width: float
    forest: tuple[ForestRow | None, ...]
    forest_ticks: tuple[Tick, ...]
    forest_zero: float


def contrast(
    rows: Sequence[Sequence[GroupSample]], estimates: Sequence[tuple[float, float, float] | None]
) -> ContrastFigure:
    """Place the groups of a contrast, interval below interval, on one axis.

    Parameters
    ----------
    rows
        For each interval the samples of its groups.
    estimates
        For each interval the estimate with the ends of its confidence interval, or None.

    Returns
    -------
    ContrastFigure
        Points farther than three interquartile ranges from a box do not stretch the
        axis: they are counted at its end. Where nothing was measured an axis has no scale.
    """
    samples = [sample for row in rows for sample in row]
    low, high = _range_of(samples)
    has_values = any(sample.values or sample.median is not None for sample in samples)
    ticks = nice_ticks(low, high, 6)
    across = Scale(ticks[0], ticks[-1], 14, CONTRAST_WIDTH - 14)
    known = [estimate for estimate in estimates if estimate is not None]
    reach = max((max(abs(lower), abs(upper)) for _estimate, lower, upper in known), default=1.0) or 1.0
    typical = sorted(abs(upper - lower) for _estimate, lower, upper in known)
    if typical:
        reach = min(reach, 2.5 * (typical[len(typical) // 2] or reach))
    sides = nice_ticks(-reach, reach, 3)
    beside = Scale(sides[0], sides[-1], 8, FOREST_WIDTH - 8)
    return ContrastFigure(
        width=CONTRAST_WIDTH,
        row_height=CONTRAST_ROW,
        rows=tuple(tuple(_boxes(row, across)) for row in rows),
        ticks=tuple(Tick(across(tick), tick_text(tick)) for tick in ticks if has_values),
        zero=across(0) if has_values and ticks[0] <= 0 <= ticks[-1] else None,
        forest_width=FOREST_WIDTH,
        forest=tuple(_forest(estimate, beside) for estimate in estimates),
        forest_ticks=tuple(
            Tick(beside(side), tick_text(side)) for side in (sides[0], 0.0, sides[-1]) if known
        ),
        forest_zero=beside(0),
    )


def _range_of(samples: Sequence[GroupSample]) -> tuple[float, float]:
    lows, highs = [0.0], [0.0]
    for sample in samples:
        if sample.q1 is None or sample.q3 is None:
            lows += sample.values
            highs += sample.values
            continue
        reach = 3 * (sample.q3 - sample.q1)
        inside = [v for v in sample.values if sample.q1 - reach <= v <= sample.q3 + reach]
        lows += [sample.q1, *inside]
        highs += [sample.q3, *inside]
    return min(lows), max(highs)


def _boxes(row: Sequence[GroupSample], across: Scale) -> list[BoxRow]:
    height = CONTRAST_ROW / max(1, len(row))
    boxes = []
    for place, sample in enumerate(row):
        middle = round(height * (place + 0.5), 2)
        inside = [v for v in sample.values if across.low <= v <= across.high]
        box = sample.q1 is not None and sample.q3 is not None
        start = across.clipped(sample.q1 or 0.0)
        boxes.append(
            BoxRow(
                code=sample.code,
                y=middle,
                dots=tuple((across(v), _spread(number, middle)) for number, v in enumerate(sorted(inside))),
                beyond_left=sum(v < across.low for v in sample.values),
                beyond_right=sum(v > across.high for v in sample.values),
                box_x=start if box else None,
                box_width=round(max(across.clipped(sample.q3 or 0.0) - start, 1.0), 2) if box else 0.0,
                median=None if sample.median is None else across.clipped(sample.median),
            )
        )
    return boxes


def _spread(number: int, middle: float) -> float:
    # a fixed irregular rhythm: neighbours never share a height, and every drawing is the same
    return round(middle + SPREAD * math.sin(number * 2.399963), 2)


def _forest(estimate: tuple[float, float, float] | None, beside: Scale) -> ForestRow | None:
    if estimate is None:
        return None
    value, low, high = estimate
    return ForestRow(
        low=beside.clipped(low),
        high=beside.clipped(high),
        estimate=beside.clipped(value),
        off_left=low < beside.low,
        off_right=high > beside.high,
    )
