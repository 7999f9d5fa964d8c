"""The form that corrects what a subject was registered with."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from patients import edit_checks
from patients.actions import details as actions
from patients.actions.details import Details
from patients.forms.fields import CorrectionForm, text_field
from patients.forms.registration import read_age
from patients.models import Patient
from trial import protocol


def _choices(labels: Mapping[Any, Any]) -> list[tuple[str, Any]]:
    return [(code.value, label) for code, label in labels.items()]


class DetailsForm(CorrectionForm):
    """Date of birth or age, sex, diagnosis, day of recruitment and planned course, each as it is stored."""

    birth_date = text_field(_("Date of birth"))
    age_at_recruitment = text_field(_("or age in years, when recruited"))
    sex = forms.ChoiceField(label=_("Sex"), choices=_choices(protocol.SEX_LABELS))
    diagnosis = forms.ChoiceField(label=_("Diagnosis"), choices=_choices(protocol.DIAGNOSIS_LABELS))
    recruited_on = text_field(_("Recruited on"))
    planned_course = forms.ChoiceField(
        label=_("Planned course"),
        required=False,
        choices=[("", _("not planned yet")), *_choices(protocol.COURSE_LABELS)],
    )
    doubts_confirmed = text_field(_("It is right"))

    def __init__(self, data: Any = None, *, patient: Patient, life: edit_checks.Life) -> None:
        self.patient, self.life = patient, life
        self.doubts: list[tuple[Any, str]] = []
        super().__init__(data, initial=texts_of(patient) | {"version": patient.version})

    @property
    def doubts_key(self) -> str:
        """What a person confirms: these doubts and no others."""
        return "|".join(text for _label, text in self.doubts)

    @property
    def asks(self) -> bool:
        """Whether something that is hard to believe still has to be confirmed."""
        return bool(self.doubts) and self.posted("doubts_confirmed") != self.doubts_key

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        today = self.life.today
        cleaned["birth_date"] = self.read_day("birth_date", today=today, needed=False)
        cleaned["age_at_recruitment"] = read_age(self, "age_at_recruitment")
        cleaned["recruited_on"] = self.read_day("recruited_on", today=today, needed=False)
        self.read_reason()
        if not self.errors:
            found = actions.doubts(self.patient, self.details())
            self.doubts = [(self.fields[field].label, doubt.said(gettext)) for field, doubt in found.items()]
        return cleaned

    def details(self) -> Details:
        """Return what the action takes."""
        return Details(**{name: self.cleaned_data[name] for name in Details.__slots__})


def texts_of(patient: Patient) -> dict[str, str]:
    """Return what the form shows of a stored subject."""
    age: Decimal | None = patient.age_at_recruitment
    return {
        "birth_date": patient.birth_date.isoformat() if patient.birth_date else "",
        "age_at_recruitment": "" if age is None else f"{age.normalize():f}",
        "sex": patient.sex,
        "diagnosis": patient.diagnosis,
        "recruited_on": patient.recruited_on.isoformat() if patient.recruited_on else "",
        "planned_course": patient.planned_course,
    }
