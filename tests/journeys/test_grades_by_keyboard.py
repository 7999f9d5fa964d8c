"""A hepatologist confirms grades without a mouse: Enter for the proposed one, a digit for another."""

from __future__ import annotations

from datetime import date

import pytest
from playwright.sync_api import Page, expect

from patients.models import ConfirmedGrade
from tests import factories
from tests.browsers import OpenPage
from trial.models import User


@pytest.mark.exhaustive
def test_enter_confirms_and_a_digit_gives_another_grade_with_a_reason(
    hepatologist: User, open_page: OpenPage
) -> None:
    patient = factories.a_patient(site=hepatologist.site, subject_id="GE-001")
    factories.a_visit(patient, 0, date(2024, 1, 15), alt="40", tbil="15")
    factories.an_infusion(patient, 1, date(2024, 1, 15))
    factories.a_visit(patient, 1, date(2024, 1, 22), alt="260", tbil="50")

    page: Page = open_page("/patients/GE-001/labs/", by=hepatologist)
    page.keyboard.press("c")
    page.wait_for_url("**/grades/")
    expect(page.locator("[data-grade-row]").first).to_contain_text("Alanine aminotransferase increased")
    page.keyboard.press("Enter")
    expect(page.locator("#confirmed-head")).to_be_visible()
    assert ConfirmedGrade.objects.get().grade == 3

    # what is left: bilirubin, grade 2 proposed by its range; 1 with a reason
    page.keyboard.press("1")
    page.wait_for_url("**/grades/*/?grade=1")
    expect(page.locator("#grade_1")).to_be_checked()
    expect(page.locator("#id_reason")).to_be_focused()
    page.keyboard.press("Control+s")
    expect(page.locator("#reason-errors")).to_contain_text("no reason is given")
    page.keyboard.type("drawn through a line with lipids")
    page.keyboard.press("Control+s")
    expect(page.locator(".empty-title")).to_contain_text("Every grade is confirmed")
    assert sorted(ConfirmedGrade.objects.values_list("grade", flat=True)) == [1, 3]
