"""Weight, height, temperature and viability: what cannot be, and what asks for a second look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from types import MappingProxyType

from patients.edit_checks.found import Breach, Doubt, plain
from trial.protocol import Limits
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


@dataclass(frozen=True, slots=True)
class Vital:
    """A quantity with its limits; our assumption. ``warns_at_high``: the upper one warns itself."""

    code: str
    label: str
    unit: str
    hard: Limits
    soft: Limits
    warns_at_high: bool = False

    def is_usual(self, value: Decimal) -> bool:
        """Return whether a value asks for no second look."""
        if self.warns_at_high and self.soft.high is not None and value >= self.soft.high:
            return False
        return self.soft.holds(value)


def _limits(low: str | None, high: str | None) -> Limits:
    return Limits(None if low is None else Decimal(low), None if high is None else Decimal(high))


VITALS: Mapping[str, Vital] = MappingProxyType(
    {
        vital.code: vital
        for vital in (
            Vital("weight", _("weight"), "kg", _limits("25", "250"), _limits("40", "120")),
            Vital("height", _("height"), "cm", _limits("120", "220"), _limits("140", "200")),
            Vital(
                "temperature",
                _("temperature"),
                "°C",
                _limits("32", "43"),
                _limits("35.5", "38"),
                warns_at_high=True,
            ),
            Vital("viability", _("viability"), "%", _limits("0", "100"), _limits("80", None)),
        )
    }
)

WEIGHT_KG_A_WEEK = Decimal(5)  # our assumption
WEIGHT_SHARE = Decimal("0.10")  # our assumption


def vital_breach(code: str, value: Decimal) -> Breach | None:
    """Return why a value cannot be saved, or None; ``code`` is one of :data:`VITALS`."""
    vital = VITALS[code]
    if vital.hard.holds(value):
        return None
    return Breach(
        "hard_limit",
        Sentence(
            _(
                "%(name)s %(value)s %(unit)s is not possible: a value lies between %(low)s and %(high)s %(unit)s."
            ),
            {
                "name": Sentence(vital.label),
                "value": plain(value),
                "unit": vital.unit,
                "low": plain(vital.hard.low or Decimal(0)),
                "high": plain(vital.hard.high or Decimal(0)),
            },
        ),
        Sentence(_("Check the value and its unit.")),
    )


def vital_doubt(code: str, value: Decimal) -> Doubt | None:
    """Return a doubt about a value outside the usual range, or None."""
    vital = VITALS[code]
    if vital.is_usual(value):
        return None
    is_low = vital.soft.low is not None and value < vital.soft.low
    limit = vital.soft.low if is_low else vital.soft.high
    pattern = (
        _("%(name)s %(value)s %(unit)s is unusual: below %(limit)s.")
        if is_low
        else _("%(name)s %(value)s %(unit)s is unusual: at or above %(limit)s.")
        if vital.warns_at_high
        else _("%(name)s %(value)s %(unit)s is unusual: above %(limit)s.")
    )
    return Doubt(
        code,
        "outside_usual",
        Sentence(
            pattern,
            {
                "name": Sentence(vital.label),
                "value": plain(value),
                "unit": vital.unit,
                "limit": "" if limit is None else plain(limit),
            },
        ),
        Sentence(_("Measure it again, or keep it.")),
    )


def weight_jump(
    weight_kg: Decimal, last_kg: Decimal | None, *, on: date | None = None, last_on: date | None = None
) -> Doubt | None:
    """Return a doubt when a weight is more than 10 % or more than 5 kg a week off the last one.

    Less than a week counts as a week; without both days only the share is checked.
    """
    if last_kg is None:
        return None
    off = abs(weight_kg - last_kg)
    is_fast = (
        on is not None
        and last_on is not None
        and (off * 7 > WEIGHT_KG_A_WEEK * max(7, abs((on - last_on).days)))
    )
    if not is_fast and off <= WEIGHT_SHARE * last_kg:
        return None
    values = {"weight": plain(weight_kg), "last": plain(last_kg)}
    pattern = (
        _("%(weight)s kg after %(last)s kg: more than 5 kg a week.")
        if is_fast
        else _("%(weight)s kg after %(last)s kg: more than 10 %% apart.")
    )
    return Doubt("weight", "jump", Sentence(pattern, values), Sentence(_("Weigh again, or keep it.")))
