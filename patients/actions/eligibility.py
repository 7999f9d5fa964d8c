"""Answering the criteria, and what the verdict does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from types import MappingProxyType

from django.utils.translation import gettext

from patients import edit_checks, selectors
from patients.actions.rules import clean_text, demand_reason
from patients.entries import AnswerEntry
from patients.models import Patient, Screening, ScreeningAnswer
from trial import audit, protocol
from trial.models import User
from trial.protocol import Answer, VerdictState
from trial.refusals import Clash, Conflict, Problem, Refused
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


_STATUS_AFTER: Mapping[VerdictState, Patient.Status] = MappingProxyType(
    {
        VerdictState.ELIGIBLE: Patient.Status.ENROLLED,
        VerdictState.NOT_ELIGIBLE: Patient.Status.SCREEN_FAILED,
    }
)


def record_screening(
    *,
    patient: Patient,
    screened_on: date,
    answers: Mapping[str, AnswerEntry],
    by: User,
    reason: str = "",
    version: int | None = None,
) -> Screening:
    """Answer the criteria of a screening; its verdict sets the status of the subject.

    The screening of that day is made or corrected. A criterion that is absent
    from ``answers`` keeps what is stored, or counts as unknown.

    Raises
    ------
    Refused
        If a date cannot be, or a stored answer other than unknown changes and
        no reason is given.
    Conflict
        If ``version`` is given and somebody saved the screening after it.
    """
    problems = [
        Problem(
            code,
            code,
            "unknown_criterion",
            Sentence(_("There is no criterion “%(code)s”."), {"code": code}),
            _NOTHING,
        )
        for code in answers
        if code not in protocol.CRITERION_AT
    ]
    cleaned = {
        code: AnswerEntry(Answer(entry.answer), clean_text(code, entry.evidence), entry.evidence_on)
        for code, entry in answers.items()
        if code in protocol.CRITERION_AT
    }
    with audit.revision(by=by, reason=reason, source="screening"):
        patient = selectors.locked(patient)
        life = selectors.life(patient)
        days = [("screened_on", screened_on), *((code, entry.evidence_on) for code, entry in cleaned.items())]
        for field, day in days:
            if day is not None and (breach := edit_checks.day_breach(day, life)):
                problems.append(Problem(field, day.isoformat(), breach.rule, breach.sentence, breach.remedy))
        if problems:
            raise Refused(problems)
        screening: Screening | None = (
            Screening.objects.valid().filter(patient=patient, screened_on=screened_on).first()
        )
        stored = {a.criterion: a for a in screening.answers.all()} if screening else {}
        if version is not None and version != (screening.version if screening else 0):
            raise Conflict(_clashes(stored, cleaned), screening.version if screening else 0)
        given = {c.code: cleaned.get(c.code) for c in protocol.CRITERIA}
        changed = [
            answer
            for code, answer in stored.items()
            if (entry := given[code]) is not None and _differs(answer, entry)
        ]
        if any(answer.answer != Answer.UNKNOWN for answer in changed):
            demand_reason(reason)
        verdict = protocol.assess(
            {
                code: entry.answer
                if entry
                else Answer(stored[code].answer)
                if code in stored
                else Answer.UNKNOWN
                for code, entry in given.items()
            }
        ).state
        if screening is None:
            screening = Screening.objects.create(
                patient=patient, screened_on=screened_on, verdict=verdict.value
            )
        elif not changed and len(stored) == len(protocol.CRITERIA):
            return screening
        with audit.revision(by=by, reason="" if reason.strip() else "criteria answered"):
            _store_answers(screening, stored, given, changed)
            if stored:
                screening.verdict = verdict.value
                screening.version += 1
                screening.save(update_fields=["verdict", "version"])
        _follow_verdict(patient, by)
    return screening


_NOTHING = Sentence("")


def _clashes(stored: Mapping[str, ScreeningAnswer], mine: Mapping[str, AnswerEntry]) -> Iterator[Clash]:
    for code, entry in mine.items():
        if code in stored and _differs(stored[code], entry):
            theirs = stored[code]
            yield Clash(
                protocol.CRITERION_AT[code].label,
                mine=_in_words(entry.answer, entry.evidence, entry.evidence_on),
                theirs=_in_words(Answer(theirs.answer), theirs.evidence, theirs.evidence_on),
                before="",
            )


def _in_words(answer: Answer, evidence: str, evidence_on: date | None) -> str:
    parts = (
        gettext(protocol.ANSWER_LABELS[answer]),
        evidence,
        evidence_on.isoformat() if evidence_on else "",
    )
    return ", ".join(part for part in parts if part)


def _differs(stored: ScreeningAnswer, entry: AnswerEntry) -> bool:
    return (stored.answer, stored.evidence, stored.evidence_on) != (
        entry.answer.value,
        entry.evidence,
        entry.evidence_on,
    )


def _store_answers(
    screening: Screening,
    stored: Mapping[str, ScreeningAnswer],
    given: Mapping[str, AnswerEntry | None],
    changed: list[ScreeningAnswer],
) -> None:
    for answer in changed:
        entry = given[answer.criterion] or AnswerEntry()
        answer.answer, answer.evidence, answer.evidence_on = (
            entry.answer.value,
            entry.evidence,
            entry.evidence_on,
        )
    ScreeningAnswer.objects.bulk_update(changed, ["answer", "evidence", "evidence_on"])
    ScreeningAnswer.objects.bulk_create(
        ScreeningAnswer(
            patient_id=screening.patient_id,
            screening=screening,
            criterion=code,
            answer=(entry or AnswerEntry()).answer.value,
            evidence=(entry or AnswerEntry()).evidence,
            evidence_on=(entry or AnswerEntry()).evidence_on,
        )
        for code, entry in given.items()
        if code not in stored
    )


def _follow_verdict(patient: Patient, by: User) -> None:
    """Set the status that the newest screening amounts to; a pending one leaves it."""
    newest = Screening.objects.valid().filter(patient=patient).order_by("screened_on", "id").last()
    if newest is None:
        return
    status = _STATUS_AFTER.get(VerdictState(newest.verdict))
    if status is not None and status != patient.status:
        patient.status = status
        patient.version += 1
        with audit.revision(by=by, reason=f"verdict of the screening on {newest.screened_on.isoformat()}"):
            patient.save(update_fields=["status", "version"])
