"""Which reference range holds for whom and when: of laboratories, else the protocol's. Pure.

Ages are whole years and dates whole days, both ends included; a range without
a sex holds for both. Two ranges of a laboratory never overlap, so at most one
is in force. Where a laboratory gives none, the adult range of the protocol is.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from trial import protocol
from trial.protocol import Limits, Sex

YOUNGEST, OLDEST = 0, 150
"""The ages of a range that holds for everybody."""

AgeOn = Callable[[date], int | None]


@dataclass(frozen=True, slots=True)
class Range:
    """One range of one laboratory, in the standard unit of its analyte."""

    laboratory: int
    analyte: str
    sex: str
    age_from: int
    age_to: int
    valid_from: date
    valid_to: date | None
    limits: Limits
    laboratory_name: str = ""

    def holds_for(self, sex: str, age: int | None, day: date) -> bool:
        """Return whether the range is in force; of an unknown age only one that holds for all ages."""
        if self.sex not in ("", sex) or day < self.valid_from:
            return False
        if self.valid_to is not None and day > self.valid_to:
            return False
        if age is None:
            return (self.age_from, self.age_to) == (YOUNGEST, OLDEST)
        return self.age_from <= age <= self.age_to

    def overlaps(self, other: Range) -> bool:
        """Return whether a day, a sex and an age exist for which both would hold."""
        return (
            (self.laboratory, self.analyte) == (other.laboratory, other.analyte)
            and (not self.sex or not other.sex or self.sex == other.sex)
            and self.age_from <= other.age_to
            and other.age_from <= self.age_to
            and self.valid_from <= (other.valid_to or date.max)
            and other.valid_from <= (self.valid_to or date.max)
        )


@dataclass(frozen=True, slots=True)
class Reference:
    """The limits in force, and whose they are: a laboratory's, or the protocol's when it has none."""

    limits: Limits
    laboratory: str = ""
    valid_from: date | None = None
    valid_to: date | None = None

    @property
    def is_protocols(self) -> bool:
        """Whether no laboratory gives a range, so that the protocol's adult range stands in."""
        return not self.laboratory

    def flag(self, value: Decimal | None) -> str:
        """Return ``high`` or ``low`` for a value outside, or nothing within."""
        return flag(value, self.limits)


@dataclass(frozen=True, slots=True)
class Step:
    """A reference between two days, both included; an open end is None."""

    first: date | None
    last: date | None
    reference: Reference


def flag(value: Decimal | None, limits: Limits) -> str:
    """Return ``high`` or ``low`` for a value outside the limits, or nothing within."""
    if value is None or limits.holds(value):
        return ""
    return "low" if limits.low is not None and value < limits.low else "high"


def in_force(
    ranges: Iterable[Range],
    *,
    laboratory: int | None,
    analyte: str,
    sex: str,
    age: int | None,
    day: date | None,
) -> Reference:
    """Return the reference of one result.

    Parameters
    ----------
    ranges
        Ranges of any laboratories and analytes, none voided.
    laboratory
        Who measured; None when it is not known.
    sex, age
        Of the subject, the age in whole years on ``day``; None when it cannot be known.
    day
        The day of the draw; without one the protocol's range is in force.

    Returns
    -------
    Reference
        In the standard unit of the analyte.
    """
    if laboratory is not None and day is not None:
        for one in ranges:
            if (one.laboratory, one.analyte) == (laboratory, analyte) and one.holds_for(sex, age, day):
                return Reference(one.limits, one.laboratory_name, one.valid_from, one.valid_to)
    return Reference(protocol.ANALYTES[analyte].reference[Sex(sex)])


def steps(
    ranges: Sequence[Range],
    stays: Sequence[tuple[date, int | None]],
    *,
    analyte: str,
    sex: str,
    age_on: AgeOn,
) -> list[Step]:
    """Return how a subject's reference changes over time.

    Parameters
    ----------
    ranges
        As for :func:`in_force`.
    stays
        The days of draws, ascending, and who measured each; a laboratory holds from
        its draw until the next one. The first also holds before, the last after.
    analyte, sex, age_on
        What is measured, and of whom.

    Returns
    -------
    list of Step
        Ascending, without gaps, from an open to an open end; neighbours differ.
    """
    ours = [one for one in ranges if one.analyte == analyte]
    if not stays:
        return [Step(None, None, in_force((), laboratory=None, analyte=analyte, sex=sex, age=None, day=None))]
    changes = {day for day, _laboratory in stays}
    for one in ours:
        changes.add(one.valid_from)
        if one.valid_to is not None and one.valid_to < date.max:
            changes.add(one.valid_to + timedelta(days=1))
    first, last = min(changes), max(changes)
    for bound in {one.age_from for one in ours} | {one.age_to + 1 for one in ours}:
        if (birthday := _first_day_of(bound, age_on, first, last)) is not None:
            changes.add(birthday)
    days = sorted({day for day, _laboratory in stays})
    measured_by = dict(stays)
    found: list[tuple[date | None, Reference]] = []
    earliest = None if first == date.min else first - timedelta(days=1)
    for day in [*([earliest] if earliest else []), *sorted(changes)]:
        place = bisect_left(days, day + timedelta(days=1)) - 1 if day < date.max else len(days) - 1
        laboratory = measured_by[days[max(place, 0)]]
        reference = in_force(ours, laboratory=laboratory, analyte=analyte, sex=sex, age=age_on(day), day=day)
        if not found or found[-1][1] != reference:
            found.append((day if found else None, reference))
    ends = [begins - timedelta(days=1) for begins, _reference in found[1:] if begins is not None]
    return [
        Step(begins, ends_on, reference)
        for (begins, reference), ends_on in zip(found, [*ends, None], strict=True)
    ]


def _first_day_of(age: int, age_on: AgeOn, first: date, last: date) -> date | None:
    """Return the day between two on which a subject reaches an age, or None."""
    before, after = age_on(first), age_on(last)
    if before is None or after is None or not before < age <= after:
        return None
    low, high = first.toordinal(), last.toordinal()
    while low < high:
        middle = (low + high) // 2
        reached = age_on(date.fromordinal(middle))
        if reached is not None and reached >= age:
            high = middle
        else:
            low = middle + 1
    return date.fromordinal(low)
