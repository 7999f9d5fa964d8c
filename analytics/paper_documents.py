"""The paper set as documents: HTML files that stand alone, and Word files with real tables.

Both are made from the same tables and pictures, and equal ones are equal bytes:
a Word file is a zip archive, so its times are fixed.
"""

from __future__ import annotations

import base64
import io
import zipfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from django.conf import settings
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from analytics.paper_figures import Picture
from analytics.paper_tables import Entry, Table
from trial import marks, protocol

EPOCH = (1980, 1, 1, 0, 0, 0)
_STYLE = Path(settings.BASE_DIR) / "trial" / "static" / "cordline" / "paper_file.css"


# --- HTML -----------------------------------------------------------------------------------


def html(
    title: str,
    tables: Sequence[Table],
    pictures: Sequence[tuple[Picture, bytes]] = (),
    methods: Sequence[str] = (),
) -> bytes:
    """Return one HTML file that needs no other; pictures come as PNG and stand inside it."""
    page = ET.Element("html", lang=get_language() or "en")
    head = _child(page, "head")
    _child(head, "meta", charset="utf-8")
    _child(head, "meta", name="viewport", content="width=device-width, initial-scale=1")
    _child(head, "title", title)
    _child(head, "style", _STYLE.read_text(encoding="utf-8"))
    body = _child(page, "body")
    _child(body, "h1", title)
    for table in tables:
        _html_table(body, table)
    for picture, png in pictures:
        figure = _child(body, "figure")
        coded = base64.b64encode(png).decode()
        _child(
            figure,
            "img",
            src=f"data:image/png;base64,{coded}",
            alt=f"{picture.name}. {picture.title}{marks.stop()}",
        )
        caption = _child(figure, "figcaption")
        _child(caption, "strong", f"{picture.name}. {picture.title}{marks.stop()} ")
        _child(caption, "span", " ".join((*picture.caption, picture.provenance)))
    if methods:
        _child(body, "h2", _("Statistical methods"))
        for words in methods:
            _child(body, "p", words)
    text = ET.tostring(page, encoding="unicode", method="html")
    return f"<!DOCTYPE html>\n{text}\n".encode()


def _child(parent: ET.Element, tag: str, words: str = "", **attributes: str) -> ET.Element:
    made = ET.SubElement(parent, tag, attributes)
    if words:
        made.text = words
    return made


def _html_table(body: ET.Element, table: Table) -> None:
    made = _child(_child(body, "section"), "table")
    caption = _child(made, "caption")
    _child(caption, "strong", f"{table.name}. ").tail = f"{table.title}{marks.stop()}"
    head = _child(made, "thead")
    upper = _child(head, "tr")
    _child(upper, "th", table.label_head, scope="col", rowspan="2")
    for words, wide in table.spans:
        _child(upper, "th", words, scope="colgroup", colspan=str(wide))
    lower = _child(head, "tr")
    for words in table.columns:
        _child(lower, "th", words, scope="col")
    rows = _child(made, "tbody")
    for row in table.rows:
        line = _child(rows, "tr")
        if row.is_heading:
            _child(line, "th", row.label, scope="colgroup", colspan=str(len(table.columns) + 1))
            continue
        _child(line, "th", row.label, scope="row")
        for entry in row.entries:
            place = _child(line, "td")
            inner = _child(place, "strong", entry.text) if entry.strong else place
            inner.text = entry.text
            if entry.mark:
                _child(inner, "sup", entry.mark)
    for note in table.notes:
        _child(body[-1], "p", note)


# --- Word -----------------------------------------------------------------------------------


def docx(
    title: str,
    tables: Sequence[Table],
    pictures: Sequence[tuple[Picture, bytes]] = (),
    methods: Sequence[str] = (),
) -> bytes:
    """Return a Word file: three-line tables with captions, notes and repeated heads, then pictures."""
    from docx import Document
    from docx.shared import Length, Mm, Pt

    document = Document()
    _page(document.sections[0], wide=bool(tables))
    normal = document.styles["Normal"]
    normal.font.name, normal.font.size = "Arial", Pt(9)
    normal.element.rPr.rFonts.set(_w("eastAsia"), "SimSun")
    normal.paragraph_format.space_after = Pt(3)
    core = document.core_properties
    core.title, core.author, core.last_modified_by = title, "Cordline", "Cordline"
    core.subject, core.comments = _(protocol.TITLE), ""
    core.created = core.modified = datetime(*EPOCH, tzinfo=UTC)
    for place, table in enumerate(tables):
        _word_table(document, table, new_page=place > 0)
    if pictures or methods:
        if tables:
            from docx.enum.section import WD_SECTION

            _page(document.add_section(WD_SECTION.NEW_PAGE), wide=False)
        for place, (picture, png) in enumerate(pictures):
            holder = document.add_paragraph()
            holder.paragraph_format.keep_with_next = True
            holder.paragraph_format.page_break_before = place > 0
            shape = holder.add_run().add_picture(io.BytesIO(png), width=Mm(170))
            if shape.height > Mm(205):
                shape.width, shape.height = Length(int(shape.width * Mm(205) / shape.height)), Mm(205)
            shape._inline.docPr.set("descr", f"{picture.name}. {picture.title}{marks.stop()}")
            words = document.add_paragraph()
            words.add_run(f"{picture.name}. {picture.title}{marks.stop()} ").bold = True
            words.add_run(" ".join((*picture.caption, picture.provenance)))
        if methods:
            document.add_heading(_("Statistical methods"), level=2)
            for text in methods:
                document.add_paragraph(text)
    file = io.BytesIO()
    document.save(file)
    return settled(file.getvalue())


def _page(section: Any, *, wide: bool) -> None:
    from docx.enum.section import WD_ORIENT
    from docx.shared import Mm

    section.orientation = WD_ORIENT.LANDSCAPE if wide else WD_ORIENT.PORTRAIT
    section.page_width, section.page_height = (Mm(297), Mm(210)) if wide else (Mm(210), Mm(297))
    section.left_margin = section.right_margin = Mm(18)
    section.top_margin = section.bottom_margin = Mm(16)


def _w(name: str) -> str:
    from docx.oxml.ns import qn

    return str(qn(f"w:{name}"))


def _word_table(document: Any, table: Table, *, new_page: bool) -> None:
    from docx.shared import Pt

    caption = document.add_paragraph(style="Caption")
    caption.paragraph_format.keep_with_next = True
    caption.paragraph_format.page_break_before = new_page
    for words, bold in ((f"{table.name}. ", True), (f"{table.title}{marks.stop()}", False)):
        run = caption.add_run(words)
        run.bold, run.font.size, run.font.color.rgb = bold, Pt(10), _black()
    wide = len(table.columns) + 1
    _fill(document.add_table(rows=2 + len(table.rows), cols=wide), table)
    for place, note in enumerate(table.notes):
        words = document.add_paragraph()
        words.paragraph_format.space_before = Pt(4 if place == 0 else 0)
        words.paragraph_format.space_after = Pt(0)
        words.add_run(note).font.size = Pt(7.5)


def _fill(made: Any, table: Table) -> None:
    from docx.enum.table import WD_TABLE_ALIGNMENT

    made.alignment = WD_TABLE_ALIGNMENT.CENTER
    made.autofit = True
    grid = [list(row.cells) for row in made.rows]
    grid[0][0].merge(grid[1][0])
    _write(grid[0][0], Entry(table.label_head, strong=True), left=True)
    start = 1
    for words, span in table.spans:
        merged = grid[0][start].merge(grid[0][start + span - 1])
        _write(merged, Entry(words, strong=True))
        _line(merged, "bottom", 4)
        start += span
    for place, words in enumerate(table.columns, start=1):
        _write(grid[1][place], Entry(words, strong=True))
    for cell in grid[0]:
        _line(cell, "top", 12)
    for cell in grid[1]:
        _line(cell, "bottom", 8)
    for line, row in zip(grid[2:], table.rows, strict=True):
        if row.is_heading:
            _write(line[0].merge(line[-1]), Entry(row.label, strong=True), left=True)
            continue
        _write(line[0], Entry(row.label), left=True)
        for cell, entry in zip(line[1:], row.entries, strict=True):
            _write(cell, entry)
    for cell in grid[-1]:
        _line(cell, "bottom", 12)
    for row in made.rows:
        _mark(row._tr.get_or_add_trPr(), "cantSplit")
    for row in made.rows[:2]:
        _mark(row._tr.get_or_add_trPr(), "tblHeader")


def _black() -> Any:
    from docx.shared import RGBColor

    return RGBColor(0, 0, 0)


def _write(cell: Any, entry: Entry, *, left: bool = False) -> None:
    from docx.enum.text import WD_ALIGN_PARAGRAPH
    from docx.shared import Pt

    paragraph = cell.paragraphs[0]
    paragraph.alignment = WD_ALIGN_PARAGRAPH.LEFT if left else WD_ALIGN_PARAGRAPH.CENTER
    paragraph.paragraph_format.space_after = Pt(1)
    paragraph.paragraph_format.space_before = Pt(1)
    run = paragraph.add_run(entry.text)
    run.font.size, run.bold = Pt(8), entry.strong
    if entry.mark:
        letter = paragraph.add_run(entry.mark)
        letter.font.size, letter.font.superscript = Pt(8), True


def _mark(properties: Any, name: str) -> None:
    from docx.oxml import OxmlElement

    properties.append(OxmlElement(f"w:{name}"))


def _line(cell: Any, side: str, eighths: int) -> None:
    """Draw one edge of a cell; ``eighths`` of a point."""
    from docx.oxml import OxmlElement

    properties = cell._tc.get_or_add_tcPr()
    borders = properties.find(_w("tcBorders"))
    if borders is None:
        borders = OxmlElement("w:tcBorders")
        properties.append(borders)
    edge = OxmlElement(f"w:{side}")
    for name, value in (("val", "single"), ("sz", str(eighths)), ("space", "0"), ("color", "000000")):
        edge.set(_w(name), value)
    # the schema wants the upper edge before the lower one
    borders.insert(0 if side == "top" else len(borders), edge)


def settled(archive: bytes) -> bytes:
    """Return a zip archive with its times fixed, so that equal contents are equal bytes."""
    with zipfile.ZipFile(io.BytesIO(archive)) as given:
        return zipped({name: given.read(name) for name in given.namelist()})


def zipped(files: Mapping[str, bytes]) -> bytes:
    """Pack files in the order given."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, date_time=EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return file.getvalue()
