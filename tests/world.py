"""Two hospitals with a patient each: enough for every route to name something."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.conf import settings
from django.core.signals import got_request_exception
from django.db import transaction
from django.test import Client
from pytest_django import DjangoDbBlocker

from tests import factories
from trial import jobs, tokens
from trial.models import Revision, Site, User
from trial.roles import Role

WHO = ("name", "hospital_number", "phone")
PERSON = ("Canary Kanarienvogel", "CANARY-4711", "555-CANARY")
"""Who the patients are: read nowhere but on the page whose every view is logged."""
DONOR = "DONOR-CANARY"


@dataclass(frozen=True, slots=True)
class World:
    """A patient of each site with everything a route can name."""

    own: dict[str, Any]
    elsewhere: dict[str, Any]
    missing: dict[str, Any]


def a_world(sites: dict[str, Any], data_manager: User) -> World:
    def everything(site: str) -> dict[str, Any]:
        patient = factories.a_patient(
            site=sites[site],
            subject_id=f"{site}-001",
            identity=dict(zip(WHO, PERSON, strict=True)),
        )
        factories.a_visit(patient, 0, tbil="171", inr="1.8", creatinine="81")
        lot = factories.a_lot(f"UC-{site}", site=sites[site], donor_code=DONOR)
        factories.an_infusion(patient, 1, lot=lot)
        outcome = factories.an_outcome(patient)
        draw = factories.a_draw(patient, tbil="160")
        revision = Revision.objects.filter(entries__patient_id=patient.pk).order_by("-number").first()
        assert revision is not None
        query = factories.a_query(patient, by=data_manager, visit=draw, field="tbil")
        laboratory = factories.a_laboratory(f"{site}-LAB", site=sites[site])
        factories.a_range(laboratory, "tbil", "5", "21")
        return {
            "subject_id": patient.subject_id,
            "lot_code": lot.code,
            "laboratory_code": laboratory.code,
            "range_id": laboratory.ranges.get().pk,
            "result_id": draw.lab_results.get(analyte="tbil").pk,
            "query_id": query.pk,
            "visit_id": draw.pk,
            "trial:revision.number": revision.number,
            "outcome_id": outcome.pk,
            "event_id": factories.an_event(patient).pk,
            "treatment_id": factories.a_treatment(patient).pk,
            "site_code": site,
            "account_id": data_manager.pk,
            "token_id": tokens.make_token(
                by=data_manager, name=f"laboratory of {site}", scopes=["observations:read"], days=30
            )[0].pk,
            "week": 4,
            "number": 1,
            "code": f"{site}-900",
            "contrast": "C-D",
            "analyte": "tbil",
            "measure": "interval",
            "paper_name": "figure4",
            "analytics:contrast_file.kind": "csv",
            "box": "A-24-seen",
            "analytics:flow_file.extension": "svg",
            "paper_form": "svg",
            "snapshot_id": factories.a_snapshot(data_manager).pk,
            "job_id": jobs.queue("export", data_manager, {"datasets": ["subjects"], "title": "x"}).pk,
        }

    own, elsewhere = everything("GE"), everything("GS")
    gone = {
        **own,
        "subject_id": "GE-999",
        "lot_code": "NONE",
        "laboratory_code": "NONE",
        "range_id": 10**9,
        "result_id": 10**9,
        "query_id": 10**9,
        "visit_id": 10**9,
        "outcome_id": 10**9,
        "event_id": 10**9,
        "treatment_id": 10**9,
        "account_id": 10**9,
        "token_id": 10**9,
        "trial:revision.number": 10**9,
        "snapshot_id": 10**9,
        "job_id": uuid.uuid4(),
        "site_code": "NOWHERE",
    }
    return World(own, elsewhere, gone)


# --- one world for all tests of a module ----------------------------------------------------

PEOPLE: dict[str, tuple[str, Role, str | None]] = {
    "coordinator": ("li.min", Role.COORDINATOR, "GE"),
    "coordinator_elsewhere": ("he.jing", Role.COORDINATOR, "GS"),
    "hepatologist": ("zhou.hui", Role.HEPATOLOGIST, "GE"),
    "hepatologist_elsewhere": ("xu.lan", Role.HEPATOLOGIST, "GS"),
    "statistician": ("wu.qing", Role.STATISTICIAN, None),
    "monitor": ("chen.yu", Role.MONITOR, None),
    "data_manager": ("huang.lei", Role.DATA_MANAGER, None),
    "account_admin": ("admin", Role.ACCOUNT_ADMIN, None),
}
"""Who there is, by what the fixtures call them."""


class PlainClient(Client):
    """A browser for thousands of requests: it keeps no copy of every context that a template was drawn with."""

    def request(self, **request: Any) -> Any:
        raised: list[BaseException] = []

        def remember(**_of: Any) -> None:
            raised.append(sys.exc_info()[1] or RuntimeError("an exception that is gone"))

        got_request_exception.connect(remember, weak=False, dispatch_uid="plain client")
        try:
            answer = self.handler(self._base_environ(**request))
        finally:
            got_request_exception.disconnect(dispatch_uid="plain client")
        if raised:
            raise raised[0]
        if answer.cookies:
            self.cookies.update(answer.cookies)
        return answer


@dataclass(frozen=True, slots=True)
class Standing:
    """A world that stands as long as a module's tests, with somebody of each role logged in."""

    world: World
    people: dict[str, User]
    keys: dict[str, str] = field(default_factory=dict)

    def client(self, name: str) -> Client:
        """Return a browser of its own in which somebody is logged in."""
        if name not in self.keys:
            client = Client()
            client.force_login(self.people[name], backend="django.contrib.auth.backends.ModelBackend")
            self.keys[name] = client.cookies[settings.SESSION_COOKIE_NAME].value
        client = PlainClient()
        client.cookies[settings.SESSION_COOKIE_NAME] = self.keys[name]
        return client


@pytest.fixture(scope="module")
def standing(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Standing]:
    """Make the world once; what a test changes in it is rolled back behind the test.

    The module's transaction lies open around those of its tests, so none of them may commit.
    """
    with django_db_blocker.unblock():
        outer = transaction.atomic()
        outer._from_testcase = True  # type: ignore[attr-defined]  # as Django marks its own
        outer.__enter__()
        try:
            sites: dict[str, Site] = {
                code: factories.a_site(code=code, name=name) for code, name in factories.SITES.items()
            }
            people = {
                name: factories.a_user(username=username, role=role, site=sites[site] if site else None)
                for name, (username, role, site) in PEOPLE.items()
            }
            made = Standing(a_world(sites, people["data_manager"]), people)
            for name in people:
                made.client(name)
        except BaseException:
            transaction.set_rollback(True)
            outer.__exit__(None, None, None)
            raise
    yield made
    with django_db_blocker.unblock():
        transaction.set_rollback(True)
        outer.__exit__(None, None, None)
