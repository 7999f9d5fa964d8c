"""Whether the trail is there, whole and switched on: what the declaration says against what the database holds.

The trigger library's own check compares a hash kept in a comment; this one reads
the triggers, the functions and the rights themselves. It runs with
``manage.py check --database default``, before ``migrate``, in ``verify_audit``
and in the health check that decides whether pages are served.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor

from trial.trail_functions import FUNCTIONS, SETTINGS
from trial.triggers import UNTRAILED, Calls, audited, registered, study_models

REPLAYABLE = frozenset(
    {
        "AutoField",
        "BigAutoField",
        "BigIntegerField",
        "BooleanField",
        "CharField",
        "DateField",
        "DateTimeField",
        "DecimalField",
        "EmailField",
        "IntegerField",
        "JSONField",
        "PositiveBigIntegerField",
        "PositiveIntegerField",
        "PositiveSmallIntegerField",
        "SmallIntegerField",
        "TextField",
        "TimeField",
        "UUIDField",
    }
)
"""Column types that come back from the trail exactly as they were."""

_EVENTS = ("INSERT", "DELETE", "UPDATE", "TRUNCATE")

_TRIGGERS = """
SELECT c.relname, t.tgname, t.tgenabled, pg_get_triggerdef(t.oid), n.nspname || '.' || p.proname
FROM pg_trigger t
JOIN pg_class c ON c.oid = t.tgrelid
JOIN pg_namespace s ON s.oid = c.relnamespace AND s.nspname = 'public'
JOIN pg_proc p ON p.oid = t.tgfoid
JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE c.relname = ANY(%s) AND NOT t.tgisinternal
"""
_SILENT_KEYS = """
SELECT c.relname, count(*)
FROM pg_trigger t
JOIN pg_class c ON c.oid = t.tgrelid
JOIN pg_namespace s ON s.oid = c.relnamespace AND s.nspname = 'public'
WHERE c.relname = ANY(%s) AND t.tgisinternal AND t.tgenabled NOT IN ('O', 'A')
GROUP BY c.relname
"""
_RULES = """
SELECT c.relname, r.rulename
FROM pg_rewrite r
JOIN pg_class c ON c.oid = r.ev_class
JOIN pg_namespace s ON s.oid = c.relnamespace AND s.nspname = 'public'
WHERE c.relname = ANY(%s) AND r.rulename <> '_RETURN'
"""
_FUNCTIONS = """
SELECT p.proname, p.prosrc, l.lanname, p.prosecdef, coalesce(p.proconfig, '{}'),
    EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a WHERE a.grantee = 0)
FROM pg_proc p
JOIN pg_language l ON l.oid = p.prolang
JOIN pg_namespace n ON n.oid = p.pronamespace AND n.nspname = 'public'
WHERE p.proname = ANY(%s)
"""
_RIGHTS = """
SELECT c.relname, pg_has_role(current_user, c.relowner, 'USAGE') AS owns,
    has_table_privilege(current_user, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER') AS may_write
FROM pg_class c
JOIN pg_namespace s ON s.oid = c.relnamespace AND s.nspname = 'public'
WHERE c.relname IN ('trial_revision', 'trial_auditentry')
"""


# --- what the declaration must be -----------------------------------------------------------


@register()
def trail_is_declared(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Refuse a study table without a trail, or with columns that the trail could not give back."""
    recorded = audited()
    problems: list[CheckMessage] = []
    for model in study_models():
        if model in recorded:
            problems += undeclared(model)
        elif model._meta.label not in UNTRAILED:
            problems.append(
                Error(
                    f"{model._meta.label} has no trail",
                    hint="List triggers = trail(...) in its Meta, or say in UNTRAILED why it needs none.",
                    obj=model,
                    id="trial.E001",
                )
            )
    return problems


def undeclared(model: type[models.Model]) -> list[CheckMessage]:
    """Return what keeps an audited model's rows from being replayed exactly."""
    kept = audited()[model]
    columns = {field.column: field for field in model._meta.local_concrete_fields}
    key = model._meta.pk
    problems: list[CheckMessage] = [
        Error(f"the trail names the column {named}, which is not there", obj=model, id="trial.E003")
        for named in (kept.patient, *kept.hidden)
        if named and named not in columns
    ]
    if key.column != "id" or key.get_internal_type() not in {"BigAutoField", "BigIntegerField"}:
        problems.append(
            Error("the key of a table with a trail is a bigint named id", obj=model, id="trial.E002")
        )
    for column, field in columns.items():
        target = field.target_field if isinstance(field, models.ForeignKey) else field
        kind = target.get_internal_type()
        if kind not in REPLAYABLE:
            problems.append(
                Error(f"{column}: a {kind} does not come back exactly", obj=model, id="trial.E004")
            )
        if kind == "JSONField" and f"{column}_is_never_json_null" not in _constraint_names(model):
            problems.append(
                Error(
                    f"{column}: JSON null and no value are one thing in the trail",
                    hint=f"Add the CheckConstraint {column}_is_never_json_null.",
                    obj=model,
                    id="trial.E005",
                )
            )
        if field.remote_field and field.remote_field.on_delete not in {
            models.PROTECT,
            models.RESTRICT,
        }:
            problems.append(
                Error(
                    f"{column}: study rows are protected, never cascaded",
                    obj=model,
                    id="trial.E006",
                )
            )
    return problems


def _constraint_names(model: type[models.Model]) -> set[str]:
    return {constraint.name for constraint in model._meta.constraints}


# --- what the database must hold ------------------------------------------------------------


@register(Tags.database)
def trail_is_intact(
    app_configs: Any, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Refuse a database whose trail lacks a trigger, has one switched off, or runs a changed function."""
    problems: list[CheckMessage] = []
    for alias in databases or ():
        connection = connections[alias]
        if "trial_revision" not in connection.introspection.table_names():
            continue  # nothing to guard yet: the first migration makes tables and trail together
        found = faults(connection)
        if found and waiting_migrations(connection):
            problems.append(
                checks.Warning(
                    f"the trail is not judged: {found[0]}, and migrations wait",
                    hint="Run manage.py migrate; pages are not served before.",
                    id="trial.W010",
                )
            )
            continue
        problems += [
            Error(
                fault,
                hint="Somebody changed the database. Run manage.py verify_audit.",
                id="trial.E010",
            )
            for fault in found
        ]
    return problems


def waiting_migrations(connection: BaseDatabaseWrapper) -> list[str]:
    """Return the migrations that the code has and the database has not."""
    executor = MigrationExecutor(connection)
    return [str(migration) for migration, _ in executor.migration_plan(executor.loader.graph.leaf_nodes())]


def faults(connection: BaseDatabaseWrapper) -> list[str]:
    """Return one sentence for each way in which the trail is not as declared; none when it is whole."""
    wanted = {
        (model._meta.db_table, compiled(trigger, model).pgid): trigger_definition(trigger, model)
        for model, trigger in registered()
    }
    tables = sorted({table for table, _ in wanted})
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('session_replication_role')")
        role = cursor.fetchone()[0]
        cursor.execute(_TRIGGERS, [tables])
        triggers = cursor.fetchall()
        cursor.execute(_SILENT_KEYS, [tables])
        silent = cursor.fetchall()
        cursor.execute(_RULES, [tables])
        rules = cursor.fetchall()
        cursor.execute(_FUNCTIONS, [list(FUNCTIONS)])
        functions = cursor.fetchall()
        cursor.execute(_RIGHTS)
        rights = cursor.fetchall()
    found = [] if role == "origin" else [f"session_replication_role is {role}: triggers do not fire"]
    found += _trigger_faults(wanted, triggers)
    found += [f"{table}: {count} foreign-key triggers are switched off" for table, count in silent]
    found += [f"{table}: the rule {rule} rewrites what is written" for table, rule in rules]
    found += _function_faults(functions)
    found += [
        f"{table}: this role may write to the trail without owning it"
        for table, owns, may_write in rights
        if may_write and not owns
    ]
    return found


def compiled(trigger: Calls, model: Any) -> Any:
    """Return the trigger as the library would install it."""
    return trigger.compile(model).sql


def trigger_definition(trigger: Calls, model: type[models.Model]) -> str:
    """Return how PostgreSQL would print a declared trigger, without spaces, brackets and capitals."""
    sql = compiled(trigger, model)
    options = sql.defaults | sql.kwargs
    asked = options["operation"].split(" OR ")
    events = " OR ".join(event for name in _EVENTS for event in asked if event.startswith(name))
    return _plain(
        f"CREATE {options['constraint']} TRIGGER {sql.pgid} {options['when']} {events} ON public.{sql.table}"
        f" {options['timing']} {options['referencing']} FOR EACH {options['level']} {options['condition']}"
        f" EXECUTE FUNCTION {options['execute']}"
    )


def _trigger_faults(wanted: dict[tuple[str, str], str], triggers: Iterable[Sequence[str]]) -> list[str]:
    there = {(table, name): (enabled, text, function) for table, name, enabled, text, function in triggers}
    found = []
    for (table, name), definition in wanted.items():
        if (table, name) not in there:
            found.append(f"{table}: the trigger {name} is missing")
            continue
        enabled, text, function = there[table, name]
        if enabled not in {"O", "A"}:
            found.append(f"{table}: the trigger {name} is switched off")
        called = function.removeprefix("public.")
        if _plain(text) != definition or function != f"public.{called}" or called not in FUNCTIONS:
            found.append(f"{table}: the trigger {name} is not as declared")
    found += [
        f"{table}: the trigger {name} is not ours" for table, name in there if (table, name) not in wanted
    ]
    return found


def _function_faults(functions: Iterable[Sequence[Any]]) -> list[str]:
    settings = {re.sub(r"[\s']", "", entry.removeprefix("SET ")).lower() for entry in SETTINGS}
    there: dict[str, list[Sequence[Any]]] = {}
    for function in functions:
        there.setdefault(function[0], []).append(function[1:])
    found = []
    for name, (_, _, body) in FUNCTIONS.items():
        match there.get(name, []):
            case []:
                found.append(f"the function {name} is missing")
            case [(source, language, definer, configuration, open_to_all)]:
                set_to = {re.sub(r"[\s']", "", entry).lower() for entry in configuration}
                if source != body or language != "plpgsql" or not definer or set_to != settings:
                    found.append(f"the function {name} was changed")
                if open_to_all:
                    found.append(f"the function {name} may be run by everybody")
            case _:
                found.append(f"the function {name} is there more than once")
    return found


def _plain(definition: str) -> str:
    return re.sub(r'[\s()"]+', "", definition).lower()
