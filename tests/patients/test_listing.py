"""The patient list: filters, sorts, pages by key, and the box that jumps."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
import time_machine
from django.http import QueryDict
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from infusions.models import Infusion
from patients import listing
from patients.models import Outcome, Patient, Visit
from tests.corpus import TEXTS
from tests.factories import RECRUITED_ON, a_patient, a_query, a_visit, an_infusion
from trial import audit
from trial.address import NotOffered
from trial.models import Site, User

pytestmark = pytest.mark.django_db

SignIn = Callable[[User], Client]


def asked(**filters: Any) -> QueryDict:
    query = QueryDict(mutable=True)
    query.update(filters)
    return query


def subjects(user: User, **filters: Any) -> list[str]:
    return [row.patient.subject_id for row in listing.page(user, asked(**filters)).rows]


@pytest.fixture
def five(sites: dict[str, Site]) -> dict[str, Patient]:
    """Subjects A to E: as many infusions as their place, and one elsewhere."""
    made = {}
    for place, code in enumerate("ABCDE", start=1):
        patient = a_patient(
            site=sites["GE"],
            subject_id=f"GE-{code}",
            diagnosis="liver_failure" if place % 2 else "cirrhosis",
            recruited_on=RECRUITED_ON + timedelta(days=place),
            planned_course="prolonged",
        )
        for number in range(1, place + 1):
            an_infusion(patient, number)
        made[code] = patient
    made["elsewhere"] = a_patient(site=sites["GS"], subject_id="GS-A")
    return made


# --- what it shows --------------------------------------------------------------------------


def test_a_row_tells_course_visit_and_what_is_next(five: dict[str, Patient], coordinator: User) -> None:
    a_visit(five["C"], 0, RECRUITED_ON + timedelta(days=9), tbil="171")
    a_visit(five["C"], 1, RECRUITED_ON + timedelta(days=17), tbil="160")
    with time_machine.travel(f"{RECRUITED_ON + timedelta(days=31)}T02:00:00Z"):
        row = next(r for r in listing.page(coordinator, asked()).rows if r.patient == five["C"])
    assert (row.group, row.given, row.planned, row.age) == ("B", 3, 8, 48)
    assert row.last_visit_on == RECRUITED_ON + timedelta(days=17)
    assert (row.next_label, row.next_glyph) == ("infusion 4", "due")


def test_meld_now_is_the_last_visits_newest_score(five: dict[str, Patient], coordinator: User) -> None:
    from analytics.models import Run, Score

    early = a_visit(five["A"], 0, RECRUITED_ON + timedelta(days=7), tbil="171")
    late = a_visit(five["A"], 1, RECRUITED_ON + timedelta(days=14), tbil="120")

    def score(visit: Visit, revision: int, reported: int | None, variant: str = "meld_unos_2002") -> None:
        now = timezone.now()
        run = Run.objects.filter(revision=revision).first() or Run.objects.create(
            revision=revision, full=False, code_version="test", started_at=now, finished_at=now
        )
        Score.objects.create(
            patient=five["A"], visit=visit, variant=variant, run=run, revision=revision, reported=reported,
            value=reported, why_not="" if reported is not None else "not computable: INR missing",
        )  # fmt: skip

    def meld() -> int | None:
        return next(r for r in listing.page(coordinator, asked()).rows if r.patient == five["A"]).meld

    assert meld() is None
    score(late, 5, 17)
    score(early, 6, 24)
    score(late, 5, 30, "meld_3_0")
    assert meld() == 17, "the later visit counts, not the later revision"
    score(late, 7, 15)
    assert meld() == 15, "the newest row of a visit replaces the older"
    score(late, 8, None)
    assert meld() == 24, "a score that was withdrawn does not come back"


def test_voided_rows_count_nowhere(five: dict[str, Patient], coordinator: User) -> None:
    visit = a_visit(five["E"], 0, RECRUITED_ON + timedelta(days=9), tbil="171")
    with audit.revision(by=coordinator, reason="entered twice"):
        Infusion.objects.filter(patient=five["E"], number=5).update(voided_at="2024-06-01T00:00Z")
        Visit.objects.filter(pk=visit.pk).update(voided_at="2024-06-01T00:00Z")
    row = next(r for r in listing.page(coordinator, asked()).rows if r.patient == five["E"])
    assert (row.group, row.given, row.last_visit_on) == ("B", 4, None)


# --- filters --------------------------------------------------------------------------------


FILTERS: dict[str, tuple[dict[str, str], str]] = {
    "everything": ({}, "ABCDE"),
    "group_A": ({"group": "A"}, "E"),
    "group_B": ({"group": "B"}, "AC"),
    "group_C": ({"group": "C"}, ""),
    "group_D": ({"group": "D"}, "BD"),
    "diagnosis": ({"diagnosis": "cirrhosis"}, "BD"),
    "both": ({"diagnosis": "cirrhosis", "q": "ge-b"}, "B"),
    "search_ignores_spaces": ({"q": " GE-C "}, "C"),
    "a_wildcard_is_a_letter": ({"q": "%"}, ""),
    "enrolled": ({"status": "enrolled"}, "BCDE"),
    "ended": ({"status": "ended"}, "A"),
    "screening": ({"status": "screening"}, ""),
    "a_site_role_has_no_site_filter": ({"site": "GS"}, "ABCDE"),
}


def test_filters(five: dict[str, Patient], coordinator: User) -> None:
    with audit.revision(by=coordinator):
        Outcome.objects.create(patient=five["A"], kind="lost", happened_on=RECRUITED_ON + timedelta(days=9))
    for what, (filters, expected) in FILTERS.items():
        assert subjects(coordinator, **filters) == [f"GE-{code}" for code in expected], what
        assert listing.page(coordinator, asked(**filters)).total == len(expected), what


def test_overdue_is_what_the_queue_calls_overdue(sites: dict[str, Site], coordinator: User) -> None:
    late, on_time = (a_patient(site=sites["GE"], subject_id=f"GE-{code}") for code in ("LATE", "ON-TIME"))
    for patient in (late, on_time):
        an_infusion(patient, 1)
        an_infusion(patient, 2)
        a_visit(patient, 0, RECRUITED_ON + timedelta(days=7), tbil="171")
    a_visit(on_time, 1, RECRUITED_ON + timedelta(days=14), tbil="160")
    with time_machine.travel(f"{RECRUITED_ON + timedelta(days=17)}T02:00:00Z"):
        assert subjects(coordinator, overdue="1") == ["GE-LATE"]
        assert subjects(coordinator, overdue="week") == ["GE-LATE", "GE-ON-TIME"]
        a_visit(late, 1, RECRUITED_ON + timedelta(days=14), tbil="160")
        assert subjects(coordinator, overdue="1") == []


def test_all_sites_are_seen_and_filtered_by_who_may(five: dict[str, Patient], statistician: User) -> None:
    assert subjects(statistician)[-1] == "GS-A"
    assert subjects(statistician, site="GS") == ["GS-A"]


# --- sorts and pages ------------------------------------------------------------------------


def test_sorts_are_an_allow_list(five: dict[str, Patient], coordinator: User) -> None:
    for sort, expected in (
        ("subject", "ABCDE"),
        ("-subject", "EDCBA"),
        ("recruited", "ABCDE"),
        ("-recruited", "EDCBA"),
        ("infusions", "ABCDE"),
        ("-infusions", "EDCBA"),
        ("meld", "ABCDE"),
    ):
        assert subjects(coordinator, sort=sort) == [f"GE-{code}" for code in expected], sort


def test_walking_the_pages_shows_everybody_once_in_both_directions(
    five: dict[str, Patient], coordinator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_visit(five["B"], 0, RECRUITED_ON + timedelta(days=9), tbil="171")
    with audit.revision(by=coordinator, reason="unknown after all"):
        Patient.objects.filter(subject_id__in=["GE-B", "GE-D"]).update(recruited_on=None)
    everybody = {sort: subjects(coordinator, sort=sort) for sort in listing.SORTS}
    monkeypatch.setattr(listing, "PAGE", 2)
    for sort in listing.SORTS:
        forwards, backwards = walked(coordinator, sort)
        assert forwards == everybody[sort], sort
        assert backwards == everybody[sort], sort


def walked(coordinator: User, sort: str) -> tuple[list[str], list[str]]:
    """Return whom the pages show from the first to the last, and whom on the way back."""
    forwards: list[str] = []
    page = listing.page(coordinator, asked(sort=sort))
    assert not page.before
    while True:
        forwards += [row.patient.subject_id for row in page.rows]
        if not page.after:
            break
        page = listing.page(coordinator, asked(sort=sort, after=page.after))
    backwards = [row.patient.subject_id for row in page.rows]
    while page.before:
        page = listing.page(coordinator, asked(sort=sort, before=page.before))
        backwards = [row.patient.subject_id for row in page.rows] + backwards
    return forwards, backwards


def test_a_subject_added_meanwhile_moves_no_page(
    five: dict[str, Patient], coordinator: User, sites: dict[str, Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "PAGE", 2)
    page = listing.page(coordinator, asked())
    a_patient(site=sites["GE"], subject_id="GE-0")
    assert subjects(coordinator, after=page.after) == ["GE-C", "GE-D"]


def packed(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


@pytest.mark.parametrize(
    "key",
    [
        "",
        "x",
        "////",
        packed(["GE-A"]),
        packed([[], "GE-A"]),
        packed(["GE-A", 7]),
        packed({"a": 1}),
        packed([None, "GE-A"]),
        packed([True, "GE-A"]),
        packed(["GE\x00A", "GE-A"]),
        packed([10**30, "GE-A"]),
        packed([1.5, "GE-A"]),
        packed([["GE-A"] * 50, "GE-A"]),
        "W" * 5000,
    ],
)
@pytest.mark.parametrize("kind", [str, int, date])
def test_what_is_no_key_is_none(key: str, kind: type) -> None:
    assert listing.Key.unpacked(key, kind) is None


@pytest.mark.parametrize("value", ["GE-A", 7, -1, date(2024, 1, 8)])
def test_a_key_comes_back_as_it_was(value: str | int | date) -> None:
    key = listing.Key(value, "GE-A")
    assert listing.Key.unpacked(key.packed(), type(value)) == key


def test_what_no_link_of_the_list_says_is_refused(five: dict[str, Patient], coordinator: User) -> None:
    for name, text in (
        *(("after", "////"), ("before", packed(["x"]))),
        *(
            ("sort", "version"),
            ("sort", "-site__code; DROP TABLE"),
            ("group", "Z"),
            ("diagnosis", "x"),
            ("status", "y"),
        ),
    ):
        for sort in [text] if name == "sort" else listing.SORTS:
            with pytest.raises(NotOffered) as refused:
                listing.page(coordinator, asked(**{"sort": sort, name: text}))
            assert refused.value.problem.field == name


# --- pages ----------------------------------------------------------------------------------


def test_the_page_keeps_its_filters_in_its_links(
    five: dict[str, Patient], signed_in: SignIn, coordinator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "PAGE", 1)
    answer = signed_in(coordinator).get(
        reverse("patients:list"), {"diagnosis": "cirrhosis", "sort": "-infusions"}
    )
    content = answer.content.decode()
    assert answer.status_code == 200
    assert "GE-D" in content
    assert "GE-B" not in content
    assert 'aria-sort="descending"' in content
    follow = next(part for part in content.split('rel="next"')[1].split('"') if part.startswith("?"))
    assert "diagnosis=cirrhosis" in follow
    assert "sort=-infusions" in follow
    second = (
        signed_in(coordinator).get(reverse("patients:list") + follow.replace("&amp;", "&")).content.decode()
    )
    assert "GE-B" in second
    assert "GE-D" not in second


def test_nobody_fits_and_nobody_yet_say_different_things(
    signed_in: SignIn, coordinator: User, five: dict[str, Patient], coordinator_elsewhere: User
) -> None:
    client = signed_in(coordinator)
    assert b"No subject fits." in client.get(reverse("patients:list"), {"q": "ZZ"}).content
    with audit.revision(by=coordinator, reason="moved"):
        Patient.objects.update(site=Site.objects.get(code="GE"))
    empty = signed_in(coordinator_elsewhere).get(reverse("patients:list")).content
    assert b"No subject is registered yet." in empty


def test_another_site_is_not_listed(five: dict[str, Patient], signed_in: SignIn, coordinator: User) -> None:
    content = signed_in(coordinator).get(reverse("patients:list")).content.decode()
    assert "GS-A" not in content
    assert "GE-A" in content


JUMPS = {
    "a_whole_code": ("GE-C", "/patients/GE-C/"),
    "small_letters": ("ge-c", "/patients/GE-C/"),
    "without_the_site": ("C", "/patients/GE-C/"),
    "spaces": (" GE-C ", "/patients/GE-C/"),
    "several": ("GE", "/patients/?q=GE"),
    "another_site_is_nobody": ("GS-A", "/patients/?q=GS-A"),
    "a_wildcard_is_a_letter": ("%", "/patients/?q=%25"),
    "nothing": ("", "/patients/"),
}


def test_jump(five: dict[str, Patient], signed_in: SignIn, coordinator: User) -> None:
    client = signed_in(coordinator)
    for what, (text, target) in JUMPS.items():
        answer = client.get(reverse("patients:jump"), {"q": text})
        assert answer.status_code == 302, what
        assert answer.headers["Location"] == target, what


def test_jump_suggests_while_typing(five: dict[str, Patient], signed_in: SignIn, coordinator: User) -> None:
    answer = signed_in(coordinator).get(reverse("patients:jump"), {"q": "GE"}, headers={"HX-Request": "true"})
    content = answer.content.decode()
    assert [code for code in "ABCDE" if f"/patients/GE-{code}/" in content] == list("ABCDE")
    assert "<html" not in content
    nobody = signed_in(coordinator).get(reverse("patients:jump"), {"q": "GS"}, headers={"HX-Request": "true"})
    assert b"No subject begins so." in nobody.content


def test_account_admins_see_no_list(signed_in: SignIn, account_admin: User) -> None:
    client = signed_in(account_admin)
    assert {client.get(reverse(f"patients:{name}")).status_code for name in ("list", "jump")} == {403}
    # where everybody arrives, they are sent on to what they may open
    assert client.get(reverse("patients:today"))["Location"] == reverse("trial:accounts")


def test_hostile_parameters(five: dict[str, Patient], signed_in: SignIn, statistician: User) -> None:
    client = signed_in(statistician)
    for name in ("q", "site", "diagnosis", "group", "status", "overdue", "sort", "after", "before"):
        for text in TEXTS[::20]:
            assert client.get(reverse("patients:list"), {name: text}).status_code in {200, 400}, (name, text)


def test_the_list_can_be_narrowed_to_open_queries(
    five: dict[str, Patient], coordinator: User, monitor: User
) -> None:
    asked = next(iter(five.values()))
    a_query(asked, by=monitor)
    found = listing.page(coordinator, QueryDict("queries=open"))
    assert [row.patient for row in found.rows] == [asked]
