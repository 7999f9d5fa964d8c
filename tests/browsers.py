"""A real browser: what it complains about, in its console or about a blocked resource, fails the test."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client

from tests import processes
from trial.models import User

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WEB = "web server of the tests"
"""What its connections are called."""
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the browser; without one journeys are skipped, except in CI."""
    return processes.program(*NAMES, package="chromium")


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


@pytest.fixture(scope="session")
def standing_server(django_db_setup: None) -> Iterator[Callable[[], str]]:
    """Return the address of a web server that the first journey starts and the last one leaves.

    It keeps nothing of what it has read: what it remembers between requests are words of the code.
    """
    with ExitStack() as stack:
        started: list[str] = []

        def address() -> str:
            if not started:
                named = processes.environment(PGAPPNAME=WEB)
                started.append(stack.enter_context(processes.web_server(env=named)))
            return started[0]

        yield address


@pytest.fixture
def shared_job_files(settings: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Let this test's processes find each other's files: the web server outlives the directory of a test."""
    settings.JOB_FILES = tmp_path_factory.getbasetemp() / "jobs"


@pytest.fixture
def address(
    transactional_db: None, shared_job_files: None, standing_server: Callable[[], str]
) -> Iterator[str]:
    """Address of a web server on this test's database, which is left alone before the tables are emptied."""
    yield standing_server()
    processes.wait_until(_nobody_is_served, "the web server has answered everybody")


def _nobody_is_served() -> bool:
    # a request has a connection of its own from its first question to its end
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT NOT EXISTS (SELECT FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = %s)",
            [WEB],
        )
        return bool(cursor.fetchone()[0])


@pytest.fixture
def worker(transactional_db: None, shared_job_files: None) -> Iterator[None]:
    """A real Celery worker of this journey."""
    with processes.worker():
        yield


OpenPage = Callable[..., Any]
NewPage = Callable[..., Any]


@pytest.fixture
def listen() -> Iterator[Callable[[Any], None]]:
    """Let the test fail for what a page complains about: ``listen(page)``."""
    complaints: list[str] = []

    heard: list[tuple[Any, str, Callable[[Any], None]]] = []

    def hear(page: Any) -> None:
        for event, listener in (
            ("console", lambda message: _complained(message, complaints)),
            ("pageerror", lambda error: complaints.append(str(error))),
            ("requestfailed", lambda request: _blocked(request, complaints)),
        ):
            page.on(event, listener)
            heard.append((page, event, listener))

    yield hear
    # a page that stays open for the next test is heard by that one
    for page, event, listener in heard:
        if not page.is_closed():
            page.remove_listener(event, listener)
    assert not complaints, complaints


@pytest.fixture
def new_page(browser: Any, listen: Callable[[Any], None]) -> Iterator[NewPage]:
    """Open an empty page in a browser of its own: ``new_page(base_url=...)``; ``keep`` leaves its closing to you."""
    contexts: list[Any] = []

    def open_empty(*, keep: bool = False, **options: Any) -> Any:
        context = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | options))
        if not keep:
            contexts.append(context)
        page = context.new_page()
        listen(page)
        return page

    yield open_empty
    for context in contexts:
        context.close()


@pytest.fixture
def open_page(address: str, new_page: NewPage) -> OpenPage:
    """Open a page of the test's own server, as somebody or as nobody: ``open_page("/", by=coordinator)``.

    The server comes first, so that it outlives the pages, which ask it until they are closed.
    """

    def open_at(path: str, *, by: User | None = None, **options: Any) -> Any:
        page = new_page(base_url=address, **options)
        if by is not None:
            client = Client()
            client.force_login(by, backend="django.contrib.auth.backends.ModelBackend")
            name = settings.SESSION_COOKIE_NAME
            page.context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": address}])
        page.goto(path)
        return page

    return open_at


def _complained(message: Any, complaints: list[str]) -> None:
    # a refused form and a missing page answer 4xx on purpose, and the browser says so
    if message.type == "error" and not re.search(r"status of 4\d\d", message.text):
        complaints.append(message.text)


def _blocked(request: Any, complaints: list[str]) -> None:
    # leaving a page ends what it was still asking for
    if "ERR_ABORTED" not in (request.failure or ""):
        complaints.append(f"{request.url}: {request.failure}")
