"""A revision in a few words, for lists: ``W12 TBIL 171 → 17.1 µmol/L``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from trial import marks
from trial import trail_words as words
from trial.diff import changed_columns
from trial.models import AuditEntry
from trial.trail_words import (
    ANSWERS,
    EVENTS,
    IDENTITIES,
    INFUSIONS,
    LABS,
    LOTS,
    OUTCOMES,
    PATIENTS,
    QUERIES,
    QUERY_MESSAGES,
    SCREENINGS,
    TABLES,
    TREATMENTS,
    USERS,
    VISITS,
    Names,
)

MOST_LINES = 4
"""More changes of one table than this are counted instead of listed."""

_ICONS: Mapping[str, str] = {
    LABS: "flask",
    VISITS: "calendar",
    INFUSIONS: "drop",
    PATIENTS: "person",
    IDENTITIES: "person",
    USERS: "person",
    SCREENINGS: "check-circle",
    ANSWERS: "check-circle",
    OUTCOMES: "info",
    EVENTS: "warning",
    TREATMENTS: "drop",
}


@dataclass(frozen=True, slots=True)
class Told:
    """One thing that a revision did; before, after and unit are there when one value changed."""

    icon: str
    text: str
    before: str = ""
    after: str = ""
    unit: str = ""
    note: str = ""
    is_correction: bool = False

    @property
    def is_change(self) -> bool:
        return bool(self.before or self.after)

    def __str__(self) -> str:
        if not self.is_change:
            return self.text
        return " ".join(filter(None, (self.text, self.before or "–", "→", self.after or "–", self.unit)))


def tell(
    entries: Iterable[AuditEntry], names: Names, *, sees_identity: bool = False, sees_donor: bool = False
) -> list[Told]:
    """Return what a small revision did.

    Meant for the rows of one subject, or of none; a larger revision is counted
    with :func:`tell_in_numbers`.
    """
    by_table: dict[str, list[AuditEntry]] = {}
    for entry in entries:
        by_table.setdefault(entry.table, []).append(entry)
    told: list[Told] = []
    for table in (*TABLES, *sorted(set(by_table) - set(TABLES))):
        by_op = {op: [entry for entry in by_table.get(table, ()) if entry.op == op] for op in "IUD"}
        if by_op["I"]:
            told += _ADDED.get(table, _added)(by_op["I"], by_table, names)
        if by_op["U"] and not (table == QUERIES and QUERY_MESSAGES in by_table):
            told += _changed(table, by_op["U"], names, (sees_identity, sees_donor))
        if by_op["D"]:
            told.append(_gone(table, by_op["D"], names))
    return told


def tell_merges(entries: Iterable[AuditEntry], names: Names) -> list[Told]:
    """Return which codes a revision gave up or took back, of the changed rows of subjects."""
    return [
        _merged(entry, names)
        for entry in entries
        if (entry.table, entry.op) == (PATIENTS, "U") and "merged_into_id" in changed_columns(entry)
    ]


def tell_in_numbers(counts: Iterable[tuple[str, str, int]], *, at_least: bool = False) -> Told:
    """Return what a large revision did: how many rows of what.

    Parameters
    ----------
    counts
        Table, kind of write (I, U, D) and number of rows.
    at_least
        Whether counting stopped early.
    """
    order = {table: place for place, table in enumerate(TABLES)}
    ordered = sorted(counts, key=lambda c: ("IUD".find(c[1]), order.get(c[0], len(order))))
    patterns = {"I": _("%(what)s entered"), "U": _("%(what)s changed"), "D": _("%(what)s deleted")}
    sentences = [
        patterns[op] % {"what": marks.listed(words.counted(table, rows) for table, _op, rows in of_op)}
        for op, of_op in groupby(ordered, key=lambda c: c[1])
    ]
    text = marks.semicolon().join(sentences)
    corrects = any(op != "I" for _table, op, _rows in ordered)
    return Told("file", _("at least %(what)s") % {"what": text} if at_least else text, is_correction=corrects)


# --- entered --------------------------------------------------------------------------------

ByTable = Mapping[str, Sequence[AuditEntry]]


def _added(entries: Sequence[AuditEntry], by_table: ByTable, names: Names) -> list[Told]:
    """Any table: its rows by name, or their number."""
    table = entries[0].table
    icon = _ICONS.get(table, "plus-circle")
    if len(entries) > MOST_LINES:
        return [Told(icon, _("%(what)s entered") % {"what": words.counted(table, len(entries))})]
    return [Told(icon, _("%(what)s entered") % {"what": _which(entry, names)}) for entry in entries]


def _added_results(entries: Sequence[AuditEntry], by_table: ByTable, names: Names) -> list[Told]:
    """``W12 entered: 9 analytes`` with a new visit, ``W12 added: ALT, AST`` to an old one."""
    new_visits = {entry.row for entry in by_table.get(VISITS, ()) if entry.op == "I"}
    told = []
    of_visit = sorted(entries, key=lambda entry: (str((entry.new or {}).get("visit_id")), entry.pk))
    for visit, results in groupby(of_visit, key=lambda entry: (entry.new or {}).get("visit_id")):
        rows = [entry.new or {} for entry in results]
        draw = names.draw(rows[0])
        missing = sum(row.get("value") is None for row in rows)
        if visit not in new_visits and len(rows) <= MOST_LINES:
            analytes = marks.listed(words.analyte_label(row.get("analyte")) for row in rows)
            text = _("%(draw)s added: %(analytes)s") % {"draw": draw, "analytes": analytes}
        else:
            count = ngettext("%(n)s analyte", "%(n)s analytes", len(rows)) % {"n": len(rows)}
            pattern = (
                _("%(draw)s entered: %(count)s") if visit in new_visits else _("%(draw)s added: %(count)s")
            )
            text = pattern % {"draw": draw, "count": count}
        note = (
            ngettext("%(n)s without a value", "%(n)s without a value", missing) % {"n": missing}
            if missing
            else ""
        )
        told.append(Told("flask", text, note=note))
    return told


def _added_visits(entries: Sequence[AuditEntry], by_table: ByTable, names: Names) -> list[Told]:
    """A new visit is told with its results; alone, with its day."""
    with_results = {(entry.new or {}).get("visit_id") for entry in by_table.get(LABS, ()) if entry.op == "I"}
    told = []
    for row in (entry.new or {} for entry in entries if entry.row not in with_results):
        if row.get("not_done"):
            why = words.value_text(VISITS, "not_done", row["not_done"], names)
            said = _("Visit of %(visit)s not done: %(why)s") % {"visit": words.visit_label(row), "why": why}
            told.append(Told("calendar", said, note=str(row.get("note") or "")))
        else:
            said = _("Visit of %(visit)s recorded") % {"visit": words.visit_label(row)}
            told.append(Told("calendar", said, note=str(row.get("visited_on") or "")))
    return told


def _added_infusions(entries: Sequence[AuditEntry], by_table: ByTable, names: Names) -> list[Told]:
    """``Infusion 8 given, lot UC-2604-D, 55.0 × 10⁶ cells``."""
    told = []
    for row in (entry.new or {} for entry in entries):
        parts = [_("Infusion %(number)s given") % {"number": row.get("number")}]
        if lot := names.row(LOTS, row.get("lot_id")).get("code"):
            parts.append(_("lot %(code)s") % {"code": lot})
        if row.get("cells") is not None:
            parts.append(_("%(cells)s cells") % {"cells": words.cells_text(row["cells"])})
        weight = words.value_text(INFUSIONS, "weight_kg", row.get("weight_kg"), names)
        facts = [f"{weight} kg" if weight else "", str(row.get("reaction") or "") or _("no reaction")]
        told.append(Told("drop", marks.comma().join(parts), note=" · ".join(filter(None, facts))))
    return told


def _added_subjects(entries: Sequence[AuditEntry], by_table: ByTable, names: Names) -> list[Told]:
    return [
        Told(
            "person",
            _("%(subject)s registered") % {"subject": row.get("subject_id")},
            note=" · ".join(
                filter(
                    None,
                    (words.value_text(PATIENTS, column, row.get(column), names)
                     for column in ("diagnosis", "planned_course")),
                )
            ),
        )
        for row in (entry.new or {} for entry in entries)
    ]  # fmt: skip


def _added_screenings(entries: Sequence[AuditEntry], by_table: ByTable, names: Names) -> list[Told]:
    """``Screening of 2026-02-01: eligible``, with the number of criteria answered."""
    told = []
    for entry in entries:
        row = entry.new or {}
        answers = sum(
            (a.new or {}).get("screening_id") == entry.row for a in by_table.get(ANSWERS, ()) if a.op == "I"
        )
        count = ngettext("%(n)s criterion answered", "%(n)s criteria answered", answers) % {"n": answers}
        verdict = words.value_text(SCREENINGS, "verdict", row.get("verdict"), names)
        text = _("Screening of %(day)s: %(verdict)s") % {"day": row.get("screened_on"), "verdict": verdict}
        told.append(Told("check-circle", text, note=count if answers else ""))
    return told


def _added_answers(entries: Sequence[AuditEntry], by_table: ByTable, names: Names) -> list[Told]:
    """Answers of a screening that was there before; new screenings tell theirs themselves."""
    new = {entry.row for entry in by_table.get(SCREENINGS, ()) if entry.op == "I"}
    later = [entry for entry in entries if (entry.new or {}).get("screening_id") not in new]
    return _added(later, by_table, names) if later else []


def _added_outcomes(entries: Sequence[AuditEntry], by_table: ByTable, names: Names) -> list[Told]:
    return [
        Told(
            "info",
            _("Outcome recorded: %(kind)s on %(day)s")
            % {
                "kind": words.value_text(OUTCOMES, "kind", row.get("kind"), names),
                "day": row.get("happened_on"),
            },
            note=str(row.get("note") or ""),
        )
        for row in (entry.new or {} for entry in entries)
    ]


def _added_events(entries: Sequence[AuditEntry], by_table: ByTable, names: Names) -> list[Told]:
    """``Adverse event: Fever, grade 2, since 2026-01-22``, serious ones marked."""
    told = []
    for row in (entry.new or {} for entry in entries):
        text = _("Adverse event: %(term)s, grade %(grade)s, since %(day)s") % {
            "term": _(row.get("term") or ""),
            "grade": row.get("grade"),
            "day": row.get("onset_on"),
        }
        serious = words.value_text(EVENTS, "serious", row.get("serious"), names)
        told.append(Told("warning", text, note=_("serious: %(why)s") % {"why": serious} if serious else ""))
    return told


def _added_treatments(entries: Sequence[AuditEntry], by_table: ByTable, names: Names) -> list[Told]:
    """``Plasma 400 mL from 2026-01-11``, with its end when it has one."""
    told = []
    for row in (entry.new or {} for entry in entries):
        kind = words.value_text(TREATMENTS, "kind", row.get("kind"), names)
        what = " ".join(filter(None, (kind, str(row.get("agent") or ""), str(row.get("dose") or ""))))
        days = {"what": words.capital(what), "start": row.get("started_on"), "end": row.get("ended_on")}
        pattern = _("%(what)s from %(start)s to %(end)s") if days["end"] else _("%(what)s from %(start)s")
        told.append(Told("drop", pattern % days, note=str(row.get("note") or "")))
    return told


def _added_identities(entries: Sequence[AuditEntry], by_table: ByTable, names: Names) -> list[Told]:
    return [Told("person", _("Identity recorded")) for _entry in entries]


def _added_messages(entries: Sequence[AuditEntry], by_table: ByTable, names: Names) -> list[Told]:
    """``Query on W4 INR answered: as on the report``; the query's own row says no more."""
    patterns = {
        "opened": _("Query on %(what)s opened: %(text)s"),
        "answered": _("Query on %(what)s answered: %(text)s"),
        "closed": _("Query on %(what)s closed: %(text)s"),
        "reopened": _("Query on %(what)s reopened: %(text)s"),
        "assigned": _("Query on %(what)s passed on: %(text)s"),
    }
    told = []
    for row in (entry.new or {} for entry in entries):
        what = words.query_label(names.row(QUERIES, row.get("query_id")), names)
        pattern = patterns.get(str(row.get("step")), "%(what)s: %(text)s")
        told.append(
            Told("query", (pattern % {"what": what, "text": words.message_text(row)}).rstrip(": \uff1a"))
        )
    return told


def _added_queries(entries: Sequence[AuditEntry], by_table: ByTable, names: Names) -> list[Told]:
    """A query is told by its first message."""
    with_messages = {(entry.new or {}).get("query_id") for entry in by_table.get(QUERY_MESSAGES, ())}
    alone = [entry for entry in entries if entry.row not in with_messages]
    return _added(alone, by_table, names) if alone else []


def _added_signatures(entries: Sequence[AuditEntry], by_table: ByTable, names: Names) -> list[Told]:
    """``W12 signed``, with what the signature means."""
    told = []
    for entry in entries:
        row = entry.new or {}
        what = names.draw(row) if row.get("visit_id") is not None else _("Casebook")
        meaning = words.value_text(entry.table, "meaning", row.get("meaning"), names)
        told.append(Told("pencil", _("%(what)s signed") % {"what": what}, note=meaning))
    return told


def _added_verifications(entries: Sequence[AuditEntry], by_table: ByTable, names: Names) -> list[Told]:
    """How many: a verification has no name of its own."""
    what = words.counted(_VERIFICATIONS, len(entries))
    return [Told("check-circle", _("%(what)s entered") % {"what": what})]


_VERIFICATIONS = "patients_verification"
_ADDED: Mapping[str, Callable[[Sequence[AuditEntry], ByTable, Names], list[Told]]] = {
    LABS: _added_results,
    VISITS: _added_visits,
    INFUSIONS: _added_infusions,
    PATIENTS: _added_subjects,
    SCREENINGS: _added_screenings,
    ANSWERS: _added_answers,
    OUTCOMES: _added_outcomes,
    EVENTS: _added_events,
    TREATMENTS: _added_treatments,
    IDENTITIES: _added_identities,
    QUERIES: _added_queries,
    QUERY_MESSAGES: _added_messages,
    "patients_signature": _added_signatures,
    _VERIFICATIONS: _added_verifications,
}


# --- changed --------------------------------------------------------------------------------


def _changed(table: str, entries: Sequence[AuditEntry], names: Names, sees: tuple[bool, bool]) -> list[Told]:
    told = [
        line
        for entry in entries
        for line in (_changed_result(entry, names) if table == LABS else _changed_row(entry, names, sees))
    ]
    told = list(dict.fromkeys(told))  # a time of draw that moved is told once, not per analyte
    if len(told) <= MOST_LINES:
        return told
    what = words.counted(table, len(entries))
    return [Told("pencil", _("%(what)s changed") % {"what": what}, is_correction=True)]


def _changed_result(entry: AuditEntry, names: Names) -> list[Told]:
    """``W12 TBIL 171 → 17.1 µmol/L``; a reason stands where there is no value."""
    columns = set(changed_columns(entry))
    old, new = entry.old or {}, entry.new or {}
    draw = names.draw(new)
    which = f"{draw} {words.analyte_label(new.get('analyte'))}"
    if columns & {"value", "comparator", "missing_reason"}:
        before, after = (
            words.lab_text(row, row["value"], padded=False)
            if row.get("value") is not None
            else words.value_text(LABS, "missing_reason", row.get("missing_reason"), names)
            for row in (old, new)
        )
        if before == after:
            before, after = str(old.get("value")), str(new.get("value"))  # they differ in a trailing zero
        unit = words.lab_unit(new) if new.get("value") is not None else ""
        return [Told("pencil", which, before, after, unit, is_correction=True)]
    if columns == {"sampled_at"}:
        pattern = (
            _("%(draw)s time of draw corrected")
            if old.get("sampled_at")
            else _("%(draw)s time of draw added")
        )
        return [Told("pencil", pattern % {"draw": draw}, is_correction=bool(old.get("sampled_at")))]
    return [_one_value(entry, which, column, names) for column in sorted(columns)]


def _changed_row(entry: AuditEntry, names: Names, sees: tuple[bool, bool]) -> list[Told]:
    old, new = entry.old or {}, entry.new or {}
    columns = changed_columns(entry)
    which = _which(entry, names)
    if "voided_at" in columns:
        pattern = _("%(what)s restored") if new.get("voided_at") is None else _("%(what)s voided")
        icon = "refresh" if new.get("voided_at") is None else "cross-circle"
        return [Told(icon, pattern % {"what": which}, is_correction=True)]
    told = []
    for column in columns:
        if (entry.table, column) == (PATIENTS, "merged_into_id"):
            told.append(_merged(entry, names))
            continue
        if column in _LOCKS:
            told.append(_locked(entry, which, column))
            continue
        label = words.column_label(entry.table, column)
        if words.is_hidden(entry.table, column, *sees):
            text = _("%(what)s: %(column)s changed") % {"what": which, "column": label}
            told.append(Told("pencil", text, note=_("hidden"), is_correction=True))
        elif not old.get(column) and column == "visited_on":
            text = _("%(what)s: day added") % {"what": which}
            told.append(Told("pencil", text, note=str(new.get(column))))
        else:
            told.append(_one_value(entry, which, column, names))
    return told


_LOCKS = frozenset({"locked_at", "frozen_at"})
"""Columns that keep a row as it is from an instant on; their day says less than what they do."""


def _locked(entry: AuditEntry, which: str, column: str) -> Told:
    """``W12 locked``, ``Subject unlocked``, ``Site GE frozen``."""
    is_set = (entry.new or {}).get(column) is not None
    if column == "frozen_at":
        pattern = _("%(what)s frozen") if is_set else _("%(what)s unfrozen")
    else:
        pattern = _("%(what)s locked") if is_set else _("%(what)s unlocked")
    return Told("lock", pattern % {"what": which})


def _merged(entry: AuditEntry, names: Names) -> Told:
    """``GE-042 merged into GE-007``, and back."""
    was, now = ((row or {}).get("merged_into_id") for row in (entry.old, entry.new))
    pattern = _("%(code)s merged into %(subject)s") if now else _("%(code)s parted from %(subject)s again")
    said = {"code": (entry.new or {}).get("subject_id"), "subject": names.subject(now or was)}
    return Told("person", pattern % said, is_correction=True)


def _one_value(entry: AuditEntry, which: str, column: str, names: Names) -> Told:
    old, new = entry.old or {}, entry.new or {}
    before, after = (
        words.value_text(entry.table, column, row.get(column), names, row=row) for row in (old, new)
    )
    text = _("%(what)s: %(column)s") % {"what": which, "column": words.column_label(entry.table, column)}
    return Told("pencil", text, before, after, is_correction=True)


def _which(entry: AuditEntry, names: Names) -> str:
    """Return a row in short: ``W12``, ``Infusion 5``, ``Lot UC-2604-D``."""
    row = entry.new or entry.old or {}
    if entry.table == VISITS:
        return words.draw_label(row)
    if entry.table in {PATIENTS, IDENTITIES}:
        return words.table_label(entry.table)
    if entry.table == _VERIFICATIONS:
        return words.counted(_VERIFICATIONS, 1)
    return words.row_title(entry.table, row, names).replace(" · ", " ", 1)


def _gone(table: str, entries: Sequence[AuditEntry], names: Names) -> Told:
    what = _which(entries[0], names) if len(entries) == 1 else words.counted(table, len(entries))
    return Told("cross-circle", _("%(what)s deleted") % {"what": what}, is_correction=True)
