"""Units as a page prints them; what is no symbol is a word, and a word has a language."""

from __future__ import annotations

from django.utils.translation import pgettext

from trial import units


def unit_said(unit: str) -> str:
    """Return the symbol of a unit, or its word in the reader's language; files keep the code."""
    match unit:
        case "ratio":
            return pgettext("unit", "ratio")
        case "points":
            return pgettext("unit", "points")
    return units.symbol(unit)
