"""Excel workbooks: refused before they are opened when they are not what they seem.

Runs in the process that reads a file (:mod:`patients.imports.reading`), never
in the application.
"""

from __future__ import annotations

import posixpath
import re
import string
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.parsers import expat

from patients.imports import formats
from patients.imports.formats import SAVE_AGAIN
from patients.imports.problems import FileRefused
from patients.imports.shown import Shown, shown_cells
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


MOST_PARTS = 100
MOST_UNPACKED = 50 * 2**20
MOST_RATIO = 100
_SMALL = 2**20  # what unpacks to less than this is no bomb, however well it was packed
_MOST_NAMED = 5
_MOST_HIDDEN_NOTED = 10_000
_MOST_MERGED_CELLS = 500_000
PEEKED_ROWS = 200
_SIGNIFICANT_DIGITS, _MOST_EXACT = ".15g", 10**15
_DECLARES_TYPES = re.compile(rb"<!\s*(DOCTYPE|ENTITY)", re.IGNORECASE)
_FORMULA = re.compile(rb"<(?:\w+:)?f[\s>/]")
_ROW = re.compile(rb"<(?:\w+:)?row\b[^>]*>")
_COLUMN = re.compile(rb"<(?:\w+:)?col\b[^>]*>")
_CELL_PLACE = re.compile(rb"""<(?:\w+:)?c\b[^>]*?\br\s*=\s*["']([A-Z]{1,3}[0-9]{1,7})["']""")
_LETTERS = string.ascii_uppercase.encode()
_COMMENT = re.compile(rb"""<(?:\w+:)?comment\b[^>]*\bref\s*=\s*["']([A-Z]{1,3}[0-9]{1,7})["']""")
_RELATIONS = "xl/_rels/workbook.xml.rels"
_STYLES, _STRINGS = "xl/styles.xml", "xl/sharedStrings.xml"
_HIDDEN = re.compile(rb"""\bhidden\s*=\s*["'](?:1|true)["']""")
_NUMBER_OF = {
    name: re.compile(rb"\b" + name.encode() + rb"""\s*=\s*["']([0-9]{1,7})["']""")
    for name in ("r", "min", "max")
}

Merged = tuple[tuple[int, int], tuple[int, int]]


@dataclass(slots=True)
class Sheet:
    """A sheet with its first rows, and what a reader of it would not see.

    ``merged`` are ranges that begin and end at (row, column), counted from 0.
    """

    name: str
    visible: bool = True
    rows: list[tuple[int, list[str]]] = field(default_factory=list)
    count: int = 0
    bare_formulas: list[str] = field(default_factory=list)
    hidden_rows: list[int] = field(default_factory=list)
    hidden_columns: list[int] = field(default_factory=list)
    merged: list[Merged] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Workbook:
    """What the parts of a workbook say about it."""

    days_from_1904: bool = False
    macros: bool = False
    links: bool = False
    sheets: list[Sheet] = field(default_factory=list)


def survey(path: Path, head: bytes) -> Workbook:
    """Check a workbook and return its sheets with their first rows.

    Nothing is unpacked beyond the limits: the directory of the archive is read
    first, and each part is measured while it is read.

    Raises
    ------
    FileRefused
        If it is damaged, too large when unpacked, or not what it seems.
    """
    try:
        found = _look_inside(path, head)
    except (
        zipfile.BadZipFile,
        zipfile.LargeZipFile,
        expat.ExpatError,
        EOFError,
        OSError,
        ValueError,
        RuntimeError,
        NotImplementedError,
    ):
        raise _damaged() from None
    opened = _opened(path)
    known = {sheet.name: sheet for sheet in found.sheets}
    for meta in opened.sheets_metadata:
        sheet = known.get(meta.name)
        if sheet is None or not sheet.visible or not _is_worksheet(meta):
            continue
        cells = _sheet(path, meta.name)
        sheet.count = cells.total_height + 1 if cells.start else 0
        sheet.merged = [(tuple(first), tuple(last)) for first, last in cells.merged_cell_ranges or ()]
        for number, row in _numbered(cells, sheet.merged, _shown_cells(path, meta.name)):
            if any(row):
                sheet.rows.append((number, row))
            if len(sheet.rows) == PEEKED_ROWS:
                break
    return found


def rows(path: Path, name: str) -> Iterator[tuple[int, list[str]]]:
    """Yield number and cells of every row of a sheet that says something."""
    sheet = _sheet(path, name)
    merged = [(tuple(first), tuple(last)) for first, last in sheet.merged_cell_ranges or ()]
    for number, row in _numbered(sheet, merged, _shown_cells(path, name)):
        if any(row):
            yield number, row


@cache
def _opened(path: Path) -> Any:
    import python_calamine  # only in the process that reads workbooks

    try:
        return python_calamine.CalamineWorkbook.from_path(path)
    except python_calamine.CalamineError:
        raise _damaged() from None


@lru_cache(1)
def _sheet(path: Path, name: str) -> Any:
    """Return one sheet; the last one asked for is kept, more would cost memory."""
    import python_calamine

    try:
        return _opened(path).get_sheet_by_name(name)
    except python_calamine.CalamineError:
        raise _damaged() from None


def _is_worksheet(meta: Any) -> bool:
    return str(meta.typ).endswith("WorkSheet")


def _numbered(
    sheet: Any, merged: list[Merged], shown: Mapping[int, Mapping[int, Shown]]
) -> Iterator[tuple[int, list[str]]]:
    """Yield rows with every column in its place; the value of merged cells stands in all of them."""
    shift = [""] * (sheet.start[1] if sheet.start else 0)
    filled = _merged_by_row(merged, sheet)
    kept: dict[Merged, str] = {}
    for number, cells in enumerate(sheet.iter_rows()):
        row = shift + [text_of(cell) for cell in cells]
        for column, as_shown in shown.get(number, {}).items():
            if column < len(row):
                row[column] = as_shown(row[column])
        for area in filled.get(number, ()):
            (top, left), (_bottom, right) = area
            if number == top:
                kept[area] = row[left] if left < len(row) else ""
            for column in range(left, min(right + 1, len(row))):
                row[column] = kept[area]
        yield number + 1, row


def _merged_by_row(merged: list[Merged], sheet: Any) -> dict[int, list[Merged]]:
    height, width = sheet.total_height, sheet.total_width
    by_row: dict[int, list[Merged]] = {}
    cells = 0
    for area in merged:
        (top, left), (bottom, right) = area
        bottom = min(bottom, height)
        cells += max(0, bottom - top + 1) * max(0, min(right, width) - left + 1)
        if cells > _MOST_MERGED_CELLS:
            raise FileRefused(
                "merged",
                Sentence(
                    _("More than %(most)s cells of the sheet are merged."), {"most": _MOST_MERGED_CELLS}
                ),
                Sentence(_("Unmerge them in Excel, and write every value into its own cell.")),
            )
        for row in range(top, bottom + 1):
            by_row.setdefault(row, []).append(area)
    return by_row


def text_of(cell: object) -> str:
    """Return a cell as it would be written: exact numbers, ISO dates."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, float | int):
        if abs(cell) >= _MOST_EXACT:
            return format(cell, ".15G")  # the digits at its end are lost: as a code or a count it is none
        # a spreadsheet keeps 15 digits; what is beyond is noise of binary fractions
        text = format(cell, _SIGNIFICANT_DIGITS)
        return text if text[-1].isdigit() and "e" not in text else f"{Decimal(text):f}"
    if isinstance(cell, datetime):
        return cell.date().isoformat() if cell.time() == time() else cell.isoformat(" ", "seconds")
    if isinstance(cell, date | time):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        return str(cell)
    return str(cell)


# --- what is inside the archive -------------------------------------------------------------


def _look_inside(path: Path, head: bytes) -> Workbook:
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
        names = [part.filename for part in parts]
        _refuse_strange_names(names)
        if any(part.flag_bits & 1 for part in parts):
            raise FileRefused(
                "password",
                Sentence(_("The parts of this archive have a password.")),
                Sentence(_("Save the table without a password, as .xlsx or “CSV UTF-8”.")),
            )
        _check_sizes(path, parts)
        formats.refuse_other_archive(names, head)
        found = Workbook(
            macros="xl/vbaProject.bin" in names,
            links=any(name.startswith("xl/externalLinks/") for name in names),
        )
        outline = _Outline()
        _parse(_checked(archive, "xl/workbook.xml"), outline.start)
        found.days_from_1904 = outline.days_from_1904
        found.sheets = [sheet for _relation, sheet in outline.sheets]
        sheets = {_targets(archive).get(relation, ""): sheet for relation, sheet in outline.sheets}
        for name in names:
            if name.lower().endswith((".xml", ".rels", ".vml")):
                data = _checked(archive, name)
                if name in sheets and sheets[name].visible:
                    _look_at_sheet(data, sheets[name])
                    sheets[name].comments = _commented(archive, name)
        return found


def _refuse_strange_names(names: list[str]) -> None:
    """Refuse names that lead out of the archive, and two parts of one name: readers would differ on them."""
    if len(set(names)) < len(names):
        raise _refused("not_a_workbook", _("The archive holds two parts of the same name."))
    for name in names:
        if name.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", name) or ":" in name or "\\" in name:
            raise _refused("path", _("The archive holds a part whose name leads out of it."))


def _check_sizes(path: Path, parts: list[zipfile.ZipInfo]) -> None:
    unpacked = sum(part.file_size for part in parts)
    whole = unpacked > _SMALL and unpacked > MOST_RATIO * path.stat().st_size
    if whole or any(
        part.file_size > _SMALL and part.file_size > MOST_RATIO * max(1, part.compress_size) for part in parts
    ):
        raise _refused("bomb", _("The workbook unpacks to more than a hundred times its size."))
    if len(parts) > MOST_PARTS or unpacked > MOST_UNPACKED:
        raise FileRefused(
            "too_large",
            Sentence(
                _("The workbook is too large: %(parts)s parts, %(size)s MB unpacked."),
                {"parts": len(parts), "size": unpacked // 2**20},
            ),
            Sentence(
                _("A workbook has at most %(parts)s parts and %(size)s MB. Save the sheet as “CSV UTF-8”."),
                {"parts": MOST_PARTS, "size": MOST_UNPACKED // 2**20},
            ),
        )


def _checked(archive: zipfile.ZipFile, name: str) -> bytes:
    """Read a part that is XML in UTF-8 without declarations of its own."""
    size = archive.getinfo(name).file_size
    with archive.open(name) as file:
        data = file.read(size + 1)
    if len(data) > size:
        raise _refused("bomb", _("The workbook holds more than it says."))
    # in UTF-16 a declaration would hide from the search below
    if b"\0" in data:
        raise _refused("not_a_workbook", _("This is not a readable workbook: a part of it is not UTF-8."))
    if _DECLARES_TYPES.search(data):
        raise _refused("entities", _("The workbook declares entities, which no spreadsheet does."))
    return data


def _parse(data: bytes, start: Any) -> None:
    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.Parse(data, True)


def _local(name: str) -> str:
    return name.rpartition(":")[2]


class _Outline:
    """Reads xl/workbook.xml: sheets in their order, and how days are counted."""

    def __init__(self) -> None:
        self.days_from_1904 = False
        self.sheets: list[tuple[str, Sheet]] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if _local(name) == "workbookPr":
            self.days_from_1904 = attributes.get("date1904", "") in ("1", "true")
        elif _local(name) == "sheet":
            relation = next((value for key, value in attributes.items() if _local(key) == "id"), "")
            visible = attributes.get("state", "visible") == "visible"
            self.sheets.append((relation, Sheet(attributes.get("name", ""), visible)))


class _Targets:
    """Reads which part of the archive a relation of a part in ``folder`` leads to."""

    def __init__(self, folder: str = "xl") -> None:
        self.parts: dict[str, str] = {}
        self._folder = folder

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if _local(name) == "Relationship":
            target = attributes.get("Target", "")
            part = target.lstrip("/") if target.startswith("/") else posixpath.join(self._folder, target)
            self.parts[attributes.get("Id", "")] = posixpath.normpath(part)


def _commented(archive: zipfile.ZipFile, part: str) -> list[str]:
    """Return the cells of a sheet that have a comment."""
    folder, name = posixpath.split(part)
    targets, relations = _Targets(folder), f"{folder}/_rels/{name}.rels"
    if relations in archive.namelist():
        _parse(_checked(archive, relations), targets.start)
    found = {
        place[1].decode()
        for target in targets.parts.values()
        if target in archive.namelist() and "comment" in target.lower() and target.endswith(".xml")
        for place in _COMMENT.finditer(_checked(archive, target))
    }
    return sorted(found, key=lambda place: (len(place), place))


def _repeats_a_cell(data: bytes) -> bool:
    """Return whether a place stands twice; row by row, since the places of a large sheet fill the memory there is."""
    numbers: set[bytes] = set()
    for start, end in pairwise([0, *(tag.start() for tag in _ROW.finditer(data)), len(data)]):
        places = _CELL_PLACE.findall(data, start, end)
        here = {place.lstrip(_LETTERS) for place in places}
        is_split = not numbers.isdisjoint(here)
        if is_split:
            places = _CELL_PLACE.findall(data)
        if is_split or len(set(places)) < len(places):
            return len(set(places)) < len(places)
        numbers |= here
    return False


def _look_at_sheet(data: bytes, sheet: Sheet) -> None:
    if _repeats_a_cell(data):
        raise _damaged()  # readers would differ on which of two values of one cell counts
    if _HIDDEN.search(data):
        hidden = (tag[0] for tag in _ROW.finditer(data) if _HIDDEN.search(tag[0]))
        found = (_NUMBER_OF["r"].search(tag) for tag in hidden)
        sheet.hidden_rows = [int(number[1]) for number in found if number][:_MOST_HIDDEN_NOTED]
        for tag in _COLUMN.finditer(data):
            first, last = (_NUMBER_OF[name].search(tag[0]) for name in ("min", "max"))
            if _HIDDEN.search(tag[0]) and first and last:
                sheet.hidden_columns += range(int(first[1]) - 1, min(int(last[1]), 16_384))
    if _FORMULA.search(data):
        formulas = _Formulas()
        parser = expat.ParserCreate()
        parser.StartElementHandler, parser.EndElementHandler = formulas.start, formulas.end
        parser.CharacterDataHandler = formulas.text
        parser.Parse(data, True)
        sheet.bare_formulas = formulas.without_value[:_MOST_NAMED]


def _targets(archive: zipfile.ZipFile) -> dict[str, str]:
    """Return which part of the archive each relation of the workbook leads to."""
    targets = _Targets()
    if _RELATIONS in archive.namelist():
        _parse(_checked(archive, _RELATIONS), targets.start)
    return targets.parts


@lru_cache(1)
def _shown_cells(path: Path, name: str) -> Mapping[int, Mapping[int, Shown]]:
    """Return how cells are shown that look otherwise than their value: by row and column, counted from 0."""
    outline = _Outline()
    with zipfile.ZipFile(path) as archive:
        _parse(_checked(archive, "xl/workbook.xml"), outline.start)
        targets, names = _targets(archive), set(archive.namelist())
        part = next(
            (targets.get(relation, "") for relation, sheet in outline.sheets if sheet.name == name), ""
        )
        data, styles, strings = (
            _checked(archive, one) if one in names else b"" for one in (part, _STYLES, _STRINGS)
        )
    try:
        return shown_cells(data, styles, strings)
    except (expat.ExpatError, ValueError):
        raise _damaged() from None


class _Formulas:
    """Notes the cells of a sheet that hold a formula and no result: they would read as empty."""

    def __init__(self) -> None:
        self.without_value: list[str] = []
        self._at, self._inside = "", ""
        self._is_text = self._has_formula = self._has_value = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._inside = _local(name)
        if self._inside == "c":
            self._at, self._has_formula, self._has_value = attributes.get("r", "?"), False, False
            self._is_text = attributes.get("t") == "str"
        elif self._inside == "f":
            self._has_formula = True
        elif self._inside == "v" and self._is_text:
            # a formula may well result in an empty text
            self._has_value = True

    def text(self, text: str) -> None:
        if self._inside in ("v", "t") and text:
            self._has_value = True

    def end(self, name: str) -> None:
        self._inside = ""
        if _local(name) == "c" and self._has_formula and not self._has_value:
            self.without_value.append(self._at)


def _damaged() -> FileRefused:
    return _refused("not_a_workbook", _("This is not a readable workbook: it is damaged or cut off."))


def _refused(rule: str, text: str) -> FileRefused:
    return FileRefused(rule, Sentence(text), SAVE_AGAIN)
