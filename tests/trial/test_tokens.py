"""Tokens: made after proving who one is, shown once, listed by their beginning, revoked at any time."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.test import Client

from trial import actions, tokens
from trial.models import AccountEvent, ApiToken, User
from trial.refusals import Refused

PASSWORD = "a long enough password"
PAGE = "/account/tokens/"
CHANGE = "/account/password/"


@pytest.fixture
def person(coordinator: User) -> User:
    from tests import factories

    coordinator.set_password(PASSWORD)
    with factories.by_the_software():
        coordinator.save(update_fields=["password"])
    return coordinator


@pytest.mark.django_db
def test_a_token_is_made_shown_once_and_revoked(person: User, signed_in: Callable[[User], Client]) -> None:
    client = signed_in(person)
    asked = {"name": "Roche cobas", "scopes": ["observations:write"], "days": "30"}
    assert "Make a token" in client.get(PAGE).content.decode()

    refused = client.post(PAGE, {**asked, "password": "wrong"})
    assert refused.status_code == 422
    assert "The password is not right." in refused.content.decode()
    for wrong, said in (
        ({"name": " "}, "The token has no name."),
        ({"scopes": []}, "good for nothing"),
        ({"scopes": ["datasets:read"]}, "more than you may"),
        ({"days": "366"}, "1 to 365 days"),
        ({"days": "9" * 30}, "1 to 365 days"),
    ):
        answer = client.post(PAGE, {**asked, **wrong, "password": PASSWORD})
        assert answer.status_code == 422
        assert said in answer.content.decode()
    assert not ApiToken.objects.exists()

    page = client.post(PAGE, {**asked, "password": PASSWORD}).content.decode()
    found = re.search(r"cdl_[A-Za-z0-9_-]{43}", page)
    assert found is not None
    text = found[0]
    assert text not in client.get(PAGE).content.decode()
    assert text[:10] in client.get(PAGE).content.decode()
    token = tokens.of_text(text)
    assert token is not None
    assert token.scopes == ["observations:write"]
    again = client.post(PAGE, {**asked, "password": PASSWORD})
    assert again.status_code == 422, "a double click makes no second one"
    assert ApiToken.objects.count() == 1

    client.post(f"{PAGE}{token.pk}/revoke/")
    client.post(f"{PAGE}{token.pk}/revoke/")
    assert tokens.of_text(text) is None
    kinds = list(AccountEvent.objects.filter(account=person).order_by("id").values_list("kind", "note"))
    assert [kind for kind, _note in kinds] == ["token_made", "token_revoked"]
    assert all(text not in note and text[:10] in note for _kind, note in kinds)


@pytest.mark.django_db
def test_nobody_sees_or_revokes_anothers_token(
    person: User, data_manager: User, account_admin: User, signed_in: Callable[[User], Client]
) -> None:
    token, text = tokens.make_token(by=person, name="mine", scopes=["observations:read"], days=1)
    other = signed_in(data_manager)
    assert "mine" not in other.get(PAGE).content.decode()
    assert other.post(f"{PAGE}{token.pk}/revoke/").status_code == 404
    assert tokens.of_text(text) is not None
    assert "reads and writes nothing" in signed_in(account_admin).get(PAGE).content.decode()
    with pytest.raises(Refused):
        tokens.make_token(by=account_admin, name="x", scopes=["observations:read"], days=1)
    for nonsense in ("", "cdl_", "cdl_" + "a" * 43, text[:-1], text + "x", "\ud800" * 47):
        assert tokens.of_text(nonsense) is None


def change_password(client: Client, old: str, new: str, **more: str) -> None:
    answer = client.post(CHANGE, {"oldpassword": old, "password1": new, "password2": new, **more})
    assert answer.status_code == 302, answer.content.decode()


@pytest.mark.django_db
def test_a_new_password_takes_the_tokens_away_when_that_is_said(
    person: User, account_admin: User, signed_in: Callable[[User], Client]
) -> None:
    client = signed_in(person)
    assert "revoke_tokens" not in client.get(CHANGE).content.decode(), "there is none"
    _made, text = tokens.make_token(by=person, name="Roche cobas", scopes=["observations:read"], days=1)
    page = client.get(CHANGE)
    assert "Roche cobas" in page.content.decode()
    assert "never used" in page.content.decode()
    assert not page.context["form"]["revoke_tokens"].initial

    change_password(client, PASSWORD, PASSWORD + " 2")
    assert tokens.of_text(text) is not None, "a feed goes on"
    change_password(client, PASSWORD + " 2", PASSWORD + " 3", revoke_tokens="on")
    assert tokens.of_text(text) is None
    assert "1 token is revoked." in client.get(PAGE).content.decode()
    assert AccountEvent.objects.filter(account=person, kind="token_revoked").count() == 1

    tokens.make_token(by=person, name="Roche cobas", scopes=["observations:read"], days=1)
    given = actions.reset_password(account=person, by=account_admin)
    back = Client()
    back.post("/login/", {"login": person.username, "password": given})
    assert back.get(CHANGE).context["form"]["revoke_tokens"].initial, "the old password may be a stranger's"
