"""The life of a query: every step, in every state, for every kind of person."""

from __future__ import annotations

import itertools

import pytest

from patients.query_life import LEADS_TO, Standing, State, Step, needs_text, steps
from trial import vocabulary

COORDINATOR = Standing(answers=True)
HEPATOLOGIST = Standing(raises=True, answers=True)
ASKER = Standing(raises=True, answers=True, is_own=True)
MONITOR = Standing(raises=True, closes=True)
DATA_MANAGER = Standing(raises=True, answers=True, closes=True)
READER = Standing()

LIFE = [
    # state, who, what they may do when a person asked
    (State.OPEN, COORDINATOR, "answered assigned"),
    (State.OPEN, HEPATOLOGIST, "answered assigned"),
    (State.OPEN, ASKER, "answered closed assigned"),
    (State.OPEN, MONITOR, "closed assigned"),
    (State.OPEN, DATA_MANAGER, "answered closed assigned"),
    (State.ANSWERED, COORDINATOR, "assigned"),
    (State.ANSWERED, HEPATOLOGIST, "assigned"),
    (State.ANSWERED, ASKER, "closed reopened assigned"),
    (State.ANSWERED, MONITOR, "closed reopened assigned"),
    (State.ANSWERED, DATA_MANAGER, "closed reopened assigned"),
    (State.CLOSED, COORDINATOR, ""),
    (State.CLOSED, HEPATOLOGIST, ""),
    (State.CLOSED, ASKER, "reopened"),
    (State.CLOSED, MONITOR, "reopened"),
    (State.CLOSED, DATA_MANAGER, "reopened"),
    (State.OPEN, READER, ""),
    (State.ANSWERED, READER, ""),
    (State.CLOSED, READER, ""),
]


@pytest.mark.parametrize(("state", "who", "expected"), LIFE)
def test_what_a_person_may_do_with_a_persons_question(state: State, who: Standing, expected: str) -> None:
    assert steps(state, who, by_check=False) == set(expected.split())


@pytest.mark.parametrize(("state", "who", "expected"), LIFE)
def test_nobody_owns_what_a_check_asked(state: State, who: Standing, expected: str) -> None:
    as_anybody = Standing(who.raises, who.answers, who.closes)
    assert steps(state, who, by_check=True) == steps(state, as_anybody, by_check=False)


def test_every_step_leads_where_the_next_one_can_begin() -> None:
    for state, step in itertools.product(State, Step):
        if step not in steps(state, DATA_MANAGER, by_check=False):
            continue
        leads_to = LEADS_TO[step] or state
        assert leads_to != state or step is Step.ASSIGNED
        assert steps(leads_to, DATA_MANAGER, by_check=False)


@pytest.mark.parametrize(
    ("step", "state", "by_check", "needed"),
    [
        (Step.OPENED, State.OPEN, False, True),
        (Step.ANSWERED, State.OPEN, False, True),
        (Step.REOPENED, State.CLOSED, False, True),
        (Step.REOPENED, State.ANSWERED, True, True),
        (Step.CLOSED, State.OPEN, False, True),
        (Step.CLOSED, State.ANSWERED, False, False),
        (Step.CLOSED, State.ANSWERED, True, True),
        (Step.ASSIGNED, State.OPEN, False, False),
    ],
)
def test_which_steps_have_to_say_something(step: Step, state: State, by_check: bool, needed: bool) -> None:
    assert needs_text(step, state, by_check=by_check) is needed


def test_states_and_steps_are_those_of_the_vocabulary() -> None:
    assert [state.value for state in State] == vocabulary.codes(vocabulary.QUERY_STATES)
    assert [step.value for step in Step] == vocabulary.codes(vocabulary.QUERY_STEPS)
