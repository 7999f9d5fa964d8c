"""The life of a query: which steps there are, from which state, and for whom. Pure.

Open -> answered -> closed; an answered or a closed one is opened again. Who
answers for the data answers; who watches over them closes. A person takes back a
question of their own. What an edit check asked ends by itself when the data are
mended, or when somebody who may close says why it stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class State(StrEnum):
    """Where a query stands; the codes of ``vocabulary.QUERY_STATES``."""

    OPEN = "open"
    ANSWERED = "answered"
    CLOSED = "closed"


class Step(StrEnum):
    """What can happen to a query; the codes of ``vocabulary.QUERY_STEPS``."""

    OPENED = "opened"
    ANSWERED = "answered"
    CLOSED = "closed"
    REOPENED = "reopened"
    ASSIGNED = "assigned"


LEADS_TO: Mapping[Step, State | None] = MappingProxyType(
    {
        Step.OPENED: State.OPEN,
        Step.ANSWERED: State.ANSWERED,
        Step.CLOSED: State.CLOSED,
        Step.REOPENED: State.OPEN,
        Step.ASSIGNED: None,
    }
)
"""The state after each step; passing on leaves it."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a person is to a query: the rights of the role, and whether the question is theirs."""

    raises: bool = False
    answers: bool = False
    closes: bool = False
    is_own: bool = False


def steps(state: State | str, standing: Standing, *, by_check: bool) -> frozenset[Step]:
    """Return the steps that a person may take now.

    Parameters
    ----------
    state
        Where the query stands.
    standing
        What the person is to it.
    by_check
        Whether an edit check asked; then nobody owns the question.
    """
    state = State(state)
    judges = standing.closes or (standing.raises and standing.is_own and not by_check)
    takes_part = standing.raises or standing.answers or standing.closes
    found = set()
    if state is State.OPEN and standing.answers:
        found.add(Step.ANSWERED)
    if state is not State.CLOSED and judges:
        found.add(Step.CLOSED)
    if state is not State.OPEN and judges:
        found.add(Step.REOPENED)
    if state is not State.CLOSED and takes_part:
        found.add(Step.ASSIGNED)
    return frozenset(found)


def needs_text(step: Step, state: State | str, *, by_check: bool) -> bool:
    """Return whether a step has to say something.

    Closing after an answer speaks for itself, unless an edit check asked: its
    question still stands in the data, so a person says why it may.
    """
    if step is Step.ASSIGNED:
        return False
    if step is Step.CLOSED:
        return by_check or State(state) is State.OPEN
    return True
