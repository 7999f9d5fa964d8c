"""Errors as programs read them: RFC 9457 problem details, and OperationOutcome where FHIR is spoken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext, gettext_noop

from trial import strict_json
from trial.refusals import Problem

API = "/api/"
FHIR = "/api/v1/fhir"
PROBLEM_JSON, FHIR_JSON = "application/problem+json", "application/fhir+json"
RULES = "urn:cordline:rule"

_TITLES: Mapping[int, str] = MappingProxyType(
    {
        308: gettext_noop("It has another name now."),
        400: gettext_noop("The request cannot be read."),
        401: gettext_noop("A valid token is needed."),
        403: gettext_noop("This token may not do that."),
        404: gettext_noop("There is no such thing here."),
        405: gettext_noop("This address does not know the method."),
        406: gettext_noop("It cannot be had in that form."),
        409: gettext_noop("What is stored says something else."),
        412: gettext_noop("It has changed since it was read."),
        413: gettext_noop("The request is too large."),
        415: gettext_noop("The body is not of a type that is read here."),
        422: gettext_noop("Nothing was saved: something cannot be."),
        428: gettext_noop("Say which version is to be changed."),
        429: gettext_noop("Too many wrong tokens came from there. Wait a minute."),
        500: gettext_noop("The server made a mistake. Nothing was saved."),
        503: gettext_noop("The database is away for a moment. Send it again."),
    }
)
_ISSUE_TYPES: Mapping[int, str] = MappingProxyType(
    {
        400: "structure",
        401: "login",
        403: "forbidden",
        404: "not-found",
        405: "not-supported",
        406: "not-supported",
        409: "conflict",
        412: "conflict",
        413: "too-long",
        415: "not-supported",
        422: "business-rule",
        428: "conflict",
        429: "throttled",
        500: "exception",
        503: "transient",
    }
)


def speaks_fhir(request: HttpRequest) -> bool:
    """Return whether an address is one of those that answer in FHIR."""
    return request.path_info.startswith(FHIR)


def title(status: int) -> str:
    """Return what a status means here, in the reader's language."""
    return gettext(_TITLES.get(status, _TITLES[400] if status < 500 else _TITLES[500]))


def answer(
    request: HttpRequest,
    status: int,
    *,
    problems: Iterable[Problem] = (),
    detail: str = "",
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> HttpResponse:
    """Return an error in the form and the language of whoever asked.

    Parameters
    ----------
    status
        Of the answer.
    problems
        Each with place (``field``), value, rule and remedy.
    detail
        What holds for the whole request, translated.
    more
        Further members of the problem, such as both sides of a conflict.
    """
    problems = list(problems)
    if speaks_fhir(request):
        content = outcome(status, problems, detail=detail)
        kind = FHIR_JSON
    else:
        content, kind = details(status, problems, detail=detail, **more), PROBLEM_JSON
    return HttpResponse(strict_json.written(content), status=status, content_type=kind, headers=headers)


def details(status: int, problems: list[Problem], *, detail: str = "", **more: Any) -> dict[str, Any]:
    """Return problem details."""
    rules = {problem.rule for problem in problems}
    kind = rules.pop() if len(rules) == 1 else ""
    return {
        "type": f"{RULES}:{kind}" if kind else "about:blank",
        "title": title(status),
        "status": status,
        "detail": detail or " ".join(problem.in_words for problem in problems[:3]),
        "errors": [said(problem) for problem in problems],
        **more,
    }


def said(problem: Problem) -> dict[str, str]:
    """Return one problem: its place as a JSON pointer, the value, the rule, and how to mend it."""
    return {
        "place": problem.field,
        "value": problem.value,
        "rule": problem.rule,
        "message": problem.sentence.said(gettext),
        "remedy": problem.remedy.said(gettext),
    }


def outcome(
    status: int, problems: list[Problem], *, detail: str = "", severity: str = "error"
) -> dict[str, Any]:
    """Return an OperationOutcome with one issue for each problem."""
    kind = _ISSUE_TYPES.get(status, "processing")
    issues: list[dict[str, Any]] = [
        {
            "severity": severity,
            "code": kind,
            "details": {
                "coding": [{"system": RULES, "code": problem.rule}],
                "text": problem.in_words,
            },
            **({"diagnostics": problem.value} if problem.value.strip() else {}),
            **({"expression": [problem.field]} if problem.field else {}),
        }
        for problem in problems
    ]
    if not issues:
        text = " ".join(part for part in (title(status), detail) if part)
        issues = [{"severity": severity, "code": kind, "details": {"text": text}}]
    return {"resourceType": "OperationOutcome", "issue": issues}
