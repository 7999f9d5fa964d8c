"""A house of its own for the journeys: everything ``make run`` starts, on a fresh synthetic study."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.browsers import NewPage
from tests.processes import ROOT
from trial import embedded


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "journeys" in item.path.parts:
            item.add_marker(pytest.mark.browser)


@dataclass(frozen=True, slots=True)
class House:
    """Web server, worker and database of the journeys."""

    address: str
    password: str
    environment: dict[str, str]

    def manage(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a management command on the same database."""
        done = subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done


@pytest.fixture(scope="session")
def house(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    data: Path = tmp_path_factory.mktemp("house")
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    environment |= {"CORDLINE_DATA": str(data), "DJANGO_SETTINGS_MODULE": "trial.settings"}
    supervisor = subprocess.Popen(
        [sys.executable, "-u", "manage.py", "run", "--port", "0", "--no-color"],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert supervisor.stdout
    said = ""
    try:
        for line in supervisor.stdout:
            said += line
            if "Ctrl+C" in line:
                break
        address = re.search(r"http://\S+?(?=/\s)", said)
        password = re.search(r"Password of each: (\S+)", said)
        assert address and password, said
        yield House(address[0], password[1], environment)
    finally:
        supervisor.send_signal(signal.SIGINT)
        supervisor.wait(30)
        supervisor.stdout.close()
        embedded.erase(data)


@pytest.fixture(scope="session")
def sessions() -> dict[str, list[Any]]:
    """Cookies of who logged in already: logins are limited per address, journeys are many."""
    return {}


@pytest.fixture
def visitor(house: House, new_page: NewPage, sessions: dict[str, list[Any]]) -> Callable[..., Any]:
    """Return a page of somebody logged in, in a browser of their own: ``visitor("li.min")``; nobody without a name."""

    def sign_in(username: str = "", **options: Any) -> Any:
        page = new_page(base_url=house.address, **options)
        if username in sessions:
            page.context.add_cookies(sessions[username])
        elif username:
            page.goto("/login/")
            page.get_by_label("Username").fill(username)
            page.get_by_label("Password").fill(house.password)
            page.get_by_role("button", name="Sign in").click()
            page.wait_for_url(lambda url: "/login" not in url)
            sessions[username] = page.context.cookies()
        return page

    return sign_in
