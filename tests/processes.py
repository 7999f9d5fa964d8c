"""Real processes of Cordline against the database of the test that starts them."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import NoReturn

import pytest
from django.conf import settings
from django.db import connection
from psycopg import sql

from trial import database_roles, embedded

ROOT = Path(__file__).resolve().parents[1]


def program(*names: str, package: str) -> str:
    """Return the path of an installed program; without it the test is skipped, except in CI."""
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        lacking(f"{names[0]} is not installed: apt install {package}")
    return found


def lacking(what: str) -> NoReturn:
    """Skip a test for want of something, except in CI, where nothing may be wanting."""
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)


def environment(**more: str) -> dict[str, str]:
    """Return what a process needs to work on this test's database, as the application's role if there is one."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    kept |= {"DJANGO_SETTINGS_MODULE": "trial.settings", "CORDLINE_JOB_FILES": str(settings.JOB_FILES)}
    database = connection.settings_dict
    if settings.EMBEDDED:
        _let_the_application_in()
        kept |= {"CORDLINE_DATA": str(settings.DATA_DIR), "CORDLINE_DATABASE": database["NAME"]}
    else:
        kept["DATABASE_URL"] = (
            f"postgres://{database['USER']}:{database['PASSWORD']}@{database['HOST']}:{database['PORT']}/{database['NAME']}"
        )
    return kept | more


def _let_the_application_in() -> None:
    with connection.cursor() as cursor:
        role = embedded.ROLES["app"]
        cursor.execute(
            sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(
                sql.Identifier(connection.settings_dict["NAME"]), sql.Identifier(role)
            )
        )
    database_roles.grant(connection, role)


@contextmanager
def running(
    command: Sequence[str], *, env: dict[str, str], patience: float = 10.0, pass_fds: tuple[int, ...] = ()
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a Python program of the project until the block ends; nothing of it survives."""
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        env=env,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        pass_fds=pass_fds,
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def worker(*, env: dict[str, str] | None = None, concurrency: int = 2) -> Iterator[subprocess.Popen[bytes]]:
    """Run a real Celery worker."""
    quiet = ["-W", "ignore:You're running the worker"]
    command = [*quiet, "-m", "celery", "-A", "trial", "--quiet", "worker", "--pool", "prefork"]
    command += ["--concurrency", str(concurrency), "--loglevel", "WARNING"]
    command += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    with running(command, env=env or environment(), patience=3.0) as process:
        yield process


@contextmanager
def web_server(*, env: dict[str, str] | None = None, port: int = 0) -> Iterator[str]:
    """Run the real web server, on any free port or again on the one it had; yields its address."""
    with socket.create_server(("127.0.0.1", port)) as listener:
        port = listener.getsockname()[1]
        command = ["-m", "gunicorn", "trial.wsgi:application", "--bind", f"fd://{listener.fileno()}"]
        command += [
            "--threads",
            "4",
            "--graceful-timeout",
            "1",
            "--log-level",
            "warning",
            "--no-control-socket",
        ]
        with running(command, env=env or environment(), pass_fds=(listener.fileno(),)):
            wait_until(lambda: _answers(port), "the web server answers")
            yield f"http://127.0.0.1:{port}"


def _answers(port: int) -> bool:
    web = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        web.request("GET", "/login/")
        return web.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        web.close()


def wait_until(true: Callable[[], object], what: str, *, seconds: float = 30.0) -> None:
    """Wait until something holds; ``seconds`` is when to give up, not a promise."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:.0f} s in vain until {what}")
        time.sleep(0.05)
