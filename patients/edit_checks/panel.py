"""Every soft check over the panel of a draw: the one entry of form, grid, file and interface."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from patients.edit_checks.changes import jump
from patients.edit_checks.days import day_doubts
from patients.edit_checks.found import Around, Doubt, Earlier, plain
from patients.edit_checks.slips import point_slip, unit_slip
from patients.entries import LabEntry
from trial import units
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


COPIED_AT_LEAST = 5
"""Equal values in a row of analytes that look like a copied panel; our assumption."""
PTA_NORMAL, INR_LONG = Decimal(70), Decimal("1.7")  # our assumption
PTA_LOW, INR_NORMAL = Decimal(40), Decimal("1.3")  # our assumption


def doubts(entries: Sequence[LabEntry], around: Around) -> tuple[Doubt, ...]:
    """Return every soft check that fires on a draw: at most one a value, then those on its day.

    Parameters
    ----------
    entries
        Entries that passed :func:`patients.edit_checks.breach`.
    around
        What they are held against.
    """
    found = [
        fired
        for entry in entries
        if entry.value is not None
        for fired in [_first_doubt(entry, around)]
        if fired is not None
    ]
    doubted = {doubt.analyte for doubt in found}
    found += [doubt for doubt in _panel_doubts(entries, around.earlier) if doubt.analyte not in doubted]
    order = {entry.analyte: place for place, entry in enumerate(entries)}
    return (*sorted(found, key=lambda doubt: order[doubt.analyte]), *day_doubts(around))


def _first_doubt(entry: LabEntry, around: Around) -> Doubt | None:
    last = around.earlier.get(entry.analyte)
    return (
        unit_slip(entry, last, is_liver_failure=around.is_liver_failure)
        or point_slip(entry, last)
        or outside_usual(entry)
        or jump(entry, last, around.drawn_on, around.albumin)
    )


def outside_usual(entry: LabEntry) -> Doubt | None:
    """Return a doubt when a value is rare in the disease of the study."""
    analyte, standard = entry.declared, entry.standard_value
    if standard is None or analyte.soft.holds(standard):
        return None
    is_low = analyte.soft.low is not None and standard < analyte.soft.low
    # "< 0.01" says nothing rare; "< 20" of an INR does, for the limit is what enters a score
    if entry.comparator == ("<" if is_low else ">"):
        return None
    limit = analyte.soft.low if is_low else analyte.soft.high
    values = {
        "value": plain(standard, analyte.decimals + 1),
        "unit": units.symbol(analyte.unit),
        "limit": "" if limit is None else plain(limit),
    }
    sentence = (
        Sentence(_("%(value)s %(unit)s is below %(limit)s, which is rare in this disease."), values)
        if is_low
        else Sentence(_("%(value)s %(unit)s is above %(limit)s, which is rare in this disease."), values)
    )
    return Doubt(analyte.code, "outside_usual", sentence, Sentence(_("Compare it with the report.")))


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
                _("INR %(inr)s does not go with PTA %(pta)s %%."), {"inr": plain(inr), "pta": plain(pta)}
            ),
            Sentence(_("Both come from the prothrombin time. Compare them with the report.")),
            others=("pta",),
        )
    same = [code for code, value in values.items() if code in earlier and earlier[code].value == value]
    if len(same) >= COPIED_AT_LEAST and len(same) == len([code for code in values if code in earlier]):
        yield Doubt(
            same[0],
            "copied",
            Sentence(_("All %(count)s values equal those of the last draw."), {"count": len(same)}),
            Sentence(_("Is this the report of the right day?")),
            others=tuple(same[1:]),
        )
