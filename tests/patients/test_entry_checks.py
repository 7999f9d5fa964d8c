"""What a save does besides storing values: laboratories, queries of kept doubts, visits not done."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from patients import actions, draws, schedule, worklist
from patients.entries import LabEntry
from patients.models import DataQuery, Laboratory, LaboratoryUnit, LabResult, Patient, Treatment, Visit
from tests import factories
from trial import audit, clock
from trial.models import Draft, Site, User
from trial.refusals import Conflict, Refused

pytestmark = pytest.mark.django_db

SignIn = Callable[[User], Client]
DAY = date(2024, 2, 12)


@pytest.fixture
def patient(sites: dict[str, Site]) -> Patient:
    patient = factories.a_patient(site=sites["GE"], subject_id="GE-001")
    factories.an_infusion(patient, 1)
    return patient


@pytest.fixture
def browser(signed_in: SignIn, coordinator: User) -> Client:
    return signed_in(coordinator)


def a_laboratory(code: str, site: Site | None = None, **units: str) -> Laboratory:
    with factories.by_the_software():
        made = Laboratory.objects.create(code=code, name=f"Laboratory {code}", site=site)
        for analyte, unit in units.items():
            LaboratoryUnit.objects.create(laboratory=made, analyte=analyte, unit=unit)
    return made


def url(patient: Patient, week: int = 4) -> str:
    return reverse("patients:enter_visit", args=[patient.subject_id, week])


def post(browser: Client, patient: Patient, week: int = 4, **fields: str) -> Any:
    response = browser.post(url(patient, week), {"visited_on": DAY.isoformat(), "version": "0"} | fields)
    audit.settle()
    return response


def text(response: Any) -> str:
    return response.content.decode()


def queries() -> list[tuple[str, str, str]]:
    return [(q.field, q.check_code, q.state) for q in DataQuery.objects.order_by("id")]


def entry(analyte: str, value: str) -> LabEntry:
    return LabEntry(analyte=analyte, value=Decimal(value), typed_text=value)


# --- kept doubts ----------------------------------------------------------------------------


def test_a_kept_doubt_opens_a_query_and_a_correction_closes_it(browser: Client, patient: Patient) -> None:
    factories.a_visit(patient, 1, DAY - timedelta(days=20), tbil="152.8")
    assert post(browser, patient, tbil="8.2", alt="60").status_code == 422
    assert queries() == []

    assert post(browser, patient, tbil="8.2", alt="60", confirm_tbil="8.2|umol/L").status_code == 302
    assert queries() == [("tbil", "unit_slip", "open")]
    revision = audit.latest_revision()
    assert set(LabResult.objects.filter(visit__week=4).values_list("analyte", flat=True)) == {"tbil", "alt"}

    # another value leaves it, the right one closes it
    post(browser, patient, tbil="8.2", alt="61", version="1", reason="typing_slip")
    assert queries() == [("tbil", "unit_slip", "open")]
    done = post(
        browser, patient, tbil="8.2", unit_tbil="mg/dL", alt="61", version="2", reason="unit_corrected"
    )
    assert done.status_code == 302
    assert queries() == [("tbil", "unit_slip", "closed")]
    assert audit.latest_revision() == revision + 2


def test_correcting_the_earlier_visit_closes_the_query_of_the_later_one(
    browser: Client, patient: Patient, coordinator: User
) -> None:
    factories.a_visit(patient, 1, DAY - timedelta(days=20), inr="1.2")
    assert post(browser, patient, inr="3.0", confirm_inr="3.0|ratio").status_code == 302
    assert queries() == [("inr", "jump", "open")]

    actions.record_labs(
        patient=patient, week=1, entries=[entry("inr", "2.2")], by=coordinator, reason="typing slip corrected"
    )
    assert queries() == [("inr", "jump", "closed")]


def test_voiding_a_visit_closes_what_its_checks_asked(
    browser: Client, patient: Patient, coordinator: User
) -> None:
    post(browser, patient, inr="8.5", confirm_inr="8.5|ratio")
    assert [state for *_, state in queries()] == ["open"]
    actions.void_visit(visit=Visit.objects.get(week=4), by=coordinator, reason="belonged to another subject")
    assert [state for *_, state in queries()] == ["closed"]


def test_a_check_over_two_values_is_asked_beside_the_one_that_is_new(
    browser: Client, patient: Patient
) -> None:
    post(browser, patient, inr="1.2")
    asked = post(browser, patient, inr="1.2", pta="30", version="1")
    assert asked.status_code == 422
    assert "INR 1.2 does not go with PTA 30 %" in text(asked)
    kept = post(browser, patient, inr="1.2", pta="30", confirm_pta="30|%", version="1")
    assert kept.status_code == 302
    assert queries() == [("inr", "pta_inr", "open")]


def test_a_day_outside_its_window_is_asked_about_and_opens_a_query(browser: Client, patient: Patient) -> None:
    late = (DAY + timedelta(days=5)).isoformat()
    asked = post(browser, patient, visited_on=late, tbil="140")
    assert asked.status_code == 422
    assert "outside the window of week 4: day 24 to 32" in text(asked)
    assert f'value="{late}"' in text(asked)
    stale = post(browser, patient, visited_on=late, tbil="140", confirm_visited_on=DAY.isoformat())
    assert stale.status_code == 422
    kept = post(browser, patient, visited_on=late, tbil="140", confirm_visited_on=late)
    assert kept.status_code == 302
    assert queries() == [("visited_on", "outside_window", "open")]

    moved = post(browser, patient, visited_on=DAY.isoformat(), tbil="140", version="1", reason="typing_slip")
    assert moved.status_code == 302
    assert queries() == [("visited_on", "outside_window", "closed")]


def test_albumin_given_between_explains_a_jump(browser: Client, patient: Patient) -> None:
    factories.a_visit(patient, 1, DAY - timedelta(days=6), albumin="28")
    assert post(browser, patient, albumin="37").status_code == 422
    with factories.by_the_software():
        Treatment.objects.create(patient=patient, kind="albumin", started_on=DAY - timedelta(days=3))
    assert "unusual change" not in text(post(browser, patient, albumin="37", visited_on=DAY.isoformat()))


# --- laboratories ---------------------------------------------------------------------------


def test_the_laboratory_presets_units_and_is_stored(
    browser: Client, patient: Patient, sites: dict[str, Site]
) -> None:
    everywhere = a_laboratory("CENTRAL")
    own = a_laboratory("GE-LAB", sites["GE"], tbil="mg/dL")
    a_laboratory("GS-LAB", sites["GS"])

    page = text(browser.get(url(patient)))
    assert "Laboratory GE-LAB" in page and "Laboratory CENTRAL" in page and "GS-LAB" not in page
    assert re.search(rf'<option value="{own.pk}" selected', page)
    assert re.search(r'name="unit_tbil".*?<option value="mg/dL" selected', page, re.DOTALL)

    assert post(browser, patient, tbil="8.2", laboratory=str(own.pk)).status_code == 302
    row = LabResult.objects.get(analyte="tbil")
    # no unit was posted: the one of the laboratory counts
    assert (row.laboratory, row.typed_unit, row.value) == (own, "mg/dL", Decimal("140.22"))

    # the next draw of the subject is preset to the laboratory of the last
    post(browser, patient, tbil="8.2", laboratory=str(everywhere.pk), version="1", reason="source_checked")
    assert LabResult.objects.get(analyte="tbil").laboratory == everywhere
    page = text(browser.get(url(patient, 12)))
    assert re.search(rf'<option value="{everywhere.pk}" selected', page)


def test_a_laboratory_of_another_site_is_refused(
    browser: Client, patient: Patient, coordinator: User, sites: dict[str, Site]
) -> None:
    a_laboratory("GE-LAB", sites["GE"])
    other = a_laboratory("GS-LAB", sites["GS"])
    response = post(browser, patient, tbil="140", laboratory=str(other.pk))
    assert response.status_code == 422 and "not of the list" in text(response)
    with pytest.raises(Refused):
        actions.record_labs(
            patient=patient,
            week=4,
            visited_on=DAY,
            laboratory=other,
            entries=[entry("tbil", "140")],
            by=coordinator,
        )
    assert not LabResult.objects.filter(visit__week=4).exists()


# --- time and laboratory of a draw, two people ----------------------------------------------


def test_time_and_laboratory_of_a_draw_merge_and_collide(
    patient: Patient, coordinator: User, hepatologist: User, sites: dict[str, Site]
) -> None:
    one, two, three = (a_laboratory(code, sites["GE"]) for code in ("ONE", "TWO", "THREE"))
    at = [clock.moment_at(patient.site, DAY, time(hour, 0)) for hour in (7, 8, 9)]

    def save(by: User, **fields: Any) -> None:
        actions.record_labs(patient=patient, week=4, by=by, reason="checked against the source", **fields)
        audit.settle()

    first = {"visited_on": DAY, "sampled_at": at[0], "laboratory": one}
    save(coordinator, entries=[entry("tbil", "140")], **first)
    save(hepatologist, entries=[], sampled_at=at[1], laboratory=two)

    # a page that still shows the first time and laboratory adds a value: the other's stay
    save(coordinator, entries=[entry("alt", "64")], version=1, **first)
    rows = LabResult.objects.filter(visit__week=4)
    assert {(row.sampled_at, row.laboratory) for row in rows} == {(at[1], two)}

    with pytest.raises(Conflict) as conflict:
        save(coordinator, entries=[], version=1, visited_on=DAY, sampled_at=at[2], laboratory=three)
    clashes = {clash.field: clash for clash in conflict.value.clashes}
    assert set(clashes) == {"drawn_at", "laboratory"}
    drawn = clashes["drawn_at"]
    assert (drawn.mine[-5:], drawn.theirs[-5:], drawn.before[-5:]) == ("09:00", "08:00", "07:00")
    named = clashes["laboratory"]
    assert (named.mine, named.theirs, named.before) == (three.name, two.name, one.name)
    assert named.by == hepatologist.shown_name

    seen = conflict.value.version
    save(
        coordinator,
        entries=[],
        version=1,
        sampled_at=at[2],
        laboratory=three,
        decided={"drawn_at": seen, "laboratory": seen},
    )
    assert {(row.sampled_at, row.laboratory) for row in rows.all()} == {(at[2], three)}


def test_a_collided_day_can_be_decided(patient: Patient, coordinator: User, hepatologist: User) -> None:
    def save(by: User, off: int, **fields: Any) -> None:
        given = {"patient": patient, "week": 4, "visited_on": DAY + timedelta(days=off), "by": by}
        actions.record_labs(entries=[entry("tbil", "140")], reason="checked", **given, **fields)
        audit.settle()

    save(coordinator, 0)
    save(hepatologist, 1)
    with pytest.raises(Conflict) as conflict:
        save(coordinator, 2, version=1)
    assert [clash.by for clash in conflict.value.clashes] == [hepatologist.shown_name]
    save(coordinator, 2, version=1, decided={"visited_on": conflict.value.version})
    assert Visit.objects.get(week=4).visited_on == DAY + timedelta(days=2)


# --- beside the panel -----------------------------------------------------------------------


def test_the_page_says_plasma_and_who_else_types(
    browser: Client, patient: Patient, data_manager: User
) -> None:
    factories.a_visit(patient, 4, DAY, tbil="140")
    page = text(browser.get(url(patient)))
    assert "none within 48 h" in page and "nobody else on this visit" in page
    with factories.by_the_software():
        Treatment.objects.create(patient=patient, kind="plasma", started_on=DAY)
    Draft.objects.create(
        person=data_manager,
        place="visit:GE-001:4",
        path=url(patient),
        saved_at=clock.timezone.now(),
    )
    page = text(browser.get(url(patient)))
    assert "within 48 h after the plasma" in page
    assert data_manager.shown_name in page
    later = clock.timezone.now() - draws.ALSO_OPEN - timedelta(seconds=1)
    Draft.objects.update(saved_at=later)
    assert "nobody else on this visit" in text(browser.get(url(patient)))


def test_what_the_protocol_wants_at_every_visit_stays_open_until_it_is_answered(
    browser: Client, patient: Patient
) -> None:
    assert post(browser, patient, tbil="140", alt="60").status_code == 302
    page = text(browser.get(url(patient)))
    assert "4 required open" in page and "AST, PTA, INR, Creatinine" in page
    rest = {"ast": "50", "pta": "50", "inr": "1.5", "missing_creatinine": "lost"}
    assert post(browser, patient, tbil="140", alt="60", version="1", **rest).status_code == 302
    page = text(browser.get(url(patient)))
    assert "required open" not in page and "complete" in page


# --- not done -------------------------------------------------------------------------------


def state(patient: Patient, week: int) -> schedule.State:
    record = worklist.record(Patient.objects.select_related("site").get(pk=patient.pk))
    return next(a.state for a in schedule.visits(record.facts, record.today) if a.number == week)


def test_a_visit_not_done_is_missed_until_its_results_come(
    browser: Client, coordinator: User, sites: dict[str, Site]
) -> None:
    today = clock.today_at(sites["GE"])
    patient = factories.a_patient(site=sites["GE"], recruited_on=today - timedelta(days=40))
    factories.an_infusion(patient, 1, today - timedelta(days=34))
    assert state(patient, 4) is schedule.State.OVERDUE
    place = reverse("patients:mark_not_done", args=[patient.subject_id, 4])

    assert "No cause is chosen" in text(browser.post(place, {"version": "0"}))
    assert "needs a note" in text(browser.post(place, {"why": "other", "version": "0"}))
    refused = browser.post(place, {"why": "nonsense'\"><", "said": "x" * 5000, "version": "x"})
    assert refused.status_code == 422
    done = browser.post(place, {"why": "no_show", "said": "phone off", "version": "0"})
    assert done.status_code == 302
    audit.settle()
    visit = Visit.objects.get(patient=patient, week=4)
    assert (visit.not_done, visit.note, visit.visited_on) == ("no_show", "phone off", None)
    assert state(patient, 4) is schedule.State.MISSED
    page = text(browser.get(url(patient)))
    assert "This visit was not done" in page and "phone off" in page

    # another cause needs a reason
    assert browser.post(place, {"why": "refused", "version": "1"}).status_code == 422
    stale = browser.post(place, {"why": "refused", "version": "0", "reason": "source_checked"})
    assert stale.status_code == 409

    fields = {"visited_on": today.isoformat(), "tbil": "140", "version": "1"}
    fields["confirm_visited_on"] = fields["visited_on"]
    assert browser.post(url(patient), fields).status_code == 422  # taking it back needs a reason too
    assert browser.post(url(patient), fields | {"reason": "source_checked"}).status_code == 302
    audit.settle()
    visit.refresh_from_db()
    assert (visit.not_done, visit.visited_on) == ("", today)
    assert state(patient, 4) is schedule.State.DONE
    assert browser.post(place, {"why": "no_show", "version": "2"}).status_code == 422
