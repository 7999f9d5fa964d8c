"""Grades at the bedside that never were: deterministic, coded, and without influence on the labs."""

from __future__ import annotations

from datetime import date

from analytics import synthetic, synthetic_bedside
from trial import vocabulary


def test_grades_are_coded_follow_the_study_and_leave_it_alone() -> None:
    day = date(2026, 3, 19)
    study = synthetic.generate(patients=40, seed=1, today=day)
    graded = synthetic_bedside.grades(study)
    assert graded == synthetic_bedside.grades(synthetic.generate(patients=40, seed=1, today=day))
    assert study == synthetic.generate(patients=40, seed=1, today=day)

    visits = {(s.subject_id, v.week, v.visited_on) for s in study.enrolled for v in s.visits}
    assert {(one.subject_id, one.week, one.visited_on) for one in graded} <= visits
    for field, terms in vocabulary.FINDINGS.items():
        found = [getattr(one, field) for one in graded]
        assert set(found) <= {"", *vocabulary.codes(terms)}
        assert 0 < found.count("") < len(found) / 5, "some, few, are not recorded"
        assert len(set(found)) >= 4
