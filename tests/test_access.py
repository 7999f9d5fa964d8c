"""Who may reach what: every route x every role x own, other site's and missing objects.

Generated from the URLconf: a new route is in the matrix by itself, and fails until
its parameters have an example.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any
from zlib import crc32

import pytest
from django.test import Client

from analytics import paper_set
from tests import factories
from tests.routes import POSTED_ONLY, Route, guarded, is_open, routes
from tests.world import DONOR, PEOPLE, PERSON, PlainClient, Standing
from trial.models import User
from trial.roles import PERMISSIONS, SITE_ROLES, Permission, Role, allowed, sees_donor

pytestmark = pytest.mark.django_db

OBJECTS = {
    "subject_id",
    "lot_code",
    "laboratory_code",
    "range_id",
    "result_id",
    "visit_id",
    "outcome_id",
    "event_id",
    "treatment_id",
    "query_id",
    "job_id",
    "account_id",
    "token_id",
}
"""Parameters that name something of a site or a person; the others are plain words of the protocol."""

WHOLE = [pytest.param(False, id="pages"), pytest.param(True, id="methods", marks=pytest.mark.exhaustive)]
"""Whether pages are opened, or every other method and every part of a page is tried; CI does both."""

OTHER_METHODS = ("POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")


def test_every_route_names_its_permission_or_says_why_not() -> None:
    nameless = [route.name for route in routes() if route.permission is None and not is_open(route)]
    assert not nameless, f"no permission and no reason in tests/routes.py: {nameless}"


def test_every_parameter_has_an_example(standing: Standing) -> None:
    unknown = {
        (route.name, name)
        for route in guarded()
        for name in route.parameters
        if not {name, f"{route.name}.{name}"} & set(standing.world.own)
    }
    assert not unknown, f"give an example in tests/test_access.py: {unknown}"


@pytest.fixture(scope="module", autouse=True)
def _figures_are_not_drawn() -> Iterator[None]:
    """A figure's file holds the words it would show: drawing it for everybody would take minutes."""
    from matplotlib.figure import Figure
    from matplotlib.text import Text
    from PIL import Image

    def nearly(self: Figure, file: Any, *, format: str, **_options: Any) -> None:  # noqa: A002
        if format == "png":
            Image.new("1", (1, 1)).save(file, "png")
        words = "\n".join(text.get_text() for text in self.findobj(Text))
        file.write(f"<svg><style></style><!-- {words} --></svg>".encode())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", nearly)
        yield
    paper_set._drawn.cache_clear()


def ask(client: Client, url: str, method: str = "GET", *, htmx: bool = False) -> Any:
    headers = {"HX-Request": "true"} if htmx else {}
    return client.generic(method, url, headers=headers)


@pytest.mark.parametrize("every", WHOLE)
@pytest.mark.parametrize("route", guarded(), ids=lambda route: route.name)
def test_nobody_signed_in_reaches_nothing(route: Route, every: bool, standing: Standing) -> None:
    url = route.url(**standing.world.own)
    for method in OTHER_METHODS[1:] if every else ("GET", "POST"):
        answer = ask(PlainClient(), url, method)
        assert answer.status_code in {302, 403, 405}, (method, answer.status_code)
        if answer.status_code == 302:
            assert "/login" in answer.headers["Location"]


@pytest.mark.parametrize("every", WHOLE)
@pytest.mark.parametrize(
    "person",
    [
        pytest.param(name, marks=pytest.mark.exhaustive if name.endswith("_elsewhere") else ())
        for name in PEOPLE
    ],
)
def test_roles_reach_what_the_table_says(person: str, every: bool, standing: Standing) -> None:
    world, user = standing.world, standing.people[person]
    client = standing.client(person)
    at_home = world.elsewhere if person.endswith("_elsewhere") else world.own
    away = world.own if person.endswith("_elsewhere") else world.elsewhere
    wrong = [
        (route.name, *finding)
        for route in guarded()
        # where nothing is named, the colleague elsewhere is the same role at the same address
        if route.parameters or not person.endswith("_elsewhere")
        for finding in (
            *(
                _methods(client, user, route, at_home, away, methods_of(person, route, standing.people))
                if every
                else _pages(client, user, route, at_home, away, world.missing)
            ),
            *(
                _pages(client, user, route, at_home, away, world.missing, htmx=True)
                if may_ask_for_parts(person, route, standing.people, every=every)
                else ()
            ),
        )
    ]
    assert not wrong


def methods_of(person: str, route: Route, people: dict[str, User]) -> list[str]:
    """Return what a person tries besides reading.

    Everybody posts. The other methods go through the same guard whoever asks, so those
    who may share them, and those who may not: every one is tried by one of either.
    """
    assert route.permission is not None
    may = allowed(people[person], route.permission)
    alike = [
        name
        for name, user in people.items()
        if not name.endswith("_elsewhere") and allowed(user, route.permission) == may
    ]
    # who is of no site tries nothing at another's, so those of a site are asked first
    alike.sort(key=lambda name: Role(people[name].role) not in SITE_ROLES)
    if may and OBJECTS & set(route.parameters) and Role(people[alike[0]].role) in SITE_ROLES:
        alike = [name for name in alike if Role(people[name].role) in SITE_ROLES]
    if person not in alike:
        return ["POST"]
    place = alike.index(person)
    return ["POST", *OTHER_METHODS[1:][place :: len(alike)]]


def may_ask_for_parts(person: str, route: Route, people: dict[str, User], *, every: bool) -> bool:
    """Return whether a person asks for the parts of a page, too.

    The guard is that of the page, which everybody opens: of those who may, one of a site
    and one who sees all sites ask for its parts, others on other pages; all do in the wide form.
    """
    assert route.permission is not None
    if not allowed(people[person], route.permission):
        return False
    of_a_site = Role(people[person].role) in SITE_ROLES
    alike = [
        name
        for name, user in people.items()
        if not name.endswith("_elsewhere")
        and (Role(user.role) in SITE_ROLES) == of_a_site
        and allowed(user, route.permission)
    ]
    return every or person == alike[crc32(route.name.encode()) % len(alike)]


def test_every_method_is_tried_by_somebody_who_may_and_by_somebody_who_may_not(standing: Standing) -> None:
    for route in guarded():
        assert route.permission is not None
        for may in (True, False):
            tried = [
                method
                for name, user in standing.people.items()
                if allowed(user, route.permission) == may
                for method in methods_of(name, route, standing.people)
            ]
            assert not tried or set(tried) == set(OTHER_METHODS), (route.name, may, tried)


def _pages(
    client: Client,
    user: User,
    route: Route,
    at_home: dict[str, Any],
    away: dict[str, Any],
    missing: dict[str, Any],
    *,
    htmx: bool = False,
) -> Iterator[tuple[Any, ...]]:
    """Yield what is wrong with reading a route: as a page, or as a part of one."""
    assert route.permission is not None
    may = allowed(user, route.permission)
    # a job is its owner's alone, whatever the site
    own_job = "job_id" not in route.parameters or user.role == Role.DATA_MANAGER
    answer = ask(client, route.url(**at_home), htmx=htmx)
    home = answer.status_code
    yield from _told(answer, user, route)
    if not may:
        if home != 403:
            yield "without permission", htmx, home
        return
    if own_job and home not in ({405} if route.name in POSTED_ONLY else {200, 204, 302, 400, 409}):
        yield "own", htmx, home
    if OBJECTS & set(route.parameters):
        lost = ask(client, route.url(**missing), htmx=htmx).status_code
        if lost not in {404, 405}:
            yield "missing", htmx, lost
        found = ask(client, route.url(**away), htmx=htmx)
        yield from _told(found, user, route)
        other = found.status_code
        if (Role(user.role) in SITE_ROLES or not own_job) and other != lost:
            yield "other site", htmx, other


def _told(answer: Any, user: User, route: Route) -> Iterator[tuple[Any, ...]]:
    """Yield what an answer tells that this reader has no need of, and what it lacks to be kept private."""
    text = answer.getvalue().decode(errors="replace") + str(answer.headers)
    if route.name != "patients:identity" or not user.may(Permission.VIEW_IDENTITY):
        for canary in PERSON:
            if canary in text:
                yield "tells who the subject is", canary
    if DONOR in text and not sees_donor(user):
        yield "tells the donor", DONOR
    if "no-store" not in answer.headers.get("Cache-Control", ""):
        yield "may be kept", answer.status_code
    if "default-src" not in answer.headers.get("Content-Security-Policy", ""):
        yield "no policy", answer.status_code


def _methods(
    client: Client,
    user: User,
    route: Route,
    at_home: dict[str, Any],
    away: dict[str, Any],
    methods: Sequence[str],
) -> Iterator[tuple[Any, ...]]:
    """Yield what is wrong with other methods."""
    assert route.permission is not None
    may = allowed(user, route.permission)
    hidden = bool(OBJECTS & set(route.parameters)) and Role(user.role) in SITE_ROLES
    for method in methods:
        answer = ask(client, route.url(**at_home), method, htmx=not may)
        yield from _told(answer, user, route)
        status = answer.status_code
        if status >= 500 or (not may and status not in {403, 405}):
            yield method, status
        if may and hidden:
            status = ask(client, route.url(**away), method).status_code
            if status not in {404, 405}:
                yield f"{method} at another site", status


def said(answer: Any, names: dict[str, Any], route: Route) -> str:
    """Return what a page says, but for the one-time tokens and the subject that was asked for."""
    text = re.sub(r"[A-Za-z0-9]{64}", "token", answer.content.decode())
    for name in OBJECTS & set(route.parameters):
        text = text.replace(f"/{names[name]}/", "/object/")
    return text


def test_another_sites_subject_looks_like_none(standing: Standing) -> None:
    """Existing elsewhere and not existing give the same bytes, so that nobody can find out."""
    world, coordinator, client = (
        standing.world,
        standing.people["coordinator"],
        standing.client("coordinator"),
    )
    for route in guarded():
        if "subject_id" not in route.parameters or not allowed(
            coordinator, route.permission or Permission.USE_ACCOUNT
        ):
            continue
        other = ask(client, route.url(**world.elsewhere))
        nobody = ask(client, route.url(**world.missing))
        assert said(other, world.elsewhere, route) == said(nobody, world.missing, route), route.name


def test_a_role_taken_away_is_refused_at_the_next_request(standing: Standing) -> None:
    coordinator, client = standing.people["coordinator"], standing.client("coordinator")
    route = next(route for route in guarded() if route.name == "patients:list")
    assert ask(client, route.url()).status_code == 200
    with factories.by_the_software():
        User.objects.filter(pk=coordinator.pk).update(role=Role.ACCOUNT_ADMIN.value)
    assert ask(client, route.url()).status_code == 403
    with factories.by_the_software():
        User.objects.filter(pk=coordinator.pk).update(is_active=False)
    assert ask(client, route.url()).status_code == 302


def test_every_permission_is_held_and_every_role_holds_some() -> None:
    held = {permission for permissions in PERMISSIONS.values() for permission in permissions}
    assert held == set(Permission)
    assert set(PERMISSIONS) == set(Role)
    assert all(PERMISSIONS.values())


def test_account_admin_sees_no_patient() -> None:
    clinical = {
        Permission.VIEW_CLINICAL,
        Permission.VIEW_IDENTITY,
        Permission.VIEW_AUDIT,
        Permission.VIEW_ANALYSIS,
        Permission.EXPORT_FILES,
    }
    assert not clinical & PERMISSIONS[Role.ACCOUNT_ADMIN]
