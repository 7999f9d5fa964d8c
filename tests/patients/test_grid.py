"""Grid entry: a week's visits as a sheet; every row whole or not at all, nothing typed dropped."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from patients import actions
from patients.actions import laboratories, locking
from patients.actions import merge as merging
from patients.entries import LabEntry
from patients.models import DataQuery, LabResult, Patient, Visit
from tests import factories
from trial import audit, clock, drafts, protocol
from trial.models import Revision, User

pytestmark = pytest.mark.django_db

SignIn = Callable[[User], Client]
Sheet = Callable[..., dict[str, str]]


@pytest.fixture
def browser(signed_in: SignIn, coordinator: User) -> Client:
    return signed_in(coordinator)


@pytest.fixture
def today(coordinator: User) -> date:
    return clock.today_at(coordinator.site)


def a_subject(coordinator: User, today: date, number: int, *, days: int = 28, **fields: object) -> Patient:
    """Return a subject whose first infusion was so many days ago: with 28, the visit of week 4 is open."""
    patient = factories.a_patient(
        site=coordinator.site,
        subject_id=f"GE-{number:03d}",
        recruited_on=today - timedelta(days=days + 7),
        **fields,
    )
    factories.an_infusion(patient, 1, today - timedelta(days=days))
    return patient


@pytest.fixture
def several(coordinator: User, today: date) -> list[Patient]:
    return [a_subject(coordinator, today, number) for number in (1, 2, 3)]


def url(week: int = 4, **more: str) -> str:
    extra = "".join(f"&{name}={value}" for name, value in more.items())
    return f"{reverse('patients:grid')}?site=GE&week={week}{extra}"


def text(response: object) -> str:
    return response.content.decode()  # type: ignore[attr-defined]


def fields(page: str) -> dict[str, str]:
    """Return the fields of the sheet as the page sends them."""
    found = {}
    for tag in re.findall(r"<input\b[^>]*>", page):
        given = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        if given.get("type") in ("checkbox", "radio") and " checked" not in tag:
            continue
        if re.match(r"(c|day|confirm|versions|suggested|submission_key|seen|keep)", given.get("name", "")):
            found[given["name"]] = given.get("value", "")
    return found


@pytest.fixture
def opened(browser: Client) -> Sheet:
    def open_sheet(week: int = 4) -> dict[str, str]:
        return fields(text(browser.get(url(week))))

    return open_sheet


def cell(patient: Patient, code: str) -> str:
    return f"c_{patient.pk}_{code}"


def stored(patient: Patient, week: int = 4) -> dict[str, LabResult]:
    rows = LabResult.objects.filter(patient=patient, visit__week=week, visit__voided_at=None)
    return {row.analyte: row for row in rows}


# --- who stands on it -----------------------------------------------------------------------


def test_the_sheet_holds_open_overdue_coming_and_entered_subjects(
    browser: Client, coordinator: User, today: date
) -> None:
    a_subject(coordinator, today, 1)  # open
    a_subject(coordinator, today, 2, days=35)  # overdue
    a_subject(coordinator, today, 3, days=21)  # due in 7 days
    a_subject(coordinator, today, 4, days=20)  # due in 8
    factories.a_visit(a_subject(coordinator, today, 5), 4, today, alt="44")

    page = text(browser.get(url()))
    assert re.findall(r'data-subject="(GE-\d+)"', page) == ["GE-001", "GE-002", "GE-003", "GE-005"]
    only = text(browser.get(url(show="overdue")))
    assert re.findall(r'data-subject="(GE-\d+)"', only) == ["GE-002"]
    assert 'value="44"' in page


def test_another_site_is_absent_and_so_are_its_subjects(
    browser: Client, several: list[Patient], sites: dict[str, object], today: date
) -> None:
    other = factories.a_patient(site=sites["GS"], recruited_on=today - timedelta(days=35))
    assert browser.get(url().replace("site=GE", "site=GS")).status_code == 404
    form = {"versions": f"{other.pk}:0", f"day_{other.pk}": f"{today}", cell(other, "alt"): "44"}
    page = browser.post(url(), form)
    assert not LabResult.objects.exists()
    assert "ALT 44" in text(page) or page.status_code == 302


@pytest.mark.parametrize("week", ["3", "x", "9" * 30, "-1"])
def test_a_week_that_is_none_is_not_found(browser: Client, week: str) -> None:
    assert browser.get(f"{reverse('patients:grid')}?week={week}").status_code == 404


def test_the_panel_stands_in_the_head_with_the_units_of_the_laboratory(
    browser: Client, several: list[Patient], coordinator: User
) -> None:
    laboratory = factories.a_laboratory(site=coordinator.site)
    laboratories.set_units(laboratory=laboratory, chosen={"tbil": "mg/dL"}, by=audit.service_account())
    page = text(browser.get(url()))
    heads = re.findall(r'<th scope="col"[^>]*data-column="(\w+)"[^>]*data-unit="([^"]+)"', page)
    assert [code for code, _unit in heads[:6]] == list(protocol.REQUIRED_ANALYTES)[:6]
    assert dict(heads)["tbil"] == "mg/dL"
    assert "总胆红素" in page


def test_a_row_costs_no_query(browser: Client, coordinator: User, today: date) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert browser.get(url()).status_code == 200
        return len(captured)

    def another(number: int) -> None:
        patient = a_subject(coordinator, today, number)
        factories.a_visit(patient, 1, today - timedelta(days=20), alt="96", inr="1.79")
        factories.a_treatment(patient, "albumin", today - timedelta(days=3))
        if number % 2:
            factories.a_visit(patient, 4, today, alt="44")

    for number in (1, 2):
        another(number)
    count()  # what is read once for all pages
    few = count()
    for number in range(3, 13):
        another(number)
    assert count() == few
    assert few <= 40


# --- saving ---------------------------------------------------------------------------------


def test_a_sheet_is_one_revision_and_is_read_back(
    browser: Client, several: list[Patient], opened: Sheet, today: date
) -> None:
    form = opened()
    for patient in several:
        assert form[f"day_{patient.pk}"] == f"{today}"
        form |= {cell(patient, "alt"): "６４", cell(patient, "hbv_dna"): "<20", cell(patient, "afp"): "lost"}
    before = audit.latest_revision()
    response = browser.post(url(), form)

    assert response.status_code == 302
    audit.settle()
    assert audit.latest_revision() == before + 1
    page = text(browser.get(response.url))
    assert "3 of 3 subjects, 9 of 9 values saved" in page
    assert f"revision {before + 1:,}" in page
    rows = stored(several[1])
    assert (rows["alt"].value, rows["alt"].typed_text) == (64, "６４")
    assert (rows["hbv_dna"].comparator, rows["afp"].missing_reason) == ("<", "lost")
    assert rows["alt"].visit.visited_on == today


def test_rows_that_are_fine_are_saved_and_the_others_stay_as_typed(
    browser: Client, several: list[Patient], opened: Sheet
) -> None:
    one, two, three = several
    form = opened() | {
        cell(one, "alt"): "64",
        cell(two, "alt"): "58",
        cell(two, "sodium"): "12O",
        f"day_{three.pk}": "yesterday",
        cell(three, "ast"): "58",
    }
    response = browser.post(url(), form)
    audit.settle()

    assert response.status_code == 422
    page = text(response)
    assert "1 of 3 subjects, 1 of 4 values saved" in page
    assert set(stored(one)) == {"alt"}
    assert not stored(two)
    assert not stored(three)
    assert "the third character is the letter O" in page
    back = fields(page)
    assert (back[cell(two, "sodium")], back[cell(two, "alt")]) == ("12O", "58")
    assert back[f"day_{three.pk}"] == "yesterday"

    # sent again as it was: the same page, nothing twice
    again = browser.post(url(), form)
    assert again.status_code == 422
    assert "1 of 3 subjects, 1 of 4 values saved" in text(again)
    assert Visit.objects.filter(week=4).count() == 1

    # mended, the rest follows and what is stored needs no reason
    back |= {cell(two, "sodium"): "138", f"day_{three.pk}": form[f"day_{one.pk}"]}
    assert browser.post(url(), back).status_code == 302
    assert stored(two)["sodium"].value == 138
    assert set(stored(three)) == {"ast"}


def test_the_same_submission_twice_is_one_change(
    browser: Client, several: list[Patient], opened: Sheet
) -> None:
    form = opened() | {cell(several[0], "alt"): "64"}
    first, second = browser.post(url(), form), browser.post(url(), form)
    assert (first.status_code, second.status_code) == (302, 302)
    assert first.url == second.url
    assert Revision.objects.filter(source="grid entry").count() == 1


def test_a_day_without_a_value_is_not_dropped(browser: Client, several: list[Patient], opened: Sheet) -> None:
    form = opened() | {f"day_{several[0].pk}": "2024-01-01"}
    page = browser.post(url(), form)
    assert page.status_code == 422
    assert "There is a day and no value" in text(page)
    assert not Visit.objects.exists()


def test_an_untouched_sheet_writes_nothing(browser: Client, several: list[Patient], opened: Sheet) -> None:
    factories.a_visit(several[0], 4, tbil="171", alt="44")
    before = audit.latest_revision()
    assert browser.post(url(), opened()).status_code == 302
    audit.settle()
    assert audit.latest_revision() == before


# --- checks ---------------------------------------------------------------------------------


def test_a_unit_slip_is_asked_about_then_kept_or_converted(
    browser: Client, several: list[Patient], opened: Sheet, today: date
) -> None:
    one, two, _three = several
    for patient in (one, two):
        factories.a_visit(patient, 1, today - timedelta(days=20), tbil="152.8")
    form = opened() | {cell(one, "tbil"): "8.2", cell(two, "tbil"): "8.2"}
    asked = browser.post(url(), form)
    assert asked.status_code == 422
    assert "did you mean mg/dL?" in text(asked)
    assert not stored(one)

    used = browser.post(url(), form | {f"use_{one.pk}_tbil": "mg/dL"})
    assert fields(text(used))[cell(one, "tbil")] == "8.2 mg/dL"
    form = fields(text(used)) | {f"confirm_{two.pk}_tbil": "8.2|umol/L"}
    assert browser.post(url(), form).status_code == 302
    assert stored(one)["tbil"].value == Decimal("140.22")
    assert stored(two)["tbil"].value == Decimal("8.2")
    assert [query.patient for query in DataQuery.objects.all()] == [two]


def test_a_stored_value_changes_only_with_a_reason(
    browser: Client, several: list[Patient], opened: Sheet
) -> None:
    one, two, _three = several
    factories.a_visit(one, 4, alt="44")
    form = opened() | {cell(one, "alt"): "45", cell(two, "alt"): "46"}
    refused = browser.post(url(), form)
    assert refused.status_code == 422
    assert "A stored value changes here" in text(refused)
    assert (stored(one)["alt"].value, stored(two)["alt"].value) == (44, 46)

    form = fields(text(refused)) | {"reason": protocol.CHANGE_REASONS[0].code}
    assert browser.post(url(), form).status_code == 302
    assert stored(one)["alt"].value == 45
    reason = Revision.objects.filter(source="grid entry").order_by("-id").first()
    assert reason is not None
    assert reason.reason == protocol.CHANGE_REASONS[0].label


def test_a_stored_value_does_not_go_away(browser: Client, several: list[Patient], opened: Sheet) -> None:
    factories.a_visit(several[0], 4, alt="44")
    page = browser.post(url(), opened() | {cell(several[0], "alt"): ""})
    assert page.status_code == 422
    assert "The stored value does not go away" in text(page)
    assert stored(several[0])["alt"].value == 44


def test_a_value_in_another_unit_says_so_and_is_no_change(
    browser: Client, several: list[Patient], coordinator: User, opened: Sheet, today: date
) -> None:
    actions.record_labs(
        patient=several[0],
        week=4,
        visited_on=today,
        entries=[LabEntry(analyte="tbil", value=Decimal("8.2"), typed_text="8.2", typed_unit="mg/dL")],
        by=coordinator,
    )
    audit.settle()
    form = opened()
    assert form[cell(several[0], "tbil")] == "8.2 mg/dL"
    for same in ("8.2 mg/dL", "8.2"):
        assert browser.post(url(), form | {cell(several[0], "tbil"): same}).status_code == 302
    assert not Revision.objects.filter(source="grid entry").exists()


@pytest.mark.parametrize("word", ["haemolysed", "Haemolysed", "not drawn", "not_drawn"])
def test_a_reason_is_typed_as_a_word(
    browser: Client, several: list[Patient], opened: Sheet, word: str
) -> None:
    assert browser.post(url(), opened() | {cell(several[0], "alt"): word}).status_code == 302
    assert stored(several[0])["alt"].missing_reason == word.lower().replace(" ", "_")


def test_some_rows_can_be_asked_about_without_saving(
    browser: Client, several: list[Patient], opened: Sheet
) -> None:
    one, two, _three = several
    form = opened() | {cell(one, "alt"): "12O", cell(two, "alt"): "12O", "check": f"{one.pk}"}
    page = text(browser.post(url(), form))
    assert re.findall(r'data-subject="(GE-\d+)"', page) == ["GE-001"]
    assert "the letter O" in page
    assert not Visit.objects.exists()


# --- several people -------------------------------------------------------------------------


def test_a_conflict_is_shown_on_its_row_and_the_others_are_saved(
    browser: Client, several: list[Patient], opened: Sheet, data_manager: User, today: date
) -> None:
    one, two, _three = several
    factories.a_visit(one, 4, today, alt="44")
    form = opened()
    actions.record_labs(
        patient=one,
        week=4,
        entries=[LabEntry(analyte="alt", value=Decimal(50), typed_text="50")],
        by=data_manager,
        reason="read again",
    )
    audit.settle()
    form |= {cell(one, "alt"): "60", cell(two, "alt"): "46", "reason": protocol.CHANGE_REASONS[0].code}
    page = browser.post(url(), form)

    assert page.status_code == 409
    assert (stored(one)["alt"].value, stored(two)["alt"].value) == (50, 46)
    shown = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text(page)))
    assert "before 44 U/L" in shown
    assert "theirs 50 U/L" in shown
    assert "mine 60 U/L" in shown
    # what is decided stays decided while a reason is missing, or another field collides
    choice = {f"keep_{one.pk}_alt": "mine"}
    page = browser.post(url(), fields(text(page)) | choice | {"reason": ""})
    assert page.status_code == 422
    assert choice.items() <= fields(text(page)).items()
    actions.record_labs(
        patient=one,
        week=4,
        entries=[LabEntry(analyte="ast", value=Decimal(70), typed_text="70")],
        by=data_manager,
    )
    audit.settle()
    form = fields(text(page)) | {cell(one, "ast"): "71", "reason": protocol.CHANGE_REASONS[0].code}
    page = browser.post(url(), form)
    assert page.status_code == 409
    form = fields(text(page))
    assert choice.items() <= form.items()
    form |= {f"keep_{one.pk}_ast": "theirs", "reason": protocol.CHANGE_REASONS[0].code}
    assert browser.post(url(), form).status_code == 302
    assert (stored(one)["alt"].value, stored(one)["ast"].value) == (60, 70)


def test_what_only_the_other_person_changed_stays(
    browser: Client, several: list[Patient], opened: Sheet, data_manager: User, today: date
) -> None:
    one = several[0]
    form = opened()
    factories.a_visit(one, 4, today - timedelta(days=1), alt="50")
    page = browser.post(url(), form | {cell(one, "ast"): "58"})
    assert page.status_code == 302, text(page)
    rows = stored(one)
    assert (rows["alt"].value, rows["ast"].value) == (50, 58)
    assert rows["ast"].visit.visited_on == today - timedelta(days=1)


def test_a_locked_row_is_read_only_and_says_why(
    browser: Client, several: list[Patient], opened: Sheet, data_manager: User
) -> None:
    one, two, _three = several
    visit = factories.a_visit(one, 4, alt="44")
    locking.lock_visit(visit=visit, by=data_manager, reason="source verified")
    audit.settle()
    page = text(browser.get(url()))
    assert "source verified" in page
    assert re.search(rf'name="{cell(one, "alt")}"[^>]* readonly', page)
    form = fields(page) | {cell(one, "alt"): "45", cell(two, "alt"): "46"}
    answer = browser.post(url(), form)
    assert (stored(one)["alt"].value, stored(two)["alt"].value) == (44, 46)
    # typed while somebody locked it: it is not dropped from the screen as if it had been saved
    assert answer.status_code == 422 and re.search(rf'name="{cell(one, "alt")}" value="45"', text(answer))
    assert "is locked" in text(answer)


def test_what_is_typed_for_a_subject_merged_meanwhile_is_not_dropped(
    browser: Client, several: list[Patient], opened: Sheet, data_manager: User, coordinator: User
) -> None:
    one, two, _three = several
    form = opened() | {cell(one, "alt"): "44", cell(two, "alt"): "46", drafts.FIELD: "grid:GE:4"}
    drafts.keep(
        person=coordinator, place="grid:GE:4", path="/patients/grid/", fields={cell(two, "alt"): ["46"]}
    )
    choices = {collision.key: merging.FIRST for collision in merging.collisions(one, two)}
    merging.merge(first=one, second=two, choices=choices, by=data_manager, reason="registered twice")
    audit.settle()
    answer = browser.post(url(), form, follow=True)
    assert f"{two.subject_id} is {one.subject_id} now; nothing was saved." in text(answer)
    assert not LabResult.objects.exists()
    assert [draft.fields for draft in drafts.of(coordinator)] == [{cell(two, "alt"): ["46"]}]


def test_the_page_without_a_week_goes_on_where_something_is_typed(browser: Client, coordinator: User) -> None:
    drafts.keep(person=coordinator, place="grid:GE:12", path="/patients/grid/", fields={"c_1_alt": ["4"]})
    assert browser.get(reverse("patients:grid")).url == url(12)


@pytest.mark.exhaustive
def test_hostile_fields_never_break_the_page(browser: Client, several: list[Patient], opened: Sheet) -> None:
    one = several[0]
    names = ["versions", "suggested", "laboratory", "reason", "note", "check", f"use_{one.pk}_tbil", "use_x"]
    names += [f"day_{one.pk}", f"seen_{one.pk}", f"keep_{one.pk}_tbil", f"confirm_{one.pk}_tbil"]
    form = opened() | {cell(one, "sodium"): "x"}
    for name in names:
        for hostile in ("'\"><", "１" * 300, "9" * 30, "\u202e\u200b😀{{ 7 }}" + "x" * 5000, "1:1 2:2 :"):
            assert browser.post(url(), form | {name: hostile}).status_code < 500, (name, hostile)
    assert not LabResult.objects.exists()
