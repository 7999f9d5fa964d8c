"""An event and a treatment go in by the keyboard alone."""

from __future__ import annotations

from datetime import date

import pytest
from playwright.sync_api import expect

from patients.models import AdverseEvent, Treatment
from tests import factories
from tests.browsers import OpenPage
from trial.models import Site, User

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.exhaustive
def test_an_event_and_a_treatment_by_keyboard(
    open_page: OpenPage, sites: dict[str, Site], coordinator: User
) -> None:
    patient = factories.a_patient(site=sites["GE"], subject_id="GE-001")
    factories.an_infusion(patient, 1, date(2024, 1, 15))
    page = open_page("/patients/GE-001/events/", by=coordinator)
    keys = page.keyboard

    keys.press("n")
    page.wait_for_url("**/events/new/")
    expect(page.locator("#id_term")).to_be_focused()
    keys.type("Fever")
    keys.press("Tab")
    expect(page.locator("#grades")).to_contain_text("38.0 to 39.0")
    expect(page.locator("#grade_1")).to_be_focused()
    keys.press("Space")
    keys.press("ArrowDown")
    keys.press("Tab")
    expect(page.locator("#id_onset_on")).to_be_focused()
    keys.type("2024-01-15")
    keys.press("Tab")
    keys.type("1630")
    keys.press("Control+s")
    page.wait_for_url("**/events/#events")
    event = AdverseEvent.objects.get()
    assert (event.term, event.grade, event.onset_on, f"{event.onset_at:%H:%M}") == (
        "Fever",
        2,
        date(2024, 1, 15),
        "16:30",
    )

    keys.press("t")
    expect(page.locator("#id_kind")).to_be_focused()
    keys.type("plasma")
    keys.press("Tab")
    keys.press("Tab")
    keys.type("400 mL")
    keys.press("Tab")
    keys.type("2024-01-16")
    keys.press("Tab")
    keys.type("19:00")
    keys.press("Control+s")
    page.wait_for_url("**/events/#treatments")
    expect(page.locator("#treatments table")).to_contain_text("400 mL")
    given = Treatment.objects.get()
    assert (given.kind, given.started_on, f"{given.started_at:%H:%M}") == (
        "plasma",
        date(2024, 1, 16),
        "19:00",
    )


def test_a_row_is_voided_by_keyboard(open_page: OpenPage, sites: dict[str, Site], coordinator: User) -> None:
    event = factories.an_event(factories.a_patient(site=sites["GE"], subject_id="GE-001"))
    page = open_page(f"/patients/GE-001/events/{event.pk}/void/", by=coordinator)
    keys = page.keyboard
    expect(page.locator("#reason_1")).to_be_focused()
    keys.press("6")
    expect(page.locator("#reason_6")).to_be_checked()
    keys.press("Control+s")
    expect(page.locator("#id_note")).to_have_attribute("aria-describedby", "reason-errors")
    expect(page.locator("#reason-errors")).not_to_be_empty()
    keys.press("Tab")
    # in the note a digit is a digit
    keys.type("page 3 of the other file")
    keys.press("Control+s")
    page.wait_for_url("**/events/#events")
    expect(page.get_by_text("Voided; it stays in the history")).to_be_visible()
    event.refresh_from_db()
    assert event.voided_at is not None
