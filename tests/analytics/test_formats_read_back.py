"""The demonstration study and a real cohort, whole, in every format: other programs find the database there.

The short form, with texts and digits that are hard to hold, is in test_export_formats.py and
test_cdisc.py; here every dataset goes into every format, all rows, results and trail included.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from django.core.management import call_command

from analytics.datasets import DATASETS, Dataset
from analytics.exports import bundle, odm_design
from analytics.exports.asked import Asked
from analytics.exports.formats import FORMATS
from tests.analytics import cdisc_files, read_back
from tests.analytics.test_pbcseq import import_everything
from trial import audit

pytestmark = [
    pytest.mark.exhaustive,
    pytest.mark.committed,
    pytest.mark.slow,
    pytest.mark.timeout(1800),
]

LEAST = 100_000
"""Cells that a format holds of either study, at least."""


@pytest.fixture(params=["demonstration", "pbcseq"])
def study(request: pytest.FixtureRequest, db: None, tmp_path: Path) -> str:
    if request.param == "demonstration":
        call_command("seed_demo", seed=1, today=date(2026, 3, 2), stdout=io.StringIO(), stderr=io.StringIO())
        audit.settle()
    else:
        import_everything(tmp_path)
    call_command("refresh", stdout=io.StringIO(), stderr=io.StringIO())
    return str(request.param)


def test_every_format_holds_the_whole_study(study: str, tmp_path: Path) -> None:
    compared: Counter[str] = Counter()
    wrong: list[str] = []
    for identified in (False, True):
        # what is the same in both is read once
        datasets = [
            dataset
            for dataset in DATASETS.values()
            if not identified or dataset.shown(identified=True) != dataset.shown(identified=False)
        ]
        for dataset in datasets:
            wrong += differences_of(dataset, tmp_path, compared, identified=identified)
        compared["odm"] += hold_odm(datasets, tmp_path, identified=identified)
    print(f"{study}: cells read back alike: {dict(compared)}")
    assert wrong[:20] == []
    assert min(compared.values()) > LEAST, compared


def differences_of(
    dataset: Dataset, directory: Path, compared: Counter[str], *, identified: bool
) -> list[str]:
    """Write a dataset in every format that has a file of its own for it, and read each with each reader."""
    wrong: list[str] = []
    asked = Asked(identified=identified)
    columns = dataset.shown(identified=identified)
    truth = read_back.truth(dataset, asked)
    table = bundle.table_of(dataset, asked)
    if not dataset.source:
        table = replace(table, rows=lambda: truth)
    for form, readers in read_back.READERS.items():
        path = directory / f"{dataset.name}.{FORMATS[form].extension}"
        assert bundle.write_table(path, table, FORMATS[form]).rows == len(truth)
        # ReadStat wrote .sav: where PSPP reads it, its own reading adds nothing
        for reader in readers[1:] if readers[-1] is read_back.read_pspp else readers:
            had = read_back.with_short_line_ends(truth) if reader is read_back.read_pspp else truth
            found = reader(path, columns)
            wrong += [
                f"{form} {dataset.name} {reader.__name__}: {what}"
                for what in read_back.differences(found, had, columns, form)
            ]
            compared[reader.__name__.removeprefix("read_")] += len(truth) * len(columns)
        path.unlink()
    want = cdisc_files.wanted(dataset, asked)
    for form, hold in (
        ("dataset-json", cdisc_files.hold_dataset_json),
        ("dataset-ndjson", cdisc_files.hold_dataset_lines),
    ):
        path = directory / f"{dataset.name}.{FORMATS[form].extension}"
        assert bundle.write_table(path, table, FORMATS[form]).rows == len(truth)
        hold(path, dataset, want, identified=identified)
        compared[form] += len(truth) * len(columns)
        path.unlink()
    return wrong


def hold_odm(datasets: Sequence[Dataset], directory: Path, *, identified: bool) -> int:
    captured = [dataset for dataset in datasets if dataset.name in odm_design.CAPTURED]
    files = bundle.write(directory / "odm", captured, identified=identified, format="odm")
    return cdisc_files.hold_odm(files, Asked("odm", identified))
