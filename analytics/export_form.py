"""What may be asked of an export."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from analytics.datasets import DATASETS
from analytics.exports import taken
from analytics.exports.formats import FORMATS
from analytics.models import Snapshot
from trial import marks, protocol
from trial.models import User
from trial.roles import Permission


def _frozen(snapshot: Snapshot) -> str:
    return f"{snapshot.pk}{marks.colon()}{snapshot.title}{marks.comma()}r{snapshot.revision}"


class ExportForm(forms.Form):
    """Datasets, format, population and how much they tell."""

    datasets = forms.MultipleChoiceField(
        label=_("Datasets"),
        required=False,
        choices=[(name, name) for name in DATASETS],
        initial=list(DATASETS),
        widget=forms.CheckboxSelectMultiple,
    )
    format = forms.ChoiceField(
        label=_("Format"),
        choices=[(form.code, _(form.label)) for form in FORMATS.values()],
        initial="csv",
        widget=forms.RadioSelect,
    )
    population = forms.ChoiceField(
        label=_("Population"),
        required=False,
        choices=[
            ("", _("all subjects")),
            *((p.value, _(protocol.POPULATION_LABELS[p])) for p in protocol.Population),
        ],
    )
    snapshot = forms.ModelChoiceField(
        label=_("As of"),
        required=False,
        queryset=Snapshot.objects.none(),
        empty_label=_("now, the newest revision"),
        help_text=_("A snapshot leaves whole and byte for byte as it was frozen."),
    )
    byte_order_mark = forms.BooleanField(
        label=_("Mark CSV files as UTF-8 for spreadsheets"), required=False, initial=True
    )
    identified = forms.BooleanField(
        label=_("Identified: dates and free text instead of study days"), required=False
    )
    purpose = forms.CharField(
        label=_("Purpose of an identified export"),
        required=False,
        max_length=taken.LONGEST_PURPOSE,
        help_text=_("For example: reconciliation with the safety database. Kept in the log of exports."),
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        for name in ("population", "snapshot", "purpose"):
            widget = self.fields[name].widget
            widget.attrs["class"] = "form-select" if isinstance(widget, forms.Select) else "form-control"
        chooser = self.fields["snapshot"]
        assert isinstance(chooser, forms.ModelChoiceField)
        chooser.queryset = Snapshot.objects.defer("manifest").order_by("-id")
        chooser.label_from_instance = _frozen  # type: ignore[method-assign, assignment]
        if not user.may(Permission.EXPORT_IDENTIFIED):
            del self.fields["identified"]
            del self.fields["purpose"]

    def clean(self) -> dict[str, Any]:
        said = super().clean() or self.cleaned_data
        if said.get("snapshot"):
            if said.get("identified") or said.get("population") or said.get("format", "csv") != "csv":
                self.add_error(
                    "snapshot",
                    _(
                        "A snapshot is de-identified CSV of all subjects. Take it as it is, or choose “now”"
                        " for another format, a population or an identified export."
                    ),
                )
        elif not said.get("datasets") and "datasets" not in self.errors:
            self.add_error("datasets", _("Choose at least one dataset."))
        try:
            taken.check(
                self.user, identified=bool(said.get("identified")), purpose=str(said.get("purpose", ""))
            )
        except taken.Refused as refusal:
            self.add_error("purpose" if "purpose" in self.fields else None, str(refusal))
        return said

    def wanted(self) -> dict[str, Any]:
        """Return what the job needs, as JSON can hold it."""
        snapshot = self.cleaned_data.get("snapshot")
        return {**self.cleaned_data, "snapshot": snapshot.pk if snapshot else None}
