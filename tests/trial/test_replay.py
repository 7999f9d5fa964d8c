"""The trail gives the tables back, and tells when somebody went round it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, models, transaction

from infusions.models import CellLot, Infusion
from patients.models import LabResult, Outcome, Patient, Visit
from tests import factories
from tests.trial.study_rows import ADDED_TO_ONLY, MODELS, SAMPLES, sample, saved
from trial import audit, protocol, replay
from trial.models import AuditEntry, Site, User

pytestmark = pytest.mark.django_db


def _verified() -> replay.Report:
    factories.settle()
    return replay.verify()


def _behind_the_back(statement: str, *parameters: object) -> None:
    """Write as a superuser with all triggers silent."""
    factories.settle()
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(statement, parameters)
        assert cursor.rowcount, "the tampering did nothing"
        cursor.execute("SET LOCAL session_replication_role = origin")


@pytest.fixture
def study(coordinator: User) -> Iterator[Patient]:
    """One row of every table, each changed once; one more of some deleted."""
    rows: dict[str, models.Model] = {}
    for model in MODELS:
        rows[model._meta.db_table] = row = saved(sample(model).make())
        if model._meta.db_table in ADDED_TO_ONLY:
            continue
        with audit.revision(by=coordinator, reason="changed"):
            model._default_manager.filter(pk=row.pk).update(**{sample(model).column: sample(model).value})
        factories.settle()
    gone = saved(SAMPLES["infusions_celllot"].make())
    with audit.revision(by=coordinator, reason="entered twice"):
        gone.delete()
    factories.settle()
    patient = rows["patients_patient"]
    assert isinstance(patient, Patient)
    yield patient


def test_fresh_database_is_whole() -> None:
    report = _verified()
    assert report.findings == []
    assert report.revision == audit.latest_revision() == 1, "the service account came with a migration"


@pytest.mark.usefixtures("study")
def test_every_table_comes_back() -> None:
    report = _verified()
    assert report.findings == []
    assert report.revision == audit.latest_revision()
    counted = {table.table: (table.rows, table.entries, table.findings) for table in report.tables}
    for model in MODELS:
        name = model._meta.db_table
        entries = AuditEntry.objects.filter(table=name).count()
        assert counted[name] == (model._default_manager.count(), entries, 0)
        assert counted[name][0] > 0


# --- thousands of random operations ---------------------------------------------------------

WORDS = [
    "",
    "O'Brien",
    "肝衰竭",
    "a\tb\nc",
    "«é»",
    "e\u0301",
    "🩸",
    "\\u0041",
    "null",
    '{"a": 1}',
    "\u200fעב",
    " x ",
]
OPERATIONS = 1500


class _Undone(Exception):
    pass


def _decimal(dice: random.Random) -> Decimal:
    return Decimal(dice.randint(0, 10**9)).scaleb(-dice.randint(0, 6))


def _enter_patient(dice: random.Random) -> None:
    patient = SAMPLES["patients_patient"].make()
    patient.age_at_recruitment = Decimal(dice.randint(0, 120_000_000)).scaleb(-6)  # type: ignore[attr-defined]
    patient.save()


def _some(dice: random.Random, model: type[models.Model]) -> models.Model | None:
    keys = list(model._default_manager.order_by("pk").values_list("pk", flat=True))
    return model._default_manager.get(pk=dice.choice(keys)) if keys else None


def _enter_visit(dice: random.Random) -> None:
    if patient := _some(dice, Patient):
        day = date(2024, 1, 1) + timedelta(dice.randint(0, 300))
        Visit.objects.bulk_create(
            [Visit(patient=patient, visited_on=day, week=dice.choice([None, *protocol.WEEKS]))],
            ignore_conflicts=True,
        )


def _enter_results(dice: random.Random) -> None:
    if isinstance(visit := _some(dice, Visit), Visit):
        LabResult.objects.bulk_create(
            [
                LabResult(
                    patient_id=visit.patient_id,
                    visit=visit,
                    analyte="hbv_dna" if n == 0 else "afp",
                    value=_decimal(dice) % 1_000_000,
                    comparator=dice.choice(["", "<", ">"]),
                    typed_text="1,5",
                    typed_unit="IU/mL",
                )
                for n in range(dice.randint(1, 2))
            ],
            update_conflicts=True,
            unique_fields=["visit", "analyte"],
            update_fields=["value", "comparator", "missing_reason"],
        )


def _correct_result(dice: random.Random) -> None:
    if result := _some(dice, LabResult):
        LabResult.objects.filter(pk=result.pk).update(value=_decimal(dice) % 1_000_000, missing_reason="")


def _blank_results(dice: random.Random) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE patients_labresult SET value = NULL, missing_reason = 'not_drawn', version = version + 1"
            " WHERE id %% 7 = %s",
            [dice.randint(0, 6)],
        )


def _forget_result(dice: random.Random) -> None:
    if result := _some(dice, LabResult):
        result.delete()


def _void_visit(dice: random.Random) -> None:
    moment = f"2024-0{dice.randint(1, 9)}-15 0{dice.randint(0, 9)}:30:00.{dice.randint(0, 999_999):06}+08"
    if visit := _some(dice, Visit):
        with connection.cursor() as cursor:
            cursor.execute("UPDATE patients_visit SET voided_at = %s WHERE id = %s", [moment, visit.pk])


def _enter_lot(dice: random.Random) -> None:
    lot = SAMPLES["infusions_celllot"].make()
    lot.donor_code = dice.choice(WORDS)  # type: ignore[attr-defined]
    lot.save()


def _enter_infusion(dice: random.Random) -> None:
    patient, lot = _some(dice, Patient), _some(dice, CellLot)
    if patient:
        Infusion.objects.bulk_create(
            [
                Infusion(
                    patient=patient,
                    number=dice.randint(1, protocol.MOST_INFUSIONS),
                    given_on=date(2024, 2, 29),
                    started_at=f"{dice.randint(0, 23):02}:00:00.{dice.randint(0, 999_999):06}",
                    cells=dice.randint(1, 10**12),
                    weight_kg=Decimal(dice.randint(250, 2500)).scaleb(-1),
                    lot=lot,
                    reaction=dice.choice(WORDS),
                )
            ],
            ignore_conflicts=True,
        )


def _note_outcome(dice: random.Random) -> None:
    if patient := _some(dice, Patient):
        Outcome.objects.update_or_create(patient=patient, kind="lost", voided_at=None, defaults={
            "happened_on": date(2024, 6, dice.randint(1, 30)), "note": dice.choice(WORDS)})  # fmt: skip


def _rename_site(dice: random.Random) -> None:
    Site.objects.update(name=dice.choice(WORDS))


ACTIONS: list[tuple[int, Callable[[random.Random], None]]] = [
    (2, _enter_patient),
    (3, _enter_visit),
    (8, _enter_results),
    (6, _correct_result),
    (1, _blank_results),
    (2, _forget_result),
    (1, _void_visit),
    (1, _enter_lot),
    (2, _enter_infusion),
    (2, _note_outcome),
    (1, _rename_site),
]


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.exhaustive)])
def test_tables_come_back_after_random_operations(seed: int, coordinator: User) -> None:
    dice = random.Random(seed)
    weights = [weight for weight, _ in ACTIONS]
    for _ in range(OPERATIONS // 5):
        try:
            with audit.revision(by=coordinator, reason=f"operation {dice.choice(WORDS)}"):
                for _ in range(5):
                    [(_, action)] = dice.choices(ACTIONS, weights)
                    with connection.cursor() as cursor:
                        cursor.execute(
                            "SELECT set_config('timezone', %s, true)", [dice.choice(["UTC", "Asia/Kolkata"])]
                        )
                    action(dice)
                if dice.random() < 0.1:
                    raise _Undone
        except _Undone:
            continue
        factories.settle()
    report = _verified()
    assert report.findings == []
    assert sum(table.entries for table in report.tables) > OPERATIONS
    changed = AuditEntry.objects.filter(table="patients_labresult").values_list("op", flat=True)
    assert set(changed) == {"I", "U", "D"}


def test_columns_that_came_later_count_as_their_default(coordinator: User) -> None:
    """Entries older than a column do not know it; what the migration put there is no tampering."""
    infusion = saved(SAMPLES["infusions_infusion"].make())
    _behind_the_back(
        "UPDATE trial_auditentry SET new = new - 'deviation_note' - 'reaction' || '{\"gone\": 1}' WHERE \"table\" = %s",
        "infusions_infusion",
    )
    _behind_the_back("UPDATE infusions_infusion SET deviation_note = ''")
    report = _verified()
    assert [finding.columns for finding in report.findings] == [("reaction",)], (
        "reaction has no default to count as"
    )
    with audit.revision(by=coordinator, reason="noted"):
        Infusion.objects.filter(pk=infusion.pk).update(reaction="fever", deviation_note="")
    assert [finding.rule for finding in _verified().findings] == ["chain"]


# --- going round the trail ------------------------------------------------------------------

EDITED_TABLES = {
    "value_edited": (
        "UPDATE patients_labresult SET value = 17.2",
        ("difference", "patients_labresult", ("value",)),
    ),
    "trailing_text_edited": (
        "UPDATE patients_outcome SET note = note || ' '",
        ("difference", "patients_outcome", ("note",)),
    ),
    "two_columns_edited": (
        "UPDATE patients_patient SET sex = 'M', version = 9",
        ("difference", "patients_patient", ("sex", "version")),
    ),
    "row_removed": ("DELETE FROM patients_screeninganswer", ("difference", "patients_screeninganswer", ())),
    "row_added": (
        "INSERT INTO infusions_celllot (code, donor_code) VALUES ('SLIPPED-IN', '')",
        ("difference", "infusions_celllot", ()),
    ),
    "rights_given": ("UPDATE trial_user SET role = 'data_manager'", ("difference", "trial_user", ("role",))),
}

_CHANGED = """FROM trial_auditentry WHERE "table" = 'patients_labresult' AND row IN
    (SELECT row FROM trial_auditentry WHERE "table" = 'patients_labresult' AND op = 'U')"""
LAST = f"id = (SELECT max(id) {_CHANGED})"
FIRST = f"id = (SELECT min(id) {_CHANGED})"
EDITED_TRAIL = {
    "newest_entry_edited": (
        f"UPDATE trial_auditentry SET new = new || '{{\"value\": 17.2}}' WHERE {LAST}",
        ("difference", "patients_labresult", ("value",)),
    ),
    "earlier_entry_edited": (
        f"UPDATE trial_auditentry SET new = new || '{{\"value\": 18}}' WHERE {FIRST}",
        ("chain", "patients_labresult", ("value",)),
    ),
    "what_was_before_edited": (
        f"UPDATE trial_auditentry SET old = old || '{{\"value\": 18}}' WHERE {LAST}",
        ("chain", "patients_labresult", ("value",)),
    ),
    "zero_trimmed": (
        f"UPDATE trial_auditentry SET old = jsonb_set(old, '{{typed_text}}', '\"171.\"') WHERE {LAST}",
        ("chain", "patients_labresult", ("typed_text",)),
    ),
    "garbage_written": (
        f'UPDATE trial_auditentry SET new = new || \'{{"value": "many"}}\' WHERE {LAST}',
        ("unreadable", "patients_labresult", ()),
    ),
    "patient_swapped": (
        f"UPDATE trial_auditentry SET patient_id = patient_id + 1 WHERE {LAST}",
        ("chain", "patients_labresult", ()),
    ),
    "kind_swapped": (
        f"UPDATE trial_auditentry SET op = 'I' WHERE {LAST}",
        ("chain", "patients_labresult", ()),
    ),
    "first_entry_removed": (
        f"DELETE FROM trial_auditentry WHERE {FIRST}",
        ("chain", "patients_labresult", ()),
    ),
    "newest_entry_removed": (
        f"DELETE FROM trial_auditentry WHERE {LAST}",
        ("difference", "patients_labresult", ("value",)),
    ),
    "moved_to_another_table": (
        f"UPDATE trial_auditentry SET \"table\" = 'patients_nothing' WHERE {FIRST}",
        ("unknown table", "", ()),
    ),
    "moved_to_no_revision": (
        f"UPDATE trial_auditentry SET revision_id = 99999999 WHERE {LAST}",
        ("orphan", "", ()),
    ),
    "revision_removed": (
        "DELETE FROM trial_revision WHERE number = (SELECT max(number) - 1 FROM trial_revision)",
        ("gap", "", ()),
    ),
    "reason_removed": (
        "UPDATE trial_revision SET reason = '' WHERE number = (SELECT max(number) FROM trial_revision)",
        ("unexplained", "", ()),
    ),
    "number_removed": (
        "UPDATE trial_revision SET number = NULL, txid = 3 WHERE number = (SELECT max(number) FROM trial_revision)",
        ("unsealed", "", ()),
    ),
    "empty_revision_added": (
        """INSERT INTO trial_revision (number, sealed, txid, made_at, actor_id, reason, source, request_id)
        SELECT max(number) + 1, true, 3, now(), 1, '', '', '' FROM trial_revision""",
        ("empty", "", ()),
    ),
}
TAMPERING = EDITED_TABLES | EDITED_TRAIL


@pytest.mark.usefixtures("study")
@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        pytest.param(*case, id=name, marks=() if place % 3 == 0 else pytest.mark.exhaustive)
        for place, (name, case) in enumerate(TAMPERING.items())
    ],
)
def test_tampering_is_found_and_named(statement: str, expected: tuple[str, str, tuple[str, ...]]) -> None:
    assert _verified().is_clean
    _behind_the_back(statement)
    report = _verified()
    assert expected in {(finding.rule, finding.table, finding.columns) for finding in report.findings}


def test_many_differences_are_counted_and_some_are_named(coordinator: User) -> None:
    with audit.revision(by=coordinator):
        CellLot.objects.bulk_create(CellLot(code=f"L-{n}") for n in range(50))
    _behind_the_back("UPDATE infusions_celllot SET passage = 1")
    report = _verified()
    assert (len(report.findings), report.unnamed, report.count) == (replay.NAMED, 50 - replay.NAMED, 50)
    lots = {table.table: table.findings for table in report.tables}
    assert lots["infusions_celllot"] == 50


def test_a_finding_says_where_and_what() -> None:
    lot = saved(CellLot(code="L-1"))
    _behind_the_back("UPDATE infusions_celllot SET passage = 4")
    [finding] = _verified().findings
    assert str(finding) == f"infusions_celllot {lot.pk} (passage): passage: None in the trail, 4 in the table"


# --- the command ----------------------------------------------------------------------------


@pytest.mark.usefixtures("study")
def test_command_shows_every_table_and_says_that_all_is_equal() -> None:
    out = StringIO()
    call_command("verify_audit", stdout=out, no_color=True)
    lines = out.getvalue().splitlines()
    assert len(lines) == len(MODELS) + 1
    assert all(line.endswith("equal") for line in lines)
    assert f"as of revision {audit.latest_revision():,}" in lines[-1]


@pytest.mark.usefixtures("study")
def test_command_names_what_differs_and_exits_with_1() -> None:
    _behind_the_back("UPDATE patients_labresult SET value = 17.2 WHERE value = 17.1")
    out, errors = StringIO(), StringIO()
    with pytest.raises(CommandError, match="1 findings") as exit_:
        call_command("verify_audit", stdout=out, stderr=errors, no_color=True)
    assert exit_.value.returncode == 1
    assert "value: 17.100000 in the trail, 17.200000 in the table" in errors.getvalue()


@pytest.mark.committed
def test_people_go_on_writing_meanwhile(coordinator: User) -> None:
    """The whole comparison happens at one moment, whatever is committed during it."""
    saved(CellLot(code="L-1"))

    def write_more(place: int, of: int, table: replay.TableReplayed) -> None:
        other = connection.copy()
        try:
            with transaction.atomic(), other.cursor() as cursor:
                cursor.execute("BEGIN")
                cursor.execute("SELECT set_config('cordline.actor', '1', true)")
                cursor.execute(
                    "INSERT INTO infusions_celllot (code, donor_code) VALUES (%s, '')", [f"M-{place}"]
                )
                cursor.execute("COMMIT")
        finally:
            other.close()

    before = audit.latest_revision()
    report = replay.verify(write_more)
    assert report.findings == []
    assert report.revision == before
    assert CellLot.objects.count() == 1 + len(report.tables)
    assert replay.verify().is_clean
