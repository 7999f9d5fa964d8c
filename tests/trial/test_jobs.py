"""Long work: claimed once, given up when abandoned, seen by its owner alone."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError, OutputWrapper
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.factories import by_the_software
from trial import audit, jobs
from trial.models import Job, Site, User
from trial.roles import Permission, Role
from trial.shell_progress import Printer

RUNNERS, NEEDS = jobs.RUNNERS, jobs._NEEDS


def does_it(job: Job, progress: jobs.Progress) -> dict[str, Any]:
    progress(1, 2, "half way")
    (jobs.folder(job.pk) / "result.csv").write_text("a,b\n")
    return {"file": "result.csv", "download_name": "Ergebnis.csv"}


def refuses(job: Job, progress: jobs.Progress) -> dict[str, Any]:
    raise jobs.JobRefused("The file is gone.")


def breaks(job: Job, progress: jobs.Progress) -> dict[str, Any]:
    raise RuntimeError(job.parameters["who"])


def test_every_kind_says_what_taking_its_files_needs() -> None:
    assert set(NEEDS) == set(RUNNERS)


@pytest.fixture(autouse=True)
def _runners(monkeypatch: pytest.MonkeyPatch) -> None:
    here = {"good": does_it, "refused": refuses, "broken": breaks}
    monkeypatch.setattr(jobs, "RUNNERS", dict.fromkeys(here, "unused"))
    monkeypatch.setattr(jobs, "_NEEDS", dict.fromkeys(here, Permission.EXPORT_FILES))
    monkeypatch.setattr(jobs, "_runner", lambda job: here[job.kind])


def test_a_job_is_done_once(data_manager: User) -> None:
    job = jobs.queue("good", data_manager, {"title": "x"})
    assert jobs.waiting() == [job.pk]

    assert jobs.run(job.pk) is True
    assert jobs.run(job.pk) is False, "a second message for the same job does nothing"

    done = jobs.own(data_manager, job.pk)
    assert done is not None
    assert (done.status, done.attempts, done.percent) == (Job.Status.DONE, 1, 100)
    assert jobs.waiting() == []


def test_a_kind_without_a_runner_is_refused_before_it_is_stored(data_manager: User) -> None:
    with pytest.raises(ValueError, match="no runner"):
        jobs.queue("unheard of", data_manager, {})
    assert not Job.objects.exists()


def test_a_refusal_reaches_its_owner_in_words(data_manager: User) -> None:
    job = jobs.queue("refused", data_manager, {})
    jobs.run(job.pk)
    job.refresh_from_db()
    assert (job.status, job.error) == (Job.Status.FAILED, "The file is gone.")


def test_an_error_says_nothing_of_a_patient_in_the_log(
    data_manager: User, caplog: pytest.LogCaptureFixture
) -> None:
    job = jobs.queue("broken", data_manager, {"who": "Zhang San, 13 Renmin Road"})
    jobs.run(job.pk)
    job.refresh_from_db()
    assert job.status == Job.Status.FAILED
    assert "start it again" in job.error
    assert "RuntimeError" in caplog.text
    assert "Zhang San" not in caplog.text + job.error


def test_an_abandoned_job_is_taken_over_and_given_up_in_the_end(data_manager: User) -> None:
    job = jobs.queue("good", data_manager, {})
    Job.objects.filter(pk=job.pk).update(
        status=Job.Status.RUNNING,
        attempts=1,
        heartbeat_at=Now() - jobs.ABANDONED_AFTER - timedelta(seconds=1),
    )
    assert jobs.waiting() == [job.pk]
    assert jobs.run(job.pk) is True
    job.refresh_from_db()
    assert (job.status, job.attempts) == (Job.Status.DONE, 2)

    lost = jobs.queue("good", data_manager, {})
    Job.objects.filter(pk=lost.pk).update(
        status=Job.Status.RUNNING, attempts=jobs.MOST_ATTEMPTS, heartbeat_at=Now() - timedelta(hours=1)
    )
    assert jobs.run(lost.pk) is False
    lost.refresh_from_db()
    assert lost.status == Job.Status.FAILED
    assert str(jobs.MOST_ATTEMPTS) in lost.error


def test_a_beating_job_is_left_alone(data_manager: User) -> None:
    job = jobs.queue("good", data_manager, {})
    Job.objects.filter(pk=job.pk).update(status=Job.Status.RUNNING, attempts=1, heartbeat_at=Now())
    assert jobs.waiting() == []
    assert jobs.run(job.pk) is False


def test_a_worker_that_wakes_up_too_late_does_not_finish_what_another_has(
    data_manager: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = jobs.queue("good", data_manager, {})

    def overtaken(job: Job, progress: jobs.Progress) -> dict[str, Any]:
        Job.objects.filter(pk=job.pk).update(attempts=job.attempts + 1)  # somebody else has claimed it
        return {"late": True}

    monkeypatch.setattr(jobs, "_runner", lambda job: overtaken)
    jobs.run(job.pk)
    job.refresh_from_db()
    assert job.status == Job.Status.RUNNING
    assert "late" not in job.result


@pytest.mark.committed
def test_listeners_hear_of_a_job_when_it_is_committed(data_manager: User) -> None:
    connection.ensure_connection()
    with connection.cursor() as cursor:
        cursor.execute(f"LISTEN {jobs.CHANNEL}")
    job = jobs.queue("good", data_manager, {})
    assert connection.connection is not None
    heard = [n.payload for n in connection.connection.notifies(timeout=5, stop_after=1)]
    assert heard == [f"job {job.pk}"]


@pytest.mark.committed
def test_progress_and_heartbeat_are_seen_while_the_work_goes_on(
    data_manager: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = jobs.queue("good", data_manager, {})
    seen: list[tuple[int, int, str]] = []

    def slow(job: Job, progress: jobs.Progress) -> dict[str, Any]:
        progress(3, 4, "nearly")
        beating = Job.objects.filter(pk=job.pk, steps_done=3)
        for _round in range(200):
            if beating.exists():
                break
            _wait()
        found = Job.objects.get(pk=job.pk)
        seen.append((found.steps_done, found.percent, found.step))
        return {}

    monkeypatch.setattr(jobs, "_BEAT_SECONDS", 0.02)
    monkeypatch.setattr(jobs, "_runner", lambda job: slow)
    jobs.run(job.pk)
    assert seen == [(3, 75, "nearly")]


def _wait() -> None:
    import time

    time.sleep(0.02)


# --- cancelling -----------------------------------------------------------------------------


def test_a_queued_job_is_cancelled_at_once_and_its_files_go(data_manager: User) -> None:
    job = jobs.queue("good", data_manager, {}, upload=[b"x"])
    assert jobs.cancel(job) is True
    job.refresh_from_db()
    assert job.status == Job.Status.CANCELLED
    assert jobs.file_of(job, jobs.UPLOAD) is None
    assert jobs.waiting() == []
    assert jobs.run(job.pk) is False, "a message that was on its way finds nothing to do"
    with pytest.raises(jobs.TooLate, match="ended already"):
        jobs.cancel(job)


@pytest.mark.committed
def test_a_running_job_stops_at_its_next_step_and_what_it_wrote_goes(
    data_manager: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice: outside a transaction the heart hears of it, inside one the work itself asks."""

    def outside(job: Job, progress: jobs.Progress) -> dict[str, Any]:
        (jobs.folder(job.pk) / "result.csv").write_text("half")
        assert jobs.cancel(job) is False, "its worker is asked"
        for _round in range(500):
            progress(1, 2, "still at it")
            _wait()
        return {"file": "result.csv"}

    def inside(job: Job, progress: jobs.Progress) -> dict[str, Any]:
        with audit.revision(by=data_manager, reason="x", source="import"):
            Site.objects.create(code="ZZ", name="half a site")
            asked = threading.Thread(target=_in_another_process, args=(job,))
            asked.start()
            asked.join()
            progress(1, 2, "writing")
        return {}

    monkeypatch.setattr(jobs, "_BEAT_SECONDS", 0.02)
    for work in (outside, inside):
        monkeypatch.setattr(jobs, "_runner", lambda job, work=work: work)
        job = jobs.queue("good", data_manager, {})
        jobs.run(job.pk)
        job.refresh_from_db()
        assert (job.status, job.error, job.result) == (Job.Status.CANCELLED, "", {}), work.__name__
        assert not list(Path(settings.JOB_FILES).glob(f"{job.pk}*"))
    assert not Site.objects.filter(code="ZZ").exists()


def _in_another_process(job: Job) -> None:
    try:
        jobs.cancel(job)
    finally:
        connection.close()


def test_what_is_committed_is_not_cancelled_and_says_so(
    data_manager: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def commits(job: Job, progress: jobs.Progress) -> dict[str, Any]:
        Job.objects.filter(pk=job.pk).update(cancel_asked_at=Now())  # between its last step and its commit
        with audit.revision(by=data_manager, reason="x", source="import", request_id=f"job {job.pk}"):
            Site.objects.create(code="ZZ", name="a whole site")
        with pytest.raises(jobs.TooLate, match="in the study already"):
            jobs.cancel(job)
        return {"revision": 1}

    monkeypatch.setattr(jobs, "_runner", lambda job: commits)
    job = jobs.queue("good", data_manager, {})
    jobs.run(job.pk)
    job.refresh_from_db()
    assert (job.status, job.result) == (Job.Status.DONE, {"revision": 1})
    assert Site.objects.filter(code="ZZ").exists()

    # the same when its worker died before it could say that it is done
    Job.objects.filter(pk=job.pk).update(
        status=Job.Status.RUNNING, finished_at=None, heartbeat_at=Now() - timedelta(hours=1)
    )
    monkeypatch.setattr(jobs, "_runner", lambda job: lambda job, progress: {"revision": "found"})
    assert jobs.run(job.pk) is True
    job.refresh_from_db()
    assert (job.status, job.result) == (Job.Status.DONE, {"revision": "found"})


def test_a_worker_that_died_while_it_was_asked_to_stop_leaves_a_cancelled_job(data_manager: User) -> None:
    job = jobs.queue("good", data_manager, {}, upload=[b"x"])
    stopped = Now() - jobs.ABANDONED_AFTER - timedelta(seconds=1)
    Job.objects.filter(pk=job.pk).update(status=Job.Status.RUNNING, attempts=1, heartbeat_at=stopped)
    assert jobs.cancel(job) is False
    assert jobs.run(job.pk) is False
    job.refresh_from_db()
    assert job.status == Job.Status.CANCELLED
    assert jobs.file_of(job, jobs.UPLOAD) is None


def test_cancelling_from_the_page_and_the_shell(
    data_manager: User, statistician: User, signed_in: Callable[[User], Client]
) -> None:
    first, second = (jobs.queue("good", data_manager, {"title": "x"}) for _ in range(2))
    client, other = signed_in(data_manager), signed_in(statistician)
    url = reverse("trial:cancel_job", args=[first.pk])
    assert url in client.get(reverse("trial:job", args=[first.pk])).content.decode()
    assert other.post(url).status_code == 404
    assert client.get(url).status_code == 405
    done = client.post(url, follow=True).content.decode()
    assert "Nothing of it was kept" in done
    assert f'<a href="{reverse("analytics:data")}">Ask for it again</a>' in done
    assert url not in done
    assert "ended already" in client.post(url, follow=True).content.decode()

    out = StringIO()
    call_command("jobs", "cancel", str(second.pk), stdout=out)
    call_command("jobs", stdout=out)
    call_command("jobs", "purge", stdout=out)
    said = out.getvalue().splitlines()
    assert said[0] == "Cancelled."
    assert sorted(line.split()[0] for line in said[1:3]) == sorted(str(job.pk) for job in (first, second))
    assert said[3] == "Files of 0 jobs deleted."
    for job_id, code in ((second.pk, 1), (uuid.uuid4(), 2)):
        with pytest.raises(CommandError) as refused:
            call_command("jobs", "cancel", str(job_id))
        assert refused.value.returncode == code
    for most in ("0", "-3", "x", "9" * 30):
        with pytest.raises(CommandError, match="Write one from 1 to"):
            call_command("jobs", "list", f"--most={most}")


# --- how long it takes ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("elapsed", "done", "total", "left"),
    [(10, 1, 4, 30), (10, 4, 4, 0), (1, 1, 4, None), (10, 0, 4, None), (10, 1, 0, None), (10, 5, 4, 0)],
)
def test_what_is_left_follows_from_the_pace(elapsed: float, done: int, total: int, left: int | None) -> None:
    assert jobs.remaining(elapsed, done, total) == left


def test_the_page_says_how_long_it_takes_and_how_long_the_file_stays(
    data_manager: User, signed_in: Callable[[User], Client]
) -> None:
    client = signed_in(data_manager)
    job = jobs.queue("good", data_manager, {})
    url = reverse("trial:job", args=[job.pk])
    running = {"status": Job.Status.RUNNING, "attempts": 1, "steps_total": 10, "heartbeat_at": Now()}
    for seconds, done, words in (
        (20, 5, "about 20 s left"),
        (60, 1, "about 9 minutes left"),
        (60, 9, "left"),
    ):
        since = Now() - timedelta(seconds=seconds)
        Job.objects.filter(pk=job.pk).update(started_at=since, steps_done=done, **running)
        assert (words in client.get(url).content.decode()) is (done < 9)
    Job.objects.filter(pk=job.pk).update(status=Job.Status.QUEUED)
    jobs.run(job.pk)
    job.refresh_from_db()
    until = timezone.localtime(jobs.kept_until(job)).strftime("%Y-%m-%d %H:%M")
    assert f"kept until {until}" in client.get(url).content.decode()


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_in_a_shell(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    text, now = StringIO(), iter(range(0, 1000, 10))
    monkeypatch.setattr(text, "isatty", lambda: terminal, raising=False)
    said = Printer(OutputWrapper(text), clock=lambda: next(now))
    for done in (1, 2, 3, 50, 100):
        said(done, 100, "Reading")
    said.end()
    lines = text.getvalue()
    assert lines.endswith("\n")
    if terminal:
        assert lines.count("\n") == 1
        assert lines.split("\r")[-1].startswith("Reading: 100 %")
    else:
        assert [line.split(" %")[0] for line in lines.splitlines()] == [
            "Reading: 1",
            "Reading: 50",
            "Reading: 100",
        ]
    assert "s left" in lines


# --- files ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["../secret", "/etc/passwd", "a/b", "..", "", "A.csv", "x\x00y", "facts", {"a": 1}]
)
def test_a_name_that_is_not_ours_is_no_file(name: Any, data_manager: User) -> None:
    job = jobs.queue("good", data_manager, {})
    (jobs.folder(job.pk).parent / "secret").write_text("s")
    job.result = {"file": name}
    assert jobs.file_of(job) is None


def test_files_go_after_a_day_and_strangers_stay(data_manager: User, settings: Any) -> None:
    old, new = jobs.queue("good", data_manager, {}), jobs.queue("good", data_manager, {})
    jobs.run(old.pk)
    jobs.run(new.pk)
    Job.objects.filter(pk=old.pk).update(finished_at=Now() - jobs.KEPT_FOR - timedelta(minutes=1))
    orphan = jobs.folder(uuid.uuid4())
    os.utime(orphan, (0, 0))
    stranger = settings.JOB_FILES / "not-a-job"
    stranger.mkdir()

    assert jobs.purge() == 2
    assert not (settings.JOB_FILES / str(old.pk)).exists()
    assert (settings.JOB_FILES / str(new.pk)).is_dir()
    assert stranger.is_dir()


# --- pages ----------------------------------------------------------------------------------


def test_the_page_shows_progress_and_offers_the_file(
    data_manager: User, signed_in: Callable[[User], Client]
) -> None:
    client = signed_in(data_manager)
    job = jobs.queue("good", data_manager, {"title": "what was asked for"})
    url = reverse("trial:job", args=[job.pk])
    waiting = client.get(url).content.decode()
    assert "What was asked for" in waiting
    assert 'hx-trigger="every 1s"' in waiting

    jobs.run(job.pk)
    part = client.get(url, headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in part
    assert "hx-trigger" not in part, "a finished job is not asked about any more"
    file = client.get(reverse("trial:job_file", args=[job.pk]))
    assert b"".join(file.streaming_content) == b"a,b\n"
    assert 'attachment; filename="Ergebnis.csv"' in file.headers["Content-Disposition"]


def test_a_job_is_its_owners_alone(
    data_manager: User, statistician: User, signed_in: Callable[[User], Client]
) -> None:
    job = jobs.queue("good", data_manager, {})
    jobs.run(job.pk)
    other = signed_in(statistician)
    assert other.get(reverse("trial:job", args=[job.pk])).status_code == 404
    assert other.get(reverse("trial:job_file", args=[job.pk])).status_code == 404
    assert jobs.own(statistician, job.pk) is None
    assert jobs.latest(statistician, ["good"]) == []


def test_a_file_is_not_given_to_whom_it_would_not_be_made_any_more(
    data_manager: User, signed_in: Callable[[User], Client]
) -> None:
    """A role can change within the day for which files are kept."""
    plain = jobs.queue("good", data_manager, {"title": "x"})
    named = jobs.queue("good", data_manager, {"title": "x", "identified": True})
    client = signed_in(data_manager)
    for job, role, status in (
        (plain, Role.DATA_MANAGER, 200),
        (named, Role.DATA_MANAGER, 200),
        (plain, Role.STATISTICIAN, 200),
        (named, Role.STATISTICIAN, 403),
        (plain, Role.MONITOR, 403),
    ):
        if jobs.file_of(job) is None:
            jobs.run(job.pk)
        with by_the_software():
            User.objects.filter(pk=data_manager.pk).update(role=role.value)
        answer = client.get(reverse("trial:job_file", args=[job.pk]))
        assert answer.status_code == status, (job.parameters, role)


def test_a_purged_file_is_said_to_be_gone(data_manager: User, signed_in: Callable[[User], Client]) -> None:
    job = jobs.queue("good", data_manager, {})
    jobs.run(job.pk)
    (jobs.folder(job.pk) / "result.csv").unlink()
    client = signed_in(data_manager)
    assert "removed after 24 hours" in client.get(reverse("trial:job", args=[job.pk])).content.decode()
    assert client.get(reverse("trial:job_file", args=[job.pk])).headers["Location"] == reverse(
        "trial:job", args=[job.pk]
    )
