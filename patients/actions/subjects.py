"""Taking a subject into the study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal

from django.db import IntegrityError, transaction
from django.db.models import IntegerField, Max, Q
from django.db.models.functions import Cast, Substr

from patients import edit_checks
from patients.actions.rules import clean_text, violated_constraint
from patients.models import Patient, PatientIdentity
from trial import audit, clock
from trial.models import Site, User
from trial.protocol import Course, Diagnosis, Sex
from trial.refusals import Problem, Refused, refuse
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


AGE_QUANTUM = Decimal("0.000001")


def enrol(
    *,
    by: User,
    site: Site,
    sex: Sex | str,
    diagnosis: Diagnosis | str,
    subject_id: str | None = None,
    birth_date: date | None = None,
    age: Decimal | int | None = None,
    recruited_on: date | None = None,
    planned_course: Course | str = "",
    identity: Mapping[str, str] | None = None,
    status: Patient.Status | str = Patient.Status.ENROLLED,
    another_than: Sequence[str] = (),
    reason: str = "",
) -> Patient:
    """Take a subject into the study, under the next free code of the site unless one is given.

    Parameters
    ----------
    age
        Age at recruitment in years, where the date of birth is not known.
    identity
        ``name``, ``hospital_number``, ``phone``: kept in a table apart.
    status
        In screening, when the criteria are still to be answered.
    another_than
        Subjects of the site that look like the same person and, as somebody
        confirmed, are not.

    Raises
    ------
    Refused
        If the code is taken, a date cannot be, or the person may be registered
        at this site already.
    """
    today = clock.today_at(site)
    _refuse_days(today, birth_date, recruited_on)
    who = _identity(identity or {})
    with audit.revision(by=by, reason=reason, source="registration"):
        # one registration at a time per site, so that a code is given once
        Site.objects.select_for_update(no_key=True).get(pk=site.pk)
        _refuse_known_person(site, who, birth_date, another_than)
        patient = Patient(
            subject_id=subject_id or next_subject_id(site),
            site=site,
            sex=Sex(sex).value,
            birth_date=birth_date,
            age_at_recruitment=None if age is None else Decimal(age).quantize(AGE_QUANTUM, ROUND_HALF_EVEN),
            diagnosis=Diagnosis(diagnosis).value,
            recruited_on=recruited_on,
            planned_course=str(planned_course or ""),
            status=status,
        )
        try:
            with transaction.atomic():
                patient.save(force_insert=True)
        except IntegrityError as error:
            raise _registration_refused(error, patient) from error
        if any(who.values()):
            PatientIdentity.objects.create(patient=patient, **who)
    return patient


def next_subject_id(site: Site) -> str:
    """Return the next free code of a site: ``GE-001``, ``GE-002``, ..."""
    last = (
        Patient.objects.filter(subject_id__regex=rf"^{site.code}-[0-9]{{1,8}}$")
        .annotate(ordinal=Cast(Substr("subject_id", len(site.code) + 2), IntegerField()))
        .aggregate(last=Max("ordinal"))["last"]
    )
    return f"{site.code}-{(last or 0) + 1:03}"


def _identity(identity: Mapping[str, str]) -> dict[str, str]:
    who: dict[str, str] = {}
    for name, most in (("name", 120), ("hospital_number", 40), ("phone", 40)):
        who[name] = clean_text(name, identity.get(name, ""), most)
    return who


def may_be_registered(site: Site, *, name: str, hospital_number: str, birth_date: date | None) -> list[str]:
    """Return the subjects of a site with the same hospital number, or the same name and date of birth.

    Within the site only: whether another hospital knows somebody is nobody's
    business here.
    """
    same = Q(pk__in=())
    if hospital_number:
        same |= Q(hospital_number__iexact=hospital_number)
    if name and birth_date:
        same |= Q(name__iexact=name, patient__birth_date=birth_date)
    known = PatientIdentity.objects.filter(same, patient__site=site, patient__merged_into__isnull=True)
    return list(known.order_by("patient__subject_id").values_list("patient__subject_id", flat=True)[:5])


def _refuse_known_person(
    site: Site, who: Mapping[str, str], birth_date: date | None, another_than: Sequence[str]
) -> None:
    known = may_be_registered(
        site, name=who["name"], hospital_number=who["hospital_number"], birth_date=birth_date
    )
    if set(known) - set(another_than):
        raise refuse(
            "another_than",
            ",".join(known),
            "known_person",
            Sentence(_("This person may be registered already: %(subject)s."), {"subject": ", ".join(known)}),
            Sentence(_("Open that subject, or confirm that this is somebody else.")),
        )


def _refuse_days(today: date, birth_date: date | None, recruited_on: date | None) -> None:
    problems = []
    for field, day in (("birth_date", birth_date), ("recruited_on", recruited_on)):
        if day is not None and (breach := edit_checks.day_breach(day, edit_checks.Life(today))):
            problems.append(Problem(field, day.isoformat(), breach.rule, breach.sentence, breach.remedy))
    if birth_date and recruited_on and recruited_on <= birth_date:
        problems.append(
            Problem(
                "recruited_on",
                recruited_on.isoformat(),
                "before_birth",
                Sentence(
                    _("%(day)s is not after the date of birth, %(born)s."),
                    {"day": recruited_on.isoformat(), "born": birth_date.isoformat()},
                ),
                Sentence(_("Check the date against the record.")),
            )
        )
    if problems:
        raise Refused(problems)


def _registration_refused(error: IntegrityError, patient: Patient) -> Exception:
    match violated_constraint(error):
        case "subject_id_is_letters_digits_and_dashes":
            return refuse(
                "subject_id",
                patient.subject_id,
                "subject_id_form",
                Sentence(_("“%(value)s” cannot be a subject code."), {"value": patient.subject_id}),
                Sentence(
                    _("A code has capital letters, digits, dashes and dots, 24 at most, such as GE-014.")
                ),
            )
        case "patient_has_a_birth_date_or_an_age" | "age_is_between_0_and_120":
            return refuse(
                "birth_date",
                patient.age_at_recruitment,
                "age",
                Sentence(_("Neither a date of birth nor a possible age is given.")),
                Sentence(_("Give the date of birth, or an age from 0 to 120.")),
            )
        case name if "subject_id" in name:
            return refuse(
                "subject_id",
                patient.subject_id,
                "subject_id_taken",
                Sentence(_("“%(value)s” cannot be given again."), {"value": patient.subject_id}),
                Sentence(_("Leave the code empty to get the next free one.")),
            )
    return error
