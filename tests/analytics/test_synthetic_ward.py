"""The ward that never was: deterministic, inside each subject's life, and of the protocol's words."""

from __future__ import annotations

from datetime import date

import pytest

from analytics import synthetic, synthetic_ward
from analytics.synthetic_study import Study
from analytics.synthetic_ward import Ward
from patients import ctcae_terms
from trial import vocabulary

TODAY = date(2026, 3, 19)


@pytest.fixture(scope="module")
def study() -> Study:
    return synthetic.generate(patients=123, seed=1, today=TODAY)


@pytest.fixture(scope="module")
def ward(study: Study) -> Ward:
    return synthetic_ward.generate(study)


def test_the_same_study_has_the_same_ward(study: Study, ward: Ward) -> None:
    assert synthetic_ward.generate(study) == ward


def test_nothing_happens_after_the_end_or_in_the_future(study: Study, ward: Ward) -> None:
    ended = {s.subject_id: s.ended_on or TODAY for s in study.subjects}
    for treatment in ward.treatments:
        assert treatment.started_on <= ended[treatment.subject_id]
        assert treatment.ended_on is None or treatment.started_on <= treatment.ended_on <= TODAY
    for event in ward.events:
        assert event.onset_on <= ended[event.subject_id]
        assert event.ended_on is None or event.onset_on <= event.ended_on <= TODAY


def test_words_are_of_the_lists(ward: Ward) -> None:
    assert {t.kind for t in ward.treatments} <= set(vocabulary.codes(vocabulary.TREATMENTS))
    assert {e.term for e in ward.events} <= {term.name for term in ctcae_terms.TERMS}
    assert {e.relation for e in ward.events} <= set(vocabulary.codes(vocabulary.RELATIONS))
    assert {v.moment for v in ward.vitals} == set(vocabulary.codes(vocabulary.VITAL_MOMENTS))


def test_whoever_died_has_an_event_of_grade_5_and_serious_ones_are_reported_in_a_day(
    study: Study, ward: Ward
) -> None:
    died = {s.subject_id for s in study.subjects for kind, _day in s.outcomes if kind == "death"}
    assert {e.subject_id for e in ward.events if e.grade == 5} == died
    for event in ward.events:
        assert bool(event.serious) == (event.aware_at is not None)
        if event.aware_at and event.reported_at:
            assert (event.reported_at - event.aware_at).total_seconds() < 24 * 3600


def test_who_got_the_fifth_was_decided_on(study: Study, ward: Ward) -> None:
    prolonged = {s.subject_id for s in study.enrolled if len(s.infusions) >= 5}
    assert {d.subject_id for d in ward.decisions} == prolonged
