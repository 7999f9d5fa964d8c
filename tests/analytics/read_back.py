"""Read exported files back with other libraries than wrote them, and hold every cell to the database.

CSV: the standard library. Excel: openpyxl and calamine (neither is XlsxWriter). Stata and
SAS: pandas' own readers (ReadStat wrote). Parquet: polars' own reader (Arrow wrote). SPSS:
no second reader comes from the package index, so ReadStat reads here, and PSPP, which
shares nothing with it, where the machine has it.
"""

from __future__ import annotations

import csv
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from django.db import connection

from analytics.datasets import Column, Dataset, Kind
from analytics.exports import bundle, sas_files, spss_files, stata_files
from analytics.exports.asked import Asked

Rows = list[list[Any]]


def truth(dataset: Dataset, asked: Asked) -> Rows:
    """Return what the database answers itself, as Python has it: no text in between."""
    if not dataset.source:
        return [list(row) for row in bundle.table_of(dataset, asked).rows()]
    with connection.cursor() as cursor:
        cursor.execute(dataset.query(identified=asked.identified, population=asked.population, guarded=False))
        return [list(row) for row in cursor.fetchall()]


def plain(value: Any, kind: Kind) -> Any:
    """Return a value of the database as every format has to hold it: codes and truth as text."""
    if value is None or value == "":
        return None
    if kind in {Kind.CODE, Kind.TEXT}:
        return {True: "t", False: "f"}[value] if isinstance(value, bool) else str(value)
    return value


# --- one cell of each format, brought to the same words ------------------------------------


def of_csv(text: str, kind: Kind) -> Any:
    if text == "":
        return None
    if kind is Kind.TEXT and text.startswith("'") and text.lstrip("'")[:1] in tuple("=+-@\t\r"):
        return text[1:]
    read: dict[Kind, Callable[[str], Any]] = {
        Kind.NUMBER: Decimal,
        Kind.WHOLE: int,
        Kind.DATE: date.fromisoformat,
        Kind.TIME: datetime.fromisoformat,
    }
    return read.get(kind, str)(text)


def read_csv(path: Path, columns: Sequence[Column]) -> Rows:
    with path.open(encoding="utf-8-sig", newline="") as file:
        head, *rows = list(csv.reader(file))
    assert head == [column.name for column in columns]
    return [[of_csv(text, column.kind) for text, column in zip(row, columns, strict=True)] for row in rows]


def read_xlsx(path: Path, columns: Sequence[Column]) -> Rows:
    from openpyxl import load_workbook
    from openpyxl.utils.escape import unescape

    with ZipFile(path) as parts:
        sheet = parts.read("xl/worksheets/sheet1.xml")
    assert b"<f" not in sheet, "a formula"
    assert b'topLeftCell="A2"' in sheet, "the header stays in sight"
    # row by row: openpyxl takes minutes to hold a large sheet as a whole
    book = load_workbook(path, read_only=True)
    found = []
    for place, row in enumerate(book.worksheets[0].iter_rows(values_only=True)):
        values = [unescape(value) if isinstance(value, str) and "_x" in value else value for value in row]
        if place == 0:
            assert values == [column.name for column in columns]
        else:
            values += [None] * (len(columns) - len(values))
            found.append(
                [of_sheet(value, column.kind) for value, column in zip(values, columns, strict=True)]
            )
    book.close()
    return found


def of_sheet(value: Any, kind: Kind) -> Any:
    if value is None or value == "":
        return None
    if kind is Kind.NUMBER:
        return Decimal(value) if isinstance(value, str) else Decimal(repr(float(value)))
    if kind is Kind.DATE:
        return date.fromisoformat(value) if isinstance(value, str) else value.date()
    if kind is Kind.TIME:
        return datetime.fromisoformat(value) if isinstance(value, str) else value
    if kind is Kind.WHOLE:
        assert value == int(value)
        return int(value)
    assert isinstance(value, str), "text must be text"
    return value


def read_calamine(path: Path, columns: Sequence[Column]) -> Rows:
    from python_calamine import CalamineWorkbook

    head, *rows = CalamineWorkbook.from_path(path).get_sheet_by_index(0).to_python(skip_empty_area=False)
    assert head[: len(columns)] == [column.name for column in columns]
    return [
        [_of_calamine(value, column.kind) for value, column in zip(row, columns, strict=True)] for row in rows
    ]


def _of_calamine(value: Any, kind: Kind) -> Any:
    if kind is Kind.DATE and isinstance(value, date) and not isinstance(value, datetime):
        return value
    if isinstance(value, str):
        # the two letters that XML has no place for: calamine leaves their escape, Excel and openpyxl read it
        value = value.replace("_xFFFE_", "\ufffe").replace("_xFFFF_", "\uffff")
    return of_sheet(value, kind)


def read_parquet(path: Path, columns: Sequence[Column]) -> Rows:
    import polars as pl

    found = pl.read_parquet(path, use_pyarrow=False)
    assert found.columns == [column.name for column in columns]
    rows = []
    for row in found.iter_rows():
        values = [v.replace(tzinfo=None) if isinstance(v, datetime) else v for v in row]
        rows.append([None if value == "" else value for value in values])
    return rows


def _trimmed(value: Any) -> Any:
    if value is None or value != value:
        return None
    return value.rstrip(" ") or None if isinstance(value, str) else value


def read_sav(path: Path, columns: Sequence[Column]) -> Rows:
    import pyreadstat

    frame, _meta = pyreadstat.read_sav(path)
    return [
        [_of_frame(v, c.kind) for v, c in zip(row, columns, strict=True)]
        for row in frame.itertuples(index=False)
    ]


def read_pspp(path: Path, columns: Sequence[Column]) -> Rows:
    """Read what PSPP makes of the file: user-missing as nothing, moments to the second."""
    turned = path.with_suffix(".pspp.csv")
    subprocess.run(
        ["pspp-convert", "--recode", str(path), str(turned)], capture_output=True, check=True, timeout=120
    )
    with turned.open(encoding="utf-8", newline="") as file:
        head, *rows = list(csv.reader(file))
    assert head == list(spss_files.names_of(columns).values())
    return [[_of_pspp(text, c.kind) for text, c in zip(row, columns, strict=True)] for row in rows]


def _of_pspp(text: str, kind: Kind) -> Any:
    if kind in {Kind.TEXT, Kind.CODE}:
        return _trimmed(text) or None
    text = text.strip()
    if not text:
        return None
    if kind in {Kind.DATE, Kind.TIME}:  # written as 03/31/2026 17:05:59
        moment = datetime.fromisoformat(f"{text[6:10]}-{text[:2]}-{text[3:5]}{text[10:]}")
        return moment.date() if kind is Kind.DATE else moment
    return float(text) if kind is Kind.NUMBER else int(text)


def _of_frame(value: Any, kind: Kind) -> Any:
    value = _trimmed(value)
    if value is None or kind in {Kind.TEXT, Kind.CODE}:
        return value
    if kind is Kind.WHOLE:
        return int(value)
    if kind is Kind.TIME:
        return value.to_pydatetime() if hasattr(value, "to_pydatetime") else value
    if kind is Kind.DATE:
        return value.date() if isinstance(value, datetime) else value
    return value


def read_dta(path: Path, columns: Sequence[Column]) -> Rows:
    import pandas as pd

    frame = pd.read_stata(path, convert_categoricals=False)
    assert list(frame.columns) == [stata_files.name_of(column.name) for column in columns]
    return [
        [_of_frame(None if value is pd.NaT else value, c.kind) for value, c in zip(row, columns, strict=True)]
        for row in frame.itertuples(index=False)
    ]


def read_xpt(path: Path, columns: Sequence[Column]) -> Rows:
    import pandas as pd

    try:
        frame = pd.read_sas(path, format="xport", encoding="utf-8")
    except StopIteration:  # pandas has no word for a file without rows
        return []
    names = list(frame.columns)
    assert all(len(name) <= sas_files.LONGEST_NAME for name in names)
    assert len(set(names)) == len(names)
    rows: Rows = []
    starts = _starts(path, columns, names)
    for row in frame.itertuples(index=False):
        values = []
        for place, column in enumerate(columns):
            parts = [_trimmed(value) for value in row[starts[place] : starts[place + 1]]]
            value = "".join(part or "" for part in parts) or None if len(parts) > 1 else parts[0]
            values.append(_of_sas(value, column.kind))
        rows.append(values)
    return rows


def _starts(path: Path, columns: Sequence[Column], names: list[str]) -> list[int]:
    """Return where each column begins among the variables: a long text has several."""
    with path.open("rb") as file:
        labels = file.read(320 + 80 * (4 + 2 * len(names)) + 140 * len(names))
    further = [place for place in range(len(names)) if b", part " in _label(labels, place)]
    starts = [place for place in range(len(names)) if place not in further]
    assert len(starts) == len(columns)
    return [*starts, len(names)]


def _label(header: bytes, place: int) -> bytes:
    # a description of a variable is 140 bytes, its label the 40 bytes after 16
    begin = header.index(b"HEADER RECORD*******NAMESTR") + 80 + 140 * place
    return header[begin + 16 : begin + 56]


def _of_sas(value: Any, kind: Kind) -> Any:
    if value is None:
        return None
    if kind in {Kind.NUMBER, Kind.WHOLE} and abs(value) < sas_files.SMALLEST * 1.01:
        return 0  # how pandas reads eight bytes of zero
    if kind is Kind.WHOLE:
        return int(value)
    if kind is Kind.DATE:
        return (
            date(1960, 1, 1) + timedelta(days=int(value)) if not isinstance(value, datetime) else value.date()
        )
    if kind is Kind.TIME:
        return datetime(1960, 1, 1) + timedelta(seconds=value) if not isinstance(value, datetime) else value
    return value


HAS_PSPP = shutil.which("pspp-convert") is not None
READERS: dict[str, list[Callable[[Path, Sequence[Column]], Rows]]] = {
    "csv": [read_csv],
    "xlsx": [read_xlsx, read_calamine],
    "sav": [read_sav, read_pspp] if HAS_PSPP else [read_sav],
    "dta": [read_dta],
    "xpt": [read_xpt],
    "parquet": [read_parquet],
}
IN_DOUBLES = frozenset({"sav", "dta", "xpt"})
WITHOUT_TRAILING_SPACES = frozenset({"sav", "xpt"})


def all_differences(
    path: Path, dataset: Dataset, wanted: Rows, form: str, *, identified: bool
) -> Iterable[str]:
    """Yield what any reader of a format finds that is not the same."""
    columns = dataset.shown(identified=identified)
    for reader in READERS[form]:
        had = with_short_line_ends(wanted) if reader is read_pspp else wanted
        for what in differences(reader(path, columns), had, columns, form):
            yield f"{form} {dataset.name} {reader.__name__}: {what}"


def with_short_line_ends(rows: Rows) -> Rows:
    """Return the rows as PSPP writes them on: it shortens the two letters of a line end to one."""
    return [[v.replace("\r\n", "\n") if isinstance(v, str) else v for v in row] for row in rows]


def differences(found: Rows, wanted: Rows, columns: Sequence[Column], form: str) -> Iterable[str]:
    """Yield what is not the same, cell by cell."""
    return unlike(found, in_words_of(form, wanted, columns), columns, form)


def in_words_of(form: str, wanted: Rows, columns: Sequence[Column]) -> Rows:
    """Return rows of the database as a format has to hold them."""
    in_doubles = form in IN_DOUBLES

    def word(value: Any, kind: Kind) -> Any:
        value = plain(value, kind)
        if in_doubles and isinstance(value, str):
            return value.rstrip(" ") or None
        return float(value) if in_doubles and isinstance(value, Decimal) else value

    kinds = [column.kind for column in columns]
    return [[word(value, kind) for value, kind in zip(row, kinds, strict=True)] for row in wanted]


def unlike(found: Rows, wanted: Rows, columns: Sequence[Column], form: str) -> Iterable[str]:
    """Yield what is not the same as rows that :func:`in_words_of` returned."""
    if len(found) != len(wanted):
        yield f"{len(found)} rows instead of {len(wanted)}"
    for place, (here, there) in enumerate(zip(found, wanted, strict=False)):
        if here == there:
            continue
        for column, got, want in zip(columns, here, there, strict=True):
            if not _same(got, want, column.kind, form):
                yield f"row {place}, {column.name}: {got!r} instead of {want!r}"


def _same(got: Any, want: Any, kind: Kind, form: str) -> bool:
    if got is None or want is None:
        return got is want
    if kind is Kind.NUMBER:
        if form in IN_DOUBLES:
            tiny = form == "xpt" and abs(float(want)) < sas_files.SMALLEST
            return float(got) == (0.0 if tiny else float(want))
        if isinstance(got, float):  # results are doubles, kept as such
            return got == float(want)
        return Decimal(got) == Decimal(str(want))
    if kind is Kind.TIME:
        # binary formats count seconds or days in doubles
        if form == "sav" and not got.microsecond:
            want = want.replace(microsecond=0)  # PSPP writes no parts of a second
        return bool(abs(got - want) <= timedelta(microseconds=0 if form in {"csv", "parquet"} else 1000))
    return bool(got == want)
