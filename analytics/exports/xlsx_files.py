"""Datasets as Excel workbooks: text is text, numbers are numbers, dates are dates, nothing is a formula.

XlsxWriter writes row by row and keeps none. A number goes into a cell as the shortest
decimal that reads back as the same double; where even that is another decimal than
the stored one, the cell holds the exact decimal as text.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
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
        styles = {
            Kind.DATE: book.add_format({"num_format": _DATE_STYLE}),
            Kind.TIME: book.add_format({"num_format": _TIME_STYLE}),
        }
        bold = book.add_format({"bold": True, "bottom": 1})
        sheet = book.add_worksheet(table.dataset.name, _sheet_class())
        _head(sheet, table.columns, bold)
        rows = 0
        for rows, record in enumerate(table.records(), start=1):
            for place, (column, text) in enumerate(zip(table.columns, record, strict=True)):
                if text is not None:
                    _put(sheet, rows, place, column, text, styles)
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


def _sheet_class() -> type[Any]:
    from xlsxwriter.worksheet import Worksheet

    class ExactSheet(Worksheet):  # type: ignore[misc]
        """A sheet that keeps every digit of a double, and takes no text for markup."""

        def _xml_number_element(self, number: float, attributes: Any = ()) -> None:
            # the library writes 16 digits; a double may need 17
            told = "".join(f' {key}="{self._escape_attributes(value)}"' for key, value in attributes)
            self.fh.write(f"<c{told}><v>{number!r}</v></c>")

        def _xml_rich_inline_string(self, string: str, attributes: Any = ()) -> None:
            # a text that looks like the library's own markup is still only text
            self._xml_inline_string(string, True, attributes)

        @staticmethod
        def _escape_control_characters(data: str) -> str:
            escaped: str = Worksheet._escape_control_characters(data)
            return escaped.replace("\ufffe", "_xFFFE_").replace("\uffff", "_xFFFF_")

    return ExactSheet


def _head(sheet: Any, columns: tuple[Column, ...], bold: Any) -> None:
    for place, column in enumerate(columns):
        sheet.set_column(place, place, max(_WIDTHS[column.kind], len(column.name) + 3))
    for place, column in enumerate(columns):
        sheet.write_string(0, place, column.name, bold)
    sheet.freeze_panes(1, 0)


def _put(sheet: Any, row: int, place: int, column: Column, text: str, styles: dict[Kind, Any]) -> None:
    if column.kind is Kind.WHOLE:
        sheet.write_number(row, place, int(text))
    elif column.kind is Kind.NUMBER and (number := _same_double(text)) is not None:
        sheet.write_number(row, place, number)
    elif column.kind in styles and (serial := _serial(text)) is not None:
        sheet.write_number(row, place, serial, styles[column.kind])
    else:
        sheet.write_string(row, place, text)


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
    sheet = book.add_worksheet("columns", _sheet_class())
    sheet.set_column(0, 0, 24)
    sheet.set_column(1, 1, 14)
    sheet.set_column(2, 2, 70)
    for place, word in enumerate(("column", "kind", "label")):
        sheet.write_string(0, place, word, bold)
    for row, column in enumerate(table.columns, start=1):
        for place, word in enumerate((column.name, column.kind.value, column.label)):
            sheet.write_string(row, place, word)
    sheet.freeze_panes(1, 0)
