"""Who a program acts for: the bearer token, its scopes, and the rights of its owner."""

from __future__ import annotations

import logging
from typing import Any

from django.core.cache import cache
from django.http import HttpRequest
from ninja.security import HttpBearer

from trial import accounts, tokens
from trial.models import ApiToken, User

logger = logging.getLogger(__name__)

MOST_WRONG_TOKENS = 30
WHILE_SECONDS = 60
CHALLENGE = 'Bearer realm="Cordline"'


class NoToken(Exception):
    """No valid token was shown."""


class NotAllowed(Exception):
    """The token or its owner may not do that; ``missing`` says what is lacking."""

    def __init__(self, missing: str) -> None:
        self.missing = missing
        super().__init__(missing)


class TooManyWrongTokens(Exception):
    """Wrong tokens keep coming from one address."""


class Bearer(HttpBearer):
    """``Authorization: Bearer`` with a token that carries a scope, whose owner holds the permission."""

    def __init__(self, scope: ApiToken.Scope) -> None:
        super().__init__()
        self.scope = scope

    def __call__(self, request: HttpRequest) -> Any:
        kind, _space, text = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer" or not text.strip():
            raise NoToken
        return self.authenticate(request, text.strip())

    def authenticate(self, request: HttpRequest, token: str) -> ApiToken:
        found = tokens.of_text(token)
        if found is None:
            _count_a_wrong_one(request)
            raise NoToken
        tokens.note_use(found)
        demand(found, self.scope)
        return found


def _count_a_wrong_one(request: HttpRequest) -> None:
    """Log a wrong token without the token, and count it; valid ones from the same place are never held up."""
    address = accounts.place_of(request)["address"]
    key = f"wrong-api-token:{address}"
    cache.add(key, 0, WHILE_SECONDS)
    try:
        wrong = cache.incr(key)
    except ValueError:  # it expired between the two
        wrong = 1
    if wrong > MOST_WRONG_TOKENS:
        raise TooManyWrongTokens
    logger.warning("a token that opens nothing came from %s", address or "an unknown address")


reads_datasets = Bearer(ApiToken.Scope.READ_DATASETS)
reads_observations = Bearer(ApiToken.Scope.READ_OBSERVATIONS)
writes_observations = Bearer(ApiToken.Scope.WRITE_OBSERVATIONS)


def token_of(request: HttpRequest) -> ApiToken:
    """Return the token that was shown."""
    found: ApiToken = request.auth  # type: ignore[attr-defined]  # the library puts it there
    return found


def person_of(request: HttpRequest) -> User:
    """Return whom the program acts for."""
    return token_of(request).owner


def demand(token: ApiToken, scope: ApiToken.Scope) -> None:
    """Refuse what the token is not good for, or its owner may not do by now."""
    if scope.value not in token.scopes:
        raise NotAllowed(scope.value)
    permission = tokens.PERMISSION_OF[scope.value]
    if not token.owner.may(permission):
        raise NotAllowed(permission.value)
