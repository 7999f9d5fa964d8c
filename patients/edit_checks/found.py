"""What an edit check finds, and what it looks at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from types import MappingProxyType

from trial.sentences import Sentence

DAY_FIELD = "visited_on"
"""The field that a doubt about the day of a draw stands beside."""


@dataclass(frozen=True, slots=True)
class Breach:
    """A hard check that failed: which rule, in words, and how to mend it."""

    rule: str
    sentence: Sentence
    remedy: Sentence


@dataclass(frozen=True, slots=True)
class Doubt:
    """A soft check that fired.

    ``analyte`` is the field it stands beside: an analyte, :data:`DAY_FIELD` or a
    vital sign. ``unit`` is the unit that was perhaps meant, ``others`` the
    further fields that the check compared: a change of any of them is news.
    """

    analyte: str
    rule: str
    sentence: Sentence
    detail: Sentence
    unit: str = ""
    others: tuple[str, ...] = ()

    @property
    def fields(self) -> tuple[str, ...]:
        """Every field the check looked at, its own first."""
        return (self.analyte, *self.others)


@dataclass(frozen=True, slots=True)
class Earlier:
    """The last value of an analyte before this draw, in the standard unit."""

    value: Decimal
    drawn_on: date | None = None


@dataclass(frozen=True, slots=True)
class Life:
    """The days of a subject that dates are held against."""

    today: date
    born_on: date | None = None
    recruited_on: date | None = None
    died_on: date | None = None


@dataclass(frozen=True, slots=True)
class Course:
    """Days between which something was given; ``to`` is None for one day only."""

    since: date
    to: date | None = None

    def touches(self, first: date, last: date) -> bool:
        """Return whether anything was given from ``first`` to ``last``, both included."""
        return self.since <= last and (self.to or self.since) >= first


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What the panel of a draw is held against: the draw, and the subject's other days and values.

    ``week`` is None for an unscheduled draw, ``earlier`` holds the last value by
    analyte before it, ``other_visits`` the days of the subject's other visits of
    the protocol, ``albumin`` when albumin was given.
    """

    drawn_on: date | None = None
    week: int | None = None
    earlier: Mapping[str, Earlier] = field(default_factory=lambda: MappingProxyType({}))
    is_liver_failure: bool = False
    albumin: Sequence[Course] = ()
    recruited_on: date | None = None
    first_infusion_on: date | None = None
    died_on: date | None = None
    transplanted_on: date | None = None
    other_visits: Mapping[int, date] = field(default_factory=lambda: MappingProxyType({}))


def plain(value: Decimal, places: int = 3) -> str:
    """Write a number without an exponent and without trailing zeros, to at most ``places`` decimals."""
    rounded = round(value, places) if value == 0 or abs(value) >= Decimal("0.001") else value
    return f"{rounded.normalize():f}"


def times_apart(one: Decimal, other: Decimal) -> Decimal:
    """Return by what factor two values differ, whichever is the larger."""
    return max(one, other) / min(one, other) if min(one, other) > 0 else Decimal("Infinity")
