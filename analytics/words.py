"""Sentences of the analysis in the reader's language."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext

from analytics import scoring
from analytics.models import Score
from trial import marks

_ANALYTES = {"input", "inputs"}
"""Fields that hold labels of the panel, not text."""


def said(sentence: Any) -> str:
    """Return a sentence of :mod:`analytics.samples` in the language of the request."""
    fields = dict(sentence.fields)
    for name in fields.keys() & _ANALYTES:
        fields[name] = marks.listed(gettext(label) for label in fields[name].split(", "))
    return gettext(sentence.text).format(**fields)


def why_not(score: Score) -> str:
    """Return why a stored score has no value, in the language of the request; nothing when it has one."""
    obstacle = scoring.sentence_of(score.obstacle)
    return score.why_not if obstacle is None else said(obstacle)
