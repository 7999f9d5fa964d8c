"""The place of infusions: what is planned and due, lots, what was given lately."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from infusions import pages
from trial.roles import Permission, requires


@requires(Permission.VIEW_CLINICAL)
@require_safe
def place(request: HttpRequest) -> HttpResponse:
    """Show what is planned and due, what was given lately and which lots there are."""
    return render(request, "infusions/list.html", pages.place(request.user, request.GET))
