"""A sentence that is written once in English and said in the reader's language.

Pure modules name the rule and its numbers; whoever shows them passes
``gettext``. Without it the sentence is English, as reports and logs want it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Sentence:
    """A translatable pattern and what stands in its gaps (text, numbers, other sentences).

    Examples
    --------
    >>> str(Sentence("the %(nth)s is %(what)s", {"nth": "first", "what": Sentence("a comma")}))
    'the first is a comma'
    """

    text: str
    values: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)

    def said(self, translate: Callable[[str], str] = str) -> str:
        """Return the sentence in the language ``translate`` speaks; English without it."""
        gaps = {
            name: value.said(translate) if isinstance(value, Sentence) else value
            for name, value in self.values.items()
        }
        return translate(self.text) % gaps

    def kept(self) -> dict[str, Any]:
        """Return the sentence as JSON takes it, to be read again in any language.

        Numbers and days become text, as they are said.
        """
        return {"text": self.text, "values": {name: _kept(value) for name, value in self.values.items()}}

    @classmethod
    def of_kept(cls, kept: Mapping[str, Any]) -> Sentence:
        """Return the sentence that :meth:`kept` wrote."""
        values = {
            name: cls.of_kept(value) if isinstance(value, Mapping) else value
            for name, value in kept.get("values", {}).items()
        }
        return cls(kept.get("text", ""), values)

    def __str__(self) -> str:
        return self.said()


def _kept(value: Any) -> Any:
    if isinstance(value, Sentence):
        return value.kept()
    return value if isinstance(value, int) else str(value)
