"""Adverse events: recorded, corrected, reported, struck."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, time

from django.utils import timezone

from patients import ctcae_terms, edit_checks, selectors
from patients.actions import rows
from patients.actions.rules import clean_text, demand_reason, end_problems, refuse_unseen, refuse_voided
from patients.models import AdverseEvent, LabResult, Patient
from trial import audit, clock, vocabulary
from trial.models import User
from trial.refusals import Problem, Refused
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


SOURCE = "adverse event"
TERM_LENGTH = 120
_CODED = {
    "serious": vocabulary.SERIOUSNESS,
    "relation": vocabulary.RELATIONS,
    "action": vocabulary.EVENT_ACTIONS,
    "result": vocabulary.EVENT_OUTCOMES,
}


@dataclass(frozen=True, slots=True)
class EventEntry:
    """An adverse event as it is handed in; names are those of the row."""

    term: str
    grade: int
    onset_on: date
    onset_at: time | None = None
    ended_on: date | None = None
    serious: str = ""
    aware_at: datetime | None = None
    relation: str = ""
    action: str = ""
    result: str = ""
    note: str = ""
    lab_result_id: int | None = None


def record_event(*, patient: Patient, entry: EventEntry, by: User, reason: str = "") -> AdverseEvent:
    """Record an adverse event.

    Raises
    ------
    Refused
        With every problem: no term, no such grade, a day or hour that cannot be, a
        serious event without the hour from which its clock runs.
    """
    entry = _cleaned(entry)
    with audit.revision(by=by, reason=reason, source=SOURCE):
        patient = selectors.locked(patient)
        _refuse(patient, entry)
        event = AdverseEvent(patient=patient, ctcae_version=ctcae_terms.VERSION, **asdict(entry))
        event.save(force_insert=True)
    return event


def correct_event(
    *, event: AdverseEvent, entry: EventEntry, by: User, reason: str = "", version: int | None = None
) -> AdverseEvent:
    """Correct or complete an adverse event; what only fills empty fields needs no reason.

    Raises
    ------
    Refused
        As :func:`record_event`, and when something stored changes without a reason.
    Conflict
        With every field that somebody else changed after ``version``.
    """
    entry = _cleaned(entry)
    with audit.revision(by=by, source=SOURCE):
        patient = selectors.locked(event.patient)
        stored: AdverseEvent = AdverseEvent.objects.get(pk=event.pk)
        refuse_voided(stored.voided_at is not None)
        changes = rows.merged(stored, asdict(entry), version=version, site=patient.site)
        _refuse(patient, replace(entry, **{n: changes.get(n, getattr(stored, n)) for n in asdict(entry)}))
        if changes:
            if changes.get("aware_at", stored.aware_at) is None and stored.reported_at is not None:
                changes["reported_at"] = None  # an event that is not serious has no report
            with audit.revision(by=by, reason=rows.reason_for(stored, changes, reason)):
                rows.write(stored, changes)
    return stored


def report_event(*, event: AdverseEvent, by: User, at: datetime | None = None) -> AdverseEvent:
    """Say that a serious event has been reported, now or at a moment; a second time changes nothing."""
    with audit.revision(by=by, source=SOURCE, reason="serious event reported"):
        selectors.locked(event.patient)
        stored: AdverseEvent = AdverseEvent.objects.get(pk=event.pk)
        refuse_voided(stored.voided_at is not None)
        moment = at or timezone.now()
        if not stored.serious or stored.aware_at is None:
            raise Refused(
                [
                    Problem(
                        "",
                        "",
                        "not_serious",
                        Sentence(_("The event is not recorded as serious.")),
                        Sentence(_("Say first why it is serious, and since when the site knows of it.")),
                    )
                ]
            )
        if stored.reported_at is None:
            rows.write(stored, {"reported_at": max(moment, stored.aware_at)})
    return stored


def void_event(*, event: AdverseEvent, by: User, reason: str, version: int | None = None) -> AdverseEvent:
    """Strike an adverse event that did not happen; it stays in the history."""
    demand_reason(reason)
    with audit.revision(by=by, reason=reason, source=SOURCE):
        selectors.locked(event.patient)
        stored: AdverseEvent = AdverseEvent.objects.get(pk=event.pk)
        refuse_voided(stored.voided_at is not None)
        refuse_unseen(stored.version, version)
        rows.write(stored, {"voided_at": timezone.now()})
    return stored


# --- the rules ------------------------------------------------------------------------------


def _cleaned(entry: EventEntry) -> EventEntry:
    term = ctcae_terms.term_of(clean_text("term", entry.term, most=TERM_LENGTH)).name
    aware_at = entry.aware_at if entry.serious else None
    return replace(entry, term=term, note=clean_text("what", entry.note), aware_at=aware_at)


def _refuse(patient: Patient, entry: EventEntry) -> None:
    problems: list[Problem] = []

    def problem(field: str, value: object, rule: str, sentence: Sentence, remedy: Sentence) -> None:
        problems.append(Problem(field, "" if value is None else str(value), rule, sentence, remedy))

    if not entry.term:
        problem(
            "term", "", "no_term", Sentence(_("The event has no term.")), Sentence(_("Choose one, or type what happened."))
        )  # fmt: skip
    if entry.grade not in ctcae_terms.GRADES:
        problem(
            "grade",
            entry.grade,
            "no_grade",
            Sentence(_("The event has no grade.")),
            Sentence(_("Choose a grade from 1 to 5.")),
        )
    for field, terms in _CODED.items():
        value = getattr(entry, field)
        if value and value not in vocabulary.codes(terms):
            problem(
                field,
                value,
                "not_in_the_list",
                Sentence(_("“%(value)s” is not in the list."), {"value": value}),
                Sentence(_("Choose one of the list.")),
            )
    problems += _days(patient, entry)
    result = entry.lab_result_id
    if result is not None and not LabResult.objects.filter(pk=result, patient=patient).exists():
        problem(
            "lab_result",
            entry.lab_result_id,
            "no_such_result",
            Sentence(_("The lab result belongs to no visit of this subject.")),
            Sentence(_("Open the event again from the result.")),
        )
    if problems:
        raise Refused(problems)


def _days(patient: Patient, entry: EventEntry) -> list[Problem]:
    problems: list[Problem] = []
    now, here = timezone.now(), clock.zone(patient.site)
    life = selectors.life(patient)
    breach = edit_checks.day_breach(entry.onset_on, life)
    if breach is not None:
        problems.append(
            Problem("onset_on", entry.onset_on.isoformat(), breach.rule, breach.sentence, breach.remedy)
        )
    elif entry.onset_at is not None and clock.moment_at(patient.site, entry.onset_on, entry.onset_at) > now:
        problems.append(
            Problem(
                "onset_at",
                f"{entry.onset_at:%H:%M}",
                "future",
                Sentence(_("%(hour)s has not come yet today."), {"hour": f"{entry.onset_at:%H:%M}"}),
                Sentence(_("Check the hour.")),
            )
        )
    if entry.ended_on is not None:
        problems += end_problems(entry.onset_on, entry.ended_on, life)
    if entry.serious and entry.aware_at is None:
        problems.append(
            Problem(
                "aware_on",
                "",
                "no_clock",
                Sentence(_("A serious event has no hour from which its report is due.")),
                Sentence(_("Give the day and the hour when the site learned of it.")),
            )
        )
    if entry.aware_at is not None:
        shown = f"{entry.aware_at.astimezone(here):%Y-%m-%d %H:%M}"
        if entry.aware_at > now:
            problems.append(
                Problem(
                    "aware_on",
                    shown,
                    "future",
                    Sentence(_("%(moment)s has not come yet."), {"moment": shown}),
                    Sentence(_("Check day and hour.")),
                )
            )
        elif entry.aware_at.astimezone(here).date() < entry.onset_on:
            problems.append(
                Problem(
                    "aware_on",
                    shown,
                    "known_before_onset",
                    Sentence(
                        _("The site cannot know at %(moment)s of what began on %(day)s."),
                        {"moment": shown, "day": entry.onset_on.isoformat()},
                    ),
                    Sentence(_("Check both days.")),
                )
            )
    return problems
