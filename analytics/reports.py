"""Reports: what is worked out when somebody asks, as of one revision, and kept for the next reader.

The comparisons of the protocol are computed by the worker after every revision.
What is asked for rarely (models, sensitivity, survival) is computed here on the
first request, inside one snapshot of the database, and stored under the revision
and the code it came from. A stored report is never changed and may be deleted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.utils import timezone

from analytics.code_version import CURRENT
from analytics.models import Report
from analytics.selectors import one_moment
from trial import audit


@dataclass(frozen=True, slots=True)
class Made:
    """A report: its content, the revision of the data, and when it was worked out."""

    body: Any
    revision: int
    made_at: datetime


def report(kind: str, key: str, work: Callable[[], Any]) -> Made:
    """Return what ``work`` gives for the data as they stand, computed at most once per revision.

    Parameters
    ----------
    kind, key
        What is asked for; together with the revision and the code they name the row.
    work
        Reads the database (inside one read-only snapshot) and returns what JSON can hold.
        Exact numbers travel as text.
    """
    with one_moment():
        revision = audit.latest_revision()
        found = Report.objects.filter(kind=kind, key=key, revision=revision, code_version=CURRENT).first()
        if found is not None:
            return Made(found.body, found.revision, found.made_at)
        made = Made(work(), revision, timezone.now())
    if connection.in_atomic_block:  # a reader's snapshot is read-only: this answer is not kept
        return made
    Report.objects.bulk_create(
        [
            Report(
                kind=kind,
                key=key,
                revision=revision,
                code_version=CURRENT,
                made_at=made.made_at,
                body=made.body,
            )
        ],
        ignore_conflicts=True,
    )
    return made
