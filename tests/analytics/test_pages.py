"""Trend, contrast, rows and export as their users meet them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from analytics import frames, refresh, trend_group
from patients.models import LabResult, Patient
from tests import factories
from trial.models import User
from trial.protocol import Diagnosis

FIRST = date(2024, 1, 15)
TBIL_C = (150, 171, 188, 205, 222)
TBIL_D = (140, 160, 175, 190, 207)


def a_cohort(sites: dict[str, Any]) -> list[Patient]:
    """Return five subjects in group C and five in group D, each with weeks 0 and 4."""
    cohort = []
    for letter, levels, infusions in (("C", TBIL_C, 5), ("D", TBIL_D, 2)):
        for place, tbil in enumerate(levels):
            patient = factories.a_patient(
                site=sites["GE"],
                subject_id=f"GE-{letter}{place}",
                diagnosis=Diagnosis.CIRRHOSIS,
                recruited_on=FIRST - timedelta(days=7),
            )
            for number in range(1, infusions + 1):
                factories.an_infusion(patient, number, FIRST + timedelta(days=7 * (number - 1)))
            factories.a_visit(patient, 0, FIRST, tbil=tbil, inr="1.8", creatinine="90", alt=200 + place)
            later = tbil - (60 if letter == "C" else 20) - place
            factories.a_visit(
                patient, 4, FIRST + timedelta(days=28), tbil=later, inr="1.4", creatinine="85", alt=80
            )
            cohort.append(patient)
    refresh.refresh()
    return cohort


@pytest.fixture
def cohort(sites: dict[str, Any]) -> list[Patient]:
    return a_cohort(sites)


def test_the_trend_draws_values_meld_and_infusions(
    cohort: list[Patient], hepatologist: User, signed_in: Callable[[User], Client]
) -> None:
    page = signed_in(hepatologist).get(reverse("analytics:trend", args=["GE-C0"]))
    text = page.content.decode()
    assert page.status_code == 200
    assert text.count('class="trend-strip"') == 7
    assert text.count('class="infusion infusion-given"') == 5
    assert text.count('class="trend-draw"') == 2
    assert "150" in text
    assert "MELD" in text
    figure = page.context["page"].figure
    meld = figure.strips[-1]
    assert len(meld.dots) == 2
    assert figure.strips[0].ribbon, "five subjects of group C make a ribbon"


@pytest.mark.parametrize(
    "query",
    [
        "log=1&whole=1&dates=1",
        *(
            pytest.param(switches, marks=pytest.mark.exhaustive)
            for switches in (
                "log=1",
                "relative=1",
                "whole=1&dates=1",
                "bare=1&unbanded=1&scheduled=1",
                "log=yes&relative=1&log=1",
            )
        ),
    ],
)
def test_every_switch_of_the_trend_draws(
    query: str, cohort: list[Patient], hepatologist: User, signed_in: Callable[[User], Client]
) -> None:
    page = signed_in(hepatologist).get(reverse("analytics:trend", args=["GE-D1"]) + "?" + query)
    assert page.status_code == 200
    assert len(page.context["page"].figure.strips[0].dots) == 2


def test_the_trend_says_the_same_without_pointing_and_within_its_queries(
    cohort: list[Patient],
    hepatologist: User,
    signed_in: Callable[[User], Client],
    django_assert_max_num_queries: Any,
) -> None:
    subject = cohort[0]
    factories.a_treatment(subject, kind="plasma", started_on=FIRST + timedelta(days=40), dose="400 mL")
    factories.an_event(subject, onset_on=FIRST + timedelta(days=34))
    factories.a_draw(subject, FIRST + timedelta(days=41), tbil="77")
    factories.an_outcome(subject, kind="transplant", happened_on=FIRST + timedelta(days=60))
    factories.a_visit(subject, 12, FIRST + timedelta(days=84), tbil="60")
    with factories.by_the_software():
        LabResult.objects.filter(visit__patient=subject, analyte="alt", visit__week=0).update(
            typed_unit="stone"
        )
    browser = signed_in(hepatologist)
    address = reverse("analytics:trend", args=[subject.subject_id])
    browser.get(address)
    with django_assert_max_num_queries(45):
        answer = browser.get(address)
    page, text = answer.context["page"], answer.content.decode()
    tbil, alt = page.figure.strips[0], page.figure.strips[1]
    assert [dot.shape for dot in tbil.dots] == ["dot", "dot", "hollow", "out"]
    assert tbil.last == "77", "the latest value is one that counts"
    assert len(alt.dots) == 1, "a value in an unknown unit is not drawn"
    assert "stone" in alt.refused
    assert "stone" in text
    said = " ".join(each.words for each in page.happenings)
    assert "400 mL" in said
    assert "6 d after infusion 5" in said
    assert "plasma 400 mL" in [item.label for item in page.figure.lanes[0].items]
    assert "after transplant, not analysed" in text
    (drawn,) = [draw for draw in page.figure.draws if draw.label == "week 4"]
    assert "typed 90 " in drawn.cells[0].words
    assert "revision" in drawn.cells[0].words
    assert "creatinine" in drawn.cells[-1].words.lower(), "the score names what went in and what was clamped"
    history = reverse("patients:history", args=[subject.subject_id])
    assert f'{history}?revision={page.rows[0].values[0].revision}"' in text
    assert browser.get(address, {"scheduled": "1"}).context["page"].hidden == 1


def test_the_shares_of_the_group_are_those_of_its_subjects(
    cohort: list[Patient], hepatologist: User, signed_in: Callable[[User], Client]
) -> None:
    address = reverse("analytics:trend", args=["GE-C0"])
    page = signed_in(hepatologist).get(address, {"relative": "1"}).context["page"]
    points = trend_group.share_points(frames.study(), "C")["tbil"]
    shares = sorted(100 * (1 - Decimal(60 + place) / level) for place, level in enumerate(TBIL_C))
    assert [(point[0], point[4]) for point in points] == [(0, 5), (28, 5)]
    assert points[0][1:4] == (100, 100, 100)
    assert points[1][2] == pytest.approx(float(shares[2]), abs=1e-6)
    assert (page.group_from, page.group_n) == (5, 5)
    assert page.figure.strips[0].ribbon
    assert trend_group.share_points(frames.study(), "A") == {}, "nobody makes no quartiles"


def test_nobody_has_a_group_behind_him_before_the_first_infusion(
    cohort: list[Patient], hepatologist: User, signed_in: Callable[[User], Client]
) -> None:
    waiting = factories.a_patient(site=cohort[0].site, subject_id="GE-900", diagnosis=Diagnosis.CIRRHOSIS)
    factories.a_visit(waiting, 0, FIRST, tbil="90")
    browser = signed_in(hepatologist)
    for query in ({}, {"relative": "1"}):
        answer = browser.get(reverse("analytics:trend", args=["GE-900"]), query)
        assert (answer.context["page"].group, answer.context["page"].group_n) == ("", 0)
        assert "no group to compare with" in answer.content.decode()


def test_the_trend_leaves_as_a_file_that_is_the_same_twice(
    cohort: list[Patient], sites: dict[str, Any], hepatologist: User, signed_in: Callable[[User], Client]
) -> None:
    factories.a_patient(site=sites["GE"], subject_id="GE-NEW")
    factories.a_treatment(cohort[0], kind="other", agent="复方甘草酸苷 $x$", dose="40 mL")
    browser = signed_in(hepatologist)
    for name, start in (("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")):
        address = reverse(f"analytics:trend_{name}", args=["GE-C0"])
        made = browser.get(address, {"log": "1"})
        assert made.content.startswith(start)
        assert f'.{name}"' in made["Content-Disposition"]
        assert made["Content-Disposition"].isascii()
    assert browser.get(address, {"log": "1"}).content == made.content
    assert browser.get(reverse("analytics:trend_svg", args=["GE-NEW"])).status_code == 200


def test_a_subject_without_values_is_told_what_comes_next(
    sites: dict[str, Any], hepatologist: User, signed_in: Callable[[User], Client]
) -> None:
    factories.a_patient(site=sites["GE"], subject_id="GE-NEW")
    page = signed_in(hepatologist).get(reverse("analytics:trend", args=["GE-NEW"]))
    assert page.status_code == 200
    assert page.context["page"].figure is None
    assert "Nothing measured yet." in page.content.decode()


def test_the_contrast_shows_what_was_computed_and_from_which_revision(
    cohort: list[Patient], statistician: User, signed_in: Callable[[User], Client]
) -> None:
    run = refresh.refresh()
    address = reverse("analytics:contrast", args=["C-D", "tbil", "cumulative"])
    page = signed_in(statistician).get(address)
    shown = {row.label: row for row in page.context["page"].rows}
    week4 = shown["W0\N{EN DASH}4"]
    assert [group.n for group in week4.groups] == [5, 5]
    assert [group.median for group in week4.groups] == [62, 22]
    assert week4.estimate == pytest.approx(40)
    assert week4.p_value is not None
    assert week4.p_value < 0.05
    assert sum(len(box.dots) for box in week4.boxes) == 10
    assert f"as of revision {run.revision}" in page.content.decode()
    assert shown["W0\N{EN DASH}24"].note, "no value at week 24, and the row says so"


def test_a_moved_p_value_is_told_with_its_revision(
    cohort: list[Patient], statistician: User, signed_in: Callable[[User], Client]
) -> None:
    factories.a_visit(cohort[0], 4, FIRST + timedelta(days=28), tbil="149")
    run = refresh.refresh()
    page = signed_in(statistician).get(reverse("analytics:contrast", args=["C-D", "tbil", "cumulative"]))
    moves = page.context["page"].moves
    assert moves[0].revision == run.revision
    assert moves[0].label == "W0\N{EN DASH}4"
    assert moves[0].before != moves[0].after


def test_rows_behind_a_number_are_its_subjects(
    cohort: list[Patient], statistician: User, signed_in: Callable[[User], Client]
) -> None:
    key = {
        "population": "treated", "measure": "cumulative", "group1": "C", "group2": "D",
        "analyte": "tbil", "week_from": 0, "week_to": 4,
    }  # fmt: skip
    page = signed_in(statistician).get(reverse("analytics:rows"), key)
    rows = page.context["rows"]
    assert [row.subject_id for row in rows[:5]] == [f"GE-C{place}" for place in range(5)]
    assert [row.value for row in rows[:5]] == [60, 61, 62, 63, 64]
    assert (
        signed_in(statistician).get(reverse("analytics:rows"), {**key, "analyte": "gold"}).status_code == 404
    )


def test_coordinators_see_no_analysis(coordinator: User, signed_in: Callable[[User], Client]) -> None:
    assert (
        signed_in(coordinator).get(reverse("analytics:contrast", args=["C-D", "tbil", "level"])).status_code
        == 403
    )


# --- exports --------------------------------------------------------------------------------


def exported(name: str, **wanted: Any) -> list[dict[str, str]]:
    from analytics.exports import bundle

    (dataset,) = bundle.chosen([name])
    bundle.bring_up_to_date([dataset])
    text = b"".join(bundle.blocks(dataset, **wanted)).decode()
    return list(csv.DictReader(io.StringIO(text)))


def test_exports_hold_every_row_and_exact_values(cohort: list[Patient]) -> None:
    assert len(exported("subjects")) == 10
    assert len(exported("infusions")) == 35
    assert len(exported("labs_long")) == 80
    wide = exported("labs_wide")
    assert len(wide) == 20
    assert {row["tbil"] for row in wide if row["week"] == "0"} == {str(v) for v in (*TBIL_C, *TBIL_D)}
    scores = exported("scores")
    assert {row["score"] for row in scores if row["value"]} == {"meld_unos_2002", "meld_2001_raw"}
    assert all(row["why_not"] for row in scores if not row["value"])


def test_the_default_export_identifies_nobody(cohort: list[Patient]) -> None:
    for name in ("subjects", "infusions", "labs_long", "labs_wide", "scores", "audit"):
        text = "\n".join(",".join(row.values()) for row in exported(name))
        assert "2024-" not in text, f"{name} holds a date"
    days = {row["given_day"] for row in exported("infusions")}
    assert days == {"0", "7", "14", "21", "28"}
    assert {row["given_on"] for row in exported("infusions", identified=True)} >= {"2024-01-15"}


def test_ages_over_89_are_pooled(sites: dict[str, Any]) -> None:
    factories.a_patient(site=sites["GE"], subject_id="GE-OLD", age=Decimal("93.5"))
    assert [row["age"] for row in exported("subjects")] == ["90"]
    assert [row["age"] for row in exported("subjects", identified=True)] == ["93.5"]


def test_a_population_keeps_its_subjects(cohort: list[Patient], sites: dict[str, Any]) -> None:
    factories.a_patient(site=sites["GE"], subject_id="GE-NONE")
    assert len(exported("subjects")) == 11
    assert len(exported("subjects", population="treated")) == 10
    assert {row["population"] for row in exported("cells", population="treated")} == {"treated"}


def test_memberships_of_the_export_are_those_of_the_analysis(
    cohort: list[Patient], sites: dict[str, Any]
) -> None:
    from analytics import frames

    study = frames.study()
    told = {row["subject_id"]: row for row in exported("subjects")}
    for place, subject in enumerate(study.subject_ids):
        for population in ("eligible", "treated", "landmark"):
            assert (told[subject][population] == "t") == bool(getattr(study, population)[place]), (
                subject,
                population,
            )


def test_results_say_the_revision_they_are_valid_for(cohort: list[Patient]) -> None:
    factories.a_visit(cohort[1], 4, FIRST + timedelta(days=28), tbil="100")
    rows = exported("cells", population="treated")
    from trial import audit

    assert {row["revision"] for row in rows} == {str(audit.latest_revision())}


def test_formulas_in_text_are_disarmed(sites: dict[str, Any], coordinator: User) -> None:
    patient = factories.a_patient(site=sites["GE"], subject_id="GE-F")
    factories.an_infusion(patient, 1, reaction="=HYPERLINK(1)")
    assert [row["reaction"] for row in exported("infusions", identified=True)] == ["'=HYPERLINK(1)"]


@pytest.mark.committed
def test_an_export_has_a_manifest_that_is_true(tmp_path: Any, sites: dict[str, Any]) -> None:
    import hashlib
    import json

    from django.core.management import call_command

    a_cohort(sites)
    call_command("export", "subjects", "cells", out=str(tmp_path))
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert [file["file"] for file in manifest["files"]] == ["subjects.csv", "cells.csv"]
    for file in manifest["files"]:
        content = (tmp_path / file["file"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == file["sha256"]
        rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
        assert len(rows) == file["rows"]
        assert [column["name"] for column in file["columns"]] == list(rows[0])
    assert manifest["data_revision"] == manifest["results_revision"]
    assert manifest["identified"] is False
