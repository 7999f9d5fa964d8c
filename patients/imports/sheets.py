"""Which sheet of a workbook is read, what is said about it, and which merged cells cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from patients.imports.columns import Column, Role, letter_of
from patients.imports.options import Options
from patients.imports.problems import FileRefused
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


Found = Mapping[str, Any]
_MOST_NAMED = 12

HeaderFinder = Callable[[list[tuple[str, list[tuple[int, list[str]]]]]], tuple[str, int]]


def chosen(found: Found, options: Options, find_header: HeaderFinder) -> tuple[Any, int]:
    """Return the sheet to read and the place of its header among its first rows.

    Raises
    ------
    FileRefused
        If there is no such sheet, none has a header, or formulas in it have no stored result.
    """
    readable = {sheet["name"]: sheet for sheet in found["sheets"] if sheet["visible"] and sheet["rows"]}
    names = list(readable)
    if options.sheet:
        readable = {name: sheet for name, sheet in readable.items() if name == options.sheet}
    if not readable:
        raise FileRefused(
            "no_sheet",
            Sentence(_("The workbook has no sheet “%(sheet)s” to read."), {"sheet": options.sheet})
            if options.sheet
            else Sentence(_("The workbook has no sheet to read.")),
            Sentence(_("Choose one of the visible sheets: %(names)s."), {"names": _listed(names)})
            if names
            else Sentence(_("Choose a visible sheet with a header row.")),
        )
    name, index = find_header([(name, sheet["rows"]) for name, sheet in readable.items()])
    sheet = readable[name]
    if sheet["bare_formulas"]:
        raise FileRefused(
            "formula",
            Sentence(
                _("Formulas without a stored result stand in %(cells)s."),
                {"cells": ", ".join(sheet["bare_formulas"])},
            ),
            Sentence(_("Open the workbook in Excel so that it computes them, and save it.")),
        )
    return sheet, index


def notices(found: Found, sheet: Found, header_line: int) -> list[Sentence]:
    """Return what a person who looks at the workbook in Excel would not see, or would see differently."""
    said = []
    others = [other["name"] for other in found["sheets"] if other["visible"] and other["rows"]]
    others = [name for name in others if name != sheet["name"]]
    hidden = [other["name"] for other in found["sheets"] if not other["visible"]]
    if others:
        said.append(
            Sentence(
                _("Only the sheet “%(sheet)s” was read, not %(others)s."),
                {"sheet": sheet["name"], "others": _listed(others)},
            )
        )
    if hidden:
        said.append(Sentence(_("Hidden sheets were not read: %(names)s."), {"names": _listed(hidden)}))
    rows = [row for row in sheet["hidden_rows"] if header_line < row <= sheet["count"]]
    if rows:
        said.append(
            Sentence(_("Hidden rows were read like the others: %(rows)s."), {"rows": _listed(map(str, rows))})
        )
    width = max((len(cells) for _line, cells in sheet["rows"]), default=0)
    columns = [letter_of(place) for place in sheet["hidden_columns"] if place < width]
    if columns:
        said.append(
            Sentence(
                _("Hidden columns were read like the others: %(columns)s."), {"columns": _listed(columns)}
            )
        )
    merged = [_area(area) for area in sheet["merged"] if area[1][0] >= header_line]
    if merged:
        said.append(
            Sentence(
                _("The value of merged cells stands in all of them: %(cells)s."), {"cells": _listed(merged)}
            )
        )
    if sheet["comments"]:
        said.append(
            Sentence(_("Comments on cells were not read: %(cells)s."), {"cells": _listed(sheet["comments"])})
        )
    if found["days_from_1904"]:
        said.append(Sentence(_("The workbook counts its days from 1904; they were read so.")))
    if found["macros"]:
        said.append(Sentence(_("The workbook holds macros; they were neither run nor kept.")))
    if found["links"]:
        said.append(Sentence(_("The workbook points to other files; the results stored in it were read.")))
    return said


def refuse_merged_values(
    sheet: Found, header_line: int, columns: Sequence[Column | None], numbers: Collection[str]
) -> None:
    """Refuse merged cells whose one value would be copied into several places that each mean something else.

    A subject or a day that stands once beside several rows is meant for all of
    them; a result is not, nor is a header above two columns.
    """
    doubtful = []
    for area in sheet["merged"]:
        (top, left), (bottom, right) = area
        inside = [column for column in columns if column and left <= column.position <= right]
        if bottom + 1 < header_line or not inside:
            continue
        if top + 1 <= header_line:
            if bottom + 1 > header_line:
                doubtful.append(area)
            continue
        results = [column for column in inside if column.role is Role.VALUE or column.code in numbers]
        subject = any(column.code == "subject_id" for column in inside)
        if results and not (subject and len(inside) > 1):
            doubtful.append(area)
    if doubtful:
        raise FileRefused(
            "merged",
            Sentence(
                _("Merged cells leave open to which row or column their value belongs: %(cells)s."),
                {"cells": _listed(map(_area, doubtful))},
            ),
            Sentence(_("Unmerge them in Excel, and write every value into its own cell.")),
            lines=sorted({area[0][0] + 1 for area in doubtful}),
        )


def _area(area: Sequence[Sequence[int]]) -> str:
    (top, left), (bottom, right) = area
    return f"{letter_of(left)}{top + 1}:{letter_of(right)}{bottom + 1}"


def _listed(names: Any) -> str:
    found = list(names)
    more = ", …" if len(found) > _MOST_NAMED else ""
    return ", ".join(found[:_MOST_NAMED]) + more
