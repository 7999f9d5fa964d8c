"""The CDISC formats keep to their schemas, and other readers find the database in them, cell by cell."""

from __future__ import annotations

import csv
import json
import re
from datetime import timedelta
from pathlib import Path

import pytest
from lxml import etree

from analytics.datasets import DATASETS, RESULTS
from analytics.exports import bundle, codebook, odm_design
from analytics.exports.asked import Asked
from analytics.exports.formats import TooLarge
from patients import actions
from patients.entries import AnswerEntry
from patients.models import Patient
from tests import factories
from tests.analytics import cdisc_files
from tests.analytics.test_export_formats import nasty  # noqa: F401
from trial import audit, protocol

pytestmark = pytest.mark.django_db


@pytest.fixture
def study(nasty: list[Patient]) -> list[Patient]:  # noqa: F811
    """The small study whose values are hard to hold, with draws, events and ends besides."""
    subject, other = nasty[9], nasty[2]
    first = subject.infusions.earliest("given_on").given_on
    for days in (45, 50):
        factories.a_draw(subject, first + timedelta(days=days), tbil="12.3", alt="1e2")
    factories.an_event(subject, "Fieber <38.5> & 'Kälte' 发热", 2)
    factories.an_event(subject, "Fever", 3)
    factories.a_treatment(subject, "plasma", first + timedelta(days=1), agent="-1+1")
    factories.an_outcome(other, "death", first + timedelta(days=100))
    passing = {criterion.code: AnswerEntry(criterion.passes) for criterion in protocol.CRITERIA}
    for days in (20, 9):
        actions.record_screening(
            patient=subject,
            screened_on=first - timedelta(days=days),
            answers=passing,
            by=audit.service_account(),
        )
        factories.settle()
    return nasty


def test_the_cdisc_formats_and_the_codebook_say_what_the_database_says(
    study: list[Patient], tmp_path: Path
) -> None:
    _dataset_json_is_valid_and_is_the_database(tmp_path / "json")
    _odm_is_valid_and_is_the_database(tmp_path / "odm")
    _the_codebook_describes_every_column_of_an_export(tmp_path / "csv")


def _dataset_json_is_valid_and_is_the_database(tmp_path: Path) -> None:
    for identified in (False, True):
        # results are the same in both
        datasets = [each for name, each in DATASETS.items() if not identified or name not in RESULTS]
        wholes, lines = (
            bundle.write(tmp_path / f"{form}{identified}", datasets, identified=identified, format=form)
            for form in ("dataset-json", "dataset-ndjson")
        )
        for dataset, whole, line in zip(datasets, wholes, lines, strict=True):
            want = cdisc_files.wanted(dataset, Asked(identified=identified))
            assert whole.rows == line.rows == len(want)
            cdisc_files.hold_dataset_json(whole.path, dataset, want, identified=identified)
            cdisc_files.hold_dataset_lines(line.path, dataset, want, identified=identified)
    few = [DATASETS[name] for name in ("subjects", "adlb")]
    first, again = (bundle.write(tmp_path / name, few, format="dataset-json") for name in ("first", "again"))
    assert [file.sha256 for file in again] == [file.sha256 for file in first]


def _odm_is_valid_and_is_the_database(tmp_path: Path) -> None:
    for identified in (False, True):
        datasets = [DATASETS[name] for name in (*odm_design.CAPTURED, "labs_wide")]
        files = bundle.write(tmp_path, datasets, identified=identified, format="odm")
        assert all(file.rows for file in files[:-1])
        cdisc_files.hold_odm(files, Asked("odm", identified))
        path = files[0].path
        assert bool(re.search(r'Value="\d{4}-\d\d-\d\d', path.read_text())) == identified
        before = path.read_bytes()
        bundle.write(tmp_path, datasets, identified=identified, format="odm")
        assert path.read_bytes() == before
    with pytest.raises(TooLarge, match="subjects"):
        bundle.write(tmp_path, [DATASETS["cells"]], format="odm")
    few = bundle.write(tmp_path / "few", [DATASETS["labs_long"]], format="odm", population="treated")
    cdisc_files.valid_odm(few[0].path)


def _the_codebook_describes_every_column_of_an_export(tmp_path: Path) -> None:
    tmp_path.mkdir()
    for identified in (False, True):
        codebook.write(tmp_path, list(DATASETS.values()), Asked(identified=identified))
        with (tmp_path / codebook.TABLE).open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        assert [(row["dataset"], row["column"]) for row in rows] == [
            (name, column.name)
            for name, dataset in DATASETS.items()
            for column in dataset.shown(identified=identified)
        ]
        assert all(row["label"] and row["kind"] for row in rows)
        of = {(row["dataset"], row["column"]): row for row in rows}
        assert of["subjects", "sex"]["codes"] == "F = female; M = male"
        assert of["subjects", "sex"]["codes_zh"] == "F = 女; M = 男"
        assert of["labs_wide", "tbil"]["unit"] == "umol/L"
        assert "tbil_missing" in of["labs_wide", "tbil"]["missing"]
        page = (tmp_path / codebook.PAGE).read_text()
        assert not re.search(r"<script|<link|url\(|https?:", page)
        tree = etree.HTML(page)
        assert len(tree.xpath("//tbody/tr")) == len(rows)
        assert {f"#{name}" for name in DATASETS} < set(tree.xpath("//nav//a/@href"))
    bundle.write(tmp_path, [DATASETS["subjects"]], format="csv")
    named = {each["file"] for each in json.loads((tmp_path / "manifest.json").read_text())["companions"]}
    assert {codebook.PAGE, codebook.TABLE} <= named
