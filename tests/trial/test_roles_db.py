"""The application's database role writes study data and cannot touch the trail."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import ProgrammingError, connection, transaction
from psycopg import errors

from tests import factories
from trial import audit, database_roles
from trial.models import AuditEntry, Revision, Site, User

ROLE = "application_of_a_test"

TAMPERING = {
    "insert_a_revision": (
        "INSERT INTO trial_revision (sealed, txid, made_at, actor_id, reason, source, request_id)"
        " VALUES (false, 1, now(), 1, '', '', '')"
    ),
    "change_a_revision": "UPDATE trial_revision SET reason = 'nicer'",
    "renumber": "UPDATE trial_revision SET number = number + 1",
    "delete_a_revision": "DELETE FROM trial_revision",
    "empty_the_revisions": "TRUNCATE trial_revision CASCADE",
    "lock_a_revision": "SELECT 1 FROM trial_revision FOR UPDATE",
    "insert_an_entry": (
        "INSERT INTO trial_auditentry (revision_id, \"table\", \"row\", op) VALUES (1, 'trial_site', 1, 'I')"
    ),
    "change_an_entry": "UPDATE trial_auditentry SET new = NULL",
    "delete_an_entry": "DELETE FROM trial_auditentry",
    "empty_the_entries": "TRUNCATE trial_auditentry",
    "turn_back_the_counter": "SELECT setval('trial_revision_id_seq', 1)",
    "draw_from_the_counter": "SELECT nextval('trial_auditentry_id_seq')",
    "disable_all_triggers": "ALTER TABLE trial_site DISABLE TRIGGER ALL",
    "disable_the_guard": "ALTER TABLE trial_auditentry DISABLE TRIGGER USER",
    "drop_the_table": "DROP TABLE trial_auditentry",
    "add_a_rule": "CREATE RULE nothing AS ON INSERT TO trial_site DO INSTEAD NOTHING",
    "replicate": "SET session_replication_role = replica",
    "ask_for_a_revision": "SELECT trial_current_revision(false, 'trial_site')",
    "replace_the_function": (
        "CREATE OR REPLACE FUNCTION trial_audit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
    ),
    "rename_the_function": "ALTER FUNCTION trial_audit() RENAME TO something_else",
    "drop_the_function": "DROP FUNCTION trial_audit() CASCADE",
    "make_a_table": "CREATE TABLE public.mine (id int)",
    "forge_through_a_temporary_table": (
        "CREATE TEMPORARY TABLE patients_patient (id bigint); "
        "CREATE TRIGGER forge AFTER INSERT ON patients_patient REFERENCING NEW TABLE AS new_rows "
        "FOR EACH STATEMENT EXECUTE FUNCTION trial_audit('id', '')"
    ),
    "forget_a_migration": "DELETE FROM django_migrations",
    "empty_a_study_table": "TRUNCATE trial_site CASCADE",
}


@pytest.fixture
def as_application(sites: dict[str, Site]) -> Iterator[None]:
    """Act as a role that was granted what the application gets; all of it is rolled back."""
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE ROLE {ROLE}")
        database_roles.grant(connection, ROLE)
        cursor.execute(f"SET LOCAL ROLE {ROLE}")
    yield
    with connection.cursor() as cursor:
        cursor.execute("RESET ROLE")


@pytest.mark.usefixtures("as_application")
@pytest.mark.parametrize("attempt", TAMPERING.values(), ids=TAMPERING)
def test_tampering_is_refused(attempt: str) -> None:
    before = list(Revision.objects.order_by("id").values()), AuditEntry.objects.count()
    with pytest.raises(ProgrammingError) as refusal, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(attempt)
    assert isinstance(refusal.value.__cause__, errors.InsufficientPrivilege)
    assert (list(Revision.objects.order_by("id").values()), AuditEntry.objects.count()) == before


@pytest.mark.usefixtures("as_application")
def test_application_writes_study_data_and_reads_its_trail() -> None:
    clerk = factories.a_user(username="clerk", role=None)
    with audit.revision(by=clerk, reason="opened") as written:
        site = Site.objects.create(code="GN", name="Guangzhou North")
    audit.settle()
    entry = AuditEntry.objects.get(revision__number=written.number)
    assert (entry.table, entry.row, entry.op) == ("trial_site", site.pk, "I")


@pytest.mark.usefixtures("as_application")
def test_switch_of_the_trigger_library_changes_nothing() -> None:
    with pytest.raises(ProgrammingError, match="without an actor"), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL pgtrigger.ignore = '{trial_site:audit_insert,trial_site:audit_update}'")
        Site.objects.create(code="GN", name="Guangzhou North")


@pytest.mark.usefixtures("as_application")
def test_temporary_twin_of_the_trail_catches_nothing(coordinator: User) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE trial_auditentry (LIKE public.trial_auditentry)")
        with audit.revision(by=coordinator, reason="opened"):
            cursor.execute(
                "INSERT INTO trial_site (code, name, time_zone) VALUES ('GN', 'North', 'UTC') RETURNING id"
            )
            (row,) = cursor.fetchone()
        cursor.execute("SELECT count(*) FROM pg_temp.trial_auditentry")
        assert cursor.fetchone() == (0,)
        cursor.execute(
            'SELECT count(*) FROM public.trial_auditentry WHERE "table" = \'trial_site\' AND "row" = %s',
            [row],
        )
        assert cursor.fetchone() == (1,)


def test_one_role_for_everything_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    databases = {"default": {"USER": "one"}, "owner": {"USER": "one"}}
    monkeypatch.setattr(database_roles.settings, "DATABASES", databases)
    assert [warning.id for warning in database_roles.check_two_roles()] == ["trial.W001"]
    databases["owner"]["USER"] = "another"
    assert database_roles.check_two_roles() == []
