"""Who gets through the door of the API: every operation, every state of a token, every role."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.core.cache import cache
from django.utils import timezone

from analytics.api import security
from tests import factories
from tests.api import BASE, Program, a_token
from tests.world import PEOPLE, PERSON, Standing
from trial import accounts, tokens
from trial.models import ApiToken, User
from trial.roles import SITE_ROLES, Role

pytestmark = pytest.mark.django_db

OPEN = {"/fhir/metadata"}
SCOPE = {"datasets": "datasets:read", "POST": "observations:write", "PUT": "observations:write"}


@pytest.fixture(autouse=True)
def _nobody_came_before() -> None:
    cache.clear()


def operations() -> list[tuple[str, str]]:
    from analytics.api.app import description

    found = [
        (method.upper(), path.removeprefix(BASE))
        for path, methods in description()["paths"].items()
        for method in methods
    ]
    assert {method for method, path in found} >= {"GET", "POST", "PUT"}
    return found


def address(path: str, of: dict[str, Any]) -> str:
    return path.format(
        name="labs_long",
        subject_id=of["subject_id"],
        visit_id=of["visit_id"],
        week=0,
        observation_id=of["result_id"],
    )


def scope_of(method: str, path: str) -> str:
    return SCOPE.get(method, SCOPE["datasets"] if path.startswith("/datasets") else "observations:read")


def test_no_operation_answers_without_a_valid_token(standing: Standing) -> None:
    person = standing.people["data_manager"]
    text = a_token(person)
    token = tokens.of_text(text)
    assert token is not None

    def refused(program: Program, why: str) -> None:
        for method, path in operations():
            if path in OPEN:
                continue
            answer = program.ask(method, address(path, standing.world.own), [] if method != "GET" else None)
            assert answer.status_code == 401, (why, method, path, answer.status_code)
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
            assert "json" in answer.headers["Content-Type"]

    refused(Program(), "no token")
    session = standing.client("data_manager").get(f"{BASE}/subjects")
    assert session.status_code == 401, "a browser's session is no token"
    basic = Program().get("/subjects", Authorization="Basic bGkubWluOng=")
    assert basic.status_code == 401

    one = ("GET", "/subjects")
    for change, why in (
        (
            {"expires_at": timezone.now() - timedelta(seconds=1), "made_at": timezone.now() - timedelta(1)},
            "expired",
        ),
        ({"revoked_at": timezone.now()}, "revoked"),
    ):
        kept = {name: getattr(token, name) for name in change}
        ApiToken.objects.filter(pk=token.pk).update(**change)
        assert Program(text).ask(*one).status_code == 401, why
        ApiToken.objects.filter(pk=token.pk).update(**{"revoked_at": None, **kept})
    assert Program(text).ask(*one).status_code == 200
    AccessAttempt.objects.create(
        username=person.username, ip_address="10.0.0.9", failures_since_start=9, attempt_time=timezone.now()
    )
    assert accounts.locked_out() == {person.username}
    assert Program(text).ask(*one).status_code == 200, "who guesses passwords cuts off no program"
    AccessAttempt.objects.all().delete()
    with factories.by_the_software():
        User.objects.filter(pk=person.pk).update(is_active=False)
    assert Program(text).ask(*one).status_code == 401, "inactive"


@pytest.mark.parametrize("name", PEOPLE)
def test_a_program_may_what_its_person_and_its_scope_say(name: str, standing: Standing) -> None:
    person, world = standing.people[name], standing.world
    at_home = world.elsewhere if name.endswith("_elsewhere") else world.own
    away = world.own if name.endswith("_elsewhere") else world.elsewhere
    may = {scope.value for scope in tokens.scopes_for(person)}
    if not may:
        assert person.role == Role.ACCOUNT_ADMIN
        return
    full = Program(a_token(person))
    for method, path in operations():
        if path in OPEN:
            continue
        scope = scope_of(method, path)
        body = None if method == "GET" else {}
        home = full.ask(method, address(path, at_home), body)
        assert not any(canary in home.getvalue().decode() for canary in PERSON)
        if scope not in may:
            assert home.status_code == 403, (method, path)
            assert "insufficient_scope" in home.headers["WWW-Authenticate"]
            continue
        assert home.status_code in ({200} if method == "GET" else {400, 422}), (method, path, home.content)
        for other in may - {scope}:
            narrow = Program(a_token(person, other)).ask(method, address(path, at_home), body)
            assert narrow.status_code == 403, (method, path, other)
        if "{" in path and "datasets" not in path and person.role in {role.value for role in SITE_ROLES}:
            lost, gone = (full.ask(method, address(path, of), body) for of in (away, world.missing))
            assert lost.status_code == gone.status_code, (method, path)
            assert lost.status_code in ({404} if method == "GET" else {400, 404, 422})


def test_a_token_is_never_worth_more_than_its_person_is_now(standing: Standing) -> None:
    person = standing.people["coordinator"]
    program = Program(a_token(person))
    assert program.get("/subjects").status_code == 200
    with factories.by_the_software():
        User.objects.filter(pk=person.pk).update(role=Role.ACCOUNT_ADMIN.value)
    assert program.get("/subjects").status_code == 403


def test_use_is_noted_once_a_minute_and_wrong_tokens_are_counted(
    standing: Standing, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = a_token(standing.people["coordinator"])
    program = Program(text)
    program.get("/subjects")
    first = ApiToken.objects.get(digest=tokens.digest_of(text)).last_used_at
    program.get("/subjects")
    assert first is not None
    assert ApiToken.objects.get(digest=tokens.digest_of(text)).last_used_at == first
    assert not ApiToken.objects.filter(digest=text).exists()

    monkeypatch.setattr(security, "MOST_WRONG_TOKENS", 3)
    wrong = Program("cdl_" + "x" * 43)
    assert [wrong.get("/subjects").status_code for _time in range(5)] == [401, 401, 401, 429, 429]
    assert "x" * 20 not in caplog.text
    assert "opens nothing" in caplog.text
    assert program.get("/subjects").status_code == 200, "a valid token from the same place is not held up"


def test_other_methods_and_addresses_are_said_as_problems(standing: Standing) -> None:
    program = Program(a_token(standing.people["data_manager"]))
    for method, path, status in (
        ("DELETE", "/subjects", 405),
        ("PATCH", "/subjects", 405),
        ("POST", "/subjects", 405),
        ("OPTIONS", "/subjects", 405),
        ("GET", "/nowhere", 404),
        ("GET", "/", 404),
        ("GET", "/subjects/%00", 400),
        ("GET", "/subjects?other=1", 400),
        ("GET", "/subjects?limit=0", 400),
        ("GET", "/subjects?limit=1001", 400),
        ("GET", "/subjects?cursor=%C3%A9", 400),
        ("GET", "/visits/99999999999999999999", 400),
    ):
        answer = program.ask(method, path)
        assert answer.status_code == status, (method, path, answer.content)
        told = answer.json()
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert {"type", "title", "status", "detail", "errors"} <= set(told)
        assert told["status"] == status
        assert "no-store" in answer.headers["Cache-Control"]
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert not answer.cookies
    head = program.ask("HEAD", "/subjects")
    assert head.status_code == 200
    said = {
        program.get("/nowhere", Accept_Language=language).json()["title"] for language in ("en", "zh-hans")
    }
    assert len(said) == 2, "a program is told in the language it asks for"
    outcome = program.get("/fhir/nowhere").json()
    assert outcome["resourceType"] == "OperationOutcome"


def test_the_description_stands_where_it_says(standing: Standing) -> None:
    told = Program().get("/openapi.json").json()
    assert told["openapi"].startswith("3.1")
    assert f"{BASE}/observations" in told["paths"]
    page = standing.client("coordinator").get("/data/api/").content.decode()
    for path in told["paths"]:
        assert path in page
