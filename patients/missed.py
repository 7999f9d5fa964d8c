"""Revisions that marked a visit or an infusion as not done, and whether they can be taken back at once."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from patients.models import Patient
from trial.models import Revision, User

TAKEN_BACK_WITHIN = timedelta(hours=1)
"""How long the notice's own way back is open; later, a correction with its reason is."""
_MARKED = frozenset({"patients_visit", "infusions_plannedinfusion"})


def written(by: User, request_id: str) -> Revision | None:
    """Return the revision that a submission of this person made."""
    return Revision.objects.filter(request_id=request_id, actor=by).last() if request_id else None


def own_mark(user: User, text: str) -> Revision | None:
    """Return a recent revision of this person that did nothing but mark something of theirs as not done."""
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        return None
    revision = Revision.objects.filter(
        pk=int(text), actor=user, made_at__gt=timezone.now() - TAKEN_BACK_WITHIN
    ).first()
    if revision is None:
        return None
    entries = list(revision.entries.all()[:3])
    subjects = {entry.patient_id for entry in entries}
    is_mark = len(entries) == 1 and all(
        entry.table in _MARKED and entry.new is not None and entry.new.get("not_done") for entry in entries
    )
    if not is_mark or Patient.objects.visible_to(user).filter(pk__in=subjects).count() != len(subjects):
        return None
    return revision
