"""Parts of pages that follow the results: how fresh they are, and what a revision moved."""

from __future__ import annotations

import json

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from analytics import crossings, moved, selectors
from trial import address, last_look
from trial.clock import zone
from trial.roles import Permission, requires


@requires(Permission.VIEW_CLINICAL)
@never_cache
@require_safe
def freshness(request: HttpRequest) -> HttpResponse:
    """Say how the results stand to the data.

    ``shown`` is the revision whose results the page has; when there are newer ones the
    answer carries the event on which live sections read themselves again.
    """
    now = selectors.freshness()
    response = render(request, "analytics/_freshness.html", {"freshness": now})
    shown = request.GET.get("shown", "")
    if shown.isascii() and shown.isdigit() and now.run_at is not None and int(shown) != now.shown:
        response.headers["HX-Trigger"] = json.dumps({"results-changed": {"revision": now.shown}})
    return response


@requires(Permission.VIEW_AUDIT)
@never_cache
@require_safe
def revision_moved(request: HttpRequest, number: int) -> HttpResponse:
    """Show which scores and cells a revision moved, once it is in the results."""
    found = moved.by_revision(number, request.user, everything=address.is_on(request.GET, "all"))
    if found is None:
        raise Http404
    return render(request, "analytics/_moved.html", {"moved": found, "number": number})


@requires(Permission.VIEW_ANALYSIS)
@never_cache
@require_safe
def since_last_look(request: HttpRequest) -> HttpResponse:
    """Show which comparisons crossed 0.05 since the reader was last at Today; a part of it, or a page."""
    found = crossings.since(last_look.last(request.user))
    site = request.user.site
    context = {
        "place": "today",
        "found": found,
        "zone": zone(site) if site else None,
        "is_part": "HX-Request" in request.headers,
    }
    template = "analytics/_crossings.html" if context["is_part"] else "analytics/crossings.html"
    return render(request, template, context)
