"""A file as a table: its header found, its columns recognised, its manner shown.

Nothing is assumed in silence: encoding, separator, header line, decimal sign
and order of dates are facts of the file that the preview and the report show.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from patients.imports import encodings, workbook
from patients.imports.cells import Manner
from patients.imports.columns import Column, Meaning, Role, letter_of, recognise, recognised
from patients.imports.options import DateOrder, Options
from patients.imports.problems import FileRefused, packed
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


Row = tuple[int, list[str]]

SEPARATORS: Mapping[str, str] = {",": _("comma"), ";": _("semicolon"), "\t": _("tab"), "|": _("bar")}
MEND_LINE, MEND_WHY = "line", "why refused"
"""Columns that a file of rows to mend has behind its own; they are ours and say nothing of the study."""
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "'")
"""Characters with which a cell must not begin where a spreadsheet may open it; the mark itself is one of them."""
_SAMPLED_CHARACTERS = 512 * 1024
_SAMPLED_ROWS = 2000
_HEADER_WITHIN = 40
_COMMA_NUMBER = re.compile(r"[<>\u2264\u2265\uff1c\uff1e]? *[0-9]+,([0-9]+)( *[^\d\s].*)?")
_POINT_NUMBER = re.compile(r"[<>\u2264\u2265\uff1c\uff1e]? *[0-9]+\.[0-9]+( *[^\d\s].*)?")
_YEAR_LAST = re.compile(r"\s*([0-9]{1,2})([-/.])([0-9]{1,2})\2([0-9]{4})(?![0-9]).*")


@dataclass(frozen=True, slots=True)
class Layout:
    """What a kind of import looks for in a file."""

    meanings: Mapping[str, Meaning]
    required: tuple[str, ...]
    dates: frozenset[str]
    numbers: frozenset[str]


@dataclass(slots=True)
class Facts:
    """The file as it was read."""

    name: str
    sha256: str
    size: int
    encoding: str = ""
    encoding_how: str = ""
    separator: str = ""
    newline: str = ""
    sheet: str = ""
    header_line: int = 0
    expected_rows: int = 0
    rows: int = 0
    decimal_comma: bool = False
    dates: str = ""
    columns: list[dict[str, str]] = field(default_factory=list)
    ignored: list[dict[str, str]] = field(default_factory=list)
    notices: list[Sentence] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return the facts as the report holds them."""
        stored = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "notices"}
        return {**stored, "notices": [packed(notice) for notice in self.notices]}


@dataclass(slots=True)
class Table:
    """A file opened as a table; :attr:`rows` reads it from the start each time."""

    facts: Facts
    columns: list[Column | None]
    manner: Manner
    width: int
    rows: Callable[[], Iterator[Row]]
    headers: tuple[str, ...] = ()

    @property
    def own(self) -> frozenset[int]:
        """Where the columns stand that rows to mend have of ours."""
        return _own(self.headers)

    def of(self, role: Role, code: str) -> Column | None:
        """Return the column that holds something, if there is one."""
        return next((c for c in self.columns if c and c.role is role and c.code == code), None)


def open_table(path: Path, name: str, layout: Layout, options: Options) -> Table:
    """Open a CSV file or a workbook.

    Parameters
    ----------
    path, name
        Where the file lies, and what it was called.
    layout
        What the kind of import looks for.
    options
        What a person said about the file.

    Raises
    ------
    FileRefused
        If the file cannot be read without guessing.
    """
    if workbook.is_workbook(path):
        return _open_workbook(path, name, layout, options)
    return _open_text(path, name, layout, options)


# --- text files -----------------------------------------------------------------------------


def _open_text(path: Path, name: str, layout: Layout, options: Options) -> Table:
    found = encodings.inspect(path, chosen=options.encoding)
    with path.open(encoding=found.encoding, newline="") as file:
        sample = file.read(_SAMPLED_CHARACTERS)
    if len(sample) == _SAMPLED_CHARACTERS:
        sample = sample[: max(sample.rfind("\n"), sample.rfind("\r")) + 1] or sample
    separators = [options.separator] if options.separator else list(SEPARATORS)
    sampled = {separator: _records(sample, separator) for separator in separators}
    place = _find_header(list(sampled.items()), layout, options)
    separator, index = place
    rows = sampled[separator]
    line, headers = rows[index]
    facts = Facts(
        name=name,
        sha256=found.sha256,
        size=found.size,
        encoding=found.label,
        encoding_how=found.how,
        separator=separator,
        newline=found.newline,
        header_line=line,
        expected_rows=max(0, found.newlines - line),
    )
    if index:
        facts.notices.append(
            Sentence(_("The header stands in line %(line)s; what is above it was not read."), {"line": line})
        )

    def read() -> Iterator[Row]:
        with path.open(encoding=found.encoding, newline="") as file:
            yield from _numbered(csv.reader(file, delimiter=separator, strict=True), skip=index + 1)

    return _table(facts, headers, rows[index + 1 :], layout, options, read)


def _records(sample: str, separator: str) -> list[Row]:
    records: list[Row] = []
    try:
        for row in _numbered(csv.reader(io.StringIO(sample, newline=""), delimiter=separator)):
            records.append(row)
            if len(records) > _SAMPLED_ROWS:
                break
    except FileRefused:
        pass  # reading for real meets it again, and says where
    return records


def _numbered(reader: Any, skip: int = 0) -> Iterator[Row]:
    """Yield the line on which each record begins, and its fields; empty lines are left out."""
    ended, seen = 0, 0
    try:
        for cells in reader:
            line, ended = ended + 1, reader.line_num
            if not cells or not any(cells):
                continue
            seen += 1
            if seen > skip:
                yield line, cells
    except csv.Error as error:
        raise FileRefused(
            "csv",
            Sentence(
                _("The record that begins in line %(line)s cannot be read: %(error)s."),
                {"line": ended + 1, "error": str(error)},
            ),
            Sentence(_("Look for a quotation mark that is not closed, and export the file again.")),
            lines=[ended + 1],
        ) from None


# --- workbooks ------------------------------------------------------------------------------


def _open_workbook(path: Path, name: str, layout: Layout, options: Options) -> Table:
    digest, size = digest_of(path)
    workbook.check(path)
    sheets = workbook.sheets(path)
    if options.sheet:
        sheets = [sheet for sheet in sheets if sheet.name == options.sheet]
    if not sheets:
        raise FileRefused(
            "no_sheet",
            Sentence(_("The workbook has no sheet to read.")),
            Sentence(_("Choose a visible sheet with a header row.")),
        )
    named = {sheet.name: sheet for sheet in sheets}
    sampled = {
        sheet.name: [(number, cells) for number, cells in enumerate(sheet.rows, start=1) if any(cells)]
        for sheet in sheets
    }
    chosen, index = _find_header(list(sampled.items()), layout, options)
    line, headers = sampled[chosen][index]
    facts = Facts(name=name, sha256=digest, size=size, sheet=chosen, header_line=line)
    if index:
        facts.notices.append(
            Sentence(_("The header stands in line %(line)s; what is above it was not read."), {"line": line})
        )
    others = [sheet for sheet in named if sheet != chosen]
    if others:
        facts.notices.append(
            Sentence(
                _("Only the sheet “%(sheet)s” was read, not %(others)s."),
                {"sheet": chosen, "others": ", ".join(others)},
            )
        )

    def read() -> Iterator[Row]:
        for number, cells in workbook.rows(path, chosen):
            if number > line and any(cells):
                yield number, cells

    return _table(facts, headers, sampled[chosen][index + 1 :], layout, options, read, in_workbook=True)


def digest_of(path: Path) -> tuple[str, int]:
    """Return SHA-256 and size of a file, read in blocks."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    return digest.hexdigest(), path.stat().st_size


# --- both -----------------------------------------------------------------------------------


def _find_header(
    candidates: Sequence[tuple[str, list[Row]]], layout: Layout, options: Options
) -> tuple[str, int]:
    """Return under which separator (or sheet) and at which record most columns are recognised."""
    best: tuple[int, str, int] | None = None
    for key, rows in candidates:
        for index, (line, cells) in enumerate(rows[: max(_HEADER_WITHIN, options.header_line)]):
            if options.header_line and line != options.header_line:
                continue
            score = len(recognised(cells, layout.meanings, options))
            if score and (best is None or score > best[0]):
                best = (score, key, index)
    names = ", ".join(layout.required)
    if best is None:
        raise FileRefused(
            "no_header",
            Sentence(_("No header row was found in the first %(lines)s lines."), {"lines": _HEADER_WITHIN}),
            Sentence(
                _("Give the file a row with the names of its columns, at least %(names)s."), {"names": names}
            ),
        )
    _score, key, index = best
    line, cells = dict(candidates)[key][index]
    missing = [code for code in layout.required if code not in recognised(cells, layout.meanings, options)]
    if missing:
        raise FileRefused(
            "column_missing",
            Sentence(
                _("Line %(line)s looks like the header, but no column of it is %(missing)s."),
                {"line": line, "missing": ", ".join(missing)},
            ),
            Sentence(
                _("It holds: %(headers)s. Rename or map the column that is meant."),
                {"headers": ", ".join(cell for cell in cells if cell)[:300]},
            ),
            lines=[line],
            columns=missing,
        )
    return key, index


def _table(
    facts: Facts,
    headers: list[str],
    sample: list[Row],
    layout: Layout,
    options: Options,
    read: Callable[[], Iterator[Row]],
    *,
    in_workbook: bool = False,
) -> Table:
    while headers and not headers[-1].strip():
        headers = headers[:-1]
    columns = recognise(headers, layout.meanings, options)
    own = _own(headers)
    if own:
        read = _as_it_was(read)
    comma = not in_workbook and facts.separator != "," and _decimal_comma(columns, sample, layout)
    dates = (
        options.dates or _said_in(headers, own) or _date_order(columns, sample, layout, dotted_is_day=comma)
    )
    facts.decimal_comma, facts.dates = comma, dates.value if dates else ""
    for position, (header, column) in enumerate(zip(headers, columns, strict=True)):
        entry = {"letter": letter_of(position), "header": header}
        if column is None and position in own:
            continue
        if column is None:
            facts.ignored.append(entry)
        else:
            facts.columns.append(
                {**entry, "role": column.role.value, "field": column.code, "unit": column.unit}
            )
    if facts.ignored:
        facts.notices.append(
            Sentence(
                _("Not stored, because the study has no such field: %(headers)s."),
                {"headers": ", ".join(entry["header"] or entry["letter"] for entry in facts.ignored)},
            )
        )
    return Table(
        facts,
        columns,
        Manner(comma, dates, serial_days=in_workbook or bool(own)),
        len(headers),
        read,
        tuple(headers),
    )


def _own(headers: Sequence[str]) -> frozenset[int]:
    """Return the places of our two columns; one of them alone is a column of the file."""
    line = [at for at, header in enumerate(headers) if header.strip() == MEND_LINE]
    why = [at for at, header in enumerate(headers) if header.strip().startswith(MEND_WHY)]
    return frozenset((line[-1], why[-1])) if line and why else frozenset()


def _said_in(headers: Sequence[str], own: frozenset[int]) -> DateOrder | None:
    """Return the order of dates that the file had from which the rows to mend were taken."""
    for at in own:
        for order in DateOrder:
            if headers[at].strip() == mend_header(order):
                return order
    return None


def mend_header(dates: DateOrder | None) -> str:
    """Return the header of the reasons in a file of rows to mend; it keeps what a few rows cannot prove.

    Examples
    --------
    >>> mend_header(DateOrder.DAY_FIRST)
    'why refused, dates day_first'
    """
    return f"{MEND_WHY}, dates {dates.value}" if dates else MEND_WHY


def harmless(text: str) -> str:
    """Return a cell that no spreadsheet takes for a formula: a quotation mark in front, where one is needed."""
    if not text.startswith(FORMULA_STARTS):
        return text
    if text[0] in "+-" and text[1:2] and text[1] in "0123456789." and not text[1:].strip("0123456789.,"):
        return text
    return f"'{text}"


def _as_it_was(read: Callable[[], Iterator[Row]]) -> Callable[[], Iterator[Row]]:
    """Take the quotation marks off again that :func:`harmless` set."""

    def again() -> Iterator[Row]:
        for line, cells in read():
            yield (
                line,
                [cell[1:] if cell[:1] == "'" and harmless(cell[1:]) == cell else cell for cell in cells],
            )

    return again


def _cells(columns: Iterable[Column | None], sample: list[Row], codes: frozenset[str]) -> Iterator[str]:
    places = [
        column.position
        for column in columns
        if column and (column.role is Role.VALUE or (column.role is Role.FIELD and column.code in codes))
    ]
    for _line, cells in sample:
        for place in places:
            if place < len(cells):
                yield cells[place].strip()


def _decimal_comma(columns: list[Column | None], sample: list[Row], layout: Layout) -> bool:
    """Whether the file writes decimals with a comma: some number does, none has a point.

    Three digits behind every comma could be thousands, so they prove nothing.
    """
    proven = False
    for text in _cells(columns, sample, layout.numbers):
        if _POINT_NUMBER.fullmatch(text):
            return False
        if found := _COMMA_NUMBER.fullmatch(text):
            proven = proven or len(found[1]) != 3
    return proven


def _date_order(
    columns: list[Column | None], sample: list[Row], layout: Layout, *, dotted_is_day: bool
) -> DateOrder | None:
    """Which part of a date comes first, if the file itself proves it.

    A first part beyond 12 is a day. Where decimals have a comma, dates with
    points have the day first. Anything else stays open.
    """
    days, months, dotted, others = 0, 0, 0, 0
    only_dates = [c for c in columns if c and c.role is Role.FIELD and c.code in layout.dates]
    for text in _cells(only_dates, sample, layout.dates):
        if found := _YEAR_LAST.fullmatch(text):
            days += int(found[1]) > 12
            months += int(found[3]) > 12
            dotted += found[2] == "."
            others += found[2] != "."
    if bool(days) != bool(months):
        return DateOrder.DAY_FIRST if days else DateOrder.MONTH_FIRST
    if dotted and not others and not months and dotted_is_day:
        return DateOrder.DAY_FIRST
    return None
