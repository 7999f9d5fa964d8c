"""The main job end to end: a visit goes in, MELD and the groups move, a correction leaves its trace.

Three people sit at three browsers. Nobody reloads: a mark left in each window
proves that the page which shows the new results is the page that was opened.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.journeys.conftest import House

SOON = 10_000
"""Milliseconds a page is waited for; what it really took is printed."""

FIND = """
from django.db.models import Q
from patients.models import Patient
from patients.selectors import with_course
from trial.clock import today_at
from datetime import timedelta
found = with_course(Patient.objects.filter(site__code="GE")).filter(
    infusions_given__gte=1, visits__week=0, visits__lab_results__analyte="tbil",
    visits__lab_results__value__isnull=False,
).exclude(Q(visits__week=4) | Q(outcomes__isnull=False)).order_by("first_infusion_on").distinct()
for patient in found:
    due = patient.first_infusion_on + timedelta(days=28)
    today = today_at(patient.site)
    if due - timedelta(days=4) <= today:
        print("FOUND", patient.subject_id, min(due, today), patient.diagnosis, patient.infusions_given)
        break
"""
VALUES = {"tbil": "151.3", "alt": "88", "ast": "79", "pta": "52", "inr": "1.61", "creatinine": "79"}


def a_subject_due_at_week_4(house: House) -> tuple[str, str, str]:
    """Return a subject of Guangzhou East without week 4, its day, and its group."""
    from trial import protocol

    output = house.manage("shell", "-c", FIND).stdout
    match = re.search(r"FOUND (\S+) (\S+) (\S+) (\d+)", output)
    assert match, f"no subject is due at week 4: {output}"
    subject, day, diagnosis, given = match.groups()
    return subject, day, protocol.group_of(diagnosis, int(given))


def mark(page: Page) -> None:
    page.evaluate("window.notReloaded = true")


def is_still_the_same_page(page: Page) -> bool:
    return bool(page.evaluate("window.notReloaded === true"))


def revision_shown(page: Page) -> int:
    words = page.locator("#trend, #contrast").first.inner_text()
    match = re.search(r"as of revision ([\d,]+)", words)
    assert match, words
    return int(match.group(1).replace(",", ""))


def wait_for_revision(page: Page, number: int) -> float:
    """Wait until the page says results of this revision or a later one; return the seconds."""
    begun = time.monotonic()
    page.wait_for_function(
        """number => {
            const words = document.querySelector("#trend, #contrast").innerText;
            const match = words.match(/as of revision ([\\d,]+)/);
            return match && Number(match[1].replaceAll(",", "")) >= number;
        }""",
        arg=number,
        timeout=SOON,
    )
    return time.monotonic() - begun


def fill_panel(page: Page, subject: str, week: int, values: dict[str, str], day: str | None = None) -> None:
    page.goto(f"/patients/{subject}/visits/{week}/")
    if day:
        page.fill("input[name=visited_on]", day)
    for analyte, value in values.items():
        page.fill(f"input[name={analyte}]", value)
        page.press(f"input[name={analyte}]", "Tab")


def save(page: Page) -> int:
    """Save the panel, confirm what the checks doubt, and return the revision."""
    for _attempt in range(4):
        page.keyboard.press("Control+s")
        page.wait_for_load_state("networkidle")
        found = re.search(r"revision\s+([\d,]+)", page.locator(".save-state").inner_text())
        if found and "saved" in page.locator(".save-state").inner_text():
            return int(found.group(1).replace(",", ""))
        for box in page.locator("input[data-confirm]:not(:checked)").all():
            page.locator(f"label[for={box.get_attribute('id')}]").click()
    raise AssertionError(page.locator("#panel").inner_text())


def test_a_visit_goes_in_and_everybody_sees_it(house: House, visitor: Callable[..., Page]) -> None:
    subject, day, group = a_subject_due_at_week_4(house)
    contrast = {"A": "A-B", "B": "A-B", "C": "C-D", "D": "C-D"}[group]

    at_the_bedside = visitor("zhou.hui")
    at_the_bedside.goto(f"/patients/{subject}/")
    mark(at_the_bedside)
    statistics = visitor("wu.qing")
    statistics.goto(f"/analysis/{contrast}/tbil/cumulative/")
    mark(statistics)
    week4 = statistics.locator("table.contrast tr", has_text="W0–4")
    count = statistics.locator("table.contrast tr").filter(
        has=statistics.get_by_role("img", name=f"group {group}", exact=True)
    )
    before = int(count.nth(1).locator("a.rows-link").first.inner_text())
    expect(week4.first).to_be_visible()

    ward = visitor("li.min")
    fill_panel(ward, subject, 4, VALUES, day)
    number = save(ward)

    took = wait_for_revision(at_the_bedside, number)
    expect(at_the_bedside.locator("#trend table").first).to_contain_text("151.3")
    took_statistics = wait_for_revision(statistics, number)
    after = int(count.nth(1).locator("a.rows-link").first.inner_text())
    assert after == before + 1, "one more subject has weeks 0 and 4"
    assert revision_shown(at_the_bedside) >= number
    assert revision_shown(statistics) >= number
    assert is_still_the_same_page(at_the_bedside)
    assert is_still_the_same_page(statistics)
    print(f"\nseen {took:.1f} s after the save on the trend, {took_statistics:.1f} s later on the contrast")

    # a correction, with its reason
    feed = visitor("wu.qing")
    feed.goto(f"/analysis/moves/?contrast={contrast}&analyte=tbil")
    mark(feed)
    ward.goto(f"/patients/{subject}/visits/4/")
    ward.fill("input[name=tbil]", "115.3")
    ward.press("input[name=tbil]", "Tab")
    ward.locator("label", has_text="typing slip corrected").click()
    corrected = save(ward)
    assert corrected > number
    wait_for_revision(at_the_bedside, corrected)
    expect(at_the_bedside.locator("#trend table").first).to_contain_text("115.3")
    assert "151.3" not in at_the_bedside.locator("#trend table").first.inner_text()

    at_the_bedside.goto(f"/patients/{subject}/history/")
    expect(at_the_bedside.locator("main")).to_contain_text("151.3")
    expect(at_the_bedside.locator("main")).to_contain_text("115.3")
    expect(at_the_bedside.locator("main")).to_contain_text("typing slip corrected")

    # what it moved stands beside the comparison and in the feed, with who and why; nobody reloaded
    wait_for_revision(statistics, corrected)
    beside = statistics.locator(".contrast-moves li").filter(has_text=re.compile(rf"\br{corrected}\b"))
    expect(beside.filter(has_text="W0–4")).to_contain_text("typing slip corrected", timeout=SOON)
    moved = feed.locator("section.move").filter(
        has=feed.get_by_role("heading", name=f"Revision {corrected:,}", exact=True)
    )
    expect(moved).to_contain_text("typing slip corrected", timeout=SOON)
    expect(moved).to_contain_text("TBIL W0–4")
    assert is_still_the_same_page(statistics)
    assert is_still_the_same_page(feed)

    # three clicks from the p-value: its subjects, the value with its typed text, the revision that changed it
    week4.first.locator("td.num > a[data-row-open]").click()
    statistics.locator("tr[data-row]", has_text=subject).locator("a[data-row-open]").click()
    newest = statistics.locator("tbody tr[data-row]").first
    for words in ("115.3 µmol/L", "Li Min", "typing slip corrected"):
        expect(newest).to_contain_text(words)
    newest.locator("a[data-row-open]").click()
    expect(statistics.locator("main")).to_contain_text("151.3")
