"""Trying again: a write that names a key is done once, and answered the same each time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from analytics.api.problems import bad
from analytics.api.security import person_of, token_of
from trial import audit, idempotency
from trial.models import ApiAnswer, Revision, User


def _(message: str) -> str:
    """Mark a sentence for translation; it is translated when it is said."""
    return message


HEADER = "Idempotency-Key"
REVISION_HEADER = "Cordline-Revision"
LONGEST_KEY = 200
_KEPT_HEADERS = ("Content-Type", "ETag", "Location")


def once(request: HttpRequest, write: Callable[[], HttpResponse], *, about: str = "") -> HttpResponse:
    """Run a write in one revision, or return what it was answered when it ran before.

    Parameters
    ----------
    request
        With an ``Idempotency-Key``; the key is the person's, whatever the token.
    write
        Does everything and answers; an exception undoes all of it, and nothing is remembered.
    about
        What the trail says beside the name of the token.
    """
    by, key = person_of(request), _key(request)
    digest = _digest(request, by)
    name = f"api.{hashlib.sha256(f'{by.pk} {key}'.encode()).hexdigest()[:40]}"
    source = f"api: {token_of(request).name}" + (f" ({about})" if about else "")
    with audit.revision(by=by, source=source, request_id=name):
        idempotency.wait_for(name)
        # a statement of its own: it sees what the same request committed a moment ago
        earlier = ApiAnswer.objects.filter(owner=by, key=key).first()
        if earlier is None:
            answer = _first(by, key, digest, write)
        elif earlier.digest != digest:
            raise bad(
                HEADER,
                key,
                "key_used",
                _("The key “%(value)s” was used for something else."),
                _("Take a new key for every new write; repeat one only to repeat the same request."),
                status=422,
            )
        else:
            answer = HttpResponse(earlier.body, status=earlier.status, headers=earlier.headers)
    made = Revision.objects.filter(request_id=name, actor=by, number__isnull=False).order_by("number").last()
    if made is not None:
        answer[REVISION_HEADER] = str(made.number)
    return answer


def _first(by: User, key: str, digest: str, write: Callable[[], HttpResponse]) -> HttpResponse:
    answer = write()
    ApiAnswer.objects.create(
        owner=by,
        key=key,
        digest=digest,
        status=answer.status_code,
        headers={name: answer[name] for name in _KEPT_HEADERS if name in answer},
        body=answer.content.decode(),
    )
    return answer


def _key(request: HttpRequest) -> str:
    key = request.headers.get(HEADER, "").strip()
    if not key or len(key) > LONGEST_KEY or not (key.isascii() and key.isprintable()):
        raise bad(
            HEADER,
            key,
            "key_needed",
            _("A write needs the header “Idempotency-Key”, so that it can be sent again without harm."),
            _("Send a new random text of at most %(most)s characters with every new write."),
            most=LONGEST_KEY,
        )
    return key


def _digest(request: HttpRequest, by: User) -> str:
    digest = hashlib.sha256()
    parts = (
        # who was moved to another site is not told again what was answered at the old one
        f"{by.role} {by.site_id}".encode(),
        (request.method or "").encode(),
        request.get_full_path().encode(),
        request.headers.get("If-Match", "").encode("utf-8", "replace"),
        request.body,
    )
    for part in parts:
        digest.update(f"{len(part)}:".encode() + part)
    return digest.hexdigest()
