"""The forms about who a subject is, and about one registered twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from patients.actions.merge import FIRST, SECOND, Collision
from patients.forms.fields import CorrectionForm, text_field
from patients.forms.registration import IDENTITY
from patients.models import PatientIdentity
from trial import vocabulary


class IdentityForm(CorrectionForm):
    """Name, hospital number and telephone; a change of what is stored asks for a reason."""

    name = text_field(_("Name"))
    hospital_number = text_field(_("Hospital number"))
    phone = text_field(_("Telephone"))

    def __init__(self, data: Any = None, *, identity: PatientIdentity | None) -> None:
        stored = {name: getattr(identity, name, "") for name, _label, _most in IDENTITY}
        super().__init__(data, initial=stored)
        self.is_correction = any(stored.values())

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        for name, _label, most in IDENTITY:
            cleaned[name] = self.read_text(name, most=most)
        self.read_reason()
        return cleaned


class MergeForm(CorrectionForm):
    """For every place that both subjects hold: whose record stays; and why the two are one."""

    REASONS = vocabulary.MERGE_REASONS

    def __init__(self, data: Any = None, *, collisions: Sequence[Collision]) -> None:
        super().__init__(data)
        self.collisions = collisions
        for collision in collisions:
            self.fields[collision.key] = forms.ChoiceField(
                choices=[(FIRST, ""), (SECOND, "")],
                error_messages={"required": _("Say which of the two stays.")},
            )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        self.read_reason()
        if not cleaned.get("reason"):
            self.add_error("reason", _("Choose a reason."))
        return cleaned

    def choices(self) -> dict[str, str]:
        """Return what was chosen, by collision."""
        return {c.key: str(self.cleaned_data.get(c.key, "")) for c in self.collisions}
