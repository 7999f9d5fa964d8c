"""Datasets as CSV: PostgreSQL writes the rows, nothing is held in memory."""

from __future__ import annotations

import csv
import io
from codecs import BOM_UTF8
from collections.abc import Generator, Iterable, Iterator
from typing import Any

from django.db import connection

from analytics.datasets import Column, Dataset, Kind
from analytics.declarations import without_formula

ROWS_PER_CHUNK = 500


def chunks(
    dataset: Dataset, *, identified: bool, population: str = "", rows: Iterable[Any] = ()
) -> Generator[bytes, None, None]:
    """Yield a dataset as UTF-8 CSV, header first, lines ending in CR LF as RFC 4180 has it.

    Parameters
    ----------
    dataset
        What to write.
    identified
        Dates and free text instead of study days.
    population
        Keep the subjects of one population; empty keeps all.
    rows
        The rows of a dataset that is made from results instead of a query.
    """
    columns = dataset.shown(identified=identified)
    yield _lines([[column.name for column in columns]])
    if not dataset.source:
        yield from _written(columns, rows)
        return
    query = dataset.query(identified=identified, population=population)
    with connection.cursor() as cursor, cursor.copy(f"COPY ({query}) TO STDOUT WITH (FORMAT csv)") as copy:
        lines: list[bytes] = []
        for line in copy:
            # PostgreSQL ends lines with LF; a quoted LF inside a value stays what it was
            lines.append(_with_crlf(bytes(line)))
            if len(lines) == ROWS_PER_CHUNK:
                yield b"".join(lines)
                lines = []
        yield b"".join(lines)


def _written(columns: tuple[Column, ...], rows: Iterable[Any]) -> Iterator[bytes]:
    texts = [place for place, column in enumerate(columns) if column.kind is Kind.TEXT]
    block: list[list[Any]] = []
    for row in rows:
        values = list(row)
        for place in texts:
            if values[place]:
                values[place] = without_formula(values[place])
        block.append(values)
        if len(block) == ROWS_PER_CHUNK:
            yield _lines(block)
            block = []
    if block:
        yield _lines(block)


def _lines(rows: Iterable[Iterable[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()


def _with_crlf(line: bytes) -> bytes:
    # psycopg hands over one row of COPY at a time, so the last byte is the line's end
    return line[:-1] + b"\r\n" if line.endswith(b"\n") else line


def with_byte_order_mark(blocks: Iterable[bytes]) -> Generator[bytes, None, None]:
    """Put in front what tells a spreadsheet that the file is UTF-8."""
    yield BOM_UTF8
    yield from blocks
