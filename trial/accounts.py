"""Logging in. Accounts are made by an account admin; nobody signs up."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter, get_adapter
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from axes.models import AccessAttempt
from axes.utils import reset
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Sum
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from trial import audit, roles
from trial.context import nav
from trial.models import AccountEvent, User

PLACE = "place"
"""What a session remembers of where it was begun: browser and address."""
SEEN, BEGUN = "seen_at", "begun_at"
MUST_CHOOSE = roles.MUST_CHOOSE

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


_LOGGED = {
    "mfa/email/totp_activated": AccountEvent.Kind.CODES_ON,
    "mfa/email/totp_deactivated": AccountEvent.Kind.CODES_OFF,
}


class ClosedAccounts(DefaultAccountAdapter):  # type: ignore[misc]
    """No sign-up, no mail: an account exists because an account admin made it."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def get_login_redirect_url(self, request: HttpRequest) -> str:
        """Return the first place this person may open; an account admin has none but the account."""
        if request.session.get(MUST_CHOOSE):
            return reverse("account_change_password")
        places = nav(request.user)
        return places[0].url if places else reverse("trial:account")

    def login(self, request: HttpRequest, user: User) -> None:
        """Begin a session; with a password that somebody else gave, it opens nothing but the choice of another."""
        super().login(request, user)
        if has_foreign_password(user):
            request.session[MUST_CHOOSE] = True

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        """Return where a person goes on: to the account, where a second step can be set up."""
        return reverse("trial:account")

    def set_password(self, user: User, password: str) -> None:
        """Keep the password that a person chose, and that it was chosen."""
        with transaction.atomic():
            super().set_password(user, password)
            AccountEvent.objects.create(account=user, by=user, kind=AccountEvent.Kind.PASSWORD_CHANGED)
        if self.request is not None:
            self.request.session.pop(MUST_CHOOSE, None)

    def send_notification_mail(
        self,
        template_prefix: str,
        user: User,
        context: dict[str, Any] | None = None,
        email: str | None = None,
    ) -> None:
        """Log what the library would tell by mail."""
        kind = _LOGGED.get(template_prefix)
        if kind is not None:
            AccountEvent.objects.create(account=user, by=user, kind=kind)

    def forget_attempts(self, request: HttpRequest, user: User) -> None:
        """Forget the wrong passwords that the library counted for an account."""
        self._delete_login_attempts_cached_email(request, username=user.get_username())

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send nothing: mail would carry facts about the study out of the hospital."""


class CodesOfAnApp(DefaultMFAAdapter):  # type: ignore[misc]
    """The second step says what to do about a code that does not fit."""

    error_messages = DefaultMFAAdapter.error_messages | {
        "incorrect_code": _(
            "Neither the code of this moment nor an unused recovery code. A code of the app holds for half a"
            " minute, once: type the next one; if none fits, set the clock of the telephone to automatic."
        )
    }


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


# --- what an account admin sees and takes away ----------------------------------------------


def has_foreign_password(user: User) -> bool:
    """Return whether somebody else gave this person the password, who has chosen none since."""
    kinds = AccountEvent.Kind
    newest = (
        AccountEvent.objects.filter(
            account=user, kind__in=[kinds.CREATED, kinds.PASSWORD_RESET, kinds.PASSWORD_CHANGED]
        )
        .select_related("by")
        .order_by("-id")
        .first()
    )
    return newest is not None and newest.by_id != user.pk and newest.by.username != audit.SERVICE_ACCOUNT


def locked_out() -> set[str]:
    """Return the names that wait after too many wrong passwords."""
    since = timezone.now() - timedelta(hours=settings.AXES_COOLOFF_TIME)
    attempts = (
        AccessAttempt.objects.filter(attempt_time__gte=since)
        .order_by()
        .values("username")
        .annotate(failures=Sum("failures_since_start"))
        .filter(failures__gte=settings.AXES_FAILURE_LIMIT)
    )
    return {str(attempt["username"]) for attempt in attempts}


def forget_failures(user: User) -> bool:
    """Forget the wrong passwords typed for an account; return whether there were any."""
    return bool(reset(username=user.get_username()))


def forget_attempts(request: HttpRequest, user: User) -> None:
    """Forget the same in the login library, which counts for itself for some minutes."""
    get_adapter(request).forget_attempts(request, user)


def second_steps() -> set[int]:
    """Return the accounts that sign in with a code as well."""
    return set(Authenticator.objects.filter(type=Authenticator.Type.TOTP).values_list("user_id", flat=True))


def forget_second_step(user: User) -> bool:
    """Take the authenticator and the recovery codes of an account away; return whether there was one."""
    return bool(Authenticator.objects.filter(user=user).delete()[0])
