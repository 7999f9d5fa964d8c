"""Views whose numbers and label come from one moment."""

from __future__ import annotations

from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponseBase

from analytics import selectors
from trial.roles import View


def at_one_moment(view: View) -> View:
    """Let everything a view reads be as of one moment.

    A run may land between two queries: then a page could show old numbers under
    the label of the new run. Inside one snapshot it cannot. The view writes nothing.
    """

    @wraps(view)
    def steady(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        with selectors.one_moment():
            return view(request, *args, **kwargs)

    return steady
