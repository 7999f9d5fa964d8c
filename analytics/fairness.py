"""Is the comparison fair? One square per subject: as treated, and at the landmark.

Pure. A group of the prolonged course is known only from its fifth infusion on, so
whoever dies or is transplanted early can only be counted in the other one. The
squares show who that was, and whom the landmark moves.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from analytics import landmark
from analytics.landmark import FollowedSubject
from trial import protocol
from trial.protocol import OutcomeKind

MOST_SQUARES = 130
"""Squares of one strip; beyond it one square stands for several subjects."""

PLAIN, LATE, DIED, TRANSPLANTED, LEFT, NOT_REACHED = (
    "plain", "late", "died", "transplanted", "left", "not-reached",
)  # fmt: skip
_ORDER = (PLAIN, LATE, DIED, TRANSPLANTED, LEFT, NOT_REACHED)
_STATE = {OutcomeKind.DEATH: DIED, OutcomeKind.TRANSPLANT: TRANSPLANTED}


@dataclass(frozen=True, slots=True)
class Strip:
    """One group as a row of squares; ``states`` counts the subjects behind each kind of square."""

    code: str
    n: int
    squares: tuple[str, ...]
    states: Mapping[str, int]

    @property
    def late(self) -> int:
        return self.states.get(LATE, 0)

    @property
    def died(self) -> int:
        return self.states.get(DIED, 0)

    @property
    def transplanted(self) -> int:
        return self.states.get(TRANSPLANTED, 0)

    @property
    def left(self) -> int:
        return self.states.get(LEFT, 0)

    @property
    def not_reached(self) -> int:
        return self.states.get(NOT_REACHED, 0)

    @property
    def excluded(self) -> int:
        """Subjects of the strip who have no place in the landmark analysis."""
        return self.n - self.states.get(PLAIN, 0) - self.late


@dataclass(frozen=True, slots=True)
class Fairness:
    """What stands between the groups as treated and the groups at the landmark.

    Parameters
    ----------
    as_treated, at_landmark
        One strip per group of the contrast.
    per_square
        How many subjects one square stands for.
    is_about_courses
        Whether the two groups differ by their course: then membership itself is decided by survival.
    is_about_diagnoses
        Whether they differ by diagnosis: then they were different people from the start.
    """

    as_treated: tuple[Strip, Strip]
    at_landmark: tuple[Strip, Strip]
    per_square: int
    is_about_courses: bool
    is_about_diagnoses: bool

    @property
    def treated(self) -> int:
        return sum(strip.n for strip in self.as_treated)

    @property
    def reached(self) -> int:
        return sum(strip.n for strip in self.at_landmark)

    @property
    def standard(self) -> Strip:
        """The group of the shorter course: where those who could not go on are counted."""
        return self.as_treated[1]

    @property
    def could_not_enter(self) -> int:
        """Members of the standard course who could not have had a fifth infusion, or not yet."""
        return self.standard.excluded


def fairness(
    subjects: Sequence[FollowedSubject], pair: tuple[str, str], *, as_of: date | None = None
) -> Fairness:
    """Place everybody of a contrast as treated and at the landmark.

    Parameters
    ----------
    subjects
        Everybody of the population who had an infusion.
    pair
        Two strata of :data:`trial.protocol.STRATA`.
    as_of
        The day up to which the study is known.
    """
    treated: tuple[Counter[str], ...] = (Counter(), Counter())
    reached: tuple[Counter[str], ...] = (Counter(), Counter())
    for subject in subjects:
        if not subject.infusions_on:
            continue
        group = protocol.group_of(subject.diagnosis, len(subject.infusions_on))
        where = landmark.place(subject, as_of=as_of)
        if where.inside:
            state = PLAIN if where.group == group else LATE
        elif where.out_because is not None:
            state = _STATE.get(where.out_because, LEFT)
        else:
            state = NOT_REACHED
        for side, stratum in enumerate(pair):
            inside = protocol.STRATA[stratum]
            if group in inside:
                # within one stratum of both courses a late fifth infusion moves nobody
                same = state == LATE and where.group in inside
                treated[side][PLAIN if same else state] += 1
            if where.inside and where.group in inside:
                reached[side][PLAIN if group in inside else LATE] += 1
    largest = max((sum(counts.values()) for counts in (*treated, *reached)), default=0)
    per_square = max(1, math.ceil(largest / MOST_SQUARES))
    one, two = (_strip(code, counts, per_square) for code, counts in zip(pair, treated, strict=True))
    first, second = (_strip(code, counts, per_square) for code, counts in zip(pair, reached, strict=True))
    return Fairness(
        (one, two),
        (first, second),
        per_square,
        _differ(pair, "course"),
        _differ(pair, "diagnosis"),
    )


def _strip(code: str, counts: Counter[str], per_square: int) -> Strip:
    squares = [state for state in _ORDER for _number in range(math.ceil(counts[state] / per_square))]
    return Strip(code, sum(counts.values()), tuple(squares), dict(counts))


def _differ(pair: tuple[str, str], what: str) -> bool:
    sides = [
        {getattr(group, what) for group in protocol.GROUPS if group.code in protocol.STRATA[stratum]}
        for stratum in pair
    ]
    return not sides[0] & sides[1]
