"""The PostgreSQL functions that keep what is locked as it is, whoever writes and however.

Pure text, installed and checked together with the functions of the trail
(:mod:`trial.trail_functions`). They run once per statement and look up what
the written rows belong to by primary keys, so that a file of twenty thousand
rows costs a few joins; while nothing at all is locked they leave before that.

A row is refused when its visit is locked, its subject's casebook is locked, or
its site is frozen. Queries, verifications and signatures have no such trigger.
"""

from __future__ import annotations

IMPORTS_LOCK = 7_305_047
"""Advisory lock: imports share it while they write, whoever locks something waits for them and keeps them waiting."""

VISIT_LOCKED = "visit_is_locked"
CASEBOOK_LOCKED = "casebook_is_locked"
SITE_FROZEN = "site_is_frozen"

_HEAD = """
#variable_conflict use_variable
DECLARE
    _rule text;
    _subject text;
    _visit text;
    _site text;
BEGIN
"""

_TAIL = f"""
    IF _rule IS NOT NULL THEN
        RAISE EXCEPTION 'write to % refused: subject %, site %: %', TG_TABLE_NAME, coalesce(_subject, '-'), _site, _rule
            USING ERRCODE = 'restrict_violation', CONSTRAINT = _rule, TABLE = TG_TABLE_NAME,
                DETAIL = concat_ws(' | ', coalesce(_subject, ''), coalesce(_visit, ''), _site),
                HINT = CASE _rule
                    WHEN '{SITE_FROZEN}' THEN 'Have the site unfrozen with a reason.'
                    ELSE 'Have it unlocked with a reason.'
                END;
    END IF;
    RETURN NULL;
END
"""

_FIND = f"""
SELECT CASE WHEN visit.locked_at IS NOT NULL THEN '{VISIT_LOCKED}'
        WHEN subject.locked_at IS NOT NULL THEN '{CASEBOOK_LOCKED}' ELSE '{SITE_FROZEN}' END,
    subject.subject_id, coalesce('W' || visit.week, visit.visited_on::text), site.code
INTO _rule, _subject, _visit, _site
FROM ({{rows}}) AS written
JOIN patients_patient AS subject ON subject.id = written.patient_id
JOIN trial_site AS site ON site.id = subject.site_id
LEFT JOIN patients_visit AS visit ON visit.id = written.visit_id
WHERE visit.locked_at IS NOT NULL OR subject.locked_at IS NOT NULL OR site.frozen_at IS NOT NULL
LIMIT 1;
"""

_OPEN = ["locked_at", "version"]
"""Columns of a visit and of a subject that locking and unlocking themselves write."""


_DIFFERS = "FROM old_rows JOIN new_rows ON new_rows.id = old_rows.id WHERE (to_jsonb(old_rows.*) - {kept})::text <> (to_jsonb(new_rows.*) - {kept})::text"
_OPEN_COLUMNS = f"'{{{','.join(_OPEN)}}}'::text[]"
_CHANGED = _DIFFERS.format(kept="'{}'::text[]")
_CHANGED_BUT_FOR_LOCKS = _DIFFERS.format(kept=_OPEN_COLUMNS)


# min() always reads the partial index of what is locked; EXISTS would scan a table that was never analyzed
_ANYTHING_LOCKED = """(SELECT min(frozen_at) FROM trial_site) IS NOT NULL
        OR (SELECT min(locked_at) FROM patients_patient) IS NOT NULL
        OR (SELECT min(locked_at) FROM patients_visit) IS NOT NULL"""
_WAS_LOCKED = "EXISTS (SELECT FROM old_rows WHERE old_rows.locked_at IS NOT NULL)"


def _body(find: str, columns: str, before: str, after: str, changed: str) -> str:
    """Return the body of a function.

    Parameters
    ----------
    find
        Statement that looks in ``{rows}`` for one that is locked.
    columns
        What it wants to know of a row; ``{0}`` stands for the row.
    before, after
        SQL that takes the place of ``{1}`` for a row as it was, and as it is written.
    changed
        FROM and WHERE that keep the rows of an update that do change.
    """
    old, new = columns.format("old_rows", before), columns.format("new_rows", after)
    both = f"SELECT {old} FROM old_rows UNION ALL SELECT {new} FROM new_rows"
    both_changed = f"SELECT {old} {changed} UNION ALL SELECT {new} {changed}"
    # what was locked may be open now: one statement can unlock a row and change it, or delete it
    was_locked = f" OR {_WAS_LOCKED}" if before else ""
    return f"""{_HEAD}
    IF TG_OP = 'INSERT' THEN
        IF NOT ({_ANYTHING_LOCKED}) THEN
            RETURN NULL;
        END IF;
        {find.format(rows=f"SELECT {new} FROM new_rows")}
    ELSIF TG_OP = 'DELETE' THEN
        IF NOT ({_ANYTHING_LOCKED}{was_locked}) THEN
            RETURN NULL;
        END IF;
        {find.format(rows=f"SELECT {old} FROM old_rows")}
    ELSE
        IF NOT ({_ANYTHING_LOCKED}{was_locked}) THEN
            RETURN NULL;
        END IF;
        -- the cheap question first: rows that stay as they are matter only where something is locked
        {find.format(rows=both)}
        IF _rule IS NOT NULL THEN
            {find.format(rows=both_changed)}
        END IF;
    END IF;
{_TAIL}"""


_NEVER = "NULL::timestamptz"
_FIND_VISIT = _FIND.replace("LEFT JOIN patients_visit AS visit ON visit.id = written.visit_id\n", "").replace(
    "visit.", "written."
)
_FIND_SUBJECT = f"""
SELECT CASE WHEN written.locked_at IS NOT NULL THEN '{CASEBOOK_LOCKED}' ELSE '{SITE_FROZEN}' END,
    written.subject_id, NULL, site.code
INTO _rule, _subject, _visit, _site
FROM ({{rows}}) AS written
JOIN trial_site AS site ON site.id = written.site_id
WHERE written.locked_at IS NOT NULL OR site.frozen_at IS NOT NULL
LIMIT 1;
"""

REFUSE_LOCKED = _body(_FIND, "{0}.patient_id, NULL::bigint AS visit_id", "", "", _CHANGED)
REFUSE_LOCKED_RESULT = _body(_FIND, "{0}.patient_id, {0}.visit_id", "", "", _CHANGED)
REFUSE_LOCKED_VISIT = _body(
    _FIND_VISIT,
    "{0}.patient_id, {1} AS locked_at, {0}.week, {0}.visited_on",
    "old_rows.locked_at",
    _NEVER,
    _CHANGED_BUT_FOR_LOCKS,
)
REFUSE_LOCKED_SUBJECT = _body(
    _FIND_SUBJECT,
    "{0}.subject_id, {1} AS locked_at, {0}.site_id",
    "old_rows.locked_at",
    _NEVER,
    _CHANGED_BUT_FOR_LOCKS,
)

LOCK_FUNCTIONS: dict[str, tuple[str, str, str]] = {
    "trial_refuse_locked": ("", "trigger", REFUSE_LOCKED),
    "trial_refuse_locked_result": ("", "trigger", REFUSE_LOCKED_RESULT),
    "trial_refuse_locked_visit": ("", "trigger", REFUSE_LOCKED_VISIT),
    "trial_refuse_locked_subject": ("", "trigger", REFUSE_LOCKED_SUBJECT),
}
"""Arguments, result and body of each function, by name."""
