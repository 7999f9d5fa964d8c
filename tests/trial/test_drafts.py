"""What was typed and not saved: kept for its owner alone, given back, gone with the save."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
import time_machine
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.db import OperationalError
from django.test import Client, RequestFactory
from django.utils import timezone

from patients.models import LabResult, Patient
from tests import factories
from trial import drafts, filled_page, idempotency
from trial.models import Draft, User
from trial.roles import Role
from trial.views import failures

PASSWORD = "correct horse battery"
PLACE = "visit:GE-001:4"
PAGE = "/patients/GE-001/visits/4/"
SignedIn = Callable[[User], Client]


def keep(browser: Client, place: str = PLACE, **fields: str) -> Any:
    return browser.post(
        "/account/draft/",
        {
            "place": place,
            "path": PAGE,
            "title": "GE-001 · Visit week 4",
            "fields": json.dumps({name: [value] for name, value in fields.items()}),
        },
    )


def kept(browser: Client, place: str = PLACE) -> Any:
    return browser.get("/account/draft/", {"place": place}).json()["draft"]


# --- keeping and giving back ----------------------------------------------------------------


def test_fields_come_one_by_one_and_go_back_together(coordinator: User, signed_in: SignedIn) -> None:
    browser = signed_in(coordinator)
    assert kept(browser) is None
    assert keep(browser, alt="44").status_code == 200
    keep(browser, tbil="<5")
    keep(browser, alt="4４")
    assert kept(browser)["fields"] == {"alt": ["4４"], "tbil": ["<5"]}
    (draft,) = drafts.of(coordinator)
    assert (draft.title, drafts.address(draft)) == ("GE-001 · Visit week 4", PAGE)


def test_nobody_else_sees_or_discards_it(
    coordinator: User, hepatologist: User, data_manager: User, signed_in: SignedIn
) -> None:
    keep(signed_in(coordinator), alt="44")
    for other in (hepatologist, data_manager):
        browser = signed_in(other)
        assert kept(browser) is None
        browser.post("/account/draft/", {"place": PLACE, "discard": "1"})
        keep(browser, alt="9")
    assert kept(signed_in(coordinator))["fields"] == {"alt": ["44"]}


def test_discarding_throws_it_away(coordinator: User, signed_in: SignedIn) -> None:
    browser = signed_in(coordinator)
    keep(browser, alt="44")
    browser.post("/account/draft/", {"place": PLACE, "discard": "1"})
    assert kept(browser) is None


def test_secrets_and_the_persons_behind_a_subject_are_never_kept() -> None:
    typed = {
        "csrfmiddlewaretoken": ["x"],
        "password": ["x"],
        "sign-password": ["x"],
        "password1": ["x"],
        "name": ["Wang"],
        "hospital_number": ["1"],
        "phone": ["1"],
        "sex": ["M"],
    }
    assert drafts.read_fields(json.dumps(typed)) == {"sex": ["M"]}
    assert drafts.read_fields(json.dumps(typed | {"code": ["123456"]})) == {"sex": ["M"]}
    laboratory = {"name": ["Central laboratory"], "code": ["GE-LAB"]}
    assert drafts.read_fields(json.dumps(laboratory)) == laboratory


@pytest.mark.parametrize(
    "fields",
    ["", "[]", "{", '{"a": "b"}', '{"a": [1]}', '{"a": ["\\u0000"]}', '{"a": ["\\ud83d"]}', '{"\\u0000": []}']
    + [json.dumps({"a": ["x" * drafts.LARGEST]}), json.dumps({str(n): [] for n in range(1001)})],
    ids=range(10),
)
def test_what_is_no_draft_is_refused(coordinator: User, signed_in: SignedIn, fields: str) -> None:
    browser = signed_in(coordinator)
    answer = browser.post("/account/draft/", {"place": PLACE, "path": PAGE, "fields": fields})
    assert answer.status_code == 400
    assert not Draft.objects.exists()


def test_a_draft_nested_without_end_is_refused(coordinator: User, signed_in: SignedIn) -> None:
    fields = '{"a":' + "[" * 200_000
    answer = signed_in(coordinator).post("/account/draft/", {"place": PLACE, "path": PAGE, "fields": fields})
    assert answer.status_code == 400


def test_nobody_keeps_forms_without_end(
    coordinator: User, hepatologist: User, signed_in: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drafts, "MOST_OF_A_PERSON", 3)
    browser = signed_in(coordinator)
    answers = [keep(browser, f"visit:GE-001:{week}", alt="44").status_code for week in range(4)]
    assert answers == [200, 200, 200, 400]
    assert keep(browser, "visit:GE-001:0", alt="45").status_code == 200
    assert keep(signed_in(hepatologist), alt="44").status_code == 200
    assert Draft.objects.filter(person=coordinator).count() == 3


def test_a_parked_form_has_a_size_too(coordinator: User) -> None:
    with pytest.raises(drafts.Unfit):
        drafts.keep(
            person=coordinator,
            place=PLACE,
            path=PAGE,
            fields={"note": ["x" * drafts.LARGEST]},
            parked=True,
        )


@pytest.mark.parametrize(
    ("place", "path"),
    [
        ("", PAGE),
        ("x" * 201, PAGE),
        (PLACE, "javascript:alert(1)"),
        (PLACE, "//elsewhere.example/"),
        (PLACE, "/\\\\elsewhere.example/"),
    ],
)
def test_a_draft_names_its_place_and_page(
    coordinator: User, signed_in: SignedIn, place: str, path: str
) -> None:
    answer = signed_in(coordinator).post("/account/draft/", {"place": place, "path": path, "fields": "{}"})
    assert answer.status_code == 400


def test_after_thirty_days_it_is_gone(coordinator: User, signed_in: SignedIn) -> None:
    drafts.keep(person=coordinator, place=PLACE, path=PAGE, fields={"alt": ["44"]})
    with time_machine.travel(timezone.now() + drafts.KEPT_FOR - timedelta(minutes=1)):
        assert drafts.load(coordinator, PLACE)
    with time_machine.travel(timezone.now() + drafts.KEPT_FOR + timedelta(minutes=1)):
        assert drafts.load(coordinator, PLACE) is None
        assert drafts.of(coordinator) == []
        drafts.keep(person=coordinator, place="another", path=PAGE, fields={})
        assert [draft.place for draft in Draft.objects.all()] == ["another"]


def test_the_script_is_told_that_the_session_ended(client: Client, db: None) -> None:
    for answer in (
        client.get("/account/draft/", headers={"Accept": "application/json"}),
        client.post("/account/draft/", {"place": PLACE}, headers={"Accept": "application/json"}),
        client.get("/account/session/", headers={"Accept": "application/json"}),
    ):
        assert answer.status_code == 401


def test_a_page_made_for_one_person_is_not_answered_to_another(
    coordinator: User, hepatologist: User, signed_in: SignedIn
) -> None:
    headers = {"X-Person": str(coordinator.pk), "Accept": "application/json"}
    assert signed_in(coordinator).get("/account/session/", headers=headers).status_code == 200
    assert signed_in(hepatologist).get("/account/session/", headers=headers).status_code == 401


# --- a form that was saved ------------------------------------------------------------------


@pytest.fixture
def patient(sites: dict[str, Any]) -> Patient:
    return factories.a_patient(site=sites["GE"], subject_id="GE-001")


class _Fields(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.values: dict[str, str] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        name = given.get("name")
        if tag == "input" and name and (given.get("type") not in {"radio", "checkbox"} or "checked" in given):
            self.values[name] = given.get("value") or ""


def visit_form(browser: Client, **typed: str) -> dict[str, str]:
    fields = _Fields(browser.get(PAGE).content.decode()).values
    return {**fields, "visited_on": "2026-01-20", **typed}


def name_of_value(fields: dict[str, str], analyte: str) -> str:
    return next(name for name in fields if name.split("-")[0].split("_")[0] == analyte)


def log_in(username: str = "li.min") -> Client:
    cache.clear()
    browser = Client()
    browser.post("/login/", {"login": username, "password": PASSWORD})
    return browser


@pytest.fixture
def li_min(sites: dict[str, Any]) -> User:
    return factories.a_user(username="li.min", role=Role.COORDINATOR, site=sites["GE"], password=PASSWORD)


@pytest.fixture
def zhou_hui(sites: dict[str, Any]) -> User:
    return factories.a_user(username="zhou.hui", role=Role.COORDINATOR, site=sites["GE"], password=PASSWORD)


def test_a_save_takes_its_draft_along_and_a_refusal_keeps_it(patient: Patient, li_min: User) -> None:
    browser = log_in()
    fields = visit_form(browser)
    alt = name_of_value(fields, "alt")
    keep(browser, **{alt: "4O"})
    keep(browser, place="visit:GE-001:12", alt="1")
    assert browser.post(PAGE, {**fields, alt: "4O", "draft": PLACE}).status_code == 422
    assert kept(browser)
    answer = browser.post(PAGE, {**fields, alt: "44", "draft": PLACE}, headers={"X-Form": "1"})
    assert answer.status_code == 204, answer.content.decode()[:500]
    assert answer.headers["X-Location"].startswith(PAGE)
    assert kept(browser) is None
    assert kept(browser, "visit:GE-001:12"), "another form's draft stays"
    assert LabResult.objects.get(analyte="alt").value == 44


# --- a form that arrives after its session --------------------------------------------------


def expired(browser: Client) -> None:
    """Let the session have been idle for twenty minutes."""
    session = browser.session
    session["seen_at"] = int(timezone.now().timestamp()) - 20 * 60
    session.save()


@pytest.mark.parametrize("gone", ["idle", "out of date"])
def test_a_form_sent_after_the_session_is_saved_by_its_owner_once(
    patient: Patient, li_min: User, gone: str
) -> None:
    browser = log_in()
    fields = visit_form(browser)
    alt = name_of_value(fields, "alt")
    if gone == "idle":
        expired(browser)
    else:
        Session.objects.update(expire_date=timezone.now() - timedelta(minutes=1))
    answer = browser.post(PAGE, {**fields, alt: "44"}, headers={"Referer": f"http://testserver{PAGE}?x=1"})
    assert answer.status_code == 302
    assert not LabResult.objects.exists()
    draft = Draft.objects.get()
    assert (draft.person, draft.parked) == (li_min, True)

    login = browser.get(answer.headers["Location"])
    way_back = _Fields(login.content.decode()).values["next"]
    cache.clear()
    answer = browser.post("/login/", {"login": "li.min", "password": PASSWORD, "next": way_back})
    assert answer.headers["Location"] == way_back == f"{PAGE}?typed={draft.pk}"
    page = browser.get(way_back).content.decode()
    back = _Fields(page).values
    assert back[alt] == "44"
    assert back[idempotency.FIELD] == fields[idempotency.FIELD]
    for _twice in range(2):
        assert browser.post(PAGE, {**back, "csrfmiddlewaretoken": "x"}).status_code == 302
    assert LabResult.objects.get(analyte="alt").value == 44
    assert not Draft.objects.exists()


def test_somebody_else_who_logs_in_gets_nothing_of_it(patient: Patient, li_min: User, zhou_hui: User) -> None:
    browser = log_in()
    fields = visit_form(browser)
    alt = name_of_value(fields, "alt")
    expired(browser)
    way = browser.post(PAGE, {**fields, alt: "4444"}).headers["Location"]
    draft = Draft.objects.get()
    other = log_in("zhou.hui")
    page = other.get(f"{PAGE}?typed={draft.pk}")
    assert page.status_code == 200
    assert "4444" not in page.content.decode()
    assert drafts.of(zhou_hui) == []
    assert "4444" not in browser.get(way).content.decode(), "nor does the login page show it"


@pytest.mark.parametrize("cookie", ["", "nonsense", "a" * 32])
def test_without_a_session_of_the_server_nothing_is_parked(patient: Patient, cookie: str) -> None:
    browser = Client()
    if cookie:
        browser.cookies["sessionid"] = cookie
    answer = browser.post(PAGE, {idempotency.FIELD: "k", "alt": "44"})
    assert answer.status_code == 302
    assert not Draft.objects.exists()


def test_a_form_without_a_one_time_key_is_not_parked(li_min: User) -> None:
    browser = log_in()
    expired(browser)
    browser.post("/account/", {"end": "others"})
    assert not Draft.objects.exists()


@pytest.mark.parametrize("asked", ["", "x", "-1", "9" * 30, "１"])
def test_an_address_that_asks_for_no_draft_is_a_page(patient: Patient, li_min: User, asked: str) -> None:
    assert log_in().get(PAGE, {"typed": asked}).status_code == 200


# --- filling a page -------------------------------------------------------------------------

PAGE_OF_FORMS = """<p>a</p>
<form><input name="q" value="1"></form>
<form data-draft="other"><input name="x"></form>
<form method=post data-draft="visit">
  <input type="hidden" name="csrfmiddlewaretoken" value="new"><input type="password" name="p">
  <input name="alt" value="&lt;4" placeholder="a &amp; b" disabled>
  <input type=radio name="sex" value="F" checked><input type=radio name="sex" value="M">
  <input type="checkbox" name="sure" checked>
  <select name="unit"><option value="a" selected>A<option value="b">B</option></select>
  <textarea name="note" rows="2">old</textarea>
  <button name="then" value="next">Go</button>
</form><p>z</p>"""


def test_every_kind_of_field_is_filled() -> None:
    fields = {
        "alt": ['"><5'],
        "sex": ["M"],
        "unit": ["b"],
        "note": ["</textarea><b>"],
        "q": ["2"],
        "p": ["x"],
    }
    filled = filled_page.fill(PAGE_OF_FORMS, {**fields, "csrfmiddlewaretoken": ["old"]})
    assert filled is not None
    assert 'name="q" value="1"' in filled
    assert 'name="csrfmiddlewaretoken" value="new"' in filled
    assert '<input type="password" name="p">' in filled
    assert 'value="&quot;&gt;&lt;5" placeholder="a &amp; b" disabled' in filled
    assert '<input type="radio" name="sex" value="F">' in filled
    assert '<input type="radio" name="sex" value="M" checked>' in filled
    assert '<input type="checkbox" name="sure">' in filled
    assert '<option value="a">A<option value="b" selected>B' in filled
    assert 'rows="2">\n&lt;/textarea&gt;&lt;b&gt;</textarea>' in filled
    assert filled.startswith("<p>a</p>")
    assert filled.endswith("<p>z</p>")


def test_a_page_without_such_a_form_stays_as_it_is() -> None:
    assert filled_page.fill("<form><input name=a></form>", {"a": ["1"]}) is None


# --- a database that is away ----------------------------------------------------------------


def away(*_arguments: object, **_named: object) -> Any:
    raise OperationalError("the server closed the connection")


def test_a_save_that_meets_no_database_is_on_the_page_to_be_sent_again(
    patient: Patient, li_min: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = log_in()
    browser.raise_request_exception = False
    fields = visit_form(browser)
    typed = {**fields, name_of_value(fields, "alt"): "44", name_of_value(fields, "ast"): '"><3O'}
    with monkeypatch.context() as patched:
        patched.setattr("patients.selectors.patient_or_404", away)
        answer = browser.post(PAGE, typed)
        assert browser.get(PAGE).status_code == 503
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    page = answer.content.decode()
    assert f'<form method="post" action="{PAGE}">' in page
    for value in (fields[idempotency.FIELD], "44", "&quot;&gt;&lt;3O"):
        assert f"hidden>\n{value}</textarea>" in page


def test_a_lot_that_meets_no_database_is_repeated_with_its_code() -> None:
    request = RequestFactory().post(
        "/infusions/lots/new/", {idempotency.FIELD: "k", "code": "UC-7", "donor_code": "CORD-7"}
    )
    try:
        raise OperationalError
    except OperationalError:
        page = failures.server_error(request).content.decode()
    assert all(f"hidden>\n{value}</textarea>" in page for value in ("UC-7", "CORD-7"))


def test_a_password_is_never_repeated(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = Client(raise_request_exception=False)
    monkeypatch.setattr("allauth.account.forms.LoginForm.clean", away)
    answer = browser.post("/login/", {"login": "li.min", "password": "secret words", idempotency.FIELD: "k"})
    assert answer.status_code == 503
    assert "secret words" not in answer.content.decode()


def test_who_lost_the_role_meanwhile_is_told_that_it_is_kept(coordinator: User, signed_in: SignedIn) -> None:
    browser = signed_in(coordinator)
    keep(browser, alt="44")
    with factories.by_the_software():
        User.objects.filter(pk=coordinator.pk).update(role=Role.MONITOR, site=None)
    factories.settle()
    answer = browser.post(PAGE, {"draft": PLACE, "alt": "44", idempotency.FIELD: "1"})
    assert answer.status_code == 403 and "What you typed is kept" in answer.content.decode()
    assert kept(browser)["fields"] == {"alt": ["44"]}
