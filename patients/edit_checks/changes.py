"""Changes against the last value that ask for a second look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from types import MappingProxyType

from patients.edit_checks.found import Course, Doubt, Earlier, plain, times_apart
from patients.entries import LabEntry
from trial import units
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


@dataclass(frozen=True, slots=True)
class Jump:
    """How far a value may lie from the last one; our assumption.

    ``times`` is a ratio either way, ``points`` a difference; ``days`` how far
    back the last value counts, None for any.
    """

    times: Decimal | None = None
    points: Decimal | None = None
    days: int | None = None


JUMPS: Mapping[str, Jump] = MappingProxyType(
    {
        "tbil": Jump(times=Decimal(2), days=7),
        "alt": Jump(times=Decimal(3)),
        "ast": Jump(times=Decimal(3)),
        "creatinine": Jump(times=Decimal("1.75"), days=7),
        "inr": Jump(points=Decimal("1.0")),
        "pta": Jump(points=Decimal(25)),
        "sodium": Jump(points=Decimal(8), days=2),
        "albumin": Jump(points=Decimal(8), days=7),
    }
)
EXPLAINED_BY_ALBUMIN = "albumin"
"""The analyte whose jump is explained when albumin was given between the two draws."""


def jump(
    entry: LabEntry, last: Earlier | None, drawn_on: date | None, albumin: Sequence[Course] = ()
) -> Doubt | None:
    """Return a doubt when a value lies further from the last one than is usual."""
    rule, standard = JUMPS.get(entry.analyte), entry.standard_value
    if rule is None or last is None or standard is None or entry.comparator:
        return None
    days = None if drawn_on is None or last.drawn_on is None else abs((drawn_on - last.drawn_on).days)
    if rule.days is not None and (days is None or days > rule.days):
        return None
    analyte = entry.declared
    if rule.points is not None:
        is_jump = abs(standard - last.value) > rule.points
    else:
        is_jump = times_apart(standard, last.value) > (rule.times or Decimal("Infinity"))
    if not is_jump or (analyte.code == EXPLAINED_BY_ALBUMIN and _given_between(albumin, last, drawn_on)):
        return None
    values = {
        "value": plain(standard, analyte.decimals + 1),
        "last": plain(last.value, analyte.decimals + 1),
        "unit": units.symbol(analyte.unit),
        "days": days,
    }
    sentence = (
        Sentence(_("%(value)s after %(last)s %(unit)s: an unusual change."), values)
        if days is None
        else Sentence(
            _("%(value)s after %(last)s %(unit)s, %(days)s days before: an unusual change."), values
        )
    )
    return Doubt(analyte.code, "jump", sentence, Sentence(_("Compare it with the report.")))


def _given_between(courses: Sequence[Course], last: Earlier, drawn_on: date | None) -> bool:
    if drawn_on is None or last.drawn_on is None:
        return False
    first, until = sorted((last.drawn_on, drawn_on))
    return any(course.touches(first, until) for course in courses)
