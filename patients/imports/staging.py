"""Rows on their way into the study: read in blocks, copied into temporary tables.

A block of rows is turned into COPY text and sent, so that memory stays the same
for any length of file. The tables live for one import on one connection.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from patients.imports.problems import Problem, packed, unpacked
from trial.sentences import Sentence
from trial.typed import Unreadable

ROWS_PER_BLOCK = 5000
PROBLEMS_PER_PAGE = 10_000

PROBLEMS = "import_problem"
_PROBLEM_COLUMNS = (
    "line integer, field text, value text, rule text, sentence jsonb, remedy jsonb, by_check boolean"
)

_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
NULL = "\\N"


def copied(value: object) -> str:
    """Return a value as COPY text."""
    return NULL if value is None else str(value).translate(_ESCAPES)


@dataclass(slots=True)
class Stage:
    """The temporary tables of one import, and the rows waiting to be copied into them.

    ``tables`` maps a table to its columns as SQL; both are words of this
    software, never of a file.
    """

    tables: Mapping[str, str]
    waiting: dict[str, list[str]] = field(default_factory=dict)
    rows: int = 0

    def open(self) -> None:
        """Create the tables."""
        with connection.cursor() as cursor:
            for name, columns in {PROBLEMS: _PROBLEM_COLUMNS, **self.tables}.items():
                cursor.execute(f"DROP TABLE IF EXISTS pg_temp.{name} CASCADE")
                cursor.execute(f"CREATE TEMPORARY TABLE {name} ({columns})")
                self.waiting[name] = []

    def drop(self, more: Iterable[str] = ()) -> None:
        """Remove the tables and those made from them."""
        with connection.cursor() as cursor:
            for name in (*more, *self.tables, PROBLEMS):
                cursor.execute(f"DROP TABLE IF EXISTS pg_temp.{name} CASCADE")

    def refuse(self, problem: Problem) -> None:
        """Note why a row is refused."""
        columns = (
            str(problem.line),
            copied(problem.column),
            copied(problem.value),
            problem.rule,
            copied(json.dumps(packed(problem.sentence), ensure_ascii=False)),
            copied(json.dumps(packed(problem.remedy), ensure_ascii=False)),
            "f",
        )
        self.waiting[PROBLEMS].append("\t".join(columns) + "\n")

    def refuse_cell(self, line: int, column: str, text: str, refusal: Unreadable) -> None:
        """Note that a cell cannot be read."""
        self.refuse(Problem(line, column, text, refusal.rule, refusal.sentence, refusal.remedy))

    def flush(self) -> None:
        """Send what waits."""
        with connection.cursor() as cursor:
            for name, lines in self.waiting.items():
                if lines:
                    with cursor.copy(f"COPY {name} FROM STDIN") as copy:
                        copy.write("".join(lines))
                    lines.clear()

    def settle(self) -> None:
        """Send the rest and let the planner look at the tables."""
        self.flush()
        with connection.cursor() as cursor:
            for name in (*self.tables, PROBLEMS):
                cursor.execute(f"ANALYZE {name}")


def problems(most: int | None = None) -> Iterator[Problem]:
    """Yield why rows are refused, in the order of the file, in pages: a million fit in memory."""
    page, last, sent = PROBLEMS_PER_PAGE, -1, 0
    query = (
        f"SELECT line, field, value, rule, sentence, remedy FROM {PROBLEMS} WHERE line > %s"
        " ORDER BY line, field, rule LIMIT %s"
    )
    with connection.cursor() as cursor:
        while most is None or sent < most:
            size = page if most is None else min(page, most - sent)
            cursor.execute(query, [last, size])
            rows = cursor.fetchall()
            if most is None and len(rows) == size:
                # the last line may go on in the next page
                rows = [row for row in rows if row[0] != rows[-1][0]] or rows
            for line, column, value, rule, sentence, remedy in rows:
                yield Problem(line, column, value, rule, unpacked(_json(sentence)), unpacked(_json(remedy)))
            sent += len(rows)
            if len(rows) == 0 or most is not None:
                return
            last = rows[-1][0]


def _json(stored: Any) -> Mapping[str, Any]:
    loaded: Mapping[str, Any] = json.loads(stored) if isinstance(stored, str) else stored
    return loaded


def refuse_where(
    source: str,
    parameters: Mapping[str, Any],
    *,
    rule: str,
    column: str,
    value: str,
    sentence: Sentence,
    remedy: Sentence,
    gaps: Mapping[str, str] | None = None,
) -> int:
    """Refuse the rows that a query finds.

    Parameters
    ----------
    source
        FROM and WHERE of the query; ``s`` is the staged table.
    parameters
        Values of the query.
    rule, column, value
        Rule code, header, and the SQL of what the file says there.
    sentence, remedy
        What is wrong and how to mend it, with the values that are the same for all rows.
    gaps
        SQL for the values of the sentence that differ from row to row.

    Returns
    -------
    int
        How many rows it found.
    """
    filled = "".join(f", '{name}', {sql}" for name, sql in (gaps or {}).items())
    query = (
        f"INSERT INTO {PROBLEMS} SELECT s.line, %(_column)s, {value}, %(_rule)s,"
        " jsonb_build_object('text', %(_text)s::text, 'values', %(_values)s::jsonb || jsonb_build_object("
        f"{filled.removeprefix(', ')})), %(_remedy)s::jsonb, true FROM {source}"
    )
    with connection.cursor() as cursor:
        cursor.execute(
            query,
            {
                **parameters,
                "_column": column,
                "_rule": rule,
                "_text": sentence.text,
                "_values": json.dumps(packed(sentence)["values"]),
                "_remedy": json.dumps(packed(remedy)),
            },
        )
        return int(cursor.rowcount)
