"""Datasets for Stata: labels, reasons for missing values as .a, .b and so on, long text as strL."""

from __future__ import annotations

import string
from datetime import date
from pathlib import Path
from typing import Any

from analytics.datasets import Kind
from analytics.exports import whole_frames
from analytics.exports.code_lists import MISSING, reason_of
from analytics.exports.formats import Wrote
from analytics.exports.tables import Table
from analytics.exports.whole_frames import check

__all__ = ["check", "write"]

CALENDAR = whole_frames.Calendar(date(1960, 1, 1))
VERSION = 15
"""Format 119 or less, which Stata 14 and newer reads: UTF-8, strL."""
LETTERS = dict(zip(MISSING, string.ascii_lowercase, strict=False))
"""Reason to the letter of Stata's extended missing value."""
LONGEST_LABEL = 80
LONGEST_NAME = 32
_RESERVED = frozenset({"byte", "double", "float", "if", "in", "int", "long", "str", "strL", "using", "with"})
REASONS_SAID = (
    "Values missing for a reason are {letters}, labelled; the reason also stands in its own variable."
)
CODES_ARE_TEXT = "Codes stay text, because Stata labels numbers only; the codebook says what they mean."


def name_of(name: str) -> str:
    """Return a name Stata takes."""
    kept = name[:LONGEST_NAME]
    return f"{kept[: LONGEST_NAME - 1]}_" if kept in _RESERVED else kept


def write(table: Table, path: Path) -> Wrote:
    """Write one dataset as a .dta file."""
    import pyreadstat

    columns = table.columns
    frame = whole_frames.frame(table, whole_frames.read(table), CALENDAR)
    reasons = reason_of(columns)
    for name, why in reasons.items():
        coded = frame[why].map(LETTERS)
        kept = frame[name].astype(object)
        frame[name] = kept.where(frame[name].notna() | coded.isna(), coded)
    used = {name: sorted({letter for letter in frame[name] if isinstance(letter, str)}) for name in reasons}
    used = {name: letters for name, letters in used.items() if letters}
    names = {column.name: name_of(column.name) for column in columns}
    words: dict[str, str] = {letter: MISSING[code] for code, letter in LETTERS.items()}
    # a letter stands for an extended missing value, though the library's types say number
    labels: dict[str, Any] = {
        names[name]: {letter: words[letter] for letter in letters} for name, letters in used.items()
    }
    pyreadstat.write_dta(
        frame.rename(columns=names),
        path,
        file_label=whole_frames.cut(table.dataset.grain, LONGEST_LABEL),
        column_labels={names[c.name]: whole_frames.cut(c.label, LONGEST_LABEL) for c in columns},
        version=VERSION,
        variable_value_labels=labels,
        missing_user_values={names[name]: letters for name, letters in used.items()},
        variable_format={names[c.name]: "%td" for c in columns if c.kind is Kind.DATE},
    )
    notes = [whole_frames.NEAREST, whole_frames.NO_NULL, CODES_ARE_TEXT]
    if reasons:
        told = ", ".join(f".{letter} {words[letter]}" for letter in LETTERS.values())
        notes.append(REASONS_SAID.format(letters=told))
    return Wrote(len(frame), tuple(names.values()), tuple(notes))
