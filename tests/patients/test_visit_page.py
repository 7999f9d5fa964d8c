"""The visit entry page: reading, warning, refusing, merging, saving once."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
import time_machine
from django.test import Client
from django.urls import reverse

from patients import actions
from patients.entries import LabEntry
from patients.models import LabResult, Patient, Visit
from tests import factories
from trial import audit, clock, protocol
from trial.models import Revision, User

pytestmark = pytest.mark.django_db

SignIn = Callable[[User], Client]
DAY = date(2024, 2, 12)


@pytest.fixture
def patient(sites: dict[str, object]) -> Patient:
    patient = factories.a_patient(site=sites["GE"], subject_id="GE-001")
    factories.an_infusion(patient, 1)
    return patient


@pytest.fixture
def browser(signed_in: SignIn, coordinator: User) -> Client:
    return signed_in(coordinator)


def url(patient: Patient, week: int = 4) -> str:
    return reverse("patients:enter_visit", args=[patient.subject_id, week])


def key(browser: Client, address: str) -> str:
    page = browser.get(address).content.decode()
    found = re.search(r'name="submission_key" value="([^"]+)"', page)
    assert found
    return found[1]


def post(browser: Client, patient: Patient, week: int = 4, **fields: str):
    form = {"visited_on": DAY.isoformat(), "version": "0"} | fields
    return browser.post(url(patient, week), form)


def stored(patient: Patient) -> dict[str, LabResult]:
    return {r.analyte: r for r in LabResult.objects.filter(patient=patient, visit__voided_at=None)}


def text(response) -> str:
    return response.content.decode()


def test_the_page_asks_for_the_whole_panel(browser: Client, patient: Patient) -> None:
    page = text(browser.get(url(patient)))
    for analyte in protocol.PANEL:
        assert f'name="{analyte.code}"' in page
        assert f'name="unit_{analyte.code}"' in page
    assert 'inputmode="decimal"' in page
    assert "due 2024-02-12, window to 2024-02-16" in page


def test_what_is_typed_is_saved_and_read_back(browser: Client, patient: Patient) -> None:
    response = post(
        browser,
        patient,
        tbil="140.2",
        alt="６４",
        hbv_dna="<20",
        albumin="3.34 g/dL",
        missing_afp="haemolysed",
        missing_pt="",
        why_pt="lost",
    )

    assert response.status_code == 302
    audit.settle()
    page = text(browser.get(response.url))
    assert "6 of 6 saved" in page
    assert f"revision {audit.latest_revision():,}" in page
    rows = stored(patient)
    assert (rows["alt"].value, rows["alt"].typed_text) == (64, "６４")
    assert (rows["hbv_dna"].value, rows["hbv_dna"].comparator) == (20, "<")
    assert (rows["albumin"].value, rows["albumin"].typed_unit) == (Decimal("33.4"), "g/dL")
    assert (rows["afp"].missing_reason, rows["pt"].missing_reason) == ("haemolysed", "lost")
    assert 'value="140.2"' in page


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        pytest.param("12O", "the third character is the letter O", id="letter"),
        pytest.param("1,5", "has a comma", id="comma"),
        pytest.param("1e3", "power of ten", id="exponent"),
        pytest.param("1_0", "an underscore", id="underscore"),
        pytest.param("NaN", "is not a number", id="nan"),
        pytest.param("١٢", "a digit other than 0 to 9", id="arabic_indic"),
        pytest.param("9" * 5000, "too long", id="five_thousand_digits"),
        pytest.param("-0", "has a sign", id="minus"),
        pytest.param("99999", "is not possible", id="hard_limit"),
        pytest.param("<script>alert(1)</script>", "not a number", id="markup"),
        pytest.param("7 mg/L", "is not a unit the study knows", id="unit"),
    ],
)
def test_what_cannot_be_read_stays_and_stores_nothing(
    browser: Client, patient: Patient, typed: str, sentence: str
) -> None:
    before = audit.latest_revision()
    response = post(browser, patient, sodium=typed, alt="64")

    assert response.status_code == 422
    page = text(response)
    assert sentence in page
    shown = typed.replace("<", "&lt;").replace(">", "&gt;")
    assert f'value="{shown}"' in page
    assert 'value="64"' in page
    assert "<script>alert" not in page
    assert stored(patient) == {}
    assert audit.latest_revision() == before


@pytest.mark.exhaustive
def test_hostile_values_in_every_field_never_break_the_page(browser: Client, patient: Patient) -> None:
    names = ["visited_on", "drawn_at", "reason", "note", "version", "seen_version", "submission_key", "then"]
    for analyte in ("tbil", "inr"):
        names += [
            analyte,
            f"unit_{analyte}",
            f"missing_{analyte}",
            f"confirm_{analyte}",
            f"keep_{analyte}",
            f"use_{analyte}",
        ]
    for name in names:
        for hostile in ("'\"><", "１" * 300, "9" * 30, "\u202e\u200b😀{{ 7 }}" + "x" * 5000):
            response = post(browser, patient, **{"sodium": "x"} | {name: hostile})
            assert response.status_code == 422, (name, hostile)
    assert stored(patient) == {}


def test_a_unit_slip_is_asked_about_then_kept_or_converted(
    browser: Client, patient: Patient, coordinator: User
) -> None:
    factories.a_visit(patient, 1, DAY - timedelta(days=20), tbil="152.8")

    asked = post(browser, patient, tbil="8.2", unit_tbil="umol/L")
    assert asked.status_code == 422
    page = text(asked)
    assert "8.2 µmol/L, last 152.8: did you mean mg/dL?" in page
    assert "8.2 mg/dL is 140.2 µmol/L." in page
    assert not Visit.objects.filter(patient=patient, week=4).exists()

    converted = post(browser, patient, tbil="8.2", unit_tbil="umol/L", use_tbil="mg/dL")
    assert converted.status_code == 422  # nothing saved by choosing a unit
    assert "did you mean" not in text(converted)
    assert re.search(r'<option value="mg/dL" selected', text(converted))

    stale = post(browser, patient, tbil="8.3", unit_tbil="umol/L", confirm_tbil="8.2|umol/L")
    assert stale.status_code == 422  # a confirmation of another value is none
    kept = post(browser, patient, tbil="8.2", unit_tbil="umol/L", confirm_tbil="8.2|umol/L")
    assert kept.status_code == 302
    assert LabResult.objects.get(patient=patient, analyte="tbil", visit__week=4).value == Decimal("8.2")


def test_the_check_endpoint_answers_and_stores_nothing(browser: Client, patient: Patient) -> None:
    response = post(browser, patient, tbil="12O", alt="64", check="1")
    assert response.status_code == 200
    page = text(response)
    assert "the third character is the letter O" in page
    assert "<html" not in page
    assert not Visit.objects.exists()


def test_a_correction_needs_a_reason_and_keeps_it(browser: Client, patient: Patient) -> None:
    post(browser, patient, tbil="140")
    refused = post(browser, patient, tbil="141", version="1")
    assert refused.status_code == 422
    assert "no reason is given" in text(refused)
    assert 'value="141"' in text(refused)

    other = post(browser, patient, tbil="141", version="1", reason="other")
    assert other.status_code == 422
    assert "needs a note" in text(other)

    done = post(
        browser, patient, tbil="141", version="1", reason="report_amended", note="phoned by the laboratory"
    )
    assert done.status_code == 302
    audit.settle()
    assert stored(patient)["tbil"].value == 141
    assert Revision.objects.get(number=audit.latest_revision()).reason == (
        "laboratory amended its report: phoned by the laboratory"
    )


def test_an_emptied_value_is_refused(browser: Client, patient: Patient) -> None:
    post(browser, patient, tbil="140")
    response = post(browser, patient, tbil="", version="1")
    assert response.status_code == 422
    assert "does not go away" in text(response)


def test_a_stored_text_that_no_reader_knows_does_not_stop_a_correction(
    browser: Client, patient: Patient, coordinator: User
) -> None:
    odd = LabEntry(analyte="tbil", value=Decimal("140.12"), typed_text="140.1200000001")
    actions.record_labs(patient=patient, week=4, visited_on=DAY, entries=[odd], by=coordinator)
    response = post(browser, patient, tbil="140.1200000001", alt="64", version="1")
    assert response.status_code == 302
    assert stored(patient)["tbil"].value == Decimal("140.12")
    assert stored(patient)["alt"].value == 64


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("", "the date is empty"),
        ("02/03/2024", "Type 2024-02-03 or 2024-03-02"),
        ("2024-02-31", "does not exist"),
        ("2999-01-01", "outside the dates"),
        ("tomorrow", "is not a date"),
        ("1975-05-04", "date of birth"),
    ],
)
def test_a_date_that_cannot_be_is_refused_with_a_remedy(
    browser: Client, patient: Patient, typed: str, sentence: str
) -> None:
    response = post(browser, patient, visited_on=typed, tbil="140")
    assert response.status_code == 422
    assert sentence in text(response)
    assert f'value="{typed}"' in text(response)
    assert not Visit.objects.exists()


def test_the_time_of_the_draw_is_the_sites_time(browser: Client, patient: Patient) -> None:
    assert post(browser, patient, tbil="140", drawn_at="7:40").status_code == 302
    moment = stored(patient)["tbil"].sampled_at
    assert moment is not None
    assert moment.isoformat() == "2024-02-11T23:40:00+00:00"
    assert 'value="07:40"' in text(browser.get(url(patient)))
    assert post(browser, patient, tbil="140", drawn_at="25:00", version="1").status_code == 422


def test_the_same_submission_twice_is_one_change(browser: Client, patient: Patient) -> None:
    once = key(browser, url(patient))
    first = post(browser, patient, tbil="140", submission_key=once)
    audit.settle()
    number = audit.latest_revision()
    again = post(browser, patient, tbil="140", submission_key=once)
    audit.settle()

    assert first.status_code == again.status_code == 302
    assert first.url == again.url
    assert audit.latest_revision() == number
    assert Revision.objects.get(number=number).request_id.startswith(once)


def test_the_same_key_with_other_values_is_another_intention(browser: Client, patient: Patient) -> None:
    once = key(browser, url(patient))
    post(browser, patient, tbil="140", submission_key=once)
    audit.settle()
    back = post(browser, patient, tbil="141", submission_key=once)
    assert back.status_code == 409  # the page that came back by Back had not seen the 140
    assert "Somebody else saved this visit" in text(back)
    assert stored(patient)["tbil"].value == 140


def test_nobody_is_asked_about_a_value_that_only_the_other_changed(
    browser: Client, patient: Patient, signed_in: SignIn, data_manager: User
) -> None:
    factories.a_visit(patient, 1, DAY - timedelta(days=20), alt="20")
    confirmed = {"unit_alt": "U/L", "confirm_alt": "64|U/L"}
    assert post(browser, patient, tbil="140", alt="64", **confirmed).status_code == 302
    audit.settle()
    theirs = {
        "alt": "62",
        "unit_alt": "U/L",
        "confirm_alt": "62|U/L",
        "version": "1",
        "reason": "typing_slip",
    }
    assert post(signed_in(data_manager), patient, tbil="140", **theirs).status_code == 302
    audit.settle()
    mine = {"alt": "64", "unit_alt": "U/L", "version": "1", "reason": "typing_slip"}
    assert post(browser, patient, tbil="141", **mine).status_code == 302
    audit.settle()
    assert {code: int(row.value) for code, row in stored(patient).items()} == {"tbil": 141, "alt": 62}


def test_two_coordinators_merge_and_collide(
    browser: Client, patient: Patient, signed_in: SignIn, data_manager: User
) -> None:
    other = signed_in(data_manager)
    post(browser, patient, tbil="140", alt="64")
    audit.settle()
    post(other, patient, tbil="150", alt="64", ast="70", version="1", reason="typing_slip")
    audit.settle()

    merged = post(browser, patient, tbil="140", alt="65", version="1", reason="typing_slip")
    audit.settle()
    assert merged.status_code == 302
    assert {code: int(row.value) for code, row in stored(patient).items()} == {
        "tbil": 150,
        "alt": 65,
        "ast": 70,
    }

    clash = post(browser, patient, tbil="160", alt="66", version="1", reason="typing_slip")
    assert clash.status_code == 409
    page = text(clash)
    assert "150 µmol/L" in page and "160 µmol/L" in page and "140 µmol/L" in page
    assert data_manager.shown_name in page
    assert stored(patient)["alt"].value == 65
    seen = re.search(r'name="seen_version" value="(\d+)"', page)
    assert seen
    # no choice is no consent
    undecided = post(
        browser, patient, tbil="160", alt="66", version="1", seen_version=seen[1], reason="typing_slip"
    )
    assert undecided.status_code == 409
    choice = {"keep_tbil": "theirs", "keep_alt": "mine"}
    settled = post(
        browser,
        patient,
        tbil="160",
        alt="66",
        version="1",
        seen_version=seen[1],
        reason="typing_slip",
        **choice,
    )
    assert settled.status_code == 302
    assert {code: int(row.value) for code, row in stored(patient).items()} == {
        "tbil": 150,
        "alt": 66,
        "ast": 70,
    }

    # a collision that comes while another is decided does not bring the decided one back
    audit.settle()
    late = {
        "tbil": "160",
        "ast": "99",
        "version": "1",
        "seen_version": seen[1],
        "keep_tbil": "theirs",
        "reason": "typing_slip",
    }
    second = post(browser, patient, **late)
    assert second.status_code == 409
    carried = dict(re.findall(r'type="hidden" name="(keep_\w+)" value="(\w+)"', text(second)))
    assert carried == {"keep_tbil": "theirs"}
    again = re.search(r'name="seen_version" value="(\d+)"', text(second))
    assert again
    done = post(browser, patient, **(late | carried | {"seen_version": again[1], "keep_ast": "mine"}))
    assert done.status_code == 302
    assert {code: int(row.value) for code, row in stored(patient).items()} == {
        "tbil": 150,
        "alt": 66,
        "ast": 99,
    }


def test_saving_can_lead_to_the_next_subject_whose_visit_waits(browser: Client, patient: Patient) -> None:
    assert post(browser, patient, tbil="140", then="next").url == reverse("patients:today")
    today = clock.today_at(patient.site)
    other = factories.a_patient(
        site=patient.site, subject_id="GE-002", recruited_on=today - timedelta(days=14)
    )
    factories.an_infusion(other, 1, today - timedelta(days=7))
    due = (DAY + timedelta(days=56)).isoformat()
    assert post(browser, patient, 12, tbil="140", visited_on=due, then="next").url == reverse(
        "patients:enter_visit", args=["GE-002", 0]
    )


def test_an_unscheduled_draw_gets_a_page_of_its_own(browser: Client, patient: Patient) -> None:
    response = browser.post(
        reverse("patients:enter_unscheduled", args=[patient.subject_id]),
        {"visited_on": "2024-02-02", "version": "0", "tbil": "140"},
    )
    assert response.status_code == 302
    visit = Visit.objects.get(patient=patient)
    assert visit.week is None
    assert response.url.startswith(reverse("patients:edit_unscheduled", args=[patient.subject_id, visit.pk]))
    page = text(browser.get(response.url))
    assert "1 of 1 saved" in page and "Unscheduled labs" in page


def test_a_future_visit_is_refused_by_the_sites_day(browser: Client, patient: Patient) -> None:
    tomorrow = clock.today_at(patient.site) + timedelta(days=1)
    response = post(browser, patient, visited_on=tomorrow.isoformat(), tbil="140")
    assert response.status_code == 422
    assert "is after today" in text(response)


def test_other_sites_and_missing_ones_are_the_same_404(
    patient: Patient, signed_in: SignIn, coordinator_elsewhere: User, browser: Client
) -> None:
    elsewhere = signed_in(coordinator_elsewhere)
    for method in (elsewhere.get, elsewhere.post):
        assert method(url(patient)).status_code == 404
    assert elsewhere.get(reverse("patients:enter_unscheduled", args=["GE-001"])).status_code == 404
    draw = factories.a_visit(patient, 1, DAY, tbil="140")
    for address in (
        reverse("patients:enter_visit", args=["GE-999", 4]),
        reverse("patients:enter_visit", args=["GE-001", 7]),
        reverse("patients:enter_visit", args=["GE-001", 10**30]),
        reverse("patients:edit_unscheduled", args=["GE-001", 10**30]),
        reverse("patients:edit_unscheduled", args=["GE-001", draw.pk]),
    ):
        assert browser.get(address).status_code == 404, address


@pytest.mark.parametrize("who", ["hepatologist", "statistician", "monitor", "account_admin"])
def test_only_who_enters_data_may_open_it(
    who: str, patient: Patient, signed_in: SignIn, request: pytest.FixtureRequest
) -> None:
    client = signed_in(request.getfixturevalue(who))
    assert client.get(url(patient)).status_code == 403
    assert client.post(url(patient), {"tbil": "140"}).status_code == 403


def test_an_anonymous_visitor_is_sent_to_the_login(patient: Patient, client: Client) -> None:
    response = client.get(url(patient))
    assert response.status_code == 302
    assert "login" in response.url


def test_the_number_of_queries_does_not_grow_with_the_history(
    browser: Client, patient: Patient, django_assert_max_num_queries
) -> None:
    for week in (0, 1):
        factories.a_visit(patient, week, DAY - timedelta(days=30 - week), tbil="140", alt="60")
    with django_assert_max_num_queries(24):
        browser.get(url(patient))


def test_an_empty_draw_says_that_nothing_was_saved(browser: Client, patient: Patient) -> None:
    page = f"/patients/{patient.subject_id}/visits/new/"
    response = browser.post(page, {"visited_on": "2024-03-01"})
    assert response.status_code == 422 and "Nothing was saved: no value is typed." in response.text
    assert "2024-03-01" in response.text and not Visit.objects.filter(patient=patient, week=None).exists()


def test_a_draw_sent_again_leads_to_what_is_stored(browser: Client, patient: Patient) -> None:
    page = f"/patients/{patient.subject_id}/visits/new/"
    for key in ("one", "one", "another"):
        response = browser.post(page, {"visited_on": "2024-03-01", "alt": "44", "submission_key": key})
        draw = Visit.objects.get(patient=patient, week=None)
        assert response["Location"] == f"/patients/{patient.subject_id}/draws/{draw.pk}/?saved=1"
    assert browser.post(page, {"visited_on": "2024-03-01"}).status_code == 422, "nothing typed beside it"


def test_a_form_goes_over_midnight_at_the_site(browser: Client, patient: Patient) -> None:
    page = f"/patients/{patient.subject_id}/visits/new/"
    sent = {"visited_on": "2026-11-24", "alt": "44", "submission_key": "one"}
    with time_machine.travel(datetime(2026, 11, 23, 15, 59, 30, tzinfo=UTC), tick=False):
        shown = browser.get(page).text
        assert 'value="2026-11-23"' in shown, "a minute before midnight in Guangzhou"
        early = browser.post(page, sent)
        assert early.status_code == 422 and "2026-11-24 is after today, 2026-11-23 at the site" in early.text
        assert 'value="44"' in early.text
    with time_machine.travel(datetime(2026, 11, 23, 16, 0, 30, tzinfo=UTC), tick=False):
        assert browser.post(page, sent).status_code == 302, "the same form, a minute later"
        yesterday = browser.post(page, {"visited_on": "2026-11-23", "alt": "45", "submission_key": "two"})
        assert yesterday.status_code == 302, "the day that the page suggested"
    draws = Visit.objects.filter(patient=patient, week=None).order_by("visited_on")
    assert [f"{draw.visited_on}" for draw in draws] == ["2026-11-23", "2026-11-24"]
