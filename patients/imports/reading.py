"""Reads a file in a process of its own: bytes in, numbered rows of text out.

Run as ``python -m patients.imports.reading``, never imported by the
application: a hostile file may use up memory or time, and then only this
process ends. It knows no database and no settings, can write no file, and is
quick to start because it imports little.

An order comes as one line of JSON on standard input; the answer is lines of
JSON: lists of rows ``[line, cells]`` or ``[line, cells, marks]``, and last an
object that says what was surveyed, refused, or that the end was reached.
"""

from __future__ import annotations

import csv
import io
import json
import re
import resource
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from patients.imports import formats
from patients.imports.identifiers import MOST_ROWS, Watch
from patients.imports.problems import FileRefused, packed
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


Row = tuple[int, list[str]]
MOST_CHARACTERS = 131_072
"""The longest cell that is read; a note has a few thousand."""
MOST_COLUMNS = 2_000
_SAMPLED_CHARACTERS = 512 * 1024
_SAMPLED_ROWS = 2000
_NOTHING = "\ufeff \t\r\n,;|\u3000"
_DOS_END = "\x1a"
_ROWS_PER_BLOCK = 500
_CHARACTERS_PER_BLOCK = 128 * 1024
_OUT_OF_MEMORY = 70
_TEXT_GUARD = re.compile(r'\A="([^"]*)"\Z')
"""How Excel and some laboratory systems write text that must not become a number: ``="0012"``."""


def main() -> int:
    """Carry out the orders on standard input, one line each, until it is closed."""
    out, is_limited = sys.stdout.buffer, False
    try:
        for order in map(json.loads, sys.stdin.buffer):
            if not is_limited:
                _limit(order["memory"], order["seconds"])
                is_limited = True
            for line in answers(order):
                out.write(line)
            out.flush()
    except MemoryError:
        return _OUT_OF_MEMORY
    return 0


def answers(order: dict[str, Any]) -> Iterator[bytes]:
    """Yield the answers to an order, each a line of JSON; a refusal is the last."""
    try:
        for answer in _survey(order) if order["what"] == "survey" else _rows(order):
            yield json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    except FileRefused as refusal:
        yield json.dumps({"refused": _packed(refusal)}).encode() + b"\n"


def _limit(memory: int, seconds: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
    # it writes no file and starts nothing
    for what in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE, resource.RLIMIT_NPROC):
        resource.setrlimit(what, (0, 0))


def _packed(refusal: FileRefused) -> dict[str, Any]:
    return {
        "rule": refusal.rule,
        "sentence": packed(refusal.sentence),
        "remedy": packed(refusal.remedy),
        "lines": refusal.lines,
        "columns": refusal.columns,
    }


# --- a first look ---------------------------------------------------------------------------


def _survey(order: dict[str, Any]) -> Iterator[dict[str, Any]]:
    path = Path(order["path"])
    head = formats.head_of(path)
    formats.refuse_foreign(path, head)
    if formats.is_zip(head) or order["workbook"]:
        from patients.imports import workbook  # texts do not need it

        yield {"workbook": asdict(workbook.survey(path, head))}
        return
    from patients.imports import encodings

    found = encodings.inspect(path, chosen=order["encoding"])
    sample, above = _sample_of(path, found.encoding)
    samples, refusals = {}, []
    for separator in order["separators"]:
        rows, refusal = _sampled(sample, separator)
        refusals += [refusal] if refusal else []
        samples[separator] = [(line + above, cells) for line, cells in rows]
    # a separator that separates nothing need not be looked at
    useful = {key: rows for key, rows in samples.items() if any(len(cells) > 1 for _line, cells in rows)}
    if not useful and refusals:
        raise refusals[0]
    yield {
        "text": {
            "encoding": found.encoding,
            "label": found.label,
            "how": found.how,
            "newline": found.newline,
            "newlines": found.newlines,
            "samples": useful or samples,
        }
    }


def _sample_of(path: Path, encoding: str) -> tuple[str, int]:
    """Return the beginning of a text in whole lines, and how many empty lines above it were skipped."""
    with path.open(encoding=encoding, newline="") as file:
        sample = file.read(_SAMPLED_CHARACTERS)
    above = 0
    if not sample.strip(_NOTHING):
        with path.open(encoding=encoding) as file:
            while (sample := file.read(_SAMPLED_CHARACTERS)) and not sample.strip(_NOTHING):
                above += sample.count("\n")
    if not sample:
        raise FileRefused(
            "empty",
            Sentence(_("The file is empty: it holds nothing but spaces and separators.")),
            Sentence(_("Choose the file again.")),
        )
    if len(sample) == _SAMPLED_CHARACTERS:
        sample = sample[: max(sample.rfind("\n"), sample.rfind("\r")) + 1] or sample
    return sample, above


def _sampled(sample: str, separator: str) -> tuple[list[Row], FileRefused | None]:
    """Return the first records, and why there are no more; reading for real says it where it matters."""
    records: list[Row] = []
    try:
        for row in _records(csv.reader(_lines(io.StringIO(sample, newline="")), delimiter=separator)):
            records.append(row)
            if len(records) > _SAMPLED_ROWS:
                break
    except FileRefused as refusal:
        return records, refusal
    return records, None


# --- every row ------------------------------------------------------------------------------


def _rows(order: dict[str, Any]) -> Iterator[Any]:
    watch = Watch(frozenset(order["numbers"]), tuple(order["left_out"]))
    block: list[Any] = []
    characters, after, width = 0, order["header_line"], order["width"]
    for line, cells in _source(order):
        if line <= after:
            continue
        marks = watch.look(line, cells)
        watch.count(cells[:width])
        block.append([line, cells, marks] if marks else [line, cells])
        characters += sum(map(len, cells))
        if len(block) >= _ROWS_PER_BLOCK or characters >= _CHARACTERS_PER_BLOCK:
            yield block
            block, characters = [], 0
        if watch.rows > MOST_ROWS:
            break
    yield block
    columns = watch.columns()
    if watch.rows > MOST_ROWS:
        columns |= dict(watch.hits.keys())
    yield {
        "end": [[column, sort, watch.lines[column]] for column, sort in sorted(columns.items())],
    }


def _source(order: dict[str, Any]) -> Iterator[Row]:
    path = Path(order["path"])
    if order["sheet"]:
        from patients.imports import workbook

        for line, cells in workbook.rows(path, order["sheet"]):
            yield line, _bounded(line, cells)
        return
    with path.open(encoding=order["encoding"], newline="") as file:
        yield from _records(csv.reader(_lines(file), delimiter=order["separator"], strict=True))


def _lines(file: Iterable[str]) -> Iterator[str]:
    """Yield the lines of a text without the mark with which DOS ends it."""
    last = ""
    for line in file:
        if last:
            yield last
        last = line
    if _DOS_END in last:
        last = last.rstrip(f"\r\n{_DOS_END}")
    if last:
        yield last


def _bounded(line: int, cells: list[str]) -> list[str]:
    """Return the cells of a sheet; a text file is held to the same by its reader."""
    if sum(map(len, cells)) > MOST_CHARACTERS and max(map(len, cells)) > MOST_CHARACTERS:
        raise _huge_cell(line)
    if "\0" in "".join(cells):
        raise FileRefused(
            "nul",
            Sentence(_("A cell of row %(line)s holds a NUL character."), {"line": line}),
            Sentence(_("Delete it and type the text again.")),
            lines=[line],
        )
    return _not_too_wide(line, cells)


def _records(reader: Any) -> Iterator[Row]:
    """Yield the line on which each record begins, and its fields; empty lines are left out."""
    ended = 0
    try:
        for cells in reader:
            line, ended = ended + 1, reader.line_num
            if not cells or not (cells[0] or any(cells)) or not "".join(cells).strip():
                continue
            if any(cell.startswith('="') for cell in cells):
                cells[:] = [_TEXT_GUARD.sub(r"\1", cell) for cell in cells]
            yield line, cells if len(cells) <= MOST_COLUMNS else _not_too_wide(line, cells)
    except csv.Error as error:
        if "field limit" in str(error):
            raise _huge_cell(ended + 1) from None
        raise FileRefused(
            "csv",
            Sentence(
                _("The record that begins in line %(line)s cannot be read: %(error)s."),
                {"line": ended + 1, "error": str(error)},
            ),
            Sentence(_("Look for a quotation mark that is not closed, and export the file again.")),
            lines=[ended + 1],
        ) from None


def _not_too_wide(line: int, cells: list[str]) -> list[str]:
    if not "".join(cells[MOST_COLUMNS:]).strip():
        del cells[MOST_COLUMNS:]
    if len(cells) <= MOST_COLUMNS:
        return cells
    raise FileRefused(
        "too_wide",
        Sentence(
            _("The row in line %(line)s has more than %(most)s columns."),
            {"line": line, "most": MOST_COLUMNS},
        ),
        Sentence(_("Keep the columns of the study, and leave the others out of the file.")),
        lines=[line],
    )


def _huge_cell(line: int) -> FileRefused:
    return FileRefused(
        "huge_cell",
        Sentence(
            _("A cell of the record that begins in line %(line)s has more than %(most)s characters."),
            {"line": line, "most": MOST_CHARACTERS},
        ),
        Sentence(_("Look for a quotation mark that is not closed, or shorten the text.")),
        lines=[line],
    )


if __name__ == "__main__":
    sys.exit(main())
