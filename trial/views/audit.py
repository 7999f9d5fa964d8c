"""The trail on screen: every revision, and one revision as a diff."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from trial.roles import Permission, requires


@requires(Permission.VIEW_AUDIT)
def audit_log(request: HttpRequest) -> HttpResponse:
    """List the revisions, newest first."""
    return render(request, "trial/audit.html", {"place": "audit"})


@requires(Permission.VIEW_AUDIT)
def revision(request: HttpRequest, number: int) -> HttpResponse:
    """Show one revision as a diff."""
    return render(request, "trial/revision.html", {"place": "audit", "number": number})
