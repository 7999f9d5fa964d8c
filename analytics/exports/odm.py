"""What was captured, as CDISC ODM-XML 1.3.2: the study's design and every subject's data.

Version 1.3.2 and not 2.0: its schema, its readers and the systems that take it in are
there, and it knows the forms on which a study is captured.

The rows of each dataset go to a file of their own first and are then read subject by
subject, so that memory holds one subject at a time. Derived data (scores, results, the
analysis datasets) and the trail have no place in ODM; they leave in the other formats.

References
----------
CDISC, Operational Data Model 1.3.2.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from io import TextIOWrapper
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any
from xml.sax.saxutils import XMLGenerator
from xml.sax.xmlreader import AttributesImpl

from django.utils.translation import gettext as _

from analytics.adam import STUDY
from analytics.datasets import Column, Dataset, Kind
from analytics.exports import cdisc, odm_design
from analytics.exports.formats import TooLarge, Wrote
from analytics.exports.odm_design import Design, Tag
from analytics.exports.tables import Table
from trial import protocol
from trial.models import Site

VERSION = "1.3.2"
NAMESPACE = "http://www.cdisc.org/ns/odm/v1.3"
NOT_HELD = "not in ODM, which holds what was captured: take it in another format"

Row = dict[str, str | None]
# what XML 1.0 cannot hold, not even escaped
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
REPLACED = "\N{REPLACEMENT CHARACTER}"


def check(tables: Sequence[Table]) -> None:
    """Refuse an export of which nothing has a place in ODM.

    Raises
    ------
    TooLarge
        Naming the datasets that have one.
    """
    if not _design(tables).tables:
        raise TooLarge(
            _("ODM holds what was captured: choose one of %(datasets)s.")
            % {"datasets": ", ".join(odm_design.CAPTURED)}
        )


def _design(tables: Sequence[Table]) -> Design:
    return Design({t.dataset.name: t for t in tables if t.dataset.name in odm_design.CAPTURED})


def write_together(tables: Sequence[Table], path: Path) -> list[Wrote]:
    """Write the captured datasets among ``tables`` as one file.

    Parameters
    ----------
    tables
        Any datasets; those that ODM does not hold are named in what is returned.
    path
        The file; replaced when it exists.
    """
    design = _design(tables)
    with ExitStack() as stack:
        kept = {
            name: _Kept(stack.enter_context(TemporaryFile("w+b", dir=path.parent)), table)
            for name, table in design.tables.items()
        }
        with path.open("w", encoding="utf-8", newline="\n") as file:
            _Document(file, design, kept).write()
    return [
        Wrote(kept[name].rows, tuple(c.name for c in table.columns), kept[name].notes)
        if (name := table.dataset.name) in kept
        else Wrote(0, notes=(NOT_HELD,))
        for table in tables
    ]


class _Kept:
    """The rows of a dataset in a file, found again by their subject."""

    def __init__(self, file: IO[bytes], table: Table) -> None:
        self.rows = 0
        self.replaced = 0
        self.subjects: dict[str, tuple[int, int]] = {}
        self._file = file
        self._names = [column.name for column in table.columns]
        self._times = [place for place, column in enumerate(table.columns) if column.kind is Kind.TIME]
        subject_at = self._names.index("subject_id")
        for record in table.records():
            values = list(record)
            for place in self._times:
                if (text := values[place]) is not None:
                    values[place] = cdisc.iso(Kind.TIME, text)
            self.replaced += sum(1 for text in values if text and _FORBIDDEN.search(text))
            subject, start = str(values[subject_at]), file.tell()
            file.write(json.dumps(values).encode() + b"\n")
            self.subjects[subject] = (self.subjects.get(subject, (start, start))[0], file.tell())
            self.rows += 1

    @property
    def notes(self) -> tuple[str, ...]:
        """Say what the format could not hold."""
        if not self.replaced:
            return ()
        return (f"{self.replaced} texts hold characters that XML cannot: U+FFFD stands for each",)

    def of(self, subject: str) -> Iterator[Row]:
        """Yield the rows of a subject."""
        start, end = self.subjects.get(subject, (0, 0))
        self._file.seek(start)
        for line in self._file.read(end - start).splitlines():
            yield dict(zip(self._names, json.loads(line), strict=True))


class _Document:
    """The file as it is written, element by element."""

    def __init__(self, file: TextIOWrapper, design: Design, kept: dict[str, _Kept]) -> None:
        self._out = XMLGenerator(file, "utf-8", short_empty_elements=True)
        self._design = design
        self._kept = kept
        self._depth = 0

    def write(self) -> None:
        """Write everything."""
        made_at = cdisc.made_at()
        self._out.startDocument()
        self._open(
            "ODM",
            {
                "xmlns": NAMESPACE,
                "ODMVersion": VERSION,
                "FileType": "Snapshot",
                "Granularity": "All",
                "FileOID": f"{cdisc.STUDY_OID}.{made_at}",
                "CreationDateTime": made_at,
                "AsOfDateTime": made_at,
                "Originator": cdisc.originator(),
                "SourceSystem": cdisc.SYSTEM,
                "SourceSystemVersion": cdisc.system_version(),
            },
        )
        self._study()
        self._sites(made_at)
        self._open("ClinicalData", {"StudyOID": cdisc.STUDY_OID, "MetaDataVersionOID": cdisc.VERSION_OID})
        for subject in dict.fromkeys(code for kept in self._kept.values() for code in kept.subjects):
            self._subject(subject)
        self._close("ClinicalData")
        self._close("ODM")
        self._out.endDocument()

    # --- the design -------------------------------------------------------------------------

    def _study(self) -> None:
        self._open("Study", {"OID": cdisc.STUDY_OID})
        self._put(odm_design.global_variables())
        self._put(odm_design.basic_definitions())
        name = f"{STUDY} {protocol.VERSION}"
        self._open("MetaDataVersion", {"OID": cdisc.VERSION_OID, "Name": name})
        for tag in odm_design.metadata(self._design):
            self._put(tag)
        self._close("MetaDataVersion")
        self._close("Study")

    def _sites(self, made_at: str) -> None:
        if "subjects" not in self._design.tables:
            return
        self._open("AdminData", {"StudyOID": cdisc.STUDY_OID})
        for code, name in Site.objects.order_by("code").values_list("code", "name"):
            reference = {
                "StudyOID": cdisc.STUDY_OID,
                "MetaDataVersionOID": cdisc.VERSION_OID,
                "EffectiveDate": made_at.partition("T")[0],
            }
            self._put(
                (
                    "Location",
                    {"OID": f"LOC.{code}", "Name": name, "LocationType": "Site"},
                    [("MetaDataVersionRef", reference, [])],
                )
            )
        self._close("AdminData")

    # --- a subject --------------------------------------------------------------------------

    def _subject(self, subject: str) -> None:
        rows = {name: list(kept.of(subject)) for name, kept in self._kept.items()}
        self._open("SubjectData", {"SubjectKey": subject})
        for row in rows.get("subjects", []):
            self._put(("SiteRef", {"LocationOID": f"LOC.{row['site']}"}, []))
        self._common(rows)
        self._visits(rows)
        for row in rows.get("infusions", []):
            self._open(
                "StudyEventData",
                {"StudyEventOID": odm_design.INFUSION, "StudyEventRepeatKey": str(row["number"])},
            )
            self._form("infusions", row)
            self._close("StudyEventData")
        self._close("SubjectData")

    def _common(self, rows: dict[str, list[Row]]) -> None:
        names = [name for name in odm_design.SUBJECT_FORMS if rows.get(name)]
        if not names:
            return
        self._open("StudyEventData", {"StudyEventOID": odm_design.SUBJECT})
        for name in names:
            for place, row in enumerate(rows[name], start=1):
                self._form(name, row, repeat=str(place) if name in odm_design.REPEATING else "")
        self._close("StudyEventData")

    def _form(self, name: str, row: Row, *, repeat: str = "") -> None:
        dataset = self._design.tables[name].dataset
        key = {"FormRepeatKey": repeat} if repeat else {}
        self._open("FormData", {"FormOID": odm_design.FORMS[name], **key})
        self._group(dataset, self._design.columns(name), row)
        self._close("FormData")

    def _visits(self, rows: dict[str, list[Row]]) -> None:
        if not self._design.has_visits:
            return
        labs: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
        for row in rows.get("labs_long", []):
            labs[_visit_key(row)].append(row)
        visits = {_visit_key(row): row for row in rows.get("visits", [])}
        for key, found in labs.items():
            visits.setdefault(key, found[0])
        unscheduled = 0
        for key, row in visits.items():
            event = {"StudyEventOID": odm_design.UNSCHEDULED}
            if row["week"] is None:
                unscheduled += 1
                event["StudyEventRepeatKey"] = str(unscheduled)
            else:
                event["StudyEventOID"] = odm_design.week_event(int(row["week"]))
            self._open("StudyEventData", event)
            self._open("FormData", {"FormOID": odm_design.VISIT_FORM})
            self._group(*self._design.visit_columns(), row)
            for lab in labs.get(key, []):
                self._lab(lab)
            self._close("FormData")
            self._close("StudyEventData")

    def _lab(self, row: Row) -> None:
        code = str(row["analyte"])
        items: list[Tag] = []
        for column in self._design.lab_columns():
            oid, value = odm_design.lab_item_oid(code, column.name), row[column.name]
            if column.name == "value":
                items.append(_measured(oid, value, protocol.ANALYTES[code].unit))
            elif value is not None:
                items.append(("ItemData", {"ItemOID": oid, "Value": value}, []))
        self._put(("ItemGroupData", {"ItemGroupOID": odm_design.lab_group_oid(code)}, items))

    def _group(self, dataset: Dataset, columns: Iterable[Column], row: Row) -> None:
        items: list[Tag] = []
        for column in columns:
            value = row[column.name]
            if value is None:
                continue
            oid = cdisc.item_oid(dataset, column)
            unit = odm_design.UNIT_OF_COLUMN.get(column.name) if column.kind is Kind.NUMBER else None
            items.append(
                _measured(oid, value, unit) if unit else ("ItemData", {"ItemOID": oid, "Value": value}, [])
            )
        self._put(("ItemGroupData", {"ItemGroupOID": cdisc.item_group_oid(dataset)}, items))

    # --- elements ---------------------------------------------------------------------------

    def _open(self, name: str, attributes: dict[str, str]) -> None:
        self._out.ignorableWhitespace("\n" + " " * self._depth)
        self._out.startElement(name, AttributesImpl({key: legal(text) for key, text in attributes.items()}))
        self._depth += 1

    def _close(self, name: str) -> None:
        self._depth -= 1
        self._out.ignorableWhitespace("\n" + " " * self._depth)
        self._out.endElement(name)

    def _put(self, tag: Tag) -> None:
        name, attributes, inside = tag
        self._open(name, attributes)
        texts = [each for each in inside if isinstance(each, str)]
        for each in inside:
            if isinstance(each, str):
                self._out.characters(legal(each))
            else:
                self._put(each)
        if texts or not inside:
            self._depth -= 1
            self._out.endElement(name)
        else:
            self._close(name)


def _visit_key(row: Row) -> tuple[str | None, ...]:
    return tuple(row.get(name) for name in ("week", "visit_date", "visit_day"))


def _measured(oid: str, value: str | None, unit: str) -> Tag:
    """Return a value with its unit; an empty one says so, and an item of its own says why."""
    if value is None:
        return "ItemData", {"ItemOID": oid, "IsNull": "Yes"}, []
    reference: Tag = ("MeasurementUnitRef", {"MeasurementUnitOID": odm_design.unit_oid(unit)}, [])
    return "ItemData", {"ItemOID": oid, "Value": value}, [reference]


def legal(text: str) -> str:
    """Return a text without the control characters that XML cannot hold."""
    return _FORBIDDEN.sub(REPLACED, text)
