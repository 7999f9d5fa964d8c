"""Signing in, the account page and the second step."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as totp
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.test import Client
from django.utils import translation

from tests import factories
from trial import accounts
from trial.models import AuditEntry, User
from trial.passwords import LongEnough
from trial.roles import PERMISSION_LABELS, Permission, Role

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def _nobody_tried_before() -> None:
    """The library counts attempts in the cache, which outlives a test."""
    cache.clear()


@pytest.fixture
def li_min(db: None) -> User:
    return factories.a_user(
        username="li.min", role=Role.COORDINATOR, site=factories.a_site(), password=PASSWORD, last_name="Li"
    )


def test_a_chinese_name_is_written_without_a_space() -> None:
    assert User(last_name="张", first_name="三").shown_name == "张三"
    assert User(last_name="Li", first_name="Min").shown_name == "Li Min"
    assert User(last_name="张", first_name="San").shown_name == "张 San"


def test_a_short_password_is_refused_in_the_reader_s_language() -> None:
    rule = LongEnough(min_length=12)
    assert rule.get_error_message().endswith("at least 12 characters.")
    with translation.override("zh-hans"):
        assert "12 个字符" in rule.get_error_message()


def log_in(username: str = "li.min", password: str = PASSWORD) -> Client:
    browser = Client()
    browser.post("/login/", {"login": username, "password": password})
    return browser


# --- signing in -----------------------------------------------------------------------------


def test_a_wrong_password_names_the_rule_and_keeps_the_name(li_min: User) -> None:
    answer = Client().post("/login/", {"login": "li.min", "password": "wrong"})
    assert answer.status_code == 200
    assert b'value="li.min"' in answer.content
    assert b"alert" in answer.content


def test_an_unknown_name_is_told_the_same_as_a_wrong_password(li_min: User) -> None:
    answers = [
        Client().post("/login/", {"login": name, "password": "wrong"}) for name in ("li.min", "no.body")
    ]
    errors = [list(answer.context["form"].non_field_errors()) for answer in answers]
    assert errors[0]
    assert errors[0] == errors[1]


def test_after_five_wrong_passwords_the_right_one_does_not_open(li_min: User) -> None:
    browser = Client()
    for _ in range(settings.AXES_FAILURE_LIMIT):
        answer = browser.post("/login/", {"login": "li.min", "password": "wrong"})
    assert answer.status_code == 429
    assert "Too many attempts" in answer.content.decode()
    browser.post("/login/", {"login": "li.min", "password": PASSWORD})
    assert browser.get("/account/").status_code == 302
    assert accounts.locked_out() == {"li.min"}
    # a ward shares one address: nobody else waits
    factories.a_user(username="wu.qing", role=Role.STATISTICIAN, password=PASSWORD)
    assert log_in("wu.qing").get("/account/").status_code == 200


@pytest.mark.parametrize(
    ("role", "first_page"),
    [(Role.COORDINATOR, "/"), (Role.STATISTICIAN, "/"), (Role.ACCOUNT_ADMIN, "/accounts/")],
)
def test_everybody_arrives_at_a_page_they_may_open(db: None, role: Role, first_page: str) -> None:
    factories.a_user(username="somebody", role=role, site=factories.a_site(), password=PASSWORD)
    browser = Client()
    answer = browser.post("/login/", {"login": "somebody", "password": PASSWORD})
    assert answer.headers["Location"] == first_page
    assert browser.get(first_page).status_code == 200


def test_logging_in_goes_on_where_one_was_sent_from_and_nowhere_else(li_min: User) -> None:
    wanted = Client().post("/login/", {"login": "li.min", "password": PASSWORD, "next": "/patients/?site=GE"})
    assert wanted.headers["Location"] == "/patients/?site=GE"
    foreign = Client().post(
        "/login/", {"login": "li.min", "password": PASSWORD, "next": "https://elsewhere.example/"}
    )
    assert foreign.headers["Location"] == "/"


def test_logging_out_needs_a_post(li_min: User) -> None:
    browser = log_in()
    assert browser.get("/logout/").status_code == 200
    assert browser.get("/account/").status_code == 200
    assert browser.post("/logout/").status_code == 302
    assert browser.get("/account/").status_code == 302


# --- the account page -----------------------------------------------------------------------


def test_every_permission_has_words() -> None:
    assert set(PERMISSION_LABELS) == set(Permission)


def test_the_account_page_says_who_may_do_what(
    coordinator: User, signed_in: Callable[[User], Client]
) -> None:
    page = signed_in(coordinator).get("/account/").content.decode()
    assert "Guangzhou East" in page
    assert "record infusions" in page
    assert "export files" not in page


def test_sessions_are_listed_and_ended_one_by_one_or_all_and_nobody_elses(
    li_min: User, coordinator_elsewhere: User
) -> None:
    windows = {"User-Agent": "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/141.0 Safari/537.36"}
    here, third = log_in(), log_in()
    there = Client(headers=windows)
    there.post("/login/", {"login": "li.min", "password": PASSWORD})
    stranger = Client()
    stranger.force_login(coordinator_elsewhere, backend="django.contrib.auth.backends.ModelBackend")
    stranger.get("/account/")
    page = here.get("/account/").content.decode()
    assert page.count('name="place"') == 2
    assert "Chrome 141, Windows" in page
    assert "127.0.0.1" in page
    assert there.session.session_key not in page

    where = {place.browser: place.name for place in accounts.places(li_min, "")}
    (foreign,) = accounts.places(coordinator_elsewhere, "")
    assert here.post("/account/", {"place": foreign.name}, follow=True).status_code == 200
    assert stranger.get("/account/").status_code == 200
    here.post("/account/", {"place": where["Chrome 141, Windows"]})
    assert there.get("/account/").status_code == 302
    assert third.get("/account/").status_code == 200

    assert here.post("/account/").status_code == 302
    assert third.get("/account/").status_code == 302

    assert here.get("/account/").status_code == 200
    assert there.get("/account/").status_code == 302
    assert stranger.get("/account/").status_code == 200
    assert accounts.other_sessions(li_min, here.session.session_key or "") == []
    assert Session.objects.count() == 2


# --- changing how one signs in --------------------------------------------------------------


def test_a_new_password_works_and_stands_in_the_trail_without_being_there(li_min: User) -> None:
    browser = log_in()
    new = "another long passphrase"
    answer = browser.post(
        "/account/password/", {"oldpassword": PASSWORD, "password1": new, "password2": new}, follow=True
    )
    assert answer.status_code == 200
    assert log_in(password=new).get("/account/").status_code == 200
    assert log_in().get("/account/").status_code == 302
    for entry in AuditEntry.objects.filter(table="trial_user", row=li_min.pk):
        assert "argon2" not in str(entry.new) + str(entry.old)


def test_a_weak_password_is_refused_with_the_rule(li_min: User) -> None:
    browser = log_in()
    answer = browser.post(
        "/account/password/", {"oldpassword": PASSWORD, "password1": "short", "password2": "short"}
    )
    assert answer.status_code == 200
    assert "12 characters" in answer.content.decode()
    assert log_in().get("/account/").status_code == 200


def test_the_second_step_is_set_up_asked_for_and_switched_off(li_min: User) -> None:
    browser = log_in()
    page = browser.get("/account/codes/on/", follow=True)
    assert "Confirm it is you" in page.content.decode()
    page = browser.post("/account/again/?next=/account/codes/on/", {"password": PASSWORD}, follow=True)
    secret = page.context["form"].secret
    code = totp.format_hotp_value(totp.hotp_value(secret, next(totp.yield_hotp_counters_from_time())))
    answer = browser.post("/account/codes/on/", {"code": code}, follow=True)
    assert "Recovery codes" in answer.content.decode()
    assert Authenticator.objects.filter(user=li_min, type=Authenticator.Type.TOTP).exists()

    second = log_in()
    assert second.get("/account/").status_code == 302
    recovery = Authenticator.objects.get(user=li_min, type=Authenticator.Type.RECOVERY_CODES)
    unused = recovery.wrap().get_unused_codes()
    refused = second.post("/login/code/", {"code": "000000"}).content.decode()
    assert "half a minute" in refused
    assert "set the clock of the telephone" in refused
    assert second.post("/login/code/", {"code": unused[0]}).status_code == 302
    assert second.get("/account/").status_code == 200
    recovery.refresh_from_db()
    assert unused[0] not in recovery.wrap().get_unused_codes()

    browser.post("/account/codes/off/", follow=True)
    assert not Authenticator.objects.filter(user=li_min).exists()


def test_the_language_is_switched_by_post_and_stays() -> None:
    browser = Client()
    assert browser.post("/language/", {"language": "zh-hans", "next": "/login/"}).url == "/login/"
    assert 'lang="zh-hans"' in browser.get("/login/").content.decode()
    assert browser.get("/language/").status_code in {302, 405}
