"""Reads one value as a laboratory's program reports it, by the readers and checks of the form. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

from patients import edit_checks
from patients.entries import LabEntry
from trial import loinc, protocol, typed
from trial.protocol import Analyte
from trial.sentences import Sentence
from trial.strict_json import JsonNumber
from trial.typed import Unreadable


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


COMPARATORS = ("", "<", "<=", ">=", ">")
_MOST_POWER = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """One value as it was sent: every part a text, empty where nothing was said.

    ``analyte`` is a code of the panel or a LOINC code.
    """

    analyte: str
    value: str = ""
    unit: str = ""
    comparator: str = ""
    missing: str = ""


@dataclass(frozen=True, slots=True)
class Wrong:
    """What is wrong with one part of it."""

    part: str
    rule: str
    value: str
    sentence: Sentence
    remedy: Sentence


def read(reported: Reported, *, usual_units: Mapping[str, str]) -> LabEntry | Wrong:
    """Return the entry that a form would make of it, or the first thing that is wrong.

    Parameters
    ----------
    reported
        As it was sent.
    usual_units
        The unit in which the named laboratory reports an analyte; used where no unit is sent.
    """
    code = loinc.CODES.get(reported.analyte)
    analyte = protocol.ANALYTES.get(code.analyte if code else reported.analyte)
    if analyte is None:
        breach = edit_checks.breach(LabEntry(analyte=typed.printable(reported.analyte)))
        assert breach is not None
        return Wrong(
            "analyte", breach.rule, typed.printable(reported.analyte), breach.sentence, breach.remedy
        )
    if reported.missing:
        return _without_value(reported, analyte)
    if not reported.value.strip():
        return _broken(LabEntry(analyte=analyte.code), "value", "")
    if reported.comparator not in COMPARATORS:
        return Wrong(
            "comparator",
            "comparator",
            typed.printable(reported.comparator),
            Sentence(_("“%(value)s” is not a comparator."), {"value": typed.printable(reported.comparator)}),
            Sentence(_("Send <, <=, >= or >, or leave it out.")),
        )
    try:
        number = typed.read_number(reported.comparator + in_digits(reported.value))
    except Unreadable as error:
        return Wrong("value", error.rule, error.value, error.sentence, error.remedy)
    unit = _unit(reported, analyte, code, number.unit, usual_units)
    if isinstance(unit, Wrong):
        return unit
    entry = LabEntry(
        analyte=analyte.code,
        value=number.value,
        comparator=number.comparator,
        typed_text=number.text,
        typed_unit=unit,
    )
    breach = edit_checks.breach(entry)
    if breach is None:
        return entry
    part = "unit" if breach.rule == "unit_not_accepted" else "value"
    shown = typed.printable(reported.unit) if part == "unit" else number.text
    return Wrong(part, breach.rule, shown, breach.sentence, breach.remedy)


def in_digits(text: str) -> str:
    """Write out a number of a JSON text that a library has put as a power of ten; other text stays."""
    if not isinstance(text, JsonNumber) or "e" not in text.lower():
        return text
    try:
        number = Decimal(text)
    except InvalidOperation:
        return text
    return f"{number:f}" if abs(number.adjusted()) <= _MOST_POWER else text


def _without_value(reported: Reported, analyte: Analyte) -> LabEntry | Wrong:
    if reported.value.strip():
        entry = LabEntry(analyte=analyte.code, value=Decimal(0), missing_reason=reported.missing)
        return _broken(entry, "value", reported.value)
    codes = [reason.code for reason in protocol.MISSING_REASONS]
    if reported.missing not in codes:
        shown = typed.printable(reported.missing)
        return Wrong(
            "missing",
            "missing_reason",
            shown,
            Sentence(_("“%(value)s” is not a reason why there is no value."), {"value": shown}),
            Sentence(_("Send one of: %(words)s."), {"words": ", ".join(codes)}),
        )
    return LabEntry(analyte=analyte.code, missing_reason=reported.missing)


def _broken(entry: LabEntry, part: str, value: str) -> Wrong:
    breach = edit_checks.breach(entry)
    assert breach is not None
    return Wrong(part, breach.rule, typed.printable(value), breach.sentence, breach.remedy)


def _unit(
    reported: Reported,
    analyte: Analyte,
    code: loinc.Code | None,
    in_value: str | None,
    usual_units: Mapping[str, str],
) -> str | Wrong:
    """Return the unit that was said; only one that cannot be mistaken is taken without being said."""
    said = in_value
    if reported.unit.strip():
        found = typed.read_unit(reported.unit) or loinc.unit_of(reported.unit)
        if found is None:
            shown = typed.printable(reported.unit)
            breach = edit_checks.unit_breach(analyte, shown)
            return Wrong("unit", breach.rule, shown, breach.sentence, breach.remedy)
        if in_value is not None and in_value != found:
            return Wrong(
                "unit",
                "two_units",
                typed.printable(reported.unit),
                Sentence(
                    _("Two units are said for this value: %(units)s."), {"units": f"{found}, {in_value}"}
                ),
                Sentence(_("Correct the one that is wrong.")),
            )
        said = found
    if said is None:
        said = usual_units.get(analyte.code)
    if said is None:
        if len(set(analyte.accepted.values())) > 1 and code is None:
            return _unit_not_said(analyte)
        said = code.units[0] if code is not None else analyte.unit
        if code is not None and len({analyte.accepted[unit] for unit in code.units}) > 1:
            return _unit_not_said(analyte)
    if said in analyte.accepted and code is not None and said not in code.units:
        others = [other.loinc for other in loinc.codes_of(analyte.code) if said in other.units]
        return Wrong(
            "unit",
            "unit_of_another_code",
            said,
            Sentence(_("LOINC %(code)s is not reported in %(unit)s."), {"code": code.loinc, "unit": said}),
            Sentence(
                _("Send LOINC %(others)s for that unit, or one of: %(units)s."),
                {"others": ", ".join(others), "units": ", ".join(code.units)},
            ),
        )
    return said


def _unit_not_said(analyte: Analyte) -> Wrong:
    return Wrong(
        "unit",
        "unit_not_said",
        "",
        Sentence(_("%(analyte)s comes in several units, and none is said."), {"analyte": analyte.label}),
        Sentence(_("Send one of: %(units)s."), {"units": ", ".join(analyte.accepted)}),
    )


# --- when -----------------------------------------------------------------------------------

_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T.*")


def read_when(text: str, *, zone: ZoneInfo, today: date) -> tuple[date, datetime | None]:
    """Read a day of the site, or a moment with its offset and the day it was then at the site.

    Raises
    ------
    Unreadable
        As for a typed date, and for a moment that does not say its offset.
    """
    plain = text.strip()
    if not _MOMENT.fullmatch(plain) or len(plain) > typed.MOST_CHARACTERS:
        return typed.read_date(text, today=today), None
    try:
        moment = datetime.fromisoformat(plain)
        local = moment.astimezone(zone) if moment.tzinfo is not None else None
    except (ValueError, OverflowError):
        raise Unreadable(
            "not_a_time",
            plain,
            Sentence(_("“%(value)s” is not a moment."), {"value": typed.printable(plain)}),
            Sentence(_("Send it as 2015-01-12T07:40:00+08:00, or the day alone.")),
        ) from None
    if local is None:
        raise Unreadable(
            "no_offset",
            plain,
            Sentence(
                _("“%(value)s” does not say its offset from UTC: it can be two days."),
                {"value": typed.printable(plain)},
            ),
            Sentence(_("Send it as 2015-01-12T07:40:00+08:00, or the day alone.")),
        )
    # the study keeps minutes, and the day is held to the limits of every date
    day = typed.read_date(local.date().isoformat(), today=today)
    return day, local.replace(second=0, microsecond=0)
