"""Datasets in memory, for the formats of statistical packages: their library wants a whole frame.

That is why these formats have a cap, told before anything is written.
"""

from __future__ import annotations

import math
import sys
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.utils.translation import gettext as _

from analytics.datasets import Kind
from analytics.exports.formats import TooLarge
from analytics.exports.tables import Table

MOST_CELLS = 6_000_000
"""Rows times columns that are held at once: about half a gigabyte."""

_TYPES = {Kind.NUMBER: "float64", Kind.WHOLE: "float64", Kind.TIME: "datetime64[us]"}
NEAREST = "Numbers are the nearest double; the exact decimals are in the CSV and Parquet files."
NO_NULL = "Text has no missing value in this format: an empty text and no text are the same."


def check(table: Table) -> None:
    """Refuse what would not fit in memory.

    Raises
    ------
    TooLarge
        When the frame would be larger than the cap.
    """
    rows = table.count()
    if rows * len(table.columns) > MOST_CELLS:
        raise TooLarge(
            _(
                "%(dataset)s has %(rows)s rows of %(columns)s columns; this format is written in memory,"
                " and at most %(most)s cells fit. Choose CSV or Parquet, or one population."
            )
            % {
                "dataset": table.dataset.name, "rows": rows, "columns": len(table.columns), "most": MOST_CELLS,
            }
        )  # fmt: skip


def read(table: Table) -> dict[str, Any]:
    """Return the columns: doubles with NaN, days, moments, and text with "" where there is none."""
    import numpy as np

    columns = table.columns
    held: list[Any] = [array("d") if column.kind in {Kind.NUMBER, Kind.WHOLE} else [] for column in columns]
    adders = [_adder(column.kind, values) for column, values in zip(columns, held, strict=True)]
    for record in table.records():
        for add, text in zip(adders, record, strict=True):
            add(text)
    return {
        column.name: np.frombuffer(values, dtype=np.float64).copy()
        if isinstance(values, array) and values
        else values
        for column, values in zip(columns, held, strict=True)
    }


def _adder(kind: Kind, values: Any) -> Any:
    append = values.append
    if kind in {Kind.NUMBER, Kind.WHOLE}:
        return lambda text: append(float("nan") if text is None else float(text))
    if kind is Kind.DATE:
        return lambda text: append(None if text is None else date.fromisoformat(text))
    if kind is Kind.TIME:
        return lambda text: append(None if text is None else datetime.fromisoformat(text))
    if kind is Kind.CODE:
        return lambda text: append("" if text is None else sys.intern(text))
    return lambda text: append("" if text is None else text)


@dataclass(frozen=True, slots=True)
class Calendar:
    """How a package counts days: a number of ``unit`` for each, from the day that is 0."""

    day_zero: date
    unit: int = 1

    def numbers(self, days: Iterable[date | None]) -> list[float]:
        """Return days as the package counts them, NaN where there is none."""
        return [math.nan if day is None else float((day - self.day_zero).days * self.unit) for day in days]


def series(kind: Kind, values: Any, calendar: Calendar) -> Any:
    """Return a column of one type, also when there is no row.

    The library that writes looks at the first values of a column of objects only; a
    column of days that begins with thousands of empty cells would be taken for text.
    """
    import pandas as pd

    if kind is Kind.DATE:
        return pd.Series(calendar.numbers(values), dtype="float64")
    return pd.Series(values, dtype=_TYPES.get(kind, "object"))


def frame(table: Table, values: dict[str, Any], calendar: Calendar) -> Any:
    """Return a frame whose columns have one type each; days are numbers of the calendar."""
    import pandas as pd

    return pd.DataFrame(
        {column.name: series(column.kind, values[column.name], calendar) for column in table.columns}
    )


def longest(texts: Iterable[str]) -> int:
    """Return the most bytes of UTF-8 that one of the texts has."""
    return max((len(text.encode()) for text in texts), default=0)


def cut(text: str, most: int) -> str:
    """Return the beginning of a text that has at most so many bytes of UTF-8."""
    return text.encode()[:most].decode(errors="ignore")
