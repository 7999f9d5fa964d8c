"""Rules that several actions share."""

from __future__ import annotations

from django.db import IntegrityError

from trial.refusals import Problem, Refused, refuse
from trial.sentences import Sentence
from trial.typed import Unreadable, read_text


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


LONGEST_NOTE = 300


def clean_text(field: str, text: str, most: int = LONGEST_NOTE) -> str:
    try:
        return read_text(text, most=most)
    except Unreadable as error:
        raise Refused([Problem(field, error.value, error.rule, error.sentence, error.remedy)]) from error


def demand_reason(reason: str) -> None:
    if not reason.strip():
        raise refuse(
            "reason",
            "",
            "reason_needed",
            Sentence(_("What is stored changes, and no reason is given.")),
            Sentence(_("Choose a reason.")),
        )


def refuse_voided(is_voided: bool) -> None:
    if is_voided:
        raise refuse(
            "",
            "",
            "voided",
            Sentence(_("It was voided already.")),
            Sentence(_("Enter it again if it did take place.")),
        )


def violated_constraint(error: IntegrityError) -> str:
    return str(getattr(getattr(error.__cause__, "diag", None), "constraint_name", "") or "")
