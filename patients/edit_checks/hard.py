"""What cannot be: a value that no laboratory reports, an entry that is none."""

from __future__ import annotations

from decimal import Decimal

from patients.edit_checks.found import Breach, plain
from patients.entries import LabEntry
from trial import protocol, units
from trial.protocol import Analyte
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


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
                {"analyte": Sentence(analyte.label)},
            ),
            Sentence(_("Type the value, or choose a reason.")),
        )
    if entry.missing_reason:
        return Breach(
            "value_and_reason",
            Sentence(
                _("%(analyte)s has a value and a reason why there is none."),
                {"analyte": Sentence(analyte.label)},
            ),
            Sentence(_("Keep one of the two.")),
        )
    if entry.unit not in analyte.accepted:
        return unit_breach(analyte, entry.unit)
    return _limit_breach(entry, analyte, entry.value)


def unit_breach(analyte: Analyte, unit: str) -> Breach:
    """Return why a value of an analyte cannot be saved in ``unit``, which it does not accept.

    ``unit`` is a code of :mod:`trial.units`, or what was written when it is none.
    """
    return Breach(
        "unit_not_accepted",
        Sentence(
            _("%(analyte)s is not reported in %(unit)s."),
            {"analyte": Sentence(analyte.label), "unit": units.symbol(unit)},
        ),
        Sentence(
            _("Units of %(analyte)s: %(units)s."),
            {
                "analyte": Sentence(analyte.label),
                "units": ", ".join(units.symbol(known) for known in analyte.accepted),
            },
        ),
    )


def _limit_breach(entry: LabEntry, analyte: Analyte, value: Decimal) -> Breach | None:
    if analyte.hard.holds(analyte.in_standard_unit(value, entry.unit)):
        return None
    factor = analyte.accepted[entry.unit]
    sentence = Sentence(
        _(
            "%(analyte)s %(value)s %(unit)s is not possible: a value lies between %(low)s and %(high)s %(unit)s."
        ),
        {
            "analyte": Sentence(analyte.label),
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
