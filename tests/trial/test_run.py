"""``manage.py run`` from an empty directory to a page, through a crash, to nothing left."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connections

from tests.processes import ROOT, wait_until
from trial import embedded
from trial.management.commands import run
from trial.models import User


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "data"
    wait_until(lambda: not embedded._lives(embedded._server(tmp_path / "data")), "the database has stopped")
    embedded.erase(tmp_path / "data")


def start(data: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-u", "manage.py", "run", "--empty", "--no-color", *options],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
        | {"CORDLINE_DATA": str(data), "DJANGO_SETTINGS_MODULE": "trial.settings"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def port_of(run: subprocess.Popen[str]) -> int:
    assert run.stdout
    said = ""
    for line in run.stdout:
        said += line
        if "Ctrl+C" in line:
            break
    found = re.search(r"ready after \d+ s:  http://127\.0\.0\.1:(\d+)/", said)
    assert found, said
    return int(found[1])


def answer(port: int) -> int:
    return said(port)[0]


def said(port: int) -> tuple[int, str]:
    web = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        web.request("GET", "/login/")
        response = web.getresponse()
        return response.status, response.read().decode()
    except (OSError, HTTPException):
        return 0, ""
    finally:
        web.close()


def lives(process: psutil.Process) -> bool:
    """Return whether a process still does something; one that nobody has buried yet does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def command(process: psutil.Process) -> str:
    """Return what a process was called with; of one that has just ended, nothing."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def test_house_opens_survives_a_crash_closes_behind_itself_and_opens_again(data: Path) -> None:
    run = start(data, "--port", "0")
    port = port_of(run)
    status, page = said(port)
    assert status == 200
    assert "ynthetic" not in page, "a study of one's own is not called invented"
    family = psutil.Process(run.pid).children(recursive=True)
    assert any("celery" in command(process) for process in family)
    (web,) = [process for process in psutil.Process(run.pid).children() if "gunicorn" in command(process)]

    web.kill()
    wait_until(
        lambda: web.pid not in {process.pid for process in psutil.Process(run.pid).children()},
        "it is noticed",
    )
    wait_until(lambda: answer(port) == 200, "the web server is back on its port")

    family = psutil.Process(run.pid).children(recursive=True)
    run.send_signal(signal.SIGINT)
    assert run.wait(30) == 0
    assert run.stdout
    run.stdout.close()
    assert not [process for process in family if lives(process)]
    assert not embedded._lives(embedded._server(data))

    # it opens again on what is there; now its supervisor is killed, and takes everything with it
    run = start(data, "--port", "0")
    assert answer(port_of(run)) == 200
    family = psutil.Process(run.pid).children(recursive=True)
    run.kill()
    run.wait()
    assert run.stdout
    run.stdout.close()
    wait_until(lambda: not [process for process in family if process.is_running()], "the children are gone")


def test_taken_port_is_named(data: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        run = start(data, "--port", str(port))
        output = run.communicate(timeout=60)[0]
    assert run.returncode == 1
    assert f"port {port}: Address already in use. Choose another with --port." in output


@pytest.mark.django_db
def test_a_study_that_was_refused_stands_in_nobodys_way(
    tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch, data_manager: User
) -> None:
    """Somebody made an account of a name that the synthetic study uses, and no site yet."""
    settings.DATA_DIR = tmp_path
    # the tables are there
    monkeypatch.setattr(
        run, "call_command", lambda name, **its: name == "migrate" or call_command(name, **its)
    )
    monkeypatch.setattr(connections, "close_all", lambda: None)
    for _again in range(2):
        with pytest.raises(CommandError, match="accounts of the same names"):
            run.Command().prepare(empty=False)
    assert run.Command().prepare(empty=True)


@pytest.mark.django_db
def test_a_study_that_was_interrupted_is_not_taken_for_a_whole_one(
    tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(name: str, **_options: Any) -> None:
        if name == "seed_demo":
            raise KeyboardInterrupt

    settings.DATA_DIR = tmp_path
    monkeypatch.setattr(run, "call_command", interrupted)
    monkeypatch.setattr(connections, "close_all", lambda: None)
    with pytest.raises(KeyboardInterrupt):
        run.Command().prepare(empty=False)
    with pytest.raises(CommandError, match=r"interrupted while it was made.*make clean"):
        run.Command().prepare(empty=False)
