"""Long work that a worker does: queued in the database, claimed once, seen by its owner.

The table is the queue. A message to a worker is only a hint: it may come twice,
late or never. Whoever claims a job keeps its heartbeat; when the heart stops,
the job is claimed again, and a worker that wakes up too late finds that the job
is no longer its own.
"""

from __future__ import annotations

import logging
import re
import shutil
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self
from uuid import UUID, uuid4

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce, Now
from django.utils import translation
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from trial.logs import named
from trial.models import Job, Revision, User
from trial.roles import Permission
from trial.trail_functions import CHANNEL

RUNNERS: Mapping[str, str] = MappingProxyType(
    {
        "import_preview": "analytics.imports.preview",
        "import_commit": "analytics.imports.commit",
        "export": "analytics.exports.job.run",
        "snapshot": "analytics.exports.snapshot_job.run",
        "paper": "analytics.exports.paper_job.run",
    }
)
"""What does the work of each kind: named, because it lives on the floors above."""

TITLES: Mapping[str, Any] = MappingProxyType(
    {
        "import_preview": gettext_lazy("Reading a file"),
        "import_commit": gettext_lazy("Import"),
        "export": gettext_lazy("Export"),
        "snapshot": gettext_lazy("Freezing a snapshot"),
        "paper": gettext_lazy("Paper set"),
    }
)
"""What each kind is called."""

_NEEDS: Mapping[str, Permission] = MappingProxyType(
    {
        "import_preview": Permission.IMPORT_FILES,
        "import_commit": Permission.IMPORT_FILES,
        "export": Permission.EXPORT_FILES,
        "snapshot": Permission.FREEZE_RESULTS,
        "paper": Permission.VIEW_ANALYSIS,
    }
)
"""What whoever takes the files of each kind has to be allowed, on the day they are taken."""

ABANDONED_AFTER = timedelta(seconds=30)
MOST_ATTEMPTS = 3
KEPT_FOR = timedelta(hours=24)
UPLOAD = "upload"
WORTH_SAYING = 10
"""Seconds that may be left without a word about them."""
_SECONDS_TO_JUDGE = 3
_SAFE_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}(\.[a-z0-9]{1,8})?")
_BEAT_SECONDS = 1.0

logger = logging.getLogger(__name__)

Progress = Callable[[int, int, str], None]
Runner = Callable[[Job, Progress], dict[str, Any]]


class JobRefused(Exception):
    """A job cannot be done for a reason its owner can mend; the message says which."""


class JobCancelled(Exception):
    """The job is not wanted any more, or another worker has it: what it wrote goes."""


class TooLate(Exception):
    """The job cannot be cancelled any more; the message says why."""


# --- the queue ------------------------------------------------------------------------------


def queue(
    kind: str,
    by: User,
    parameters: Mapping[str, Any],
    *,
    upload: Iterable[bytes] | None = None,
) -> Job:
    """Put work in the queue and tell the listeners when the transaction commits.

    Parameters
    ----------
    kind
        A key of :data:`RUNNERS`.
    by
        Who started it, and who alone sees it.
    parameters
        What the runner needs; JSON.
    upload
        Blocks of a file to work on; stored as ``upload`` in the job's folder.
    """
    if kind not in RUNNERS:
        raise ValueError(f"no runner for jobs of kind {kind!r}")
    job_id = uuid4()
    if upload is not None:
        try:
            with (folder(job_id) / UPLOAD).open("wb") as file:
                for block in upload:
                    file.write(block)
        except OSError:
            # half of a patient's file helps nobody, and the disk may be full
            shutil.rmtree(folder(job_id), ignore_errors=True)
            raise
    language = translation.get_language() or settings.LANGUAGE_CODE
    with transaction.atomic(), connection.cursor() as cursor:
        job = Job.objects.create(
            id=job_id,
            kind=kind,
            started_by=by,
            parameters={"language": language, **parameters},
        )
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, f"job {job.id}"])
    return job


def waiting() -> list[UUID]:
    """Return the jobs nobody works on: queued, or claimed by a worker whose heart has stopped."""
    return list(_unclaimed().order_by("queued_at").values_list("pk", flat=True))


def own(user: User, job_id: UUID) -> Job | None:
    """Return a job this person started, or None."""
    return Job.objects.visible_to(user).filter(pk=job_id).first()


def may_take_files(user: User, job: Job) -> bool:
    """Return whether a person may still take what a job made: a role can change while a file waits."""
    needs = Permission.EXPORT_IDENTIFIED if job.parameters.get("identified") else _NEEDS[job.kind]
    return user.may(needs)


def cancel(job: Job) -> bool:
    """Stop a job: at once when nobody works on it yet, else where it next looks up.

    Returns
    -------
    bool
        Whether it is cancelled already; False when its worker has been asked.

    Raises
    ------
    TooLate
        If it has ended, or what it wrote is in the study.
    """
    now = {"cancel_asked_at": Coalesce(F("cancel_asked_at"), Now())}
    with transaction.atomic(), connection.cursor() as cursor:
        at_once = Job.objects.filter(pk=job.pk, status=Job.Status.QUEUED).update(
            status=Job.Status.CANCELLED, finished_at=Now(), **now
        )
        if at_once:
            cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, f"job {job.pk}"])
    if at_once:
        _remove_files(job)
        return True
    if _is_committed(job):
        raise TooLate(_("What it wrote is in the study already. Undo that instead."))
    if not Job.objects.filter(pk=job.pk, status=Job.Status.RUNNING).update(**now):
        raise TooLate(_("It has ended already; there is nothing left to cancel."))
    return False


def _is_committed(job: Job) -> bool:
    """Return whether a job's one revision is written: an import names it after itself."""
    return Revision.objects.filter(request_id=f"job {job.pk}").exists()


def seconds_left(job: Job) -> int | None:
    """Return about how long a running job still takes, or None when that cannot be told."""
    if job.status != Job.Status.RUNNING or job.attempts != 1 or not job.steps_done:
        return None
    return remaining(
        (job.heartbeat_at - job.started_at).total_seconds() if job.heartbeat_at and job.started_at else 0,
        job.steps_done,
        job.steps_total,
    )


def remaining(elapsed: float, done: int, total: int) -> int | None:
    """Return the seconds that the rest takes at the pace so far, or None while nobody can know.

    Parameters
    ----------
    elapsed
        Seconds since the work began.
    done, total
        Steps.
    """
    if elapsed < _SECONDS_TO_JUDGE or done <= 0 or total <= 0:
        return None
    return max(0, round(elapsed * (total - done) / done))


def latest(user: User, kinds: Iterable[str], most: int = 8) -> list[Job]:
    """Return the newest jobs of some kinds that this person started."""
    return list(Job.objects.visible_to(user).filter(kind__in=list(kinds))[:most])


def _unclaimed() -> QuerySet[Job]:
    return Job.objects.filter(
        Q(status=Job.Status.QUEUED) | Q(status=Job.Status.RUNNING, heartbeat_at__lt=Now() - ABANDONED_AFTER)
    )


# --- doing the work -------------------------------------------------------------------------


def run(job_id: UUID | str) -> bool:
    """Claim a job and do it.

    Returns
    -------
    bool
        False when another worker has the job or it is finished already.
    """
    job = _claim(job_id)
    if job is None:
        return False
    if job.cancel_asked_at is not None and not _is_committed(job):
        # the worker that was asked to stop died before it could say so
        _finish(job, Job.Status.CANCELLED)
        _remove_files(job)
        return False
    heart = _Heart(job)
    with translation.override(job.parameters.get("language")), heart:
        try:
            result = _runner(job)(job, heart.progress)
        except JobCancelled:
            if _finish(job, Job.Status.CANCELLED):
                _remove_files(job)
        except JobRefused as refusal:
            _finish(job, Job.Status.FAILED, error=str(refusal))
        except Exception as error:  # noqa: BLE001 - a job that fails must say so to its owner
            # the message may quote a row, so only the places of the code go into the log
            places = "".join(traceback.format_tb(error.__traceback__))
            logger.error(
                "job %s (%s) failed with %s\n%s",
                job.id,
                job.kind,
                named(error),
                places,
            )
            _finish(
                job,
                Job.Status.FAILED,
                error=_(
                    "The work stopped at an error of the software. Nothing was left half-written; start it again."
                ),
            )
        else:
            _finish(job, Job.Status.DONE, result=result)
    purge()
    return True


def _claim(job_id: UUID | str) -> Job | None:
    given_up = _unclaimed().filter(pk=job_id, attempts__gte=MOST_ATTEMPTS)
    given_up.update(
        status=Job.Status.FAILED,
        finished_at=Now(),
        error=_("Given up after %(count)s attempts: the worker ended each time.") % {"count": MOST_ATTEMPTS},
    )
    claimed = (
        _unclaimed()
        .filter(pk=job_id)
        .update(
            status=Job.Status.RUNNING,
            started_at=Coalesce(F("started_at"), Now()),
            heartbeat_at=Now(),
            attempts=F("attempts") + 1,
        )
    )
    return Job.objects.select_related("started_by").get(pk=job_id) if claimed else None


def _runner(job: Job) -> Runner:
    runner: Runner = import_string(RUNNERS[job.kind])
    return runner


def _finish(
    job: Job,
    status: Job.Status,
    *,
    result: Mapping[str, Any] | None = None,
    error: str = "",
) -> bool:
    # the number of attempts tells whether the job is still this worker's
    still_ours = Job.objects.filter(pk=job.pk, status=Job.Status.RUNNING, attempts=job.attempts)
    changes: dict[str, Any] = {"status": status, "finished_at": Now(), "error": error}
    if result is not None:
        changes["result"] = dict(result)
    with transaction.atomic(), connection.cursor() as cursor:
        was_ours = bool(still_ours.update(**changes))
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, f"job {job.pk}"])
    return was_ours


class _Heart:
    """Writes progress and heartbeat through a connection of its own, beside any open transaction."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._state: tuple[int, int, str] = (0, 0, "")
        self._stop = threading.Event()
        self._unwanted = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"heart of {job.pk}", daemon=True)

    def __enter__(self) -> Self:
        # inside an open transaction no other connection could see the job anyway
        if not connection.in_atomic_block:
            self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def progress(self, done: int, total: int, text: str) -> None:
        """Note how far the work is; the work stops here when nobody wants it any more."""
        self._state = (done, total, text)
        # before anything is written the last word counts, not that of a second ago
        if self._unwanted.is_set() or (connection.in_atomic_block and not self._is_wanted()):
            raise JobCancelled

    def _is_wanted(self) -> bool:
        return self._ours().filter(cancel_asked_at=None).exists()

    def _ours(self) -> QuerySet[Job]:
        return Job.objects.filter(pk=self._job.pk, status=Job.Status.RUNNING, attempts=self._job.attempts)

    def _beat(self) -> None:
        try:
            while not self._stop.wait(_BEAT_SECONDS):
                done, total, text = self._state
                try:
                    self._ours().update(
                        heartbeat_at=Now(),
                        steps_done=done,
                        steps_total=total,
                        step=text[:200],
                    )
                    if not self._is_wanted():
                        self._unwanted.set()
                except DatabaseError:
                    # the next beat tries again; a heart that never beats gives the job away
                    connection.close()
        finally:
            connection.close()


# --- files of a job -------------------------------------------------------------------------


def folder(job_id: UUID | str) -> Path:
    """Return the folder of a job's files, made when it does not exist; its name is the job's id."""
    path = Path(settings.JOB_FILES) / str(UUID(str(job_id)))
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def file_of(job: Job, name: str | None = None) -> Path | None:
    """Return a file of a job, or None when there is none or it has been purged.

    Parameters
    ----------
    name
        A name the software gave; without it the job's result file.
    """
    name = name or str(job.result.get("file", ""))
    if not _SAFE_NAME.fullmatch(name):
        return None
    path = Path(settings.JOB_FILES) / str(job.pk) / name
    return path if path.is_file() else None


def kept_until(job: Job) -> datetime | None:
    """Return when the files of an ended job go."""
    return job.finished_at + KEPT_FOR if job.finished_at else None


def erase(job: Job, name: str) -> None:
    """Delete one file of a job at once, because it must not lie here until its day is over."""
    path = file_of(job, name)
    if path is not None:
        path.unlink(missing_ok=True)


def _remove_files(job: Job) -> None:
    shutil.rmtree(Path(settings.JOB_FILES) / str(job.pk), ignore_errors=True)


def purge() -> int:
    """Delete the files of jobs that ended more than a day ago, were cancelled, or never were."""
    root = Path(settings.JOB_FILES)
    if not root.is_dir():
        return 0
    folders = {}
    for path in root.iterdir():
        try:
            folders[UUID(path.name)] = path
        except ValueError:
            continue
    known = {job.pk: job for job in Job.objects.filter(pk__in=folders).only("status", "finished_at")}
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now = cursor.fetchone()[0]
    purged = 0
    for job_id, path in folders.items():
        job = known.get(job_id)
        if job is not None:
            until = kept_until(job)
            old = until is not None and (until < now or job.status == Job.Status.CANCELLED)
        else:
            old = path.stat().st_mtime < (now - KEPT_FOR).timestamp()
        if old:
            shutil.rmtree(path, ignore_errors=True)
            purged += 1
    return purged
