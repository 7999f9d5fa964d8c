"""What happened to a subject."""

from __future__ import annotations

from datetime import date

from django.utils import timezone

from patients import edit_checks, selectors
from patients.actions.rules import clean_text, demand_reason, refuse_unseen, refuse_voided
from patients.models import Outcome, Patient
from trial import audit
from trial.models import User
from trial.protocol import OutcomeKind
from trial.refusals import Conflict, Problem, Refused, refuse
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


def record_outcome(
    *,
    patient: Patient,
    kind: OutcomeKind | str,
    happened_on: date,
    by: User,
    note: str = "",
    reason: str = "",
    version: int | None = None,
) -> Outcome:
    """Record what happened to a subject, or correct the outcome of that kind.

    Raises
    ------
    Refused
        If the day cannot be, lies before recruitment, or a death precedes an
        infusion, a screening, an event or a treatment; or a stored outcome changes without a reason.
    Conflict
        If ``version`` is given and somebody saved the outcome after it.
    """
    kind = OutcomeKind(kind)
    note = clean_text("note", note)
    with audit.revision(by=by, reason=reason, source="outcome"):
        patient = selectors.locked(patient)
        _refuse_outcome_day(patient, kind, happened_on)
        stored: Outcome | None = Outcome.objects.valid().filter(patient=patient, kind=kind.value).first()
        if version is not None and version != (stored.version if stored else 0):
            raise Conflict([], stored.version if stored else 0)
        if stored is None:
            stored = Outcome(patient=patient, kind=kind.value, happened_on=happened_on, note=note)
            stored.save(force_insert=True)
        elif (stored.happened_on, stored.note) != (happened_on, note):
            demand_reason(reason)
            stored.happened_on, stored.note = happened_on, note
            stored.version += 1
            stored.save(update_fields=["happened_on", "note", "version"])
    return stored


def _refuse_outcome_day(patient: Patient, kind: OutcomeKind, day: date) -> None:
    life = selectors.life(patient, but_for_deaths=kind is OutcomeKind.DEATH)
    breach = edit_checks.day_breach(day, life)
    if breach is not None:
        raise Refused([Problem("happened_on", day.isoformat(), breach.rule, breach.sentence, breach.remedy)])
    if patient.recruited_on is not None and day < patient.recruited_on:
        raise refuse(
            "happened_on",
            day.isoformat(),
            "before_recruitment",
            Sentence(
                _("%(day)s is before the subject was recruited, %(recruited)s."),
                {"day": day.isoformat(), "recruited": patient.recruited_on.isoformat()},
            ),
            Sentence(_("Check the date against the record.")),
        )
    last = selectors.last_seen_on(patient) if kind is OutcomeKind.DEATH else None
    if last is not None and last > day:
        raise refuse(
            "happened_on",
            day.isoformat(),
            "seen_after_death",
            Sentence(
                _("Something is recorded for %(seen)s, after %(day)s."),
                {"seen": last.isoformat(), "day": day.isoformat()},
            ),
            Sentence(
                _("Correct the date of death, or first the infusion, screening, event or treatment after it.")
            ),
        )


def void_outcome(*, outcome: Outcome, by: User, reason: str, version: int | None = None) -> Outcome:
    """Strike an outcome that did not happen; it stays in the history."""
    demand_reason(reason)
    with audit.revision(by=by, reason=reason, source="outcome"):
        selectors.locked(outcome.patient)
        stored = Outcome.objects.get(pk=outcome.pk)
        refuse_voided(stored.voided_at is not None)
        refuse_unseen(stored.version, version)
        stored.voided_at = timezone.now()
        stored.version += 1
        stored.save(update_fields=["voided_at", "version"])
    return stored
