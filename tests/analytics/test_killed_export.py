"""An export whose worker is killed is taken over, and what arrives is whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from errno import ENOSPC
from inspect import GEN_CLOSED, getgeneratorstate
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db.models.functions import Now
from django.test import Client

from analytics.datasets import DATASETS
from analytics.exports import bundle
from trial import jobs
from trial.models import Job, User

pytestmark = pytest.mark.django_db


class Killed(BaseException):
    """What no worker survives."""


def test_an_export_is_taken_over_whole(data_manager: User, monkeypatch: pytest.MonkeyPatch) -> None:
    names = list(DATASETS)[:2]
    job = jobs.queue("export", data_manager, {"datasets": names})
    folder = jobs.folder(job.pk)

    def dies(_heart: Any, done: int, *_words: Any) -> None:
        if not done:
            return
        (folder / "tmp-of-the-dead").mkdir()
        (folder / "export.zip").write_bytes(b"PK half an archive")
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(jobs._Heart, "progress", dies)
        with pytest.raises(Killed):
            jobs.run(job.pk)
    job.refresh_from_db()
    assert job.status == Job.Status.RUNNING, "nobody could say that it ended"
    assert jobs.waiting() == []
    Job.objects.filter(pk=job.pk).update(heartbeat_at=Now() - jobs.ABANDONED_AFTER * 2)
    assert jobs.waiting() == [job.pk]

    assert jobs.run(job.pk) is True

    job.refresh_from_db()
    assert (job.status, job.attempts) == (Job.Status.DONE, 2)
    archive = jobs.file_of(job)
    assert archive is not None
    with ZipFile(archive) as taken:
        assert taken.testzip() is None
        held = [name.rpartition("/")[2] for name in taken.namelist()]
        assert {f"{name}.csv" for name in names} <= set(held)
    Job.objects.filter(pk=job.pk).update(finished_at=Now() - jobs.KEPT_FOR - timedelta(seconds=1))
    assert jobs.purge() == 1
    assert not folder.exists(), "with what the dead worker left"


def test_a_full_disk_ends_the_reading() -> None:
    rows = (b"x" * 2**20 for _block in range(2))
    with pytest.raises(OSError, match="No space left"):
        bundle.written_to(Path("/dev/full"), DATASETS["subjects"], rows)
    assert getgeneratorstate(rows) == GEN_CLOSED, "a COPY half read keeps the connection for ever"


def test_a_full_disk_keeps_no_half_of_an_upload(data_manager: User) -> None:
    def blocks() -> Iterator[bytes]:
        yield b"half a patient's row"
        raise OSError(ENOSPC, "No space left on device")

    before = sorted(settings.JOB_FILES.glob("*"))
    with pytest.raises(OSError, match="No space left"):
        jobs.queue("import_preview", data_manager, {}, upload=blocks())
    assert sorted(settings.JOB_FILES.glob("*")) == before
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    "place",
    [
        pytest.param(
            "django.core.files.uploadhandler.MemoryFileUploadHandler.receive_data_chunk", id="arriving"
        ),
        pytest.param("trial.jobs.queue", id="kept"),
    ],
)
def test_a_full_disk_is_said_to_who_uploads(
    data_manager: User,
    signed_in: Callable[[User], Client],
    monkeypatch: pytest.MonkeyPatch,
    place: str,
) -> None:
    def full(*_given: Any, **_named: Any) -> Any:
        raise OSError(ENOSPC, "No space left on device")

    browser = signed_in(data_manager)
    browser.raise_request_exception = False
    # a disk cannot be filled for a test; the error is the one that the kernel gives
    monkeypatch.setattr(place, full)
    file = SimpleUploadedFile("visits.csv", b"subject_id,week\nGE-001,0\n")
    answer = browser.post("/data/import/", {"file": file, "kind": "visits"})
    assert answer.status_code == 507 and "The disk of the server is full" in answer.content.decode()
