"""Who a subject is: every look at it is logged, every change has a reason."""

from __future__ import annotations

from patients.actions.rules import clean_text, demand_reason
from patients.models import IdentityView, Patient, PatientIdentity
from trial import audit
from trial.models import User
from trial.refusals import Refused, refuse
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


KNOWN_PERSON = "known_person"
"""Rule of a refusal that names the subjects a person is registered as; its sentence holds their codes."""
FIELDS: tuple[tuple[str, int], ...] = (("name", 120), ("hospital_number", 40), ("phone", 40))


def see_identity(
    *, patient: Patient, by: User, purpose: IdentityView.Purpose = IdentityView.Purpose.CARE
) -> PatientIdentity | None:
    """Return who a subject is, and log that this person looked."""
    IdentityView.objects.create(patient=patient, viewer=by, purpose=purpose)
    return PatientIdentity.objects.filter(patient=patient).first()


def see_known_persons(*, refused: Refused, by: User) -> None:
    """Log a look at every subject that a refusal gave away: whose number, or whose name, was typed."""
    codes = {
        code
        for problem in refused.problems
        if problem.rule == KNOWN_PERSON
        for code in str(problem.sentence.values["subject"]).split(", ")
    }
    for patient in Patient.objects.visible_to(by).filter(subject_id__in=codes).order_by("subject_id"):
        IdentityView.objects.create(patient=patient, viewer=by, purpose=IdentityView.Purpose.CHECK)


def change_identity(
    *, patient: Patient, by: User, name: str, hospital_number: str, phone: str, reason: str = ""
) -> PatientIdentity:
    """Enter or correct who a subject is; equal values leave no trace.

    Raises
    ------
    Refused
        If something stored changes without a reason, or the hospital number is
        another subject's of the same site.
    """
    given = {"name": name, "hospital_number": hospital_number, "phone": phone}
    clean = {field: clean_text(field, given[field], most) for field, most in FIELDS}
    with audit.revision(by=by, reason=reason, source="identity"):
        Patient.objects.select_for_update(no_key=True).get(pk=patient.pk)
        stored: PatientIdentity | None = PatientIdentity.objects.filter(patient=patient).first()
        number = clean["hospital_number"]
        known = (
            PatientIdentity.objects.filter(patient__site_id=patient.site_id, hospital_number=number)
            .exclude(patient=patient)
            .exclude(patient__merged_into=patient)
            .select_related("patient")
            .first()
            if number
            else None
        )
        if known is not None:
            raise refuse(
                "hospital_number",
                number,
                KNOWN_PERSON,
                Sentence(
                    _("This hospital number belongs to %(subject)s."), {"subject": known.patient.subject_id}
                ),
                Sentence(_("Correct the number, or have the two subjects merged.")),
            )
        if stored is None:
            stored = PatientIdentity(patient=patient, **clean)
            stored.save(force_insert=True)
            return stored
        if any(getattr(stored, field) != value for field, value in clean.items()):
            demand_reason(reason)
            for field, value in clean.items():
                setattr(stored, field, value)
            stored.save(update_fields=list(clean))
    return stored
