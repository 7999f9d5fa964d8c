"""Hard and soft checks over typed values, the same for a form, a file and a laboratory's interface.

A hard check refuses. A soft one asks for a second look; the value is saved once
somebody confirms it. Thresholds that the protocol does not hold are ours and
say so. Pure: no database, no clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from types import MappingProxyType

from patients.entries import LabEntry
from trial import protocol, units
from trial.protocol import Analyte
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


@dataclass(frozen=True, slots=True)
class Breach:
    """A hard check that failed: which rule, in words, and how to mend it."""

    rule: str
    sentence: Sentence
    remedy: Sentence


@dataclass(frozen=True, slots=True)
class Doubt:
    """A soft check that fired. ``unit`` is the unit that was perhaps meant."""

    analyte: str
    rule: str
    sentence: Sentence
    detail: Sentence
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Earlier:
    """The last value of an analyte before this draw, in the standard unit."""

    value: Decimal
    drawn_on: date | None = None


# --- hard -----------------------------------------------------------------------------------


def breach(entry: LabEntry) -> Breach | None:
    """Return why an entry cannot be saved, or None.

    Checks the analyte, the unit, the coded reason and the hard limits of the
    protocol; a comparator does not widen a limit.
    """
    analyte = protocol.ANALYTES.get(entry.analyte)
    if analyte is None:
        return Breach(
            "unknown_analyte",
            Sentence(
                _("“%(analyte)s” is not an analyte of the panel."),
                {"analyte": entry.analyte},
            ),
            Sentence(_("The panel has %(panel)s."), {"panel": ", ".join(protocol.ANALYTES)}),
        )
    if entry.value is None:
        if entry.missing_reason in {reason.code for reason in protocol.MISSING_REASONS}:
            return None
        return Breach(
            "no_value_and_no_reason",
            Sentence(
                _("%(analyte)s has neither a value nor a reason why there is none."),
                {"analyte": analyte.label},
            ),
            Sentence(_("Type the value, or choose a reason.")),
        )
    if entry.missing_reason:
        return Breach(
            "value_and_reason",
            Sentence(
                _("%(analyte)s has a value and a reason why there is none."),
                {"analyte": analyte.label},
            ),
            Sentence(_("Keep one of the two.")),
        )
    if entry.unit not in analyte.accepted:
        return Breach(
            "unit_not_accepted",
            Sentence(
                _("%(analyte)s is not reported in %(unit)s."),
                {"analyte": analyte.label, "unit": units.symbol(entry.unit)},
            ),
            Sentence(
                _("Units of %(analyte)s: %(units)s."),
                {
                    "analyte": analyte.label,
                    "units": ", ".join(units.symbol(unit) for unit in analyte.accepted),
                },
            ),
        )
    return _limit_breach(entry, analyte, entry.value)


def _limit_breach(entry: LabEntry, analyte: Analyte, value: Decimal) -> Breach | None:
    if analyte.hard.holds(analyte.in_standard_unit(value, entry.unit)):
        return None
    factor = analyte.accepted[entry.unit]
    sentence = Sentence(
        _(
            "%(analyte)s %(value)s %(unit)s is not possible: a value lies between %(low)s and %(high)s %(unit)s."
        ),
        {
            "analyte": analyte.label,
            "value": plain(value),
            "unit": units.symbol(entry.unit),
            "low": _limit(analyte.hard.low, factor),
            "high": _limit(analyte.hard.high, factor),
        },
    )
    for unit in analyte.accepted:
        if unit != entry.unit and analyte.soft.holds(analyte.in_standard_unit(value, unit)):
            return Breach(
                "hard_limit",
                sentence,
                Sentence(
                    _("Did you mean %(unit)s? Otherwise check the report."),
                    {"unit": units.symbol(unit)},
                ),
            )
    return Breach(
        "hard_limit",
        sentence,
        Sentence(_("Check the value and its unit against the report.")),
    )


def _limit(limit: Decimal | None, factor: Decimal) -> str:
    return "…" if limit is None else plain(limit / factor)


def plain(value: Decimal, places: int = 3) -> str:
    """Write a number without an exponent and without trailing zeros, to at most ``places`` decimals."""
    rounded = round(value, places) if value == 0 or abs(value) >= Decimal("0.001") else value
    return f"{rounded.normalize():f}"


# --- soft -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Jump:
    """A change against the last value that asks for a second look; our assumption.

    ``times`` is a ratio either way, ``points`` a difference; ``days`` how far
    back the last value counts, None for any.
    """

    times: Decimal | None = None
    points: Decimal | None = None
    days: int | None = None


JUMPS: Mapping[str, Jump] = MappingProxyType(
    {
        "tbil": Jump(times=Decimal(2), days=7),
        "alt": Jump(times=Decimal(3), days=28),
        "ast": Jump(times=Decimal(3), days=28),
        "creatinine": Jump(times=Decimal("1.75"), days=7),
        "inr": Jump(points=Decimal("1.0")),
        "pta": Jump(points=Decimal(25)),
        "sodium": Jump(points=Decimal(8), days=2),
        "albumin": Jump(points=Decimal(8), days=7),
    }
)

UNIT_SLIP_APART = Decimal(4)
"""A value this many times off the last one, and near it in another unit, is taken for a unit slip; our assumption."""
UNIT_SLIP_NEAR = Decimal(3)
FIRST_VALUE_SLIPS: Mapping[str, Decimal] = MappingProxyType(
    {"albumin": Decimal("9.9"), "creatinine": Decimal(20), "tbil": Decimal(20)}
)
"""Without a last value: at or below this in the standard unit, the other unit is asked for; our assumption."""

COPIED_AT_LEAST = 5
"""Equal values in a row of analytes that look like a copied panel; our assumption."""


def doubts(
    entries: Sequence[LabEntry],
    *,
    earlier: Mapping[str, Earlier],
    drawn_on: date | None,
) -> tuple[Doubt, ...]:
    """Return every soft check that fires on a panel, in the order of its entries.

    Parameters
    ----------
    entries
        Entries that passed :func:`breach`.
    earlier
        The last value by analyte, before this draw.
    drawn_on
        The day of the draw, for changes that count only within some days.
    """
    found = [
        fired
        for entry in entries
        if entry.value is not None
        for fired in [_first_doubt(entry, earlier.get(entry.analyte), drawn_on)]
        if fired is not None
    ]
    doubted = {doubt.analyte for doubt in found}
    found += [doubt for doubt in _panel_doubts(entries, earlier) if doubt.analyte not in doubted]
    order = {entry.analyte: place for place, entry in enumerate(entries)}
    return tuple(sorted(found, key=lambda doubt: order[doubt.analyte]))


def _first_doubt(entry: LabEntry, last: Earlier | None, drawn_on: date | None) -> Doubt | None:
    return unit_slip(entry, last) or _outside_usual(entry) or _jump(entry, last, drawn_on)


def unit_slip(entry: LabEntry, last: Earlier | None) -> Doubt | None:
    """Return a doubt when the value only makes sense in another unit of the analyte.

    Notes
    -----
    With a last value: more than four times off it in the unit given and at most
    three times off it in the other. Without one: at or below a small limit in
    the standard unit, or outside the usual range, and inside it in the other.
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
        if last is not None and last.value > 0:
            slipped = _times_apart(standard, last.value) > UNIT_SLIP_APART and (
                _times_apart(other, last.value) <= UNIT_SLIP_NEAR
            )
        else:
            is_small = entry.unit == analyte.unit and value <= FIRST_VALUE_SLIPS.get(
                analyte.code, Decimal(-1)
            )
            slipped = (is_small or not analyte.soft.holds(standard)) and analyte.soft.holds(other)
        if slipped:
            return Doubt(
                analyte.code,
                "unit_slip",
                _unit_question(entry, last, unit),
                Sentence(
                    _("%(value)s %(other)s is %(converted)s %(standard)s."),
                    {
                        "value": plain(value),
                        "other": units.symbol(unit),
                        "converted": plain(other, analyte.decimals),
                        "standard": units.symbol(analyte.unit),
                    },
                )
                if unit != analyte.unit
                else Sentence(
                    _("%(value)s %(given)s would be %(converted)s %(standard)s."),
                    {
                        "value": plain(value),
                        "given": units.symbol(entry.unit),
                        "converted": plain(standard, analyte.decimals),
                        "standard": units.symbol(analyte.unit),
                    },
                ),
                unit,
            )
    return None


def _unit_question(entry: LabEntry, last: Earlier | None, unit: str) -> Sentence:
    values = {
        "value": plain(entry.value or Decimal(0)),
        "unit": units.symbol(entry.unit),
        "other": units.symbol(unit),
    }
    if last is None:
        return Sentence(_("%(value)s %(unit)s: did you mean %(other)s?"), values)
    return Sentence(
        _("%(value)s %(unit)s, last %(last)s: did you mean %(other)s?"),
        {**values, "last": plain(last.value, entry.declared.decimals)},
    )


def _times_apart(one: Decimal, other: Decimal) -> Decimal:
    return max(one, other) / min(one, other) if min(one, other) > 0 else Decimal("Infinity")


def _outside_usual(entry: LabEntry) -> Doubt | None:
    analyte, standard = entry.declared, entry.standard_value
    if standard is None or analyte.soft.holds(standard) or entry.comparator:
        return None
    is_low = analyte.soft.low is not None and standard < analyte.soft.low
    limit = analyte.soft.low if is_low else analyte.soft.high
    values = {
        "value": plain(standard, analyte.decimals + 1),
        "unit": units.symbol(analyte.unit),
        "limit": "" if limit is None else plain(limit),
    }
    sentence = (
        Sentence(
            _("%(value)s %(unit)s is below %(limit)s, which is rare in this disease."),
            values,
        )
        if is_low
        else Sentence(
            _("%(value)s %(unit)s is above %(limit)s, which is rare in this disease."),
            values,
        )
    )
    return Doubt(
        analyte.code,
        "outside_usual",
        sentence,
        Sentence(_("Compare it with the report.")),
    )


def _jump(entry: LabEntry, last: Earlier | None, drawn_on: date | None) -> Doubt | None:
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
        is_jump = _times_apart(standard, last.value) > (rule.times or Decimal("Infinity"))
    if not is_jump:
        return None
    values = {
        "value": plain(standard, analyte.decimals),
        "last": plain(last.value, analyte.decimals),
        "unit": units.symbol(analyte.unit),
        "days": days,
    }
    sentence = (
        Sentence(_("%(value)s after %(last)s %(unit)s: an unusual change."), values)
        if days is None
        else Sentence(
            _("%(value)s after %(last)s %(unit)s, %(days)s days before: an unusual change."),
            values,
        )
    )
    return Doubt(analyte.code, "jump", sentence, Sentence(_("Compare it with the report.")))


PTA_NORMAL, INR_LONG = Decimal(70), Decimal("1.7")  # our assumption
PTA_LOW, INR_NORMAL = Decimal(40), Decimal("1.3")  # our assumption


def _disagree(pta: Decimal, inr: Decimal) -> bool:
    return (pta > PTA_NORMAL and inr > INR_LONG) or (pta < PTA_LOW and inr < INR_NORMAL)


def _panel_doubts(entries: Sequence[LabEntry], earlier: Mapping[str, Earlier]) -> Iterator[Doubt]:
    values = {
        e.analyte: e.standard_value for e in entries if e.standard_value is not None and not e.comparator
    }
    pta, inr = values.get("pta"), values.get("inr")
    if pta is not None and inr is not None and _disagree(pta, inr):
        yield Doubt(
            "inr",
            "pta_inr",
            Sentence(
                _("INR %(inr)s does not go with PTA %(pta)s %%."),
                {"inr": plain(inr), "pta": plain(pta)},
            ),
            Sentence(_("Both come from the prothrombin time. Compare them with the report.")),
        )
    same = [code for code, value in values.items() if code in earlier and earlier[code].value == value]
    if len(same) >= COPIED_AT_LEAST and len(same) == len([code for code in values if code in earlier]):
        yield Doubt(
            same[0],
            "copied",
            Sentence(
                _("All %(count)s values equal those of the last draw."),
                {"count": len(same)},
            ),
            Sentence(_("Is this the report of the right day?")),
        )


# --- dates ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Life:
    """The days of a subject that dates are held against."""

    today: date
    born_on: date | None = None
    recruited_on: date | None = None
    died_on: date | None = None


def day_breach(day: date, life: Life) -> Breach | None:
    """Return why something cannot have happened to a subject on ``day``, or None."""
    remedy = Sentence(_("Check the date against the record."))
    if day > life.today:
        return Breach(
            "future",
            Sentence(
                _("%(day)s is after today, %(today)s at the site."),
                {"day": day.isoformat(), "today": life.today.isoformat()},
            ),
            Sentence(_("Record it once it has happened.")),
        )
    if life.born_on is not None and day <= life.born_on:
        return Breach(
            "before_birth",
            Sentence(
                _("%(day)s is not after the date of birth, %(born)s."),
                {"day": day.isoformat(), "born": life.born_on.isoformat()},
            ),
            remedy,
        )
    if life.died_on is not None and day > life.died_on:
        return Breach(
            "after_death",
            Sentence(
                _("%(day)s is after the death on %(died)s."),
                {"day": day.isoformat(), "died": life.died_on.isoformat()},
            ),
            Sentence(_("Correct the date, or the outcome first.")),
        )
    return None
