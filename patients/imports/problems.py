"""What is wrong with a file or a row of it: place, value, rule and remedy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trial.sentences import Sentence
from trial.unreadable import Unreadable, printable


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


Packed = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a row is refused.

    ``column`` is the header as the file has it, empty when the whole row is
    meant; ``value`` is what the file says there.
    """

    line: int
    column: str
    value: str
    rule: str
    sentence: Sentence
    remedy: Sentence


class RowRules:
    """Rules over the cells of a row that can each be read: by code, what is wrong and how to mend it.

    Examples
    --------
    >>> rules = RowRules({"backwards": ("It ends at %(end)s, before it starts.", "Correct one of them.")})
    >>> str(rules("backwards", end="09:30"))
    'It ends at 09:30, before it starts. Correct one of them.'
    """

    def __init__(self, said: Mapping[str, tuple[str, str]]) -> None:
        self._said = said

    def __call__(self, rule: str, **gaps: object) -> Unreadable:
        """Return the refusal by a rule; ``gaps`` fill its sentence."""
        sentence, remedy = self._said[rule]
        return Unreadable(rule, "", Sentence(sentence, gaps), Sentence(remedy))


def typed_differs(value: str, as_typed: str) -> Unreadable:
    """Return why a value is refused that is another one than what was typed, beside it."""
    shown = {"value": printable(value), "typed": printable(as_typed)}
    return _TYPED("typed_differs", **shown)


_TYPED = RowRules(
    {
        "typed_differs": (
            _("The value is %(value)s, and “%(typed)s” as it was typed is another."),
            _("Correct one of them, or empty what was typed."),
        )
    }
)


class FileRefused(Exception):
    """A file that is not read at all, because reading it would mean guessing."""

    def __init__(
        self,
        rule: str,
        sentence: Sentence,
        remedy: Sentence,
        *,
        lines: Sequence[int] = (),
        columns: Sequence[str] = (),
    ) -> None:
        self.rule = rule
        self.sentence = sentence
        self.remedy = remedy
        self.lines = list(lines)
        self.columns = list(columns)
        super().__init__(rule)

    def __str__(self) -> str:
        return f"{self.sentence} {self.remedy}"


def packed(sentence: Sentence) -> Packed:
    """Turn a sentence into JSON, so that it can be said later in another language."""
    return {
        "text": sentence.text,
        "values": {
            name: packed(value)
            if isinstance(value, Sentence)
            else value
            if isinstance(value, str | int)
            else str(value)
            for name, value in sentence.values.items()
        },
    }


def unpacked(stored: Mapping[str, Any]) -> Sentence:
    """Turn the JSON of :func:`packed` back into a sentence."""
    return Sentence(
        str(stored["text"]),
        {
            name: unpacked(value) if isinstance(value, Mapping) else value
            for name, value in stored["values"].items()
        },
    )
