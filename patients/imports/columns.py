"""Which column of a file holds what: headers in English, Chinese and laboratory shorthand.

A header is recognised or it is not; nothing is matched by likeness. What is not
recognised is listed as ignored, what is recognised twice refuses the file.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from patients.imports.deidentified import refuse_deidentified
from patients.imports.options import IGNORED, Options
from patients.imports.problems import FileRefused
from trial import protocol, typed
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


@dataclass(frozen=True, slots=True)
class Field:
    """A column of an import that is not an analyte; ``units`` are what its header may say of a number."""

    code: str
    aliases: tuple[str, ...] = ()
    required: bool = False
    units: tuple[str, ...] = ()


class Role(StrEnum):
    """What a column says about its field or analyte."""

    FIELD = "field"
    VALUE = "value"
    UNIT = "unit"
    MISSING = "missing"
    COMPARATOR = "comparator"


@dataclass(frozen=True, slots=True)
class Column:
    """One recognised column of a file; ``unit`` is what its header or the mapping says."""

    position: int
    header: str
    role: Role
    code: str
    unit: str = ""

    @property
    def letter(self) -> str:
        return letter_of(self.position)


Meaning = tuple[Role, str, str]

ONE_KIND_OF_BRACKETS = str.maketrans("（［【｛〔）］】｝〕", "(((((" + ")))))")
_UNSEEN = dict.fromkeys(
    map(ord, "\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\ufeff\u00ad")
)
"""Characters that nobody sees in a header; in a code of a subject they are refused."""
_BRACKETS = re.compile(r"[(\[]\s*([^()\[\]]*?)\s*[)\]]")
_ONLY_CHINESE = re.compile("[\u4e00-\u9fff]+")
_BY_SCRIPT = re.compile("[\u4e00-\u9fff]+|[^\u4e00-\u9fff]+")
MARKS = " *#\u2605\u2606\u25b2\u25b3\uff0a"
"""What laboratories print beside the names of analytes whose results other hospitals accept."""
METHOD = "\u6cd5"
"""How the name of a method of measurement ends in Chinese; no unit does."""
_BETWEEN_CHINESE = re.compile("(?<=[\u4e00-\u9fff]) (?=[\u4e00-\u9fff])")
"""A line that breaks in a cell, or a name spaced out; Chinese puts no space between words."""
_RANGE = re.compile("[0-9.]+ *[-~\u2013\uff5e] *[0-9.]+")
_OF_OTHERS = re.compile(
    "\u5c3f|\u8179\u6c34|\u80f8\u6c34|\u8111\u810a\u6db2|\u7caa|\u5f15\u6d41|\u76f4\u63a5|\u95f4\u63a5|\u7ed3\u5408|\u524d\u767d|\u6e05\u9664"
    r"|urin|csf|ascit|fluid|direct|conjugated|clearance"
)
"""Words beside which an abbreviation means another specimen or another quantity, as in ``尿肌酐(Cr)``."""
_SEPARATORS = re.compile(r"[\s_\-./:]+")
_OTHER_UNITS = frozenset(
    {"斤", "市斤", "两", "磅", "克", "g", "lb", "lbs", "pound", "pounds", "升", "l", "dl", "月", "个月", "月龄", "month", "months",
     "天", "日", "d", "day", "days", "h", "小时", "袋", "瓶", "支", "份", "bag", "bags", "vial", "vials", "unit", "units",
     "oz", "cl", "ul", "万", "百万", "千万", "亿", "million", "millions", "billion"}
)  # fmt: skip
"""Units in which hospitals give what the study counts in another."""
_NO_WEEKS = re.compile("[天日月次序]|day|month")
"""Words in a header of visits that say that its numbers are no weeks, as ``访视(第几天)``."""
_POWER_OF_TEN = re.compile(r"[x×*]10|10[\^*e]|^10[0-9]+|^e[0-9]")
UNIT_WORDS = ("unit", "units", "单位")
_MISSING_WORDS = ("missing", "missing reason")
_COMPARATOR_WORDS = ("comparator",)
_VALUE_WORDS = ("value", "result", "结果", "检验结果", "检测结果", "测定值")
_SUFFIXES: tuple[tuple[Role, tuple[str, ...]], ...] = (
    (Role.VALUE, _VALUE_WORDS),
    (Role.UNIT, UNIT_WORDS),
    (Role.MISSING, _MISSING_WORDS),
    (Role.COMPARATOR, _COMPARATOR_WORDS),
)


def letter_of(position: int) -> str:
    """Return a column's letter as spreadsheets count: 0 is A, 26 is AA.

    Examples
    --------
    >>> letter_of(0), letter_of(25), letter_of(26)
    ('A', 'Z', 'AA')
    """
    letters = ""
    position += 1
    while position:
        position, rest = divmod(position - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def plain(header: str) -> str:
    """Reduce a header to what counts: no case, no width, one space for all separators."""
    text = unicodedata.normalize("NFKC", header.translate(_UNSEEN)).casefold()
    text = text.replace("\N{GREEK SMALL LETTER MU}", "u")
    return _BETWEEN_CHINESE.sub("", _SEPARATORS.sub(" ", text)).strip()


@cache
def analyte_meanings() -> Mapping[str, Meaning]:
    """Return every header that names an analyte, its unit, its comparator or why it is missing."""
    meanings: dict[str, Meaning] = {}
    for analyte in protocol.PANEL:
        names = {analyte.code, analyte.label, analyte.name, analyte.loinc, *analyte.aliases}
        for name in map(plain, names):
            meanings[name] = (Role.VALUE, analyte.code, "")
            for role, words in _SUFFIXES:
                for word in words:
                    meanings[f"{name} {word}"] = meanings[f"{name}{word}"] = (role, analyte.code, "")
            for unit in analyte.accepted:
                for written in {plain(unit), plain(unit).replace(" ", "")}:
                    meanings.setdefault(f"{name} {written}", (Role.VALUE, analyte.code, unit))
    return meanings


def meanings_of(fields: Iterable[Field], *, analytes: bool) -> Mapping[str, Meaning]:
    """Return what each header may mean in one kind of import."""
    meanings = dict(analyte_meanings()) if analytes else {}
    for field in fields:
        for name in (field.code, *field.aliases):
            meanings[plain(name)] = (Role.FIELD, field.code, "|".join(field.units))
    return meanings


def recognise(
    headers: Sequence[str], meanings: Mapping[str, Meaning], options: Options
) -> list[Column | None]:
    """Say what each column holds.

    Parameters
    ----------
    headers
        The header row as the file has it.
    meanings
        From :func:`meanings_of`.
    options
        What a person mapped goes before what is recognised.

    Returns
    -------
    list
        A column or None (not recognised, or left out on purpose) for each header.

    Raises
    ------
    FileRefused
        If two columns hold the same thing, or a header names a unit the analyte
        is not measured in.
    """
    refuse_deidentified(headers)
    mapped = _mapped(headers, meanings, options)
    columns: list[Column | None] = []
    places = _placed(headers, meanings, options)
    for position, header in enumerate(headers):
        if position in places:
            meaning = places[position]
        else:
            meaning = mapped[header] if header in mapped else meaning_of(header, meanings)
        if meaning is None:
            columns.append(None)
            continue
        role, code, unit = meaning
        said = options.units.get(header) or options.units.get(code)
        if role is Role.VALUE and said:
            unit = _said_unit(header, code, said)
        columns.append(Column(position, header, role, code, unit if role is Role.VALUE else ""))
    _refuse_twins(headers, columns, set(places))
    return columns


def proposed(
    headers: Sequence[str], meanings: Mapping[str, Meaning], options: Options
) -> list[Column | None]:
    """Return what each column may hold, for a person to decide on; never refuses, not even twins."""
    columns: list[Column | None] = []
    said = {plain(name): code for name, code in options.columns.items()}
    for position, header in enumerate(headers):
        code = options.places.get(letter_of(position), said.get(plain(header)))
        try:
            meaning = meaning_of(header, meanings) if code is None else meanings.get(plain(code))
        except FileRefused:
            # the name is known, only its unit is not one of the study
            outside = _BRACKETS.sub(" ", header.translate(ONE_KIND_OF_BRACKETS))
            meaning = meanings.get(plain(outside))
        if meaning is None or (code is not None and code == IGNORED):
            columns.append(None)
            continue
        role, name, unit = meaning
        chosen = typed.read_unit(options.units.get(header) or options.units.get(name) or "") or unit
        columns.append(Column(position, header, role, name, chosen if role is Role.VALUE else ""))
    return columns


def recognised(headers: Sequence[str], meanings: Mapping[str, Meaning], options: Options) -> set[str]:
    """Return the fields and analytes a row of headers names; never refuses, for finding the header row."""
    chosen = {plain(name): code for name, code in options.columns.items()}
    found = set()
    for position, header in enumerate(headers):
        if letter_of(position) in options.places:
            found.add(options.places[letter_of(position)] or header)
            continue
        if plain(header) in chosen:
            found.add(chosen[plain(header)] or header)
            continue
        try:
            meaning = meaning_of(header, meanings)
        except FileRefused:
            # a header with a wrong unit is a header all the same
            found.add(header)
            continue
        if meaning is not None:
            found.add(meaning[1] if meaning[0] is Role.FIELD else f"{meaning[0]} {meaning[1]}")
    return found


def _mapped(
    headers: Sequence[str], meanings: Mapping[str, Meaning], options: Options
) -> dict[str, Meaning | None]:
    mapped: dict[str, Meaning | None] = {}
    for name, code in options.columns.items():
        found = [header for header in headers if header == name or plain(header) == plain(name)]
        mapped.update(dict.fromkeys(found, _said_meaning(name, code, meanings)))
    return mapped


def _placed(
    headers: Sequence[str], meanings: Mapping[str, Meaning], options: Options
) -> dict[int, Meaning | None]:
    """Return what was said about single columns, by their place."""
    letters = {letter_of(position): position for position in range(len(headers))}
    return {
        letters[letter]: _said_meaning(headers[letters[letter]] or letter, code, meanings)
        for letter, code in options.places.items()
        if letter in letters
    }


def _said_meaning(name: str, code: str, meanings: Mapping[str, Meaning]) -> Meaning | None:
    if code == IGNORED:
        return None
    if plain(code) not in meanings:
        raise FileRefused(
            "mapping",
            Sentence(
                _("The mapping sends “%(header)s” to “%(field)s”, which this import does not have."),
                {"header": name, "field": code},
            ),
            Sentence(_("Name a field or an analyte, or leave it empty to ignore the column.")),
            columns=[name],
        )
    return meanings[plain(code)]


def meaning_of(header: str, meanings: Mapping[str, Meaning]) -> Meaning | None:
    """Return what a header means, or nothing.

    Raises
    ------
    FileRefused
        If it names a unit in which its numbers are not taken.
    """
    if found := meanings.get(plain(header)):
        return found
    # not NFKC here: it would turn a unit's superscripts into plain digits
    text = header.translate(ONE_KIND_OF_BRACKETS)
    inside = [part for part in _BRACKETS.findall(text) if part]
    outside = _BRACKETS.sub(" ", text)
    if not inside:
        return _with_trailing_unit(outside, meanings) or _named_twice(outside, meanings)
    found = meanings.get(plain(outside)) or _named_twice(outside, meanings)
    if found is None:
        # "alanine aminotransferase assay (ALT)": the name stands in the brackets
        if _OF_OTHERS.search(plain(outside)):
            return None
        return next((meanings[plain(part)] for part in inside if plain(part) in meanings), None)
    role, code, unit = found
    if role is not Role.VALUE:
        for part in inside if unit else ():
            _refuse_other_unit(header, code, part, unit.split("|"))
        return found
    for part in inside:
        named = meanings.get(plain(part), (None, None))
        if named[:2] == (role, code) or part.endswith(METHOD) or _RANGE.fullmatch(part):
            continue
        if named[0] is None and unit_in(part) is None and _is_gloss(part, code):
            continue
        said = _said_unit(header, code, part)
        if unit and said != unit:
            raise FileRefused(
                "header_unit",
                Sentence(_("Two units are said for this value: %(units)s."), {"units": f"{unit}, {said}"}),
                Sentence(_("Correct the one that is wrong.")),
                columns=[header],
            )
        unit = said
    return role, code, unit


def _is_gloss(text: str, code: str) -> bool:
    """Whether brackets behind the name of an analyte hold a part of another name of it, as in ``INR(比值)``.

    What is part of none of its names may say that something else was measured, as in ``胆红素(直接)``.
    """
    analyte, part = protocol.ANALYTES[code], plain(text)
    names = map(plain, (analyte.name, *analyte.aliases))
    return any(
        part in name if _ONLY_CHINESE.fullmatch(part) else f" {part} " in f" {name} " for name in names
    )


def _named_twice(text: str, meanings: Mapping[str, Meaning]) -> Meaning | None:
    """Read a name and its abbreviation, or its unit, written as one, as Chinese laboratories do."""
    names = [name for name in _BY_SCRIPT.findall(text.strip(MARKS)) if plain(name)]
    units = [name for name in names[1:] if plain(name) not in meanings and unit_in(name)]
    found = _agreed({name: meanings.get(plain(name)) for name in names if name not in units})
    if found is None or not units:
        return found
    return (found[0], found[1], _said_unit(text, found[1], units[0])) if found[0] is Role.VALUE else None


def _agreed(said: Mapping[str, Meaning | None]) -> Meaning | None:
    """Return what several names mean, when they mean the same and what means nothing is a part of its names."""
    found = {meaning for meaning in said.values() if meaning}
    meaning = found.pop() if len(found) == 1 else None
    rest = [name for name, one in said.items() if one is None]
    if meaning is None or (rest and meaning[0] is not Role.VALUE):
        return None
    return meaning if all(_is_gloss(name, meaning[1]) for name in rest) else None


def analyte_named(text: str) -> str:
    """Return the analyte that a cell names as a header may, with its abbreviation or its method; or nothing.

    A unit in the name is not read: a row says it in its own column.

    Examples
    --------
    >>> analyte_named("谷丙转氨酶(ALT)"), analyte_named("★总胆红素TBIL"), analyte_named("TBIL(mg/dL)")
    ('alt', 'tbil', '')
    """
    written = text.translate(ONE_KIND_OF_BRACKETS)
    names = [_BRACKETS.sub(" ", written), *(part for part in _BRACKETS.findall(written) if part)]
    meanings = analyte_meanings()
    found = _agreed(
        {
            name: meanings.get(plain(name)) or _named_twice(name, meanings)
            for name in names
            if plain(name) and not name.endswith(METHOD)
        }
    )
    role, code, unit = found or (Role.FIELD, "", "")
    return code if role is Role.VALUE and not unit else ""


def _with_trailing_unit(text: str, meanings: Mapping[str, Meaning]) -> Meaning | None:
    """Read "TBIL, umol/L" and "TBIL umol/L"."""
    name, separator, unit = text.strip().rpartition("," if "," in text else " ")
    found = meanings.get(plain(name)) if separator else None
    if found is None or found[0] is not Role.VALUE or typed.read_unit(unit) is None:
        return None
    return found[0], found[1], _said_unit(text, found[1], unit)


def unit_in(text: str) -> str | None:
    """Return the unit that stands in a header, where an S is no mistyped 5."""
    return typed.read_unit(text) or typed.read_unit(text.lower())


def _said_unit(header: str, code: str, text: str) -> str:
    analyte = protocol.ANALYTES[code]
    unit = unit_in(text)
    if unit in analyte.accepted:
        return str(unit)
    raise _not_taken(header, Sentence(analyte.label), text, analyte.accepted)


def _refuse_other_unit(header: str, code: str, text: str, units: Sequence[str]) -> None:
    """Refuse the number of a field in a unit or power of ten that would be read as another number."""
    written = unicodedata.normalize("NFKC", text).casefold().replace(" ", "")
    counts_others = "weeks" in units and _NO_WEEKS.search(written)
    if written not in units and (counts_others or written in _OTHER_UNITS or _POWER_OF_TEN.search(written)):
        raise _not_taken(header, code, text, units)


def _not_taken(header: str, what: Sentence | str, unit: str, units: Iterable[str]) -> FileRefused:
    return FileRefused(
        "header_unit",
        Sentence(
            _("The header “%(header)s” gives %(analyte)s in “%(unit)s”, which the study does not take."),
            {"header": header, "analyte": what, "unit": unit},
        ),
        Sentence(
            _("%(analyte)s is taken in %(units)s. Correct the header, or map the column to what it holds."),
            {"analyte": what, "units": ", ".join(units)},
        ),
        columns=[header],
    )


def _refuse_twins(headers: Sequence[str], columns: Sequence[Column | None], placed: set[int]) -> None:
    seen: dict[tuple[Role, str], Column] = {}
    names: dict[str, int] = {}
    for position, (header, column) in enumerate(zip(headers, columns, strict=True)):
        if column is not None:
            key = (column.role, column.code)
            if key in seen:
                raise _twins(seen[key].header, seen[key].position, header, position, column.code)
            seen[key] = column
        if position in placed:
            continue
        name = plain(header)
        if name and name in names:
            raise _twins(headers[names[name]], names[name], header, position, header)
        names[name] = position


def _twins(first: str, first_at: int, second: str, second_at: int, code: str) -> FileRefused:
    return FileRefused(
        "header_twice",
        Sentence(
            _("Two columns hold %(code)s: “%(first)s” (%(first_at)s) and “%(second)s” (%(second_at)s)."),
            {
                "code": code,
                "first": first,
                "first_at": letter_of(first_at),
                "second": second,
                "second_at": letter_of(second_at),
            },
        ),
        Sentence(_("Leave one of them out, or rename it; nothing was read, so that neither wins by chance.")),
        columns=[first, second],
    )
