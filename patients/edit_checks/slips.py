"""Values that only make sense in another unit, or with the point elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from types import MappingProxyType

from patients.edit_checks.found import Doubt, Earlier, plain, times_apart
from patients.entries import LabEntry
from trial import units
from trial.protocol import Analyte
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


UNIT_SLIP_APART = Decimal(4)
"""A value this many times off the last one, and near it in another unit, is taken for a unit slip; our assumption."""
UNIT_SLIP_NEAR = Decimal(3)

SMALL: Mapping[str, Decimal] = MappingProxyType(
    {"albumin": Decimal("9.9"), "creatinine": Decimal(20), "tbil": Decimal(50)}
)
"""At or below this in the standard unit the other unit is asked for; our assumption."""
SMALL_IN_LIVER_FAILURE: frozenset[str] = frozenset({"tbil"})
"""Analytes that are small only for a subject with liver failure."""

POINT_SLIP = Decimal(10)


def unit_slip(entry: LabEntry, last: Earlier | None, *, is_liver_failure: bool = False) -> Doubt | None:
    """Return a doubt when the value makes sense only in another unit of the analyte.

    Notes
    -----
    Three detectors. Small in the standard unit (:data:`SMALL`), unless the last
    value was just as small. Outside the usual range and inside it in the other
    unit. More than four times off the last value and at most three times off it
    in the other unit.
    """
    analyte, value = entry.declared, entry.value
    if value is None or value == 0:
        return None
    standard = analyte.in_standard_unit(value, entry.unit)
    for unit, factor in analyte.accepted.items():
        if factor == analyte.accepted[entry.unit]:
            continue
        other = analyte.in_standard_unit(value, unit)
        if not analyte.hard.holds(other):
            continue
        if (
            _is_small(entry, standard, last, is_liver_failure)
            or _is_plausible_only_as(analyte, standard, other, last)
            or _is_near_only_as(standard, other, last)
        ):
            return Doubt(
                analyte.code,
                "unit_slip",
                _question(entry, last, unit),
                _what_it_would_be(entry, unit, other, standard),
                unit,
            )
    return None


def _is_small(entry: LabEntry, standard: Decimal, last: Earlier | None, is_liver_failure: bool) -> bool:
    limit = SMALL.get(entry.analyte)
    if limit is None or entry.unit != entry.declared.unit or entry.comparator:
        return False
    if entry.analyte in SMALL_IN_LIVER_FAILURE and not is_liver_failure:
        return False
    # somebody who was there before was asked then
    return standard <= limit and not (last is not None and last.value <= limit)


def _is_plausible_only_as(analyte: Analyte, standard: Decimal, other: Decimal, last: Earlier | None) -> bool:
    if analyte.soft.holds(standard) or not analyte.soft.holds(other):
        return False
    return last is None or times_apart(other, last.value) < times_apart(standard, last.value)


def _is_near_only_as(standard: Decimal, other: Decimal, last: Earlier | None) -> bool:
    if last is None or last.value <= 0:
        return False
    return (
        times_apart(standard, last.value) > UNIT_SLIP_APART
        and times_apart(other, last.value) <= UNIT_SLIP_NEAR
    )


def _question(entry: LabEntry, last: Earlier | None, unit: str) -> Sentence:
    values = {
        "value": plain(entry.value or Decimal(0)),
        "unit": units.symbol(entry.unit),
        "other": units.symbol(unit),
    }
    if last is None:
        return Sentence(_("%(value)s %(unit)s: did you mean %(other)s?"), values)
    return Sentence(
        _("%(value)s %(unit)s, last %(last)s: did you mean %(other)s?"),
        {**values, "last": plain(last.value, entry.declared.decimals + 1)},
    )


def _what_it_would_be(entry: LabEntry, unit: str, other: Decimal, standard: Decimal) -> Sentence:
    analyte, value = entry.declared, plain(entry.value or Decimal(0))
    if unit != analyte.unit:
        return Sentence(
            _("%(value)s %(other)s is %(converted)s %(standard)s."),
            {
                "value": value,
                "other": units.symbol(unit),
                "converted": plain(other, analyte.decimals),
                "standard": units.symbol(analyte.unit),
            },
        )
    return Sentence(
        _("%(value)s %(given)s would be %(converted)s %(standard)s."),
        {
            "value": value,
            "given": units.symbol(entry.unit),
            "converted": plain(standard, analyte.decimals),
            "standard": units.symbol(analyte.unit),
        },
    )


def point_slip(entry: LabEntry, last: Earlier | None) -> Doubt | None:
    """Return a doubt when the value is usual only ten times larger or smaller."""
    analyte, standard, value = entry.declared, entry.standard_value, entry.value
    if value is None or standard is None or entry.comparator or standard == 0:
        return None
    for shifted, typed in _shifted(standard, value):
        if _is_plausible_only_as(analyte, standard, shifted, last):
            values = {"value": plain(value), "unit": units.symbol(entry.unit), "shifted": plain(typed)}
            return Doubt(
                analyte.code,
                "point_slip",
                Sentence(_("%(value)s %(unit)s is rare in this disease: did you mean %(shifted)s?"), values),
                Sentence(_("Look where the point stands in the report.")),
            )
    return None


def _shifted(standard: Decimal, value: Decimal) -> Iterator[tuple[Decimal, Decimal]]:
    yield standard * POINT_SLIP, value * POINT_SLIP
    yield standard / POINT_SLIP, value / POINT_SLIP
