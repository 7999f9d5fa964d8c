"""Reading what programs send: bodies, cursors, tags, and the form they want the answer in."""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any, cast

from django.http import HttpRequest, HttpResponse
from ninja.parser import Parser

from analytics.api.problems import WrongType, bad
from trial import strict_json


def _(message: str) -> str:
    """Mark a sentence for translation; it is translated when it is said."""
    return message


JSON, CSV, FHIR = "application/json", "text/csv", "application/fhir+json"
BODIES = (JSON, FHIR)
MOST_ROWS, USUAL_ROWS = 1000, 100
_LONGEST_PART = 100
_TAG = re.compile(r'(?:W/)?("[^"]*")|\*')


def body_of(request: HttpRequest) -> Any:
    """Return the body, its numbers in the characters that were sent."""
    if request.content_type not in BODIES:
        raise WrongType(415, BODIES)
    return strict_json.read(request.body)


class ExactParser(Parser):
    """Lets the library see bodies as this house reads them."""

    def parse_body(self, request: HttpRequest) -> Any:
        return body_of(request)


def answer(value: Any, *, status: int = 200, kind: str = JSON, **headers: str) -> HttpResponse:
    """Return a value as JSON with every digit of its decimals; ``ETag="…"`` sets a header."""
    names = {name.replace("_", "-"): text for name, text in headers.items() if text}
    return HttpResponse(strict_json.written(value), status=status, content_type=kind, headers=names)


def limit_in(request: HttpRequest, name: str) -> int:
    """Return how many rows a page is to have, or refuse more than it can."""
    text = request.GET.get(name, str(USUAL_ROWS))
    if text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= MOST_ROWS:
        return int(text)
    raise bad(
        name,
        text,
        "limit",
        _("A page has 1 to %(most)s rows, not %(value)s."),
        _("Ask for fewer, and follow the link to the next page."),
        most=MOST_ROWS,
    )


# --- cursors --------------------------------------------------------------------------------


def cursor_of(**where: Any) -> str:
    """Return a cursor: where the next page begins, and what it is a page of."""
    return base64.urlsafe_b64encode(json.dumps(where, separators=(",", ":")).encode()).decode().rstrip("=")


def read_cursor(text: str, **kinds: type) -> dict[str, Any]:
    """Return what :func:`cursor_of` wrote; ``kinds`` names its parts and their types."""
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        found = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError):
        found = None
    is_ours = isinstance(found, dict) and set(found) == set(kinds)
    if not is_ours or not all(_can_be(found[name], kind) for name, kind in kinds.items()):
        raise bad(
            "cursor",
            text,
            "cursor",
            _("“%(value)s” is not a cursor."),
            _("Take it from the link to the next page."),
        )
    return cast("dict[str, Any]", found)


def _can_be(part: Any, kind: type) -> bool:
    """Return whether a part of a cursor is of its type and something that the database can look for."""
    if isinstance(part, str):
        return kind is str and len(part) <= _LONGEST_PART and part.isprintable()
    return type(part) is kind


def next_link(request: HttpRequest, cursor: str) -> str:
    """Return the Link header that leads to the next page."""
    query = request.GET.copy()
    query["cursor"] = cursor
    return f'<{request.build_absolute_uri(request.path)}?{query.urlencode()}>; rel="next"'


def refuse_unknown(request: HttpRequest, known: tuple[str, ...]) -> None:
    """Refuse a parameter that nothing reads, instead of answering something else than was asked."""
    for name in request.GET:
        if name not in known:
            raise bad(
                name,
                name,
                "unknown_parameter",
                _("“%(value)s” is not a parameter of this address."),
                _("It has: %(known)s."),
                known=", ".join(known) or "-",
            )


# --- tags -----------------------------------------------------------------------------------


def tags(header: str) -> list[str]:
    """Return the tags of If-Match or If-None-Match; what is none stays as it is and matches nothing.

    Weak ones count as strong: a proxy that packs answers makes them weak, and
    ours name exactly one version either way.
    """
    given = [tag.strip() for tag in header.split(",") if tag.strip()]
    return [(found[1] or tag) if (found := _TAG.fullmatch(tag)) else tag for tag in given]


def is_known(request: HttpRequest, tag: str) -> bool:
    """Return whether the reader has exactly this already."""
    given = tags(request.headers.get("If-None-Match", ""))
    return "*" in given or tag in given


def not_modified(tag: str) -> HttpResponse:
    return HttpResponse(status=304, headers={"ETag": tag})


def wanted(request: HttpRequest, *kinds: str) -> str:
    """Return the first of the kinds that the reader takes."""
    accepted = request.headers.get("Accept", "").strip()
    if not accepted:
        return kinds[0]
    best, kind = 0.0, ""
    for one in kinds:
        quality = max((_quality(part, one) for part in accepted.split(",")), default=0.0)
        if quality > best:
            best, kind = quality, one
    if not kind:
        raise WrongType(406, kinds)
    return kind


def _quality(part: str, kind: str) -> float:
    media, *parameters = (piece.strip() for piece in part.lower().split(";"))
    if media not in (kind, "*/*", f"{kind.partition('/')[0]}/*"):
        return 0.0
    for parameter in parameters:
        name, _equals, text = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(text) - (0.0 if media == kind else 0.0001)
            except ValueError:
                return 0.0
    return 1.0 if media == kind else 0.9999
