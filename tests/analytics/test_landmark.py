"""Who is in the landmark population, on the days where it could go either way."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from analytics.landmark import FollowedSubject, landmark_on, place
from trial.protocol import LANDMARK_DAY, Diagnosis, OutcomeKind

FIRST = date(2015, 3, 2)
LANDMARK = FIRST + timedelta(days=LANDMARK_DAY)


def subject(
    infusions: int = 4,
    *outcomes: tuple[OutcomeKind, date],
    diagnosis: Diagnosis = Diagnosis.LIVER_FAILURE,
    late_by: int = 0,
) -> FollowedSubject:
    """Weekly infusions from the first day on, the fifth and later ones ``late_by`` days late."""
    days = tuple(FIRST + timedelta(days=7 * k + (late_by if k >= 4 else 0)) for k in range(infusions))
    return FollowedSubject("S", diagnosis, days, outcomes)


@pytest.mark.parametrize(
    ("who", "group"),
    [
        pytest.param(subject(4), "B", id="four_is_standard"),
        pytest.param(subject(5), "A", id="fifth_on_the_landmark_day_counts"),
        pytest.param(subject(5, late_by=1), "B", id="fifth_a_day_later_does_not"),
        pytest.param(subject(8, diagnosis=Diagnosis.CIRRHOSIS), "C", id="cirrhosis_prolonged"),
        pytest.param(subject(1, diagnosis=Diagnosis.CIRRHOSIS), "D", id="cirrhosis_standard"),
        pytest.param(subject(4, (OutcomeKind.DEATH, LANDMARK)), "B", id="death_on_the_day_comes_after_it"),
        pytest.param(subject(4, (OutcomeKind.COMPLETED, FIRST)), "B", id="completion_is_no_end"),
    ],
)
def test_inside(who: FollowedSubject, group: str) -> None:
    where = place(who)
    assert (where.inside, where.group, where.out_because) == (True, group, None)


@pytest.mark.parametrize(
    "kind", [OutcomeKind.DEATH, OutcomeKind.TRANSPLANT, OutcomeKind.WITHDRAWAL, OutcomeKind.LOST]
)
def test_an_end_before_the_day_takes_the_subject_out(kind: OutcomeKind) -> None:
    where = place(subject(3, (kind, LANDMARK - timedelta(days=1)), (OutcomeKind.DEATH, LANDMARK)))
    assert (where.inside, where.group, where.out_because) == (False, "", kind)


def test_no_landmark_before_the_first_infusion_or_before_its_day() -> None:
    never = FollowedSubject("S", Diagnosis.CIRRHOSIS, ())
    assert landmark_on(never) is None
    assert not place(never).inside
    assert not place(subject(4), as_of=LANDMARK - timedelta(days=1)).inside
    assert place(subject(4), as_of=LANDMARK).inside
