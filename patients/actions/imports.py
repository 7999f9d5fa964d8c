"""What a person decides about imports: how a laboratory's files are read, and that an import was wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.db import IntegrityError, connection, models, transaction
from psycopg import sql

from patients.actions.bulk_queries import close_undone
from patients.actions.rules import demand_reason
from patients.actions.visits import follow_checks
from patients.imports.options import Options
from patients.models import DataQuery, ImportMapping, Laboratory, Patient, QueryMessage, Verification, Visit
from trial import audit, undo
from trial.models import AuditEntry, Revision, User
from trial.refusals import Conflict, Problem, Refused, refuse
from trial.sentences import Sentence
from trial.triggers import audited


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


SOURCE = "import columns"
IMPORTED = "import "
"""How the source of every revision begins that an import wrote."""
UNDONE = "undo of import, revision "

_SAID = (DataQuery._meta.db_table, QueryMessage._meta.db_table)
"""What was asked and answered stays; a query that has nothing to ask about any more is closed."""

# --- columns of a laboratory's files --------------------------------------------------------


def remember_mapping(
    *, laboratory: Laboratory | None, kind: str, options: Options, by: User, version: int = 0
) -> ImportMapping:
    """Keep how the files of one kind from one laboratory are read.

    Only what holds for every file is kept: columns, units and the order of dates.
    Encoding, separator, sheet and header line are found again in each.

    Parameters
    ----------
    laboratory
        None for files that come from no laboratory.
    version
        Of the mapping that the person saw; 0 when there was none.

    Raises
    ------
    Conflict
        If somebody else changed the mapping since.
    """
    kept = Options(columns=options.columns, units=options.units, dates=options.dates).as_json()
    with audit.revision(by=by, reason=_("columns decided on"), source=SOURCE):
        stored = ImportMapping.objects.select_for_update().filter(laboratory=laboratory, kind=kind).first()
        if stored is None:
            try:
                with transaction.atomic():
                    return ImportMapping.objects.create(laboratory=laboratory, kind=kind, options=kept)
            except IntegrityError:
                stored = ImportMapping.objects.select_for_update().get(laboratory=laboratory, kind=kind)
        if stored.options == kept:
            return stored
        if stored.version != version:
            raise Conflict([], stored.version)
        stored.options, stored.version = kept, stored.version + 1
        stored.save(update_fields=["options", "version"])
    return stored


# --- taking an import back ------------------------------------------------------------------


def undone_in(revision: Revision) -> Revision | None:
    """Return the revision that took an import back, if one did."""
    return Revision.objects.filter(source=f"{UNDONE}{revision.number}", number__isnull=False).first()


def undo_import(*, revision: Revision, by: User, reason: str) -> undo.Undone:
    """Take a whole import back, as one revision; the file can be imported again after it.

    Parameters
    ----------
    revision
        One that an import wrote.
    reason
        Why; the trail demands it.

    Raises
    ------
    Refused
        If the revision is no import or was undone already, if later revisions changed
        its records or built on them, or if some of it is locked. Nothing is undone then.
    """
    demand_reason(reason)
    if not revision.source.startswith(IMPORTED) or revision.source == SOURCE:
        raise refuse(
            "",
            str(revision.number),
            "no_import",
            Sentence(_("Revision %(number)s is not an import."), {"number": revision.number}),
            Sentence(_("Choose the revision of an import.")),
        )
    with audit.revision(by=by, reason=reason, source=f"{UNDONE}{revision.number}"):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"undo {revision.pk}"])
        if before := undone_in(revision):
            raise refuse(
                "",
                str(revision.number),
                "undone_already",
                Sentence(
                    _("Revision %(number)s was undone in revision %(by)s."),
                    {"number": revision.number, "by": before.number},
                ),
                Sentence(_("Import the file again if its values are wanted.")),
            )
        if problems := list(_built_on(revision)):
            raise Refused(problems)
        undone = undo.undo(
            revision=revision, by=by, reason=reason, source=f"{UNDONE}{revision.number}", leave=_SAID
        )
        _follow_queries(revision, by)
        return undone


def _follow_queries(revision: Revision, by: User) -> None:
    """Close what the import asked, and ask again what it had answered: what was said in a query stays said."""
    entries = AuditEntry.objects.filter(revision=revision, table=DataQuery._meta.db_table)
    close_undone(opened=entries.filter(op=AuditEntry.Op.INSERT).values_list("row", flat=True), by=by)
    moved = entries.filter(op=AuditEntry.Op.UPDATE).values("row")
    visits = Visit.objects.filter(data_queries__in=moved, voided_at__isnull=True).distinct()
    for visit in visits.select_related("patient__site").order_by("pk"):
        follow_checks(patient=visit.patient, by=by, visit=visit, kept=None)


def _built_on(revision: Revision) -> Iterator[Problem]:
    """Yield the records of later revisions that stand on what the import entered: they would hang in the air."""
    entries = AuditEntry.objects.filter(revision=revision)
    tables = {model._meta.db_table: model for model in audited()}
    found = 0
    for name in entries.order_by().values_list("table", flat=True).distinct():
        model = tables[name]
        is_kept = name in _SAID or _has_void(model)
        for below in tables.values():
            # a record that is voided may be named by what was said; one that goes may be named by nothing
            if name in _SAID or (is_kept and below._meta.db_table in _SAID):
                continue
            columns = [
                key.column
                for key in below._meta.local_concrete_fields
                if isinstance(key, models.ForeignKey) and key.related_model is model
            ]
            rows = [
                each
                for column in columns
                for each in _standing(revision, name, below, column, with_voided=not is_kept)
            ]
            for row, is_void in rows:
                found += 1
                if found > undo.NAMED:
                    return
                yield _stands_on(below, row, is_void=is_void)
    yield from _verified(entries)


def _verified(entries: models.QuerySet[AuditEntry]) -> Iterator[Problem]:
    """Yield what a monitor compared with its source since: it would stand for a record that is gone."""
    for check in (
        Verification.objects.filter(
            voided_at__isnull=True, table__in=["patients_visit", "patients_labresult"]
        )
        .filter(
            models.Exists(
                entries.filter(
                    table=models.OuterRef("table"), row=models.OuterRef("row"), op=AuditEntry.Op.INSERT
                )
            )
        )
        .select_related("patient", "verified_by")[: undo.NAMED]
    ):
        yield Problem(
            check.table,
            str(check.row),
            "verified_since",
            Sentence(
                _("A record of %(subject)s was verified since, by %(who)s."),
                {"subject": check.patient.subject_id, "who": check.verified_by.shown_name},
            ),
            Sentence(_("Take the verification back first, or correct the record by hand.")),
        )


_STANDING = """
SELECT b.id, {void} FROM {below} b JOIN trial_auditentry e ON e."table" = {name} AND e."row" = b.{column}
WHERE e.revision_id = %s AND e.op = 'I' {valid}
    AND ({is_said} OR NOT EXISTS (SELECT FROM trial_auditentry x
        WHERE x.revision_id = %s AND x."table" = {below_name} AND x."row" = b.id))
ORDER BY b.id LIMIT %s
"""


def _has_void(model: type[models.Model]) -> bool:
    return any(field.column == "voided_at" for field in model._meta.local_concrete_fields)


def _standing(
    revision: Revision, name: str, below: type[models.Model], column: str, *, with_voided: bool
) -> list[tuple[int, bool]]:
    has_void = _has_void(below)
    query = sql.SQL(_STANDING).format(
        below=sql.Identifier(below._meta.db_table),
        below_name=sql.Literal(below._meta.db_table),
        name=sql.Literal(name),
        column=sql.Identifier(column),
        void=sql.SQL("b.voided_at IS NOT NULL" if has_void else "false"),
        valid=sql.SQL("AND b.voided_at IS NULL" if has_void and not with_voided else ""),
        is_said=sql.Literal(below._meta.db_table in _SAID),
    )
    with connection.cursor() as cursor:
        cursor.execute(query, [revision.pk, revision.pk, undo.NAMED + 1])
        return [(row, is_void) for row, is_void in cursor.fetchall()]


def _stands_on(below: type[models.Model], row: int, *, is_void: bool) -> Problem:
    table = below._meta.db_table
    last = (
        AuditEntry.objects.filter(table=table, row=row)
        .select_related("revision__actor")
        .order_by("pk")
        .first()
    )
    subject = Patient.objects.filter(pk=last.patient_id).first() if last and last.patient_id else None
    gaps: Mapping[str, Any] = {
        "what": str(below._meta.verbose_name),
        "subject": subject.subject_id if subject else row,
        "who": last.revision.actor.shown_name if last else "",
        "number": last.revision.number if last else "",
    }
    if is_void:
        return Problem(
            table,
            str(row),
            "built_on",
            Sentence(
                _("%(what)s of %(subject)s, entered by %(who)s in revision %(number)s, is voided and stays."),
                dict(gaps),
            ),
            Sentence(_("What was entered once keeps its subject: correct the subject by hand.")),
        )
    return Problem(
        table,
        str(row),
        "built_on",
        Sentence(
            _("%(what)s of %(subject)s was entered on it since, by %(who)s in revision %(number)s."),
            dict(gaps),
        ),
        Sentence(_("Take that revision back first, or correct the record by hand.")),
    )
