"""What every kind of import has in common: columns it looks for, rows it reads, checks, piles.

A kind stages typed rows, then lets the database judge all of them at once and
write only what differs.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import IntEnum
from typing import Any, ClassVar

from django.db import connection

from patients.imports.columns import Field, Role, meanings_of
from patients.imports.staging import PROBLEMS, Stage, refuse_where
from patients.imports.tables import Layout, Table
from trial.models import User
from trial.roles import SITE_ROLES
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


class Pile(IntEnum):
    """Where a cell of a file belongs; a row belongs where its gravest cell does."""

    CONFLICT = 1
    CHANGED = 2
    NEW = 3
    SAME = 4

    @property
    def word(self) -> str:
        return self.name.lower()


CELLS = "import_cell"
"""Temporary view that every kind makes: one row per cell of the file that says something.

Columns: line, subject, place (which visit or infusion), field, here (what the
study has), there (what the file says), said (the file's own words), in_table and
in_row (where ``here`` is stored), pile. The row itself is a cell without a field.
"""

CONSENTS = "import_consent"
LEFT_OUT = "import_left_out"


SUBJECT = Field(
    "subject_id",
    (
        "subject", "subjectid", "subject number", "patient id", "patient", "patient code", "usubjid", "subjid", "id",
        "受试者编号", "受试者", "受试者号", "患者编号", "患者", "病人编号", "病例号", "编号",
    ),
    required=True,
)  # fmt: skip
"""The column that every kind needs."""


@dataclass(frozen=True, slots=True)
class Warned:
    """One value of a file that a soft check asks to look at, as a preview and a report list it."""

    line: int
    subject: str
    place: str
    field: str
    value: str
    rule: str
    sentence: Sentence
    suggestion: Sentence


class Moved(Exception):
    """Somebody wrote to the same rows between the judgement and the write."""


@dataclass(frozen=True, slots=True)
class Context:
    """Under what conditions rows are read and judged.

    ``overwrite`` lets every value of the file replace what is here;
    ``consents`` names single cells as ``(line, field)``, ``left_out`` those
    that stay out of the import. ``laboratory`` is the code of the one that measured
    what a file names no laboratory for.
    """

    by: User
    today: date
    site: str = ""
    laboratory: str = ""
    overwrite: bool = False
    consents: frozenset[tuple[int, str]] = field(default_factory=frozenset)
    left_out: frozenset[tuple[int, str]] = field(default_factory=frozenset)

    @property
    def scope(self) -> int | None:
        """The one site this person may write to, or None for all."""
        return self.by.site_id if self.by.role in SITE_ROLES else None

    @property
    def parameters(self) -> dict[str, Any]:
        return {"scope": self.scope, "overwrite": self.overwrite}


class Kind(ABC):
    """One kind of import."""

    name: ClassVar[str]
    fields: ClassVar[tuple[Field, ...]]
    dates: ClassVar[frozenset[str]] = frozenset()
    numbers: ClassVar[frozenset[str]] = frozenset()
    analytes: ClassVar[bool] = False
    tables: ClassVar[Mapping[str, str]]
    judged: ClassVar[tuple[str, ...]]

    @property
    def layout(self) -> Layout:
        """What this kind looks for in a file."""
        return Layout(
            meanings_of(self.fields, analytes=self.analytes),
            tuple(field.code for field in self.fields if field.required),
            self.dates,
            self.numbers,
        )

    @abstractmethod
    def reader(self, table: Table, stage: Stage, context: Context) -> Callable[[int, list[str]], None]:
        """Return what reads one row into the stage."""

    @abstractmethod
    def check(self, table: Table, context: Context) -> None:
        """Refuse, by queries over all rows, what single cells cannot show."""

    @abstractmethod
    def judge(self, context: Context) -> None:
        """Compare the rows that are left with the study; makes :data:`CELLS`."""

    @abstractmethod
    def write(self, context: Context) -> None:
        """Write what differs; raise :class:`Moved` when the study is no longer as it was judged."""

    def after_staging(self, table: Table) -> None:  # noqa: B027 - most kinds have nothing to look at
        """Look at the staged file as a whole, and refuse it if need be."""

    def look(self) -> int:
        """Hold the judged rows against the soft checks; return how many values ask to be looked at."""
        return 0

    def warned(self, most: int | None = None) -> Iterator[Warned]:
        """Yield the values that ask to be looked at, in the order of the file."""
        yield from ()

    def ask(self, context: Context) -> None:  # noqa: B027 - most kinds ask nothing
        """Let the data queries follow what was written, in the revision of the import."""


# --- what kinds share -----------------------------------------------------------------------


def header_of(table: Table, code: str, role: Role = Role.FIELD) -> str:
    """Return the header under which a file holds a field, or the field's own name."""
    column = table.of(role, code)
    return column.header if column else code


def refuse_unknown_subjects(staged: str, table: Table, context: Context) -> None:
    """Refuse rows whose subject is not in the study, or not of this person's site."""
    header = header_of(table, "subject_id")
    rule = "unknown_subject"
    found = refuse_where(
        f"{staged} s WHERE NOT EXISTS (SELECT FROM patients_patient p WHERE p.subject_id = s.subject"
        " AND (%(scope)s::bigint IS NULL OR p.site_id = %(scope)s))",
        context.parameters,
        rule=rule,
        column=header,
        value="s.subject",
        sentence=Sentence(_("There is no subject %(subject)s.")),
        remedy=Sentence(_("Import or register the subject first, or correct the code.")),
        gaps={"subject": "s.subject"},
    )
    if found:
        _suggest_subjects(rule, context)


_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"
_MOST_SUGGESTIONS = 100
_MOST_COMPARED = 400


def _suggest_subjects(rule: str, context: Context) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT DISTINCT value FROM {PROBLEMS} WHERE rule = %s ORDER BY value LIMIT %s",
            [rule, _MOST_SUGGESTIONS],
        )
        near = {value: one_letter_away(value) for (value,) in cursor.fetchall()}
        cursor.execute(
            "SELECT p.subject_id FROM patients_patient p WHERE p.subject_id = ANY(%(near)s)"
            " AND (%(scope)s::bigint IS NULL OR p.site_id = %(scope)s)",
            {**context.parameters, "near": sorted(set().union(*near.values()))},
        )
        known = {subject for (subject,) in cursor.fetchall()}
        # a spreadsheet that takes S001 or 001 for a number leaves 1
        cursor.execute(
            "SELECT v.value, array_agg(p.subject_id ORDER BY p.subject_id)"
            " FROM unnest(%(values)s::text[]) AS v(value) JOIN patients_patient p ON ltrim(regexp_replace(p.subject_id, '^[A-Z]+-?', ''), '0') ="
            " ltrim(regexp_replace(regexp_replace(v.value, '[.]0+$', ''), '^[A-Z]+-?', ''), '0')"
            " AND (%(scope)s::bigint IS NULL OR p.site_id = %(scope)s)"
            " WHERE v.value ~ '^([A-Z]+-?)?[0-9]+([.]0+)?$' GROUP BY v.value HAVING count(*) <= 3",
            {**context.parameters, "values": sorted(near)},
        )
        numbered = dict(cursor.fetchall())
        for value, candidates in near.items():
            likely = sorted(candidates & known)[:3] or numbered.get(value, [])
            if likely:
                cursor.execute(
                    f"UPDATE {PROBLEMS} SET remedy = jsonb_build_object('text', %s::text, 'values',"
                    " jsonb_build_object('near', %s::text)) WHERE rule = %s AND value = %s",
                    [_("Is %(near)s meant? Otherwise import or register the subject first."), ", ".join(likely),
                     rule, value],
                )  # fmt: skip


def one_letter_away(code: str) -> set[str]:
    """Return every code that one slip of the keyboard turns into ``code``.

    Examples
    --------
    >>> "GE-007" in one_letter_away("GE-070"), "S001" in one_letter_away("S0O1")
    (True, True)
    """
    splits = [(code[:place], code[place:]) for place in range(len(code) + 1)]
    swapped = {a + b[1] + b[0] + b[2:] for a, b in splits if len(b) > 1}
    dropped = {a + b[1:] for a, b in splits if b}
    replaced = {a + letter + b[1:] for a, b in splits if b for letter in _LETTERS}
    added = {a + letter + b for a, b in splits for letter in _LETTERS}
    return (swapped | dropped | replaced | added) - {code, ""}


def refuse_twins(
    staged: str,
    keys: tuple[str, ...],
    table: Table,
    key_fields: tuple[str, ...],
    *,
    source: str = "",
    results: str = "",
) -> list[int]:
    """Refuse every row that has its key in common with another, so that neither wins by chance.

    Where all rows of a key say the same there is nothing to win: the first stands for
    all of them, and each of the others is refused by name.

    Parameters
    ----------
    staged, keys
        The staged table, and the SQL of what a row is known by.
    table, key_fields
        The file, and the fields that hold the key.
    source
        The rows, where they are more than the staged table.
    results
        The staged table of values that belong to the rows, if there is one.

    Returns
    -------
    list of int
        The lines, at most a few hundred, for saying in what they differ.
    """
    key = ", ".join(keys)
    shown = f"concat_ws(', ', {key})"
    # a few lines of each key are named: all of them, beside each of them, would grow with the square of the file
    numbered = f"(SELECT *, row_number() OVER (PARTITION BY {key} ORDER BY line) AS nth FROM {source or staged}) AS numbered"
    twins = (
        f"(SELECT *, {shown} AS key_shown, array_agg(line) FILTER (WHERE nth <= 6) OVER same_key AS lines,"
        f" count(*) OVER same_key AS count FROM {numbered} WINDOW same_key AS (PARTITION BY {key})) s WHERE count > 1"
    )
    found = refuse_where(
        twins,
        {},
        rule="twice",
        column=", ".join(header_of(table, code) for code in key_fields),
        value="key_shown",
        sentence=Sentence(_("The file has %(key)s more than once: also in line %(lines)s.")),
        remedy=Sentence(_("Keep one of the rows; none of them was stored.")),
        gaps={
            "key": "key_shown",
            "lines": "array_to_string((array_remove(lines, line))[1:5], ', ')",
        },
    )
    if not found:
        return []
    _let_one_of_the_same_in(key, source or staged, results)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT line, split_part(sentence -> 'values' ->> 'lines', ',', 1)::integer"
            f" FROM {PROBLEMS} WHERE rule = 'twice' ORDER BY line LIMIT %s",
            [_MOST_COMPARED],
        )
        # with the row that each of them is held against, which may stand anywhere in the file
        return sorted({line for pair in cursor.fetchall() for line in pair})


_AS_WRITTEN = "ARRAY['line', 'typed_text', 'typed_unit', 'assumed']"
"""What may differ between rows that say the same: how it was written."""


def _let_one_of_the_same_in(key: str, source: str, results: str) -> None:
    """Take back the refusal of the first row of each key whose rows all say the same and have no other fault."""
    twice = f"(SELECT line FROM {PROBLEMS} WHERE rule = 'twice')"
    beside = (
        f"SELECT line, jsonb_agg(to_jsonb(v) - {_AS_WRITTEN} ORDER BY v.analyte) AS results FROM {results} v"
        f" WHERE line IN {twice} GROUP BY line"
        if results
        else "SELECT NULL::integer AS line, NULL::jsonb AS results"
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE TEMPORARY TABLE import_same AS WITH twins AS (SELECT line, jsonb_build_array({key}) AS key,"
            f" to_jsonb(x) - 'line' AS said FROM (SELECT * FROM {source}) x WHERE line IN {twice}),"
            f" beside AS ({beside}), keys AS (SELECT min(line) AS first, array_agg(line) AS lines"
            " FROM twins LEFT JOIN beside USING (line) GROUP BY key"
            " HAVING count(DISTINCT jsonb_build_array(said, results)) = 1"
            f" AND NOT bool_or(line IN (SELECT line FROM {PROBLEMS} WHERE rule <> 'twice')))"
            " SELECT first, unnest(lines) AS line FROM keys"
        )
        cursor.execute(
            f"UPDATE {PROBLEMS} p SET remedy = jsonb_build_object('text', %s::text, 'values',"
            " jsonb_build_object('line', s.first)) FROM import_same s WHERE p.line = s.line AND p.rule = 'twice'",
            [_("Leave this row out: line %(line)s stands for it.")],
        )
        cursor.execute(
            f"DELETE FROM {PROBLEMS} p USING import_same s WHERE p.line = s.first AND p.rule = 'twice'"
        )
        cursor.execute("DROP TABLE import_same")


def say_how_twins_differ(cells: Mapping[int, Mapping[str, str]]) -> None:
    """Add to the refusal of rows with one key what each of them says."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT line, sentence FROM {PROBLEMS} WHERE rule = 'twice' AND line = ANY(%s)", [list(cells)]
        )
        said = {}
        for line, sentence in cursor.fetchall():
            stored = json.loads(sentence) if isinstance(sentence, str) else sentence
            others = [int(other) for other in str(stored["values"]["lines"]).split(",")]
            here = cells[line]
            there = next((cells[at] for at in others if at in cells and cells[at] != here), cells[others[0]])
            differences = [
                f"{name} {here.get(name, '-')} / {there.get(name, '-')}"
                for name in {**here, **there}
                if here.get(name) != there.get(name)
            ]
            stored["text"] = (
                _(
                    "The file has %(key)s more than once: also in line %(lines)s; here / there: %(differences)s."
                )
                if differences
                else _("The file has %(key)s more than once: also in line %(lines)s, which says the same.")
            )
            stored["values"]["differences"] = "; ".join(differences[:6])
            said[line] = json.dumps(stored)
        # at once: the refusals of a whole file are looked through each time
        cursor.execute(
            f"UPDATE {PROBLEMS} p SET sentence = said.sentence::jsonb FROM unnest(%s::integer[], %s::text[])"
            " AS said (line, sentence) WHERE p.rule = 'twice' AND p.line = said.line",
            [list(said), list(said.values())],
        )


def stage_choices(context: Context) -> None:
    """Write down which single cells of the file may replace what is here, and which stay out."""
    with connection.cursor() as cursor:
        for table, chosen in ((CONSENTS, context.consents), (LEFT_OUT, context.left_out)):
            cursor.execute(f"DROP TABLE IF EXISTS pg_temp.{table} CASCADE")
            cursor.execute(f"CREATE TEMPORARY TABLE {table} (line integer, field text)")
            with cursor.copy(f"COPY {table} FROM STDIN") as copy:
                for line, name in chosen:
                    copy.write_row((line, name))
            cursor.execute(f"ANALYZE {table}")


def pile_sql(here: str, there: str, equal: str, field_sql: str, line: str) -> str:
    """Return the SQL that puts one cell on its pile, or NULL when the file says nothing."""
    return (
        f"CASE WHEN {there} IS NULL THEN NULL WHEN {here} IS NULL THEN {Pile.NEW.value}"
        f" WHEN {equal} THEN {Pile.SAME.value}"
        f" WHEN %(overwrite)s OR EXISTS (SELECT FROM {CONSENTS} c WHERE c.line = {line} AND c.field = {field_sql})"
        f" THEN {Pile.CHANGED.value} ELSE {Pile.CONFLICT.value} END"
    )


def written_all(cursor: Any, expected: int) -> None:
    """Raise :class:`Moved` unless a statement wrote exactly the rows that were judged."""
    if cursor.rowcount != expected:
        raise Moved(f"{cursor.rowcount} rows instead of {expected}")
