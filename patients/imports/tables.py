"""A file as a table: its header found, its columns recognised, its manner shown.

Nothing is assumed in silence: encoding, separator, header line, decimal sign
and order of dates are facts of the file that the preview and the report show.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from patients.imports import identifiers, reader, sheets
from patients.imports.cells import Manner, NotRead
from patients.imports.columns import (
    Column,
    Meaning,
    Role,
    letter_of,
    plain,
    recognise,
    recognised,
)
from patients.imports.deidentified import refuse_deidentified
from patients.imports.options import IGNORED, DateOrder, Options
from patients.imports.problems import FileRefused, packed
from patients.imports.reader import Plan, Reader
from patients.imports.second_lines import read_units, refuse_units_apart
from patients.imports.side_by_side import (
    refuse_columns_in_one_cell,
    refuse_infusions_side_by_side,
    refuse_table_on_its_side,
    refuse_visits_side_by_side,
)
from trial import protocol
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
_ELEVEN_DIGITS = Decimal(13_000_000_000)
_LOOKED_AT_FOR_IDENTIFIERS = 300
_HEADER_WITHIN = 40
_WEEK, _NUMBER = "week", "number"
_COMMA_NUMBER = re.compile(r"[<>\u2264\u2265\uff1c\uff1e]? *[0-9]+,([0-9]+)( *[^\d\s].*)?")
_POINT_NUMBER = re.compile(r"[<>\u2264\u2265\uff1c\uff1e]? *[0-9]+\.[0-9]+( *[^\d\s].*)?")
_THOUSANDS = re.compile(r"[0-9]{1,3}(\.[0-9]{3}){2,}( *[^\d\s].*)?")
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
    headers: tuple[str, ...]
    plan: Plan
    not_read: NotRead = field(default_factory=NotRead)

    @property
    def own(self) -> frozenset[int]:
        """Where the columns stand that rows to mend have of ours."""
        return own_columns(self.headers)

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
    separators = [options.separator] if options.separator else list(SEPARATORS)
    surveyor = Reader()
    found = reader.survey(
        path,
        encoding=options.encoding,
        separators=separators,
        is_workbook=Path(name).suffix.lower() in {".xlsx", ".xlsm"},
        by=surveyor,
    )
    digest, size = digest_of(path)
    facts = Facts(name=name, sha256=digest, size=size)
    if "workbook" in found:
        table = _open_workbook(path, facts, found["workbook"], layout, options)
    else:
        table = _open_text(path, facts, found["text"], layout, options)
    table.plan.surveyor = surveyor
    return table


def digest_of(path: Path) -> tuple[str, int]:
    """Return SHA-256 and size of a file, read in blocks."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    return digest.hexdigest(), path.stat().st_size


def _open_text(path: Path, facts: Facts, found: Mapping[str, Any], layout: Layout, options: Options) -> Table:
    sampled = {key: [(line, cells) for line, cells in rows] for key, rows in found["samples"].items()}
    separator, index = _find_header(list(sampled.items()), layout, options)
    rows = sampled[separator]
    line, headers = rows[index]
    facts.encoding, facts.encoding_how = found["label"], found["how"]
    facts.separator, facts.newline, facts.header_line = separator, found["newline"], line
    facts.expected_rows = max(0, found["newlines"] - line)
    _say_what_is_above(facts, index)
    plan = Plan(path, encoding=found["encoding"], separator=separator, header_line=line)
    return _table(facts, headers, rows[index + 1 :], layout, options, plan, above=rows[:index])


def _open_workbook(
    path: Path, facts: Facts, found: Mapping[str, Any], layout: Layout, options: Options
) -> Table:
    sheet, index = sheets.chosen(found, options, lambda sampled: _find_header(sampled, layout, options))
    line, headers = sheet["rows"][index]
    facts.sheet, facts.header_line, facts.expected_rows = sheet["name"], line, max(0, sheet["count"] - line)
    _say_what_is_above(facts, index)
    facts.notices += sheets.notices(found, sheet, line)
    plan = Plan(path, sheet=sheet["name"], header_line=line)
    above, sample = sheet["rows"][:index], sheet["rows"][index + 1 :]
    table = _table(facts, headers, sample, layout, options, plan, above=above, in_workbook=True)
    table.manner = replace(table.manner, days_from_1904=found["days_from_1904"])
    sheets.refuse_merged_values(sheet, line, table.columns, layout.numbers)
    return table


def _say_what_is_above(facts: Facts, index: int) -> None:
    if index:
        facts.notices.append(
            Sentence(
                _("The header stands in line %(line)s; what is above it was not read."),
                {"line": facts.header_line},
            )
        )


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

    def named(cells: Sequence[str]) -> set[str]:
        return recognised(cells, layout.meanings, options)

    if best is None:
        first = [row for _key, rows in candidates for row in rows[:_HEADER_WITHIN]]
        if _WEEK in layout.required:
            refuse_visits_side_by_side(first)
        refuse_columns_in_one_cell(first, named)
        raise FileRefused(
            "no_header",
            Sentence(_("No header row was found in the first %(lines)s lines."), {"lines": _HEADER_WITHIN}),
            Sentence(
                _("Give the file a row with the names of its columns, at least %(names)s."), {"names": names}
            ),
        )
    _score, key, index = best
    line, cells = dict(candidates)[key][index]
    missing = [code for code in layout.required if code not in named(cells)]
    if missing:
        refuse_deidentified(cells)
        first = dict(candidates)[key][:_HEADER_WITHIN]
        if _WEEK in missing:
            refuse_visits_side_by_side(first)
        if _NUMBER in missing:
            refuse_infusions_side_by_side(line, cells)
        if len(named(cells)) == 1:
            refuse_table_on_its_side(first, named)
            refuse_columns_in_one_cell(first, named)
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
    plan: Plan,
    *,
    above: list[Row],
    in_workbook: bool = False,
) -> Table:
    while headers and not headers[-1].strip():
        headers = headers[:-1]
    columns = recognise(headers, layout.meanings, options)
    refuse_units_apart([*above[-2:], *sample[:2]], columns, layout.meanings)
    line_of_units, columns = read_units(sample[:2], columns, layout.meanings)
    own = own_columns(headers)
    plan.headers, plan.left_out = headers, left_out(headers, options)
    plan.numbers = [
        c.position
        for c in columns
        if c and (_reaches_eleven_digits(c.code) if c.role is Role.VALUE else c.code in layout.numbers)
    ]
    _refuse_identifiers(plan, columns, sample, own)

    def read() -> Iterator[Row]:
        return (row for row in reader.rows(plan) if row[0] != line_of_units)

    if line_of_units:
        facts.notices.append(
            Sentence(_("Line %(line)s holds the units of the columns."), {"line": line_of_units})
        )
    if own:
        read = _as_it_was(read)
    comma = not in_workbook and facts.separator != "," and _decimal_comma(columns, sample, layout)
    in_doubt = not in_workbook and not comma and _points_in_doubt(columns, sample, layout)
    dates = (
        options.dates or _said_in(headers, own) or _date_order(columns, sample, layout, dotted_is_day=comma)
    )
    facts.decimal_comma, facts.dates = comma, dates.value if dates else ""
    for position, (header, column) in enumerate(zip(headers, columns, strict=True)):
        entry = {"letter": letter_of(position), "header": header}
        if column is None and (position in own or not _says_anything(header, position, sample)):
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
        Manner(comma, dates, serial_days=in_workbook or bool(own), points_in_doubt=in_doubt),
        len(headers),
        read,
        tuple(headers),
        plan,
    )


def _reaches_eleven_digits(code: str) -> bool:
    """Whether eleven digits can be a result, as of a virus load; elsewhere they are a phone number."""
    return protocol.ANALYTES[code].hard.holds(_ELEVEN_DIGITS)


def _says_anything(header: str, position: int, sample: list[Row]) -> bool:
    return bool(header.strip()) or any(
        position < len(cells) and cells[position].strip() for _line, cells in sample
    )


def _refuse_identifiers(
    plan: Plan, columns: Sequence[Column | None], sample: list[Row], own: frozenset[int]
) -> None:
    """Refuse a file with columns of direct identifiers, all of them by name, unless they are left out."""
    strange = [
        position
        for position, column in enumerate(columns)
        if column is None and position not in own and position not in plan.left_out
    ]
    found = {
        position: sort for position in strange if (sort := identifiers.sort_of_header(plan.headers[position]))
    }
    watch = identifiers.Watch(plan.numbers, plan.left_out)
    rows = [(line, list(cells)) for line, cells in sample[:_LOOKED_AT_FOR_IDENTIFIERS]]
    subjects = [column.position for column in columns if column and column.code == "subject_id"]
    people = [place for place in strange if not identifiers.names_staff(plan.headers[place])] + subjects
    found = identifiers.columns_of_names(rows, people) | found
    for line, cells in rows:
        watch.count(cells[: len(columns)])
        watch.look(line, cells)
    found = watch.columns() | found
    if found:
        raise identifiers.refusal([(*plan.named(place), sort) for place, sort in sorted(found.items())])


def left_out(headers: Sequence[str], options: Options) -> list[int]:
    """Return the places of the columns that a person left out of the import."""
    by_header = {plain(header) for header, code in options.columns.items() if code == IGNORED}
    return [
        position
        for position, header in enumerate(headers)
        if (
            options.places[letter_of(position)] == IGNORED
            if letter_of(position) in options.places
            else plain(header) in by_header
        )
    ]


def own_columns(headers: Sequence[str]) -> frozenset[int]:
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


def _points_in_doubt(columns: list[Column | None], sample: list[Row], layout: Layout) -> bool:
    """Whether some number of the file shows that a point with three digits behind it may stand for thousands."""
    return any(
        _THOUSANDS.fullmatch(text) or ((comma := _COMMA_NUMBER.fullmatch(text)) and len(comma[1]) != 3)
        for text in _cells(columns, sample, layout.numbers)
    )


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
