"""What may be asked of an export, and said about a file to import."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext_lazy as _

from analytics.datasets import DATASETS
from patients.imports.encodings import LABELS
from patients.imports.options import DateOrder
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


class UploadForm(forms.Form):
    """A file to import, and what is known about it."""

    kind = forms.ChoiceField(
        label=_("What it holds"),
        choices=[
            ("subjects", _("Subjects: one row each")),
            ("infusions", _("Infusions: one row each")),
            ("visits", _("Visits with laboratory values, a row per visit or per value")),
        ],
        initial="visits",
    )
    file = forms.FileField(label=_("File"), help_text=_("CSV or Excel (.xlsx)."), max_length=200)
    encoding = forms.ChoiceField(
        label=_("Encoding"),
        required=False,
        choices=[("", _("find out")), *(pair for pair in LABELS.items() if pair[0] != "utf-8-sig")],
    )
    dates = forms.ChoiceField(
        label=_("Dates such as 03/04/2026"),
        required=False,
        choices=[
            ("", _("only if the file shows what comes first")),
            (DateOrder.DAY_FIRST.value, _("day first: 3 April")),
            (DateOrder.MONTH_FIRST.value, _("month first: 4 March")),
        ],
    )

    def clean_file(self) -> UploadedFile[bytes]:
        upload: UploadedFile[bytes] = self.cleaned_data["file"]
        most = settings.LARGEST_UPLOAD
        if (upload.size or 0) > most:
            raise forms.ValidationError(
                _("The file has %(size)s MB; at most %(most)s MB are read at once. Split it."),
                params={"size": (upload.size or 0) // 2**20, "most": most // 2**20},
            )
        return upload

    def options(self) -> dict[str, str]:
        """Return what was said about the file, as the import takes it."""
        return {name: self.cleaned_data[name] for name in ("encoding", "dates") if self.cleaned_data[name]}


class CommitForm(forms.Form):
    """Why a file is imported, and whether it may replace what is here."""

    reason = forms.CharField(
        label=_("Reason"), max_length=200, help_text=_("Stands in the trail beside every value.")
    )
    overwrite = forms.BooleanField(
        label=_("In every conflict take the file"),
        required=False,
        help_text=_("Replaces what is here; the earlier values stay in the trail."),
    )
