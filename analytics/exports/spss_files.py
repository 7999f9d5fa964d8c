"""Datasets as SPSS system files: labels of variables and values, reasons as user-missing values.

A laboratory value that is missing for a known reason holds a negative code that the
file declares as user-missing, so that SPSS counts the reasons and leaves them out
of every statistic; the column of reasons stands beside it as everywhere else.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

from analytics.datasets import Column, Kind
from analytics.exports import whole_frames
from analytics.exports.code_lists import MISSING, labels_of, reason_of
from analytics.exports.formats import TooLarge, Wrote
from analytics.exports.tables import Table

CALENDAR = whole_frames.Calendar(date(1582, 10, 14), unit=24 * 60 * 60)
LONGEST_TEXT = 32_767
LONGEST_LABEL = 255
LONGEST_VALUE_LABEL = 120
FIRST_CODE = -901
CODES = {code: FIRST_CODE - place for place, code in enumerate(MISSING)}
"""Reason to user-missing value; no analyte of the panel can be negative."""
_RESERVED = frozenset({"ALL", "AND", "BY", "EQ", "GE", "GT", "LE", "LT", "NE", "NOT", "OR", "TO", "WITH"})
_MEASURES = {Kind.NUMBER: "scale", Kind.WHOLE: "scale", Kind.DATE: "scale", Kind.TIME: "scale"}
_ORDINAL = frozenset({"week", "week_from", "week_to", "grade", "number", "ascites", "encephalopathy"})
REASONS_SAID = "Values missing for a reason hold {lowest} to {highest}, declared user-missing and labelled."
TRIMMED = "Spaces at the end of a text are not kept."


def check(table: Table) -> None:
    """Refuse what the format cannot hold.

    Raises
    ------
    TooLarge
        When the frame would not fit in memory, or a text not into a variable.
    """
    whole_frames.check(table)
    for name, _text in table.texts_longer_than(LONGEST_TEXT):
        raise TooLarge(
            _(
                "%(dataset)s, %(column)s: a text is longer than SPSS holds (%(most)s bytes). Choose CSV or Parquet."
            )
            % {"dataset": table.dataset.name, "column": name, "most": LONGEST_TEXT}
        )


def write(table: Table, path: Path) -> Wrote:
    """Write one dataset as a .sav file."""
    import pyreadstat

    values = whole_frames.read(table)
    columns = table.columns
    frame = whole_frames.frame(table, values, CALENDAR)
    labels: dict[str, dict[Any, str]] = {
        name: {code: whole_frames.cut(label, LONGEST_VALUE_LABEL) for code, label in found.items()}
        for column in columns
        if (found := labels_of(table.dataset, column))
        for name in (column.name,)
    }
    reasons = reason_of(columns)
    for name, why in reasons.items():
        coded = frame[why].map(CODES)
        frame[name] = frame[name].where(frame[name].notna() | coded.isna(), coded)
        labels[name] = {float(CODES[code]): label for code, label in MISSING.items()}
    lowest, highest = min(CODES.values()), max(CODES.values())
    names = names_of(columns)
    pyreadstat.write_sav(
        frame.rename(columns=names),
        path,
        file_label=whole_frames.cut(table.dataset.grain, 64),
        column_labels={names[c.name]: whole_frames.cut(c.label, LONGEST_LABEL) for c in columns},
        variable_value_labels={names[name]: found for name, found in labels.items()},
        missing_ranges={names[name]: [{"lo": lowest, "hi": highest}] for name in reasons},
        variable_measure={
            names[c.name]: "ordinal" if c.name in _ORDINAL else _MEASURES.get(c.kind, "nominal")
            for c in columns
        },
        variable_format=_formats(table, names),
        row_compress=True,
        note=[f"{name}: {fact}"[:80] for name, fact in table.facts.items()],
    )
    notes = [whole_frames.NEAREST, whole_frames.NO_NULL, TRIMMED]
    if reasons:
        notes.append(REASONS_SAID.format(lowest=lowest, highest=highest))
    return Wrote(len(frame), tuple(names.values()), tuple(notes))


def names_of(columns: Iterable[Column]) -> dict[str, str]:
    """Return the name of each column in the file: words of SPSS's own language get a line at their end."""
    return {
        column.name: f"{column.name}_" if column.name.upper() in _RESERVED else column.name
        for column in columns
    }


def _formats(table: Table, names: dict[str, str]) -> dict[str, str]:
    """Return how SPSS shows the numbers: with all their decimals, days as they are written elsewhere."""
    places = table.places()
    shown = {}
    for column in table.columns:
        if column.kind is Kind.NUMBER:
            shown[names[column.name]] = f"F16.{min(places.get(column.name, (0, 6))[1], 10)}"
        elif column.kind is Kind.WHOLE:
            shown[names[column.name]] = "F8.0"
        elif column.kind is Kind.DATE:
            shown[names[column.name]] = "SDATE10"
    return shown
