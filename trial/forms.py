"""Forms of the ground floor."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from trial import selectors
from trial.address import LARGEST, AddressForm
from trial.models import User
from trial.selectors import Filters, Reader


class PersonField(forms.ModelChoiceField):  # type: ignore[type-arg]
    """A person by name and role."""

    def label_from_instance(self, person: User) -> str:
        role = person.get_role_display()
        return f"{person.shown_name}, {role}" if role else person.shown_name


def _small(widget: forms.Widget, **attributes: str) -> forms.Widget:
    look = "form-select" if isinstance(widget, forms.Select) else "form-control"
    widget.attrs |= {"class": look} | attributes
    return widget


class AuditFilterForm(AddressForm):
    """What the list of revisions is narrowed to; all of it lives in the address."""

    who = PersonField(label=_("Who"), queryset=None, required=False, empty_label=_("everybody"))
    subject = forms.CharField(label=_("Subject"), max_length=24, required=False)
    table = forms.ChoiceField(label=_("What"), required=False)
    source = forms.CharField(label=_("Source"), max_length=80, required=False)
    day_from = forms.DateField(label=_("From"), input_formats=["%Y-%m-%d"], required=False)
    day_to = forms.DateField(label=_("To"), input_formats=["%Y-%m-%d"], required=False)
    corrections = forms.BooleanField(label=_("Corrections only"), required=False)
    before = forms.IntegerField(min_value=1, max_value=LARGEST, required=False, widget=forms.HiddenInput)
    after = forms.IntegerField(min_value=0, max_value=LARGEST, required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, eyes: Reader, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["who"].queryset = selectors.people(eyes)  # type: ignore[attr-defined]
        self.fields["table"].choices = [("", _("everything")), *selectors.tables(eyes)]  # type: ignore[attr-defined]
        for name in ("who", "table"):
            _small(self.fields[name].widget)
        _small(self.fields["subject"].widget, autocomplete="off", spellcheck="false", size="10")
        _small(self.fields["source"].widget, autocomplete="off", size="12")
        for name in ("day_from", "day_to"):
            self.fields[name].widget = _small(
                forms.DateInput(format="%Y-%m-%d"), placeholder="2026-03-19", size="10"
            )
            self.fields[name].error_messages["invalid"] = _("Write the day as 2026-03-19.")
        self.fields["corrections"].widget.attrs["role"] = "switch"

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        first, last = cleaned.get("day_from"), cleaned.get("day_to")
        if first and last and last < first:
            self.add_error("day_to", _("It lies before the first day."))
        return cleaned

    def filters(self) -> Filters:
        """Return the filters that could be read; what could not is said beside its field."""
        given = self.cleaned_data
        return Filters(
            who=given["who"].pk if given.get("who") else None,
            subject=given.get("subject", ""),
            table=given.get("table", ""),
            source=given.get("source", ""),
            day_from=given.get("day_from"),
            day_to=given.get("day_to"),
            corrections=given.get("corrections", False),
        )


class HistoryForm(AddressForm):
    """What of a subject's history is shown; all of it lives in the address."""

    show = forms.ChoiceField(
        choices=[("", ""), ("labs", ""), ("infusions", ""), ("corrections", "")], required=False
    )
    who = forms.IntegerField(min_value=1, max_value=LARGEST, required=False, widget=forms.HiddenInput)
    before = forms.IntegerField(min_value=1, max_value=LARGEST, required=False, widget=forms.HiddenInput)
    revision = forms.IntegerField(min_value=1, max_value=LARGEST, required=False, widget=forms.HiddenInput)
