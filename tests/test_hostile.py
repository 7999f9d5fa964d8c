"""Every form field and every query parameter against the corpus: an answer, never a crash.

Forms and parameters are found on the pages themselves, so a new one is covered
by being there.
"""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from django.test import Client

from tests.corpus import TEXTS, UNREADABLE
from tests.routes import Route, guarded
from tests.world import World
from trial.models import User
from trial.roles import Permission, allowed

SHARES = 24
ALWAYS_TRIED = (
    "q",
    "page",
    "after",
    "before",
    "sort",
    "site",
    "group",
    "status",
    "who",
    "table",
    "from",
    "shown",
)


class Found(HTMLParser):
    """Collects the forms of a page and the parameters its links use."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[dict[str, Any]] = []
        self.parameters: set[str] = set()
        self._select: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(
                {
                    "method": given.get("method", "get").lower(),
                    "action": given.get("action", ""),
                    "fields": {},
                }
            )
        elif tag in {"input", "textarea", "select", "button"} and self.forms and given.get("name"):
            fields = self.forms[-1]["fields"]
            if given.get("type") in {"radio", "checkbox"} and "checked" not in given:
                fields.setdefault(given["name"], "")
            else:
                fields[given["name"]] = given.get("value", "")
            self._select = given["name"] if tag == "select" else None
        elif tag == "option" and self._select and "selected" in given and self.forms:
            self.forms[-1]["fields"][self._select] = given.get("value", "")
        elif tag == "a" and "?" in given.get("href", ""):
            self.parameters |= {name for name, _value in parse_qsl(urlsplit(given["href"]).query, True)}


def page(client: Client, url: str) -> Found:
    found = Found()
    answer = client.get(url)
    if answer.headers.get("Content-Type", "").startswith("text/html"):
        found.feed(answer.content.decode())
    return found


def everyone(
    request: pytest.FixtureRequest, route: Route, names: tuple[str, ...] = ("coordinator", "data_manager")
) -> list[User]:
    people = [request.getfixturevalue(name) for name in (*names, "statistician")]
    return [user for user in people if allowed(user, route.permission or Permission.USE_ACCOUNT)][:1]


@pytest.mark.parametrize("route", guarded(), ids=lambda route: route.name)
def test_every_query_parameter(
    route: Route,
    world: World,
    request: pytest.FixtureRequest,
    signed_in: Callable[[User], Client],
) -> None:
    for user in everyone(request, route):
        client = signed_in(user)
        url = route.url(**world.own)
        found = page(client, url)
        names = found.parameters | {name for f in found.forms if f["method"] == "get" for name in f["fields"]}
        crashed = []
        for name in sorted(names | set(ALWAYS_TRIED)):
            for text in TEXTS[::6] if name in names else TEXTS[::12]:
                answer = client.get(url, {name: text})
                if answer.status_code >= 500:
                    crashed.append((name, text[:40], answer.status_code))
            for raw in UNREADABLE:
                answer = client.get(f"{url}?{quote(name)}={raw.decode('latin-1')}")
                if answer.status_code >= 500:
                    crashed.append((name, raw, answer.status_code))
        assert not crashed


@pytest.mark.parametrize("route", guarded(), ids=lambda route: route.name)
def test_every_form_field(
    route: Route,
    world: World,
    request: pytest.FixtureRequest,
    signed_in: Callable[[User], Client],
) -> None:
    for user in everyone(request, route):
        client = signed_in(user)
        url = route.url(**world.own)
        crashed = []
        for form in page(client, url).forms:
            target = form["action"] or url
            if form["method"] != "post" or "logout" in target or "login" in target:
                continue
            for place, name in enumerate(form["fields"]):
                if name == "csrfmiddlewaretoken":
                    continue
                # each field gets another share, so that a form as a whole meets every text
                for text in TEXTS[place % SHARES :: SHARES]:
                    answer = client.post(target, {**form["fields"], name: text})
                    if answer.status_code >= 500:
                        crashed.append((target, name, text[:40], answer.status_code))
            for raw in UNREADABLE:
                body = b"&".join(name.encode() + b"=" + raw for name in form["fields"])
                answer = client.generic(
                    "POST", target, body, content_type="application/x-www-form-urlencoded"
                )
                if answer.status_code >= 500:
                    crashed.append((target, "raw", raw, answer.status_code))
        assert not crashed


@pytest.mark.parametrize(
    "path",
    [
        "/patients/%00/",
        "/patients/%ff/",
        "/patients/" + "A" * 8000 + "/",
        "/patients/..%2f..%2fetc/",
        "/patients/GE-001/visits/999999999999999999999999/",
        "/patients/GE-001/visits/-1/",
        "/patients/GE-001/infusions/0/",
        "/patients/GE-001/infusions/99999999999999999999/",
        "/audit/0/",
        "/audit/99999999999999999999999999/",
        "/jobs/00000000-0000-0000-0000-000000000000/",
        "/analysis/C-D/nothing/interval/",
        "/analysis/A-Z/tbil/interval/",
        "/analysis/C-D/tbil/levitation/",
        "/static/../trial/settings.py",
    ],
)
def test_strange_paths_are_refused(
    path: str, world: World, data_manager: User, signed_in: Callable[[User], Client]
) -> None:
    assert signed_in(data_manager).generic("GET", path).status_code in {301, 302, 400, 404, 405}


def test_a_body_of_too_many_fields_is_refused(
    world: World, data_manager: User, signed_in: Callable[[User], Client]
) -> None:
    client = signed_in(data_manager)
    answer = client.post("/patients/new/", {f"f{place}": "x" for place in range(5000)})
    assert answer.status_code in {400, 413}
