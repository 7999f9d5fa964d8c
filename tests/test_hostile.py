"""Every form field and every query parameter against the corpus: an answer, never a crash.

Forms and parameters are found on the pages themselves, so a new one is covered
by being there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from html.parser import HTMLParser
from typing import Any, ClassVar, TypeVar
from urllib.parse import parse_qsl, quote, urlencode, urlsplit
from zlib import crc32

import pytest
from django.http import QueryDict
from django.test import Client

from tests.corpus import TEXTS, UNREADABLE
from tests.routes import Route, guarded
from tests.world import PlainClient, Standing
from trial import drafts
from trial.roles import Permission, allowed

pytestmark = pytest.mark.django_db

SHARES = 24
SAVED = {204, 302, 303}
Text = TypeVar("Text", str, bytes, int)
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


OF_EVERY_PAGE = {drafts.ASKED_FOR}
"""What a middleware asks every address for; it has tests of its own."""

NONSENSE = "zz-9"
TAKEN_WITHOUT_A_WORD: dict[str, str] = {
    "as_of": "what a page that looks again has; anything else is an older state",
    "shown": "the same of the results",
    "place": "where a form stands, of which there is a draft or none",
    "term": "what a person types of an event, word by word",
}
"""Parameters that may say anything, and why nobody is told."""


class Found(HTMLParser):
    """Collects the forms of a page and the parameters its links use."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[dict[str, Any]] = []
        self.parameters: set[str] = set()
        self.refused: set[str] = set()
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
            if given.get("aria-invalid") == "true":
                self.refused.add(given["name"])
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
    return read(client.get(url))


def refused_by(answer: Any) -> set[str]:
    """Return the fields that a page shows as refused."""
    return read(answer).refused


def read(answer: Any) -> Found:
    found = Found()
    if answer.headers.get("Content-Type", "").startswith("text/html"):
        found.feed(answer.content.decode())
    return found


class Watched(QueryDict):
    """The parameters of an address, which note who is asked for."""

    asked_for: ClassVar[set[str]] = set()
    is_made = False

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.is_made = True

    def __getitem__(self, name: str) -> Any:
        self._note(name)
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self._note(name)
        return super().__contains__(name)

    def getlist(self, name: str, default: Any = None) -> Any:
        self._note(name)
        return super().getlist(name, default)

    def _note(self, name: object) -> None:
        # its own making asks, too
        if self.is_made:
            self.asked_for.add(str(name))


@pytest.fixture
def asked_for(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Return the names of the parameters that were asked for so far in this test."""
    monkeypatch.setattr("django.core.handlers.wsgi.QueryDict", Watched)
    monkeypatch.setattr(Watched, "asked_for", set())
    return Watched.asked_for


def somebody(standing: Standing, route: Route) -> PlainClient | None:
    """Return a browser of the first who may use a route."""
    for name in ("coordinator", "data_manager", "statistician"):
        if allowed(standing.people[name], route.permission or Permission.USE_ACCOUNT):
            return standing.client(name)
    return None


WHOLE = [pytest.param(False, id="a few"), pytest.param(True, id="whole", marks=pytest.mark.exhaustive)]
"""How much of the corpus: what everybody's tests have time for, and what CI asks besides."""


@pytest.mark.parametrize("whole", WHOLE)
@pytest.mark.parametrize("route", guarded(), ids=lambda route: route.name)
def test_every_query_parameter(route: Route, whole: bool, standing: Standing, asked_for: set[str]) -> None:
    """What a page asks for is tried alone; what it only passes on, or ignores, all together."""
    client = somebody(standing, route)
    if client is None:
        return
    url = route.url(**standing.world.own)
    mark = "&" if "?" in url else "?"
    crashed: list[tuple[Any, ...]] = []

    def ask(query: str, *what: Any) -> None:
        status = client.get(url + mark + query).status_code
        if status >= 500:
            crashed.append((*what, status))

    found = page(client, url)
    offered = found.parameters | {name for f in found.forms if f["method"] == "get" for name in f["fields"]}
    names = offered | asked_for | set(ALWAYS_TRIED)
    for texts in (TEXTS[::6], TEXTS[::-6]):
        ask(urlencode(dict.fromkeys(sorted(names), texts), doseq=True), "together", len(texts))
    for raw in UNREADABLE if whole else share_of(route, "together", UNREADABLE, 4):
        ask("&".join(f"{quote(name)}={raw.decode()}" for name in sorted(names)), "together", raw)
    tried: set[str] = set()
    # an answer to one may lead to the question for another
    while left := asked_for - tried - OF_EVERY_PAGE:
        for name in sorted(left):
            tried.add(name)
            if name not in TAKEN_WITHOUT_A_WORD and is_silent(client.get(f"{url}{mark}{name}={NONSENSE}")):
                crashed.append((name, "is taken without a word"))
            for text in share_of(route, name, TEXTS, (10 if name in offered else 20) * (1 if whole else 3)):
                ask(urlencode({name: text}), name, text[:40])
            for raw in share_of(route, name, UNREADABLE, 2) if whole else ():
                ask(f"{quote(name)}={raw.decode()}", name, raw)
    assert not crashed


def is_silent(answer: Any) -> bool:
    """Return whether a page was shown as if nobody had asked for nonsense; that its links pass it on says nothing."""
    if answer.status_code != 200 or not answer.headers.get("Content-Type", "").startswith("text/html"):
        return bool(answer.status_code == 200)
    return NONSENSE not in re.sub(r'(href|action|hx-\w+)="[^"]*"', "", answer.content.decode())


def share_of(route: Route, name: str, texts: Sequence[Text], parts: int) -> Sequence[Text]:
    """Return the texts of a parameter of a page: each gets others, so that together they meet every text."""
    return texts[crc32(f"{route.name} {name}".encode()) % parts :: parts]


def shares(place: int) -> tuple[str, ...]:
    """Return the texts of a field: each gets others, so that a form as a whole meets every text."""
    return TEXTS[place % SHARES :: SHARES]


def send_what_was_let_through(
    send: Callable[..., Any], fields: dict[str, str], given: dict[str, str], answer: Any
) -> None:
    """Send again what no field refused: with the rest of the form as it was, at last each alone."""
    left = {name: text for name, text in given.items() if name not in refused_by(answer)}
    while left and len(left) < len(given) and answer.status_code < 300:
        answer = send({**fields, **left}, *left.items())
        given, left = left, {name: text for name, text in left.items() if name not in refused_by(answer)}
    if left and answer.status_code not in SAVED:
        # the form as a whole says no: each alone may come further
        for name, text in left.items():
            send({**fields, name: text}, name, text[:40])


@pytest.mark.parametrize("whole", WHOLE)
@pytest.mark.parametrize("route", guarded(), ids=lambda route: route.name)
def test_every_form_field(route: Route, whole: bool, standing: Standing) -> None:
    """All fields of a form hold something hostile at once, then all that were let through, at last each alone."""
    client = somebody(standing, route)
    if client is None:
        return
    url = route.url(**standing.world.own)
    crashed: list[tuple[Any, ...]] = []
    for form in page(client, url).forms:
        target = form["action"] or url
        if form["method"] != "post" or "logout" in target or "login" in target:
            continue

        def send(target: str, fields: dict[str, str], *what: Any) -> Any:
            answer = client.post(target, fields)
            if answer.status_code >= 500:
                crashed.append((target, *what, answer.status_code))
            return answer

        names = [name for name in form["fields"] if name != "csrfmiddlewaretoken"]
        rounds = max((len(shares(place)) for place in range(len(names))), default=0)
        turns = range(rounds) if whole else share_of(route, target, range(rounds), max(1, rounds))
        for turn in turns:
            given = {
                name: shares(place)[turn] for place, name in enumerate(names) if turn < len(shares(place))
            }
            answer = send(target, {**form["fields"], **given}, "together", turn)
            if whole:
                send_what_was_let_through(partial(send, target), form["fields"], given, answer)
        for raw in UNREADABLE if whole else share_of(route, target, UNREADABLE, 8):
            body = b"&".join(name.encode() + b"=" + raw for name in form["fields"])
            answer = client.generic("POST", target, body, content_type="application/x-www-form-urlencoded")
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
    path: str,
    standing: Standing,
) -> None:
    assert standing.client("data_manager").generic("GET", path).status_code in {301, 302, 400, 404, 405}


def test_a_body_of_too_many_fields_is_refused(
    standing: Standing,
) -> None:
    client = standing.client("data_manager")
    answer = client.post("/patients/new/", {f"f{place}": "x" for place in range(5000)})
    assert answer.status_code in {400, 413}
