"""Answering the criteria with the facts behind them, what the verdict does, and the enrolment after it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from django.utils.translation import gettext

from patients import edit_checks, eligibility, facts, screenings, selectors
from patients.actions.queries import About, Asked, sync_queries
from patients.actions.rules import clean_text, demand_reason
from patients.entries import AnswerEntry
from patients.facts import FACT_AT, FactEntry
from patients.models import Patient, Screening, ScreeningAnswer, ScreeningFact
from trial import audit, protocol, units
from trial.models import User
from trial.protocol import Answer, Course, VerdictState
from trial.refusals import Clash, Conflict, Problem, Refused, refuse
from trial.sentences import Sentence
from trial.typed import MOST_CHARACTERS


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


_NOTHING = Sentence("")
_FACT_FIELDS = ["value", "typed_text", "typed_unit", "happened_on", "source"]


@dataclass(frozen=True, slots=True)
class _Stored:
    """A screening as it stands, or nothing of it yet."""

    screening: Screening | None
    answers: Mapping[str, ScreeningAnswer]
    facts: Mapping[str, ScreeningFact]

    @property
    def version(self) -> int:
        return self.screening.version if self.screening else 0


def record_screening(
    *,
    patient: Patient,
    screened_on: date,
    answers: Mapping[str, AnswerEntry],
    by: User,
    facts: Mapping[str, FactEntry] | None = None,
    reason: str = "",
    version: int | None = None,
    kept: Collection[str] | None = (),
) -> Screening:
    """Answer the criteria of a screening; its verdict sets the status of the subject.

    The screening of that day is made or corrected. A criterion or a fact that is
    absent keeps what is stored; a criterion never answered counts as unknown. A
    fact that is empty is taken back. A fact of ``kept`` (None for all) that a soft
    check doubts opens a query; a query whose check no longer fires closes.

    Raises
    ------
    Refused
        If a date or a value cannot be, a tick says something else than the data
        and no evidence says why, or something stored changes without a reason.
    Conflict
        If ``version`` is given and somebody saved the screening after it.
    """
    problems, cleaned = _cleaned(answers)
    given_facts = dict(facts or {})
    with audit.revision(by=by, reason=reason, source="screening"):
        patient = selectors.locked(patient)
        problems += _day_problems(patient, screened_on, cleaned, given_facts)
        if problems:
            raise Refused(problems)
        stored = _stored(patient, screened_on)
        if version is not None and version != stored.version:
            raise Conflict(_clashes(stored, cleaned, given_facts), stored.version)
        merged = {
            code: AnswerEntry(Answer(a.answer), a.evidence, a.evidence_on)
            for code, a in stored.answers.items()
        }
        merged = {c.code: AnswerEntry() for c in protocol.CRITERIA} | merged | cleaned
        merged_facts = {
            code: entry
            for code, entry in (
                {c: screenings.entry_of(f) for c, f in stored.facts.items()} | given_facts
            ).items()
            if not entry.is_empty
        }
        _refuse_unexplained(patient, screened_on, stored.screening, merged, merged_facts)
        changed = [a for code, a in stored.answers.items() if _differs(a, merged[code])]
        changed_facts = {
            code: given_facts[code]
            for code, row in stored.facts.items()
            if code in given_facts and screenings.entry_of(row) != given_facts[code]
        }
        new_facts = [e for code, e in given_facts.items() if code not in stored.facts and not e.is_empty]
        if changed_facts or any(answer.answer != Answer.UNKNOWN for answer in changed):
            demand_reason(reason)
        verdict = protocol.assess({code: entry.answer for code, entry in merged.items()}).state
        screening = stored.screening
        if screening is None:
            screening = Screening.objects.create(
                patient=patient,
                screened_on=screened_on,
                verdict=verdict.value,
                rule_set=protocol.RULE_SET,
            )
        elif not (changed or changed_facts or new_facts) and len(stored.answers) == len(protocol.CRITERIA):
            return screening
        with audit.revision(by=by, reason="" if reason.strip() else "criteria answered"):
            _store_answers(screening, stored.answers, merged, changed)
            _store_facts(screening, stored.facts, new_facts, changed_facts)
            if stored.screening is not None:
                screening.verdict = verdict.value
                screening.rule_set = screening.rule_set or protocol.RULE_SET
                screening.version += 1
                screening.save(update_fields=["verdict", "rule_set", "version"])
        _follow_verdict(patient, by)
        follow_facts(patient=patient, screening=screening, by=by, kept=kept)
    return screening


def enrol_screened(
    *,
    patient: Patient,
    by: User,
    recruited_on: date | None,
    planned_course: Course | str,
    version: int | None = None,
) -> Patient:
    """Enrol a subject whose newest screening found it eligible.

    Parameters
    ----------
    recruited_on
        The day of recruitment; a subject that has one already keeps it.
    version
        The version of the subject the person had on screen.

    Raises
    ------
    Refused
        If the subject is not eligible, is enrolled already, or the day cannot be.
    Conflict
        If somebody changed the subject meanwhile.
    """
    with audit.revision(by=by, source="screening"):
        patient = selectors.locked(patient)
        if patient.status == Patient.Status.ENROLLED:
            raise refuse(
                "",
                patient.subject_id,
                "enrolled_already",
                Sentence(_("The subject is enrolled already.")),
                Sentence(_("Nothing is left to do here.")),
            )
        newest = _newest(patient)
        if newest is None or newest.verdict != VerdictState.ELIGIBLE:
            raise refuse(
                "",
                patient.subject_id,
                "not_eligible",
                Sentence(_("The newest screening does not find the subject eligible.")),
                Sentence(_("Answer every criterion first; unknown is never eligible.")),
            )
        if version is not None and version != patient.version:
            raise Conflict([], patient.version)
        day = patient.recruited_on or recruited_on
        if day is None:
            raise refuse(
                "recruited_on",
                "",
                "empty",
                Sentence(_("The day of recruitment is empty.")),
                Sentence(_("Type it as year-month-day.")),
            )
        if breach := edit_checks.day_breach(day, selectors.life(patient)):
            raise refuse("recruited_on", day.isoformat(), breach.rule, breach.sentence, breach.remedy)
        if patient.recruited_on is None and day < newest.screened_on:
            raise refuse(
                "recruited_on",
                day.isoformat(),
                "before_screening",
                Sentence(
                    _("%(day)s is before the screening on %(screened)s."),
                    {"day": day.isoformat(), "screened": newest.screened_on.isoformat()},
                ),
                Sentence(_("A subject is recruited once it is found eligible. Check the date.")),
            )
        patient.recruited_on = day
        patient.planned_course = Course(planned_course).value
        patient.status = Patient.Status.ENROLLED
        patient.version += 1
        with audit.revision(
            by=by, reason=f"enrolled after the screening on {newest.screened_on.isoformat()}"
        ):
            patient.save(update_fields=["recruited_on", "planned_course", "status", "version"])
    return patient


def follow_facts(
    *, patient: Patient, screening: Screening, by: User, kept: Collection[str] | None = ()
) -> None:
    """Let the queries of a screening follow the soft checks of its facts, in the caller's revision."""
    stored = {row.fact: screenings.entry_of(row) for row in ScreeningFact.objects.filter(screening=screening)}
    doubts = facts.doubts(
        list(stored.values()),
        earlier=selectors.labs_until(patient, screening.screened_on),
        is_liver_failure=patient.diagnosis == protocol.Diagnosis.LIVER_FAILURE,
    )
    asked = [
        Asked(
            field=code,
            rule=doubt.rule,
            sentence=doubt.sentence,
            detail=doubt.detail,
            entered=fact_in_words(stored[code]),
        )
        for code, doubt in doubts.items()
    ]
    about = About(topic="screening", row=screening.pk)
    sync_queries(patient=patient, about=about, asked=asked, by=by, confirmed=kept)


# --- the steps ------------------------------------------------------------------------------


def _cleaned(answers: Mapping[str, AnswerEntry]) -> tuple[list[Problem], dict[str, AnswerEntry]]:
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
    return problems, {
        code: AnswerEntry(Answer(entry.answer), clean_text(code, entry.evidence), entry.evidence_on)
        for code, entry in answers.items()
        if code in protocol.CRITERION_AT
    }


def _day_problems(
    patient: Patient,
    screened_on: date,
    answers: Mapping[str, AnswerEntry],
    given: Mapping[str, FactEntry],
) -> Iterator[Problem]:
    life = selectors.life(patient)
    for field, day in (("screened_on", screened_on), *((c, e.evidence_on) for c, e in answers.items())):
        if day is not None and (breach := edit_checks.day_breach(day, life)):
            yield Problem(field, day.isoformat(), breach.rule, breach.sentence, breach.remedy)
    for code, entry in given.items():
        if code not in FACT_AT or len(entry.typed_text) > MOST_CHARACTERS:
            yield Problem(
                f"fact_{code}",
                entry.typed_text,
                "unknown_fact" if code not in FACT_AT else "too_long",
                Sentence(_("“%(code)s” cannot be stored."), {"code": code}),
                _NOTHING,
            )
            continue
        for breach in facts.breaches(entry, screened_on=screened_on, life=life):
            given_text = entry.typed_text or (entry.happened_on.isoformat() if entry.happened_on else "")
            yield Problem(f"fact_{code}", given_text, breach.rule, breach.sentence, breach.remedy)


def _stored(patient: Patient, day: date) -> _Stored:
    screening: Screening | None = Screening.objects.valid().filter(patient=patient, screened_on=day).first()
    if screening is None:
        return _Stored(None, {}, {})
    return _Stored(
        screening,
        {answer.criterion: answer for answer in screening.answers.all()},
        {fact.fact: fact for fact in screening.facts.all()},
    )


def _refuse_unexplained(
    patient: Patient,
    screened_on: date,
    screening: Screening | None,
    answers: Mapping[str, AnswerEntry],
    given: Mapping[str, FactEntry],
) -> None:
    """A tick may say something else than the data; the evidence then says why."""
    subject = screenings.subject_of(
        patient, screened_on, given, rule_set=screening.rule_set if screening else ""
    )
    unexplained = [
        Problem(
            code,
            answer.answer.value,
            "unexplained",
            Sentence(
                _("The data say %(data)s: %(finding)s."),
                {"data": Sentence(protocol.ANSWER_LABELS[finding.answer]), "finding": finding.sentence},
            ),
            Sentence(_("Change the answer, or write in the evidence why it stands.")),
        )
        for code, (answer, finding) in eligibility.disagreements(subject, answers).items()
        if not answer.evidence.strip()
    ]
    if unexplained:
        raise Refused(unexplained)


def _clashes(
    stored: _Stored, mine: Mapping[str, AnswerEntry], my_facts: Mapping[str, FactEntry]
) -> Iterator[Clash]:
    for code, entry in mine.items():
        if code in stored.answers and _differs(stored.answers[code], entry):
            theirs = stored.answers[code]
            yield Clash(
                protocol.CRITERION_AT[code].label,
                mine=_in_words(entry.answer, entry.evidence, entry.evidence_on),
                theirs=_in_words(Answer(theirs.answer), theirs.evidence, theirs.evidence_on),
                before="",
            )
    for code, fact in my_facts.items():
        row = stored.facts.get(code)
        their = screenings.entry_of(row) if row is not None else FactEntry(fact=code)
        if (fact.is_empty and their.is_empty) or fact == their:
            continue
        yield Clash(FACT_AT[code].label, mine=fact_in_words(fact), theirs=fact_in_words(their), before="")


def fact_in_words(entry: FactEntry) -> str:
    """Write a fact as it was typed, with its unit and day; a dash for none."""
    unit = "" if entry.typed_unit in ("", "ratio") else units.symbol(entry.typed_unit)
    day = entry.happened_on.isoformat() if entry.happened_on else ""
    value = f"{entry.typed_text} {unit}".strip()
    return ", ".join(part for part in (value, day) if part) or "–"


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
    given: Mapping[str, AnswerEntry],
    changed: list[ScreeningAnswer],
) -> None:
    for answer in changed:
        entry = given[answer.criterion]
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
            answer=entry.answer.value,
            evidence=entry.evidence,
            evidence_on=entry.evidence_on,
        )
        for code, entry in given.items()
        if code not in stored
    )


def _store_facts(
    screening: Screening,
    stored: Mapping[str, ScreeningFact],
    new: list[FactEntry],
    changed: Mapping[str, FactEntry],
) -> None:
    for code, entry in changed.items():
        if entry.is_empty:
            stored[code].delete()
        else:
            _filled(stored[code], entry)
    kept = [stored[code] for code, entry in changed.items() if not entry.is_empty]
    ScreeningFact.objects.bulk_update(kept, _FACT_FIELDS)
    ScreeningFact.objects.bulk_create(
        _filled(ScreeningFact(patient_id=screening.patient_id, screening=screening, fact=entry.fact), entry)
        for entry in new
    )


def _filled(row: ScreeningFact, entry: FactEntry) -> ScreeningFact:
    row.value = entry.standard_value
    row.typed_text = entry.typed_text
    row.typed_unit = entry.typed_unit
    row.happened_on = entry.happened_on
    row.source = entry.source
    return row


def _newest(patient: Patient) -> Screening | None:
    newest: Screening | None = (
        Screening.objects.valid().filter(patient=patient).order_by("screened_on", "id").last()
    )
    return newest


def _follow_verdict(patient: Patient, by: User) -> None:
    """Set the status that the newest screening amounts to.

    Found not eligible, a subject is a screening failure. Found eligible after
    that, or screened again, it is in screening until somebody enrols it; who is
    enrolled stays enrolled.
    """
    newest = _newest(patient)
    if newest is None:
        return
    status = Patient.Status(patient.status)
    if newest.verdict == VerdictState.NOT_ELIGIBLE:
        status = Patient.Status.SCREEN_FAILED
    elif status == Patient.Status.SCREEN_FAILED:
        status = Patient.Status.SCREENING
    if status != patient.status:
        patient.status = status
        patient.version += 1
        with audit.revision(by=by, reason=f"verdict of the screening on {newest.screened_on.isoformat()}"):
            patient.save(update_fields=["status", "version"])
