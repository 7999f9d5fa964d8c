"""What happens on a ward that never was, besides labs and infusions: treatments, events, vital signs.

The shares are our invention; fever within a day of an infusion is what trials of
these cells report most. Pure and deterministic: the same study gives the same ward.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import numpy as np

from analytics.synthetic_study import GivenInfusion, Study, Subject
from trial import protocol, vocabulary
from trial.protocol import Answer, Diagnosis, OutcomeKind

SEED = 20
ANTIVIRALS = ("Entecavir 0.5 mg", "Tenofovir alafenamide 25 mg", "Tenofovir disoproxil 300 mg")
FEVER, REACTION, ALBUMIN = 0.045, 0.015, 0.42
PLASMA = {Diagnosis.LIVER_FAILURE: 0.55, Diagnosis.CIRRHOSIS: 0.08}
OTHER_EVENTS = (
    ("Fatigue", 1, 0.08),
    ("Nausea", 1, 0.06),
    ("Ascites", 2, 0.06),
    ("Hepatic encephalopathy", 3, 0.03),
    ("Upper gastrointestinal haemorrhage", 3, 0.02),
    ("Peritoneal infection", 3, 0.03),
    ("Lung infection", 2, 0.02),
)
SHOWN_DAYS = 120
"""Infusions of so many days back have their vital signs written down; older ones came from paper."""


@dataclass(frozen=True, slots=True)
class GivenTreatment:
    """A treatment; ``ended_on`` is None while it goes on."""

    subject_id: str
    kind: str
    agent: str
    dose: str
    started_on: date
    started_at: time | None = None
    ended_on: date | None = None
    ended_at: time | None = None


@dataclass(frozen=True, slots=True)
class Event:
    subject_id: str
    term: str
    grade: int
    onset_on: date
    onset_at: time | None
    ended_on: date | None
    relation: str
    serious: str = ""
    aware_at: datetime | None = None
    reported_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Vitals:
    subject_id: str
    number: int
    moment: str
    temperature_c: Decimal
    pulse: int
    systolic: int
    diastolic: int
    respiration: int
    saturation: int


@dataclass(frozen=True, slots=True)
class Decision:
    subject_id: str
    decided_on: date
    decision: str
    grounds: str


@dataclass(frozen=True, slots=True)
class Fact:
    """What an automatic check of the screening looks at; a value as the report says it, or only a day."""

    subject_id: str
    fact: str
    happened_on: date
    text: str = ""
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Ward:
    """Everything of one study."""

    treatments: list[GivenTreatment]
    events: list[Event]
    vitals: list[Vitals]
    decisions: list[Decision]
    facts: list[Fact]


def generate(study: Study) -> Ward:
    """Make up the ward of a synthetic study."""
    random = np.random.default_rng([SEED, len(study.subjects)])
    treated = [subject for subject in study.enrolled if subject.infusions]
    return Ward(
        treatments=_once(t for s in treated for t in _treatments(s, study.today, random)),
        events=[e for s in treated for e in _events(s, study.today, random)],
        vitals=[v for s in treated for v in _vitals(s, study.today, random)],
        decisions=[d for s in treated for d in _decisions(s)],
        facts=[f for s in study.subjects for f in _facts(s, random)],
    )


def _once(treatments: Iterable[GivenTreatment]) -> list[GivenTreatment]:
    """Keep the first of treatments that began in the same hour: one bag is not given twice."""
    found = {
        (t.subject_id, t.kind, t.agent, t.started_on, t.started_at): t for t in reversed(list(treatments))
    }
    return list(reversed(found.values()))


def _last_day(subject: Subject, today: date) -> date:
    return min(subject.ended_on or today, today)


def _treatments(subject: Subject, today: date, random: np.random.Generator) -> Iterator[GivenTreatment]:
    started = subject.recruited_on or subject.infusions[0].given_on
    last = _last_day(subject, today)
    yield GivenTreatment(
        subject.subject_id,
        "antiviral",
        str(random.choice(ANTIVIRALS)),
        "once a day",
        started - timedelta(days=int(random.integers(0, 200))),
        ended_on=subject.ended_on,
    )
    if random.uniform() < ALBUMIN:
        for _course in range(int(random.integers(1, 4))):
            day = started + timedelta(days=int(random.integers(0, 40)))
            if day <= last:
                yield GivenTreatment(
                    subject.subject_id,
                    "albumin",
                    "Human albumin 20 %",
                    "10 g",
                    day,
                    time(14, 0),
                    day,
                    time(15, 0),
                )
    if random.uniform() < PLASMA[subject.diagnosis]:
        drawn = [visit.visited_on for visit in subject.visits if visit.visited_on <= last]
        for _bag in range(int(random.integers(1, 3))):
            # now and then shortly before a draw: the case that the marks are for
            near = drawn and random.uniform() < 0.5
            anchor = drawn[int(random.integers(0, len(drawn)))] - timedelta(days=1) if near else started
            day = anchor if near else started + timedelta(days=int(random.integers(0, 30)))
            if started <= day <= last:
                kind = "plasma_exchange" if random.uniform() < 0.25 else "plasma"
                dose = "2,400 mL" if kind == "plasma_exchange" else "400 mL"
                yield GivenTreatment(
                    subject.subject_id, kind, "Fresh frozen plasma", dose, day, time(10, 0), day, time(12, 30)
                )


def _events(subject: Subject, today: date, random: np.random.Generator) -> Iterator[Event]:
    last = _last_day(subject, today)
    for infusion in subject.infusions:
        luck = random.uniform()
        if infusion.given_on > last:
            continue
        if luck < FEVER:
            grade = 2 if random.uniform() < 0.2 else 1
            yield Event(
                subject.subject_id,
                "Fever",
                grade,
                infusion.given_on,
                time(int(random.integers(15, 23)), 30),
                min(infusion.given_on + timedelta(days=1), today),
                "probable",
            )
        elif luck < FEVER + REACTION:
            yield Event(
                subject.subject_id,
                "Infusion related reaction",
                1,
                infusion.given_on,
                time(10, 40),
                infusion.given_on,
                "definite",
            )
    first = subject.infusions[0].given_on
    for term, grade, share in OTHER_EVENTS:
        day = first + timedelta(days=int(random.integers(1, 150)))
        if random.uniform() >= share or day > last:
            continue
        ended = day + timedelta(days=int(random.integers(2, 15)))
        serious = "hospitalisation" if grade >= 3 else ""
        aware = datetime.combine(day, time(1, 0), UTC) if serious else None
        yield Event(
            subject.subject_id,
            term,
            grade,
            day,
            None,
            ended if ended <= last else None,
            "unlikely",
            serious,
            aware,
            aware + timedelta(hours=int(random.integers(3, 23))) if aware else None,
        )
    died = next((day for kind, day in subject.outcomes if kind is OutcomeKind.DEATH), None)
    if died is not None:
        aware = datetime.combine(died, time(2, 0), UTC)
        yield Event(
            subject.subject_id,
            "Hepatic failure" if subject.diagnosis is Diagnosis.LIVER_FAILURE else "Sepsis",
            5,
            died,
            None,
            died,
            "unrelated",
            "death",
            aware,
            aware + timedelta(hours=6),
        )


def _vitals(subject: Subject, today: date, random: np.random.Generator) -> Iterator[Vitals]:
    for infusion in subject.infusions:
        if (today - infusion.given_on).days > SHOWN_DAYS:
            continue
        yield from _of_one(subject, infusion, today, random)


def _of_one(
    subject: Subject, infusion: GivenInfusion, today: date, random: np.random.Generator
) -> Iterator[Vitals]:
    pulse, systolic = int(random.integers(66, 92)), int(random.integers(104, 136))
    for term in vocabulary.VITAL_MOMENTS:
        if term.code == "h24" and infusion.given_on >= today:
            continue
        step = random.integers(-4, 5, size=4)
        yield Vitals(
            subject.subject_id,
            infusion.number,
            term.code,
            Decimal("36.6") + Decimal(int(random.integers(-3, 7))) / 10,
            pulse + int(step[0]),
            systolic + int(step[1]),
            systolic - 44 + int(step[2]),
            int(random.integers(14, 20)),
            int(random.integers(96, 100)),
        )


def _decisions(subject: Subject) -> Iterator[Decision]:
    if len(subject.infusions) >= protocol.PROLONGED_FROM:
        day = subject.infusions[protocol.PROLONGED_FROM - 2].given_on + timedelta(days=5)
        yield Decision(subject.subject_id, day, "prolong", "bilirubin still falling, no reaction so far")


_FACTS_FROM_LABS = ("tbil", "inr", "pta", "platelets", "albumin", "alt")


def _facts(subject: Subject, random: np.random.Generator) -> Iterator[Fact]:
    """Yield what the screening rests on: the labs before the first infusion, and since when."""
    day = subject.screened_on
    answers = {answered.criterion: answered.answer for answered in subject.answers}
    years = int(random.integers(400, 8000))
    if answers.get("inclusion_a") is Answer.YES:
        yield Fact(subject.subject_id, "hbsag_first_on", day - timedelta(days=years))
    elif answers.get("inclusion_a") is Answer.NO:
        yield Fact(subject.subject_id, "hbsag_first_on", day - timedelta(days=40 + years % 100))
    baseline = next((v for v in subject.visits if v.week == protocol.BASELINE_WEEK), None)
    if baseline is None or answers.get("inclusion_b") is not Answer.YES:
        return
    for code in _FACTS_FROM_LABS:
        cell = baseline.labs.get(code)
        if cell is not None and cell.text and cell.text[0].isdigit():
            yield Fact(subject.subject_id, code, day, cell.text, cell.unit)
    if subject.diagnosis is Diagnosis.LIVER_FAILURE:
        since = day - timedelta(days=int(random.integers(3, 21)))
        yield Fact(subject.subject_id, "jaundice_on", since)
        yield Fact(
            subject.subject_id, "ascites_on", min(since + timedelta(days=int(random.integers(0, 15))), day)
        )
