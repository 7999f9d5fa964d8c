"""What goes wrong, as programs are told: one handler for each kind, in words with place, value, rule and remedy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError

from analytics.api.security import CHALLENGE, WHILE_SECONDS, NotAllowed, NoToken, TooManyWrongTokens
from trial import problem_details, typed
from trial.refusals import Clash, Moved, Problem, Refused
from trial.sentences import Sentence
from trial.typed import Unreadable


def _(message: str) -> str:
    """Mark a sentence for translation; it is translated when it is said."""
    return message


class BadRequest(Exception):
    """Something of the address, the headers or the body cannot be read; nothing was looked up."""

    def __init__(self, problem: Problem, status: int = 400) -> None:
        self.problem, self.status = problem, status
        super().__init__(problem.rule)


class WrongType(Exception):
    """The body is not JSON, or nothing that is asked for can be had."""

    def __init__(self, status: int, types: Sequence[str]) -> None:
        self.status, self.types = status, types
        super().__init__(", ".join(types))


class Standing(Exception):
    """What is sent differs from what is stored, and the sender did not say that it replaces it."""

    def __init__(self, clashes: Iterable[tuple[str, Clash]]) -> None:
        self.clashes = list(clashes)
        super().__init__(len(self.clashes))


class Changed(Exception):
    """The version that was read is not the one that is stored; ``now`` is the tag of that one."""

    def __init__(self, now: str) -> None:
        self.now = now
        super().__init__(now)


class VersionNeeded(Exception):
    """A change of something stored does not say which version it changes."""

    def __init__(self, now: str) -> None:
        self.now = now
        super().__init__(now)


def bad(
    place: str, value: object, rule: str, sentence: str, remedy: str, *, status: int = 400, **gaps: Any
) -> BadRequest:
    """Return the refusal of one part of a request."""
    shown = typed.printable(str(value))
    return BadRequest(
        Problem(
            place,
            shown,
            rule,
            Sentence(sentence, {"value": shown, **gaps}),
            Sentence(remedy, {"value": shown, **gaps}),
        ),
        status,
    )


Handler = Callable[[HttpRequest, Any], HttpResponse]


def install(api: NinjaAPI) -> None:
    """Let an API answer every refusal as this module says it."""
    handlers: dict[type[Exception], Handler] = {
        NoToken: _no_token,
        NotAllowed: _not_allowed,
        TooManyWrongTokens: _too_many,
        Http404: lambda request, _error: problem_details.answer(request, 404),
        Moved: _moved,
        BadRequest: lambda request, error: problem_details.answer(
            request, error.status, problems=[error.problem]
        ),
        WrongType: _wrong_type,
        RequestDataTooBig: lambda request, _error: problem_details.answer(request, 413),
        Unreadable: _unreadable,
        Refused: lambda request, error: problem_details.answer(request, 422, problems=error.problems),
        Standing: _standing,
        Changed: _changed,
        VersionNeeded: _version_needed,
        HttpError: _of_the_library,
        ValidationError: _invalid,
    }
    for kind, handler in handlers.items():
        api.add_exception_handler(kind, handler)


def _no_token(request: HttpRequest, _error: NoToken) -> HttpResponse:
    return problem_details.answer(
        request,
        401,
        detail=gettext("Send “Authorization: Bearer” with a token of your account that is still valid."),
        headers={"WWW-Authenticate": CHALLENGE},
    )


def _not_allowed(request: HttpRequest, error: NotAllowed) -> HttpResponse:
    return problem_details.answer(
        request,
        403,
        detail=gettext("The token or its owner lacks “%(right)s”.") % {"right": error.missing},
        headers={"WWW-Authenticate": f'{CHALLENGE}, error="insufficient_scope"'},
    )


def _too_many(request: HttpRequest, _error: TooManyWrongTokens) -> HttpResponse:
    return problem_details.answer(request, 429, headers={"Retry-After": str(WHILE_SECONDS)})


def _moved(request: HttpRequest, error: Moved) -> HttpResponse:
    problem = Problem(
        "subject",
        error.old,
        "merged",
        Sentence(_("%(old)s is %(new)s now."), {"old": error.old, "new": error.new}),
        Sentence(_("Use that code.")),
    )
    if request.method == "GET":
        there = request.get_full_path().replace(error.old, error.new, 1)
        return problem_details.answer(request, 308, problems=[problem], headers={"Location": there})
    return problem_details.answer(request, 409, problems=[problem])


def _wrong_type(request: HttpRequest, error: WrongType) -> HttpResponse:
    return problem_details.answer(
        request,
        error.status,
        detail=gettext("Possible: %(types)s.") % {"types": ", ".join(error.types)},
    )


def _unreadable(request: HttpRequest, error: Unreadable) -> HttpResponse:
    problem = Problem("", error.value, error.rule, error.sentence, error.remedy)
    return problem_details.answer(request, 400, problems=[problem])


def differs(place: str, clash: Clash, remedy: str) -> Problem:
    """Return that a stored value is another one, and how it is replaced."""
    both = {"field": clash.field, "theirs": clash.theirs, "mine": clash.mine}
    sentence = Sentence(_("%(field)s is %(theirs)s here; %(mine)s was sent."), both)
    return Problem(place, clash.mine, "stored_differs", sentence, Sentence(remedy))


def _standing(request: HttpRequest, error: Standing) -> HttpResponse:
    remedy = _("Send it with “overwrite” and a coded reason if it replaces what is here.")
    problems = [differs(place, clash, remedy) for place, clash in error.clashes]
    both = [
        {"place": place, "field": clash.field, "mine": clash.mine, "theirs": clash.theirs}
        for place, clash in error.clashes
    ]
    return problem_details.answer(request, 409, problems=problems, conflicts=both)


def _changed(request: HttpRequest, error: Changed) -> HttpResponse:
    return problem_details.answer(
        request,
        412,
        detail=gettext("Read it again, then send the change with the new tag."),
        headers={"ETag": error.now} if error.now else {},
    )


def _version_needed(request: HttpRequest, error: VersionNeeded) -> HttpResponse:
    return problem_details.answer(
        request,
        428,
        detail=gettext("Send “If-Match” with the tag that reading it gave."),
        headers={"ETag": error.now},
    )


def _of_the_library(request: HttpRequest, error: HttpError) -> HttpResponse:
    cause = error.__cause__
    if isinstance(cause, Unreadable):
        return _unreadable(request, cause)
    if isinstance(cause, WrongType):
        return _wrong_type(request, cause)
    return problem_details.answer(request, error.status_code)


_RULES = {"missing": _("It is missing."), "extra_forbidden": _("Nothing of this name is read here.")}


def _invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    in_body = any(found["loc"][:1] == ("body",) for found in error.errors)
    problems = [
        Problem(
            _pointer(found["loc"]),
            "",
            str(found["type"]),
            Sentence(_RULES[found["type"]])
            if found["type"] in _RULES
            else Sentence(_("It is not what is expected here: %(what)s."), {"what": found["msg"]}),
            Sentence(_("Compare it with the description of the API.")),
        )
        for found in error.errors[:100]
    ]
    return problem_details.answer(request, 422 if in_body else 400, problems=problems)


def _pointer(location: Sequence[Any]) -> str:
    """Return where in the request something is: a JSON pointer into the body, or the name of a parameter."""
    source, *parts = location
    if source != "body":
        return ".".join(str(part) for part in parts)
    # the first part is what our function calls the body
    return "".join(f"/{typed.printable(str(part))}" for part in parts[1:])
