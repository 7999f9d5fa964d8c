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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
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

    def named(self, position: int) -> tuple[str, str]:
        """Return letter and header of a column."""
        header = self.headers[position] if position < len(self.headers) else ""
        return letter_of(position), header


def survey(
    path: Path, *, encoding: str = "", separators: Sequence[str], is_workbook: bool = False
) -> Mapping[str, Any]:
    """Take a first look at a file.

    Returns
    -------
    Mapping
        With the key ``text`` or ``workbook``: what :mod:`patients.imports.reading` found.

    Raises
    ------
    FileRefused
        If the file cannot be read without guessing, or not within the limits.
    """
    order = {
        "what": "survey",
        "path": str(path.resolve()),
        "encoding": encoding,
        "separators": list(separators),
        "workbook": is_workbook,
    }
    found: Mapping[str, Any] = next(iter(_answers(order)))
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
    for answer in _answers(order):
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


def _answers(order: Mapping[str, Any]) -> Iterator[Any]:
    """Start the process, yield its answers one by one, and see it off whatever happens."""
    ended = False
    with _process(json.dumps({**order, "memory": MEMORY, "seconds": SECONDS})) as process:
        for line in _lines(process):
            answer = json.loads(line)
            if isinstance(answer, dict):
                if "refused" in answer:
                    raise _refusal(answer["refused"])
                ended = True
            yield answer
        try:
            status = process.wait(_LAST_WORDS_SECONDS)
        except subprocess.TimeoutExpired:
            raise _too_slow() from None
    if status == -signal.SIGXCPU:
        raise _too_slow()
    if status in _OUT_OF_MEMORY:
        raise _too_much()
    if status or not ended:
        log.error("reading a file ended with status %s", status)
        raise FileRefused(
            "unreadable",
            Sentence(_("The file could not be read.")),
            Sentence(_("Open it in Excel, save it as .xlsx or “CSV UTF-8”, and choose that file.")),
        )


@contextmanager
def _process(order: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run the reader in a session of its own, without our environment; at the end nothing of it is left."""
    environment = {"PYTHONPATH": str(_ROOT), "LC_ALL": "C.UTF-8"}
    with subprocess.Popen(  # noqa: S603 - our own module; what the file is called never stands on the command line
        [sys.executable, *_COMMAND],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        cwd="/",
        start_new_session=True,
    ) as process:
        try:
            assert process.stdin is not None
            with suppress(BrokenPipeError):
                process.stdin.write(order.encode() + b"\n")
                process.stdin.flush()
            yield process
        finally:
            if process.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)


def _lines(process: subprocess.Popen[bytes]) -> Iterator[bytes]:
    """Yield complete lines; only the time spent waiting for them counts."""
    assert process.stdout is not None
    pipe, left, pieces = process.stdout.fileno(), float(SECONDS), [b""]
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
