"""The production profile with a Redis of its own: down, hanging, absent. No save waits for it."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import processes
from tests.faults.checks import (
    a_study,
    assert_equal_to_a_full_recompute,
    checking,
    saving,
    touch,
    wait_until_current,
)

pytestmark = [pytest.mark.committed, pytest.mark.slow]


@pytest.fixture(scope="module", autouse=True)
def redis_server() -> str:
    """Path of the server; without one these tests are skipped, except in CI."""
    return processes.program("redis-server", package="redis-server")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def redis(program: str, port: int, directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    process = subprocess.Popen(
        [program, *options, "--dir", str(directory)], stdout=subprocess.DEVNULL, start_new_session=True
    )
    try:
        processes.wait_until(lambda: answers(port), "redis answers")
        yield process
    finally:
        process.kill()
        process.wait()


def answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as server:
            server.sendall(b"PING\r\n")
            return server.recv(7) == b"+PONG\r\n"
    except OSError:
        return False


def production(port: int) -> dict[str, str]:
    if "DATABASE_URL" not in (env := processes.environment()):
        processes.lacking("the production profile wants a database server: set DATABASE_URL")
    return env | {
        "CORDLINE_PRODUCTION": "1",
        "SECRET_KEY": "only for this test, and long enough to be one: 0123456789abcdef",
        "ALLOWED_HOSTS": "localhost",
        "REDIS_URL": f"redis://127.0.0.1:{port}/0",
    }


def test_redis_dies_hangs_and_comes_back(redis_server: str, tmp_path: Path) -> None:
    ward, port = a_study(), free_port()
    env = production(port)
    with checking() as checker:
        with redis(redis_server, port, tmp_path) as server, processes.worker(env=env):
            wait_until_current()
            touch(ward)
            print(f"\nthrough redis {wait_until_current():.2f} s", end="")

            server.kill()
            server.wait()
            with saving(30, pause=0.02, env=env) as saves:
                pass
            assert len(saves.done) == 30
            print(f", dead {wait_until_current():.2f} s", end="")
            touch(ward)
            wait_until_current()

            with redis(redis_server, port, tmp_path) as again:
                touch(ward)
                print(f", back {wait_until_current():.2f} s", end="")
                again.send_signal(signal.SIGSTOP)
                started = time.monotonic()
                touch(ward)
                assert time.monotonic() - started < 5, "a save does not wait for the broker"
                print(f", hanging {wait_until_current():.2f} s")
                again.send_signal(signal.SIGCONT)
                touch(ward)
                wait_until_current()
        saves.assert_kept()
    assert checker.current
    assert_equal_to_a_full_recompute()


def test_a_worker_that_starts_without_redis_works_all_the_same(redis_server: str, tmp_path: Path) -> None:
    ward, port = a_study(), free_port()
    with processes.worker(env=production(port)):
        wait_until_current()
        touch(ward)
        wait_until_current()
        with redis(redis_server, port, tmp_path):
            touch(ward)
            wait_until_current()
    assert_equal_to_a_full_recompute()
