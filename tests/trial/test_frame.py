"""The frame of every page: places, error pages, static files."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import AnonymousUser
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.template.loader import render_to_string
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import translation

from trial import context, distributions
from trial.models import User
from trial.roles import Role

# --- places ---------------------------------------------------------------------------------

EXPECTED = {
    "coordinator": ["today", "patients", "infusions", "audit"],
    "hepatologist": ["today", "patients", "infusions", "analysis", "audit"],
    "statistician": ["today", "patients", "infusions", "analysis", "data", "audit"],
    "monitor": ["today", "patients", "infusions", "audit"],
    "data_manager": ["today", "patients", "infusions", "analysis", "data", "audit"],
    "account_admin": ["accounts"],
}


@pytest.mark.parametrize("role", EXPECTED)
def test_the_bar_shows_the_places_a_role_may_open_and_they_open(
    role: str, request: pytest.FixtureRequest, signed_in: Callable[[User], Client]
) -> None:
    user = request.getfixturevalue(role)
    places = context.nav(user)
    assert [place.key for place in places] == EXPECTED[role]
    browser = signed_in(user)
    for place in places:
        assert browser.get(place.url, follow=True).status_code == 200, place.url


def test_every_role_has_an_expectation() -> None:
    assert set(EXPECTED) == {role.value for role in Role}


def test_nobody_signed_in_sees_no_place() -> None:
    assert context.nav(AnonymousUser()) == []


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_the_other_language_is_offered_in_its_own_words(language: str) -> None:
    with translation.override(language):
        offered = context.page(RequestFactory().get("/"))["other_languages"]
    assert offered == [(code, name) for code, name in context.LANGUAGE_NAMES.items() if code != language]


def test_the_current_place_is_marked_once(coordinator: User, signed_in: Callable[[User], Client]) -> None:
    page = signed_in(coordinator).get(reverse("patients:list")).content.decode()
    bar = page[page.index("<nav") : page.index("</nav>")]
    assert re.findall(r'href="([^"]*)" aria-current="page"', bar) == [reverse("patients:list")]


# --- when something is wrong ----------------------------------------------------------------


@pytest.mark.parametrize("name", ["400", "403_csrf", "500"])
def test_an_error_page_without_a_request_needs_no_database_and_says_what_to_do(name: str) -> None:
    """Without the database fixture any query here would fail."""
    page = render_to_string(f"{name}.html")
    assert "<h1" in page
    assert 'class="btn btn-primary"' in page


def test_a_wrong_address_keeps_the_bar_and_shows_the_way_back(
    coordinator: User, signed_in: Callable[[User], Client]
) -> None:
    answer = signed_in(coordinator).get("/patients/NOBODY-1/")
    assert answer.status_code == 404
    page = answer.content.decode()
    main = page[page.index("<main") : page.index("</main>")]
    assert reverse("patients:today") in main
    assert "NOBODY-1" not in main


def test_a_closed_door_names_the_role(coordinator: User, signed_in: Callable[[User], Client]) -> None:
    answer = signed_in(coordinator).get(reverse("analytics:analysis"))
    assert answer.status_code == 403
    assert "Coordinator" in answer.content.decode()


# --- static files ---------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(distributions.SERVED))
def test_a_file_of_a_distribution_is_found_where_it_is_served(path: str) -> None:
    found = finders.find(path)
    assert found
    assert Path(found).stat().st_size > 1000


def test_only_what_is_listed_is_served_from_distributions() -> None:
    assert not finders.find("vendor/bootstrap.css")
    assert not finders.find("vendor/bootstrap.min.css", find_all=True)[1:]


def test_production_can_name_every_static_file_by_its_content(tmp_path: Path, settings: object) -> None:
    """A name in a style sheet that leads nowhere would stop the collection."""
    settings.STATIC_ROOT = tmp_path  # type: ignore[attr-defined]
    settings.STORAGES = {  # type: ignore[attr-defined]
        **settings.STORAGES,  # type: ignore[attr-defined]
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"},
    }
    call_command("collectstatic", interactive=False, verbosity=0)
    named = {path.name for path in (tmp_path / "cordline").iterdir()}
    assert any(re.fullmatch(r"cordline\.[0-9a-f]{12}\.css", name) for name in named)
    assert (tmp_path / "vendor" / "bootstrap.bundle.min.js").exists()
