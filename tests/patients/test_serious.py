"""The clock of a serious event, the time since the infusion, and what does not fit together; no database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import pytest

from patients import ctcae, ctcae_terms
from patients.serious import ClockState, Infused, clock, questions, since_last_infusion

KNOWN = datetime(2024, 2, 1, 10, 0, tzinfo=UTC)
HOURS = timedelta(hours=1)


@pytest.mark.parametrize(
    ("passed", "state", "words"),
    [
        (0 * HOURS, ClockState.WAITING, "report due in 24 h 0 min"),
        (20.5 * HOURS, ClockState.WAITING, "report due in 3 h 30 min"),
        (24 * HOURS, ClockState.WAITING, "report due in 0 h 0 min"),
        (24 * HOURS + timedelta(seconds=1), ClockState.OVERDUE, "report overdue by 0 h 0 min"),
        (26 * HOURS, ClockState.OVERDUE, "report overdue by 2 h 0 min"),
    ],
)
def test_the_clock_runs_24_hours(passed: timedelta, state: ClockState, words: str) -> None:
    now = clock(KNOWN, None, KNOWN + passed)

    assert now is not None
    assert (now.state, str(now.sentence)) == (state, words)
    assert now.is_waiting
    assert now.due_at == KNOWN + 24 * HOURS


@pytest.mark.parametrize(
    ("passed", "state", "words"),
    [
        (24 * HOURS, ClockState.REPORTED, "reported within 24 h"),
        (25.5 * HOURS, ClockState.LATE, "reported 1 h 30 min too late"),
    ],
)
def test_a_report_stops_the_clock(passed: timedelta, state: ClockState, words: str) -> None:
    stopped = clock(KNOWN, KNOWN + passed, KNOWN + 1000 * HOURS)

    assert stopped is not None
    assert (stopped.state, str(stopped.sentence), stopped.is_waiting) == (state, words, False)


def test_no_clock_without_the_hour_it_was_known() -> None:
    assert clock(None, None, KNOWN) is None


DAY = date(2024, 1, 15)
COURSE = [Infused(1, DAY, time(10)), Infused(2, DAY + timedelta(days=7))]


@pytest.mark.parametrize(
    ("days", "hour", "words"),
    [
        (-1, time(9), "before any infusion"),
        (0, time(9, 59), "before any infusion"),
        (0, time(10), "0 h after infusion 1"),
        (0, time(16, 30), "6 h after infusion 1"),
        (0, None, "on the day of infusion 1"),
        (1, time(9), "23 h after infusion 1"),
        (2, time(9, 59), "47 h after infusion 1"),
        (2, time(10), "2 d after infusion 1"),
        (1, None, "1 d after infusion 1"),
        (7, time(9), "on the day of infusion 2"),
        (13, time(9), "6 d after infusion 2"),
    ],
)
def test_time_since_the_last_infusion(days: int, hour: time | None, words: str) -> None:
    assert str(since_last_infusion(DAY + timedelta(days=days), hour, COURSE).sentence) == words


@dataclass
class Event:
    grade: int
    result: str = ""
    serious: str = ""
    pk: int = 1
    term: str = "Sepsis"


@dataclass
class Ended:
    kind: str


@pytest.mark.parametrize(
    ("events", "outcomes", "rules"),
    [
        ([], [], []),
        ([Event(4)], [], []),
        ([Event(5)], [], ["grade_5_without_death"]),
        ([Event(5, "fatal", "death")], [Ended("death")], []),
        ([Event(3)], [Ended("death")], ["death_without_grade_5"]),
        ([Event(3)], [Ended("transplant")], []),
        ([Event(4, "fatal")], [], ["fatal_below_grade_5"]),
        ([Event(4, "", "death")], [], ["fatal_below_grade_5"]),
        ([Event(5, "recovered")], [Ended("death")], ["grade_5_survived"]),
    ],
)
def test_grade_5_goes_with_a_death(events: list[Event], outcomes: list[Ended], rules: list[str]) -> None:
    assert [question.rule for question in questions(events, outcomes)] == rules


def test_every_term_that_a_result_proposes_is_offered() -> None:
    assert set(ctcae.TERMS.values()) <= {term.name for term in ctcae_terms.TERMS}


def test_a_term_is_found_in_any_case_and_free_text_is_kept() -> None:
    assert ctcae_terms.term_of("  infusion  related REACTION ").name == "Infusion related reaction"
    assert ctcae_terms.term_of("Fever").means(2) == "above 39.0 to 40.0 °C"
    assert ctcae_terms.term_of("Fever").means(5) == ctcae_terms.GENERAL[5]
    assert ctcae_terms.term_of("itching of the left arm").name == "itching of the left arm"
    assert ctcae_terms.VERSION == ctcae.VERSION
