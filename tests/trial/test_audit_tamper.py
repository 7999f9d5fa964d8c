"""Even the owner of the tables cannot rewrite the trail without leaving it visibly broken."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, ProgrammingError, connection, transaction
from psycopg import errors

from tests.trial.study_rows import MODELS
from trial import audit
from trial.models import AuditEntry, Revision, Site, User

ENTRY = "(revision_id, \"table\", \"row\", op) VALUES (1, 'trial_site', 1, 'I')"
REVISION = "(sealed, txid, made_at, actor_id, reason, source, request_id) VALUES (false, 1, now(), 1, 'forged', '', '')"

AS_OWNER = {
    "insert_a_revision": f"INSERT INTO trial_revision {REVISION}",
    "insert_a_revision_twice": f"INSERT INTO trial_revision {REVISION} ON CONFLICT DO NOTHING",
    "change_the_reason": "UPDATE trial_revision SET reason = 'nicer'",
    "change_the_actor": "UPDATE trial_revision SET actor_id = 1 + actor_id",
    "change_the_time": "UPDATE trial_revision SET made_at = made_at - interval '1 day'",
    "renumber": "UPDATE trial_revision SET number = number + 1000",
    "unseal": "UPDATE trial_revision SET sealed = false",
    "change_by_merge": (
        "MERGE INTO trial_revision r USING (SELECT 1) AS s ON true WHEN MATCHED THEN UPDATE SET reason = 'nicer'"
    ),
    "change_in_a_cte": "WITH x AS (UPDATE trial_revision SET reason = 'nicer' RETURNING id) SELECT * FROM x",
    "delete_a_revision": "DELETE FROM trial_revision",
    "empty_the_revisions": "TRUNCATE trial_revision CASCADE",
    "insert_an_entry": f"INSERT INTO trial_auditentry {ENTRY}",
    "insert_an_entry_unless_there": f"INSERT INTO trial_auditentry {ENTRY} ON CONFLICT DO NOTHING",
    "insert_no_entry_at_all": "INSERT INTO trial_auditentry SELECT * FROM trial_auditentry WHERE false",
    "change_an_entry": 'UPDATE trial_auditentry SET new = new || \'{"code": "ZZ"}\'',
    "change_no_entry": "UPDATE trial_auditentry SET new = NULL WHERE false",
    "delete_an_entry": "DELETE FROM trial_auditentry",
    "delete_in_a_cte": "WITH x AS (DELETE FROM trial_auditentry RETURNING id) SELECT * FROM x",
    "empty_the_entries": "TRUNCATE trial_auditentry",
    "empty_everything": "TRUNCATE trial_auditentry, trial_revision, trial_site, trial_user CASCADE",
    "ignore_our_triggers": (
        "SET LOCAL pgtrigger.ignore = '{trial_auditentry:entry_guard,pgtrigger_entry_guard_0af8c}';"
        " DELETE FROM trial_auditentry"
    ),
    "say_who_and_forge": (
        "SELECT set_config('cordline.actor', '1', true), set_config('cordline.reason', 'forged', true);"
        " DELETE FROM trial_revision"
    ),
    "seal_early": (
        "SET CONSTRAINTS ALL IMMEDIATE; UPDATE trial_revision SET sealed = true, number = 99 WHERE number IS NULL;"
        " UPDATE trial_revision SET number = number"
    ),
    "call_the_number_giver": "SELECT trial_revision_number()",
}


@pytest.fixture
def told(coordinator: User) -> None:
    """A trail with two finished revisions."""
    for reason, name in (("opened", "North"), ("misspelt", "Northwest")):
        with audit.revision(by=coordinator, reason=reason):
            Site.objects.update_or_create(code="GN", defaults={"name": name})
        audit.settle()


def _trail() -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    return list(Revision.objects.order_by("id").values()), list(AuditEntry.objects.order_by("id").values())


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize("attempt", AS_OWNER.values(), ids=AS_OWNER)
def test_owner_is_refused(attempt: str) -> None:
    before = _trail()
    with pytest.raises(DatabaseError) as refusal, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(attempt)
    expected = (
        errors.FeatureNotSupported
        if "SELECT trial_revision_number" in attempt
        else errors.InsufficientPrivilege
    )
    assert isinstance(refusal.value.__cause__, expected), refusal.value
    assert _trail() == before


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize("table", ["trial_revision", "trial_auditentry"])
def test_owner_cannot_copy_into_the_trail(table: str) -> None:
    before = _trail()
    columns = {"trial_revision": "sealed, txid, made_at, actor_id, reason, source, request_id",
               "trial_auditentry": 'revision_id, "table", "row", op'}[table]  # fmt: skip
    row = {"trial_revision": (False, 1, "2024-01-01", 1, "x", "", ""),
           "trial_auditentry": (1, "trial_site", 1, "I")}[table]  # fmt: skip
    with (
        pytest.raises(errors.InsufficientPrivilege),
        transaction.atomic(),
        connection.cursor() as cursor,
        cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as rows,
    ):
        rows.write_row(row)
    assert _trail() == before


@pytest.mark.parametrize("table", [*(m._meta.db_table for m in MODELS), "trial_revision", "trial_auditentry"])
@pytest.mark.parametrize("how", ["", "CASCADE"])
@pytest.mark.django_db
def test_no_table_may_be_emptied(table: str, how: str) -> None:
    with pytest.raises(DatabaseError) as refusal, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(f"TRUNCATE {table} {how}")
    # without CASCADE PostgreSQL itself may be first: another table refers to this one
    assert isinstance(refusal.value.__cause__, errors.InsufficientPrivilege | errors.FeatureNotSupported)
    if how:
        assert "may not be emptied" in str(refusal.value)


@pytest.mark.usefixtures("told")
def test_open_revision_of_another_transaction_cannot_be_joined(coordinator: User) -> None:
    """A revision that a crash left open (it cannot be, short of a superuser) takes no more entries."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(
            "UPDATE trial_revision SET number = NULL, sealed = false, txid = 3 WHERE reason = 'misspelt'"
        )
        cursor.execute("SET LOCAL session_replication_role = origin")
        cursor.execute("SELECT id FROM trial_revision WHERE reason = 'misspelt'")
        (abandoned,) = cursor.fetchone()
        with audit.revision(by=coordinator) as written:
            cursor.execute("SELECT set_config('cordline.revision', %s, true)", [str(abandoned)])
            Site.objects.create(code="GW", name="West")
    assert written.id not in {None, abandoned}


@pytest.mark.usefixtures("told")
def test_reason_of_an_open_revision_can_only_grow(coordinator: User) -> None:
    """Not even a trigger of the owner's own may rewrite what an open revision says."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION prettify() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " UPDATE trial_revision SET reason = 'routine' WHERE number IS NULL; RETURN NULL; END $$"
        )
        cursor.execute("CREATE TRIGGER prettify AFTER INSERT ON auth_group EXECUTE FUNCTION prettify()")
        with (
            pytest.raises(ProgrammingError, match="a revision never changes"),
            audit.revision(by=coordinator, reason="misspelt"),
        ):
            Site.objects.filter(code="GN").update(name="South")
            cursor.execute("INSERT INTO auth_group (name) VALUES ('x')")
