"""A coordinator pastes a block from a spreadsheet into the sheet of a week, mends one value and saves."""

from __future__ import annotations

from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from patients.models import LabResult
from tests import factories
from tests.browsers import OpenPage
from trial import clock
from trial.models import Revision, User

pytestmark = pytest.mark.committed

SOON = 15_000
BLOCK = """受试者\t谷丙转氨酶(ALT)\tTotal bilirubin (mg/dL)\tINR（比值）\tCortisol
GE-002\t58\t8.2 ↑\t1.68\t12
GE-001\t64\t7.9\t1.72\t13
GE-999\t44\t1.0\t1.00\t14
GE-003\t12O\t8。8\tlost\t15
"""
PASTE = """(text) => {
  const clipboardData = new DataTransfer();
  clipboardData.setData("text/plain", text);
  document.activeElement.dispatchEvent(new ClipboardEvent("paste", {clipboardData, bubbles: true, cancelable: true}));
}"""


def value(page: Page, subject: str, column: str) -> str:
    return str(page.locator(f'[data-subject="{subject}"] [data-cell][data-column="{column}"]').input_value())


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.getAttribute('aria-label') ?? ''"))


def test_a_block_of_a_spreadsheet_becomes_a_week_of_a_site(open_page: OpenPage, coordinator: User) -> None:
    today = clock.today_at(coordinator.site)
    for number in (1, 2, 3):
        patient = factories.a_patient(
            site=coordinator.site, subject_id=f"GE-00{number}", recruited_on=today - timedelta(days=35)
        )
        factories.an_infusion(patient, 1, today - timedelta(days=28))
        factories.a_visit(patient, 1, today - timedelta(days=20), tbil="152.8")
    page = open_page("/patients/grid/", by=coordinator)
    page.wait_for_url("**/patients/grid/")
    assert focused(page) == "GE-001 TBIL"

    # a plain block fills right and down, and one key takes it back
    page.evaluate(PASTE, "1\t2\r\n3\t4")
    expect(page.get_by_text("4 values pasted")).to_be_visible()
    assert [value(page, s, c) for s in ("GE-001", "GE-002") for c in ("tbil", "alt")] == ["1", "2", "3", "4"]
    page.keyboard.press("Control+z")
    expect(page.get_by_text("4 values taken back")).to_be_visible()
    assert [value(page, s, c) for s in ("GE-001", "GE-002") for c in ("tbil", "alt")] == [""] * 4

    # a question about a unit is answered from the next cell, while it is empty
    page.keyboard.type("8.2")
    page.keyboard.press("Enter")
    expect(page.get_by_text("TBIL: 8.2 µmol/L, last 152.8: did you mean mg/dL?")).to_be_visible(timeout=SOON)
    expect(page.get_by_text("did you mean mg/dL?")).to_have_count(1, timeout=SOON)
    page.keyboard.press("u")
    assert value(page, "GE-001", "tbil") == "8.2 mg/dL"
    expect(page.get_by_text("did you mean mg/dL?")).to_have_count(0, timeout=SOON)
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Escape")
    assert (focused(page), value(page, "GE-001", "tbil")) == ("GE-001 TBIL", "")

    # with a head and subjects it finds its cells, and says what does not fit
    page.evaluate(PASTE, BLOCK)
    told = page.locator("#grid-paste")
    expect(told).to_contain_text("9 values pasted")
    expect(told).to_contain_text("row 4: GE-999 is no subject of this sheet")
    expect(told).to_contain_text("“Cortisol” is no analyte of the protocol")
    assert value(page, "GE-002", "alt") == "58"
    assert value(page, "GE-001", "tbil") == "7.9 mg/dL"
    expect(page.get_by_text("the third character is the letter O")).to_be_visible(timeout=SOON)

    # what is fine is saved, what is not stays
    page.keyboard.press("Control+s")
    expect(page.get_by_text("2 of 3 subjects, 6 of 9 values saved")).to_be_visible(timeout=SOON)
    assert focused(page) == "GE-003 ALT"
    assert value(page, "GE-003", "alt") == "12O"
    page.keyboard.type("120")
    page.keyboard.press("ArrowRight")
    assert focused(page) == "GE-003 AST"
    page.keyboard.press("F2")
    page.keyboard.press("2")
    assert value(page, "GE-003", "ast") == "refused"
    expect(page.get_by_text("the third character is the letter O")).to_have_count(0, timeout=SOON)
    page.keyboard.press("Control+s")
    expect(page.get_by_text("1 of 1 subjects, 4 of 4 values saved")).to_be_visible(timeout=SOON)

    rows = LabResult.objects.filter(visit__week=4)
    assert rows.count() == 10
    stored = {row.analyte: row for row in rows.filter(patient__subject_id="GE-003")}
    assert (stored["alt"].value, stored["inr"].missing_reason, stored["ast"].missing_reason) == (
        120,
        "lost",
        "refused",
    )
    assert stored["tbil"].typed_unit == "mg/dL"
    assert Revision.objects.filter(source="grid entry").count() == 2
