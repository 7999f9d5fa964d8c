"""The form of a screening, grown from the criteria of the protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from patients import edit_checks, eligibility
from patients.eligibility import Finding
from patients.entries import AnswerEntry
from patients.forms.fields import CorrectionForm, text_field
from patients.models import Screening
from trial import protocol
from trial.protocol import Answer, Criterion, CriterionKind

EVIDENCE_LENGTH = 300


@dataclass(slots=True)
class Question:
    """One criterion as the page shows it."""

    criterion: Criterion
    answer: str
    evidence: str
    evidence_on: str
    errors: list[str]
    finding: Finding | None = None

    @property
    def code(self) -> str:
        return self.criterion.code

    @property
    def label(self) -> str:
        return gettext(self.criterion.label)

    @property
    def advice(self) -> str:
        return gettext(self.criterion.advice)

    @property
    def answer_label(self) -> str:
        return gettext(protocol.ANSWER_LABELS[Answer(self.answer or Answer.UNKNOWN)])

    @property
    def is_against(self) -> bool:
        return self.answer not in ("", Answer.UNKNOWN, self.criterion.passes)

    @property
    def finding_said(self) -> str:
        return self.finding.sentence.said(gettext) if self.finding else ""

    @property
    def disagrees(self) -> bool:
        """Whether the data say something else than the tick."""
        return (
            self.finding is not None
            and self.finding.answer is not Answer.UNKNOWN
            and self.answer not in ("", Answer.UNKNOWN)
            and self.finding.answer != self.answer
        )


class ScreeningForm(CorrectionForm):
    """Every criterion as yes, no or unknown, with what the answer rests on and its day."""

    screened_on = text_field(_("Screened on"))

    def __init__(
        self,
        data: Any = None,
        *,
        life: edit_checks.Life,
        subject: eligibility.Subject,
        screening: Screening | None = None,
    ) -> None:
        self.life, self.subject, self.screening = life, subject, screening
        initial: dict[str, Any] = {"screened_on": subject.screened_on.isoformat(), "version": 0}
        if screening is not None:
            initial |= {"screened_on": screening.screened_on.isoformat(), "version": screening.version}
            for answer in screening.answers.all():
                initial[answer.criterion] = answer.answer
                initial[f"evidence_{answer.criterion}"] = answer.evidence
                initial[f"on_{answer.criterion}"] = (
                    answer.evidence_on.isoformat() if answer.evidence_on else ""
                )
        super().__init__(data, initial=initial)
        for criterion in protocol.CRITERIA:
            self.fields[criterion.code] = text_field(criterion.label)
            self.fields[f"evidence_{criterion.code}"] = text_field(_("Evidence"))
            self.fields[f"on_{criterion.code}"] = text_field(_("Day of the evidence"))

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        cleaned["screened_on"] = self.read_day("screened_on", today=self.life.today, life=self.life)
        cleaned["answers"] = {c.code: self._read(c) for c in protocol.CRITERIA}
        self.read_reason()
        return cleaned

    def _read(self, criterion: Criterion) -> AnswerEntry:
        text = self.posted(criterion.code) or Answer.UNKNOWN.value
        if text not in {answer.value for answer in Answer}:
            self.add_error(criterion.code, _("The answer is yes, no or unknown. Choose one of them."))
            text = Answer.UNKNOWN.value
        return AnswerEntry(
            Answer(text),
            self.read_text(f"evidence_{criterion.code}", most=EVIDENCE_LENGTH),
            self.read_day(f"on_{criterion.code}", today=self.life.today, life=self.life, needed=False),
        )

    def answers(self) -> Mapping[str, AnswerEntry]:
        """Return what is answered so far: as sent, or as stored."""
        if self.is_bound:
            self.is_valid()
            answers: Mapping[str, AnswerEntry] = self.cleaned_data["answers"]
            return answers
        if self.screening is None:
            return {}
        return {
            a.criterion: AnswerEntry(Answer(a.answer), a.evidence, a.evidence_on)
            for a in self.screening.answers.all()
        }

    def verdict(self) -> protocol.Verdict:
        """Judge what is answered so far."""
        return protocol.assess({code: entry.answer for code, entry in self.answers().items()})

    def day(self) -> date | None:
        """Return the day of screening that was sent, or None when it cannot be read."""
        day: date | None = self.cleaned_data.get("screened_on")
        return day

    def questions(self) -> dict[CriterionKind, list[Question]]:
        """Return the criteria by kind, with what was sent and what the data say."""
        found = eligibility.findings(self.subject, self.answers())
        asked: dict[CriterionKind, list[Question]] = {kind: [] for kind in CriterionKind}
        for criterion in protocol.CRITERIA:
            code = criterion.code
            asked[criterion.kind].append(
                Question(
                    criterion,
                    self.shown(code),
                    self.shown(f"evidence_{code}"),
                    self.shown(f"on_{code}"),
                    [
                        str(error)
                        for name in (code, f"evidence_{code}", f"on_{code}")
                        for error in self.errors.get(name, [])
                    ],
                    found.get(code),
                )
            )
        return asked
