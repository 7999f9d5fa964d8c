"""The CDISC formats keep to their schemas, and other readers find the database in them, cell by cell."""

from __future__ import annotations

import csv
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from lxml import etree
from odmlib import loader as odm_documents
from odmlib import odm_loader
from odmlib.dataset_json_1_1.model import DatasetJSON
from odmlib.schema_manager import get_schema_path

from analytics.datasets import DATASETS, RESULTS, Column, Kind
from analytics.exports import bundle, codebook, odm, odm_design
from analytics.exports.companions import Asked
from analytics.exports.formats import TooLarge
from patients import actions
from patients.entries import AnswerEntry
from patients.models import Patient
from tests import factories
from tests.analytics import read_back
from tests.analytics.test_export_formats import nasty  # noqa: F401
from trial import audit, protocol, units

SCHEMA = Path(__file__).parent / "data" / "dataset_json" / "dataset.schema.json"
XML = "http://www.w3.org/XML/1998/namespace"
ODM = "{http://www.cdisc.org/ns/odm/v1.3}"

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


def as_python(text: Any, kind: Kind) -> Any:
    """Return what a cell of a file says."""
    match kind:
        case _ if text is None:
            return None
        case Kind.NUMBER:
            return Decimal(text)
        case Kind.WHOLE:
            return int(text)
        case Kind.TIME:
            return datetime.fromisoformat(text)
        case _:
            return text


def in_database(value: Any, kind: Kind) -> Any:
    """Return what a cell of the database says, in the same words."""
    value = read_back.plain(value, kind)
    if value is None:
        return None
    match kind:
        case Kind.NUMBER:
            return Decimal(str(value))
        case Kind.DATE:
            return value.isoformat()
        case _:
            return value


def wanted(name: str, asked: Asked) -> list[list[Any]]:
    columns = DATASETS[name].shown(identified=asked.identified)
    return [
        [in_database(value, column.kind) for value, column in zip(row, columns, strict=True)]
        for row in read_back.truth(DATASETS[name], asked)
    ]


def said(rows: Sequence[Sequence[Any]], columns: Sequence[Column]) -> list[list[Any]]:
    return [
        [as_python(value, column.kind) or None if value == "" else as_python(value, column.kind)
         for value, column in zip(row, columns, strict=True)]
        for row in rows
    ]  # fmt: skip


def test_the_cdisc_formats_and_the_codebook_say_what_the_database_says(
    study: list[Patient], tmp_path: Path
) -> None:
    _dataset_json_is_valid_and_is_the_database(tmp_path / "json")
    _odm_is_valid_and_is_the_database(tmp_path / "odm")
    _the_codebook_describes_every_column_of_an_export(tmp_path / "csv")


def _dataset_json_is_valid_and_is_the_database(tmp_path: Path) -> None:
    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft201909Validator.check_schema(schema)
    validator = jsonschema.Draft201909Validator(schema)
    for identified in (False, True):
        asked = Asked("dataset-json", identified)
        place = tmp_path / str(identified)
        # results are the same in both
        datasets = [each for name, each in DATASETS.items() if not identified or name not in RESULTS]
        files = bundle.write(place, datasets, identified=identified, format="dataset-json")
        lines = bundle.write(
            place,
            [each for each in datasets if each.name not in RESULTS],
            identified=identified,
            format="dataset-ndjson",
        )
        line_files = {file.dataset: file.path for file in lines}
        for file in files:
            dataset = DATASETS[file.dataset]
            columns = dataset.shown(identified=identified)
            document = json.loads(file.path.read_text())
            validator.validate(document)
            described = document["columns"]
            assert [c["name"] for c in described] == [c.name for c in columns]
            assert len({c["itemOID"] for c in described}) == len(columns)
            keys = [c["keySequence"] for c in described if "keySequence" in c]
            assert sorted(keys) == list(range(1, len(keys) + 1)) != []
            want = wanted(file.dataset, asked)
            read = [DatasetJSON.read_json(str(file.path))]
            if file.dataset in line_files:
                read.append(DatasetJSON.read_ndjson(str(line_files[file.dataset])))
            for each in read:
                assert each.records == file.rows == len(each.rows or [])
                assert said(each.rows or [], columns) == want, file.dataset
            for place_of, c in enumerate(described):
                texts = [row[place_of] for row in document["rows"] if row[place_of] is not None]
                if c["dataType"] == "string":
                    assert max(map(len, texts), default=1) <= c["length"]
                assert all(isinstance(text, int if c["dataType"] == "integer" else str) for text in texts)
    few = [DATASETS[name] for name in ("subjects", "adlb")]
    first, again = (bundle.write(tmp_path / name, few, format="dataset-json") for name in ("first", "again"))
    assert [file.sha256 for file in again] == [file.sha256 for file in first]


def _odm_is_valid_and_is_the_database(tmp_path: Path) -> None:
    schema = etree.XMLSchema(etree.parse(get_schema_path("odm", "1.3.2")))
    for identified in (False, True):
        asked = Asked("odm", identified)
        datasets = [DATASETS[name] for name in (*odm_design.CAPTURED, "labs_wide")]
        files = bundle.write(tmp_path, datasets, identified=identified, format="odm")
        path = files[0].path
        document = etree.parse(path)
        assert schema.validate(document), schema.error_log.last_error
        _everything_that_is_referred_to_is_there(document)
        _values_keep_to_their_definitions(document)
        reader = odm_documents.ODMLoader(odm_loader.XMLODMLoader(model_package="odm_1_3_2"))
        reader.open_odm_document(str(path))
        found = _rows_of(reader.root(), identified=identified)
        for file in files:
            if file.dataset not in odm_design.CAPTURED:
                assert (file.rows, file.notes) == (0, (odm.NOT_HELD,))
                continue
            want = [
                [odm.legal(value) if isinstance(value, str) else value for value in row]
                for row in wanted(file.dataset, asked)
            ]
            assert file.rows == len(want) > 0
            assert bool(file.notes) == (want != wanted(file.dataset, asked))
            assert found[file.dataset] == want, file.dataset
        text = path.read_text()
        assert bool(re.search(r'Value="\d{4}-\d\d-\d\d', text)) == identified
        before = path.read_bytes()
        bundle.write(tmp_path, datasets, identified=identified, format="odm")
        assert path.read_bytes() == before
    with pytest.raises(TooLarge, match="subjects"):
        bundle.write(tmp_path, [DATASETS["cells"]], format="odm")
    few = bundle.write(tmp_path / "few", [DATASETS["labs_long"]], format="odm", population="treated")
    assert schema.validate(etree.parse(few[0].path)), schema.error_log.last_error
    _everything_that_is_referred_to_is_there(etree.parse(few[0].path))


def _everything_that_is_referred_to_is_there(document: Any) -> None:
    defined: dict[str, set[str]] = defaultdict(set)
    for element in document.iter(f"{ODM}*"):
        name = element.tag.removeprefix(ODM)
        if "OID" in element.attrib:
            assert element.get("OID") not in defined[name], element.get("OID")
            defined[name].add(element.get("OID"))
    for reference, target in (
        ("StudyEventOID", "StudyEventDef"), ("FormOID", "FormDef"), ("ItemGroupOID", "ItemGroupDef"),
        ("ItemOID", "ItemDef"), ("CodeListOID", "CodeList"), ("MeasurementUnitOID", "MeasurementUnit"),
        ("LocationOID", "Location"), ("StudyOID", "Study"), ("MetaDataVersionOID", "MetaDataVersion"),
    ):  # fmt: skip
        used = set(document.xpath(f"//@{reference}"))
        assert used <= defined[target], used - defined[target]
    assert document.xpath("count(//*[local-name()='ItemDef'][*[local-name()='RangeCheck']])") == len(
        protocol.PANEL
    )
    groups = {
        group.get("OID"): set(group.xpath("*/@ItemOID")) for group in document.iter(f"{ODM}ItemGroupDef")
    }
    for group in document.iter(f"{ODM}ItemGroupData"):
        assert set(group.xpath("*/@ItemOID")) <= groups[group.get("ItemGroupOID")]


def _values_keep_to_their_definitions(document: Any) -> None:
    lists = {each.get("OID"): set(each.xpath("*/@CodedValue")) for each in document.iter(f"{ODM}CodeList")}
    items = {each.get("OID"): each for each in document.iter(f"{ODM}ItemDef")}
    for item in document.iter(f"{ODM}ItemData"):
        definition, value = items[item.get("ItemOID")], item.get("Value")
        if value is None:
            assert item.get("IsNull") == "Yes"
            group = item.getparent()
            assert group.xpath("*[contains(@ItemOID, '.MISSING')]/@Value"), "an empty value says why"
            continue
        if definition.get("Length"):
            assert len(value) <= int(definition.get("Length")), (item.get("ItemOID"), value)
        for code_list in definition.xpath("*/@CodeListOID"):
            assert value in lists[code_list], (item.get("ItemOID"), value)
        assert item.xpath("*/@MeasurementUnitOID") == [
            reference.get("MeasurementUnitOID")
            for reference in definition.findall(f"{ODM}MeasurementUnitRef")
        ]
    bilirubin = items["IT.LAB.TBIL.VALUE"]
    assert {(c.get("Comparator"), c.get("SoftHard"), c[0].text) for c in bilirubin.iter(f"{ODM}RangeCheck")} == {
        ("GE", "Hard", "0"), ("LE", "Hard", "1700"), ("GE", "Soft", "5"), ("LE", "Soft", "850")
    }  # fmt: skip
    assert bilirubin.xpath("*[@Context='LOINC']/@Name") == [protocol.ANALYTES["tbil"].loinc]
    languages = bilirubin.xpath("*[local-name()='Question']/*/@xml:lang", namespaces={"xml": XML})
    assert languages == ["en", "zh-Hans"]


def _rows_of(root: Any, *, identified: bool) -> dict[str, list[list[Any]]]:
    """Return the datasets as a reader of ODM finds them."""
    found: dict[str, list[list[Any]]] = defaultdict(list)
    for subject, event, group, cells in _groups_of(root):
        if group.startswith("IG.LAB."):
            analyte = group.removeprefix("IG.LAB.").lower()
            known = {
                "analyte": analyte,
                "unit": protocol.ANALYTES[analyte].unit,
                "loinc": protocol.ANALYTES[analyte].loinc,
            }
            name, said_there = "labs_long", event | known | cells
        else:
            said_there = cells
            name = group.removeprefix("IG.").lower()
        if name == "visits":
            event.clear()
            event.update(cells)
        columns = DATASETS[name].shown(identified=identified)
        row = [subject if c.name == "subject_id" else said_there.get(c.name) for c in columns]
        found[name] += said([row], columns)
    return found


def _groups_of(root: Any) -> Iterator[tuple[str, dict[str, Any], str, dict[str, Any]]]:
    for subject in root.ClinicalData[0].SubjectData:
        keys = [(e.StudyEventOID, e.StudyEventRepeatKey) for e in subject.StudyEventData]
        assert len(set(keys)) == len(keys)
        for event in subject.StudyEventData:
            visit: dict[str, Any] = {}
            for form in event.FormData:
                for group in form.ItemGroupData:
                    cells = {}
                    for item in group.ItemData:
                        name = item.ItemOID.rpartition(".")[2].lower()
                        cells[name] = item.Value
                        if group.ItemGroupOID.startswith("IG.LAB.") and item.Value and name == "value":
                            unit = protocol.ANALYTES[group.ItemGroupOID.removeprefix("IG.LAB.").lower()].unit
                            assert item.MeasurementUnitRef.MeasurementUnitOID == f"MU.{units.UCUM[unit]}"
                    yield subject.SubjectKey, visit, group.ItemGroupOID, cells


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
