"""Body weight at an infusion: what cannot be, and what asks for a second look, by form and by file."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from infusions.dosing import Given
from trial.protocol import Limits
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


LEAST, MOST = Decimal(25), Decimal(250)
"""Kilograms beyond which no weight is taken; the database repeats it. Our assumption, as all below."""

USUAL = Limits(Decimal(40), Decimal(120))
"""Kilograms outside which a weight asks for a second look."""

JUMP = Decimal("0.10")
"""Share of the last weight beyond which a weight asks for a second look."""

JUMP_KG_PER_WEEK = Decimal(5)
"""Change of the weight per week beyond which it asks for a second look as well."""


def is_jump(weight_kg: Decimal, last_weight_kg: Decimal) -> bool:
    """Return whether a weight differs from the last one by more than 10 %."""
    return abs(weight_kg - last_weight_kg) > JUMP * last_weight_kg


def is_fast(weight_kg: Decimal, last_weight_kg: Decimal, days: int) -> bool:
    """Return whether a weight changed by more than 5 kg, and faster than 5 kg a week."""
    change = abs(weight_kg - last_weight_kg)
    return change > JUMP_KG_PER_WEEK and change * 7 > JUMP_KG_PER_WEEK * abs(days)


def last_weight(number: int, others: Sequence[Given]) -> Given | None:
    """Return the nearest infusion before ``number`` that tells a weight."""
    known = [other for other in others if other.number < number and other.weight_kg is not None]
    return max(known, key=lambda other: other.number, default=None)


def doubt(given: Given, others: Sequence[Given]) -> Sentence | None:
    """Return why a weight asks for a second look, or None.

    Parameters
    ----------
    given
        The infusion it was measured for.
    others
        The subject's other infusions; the nearest one before is compared.
    """
    weight = given.weight_kg
    if weight is None:
        return None
    if not USUAL.holds(weight):
        return Sentence(
            _("%(weight)s kg: usual are %(low)s to %(high)s kg."),
            {"weight": str(weight), "low": str(USUAL.low), "high": str(USUAL.high)},
        )
    last = last_weight(given.number, others)
    if last is None or last.weight_kg is None:
        return None
    if is_jump(weight, last.weight_kg):
        pattern = _("%(weight)s kg, but %(last)s kg at infusion %(number)s on %(on)s: more than 10 %% apart.")
    elif is_fast(weight, last.weight_kg, (given.given_on - last.given_on).days):
        pattern = _(
            "%(weight)s kg, but %(last)s kg at infusion %(number)s on %(on)s: more than 5 kg a week. "
            "Ascites, albumin, diuretics?"
        )
    else:
        return None
    return Sentence(
        pattern,
        {
            "weight": str(weight),
            "last": str(last.weight_kg),
            "number": last.number,
            "on": last.given_on.isoformat(),
        },
    )


def doubted(course: Sequence[Given]) -> list[tuple[Given, Sentence]]:
    """Return the infusions of a course whose weight asks for a second look, and why, by number."""
    found = ((given, doubt(given, course)) for given in sorted(course, key=lambda each: each.number))
    return [(given, sentence) for given, sentence in found if sentence is not None]
