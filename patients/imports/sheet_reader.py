"""Reads a workbook in a process of its own and writes its rows as JSON lines.

Run as a script, never imported by the application: a hostile workbook may use
up memory or time, and then only this process ends. It imports nothing of the
project. ``peek`` lists the sheets with their first rows; ``rows SHEET`` writes
every row as ``[number, [cell, ...]]``.
"""

from __future__ import annotations

import json
import resource
import sys
from datetime import date, datetime, time, timedelta
from decimal import Decimal

MEMORY = 1 << 30
SECONDS = 120
PEEKED_ROWS = 60
SIGNIFICANT_DIGITS = ".15g"


def text_of(cell: object) -> str:
    """Return a cell as it would be written: exact numbers, ISO dates."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, float | int):
        # a spreadsheet keeps 15 digits; what is beyond is noise of binary fractions
        return f"{Decimal(format(cell, SIGNIFICANT_DIGITS)):f}"
    if isinstance(cell, datetime):
        return cell.date().isoformat() if cell.time() == time() else cell.isoformat(" ", "seconds")
    if isinstance(cell, date | time):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        return str(cell)
    return str(cell)


def main(arguments: list[str]) -> int:
    """Read the workbook named in the arguments."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    import python_calamine

    path, what = arguments[0], arguments[1]
    out = sys.stdout
    try:
        book = python_calamine.CalamineWorkbook.from_path(path)
        if what == "peek":
            visible = python_calamine.SheetVisibleEnum.Visible
            worksheet = python_calamine.SheetTypeEnum.WorkSheet
            sheets = []
            for meta in book.sheets_metadata:
                rows, shift = [], 0
                if meta.typ == worksheet and meta.visible == visible:
                    sheet = book.get_sheet_by_name(meta.name)
                    shift = sheet.start[1] if sheet.start else 0
                    for row in sheet.iter_rows():
                        rows.append([text_of(cell) for cell in row])
                        if len(rows) == PEEKED_ROWS:
                            break
                sheets.append(
                    {"name": meta.name, "visible": meta.visible == visible, "shift": shift, "rows": rows}
                )
            json.dump(sheets, out)
        else:
            dump = json.dumps
            for number, row in enumerate(book.get_sheet_by_name(arguments[2]).iter_rows(), start=1):
                out.write(dump([number, [text_of(cell) for cell in row]], ensure_ascii=False))
                out.write("\n")
    except python_calamine.CalamineError as error:
        print(error, file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    # pipes carry what the parent reads: UTF-8, whatever this machine's language is
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    sys.exit(main(sys.argv[1:]))
