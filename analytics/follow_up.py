"""How long everybody was followed and how it ended: the dates behind survival and hazards.

Days count from the first infusion. Observation ends with death; otherwise on the day
of withdrawal, or on the last day the subject was seen before a loss or the present (a
visit, an infusion, the completion). Membership of populations and of groups is that of :mod:`analytics.frames`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
from django.db.models import Max
from numpy.typing import NDArray

from analytics.samples import Floats, Ints
from analytics.study_arrays import Bools
from analytics.survival import End
from infusions.models import Infusion
from patients.models import Outcome, Patient, Screening, Visit
from trial import protocol
from trial.models import User
from trial.protocol import Diagnosis, OutcomeKind, Population, VerdictState


@dataclass(frozen=True, slots=True)
class Course:
    """The dates of one treated subject.

    Parameters
    ----------
    infusions_on
        Days of the valid infusions, ascending, at least one.
    seen_on
        Last day the subject was seen.
    died_on, transplanted_on, left_on
        Days of the outcomes; ``left_on`` is withdrawal or loss, whichever came first.
    """

    subject_id: str
    diagnosis: Diagnosis
    eligible: bool
    infusions_on: tuple[date, ...]
    seen_on: date
    died_on: date | None = None
    transplanted_on: date | None = None
    left_on: date | None = None


@dataclass(frozen=True, eq=False)
class FollowUp:
    """Time under observation of the subjects of a population, one row each.

    Parameters
    ----------
    subject_ids
        Codes, ascending.
    group
        Group codes, by all infusions or by those until the landmark.
    days
        From the origin to the first of death, transplantation and end of observation.
    ends
        :class:`analytics.survival.End` by that day.
    alive_days, died
        The same for death alone: a transplantation ends nothing.
    fifth
        Day of the fifth infusion, not a number where there was none.
    origin
        Day of the first infusion on which time starts: 0 or the landmark day.
    unseen
        Subjects of the population who were not seen on or after the origin: left out.
    """

    subject_ids: tuple[str, ...]
    group: NDArray[np.str_]
    days: Floats
    ends: Ints
    alive_days: Floats
    died: Bools
    fifth: Floats
    origin: int
    unseen: int

    def members(self, stratum: str) -> Bools:
        """Return who belongs to a stratum (``A`` to ``D``, ``LF``, ``LC``, ``ALL``)."""
        return np.isin(self.group, protocol.STRATA[stratum])

    def of(self, strata: Sequence[str]) -> FollowUp:
        """Return the subjects of some strata."""
        keep = np.logical_or.reduce([self.members(stratum) for stratum in strata])
        return replace(
            self,
            subject_ids=tuple(s for s, k in zip(self.subject_ids, keep.tolist(), strict=True) if k),
            group=self.group[keep],
            days=self.days[keep],
            ends=self.ends[keep],
            alive_days=self.alive_days[keep],
            died=self.died[keep],
            fifth=self.fifth[keep],
        )


def follow(courses: Iterable[Course], population: Population, *, landmark: bool = False) -> FollowUp:
    """Return the time under observation from the first infusion, or from the landmark.

    From the landmark only those count who were alive, not transplanted and not gone on that
    day, grouped by their infusions until then. Who was last seen before it without having
    left has no time to contribute and is counted as unseen. ``Population.LANDMARK`` is
    every treated subject, from the landmark.
    """
    landmark = landmark or population is Population.LANDMARK
    origin = protocol.LANDMARK_DAY if landmark else 0
    rows = []
    unseen = 0
    for course in sorted(courses, key=lambda c: c.subject_id):
        if population is Population.ELIGIBLE and not course.eligible:
            continue
        first = course.infusions_on[0]

        def day(on: date | None, first: date = first) -> float:
            return float("inf") if on is None else float((on - first).days)

        died, transplanted, left = day(course.died_on), day(course.transplanted_on), day(course.left_on)
        if landmark and min(died, transplanted, left) < origin:
            continue
        # an outcome recorded after withdrawal or loss is left out: of the others nobody would have heard
        death = died if died <= left else float("inf")
        transplant = transplanted if transplanted <= left else float("inf")
        watched = min(left, day(course.seen_on))
        end, days = End.FOLLOWED, watched
        if min(death, transplant) < float("inf"):
            end, days = (End.DIED, death) if death <= transplant else (End.TRANSPLANTED, transplant)
        if days < origin:
            unseen += 1
            continue
        is_dead = death < float("inf")
        alive = death if is_dead else max(watched, days)
        given = [day(on) for on in course.infusions_on]
        infusions = sum(on <= origin for on in given) if landmark else len(given)
        fifth = given[protocol.PROLONGED_FROM - 1] if len(given) >= protocol.PROLONGED_FROM else float("nan")
        rows.append(
            (
                course.subject_id,
                protocol.group_of(course.diagnosis, infusions),
                days - origin,
                int(end),
                alive - origin,
                is_dead,
                fifth - origin,
            )
        )
    ids, groups, days_, ends, alive_, died_, fifths = zip(*rows, strict=True) if rows else ((),) * 7
    return FollowUp(
        tuple(ids),
        np.array(groups, np.str_),
        np.array(days_, np.float64),
        np.array(ends, np.int64),
        np.array(alive_, np.float64),
        np.array(died_, np.bool_),
        np.array(fifths, np.float64),
        origin,
        unseen,
    )


def courses() -> list[Course]:
    """Read the dates of every treated subject; five queries, whatever the size of the study."""
    given: dict[int, list[date]] = {}
    for patient, on in Infusion.objects.filter(voided_at=None).values_list("patient_id", "given_on"):
        given.setdefault(patient, []).append(on)
    visits = Visit.objects.filter(voided_at=None, visited_on__isnull=False).values_list("patient_id")
    seen = dict(
        visits.order_by("patient_id").annotate(last=Max("visited_on")).values_list("patient_id", "last")
    )
    outcomes: dict[int, dict[str, date]] = {}
    for patient, kind, on in (
        Outcome.objects.filter(voided_at=None)
        .order_by("-happened_on")
        .values_list("patient_id", "kind", "happened_on")
    ):
        outcomes.setdefault(patient, {})[kind] = on  # the earliest of a kind stays
    verdicts = dict(
        Screening.objects.filter(voided_at=None)
        .order_by("patient_id", "-screened_on", "-id")
        .distinct("patient_id")
        .values_list("patient_id", "verdict")
    )
    found = []
    for patient, subject_id, diagnosis in Patient.objects.filter(pk__in=given.keys()).values_list(
        "pk", "subject_id", "diagnosis"
    ):
        days, ends = sorted(given[patient]), outcomes.get(patient, {})
        left = [ends[kind] for kind in (OutcomeKind.WITHDRAWAL.value, OutcomeKind.LOST.value) if kind in ends]
        # who withdraws is there to say so; who is declared lost is not
        last = [days[-1], seen.get(patient)]
        last += [ends.get(kind.value) for kind in (OutcomeKind.COMPLETED, OutcomeKind.WITHDRAWAL)]
        found.append(
            Course(
                subject_id,
                Diagnosis(diagnosis),
                verdicts.get(patient) == VerdictState.ELIGIBLE.value,
                tuple(days),
                max(on for on in last if on is not None),
                ends.get(OutcomeKind.DEATH.value),
                ends.get(OutcomeKind.TRANSPLANT.value),
                min(left) if left else None,
            )
        )
    return found


def visible(user: User) -> set[str]:
    """Return the codes of the subjects a person may see."""
    return set(Patient.objects.visible_to(user).values_list("subject_id", flat=True))
