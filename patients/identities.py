"""What is read about identities: what is stored, who looked, and which codes were given up."""

from __future__ import annotations

from django.db.models import QuerySet

from patients.models import IdentityView, Patient, PatientIdentity
from trial.models import User


def stored(user: User, patient: Patient) -> PatientIdentity | None:
    """Return what is stored of a subject this person may see; what is shown goes through ``see_identity``."""
    found: PatientIdentity | None = PatientIdentity.objects.visible_to(user).filter(patient=patient).first()
    return found


def views(user: User, *, subject: str = "", who: str = "") -> QuerySet[IdentityView]:
    """Return who looked at whose identity, newest first, with person, subject and site."""
    found: QuerySet[IdentityView] = IdentityView.objects.visible_to(user).select_related(
        "viewer", "patient__site"
    )
    if subject:
        found = found.filter(patient__subject_id=subject)
    if who:
        found = found.filter(viewer__username=who)
    return found


def given_up_for(user: User, patient: Patient, code: str) -> Patient | None:
    """Return the subject of a code that was merged into this subject."""
    found: Patient | None = (
        Patient.objects.given_up(user).filter(subject_id=code, merged_into=patient).first()
    )
    return found
