"""A subject's history: every revision that touched it, in words, and one as a diff."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from patients import actions
from patients.models import Patient
from tests import factories
from trial import audit
from trial.models import Revision, Site, User

pytestmark = pytest.mark.django_db

SignedIn = Callable[[User], Client]


def _entry(analyte: str, text: str, unit: str) -> actions.LabEntry:
    return actions.LabEntry(
        analyte=analyte,
        value=Decimal(text),
        comparator="",
        typed_text=text,
        typed_unit=unit,
        missing_reason="",
    )


@pytest.fixture
def patient(sites: dict[str, Site], coordinator: User) -> Patient:
    """Enrolled, an infusion, a visit, and a slip corrected."""
    patient = factories.a_patient(site=sites["GE"], subject_id="GE-031", by=coordinator)
    factories.an_infusion(patient, 1, by=coordinator)
    visit = factories.a_visit(patient, 12, by=coordinator, tbil="171", inr="1.2", creatinine="70")
    actions.record_labs(
        visit=visit,
        entries=[_entry("tbil", "17.1", "umol/L")],
        by=coordinator,
        reason="typing slip corrected",
    )
    factories.settle()
    return patient


def _newest(patient: Patient) -> int:
    """Return the newest revision that touched a subject; accounts of the test may be younger."""
    number = (
        Revision.objects.filter(entries__patient_id=patient.pk)
        .order_by("-number")
        .values_list("number", flat=True)
    )
    return number[0] or 0


def _told(client: Client, query: str = "") -> list[list[str]]:
    response = client.get(f"/patients/GE-031/history/{query}")
    assert response.status_code == 200
    return [[str(one) for one in listed.told] for listed in response.context["history"].revisions]


def test_history_reads_as_a_story(patient: Patient, signed_in: SignedIn, hepatologist: User) -> None:
    assert _told(signed_in(hepatologist)) == [
        ["W12 TBIL 171 → 17.1 µmol/L"],
        ["W12 entered: 3 analytes"],
        ["Infusion 1 given, 60.0 × 10⁶ cells"],
        ["GE-031 registered"],
    ]


def test_newest_revision_stands_open_as_a_diff(
    patient: Patient, signed_in: SignedIn, hepatologist: User
) -> None:
    page = signed_in(hepatologist).get("/patients/GE-031/history/")
    text = page.content.decode()
    assert page.context["shown"].revision.number == _newest(patient)
    assert '<s class="diff-before">171.0 µmol/L</s>' in text
    assert f'hx-get="/results/moved/{_newest(patient)}/"' in text


def test_another_revision_opens_by_address(patient: Patient, signed_in: SignedIn, hepatologist: User) -> None:
    number = _newest(patient) - 2
    shown = signed_in(hepatologist).get(f"/patients/GE-031/history/?revision={number}").context["shown"]
    assert shown.tables[0].rows[0].title == "Infusion · 1"
    assert (shown.earlier, shown.later) == (number - 1, number + 1)


@pytest.mark.parametrize(("show", "count"), [("", 4), ("labs", 2), ("infusions", 1), ("corrections", 1)])
def test_history_can_be_narrowed(
    patient: Patient, show: str, count: int, signed_in: SignedIn, hepatologist: User
) -> None:
    assert len(_told(signed_in(hepatologist), f"?show={show}")) == count


def test_history_can_be_narrowed_to_a_person(
    patient: Patient, signed_in: SignedIn, hepatologist: User, coordinator: User
) -> None:
    client = signed_in(hepatologist)
    assert len(_told(client, f"?who={coordinator.pk}")) == 4
    assert _told(client, f"?who={hepatologist.pk}") == []
    text = client.get(f"/patients/GE-031/history/?who={hepatologist.pk}").content.decode()
    assert "No revision of this kind." in text


def test_history_shows_only_this_subject(
    patient: Patient, sites: dict[str, Site], data_manager: User, signed_in: SignedIn, monitor: User
) -> None:
    with audit.revision(by=data_manager, reason="checked against the source"):
        factories.a_patient(site=sites["GS"], subject_id="GS-777", by=data_manager)
        Patient.objects.update(planned_course="prolonged")
    factories.settle()
    page = signed_in(monitor).get("/patients/GE-031/history/")
    text = page.content.decode()
    assert "GS-777" not in text
    assert page.context["shown"].rows == 1
    assert "more rows are not of this subject." in text
    assert "Subject: planned course" in text


def test_history_of_another_site_is_not_there(
    patient: Patient, signed_in: SignedIn, coordinator_elsewhere: User
) -> None:
    assert signed_in(coordinator_elsewhere).get("/patients/GE-031/history/").status_code == 404
    assert signed_in(coordinator_elsewhere).get("/patients/GE-999/history/").status_code == 404


def test_revision_that_did_not_touch_the_subject_is_not_there(
    patient: Patient, sites: dict[str, Site], signed_in: SignedIn, hepatologist: User
) -> None:
    factories.a_patient(site=sites["GE"], subject_id="GE-032")
    client = signed_in(hepatologist)
    assert client.get(f"/patients/GE-031/history/?revision={audit.latest_revision()}").status_code == 404


@pytest.mark.parametrize(
    "query",
    ["revision=x", "revision=-1", f"revision={10**30}", "before=0", "who=x", "show[]=labs", "before=x&who="],
)
def test_history_says_what_of_its_address_cannot_be_read(
    patient: Patient, query: str, signed_in: SignedIn, hepatologist: User
) -> None:
    answer = signed_in(hepatologist).get(f"/patients/GE-031/history/?{query}")
    assert answer.status_code == (200 if query.startswith("show[]") else 400)


def test_days_are_those_of_the_site(patient: Patient, signed_in: SignedIn, monitor: User) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(
            "UPDATE trial_revision SET made_at = '2024-05-01 17:30:00+00' WHERE number = %s",
            [_newest(patient)],
        )
        cursor.execute("SET LOCAL session_replication_role = origin")
    page = signed_in(monitor).get("/patients/GE-031/history/")
    assert page.context["days"][0].day == date(2024, 5, 2)
    assert 'title="2024-05-01 17:30:00 UTC">01:30</time>' in page.content.decode()


def test_history_costs_the_same_however_long_it_is(
    patient: Patient, coordinator: User, signed_in: SignedIn, hepatologist: User
) -> None:
    client = signed_in(hepatologist)

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert client.get("/patients/GE-031/history/").status_code == 200
        return len(captured)

    client.get("/patients/GE-031/history/")
    few = queries()
    for n in range(5):
        actions.record_labs(
            patient=patient,
            week=None,
            visited_on=date(2024, 5, 1) + timedelta(days=n),
            entries=[_entry("tbil", str(20 + n), "umol/L"), _entry("alt", str(30 + n), "U/L")],
            by=coordinator,
        )
        factories.settle()
    assert queries() == few
