"""Celery's shells around the work. A task that comes twice, late or never changes nothing."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

# registers the pump with the worker; children are forked with the analysis already loaded
from analytics import pump
from analytics.refresh import refresh as bring_up_to_date
from trial import jobs
from trial.celery import app


@app.task(name=pump.REFRESH)
def refresh() -> None:
    """Bring the results up to date."""
    # refresh has recorded the failure; Celery would write its message, and with it a patient, into the log
    with suppress(Exception):
        bring_up_to_date(patience=timedelta(0))


@app.task(name=pump.RUN_JOB)
def run_job(job_id: str) -> None:
    """Do a queued job."""
    jobs.run(job_id)
