"""A real cohort through the front door: three files in, two files out, every number against R.

Nothing of the software is called but its commands, and nothing is read but what it
wrote (see :mod:`tests.analytics.reference`).
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest
from django.core.management import call_command
from scipy.stats import false_discovery_control

from analytics import selectors
from analytics.cells import CELLS_COLUMNS, TESTS_COLUMNS
from tests.analytics import reference
from trial import audit, protocol

pytestmark = [pytest.mark.committed, pytest.mark.slow]

Rows = list[dict[str, str]]

FILES = {"subjects": 312, "infusions": 1880, "visits": 1266}
MEASURED_THERE = ("ast", "tbil", "pt", "albumin", "platelets")
ROWS_COMPARED, NUMBERS_COMPARED = 6415, 21958


def rows_of(path: Path) -> Rows:
    with path.open(encoding="utf-8-sig", newline="") as lines:
        return list(csv.DictReader(lines))


def import_everything(reports: Path) -> dict[str, dict[str, int]]:
    """Import the three files and return what was counted."""
    counts = {}
    for kind in FILES:
        report = reports / f"{kind}.json"
        call_command(
            "import_data",
            reference.HERE / f"{kind}.csv",
            kind=kind,
            report=report,
            stdout=io.StringIO(),
            stderr=io.StringIO(),
        )
        counts[kind] = json.loads(report.read_text(encoding="utf-8"))["counts"]
    return counts


def exported(directory: Path, *datasets: str) -> dict[str, Rows]:
    call_command("export", *datasets, out=str(directory), stdout=io.StringIO(), stderr=io.StringIO())
    return {name: rows_of(directory / f"{name}.csv") for name in datasets}


@pytest.fixture
def imported(db: None, tmp_path: Path) -> dict[str, dict[str, int]]:
    return import_everything(tmp_path)


def test_every_number_of_r_comes_out(imported: dict[str, dict[str, int]], tmp_path: Path) -> None:
    nothing = {"same": 0, "changed": 0, "conflict": 0, "refused": 0}
    assert imported == {kind: {"new": rows, **nothing} for kind, rows in FILES.items()}

    call_command("refresh", stdout=io.StringIO(), stderr=io.StringIO())
    assert selectors.freshness().current
    files = exported(tmp_path / "out", "cells", "tests")
    cells, tests = files["cells"], files["tests"]
    assert tuple(cells[0]) == CELLS_COLUMNS
    assert tuple(tests[0]) == TESTS_COLUMNS
    assert {row["revision"] for row in cells} == {str(audit.latest_revision())}

    agreement = reference.compare(tests, cells)
    rows = sum(agreement.compared.values())
    print(f"{rows} of {len(reference.reference())} rows of R, {agreement.numbers} numbers compared")
    assert agreement.wrong == []
    assert (rows, agreement.numbers) == (ROWS_COMPARED, NUMBERS_COMPARED)
    assert not {method for _analysis, method in agreement.compared if "naivefloat" in method}

    assert adjusted_alike(cells) > 500
    no_number = {"nan", "inf", "-inf", "none", "null"}
    assert not [row for row in (*cells, *tests) for field in row.values() if field.lower() in no_number]


def by_holm(p_values: list[float]) -> list[float]:
    """Adjust in the words of Holm 1979: the smallest times all, the next times one fewer, never falling."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted, least = [0.0] * len(p_values), 0.0
    for place, index in enumerate(order):
        least = max(least, min(1.0, (len(order) - place) * p_values[index]))
        adjusted[index] = least
    return adjusted


def adjusted_alike(cells: Rows) -> int:
    """Hold the printed ``p_holm`` and ``p_bh`` against another computation; return how many there are."""
    holm: dict[tuple[str, ...], Rows] = {}
    bh: dict[tuple[str, ...], Rows] = {}
    for row in cells:
        if not row["p_value"]:
            assert not row["p_holm"] and not row["p_bh"]
            continue
        all_weeks = str(row["measure"] == "level" and row["week_from"] != row["week_to"])
        family = (row["population"], row["measure"], row["group1"], row["group2"], all_weeks)
        bh.setdefault(family, []).append(row)
        holm.setdefault((*family, row["analyte"]), []).append(row)
    compared = 0
    for families, column, method in ((holm, "p_holm", by_holm), (bh, "p_bh", false_discovery_control)):
        for members in families.values():
            theirs = method([float(row["p_value"]) for row in members])
            for row, p in zip(members, theirs, strict=True):
                assert reference.agrees(float(row[column]), p), (column, row)
                compared += 1
    return compared


def test_subjects_visits_and_values_come_out_as_they_went_in(
    imported: dict[str, dict[str, int]], tmp_path: Path
) -> None:
    files = exported(tmp_path / "out", "subjects", "labs_long", "labs_wide", "cells")
    groups = {"A": 63, "B": 73, "C": 95, "D": 81}
    assert Counter(row["group"] for row in files["subjects"]) == groups
    assert {
        row["group1"]: int(row["n1"])
        for row in files["cells"]
        if row["population"] == "treated" and row["analyte"] == "subjects" and row["group1"] in groups
    } == groups

    given = {(row["subject_id"], row["week"]): row for row in rows_of(reference.HERE / "visits.csv")}
    wide = {(row["subject_id"], row["week"]): row for row in files["labs_wide"]}
    long = {(row["subject_id"], row["week"], row["analyte"]): row["value"] for row in files["labs_long"]}
    assert len(given) == FILES["visits"]
    assert wide.keys() == given.keys()
    for visit, row in given.items():
        for code in protocol.ANALYTES:
            before = row.get(code) or None
            after = wide[visit][code] or None
            assert (before and Decimal(before)) == (after and Decimal(after)), (visit, code)
            assert long.get((*visit, code)) == after
    assert len(long) == sum(bool(row[code]) for row in given.values() for code in MEASURED_THERE)


def test_importing_again_finds_everything_there(imported: dict[str, dict[str, int]], tmp_path: Path) -> None:
    revision, entries = audit.latest_revision(), entries_of_the_trail()
    nothing = {"new": 0, "changed": 0, "conflict": 0, "refused": 0}
    assert import_everything(tmp_path) == {kind: {"same": rows, **nothing} for kind, rows in FILES.items()}
    assert (audit.latest_revision(), entries_of_the_trail()) == (revision, entries)


def entries_of_the_trail() -> int:
    from trial.models import AuditEntry

    return AuditEntry.objects.count()


def test_standard_output_is_the_file(
    imported: dict[str, dict[str, int]], tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    exported(tmp_path / "out", "tests")
    capfdbinary.readouterr()
    call_command("export", "tests", out="-")
    assert capfdbinary.readouterr().out == (tmp_path / "out" / "tests.csv").read_bytes().removeprefix(
        b"\xef\xbb\xbf"
    )
