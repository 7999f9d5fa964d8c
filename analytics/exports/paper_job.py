"""The paper set as long work: every table and figure in every format, in one archive."""

from __future__ import annotations

from typing import Any

from django.utils.translation import get_language
from django.utils.translation import gettext as _

from analytics import paper_documents, paper_set, refresh, selectors
from trial import jobs
from trial.models import Job
from trial.protocol import Population
from trial.roles import Permission

ARCHIVE = "paper.zip"


def run(job: Job, progress: jobs.Progress) -> dict[str, Any]:
    """Write the set the job asks for and pack it.

    Raises
    ------
    trial.jobs.JobRefused
        If the person may no longer see the analysis.
    """
    if not job.started_by.may(Permission.VIEW_ANALYSIS):
        raise jobs.JobRefused(_("Your role may not see the analysis. Ask the account administrator."))
    if selectors.freshness().behind:
        refresh.refresh()  # nothing stale leaves the house
    population = Population(job.parameters["population"])
    language = get_language() or "en"
    files = dict(paper_set.paper_files(population, language=language, progress=progress))
    (jobs.folder(job.pk) / ARCHIVE).write_bytes(paper_documents.zipped(files))
    shown = selectors.freshness().shown
    return {"file": ARCHIVE, "download_name": f"paper-set-r{shown}-{population.value}.zip", "rows": {}}
