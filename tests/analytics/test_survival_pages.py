"""Survival and models as pages: curves, words where nothing can be said, and files."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from analytics import follow_up, models_reading, survival_reading
from analytics.survival import End
from tests import factories
from trial.models import User
from trial.protocol import Diagnosis, Population

FIRST = date(2024, 1, 15)


def a_subject(
    sites: dict[str, Any], name: str, infusions: int, ends: dict[str, int] | None = None, *, site: str = "GE"
) -> None:
    """A subject with cirrhosis, weekly infusions, labs at weeks 0 and 12, and outcomes by day."""
    patient = factories.a_patient(
        site=sites[site], subject_id=f"{site}-{name}", diagnosis=Diagnosis.CIRRHOSIS,
        recruited_on=FIRST - timedelta(days=7),
    )  # fmt: skip
    for number in range(1, infusions + 1):
        factories.an_infusion(patient, number, FIRST + timedelta(days=7 * (number - 1)))
    ends = ends or {}
    level = 150 + 7 * len(name) + sum(map(ord, name)) % 40
    factories.a_visit(patient, 0, FIRST, tbil=level)
    if not ends or min(ends.values()) > 84:
        factories.a_visit(patient, 12, FIRST + timedelta(days=84), tbil=level - 11 * infusions)
    for kind, day in ends.items():
        factories.an_outcome(patient, kind, FIRST + timedelta(days=day))


@pytest.fixture
def cohort(sites: dict[str, Any]) -> None:
    prolonged: list[dict[str, int]] = [{}, {}, {"death": 60}, {"transplant": 90}, {}]
    for place, ends in enumerate(prolonged):
        a_subject(sites, f"C{place}", 5, ends)
    standard: list[dict[str, int]] = [
        {"death": 10}, {"transplant": 20, "death": 50}, {"lost": 40, "death": 70}, {}, {},
    ]  # fmt: skip
    for place, ends in enumerate(standard):
        a_subject(sites, f"D{place}", 2, ends, site="GS" if place == 4 else "GE")


def page_of(client: Client, name: str, **query: str) -> Any:
    return client.get(reverse(f"analytics:{name}"), query, headers={"HX-Request": "true"})


def test_pages_show_curves_models_rows_and_files(
    cohort: None, statistician: User, data_manager: User, signed_in: Callable[[User], Client]
) -> None:
    who = follow_up.follow(follow_up.courses(), Population.TREATED)
    ended = dict(zip(who.subject_ids, zip(who.days.tolist(), who.ends.tolist(), strict=True), strict=True))
    assert ended["GE-D0"] == (10, End.DIED)
    assert ended["GE-D1"] == (20, End.TRANSPLANTED)
    assert ended["GE-D2"] == (7, End.FOLLOWED), (
        "followed until last seen; a death after the loss is not counted"
    )
    assert ended["GE-C3"] == (90, End.TRANSPLANTED)
    assert ended["GE-C0"] == (84, End.FOLLOWED)
    alive = dict(
        zip(who.subject_ids, zip(who.alive_days.tolist(), who.died.tolist(), strict=True), strict=True)
    )
    assert alive["GE-D1"] == (50, True), "a transplantation does not end survival"
    still = follow_up.follow(follow_up.courses(), Population.LANDMARK)
    assert {"GE-D0", "GE-D1"}.isdisjoint(still.subject_ids)
    assert still.days[still.subject_ids.index("GE-C2")] == 60 - 28

    client = signed_in(statistician)
    frame = client.get(reverse("analytics:survival")).content.decode()
    assert 'hx-trigger="load"' in frame
    sheet = page_of(client, "survival_sheet")
    text = sheet.content.decode()
    assert sheet.status_code == 200
    assert text.count('<svg class="survival"') == 6
    assert text.count("survival-band") == 9, "a curve without events has no band"
    assert "as of revision" in text
    assert "nan" not in text.lower().replace("finance", "")
    assert page_of(client, "survival_sheet", bands="0").content.decode().count("survival-band") == 0
    whole = client.get(reverse("analytics:survival_sheet"))
    assert b"<html" in whole.content and b"results-changed from:body" in whole.content
    panels = sheet.context["kinds"]
    assert panels[0]["sides"][0]["test"]["events"] == [1, 1]
    assert panels[1]["sides"][0]["test"]["events"] == [1, 1]
    assert panels[2]["sides"][0]["test"]["events"] == [1, 2]
    assert "few events" in text

    models = page_of(client, "models_sheet")
    shown = models.content.decode()
    assert models.status_code == 200
    row = next(row for row in models.context["ancova"]["rows"] if row["week"] == 12)
    assert (row["n1"], row["n2"], row["ratio"]) == (4, 2, None)
    assert "at least 3" in row["note"]
    hazards = {row["name"]: row for row in models.context["cox"]["rows"]}
    assert hazards["naive"]["n"] == hazards["time_dependent"]["n"] == 10
    assert hazards["landmark"]["n"] == still.of(("C", "D")).days.size
    assert "effect" not in shown.lower()
    assert "nan" not in shown.lower()

    rows = page_of(client, "survival_rows", side="landmark")
    assert [row["subject_id"] for row in rows.context["rows"]][:2] == ["GE-C0", "GE-C1"]
    for kind, start in (("svg", b"<?xml"), ("pdf", b"%PDF"), ("png", b"\x89PNG")):
        file = client.get(reverse(f"analytics:survival_{kind}"))
        assert file.content.startswith(start)
    told = list(csv.DictReader(io.StringIO(client.get(reverse("analytics:follow_up")).content.decode())))
    assert next(row for row in told if row["subject_id"] == "GE-D1")["end"] == str(int(End.TRANSPLANTED))
    for name in ("survival", "survival_sheet", "survival_svg", "survival_rows", "models", "models_sheet"):
        for query in ({"contrast": "X-Y"}, {"population": "landmark"}, {"population": "everybody"}):
            assert client.get(reverse(f"analytics:{name}"), query).status_code == 404
    assert client.get(reverse("analytics:survival_rows"), {"side": "x"}).status_code == 404


def test_subjects_of_other_sites_are_counted_and_not_named(
    cohort: None, hepatologist: User, signed_in: Callable[[User], Client]
) -> None:
    rows = page_of(signed_in(hepatologist), "survival_rows")
    assert rows.context["elsewhere"] == 1
    assert b"GS-D4" not in rows.content


@pytest.mark.exhaustive
def test_studies_without_enough_say_so(
    sites: dict[str, Any], statistician: User, signed_in: Callable[[User], Client]
) -> None:
    client = signed_in(statistician)

    def looked_at(contrast: str) -> str:
        pages = [page_of(client, name, contrast=contrast) for name in ("survival_sheet", "models_sheet")]
        assert [page.status_code for page in pages] == [200, 200]
        text = "".join(page.content.decode() for page in pages)
        assert "nan" not in text.lower()
        for kind in ("svg", "png"):
            assert (
                client.get(reverse(f"analytics:survival_{kind}"), {"contrast": contrast}).status_code == 200
            )
        return text

    nobody = looked_at("C-D")
    assert "Nobody to follow yet." in nobody
    assert "not estimable" in nobody
    assert "same course" in looked_at("A-C")
    a_subject(sites, "C0", 5)
    alone = looked_at("C-D")
    assert "only one group has subjects" in alone
    a_subject(sites, "D0", 1)
    assert "no events in either group" in looked_at("C-D")
    for place in range(1, 4):
        a_subject(sites, f"D{place}", 3, {"death": 20})
        a_subject(sites, f"C{place}", 5, {"death": 30})
    dead = looked_at("LF-LC")
    assert "only one group has subjects" in dead
    assert "few events" in looked_at("C-D")


def test_reports_hold_what_json_can_hold(cohort: None) -> None:
    import json

    from analytics import frames

    courses = follow_up.courses()
    survival = survival_reading.body(courses, ("C", "D"), Population.TREATED)
    models = models_reading.body(frames.study(codes=["tbil"]), courses, ("C", "D"), Population.TREATED)
    for body in (survival, models):
        json.dumps(body, allow_nan=False)
