"""The rule of MELD for renal replacement at both sides of its limits, and in a score; most without a database."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest

from analytics import refresh
from analytics.dialysis import CONTINUOUS, SESSION, DrawTime, Renal, under_dialysis
from analytics.models import Score
from patients.models import LabResult, Treatment
from tests import factories
from trial import audit, protocol, vocabulary

DAY = date(2024, 2, 12)
NINE = DrawTime(DAY, time(9))


def dialysed(days_before: int, hour: int | None = None) -> Renal:
    return Renal(SESSION, DAY - timedelta(days=days_before), None if hour is None else time(hour))


def continuous(hours: int, *, end: datetime | None = None) -> Renal:
    stop = end or datetime.combine(DAY, time(9))
    start = stop - timedelta(hours=hours)
    return Renal(CONTINUOUS, start.date(), start.time(), stop.date(), stop.time())


def test_the_rule_knows_every_renal_replacement_of_the_forms() -> None:
    assert {SESSION, CONTINUOUS} == vocabulary.RENAL_REPLACEMENT


@pytest.mark.parametrize(
    ("given", "holds"),
    [
        ([], False),
        ([dialysed(2, 8)], False),
        ([dialysed(2, 8), dialysed(4, 8)], True),
        ([dialysed(2, 8), dialysed(7, 9)], True),  # seven days to the hour
        ([dialysed(2, 8), dialysed(7, 8)], False),  # an hour longer
        ([dialysed(2, 8), dialysed(0, 9)], True),
        ([dialysed(2, 8), dialysed(0, 10)], False),  # after the draw
        ([dialysed(2), dialysed(7)], True),  # by days
        ([dialysed(2), dialysed(8)], False),
        ([dialysed(2), dialysed(0)], True),  # that day, the hour not known
        ([dialysed(2), dialysed(-1)], False),
    ],
)
def test_two_sessions_in_seven_days(given: list[Renal], holds: bool) -> None:
    assert under_dialysis(NINE, given) is holds


def test_a_draw_without_an_hour_counts_days() -> None:
    assert under_dialysis(DrawTime(DAY), [dialysed(0, 23), dialysed(7, 0)])
    assert not under_dialysis(DrawTime(DAY), [dialysed(0, 23), dialysed(8, 23)])


def test_a_draw_without_a_day_is_not_judged() -> None:
    assert not under_dialysis(None, [dialysed(1), dialysed(2)])


def test_a_row_over_several_days_stands_for_a_session_on_each() -> None:
    week = Renal(SESSION, DAY - timedelta(days=20), ended_on=DAY - timedelta(days=6))
    old = Renal(SESSION, DAY - timedelta(days=20), ended_on=DAY - timedelta(days=7))

    assert under_dialysis(NINE, [week])
    assert not under_dialysis(NINE, [old])


def test_a_session_over_midnight_is_one() -> None:
    night = Renal(SESSION, DAY - timedelta(days=2), time(22), DAY - timedelta(days=1), time(2))

    assert not under_dialysis(NINE, [night])
    assert under_dialysis(NINE, [night, dialysed(4, 8)])


@pytest.mark.parametrize(("hours", "holds"), [(23, False), (24, True), (25, True)])
def test_a_day_of_continuous_haemodialysis(hours: int, holds: bool) -> None:
    assert under_dialysis(NINE, [continuous(hours)]) is holds


def test_continuous_haemodialysis_counts_within_the_seven_days_only() -> None:
    begin = datetime.combine(DAY, time(9)) - timedelta(days=7)

    assert under_dialysis(NINE, [continuous(60, end=begin + timedelta(hours=24))])
    assert not under_dialysis(NINE, [continuous(60, end=begin + timedelta(hours=23))])
    assert not under_dialysis(NINE, [continuous(60, end=begin)])


def test_two_rows_at_once_count_once() -> None:
    twelve = continuous(12)

    assert not under_dialysis(NINE, [twelve, twelve])
    assert under_dialysis(
        NINE, [twelve, continuous(12, end=datetime.combine(DAY, time(9)) - timedelta(hours=12))]
    )


def test_what_still_goes_on_runs_until_the_draw() -> None:
    assert under_dialysis(NINE, [Renal(CONTINUOUS, DAY - timedelta(days=1), time(9))])
    assert not under_dialysis(NINE, [Renal(CONTINUOUS, DAY - timedelta(days=1), time(10))])


# --- in a stored score ----------------------------------------------------------------------


def score_of(visit: Any) -> Score:
    refresh.refresh()
    newest = Score.objects.filter(visit=visit, variant=protocol.DEFAULT_SCORE).order_by("-run_id").first()
    assert newest is not None
    return newest


@pytest.mark.django_db
def test_dialysis_sets_creatinine_to_its_upper_bound_and_taking_it_back_undoes_it() -> None:
    refresh.forget()
    by = audit.service_account()
    patient = factories.a_patient(recruited_on=date(2024, 1, 1))
    visit = factories.a_visit(patient, 4, visited_on=DAY, tbil="171", inr="1.8", creatinine="81")
    before = score_of(visit)
    with audit.revision(by=by, reason="tests"):
        for days in (2, 5):
            Treatment.objects.create(patient=patient, kind="dialysis", started_on=DAY - timedelta(days=days))
    audit.settle()

    under = score_of(visit)

    creatinine = next(used for used in under.inputs if used["code"] == "creatinine")
    assert creatinine["clamped_from"] == "81"
    assert Decimal(creatinine["used"]) == Decimal("353.6")  # 4.0 mg/dL
    assert creatinine["note"][0] == "set to {bound} because of dialysis"
    assert under.value > before.value + 12  # 9.57 ln 4
    assert refresh.differences() == []

    with audit.revision(by=by, reason="tests"):
        Treatment.objects.filter(started_on=DAY - timedelta(days=5)).update(
            started_on=DAY - timedelta(days=8)
        )
    audit.settle()
    assert score_of(visit).value == before.value
    assert refresh.differences() == []


@pytest.mark.django_db
def test_the_hour_of_the_draw_is_that_of_the_site() -> None:
    """A session at 10:00 in Guangzhou is after a draw at 01:30 UTC, which is 09:30 there."""
    refresh.forget()
    patient = factories.a_patient(recruited_on=date(2024, 1, 1))
    visit = factories.a_visit(patient, 4, visited_on=DAY, tbil="171", inr="1.8", creatinine="81")
    with audit.revision(by=audit.service_account(), reason="tests"):
        LabResult.objects.filter(visit=visit).update(sampled_at=datetime(2024, 2, 12, 1, 30, tzinfo=UTC))
        Treatment.objects.create(patient=patient, kind="dialysis", started_on=DAY - timedelta(days=2))
        later = Treatment.objects.create(
            patient=patient, kind="dialysis", started_on=DAY, started_at=time(10)
        )
    audit.settle()
    plain = score_of(visit).value

    with audit.revision(by=audit.service_account(), reason="tests"):
        Treatment.objects.filter(pk=later.pk).update(started_at=time(9, 30))
    audit.settle()
    assert score_of(visit).value > plain + 12
