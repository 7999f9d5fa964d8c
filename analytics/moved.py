"""What a revision moved: the scores and comparisons that changed when it entered the results."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import connection
from django.utils.translation import gettext as _

from analytics import selectors
from analytics.models import Run, Score
from analytics.words import why_not
from trial import protocol
from trial.models import Revision, User
from trial.protocol import Measure, Population
from trial.roles import Permission
from trial.templatetags.cordline import limit as printed_limit
from trial.templatetags.cordline import p_value as printed_p

SHOWN, MOST = 8, 200
THRESHOLD = 0.05


@dataclass(frozen=True, slots=True)
class MovedScore:
    """A subject's score before and after."""

    subject_id: str
    week: int | None
    variant: str
    before: Decimal | None
    after: Decimal | None
    why_not: str
    inputs: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class MovedCell:
    """A comparison of two groups before and after; the p-values are not adjusted."""

    population: str
    measure: str
    group1: str
    group2: str
    analyte: str
    unit: str
    decimals: int
    weeks: str
    before: tuple[float | None, ...]
    after: tuple[float | None, ...]

    @property
    def p_before(self) -> float | None:
        return self.before[1]

    @property
    def p_after(self) -> float | None:
        return self.after[1]

    @property
    def estimate_before(self) -> float | None:
        return self.before[2]

    @property
    def estimate_after(self) -> float | None:
        return self.after[2]

    @property
    def crossed(self) -> bool:
        """Whether p went from one side of 0.05 to the other."""
        if self.p_before is None or self.p_after is None:
            return False
        return (self.p_before < THRESHOLD) != (self.p_after < THRESHOLD)

    @property
    def shows(self) -> bool:
        """Whether the change reaches a digit that is printed."""
        return self._printed(self.before) != self._printed(self.after)

    def _printed(self, numbers: tuple[float | None, ...]) -> tuple[str, str]:
        return printed_p(numbers[1]), printed_limit(numbers[2], self.decimals)

    @property
    def stride(self) -> float:
        """How far p went, whichever way, as a ratio on the logarithmic scale."""
        if not self.p_before or not self.p_after:
            return 0.0
        return abs(math.log(self.p_after / self.p_before))

    @property
    def label(self) -> str:
        return _(protocol.label_of(self.analyte))

    @property
    def is_difference(self) -> bool:
        return self.measure in (Measure.INTERVAL, Measure.CUMULATIVE)


@dataclass(frozen=True, slots=True)
class Moved:
    """Everything a revision moved, as far as this person may see it.

    Parameters
    ----------
    run
        The run that included it; None while it is not in the results.
    seconds
        From the revision to the results.
    together_with
        How many other revisions the run included for the first time.
    is_first
        Whether there was nothing before it to compare with.
    scores, cells
        What moved; the comparisons that crossed 0.05 first.
    further
        Comparisons that moved and are not listed.
    unmoved
        Other cells that were computed again; as comparisons unchanged to the printed digit.
    """

    run: Run | None
    seconds: float | None = None
    together_with: int = 0
    is_first: bool = False
    scores: tuple[MovedScore, ...] = ()
    cells: tuple[MovedCell, ...] = ()
    further: int = 0
    unmoved: int = 0


def by_revision(number: int, user: User, *, everything: bool = False) -> Moved | None:
    """Return what a revision moved, or None when there is no such revision.

    Parameters
    ----------
    number
        The revision.
    user
        Sees the scores of the subjects of their sites, and comparisons only with the
        right to the analysis.
    everything
        Without the usual limit on how many are listed.
    """
    revision = Revision.objects.filter(number=number).first() if number < 2**63 else None
    if revision is None:
        return None
    run = Run.objects.filter(revision__gte=number).order_by("id").first()
    if run is None:
        return Moved(None)
    before = Run.objects.filter(pk__lt=run.pk).order_by("-pk").first()
    scores = tuple(_scores(run, revision, user))
    cells = _cells(run) if before is not None and user.may(Permission.VIEW_ANALYSIS) else []
    kept = cells[: MOST if everything else SHOWN]
    return Moved(
        run=run,
        seconds=(run.finished_at - revision.made_at).total_seconds(),
        together_with=run.revision - (before.revision if before else 0) - 1,
        is_first=before is None,
        scores=scores if everything else scores[:SHOWN],
        cells=tuple(kept),
        further=len(cells) - len(kept),
        unmoved=max(0, run.cells_computed - len(cells)),
    )


def _scores(run: Run, revision: Revision, user: User) -> list[MovedScore]:
    # a run may include many revisions; this one can only have moved the scores of its own subjects
    written = revision.entries.filter(patient_id__isnull=False).values("patient_id")
    moved = (
        Score.objects.visible_to(user)
        .filter(run=run, variant=protocol.DEFAULT_SCORE, patient_id__in=written)
        .select_related("visit", "patient")
        .order_by("patient__subject_id", "visit__week", "visit_id")[:MOST]
    )
    rows = list(moved)
    earlier = (
        Score.objects.filter(visit_id__in=[s.visit_id for s in rows], variant=protocol.DEFAULT_SCORE)
        .filter(run_id__lt=run.pk)
        .order_by("visit_id", "-run_id")
        .distinct("visit_id")
    )
    before = {score.visit_id: score for score in earlier}
    return [
        MovedScore(
            subject_id=score.patient.subject_id,
            week=score.visit.week,
            variant=protocol.SCORE_AT[score.variant].label,
            before=before[score.visit_id].value if score.visit_id in before else None,
            after=score.value,
            why_not=why_not(score),
            inputs=[each | {"label": protocol.label_of(each["code"])} for each in score.inputs],
        )
        for score in rows
        if score.visit_id not in before or before[score.visit_id].value != score.value
    ]


_CELLS = """
SELECT now.population, now.measure, now.group1, now.group2, now.analyte, now.week_from, now.week_to,
    before.result -> 'selected', now.result -> 'selected'
FROM analytics_cell now
CROSS JOIN LATERAL (
    SELECT c.result FROM analytics_cell c
    WHERE c.population = now.population AND c.measure = now.measure
        AND c.group1 = now.group1 AND c.group2 = now.group2 AND c.analyte = now.analyte
        AND c.week_from = now.week_from AND c.week_to = now.week_to AND c.run_id < now.run_id
    ORDER BY c.run_id DESC LIMIT 1
) AS before
WHERE now.run_id = %s AND now.group2 <> '' AND now.population = %s
    AND before.result -> 'selected' <> now.result -> 'selected'
"""


def _cells(run: Run) -> list[MovedCell]:
    """Return the comparisons of the default population that moved visibly, those that crossed 0.05 first."""
    with connection.cursor() as cursor:
        cursor.execute(_CELLS, [run.pk, Population.TREATED.value])
        rows = cursor.fetchall()
    cells = [cell_of(*row) for row in rows]
    return sorted((cell for cell in cells if cell.shows), key=by_interest)


def cell_of(
    population: str,
    measure: str,
    group1: str,
    group2: str,
    analyte: str,
    week_from: int,
    week_to: int,
    before: Any,
    after: Any,
) -> MovedCell:
    """Return a comparison with its stored statistics before and after."""
    return MovedCell(
        population=population,
        measure=measure,
        group1=group1,
        group2=group2,
        analyte=analyte,
        unit=protocol.unit_of(analyte),
        decimals=protocol.decimals_of(analyte),
        weeks=weeks_label(week_from, week_to),
        before=_numbers(before),
        after=_numbers(after),
    )


def _numbers(stored: Any) -> tuple[float | None, ...]:
    return tuple(None if x is None else float(x) for x in selectors.parsed(stored))


def weeks_label(week_from: int, week_to: int) -> str:
    """Return the weeks of a comparison as they are written: ``W4–12``, ``W4``."""
    return f"W{week_from}" if week_from == week_to else f"W{week_from}\N{EN DASH}{week_to}"


def by_interest(cell: MovedCell) -> tuple[Any, ...]:
    """Return a key that puts first what crossed 0.05, then the primary comparison, then the largest steps."""
    primary = (
        cell.group1,
        cell.group2,
    ) == protocol.PRIMARY_CONTRAST and cell.analyte == protocol.PRIMARY_ANALYTE
    return (
        not cell.crossed,
        not primary,
        -cell.stride,
        not cell.is_difference,
        cell.analyte,
        cell.group1,
        cell.group2,
        cell.weeks,
    )
