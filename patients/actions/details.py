"""Correcting what a subject was registered with; everything that rests on it follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from django.db.models import Min, Q

from patients import edit_checks, selectors
from patients.actions import rows
from patients.actions.eligibility import follow_facts
from patients.actions.queries import About, Asked, sync_queries
from patients.actions.subjects import AGE_QUANTUM
from patients.actions.visits import follow_checks
from patients.models import Patient, Screening
from trial import audit, protocol
from trial.models import User
from trial.refusals import Problem, Refused
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


SOURCE = "subject details"
_DAYS = {
    "visit": ("visits__visited_on", "visits__voided_at"),
    "infusion": ("infusions__given_on", "infusions__voided_at"),
    "screening": ("screenings__screened_on", "screenings__voided_at"),
    "outcome": ("outcomes__happened_on", "outcomes__voided_at"),
    "event": ("adverse_events__onset_on", "adverse_events__voided_at"),
    "treatment": ("treatments__started_on", "treatments__voided_at"),
}
"""Where the days of a subject's records stand, and what says that one no longer counts."""


@dataclass(frozen=True, slots=True)
class Details:
    """What a subject was registered with; names are those of the row."""

    birth_date: date | None
    age_at_recruitment: Decimal | None
    sex: str
    diagnosis: str
    recruited_on: date | None
    planned_course: str


def details_of(patient: Patient) -> Details:
    """Return what is stored."""
    return Details(**{name: getattr(patient, name) for name in Details.__slots__})


def correct_details(
    *,
    patient: Patient,
    details: Details,
    by: User,
    reason: str = "",
    version: int | None = None,
) -> Patient:
    """Correct what a subject was registered with; fields that are equal leave no trace.

    What rests on it is derived and follows by itself: age, group, the findings of
    a screening. The soft checks of the visits are asked again, and what is in
    doubt about the subject now opens a query.

    Raises
    ------
    Refused
        With every problem: a day that cannot be, or something stored changes
        without a reason.
    Conflict
        With every field that somebody else changed after ``version``.
    """
    age = details.age_at_recruitment
    if age is not None:
        details = replace(details, age_at_recruitment=age.quantize(AGE_QUANTUM, ROUND_HALF_EVEN))
    with audit.revision(by=by, source=SOURCE):
        stored = selectors.locked(patient)
        changes = rows.merged(stored, asdict(details), version=version, site=stored.site)
        result = replace(details_of(stored), **changes)
        _refuse(stored, result)
        if not changes:
            return stored
        why = rows.reason_for(stored, changes, reason)
        with audit.revision(by=by, reason=why):
            rows.write(stored, changes)
            follow_checks(patient=stored, by=by)
            for screening in Screening.objects.valid().filter(patient=stored):
                follow_facts(patient=stored, screening=screening, by=by)
            sync_queries(patient=stored, about=About(topic="subject"), asked=_asked(stored, result), by=by)
    return stored


def doubts(patient: Patient, details: Details) -> dict[str, Sentence]:
    """Return by field what asks for a second look before these details are kept; limits are the protocol's."""
    found: dict[str, Sentence] = {}
    screened_on = _screened_on(patient)
    day = screened_on or details.recruited_on
    as_if = Patient(site=patient.site, **asdict(details))
    age = as_if.age_on(day) if day is not None else None
    if age is None and details.age_at_recruitment is not None:
        age = int(details.age_at_recruitment)
    if age is not None and not protocol.AGE_AT_LEAST <= age <= protocol.AGE_AT_MOST:
        field = "birth_date" if details.birth_date is not None else "age_at_recruitment"
        limits = {"age": age, "least": protocol.AGE_AT_LEAST, "most": protocol.AGE_AT_MOST}
        found[field] = Sentence(
            _("%(age)s years old when screened; the protocol takes %(least)s to %(most)s."), limits
        )
    first = _first_days(patient)
    recruited = details.recruited_on
    if recruited is None:
        return found
    if first["infusion"] is not None and recruited > first["infusion"]:
        found["recruited_on"] = Sentence(
            _("%(day)s is after the first infusion on %(first)s."),
            {"day": recruited.isoformat(), "first": first["infusion"].isoformat()},
        )
    elif screened_on is not None and recruited < screened_on:
        found["recruited_on"] = Sentence(
            _("%(day)s is before the screening on %(screened)s."),
            {"day": recruited.isoformat(), "screened": screened_on.isoformat()},
        )
    return found


RULES: Mapping[str, str] = {
    "birth_date": "age_outside",
    "age_at_recruitment": "age_outside",
    "recruited_on": "recruited_late_or_early",
}


def _asked(patient: Patient, details: Details) -> list[Asked]:
    return [
        Asked(
            field=field,
            rule=RULES[field],
            sentence=sentence,
            detail=Sentence(_("Check it against the record.")),
            entered="|".join(f"{value}" for value in sorted(map(str, sentence.values.values()))),
        )
        for field, sentence in doubts(patient, details).items()
    ]


# --- the rules ------------------------------------------------------------------------------


def _first_days(patient: Patient) -> dict[str, date | None]:
    """Return the first day of each kind of record that counts."""
    wanted = {
        kind: Min(day, filter=Q(**{f"{voided}__isnull": True})) for kind, (day, voided) in _DAYS.items()
    }
    found: dict[str, Any] = Patient.objects.filter(pk=patient.pk).aggregate(**wanted)
    return found


def _screened_on(patient: Patient) -> date | None:
    day: date | None = (
        Screening.objects.valid()
        .filter(patient=patient)
        .order_by("-screened_on")
        .values_list("screened_on", flat=True)
        .first()
    )
    return day


def _refuse(patient: Patient, details: Details) -> None:
    problems = list(_missing(patient, details))
    life = selectors.life(patient)
    limits = {
        "birth_date": edit_checks.Life(life.today),
        "recruited_on": replace(life, born_on=details.birth_date),
    }
    for field, limit in limits.items():
        day = getattr(details, field)
        if day is not None and (breach := edit_checks.day_breach(day, limit)):
            problems.append(Problem(field, day.isoformat(), breach.rule, breach.sentence, breach.remedy))
    born = details.birth_date
    first = min((day for day in _first_days(patient).values() if day is not None), default=None)
    if born is not None and first is not None and born >= first:
        problems.append(
            Problem(
                "birth_date",
                born.isoformat(),
                "after_first_record",
                Sentence(
                    _("%(day)s is not before the first record of this subject, of %(first)s."),
                    {"day": born.isoformat(), "first": first.isoformat()},
                ),
                Sentence(_("Correct the date, or that record first.")),
            )
        )
    if problems:
        raise Refused(problems)


def _missing(patient: Patient, details: Details) -> list[Problem]:
    problems = []
    if details.birth_date is None and details.age_at_recruitment is None:
        problems.append(
            Problem(
                "birth_date",
                "",
                "age",
                Sentence(_("Neither a date of birth nor a possible age is given.")),
                Sentence(_("Give the date of birth, or an age from 0 to 120.")),
            )
        )
    elif details.age_at_recruitment is not None and not 0 <= details.age_at_recruitment <= 120:
        problems.append(
            Problem(
                "age_at_recruitment",
                str(details.age_at_recruitment),
                "age",
                Sentence(_("An age lies from 0 to 120 years.")),
                Sentence(_("Check it against the record.")),
            )
        )
    for field, known in (
        ("sex", [sex.value for sex in protocol.Sex]),
        ("diagnosis", [diagnosis.value for diagnosis in protocol.Diagnosis]),
        ("planned_course", ["", *(course.value for course in protocol.Course)]),
    ):
        if getattr(details, field) not in known:
            problems.append(
                Problem(
                    field,
                    str(getattr(details, field)),
                    "not_in_the_list",
                    Sentence(_("Nothing of the list is chosen.")),
                    Sentence(_("Choose one of the list.")),
                )
            )
    if patient.recruited_on is not None and details.recruited_on is None:
        problems.append(
            Problem(
                "recruited_on",
                "",
                "empty",
                Sentence(_("The day of recruitment is empty.")),
                Sentence(_("Every due day counts from it. Type it as year-month-day.")),
            )
        )
    if patient.planned_course and not details.planned_course:
        problems.append(
            Problem(
                "planned_course",
                "",
                "empty",
                Sentence(_("The planned course is empty.")),
                Sentence(_("Choose the course that was planned.")),
            )
        )
    return problems
