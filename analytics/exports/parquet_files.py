"""Datasets as Parquet: exact decimals, typed columns, codes as dictionaries; written in pieces.

PostgreSQL writes the rows, Arrow reads each piece of a few megabytes, and the piece
is gone before the next one comes.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.db import connection

from analytics.datasets import Column, Kind
from analytics.exports.code_lists import labels_of
from analytics.exports.formats import Wrote
from analytics.exports.tables import Table

PIECE = 4 * 2**20
"""Bytes of CSV that are held at once; they become about as many bytes of Arrow."""
MOST_DIGITS = 38
"""What decimal128 holds."""
NOT_EXACT = "Numbers with more than 38 digits stand as text: {names}."


def write(table: Table, path: Path) -> Wrote:
    """Write one dataset as a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    fields = _fields(table)
    schema = pa.schema(list(fields.values()), metadata=_facts(table))
    too_long = [
        column.name
        for column in table.columns
        if column.kind is Kind.NUMBER and pa.types.is_string(fields[column.name].type)
    ]
    rows = 0
    with pq.ParquetWriter(path, schema, compression="zstd", version="2.6") as writer:
        for piece in _pieces(table):
            batch = _read(piece, fields)
            writer.write_table(batch)
            rows += batch.num_rows
    notes = (NOT_EXACT.format(names=", ".join(too_long)),) if too_long else ()
    return Wrote(rows, tuple(fields), notes)


def _facts(table: Table) -> dict[str, str]:
    return {"dataset": table.dataset.name, "holds": table.dataset.grain, **table.facts}


def _fields(table: Table) -> dict[str, Any]:
    import pyarrow as pa

    places = table.places()
    return {
        column.name: pa.field(column.name, _type(column, places), metadata=_metadata(table, column))
        for column in table.columns
    }


def _metadata(table: Table, column: Column) -> dict[str, str]:
    told = {"label": column.label, "kind": column.kind.value}
    if labels := labels_of(table.dataset, column):
        told["values"] = json.dumps(dict(labels), ensure_ascii=False)
    return told


def _type(column: Column, places: dict[str, tuple[int, int]]) -> Any:
    import pyarrow as pa

    if column.kind is Kind.NUMBER:
        if column.name not in places:
            return pa.float64()  # results are computed in doubles
        whole, fraction = places[column.name]
        exact = whole + fraction <= MOST_DIGITS
        return pa.decimal128(max(whole + fraction, 1), fraction) if exact else pa.string()
    return {
        Kind.TEXT: pa.string(),
        Kind.CODE: pa.dictionary(pa.int32(), pa.string()),
        Kind.WHOLE: pa.int64(),
        Kind.DATE: pa.date32(),
        Kind.TIME: pa.timestamp("us", tz="UTC" if column.is_utc else None),
    }[column.kind]


def _read(piece: bytes, fields: dict[str, Any]) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.csv as pcsv

    zoned = [name for name, field in fields.items() if pa.types.is_timestamp(field.type) and field.type.tz]
    types = {name: pa.timestamp("us") if name in zoned else field.type for name, field in fields.items()}
    found = pcsv.read_csv(
        pa.BufferReader(piece),
        # no threads: a small piece gains nothing, and memory stays that of one piece
        read_options=pcsv.ReadOptions(
            column_names=list(fields), use_threads=False, block_size=2 * len(piece) + 1
        ),
        parse_options=pcsv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        convert_options=pcsv.ConvertOptions(
            column_types=types,
            null_values=[""],
            strings_can_be_null=True,
            # COPY quotes an empty text and leaves out what is not there
            quoted_strings_can_be_null=False,
        ),
    )
    for name in zoned:
        place = found.schema.get_field_index(name)
        found = found.set_column(place, name, pc.assume_timezone(found.column(name), "UTC"))
    return found.cast(pa.schema(list(fields.values())))


def _pieces(table: Table) -> Iterator[bytes]:
    """Yield the rows as CSV without a header, cut between rows."""
    held: list[bytes] = []
    size = 0
    for line in _lines(table):
        held.append(line)
        size += len(line)
        if size >= PIECE:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


def _lines(table: Table) -> Iterator[bytes]:
    if table.dataset.source:
        with (
            connection.cursor() as cursor,
            cursor.copy(f"COPY ({table.query}) TO STDOUT (FORMAT csv)") as copy,
        ):
            for line in copy:
                yield bytes(line)
        return
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for row in table.rows():
        writer.writerow(row)
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()
