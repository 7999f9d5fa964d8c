"""A save that was refused, and two saves that collided: said by place, value, rule and remedy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.utils.translation import gettext

from trial.sentences import Sentence


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that cannot be saved: where, what was given, which rule, and how to mend it."""

    field: str
    value: str
    rule: str
    sentence: Sentence
    remedy: Sentence

    def __str__(self) -> str:
        return f"{self.sentence} {self.remedy}"

    @property
    def in_words(self) -> str:
        """Rule and remedy in the reader's language."""
        return f"{self.sentence.said(gettext)} {self.remedy.said(gettext)}"


class Refused(ValidationError):
    """Nothing was saved; ``problems`` say why."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        by_field: dict[str, list[str]] = {}
        for problem in self.problems:
            by_field.setdefault(problem.field or NON_FIELD_ERRORS, []).append(problem.in_words)
        super().__init__(by_field)


def refuse(field: str, value: object, rule: str, sentence: Sentence, remedy: Sentence) -> Refused:
    """Return the refusal of one value."""
    return Refused([Problem(field, "" if value is None else str(value), rule, sentence, remedy)])


@dataclass(frozen=True, slots=True)
class Clash:
    """One field that two people changed: what each wrote, and what was there before."""

    field: str
    mine: str
    theirs: str
    before: str
    by: str = ""


class Moved(Exception):
    """A record is found under another name now: ``old`` was given up for ``new``."""

    def __init__(self, old: str, new: str) -> None:
        self.old, self.new = old, new
        super().__init__(f"{old} is {new} now")


class Conflict(Exception):
    """Somebody saved the same fields after the page was opened; nothing was saved.

    ``version`` is what the row is at now: a form that is sent with it has seen
    what the other person wrote.
    """

    def __init__(self, clashes: Iterable[Clash], version: int) -> None:
        self.clashes = tuple(clashes)
        self.version = version
        super().__init__(", ".join(clash.field for clash in self.clashes))
