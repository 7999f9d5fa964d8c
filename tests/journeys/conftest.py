"""A real browser in front of a real server; a journey fails on any console error or blocked resource."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from tests import processes
from trial.models import User

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "journeys" in item.path.parts:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.django_db(transaction=True))


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the browser; without one journeys are skipped, except in CI."""
    for name in NAMES:
        if found := shutil.which(name):
            return found
    message = "no browser for the journeys: apt install chromium"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    # Playwright's loop lives in this thread; the tests' own queries are not part of it
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield started
        started.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def address(transactional_db: None) -> Iterator[str]:
    """Address of a web server of this journey."""
    with processes.web_server() as address:
        yield address


@pytest.fixture
def worker(transactional_db: None) -> Iterator[None]:
    """A real Celery worker of this journey."""
    with processes.worker():
        yield


OpenPage = Callable[..., Any]


@pytest.fixture
def open_page(browser: Any, address: str) -> Iterator[OpenPage]:
    """Open a page, as somebody or as nobody: ``open_page("/patients/", by=coordinator)``.

    Anything the browser complains about fails the journey.
    """
    contexts: list[Any] = []
    complaints: list[str] = []

    def open_at(path: str, *, by: User | None = None, **options: Any) -> Any:
        context = browser.new_context(base_url=address, **({"viewport": {"width": 1280, "height": 900}} | options))
        contexts.append(context)
        if by is not None:
            client = Client()
            client.force_login(by, backend="django.contrib.auth.backends.ModelBackend")
            name = settings.SESSION_COOKIE_NAME
            context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": address}])
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("requestfailed", lambda request: _blocked(request, complaints))
        page.goto(path)
        return page

    yield open_at
    for context in contexts:
        context.close()
    assert not complaints, complaints


def _blocked(request: Any, complaints: list[str]) -> None:
    # leaving a page ends what it was still asking for
    if "ERR_ABORTED" not in (request.failure or ""):
        complaints.append(f"{request.url}: {request.failure}")
