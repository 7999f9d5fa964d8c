"""Proving once more who one is, at the moment of signing: never by the session alone.

Both components count in the lock-out of the login: wrong passwords and wrong
codes alike, per account and address.
"""

from __future__ import annotations

from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP
from axes.handlers.proxy import AxesProxyHandler
from django.contrib.auth import authenticate
from django.http import HttpRequest

from trial.models import User
from trial.refusals import refuse
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


class LockedOut(Exception):
    """Too many wrong attempts: the account has to wait."""


def needs_code(user: User) -> bool:
    """Return whether this person signs in with a code as well."""
    return bool(Authenticator.objects.filter(user=user, type=Authenticator.Type.TOTP).exists())


def prove(request: HttpRequest, *, user: User, password: str, code: str = "") -> None:
    """Check password, and code where the account has one.

    Raises
    ------
    LockedOut
        After too many wrong attempts; the right password does not help before the time is over.
    Refused
        If the password or the code is wrong.
    """
    credentials = {"username": user.get_username()}
    if not AxesProxyHandler.is_allowed(request, credentials):
        raise LockedOut
    found = authenticate(request, username=user.get_username(), password=password) if password else None
    if found is None or found.pk != user.pk:
        if not password:
            AxesProxyHandler.user_login_failed(sender=__name__, credentials=credentials, request=request)
        _refuse_when_locked(request, credentials)
        raise refuse(
            "password",
            "",
            "password",
            Sentence(_("The password is not right.")),
            Sentence(_("Type the password of your own account.")),
        )
    authenticator = Authenticator.objects.filter(user=user, type=Authenticator.Type.TOTP).first()
    if authenticator is not None and not (code and TOTP(authenticator).validate_code(code.strip())):
        AxesProxyHandler.user_login_failed(sender=__name__, credentials=credentials, request=request)
        _refuse_when_locked(request, credentials)
        raise refuse(
            "code",
            "",
            "code",
            Sentence(_("The code is not right, or was used already.")),
            Sentence(_("Type the newest code of your authenticator.")),
        )


def _refuse_when_locked(request: HttpRequest, credentials: dict[str, str]) -> None:
    if not AxesProxyHandler.is_allowed(request, credentials):
        raise LockedOut
