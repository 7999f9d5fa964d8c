"""Every study table leaves the same trail by every way in which rows are written."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, ProgrammingError, connection, models, transaction
from django.forms import ModelForm, model_to_dict, modelform_factory
from psycopg import sql

from tests.trial.study_rows import ADDED_TO_ONLY, MODELS, SAMPLES, as_json, json_of_a_new_row, sample, saved
from trial import audit
from trial.models import AuditEntry, Revision, Site, User
from trial.triggers import UNTRAILED, audited, study_models

pytestmark = pytest.mark.django_db

Model = type[models.Model]
TABLES = [pytest.param(model, id=model._meta.db_table) for model in MODELS]
CHANGING = [
    pytest.param(model, id=model._meta.db_table)
    for model in MODELS
    if model._meta.db_table not in ADDED_TO_ONLY
]


def test_every_study_table_has_a_trail_or_a_reason() -> None:
    without = {model._meta.label for model in study_models() if model not in audited()}
    assert without == set(UNTRAILED)
    assert all(UNTRAILED.values())


def test_no_sample_is_left_over() -> None:
    assert set(SAMPLES) == {model._meta.db_table for model in MODELS}


# --- ways to insert -------------------------------------------------------------------------


def _columns(model: Model) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(f.column) for f in model._meta.local_concrete_fields)


def _at(model: Model, **more: Any) -> dict[str, Any]:
    return {"table": sql.Identifier(model._meta.db_table), "columns": _columns(model)} | more


def _run(text: str, parameters: list[Any], at: dict[str, Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL(text).format(**at), parameters)  # type: ignore[arg-type]


FROM_JSON = "SELECT {columns} FROM jsonb_populate_record(NULL::{table}, %s::jsonb)"


def insert_by_save(model: Model) -> None:
    row = sample(model).make()
    with _written():
        row.save()


def insert_by_bulk_create(model: Model) -> None:
    row = sample(model).make()
    with _written():
        model._default_manager.bulk_create([row])


def insert_by_form(model: Model) -> None:
    """As the admin does it: a form made of the model."""
    row = sample(model).make()
    names = [f.name for f in model._meta.local_concrete_fields if f.editable and not f.primary_key]
    form_class: type[ModelForm[Any]] = modelform_factory(model, fields=names)
    form = form_class(data=model_to_dict(row))
    assert form.is_valid(), form.errors
    with _written():
        form.save()


def insert_by_raw_sql(model: Model) -> None:
    text = json.dumps(json_of_a_new_row(model), default=str)
    with _written():
        _run("INSERT INTO {table} ({columns}) " + FROM_JSON, [text], _at(model))


def insert_by_copy(model: Model) -> None:
    fields = model._meta.local_concrete_fields
    json_row = json_of_a_new_row(model)
    copy = sql.SQL("COPY {table} ({columns}) FROM STDIN").format(**_at(model))
    with _written(), connection.cursor() as cursor, cursor.copy(copy) as rows:
        values = [json_row[f.column] for f in fields]
        rows.write_row([json.dumps(value) if isinstance(value, dict) else value for value in values])


def insert_by_merge(model: Model) -> None:
    text = json.dumps(json_of_a_new_row(model), default=str)
    values = sql.SQL(", ").join(sql.Identifier("s", f.column) for f in model._meta.local_concrete_fields)
    with _written():
        _run(
            "MERGE INTO {table} AS t USING (" + FROM_JSON + ") AS s ON t.id = s.id"
            " WHEN NOT MATCHED THEN INSERT ({columns}) VALUES ({values})",
            [text],
            _at(model, values=values),
        )


def insert_by_writable_cte(model: Model) -> None:
    text = json.dumps(json_of_a_new_row(model), default=str)
    with _written():
        _run(
            "WITH added AS (INSERT INTO {table} ({columns}) "
            + FROM_JSON
            + " RETURNING id) SELECT * FROM added",
            [text],
            _at(model),
        )


def insert_by_upsert(model: Model) -> None:
    row = sample(model).make()
    with _written():
        model._default_manager.bulk_create(
            [row], update_conflicts=True, unique_fields=["id"], update_fields=[sample(model).column]
        )


INSERTS = [
    insert_by_save,
    insert_by_bulk_create,
    insert_by_form,
    insert_by_raw_sql,
    insert_by_copy,
    insert_by_merge,
    insert_by_writable_cte,
    insert_by_upsert,
]


# --- ways to change -------------------------------------------------------------------------


def change_by_save(row: models.Model, column: str, value: object) -> None:
    setattr(row, column, value)
    row.save()


def change_by_save_of_one_field(row: models.Model, column: str, value: object) -> None:
    setattr(row, column, value)
    row.save(update_fields=[column])


def change_by_update(row: models.Model, column: str, value: object) -> None:
    type(row)._default_manager.filter(pk=row.pk).update(**{column: value})


def change_by_bulk_update(row: models.Model, column: str, value: object) -> None:
    setattr(row, column, value)
    type(row)._default_manager.bulk_update([row], [column])


def change_by_form(row: models.Model, column: str, value: object) -> None:
    form = modelform_factory(type(row), fields=[column])(data={column: value}, instance=row)
    assert form.is_valid(), form.errors
    form.save()


def change_by_raw_sql(row: models.Model, column: str, value: object) -> None:
    _run("UPDATE {table} SET {column} = %s WHERE id = %s", [value, row.pk], _of(row, column))


def change_by_upsert(row: models.Model, column: str, value: object) -> None:
    setattr(row, column, value)
    type(row)._default_manager.bulk_create(
        [row], update_conflicts=True, unique_fields=["id"], update_fields=[column]
    )


def change_by_merge(row: models.Model, column: str, value: object) -> None:
    _run(
        "MERGE INTO {table} AS t USING (SELECT %s AS id) AS s ON t.id = s.id"
        " WHEN MATCHED THEN UPDATE SET {column} = %s",
        [row.pk, value],
        _of(row, column),
    )


def change_by_writable_cte(row: models.Model, column: str, value: object) -> None:
    _run(
        "WITH changed AS (UPDATE {table} SET {column} = %s WHERE id = %s RETURNING id) SELECT * FROM changed",
        [value, row.pk],
        _of(row, column),
    )


def _of(row: models.Model, column: str = "id") -> dict[str, Any]:
    return {"table": sql.Identifier(row._meta.db_table), "column": sql.Identifier(column)}


CHANGES = [
    change_by_save,
    change_by_save_of_one_field,
    change_by_update,
    change_by_bulk_update,
    change_by_form,
    change_by_raw_sql,
    change_by_upsert,
    change_by_merge,
    change_by_writable_cte,
]


# --- ways to delete -------------------------------------------------------------------------


def delete_by_row(row: models.Model) -> None:
    row.delete()


def delete_by_queryset(row: models.Model) -> None:
    type(row)._default_manager.filter(pk=row.pk).delete()


def delete_by_raw_sql(row: models.Model) -> None:
    _run("DELETE FROM {table} WHERE id = %s", [row.pk], _of(row))


def delete_by_merge(row: models.Model) -> None:
    _run(
        "MERGE INTO {table} AS t USING (SELECT %s AS id) AS s ON t.id = s.id WHEN MATCHED THEN DELETE",
        [row.pk],
        _of(row),
    )


def delete_by_writable_cte(row: models.Model) -> None:
    _run(
        "WITH gone AS (DELETE FROM {table} WHERE id = %s RETURNING id) SELECT * FROM gone", [row.pk], _of(row)
    )


DELETES = [delete_by_row, delete_by_queryset, delete_by_raw_sql, delete_by_merge, delete_by_writable_cte]


# --- one trail ------------------------------------------------------------------------------

REASON = "typing slip corrected"


def _written() -> Any:
    return audit.revision(by=audit.service_account(), reason=REASON, source="a test", request_id="r-1")


def _entries_since(last: int) -> list[AuditEntry]:
    audit.settle()
    return list(
        AuditEntry.objects.filter(revision__number__gt=last).select_related("revision").order_by("id")
    )


def _shown(model: Model, json_row: dict[str, Any]) -> dict[str, Any]:
    return {column: value for column, value in json_row.items() if column not in audited()[model].hidden}


def _plain(value: dict[str, Any] | None) -> dict[str, str] | None:
    return None if value is None else {column: str(entry) for column, entry in value.items()}


def _patient_of(model: Model, json_row: dict[str, Any]) -> int | None:
    column = audited()[model].patient
    return json_row[column] if column else None


def _assert_told(entry: AuditEntry, op: str, model: Model, row: int, patient: int | None) -> None:
    assert (entry.op, entry.table, entry.row, entry.patient_id) == (op, model._meta.db_table, row, patient)
    revision = entry.revision
    assert (revision.actor, revision.reason) == (audit.service_account(), REASON)
    assert (revision.source, revision.request_id) == ("a test", "r-1")
    assert revision.sealed


@pytest.mark.parametrize("way", INSERTS)
@pytest.mark.parametrize("model", TABLES)
def test_insert_is_told(model: Model, way: Callable[[Model], None]) -> None:
    way(model)
    audit.settle()
    [entry] = AuditEntry.objects.filter(revision__source="a test")
    row = model._default_manager.get(pk=entry.row)
    found = as_json(row)
    _assert_told(entry, "I", model, row.pk, _patient_of(model, found))
    assert entry.old is None
    assert _plain(entry.new) == _plain(_shown(model, found))


@pytest.mark.parametrize("way", CHANGES)
@pytest.mark.parametrize("model", CHANGING)
def test_change_is_told(model: Model, way: Callable[[models.Model, str, object], None]) -> None:
    row = saved(sample(model).make())
    row = model._default_manager.get(pk=row.pk)
    was, last = as_json(row), audit.latest_revision()
    with _written() as written:
        way(row, sample(model).column, sample(model).value)
    [entry] = _entries_since(last)
    is_ = as_json(row)
    assert was[sample(model).column] != is_[sample(model).column]
    _assert_told(entry, "U", model, row.pk, _patient_of(model, was))
    assert written.number == entry.revision.number
    assert _plain(entry.old) == _plain(_shown(model, was))
    assert _plain(entry.new) == _plain(_shown(model, is_))


@pytest.mark.parametrize("way", DELETES)
@pytest.mark.parametrize("model", CHANGING)
def test_deletion_is_told(model: Model, way: Callable[[models.Model], None]) -> None:
    row = saved(sample(model).make())
    was, last, key = as_json(row), audit.latest_revision(), row.pk
    with _written():
        way(row)
    [entry] = _entries_since(last)
    _assert_told(entry, "D", model, key, _patient_of(model, was))
    assert _plain(entry.old) == _plain(_shown(model, was))
    assert entry.new is None


# --- refused --------------------------------------------------------------------------------


@pytest.mark.parametrize("model", TABLES)
@pytest.mark.parametrize("what", ["insert", "change", "delete"])
def test_write_without_an_actor_is_refused(model: Model, what: str) -> None:
    row = sample(model).make() if what == "insert" else saved(sample(model).make())
    refusal = f"write to {model._meta.db_table} without an actor refused"
    if model._meta.db_table in ADDED_TO_ONLY and what != "insert":
        refusal = f"{model._meta.db_table} is only added to"
    with pytest.raises(ProgrammingError, match=refusal):
        _attempt(row, what)


@pytest.mark.parametrize("table", sorted(ADDED_TO_ONLY))
@pytest.mark.parametrize("what", ["change", "delete"])
def test_what_is_only_added_to_never_changes(table: str, what: str) -> None:
    row = saved(SAMPLES[table].make())
    with pytest.raises(ProgrammingError, match=f"{table} is only added to, never changed"), _written():
        _attempt(row, what)


@pytest.mark.parametrize("model", CHANGING)
@pytest.mark.parametrize("what", ["change", "delete"])
@pytest.mark.parametrize("reason", ["", "  \t\n", "\u3000\u00a0"])
def test_change_without_a_reason_is_refused(model: Model, what: str, reason: str) -> None:
    row = saved(sample(model).make())
    with (
        pytest.raises(ProgrammingError, match=f"change of {model._meta.db_table} without a reason refused"),
        audit.revision(by=audit.service_account(), reason=reason),
    ):
        _attempt(row, what)


def _attempt(row: models.Model, what: str) -> None:
    model = type(row)
    with transaction.atomic():
        if what == "insert":
            row.save(force_insert=True)
        elif what == "change":
            model._default_manager.filter(pk=row.pk).update(**{sample(model).column: sample(model).value})
        else:
            model._default_manager.filter(pk=row.pk).delete()


@pytest.mark.parametrize(
    "actor", ["", "li.min", "-1", "1e3", "999999999999", "1; DROP TABLE trial_site", "99999999999999999999"]
)
def test_forged_actor_is_refused(actor: str) -> None:
    with (
        pytest.raises(ProgrammingError, match=r"without an actor refused|by an unknown actor refused"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT set_config('cordline.actor', %s, true)", [actor])
        Site.objects.create(code="GN", name="North")


@pytest.mark.parametrize("model", CHANGING)
def test_key_never_changes(model: Model) -> None:
    row = saved(sample(model).make())
    with (
        pytest.raises(IntegrityError, match=f"a primary key of {model._meta.db_table} may not change"),
        _written(),
    ):
        model._default_manager.filter(pk=row.pk).update(id=row.pk + 1_000_000)


@pytest.mark.parametrize(
    "model", [pytest.param(m, id=m._meta.db_table) for m in MODELS if audited()[m].patient not in {"", "id"}]
)
def test_row_stays_with_its_patient(model: Model) -> None:
    row, other = saved(sample(model).make()), saved(SAMPLES["patients_patient"].make())
    with (
        pytest.raises(
            IntegrityError, match=f"a row of {model._meta.db_table} may not move to another patient"
        ),
        _written(),
    ):
        model._default_manager.filter(pk=row.pk).update(**{audited()[model].patient: other.pk})


# --- what leaves no trace -------------------------------------------------------------------


@pytest.mark.parametrize("model", TABLES)
def test_change_to_the_same_leaves_no_trace_and_asks_for_no_reason(model: Model) -> None:
    row = saved(sample(model).make())
    last, revisions = audit.latest_revision(), Revision.objects.count()
    column = sample(model).column
    model._default_manager.filter(pk=row.pk).update(**{column: getattr(row, column)})
    with audit.revision(by=audit.service_account()) as written:
        row.save()
    assert _entries_since(last) == []
    assert written.id is None
    assert written.number is None
    assert Revision.objects.count() == revisions


@pytest.mark.parametrize("model", TABLES)
def test_statement_without_rows_leaves_no_trace_and_asks_for_nobody(model: Model) -> None:
    column, value = sample(model).column, sample(model).value
    revisions = Revision.objects.count()
    model._default_manager.filter(pk=-1).update(**{column: value})
    model._default_manager.filter(pk=-1).delete()
    _run("INSERT INTO {table} ({columns}) SELECT {columns} FROM {table} WHERE false", [], _at(model))
    assert Revision.objects.count() == revisions


def test_hidden_columns_stay_out_of_the_trail(coordinator: User) -> None:
    last = audit.latest_revision()
    coordinator.set_password("a new and longer secret")
    coordinator.save(update_fields=["password"])
    assert _entries_since(last) == []
    coordinator.last_name = "Ma"
    with audit.revision(by=coordinator, reason="married"):
        coordinator.save()
    [entry] = _entries_since(last)
    assert entry.new["last_name"] == "Ma"
    assert not {"password", "last_login"} & (entry.new.keys() | entry.old.keys())


def test_times_read_the_same_whatever_zone_the_writer_lives_in() -> None:
    visit = saved(SAMPLES["patients_visit"].make())
    last = audit.latest_revision()
    for zone in ("Asia/Shanghai", "America/St_Johns"):
        with connection.cursor() as cursor, _written():
            cursor.execute("SELECT set_config('timezone', %s, true)", [zone])
            cursor.execute(
                "UPDATE patients_visit SET voided_at = '2024-03-31 01:30:00.000001+00', version = version + 1"
                " WHERE id = %s",
                [visit.pk],
            )
            cursor.execute("SELECT current_setting('timezone')")
            assert cursor.fetchone() == (zone,), "the writer keeps its own zone"
    told = [entry.new["voided_at"] for entry in _entries_since(last)]
    assert told == ["2024-03-31T01:30:00.000001+00:00"] * 2


# --- tables with difficult columns ----------------------------------------------------------

NASTY = ["n", "new_rows", "old_rows", "before", "after", "was", "becomes", "changed", "written", "moved",
         "op", "table", "row", "old", "new", "reason", "number", "_reason", "_patient", "_hidden"]  # fmt: skip


@pytest.fixture
def scratch() -> None:
    """A table that is gone after the test, audited like the others, with every confusing name."""
    columns = ", ".join(f'"{name}" text' for name in NASTY)
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE parent (id bigint PRIMARY KEY)")
        cursor.execute(
            "CREATE TABLE scratch (id bigint PRIMARY KEY, parent_id bigint REFERENCES parent ON DELETE CASCADE,"
            f" amount numeric, at timestamptz, {columns})"
        )
        for event, rows in (
            ("INSERT", "NEW TABLE AS new_rows"),
            ("UPDATE", "OLD TABLE AS old_rows NEW TABLE AS new_rows"),
            ("DELETE", "OLD TABLE AS old_rows"),
        ):
            cursor.execute(
                f"CREATE TRIGGER {event} AFTER {event} ON scratch REFERENCING {rows}"
                " FOR EACH STATEMENT EXECUTE FUNCTION trial_audit('parent_id', '')"
            )


@pytest.mark.usefixtures("scratch")
def test_columns_named_like_the_trails_own_words_do_not_confuse_it() -> None:
    with connection.cursor() as cursor, _written():
        cursor.execute("INSERT INTO parent VALUES (7)")
        names = ", ".join(f'"{name}"' for name in NASTY)
        values = ", ".join(f"'{name}!'" for name in NASTY)
        cursor.execute(f"INSERT INTO scratch (id, parent_id, {names}) VALUES (1, 7, {values})")
        cursor.execute("UPDATE scratch SET " + ", ".join(f"\"{name}\" = '{name}?'" for name in NASTY))
        cursor.execute("DELETE FROM scratch")
    entries = {entry.op: entry for entry in AuditEntry.objects.filter(table="scratch")}
    for name in NASTY:
        assert entries["I"].new[name] == entries["U"].old[name] == f"{name}!"
        assert entries["U"].new[name] == entries["D"].old[name] == f"{name}?"
    assert {entry.patient_id for entry in entries.values()} == {7}


@pytest.mark.usefixtures("scratch")
def test_trailing_zero_is_a_change() -> None:
    with connection.cursor() as cursor, _written():
        cursor.execute("INSERT INTO scratch (id, amount) VALUES (1, 1.1)")
        cursor.execute("UPDATE scratch SET amount = 1.10")
        cursor.execute("SELECT old ->> 'amount', new ->> 'amount' FROM trial_auditentry WHERE op = 'U'")
        assert cursor.fetchone() == ("1.1", "1.10")


@pytest.mark.usefixtures("scratch")
def test_cascade_of_the_database_is_told() -> None:
    with connection.cursor() as cursor, _written():
        cursor.execute("INSERT INTO parent SELECT generate_series(1, 3)")
        cursor.execute(
            "INSERT INTO scratch (id, parent_id) SELECT n, 1 + n % 3 FROM generate_series(1, 30) AS n"
        )
        cursor.execute("DELETE FROM parent WHERE id = 2")
    gone = AuditEntry.objects.filter(table="scratch", op="D")
    assert {(entry.row, entry.patient_id) for entry in gone} == {(row, 2) for row in range(1, 31, 3)}


# --- one revision per transaction and person ------------------------------------------------


def test_nested_revisions_are_one(coordinator: User) -> None:
    last = audit.latest_revision()
    with audit.revision(by=coordinator, source="outer") as outer:
        site = Site.objects.create(code="GN", name="North")
        with audit.revision(by=coordinator, reason="misspelt") as inner:
            Site.objects.filter(pk=site.pk).update(name="Northwest")
        Site.objects.create(code="GW", name="West")
        with audit.revision(by=coordinator, reason="idle") as idle:
            Site.objects.filter(pk=-1).update(name="nothing")
    audit.settle()
    [revision] = Revision.objects.filter(number__gt=last)
    assert (outer.number, inner.number, idle.number) == (revision.number, revision.number, None)
    assert (revision.source, revision.reason) == ("outer", "misspelt")
    assert revision.entries.count() == 3


def test_every_reason_is_kept_once(coordinator: User) -> None:
    last = audit.latest_revision()
    with audit.revision(by=coordinator, reason="monthly file"):
        site = Site.objects.create(code="GN", name="North")
        for reason, name in [("slip", "N1"), ("slip; again", "N2"), ("slip", "N3"), ("monthly file", "N4")]:
            with audit.revision(by=coordinator, reason=reason):
                Site.objects.filter(pk=site.pk).update(name=name)
    audit.settle()
    [revision] = Revision.objects.filter(number__gt=last)
    assert revision.reason == "monthly file; slip; slip; again"


def test_reason_of_a_nested_revision_ends_with_it(coordinator: User) -> None:
    site = saved(SAMPLES["trial_site"].make())
    with audit.revision(by=coordinator):
        with audit.revision(by=coordinator, reason="slip"):
            Site.objects.filter(pk=site.pk).update(name="A")
        with pytest.raises(ProgrammingError, match="without a reason"), transaction.atomic():
            Site.objects.filter(pk=site.pk).update(name="B")


def test_somebody_else_may_not_write_inside_a_revision(coordinator: User, data_manager: User) -> None:
    with (
        audit.revision(by=coordinator),
        pytest.raises(audit.AnotherActor),
        audit.revision(by=data_manager, reason="mine"),
    ):
        pass
    with audit.revision(by=data_manager):
        Site.objects.create(code="GN", name="North")
    assert Revision.objects.order_by("-id")[0].actor == data_manager


def test_two_people_in_one_transaction_have_a_revision_each(coordinator: User, data_manager: User) -> None:
    last = audit.latest_revision()
    with transaction.atomic():
        for person, code in ((coordinator, "GN"), (data_manager, "GW")):
            with audit.revision(by=person):
                Site.objects.create(code=code, name=code)
    audit.settle()
    told = Revision.objects.filter(number__gt=last).order_by("number")
    assert [(r.number - last, r.actor, r.entries.get().new["code"]) for r in told] == [
        (1, coordinator, "GN"),
        (2, data_manager, "GW"),
    ]


def test_account_that_is_not_saved_cannot_write() -> None:
    with pytest.raises(ValueError, match="saved"), audit.revision(by=User(username="nobody")):
        pass


# --- savepoints -----------------------------------------------------------------------------


class _ChangedTheirMind(Exception):
    pass


@pytest.mark.parametrize("first_is_undone", [True, False])
def test_undone_savepoint_takes_its_entries_along(coordinator: User, first_is_undone: bool) -> None:
    last = audit.latest_revision()
    with audit.revision(by=coordinator) as written:
        for code, undone in (("GN", first_is_undone), ("GW", not first_is_undone), ("GX", False)):
            with pytest.raises(_ChangedTheirMind) if undone else nullcontext(), transaction.atomic():
                Site.objects.create(code=code, name=code)
                if undone:
                    raise _ChangedTheirMind
    told = {entry.new["code"] for entry in _entries_since(last)}
    assert told == ({"GW", "GX"} if first_is_undone else {"GN", "GX"})
    assert Revision.objects.filter(number__gt=last).count() == 1
    assert written.number == last + 1


def test_only_write_undone_leaves_no_revision(coordinator: User) -> None:
    revisions = Revision.objects.count()
    with (
        audit.revision(by=coordinator) as written,
        pytest.raises(_ChangedTheirMind),
        transaction.atomic(),
    ):
        Site.objects.create(code="GN", name="North")
        raise _ChangedTheirMind
    audit.settle()
    assert written.id is None
    assert Revision.objects.count() == revisions


def test_error_in_a_nested_revision_gives_the_outer_one_back(coordinator: User) -> None:
    last = audit.latest_revision()
    with audit.revision(by=coordinator, reason="outer", source="outer"):
        with pytest.raises(_ChangedTheirMind), audit.revision(by=coordinator, reason="inner", source="inner"):
            Site.objects.create(code="GN", name="North")
            raise _ChangedTheirMind
        Site.objects.create(code="GW", name="West")
    [entry] = _entries_since(last)
    assert (entry.new["code"], entry.revision.reason, entry.revision.source) == ("GW", "outer", "outer")


# --- forged hints ---------------------------------------------------------------------------


@pytest.mark.parametrize("hint", ["", "x", "-1", "9" * 40, "1 OR 1", "another", "finished"])
def test_forged_revision_is_not_believed(coordinator: User, data_manager: User, hint: str) -> None:
    finished = Revision.objects.order_by("-id")[0]
    with audit.revision(by=data_manager):
        Site.objects.create(code="GN", name="North")
    others = Revision.objects.get(number=None)
    with audit.revision(by=coordinator) as written, connection.cursor() as cursor:
        forged = {"another": str(others.pk), "finished": str(finished.pk)}.get(hint, hint)
        cursor.execute(
            "SELECT set_config('cordline.revision', %s, true), set_config('cordline.wrote', %s, true)",
            [forged] * 2,
        )
        Site.objects.create(code="GW", name="West")
    revision = AuditEntry.objects.get(new__code="GW").revision
    assert (revision.pk, revision.actor) == (written.id, coordinator)
    assert revision not in {others, finished}


def test_forged_answer_is_not_believed(coordinator: User) -> None:
    for forged in ("x", "9" * 30, "1"):
        with audit.revision(by=coordinator) as written, connection.cursor() as cursor:
            cursor.execute("SELECT set_config('cordline.wrote', %s, true)", [forged])
        assert written.id is None or Revision.objects.filter(pk=written.id, txid=_txid()).exists()


def _txid() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_xact_id()::text::bigint")
        return int(cursor.fetchone()[0])


@pytest.mark.parametrize("value", ["0.300000", "17.100000", "1234567890.123457", "0.000001"])
def test_numbers_read_back_to_the_last_digit(value: str) -> None:
    result = SAMPLES["patients_labresult"].make()
    result.analyte, result.value = "hbv_dna", Decimal(value)  # type: ignore[attr-defined]
    saved(result)
    told = AuditEntry.objects.get(table="patients_labresult", row=result.pk).new["value"]
    assert isinstance(told, Decimal)
    assert str(told) == value
