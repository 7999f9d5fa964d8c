"""Logging in. Accounts are made by an account admin; nobody signs up."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from trial.context import nav
from trial.models import User


class ClosedAccounts(DefaultAccountAdapter):  # type: ignore[misc]
    """No sign-up, no mail: an account exists because an account admin made it."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def get_login_redirect_url(self, request: HttpRequest) -> str:
        """Return the first place this person may open; an account admin has none but the account."""
        places = nav(request.user)
        return places[0].url if places else reverse("trial:account")

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send nothing: mail would carry facts about the study out of the hospital."""


def typed_username(request: HttpRequest, credentials: dict[str, Any] | None = None) -> str | None:
    """Return the name a login attempt is for, so that lock-outs count per account."""
    name = (credentials or {}).get("username") or request.POST.get("login")
    return str(name) if name else None


def other_sessions(user: User, here: str) -> list[str]:
    """Return the keys of this person's live sessions except the one they ask from.

    A session does not name its person outside its signed content, so all live
    ones are read: as many as people signed in within the last twelve hours.
    """
    wanted = str(user.pk)
    live = Session.objects.filter(expire_date__gt=timezone.now()).exclude(session_key=here)
    return [row.session_key for row in live.iterator() if row.get_decoded().get(SESSION_KEY) == wanted]


def end_other_sessions(user: User, here: str) -> int:
    """Sign this person out everywhere else and return from how many places."""
    keys = other_sessions(user, here)
    Session.objects.filter(session_key__in=keys).delete()
    return len(keys)
