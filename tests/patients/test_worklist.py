"""The queue: sections, order, words, and that the quick choice by dates misses nobody."""

from __future__ import annotations

import random
from datetime import date, timedelta
from typing import Any

import pytest
import time_machine

from patients import queue, schedule, worklist
from patients.models import Patient
from patients.schedule import Appointment, Facts, Kind, State
from patients.worklist import Section
from tests.factories import RECRUITED_ON, a_patient, a_visit, an_infusion
from trial import protocol
from trial.models import Site, User

TODAY = date(2026, 3, 19)


def an_appointment(state: State, due: int, closes: int) -> Appointment:
    due_on = TODAY + timedelta(days=due)
    closes_on = TODAY + timedelta(days=closes)
    return Appointment(Kind.VISIT, 4, state, due_on, due_on - timedelta(days=4), closes_on)


@pytest.mark.parametrize(
    ("state", "due", "closes", "section"),
    [
        pytest.param(State.OVERDUE, -9, -5, Section.OVERDUE, id="window_has_closed"),
        pytest.param(State.OPEN, -4, 0, Section.CLOSING, id="closes_today"),
        pytest.param(State.OPEN, -2, 2, Section.CLOSING, id="closes_in_two_days"),
        pytest.param(State.OPEN, -1, 3, Section.WEEK, id="closes_in_three"),
        pytest.param(State.OPEN, 0, 0, Section.TODAY, id="due_today_comes_before_closing"),
        pytest.param(State.OPEN, 2, 6, Section.WEEK, id="open_and_due_soon"),
        pytest.param(State.DUE, 6, 10, Section.WEEK, id="in_six_days"),
        pytest.param(State.DUE, 7, 11, None, id="in_seven_days_is_next_week"),
        pytest.param(State.MISSED, -30, -26, None, id="missed_cannot_be_mended"),
        pytest.param(State.DONE, 0, 4, None, id="done"),
        pytest.param(State.NOT_APPLICABLE, 0, 4, None, id="not_applicable"),
    ],
)
def test_sections(state: State, due: int, closes: int, section: Section | None) -> None:
    assert worklist.section_of(an_appointment(state, due, closes), TODAY) == section


# --- with subjects --------------------------------------------------------------------------


def at(days: int) -> Any:
    """Be at a day after recruitment, ten in the morning in Guangzhou."""
    return time_machine.travel(f"{RECRUITED_ON + timedelta(days=days)}T02:00:00Z", tick=True)


def titles(user: User, subject: str = "") -> list[tuple[str, str]]:
    return [
        (task.section.value, task.title)
        for task in worklist.tasks(user)
        if not subject or task.patient.subject_id == subject
    ]


def test_the_queue_of_a_subject_under_treatment(sites: dict[str, Site], coordinator: User) -> None:
    with at(18):
        patient = a_patient(site=sites["GE"], planned_course="prolonged")
        an_infusion(patient, 1)
        a_visit(patient, 0, RECRUITED_ON + timedelta(days=7), tbil="171")
        assert titles(coordinator) == [
            ("overdue", "Visit week 1"),
            ("overdue", "Infusion 2 of 8"),
            ("week", "Infusion 3 of 8"),
        ]
        late = worklist.tasks(coordinator)[0]
        assert (late.days_past, late.when, late.note) == (
            2,
            "2 d past window",
            "6 analytes · last labs week 0",
        )
        second = worklist.tasks(coordinator)[1]
        assert second.note == "60.0 kg · target 60 × 10⁶ cells · no lot reserved"


def test_the_fifth_says_what_it_would_do(sites: dict[str, Site], coordinator: User) -> None:
    with at(35):
        patient = a_patient(site=sites["GE"], diagnosis="liver_failure", planned_course="prolonged")
        for number in range(1, 5):
            an_infusion(patient, number)
        fifth = next(task for task in worklist.tasks(coordinator) if task.is_infusion)
        assert (fifth.section, fifth.title, fifth.when) == (Section.TODAY, "Infusion 5 of 8", "today")
        assert fifth.note.endswith("would become A")
        assert fifth.record.group == "B"


def test_before_the_first_infusion_the_labs_of_week_0_are_named(
    sites: dict[str, Site], coordinator: User
) -> None:
    with at(7):
        patient = a_patient(site=sites["GE"])
        first = next(task for task in worklist.tasks(coordinator) if task.is_infusion)
        assert (first.note, first.record.group) == ("week 0 labs are missing · no lot reserved", "")
        a_visit(patient, 0, RECRUITED_ON + timedelta(days=6), tbil="171")
        first = next(task for task in worklist.tasks(coordinator) if task.is_infusion)
        assert first.note == "week 0 labs are in · no lot reserved"


def test_what_is_voided_waits_again(sites: dict[str, Site], coordinator: User) -> None:
    from infusions import actions

    with at(14):
        patient = a_patient(site=sites["GE"])
        an_infusion(patient, 1)
        second = an_infusion(patient, 2)
        assert "Infusion 2 of 4" not in [title for _, title in titles(coordinator)]
        actions.void_infusion(infusion=second, by=coordinator, reason="never given")
        assert ("today", "Infusion 2 of 4") in titles(coordinator)


def test_each_site_sees_its_own_and_counts_by_its_own_day(
    sites: dict[str, Site], coordinator: User, coordinator_elsewhere: User, statistician: User
) -> None:
    with at(7):
        a_patient(site=sites["GE"], subject_id="GE-001")
        a_patient(site=sites["GS"], subject_id="GS-001")
        assert {task.patient.subject_id for task in worklist.tasks(coordinator)} == {"GE-001"}
        assert {task.patient.subject_id for task in worklist.tasks(coordinator_elsewhere)} == {"GS-001"}
        assert {task.patient.subject_id for task in worklist.tasks(statistician)} == {"GE-001", "GS-001"}


@pytest.mark.parametrize(("hour", "section"), [("15:59", "week"), ("16:00", "today")])
def test_the_day_changes_at_midnight_of_the_site(
    hour: str, section: str, sites: dict[str, Site], coordinator: User
) -> None:
    with time_machine.travel(f"{RECRUITED_ON + timedelta(days=6)}T{hour}:00Z", tick=False):
        a_patient(site=sites["GE"])
        assert (section, "Infusion 1 of 4") in titles(coordinator)


def test_account_admins_have_no_queue(account_admin: User, sites: dict[str, Site]) -> None:
    with at(7):
        a_patient(site=sites["GE"])
        assert worklist.tasks(account_admin) == []


def test_an_unfinished_screening_counts_its_unknown_criteria(
    sites: dict[str, Site], coordinator: User
) -> None:
    from patients.actions import AnswerEntry, record_screening

    patient = a_patient(site=sites["GE"], status=Patient.Status.SCREENING, subject_id="GE-062")
    (task,) = worklist.tasks(coordinator)
    assert task.title == f"Screening: {len(protocol.CRITERIA)} of {len(protocol.CRITERIA)} criteria unknown"
    first = protocol.CRITERIA[0].code
    record_screening(
        patient=patient,
        screened_on=RECRUITED_ON,
        answers={first: AnswerEntry(protocol.Answer.YES)},
        by=coordinator,
    )
    (task,) = worklist.tasks(coordinator)
    assert task.unknown_criteria == len(protocol.CRITERIA) - 1
    assert (task.section, task.when) == (Section.UNFINISHED, "since 01-08")


def test_nobody_who_may_wait_is_left_out_by_dates() -> None:
    """Whatever the course, a subject outside the quick choice has nothing that waits."""
    rng = random.Random(20260319)
    for _ in range(3000):
        recruited_on = TODAY - timedelta(days=rng.randint(-10, 500))
        course = rng.choice(["", "standard", "prolonged"])
        days = [
            recruited_on + timedelta(days=7 * k + rng.randint(-3, 40)) for k in range(1, rng.randint(1, 9))
        ]
        given = {k: day for k, day in enumerate(days, start=1) if day <= TODAY and rng.random() < 0.8}
        facts = Facts(recruited_on, course, given)
        chosen = any(
            day >= TODAY - timedelta(days=worklist._LAST_WAITING_DAY + 1) for day in given.values()
        ) or recruited_on >= TODAY - timedelta(days=worklist._LAST_INFUSION_DAY + 1)
        if not chosen:
            assert not schedule.waiting(facts, TODAY), facts


# --- arranged -------------------------------------------------------------------------------


def tasks_of(section: Section, count: int) -> list[worklist.Task]:
    patient = Patient(subject_id="GE-001", diagnosis="cirrhosis", sex="F")
    record = worklist.Record(patient, Facts(TODAY), TODAY)
    state = State.OVERDUE if section is Section.OVERDUE else State.OPEN
    return [worklist.Task(section, record, an_appointment(state, 0, 4)) for _ in range(count)]


def test_tiles_count_everything_and_sections_show_a_few(hepatologist: User) -> None:
    many = tasks_of(Section.OVERDUE, queue.FEW + 5) + tasks_of(Section.WEEK, 1)
    arranged = queue.arrange(many, hepatologist, today=TODAY)
    assert [(tile.key, tile.count) for tile in arranged.tiles] == [
        ("1", queue.FEW + 5),
        ("2", 0),
        ("3", 0),
        ("4", 1),
        ("5", 0),
        ("6", 0),
        ("7", 0),
        ("8", 0),
    ]
    assert [(part.code, len(part.rows), [left.count for left in part.hidden]) for part in arranged.parts] == [
        ("overdue", queue.FEW, [5]),
        ("week", 1, []),
    ]


def test_a_section_looked_at_alone_shows_more_of_itself_and_nothing_else(hepatologist: User) -> None:
    many = tasks_of(Section.OVERDUE, queue.FEW + 5) + tasks_of(Section.WEEK, 1)
    arranged = queue.arrange(many, hepatologist, today=TODAY, shown="overdue")
    assert [(part.code, len(part.rows), part.hidden) for part in arranged.parts] == [
        ("overdue", queue.FEW + 5, ())
    ]
    assert arranged.tiles[3].count == 1
    assert queue.arrange(many, hepatologist, today=TODAY, shown="nonsense").shown == ""


@pytest.mark.parametrize(
    ("person", "action"),
    [
        ("coordinator", "Enter labs"),
        ("data_manager", "Enter labs"),
        ("hepatologist", "Open"),
        ("monitor", "Open"),
    ],
)
def test_the_button_is_what_the_person_may_do(
    person: str, action: str, request: pytest.FixtureRequest
) -> None:
    user = request.getfixturevalue(person)
    arranged = queue.arrange(tasks_of(Section.OVERDUE, 1), user, today=TODAY)
    assert arranged.parts[0].rows[0].action == action
