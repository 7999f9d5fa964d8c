"""Marking that records were compared with their source, and taking such a mark back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils import timezone

from patients import casebook, selectors, verifications
from patients.actions.rules import clean_text
from patients.models import Patient, Verification
from trial import audit, trail_words
from trial.models import AuditEntry, User
from trial.refusals import Clash, Conflict, refuse
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


SOURCE = "verification"
AGAIN = "compared again with the source"


@dataclass(frozen=True, slots=True)
class Claim:
    """A version of a row that somebody had on screen."""

    table: str
    row: int
    version: int


@dataclass(slots=True)
class Verified(audit.Written):
    """What was marked; rows that were marked already as they stand are not counted."""

    marked: int = 0


def verify(*, patient: Patient, rows: Sequence[Claim], by: User) -> Verified:
    """Mark versions of rows as compared with their source.

    Raises
    ------
    Conflict
        With every field that changed since, when a row is at another version.
    Refused
        If a row is not there, or not this subject's.
    """
    with audit.revision(by=by, source=SOURCE) as written:
        selectors.locked(patient)
        rows = _as_stored(patient, rows)
        marked = _standing(rows)
        current = {
            (table, key)
            for table in {claim.table for claim in rows}
            for key in verifications.current_rows(table, [c.row for c in rows if c.table == table])
        }
        now = timezone.now()
        fresh = [claim for claim in rows if (claim.table, claim.row) not in marked]
        Verification.objects.bulk_create(
            Verification(
                patient=patient,
                table=claim.table,
                row=claim.row,
                row_version=claim.version,
                verified_by=by,
                verified_at=now,
            )
            for claim in fresh
        )
        outdated = []
        for claim in rows:
            mark = marked.get((claim.table, claim.row))
            if mark is not None and (claim.table, claim.row) not in current:
                mark.row_version, mark.verified_by, mark.verified_at = claim.version, by, now
                outdated.append(mark)
        if outdated:
            with audit.revision(by=by, reason=AGAIN):
                Verification.objects.bulk_update(outdated, ["row_version", "verified_by", "verified_at"])
    return Verified(written.id, len(fresh) + len(outdated))


def unverify(*, patient: Patient, rows: Sequence[Claim], by: User, reason: str) -> Verified:
    """Take marks back, with a reason; they stay in the history.

    Raises
    ------
    Refused
        If there is no reason, or no row of those is marked.
    """
    reason = clean_text("reason", reason, most=200).strip()
    if not reason:
        raise refuse(
            "reason",
            "",
            "reason_needed",
            Sentence(_("A mark is taken back, and no reason is given.")),
            Sentence(_("Say why in a few words.")),
        )
    with audit.revision(by=by, reason=reason, source=SOURCE) as written:
        selectors.locked(patient)
        marks = [mark for mark in _standing(rows).values() if mark.patient_id == patient.pk]
        if not marks:
            raise refuse(
                "",
                "",
                "not_verified",
                Sentence(_("None of these values is verified.")),
                Sentence(_("Choose values that are.")),
            )
        now = timezone.now()
        for mark in marks:
            mark.voided_at = now
        Verification.objects.bulk_update(marks, ["voided_at"])
    return Verified(written.id, len(marks))


def _standing(rows: Sequence[Claim]) -> dict[tuple[str, int], Verification]:
    """Return the marks that stand on rows, by table and key."""
    found: dict[tuple[str, int], Verification] = {}
    for table in {claim.table for claim in rows}:
        keys = [claim.row for claim in rows if claim.table == table]
        for mark in Verification.objects.valid().filter(table=table, row__in=keys):
            found[table, mark.row] = mark
    return found


def _as_stored(patient: Patient, rows: Sequence[Claim]) -> list[Claim]:
    """Return the claims at the versions that are stored, where the rows still say what was on screen."""
    clashes: list[Clash] = []
    found: list[Claim] = []
    newest = 0
    for table in {claim.table for claim in rows}:
        claims = {claim.row: claim for claim in rows if claim.table == table}
        if table not in verifications.TABLES:
            raise _gone()
        stored = {row.pk: row for row in verifications.rows_of(table).filter(patient=patient, pk__in=claims)}
        if stored.keys() != claims.keys():
            raise _gone()
        for key, row in stored.items():
            changes = [] if row.version == claims[key].version else _changes(table, key, claims[key].version)
            if changes:
                newest = max(newest, row.version)
                clashes += changes
            found.append(Claim(table, key, row.version))
    if clashes:
        raise Conflict(clashes, newest)
    return found


def _gone() -> Exception:
    return refuse(
        "",
        "",
        "unknown_row",
        Sentence(_("A record on this page is no longer there, or was voided.")),
        Sentence(_("Reload the page and compare what is there now.")),
    )


def _changes(table: str, row: int, seen: int) -> list[Clash]:
    """Say from the trail what changed in a row since a version: what was on screen, and what is there now."""
    then = now = None
    author = ""
    entries = AuditEntry.objects.filter(table=table, row=row).select_related("revision__actor").order_by("id")
    for entry in entries:
        now, author = entry.new or {}, entry.revision.actor.shown_name
        if now.get("version", 0) <= seen:
            then = now
    if now is None:
        return []
    names = trail_words.Names()
    title = trail_words.analyte_label(now.get("analyte")) or trail_words.row_title(table, now, names)
    fields = [field for field in casebook.changed_fields(table, then, now) if field in now]
    if not fields and table != verifications.VISITS:
        fields = ["version"]
    return [
        Clash(
            f"{title}, {trail_words.column_label(table, field)}",
            mine=trail_words.value_text(table, field, (then or {}).get(field), names, row=then or {}),
            theirs=trail_words.value_text(table, field, now.get(field), names, row=now),
            before="",
            by=author,
        )
        for field in fields
    ]
