"""Marks between words as the reader's language writes them: a Chinese sentence has marks of full width.

Only for what a page or a figure says. Data files and the trail keep the marks of English.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.utils.translation import pgettext


def comma() -> str:
    """The mark between the parts of one line, e.g. ``Fatigue, 2026-08-09``."""
    return pgettext("between parts", ", ")


def semicolon() -> str:
    """The mark between what could stand alone, e.g. ``2 visits entered; 1 visit changed``."""
    return pgettext("between parts", "; ")


def colon() -> str:
    """The mark before what is said of something, e.g. ``W4: missing``."""
    return pgettext("between parts", ": ")


def stop() -> str:
    """The mark at the end of a sentence."""
    return pgettext("end of a sentence", ".")


def between_words() -> str:
    """The mark between the words of a list."""
    return pgettext("between the words of a list", ", ")


def between_sentences() -> str:
    """The mark between what is said one after the other."""
    return pgettext("between sentences", ". ")


def listed(words: Iterable[str]) -> str:
    """Join the words of a list, e.g. ``TBIL, INR``."""
    return between_words().join(words)


def sentences(words: Iterable[str]) -> str:
    """Join what is said one after the other; the last has no stop."""
    return between_sentences().join(words)
