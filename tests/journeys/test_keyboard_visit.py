"""A coordinator enters a visit of twelve analytes and never touches the mouse; every key is counted."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from playwright.sync_api import Page, expect

from patients.models import DataQuery, LabResult
from tests import factories
from tests.browsers import OpenPage
from trial import clock
from trial.models import User
from trial.protocol import Diagnosis

pytestmark = pytest.mark.committed

SOON = 10_000
VALUES = {
    "tbil": "8.2",
    "alt": "64",
    "ast": "58",
    "pta": "48",
    "inr": "1.68",
    "creatinine": "81",
    "albumin": "33.4",
    "sodium": "138",
    "platelets": "112",
    "wbc": "5.1",
    "hbv_dna": "<20",
}
MISSING = "afp"
MOST_KEYS_A_FIELD = 2


class Keyboard:
    """Presses keys and counts them: those that write a value, and all others."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.written = self.others = 0

    def write(self, text: str) -> None:
        self.page.keyboard.type(text)
        self.written += len(text)

    def press(self, keys: str) -> None:
        self.page.keyboard.press(keys)
        self.others += len(keys.split("+"))


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.name ?? ''"))


def test_a_visit_of_twelve_analytes_by_keyboard_alone(
    open_page: OpenPage, coordinator: User, capsys: pytest.CaptureFixture[str]
) -> None:
    today = clock.today_at(coordinator.site)
    patient = factories.a_patient(
        site=coordinator.site, diagnosis=Diagnosis.LIVER_FAILURE, recruited_on=today - timedelta(days=35)
    )
    factories.an_infusion(patient, 1, today - timedelta(days=28))
    factories.a_visit(patient, 1, today - timedelta(days=20), tbil="152.8", alt="96", inr="1.79")
    waiting = factories.a_patient(site=coordinator.site, recruited_on=today - timedelta(days=14))
    factories.an_infusion(waiting, 1, today - timedelta(days=7))
    page = open_page(f"/patients/{patient.subject_id}/visits/4/", by=coordinator)
    keys = Keyboard(page)

    for code, value in VALUES.items():
        assert focused(page) == code
        keys.write(value)
        keys.press("Enter")
        if code == "tbil":
            # the question about the unit is answered from the next field, while it is empty
            expect(page.locator("#entry").get_by_text("did you mean mg/dL?")).to_be_visible(timeout=SOON)
            heard = page.get_by_role("status").filter(has_text="TBIL 8.2 µmol/L, last 152.8: did you mean")
            expect(heard).to_have_count(1, timeout=SOON)
            keys.press("u")
            expect(page.locator("select[name=unit_tbil]")).to_have_value("mg/dL", timeout=SOON)
            expect(page.get_by_text("did you mean mg/dL?")).to_have_count(0, timeout=SOON)
    assert focused(page) == MISSING
    keys.press("F2")
    keys.press("3")
    expect(page.get_by_text("12 of 13 filled")).to_be_visible(timeout=SOON)
    keys.press("Control+s")
    expect(page.get_by_text("12 of 12 saved")).to_be_visible(timeout=SOON)

    rows = {row.analyte: row for row in LabResult.objects.filter(visit__week=4)}
    assert len(rows) == len(VALUES) + 1
    assert (rows["tbil"].value, rows["tbil"].typed_unit) == (Decimal("140.22"), "mg/dL")
    assert (rows["hbv_dna"].comparator, rows["hbv_dna"].value) == ("<", 20)
    assert rows[MISSING].missing_reason == "haemolysed"
    assert rows["tbil"].visit.visited_on == today
    assert not DataQuery.objects.exists()
    most = MOST_KEYS_A_FIELD * (len(VALUES) + 1)
    with capsys.disabled():
        print(
            f"\n{len(VALUES) + 1} analytes: {keys.written} keys write the values, {keys.others} others"
            f" ({keys.others / (len(VALUES) + 1):.2f} a field, at most {MOST_KEYS_A_FIELD})"
        )
    assert keys.others <= most

    # what did not take place is marked on Today, and taken back, by keyboard too
    page.goto(page.url.split("/patients/")[0] + "/")
    row = page.locator("#today [data-row][data-missed]").first
    name, what = row.get_attribute("id"), row.get_attribute("data-what")
    row.locator("[data-row-open]").focus()
    page.keyboard.press("m")
    expect(page.locator("#missed [data-what]")).to_have_text(what or "?")
    page.keyboard.press("1")
    expect(page.locator(f'[id="{name}"]')).to_have_count(0, timeout=SOON)
    page.get_by_role("button", name="Undo").press("Enter")
    expect(page.locator(f'[id="{name}"]')).to_have_count(1, timeout=SOON)
