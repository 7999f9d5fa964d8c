"""The home page, by role."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.test import Client
from django.urls import reverse

from patients import feed
from patients.models import Patient
from tests.factories import RECRUITED_ON, a_patient, a_visit, an_infusion, settle
from trial.models import Site, User

pytestmark = pytest.mark.django_db

SignIn = Callable[[User], Client]


@pytest.fixture(autouse=True)
def _day_16() -> Iterator[None]:
    """It is the day the window of infusion 2 closes; ten in the morning in Guangzhou."""
    with time_machine.travel(f"{RECRUITED_ON + timedelta(days=16)}T02:00:00Z", tick=True):
        yield


@pytest.fixture
def study(sites: dict[str, Site]) -> dict[str, Patient]:
    made = {}
    for code in ("GE", "GS"):
        patient = a_patient(site=sites[code], subject_id=f"{code}-001", planned_course="prolonged")
        an_infusion(patient, 1)
        made[code] = patient
    a_patient(site=sites["GE"], subject_id="GE-062", status=Patient.Status.SCREENING)
    return made


def page(client: Client, **asked: str) -> str:
    answer = client.get(reverse("patients:today"), asked)
    assert answer.status_code == 200
    bare = re.sub(r"<(script|style)\b.*?</\1>|<[^>]+>", " ", answer.content.decode(), flags=re.DOTALL)
    return " ".join(html.unescape(bare).split())


def test_a_coordinator_sees_the_own_sites_work_with_what_to_press(
    signed_in: SignIn, coordinator: User, study: dict[str, Patient]
) -> None:
    said = page(signed_in(coordinator))
    assert "Wednesday 2024-01-24 · Guangzhou East" in said
    assert "Window closing 2 closes within 2 days" in said
    assert "Infusion 2 of 8" in said
    assert "closes today" in said
    assert "Record infusion ↵" in said
    assert "Enter labs ↵" in said
    assert "Screening: 11 of 11 criteria unknown" in said
    assert "GS-001" not in said


def test_a_reader_sees_the_same_without_the_buttons(
    signed_in: SignIn, hepatologist: User, study: dict[str, Patient]
) -> None:
    said = page(signed_in(hepatologist))
    assert "Infusion 2 of 8" in said
    assert "GS-001" not in said
    assert "Open ↵" in said
    assert "Enter labs" not in said
    assert "New screening" not in said


@pytest.mark.parametrize("person", ["statistician", "monitor", "data_manager"])
def test_roles_of_all_sites_see_all_sites(
    person: str, signed_in: SignIn, request: pytest.FixtureRequest, study: dict[str, Patient]
) -> None:
    said = page(signed_in(request.getfixturevalue(person)))
    assert "GE-001" in said
    assert "GS-001" in said
    assert "all sites" in said
    assert "2 treated" in said


def test_a_tile_is_a_filter(signed_in: SignIn, coordinator: User, study: dict[str, Patient]) -> None:
    client = signed_in(coordinator)
    content = client.get(reverse("patients:today")).content.decode()
    assert 'href="?show=closing"' in content
    alone = client.get(reverse("patients:today"), {"show": "unfinished"}).content.decode()
    assert "GE-062" in alone.split("<table")[1]
    assert "Infusion 2 of 8" not in alone
    assert 'aria-current="true"' in alone
    assert "Nothing here." in page(client, show="today")
    refused = client.get(reverse("patients:today"), {"show": "nonsense"})
    assert refused.status_code == 400
    assert "“nonsense” is none of what “show” can be. It can be: overdue, " in refused.content.decode()


def test_an_empty_study_says_what_will_appear(signed_in: SignIn, coordinator: User) -> None:
    said = page(signed_in(coordinator))
    assert "Nothing is due this week." in said
    assert "Nobody has had an infusion yet." in said
    assert "No visit is due yet." in said


def test_the_calendar_is_drawn_for_every_dated_row(
    signed_in: SignIn, coordinator: User, study: dict[str, Patient]
) -> None:
    content = signed_in(coordinator).get(reverse("patients:today")).content.decode()
    body = content.split("<tbody", 1)[1]
    assert body.count('class="wm-bar"') == body.count('class="wm-drop"') + body.count('class="wm-visit"') > 0
    assert "style=" not in content


def test_the_feed_tells_the_own_sites_changes_in_words(
    study: dict[str, Patient], coordinator: User, statistician: User
) -> None:
    a_visit(study["GS"], 0, RECRUITED_ON + timedelta(days=6), tbil="171", alt="80")
    settle()
    everywhere, own = feed.latest(statistician), feed.latest(coordinator)
    assert everywhere[0].who == "GS-001"
    assert "W0 entered: 2 analytes" in str(everywhere[0].told[0])
    assert not any(line.who.startswith("GS") for line in own)
    assert [line.number for line in own] == sorted((line.number for line in own), reverse=True)


@pytest.mark.parametrize(
    ("made_at", "shown"),
    [
        pytest.param(datetime(2024, 1, 23, 16, 5, tzinfo=UTC), "00:05", id="today_at_the_site"),
        pytest.param(datetime(2024, 1, 23, 15, 55, tzinfo=UTC), "01-23", id="yesterday_at_the_site"),
    ],
)
def test_a_line_of_the_feed_says_the_time_today_and_the_day_before(made_at: datetime, shown: str) -> None:
    line = feed.Line(7, made_at, "GE-001", (), "", ZoneInfo("Asia/Shanghai"))
    assert line.when == shown


def test_posting_to_it_is_refused(signed_in: SignIn, coordinator: User) -> None:
    assert signed_in(coordinator).post(reverse("patients:today")).status_code == 405
