"""Signatures and whether they still stand: the digest says it, the trail says what changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Q
from django.utils.translation import gettext as _

from patients import casebook, casebook_rows
from patients.models import Patient, Signature, Visit
from trial import trail_words, vocabulary
from trial.models import AuditEntry

_NAMED = 3
_LABS, _VISITS = trail_words.LABS, trail_words.VISITS
_MEANINGS = vocabulary.by_code(vocabulary.SIGNATURE_MEANINGS)


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature with its state. A void one says since which revision, and what changed."""

    signature: Signature
    is_valid: bool
    since: int | None = None
    changes: tuple[str, ...] = ()
    more: int = 0
    is_newest: bool = True

    @property
    def meaning(self) -> str:
        return _(_MEANINGS[self.signature.meaning].label)

    @property
    def why_void(self) -> str:
        """Say since when and why a signature is void; empty for one that stands."""
        if self.is_valid:
            return ""
        what = ", ".join(self.changes)
        if self.more:
            what = _("%(what)s and %(more)s more") % {"what": what, "more": self.more}
        if not what:
            return _("void: what was signed is no longer what is stored")
        if self.since is None:
            return _("void because %(what)s changed") % {"what": what}
        return _("void since revision %(number)s because %(what)s changed") % {
            "number": self.since,
            "what": what,
        }


def signatures(
    patient: Patient, *, visit: Visit | None = None, only_casebook: bool = False
) -> Sequence[Signed]:
    """Return the signatures of a subject, of one visit, or of the casebook as a whole, the newest first.

    The number of queries does not depend on how many there are.
    """
    stored = Signature.objects.filter(patient=patient).select_related("visit", "signed_by")
    if visit is not None:
        stored = stored.filter(visit=visit)
    if only_casebook:
        stored = stored.filter(visit__isnull=True)
    found = list(stored.order_by("-signed_at", "-id"))
    if not found:
        return []
    book = casebook_rows.read(patient, only_visits=all(s.visit_id is not None for s in found))
    today = {scope: book.digest(scope) for scope in {signature.visit_id for signature in found}}
    void = [signature for signature in found if signature.digest != today[signature.visit_id]]
    why = _changes(patient, void)
    seen: set[int | None] = set()
    states = []
    for signature in found:
        since, changes = why.get(signature.pk, (None, ()))
        states.append(
            Signed(
                signature,
                signature.digest == today[signature.visit_id],
                since,
                changes[:_NAMED],
                max(0, len(changes) - _NAMED),
                signature.visit_id not in seen,
            )
        )
        seen.add(signature.visit_id)
    return states


def by_visit(found: Sequence[Signed]) -> Mapping[int | None, Signed]:
    """Return the newest signature of each visit; that of the casebook under None."""
    return {signed.signature.visit_id: signed for signed in reversed(found)}


Why = tuple[int | None, tuple[str, ...]]


def _changes(patient: Patient, void: Sequence[Signature]) -> dict[int, Why]:
    """Read from the trail what changed after each signature, and since which revision."""
    if not void:
        return {}
    written = dict(
        AuditEntry.objects.filter(
            table=Signature._meta.db_table, row__in=[s.pk for s in void], op="I"
        ).values_list("row", "id")
    )
    entries = list(
        AuditEntry.objects.filter(
            Q(patient_id=patient.pk), table__in=list(casebook.SIGNED), id__gt=min(written.values())
        )
        .select_related("revision")
        .order_by("id")
    )
    visits = Visit.objects.filter(patient=patient).values("id", "week", "visited_on")
    names = trail_words.Names({(_VISITS, row["id"]): row for row in visits})
    found: dict[int, Why] = {}
    for signature in void:
        since: int | None = None
        changes: dict[str, None] = {}
        for entry in entries:
            if entry.id < written[signature.pk] or not _covers(signature, entry):
                continue
            if not casebook.changed_fields(entry.table, entry.old, entry.new):
                continue
            if not changes:
                since = entry.revision.number
            changes[_named(entry, names)] = None
        found[signature.pk] = (since, tuple(changes))
    return found


def _covers(signature: Signature, entry: AuditEntry) -> bool:
    if signature.visit_id is None:
        return True
    row = entry.new or entry.old or {}
    if entry.table == _VISITS:
        return entry.row == signature.visit_id
    return entry.table == _LABS and row.get("visit_id") == signature.visit_id


def _named(entry: AuditEntry, names: trail_words.Names) -> str:
    """Name a changed row in short: ``W4 TBIL``."""
    row = entry.new or entry.old or {}
    if entry.table == _LABS:
        return f"{names.draw(row)} {trail_words.analyte_label(row.get('analyte'))}"
    return trail_words.row_title(entry.table, row, names)
