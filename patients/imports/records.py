"""Imports of one row per record (a subject, an infusion): judged column by column.

Each column says how the file's value is staged, what is here to compare it
with, and what is written. All SQL is put together from these declarations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, ClassVar

from django.db import connection

from patients.imports import cells
from patients.imports.columns import Column, Role
from patients.imports.kinds import CELLS, Context, Kind, Pile, pile_sql, written_all
from patients.imports.staging import PROBLEMS, Stage, copied
from patients.imports.tables import Table
from patients.imports.words import free_text
from trial.sentences import Sentence
from trial.typed import Unreadable


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


STAGED = "import_record"
JUDGED = "import_judged"


@dataclass(frozen=True, slots=True)
class RecordColumn:
    """One column of a record.

    ``field`` is its name in the file, ``type`` its SQL type when staged,
    ``target`` the column of the study table, empty where it is stored in another
    table, which the kind writes itself. ``here`` is SQL over ``t`` for
    what the study has, ``written`` SQL over ``j`` for what is stored.
    """

    field: str
    type: str
    target: str
    here: str = ""
    written: str = ""

    @property
    def here_sql(self) -> str:
        return self.here or (f"nullif(t.{self.target}, '')" if self.type == "text" else f"t.{self.target}")

    @property
    def written_sql(self) -> str:
        return self.written or f"j.{self.field}"


_ZONE = "(SELECT h.time_zone FROM trial_site h JOIN patients_patient p ON p.site_id = h.id WHERE p.subject_id = j.subject)"


def moment_column(field: str) -> RecordColumn:
    """Return a moment: the file says it as the clock at the site ``h`` shows it, to the second."""
    return RecordColumn(
        field,
        "timestamp",
        field,
        here=f"date_trunc('second', t.{field} AT TIME ZONE h.time_zone)",
        written=f"(j.{field} AT TIME ZONE {_ZONE})",
    )


def _shown(column: RecordColumn, sql: str) -> str:
    """Return SQL for a value as a person writes it."""
    return f"trim_scale({sql})::text" if column.type == "numeric" else f"({sql})::text"


class RecordKind(Kind):
    """A kind whose rows are records of one table.

    ``place`` is SQL for which of a subject's records a row is. ``key`` is SQL that joins a staged row ``s`` to its record ``t``; ``subject``
    names the staged subject; ``in_table`` is SQL for where a record is stored, when
    that is not always ``target``.
    """

    target: ClassVar[str]
    in_table: ClassVar[str] = ""
    place: ClassVar[str] = "''"
    columns: ClassVar[tuple[RecordColumn, ...]]
    key: ClassVar[str]
    keys: ClassVar[tuple[str, ...]]
    defaults: ClassVar[dict[str, str]] = {}
    not_null: ClassVar[dict[str, str]] = {}
    judged = (CELLS, JUDGED)

    def judge(self, context: Context) -> None:
        in_table = self.in_table or f"'{self.target}'"
        piles = ", ".join(
            pile_sql(c.here_sql, f"s.{c.field}", f"{c.here_sql} = s.{c.field}", f"'{c.field}'", "s.line")
            + f" AS pile_{c.field}, {_shown(c, c.here_sql)} AS here_{c.field}"
            for c in self.columns
        )
        cells = ", ".join(
            f"('{c.field}', here_{c.field}, {_shown(c, c.field)}, pile_{c.field})" for c in self.columns
        )
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE IF EXISTS pg_temp.{JUDGED} CASCADE")
            cursor.execute(
                f"CREATE TEMPORARY TABLE {JUDGED} AS SELECT s.*, t.id AS target_id, t.version AS target_version,"
                f" {piles} FROM {STAGED} s {self.key}"
                f" WHERE NOT EXISTS (SELECT FROM {PROBLEMS} x WHERE x.line = s.line)",
                context.parameters,
            )
            cursor.execute(f"ANALYZE {JUDGED}")
            cursor.execute(
                f"CREATE TEMPORARY VIEW {CELLS} AS"
                f" SELECT j.line, j.subject, {self.place} AS place, c.field, c.here, c.there, '' AS said,"
                f" {in_table} AS in_table, j.target_id AS in_row, c.pile"
                f" FROM {JUDGED} j, LATERAL (VALUES ('', NULL, NULL,"
                f" CASE WHEN target_id IS NULL THEN {Pile.NEW.value} ELSE {Pile.SAME.value} END), {cells})"
                " AS c(field, here, there, pile) WHERE c.pile IS NOT NULL"
            )

    def write(self, context: Context) -> None:
        written = (Pile.CHANGED.value, Pile.NEW.value)
        own = [c for c in self.columns if c.target]
        columns = {**{c.target: self._value(c) for c in own}, **self.defaults}
        kept = ", ".join(
            f"{c.target} = CASE WHEN j.pile_{c.field} IN {written} THEN {c.written_sql} ELSE t.{c.target} END"
            for c in own
        )
        touched = " OR ".join(f"j.pile_{c.field} IN {written}" for c in self.columns)
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT count(*) FILTER (WHERE target_id IS NULL),"
                f" count(*) FILTER (WHERE target_id IS NOT NULL AND ({touched})) FROM {JUDGED} j"
            )
            new, changed = cursor.fetchone()
            cursor.execute(
                f"INSERT INTO {self.target} ({', '.join(columns)}) SELECT {', '.join(columns.values())}"
                f" FROM {JUDGED} j WHERE j.target_id IS NULL ORDER BY j.line ON CONFLICT DO NOTHING"
            )
            written_all(cursor, new)
            cursor.execute(
                f"UPDATE {self.target} t SET {kept}, version = t.version + 1 FROM {JUDGED} j"
                f" WHERE j.target_id = t.id AND t.version = j.target_version AND ({touched})"
            )
            written_all(cursor, changed)

    def _value(self, column: RecordColumn) -> str:
        empty = self.not_null.get(column.field)
        return f"coalesce({column.written_sql}, {empty})" if empty else column.written_sql


def staged_cells(lines: list[int]) -> dict[int, dict[str, str]]:
    """Return what the file says in some rows, by line and field."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {STAGED} WHERE line = ANY(%s)", [lines])
        names = [column.name for column in cursor.description or ()]
        return {
            row[0]: {
                name: str(value) for name, value in zip(names[2:], row[2:], strict=True) if value is not None
            }
            for row in cursor.fetchall()
        }


class RecordReader:
    """Reads the cells of one row; every cell that cannot be read is noted."""

    def __init__(self, table: Table, stage: Stage, context: Context) -> None:
        self.stage = stage
        self.manner = table.manner
        self.today = context.today
        self._columns: dict[str, Column] = {
            column.code: column for column in table.columns if column and column.role is Role.FIELD
        }
        self.refused = False

    def header(self, code: str) -> str:
        column = self._columns.get(code)
        return column.header if column else code

    def text(self, row: list[str], code: str) -> str:
        column = self._columns.get(code)
        text = row[column.position] if column else ""
        return "" if cells.is_nothing(text) else text

    def words(self, line: int, row: list[str], code: str, *, most: int) -> str | None:
        """Return free text, in which "NA" is a word like any other; None for an empty cell."""
        column = self._columns.get(code)
        text = row[column.position] if column else ""
        if not text.strip():
            return None
        try:
            return free_text(text, most=most)
        except Unreadable as refusal:
            self.refuse(line, code, text, refusal)
            return None

    def cell(self, line: int, row: list[str], code: str, read: Callable[[str], Any]) -> Any:
        """Return what a cell says, or None when it says nothing or cannot be read."""
        text = self.text(row, code)
        if not text:
            return None
        try:
            return read(text)
        except Unreadable as refusal:
            self.refuse(line, code, text, refusal)
            return None

    def refuse(self, line: int, code: str, text: str, refusal: Unreadable) -> None:
        self.refused = True
        self.stage.refuse_cell(line, self.header(code), text, refusal)

    def required(self, line: int, row: list[str], code: str, read: Callable[[str], Any]) -> Any:
        """Return what a cell says; an empty one is refused."""
        if not self.text(row, code):
            self.refuse(
                line,
                code,
                "",
                Unreadable(
                    "empty_cell",
                    "",
                    Sentence(_("“%(column)s” is empty."), {"column": self.header(code)}),
                    Sentence(_("Every row needs it.")),
                ),
            )
            return None
        return self.cell(line, row, code, read)

    def day(self, text: str) -> date:
        return cells.read_day(text, self.manner, self.today)

    def past_day(self, text: str) -> date:
        """Read a day that cannot lie ahead."""
        day = self.day(text)
        if day > self.today:
            raise Unreadable(
                "future",
                text,
                Sentence(_("%(day)s lies in the future."), {"day": day.isoformat()}),
                Sentence(_("Give the day on which it happened.")),
            )
        return day

    def exact(self, text: str) -> Decimal:
        return cells.read_exact(text, self.manner)

    def stage_record(self, *values: object) -> None:
        self.stage.waiting[STAGED].append("\t".join(map(copied, values)) + "\n")
