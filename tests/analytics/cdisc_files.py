"""Files in CDISC's formats, held to their schemas and, read by another library, to the database.

Dataset-JSON has a schema for the one object and one for lines. Of lines it describes the first, and says of
the others no more than that they are arrays; that each has a value of the declared type for every column is
asked here.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
from lxml import etree
from odmlib import loader as odm_documents
from odmlib import odm_loader
from odmlib.dataset_json_1_1.model import DatasetJSON
from odmlib.schema_manager import get_schema_path

from analytics.datasets import DATASETS, Column, Dataset, Kind
from analytics.exports import odm, odm_design
from analytics.exports.asked import Asked
from analytics.exports.bundle import Written
from tests.analytics import read_back
from trial import protocol, units

SCHEMAS = Path(__file__).parent / "data" / "dataset_json"
XML = "http://www.w3.org/XML/1998/namespace"
ODM = "{http://www.cdisc.org/ns/odm/v1.3}"
Rows = list[list[Any]]


# --- one cell ------------------------------------------------------------------------------


def as_python(kind: Kind) -> Callable[[Any], Any]:
    """Return what reads a cell of a file."""
    read: Callable[[Any], Any] = {
        Kind.NUMBER: Decimal,
        Kind.WHOLE: int,
        Kind.TIME: datetime.fromisoformat,
    }.get(kind, str)
    return lambda text: None if text is None or text == "" else read(text)


def in_database(value: Any, kind: Kind) -> Any:
    """Return what a cell of the database says, in the same words."""
    value = read_back.plain(value, kind)
    if value is None:
        return None
    if kind is Kind.NUMBER:
        return Decimal(str(value))
    return value.isoformat() if kind is Kind.DATE else value


def wanted(dataset: Dataset, asked: Asked) -> Rows:
    kinds = [column.kind for column in dataset.shown(identified=asked.identified)]
    return [
        [in_database(value, kind) for value, kind in zip(row, kinds, strict=True)]
        for row in read_back.truth(dataset, asked)
    ]


def said(rows: Sequence[Sequence[Any]], columns: Sequence[Column]) -> Rows:
    read = [as_python(column.kind) for column in columns]
    return [[cell(value) for cell, value in zip(read, row, strict=True)] for row in rows]


# --- Dataset-JSON --------------------------------------------------------------------------


def hold_dataset_json(path: Path, dataset: Dataset, want: Rows, *, identified: bool) -> None:
    """Hold one file to CDISC's schema and to the database."""
    document = json.loads(path.read_text(encoding="utf-8"))
    _validator("dataset.schema.json").validate(document)
    rows = document.pop("rows")
    _hold_rows(document, rows, dataset, identified=identified)
    read = DatasetJSON.read_json(str(path))
    assert read.records == len(want) == len(rows)
    assert said(read.rows or [], dataset.shown(identified=identified)) == want, dataset.name


def hold_dataset_lines(path: Path, dataset: Dataset, want: Rows, *, identified: bool) -> None:
    """Hold one file of lines to CDISC's schema of lines and to the database."""
    # not splitlines: a line separator within a text ends no line of the file
    lines = path.read_text(encoding="utf-8").split("\n")
    assert lines.pop() == "", "the last line ends like the others"
    document, *rows = [json.loads(line) for line in lines]
    _validator("dataset-ndjson-schema.json").validate(document)
    _hold_rows(document, rows, dataset, identified=identified)
    read = DatasetJSON.read_ndjson(str(path))
    assert read.records == len(want) == len(rows)
    assert said(read.rows or [], dataset.shown(identified=identified)) == want, dataset.name


def _validator(name: str) -> Any:
    schema = json.loads((SCHEMAS / name).read_text(encoding="utf-8"))
    jsonschema.Draft201909Validator.check_schema(schema)
    return jsonschema.Draft201909Validator(schema)


def _hold_rows(document: dict[str, Any], rows: Rows, dataset: Dataset, *, identified: bool) -> None:
    """Hold what is declared to the rows: names, keys, types, lengths."""
    columns, described = dataset.shown(identified=identified), document["columns"]
    assert [c["name"] for c in described] == [c.name for c in columns]
    assert len({c["itemOID"] for c in described}) == len(columns)
    keys = [c["keySequence"] for c in described if "keySequence" in c]
    assert sorted(keys) == list(range(1, len(keys) + 1)) != []
    assert {len(row) for row in rows} <= {len(columns)}
    for place, declared in enumerate(described):
        values = [row[place] for row in rows if row[place] is not None]
        assert all(type(value) is (int if declared["dataType"] == "integer" else str) for value in values)
        if declared["dataType"] == "string":
            assert max(map(len, values), default=1) <= declared["length"]


# --- ODM -----------------------------------------------------------------------------------


def hold_odm(files: Sequence[Written], asked: Asked) -> int:
    """Hold the file of an export to CDISC's schema, to itself and to the database; return the cells compared."""
    path = files[0].path
    document = valid_odm(path)
    _values_keep_to_their_definitions(document)
    reader = odm_documents.ODMLoader(odm_loader.XMLODMLoader(model_package="odm_1_3_2"))
    reader.open_odm_document(str(path))
    found = _rows_of(reader.root(), identified=asked.identified)
    compared = 0
    for file in files:
        if file.dataset not in odm_design.CAPTURED:
            assert (file.rows, file.notes) == (0, (odm.NOT_HELD,))
            continue
        exact = wanted(DATASETS[file.dataset], asked)
        want = [[odm.legal(value) if isinstance(value, str) else value for value in row] for row in exact]
        assert file.rows == len(want)
        assert bool(file.notes) == (want != exact)
        assert found[file.dataset] == want, file.dataset
        compared += sum(map(len, want))
    return compared


def valid_odm(path: Path) -> Any:
    """Return the document, which keeps to CDISC's schema and refers to nothing that is not there."""
    schema = etree.XMLSchema(etree.parse(get_schema_path("odm", "1.3.2")))
    document = etree.parse(path)
    assert schema.validate(document), schema.error_log.last_error
    _everything_that_is_referred_to_is_there(document)
    return document


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
