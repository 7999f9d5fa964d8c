"""What Today shows each role: its rows, its cards, the news, marking in place, and what it costs."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from infusions.models import Infusion, PlannedInfusion
from patients import attention, casebook_rows, feed, missed, unfinished, worklist
from patients.actions import signing
from patients.models import AdverseEvent, DataQuery, Patient, Visit
from patients.worklist import Section
from tests import factories
from tests.factories import RECRUITED_ON
from tests.patients.scores import score
from trial import drafts
from trial.models import LastLook, Revision, Site, User

pytestmark = pytest.mark.django_db

SignIn = Callable[[User], Client]
TODAY = RECRUITED_ON + timedelta(days=18)
LOOKS_AGAIN = {"HX-Request": "true"}


@pytest.fixture(autouse=True)
def _day_18() -> Iterator[None]:
    """Ten in the morning in Guangzhou; visit week 1 and infusion 2 are overdue."""
    with time_machine.travel(f"{TODAY}T02:00:00Z", tick=True):
        yield


@pytest.fixture
def patient(sites: dict[str, Site]) -> Patient:
    made = factories.a_patient(site=sites["GE"], subject_id="GE-001", planned_course="prolonged")
    factories.an_infusion(made, 1)
    return made


def page(client: Client, **asked: str) -> str:
    answer = client.get(reverse("patients:today"), asked)
    assert answer.status_code == 200
    bare = re.sub(r"<(script|style)\b.*?</\1>|<[^>]+>", " ", answer.content.decode(), flags=re.DOTALL)
    return " ".join(html.unescape(bare).split())


# --- rows without a schedule ----------------------------------------------------------------


def test_a_draft_stands_at_its_visit_and_alone_under_its_own_number(
    patient: Patient, coordinator: User, monitor: User, signed_in: SignIn
) -> None:
    with time_machine.travel(f"{TODAY}T02:41:00Z", tick=False):
        drafts.keep(
            person=coordinator,
            place="visit:GE-001:1",
            path="/patients/GE-001/visits/1/",
            fields={"tbil": ["17,1,2"], "alt": ["44"], "visited_on": ["2024-01-22"]},
        )
        drafts.keep(
            person=coordinator,
            place="outcome:GE-001:new",
            path="/patients/GE-001/outcomes/",
            fields={"what": ["x"]},
            title="GE-001",
        )
    client = signed_in(coordinator)
    content = client.get(reverse("patients:today")).content.decode()
    assert content.count("draft saved 10:41, 1 to mend") == 1
    assert content.count('id="row-visit:GE-001:1"') == 1
    alone = page(client, show="drafts")
    assert "GE-001" in alone
    assert "Continue" in alone
    assert "Outcome draft saved 10:41" in alone, "a draft says which form it is of"
    assert "draft saved" not in page(signed_in(monitor))


def test_queries_lots_and_serious_events_are_rows(
    patient: Patient, sites: dict[str, Site], coordinator: User, monitor: User, signed_in: SignIn
) -> None:
    factories.a_query(patient, by=monitor, text="INR 1.2 beside PTA 38 %")
    lot = factories.a_lot("UC-2611-B", TODAY + timedelta(days=2))
    with factories.by_the_software():
        PlannedInfusion.objects.create(patient=patient, number=3, planned_on=TODAY, lot=lot)
    event = factories.an_event(patient, "Sepsis")
    with factories.by_the_software():
        AdverseEvent.objects.filter(pk=event.pk).update(
            serious="hospitalisation", aware_at=datetime(2024, 1, 25, 12, 0, tzinfo=UTC)
        )
    said = page(signed_in(coordinator))
    assert said.index("Serious event: Sepsis") < said.index("Visit week 1")
    assert "10 h 0 min left" in said or "9 h 59 min left" in said
    assert "Query on you: INR 1.2 beside PTA 38 %" in said
    assert f"opened by {monitor.shown_name}, monitor" in said
    assert "Lot expires 2024-01-28 1 planned infusion reserves it" in said
    assert "lot UC-2611-B reserved" in said


@pytest.mark.parametrize(("section", "count"), [(Section.QUERIES, 1), (Section.DRAFTS, 0), (Section.LOTS, 0)])
def test_the_eight_counts_are_of_the_own_site(
    section: Section,
    count: int,
    patient: Patient,
    coordinator: User,
    coordinator_elsewhere: User,
    monitor: User,
) -> None:
    factories.a_query(patient, by=monitor)
    assert len(unfinished.of(coordinator, TODAY).undated[section]) == count
    assert not unfinished.of(coordinator_elsewhere, TODAY).undated[section]


# --- marking in place -----------------------------------------------------------------------


def mark(client: Client, url: str, key: str = "k1", **posted: str) -> tuple[int, dict[str, object]]:
    answer = client.post(url, {"submission_key": key, **posted})
    factories.settle()
    return answer.status_code, answer.json()


@pytest.mark.parametrize("kind", ["visit", "infusion"])
def test_m_marks_once_and_the_notice_takes_it_back(
    kind: str, patient: Patient, coordinator: User, signed_in: SignIn
) -> None:
    client = signed_in(coordinator)
    route, number = ("patients:mark_missed", 1) if kind == "visit" else ("infusions:mark_missed", 2)
    url, name = reverse(route, args=["GE-001", number]), f"{kind}:GE-001:{number}"
    assert name in keys(client)
    status, told = mark(client, url, why="too_ill")
    assert (status, sorted(told)) == (200, ["said", "undo"])
    assert name not in keys(client)
    written = Revision.objects.count()
    assert mark(client, url, why="too_ill") == (status, told)
    assert Revision.objects.count() == written, "the same press twice is one change"
    way = told["undo"]
    assert isinstance(way, dict)
    status, told = mark(client, str(way["url"]), "k2", revision=str(way["revision"]))
    assert (status, told) == (200, {"said": "Taken back. It waits again."})
    assert name in keys(client)
    assert not Visit.objects.valid().exclude(not_done="").exists()
    assert not PlannedInfusion.objects.valid().exclude(not_done="").exists()


def keys(client: Client) -> set[str]:
    content = client.get(reverse("patients:today")).content.decode()
    return set(re.findall(r'id="row-([^"]+)"', content))


@pytest.mark.parametrize(
    ("posted", "says"),
    [({}, "No cause is chosen."), ({"why": "bored"}, "No cause"), ({"why": "other"}, "needs a note")],
)
def test_a_mark_without_a_cause_is_refused_in_words(
    posted: dict[str, str], says: str, patient: Patient, coordinator: User, signed_in: SignIn
) -> None:
    status, told = mark(signed_in(coordinator), reverse("patients:mark_missed", args=["GE-001", 1]), **posted)
    assert status == 422
    assert says in str(told["said"])
    assert not Visit.objects.exists()


def test_the_notice_takes_back_nothing_else(
    patient: Patient, coordinator: User, data_manager: User, signed_in: SignIn
) -> None:
    factories.a_visit(patient, 0, by=coordinator, tbil="171")
    entered = Revision.objects.filter(actor=coordinator).latest("pk")
    url = reverse("patients:take_back")
    assert signed_in(coordinator).post(url, {"revision": entered.pk}).status_code == 404
    _status, told = mark(
        signed_in(coordinator), reverse("patients:mark_missed", args=["GE-001", 1]), why="refused"
    )
    assert isinstance(told["undo"], dict)
    way = {"revision": told["undo"]["revision"]}
    assert signed_in(data_manager).post(url, way).status_code == 404, "not the own mark"
    made_at = Revision.objects.get(pk=way["revision"]).made_at
    with time_machine.travel(made_at + timedelta(minutes=59), tick=False):
        assert missed.own_mark(coordinator, str(way["revision"])) is not None
    with time_machine.travel(made_at + timedelta(minutes=61), tick=False):
        assert missed.own_mark(coordinator, str(way["revision"])) is None
    for nonsense in ("", "x", "-1", "9" * 40):
        assert signed_in(coordinator).post(url, {"revision": nonsense}).status_code == 404


# --- what is new ----------------------------------------------------------------------------


def test_news_are_what_was_written_since_the_sitting_before(
    patient: Patient, coordinator: User, data_manager: User, signed_in: SignIn
) -> None:
    client = signed_in(coordinator)
    assert "Latest changes" in page(client)
    seen = datetime(2024, 1, 25, 9, 20, tzinfo=UTC)
    LastLook.objects.filter(user=coordinator).update(seen_at=seen)
    assert "Since you were last here 01-25 17:20" in page(client)
    factories.a_visit(patient, 0, by=data_manager, tbil="171")
    newest = Revision.objects.filter(number__isnull=False).latest("number")
    nothing = feed.news(coordinator, newest.made_at)
    assert (nothing.count, nothing.lines) == (0, ())
    some = feed.news(coordinator, newest.made_at - timedelta(microseconds=1))
    assert (some.count, some.count_words) == (1, "1")
    assert replace(some, count=feed.MOST_COUNTED).count_words == "1,000+"
    assert "W0 entered: 1 analyte" in str(some.lines[0].told[0])


def test_an_open_page_looks_again_only_for_news_and_that_is_no_look(
    patient: Patient, coordinator: User, signed_in: SignIn
) -> None:
    client = signed_in(coordinator)
    content = client.get(reverse("patients:today")).content.decode()
    again = html.unescape(re.search(r'id="today" hx-get="([^"]+)"', content)[1])  # type: ignore[index]
    seen = LastLook.objects.get(user=coordinator).seen_at
    address = reverse("patients:today") + again
    assert client.get(address, headers=LOOKS_AGAIN).status_code == 204
    factories.a_visit(patient, 1, tbil="171")
    assert client.get(address, headers=LOOKS_AGAIN).status_code == 200
    assert LastLook.objects.get(user=coordinator).seen_at == seen


# --- cards of a role ------------------------------------------------------------------------


def test_a_hepatologist_sees_who_rose_from_what_to_what(
    patient: Patient,
    sites: dict[str, Site],
    hepatologist: User,
    hepatologist_elsewhere: User,
    signed_in: SignIn,
) -> None:
    fell = factories.a_patient(site=sites["GE"], subject_id="GE-002")
    for subject, before, after in ((patient, 18, 24), (fell, 24, 18)):
        for week, value in ((0, before), (1, after)):
            score(
                factories.a_visit(subject, week, RECRUITED_ON + timedelta(days=7 + 7 * week), tbil="171"),
                value,
            )
    assert [(r.subject_id, r.before, r.after, r.week) for r in attention.rises(hepatologist, TODAY)] == [
        ("GE-001", 18, 24, 1)
    ]
    assert not attention.rises(hepatologist_elsewhere, TODAY)
    assert not attention.rises(hepatologist, TODAY + timedelta(days=60)), "no news after two months"
    said = page(signed_in(hepatologist))
    assert "18 → 24" in said
    assert "To sign 4 visits" in said


def test_a_void_signature_waits_for_another(
    patient: Patient, hepatologist: User, hepatologist_elsewhere: User, signed_in: SignIn
) -> None:
    visit = factories.a_visit(patient, 0, tbil="171", alt="80")
    for scope in (visit, None):
        signing.sign(
            patient=patient,
            visit=scope,
            meaning="reviewed",
            digest=casebook_rows.read(patient).digest(scope.pk if scope else None),
            by=hepatologist,
        )
    factories.settle()
    assert attention.to_sign_again(hepatologist) == []
    factories.a_visit(patient, 0, tbil="180")
    assert {each.what for each in attention.to_sign_again(hepatologist)} == {
        "week 0, changed since",
        "casebook, changed since",
    }
    assert attention.to_sign_again(hepatologist_elsewhere) == []
    assert "week 0, changed since" in page(signed_in(hepatologist))


def test_a_course_is_to_be_decided_after_the_fourth(sites: dict[str, Site]) -> None:
    patient = factories.a_patient(site=sites["GE"], planned_course="prolonged")
    with time_machine.travel(f"{RECRUITED_ON + timedelta(days=35)}T02:00:00Z", tick=False):
        for number in range(1, 5):
            assert not attention.decisions_due([worklist.record(patient)])
            factories.an_infusion(patient, number)
        assert [each.patient for each in attention.decisions_due([worklist.record(patient)])] == [patient]
        factories.a_decision(patient)
        assert not attention.decisions_due([worklist.record(patient)])


def test_a_monitor_goes_on_with_the_next_visit_that_is_not_verified(
    patient: Patient, monitor: User, signed_in: SignIn
) -> None:
    visit = factories.a_visit(patient, 0, tbil="171")
    (site,) = attention.verified_by_site(monitor)
    assert site.next_words == "GE-001 W0"
    assert site.next_url.endswith(f"?visit={visit.pk}")
    assert "next: GE-001 W0" in page(signed_in(monitor))


def test_a_data_manager_sees_what_is_to_be_kept_in_order(
    patient: Patient, data_manager: User, signed_in: SignIn
) -> None:
    factories.a_lot("UC-NEW", release="quarantine")
    factories.a_query(patient, by=data_manager)
    keeps = attention.housekeeping(data_manager)
    assert (keeps.open, keeps.answered, keeps.locked, keeps.pending_lots) == (1, 0, 0, ("UC-NEW",))
    assert "Lots whose release waits 1 UC-NEW" in page(signed_in(data_manager))


# --- cost -----------------------------------------------------------------------------------


def cost(user: User, signed_in: SignIn) -> int:
    client = signed_in(user)
    with CaptureQueriesContext(connection) as captured:
        assert client.get(reverse("patients:today")).status_code == 200
    return len(captured)


def test_today_costs_the_same_with_two_thousand_subjects(
    request: pytest.FixtureRequest, patient: Patient, sites: dict[str, Site], monitor: User, signed_in: SignIn
) -> None:
    people = ("coordinator", "hepatologist", "statistician", "monitor", "data_manager")
    users = [request.getfixturevalue(name) for name in people]
    ill = factories.a_visit(patient, 0, RECRUITED_ON + timedelta(days=6), tbil="171", platelets="30")
    score(ill, 18)
    factories.a_query(patient, by=monitor)
    for user in users:
        cost(user, signed_in)
    few = [cost(user, signed_in) for user in users]
    with factories.by_the_software():
        made = Patient.objects.bulk_create(
            Patient(
                site=sites["GE"],
                subject_id=f"GE-{n:05d}",
                sex="F",
                birth_date=date(1975, 5, 4),
                diagnosis="cirrhosis",
                recruited_on=RECRUITED_ON + timedelta(days=n % 20 - 10),
                planned_course="standard",
                status=Patient.Status.ENROLLED,
            )
            for n in range(2000)
        )
        Infusion.objects.bulk_create(
            Infusion(
                patient=each,
                number=1,
                given_on=each.recruited_on + timedelta(days=7),
                cells=60_000_000,
            )
            for each in made[::2]
            if each.recruited_on and each.recruited_on + timedelta(days=7) <= TODAY
        )
        DataQuery.objects.bulk_create(
            DataQuery(patient=each, topic="subject", opened_by=monitor, opened_at=timezone.now())
            for each in made[:300]
        )
    assert [cost(user, signed_in) for user in users] == few
