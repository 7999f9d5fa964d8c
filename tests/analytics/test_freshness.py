"""What pages say about the results: never current when they are not, and what a revision moved."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from analytics import moved, refresh, selectors
from analytics.cells import all_keys
from analytics.models import Cell, Run
from infusions.models import Infusion
from patients.models import LabResult, Patient
from tests import factories
from tests.analytics.operations import Ward
from trial import audit
from trial.models import User

pytestmark = pytest.mark.django_db

SignIn = Callable[[User], Client]


@pytest.fixture(autouse=True)
def _forget() -> None:
    refresh.forget()


def change(analyte: str = "tbil", week: int = 12, by: str = "1") -> LabResult:
    """Correct one value and return it."""
    result = LabResult.objects.filter(analyte=analyte, visit__week=week, visit__voided_at=None).exclude(
        value=None
    )[0]
    with audit.revision(by=audit.service_account(), reason="typing slip"):
        LabResult.objects.filter(pk=result.pk).update(value=result.value + int(by), typed_text=by)
    audit.settle()
    return result


@pytest.fixture
def ward() -> Ward:
    made = Ward(20, patients=25)
    made.work(120)
    return made


# --- the label ------------------------------------------------------------------------------


def test_states_follow_the_facts(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    # the oldest revision is as old as the test database
    monkeypatch.setattr(selectors, "SOON", timedelta(days=1))
    assert selectors.freshness().state == "waiting"
    assert not selectors.freshness().current
    refresh.refresh()
    now = selectors.freshness()
    assert (now.state, now.behind, now.shown) == ("current", 0, audit.latest_revision())
    change()
    change()
    now = selectors.freshness()
    assert (now.state, now.behind) == ("waiting", 2)

    monkeypatch.setattr(selectors, "SOON", timedelta(0))
    assert selectors.freshness().state == "stopped", "no worker holds the pump's lock"
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [selectors.PUMP])
        assert selectors.freshness().state == "waiting"
        cursor.execute("SELECT pg_advisory_unlock(%s)", [selectors.PUMP])


def test_one_query(ward: Ward, django_assert_num_queries: Any) -> None:
    refresh.refresh()
    with django_assert_num_queries(1):
        selectors.freshness()


@pytest.mark.parametrize(
    ("shown", "event"),
    [("same", False), ("older", True), ("", False), ("junk", False), ("²", False), ("9" * 40, True)],
)
def test_newer_results_call_the_page(
    ward: Ward, statistician: User, signed_in: SignIn, shown: str, event: bool
) -> None:
    refresh.refresh()
    now = selectors.freshness().shown
    asked = {"same": str(now), "older": str(now - 1)}.get(shown, shown)

    response = signed_in(statistician).get(reverse("analytics:freshness"), {"shown": asked})

    assert response.status_code == 200
    assert b"Results current" in response.content
    expected = {"results-changed": {"revision": now}}
    assert json.loads(response.headers.get("HX-Trigger", "null")) == (expected if event else None)


def test_labs_that_a_revision_did_not_touch_are_not_read_again(coordinator: User, signed_in: SignIn) -> None:
    untouched, other = (factories.a_patient(site=coordinator.site) for _n in range(2))
    for patient in (untouched, other):
        factories.a_visit(patient, 0, tbil="40", inr="1.4", creatinine="80")
        audit.settle()
        refresh.refresh()

    page = signed_in(coordinator).get(reverse("patients:labs", args=[untouched.subject_id])).content.decode()

    assert f'data-revision="{selectors.freshness().shown}"' in page


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_freshness_is_only_read(statistician: User, signed_in: SignIn, method: str) -> None:
    assert getattr(signed_in(statistician), method)(reverse("analytics:freshness")).status_code == 405


def test_words_for_every_state(
    ward: Ward, statistician: User, signed_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = signed_in(statistician)

    def words() -> str:
        return " ".join(client.get(reverse("analytics:freshness")).content.decode().split())

    monkeypatch.setattr(selectors, "SOON", timedelta(days=1))
    assert "Results are being computed" in words()
    refresh.refresh()
    assert "Results current" in words()
    change()
    assert "1 change not yet included" in words()
    change()
    assert "2 changes not yet included" in words()
    monkeypatch.setattr(selectors, "SOON", timedelta(0))
    assert "Not recomputed since" in words()
    assert "no worker is running" in words()
    monkeypatch.setattr(refresh.contrasts, "digests", lambda *a: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        refresh.refresh()
    assert "Recomputing fails" in words()
    monkeypatch.undo()
    refresh.refresh()
    Run.objects.update(code_version="0.0.1+older")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [selectors.PUMP])
    assert "Recomputed by a new version" in words()


# --- cells as of a run ----------------------------------------------------------------------


def test_an_older_run_keeps_its_results(ward: Ward) -> None:
    first = refresh.refresh()
    before = selectors.current_cells(population="treated", measure="level", analyte="tbil")
    change()
    second = refresh.refresh()
    assert first
    assert second
    assert second.cells_changed

    assert selectors.current_cells(run=first, population="treated", measure="level", analyte="tbil") == before
    assert selectors.current_cells(population="treated", measure="level", analyte="tbil") != before


def test_adjusted_p_values_come_from_the_whole_family(ward: Ward) -> None:
    refresh.refresh()
    whole = dict(selectors.current_cells())

    for key, result in selectors.cells("treated", "interval", "LF", "LC", "tbil"):
        assert result == whole[key]
    some = [r for r in whole.values() if r.p_value is not None]
    assert some
    assert all(r.p_holm is not None and r.p_bh is not None and r.bh_size >= r.holm_size >= 1 for r in some)
    assert len(whole) == len(all_keys())


def test_no_run_no_cells() -> None:
    assert selectors.current_cells(population="treated") == []
    assert selectors.latest_run() is None


def test_history_of_a_cell(ward: Ward) -> None:
    refresh.refresh()
    change()
    run = refresh.refresh()
    assert run
    cell = Cell.objects.filter(run=run, measure="level", group2="").first()
    assert cell
    key = next(
        k
        for k in all_keys()
        if tuple(k)
        == (
            cell.population,
            cell.measure,
            cell.group1,
            cell.group2,
            cell.analyte,
            cell.week_from,
            cell.week_to,
        )
    )

    past = selectors.history(key)

    assert [entry.revision for entry in past] == sorted({entry.revision for entry in past}, reverse=True)
    assert past[0].run == run.pk
    assert len(past) == 2


@pytest.mark.committed
def test_numbers_and_label_agree_while_a_run_lands() -> None:
    ward = Ward(21)
    ward.work(60)
    refresh.refresh()
    with selectors.one_moment():
        label = selectors.freshness()
        cells = selectors.current_cells(population="treated", measure="level")
        ward_done = threading.Event()

        def meanwhile() -> None:
            try:
                ward.work(10)
                refresh.refresh()
            finally:
                connection.close()
                ward_done.set()

        threading.Thread(target=meanwhile).start()
        assert ward_done.wait(60)
        assert selectors.freshness().shown == label.shown
        assert selectors.current_cells(population="treated", measure="level") == cells
    assert selectors.freshness().shown > label.shown


# --- what a revision moved ------------------------------------------------------------------


def test_a_revision_names_what_it_moved(hepatologist: User, signed_in: SignIn, sites: dict[str, Any]) -> None:
    for place in range(8):
        diagnosis = "liver_failure" if place % 2 else "cirrhosis"
        patient = factories.a_patient(site=sites["GE"], subject_id=f"GE-{place:03}", diagnosis=diagnosis)
        factories.an_infusion(patient, 1)
        factories.a_visit(patient, 12, tbil=f"{20 + 9 * place}", inr="1.4", creatinine="90")
    refresh.refresh()
    result = change("tbil", 12, by="40")
    number = audit.latest_revision()
    pending = moved.by_revision(number, hepatologist)
    assert pending is not None
    assert pending.run is None
    client = signed_in(hepatologist)
    assert "Not in the results yet" in client.get(reverse("analytics:moved", args=[number])).content.decode()
    refresh.refresh()

    found = moved.by_revision(number, hepatologist)

    assert found is not None
    assert found.run is not None
    assert (found.together_with, found.is_first) == (0, False)
    subject = Patient.objects.get(pk=result.patient_id).subject_id
    assert {score.subject_id for score in found.scores} == {subject}
    assert {cell.analyte for cell in found.cells} >= {"tbil", "meld_unos_2002"}
    assert all(
        cell.analyte in {"tbil", "meld_unos_2002", "meld_2001_raw", "meld_na_optn2016", "meld_3_0"}
        for cell in found.cells
    )
    assert all(cell.shows for cell in found.cells)
    page = client.get(reverse("analytics:moved", args=[number]), {"all": "1"}).content.decode()
    assert "as of revision" in page
    for score in found.scores:
        assert score.subject_id in page


def test_what_crossed_comes_first() -> None:
    def cell(before: float | None, after: float | None) -> moved.MovedCell:
        return moved.MovedCell(
            "treated",
            "interval",
            "A",
            "B",
            "alt",
            "U/L",
            0,
            "W4",
            (1.0, before, 1, 0, 2),
            (1.0, after, 1, 0, 2),
        )

    assert cell(0.061, 0.043).crossed
    assert cell(0.05, 0.04999).crossed, "0.05 itself is not below 0.05"
    assert not cell(0.04, 0.03).crossed
    assert not cell(None, 0.03).crossed
    ordered = sorted([cell(0.8, 0.0005), cell(0.051, 0.049)], key=moved.by_interest)
    assert ordered[0].crossed


@pytest.mark.parametrize(
    ("p", "estimate", "shows"),
    [
        pytest.param((0.0001, 0.0002), (6.1, 6.1), False, id="both_below_0.001"),
        pytest.param((0.31, 0.32), (6.1, 6.1), True, id="p"),
        pytest.param((0.3121, 0.3119), (6.04, 6.06), True, id="estimate"),
        pytest.param((0.3121, 0.3119), (6.04, 6.041), False, id="neither"),
        pytest.param((None, 0.3), (None, 6.0), True, id="tested_for_the_first_time"),
    ],
)
def test_what_no_printed_digit_shows_is_only_counted(p: Any, estimate: Any, shows: bool) -> None:
    before, after = ((None, p[i], estimate[i], None, None) for i in (0, 1))

    assert (
        moved.MovedCell("treated", "level", "A", "B", "tbil", "umol/L", 1, "W4", before, after).shows is shows
    )


def test_scores_of_another_site_are_not_shown(
    ward: Ward, hepatologist_elsewhere: User, coordinator: User, statistician: User
) -> None:
    refresh.refresh()
    ward.once(ward.whole_visit)
    patient = Patient.objects.filter(site=coordinator.site).first()
    assert patient
    factories.a_visit(patient, 24, tbil="171.5", inr="1.83", creatinine="101")
    refresh.refresh()
    number = audit.latest_revision()

    elsewhere, here, everywhere = (
        moved.by_revision(number, user) for user in (hepatologist_elsewhere, coordinator, statistician)
    )

    assert elsewhere is not None
    assert elsewhere.scores == ()
    assert here is not None
    assert here.scores
    assert here.cells == (), "a coordinator has no right to the analysis"
    assert everywhere is not None
    assert everywhere.scores == here.scores


@pytest.mark.parametrize("number", [0, 10**12, 2**63, 10**30])
def test_revisions_that_do_not_exist(statistician: User, signed_in: SignIn, number: int) -> None:
    response = signed_in(statistician).get(reverse("analytics:moved", args=[number]))

    assert response.status_code == 404


# --- MELD while typing ----------------------------------------------------------------------


@pytest.fixture
def patient(sites: dict[str, Any]) -> Patient:
    made = factories.a_patient(site=sites["GE"], sex="M")
    with audit.revision(by=audit.service_account(), reason="for a test"):
        Infusion.objects.create(patient=made, number=1, given_on=made.recruited_on + timedelta(days=7))
    audit.settle()
    factories.a_visit(made, 4, tbil="152.8", inr="1.79", creatinine="86")
    refresh.refresh()
    return made


def posted(**typed: str) -> dict[str, str]:
    return {"visited_on": timezone.now().date().isoformat(), **typed}


def text_of(response: Any) -> str:
    return " ".join(response.content.decode().split())


def test_typed_values_make_a_score_that_is_not_saved(
    patient: Patient, coordinator: User, signed_in: SignIn
) -> None:
    before = audit.latest_revision()
    url = reverse("analytics:meld_preview", args=[patient.subject_id])

    response = signed_in(coordinator).post(
        f"{url}?week=12",
        posted(tbil="8.2", unit_tbil="mg/dL", inr="1.68", creatinine="81", unit_creatinine="umol/L"),
    )

    page = text_of(response)
    assert response.status_code == 200
    assert ">20.2<" in page, "7.95 + 5.81 + 0.00 + 6.43"
    assert "81 → 88.4" in page
    assert "floor" in page
    assert "last 21.2" in page
    assert "week 4" in page
    assert audit.latest_revision() == before


def test_a_doubtful_unit_is_named_with_both_scores(
    patient: Patient, coordinator: User, signed_in: SignIn
) -> None:
    url = reverse("analytics:meld_preview", args=[patient.subject_id])

    page = text_of(
        signed_in(coordinator).post(
            f"{url}?week=12", posted(tbil="8.2", unit_tbil="umol/L", inr="1.68", creatinine="81")
        )
    )

    assert "TBIL to confirm" in page
    assert ">12.2<" in page
    assert "As mg/dL the 8.2 of TBIL would give 20.2." in page


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({}, "not computable: TBIL, INR, Creatinine missing"),
        ({"tbil": "171", "inr": "l.8", "creatinine": "80"}, "INR refused: not stored."),
        (
            {"tbil": "171", "inr": "1.8", "missing_creatinine": "haemolysed"},
            "not computable: Creatinine missing",
        ),
    ],
)
def test_what_cannot_be_read_does_not_reach_meld(
    patient: Patient, coordinator: User, signed_in: SignIn, typed: dict[str, str], words: str
) -> None:
    url = reverse("analytics:meld_preview", args=[patient.subject_id])

    assert words in text_of(signed_in(coordinator).post(url, posted(**typed)))


@pytest.mark.parametrize("week", ["", "4", "5", "-1", "²", "9" * 50, "None"])
def test_odd_weeks_are_unscheduled(patient: Patient, coordinator: User, signed_in: SignIn, week: str) -> None:
    url = reverse("analytics:meld_preview", args=[patient.subject_id])

    assert signed_in(coordinator).post(f"{url}?week={week}", posted(tbil="171")).status_code == 200


def test_another_sites_subject_is_absent(
    patient: Patient, coordinator_elsewhere: User, signed_in: SignIn
) -> None:
    url = reverse("analytics:meld_preview", args=[patient.subject_id])

    assert signed_in(coordinator_elsewhere).post(url, {}).status_code == 404
    assert signed_in(coordinator_elsewhere).get(url).status_code == 405
