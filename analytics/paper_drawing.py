"""Draws a figure of the paper with matplotlib: millimetres in, SVG, PDF or PNG out.

Everything is placed in millimetres on one pair of axes that covers the sheet, so
that a figure has the same size of type at one column and at two, and so that a
test can ask where every word stands. Equal figures are equal bytes: no dates, no
random names, and the typeface is the one that comes with matplotlib.
"""

from __future__ import annotations

import io
import logging
import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from analytics.figures import nice_ticks
from analytics.paper_figures import Column, Panel, Picture
from trial import protocol

WIDTHS = {"single": 85.0, "double": 175.0}
"""One column and two columns of a journal, in millimetres."""
FORMATS = ("svg", "pdf", "png")
DOTS_PER_INCH = 300
TALLEST = 238.0
MM_PER_INCH = 25.4
POINT = MM_PER_INCH / 72

COLOURS = {"A": "#0072B2", "B": "#56B4E9", "C": "#D55E00", "D": "#E69F00"}
SHAPES = {"A": "o", "B": "s", "C": "o", "D": "s"}
"""Disc: more than four infusions; square: four or fewer. Colour is never alone."""
INK, GREY = "#111111", "#444444"
BODY, SMALL, LETTER = 6.8, 6.0, 9.5
LEFT, GUTTER, EDGE = 15.5, 6.0, 2.0
TITLE, BRACKET, LETTERS, LABELS, ROW = 5.0, 6.0, 3.6, 3.8, 3.1
CHINESE = (
    "Noto Sans CJK SC",
    "Source Han Sans SC",
    "Microsoft YaHei",
    "PingFang SC",
    "SimHei",
    "WenQuanYi Micro Hei",
)
_TURN = threading.Lock()
"""matplotlib's settings belong to the process: one drawing at a time."""


def chinese_font() -> str:
    """Return the first Chinese typeface that this machine has, or an empty string."""
    from matplotlib import font_manager

    known = {font.name for font in font_manager.fontManager.ttflist}
    return next((name for name in CHINESE if name in known), "")


def render(picture: Picture, width: str, form: str) -> bytes:
    """Return a figure as a file.

    Parameters
    ----------
    picture
        What to draw.
    width
        A key of :data:`WIDTHS`.
    form
        One of :data:`FORMATS`.
    """
    return render_all(picture, width, (form,))[form]


def render_all(picture: Picture, width: str, forms: Sequence[str] = FORMATS) -> dict[str, bytes]:
    """Return a figure as files of several formats, drawn once."""
    title = f"{picture.name}. {picture.title}"
    with settled():
        sheet = draw(picture, WIDTHS[width])
        return {form: sheet.saved(form, title=title) for form in forms}


@contextmanager
def settled() -> Iterator[None]:
    """Hold matplotlib's settings still while something is drawn."""
    import matplotlib as mpl

    logging.getLogger("fontTools").setLevel(logging.ERROR)  # it warns of every table it leaves out

    fonts = ["DejaVu Sans", *filter(None, [chinese_font()])]
    with _TURN, mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(
            {
                "font.family": fonts,
                "svg.fonttype": "none",
                "svg.hashsalt": "cordline",
                "pdf.fonttype": 42,
                "pdf.compression": 6,
                "axes.unicode_minus": True,
            }
        )
        yield


@dataclass
class Sheet:
    """A figure on its way: matplotlib's figure, one pair of axes in millimetres, and its words."""

    width: float
    height: float
    figure: Any
    axes: Any
    words: list[Any] = field(default_factory=list)

    def text(self, x: float, y: float, words: str, size: float = BODY, **options: Any) -> Any:
        """Write; ``y`` counts downwards from the top."""
        options.setdefault("va", "baseline")
        options.setdefault("color", INK)
        made = self.axes.text(x, y, words, fontsize=size, **options)
        self.words.append(made)
        return made

    def line(self, xs: Sequence[float], ys: Sequence[float], width: float = 0.6, **options: Any) -> None:
        """Draw a line; ``width`` in points."""
        options.setdefault("color", INK)
        options.setdefault("solid_capstyle", "butt")
        self.axes.plot(xs, ys, linewidth=width, **options)

    def boxes(self) -> list[tuple[str, float, float, float, float]]:
        """Return each piece of text with its left, top, right and bottom in millimetres."""
        renderer = self.figure.canvas.get_renderer()
        found = []
        for words in self.words:
            box = words.get_window_extent(renderer).transformed(self.axes.transData.inverted())
            ys = sorted((box.y0, box.y1))
            found.append((words.get_text(), box.x0, ys[0], box.x1, ys[1]))
        return found

    def saved(self, form: str, *, title: str) -> bytes:
        """Return the sheet as bytes that depend on nothing but what is drawn."""
        file = io.BytesIO()
        if form == "png":
            self.figure.savefig(
                file, format="png", dpi=DOTS_PER_INCH, metadata={"Title": title, "Software": None}
            )
            return file.getvalue()
        if form == "pdf":
            made = {
                "Title": title,
                "Creator": "Cordline",
                "Producer": None,
                "CreationDate": None,
                "ModDate": None,
            }
            self.figure.savefig(file, format="pdf", metadata=made)
            return file.getvalue()
        self.figure.savefig(
            file, format="svg", metadata={"Title": title, "Date": None, "Creator": "Cordline"}
        )
        return _with_fonts(file.getvalue(), self.words)


def _blank(width: float, height: float) -> Sheet:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / MM_PER_INCH, height / MM_PER_INCH), dpi=DOTS_PER_INCH, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    return Sheet(width, height, figure, axes)


def _length(sheet: Sheet, words: str, size: float) -> float:
    """Return how long a line of words is, in millimetres."""
    probe = sheet.axes.text(0, 0, words, fontsize=size)
    box = probe.get_window_extent(sheet.figure.canvas.get_renderer())
    probe.remove()
    return float(box.width / DOTS_PER_INCH * MM_PER_INCH)


def wrapped(sheet: Sheet, words: str, size: float, room: float) -> list[str]:
    """Break words into lines that fit; Chinese breaks between any two characters."""
    pieces = [piece + " " for piece in words.split(" ")]
    if any("\u4e00" <= letter <= "\u9fff" for letter in words):
        pieces = list(words)
    lines = [""]
    for piece in pieces:
        if lines[-1] and _length(sheet, (lines[-1] + piece).rstrip(), size) > room:
            lines.append("")
        lines[-1] += piece
    return [line.strip() for line in lines]


# --- the sheet ------------------------------------------------------------------------------


def draw(picture: Picture, width: float) -> Sheet:
    """Place a figure on a sheet of the given width in millimetres."""
    probe = _blank(width, 100)
    legend = _legend(probe, picture, width, place=False)
    notes = wrapped(probe, picture.provenance, SMALL, width - 2 * EDGE)
    across = 1 if width < 120 or len(picture.panels) == 1 else 2
    rows = math.ceil(len(picture.panels) / across)
    under = _under(picture.panels[0])
    fixed = legend + EDGE + 1 + len(notes) * ROW + 1.5
    over = _over(picture.panels[0])
    plot = (TALLEST - fixed) / rows - over - under - 3
    plot = min(plot, 40.0 if across == 2 else 52.0 if rows == 1 else 34.0)
    each = over + plot + under + 3
    sheet = _blank(width, fixed + rows * each)
    _legend(sheet, picture, width, place=True)
    wide = (width - EDGE - GUTTER * (across - 1)) / across
    for place, panel in enumerate(picture.panels):
        left = EDGE / 2 + (place % across) * (wide + GUTTER)
        top = EDGE + legend + (place // across) * each
        _panel(sheet, panel, left, top, wide, plot)
    for place, line in enumerate(notes):
        sheet.text(EDGE, sheet.height - EDGE - (len(notes) - 1 - place) * ROW, line, SMALL, color=GREY)
    return sheet


def _over(panel: Panel) -> float:
    # the first week has no p-value, so the title stands beside the p-values of the others
    return TITLE if panel.has_pairs else TITLE + BRACKET


def _under(panel: Panel) -> float:
    letters = (
        LETTERS if any(column.letter for cluster in panel.clusters for column in cluster.columns) else 0.0
    )
    return letters + LABELS + ROW * len(panel.row_names) + 1.5


def _legend(sheet: Sheet, picture: Picture, width: float, *, place: bool) -> float:
    """Write the legend, or only say how high it is."""
    x, y = EDGE + 1.2, EDGE + 3.0
    by_code = {group.code: group for group in protocol.GROUPS}
    for code in picture.groups:
        words = f"{code}\N{EN SPACE}{_(by_code[code].label)}"
        long = 3.0 + _length(sheet, words, SMALL) + 5
        if x > EDGE + 2 and x + long - 5 > width - EDGE:
            x, y = EDGE + 1.2, y + ROW + 0.7
        if place:
            _dots(sheet, code, [x], [y - 0.75], 1.5)
            sheet.text(x + 2.2, y, words, SMALL)
        x += long
    words = _("median, quartiles")
    if x > EDGE + 2 and x + 4.5 + _length(sheet, words, SMALL) > width - EDGE:
        x, y = EDGE + 1.2, y + ROW + 0.7
    if place:
        sheet.line([x - 0.9, x + 1.9, x + 1.9, x - 0.9, x - 0.9], [y - 2, y - 2, y + 0.4, y + 0.4, y - 2])
        sheet.line([x - 1.2, x + 2.2], [y - 0.8, y - 0.8], 1.5)
        sheet.text(x + 3.4, y, words, SMALL)
    return y + 2.0


# --- one panel ------------------------------------------------------------------------------


def _panel(sheet: Sheet, panel: Panel, left: float, top: float, wide: float, plot: float) -> None:
    x0, x1 = left + LEFT, left + wide
    y0 = top + _over(panel)
    y1 = y0 + plot
    if panel.letter:
        sheet.text(left + 0.5, top + 3.4, panel.letter, LETTER, fontweight="bold")
    sheet.text(left + 5.5, top + 3.3, panel.title, BODY + 0.4, fontweight="bold")
    low, high = _range(panel)
    ticks = nice_ticks(low, high, 6 if plot > 30 else 4)
    low, high = ticks[0], ticks[-1]

    def up(value: float) -> float:
        return y1 - (value - low) / (high - low) * plot

    sheet.line([x0, x0], [y0, y1])
    if panel.is_empty:
        sheet.line([x0, x1], [y1, y1])
        sheet.text(
            (x0 + x1) / 2, (y0 + y1) / 2, _("No values in this population."), BODY, ha="center", color=GREY
        )
    else:
        for tick in ticks:
            sheet.line([x0 - 1, x0], [up(tick), up(tick)])
            words = f"{tick:,g}".replace("-", "\N{MINUS SIGN}") if abs(tick) < 1e6 else f"{tick:.0e}"
            sheet.text(x0 - 1.5, up(tick), words, SMALL, ha="right", va="center_baseline")
        base = 0.0 if low <= 0 <= high else low
        sheet.line([x0, x1], [up(base), up(base)])
    lines = wrapped(sheet, panel.axis, SMALL, plot + 8)[:2]
    for place, line in enumerate(lines):
        at = left + 2.3 + place * 2.7 - (len(lines) - 1) * 0.6
        sheet.text(
            at, (y0 + y1) / 2, line, SMALL, rotation=90, ha="center", va="center", rotation_mode="anchor"
        )
    _columns(sheet, panel, (x0, x1), (y0, y1), (low, high))


def _columns(
    sheet: Sheet,
    panel: Panel,
    across: tuple[float, float],
    down: tuple[float, float],
    limits: tuple[float, float],
) -> None:
    (x0, x1), (y0, y1) = across, down
    slot = (x1 - x0) / len(panel.clusters)
    letters = any(column.letter for cluster in panel.clusters for column in cluster.columns)
    first_row = y1 + 1.2 + (LETTERS if letters else 0.0)
    for name_place, name in enumerate(panel.row_names):
        y = first_row + LABELS + (name_place + 0.9) * ROW
        sheet.text(x0 - 1.5, y, name, SMALL, ha="right")
    for place, cluster in enumerate(panel.clusters):
        middle = x0 + slot * (place + 0.5)
        step = min(slot * 0.45, 14.0)
        count = len(cluster.columns)
        centres = [middle + step * (k - (count - 1) / 2) for k in range(count)]
        room = min((step if count > 1 else slot * 0.8) * 0.44, 6.0)
        for centre, column in zip(centres, cluster.columns, strict=True):
            _box(sheet, column, centre, room, down, limits)
            if column.letter:
                sheet.text(centre, y1 + 3.8, column.letter, SMALL + 0.4, ha="center", fontweight="bold")
            for line, words in enumerate(panel.under(column)):
                sheet.text(centre, first_row + LABELS + (line + 0.9) * ROW, words, SMALL, ha="center")
        sheet.text(middle, first_row + 2.9, cluster.label, SMALL + 0.4, ha="center")
        if cluster.words:
            weight = "bold" if cluster.strong else "normal"
            sheet.text(
                middle,
                y0 - (1.7 if panel.has_pairs else 2.9),
                cluster.words,
                SMALL,
                ha="center",
                fontweight=weight,
            )
        if cluster.words and count > 1:
            sheet.line([centres[0], centres[0], centres[-1], centres[-1]], [y0 - 1, y0 - 2, y0 - 2, y0 - 1])


def _range(panel: Panel) -> tuple[float, float]:
    """Return the ends of the axis: zero, every box, and points within three box heights of it."""
    lows, highs = [0.0], [0.0]
    for cluster in panel.clusters:
        for column in cluster.columns:
            if column.q1 is None or column.q3 is None:
                continue
            reach = 2.5 * (column.q3 - column.q1)
            near = [value for _g, value in column.points if column.q1 - reach <= value <= column.q3 + reach]
            lows.append(min([column.q1, *near]))
            highs.append(max([column.q3, *near]))
    low, high = min(lows), max(highs)
    return (0.0, 1.0) if low == high else (low, high)


def _box(
    sheet: Sheet,
    column: Column,
    centre: float,
    room: float,
    down: tuple[float, float],
    limits: tuple[float, float],
) -> None:
    (y0, y1), (low, high) = down, limits
    if column.q1 is None or column.q3 is None or column.median is None:
        return

    def up(value: float) -> float:
        return y1 - (value - low) / (high - low) * (y1 - y0)

    size = 1.15 if len(column.points) <= 80 else 0.8
    inside = sorted((up(value), group) for group, value in column.points if low <= value <= high)
    xs = _swarm([y for y, _group in inside], size, room)
    for code in COLOURS:
        places = [k for k, (_y, group) in enumerate(inside) if group == code]
        _dots(sheet, code, [centre + xs[k] for k in places], [inside[k][0] for k in places], size)
    for beyond, y, marker in (
        ([g for g, value in column.points if value > high], y0 + 0.7, "^"),
        ([g for g, value in column.points if value < low], y1 - 0.7, "v"),
    ):
        _triangles(sheet, beyond, centre, y, marker)
    half, top, bottom = room * 0.62, up(column.q3), up(column.q1)
    sheet.line(
        [centre - half, centre + half, centre + half, centre - half, centre - half],
        [top, top, bottom, bottom, top], 0.7, zorder=4,
    )  # fmt: skip
    sheet.line([centre - half - 0.5, centre + half + 0.5], [up(column.median)] * 2, 1.7, zorder=5)


def _swarm(ys: Sequence[float], size: float, room: float) -> list[float]:
    """Return how far each point steps aside so that none hides another; a crowd is pressed into its room."""
    placed: list[tuple[float, float]] = []
    xs = []
    for y in ys:
        near = [(x, other) for x, other in placed[-60:] if abs(other - y) < size]
        candidates = [0.0]
        for x, other in near:
            aside = math.sqrt(max(size * size - (y - other) ** 2, 0.0)) + 1e-6
            candidates += [x - aside, x + aside]
        free = [
            c
            for c in candidates
            if all((c - x) ** 2 + (y - other) ** 2 >= size * size * 0.999 for x, other in near)
        ]
        x = min(free or [0.0], key=lambda c: (round(abs(c), 6), c))
        placed.append((x, y))
        xs.append(x)
    widest = max((abs(x) for x in xs), default=0.0)
    return [x * room / widest for x in xs] if widest > room else xs


def _dots(sheet: Sheet, code: str, xs: Sequence[float], ys: Sequence[float], size: float) -> None:
    if not xs:
        return
    sheet.axes.scatter(
        xs, ys, s=(size / POINT) ** 2 * (0.8 if SHAPES[code] == "s" else 1.0), marker=SHAPES[code],
        facecolor=COLOURS[code], edgecolor=INK, linewidth=0.25, alpha=0.8, zorder=3,
    )  # fmt: skip


def _triangles(sheet: Sheet, groups: Sequence[str], centre: float, y: float, marker: str) -> None:
    several = len(groups) > 3
    for place, group in enumerate(groups[:1] if several else groups):
        x = centre + (0.0 if several else (place - (len(groups) - 1) / 2) * 1.5) - (1.0 if several else 0.0)
        sheet.axes.scatter(
            [x], [y], s=(1.35 / POINT) ** 2, marker=marker, facecolor=COLOURS[group], edgecolor=INK,
            linewidth=0.25, zorder=6,
        )  # fmt: skip
    if several:
        sheet.text(
            centre,
            y + 0.75,
            str(len(groups)),
            5.4,
            zorder=7,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.3},
        )


# --- fonts in SVG ---------------------------------------------------------------------------


def _with_fonts(svg: bytes, words: Sequence[Any]) -> bytes:
    """Put the letters that an SVG uses into it, so that it looks the same where no such typeface is installed."""
    import base64

    from matplotlib import font_manager

    rules = []
    for weight in ("normal", "bold"):
        letters = {c for text in words if text.get_fontweight() == weight for c in text.get_text() if c > " "}
        for family in ("DejaVu Sans", chinese_font()):
            if not letters or not family:
                continue
            found = font_manager.fontManager.findfont(
                font_manager.FontProperties(family=[family], weight=weight), fallback_to_default=False
            )
            subset, covered = _subset(str(found), getattr(found, "face_index", 0), letters)
            if covered:
                coded = base64.b64encode(subset).decode()
                rules.append(
                    f"@font-face {{ font-family: '{family}'; font-weight: {weight};"
                    f" src: url('data:font/woff;base64,{coded}') format('woff'); }}"
                )
            letters -= covered
    style = "<style>\n" + "\n".join(rules) + "\n</style>"
    return svg.replace(b" <defs>", b" " + style.encode() + b"\n <defs>", 1)


def _subset(path: str, number: int, letters: set[str]) -> tuple[bytes, set[str]]:
    from fontTools import subset
    from fontTools.ttLib import TTFont

    font = TTFont(path, fontNumber=number if path.endswith((".ttc", ".otc")) else -1, recalcTimestamp=False)
    covered = {letter for letter in letters if ord(letter) in font.getBestCmap()}
    if not covered:
        return b"", covered
    for table in ("GSUB", "GPOS", "GDEF", "FFTM", "kern"):
        if table in font:  # matplotlib placed the words; tables it did not use only cost time
            del font[table]
    options = subset.Options(flavor="woff", layout_features=[], hinting=False, notdef_outline=True)
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=[ord(letter) for letter in covered])
    cutter.subset(font)
    font.flavor = "woff"
    file = io.BytesIO()
    font.save(file)
    return file.getvalue(), covered
