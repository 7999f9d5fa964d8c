"""Words of an address that name one of a few things: read, or refused with what there is to choose from.

A link or a select box sends only what is offered. What stands in an address
besides was typed, kept too long or mended by a program: it is never taken for
something else than it says (:func:`trial.middleware.say_what_is_not_offered`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from django import forms
from django.http import QueryDict

from trial.refusals import Problem
from trial.sentences import Sentence
from trial.typed import printable

LARGEST = 2**63 - 1
MOST_NAMED = 40
"""Words of a long list that a refusal names."""


def _(message: str) -> str:
    """Mark a sentence for translation; the page translates it when it shows it."""
    return message


class NotOffered(Exception):
    """A word of the address names nothing that the page has; ``problem`` says which, and what there is."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(problem.field)


def not_offered(name: str, text: str, known: Iterable[str]) -> NotOffered:
    """Return the refusal of a word that is none of ``known``; without words to name, the page has the list."""
    shown = printable(text)
    offered = [word for word in known if word]
    words = ", ".join(offered[:MOST_NAMED]) + (", …" if len(offered) > MOST_NAMED else "")
    return NotOffered(
        Problem(
            name,
            shown,
            "not_offered",
            Sentence(_("“%(value)s” is none of what “%(name)s” can be."), {"value": shown, "name": name}),
            Sentence(_("It can be: %(words)s."), {"words": words})
            if words
            else Sentence(_("Choose from the list on the page.")),
        )
    )


def one_of(asked: Mapping[str, str], name: str, known: Collection[str], otherwise: str = "") -> str:
    """Return the word of a parameter; ``otherwise`` when it is absent or empty.

    Raises
    ------
    NotOffered
        When it is none of ``known``.
    """
    text = asked.get(name, "")
    if not text:
        return otherwise
    if text not in known:
        raise not_offered(name, text, known)
    return text


def is_on(asked: Mapping[str, str], name: str, *, otherwise: bool = False) -> bool:
    """Return whether a switch of the address, 1 or 0, is on."""
    return one_of(asked, name, ("0", "1"), str(int(otherwise))) == "1"


def some_of(asked: QueryDict, name: str, known: Collection[str]) -> list[str]:
    """Return the words of a parameter that may stand in an address several times; each is one of ``known``."""
    texts = [text for text in asked.getlist(name) if text]
    for text in texts:
        if text not in known:
            raise not_offered(name, text, known)
    return texts


def number(asked: Mapping[str, str], name: str) -> int | None:
    """Return the whole number of a parameter, None when it is absent or empty; beyond 64 bits it is the largest.

    Raises
    ------
    NotOffered
        When it is no number.
    """
    text = asked.get(name, "")
    if not text:
        return None
    if not (text.isascii() and text.isdecimal()):
        raise _unreadable(name, text, Sentence(_("It is a whole number, written with digits.")))
    return min(int(text), LARGEST) if len(text) < 20 else LARGEST


def no_place(name: str, text: str) -> NotOffered:
    """Return the refusal of what only links of a page write, such as where a page of a list begins."""
    return _unreadable(name, text, Sentence(_("The links of the page write it: follow one of them.")))


def _unreadable(name: str, text: str, remedy: Sentence) -> NotOffered:
    shown = printable(text)
    sentence = Sentence(_("“%(value)s” cannot be read as “%(name)s”."), {"value": shown, "name": name})
    return NotOffered(Problem(name, shown, "unreadable", sentence, remedy))


class AddressForm(forms.Form):
    """A form that stands in an address: what a person types is answered beside its field, what they choose is offered."""

    def full_clean(self) -> None:
        """Check the fields.

        Raises
        ------
        NotOffered
            For a choice that no list holds, or a hidden field that no link of ours has written.
        """
        super().full_clean()
        for name, problems in self.errors.as_data().items():
            field = self.fields.get(name)
            if field is None:
                continue
            text = str(self.data.get(self.add_prefix(name), ""))
            if any(problem.code == "invalid_choice" for problem in problems):
                raise not_offered(name, text, _codes(field))
            if isinstance(field.widget, forms.HiddenInput):
                raise no_place(name, text)


def _codes(field: Any) -> list[str]:
    """Return the words of a choice; rows without a code of their own have only numbers, which nobody knows."""
    is_of_rows = isinstance(field, forms.ModelChoiceField) and not field.to_field_name
    return [] if is_of_rows else [str(code) for code, _label in field.choices]
