"""The form that enrols a subject found eligible."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from patients import edit_checks
from patients.forms.fields import TypedForm, text_field
from patients.models import Patient
from trial import protocol


class EnrolForm(TypedForm):
    """The day of recruitment and the planned course of a subject found eligible."""

    recruited_on = text_field(_("Recruited on"))
    planned_course = forms.ChoiceField(
        label=_("Planned course"),
        choices=[(course.value, label) for course, label in protocol.COURSE_LABELS.items()],
    )
    version = forms.IntegerField(required=False, min_value=0, max_value=2**31 - 1, widget=forms.HiddenInput)

    def __init__(self, data: Any = None, *, patient: Patient, life: edit_checks.Life) -> None:
        self.patient, self.life = patient, life
        super().__init__(
            data,
            initial={
                "recruited_on": (patient.recruited_on or life.today).isoformat(),
                "planned_course": patient.planned_course or protocol.Course.STANDARD.value,
                "version": patient.version,
            },
        )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if self.patient.recruited_on is None:
            cleaned["recruited_on"] = self.read_day("recruited_on", today=self.life.today, life=self.life)
        else:
            cleaned["recruited_on"] = self.patient.recruited_on
        return cleaned
