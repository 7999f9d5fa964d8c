"""Logging in. Accounts are made by an account admin; nobody signs up."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest


class ClosedAccounts(DefaultAccountAdapter):  # type: ignore[misc]
    """No sign-up, no mail: an account exists because an account admin made it."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send nothing: mail would carry facts about the study out of the hospital."""


def typed_username(request: HttpRequest, credentials: dict[str, Any] | None = None) -> str | None:
    """Return the name a login attempt is for, so that lock-outs count per account."""
    name = (credentials or {}).get("username") or request.POST.get("login")
    return str(name) if name else None
