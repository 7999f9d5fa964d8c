"""Which comparisons crossed 0.05 since a person was last here, and by which revision."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from analytics import moved, selectors
from analytics.models import Run
from analytics.moved import MovedCell
from trial import protocol
from trial.models import Revision
from trial.protocol import Population

SHOWN = 12


@dataclass(frozen=True, slots=True)
class Crossing:
    """One comparison on the other side of 0.05 than before, with the revision whose results say so."""

    cell: MovedCell
    revision: int
    measure: str
    address: tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Crossings:
    """What crossed 0.05 since a moment, what the results rest on, and how much has been written since.

    ``compared_with`` is the revision of the results of that moment; None when
    there were none, or no moment is known.
    """

    since: datetime | None
    compared_with: int | None
    shown: tuple[Crossing, ...]
    further: int
    revisions: int
    freshness: selectors.Freshness


# the newest result of each comparison after a run, beside the newest up to it
_MOVED = """
SELECT now.population, now.measure, now.group1, now.group2, now.analyte, now.week_from, now.week_to,
    before.result -> 'selected', now.result -> 'selected', now.revision
FROM (
    SELECT DISTINCT ON (population, measure, group1, group2, analyte, week_from, week_to) *
    FROM analytics_cell WHERE run_id > %s AND group2 <> '' AND population = %s
    ORDER BY population, measure, group1, group2, analyte, week_from, week_to, run_id DESC
) AS now
CROSS JOIN LATERAL (
    SELECT c.result FROM analytics_cell c
    WHERE c.population = now.population AND c.measure = now.measure
        AND c.group1 = now.group1 AND c.group2 = now.group2 AND c.analyte = now.analyte
        AND c.week_from = now.week_from AND c.week_to = now.week_to AND c.run_id <= %s
    ORDER BY c.run_id DESC LIMIT 1
) AS before
WHERE before.result -> 'selected' <> now.result -> 'selected'
"""


def since(moment: datetime | None) -> Crossings:
    """Return what crossed 0.05 in the default population since a moment. Four queries."""
    freshness = selectors.freshness()
    if moment is None:
        return Crossings(None, None, (), 0, 0, freshness)
    revisions = Revision.objects.filter(number__isnull=False, made_at__gt=moment).count()
    base = Run.objects.filter(finished_at__lte=moment).order_by("-pk").first()
    if base is None:
        return Crossings(moment, None, (), 0, revisions, freshness)
    found = _crossed_after(base.pk)
    return Crossings(
        moment, base.revision, tuple(found[:SHOWN]), max(0, len(found) - SHOWN), revisions, freshness
    )


def _crossed_after(run: int) -> list[Crossing]:
    with connection.cursor() as cursor:
        cursor.execute(_MOVED, [run, Population.TREATED.value, run])
        rows = cursor.fetchall()
    crossings = []
    for *key, week_from, week_to, before, after, revision in rows:
        population, measure, group1, group2, analyte = key
        cell = moved.cell_of(population, measure, group1, group2, analyte, week_from, week_to, before, after)
        if cell.crossed:
            label = protocol.MEASURE_LABELS[protocol.Measure(measure)]
            crossings.append(Crossing(cell, revision, label, (f"{group1}-{group2}", analyte, measure)))
    return sorted(crossings, key=lambda crossing: moved.by_interest(crossing.cell))
