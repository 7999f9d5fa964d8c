"""The forms of an outcome, and of striking one."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from patients import edit_checks
from patients.forms.fields import CorrectionForm, text_field
from patients.models import Outcome
from trial import protocol, vocabulary

NOTE_LENGTH = 300


class OutcomeForm(CorrectionForm):
    """What happened to a subject, and when. ``what`` is its own note, ``note`` that of a correction."""

    kind = forms.ChoiceField(
        label=_("Outcome"),
        choices=[(k.value, label) for k, label in protocol.OUTCOME_LABELS.items()],
        error_messages={"required": _("No outcome is chosen. Choose one.")},
    )
    happened_on = text_field(_("Date"))
    what = text_field(_("Cause, note"))

    def __init__(self, data: Any = None, *, life: edit_checks.Life, outcome: Outcome | None = None) -> None:
        self.life, self.outcome = life, outcome
        initial: dict[str, Any] = {"version": 0}
        if outcome is not None:
            initial = {
                "kind": outcome.kind,
                "happened_on": outcome.happened_on.isoformat(),
                "what": outcome.note,
                "version": outcome.version,
            }
        super().__init__(data, initial=initial)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        cleaned["happened_on"] = self.read_day("happened_on", today=self.life.today)
        cleaned["what"] = self.read_text("what", most=NOTE_LENGTH)
        self.read_reason()
        return cleaned


class VoidForm(CorrectionForm):
    """Why something that was recorded did not happen."""

    REASONS = vocabulary.VOID_REASONS

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        self.read_reason()
        if not cleaned.get("reason"):
            self.add_error("reason", _("No reason is given. Choose one."))
        return cleaned
