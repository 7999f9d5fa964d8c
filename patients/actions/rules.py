"""Rules that several actions share."""

from __future__ import annotations

from datetime import date

from django.db import IntegrityError

from patients import edit_checks
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


def end_problems(start: date, end: date, life: edit_checks.Life) -> list[Problem]:
    """Return why something that began on ``start`` cannot have ended on ``end``."""
    if end < start:
        sentence = Sentence(
            _("The end, %(end)s, is before the beginning, %(start)s."),
            {"end": end.isoformat(), "start": start.isoformat()},
        )
        remedy = Sentence(_("Check both days."))
        return [Problem("ended_on", end.isoformat(), "ends_before_it_starts", sentence, remedy)]
    breach = edit_checks.day_breach(end, life)
    if breach is None:
        return []
    return [Problem("ended_on", end.isoformat(), breach.rule, breach.sentence, breach.remedy)]


def refuse_unseen(version: int, seen: int | None) -> None:
    """Refuse to strike a record that somebody changed after the page was opened; None: nobody looked at a page."""
    if seen is not None and seen != version:
        raise refuse(
            "",
            "",
            "changed_since",
            Sentence(_("Somebody changed this record after the page was opened.")),
            Sentence(_("Look at it as it is now, then void it if it is still wrong.")),
        )


def violated_constraint(error: IntegrityError) -> str:
    return str(getattr(getattr(error.__cause__, "diag", None), "constraint_name", "") or "")
