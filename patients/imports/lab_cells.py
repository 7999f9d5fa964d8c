"""Laboratory values in files: number, comparator, unit, or a reason why there is none.

The same text in the same column always reads the same, so that each distinct
text is read once; a file of a million values holds a few thousand of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from patients import edit_checks
from patients.entries import LabEntry
from patients.imports import cells
from patients.imports.cells import Manner
from patients.imports.staging import copied
from trial import protocol, typed
from trial.protocol import Analyte
from trial.sentences import Sentence
from trial.typed import Unreadable


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


_MOST_REMEMBERED = 100_000


class Nothing:
    """The cell says nothing."""


NOTHING = Nothing()
Read = str | Nothing | Unreadable


@dataclass(slots=True)
class LabCells:
    """Reads the values of one analyte.

    ``unit`` is what header or mapping say, empty when they say nothing: then
    the standard unit is assumed, and the staged value notes that it was.
    """

    analyte: Analyte
    unit: str
    manner: Manner
    blanks_by_word: bool = False
    _known: dict[tuple[str, str, str, str], Read] = field(default_factory=dict)

    def read(self, text: str, unit: str, comparator: str, missing: str) -> Read:
        """Return the COPY text of a value without its line, or nothing, or why it cannot be read."""
        key = (text, unit, comparator, missing)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            found = self._known[key] = self._look(text, unit, comparator, missing)
        return found

    def _look(self, text: str, unit: str, comparator: str, missing: str) -> Read:
        try:
            if cells.is_nothing(text):
                self.blanks_by_word = self.blanks_by_word or bool(text.strip())
                return self._without_value(missing)
            if reason := cells.missing_code(text):
                return self._copied(None, "", "", "", reason)
            return self._with_value(text, unit, comparator, missing)
        except Unreadable as refusal:
            return refusal

    def _without_value(self, missing: str) -> Read:
        if cells.is_nothing(missing):
            return NOTHING
        return self._copied(None, "", "", "", cells.read_missing(missing))

    def _with_value(self, text: str, unit: str, comparator: str, missing: str) -> str:
        if not cells.is_nothing(missing):
            raise Unreadable(
                "value_and_reason",
                text,
                Sentence(_("The row gives a value and a reason why there is none.")),
                Sentence(_("Keep one of them.")),
            )
        written = comparator.strip() + text.strip()
        found = cells.read_decimal(written, self.manner)
        said = self._said_unit(text, unit, found.unit)
        entry = LabEntry(
            analyte=self.analyte.code,
            value=found.value,
            comparator=found.comparator,
            typed_text=written,
            typed_unit=said or self.analyte.unit,
        )
        if breach := edit_checks.breach(entry):
            raise Unreadable(breach.rule, text, breach.sentence, breach.remedy)
        return self._copied(
            entry.standard_value, found.comparator, written, entry.typed_unit, "", assumed=not said
        )

    def _said_unit(self, text: str, in_column: str, in_cell: str | None) -> str:
        column = ""
        if not cells.is_nothing(in_column):
            column = typed.read_unit(in_column) or ""
            if column not in self.analyte.accepted:
                raise self._wrong_unit(in_column)
        if in_cell is not None and in_cell not in self.analyte.accepted:
            raise self._wrong_unit(in_cell)
        said = {unit for unit in (in_cell, column, self.unit) if unit}
        if len(said) > 1:
            raise Unreadable(
                "two_units",
                text,
                Sentence(
                    _("Two units are said for this value: %(units)s."), {"units": ", ".join(sorted(said))}
                ),
                Sentence(_("Correct the one that is wrong.")),
            )
        return said.pop() if said else ""

    def _wrong_unit(self, text: str) -> Unreadable:
        return Unreadable(
            "unit",
            text,
            Sentence(
                _("“%(unit)s” is not a unit of %(analyte)s."),
                {"unit": typed.printable(text), "analyte": self.analyte.label},
            ),
            Sentence(_("Write one of: %(units)s."), {"units": ", ".join(self.analyte.accepted)}),
        )

    def _copied(
        self,
        value: Decimal | None,
        comparator: str,
        text: str,
        unit: str,
        reason: str,
        *,
        assumed: bool = False,
    ) -> str:
        columns = (
            self.analyte.code,
            copied(value),
            comparator,
            copied(text),
            unit,
            reason,
            "t" if assumed else "f",
        )
        return "\t".join(columns) + "\n"


def plain_number(value: Decimal) -> str:
    """Write a number without exponent and without trailing zeros."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def lab_cells(code: str, unit: str, manner: Manner) -> LabCells:
    """Return the reader of one analyte."""
    return LabCells(protocol.ANALYTES[code], unit, manner)
