"""Where everything stands in the charts on screen: geometry only, no markup, no database.

Lengths are pixels of the drawing's own coordinate system, y downwards. Templates
turn these records into SVG; what they print has already been put into words.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from trial.protocol import Direction, Limits

MINUS = "\N{MINUS SIGN}"


def with_sign(value: Decimal | float, decimals: int) -> str:
    """Return a change with its sign, a typographic minus and fixed decimals."""
    text = f"{abs(value):.{decimals}f}"
    if not any(digit in text for digit in "123456789"):
        return text
    return ("+" if value > 0 else MINUS) + text


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


# --- a subject's trend ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reading:
    """One value of one draw; ``shown`` is how it is printed, ``hollow`` that it came soon after plasma."""

    day: int
    value: Decimal
    shown: str
    flag: str = ""
    hollow: bool = False


@dataclass(frozen=True, slots=True)
class GroupPoint:
    """Median and quartiles of the subject's group at one visit."""

    day: int
    q1: float
    median: float
    q3: float


@dataclass(frozen=True, slots=True)
class Span:
    """A reference range and the days on which it holds, both included; None leaves an end open."""

    first: int | None
    last: int | None
    limits: Limits


@dataclass(frozen=True, slots=True)
class Series:
    """One quantity of a subject over time, with what surrounds it.

    ``reference`` is the range in force at the end, ``spans`` the ranges over time;
    without spans it holds throughout.
    """

    code: str
    label: str
    unit: str
    decimals: int
    readings: tuple[Reading, ...]
    reference: Limits | None
    reference_words: str
    direction: Direction
    group: tuple[GroupPoint, ...] = ()
    note: str = ""
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class InfusionMark:
    """An infusion on the time axis: given, late (given outside its window), missed or planned."""

    number: int
    day: int
    state: str
    words: str


@dataclass(frozen=True, slots=True)
class Draw:
    """One moment at which something was measured; ``lines`` is what its card says."""

    day: int
    label: str
    date: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dot:
    x: float
    y: float
    shown: str
    flag: str
    hollow: bool = False


@dataclass(frozen=True, slots=True)
class Tick:
    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Band:
    x: float
    width: float
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Strip:
    """One series, placed."""

    code: str
    label: str
    unit: str
    reference_words: str
    note: str
    top: float
    bottom: float
    line: str
    dots: tuple[Dot, ...]
    ticks: tuple[Tick, ...]
    bands: tuple[Band, ...]
    ribbon: str
    median: str
    last: str
    last_flag: str
    change: str


@dataclass(frozen=True, slots=True)
class PlacedDraw:
    """A draw with the part of the time axis that belongs to it and a ring on every series."""

    x: float
    left: float
    width: float
    label: str
    date: str
    show_date: bool
    rings: tuple[Dot, ...]
    card_x: float
    lines: tuple[str, ...]
    words: str


@dataclass(frozen=True, slots=True)
class PlacedInfusion:
    x: float
    number: int
    state: str
    words: str


@dataclass(frozen=True, slots=True)
class Trend:
    """A whole figure of small multiples over one time axis."""

    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float
    strips: tuple[Strip, ...]
    weeks: tuple[Tick, ...]
    windows: tuple[tuple[float, float], ...]
    infusions: tuple[PlacedInfusion, ...]
    draws: tuple[PlacedDraw, ...]
    today: float | None
    ended: tuple[Tick, ...]


WIDTH, LEFT, RIGHT = 1360.0, 178.0, 1216.0
AXIS_HEIGHT, INFUSIONS_HEIGHT, STRIP_HEIGHT, FOOT_HEIGHT = 26.0, 28.0, 94.0, 34.0
STRIP_PADDING = 12.0
CARD_WIDTH = 330.0
CLOSEST_LABELS = 74.0


def trend(
    series: Sequence[Series],
    draws: Sequence[Draw],
    infusions: Sequence[InfusionMark],
    *,
    first_day: int,
    last_day: int,
    weeks: Sequence[int],
    windows: Sequence[tuple[int, int]] = (),
    today: int | None = None,
    ended: Sequence[tuple[int, str]] = (),
    log: bool = False,
    relative: bool = False,
) -> Trend:
    """Place the small multiples of one subject.

    Parameters
    ----------
    series
        One strip each, from top to bottom.
    draws
        Every moment with a value, by ascending day.
    infusions
        Marks above the strips; those given also cross them as thin lines.
    first_day, last_day
        Ends of the time axis, in days since the first infusion.
    weeks
        Weeks to label on the axis.
    windows
        First and last days of the visits' windows.
    today, ended
        The present, and days on which observation ended, with a word each.
    log, relative
        Logarithmic axes; values in percent of the first reading at or before day 0.

    Returns
    -------
    Trend
        Everything in pixels.
    """
    across = Scale(first_day, max(last_day, first_day + 7), LEFT + 12, RIGHT - 12)
    top = AXIS_HEIGHT + INFUSIONS_HEIGHT
    placed: list[Strip] = []
    for place, one in enumerate(series):
        start = top + place * STRIP_HEIGHT
        placed.append(_strip(one, across, start, start + STRIP_HEIGHT, log=log, relative=relative))
    bottom = top + len(series) * STRIP_HEIGHT
    inside = [w for w in weeks if first_day <= 7 * w <= last_day]
    return Trend(
        width=WIDTH,
        height=bottom + FOOT_HEIGHT,
        left=LEFT,
        right=RIGHT,
        top=top,
        bottom=bottom,
        strips=tuple(placed),
        weeks=tuple(_spaced([Tick(across(7 * w), str(w)) for w in inside], 24.0)),
        windows=tuple(
            (across(max(a, first_day)), across(min(b, last_day)))
            for a, b in windows
            if b >= first_day and a <= last_day
        ),
        infusions=tuple(
            PlacedInfusion(across(mark.day), mark.number, mark.state, mark.words)
            for mark in infusions
            if first_day <= mark.day <= last_day
        ),
        draws=tuple(_draws(draws, placed, across)),
        today=across(today) if today is not None and first_day <= today <= last_day else None,
        ended=tuple(Tick(across(day), word) for day, word in ended if first_day <= day <= last_day),
    )


def _strip(series: Series, across: Scale, top: float, bottom: float, *, log: bool, relative: bool) -> Strip:
    readings = list(series.readings)
    base = _baseline(readings)
    group = series.group
    divisor = 1.0
    if relative:
        readings = [r for r in readings if base]
        group = ()
        divisor = float(base or 1) / 100
    values = [float(r.value) / divisor for r in readings]
    spread = values + [x for point in group for x in (point.q1, point.q3)]
    reference = None if relative else series.reference
    held = [span.limits for span in series.spans if _is_seen(span, across)]
    for limits in () if reference is None else held or [reference]:
        edge = _nearest_edge(limits, series.direction)
        if edge is not None:
            spread.append(edge)
    log = log and bool(values) and min(spread) > 0
    ticks = (
        log_ticks(min(spread), max(spread)) if log else nice_ticks(min(spread or [0]), max(spread or [1]), 3)
    )
    up = Scale(ticks[0], ticks[-1], bottom - STRIP_PADDING, top + STRIP_PADDING, log=log)
    dots = tuple(
        Dot(across(r.day), up(value), r.shown, r.flag, r.hollow)
        for r, value in zip(readings, values, strict=True)
    )
    last = readings[-1] if readings else None
    return Strip(
        code=series.code,
        label=series.label,
        unit="%" if relative else series.unit,
        reference_words="" if relative else series.reference_words,
        note=series.note,
        top=top,
        bottom=bottom,
        line=" ".join(f"{dot.x},{dot.y}" for dot in dots),
        dots=dots,
        ticks=tuple(Tick(up(tick), _tick_text(tick)) for tick in ticks),
        bands=() if reference is None else _bands(series, reference, across, up),
        ribbon=_ribbon(group, across, up),
        median=" ".join(f"{across(p.day)},{up.clipped(p.median)}" for p in group),
        last=last.shown if last else "\N{EN DASH}",
        last_flag=last.flag if last else "",
        change=_change(readings, base, series.decimals),
    )


def _baseline(readings: Sequence[Reading]) -> Decimal | None:
    before = [r.value for r in readings if r.day <= 0]
    return before[-1] if before else (readings[0].value if readings else None)


def _nearest_edge(reference: Limits | None, direction: Direction) -> float | None:
    if reference is None:
        return None
    edge = reference.low if direction is Direction.RISES else reference.high
    edge = edge if edge is not None else (reference.high if reference.high is not None else reference.low)
    return None if edge is None else float(edge)


def _is_seen(span: Span, across: Scale) -> bool:
    """Return whether a range holds on any day of the time axis."""
    return (span.last is None or span.last >= across.low) and (
        span.first is None or span.first <= across.high
    )


def _bands(series: Series, reference: Limits, across: Scale, up: Scale) -> tuple[Band, ...]:
    """Place the reference ranges; neighbours touch in the middle of the night between them."""
    found = []
    for span in series.spans or (Span(None, None, reference),):
        if not _is_seen(span, across):
            continue
        start = LEFT if span.first is None else across.clipped(span.first - 0.5)
        end = RIGHT if span.last is None else across.clipped(span.last + 0.5)
        high = up.clipped(up.high if span.limits.high is None else span.limits.high)
        low = up.clipped(up.low if span.limits.low is None else span.limits.low)
        # what lies on the edge of the axis belongs to the margin beside it
        start = LEFT if start <= across.start else start
        end = RIGHT if end >= across.end else end
        if end - start > 0.5 and low - high > 0.5:
            found.append(Band(start, round(end - start, 2), high, round(low - high, 2)))
    return tuple(found)


def _ribbon(group: Sequence[GroupPoint], across: Scale, up: Scale) -> str:
    over = [f"{across(p.day)},{up.clipped(p.q3)}" for p in group]
    under = [f"{across(p.day)},{up.clipped(p.q1)}" for p in reversed(group)]
    return " ".join(over + under) if len(group) > 1 else ""


def _change(readings: Sequence[Reading], base: Decimal | None, decimals: int) -> str:
    if base is None or len(readings) < 2 or readings[-1].day <= 0:
        return ""
    difference = readings[-1].value - base
    words = with_sign(difference, decimals)
    return f"{words} \N{MIDDLE DOT} {with_sign(100 * difference / base, 0)} %" if base else words


def _tick_text(value: float) -> str:
    return f"{value:g}".replace("-", MINUS)


def _spaced(ticks: Sequence[Tick], gap: float) -> list[Tick]:
    kept: list[Tick] = []
    for tick in ticks:
        if not kept or tick.at - kept[-1].at >= gap:
            kept.append(tick)
    return kept


def _draws(draws: Sequence[Draw], strips: Sequence[Strip], across: Scale) -> list[PlacedDraw]:
    xs = [across(draw.day) for draw in draws]
    placed, last_label = [], -math.inf
    for place, (draw, x) in enumerate(zip(draws, xs, strict=True)):
        left = LEFT if place == 0 else (xs[place - 1] + x) / 2
        right = RIGHT if place == len(xs) - 1 else (x + xs[place + 1]) / 2
        show = x - last_label >= CLOSEST_LABELS
        last_label = x if show else last_label
        rings = tuple(dot for strip in strips for dot in strip.dots if dot.x == x)
        placed.append(
            PlacedDraw(
                x=x,
                left=round(left, 2),
                width=round(max(right - left, 1.0), 2),
                label=draw.label,
                date=draw.date,
                show_date=show,
                rings=rings,
                card_x=round(min(max(x - CARD_WIDTH / 2, LEFT), RIGHT - CARD_WIDTH), 2),
                lines=draw.lines,
                words=". ".join((draw.label, *draw.lines)),
            )
        )
    return placed


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
        axis: they are counted at its end.
    """
    low, high = _range_of([sample for row in rows for sample in row])
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
        ticks=tuple(Tick(across(tick), _tick_text(tick)) for tick in ticks),
        zero=across(0) if ticks[0] <= 0 <= ticks[-1] else None,
        forest_width=FOREST_WIDTH,
        forest=tuple(_forest(estimate, beside) for estimate in estimates),
        forest_ticks=tuple(Tick(beside(side), _tick_text(side)) for side in (sides[0], 0.0, sides[-1])),
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
