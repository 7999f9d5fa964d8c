"""The formats of an export: the only list of them, and what every writer has to keep to.

A writer is a module with a function

``write(table, path) -> Wrote``
    for a format with a file per dataset, or

``write_together(tables, path) -> list[Wrote]``
    for a format that holds all datasets in one file (``together``).

It may have a function ``check`` with the same first argument, which raises :class:`TooLarge`
when the format cannot hold what is asked for. It is called before anything is written.

It writes :meth:`Table.records` (exact text as PostgreSQL writes it, None where there
is nothing) in the columns :attr:`Table.columns`, and says what its format cannot hold.
Writers are imported when they are used: some need libraries that are slow to load.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import Any


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


class TooLarge(ValueError):
    """A format cannot hold what was asked for; the message says what to do instead."""


@dataclass(frozen=True, slots=True)
class Wrote:
    """What a writer did: rows, the names its columns got, and what a reader has to know."""

    rows: int
    names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Format:
    """One format of an export."""

    code: str
    label: str
    extension: str
    writer: str
    holds: str
    bytes_per_cell: float
    together: bool = False

    def module(self) -> Any:
        """Return the writer."""
        return import_module(self.writer)

    def check(self, tables: Sequence[Any]) -> None:
        """Refuse what the format cannot hold.

        Raises
        ------
        TooLarge
            Naming what is too large, the limit, and what to do instead.
        """
        look = getattr(self.module(), "check", None)
        if look is not None:
            for asked in [tables] if self.together else tables:
                look(asked)


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        each.code: each
        for each in (
            Format("csv", _("CSV"), "csv", "analytics.exports.csv_files", _("exact text; opens everywhere"), 6),
            Format("xlsx", _("Excel"), "xlsx", "analytics.exports.xlsx_files", _("numbers, real dates, no formula"), 6),
            Format(
                "sav", _("SPSS"), "sav", "analytics.exports.spss_files",
                _("labels, reasons as user-missing values; nearest double"), 10,
            ),
            Format(
                "dta", _("Stata"), "dta", "analytics.exports.stata_files",
                _("labels, reasons as .a to .f; nearest double"), 10,
            ),
            Format(
                "xpt", _("SAS transport"), "xpt", "analytics.exports.sas_files",
                _("version 5: names of 8 letters, long text in pieces; nearest double"), 14,
            ),
            Format(
                "parquet", _("Parquet"), "parquet", "analytics.exports.parquet_files",
                _("exact decimals, typed; for R, Python, Julia"), 2,
            ),
            Format(
                "odm", _("CDISC ODM-XML"), "xml", "analytics.exports.odm",
                _("version 1.3.2: what was captured, with its forms, units and code lists"), 60, together=True,
            ),
            Format(
                "dataset-json", _("CDISC Dataset-JSON"), "json", "analytics.exports.dataset_json",
                _("version 1.1: exact decimals, types, lengths, keys"), 10,
            ),
            Format(
                "dataset-ndjson", _("CDISC Dataset-NDJSON"), "ndjson", "analytics.exports.dataset_ndjson",
                _("the same, a row a line: for files larger than memory"), 10,
            ),
        )
    }
)  # fmt: skip
"""Every format by the word that the command takes."""
