"""What a person sees when the server itself cannot answer; what they sent is on the page, to be sent again."""

from __future__ import annotations

import sys
from errno import EDQUOT, ENOSPC

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.template import loader

from trial import idempotency

RETRY_AFTER = "5"
_TYPED_ANEW = "password"
"""A form with one is typed anew; the code of an authenticator is asked for beside it."""


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer what broke: 503 while the database is away, 507 on a full disk, 500 otherwise.

    Neither page asks for a session or a row. A form of the study that the
    database could not take is repeated in the page with its one-time key: one
    button sends it again, and it is saved once.
    """
    error = sys.exc_info()[1]
    if not isinstance(error, OperationalError | InterfaceError):
        is_full = isinstance(error, OSError) and error.errno in (ENOSPC, EDQUOT)
        page = loader.render_to_string("500.html", {"is_full": is_full})
        return HttpResponse(page, status=507 if is_full else 500)
    context = {"address": request.get_full_path(), "fields": _sent(request)}
    answer = HttpResponse(loader.render_to_string("503.html", context), status=503)
    answer["Retry-After"] = RETRY_AFTER
    return answer


def _sent(request: HttpRequest) -> list[tuple[str, str]]:
    if request.method != "POST":
        return []
    try:
        posted = request.POST
    except UnreadablePostError:
        return []
    if not posted.get(idempotency.FIELD) or any(name.endswith(_TYPED_ANEW) for name in posted):
        return []
    return [(name, str(value)) for name, values in posted.lists() for value in values]
