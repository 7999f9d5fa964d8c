"""Datasets as CDISC Dataset-JSON 1.1: one file per dataset, exact decimals as text.

The rows go to a file of their own first: what stands before them in the format, their
number and the length of each column, is known only after them. Memory stays constant.

References
----------
CDISC, Dataset-JSON Specification 1.1.0.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from analytics.datasets import Column, Kind
from analytics.exports import cdisc
from analytics.exports.formats import Wrote
from analytics.exports.tables import Table

VERSION = "1.1.0"
Value = str | int | None

TYPES: dict[Kind, dict[str, str]] = {
    Kind.TEXT: {"dataType": "string"},
    Kind.CODE: {"dataType": "string"},
    Kind.NUMBER: {"dataType": "decimal", "targetDataType": "decimal"},
    Kind.WHOLE: {"dataType": "integer"},
    Kind.DATE: {"dataType": "date"},
    Kind.TIME: {"dataType": "datetime"},
}
"""How a column is declared, by how it reads."""


def write(table: Table, path: Path) -> Wrote:
    """Write a dataset as one JSON object, its rows one a line.

    Parameters
    ----------
    table
        What to write.
    path
        The file; replaced when it exists.
    """
    return _write(table, path, begin='"rows":[\n', between=",\n", end="\n]}\n")


def write_lines(table: Table, path: Path) -> Wrote:
    """Write a dataset as NDJSON: what describes it in the first line, then a row in each."""
    return _write(table, path, begin="", between="\n", end="\n")


def _write(table: Table, path: Path, *, begin: str, between: str, end: str) -> Wrote:
    columns = table.columns
    read = [_reader(column) for column in columns]
    lengths = [1] * len(columns)
    rows = 0
    with TemporaryFile("w+", encoding="utf-8", newline="", dir=path.parent) as spool:
        for record in table.records():
            values = [
                None if text is None else as_value(text) for text, as_value in zip(record, read, strict=True)
            ]
            for place, value in enumerate(values):
                if isinstance(value, str) and len(value) > lengths[place]:
                    lengths[place] = len(value)
            spool.write((between if rows else "") + _json(values))
            rows += 1
        head = _json(_described(table, rows, lengths))
        spool.seek(0)
        with path.open("w", encoding="utf-8", newline="") as file:
            # the object of the description stays open for its rows; as lines it is one of them
            file.write(head[:-1] + "," + begin if begin else head + ("\n" if rows else ""))
            shutil.copyfileobj(spool, file)
            file.write(end)
    return Wrote(rows, tuple(column.name for column in columns))


def _described(table: Table, rows: int, lengths: list[int]) -> dict[str, Any]:
    dataset, made_at = table.dataset, cdisc.made_at()
    keys = [name for name in cdisc.KEYS.get(dataset.name, ()) if name in {c.name for c in table.columns}]
    columns = []
    for column, length in zip(table.columns, lengths, strict=True):
        declared: dict[str, Any] = {
            "itemOID": cdisc.item_oid(dataset, column),
            "name": column.name,
            "label": column.label,
            **TYPES[column.kind],
        }
        if declared["dataType"] == "string":
            declared["length"] = length
        if column.name in keys:
            declared["keySequence"] = keys.index(column.name) + 1
        columns.append(declared)
    return {
        "datasetJSONCreationDateTime": made_at,
        "datasetJSONVersion": VERSION,
        "fileOID": f"{cdisc.STUDY_OID}.{dataset.name.upper()}.{made_at}",
        "dbLastModifiedDateTime": made_at,
        "originator": cdisc.originator(),
        "sourceSystem": {"name": cdisc.SYSTEM, "version": cdisc.system_version()},
        "studyOID": cdisc.STUDY_OID,
        "metaDataVersionOID": cdisc.VERSION_OID,
        "itemGroupOID": cdisc.item_group_oid(dataset),
        "records": rows,
        "name": dataset.name,
        "label": dataset.grain,
        "columns": columns,
    }


def _reader(column: Column) -> Callable[[str], Value]:
    match column.kind:
        case Kind.WHOLE:
            return int
        case Kind.NUMBER:
            return _plain
        case Kind.TIME:
            return lambda text: cdisc.iso(Kind.TIME, text)
        case _:
            return str


def _plain(text: str) -> str:
    """Return a number without an exponent, its value unchanged."""
    return text if "e" not in text and "E" not in text else f"{Decimal(text):f}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
