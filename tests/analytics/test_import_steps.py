"""The steps of an import: columns that are decided on and remembered, rows that come back mended, a whole import undone."""

from __future__ import annotations

import io
from collections.abc import Callable
from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from openpyxl import Workbook

from infusions.models import Infusion
from patients.actions.imports import undo_import
from patients.imports.options import Options
from patients.imports.peek import peek
from patients.models import DataQuery, ImportMapping, LabResult, Patient, Visit
from tests import factories
from tests.analytics.test_imports import INFUSIONS, Browser
from trial import jobs, value_reasons
from trial.models import Job, Revision, Site, User
from trial.refusals import Refused

pytestmark = pytest.mark.django_db

GE_SUBJECTS = """subject_id,site,sex,age,diagnosis,recruited_on
GE-901,GE,M,45,liver_failure,2014-12-29
GE-902,GE,F,38,cirrhosis,2014-12-30
"""


@pytest.fixture
def browser(data_manager: User, signed_in: Callable[[User], Client], sites: dict[str, Site]) -> Browser:
    factories.a_patient(site=sites["GE"], subject_id="S001")
    factories.a_patient(site=sites["GE"], subject_id="S002")
    return Browser(signed_in(data_manager))


def workbook(*rows: tuple[object, ...]) -> bytes:
    book = Workbook()
    for row in rows:
        book.active.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def mend(browser: Browser, job: object) -> str:
    answer = browser.client.get(reverse("analytics:import_refused", args=[job.pk]))  # type: ignore[attr-defined]
    return b"".join(answer.streaming_content).decode("utf-8-sig")


# --- columns --------------------------------------------------------------------------------


def test_columns_are_decided_on_and_remembered_for_a_laboratory(browser: Browser) -> None:
    laboratory = factories.a_laboratory()
    text = "编号,week,GPT值,备注\nS001,0,312,fine\n".encode("gb18030")
    first = browser.client.post(
        reverse("analytics:import"),
        {"kind": "visits", "laboratory": laboratory.pk, "file": io.BytesIO(text)},
    )
    job = browser.done(first.headers["Location"])
    assert job.result["undecided"] == ["C", "D"]
    page = browser.page(job)
    assert "2 columns to decide on" in page
    assert "fine" in page
    columns = reverse("analytics:import_columns", args=[job.pk])
    answer = browser.client.post(columns, {"means:C": "alt", "remember": "on", "mapping_version": "0"})
    assert answer.status_code == 422
    assert "Say what these columns hold, or leave them out: D 备注." in answer.content.decode()
    assert (
        browser.client.post(reverse("analytics:import_preview", args=[job.pk]), {"reason": "x"}).status_code
        == 422
    )
    again = browser.decide(
        job, **{"means:C": "alt", "unit:C": "", "means:D": "-", "remember": "on", "mapping_version": "0"}
    )
    assert again.result["counts"]["new"] == 1
    kept = ImportMapping.objects.get()
    assert (kept.laboratory, kept.kind) == (laboratory, "visits")
    assert kept.options["columns"]["GPT值"] == "alt"
    assert kept.options["columns"]["备注"] == ""

    later = browser.client.post(
        reverse("analytics:import"),
        {"kind": "visits", "laboratory": laboratory.pk, "file": io.BytesIO(text.replace(b"312", b"55"))},
    )
    straight = browser.done(later.headers["Location"])
    assert straight.result["undecided"] == []
    page = browser.page(straight)
    assert "remembered" in page
    assert reverse("analytics:import_columns", args=[straight.pk]) in page

    stale = browser.client.post(
        reverse("analytics:import_columns", args=[straight.pk]),
        {"means:C": "ast", "remember": "on", "mapping_version": "0"},
    )
    assert stale.status_code == 422, "somebody else remembered something in between"
    assert ImportMapping.objects.get().version == 1


def test_a_wrong_unit_and_twin_headers_are_mended_without_another_upload(browser: Browser) -> None:
    job = browser.upload("subject_id,week,creatinine,ALT,ALT\nS001,0,0.9,312,9\nS002,0,1.1,300,8\n")
    assert job.result["file_refused"]["code"] == "header_twice"
    answer = browser.client.post(
        reverse("analytics:import_columns", args=[job.pk]),
        {"means:E": "-", "means:D": "alt", "unit:C": "mg/dL"},
    )
    again = browser.done(answer.headers["Location"])
    assert again.result["counts"]["new"] == 2, again.result
    browser.commit(again)
    values = set(LabResult.objects.filter(patient__subject_id="S001").values_list("analyte", "value"))
    assert ("alt", Decimal(312)) in values
    assert next(value for name, value in values if name == "creatinine") > 70


def test_who_a_person_is_stays_behind_a_bar(tmp_path: object) -> None:
    file = tmp_path / "x.csv"  # type: ignore[operator]
    file.write_text("id,姓名,alt\nS1,王小明,12\n", encoding="utf-8")
    seen = peek(file, "x.csv", Options())
    assert seen is not None
    assert seen.as_json()["values"] == [["S1"], ["█████"], ["12"]]


# --- what is said about the file ------------------------------------------------------------


def test_a_file_of_subjects_without_a_site_is_told_one(browser: Browser) -> None:
    text = "subject_id,sex,age,diagnosis,recruited_on\nX1,M,45,cirrhosis,2014-12-29\n"
    without = browser.upload(text, kind="subjects")
    assert without.result["counts"]["refused"] == 1
    said = browser.upload(text, kind="subjects", site="GS")
    browser.commit(said)
    assert Patient.objects.get(subject_id="X1").site.code == "GS"


def test_a_file_without_rows_and_one_that_is_gone_are_said(browser: Browser) -> None:
    empty = browser.upload("subject_id,week,alt\n")
    page = browser.page(empty)
    assert "a header and no row below it" in page
    assert "Below the header in line 1 the file has no row" in page
    jobs.file_of(empty, jobs.UPLOAD).unlink()  # type: ignore[union-attr]
    assert "The uploaded file is gone; files are kept for 24 hours." in browser.page(empty)


# --- lists and clicks ---------------------------------------------------------------------------


def test_a_waiting_import_can_be_cancelled_from_the_lists_and_a_commit_sent_twice_is_one(
    browser: Browser,
) -> None:
    address = reverse("analytics:import")
    answer = browser.client.post(
        address,
        {"kind": "visits", "file": io.BytesIO(b"subject_id,week,alt\nS001,0,312\n")},
    )
    job = Job.objects.get(pk=answer.headers["Location"].rstrip("/").rpartition("/")[2])
    cancel = reverse("trial:cancel_job", args=[job.pk])
    for page in (address, reverse("analytics:data")):
        assert cancel in browser.client.get(page).content.decode()
    preview = browser.done(answer.headers["Location"])
    assert cancel not in browser.client.get(address).content.decode()

    form = {"reason": "March export", "submission_key": "one-click-too-many"}
    posted = [
        browser.client.post(reverse("analytics:import_preview", args=[preview.pk]), form) for _ in range(2)
    ]
    assert posted[0].headers["Location"] == posted[1].headers["Location"]
    assert Job.objects.filter(kind="import_commit").count() == 1


# --- rows to mend ---------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["xlsx", "semicolon"])
def test_mended_rows_go_in_as_they_came(browser: Browser, form: str) -> None:
    """Exactly those rows are new, units of the headers hold, and text keeps its first character."""
    header = ("subject_id", "week", "visit_date", "TBIL (mg/dL)", "ALT")
    rows = (("S001", 0, "13/02/2024", "16,7", 312), ("S002", 0, "05/03/2024", "oops", 145))
    if form == "xlsx":
        rows = tuple((*row[:3], str(row[3]).replace(",", "."), row[4]) for row in rows)  # type: ignore[assignment]
        first = browser.upload(workbook(header, *rows), name="March.xlsx")
    else:
        text = "\r\n".join(";".join(map(str, row)) for row in (header, *rows)) + "\r\n"
        first = browser.upload(text, name="March.csv")
    assert first.result["counts"] | {"same": 0} == {
        "new": 1,
        "same": 0,
        "changed": 0,
        "conflict": 0,
        "refused": 1,
    }
    committed = browser.commit(first)
    page = browser.page(committed)
    assert f'name="mends" value="{committed.pk}"' in page, (
        "the rows to mend are asked for where the import ended"
    )
    assert "are kept until" in page
    text = mend(browser, first)
    assert "why refused, dates day_first" in text, "one row alone does not prove which part is the day"
    second = browser.upload(text.replace("oops", "2,5" if form == "semicolon" else "2.5"), name="mended.csv")
    assert second.result["counts"] == {"new": 1, "same": 0, "changed": 0, "conflict": 0, "refused": 0}
    assert second.result["facts"]["ignored"] == []
    browser.commit(second)
    draw = Visit.objects.get(patient__subject_id="S002")
    assert str(draw.visited_on) == "2024-03-05"
    assert draw.lab_results.get(analyte="tbil").typed_unit == "mg/dL"


def test_a_row_mended_from_the_preview_keeps_the_mapping(browser: Browser) -> None:
    job = browser.upload("subject_id,week,Leberwert X\nS001,0,abc\n")
    columns = browser.decide(job, **{"means:C": "alt"})
    text = mend(browser, columns)
    again = browser.upload(text.replace("abc", "44"), mends=str(columns.pk))
    assert again.result["counts"]["new"] == 1


# --- undo -----------------------------------------------------------------------------------


@pytest.mark.committed
def test_a_whole_import_is_undone_and_goes_in_again(browser: Browser, data_manager: User) -> None:
    """Values that were replaced come back, what was entered goes, its queries with it; results as before."""
    browser.commit(browser.upload("subject_id,week,alt\nS001,0,312\n"))
    before = (
        list(LabResult.objects.order_by("pk").values_list("analyte", "value", "typed_text")),
        Visit.objects.filter(voided_at__isnull=True).count(),
    )
    text = "subject_id,week,alt,albumin\nS001,0,300,32\nS002,0,8000,32\nS002,4,50,33\n"
    preview = browser.upload(text)
    commit = browser.commit(preview, **{"take:2:alt": "file", "why:2:alt": "typing_slip"})
    assert DataQuery.objects.count() == 1
    page = browser.page(commit)
    assert "counted in the database" in page
    undo = reverse("analytics:import_undo", args=[commit.pk])
    assert undo in page
    assert browser.client.post(undo, {"reason": " "}).status_code == 422
    assert browser.client.post(undo, {"reason": "wrong month", "submission_key": "k"}).status_code == 302
    factories.settle()
    after = (
        list(
            LabResult.objects.filter(visit__voided_at__isnull=True)
            .order_by("pk")
            .values_list("analyte", "value", "typed_text")
        ),
        Visit.objects.filter(voided_at__isnull=True).count(),
    )
    assert after == before
    assert not DataQuery.objects.exclude(state="closed").exists()
    call_command("refresh", stdout=io.StringIO(), stderr=io.StringIO())
    call_command("refresh", check=True, stdout=io.StringIO(), stderr=io.StringIO())
    undone = Revision.objects.order_by("-number")[0]
    assert f"was undone in revision {undone.number}" in browser.page(commit)
    answer = browser.client.post(undo, {"reason": "once more"})
    assert answer.status_code == 422
    assert f"was undone in revision {undone.number}" in answer.content.decode()

    again = browser.upload(text)
    assert again.result["counts"] | {"conflict": 1} == preview.result["counts"]
    done = browser.commit(again)
    assert done.result["values"]["new"] == 5


@pytest.mark.committed
def test_what_was_built_on_an_import_keeps_it(
    browser: Browser, data_manager: User, sites: dict[str, Site]
) -> None:
    subjects = browser.commit(browser.upload(GE_SUBJECTS, "subjects"))
    infusions = browser.commit(browser.upload(INFUSIONS.replace("S00", "GE-90"), "infusions"))
    number = subjects.result["revision"]
    assert number and infusions.result["revision"], (subjects.result["refused"], infusions.result)
    with pytest.raises(Refused) as refused:
        undo_import(revision=Revision.objects.get(number=number), by=data_manager, reason="x")
    assert f"revision {infusions.result['revision']}" in str(refused.value)
    assert "GE-901" in str(refused.value)
    later = browser.upload(GE_SUBJECTS.replace("GE-90", "GE-91"), "subjects")
    alone = browser.commit(later).result["revision"]
    by = data_manager.username
    for revision in (infusions.result["revision"], alone):
        call_command("undo_import", revision, by=by, reason="wrong file", stdout=io.StringIO())
    assert not Infusion.objects.filter(voided_at__isnull=True).exists()
    assert not Patient.objects.filter(subject_id__startswith="GE-91").exists()
    with pytest.raises(CommandError, match="is voided and stays"):
        call_command("undo_import", number, by=by, reason="wrong file")
    factories.settle()
    again = browser.commit(browser.upload(GE_SUBJECTS.replace("GE-90", "GE-91"), "subjects"))
    assert again.result["counts"]["new"] == 2, again.result["refused"]
    given = browser.commit(browser.upload(INFUSIONS.replace("S00", "GE-90"), "infusions"))
    assert given.result["counts"]["new"] == 2, given.result["refused"]
    with pytest.raises(CommandError):
        call_command("undo_import", 10**6, by=data_manager.username, reason="x")


@pytest.mark.committed
def test_what_somebody_changed_or_locked_since_is_refused_by_name(
    browser: Browser, data_manager: User
) -> None:
    commit = browser.commit(browser.upload("subject_id,week,alt\nS001,0,312\nS002,0,60\n"))
    later = browser.upload("subject_id,week,alt\nS001,0,300\n")
    changed = browser.commit(later, **{"take:2:alt": "file", "why:2:alt": "typing_slip"})
    answer = browser.client.post(reverse("analytics:import_undo", args=[commit.pk]), {"reason": "wrong file"})
    assert answer.status_code == 422
    assert f"in revision {changed.result['revision']}" in answer.content.decode()
    assert LabResult.objects.count() == 2


def test_reasons_of_values_survive_what_the_trail_adds() -> None:
    text = value_reasons.joined("x \n y", {"unit corrected": ["A 1", "B 2"]}) + "; added later"
    assert value_reasons.counted(text) == [("unit corrected", 2)]
    assert value_reasons.of_value(text, "B 2") == ("unit corrected", "x y")
    assert value_reasons.of_value(text, "C 3") == ("", "x y")
