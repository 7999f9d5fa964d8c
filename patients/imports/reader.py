"""Has files read in a process of their own, with limits, and hands on what it found.

What a hostile file uses up is that process's: at the limit it is killed with
everything it started, and the file is refused in words.
"""

from __future__ import annotations

import json
import logging
import os
import selectors
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from patients.imports import identifiers
from patients.imports.columns import letter_of
from patients.imports.problems import FileRefused, unpacked
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


Row = tuple[int, list[str]]

MEMORY = 512 * 2**20
"""How much the process may use, in bytes."""
SECONDS = 60
"""How long it may compute, and how long it may be waited for; the time the application takes does not count."""
_ROOT = Path(__file__).resolve().parents[2]
_COMMAND = ("-s", "-P", "-m", "patients.imports.reading")
_PIPE_BLOCK = 1 << 18
_LAST_WORDS_SECONDS = 5
_OUT_OF_MEMORY = (70, -signal.SIGABRT, -signal.SIGKILL, -signal.SIGSEGV, -signal.SIGBUS)

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Plan:
    """How the rows of a file are to be read, once its header is known.

    ``numbers`` and ``left_out`` are places of columns. ``marked`` fills while rows
    are read: the lines in which cells hold identifiers, with column and sort.
    ``surveyor`` is the process that surveyed the file and may go on with it.
    """

    path: Path
    encoding: str = ""
    separator: str = ""
    sheet: str = ""
    header_line: int = 0
    headers: Sequence[str] = ()
    numbers: Sequence[int] = ()
    left_out: Sequence[int] = ()
    marked: dict[int, list[tuple[int, str]]] = field(default_factory=dict)
    surveyor: Reader | None = None

    def named(self, position: int) -> tuple[str, str]:
        """Return letter and header of a column."""
        header = self.headers[position] if position < len(self.headers) else ""
        return letter_of(position), header


class Reader:
    """A process of its own that reads files; what it is called never stands on its command line.

    It runs in its own session and without our environment. It is killed with
    everything it started when it is ended or nobody needs it any more.
    """

    def __init__(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, *_COMMAND],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"PYTHONPATH": str(_ROOT), "LC_ALL": "C.UTF-8"},
            cwd="/",
            start_new_session=True,
        )
        self.end = weakref.finalize(self, _end, self._process)

    def ask(self, order: Mapping[str, Any]) -> Iterator[Any]:
        """Give an order and yield the answers; the last of them is an object.

        Raises
        ------
        FileRefused
            If the file is refused, or reading it reaches a limit.
        """
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            text = json.dumps({**order, "memory": MEMORY, "seconds": SECONDS})
            self._process.stdin.write(text.encode() + b"\n")
            self._process.stdin.flush()
        for line in self._lines():
            answer = json.loads(line)
            if isinstance(answer, dict) and "refused" in answer:
                raise _refusal(answer["refused"])
            yield answer
            if isinstance(answer, dict):
                return
        raise self._broken_off()

    def _lines(self) -> Iterator[bytes]:
        """Yield complete lines; only the time spent waiting for them counts."""
        assert self._process.stdout is not None
        pipe, left, pieces = self._process.stdout.fileno(), float(SECONDS), [b""]
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            while True:
                began = time.monotonic()
                ready = selector.select(max(0.0, left))
                left -= time.monotonic() - began
                if not ready:
                    raise _too_slow()
                block = os.read(pipe, _PIPE_BLOCK)
                if not block:
                    return
                pieces.append(block)
                if b"\n" in block:
                    *lines, rest = b"".join(pieces).split(b"\n")
                    pieces = [rest]
                    yield from lines

    def _broken_off(self) -> FileRefused:
        """Return what is to be said of a process that ended without its last word."""
        try:
            status = self._process.wait(_LAST_WORDS_SECONDS)
        except subprocess.TimeoutExpired:
            return _too_slow()
        if status == -signal.SIGXCPU:
            return _too_slow()
        if status in _OUT_OF_MEMORY:
            return _too_much()
        log.error("reading a file ended with status %s", status)
        return FileRefused(
            "unreadable",
            Sentence(_("The file could not be read.")),
            Sentence(_("Open it in Excel, save it as .xlsx or “CSV UTF-8”, and choose that file.")),
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the process and what it started, and forget it."""
    with suppress(ProcessLookupError):
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(BrokenPipeError):
                pipe.close()


def survey(
    path: Path,
    *,
    encoding: str = "",
    separators: Sequence[str],
    is_workbook: bool = False,
    by: Reader | None = None,
) -> Mapping[str, Any]:
    """Take a first look at a file.

    Parameters
    ----------
    path
        The file.
    encoding, separators
        The encoding a person named, and what may separate columns.
    is_workbook
        Whether its name says that it is a workbook.
    by
        A process that may be asked more afterwards.

    Returns
    -------
    Mapping
        With the key ``text`` or ``workbook``: what :mod:`patients.imports.reading` found.

    Raises
    ------
    FileRefused
        If the file cannot be read without guessing, or not within the limits.
    """
    surveyor = by or Reader()
    order = {
        "what": "survey",
        "path": str(path.resolve()),
        "encoding": encoding,
        "separators": list(separators),
        "workbook": is_workbook,
    }
    try:
        found: Mapping[str, Any] = next(surveyor.ask(order))
    except FileRefused:
        surveyor.end()
        raise
    if by is None:
        surveyor.end()
    return found


def rows(plan: Plan) -> Iterator[Row]:
    """Yield the rows below the header; identifiers in them are barred and noted in the plan.

    Raises
    ------
    FileRefused
        If a row cannot be read, a limit is reached, or a column turns out to hold identifiers.
    """
    order = {
        "what": "rows",
        "path": str(plan.path.resolve()),
        "encoding": plan.encoding,
        "separator": plan.separator,
        "sheet": plan.sheet,
        "header_line": plan.header_line,
        "width": len(plan.headers),
        "numbers": list(plan.numbers),
        "left_out": list(plan.left_out),
    }
    reader, plan.surveyor = plan.surveyor or Reader(), None
    try:
        for answer in reader.ask(order):
            if isinstance(answer, list):
                for line, cells, *marks in answer:
                    if marks:
                        plan.marked[line] = [(position, sort) for position, sort in marks[0]]
                    yield line, cells
            elif answer["end"]:
                raise identifiers.refusal(
                    [(*plan.named(position), sort) for position, sort, _lines in answer["end"]],
                    sorted({line for _position, _sort, lines in answer["end"] for line in lines}),
                )
    finally:
        reader.end()


def _refusal(stored: Mapping[str, Any]) -> FileRefused:
    return FileRefused(
        stored["rule"],
        unpacked(stored["sentence"]),
        unpacked(stored["remedy"]),
        lines=stored["lines"],
        columns=stored["columns"],
    )


_SMALLER = Sentence(
    _("Keep the sheet with the data alone, save it as “CSV UTF-8”, or split it into several files.")
)


def _too_much() -> FileRefused:
    return FileRefused(
        "too_large",
        Sentence(_("Reading the file needs more than %(size)s MB of memory."), {"size": MEMORY // 2**20}),
        _SMALLER,
    )


def _too_slow() -> FileRefused:
    return FileRefused(
        "too_slow",
        Sentence(_("Reading the file takes more than %(most)s seconds."), {"most": SECONDS}),
        _SMALLER,
    )
