"""The words of the trail: what a table, a row, a column and a value are called on screen.

Works on rows as the trail keeps them (JSON), never on the rows of today: a
revision reads the same in ten years. Tables of the floors above are known here
by their names only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from django.apps import apps
from django.conf import settings
from django.db import models
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop, ngettext

from trial import marks, protocol, units, value_reasons, vocabulary
from trial.sentences import Sentence

Row = Mapping[str, Any]

LABS, VISITS, INFUSIONS, LOTS = (
    "patients_labresult",
    "patients_visit",
    "infusions_infusion",
    "infusions_celllot",
)
PATIENTS, IDENTITIES, OUTCOMES = "patients_patient", "patients_patientidentity", "patients_outcome"
EVENTS, TREATMENTS = "patients_adverseevent", "patients_treatment"
SCREENINGS, ANSWERS, SITES, USERS = (
    "patients_screening",
    "patients_screeninganswer",
    "trial_site",
    "trial_user",
)

QUERIES, QUERY_MESSAGES = "patients_dataquery", "patients_querymessage"

TABLES: Mapping[str, Any] = {
    LABS: gettext_lazy("Lab result"),
    VISITS: gettext_lazy("Visit"),
    INFUSIONS: gettext_lazy("Infusion"),
    SCREENINGS: gettext_lazy("Screening"),
    ANSWERS: gettext_lazy("Criterion"),
    OUTCOMES: gettext_lazy("Outcome"),
    PATIENTS: gettext_lazy("Subject"),
    IDENTITIES: gettext_lazy("Identity"),
    "patients_screeningfact": gettext_lazy("Fact of the screening"),
    "patients_adverseevent": gettext_lazy("Adverse event"),
    "patients_confirmedgrade": gettext_lazy("Confirmed grade"),
    "patients_treatment": gettext_lazy("Treatment"),
    "patients_dataquery": gettext_lazy("Query"),
    "patients_querymessage": gettext_lazy("Message of a query"),
    "patients_verification": gettext_lazy("Verification"),
    "patients_signature": gettext_lazy("Signature"),
    "infusions_vitalsigns": gettext_lazy("Vital signs"),
    "infusions_plannedinfusion": gettext_lazy("Planned infusion"),
    "infusions_coursedecision": gettext_lazy("Decision on the course"),
    LOTS: gettext_lazy("Lot"),
    "infusions_releasetest": gettext_lazy("Release test"),
    "infusions_custodyevent": gettext_lazy("Custody"),
    "patients_laboratory": gettext_lazy("Laboratory"),
    "patients_laboratoryunit": gettext_lazy("Unit of a laboratory"),
    "patients_referencerange": gettext_lazy("Reference range"),
    "patients_importmapping": gettext_lazy("Columns of a laboratory's files"),
    SITES: gettext_lazy("Site"),
    USERS: gettext_lazy("Account"),
}
"""What a row of each table is called, in the order in which a revision shows them."""

REFERENCES: Mapping[str, str] = {
    "patient_id": PATIENTS,
    "visit_id": VISITS,
    "screening_id": SCREENINGS,
    "assigned_to_id": USERS,
    "author_id": USERS,
    "confirmed_by_id": USERS,
    "infusion_id": INFUSIONS,
    "lab_result_id": LABS,
    "laboratory_id": "patients_laboratory",
    "lot_id": LOTS,
    "merged_into_id": PATIENTS,
    "opened_by_id": USERS,
    "query_id": "patients_dataquery",
    "signed_by_id": USERS,
    "site_id": SITES,
    "verified_by_id": USERS,
}
"""Columns that point to a row of another table."""

HOUSEKEEPING = frozenset({"id", "version"})
"""Columns that say nothing about the study; the export of the trail has them."""

IDENTIFYING: Mapping[str, frozenset[str]] = {
    IDENTITIES: frozenset({"name", "hospital_number", "phone"}),
    PATIENTS: frozenset({"birth_date"}),
}
"""Columns whose values are seen only with the right to see who a subject is."""

DONOR = (LOTS, "donor_code")
"""Whose cells a lot is made of: seen by who enters lots and who releases them."""

_OF_THE_TITLE: Mapping[str, frozenset[str]] = {
    LABS: frozenset({"visit_id", "analyte"}),
    VISITS: frozenset({"week"}),
    INFUSIONS: frozenset({"number"}),
    ANSWERS: frozenset({"screening_id", "criterion"}),
    "patients_screeningfact": frozenset({"screening_id", "fact"}),
    OUTCOMES: frozenset({"kind"}),
    EVENTS: frozenset({"term"}),
    TREATMENTS: frozenset({"kind", "agent", "started_on"}),
    SCREENINGS: frozenset({"screened_on"}),
    QUERIES: frozenset({"topic", "visit_id", "number", "field"}),
    QUERY_MESSAGES: frozenset({"query_id"}),
    PATIENTS: frozenset({"subject_id"}),
    LOTS: frozenset({"code"}),
    SITES: frozenset({"code"}),
    USERS: frozenset({"username"}),
}
_CELLS_PRINTED = Decimal(10) ** 6


@dataclass(frozen=True, slots=True)
class Names:
    """What the rows that others point to are called, as the trail last knew them."""

    rows: Mapping[tuple[str, int], Row] = field(default_factory=dict)

    def row(self, table: str, key: Any) -> Row:
        """Return a row, empty when the trail does not know it."""
        return self.rows.get((table, key), {}) if isinstance(key, int) else {}

    def subject(self, patient: int | None) -> str:
        """Return a subject's code."""
        return str(self.row(PATIENTS, patient).get("subject_id", "")) if patient else ""

    def draw(self, row: Row) -> str:
        """Return the visit of a lab result in short: ``W12`` or the day of an unscheduled draw."""
        return draw_label(self.row(VISITS, row.get("visit_id")))


def draw_label(visit: Row) -> str:
    """Return a visit in short: ``W12``, or the day of an unscheduled draw."""
    if visit.get("week") is not None:
        return _("W%(week)s") % {"week": visit["week"]}
    return str(visit.get("visited_on") or _("unscheduled"))


def references(rows: Iterable[Row]) -> set[tuple[str, int]]:
    """Return the rows that others point to."""
    return {
        (table, row[column])
        for row in rows
        for column, table in REFERENCES.items()
        if isinstance(row.get(column), int)
    }


# --- tables and columns ---------------------------------------------------------------------


@cache
def _models() -> Mapping[str, type[models.Model]]:
    return {model._meta.db_table: model for model in apps.get_models()}


@cache
def _field(table: str, column: str) -> models.Field[Any, Any] | None:
    model = _models().get(table)
    fields = model._meta.local_concrete_fields if model else []
    return next((f for f in fields if f.column == column), None)


def table_label(table: str) -> str:
    """Return what a row of a table is called."""
    return str(TABLES.get(table, table))


_SAID_ELSEWHERE = (
    # columns without a name of their own in the models
    gettext_noop("comparator"), gettext_noop("voided at"), gettext_noop("protocol version"),
    gettext_noop("ctcae version"), gettext_noop("lab result"), gettext_noop("result version"),
    gettext_noop("confirmed by"), gettext_noop("confirmed at"), gettext_noop("opened by"),
    gettext_noop("query"), gettext_noop("author"), gettext_noop("written at"), gettext_noop("digest"),
    gettext_noop("verified by"), gettext_noop("verified at"), gettext_noop("signed by"),
    gettext_noop("table"), gettext_noop("row"), gettext_noop("row version"), gettext_noop("options"),
    # where a revision came from
    gettext_noop("visit entry"), gettext_noop("plan"), gettext_noop("identity"), gettext_noop("lock"),
    gettext_noop("registration"), gettext_noop("verification"), gettext_noop("signature"),
    gettext_noop("merge"), gettext_noop("grades"), gettext_noop("laboratories"), gettext_noop("undo"),
    gettext_noop("import columns"), gettext_noop("subject details"), gettext_noop("accounts"),
)  # fmt: skip
"""Words that are stored or made from a name, marked here so that they can be translated where they are shown."""


def column_label(table: str, column: str) -> str:
    """Return what a column is called; one that is gone keeps its name."""
    found = _field(table, column)
    return _(str(found.verbose_name)) if found is not None else column.replace("_", " ")


def columns_of(table: str, old: Row | None, new: Row | None) -> list[str]:
    """Return the columns worth showing, in the order of the table; those of the past at the end.

    What already stands in the row's title is left out, unless it changed.
    """
    before, after = old or {}, new or {}
    model = _models().get(table)
    known = [f.column for f in model._meta.local_concrete_fields] if model else []
    there = before.keys() | after.keys()
    said = {c for c in _OF_THE_TITLE.get(table, ()) if not (old and new) or before.get(c) == after.get(c)}
    ordered = [column for column in known if column in there] + sorted(there - set(known))
    return [column for column in ordered if column not in HOUSEKEEPING | said | {"patient_id"}]


def is_hidden(table: str, column: str, sees_identity: bool, sees_donor: bool = False) -> bool:
    """Return whether a value is kept from a reader."""
    if (table, column) == DONOR:
        return not sees_donor
    if table == IDENTITIES and column in IDENTIFYING[IDENTITIES]:
        return True  # only on the page whose every view is logged
    return not sees_identity and column in IDENTIFYING.get(table, frozenset())


# --- rows -----------------------------------------------------------------------------------


def row_title(table: str, row: Row, names: Names) -> str:
    """Return which row it is: ``Lab result · week 12 · TBIL``."""
    return " · ".join(filter(None, (table_label(table), *_row_name(table, row, names))))


def row_name(table: str, row: Row, names: Names) -> str:
    """Return which row of its table it is: ``week 12 · TBIL``."""
    return " · ".join(filter(None, _row_name(table, row, names)))


_NAMED_BY: Mapping[str, str] = {
    INFUSIONS: "number",
    "infusions_plannedinfusion": "number",
    SCREENINGS: "screened_on",
    PATIENTS: "subject_id",
    LOTS: "code",
    SITES: "code",
    USERS: "username",
    "patients_laboratory": "code",
    "patients_importmapping": "kind",
}
"""The column that names a row of a table."""


_CHOSEN_BY: Mapping[str, str] = {
    "infusions_custodyevent": "step",
    "infusions_vitalsigns": "moment",
    "patients_outcome": "kind",
    "patients_screeningfact": "fact",
}
"""The column of choices that names a row of a table."""


def _row_name(table: str, row: Row, names: Names) -> tuple[str, ...]:
    match table:
        case "patients_labresult":
            return visit_label(names.row(VISITS, row.get("visit_id"))), analyte_label(row.get("analyte"))
        case "patients_visit":
            return (visit_label(row),)
        case (
            "infusions_custodyevent" | "infusions_vitalsigns" | "patients_outcome" | "patients_screeningfact"
        ):
            column = _CHOSEN_BY[table]
            return (value_text(table, column, row.get(column), names),)
        case "patients_signature":
            return (visit_label(names.row(VISITS, row["visit_id"])) if row.get("visit_id") else "",)
        case "patients_treatment":
            kind = value_text(table, "kind", row.get("kind"), names)
            return " ".join(filter(None, (kind, str(row.get("agent") or "")))), str(row.get("started_on", ""))
        case "patients_laboratoryunit":
            return (analyte_label(row.get("analyte")),)
        case "patients_referencerange":
            return analyte_label(row.get("analyte")), str(row.get("valid_from", ""))
        case "patients_adverseevent" | "patients_confirmedgrade":
            return (_(str(row["term"])) if row.get("term") else "",)
        case "patients_screeninganswer":
            return (criterion_label(row.get("criterion")),)
        case "patients_patientidentity":
            return (names.subject(row.get("patient_id")),)
    return (_name_of_query(table, row, names) or str(row.get(_NAMED_BY.get(table, "id"), "")),)


def _name_of_query(table: str, row: Row, names: Names) -> str:
    if table == QUERY_MESSAGES:
        row = names.row(QUERIES, row.get("query_id"))
    return query_label(row, names) if table in {QUERIES, QUERY_MESSAGES} else ""


def query_label(query: Row, names: Names) -> str:
    """Return what a query is about: ``W4 INR``, ``W4 date of visit``, ``infusion 3``, ``subject``."""
    place, table = value_text(QUERIES, "topic", query.get("topic"), names), ""
    if query.get("visit_id") is not None:
        place, table = draw_label(names.row(VISITS, query["visit_id"])), VISITS
    elif query.get("number") is not None:
        place, table = _("infusion %(number)s") % {"number": query["number"]}, INFUSIONS
    field = str(query.get("field") or "")
    named = analyte_label(field) if not table or field in protocol.ANALYTES else column_label(table, field)
    return " ".join(filter(None, (place, named)))


def message_text(row: Row) -> str:
    """Return what a message of a query says; a check's sentence in the reader's language."""
    text, values = str(row.get("text") or ""), str(row.get("values") or "")
    if not values:
        return text
    try:
        return Sentence.of_kept({"text": text, "values": json.loads(values)["values"]}).said(_)
    except (ValueError, KeyError, TypeError):
        return text


def row_note(table: str, row: Row, names: Names) -> str:
    """Return a fact that helps to place a row."""
    if table == LABS:
        day = names.row(VISITS, row.get("visit_id")).get("visited_on")
        return _("visit of %(day)s") % {"day": day} if day else ""
    if table == INFUSIONS:
        return _("given on %(day)s") % {"day": row.get("given_on")}
    if table == ANSWERS:
        criterion = protocol.CRITERION_AT.get(str(row.get("criterion")))
        return _(criterion.label) if criterion else ""
    return ""


def visit_label(visit: Row) -> str:
    """Return a visit in words: ``week 12`` or ``unscheduled 2026-02-16``."""
    if visit.get("week") is not None:
        return _("week %(number)s") % {"number": visit["week"]}
    return " ".join(filter(None, (_("unscheduled"), str(visit.get("visited_on") or ""))))


def analyte_label(code: Any) -> str:
    """Return an analyte's short name; one that left the panel keeps its code."""
    return _(protocol.ANALYTES[code].label) if code in protocol.ANALYTES else str(code or "")


def criterion_label(code: Any) -> str:
    """Return ``inclusion A``."""
    criterion = protocol.CRITERION_AT.get(str(code))
    if criterion is None:
        return str(code or "")
    kind = _("inclusion") if criterion.kind is protocol.CriterionKind.INCLUSION else _("exclusion")
    return f"{kind} {criterion.letter}"


# --- values ---------------------------------------------------------------------------------


def value_text(
    table: str, column: str, value: Any, names: Names, *, row: Row | None = None, zone: ZoneInfo | None = None
) -> str:
    """Return a value as a person reads it, to the last digit that is there; empty for none."""
    if value is None or value == "":
        return ""
    if column in REFERENCES:
        return _referred(REFERENCES[column], value, names)
    found = _field(table, column)
    if found is not None and found.choices:
        label = str(dict(found.flatchoices).get(value, value))
        return _(label) if label else ""
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(found, models.DateTimeField):
        return moment_text(value, zone)
    if table == LABS and column == "value" and row is not None:
        return lab_text(row, value)
    if table == QUERY_MESSAGES and column == "text" and row is not None:
        return message_text(row)
    if column == "typed_unit":
        return units.symbol(str(value))
    if table == INFUSIONS and column == "cells":
        return cells_text(value)
    if isinstance(value, Decimal | int):
        return exact_text(Decimal(value))
    return str(value)


def _referred(table: str, key: Any, names: Names) -> str:
    row = names.row(table, key)
    if not row:
        return f"{table_label(table)} {key}"
    return " · ".join(filter(None, _row_name(table, row, names)))


def exact_text(value: Decimal, decimals: int = 0) -> str:
    """Return every digit that says something, and at least so many decimals."""
    plain = f"{value:f}"
    if "." in plain:
        plain = plain.rstrip("0").rstrip(".")
    there = len(plain.partition(".")[2])
    return f"{value:.{decimals}f}" if there < decimals else plain


def lab_text(row: Row, value: Any, *, padded: bool = True) -> str:
    """Return a result with its comparator and every digit it has; padded to the analyte's decimals."""
    analyte = protocol.ANALYTES.get(str(row.get("analyte")))
    number = exact_text(Decimal(str(value)), analyte.decimals if analyte and padded else 0)
    return f"{row.get('comparator') or ''}{number}"


def lab_unit(row: Row) -> str:
    """Return the standard unit of a result, as it is printed."""
    analyte = protocol.ANALYTES.get(str(row.get("analyte")))
    return analyte.unit_symbol if analyte else ""


def cells_text(value: Any) -> str:
    """Return ``55.0 × 10⁶`` where that says it all, else every digit."""
    cells = Decimal(value)
    millions = cells / _CELLS_PRINTED
    if millions < 1 or millions != millions.quantize(Decimal("0.001")):
        return f"{int(cells):,}"
    return f"{exact_text(millions, 1)} × 10⁶"


def moment_text(value: Any, zone: ZoneInfo | None = None) -> str:
    """Return an instant in a site's time."""
    moment = datetime.fromisoformat(str(value)).astimezone(zone or ZoneInfo(settings.TIME_ZONE))
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def reason_parts(reason: str) -> tuple[str, str]:
    """Return the coded reason in the reader's language, and the note that was written beside it.

    Of a revision whose single values have reasons of their own, the note counts them.
    """
    known = [coded.label for coded in protocol.CHANGE_REASONS]
    if given := [(label, values) for label, values in value_reasons.counted(reason) if label in known]:
        counts = marks.semicolon().join(f"{_(label)} ({values})" for label, values in given)
        return value_reasons.whole(reason), counts
    known += [term.label for term in (*vocabulary.VOID_REASONS, *vocabulary.MERGE_REASONS)]
    for label in known:
        if reason == label or reason.startswith(f"{label}: "):
            return _(label), reason[len(label) + 2 :]
    return _(reason) if reason else "", ""


def counted(table: str, rows: int) -> str:
    """Return ``312 subjects``."""
    shown = f"{rows:,}"
    words = {
        LABS: ngettext("%(n)s lab result", "%(n)s lab results", rows),
        VISITS: ngettext("%(n)s visit", "%(n)s visits", rows),
        INFUSIONS: ngettext("%(n)s infusion", "%(n)s infusions", rows),
        SCREENINGS: ngettext("%(n)s screening", "%(n)s screenings", rows),
        ANSWERS: ngettext("%(n)s answer", "%(n)s answers", rows),
        OUTCOMES: ngettext("%(n)s outcome", "%(n)s outcomes", rows),
        PATIENTS: ngettext("%(n)s subject", "%(n)s subjects", rows),
        IDENTITIES: ngettext("%(n)s identity", "%(n)s identities", rows),
        "patients_screeningfact": ngettext("%(n)s fact of a screening", "%(n)s facts of a screening", rows),
        "patients_adverseevent": ngettext("%(n)s adverse event", "%(n)s adverse events", rows),
        "patients_confirmedgrade": ngettext("%(n)s confirmed grade", "%(n)s confirmed grades", rows),
        "patients_treatment": ngettext("%(n)s treatment", "%(n)s treatments", rows),
        "patients_dataquery": ngettext("%(n)s query", "%(n)s queries", rows),
        "patients_querymessage": ngettext("%(n)s message", "%(n)s messages", rows),
        "patients_verification": ngettext("%(n)s verification", "%(n)s verifications", rows),
        "patients_signature": ngettext("%(n)s signature", "%(n)s signatures", rows),
        "infusions_vitalsigns": ngettext("%(n)s set of vital signs", "%(n)s sets of vital signs", rows),
        "infusions_plannedinfusion": ngettext("%(n)s planned infusion", "%(n)s planned infusions", rows),
        "infusions_coursedecision": ngettext(
            "%(n)s decision on a course", "%(n)s decisions on a course", rows
        ),
        "infusions_releasetest": ngettext("%(n)s release test", "%(n)s release tests", rows),
        "infusions_custodyevent": ngettext("%(n)s step of custody", "%(n)s steps of custody", rows),
        "patients_laboratory": ngettext("%(n)s laboratory", "%(n)s laboratories", rows),
        "patients_laboratoryunit": ngettext(
            "%(n)s unit of a laboratory", "%(n)s units of a laboratory", rows
        ),
        "patients_referencerange": ngettext("%(n)s reference range", "%(n)s reference ranges", rows),
        "patients_importmapping": ngettext("%(n)s mapping of columns", "%(n)s mappings of columns", rows),
        LOTS: ngettext("%(n)s lot", "%(n)s lots", rows),
        SITES: ngettext("%(n)s site", "%(n)s sites", rows),
        USERS: ngettext("%(n)s account", "%(n)s accounts", rows),
    }
    if table in words:
        return words[table] % {"n": shown}
    return f"{shown} {table}"


def capital(text: str) -> str:
    """Begin a sentence."""
    return str(capfirst(text))
