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
        return self.dataset.query(identified=self.identified, population=self.population, guarded=False)

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
            cursor.execute(f"SELECT {asked} FROM ({self.query}) q")  # noqa: S608 - only words of the declarations
            found = cursor.fetchone()
        return {name: (found[2 * place] or 1, found[2 * place + 1] or 0) for place, name in enumerate(exact)}
