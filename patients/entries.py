"""What a person or a file hands in: one laboratory value, one answer. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from trial import protocol
from trial.protocol import Analyte, Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class LabEntry:
    """One analyte as it was handed in.

    ``value`` is in ``typed_unit`` (the standard unit when that is empty); with a
    ``missing_reason`` there is none. ``typed_text`` is the original.
    """

    analyte: str
    value: Decimal | None = None
    comparator: str = ""
    typed_text: str = ""
    typed_unit: str = ""
    missing_reason: str = ""

    @property
    def declared(self) -> Analyte:
        """The analyte of the panel; ``KeyError`` if it has none of this name."""
        return protocol.ANALYTES[self.analyte]

    @property
    def unit(self) -> str:
        return self.typed_unit or self.declared.unit

    @property
    def standard_value(self) -> Decimal | None:
        """The value in the analyte's standard unit; ``KeyError`` for a unit it does not accept."""
        if self.value is None:
            return None
        return self.declared.in_standard_unit(self.value, self.unit)


@dataclass(frozen=True, slots=True)
class AnswerEntry:
    """The answer to one criterion and what it rests on."""

    answer: Answer = Answer.UNKNOWN
    evidence: str = ""
    evidence_on: date | None = None
