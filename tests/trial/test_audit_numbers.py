"""Numbers are given at commit: without gaps, in the order in which transactions become visible."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from django.db import ProgrammingError, connection, connections, transaction

from patients.models import Outcome, Patient
from tests import factories
from tests.trial.study_rows import SAMPLES, saved
from trial import audit
from trial.models import AuditEntry, Revision, Site, User
from trial.trail_functions import CHANNEL

pytestmark = pytest.mark.committed

WRITERS, ROUNDS = 8, 40
ONE_LOOK = """
SELECT count(*), coalesce(max(number), 0), count(*) FILTER (
    WHERE NOT EXISTS (SELECT FROM trial_auditentry WHERE revision_id = trial_revision.id)
) FROM trial_revision WHERE number IS NOT NULL
"""


class _ChangedTheirMind(Exception):
    pass


@contextmanager
def _people(most: int) -> Iterator[Callable[..., Future[None]]]:
    """Let several people work at once, each on a connection of their own; their errors come out of ``result``."""

    def own_connection(work: Callable[..., None], *arguments: Any) -> None:
        try:
            work(*arguments)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(most) as pool:
        yield lambda work, *arguments: pool.submit(own_connection, work, *arguments)


def _write(user: User, seed: int, committed: list[int]) -> None:
    """Write revisions of one to three rows; some are undone in part, some altogether."""
    dice = random.Random(seed)
    for round_ in range(ROUNDS):
        undo_all, undo_some = dice.random() < 0.25, dice.random() < 0.5
        try:
            with audit.revision(by=user) as written:
                if undo_some:
                    with suppress(_ChangedTheirMind), transaction.atomic():
                        Site.objects.create(code=_code(seed, round_, 0), name="undone")
                        raise _ChangedTheirMind
                for n in range(dice.randint(1, 3)):
                    Site.objects.create(code=_code(seed, round_, 1 + n), name=f"{seed} {round_}")
                if undo_all:
                    raise _ChangedTheirMind
        except _ChangedTheirMind:
            continue
        number = written.number
        assert number is not None
        committed.append(number)


def _code(*parts: int) -> str:
    return "".join(chr(ord("A") + part // 26) + chr(ord("A") + part % 26) for part in parts)


def test_numbers_have_no_gaps_and_never_go_back_while_people_write(coordinator: User) -> None:
    committed: list[list[int]] = [[] for _ in range(WRITERS)]
    start = audit.latest_revision()
    stop, looks = threading.Event(), []

    def watch() -> None:
        last = 0
        while not stop.is_set():
            with connection.cursor() as cursor:
                cursor.execute(ONE_LOOK)
                count, highest, without_entries = cursor.fetchone()
            assert count == highest, f"{count} revisions are visible, the highest number is {highest}"
            assert highest >= last, f"number {last} was visible and is not any more"
            assert without_entries == 0
            last = highest
            looks.append(highest)

    with _people(WRITERS + 2) as at_once:
        watchers = [at_once(watch) for _ in range(2)]
        writers = [at_once(_write, coordinator, seed, committed[seed]) for seed in range(WRITERS)]
        wait(writers)
        stop.set()
    for person in (*writers, *watchers):
        person.result()
    told = sorted(number for numbers in committed for number in numbers)
    assert told == list(range(start + 1, audit.latest_revision() + 1)), (
        "every commit has a number, nothing else has"
    )
    assert all(numbers == sorted(numbers) for numbers in committed)
    assert len(looks) > 20
    assert not Revision.objects.filter(number=None).exists()
    assert not Site.objects.filter(name="undone").exists()
    assert AuditEntry.objects.filter(table="trial_site", op="I").count() == Site.objects.count()


def test_number_waits_for_an_earlier_commit_but_writing_does_not(coordinator: User) -> None:
    """Two people write at once; who commits first has the lower number, whoever began first."""
    start = audit.latest_revision()
    began, committed = threading.Event(), threading.Event()
    late: list[int | None] = []

    def slow() -> None:
        with audit.revision(by=coordinator) as written:
            Site.objects.create(code="SLOW", name="began first")
            began.set()
            assert committed.wait(20), "the other one was held up by an open revision"
        late.append(written.number)

    with _people(1) as at_once:
        slow_one = at_once(slow)
        assert began.wait(20)
        with audit.revision(by=coordinator) as quick:
            Site.objects.create(code="QUICK", name="committed first")
        assert quick.number == start + 1
        committed.set()
    slow_one.result()
    assert late == [start + 2]


def test_commit_under_foreign_key_checks_does_not_deadlock_with_a_locked_patient(coordinator: User) -> None:
    """The lock that orders the numbers is taken after the deferred foreign-key checks."""
    patient: Any = saved(SAMPLES["patients_patient"].make())
    barrier = threading.Barrier(2, timeout=20)

    def holder() -> None:
        for round_ in range(10):
            with audit.revision(by=coordinator, reason="renamed"):
                Patient.objects.select_for_update(no_key=True).get(pk=patient.pk)
                barrier.wait()
                Patient.objects.filter(pk=patient.pk).update(version=10 + round_)

    def referrer() -> None:
        for round_ in range(10):
            with audit.revision(by=coordinator, reason="entered"):
                barrier.wait()
                Outcome.objects.filter(patient=patient).delete()
                Outcome.objects.create(patient=patient, kind="death", happened_on=f"2024-05-{round_ + 1:02}")

    with _people(2) as at_once:
        both = [at_once(holder), at_once(referrer)]
    for person in both:
        person.result()
    assert Patient.objects.get(pk=patient.pk).version == 19


def test_settings_do_not_leak_into_the_next_transaction(coordinator: User) -> None:
    with audit.revision(by=coordinator, reason="one"):
        Site.objects.create(code="GN", name="North")
    with connection.cursor() as cursor:
        for name in ("actor", "reason", "source", "request_id", "revision", "wrote"):
            cursor.execute("SELECT coalesce(current_setting('cordline.' || %s, true), '')", [name])
            assert cursor.fetchone() == ("",), name


def test_everybody_who_listens_hears_of_the_commit(coordinator: User) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"LISTEN {CHANNEL}")
    try:
        with audit.revision(by=coordinator) as written:
            Site.objects.create(code="GN", name="North")
        heard = [note.payload for note in connection.connection.notifies(timeout=5, stop_after=1)]
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"UNLISTEN {CHANNEL}")
    assert heard == [str(written.number)]


def test_write_without_a_transaction_is_refused(coordinator: User) -> None:
    """Autocommit: nobody said who writes."""
    with pytest.raises(ProgrammingError, match="without an actor"):
        Site.objects.create(code="GN", name="North")


def test_people_of_a_committed_test_have_their_revisions(coordinator: User) -> None:
    factories.a_site(code="GX")
    assert Revision.objects.count() == audit.latest_revision()
