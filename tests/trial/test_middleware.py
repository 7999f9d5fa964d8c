"""Private answers, readable text and sessions that end, on whatever is asked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.test import Client, override_settings
from django.urls import include, path
from django.utils import timezone

from trial.models import User

SignedIn = Callable[[User], Client]
HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def broken(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("broken on purpose")


def guarded(request: HttpRequest) -> HttpResponse:
    from django.contrib.auth.views import redirect_to_login

    if not request.user.is_authenticated:
        return redirect_to_login(request.get_full_path())
    return HttpResponse("here")


urlpatterns = [
    path("broken/", broken),
    path("guarded/", guarded, name="guarded"),
    path("poll/", include(([path("", guarded, name="freshness")], "analytics"))),
    path("", include("trial.urls")),
]
pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


@pytest.mark.parametrize(
    ("address", "status", "host"),
    [
        ("/login/", 200, "testserver"),
        ("/guarded/", 302, "testserver"),
        ("/nothing/", 404, "testserver"),
        ("/broken/", 500, "testserver"),
        ("/login/?next=%00", 400, "testserver"),
        ("/login/", 400, "forged.example"),
    ],
)
def test_every_answer_is_private_and_has_all_headers(address: str, status: int, host: str) -> None:
    client = Client(raise_request_exception=False, headers={"host": host})
    response = client.get(address)
    assert response.status_code == status
    missing = {name: response.get(name) for name, value in HEADERS.items() if response.get(name) != value}
    if host != "testserver":
        missing.pop("Cache-Control", None)  # refused before anything of ours was asked
    assert not missing
    policy = response["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("text", ["a\x00b", "half \ud83d a character"], ids=["nul", "surrogate"])
@pytest.mark.parametrize("place", ["query", "name", "form", "cookie"])
def test_unreadable_text_is_refused_with_its_place(client: Client, text: str, place: str) -> None:
    raw = text.encode("utf-8", "surrogatepass")
    escaped = "".join(f"%{byte:02x}" for byte in raw)
    if place == "query":
        response = client.get(f"/login/?next={escaped}")
    elif place == "name":
        response = client.get(f"/login/?{escaped}=1")
    elif place == "form":
        response = client.generic(
            "POST", "/login/", f"login={escaped}", content_type="application/x-www-form-urlencoded"
        )
    else:
        client.cookies[settings.SESSION_COOKIE_NAME] = "x"
        response = client.get("/login/", headers={"cookie": f"{settings.SESSION_COOKIE_NAME}=a\x00b"})
    assert response.status_code == 400
    assert "cannot be read" in response.text
    named = {"query": "“next”", "name": "The address", "form": "“login”", "cookie": "cookie"}[place]
    assert named in response.text
    assert "<title>Request not understood" in response.text, "a person reads a page"
    said = client.get("/login/?next=%00", headers={"X-Form": "1"})
    assert said["Content-Type"].startswith("text/plain"), "a script reads the words"


@pytest.mark.parametrize("raw", [b"%ff", b"%fe%fe", b"%c3%28"])
def test_bytes_that_are_no_text_are_refused(client: Client, raw: bytes) -> None:
    assert client.get(f"/login/?next={raw.decode()}").status_code == 400
    assert client.get(f"/{raw.decode()}/").status_code in {400, 404}


def test_chinese_emoji_and_apostrophes_are_text(client: Client) -> None:
    assert client.get("/login/", {"next": "/病人/😀/O'Brien"}).status_code == 200


def test_session_ends_after_fifteen_idle_minutes(signed_in: SignedIn, coordinator: User) -> None:
    browser = signed_in(coordinator)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        assert browser.get("/guarded/").status_code == 200
        clock.shift(timedelta(minutes=14))
        assert browser.get("/guarded/").status_code == 200
        clock.shift(timedelta(minutes=14))
        assert browser.get("/guarded/").status_code == 200, "doing something starts the time again"
        clock.shift(timedelta(minutes=15, seconds=31))
        assert browser.get("/guarded/").status_code == 302
        assert browser.get("/guarded/").status_code == 302


def test_session_ends_after_twelve_hours_of_work(signed_in: SignedIn, coordinator: User) -> None:
    browser = signed_in(coordinator)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for _ in range(12 * 6):
            assert browser.get("/guarded/").status_code == 200
            clock.shift(timedelta(minutes=10))
        clock.shift(timedelta(minutes=1))
        assert browser.get("/guarded/").status_code == 302


@pytest.mark.parametrize(
    ("address", "headers"),
    [("/poll/", {"HX-Request": "true"}), ("/guarded/", {"X-Background": "1"})],
    ids=["freshness", "marked"],
)
def test_what_a_page_asks_for_by_itself_keeps_nobody_signed_in(
    signed_in: SignedIn, coordinator: User, address: str, headers: dict[str, str]
) -> None:
    browser = signed_in(coordinator)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        browser.get("/guarded/")
        for _ in range(15):
            clock.shift(timedelta(minutes=1))
            assert browser.get(address, headers=headers).status_code == 200
        clock.shift(timedelta(minutes=1))
        assert browser.get(address, headers=headers).status_code == 401


def test_part_of_a_page_is_sent_to_the_login_as_a_whole(client: Client) -> None:
    response = client.get(
        "/guarded/", headers={"HX-Request": "true", "HX-Current-URL": "http://testserver/patients/?q=1"}
    )
    assert response.status_code == 401
    assert response["HX-Redirect"] == "/login/?next=/patients/%3Fq%3D1"


@pytest.mark.parametrize("page", ["https://evil.example/x", "javascript:alert(1)", "http://["])
def test_login_leads_back_to_this_house_only(client: Client, page: str) -> None:
    response = client.get("/guarded/", headers={"HX-Request": "true", "HX-Current-URL": page})
    assert response["HX-Redirect"] == "/login/?next=/"


def test_json_is_told_instead_of_redirected(client: Client) -> None:
    assert client.get("/guarded/", headers={"Accept": "application/json"}).status_code == 401


def test_logout_is_a_post_and_wipes_the_browser(signed_in: SignedIn, coordinator: User) -> None:
    browser = signed_in(coordinator)
    assert "Clear-Site-Data" not in browser.get("/logout/")
    assert browser.get("/guarded/").status_code == 200
    response = browser.post("/logout/")
    assert response["Clear-Site-Data"] == '"cache", "storage"'
    assert browser.get("/guarded/").status_code == 302


def test_deactivated_account_is_out_at_once(signed_in: SignedIn, coordinator: User) -> None:
    browser = signed_in(coordinator)
    assert browser.get("/guarded/").status_code == 200
    from trial import audit

    with audit.revision(by=audit.service_account(), reason="left the hospital"):
        User.objects.filter(pk=coordinator.pk).update(is_active=False)
    assert browser.get("/guarded/").status_code == 302


@override_settings(SECURE_SSL_REDIRECT=True)
def test_forged_host_over_plain_http_is_refused_with_headers() -> None:
    response = Client(headers={"host": "forged.example"}).get("/login/")
    assert response.status_code == 400
    assert {name for name in HEADERS if name not in response} <= {"Cache-Control"}


@override_settings(SECURE_SSL_REDIRECT=True)
def test_plain_http_is_redirected_with_headers(client: Client) -> None:
    response = client.get("/login/")
    assert (response.status_code, response["Location"]) == (301, "https://testserver/login/")
    assert response["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"])
def test_what_no_page_knows_is_refused_before_a_view_sees_it(method: str) -> None:
    answer = Client().generic(method, "/login/")
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET, HEAD, POST"
    assert "no-store" in answer.headers["Cache-Control"]
    text = answer.content.decode()
    assert f"asked with {method} and takes GET, HEAD, POST only" in text
    assert 'href="/"' in text


@pytest.mark.django_db
def test_an_address_for_a_form_says_so_when_it_is_opened(
    coordinator: User, signed_in: Callable[[User], Client]
) -> None:
    client = signed_in(coordinator)
    answer = client.get("/account/tokens/1/revoke/", headers={"Accept-Language": "zh-hans"})
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert '<html lang="zh-hans">' in answer.content.decode()
    assert answer.headers["Content-Length"] == str(len(answer.content)), "a server sends no more than is said"
    assert "asked with GET and takes POST only" in client.get("/account/tokens/1/revoke/").content.decode()
    assert client.head("/account/tokens/1/revoke/").status_code == 405
