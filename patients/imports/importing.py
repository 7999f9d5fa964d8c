"""One import from file to revision: stage, check, judge, and write only what differs.

Staging happens outside any transaction and may take minutes; judging and
writing is one transaction and one revision. Nothing is written when somebody
else changed the same rows in between: the rows are judged again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from django.db import IntegrityError, connection, transaction

from patients.imports import cells, identifiers
from patients.imports.columns import Role
from patients.imports.header_again import HeaderAgain
from patients.imports.kinds import (
    CELLS,
    CONSENTS,
    LEFT_OUT,
    Context,
    Kind,
    Moved,
    Pile,
    Warned,
    stage_choices,
)
from patients.imports.locked import refuse_locked
from patients.imports.options import Options
from patients.imports.problems import Problem
from patients.imports.staging import PROBLEMS, ROWS_PER_BLOCK, Stage, problems
from patients.imports.tables import Facts, Table, open_table
from trial import audit, typed
from trial.lock_functions import IMPORTS_LOCK
from trial.refusals import Refused
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


Progress = Callable[[int, int, str], None]
Say = Callable[[str], str]
MOST_ATTEMPTS = 3
_WORK_MEMORY = "64MB"
_STEPS_AFTER_READING = 3


class Busy(Exception):
    """The rows of the file were changed by others each time they were about to be written."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One cell in which the file and the study differ.

    ``place`` says which visit or infusion; ``said`` is the value in the file's
    words; ``author`` and ``written_at`` who wrote what is here, and when, and
    ``verified_at`` since when it is verified, if it is.
    """

    line: int
    subject: str
    place: str
    field: str
    here: str
    there: str
    said: str
    author: str
    written_at: str
    verified_at: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(slots=True)
class Counts:
    """How many rows, or values, are on each pile."""

    new: int = 0
    same: int = 0
    changed: int = 0
    conflict: int = 0
    refused: int = 0

    def as_json(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @property
    def total(self) -> int:
        return self.new + self.same + self.changed + self.conflict + self.refused


@dataclass(slots=True)
class Outcome:
    """What an import did, or would do.

    ``to_look_at`` counts what soft checks ask about, ``left_out`` what a person
    took out of the import because of it.
    """

    rows: Counts
    values: Counts
    subjects: int = 0
    to_look_at: int = 0
    left_out: int = 0
    written: audit.Written | None = None

    @property
    def all_accepted(self) -> bool:
        return not (self.rows.refused or self.rows.conflict)

    @property
    def revision(self) -> int | None:
        return self.written.number if self.written else None


@dataclass(slots=True)
class Import:
    """A staged file: it can be judged as often as one likes, and written."""

    kind: Kind
    facts: Facts
    table: Table
    stage: Stage
    context: Context

    def preview(self) -> Outcome:
        """Say what the import would do; nothing of the study is touched."""
        with transaction.atomic():
            self._judge()
            return self._outcome()

    def commit(
        self,
        *,
        reason: str,
        overwrite: bool = False,
        consents: frozenset[tuple[int, str]] = frozenset(),
        left_out: frozenset[tuple[int, str]] = frozenset(),
        asks: bool = True,
        progress: Progress = lambda done, total, text: None,
        say: Say = str,
        request_id: str = "",
    ) -> Outcome:
        """Write what differs, as one revision.

        Parameters
        ----------
        reason
            Why; stands in the trail.
        overwrite, consents
            Whether everything, or which single cells, may replace what is here.
        left_out
            Single cells that stay out of the import.
        asks
            Whether a data query opens for every value to be looked at; a study made up
            for a demonstration asks nobody.
        request_id
            Ties the revision to the job that made it, in the same transaction.

        Raises
        ------
        Busy
            If others kept changing the same rows.
        """
        self.context = replace(self.context, overwrite=overwrite, consents=consents, left_out=left_out)
        total = self.facts.rows + _STEPS_AFTER_READING
        source = f"import {self.facts.name} sha256:{self.facts.sha256[:16]}"
        for _attempt in range(MOST_ATTEMPTS):
            try:
                with audit.revision(
                    by=self.context.by, reason=reason, source=source, request_id=request_id
                ) as written:
                    with connection.cursor() as cursor:
                        cursor.execute("SET LOCAL statement_timeout = 0")
                        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [IMPORTS_LOCK])
                    progress(self.facts.rows + 1, total, say(_("Checking against the study")))
                    self._judge()
                    outcome = self._outcome(looks=asks)
                    progress(self.facts.rows + 2, total, say(_("Writing")))
                    self.kind.write(self.context)
                    if asks:
                        self.kind.ask(self.context)
            # the database refuses what was locked since it was judged; judged again, its rows are refused by line
            except (Moved, IntegrityError, Refused):
                continue
            outcome.written = written
            return outcome
        raise Busy

    def _judge(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {PROBLEMS} WHERE by_check")
            stage_choices(self.context)
            self.kind.check(self.table, self.context)
            cursor.execute(f"ANALYZE {PROBLEMS}")
            self.kind.judge(self.context)
        if refuse_locked(self.table):
            # a line that is refused takes no part in any comparison
            self.kind.judge(self.context)

    def _outcome(self, *, looks: bool = True) -> Outcome:
        rows, values = Counts(), Counts()
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT pile, count(*) FROM (SELECT min(pile) AS pile FROM {CELLS} GROUP BY line) r GROUP BY pile"
            )
            _fill(rows, cursor.fetchall())
            cursor.execute(f"SELECT pile, count(*) FROM {CELLS} WHERE field <> '' GROUP BY pile")
            _fill(values, cursor.fetchall())
            cursor.execute(f"SELECT count(DISTINCT line), count(*) FROM {PROBLEMS}")
            rows.refused, values.refused = cursor.fetchone()
            cursor.execute(
                f"SELECT count(DISTINCT subject) FROM {CELLS} WHERE pile IN (%s, %s)",
                [Pile.CHANGED.value, Pile.NEW.value],
            )
            (subjects,) = cursor.fetchone()
        return Outcome(rows, values, subjects, self.kind.look() if looks else 0, len(self.context.left_out))

    def problems(self, most: int | None = None) -> Iterator[Problem]:
        """Yield why rows are refused."""
        return problems(most)

    def warned(self, most: int | None = None) -> Iterator[Warned]:
        """Yield what soft checks ask to look at."""
        return self.kind.warned(most)

    def differences(self, pile: Pile, most: int) -> list[Difference]:
        """Return cells in which file and study differ, with who wrote what is here."""
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT c.line, c.subject, coalesce(c.place, ''), c.field, coalesce(c.here, ''), c.there, c.said,"
                " coalesce(nullif(trim(u.last_name || ' ' || u.first_name), ''), u.username, ''),"
                " coalesce(to_char(r.made_at AT TIME ZONE 'UTC', 'YYYY-MM-DD'), ''),"
                " coalesce((SELECT to_char(v.verified_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') FROM patients_verification v"
                ' WHERE v."table" = c.in_table AND v."row" = c.in_row AND v.voided_at IS NULL),'
                " '')"
                f" FROM (SELECT * FROM {CELLS} WHERE pile = %s AND field <> '' ORDER BY line, field LIMIT %s) c"
                ' LEFT JOIN LATERAL (SELECT revision_id FROM trial_auditentry e WHERE e."table" = c.in_table'
                ' AND e."row" = c.in_row ORDER BY e.id DESC LIMIT 1) e ON true'
                " LEFT JOIN trial_revision r ON r.id = e.revision_id LEFT JOIN trial_user u ON u.id = r.actor_id"
                " ORDER BY c.line, c.field",
                [pile.value, most],
            )
            return [Difference(*row) for row in cursor.fetchall()]


def _fill(counts: Counts, found: list[tuple[int, int]]) -> None:
    for pile, number in found:
        setattr(counts, Pile(pile).word, number)


@contextmanager
def opened(
    path: Path,
    *,
    name: str,
    kind: Kind,
    context: Context,
    options: Options | None = None,
    progress: Progress = lambda done, total, text: None,
    say: Say = str,
) -> Iterator[Import]:
    """Read a file into temporary tables; they are gone when the context ends.

    Parameters
    ----------
    path, name
        Where the file lies, and what it was called.
    kind
        What its rows are.
    context
        Who imports, and when.
    options
        What a person said about the file.
    progress
        Told the rows read, the rows to read, and what is being done.

    Raises
    ------
    FileRefused
        If the file cannot be read without guessing.
    """
    table = open_table(path, name, kind.layout, options or Options())
    stage = Stage(kind.tables)
    with _long_statements():
        try:
            stage.open()
            _read(
                table,
                stage,
                kind,
                context,
                progress,
                say,
                HeaderAgain(table, kind.layout, options or Options()),
            )
            kind.after_staging(table)
            yield Import(kind, table.facts, table, stage, context)
        finally:
            if not connection.needs_rollback and connection.connection is not None:
                _forget(kind, stage)


def _read(
    table: Table,
    stage: Stage,
    kind: Kind,
    context: Context,
    progress: Progress,
    say: Say,
    header_again: HeaderAgain,
) -> None:
    read_row = kind.reader(table, stage, context)
    width, rows = table.width, 0
    reading = say(_("Reading the file"))
    marked = table.plan.marked
    subject = table.of(Role.FIELD, "subject_id")
    first = subject.position if subject else 0
    for line, row in table.rows():
        rows += 1
        if header_again.is_one(row):
            header_again.refuse_other_columns(line, row)
            stage.refuse(_no_subject(line, table.headers[first], row[first], _HEADER))
        elif marked and line in marked:
            for position, sort in marked.pop(line):
                stage.refuse(identifiers.problem(line, *table.plan.named(position), sort))
        elif len(row) != width and not _fits(row, width):
            stage.refuse(_ragged(line, row, width))
        elif cells.is_total(row[first]):
            stage.refuse(_no_subject(line, table.headers[first], row[first], _TOTAL))
        else:
            read_row(line, row)
        if rows % ROWS_PER_BLOCK == 0:
            stage.flush()
            progress(rows, max(rows, table.facts.expected_rows) + _STEPS_AFTER_READING, reading)
    table.facts.rows = rows
    if not rows:
        table.facts.notices.append(
            Sentence(
                _("Below the header in line %(line)s the file has no row: there is nothing to import."),
                {"line": table.facts.header_line},
            )
        )
    stage.settle()


def _fits(row: list[str], width: int) -> bool:
    """Whether only empty cells stick out; they are cut off."""
    if len(row) > width and not any(row[width:]):
        del row[width:]
        return True
    return False


_LEAVE_OUT = Sentence(_("Leave the row out of the file."))


_TOTAL = ("total_row", _("“%(value)s” is a total, not a subject."))
_HEADER = ("header_again", _("“%(value)s” is a header, not a subject."))


def _no_subject(line: int, header: str, text: str, said: tuple[str, str]) -> Problem:
    """Return why a row that no subject is meant by is refused, once for all of its cells."""
    rule, sentence = said
    return Problem(line, header, text, rule, Sentence(sentence, {"value": typed.printable(text)}), _LEAVE_OUT)


def _ragged(line: int, row: list[str], width: int) -> Problem:
    if row and cells.is_total(row[0]):
        sentence = Sentence(
            _("The row is a total, not a subject; fields in it: %(count)s."), {"count": len(row)}
        )
        return Problem(line, "", row[0], "total_row", sentence, _LEAVE_OUT)
    return Problem(
        line,
        "",
        row[0] if row else "",
        "ragged",
        Sentence(
            _("Fields in this row: %(count)s; in the header: %(width)s."),
            {"count": len(row), "width": width},
        ),
        Sentence(
            _(
                "Put quotation marks around texts with separators in them, or leave the row out if it is a total."
            )
        ),
    )


@contextmanager
def _long_statements() -> Iterator[None]:
    """Give the queries of an import time and memory; a ward's request keeps its own limits."""
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute(f"SET work_mem = '{_WORK_MEMORY}'")
    try:
        yield
    finally:
        if not connection.needs_rollback and connection.connection is not None:
            with connection.cursor() as cursor:
                cursor.execute("RESET statement_timeout")
                cursor.execute("RESET work_mem")


def _forget(kind: Kind, stage: Stage) -> None:
    views = [name for name in kind.judged if name == CELLS]
    with connection.cursor() as cursor:
        for view in views:
            cursor.execute(f"DROP VIEW IF EXISTS pg_temp.{view}")
    stage.drop([*(name for name in kind.judged if name != CELLS), CONSENTS, LEFT_OUT])
