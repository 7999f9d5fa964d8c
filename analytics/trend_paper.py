"""A subject's trend as a file: PNG, PDF or SVG, 174 mm wide, from the same geometry as the page.

matplotlib takes seconds to import, so only the function that draws imports it. Black
ink on white; what the page says by colour is also a shape, a dash or a letter.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from analytics.trend import TrendPage
from analytics.trend_figure import PAPER
from analytics.trend_lanes import PlacedItem, text_width
from analytics.trend_terms import Strip, Trend

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MILLIMETRES, DPI = 174.0, 300
HEAD, FOOT = 34.0, 62.0
"""Room above the figure for its title, and below it for its legend."""
POINTS = MILLIMETRES / 25.4 * 72 / PAPER.width
"""Points in a unit of the sheet."""
INK, GREY, PALE, LINE = "#000000", "#4d4d4d", "#e4eae8", "#c8cecd"
RED, GREEN = "#a51d2d", "#0b6b62"
GROUPS = {"A": "#0072B2", "B": "#56B4E9", "C": "#D55E00", "D": "#E69F00"}
FONTS = ("Arial", "Liberation Sans", "Helvetica", "DejaVu Sans")
WIDE_FONTS = ("Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans SC", "WenQuanYi Zen Hei", "SimHei")


def drawn(page: TrendPage, labels: Mapping[str, str], form: str) -> bytes:
    """Return the figure of a page as a file.

    Parameters
    ----------
    page
        Placed on :data:`analytics.trend_figure.PAPER`.
    labels
        The sentences around the figure, translated.
    form
        ``png`` (300 dpi), ``pdf`` or ``svg``. The same page gives the same bytes.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    trend = page.figure
    height = HEAD + FOOT + (trend.height if trend else 60.0)
    settings: dict[Any, Any] = {
        "font.family": _fonts(),
        "svg.fonttype": "path",
        "svg.hashsalt": "cordline",
        "pdf.fonttype": 3,
        "path.simplify": False,
    }
    with rc_context(settings):
        width_in = MILLIMETRES / 25.4
        figure = Figure(figsize=(width_in, width_in * height / PAPER.width), facecolor="white")
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_xlim(0, PAPER.width)
        axes.set_ylim(height - HEAD, -HEAD)
        axes.axis("off")
        pen = _Pen(axes)
        pen.text(16, -14, labels["title"], size=14, weight="bold")
        pen.text(PAPER.width - 12, -14, labels["synthetic"], size=10, ha="right", color=GREY)
        if trend is None:
            pen.text(16, 20, labels["empty"], size=12)
        else:
            _draw(pen, trend, page, labels)
            _legend(pen, trend.height + 14, page, labels)
        made = io.BytesIO()
        metadata = {"png": {"Software": None}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}[form]
        figure.savefig(made, format=form, dpi=DPI, metadata=metadata)
    return made.getvalue()


def _fonts() -> list[str]:
    from matplotlib import font_manager

    there = {font.name for font in font_manager.fontManager.ttflist}
    chosen = [name for name in FONTS if name in there][:1] or ["DejaVu Sans"]
    return chosen + [name for name in WIDE_FONTS if name in there][:1] + ["DejaVu Sans"]


class _Pen:
    """Draws in the units of the sheet."""

    def __init__(self, axes: Axes) -> None:
        self.axes = axes

    def line(
        self, points: list[tuple[float, float]], *, color: str = INK, width: float = 1.0, **style: Any
    ) -> None:
        xs, ys = [x for x, _y in points], [y for _x, y in points]
        self.axes.plot(xs, ys, color=color, linewidth=width * POINTS, solid_capstyle="butt", **style)

    def text(
        self, x: float, y: float, words: str, *, size: float = 10.5, color: str = INK, **style: Any
    ) -> None:
        # a dollar in a lot or a dose is a dollar, no formula
        self.axes.text(
            x,
            y,
            words,
            fontsize=size * POINTS,
            color=color,
            va=style.pop("va", "center"),
            parse_math=False,
            **style,
        )

    def box(self, x: float, y: float, width: float, height: float, **style: Any) -> None:
        from matplotlib.patches import Rectangle

        self.axes.add_patch(Rectangle((x, y), width, height, **style))

    def disc(self, x: float, y: float, radius: float, *, width: float = 1.0, **style: Any) -> None:
        from matplotlib.patches import Circle

        self.axes.add_patch(Circle((x, y), radius, linewidth=width * POINTS, **style))

    def shape(self, points: list[tuple[float, float]], *, width: float = 1.0, **style: Any) -> None:
        from matplotlib.patches import Polygon

        self.axes.add_patch(Polygon(points, closed=True, linewidth=width * POINTS, **style))


def _points(text: str) -> list[tuple[float, float]]:
    pairs = (pair.split(",") for pair in text.split())
    return [(float(x), float(y)) for x, y in pairs]


def _draw(pen: _Pen, trend: Trend, page: TrendPage, labels: Mapping[str, str]) -> None:
    sheet = trend.sheet
    pen.text(12, 11, labels["axis"], size=9.5, color=GREY)
    pen.text(trend.width - 10, 11, labels["latest"], size=9.5, ha="right", color=GREY)
    for window in trend.windows:
        pen.line([(window.start, 22), (window.end, 22)], color="#888888", width=3.5)
    for week in trend.weeks:
        pen.text(week.at, 10, week.text, ha="center")
        pen.line([(week.at, trend.top), (week.at, trend.bottom)], color="#eeeeee", width=0.8, zorder=0.5)
    for strip in trend.strips:
        _strip(pen, strip, trend, page, labels)
    rules = [sheet.axis, *(lane.top for lane in trend.lanes), *(s.top for s in trend.strips), trend.bottom]
    for y in rules:
        pen.line([(8, y), (trend.width - 8, y)], color=LINE, width=0.8, zorder=0.6)
    _infusions(pen, trend, page, labels)
    for lane in trend.lanes:
        pen.text(12, lane.top + sheet.lane / 2, lane.label, size=9.5, color=GREY)
        for item in lane.items:
            _item(pen, item)
    for mark in trend.ended:
        pen.line([(mark.at, sheet.axis), (mark.at, trend.bottom)], width=1.0)
        pen.text(mark.at - 4, trend.top - 7, mark.text, size=9.5, ha="right", weight="bold")
    if trend.today is not None:
        pen.line([(trend.today, sheet.axis), (trend.today, trend.bottom)], color=GREY, linestyle=(0, (3, 3)))
        pen.text(trend.today + 3, trend.top - 7, labels["today"], size=9.5, color=GREY)
    pen.text(12, trend.bottom + 14, labels["dates"], size=9.5, color=GREY)
    by_day = labels["is_dated"]
    for draw in trend.draws:
        if draw.show_date:
            pen.text(
                draw.x,
                trend.bottom + 14,
                draw.study_day if by_day else draw.short_date,
                size=9.5,
                ha="center",
            )


def _infusions(pen: _Pen, trend: Trend, page: TrendPage, labels: Mapping[str, str]) -> None:
    sheet = trend.sheet
    y = sheet.axis + sheet.lane / 2
    pen.text(12, y, labels["infusions"], size=9.5, color=GREY)
    for mark in trend.infusions:
        if mark.state in ("given", "late"):
            pen.line(
                [(mark.x, sheet.axis + sheet.lane), (mark.x, trend.bottom)],
                color=GREEN,
                width=0.6,
                alpha=0.5,
                zorder=0.7,
            )
            pen.disc(mark.x, y, 7.5, facecolor=GREEN, edgecolor=GREEN)
            pen.text(mark.x, y + 0.5, str(mark.number), size=9, color="white", ha="center", weight="bold")
        else:
            color = RED if mark.state == "missed" else "#777777"
            pen.disc(mark.x, y, 7.5, facecolor="none", edgecolor=color, linestyle=(0, (2, 2)))
            if mark.state != "ghost":
                sign = "\N{MULTIPLICATION SIGN}" if mark.state == "missed" else str(mark.number)
                pen.text(mark.x, y + 0.5, sign, size=9, color=color, ha="center")
    if trend.infusions_x is not None:
        pen.text(trend.infusions_x, y, page.infusions, size=9.5, color=GREY)


def _item(pen: _Pen, item: PlacedItem) -> None:
    if item.look == "event":
        edge = RED if item.is_grave else INK
        pen.box(
            item.x - 7,
            item.y - 7,
            14,
            14,
            facecolor="white",
            edgecolor=edge,
            linewidth=1.2 * POINTS,
            zorder=3,
        )
        pen.text(item.x, item.y + 0.5, item.box, size=9, ha="center", weight="bold", zorder=4)
    elif item.width:
        pen.box(item.x, item.y - 3.5, item.width, 7, facecolor="#777777", edgecolor="none", zorder=2)
    else:
        x, y = item.x, item.y
        pen.shape(
            [(x, y - 6), (x + 6, y), (x, y + 6), (x - 6, y)], facecolor="white", edgecolor=INK, zorder=3
        )
    if item.label:
        patch = {"facecolor": "white", "edgecolor": "none", "pad": 1.2}
        pen.text(item.label_x, item.y, item.label, size=9.5, color=GREY, bbox=patch, zorder=2.5)


def _strip(pen: _Pen, strip: Strip, trend: Trend, page: TrendPage, labels: Mapping[str, str]) -> None:
    for band in strip.bands:
        pen.box(band.x, band.y, band.width, band.height, facecolor=PALE, edgecolor="none", zorder=0.3)
    for tick in strip.ticks:
        pen.line([(trend.left, tick.at), (trend.right, tick.at)], color="#dddddd", width=0.6, zorder=0.4)
        pen.text(trend.left - 6, tick.at, tick.text, size=9.5, ha="right")
    color = GROUPS.get(page.group, GREY)
    if strip.ribbon:
        pen.shape(_points(strip.ribbon), facecolor=color, edgecolor="none", alpha=0.18, zorder=0.8)
        pen.line(_points(strip.median), color=color, width=1.6, linestyle=(0, (4, 3)), zorder=0.9)
    if strip.line:
        pen.line(_points(strip.line), width=1.8, zorder=2)
    if strip.after:
        pen.line(_points(strip.after), color=GREY, width=1.2, linestyle=(0, (1, 2)), zorder=2)
    for dot in strip.dots:
        _dot(pen, dot.x, dot.y, dot.shape)
    pen.text(12, strip.top + 15, strip.label, size=12.5, weight="bold")
    pen.text(12, strip.top + 31, labels["scale"] or strip.unit, size=9.5, color=GREY)
    pen.text(12, strip.top + 45, strip.reference_words, size=9.5, color=GREY)
    flag = {"high": " \N{BLACK UP-POINTING TRIANGLE}", "low": " \N{BLACK DOWN-POINTING TRIANGLE}"}.get(
        strip.last_flag, ""
    )
    pen.text(trend.width - 10, strip.top + 18, strip.last + flag, size=13, ha="right", weight="bold")
    change = labels["baseline"] if strip.lacks_baseline else strip.change
    pen.text(trend.width - 10, strip.top + 35, change, size=9.5, ha="right", color=GREY)
    pen.text(trend.width - 10, strip.top + 48, strip.change_percent, size=9.5, ha="right", color=GREY)
    said = " \N{MIDDLE DOT} ".join(
        words for words in (page.obstacles.get(strip.obstacle, ""), strip.refused) if words
    )
    if said:
        pen.text(trend.left + 14, strip.top + 12, said, size=9.5, color=GREY)


def _dot(pen: _Pen, x: float, y: float, shape: str) -> None:
    if shape == "out":
        pen.line([(x - 3.5, y - 3.5), (x + 3.5, y + 3.5)], width=1.4, zorder=3)
        pen.line([(x - 3.5, y + 3.5), (x + 3.5, y - 3.5)], width=1.4, zorder=3)
    elif shape in ("below", "above"):
        turn = 1 if shape == "below" else -1
        points = [(x - 4.5, y - 3 * turn), (x + 4.5, y - 3 * turn), (x, y + 5 * turn)]
        pen.shape(points, facecolor="white", edgecolor=INK, width=1.2, zorder=3)
    else:
        pen.disc(
            x, y, 3.4, facecolor="white" if shape == "hollow" else INK, edgecolor=INK, width=1.4, zorder=3
        )


def _legend(pen: _Pen, y: float, page: TrendPage, labels: Mapping[str, str]) -> None:
    """Draw what the marks mean, in as many lines as it takes."""
    x = 12.0
    for kind in ("hollow", "limit", "left_out", "group", "reference"):
        words = labels[kind]
        if not words:
            continue
        wide = 26 + text_width(words, 9.5) + 14
        if x + wide > PAPER.width - 8 and x > 12:
            x, y = 12.0, y + 16
        if kind == "group":
            color = GROUPS.get(page.group, GREY)
            pen.box(x, y - 4, 20, 8, facecolor=color, edgecolor="none", alpha=0.18)
            pen.line([(x, y), (x + 20, y)], color=color, width=1.6, linestyle=(0, (4, 3)))
        elif kind == "reference":
            pen.box(x, y - 4, 20, 8, facecolor=PALE, edgecolor="none")
        else:
            _dot(pen, x + 10, y, {"hollow": "hollow", "limit": "below", "left_out": "out"}[kind])
        pen.text(x + 26, y, words, size=9.5, color=GREY)
        x += wide
    pen.text(
        12,
        y + 17,
        " \N{MIDDLE DOT} ".join(t for t in (labels["scale"], labels["revision"]) if t),
        size=9.5,
        color=GREY,
    )
