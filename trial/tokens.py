"""Tokens of programs: made and revoked by their owner, never worth more than the owner's own rights.

The token is shown once. What is kept is its SHA-256: 256 random bits need no
slow hash, and whoever reads the table cannot sign in with it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType

from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import Http404
from django.utils import timezone

from trial.models import AccountEvent, ApiToken, User
from trial.refusals import Problem, Refused
from trial.roles import Permission
from trial.sentences import Sentence
from trial.typed import Unreadable, read_text

Scope = ApiToken.Scope
LONGEST_DAYS = 365
USUAL_DAYS = 90
LONGEST_NAME = 80
MOST_TOKENS = 50
NOTED_EVERY = timedelta(minutes=1)
_PREFIX = "cdl_"
_SHAPE = re.compile(r"cdl_[A-Za-z0-9_-]{43}")
_SHOWN = 10
_LONGEST_KEY = 2**63 - 1

PERMISSION_OF: Mapping[str, Permission] = MappingProxyType(
    {
        Scope.READ_DATASETS.value: Permission.EXPORT_FILES,
        Scope.READ_IDENTIFIED.value: Permission.EXPORT_IDENTIFIED,
        Scope.READ_OBSERVATIONS.value: Permission.VIEW_CLINICAL,
        Scope.WRITE_OBSERVATIONS.value: Permission.ENTER_CLINICAL_DATA,
    }
)
"""What a person has to be allowed so that a program may do it for them."""


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


# --- reading --------------------------------------------------------------------------------


def scopes_for(user: User) -> list[Scope]:
    """Return what a token of this person can be good for."""
    return [scope for scope in Scope if user.may(PERMISSION_OF[scope.value])]


def tokens_of(user: User) -> QuerySet[ApiToken]:
    """Return the tokens of a person, the newest first."""
    return ApiToken.objects.visible_to(user)


def valid_tokens_of(user: User) -> QuerySet[ApiToken]:
    """Return those that still open something."""
    return tokens_of(user).filter(revoked_at=None, expires_at__gt=timezone.now())


def token_or_404(user: User, token_id: int) -> ApiToken:
    """Return one of them."""
    found = tokens_of(user).filter(pk=token_id).first() if token_id <= _LONGEST_KEY else None
    if found is None:
        raise Http404
    return found


def digest_of(text: str) -> str:
    """Return what is kept of a token."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def of_text(text: str) -> ApiToken | None:
    """Return the token that a program shows, or None where it opens nothing.

    Unknown, expired and revoked tokens are told apart by nobody; neither are
    those of accounts that are switched off. Wrong passwords lock the login and
    no token: who knows a name could cut off a laboratory with them.
    """
    if not _SHAPE.fullmatch(text):
        return None
    digest = digest_of(text)
    found = ApiToken.objects.select_related("owner__site").filter(digest=digest).first()
    if found is None or not hmac.compare_digest(found.digest, digest):
        return None
    now = timezone.now()
    if found.revoked_at is not None or found.expires_at <= now:
        return None
    if not found.owner.is_active or not found.owner.role:
        return None
    return found


def note_use(token: ApiToken) -> None:
    """Note that a token was used; a row is not written for every request."""
    now = timezone.now()
    if token.last_used_at is None or token.last_used_at <= now - NOTED_EVERY:
        unnoted = Q(last_used_at=None) | Q(last_used_at__lte=now - NOTED_EVERY)
        ApiToken.objects.filter(unnoted, pk=token.pk).update(last_used_at=now)


# --- writing --------------------------------------------------------------------------------


@transaction.atomic
def make_token(*, by: User, name: str, scopes: Sequence[str], days: int) -> tuple[ApiToken, str]:
    """Make a token of a person.

    Returns
    -------
    tuple of ApiToken and str
        The second is the token itself: nobody can read it again.

    Raises
    ------
    Refused
        Without a name, without a scope, with one the person may not have, or for too long.
    """
    problems = []
    try:
        name = read_text(name, most=LONGEST_NAME)
    except Unreadable as error:
        problems.append(Problem("name", error.value, error.rule, error.sentence, error.remedy))
    if not name.strip():
        problems.append(
            Problem(
                "name",
                "",
                "no_name",
                Sentence(_("The token has no name.")),
                Sentence(_("Say which program will use it.")),
            )
        )
    allowed = {scope.value for scope in scopes_for(by)}
    chosen = [scope.value for scope in Scope if scope.value in scopes]
    if not chosen or not set(scopes) <= allowed:
        problems.append(
            Problem(
                "scopes",
                ", ".join(sorted(set(scopes) - allowed)),
                "no_scope" if not scopes else "not_allowed",
                Sentence(_("The token is good for nothing, or for more than you may."), {}),
                Sentence(_("Choose at least one of the list.")),
            )
        )
    if not 1 <= days <= LONGEST_DAYS:
        problems.append(
            Problem(
                "days",
                str(days),
                "too_long",
                Sentence(_("A token is valid for 1 to %(most)s days."), {"most": LONGEST_DAYS}),
                Sentence(_("Make another one when it has expired.")),
            )
        )
    now = timezone.now()
    # one at a time: a double click finds the name taken instead of making two
    User.objects.select_for_update(no_key=True, of=("self",)).get(pk=by.pk)
    live = valid_tokens_of(by)
    if live.filter(name=name).exists():
        problems.append(
            Problem(
                "name",
                name,
                "name_taken",
                Sentence(_("You have a valid token of this name.")),
                Sentence(_("Revoke it first if you did not see it, or choose another name.")),
            )
        )
    if live.count() >= MOST_TOKENS:
        problems.append(
            Problem(
                "",
                "",
                "too_many",
                Sentence(_("You have %(most)s tokens that are still valid."), {"most": MOST_TOKENS}),
                Sentence(_("Revoke what no program uses any more.")),
            )
        )
    if problems:
        raise Refused(problems)
    text = _PREFIX + secrets.token_urlsafe(32)
    token = ApiToken.objects.create(
        owner=by,
        name=name,
        digest=digest_of(text),
        start=text[:_SHOWN],
        scopes=chosen,
        expires_at=now + timedelta(days=days),
    )
    _log(by, token, AccountEvent.Kind.TOKEN_MADE)
    return token, text


@transaction.atomic
def revoke_token(*, token: ApiToken, by: User) -> bool:
    """Take a token away; return whether it was still valid."""
    changed = tokens_of(by).filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now())
    if changed:
        _log(by, token, AccountEvent.Kind.TOKEN_REVOKED)
    return bool(changed)


@transaction.atomic
def revoke_all(*, by: User) -> int:
    """Take all tokens of a person away, as after a stolen password; return how many were still valid."""
    return sum(revoke_token(token=token, by=by) for token in valid_tokens_of(by))


def _log(by: User, token: ApiToken, kind: AccountEvent.Kind) -> None:
    note = f"{token.name} ({token.start}…): {', '.join(token.scopes)}"
    AccountEvent.objects.create(account=by, by=by, kind=kind, note=note[:300])
