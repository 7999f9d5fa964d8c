"""The terms of a subject's trend: what is given to :mod:`analytics.trend_figure`, and what it places. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from analytics.figures import Tick
from analytics.trend_lanes import InfusionMark, LaneItem, PlacedInfusion, PlacedLane, Sheet
from trial.protocol import Direction, Limits


class Obstacle(StrEnum):
    """Why a strip shows less than was asked for; screens put it into words."""

    EMPTY = "empty"
    NO_BASELINE = "no_baseline"
    ZERO_BASELINE = "zero_baseline"
    NOT_POSITIVE = "not_positive"


# --- what is given --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reading:
    """One value of one draw.

    Parameters
    ----------
    day
        Day since the first infusion; a fraction keeps two draws of one day apart.
    value, shown
        In the unit of the series, and how it is printed.
    flag
        ``high``, ``low`` or nothing, by the reference of that draw.
    hollow
        Whether it came soon after plasma.
    comparator
        ``<`` or ``>`` of a value that was reported at a limit.
    week
        Scheduled week, None for an unscheduled draw.
    left_out
        Whether it was measured after observation ended: drawn, but no part of the line.
    draw
        Key of the draw it belongs to; several readings of one day are told apart by it.
    lines
        What its card says below the value.
    """

    day: float
    value: Decimal
    shown: str
    flag: str = ""
    hollow: bool = False
    comparator: str = ""
    week: int | None = None
    left_out: bool = False
    draw: int = 0
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GroupPoint:
    """Median and quartiles of the subject's group at one visit, of ``n`` subjects."""

    day: int
    q1: float
    median: float
    q3: float
    n: int = 0


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
    without spans it holds throughout. ``refused`` says which values are not drawn
    and why. ``has_percent`` is False where a share of week 0 means nothing.
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
    refused: str = ""
    has_percent: bool = True


@dataclass(frozen=True, slots=True)
class Draw:
    """One moment at which something was measured; ``key`` is that of its readings."""

    day: float
    label: str
    date: str
    key: int = 0
    notes: tuple[str, ...] = ()
    study_day: str = ""


@dataclass(frozen=True, slots=True)
class Marks:
    """Marks between the words of a draw, as the reader's language writes them."""

    parts: str = ", "
    words: str = ", "
    sentences: str = ". "


# --- what is placed -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Dot:
    """A reading at its place; ``shape`` is dot, hollow, below, above or out (left out)."""

    x: float
    y: float
    shown: str
    flag: str = ""
    shape: str = "dot"
    path: str = ""

    @property
    def hollow(self) -> bool:
        return self.shape == "hollow"


@dataclass(frozen=True, slots=True)
class Band:
    """A reference range at its place."""

    x: float
    width: float
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Strip:
    """One series, placed. ``after`` is the part of the line beyond the end of observation."""

    code: str
    label: str
    unit: str
    reference_words: str
    note: str
    refused: str
    obstacle: str
    top: float
    bottom: float
    line: str
    after: str
    dots: tuple[Dot, ...]
    ticks: tuple[Tick, ...]
    bands: tuple[Band, ...]
    ribbon: str
    median: str
    last: str
    last_flag: str
    last_draw: int
    change: str
    change_percent: str
    lacks_baseline: bool = False

    @property
    def changes(self) -> str:
        """The change since week 0, absolute and in percent."""
        return " \N{MIDDLE DOT} ".join(text for text in (self.change, self.change_percent) if text)


@dataclass(frozen=True, slots=True)
class Cell:
    """One reading under the crosshair: its dot, the strip it lies in, and its card."""

    dot: Dot
    label: str
    unit: str
    top: float
    height: float
    card_x: float
    card_y: float
    card_height: float
    lines: tuple[Tick, ...]
    words: str


@dataclass(frozen=True, slots=True)
class PlacedDraw:
    """A draw with the part of the time axis that belongs to it and a cell for every reading."""

    key: int
    x: float
    left: float
    width: float
    label: str
    date: str
    short_date: str
    study_day: str
    show_date: bool
    cells: tuple[Cell, ...]
    words: str

    @property
    def rings(self) -> tuple[Dot, ...]:
        return tuple(cell.dot for cell in self.cells)


@dataclass(frozen=True, slots=True)
class Window:
    """A visit's window at its place."""

    start: float
    end: float
    words: str


@dataclass(frozen=True, slots=True)
class Trend:
    """A whole figure of small multiples over one time axis."""

    sheet: Sheet
    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float
    strips: tuple[Strip, ...]
    weeks: tuple[Tick, ...]
    windows: tuple[Window, ...]
    infusions: tuple[PlacedInfusion, ...]
    lanes: tuple[PlacedLane, ...]
    draws: tuple[PlacedDraw, ...]
    today: float | None
    ended: tuple[Tick, ...]
    latest: str = ""
    infusions_x: float | None = None
    """Where the summary of the infusions begins; None where it has no room."""

    @property
    def plot_width(self) -> float:
        return self.right - self.left

    @property
    def plot_height(self) -> float:
        return self.bottom - self.top

    @property
    def right_text(self) -> float:
        """Where the right column ends."""
        return self.width - 16


@dataclass(frozen=True, slots=True)
class Happened:
    """What stands above the strips: infusions, and the lanes below them."""

    infusions: Sequence[InfusionMark] = ()
    infusions_label: str = ""
    infusions_words: str = ""
    lanes: Mapping[str, Sequence[LaneItem]] = field(default_factory=dict)
