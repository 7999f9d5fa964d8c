"""A form that was refused: the focus stands where the hand is needed, and the key that answers works there."""

from __future__ import annotations

from datetime import timedelta

import pytest
from playwright.sync_api import expect

from patients.models import Visit
from tests import factories
from tests.browsers import OpenPage
from trial import clock
from trial.models import User

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.exhaustive]


def test_a_day_in_doubt_is_kept_by_key(open_page: OpenPage, coordinator: User) -> None:
    today = clock.today_at(coordinator.site)
    patient = factories.a_patient(site=coordinator.site, recruited_on=today - timedelta(days=60))
    factories.an_infusion(patient, 1, today - timedelta(days=50))
    page = open_page(f"/patients/{patient.subject_id}/visits/4/", by=coordinator)
    day = page.locator("#id_visited_on")
    page.keyboard.type("44")
    for _step in range(20):
        if day.evaluate("field => field === document.activeElement"):
            break
        page.keyboard.press("Enter")
    page.keyboard.type(str(today))
    page.keyboard.press("Control+s")
    expect(page.locator("[data-part=day]")).to_contain_text("outside the window of week 4")
    expect(day).to_be_focused()
    page.keyboard.press("y")
    expect(page.locator("#confirm_visited_on")).to_be_checked()
    page.keyboard.press("Control+s")
    page.wait_for_url("**saved=1")
    assert Visit.objects.get(week=4).visited_on == today


def test_a_wrong_day_of_a_release_test_has_the_focus(open_page: OpenPage, data_manager: User) -> None:
    factories.a_lot("UC-2607-A", release="quarantine")
    page = open_page("/infusions/lots/UC-2607-A/tests/", by=data_manager)
    expect(page.locator("#id_bacteria_result")).to_be_focused()
    page.keyboard.type("pas")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.type("2026-13-01")
    page.keyboard.press("Control+s")
    wrong = page.locator("#id_bacteria_on")
    expect(wrong).to_be_focused()
    expect(wrong).to_have_attribute("aria-describedby", "why-id_bacteria_result")


def test_a_form_refused_as_a_whole_says_why(open_page: OpenPage, data_manager: User) -> None:
    page = open_page("/data/export/", by=data_manager)
    page.get_by_role("button", name="None").press("Enter")
    page.keyboard.press("Control+Enter")
    expect(page.locator("main .banner-danger")).to_be_focused()
