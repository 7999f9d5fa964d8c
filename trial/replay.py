"""Does the trail tell the truth? Rebuild every table from the trail alone and compare.

Everything is read at one moment, so people go on writing meanwhile. What was
edited behind the triggers' back shows as a difference between table and trail;
what was edited in the trail shows as a broken chain (each change must begin
where the last one ended), as a gap in the numbers or as a difference.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db import DataError, connection, models, transaction
from psycopg import sql

from trial.checks import faults
from trial.exact_json import ExactDecoder
from trial.triggers import Trail, audited

Progress = Callable[[int, int, "TableReplayed"], None]

NAMED = 20
"""How many findings of a kind are named; the others are counted."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it must be. ``count`` tells how many there are of its kind."""

    rule: str
    text: str
    table: str = ""
    row: int | None = None
    columns: tuple[str, ...] = ()

    def __str__(self) -> str:
        where = f"{self.table} {self.row}" if self.row is not None else self.table
        columns = f" ({', '.join(self.columns)})" if self.columns else ""
        return f"{where}{columns}: {self.text}" if where else self.text


@dataclass(frozen=True, slots=True)
class TableReplayed:
    """One table: how many rows came out of how many entries, and how many findings it has."""

    table: str
    rows: int
    entries: int
    findings: int


@dataclass(slots=True)
class Report:
    """What a verification found, as of a revision."""

    revision: int = 0
    tables: list[TableReplayed] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    unnamed: int = 0

    @property
    def is_clean(self) -> bool:
        return not self.findings

    @property
    def count(self) -> int:
        return len(self.findings) + self.unnamed


# --- the trail itself -----------------------------------------------------------------------

_NUMBERS = """
SELECT 'gap', 'revision ' || number || ' follows revision ' || before || ': what lies between is missing'
FROM (SELECT number, coalesce(lag(number) OVER (ORDER BY number), 0) AS before
      FROM trial_revision WHERE number IS NOT NULL) AS numbered
WHERE number <> before + 1 ORDER BY number
"""
_UNSEALED = """
SELECT 'unsealed', 'the revision with id ' || id || ' was committed without a number' FROM trial_revision
WHERE (number IS NULL OR NOT sealed) AND txid IS DISTINCT FROM pg_current_xact_id_if_assigned()::text::bigint
ORDER BY id
"""
_EMPTY = """
SELECT 'empty', 'revision ' || number || ' has no entries' FROM trial_revision
WHERE NOT EXISTS (SELECT FROM trial_auditentry WHERE revision_id = trial_revision.id) ORDER BY number
"""
_ORPHANS = """
SELECT 'orphan', 'entry ' || trial_auditentry.id || ' belongs to no revision' FROM trial_auditentry
WHERE NOT EXISTS (SELECT FROM trial_revision WHERE id = revision_id) ORDER BY trial_auditentry.id
"""
_UNEXPLAINED = """
SELECT 'unexplained', 'revision ' || number || ' changes rows without a reason' FROM trial_revision
WHERE btrim(reason) = ''
    AND EXISTS (SELECT FROM trial_auditentry WHERE revision_id = trial_revision.id AND op <> 'I') ORDER BY number
"""
_STRANGE = """
SELECT 'unknown table', count(*) || ' entries speak of ' || "table" || ', which has no trail' FROM trial_auditentry
WHERE "table" <> ALL(%s) GROUP BY "table" ORDER BY "table"
"""


def verify(progress: Progress | None = None) -> Report:
    """Replay the whole trail into temporary tables and compare, both ways.

    Parameters
    ----------
    progress
        Called after each table with its place, the number of tables and the result.

    Returns
    -------
    Report
        Empty of findings when the tables are what the trail says, to the last
        digit, and the trail is whole. Hidden columns (passwords) are no part of it.
    """
    if "trial_revision" not in connection.introspection.table_names():
        return Report(findings=[Finding("missing", "this database has no trail; run manage.py migrate")])
    report = Report(findings=[Finding("trigger", fault) for fault in faults(connection)])
    models_ = audited()
    with _one_moment(), connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(number), 0) FROM trial_revision")
        report.revision = cursor.fetchone()[0]
        tables = [model._meta.db_table for model in models_]
        for query, values in (
            (_NUMBERS, []),
            (_UNSEALED, []),
            (_EMPTY, []),
            (_ORPHANS, []),
            (_UNEXPLAINED, []),
            (_STRANGE, [tables]),
        ):
            cursor.execute(query, values)
            found = cursor.fetchall()
            report.findings += [Finding(rule, text) for rule, text in found[:NAMED]]
            report.unnamed += max(0, len(found) - NAMED)
        for place, (model, kept) in enumerate(models_.items(), start=1):
            done = _table(cursor, model, kept, report)
            report.tables.append(done)
            if progress:
                progress(place, len(models_), done)
    return report


@contextmanager
def _one_moment() -> Iterator[None]:
    """See the database as it is now until the end, whatever others write."""
    outermost = not connection.in_atomic_block
    with transaction.atomic(), connection.cursor() as cursor:
        if outermost:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        cursor.execute("SET LOCAL statement_timeout = 0")
        yield
        cursor.execute("DROP TABLE IF EXISTS pg_temp.replayed")


# --- table by table -------------------------------------------------------------------------

_COUNT = """SELECT (SELECT count(*) FROM {table}), (SELECT count(*) FROM trial_auditentry WHERE "table" = {name})"""

# each entry must start where the one before it ended
_CHAIN = """
SELECT "row", op, last, revision_id, {columns_then}::text, {columns_before}::text, count(*) OVER () FROM (
    SELECT "row", id, op, revision_id, patient_id, old, new,
        lag(op) OVER steps AS last, lag(new) OVER steps AS before
    FROM trial_auditentry WHERE "table" = {name} WINDOW steps AS (PARTITION BY "row" ORDER BY id)
) AS entry
WHERE (op = 'I') <> (old IS NULL) OR (op = 'D') <> (new IS NULL) OR op NOT IN ('I', 'U', 'D')
    OR (coalesce(new, old) ->> 'id')::bigint IS DISTINCT FROM "row"
    OR (coalesce(new, old) ->> {patient})::bigint IS DISTINCT FROM patient_id
    OR (op = 'I') <> (last IS NULL OR last = 'D')
    OR (old::text <> before::text AND {columns_then}::text <> {columns_before}::text)
ORDER BY id LIMIT {limit}
"""
_EMPTY_COPY = "CREATE TEMPORARY TABLE replayed AS SELECT {columns} FROM {table} WITH NO DATA"
_REPLAY = """
INSERT INTO pg_temp.replayed SELECT {columns} FROM (
    SELECT DISTINCT ON ("row") op, new FROM trial_auditentry WHERE "table" = {name} ORDER BY "row", id DESC
) AS last CROSS JOIN LATERAL jsonb_populate_record(NULL::{table}, {defaults} || last.new) WHERE op <> 'D'
"""
_COMPARE = """
SELECT id, recorded::text, found::text, count(*) OVER () FROM (
    SELECT id, to_jsonb(replayed.*) AS recorded FROM pg_temp.replayed
) AS trail FULL JOIN (
    SELECT id, to_jsonb({bare}.*) - {hidden} AS found FROM {table}
) AS tables USING (id)
WHERE recorded::text IS DISTINCT FROM found::text ORDER BY id LIMIT {limit}
"""


def _table(cursor: Any, model: type[models.Model], kept: Trail, report: Report) -> TableReplayed:
    name = model._meta.db_table
    columns = [str(f.column) for f in model._meta.local_concrete_fields if f.column not in kept.hidden]
    table = sql.Identifier("public", name)
    hidden = sql.SQL("{}::text[]").format(sql.Literal(list(kept.hidden)))
    defaults = sql.SQL("{}::jsonb").format(sql.Literal(json.dumps(_defaults(model), default=str)))
    as_row = sql.SQL("(to_jsonb(jsonb_populate_record(NULL::{}, {} || {})) - {})")
    at = {
        "table": table,
        "bare": sql.Identifier(name),
        "name": sql.Literal(name),
        "patient": sql.Literal(kept.patient),
        "hidden": hidden,
        "columns": sql.SQL(", ").join([sql.Identifier(column) for column in columns]),
        "defaults": defaults,
        "columns_then": as_row.format(table, defaults, sql.Identifier("old"), hidden),
        "columns_before": as_row.format(table, defaults, sql.Identifier("before"), hidden),
        "limit": sql.Literal(NAMED),
    }

    def run(query: str) -> Any:
        cursor.execute(sql.SQL(query).format(**at))
        return cursor

    rows, entries = run(_COUNT).fetchone()
    before = report.count
    try:
        with transaction.atomic():
            broken = run(_CHAIN).fetchall()
            report.findings += [_broken(name, *entry) for *entry, _ in broken]
            run("DROP TABLE IF EXISTS pg_temp.replayed")
            run(_EMPTY_COPY)
            run(_REPLAY)
            different = run(_COMPARE).fetchall()
            report.findings += [_different(name, *pair) for *pair, _ in different]
            # each row of an answer says how many there are in all
            report.unnamed += sum(answer[0][-1] - len(answer) for answer in (broken, different) if answer)
    except DataError as error:
        # a number that is none, a date that is none: the trigger cannot have written it
        report.findings.append(
            Finding(
                "unreadable",
                f"the trail holds what no column can: {error}".strip(),
                name,
            )
        )
    return TableReplayed(name, rows, entries, report.count - before)


def _defaults(model: type[models.Model]) -> dict[str, Any]:
    """Return what a column that came later holds in rows that are older: its constant default, or nothing."""
    given = {str(f.column): f.db_default for f in model._meta.local_concrete_fields if f.has_db_default()}
    return {column: value for column, value in given.items() if not isinstance(value, models.Expression)}


def _broken(
    table: str,
    row: int,
    op: str,
    last: str | None,
    revision: int,
    then: str | None,
    earlier: str | None,
) -> Finding:
    changed = _columns(earlier, then) if op != "I" and last in {"I", "U"} else ()
    text = (
        f"the revision with id {revision} does not begin where the one before it ended"
        if changed
        else f"the entry {op} of the revision with id {revision} cannot follow {last or 'nothing'} or contradicts itself"
    )
    return Finding("chain", text, table, row, changed)


def _different(table: str, row: int, recorded: str | None, found: str | None) -> Finding:
    if recorded is None:
        return Finding("difference", "is in the table, not in the trail", table, row)
    if found is None:
        return Finding("difference", "is in the trail, not in the table", table, row)
    columns = _columns(recorded, found)
    was, is_ = _row(recorded), _row(found)
    shown = "; ".join(
        f"{c}: {was.get(c)!s:.60} in the trail, {is_.get(c)!s:.60} in the table" for c in columns[:3]
    )
    return Finding("difference", shown, table, row, columns)


def _columns(one: str | None, other: str | None) -> tuple[str, ...]:
    first, second = _row(one), _row(other)
    return tuple(sorted(c for c in first.keys() | second.keys() if str(first.get(c)) != str(second.get(c))))


def _row(text: str | None) -> dict[str, Any]:
    """Read a row; numbers keep every digit."""
    return dict(json.loads(text, cls=ExactDecoder)) if text else {}
