"""Logging in and out, as a person does."""

from __future__ import annotations

from typing import Any

from tests import factories
from tests.browsers import OpenPage
from trial.models import User
from trial.roles import Role

PASSWORD = "a long sentence of a test"


def test_coordinator_logs_in_and_out_and_back_shows_nothing(open_page: OpenPage) -> None:
    site = factories.a_site()
    factories.a_user(username="li.min", role=Role.COORDINATOR, site=site, password=PASSWORD)
    page = open_page("/")
    page.get_by_label("Username").fill("li.min")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/")
    assert page.get_by_role("heading", level=1).inner_text() == "Today"
    _log_out(page)
    page.wait_for_url("**/login/**")
    page.go_back()
    page.wait_for_url("**/login/**")
    assert not page.get_by_text("Today", exact=True).is_visible()


def _log_out(page: Any) -> None:
    page.locator("summary, [aria-haspopup]").last.click()
    page.get_by_role("button", name="Log out").click()


def test_styles_and_scripts_load_under_the_policy(open_page: OpenPage, coordinator: User) -> None:
    page = open_page("/account/", by=coordinator)
    family = page.evaluate("getComputedStyle(document.body).fontFamily")
    assert family, "the style sheet is applied"
    assert page.evaluate("typeof htmx") == "object"
