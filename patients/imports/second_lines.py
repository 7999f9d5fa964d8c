"""A line of units beside the header: read when it says what the columns say, else the file is refused."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from patients.imports.cells import is_no_value, is_nothing
from patients.imports.columns import (
    ONE_KIND_OF_BRACKETS,
    UNIT_WORDS,
    Column,
    Meaning,
    Role,
    meaning_of,
    plain,
)
from patients.imports.problems import FileRefused
from trial import protocol, typed
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


Rows = Iterable[tuple[int, list[str]]]
_NO_SENTENCE = re.compile("(?!.*[0-9]{4})[^:\uff1a]{0,10}[/%][^:\uff1a]{0,10}")
_ROUND_A_UNIT = " ()[]:\uff1a"


def refuse_units_apart(rows: Rows, columns: Sequence[Column | None], meanings: Mapping[str, Meaning]) -> None:
    """Refuse a file whose units stand in a line of their own, and are not those its columns are read in.

    Parameters
    ----------
    rows
        The lines around the header, numbered.
    columns
        From :func:`patients.imports.columns.recognise`.
    meanings
        From :func:`patients.imports.columns.meanings_of`.

    Raises
    ------
    FileRefused
        Naming the line, and the columns that would be read in another unit.
    """
    results = [column for column in columns if column is not None and column.role is Role.VALUE]
    for line, cells in rows:
        found = [
            (column, text, _unit_alone(text, column, meanings))
            for column in results
            if column.position < len(cells) and (text := cells[column.position].strip())
        ]
        if any(unit is None and text[:1].isdigit() for _column, text, unit in found):
            continue
        holds_units = _holds_units(cells, columns) and any(_looks_like_a_unit(text) for _c, text, _u in found)
        others = [
            (column, text)
            for column, text, unit in found
            if (unit is not None and unit != (column.unit or protocol.ANALYTES[column.code].unit))
            or (unit is None and holds_units and not _names(text, column, meanings))
        ]
        if others:
            raise _apart(line, others)


def read_units(
    rows: Rows, columns: Sequence[Column | None], meanings: Mapping[str, Meaning]
) -> tuple[int, list[Column | None]]:
    """Return the line below the header that holds its units, and the columns with them; 0 when there is none.

    Parameters
    ----------
    rows
        The first line below the header, numbered; :func:`refuse_units_apart` let it pass.
    columns, meanings
        As there.
    """
    for line, cells in rows:
        said = {
            column.position: unit
            for column in columns
            if column is not None
            and column.role is Role.VALUE
            and column.position < len(cells)
            and cells[column.position].strip()
            and (unit := _unit_alone(cells[column.position], column, meanings))
        }
        if said and _holds_units(cells, columns):
            return line, [
                replace(column, unit=said[column.position]) if column and column.position in said else column
                for column in columns
            ]
    return 0, list(columns)


def _holds_units(cells: Sequence[str], columns: Sequence[Column | None]) -> bool:
    """Whether a line says nothing of a subject or a visit; it may say that it holds units."""
    fields = [
        cells[column.position]
        for column in columns
        if column is not None and column.role is Role.FIELD and column.position < len(cells)
    ]
    return all(is_nothing(text) or plain(text.strip(_ROUND_A_UNIT)) in UNIT_WORDS for text in fields)


def _looks_like_a_unit(text: str) -> bool:
    """Whether a text is a unit, known or not, and no day or sentence in a line above the header."""
    bare = _bare(text)
    return typed.read_unit(bare) is not None or (
        _NO_SENTENCE.fullmatch(bare) is not None and bare.strip("/ ") != ""
    )


def _names(text: str, column: Column, meanings: Mapping[str, Meaning]) -> bool:
    """Whether a cell names the analyte again, or says nothing."""
    try:
        meaning = meaning_of(text, meanings)
    except FileRefused:
        return False
    return is_no_value(text) or (meaning is not None and meaning[:2] == (column.role, column.code))


def _bare(text: str) -> str:
    return text.translate(ONE_KIND_OF_BRACKETS).strip(_ROUND_A_UNIT)


def _unit_alone(text: str, column: Column, meanings: Mapping[str, Meaning]) -> str | None:
    """Return the unit of a cell that is a unit, or a second header with one, of the same analyte."""
    bare = _bare(text)
    if not bare or (unit := typed.read_unit(bare)):
        return unit if bare else None
    try:
        meaning = meaning_of(text, meanings)
    except FileRefused:
        return ""
    return (meaning[2] or None) if meaning and meaning[:2] == (column.role, column.code) else None


def _apart(line: int, others: Sequence[tuple[Column, str]]) -> FileRefused:
    return FileRefused(
        "units_apart",
        Sentence(
            _("Line %(line)s says “%(unit)s” of the column “%(header)s”, apart from its header."),
            {
                "line": line,
                "unit": ", ".join(text for _column, text in others),
                "header": ", ".join(column.header for column, _text in others),
            },
        ),
        Sentence(
            _("Write the unit into the header, as in “TBIL (mg/dL)”, and leave line %(line)s out."),
            {"line": line},
        ),
        lines=[line],
        columns=[column.header for column, _text in others],
    )
