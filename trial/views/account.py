"""A person's own account, and the list of shortcuts."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from trial.roles import Permission, requires


@requires(Permission.USE_ACCOUNT)
def account(request: HttpRequest) -> HttpResponse:
    """Show who is signed in and what they may do."""
    return render(request, "trial/account.html", {"place": "account"})


@requires(Permission.USE_ACCOUNT)
def shortcuts(request: HttpRequest) -> HttpResponse:
    """List the keys."""
    return render(request, "trial/shortcuts.html", {})
