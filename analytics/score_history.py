"""One score of one visit through time: its value, what went in, and which revision moved it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _

from analytics.models import Score
from analytics.words import why_not
from patients.models import Patient
from trial import protocol

MOST = 100


@dataclass(frozen=True, slots=True)
class Input:
    """What went into a score, and what it was before it was clamped."""

    code: str
    label: str
    used: Any
    clamped_from: Any
    has_history: bool


@dataclass(frozen=True, slots=True)
class ScoreVersion:
    """A score from a revision of the data on; ``why_not`` where there is none."""

    revision: int
    computed_at: datetime
    value: Decimal | None
    why_not: str
    inputs: tuple[Input, ...]


def of(patient: Patient, week: int, variant: str) -> list[ScoreVersion]:
    """Return the stored versions of a score of one week, newest first. One query.

    Parameters
    ----------
    patient
        Must be visible to the reader; this function does not ask.
    week, variant
        A week of the protocol and a code of its scores.
    """
    stored = (
        Score.objects.filter(patient=patient, visit__week=week, visit__voided_at=None, variant=variant)
        .select_related("run")
        .order_by("-run_id")[:MOST]
    )
    return [
        ScoreVersion(
            score.revision,
            score.run.finished_at,
            score.value,
            why_not(score),
            tuple(_input(each) for each in score.inputs),
        )
        for score in stored
    ]


def _input(used: Mapping[str, Any]) -> Input:
    code = str(used.get("code", ""))
    label = _(protocol.label_of(code)) if code in protocol.MEASURED else code
    return Input(code, label, used.get("used"), used.get("clamped_from"), code in protocol.ANALYTES)
