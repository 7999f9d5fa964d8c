"""The study as ODM describes it: visits, forms, groups of items, items, code lists and units.

Everything comes from the protocol and from the declarations of the datasets; nothing
is said here a second time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext, override

from analytics.adam import STUDY
from analytics.datasets import Column, Dataset, Kind
from analytics.exports import cdisc, code_lists
from analytics.exports.tables import Table
from analytics.shared_columns import VISIT
from trial import protocol, units
from trial.protocol import Analyte, Limits
from trial.sentences import Sentence

CAPTURED = ("subjects", "screening", "events", "visits", "labs_long", "infusions")
"""The datasets that ODM holds: what was captured, in the order of the forms."""

SUBJECT, INFUSION, UNSCHEDULED = "SE.SUBJECT", "SE.INFUSION", "SE.UNSCHEDULED"
VISIT_FORM = "F.VISITS"
FORMS: Mapping[str, str] = {
    "subjects": "F.SUBJECTS",
    "screening": "F.SCREENING",
    "events": "F.EVENTS",
    "visits": VISIT_FORM,
    "labs_long": VISIT_FORM,
    "infusions": "F.INFUSIONS",
}
SUBJECT_FORMS = ("subjects", "screening", "events")
REPEATING = frozenset({"screening", "events"})
"""Datasets of which a subject has any number of rows within one study event."""

CHINESE = "zh-hans"
DATA_TYPES: Mapping[Kind, str] = {
    Kind.TEXT: "text",
    Kind.CODE: "text",
    Kind.NUMBER: "float",
    Kind.WHOLE: "integer",
    Kind.DATE: "date",
    Kind.TIME: "datetime",
}
"""ODM's ``float`` is a decimal of any length, so exact values stay exact."""

LONGEST_TEXT, LONGEST_CODE, LONGEST_NUMBER, LONGEST_WHOLE = 300, 120, 20, 10

UNIT_OF_COLUMN: Mapping[str, str] = {
    "age": "a",
    "weight_kg": "kg",
    "volume_ml": "mL",
    "cells": "{cells}",
    "cells_per_kg": "{cells}/kg",
}
"""UCUM units of the columns whose name or label says them."""
LAB_COLUMNS = ("value", "comparator", "missing", "typed", "typed_unit", "laboratory", "drawn_at", "after_end")
"""What is an item of a laboratory value; its unit and its LOINC code belong to the definition."""

Tag = tuple[str, dict[str, str], list[Any]]
"""An element: name, attributes, and elements or text in it."""


def week_event(week: int) -> str:
    """Return the study event of a week."""
    return f"SE.W{week}"


def unit_oid(unit: str) -> str:
    """Return the identifier of a unit, by its code in the study or its UCUM code."""
    return f"MU.{units.UCUM.get(unit, unit)}"


def lab_group_oid(code: str) -> str:
    """Return the item group of an analyte."""
    return f"IG.LAB.{code.upper()}"


def lab_item_oid(code: str, column: str) -> str:
    """Return the item of one column of an analyte."""
    return f"IT.LAB.{code.upper()}.{column.upper()}"


@dataclass(frozen=True, slots=True)
class Design:
    """What a file describes: the captured datasets that it holds."""

    tables: Mapping[str, Table]

    def columns(self, name: str) -> list[Column]:
        """Return the columns of a dataset that are items; the subject is a key of its own."""
        return [column for column in self.tables[name].columns if column.name != "subject_id"]

    def visit_columns(self) -> tuple[Dataset, list[Column]]:
        """Return what describes a visit: the dataset of visits, or its common columns in that of labs."""
        if "visits" in self.tables:
            return self.tables["visits"].dataset, self.columns("visits")
        common = {column.name for column in VISIT}
        return self.tables["labs_long"].dataset, [c for c in self.columns("labs_long") if c.name in common]

    def lab_columns(self) -> list[Column]:
        """Return the columns of laboratory values that are items."""
        return [column for column in self.columns("labs_long") if column.name in LAB_COLUMNS]

    @property
    def has_visits(self) -> bool:
        return "visits" in self.tables or "labs_long" in self.tables


# --- words ----------------------------------------------------------------------------------


def said(words: str | Sentence) -> str:
    """Return marked words in the language of the moment."""
    if isinstance(words, Sentence):
        return words.said(gettext)
    return gettext(words) if words else words


def translated(words: str | Sentence) -> list[Tag]:
    """Return words in English, and in Chinese where the catalogue has them."""
    with override("en"):
        english = said(words)
    with override(CHINESE):
        chinese = said(words)
    found: list[Tag] = [("TranslatedText", {"xml:lang": "en"}, [english])]
    if chinese != english:
        found.append(("TranslatedText", {"xml:lang": "zh-Hans"}, [chinese]))
    return found


def _described(text: str) -> Tag:
    return ("Description", {}, list(translated(text)))


# --- study ----------------------------------------------------------------------------------


def global_variables() -> Tag:
    """Return what the study is called."""
    return (
        "GlobalVariables",
        {},
        [
            ("StudyName", {}, [STUDY]),
            ("StudyDescription", {}, [protocol.TITLE]),
            ("ProtocolName", {}, [f"{STUDY} {protocol.VERSION}"]),
        ],
    )


def basic_definitions() -> Tag:
    """Return every unit of the study, each with its UCUM code."""
    known = dict(units.UCUM) | {code: code for code in UNIT_OF_COLUMN.values()}
    return (
        "BasicDefinitions",
        {},
        [
            (
                "MeasurementUnit",
                {"OID": unit_oid(unit), "Name": unit},
                [
                    ("Symbol", {}, list(translated(units.symbol(unit)))),
                    ("Alias", {"Context": "UCUM", "Name": ucum}, []),
                ],
            )
            for unit, ucum in known.items()
        ],
    )


# --- events and forms -----------------------------------------------------------------------


def _refs(tag: str, key: str, oids: Iterable[str]) -> list[Tag]:
    return [
        (tag, {key: oid, "OrderNumber": str(place), "Mandatory": "No"}, [])
        for place, oid in enumerate(oids, start=1)
    ]


def _events(design: Design) -> Iterator[tuple[str, str, str, str, list[str]]]:
    subject_forms = [FORMS[name] for name in SUBJECT_FORMS if name in design.tables]
    if subject_forms:
        yield SUBJECT, "Subject", "Common", "No", subject_forms
    if design.has_visits:
        for visit in protocol.VISITS:
            yield week_event(visit.week), f"Week {visit.week}", "Scheduled", "No", [VISIT_FORM]
        yield UNSCHEDULED, "Unscheduled draw", "Unscheduled", "Yes", [VISIT_FORM]
    if "infusions" in design.tables:
        yield INFUSION, "Infusion", "Scheduled", "Yes", [FORMS["infusions"]]


def metadata(design: Design) -> Iterator[Tag]:
    """Yield what is inside MetaDataVersion, in the order of the standard."""
    events = list(_events(design))
    yield (
        "Protocol",
        {},
        [
            _described(protocol.TITLE),
            *_refs("StudyEventRef", "StudyEventOID", [event[0] for event in events]),
        ],
    )
    for oid, name, kind, repeating, forms in events:
        attributes = {"OID": oid, "Name": name, "Repeating": repeating, "Type": kind}
        yield "StudyEventDef", attributes, [_described(name), *_refs("FormRef", "FormOID", forms)]
    yield from _forms(design)
    yield from _groups(design)
    for item in _items(design):
        yield item.tag()
    yield from _code_lists(design)


def _forms(design: Design) -> Iterator[Tag]:
    for form in dict.fromkeys(FORMS[name] for name in CAPTURED if name in design.tables):
        names = [name for name in CAPTURED if FORMS[name] == form]
        if form == VISIT_FORM:
            groups = [cdisc.item_group_oid(design.visit_columns()[0])]
            if "labs_long" in design.tables:
                groups += [lab_group_oid(analyte.code) for analyte in protocol.PANEL]
            grain = "one per visit"
        else:
            dataset = design.tables[names[0]].dataset
            groups, grain = [cdisc.item_group_oid(dataset)], dataset.grain
        repeating = "Yes" if names[0] in REPEATING else "No"
        attributes = {"OID": form, "Name": form.removeprefix("F.").capitalize(), "Repeating": repeating}
        yield "FormDef", attributes, [_described(grain), *_refs("ItemGroupRef", "ItemGroupOID", groups)]


def _groups(design: Design) -> Iterator[Tag]:
    for name in CAPTURED:
        if name in design.tables and name not in {"visits", "labs_long"}:
            yield _group(design.tables[name].dataset, design.columns(name))
    if design.has_visits:
        yield _group(*design.visit_columns())
    if "labs_long" in design.tables:
        for analyte in protocol.PANEL:
            oids = [lab_item_oid(analyte.code, column.name) for column in design.lab_columns()]
            attributes = {"OID": lab_group_oid(analyte.code), "Name": analyte.label, "Repeating": "No"}
            yield "ItemGroupDef", attributes, [_described(analyte.name), *_refs("ItemRef", "ItemOID", oids)]


def _group(dataset: Dataset, columns: Sequence[Column]) -> Tag:
    oids = [cdisc.item_oid(dataset, column) for column in columns]
    attributes = {"OID": cdisc.item_group_oid(dataset), "Name": dataset.name, "Repeating": "No"}
    return "ItemGroupDef", attributes, [_described(dataset.grain), *_refs("ItemRef", "ItemOID", oids)]


# --- items ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Item:
    """One item, and how it is asked."""

    oid: str
    name: str
    column: Column
    question: str | Sentence
    codes: Mapping[str, str]
    unit: str = ""
    analyte: Analyte | None = None

    def tag(self) -> Tag:
        """Return its definition."""
        inside: list[Any] = [("Question", {}, list(translated(self.question)))]
        if self.unit:
            inside.append(("MeasurementUnitRef", {"MeasurementUnitOID": unit_oid(self.unit)}, []))
        if self.analyte is not None:
            inside += _range_checks(self.analyte.hard, self.unit, hard=True)
            inside += _range_checks(self.analyte.soft, self.unit, hard=False)
        if self.codes:
            inside.append(("CodeListRef", {"CodeListOID": code_list_oid(self.codes)}, []))
        if self.analyte is not None:
            inside.append(("Alias", {"Context": "LOINC", "Name": self.analyte.loinc}, []))
        return "ItemDef", {"OID": self.oid, "Name": self.name, **_type(self)}, inside


def _type(item: Item) -> dict[str, str]:
    kind = item.column.kind
    found = {"DataType": DATA_TYPES[kind]}
    if item.codes:
        found["Length"] = str(max(len(code) for code in item.codes))
    elif kind is Kind.TEXT:
        found["Length"] = str(LONGEST_TEXT)
    elif kind is Kind.CODE:
        found["Length"] = str(LONGEST_CODE)
    elif kind is Kind.NUMBER:
        found |= {"Length": str(LONGEST_NUMBER), "SignificantDigits": str(units.STORED_PLACES)}
    elif kind is Kind.WHOLE:
        found["Length"] = str(LONGEST_WHOLE)
    return found


def _range_checks(limits: Limits, unit: str, *, hard: bool) -> Iterator[Tag]:
    for bound, comparator in ((limits.low, "GE"), (limits.high, "LE")):
        if bound is None:
            continue
        sign = "\N{GREATER-THAN OR EQUAL TO}" if comparator == "GE" else "\N{LESS-THAN OR EQUAL TO}"
        yield (
            "RangeCheck",
            {"Comparator": comparator, "SoftHard": "Hard" if hard else "Soft"},
            [
                ("CheckValue", {}, [f"{bound:f}"]),
                ("MeasurementUnitRef", {"MeasurementUnitOID": unit_oid(unit)}, []),
                ("ErrorMessage", {}, list(translated(f"{sign} {bound:f} {units.symbol(unit)}"))),
            ],
        )


def _items(design: Design) -> Iterator[Item]:
    parts = [
        (design.tables[name].dataset, design.columns(name))
        for name in CAPTURED
        if name in design.tables and name not in {"visits", "labs_long"}
    ]
    if design.has_visits:
        parts.append(design.visit_columns())
    for dataset, columns in parts:
        for column in columns:
            yield Item(
                cdisc.item_oid(dataset, column),
                f"{dataset.name}.{column.name}",
                column,
                column.words,
                code_lists.labels_of(dataset, column),
                UNIT_OF_COLUMN.get(column.name, "") if column.kind is Kind.NUMBER else "",
            )
    if "labs_long" in design.tables:
        dataset = design.tables["labs_long"].dataset
        for analyte in protocol.PANEL:
            for column in design.lab_columns():
                is_value = column.name == "value"
                yield Item(
                    lab_item_oid(analyte.code, column.name),
                    f"{analyte.code}.{column.name}",
                    column,
                    analyte.name if is_value else column.words,
                    code_lists.labels_of(dataset, column),
                    analyte.unit if is_value else "",
                    analyte if is_value else None,
                )


# --- code lists -----------------------------------------------------------------------------


def code_list_oid(codes: Mapping[str, str]) -> str:
    """Return the identifier of a list of codes: equal lists are one list."""
    return "CL." + "_".join(_word(code) for code in codes)[:60].upper()


def _word(code: str) -> str:
    return {"<": "BELOW", ">": "ABOVE"}.get(code, code)


def _code_lists(design: Design) -> Iterator[Tag]:
    found: dict[str, Mapping[str, str]] = {}
    for item in _items(design):
        if item.codes:
            known = found.setdefault(code_list_oid(item.codes), item.codes)
            if dict(known) != dict(item.codes):
                raise ValueError(f"two lists of codes would be called {code_list_oid(item.codes)}")
    for oid, codes in found.items():
        attributes = {"OID": oid, "Name": oid.removeprefix("CL.").lower(), "DataType": "text"}
        yield (
            "CodeList",
            attributes,
            [
                (
                    "CodeListItem",
                    {"CodedValue": code, "OrderNumber": str(place)},
                    [("Decode", {}, list(translated(label)))],
                )
                for place, (code, label) in enumerate(codes.items(), start=1)
            ],
        )
