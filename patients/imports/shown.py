"""How the cells of a sheet are shown where that says more than their value.

A number may be shown as per cent, with the zeros of a code in front or with text
of its format around it; a part of a text may be raised or struck out. Who typed
the sheet saw that, so it is what is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any
from xml.parsers import expat

Shown = Callable[[str], str]

_ROW_OR_CELL = re.compile(rb"<(?:\w+:)?(row|c)\b([^>]*)>")
_STYLE = re.compile(rb"""\bs\s*=\s*["']([0-9]{1,6})["']""")
_ROW_NUMBER = re.compile(rb"""\br\s*=\s*["']([0-9]{1,7})["']""")
_PLACE = re.compile(rb"""\br\s*=\s*["']([A-Z]{1,3})([0-9]{1,7})["']""")
_TEXT_CELL = re.compile(rb"""\bt\s*=\s*["'](?:s|str|inlineStr|b)["']""")
_SHARED = re.compile(rb"""\bt\s*=\s*["']s["']""")
_INLINE = re.compile(rb"""\bt\s*=\s*["']inlineStr["']""")
_INDEX = re.compile(rb"\s*<(?:\w+:)?v>\s*([0-9]{1,9})\s*<")
_END_OF_CELL = re.compile(rb"</(?:\w+:)?c>")
_IS_ERROR = re.compile(rb"""\bt\s*=\s*["']e["']""")
_VALUE = re.compile(rb"<(?:\w+:)?v>([^<]{1,40})<")
_RAISED_OR_STRUCK = re.compile(rb"<(?:\w+:)?(?:vertAlign|strike)\b")
_NOT_SHOWN = re.compile(r"\[[^\]]*\]|_.|\*.")
_WITH_WORDS = re.compile(r'((?:"[^"]*"|\\.|[<>=])*)([0#?.,]+|General)((?:"[^"]*"|\\.|%)*)', re.IGNORECASE)
"""A format of numbers with text in it, as ``"<"0`` or ``0" mg/dL"``: what stands before and behind."""
_SECTION = re.compile(r'(?:"[^"]*"|\\.|[^;"])+')
_CONDITION = re.compile(r"\[(<=|>=|<>|<|>|=)(-?[0-9]+(?:\.[0-9]+)?)\]")
_HOLDS: Mapping[str, Callable[[Decimal, Decimal], bool]] = {
    "<": lambda value, limit: value < limit,
    ">": lambda value, limit: value > limit,
    "<=": lambda value, limit: value <= limit,
    ">=": lambda value, limit: value >= limit,
    "<>": lambda value, limit: value != limit,
    "=": lambda value, limit: value == limit,
}
_UP = str.maketrans("0123456789+-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻")
_DOWN = str.maketrans("0123456789+-", "₀₁₂₃₄₅₆₇₈₉₊₋")


def shown_cells(sheet: bytes, styles: bytes, strings: bytes) -> dict[int, dict[int, Shown]]:
    """Return how cells are shown that look otherwise than their value.

    Parameters
    ----------
    sheet, styles, strings
        The parts of a workbook, empty where it has none.

    Returns
    -------
    dict
        By row and column, counted from 0: what makes the text that is shown of the cell's own.
    """
    looks = _Styles()
    if styles:
        parse(styles, looks.start)
    shared = _texts(strings) if _RAISED_OR_STRUCK.search(strings) else {}
    inline = _RAISED_OR_STRUCK.search(sheet) is not None
    found: dict[int, dict[int, Shown]] = {}
    if not (looks.shown or looks.struck or shared or inline or _IS_ERROR.search(sheet)):
        return found
    for row, column, tag, end in _placed(sheet):
        style = _STYLE.search(tag)
        number = int(style[1]) if style else 0
        ways: list[Shown]
        if _TEXT_CELL.search(tag):
            text = _marked_text(sheet, tag, end, shared, inline=inline)
            ways = [partial(_instead, text)] if text else []
        else:
            ways = [looks.shown[number]] if number in looks.shown else []
            if _IS_ERROR.search(tag) and (error := _VALUE.search(sheet, end, _end_of(sheet, end))):
                # an error would read as empty
                ways.append(partial(_instead, error[1].decode()))
        if number in looks.struck:
            ways.append(_struck)
        if ways:
            found.setdefault(row, {})[column] = partial(_each, ways)
    return found


def _marked_text(sheet: bytes, tag: bytes, end: int, shared: Mapping[int, str], *, inline: bool) -> str:
    """Return the text of a cell of which a part is raised or struck out, or nothing."""
    if shared and _SHARED.search(tag):
        index = _INDEX.match(sheet, end)
        return shared.get(int(index[1]), "") if index else ""
    if inline and _INLINE.search(tag):
        text = sheet[end : _end_of(sheet, end)]
        if _RAISED_OR_STRUCK.search(text):
            return _texts(b"<sst><si>" + _inner(text) + b"</si></sst>").get(0, "")
    return ""


def _placed(sheet: bytes) -> Iterator[tuple[int, int, bytes, int]]:
    """Yield row, column and tag of each cell, and where its content begins; places that are not said are counted."""
    row, column = -1, -1
    for tag in _ROW_OR_CELL.finditer(sheet):
        if tag[1] == b"row":
            said = _ROW_NUMBER.search(tag[2])
            row, column = int(said[1]) - 1 if said else row + 1, -1
            continue
        place = _PLACE.search(tag[2])
        column = _column_of(place[1]) if place else column + 1
        yield int(place[2]) - 1 if place else row, column, tag[2], tag.end()


def _end_of(sheet: bytes, start: int) -> int:
    end = _END_OF_CELL.search(sheet, start)
    return end.start() if end else len(sheet)


def _inner(inline: bytes) -> bytes:
    """Return the runs of an inline text without names of a namespace, which stand elsewhere."""
    return re.sub(rb"<(/?)\w+:", rb"<\1", re.sub(rb"</?(?:\w+:)?is\b[^>]*>", b"", inline))


def _instead(text: str, _own: str) -> str:
    return text


def _each(ways: list[Shown], text: str) -> str:
    for way in ways:
        text = way(text)
    return text


def _struck(text: str) -> str:
    """Return what is crossed out as people write it in plain text; no value, code or day reads like this."""
    return f"~~{text}~~" if text.strip() else text


def _percent(text: str) -> str:
    """Return a cell as it is shown: 0.382 in a cell of per cent is 38.2%."""
    try:
        return f"{(Decimal(text) * 100).normalize():f}%"
    except InvalidOperation:
        return text


def _worded(before: str, behind: str, width: int, text: str) -> str:
    """Return a number with the text and the zeros that its format shows around it; anything else as it is."""
    if not text or not text.replace(".", "", 1).isdecimal():
        return text
    return f"{before}{text.zfill(width) if text.isdecimal() else text}{behind}"


def _by_condition(code: str, text: str) -> str:
    """Return a number as the section of its format shows it whose condition holds, as in ``[<5]"<5";0``."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        return text
    for section in _SECTION.findall(code):
        condition = _CONDITION.search(section)
        if condition and not _HOLDS[condition[1]](value, Decimal(condition[2])):
            continue
        plain = _CONDITION.sub("", section)
        words = re.sub(r'["\\]', "", _NOT_SHOWN.sub("", plain))
        if not re.search(r"[0#?]|General", re.sub(r'"[^"]*"|\\.', "", plain), re.IGNORECASE):
            return words or text
        way = shown_by(plain)
        return way(text) if way else text
    return text


def shown_by(code: str) -> Shown | None:
    """Return how a format of numbers shows more than the number, or None.

    Examples
    --------
    >>> shown_by('"<"0')("5"), shown_by('0.0" mg/dL"')("1.2"), shown_by("0.0%")("0.382"), shown_by("0.00_ ")
    ('<5', '1.2 mg/dL', '38.2%', None)
    >>> shown_by("000")("7"), shown_by('"S"000')("7"), shown_by('[<5]"<5";0.0')("3")
    ('007', 'S007', '<5')
    """
    if _CONDITION.search(code):
        return partial(_by_condition, code)
    section = _NOT_SHOWN.sub("", code.partition(";")[0])
    words = _WITH_WORDS.fullmatch(section)
    if "%" in re.sub(r'"[^"]*"|\\.', "", section):
        return _percent
    width = len(words[2]) if words and not words[2].strip("0") else 0
    if words is None or not (words[1] or words[3] or width > 1):
        return None
    before, behind = (re.sub(r'["\\]', "", part) for part in (words[1], words[3]))
    return partial(_worded, before, behind, width)


def _column_of(letters: bytes) -> int:
    position = 0
    for letter in letters:
        position = position * 26 + letter - 64
    return position - 1


def parse(data: bytes, start: Any, end: Any = None, text: Any = None) -> None:
    """Read XML that was checked before."""
    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text
    parser.Parse(data, True)


def _local(name: str) -> str:
    return name.rpartition(":")[2]


def _is_on(attributes: Mapping[str, str]) -> bool:
    return attributes.get("val", "1") not in ("0", "false")


class _Styles:
    """Reads xl/styles.xml: which formats of cells show more than the value, and which are struck out."""

    def __init__(self) -> None:
        self.shown: dict[int, Shown] = {}
        self.struck: set[int] = set()
        self._formats: dict[int, Shown] = {9: _percent, 10: _percent}
        self._struck_fonts: set[int] = set()
        self._inside, self._next, self._font = "", 0, -1

    def start(self, name: str, attributes: dict[str, str]) -> None:
        local = _local(name)
        if local in ("fonts", "fills", "dxfs", "cellXfs", "cellStyleXfs", "cellStyles"):
            self._inside = local
        elif local == "numFmt" and (shown := shown_by(attributes.get("formatCode", ""))):
            self._formats[int(attributes.get("numFmtId", "-1"))] = shown
        elif self._inside == "fonts" and local == "font":
            self._font += 1
        elif self._inside == "fonts" and local == "strike" and _is_on(attributes):
            self._struck_fonts.add(self._font)
        elif self._inside == "cellXfs" and local == "xf":
            if shown := self._formats.get(int(attributes.get("numFmtId", "0"))):
                self.shown[self._next] = shown
            if int(attributes.get("fontId", "0")) in self._struck_fonts:
                self.struck.add(self._next)
            self._next += 1


def _texts(strings: bytes) -> dict[int, str]:
    """Return the texts of which a part is raised, lowered or struck out, by their place among the texts."""
    found = _Texts()
    parse(strings, found.start, found.end, found.text)
    return found.marked


class _Texts:
    """Reads xl/sharedStrings.xml."""

    def __init__(self) -> None:
        self.marked: dict[int, str] = {}
        self._next, self._whole, self._run = 0, "", ""
        self._is_marked = self._is_read = self._is_phonetic = False
        self._way: Shown = str

    def start(self, name: str, attributes: dict[str, str]) -> None:
        local = _local(name)
        if local == "si":
            self._whole, self._is_marked = "", False
        elif local == "r":
            self._run, self._way = "", str
        elif local == "rPh":
            self._is_phonetic = True
        elif local == "t":
            self._run, self._is_read = "", not self._is_phonetic
        elif local == "vertAlign" and attributes.get("val") in ("superscript", "subscript"):
            self._way = partial(_raised, _UP if attributes["val"] == "superscript" else _DOWN)
        elif local == "strike" and _is_on(attributes):
            self._way = _struck

    def text(self, text: str) -> None:
        if self._is_read:
            self._run += text

    def end(self, name: str) -> None:
        local = _local(name)
        if local == "t" and self._is_read:
            shown = self._way(self._run)
            self._is_marked = self._is_marked or shown != self._run
            self._whole, self._is_read = self._whole + shown, False
        elif local == "r":
            self._way = str
        elif local == "rPh":
            self._is_phonetic = False
        elif local == "si":
            if self._is_marked:
                self.marked[self._next] = self._whole
            self._next += 1


def _raised(signs: dict[int, int], text: str) -> str:
    """Return a raised or lowered text with the signs there are for it; letters get a mark in front."""
    found = text.translate(signs)
    return f"^{found}" if any(sign.isalpha() for sign in found) else found
