"""Reads dates and times of day. A date that could be two days is refused, never guessed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, time, timedelta
from types import MappingProxyType

from trial.sentences import Sentence
from trial.unreadable import MOST_CHARACTERS, SAME_KEYS, Unreadable, printable


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


FIRST_YEAR = 1900
_BUDDHIST_OFFSET = 543

_MONTHS: Mapping[str, int] = MappingProxyType(
    {
        name: number
        for number, names in enumerate(
            (
                ("jan", "january"),
                ("feb", "february"),
                ("mar", "march"),
                ("apr", "april"),
                ("may",),
                ("jun", "june"),
                ("jul", "july"),
                ("aug", "august"),
                ("sep", "sept", "september"),
                ("oct", "october"),
                ("nov", "november"),
                ("dec", "december"),
            ),
            start=1,
        )
        for name in names
    }
)
_YEAR_FIRST = re.compile(r"(?P<y>[0-9]{4})(?P<s>[-/.])(?P<m>[0-9]{1,2})(?P=s)(?P<d>[0-9]{1,2})")
_CHINESE = re.compile(r"(?P<y>[0-9]{4}) *年 *(?P<m>[0-9]{1,2}) *月 *(?P<d>[0-9]{1,2}) *[日号]?")
_COMPACT = re.compile(r"(?P<y>[0-9]{4})(?P<m>[0-9]{2})(?P<d>[0-9]{2})")
_MONTH_NAMED = re.compile(
    r"(?P<d>[0-9]{1,2})[- ./]?(?P<name>[A-Za-z]{3,9})\.?[- ,./]*(?P<y>[0-9]{4}|[0-9]{2})"
)
_MONTH_FIRST = re.compile(r"(?P<name>[A-Za-z]{3,9})\.? +(?P<d>[0-9]{1,2}),? +(?P<y>[0-9]{4})")
_YEAR_LAST = re.compile(r"(?P<a>[0-9]{1,2})(?P<s>[-/.])(?P<b>[0-9]{1,2})(?P=s)(?P<y>[0-9]{4})")
_TWO_DIGIT_YEAR = re.compile(r"[0-9]{1,2}([-/.])[0-9]{1,2}\1[0-9]{1,2}")
_MIDNIGHT = re.compile(r"(?P<date>.*[0-9])[T ]+0{1,2}:00(:00(\.0+)?)?(Z)?")
_ISO_REMEDY = Sentence(_("Type the date as year-month-day, for example 2015-01-12."))
_TIME = re.compile(r"(?P<h>[0-9]{1,2}):(?P<m>[0-9]{2})(:[0-9]{2})?|(?P<h4>[0-9]{2})(?P<m4>[0-9]{2})")


def read_date(text: str, *, today: date) -> date:
    """Read a date.

    ISO first; also forms that can only mean one day: ``2015/1/5``,
    ``2015.01.12``, ``20150107``, ``2015年2月2日``, ``6-Jan-15``, ``13/02/2024``.

    Parameters
    ----------
    text
        What was typed.
    today
        The day at the subject's site; dates beyond a year from it are refused.

    Raises
    ------
    Unreadable
        If the day does not exist, could be another one too, or lies outside
        1900 to a year from ``today``.
    """
    original = text.strip()
    plain = original.translate(SAME_KEYS).strip() if len(original) <= MOST_CHARACTERS else ""
    value = printable(original)
    if not original:
        raise Unreadable("empty", text, Sentence(_("There is no date.")), _ISO_REMEDY)
    if midnight := _MIDNIGHT.fullmatch(plain):
        plain = midnight["date"]
    for form in (_YEAR_FIRST, _CHINESE, _COMPACT):
        if found := form.fullmatch(plain):
            return _day(original, int(found["y"]), int(found["m"]), int(found["d"]), today)
    for form in (_MONTH_NAMED, _MONTH_FIRST):
        if (found := form.fullmatch(plain)) and found["name"].lower() in _MONTHS:
            year = _whole_year(original, found["y"], today)
            return _day(original, year, _MONTHS[found["name"].lower()], int(found["d"]), today)
    if found := _YEAR_LAST.fullmatch(plain):
        return _day_and_month(original, int(found["a"]), int(found["b"]), int(found["y"]), today)
    if _TWO_DIGIT_YEAR.fullmatch(plain):
        raise Unreadable(
            "two_digit_year",
            original,
            Sentence(
                _("“%(value)s” can be several days: its year has two digits."),
                {"value": value},
            ),
            _ISO_REMEDY,
        )
    if re.fullmatch(r"[0-9]{5}", plain):
        raise Unreadable(
            "serial_date",
            original,
            Sentence(
                _("“%(value)s” looks like a spreadsheet's day number."),
                {"value": value},
            ),
            Sentence(
                _("Format the column as a date, or type %(day)s if that is the day meant."),
                {"day": (date(1899, 12, 30) + timedelta(days=int(plain))).isoformat()},
            ),
        )
    raise Unreadable(
        "not_a_date",
        original,
        Sentence(_("“%(value)s” is not a date."), {"value": value}),
        _ISO_REMEDY,
    )


def _whole_year(original: str, digits: str, today: date) -> int:
    if len(digits) == 4:
        return int(digits)
    year = 2000 + int(digits)
    if year > today.year + 1:
        raise Unreadable(
            "two_digit_year",
            original,
            Sentence(
                _("“%(value)s” has a year of two digits that may be %(early)s or %(late)s."),
                {"value": printable(original), "early": year - 100, "late": year},
            ),
            Sentence(_("Write the year with four digits.")),
        )
    return year


def _day_and_month(original: str, first: int, second: int, year: int, today: date) -> date:
    if first > 12 or first == second:
        return _day(original, year, second, first, today)
    if second > 12:
        return _day(original, year, first, second, today)
    if not (first and second):
        return _day(original, year, first, second, today)
    raise Unreadable(
        "ambiguous_date",
        original,
        Sentence(_("“%(value)s” can be two days."), {"value": printable(original)}),
        Sentence(
            _("Type %(one)s or %(other)s."),
            {
                "one": f"{year:04}-{first:02}-{second:02}",
                "other": f"{year:04}-{second:02}-{first:02}",
            },
        ),
    )


def _day(original: str, year: int, month: int, day: int, today: date) -> date:
    value = printable(original)
    try:
        found = date(year, month, day)
    except ValueError:
        missing = (
            _("“%(value)s” does not exist: there is no day %(day)s in month %(month)s of %(year)s.")
            if 1 <= month <= 12
            else _("“%(value)s” does not exist: there is no month %(month)s.")
        )
        raise Unreadable(
            "impossible_date",
            original,
            Sentence(missing, {"value": value, "day": day, "month": month, "year": year}),
            _ISO_REMEDY,
        ) from None
    latest = today + timedelta(days=365)
    if year >= FIRST_YEAR and found <= latest:
        return found
    remedy = Sentence(
        _("A date of the study lies between %(first)s and %(last)s."),
        {"first": f"{FIRST_YEAR}-01-01", "last": latest.isoformat()},
    )
    if FIRST_YEAR <= year - _BUDDHIST_OFFSET <= latest.year and not (month == 2 and day == 29):
        remedy = Sentence(
            _(
                "A date of the study lies between %(first)s and %(last)s. If the year is of the Buddhist calendar, type %(day)s."
            ),
            {
                "first": f"{FIRST_YEAR}-01-01",
                "last": latest.isoformat(),
                "day": found.replace(year=year - _BUDDHIST_OFFSET).isoformat(),
            },
        )
    raise Unreadable(
        "date_out_of_range",
        original,
        Sentence(_("“%(value)s” is outside the dates the study can have."), {"value": value}),
        remedy,
    )


def read_time(text: str) -> time:
    """Read a time of day: ``07:40``, ``7:40`` or ``0740``; seconds are dropped."""
    original = text.strip()
    found = (
        _TIME.fullmatch(original.translate(SAME_KEYS).strip()) if len(original) <= MOST_CHARACTERS else None
    )
    if found:
        hour, minute = int(found["h"] or found["h4"]), int(found["m"] or found["m4"])
        if hour < 24 and minute < 60:
            return time(hour, minute)
    raise Unreadable(
        "not_a_time",
        original,
        Sentence(_("“%(value)s” is not a time of day."), {"value": printable(original)}),
        Sentence(_("Type hours and minutes, for example 07:40.")),
    )
