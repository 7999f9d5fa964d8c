"""Forms of an infusion: what was given, its correction, striking it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from infusions import dosing, particulars, selectors, vitals, weights
from infusions.forms.fields import (
    MOST_SHELF_LIFE_DAYS,
    DayField,
    ExactNumberField,
    HourField,
    LotChoice,
    MomentField,
    ReasonFields,
    Refusing,
    VitalField,
    choices_of,
    demand_note,
    kept,
    lot_code_field,
    plain,
    text_field,
)
from infusions.models import CellLot, Infusion
from infusions.particulars import Circumstances, NewLot, Particulars
from infusions.vitals import Vitals
from trial import marks, protocol, vocabulary
from trial.clock import moment_at, zone

MOST_MILLIONS = Decimal(10_000)
MOST_VOLUME = Decimal(1000)

VOID_REASONS: tuple[tuple[str, Any], ...] = (
    ("never_given", gettext_lazy("it was never given")),
    ("entered_twice", gettext_lazy("it was entered twice")),
    ("wrong_subject", gettext_lazy("it belongs to another subject")),
    ("other", gettext_lazy("other, said in the note")),
)


@dataclass(frozen=True, slots=True)
class VitalRow:
    """One moment of the grid: its label and its cells, each with whether it is doubtful."""

    label: str
    cells: tuple[tuple[forms.BoundField, bool], ...]


# --- an infusion ----------------------------------------------------------------------------


class InfusionForm(Refusing):
    """What was given. Cells are typed in millions, as the bag says them."""

    given_on = DayField(label=gettext_lazy("Given on"))
    weight_kg = ExactNumberField(
        label=gettext_lazy("Body weight, kg"),
        required=False,
        least=weights.LEAST,
        most=weights.MOST,
        places=1,
        unit="kg",
        remedy=gettext_lazy("Check value and unit."),
    )
    cells = ExactNumberField(
        label=gettext_lazy("Cells given, × 10⁶"),
        required=False,
        least=Decimal("0.000001"),
        most=MOST_MILLIONS,
        places=6,
        unit="× 10⁶",
        remedy=gettext_lazy("Type the number in millions: 64.5 for 64 500 000 cells."),
    )
    volume_ml = ExactNumberField(
        label=gettext_lazy("Volume, mL"),
        required=False,
        least=Decimal("0.1"),
        most=MOST_VOLUME,
        places=1,
        unit="mL",
        remedy=gettext_lazy("Check value and unit."),
    )
    lot = LotChoice(
        label=gettext_lazy("Lot"),
        required=False,
        queryset=CellLot.objects.none(),
        empty_label=gettext_lazy("not in the list"),
    )
    other_lot = lot_code_field(
        label=gettext_lazy("Another lot"),
        required=False,
        help_text=gettext_lazy("Registered with this infusion when it is new."),
    )
    other_lot_expires_on = DayField(
        label=gettext_lazy("It expires on"), required=False, days_ahead=MOST_SHELF_LIFE_DAYS
    )
    started_at = HourField(label=gettext_lazy("Started at"), required=False)
    stopped_at = HourField(label=gettext_lazy("Stopped at"), required=False)
    vein = forms.ChoiceField(label=gettext_lazy("Vein"), required=False)
    bag = text_field(gettext_lazy("Bag"), most=24)
    checked_by = text_field(
        gettext_lazy("Identity checked by"), most=80, help_text=gettext_lazy("The second person at the bed.")
    )
    interruption = text_field(
        gettext_lazy("Interruption"),
        most=200,
        help_text=gettext_lazy("From, to, and why; empty when there was none."),
    )
    reaction_grade = forms.ChoiceField(label=gettext_lazy("Grade, CTCAE"), required=False)
    observed_until = MomentField(label=gettext_lazy("Observed until"), required=False)
    reaction = forms.CharField(
        label=gettext_lazy("Reaction"),
        required=False,
        max_length=300,
        help_text=gettext_lazy("Empty when there was none."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    deviation = forms.ChoiceField(label=gettext_lazy("Why it differs from the protocol"), required=False)
    deviation_note = forms.CharField(
        label=gettext_lazy("Note"),
        required=False,
        max_length=300,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    weight_confirmed = forms.BooleanField(label=gettext_lazy("The weight is right"), required=False)

    def __init__(
        self,
        data: Any = None,
        *,
        around: Circumstances,
        infusion: Infusion | None = None,
        is_typing: bool = False,
    ) -> None:
        self.around, self.infusion, self.is_typing = around, infusion, is_typing
        self.assessment = particulars.Assessment()
        self.stored_vitals = selectors.vitals_of(infusion) if infusion else {}
        super().__init__(data, initial=self._starts_with(), use_required_attribute=False)
        for moment in vitals.MOMENTS:
            for column in vitals.COLUMNS:
                self.fields[f"v_{moment}_{column}"] = VitalField(
                    column=column, required=False, label=_(vitals.COLUMNS[column])
                )
        if infusion is None:
            # day and volume stand already: the first thing to type is the weight of today
            self.fields["weight_kg"].widget.attrs["autofocus"] = True
        lot = infusion.lot if infusion else around.plan.lot if around.plan else None
        self.fields["vein"].choices = choices_of(vocabulary.VEINS, _("not recorded"))  # type: ignore[attr-defined]
        self.fields["reaction_grade"].choices = [  # type: ignore[attr-defined]
            ("", "–"),
            *((str(grade), str(grade)) for grade in range(1, 6)),
        ]
        self.fields["lot"].today = around.today  # type: ignore[attr-defined]
        self.fields["lot"].queryset = selectors.lots_to_choose(  # type: ignore[attr-defined]
            around.patient, around.today, and_also=lot
        )
        self.fields["deviation"].choices = [  # type: ignore[attr-defined]
            ("", _("no deviation")),
            *((deviation.code, _(deviation.label)) for deviation in dosing.DEVIATIONS),
        ]

    def _starts_with(self) -> dict[str, Any]:
        infusion = self.infusion
        if infusion is None:
            plan = self.around.plan
            return {
                "given_on": self.around.today.isoformat(),
                "volume_ml": f"{protocol.DOSE.volume_ml:f}",
                "lot": plan.lot_id if plan and not plan.not_done else None,
            }
        return {
            "given_on": infusion.given_on.isoformat(),
            "weight_kg": plain(infusion.weight_kg),
            "cells": "" if infusion.cells is None else dosing.millions(infusion.cells),
            "volume_ml": plain(infusion.volume_ml),
            "lot": infusion.lot_id,
            "started_at": f"{infusion.started_at:%H:%M}" if infusion.started_at else "",
            "stopped_at": f"{infusion.stopped_at:%H:%M}" if infusion.stopped_at else "",
            "reaction": infusion.reaction,
            "reaction_grade": infusion.reaction_grade or "",
            "vein": infusion.vein,
            "bag": infusion.bag,
            "checked_by": infusion.checked_by,
            "interruption": infusion.interruption,
            "observed_until": f"{infusion.observed_until.astimezone(zone(self.around.patient.site)):%Y-%m-%d %H:%M}"
            if infusion.observed_until
            else "",
            **self._vitals_start_with(),
            "deviation": infusion.deviation,
            "deviation_note": infusion.deviation_note,
        }

    def _vitals_start_with(self) -> dict[str, str]:
        return {
            f"v_{moment}_{column}": signs.cell(column)
            for moment, signs in self.stored_vitals.items()
            for column in vitals.COLUMNS
        }

    def clean_cells(self) -> Decimal | None:
        cells = self.cleaned_data["cells"]
        return None if cells is None else (cells * dosing.MILLION).quantize(Decimal(1))

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        cleaned["chosen_lot"] = self._chosen_lot(cleaned)
        if "given_on" not in cleaned:
            return cleaned
        given = self.particulars()
        is_stored = self.infusion is not None and given.lot == self.infusion.lot
        self.assessment = particulars.assess(
            given, self.around, is_typing=self.is_typing, is_stored=is_stored, vitals=self.vitals()
        )
        # the database would say it too, but later and one thing at a time
        for field, sentence in particulars.refusals(given, self.around, is_stored=is_stored).items():
            self.add_error(field if field in self.fields else None, sentence)
        if (
            self.assessment.weight_doubt
            and not cleaned.get("weight_confirmed")
            and self._weight_is_new(cleaned)
        ):
            self.add_error("weight_confirmed", _("Confirm the weight, or correct it."))
        return cleaned

    def _weight_is_new(self, cleaned: dict[str, Any]) -> bool:
        return self.infusion is None or self.infusion.weight_kg != cleaned.get("weight_kg")

    def _chosen_lot(self, cleaned: dict[str, Any]) -> CellLot | NewLot | None:
        listed: CellLot | None = cleaned.get("lot")
        code = cleaned.get("other_lot")
        expires_on = cleaned.get("other_lot_expires_on")
        if not code:
            if expires_on:
                self.add_error(
                    "other_lot", _("A day of expiry belongs to another lot. Type its code, or empty the day.")
                )
            return listed
        if listed is not None and listed.code != code:
            self.add_error(
                "other_lot",
                _("Lot %(listed)s is picked as well. Pick “not in the list”, or empty this field.")
                % {"listed": listed.code},
            )
            return listed
        known = selectors.lot_with_code(code)
        if known is None:
            return NewLot(code, expires_on)
        if expires_on and known.expires_on != expires_on:
            self.add_error(
                "other_lot_expires_on",
                _("Lot %(lot)s is registered with expiry %(on)s. Empty this day to use it.")
                % {"lot": code, "on": known.expires_on.isoformat() if known.expires_on else _("not known")},
            )
        return known

    def particulars(self) -> Particulars:
        """Return what was typed, as far as it could be read."""
        cleaned = self.cleaned_data
        return Particulars(
            given_on=cleaned["given_on"],
            weight_kg=cleaned.get("weight_kg"),
            cells=cleaned.get("cells"),
            volume_ml=cleaned.get("volume_ml"),
            lot=cleaned.get("chosen_lot"),
            started_at=cleaned.get("started_at"),
            stopped_at=cleaned.get("stopped_at"),
            deviation=cleaned.get("deviation", ""),
            deviation_note=cleaned.get("deviation_note", ""),
            reaction=cleaned.get("reaction", ""),
            reaction_grade=int(cleaned["reaction_grade"]) if cleaned.get("reaction_grade") else None,
            vein=cleaned.get("vein", ""),
            bag=cleaned.get("bag", ""),
            checked_by=cleaned.get("checked_by", ""),
            interruption=cleaned.get("interruption", ""),
            observed_until=self._observed_until(cleaned),
        )

    def _observed_until(self, cleaned: dict[str, Any]) -> datetime | None:
        """Return the moment; an hour alone is the first one after the start."""
        if not cleaned.get("observed_until"):
            return None
        day, hour = cleaned["observed_until"]
        if day is None:
            day, started = cleaned["given_on"], cleaned.get("started_at")
            if started is not None and hour < started:
                day += timedelta(days=1)
        return moment_at(self.around.patient.site, day, hour)

    def vitals(self) -> dict[str, Vitals]:
        """Return the vital signs that were typed, by moment; what cannot be read is left out."""
        found = {}
        for moment in vitals.MOMENTS:
            values: dict[str, Any] = {}
            for column in vitals.COLUMNS:
                values |= self.cleaned_data.get(f"v_{moment}_{column}") or {}
            found[moment] = Vitals(**values)
        return found

    def vital_rows(self) -> Iterator[VitalRow]:
        """Yield the rows of the grid."""
        typed_now = self.vitals() if self.is_bound and hasattr(self, "cleaned_data") else self.stored_vitals
        for term in vocabulary.VITAL_MOMENTS:
            signs = typed_now.get(term.code, Vitals())
            yield VitalRow(
                _(term.label),
                tuple(
                    (self[f"v_{term.code}_{column}"], vitals.column_is_doubtful(signs, column))
                    for column in vitals.COLUMNS
                ),
            )

    def vital_columns(self) -> list[str]:
        """Return the heads of the grid."""
        return [_(label) for label in vitals.COLUMNS.values()]

    def vital_errors(self) -> list[str]:
        """Return what is wrong in the grid, each with its place."""
        found = []
        for term in vocabulary.VITAL_MOMENTS:
            for column, label in vitals.COLUMNS.items():
                found += [
                    f"{_(term.label)}{marks.comma()}{_(label)}{marks.colon()}{message}"
                    for message in self.errors.get(f"v_{term.code}_{column}", ())
                ]
        return found

    places = {"code": "other_lot"}


class CorrectionForm(InfusionForm, ReasonFields):
    """An infusion that is recorded already: the same fields, and why they change."""

    version = forms.IntegerField(widget=forms.HiddenInput, min_value=1, max_value=2**31 - 1)
    vitals_seen = forms.CharField(widget=forms.HiddenInput, required=False, max_length=4000)

    def __init__(self, data: Any = None, *, around: Circumstances, infusion: Infusion) -> None:
        super().__init__(data, around=around, infusion=infusion)
        self.initial["version"] = infusion.version
        self.initial["vitals_seen"] = self._as_seen()

    def _as_seen(self) -> str:
        return json.dumps(
            {
                moment: {column: signs.cell(column) for column in vitals.COLUMNS}
                for moment, signs in self.stored_vitals.items()
            }
        )

    def seen(self) -> dict[str, Vitals] | None:
        """Return the vital signs as they stood on this person's page; None when that cannot be told."""
        try:
            told = json.loads(self.cleaned_data.get("vitals_seen") or "{}")
            found = {}
            for moment, cells in told.items():
                values: dict[str, Any] = {}
                for column, text in cells.items():
                    values |= vitals.read_cell(column, text)
                found[moment] = Vitals(**values)
        except (ValueError, AttributeError, KeyError, TypeError):
            return None
        return found

    def accept_version(self, version: int) -> None:
        super().accept_version(version)
        self.data["vitals_seen"] = self._as_seen()  # type: ignore[index]


class VoidForm(forms.Form):
    """Why an infusion is struck."""

    version = forms.IntegerField(widget=forms.HiddenInput, min_value=1, max_value=2**31 - 1)
    reason = forms.ChoiceField(
        label=gettext_lazy("Reason"),
        choices=VOID_REASONS,
        widget=forms.RadioSelect,
        error_messages={"required": gettext_lazy("No reason is given. Choose one.")},
    )
    note = forms.CharField(
        label=gettext_lazy("Note"),
        required=False,
        max_length=300,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        demand_note(self, cleaned, "reason", "note")
        return cleaned

    def why(self) -> str:
        """Return the reason as it is kept: in English, with the note behind it."""
        return kept(_VOID_REASONS_KEPT[self.cleaned_data["reason"]], self.cleaned_data["note"])


_VOID_REASONS_KEPT = {
    "never_given": "it was never given",
    "entered_twice": "it was entered twice",
    "wrong_subject": "it belongs to another subject",
    "other": "other",
}
