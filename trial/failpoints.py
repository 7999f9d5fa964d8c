"""Named places at which a test may stop, break or kill the process.

``CORDLINE_FAILPOINT=refresh_before_store=kill`` ends the process there as a power
cut would. ``name=action@3`` waits for the third time; several are separated by
commas. Actions: ``kill``, ``raise``, ``sleep:SECONDS``. Production ignores all of it.
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter

from django.conf import settings

NAMES = frozenset(
    {
        "record_before_write",
        "record_after_write",
        "record_before_commit",
        "record_after_commit",
        "refresh_after_read",
        "refresh_before_store",
        "refresh_before_commit",
        "refresh_after_commit",
    }
)

_passed: Counter[str] = Counter()


class Broken(RuntimeError):
    """A failpoint was told to raise."""


def passing(name: str) -> None:
    """Do at this place what the environment asks for; normally nothing."""
    if not settings.FAILPOINT or settings.PRODUCTION:
        return
    if name not in NAMES:
        raise ValueError(f"no failpoint {name!r}")
    _passed[name] += 1
    for order in settings.FAILPOINT.split(","):
        place, _, action = order.partition("=")
        action, _, turn = action.partition("@")
        if place == name and (not turn or int(turn) == _passed[name]):
            _act(name, action)


def _act(name: str, action: str) -> None:
    match action.partition(":"):
        case ("kill", _, _):
            os.kill(os.getpid(), signal.SIGKILL)
        case ("sleep", _, seconds):
            time.sleep(float(seconds))
        case ("raise", _, _):
            raise Broken(name)
        case _:
            raise ValueError(f"no failpoint action {action!r}")
