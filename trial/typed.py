"""Reads what a person typed or a file holds: numbers, dates, times. Never guesses.

The reading is documented and small: ASCII digits, one point, an optional ``<``
or ``>`` in front, an optional unit behind. Full-width digits, points, signs and
the Chinese full stop are what an input method makes of the same keys and read
the same. Everything else is refused with the rule, the place and a remedy, and
the original text stays with the value.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from types import MappingProxyType

from trial import units
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


MOST_CHARACTERS = 64
MOST_DIGITS = 14
MOST_DECIMALS = units.STORED_PLACES
FIRST_YEAR = 1900
_SHOWN_CHARACTERS = 24
_MOST_EXPONENT = 12
_BUDDHIST_OFFSET = 543

_SAME_KEYS = str.maketrans(
    {
        **{chr(0xFF10 + digit): str(digit) for digit in range(10)},
        "\N{FULLWIDTH FULL STOP}": ".",
        "\N{IDEOGRAPHIC FULL STOP}": ".",
        "\N{FULLWIDTH COMMA}": ",",
        "\N{IDEOGRAPHIC COMMA}": ",",
        "\N{FULLWIDTH LESS-THAN SIGN}": "<",
        "\N{FULLWIDTH GREATER-THAN SIGN}": ">",
        "\N{FULLWIDTH HYPHEN-MINUS}": "-",
        "\N{MINUS SIGN}": "-",
        "\N{EN DASH}": "-",
        "\N{FULLWIDTH PLUS SIGN}": "+",
        "\N{FULLWIDTH SOLIDUS}": "/",
        "\N{FULLWIDTH COLON}": ":",
        "\N{FULLWIDTH PERCENT SIGN}": "%",
        "\N{FULLWIDTH EQUALS SIGN}": "=",
        "\N{IDEOGRAPHIC SPACE}": " ",
        "\N{NO-BREAK SPACE}": " ",
        "\N{NARROW NO-BREAK SPACE}": " ",
        "\t": " ",
    }
)
"""Characters that an input method or a spreadsheet puts in place of an ASCII one."""

_COMPARATORS: Mapping[str, str] = MappingProxyType(
    {
        "<": "<",
        ">": ">",
        "<=": "<",
        ">=": ">",
        "\N{LESS-THAN OR EQUAL TO}": "<",
        "\N{GREATER-THAN OR EQUAL TO}": ">",
        "\N{LESS-THAN OR SLANTED EQUAL TO}": "<",
        "\N{GREATER-THAN OR SLANTED EQUAL TO}": ">",
    }
)


class Unreadable(ValueError):
    """What was typed cannot be read.

    Attributes
    ----------
    rule
        Code of the rule that refused it, stable for reports.
    value
        What was typed, shortened and made printable.
    sentence
        What is wrong and where.
    remedy
        How to mend it.
    """

    def __init__(
        self, rule: str, text: str, sentence: Sentence, remedy: Sentence
    ) -> None:
        self.rule = rule
        self.value = printable(text)
        self.sentence = sentence
        self.remedy = remedy
        super().__init__(rule, self.value)

    def __str__(self) -> str:
        return f"{self.sentence} {self.remedy}"


@dataclass(frozen=True, slots=True)
class Typed:
    """A number as it was typed.

    ``value`` is exact; ``comparator`` is ``<``, ``>`` or empty; ``text`` is the
    original without surrounding space; ``unit`` is the study's code of a unit
    typed behind the number; ``notice`` says when the reading needs a word.
    """

    value: Decimal
    comparator: str
    text: str
    unit: str | None = None
    notice: Sentence | None = None


def printable(text: str) -> str:
    """Return ``text`` fit to stand in a message: short, with nothing invisible in it."""
    clean = "".join(
        c if c.isprintable() else f"<U+{ord(c):04X}>"
        for c in text[: _SHOWN_CHARACTERS + 1]
    )
    return (
        clean
        if len(text) <= _SHOWN_CHARACTERS
        else clean[:_SHOWN_CHARACTERS] + "\N{HORIZONTAL ELLIPSIS}"
    )


# --- naming what is in the way --------------------------------------------------------------

_POSITIONS = (
    _("the first character is %(what)s"),
    _("the second character is %(what)s"),
    _("the third character is %(what)s"),
    _("the fourth character is %(what)s"),
    _("the fifth character is %(what)s"),
    _("the sixth character is %(what)s"),
    _("the seventh character is %(what)s"),
    _("the eighth character is %(what)s"),
)
_CHARACTER_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "_": _("an underscore"),
        ",": _("a comma"),
        "*": _("an asterisk"),
        " ": _("a space"),
        "'": _("an apostrophe"),
        ".": _("a point"),
        "-": _("a hyphen"),
        "/": _("a slash"),
    }
)
_LOOK_ALIKES = str.maketrans(
    {"O": "0", "o": "0", "l": "1", "I": "1", "S": "5", "B": "8", "Z": "2"}
)


def _named(character: str) -> Sentence:
    if character in _CHARACTER_NAMES:
        return Sentence(_CHARACTER_NAMES[character])
    if character.isascii() and character.isalpha():
        return Sentence(_("the letter %(letter)s"), {"letter": character})
    if unicodedata.category(character) in ("Nd", "No", "Nl"):
        return Sentence(
            _("a digit other than 0 to 9 (%(character)s)"), {"character": character}
        )
    if not character.isprintable():
        return Sentence(
            _("one that cannot be seen (U+%(code)s)"), {"code": f"{ord(character):04X}"}
        )
    return Sentence(_("the character %(character)s"), {"character": character})


def _place(index: int, character: str) -> Sentence:
    what = _named(character)
    if index < len(_POSITIONS):
        return Sentence(_POSITIONS[index], {"what": what})
    return Sentence(
        _("character %(number)s is %(what)s"), {"number": index + 1, "what": what}
    )


# --- units ----------------------------------------------------------------------------------


def _plain_unit(text: str) -> str:
    """Reduce the ways a unit is written to one: no spaces, ``u`` for micro, ``x`` for times."""
    plain = unicodedata.normalize(
        "NFKC",
        text.replace("\N{SUPERSCRIPT NINE}", "^9").replace(
            "\N{SUPERSCRIPT THREE}", "^3"
        ),
    )
    plain = (
        plain.replace(" ", "")
        .replace("\N{GREEK SMALL LETTER MU}", "u")
        .replace("\N{MULTIPLICATION SIGN}", "x")
    )
    plain = (
        plain.replace("10*", "10^")
        .replace("10E", "10^")
        .removeprefix("x")
        .removeprefix("*")
    )
    # without a slash the case tells "s" from a mistyped 5
    return plain.casefold() if "/" in plain else plain


_UNITS: Mapping[str, str] = MappingProxyType(
    {
        **{_plain_unit(code): code for code in units.UCUM},
        **{_plain_unit(ucum): code for code, ucum in units.UCUM.items()},
        **{
            _plain_unit(symbol): code
            for code, symbol in units.SYMBOLS.items()
            if code in units.UCUM
        },
        "iu/l": "U/L",
        "g/l": "g/L",
        "sec": "s",
        "INR": "ratio",
    }
)


def read_unit(text: str) -> str | None:
    """Return the study's code for a unit as people write it, or None if it knows none."""
    return _UNITS.get(_plain_unit(text.translate(_SAME_KEYS).strip()))


# --- numbers --------------------------------------------------------------------------------

_NUMBER = re.compile(
    rf"(?P<sign><=|>=|[<>\u2264\u2265\u2a7d\u2a7e])? *(?P<number>[0-9]{{1,{MOST_DIGITS}}}(\.[0-9]{{1,{MOST_DECIMALS}}})?)"
    r"(?P<rest>.*)",
    re.DOTALL,
)
_POWER = re.compile(
    r"(?P<number>[0-9]+(\.[0-9]+)?) *([eE]|[xX*\u00d7] *10 *\^?)(?P<power>[+-]?[0-9]+)(?P<rest>.*)",
    re.DOTALL,
)
_COMMA = re.compile(r"[<>]?[0-9]+([.,' ][0-9]+)*")
_LOOKS_LIKE_A_UNIT = re.compile(
    r" *([^\W\d_]{2,}|[^\W\d_]+(/[^\W\d_]+)+|%)[^\d]*", re.DOTALL
)


def read_number(text: str) -> Typed:
    """Read a laboratory value.

    Parameters
    ----------
    text
        What was typed, for example ``"140"``, ``"<5"``, ``"8.2 mg/dL"``.

    Returns
    -------
    Typed
        The exact value with its comparator, unit and original text.

    Raises
    ------
    Unreadable
        With the rule that refused it. A comma, an exponent, a sign, a foreign
        digit or a letter is never interpreted.
    """
    original = text.strip()
    plain = original.translate(_SAME_KEYS)
    plain = plain.strip()
    if not plain:
        raise Unreadable(
            "empty", text, Sentence(_("There is no number.")), _NUMBER_OR_REASON
        )
    if len(original) > MOST_CHARACTERS:
        raise Unreadable(
            "too_long",
            original,
            Sentence(
                _("“%(value)s” is too long: %(count)s characters."),
                {"value": printable(original), "count": len(original)},
            ),
            Sentence(
                _("A value has at most %(most)s characters."), {"most": MOST_CHARACTERS}
            ),
        )
    found = _NUMBER.fullmatch(plain)
    if found is None:
        raise _refusal(original, plain)
    unit = None
    if found["rest"]:
        unit = _UNITS.get(_plain_unit(found["rest"]))
        if unit is None or found["rest"][:1].isdigit():
            raise _refusal(original, plain)
    sign = found["sign"] or ""
    comparator = _COMPARATORS.get(sign, "")
    notice = None
    if sign and sign != comparator:
        notice = Sentence(
            _("%(typed)s is kept as %(kept)s; the analysis uses the limit itself."),
            {"typed": original, "kept": f"{comparator} {found['number']}"},
        )
    return Typed(Decimal(found["number"]), comparator, original, unit, notice)


_NUMBER_OR_REASON = Sentence(
    _("Type the number as reported, or choose a reason why there is none.")
)


def _refusal(original: str, plain: str) -> Unreadable:
    """Say why a text is not a number: the first rule that fits."""
    value = printable(original)
    if not any(c.isdigit() for c in plain):
        return Unreadable(
            "no_digits",
            original,
            Sentence(_("“%(value)s” is not a number."), {"value": value}),
            _NUMBER_OR_REASON,
        )
    if plain[0] in "+-":
        return Unreadable(
            "sign",
            original,
            Sentence(
                _("“%(value)s” has a sign; no value of the study is below zero."),
                {"value": value},
            ),
            Sentence(_("Type it without the sign if that is what the report says.")),
        )
    if power := _POWER.fullmatch(plain):
        return _power_refusal(original, power)
    if "," in plain and _COMMA.fullmatch(plain):
        return _comma_refusal(original, plain)
    if plain.count(".") > 1 and not set(plain) - set("0123456789.<>"):
        return Unreadable(
            "two_points",
            original,
            Sentence(_("“%(value)s” has more than one point."), {"value": value}),
            Sentence(_("Keep the decimal point and leave out the others.")),
        )
    if bare := re.fullmatch(r"([<>]?) *(?:\.([0-9]+)|([0-9]+)\.)", plain):
        whole = f"{bare[1]}0.{bare[2]}" if bare[2] else f"{bare[1]}{bare[3]}"
        return Unreadable(
            "bare_point",
            original,
            Sentence(
                _("“%(value)s” has a point without a digit on both sides."),
                {"value": value},
            ),
            _type_instead(whole),
        )
    if digits := re.fullmatch(r"[<>]? *([0-9]+)(?:\.([0-9]+))?", plain):
        return _length_refusal(original, digits)
    if (number := _NUMBER.fullmatch(plain)) and _LOOKS_LIKE_A_UNIT.fullmatch(
        number["rest"]
    ):
        return Unreadable(
            "unknown_unit",
            original,
            Sentence(
                _("“%(unit)s” is not a unit the study knows."),
                {"unit": printable(number["rest"].strip())},
            ),
            Sentence(_("Choose the unit beside the value.")),
        )
    return _character_refusal(original, plain)


def _type_instead(text: str) -> Sentence:
    return Sentence(_("Type %(text)s if that is what the report says."), {"text": text})


def _power_refusal(original: str, power: re.Match[str]) -> Unreadable:
    exponent = int(power["power"]) if len(power["power"]) <= 3 else _MOST_EXPONENT + 1
    remedy = Sentence(_("Write the number out in digits."))
    if 0 <= exponent <= _MOST_EXPONENT and len(power["number"]) <= MOST_DIGITS:
        remedy = _type_instead(
            f"{Decimal(power['number']).scaleb(exponent):f}{power['rest']}"
        )
    return Unreadable(
        "exponent",
        original,
        Sentence(
            _("“%(value)s” is written with a power of ten."),
            {"value": printable(original)},
        ),
        remedy,
    )


def _comma_refusal(original: str, plain: str) -> Unreadable:
    value = printable(original)
    bare = plain.replace(" ", "").replace("'", "")
    if bare.count(",") == 1 and "." not in bare:
        remedy = Sentence(
            _("Type %(decimal)s or %(whole)s, whichever the report means."),
            {"decimal": bare.replace(",", "."), "whole": bare.replace(",", "")},
        )
    elif bare.count(",") == 1 and bare.rfind(",") > bare.rfind("."):
        remedy = _type_instead(bare.replace(".", "").replace(",", "."))
    else:
        remedy = _type_instead(bare.replace(",", ""))
    return Unreadable(
        "comma",
        original,
        Sentence(
            _("“%(value)s” has a comma, which can mean a decimal or thousands."),
            {"value": value},
        ),
        remedy,
    )


def _length_refusal(original: str, digits: re.Match[str]) -> Unreadable:
    if len(digits[1]) > MOST_DIGITS:
        return Unreadable(
            "too_many_digits",
            original,
            Sentence(
                _("“%(value)s” has %(count)s digits before the point."),
                {"value": printable(original), "count": len(digits[1])},
            ),
            Sentence(
                _("A value has at most %(most)s digits before the point."),
                {"most": MOST_DIGITS},
            ),
        )
    return Unreadable(
        "too_many_decimals",
        original,
        Sentence(
            _("“%(value)s” has %(count)s decimals."),
            {"value": printable(original), "count": len(digits[2])},
        ),
        Sentence(_("A value has at most %(most)s decimals."), {"most": MOST_DECIMALS}),
    )


def _character_refusal(original: str, plain: str) -> Unreadable:
    index = next(
        (
            i
            for i, c in enumerate(plain)
            if not (c in "0123456789." or (c in "<>" and i == 0))
        ),
        len(plain) - 1,
    )
    character = plain[index]
    value = printable(original)
    rule = "character"
    remedy = _NUMBER_OR_REASON
    if unicodedata.category(character) in ("Nd", "No", "Nl"):
        rule, remedy = (
            "foreign_digits",
            Sentence(_("Type the number with the digits 0 to 9.")),
        )
    elif character == " ":
        rule, remedy = "space", _type_instead(plain.replace(" ", ""))
        if not _NUMBER.fullmatch(plain.replace(" ", "")):
            remedy = _NUMBER_OR_REASON
    else:
        mended = plain.translate(_LOOK_ALIKES)
        found = _NUMBER.fullmatch(mended)
        if found and not found["rest"]:
            remedy = Sentence(
                _("Type %(text)s, or choose a reason why there is no value."),
                {"text": mended},
            )
    return Unreadable(
        rule,
        original,
        Sentence(
            _("“%(value)s” is not a number: %(place)s."),
            {"value": value, "place": _place(index, character)},
        ),
        remedy,
    )


# --- dates and times ------------------------------------------------------------------------

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
_YEAR_FIRST = re.compile(
    r"(?P<y>[0-9]{4})(?P<s>[-/.])(?P<m>[0-9]{1,2})(?P=s)(?P<d>[0-9]{1,2})"
)
_CHINESE = re.compile(
    r"(?P<y>[0-9]{4}) *年 *(?P<m>[0-9]{1,2}) *月 *(?P<d>[0-9]{1,2}) *[日号]?"
)
_COMPACT = re.compile(r"(?P<y>[0-9]{4})(?P<m>[0-9]{2})(?P<d>[0-9]{2})")
_MONTH_NAMED = re.compile(
    r"(?P<d>[0-9]{1,2})[- ./]?(?P<name>[A-Za-z]{3,9})\.?[- ,./]*(?P<y>[0-9]{4}|[0-9]{2})"
)
_MONTH_FIRST = re.compile(
    r"(?P<name>[A-Za-z]{3,9})\.? +(?P<d>[0-9]{1,2}),? +(?P<y>[0-9]{4})"
)
_YEAR_LAST = re.compile(
    r"(?P<a>[0-9]{1,2})(?P<s>[-/.])(?P<b>[0-9]{1,2})(?P=s)(?P<y>[0-9]{4})"
)
_TWO_DIGIT_YEAR = re.compile(r"[0-9]{1,2}([-/.])[0-9]{1,2}\1[0-9]{1,2}")
_MIDNIGHT = re.compile(r"(?P<date>.*[0-9])[T ]+0{1,2}:00(:00(\.0+)?)?(Z)?")
_ISO_REMEDY = Sentence(_("Type the date as year-month-day, for example 2015-01-12."))
_TIME = re.compile(
    r"(?P<h>[0-9]{1,2}):(?P<m>[0-9]{2})(:[0-9]{2})?|(?P<h4>[0-9]{2})(?P<m4>[0-9]{2})"
)


def read_date(text: str, *, today: date | None = None) -> date:
    """Read a date.

    ISO first; also forms that can only mean one day: ``2015/1/5``,
    ``2015.01.12``, ``20150107``, ``2015年2月2日``, ``6-Jan-15``, ``13/02/2024``.

    Parameters
    ----------
    text
        What was typed.
    today
        The day at the subject's site; dates beyond a year from it are refused.
        Without it, the day of this machine.

    Raises
    ------
    Unreadable
        If the day does not exist, could be another one too, or lies outside
        1900 to a year from ``today``.
    """
    today = today or date.today()
    original = text.strip()
    plain = (
        original.translate(_SAME_KEYS).strip()
        if len(original) <= MOST_CHARACTERS
        else ""
    )
    value = printable(original)
    if not original:
        raise Unreadable("empty", text, Sentence(_("There is no date.")), _ISO_REMEDY)
    if midnight := _MIDNIGHT.fullmatch(plain):
        plain = midnight["date"]
    for form in (_YEAR_FIRST, _CHINESE, _COMPACT):
        if found := form.fullmatch(plain):
            return _day(
                original, int(found["y"]), int(found["m"]), int(found["d"]), today
            )
    for form in (_MONTH_NAMED, _MONTH_FIRST):
        if (found := form.fullmatch(plain)) and found["name"].lower() in _MONTHS:
            year = _whole_year(original, found["y"], today)
            return _day(
                original, year, _MONTHS[found["name"].lower()], int(found["d"]), today
            )
    if found := _YEAR_LAST.fullmatch(plain):
        return _day_and_month(
            original, int(found["a"]), int(found["b"]), int(found["y"]), today
        )
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
                _(
                    "Format the column as a date, or type %(day)s if that is the day meant."
                ),
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
                _(
                    "“%(value)s” has a year of two digits that may be %(early)s or %(late)s."
                ),
                {"value": printable(original), "early": year - 100, "late": year},
            ),
            Sentence(_("Write the year with four digits.")),
        )
    return year


def _day_and_month(
    original: str, first: int, second: int, year: int, today: date
) -> date:
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
        raise Unreadable(
            "impossible_date",
            original,
            Sentence(
                _(
                    "“%(value)s” does not exist: there is no day %(day)s in month %(month)s of %(year)s."
                ),
                {"value": value, "day": day, "month": month, "year": year},
            ),
            _ISO_REMEDY,
        ) from None
    latest = today + timedelta(days=365)
    if FIRST_YEAR <= year and found <= latest:
        return found
    remedy = Sentence(
        _("A date of the study lies between %(first)s and %(last)s."),
        {"first": f"{FIRST_YEAR}-01-01", "last": latest.isoformat()},
    )
    if FIRST_YEAR <= year - _BUDDHIST_OFFSET <= latest.year and not (
        month == 2 and day == 29
    ):
        remedy = Sentence(
            _("If the year is of the Buddhist calendar, type %(day)s."),
            {"day": found.replace(year=year - _BUDDHIST_OFFSET).isoformat()},
        )
    raise Unreadable(
        "date_out_of_range",
        original,
        Sentence(
            _("“%(value)s” is outside the dates the study can have."), {"value": value}
        ),
        remedy,
    )


def read_time(text: str) -> time:
    """Read a time of day: ``07:40``, ``7:40`` or ``0740``; seconds are dropped."""
    original = text.strip()
    found = (
        _TIME.fullmatch(original.translate(_SAME_KEYS).strip())
        if len(original) <= MOST_CHARACTERS
        else None
    )
    if found:
        hour, minute = int(found["h"] or found["h4"]), int(found["m"] or found["m4"])
        if hour < 24 and minute < 60:
            return time(hour, minute)
    raise Unreadable(
        "not_a_time",
        original,
        Sentence(
            _("“%(value)s” is not a time of day."), {"value": printable(original)}
        ),
        Sentence(_("Type hours and minutes, for example 07:40.")),
    )
