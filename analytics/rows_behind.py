"""The subjects behind a number: who counts with which values, who does not and why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

from analytics import contrast_source, followed, whereabouts
from analytics.cells import AGE, SEX, CellKey
from analytics.contrast_page import values_of
from analytics.contrast_source import Question
from analytics.landmark import FollowedSubject
from analytics.samples import MISSING, SCALE, Ints
from analytics.study_arrays import StudyArrays
from analytics.whereabouts import Status
from patients.models import Patient
from trial import protocol
from trial.models import User
from trial.protocol import Measure, Population, Sex


@dataclass(frozen=True, slots=True)
class SubjectRow:
    """One subject behind a cell.

    ``became_on`` is the day of the infusion that made the course a prolonged one, ``became`` the
    group that it made, ``became_late`` whether that was after the landmark. What is no number stands
    in ``words``.
    """

    subject_id: str
    group: str
    earlier: float
    later: float
    value: float
    became_on: date | None
    became: str
    became_late: bool
    infusions: int
    words: str = ""


@dataclass(frozen=True, slots=True)
class AbsentRow:
    """One member of a group without the values a cell needs, and why."""

    subject_id: str
    group: str
    week: int
    why: str


@dataclass(frozen=True, slots=True)
class RowsBehind:
    """The rows a person may see; the others are only counted."""

    rows: tuple[SubjectRow, ...]
    absent: tuple[AbsentRow, ...]
    n: int
    elsewhere: int


def rows_behind(question: Question, key: CellKey, user: User, today: date) -> RowsBehind:
    """Return the subjects of a cell, group by group.

    Parameters
    ----------
    question
        How the cell was asked for: its population and its switches.
    key
        The cell.
    user
        Sees the subjects of their sites; how many are elsewhere is said.
    today
        Visits to come are not due, not missing.
    """
    study = contrast_source.study_of(question)
    subjects = followed.everybody()
    status = whereabouts.statuses(study, key.analyte, subjects, today)
    span = (key.week_from, key.week_to)
    seen = set(Patient.objects.visible_to(user).values_list("subject_id", flat=True))
    rows, absent, n, elsewhere = [], [], 0, 0
    for code in (key.group1, key.group2):
        if not code:
            continue
        members = study.members(question.grouping, code)
        counted = set()
        for subject, a, b, value, words in _values(study, members, key):
            counted.add(subject)
            n += 1
            if subject not in seen:
                elsewhere += 1
                continue
            rows.append(SubjectRow(subject, code, a, b, value, *_course(subjects.get(subject)), words))
        for place in members.tolist():
            subject = study.subject_ids[place]
            if subject in counted or subject not in seen:
                continue
            if key.analyte in (AGE, SEX):
                absent.append(AbsentRow(subject, code, span[0], whereabouts.STATUS_LABELS[Status.MISSING]))
                continue
            week = span[0] if status[place, protocol.WEEKS.index(span[0])] else span[1]
            why = Status(int(status[place, protocol.WEEKS.index(week)]))
            absent.append(AbsentRow(subject, code, week, whereabouts.STATUS_LABELS[why]))
    return RowsBehind(tuple(rows), tuple(absent), n, elsewhere)


def _values(study: StudyArrays, members: Ints, key: CellKey) -> list[tuple[str, float, float, float, str]]:
    """Return (subject, earlier, later, value, words) of the members who count in a cell."""
    ids, at = study.subject_ids, members.tolist()
    if key.analyte == SEX:
        return [
            (ids[place], 0.0, 0.0, 0.0, protocol.SEX_LABELS[Sex(study.sex[place])])
            for place in at
            if study.sex[place]
        ]
    if key.analyte == AGE:
        years = {place: int(study.age[place]) / SCALE for place in at if study.age[place] != MISSING}
        return [(ids[place], value, value, value, "") for place, value in years.items()]
    span = (key.week_from, key.week_to)
    return [(*found, "") for found in values_of(study, members, key.analyte, span, Measure(key.measure))]


def _course(subject: FollowedSubject | None) -> tuple[date | None, str, bool, int]:
    """Return when the course became a prolonged one, of which group, whether late, and its infusions."""
    if subject is None or not subject.infusions_on:
        return None, "", False, 0
    given = sorted(subject.infusions_on)
    first = protocol.PROLONGED_FROM
    if len(given) < first:
        return None, "", False, len(given)
    late = (given[first - 1] - given[0]).days > protocol.LANDMARK_DAY
    return given[first - 1], protocol.group_of(subject.diagnosis, len(given)), late, len(given)


def question_of(key: CellKey, *, without_plasma: bool, among_eligible: bool) -> Question:
    """Return the question that a cell answers."""
    population = Population(key.population)
    at_landmark = population is Population.LANDMARK
    if at_landmark:
        population = Population.ELIGIBLE if among_eligible else Population.TREATED
    pair = (key.group1, key.group2)
    question = Question(pair, key.analyte, Measure(key.measure), population, at_landmark)
    return replace(question, without_plasma=without_plasma)
