"""What a person says about a file so that nothing about it has to be guessed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from patients.imports.problems import FileRefused
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


class DateOrder(StrEnum):
    """Which part comes first where a date ends in its year."""

    DAY_FIRST = "day_first"
    MONTH_FIRST = "month_first"


IGNORED = ""
"""What a header is mapped to when its column is to be left out."""


@dataclass(frozen=True, slots=True)
class Options:
    """Said by a person; what is empty is found in the file and shown.

    ``columns`` maps a header to a field of the import, or to nothing; ``units``
    an analyte, or the header of its column, to the unit. ``places`` maps the letter
    of a column, for columns that no header of their own tells apart;
    ``header_line`` says in which line the header stands.
    """

    encoding: str = ""
    separator: str = ""
    dates: DateOrder | None = None
    sheet: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)
    header_line: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return the options as a mapping file holds them."""
        return {key: value for key, value in asdict(self).items() if value}


_WORDS = ("encoding", "separator", "dates", "sheet")
_TABLES = ("columns", "units", "places")
_NUMBERS = ("header_line",)
_SEPARATOR_WORDS = {"comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t"}


def options_of(stored: Mapping[str, Any]) -> Options:
    """Read options from the JSON of a mapping file.

    Either the options by name (``{"columns": {"GPT": "alt"}, "encoding": "gb18030"}``)
    or the columns alone (``{"GPT": "alt", "remark": ""}``).

    Raises
    ------
    FileRefused
        If the mapping says something that is not an option.
    """
    known = set(_WORDS) | set(_TABLES) | set(_NUMBERS)
    if not set(stored) & known:
        stored = {"columns": stored}
    strange = sorted(set(stored) - known)
    if strange:
        raise _not_a_mapping(Sentence(_("“%(word)s” is not an option."), {"word": strange[0]}))
    words = {name: stored.get(name) or "" for name in _WORDS}
    tables = {name: stored.get(name) or {} for name in _TABLES}
    for name, word in words.items():
        if not isinstance(word, str):
            raise _not_a_mapping(Sentence(_("“%(word)s” is to be a text."), {"word": name}))
    for name, table in tables.items():
        if not isinstance(table, Mapping) or not all(
            isinstance(value, str | None) for value in table.values()
        ):
            raise _not_a_mapping(Sentence(_("“%(word)s” is to hold pairs of texts."), {"word": name}))
    line = stored.get("header_line") or 0
    if not isinstance(line, int) or isinstance(line, bool) or line < 0:
        raise _not_a_mapping(
            Sentence(_("“%(word)s” is to be the number of a line."), {"word": "header_line"})
        )
    if words["dates"] and words["dates"] not in list(DateOrder):
        raise _not_a_mapping(Sentence(_("“%(word)s” is not an order of dates."), {"word": words["dates"]}))
    return Options(
        encoding=words["encoding"],
        separator=_SEPARATOR_WORDS.get(words["separator"], words["separator"]),
        dates=DateOrder(words["dates"]) if words["dates"] else None,
        sheet=words["sheet"],
        columns={str(header): field or IGNORED for header, field in tables["columns"].items()},
        units={str(analyte): str(unit) for analyte, unit in tables["units"].items()},
        places={str(letter): field or IGNORED for letter, field in tables["places"].items()},
        header_line=line,
    )


def read_options(text: str) -> Options:
    """Read options from the text of a mapping file."""
    try:
        stored = json.loads(text)
    except ValueError as error:
        raise _not_a_mapping(Sentence(_("It is not JSON: %(error)s."), {"error": str(error)})) from None
    if not isinstance(stored, dict):
        raise _not_a_mapping(Sentence(_("It is not a JSON object.")))
    return options_of(stored)


def _not_a_mapping(what: Sentence) -> FileRefused:
    return FileRefused(
        "mapping",
        Sentence(_("The mapping cannot be used. %(what)s"), {"what": what}),
        Sentence(
            _(
                'Write it as {"columns": {"header": "field"}, "units": {"tbil": "mg/dL"}, '
                '"encoding": "gb18030", "dates": "day_first"}; every part may be left out.'
            )
        ),
    )
