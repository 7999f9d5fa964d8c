"""The forms of a laboratory and of a reference range."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from django import forms
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from patients import ranges
from patients.actions.laboratories import RangeEntry, in_unit
from patients.forms.fields import CorrectionForm, TypedForm, said, text_field
from patients.models import Laboratory, ReferenceRange
from trial import protocol, typed
from trial.models import Site
from trial.protocol import Analyte
from trial.typed import Unreadable
from trial.unit_words import unit_said


def _sites() -> list[tuple[str, Any]]:
    return [("", _("serves all sites")), *((str(s.pk), s.name) for s in Site.objects.order_by("code"))]


class NewLaboratoryForm(TypedForm):
    """A laboratory that is not there yet."""

    code = text_field(_("Code"))
    name = text_field(pgettext_lazy("of a place", "Name"))
    site = forms.ChoiceField(label=_("Site"), required=False)

    def __init__(self, data: Any = None, **options: Any) -> None:
        super().__init__(data, **options)
        self.fields["site"].choices = _sites()  # type: ignore[attr-defined]

    def site_chosen(self) -> Site | None:
        """Return the site, or None for a laboratory that serves all."""
        chosen = self.cleaned_data.get("site")
        return Site.objects.get(pk=chosen) if chosen else None


class LaboratoryForm(CorrectionForm, NewLaboratoryForm):
    """Name, site, whether it is in use, and the unit of each analyte."""

    is_active = forms.BooleanField(label=_("In use"), required=False)

    def __init__(self, data: Any = None, *, laboratory: Laboratory, reported: dict[str, str]) -> None:
        self.laboratory = laboratory
        initial: dict[str, Any] = {
            "code": laboratory.code,
            "name": laboratory.name,
            "site": str(laboratory.site_id or ""),
            "is_active": laboratory.is_active,
            "version": laboratory.version,
        }
        initial |= {f"unit_{analyte.code}": reported[analyte.code] for analyte in protocol.PANEL}
        super().__init__(data, initial=initial)
        del self.fields["code"]
        for analyte in protocol.PANEL:
            self.fields[f"unit_{analyte.code}"] = forms.ChoiceField(
                label=_(analyte.label), choices=[(unit, unit_said(unit)) for unit in analyte.accepted]
            )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        self.read_reason()
        return cleaned

    def unit_fields(self) -> list[forms.BoundField]:
        """Return the unit of each analyte of which there is a choice."""
        return [self[f"unit_{a.code}"] for a in protocol.PANEL if len(a.accepted) > 1]

    def chosen_units(self) -> dict[str, str]:
        """Return the unit of every analyte."""
        return {a.code: self.cleaned_data[f"unit_{a.code}"] for a in protocol.PANEL}


class RangeForm(CorrectionForm):
    """A reference range in the unit of the laboratory; what is empty is open."""

    sex = forms.ChoiceField(
        label=_("Sex"),
        required=False,
        choices=[("", _("both"))] + [(s.value, _(protocol.SEX_LABELS[s])) for s in protocol.Sex],
    )
    age_from = text_field(_("From age"))
    age_to = text_field(_("To age"))
    low = text_field(_("Low"))
    high = text_field(_("High"))
    unit = forms.ChoiceField(label=_("Unit"))
    valid_from = text_field(_("Valid from"))
    valid_to = text_field(_("Valid to"))

    def __init__(
        self,
        data: Any = None,
        *,
        analyte: Analyte,
        unit: str,
        today: date,
        stored: ReferenceRange | None = None,
    ) -> None:
        self.analyte, self.today, self.stored_range = analyte, today, stored
        initial: dict[str, Any] = {"unit": unit, "version": 0}
        if stored is not None:
            whole = (stored.age_from, stored.age_to) == (ranges.YOUNGEST, ranges.OLDEST)
            initial = {
                "sex": stored.sex,
                "age_from": "" if whole else stored.age_from,
                "age_to": "" if whole else stored.age_to,
                "low": in_unit(stored.low, analyte.code, stored.typed_unit),
                "high": in_unit(stored.high, analyte.code, stored.typed_unit),
                "unit": stored.typed_unit,
                "valid_from": stored.valid_from.isoformat(),
                "valid_to": stored.valid_to.isoformat() if stored.valid_to else "",
                "version": stored.version,
            }
        super().__init__(data, initial=initial)
        self.fields["unit"].choices = [(u, unit_said(u)) for u in analyte.accepted]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        for name, otherwise in (("age_from", ranges.YOUNGEST), ("age_to", ranges.OLDEST)):
            cleaned[name] = self._age(name, otherwise)
        for name in ("low", "high"):
            cleaned[name] = self._limit(name)
        cleaned["valid_from"] = self._day("valid_from", needed=True)
        cleaned["valid_to"] = self._day("valid_to", needed=False)
        self.read_reason()
        return cleaned

    def _age(self, name: str, otherwise: int) -> int:
        text = self.posted(name).strip()
        if not text:
            return otherwise
        try:
            value = typed.read_number_alone(text)
        except Unreadable as error:
            self.add_error(name, said(error))
            return otherwise
        if value.comparator or value.unit or value.value != value.value.to_integral():
            self.add_error(name, _("An age is whole years. Leave it empty for all ages."))
            return otherwise
        if value.value > ranges.OLDEST:
            self.add_error(name, gettext("No age is above %(most)s.") % {"most": ranges.OLDEST})
            return otherwise
        return int(value.value)

    def _limit(self, name: str) -> Decimal | None:
        text = self.posted(name)
        if not text.strip():
            return None
        try:
            number = typed.read_number_alone(text)
        except Unreadable as error:
            self.add_error(name, said(error))
            return None
        if number.comparator:
            self.add_error(
                name, _("A limit is a number without < or >. Leave the other limit empty instead.")
            )
            return None
        if number.unit is not None and number.unit != self.posted("unit"):
            self.add_error(name, _("The unit behind the number is not the one chosen. Keep one of the two."))
            return None
        return number.value

    def _day(self, name: str, *, needed: bool) -> date | None:
        text = self.posted(name)
        if not text.strip():
            if needed:
                self.add_error(
                    name,
                    _("%(field)s: the date is empty. Type it as year-month-day.")
                    % {"field": self.fields[name].label},
                )
            return None
        try:
            return typed.read_date(text, today=self.today)
        except Unreadable as error:
            self.add_error(name, said(error))
            return None

    def entry(self) -> RangeEntry:
        """Return what was typed, once the form is valid."""
        given = self.cleaned_data
        return RangeEntry(
            analyte=self.analyte.code,
            low=given["low"],
            high=given["high"],
            unit=given["unit"],
            valid_from=given["valid_from"],
            valid_to=given["valid_to"],
            sex=given["sex"],
            age_from=given["age_from"],
            age_to=given["age_to"],
        )
