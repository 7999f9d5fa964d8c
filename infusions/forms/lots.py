"""Forms of a lot: what it is, its release tests, the decision about it, a step of its custody."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from infusions import release
from infusions.actions import TestResult
from infusions.forms.fields import (
    MOST_SHELF_LIFE_DAYS,
    DayField,
    ExactNumberField,
    HourField,
    ReasonFields,
    Refusing,
    choices_of,
    lot_code_field,
    plain,
    text_field,
    version_field,
)
from infusions.models import CellLot, ReleaseTest
from patients import selectors as patient_selectors
from trial import clock, marks, vocabulary
from trial.models import Site, User

MOST_BAGS = 500


class _LotFields(Refusing):
    expires_on = DayField(label=gettext_lazy("Expires on"), required=False, days_ahead=MOST_SHELF_LIFE_DAYS)
    bags = forms.IntegerField(
        label=gettext_lazy("Bags"),
        required=False,
        min_value=0,
        max_value=MOST_BAGS,
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
    )
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
    site = forms.ModelChoiceField(
        label=gettext_lazy("Site"),
        required=False,
        queryset=Site.objects.none(),
        empty_label=gettext_lazy("any"),
    )

    def for_user(self, user: User) -> None:
        """Offer the sites a person may see."""
        self.fields["site"].queryset = patient_selectors.sites_for(user)  # type: ignore[attr-defined]


class LotForm(_LotFields):
    """A new lot of cells."""

    code = lot_code_field(label=gettext_lazy("Lot"))
    field_order = ("code", "expires_on", "bags", "donor_code", "passage", "viability_percent", "site")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["code"].widget.attrs["autofocus"] = True


class LotEditForm(_LotFields, ReasonFields):
    """A lot that is registered: everything but its code and its release."""

    version = version_field()

    def __init__(self, data: Any = None, *, lot: CellLot, **options: Any) -> None:
        initial = {
            "expires_on": lot.expires_on.isoformat() if lot.expires_on else "",
            "bags": lot.bags,
            "donor_code": lot.donor_code,
            "passage": lot.passage,
            "viability_percent": plain(lot.viability_percent),
            "site": lot.site_id,
            "version": lot.version,
        }
        super().__init__(data, initial=initial, **options)

    def values(self) -> dict[str, Any]:
        """Return the lot as it was typed."""
        names = ("expires_on", "bags", "donor_code", "passage", "viability_percent", "site")
        return {name: self.cleaned_data[name] for name in names}


@dataclass(frozen=True, slots=True)
class TestRow:
    """One release test of the grid."""

    code: str
    label: str
    criterion: str
    result: forms.BoundField
    finding: forms.BoundField
    tested_on: forms.BoundField
    version: forms.BoundField
    stored: str

    @property
    def errors(self) -> list[str]:
        return [str(e) for each in (self.result, self.finding, self.tested_on) for e in each.errors]


class ReleaseTestsForm(Refusing, ReasonFields):
    """Every release test of a lot in one grid."""

    def __init__(self, data: Any = None, *, stored: Mapping[str, ReleaseTest]) -> None:
        self.stored = stored
        initial: dict[str, Any] = {}
        for term in vocabulary.RELEASE_TESTS:
            row = stored.get(term.code)
            initial |= {
                f"{term.code}_result": row.result if row else "pending",
                f"{term.code}_finding": row.finding if row else "",
                f"{term.code}_on": row.tested_on.isoformat() if row and row.tested_on else "",
                f"{term.code}_version": row.version if row else 0,
            }
        super().__init__(data, initial=initial, use_required_attribute=False)
        for term in vocabulary.RELEASE_TESTS:
            self.fields[f"{term.code}_result"] = forms.ChoiceField(
                choices=choices_of(vocabulary.RELEASE_RESULTS)
            )
            label = _(term.label)
            self.fields[f"{term.code}_finding"] = text_field(
                f"{label}{marks.comma()}{_('finding')}", most=120
            )
            self.fields[f"{term.code}_on"] = DayField(
                label=f"{label}{marks.comma()}{_('date')}", required=False
            )
            self.fields[f"{term.code}_version"] = version_field()

    def rows(self) -> Iterator[TestRow]:
        """Yield the rows of the grid, with what each test has to show."""
        for term in vocabulary.RELEASE_TESTS:
            row = self.stored.get(term.code)
            yield TestRow(
                term.code,
                _(term.label),
                _(release.CRITERIA[term.code]),
                self[f"{term.code}_result"],
                self[f"{term.code}_finding"],
                self[f"{term.code}_on"],
                self[f"{term.code}_version"],
                row.result if row else "pending",
            )

    def results(self) -> dict[str, TestResult]:
        """Return what was typed, but for tests that nobody touched."""
        found = {}
        for term in vocabulary.RELEASE_TESTS:
            code = term.code
            result = TestResult(
                self.cleaned_data[f"{code}_result"],
                self.cleaned_data[f"{code}_finding"],
                self.cleaned_data[f"{code}_on"],
                self.cleaned_data[f"{code}_version"],
            )
            if code in self.stored or result.values() != TestResult().values():
                found[code] = result
        return found

    def accept_versions(self, stored: Mapping[str, ReleaseTest]) -> None:
        """Let the next submission stand on what the other person wrote."""
        data: Any = self.data.copy()  # type: ignore[attr-defined]
        for code, row in stored.items():
            data[f"{code}_version"] = str(row.version)
        self.data = data


class ReleaseForm(Refusing):
    """The decision about a lot, and what it rests on."""

    to = forms.ChoiceField(
        label=gettext_lazy("Decision"),
        widget=forms.RadioSelect,
        error_messages={"required": gettext_lazy("No decision is given. Choose one.")},
    )
    reason = text_field(gettext_lazy("Reason"), required=True)
    version = version_field()

    def __init__(self, data: Any = None, *, lot: CellLot) -> None:
        super().__init__(data, initial={"version": lot.version}, use_required_attribute=False)
        words = {
            "released": _("Release"),
            "conditional": _("Release on condition: sterility is pending"),
            "rejected": _("Reject"),
            "recalled": _("Recall"),
            "quarantine": _("Back into quarantine"),
        }
        self.fields["to"].choices = [(to, words[to]) for to in release.STEPS[lot.release]]  # type: ignore[attr-defined]


class CustodyForm(Refusing):
    """One step of a lot or of a bag of it."""

    step = forms.ChoiceField(
        label=gettext_lazy("Step"),
        error_messages={"required": gettext_lazy("No step is chosen. Choose one.")},
    )
    happened_on = DayField(label=gettext_lazy("Day"))
    happened_at = HourField(label=gettext_lazy("Hour"))
    bag = text_field(gettext_lazy("Bag"), most=24)
    place = text_field(gettext_lazy("Place"), most=80)
    person = text_field(gettext_lazy("Person"), most=80)
    temperature_c = ExactNumberField(
        label=gettext_lazy("Temperature, °C"),
        required=False,
        least=Decimal(-273),
        most=Decimal(60),
        places=1,
        unit="°C",
        remedy=gettext_lazy("Check the logger."),
    )
    note = text_field(gettext_lazy("Note"))

    def __init__(self, data: Any = None, *, user: User) -> None:
        self.user = user
        today = clock.today_at(user.site) if user.site else timezone.localdate()
        super().__init__(data, initial={"happened_on": today.isoformat()}, use_required_attribute=False)
        self.fields["step"].widget.attrs["autofocus"] = True
        self.fields["step"].choices = choices_of(vocabulary.CUSTODY_STEPS, "")  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if "happened_on" in cleaned and "happened_at" in cleaned:
            day, hour = cleaned["happened_on"], cleaned["happened_at"]
            zone = clock.zone(self.user.site) if self.user.site else timezone.get_current_timezone()
            cleaned["moment"] = datetime.combine(day, hour, zone)
            if cleaned["moment"] > timezone.now() + timedelta(minutes=5):
                self.add_error(
                    "happened_at",
                    _("%(moment)s lies in the future. Record a step after it happened.")
                    % {"moment": f"{cleaned['moment']:%Y-%m-%d %H:%M}"},
                )
        return cleaned

    def values(self) -> dict[str, Any]:
        """Return the step as the action takes it."""
        names = ("step", "bag", "place", "person", "temperature_c", "note")
        return {"happened_at": self.cleaned_data["moment"]} | {
            name: self.cleaned_data[name] for name in names
        }
