"""One revision as a diff: row by row, column by column, before and after."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _

from trial import trail_words as words
from trial.models import AuditEntry
from trial.trail_words import LABS, TABLES, Names, Row


@dataclass(frozen=True, slots=True)
class Line:
    """One column: what it was and what it is; ``state`` is changed, same, entered, deleted or hidden."""

    label: str
    before: str
    after: str
    state: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class RowDiff:
    """One row that was written."""

    title: str
    note: str
    op: str
    verb: str
    subject: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class TableDiff:
    """The rows of one table."""

    table: str
    label: str
    rows: tuple[RowDiff, ...]


def build(
    entries: Iterable[AuditEntry], names: Names, *, sees_identity: bool, zone: ZoneInfo | None = None
) -> list[TableDiff]:
    """Return what a revision wrote, table by table.

    Parameters
    ----------
    entries
        What the reader may see of it.
    names
        What the rows are called that these point to.
    sees_identity
        Whether the reader may see who a subject is; otherwise such values are kept back.
    zone
        Time zone in which moments are shown.
    """
    order = {table: place for place, table in enumerate(TABLES)}
    ordered = sorted(entries, key=lambda entry: (order.get(entry.table, len(order)), entry.table, entry.pk))
    return [
        TableDiff(
            table,
            words.table_label(table),
            tuple(_row(entry, names, sees_identity=sees_identity, zone=zone) for entry in of_table),
        )
        for table, of_table in groupby(ordered, key=lambda entry: entry.table)
    ]


def changed_columns(entry: AuditEntry) -> list[str]:
    """Return the columns a change touched, housekeeping left out."""
    old, new = entry.old or {}, entry.new or {}
    return [c for c in words.columns_of(entry.table, old, new) if str(old.get(c)) != str(new.get(c))]


def _row(entry: AuditEntry, names: Names, *, sees_identity: bool, zone: ZoneInfo | None) -> RowDiff:
    now: Row = entry.new or entry.old or {}
    columns = words.columns_of(entry.table, entry.old, entry.new)
    lines = [_line(entry, column, names, sees_identity=sees_identity, zone=zone) for column in columns]
    # what changed stands first; what is empty before and after says nothing
    shown = sorted(
        (line for line in lines if line.before or line.after), key=lambda line: line.state == "same"
    )
    return RowDiff(
        title=words.row_title(entry.table, now, names),
        note=words.row_note(entry.table, now, names),
        op=entry.op,
        verb={"I": _("entered"), "U": _("changed"), "D": _("deleted")}.get(entry.op, entry.op),
        subject=names.subject(entry.patient_id),
        lines=tuple(shown),
    )


def _line(
    entry: AuditEntry, column: str, names: Names, *, sees_identity: bool, zone: ZoneInfo | None
) -> Line:
    table = entry.table
    old, new = entry.old or {}, entry.new or {}
    label = words.column_label(table, column)
    is_same = bool(entry.old and entry.new) and str(old.get(column)) == str(new.get(column))
    state = "same" if is_same else {"I": "entered", "D": "deleted"}.get(entry.op, "changed")
    if words.is_hidden(table, column, sees_identity):
        before, after = (_("hidden") if side.get(column) else "" for side in (old, new))
        return Line(label, before, after, "hidden" if state != "same" else "same", _("identifies a person"))
    before, after = (
        words.value_text(table, column, side.get(column), names, row=side, zone=zone) for side in (old, new)
    )
    if not is_same and before == after and before:
        # a difference that the reader's form does not show, such as a trailing zero
        before, after = str(old.get(column)), str(new.get(column))
    if (table, column) != (LABS, "value"):
        return Line(label, before, after, state)
    before, after = (
        f"{text} {words.lab_unit(side)}" if text else "" for text, side in ((before, old), (after, new))
    )
    return Line(label, before, after, state, _("standard unit"))
