"""Progress of long work in a shell: one line that changes on a terminal, few lines anywhere else."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.core.management.base import OutputWrapper

from trial import jobs

_STEP_PERCENT = 10
_SECONDS_BETWEEN = 0.1


class Printer:
    """A :data:`trial.jobs.Progress` that says how far the work is, and how long it still takes.

    Parameters
    ----------
    out
        Where to: a command's standard error, because files go to standard output.
    clock
        Seconds that only go forward.
    """

    def __init__(self, out: OutputWrapper, clock: Callable[[], float] = time.monotonic) -> None:
        self._out, self._clock = out, clock
        self._began = clock()
        self._said: tuple[str, int] = ("", -1)
        self._width = 0
        self._said_at = float("-inf")

    def __call__(self, done: int, total: int, text: str) -> None:
        percent = min(100, 100 * done // total) if total else 0
        line = f"{text}: {percent} %"
        left = jobs.remaining(self._clock() - self._began, done, total)
        if left is not None and left > jobs.WORTH_SAYING:
            line += f", about {left} s left"
        if self._out.isatty():
            if self._clock() - self._said_at >= _SECONDS_BETWEEN or percent == 100:
                self._said_at = self._clock()
                self._write("\r" + line.ljust(self._width))
                self._width = len(line)
        elif (text, percent // _STEP_PERCENT) != self._said:
            # a log wants to know where it is, not every row
            self._said = (text, percent // _STEP_PERCENT)
            self._write(line + "\n")

    def end(self) -> None:
        """Leave the line, so that what comes next stands on its own."""
        if self._width:
            self._write("\n")
            self._width = 0

    def _write(self, text: str) -> None:
        # progress is no error: not in its colour, and the line ends where it is said
        self._out.write(text, str, "")
        self._out.flush()
