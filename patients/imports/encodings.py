"""In which encoding a text file is written: found out, never assumed.

A mark at the beginning decides. Without one, UTF-8 is proven by its own rules.
GB18030 gives a meaning to almost any bytes, so it counts only when the
characters it yields are those of everyday Chinese. Anything else is refused
until a person says what it is.
"""

from __future__ import annotations

import codecs
import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from patients.imports.problems import FileRefused
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


BLOCK = 1 << 20
MOST_LINES_NAMED = 20
_EVERYDAY_SHARE = 0.9
_MOST_LINES_JUDGED = 20_000
_LINE_ENDS = re.compile(rb"\r\n|\n|\r")

LABELS = {
    "utf-8": "UTF-8",
    "utf-8-sig": "UTF-8",
    "gb18030": "GB18030",
    "utf-16": "UTF-16",
    "utf-16-le": "UTF-16 LE",
    "utf-16-be": "UTF-16 BE",
    "cp1252": "Windows-1252",
    "iso8859-1": "Latin-1",
    "big5": "Big5",
}
"""Encodings a person may name, by Python's name."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, ""),
    (codecs.BOM_UTF32_BE, ""),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAVE_AS_UTF8 = Sentence(_("Save the file as “CSV UTF-8”, or name its encoding."))


@dataclass(slots=True)
class Inspection:
    """What a first look at the bytes tells."""

    sha256: str
    size: int
    encoding: str = ""
    how: str = ""
    newline: str = ""
    newlines: int = 0
    marked: bool = field(default=False)

    @property
    def label(self) -> str:
        return LABELS.get(self.encoding, self.encoding)


def inspect(path: Path, *, chosen: str = "") -> Inspection:
    """Find the encoding of a text file.

    Parameters
    ----------
    path
        The file; it is read in blocks.
    chosen
        The encoding a person named, if any; it must fit the whole file.

    Raises
    ------
    FileRefused
        If the file holds NUL bytes, does not keep the rules of its encoding, or
        leaves open what it is.
    """
    digest, size, head, zeros = hashlib.sha256(), 0, b"", False
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
            size += len(block)
            head = head or block[:65536]
            zeros = zeros or b"\0" in block
    found = Inspection(digest.hexdigest(), size)
    if not size:
        raise FileRefused("empty", Sentence(_("The file is empty.")), Sentence(_("Choose the file again.")))
    mark = next((encoding for mark, encoding in _MARKS if head.startswith(mark)), None)
    found.marked = bool(mark)
    if chosen:
        found.encoding, found.how = _named(chosen), "chosen"
        if mark and mark.removesuffix("-sig") == found.encoding[: len(mark.removesuffix("-sig"))]:
            found.encoding = mark  # the mark belongs to the encoding, not to the first header
    elif mark is not None:
        found.encoding, found.how = mark, "marked"
        if not mark:
            raise _unknown_encoding(head)
    elif zeros:
        found.encoding, found.how = _wide_without_mark(head), "detected"
        if not found.encoding:
            raise _nul_bytes(path)
    else:
        found.encoding, found.how = _narrow(path, head), "detected"
    _check(path, found)
    return found


def _named(chosen: str) -> str:
    try:
        name = codecs.lookup(chosen).name
    except LookupError:
        name = ""
    # GB2312 and GBK are parts of GB18030
    name = {"gbk": "gb18030", "gb2312": "gb18030", "cp936": "gb18030"}.get(name, name)
    if name not in LABELS:
        raise FileRefused(
            "encoding_not_known",
            Sentence(_("“%(name)s” is not an encoding this import reads."), {"name": chosen}),
            Sentence(_("Choose one of %(names)s."), {"names": ", ".join(sorted(set(LABELS.values())))}),
        )
    return name


def _wide_without_mark(head: bytes) -> str:
    """Tell UTF-16 without a mark by where its zero bytes stand."""
    pairs = max(1, len(head) // 2)
    even, odd = head[0::2].count(0) / pairs, head[1::2].count(0) / pairs
    if odd > 0.4 and even < 0.05:
        return "utf-16-le"
    if even > 0.4 and odd < 0.05:
        return "utf-16-be"
    return ""


def _narrow(path: Path, head: bytes) -> str:
    if _decodes(path, "utf-8"):
        return "utf-8"
    lines = _lines_beside_ascii(path)
    if any(_is_utf8_chinese(line) for _number, line in lines) and (mixed := _first_not(lines, "utf-8")):
        raise _mixed(mixed)
    if _decodes(path, "gb18030") and _is_everyday_chinese(path):
        return "gb18030"
    raise _unknown_encoding(head)


def _lines_beside_ascii(path: Path) -> list[tuple[int, bytes]]:
    """Return the first lines that hold more than ASCII, numbered."""
    with path.open("rb") as file:
        beside = ((number, line) for number, line in _byte_lines(file) if not line.isascii())
        return list(islice(beside, _MOST_LINES_JUDGED))


def _is_utf8_chinese(line: bytes) -> bool:
    """Whether a line is Chinese in UTF-8 and would be gibberish in GB18030."""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    if not any("\u3000" <= character <= "\u9fff" or character >= "\uff00" for character in text):
        return False
    try:
        return not all(c.isascii() or _is_in_gb2312(c) for c in line.decode("gb18030"))
    except UnicodeDecodeError:
        return True


def _first_not(lines: list[tuple[int, bytes]], encoding: str) -> int:
    for number, line in lines:
        try:
            line.decode(encoding)
        except UnicodeDecodeError:
            return number
    return 0


def _mixed(line: int) -> FileRefused:
    return FileRefused(
        "encoding",
        Sentence(_("The file mixes encodings: most of it is UTF-8, line %(line)s is not."), {"line": line}),
        Sentence(
            _(
                "Export the file again in one encoding, or open it, mend line %(line)s and save it as “CSV UTF-8”."
            ),
            {"line": line},
        ),
        lines=[line],
    )


def _decodes(path: Path, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                decoder.decode(block)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _is_everyday_chinese(path: Path) -> bool:
    counts: Counter[str] = Counter()
    with path.open(encoding="gb18030", newline="") as file:
        while block := file.read(BLOCK):
            counts.update(character for character in block if not character.isascii())
    known = sum(
        count for character, count in counts.items() if _is_in_gb2312(character) or _is_rare(character)
    )
    return known >= _EVERYDAY_SHARE * sum(counts.values())


def _is_in_gb2312(character: str) -> bool:
    try:
        character.encode("gb2312")
    except UnicodeEncodeError:
        return False
    return True


def _is_rare(character: str) -> bool:
    """Whether a character is Chinese and takes four bytes, digits between them: no other encoding looks so."""
    is_chinese = "\u3400" <= character <= "\u9fff" or "\U00020000" <= character <= "\U000323af"
    return is_chinese and len(character.encode("gb18030")) == 4


def _check(path: Path, found: Inspection) -> None:
    """Decode the whole file once, so that nothing unreadable is met half-way; count its lines."""
    decoder = codecs.getincrementaldecoder(found.encoding)()
    nul_lines: list[int] = []
    line, carriage, crlf, lf = 1, False, 0, 0
    with path.open("rb") as file:
        while True:
            block = file.read(BLOCK)
            try:
                text = decoder.decode(block, final=not block)
            except UnicodeDecodeError:
                raise _not_in(found, _first_bad_line(path, found.encoding)) from None
            if carriage and text.startswith("\n"):
                # the end of line was counted with its first half, in the block before
                text, crlf = text[1:], crlf + 1
            carriage = text.endswith("\r") if text else carriage
            if "\r" in text:
                crlf += text.count("\r\n")
                text = text.replace("\r\n", "\n").replace("\r", "\n")
            else:
                lf += text.count("\n")
            if "\0" in text and len(nul_lines) < MOST_LINES_NAMED:
                nul_lines += _lines_with_nul(text, line)
            line += text.count("\n")
            if not block:
                break
    if nul_lines:
        raise _nul_refusal(nul_lines)
    found.newlines = line - 1
    found.newline = "CRLF" if crlf else "LF" if lf else "CR" if found.newlines else ""


def _lines_with_nul(text: str, first_line: int) -> list[int]:
    lines = []
    for offset, line in enumerate(text.split("\n")):
        if "\0" in line:
            lines.append(first_line + offset)
    return lines[:MOST_LINES_NAMED]


def _first_bad_line(path: Path, encoding: str) -> int:
    decoder = codecs.getincrementaldecoder(encoding)()
    number = 1
    with path.open("rb") as file:
        for number, line in _byte_lines(file, wide=encoding.startswith("utf-16")):
            try:
                decoder.decode(line)
            except UnicodeDecodeError:
                return number
    return number


def _byte_lines(file: BinaryIO, *, wide: bool = False) -> Iterator[tuple[int, bytes]]:
    """Yield numbered lines, whatever ends them; in two-byte encodings only a line feed does."""
    if wide:
        yield from enumerate(file, start=1)
        return
    number, rest = 1, b""
    while block := file.read(BLOCK):
        if block.endswith(b"\r"):
            block += file.read(1)
        *lines, rest = _LINE_ENDS.split(rest + block)
        yield from enumerate(lines, start=number)
        number += len(lines)
    yield number, rest


def _nul_bytes(path: Path) -> FileRefused:
    with path.open("rb") as file:
        lines = [number for number, line in _byte_lines(file) if b"\0" in line]
    return _nul_refusal(lines[:MOST_LINES_NAMED])


def _nul_refusal(lines: list[int]) -> FileRefused:
    return FileRefused(
        "nul",
        Sentence(
            _("The file holds NUL bytes, in line %(lines)s: it is damaged or not a text file."),
            {"lines": ", ".join(map(str, lines))},
        ),
        Sentence(_("Export it again, or open and save it as “CSV UTF-8”.")),
        lines=lines,
    )


def _not_in(found: Inspection, line: int) -> FileRefused:
    return FileRefused(
        "encoding",
        Sentence(
            _("Line %(line)s is not %(encoding)s, although the file is said to be."),
            {"line": line, "encoding": found.label},
        ),
        _SAVE_AS_UTF8,
        lines=[line],
    )


def _unknown_encoding(head: bytes) -> FileRefused:
    # imported late: it is needed only for this message
    from charset_normalizer import from_bytes

    # only what may be named is worth naming
    guess = from_bytes(head, cp_isolation=sorted({"cp1252", "big5"})).best()
    line = next((number for number, text in enumerate(head.splitlines(), start=1) if not text.isascii()), 1)
    sentence = Sentence(
        _(
            "The file is neither UTF-8 nor Chinese (GB18030); the first doubtful letter stands in line %(line)s."
        ),
        {"line": line},
    )
    remedy = _SAVE_AS_UTF8
    if guess is not None:
        remedy = Sentence(
            _("Save the file as “CSV UTF-8”, or name its encoding; it may be %(guess)s."),
            {"guess": guess.encoding},
        )
    return FileRefused("encoding", sentence, remedy, lines=[line])
