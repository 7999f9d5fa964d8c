"""What the pages of an import show: kinds, columns, piles, what needs a person, what was written."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.utils.translation import gettext as _

from analytics import import_groups
from analytics.imports import KINDS
from patients.edit_checks import DAY_FIELD
from patients.imports.columns import Column, Role, letter_of, plain, proposed
from patients.imports.identifiers import BAR
from patients.imports.kinds import Kind
from patients.imports.options import options_of
from patients.imports.tables import own_columns
from patients.imports.visits import LONG
from patients.models import ImportMapping, Laboratory
from trial import marks, protocol, trail_words
from trial.models import Job, Revision, User
from trial.unit_words import unit_said

LEFT_OUT = "-"
"""What the page calls a column that is to stay out."""


@dataclass(frozen=True, slots=True)
class Described:
    """What a kind of file holds, for whoever prepares one."""

    label: str
    columns: str


def described() -> list[Described]:
    """Return the kinds of files and the columns they have; those in front are needed."""
    found = []
    for kind in KINDS.values():
        needed = [field.code for field in kind.fields if field.required]
        others = [field.code for field in kind.fields if not field.required]
        if protocol.CRITERIA[0].code in others:
            criteria = tuple(protocol.CRITERION_AT)
            first = criteria[0]
            others = [code for code in others if code in criteria or not code.startswith(criteria)]
            others += [f"{first}_evidence", f"{first}_on", "…"]
        others = import_groups.without_sets(others)
        if kind.analytes:
            others = [code for code in others if code not in LONG] + [
                *protocol.REQUIRED_ANALYTES,
                "tbil_unit",
                "…",
            ]
        found.append(Described(kind_label(kind.name), f"{', '.join(needed)}; {', '.join(others)}"))
    return found


def kind_label(name: str) -> str:
    """Return what a kind of file is called."""
    labels = {
        "subjects": _("Subjects"),
        "screening": _("Screening"),
        "infusions": _("Infusions"),
        "visits": _("Visits"),
        "events": _("Events"),
    }
    return labels.get(name, name)


# --- columns --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Choice:
    """One thing a column may hold; ``key`` is what the form sends."""

    key: str
    label: str


@dataclass(frozen=True, slots=True)
class ColumnShown:
    """One column of a file: where it stands, what it is called, what it holds and what that means."""

    letter: str
    header: str
    values: list[str]
    key: str
    unit: str
    units: list[Choice]
    is_own: bool
    is_undecided: bool


_ROLE_WORDS = {Role.UNIT: "unit", Role.MISSING: "missing reason", Role.COMPARATOR: "comparator"}


def key_of(column: Column) -> str:
    """Return what the form calls the meaning of a column; the import understands it as a header."""
    return f"{column.code} {_ROLE_WORDS[column.role]}" if column.role in _ROLE_WORDS else column.code


def columns_of(job: Job, posted: Mapping[str, str] | None = None) -> list[ColumnShown]:
    """Return the columns of an uploaded file with what was proposed, or what was just chosen."""
    table = job.result.get("table") or {}
    headers: list[str] = table.get("headers", [])
    options = options_of(job.parameters["options"]) if job.parameters.get("options") else options_of({})
    own = own_columns(headers)
    said = {plain(name) for name in options.columns}
    shown = []
    for column, at in zip(
        proposed(headers, KINDS[job.parameters["kind"]].layout.meanings, options),
        range(len(headers)),
        strict=True,
    ):
        letter, header, values = letter_of(at), headers[at], table["values"][at]
        is_said = letter in options.places or (bool(header.strip()) and plain(header) in said)
        key, unit = (key_of(column), column.unit) if column else ("", "")
        if column is None and (is_said or not (header.strip() or values)):
            key = LEFT_OUT
        if posted is not None:
            key, unit = posted.get(f"means:{letter}", key), posted.get(f"unit:{letter}", unit)
        analyte = protocol.ANALYTES.get(column.code) if column and column.role is Role.VALUE else None
        accepted = [Choice(name, unit_said(name)) for name in (analyte.accepted if analyte else {})]
        shown.append(
            ColumnShown(letter, header, values, key, unit, accepted, at in own, not key and at not in own)
        )
    return shown


def choices_of(kind: Kind) -> list[tuple[str, list[Choice]]]:
    """Return everything a column of one kind of file may hold, by group."""
    needed = [Choice(field.code, f"{_field_label(field.code)} *") for field in kind.fields if field.required]
    codes = [field.code for field in kind.fields if not field.required]
    sets = import_groups.sets_of(codes)
    in_sets = {code for _name, its in sets for code in its}
    others = [Choice(code, _field_label(code)) for code in codes if code not in in_sets]
    found = [(_("Columns of this kind"), [*needed, *others])]
    found += [(name, [Choice(code, _field_label(code)) for code in its]) for name, its in sets]
    if kind.analytes:
        panel = protocol.PANEL
        found.append((_("Laboratory values"), [Choice(a.code, f"{_(a.label)} · {_(a.name)}") for a in panel]))
        for role, label in (
            (Role.UNIT, _("Units of a value")),
            (Role.MISSING, _("Why a value is missing")),
            (Role.COMPARATOR, _("Sign before a value")),
        ):
            found.append(
                (
                    label,
                    [
                        Choice(f"{a.code} {_ROLE_WORDS[role]}", f"{_(a.label)}{marks.colon()}{label}")
                        for a in panel
                    ],
                )
            )
    return found


def said_of_columns(columns: Sequence[ColumnShown], before: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that say what was chosen for each column; ``before`` keeps what else was said."""
    names = [plain(column.header) for column in columns]
    said: dict[str, Any] = {"columns": {}, "units": {}, "places": {}}
    for column in columns:
        if column.is_own or column.is_undecided:
            continue
        means = "" if column.key == LEFT_OUT else column.key
        if column.header.strip() and BAR not in column.header and names.count(plain(column.header)) == 1:
            said["columns"][column.header] = means
        else:
            said["places"][column.letter] = means
        if column.unit and column.key in protocol.ANALYTES:
            said["units"][column.header if column.header.strip() else column.key] = column.unit
    rest = {name: value for name, value in before.items() if name not in said}
    return rest | {name: value for name, value in said.items() if value}


def said_without(job: Job, letters: Collection[str]) -> dict[str, Any]:
    """Return the options under which a file that was refused for identifiers is read without those columns.

    ``letters`` are the columns to leave out, of those that the refusal named.
    """
    options = dict(job.parameters.get("options", {}))
    columns, places = dict(options.get("columns", {})), dict(options.get("places", {}))
    found = [one for one in job.result.get("erased", ()) if one["letter"] in letters]
    names = [plain(one["header"]) for one in found]
    for one, name in zip(found, names, strict=True):
        if name and names.count(name) == 1:
            columns[one["header"]] = ""
        else:
            places[one["letter"]] = ""
    return {**options, "columns": columns, "places": places}


def mapping_of(laboratory: Laboratory | None, kind: str) -> ImportMapping | None:
    """Return what is remembered of the files of a laboratory."""
    return ImportMapping.objects.filter(laboratory=laboratory, kind=kind).first()


def laboratory_of(job: Job, user: User) -> Laboratory | None:
    """Return the laboratory a file is said to come from."""
    chosen = job.parameters.get("laboratory")
    return Laboratory.objects.visible_to(user).filter(pk=chosen).first() if chosen else None


# --- piles ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PileShown:
    """One pile as the page shows it; ``start`` and ``rows`` are its place in the bar."""

    name: str
    label: str
    meaning: str
    icon: str
    rows: int
    values: int
    start: int

    @property
    def end(self) -> int:
        return self.start + self.rows


def piles(job: Job) -> list[PileShown]:
    """Return the five piles of a finished preview or import, or nothing."""
    counts, values = job.result.get("counts"), job.result.get("values", {})
    if not counts:
        return []
    shown, start = [], 0
    for name, label, meaning, icon in (
        ("new", _("New"), _("empty here, filled by the file"), "plus-circle"),
        ("same", _("Same"), _("nothing to do"), "equals"),
        ("changed", _("Changed"), _("what you decide for the file"), "swap"),
        ("conflict", _("Conflict"), _("differs from what is here: you decide"), "warning"),
        ("refused", _("Refused"), _("breaks a rule; nothing is saved"), "cross-circle"),
    ):
        shown.append(PileShown(name, label, meaning, icon, counts[name], values.get(name, 0), start))
        start += counts[name]
    return shown


@dataclass(frozen=True, slots=True)
class Needs:
    """What of a file asks for a person, as far as the page lists it: conflicts, refusals, values to look at."""

    conflicts: list[dict[str, Any]]
    refused: list[dict[str, Any]]
    changed: list[dict[str, Any]]
    more_conflicts: int
    more_refused: int
    warned: list[dict[str, Any]]
    to_look_at: int
    more_to_look_at: int
    without_reason: int = 0


def needs(job: Job, posted: Mapping[str, str] | None = None) -> Needs:
    """Return what a person has to look at, with fields in words and the choices just made."""
    result = job.result
    conflicts, changed = (
        [_shown(entry) for entry in result.get(pile, [])] for pile in ("conflict", "changed_cells")
    )
    codes = {reason.code for reason in protocol.CHANGE_REASONS}
    for found in conflicts:
        place = f"{found['line']}:{found['field']}"
        take, why = (posted or {}).get(f"take:{place}", ""), (posted or {}).get(f"why:{place}", "")
        found["take"] = take if take in ("here", "file") else ""
        found["why"] = why if why in codes else ""
        found["has_no_reason"] = found["take"] == "file" and not found["why"]
    refused = result.get("refused", [])
    values = result.get("values", {})
    warned = [
        found | {"label": _field_label(found["field"]), "may_stay_out": found["field"] in protocol.ANALYTES}
        for found in result.get("warned", [])
    ]
    to_look_at = result.get("to_look_at", 0)
    return Needs(
        conflicts,
        refused,
        changed,
        max(0, values.get("conflict", 0) - len(conflicts)),
        max(0, values.get("refused", 0) - len(refused)),
        warned,
        to_look_at,
        max(0, to_look_at - len(warned)),
        sum(found["has_no_reason"] for found in conflicts),
    )


def _shown(entry: dict[str, Any]) -> dict[str, Any]:
    """Return one difference with its field in words; the file's own words only where they say more."""
    field = entry["field"]
    unit = protocol.ANALYTES[field].unit if field in protocol.ANALYTES else ""
    said = entry["said"] if entry["said"] != f"{entry['there']} {unit}" else ""
    digits = [sorted(filter(str.isdigit, entry[side])) for side in ("here", "there")]
    return entry | {
        "label": _field_label(field),
        "unit": _unit(field),
        "said": said,
        "is_swapped": digits[0] == digits[1] and len(digits[0]) > 1 and field in protocol.ANALYTES,
    }


def _field_label(field: str) -> str:
    if field in protocol.ANALYTES:
        return protocol.ANALYTES[field].label
    labels = {
        "subject_id": _("subject code"),
        "week": _("week"),
        "visit_date": _("visit date"),
        DAY_FIELD: _("visit date"),
        "analyte": _("analyte, named in each row"),
        "value": _("value, in a row of its own"),
        "unit": _("unit of that value"),
        "comparator": _("sign before that value (< or >)"),
        "missing": _("why that value is missing"),
        "typed": _("that value as it was typed"),
        "typed_unit": _("its unit as it was typed"),
        "unscheduled": _("unscheduled visit"),
        "not_done": _("why the visit was not done"),
        "ascites": _("ascites"),
        "encephalopathy": _("encephalopathy, West Haven"),
        "note": _("note"),
        "laboratory": _("laboratory"),
        "drawn_at": _("drawn at, day and hour"),
        "site": _("site"),
        "sex": _("sex"),
        "birth_date": _("date of birth"),
        "age": _("age"),
        "diagnosis": _("diagnosis"),
        "recruited_on": _("recruited on"),
        "planned_course": _("planned course"),
        "status": _("status"),
        "verdict": _("verdict of the screening"),
        "screened_on": _("screened on"),
        "rule_set": _("rule set of the checks"),
        "protocol_version": _("version of the protocol"),
        "number": _("number of the infusion"),
        "given_on": _("given on"),
        "weight_kg": _("weight, kg"),
        "cells": _("cells"),
        "cells_per_kg": _("cells per kg"),
        "volume_ml": _("volume, mL"),
        "lot": _("lot"),
        "started_at": _("started at"),
        "stopped_at": _("stopped at"),
        "deviation": _("deviation, coded"),
        "deviation_note": _("note on the deviation"),
        "reaction": _("reaction"),
        "reaction_grade": _("grade of the reaction"),
        "vein": _("vein"),
        "bag": _("bag"),
        "interruption": _("interruption"),
        "observed_until": _("observed until"),
        "checked_by": _("identity checked by"),
        "event": _("kind of event"),
        "term": _("term"),
        "agent": _("agent"),
        "date": _("date"),
        "time": _("hour"),
        "end_date": _("end"),
        "end_time": _("hour of the end"),
        "grade": _("grade, CTCAE"),
        "serious": _("serious because"),
        "known_at": _("known to the site at"),
        "reported_at": _("reported at"),
        "relation": _("relation to the infusions"),
        "action": _("action taken"),
        "result": _("outcome of the event"),
        "dose": _("dose"),
        "lab_analyte": _("laboratory value that was graded: analyte"),
        "lab_week": _("laboratory value that was graded: week"),
        "lab_date": _("laboratory value that was graded: day"),
        "ctcae_version": _("version of the criteria"),
    }
    return labels.get(field) or import_groups.label_of(field) or field.replace("_", " ")


def _unit(field: str) -> str:
    return protocol.ANALYTES[field].unit_symbol if field in protocol.ANALYTES else ""


# --- what was written -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ReadBack:
    """How many records of one table a revision wrote, read from the database again."""

    what: str
    entered: int
    changed: int
    later: int


_READ_BACK = """
SELECT e."table", count(*), count(*) FILTER (WHERE e.op = 'I'), count(*) FILTER (WHERE e.op = 'U'),
    count(*) FILTER (WHERE EXISTS (
        SELECT FROM trial_auditentry x WHERE x."table" = e."table" AND x."row" = e."row" AND x.id > e.id
            AND x.revision_id <> e.revision_id))
FROM trial_auditentry e WHERE e.revision_id = %s GROUP BY 1 ORDER BY min(e.id)
"""


def revision_of(job: Job) -> Revision | None:
    """Return the revision that an import wrote, if it wrote one."""
    number = job.result.get("revision") if job.kind == "import_commit" else None
    return Revision.objects.filter(number=number).first() if number else None


def read_back(revision: Revision) -> list[ReadBack]:
    """Return what an import wrote, as the database holds it now."""
    with connection.cursor() as cursor:
        cursor.execute(_READ_BACK, [revision.pk])
        return [
            ReadBack(trail_words.counted(table, rows), entered, changed, later)
            for table, rows, entered, changed, later in cursor.fetchall()
        ]
