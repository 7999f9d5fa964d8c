"""Turns what the database knows into work for Celery: one thread of every worker, one of them active.

The database remembers what is to be done: results older than the data, jobs that
nobody works on. The pump looks when it is notified and every second, and sends
messages. A message is only a hint, so nothing is lost with one; and when messages
lead to nothing, because the broker is down or the worker's children are stuck, the
pump does the work itself.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from celery import bootsteps
from celery.signals import worker_shutting_down
from django.conf import settings
from django.db import connections
from django.db.models import Q
from django.db.models.functions import Now

from analytics.code_version import CURRENT, READ_AT
from analytics.locks import PUMP
from analytics.refresh import refresh
from trial import idempotency, jobs
from trial.celery import app
from trial.models import Job
from trial.trail_functions import CHANNEL

POLL_SECONDS = 1.0
PUBLISH_SECONDS = 1.0
"""How long the broker may take to accept a message."""
PURGE_SECONDS = 600.0
"""Between two looks for files of jobs that have been kept long enough."""
LONGEST_PAUSE = 60.0
"""Between two tries of a refresh that fails."""

REFRESH, RUN_JOB = "analytics.refresh", "analytics.run_job"

logger = logging.getLogger(__name__)

Publish = Callable[[str, tuple[Any, ...]], None]


def publish(task: str, arguments: tuple[Any, ...]) -> None:
    """Hand a message to the broker."""
    app.send_task(task, arguments, retry=False)


@dataclass(frozen=True, slots=True)
class Look:
    """What the database says about the results."""

    latest: int
    run: int
    needed: bool
    failures: int
    seconds_since_failure: float

    @property
    def resting(self) -> bool:
        """Whether it is too early to try again what failed."""
        return bool(self.failures) and self.seconds_since_failure < min(2.0**self.failures, LONGEST_PAUSE)


@dataclass
class Pump:
    """The loop; ``publish`` may hang or raise, nothing else waits for it."""

    publish: Publish = publish
    halt: threading.Event = field(default_factory=threading.Event)
    stuck_seconds: float = field(default_factory=lambda: settings.STUCK_SECONDS)
    sent: Look | None = None
    sent_at: float = 0.0
    sent_jobs: dict[UUID, float] = field(default_factory=dict)
    purged_at: float = -PURGE_SECONDS
    publisher: threading.Thread | None = None
    substitute: threading.Thread | None = None

    def run(self) -> None:
        """Serve until told to halt, over every failure of the database."""
        while not self.halt.is_set():
            try:
                self.serve()
            except Exception as error:  # noqa: BLE001 - without the pump nothing is ever computed again
                logger.warning("pump: %s; looking again in a second", type(error).__name__)
                self.halt.wait(1)
            finally:
                connections.close_all()

    def serve(self) -> None:
        """Become the active pump, then look and send until told to halt."""
        with _connection() as own:
            while not own.execute("SELECT pg_try_advisory_lock(%s)", [PUMP]).fetchone()[0]:
                if self.halt.wait(1):
                    return
            own.execute(f"LISTEN {CHANNEL}")
            while not self.halt.is_set():
                self.look(own)
                for _notification in own.notifies(timeout=POLL_SECONDS, stop_after=1):
                    pass

    def look(self, own: Any) -> None:
        """See what is to be done and set it going."""
        now = look(own)
        if self.sent is not None and (now.run, now.failures) != (self.sent.run, self.sent.failures):
            self.sent = None
        if not now.needed or now.resting:
            self.sent = None
        elif self.sent is None:
            self.sent, self.sent_at = now, time.monotonic()
            if not self.send(REFRESH):
                self.refresh_here()
        elif time.monotonic() - self.sent_at > self.stuck_seconds:
            self.refresh_here()
        self.look_for_jobs()
        if time.monotonic() - self.purged_at >= PURGE_SECONDS:
            self.purged_at = time.monotonic()
            jobs.purge()
            idempotency.purge_answers()

    def refresh_here(self) -> None:
        """Do the work of the message that leads to nothing."""
        self.sent = None
        try:
            refresh(patience=timedelta(0))
        except Exception as error:  # noqa: BLE001 - recorded by refresh itself; the next look waits a while
            logger.warning("refresh in the pump: %s", type(error).__name__)
            connections.close_all()

    def look_for_jobs(self) -> None:
        """Send the jobs nobody works on; do one here when messages lead to nothing and nobody is busy."""
        waiting = jobs.waiting()
        self.sent_jobs = {job: at for job, at in self.sent_jobs.items() if job in waiting}
        for job in waiting:
            if job not in self.sent_jobs:
                self.sent_jobs[job] = time.monotonic()
                if not self.send(RUN_JOB, str(job)):
                    self.job_here(job)
            elif time.monotonic() - self.sent_jobs[job] > self.stuck_seconds and not _anybody_busy():
                self.job_here(job)

    def job_here(self, job: UUID) -> None:
        """Run a job in a thread of its own, one at a time: imports may take minutes."""
        if self.substitute is not None and self.substitute.is_alive():
            return
        self.substitute = threading.Thread(target=_run_job, args=(job,), name=f"job {job}", daemon=True)
        self.substitute.start()

    def send(self, task: str, *arguments: Any) -> bool:
        """Publish a message; False when the broker refuses or does not answer in time."""
        if self.publisher is not None and self.publisher.is_alive():
            return False
        refused: list[Exception] = []

        def attempt() -> None:
            try:
                self.publish(task, arguments)
            except Exception as error:  # noqa: BLE001 - every broker has errors of its own
                refused.append(error)

        self.publisher = threading.Thread(target=attempt, name="publish", daemon=True)
        self.publisher.start()
        self.publisher.join(PUBLISH_SECONDS)
        if refused or self.publisher.is_alive():
            logger.warning("the broker did not take %s; doing it here", task)
            return False
        return True


def _run_job(job: UUID) -> None:
    try:
        jobs.run(job)
    except Exception as error:  # noqa: BLE001 - the job's heart has stopped, so it is found again
        logger.warning("job %s in the pump: %s", job, type(error).__name__)
    finally:
        connections.close_all()


def _anybody_busy() -> bool:
    alive = Q(status=Job.Status.RUNNING, heartbeat_at__gte=Now() - jobs.ABANDONED_AFTER)
    return Job.objects.filter(alive).exists()


_LOOK = """
SELECT coalesce((SELECT max(number) FROM trial_revision), 0),
    coalesce(run.id, 0), coalesce(run.revision, -1), run.code_version, run.finished_at,
    (SELECT count(*) FROM analytics_failure WHERE failed_at > coalesce(run.finished_at, '-infinity')),
    (SELECT extract(epoch FROM statement_timestamp() - max(failed_at))::float FROM analytics_failure)
FROM (SELECT 1) AS always LEFT JOIN (SELECT * FROM analytics_run ORDER BY id DESC LIMIT 1) AS run ON true
"""


def look(own: Any) -> Look:
    """Ask the database how the results stand to the data; one statement."""
    latest, run, revision, code, finished_at, failures, since = own.execute(_LOOK).fetchone()
    # results of other code are renewed by whoever started after they were made, never back and forth
    renewed = code != CURRENT and (finished_at is None or finished_at < READ_AT)
    return Look(latest, run, latest != revision or renewed, failures, since or 0.0)


@contextmanager
def _connection() -> Iterator[Any]:
    """Open a plain connection of the pump's own: its lock and its LISTEN live as long as it does."""
    wrapper = connections["default"].copy("pump")
    wrapper.settings_dict["OPTIONS"].pop("pool", None)
    wrapper.settings_dict["OPTIONS"] |= {
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
    }
    wrapper.connect()
    try:
        yield wrapper.connection
    finally:
        wrapper.close()


class PumpStep(bootsteps.StartStopStep):  # type: ignore[misc]
    """Starts the pump in the worker's main process, after its children have been forked."""

    requires = frozenset({"celery.worker.components:Pool"})

    def __init__(self, worker: Any, **options: Any) -> None:
        self.pump = Pump()
        super().__init__(worker, **options)

    def create(self, worker: Any) -> None:
        # at the first signal, not when the last task has ended: another worker's pump takes over at once
        worker_shutting_down.connect(self._halt, weak=False)

    def start(self, worker: Any) -> None:
        threading.Thread(target=self.pump.run, name="pump", daemon=True).start()

    def stop(self, worker: Any) -> None:
        self.pump.halt.set()

    def _halt(self, **_signal: Any) -> None:
        self.pump.halt.set()


app.steps["worker"].add(PumpStep)
