"""What was written between two runs: the revisions that can have moved what the later one shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import OuterRef, Subquery

from analytics.models import Run
from trial import selectors as trail

if TYPE_CHECKING:
    from trial.models import User

SHOWN = 3
LOOKED_AT = 6
"""Newest revisions of a run that are told; a run seldom holds more than one or two."""


@dataclass(frozen=True, slots=True)
class Cause:
    """What a run included for the first time.

    Parameters
    ----------
    run
        The run.
    revisions
        Its newest revisions that touched subjects, in words, as far as the reader may see them.
    further
        Revisions of the run that are not told here.
    is_first
        Whether there was no run before it.
    is_new_code
        Whether another version of the software computed the run before.
    """

    run: Run
    revisions: tuple[trail.Listed, ...]
    further: int
    is_first: bool
    is_new_code: bool


def of(runs: Iterable[int], user: User) -> Mapping[int, Cause]:
    """Return what each run included, by the run's key; a constant number of queries."""
    earlier = Run.objects.filter(pk__lt=OuterRef("pk")).order_by("-pk")
    found = list(
        Run.objects.filter(pk__in=list(runs)).annotate(
            after=Subquery(earlier.values("revision")[:1]),
            code_before=Subquery(earlier.values("code_version")[:1]),
        )
    )
    ranges = {run.pk: (run.after, run.revision) for run in found if run.after is not None}
    numbers = {n for a, b in ranges.values() for n in range(max(a, b - LOOKED_AT) + 1, b + 1)}
    eyes = trail.reader(user)
    seen = list(trail.revisions(eyes).filter(number__in=numbers).select_related("actor").order_by("-number"))
    told = [each for each in trail.listed(eyes, seen) if each.told and (each.subject or each.subject_count)]
    causes = {}
    for run in found:
        after, until = ranges.get(run.pk, (run.revision, run.revision))
        shown = tuple(each for each in told if after < (each.revision.number or 0) <= until)[:SHOWN]
        causes[run.pk] = Cause(
            run=run,
            revisions=shown,
            further=max(0, until - after - len(shown)),
            is_first=run.after is None,
            is_new_code=run.after is not None and run.code_before != run.code_version,
        )
    return causes
