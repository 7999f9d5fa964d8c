"""A trail with a hole is seen at once: by the check, by the command and by the health page."""

from __future__ import annotations

import re
from importlib import import_module

import pytest
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.db import OperationalError, ProgrammingError, connection, models
from django.db.migrations import AddField, CreateModel, Migration, RenameField
from django.db.migrations.loader import MigrationLoader
from django.test import Client
from django.test.utils import isolate_apps

from trial import checks, trail_functions, triggers
from trial.models import Site
from trial.study_command import StudyCommand
from trial.triggers import audited, trail
from trial.views import health

pytestmark = pytest.mark.django_db

AUDIT_INSERT = "pgtrigger_audit_insert_21f73"
BROKEN = {
    "trigger_missing": (
        f"DROP TRIGGER {AUDIT_INSERT} ON trial_site",
        "trial_site: the trigger .* is missing",
    ),
    "trigger_off": (
        f"ALTER TABLE trial_site DISABLE TRIGGER {AUDIT_INSERT}",
        "trial_site: the trigger .* is switched off",
    ),
    "trigger_only_on_replicas": (
        f"ALTER TABLE trial_site ENABLE REPLICA TRIGGER {AUDIT_INSERT}",
        "trial_site: the trigger .* is switched off",
    ),
    "all_triggers_off": (
        "ALTER TABLE patients_labresult DISABLE TRIGGER ALL",
        "foreign-key triggers are switched off",
    ),
    "trigger_hides_a_column": (
        f"""DROP TRIGGER {AUDIT_INSERT} ON trial_site;
        CREATE TRIGGER {AUDIT_INSERT} AFTER INSERT ON trial_site REFERENCING NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION trial_audit('', 'name')""",
        "is not as declared",
    ),
    "trigger_for_some_rows": (
        """DROP TRIGGER pgtrigger_revision_guard_20c73 ON trial_revision;
        CREATE TRIGGER pgtrigger_revision_guard_20c73 BEFORE INSERT OR DELETE OR UPDATE ON trial_revision
        FOR EACH ROW WHEN (pg_trigger_depth() = 1) EXECUTE FUNCTION trial_revision_guard()""",
        "trial_revision: the trigger .* is not as declared",
    ),
    "number_not_deferred": (
        """DROP TRIGGER pgtrigger_revision_number_4d179 ON trial_revision;
        CREATE TRIGGER pgtrigger_revision_number_4d179 AFTER UPDATE OF sealed ON trial_revision
        FOR EACH ROW WHEN (NOT OLD.sealed AND NEW.sealed) EXECUTE FUNCTION trial_revision_number()""",
        "is not as declared",
    ),
    "trigger_calls_a_twin": (
        f"""CREATE SCHEMA other;
        CREATE FUNCTION other.trial_audit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
        DROP TRIGGER {AUDIT_INSERT} ON trial_site;
        CREATE TRIGGER {AUDIT_INSERT} AFTER INSERT ON trial_site REFERENCING NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION other.trial_audit('', '')""",
        "is not as declared",
    ),
    "trigger_that_swallows": (
        """CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
        CREATE TRIGGER swallow BEFORE INSERT ON trial_auditentry FOR EACH ROW EXECUTE FUNCTION swallow()""",
        "trial_auditentry: the trigger swallow is not ours",
    ),
    "rule_that_swallows": (
        "CREATE RULE swallow AS ON INSERT TO trial_auditentry DO INSTEAD NOTHING",
        "trial_auditentry: the rule swallow rewrites",
    ),
    "function_emptied": (
        """CREATE OR REPLACE FUNCTION trial_audit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = pg_catalog, public, pg_temp SET timezone = 'UTC' AS 'BEGIN RETURN NULL; END'""",
        "the function trial_audit was changed",
    ),
    "function_runs_as_caller": (
        "ALTER FUNCTION trial_audit() SECURITY INVOKER",
        "the function trial_audit was changed",
    ),
    "function_looks_elsewhere": (
        "ALTER FUNCTION trial_entry_guard() SET search_path = pg_temp, public",
        "the function trial_entry_guard was changed",
    ),
    "function_open_to_all": (
        "GRANT EXECUTE ON FUNCTION trial_current_revision(boolean, text) TO PUBLIC",
        "the function trial_current_revision may be run by everybody",
    ),
    "function_missing": (
        "DROP FUNCTION trial_current_revision(boolean, text)",
        "trial_current_revision is missing",
    ),
    "function_twice": (
        "CREATE FUNCTION trial_audit(text) RETURNS text LANGUAGE sql AS 'SELECT $1'",
        "the function trial_audit is there more than once",
    ),
    "triggers_do_not_fire_here": (
        "SET LOCAL session_replication_role = replica",
        "session_replication_role is replica",
    ),
}


def _break(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(statement)


def test_migrated_database_is_whole() -> None:
    assert checks.faults(connection) == []
    assert [found for found in run_checks(databases=["default"]) if not found.is_silenced()] == []


@pytest.mark.parametrize(("statement", "fault"), BROKEN.values(), ids=BROKEN)
def test_hole_is_seen(statement: str, fault: str) -> None:
    _break(statement)
    found = "; ".join(checks.faults(connection))
    assert re.search(fault, found), found
    with pytest.raises(CommandError, match=r"trial\.E010"):
        call_command("check", databases=["default"])


@pytest.mark.parametrize("table", sorted(model._meta.db_table for model in audited()))
@pytest.mark.parametrize("event", ["INSERT", "UPDATE", "DELETE", "TRUNCATE"])
def test_every_trigger_of_every_table_is_missed(table: str, event: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgname FROM pg_trigger WHERE tgrelid = %s::regclass AND pg_get_triggerdef(oid) LIKE %s"
            " AND NOT tgisinternal",
            [table, f"%% {event} ON %%".replace("%%", "%")],
        )
        names = sorted(name for (name,) in cursor.fetchall())
    assert names
    for name in names:
        _break(f"DROP TRIGGER {name} ON {table}")
    assert sorted(checks.faults(connection)) == [f"{table}: the trigger {name} is missing" for name in names]


def test_another_role_that_may_write_to_the_trail_is_seen() -> None:
    _break(
        "CREATE ROLE careless; GRANT ALL ON ALL TABLES IN SCHEMA public TO careless; SET LOCAL ROLE careless"
    )
    found = checks.faults(connection)
    with connection.cursor() as cursor:
        cursor.execute("RESET ROLE")
    assert sorted(found) == [
        "trial_auditentry: this role may write to the trail without owning it",
        "trial_revision: this role may write to the trail without owning it",
    ]


def test_database_that_waits_for_migrations_is_not_judged() -> None:
    """An upgrade brings changed functions: ``migrate`` must be able to run."""
    _break(
        "ALTER FUNCTION trial_audit() SECURITY INVOKER; DELETE FROM django_migrations WHERE app = 'infusions'"
    )
    [warning] = checks.trail_is_intact(None, ["default"])
    assert warning.id == "trial.W010"
    assert checks.waiting_migrations(connection)


def test_empty_database_has_nothing_to_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection.introspection, "table_names", list)
    assert checks.trail_is_intact(None, ["default"]) == []


# --- what a study table must be -------------------------------------------------------------


def _problems(model: type[models.Model]) -> list[str]:
    return [problem.id or "" for problem in checks.undeclared(model)]


def test_declared_tables_can_be_replayed() -> None:
    assert checks.trail_is_declared(None) == []


@isolate_apps("trial")
def test_table_that_could_not_be_replayed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Careless(models.Model):  # noqa: DJ008
        site = models.ForeignKey(Site, models.CASCADE)
        temperature = models.FloatField()
        remarks = models.JSONField()

        class Meta:
            app_label = "trial"

    class Keyed(models.Model):  # noqa: DJ008
        id = models.UUIDField(primary_key=True)

        class Meta:
            app_label = "trial"

    declared = {Careless: triggers.Trail("patient_id", ("secret",)), Keyed: triggers.Trail()}
    monkeypatch.setattr(checks, "audited", lambda: declared)
    assert sorted(_problems(Careless)) == [
        "trial.E003",
        "trial.E003",
        "trial.E004",
        "trial.E005",
        "trial.E006",
    ]
    assert _problems(Keyed) == ["trial.E002"]


def test_table_without_a_trail_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    without = {model: kept for model, kept in audited().items() if model is not Site}
    monkeypatch.setattr(checks, "audited", lambda: without)
    [problem] = checks.trail_is_declared(None)
    assert (problem.id, problem.obj) == ("trial.E001", Site)


def test_trail_declares_four_triggers() -> None:
    assert [trigger.name for trigger in trail()] == [
        "audit_insert",
        "audit_update",
        "audit_delete",
        "refuse_truncate",
    ]


def test_functions_are_installed_as_they_stand() -> None:
    with connection.cursor() as cursor:
        for statement in trail_functions.create_statements():
            cursor.execute(statement)
    assert checks.faults(connection) == []


# --- migrations -----------------------------------------------------------------------------


def _migrations() -> list[tuple[str, str, Migration]]:
    loaded = MigrationLoader(None).disk_migrations
    return [(app, name, loaded[app, name]) for app, name in sorted(loaded) if app in triggers.STUDY_FLOORS]


def test_newest_text_of_the_functions_has_a_migration() -> None:
    installs = [
        getattr(import_module(f"{app}.migrations.{name}"), "INSTALLS", "") for app, name, _ in _migrations()
    ]
    assert [digest for digest in installs if digest][-1] == trail_functions.digest(), (
        "the functions of the trail changed: add a migration that installs them again, INSTALLS = digest()"
    )


def test_columns_are_added_empty_or_with_a_default_of_the_database() -> None:
    """Otherwise a migration fills rows behind the trail's back, and the trail no longer gives them back."""
    recorded = {model._meta.label_lower for model in audited()}
    careless = [
        f"{app}.{name}: {operation.describe()}"
        for app, name, migration in _migrations()
        if not migration.initial
        for new in [{o.name_lower for o in migration.operations if isinstance(o, CreateModel)}]
        for operation in migration.operations
        if isinstance(operation, AddField | RenameField)
        and f"{app}.{operation.model_name_lower}" in recorded
        and operation.model_name_lower not in new
        and not (
            isinstance(operation, AddField) and (operation.field.null or operation.field.has_db_default())
        )
    ]
    assert not careless


# --- health ---------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _forget_what_was_found() -> None:
    health.forget()


def test_live_needs_no_database(client: Client, django_assert_num_queries: object) -> None:
    with django_assert_num_queries(0):  # type: ignore[operator]
        response = client.get("/health/live/")
    assert response.json() == {"live": True}


def test_ready_while_everything_is_whole(client: Client) -> None:
    response = client.get("/health/ready/")
    assert response.status_code == 200, response.json()
    body = response.json()
    assert body["ready"] is True
    assert body["database"] == body["migrations"] == body["trail"] == "ok"
    assert body["revision"] == 1
    assert response["Cache-Control"] == "no-store"


def test_not_ready_when_the_trail_has_a_hole(client: Client) -> None:
    _break(BROKEN["trigger_off"][0])
    response = client.get("/health/ready/")
    assert (response.status_code, response.json()["ready"]) == (503, False)
    assert response.json()["trail"] == "1 fault"
    assert "pgtrigger" not in response.content.decode(), "the address is open to everybody"


def test_not_ready_when_migrations_wait(client: Client) -> None:
    _break("DELETE FROM django_migrations WHERE app = 'infusions'")
    response = client.get("/health/ready/")
    assert (response.status_code, response.json()["migrations"]) == (503, "waiting")


def test_a_command_that_misses_a_table_names_the_migrations_that_wait() -> None:
    class Late(StudyCommand):
        def handle(self, *args: object, **options: object) -> None:
            raise ProgrammingError('relation "patients_patient" does not exist')

    with pytest.raises(ProgrammingError):
        call_command(Late())
    _break("DELETE FROM django_migrations WHERE app = 'infusions'")
    with pytest.raises(CommandError, match=r"manage\.py migrate") as refusal:
        call_command(Late())
    assert refusal.value.returncode == 2


def test_what_was_found_is_remembered_for_half_a_minute(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert client.get("/health/ready/").status_code == 200
    _break(BROKEN["trigger_off"][0])
    assert client.get("/health/ready/").status_code == 200
    now = health.monotonic()
    monkeypatch.setattr(health, "monotonic", lambda: now + health.REMEMBERED_SECONDS + 1)
    assert client.get("/health/ready/").status_code == 503


def test_not_ready_without_a_database(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OperationalError("connection refused: password of the owner is 1234")

    monkeypatch.setattr(health.connection, "cursor", refuse)
    response = client.get("/health/ready/")
    assert (response.status_code, response.json()) == (503, {"ready": False, "database": "unreachable"})
