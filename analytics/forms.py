"""What may be asked of an export."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from analytics.datasets import DATASETS
from trial import protocol
from trial.models import User
from trial.roles import Permission


class ExportForm(forms.Form):
    """Datasets, population and how much they tell."""

    datasets = forms.MultipleChoiceField(
        label=_("Datasets"),
        choices=[(name, f"{name}: {dataset.grain}") for name, dataset in DATASETS.items()],
        initial=list(DATASETS),
        widget=forms.CheckboxSelectMultiple,
    )
    population = forms.ChoiceField(
        label=_("Population"),
        required=False,
        choices=[
            ("", _("all subjects")),
            *((p.value, protocol.POPULATION_LABELS[p]) for p in protocol.Population),
        ],
    )
    identified = forms.BooleanField(
        label=_("Identified: dates and free text instead of study days"),
        required=False,
        help_text=_("Needs a permission of its own; who exported what is kept."),
    )
    byte_order_mark = forms.BooleanField(
        label=_("For spreadsheets: start files with a byte order mark"), required=False, initial=True
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not user.may(Permission.EXPORT_IDENTIFIED):
            del self.fields["identified"]
