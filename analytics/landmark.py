"""The landmark: why grouping by infusions given is unfair, and the grouping that is not.

Who is to receive a fifth infusion has to live until it is due. Grouped by what they
received in the end, early deaths can only fall into the standard course, and the
prolonged one looks better whatever it does. A landmark analysis groups everybody who
was still followed on one fixed day by what they had received until that day, and
compares what happened afterwards.

References
----------
J. R. Anderson, K. C. Cain, R. D. Gelber, Journal of Clinical Oncology 1 (1983) 710-719.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from trial import protocol
from trial.protocol import LANDMARK_DAY, Diagnosis, OutcomeKind


@dataclass(frozen=True, slots=True)
class FollowedSubject:
    """What the landmark has to know of one subject.

    Parameters
    ----------
    subject_id
        Code.
    diagnosis
        Liver failure or cirrhosis.
    infusions_on
        Days of the valid infusions.
    outcomes
        Dated outcomes; completing the study is no reason to leave the landmark.
    """

    subject_id: str
    diagnosis: Diagnosis
    infusions_on: tuple[date, ...]
    outcomes: tuple[tuple[OutcomeKind, date], ...] = ()


@dataclass(frozen=True, slots=True)
class LandmarkPlace:
    """Where a subject stands on the landmark day.

    ``group`` is empty outside the landmark population; ``out_because`` then says why:
    an outcome, or ``None`` when there was no infusion or the day has not come.
    """

    inside: bool
    infusions: int
    group: str = ""
    out_because: OutcomeKind | None = None


def landmark_on(subject: FollowedSubject) -> date | None:
    """Return the landmark day of a subject; ``None`` before the first infusion."""
    if not subject.infusions_on:
        return None
    return min(subject.infusions_on) + timedelta(days=LANDMARK_DAY)


def place(subject: FollowedSubject, *, as_of: date | None = None) -> LandmarkPlace:
    """Say whether a subject belongs to the landmark population, and to which group.

    Parameters
    ----------
    subject
        The subject.
    as_of
        The day up to which the study is known; a landmark still to come takes nobody in.

    Returns
    -------
    LandmarkPlace
        Inside when the subject was alive, not transplanted, not withdrawn and not lost on the
        landmark day. An event on that very day comes after it: the subject is inside.
        An infusion on the landmark day counts.
    """
    day = landmark_on(subject)
    if day is None:
        return LandmarkPlace(False, 0)
    infusions = sum(given <= day for given in subject.infusions_on)
    ended = sorted(
        (on, kind) for kind, on in subject.outcomes if kind is not OutcomeKind.COMPLETED and on < day
    )  # fmt: skip
    if ended:
        return LandmarkPlace(False, infusions, out_because=ended[0][1])
    if as_of is not None and day > as_of:
        return LandmarkPlace(False, infusions)
    return LandmarkPlace(True, infusions, group=protocol.group_of(subject.diagnosis, infusions))
