"""The lanes above a subject's trend: infusions, treatments, events. Geometry only.

What happened at nearly the same time stands in rows of its own; where even that
leaves no room for the words, the mark stays and the table says the rest.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analytics.figures import Scale

MARK = 8.0
"""Half the width of a mark."""
MOST_ROWS = 4


@dataclass(frozen=True, slots=True)
class Sheet:
    """Measures of a drawing: widths, heights of its rows, size of its letters, least gap between dates."""

    width: float
    left: float
    right: float
    strip: float
    lane: float
    axis: float
    foot: float
    letter: float
    gap: float


@dataclass(frozen=True, slots=True)
class InfusionMark:
    """An infusion on the time axis: given, late (given outside its window), missed or planned.

    A ``ghost`` is the planned day of one that was given on another.
    """

    number: int
    day: int
    state: str
    words: str


@dataclass(frozen=True, slots=True)
class LaneItem:
    """Something that happened on a day, or from a day to another.

    Parameters
    ----------
    first, last
        Days since the first infusion; ``last`` is None for a point, and may lie
        beyond the axis for what goes on.
    label
        Words beside the mark.
    words
        Everything, for those who point at it.
    look
        How the mark is drawn: plasma, bar, event.
    box
        What stands in the mark, a grade.
    is_grave
        Whether it is drawn as serious.
    """

    first: int
    last: int | None
    label: str
    words: str
    look: str
    box: str = ""
    is_grave: bool = False


@dataclass(frozen=True, slots=True)
class PlacedInfusion:
    """An infusion at its place."""

    x: float
    number: int
    state: str
    words: str


@dataclass(frozen=True, slots=True)
class PlacedItem:
    """A mark at its place; ``width`` is 0 for a point, ``label`` empty where there was no room."""

    x: float
    width: float
    y: float
    label: str
    label_x: float
    words: str
    look: str
    box: str
    is_grave: bool
    diamond: str


@dataclass(frozen=True, slots=True)
class PlacedLane:
    """One lane with its items, ``top`` to ``bottom``."""

    label: str
    top: float
    bottom: float
    items: tuple[PlacedItem, ...]
    unlabelled: int = 0


def text_width(text: str, size: float) -> float:
    """Return about how wide a text runs: Chinese letters are as wide as high, others about half."""
    wide = sum(1 for letter in text if unicodedata.east_asian_width(letter) in "WF")
    return size * (wide + 0.56 * (len(text) - wide))


def wrapped(text: str, width: float, size: float) -> list[str]:
    """Return a text in lines of a width, broken at spaces, within a word only when it alone is too wide."""
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if text_width(longer, size) <= width:
            line = longer
            continue
        if line:
            lines.append(line)
        line = ""
        for letter in word:
            if line and text_width(line + letter, size) > width:
                lines.append(line)
                line = ""
            line += letter
    return [*lines, line] if line else lines


def infusions(marks: Sequence[InfusionMark], across: Scale, sheet: Sheet) -> tuple[PlacedInfusion, ...]:
    """Place infusions, ghosts first so that what was given stands on top."""
    inside = [mark for mark in marks if across.low <= mark.day <= across.high]
    ordered = sorted(inside, key=lambda mark: (mark.state in ("given", "late"), mark.day, mark.number))
    return tuple(PlacedInfusion(across(mark.day), mark.number, mark.state, mark.words) for mark in ordered)


def placed(
    lanes: Mapping[str, Sequence[LaneItem]], across: Scale, sheet: Sheet, *, start: float
) -> tuple[tuple[PlacedLane, ...], float]:
    """Place the lanes below one another.

    Parameters
    ----------
    lanes
        Items by the label of their lane; a lane without any keeps its row.
    across
        The time axis.
    sheet
        Measures of the drawing.
    start
        Top of the first lane.

    Returns
    -------
    tuple
        The lanes, and where the last one ends.
    """
    found = []
    for label, items in lanes.items():
        lane = _lane(label, items, across, sheet, start)
        found.append(lane)
        start = lane.bottom
    return tuple(found), start


def _lane(label: str, items: Sequence[LaneItem], across: Scale, sheet: Sheet, top: float) -> PlacedLane:
    ends: list[float] = []
    rows: list[tuple[LaneItem, int, bool]] = []
    for item in sorted(items, key=lambda item: (item.first, item.last or item.first)):
        if (item.last if item.last is not None else item.first) < across.low or item.first > across.high:
            continue
        begin, end = _reach(item, across)
        wide = text_width(item.label, sheet.letter) + 16
        # the words of a long bar stand on it, others after their mark
        full = end + 4 if _is_roomy(item, begin, end, sheet) else end + wide
        row = _free_row(ends, begin, full, limit=sheet.right + 14)
        labelled = row is not None
        if row is None:
            row = _free_row(ends, begin, end, limit=float("inf"))
        if row is None:
            row = min(range(len(ends)), key=lambda number: ends[number])
        while len(ends) <= row:
            ends.append(float("-inf"))
        ends[row] = max(ends[row], full if labelled else end + 4)
        rows.append((item, row, labelled))
    height = sheet.lane * 0.85
    found = tuple(
        _item(item, across, sheet, top + sheet.lane / 2 + row * height, labelled=labelled)
        for item, row, labelled in rows
    )
    bottom = top + sheet.lane + max(0, len(ends) - 1) * height
    return PlacedLane(label, top, bottom, found, sum(1 for _i, _r, labelled in rows if not labelled))


def _reach(item: LaneItem, across: Scale) -> tuple[float, float]:
    begin = across.clipped(item.first)
    if item.last is None:
        return begin - MARK, begin + MARK
    return begin - 1, max(across.clipped(item.last), begin + 2 * MARK)


def _is_roomy(item: LaneItem, begin: float, end: float, sheet: Sheet) -> bool:
    return item.last is not None and end - begin > text_width(item.label, sheet.letter) + 40


def _free_row(ends: Sequence[float], begin: float, end: float, *, limit: float) -> int | None:
    if end > limit:
        return None
    for row, taken in enumerate(ends):
        if taken <= begin:
            return row
    return len(ends) if len(ends) < MOST_ROWS else None


def _item(item: LaneItem, across: Scale, sheet: Sheet, y: float, *, labelled: bool) -> PlacedItem:
    begin, end = _reach(item, across)
    x = across.clipped(item.first)
    return PlacedItem(
        x=x,
        width=0.0 if item.last is None else round(end - x, 2),
        y=round(y, 2),
        label=item.label if labelled else "",
        label_x=round(begin + 16 if _is_roomy(item, begin, end, sheet) else end + 6, 2),
        words=item.words,
        look=item.look,
        box=item.box,
        is_grave=item.is_grave,
        diamond=f"M{x},{y - 6}l6,6l-6,6l-6,-6z",
    )
