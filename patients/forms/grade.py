"""The form of another grade than the proposed one."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from patients import ctcae
from patients.forms.fields import TypedForm, text_field

REASON_LENGTH = 200


class GradeForm(TypedForm):
    """A grade, why it is not the proposed one, and the version of the result on screen."""

    grade = forms.TypedChoiceField(
        label=_("Grade"), coerce=int, choices=[(str(n), str(n)) for n in range(ctcae.HIGHEST + 1)]
    )
    reason = text_field(_("Reason"))
    version = forms.IntegerField(min_value=0, max_value=2**31 - 1, widget=forms.HiddenInput)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        cleaned["reason"] = self.read_text("reason", most=REASON_LENGTH)
        return cleaned
