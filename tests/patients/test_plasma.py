"""Which draws came soon after plasma; most without a database."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest

from patients import selectors
from patients.plasma import Given, Moment, after_plasma
from tests import factories
from trial.models import Site

AT = datetime(2024, 1, 11, 11, 0, tzinfo=UTC)


def exactly(moment: datetime) -> Moment:
    return Moment(moment, moment, f"{moment:%Y-%m-%d %H:%M}")


def some_time_on(day: date) -> Moment:
    start = datetime.combine(day, time(0), UTC)
    return Moment(start, start + timedelta(hours=23, minutes=59), day.isoformat())


def plasma(start: Moment, end: Moment | None = None, kind: str = "plasma") -> Given:
    return Given(kind, start, end or start)


@pytest.mark.parametrize(
    ("after", "hours"),
    [
        (timedelta(minutes=-1), None),
        (timedelta(0), 0),
        (timedelta(hours=31, minutes=50), 31),
        (timedelta(hours=48), 48),
        (timedelta(hours=48, minutes=1), None),
    ],
)
def test_by_the_hour_until_exactly_48(after: timedelta, hours: int | None) -> None:
    found = after_plasma(exactly(AT + after), [plasma(exactly(AT))])

    assert (found.hours if found else None) == hours
    if found:
        assert found.is_certain
        assert str(found.sentence) == f"{hours} h after the plasma of 2024-01-11 11:00"


def test_the_hours_count_from_the_end() -> None:
    long = plasma(exactly(AT), exactly(AT + timedelta(hours=4)), "plasma_exchange")

    found = after_plasma(exactly(AT + timedelta(hours=52)), [long])
    assert found is not None
    assert str(found.sentence) == "48 h after the plasma exchange of 2024-01-11 11:00"
    during = after_plasma(exactly(AT + timedelta(hours=2)), [long])
    assert during is not None
    assert during.hours == 0


@pytest.mark.parametrize(("days", "certain"), [(-1, None), (0, False), (1, True), (2, False), (3, None)])
def test_by_days_what_they_leave_open_is_said(days: int, certain: bool | None) -> None:
    day = AT.date()
    found = after_plasma(some_time_on(day + timedelta(days=days)), [plasma(some_time_on(day))])

    assert (found.is_certain if found else None) is certain
    if certain is False:
        assert found is not None
        assert "cannot tell without the hours" in str(found.sentence)


def test_one_known_hour_narrows_it_down() -> None:
    """Plasma in the evening: two days later is within 48 h only until that hour."""
    evening = plasma(exactly(datetime(2024, 1, 11, 19, 0, tzinfo=UTC)))

    found = after_plasma(some_time_on(date(2024, 1, 13)), [evening])
    assert found is not None
    assert not found.is_certain
    night = plasma(exactly(datetime(2024, 1, 11, 23, 59, tzinfo=UTC)))
    found = after_plasma(some_time_on(date(2024, 1, 13)), [night])
    assert found is not None
    assert found.is_certain


def test_a_certain_plasma_comes_before_an_open_one_and_the_last_before_the_first() -> None:
    first, second = plasma(exactly(AT)), plasma(exactly(AT + timedelta(hours=10)))
    open_one = plasma(some_time_on(AT.date() + timedelta(days=1)))

    found = after_plasma(exactly(AT + timedelta(hours=20)), [first, second, open_one])
    assert found is not None
    assert found.given is second


def test_a_draw_without_a_day_is_not_judged() -> None:
    assert after_plasma(None, [plasma(exactly(AT))]) is None


@pytest.mark.django_db
def test_hours_are_those_of_the_site_and_void_rows_do_not_count(sites: dict[str, Site]) -> None:
    from patients import actions
    from trial import audit

    patient = factories.a_patient(site=sites["GE"])
    given = factories.a_treatment(patient, "plasma", date(2024, 2, 1), started_at=time(19))
    factories.a_treatment(patient, "albumin", date(2024, 2, 1))

    (one,) = selectors.plasma_hours(patient)
    assert one.start.earliest == datetime(2024, 2, 1, 11, 0, tzinfo=UTC)
    assert one.start.label == "2024-02-01 19:00"
    visit = factories.a_visit(patient, 4, date(2024, 2, 3), tbil="90")
    drawn = selectors.drawn_at(patient.site, visit, datetime(2024, 2, 3, 11, 0, tzinfo=UTC))
    found = after_plasma(drawn, selectors.plasma_hours(patient))
    assert found is not None
    assert found.hours == 48

    actions.void_treatment(treatment=given, by=audit.service_account(), reason="wrong subject")
    assert selectors.plasma_hours(patient) == ()
