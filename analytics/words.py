"""Sentences of the analysis in the reader's language."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext


def said(sentence: Any) -> str:
    """Return a sentence of :mod:`analytics.samples` in the language of the request."""
    return gettext(sentence.text).format(**sentence.fields)
