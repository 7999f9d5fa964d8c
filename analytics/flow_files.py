"""The flow diagram as SVG, PDF or PNG, drawn from the same plan as the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analytics.paper_drawing import COLOURS, DOTS_PER_INCH, INK, MM_PER_INCH, WIDTHS, Sheet, settled

if TYPE_CHECKING:
    from analytics.flow_figure import Place, Plan

CONTENT_TYPES = {"svg": "image/svg+xml", "pdf": "application/pdf", "png": "image/png"}
CAPTION = 40.0
SIZE = 5.6
"""Letters in points: two columns of a journal hold the whole diagram."""


def draw(plan: Plan, extension: str, *, title: str, caption: tuple[str, ...]) -> bytes:
    """Return the diagram as a file, two columns of a journal wide; the same plan gives the same bytes.

    Parameters
    ----------
    plan
        Where everything stands.
    extension
        ``svg``, ``pdf`` or ``png`` (300 dots per inch).
    title
        Of the file.
    caption
        Lines that stand below.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    height = plan.height + CAPTION
    inches = WIDTHS["double"] / MM_PER_INCH
    with settled():
        figure = Figure(figsize=(inches, inches * height / plan.width), dpi=DOTS_PER_INCH, facecolor="white")
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set_xlim(0, plan.width)
        axes.set_ylim(height, 0)
        sheet = Sheet(plan.width, height, figure, axes)
        for arrow in plan.arrows:
            sheet.line([x for x, _y in arrow.points], [y for _x, y in arrow.points])
        for place in plan.places:
            _box(sheet, place)
        for week in plan.weeks:
            sheet.text(6, week.y, week.words, SIZE, weight="bold")
        for number, words in enumerate(caption):
            sheet.text(12, plan.height + 12 + 16 * number, words, SIZE)
        return sheet.saved(extension, title=title)


def _box(sheet: Sheet, place: Place) -> None:
    from matplotlib.patches import Rectangle

    outline = Rectangle(
        (place.x, place.y),
        place.width,
        place.height,
        facecolor="white",
        edgecolor=INK,
        linewidth=0.6,
        zorder=2,
    )
    sheet.axes.add_patch(outline)
    if place.group:
        edge = Rectangle((place.x, place.y), 5, place.height, facecolor=COLOURS[place.group], zorder=3)
        sheet.axes.add_patch(edge)

    def line(words: str, n: int, y: float, weight: str) -> None:
        sheet.text(place.x_text, y, words, SIZE, weight=weight, zorder=4)
        sheet.text(place.x_number, y, f"n = {n}", SIZE, weight=weight, ha="right", zorder=4)

    if place.title:
        line(place.title, place.n, place.y_title, "bold")
    for row in place.rows:
        line(row.words, row.n, row.y, "normal")
