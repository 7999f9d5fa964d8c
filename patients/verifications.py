"""What has to be compared with the source, what was, and what changed since: one definition for all pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from django.db.models import Count, Exists, F, IntegerField, OuterRef, Q, QuerySet, TextField, Value
from django.db.models.fields.json import KT
from django.db.models.functions import Cast, Coalesce
from django.utils.translation import gettext as _

from patients import casebook, upstairs
from patients.models import (
    AdverseEvent,
    LabResult,
    Outcome,
    Patient,
    Screening,
    Treatment,
    Verification,
    Visit,
)
from trial import protocol, trail_words
from trial.clock import zone
from trial.models import AuditEntry, User

LABS = LabResult._meta.db_table
VISITS = Visit._meta.db_table

KINDS: Mapping[str, str] = MappingProxyType(
    {
        "screenings": "patients_screening",
        "infusions": "infusions_infusion",
        "events": "patients_adverseevent",
        "treatments": "patients_treatment",
        "outcomes": "patients_outcome",
    }
)
"""Groups of rows besides the visits, by the word in an address."""


def rows_of(table: str) -> QuerySet[Any]:
    """Return the valid rows of a table that can be verified.

    Raises
    ------
    KeyError
        If rows of the table are not verified one by one.
    """
    sources: Mapping[str, QuerySet[Any]] = {
        VISITS: Visit.objects.valid(),
        LABS: LabResult.objects.filter(visit__voided_at__isnull=True),
        "patients_screening": Screening.objects.valid(),
        "infusions_infusion": upstairs.infusions().filter(voided_at__isnull=True),
        "patients_adverseevent": AdverseEvent.objects.valid(),
        "patients_treatment": Treatment.objects.valid(),
        "patients_outcome": Outcome.objects.valid(),
    }
    return sources[table]


TABLES = (VISITS, LABS, *KINDS.values())


def visits_of(patient: Patient) -> list[Visit]:
    """Return the valid visits of a subject in the order of the days."""
    return list(Visit.objects.valid().filter(patient=patient).order_by("visited_on", "week", "pk"))


@dataclass(frozen=True, slots=True)
class Mark:
    """That somebody compared a row with its source, and whether it is still that row."""

    by: str
    at: datetime
    is_current: bool

    def words(self, time_zone: Any) -> str:
        """Say it as every page says it: ``verified 03-12 by Chen Yu, changed since``."""
        values = {"day": self.at.astimezone(time_zone).strftime("%m-%d"), "name": self.by}
        if self.is_current:
            return _("verified %(day)s by %(name)s") % values
        return _("verified %(day)s by %(name)s, changed since") % values


Marks = Mapping[tuple[str, int], Mark]


def marks(patient: Patient, *tables: str) -> Marks:
    """Return the marks of a subject's rows by table and key, in one query per table that has some.

    Named tables are the only ones looked at: of one it is two queries.
    """
    valid = Verification.objects.valid().filter(patient=patient).select_related("verified_by")
    stored = list(valid.filter(table__in=tables) if tables else valid)
    current = {
        (each, pk)
        for each in {mark.table for mark in stored} & set(TABLES)
        for pk in current_rows(each, [mark.row for mark in stored if mark.table == each])
    }
    return {
        (mark.table, mark.row): Mark(
            mark.verified_by.shown_name, mark.verified_at, (mark.table, mark.row) in current
        )
        for mark in stored
    }


def current_rows(table: str, keys: Iterable[int]) -> set[int]:
    """Return which rows of a table are verified as they stand; one query."""
    return set(rows_of(table).filter(_verified(table), pk__in=list(keys)).values_list("pk", flat=True))


# --- the pages of the monitor ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Item:
    """One row to compare: what it is, what it says, and its mark."""

    table: str
    row: int
    version: int
    label: str
    facts: tuple[tuple[str, str], ...]
    mark: Mark | None

    @property
    def claim(self) -> str:
        """What a form sends to say that this version of this row was compared."""
        return f"{self.table}:{self.row}:{self.version}"

    @property
    def is_verified(self) -> bool:
        return self.mark is not None and self.mark.is_current


@dataclass(frozen=True, slots=True)
class Share:
    """How many rows there are, and how many of them are verified as they stand."""

    verified: int = 0
    rows: int = 0

    @property
    def percent(self) -> int:
        return self.verified * 100 // self.rows if self.rows else 0

    @property
    def is_complete(self) -> bool:
        return 0 < self.rows == self.verified

    def __add__(self, other: Share) -> Share:
        return Share(self.verified + other.verified, self.rows + other.rows)


def items(patient: Patient, *, visit: Visit | None = None, kind: str = "") -> Sequence[Item]:
    """Return what there is to compare at a visit, or of a kind."""
    if visit is not None:
        found = marks(patient, VISITS, LABS)
        results = rows_of(LABS).filter(patient=patient, visit=visit).select_related("laboratory")
        own = [_item(VISITS, row, found, patient) for row in rows_of(VISITS).filter(pk=visit.pk)]
        return own + [_item(LABS, row, found, patient) for row in sorted(results, key=_panel_order)]
    table = KINDS[kind]
    found = marks(patient, table)
    return [_item(table, row, found, patient) for row in rows_of(table).filter(patient=patient)]


def _panel_order(result: Any) -> int:
    return list(protocol.ANALYTES).index(result.analyte)


def image(row: Any) -> dict[str, Any]:
    """Return a row the way the trail would show it, by column."""
    return {field.column: getattr(row, field.attname) for field in row._meta.local_concrete_fields}


def _item(table: str, row: Any, found: Marks, patient: Patient) -> Item:
    names, shown = trail_words.Names(), image(row)
    label = (
        trail_words.analyte_label(row.analyte)
        if table == LABS
        else trail_words.row_title(table, shown, names)
    )
    return Item(table, row.pk, row.version, label, facts(table, row, patient), found.get((table, row.pk)))


def facts(table: str, row: Any, patient: Patient) -> tuple[tuple[str, str], ...]:
    """Return what a row says, in words: label and value of each signed field that holds something."""
    shown, said = image(row), []
    for field in casebook.SIGNED[table]:
        if field in ("visit", "week", "analyte", "lab_result"):
            continue
        column = row._meta.get_field(field).column
        value = shown.get(column)
        if value is None or value == "":
            continue
        if column != field:
            text = str(getattr(row, field))
        elif isinstance(value, datetime):
            text = trail_words.moment_text(value.isoformat(), zone(patient.site))
        else:
            text = trail_words.value_text(table, column, value, trail_words.Names(), row=shown)
        said.append((trail_words.column_label(table, column), text))
    return tuple(said)


# --- how far it has come --------------------------------------------------------------------


def _verified(table: str) -> Exists:
    """Return whether a row is verified as it stands.

    The version of a visit moves with each of its results: its own row is held
    against the trail, which says whether any of its signed fields changed since.
    """
    of_row = Verification.objects.valid().filter(table=table, row=OuterRef("pk"))
    if table == VISITS:
        return Exists(of_row.filter(Q(row_version=OuterRef("version")) | ~Exists(_visit_changes_since())))
    return Exists(of_row.filter(row_version=OuterRef("version")))


def _visit_changes_since() -> QuerySet[AuditEntry]:
    """Return the entries after a verified version in which a signed field of the visit changed.

    It asks in the database what :func:`patients.casebook.changed_fields` says of one entry.
    """
    changed = Q()
    nothing = Value("", TextField())
    entries = AuditEntry.objects.filter(table=VISITS, row=OuterRef("row"))
    for field in (*casebook.SIGNED[VISITS], "voided_at"):
        was, is_now = f"was_{field}", f"now_{field}"
        entries = entries.annotate(
            **{was: Coalesce(KT(f"old__{field}"), nothing), is_now: Coalesce(KT(f"new__{field}"), nothing)}
        )
        changed |= ~Q(**{was: F(is_now)})
    entries = entries.annotate(at_version=Cast(KT("new__version"), IntegerField()))
    return entries.filter(changed, at_version__gt=OuterRef("row_version"))


def shares(patient: Patient, *, only_visit: Visit | None = None) -> Mapping[str | int, Share]:
    """Return how much of a subject is verified, by visit key and by kind, in one query."""
    own, results = rows_of(VISITS).filter(patient=patient), rows_of(LABS).filter(patient=patient)
    if only_visit is not None:
        own, results = own.filter(pk=only_visit.pk), results.filter(visit=only_visit)
    parts = [_parted(results, LABS, "", "visit_id")]
    if only_visit is None:
        parts += [
            _parted(rows_of(table).filter(patient=patient), table, kind, "patient_id")
            for kind, table in KINDS.items()
        ]
    found: dict[str | int, Share] = {}
    for kind, visit, verified, number in _parted(own, VISITS, "", "pk").union(*parts, all=True):
        part = kind or visit
        found[part] = found.get(part, Share()) + Share(verified, number)
    return found


def _parted(rows: QuerySet[Any], table: str, kind: str, by: str) -> QuerySet[Any]:
    """Count one subject's rows of a table and the verified ones, in a form that joins with those of others."""
    counted: QuerySet[Any] = (
        rows.order_by()
        .annotate(part=Value(kind), part_of=F(by), is_verified=_verified(table))
        .values("part", "part_of")
        .annotate(done=Count("pk", filter=Q(is_verified=True)), number=Count("pk"))
        .values_list("part", "part_of", "done", "number")
    )
    return counted


def total(parts: Iterable[Share]) -> Share:
    """Return the share of several together."""
    whole = Share()
    for part in parts:
        whole += part
    return whole


def shares_by_site(user: User) -> Mapping[int, Share]:
    """Return how much of each visible site is verified."""
    found: dict[int, Share] = {}
    for table in TABLES:
        visible = rows_of(table).filter(patient__in=Patient.objects.visible_to(user))
        for site, verified, rows in _counted(visible, table, "patient__site_id"):
            found[site] = found.get(site, Share()) + Share(verified, rows)
    return found


def next_visits(user: User) -> Mapping[int, tuple[str, int, int | None]]:
    """Return by site the earliest visit with something to compare: subject, key and week. One query."""
    results = rows_of(LABS).filter(~_verified(LABS), visit=OuterRef("pk"))
    waiting = (
        rows_of(VISITS)
        .filter(~_verified(VISITS) | Exists(results), patient__in=Patient.objects.visible_to(user))
        .order_by("patient__site_id", "visited_on", "patient__subject_id", "pk")
        .distinct("patient__site_id")
    )
    found = waiting.values_list("patient__site_id", "patient__subject_id", "pk", "week")
    return {site: (code, visit, week) for site, code, visit, week in found}


def _counted(rows: QuerySet[Any], table: str, by: str) -> list[tuple[Any, int, int]]:
    """Count rows and verified rows in groups; two plain counts, as one with a condition per row is slower."""
    every = dict(rows.order_by().values_list(by).annotate(n=Count("pk")))
    done = dict(rows.filter(_verified(table)).order_by().values_list(by).annotate(n=Count("pk")))
    return [(group, done.get(group, 0), number) for group, number in every.items()]
