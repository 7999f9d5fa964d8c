"""How a dataset of the exports is declared, and who is who in all of them.

De-identified is the rule: days are counted from the first infusion instead of
being dates, ages over 89 are pooled, free text stays at home.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from trial import protocol
from trial.sentences import Sentence


class Kind(StrEnum):
    """How a column reads."""

    TEXT = "text"
    CODE = "code"
    NUMBER = "number"
    WHOLE = "whole number"
    DATE = "date"
    TIME = "time"


class Show(StrEnum):
    """In which exports a column stands."""

    ALWAYS = "always"
    IDENTIFIED = "identified"
    DEIDENTIFIED = "de-identified"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its header, what it holds in marked words, and the SQL that yields it."""

    name: str
    kind: Kind
    words: str | Sentence
    sql: str = ""
    show: Show = Show.ALWAYS

    @property
    def label(self) -> str:
        """What it holds, in English."""
        return str(self.words)

    @property
    def is_utc(self) -> bool:
        """Whether a moment is in UTC; others are told by the clock at the subject's site."""
        return "AT TIME ZONE 'UTC'" in self.sql


@dataclass(frozen=True, slots=True)
class Dataset:
    """One table of an export.

    ``source`` is the FROM part of a query over the columns' SQL, ``order`` its
    ORDER BY; a dataset of results has neither and gets its rows from
    :mod:`analytics.exports.bundle`.
    """

    name: str
    grain: str
    columns: tuple[Column, ...]
    source: str = ""
    order: str = ""

    def shown(self, *, identified: bool) -> tuple[Column, ...]:
        """Return the columns of an identified or a de-identified export."""
        hidden = Show.DEIDENTIFIED if identified else Show.IDENTIFIED
        return tuple(column for column in self.columns if column.show is not hidden)

    def query(
        self, *, identified: bool, population: str = "", guarded: bool = True, ordered: bool = True
    ) -> str:
        """Return the SELECT that PostgreSQL writes out; only words of this module are in it.

        ``guarded`` puts a quote before text that a spreadsheet would take for a formula
        when it opens a text file; formats with typed cells need none. What is only measured
        need not be ``ordered``.
        """
        columns = ", ".join(
            f'{_safe_text(column) if guarded else column.sql} AS "{column.name}"'
            for column in self.shown(identified=identified)
        )
        kept = f" WHERE member.{protocol.Population(population).value}" if population and self.members else ""
        order = f" ORDER BY {self.order}" if ordered else ""
        return f"{MEMBERS} SELECT {columns} FROM {self.source}{kept}{order}"

    def counting(self, *, population: str = "") -> str:
        """Return the SELECT that counts the rows of :meth:`query`."""
        kept = f" WHERE member.{protocol.Population(population).value}" if population and self.members else ""
        return f"{MEMBERS} SELECT count(*) FROM {self.source}{kept}"

    @property
    def members(self) -> bool:
        """Whether rows belong to subjects, so that a population can be chosen."""
        return "member" in self.source


_FORMULA = r"^'*[=+@\-\t\r]"
_PLAIN_NUMBER = r"^[+-]?[0-9]+([.][0-9]+)?$"


def without_formula(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula: what begins like one (never a number) gets a quote."""
    runs = re.match(_FORMULA, text) and not re.match(_PLAIN_NUMBER, text)
    return f"'{text}" if runs else text


def _safe_text(column: Column) -> str:
    """Return the SQL of a column with the rule of :func:`without_formula`."""
    if column.kind is not Kind.TEXT:
        return column.sql
    return (
        f"CASE WHEN ({column.sql}) ~ {quoted([_FORMULA])} AND ({column.sql}) !~ {quoted([_PLAIN_NUMBER])}"
        f" THEN '''' || ({column.sql}) ELSE ({column.sql}) END"
    )


def quoted(words: Iterable[str]) -> str:
    """Return words of this software as a list of SQL literals."""
    return ", ".join("'" + word.replace("'", "''") + "'" for word in words)


_GROUP = " ".join(
    f"WHEN p.diagnosis = '{group.diagnosis.value}' AND course.given"
    f" {'>=' if group.course is protocol.Course.PROLONGED else '<'} {protocol.PROLONGED_FROM} THEN '{group.code}'"
    for group in protocol.GROUPS
)
_CLOSING = quoted(sorted(kind.value for kind in protocol.ENDS_OBSERVATION))

MEMBERS = f"""
WITH course AS (
    SELECT p.id, count(i.id) AS given, min(i.given_on) AS first_on
    FROM patients_patient p LEFT JOIN infusions_infusion i ON i.patient_id = p.id AND i.voided_at IS NULL
    GROUP BY p.id
), verdict AS (
    SELECT DISTINCT ON (patient_id) patient_id, verdict, screened_on FROM patients_screening
    WHERE voided_at IS NULL ORDER BY patient_id, screened_on DESC, id DESC
), ending AS (
    SELECT DISTINCT ON (patient_id) patient_id, kind, happened_on FROM patients_outcome
    WHERE voided_at IS NULL AND kind <> '{protocol.OutcomeKind.COMPLETED.value}'
    ORDER BY patient_id, happened_on, id
), closing AS (
    SELECT patient_id, min(happened_on) AS closed_on FROM patients_outcome
    WHERE voided_at IS NULL AND kind IN ({_CLOSING}) GROUP BY patient_id
), member AS (
    SELECT p.id, p.subject_id, CASE {_GROUP} END AS "group", course.given, course.first_on,
        coalesce(course.first_on, p.recruited_on + 7) AS day_zero,
        verdict.verdict, verdict.screened_on, ending.kind AS ending, ending.happened_on AS ended_on,
        closing.closed_on, place.time_zone,
        course.given > 0 AS treated,
        course.given > 0 AND coalesce(verdict.verdict = '{protocol.VerdictState.ELIGIBLE.value}', false) AS eligible,
        course.given > 0 AND coalesce(ending.happened_on >= course.first_on + {protocol.LANDMARK_DAY}, true) AS landmark
    FROM patients_patient p
    JOIN course ON course.id = p.id
    JOIN trial_site place ON place.id = p.site_id
    LEFT JOIN closing ON closing.patient_id = p.id
    LEFT JOIN verdict ON verdict.patient_id = p.id
    LEFT JOIN ending ON ending.patient_id = p.id
    WHERE p.merged_into_id IS NULL
)
"""
"""Who is who: group, day 0, populations; the common part of every query."""
