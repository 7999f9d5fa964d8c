"""``make bench``: what a save, a refresh and a page cost, each beside the least it could cost.

Absolute numbers belong to the machine; the last column is what can be compared.
Nothing here fails because of a number.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from decimal import Decimal

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.test import Client

from analytics.refresh import refresh
from patients import actions
from patients.models import Patient, Visit
from trial import protocol
from trial.models import User

pytestmark = [pytest.mark.benchmark, pytest.mark.committed]

ROUNDS = 15
WEEK = 4


@pytest.fixture(scope="module")
def table() -> Iterator[list[tuple[str, str, str, str]]]:
    """Rows of the table that is printed at the end."""
    rows: list[tuple[str, str, str, str]] = []
    yield rows
    print("\n\n| what | median, ms | slowest, ms | ratio |\n|---|---:|---:|---:|")
    for row in rows:
        print("| " + " | ".join(row) + " |")


def timed(work: Callable[[int], object], rounds: int = ROUNDS) -> list[float]:
    taken = []
    for number in range(rounds):
        begun = time.perf_counter()
        work(number)
        taken.append(1000 * (time.perf_counter() - begun))
    return taken


def row(what: str, taken: list[float], floor: list[float] | None = None) -> tuple[str, str, str, str]:
    ratio = f"{statistics.median(taken) / statistics.median(floor):.1f} x" if floor else "1"
    return what, f"{statistics.median(taken):.1f}", f"{max(taken):.1f}", ratio


@pytest.fixture
def study(transactional_db: None) -> User:
    call_command("seed_demo", verbosity=0)
    refresh(full=True)
    return User.objects.get(username="li.min")


def test_saves_refreshes_and_pages(study: User, table: list[tuple[str, str, str, str]]) -> None:
    patients = list(Patient.objects.filter(site=study.site, visits__week=WEEK).order_by("pk")[:ROUNDS])

    def save(number: int) -> None:
        visit = Visit.objects.get(patient=patients[number % len(patients)], week=WEEK, voided_at=None)
        entries = [
            actions.LabEntry(
                analyte=code,
                value=Decimal(50 + number),
                comparator="",
                typed_text=str(50 + number),
                typed_unit=protocol.ANALYTES[code].unit,
                missing_reason="",
            )
            for code in ("tbil", "alt", "ast")
        ]
        actions.record_labs(visit=visit, entries=entries, by=study, reason="measured again")

    def bare(number: int) -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.executemany(
                "UPDATE bare SET value = %s WHERE id = %s", [(number, key) for key in range(3)]
            )

    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE bare AS SELECT id, 0::numeric AS value FROM generate_series(0, 2) AS id")
    try:
        floor = timed(bare)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE bare")
    table.append(row("update three rows, nothing else (floor)", floor))
    table.append(row("correct three labs: checks, trail, numbered revision", timed(save), floor))

    full = timed(lambda _: refresh(full=True), 5)
    table.append(row("refresh everything (floor of the next)", full))

    def save_and_refresh(number: int) -> None:
        save(number + ROUNDS)
        refresh()

    table.append(row("correct three labs and refresh what they touch", timed(save_and_refresh), full))

    subject = patients[0].subject_id
    people = {name: User.objects.get(username=name) for name in ("li.min", "wu.qing")}
    live = None
    for address, who in (
        ("/health/live/", "li.min"),
        ("/", "li.min"),
        ("/patients/", "li.min"),
        (f"/patients/{subject}/", "li.min"),
        (f"/patients/{subject}/visits/{WEEK}/", "li.min"),
        ("/analysis/C-D/tbil/interval/", "wu.qing"),
        ("/audit/", "wu.qing"),
    ):
        browser = Client()
        browser.force_login(people[who], backend="django.contrib.auth.backends.ModelBackend")
        assert browser.get(address).status_code == 200, address
        taken = timed(lambda _, browser=browser, address=address: browser.get(address))  # type: ignore[misc]
        live = live or taken
        table.append(row(f"page {address}", taken, live))
