"""Logging in. Accounts are made by an account admin; nobody signs up."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter, get_adapter
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from trial.context import nav
from trial.models import User

PLACE = "place"
"""What a session remembers of where it was begun: browser and address."""
SEEN, BEGUN = "seen_at", "begun_at"

_BROWSERS = (
    ("Edge", r"Edg(?:e|A|iOS)?/(\d+)"),
    ("Firefox", r"(?:Firefox|FxiOS)/(\d+)"),
    ("Chrome", r"(?:Chrome|Chromium|CriOS|HeadlessChrome)/(\d+)"),
    ("Safari", r"Version/(\d+).*Safari/"),
)
_SYSTEMS = (
    ("Android", "Android"),
    ("iPad", "iPad"),
    ("iPhone", "iPhone"),
    ("Windows", "Windows"),
    ("macOS", "Mac OS X"),
    ("Linux", "Linux"),
)


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


@dataclass(frozen=True, slots=True)
class Place:
    """A place where somebody is signed in."""

    name: str
    """Names the session on a page without giving it away."""
    browser: str
    address: str
    since: datetime | None
    seen: datetime | None
    is_here: bool


def place_of(request: HttpRequest) -> dict[str, str]:
    """Return what a new session remembers of its browser and address."""
    try:
        address = str(get_adapter(request).get_client_ip(request))
    except PermissionDenied:
        address = ""
    return {"browser": _browser(request.headers.get("User-Agent", "")), "address": address[:45]}


def _browser(said: str) -> str:
    """Return a browser and its system in two words: ``Chrome 141, Windows``."""
    found = next((f"{name} {hit[1]}" for name, how in _BROWSERS if (hit := re.search(how, said))), "")
    system = next((name for name, sign in _SYSTEMS if sign in said), "")
    return ", ".join(part for part in (found, system) if part)


def _live(user: User) -> list[tuple[str, dict[str, Any]]]:
    """Return the live sessions of a person, each with what it remembers.

    A session does not name its person outside its signed content, so all live
    ones are read: as many as people signed in within the last twelve hours.
    """
    now = timezone.now()
    oldest = int(now.timestamp()) - settings.SESSION_IDLE_SECONDS
    found = []
    for row in Session.objects.filter(expire_date__gt=now).iterator():
        kept = row.get_decoded()
        if kept.get(SESSION_KEY) == str(user.pk) and kept.get(SEEN, oldest) >= oldest:
            found.append((row.session_key, kept))
    return found


def places(user: User, here: str) -> list[Place]:
    """Return where a person is signed in, this place first, then the last seen."""
    found = [
        Place(
            name=_name(key),
            browser=str(kept.get(PLACE, {}).get("browser", "")),
            address=str(kept.get(PLACE, {}).get("address", "")),
            since=_moment(kept.get(BEGUN)),
            seen=_moment(kept.get(SEEN)),
            is_here=key == here,
        )
        for key, kept in _live(user)
    ]
    return sorted(found, key=lambda one: (not one.is_here, -(one.seen.timestamp() if one.seen else 0)))


def _moment(seconds: Any) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if isinstance(seconds, int) else None


def _name(key: str) -> str:
    return hashlib.sha256(f"session {key}".encode()).hexdigest()[:20]


def other_sessions(user: User, here: str) -> list[str]:
    """Return the keys of this person's live sessions except the one they ask from."""
    return [key for key, _kept in _live(user) if key != here]


def end_session(user: User, name: str) -> bool:
    """Sign this person out of one of their places; return whether it was still there."""
    keys = [key for key, _kept in _live(user) if _name(key) == name]
    return bool(Session.objects.filter(session_key__in=keys).delete()[0])


def end_other_sessions(user: User, here: str) -> int:
    """Sign this person out everywhere else and return from how many places."""
    keys = other_sessions(user, here)
    Session.objects.filter(session_key__in=keys).delete()
    return len(keys)
