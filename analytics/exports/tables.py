"""What a writer gets: one dataset of one moment, as exact rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from analytics.datasets import Column, Dataset, Kind

Record = tuple[str | None, ...]


def _no_rows() -> Iterable[tuple[Any, ...]]:
    return ()


@dataclass(frozen=True, slots=True)
class Table:
    """A dataset with everything that decides what is in its file.

    Parameters
    ----------
    dataset
        What to write.
    identified, population
        Which columns and whose rows.
    byte_order_mark
        For the formats where it means something.
    facts
        Study, revisions and the like, for formats that can carry them.
    rows
        Makes the rows of a dataset of results; a dataset with a query needs none.
    """

    dataset: Dataset
    identified: bool = False
    population: str = ""
    byte_order_mark: bool = True
    facts: dict[str, str] = field(default_factory=dict)
    rows: Callable[[], Iterable[tuple[Any, ...]]] = _no_rows

    @property
    def columns(self) -> tuple[Column, ...]:
        return self.dataset.shown(identified=self.identified)

    @property
    def query(self) -> str:
        """The SELECT without the quotes that only text files need against formulas."""
        return self._query(ordered=True)

    def _query(self, *, ordered: bool) -> str:
        return self.dataset.query(
            identified=self.identified, population=self.population, guarded=False, ordered=ordered
        )

    def records(self) -> Iterator[Record]:
        """Yield the rows as text, exactly as PostgreSQL writes each value; None where there is nothing.

        The connection is taken until the last row: whoever reads them asks the database nothing else.
        """
        if not self.dataset.source:
            for row in self.rows():
                yield tuple(None if value is None else str(value) for value in row)
            return
        with connection.cursor() as cursor, cursor.copy(f"COPY ({self.query}) TO STDOUT") as copy:
            yield from copy.rows()

    def count(self) -> int:
        """Return how many rows there will be."""
        if not self.dataset.source:
            return sum(1 for _row in self.rows())
        with connection.cursor() as cursor:
            cursor.execute(self.dataset.counting(population=self.population))
            return int(cursor.fetchone()[0])

    def places(self) -> dict[str, tuple[int, int]]:
        """Return digits before and after the point that each column of exact numbers needs."""
        exact = [column.name for column in self.columns if column.kind is Kind.NUMBER]
        if not self.dataset.source or not exact:
            return {}
        asked = ", ".join(
            f'max(length(trunc(abs(q."{name}"::numeric))::text)), max(scale(q."{name}"::numeric))'
            for name in exact
        )
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {asked} FROM ({self._query(ordered=False)}) q")  # noqa: S608 - only words of the declarations
            found = cursor.fetchone()
        return {name: (found[2 * place] or 1, found[2 * place + 1] or 0) for place, name in enumerate(exact)}

    def texts_longer_than(self, most: int) -> Iterator[tuple[str, str]]:
        """Yield the column and the text of each text with more than so many bytes of UTF-8."""
        names = [column.name for column in self.columns if column.kind is Kind.TEXT]
        if not names:
            return
        if self.dataset.source:
            texts = ", ".join(f'q."{name}"' for name in names)
            longer = " OR ".join(f'octet_length(q."{name}") > {most:d}' for name in names)
            query = f"SELECT {texts} FROM ({self._query(ordered=False)}) q WHERE {longer}"  # noqa: S608 - only words of the declarations
            with connection.cursor() as cursor:
                cursor.execute(query)
                rows = cursor.fetchall()
        else:
            places = [self.columns.index(column) for column in self.columns if column.name in names]
            rows = [tuple(row[place] for place in places) for row in self.rows()]
        for row in rows:
            for name, text in zip(names, row, strict=True):
                if text is not None and len(text.encode()) > most:
                    yield name, text
