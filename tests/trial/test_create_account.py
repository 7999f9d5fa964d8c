"""Accounts come from account admins and from the command, never from a form anybody can reach."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from trial import audit
from trial.models import Revision, Site, User
from trial.roles import Role

pytestmark = pytest.mark.django_db


def create(*words: str, **options: Any) -> str:
    out = io.StringIO()
    call_command("create_account", *words, stdout=out, **options)
    return out.getvalue()


def test_first_coordinator_brings_the_site_and_can_log_in() -> None:
    said = create("li.min", "--role", "coordinator", "--site", "GE", "--site-name", "Guangzhou East")
    user = User.objects.get(username="li.min")
    assert (user.role, str(user.site)) == (Role.COORDINATOR, "Guangzhou East")
    password = said.rpartition(": ")[2].strip()
    browser = Client()
    browser.post("/login/", {"login": "li.min", "password": password})
    assert browser.session["_auth_user_id"] == str(user.pk)


def test_it_is_in_the_trail_without_the_password() -> None:
    create("wu.qing", "--role", "statistician")
    audit.settle()
    revision = Revision.objects.get(number=audit.latest_revision())
    assert (revision.actor.username, revision.source) == ("cordline", "manage.py create_account")
    (entry,) = revision.entries.all()
    assert entry.new["username"] == "wu.qing"
    assert "password" not in entry.new


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["x", "--role", "coordinator"], "belongs to a site"),
        (["x", "--role", "coordinator", "--site", "ZZ"], "--site ZZ: there is no such site"),
        (["x", "--role", "monitor", "--site", "GE", "--site-name", "East"], "has no site"),
        (["x", "--role", "coordinator", "--site", "ge", "--site-name", "East"], "capital_letters"),
        (
            ["x", "--role", "coordinator", "--site", "GE", "--site-name", "E", "--time-zone", "Mars/Base"],
            "Mars/Base",
        ),
        (["x", "--role", "monitor", "--by", "nobody"], "--by nobody"),
        (["two words", "--role", "monitor"], "valid username"),
        (["cordline", "--role", "monitor"], "already exists"),
    ],
)
def test_refusal_says_what_is_wrong_and_leaves_nothing(words: list[str], problem: str) -> None:
    before = User.objects.count(), Site.objects.count()
    with pytest.raises(CommandError, match=problem):
        create(*words)
    assert (User.objects.count(), Site.objects.count()) == before


def test_only_an_account_admin_may_be_named(coordinator: User, account_admin: User) -> None:
    with pytest.raises(CommandError, match="may not manage accounts"):
        create("x", "--role", "monitor", "--by", coordinator.username)
    create("x", "--role", "monitor", "--by", account_admin.username)
    audit.settle()
    assert Revision.objects.get(number=audit.latest_revision()).actor == account_admin
