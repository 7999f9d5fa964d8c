"""The one door of the API. The library behind it is loaded when the first program knocks."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt

if TYPE_CHECKING:
    from django.urls import URLResolver


@cache
def _addresses() -> URLResolver:
    from django.urls.resolvers import RoutePattern, URLResolver

    from analytics.api.app import api

    patterns, _app, _namespace = api.urls
    return URLResolver(RoutePattern(""), patterns)


# no cookie is looked at (trial.middleware), so there is nothing that another site's page could use
@csrf_exempt
def door(request: HttpRequest, rest: str = "") -> HttpResponseBase:
    """Answer a program."""
    match = _addresses().resolve(rest)
    # who may GET may HEAD: the server leaves the body out
    asked = request.method
    if asked == "HEAD":
        request.method = "GET"
    try:
        answer: HttpResponseBase = match.func(request, *match.args, **match.kwargs)
    finally:
        request.method = asked
    return answer
