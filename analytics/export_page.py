"""What the page of exports shows: datasets with their sizes, formats, and what was taken lately."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from analytics import selectors
from analytics.cells import all_keys, tests_done
from analytics.datasets import DATASETS
from analytics.exports import bundle, taken
from analytics.exports.asked import Asked
from analytics.exports.formats import FORMATS
from analytics.exports.odm_design import CAPTURED
from analytics.models import ExportRecord
from trial import audit, jobs
from trial.models import Job, User

SHOWN = 20
"""Entries of the log on the page."""
SOURCES = {"browser": _("browser"), "command": _("command line"), "api": _("API")}
"""Where something was taken from, in words."""
_PLACES = {name: place for place, name in enumerate(DATASETS)}


@dataclass(frozen=True, slots=True)
class Line:
    """One dataset to choose."""

    name: str
    grain: str
    rows: int
    columns: int
    results: bool


@dataclass(frozen=True, slots=True)
class Taken:
    """One entry of the log: who took what, when, and why."""

    record: ExportRecord
    rows: int
    datasets: str
    format: str
    source: str


def lines() -> list[Line]:
    """Return every dataset with its size now."""
    counted = _counted(audit.latest_revision(), selectors.freshness().shown)
    return [
        Line(name, dataset.grain, counted[name], len(dataset.shown(identified=False)), not dataset.source)
        for name, dataset in DATASETS.items()
    ]


@lru_cache(maxsize=2)
def _counted(_revision: int, _results: int) -> dict[str, int]:
    # a revision never changes, so its counts are counted once
    asked = Asked()
    found = _results_counted()
    return {
        name: found[name] if name in found else bundle.table_of(dataset, asked, facts={}).count()
        for name, dataset in DATASETS.items()
    }


def _results_counted() -> dict[str, int]:
    """Return the rows of the two datasets of results, read once and without making the rows."""
    run = selectors.latest_run()
    stored = selectors.stored_cells(all_keys(), run=run.pk) if run else {}
    return {"cells": len(stored), "tests": sum(tests_done(cell.result) for cell in stored.values())}


def sizes(found: list[Line]) -> dict[str, int]:
    """Return about how many bytes all datasets have in each format."""
    cells = {line.name: line.rows * line.columns for line in found}
    captured = sum(cells[name] for name in CAPTURED)
    total = sum(cells.values())
    return {
        # a common file holds what was captured, and nothing derived
        code: int((captured if form.together else total) * form.bytes_per_cell)
        for code, form in FORMATS.items()
    }


def log(user: User) -> Iterator[Taken]:
    """Yield the newest entries of the log that somebody may see."""
    for record in taken.visible_to(user)[:SHOWN]:
        form = FORMATS.get(record.format)
        yield Taken(
            record,
            sum(record.rows.values()),
            _named(record.rows),
            gettext(form.label) if form else record.format,
            str(SOURCES.get(record.source, record.source)),
        )


def _named(rows: Mapping[str, int]) -> str:
    """Return the datasets of an entry in the declared order; the database keeps its own."""
    if set(DATASETS) <= set(rows):
        return gettext("all datasets")
    return ", ".join(sorted(rows, key=lambda name: _PLACES.get(name, len(_PLACES))))


def own_jobs(user: User) -> list[Job]:
    """Return the newest exports of a person, those under way included."""
    return jobs.latest(user, ["export"])


def kept_until(job: Job) -> datetime | None:
    """Return until when the file of a finished export can be fetched, or None when it has none."""
    if job.status != Job.Status.DONE or job.finished_at is None or jobs.file_of(job) is None:
        return None
    return job.finished_at + jobs.KEPT_FOR
