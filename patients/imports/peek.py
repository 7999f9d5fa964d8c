"""A look at the first lines of a file, whatever they mean: so that a person can say what was not found out.

It never refuses. What it cannot show, it leaves away.
"""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from patients.imports import encodings, workbook
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
            [text[:LONGEST_SHOWN] for cells in below if at < len(cells) and (text := cells[at].strip())][
                :SHOWN_VALUES
            ]
            for at in range(len(headers))
        ]
        return {
            "headers": headers[:MOST_COLUMNS],
            "values": values[:MOST_COLUMNS],
            "header_line": self.header_line,
            "encoding": self.encoding,
            "separator": self.separator,
            "sheet": self.sheet,
            "sheets": list(self.sheets),
        }


def peek(
    path: Path, options: Options, *, header_line: int = 0, sheet: str = "", separator: str = ""
) -> Peek | None:
    """Return the first lines of a file, or None when nothing of it can be shown.

    Parameters
    ----------
    path
        Where the file lies.
    options
        What a person said about it.
    header_line, sheet, separator
        What was found out, if it was.
    """
    if workbook.is_workbook(path):
        return _of_workbook(path, options.sheet or sheet, header_line or options.header_line)
    return _of_text(path, options, options.separator or separator, header_line or options.header_line)


def _of_workbook(path: Path, chosen: str, header_line: int) -> Peek | None:
    try:
        workbook.check(path)
        sheets = workbook.sheets(path)
    except FileRefused:
        return None
    if not sheets:
        return None
    sheet = next((each for each in sheets if each.name == chosen), sheets[0])
    lines = [(number, cells) for number, cells in enumerate(sheet.rows, start=1) if any(cells)][:MOST_LINES]
    names = tuple(each.name for each in sheets)
    return Peek(lines, header_line or _likely_header(lines), sheet=sheet.name, sheets=names)


def _of_text(path: Path, options: Options, separator: str, header_line: int) -> Peek | None:
    with path.open("rb") as file:
        head = file.read(_READ)
    if not head:
        return None
    try:
        encoding = encodings.inspect(path, chosen=options.encoding).encoding
    except FileRefused:
        encoding = ""
    text = head.decode(encoding or "utf-8", errors="replace").replace("\x00", "\N{REPLACEMENT CHARACTER}")
    if len(head) == _READ:
        text = text[: text.rfind("\n") + 1] or text
    tried = {each: _records(text, each) for each in ([separator] if separator else SEPARATORS)}
    best = max(tried, key=lambda each: sum(len(cells) > 1 for _line, cells in tried[each]))
    lines = tried[best]
    return Peek(lines, header_line or _likely_header(lines), encoding=encoding, separator=best)


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
