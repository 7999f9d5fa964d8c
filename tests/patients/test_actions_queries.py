"""Steps of a query, and what edit checks ask and take back."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.core.exceptions import PermissionDenied

from patients import feed
from patients.actions import queries
from patients.actions.queries import About
from patients.edit_checks import Doubt
from patients.models import DataQuery, LabResult, Patient, QueryMessage, Visit
from tests import factories
from trial import audit
from trial.models import AuditEntry, Revision, User
from trial.refusals import Conflict, Refused
from trial.sentences import Sentence

pytestmark = pytest.mark.django_db


@pytest.fixture
def patient(sites: dict[str, object]) -> Patient:
    return factories.a_patient(site=sites["GE"], subject_id="GE-001")


@pytest.fixture
def visit(patient: Patient) -> Visit:
    return factories.a_visit(patient, 4, tbil="8.2", inr="1.8", pta="80")


def doubt(value: str = "8.2", analyte: str = "tbil", rule: str = "unit_slip") -> Doubt:
    return Doubt(
        analyte,
        rule,
        Sentence(
            "%(value)s %(unit)s, last %(last)s: did you mean %(other)s?",
            {"value": value, "unit": "µmol/L", "last": "140", "other": "mg/dL"},
        ),
        Sentence("Compare it with the report."),
        "mg/dL",
    )


def sync(visit: Visit, by: User, *doubts: Doubt, confirmed: set[str] | None = None) -> None:
    queries.sync_check_queries(patient=visit.patient, visit=visit, doubts=doubts, by=by, confirmed=confirmed)
    audit.settle()


def retyped(visit: Visit, value: str, by: User) -> None:
    with audit.revision(by=by, reason="typing slip"):
        LabResult.objects.filter(visit=visit, analyte="tbil").update(value=Decimal(value), typed_text=value)
    audit.settle()


def only() -> DataQuery:
    return DataQuery.objects.get()


def steps(query: DataQuery) -> list[tuple[str, str]]:
    return [(message.step, message.author.username) for message in query.messages.select_related("author")]


def asked(patient: Patient, by: User, **options: object) -> DataQuery:
    query = queries.open_query(
        patient=patient, about=About(topic="subject"), text="Which ward?", by=by, **options
    )
    audit.settle()
    return query


# --- what a check asks ----------------------------------------------------------------------


def test_a_confirmed_doubt_opens_a_query_in_the_revision_of_the_save(visit: Visit, coordinator: User) -> None:
    before = audit.latest_revision()
    with audit.revision(by=coordinator, source="visit entry"):
        retyped_by = LabResult.objects.get(visit=visit, analyte="inr")
        with audit.revision(by=coordinator, reason="typing slip"):
            LabResult.objects.filter(pk=retyped_by.pk).update(typed_text="1.80")
        queries.sync_check_queries(
            patient=visit.patient, visit=visit, doubts=[doubt()], by=coordinator, confirmed={"tbil"}
        )
    audit.settle()

    query = only()
    assert (query.topic, query.visit, query.field, query.check_code) == ("visit", visit, "tbil", "unit_slip")
    assert (query.state, query.opened_by, query.assigned_to) == ("open", coordinator, None)
    assert audit.latest_revision() == before + 1
    assert Revision.objects.get(number=before + 1).source == "visit entry"
    tables = AuditEntry.objects.filter(revision__number=before + 1).values_list("table", flat=True)
    assert set(tables) == {"patients_labresult", "patients_dataquery", "patients_querymessage"}


def test_what_a_check_says_is_kept_to_be_read_in_any_language(visit: Visit, coordinator: User) -> None:
    sync(visit, coordinator, doubt())
    message = QueryMessage.objects.get()
    assert message.text == "%(value)s %(unit)s, last %(last)s: did you mean %(other)s?"
    assert '"value": "8.2"' in message.values


def test_a_doubt_that_nobody_confirmed_asks_nothing(visit: Visit, coordinator: User) -> None:
    sync(visit, coordinator, doubt(), confirmed=set())
    assert not DataQuery.objects.exists()


def test_a_check_that_fires_on_asks_once(visit: Visit, coordinator: User) -> None:
    sync(visit, coordinator, doubt())
    before = audit.latest_revision()
    sync(visit, coordinator, doubt())
    sync(visit, coordinator, doubt(), confirmed=set())
    assert steps(only()) == [("opened", "li.min")]
    assert audit.latest_revision() == before


def test_a_query_closes_itself_once_its_check_is_silent(visit: Visit, coordinator: User) -> None:
    sync(visit, coordinator, doubt(), doubt("1.8", "inr", "pta_inr"))
    before = audit.latest_revision()
    sync(visit, coordinator, doubt("1.8", "inr", "pta_inr"))

    closed = DataQuery.objects.get(field="tbil")
    assert closed.state == "closed"
    assert closed.messages.last().text == "The value was corrected; the check no longer objects."
    assert closed.messages.last().values
    assert DataQuery.objects.get(field="inr").state == "open"
    (entry,) = AuditEntry.objects.filter(revision__number=before + 1, table="patients_dataquery")
    assert (entry.old["state"], entry.new["state"]) == ("open", "closed")
    assert Revision.objects.get(number=before + 1).reason == "query followed the data"


def test_an_answered_query_closes_itself_too(visit: Visit, coordinator: User, monitor: User) -> None:
    sync(visit, coordinator, doubt())
    queries.answer_query(query=only(), text="as on the report", by=coordinator)
    sync(visit, coordinator)
    assert only().state == "closed"


def test_what_a_person_closed_is_not_asked_again_for_the_same_value(
    visit: Visit, coordinator: User, monitor: User
) -> None:
    sync(visit, coordinator, doubt())
    queries.close_query(query=only(), text="seen on the report", by=monitor)
    audit.settle()
    sync(visit, coordinator, doubt())
    assert only().state == "closed"

    retyped(visit, "8.4", coordinator)
    sync(visit, coordinator, doubt("8.4"))
    assert DataQuery.objects.filter(state="open").count() == 1


def test_what_closed_itself_is_asked_again_when_the_value_comes_back(visit: Visit, coordinator: User) -> None:
    sync(visit, coordinator, doubt())
    sync(visit, coordinator)
    sync(visit, coordinator, doubt())
    assert sorted(DataQuery.objects.values_list("state", flat=True)) == ["closed", "open"]


def test_an_answer_counts_only_for_the_value_it_was_given_for(visit: Visit, coordinator: User) -> None:
    sync(visit, coordinator, doubt())
    queries.answer_query(query=only(), text="as on the report", by=coordinator)
    retyped(visit, "8.4", coordinator)
    sync(visit, coordinator, doubt("8.4"))
    assert only().state == "open"
    assert [step for step, _author in steps(only())] == ["opened", "answered", "reopened"]


def test_a_persons_question_on_the_same_field_stays(visit: Visit, coordinator: User, monitor: User) -> None:
    queries.open_query(
        patient=visit.patient,
        about=About(topic="visit", visit=visit),
        field="tbil",
        text="Which report?",
        by=monitor,
    )
    sync(visit, coordinator, doubt())
    sync(visit, coordinator)
    assert DataQuery.objects.get(check_code="").state == "open"


def test_checks_of_other_topics_follow_their_own_row(patient: Patient, coordinator: User) -> None:
    asks = queries.Asked(field="given_on", rule="early", sentence=Sentence("Too early."))
    for number in (1, 2):
        about = About(topic="infusion", number=number)
        queries.sync_queries(patient=patient, about=about, asked=[asks], by=coordinator)
    queries.sync_queries(patient=patient, about=About(topic="infusion", number=1), asked=[], by=coordinator)
    assert list(DataQuery.objects.order_by("number").values_list("state", flat=True)) == ["closed", "open"]


def test_what_was_voided_leaves_no_question(visit: Visit, coordinator: User, monitor: User) -> None:
    sync(visit, coordinator, doubt())
    about = About(topic="visit", visit=visit)
    queries.open_query(patient=visit.patient, about=about, text="Which report?", by=monitor)
    audit.settle()
    queries.close_queries_of_voided(patient=visit.patient, about=about, by=coordinator)
    assert set(DataQuery.objects.values_list("state", flat=True)) == {"closed"}


# --- what a person does ---------------------------------------------------------------------


def test_a_question_lives_from_open_to_closed_and_again(
    patient: Patient, monitor: User, coordinator: User
) -> None:
    query = asked(patient, monitor)
    query = queries.answer_query(query=query, text="Ward 3", by=coordinator, version=1)
    query = queries.reopen_query(query=query, text="Since when?", by=monitor, version=2)
    query = queries.answer_query(query=query, text="January", by=coordinator, version=3)
    query = queries.close_query(query=query, by=monitor, version=4)
    query = queries.reopen_query(query=query, text="Of which year?", by=monitor, version=5)
    assert query.state == "open"
    assert [step for step, _who in steps(query)] == [
        "opened", "answered", "reopened", "answered", "closed", "reopened",
    ]  # fmt: skip
    audit.settle()
    lines = [line for line in feed.latest(coordinator) if str(line.told[0]).startswith("Query")]
    assert any(str(line.told[0]).endswith("opened: Which ward?") for line in lines)
    assert {line.why for line in lines} == {""}, "the sentence says already that it is a query"


def test_only_who_may_open_opens(patient: Patient, coordinator: User, statistician: User) -> None:
    for person in (coordinator, statistician):
        with pytest.raises(PermissionDenied):
            asked(patient, person)


def test_a_role_that_never_takes_a_step_is_denied(
    patient: Patient, monitor: User, coordinator: User, hepatologist: User, statistician: User
) -> None:
    query = asked(patient, monitor)
    for person in (coordinator, hepatologist, statistician):
        with pytest.raises(PermissionDenied):
            queries.close_query(query=query, text="no", by=person)
    with pytest.raises(PermissionDenied):
        queries.answer_query(query=query, text="no", by=monitor)
    with pytest.raises(PermissionDenied):
        queries.assign_query(query=query, to=None, by=statistician)


def test_one_takes_back_a_question_of_ones_own(patient: Patient, hepatologist: User) -> None:
    query = asked(patient, hepatologist)
    assert queries.close_query(query=query, text="found it", by=hepatologist).state == "closed"


def test_what_a_check_asked_closes_only_with_a_word(visit: Visit, coordinator: User, monitor: User) -> None:
    sync(visit, coordinator, doubt())
    queries.answer_query(query=only(), text="as on the report", by=coordinator)
    with pytest.raises(Refused) as refused:
        queries.close_query(query=only(), text="  ", by=monitor)
    assert refused.value.problems[0].rule == "nothing_said"
    assert queries.close_query(query=only(), text="seen", by=monitor).state == "closed"


def test_the_second_of_two_answers_is_told_about_the_first(
    patient: Patient, monitor: User, coordinator: User, hepatologist: User
) -> None:
    query = asked(patient, monitor)
    queries.answer_query(query=query, text="Ward 3", by=coordinator, version=1)
    with pytest.raises(Conflict):
        queries.answer_query(query=query, text="Ward 4", by=hepatologist, version=1)
    with pytest.raises(Refused) as refused:
        queries.answer_query(query=query, text="Ward 4", by=hepatologist)
    assert refused.value.problems[0].rule == "wrong_state"


def test_a_query_is_passed_on_to_whom_it_concerns(
    patient: Patient, monitor: User, hepatologist: User, hepatologist_elsewhere: User, statistician: User
) -> None:
    query = asked(patient, monitor)
    assert queries.assign_query(query=query, to=hepatologist, by=monitor).assigned_to == hepatologist
    for stranger in (hepatologist_elsewhere, statistician):
        with pytest.raises(Refused):
            queries.assign_query(query=query, to=stranger, by=monitor)


def test_a_closed_question_of_a_check_is_not_opened_beside_a_newer_one(
    visit: Visit, coordinator: User, monitor: User
) -> None:
    sync(visit, coordinator, doubt())
    first = only()
    sync(visit, coordinator)
    sync(visit, coordinator, doubt())
    with pytest.raises(Refused) as refused:
        queries.reopen_query(query=first, text="again", by=monitor)
    assert refused.value.problems[0].rule == "asked_again"


@pytest.mark.parametrize("text", ["x" * 1001, "a\x00b", ""])
def test_a_text_that_cannot_be_kept_is_refused(patient: Patient, monitor: User, text: str) -> None:
    with pytest.raises(Refused):
        queries.open_query(patient=patient, about=About(topic="subject"), text=text, by=monitor)
