"""Measurements, run by ``make bench`` only: a suite that times things would fail on a busy machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from tests.benchmarks import cohort, stopwatch
from tests.benchmarks.stopwatch import Table

SIZES = (123, 1_000, 10_000)


def pytest_addoption(parser: pytest.Parser) -> None:
    sizes = ",".join(map(str, SIZES))
    parser.addoption("--patients", default=sizes, help=f"sizes of the studies ({sizes})")
    parser.addoption("--rounds", type=int, default=5, help="how often each way runs; medians are printed")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave measurements alone unless they are asked for by name."""
    if collection_path.name.startswith("test_") and not any("benchmarks" in word for word in config.args):
        return True
    return None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    of_its_own = any(metafunc.definition.iter_markers("parametrize"))
    if "patients" in metafunc.fixturenames and not of_its_own:
        metafunc.parametrize("patients", [int(n) for n in metafunc.config.getoption("--patients").split(",")])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "benchmarks" in item.path.parts:
            for mark in (
                pytest.mark.benchmark,
                pytest.mark.django_db(transaction=True),
                pytest.mark.timeout(0),
            ):
                item.add_marker(mark)


TABLES: list[Table] = []


@pytest.fixture
def table(request: pytest.FixtureRequest) -> Iterator[stopwatch.MakeTable]:
    """Return what starts a table; it is printed at once and again at the end."""
    made: list[Table] = []

    def start(title: str) -> Table:
        made.append(Table(title, request.config.getoption("--rounds")))
        return made[-1]

    yield start
    for one in made:
        print(f"\n{one}")
    TABLES.extend(made)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for one in TABLES:
        terminalreporter.write_line("")
        terminalreporter.write_line(str(one))


@pytest.fixture
def study(db: None, patients: int, tmp_path: Path) -> int:
    """Import a synthetic study of that many subjects and return how many there are."""
    cohort.import_study(cohort.write(tmp_path, patients))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return patients
