"""Verified, signed, locked: the small marks that pages of a subject show in their heads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from patients import locks, signatures, verifications
from patients.locks import Lock
from patients.models import Patient, Visit
from patients.signatures import Signed
from patients.verifications import Share
from trial.lock_functions import VISIT_LOCKED


@dataclass(frozen=True, slots=True)
class Marks:
    """What ``patients/_marks.html`` shows."""

    share: Share
    signed: Signed | None
    lock: Lock | None

    @property
    def is_empty(self) -> bool:
        return not self.share.verified and self.signed is None and self.lock is None


def of_visit(patient: Patient, visit: Visit) -> Marks:
    """Return the marks of one visit; none for a visit that is not saved yet."""
    if visit._state.adding:
        return Marks(Share(), None, locks.lock_on(patient))
    found = signatures.signatures(patient, visit=visit)
    share = verifications.shares(patient, only_visit=visit).get(visit.pk, Share())
    return Marks(share, found[0] if found else None, locks.lock_on(patient, visit))


def of_visits(patient: Patient, visits: list[Visit]) -> Mapping[int, Marks]:
    """Return the marks of several visits; the number of queries does not depend on how many."""
    newest = signatures.by_visit(signatures.signatures(patient))
    shares = verifications.shares(patient)
    return {
        visit.pk: Marks(shares.get(visit.pk, Share()), newest.get(visit.pk), _own_lock(visit))
        for visit in visits
    }


def of_casebook(patient: Patient) -> Marks:
    """Return the marks of a subject as a whole."""
    newest = signatures.by_visit(signatures.signatures(patient)).get(None)
    return Marks(verifications.total(verifications.shares(patient).values()), newest, locks.lock_on(patient))


def _own_lock(visit: Visit) -> Lock | None:
    """Return the lock of a visit itself, without asking the trail who set it."""
    return Lock(VISIT_LOCKED, visit.locked_at) if visit.locked_at is not None else None
