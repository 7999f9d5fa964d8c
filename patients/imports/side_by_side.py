"""Recognises a table whose visits stand side by side, so that its refusal says what helps."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from patients.imports.columns import plain
from patients.imports.problems import FileRefused
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


_FEWEST = 2
_MOST_NAMED = 6
_VISIT = re.compile(
    r"(?<![a-z0-9])(?:w|wk|week|visit|v) ?(?P<week>[0-9]{1,3})(?![0-9])"
    r"|(?P<weeks>[0-9]{1,3}) ?(?:周|(?:w|wk|weeks?)(?![a-z]))"
    r"|(?P<first>baseline|\u57fa\u7ebf|\u6cbb\u7597\u524d)"
)


def refuse_visits_side_by_side(rows: Iterable[tuple[int, Sequence[str]]]) -> None:
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
