"""The page of scores: every variant by visit, what was clamped, why not, and summands that add up."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import translation

from analytics import refresh, score_table
from analytics.models import Score
from patients import actions
from patients.actions.grades import confirm_grade
from patients.models import LabResult, Patient, Visit
from tests import factories
from trial import audit, protocol
from trial.models import User

pytestmark = pytest.mark.django_db

FIRST = date(2024, 1, 15)
PANEL = {"tbil": "171", "inr": "2.0", "creatinine": "70", "albumin": "27", "sodium": "130", "alt": "300"}


def test_why_there_is_no_score_is_said_in_the_language_of_the_reader() -> None:
    english = "not computable: INR missing"
    kept = Score(why_not=english, obstacle=["not computable: {inputs} missing", ["inputs", "INR"]])
    with translation.override("zh-hans"):
        assert kept.why_in_words == "无法计算：缺少 INR"
        assert Score(why_not=english).why_in_words == english
    assert kept.why_in_words == english


@pytest.fixture
def patient(sites: dict[str, Any]) -> Patient:
    patient = factories.a_patient(
        site=sites["GE"], subject_id="GE-001", recruited_on=FIRST - timedelta(days=7)
    )
    factories.an_infusion(patient, 1, FIRST)
    factories.a_visit(patient, 0, FIRST, **PANEL)
    factories.a_visit(patient, 4, FIRST + timedelta(days=28), tbil="30", albumin="36", creatinine="400")
    visit = factories.a_visit(patient, 12, FIRST + timedelta(days=84), **PANEL | {"tbil": "400"})
    actions.record_labs(
        visit=visit,
        entries=[],
        findings={"ascites": "moderate", "encephalopathy": "2"},
        by=audit.service_account(),
    )
    factories.settle()
    refresh.refresh()
    return patient


def table(patient: Patient) -> dict[int | None, dict[str, score_table.Scored]]:
    found = score_table.of(patient, first_infusion_on=FIRST)
    return {row.visit.week: {one.column.code: one for one in row.scores} for row in found.rows}


def test_every_score_stands_side_by_side_with_its_parts(patient: Patient) -> None:
    by_week = table(patient)
    assert list(by_week) == [0, 4, 12]
    assert [column.code for column in score_table.COLUMNS] == [*protocol.SCORE_AT, "child_pugh", "albi"]
    assert [c.code for c in score_table.COLUMNS if c.is_default] == [protocol.DEFAULT_SCORE]

    # 9.57 ln 1 + 3.78 ln 10 + 11.20 ln 2 + 6.43
    meld = by_week[0]["meld_unos_2002"]
    assert meld.value == pytest.approx(Decimal("22.897"), abs=Decimal("0.001"))
    assert meld.whole == 23
    (clamped,) = meld.replaced
    assert (clamped.label, clamped.measured, clamped.note) == (
        "Creatinine",
        70,
        "raised to the floor of 88.4",
    )
    assert clamped.used == "1.000 mg/dL"
    raw = by_week[0]["meld_2001_raw"]
    assert raw.value is not None and raw.value < meld.value and not raw.replaced
    for scored in by_week[0].values():
        if scored.value is not None:
            total = sum(summand.points for summand in scored.summands)
            assert total == pytest.approx(scored.value, abs=Decimal("1e-6")), scored.column.code

    assert by_week[4]["meld_unos_2002"].why_not == "not computable: INR missing"
    assert by_week[4]["child_pugh"].why_not == (
        "not computable: INR missing; ascites not recorded; encephalopathy not recorded"
    )
    albi = by_week[4]["albi"]
    assert albi.value is not None and (f"{albi.value:.2f}", albi.grade) == ("-2.09", "2")
    pugh = by_week[12]["child_pugh"]
    assert (pugh.whole, pugh.grade) == (12, "C")
    assert [summand.points for summand in pugh.summands] == [3, 3, 2, 2, 2]
    assert by_week[0]["child_pugh"].why_not == (
        "not computable: ascites not recorded; encephalopathy not recorded"
    )


def test_dialysis_and_what_is_no_longer_true(patient: Patient, sites: dict[str, Any]) -> None:
    drawn = FIRST + timedelta(days=84)
    for days in (1, 3):
        day = drawn - timedelta(days=days)
        factories.a_treatment(patient, kind="dialysis", started_on=day, ended_on=day)
    factories.settle()
    refresh.refresh()
    scored = table(patient)[12]["meld_unos_2002"]
    assert [one.note for one in scored.replaced] == ["set to 353.6 because of dialysis"]
    assert sum(s.points for s in scored.summands) == pytest.approx(scored.value, abs=Decimal("1e-6"))
    # the sex moves MELD 3.0: until the next run the stored score is not the sum of today's terms
    other = "M" if patient.sex == "F" else "F"
    patient.sex = other
    assert table(patient)[12]["meld_3_0"].summands == ()
    assert table(patient)[12]["meld_unos_2002"].summands


def test_the_page(
    patient: Patient, hepatologist: User, coordinator: User, signed_in: Callable[[User], Client]
) -> None:
    result = LabResult.objects.get(patient=patient, visit__week=12, analyte="tbil")
    confirm_grade(
        result=result, grade=4, by=hepatologist, version=result.version, reason="seen at the bedside"
    )
    factories.settle()
    browser, url = signed_in(hepatologist), reverse("analytics:scores", args=["GE-001"])
    with CaptureQueriesContext(
        connection,
    ) as few:
        page = browser.get(url).content.decode()
    assert "Creatinine 70 raised to the floor of 88.4" in page
    assert "study default" in page and "class C" in page
    assert 'aria-current="page">Scores' in page
    assert "before the first infusion, not graded" in page
    assert "confirmed" in page and "proposed" in page
    assert reverse("analytics:value", args=["GE-001", 0, "meld_unos_2002"]) in page
    assert reverse("patients:value_history", args=["GE-001", 0, "tbil"]) in page
    for week in (1, 24):
        factories.a_visit(patient, week, FIRST + timedelta(days=7 * week), **PANEL)
    factories.a_draw(
        patient, FIRST + timedelta(days=60), tbil="0.5", inr="1.1", creatinine="80", albumin="40"
    )
    page = browser.get(url).content.decode()
    assert "not computed yet" in page, "the last run does not know these visits"
    refresh.refresh()
    with CaptureQueriesContext(connection) as many:
        page = browser.get(url).content.decode()
    assert "How this draw is worked out" in page
    assert len(many) <= len(few) + 2


def test_a_subject_without_visits_and_one_of_another_site(
    sites: dict[str, Any], coordinator: User, signed_in: Callable[[User], Client]
) -> None:
    factories.a_patient(site=sites["GE"], subject_id="GE-002")
    factories.a_patient(site=sites["GS"], subject_id="GS-002")
    browser = signed_in(coordinator)
    page = browser.get(reverse("analytics:scores", args=["GE-002"]))
    assert page.status_code == 200 and "No visit yet, so no score." in page.content.decode()
    assert browser.get(reverse("analytics:scores", args=["GS-002"])).status_code == 404
    # a visit that is there without a single value
    patient = Patient.objects.get(subject_id="GE-002")
    with factories.by_the_software():
        Visit.objects.create(patient=patient, week=0, visited_on=FIRST)
    page = browser.get(reverse("analytics:scores", args=["GE-002"])).content.decode()
    assert "not computable: TBIL, Albumin missing" in page
