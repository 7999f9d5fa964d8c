"""Nothing a person typed is lost: closed tab, ended session, cut network, restarted server."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from allauth.mfa.totp.internal import auth as totp
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.core.cache import cache
from playwright.sync_api import Page, expect

from patients.models import LabResult
from tests import factories, processes
from trial.models import Draft, Revision, Site, User
from trial.roles import Role

PASSWORD = "a long sentence of a test"
PAGE = "/patients/GE-001/visits/4/"
TYPED = {"id_visited_on": "2026-01-30", "id_alt": "44", "id_ast": "3O", "id_tbil": "<5"}
"""One of them cannot be read: what is typed wrongly is not lost either."""
GOOD = {**TYPED, "id_ast": "31", "id_tbil": "15"}


def eventually(look: Callable[[], Any], seconds: float = 20) -> Any:
    """Look until there is something, as a draft is sent beside what the test does."""
    until = time.monotonic() + seconds
    while not (found := look()) and time.monotonic() < until:
        time.sleep(0.05)
    return found


@pytest.fixture
def li_min(transactional_db: None) -> User:
    cache.clear()
    site = factories.a_site()
    patient = factories.a_patient(site=site, subject_id="GE-001")
    factories.a_visit(patient, 0, alt="60", ast="50", tbil="20")
    factories.a_user(username="zhou.hui", role=Role.COORDINATOR, site=site, password=PASSWORD)
    return factories.a_user(username="li.min", role=Role.COORDINATOR, site=site, password=PASSWORD)


class Server:
    """The web server, which may fall and rise again at the same address."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self.address = ""

    def start(self, **environment: str) -> None:
        port = int(self.address.rpartition(":")[2]) if self.address else 0
        env = processes.environment(**environment)
        self.address = self._stack.enter_context(processes.web_server(env=env, port=port))

    def stop(self) -> None:
        self._stack.close()


@pytest.fixture
def server(li_min: User) -> Iterator[Server]:
    server = Server()
    server.start()
    yield server
    server.stop()


SignIn = Callable[..., Page]


@pytest.fixture
def sign_in(browser: Any, li_min: User, request: pytest.FixtureRequest) -> Iterator[SignIn]:
    """Sign somebody in on a page of a browser; what this file provokes is no complaint of its own."""
    contexts: list[Any] = []
    # a test that lets its server fall has one of its own
    own = "server" in request.fixturenames
    base_url = request.getfixturevalue("server").address if own else request.getfixturevalue("address")

    def signed_in(username: str = "li.min", **options: Any) -> Page:
        context = browser.new_context(base_url=base_url, **options)
        contexts.append(context)
        page: Page = context.new_page()
        log_in(page, username)
        return page

    yield signed_in
    for context in contexts:
        context.close()


def log_in(page: Page, username: str) -> None:
    page.goto("/login/")
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "/login" not in url)


def type_in(page: Page, typed: dict[str, str] = TYPED) -> None:
    for field, text in typed.items():
        page.locator(f"#{field}").click()
        page.locator(f"#{field}").fill("")
        page.keyboard.type(text)


def typed_on(page: Page, typed: dict[str, str] = TYPED) -> dict[str, str]:
    return {field: page.locator(f"#{field}").input_value() for field in typed}


def end_sessions() -> None:
    """Let every session have been idle for an hour."""
    for row in Session.objects.all():
        session = SessionStore(row.session_key)
        session["seen_at"] = session.get("seen_at", 0) - 3600
        session.save()


def sign_in_again(page: Page, password: str = PASSWORD) -> None:
    dialog = page.locator("#sign-in-again")
    expect(dialog).to_be_visible()
    expect(page.locator("main")).to_be_hidden()
    dialog.get_by_label("Password").fill(password)
    dialog.get_by_role("button", name="Sign in").click()


@contextmanager
def saved_once(page: Page, values: dict[str, str] = GOOD) -> Iterator[None]:
    before = Revision.objects.count()
    yield
    page.wait_for_url("**saved=**")
    assert Revision.objects.count() == before + 1
    stored = dict(LabResult.objects.filter(visit__week=4).values_list("analyte", "typed_text"))
    assert {f"id_{code}": text for code, text in stored.items()} == {
        field: text for field, text in values.items() if field != "id_visited_on"
    }
    assert not Draft.objects.exists(), "the draft goes with the save"


def save(page: Page) -> None:
    page.locator("[data-save]").click()


def storage(page: Page) -> list[Any]:
    return list(
        page.evaluate(
            "async () => [localStorage.length, sessionStorage.length, (await indexedDB.databases()).length,"
            " (await caches?.keys?.() ?? []).length]"
        )
    )


def test_a_closed_tab_comes_back_with_every_character(sign_in: SignIn) -> None:
    page = sign_in()
    page.goto(PAGE)
    type_in(page)
    page.close()  # at once: the last field was never left
    page = page.context.new_page()
    page.goto(PAGE)
    expect(page.get_by_text("Restored what you typed at")).to_be_visible()
    assert typed_on(page) == TYPED
    assert storage(page) == [0, 0, 0, 0]
    page.get_by_role("button", name="Discard").click()
    expect(page.get_by_text("Restored what you typed at")).to_be_hidden()
    assert page.locator("#id_alt").input_value() == ""
    assert eventually(lambda: not Draft.objects.exists())


def without_polls(page: Page) -> Page:
    """Let the page not find out by itself that the session has ended: what is typed finds out."""
    page.route("**/results/freshness/**", lambda route: route.fulfill(status=204))
    return page


def all_sent(page: Page, **typed: str) -> None:
    """Wait until nothing is on its way any more that would find the session ended before the test does."""
    wanted = {f"fields__{name}": [text] for name, text in typed.items()}
    assert eventually(lambda: Draft.objects.filter(**wanted).exists())
    expect(page.locator("form[data-draft-state=saved]")).to_be_visible()
    expect(page.locator("form[data-check-state=done]")).to_be_visible()
    expect(page.locator(".htmx-request")).to_have_count(0)


def test_the_session_ends_while_typing(sign_in: SignIn) -> None:
    page = without_polls(sign_in())
    page.goto(PAGE)
    type_in(page, {"id_visited_on": "2026-01-30", "id_alt": "44"})
    page.locator("#id_ast").click()
    all_sent(page, alt="44")
    end_sessions()
    page.keyboard.type("31")
    page.locator("#id_tbil").focus()
    sign_in_again(page, "wrong")
    expect(page.locator("#sign-in-again [role=alert]")).not_to_be_empty()
    assert "GE-001" not in page.title()
    sign_in_again(page)
    expect(page.locator("main")).to_be_visible()
    page.locator("#id_tbil").fill("15")
    assert typed_on(page, GOOD) == GOOD
    with saved_once(page):
        save(page)


def test_the_session_ends_before_the_save(sign_in: SignIn) -> None:
    page = without_polls(sign_in())
    page.goto(PAGE)
    type_in(page, GOOD)
    page.locator("[data-save]").focus()
    all_sent(page, tbil="15")
    end_sessions()
    with saved_once(page):
        save(page)
        sign_in_again(page)
    assert storage(page) == [0, 0, 0, 0]


def test_without_scripts_a_form_sent_after_the_session_waits_for_its_owner(sign_in: SignIn) -> None:
    page = sign_in(java_script_enabled=False)
    page.goto(PAGE)
    for field, text in GOOD.items():
        page.locator(f"#{field}").fill(text)
    end_sessions()
    save(page)
    page.wait_for_url("**/login/**")
    way = page.url

    stranger = sign_in("zhou.hui", java_script_enabled=False)
    stranger.goto(way)
    assert typed_on(stranger, GOOD)["id_alt"] == "", "another person gets nothing of it"

    page.get_by_label("Username").fill("li.min")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    assert typed_on(page, GOOD) == GOOD
    with saved_once(page):
        save(page)


def test_the_network_is_cut_while_typing_and_at_the_save(sign_in: SignIn) -> None:
    page = sign_in()
    page.goto(PAGE)
    page.context.set_offline(True)
    type_in(page, GOOD)
    status = page.locator(".draft-status, [data-draft-status]").first
    expect(status).to_contain_text("Not connected. What you typed is kept here and will be sent.")
    save(page)
    expect(page.get_by_text("Not saved: the server could not be reached.")).to_be_visible()
    assert typed_on(page, GOOD) == GOOD
    page.context.set_offline(False)
    expect(status).to_contain_text("Draft saved", timeout=10_000)
    with saved_once(page):
        page.get_by_role("button", name="Save again").click()


def test_the_server_is_restarted_while_typing(sign_in: SignIn, server: Server) -> None:
    page = sign_in()
    page.goto(PAGE)
    server.stop()
    type_in(page, GOOD)
    status = page.locator(".draft-status, [data-draft-status]").first
    expect(status).to_contain_text("Not connected.")
    server.start()
    expect(status).to_contain_text("Draft saved", timeout=10_000)
    page.reload()
    expect(page.get_by_text("Restored what you typed at")).to_be_visible()
    assert typed_on(page, GOOD) == GOOD
    with saved_once(page):
        save(page)


@pytest.mark.parametrize(
    "failpoint",
    [pytest.param("record_before_commit", marks=pytest.mark.exhaustive), "record_after_commit"],
)
def test_the_server_dies_during_the_save(sign_in: SignIn, server: Server, failpoint: str) -> None:
    """Before the commit nothing is saved, after it everything: saved again, it is there once."""
    page = sign_in()
    page.goto(PAGE)
    type_in(page, GOOD)
    server.stop()
    server.start(CORDLINE_FAILPOINT=f"{failpoint}=kill")
    with saved_once(page):
        save(page)
        # a browser may have tried again by itself, on a server that takes its time to come back
        expect(page.get_by_text("It is not known whether this is saved")).to_be_visible(timeout=40_000)
        assert typed_on(page, GOOD) == GOOD
        server.stop()
        server.start()
        page.get_by_role("button", name="Save again").click()


def lose_answers(page: Page) -> None:
    """Let every form reach the server, and none of its answers come back."""

    def lose(route: Any) -> None:
        if route.request.headers.get("x-form") == "1":
            route.fetch(max_redirects=0)
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route("**/*", lose)


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("who", "path", "typed", "chosen"),
    [
        (Role.COORDINATOR, "/patients/GE-001/events/new/", {"id_term": "Fever", "id_onset_on": "2024-02-01", "id_what": "rigors"}, "#grade_2"),
        (Role.COORDINATOR, "/infusions/lots/UC-1/custody/", {"id_happened_on": "2024-02-01", "id_happened_at": "08:15", "id_note": "sealed"}, "#id_step"),
        (Role.MONITOR, "/patients/GE-001/queries/new/", {"id_text": "Which report?"}, ""),
        (Role.DATA_MANAGER, "/patients/GE-001/lock/", {"id_reason": "cleaned"}, "#target-casebook"),
    ],
    ids=["event", "custody", "query", "lock"],
)  # fmt: skip
def test_the_answer_of_a_save_is_lost(
    sign_in: SignIn, who: Role, path: str, typed: dict[str, str], chosen: str
) -> None:
    """Everything stays, nobody is told that it is not saved, and neither a second try nor typing on saves twice."""
    factories.a_lot("UC-1", site=Site.objects.get())
    if who is not Role.COORDINATOR:
        factories.a_user(username="who.else", role=who, password=PASSWORD)
    page = sign_in("li.min" if who is Role.COORDINATOR else "who.else")
    before = Revision.objects.count()
    page.goto(path)
    if chosen == "#id_step":
        page.locator(chosen).select_option("received")
    elif chosen:
        page.locator(chosen).evaluate("choice => choice.click()")
    type_in(page, typed)
    lose_answers(page)
    page.locator("main form[data-draft] .btn-primary").first.click()
    expect(page.get_by_text("It is not known whether this is saved")).to_be_visible()
    assert typed_on(page, typed) == typed
    assert Revision.objects.count() == before + 1
    page.unroute("**/*")
    last = list(typed)[-1]
    page.locator(f"#{last}").focus()
    page.keyboard.press("End")
    page.keyboard.type(" 2")
    with page.expect_navigation():
        page.get_by_role("button", name="Save again").click()
    expect(page.locator("[role=alert]:visible").first).to_contain_text(
        re.compile("already|not locked|locked")
    )
    assert typed_on(page, {last: ""})[last] == f"{typed[last]} 2"
    assert Revision.objects.count() == before + 1


def test_a_refused_form_shows_why_and_keeps_what_was_typed(sign_in: SignIn) -> None:
    page = sign_in()
    page.goto(PAGE)
    type_in(page)
    save(page)
    expect(page.locator("#id_ast[aria-invalid=true]")).to_be_visible()
    assert typed_on(page) == TYPED
    kept = eventually(lambda: Draft.objects.get().fields.get("ast"))
    assert kept == ["3O"]


def test_who_signs_in_next_finds_nothing(sign_in: SignIn) -> None:
    page = sign_in()
    page.goto(PAGE)
    type_in(page)
    page.locator("h1").click()
    expect(page.locator(".draft-status, [data-draft-status]").first).to_contain_text("Draft saved")
    page.context.clear_cookies()
    page.goto("/login/")
    log_in(page, "zhou.hui")
    page.goto(PAGE)
    expect(page.locator("form[data-draft-state=saved]")).to_be_visible()
    assert page.locator("#id_alt").input_value() == ""
    assert page.get_by_text("Restored what you typed").count() == 0
    assert storage(page) == [0, 0, 0, 0]


def test_the_second_step_is_asked_for_in_place(sign_in: SignIn, li_min: User) -> None:
    page = sign_in()
    page.goto(PAGE)
    page.locator("#id_alt").fill("44")
    secret = totp.generate_totp_secret()
    totp.TOTP.activate(li_min, secret)
    end_sessions()
    page.locator("#id_alt").evaluate("field => field.blur()")  # whether or not the page knows already
    sign_in_again(page)
    code = page.locator("#sign-in-again").get_by_label("Code of your app")
    code.fill("000000")
    page.keyboard.press("Enter")
    expect(page.locator("#sign-in-again [role=alert]")).to_have_text("The code is not right.")
    code.fill(totp.format_hotp_value(totp.hotp_value(secret, next(totp.yield_hotp_counters_from_time()))))
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_visible()
    assert page.locator("#id_alt").input_value() == "44"
    page.reload()
    expect(page.get_by_text("Restored what you typed at")).to_be_visible()
    assert page.locator("#id_alt").input_value() == "44"


def test_nobody_there_for_a_quarter_of_an_hour_covers_the_page(sign_in: SignIn) -> None:
    page = sign_in()
    page.clock.install()
    page.goto(PAGE)
    page.locator("#id_alt").fill("44")
    end_sessions()
    page.clock.fast_forward("16:00")
    sign_in_again(page)
    expect(page.locator("main")).to_be_visible()
    assert page.locator("#id_alt").input_value() == "44"
