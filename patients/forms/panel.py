"""The form of a visit's panel, grown from the protocol."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from typing import Any

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from patients import draws, edit_checks
from patients.actions import panel_merge
from patients.edit_checks import Doubt
from patients.entries import LabEntry
from patients.forms.fields import CorrectionForm, text_field
from patients.forms.panel_row import Row, attach, read
from patients.models import Laboratory, LabResult, Patient, Visit
from patients.selectors import LastValue
from trial import clock, protocol, typed, vocabulary
from trial.protocol import Analyte, Limits, Sex
from trial.refusals import Refused
from trial.typed import Unreadable

__all__ = ["LabPanelForm", "Row"]

THEIRS = "theirs"


@dataclass(frozen=True, slots=True)
class Finding:
    """One grade of the visit: its field, what is chosen, and the choices with the digit that picks each."""

    name: str
    label: str
    chosen: str
    choices: tuple[tuple[str, int, str], ...]
    errors: tuple[str, ...]


class LabPanelForm(CorrectionForm):
    """The whole panel of one visit in one column, with the day and the time of the draw.

    An analyte has four fields: its code (the value as text), ``unit_``,
    ``missing_`` and ``confirm_``. What cannot be read stays in its field.
    """

    visited_on = text_field(_("Day of the draw"))
    drawn_at = text_field(_("Time of the draw"))
    laboratory = text_field(_("Laboratory"))
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
        around: edit_checks.Around | None = None,
        laboratories: Sequence[Laboratory] = (),
        usual_laboratory: Laboratory | None = None,
        references: Callable[[Laboratory | None, date | None], Mapping[str, Limits]] | None = None,
        seen: Mapping[str, LabResult] | None = None,
    ) -> None:
        self.patient, self.visit, self.stored, self.last, self.today = patient, visit, stored, last, today
        self.around, self.laboratories, self.seen = around, laboratories, seen or {}
        self.stored_hour = self._stored_hour()
        self.stored_laboratory = panel_merge.draw_of(stored.values()).laboratory_id
        super().__init__(data, initial=self._initial(suggested_day))
        self.use_unit = use_unit or {}
        self.chosen_laboratory = self._chosen(usual_laboratory)
        self.preset_units = draws.units_of(self.chosen_laboratory)
        self.references = references(self.chosen_laboratory, self._about_day()) if references else {}
        self.day_doubts: list[Doubt] = []
        self.is_day_confirmed = False
        self.rows: list[Row] = []
        for analyte in protocol.PANEL:
            self.fields[analyte.code] = text_field(_(analyte.label))
            for prefix in ("unit", "missing", "why", "confirm", "keep"):
                self.fields[f"{prefix}_{analyte.code}"] = text_field()
        names = {column.name: column.verbose_name for column in Visit._meta.concrete_fields}
        for name in panel_merge.FINDINGS:
            self.fields[name] = text_field(names[name])
        for name in (*panel_merge.DRAW, *panel_merge.FINDINGS):
            self.fields[f"keep_{name}"] = text_field()
        self.fields[f"confirm_{panel_merge.DAY}"] = text_field()
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
            **{name: getattr(self.visit, name) for name in panel_merge.FINDINGS},
        }

    def _stored_hour(self) -> time | None:
        moment = panel_merge.draw_of(self.stored.values()).sampled_at
        return clock.hour_at(self.patient.site, moment) if moment else None

    def _chosen(self, usual: Laboratory | None) -> Laboratory | None:
        """Return the laboratory that the page shows: as posted, else as stored, else the usual one."""
        by_id = {str(laboratory.pk): laboratory for laboratory in self.laboratories}
        if self.is_bound:
            return by_id.get(self.posted(panel_merge.LABORATORY))
        if self.stored:
            return by_id.get(str(self.stored_laboratory))
        return usual

    def _about_day(self) -> date | None:
        """Return the day that ranges are looked up for before the form is read."""
        try:
            return typed.read_date(self.shown("visited_on"), today=self.today)
        except Unreadable:
            return self.visit.visited_on

    def _row(self, analyte: Analyte) -> Row:
        stored = self.stored.get(analyte.code)
        reference = self.references.get(analyte.code, analyte.reference[Sex(self.patient.sex)])
        preset = self.preset_units.get(analyte.code, analyte.unit)
        if self.is_bound:
            unit = self.use_unit.get(analyte.code) or self.posted(f"unit_{analyte.code}") or preset
            text = self.posted(analyte.code)
            # the second name is the list that stands there where there are no scripts
            missing = self.posted(f"missing_{analyte.code}") or self.posted(f"why_{analyte.code}")
            if stored is not None and self._is_untouched(analyte.code, text, unit, missing):
                text, unit, missing = stored.typed_text, stored.typed_unit or unit, stored.missing_reason
        else:
            unit = (stored.typed_unit if stored else "") or preset
            text, missing = (stored.typed_text, stored.missing_reason) if stored else ("", "")
        return Row(analyte, text, unit, missing, stored, self.last.get(analyte.code), reference)

    def _is_untouched(self, code: str, text: str, unit: str, missing: str) -> bool:
        """Whether a field says what the page was opened with, so that what the other person wrote stays."""
        was = self.seen.get(code)
        if was is None or self.posted(f"keep_{code}"):
            return False
        is_same = (text.strip(), missing) == (was.typed_text, was.missing_reason)
        return is_same and (bool(missing) or unit == was.typed_unit)

    def _show_stored(self) -> None:
        if self.is_bound:
            return
        for row in self.rows:
            if row.stored is not None:
                row.entry = draws.entered(row.stored)

    # --- reading ----------------------------------------------------------------------------

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        cleaned["visited_on"] = self._read_day()
        cleaned["drawn_at"] = self.read_hour("drawn_at")
        cleaned["laboratory"] = self._read_laboratory()
        self._read_findings()
        for row in self.rows:
            read(
                row,
                seen_version=cleaned.get("version") or 0,
                is_unit_chosen=row.code in self.use_unit,
            )
        self._check(cleaned["visited_on"])
        if self.day_doubts and not self.is_day_confirmed:
            self.add_error("visited_on", forms.ValidationError(self.day_doubts_said[0], code="to_confirm"))
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

    def _read_laboratory(self) -> Laboratory | None:
        if self.laboratories and self.posted(panel_merge.LABORATORY) and self.chosen_laboratory is None:
            self.add_error("laboratory", _("This laboratory is not of the list. Choose one of it."))
        return self.chosen_laboratory

    def _read_findings(self) -> None:
        for name, terms in vocabulary.FINDINGS.items():
            if self.posted(name) and self.posted(name) not in vocabulary.codes(terms):
                self.add_error(name, _("This grade is not of the list. Choose one of it, or leave it empty."))

    def _check(self, day: date | None) -> None:
        """Attach the soft checks: to the values that are new, and to the day when it is."""
        entries = [row.entry for row in self.rows if row.entry is not None]
        earlier = {code: last.as_earlier() for code, last in self.last.items()}
        around = replace(
            self.around or edit_checks.Around(),
            drawn_on=day,
            week=self.visit.week,
            earlier=earlier,
            is_liver_failure=self.patient.diagnosis == protocol.Diagnosis.LIVER_FAILURE,
        )
        doubts = edit_checks.doubts(entries, around)
        attach(self.rows, doubts, self._is_confirmed)
        is_news = day is not None and (self.visit._state.adding or day != self.visit.visited_on)
        if is_news and not self.has_error(panel_merge.DAY):
            self.day_doubts = [doubt for doubt in doubts if doubt.analyte == edit_checks.DAY_FIELD]
        self.is_day_confirmed = self.posted(f"confirm_{panel_merge.DAY}") == self.day_fingerprint

    def _is_confirmed(self, row: Row) -> bool:
        return self.posted(f"confirm_{row.code}") == row.fingerprint

    # --- what the action gets ---------------------------------------------------------------

    def entries(self) -> list[LabEntry]:
        """Return what is new and can be read, leaving out where the other person's value stays."""
        return [
            row.entry
            for row in self.rows
            if row.entry is not None and not row.is_as_stored and self.posted(f"keep_{row.code}") != THEIRS
        ]

    def day(self) -> date | None:
        """Return the day of the draw, or None to leave it."""
        day: date | None = self.cleaned_data["visited_on"]
        return None if self.posted("keep_visited_on") == THEIRS else day

    def moment(self) -> datetime | None:
        """Return the moment of the draw, or None when it is as it was."""
        hour, day = self.cleaned_data["drawn_at"], self.day() or self.visit.visited_on
        if hour is None or day is None or self.posted(f"keep_{panel_merge.MOMENT}") == THEIRS:
            return None
        if hour == self.stored_hour and day == self.visit.visited_on:
            return None
        return clock.moment_at(self.patient.site, day, hour)

    def measured_by(self) -> Laboratory | None:
        """Return the laboratory of the draw, or None to leave it."""
        is_theirs = self.posted(f"keep_{panel_merge.LABORATORY}") == THEIRS
        return None if is_theirs else self.chosen_laboratory

    def findings(self) -> dict[str, str]:
        """Return the grades as they were sent; one that was not sent, or where theirs stays, is left out."""
        return {
            name: self.posted(name)
            for name in panel_merge.FINDINGS
            if name in self.data and self.posted(f"keep_{name}") != THEIRS
        }

    def kept(self) -> frozenset[str]:
        """Return the fields whose soft check was seen and whose value stays."""
        found = {row.doubt.analyte for row in self.rows if row.doubt is not None and row.is_confirmed}
        return frozenset(found | {panel_merge.DAY} if self.day_doubts and self.is_day_confirmed else found)

    def decided(self) -> dict[str, int]:
        """Return the collided fields that this person keeps as typed, with the version they saw."""
        seen = self.cleaned_data.get("seen_version")
        if seen is None:
            return {}
        names = (*self.analyte_codes(), *panel_merge.DRAW, *panel_merge.FINDINGS)
        return {name: seen for name in names if self.posted(f"keep_{name}") == "mine"}

    def settled(self, still_open: Collection[str]) -> list[tuple[str, str]]:
        """Return the collisions decided on an earlier page, as hidden fields of the next: field and choice."""
        names = (*self.analyte_codes(), *panel_merge.DRAW, *panel_merge.FINDINGS)
        choices = [(name, self.posted(f"keep_{name}")) for name in names if name not in still_open]
        return [(name, choice) for name, choice in choices if choice in ("mine", THEIRS)]

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
        waits = bool(self.day_doubts) and not self.is_day_confirmed
        return sum(1 for row in self.rows if row.state == "warned") + waits

    @property
    def open_required(self) -> list[str]:
        """Labels of what the protocol wants at every visit and nobody has entered yet."""
        if self.visit.week is None:
            return []
        return [gettext(row.analyte.label) for row in self.rows if row.is_open]

    @property
    def is_correction(self) -> bool:
        graded = any(getattr(self.visit, name) for name in panel_merge.FINDINGS)
        return bool(self.stored) or bool(self.visit.not_done) or graded

    # --- what was graded at the visit -------------------------------------------------------

    @property
    def finding_rows(self) -> list[Finding]:
        """Ascites and encephalopathy as the page shows them."""
        return [
            Finding(
                name,
                str(self.fields[name].label),
                self.posted(name) if name in self.data else str(self.initial[name]),
                tuple((term.code, place, gettext(term.label)) for place, term in enumerate(terms)),
                tuple(str(error) for error in self.errors.get(name, ())) if self.is_bound else (),
            )
            for name, terms in vocabulary.FINDINGS.items()
        ]

    # --- the draw ---------------------------------------------------------------------------

    @property
    def day_fingerprint(self) -> str:
        """What a confirmation of the day confirms: the day as it is typed."""
        return self.shown("visited_on").strip()

    @property
    def day_doubts_said(self) -> list[str]:
        return [doubt.sentence.said(gettext) for doubt in self.day_doubts]

    @property
    def other_laboratory(self) -> Laboratory | None:
        """The laboratory of the last draw, when it is not this one's."""
        last = [value for value in self.last.values() if value.result.laboratory_id is not None]
        if not last or self.chosen_laboratory is None:
            return None
        newest = max(last, key=lambda value: (value.drawn_on or date.min, value.result.visit_id))
        is_same = newest.result.laboratory_id == self.chosen_laboratory.pk
        return None if is_same else newest.result.laboratory
