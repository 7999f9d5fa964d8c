"""The form of a visit's panel, grown from the protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from patients import edit_checks
from patients.edit_checks import Doubt
from patients.entries import LabEntry
from patients.forms.fields import CorrectionForm, said, text_field
from patients.models import LabResult, Patient, Visit
from patients.printing import in_print
from patients.selectors import LastValue
from trial import clock, protocol, typed, units
from trial.protocol import Analyte, Limits, Sex
from trial.refusals import Refused
from trial.typed import Unreadable


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
    def fingerprint(self) -> str:
        """What a confirmation confirms: this text in this unit."""
        return f"{self.text.strip()}|{self.unit}"

    @property
    def choices(self) -> list[tuple[str, str]]:
        return [(unit, units.symbol(unit)) for unit in self.analyte.accepted]

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
    def last_shown(self) -> str:
        return "" if self.last is None else in_print(self.last.value, self.analyte.decimals)

    @property
    def change(self) -> Decimal | None:
        return None if self.value is None or self.last is None else self.value - self.last.value

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


class LabPanelForm(CorrectionForm):
    """The whole panel of one visit in one column, with the day and the time of the draw.

    An analyte has four fields: its code (the value as text), ``unit_``,
    ``missing_`` and ``confirm_``. What cannot be read stays in its field.
    """

    visited_on = text_field(_("Day of the draw"))
    drawn_at = text_field(_("Time of the draw"))
    seen_version = forms.IntegerField(
        required=False, min_value=0, max_value=2**31 - 1, widget=forms.HiddenInput
    )

    def __init__(
        self,
        data: Any = None,
        *,
        patient: Patient,
        visit: Visit,
        stored: Mapping[str, LabResult],
        last: Mapping[str, LastValue],
        today: date,
        use_unit: Mapping[str, str] | None = None,
        suggested_day: date | None = None,
    ) -> None:
        self.patient, self.visit, self.stored, self.last, self.today = patient, visit, stored, last, today
        self.stored_hour = self._stored_hour()
        super().__init__(data, initial=self._initial(suggested_day))
        self.use_unit = use_unit or {}
        self.rows: list[Row] = []
        for analyte in protocol.PANEL:
            self.fields[analyte.code] = text_field(analyte.label)
            for prefix in ("unit", "missing", "why", "confirm", "keep"):
                self.fields[f"{prefix}_{analyte.code}"] = text_field()
        self.fields["keep_visited_on"] = text_field()
        self.rows = [self._row(analyte) for analyte in protocol.PANEL]
        self._show_stored()

    @staticmethod
    def analyte_codes() -> tuple[str, ...]:
        """Return the analytes the form asks for."""
        return tuple(analyte.code for analyte in protocol.PANEL)

    # --- what the fields hold ---------------------------------------------------------------

    def _initial(self, suggested_day: date | None) -> dict[str, Any]:
        day = self.visit.visited_on or suggested_day
        return {
            "visited_on": day.isoformat() if day else "",
            "drawn_at": f"{self.stored_hour:%H:%M}" if self.stored_hour else "",
            "version": 0 if self.visit._state.adding else self.visit.version,
        }

    def _stored_hour(self) -> time | None:
        moment = next((r.sampled_at for r in self.stored.values() if r.sampled_at), None)
        return clock.hour_at(self.patient.site, moment) if moment else None

    def _row(self, analyte: Analyte) -> Row:
        stored = self.stored.get(analyte.code)
        reference = analyte.reference[Sex(self.patient.sex)]
        if self.is_bound:
            unit = self.use_unit.get(analyte.code) or self.posted(f"unit_{analyte.code}") or analyte.unit
            text = self.posted(analyte.code)
            # the second name is the list that stands there where there are no scripts
            missing = self.posted(f"missing_{analyte.code}") or self.posted(f"why_{analyte.code}")
        else:
            unit = (stored.typed_unit if stored else "") or analyte.unit
            text, missing = (stored.typed_text, stored.missing_reason) if stored else ("", "")
        return Row(analyte, text, unit, missing, stored, self.last.get(analyte.code), reference)

    def _show_stored(self) -> None:
        if self.is_bound:
            return
        for row in self.rows:
            if row.stored is not None:
                row.entry = _as_stored(row.stored)

    # --- reading ----------------------------------------------------------------------------

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        cleaned["visited_on"] = self._read_day()
        cleaned["drawn_at"] = self._read_hour()
        for row in self.rows:
            self._read(row)
        self._check(cleaned["visited_on"])
        for row in self.rows:
            if row.errors:
                self.add_error(row.code, row.errors)
            elif row.doubt and not row.is_confirmed:
                self.add_error(row.code, forms.ValidationError(row.doubt_said, code="to_confirm"))
        self.read_reason()
        return cleaned

    def _read_day(self) -> date | None:
        # a visit from an old file may have no date; correcting its values does not ask for one
        needed = self.visit.visited_on is not None or self.visit._state.adding
        return self.read_day(
            "visited_on",
            today=self.today,
            life=edit_checks.Life(self.today, self.patient.birth_date),
            needed=needed,
        )

    def _read_hour(self) -> time | None:
        text = self.posted("drawn_at")
        if not text.strip():
            return None
        try:
            return typed.read_time(text)
        except Unreadable as error:
            self.add_error("drawn_at", said(error))
            return None

    def _read(self, row: Row) -> None:
        if row.stored is not None and row.is_as_stored:
            row.entry = _as_stored(row.stored)
            return
        if row.missing:
            self._read_missing(row)
            return
        if not row.text.strip():
            # what somebody else entered since is not missing here, it was not seen yet
            seen = self.cleaned_data.get("version") or 0
            if row.stored is not None and row.stored.version <= seen:
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
        if number.unit is not None and row.code not in self.use_unit:
            row.unit = number.unit
        row.notice = number.notice.said(gettext) if number.notice else ""
        entry = LabEntry(
            analyte=row.code,
            value=number.value,
            comparator=number.comparator,
            typed_text=number.text,
            typed_unit=row.unit,
        )
        breach = edit_checks.breach(entry)
        if breach is not None:
            row.errors.append(said(breach))
            return
        row.entry = entry

    def _read_missing(self, row: Row) -> None:
        is_old_text = row.stored is not None and row.text.strip() == row.stored.typed_text
        if row.text.strip() and not is_old_text:
            row.errors.append(
                gettext("There is a value and a reason why there is none. Keep one of the two.")
            )
            return
        entry = LabEntry(analyte=row.code, missing_reason=row.missing)
        if (breach := edit_checks.breach(entry)) is not None:
            row.errors.append(said(breach))
            return
        row.text, row.entry = "", entry

    def _check(self, day: date | None) -> None:
        """Attach the soft checks; a value that is stored as it stands was confirmed before."""
        entries = [row.entry for row in self.rows if row.entry is not None]
        earlier = {code: last.as_earlier() for code, last in self.last.items()}
        around = edit_checks.Around(earlier=earlier, drawn_on=day)
        doubts = {d.analyte: d for d in edit_checks.doubts(entries, around)}
        for row in self.rows:
            doubt = doubts.get(row.code)
            if doubt is None or row.is_as_stored:
                continue
            row.doubt = doubt
            row.is_confirmed = self.posted(f"confirm_{row.code}") == row.fingerprint

    # --- what the action gets ---------------------------------------------------------------

    def entries(self) -> list[LabEntry]:
        """Return what is new and can be read, leaving out where the other person's value stays."""
        return [
            row.entry
            for row in self.rows
            if row.entry is not None and not row.is_as_stored and self.posted(f"keep_{row.code}") != "theirs"
        ]

    def day(self) -> date | None:
        """Return the day of the draw, or None to leave it."""
        day: date | None = self.cleaned_data["visited_on"]
        return None if self.posted("keep_visited_on") == "theirs" else day

    def moment(self) -> datetime | None:
        """Return the moment of the draw, or None when it is as it was."""
        hour, day = self.cleaned_data["drawn_at"], self.cleaned_data["visited_on"] or self.visit.visited_on
        if hour is None or day is None or (hour == self.stored_hour and day == self.visit.visited_on):
            return None
        return clock.moment_at(self.patient.site, day, hour)

    def decided(self) -> dict[str, int]:
        """Return the collided fields that this person keeps as typed, with the version they saw."""
        seen = self.cleaned_data.get("seen_version")
        if seen is None:
            return {}
        names = (*self.analyte_codes(), "visited_on")
        return {name: seen for name in names if self.posted(f"keep_{name}") == "mine"}

    def add_problems(self, refused: Refused) -> None:
        """Show what the action refused beside the fields it is about."""
        rows = {row.code: row for row in self.rows}
        for problem in refused.problems:
            if problem.field in rows:
                rows[problem.field].errors.append(problem.in_words)
        super().add_problems(refused)

    # --- what the page counts ---------------------------------------------------------------

    @property
    def filled(self) -> int:
        return sum(1 for row in self.rows if row.text.strip() or row.missing)

    @property
    def to_mend(self) -> int:
        return sum(1 for row in self.rows if row.state == "wrong")

    @property
    def to_confirm(self) -> int:
        return sum(1 for row in self.rows if row.state == "warned")

    @property
    def is_correction(self) -> bool:
        return bool(self.stored)


def _as_stored(result: LabResult) -> LabEntry:
    """Return a stored result as an entry in the standard unit, for what the page works out from it."""
    return LabEntry(
        analyte=result.analyte,
        value=result.value,
        comparator=result.comparator,
        typed_text=result.typed_text,
        missing_reason=result.missing_reason,
    )
