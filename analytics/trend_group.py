"""A group's course behind one subject: median and quartiles by week, of levels or of shares of week 0.

Levels are the cells of the analysis, so that both pages show the same numbers.
Shares are of the same population and visits, worked out when somebody asks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from analytics import frames, reports, samples, selectors
from analytics.samples import MISSING
from analytics.study_arrays import StudyArrays
from analytics.trend_terms import GroupPoint
from trial import protocol
from trial.protocol import Measure, Population

LEAST = 3
"""Subjects of a group below which quartiles say nothing."""
POPULATION = Population.TREATED
CODES = (*protocol.TREND, protocol.DEFAULT_SCORE)


@dataclass(frozen=True, slots=True)
class Around:
    """A group's points by quantity, and the revision they are of."""

    points: Mapping[str, Sequence[GroupPoint]]
    revision: int

    @property
    def most(self) -> int:
        """The greatest number of subjects behind a point."""
        return max((point.n for points in self.points.values() for point in points), default=0)

    @property
    def least(self) -> int:
        """The smallest number of subjects behind a point."""
        return min((point.n for points in self.points.values() for point in points), default=0)


def levels(group: str, revision: int) -> Around:
    """Return the levels of a group, from the stored cells of the analysis; there are none without a group."""
    if not group:
        return Around({}, revision)
    found: dict[str, list[GroupPoint]] = {}
    cells = selectors.current_cells(
        population=POPULATION.value, measure=Measure.LEVEL.value, group1=group, group2="", analyte__in=CODES
    )
    for key, result in sorted(cells, key=lambda cell: (cell[0].analyte, cell[0].week_from)):
        s = result.group1.summary if result.group1 else None
        if s is None or key.week_from != key.week_to or s.n < LEAST:
            continue
        if s.q1 is not None and s.median is not None and s.q3 is not None:
            point = GroupPoint(7 * key.week_from, s.q1, s.median, s.q3, s.n)
            found.setdefault(key.analyte, []).append(point)
    return Around(found, revision)


def shares(group: str) -> Around:
    """Return what share of their week 0 the subjects of a group had, in percent; kept per revision."""
    made = reports.report("trend_share", group, lambda: share_points(frames.study(codes=CODES), group))
    return Around(
        {code: [GroupPoint(*point) for point in points] for code, points in made.body.items()}, made.revision
    )


def share_points(study: StudyArrays, group: str) -> dict[str, list[tuple[int, float, float, float, int]]]:
    """Return by quantity the day, quartile, median, quartile (percent of week 0) and number of subjects."""
    members = study.members(POPULATION, group)
    found: dict[str, list[tuple[int, float, float, float, int]]] = {}
    for code in CODES:
        if code not in study.values:
            continue
        at_weeks = study.values[code][members]
        base = at_weeks[:, protocol.WEEKS.index(protocol.BASELINE_WEEK)]
        for place, week in enumerate(protocol.WEEKS):
            pairs = zip(base.tolist(), at_weeks[:, place].tolist(), strict=True)
            values = [_share(start, now) for start, now in pairs if MISSING not in (start, now) and start]
            if len(values) < LEAST:
                continue
            s: Any = samples.summarise(values)
            found.setdefault(code, []).append((7 * week, s.q1, s.median, s.q3, s.n))
    return found


def _share(start: int, now: int) -> Decimal:
    return round(100 * Decimal(now) / Decimal(start), protocol.DIFFERENCE_PLACES)
