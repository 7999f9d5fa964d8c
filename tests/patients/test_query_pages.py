"""The pages of queries: the list and its filters, the thread, asking, and looking again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone, translation

from patients import query_list, query_marks
from patients.actions import queries as actions
from patients.actions.queries import About
from patients.edit_checks import Doubt
from patients.models import DataQuery, LabResult, Patient, QueryMessage, Visit
from tests import factories
from trial import audit
from trial.models import User
from trial.sentences import Sentence

pytestmark = pytest.mark.django_db

SignIn = Callable[[User], Client]
LIST = "/queries/"


@pytest.fixture
def patient(sites: dict[str, Any]) -> Patient:
    return factories.a_patient(site=sites["GE"], subject_id="GE-001")


@pytest.fixture
def visit(patient: Patient) -> Visit:
    factories.a_visit(patient, 1, tbil="140")
    return factories.a_visit(patient, 4, tbil="8.2", inr="1.8")


@pytest.fixture
def doubted(visit: Visit, coordinator: User) -> DataQuery:
    sentence = Sentence(
        "%(value)s %(unit)s is below %(limit)s, which is rare in this disease.",
        {"value": "8.2", "unit": "µmol/L", "limit": "9"},
    )
    doubt = Doubt("tbil", "outside_usual", sentence, Sentence("Compare it with the report."))
    actions.sync_check_queries(patient=visit.patient, visit=visit, doubts=[doubt], by=coordinator)
    audit.settle()
    return DataQuery.objects.get(check_code="outside_usual")


def address(query: DataQuery) -> str:
    return reverse("patients:query", args=[query.patient.subject_id, query.pk])


def take(client: Client, query: DataQuery, step: str, text: str = "", **more: Any) -> Any:
    version = DataQuery.objects.get(pk=query.pk).version
    return client.post(address(query), {"step": step, "text": text, "version": version} | more)


def numbers(client: Client, asked: str = "") -> list[int]:
    answer = client.get(LIST + asked)
    assert answer.status_code == 200
    return [row.query.pk for row in answer.context["page"].rows]


# --- the thread -----------------------------------------------------------------------------


def test_a_thread_shows_the_value_the_rule_and_the_way_to_the_field(
    doubted: DataQuery, coordinator: User, signed_in: SignIn
) -> None:
    page = signed_in(coordinator).get(address(doubted)).content.decode()
    assert "8.2 µmol/L is below 9" in page
    assert "Outside the range that values of this disease usually lie in." in page
    assert "140.0 µmol/L" in page
    assert "/patients/GE-001/visits/4/#id_tbil" in page
    assert "When asked" not in page
    result = LabResult.objects.get(visit=doubted.visit, analyte="tbil")
    with factories.by_the_software():
        result.typed_text, result.value = "82", Decimal(82)
        result.save(update_fields=["typed_text", "value"])
    audit.settle()
    changed = signed_in(coordinator).get(address(doubted)).content.decode()
    assert "<strong>82 µmol/L</strong>" in changed
    assert "<dt>When asked</dt><dd>8.2 µmol/L" in changed


def test_a_check_speaks_the_readers_language(doubted: DataQuery, coordinator: User) -> None:
    from patients import query_words

    message = doubted.messages.get()
    with translation.override("zh-hans"):
        assert "µmol/L" in query_words.said(message)
        assert "rare in this disease" not in query_words.said(message)


def test_each_role_gets_the_steps_it_may_take(
    doubted: DataQuery, coordinator: User, monitor: User, statistician: User, signed_in: SignIn
) -> None:
    def offered(person: User) -> set[str]:
        page = signed_in(person).get(address(doubted)).content.decode()
        return {step for step in ("answered", "closed", "reopened", "assigned") if f'value="{step}"' in page}

    assert offered(coordinator) == {"answered", "assigned"}
    assert offered(monitor) == {"closed", "assigned"}
    assert offered(statistician) == set()


def test_question_and_answer_through_the_pages(
    doubted: DataQuery, coordinator: User, monitor: User, signed_in: SignIn
) -> None:
    at_site, watching = signed_in(coordinator), signed_in(monitor)
    steps: list[tuple[Client, str, dict[str, Any], str]] = [
        (at_site, "answered", {"text": "as on the report"}, "Query answered"),
        (watching, "reopened", {"text": "the report says 82"}, "Query reopened"),
        (watching, "assigned", {"to": coordinator.pk}, "Query passed on"),
    ]
    for client, step, sent, said in steps:
        assert take(client, doubted, step, **sent).status_code == 302
        assert said in client.get(address(doubted)).content.decode()
    doubted.refresh_from_db()
    assert (doubted.state, doubted.assigned_to) == ("open", coordinator)
    assert [m.step for m in doubted.messages.all()] == ["opened", "answered", "reopened", "assigned"]


def test_a_refused_step_keeps_what_was_typed(
    doubted: DataQuery, monitor: User, coordinator: User, signed_in: SignIn
) -> None:
    empty = take(signed_in(coordinator), doubted, "answered", " ")
    assert empty.status_code == 422
    assert "Nothing is written." in empty.content.decode()
    late = take(signed_in(coordinator), doubted, "answered", "mine", version=0)
    assert late.status_code == 409
    assert "Somebody took a step before you." in late.content.decode()
    assert "mine</textarea>" in late.content.decode()
    assert take(signed_in(coordinator), doubted, "shredded", "kept").status_code == 422
    assert take(signed_in(coordinator), doubted, "closed", "no").status_code == 403


def test_the_same_answer_twice_is_one(doubted: DataQuery, coordinator: User, signed_in: SignIn) -> None:
    client = signed_in(coordinator)
    sent = {"step": "answered", "text": "as on the report", "version": 1, "submission_key": "k" * 20}
    assert [client.post(address(doubted), sent).status_code for _again in range(2)] == [302, 302]
    assert doubted.messages.count() == 2


# --- asking ---------------------------------------------------------------------------------


def test_somebody_asks_about_a_value(visit: Visit, monitor: User, signed_in: SignIn) -> None:
    client = signed_in(monitor)
    ask = reverse("patients:raise_query", args=["GE-001"])
    offered = client.get(f"{ask}?about=visit-{visit.pk}&field=tbil").content.decode()
    assert f'value="visit-{visit.pk}" selected' in offered
    assert reverse("patients:value_history", args=["GE-001", visit.week, "tbil"]) in offered
    assert b"History of the value" not in client.get(f"{ask}?about=subject&field=tbil").content
    key = {"submission_key": "k" * 20}
    sent = {"about": f"visit-{visit.pk}", "field": "tbil", "text": "Which report?", "owner": ""} | key
    answer = client.post(ask, sent)
    audit.settle()
    again = client.post(ask, sent)
    assert again.headers["Location"] == answer.headers["Location"], "asked once, and led to the same page"
    query = DataQuery.objects.get()
    assert answer.status_code == 302
    assert answer.headers["Location"] == address(query)
    assert "Query opened" in client.get(address(query)).content.decode()
    assert (query.visit, query.field, query.check_code, query.opened_by) == (visit, "tbil", "", monitor)


@pytest.mark.parametrize(
    "wrong",
    [{"text": ""}, {"about": "visit-0"}, {"field": "nonsense"}, {"about": "subject"}, {"owner": "0"}],
)
def test_a_question_that_cannot_be_asked_stays_on_screen(
    visit: Visit, monitor: User, signed_in: SignIn, wrong: dict[str, str]
) -> None:
    sent = {"about": f"visit-{visit.pk}", "field": "tbil", "text": "Which report?", "owner": ""} | wrong
    answer = signed_in(monitor).post(reverse("patients:raise_query", args=["GE-001"]), sent)
    assert answer.status_code == 422
    assert sent["text"] in answer.content.decode()
    assert not DataQuery.objects.exists()


def test_everything_recorded_can_be_asked_about(patient: Patient, visit: Visit) -> None:
    from patients import query_thread

    factories.an_infusion(patient, 1)
    factories.an_outcome(patient)
    topics = {choice.about.topic for choice in query_thread.choices(patient)}
    assert {"subject", "visit", "infusion", "outcome"} <= topics


# --- the list -------------------------------------------------------------------------------


@pytest.fixture
def several(doubted: DataQuery, visit: Visit, monitor: User, sites: dict[str, Any]) -> dict[str, DataQuery]:
    """One of each kind: a check's, a monitor's answered, a closed one, one of the other site."""
    patient = visit.patient
    answered = factories.a_query(patient, by=monitor, visit=visit, field="inr", text="Which INR?")
    with audit.revision(by=monitor, reason="made for a test"):
        DataQuery.objects.filter(pk=answered.pk).update(
            state="answered", opened_at=timezone.now() - timedelta(days=20)
        )
    closed = factories.a_query(patient, by=monitor, text="Closed?")
    actions.close_query(query=closed, text="done", by=monitor)
    audit.settle()
    elsewhere = factories.a_query(factories.a_patient(site=sites["GS"], subject_id="GS-001"), by=monitor)
    return {"check": doubted, "answered": answered, "closed": closed, "elsewhere": elsewhere}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("", "check answered elsewhere"),
        ("?state=open", "check elsewhere"),
        ("?state=answered", "answered"),
        ("?state=closed", "closed"),
        ("?state=any", "check answered closed elsewhere"),
        ("?site=GS", "elsewhere"),
        ("?q=GE", "check answered"),
        ("?field=tbil", "check"),
        ("?field=topic-subject&state=any", "closed elsewhere"),
        ("?by=check", "check"),
        ("?by=person", "answered elsewhere"),
        ("?by=me", "answered elsewhere"),
        ("?owner=me", "answered"),
        ("?age=14", "answered"),
        ("?age=30", ""),
    ],
)
def test_filters_of_the_list(
    several: dict[str, DataQuery], monitor: User, signed_in: SignIn, asked: str, expected: str
) -> None:
    found = set(numbers(signed_in(monitor), asked))
    assert {name for name, query in several.items() if query.pk in found} == set(expected.split())


def test_what_waits_for_whom(
    several: dict[str, DataQuery], coordinator: User, coordinator_elsewhere: User, hepatologist: User,
    data_manager: User, signed_in: SignIn,
) -> None:  # fmt: skip
    assert numbers(signed_in(coordinator), "?owner=me") == [several["check"].pk]
    assert numbers(signed_in(coordinator_elsewhere), "?owner=me") == [several["elsewhere"].pk]
    assert numbers(signed_in(hepatologist), "?owner=me") == []
    actions.answer_query(query=several["check"], text="as on the report", by=coordinator)
    assert numbers(signed_in(data_manager), "?owner=me") == [several["check"].pk]


def test_another_site_is_never_listed(
    several: dict[str, DataQuery], coordinator: User, signed_in: SignIn
) -> None:
    answer = signed_in(coordinator).get(f"{LIST}?state=any&site=GS")
    assert several["elsewhere"].pk not in {row.query.pk for row in answer.context["page"].rows}
    assert answer.context["page"].counts.open == 1


def many(patient: Patient, by: User, count: int) -> None:
    with audit.revision(by=by, reason="made for a test"):
        made = DataQuery.objects.bulk_create(
            DataQuery(
                patient=patient,
                topic="subject",
                opened_by=by,
                opened_at=timezone.now() - timedelta(days=n % 40),
                state=("open", "answered", "closed")[n % 3],
            )
            for n in range(count)
        )
        QueryMessage.objects.bulk_create(
            QueryMessage(
                patient=patient, query=query, step="opened", text="?", author=by, written_at=timezone.now()
            )
            for query in made
        )
    audit.settle()


@pytest.mark.parametrize("sort", ["opened", "-opened", "subject", "-subject"])
def test_pages_hold_every_query_once(patient: Patient, monitor: User, signed_in: SignIn, sort: str) -> None:
    many(patient, monitor, 130)
    client, seen, after = signed_in(monitor), [], ""
    while True:
        page = client.get(LIST, {"state": "any", "sort": sort, "after": after}).context["page"]
        seen.append([row.query.pk for row in page.rows])
        after = page.after
        if not after:
            break
    assert [len(each) for each in seen] == [50, 50, 30]
    flat = [pk for each in seen for pk in each]
    assert len(set(flat)) == 130
    assert flat == sorted(flat, reverse=sort.startswith("-"))
    back = client.get(LIST, {"state": "any", "sort": sort, "before": page.before}).context["page"]
    assert [row.query.pk for row in back.rows] == seen[1]


def test_two_thousand_queries_cost_what_ten_do(patient: Patient, monitor: User, signed_in: SignIn) -> None:
    client = signed_in(monitor)

    def taken(asked: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            assert client.get(LIST + asked).status_code == 200
        return len(captured)

    many(patient, monitor, 10)
    taken("")
    asked = ("", "?state=any&sort=-subject", "?owner=me&age=7")
    few = [taken(each) for each in asked]
    many(patient, monitor, 1990)
    assert [taken(each) for each in asked] == few
    assert max(few) <= 14


def test_a_page_that_looks_again_is_answered_only_when_something_happened(
    several: dict[str, DataQuery], monitor: User, coordinator: User, signed_in: SignIn
) -> None:
    client, look = signed_in(coordinator), {"HX-Request": "true"}
    stamp = query_list.stamp(coordinator)
    again = f"{LIST}?as_of={stamp}"
    assert client.get(again, headers=look).status_code == 204
    assert client.get(again).status_code == 200
    factories.a_query(several["check"].patient, by=monitor, text="Another one?")
    fresh = client.get(again, headers=look)
    assert fresh.status_code == 200
    assert "Another one?" in fresh.content.decode()
    of_patient = reverse("patients:patient_queries", args=["GE-001"])
    assert client.get(f"{of_patient}?as_of={stamp}", headers=look).status_code == 200


def test_the_tab_of_a_subject_lists_what_is_not_closed_first(
    several: dict[str, DataQuery], coordinator: User, signed_in: SignIn
) -> None:
    answer = signed_in(coordinator).get(reverse("patients:patient_queries", args=["GE-001"]))
    assert [row.query.state for row in answer.context["rows"]] == ["open", "answered", "closed"]


# --- marks ----------------------------------------------------------------------------------


def test_marks_say_what_is_asked_by_visit_and_field(
    several: dict[str, DataQuery], visit: Visit, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(1):
        marks = query_marks.open_queries(visit.patient)
    assert set(marks) == {visit.pk}
    assert {field: [mark.label for mark in of] for field, of in marks[visit.pk].items()} == {
        "tbil": ["open query: W4 TBIL"],
        "inr": ["answered query: W4 INR"],
    }


def test_marks_of_infusions_are_by_number(patient: Patient, monitor: User) -> None:
    actions.open_query(
        patient=patient, about=About(topic="infusion", number=2), text="Which vein?", by=monitor
    )
    (mark,) = query_marks.open_by_infusion(patient)[2]
    assert mark.label == "open query: infusion 2"
