"""JSON of programs, read without losing or guessing anything. Pure.

A number stays the characters that stood there (:class:`JsonNumber`), so that it
is read by the one reader of numbers and never travels through a float. A name
given twice, ``NaN``, text that no field can hold and bottomless nesting are
refused with their place.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NoReturn

from trial.sentences import Sentence
from trial.unreadable import Unreadable


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


MOST_LEVELS = 40
_NOT_STORED = re.compile("[\x00\ud800-\udfff]")


class JsonNumber(str):
    """A number of a JSON text, in exactly the characters that stood there."""

    __slots__ = ()


def read(body: bytes) -> Any:
    """Return what a JSON text says: numbers as :class:`JsonNumber`, everything else as usual.

    Raises
    ------
    Unreadable
        If it is no JSON, or says something that nothing could be done with.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable(
            "not_utf8",
            "",
            Sentence(_("Byte %(place)s of the body is not UTF-8."), {"place": error.start + 1}),
            _SEND_UTF8,
        ) from None
    decoder = json.JSONDecoder(
        parse_float=JsonNumber, parse_int=JsonNumber, parse_constant=_constant, object_pairs_hook=_unique
    )
    try:
        found = decoder.decode(text)
    except json.JSONDecodeError as error:
        raise Unreadable(
            "not_json",
            text[error.pos : error.pos + 1],
            Sentence(
                _("The body is not JSON: line %(line)s, column %(column)s."),
                {"line": error.lineno, "column": error.colno},
            ),
            Sentence(_("Let a library write the JSON.")),
        ) from None
    except RecursionError:
        raise _too_deep() from None
    _refuse_what_no_field_holds(found)
    return found


_SEND_UTF8 = Sentence(_("Send the text as UTF-8."))


def _constant(word: str) -> NoReturn:
    raise Unreadable(
        "not_a_number",
        word,
        Sentence(_("%(word)s is not a number."), {"word": word}),
        Sentence(_("Leave the value out and say why it is missing.")),
    )


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        # one pass: a body of 5 MB can hold half a million names
        twice = next(name for name, times in Counter(name for name, _value in pairs).items() if times > 1)
        raise Unreadable(
            "twice",
            twice,
            Sentence(_("An object says “%(name)s” twice."), {"name": twice[:24]}),
            Sentence(_("Keep one.")),
        )
    return found


def _too_deep() -> Unreadable:
    return Unreadable(
        "too_deep",
        "",
        Sentence(_("The body is nested deeper than %(most)s levels."), {"most": MOST_LEVELS}),
        Sentence(_("Send it flat.")),
    )


def _refuse_what_no_field_holds(found: Any) -> None:
    waiting: list[tuple[Any, int]] = [(found, 0)]
    while waiting:
        value, level = waiting.pop()
        if level > MOST_LEVELS:
            raise _too_deep()
        if isinstance(value, JsonNumber):
            continue
        if isinstance(value, str):
            _refuse_text(value)
        elif isinstance(value, dict):
            waiting += [(part, level + 1) for pair in value.items() for part in pair]
        elif isinstance(value, list):
            waiting += [(part, level + 1) for part in value]


def _refuse_text(text: str) -> None:
    found = _NOT_STORED.search(text)
    if found is not None:
        raise Unreadable(
            "control_character",
            text,
            Sentence(
                _("Character %(place)s of a text cannot be stored (U+%(code)s)."),
                {"place": found.start() + 1, "code": f"{ord(found[0]):04X}"},
            ),
            Sentence(_("Remove it and send again.")),
        )


# --- writing --------------------------------------------------------------------------------


def written(value: Any) -> str:
    """Write a value as JSON: decimals with every digit and without exponent, days and times as ISO texts."""
    return "".join(_parts(value))


def _parts(value: Any) -> Iterable[str]:
    if value is None or isinstance(value, bool | int):
        yield json.dumps(value)
    elif isinstance(value, Decimal):
        yield plain(value) if value.is_finite() else "null"
    elif isinstance(value, float):
        yield repr(value) if value - value == 0 else "null"
    elif isinstance(value, datetime | date):
        yield json.dumps(value.isoformat().replace("+00:00", "Z"))
    elif isinstance(value, dict):
        yield "{"
        for place, (name, part) in enumerate(value.items()):
            yield f"{', ' if place else ''}{json.dumps(str(name), ensure_ascii=False)}: "
            yield from _parts(part)
        yield "}"
    elif isinstance(value, list | tuple):
        yield "["
        for place, part in enumerate(value):
            if place:
                yield ", "
            yield from _parts(part)
        yield "]"
    elif is_dataclass(value) and not isinstance(value, type):
        yield from _parts({field.name: getattr(value, field.name) for field in fields(value)})
    else:
        yield json.dumps(str(value), ensure_ascii=False)


def plain(value: Decimal) -> str:
    """Write a decimal without exponent and without trailing zeros."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
