"""Imports as a command and as work in the browser."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from analytics import imports
from analytics.imports import KINDS
from infusions.models import Infusion
from patients import value_history
from patients.imports.importing import Import
from patients.models import DataQuery, LabResult, Patient, Visit
from tests import factories
from trial import audit, jobs
from trial.models import Job, Revision, Site, User

pytestmark = pytest.mark.django_db

SUBJECTS = """subject_id,sex,age,diagnosis,recruited_on
S001,M,45,liver_failure,2014-12-29
S002,F,38,cirrhosis,2014-12-30
"""
INFUSIONS = """subject_id,number,given_on
S001,1,2015-01-05
S002,1,2015-01-06
"""
VISITS = """subject_id,week,visit_date,alt,tbil,notes
S001,0,2015-01-05,312,285.5,=HYPERLINK("http://example.invalid")
S002,0,2015-01-06,abc,54.3,
S009,0,2015-01-06,44,54.3,+1+1
"""


# --- the command ----------------------------------------------------------------------------


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., tuple[int, dict[str, Any], str]]:
    """Run ``import_data`` and return exit status, report and what it said."""

    def run(text: str, kind: str, **options: Any) -> tuple[int, dict[str, Any], str]:
        file, report = tmp_path / f"{kind}.csv", tmp_path / "report.json"
        file.write_text(text, encoding="utf-8")
        out, status = io.StringIO(), 0
        try:
            call_command(
                "import_data", file, kind=kind, report=report, stdout=out, stderr=io.StringIO(), **options
            )
        except SystemExit as end:
            status = int(str(end.code))
        except CommandError as error:
            status = error.returncode
            out.write(str(error))
        factories.settle()
        told = json.loads(report.read_text(encoding="utf-8")) if report.exists() else {}
        return status, told, out.getvalue()

    return run


@pytest.mark.committed
def test_three_commands_fill_an_empty_database(command: Any) -> None:
    assert command(SUBJECTS, "subjects")[0] == 0
    assert command(INFUSIONS, "infusions")[0] == 0
    status, report, said = command(VISITS, "visits")
    assert status == 1
    assert report["counts"] == {"new": 1, "same": 0, "changed": 0, "conflict": 0, "refused": 2}
    assert [(row["line"], row["column"], row["value"]) for row in report["refused"]] == [
        (3, "alt", "abc"),
        (4, "subject_id", "S009"),
    ]
    assert all(row["rule"] and row["suggestion"] for row in report["refused"])
    assert report["file"]["encoding"] == "UTF-8"
    assert report["file"]["separator"] == ","
    assert len(report["file"]["sha256"]) == 64
    assert [column["header"] for column in report["file"]["ignored"]] == ["notes"]
    assert report["revision"] == audit.latest_revision()
    assert f"Revision {report['revision']}" in said
    assert Site.objects.get().code == "S"
    assert (Patient.objects.count(), Infusion.objects.count(), Visit.objects.count()) == (2, 2, 1)
    written_by = Revision.objects.get(number=report["revision"])
    assert written_by.actor.username == audit.SERVICE_ACCOUNT
    assert written_by.source.startswith("import visits.csv sha256:")


def test_the_same_again_is_all_same_and_exits_with_0(command: Any) -> None:
    command(SUBJECTS, "subjects")
    before = audit.latest_revision()
    status, report, said = command(SUBJECTS, "subjects")
    assert (status, report["counts"]["same"], report["revision"]) == (0, 2, None)
    assert "no revision" in said
    assert audit.latest_revision() == before


def test_a_dry_run_says_the_same_and_writes_nothing(command: Any) -> None:
    status, report, said = command(SUBJECTS, "subjects", dry_run=True)
    assert (status, report["counts"]["new"], report["dry_run"]) == (0, 2, True)
    assert "nothing was written" in said
    assert not Patient.objects.exists()


def test_a_refused_file_exits_with_2_and_says_why(command: Any) -> None:
    status, report, said = command("subject_id,sex,sex,age,diagnosis\nS1,F,M,3,LC\n", "subjects")
    assert status == 2
    assert report["verdict"] == "file_refused"
    assert report["file_refused"]["code"] == "header_twice"
    assert report["file_refused"]["columns"] == ["sex", "sex"]
    assert "Two columns hold sex" in said


@pytest.mark.committed
def test_conflicts_exit_with_1_until_somebody_says_why(command: Any, data_manager: User) -> None:
    command(SUBJECTS, "subjects")
    changed = SUBJECTS.replace("S001,M", "S001,F")
    status, report, _said = command(changed, "subjects")
    assert (status, report["counts"]["conflict"]) == (1, 1)
    assert report["conflicts"][0]["here"] == "M"

    assert command(changed, "subjects", overwrite=True)[0] == 2, "without a reason nothing is replaced"
    status, report, _said = command(
        changed, "subjects", overwrite=True, reason="laboratory amended its report", by="huang.lei"
    )
    assert (status, report["counts"]["changed"]) == (0, 1)
    revision = Revision.objects.get(number=report["revision"])
    assert (revision.actor, revision.reason) == (data_manager, "laboratory amended its report")


def test_mapping_and_encoding_are_obeyed(command: Any, tmp_path: Path) -> None:
    mapping = tmp_path / "mapping.json"
    mapping.write_text('{"columns": {"Nr": "subject_id", "G": "sex"}}', encoding="utf-8")
    status, report, _said = command(
        "Nr,G,age,diagnosis\nS1,F,30,LC\n", "subjects", mapping=mapping, site="KL"
    )
    assert (status, report["counts"]["new"], Site.objects.get().code) == (0, 1, "KL")
    status, report, _said = command("Nr,G,age,diagnosis\nS1,F,30,LC\n", "subjects", encoding="klingon")
    assert (status, report["file_refused"]["code"]) == (2, "encoding_not_known")


@pytest.mark.parametrize("options", [{"by": "nobody"}, {"mapping": Path("/nowhere.json")}])
def test_what_cannot_be_exits_with_2(command: Any, options: dict[str, Any]) -> None:
    assert command(SUBJECTS, "subjects", **options)[0] == 2


def test_a_file_that_is_not_there_exits_with_2() -> None:
    with pytest.raises(CommandError) as error:
        call_command("import_data", "/nowhere.csv", kind="subjects")
    assert error.value.returncode == 2
    with pytest.raises(CommandError, match="cannot be written") as error:
        call_command("import_data", __file__, kind="subjects", report=Path("/nowhere/report.json"))
    assert error.value.returncode == 2


# --- the browser ----------------------------------------------------------------------------


class Browser:
    """Uploads, waits for the worker and commits, as one person."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def upload(
        self, text: str | bytes, kind: str = "visits", name: str = "LIS export.csv", **more: str
    ) -> Job:
        content = text if isinstance(text, bytes) else text.encode()
        answer = self.client.post(
            reverse("analytics:import"), {"kind": kind, "file": SimpleUploadedFile(name, content), **more}
        )
        assert answer.status_code == 302, answer.content
        job = self.done(answer.headers["Location"])
        undecided = job.result.get("undecided", [])
        return self.decide(job, **{f"means:{letter}": "-" for letter in undecided}) if undecided else job

    def decide(self, job: Job, **said: str) -> Job:
        """Say what columns hold; the same file is read again."""
        answer = self.client.post(reverse("analytics:import_columns", args=[job.pk]), said)
        assert answer.status_code == 302, answer.content
        return self.done(answer.headers["Location"])

    def commit(self, preview: Job, reason: str = "March export", **more: str) -> Job:
        answer = self.client.post(
            reverse("analytics:import_preview", args=[preview.pk]), {"reason": reason, **more}
        )
        assert answer.status_code == 302, answer.content
        return self.done(answer.headers["Location"])

    def done(self, location: str) -> Job:
        job_id = location.rstrip("/").rpartition("/")[2]
        jobs.run(job_id)
        factories.settle()
        return Job.objects.get(pk=job_id)

    def page(self, job: Job) -> str:
        answer = self.client.get(reverse("analytics:import_preview", args=[job.pk]), follow=True)
        assert answer.status_code == 200
        return answer.content.decode()


@pytest.fixture
def browser(data_manager: User, signed_in: Callable[[User], Client], sites: dict[str, Site]) -> Browser:
    factories.a_patient(site=sites["GE"], subject_id="S001")
    factories.a_patient(site=sites["GE"], subject_id="S002")
    return Browser(signed_in(data_manager))


def test_a_preview_shows_what_needs_a_person_and_writes_nothing(browser: Browser) -> None:
    before = audit.latest_revision()
    preview = browser.upload(VISITS)
    page = browser.page(preview)
    assert preview.status == Job.Status.DONE
    assert "“abc” is not a number" in page
    assert "There is no subject S009" in page
    assert "Download the 2 rows to mend" in page
    assert "Nothing has been written yet" in page
    assert audit.latest_revision() == before


@pytest.mark.committed
def test_a_commit_is_one_revision_with_its_reason(browser: Browser, data_manager: User) -> None:
    commit = browser.commit(browser.upload(VISITS))
    assert commit.status == Job.Status.DONE, commit.error
    revision = Revision.objects.get(number=commit.result["revision"])
    assert (revision.actor, revision.reason, revision.request_id) == (
        data_manager,
        "March export",
        f"job {commit.pk}",
    )
    page = browser.page(commit)
    assert f"Imported as revision {revision.number}" in page
    assert reverse("trial:revision", args=[revision.number]) in page
    assert LabResult.objects.count() == 2


def test_a_conflict_is_decided_value_by_value(browser: Browser) -> None:
    browser.commit(browser.upload("subject_id,week,alt,tbil\nS001,0,312,285.5\nS002,0,145,54.3\n"))
    preview = browser.upload("subject_id,week,alt,tbil\nS001,0,300,286\nS002,0,150,54.3\n")
    page = browser.page(preview)
    assert 'name="take:2:alt"' in page
    assert 'name="take:3:alt"' in page
    chosen = {"take:2:alt": "file", "take:2:tbil": "here", "take:9:alt": "file"}
    address = reverse("analytics:import_preview", args=[preview.pk])
    answer = browser.client.post(address, {"reason": "March export", **chosen})
    assert answer.status_code == 422, "no value is replaced without a reason of its own"
    assert "1 value is to be replaced without a reason" in answer.content.decode()
    commit = browser.commit(preview, **chosen, **{"why:2:alt": "report_amended", "why:9:alt": "typing_slip"})
    assert commit.result["counts"]["conflict"] == 2
    revision = Revision.objects.order_by("-number")[0]
    assert revision.reason == "March export\nlaboratory amended its report: S001 W0 alt"
    patient = Patient.objects.get(subject_id="S001")
    (alt,), (tbil,) = (value_history.of(patient, 0, name) for name in ("alt", "tbil"))
    assert [(v.value, v.why, v.note) for v in alt.versions] == [
        ("300", "laboratory amended its report", "March export"),
        ("312", "March export", ""),
    ]
    assert [v.why for v in tbil.versions] == ["March export"]
    told = browser.client.get(reverse("trial:revision", args=[revision.number])).content.decode()
    assert "laboratory amended its report (1)" in told
    values = {(r.patient.subject_id, r.analyte): r.value for r in LabResult.objects.select_related("patient")}
    assert values == {
        ("S001", "alt"): 300,
        ("S001", "tbil"): Decimal("285.5"),
        ("S002", "alt"): 145,
        ("S002", "tbil"): Decimal("54.3"),
    }


def test_hundreds_of_conflicts_are_decided_together(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those that the page does not list; what was kept one by one stays."""
    monkeypatch.setattr(imports, "MOST_CONFLICTS", 1)
    browser.commit(browser.upload("subject_id,week,alt\nS001,0,312\nS002,0,145\n"))
    preview = browser.upload("subject_id,week,alt\nS001,0,300\nS002,0,150\n")
    assert "1 more conflict is in the report" in browser.page(preview)
    commit = browser.commit(preview, rest="source_checked", **{"take:2:alt": "here"})
    assert (commit.result["counts"]["changed"], commit.result["counts"]["conflict"]) == (1, 1)
    assert set(LabResult.objects.values_list("value", flat=True)) == {312, 150}
    reason = Revision.objects.order_by("-number")[0].reason
    assert reason == "March export\nchecked against the source: S002 W0 alt"


def test_what_is_to_be_looked_at_can_stay_out(browser: Browser) -> None:
    """An ALT of 8000 U/L is possible and rare: one is kept and asked about, the other left out."""
    preview = browser.upload("subject_id,week,alt,albumin\nS001,0,7900,32\nS002,0,8000,32\n")
    assert preview.result["to_look_at"] == len(preview.result["warned"]) == 2
    page = browser.page(preview)
    assert "2 values to look at" in page
    assert 'name="leave:2:alt"' in page
    assert 'name="leave:3:alt"' in page
    commit = browser.commit(preview, **{"leave:2:alt": "out", "leave:9:alt": "out"})
    assert (commit.result["to_look_at"], commit.result["left_out"]) == (1, 1)
    assert not LabResult.objects.filter(analyte="alt", patient__subject_id="S001").exists()
    query = DataQuery.objects.get()
    assert (query.patient.subject_id, query.field) == ("S002", "alt")
    assert "A data query was opened on each." in browser.page(commit)


def test_a_reason_is_needed_and_nothing_typed_is_lost(browser: Browser) -> None:
    preview = browser.upload(VISITS)
    answer = browser.client.post(reverse("analytics:import_preview", args=[preview.pk]), {"reason": " "})
    assert answer.status_code == 422
    assert not Job.objects.filter(kind="import_commit").exists()


def test_a_refused_file_says_why_and_offers_no_commit(browser: Browser) -> None:
    preview = browser.upload(VISITS.replace("tbil", "alt"))
    page = browser.page(preview)
    assert "Two columns hold alt" in page
    assert 'name="means:E"' in page, "the step where it can be mended"
    assert 'id="commit-form"' not in page
    answer = browser.client.post(reverse("analytics:import_preview", args=[preview.pk]), {"reason": "x"})
    assert answer.status_code == 422


def test_the_rows_to_mend_come_back_harmless_and_mended_they_go_in(browser: Browser) -> None:
    preview = browser.upload(VISITS.replace("S009,0", "S009,=0"))
    answer = browser.client.get(reverse("analytics:import_refused", args=[preview.pk]))
    text = b"".join(answer.streaming_content).decode("utf-8-sig")
    assert "attachment" in answer.headers["Content-Disposition"]
    header, first, second = csv.reader(io.StringIO(text))
    assert header == ["subject_id", "week", "visit_date", "alt", "tbil", "notes", "line", "why refused"]
    assert first[:6] == ["S002", "0", "2015-01-06", "abc", "54.3", ""]
    assert first[6] == "3"
    assert "not a number" in first[7]
    assert second[:2] == ["S009", "'=0"], "a stranger's text never becomes a formula"
    browser.commit(preview)
    mended = browser.upload(text.replace("abc", "145").replace("S009,'=0", "S001,1"))
    assert [column["header"] for column in mended.result["facts"]["ignored"]] == ["notes"]
    assert mended.result["counts"] == {"new": 2, "same": 0, "changed": 0, "conflict": 0, "refused": 0}


def test_the_report_is_whole_json(browser: Browser) -> None:
    preview = browser.upload(VISITS)
    answer = browser.client.get(reverse("analytics:import_report", args=[preview.pk]))
    report = json.loads(b"".join(answer.streaming_content))
    assert report["counts"]["refused"] == 2
    assert report["file"]["name"] == "LIS export.csv"


@pytest.mark.committed
def test_a_killed_commit_that_had_committed_finds_its_revision(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker died between the commit and its word of it: the job is claimed again."""
    commit = browser.commit(browser.upload(VISITS))
    number = commit.result["revision"]
    monkeypatch.setattr(Import, "commit", lambda *args, **how: pytest.fail("imported twice"))
    result = imports.commit(commit, lambda done, total, text: None)
    assert result["revision"] == number


def test_a_purged_upload_cannot_be_committed(browser: Browser) -> None:
    preview = browser.upload(VISITS)
    answer = browser.client.post(reverse("analytics:import_preview", args=[preview.pk]), {"reason": "x"})
    (jobs.folder(preview.pk) / jobs.UPLOAD).unlink()
    commit = browser.done(answer.headers["Location"])
    assert commit.status == Job.Status.FAILED
    assert "24 hours" in commit.error
    assert 'id="commit-form"' not in browser.page(preview)


def test_another_file_under_the_same_job_is_refused(browser: Browser) -> None:
    preview = browser.upload(VISITS)
    (jobs.folder(preview.pk) / jobs.UPLOAD).write_text(VISITS.replace("312", "999"))
    commit = browser.commit(preview)
    assert commit.status == Job.Status.FAILED
    assert not LabResult.objects.exists()


def test_who_lost_the_right_meanwhile_imports_nothing(browser: Browser, data_manager: User) -> None:
    preview = browser.upload(VISITS)
    answer = browser.client.post(reverse("analytics:import_preview", args=[preview.pk]), {"reason": "x"})
    with audit.revision(by=audit.service_account(), reason="left"):
        User.objects.filter(pk=data_manager.pk).update(role="monitor")
    factories.settle()
    commit = browser.done(answer.headers["Location"])
    assert commit.status == Job.Status.FAILED
    assert not LabResult.objects.exists()


def test_while_it_waits_the_page_asks_again_and_then_shows_the_piles(browser: Browser) -> None:
    job = jobs.queue(
        "import_preview",
        User.objects.get(username="huang.lei"),
        {"kind": "visits", "name": "x.csv", "title": "x.csv"},
        upload=[VISITS.encode()],
    )
    assert 'hx-trigger="every 1s"' in browser.page(job)
    jobs.run(job.pk)
    url = reverse("analytics:import_preview", args=[job.pk])
    assert browser.client.get(url, headers={"HX-Request": "true"}).headers["HX-Refresh"] == "true"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("../../etc/passwd.csv", VISITS.encode()),
        ("a\r\nSet-Cookie: x=1.csv", VISITS.encode()),
        ("名单.csv", VISITS.encode()),
        ("empty.csv", b"\n"),
        ("image.png", bytes(range(256)) * 20),
        ("book.xlsx", b"PK\x03\x04 not really"),
        ("x" * 150 + ".csv", VISITS.encode()),
    ],
)
def test_hostile_uploads_never_crash_and_never_leave_their_folder(
    browser: Browser, name: str, content: bytes
) -> None:
    preview = browser.upload(content, name=name)
    assert preview.status == Job.Status.DONE
    assert {path.name for path in jobs.folder(preview.pk).iterdir()} <= {
        "upload",
        "report.json",
        "refused.csv",
    }
    browser.page(preview)
    if "file_refused" not in preview.result:
        answer = browser.client.get(reverse("analytics:import_report", args=[preview.pk]))
        assert "\n" not in answer.headers["Content-Disposition"]


@pytest.mark.parametrize(
    "fields", [{}, {"kind": "visits"}, {"kind": "everything"}, {"kind": "visits", "encoding": "x"}]
)
def test_an_upload_that_says_too_little_is_asked_again(browser: Browser, fields: dict[str, str]) -> None:
    answer = browser.client.post(reverse("analytics:import"), fields)
    assert answer.status_code == 422
    assert not Job.objects.exists()


def test_a_file_that_is_too_large_is_refused_at_the_door(browser: Browser, settings: Any) -> None:
    settings.LARGEST_UPLOAD = 10
    answer = browser.client.post(
        reverse("analytics:import"), {"kind": "visits", "file": SimpleUploadedFile("x.csv", VISITS.encode())}
    )
    assert answer.status_code == 422
    assert "Split it" in answer.content.decode()


def test_what_was_said_about_the_file_is_obeyed(browser: Browser) -> None:
    text = "subject_id,week,visit_date,alt\nS001,0,03/04/2015,44\n"
    assert browser.upload(text).result["counts"]["refused"] == 1
    preview = browser.upload(text, dates="day_first")
    assert preview.result["counts"]["new"] == 1
    browser.commit(preview)
    assert Visit.objects.get().visited_on.isoformat() == "2015-04-03"


@pytest.mark.committed
def test_the_data_page_offers_what_the_role_may(
    browser: Browser, statistician: User, signed_in: Callable[[User], Client]
) -> None:
    browser.commit(browser.upload(VISITS))
    page = browser.client.get(reverse("analytics:data")).content.decode()
    assert "Read the file" in page
    assert "imported, revision" in page
    other = signed_in(statistician)
    page = other.get(reverse("analytics:data")).content.decode()
    assert "Read the file" not in page
    assert reverse("analytics:export") in page
    assert other.get(reverse("analytics:import")).status_code == 403


def test_the_page_of_the_import_names_every_kind(browser: Browser) -> None:
    page = browser.client.get(reverse("analytics:import")).content.decode()
    for kind in KINDS.values():
        for field in kind.fields:
            if field.required:
                assert field.code in page


def test_a_preview_speaks_the_language_of_its_owner(browser: Browser) -> None:
    browser.client.cookies["django_language"] = "zh-hans"
    assert browser.upload(VISITS).parameters["language"] == "zh-hans"


@pytest.mark.committed
def test_the_command_names_the_laboratory(command: Any) -> None:
    command(SUBJECTS, "subjects")
    factories.a_laboratory("CENTRAL")
    visits = "subject_id,week,visit_date,alt\nS001,0,2015-01-05,312\n"
    status, _report, said = command(visits, "visits", laboratory="nowhere")
    assert (status, "there are CENTRAL" in said) == (2, True)
    assert command(SUBJECTS, "subjects", laboratory="CENTRAL")[0] == 2
    assert command(visits, "visits", laboratory="central")[0] == 0
    assert LabResult.objects.get().laboratory.code == "CENTRAL"


@pytest.mark.committed
def test_five_kinds_dry_and_in_earnest(command: Any) -> None:
    command(SUBJECTS, "subjects")
    screening = "subject_id,screened_on,inclusion_a\nS001,2014-12-01,yes\nS002,2014-12-01,perhaps\n"
    events = "subject_id,event,date\nS001,death,2015-03-01\n"
    before = audit.latest_revision()
    for kind, text, status in (("screening", screening, 1), ("events", events, 0)):
        dry, report, said = command(text, kind, dry_run=True)
        assert (dry, report["counts"]["new"], "nothing was written" in said) == (status, 1, True)
    assert audit.latest_revision() == before
    assert command(screening, "screening", reason="log of 2014")[0] == 1
    assert command(events, "events")[0] == 0
    assert audit.latest_revision() == before + 2
    assert Revision.objects.get(number=before + 1).reason == "log of 2014"


@pytest.mark.committed
def test_ctrl_c_leaves_nothing_behind(command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    write = type(KINDS["subjects"]).write

    def interrupted(self: Any, context: Any) -> None:
        write(self, context)
        raise KeyboardInterrupt

    monkeypatch.setattr(type(KINDS["subjects"]), "write", interrupted)
    status, _report, said = command(SUBJECTS, "subjects")
    assert (status, said) == (130, "Stopped. Nothing was written.")
    assert not Patient.objects.exists()
    monkeypatch.undo()
    assert command(SUBJECTS, "subjects")[0] == 0
