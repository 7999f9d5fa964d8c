"""An export as long work: files, manifest, one archive to take away."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from analytics import snapshots
from analytics.exports import bundle, taken
from analytics.exports.asked import Asked
from trial import jobs, protocol
from trial.models import Job

ARCHIVE = "export.zip"


def run(job: Job, progress: jobs.Progress) -> dict[str, Any]:
    """Write what the job asks for and pack it.

    Raises
    ------
    trial.jobs.JobRefused
        If the person may no longer export or gives no purpose, or the format cannot hold it.
    """
    wanted, person = job.parameters, job.started_by
    asked = Asked(
        wanted.get("format") or "csv",
        bool(wanted.get("identified")),
        wanted.get("population") or "",
        bool(wanted.get("byte_order_mark", True)),
    )
    purpose = wanted.get("purpose") or ""
    target = jobs.folder(job.pk) / ARCHIVE
    try:
        taken.check(person, identified=asked.identified, purpose=purpose)
        if wanted.get("snapshot"):
            return _frozen(int(wanted["snapshot"]), job, target, purpose)
        datasets = bundle.chosen(wanted["datasets"])
        with TemporaryDirectory(dir=target.parent) as directory:
            files = bundle.write(
                Path(directory),
                datasets,
                identified=asked.identified,
                population=asked.population,
                byte_order_mark=asked.byte_order_mark,
                format=asked.format,
                progress=progress,
            )
            bundle.zipped(Path(directory), target)
            taken.note_files(
                Path(directory), files, by=person, source="browser", asked=asked, purpose=purpose
            )
    except (taken.Refused, bundle.TooLarge, bundle.UnknownDataset) as refusal:
        raise jobs.JobRefused(str(refusal)) from refusal
    stamp = timezone.localtime().strftime("%Y-%m-%d-%H%M")
    identified = "-identified" if asked.identified else ""
    return {
        "file": ARCHIVE,
        "download_name": f"cordline-{asked.format}{identified}-{stamp}.zip",
        "rows": {file.dataset: file.rows for file in files},
        "protocol": protocol.VERSION,
    }


def _frozen(number: int, job: Job, target: Path, purpose: str) -> dict[str, Any]:
    """Hand out a snapshot, byte for byte."""
    try:
        snapshot = snapshots.by_id(number)
    except snapshots.Unknown as error:
        raise jobs.JobRefused(str(error)) from error
    with target.open("wb") as file:
        for block in snapshots.archive(snapshot):
            file.write(block)
    taken.note_snapshot(snapshot, by=job.started_by, source="browser", purpose=purpose)
    return {
        "file": ARCHIVE,
        "download_name": snapshots.file_name(snapshot),
        "rows": {},
        "note": _("as frozen at revision %(revision)s") % {"revision": snapshot.revision},
    }
