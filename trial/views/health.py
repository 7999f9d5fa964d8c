"""Whether this installation lives, and whether it may serve.

Open to everybody, so it tells states and never details: those are in the log
and in ``manage.py check --database default``.
"""

from __future__ import annotations

import logging
from time import monotonic
from typing import Any

from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from trial import audit, checks, selectors

REMEMBERED_SECONDS = 30
LATE_AFTER_SECONDS = 60

logger = logging.getLogger(__name__)
_found: dict[str, Any] = {}


@never_cache
@require_safe
def live(request: HttpRequest) -> JsonResponse:
    """Answer while the web process runs; the database may be down."""
    return _answer({"live": True})


@never_cache
@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """Answer 200 while pages may be served: database there, migrated, and its trail whole; else 503.

    Results that are late do not count against it: pages say themselves how old
    their results are, and a save must go on while the worker is away.
    """
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        waiting, faults = _judged()
        state: dict[str, Any] = {
            "ready": not waiting and not faults,
            "database": "ok",
            "migrations": "waiting" if waiting else "ok",
            "trail": _counted(faults) if faults else "ok",
        }
        if not waiting:
            state |= _results()
    except DatabaseError:
        logger.exception("the database does not answer")
        state = {"ready": False, "database": "unreachable"}
    return _answer(state, 200 if state["ready"] else 503)


def forget() -> None:
    """Judge anew at the next question."""
    _found.clear()


def _judged() -> tuple[int, int]:
    """Return how many migrations wait and how many faults the trail has, at most half a minute old."""
    if not _found or monotonic() - _found["at"] > REMEMBERED_SECONDS:
        waiting = checks.waiting_migrations(connection)
        faults = [] if waiting else checks.faults(connection)
        for problem in (*waiting, *faults):
            logger.error("not ready: %s", problem)
        _found.update(at=monotonic(), waiting=len(waiting), faults=len(faults))
    return _found["waiting"], _found["faults"]


def _results() -> dict[str, Any]:
    waits = selectors.seconds_results_are_late()
    return {
        "revision": audit.latest_revision(),
        "results": "late" if waits > LATE_AFTER_SECONDS else "ok",
        "results_wait_seconds": round(waits),
    }


def _counted(faults: int) -> str:
    return "1 fault" if faults == 1 else f"{faults} faults"


def _answer(state: dict[str, Any], status: int = 200) -> JsonResponse:
    response = JsonResponse(state, status=status)
    response["Cache-Control"] = "no-store"
    return response
