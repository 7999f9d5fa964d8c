"""Laboratory values in files: number, comparator, unit, or a reason why there is none.

The same text in the same column always reads the same, so that each distinct
text is read once; a file of a million values holds a few thousand of them.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal

from patients import edit_checks
from patients.entries import LabEntry
from patients.imports import cells, columns
from patients.imports.cells import Manner, NotRead
from patients.imports.problems import RowRules, typed_differs
from patients.imports.staging import copied
from trial import protocol, typed, units
from trial.protocol import Analyte
from trial.typed import Unreadable


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


_MOST_REMEMBERED = 100_000


class Nothing:
    """The cell says nothing."""


NOTHING = Nothing()


@dataclass(frozen=True, slots=True)
class Wrong:
    """Why a value cannot be read, and which of its cells says so: value, unit, comparator, missing, typed, typed_unit."""

    part: str
    refusal: Unreadable


Read = str | Nothing | Wrong


class _OfPart(Exception):
    """A refusal on its way out; ``wrong`` says which cell it is about."""

    def __init__(self, part: str, refusal: Unreadable) -> None:
        self.wrong = Wrong(part, refusal)
        super().__init__(part)


@dataclass(slots=True)
class LabCells:
    """Reads the values of one analyte.

    ``unit`` is what header or mapping say, empty when they say nothing: then
    the standard unit is assumed, and the staged value notes that it was.
    ``not_read`` notes words that were read as no value, and marks behind values.
    """

    analyte: Analyte
    unit: str
    manner: Manner
    not_read: NotRead = field(default_factory=NotRead)
    _known: dict[tuple[str, ...], Read] = field(default_factory=dict)

    def read(
        self, text: str, unit: str, comparator: str, missing: str, as_typed: str = "", unit_as_typed: str = ""
    ) -> Read:
        """Return the COPY text of a value without its line, or nothing, or why it cannot be read.

        ``as_typed`` is what a report said where the file gives the value in another unit
        beside it, as an export of this software does; both have to agree.
        """
        key = (text, unit, comparator, missing, as_typed, unit_as_typed)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            found = self._known[key] = self._look(*key)
        return found

    def _look(
        self, text: str, unit: str, comparator: str, missing: str, as_typed: str, unit_as_typed: str
    ) -> Read:
        try:
            if cells.is_no_value(text) and cells.is_nothing(as_typed):
                if word := text.strip():
                    self.not_read.blanks.add(word)
                return self._without_value(missing)
            if reason := cells.missing_code(text):
                return self._with_reason(reason, missing, as_typed)
            if cells.is_nothing(as_typed):
                return self._with_value(text, unit, comparator, missing)
            return self._as_typed(text, unit, comparator, missing, as_typed, unit_as_typed)
        except _OfPart as found:
            return found.wrong
        except Unreadable as refusal:
            return Wrong("value", refusal)

    def _without_value(self, missing: str) -> Read:
        if cells.is_nothing(missing):
            return NOTHING
        return self._copied(None, "", "", "", self._reason(missing))

    def _with_reason(self, reason: str, missing: str, as_typed: str) -> str:
        """Take a reason that stands in place of the value, when nothing beside it says otherwise."""
        if not cells.is_nothing(as_typed):
            raise _OfPart("typed", _WRONG("value_and_reason"))
        if not cells.is_nothing(missing) and self._reason(missing) != reason:
            raise _WRONG("two_reasons")
        return self._copied(None, "", "", "", reason)

    def _reason(self, missing: str) -> str:
        try:
            return cells.read_missing(missing)
        except Unreadable as refusal:
            raise _OfPart("missing", refusal) from None

    def _with_value(self, text: str, unit: str, comparator: str, missing: str) -> str:
        entry, assumed = self._entry(text, unit, comparator, missing, self.manner)
        return self._entered(entry, assumed=assumed)

    def _as_typed(
        self, text: str, unit: str, comparator: str, missing: str, as_typed: str, unit_as_typed: str
    ) -> str:
        """Keep what was typed when it is the value beside it."""
        written = as_typed[1:] if as_typed[:1] == "'" else as_typed
        entry = self._typed_entry(written, unit, unit_as_typed, missing)
        if not cells.is_nothing(text):
            value, _assumed = self._entry(text, unit, comparator, missing, self.manner)
            if (_stored(value), value.comparator) != (_stored(entry), entry.comparator):
                raise typed_differs(text, as_typed)
        return self._entered(entry)

    def _typed_entry(self, written: str, unit: str, unit_as_typed: str, missing: str) -> LabEntry:
        said = unit_as_typed or unit
        parts = ("typed", "typed_unit" if unit_as_typed else "unit")
        # people type a decimal comma whatever the file around it does
        with suppress(Unreadable):
            return self._entry(written, said, "", missing, Manner(), parts=parts)[0]
        try:
            return self._entry(written, said, "", missing, Manner(decimal_comma=True), parts=parts)[0]
        except Unreadable as refusal:
            raise _OfPart("typed", refusal) from None

    def _entry(
        self,
        text: str,
        unit: str,
        comparator: str,
        missing: str,
        manner: Manner,
        *,
        parts: tuple[str, str] = ("value", "unit"),
    ) -> tuple[LabEntry, bool]:
        """Return a value, and whether its unit was assumed because nobody said one; ``parts`` names the two cells."""
        if not cells.is_nothing(missing):
            raise _WRONG("value_and_reason")
        written = comparator.strip() + text.strip()
        found = self._number(text, written, manner)
        self.not_read.marks.update(found.marks)
        said = self._said_unit(text, unit, found.unit, parts)
        entry = LabEntry(
            analyte=self.analyte.code,
            value=found.value,
            comparator=found.comparator,
            typed_text=written,
            typed_unit=said or self.analyte.unit,
        )
        if breach := edit_checks.breach(entry):
            raise Unreadable(breach.rule, text, breach.sentence, breach.remedy)
        return entry, not said

    def _entered(self, entry: LabEntry, *, assumed: bool = False) -> str:
        return self._copied(
            entry.standard_value, entry.comparator, entry.typed_text, entry.typed_unit, "", assumed=assumed
        )

    def _number(self, text: str, written: str, manner: Manner) -> typed.Typed:
        try:
            return cells.read_decimal(written, manner)
        except Unreadable as refusal:
            if refusal.rule == "unknown_unit":
                breach = edit_checks.unit_breach(self.analyte, "")
                raise Unreadable(refusal.rule, text, refusal.sentence, breach.remedy) from None
            if written != text.strip():
                with suppress(Unreadable):
                    cells.read_decimal(text, manner)
                    # the value alone can be read: what is wrong is the sign in front of it
                    raise _OfPart("comparator", refusal) from None
            raise

    def _said_unit(self, text: str, in_column: str, in_cell: str | None, parts: tuple[str, str]) -> str:
        column = None
        if not cells.is_nothing(in_column):
            column = columns.unit_in(in_column) or typed.printable(in_column)
        for unit, where, said in ((column, parts[1], in_column), (in_cell, parts[0], text)):
            if unit is not None and unit not in self.analyte.accepted:
                breach = edit_checks.unit_breach(self.analyte, unit)
                raise _OfPart(where, Unreadable(breach.rule, said, breach.sentence, breach.remedy))
        units_said = {unit for unit in (in_cell, column, self.unit) if unit}
        if len(units_said) > 1:
            wrong = _WRONG("two_units", units=", ".join(sorted(units_said)))
            raise _OfPart(parts[1] if column else parts[0], wrong)
        return units_said.pop() if units_said else ""

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
        parts = (
            self.analyte.code,
            copied(value),
            comparator,
            copied(text),
            unit,
            reason,
            "t" if assumed else "f",
        )
        return "\t".join(parts) + "\n"


_WRONG = RowRules(
    {
        "value_and_reason": (
            _("The row gives a value and a reason why there is none."),
            _("Keep one of them."),
        ),
        "two_reasons": (_("The row gives two reasons why there is no value."), _("Keep one of them.")),
        "two_units": (
            _("Two units are said for this value: %(units)s."),
            _("Correct the one that is wrong."),
        ),
    }
)


def _stored(entry: LabEntry) -> Decimal:
    """Return a value as the study keeps it."""
    value = entry.standard_value or Decimal(0)
    return value.quantize(Decimal(1).scaleb(-units.STORED_PLACES))


def plain_number(value: Decimal) -> str:
    """Write a number without exponent and without trailing zeros."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def lab_cells(code: str, unit: str, manner: Manner, not_read: NotRead) -> LabCells:
    """Return the reader of one analyte; it notes in ``not_read`` what it passed over."""
    return LabCells(protocol.ANALYTES[code], unit, manner, not_read)
