"""Files in and out, beside what the database alone needs for the same rows."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from django.db import connection

from analytics.datasets import LABS_LONG
from analytics.exports import bundle
from analytics.exports.formats import FORMATS
from patients.models import LabResult, Visit
from tests import processes
from tests.benchmarks import cohort
from tests.benchmarks.stopwatch import MakeTable, Way
from trial import audit

PATIENTS = 4_250
"""So many have about twenty thousand visits."""

FEWER_PATIENTS = 900
"""So many have about fifty thousand values."""

TABLES = ("patients_visit", "patients_labresult")


@pytest.fixture
def files(db: None, tmp_path: Path) -> Path:
    directory = cohort.write(tmp_path, PATIENTS)
    cohort.import_study(directory)
    analyze()
    return directory


def execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def analyze() -> None:
    execute("ANALYZE")


def without_visits() -> None:
    # the trail refuses this to everybody; the tests' superuser switches it off
    execute("SET session_replication_role = replica")
    execute(f"TRUNCATE {', '.join(TABLES)} CASCADE")
    execute("SET session_replication_role = origin")


def copied_out(table: str) -> bytes:
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} TO STDOUT (FORMAT csv)") as copy:
        return b"".join(bytes(block) for block in copy)


def copy_in(table: str, rows: bytes) -> None:
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN (FORMAT csv)") as copy:
        copy.write(rows)


def twins() -> None:
    """Make empty tables with the same columns, indexes, checks and foreign keys, but no trail."""
    for table in reversed(TABLES):
        execute(f"DROP TABLE IF EXISTS twin_{table}")
    for table in TABLES:
        execute(f"CREATE TABLE twin_{table} (LIKE {table} INCLUDING ALL)")
        execute(f"ALTER TABLE twin_{table} ADD FOREIGN KEY (patient_id) REFERENCES patients_patient")
    execute("ALTER TABLE twin_patients_labresult ADD FOREIGN KEY (visit_id) REFERENCES twin_patients_visit")


def test_import(files: Path, table: MakeTable) -> None:
    rows = {name: copied_out(name) for name in TABLES}
    visits, labs = Visit.objects.all(), LabResult.objects.all()
    kept_visits, kept_labs = list(visits), list(labs)

    def copy_twins() -> None:
        for name in TABLES:
            copy_in(f"twin_{name}", rows[name])

    def copy_with_trail() -> None:
        with audit.revision(by=audit.service_account(), reason="benchmark"):
            for name in TABLES:
                copy_in(name, rows[name])

    def create_in_bulk() -> None:
        with audit.revision(by=audit.service_account(), reason="benchmark"):
            Visit.objects.bulk_create(kept_visits, batch_size=1000)
            LabResult.objects.bulk_create(kept_labs, batch_size=1000)

    def import_visits() -> None:
        assert cohort.import_file(files / "visits.csv", "visits").all_accepted

    results = table(f"Import of {len(kept_visits)} visits with {len(kept_labs)} values")
    results.measure(
        {
            "COPY into tables like these, no trail": Way(copy_twins, twins),
            "COPY into these tables, with the trail": Way(copy_with_trail, without_visits),
            "model objects, bulk_create, no checks": Way(create_in_bulk, without_visits),
            "cordline: read, check, compare, write": Way(import_visits, without_visits),
            "cordline: the same file again": Way(import_visits, analyze),
        }
    )
    for name in reversed(TABLES):
        execute(f"DROP TABLE twin_{name}")


def locks_are(state: str) -> None:
    """Switch the triggers that refuse writes to what is locked ``ENABLE`` or ``DISABLE``."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgrelid::regclass::text, tgname FROM pg_trigger WHERE starts_with(tgname, 'pgtrigger_lock_')"
            " AND tgrelid::regclass::text = ANY(%s)",
            [list(TABLES)],
        )
        for name, trigger in cursor.fetchall():
            cursor.execute(f"ALTER TABLE {name} {state} TRIGGER {trigger}")


def test_checks_of_an_import(files: Path, table: MakeTable) -> None:
    def without_locks() -> None:
        without_visits()
        locks_are("DISABLE")

    def with_locks() -> None:
        without_visits()
        locks_are("ENABLE")

    def import_visits(*, asks: bool) -> None:
        assert cohort.import_file(files / "visits.csv", "visits", asks=asks).all_accepted

    results = table("What checks and locks add to an import")
    results.measure(
        {
            "no soft checks": Way(lambda: import_visits(asks=False), with_locks),
            "no soft checks, no lock triggers": Way(lambda: import_visits(asks=False), without_locks),
            "soft checks and their queries": Way(lambda: import_visits(asks=True), with_locks),
        }
    )
    locks_are("ENABLE")


def drained(blocks: Iterable[bytes]) -> int:
    return sum(len(block) for block in blocks)


def raw(query: str) -> Iterator[bytes]:
    with connection.cursor() as cursor, cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT csv)") as copy:
        for block in copy:
            yield bytes(block)


def by_model() -> Iterator[bytes]:
    text = io.StringIO()
    writer = csv.writer(text)
    found = LabResult.objects.filter(visit__voided_at=None).order_by(
        "patient__subject_id", "visit__week", "id"
    )
    fields = (
        "patient__subject_id", "visit__week", "visit__visited_on", "analyte", "value", "comparator", "missing_reason",
        "typed_text", "typed_unit",
    )  # fmt: skip
    for row in found.values_list(*fields).iterator(chunk_size=2000):
        writer.writerow(row)
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()


def test_export(files: Path, table: MakeTable, tmp_path: Path) -> None:
    query = LABS_LONG.query(identified=False)
    results = table(f"Export of {LabResult.objects.count()} values as CSV")
    results.measure(
        {
            "COPY of the same query": Way(lambda: drained(raw(query))),
            "COPY of the bare table": Way(lambda: drained(raw("SELECT * FROM patients_labresult"))),
            "cordline: blocks, as for standard output": Way(lambda: drained(bundle.blocks(LABS_LONG))),
            "cordline: file with checksum and manifest": Way(
                lambda: bundle.write(tmp_path / "out", [LABS_LONG])
            ),
            "cordline: Parquet file": Way(
                lambda: bundle.write(tmp_path / "parquet", [LABS_LONG], format="parquet")
            ),
            "model rows and csv.writer": Way(lambda: drained(by_model())),
        }
    )
    results.note(told(("csv", "xlsx", "parquet", "sav"), tmp_path / "memory"))


def test_export_formats(db: None, table: MakeTable, tmp_path: Path) -> None:
    cohort.import_study(cohort.write(tmp_path, FEWER_PATIENTS))
    analyze()
    query = LABS_LONG.query(identified=False)

    def write(form: str) -> Callable[[], object]:
        return lambda: bundle.write(tmp_path / form, [LABS_LONG], format=form)

    results = table(
        f"Export of {LabResult.objects.count()} values in each format, with checksum and manifest"
    )
    results.measure(
        {"COPY of the same query as CSV": Way(lambda: drained(raw(query)))}
        | {f"cordline: {form.label}": Way(write(form.code)) for form in FORMATS.values()}
    )
    results.note(told(FORMATS, tmp_path / "memory"))


def grown_by(form: str, directory: Path) -> float:
    """Return by how many MiB a process that exports the values grows beyond one that exports nothing."""
    return most_of(form, "labs_long", directory) - most_of(form, "events", directory)


_RUN = (
    "import sys; from django.core.management import execute_from_command_line as run; run(sys.argv[:]);"
    " print([line for line in open('/proc/self/status') if line.startswith('VmHWM')][0].split()[1])"
)


def most_of(form: str, dataset: str, directory: Path) -> float:
    """Return the most MiB that the command held, what libraries hold outside Python included.

    The process says it itself: what the system counts for a child begins with what its parent held.
    """
    command = [sys.executable, "-c", _RUN, "export", dataset, "--format", form, "--out", str(directory)]
    done = subprocess.run(
        command, cwd=processes.ROOT, env=processes.environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1]) / 2**10


def told(forms: Iterable[str], directory: Path) -> str:
    grown = ", ".join(f"{FORMATS[form].label} {grown_by(form, directory):.0f}" for form in forms)
    return f"most memory of the command beyond that of an export of no row, MiB: {grown}"
