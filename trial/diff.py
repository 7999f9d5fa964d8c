"""One revision as a diff: row by row, column by column, before and after."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _

from trial import marks
from trial import trail_words as words
from trial.models import AuditEntry
from trial.trail_words import LABS, TABLES, Names, Row

MOST_IN_FULL = 4
"""More new rows of one table than this are shown one line each."""


@dataclass(frozen=True, slots=True)
class Line:
    """One column, or one row of many: what it was and what it is; ``state`` says which."""

    label: str
    before: str
    after: str
    state: str  # changed, same, entered, deleted; or row, when it is one row of many
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
    entries: Iterable[AuditEntry],
    names: Names,
    *,
    sees_identity: bool,
    sees_donor: bool = False,
    zone: ZoneInfo | None = None,
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
    sees_donor
        Whether the reader may see whose cells a lot is made of.
    zone
        Time zone in which moments are shown.
    """
    order = {table: place for place, table in enumerate(TABLES)}
    ordered = sorted(entries, key=lambda entry: (order.get(entry.table, len(order)), entry.table, entry.pk))
    how = _How(names, sees_identity, sees_donor, zone)
    return [
        TableDiff(table, words.table_label(table), tuple(_rows(table, list(of_table), how)))
        for table, of_table in groupby(ordered, key=lambda entry: entry.table)
    ]


@dataclass(frozen=True, slots=True)
class _How:
    """For whose eyes a diff is made."""

    names: Names
    sees_identity: bool
    sees_donor: bool
    zone: ZoneInfo | None


def _rows(table: str, entries: Sequence[AuditEntry], how: _How) -> Iterator[RowDiff]:
    """Yield changes row by row; what was entered or deleted in numbers, one line per row."""
    for op, those in groupby(sorted(entries, key=lambda e: "UDI".find(e.op)), key=lambda e: e.op):
        of_op = list(those)
        if table == LABS and op != "U":
            for _visit, of_visit in groupby(of_op, key=lambda e: (e.new or e.old or {}).get("visit_id")):
                yield _results(list(of_visit), how)
        elif op != "U" and len(of_op) > MOST_IN_FULL:
            yield _together(table, of_op, how)
        else:
            yield from (_row(entry, how) for entry in of_op)


def _results(entries: Sequence[AuditEntry], how: _How) -> RowDiff:
    """The results of one visit that were entered or deleted, a line each."""
    first, op = entries[0].new or entries[0].old or {}, entries[0].op
    lines = []
    for row in (entry.new or entry.old or {} for entry in entries):
        text = _value(LABS, "value", row, how) or _value(LABS, "missing_reason", row, how)
        typed = f"{row.get('typed_text') or ''} {_value(LABS, 'typed_unit', row, how)}".strip()
        note = _("typed %(text)s") % {"text": typed} if typed else ""
        lines.append(_one_sided(words.analyte_label(row.get("analyte")), text, op, note))
    visit = words.visit_label(how.names.row(words.VISITS, first.get("visit_id")))
    return RowDiff(
        title=f"{words.counted(LABS, len(entries))} · {visit}",
        note=words.row_note(LABS, first, how.names),
        op=op,
        verb=_verb(op),
        subject=how.names.subject(entries[0].patient_id),
        lines=tuple(lines),
    )


def _together(table: str, entries: Sequence[AuditEntry], how: _How) -> RowDiff:
    """Many rows of one table that were entered or deleted, a line each."""
    lines = []
    for entry in entries:
        row = entry.new or entry.old or {}
        facts = [
            f"{words.column_label(table, column)} {text}"
            for column in words.columns_of(table, entry.old, entry.new)
            if (text := _value(table, column, row, how))
        ]
        subject = how.names.subject(entry.patient_id)
        name = words.row_name(table, row, how.names)
        label = name if not subject or subject == name else f"{subject} · {name}"
        lines.append(Line(label, "", marks.semicolon().join(facts), "row"))
    op = entries[0].op
    return RowDiff(words.counted(table, len(entries)), "", op, _verb(op), "", tuple(lines))


def _one_sided(label: str, text: str, op: str, note: str) -> Line:
    return Line(label, text, "", "deleted", note) if op == "D" else Line(label, "", text, "entered", note)


def _value(table: str, column: str, row: Row, how: _How) -> str:
    """Return a value with its unit, kept back from those who may not see it."""
    value = row.get(column)
    if value not in (None, "") and words.is_hidden(table, column, how.sees_identity, how.sees_donor):
        return _("hidden")
    text = words.value_text(table, column, value, how.names, row=row, zone=how.zone)
    return f"{text} {words.lab_unit(row)}" if text and (table, column) == (LABS, "value") else text


def _verb(op: str) -> str:
    return {"I": _("entered"), "U": _("changed"), "D": _("deleted")}.get(op, op)


def changed_columns(entry: AuditEntry) -> list[str]:
    """Return the columns a change touched, housekeeping left out."""
    old, new = entry.old or {}, entry.new or {}
    return [c for c in words.columns_of(entry.table, old, new) if str(old.get(c)) != str(new.get(c))]


def _row(entry: AuditEntry, how: _How) -> RowDiff:
    now: Row = entry.new or entry.old or {}
    columns = words.columns_of(entry.table, entry.old, entry.new)
    if entry.op == "U" and not changed_columns(entry):
        columns = []  # its counter went up because rows that belong to it were written
    lines = [_line(entry, column, how) for column in columns]
    # what changed stands first; what is empty before and after says nothing
    shown = sorted(
        (line for line in lines if line.before or line.after), key=lambda line: line.state == "same"
    )
    return RowDiff(
        title=words.row_title(entry.table, now, how.names),
        note=words.row_note(entry.table, now, how.names),
        op=entry.op,
        verb=_verb(entry.op),
        subject=how.names.subject(entry.patient_id),
        lines=tuple(shown),
    )


def _line(entry: AuditEntry, column: str, how: _How) -> Line:
    table = entry.table
    old, new = entry.old or {}, entry.new or {}
    label = words.column_label(table, column)
    is_same = bool(entry.old and entry.new) and str(old.get(column)) == str(new.get(column))
    state = "same" if is_same else {"I": "entered", "D": "deleted"}.get(entry.op, "changed")
    before, after = _value(table, column, old, how), _value(table, column, new, how)
    if words.is_hidden(table, column, how.sees_identity, how.sees_donor):
        return Line(label, before, after, state, _("identifies a person"))
    if not is_same and before == after and before:
        # a difference that the reader's form does not show, such as a trailing zero
        before, after = str(old.get(column)), str(new.get(column))
    return Line(label, before, after, state, _("standard unit") if (table, column) == (LABS, "value") else "")
