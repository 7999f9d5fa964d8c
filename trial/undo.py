"""Taking a whole revision back, by a revision of its own.

The trail knows every row before and after, so nothing else has to. What the
revision changed becomes what it was; what it entered is voided, or deleted where
a row cannot be voided; what it deleted comes back. Rows that somebody changed
since are not touched behind that person's back: then nothing is undone, and the
refusal names them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from django.db import connection, models
from django.utils import timezone
from psycopg import sql

from trial import audit
from trial.models import AuditEntry, Revision, User
from trial.refusals import Problem, Refused, refuse
from trial.sentences import Sentence
from trial.triggers import Trail, audited


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


SOURCE = "undo"
NAMED = 20
"""Rows that a refusal names; the others are counted."""

# per row: as it was before the revision's first entry, and as its last entry left it
_NET = """
CREATE TEMP TABLE net ON COMMIT DROP AS
SELECT "table", row,
    (array_agg(old ORDER BY id))[1] AS old, (array_agg(new ORDER BY id DESC))[1] AS new, min(id) AS first
FROM trial_auditentry WHERE revision_id = %s GROUP BY "table", row
"""
_TABLES = 'SELECT "table" FROM net GROUP BY "table" ORDER BY max(first) DESC'
_MOVED = """
SELECT net.row FROM net LEFT JOIN {table} t ON t.id = net.row
WHERE net."table" = {name} AND CASE
    WHEN net.new IS NULL THEN t.id IS NOT NULL
    WHEN t.id IS NULL THEN true
    ELSE EXISTS (
        SELECT FROM jsonb_each(net.new) AS now WHERE now.key <> 'version'
            AND now.value IS DISTINCT FROM to_jsonb(t) -> now.key
            AND (net.old IS NULL OR now.value IS DISTINCT FROM net.old -> now.key)
    ) END
ORDER BY net.row
"""
_LOCK = 'SELECT t.id FROM {table} t JOIN net ON net.row = t.id AND net."table" = {name} ORDER BY t.id FOR UPDATE OF t'
_RESTORE = """
UPDATE {table} t SET ({columns}) = (
    SELECT {columns} FROM jsonb_populate_record(t, (
        SELECT coalesce(jsonb_object_agg(was.key, was.value), '{{}}') FROM jsonb_each(net.old) AS was
        WHERE was.key NOT IN ('id', 'version') AND was.value IS DISTINCT FROM net.new -> was.key
    ) || {counted})
)
FROM net WHERE net."table" = {name} AND net.row = t.id AND net.old IS NOT NULL AND net.new IS NOT NULL
"""
_VOID = """
UPDATE {table} t SET voided_at = %s{counted}
FROM net WHERE net."table" = {name} AND net.row = t.id AND net.old IS NULL AND t.voided_at IS NULL
"""
_DELETE = 'DELETE FROM {table} t USING net WHERE net."table" = {name} AND net.row = t.id AND net.old IS NULL'
_BRING_BACK = """
INSERT INTO {table} ({columns}) SELECT {columns}
FROM net, jsonb_populate_record(NULL::{table}, net.old) WHERE net."table" = {name} AND net.new IS NULL
"""


@dataclass(slots=True)
class Undone(audit.Written):
    """What undoing wrote: how many rows were restored, voided, deleted and brought back."""

    restored: int = 0
    voided: int = 0
    deleted: int = 0
    brought_back: int = 0


def undo(
    *, revision: Revision, by: User, reason: str, source: str = SOURCE, leave: Collection[str] = ()
) -> Undone:
    """Take a revision back as one revision.

    Parameters
    ----------
    revision
        The revision to take back. Undoing an undo gives the first state again.
    reason
        Why; the trail demands it.
    leave
        Tables whose rows stay as they are: what was said in them cannot be unsaid.

    Raises
    ------
    Refused
        If a row was changed since, naming the rows; nothing is undone.
    """
    if not reason.strip():
        raise refuse(
            "reason",
            "",
            "no_reason",
            Sentence(_("Taking a change back asks for a reason.")),
            Sentence(_("Say why.")),
        )
    known = {model._meta.db_table: (model, kept) for model, kept in audited().items()}
    with audit.revision(by=by, reason=reason, source=source) as written, connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS pg_temp.net")
        cursor.execute(_NET, [revision.pk])
        cursor.execute('DELETE FROM net WHERE "table" = ANY(%s)', [list(leave)])
        cursor.execute(_TABLES)
        tables = [name for (name,) in cursor.fetchall()]
        if not tables:
            raise refuse(
                "",
                revision.number or "",
                "nothing_to_undo",
                Sentence(_("Revision %(number)s wrote nothing."), {"number": revision.number}),
                Sentence(_("Choose another revision.")),
            )
        for name in tables:
            cursor.execute(_query(_LOCK, *known[name]))
        if moved := [(name, row) for name in tables for row in _moved(cursor, *known[name])]:
            raise _changed_since(moved)
        undone = Undone()
        for name in tables:
            _take_back(cursor, *known[name], undone)
        cursor.execute("DROP TABLE pg_temp.net")
    undone.id = written.id
    return undone


def _moved(cursor: object, model: type[models.Model], kept: Trail) -> list[int]:
    cursor.execute(_query(_MOVED, model, kept))  # type: ignore[attr-defined]
    return [row for (row,) in cursor.fetchall()]  # type: ignore[attr-defined]


def _take_back(cursor: object, model: type[models.Model], kept: Trail, undone: Undone) -> None:
    columns = {field.column for field in model._meta.local_concrete_fields}
    run = cursor.execute  # type: ignore[attr-defined]
    run(_query(_BRING_BACK, model, kept))
    undone.brought_back += cursor.rowcount  # type: ignore[attr-defined]
    run(_query(_RESTORE, model, kept))
    undone.restored += cursor.rowcount  # type: ignore[attr-defined]
    if "voided_at" in columns:
        run(_query(_VOID, model, kept), [timezone.now()])
        undone.voided += cursor.rowcount  # type: ignore[attr-defined]
    else:
        run(_query(_DELETE, model, kept))
        undone.deleted += cursor.rowcount  # type: ignore[attr-defined]


def _query(text: str, model: type[models.Model], kept: Trail) -> sql.Composed:
    columns = [str(f.column) for f in model._meta.local_concrete_fields if f.column not in kept.hidden]
    names: list[sql.Composable] = [sql.Identifier(column) for column in columns]
    is_counted = "version" in columns
    if text is _RESTORE:
        counted = sql.SQL("jsonb_build_object('version', t.version + 1)" if is_counted else "'{}'::jsonb")
    else:
        counted = sql.SQL(", version = t.version + 1" if is_counted else "")
    return sql.SQL(text).format(
        table=sql.Identifier(model._meta.db_table),
        name=sql.Literal(model._meta.db_table),
        columns=sql.SQL(", ").join(names),
        counted=counted,
    )


def _changed_since(moved: Iterable[tuple[str, int]]) -> Refused:
    rows = list(moved)
    problems = []
    for table, row in rows[:NAMED]:
        last = (
            AuditEntry.objects.filter(table=table, row=row)
            .select_related("revision__actor")
            .order_by("-id")
            .first()
        )
        problems.append(
            Problem(
                table,
                str(row),
                "changed_since",
                Sentence(
                    _("%(table)s %(row)s was changed since, by %(who)s in revision %(number)s."),
                    {
                        "table": table,
                        "row": row,
                        "who": last.revision.actor.shown_name if last else "",
                        "number": last.revision.number if last else "",
                    },
                ),
                Sentence(_("Take that revision back first, or correct the record by hand.")),
            )
        )
    if len(rows) > NAMED:
        problems.append(
            Problem(
                "",
                str(len(rows) - NAMED),
                "changed_since",
                Sentence(_("%(count)s more records were changed since."), {"count": len(rows) - NAMED}),
                Sentence(_("Correct them by hand.")),
            )
        )
    return Refused(problems)
