"""The account admin's page: who may come in, as what, and where; and the log of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from allauth.mfa.models import Authenticator
from django.core.cache import cache
from django.db import Error, transaction
from django.test import Client
from django.urls import reverse

from tests import factories
from trial import actions
from trial.models import AccountEvent, Site, User
from trial.roles import Role

pytestmark = pytest.mark.django_db
SignedIn = Callable[[User], Client]
PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def _nobody_tried_before() -> None:
    cache.clear()


@pytest.fixture
def admin(account_admin: User, signed_in: SignedIn) -> Client:
    return signed_in(account_admin)


@pytest.fixture
def li_min(sites: dict[str, Site]) -> User:
    return factories.a_user(
        username="li.ping", role=Role.COORDINATOR, site=sites["GE"], password=PASSWORD, last_name="Li"
    )


def log_in(username: str, password: str) -> Client:
    browser = Client()
    browser.post("/login/", {"login": username, "password": password})
    return browser


def is_in(browser: Client) -> bool:
    return browser.get("/account/").status_code == 200


def kinds(account: User) -> list[str]:
    return [event.kind for event in AccountEvent.objects.filter(account=account).order_by("id")]


def test_a_new_account_gets_a_password_once_and_chooses_another_first(
    admin: Client, sites: dict[str, Site]
) -> None:
    form = {"username": "he.xin", "role": "coordinator", "site": "GE", "submission_key": "once"}
    refused = admin.post("/accounts/new/", form | {"site": "", "submission_key": "other"})
    assert (refused.status_code, "belongs to a site" in refused.content.decode()) == (422, True)
    first, again = (admin.post("/accounts/new/", form).context["password"] for _time in range(2))
    account = User.objects.get(username="he.xin")
    assert first != again and not is_in(log_in("he.xin", first)), "only the last one shown is valid"
    browser = Client()
    answer = browser.post("/login/", {"login": "he.xin", "password": again})
    assert answer["Location"] == "/account/password/"
    # no other page opens before, whatever address is typed, and what a page asks for by itself is left as it is
    assert browser.get("/account/")["Location"] == "/account/password/"
    assert browser.get("/results/freshness/", headers={"HX-Request": "true"}).status_code == 204
    assert "made by somebody else" in browser.get("/account/password/").content.decode()
    chosen = {"oldpassword": again, "password1": PASSWORD, "password2": PASSWORD}
    assert browser.post("/account/password/", chosen)["Location"] == "/account/"
    assert browser.get("/account/").status_code == 200
    assert kinds(account) == ["created", "password_reset", "password_changed"]
    answer = Client().post("/login/", {"login": "he.xin", "password": PASSWORD})
    assert answer["Location"] == "/"
    # a repetition after the first sign-in gives nothing away and changes nothing
    assert admin.post("/accounts/new/", form).context["password"] == ""
    assert again not in admin.get("/accounts/").content.decode()


def test_who_is_deactivated_is_out_at_once_and_may_come_back(admin: Client, li_min: User) -> None:
    browser = log_in("li.ping", PASSWORD)
    assert is_in(browser)
    url = reverse("trial:set_active", args=[li_min.pk])
    admin.post(url, {"active": "no", "note": "left the ward"})
    assert not is_in(browser) and not is_in(log_in("li.ping", PASSWORD))
    admin.post(url, {"active": "yes"})
    assert is_in(log_in("li.ping", PASSWORD))
    assert kinds(li_min) == ["deactivated", "reactivated"]
    assert "left the ward" in admin.get("/accounts/").content.decode()


def test_role_and_site_change_unless_somebody_was_faster(
    admin: Client, li_min: User, account_admin: User
) -> None:
    url = reverse("trial:change_account", args=[li_min.pk])
    form = {
        "last_name": "Li",
        "first_name": "",
        "role": "monitor",
        "site": "",
        "seen": actions.standing_of(li_min),
    }
    assert admin.post(url, form).status_code == 302
    li_min.refresh_from_db()
    assert (li_min.role, li_min.site) == ("monitor", None)
    late = admin.post(url, form | {"role": "statistician"})
    assert (late.status_code, "meanwhile" in late.content.decode()) == (422, True)
    own = reverse("trial:change_account", args=[account_admin.pk])
    refused = admin.post(own, {"role": "monitor", "seen": actions.standing_of(account_admin)})
    assert refused.status_code == 422
    admin.post(reverse("trial:set_active", args=[account_admin.pk]), {"active": "no"})
    account_admin.refresh_from_db()
    assert account_admin.is_active and account_admin.role == "account_admin"


def test_a_lost_second_step_and_a_lock_are_taken_away(admin: Client, li_min: User) -> None:
    Authenticator.objects.create(user=li_min, type=Authenticator.Type.TOTP, data={"secret": "x"})
    for _try in range(6):
        log_in("li.ping", "wrong")
    page = admin.get(reverse("trial:change_account", args=[li_min.pk])).content.decode()
    assert "Unlock" in page and "Remove the second step" in page
    for name in ("trial:remove_codes", "trial:unlock"):
        assert admin.post(reverse(name, args=[li_min.pk]), {"note": "on the telephone"}).status_code == 302
    assert not Authenticator.objects.filter(user=li_min).exists()
    assert is_in(log_in("li.ping", PASSWORD))
    assert kinds(li_min) == ["codes_off", "unlocked"]

    # a success in between: ours begins to count anew, the login's library does not, and rests without a word
    for password in ("wrong", PASSWORD, *["wrong"] * 4):
        log_in("li.ping", password)
    assert not is_in(log_in("li.ping", PASSWORD))
    page = admin.get(reverse("trial:change_account", args=[li_min.pk])).content.decode()
    assert "Forget wrong passwords" in page
    admin.post(reverse("trial:unlock", args=[li_min.pk]))
    assert is_in(log_in("li.ping", PASSWORD))


def test_the_log_is_only_added_to_and_accounts_stay(admin: Client, li_min: User) -> None:
    admin.post(reverse("trial:set_active", args=[li_min.pk]), {"active": "no"})
    event = AccountEvent.objects.get(account=li_min)
    for write in (
        lambda: AccountEvent.objects.filter(pk=event.pk).update(note="x"),
        event.delete,
        lambda: AccountEvent.objects.filter(pk=event.pk).delete(),
    ):
        with pytest.raises(Error), transaction.atomic():
            write()
    assert (
        admin.post(
            "/accounts/sites/new/", {"code": "ge", "name": "x", "time_zone": "Asia/Shanghai"}
        ).status_code
        == 422
    )
    made = admin.post(
        "/accounts/sites/new/", {"code": "NW", "name": "North West", "time_zone": "Asia/Shanghai"}
    )
    assert made.status_code == 302
    assert "North West" in admin.get("/accounts/").content.decode()
