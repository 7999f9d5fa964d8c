"""Recognises a header further down: that of the next page, or of a second table with other columns."""

from __future__ import annotations

from collections.abc import Sequence

from patients.imports.columns import Column, Role, proposed, recognised
from patients.imports.kinds import SUBJECT
from patients.imports.options import Options
from patients.imports.problems import FileRefused
from patients.imports.tables import Layout, Table
from trial import protocol
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


_FEWEST = 2
_DIGITS = frozenset("0123456789")
_ROUND = "\ufeff \t\u3000\xa0"


class HeaderAgain:
    """Finds headers among the rows of a table.

    Parameters
    ----------
    table, layout, options
        The file, what its kind looks for, and what a person said about it.
    """

    def __init__(self, table: Table, layout: Layout, options: Options) -> None:
        self._table, self._layout, self._options = table, layout, options
        subject = table.of(Role.FIELD, "subject_id")
        self._at = subject.position if subject else 0
        self._names = {
            name.strip(_ROUND).casefold()
            for name in (SUBJECT.code, *SUBJECT.aliases, table.headers[self._at])
        }
        self._fewest = max(_FEWEST, sum(column is not None for column in table.columns) // 2)

    def is_one(self, row: Sequence[str]) -> bool:
        """Whether a row names columns where others have a subject."""
        text = row[self._at] if self._at < len(row) else ""
        if text.strip(_ROUND).casefold() in self._names:
            return True
        if not _DIGITS.isdisjoint(text):
            return False
        # codes without digits are rare, so this is rarely looked at
        return len(recognised(row, self._layout.meanings, Options())) >= self._fewest

    def refuse_other_columns(self, line: int, row: Sequence[str]) -> None:
        """Refuse a file whose rows below a line belong to other columns than those above it.

        Raises
        ------
        FileRefused
            Naming the line and what it names.
        """
        if self._meant(row) == self._meant(self._table.headers):
            return
        raise FileRefused(
            "second_table",
            Sentence(
                _(
                    "Line %(line)s is a header again and names other columns than line %(first)s: %(headers)s."
                ),
                {
                    "line": line,
                    "first": self._table.facts.header_line,
                    "headers": ", ".join(cell.strip(_ROUND) for cell in row if cell.strip(_ROUND))[:300],
                },
            ),
            Sentence(_("Give each table a file of its own, with its own header.")),
            lines=[line],
        )

    def _meant(self, headers: Sequence[str]) -> list[tuple[int, str, str, str]]:
        cleaned = [header.strip(_ROUND) for header in headers]
        return [
            (column.position, column.role.value, column.code, column.unit or _standard(column))
            for column in proposed(cleaned, self._layout.meanings, self._options)
            if column is not None
        ]


def _standard(column: Column) -> str:
    return protocol.ANALYTES[column.code].unit if column.role is Role.VALUE else ""
