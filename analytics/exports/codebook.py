"""The codebook of an export: what every column means, as a page to read and a table to compute with.

It goes with the files in every format and describes exactly the columns that are in
them. The page stands on its own: no script, nothing loaded, light and dark, and on paper.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from django.template.loader import render_to_string
from django.utils.translation import override

from analytics.datasets import FROM_RESULTS, Column, Dataset, Kind
from analytics.exports import cdisc, code_lists
from analytics.exports.asked import Asked
from analytics.exports.odm_design import CHINESE, said
from trial import protocol, units
from trial.sentences import Sentence

PAGE, TABLE = "codebook.html", "codebook.csv"
HEADER = (
    "dataset", "column", "label", "label_zh", "kind", "unit", "codes", "codes_zh", "missing", "derived_from"
)  # fmt: skip
ADAM = frozenset({"adsl", "adlb", "adtte"})

_KINDS: Mapping[Kind, str] = {
    Kind.TEXT: "text",
    Kind.CODE: "code",
    Kind.NUMBER: "exact number",
    Kind.WHOLE: "whole number",
    Kind.DATE: "date, ISO 8601",
    Kind.TIME: "moment, ISO 8601",
}
_UNITS = {"age": "years", "weight_kg": "kg", "volume_ml": "mL", "cells": "cells", "cells_per_kg": "cells/kg"}

_SOURCES: Mapping[str, str] = {
    "subjects": "recruitment, last screening, infusions and outcomes of each subject",
    "screening": "the answers to the criteria",
    "infusions": "infusions that were given and not voided",
    "visits": "visits of the protocol and unscheduled draws",
    "labs_long": "laboratory values as typed and in the standard unit",
    "labs_wide": "the values of labs_long, a visit a row",
    "events": "adverse events, treatments and outcomes",
    "scores": "computed from the values of the same visit; inputs say which",
    "cells": "the analysis: one comparison or description a row",
    "tests": "the analysis: every method for each comparison",
    "audit": "the trail: every row that was written",
    "adsl": "subjects, infusions and outcomes, in the names of ADaM",
    "adlb": "labs_long and scores, in the names of ADaM",
    "adtte": "the follow-up of the survival analysis, in the names of ADaM",
}
_DERIVED: Mapping[str, str] = {
    "group": f"diagnosis and valid infusions; prolonged from infusion {protocol.PROLONGED_FROM} on. Without any"
    " infusion it is that of the shorter course: keep treated = t to count a group",
    "eligible": "the last screening, and at least one infusion",
    "treated": "at least one valid infusion",
    "landmark": f"treated, alive, not transplanted and not gone on day {protocol.LANDMARK_DAY}",
    "after_end": "day of the visit and of the draw, against death and transplant",
    "cells_per_kg": "cells / weight_kg",
    "loinc": "the analyte",
    "unit": "the analyte",
    "unscheduled": "week",
    "TRT01P": "planned_course of subjects; nobody was allocated",
    "TRT01A": "the number of valid infusions",
    "GRPCD": "diagnosis and valid infusions (in adtte from the landmark: those until then)",
    "TRTFL": "treated of subjects",
    "ELIGFL": "eligible of subjects",
    "LANDFL": "landmark of subjects",
    "EOSSTT": "COMPLETED before any other end; DISCONTINUED at the first of the others; else ONGOING",
    "BASE": "AVAL of week 0 of the same parameter",
    "CHG": "AVAL - BASE; the decrease of the paper is BASE - AVAL",
    "ADY": "ADT - day of the first infusion, + 1 from that day on: there is no day 0",
    "ANRLO": "the range of the laboratory in force on the day of the draw, else the protocol's",
    "ANRHI": "the range of the laboratory in force on the day of the draw, else the protocol's",
    "ANRIND": "AVAL against ANRLO and ANRHI",
    "ATOXGR": "AVAL, the range and the last value before the first infusion; as proposed, not as confirmed",
    "BTOXGR": "the last value before the first infusion, against the range alone",
    "ANL01FL": "a value of a planned week, before death and transplant: what the analysis reads",
    "ANL02FL": "ANL01FL, and not PLASMAFL: the sensitivity analysis without plasma",
    "PLASMAFL": "hours of the draw and of plasma; Y as well where they leave it open",
    "POSTFL": "day of the visit and of the draw, against death and transplant",
    "CNSR": "0 with an event, 1 without; what follows withdrawal or loss is not heard of",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One column, described."""

    dataset: str
    column: str
    label: str
    label_zh: str
    kind: str
    unit: str
    codes: Sequence[tuple[str, str, str]]
    missing: str
    derived_from: str

    def row(self) -> tuple[str, ...]:
        """Return it as a row of the table."""
        return (
            self.dataset,
            self.column,
            self.label,
            self.label_zh,
            self.kind,
            self.unit,
            "; ".join(f"{code} = {label}" for code, label, _zh in self.codes),
            "; ".join(f"{code} = {zh}" for code, _label, zh in self.codes if zh),
            self.missing,
            self.derived_from,
        )


@dataclass(frozen=True, slots=True)
class Part:
    """One dataset, described."""

    name: str
    grain: str
    source: str
    entries: Sequence[Entry]


def write(directory: Path, datasets: Sequence[Dataset], asked: Asked) -> Iterable[Path]:
    """Write the codebook of an export into its directory; return the two files."""
    parts = list(described(datasets, identified=asked.identified))
    table, page = directory / TABLE, directory / PAGE
    with table.open("w", encoding="utf-8-sig", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(HEADER)
        rows.writerows(entry.row() for part in parts for entry in part.entries)
    with override("en"):
        page.write_text(_page(parts, asked), encoding="utf-8", newline="\n")
    return [page, table]


def described(datasets: Sequence[Dataset], *, identified: bool) -> Iterator[Part]:
    """Yield the description of each dataset, with the columns its files have."""
    for dataset in datasets:
        columns = dataset.shown(identified=identified)
        reasons = code_lists.reason_of(columns)
        yield Part(
            dataset.name,
            dataset.grain,
            _SOURCES.get(dataset.name, ""),
            [_entry(dataset, column, reasons.get(column.name, "")) for column in columns],
        )


def _entry(dataset: Dataset, column: Column, reason: str) -> Entry:
    codes = [(code, label, _chinese(label)) for code, label in code_lists.labels_of(dataset, column).items()]
    missing = f"The reason for an empty one is in {reason}." if reason else ""
    analyte = protocol.ANALYTES.get(column.name) if dataset.name == "labs_wide" else None
    label = f"{analyte.name}, {units.symbol(analyte.unit)}" if analyte else column.label
    derived = _DERIVED.get(column.name, "")
    if not derived and dataset.name in FROM_RESULTS - ADAM and column.kind is Kind.NUMBER:
        derived = "the analysis of the revision named in the row"
    return Entry(
        dataset.name,
        column.name,
        label,
        _chinese(analyte.name if analyte else column.words),
        _KINDS[column.kind],
        _unit(dataset, column),
        codes,
        missing,
        derived,
    )


def _unit(dataset: Dataset, column: Column) -> str:
    if column.kind not in {Kind.NUMBER, Kind.WHOLE}:
        return ""
    if dataset.name == "labs_wide" and column.name in protocol.ANALYTES:
        return protocol.ANALYTES[column.name].unit
    if dataset.name in {"labs_long", "cells", "tests"} and column.name == "value":
        return "in unit"
    if dataset.name == "adlb" and column.name in {"AVAL", "BASE", "CHG", "ANRLO", "ANRHI"}:
        return "in AVALU"
    if column.name.endswith(("_day", "DY")) or (dataset.name, column.name) == ("adtte", "AVAL"):
        return "days"
    if dataset.name in {"subjects", "infusions", "adsl"}:
        return _UNITS.get(column.name.lower(), "")
    return ""


def _chinese(words: str | Sentence) -> str:
    """Return words in Chinese, or nothing where the catalogue has none."""
    if not words:
        return ""
    with override("en"):
        english = said(words)
    with override(CHINESE):
        chinese = said(words)
    return chinese if chinese != english else ""


def _page(parts: Sequence[Part], asked: Asked) -> str:
    page = render_to_string(
        "analytics/codebook.html",
        {
            "parts": parts,
            "asked": asked,
            "title": protocol.TITLE,
            "protocol": protocol.VERSION,
            "originator": cdisc.originator(),
            "made_at": cdisc.made_at(),
            "missing_reasons": [(code, label, _chinese(label)) for code, label in code_lists.MISSING.items()],
        },
    )
    # the page stands alone, so its style is in it; pages that are served have theirs in files
    style = (Path(__file__).parent / "codebook.css").read_text(encoding="utf-8")
    return page.replace("</head>", f"<style>\n{style}</style>\n</head>", 1)
