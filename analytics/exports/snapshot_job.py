"""Freezing as long work: it waits for the results, writes every dataset and draws the paper."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from analytics import snapshots
from trial import jobs
from trial.models import Job
from trial.roles import Permission


def run(job: Job, progress: jobs.Progress) -> dict[str, Any]:
    """Freeze what the job asks for.

    Raises
    ------
    trial.jobs.JobRefused
        If the person may no longer freeze, or the results are not those of the data.
    """
    if not job.started_by.may(Permission.FREEZE_RESULTS):
        raise jobs.JobRefused(_("Your role may not freeze results. Ask a statistician or the data manager."))
    try:
        kept = snapshots.freeze(
            title=job.parameters["title"],
            purpose=job.parameters["purpose"],
            by=job.started_by,
            paper=job.parameters.get("paper", True),
            progress=progress,
        )
    except snapshots.NotCurrent as error:
        raise jobs.JobRefused(str(error)) from error
    return {"snapshot": kept.pk, "page": reverse("analytics:snapshot", args=[kept.pk])}
