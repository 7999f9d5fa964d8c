"""Pages beside the least a page of this kind costs: one query, one template, the same middleware."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import count
from typing import Any

import pytest
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import include, path, reverse

from analytics import refresh
from patients.models import Patient
from tests.benchmarks import cohort
from tests.benchmarks.stopwatch import MakeTable, Way
from trial.models import User

SignIn = Callable[[User], Client]
WEEK = 4
ONE_QUERY = "/one-query/"
SMALL = "<!doctype html><title>{{ patient }}</title><p>{{ patient.subject_id }}, {{ patient.sex }}</p>"


def one_query(request: HttpRequest) -> HttpResponse:
    patient = Patient.objects.filter(subject_id=cohort.subject(0)).get()
    return HttpResponse(engines["django"].from_string(SMALL).render({"patient": patient}, request))


urlpatterns = [path(ONE_QUERY.strip("/") + "/", one_query), path("", include("trial.urls"))]


class Fields(HTMLParser):
    """Collects what a browser would send of the form that enters a visit."""

    def __init__(self) -> None:
        super().__init__()
        self.posted: dict[str, str] = {}
        self._list = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given: dict[str, Any] = dict(attrs)
        name = given.get("name", "")
        if tag == "input" and name and given.get("type") not in ("submit", "checkbox", "radio", "search"):
            self.posted[name] = given.get("value") or ""
        elif tag == "select":
            self._list = name
        elif tag == "option" and self._list and ("selected" in given or self._list not in self.posted):
            self.posted[self._list] = given.get("value") or ""


class Correction:
    """Saves a visit again and again, each time with another bilirubin."""

    def __init__(self, browser: Client, address: str) -> None:
        self.browser, self.address = browser, address
        self.values = (f"{100 + number}.3" for number in count())
        self.form: dict[str, str] = {}

    def open(self) -> None:
        page = Fields()
        page.feed(self.browser.get(self.address).content.decode())
        self.form = page.posted | {"tbil": next(self.values), "reason": "typing_slip"}
        self.form.pop("q", None)

    def save(self) -> None:
        response = self.browser.post(self.address, self.form)
        assert response.status_code == 302, re.findall(
            r"<p[^>]*problem[^>]*>.*?</p>|error[^<]*<[^<]*", response.content.decode()
        )[:20]


@pytest.mark.parametrize("patients", [123])
@pytest.mark.urls(__name__)
def test_pages(
    study: int, table: MakeTable, signed_in: SignIn, coordinator: User, statistician: User
) -> None:
    refresh.refresh()
    ward, desk = signed_in(coordinator), signed_in(statistician)
    subject = cohort.subject(0)
    visit = reverse("patients:enter_visit", args=[subject, WEEK])
    pages = {
        "one query and a template": (ward, ONE_QUERY),
        "visit entry": (ward, visit),
        "today": (ward, reverse("patients:today")),
        "patient list": (ward, reverse("patients:list")),
        "trend of a patient": (ward, reverse("analytics:trend", args=[subject])),
        "labs of a patient": (ward, reverse("patients:labs", args=[subject])),
        "one contrast": (desk, reverse("analytics:contrast", args=["C-D", "tbil", "interval"])),
        "freshness, asked every 2 s": (ward, reverse("analytics:freshness")),
    }

    def get(browser: Client, address: str) -> HttpResponse:
        response = browser.get(address)
        assert response.status_code in (200, 204), (address, response.status_code)
        return response

    correction = Correction(ward, visit)
    ways = {
        f"{name} ({queries(browser, address)} queries)": Way(lambda where=(browser, address): get(*where))
        for name, (browser, address) in pages.items()
    }
    correction.open()
    with CaptureQueriesContext(
        connection,
    ) as captured:
        correction.save()
    ways[f"save a corrected value ({len(captured)} queries)"] = Way(correction.save, correction.open)
    results = table(f"Pages through the whole middleware, {study} patients")
    results.measure(ways, rounds=4 * results.rounds)
    results.note("queries include those for session and account, which every page has")


def queries(browser: Client, address: str) -> int:
    browser.get(address)
    with CaptureQueriesContext(connection) as captured:
        browser.get(address)
    return len(captured)
