"""Rows of a file that would change something locked: refused by line, with the rule."""

from __future__ import annotations

from django.db import connection

from patients.imports.kinds import CELLS, Pile, header_of
from patients.imports.staging import refuse_where
from patients.imports.tables import Table
from trial import locks
from trial.lock_functions import CASEBOOK_LOCKED, SITE_FROZEN, VISIT_LOCKED
from trial.sentences import Sentence

_ANYTHING = (
    "SELECT EXISTS (SELECT FROM trial_site WHERE frozen_at IS NOT NULL)"
    " OR EXISTS (SELECT FROM patients_patient WHERE locked_at IS NOT NULL)"
    " OR EXISTS (SELECT FROM patients_visit WHERE locked_at IS NOT NULL)"
)
_LOCKED = (
    "(SELECT c.line, c.subject, h.code AS site, CASE"
    f" WHEN max(v.locked_at) IS NOT NULL THEN '{VISIT_LOCKED}'"
    f" WHEN p.locked_at IS NOT NULL THEN '{CASEBOOK_LOCKED}'"
    f" WHEN h.frozen_at IS NOT NULL THEN '{SITE_FROZEN}' END AS rule,"
    " max(coalesce('W' || v.week, v.visited_on::text)) AS visit"
    f" FROM {CELLS} c JOIN patients_patient p ON p.subject_id = c.subject JOIN trial_site h ON h.id = p.site_id"
    " LEFT JOIN patients_visit v ON c.in_table = 'patients_visit' AND v.id = c.in_row"
    " GROUP BY c.line, c.subject, h.code, p.locked_at, h.frozen_at"
    f" HAVING bool_or(c.pile <> {Pile.SAME.value})) s"
)


def refuse_locked(table: Table) -> int:
    """Refuse the judged rows that differ from the study where it is locked; return how many there are."""
    with connection.cursor() as cursor:
        cursor.execute(_ANYTHING)
        (something_is_locked,) = cursor.fetchone()
    if not something_is_locked:
        return 0
    found = 0
    for rule in (VISIT_LOCKED, CASEBOOK_LOCKED, SITE_FROZEN):
        sentence, remedy = locks.words(rule)
        names = [name for name in ("subject", "visit", "site") if f"%({name})s" in sentence]
        found += refuse_where(
            f"{_LOCKED} WHERE s.rule = %(rule)s",
            {"rule": rule},
            rule=rule,
            column=header_of(table, "subject_id"),
            value="s.subject",
            sentence=Sentence(sentence, dict.fromkeys(names, "")),
            remedy=Sentence(remedy),
            gaps={name: f"s.{name}" for name in names},
        )
    return found
