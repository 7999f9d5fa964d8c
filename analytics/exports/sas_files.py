"""Datasets as SAS transport files, version 5: the one that authorities ask for and every package reads.

Version 5 has names of 8 letters, labels of 40 bytes and text of 200 bytes. A longer text
goes into as many variables as it needs, so that nothing is cut; the manifest tells
which variable holds which column.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any, Literal

from analytics.datasets import Kind
from analytics.exports import whole_frames
from analytics.exports.formats import Wrote
from analytics.exports.tables import Table
from analytics.exports.whole_frames import check

__all__ = ["check", "write"]

CALENDAR = whole_frames.Calendar(date(1960, 1, 1))
VERSION: Literal[5] = 5
LONGEST_NAME = 8
LONGEST_LABEL = 40
LONGEST_TEXT = 200
BLOCK = 80
SMALLEST = 16.0**-65
"""The smallest number above 0 that the format has (IBM's hexadecimal floating point)."""
PIECES_SAID = "Text longer than 200 bytes goes on in the next variables: {names}."
RANGE_SAID = "A number closer to 0 than 5.4e-79 stands as 0."
TRIMMED = "Spaces at the end of a text are not kept. Text is UTF-8."


def names_of(columns: Iterable[str]) -> dict[str, str]:
    """Return a name of at most 8 letters for each column, all different, the same every time."""
    names: dict[str, str] = {}
    for column in columns:
        plain = column.upper().replace("_COMPARATOR", "_CMP").replace("_MISSING", "_MIS")
        plain = plain.replace("_", "") if len(plain) > LONGEST_NAME else plain
        name, number = plain[:LONGEST_NAME], 1
        if plain.endswith(("CMP", "MIS")) and len(plain) > LONGEST_NAME:
            name = plain[: LONGEST_NAME - 3] + plain[-3:]
        while name in names.values():
            number += 1
            name = f"{plain[: LONGEST_NAME - len(str(number))]}{number}"
        names[column] = name
    return names


def pieces(text: str) -> list[str]:
    """Return a text in pieces of at most 200 bytes, none in the middle of a letter or before a space.

    A space at the end of a piece would be lost, so it begins the next one.
    """
    found = []
    while len(text.encode()) > LONGEST_TEXT:
        piece = whole_frames.cut(text, LONGEST_TEXT)
        piece = piece.rstrip(" ") or piece
        found.append(piece)
        text = text[len(piece) :]
    return [*found, text]


def write(table: Table, path: Path) -> Wrote:
    """Write one dataset as an .xpt file."""
    import pandas as pd
    import pyreadstat

    columns = table.columns
    values = whole_frames.read(table)
    parts = {
        column.name: _in_pieces(values.pop(column.name)) for column in columns if column.kind is Kind.TEXT
    }
    wanted: list[tuple[str, str]] = []
    for column in columns:
        further = range(2, len(parts.get(column.name, [""])) + 1)
        wanted += [(column.name, column.label)]
        for n in further:
            part = f", part {n}"
            wanted += [
                (f"{column.name}{n}", whole_frames.cut(column.label, LONGEST_LABEL - len(part)) + part)
            ]
    names = names_of(name for name, _label in wanted)
    held: dict[str, Any] = {}
    for column in columns:
        if column.name in parts:
            for place, piece in enumerate(parts[column.name], start=1):
                key = column.name if place == 1 else f"{column.name}{place}"
                held[names[key]] = pd.Series(piece, dtype="object")
        elif column.kind in {Kind.NUMBER, Kind.WHOLE}:
            numbers = pd.Series(values[column.name], dtype="float64")
            held[names[column.name]] = numbers.where(~(numbers.abs() < SMALLEST), 0.0)
        else:
            held[names[column.name]] = whole_frames.series(column.kind, values[column.name], CALENDAR)
    frame = pd.DataFrame(held)
    _widen(frame)
    pyreadstat.write_xport(
        frame,
        path,
        file_label=whole_frames.cut(table.dataset.grain, LONGEST_LABEL),
        column_labels={names[name]: whole_frames.cut(label, LONGEST_LABEL) for name, label in wanted},
        table_name=names_of([table.dataset.name])[table.dataset.name],
        file_format_version=VERSION,
        variable_format={
            names[c.name]: "E8601DA10." if c.kind is Kind.DATE else "E8601DT26.6"
            for c in columns
            if c.kind in {Kind.DATE, Kind.TIME}
        },
    )
    notes = [whole_frames.NEAREST, RANGE_SAID, whole_frames.NO_NULL, TRIMMED]
    if longer := [name for name, found in parts.items() if len(found) > 1]:
        notes.append(PIECES_SAID.format(names=", ".join(longer)))
    return Wrote(len(frame), tuple(names[column.name] for column in columns), tuple(notes))


def _widen(frame: Any) -> None:
    """Make a row longer than a block of the format, with spaces that mean nothing after a text.

    The file does not say how many rows it has; readers tell from its length, and with
    rows shorter than a block some of them take the blank end of the last one for none.
    """
    texts = [name for name in frame if frame[name].dtype == object]
    if frame.empty or not texts:
        return
    width = sum(max(whole_frames.longest(frame[name]), 1) if name in texts else 8 for name in frame)
    if width <= BLOCK:
        first = frame[texts[0]]
        most = max(whole_frames.longest(first), 1)
        pad = most + BLOCK + 1 - width - len(first.iloc[0].encode())
        frame.loc[frame.index[0], texts[0]] = first.iloc[0] + " " * pad


def _in_pieces(texts: list[str]) -> list[list[str]]:
    """Return as many lists as the longest text has pieces."""
    found = [[""] * len(texts)]
    for row, text in enumerate(texts):
        for place, piece in enumerate(pieces(text)):
            if place == len(found):
                found.append([""] * len(texts))
            found[place][row] = piece
    return found
