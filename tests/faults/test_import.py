"""An import whose process dies has brought in all of the file or nothing, and goes in again without a trace of it."""

from __future__ import annotations

import signal
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from patients.models import LabResult, Visit
from tests import factories, processes
from trial import audit, protocol
from trial.models import Revision

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


def _import(file: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", "import_data", str(file), "--kind", "visits"],
        cwd=ROOT,
        env=processes.environment(**environment),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
