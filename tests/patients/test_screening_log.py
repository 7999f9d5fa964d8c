"""The screening log counts as it should, at the same cost for any number, and a code is given once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import date, timedelta

import pytest
from django.db import DatabaseError, connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from patients import actions, screenings
from patients.entries import AnswerEntry
from patients.models import Patient
from tests import factories
from trial import audit, protocol
from trial.models import Site, User
from trial.protocol import Answer
from trial.refusals import Refused

DAY = date(2024, 1, 10)
PASSING = {c.code: AnswerEntry(c.passes) for c in protocol.CRITERIA}


def screened(site: Site, by: User, **changed: AnswerEntry) -> Patient:
    patient = factories.a_patient(site=site, status=Patient.Status.SCREENING)
    actions.record_screening(patient=patient, screened_on=DAY, answers=PASSING | changed, by=by)
    audit.settle()
    return patient


@pytest.mark.django_db
def test_subjects_are_counted_by_their_newest_screening(
    sites: dict[str, Site], coordinator: User, data_manager: User
) -> None:
    enrolled = screened(sites["GE"], coordinator)
    actions.enrol_screened(patient=enrolled, by=coordinator, recruited_on=None, planned_course="standard")
    audit.settle()
    screened(sites["GE"], coordinator)
    failed = screened(sites["GE"], coordinator, exclusion_h=AnswerEntry(Answer.YES))
    screened(sites["GE"], coordinator, exclusion_h=AnswerEntry(Answer.UNKNOWN))
    factories.a_patient(site=sites["GE"], status=Patient.Status.SCREENING)
    screened(sites["GS"], data_manager, exclusion_b=AnswerEntry(Answer.YES))
    east, south = screenings.counts(data_manager)
    assert (east.screened, east.eligible, east.enrolled, east.failed, east.pending) == (5, 2, 1, 1, 2)
    assert (south.screened, south.failed) == (1, 1)
    assert [row.site for row in screenings.counts(coordinator)] == ["Guangzhou East"]

    actions.record_screening(
        patient=failed, screened_on=DAY + timedelta(days=30), answers=PASSING, by=coordinator
    )
    audit.settle()
    (east,) = screenings.counts(coordinator)
    assert (east.eligible, east.failed) == (3, 0)
    # the failure itself stays in the log
    assert [s.patient_id for s in screenings.log(coordinator, screenings.LogFilter())] == [failed.pk]


@pytest.mark.django_db
def test_the_log_costs_the_same_for_any_number(
    sites: dict[str, Site], data_manager: User, signed_in: Callable[[User], Client]
) -> None:
    browser = signed_in(data_manager)
    address = reverse("patients:screen_failures") + "?state=all"

    def cost() -> int:
        browser.get(address)
        with CaptureQueriesContext(connection) as asked:
            browser.get(address)
        return len(asked)

    screened(sites["GE"], data_manager)
    one = cost()
    for place in range(12):
        screened(sites["GE" if place % 2 else "GS"], data_manager, exclusion_h=AnswerEntry(Answer.YES))
    assert cost() == one


@pytest.mark.committed
def test_a_code_is_given_once_however_many_register_together(
    sites: dict[str, Site], coordinator: User
) -> None:
    refused: list[Exception] = []

    def register() -> None:
        try:
            for _each in range(5):
                actions.enrol(
                    by=coordinator,
                    site=sites["GE"],
                    sex="F",
                    birth_date=date(1980, 2, 1),
                    diagnosis="cirrhosis",
                    status=Patient.Status.SCREENING,
                )
        except (Refused, DatabaseError) as error:
            refused.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=register) for _thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not refused
    codes = sorted(Patient.objects.values_list("subject_id", flat=True))
    assert codes == [f"GE-{number:03}" for number in range(1, 21)]
