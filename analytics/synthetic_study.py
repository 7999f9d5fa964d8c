"""What a synthetic study consists of: plain values, no database. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from analytics.synthetic_labs import LabCell
from trial import protocol
from trial.protocol import Answer, Diagnosis, OutcomeKind


@dataclass(frozen=True, slots=True)
class SyntheticSite:
    code: str
    name: str
    share: float


SITES = (
    SyntheticSite("GE", "Guangzhou East", 0.38),
    SyntheticSite("GS", "Guangzhou South", 0.28),
    SyntheticSite("FO", "Foshan", 0.20),
    SyntheticSite("ZH", "Zhongshan", 0.14),
)


@dataclass(slots=True)
class Lot:
    code: str
    donor_code: str
    passage: int
    viability_percent: str
    expires_on: date


@dataclass(slots=True)
class GivenInfusion:
    number: int
    given_on: date
    weight_kg: str
    cells: int
    volume_ml: str
    lot: str
    started_at: str
    stopped_at: str
    deviation: str = ""
    reaction: str = ""


@dataclass(slots=True)
class SeenVisit:
    """A visit; ``week`` is None for an unscheduled draw."""

    week: int | None
    visited_on: date
    labs: dict[str, LabCell]


@dataclass(slots=True)
class AnsweredCriterion:
    criterion: str
    answer: Answer
    evidence: str = ""
    evidence_on: date | None = None


@dataclass(slots=True)
class Subject:
    """One subject with everything that happened to it.

    ``group`` is the group the infusions given so far amount to, empty for those
    who received none.
    """

    site: str
    status: str
    sex: str
    birth_date: date
    diagnosis: Diagnosis
    screened_on: date
    recruited_on: date | None = None
    planned_course: str = ""
    group: str = ""
    subject_id: str = ""
    answers: list[AnsweredCriterion] = field(default_factory=list)
    infusions: list[GivenInfusion] = field(default_factory=list)
    visits: list[SeenVisit] = field(default_factory=list)
    outcomes: list[tuple[OutcomeKind, date]] = field(default_factory=list)

    @property
    def ended_on(self) -> date | None:
        """The day observation ended for good, if it did."""
        return min((day for kind, day in self.outcomes if kind is not OutcomeKind.COMPLETED), default=None)


@dataclass(frozen=True, slots=True)
class Slip:
    """A value that was typed wrongly, and what the report says."""

    subject_id: str
    week: int
    analyte: str
    wrong: str
    right: str


@dataclass(slots=True)
class Study:
    """The whole synthetic study as of ``today``."""

    today: date
    subjects: list[Subject]
    lots: list[Lot]
    slip: Slip | None = None

    @property
    def enrolled(self) -> list[Subject]:
        return [subject for subject in self.subjects if subject.status == "enrolled"]

    @property
    def groups(self) -> dict[str, int]:
        """Subjects by group."""
        found = dict.fromkeys(protocol.GROUP_CODES, 0)
        for subject in self.subjects:
            if subject.group:
                found[subject.group] += 1
        return found
