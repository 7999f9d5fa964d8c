"""Every dataset in every format, read back by other libraries, equals the database cell by cell."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from analytics import refresh
from analytics.datasets import DATASETS, Kind
from analytics.exports import bundle, code_lists, sas_files, spss_files, stata_files, whole_frames, xlsx_files
from analytics.exports.companions import Asked
from analytics.exports.formats import FORMATS, TooLarge
from infusions.models import Infusion
from patients.models import AdverseEvent, LabResult, Patient, Visit
from tests import factories
from tests.analytics import read_back
from trial import protocol

STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "'=", "''+", "\uff1d")
FORMULAS = [
    f"{start}{rest}"
    for start in STARTS
    for rest in ("1+1", 'HYPERLINK("x","y")', "cmd|' /C calc'!A0", "SUM(A1:A9)")
]
"""Forty texts that a spreadsheet may take for a formula."""
NASTY = [
    *FORMULAS,
    "<r>bold</r>", "<v>1</v>&amp;", "_x0041_ and _x000D_", "a\r\nb\rc\nd", 'says "so", then; goes', "  spaces around  ",
    "\ufffe\uffff end", "\x01\x08\x0b\x1f", "\u202ereversed", "汉字与\U0001f9ea", "NULL", "\\N", "NA", "nan", "1e5", "007",
    "2026-03-04", "long " + "胆" * 295,
]  # fmt: skip
"""Texts as people and attackers write them; the last is longer than a variable of SAS."""
VALUES = ["0.1", "17.1", "1234.567891", "0.000001", "49.999999", "700.1", "3.3", "12345.6", "9.87654", "100"]


@pytest.fixture
def nasty(db: None, sites: dict[str, Any]) -> list[Patient]:
    """A small study with whatever is hard to hold: texts, digits, reasons, limits, days long ago."""
    first = date(2024, 1, 15)
    patients = []
    for place in range(12):
        patient = factories.a_patient(
            site=sites["GE"],
            subject_id=f"GE-{place:03d}",
            birth_date=date(1899, 12, 30) if not place else date(1960 + place, 2, 28),
            diagnosis=protocol.Diagnosis.CIRRHOSIS if place % 2 else protocol.Diagnosis.LIVER_FAILURE,
            recruited_on=first - timedelta(days=7),
        )
        for number in range(1, 6 if place % 4 < 2 else 3):
            factories.an_infusion(patient, number, first + timedelta(days=7 * (number - 1)))
        for week in (0, 4):
            factories.a_visit(
                patient, week, first + timedelta(days=7 * week),
                tbil=VALUES[place % 10] if float(VALUES[place % 10]) < 900 else "171.001", inr="1.80", creatinine="90.5",
                alt=str(100 + place) + ".123456",
            )  # fmt: skip
        patients.append(patient)
    texts = iter(NASTY * 2)
    with factories.by_the_software():
        for visit in Visit.objects.order_by("id"):
            Visit.objects.filter(pk=visit.pk).update(note=next(texts))
        for infusion in Infusion.objects.order_by("id"):
            Infusion.objects.filter(pk=infusion.pk).update(reaction=next(texts))
        for place, reason in enumerate(protocol.MISSING_REASONS):
            lab = LabResult.objects.filter(analyte="alt").order_by("id")[place]
            LabResult.objects.filter(pk=lab.pk).update(
                value=None, typed_text="", typed_unit="", missing_reason=reason.code
            )
        LabResult.objects.filter(pk=LabResult.objects.filter(analyte="alt").latest("id").pk).update(
            comparator="<"
        )
        for place, text in enumerate(NASTY):
            AdverseEvent.objects.create(
                patient=patients[place % 12], term=text[:100] if text.strip() else "x", onset_on=first, note=text, grade=1
            )  # fmt: skip
    refresh.refresh()
    return patients


@pytest.mark.parametrize("identified", [True, False], ids=["identified", "de-identified"])
def test_every_dataset_in_every_format_is_the_database_cell_by_cell(
    nasty: list[Patient], tmp_path: Path, identified: bool
) -> None:
    datasets = list(DATASETS.values())
    wrong: list[str] = []
    for form, readers in read_back.READERS.items():
        asked = Asked(form, identified)
        files = bundle.write(tmp_path / form, datasets, identified=identified, format=form)
        for dataset, file in zip(datasets, files, strict=True):
            columns = dataset.shown(identified=identified)
            wanted = read_back.truth(dataset, asked)
            assert file.rows == len(wanted)
            for reader in readers:
                found = reader(file.path, columns)
                wrong += [
                    f"{form} {dataset.name} {reader.__name__}: {what}"
                    for what in read_back.differences(found, wanted, columns, form)
                ]
    assert wrong == []
