"""What programs write: the checks, the actions and the trail of the ward, once for every key."""

from __future__ import annotations

import secrets
from datetime import date
from decimal import Decimal
from threading import Barrier, Thread
from typing import Any

import pytest
from django.db import connection

from patients.actions import locking, merge
from patients.models import DataQuery, LabResult, Patient, Visit
from tests import factories
from tests.api import Program, a_token, places, rules
from trial import audit
from trial.models import ApiAnswer, AuditEntry, Revision, Site, User


@pytest.fixture
def patient(sites: dict[str, Site]) -> Patient:
    found = factories.a_patient(site=sites["GE"], subject_id="GE-001")
    factories.an_infusion(found, 1)
    factories.a_visit(found, 0, tbil="171", inr="1.8", creatinine="81")
    return found


@pytest.fixture
def program(coordinator: User) -> Program:
    return Program(a_token(coordinator))


DAY = "2024-02-12"


def item(**other: Any) -> dict[str, Any]:
    return {"subject": "GE-001", "date": DAY, "analyte": "alt", "value": "61", "unit": "U/L", **other}


@pytest.mark.django_db
def test_values_are_stored_exactly_as_one_revision_of_the_person(
    program: Program, patient: Patient, coordinator: User
) -> None:
    body = (
        b'[{"subject":"GE-001","date":"2024-02-12T23:30:00Z","analyte":"alt","value":17.10,"unit":"U/L","specimen":"S-1"},'
        b'{"subject":"GE-001","date":"2024-02-12T23:30:00Z","analyte":"1975-2","value":"<5","unit":"mg/dL","specimen":"S-2"},'
        b'{"subject":"GE-001","date":"2024-02-12T23:30:00Z","analyte":"sodium","missing":"haemolysed"}]'
    )
    before = Revision.objects.count()
    answer = program.post("/observations", body, key="first")
    assert answer.status_code == 200, answer.content
    told = answer.json()["observations"]
    assert [one["state"] for one in told] == ["entered"] * 3
    draw = Visit.objects.get(patient=patient, week=None)
    assert draw.visited_on == date(2024, 2, 13), "the day at the site"
    rows = {row.analyte: row for row in draw.lab_results.all()}
    assert (rows["alt"].value, rows["alt"].typed_text) == (Decimal("17.1"), "17.10")
    assert (rows["tbil"].value, rows["tbil"].comparator, rows["tbil"].typed_unit) == (
        Decimal("85.5"),
        "<",
        "mg/dL",
    )
    assert rows["sodium"].missing_reason == "haemolysed"
    audit.settle()
    assert Revision.objects.count() == before + 1
    made = Revision.objects.order_by("-number").first()
    assert made is not None
    assert made.actor == coordinator
    assert made.source.startswith("api: test ")
    assert made.source.endswith("(specimen S-1, S-2)")

    again = program.post("/observations", body, key="first")
    assert again.content == answer.content
    assert again.headers["Cordline-Revision"] == str(made.number)
    assert Revision.objects.count() == before + 1
    other = program.post("/observations", [item()], key="first")
    assert (other.status_code, rules(other)) == (422, ["key_used"])
    same = program.post("/observations", body)
    assert [one["state"] for one in same.json()["observations"]] == ["same"] * 3
    assert Revision.objects.count() == before + 1
    assert program.ask("POST", "/observations", [item()]).status_code == 400, "no key"


@pytest.mark.django_db
def test_one_wrong_value_lets_nothing_in_and_every_problem_is_said(
    program: Program, patient: Patient
) -> None:
    answer = program.post(
        "/observations",
        [
            item(),
            item(analyte="ast", value="NaN"),
            item(analyte="tbil", value="99999", unit="umol/L"),
            item(analyte="wine"),
            item(subject="GE-777"),
            item(date="", week=""),
            item(week="3"),
            item(date="2999-01-01"),
            item(laboratory="NOWHERE"),
            item(reason="because"),
            item(reason="other", note=""),
            item(overwrite=True),
        ],
    )
    assert answer.status_code == 422
    assert list(zip(places(answer), rules(answer), strict=True)) == [
        ("/1/value", "no_digits"),
        ("/2/value", "hard_limit"),
        ("/3/analyte", "unknown_analyte"),
        ("/4/subject", "unknown_subject"),
        ("/5/date", "no_date"),
        ("/6/week", "unknown_week"),
        ("/7/date", "date_out_of_range"),
        ("/8/laboratory", "unknown_laboratory"),
        ("/9/reason", "unknown_reason"),
        ("/10/note", "note_needed"),
        ("/11/reason", "reason_needed"),
    ]
    for error in answer.json()["errors"]:
        assert error["message"]
        assert error["remedy"]
    assert LabResult.objects.filter(patient=patient).count() == 3
    assert not ApiAnswer.objects.exists(), (
        "a refusal is not remembered: mended, it may be sent under the same key"
    )
    for body, rule in (
        ([item(), item()], "twice"),
        ([item(), item(analyte="ast", date="2024-02-12T10:00:00Z")], "two_draws"),
        ([item(date="1970-01-01")], "before_birth"),
    ):
        refused = program.post("/observations", body)
        assert (refused.status_code, set(rules(refused))) == (422, {rule})
    assert program.post("/observations", [item(colour="red")]).status_code == 422
    assert places(program.post("/observations", [item(colour="red")])) == ["/0/colour"]
    assert program.post("/observations", []).status_code == 422
    assert program.post("/observations", [item()] * 501).status_code == 422


@pytest.mark.django_db
def test_a_soft_check_stores_the_value_and_opens_a_query(program: Program, patient: Patient) -> None:
    answer = program.post("/observations", [item(analyte="tbil", value="900", unit="umol/L")])
    assert answer.status_code == 200
    (told,) = answer.json()["observations"]
    asked = {query["rule"]: query["query"] for query in told["queries"]}
    assert asked
    found = DataQuery.objects.filter(patient=patient, state="open", field="tbil")
    assert {query.check_code for query in found} <= set(asked)
    assert {query.pk for query in found} <= set(asked.values())
    assert found.exists()


@pytest.mark.django_db
def test_what_is_stored_is_replaced_only_with_consent_and_reason(program: Program, patient: Patient) -> None:
    visit = Visit.objects.get(patient=patient, week=0)
    sent = item(date="", week=0, analyte="tbil", value="180", unit="umol/L")
    differs = program.post("/observations", [sent, item(date="", week=0)])
    assert (differs.status_code, rules(differs)) == (409, ["stored_differs"])
    assert differs.json()["conflicts"][0] == {
        "place": "/0/value",
        "field": "tbil",
        "mine": "180 µmol/L",
        "theirs": "171 µmol/L",
    }
    assert not visit.lab_results.filter(analyte="alt").exists()
    moved = program.post("/observations", [item(week=0, analyte="alt", date="2024-01-14")])
    assert (moved.status_code, places(moved)) == (409, ["/0/date"])
    agreed = {**sent, "overwrite": True, "reason": "report_amended", "note": "second report"}
    assert program.post("/observations", [agreed]).json()["observations"][0]["state"] == "changed"
    assert visit.lab_results.get(analyte="tbil").value == 180
    audit.settle()
    entry = AuditEntry.objects.filter(table="patients_labresult", op="U").select_related("revision").last()
    assert entry is not None
    assert entry.revision.reason == "laboratory amended its report: second report"


@pytest.mark.django_db
def test_the_panel_of_a_visit_is_saved_by_version(program: Program, patient: Patient) -> None:
    path = "/subjects/GE-001/visits/0/labs"
    values = {"values": {"alt": {"value": 61, "unit": "U/L"}}}
    assert program.put(path, values).status_code == 428
    tag = program.get(path).headers["ETag"]
    saved = program.put(path, values, If_Match=tag)
    assert saved.status_code == 200, saved.content
    assert len(saved.json()["labs"]) == 4
    moved = program.put(path, {"values": {"pta": {"value": 80}}}, If_Match=tag)
    assert (moved.status_code, moved.headers["ETag"]) == (412, saved.headers["ETag"])
    assert program.put("/subjects/GE-001/visits/4/labs", {**values, "date": "2024-02-12"}).status_code == 200
    assert program.put("/subjects/GE-001/visits/12/labs", values, If_Match=tag).status_code == 412
    assert program.put("/subjects/GE-001/visits/3/labs", values).status_code == 404
    wrong = program.put(path, {"values": {"alt": {"value": "1,5"}}}, If_Match=saved.headers["ETag"])
    assert (wrong.status_code, places(wrong)) == (422, ["/values/alt/value"])
    tag = saved.headers["ETag"]
    for given, status in (
        ("*", 200),
        (f'"9.9", {tag}', 200),
        # a proxy that packs answers makes tags weak; ours name one version either way
        (f"W/{tag}", 200),
        ("W/*", 412),
        (tag.strip('"'), 412),
        ('""', 412),
        (f"W/W/{tag}", 412),
        (",,,", 428),
    ):
        assert program.put(path, values, If_Match=given).status_code == status, given


@pytest.mark.django_db
def test_a_key_is_its_persons_and_no_way_back_to_an_old_site(
    program: Program, patient: Patient, coordinator: User, data_manager: User, sites: dict[str, Site]
) -> None:
    first = program.post("/observations", [item()], key="k")
    again = Program(a_token(coordinator)).post("/observations", [item()], key="k")
    assert (again.status_code, again.content) == (200, first.content), "another token is the same person"
    others = Program(a_token(data_manager)).post("/observations", [item()], key="k")
    assert others.json()["observations"][0]["state"] == "same", "another person's key is another key"
    with factories.by_the_software():
        User.objects.filter(pk=coordinator.pk).update(site=sites["GS"])
    moved = program.post("/observations", [item()], key="k")
    assert (moved.status_code, rules(moved)) == (422, ["key_used"])
    assert rules(program.post("/observations", [item()])) == ["unknown_subject"]


@pytest.mark.django_db
def test_locked_frozen_and_merged_are_refused_in_words(
    program: Program, patient: Patient, data_manager: User, sites: dict[str, Site]
) -> None:
    visit = Visit.objects.get(patient=patient, week=0)
    at_visit = [item(date="", week=0)]
    open_tag = program.get(f"/visits/{visit.pk}").headers["ETag"]
    locking.lock_visit(visit=visit, by=data_manager, reason="monitored")
    audit.settle()
    read = program.get(f"/visits/{visit.pk}", If_None_Match=open_tag)
    assert (read.status_code, read.json()["locked"]) == (200, True), "a lock is news to who read it open"
    refused = program.post("/observations", at_visit)
    assert (refused.status_code, rules(refused)) == (422, ["visit_is_locked"])
    assert "GE-001" in refused.json()["detail"]
    assert program.post("/observations", [item()]).status_code == 200
    locking.freeze_site(site=sites["GE"], by=data_manager, reason="closed")
    audit.settle()
    assert rules(program.post("/observations", [item(date="2024-02-14")])) == ["site_is_frozen"]
    locking.unfreeze_site(site=sites["GE"], by=data_manager, reason="open again")
    audit.settle()
    other = factories.a_patient(site=sites["GE"], subject_id="GE-002")
    merge.merge(first=patient, second=other, choices={}, by=data_manager, reason="the same person")
    audit.settle()
    assert rules(program.post("/observations", [item(subject="GE-002")])) == ["merged"]
    assert program.put("/subjects/GE-002/visits/0/labs", {"values": {"alt": {"value": 5}}}).status_code == 409
    gone = program.get("/subjects/GE-002/visits")
    assert (gone.status_code, gone.headers["Location"]) == (308, "/api/v1/subjects/GE-001/visits")


@pytest.mark.committed
def test_two_programs_at_once_lose_no_update(
    coordinator: User, patient: Patient, django_db_blocker: Any
) -> None:
    tokens = [a_token(coordinator), a_token(coordinator)]
    start = Barrier(2)
    answers: dict[int, list[int]] = {0: [], 1: []}
    path = "/subjects/GE-001/visits/0/labs"

    def count_up(who: int) -> None:
        program = Program(tokens[who])
        start.wait()
        for _round in range(6):
            for _attempt in range(50):
                read = program.get(path)
                now = next(lab["value"] for lab in read.json()["labs"] if lab["analyte"] == "tbil")
                body = {
                    "overwrite": True,
                    "reason": "typing_slip",
                    "values": {"tbil": {"value": now + 1, "unit": "umol/L"}},
                }
                saved = program.put(path, body, If_Match=read.headers["ETag"])
                answers[who].append(saved.status_code)
                if saved.status_code == 200:
                    break
        connection.close()

    threads = [Thread(target=count_up, args=(who,)) for who in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(answers[0] + answers[1]) <= {200, 412}
    assert LabResult.objects.get(patient=patient, analyte="tbil").value == 171 + 12


@pytest.mark.committed
def test_the_same_request_twice_at_once_is_one_revision(coordinator: User, patient: Patient) -> None:
    text, key = a_token(coordinator), secrets.token_hex(8)
    start = Barrier(3)
    answers: list[Any] = []

    def send() -> None:
        start.wait()
        answers.append(Program(text).post("/observations", [item()], key=key))
        connection.close()

    before = Revision.objects.count()
    threads = [Thread(target=send) for _thread in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert {answer.headers["Cordline-Revision"] for answer in answers} == {str(before + 1)}
    assert Revision.objects.count() == before + 1
