"""Small multiples of one subject over one time axis: geometry only, no markup, no database.

Lengths are units of the drawing's own coordinate system (pixels on screen), y
downwards. Templates and :mod:`analytics.trend_paper` draw these records; what they
print has already been put into words.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from analytics import trend_lanes
from analytics.figures import Scale, Tick, log_ticks, nice_ticks, tick_text, with_sign
from analytics.trend_lanes import Sheet
from analytics.trend_terms import (
    Band,
    Cell,
    Dot,
    Draw,
    GroupPoint,
    Happened,
    Marks,
    Obstacle,
    PlacedDraw,
    Reading,
    Series,
    Span,
    Strip,
    Trend,
    Window,
)
from trial.protocol import BASELINE_WEEK, Direction, Limits

SCREEN = Sheet(width=1360, left=178, right=1216, strip=94, lane=26, axis=30, foot=34, letter=11.5, gap=74)
PAPER = Sheet(width=800, left=122, right=706, strip=66, lane=22, axis=26, foot=28, letter=10.5, gap=66)
"""A sheet 174 mm wide, so that ten units are seven points."""
ENGLISH = Marks()
PADDING = 10.0
MARGIN = 0.06
"""Share of the values' range that an axis leaves free at either end."""
WANTED_TICKS, MOST_TICKS = 3, 5
CARD_WIDTH, CARD_LINE = 396.0, 17.0


def trend(
    series: Sequence[Series],
    draws: Sequence[Draw],
    happened: Happened,
    *,
    first_day: int,
    last_day: int,
    weeks: Sequence[tuple[int, str]],
    windows: Sequence[tuple[int, int, str]] = (),
    today: int | None = None,
    ended: Sequence[tuple[int, str]] = (),
    log: bool = False,
    relative: bool = False,
    sheet: Sheet = SCREEN,
    marks: Marks = ENGLISH,
) -> Trend:
    """Place the small multiples of one subject.

    Parameters
    ----------
    series
        One strip each, from top to bottom. The group's points must already be in
        the terms that are asked for.
    draws
        Every moment with a value, by ascending day.
    happened
        Infusions and lanes above the strips; infusions given also cross the strips.
    first_day, last_day
        Ends of the time axis, in days since the first infusion.
    weeks
        Weeks to label on the axis, and what the label says.
    windows
        First and last days of the visits' windows, in words too.
    today, ended
        The present, and days on which observation ended, with a word each.
    log, relative
        Logarithmic axes; values in percent of the reading at week 0.
    sheet
        Measures of the drawing.
    marks
        What stands between the words of a draw.

    Returns
    -------
    Trend
        Everything in the units of the sheet.
    """
    across = Scale(first_day, max(last_day, first_day + 7), sheet.left + 12, sheet.right - 12)
    lanes, top = trend_lanes.placed(happened.lanes, across, sheet, start=sheet.axis + sheet.lane)
    placed: list[Strip] = []
    for place, one in enumerate(series):
        start = top + place * sheet.strip
        placed.append(_strip(one, across, start, sheet, log=log, relative=relative))
    bottom = top + len(series) * sheet.strip
    labelled = [Tick(across(7 * w), text) for w, text in weeks if first_day <= 7 * w <= last_day]
    gap = sheet.gap if any(len(tick.text) > 4 for tick in labelled) else sheet.letter * 2.2
    finished = tuple(_draws(draws, series, placed, across, sheet, marks))
    newest = max((strip.last_draw for strip in placed), key=_order(draws), default=0)
    return Trend(
        sheet=sheet,
        width=sheet.width,
        height=bottom + sheet.foot,
        left=sheet.left,
        right=sheet.right,
        top=top,
        bottom=bottom,
        strips=tuple(placed),
        weeks=tuple(spaced(labelled, gap)),
        windows=tuple(
            Window(across(max(a, first_day)), across(min(b, last_day)), words)
            for a, b, words in windows
            if b >= first_day and a <= last_day
        ),
        infusions=trend_lanes.infusions(happened.infusions, across, sheet),
        lanes=lanes,
        draws=finished,
        today=across(today) if today is not None and first_day <= today <= last_day else None,
        ended=tuple(Tick(across(day), word) for day, word in ended if first_day <= day <= last_day),
        latest=next((draw.label for draw in draws if draw.key == newest), ""),
        infusions_x=_after_infusions(happened, across, sheet),
    )


def _after_infusions(happened: Happened, across: Scale, sheet: Sheet) -> float | None:
    ends = [across(mark.day) for mark in happened.infusions if across.low <= mark.day <= across.high]
    x = max(ends, default=sheet.left) + 18
    room = sheet.right - x
    return x if trend_lanes.text_width(happened.infusions_words, sheet.letter) <= room else None


def _order(draws: Sequence[Draw]) -> Callable[[int], int]:
    places = {draw.key: place for place, draw in enumerate(draws)}
    return lambda key: places.get(key, -1)


# --- one strip ------------------------------------------------------------------------------


def _strip(series: Series, across: Scale, top: float, sheet: Sheet, *, log: bool, relative: bool) -> Strip:
    bottom = top + sheet.strip
    readings, base = series.readings, baseline(series.readings)
    kept = [r for r in readings if not r.left_out]
    obstacle, divisor = "", 1.0
    drawn: Sequence[Reading] = readings
    if not readings:
        obstacle = "" if series.refused else Obstacle.EMPTY
    elif relative and (base is None or not base.value):
        drawn = ()
        obstacle = Obstacle.NO_BASELINE if base is None else Obstacle.ZERO_BASELINE
    elif relative and base is not None:
        divisor = float(base.value) / 100
    values = [float(r.value) / divisor for r in drawn]
    spread = values + [x for point in series.group for x in (point.q1, point.q3)]
    reference = None if relative else series.reference
    held = [span.limits for span in series.spans if _is_seen(span, across)]
    for limits in () if reference is None else held or [reference]:
        edge = _nearest_edge(limits, series.direction)
        if edge is not None:
            spread.append(edge)
    if log and spread and min(spread) <= 0:
        log, obstacle = False, obstacle or Obstacle.NOT_POSITIVE
    up, round_values = _axis(spread, top + PADDING, bottom - PADDING, log=log and bool(spread))
    dots = [_dot(r, across(r.day), up(value)) for r, value in zip(drawn, values, strict=True)]
    lines = [
        " ".join(f"{dot.x},{dot.y}" for dot, r in zip(dots, drawn, strict=True) if r.left_out is out)
        for out in (False, True)
    ]
    last = kept[-1] if kept else None
    change, percent = changes(last, base, series.decimals)
    return Strip(
        code=series.code,
        label=series.label,
        unit="%" if relative else series.unit,
        reference_words="" if relative else series.reference_words,
        note=series.note,
        refused=series.refused,
        obstacle=str(obstacle),
        top=top,
        bottom=bottom,
        line=lines[0],
        after=lines[1],
        dots=tuple(dots),
        ticks=_placed_ticks(up, round_values),
        bands=() if reference is None else _bands(series, reference, across, up, sheet),
        ribbon=_ribbon(series.group, across, up),
        median=" ".join(f"{across(p.day)},{up.clipped(p.median)}" for p in series.group),
        last=last.shown if last else "\N{EN DASH}",
        last_flag=last.flag if last else "",
        last_draw=last.draw if last else 0,
        change=change,
        change_percent=percent if series.has_percent else "",
        lacks_baseline=base is None and last is not None,
    )


def baseline(readings: Sequence[Reading]) -> Reading | None:
    """Return the reading of week 0, the same that the analysis subtracts; None without one."""
    return next((r for r in readings if r.week == BASELINE_WEEK and not r.left_out), None)


def changes(last: Reading | None, base: Reading | None, decimals: int) -> tuple[str, str]:
    """Return the change since week 0, absolute and in percent; a value at a limit makes it a bound.

    Empty without two readings, or where both or the divisor were reported at a limit.
    """
    if last is None or base is None or last is base or (last.comparator and base.comparator):
        return "", ""
    # below a limit the true last value is lower still, and a true baseline below one makes the change higher
    bound = {"": "", "<": "\N{LESS-THAN OR EQUAL TO} ", ">": "\N{GREATER-THAN OR EQUAL TO} "}
    swapped = {"": "", "<": ">", ">": "<"}
    sign = bound[last.comparator or swapped[base.comparator]]
    difference = last.value - base.value
    share = ""
    if base.value and not base.comparator:
        share = f"{sign}{with_sign(100 * difference / base.value, 0)} %"
    # no digit of a report is hidden, and none is made up for a value that was converted
    finest = max((_decimals_shown(each.shown) for each in (last, base)), default=decimals)
    return sign + with_sign(difference, max(decimals, finest)), share


def _decimals_shown(shown: str) -> int:
    """Return how many decimals a printed value has.

    Examples
    --------
    >>> _decimals_shown("74.5"), _decimals_shown("<10"), _decimals_shown("3.9 × 10⁷")
    (1, 0, 0)
    """
    number = shown.strip("<>")
    return len(number.partition(".")[2]) if number.replace(".", "", 1).isdigit() else 0


def _axis(spread: Sequence[float], top: float, bottom: float, *, log: bool) -> tuple[Scale, list[float]]:
    """Return an axis that the values fill, and round numbers on it; of a single value, around it."""
    low, high = min(spread, default=0.0), max(spread, default=1.0)
    if low == high:
        low, high = (low / 2, high * 2) if log else (low - (abs(low) / 4 or 1), high + (abs(high) / 4 or 1))
    if log:
        room = (high / low) ** MARGIN
        low, high = low / room, high * room
        inside = [tick for tick in log_ticks(low, high) if low <= tick <= high]
    else:
        room = (high - low) * MARGIN
        # nothing measured goes below zero of itself, so that the axis does not either
        low, high = max(0.0, low - room) if low >= 0 else low - room, high + room
        inside = []
    for count in (3, 4, 6, 9):
        if len(inside) >= WANTED_TICKS:
            break
        more = [tick for tick in nice_ticks(low, high, count) if low <= tick <= high]
        # a logarithmic axis within a decade takes them too
        inside = more if len(more) > len(inside) and (len(more) <= MOST_TICKS or len(inside) < 2) else inside
    return Scale(low, high, bottom, top, log=log), inside


def _placed_ticks(up: Scale, values: Sequence[float]) -> tuple[Tick, ...]:
    return tuple(spaced([Tick(up(value), tick_text(value)) for value in reversed(values)], 17.0))


def _dot(reading: Reading, x: float, y: float) -> Dot:
    shape, path = "dot", ""
    if reading.left_out:
        shape, path = "out", f"M{x - 3.5},{y - 3.5}l7,7m0,-7l-7,7"
    elif reading.comparator:
        # an arrow head in the direction of the truth
        turn = 1 if reading.comparator == "<" else -1
        shape = "below" if turn > 0 else "above"
        path = f"M{x - 4.5},{round(y - 3 * turn, 2)}h9l-4.5,{8 * turn}z"
    elif reading.hollow:
        shape = "hollow"
    return Dot(x, y, reading.shown, reading.flag, shape, path)


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


def _bands(series: Series, reference: Limits, across: Scale, up: Scale, sheet: Sheet) -> tuple[Band, ...]:
    """Place the reference ranges; neighbours touch in the middle of the night between them."""
    found = []
    for span in series.spans or (Span(None, None, reference),):
        if not _is_seen(span, across):
            continue
        start = sheet.left if span.first is None else across.clipped(span.first - 0.5)
        end = sheet.right if span.last is None else across.clipped(span.last + 0.5)
        high = up.clipped(up.high if span.limits.high is None else span.limits.high)
        low = up.clipped(up.low if span.limits.low is None else span.limits.low)
        # what lies on the edge of the axis belongs to the margin beside it
        start = sheet.left if start <= across.start else start
        end = sheet.right if end >= across.end else end
        if end - start > 0.5 and low - high > 0.5:
            found.append(Band(start, round(end - start, 2), high, round(low - high, 2)))
    return tuple(found)


def _ribbon(group: Sequence[GroupPoint], across: Scale, up: Scale) -> str:
    over = [f"{across(p.day)},{up.clipped(p.q3)}" for p in group]
    under = [f"{across(p.day)},{up.clipped(p.q1)}" for p in reversed(group)]
    return " ".join(over + under) if len(group) > 1 else ""


def spaced(ticks: Sequence[Tick], gap: float) -> list[Tick]:
    """Return the labels that keep a distance from the one kept before."""
    kept: list[Tick] = []
    for tick in ticks:
        if not kept or tick.at - kept[-1].at >= gap:
            kept.append(tick)
    return kept


# --- draws ----------------------------------------------------------------------------------


def _draws(
    draws: Sequence[Draw],
    series: Sequence[Series],
    strips: Sequence[Strip],
    across: Scale,
    sheet: Sheet,
    marks: Marks,
) -> list[PlacedDraw]:
    xs = [across(draw.day) for draw in draws]
    cells: dict[int, list[Cell]] = {draw.key: [] for draw in draws}
    for one, strip in zip(series, strips, strict=True):
        for reading, dot in zip(one.readings, strip.dots, strict=False):
            if reading.draw in cells:
                cells[reading.draw].append(_cell(reading, dot, strip, one, sheet, marks))
    placed, last_label, last_year = [], -math.inf, ""
    for place, (draw, x) in enumerate(zip(draws, xs, strict=True)):
        left = sheet.left if place == 0 else (xs[place - 1] + x) / 2
        right = sheet.right if place == len(xs) - 1 else (x + xs[place + 1]) / 2
        show = x - last_label >= sheet.gap
        last_label = x if show else last_label
        # the year is said once, and again when it changes
        short = draw.date if draw.date[:4] != last_year else draw.date[5:]
        last_year = draw.date[:4] if show else last_year
        here = tuple(cells[draw.key])
        placed.append(
            PlacedDraw(
                key=draw.key,
                x=x,
                left=round(left, 2),
                width=round(max(right - left, 1.0), 2),
                label=draw.label,
                date=draw.date,
                short_date=short,
                study_day=draw.study_day,
                show_date=show,
                cells=here,
                words=marks.sentences.join(
                    (
                        f"{draw.label}{marks.parts}{draw.date}",
                        marks.words.join(f"{cell.label} {cell.dot.shown}" for cell in here),
                        *draw.notes,
                    )
                ),
            )
        )
    return placed


def _cell(reading: Reading, dot: Dot, strip: Strip, series: Series, sheet: Sheet, marks: Marks) -> Cell:
    wanted = [line for text in reading.lines for line in trend_lanes.wrapped(text, CARD_WIDTH - 24, 11.5)]
    height = 30 + CARD_LINE * len(wanted)
    # beside the crosshair, on the side that has room, so that it never covers its own value
    x = dot.x + 16 if dot.x + 16 + CARD_WIDTH <= sheet.width - 8 else dot.x - 16 - CARD_WIDTH
    lines = tuple(Tick(38 + CARD_LINE * place, line) for place, line in enumerate(wanted))
    words = f"{series.label} {reading.shown} {series.unit}".strip()
    return Cell(
        dot=dot,
        label=series.label,
        unit=series.unit,
        top=strip.top,
        height=strip.bottom - strip.top,
        card_x=round(max(x, 8.0), 2),
        card_y=strip.top + 6,
        card_height=height,
        lines=lines,
        words=marks.sentences.join((words, *reading.lines)),
    )
