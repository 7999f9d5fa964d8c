"""One analyte of a panel: what was typed, what it reads as, what the checks say of it.

The same for the one column of a visit and a row of the grid: :func:`read` reads,
:func:`attach` puts the soft checks of a whole draw beside the rows they are about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from django.utils.translation import gettext

from patients import draws, edit_checks
from patients.edit_checks import Doubt
from patients.entries import LabEntry
from patients.forms.fields import named, said
from patients.models import LabResult
from patients.printing import decimals_as_reported, in_print, range_text
from patients.selectors import LastValue
from trial import typed, units
from trial.protocol import Analyte, Limits
from trial.typed import Unreadable
from trial.unit_words import unit_said


@dataclass(slots=True)
class Row:
    """One analyte of the panel as the page shows it."""

    analyte: Analyte
    text: str
    unit: str
    missing: str
    stored: LabResult | None
    last: LastValue | None
    reference: Limits
    errors: list[str] = field(default_factory=list)
    doubt: Doubt | None = None
    is_confirmed: bool = False
    entry: LabEntry | None = None
    notice: str = ""

    @property
    def code(self) -> str:
        return self.analyte.code

    @property
    def state(self) -> str:
        """How the cell looks: ``wrong``, ``warned``, ``missing``, ``stored``, or nothing yet."""
        if self.errors:
            return "wrong"
        if self.doubt and not self.is_confirmed:
            return "warned"
        if self.missing:
            return "missing"
        return "stored" if self.entry is not None else ""

    @property
    def is_open(self) -> bool:
        """Whether the protocol wants it at every visit and nothing is entered."""
        return self.analyte.required and not self.text.strip() and not self.missing

    @property
    def is_as_stored(self) -> bool:
        """Whether the fields say what the database says."""
        stored = self.stored
        return (
            stored is not None
            and (self.text.strip(), self.missing) == (stored.typed_text, stored.missing_reason)
            and (bool(self.missing) or self.unit == stored.typed_unit)
        )

    @property
    def has_message(self) -> bool:
        return bool(self.errors or self.doubt or self.notice)

    @property
    def errors_said(self) -> list[str]:
        """What is wrong, each message with the name of the analyte."""
        return [named(gettext(self.analyte.label), error) for error in self.errors]

    @property
    def fingerprint(self) -> str:
        """What a confirmation confirms: this text in this unit."""
        return f"{self.text.strip()}|{self.unit}"

    @property
    def choices(self) -> list[tuple[str, str]]:
        return [(unit, unit_said(unit)) for unit in self.analyte.accepted]

    @property
    def name(self) -> str:
        return gettext(self.analyte.name)

    @property
    def value(self) -> Decimal | None:
        return self.entry.standard_value if self.entry is not None and not self.errors else None

    @property
    def flag(self) -> str:
        """``high`` or ``low`` against the reference, or nothing."""
        if self.value is None or self.reference.holds(self.value):
            return ""
        is_low = self.reference.low is not None and self.value < self.reference.low
        return "low" if is_low else "high"

    @property
    def reference_shown(self) -> str:
        """The limits as a report prints them: both, or the one there is."""
        return range_text(self.reference)

    @property
    def last_shown(self) -> str:
        return "" if self.last is None else in_print(self.last.value, self.last.result.decimals)

    @property
    def change(self) -> Decimal | None:
        return None if self.value is None or self.last is None else self.value - self.last.value

    @property
    def change_decimals(self) -> int:
        """How many decimals the change is printed with: as many as the finer of the two values."""
        if self.value is None or self.last is None or self.entry is None:
            return self.analyte.decimals
        is_converted = self.entry.typed_unit not in ("", self.analyte.unit)
        own = decimals_as_reported(self.value, self.analyte.decimals, converted=is_converted)
        return max(own, self.last.result.decimals)

    @property
    def comparator(self) -> str:
        return self.entry.comparator if self.entry is not None else ""

    @property
    def kept(self) -> str:
        """The limit that a value with a comparator stands for."""
        if self.entry is None or self.entry.value is None:
            return ""
        return f"{self.entry.comparator} {edit_checks.plain(self.entry.value)}"

    @property
    def doubt_said(self) -> str:
        return self.doubt.sentence.said(gettext) if self.doubt else ""

    @property
    def doubt_detail(self) -> str:
        return self.doubt.detail.said(gettext) if self.doubt else ""

    @property
    def unit_symbol(self) -> str:
        return units.symbol(self.unit)

    @property
    def doubt_unit_symbol(self) -> str:
        return units.symbol(self.doubt.unit) if self.doubt else ""


# --- reading --------------------------------------------------------------------------------


def read(row: Row, *, seen_version: int = 0, is_unit_chosen: bool = False) -> None:
    """Read what stands in a row; what cannot be read or cannot be stays, with why beside it.

    ``seen_version`` is the version of the visit on screen, ``is_unit_chosen``
    whether the person has just picked the unit, which then counts more than one
    typed beside the number.
    """
    if row.stored is not None and row.is_as_stored:
        row.entry = draws.entered(row.stored)
        return
    if row.missing:
        _read_missing(row)
        return
    if not row.text.strip():
        # what somebody else entered since is not missing here, it was not seen yet
        if row.stored is not None and row.stored.version <= seen_version:
            row.errors.append(
                gettext(
                    "The stored value does not go away. Type a value, or choose a reason why there is none."
                )
            )
        return
    try:
        number = typed.read_number(row.text)
    except Unreadable as error:
        row.errors.append(said(error))
        return
    if number.unit is not None and not is_unit_chosen:
        row.unit = number.unit
    row.notice = number.notice.said(gettext) if number.notice else ""
    _accept(
        row,
        LabEntry(
            analyte=row.code,
            value=number.value,
            comparator=number.comparator,
            typed_text=number.text,
            typed_unit=row.unit,
        ),
    )


def _read_missing(row: Row) -> None:
    is_old_text = row.stored is not None and row.text.strip() == row.stored.typed_text
    if row.text.strip() and not is_old_text:
        row.errors.append(gettext("There is a value and a reason why there is none. Keep one of the two."))
        return
    if _accept(row, LabEntry(analyte=row.code, missing_reason=row.missing)):
        row.text = ""


def _accept(row: Row, entry: LabEntry) -> bool:
    breach = edit_checks.breach(entry)
    if breach is not None:
        row.errors.append(said(breach))
        return False
    row.entry = entry
    return True


def attach(rows: Sequence[Row], doubts: Iterable[Doubt], confirmed: Callable[[Row], bool]) -> None:
    """Put each soft check beside the first row it is about that is not stored as it stands.

    A value that is stored as it stands was confirmed when it was saved.
    """
    by_code = {row.code: row for row in rows}
    for doubt in doubts:
        for code in doubt.fields:
            row = by_code.get(code)
            if row is not None and row.doubt is None and row.entry is not None and not row.is_as_stored:
                row.doubt = doubt
                row.is_confirmed = confirmed(row)
                break
