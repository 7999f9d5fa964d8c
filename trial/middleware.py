"""What holds for every request: readable text, private answers, sessions that end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth import logout
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.http.response import HttpResponseBase, HttpResponseRedirectBase
from django.shortcuts import resolve_url
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _

Answer = Callable[[HttpRequest], HttpResponseBase]

ASKED_BY_THE_PAGE = "X-Background"
"""Header of requests that a page sends by itself, nobody being there necessarily."""

PAGE_POLLS = frozenset({"analytics:freshness", "trial:job"})
"""Addresses that pages ask for by themselves, again and again."""

_SEEN, _BEGUN = "seen_at", "begun_at"
_SEEN_STEP = 30  # seconds; a session row is not written for every request


def headers_on_every_answer(get_response: Answer) -> Answer:
    """Repeat Django's constant headers on what its own middleware refuses: a forged host."""
    constant = {
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": settings.SECURE_REFERRER_POLICY,
        "Cross-Origin-Opener-Policy": settings.SECURE_CROSS_ORIGIN_OPENER_POLICY,
    }

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        for name, value in constant.items():
            response.headers.setdefault(name, value)
        return response

    return middleware


def refuse_unreadable_text(get_response: Answer) -> Answer:
    """Answer 400 to text that no field can hold, before anything looks at it.

    NUL and lone surrogates cannot be stored; U+FFFD is what is left of bytes
    that were no UTF-8.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        for place, text in _texts(request):
            if rule := _unreadable(text):
                return HttpResponse(
                    _("{place} cannot be read: {rule} Go back, remove it and send again.").format(
                        place=place.encode("ascii", "backslashreplace").decode(), rule=rule
                    ),
                    status=400,
                    content_type="text/plain; charset=utf-8",
                )
        return get_response(request)

    return middleware


def _texts(request: HttpRequest) -> Iterable[tuple[str, str]]:
    yield _("The address"), request.path
    for name in (settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME, settings.LANGUAGE_COOKIE_NAME):
        yield _("The cookie “{name}”").format(name=name), request.COOKIES.get(name, "")
    for name, values in request.GET.lists():
        yield _("The address"), name
        for value in values:
            yield _("“{name}” in the address").format(name=name), value
    if request.method not in {"POST", "PUT", "PATCH"}:
        return
    try:
        fields, files = request.POST, request.FILES
    except (UnreadablePostError, UnicodeError):
        yield _("The form"), "\ufffd"
        return
    for name, values in fields.lists():
        yield _("The form"), name
        for value in values:
            yield _("The field “{name}”").format(name=name), str(value)
    for name, uploads in files.lists():
        yield _("The form"), name
        for upload in uploads:
            yield _("The name of the file in “{name}”").format(name=name), upload.name or ""


def _unreadable(text: str) -> str:
    if "\x00" in text:
        return _("it holds the character NUL.")
    if "\ufffd" in text:
        return _("it is not UTF-8.")
    if any("\ud800" <= character <= "\udfff" for character in text):
        return _("it holds half a character.")
    return ""


def end_idle_sessions(get_response: Answer) -> Answer:
    """Sign out who did nothing for 15 minutes, or signed in 12 hours ago.

    What a page asks for by itself does not count as doing something. A part of
    a page, or JSON, is told 401 with the way to the login instead of being
    redirected into it.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        now = int(timezone.now().timestamp())
        if request.user.is_authenticated:
            seen, begun = request.session.get(_SEEN, now), request.session.get(_BEGUN, now)
            if now - seen > settings.SESSION_IDLE_SECONDS or now - begun > settings.SESSION_COOKIE_AGE:
                logout(request)
        response = get_response(request)
        if request.user.is_authenticated and not _asked_by_the_page(request):
            if _BEGUN not in request.session:
                request.session[_BEGUN] = now
            if now - request.session.get(_SEEN, 0) >= _SEEN_STEP:
                request.session[_SEEN] = now
        if _is_redirect_to_login(response) and not _wants_a_page(request):
            return _sign_in_again(request)
        return response

    return middleware


def session_ends_at(request: HttpRequest) -> datetime:
    """Return when this session ends, whatever is done in it."""
    begun = request.session.get(_BEGUN, int(timezone.now().timestamp()))
    return datetime.fromtimestamp(begun + settings.SESSION_COOKIE_AGE, UTC)


def _asked_by_the_page(request: HttpRequest) -> bool:
    match = request.resolver_match
    is_part = request.headers.get("HX-Request") == "true"
    return ASKED_BY_THE_PAGE in request.headers or (
        is_part and match is not None and match.view_name in PAGE_POLLS
    )


def _wants_a_page(request: HttpRequest) -> bool:
    accepts_json = "application/json" in request.headers.get("Accept", "")
    return not (
        request.headers.get("HX-Request") == "true" or ASKED_BY_THE_PAGE in request.headers or accepts_json
    )


def _is_redirect_to_login(response: HttpResponseBase) -> bool:
    return isinstance(response, HttpResponseRedirectBase) and urlsplit(response.url).path == resolve_url(
        settings.LOGIN_URL
    )


def _sign_in_again(request: HttpRequest) -> HttpResponse:
    page = request.headers.get("HX-Current-URL", "")
    if not url_has_allowed_host_and_scheme(page, {request.get_host()}):
        page = ""
    target = urlsplit(page)
    back = f"{target.path}?{target.query}" if target.query else target.path
    response = HttpResponse(_("Please log in again."), status=401, content_type="text/plain; charset=utf-8")
    response["HX-Redirect"] = redirect_to_login(back or "/").url
    return response


def keep_private(get_response: Answer) -> Answer:
    """Let no browser or proxy keep an answer, and wipe what it kept at logout."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        response["Cache-Control"] = "no-store"
        patch_vary_headers(response, ["HX-Request"])
        match = request.resolver_match
        if request.method == "POST" and match is not None and match.view_name == "account_logout":
            response["Clear-Site-Data"] = '"cache", "storage"'
        return response

    return middleware
