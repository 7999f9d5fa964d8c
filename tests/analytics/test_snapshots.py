"""What is frozen stays, can be proved, and tells what has changed since."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.urls import reverse

from analytics import export_page, refresh, snapshot_diff, snapshots
from analytics.datasets import DATASETS
from analytics.exports import scripts
from analytics.models import Snapshot, SnapshotBlock
from patients.models import Patient
from tests.analytics.test_lineage import REASON, correct
from tests.analytics.test_pages import a_cohort
from trial import audit, jobs
from trial.models import Job, User

pytestmark = pytest.mark.django_db
WORDS = {"title": "Interim look", "purpose": "safety board"}


@pytest.fixture(autouse=True)
def _forget() -> None:
    refresh.forget()


@pytest.fixture
def cohort(sites: dict[str, Any], coordinator: User, statistician: User) -> list[Patient]:
    subjects = a_cohort(sites)
    audit.settle()
    return subjects


def freeze(by: User) -> Snapshot:
    return snapshots.freeze(**WORDS, by=by, paper=False)


def bytes_of(frozen: Snapshot) -> bytes:
    return b"".join(snapshots.archive(frozen))


@pytest.fixture
def damage() -> Callable[[str, list[Any]], None]:
    """Return what changes frozen rows behind the triggers' back."""

    def change(sql: str, values: list[Any]) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL session_replication_role = replica")
            cursor.execute(sql, values)
            cursor.execute("SET LOCAL session_replication_role = origin")

    return change


def test_a_snapshot_stays_as_it_is_and_tells_what_has_changed(
    cohort: list[Patient],
    coordinator: User,
    statistician: User,
    tmp_path: Path,
    signed_in: Callable[[User], Client],
) -> None:
    frozen = freeze(statistician)
    assert frozen.revision == audit.latest_revision()
    first = bytes_of(frozen)
    assert len(first) == frozen.size
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        manifest = archive.read("manifest.json")
        assert set(archive.namelist()) == {f"{name}.csv" for name in DATASETS} | {
            "manifest.json",
            "protocol.json",
            "codebook.csv",
            "codebook.html",
            *scripts.FILES,
        }
        labs = archive.read("labs_long.csv").decode()
    assert hashlib.sha256(manifest).hexdigest() == frozen.sha256
    named = json.loads(manifest)
    assert named["revision"] == frozen.revision
    export_page._counted.cache_clear()
    sizes = {file["file"]: file["rows"] for file in named["files"] if "rows" in file}
    assert {f"{line.name}.csv": line.rows for line in export_page.lines()} == sizes, "what the page counts"
    assert named["environment"]["postgresql"]
    assert "GE-C0" in labs
    assert freeze(statistician).sha256 == frozen.sha256, "the same data and code make the same hash"
    nothing = snapshot_diff.compare(frozen)
    assert nothing["counts"] == {"labs": 0, "subjects": 0, "cells": 0, "crossed": 0}

    for patient in cohort[:5]:
        correct(patient, 4, "400.5", by=coordinator)
    refresh.refresh()
    later = freeze(statistician)
    assert later.sha256 != frozen.sha256
    assert bytes_of(frozen) == first
    found = snapshot_diff.compare(frozen)
    assert found == snapshot_diff.compare(frozen, later)
    assert [lab["subject"] for lab in found["labs"]] == [p.subject_id for p in reversed(cohort[:5])]
    lab = found["labs"][-1]
    assert (lab["week"], lab["analyte"], lab["old"], lab["new"], lab["why"], lab["who"]) == (
        4, "tbil", "90", "400.5", REASON, coordinator.username,
    )  # fmt: skip
    assert found["counts"]["crossed"] > 0
    top = found["cells"][0]
    assert top["crossed"] or top["crossed_adjusted"]
    assert not found["subjects"]

    browser = signed_in(statistician)
    download = browser.get(reverse("analytics:snapshot_archive", args=[frozen.pk]))
    assert b"".join(download.streaming_content) == first
    target = tmp_path / "frozen.zip"
    call_command("export", snapshot=frozen.pk, out=str(target), stderr=StringIO())
    assert target.read_bytes() == first
    call_command("export", "labs_long", snapshot=frozen.pk, out=str(tmp_path / "files"), stderr=StringIO())
    assert (tmp_path / "files" / "labs_long.csv").read_bytes().decode() == labs
    said = StringIO()
    call_command("snapshot", "diff", str(frozen.pk), stdout=said)
    assert "90 -> 400.5" in said.getvalue()
    assert "crossed 0.05" in said.getvalue()

    page = browser.get(reverse("analytics:snapshot_diff", args=[frozen.pk])).content.decode()
    assert "400.5" in page
    assert REASON in page
    listed = browser.get(reverse("analytics:snapshots")).content.decode()
    assert WORDS["purpose"] in listed
    assert (
        "Sound."
        in browser.get(reverse("analytics:snapshot", args=[frozen.pk]), {"check": "1"}).content.decode()
    )


def test_another_site_is_counted_and_not_named(
    cohort: list[Patient],
    coordinator: User,
    statistician: User,
    hepatologist_elsewhere: User,
    signed_in: Callable[[User], Client],
) -> None:
    frozen = freeze(statistician)
    correct(cohort[0], 4, "400.5", by=coordinator)
    refresh.refresh()
    browser = signed_in(hepatologist_elsewhere)
    page = browser.get(reverse("analytics:snapshot_diff", args=[frozen.pk]))
    assert page.status_code == 200
    assert cohort[0].subject_id not in page.content.decode()
    assert page.context["labs_further"] == 1
    assert browser.get(reverse("analytics:snapshot_archive", args=[frozen.pk])).status_code == 403
    assert browser.post(reverse("analytics:freeze"), WORDS).status_code == 403


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE analytics_snapshot SET title = 'another'",
        "UPDATE analytics_snapshotblock SET content = content || 'x'::bytea",
        "DELETE FROM analytics_snapshotblock",
        "DELETE FROM analytics_snapshot",
        "TRUNCATE analytics_snapshot CASCADE",
        "TRUNCATE analytics_snapshotblock",
    ],
)
def test_the_database_refuses_to_change_what_is_frozen(statement: str, statistician: User) -> None:
    frozen = Snapshot.objects.create(
        **WORDS, made_by=statistician, made_at="2026-01-01T00:00Z", revision=1, run=1, code_version="x",
        manifest="{}", sha256="0" * 64, size=1,
    )  # fmt: skip
    SnapshotBlock.objects.create(snapshot=frozen, place=0, content=b"x")
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


def test_one_byte_that_differs_is_found_and_named(
    sites: dict[str, Any], statistician: User, damage: Callable[[str, list[Any]], None]
) -> None:
    audit.settle()
    frozen = freeze(statistician)
    assert snapshots.verify(frozen).is_sound
    whole = bytearray(bytes_of(frozen))
    with zipfile.ZipFile(io.BytesIO(bytes(whole))) as archive:
        entry = archive.getinfo("cells.csv")
        whole[entry.header_offset + 30 + len("cells.csv") + entry.compress_size // 2] ^= 1
    damage(
        "UPDATE analytics_snapshotblock SET content = %s WHERE snapshot_id = %s", [bytes(whole), frozen.pk]
    )
    assert snapshots.verify(frozen).damaged == ("cells.csv",)
    with pytest.raises(CommandError, match="1 of 1 damaged"):
        call_command("snapshot", "verify", str(frozen.pk), stdout=StringIO())
    damage("UPDATE analytics_snapshotblock SET content = %s WHERE snapshot_id = %s", [b"gone", frozen.pk])
    assert snapshots.verify(frozen).damaged
    damage(
        "UPDATE analytics_snapshot SET manifest = replace(manifest, 'cells', 'celle') WHERE id = %s",
        [frozen.pk],
    )
    assert "the manifest" in snapshots.verify(snapshots.by_id(frozen.pk)).damaged


def test_an_empty_study_can_be_frozen_from_the_page(
    sites: dict[str, Any], statistician: User, signed_in: Callable[[User], Client]
) -> None:
    audit.settle()
    browser = signed_in(statistician)
    assert browser.post(reverse("analytics:freeze"), {"title": "", "purpose": ""}).status_code == 422
    form = {**WORDS, "submission_key": "once"}
    for _twice in range(2):
        assert browser.post(reverse("analytics:freeze"), form).status_code == 302
    job = Job.objects.get(kind="snapshot")
    assert jobs.run(job.pk)
    job.refresh_from_db()
    assert job.status == Job.Status.DONE, job.error
    frozen = Snapshot.objects.get()
    assert frozen.made_by == statistician
    assert browser.get(job.result["page"]).status_code == 200
    assert (
        "Nothing differs"
        in browser.get(reverse("analytics:snapshot_diff", args=[frozen.pk])).content.decode()
    )
    assert browser.get(reverse("analytics:snapshot", args=[frozen.pk + 1])).status_code == 404
    assert (
        browser.get(reverse("analytics:snapshot_diff", args=[frozen.pk]), {"with": "9" * 30}).status_code
        == 404
    )
