"""Datasets as Excel workbooks: text is text, numbers are numbers, dates are dates, nothing is a formula.

XlsxWriter writes row by row and keeps none. Most cells say what another one said, so what
stands in a cell is made once and remembered for a while; the library would make each anew.
A number goes into a cell as the shortest decimal that reads back as the same double; where
even that is another decimal than the stored one, the cell holds the exact decimal as text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

from analytics.datasets import Column, Kind
from analytics.exports.formats import TooLarge, Wrote
from analytics.exports.tables import Table

MOST_ROWS = 1_048_576 - 1
"""Rows of a sheet, without the header."""
LONGEST_TEXT = 32_767
"""UTF-16 units of a cell."""
_EPOCH = date(1899, 12, 30)
_FIRST_DAY = date(1900, 3, 1)
"""Spreadsheets have a 29 February 1900 that never was; earlier days would be off by one."""
_MADE_AT = datetime(1980, 1, 1)  # noqa: DTZ001 - a property of the file, always the same
_WIDTHS = {Kind.TEXT: 40, Kind.CODE: 12, Kind.NUMBER: 12, Kind.WHOLE: 9, Kind.DATE: 11, Kind.TIME: 20}
_DATE_STYLE, _TIME_STYLE = "yyyy-mm-dd", "yyyy-mm-dd hh:mm:ss"
REMEMBERED = 10_000
"""Contents of cells that are remembered, of each kind: a few megabytes."""
KEPT_AS_TEXT = "Decimals that no double equals stand as text cells."
EMPTY_IS_EMPTY = "An empty text and no text are both an empty cell."


def write(table: Table, path: Path) -> Wrote:
    """Write one dataset as a workbook: its rows, and a second sheet that says what the columns are."""
    from xlsxwriter import Workbook

    book = Workbook(path, {"constant_memory": True, "tmpdir": str(path.parent)})
    try:
        book.set_properties(
            {"title": table.dataset.name, "comments": table.facts.get("study", ""), "created": _MADE_AT}
        )
        bold = book.add_format({"bold": True, "bottom": 1})
        sheet = book.add_worksheet(table.dataset.name, _sheet_class(len(table.columns)))
        _head(sheet, table.columns, bold)
        makers = _makers(book, sheet, table.columns)
        rows = 0
        for rows, record in enumerate(table.records(), start=1):
            sheet.put(
                rows,
                [None if text is None else make(text) for make, text in zip(makers, record, strict=True)],
            )
        sheet.autofilter(0, 0, rows, len(table.columns) - 1)
        _columns_sheet(book, table, bold)
    finally:
        book.close()
    return Wrote(rows, tuple(column.name for column in table.columns), (KEPT_AS_TEXT, EMPTY_IS_EMPTY))


def check(table: Table) -> None:
    """Refuse what a sheet cannot hold.

    Raises
    ------
    TooLarge
        For more rows than a sheet has, or a text longer than a cell takes.
    """
    if (rows := table.count()) > MOST_ROWS:
        raise TooLarge(
            _(
                "%(dataset)s has %(rows)s rows; a sheet of Excel holds %(most)s."
                " Choose CSV or Parquet, or one population."
            )
            % {"dataset": table.dataset.name, "rows": rows, "most": MOST_ROWS}
        )
    for name, text in table.texts_longer_than(LONGEST_TEXT):
        if len(text.encode("utf-16-le")) // 2 > LONGEST_TEXT:
            raise TooLarge(
                _(
                    "%(dataset)s, %(column)s: a text is longer than a cell of Excel holds"
                    " (%(most)s characters). Choose CSV or Parquet."
                )
                % {"dataset": table.dataset.name, "column": name, "most": LONGEST_TEXT}
            )


def _sheet_class(columns: int) -> type[Any]:
    from xlsxwriter.utility import xl_col_to_name
    from xlsxwriter.worksheet import Worksheet

    letters = [xl_col_to_name(place) for place in range(columns)]

    class RowSheet(Worksheet):  # type: ignore[misc]
        """A sheet that takes a row at a time, of cells whose content is made already."""

        def put(self, row: int, cells: Sequence[str | None]) -> None:
            """Write a row; the rows come in their order."""
            self._check_dimensions(row, len(cells) - 1)
            self._write_single_row(row)  # the row before this one
            # all cells of the row stand for its first: one call of the library writes them
            number = row + 1
            self.table[row][0] = "".join(
                [
                    f'<c r="{name}{number}"{cell}</c>'
                    for name, cell in zip(letters, cells, strict=True)
                    if cell
                ]
            )

        def _write_cell(self, row: int, col: int, cell: Any) -> None:
            if isinstance(cell, str):
                self.fh.write(cell)
            else:
                super()._write_cell(row, col, cell)

        def text(self, text: str) -> str:
            """Return what a cell of text holds; a text that looks like the library's own markup is still only text."""
            escaped = self._escape_data(self._escape_control_characters(text))
            space = ' xml:space="preserve"' if escaped != escaped.strip() else ""
            return f' t="inlineStr"><is><t{space}>{escaped}</t></is>'

    return RowSheet


def _head(sheet: Any, columns: tuple[Column, ...], bold: Any) -> None:
    for place, column in enumerate(columns):
        sheet.set_column(place, place, max(_WIDTHS[column.kind], len(column.name) + 3))
    for place, column in enumerate(columns):
        sheet.write_string(0, place, column.name, bold)
    sheet.freeze_panes(1, 0)


def _makers(book: Any, sheet: Any, columns: Sequence[Column]) -> list[Callable[[str], str]]:
    """Return what makes the content of a cell of each column from the text of the database."""

    def number(text: str) -> str:
        same = _same_double(text)
        return sheet.text(text) if same is None else f"><v>{same!r}</v>"

    def dated(style: str) -> Callable[[str], str]:
        index = book.add_format({"num_format": style})._get_xf_index()

        def content(text: str) -> str:
            serial = _serial(text)
            return sheet.text(text) if serial is None else f' s="{index}"><v>{serial!r}</v>'

        return content

    made: dict[Kind, Callable[[str], str]] = {
        Kind.TEXT: sheet.text,  # long, and seldom twice
        Kind.CODE: lru_cache(REMEMBERED)(sheet.text),
        Kind.NUMBER: lru_cache(REMEMBERED)(number),
        Kind.WHOLE: lambda text: f"><v>{int(text)}</v>",
        Kind.DATE: lru_cache(REMEMBERED)(dated(_DATE_STYLE)),
        Kind.TIME: lru_cache(REMEMBERED)(dated(_TIME_STYLE)),
    }
    return [made[column.kind] for column in columns]


def _same_double(text: str) -> float | None:
    """Return the double that is written as the same decimal, or None when there is none."""
    number = float(text)
    if number - number != 0:  # not a number, or infinite: no spreadsheet has those
        return None
    return number if Decimal(repr(number)) == Decimal(text) else None


def _serial(text: str) -> float | int | None:
    """Return a day or a moment as spreadsheets count it, or None before they can."""
    moment = datetime.fromisoformat(text)
    if moment.date() < _FIRST_DAY:
        return None
    days = (moment.date() - _EPOCH).days
    seconds = moment.hour * 3600 + moment.minute * 60 + moment.second + moment.microsecond / 1e6
    return days + seconds / 86400 if seconds else days


def _columns_sheet(book: Any, table: Table, bold: Any) -> None:
    sheet = book.add_worksheet("columns")
    sheet.set_column(0, 0, 24)
    sheet.set_column(1, 1, 14)
    sheet.set_column(2, 2, 70)
    for place, word in enumerate(("column", "kind", "label")):
        sheet.write_string(0, place, word, bold)
    for row, column in enumerate(table.columns, start=1):
        for place, word in enumerate((column.name, column.kind.value, column.label)):
            sheet.write_string(row, place, word)
    sheet.freeze_panes(1, 0)
