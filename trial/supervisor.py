"""Keeps the processes of one machine running until it is told to stop, and leaves none behind."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
STEADY = 60.0  # seconds after which a child that dies is restarted at once again
POLITE, FIRM = 2.0, 10.0  # seconds until a child is asked to drop its work, and until it is killed
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of Linux


@dataclass(slots=True)
class Child:
    """A process to keep alive.

    ``drop_work`` is the signal that makes it end without finishing; None if
    its first one is enough.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    keep_open: tuple[int, ...] = ()
    drop_work: signal.Signals | None = None
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    pause: float = FIRST_PAUSE
    start_again_at: float = 0.0

    def start(self) -> None:
        """Start it in a session of its own, so that Ctrl+C reaches only the supervisor."""
        self.started_at = time.monotonic()
        self.process = subprocess.Popen(  # noqa: S603
            list(self.command),
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=self.keep_open,
            start_new_session=True,
            preexec_fn=_die_with_parent,  # noqa: PLW1509  no thread of ours holds a lock here
        )

    @property
    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def send(self, number: signal.Signals) -> None:
        """Signal the main process; the group only to kill what it left behind."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            if number is signal.SIGKILL:
                os.killpg(self.process.pid, number)
            elif self.is_alive:
                self.process.send_signal(number)


class Supervisor:
    """Runs children until a signal or :meth:`stop`."""

    def __init__(self, children: Sequence[Child], *, say: Callable[[str], None]) -> None:
        self.children = children
        self.say = say
        self._told_to_stop = threading.Event()
        self._signals = 0

    def listen(self) -> None:
        """Stop at Ctrl+C, SIGTERM or a closed terminal; a second one does not wait."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._answer)

    def _answer(self, number: int, _frame: FrameType | None) -> None:
        self._signals += 1
        self._told_to_stop.set()

    @property
    def stopping(self) -> bool:
        return self._told_to_stop.is_set()

    def start(self) -> None:
        for child in self.children:
            child.start()

    def watch(self) -> None:
        """Restart what dies, with a growing pause, until told to stop."""
        while not self.stopping:
            self.tend()
            self._told_to_stop.wait(0.5)

    def wait_until(self, ready: Callable[[], bool], *, seconds: float) -> bool:
        """Tend the children until ``ready()``; False when told to stop or out of time."""
        deadline = time.monotonic() + seconds
        while not self.stopping and time.monotonic() < deadline:
            if ready():
                return True
            self.tend()
            self._told_to_stop.wait(0.1)
        return False

    def tend(self) -> None:
        """Look at every child once."""
        now = time.monotonic()
        for child in self.children:
            if child.is_alive:
                continue
            if child.process is not None:
                child.send(signal.SIGKILL)  # its own children, if it left any
                if now - child.started_at > STEADY:
                    child.pause = FIRST_PAUSE
                child.start_again_at = now + child.pause
                self.say(
                    f"{child.name} ended ({_described(child.process.returncode)}); again in {child.pause:.0f} s"
                )
                child.pause = min(2 * child.pause, LONGEST_PAUSE)
                child.process = None
            elif now >= child.start_again_at:
                child.start()

    def stop(self) -> None:
        """End every child: politely, then firmly, then for certain."""
        begun = time.monotonic()
        for child in self.children:
            child.send(signal.SIGTERM)
        asked = False
        while any(child.is_alive for child in self.children):
            waited = time.monotonic() - begun
            if waited > FIRM or self._signals > 1:
                break
            if waited > POLITE and not asked:
                asked = True
                for child in self.children:
                    if child.drop_work is not None:
                        child.send(child.drop_work)
            time.sleep(0.05)
        for child in self.children:
            child.send(signal.SIGKILL)
            if child.process is not None:
                child.process.wait()


def _described(status: int) -> str:
    return f"status {status}" if status >= 0 else signal.Signals(-status).name


def _die_with_parent() -> None:
    """Let Linux end the child when the supervisor itself is killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGTERM)
