"""Vital signs of an infusion: which, when, between which limits, and how they are typed. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from types import MappingProxyType

from trial import typed, vocabulary
from trial.sentences import Sentence
from trial.typed import Unreadable


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


@dataclass(frozen=True, slots=True)
class Sign:
    """One vital sign: hard limits refuse, outside the soft ones it is marked; all but the temperature our assumption."""

    code: str
    label: str
    unit: str
    least: Decimal
    most: Decimal
    low: Decimal | None
    high: Decimal | None
    places: int = 0


def _sign(
    code: str, label: str, unit: str, hard: tuple[str, str], soft: tuple[str, str], places: int = 0
) -> Sign:
    low, high = (Decimal(text) if text else None for text in soft)
    return Sign(code, label, unit, Decimal(hard[0]), Decimal(hard[1]), low, high, places)


TEMPERATURE = _sign("temperature_c", _("Temperature"), "°C", ("32", "43"), ("35.5", "37.9"), 1)
PULSE = _sign("pulse", _("Pulse"), "/min", ("20", "300"), ("50", "120"))
SYSTOLIC = _sign("systolic", _("systolic pressure"), "mmHg", ("40", "300"), ("90", "180"))
DIASTOLIC = _sign("diastolic", _("diastolic pressure"), "mmHg", ("20", "200"), ("50", "110"))
RESPIRATION = _sign("respiration", _("Breaths"), "/min", ("4", "80"), ("10", "24"))
SATURATION = _sign("saturation", _("SpO2"), "%", ("30", "100"), ("92", ""))
SIGNS: Mapping[str, Sign] = MappingProxyType(
    {s.code: s for s in (TEMPERATURE, PULSE, SYSTOLIC, DIASTOLIC, RESPIRATION, SATURATION)}
)
PRESSURE = "pressure"
COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "temperature_c": _("Temp., °C"),
        "pulse": _("Pulse, /min"),
        PRESSURE: _("Blood pressure"),
        "respiration": _("Breaths, /min"),
        "saturation": _("SpO2, %"),
    }
)
"""The columns of the grid; the pressure is typed as 118/76."""

MOMENTS: tuple[str, ...] = tuple(vocabulary.codes(vocabulary.VITAL_MOMENTS))


@dataclass(frozen=True, slots=True)
class Vitals:
    """What was measured at one moment; empty where it was not."""

    temperature_c: Decimal | None = None
    pulse: int | None = None
    systolic: int | None = None
    diastolic: int | None = None
    respiration: int | None = None
    saturation: int | None = None

    def __bool__(self) -> bool:
        return any(value is not None for value in self.values().values())

    def values(self) -> dict[str, Decimal | int | None]:
        """Return the measurements by sign."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    def cell(self, column: str) -> str:
        """Return what stands in a cell of the grid."""
        if column == PRESSURE:
            return "" if self.systolic is None else f"{self.systolic}/{self.diastolic}"
        value = getattr(self, column)
        return "" if value is None else str(value)


def read_sign(code: str, text: str) -> Decimal:
    """Return one measurement as it stands alone.

    Raises
    ------
    Unreadable
        With the rule and the remedy, when it cannot be a measurement.
    """
    return _read_number(SIGNS[code], text.strip())


def pressure_order(systolic: Decimal, diastolic: Decimal) -> Unreadable | None:
    """Return why two pressures cannot stand together, or nothing."""
    if diastolic < systolic:
        return None
    text = f"{systolic}/{diastolic}"
    return Unreadable(
        "pressure_order",
        text,
        Sentence(_("“%(value)s”: the second number is not the lower one."), {"value": typed.printable(text)}),
        Sentence(_("Type the systolic pressure first.")),
    )


def read_cell(column: str, text: str) -> dict[str, Decimal | int | None]:
    """Return the measurements that one cell of the grid holds.

    Raises
    ------
    Unreadable
        With the rule and the remedy, when it cannot be a measurement.
    """
    text = text.strip()
    if column == PRESSURE:
        return _read_pressure(text)
    if not text:
        return {column: None}
    sign = SIGNS[column]
    value = _read_number(sign, text)
    return {column: value if sign.places else int(value)}


def _read_pressure(text: str) -> dict[str, Decimal | int | None]:
    if not text:
        return {"systolic": None, "diastolic": None}
    parts = re.split(r"\s*[/／.\-]\s*|\s+", text)
    if len(parts) != 2:
        raise Unreadable(
            "pressure",
            text,
            Sentence(_("“%(value)s” is not a blood pressure."), {"value": typed.printable(text)}),
            Sentence(_("Type both numbers: 118/76.")),
        )
    systolic, diastolic = (
        int(_read_number(sign, part)) for sign, part in zip((SYSTOLIC, DIASTOLIC), parts, strict=True)
    )
    if wrong := pressure_order(Decimal(systolic), Decimal(diastolic)):
        raise wrong
    return {"systolic": systolic, "diastolic": diastolic}


def _read_number(sign: Sign, text: str) -> Decimal:
    found = typed.read_number_alone(text)
    said = {
        "value": typed.printable(text),
        "sign": Sentence(sign.label),
        "least": f"{sign.least:f}",
        "most": f"{sign.most:f}",
        "unit": sign.unit,
    }
    remedy = Sentence(_("Check value and unit."))
    if found.comparator or found.unit:
        raise Unreadable(
            "plain",
            text,
            Sentence(_("“%(value)s” is not a plain number."), said),
            Sentence(_("Type it without sign and unit.")),
        )
    if not sign.least <= found.value <= sign.most:
        sentence = Sentence(_("%(sign)s “%(value)s” is not between %(least)s and %(most)s %(unit)s."), said)
        raise Unreadable("limit", text, sentence, remedy)
    exact = found.value.quantize(Decimal(1).scaleb(-sign.places))
    if exact != found.value:
        sentence = Sentence(_("%(sign)s “%(value)s” has more decimals than are kept."), said)
        raise Unreadable("too_many_decimals", text, sentence, Sentence(_("Round it as the record does.")))
    return exact


def doubts(vitals: Mapping[str, Vitals]) -> Iterator[Sentence]:
    """Yield a sentence for every measurement outside its soft limits."""
    moments = vocabulary.by_code(vocabulary.VITAL_MOMENTS)
    for moment in MOMENTS:
        for code, value in vitals.get(moment, Vitals()).values().items():
            if value is not None and is_doubtful(code, value):
                yield Sentence(
                    _("%(moment)s: %(sign)s %(value)s %(unit)s."),
                    {
                        "moment": Sentence(moments[moment].label),
                        "sign": Sentence(SIGNS[code].label),
                        "value": str(value),
                        "unit": SIGNS[code].unit,
                    },
                )


def is_doubtful(code: str, value: Decimal | int) -> bool:
    """Return whether a measurement lies outside its soft limits."""
    sign = SIGNS[code]
    return (sign.low is not None and value < sign.low) or (sign.high is not None and value > sign.high)


def column_is_doubtful(vitals: Vitals, column: str) -> bool:
    """Return whether a cell of the grid holds something outside its soft limits."""
    codes = ("systolic", "diastolic") if column == PRESSURE else (column,)
    found = ((code, getattr(vitals, code)) for code in codes)
    return any(value is not None and is_doubtful(code, value) for code, value in found)
