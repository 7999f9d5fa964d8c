"""What the data say about a criterion, beside what the clinician ticks. Pure.

A check answers yes, no or unknown (cannot be determined), with the values and
the days it rests on and the rule that was applied. It never replaces the tick.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType

from patients.entries import AnswerEntry
from patients.rule_sets import CIRRHOSIS_VERSION, Diagnoses, diagnose
from patients.rules import Check, Facts, State
from trial import protocol
from trial.protocol import Answer, Diagnosis, Sex
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


@dataclass(frozen=True, slots=True)
class Finding:
    """What the data say about one criterion; unknown where they do not reach.

    ``rule`` names the rule and its version, ``checks`` are its elementary parts,
    ``warning`` is something a clinician should look at.
    """

    answer: Answer
    sentence: Sentence
    rule: str = f"protocol/{protocol.VERSION}"
    checks: tuple[Check, ...] = ()
    warning: Sentence | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """What is known of a subject on the day of screening."""

    screened_on: date
    age: int | None
    sex: Sex
    diagnosis: Diagnosis
    born_on: date | None = None
    facts: Facts = field(default_factory=Facts)
    rule_set: str = protocol.RULE_SET


_ANSWER_OF: Mapping[State, Answer] = MappingProxyType(
    {State.MET: Answer.YES, State.NOT_MET: Answer.NO, State.OPEN: Answer.UNKNOWN}
)


def findings(subject: Subject) -> Mapping[str, Finding]:
    """Return what the data say, by criterion; criteria that only a clinician can judge are absent."""
    found = {
        "inclusion_a": _hbsag(subject),
        "inclusion_b": _diagnosis(subject),
        "inclusion_c": _age(subject),
        "exclusion_a": _complication(subject),
    }
    if subject.sex is Sex.MALE:
        found["exclusion_e"] = Finding(Answer.NO, Sentence(_("male")))
    if prompt := _cancer_prompt(subject):
        found["exclusion_h"] = prompt
    return found


def disagreements(
    subject: Subject, answers: Mapping[str, AnswerEntry]
) -> Mapping[str, tuple[AnswerEntry, Finding]]:
    """Return the criteria whose tick says something else than the data, both being known."""
    return {
        code: (answers[code], finding)
        for code, finding in findings(subject).items()
        if code in answers and contradicts(finding, answers[code].answer)
    }


def contradicts(finding: Finding, answer: Answer) -> bool:
    """Return whether a tick and the data are both known and differ."""
    return Answer.UNKNOWN not in (finding.answer, answer) and finding.answer is not answer


def _age(subject: Subject) -> Finding:
    if subject.age is None:
        return Finding(Answer.UNKNOWN, Sentence(_("age not known")))
    answer = Answer.YES if protocol.AGE_AT_LEAST <= subject.age <= protocol.AGE_AT_MOST else Answer.NO
    values = {"age": subject.age, "day": subject.screened_on.isoformat()}
    if subject.born_on is None:
        return Finding(
            answer, Sentence(_("%(age)s years old on %(day)s, by the age at registration"), values)
        )
    values["born"] = subject.born_on.isoformat()
    return Finding(answer, Sentence(_("%(age)s years old on %(day)s, born %(born)s"), values))


def _day_of(subject: Subject, fact: str) -> date | None:
    found = subject.facts.known.get(fact)
    return found.day if found else None


def _hbsag(subject: Subject) -> Finding:
    first_positive_on = _day_of(subject, "hbsag_first_on")
    if first_positive_on is None:
        return Finding(Answer.UNKNOWN, Sentence(_("give the day of the first positive result")))
    days = (subject.screened_on - first_positive_on).days
    return Finding(
        Answer.YES if days >= protocol.HBSAG_DAYS else Answer.NO,
        Sentence(
            _("positive since %(first)s: %(days)s days on the day of screening; %(least)s are needed"),
            {"first": first_positive_on.isoformat(), "days": days, "least": protocol.HBSAG_DAYS},
        ),
    )


_COMPLICATIONS = (("rupture_on", _("variceal bleeding")), ("septicaemia_on", _("septicaemia")))


def _complication(subject: Subject) -> Finding:
    """One within two months is enough; all must be known to be none or longer ago to say no."""
    checks: list[Check] = []
    for fact, label in _COMPLICATIONS:
        found = subject.facts.known.get(fact)
        if found is None or (found.day is None and not found.is_none):
            state, seen = State.OPEN, Sentence(_("give its last day, or 0 for never"))
        elif found.day is None:
            state, seen = State.NOT_MET, Sentence(_("never"))
        else:
            days = (subject.screened_on - found.day).days
            state = State.MET if days <= protocol.COMPLICATION_FREE_DAYS else State.NOT_MET
            seen = Sentence(
                _("%(day)s, %(days)s days before the screening"),
                {"day": found.day.isoformat(), "days": days},
            )
        wording = Sentence(
            _("%(what)s in the last %(days)s days"),
            {"what": Sentence(label), "days": protocol.COMPLICATION_FREE_DAYS},
        )
        checks.append(Check(wording, state, seen))
    states = [check.state for check in checks]
    if State.MET in states:
        return Finding(Answer.YES, Sentence(_("there was one")), checks=tuple(checks))
    if State.OPEN in states:
        return Finding(Answer.UNKNOWN, Sentence(_("cannot be determined")), checks=tuple(checks))
    return Finding(Answer.NO, Sentence(_("there was none")), checks=tuple(checks))


_FLAGS: Mapping[State, str] = MappingProxyType(
    {State.MET: _("yes"), State.NOT_MET: _("no"), State.OPEN: _("cannot be determined")}
)


def _diagnosis(subject: Subject) -> Finding:
    found = diagnose(subject.facts, subject.rule_set)
    # the signs of cirrhosis are long; they are told once one of them was given
    checks = found.liver_failure_checks
    if subject.diagnosis is Diagnosis.CIRRHOSIS or found.cirrhosis is not State.OPEN:
        checks += found.cirrhosis_checks
    sentence = Sentence(
        _("liver failure by %(rule)s: %(failure)s; cirrhosis: %(cirrhosis)s"),
        {
            "rule": Sentence(found.rule_set.label),
            "failure": Sentence(_FLAGS[found.liver_failure]),
            "cirrhosis": Sentence(_FLAGS[found.cirrhosis])
            if found.cirrhosis is not State.MET or found.decompensated is State.OPEN
            else Sentence(_("yes, decompensated"))
            if found.decompensated is State.MET
            else Sentence(_("yes, compensated")),
        },
    )
    return Finding(
        _ANSWER_OF[found.either],
        sentence,
        f"{found.rule_set.name}, {CIRRHOSIS_VERSION}",
        checks,
        _other_diagnosis(subject, found),
    )


def _other_diagnosis(subject: Subject, found: Diagnoses) -> Sentence | None:
    if found.counts_as is None or found.counts_as is subject.diagnosis:
        return None
    return Sentence(
        _("by the data this is %(data)s; the subject is registered with %(registered)s"),
        {
            "data": Sentence(protocol.DIAGNOSIS_LABELS[found.counts_as]),
            "registered": Sentence(protocol.DIAGNOSIS_LABELS[subject.diagnosis]),
        },
    )


def _cancer_prompt(subject: Subject) -> Finding | None:
    afp, limits = subject.facts.in_unit("afp", "ng/mL"), subject.facts.reference.get("afp")
    if afp is None or afp.value is None or limits is None or limits.high is None:
        return None
    values = {"afp": subject.facts.as_reported("afp"), "limit": limits.high}
    if afp.value > limits.high or (afp.comparator == ">" and afp.value == limits.high):
        return Finding(
            Answer.UNKNOWN,
            Sentence(_("AFP %(afp)s, above %(limit)s ng/mL"), values),
            warning=Sentence(_("look for liver cancer in the imaging")),
        )
    return Finding(Answer.UNKNOWN, Sentence(_("AFP %(afp)s, not above %(limit)s ng/mL"), values))
