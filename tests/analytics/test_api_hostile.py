"""Whatever is sent to the API, it answers: never a fault of ours."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error

from analytics.api import requests
from tests.api import Program, a_token, rules
from tests.corpus import TEXTS
from tests.world import Standing
from trial import strict_json
from trial.typed import Unreadable

pytestmark = pytest.mark.django_db

EXAMPLES = 4


@pytest.fixture
def _kept_connection() -> Iterator[None]:
    """Leave the test its connection, as Django's own client does, although whole WSGI requests end in it."""
    ends = (request_started, request_finished)
    for signal in ends:
        signal.disconnect(close_old_connections)
    yield
    for signal in ends:
        signal.connect(close_old_connections)


@pytest.mark.exhaustive
@pytest.mark.usefixtures("_kept_connection")
def test_generated_requests_never_break_it(standing: Standing) -> None:
    """What the description allows, and what it does not, of every operation."""
    from analytics.api.app import description
    from trial.wsgi import application

    token = a_token(standing.people["data_manager"])
    schema = schemathesis.openapi.from_dict(description())
    schema.app = application
    tried = 0

    def one(operation: Any, mode: GenerationMode) -> None:
        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def ask(case: Any) -> None:
            nonlocal tried
            tried += 1
            headers = {"Authorization": f"Bearer {token}"}
            if case.method != "GET":
                headers["Idempotency-Key"] = secrets.token_hex(8)
            case.call_and_validate(headers=headers, checks=[not_a_server_error])

        ask()

    for found in schema.get_all_operations():
        for mode in GenerationMode:
            try:
                one(found.ok(), mode)
            except Unsatisfiable:
                # nothing can be wrong with an operation that has no parameters
                assert mode is GenerationMode.NEGATIVE
    assert tried > EXAMPLES * 5


HOSTILE = (
    b"",
    b" ",
    b"{",
    b"[]",
    b"{}",
    b"null",
    b"1",
    b'"x"',
    b"NaN",
    b"[NaN]",
    b"[Infinity]",
    b'{"a": 1e400}',
    b"9" * 5000,
    b"[" * 100_000,
    b"[" * 50 + b"]" * 50,
    b'{"a":' * 2000 + b"1" + b"}" * 2000,
    b'"\\u0000"',
    b'["\\ud800"]',
    b"\xff\xfe",
    b"\x00",
    "\ufeff{}".encode(),
    b'{"a": 1, "a": 2}',
    b"[" + b"{}," * 600 + b"{}]",
    b'{"resourceType": "Bundle", "type": "transaction", "entry": [1, null, [], {"request": 5}]}',
    b'{"resourceType": "Bundle", "type": "batch", "entry": [{"request": {"method": "POST", "url": "Observation"}, "resource": {"resourceType": "Observation", "status": {}}}]}',
    b"x" * (6 * 2**20),
)  # fmt: skip
WRITES = (("POST", "/observations"), ("PUT", "/subjects/GE-001/visits/0/labs"), ("POST", "/fhir"))


def test_hostile_bodies_are_refused_in_words(standing: Standing) -> None:
    program = Program(a_token(standing.people["data_manager"]))
    for method, path in WRITES:
        for body in HOSTILE:
            answer = program.ask(method, path, body, Idempotency_Key=secrets.token_hex(8))
            assert 400 <= answer.status_code < 500, (path, body[:40], answer.status_code)
            told = answer.json()
            assert told.get("title") or told.get("issue")
        for kind in (
            "text/plain",
            "multipart/form-data; boundary=x",
            "application/x-www-form-urlencoded",
            "",
        ):
            answer = program.ask(
                method, path, b"a=b", Content_Type=kind, Idempotency_Key=secrets.token_hex(8)
            )
            assert answer.status_code == 415, (path, kind, answer.content)
        assert program.ask(method, path, b"x" * (6 * 2**20), Idempotency_Key="k").status_code == 413


def test_hostile_texts_in_every_place_are_refused_in_words(standing: Standing) -> None:
    program = Program(a_token(standing.people["data_manager"]))
    plain = {"subject": "GE-001", "date": "2024-02-12", "analyte": "alt", "value": "61", "unit": "U/L"}
    names = (
        "subject",
        "date",
        "week",
        "analyte",
        "value",
        "unit",
        "comparator",
        "missing",
        "laboratory",
        "reason",
    )
    items = [{**plain, name: text} for name in names for text in TEXTS]
    for start in range(0, len(items), 200):
        answer = program.post("/observations", items[start : start + 200])
        assert answer.status_code == 422, answer.content[:300]
        for error in answer.json()["errors"]:
            assert error["rule"]
            assert error["message"]
    for text in TEXTS:
        key = text if text.isascii() and text.isprintable() else "x"
        for headers in ({"If_Match": text, "Accept_Language": text}, {"Authorization": text}):
            named = {
                name: value.replace("\r\n", "").encode("ascii", "replace").decode()
                for name, value in headers.items()
            }
            answer = program.put(
                "/subjects/GE-001/visits/0/labs", {"values": {"alt": {"value": text}}}, key=key[:100], **named
            )
            assert 400 <= answer.status_code < 500, (headers, answer.status_code)
    assert program.get("/subjects", Host="evil.example").status_code == 400


def test_made_up_cursors_are_refused_in_words(standing: Standing) -> None:
    """A cursor is no secret: it opens nothing, and what it says is looked at like everything that is sent."""
    program = Program(a_token(standing.people["data_manager"]))
    page = program.get("/datasets/audit?limit=1")
    real = parse_qs(urlsplit(page.headers["Link"].partition(">")[0].strip("<")).query)["cursor"][0]
    parts = json.loads(base64.urlsafe_b64decode(real + "=" * (-len(real) % 4)))
    for key in (
        "abc",
        "\ud800",
        "\x00",
        "9" * 40,
        "9" * 400,
        "' OR 1=1 --",
        "%s%%",
        "{}",
        "-1",
        " 1",
        "\u0661",
    ):
        for dataset in ("audit", "labs_long", "cells"):
            answer = program.get(f"/datasets/{dataset}?cursor={requests.cursor_of(**{**parts, 'key': key})}")
            assert answer.status_code in ({400} if dataset == "audit" else {200, 400}), (dataset, key)
    for change in ({"skip": -1}, {"skip": 10**30}, {"skip": True}, {"data": "1"}, {"more": 1}, {"key": None}):
        answer = program.get(f"/datasets/audit?cursor={requests.cursor_of(**{**parts, **change})}")
        assert answer.status_code == 400, change
    for after in ("\ud800", "\x00", "9" * 400):
        for path in ("/subjects?cursor=", "/fhir/Patient?_cursor="):
            answer = program.get(f"{path}{requests.cursor_of(after=after)}")
            assert (answer.status_code, rules(answer)) == (400, ["cursor"]), (path, after)
    for number in (-1, 2**63, 10**30, True, 1.0, "1"):
        answer = program.get(f"/fhir/Observation?_cursor={requests.cursor_of(after=number)}")
        assert (answer.status_code, rules(answer)) == (400, ["cursor"]), number


def test_a_body_of_many_names_is_read_in_one_pass() -> None:
    """Looking for the name that is given twice took minutes for 5 MB when each name was counted by itself."""
    names = b",".join(b'"k%d":1' % number for number in range(200_000))
    with pytest.raises(Unreadable) as refused:
        strict_json.read(b"{" + names + b',"k199999":2}')
    assert refused.value.sentence.values == {"name": "k199999"}
