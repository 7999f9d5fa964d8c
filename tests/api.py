"""A program with a token, as the tests of the API use it."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import Any

from tests.world import PlainClient
from trial import tokens
from trial.models import User

BASE = "/api/v1"


def a_token(owner: User, *scopes: str) -> str:
    """Return a token of somebody, with everything they may have unless scopes are named."""
    chosen = list(scopes) or [scope.value for scope in tokens.scopes_for(owner)]
    return tokens.make_token(by=owner, name=f"test {secrets.token_hex(4)}", scopes=chosen, days=30)[1]


@dataclass(frozen=True, slots=True)
class Program:
    """What sends requests with a token."""

    token: str = ""

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Send a request; ``If_Match="…"`` is the header If-Match, bytes are sent as they are."""
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        kind = named.pop("Content-Type", "application/json")
        if self.token:
            named.setdefault("Authorization", f"Bearer {self.token}")
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = PlainClient().generic(method, f"{BASE}{path}", data, content_type=kind, headers=named)
        answer.json = lambda: json.loads(answer.getvalue())  # type: ignore[attr-defined]
        return answer

    def get(self, path: str, **headers: str) -> Any:
        return self.ask("GET", path, **headers)

    def post(self, path: str, body: Any, *, key: str = "", **headers: str) -> Any:
        return self.ask("POST", path, body, Idempotency_Key=key or secrets.token_hex(8), **headers)

    def put(self, path: str, body: Any, *, key: str = "", **headers: str) -> Any:
        return self.ask("PUT", path, body, Idempotency_Key=key or secrets.token_hex(8), **headers)


def rules(answer: Any) -> list[str]:
    """Return the rules that refused a request."""
    told = answer.json()
    if "issue" in told:
        return [coding["code"] for issue in told["issue"] for coding in issue["details"].get("coding", ())]
    return [error["rule"] for error in told["errors"]]


def places(answer: Any) -> list[str]:
    """Return where they are."""
    told = answer.json()
    if "issue" in told:
        return [place for issue in told["issue"] for place in issue.get("expression", ())]
    return [error["place"] for error in told["errors"]]
