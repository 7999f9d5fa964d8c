"""The form of a treatment: one row."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from patients import edit_checks
from patients.actions.treatments import AGENT_LENGTH, DOSE_LENGTH, TreatmentEntry
from patients.forms.event import coded, day_text, hour_text
from patients.forms.fields import CorrectionForm, text_field
from patients.models import Treatment
from trial import vocabulary

NOTE_LENGTH = 300


class TreatmentForm(CorrectionForm):
    """What was given, from when until when; no end means it goes on. ``what`` is its own note."""

    kind = coded(_("Treatment"), vocabulary.TREATMENTS)
    agent = text_field(_("Agent"))
    dose = text_field(_("Dose"))
    started_on = text_field(_("From"))
    started_at = text_field(_("at"))
    ended_on = text_field(_("To"))
    ended_at = text_field(_("at"))
    what = text_field(_("Note"))
    overlap_confirmed = forms.BooleanField(required=False)

    HOURS = {"started_at": "started_on", "ended_at": "ended_on"}
    TEXTS_OF = {"note": ("what",)}
    """Fields of the form by field of the row, where they differ."""

    def __init__(
        self, data: Any = None, *, life: edit_checks.Life, treatment: Treatment | None = None
    ) -> None:
        self.life, self.treatment = life, treatment
        self.overlaps: list[Treatment] = []
        texts = texts_of(treatment) if treatment is not None else {}
        super().__init__(data, initial={"version": treatment.version if treatment else 0, **texts})

    @property
    def asks(self) -> bool:
        """Whether the same agent at the same time still has to be confirmed."""
        return bool(self.overlaps) and not self.cleaned_data.get("overlap_confirmed")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        cleaned["started_on"] = self.read_day("started_on", today=self.life.today)
        cleaned["started_at"] = self.read_hour("started_at")
        cleaned["ended_on"] = self.read_day("ended_on", today=self.life.today, needed=False)
        cleaned["ended_at"] = self.read_hour("ended_at")
        cleaned["agent"] = self.read_text("agent", most=AGENT_LENGTH)
        cleaned["dose"] = self.read_text("dose", most=DOSE_LENGTH)
        cleaned["what"] = self.read_text("what", most=NOTE_LENGTH)
        if not cleaned.get("kind") and "kind" not in self.errors:
            self.add_error("kind", _("No treatment is chosen. Choose one of the list."))
        self.read_reason()
        return cleaned

    def entry(self) -> TreatmentEntry:
        """Return what the action takes."""
        cleaned = self.cleaned_data
        return TreatmentEntry(
            kind=cleaned["kind"],
            started_on=cleaned["started_on"],
            started_at=cleaned["started_at"],
            ended_on=cleaned["ended_on"],
            ended_at=cleaned["ended_at"],
            agent=cleaned["agent"],
            dose=cleaned["dose"],
            note=cleaned["what"],
        )


def texts_of(treatment: Treatment) -> dict[str, Any]:
    """Return what the form shows of a stored treatment."""
    return {
        "kind": treatment.kind,
        "agent": treatment.agent,
        "dose": treatment.dose,
        "started_on": day_text(treatment.started_on),
        "started_at": hour_text(treatment.started_at),
        "ended_on": day_text(treatment.ended_on),
        "ended_at": hour_text(treatment.ended_at),
        "what": treatment.note,
    }
