"""The figure and the table of one contrast as files: SVG, PDF, PNG, CSV and DOCX."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

from analytics.contrast_page import ContrastPage, GroupRow, IntervalRow
from analytics.contrast_source import Question
from analytics.contrast_words import interval_words
from trial import protocol, synthetic_label
from trial.protocol import Population
from trial.templatetags.cordline import difference, middle, number, p_value

KINDS: Mapping[str, str] = {
    "svg": "image/svg+xml",
    "pdf": "application/pdf",
    "png": "image/png",
    "csv": "text/csv; charset=utf-8",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
}
DOTS_PER_INCH = 300
WIDTH_MM, ROW_MM = 174, 24
COLOURS: Mapping[str, str] = {
    "A": "#0072B2", "B": "#56B4E9", "C": "#D55E00", "D": "#E69F00", "LF": "#475459", "LC": "#A3ACAF",
}  # fmt: skip
MARKERS: Mapping[str, str] = {"A": "o", "B": "s", "C": "^", "D": "D", "LF": "o", "LC": "s"}
BEHIND_WORDS = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def made(page: ContrastPage, kind: str) -> bytes:
    """Return a file of a contrast.

    Parameters
    ----------
    page
        What the page shows.
    kind
        A key of :data:`KINDS`.
    """
    if kind == "csv":
        return _csv(page)
    if kind == "docx":
        return _docx(page)
    return _figure(page, kind)


def title_of(page: ContrastPage) -> str:
    """Return what a file is about."""
    return _("%(one)s and %(two)s: %(what)s, %(measure)s") % {
        "one": page.group1,
        "two": page.group2,
        "what": _(protocol.label_of(page.analyte)),
        "measure": _(protocol.MEASURE_LABELS[page.question.measure]),
    }


def caption_of(page: ContrastPage) -> str:
    """Return what a reader has to know: who, how, adjusted for what, as of which revision."""
    return " ".join(
        [
            _("Population: %(among)s.") % {"among": among_words(page.question)},
            _("Associations, not adjusted for confounding."),
            _("p two-sided; Holm over %(holm)s tests of this quantity, Benjamini-Hochberg over %(bh)s.")
            % {"holm": page.holm_size, "bh": page.bh_size},
            *notes_of(page.question, page.revision),
        ]
    )


def among_words(question: Question) -> str:
    """Return who is counted."""
    among = _(protocol.POPULATION_LABELS[question.grouping])
    if question.at_landmark and question.population is Population.ELIGIBLE:
        among += "; " + _("met the criteria")
    return among


def notes_of(question: Question, revision: int) -> list[str]:
    """Return what every file of a question says: draws left out, the revision, and whether it is made up."""
    notes = [_("Draws within 48 h after plasma are left out.")] if question.without_plasma else []
    notes.append(_("As of revision %(revision)s.") % {"revision": revision})
    if synthetic_label.is_on():
        notes.append(_("Synthetic demonstration study; no real patient."))
    return notes


# --- the table ------------------------------------------------------------------------------


def _heads(page: ContrastPage) -> list[str]:
    unit = page.unit
    return [
        _("Weeks"), _("Group"), _("in group"), "n", _("not due"), _("missing"), _("died"), _("transplanted"),
        _("mean") + f", {unit}", "SD", _("median") + f", {unit}", "Q1", "Q3", _("test"), _("why"),
        f"{page.group1} \N{MINUS SIGN} {page.group2}", _("95 % CI, low"), _("95 % CI, high"), "p", "p (Holm)",
        "p (BH)", _("note"),
    ]  # fmt: skip


def _lines(page: ContrastPage) -> Iterator[list[Any]]:
    for row in page.rows:
        for place, group in enumerate(row.groups):
            shared: list[Any] = [None] * 8 + [""]
            if place == 0:
                shared = [
                    row.method, row.reason, row.estimate, row.ci_low, row.ci_high,
                    row.p_value, row.p_holm, row.p_bh, row.note,
                ]  # fmt: skip
            yield [
                row.label, group.code, group.size, group.n, group.not_due, group.missing, group.died,
                group.transplanted, group.mean, group.sd, group.median, group.q1, group.q3, *shared,
            ]  # fmt: skip


def _csv(page: ContrastPage) -> bytes:
    return csv_of([[title_of(page)], [caption_of(page)], _heads(page), *_lines(page)])


def csv_of(lines: Iterable[Sequence[Any]]) -> bytes:
    """Return lines as CSV that spreadsheets read as UTF-8; numbers keep all their digits."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    for line in lines:
        writer.writerow([_cell(value) for value in line])
    return text.getvalue().encode("utf-8-sig")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return "'" + value
    return repr(value) if isinstance(value, float) else str(value)


def _docx(page: ContrastPage) -> bytes:
    import docx
    from docx.enum.section import WD_ORIENT
    from docx.shared import Mm, Pt

    document = docx.Document()
    section = document.sections[0]
    section.orientation = WD_ORIENT.LANDSCAPE
    section.page_width, section.page_height = Mm(297), Mm(210)
    section.left_margin = section.right_margin = Mm(15)
    document.styles["Normal"].font.name = "Arial"
    document.styles["Normal"].font.size = Pt(9)
    document.add_heading(title_of(page), level=1)
    document.add_paragraph(caption_of(page))
    heads = [
        _("Weeks"), _("Group"), "n", _("not due"), _("missing"), _("died, tx"), _("mean ± SD") + f", {page.unit}",
        _("median (Q1 to Q3)") + f", {page.unit}", _("test"),
        f"{page.group1} \N{MINUS SIGN} {page.group2} (95 % CI), {page.unit}", "p", "Holm", "BH",
    ]  # fmt: skip
    table = document.add_table(rows=1, cols=len(heads))
    table.style = "Light Grid Accent 1"
    for cell, head in zip(table.rows[0].cells, heads, strict=True):
        cell.text = head
    for row in page.rows:
        for place in range(len(row.groups)):
            cells = table.add_row().cells
            words = [*_described(page, row, place), *(_tested(page, row) if place == 0 else [""] * 5)]
            for cell, word in zip(cells, words, strict=True):
                cell.text = word
    for table_row in table.rows:
        for cell in table_row.cells:
            for paragraph in cell.paragraphs:
                for run in paragraph.runs:
                    run.font.size = Pt(8)
    for row in page.rows:
        if row.reason or row.note:
            document.add_paragraph(f"{row.label}: " + "; ".join(filter(None, (row.reason, row.note))))
    document.core_properties.title = title_of(page)
    document.core_properties.author = ""
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def _described(page: ContrastPage, row: IntervalRow, place: int) -> list[str]:
    group, places = row.groups[place], page.decimals
    return [
        row.label if place == 0 else "",
        group.code,
        str(group.n),
        str(group.not_due),
        str(group.missing),
        f"{group.died}, {group.transplanted}",
        f"{number(group.mean, places)} ± {number(group.sd, places)}",
        f"{middle(group.median, places)} ({middle(group.q1, places)} {_('to')} {middle(group.q3, places)})"
        if group.q1 is not None
        else middle(group.median, places),
    ]


def _tested(page: ContrastPage, row: IntervalRow) -> list[str]:
    if row.p_value is None and row.estimate is None:
        return [row.method or row.note, "\N{EN DASH}", "\N{EN DASH}", "\N{EN DASH}", "\N{EN DASH}"]
    estimate = f"{difference(row.estimate, page.decimals)} ({interval_words(row.ci_low, row.ci_high, page.decimals)})"
    return [row.method, estimate, p_value(row.p_value), p_value(row.p_holm), p_value(row.p_bh)]


# --- the figure -----------------------------------------------------------------------------


def _figure(page: ContrastPage, kind: str) -> bytes:
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from analytics.paper_drawing import settled

    style: Any = {
        "font.family": ["Arial", "Liberation Sans", "Noto Sans CJK SC", "DejaVu Sans"],
        "font.size": 7.5,
        "axes.linewidth": 0.6,
        "svg.fonttype": "none",
        "svg.hashsalt": "cordline",
        "pdf.fonttype": 42,
    }
    with settled(), rc_context(style):
        rows = max(1, len(page.rows))
        height = ROW_MM * rows + 32
        figure = Figure(figsize=(WIDTH_MM / 25.4, height / 25.4))
        FigureCanvasAgg(figure)
        left, right = figure.subplots(1, 2, width_ratios=[2.3, 1])
        figure.subplots_adjust(left=0.115, right=0.985, top=1 - 10 / height, bottom=20 / height, wspace=0.42)
        _draw_values(left, page)
        _draw_estimates(right, page)
        figure.suptitle(
            title_of(page), x=0.015, y=1 - 2 / height, ha="left", va="top", fontsize=9, weight="bold"
        )
        figure.text(0.015, 2 / height, caption_of(page), fontsize=5.8, va="bottom", wrap=True)
        out = io.BytesIO()
        metadata: dict[str, Any] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind, {})
        figure.savefig(out, format=kind, dpi=DOTS_PER_INCH, metadata=metadata)
    return out.getvalue()


def _not_there(group: GroupRow) -> str:
    """Say where the rest of a group is, whose values the figure cannot show."""
    return _("not due %(not_due)s, missing %(missing)s,\ndied %(died)s, tx %(transplanted)s") % {
        "not_due": group.not_due,
        "missing": group.missing,
        "died": group.died,
        "transplanted": group.transplanted,
    }


def _draw_values(axes: Any, page: ContrastPage) -> None:
    """Draw the dots where the page has them, with quartiles and median, and at the right edge who is there."""
    figure = page.figure
    ticks = [(tick.at, tick.text) for tick in figure.ticks]
    for place, row in enumerate(page.rows):
        top = place * figure.row_height
        for group, box in zip(row.groups, row.boxes, strict=False):
            axes.scatter(
                [x for x, _y in box.dots],
                [top + y for _x, y in box.dots],
                s=7,
                marker=MARKERS[box.code],
                color=COLOURS[box.code],
                edgecolors="black",
                linewidths=0.25,
                alpha=0.85,
                zorder=2,
            )
            middle = top + box.y
            if box.box_x is not None:
                across = [box.box_x, box.box_x + box.box_width]
                axes.plot(
                    [across[0], across[1], across[1], across[0], across[0]],
                    [middle - 11, middle - 11, middle + 11, middle + 11, middle - 11],
                    color="black",
                    linewidth=0.8,
                    zorder=3,
                )
            if box.median is not None:
                axes.plot(
                    [box.median] * 2, [middle - 14, middle + 14], color="black", linewidth=1.8, zorder=4
                )
            for words, side, size in (
                (f"{box.code}  n = {group.n}", "bottom", 6.5),
                (_not_there(group), "top", 5.2),
            ):
                axes.text(figure.width + 4, middle, words, va=side, fontsize=size, clip_on=False)
    if figure.zero is not None:
        axes.axvline(figure.zero, color="0.6", linewidth=0.6, zorder=1)
    axes.set_xlim(0, figure.width)
    axes.set_ylim(figure.row_height * max(1, len(page.rows)), 0)
    axes.set_xticks([at for at, _text in ticks], [text for _at, text in ticks])
    axes.set_yticks(
        [figure.row_height * (place + 0.5) for place in range(len(page.rows))],
        [
            row.label + ("\n" + _("before the\ncourses differ") if row.before_courses_differ else "")
            for row in page.rows
        ],
    )
    what = _("decrease per subject") if page.is_decrease else _("value per subject")
    axes.set_xlabel(f"{what}, {page.unit}")
    axes.tick_params(length=2.5, width=0.6)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _draw_estimates(axes: Any, page: ContrastPage) -> None:
    """Draw estimates with their intervals; an end beyond the axis is an arrow."""
    figure = page.figure
    for place, row in enumerate(page.rows):
        middle = figure.row_height * (place + 0.5)
        words = _("not tested")
        if row.forest is not None:
            axes.plot([row.forest.low, row.forest.high], [middle] * 2, color="black", linewidth=1)
            axes.plot([row.forest.estimate], [middle], marker="D", markersize=4, color="black")
            for off, at, mark in (
                (row.forest.off_left, row.forest.low, "<"),
                (row.forest.off_right, row.forest.high, ">"),
            ):
                if off:
                    axes.plot([at], [middle], marker=mark, markersize=4, color="black")
        if row.estimate is not None:
            words = f"{difference(row.estimate, page.decimals)} ({interval_words(row.ci_low, row.ci_high, page.decimals)})"
            words += "\n" + _("p %(p)s, Holm %(holm)s") % {
                "p": p_value(row.p_value),
                "holm": p_value(row.p_holm),
            }
        axes.text(
            figure.forest_width / 2,
            middle - 12,
            words,
            ha="center",
            va="bottom",
            fontsize=6.5,
            bbox=BEHIND_WORDS,
        )
    axes.axvline(figure.forest_zero, color="0.6", linewidth=0.6, zorder=0)
    axes.set_xlim(0, figure.forest_width)
    axes.set_ylim(figure.row_height * max(1, len(page.rows)), 0)
    axes.set_yticks([])
    axes.set_xticks([tick.at for tick in figure.forest_ticks], [tick.text for tick in figure.forest_ticks])
    axes.set_xlabel(f"{page.group1} \N{MINUS SIGN} {page.group2} (95 % CI), {page.unit}")
    axes.tick_params(length=2.5, width=0.6)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
