"""A doubtful value is kept, asked about twice, and mended: the query ends by itself."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from patients.models import DataQuery
from tests import factories
from tests.browsers import OpenPage
from trial.models import Revision, User


@pytest.mark.exhaustive
def test_a_doubt_becomes_a_query_and_the_correction_ends_it(
    coordinator: User, monitor: User, open_page: OpenPage
) -> None:
    patient = factories.a_patient(site=coordinator.site, subject_id="GE-001")
    factories.a_visit(patient, 1, tbil="140")

    ward: Page = open_page("/patients/GE-001/visits/4/", by=coordinator)
    ward.fill("#id_visited_on", "2024-02-12")
    ward.focus("#id_tbil")
    ward.keyboard.type("8.2")
    ward.keyboard.press("Tab")
    expect(ward.locator("#message-tbil")).to_contain_text("8.2 µmol/L, last 140")
    ward.locator("#id_tbil").focus()
    ward.locator("label[for=confirm_tbil]").click()
    ward.keyboard.press("Control+s")
    expect(ward.locator("#row-tbil .query-mark")).to_have_count(1)

    # the coordinator walks from the list to the thread and answers, with the keyboard alone
    ward.goto("/queries/?owner=me")
    ward.keyboard.press("j")
    ward.keyboard.press("Enter")
    ward.wait_for_url("**/queries/*/")
    expect(ward.locator(".query-thread")).to_contain_text("did you mean mg/dL?")
    ward.keyboard.press("a")
    ward.keyboard.type("as on the report")
    ward.keyboard.press("Control+Enter")
    expect(ward.locator(".query-thread")).to_contain_text("as on the report")

    # the monitor's list shows it by itself; the monitor asks on
    watch: Page = open_page("/queries/?owner=me", by=monitor)
    expect(watch.locator("[data-row]")).to_have_count(1)
    watch.keyboard.press("j")
    watch.keyboard.press("Enter")
    watch.wait_for_url("**/queries/*/")
    watch.keyboard.press("a")
    watch.keyboard.type("The report says mg/dL.")
    watch.keyboard.press("Alt+r")
    expect(watch.locator(".query-thread")).to_contain_text("Chen Yu reopened")

    # back at the field, in one key; the correction closes the query
    ward.reload()
    ward.keyboard.press("e")
    ward.wait_for_url("**/visits/4/#id_tbil")
    expect(ward.locator("#id_tbil")).to_be_focused()
    ward.fill("#id_tbil", "140.2")
    ward.press("#id_tbil", "Tab")
    ward.locator("label", has_text="typing slip corrected").click()
    ward.keyboard.press("Control+s")
    expect(ward.locator("#row-tbil .query-mark")).to_have_count(0)

    query = DataQuery.objects.get()
    assert query.state == "closed"
    assert [message.step for message in query.messages.all()] == ["opened", "answered", "reopened", "closed"]
    watch.reload()
    expect(watch.locator(".query-thread")).to_contain_text("so the query closed itself")
    assert "typing slip corrected" in Revision.objects.order_by("-number")[0].reason
