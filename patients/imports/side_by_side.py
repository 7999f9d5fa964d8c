"""Recognises tables that lie or are written otherwise than read, so that their refusal says what helps."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from patients.imports.columns import plain
from patients.imports.problems import FileRefused
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


Rows = Iterable[tuple[int, Sequence[str]]]
Recognised = Callable[[Sequence[str]], set[str]]

_FEWEST = 2
_MOST_NAMED = 6
_MOST_SHOWN = 60
_OTHER_SEPARATORS = re.compile("[,;\t|\uff0c\uff1b\u3001\uff5c^~:]| {2,}")
_INFUSION = re.compile(
    r"(?:infusion|inf|dose|\u8f93\u6ce8|\u56de\u8f93|\u7b2c|#) *(?:#|no\.?|\u7b2c)? *"
    r"[1-9\u4e00\u4e8c\u4e09\u56db\u4e94\u516d\u4e03\u516b]\b.*"
    r"|\u7b2c *[1-9\u4e00\u4e8c\u4e09\u56db\u4e94\u516d\u4e03\u516b] *\u6b21.*"
)
_VISIT = re.compile(
    r"(?<![a-z0-9])(?:w|wk|week|visit|v) ?(?P<week>[0-9]{1,3})(?![0-9])"
    r"|(?P<weeks>[0-9]{1,3}) ?(?:周|(?:w|wk|weeks?)(?![a-z]))"
    r"|(?P<first>baseline|\u57fa\u7ebf|\u6cbb\u7597\u524d)"
)


def refuse_visits_side_by_side(rows: Rows) -> None:
    """Refuse a table in which one row names several visits: as headers of its columns.

    Parameters
    ----------
    rows
        The first lines of a file in which no column is the week.

    Raises
    ------
    FileRefused
        Naming the line and what stands in it.
    """
    for line, cells in rows:
        visits: dict[str, str] = {}
        for cell in cells:
            if found := _VISIT.search(plain(cell)):
                visits.setdefault(found["week"] or found["weeks"] or "0", cell.strip())
        if len(visits) >= _FEWEST:
            raise FileRefused(
                "side_by_side",
                Sentence(
                    _("Line %(line)s has visits side by side: %(visits)s."),
                    {"line": line, "visits": ", ".join(list(visits.values())[:_MOST_NAMED])},
                ),
                Sentence(_("Give each visit of a subject its own row, with the week in a column.")),
                lines=[line],
            )


def refuse_infusions_side_by_side(line: int, headers: Sequence[str]) -> None:
    """Refuse a table whose columns are infusions.

    Parameters
    ----------
    line, headers
        Of a file in which no column is the number of the infusion.

    Raises
    ------
    FileRefused
        Naming the line and what stands in it.
    """
    found = [header.strip() for header in headers if _INFUSION.fullmatch(plain(header))]
    if len(found) >= _FEWEST:
        raise FileRefused(
            "side_by_side",
            Sentence(
                _("Line %(line)s has infusions side by side: %(infusions)s."),
                {"line": line, "infusions": ", ".join(found[:_MOST_NAMED])},
            ),
            Sentence(_("Give each infusion of a subject its own row, with its number in a column.")),
            lines=[line],
        )


def refuse_table_on_its_side(rows: Rows, recognised: Recognised) -> None:
    """Refuse a table whose names of columns stand below each other.

    Parameters
    ----------
    rows
        The first lines of a file in which no line is a header.
    recognised
        What the names in a row mean.

    Raises
    ------
    FileRefused
        Naming the lines.
    """
    named = [(line, cells[0].strip()) for line, cells in rows if cells and recognised([cells[0]])]
    if len(recognised([name for _line, name in named])) >= _FEWEST:
        raise FileRefused(
            "on_its_side",
            Sentence(
                _("The names of columns stand below each other: %(names)s."),
                {"names": ", ".join(name for _line, name in named[:_MOST_NAMED])},
            ),
            Sentence(
                _(
                    "Turn the table, as “Transpose” in Excel does, so that one row holds the names of all columns."
                )
            ),
            lines=[line for line, _name in named[:_MOST_NAMED]],
        )


def refuse_columns_in_one_cell(rows: Rows, recognised: Recognised) -> None:
    """Refuse a text whose columns are separated by something else than the separators there are.

    Parameters
    ----------
    rows
        The first lines of a file in which no line is a header.
    recognised
        What the names in a row mean.

    Raises
    ------
    FileRefused
        Naming the line and the cell.
    """
    for line, cells in rows:
        for cell in cells:
            if len(recognised(_OTHER_SEPARATORS.split(cell))) >= _FEWEST:
                raise FileRefused(
                    "columns_in_one_cell",
                    Sentence(
                        _("Line %(line)s holds several columns in one cell: “%(cell)s”."),
                        {"line": line, "cell": cell.strip()[:_MOST_SHOWN]},
                    ),
                    Sentence(
                        _(
                            "Separate columns with a comma, a semicolon, a tab or a bar of half width, and put no"
                            " quotation marks around whole lines."
                        )
                    ),
                    lines=[line],
                )
