"""Which release tests allow which decision about a lot."""

from __future__ import annotations

import pytest

from infusions import release
from trial import vocabulary

ALL = {term.code: "pass" for term in vocabulary.RELEASE_TESTS}


def said(results: dict[str, str], state: str, to: str) -> str:
    return " ".join(str(sentence) for sentence in release.obstacles(results, state=state, to=to))


def test_every_test_says_what_it_asks_for() -> None:
    assert set(release.CRITERIA) == set(vocabulary.codes(vocabulary.RELEASE_TESTS))


def test_all_passed_is_released() -> None:
    assert said(ALL, "quarantine", "released") == ""


@pytest.mark.parametrize("test", sorted(ALL))
def test_one_pending_or_failed_test_keeps_a_lot_from_release(test: str) -> None:
    label = vocabulary.by_code(vocabulary.RELEASE_TESTS)[test].label
    assert f"Pending: {label}." in said({**ALL, test: "pending"}, "quarantine", "released")
    assert f"Failed: {label}." in said({**ALL, test: "fail"}, "quarantine", "released")
    without = {code: result for code, result in ALL.items() if code != test}
    assert f"Pending: {label}." in said(without, "quarantine", "released")


@pytest.mark.parametrize("test", sorted(ALL))
def test_only_cultures_may_be_pending_on_condition(test: str) -> None:
    allowed = said({**ALL, test: "pending"}, "quarantine", "conditional") == ""
    assert allowed == (test in {"bacteria", "fungi", "mycoplasma"})
    assert "Failed" in said({**ALL, test: "fail"}, "quarantine", "conditional")


def test_a_condition_needs_something_pending() -> None:
    assert "without a condition" in said(ALL, "quarantine", "conditional")


@pytest.mark.parametrize(
    ("state", "to"),
    [
        ("recalled", "released"),
        ("rejected", "released"),
        ("released", "conditional"),
        ("quarantine", "recalled"),
    ],
)
def test_decisions_follow_their_order(state: str, to: str) -> None:
    assert "cannot become" in said(ALL, state, to)


def test_rejecting_and_recalling_ask_for_no_test() -> None:
    assert said({}, "quarantine", "rejected") == ""
    assert said({}, "released", "recalled") == ""


@pytest.mark.parametrize(
    ("results", "state", "given", "alarm"),
    [
        (ALL, "released", 3, False),
        ({**ALL, "fungi": "fail"}, "conditional", 0, False),
        ({**ALL, "fungi": "fail"}, "conditional", 1, True),
        (ALL, "recalled", 1, True),
        (ALL, "quarantine", 1, False),
    ],
)
def test_an_alarm_is_for_those_who_got_it(
    results: dict[str, str], state: str, given: int, alarm: bool
) -> None:
    assert release.is_alarm(results, state=state, given=given) is alarm
