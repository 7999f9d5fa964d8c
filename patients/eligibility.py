"""What the data say about a criterion, beside what the clinician ticks. Pure.

A check answers yes, no or unknown (cannot be determined), with the value and the
day it rests on. It never replaces the tick.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from patients.edit_checks import Earlier, plain
from patients.entries import AnswerEntry
from trial import protocol, units
from trial.protocol import Answer, Diagnosis, Sex
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


# the APASL definition of liver failure, in the units it is written in
TBIL_MG_DL_AT_LEAST = Decimal(5)
INR_AT_LEAST = Decimal("1.5")
PTA_BELOW = Decimal(40)


@dataclass(frozen=True, slots=True)
class Finding:
    """What the data say about one criterion; unknown where they do not reach."""

    answer: Answer
    sentence: Sentence


@dataclass(frozen=True, slots=True)
class Subject:
    """What is known of a subject on the day of screening."""

    screened_on: date
    age: int | None
    sex: Sex
    diagnosis: Diagnosis
    labs: Mapping[str, Earlier] = field(default_factory=dict)


def findings(subject: Subject, answers: Mapping[str, AnswerEntry]) -> Mapping[str, Finding]:
    """Return what the data say, by criterion; criteria that only a clinician can judge are absent.

    Parameters
    ----------
    subject
        Age, sex and the last laboratory values before the screening.
    answers
        What is ticked, for the dates given as evidence.
    """
    found = {
        "inclusion_a": _hbsag(subject, _evidence_on(answers, "inclusion_a")),
        "inclusion_b": _liver_failure(subject),
        "inclusion_c": _age(subject),
        "exclusion_a": _complication(subject, _evidence_on(answers, "exclusion_a")),
    }
    if subject.sex is Sex.MALE:
        found["exclusion_e"] = Finding(Answer.NO, Sentence(_("male")))
    return found


def _evidence_on(answers: Mapping[str, AnswerEntry], code: str) -> date | None:
    entry = answers.get(code)
    return entry.evidence_on if entry else None


def _age(subject: Subject) -> Finding:
    if subject.age is None:
        return Finding(Answer.UNKNOWN, Sentence(_("age not known")))
    answer = Answer.YES if protocol.AGE_AT_LEAST <= subject.age <= protocol.AGE_AT_MOST else Answer.NO
    return Finding(
        answer,
        Sentence(
            _("%(age)s years old on %(day)s"), {"age": subject.age, "day": subject.screened_on.isoformat()}
        ),
    )


def _hbsag(subject: Subject, first_positive_on: date | None) -> Finding:
    if first_positive_on is None:
        return Finding(Answer.UNKNOWN, Sentence(_("give the day of the first positive result")))
    days = (subject.screened_on - first_positive_on).days
    return Finding(
        Answer.YES if days >= protocol.HBSAG_DAYS else Answer.NO,
        Sentence(
            _("positive for %(days)s days on the day of screening; %(least)s are needed"),
            {"days": days, "least": protocol.HBSAG_DAYS},
        ),
    )


def _complication(subject: Subject, last_on: date | None) -> Finding:
    if last_on is None:
        return Finding(Answer.UNKNOWN, Sentence(_("give the day of the last complication, if there was one")))
    days = (subject.screened_on - last_on).days
    return Finding(
        Answer.YES if days <= protocol.COMPLICATION_FREE_DAYS else Answer.NO,
        Sentence(
            _("%(days)s days before the screening; more than %(least)s are needed"),
            {"days": days, "least": protocol.COMPLICATION_FREE_DAYS},
        ),
    )


def _liver_failure(subject: Subject) -> Finding:
    if subject.diagnosis is Diagnosis.CIRRHOSIS:
        return Finding(
            Answer.UNKNOWN, Sentence(_("cirrhosis is judged by histology, endoscopy, imaging or stiffness"))
        )
    values = {code: subject.labs[code].value for code in ("tbil", "inr", "pta") if code in subject.labs}
    said = Sentence(
        _("last values: %(values)s"),
        {
            "values": ", ".join(
                f"{protocol.label_of(code)} {plain(value, protocol.decimals_of(code))} "
                f"{units.symbol(protocol.unit_of(code))}"
                for code, value in values.items()
            )
        },
    )
    if not values:
        return Finding(Answer.UNKNOWN, Sentence(_("no bilirubin, INR or PTA before the screening")))
    coagulation = _coagulopathy(values)
    if "tbil" not in values or coagulation is None:
        return Finding(Answer.UNKNOWN, said)
    is_jaundiced = values["tbil"] / units.BILIRUBIN_UMOL_PER_MG_DL >= TBIL_MG_DL_AT_LEAST
    return Finding(Answer.YES if is_jaundiced and coagulation else Answer.NO, said)


def _coagulopathy(values: Mapping[str, Decimal]) -> bool | None:
    """Return whether either arm of the rule is met; None when neither is and one is not known."""
    if values.get("inr", Decimal(0)) >= INR_AT_LEAST or values.get("pta", Decimal(100)) < PTA_BELOW:
        return True
    return False if {"inr", "pta"} <= values.keys() else None
