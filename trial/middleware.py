"""What holds for every request: readable text, private answers, sessions that end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.views import redirect_to_login
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
    UnreadablePostError,
)
from django.http.response import HttpResponseBase, HttpResponseRedirectBase
from django.shortcuts import redirect, render, resolve_url
from django.template import loader
from django.utils import timezone, translation
from django.utils.cache import patch_vary_headers
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _

from trial import accounts, drafts, filled_page, problem_details, typed
from trial.address import NotOffered
from trial.models import User
from trial.refusals import Moved

Answer = Callable[[HttpRequest], HttpResponseBase]

ASKED_BY_THE_PAGE = "X-Background"
"""Header of requests that a page sends by itself, nobody being there necessarily."""

PAGE_POLLS = frozenset({"analytics:freshness", "trial:job"})
"""Addresses that pages ask for by themselves, again and again."""

SENT_BY_SCRIPT = "X-Form"
"""Header of a form that the page's script sends: it is told where to go instead of being sent there."""

LEADS_TO = "X-Location"
"""Header of the answer to such a form: the page that the save leads to."""

WHOSE_PAGE = "X-Person"
"""Header that says for whom the page was made that asks; another person's session does not answer it."""

_SEEN, _BEGUN = accounts.SEEN, accounts.BEGUN
_SEEN_STEP = 30  # seconds; a session row is not written for every request

METHODS = ("GET", "HEAD", "POST")
"""What a browser's links and forms send."""

METHODS_OF_PROGRAMS = (*METHODS, "PUT")
"""What the API knows besides."""


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


def refuse_other_methods(get_response: Answer) -> Answer:
    """Answer 405 to what no page knows, before a view takes it for a GET; who refused it, a person reads why."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        known = METHODS_OF_PROGRAMS if _is_from_a_program(request) else METHODS
        response = get_response(request) if request.method in known else HttpResponseNotAllowed(known)
        if isinstance(response, HttpResponseNotAllowed) and not _is_from_a_program(request):
            _say_what_is_allowed(request, response)
        return response

    return middleware


def _say_what_is_allowed(request: HttpRequest, response: HttpResponse) -> None:
    allowed = [method.strip() for method in response["Allow"].split(",")]
    context = {
        "method": typed.printable(request.method or ""),
        "allowed": ", ".join(allowed),
        "is_for_forms": "GET" not in allowed,
    }
    # no session is looked at: it may be none of ours that asks
    with translation.override(translation.get_language_from_request(request)):
        response.content = loader.render_to_string("405.html", context).encode()
    # what was empty has been measured already
    response["Content-Length"] = str(len(response.content))


def _is_from_a_program(request: HttpRequest) -> bool:
    return request.path_info.startswith(problem_details.API)


def answer_programs(get_response: Answer) -> Answer:
    """Speak with programs as programs: no cookies, and every error as problem details.

    A cookie would let a page of another site act for whoever is signed in; the
    API takes tokens only, so that none is even looked at.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if not _is_from_a_program(request):
            return get_response(request)
        request.META.pop("HTTP_COOKIE", None)
        for name in (WHOSE_PAGE, SENT_BY_SCRIPT, ASKED_BY_THE_PAGE, "HX-Request"):
            request.META.pop(f"HTTP_{name.upper().replace('-', '_')}", None)
        response = get_response(request)
        response.cookies.clear()
        if response.status_code >= 400 and "json" not in response.get("Content-Type", ""):
            kept = {name: response[name] for name in ("Allow", "Retry-After") if name in response}
            with translation.override(translation.get_language_from_request(request)):
                # what a middleware refused is said in plain text; a page of the site is none of a program's business
                is_text = response.get("Content-Type", "").startswith("text/plain")
                detail = response.content.decode() if is_text and isinstance(response, HttpResponse) else ""
                response = problem_details.answer(request, response.status_code, detail=detail, headers=kept)
        patch_vary_headers(response, ["Accept", "Accept-Language", "Authorization"])
        return response

    return middleware


def refuse_unreadable_text(get_response: Answer) -> Answer:
    """Answer 400 to text that no field can hold, before anything looks at it.

    NUL and lone surrogates cannot be stored; U+FFFD is what is left of bytes
    that were no UTF-8.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        # no session is looked at before: its cookie may be what cannot be read
        with translation.override(translation.get_language_from_request(request)):
            said = _what_is_unreadable(request)
            if said and not _is_from_a_program(request) and _wants_a_page(request):
                page = loader.render_to_string("400.html", {"said": said})
                return HttpResponse(page, status=400)
        if said:
            return HttpResponse(said, status=400, content_type="text/plain; charset=utf-8")
        return get_response(request)

    return middleware


def _what_is_unreadable(request: HttpRequest) -> str:
    for place, text in _texts(request):
        if rule := _unreadable(text):
            return _("{place} cannot be read: {rule} Go back, remove it and send again.").format(
                place=place.encode("utf-8", "backslashreplace").decode(), rule=rule
            )
    return ""


def _texts(request: HttpRequest) -> Iterable[tuple[str, str]]:
    yield _("The address"), request.path
    for name in (settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME, settings.LANGUAGE_COOKIE_NAME):
        yield _("The cookie “{name}”").format(name=name), request.COOKIES.get(name, "")
    for name, values in request.GET.lists():
        yield _("The address"), name
        for value in values:
            yield _("“{name}” in the address").format(name=name), value
    # what a program sends is read once, by the reader of JSON
    if request.method not in {"POST", "PUT", "PATCH"} or _is_from_a_program(request):
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


class _NotSaved(HttpResponseRedirect):
    """Leads to where a form goes on; its draft stays."""


def follow_what_moved(get_response: Answer) -> Answer:
    """Lead a reader from a name that was given up to the one that stands for it, with what they typed.

    What was sent to the old name is not sent on: its sender looks at the record first.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        return get_response(request)

    def process_exception(request: HttpRequest, error: Exception) -> HttpResponseBase | None:
        if not isinstance(error, Moved):
            return None
        person = request.user if request.user.is_authenticated else None
        if request.method in {"GET", "HEAD"}:
            if person is not None:
                drafts.hand_over(person, old=error.old, new=error.new)
            return redirect(request.get_full_path().replace(error.old, error.new, 1))
        is_form = SENT_BY_SCRIPT in request.headers or _wants_a_page(request)
        draft = drafts.of_form(request, person) if person is not None and is_form else None
        if person is None or draft is None:
            return HttpResponse(
                _("{old} is {new} now; nothing was saved. Open {new} and enter it there.").format(
                    old=error.old, new=error.new
                ),
                status=409,
                content_type="text/plain; charset=utf-8",
            )
        drafts.hand_over(person, old=error.old, new=error.new)
        draft.refresh_from_db()
        is_there = f"/{error.new}/" in draft.path
        said = (
            _("{old} is {new} now; nothing was saved yet. What you typed stands here: look, then save.")
            if is_there
            else _("{old} is {new} now; nothing was saved. Open {new} and enter it there.")
        )
        messages.warning(request, said.format(old=error.old, new=error.new))
        return _NotSaved(drafts.address(draft))

    middleware.process_exception = process_exception  # type: ignore[attr-defined]
    return middleware


def say_what_is_not_offered(get_response: Answer) -> Answer:
    """Answer 400 to a word of the address that names nothing, with what there is and the way to the page without it."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        return get_response(request)

    def process_exception(request: HttpRequest, error: Exception) -> HttpResponseBase | None:
        if not isinstance(error, NotOffered):
            return None
        rest = request.GET.copy()
        rest.pop(error.problem.field, None)
        without = f"{request.path}?{rest.urlencode()}" if rest else request.path
        context = {"problem": error.problem, "without": without}
        return render(request, "not_offered.html", context, status=400)

    middleware.process_exception = process_exception  # type: ignore[attr-defined]
    return middleware


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
        if _is_anothers_page(request):
            return _sign_in_again(request)
        response = get_response(request)
        if request.user.is_authenticated and not _asked_by_the_page(request):
            if _BEGUN not in request.session:
                request.session[_BEGUN] = now
                request.session[accounts.PLACE] = accounts.place_of(request)
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


def seconds_left(request: HttpRequest) -> int:
    """Return after how many seconds without a person's doing this session ends."""
    now = int(timezone.now().timestamp())
    idle = now - int(request.session.get(_SEEN, now))
    age = now - int(request.session.get(_BEGUN, now))
    return max(0, min(settings.SESSION_IDLE_SECONDS - idle, settings.SESSION_COOKIE_AGE - age))


def keep_what_is_typed(get_response: Answer) -> Answer:
    """Let no form of the study be lost to a session that ended, and no draft outlive its save.

    A form that arrives after its session is parked for the person whose session
    it was, and the login leads back to it. A form that was saved takes its draft
    with it. A page made for one person is not answered in another's session.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        owner = _whose(request) if request.method == "POST" else None
        response = get_response(request)
        if request.method == "POST":
            if _leads_to_login(response):
                return _parked(request, response, owner)
            if isinstance(response, HttpResponseRedirectBase):
                return _saved(request, response)
        elif drafts.ASKED_FOR in request.GET and response.status_code == 200:
            _fill(request, response)
        return response

    return middleware


def _whose(request: HttpRequest) -> User | None:
    """Return whose session a request belongs to, or belonged to until it ended."""
    if request.user.is_authenticated:
        return request.user
    return drafts.owner_of_session(request.COOKIES.get(settings.SESSION_COOKIE_NAME, ""))


def _leads_to_login(response: HttpResponseBase) -> bool:
    return response.status_code == 401 or _is_redirect_to_login(response)


def _parked(request: HttpRequest, response: HttpResponseBase, owner: User | None) -> HttpResponseBase:
    # a script keeps the page and sends the form again; a signed-in person is somebody else's page
    if owner is None or request.user.is_authenticated or not _wants_a_page(request):
        return response
    draft = drafts.park(request, owner)
    return response if draft is None else redirect_to_login(drafts.address(draft))


def _saved(request: HttpRequest, response: HttpResponseRedirectBase) -> HttpResponseBase:
    if request.user.is_authenticated and not isinstance(response, _NotSaved):
        drafts.forget(request, request.user)
    if SENT_BY_SCRIPT not in request.headers:
        return response
    told = HttpResponse(status=204)
    told.cookies = response.cookies
    told[LEADS_TO] = response.url
    return told


def _fill(request: HttpRequest, response: HttpResponseBase) -> None:
    if not isinstance(response, HttpResponse) or not request.user.is_authenticated:
        return
    draft = drafts.asked_for(request, request.user)
    if draft is None or not response.get("Content-Type", "").startswith("text/html"):
        return
    page = filled_page.fill(response.content.decode(), draft.fields)
    if page is not None:
        response.content = page.encode()


def _is_anothers_page(request: HttpRequest) -> bool:
    made_for = request.headers.get(WHOSE_PAGE, "")
    return bool(made_for) and made_for != str(request.user.pk)


def _asked_by_the_page(request: HttpRequest) -> bool:
    match = request.resolver_match
    is_part = request.headers.get("HX-Request") == "true"
    return ASKED_BY_THE_PAGE in request.headers or (
        is_part and match is not None and match.view_name in PAGE_POLLS
    )


def _wants_a_page(request: HttpRequest) -> bool:
    accepts_json = "application/json" in request.headers.get("Accept", "")
    is_part = request.headers.get("HX-Request") == "true"
    return not (
        is_part
        or accepts_json
        or any(name in request.headers for name in (ASKED_BY_THE_PAGE, SENT_BY_SCRIPT))
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
