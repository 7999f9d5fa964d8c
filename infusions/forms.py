"""Forms of the ward: an infusion, its correction, striking one, a lot."""

from __future__ import annotations

from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any

from django import forms
from django.core.validators import RegexValidator
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from infusions import dosing, particulars, selectors
from infusions.models import CellLot, Infusion
from infusions.particulars import Circumstances, NewLot, Particulars
from trial import protocol, typed

LEAST_WEIGHT, MOST_WEIGHT = Decimal(25), Decimal(250)
MOST_MILLIONS = Decimal(10_000)
MOST_VOLUME = Decimal(1000)
MOST_SHELF_LIFE_DAYS = 15 * 365

VOID_REASONS: tuple[tuple[str, Any], ...] = (
    ("never_given", gettext_lazy("it was never given")),
    ("entered_twice", gettext_lazy("it was entered twice")),
    ("wrong_subject", gettext_lazy("it belongs to another subject")),
    ("other", gettext_lazy("other, said in the note")),
)


# --- fields that read what people type ------------------------------------------------------


class _TypedField(forms.CharField):
    """A text field behind one of the readers of :mod:`trial.typed`."""

    def __init__(self, *, inputmode: str = "text", placeholder: str = "", **options: Any) -> None:
        options.setdefault("max_length", typed.MOST_CHARACTERS)
        super().__init__(**options)
        self.widget.attrs.update({"inputmode": inputmode, "autocomplete": "off", "placeholder": placeholder})

    def read(self, text: str) -> Any:
        raise NotImplementedError

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text:
            return None
        try:
            return self.read(text)
        except typed.Unreadable as refusal:
            said = f"{refusal.sentence.said(_)} {refusal.remedy.said(_)}"
            raise forms.ValidationError(said, code=refusal.rule) from None


class DayField(_TypedField):
    """A day, year first; ``days_ahead`` is how far it may lie beyond the year that readers allow."""

    def __init__(self, *, days_ahead: int = 0, **options: Any) -> None:
        self.days_ahead = timedelta(days=days_ahead)
        super().__init__(inputmode="numeric", placeholder="YYYY-MM-DD", **options)

    def read(self, text: str) -> date:
        return typed.read_date(text, today=timezone.localdate() + self.days_ahead)


class HourField(_TypedField):
    """A time of day."""

    def __init__(self, **options: Any) -> None:
        super().__init__(inputmode="numeric", placeholder="07:40", **options)

    def read(self, text: str) -> time:
        return typed.read_time(text)


class ExactNumberField(_TypedField):
    """An exact number between two limits, with no more decimals than are kept."""

    def __init__(
        self, *, least: Decimal, most: Decimal, places: int, unit: str, remedy: Any, **options: Any
    ) -> None:
        self.least, self.most, self.places, self.unit, self.remedy = least, most, places, unit, remedy
        super().__init__(inputmode="decimal", **options)

    def read(self, text: str) -> Decimal:
        found = typed.read_number(text)
        said = {
            "value": typed.printable(text),
            "least": f"{self.least:f}",
            "most": f"{self.most:f}",
            "unit": self.unit,
            "places": self.places,
            "remedy": self.remedy,
        }
        if found.comparator or found.unit:
            raise forms.ValidationError(
                _("“%(value)s” is not a plain number. Type it without sign and unit.") % said
            )
        if not self.least <= found.value <= self.most:
            raise forms.ValidationError(
                _("“%(value)s” is not between %(least)s and %(most)s %(unit)s. %(remedy)s") % said
            )
        exact = found.value.quantize(Decimal(1).scaleb(-self.places))
        if exact != found.value:
            raise forms.ValidationError(
                _("“%(value)s” has more than %(places)s decimals. Round it as the record does.") % said
            )
        return exact


def _lot_code_field(**options: Any) -> forms.CharField:
    return forms.CharField(
        max_length=24,
        validators=[
            RegexValidator(
                r"\A[A-Z0-9][A-Z0-9_.-]{0,23}\Z",
                gettext_lazy("A lot code has capital letters, digits, dashes and dots, 24 at most."),
            )
        ],
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "autocapitalize": "characters", "spellcheck": "false"}
        ),
        **options,
    )


class _LotChoice(forms.ModelChoiceField):  # type: ignore[type-arg]
    def label_from_instance(self, lot: CellLot) -> str:
        if lot.expires_on is None:
            return lot.code
        return _("%(lot)s · expires %(on)s") % {"lot": lot.code, "on": lot.expires_on.isoformat()}


# --- an infusion ----------------------------------------------------------------------------


class InfusionForm(forms.Form):
    """What was given. Cells are typed in millions, as the bag says them."""

    given_on = DayField(label=gettext_lazy("Given on"))
    weight_kg = ExactNumberField(
        label=gettext_lazy("Body weight, kg"),
        required=False,
        least=LEAST_WEIGHT,
        most=MOST_WEIGHT,
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
    lot = _LotChoice(
        label=gettext_lazy("Lot"),
        required=False,
        queryset=CellLot.objects.none(),
        empty_label=gettext_lazy("not in the list"),
    )
    other_lot = _lot_code_field(
        label=gettext_lazy("Another lot"),
        required=False,
        help_text=gettext_lazy("Registered with this infusion when it is new."),
    )
    other_lot_expires_on = DayField(
        label=gettext_lazy("It expires on"), required=False, days_ahead=MOST_SHELF_LIFE_DAYS
    )
    started_at = HourField(label=gettext_lazy("Started at"), required=False)
    stopped_at = HourField(label=gettext_lazy("Stopped at"), required=False)
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
        self.weight_jump = ""
        super().__init__(data, initial=self._starts_with(), use_required_attribute=False)
        lot = infusion.lot if infusion else None
        self.fields["lot"].queryset = selectors.lots_to_choose(around.today, and_also=lot)  # type: ignore[attr-defined]
        self.fields["deviation"].choices = [  # type: ignore[attr-defined]
            ("", _("no deviation")),
            *((deviation.code, _(deviation.label)) for deviation in dosing.DEVIATIONS),
        ]

    def _starts_with(self) -> dict[str, Any]:
        infusion = self.infusion
        if infusion is None:
            return {"given_on": self.around.today.isoformat(), "volume_ml": f"{protocol.DOSE.volume_ml:f}"}
        return {
            "given_on": infusion.given_on.isoformat(),
            "weight_kg": _plain(infusion.weight_kg),
            "cells": "" if infusion.cells is None else dosing.millions(infusion.cells),
            "volume_ml": _plain(infusion.volume_ml),
            "lot": infusion.lot_id,
            "started_at": f"{infusion.started_at:%H:%M}" if infusion.started_at else "",
            "stopped_at": f"{infusion.stopped_at:%H:%M}" if infusion.stopped_at else "",
            "reaction": infusion.reaction,
            "deviation": infusion.deviation,
            "deviation_note": infusion.deviation_note,
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
        self.assessment = particulars.assess(given, self.around, is_typing=self.is_typing)
        # the database would say it too, but later and one thing at a time
        for field, sentence in particulars.refusals(given, self.around).items():
            self.add_error(field if field in self.fields else None, sentence)
        started, stopped = cleaned.get("started_at"), cleaned.get("stopped_at")
        if started and stopped and stopped <= started:
            self.add_error(
                "stopped_at",
                _("Stopped at %(stopped)s, before or when it started at %(started)s. Check both times.")
                % {"stopped": f"{stopped:%H:%M}", "started": f"{started:%H:%M}"},
            )
        if (
            self.assessment.weight_jump
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
        )

    def refuse(self, error: forms.ValidationError) -> None:
        """Show what the action refused, at its field where the form has one."""
        for field, messages in _by_field(error).items():
            place = {"code": "other_lot"}.get(field, field)
            for message in messages:
                self.add_error(place if place in self.fields else None, message)


class CorrectionForm(InfusionForm):
    """An infusion that is recorded already: the same fields, and why they change."""

    version = forms.IntegerField(widget=forms.HiddenInput, min_value=1, max_value=2**31 - 1)
    reason = forms.ChoiceField(
        label=gettext_lazy("Reason for the change"),
        choices=[("", ""), *((r.code, r.label) for r in protocol.CHANGE_REASONS)],
    )
    reason_note = forms.CharField(
        label=gettext_lazy("Note on the reason"),
        required=False,
        max_length=300,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def __init__(self, data: Any = None, *, around: Circumstances, infusion: Infusion) -> None:
        super().__init__(data, around=around, infusion=infusion)
        self.fields["reason"].choices = [  # type: ignore[attr-defined]
            ("", _("choose a reason")),
            *((reason.code, _(reason.label)) for reason in protocol.CHANGE_REASONS),
        ]
        self.initial["version"] = infusion.version

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        _demand_note(self, cleaned, "reason", "reason_note")
        return cleaned

    def why(self) -> str:
        """Return the reason as it is kept: in English, with the note behind it."""
        labels = {reason.code: reason.label for reason in protocol.CHANGE_REASONS}
        return _kept(labels[self.cleaned_data["reason"]], self.cleaned_data["reason_note"])

    def accept_version(self, version: int) -> None:
        """Let the next submission stand on what the other person wrote."""
        data: Any = self.data.copy()  # type: ignore[attr-defined]
        data["version"] = str(version)
        self.data = data


class VoidForm(forms.Form):
    """Why an infusion is struck."""

    version = forms.IntegerField(widget=forms.HiddenInput, min_value=1, max_value=2**31 - 1)
    reason = forms.ChoiceField(label=gettext_lazy("Reason"), choices=VOID_REASONS, widget=forms.RadioSelect)
    note = forms.CharField(
        label=gettext_lazy("Note"),
        required=False,
        max_length=300,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        _demand_note(self, cleaned, "reason", "note")
        return cleaned

    def why(self) -> str:
        """Return the reason as it is kept: in English, with the note behind it."""
        return _kept(_VOID_REASONS_KEPT[self.cleaned_data["reason"]], self.cleaned_data["note"])


_VOID_REASONS_KEPT = {
    "never_given": "it was never given",
    "entered_twice": "it was entered twice",
    "wrong_subject": "it belongs to another subject",
    "other": "other",
}


class LotForm(forms.Form):
    """A lot of cells."""

    code = _lot_code_field(label=gettext_lazy("Lot"))
    expires_on = DayField(label=gettext_lazy("Expires on"), required=False, days_ahead=MOST_SHELF_LIFE_DAYS)
    donor_code = forms.CharField(
        label=gettext_lazy("Donor code"),
        required=False,
        max_length=40,
        help_text=gettext_lazy("Opaque: nothing that tells who the donor is."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    passage = forms.IntegerField(
        label=gettext_lazy("Passage"),
        required=False,
        min_value=0,
        max_value=50,
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
    )
    viability_percent = ExactNumberField(
        label=gettext_lazy("Viability, %"),
        required=False,
        least=Decimal(0),
        most=Decimal(100),
        places=2,
        unit="%",
        remedy=gettext_lazy("Check the certificate."),
    )

    def refuse(self, error: forms.ValidationError) -> None:
        """Show what the action refused, at its field."""
        for field, messages in _by_field(error).items():
            for message in messages:
                self.add_error(field if field in self.fields else None, message)


def _plain(value: Decimal | None) -> str:
    return "" if value is None else f"{value.normalize():f}"


def _kept(reason: str, note: str) -> str:
    return f"{reason}: {note}" if note else reason


def _demand_note(form: forms.Form, cleaned: dict[str, Any], reason: str, note: str) -> None:
    if cleaned.get(reason) == "other" and not cleaned.get(note):
        form.add_error(note, _("Say in the note what the reason was."))


def _by_field(error: forms.ValidationError) -> dict[str, list[str]]:
    return error.message_dict if hasattr(error, "error_dict") else {"": error.messages}
