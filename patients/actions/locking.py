"""Locking and unlocking: a visit, a subject's casebook, a site. The database keeps what is locked."""

from __future__ import annotations

from django.db import connection
from django.utils import timezone

from patients import selectors
from patients.actions.rules import clean_text
from patients.models import Patient, Visit
from trial import audit
from trial.lock_functions import IMPORTS_LOCK
from trial.models import Site, User
from trial.refusals import Refused, refuse
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


SOURCE = "lock"


def lock_visit(*, visit: Visit, by: User, reason: str) -> audit.Written:
    """Lock a visit and its results.

    Raises
    ------
    Refused
        If there is no reason, or the visit is locked or voided already.
    """
    return _set_visit(visit, by, reason, is_locked=True)


def unlock_visit(*, visit: Visit, by: User, reason: str) -> audit.Written:
    """Open a locked visit again."""
    return _set_visit(visit, by, reason, is_locked=False)


def lock_casebook(*, patient: Patient, by: User, reason: str) -> audit.Written:
    """Lock everything that was recorded about a subject."""
    return _set_casebook(patient, by, reason, is_locked=True)


def unlock_casebook(*, patient: Patient, by: User, reason: str) -> audit.Written:
    """Open a locked casebook again; visits that are locked by themselves stay so."""
    return _set_casebook(patient, by, reason, is_locked=False)


def freeze_site(*, site: Site, by: User, reason: str) -> audit.Written:
    """Keep everything of a site as it is."""
    return _set_site(site, by, reason, is_frozen=True)


def unfreeze_site(*, site: Site, by: User, reason: str) -> audit.Written:
    """Let a site write again; what is locked by itself stays so."""
    return _set_site(site, by, reason, is_frozen=False)


def _set_visit(visit: Visit, by: User, reason: str, *, is_locked: bool) -> audit.Written:
    reason = _demanded(reason)
    with audit.revision(by=by, reason=reason, source=SOURCE) as written:
        _wait_for_imports()
        selectors.locked(visit.patient)
        stored = Visit.objects.get(pk=visit.pk)
        if stored.voided_at is not None:
            raise _in_that_state(_("The visit was voided; there is nothing to lock."))
        _refuse_same(stored.locked_at is not None, is_locked)
        stored.locked_at = timezone.now() if is_locked else None
        stored.save(update_fields=["locked_at"])
    return written


def _set_casebook(patient: Patient, by: User, reason: str, *, is_locked: bool) -> audit.Written:
    reason = _demanded(reason)
    with audit.revision(by=by, reason=reason, source=SOURCE) as written:
        _wait_for_imports()
        stored = selectors.locked(patient)
        _refuse_same(stored.locked_at is not None, is_locked)
        stored.locked_at = timezone.now() if is_locked else None
        stored.save(update_fields=["locked_at"])
    return written


def _set_site(site: Site, by: User, reason: str, *, is_frozen: bool) -> audit.Written:
    reason = _demanded(reason)
    with audit.revision(by=by, reason=reason, source=SOURCE) as written:
        _wait_for_imports()
        # whoever is writing about a subject of the site holds its row: wait for all of them
        list(
            Patient.objects.select_for_update(no_key=True)
            .filter(site=site)
            .order_by("pk")
            .values_list("pk", flat=True)
        )
        stored = Site.objects.select_for_update(no_key=True).get(pk=site.pk)
        _refuse_same(stored.frozen_at is not None, is_frozen)
        stored.frozen_at = timezone.now() if is_frozen else None
        stored.save(update_fields=["frozen_at"])
    return written


def _wait_for_imports() -> None:
    """Imports do not hold the rows of subjects: wait until those that write have committed."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [IMPORTS_LOCK])


def _demanded(reason: str) -> str:
    cleaned = clean_text("reason", reason, most=200).strip()
    if not cleaned:
        raise refuse(
            "reason",
            "",
            "reason_needed",
            Sentence(_("Locking and unlocking need a reason.")),
            Sentence(_("Say why in a few words.")),
        )
    return cleaned


def _refuse_same(is_now: bool, is_asked: bool) -> None:
    if is_now and is_asked:
        raise _in_that_state(_("It was locked already."))
    if not is_now and not is_asked:
        raise _in_that_state(_("It was not locked."))


def _in_that_state(sentence: str) -> Refused:
    return refuse("", "", "state", Sentence(sentence), Sentence(_("Reload the page to see how it stands.")))
