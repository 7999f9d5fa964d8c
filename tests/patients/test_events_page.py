"""The page "Events and treatment", its forms, and the marks it leaves on labs, header and Today."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from patients import actions
from patients.models import AdverseEvent, LabResult, Patient, Treatment
from tests import factories
from trial import audit
from trial.models import Site, User

pytestmark = pytest.mark.django_db
DAY = date(2024, 2, 1)
EVENT = {"version": "0", "term": "Fever", "grade": "2", "onset_on": "2024-02-01", "onset_at": "16:30"}
PLASMA = {
    "version": "0",
    "kind": "plasma",
    "dose": "400 mL",
    "started_on": "2024-02-01",
    "started_at": "19:00",
}


@pytest.fixture
def patient(sites: dict[str, Site]) -> Patient:
    found = factories.a_patient(site=sites["GE"], subject_id="GE-001")
    factories.an_infusion(found, 1, date(2024, 1, 15))
    return found


@pytest.fixture
def browser(signed_in: Callable[[User], Client], coordinator: User) -> Client:
    return signed_in(coordinator)


def at(name: str, **options: Any) -> str:
    return reverse(f"patients:{name}", kwargs={"subject_id": "GE-001", **options})


def text(response: Any) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", response.content.decode())))


def test_an_event_is_entered_corrected_and_voided(browser: Client, patient: Patient) -> None:
    assert browser.post(at("new_event"), EVENT).status_code == 302
    event = AdverseEvent.objects.get()
    page = text(browser.get(at("events")))
    assert "Fever" in page
    assert "above 39.0 to 40.0 °C" in page
    assert "17 d after infusion 1" in page
    where = at("edit_event", event_id=event.pk)
    worse = EVENT | {"version": "1", "grade": "3"}
    assert "no reason is given" in text(browser.post(where, worse))
    assert browser.post(where, worse | {"reason": "source_checked"}).status_code == 302
    event.refresh_from_db()
    assert (event.grade, event.version) == (3, 2)
    assert browser.post(at("void_event", event_id=event.pk), {"reason": "source_checked"}).status_code == 302
    assert "No adverse events" in text(browser.get(at("events")))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"term": ""}, "The event has no term"),
        ({"grade": ""}, "The event has no grade"),
        ({"onset_on": "02/03/2024"}, "2024-02-03 or 2024-03-02"),
        ({"onset_at": "26:00"}, "26:00"),
        ({"serious": "important"}, "no hour from which its report is due"),
        ({"serious": "important", "aware_on": "2024-02-01"}, "The hour is empty"),
        ({"aware_on": "2024-02-01", "aware_hour": "10:00"}, "is not serious"),
        ({"ended_on": "2024-01-31"}, "before the beginning"),
    ],
)
def test_an_event_that_cannot_be_keeps_what_was_typed(
    browser: Client, patient: Patient, fields: dict[str, str], words: str
) -> None:
    response = browser.post(at("new_event"), EVENT | {"what": "shivering"} | fields)

    assert response.status_code == 422
    assert words in text(response)
    assert 'value="shivering"' in response.content.decode()
    assert not AdverseEvent.objects.exists()


def test_a_form_sent_twice_is_one_event(browser: Client, patient: Patient) -> None:
    for name, sent in (("new_event", EVENT), ("new_treatment", PLASMA)):
        for _ in range(2):
            assert browser.post(at(name), sent | {"submission_key": "k1"}).status_code == 302
            audit.settle()
    assert (AdverseEvent.objects.count(), Treatment.objects.count()) == (1, 1)
    page = text(browser.get(at("events")))
    said = [page.count(words) for words in ("Adverse event recorded", "Treatment recorded")]
    assert said == [1, 1], "nor are two of them spoken of"

    other = browser.post(at("new_event"), EVENT | {"submission_key": "k1", "what": "shivering"})
    assert other.status_code == 422
    assert "Saved already, revision" in text(other)
    assert 'value="shivering"' in other.content.decode()
    assert AdverseEvent.objects.count() == 1, "typing on after a lost answer is no second event"
    assert browser.post(at("new_event"), EVENT | {"submission_key": "k3"}).status_code == 302
    assert AdverseEvent.objects.count() == 2


def test_a_new_event_comes_filled_from_a_lab_result(browser: Client, patient: Patient) -> None:
    result = factories.a_visit(patient, 1, date(2024, 1, 22), alt="900").lab_results.get()
    asked = {"term": "Alanine aminotransferase increased", "grade": "3", "result": str(result.pk)}

    form = browser.get(at("new_event"), asked).context["form"]
    assert (form.shown("term"), form.shown_grade) == (asked["term"], 3)
    assert (form.shown("onset_on"), form.shown("lab_result")) == ("2024-01-22", str(result.pk))
    for wrong in ("x", "9" * 30, "-1", str(10**9)):
        assert browser.get(at("new_event"), {"grade": wrong, "result": wrong}).status_code == 200
    posted = EVENT | {"lab_result": str(result.pk), "onset_on": "2024-01-22"}
    assert browser.post(at("new_event"), posted).status_code == 302
    assert AdverseEvent.objects.get().lab_result == result


def test_the_clock_of_a_serious_event_shows_on_every_page_until_it_is_reported(
    browser: Client, patient: Patient
) -> None:
    known = timezone.now() - timedelta(hours=25)
    event = factories.an_event(patient, serious="important", aware_at=known)
    for page in (at("events"), at("labs"), reverse("patients:today")):
        assert "report overdue by 1 h" in text(browser.get(page)), page
    assert browser.post(at("report_event", event_id=event.pk)).status_code == 302
    page = text(browser.get(at("events")))
    assert "report overdue" not in page
    assert "1 h 0 min too late" in page
    assert "report overdue" not in text(browser.get(reverse("patients:today")))


def test_two_people_on_one_event_see_the_difference(
    browser: Client, patient: Patient, data_manager: User
) -> None:
    event = factories.an_event(patient, "Fever", 2, DAY, onset_at=time(16, 30))
    theirs = actions.EventEntry(
        term="Fever", grade=3, onset_on=DAY, onset_at=time(16, 30), relation="possible"
    )
    actions.correct_event(event=event, entry=theirs, by=data_manager, version=1, reason="source checked")
    audit.settle()
    mine = EVENT | {"version": "1", "grade": "4", "reason": "source_checked"}

    response = browser.post(at("edit_event", event_id=event.pk), mine)
    assert response.status_code == 409
    assert "Somebody else saved this meanwhile" in text(response)
    form = response.context["form"]
    assert (form.shown("version"), form.shown_grade, form.shown("relation")) == ("2", 4, "possible")
    again = {field.name: form.shown(field.name) for field in form} | {"reason": "source_checked"}
    assert browser.post(at("edit_event", event_id=event.pk), again).status_code == 302
    event.refresh_from_db()
    assert (event.grade, event.relation, event.version) == (4, "possible", 3)


def test_grade_5_and_death_ask_for_each_other(browser: Client, patient: Patient) -> None:
    factories.an_event(patient, "Sepsis", 5)
    assert "no death is recorded" in text(browser.get(at("events")))
    factories.an_outcome(patient, "death", date(2024, 3, 1))
    assert "no death is recorded" not in text(browser.get(at("events")))


# --- treatments -----------------------------------------------------------------------------


def test_a_treatment_is_entered_ended_and_voided(browser: Client, patient: Patient) -> None:
    given = {"version": "0", "kind": "antiviral", "agent": "entecavir", "started_on": "2024-01-02"}
    assert browser.post(at("new_treatment"), given).status_code == 302
    treatment = Treatment.objects.get()
    assert "goes on" in text(browser.get(at("events")))
    ended = given | {"version": "1", "ended_on": "2024-03-01"}
    assert browser.post(at("edit_treatment", treatment_id=treatment.pk), ended).status_code == 302
    treatment.refresh_from_db()
    assert treatment.ended_on == date(2024, 3, 1)
    where = at("void_treatment", treatment_id=treatment.pk)
    assert browser.post(where, {}).status_code == 422
    assert browser.post(where, {"reason": "source_checked"}).status_code == 302
    assert "No treatment recorded" in text(browser.get(at("events")))


def test_the_same_plasma_twice_is_asked_about_once(browser: Client, patient: Patient) -> None:
    assert browser.post(at("new_treatment"), PLASMA).status_code == 302
    asked = browser.post(at("new_treatment"), PLASMA | {"what": "second bag"})
    assert asked.status_code == 422
    assert "The same treatment at the same time" in text(asked)
    assert 'value="second bag"' in asked.content.decode()
    assert browser.post(at("new_treatment"), PLASMA | {"overlap_confirmed": "on"}).status_code == 302
    assert Treatment.objects.count() == 2
    assert "at the same time as that of 2024-02-01" in text(browser.get(at("events")))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"kind": ""}, "No treatment is chosen"),
        ({"started_on": ""}, "the date is empty"),
        ({"ended_on": "2024-01-01"}, "before the beginning"),
        ({"ended_at": "20:00"}, "The end has an hour and no day"),
    ],
)
def test_a_treatment_that_cannot_be(
    browser: Client, patient: Patient, fields: dict[str, str], words: str
) -> None:
    response = browser.post(at("new_treatment"), PLASMA | fields)
    assert response.status_code == 422
    assert words in text(response)
    assert 'value="400 mL"' in response.content.decode()


# --- marks ----------------------------------------------------------------------------------


def test_labs_soon_after_plasma_and_after_a_transplant_are_marked(browser: Client, patient: Patient) -> None:
    visit = factories.a_visit(patient, 1, date(2024, 1, 22), tbil="171")
    factories.a_visit(patient, 4, date(2024, 2, 12), tbil="90")
    factories.a_treatment(patient, "plasma", date(2024, 1, 21), started_at=time(9))
    with audit.revision(by=audit.service_account(), reason="tests"):
        LabResult.objects.filter(visit=visit).update(sampled_at=datetime(2024, 1, 22, 1, 0, tzinfo=UTC))
    audit.settle()
    factories.an_outcome(patient, "transplant", date(2024, 2, 12))
    trend = reverse("analytics:trend", args=["GE-001"])

    for page in (at("labs"), trend):
        shown = browser.get(page)
        assert "24 h after the plasma of 2024-01-21 09:00" in shown.content.decode(), page
        assert "after transplant, not analysed" in text(shown), page
    assert "trend-dot-hollow" in browser.get(trend).content.decode()
    matrix = browser.get(at("labs")).context["matrix"]
    assert [bool(draw.mark.after) for draw in matrix.draws] == [True, False]
    assert [draw.mark.left_out for draw in matrix.draws] == ["", "after transplant, not analysed"]
    entry = text(browser.get(reverse("patients:enter_visit", args=["GE-001", 12])))
    assert "kept and left out of the analysis" in entry


def test_the_history_tells_events_and_treatments(browser: Client, patient: Patient) -> None:
    browser.post(at("new_event"), EVENT)
    browser.post(at("new_treatment"), PLASMA)
    audit.settle()
    page = text(browser.get(at("history")))
    assert "Adverse event: Fever, grade 2, since 2024-02-01" in page
    assert "Plasma 400 mL from 2024-02-01" in page


def test_the_page_asks_the_same_number_of_questions_for_any_history(
    browser: Client, patient: Patient, django_assert_max_num_queries: Any
) -> None:
    def asked() -> int:
        with django_assert_max_num_queries(60) as captured:
            browser.get(at("events"))
        return len(captured)

    factories.an_event(patient)
    factories.a_treatment(patient)
    asked()  # what is read once per process
    few = asked()
    for number in range(4):
        factories.an_event(patient, grade=number + 1)
        factories.a_treatment(patient, "albumin", DAY + timedelta(days=number))
    assert asked() == few
