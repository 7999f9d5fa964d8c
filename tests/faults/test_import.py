"""An import whose process dies has brought in all of the file or nothing, and goes in again without a trace of it."""

from __future__ import annotations

import signal
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db.models.functions import Now

from patients.models import LabResult, Visit
from tests import factories, processes
from trial import audit, jobs, protocol
from trial.models import Job, Revision, User

pytestmark = [pytest.mark.committed, pytest.mark.slow]
SUBJECTS = 12
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("failpoint", "comes_in"),
    [
        pytest.param("record_before_write", False, marks=pytest.mark.exhaustive),
        pytest.param("record_after_write", False, marks=pytest.mark.exhaustive),
        ("record_before_commit", False),
        ("record_after_commit", True),
    ],
)
def test_an_import_killed(failpoint: str, comes_in: bool, tmp_path: Path) -> None:
    subjects = [factories.a_patient(subject_id=f"K-{number:03}").subject_id for number in range(SUBJECTS)]
    file = tmp_path / "visits.csv"
    rows = [f"{subject},{week},,{40 + week},8.5" for subject in subjects for week in protocol.WEEKS]
    file.write_text("subject_id,week,visit_date,alt,tbil\n" + "\n".join(rows) + "\n", encoding="utf-8")
    before = audit.latest_revision()

    killed = _import(file, CORDLINE_FAILPOINT=f"{failpoint}=kill")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert Visit.objects.count() == (len(rows) if comes_in else 0)
    assert LabResult.objects.count() == (2 * len(rows) if comes_in else 0)
    assert audit.latest_revision() == before + comes_in

    # nothing of the first is left that a second would need a process of its own to avoid
    call_command("import_data", str(file), kind="visits", stdout=StringIO(), stderr=StringIO())
    assert LabResult.objects.count() == 2 * len(rows)
    assert audit.latest_revision() == before + 1
    assert Revision.objects.filter(number=None).count() == 0


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("failpoint", "verdict"), [("record_after_write", "accepted"), ("record_after_commit", "accepted_before")]
)
def test_an_import_whose_worker_is_killed_is_brought_in_once_by_the_next(
    failpoint: str, verdict: str, data_manager: User
) -> None:
    subjects = [factories.a_patient(subject_id=f"K-{number:03}").subject_id for number in range(SUBJECTS)]
    rows = [f"{subject},{week},,{40 + week}" for subject in subjects for week in protocol.WEEKS]
    text = "\n".join(["subject_id,week,visit_date,alt", *rows, ""])
    file = {"kind": "visits", "name": "visits.csv", "title": "visits.csv"}
    preview = jobs.queue("import_preview", data_manager, file, upload=[text.encode()])
    jobs.run(preview.pk)
    commit = jobs.queue(
        "import_commit", data_manager, {**file, "preview": str(preview.pk), "reason": "monthly file"}
    )
    before = audit.latest_revision()

    killed = _manage(
        "shell",
        "-c",
        f"from trial import jobs; jobs.run('{commit.pk}')",
        CORDLINE_FAILPOINT=f"{failpoint}=kill",
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert LabResult.objects.count() == (len(rows) if verdict == "accepted_before" else 0)
    commit.refresh_from_db()
    assert (commit.status, jobs.waiting()) == (Job.Status.RUNNING, []), "nobody could say that it ended"

    Job.objects.filter(pk=commit.pk).update(heartbeat_at=Now() - jobs.ABANDONED_AFTER * 2)
    assert jobs.waiting() == [commit.pk]
    assert jobs.run(commit.pk)
    commit.refresh_from_db()
    assert (commit.status, commit.attempts, commit.result["verdict"]) == (Job.Status.DONE, 2, verdict)
    assert LabResult.objects.count() == len(rows)
    assert audit.latest_revision() == before + 1
    assert Revision.objects.filter(request_id=f"job {commit.pk}").count() == 1


def _import(file: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return _manage("import_data", str(file), "--kind", "visits", **environment)


def _manage(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=processes.environment(**environment),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
