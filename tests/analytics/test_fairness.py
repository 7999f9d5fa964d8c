"""Who is in which square, and who was observed: the honest side of a contrast, without a database."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np

from analytics import whereabouts
from analytics.fairness import MOST_SQUARES, fairness
from analytics.family import BY_CHANCE, PAPER_TESTS
from analytics.landmark import FollowedSubject
from analytics.study_arrays import Ended, StudyArrays
from analytics.whereabouts import Status
from trial.protocol import WEEKS, Diagnosis, OutcomeKind

FIRST = date(2024, 1, 1)
LATER = FIRST + timedelta(days=400)


def subject(
    code: str,
    infusions: int,
    *outcomes: tuple[OutcomeKind, int],
    late_by: int = 0,
    diagnosis: Diagnosis = Diagnosis.CIRRHOSIS,
    first: date = FIRST,
) -> FollowedSubject:
    days = tuple(first + timedelta(days=7 * k + (late_by if k >= 4 else 0)) for k in range(infusions))
    return FollowedSubject(
        code, diagnosis, days, tuple((kind, first + timedelta(days=day)) for kind, day in outcomes)
    )


COHORT = [
    subject("S1", 8),
    subject("S2", 5, late_by=3),
    subject("S3", 4),
    subject("S4", 2, (OutcomeKind.DEATH, 12)),
    subject("S5", 3, (OutcomeKind.TRANSPLANT, 20)),
    subject("S6", 3, (OutcomeKind.LOST, 21)),
    subject("S7", 1, first=LATER - timedelta(days=5)),
    subject("S8", 6, diagnosis=Diagnosis.LIVER_FAILURE),
    FollowedSubject("S9", Diagnosis.CIRRHOSIS, ()),
]


def test_the_squares_of_c_and_d_add_up() -> None:
    found = fairness(COHORT, ("C", "D"), as_of=LATER)
    c, d = found.as_treated
    assert (c.n, d.n, found.treated) == (2, 5, 7)
    assert c.squares == ("plain", "late")
    assert d.squares == ("plain", "died", "transplanted", "left", "not-reached")
    assert (found.could_not_enter, d.died, d.transplanted, d.left, d.not_reached) == (4, 1, 1, 1, 1)
    at_c, at_d = found.at_landmark
    assert (at_c.n, at_d.n, found.reached) == (1, 2, 3)
    assert at_d.squares == ("plain", "late"), "the late fifth infusion moves its subject from C to D"
    assert found.is_about_courses
    assert not found.is_about_diagnoses


def test_diagnoses_have_no_landmark_question() -> None:
    found = fairness(COHORT, ("LF", "LC"), as_of=LATER)
    assert found.is_about_diagnoses
    assert not found.is_about_courses
    assert [strip.n for strip in found.as_treated] == [1, 7]
    assert found.as_treated[1].late == 0, "nobody changes the diagnosis with the fifth infusion"
    assert not fairness([], ("C", "D")).treated


def test_many_subjects_share_a_square() -> None:
    found = fairness([subject(f"S{n}", 8) for n in range(3000)], ("C", "D"), as_of=LATER)
    assert len(found.as_treated[0].squares) <= MOST_SQUARES
    assert found.per_square * MOST_SQUARES >= 3000
    assert found.as_treated[0].n == 3000


def test_everybody_has_one_status_a_week() -> None:
    people = COHORT[:7]
    ended = np.zeros((7, len(WEEKS)), np.int8)
    ended[3, 2:], ended[4, 2:] = Ended.DEAD, Ended.TRANSPLANTED
    values = np.full(ended.shape, np.iinfo(np.int64).min, np.int64)
    values[0, :3] = 50
    study = StudyArrays.build(
        subject_ids=[one.subject_id for one in people],
        diagnosis=["cirrhosis"] * 7,
        sex=["F"] * 7,
        age=[40] * 7,
        valid_infusions=[len(one.infusions_on) for one in people],
        values={"tbil": values},
        ended=ended,
    )
    found = whereabouts.statuses(study, "tbil", {one.subject_id: one for one in people}, LATER)
    o, m, nd = Status.OBSERVED, Status.MISSING, Status.NOT_DUE
    assert found[0].tolist() == [o, o, o, m, m]
    assert found[3].tolist() == [m, m, *[Status.DIED] * 3]
    assert found[4].tolist() == [m, m, *[Status.TRANSPLANTED] * 3]
    assert found[5].tolist() == [m, m, *[Status.LOST] * 3]
    assert found[6].tolist() == [m, nd, nd, nd, nd]
    rows = whereabouts.by_week(found, [np.array([0, 1]), np.array([2, 3, 4, 5, 6])])
    assert [sum(row.counts[week][1] for row in rows) for week in range(len(WEEKS))] == [5] * len(WEEKS)
    # nobody is awaited who lacks the earlier value for good
    assert whereabouts.not_due(found, np.arange(7), (4, 12)) == 1
    assert whereabouts.not_due(found, np.arange(7), (0, 1)) == 0


def test_the_paper_tests_156_times() -> None:
    assert (PAPER_TESTS, BY_CHANCE) == (156, 8)
