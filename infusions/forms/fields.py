"""Fields that read what people type, and what the forms of the ward share."""

from __future__ import annotations

from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any

from django import forms
from django.core.validators import RegexValidator
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from infusions import vitals
from infusions.models import CellLot
from patients.forms.fields import about_field
from trial import protocol, typed, vocabulary

MOST_SHELF_LIFE_DAYS = 15 * 365
MOST_VERSION = 2**31 - 1


# --- fields that read what people type ------------------------------------------------------


class TypedField(forms.CharField):
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


class DayField(TypedField):
    """A day, year first; ``days_ahead`` is how far it may lie beyond the year that readers allow."""

    def __init__(self, *, days_ahead: int = 0, **options: Any) -> None:
        self.days_ahead = timedelta(days=days_ahead)
        options.setdefault(
            "error_messages", {"required": gettext_lazy("The day is missing. Type it as year-month-day.")}
        )
        super().__init__(inputmode="numeric", placeholder="YYYY-MM-DD", **options)

    def read(self, text: str) -> date:
        return typed.read_date(text, today=timezone.localdate() + self.days_ahead)


class HourField(TypedField):
    """A time of day."""

    def __init__(self, **options: Any) -> None:
        options.setdefault(
            "error_messages", {"required": gettext_lazy("The hour is missing. Type it as 07:40.")}
        )
        super().__init__(inputmode="numeric", placeholder="07:40", **options)

    def read(self, text: str) -> time:
        return typed.read_time(text)


class ExactNumberField(TypedField):
    """An exact number between two limits, with no more decimals than are kept."""

    def __init__(
        self, *, least: Decimal, most: Decimal, places: int, unit: str, remedy: Any, **options: Any
    ) -> None:
        self.least, self.most, self.places, self.unit, self.remedy = least, most, places, unit, remedy
        super().__init__(inputmode="decimal", **options)

    def read(self, text: str) -> Decimal:
        found = typed.read_number_alone(text)
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


def lot_code_field(**options: Any) -> forms.CharField:
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


class MomentField(TypedField):
    """A day with an hour, or an hour alone: read into ``(day or None, hour)``."""

    def __init__(self, **options: Any) -> None:
        super().__init__(inputmode="numeric", placeholder="YYYY-MM-DD 10:30", **options)

    def read(self, text: str) -> tuple[date | None, time]:
        head, _gap, tail = text.strip().rpartition(" ")
        day = typed.read_date(head, today=timezone.localdate() + timedelta(days=31)) if head.strip() else None
        return day, typed.read_time(tail)


class VitalField(TypedField):
    """One cell of the grid of vital signs."""

    def __init__(self, *, column: str, **options: Any) -> None:
        self.column = column
        super().__init__(inputmode="text" if column == vitals.PRESSURE else "decimal", **options)

    def read(self, text: str) -> dict[str, Decimal | int | None]:
        return vitals.read_cell(self.column, text)

    def clean(self, value: Any) -> dict[str, Decimal | int | None]:
        return super().clean(value) or vitals.read_cell(self.column, "")


class LotChoice(forms.ModelChoiceField):  # type: ignore[type-arg]
    """A lot with what speaks for or against it; expired on ``today``, where that is said."""

    today: date | None = None

    def label_from_instance(self, lot: CellLot) -> str:
        parts = [lot.code]
        if lot.expires_on is not None:
            is_over = self.today is not None and lot.expires_on < self.today
            said = _("expired %(on)s") if is_over else _("expires %(on)s")
            parts.append(said % {"on": lot.expires_on.isoformat()})
        if lot.release != "released":
            parts.append(_(vocabulary.by_code(vocabulary.RELEASE_STATES)[lot.release].label))
        if (given := getattr(lot, "bags_given", None)) is not None and lot.bags is not None:
            left = lot.bags - given - lot.bags_reserved - lot.bags_discarded  # type: ignore[attr-defined]
            parts.append(_("bags left: %(left)s") % {"left": left})
        return " · ".join(parts)


def text_field(label: Any, *, most: int = 300, **options: Any) -> forms.CharField:
    """Return a plain line of text that is not required."""
    options.setdefault("required", False)
    options.setdefault("error_messages", {"required": gettext_lazy("It is empty. Say why in a few words.")})
    return forms.CharField(
        label=label, max_length=most, widget=forms.TextInput(attrs={"autocomplete": "off"}), **options
    )


def choices_of(terms: Any, empty: str | None = None) -> list[tuple[str, str]]:
    """Return a coded list in the reader's language, with a word for none in front."""
    found = [(term.code, _(term.label)) for term in terms]
    return found if empty is None else [("", empty), *found]


def version_field() -> forms.IntegerField:
    """Return the hidden field that says what the person had on screen."""
    return forms.IntegerField(widget=forms.HiddenInput, min_value=0, max_value=MOST_VERSION)


class ReasonFields(forms.Form):
    """Why something that stands is changed; the action says whether it is needed."""

    reason = forms.ChoiceField(label=gettext_lazy("Reason for the change"), required=False)
    reason_note = text_field(gettext_lazy("Note on the reason"))

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["reason"].choices = [  # type: ignore[attr-defined]
            ("", _("choose a reason")),
            *(
                (reason.code, f"{key} · {_(reason.label)}")
                for key, reason in enumerate(protocol.CHANGE_REASONS, start=1)
            ),
        ]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        demand_note(self, cleaned, "reason", "reason_note")
        return cleaned

    def why(self) -> str:
        """Return the reason as it is kept: in English, with the note behind it; empty when none is picked."""
        if not self.cleaned_data.get("reason"):
            return ""
        labels = {reason.code: reason.label for reason in protocol.CHANGE_REASONS}
        return kept(labels[self.cleaned_data["reason"]], self.cleaned_data["reason_note"])


class Refusing(forms.Form):
    """A form that shows what an action refused, at its field where it has one."""

    places: dict[str, str] = {}

    def add_error(self, field: str | None, error: Any) -> None:
        """Say what is wrong; of something typed, with the name of its field and the value."""
        one = self.fields.get(field) if field is not None else None
        is_typed = isinstance(one, forms.CharField | forms.IntegerField) and not one.widget.is_hidden
        # a vital sign is named with its moment, where the whole grid is said
        if field is not None and one is not None and is_typed and not isinstance(one, VitalField):
            value = str(self.data.get(self.add_prefix(field), ""))
            if value.strip():
                error = about_field(str(one.label or ""), value, error)
        super().add_error(field, error)

    def refuse(self, error: forms.ValidationError) -> None:
        """Show what the action refused."""
        for field, messages in by_field(error).items():
            place = self.places.get(field, field)
            for message in messages:
                self.add_error(place if place in self.fields else None, message)

    def accept_version(self, version: int) -> None:
        """Let the next submission stand on what the other person wrote."""
        data: Any = self.data.copy()  # type: ignore[attr-defined]
        data[self.add_prefix("version")] = str(version)
        self.data = data


def plain(value: Decimal | None) -> str:
    return "" if value is None else f"{value.normalize():f}"


def kept(reason: str, note: str) -> str:
    return f"{reason}: {note}" if note else reason


def demand_note(form: forms.Form, cleaned: dict[str, Any], reason: str, note: str) -> None:
    if cleaned.get(reason) == "other" and not cleaned.get(note):
        form.add_error(note, _("Say in the note what the reason was."))


def by_field(error: forms.ValidationError) -> dict[str, list[str]]:
    return error.message_dict if hasattr(error, "error_dict") else {"": error.messages}
