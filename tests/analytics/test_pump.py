"""When the pump sends, when it waits, and when it does the work itself. The broker is a function that fails as told."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from analytics import pump, refresh, selectors
from analytics.models import Failure, Run
from analytics.pump import REFRESH, RUN_JOB, Pump
from tests.analytics.operations import Ward
from trial import audit, jobs
from trial.models import Job

pytestmark = pytest.mark.django_db


class Broker:
    """Takes messages, refuses them, or never answers."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, tuple[Any, ...]]] = []
        self.refuses = False
        self.hangs: threading.Event | None = None

    def __call__(self, task: str, arguments: tuple[Any, ...]) -> None:
        if self.hangs is not None:
            self.hangs.wait(30)
        if self.refuses:
            raise ConnectionRefusedError
        self.taken.append((task, arguments))


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    monkeypatch.setattr(pump, "PUBLISH_SECONDS", 0.2)
    refresh.forget()
    return Broker()


@pytest.fixture
def ward() -> Ward:
    made = Ward(1, patients=3)
    made.work(5)
    return made


def own() -> Any:
    connection.ensure_connection()
    return connection.connection


def results() -> int:
    return Run.objects.count()


def test_one_message_until_something_comes_of_it(broker: Broker, ward: Ward) -> None:
    at_work = Pump(broker)

    at_work.look(own())
    at_work.look(own())
    ward.work(1)
    at_work.look(own())
    assert broker.taken == [(REFRESH, ())]

    refresh.refresh()
    at_work.look(own())
    assert broker.taken == [(REFRESH, ())], "nothing is left to do"

    ward.once(ward.new_patient)
    at_work.look(own())
    assert broker.taken == [(REFRESH, ())] * 2


def test_a_save_during_a_run_is_sent_when_the_run_is_stored(broker: Broker, ward: Ward) -> None:
    at_work = Pump(broker)
    at_work.look(own())
    refresh.refresh()
    ward.once(ward.new_patient)

    at_work.look(own())

    assert len(broker.taken) == 2


def test_a_message_that_leads_to_nothing_is_replaced_by_the_pump_itself(broker: Broker, ward: Ward) -> None:
    at_work = Pump(broker, stuck_seconds=0.0)
    at_work.look(own())
    assert results() == 0

    at_work.look(own())

    assert results() == 1
    assert selectors.freshness().current
    at_work.look(own())
    assert len(broker.taken) == 1


def test_a_broker_that_refuses_is_not_waited_for(broker: Broker, ward: Ward) -> None:
    broker.refuses = True

    Pump(broker).look(own())

    assert selectors.freshness().current
    assert broker.taken == []


def test_a_broker_that_hangs_is_waited_for_once(broker: Broker, ward: Ward) -> None:
    broker.hangs = threading.Event()
    at_work = Pump(broker)
    at_work.look(own())
    assert results() == 1
    ward.once(ward.new_patient)
    at_work.look(own())
    assert results() == 2, "the first message still hangs, so no second one is tried"
    broker.hangs.set()
    assert at_work.publisher
    at_work.publisher.join(5)
    assert broker.taken == [(REFRESH, ())], "it arrives late and harms nobody"


def test_who_is_at_work_is_not_disturbed(broker: Broker, ward: Ward) -> None:
    """The pump's own try does not wait for the lock: whoever holds it makes progress."""
    broker.refuses = True
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [refresh.RESULTS])
        Pump(broker).look(own())
        assert results() == 0
    finally:
        other.close()


def test_what_failed_rests_longer_each_time(broker: Broker, ward: Ward) -> None:
    now = timezone.now()

    def fail(seconds_ago: float) -> None:
        Failure.objects.create(
            revision=1, code_version="x", failed_at=now - timedelta(seconds=seconds_ago), error="X"
        )

    fail(5)
    assert pump.look(own()).resting is False, "one failure: two seconds"
    fail(3)
    fail(1)
    assert pump.look(own()).resting, "three failures: eight seconds after the last"
    Pump(broker).look(own())
    assert broker.taken == []
    Failure.objects.all().delete()
    for _ in range(20):
        fail(61)
    assert pump.look(own()).resting is False, "never longer than a minute"


def test_a_refresh_that_fails_in_the_pump_is_recorded_and_does_not_end_it(
    broker: Broker, ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker.refuses = True

    def fail(*args: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(refresh.contrasts, "digests", fail)
    monkeypatch.setattr(pump.connections, "close_all", lambda: None)  # the test's own connection

    Pump(broker).look(own())

    assert Failure.objects.count() == 1
    assert pump.look(own()).resting


@pytest.mark.parametrize(
    ("made", "needed"),
    [
        pytest.param("before this process", True, id="renewed"),
        pytest.param("after", False, id="a_newer_process_is_at_work"),
    ],
)
def test_results_of_other_code(broker: Broker, ward: Ward, made: str, needed: bool) -> None:
    refresh.refresh()
    finished = pump.READ_AT - timedelta(seconds=1) if made.startswith("before") else timezone.now()
    Run.objects.update(code_version="other", finished_at=finished)

    assert pump.look(own()).needed is needed


# --- jobs -----------------------------------------------------------------------------------


@pytest.fixture
def job(ward: Ward) -> Job:
    refresh.refresh()
    return jobs.queue("export", by=ward.by, parameters={"datasets": ["subjects"]})


def test_a_queued_job_is_sent_once(broker: Broker, job: Job) -> None:
    at_work = Pump(broker)

    at_work.look(own())
    at_work.look(own())

    assert broker.taken == [(RUN_JOB, (str(job.pk),))]


def test_a_job_whose_heart_stopped_is_sent_again(broker: Broker, job: Job) -> None:
    at_work = Pump(broker)
    at_work.look(own())
    Job.objects.update(status=Job.Status.RUNNING, heartbeat_at=timezone.now())
    at_work.look(own())
    assert len(broker.taken) == 1

    Job.objects.update(heartbeat_at=timezone.now() - jobs.ABANDONED_AFTER * 2)
    at_work.look(own())

    assert len(broker.taken) == 2


def test_a_job_waits_while_somebody_is_busy(
    broker: Broker, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[Any] = []
    monkeypatch.setattr(Pump, "job_here", lambda self, waiting: done.append(waiting))
    at_work = Pump(broker, stuck_seconds=0.0)
    busy = jobs.queue("export", by=job.started_by, parameters={})
    Job.objects.filter(pk=busy.pk).update(status=Job.Status.RUNNING, heartbeat_at=timezone.now())
    at_work.look(own())
    at_work.look(own())
    assert done == []

    Job.objects.filter(pk=busy.pk).update(status=Job.Status.DONE, finished_at=timezone.now())
    at_work.look(own())

    assert done == [job.pk]


# --- the loop itself ------------------------------------------------------------------------


@pytest.mark.committed
def test_the_loop_hears_of_a_save_and_survives_the_database(broker: Broker) -> None:
    broker.refuses = True
    at_work = Pump(broker)
    thread = threading.Thread(target=at_work.run)
    thread.start()
    try:
        ward = Ward(2, patients=2)
        assert eventually(lambda: selectors.freshness().current)
        assert selectors.freshness().worker
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s",
                [pump.PUMP],
            )
        ward.once(ward.new_patient)
        assert eventually(lambda: selectors.freshness().current)
        assert Run.objects.first().revision == audit.latest_revision()
    finally:
        at_work.halt.set()
        thread.join(10)
    assert not thread.is_alive()
    # the database gives the lock back when it has noticed
    assert eventually(lambda: not selectors.freshness().worker)


@pytest.mark.committed
def test_one_pump_is_active_and_the_other_takes_over(broker: Broker) -> None:
    broker.refuses = True
    first, second = Pump(broker), Pump(broker)
    threads = [threading.Thread(target=each.run) for each in (first, second)]
    for thread in threads:
        thread.start()
    try:
        ward = Ward(3, patients=2)
        assert eventually(lambda: selectors.freshness().current)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND granted",
                [pump.PUMP],
            )
            assert cursor.fetchone() == (1,)
        first.halt.set()
        threads[0].join(10)
        ward.once(ward.new_patient)
        assert eventually(lambda: selectors.freshness().current)
    finally:
        first.halt.set()
        second.halt.set()
        for thread in threads:
            thread.join(10)


def eventually(true: Any) -> bool:
    for _ in range(600):
        if true():
            return True
        threading.Event().wait(0.05)
    return False
