"""An export as long work: files, manifest, one archive to take away."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from analytics.exports import bundle
from trial import jobs, protocol
from trial.models import Job
from trial.roles import Permission

ARCHIVE = "export.zip"


def run(job: Job, progress: jobs.Progress) -> dict[str, Any]:
    """Write what the job asks for and pack it.

    Raises
    ------
    trial.jobs.JobRefused
        If the person may no longer export, or asks for dates without the right to.
    """
    wanted, person = job.parameters, job.started_by
    identified = bool(wanted.get("identified"))
    needed = Permission.EXPORT_IDENTIFIED if identified else Permission.EXPORT_FILES
    if not person.may(needed):
        raise jobs.JobRefused(
            _("Your role may not export this. Ask for a de-identified export or another role.")
        )
    datasets = bundle.chosen(wanted["datasets"])
    target = jobs.folder(job.pk) / ARCHIVE
    with TemporaryDirectory(dir=target.parent) as directory:
        files = bundle.write(
            Path(directory),
            datasets,
            identified=identified,
            population=wanted.get("population", ""),
            byte_order_mark=wanted.get("byte_order_mark", True),
            progress=progress,
        )
        bundle.zipped(Path(directory), target)
    stamp = timezone.localtime().strftime("%Y-%m-%d-%H%M")
    return {
        "file": ARCHIVE,
        "download_name": f"cordline-{stamp}.zip",
        "rows": {file.dataset: file.rows for file in files},
        "protocol": protocol.VERSION,
    }
