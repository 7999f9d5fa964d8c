"""Putting a name under a visit or a casebook."""

from __future__ import annotations

from django.utils import timezone

from patients import casebook_rows, selectors
from patients.models import Patient, Signature, Visit
from trial import audit, vocabulary
from trial.models import User
from trial.refusals import Refused, refuse
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


SOURCE = "signature"


def sign(*, patient: Patient, meaning: str, digest: str, by: User, visit: Visit | None = None) -> Signature:
    """Sign what is stored of a visit, or of the whole casebook. Who signs has just proven who they are.

    Parameters
    ----------
    meaning
        Code of :data:`trial.vocabulary.SIGNATURE_MEANINGS`.
    digest
        Of the values that were on screen: what nobody read is not signed.

    Raises
    ------
    Refused
        If the values changed since they were shown, or the meaning is not one.
    """
    demand_meaning(meaning)
    with audit.revision(by=by, source=SOURCE):
        stored = selectors.locked(patient)
        if visit is not None and not Visit.objects.valid().filter(pk=visit.pk, patient=stored).exists():
            raise _moved(_("The visit was voided meanwhile."))
        book = casebook_rows.read(stored, only_visits=visit is not None)
        now_there = book.digest(visit.pk if visit is not None else None)
        if now_there != digest:
            raise _moved(_("The values changed after they were shown to you; nothing was signed."))
        return Signature.objects.create(
            patient=stored,
            visit=visit,
            meaning=meaning,
            signed_by=by,
            printed_name=by.shown_name,
            signed_at=timezone.now(),
            digest=now_there,
        )


def demand_meaning(meaning: str) -> None:
    """Refuse a signature that does not say what it means.

    Raises
    ------
    Refused
        If the code is not one of :data:`trial.vocabulary.SIGNATURE_MEANINGS`.
    """
    if meaning not in vocabulary.codes(vocabulary.SIGNATURE_MEANINGS):
        raise refuse(
            "meaning",
            meaning,
            "meaning",
            Sentence(_("What the signature means is not said.")),
            Sentence(_("Choose one of the meanings.")),
        )


def _moved(sentence: str) -> Refused:
    return refuse(
        "", "", "moved", Sentence(sentence), Sentence(_("Read the values as they are now, then sign again."))
    )
