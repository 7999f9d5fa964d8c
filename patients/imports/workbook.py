"""Excel workbooks: refused before they are opened when they are not what they seem."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.parsers import expat

from patients.imports import sheet_reader
from patients.imports.problems import FileRefused
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


ZIP_MARK = b"PK\x03\x04"
OLD_EXCEL_MARK = b"\xd0\xcf\x11\xe0"
MOST_PARTS = 200
MOST_UNPACKED = 200 * 2**20
MOST_RATIO = 100
_SMALL = 2**20  # a small part may shrink more than a hundredfold without being a bomb
_SECONDS = 180
_MOST_CELLS_NAMED = 5
_SAVE_AGAIN = Sentence(_("Open it in Excel, save it as .xlsx or “CSV UTF-8”, and choose that file."))
_DECLARES_TYPES = re.compile(rb"<!\s*(DOCTYPE|ENTITY)", re.IGNORECASE)
_DAYS_FROM_1904 = re.compile(rb"""date1904\s*=\s*["'](1|true)["']""")


@dataclass(frozen=True, slots=True)
class Sheet:
    """A visible sheet and its first rows; ``shift`` columns before the first used one are empty."""

    name: str
    shift: int
    rows: list[list[str]]


def is_workbook(path: Path) -> bool:
    """Return whether a file is a zip archive, as workbooks are, or an old Excel file."""
    with path.open("rb") as file:
        mark = file.read(4)
    return mark in (ZIP_MARK, OLD_EXCEL_MARK) or path.suffix.lower() in {".xlsx", ".xlsm"}


def check(path: Path) -> None:
    """Refuse a workbook that is damaged, too large when unpacked, or declares entities.

    Nothing is unpacked beyond the limits: the directory of the archive is read
    first, and each part is measured while it is read.
    """
    with path.open("rb") as file:
        if file.read(4) == OLD_EXCEL_MARK:
            raise _refused("old_excel", _("This is a workbook of old Excel (.xls) or one with a password."))
    try:
        with zipfile.ZipFile(path) as archive:
            _check_sizes(archive)
            for part in archive.infolist():
                if part.filename.lower().endswith((".xml", ".rels")):
                    _check_part(archive, part)
            if "xl/workbook.xml" not in archive.namelist():
                raise _refused("not_a_workbook", _("This archive is not an Excel workbook."))
            if _DAYS_FROM_1904.search(archive.read("xl/workbook.xml")):
                raise _refused("dates_1904", _("This workbook counts its days from 1904."))
            for part in archive.infolist():
                if part.filename.startswith("xl/worksheets/"):
                    _refuse_formulas_without_value(archive, part)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, OSError, ValueError, RuntimeError):
        raise _refused(
            "not_a_workbook", _("This is not a readable workbook: it is damaged or cut off.")
        ) from None


def _check_sizes(archive: zipfile.ZipFile) -> None:
    parts = archive.infolist()
    unpacked = sum(part.file_size for part in parts)
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
    for part in parts:
        if part.file_size > _SMALL and part.file_size > MOST_RATIO * max(1, part.compress_size):
            raise _refused("bomb", _("The workbook unpacks to more than a hundred times its size."))


def _check_part(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> None:
    read, tail = 0, b""
    with archive.open(part) as file:
        while block := file.read(2**20):
            read += len(block)
            if read > part.file_size:
                raise _refused("bomb", _("The workbook holds more than it says."))
            if _DECLARES_TYPES.search(tail + block):
                raise _refused("entities", _("The workbook declares entities, which no spreadsheet does."))
            tail = block[-16:]


def _refuse_formulas_without_value(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> None:
    """Refuse formulas whose result was never stored: they would read as empty cells."""
    with archive.open(part) as file:
        if not any(b"<f" in block for block in iter(lambda: file.read(2**20), b"")):
            return
    formulas = _Formulas()
    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = formulas.start, formulas.end
    parser.CharacterDataHandler = formulas.text
    try:
        with archive.open(part) as file:
            parser.ParseFile(file)
    except expat.ExpatError:
        raise _refused("not_a_workbook", _("This is not a readable workbook: a sheet is damaged.")) from None
    bare = formulas.without_value
    if bare:
        raise FileRefused(
            "formula",
            Sentence(
                _("Formulas without a stored result stand in %(cells)s."),
                {"cells": ", ".join(bare[:_MOST_CELLS_NAMED])},
            ),
            Sentence(_("Open the workbook in Excel so that it computes them, and save it.")),
        )


class _Formulas:
    """Notes the cells of a sheet that hold a formula and no result."""

    def __init__(self) -> None:
        self.without_value: list[str] = []
        self._at, self._inside = "", ""
        self._has_formula = self._has_value = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._inside = name
        if name == "c":
            self._at, self._has_formula, self._has_value = attributes.get("r", "?"), False, False
        elif name == "f":
            self._has_formula = True

    def text(self, text: str) -> None:
        if self._inside in ("v", "t") and text:
            self._has_value = True

    def end(self, name: str) -> None:
        self._inside = ""
        if name == "c" and self._has_formula and not self._has_value:
            self.without_value.append(self._at)


def sheets(path: Path) -> list[Sheet]:
    """Return the visible sheets with their first rows."""
    found = subprocess.run(  # noqa: S603 - our own script; the name of the file is made by us
        _command(path, "peek"), capture_output=True, timeout=_SECONDS, check=False, encoding="utf-8"
    )
    if found.returncode:
        raise _unreadable(found.stderr)
    return [
        Sheet(sheet["name"], sheet["shift"], sheet["rows"])
        for sheet in json.loads(found.stdout)
        if sheet["visible"] and sheet["rows"]
    ]


def rows(path: Path, sheet: str) -> Iterator[tuple[int, list[str]]]:
    """Yield number and cells of every row of a sheet."""
    with subprocess.Popen(  # noqa: S603 - as above
        _command(path, "rows", sheet), stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    ) as reader:
        assert reader.stdout is not None
        assert reader.stderr is not None
        try:
            for line in reader.stdout:
                number, cells = json.loads(line)
                yield number, cells
            if reader.wait():
                raise _unreadable(reader.stderr.read())
        finally:
            if reader.poll() is None:
                reader.kill()


def _command(path: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-I", str(Path(sheet_reader.__file__)), str(path), *arguments]


def _unreadable(message: str) -> FileRefused:
    if "memory" in message.lower() or not message.strip():
        return _refused("too_large", _("Reading the workbook took too much memory or time."))
    return _refused("not_a_workbook", _("This is not a readable workbook."))


def _refused(rule: str, text: str) -> FileRefused:
    return FileRefused(rule, Sentence(text), _SAVE_AGAIN)
