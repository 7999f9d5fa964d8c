"""The PostgreSQL functions behind the trail, one string each.

Migrations install them; the start-up check compares what the database holds
with this text. A change here needs a migration that installs them again.

Names inside the functions start with an underscore so that no column of a
study table can ever be taken for a variable, and rows are turned into JSON as
``to_jsonb(new_rows.*)``: with a plain alias a column of that name would win.
"""

from __future__ import annotations

import hashlib

from trial.lock_functions import LOCK_FUNCTIONS

REVISION_LOCK = 7_305_041
"""Advisory lock under which revision numbers are given, one commit at a time."""

RANGE_LOCK = 7_305_042
"""Advisory lock, with a second key per laboratory and analyte, under which a reference range is written."""

CHANNEL = "cordline"
"""NOTIFY channel that tells listeners of a new revision or job."""

SETTINGS = ("SET search_path = pg_catalog, public, pg_temp", "SET timezone = 'UTC'")
"""Fixed for every function: no schema of a caller comes first, and times print the same for everybody."""

AUDIT = """
#variable_conflict use_variable
DECLARE
    _patient text := TG_ARGV[0];
    _hidden text[] := string_to_array(TG_ARGV[1], ',');
    _revision bigint;
    _moved boolean;
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NOT EXISTS (SELECT FROM new_rows) THEN
            RETURN NULL;
        END IF;
        _revision := trial_current_revision(false, TG_TABLE_NAME);
        INSERT INTO trial_auditentry (revision_id, "table", "row", op, patient_id, old, new)
        SELECT _revision, TG_TABLE_NAME, id, 'I', (after ->> _patient)::bigint, NULL, after
        FROM (SELECT new_rows.id, to_jsonb(new_rows.*) - _hidden AS after FROM new_rows) AS becomes
        ORDER BY id;
    ELSIF TG_OP = 'DELETE' THEN
        IF NOT EXISTS (SELECT FROM old_rows) THEN
            RETURN NULL;
        END IF;
        _revision := trial_current_revision(true, TG_TABLE_NAME);
        INSERT INTO trial_auditentry (revision_id, "table", "row", op, patient_id, old, new)
        SELECT _revision, TG_TABLE_NAME, id, 'D', (before ->> _patient)::bigint, before, NULL
        FROM (SELECT old_rows.id, to_jsonb(old_rows.*) - _hidden AS before FROM old_rows) AS was
        ORDER BY id;
    ELSE
        IF EXISTS (
            SELECT FROM (SELECT old_rows.id FROM old_rows) AS was
            FULL JOIN (SELECT new_rows.id FROM new_rows) AS becomes USING (id)
            WHERE was.id IS NULL OR becomes.id IS NULL
        ) THEN
            RAISE EXCEPTION 'a primary key of % may not change', TG_TABLE_NAME
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        -- compared as text: as JSON 1.10 equals 1.1, and the trail must know which of them is there;
        -- the revision is a subquery of its own, run for the first row that differs and never when none does
        WITH was AS MATERIALIZED (
            SELECT old_rows.id, to_jsonb(old_rows.*) - _hidden AS before FROM old_rows
        ), becomes AS MATERIALIZED (
            SELECT new_rows.id, to_jsonb(new_rows.*) - _hidden AS after FROM new_rows
        ), written AS (
            INSERT INTO trial_auditentry (revision_id, "table", "row", op, patient_id, old, new)
            SELECT (SELECT trial_current_revision(true, TG_TABLE_NAME)), TG_TABLE_NAME, id, 'U',
                (after ->> _patient)::bigint, before, after
            FROM was JOIN becomes USING (id)
            WHERE before::text <> after::text
            ORDER BY id
            RETURNING (trial_auditentry.old ->> _patient) IS DISTINCT FROM (trial_auditentry.new ->> _patient) AS moved
        )
        SELECT bool_or(moved) INTO _moved FROM written;
        -- the history and the results of both patients would miss one half of such a change; merging a patient
        -- who was registered twice is the one exception, and touches both patients
        IF _moved AND coalesce(current_setting('cordline.source', true), '') <> 'merge' THEN
            RAISE EXCEPTION 'a row of % may not move to another patient', TG_TABLE_NAME
                USING ERRCODE = 'integrity_constraint_violation', HINT = 'Void it and enter it again.';
        END IF;
    END IF;
    RETURN NULL;
END
"""

CURRENT_REVISION = r"""
#variable_conflict use_variable
DECLARE
    _actor text := coalesce(current_setting('cordline.actor', true), '');
    _reason text := btrim(coalesce(current_setting('cordline.reason', true), ''), E' \t\r\n\u00a0\u3000');
    _begun text := coalesce(current_setting('cordline.revision', true), '');
    _revision bigint;
    _given text;
BEGIN
    IF _actor !~ '^[0-9]{1,18}$' THEN
        RAISE EXCEPTION 'write to % without an actor refused', _table
            USING ERRCODE = 'insufficient_privilege', HINT = 'Say who writes and why: audit.revision(by=..., reason=...).';
    END IF;
    IF _changes AND _reason = '' THEN
        RAISE EXCEPTION 'change of % without a reason refused', _table
            USING ERRCODE = 'insufficient_privilege', HINT = 'Say why: audit.revision(by=..., reason=...).';
    END IF;
    -- the setting is a hint that anybody may write: it counts only for this actor's open revision of this transaction
    IF _begun ~ '^[0-9]{1,18}$' THEN
        SELECT id, reason INTO _revision, _given FROM trial_revision
        WHERE id = _begun::bigint AND txid = pg_current_xact_id()::text::bigint
            AND actor_id = _actor::bigint AND number IS NULL AND NOT sealed;
    END IF;
    IF _revision IS NULL THEN
        IF NOT EXISTS (SELECT FROM trial_user WHERE id = _actor::bigint) THEN
            RAISE EXCEPTION 'write to % by an unknown actor refused', _table USING ERRCODE = 'insufficient_privilege';
        END IF;
        INSERT INTO trial_revision (made_at, actor_id, reason, source, request_id, sealed, txid)
        VALUES (
            clock_timestamp(), _actor::bigint, _reason, coalesce(current_setting('cordline.source', true), ''),
            coalesce(current_setting('cordline.request_id', true), ''), false, pg_current_xact_id()::text::bigint
        ) RETURNING id INTO _revision;
        PERFORM set_config('cordline.revision', _revision::text, true);
    ELSIF _reason <> '' AND position('; ' || _reason || '; ' IN '; ' || _given || '; ') = 0 THEN
        UPDATE trial_revision SET reason = concat_ws('; ', nullif(_given, ''), _reason) WHERE id = _revision;
    END IF;
    PERFORM set_config('cordline.wrote', _revision::text, true);
    RETURN _revision;
END
"""

REVISION_SEAL = """
BEGIN
    UPDATE trial_revision SET sealed = true WHERE id = NEW.id;
    RETURN NULL;
END
"""

REVISION_NUMBER = f"""
#variable_conflict use_variable
DECLARE
    _number bigint;
BEGIN
    PERFORM pg_advisory_xact_lock({REVISION_LOCK});
    -- a statement of its own: its snapshot is taken after the lock
    SELECT coalesce(max(number), 0) + 1 INTO _number FROM trial_revision;
    UPDATE trial_revision SET number = _number WHERE id = NEW.id;
    PERFORM pg_notify('{CHANNEL}', _number::text);
    RETURN NULL;
END
"""

REVISION_GUARD = """
BEGIN
    IF pg_trigger_depth() < 2 THEN
        RAISE EXCEPTION 'revisions are written by the trail alone' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'revisions are never deleted' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF TG_OP = 'INSERT' THEN
        IF NEW.number IS NOT NULL OR NEW.sealed OR NEW.txid <> pg_current_xact_id()::text::bigint THEN
            RAISE EXCEPTION 'a revision begins open and without a number' USING ERRCODE = 'insufficient_privilege';
        END IF;
        RETURN NEW;
    END IF;
    -- open: a further reason may be added; then it is sealed; then it gets its number; then nothing
    IF OLD.number IS NOT NULL
        OR OLD.txid <> pg_current_xact_id()::text::bigint
        OR (NEW.number IS NOT NULL AND NOT OLD.sealed)
        OR (OLD.sealed AND NOT NEW.sealed)
        OR (NEW.reason <> OLD.reason AND (OLD.sealed OR NOT starts_with(NEW.reason, OLD.reason)))
        OR (to_jsonb(OLD.*) - '{number,sealed,reason}'::text[]) <> (to_jsonb(NEW.*) - '{number,sealed,reason}'::text[])
    THEN
        RAISE EXCEPTION 'a revision never changes' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
"""

ENTRY_GUARD = """
BEGIN
    IF TG_OP <> 'INSERT' OR pg_trigger_depth() < 2 THEN
        RAISE EXCEPTION 'the trail is written by itself and never changed' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
"""

REFUSE_TRUNCATE = """
BEGIN
    RAISE EXCEPTION '% may not be emptied', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END
"""

REFUSE_CHANGE = """
BEGIN
    RAISE EXCEPTION '% is only added to, never changed', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END
"""

# what an exclusion constraint would do, which needs an extension that not every server has;
# the lock makes two who write at once see each other
REFUSE_OVERLAP = f"""
BEGIN
    PERFORM pg_advisory_xact_lock({RANGE_LOCK}, hashtext(NEW.laboratory_id::text || ' ' || NEW.analyte));
    -- a statement of its own: its snapshot is taken after the lock
    IF EXISTS (
        SELECT FROM patients_referencerange AS other
        WHERE other.id <> NEW.id AND other.voided_at IS NULL
            AND other.laboratory_id = NEW.laboratory_id AND other.analyte = NEW.analyte
            AND (other.sex = '' OR NEW.sex = '' OR other.sex = NEW.sex)
            AND other.age_from <= NEW.age_to AND NEW.age_from <= other.age_to
            AND other.valid_from <= coalesce(NEW.valid_to, 'infinity')
            AND NEW.valid_from <= coalesce(other.valid_to, 'infinity')
    ) THEN
        RAISE EXCEPTION 'two reference ranges of a laboratory would hold for one result'
            USING ERRCODE = 'exclusion_violation', CONSTRAINT = 'ranges_never_overlap';
    END IF;
    RETURN NULL;
END
"""

FUNCTIONS: dict[str, tuple[str, str, str]] = {
    "trial_audit": ("", "trigger", AUDIT),
    "trial_current_revision": (
        "_changes boolean, _table text",
        "bigint",
        CURRENT_REVISION,
    ),
    "trial_revision_seal": ("", "trigger", REVISION_SEAL),
    "trial_revision_number": ("", "trigger", REVISION_NUMBER),
    "trial_revision_guard": ("", "trigger", REVISION_GUARD),
    "trial_entry_guard": ("", "trigger", ENTRY_GUARD),
    "trial_refuse_truncate": ("", "trigger", REFUSE_TRUNCATE),
    "trial_refuse_overlap": ("", "trigger", REFUSE_OVERLAP),
    "trial_refuse_change": ("", "trigger", REFUSE_CHANGE),
    **LOCK_FUNCTIONS,
}
"""Arguments, result and body of each function, by name."""


def create_statements() -> list[str]:
    """Return the SQL that installs every function, closed to all but its owner."""
    statements = ["SET LOCAL check_function_bodies = off"]
    for name, (arguments, result, body) in FUNCTIONS.items():
        statements.append(
            f"CREATE OR REPLACE FUNCTION {name}({arguments}) RETURNS {result} LANGUAGE plpgsql SECURITY DEFINER"
            f" {' '.join(SETTINGS)} AS $body${body}$body$"
        )
        types = ", ".join(argument.split()[-1] for argument in arguments.split(",") if argument)
        statements.append(f"REVOKE ALL ON FUNCTION {name}({types}) FROM PUBLIC")
    return statements


def digest() -> str:
    """Return what tells this text from any other; the migration that installs it names it."""
    return hashlib.sha256("\n".join(create_statements()).encode()).hexdigest()[:16]


def drop_statements() -> list[str]:
    """Return the SQL that removes every function."""
    return [f"DROP FUNCTION IF EXISTS {name} CASCADE" for name in FUNCTIONS]
