"""Reads a number that a person typed or a file holds. Never guesses.

The reading is documented and small: ASCII digits, one point, an optional ``<``
or ``>`` in front, an optional unit behind, and behind all of it the arrows that
laboratories print beside a value outside their range. Full-width digits, points,
signs and the Chinese full stop are what an input method makes of the same keys and
read the same. Everything else is refused with the rule, the place and a remedy, and
the original text stays with the value.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType

from trial import units
from trial.sentences import Sentence
from trial.unreadable import MOST_CHARACTERS, SAME_KEYS, Unreadable, printable


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


MOST_DIGITS = 14
MOST_DECIMALS = units.STORED_PLACES
_MOST_EXPONENT = 12

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


@dataclass(frozen=True, slots=True)
class Typed:
    """A number as it was typed.

    ``value`` is exact; ``comparator`` is ``<``, ``>`` or empty; ``text`` is the
    original without surrounding space; ``unit`` is the study's code of a unit
    typed behind the number; ``marks`` are arrows behind it, which are no part of the
    value; ``notice`` says when the reading needs a word.
    """

    value: Decimal
    comparator: str
    text: str
    unit: str | None = None
    notice: Sentence | None = None
    marks: str = ""


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
_LOOK_ALIKES = str.maketrans({"O": "0", "o": "0", "l": "1", "I": "1", "S": "5", "B": "8", "Z": "2"})


def _named(character: str) -> Sentence:
    if character in _CHARACTER_NAMES:
        return Sentence(_CHARACTER_NAMES[character])
    if character.isascii() and character.isalpha():
        return Sentence(_("the letter %(letter)s"), {"letter": character})
    if unicodedata.category(character) in ("Nd", "No", "Nl"):
        return Sentence(_("a digit other than 0 to 9 (%(character)s)"), {"character": character})
    if not character.isprintable():
        return Sentence(_("one that cannot be seen (U+%(code)s)"), {"code": f"{ord(character):04X}"})
    return Sentence(_("the character %(character)s"), {"character": character})


def _place(index: int, character: str) -> Sentence:
    what = _named(character)
    if index < len(_POSITIONS):
        return Sentence(_POSITIONS[index], {"what": what})
    return Sentence(_("character %(number)s is %(what)s"), {"number": index + 1, "what": what})


# --- units ----------------------------------------------------------------------------------


def _plain_unit(text: str) -> str:
    """Reduce the ways a unit is written to one: no spaces, ``u`` for micro, ``x`` for times."""
    plain = unicodedata.normalize(
        "NFKC",
        text.replace("\N{SUPERSCRIPT NINE}", "^9").replace("\N{SUPERSCRIPT THREE}", "^3"),
    )
    plain = (
        plain.replace(" ", "")
        .replace("\N{GREEK SMALL LETTER MU}", "u")
        .replace("\N{MULTIPLICATION SIGN}", "x")
    )
    plain = plain.replace("10*", "10^").replace("10E", "10^").removeprefix("x").removeprefix("*")
    # without a slash the case tells "s" from a mistyped 5
    return plain.casefold() if "/" in plain else plain


_UNITS: Mapping[str, str] = MappingProxyType(
    {
        **{_plain_unit(code): code for code in units.UCUM},
        **{_plain_unit(ucum): code for code, ucum in units.UCUM.items()},
        **{_plain_unit(symbol): code for code, symbol in units.SYMBOLS.items() if code in units.UCUM},
        "iu/l": "U/L",
        "g/l": "g/L",
        "k/ul": "10^3/uL",
        "sec": "s",
        "\u79d2": "s",
        "INR": "ratio",
    }
)


def read_unit(text: str) -> str | None:
    """Return the study's code for a unit as people write it, or None if it knows none."""
    return _UNITS.get(_plain_unit(text.translate(SAME_KEYS).strip()))


# --- numbers --------------------------------------------------------------------------------

_NUMBER = re.compile(
    rf"(?P<sign><=|>=|[<>\u2264\u2265\u2a7d\u2a7e])? *(?P<number>[0-9]{{1,{MOST_DIGITS}}}(\.[0-9]{{1,{MOST_DECIMALS}}})?)"
    r"(?P<rest>.*)",
    re.DOTALL,
)
_POWER = re.compile(
    r"(?P<sign>[<>]?) *((?P<number>[0-9]+(\.[0-9]+)?) *([eE]|[xX*\u00b7\u00d7] *10 *\^?)|10\^)"
    r"(?P<power>[+-]?[0-9]+)(?P<rest>.*)",
    re.DOTALL,
)
_ARROWS = re.compile(r"(?<=[^ ]) *[\u2191\u2193\u2b06\u2b07][\u2191\u2193\u2b06\u2b07\ufe0f]*$")
"""Behind a value they say on which side of the laboratory's range it lies, and nothing else."""
_RAISED = re.compile(r"(?<=10)[\u207b\u2070\u00b9\u00b2\u00b3\u2074-\u2079]+")
_MARK = r"[\u2191\u2193\u25b2\u25bc\u2b06\u2b07*]|[(\uff08]?(HH?|LL?|\u504f?[\u9ad8\u4f4e])[)\uff09]?"
_MARKED = re.compile(
    rf"((?P<before>({_MARK})+) *)?(?P<number>[<>]? *[0-9]{{1,{MOST_DIGITS}}}(\.[0-9]{{1,{MOST_DECIMALS}}})?"
    rf"( *[^\W\d_]+/[^\W\d_]+| *%)?)( *(?P<after>({_MARK})+))?",
)
"""A number with what a laboratory prints beside it where it lies outside its range."""
_NOT_FOUND = frozenset(
    {"阴性", "未检出", "未检测到", "未测出", "低于检测下限", "低于检出限", "检测下限以下", "<检测下限", "<检出限", "tnd", "nd",
     "not detected", "target not detected", "undetected", "undetectable", "below detection limit",
     "below limit of detection", "negative", "neg"}
)  # fmt: skip
"""What a report says instead of the limit under which a value lies."""
_COMMA = re.compile(r"(?P<number>[<>]?[0-9]+([.,' ][0-9]+)*)(?P<unit> *[^\W\d_]+/[^\W\d_]+| *%)?")
_LOOKS_LIKE_A_UNIT = re.compile(r" *([^\W\d_]{2,}|[^\W\d_]+(/[^\W\d_]+)+|%)[^\d]*", re.DOTALL)


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
    plain = original.translate(SAME_KEYS)
    plain = plain.strip()
    if not plain:
        raise Unreadable("empty", text, Sentence(_("There is no number.")), _NUMBER_OR_REASON)
    if len(original) > MOST_CHARACTERS:
        raise Unreadable(
            "too_long",
            original,
            Sentence(
                _("“%(value)s” is too long: %(count)s characters."),
                {"value": printable(original), "count": len(original)},
            ),
            Sentence(_("A value has at most %(most)s characters."), {"most": MOST_CHARACTERS}),
        )
    number = _ARROWS.sub("", plain)
    found = _NUMBER.fullmatch(number)
    if found is None:
        raise _refusal(original, number)
    unit = None
    if found["rest"]:
        unit = _UNITS.get(_plain_unit(found["rest"]))
        if unit is None or found["rest"][:1].isdigit():
            raise _refusal(original, number)
    sign = found["sign"] or ""
    comparator = _COMPARATORS.get(sign, "")
    notice = None
    if number != plain:
        notice = Sentence(
            _("%(typed)s is kept as %(kept)s; the study marks values by its own ranges."),
            {"typed": original, "kept": number},
        )
    if sign and sign != comparator:
        notice = Sentence(
            _("%(typed)s is kept as %(kept)s; the analysis uses the limit itself."),
            {"typed": original, "kept": f"{comparator} {found['number']}"},
        )
    return Typed(
        Decimal(found["number"]),
        comparator,
        original,
        unit,
        notice,
        plain[len(number) :].strip().replace("\ufe0f", ""),
    )


def read_number_alone(text: str) -> Typed:
    """Read a number where no reason for its absence can be chosen, such as an age or a weight.

    Parameters
    ----------
    text
        What was typed, see `read_number`.

    Returns
    -------
    Typed
        As `read_number`.

    Raises
    ------
    Unreadable
        As `read_number`, with a remedy that does not speak of reasons.
    """
    try:
        return read_number(text)
    except Unreadable as error:
        if error.remedy is not _NUMBER_OR_REASON:
            raise
        raise Unreadable(error.rule, text, error.sentence, _NUMBER_ALONE) from None


_NUMBER_ALONE = Sentence(_("Type the number alone, as it is written in the source."))
_NUMBER_OR_REASON = Sentence(_("Type the number as reported, or choose a reason why there is none."))


def _refusal(original: str, plain: str) -> Unreadable:
    """Say why a text is not a number: the first rule that fits."""
    value = printable(original)
    if plain.casefold() in _NOT_FOUND:
        return Unreadable(
            "not_found",
            original,
            Sentence(_("“%(value)s” does not say below which limit the value lies."), {"value": value}),
            Sentence(
                _(
                    "Type < and the limit of the method as the report gives it, such as <20,"
                    " or choose a reason why there is no number."
                )
            ),
        )
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
    if power := _POWER.fullmatch(
        _RAISED.sub(lambda found: f"^{unicodedata.normalize('NFKC', found[0])}", plain)
    ):
        return _power_refusal(original, power)
    if "," in plain and (commas := _COMMA.fullmatch(plain)):
        return _comma_refusal(original, commas["number"], commas["unit"] or "")
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
    if (marked := _MARKED.fullmatch(plain)) and (marks := marked["before"] or marked["after"]):
        return Unreadable(
            "mark",
            original,
            Sentence(
                _("“%(value)s” holds a mark beside the number: %(mark)s."), {"value": value, "mark": marks}
            ),
            Sentence(
                _("Type %(text)s if that is what the report says; the study marks values by itself."),
                {"text": marked["number"].strip()},
            ),
        )
    if (number := _NUMBER.fullmatch(plain)) and _LOOKS_LIKE_A_UNIT.fullmatch(number["rest"]):
        return Unreadable(
            "unknown_unit",
            original,
            Sentence(
                _("“%(value)s”: “%(unit)s” is not a unit the study knows."),
                {"value": value, "unit": printable(number["rest"].strip())},
            ),
            Sentence(_("Give the value in a unit in which the study takes it.")),
        )
    return _character_refusal(original, plain)


def _type_instead(text: str) -> Sentence:
    return Sentence(_("Type %(text)s if that is what the report says."), {"text": text})


def _power_refusal(original: str, power: re.Match[str]) -> Unreadable:
    exponent = int(power["power"]) if len(power["power"]) <= 3 else _MOST_EXPONENT + 1
    remedy = Sentence(_("Write the number out in digits."))
    number = power["number"] or "1"
    if 0 <= exponent <= _MOST_EXPONENT and len(number) <= MOST_DIGITS:
        remedy = _type_instead(f"{power['sign']}{Decimal(number).scaleb(exponent):f}{power['rest']}")
    return Unreadable(
        "exponent",
        original,
        Sentence(
            _("“%(value)s” is written with a power of ten."),
            {"value": printable(original)},
        ),
        remedy,
    )


def _comma_refusal(original: str, number: str, unit: str) -> Unreadable:
    value = printable(original)
    bare = number.replace(" ", "").replace("'", "")
    if bare.count(",") == 1 and "." not in bare:
        remedy = Sentence(
            _("Type %(decimal)s or %(whole)s, whichever the report means."),
            {"decimal": bare.replace(",", ".") + unit, "whole": bare.replace(",", "") + unit},
        )
    elif bare.count(",") == 1 and bare.rfind(",") > bare.rfind("."):
        remedy = _type_instead(bare.replace(".", "").replace(",", ".") + unit)
    else:
        remedy = _type_instead(bare.replace(",", "") + unit)
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
        (i for i, c in enumerate(plain) if not (c in "0123456789." or (c in "<>" and i == 0))),
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
        rule, together = "space", plain.replace(" ", "")
        found = _NUMBER.fullmatch(together)
        if found and not found["rest"]:
            remedy = _type_instead(together)
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
