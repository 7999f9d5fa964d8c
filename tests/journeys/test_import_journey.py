"""A laboratory's month: goes in, is mended and goes in again, a conflict decided by key, committed, undone."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from openpyxl import Workbook
from playwright.sync_api import Page, expect

from patients.models import ImportMapping, LabResult
from tests import factories
from tests.axe import SHAPES, findings
from tests.browsers import OpenPage
from trial.models import Revision, Site, User

HEADER = (
    "受试者编号",
    "访视周",
    "采样日期",
    "谷丙转氨酶 (U/L)",
    "国际标准化比值",
    "总胆红素 (μmol/L)",
    "报告备注",
)
ROWS = (
    ("GE-001", 4, "2024-02-12", 41, 1.2, 140, "复查"),
    ("GE-002", 4, "2024-02-13", "4l", 1.1, 22, None),  # a letter for a digit
    ("GE-003", 4, "2024-02-30", 52, 1.0, 18, None),  # no such day
    ("GE-040", 4, "2024-02-14", 35, 1.3, 31, None),  # digits turned round
    ("GE-004", 4, "2024-02-15", 60, 1.4, 40, None),
)


def book() -> bytes:
    made = Workbook()
    for row in (HEADER, *ROWS):
        made.active.append(row)
    out = io.BytesIO()
    made.save(out)
    return out.getvalue()


def accessible(page: Page) -> None:
    """Hold the page against WCAG, wide and on a phone, without a word that runs out of it; colours come with every page."""
    for width in (1440, 400):
        page.set_viewport_size({"width": width, "height": 900})
        wrong = findings(page, SHAPES)
        assert not wrong, (page.url, width, wrong)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, (page.url, width)
    page.set_viewport_size({"width": 1440, "height": 900})


@pytest.mark.exhaustive
def test_a_month_of_the_laboratory(
    worker: None, data_manager: User, sites: dict[str, Site], open_page: OpenPage, tmp_path: Path
) -> None:
    laboratory = factories.a_laboratory(name="Central laboratory 2")
    for number in range(1, 5):
        patient = factories.a_patient(site=sites["GE"], subject_id=f"GE-00{number}")
        if number == 1:
            factories.a_visit(patient, 4, alt="38", tbil="150")
    before = set(LabResult.objects.values_list("analyte", "value"))

    # 1 file: the keys of the form alone
    page: Page = open_page("/data/import/", by=data_manager)
    accessible(page)
    page.locator("[name=laboratory]").focus()
    page.keyboard.type("Central")
    page.locator("[name=file]").set_input_files(
        {"name": "LIS 2024-02.xlsx", "mimeType": "application/octet-stream", "buffer": book()}
    )
    page.keyboard.press("Control+Enter")

    # 2 columns: all but one are known; it is left out, and remembered
    page.wait_for_url("**/columns/")
    expect(page.locator("body")).to_contain_text("1 column to decide on")
    accessible(page)
    page.locator("[name='means:G']").focus()
    page.keyboard.type("leave")
    page.locator("[name=remember]").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Control+Enter")

    # 3 preview: one conflict by key with its reason, three rows to mend
    expect(page.locator("#needs-head")).to_be_visible()
    assert ImportMapping.objects.get().laboratory == laboratory
    expect(page.get_by_role("link", name="Download the 3 rows to mend")).to_be_visible()
    accessible(page)
    alt, tbil = page.locator("[data-row]").all()
    for key in "f3jh":
        page.keyboard.press(key)
    expect(alt.locator("[data-choice=f]")).to_be_checked()
    expect(alt.locator("[data-why]")).to_have_value("report_amended")
    expect(tbil.locator("[data-choice=h]")).to_be_checked()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the 3 rows to mend").press("Enter")
    refused = tmp_path / "refused.csv"
    download.value.save_as(refused)
    address = page.url
    page.keyboard.press("Control+Enter")

    # 4 commit: counted in the database
    expect(page.locator("body")).to_contain_text("Imported as revision")
    expect(page.locator("body")).to_contain_text("counted in the database")
    accessible(page)
    first = page.url
    assert LabResult.objects.get(patient__subject_id="GE-001", analyte="alt").value == 41
    assert LabResult.objects.get(patient__subject_id="GE-001", analyte="tbil").value == 150
    reason = Revision.objects.order_by("-number")[0].reason
    assert "laboratory amended its report: GE-001 W4 alt" in reason

    # mended, from the preview it came from: exactly those rows are new, and no column is asked about
    text = refused.read_text(encoding="utf-8-sig")
    for wrong, right in (("4l", "41"), ("2024-02-30", "2024-02-29"), ("GE-040", "GE-004")):
        assert wrong in text
        text = text.replace(f"{wrong},", f"{right},")
    text = text.replace("GE-004,4,", "GE-004,12,").replace("2024-02-14", "2024-04-09")
    refused.write_text(text, encoding="utf-8-sig")
    page.goto(address)
    page.locator("#mended-file").set_input_files(refused)
    page.locator("#mended-file").press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".stat").first).to_contain_text("3")
    expect(page.locator("body")).to_contain_text("nothing: every row can be stored")
    page.keyboard.press("Control+Enter")
    expect(page.locator("body")).to_contain_text("Imported as revision")
    second = page.url
    assert LabResult.objects.filter(patient__subject_id__in=["GE-002", "GE-003", "GE-004"]).count() == 12

    # undone, the later one first; what was there is there again
    for done in (second, first):
        page.goto(done)
        page.keyboard.press("u")
        page.wait_for_url("**/undo/")
        accessible(page)
        page.locator("[name=reason]").focus()
        page.keyboard.type("the month of another study")
        page.keyboard.press("Control+Enter")
        expect(page.locator("body")).to_contain_text("was undone in revision")
    left = LabResult.objects.filter(visit__voided_at__isnull=True)
    assert set(left.values_list("analyte", "value")) == before
