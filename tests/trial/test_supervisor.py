"""Children stay alive, and none outlives the supervisor."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.processes import ROOT, wait_until
from trial import supervisor
from trial.supervisor import Child, Supervisor

PYTHON = [sys.executable, "-c"]
STUBBORN = "import signal, time; [signal.signal(n, signal.SIG_IGN) for n in (15, 3)]; time.sleep(60)"
ASLEEP = "import time; time.sleep(60)"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same rules at a speed for tests."""
    monkeypatch.setattr(supervisor, "FIRST_PAUSE", 0.05)
    monkeypatch.setattr(supervisor, "POLITE", 0.2)
    monkeypatch.setattr(supervisor, "FIRM", 0.5)


def sleeper(name: str = "Sleeper", code: str = ASLEEP, **options: object) -> Child:
    return Child(name, [*PYTHON, code], pause=0.05, **options)  # type: ignore[arg-type]


def test_dead_child_is_started_again_after_a_growing_pause() -> None:
    said: list[str] = []
    child = sleeper(code="raise SystemExit(3)")
    watched = Supervisor([child], say=said.append)
    watched.start()
    assert not watched.wait_until(lambda: len(said) >= 4, seconds=0.01)
    assert watched.wait_until(lambda: len(said) >= 4, seconds=30)
    watched.stop()
    assert all("Sleeper ended (status 3)" in line for line in said)
    assert child.pause >= 8 * 0.05


def test_signal_is_named_when_a_child_was_killed() -> None:
    said: list[str] = []
    child = sleeper()
    watched = Supervisor([child], say=said.append)
    watched.start()
    assert child.process
    first = child.process.pid
    os.kill(first, signal.SIGKILL)
    assert watched.wait_until(
        lambda: child.is_alive and child.process and child.process.pid != first, seconds=30
    )
    watched.stop()
    assert "SIGKILL" in said[0]


def test_stop_asks_first_then_insists_then_kills() -> None:
    polite = sleeper("Polite")
    firm = sleeper(
        "Firm", "import signal; signal.signal(15, signal.SIG_IGN); " + ASLEEP, drop_work=signal.SIGQUIT
    )
    stubborn = sleeper("Stubborn", STUBBORN)
    watched = Supervisor([polite, firm, stubborn], say=print)
    watched.start()
    processes = [child.process for child in watched.children]
    assert all(processes)
    time.sleep(0.5)  # until they ignore what they ignore
    watched.stop()
    assert [process.returncode for process in processes if process] == [
        -signal.SIGTERM,
        -signal.SIGQUIT,
        -signal.SIGKILL,
    ]


def test_grandchildren_end_with_their_parent(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    parent = sleeper(
        code="import subprocess, sys, pathlib, time;"
        f"p = subprocess.Popen([sys.executable, '-c', {STUBBORN!r}]);"
        f"pathlib.Path({str(told)!r}).write_text(str(p.pid)); time.sleep(60)"
    )
    watched = Supervisor([parent], say=print)
    watched.start()
    wait_until(lambda: told.exists() and told.read_text(), "the grandchild runs")
    grandchild = int(told.read_text())
    watched.stop()
    wait_until(lambda: not _runs(grandchild), "the grandchild is gone")


def test_children_end_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    code = (
        "from trial.supervisor import Child, Supervisor; import sys, pathlib;"
        f"c = Child('x', [sys.executable, '-c', {ASLEEP!r}]); s = Supervisor([c], say=print); s.start();"
        f"pathlib.Path({str(told)!r}).write_text(str(c.process.pid)); s.watch()"
    )
    parent = subprocess.Popen([*PYTHON, code], cwd=ROOT)
    wait_until(lambda: told.exists() and told.read_text(), "the child runs")
    parent.kill()
    parent.wait()
    wait_until(lambda: not _runs(int(told.read_text())), "the child is gone")


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
