"""The form that says why a visit did not take place."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from patients.forms.fields import CorrectionForm, text_field
from patients.models import Visit
from trial import vocabulary
from trial.refusals import Refused


class NotDoneForm(CorrectionForm):
    """A coded cause and a note; a change of what was said before needs a reason as well."""

    why = text_field(_("Why it was not done"))
    said = text_field(_("In words"))

    SOMEBODY_ELSE = _("Somebody else saved this visit meanwhile. Look at it again.")

    def __init__(self, data: Any = None, *, visit: Visit | None) -> None:
        self.visit = visit
        super().__init__(
            data,
            initial={
                "why": visit.not_done if visit else "",
                "said": visit.note if visit else "",
                "version": visit.version if visit else 0,
            },
        )

    @property
    def causes(self) -> list[tuple[int, vocabulary.Term, bool]]:
        """The causes with the key that picks each, and whether it is picked."""
        chosen = self.shown("why")
        return [
            (key, cause, cause.code == chosen)
            for key, cause in enumerate(vocabulary.NOT_DONE_REASONS, start=1)
        ]

    @property
    def is_correction(self) -> bool:
        return self.visit is not None and bool(self.visit.not_done)

    def add_problems(self, refused: Refused) -> None:
        """Show what the action refused; its note is not the note of a correction."""
        for problem in refused.problems:
            field = {"note": "said"}.get(problem.field, problem.field)
            self.add_error(field if field in self.fields else None, problem.in_words)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        self.read_reason()
        return cleaned
