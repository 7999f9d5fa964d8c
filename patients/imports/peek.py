"""A look at the first lines of a file, whatever they mean: so that a person can say what was not found out.

It never refuses. What it cannot show, it leaves away.
"""

from __future__ import annotations

import csv
import io
import itertools
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from patients.imports import reader
from patients.imports.identifiers import BAR, found_in, is_name, sort_of_header
from patients.imports.options import Options
from patients.imports.problems import FileRefused
from patients.imports.tables import SEPARATORS

MOST_LINES = 60
MOST_COLUMNS = 300
SHOWN_VALUES = 3
LONGEST_SHOWN = 40
_READ = 64 * 1024

Line = tuple[int, list[str]]


@dataclass(frozen=True, slots=True)
class Peek:
    """The first lines of a file; ``sheets`` names those of a workbook."""

    lines: list[Line]
    header_line: int
    encoding: str = ""
    separator: str = ""
    sheet: str = ""
    sheets: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return headers and first values as a job keeps them."""
        place = next((at for at, (line, _cells) in enumerate(self.lines) if line == self.header_line), 0)
        headers = self.lines[place][1] if self.lines else []
        while headers and not headers[-1].strip():
            headers = headers[:-1]
        below = [cells for _line, cells in self.lines[place + 1 :]]
        values = [
            [_shown(headers[at], text) for cells in below if at < len(cells) and (text := cells[at].strip())][
                :SHOWN_VALUES
            ]
            for at in range(len(headers))
        ]
        return {
            "headers": [_without_numbers(header) for header in headers[:MOST_COLUMNS]],
            "values": values[:MOST_COLUMNS],
            "header_line": self.header_line,
            "encoding": self.encoding,
            "separator": self.separator,
            "sheet": self.sheet,
            "sheets": list(self.sheets),
        }


def _without_numbers(header: str) -> str:
    """Return a header; where a file has none, the first row stands there with what it holds."""
    return BAR if found_in(unicodedata.normalize("NFKC", header)) else header


def _shown(header: str, text: str) -> str:
    """Return the beginning of a value; who a person is stays behind a bar."""
    normal = unicodedata.normalize("NFKC", text)
    if sort_of_header(header) or is_name(normal) or found_in(normal):
        return BAR
    return text[:LONGEST_SHOWN]


def peek(
    path: Path, name: str, options: Options, *, header_line: int = 0, sheet: str = "", separator: str = ""
) -> Peek | None:
    """Return the first lines of a file, or None when nothing of it can be shown.

    Parameters
    ----------
    path, name
        Where the file lies, and what it was called.
    options
        What a person said about it.
    header_line, sheet, separator
        What was found out, if it was.
    """
    separator, line = options.separator or separator, options.header_line or header_line
    try:
        found = reader.survey(
            path,
            encoding=options.encoding,
            separators=[separator] if separator else list(SEPARATORS),
            is_workbook=Path(name).suffix.lower() in {".xlsx", ".xlsm"},
        )
    except FileRefused as refusal:
        return _without_encoding(path, separator, line) if refusal.rule.startswith("encoding") else None
    if "workbook" in found:
        return _of_workbook(found["workbook"], options.sheet or sheet, line)
    return _of_text(found["text"]["samples"], found["text"]["encoding"], line)


def _of_workbook(found: Mapping[str, Any], chosen: str, header_line: int) -> Peek | None:
    sheets = [sheet for sheet in found["sheets"] if sheet["visible"] and sheet["rows"]]
    if not sheets:
        return None
    sheet = next((each for each in sheets if each["name"] == chosen), sheets[0])
    names = tuple(each["name"] for each in sheets)
    lines = _first(sheet["rows"], header_line)
    return Peek(lines, header_line or _likely_header(lines), sheet=sheet["name"], sheets=names)


def _of_text(samples: Mapping[str, Sequence[Any]], encoding: str, header_line: int) -> Peek:
    tried = {each: _first(rows, header_line) for each, rows in samples.items()}
    best = max(tried, key=lambda each: sum(len(cells) > 1 for _line, cells in tried[each]))
    lines = tried[best]
    return Peek(lines, header_line or _likely_header(lines), encoding=encoding, separator=best)


def _first(rows: Sequence[Any], header_line: int) -> list[Line]:
    """Return the first rows that say something, from the header on when it stands further down."""
    found = [(line, list(cells)) for line, cells in rows if any(cells) and line >= header_line]
    return found[:MOST_LINES]


def _without_encoding(path: Path, separator: str, header_line: int) -> Peek | None:
    """Show what can be read of a text whose encoding was not found out; the rest is a mark."""
    with path.open("rb") as file:
        head = file.read(_READ)
    text = head.decode("utf-8", errors="replace").replace("\x00", "\N{REPLACEMENT CHARACTER}")
    if len(head) == _READ:
        text = text[: text.rfind("\n") + 1] or text
    return _of_text(
        {each: _records(text, each) for each in ([separator] if separator else SEPARATORS)}, "", header_line
    )


def _records(text: str, separator: str) -> list[Line]:
    lines: list[Line] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    ended = 0
    try:
        for cells in itertools.islice(reader, MOST_LINES):
            line, ended = ended + 1, reader.line_num
            if any(cells):
                lines.append((line, cells))
    except csv.Error:
        pass  # the lines before it are shown all the same
    return lines


def _likely_header(lines: Sequence[Line]) -> int:
    """Return the first line that has nearly as many texts as the widest one."""
    width = max((sum(map(bool, cells)) for _line, cells in lines), default=0)
    return next((line for line, cells in lines if sum(map(bool, cells)) * 4 >= width * 3), 0)
