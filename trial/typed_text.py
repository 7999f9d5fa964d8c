"""Reads free text: composed to NFC, without characters that are not for reading."""

from __future__ import annotations

import unicodedata

from trial.sentences import Sentence
from trial.unreadable import Unreadable, printable


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


def read_text(text: str, *, most: int) -> str:
    """Return free text without surrounding space, in one normal form.

    Raises
    ------
    Unreadable
        If it is longer than ``most`` characters or holds a control or replacement character.
    """
    clean = unicodedata.normalize(
        "NFC", text.replace("\r\n", " ").replace("\n", " ").replace("\t", " ")
    ).strip()
    if len(clean) > most:
        raise Unreadable(
            "too_long",
            clean,
            Sentence(
                _("“%(value)s” has %(count)s characters."), {"value": printable(clean), "count": len(clean)}
            ),
            Sentence(_("Shorten it to %(most)s characters."), {"most": most}),
        )
    for place, character in enumerate(clean, start=1):
        # a replacement character says that a program lost what was written
        if unicodedata.category(character) in ("Cc", "Cs", "Cn") or character == "\N{REPLACEMENT CHARACTER}":
            raise Unreadable(
                "control_character",
                clean,
                Sentence(
                    _("Character %(place)s of “%(value)s” cannot be written (U+%(code)s)."),
                    {"place": place, "value": printable(clean), "code": f"{ord(character):04X}"},
                ),
                Sentence(_("Delete it and type the text again.")),
            )
    return clean
