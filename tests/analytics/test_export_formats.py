"""Every dataset in every format, read back by other libraries, equals the database cell by cell."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pyreadstat
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.urls import reverse

from analytics import refresh
from analytics.datasets import DATASETS, RESULTS, Column, Dataset, Kind
from analytics.exports import (
    bundle,
    code_lists,
    sas_files,
    spss_files,
    stata_files,
    taken,
    whole_frames,
    xlsx_files,
)
from analytics.exports.asked import Asked
from analytics.exports.formats import FORMATS, TooLarge
from analytics.exports.tables import Table
from analytics.models import ExportRecord
from infusions.models import Infusion
from patients.models import AdverseEvent, LabResult, Patient, PatientIdentity, Visit
from tests import factories, processes
from tests.analytics import read_back
from trial import jobs, protocol
from trial.models import User

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


def test_every_dataset_in_every_format_is_the_database_cell_by_cell(
    nasty: list[Patient], tmp_path: Path
) -> None:
    """One study for all of it: making it costs more than looking at it."""
    wrong: list[str] = []
    for identified in (True, False):
        for form in read_back.READERS:
            folder = tmp_path / f"{form}{identified}"
            # what is the same in both is read once
            datasets = [
                dataset
                for dataset in DATASETS.values()
                if dataset.source and (identified or dataset.shown(identified=True) != dataset.columns)
            ]
            files = bundle.write(folder, datasets, identified=identified, format=form)
            for dataset, file in zip(datasets, files, strict=True):
                wanted = read_back.truth(dataset, Asked(identified=identified))
                assert file.rows == len(wanted)
                wrong += read_back.all_differences(file.path, dataset, wanted, form, identified=identified)
    wrong += results_in_every_format(tmp_path)
    assert wrong[:20] == []
    labels_and_reasons(tmp_path)
    a_population_is_its_subjects_everywhere(nasty)
    no_identifier_is_in_a_de_identified_export_of_any_format(nasty, tmp_path / "canaries")
    processes.program(
        "pspp-convert", package="pspp"
    )  # every other reader agreed; .sav needs another than its writer
    user_missing_in_pspp(tmp_path / "savTrue" / "labs_wide.sav", tmp_path)


@pytest.mark.django_db
def test_a_study_without_a_patient_goes_out_in_every_format(tmp_path: Path) -> None:
    """On its first day a study has every dataset and no row in most of them."""
    datasets = [dataset for dataset in DATASETS.values() if dataset.source]
    for form in FORMATS:
        files = bundle.write(tmp_path / form, datasets, identified=True, format=form)
        assert files
        for file in files if form in read_back.READERS else ():
            dataset = DATASETS[file.path.stem]
            rows = read_back.READERS[form][0](file.path, dataset.shown(identified=True))
            assert len(rows) == file.rows, (form, dataset.name)
            assert file.rows == 0 or dataset.name == "audit"


def results_in_every_format(directory: Path) -> list[str]:
    """Compare some rows of the results: there are thousands, all made by the same few lines."""
    wrong: list[str] = []
    for name in RESULTS:
        table = bundle.table_of(DATASETS[name], Asked())
        rows = list(table.rows())[::11]
        assert len(rows) > 40
        for form in read_back.READERS:
            path = directory / f"{form}True" / f"{name}.{FORMATS[form].extension}"
            bundle.write_table(path, replace(table, rows=lambda rows=rows: rows), FORMATS[form])  # type: ignore[misc]
            if form == "csv":  # which asks for the rows itself
                continue
            wrong += read_back.all_differences(
                path, DATASETS[name], [list(row) for row in rows], form, identified=True
            )
    return wrong


def a_population_is_its_subjects_everywhere(patients: list[Patient]) -> None:
    factories.a_patient(site=patients[0].site, subject_id="GE-900")
    asked = Asked(identified=True, population="treated")
    treated = {row[0] for row in read_back.truth(DATASETS["subjects"], asked)}
    assert treated == {patient.subject_id for patient in patients}, "and not who was never treated"
    for dataset in DATASETS.values():
        rows = read_back.truth(dataset, asked)
        assert len(rows) == bundle.table_of(dataset, asked).count(), dataset.name
        names = [column.name for column in dataset.shown(identified=True)]
        if dataset.source:
            place = names.index("subject_id" if "subject_id" in names else "SUBJID")
            assert {row[place] for row in rows} <= treated, dataset.name
        else:
            assert {row[names.index("population")] for row in rows} == {"treated"}


def labels_and_reasons(directory: Path) -> None:
    """Hold what stands beside the values: labels of variables and codes, why something is missing."""
    import pandas as pd
    import polars as pl
    import pyreadstat

    wide = DATASETS["labs_wide"].shown(identified=True)
    label_of = {column.name: column.label for column in wide}
    coded, meta = pyreadstat.read_sav(directory / "savTrue" / "labs_wide.sav", user_missing=True)
    assert meta.column_names_to_labels == label_of
    assert meta.variable_value_labels["alt"] == {
        float(spss_files.CODES[code]): label for code, label in code_lists.MISSING.items()
    }
    assert dict(meta.variable_value_labels)["alt_missing"] == dict[Any, str](code_lists.MISSING)
    lowest, highest = min(spss_files.CODES.values()), max(spss_files.CODES.values())
    assert meta.missing_ranges["alt"] == [{"lo": lowest, "hi": highest}]
    said = {code: why for code, why in zip(coded["alt"], coded["alt_missing"], strict=True) if why}
    assert said == {float(number): code for code, number in spss_files.CODES.items()}
    assert (meta.variable_measure["alt"], meta.variable_measure["group"]) == ("scale", "nominal")
    assert meta.variable_measure["week"] == "ordinal"

    stata = directory / "dtaTrue" / "labs_wide.dta"
    frame = pd.read_stata(stata, convert_categoricals=False, convert_missing=True)
    letters = {str(value): why for value, why in zip(frame["alt"], frame["alt_missing"], strict=True) if why}
    assert letters == {f".{letter}": code for code, letter in stata_files.LETTERS.items()}
    with pd.io.stata.StataReader(stata) as reader:
        reader.read(nrows=1, convert_categoricals=False)
        assert reader.variable_labels() == {
            name: whole_frames.cut(label, stata_files.LONGEST_LABEL) for name, label in label_of.items()
        }
        words = [list(found.values()) for found in reader.value_labels().values()]
        assert list(code_lists.MISSING.values()) in words

    schema = pl.read_parquet_schema(directory / "parquetTrue" / "labs_long.parquet")
    assert isinstance(schema["value"], pl.Decimal)
    assert schema["visit_date"] == pl.Date
    audit = pl.read_parquet_schema(directory / "parquetTrue" / "audit.parquet")
    assert audit["made_at"] == pl.Datetime("us", "UTC")
    manifest = json.loads((directory / "xptTrue" / bundle.MANIFEST).read_text(encoding="utf-8"))
    (wide_file,) = [file for file in manifest["files"] if file["dataset"] == "labs_wide"]
    named = {column["name"]: column.get("name_in_file") for column in wide_file["columns"]}
    assert named["tbil_missing"] == "TBIL_MIS"
    assert any("nearest double" in note for note in wide_file["notes"])


def user_missing_in_pspp(path: Path, folder: Path) -> None:
    """Let PSPP, which shares nothing with ReadStat, say what counts and what is declared missing."""
    syntax = folder / "look.sps"
    syntax.write_text(
        f"GET FILE='{path}'.\nDESCRIPTIVES VARIABLES=alt /STATISTICS=MINIMUM MAXIMUM.\n"
        "DISPLAY DICTIONARY /VARIABLES=alt week group.\n"
    )
    told = folder / "look.csv"
    subprocess.run(["pspp", "-o", str(told), str(syntax)], capture_output=True, check=True, timeout=60)
    text = told.read_text(encoding="utf-8")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(value), min(value), max(value) FROM patients_labresult WHERE analyte = 'alt'"
        )
        count, least, most = cursor.fetchone()
    (line,) = [
        row for row in csv.reader(text.splitlines()) if row and row[0].startswith("ALT") and len(row) == 4
    ]
    assert int(line[1]) == count, "user-missing values are in no statistic"
    assert [float(number) for number in line[2:]] == pytest.approx([float(least), float(most)], abs=1e-6)
    lowest, highest = min(spss_files.CODES.values()), max(spss_files.CODES.values())
    for told_there in (f"{lowest} THRU {highest}", *code_lists.MISSING.values(), "Ordinal", "Nominal"):
        assert told_there.lower() in text.lower(), text


def no_identifier_is_in_a_de_identified_export_of_any_format(nasty: list[Patient], tmp_path: Path) -> None:
    words = {f"CANARY{place:02d}": place for place in range(12)}
    told = iter(words)
    with factories.by_the_software():
        patient = nasty[0]
        PatientIdentity.objects.create(
            patient=patient, name=next(told), hospital_number=next(told), phone=next(told)
        )
        Visit.objects.filter(patient=patient).update(note=next(told))
        Infusion.objects.filter(patient=patient).update(
            reaction=next(told), deviation_note=next(told), lot=factories.a_lot(next(told))
        )
        AdverseEvent.objects.filter(patient=patient).update(term=next(told), note=next(told))
        LabResult.objects.filter(patient=patient, analyte="inr").update(typed_text=f"1.80 {next(told)}")
    left = set(told)
    planted = [word for word in words if word not in left]
    assert len(planted) > 8
    dates = re.compile(r"(19|20)\d\d-\d\d-\d\d")
    datasets = [dataset for dataset in DATASETS.values() if dataset.source]
    found: list[str] = []
    for form in FORMATS.values():
        files = bundle.write(tmp_path / form.code, datasets, format=form.code)
        assert len(files) == len(datasets)
        for path in sorted((tmp_path / form.code).iterdir()):
            if form.code in read_back.READERS and path.stem in DATASETS:
                dataset = DATASETS[path.stem]
                columns = dataset.shown(identified=False)
                assert not any(column.kind in {Kind.DATE, Kind.TIME} for column in columns)
                cells = [str(cell) for row in read_back.READERS[form.code][0](path, columns) for cell in row]
                found += [f"{path.name}: {cell}" for cell in cells if dates.search(cell)]
                text = "\n".join(cells)
            else:
                text = path.read_text(encoding="utf-8")
            found += [f"{form.code} {path.name}: {word}" for word in planted if word in text]
    assert found == []


def test_what_a_format_cannot_hold_is_said_before_anything_is_written(
    sites: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.a_patient(site=sites["GE"], subject_id="GE-001")
    small, large = DATASETS["subjects"], DATASETS["audit"]
    begun: list[str] = []
    for number, (form, module, limit, most) in enumerate(
        (
            ("xlsx", xlsx_files, "MOST_ROWS", 1),
            ("xlsx", xlsx_files, "LONGEST_TEXT", 30),
            ("sav", spss_files, "LONGEST_TEXT", 30),
            *((form, whole_frames, "MOST_CELLS", len(small.columns)) for form in ("sav", "dta", "xpt")),
        )
    ):
        folder = tmp_path / str(number)
        with monkeypatch.context() as patch:
            patch.setattr(module, limit, most)
            with pytest.raises(TooLarge, match=rf"^audit\b.*\b{most}\b.* Choose CSV or Parquet"):
                bundle.write(
                    folder, [small, large], format=form, progress=lambda _done, _all, name: begun.append(name)
                )
        assert (begun, list(folder.iterdir())) == ([], []), (form, limit)
        with pytest.raises(TooLarge), monkeypatch.context() as patch:
            patch.setattr(module, limit, most)
            bundle.write_table(folder / "one", bundle.table_of(large, Asked()), FORMATS[form])


def test_what_leaves_is_logged_and_names_need_a_right_and_a_purpose(
    sites: dict[str, Any], data_manager: User, statistician: User, tmp_path: Path
) -> None:
    factories.a_patient(site=sites["GE"], subject_id="GE-001")

    def export(**options: Any) -> None:
        call_command("export", "subjects", stderr=io.StringIO(), **options)

    export(out=str(tmp_path / "plain"), format="xlsx")
    purpose = "reconcile with the safety database"
    for refused in (
        {},
        {"by": data_manager.username},
        {"by": data_manager.username, "purpose": "why"},
        {"by": statistician.username, "purpose": purpose},
        {"by": "nobody", "purpose": purpose},
    ):
        with pytest.raises(CommandError) as error:
            export(out=str(tmp_path / "names"), identified=True, **refused)
        assert error.value.returncode == 2
    assert not (tmp_path / "names").exists()
    export(out=str(tmp_path / "names"), identified=True, by=data_manager.username, purpose=purpose)

    named, plain = ExportRecord.objects.all()
    assert (plain.identified, plain.format, plain.rows, plain.purpose) == (False, "xlsx", {"subjects": 1}, "")
    assert (named.identified, named.by, named.purpose, named.source) == (
        True,
        data_manager,
        purpose,
        "command",
    )
    assert named.sha256 == bundle.digest_of(tmp_path / "names" / bundle.MANIFEST)
    assert not any(path.name.startswith("unfinished") for path in (tmp_path / "names").iterdir())
    assert list(taken.visible_to(statistician)) == []
    assert list(taken.visible_to(data_manager)) == [named, plain]


def test_the_page_offers_formats_and_keeps_the_log(
    nasty_page: None, data_manager: User, statistician: User, signed_in: Callable[[User], Client]
) -> None:
    address = reverse("analytics:export")
    client = signed_in(statistician)
    page = client.get(address)
    assert page.status_code == 200
    assert 'name="identified"' not in page.content.decode()
    refused = client.post(address, {"format": "xls", "datasets": ["subjects"]})
    assert refused.status_code == 422
    assert client.post(address, {"format": "csv"}).status_code == 422
    key = re.search(r'name="submission_key" value="([^"]+)"', page.content.decode())
    assert key
    form = {"format": "sav", "datasets": ["subjects"], "identified": "on", "purpose": "a long enough one"}
    went_to = [client.post(address, {**form, "submission_key": key[1]}).headers["Location"] for _ in range(2)]
    assert went_to[0] == went_to[1], "a double click is one job"
    (job,) = jobs.latest(statistician, ["export"])
    client.post(address, {**form, "format": "csv", "submission_key": key[1]})
    assert len(jobs.latest(statistician, ["export"])) == 2, "Back, and another choice, is another export"
    assert jobs.run(job.pk)
    job.refresh_from_db()
    archive = jobs.file_of(job)
    assert archive is not None
    with ZipFile(archive) as packed:
        assert {"subjects.sav", bundle.MANIFEST} <= set(packed.namelist())
        assert json.loads(packed.read(bundle.MANIFEST))["identified"] is False, "the statistician may not"
    assert "subjects" in client.get(address).content.decode().partition('id="log"')[2]

    other = signed_in(data_manager)
    body = {"format": "csv", "datasets": ["subjects"], "identified": "on"}
    assert other.post(address, {**body, "purpose": "short"}).status_code == 422
    assert other.post(address, {**body, "purpose": "reconciliation of May"}).status_code == 302
    assert jobs.run(jobs.latest(data_manager, ["export"])[0].pk)
    log = other.get(address).content.decode().partition('id="log"')[2]
    assert "reconciliation of May" in log
    assert statistician.username in log or statistician.shown_name in log


@pytest.fixture
def nasty_page(sites: dict[str, Any]) -> None:
    factories.a_patient(site=sites["GE"], subject_id="GE-001")


# --- without a database ---------------------------------------------------------------------


def test_numbers_stay_the_decimals_they_were_or_become_text() -> None:
    assert xlsx_files._same_double("17.1") == 17.1
    assert xlsx_files._same_double("12345678901234.567891") is None
    assert xlsx_files._same_double("0.30000000000000004") == 0.1 + 0.2
    assert xlsx_files._same_double("nan") is None


def test_names_for_sas_are_short_and_different() -> None:
    names = sas_files.names_of(
        ["tbil", "tbil_missing", "tbil_comparator", "first_infusion_day", "first_infusion_on"]
    )
    assert list(names.values()) == ["TBIL", "TBIL_MIS", "TBIL_CMP", "FIRSTINF", "FIRSTIN2"]
    assert stata_files.name_of("if") == "if_"


def test_text_in_pieces_is_the_text() -> None:
    text = "胆红素 " * 90
    pieces = sas_files.pieces(text)
    assert "".join(pieces) == text
    assert all(len(piece.encode()) <= 200 for piece in pieces)
    assert not any(piece.endswith(" ") for piece in pieces[:-1])


@pytest.mark.parametrize("form", ["sav", "dta", "xpt"])
def test_days_after_thousands_of_empty_cells_are_days(form: str, tmp_path: Path) -> None:
    """The library that writes looks at the first values of a column only."""
    columns = (
        Column("day", Kind.DATE, "Day", ""),
        Column("moment", Kind.TIME, "Moment", ""),
        Column("said", Kind.TEXT, "Text", ""),
    )
    rows = [(None, None, None)] * 3000 + [("2015-01-12", "2015-01-12 07:40:00", "胆" * 30)]
    table = Table(Dataset("sparse", "rows", columns), rows=lambda: rows)
    path = tmp_path / f"sparse.{form}"
    assert FORMATS[form].module().write(table, path).rows == len(rows)
    read = {"sav": pyreadstat.read_sav, "dta": pyreadstat.read_dta, "xpt": pyreadstat.read_xport}[form]
    frame, _meta = read(path)
    day, moment, said = frame.iloc[-1]
    assert (day, moment, said) == (date(2015, 1, 12), datetime(2015, 1, 12, 7, 40), "胆" * 30)
    assert frame.iloc[:-1, :2].isna().all(axis=None)
