"""What programs read: subjects, visits, and the datasets of one revision."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import pytest

from analytics import refresh
from analytics.models import ExportRecord
from tests import factories
from tests.api import BASE, Program, a_token, places, rules
from trial.models import Site, User
from trial.refusals import Refused

pytestmark = pytest.mark.django_db


@pytest.fixture
def program(data_manager: User) -> Program:
    return Program(a_token(data_manager))


@pytest.fixture
def study(sites: dict[str, Site]) -> list[Any]:
    patients = [factories.a_patient(site=sites["GE"], subject_id=f"GE-00{number}") for number in (1, 2, 3)]
    for patient in patients:
        factories.an_infusion(patient, 1)
        factories.a_visit(patient, 0, tbil="171.50", inr="1.8", creatinine="81", alt="61")
        factories.a_visit(patient, 4, tbil="85.5")
    return patients


def pages(program: Program, path: str) -> list[dict[str, Any]]:
    """Follow the links of a listing to its end."""
    found, place = [], path
    while place:
        answer = program.get(place)
        assert answer.status_code == 200, answer.content
        found.append(answer.json())
        link = answer.headers.get("Link", "")
        url = urlsplit(link[1 : link.index(">")]) if link else None
        place = f"{url.path.removeprefix(BASE)}?{url.query}" if url else ""
    return found


def test_a_dataset_is_the_same_page_by_page_and_as_csv(program: Program, study: list[Any]) -> None:
    refresh.refresh()
    for name in ("subjects", "infusions", "labs_long", "labs_wide", "audit", "scores", "cells", "tests"):
        # of the results those of one population are enough
        asked = "population=landmark" if name in ("cells", "tests") else "population="
        whole = program.get(f"/datasets/{name}?{asked}", Accept="text/csv")
        assert whole.headers["Content-Type"].startswith("text/csv")
        expected = list(csv.DictReader(io.StringIO(whole.getvalue().decode())))
        assert expected, name
        limit = min(997, max(2, len(expected) // 2 - 1))
        told = pages(program, f"/datasets/{name}?{asked}&limit={limit}")
        assert len(told) > 1, name
        rows = [row for page in told for row in page["rows"]]
        assert len(rows) == len(expected), name
        for row, line in zip(rows, expected, strict=True):
            assert list(row) == list(line)
            for column, value in row.items():
                assert as_in_csv(value) in (line[column], line[column].removeprefix("'")), (name, column)
        assert {page["revision"] for page in told} == {told[0]["revision"]}
        assert told[0]["code_version"]
    labs = program.get("/datasets/labs_long?limit=1").getvalue().decode()
    assert '"value": 171.5' in labs or '"value":171.5' in labs, "numbers are numbers"


def as_in_csv(value: Any) -> str:
    return (
        ""
        if value is None
        else {True: "t", False: "f"}.get(value, str(value))
        if isinstance(value, bool)
        else str(value)
    )


def test_an_answer_names_its_revision_and_pages_never_mix_two(program: Program, study: list[Any]) -> None:
    first = program.get("/datasets/labs_long?limit=2")
    tag = first.headers["ETag"]
    assert program.get("/datasets/labs_long?limit=2", If_None_Match=tag).status_code == 304
    assert program.get("/datasets/labs_long?limit=3", If_None_Match=tag).status_code == 200
    link = first.headers["Link"]
    place = link[1 : link.index(">")].partition(BASE)[2]
    assert program.get(place).status_code == 200
    factories.a_draw(study[0], tbil="160")
    moved = program.get(place)
    assert moved.status_code == 409
    assert rules(moved) == ["data_moved"]
    assert program.get("/datasets/labs_long?limit=2", If_None_Match=tag).status_code == 200


def test_what_identifies_needs_right_and_purpose_and_is_logged(
    program: Program, data_manager: User, statistician: User, study: list[Any]
) -> None:
    plain = program.get("/datasets/subjects").json()
    assert "birth_date" not in plain["rows"][0]
    for purpose in ("", "&purpose=x", "&purpose=" + "+" * 20):
        answer = program.get(f"/datasets/subjects?identified=true{purpose}")
        assert rules(answer) == ["purpose_needed"], "as on the page: ten letters"
    told = program.get("/datasets/subjects?identified=true&purpose=query+of+the+sponsor").json()
    assert told["rows"][0]["birth_date"] == "1975-05-04"
    kept = ExportRecord.objects.first()
    assert kept is not None
    assert (kept.identified, kept.purpose, kept.rows, kept.format) == (
        True,
        "query of the sponsor",
        {"subjects": 3},
        "json",
    )
    narrow = Program(a_token(data_manager, "datasets:read"))
    refused = narrow.get("/datasets/subjects?identified=true&purpose=query+of+the+sponsor")
    assert (refused.status_code, "datasets:identified" in refused.json()["detail"]) == (403, True)
    assert narrow.get("/datasets/subjects").status_code == 200
    with pytest.raises(Refused):
        a_token(statistician, "datasets:read", "datasets:identified")
    assert ExportRecord.objects.filter(identified=True).count() == 1
    other = Program(a_token(statistician))
    assert other.get("/datasets/subjects?identified=true&purpose=x").status_code == 403
    assert other.get("/datasets/subjects").status_code == 200
    for query, place in (
        ("identified=maybe", "identified"),
        ("population=everybody", "population"),
        ("cursor=x", "cursor"),
        ("limit=-1", "limit"),
        ("colour=red", "colour"),
    ):
        answer = program.get(f"/datasets/subjects?{query}")
        assert answer.status_code == 400, query
        assert places(answer) == [place]
    assert program.get("/datasets/nothing").status_code == 404
    assert program.get("/datasets/subjects", Accept="image/png").status_code == 406


def test_subjects_and_visits_say_what_is_stored(program: Program, study: list[Any]) -> None:
    found = [row["subject"] for page in pages(program, "/subjects?limit=2") for row in page["subjects"]]
    assert found == ["GE-001", "GE-002", "GE-003"]
    assert "birth" not in program.get("/subjects/GE-001").getvalue().decode()
    draw = factories.a_draw(study[0], tbil="160")
    visits = program.get("/subjects/GE-001/visits").json()["visits"]
    assert [visit["week"] for visit in visits] == [0, 4, None]
    one = program.get(f"/visits/{draw.pk}")
    assert one.json() == visits[2]
    assert program.get(f"/visits/{draw.pk}", If_None_Match=one.headers["ETag"]).status_code == 304
    raw = json.loads(program.get("/subjects/GE-001/visits/0/labs").getvalue(), parse_float=Decimal)
    tbil = next(lab for lab in raw["labs"] if lab["analyte"] == "tbil")
    assert (tbil["value"], tbil["unit"], tbil["typed"], tbil["version"]) == (
        Decimal("171.5"),
        "umol/L",
        "171.50",
        1,
    )
    assert program.get("/subjects/GE-001/visits/12/labs").status_code == 404
    assert program.get("/subjects/GE-001/visits/3/labs").status_code == 404
