"""The made-up study: always the same, plausible, and never against the protocol."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from statistics import median

import pytest

from analytics import scores, synthetic
from analytics.synthetic_files import infusion_rows, subject_rows, visit_rows
from analytics.synthetic_labs import PANEL, LabCell
from analytics.synthetic_study import SITES, Study
from trial import protocol
from trial.protocol import Answer, Diagnosis, OutcomeKind

TODAY = date(2026, 3, 20)
FAILURE, CIRRHOSIS = Diagnosis.LIVER_FAILURE, Diagnosis.CIRRHOSIS


@pytest.fixture(scope="module")
def study() -> Study:
    return synthetic.generate(today=TODAY)


@pytest.fixture(scope="module")
def large() -> Study:
    return synthetic.generate(patients=700, seed=5, today=TODAY)


def standard(cell: LabCell | None, code: str) -> float | None:
    if cell is None or not cell.text:
        return None
    return float(cell.text.lstrip("<")) * float(protocol.ANALYTES[code].accepted[cell.unit])


def levels(study: Study, diagnosis: Diagnosis, week: int, code: str) -> list[float]:
    cells = (
        visit.labs.get(code)
        for subject in study.enrolled
        if subject.diagnosis is diagnosis
        for visit in subject.visits
        if visit.week == week
    )
    return [value for cell in cells if (value := standard(cell, code)) is not None]


def test_the_same_seed_makes_the_same_study(study: Study) -> None:
    assert synthetic.generate(today=TODAY) == study
    assert synthetic.generate(today=TODAY, seed=2) != study
    assert synthetic.generate(today=TODAY + timedelta(days=1)) != study


def test_the_groups_are_the_papers_and_come_from_the_infusions(study: Study) -> None:
    assert study.groups == {"A": 37, "B": 27, "C": 28, "D": 31}
    for subject in study.enrolled:
        if subject.infusions:
            assert subject.group == protocol.group_of(subject.diagnosis, len(subject.infusions))


@pytest.mark.parametrize("patients", [1, 2, 7, 50, 124, 1000])
def test_any_number_of_subjects_divides_as_the_paper_does(patients: int) -> None:
    sizes = synthetic.group_sizes(patients)
    assert sum(sizes.values()) == patients
    for group, count in synthetic.PAPER_GROUPS.items():
        assert abs(sizes[group] - patients * count / 123) < 1


@pytest.mark.parametrize(("patients", "seed"), [(1, 1), (7, 2), (60, 3), (300, 4)])
def test_nothing_is_against_the_protocol(patients: int, seed: int) -> None:
    made = synthetic.generate(patients=patients, seed=seed, today=TODAY)
    codes = [subject.subject_id for subject in made.subjects]
    assert len(set(codes)) == len(codes)
    lots = {lot.code: lot for lot in made.lots}
    assert sum(made.groups.values()) == patients
    for subject in made.subjects:
        ended = subject.ended_on
        assert subject.birth_date < subject.screened_on <= TODAY
        assert len(subject.answers) == len(protocol.CRITERIA)
        days = [given.given_on for given in subject.infusions]
        assert [given.number for given in subject.infusions] == list(range(1, len(days) + 1))
        for earlier, later in zip(days, days[1:], strict=False):
            assert (later - earlier).days >= protocol.MINIMUM_DAYS_BETWEEN_INFUSIONS
        for given in subject.infusions:
            assert subject.recruited_on < given.given_on < TODAY
            assert lots[given.lot].expires_on >= given.given_on
            assert given.stopped_at > given.started_at
            off = abs(given.cells / (float(given.weight_kg) * 1e6) - 1)
            assert bool(given.deviation) == (off > float(protocol.DOSE.tolerance))
        for visit in subject.visits:
            assert visit.visited_on < TODAY
            assert ended is None or visit.visited_on < ended
            for code, cell in visit.labs.items():
                assert bool(cell.text) != bool(cell.missing)
                value = standard(cell, code)
                if value is not None:
                    analyte = protocol.ANALYTES[code]
                    assert analyte.hard.low is None or value >= float(analyte.hard.low)
                    assert analyte.hard.high is None or value <= float(analyte.hard.high)
        weeks = [visit.week for visit in subject.visits if visit.week is not None]
        assert len(set(weeks)) == len(weeks)
        if ended is not None:
            assert all(day < ended for day in days)


@pytest.mark.parametrize(
    ("diagnosis", "code", "low", "high"),
    [
        (FAILURE, "tbil", 230, 420),
        (FAILURE, "inr", 1.8, 2.6),
        (FAILURE, "pta", 33, 50),
        (FAILURE, "alt", 100, 260),
        (FAILURE, "creatinine", 65, 95),
        (FAILURE, "albumin", 28, 34),
        (FAILURE, "platelets", 80, 130),
        (CIRRHOSIS, "tbil", 35, 75),
        (CIRRHOSIS, "inr", 1.25, 1.7),
        (CIRRHOSIS, "pta", 50, 75),
        (CIRRHOSIS, "albumin", 28, 34),
        (CIRRHOSIS, "platelets", 55, 95),
    ],
)
def test_baselines_are_those_of_published_cohorts(
    large: Study, diagnosis: Diagnosis, code: str, low: float, high: float
) -> None:
    assert low < median(levels(large, diagnosis, 0, code)) < high


@pytest.mark.parametrize("diagnosis", [FAILURE, CIRRHOSIS])
def test_livers_recover_over_24_weeks(large: Study, diagnosis: Diagnosis) -> None:
    for code, falls in (
        ("tbil", True),
        ("alt", True),
        ("ast", True),
        ("inr", True),
        ("pta", False),
        ("albumin", False),
    ):
        medians = [median(levels(large, diagnosis, week, code)) for week in protocol.WEEKS]
        assert medians == sorted(medians, reverse=falls), (code, medians)


def test_meld_is_that_of_the_two_diseases(large: Study) -> None:
    found: dict[Diagnosis, list[float]] = {FAILURE: [], CIRRHOSIS: []}
    for subject in large.enrolled:
        for visit in subject.visits:
            inputs = {code: standard(visit.labs.get(code), code) for code in ("tbil", "inr", "creatinine")}
            if visit.week == 0 and None not in inputs.values():
                exact = {code: Decimal(str(value)) for code, value in inputs.items()}
                score = scores.compute(protocol.DEFAULT_SCORE, exact, sex=subject.sex, age=40)
                assert score.value is not None
                found[subject.diagnosis].append(float(score.value))
    assert 22 < median(found[FAILURE]) < 29
    assert 11 < median(found[CIRRHOSIS]) < 18


def test_one_clotting_time_makes_inr_and_pta(large: Study) -> None:
    pairs = [
        (standard(visit.labs["inr"], "inr"), standard(visit.labs["pta"], "pta"))
        for subject in large.enrolled
        for visit in subject.visits
        if visit.labs.get("inr", LabCell()).text and visit.labs.get("pta", LabCell()).text
    ]
    by_inr = sorted(pair for pair in pairs if None not in pair)
    tenth = len(by_inr) // 10
    lowest, highest = by_inr[:tenth], by_inr[-tenth:]
    assert min(pta for _inr, pta in lowest) > max(pta for _inr, pta in highest)


def test_deaths_are_informative(large: Study) -> None:
    """The worse a liver begins, the likelier the death; before it everything gets worse."""
    begins: dict[bool, list[float]] = {True: [], False: []}
    for subject in large.enrolled:
        baseline = next((visit for visit in subject.visits if visit.week == 0), None)
        if subject.diagnosis is FAILURE and baseline and baseline.labs.get("inr", LabCell()).text:
            died = any(kind is OutcomeKind.DEATH for kind, _day in subject.outcomes)
            begins[died].append(standard(baseline.labs["inr"], "inr") or 0)
    assert len(begins[True]) > 20
    assert median(begins[True]) > median(begins[False]) + 0.1
    early = [
        subject.group
        for subject in large.enrolled
        for kind, day in subject.outcomes
        if kind is OutcomeKind.DEATH and (day - subject.recruited_on).days <= 42
    ]
    assert early
    assert not set(early) & {"A", "C"}, "who got a fifth infusion had lived to get it"


def test_what_a_page_has_to_show_is_there(study: Study) -> None:
    statuses = Counter(subject.status for subject in study.subjects)
    assert statuses["screen_failed"] > 30
    assert statuses["screening"] >= 2
    assert any(not subject.infusions for subject in study.enrolled), "somebody is in run-in"
    kinds = Counter(kind for subject in study.subjects for kind, _day in subject.outcomes)
    assert set(kinds) == set(OutcomeKind)
    cells = [
        (visit.week, code, cell)
        for subject in study.enrolled
        for visit in subject.visits
        for code, cell in visit.labs.items()
    ]
    assert any(cell.unit == "mg/dL" for _week, _code, cell in cells)
    assert any(cell.text == "<20" for _week, code, cell in cells if code == "hbv_dna")
    assert 0.01 < sum(bool(cell.missing) for _week, _code, cell in cells) / len(cells) < 0.06
    assert any(visit.week is None for subject in study.enrolled for visit in subject.visits)
    assert any(given.reaction for subject in study.enrolled for given in subject.infusions)
    late = [
        given
        for subject in study.enrolled
        for given in subject.infusions
        if given.given_on > protocol.infusion_due(given.number, subject.recruited_on)
    ]
    assert late
    assert {subject.site for subject in study.subjects} == {site.code for site in SITES}


def test_follow_up_runs_up_to_today(study: Study) -> None:
    in_course = [
        subject
        for subject in study.enrolled
        if subject.infusions
        and subject.ended_on is None
        and len(subject.infusions) < protocol.COURSES[protocol.Course(subject.planned_course)]
        and (TODAY - subject.infusions[-1].given_on).days <= 12
    ]
    assert in_course
    waiting = [
        (week, due)
        for subject in study.enrolled
        if subject.infusions and not subject.outcomes
        for week in protocol.WEEKS
        for due in [protocol.visit_due(week, subject.infusions[0].given_on)]
        if week not in {visit.week for visit in subject.visits}
    ]
    assert any(TODAY - timedelta(days=14) <= due < TODAY for _week, due in waiting), "something is overdue"
    assert any(TODAY <= due <= TODAY + timedelta(days=7) for _week, due in waiting), (
        "something is due this week"
    )


def test_verdicts_follow_from_the_answers(study: Study) -> None:
    for subject in study.subjects:
        verdict = protocol.assess({answered.criterion: answered.answer for answered in subject.answers})
        expected = {"enrolled": "eligible", "screen_failed": "not_eligible", "screening": "pending"}[
            subject.status
        ]
        assert verdict.state == expected
        if subject.status == "screen_failed" and any(c.code == "inclusion_c" for c in verdict.against):
            age = (subject.screened_on - subject.birth_date).days / 365.25
            assert age > protocol.AGE_AT_MOST, "an age that fails is one that fails"
        if subject.status == "enrolled":
            assert all(answered.answer is not Answer.UNKNOWN for answered in subject.answers)


def test_the_slip_is_a_bilirubin_without_its_point(study: Study) -> None:
    assert study.slip is not None
    assert float(study.slip.wrong) == 10 * float(study.slip.right)
    subject = next(s for s in study.subjects if s.subject_id == study.slip.subject_id)
    visit = next(v for v in subject.visits if v.week == study.slip.week)
    assert visit.labs[study.slip.analyte].text == study.slip.wrong


def test_files_hold_all_of_it(study: Study) -> None:
    subjects, infusions, visits = (list(rows(study)) for rows in (subject_rows, infusion_rows, visit_rows))
    assert len(subjects) - 1 == len(study.enrolled)
    assert len(infusions) - 1 == sum(len(subject.infusions) for subject in study.subjects)
    assert len(visits) - 1 == sum(len(subject.visits) for subject in study.subjects)
    assert all(len(row) == len(visits[0]) for row in visits)
    assert set(PANEL) <= set(visits[0])
    assert sum(len(list(visit_rows(study, site=site.code))) - 1 for site in SITES) == len(visits) - 1
