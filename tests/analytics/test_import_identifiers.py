"""What names a person is refused in the browser too, can be left out, and stands nowhere afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from patients.models import LabResult
from tests import factories
from tests.analytics.test_imports import Browser
from trial import jobs
from trial.models import AuditEntry, Job, Site, User

pytestmark = pytest.mark.django_db

CARD = "11010519491231002X"
NAMES = ("张伟", "王芳", "李秀英")
TABLE = (
    "subject_id,week,visit_date,alt,姓名,notes\r\n"
    f"S001,0,2015-01-05,312,{NAMES[0]},\r\n"
    f"S001,1,2015-01-12,198,{NAMES[1]},身份证{CARD}\r\n"
    f"S001,4,2015-02-02,76,{NAMES[2]},\r\n"
)


@pytest.fixture
def browser(data_manager: User, signed_in: Callable[[User], Client], sites: dict[str, Site]) -> Browser:
    factories.a_patient(site=sites["GE"], subject_id="S001")
    return Browser(signed_in(data_manager))


def kept(browser: Browser, job: Job) -> str:
    """Return all that is kept of a job besides the upload itself, and what its page shows."""
    files = [path for path in jobs.folder(job.pk).iterdir() if path.name != jobs.UPLOAD]
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in files if path.is_file()]
    trail = [f"{entry.old} {entry.new}" for entry in AuditEntry.objects.all()]
    return " ".join([json.dumps(job.result, ensure_ascii=False), browser.page(job), *texts, *trail])


def test_a_column_of_names_is_refused_then_left_out_and_kept_nowhere(browser: Browser) -> None:
    refused = browser.upload(TABLE)
    said = refused.result["file_refused"]
    assert (refused.result["verdict"], said["code"], said["columns"]) == (
        "file_refused",
        "identifiers",
        ["姓名"],
    )
    assert "column E" in said["rule"]
    assert "leave out" in said["suggestion"]
    assert not list(jobs.folder(refused.pk).iterdir()), "nothing of it lies here any more"
    page = browser.page(refused)
    assert "The file was erased at once." in page
    assert 'name="without" value="E"' in page

    again = browser.client.post(
        reverse("analytics:import"),
        {
            "kind": "visits",
            "mends": str(refused.pk),
            "without": "E",
            "file": SimpleUploadedFile("LIS.csv", TABLE.encode()),
        },
    )
    preview = browser.decide(browser.done(again.headers["Location"]), **{"means:F": "-"})
    assert preview.result["counts"] == {"new": 3, "same": 0, "changed": 0, "conflict": 0, "refused": 0}
    assert jobs.file_of(preview, jobs.UPLOAD) is not None
    done = browser.commit(preview)
    assert jobs.file_of(preview, jobs.UPLOAD) is None, "the names in it have no further service to do"
    assert "erased when it was imported" in browser.page(done)
    assert LabResult.objects.count() == 3
    for job in (refused, preview, done):
        found = kept(browser, job)
        assert not [secret for secret in (*NAMES, CARD) if secret in found]


def test_a_card_number_in_a_note_refuses_its_row_and_stands_in_no_file_to_mend(browser: Browser) -> None:
    table = TABLE.replace(",张伟", ",").replace("姓名", "memo")
    answer = browser.client.post(
        reverse("analytics:import"), {"kind": "visits", "file": SimpleUploadedFile("LIS.csv", table.encode())}
    )
    preview = browser.done(answer.headers["Location"])
    (row,) = preview.result["refused"]
    assert (row["line"], row["letter"], row["code"]) == (3, "F", "identifier")
    assert CARD not in kept(browser, preview)
