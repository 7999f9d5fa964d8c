"""What may be said about a file to import."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from analytics.import_page import kind_label
from analytics.imports import KINDS
from patients.imports.encodings import LABELS
from patients.imports.options import DateOrder
from patients.models import Laboratory
from trial import protocol
from trial.models import Site, User

SEPARATOR_WORDS = {",": _("comma"), ";": _("semicolon"), "\t": _("tab"), "|": _("bar")}
DATE_ORDERS = [
    (DateOrder.DAY_FIRST.value, _("day first: 3 April")),
    (DateOrder.MONTH_FIRST.value, _("month first: 4 March")),
]


class ReadingForm(forms.Form):
    """What a person says about a file so that nothing of it is guessed."""

    encoding = forms.ChoiceField(
        label=_("Encoding"),
        required=False,
        choices=[("", _("find out")), *(pair for pair in LABELS.items() if pair[0] != "utf-8-sig")],
    )
    separator = forms.ChoiceField(
        label=_("Separator"), required=False, choices=[("", _("find out")), *SEPARATOR_WORDS.items()]
    )
    dates = forms.ChoiceField(
        label=_("Dates such as 03/04/2026"),
        required=False,
        choices=[("", _("only if the file shows what comes first")), *DATE_ORDERS],
    )

    SAID: ClassVar[tuple[str, ...]] = ("encoding", "separator", "dates")

    def options(self) -> dict[str, Any]:
        """Return what was said about the file, as the import takes it."""
        return {name: self.cleaned_data[name] for name in self.SAID if self.cleaned_data.get(name)}


class UploadForm(ReadingForm):
    """A file to import, where it comes from, and what is known about it."""

    kind = forms.ChoiceField(label=_("What it holds"), initial="visits")
    laboratory = forms.ModelChoiceField(
        label=_("Laboratory"),
        queryset=Laboratory.objects.none(),
        required=False,
        empty_label=_("none, or several"),
        help_text=_("What its files mean is remembered."),
    )
    site = forms.ModelChoiceField(
        label=_("Site"),
        queryset=Site.objects.none(),
        required=False,
        to_field_name="code",
        empty_label=_("as the file says"),
        help_text=_("Of new subjects, when their file names none."),
    )
    file = forms.FileField(label=_("File"), help_text=_("CSV or Excel (.xlsx)."), max_length=200)

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        explained = {
            "subjects": _("Subjects: one row each"),
            "infusions": _("Infusions: one row each"),
            "visits": _("Visits with laboratory values, a row per visit or per value"),
        }
        kind = self.fields["kind"]
        laboratory = self.fields["laboratory"]
        assert isinstance(kind, forms.ChoiceField)
        assert isinstance(laboratory, forms.ModelChoiceField)
        kind.choices = [(name, explained.get(name, kind_label(name))) for name in KINDS]
        laboratory.queryset = Laboratory.objects.visible_to(user).filter(is_active=True)
        site = self.fields["site"]
        assert isinstance(site, forms.ModelChoiceField)
        if user.site is None:
            site.queryset = Site.objects.order_by("code")
        else:
            del self.fields["site"]  # who belongs to a site brings in its subjects

    def clean_file(self) -> UploadedFile[bytes]:
        upload: UploadedFile[bytes] = self.cleaned_data["file"]
        most = settings.LARGEST_UPLOAD
        if (upload.size or 0) > most:
            raise forms.ValidationError(
                _("The file has %(size)s MB; at most %(most)s MB are read at once. Split it."),
                params={"size": (upload.size or 0) // 2**20, "most": most // 2**20},
            )
        return upload


class ColumnsForm(ReadingForm):
    """How an uploaded file is to be read again."""

    sheet = forms.ChoiceField(label=_("Sheet"), required=False)
    header_line = forms.IntegerField(
        label=_("Header in line"), required=False, min_value=1, max_value=1000, widget=forms.TextInput
    )
    remember = forms.BooleanField(required=False)

    SAID = ("encoding", "separator", "dates", "sheet", "header_line")

    def __init__(self, *args: Any, sheets: Sequence[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        sheet = self.fields["sheet"]
        assert isinstance(sheet, forms.ChoiceField)
        sheet.choices = [("", _("find out")), *((name, name) for name in sheets)]
        for name in ("encoding", "separator") if sheets else ("sheet",):
            del self.fields[name]


class UndoForm(forms.Form):
    """Why a whole import is taken back."""

    reason = forms.CharField(label=_("Reason"), max_length=200, strip=True)


class CommitForm(forms.Form):
    """Why a file is imported, and whether it may replace what is here."""

    reason = forms.CharField(
        label=_("Reason"), max_length=200, help_text=_("Stands in the trail beside every value.")
    )
    rest = forms.ChoiceField(
        label=_("Conflicts without a choice"),
        required=False,
        choices=[("", _("stay as they are here"))],
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rest = self.fields["rest"]
        assert isinstance(rest, forms.ChoiceField)
        rest.choices = [
            ("", _("stay as they are here")),
            *(
                (coded.code, _("take the file: %(why)s") % {"why": gettext(coded.label)})
                for coded in protocol.CHANGE_REASONS
            ),
        ]

    def clean_reason(self) -> str:
        """Keep the reason in one line: the coded reasons of single values stand in the lines below it."""
        return " ".join(str(self.cleaned_data["reason"]).split())
