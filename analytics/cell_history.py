"""What one comparison has been, revision by revision, with its adjusted p-value as of each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

from analytics import causes
from analytics.causes import Cause
from analytics.models import Cell
from trial.templatetags.cordline import p_value as printed_p

if TYPE_CHECKING:
    from analytics.cells import CellKey, CellResult
    from trial.models import User

THRESHOLD = 0.05
MOST = 60
MOST_STORED = 4000
WIDTH, HEIGHT, EDGE = 640, 120, 10
SMALLEST_P = 1e-4
"""Below this the picture of the steps draws at its edge."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a comparison was from a run on.

    ``is_own`` is False where its own numbers stayed and only the adjustment moved,
    because another week of its family did. ``crossed`` and ``crossed_adjusted`` compare
    with the step before: p, and p by Holm, on the other side of 0.05.
    """

    run: int
    revision: int
    is_own: bool
    p_value: float | None
    p_holm: float | None
    holm_size: int
    crossed: bool
    crossed_adjusted: bool
    result: CellResult | None = None
    cause: Cause | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """p over the steps, oldest left, on a logarithmic scale: marks, lines between them, the line of 0.05."""

    width: int
    height: int
    threshold: float
    lines: tuple[str, ...]
    marks: tuple[tuple[float, float, int, str], ...]


@dataclass(frozen=True, slots=True)
class CellHistory:
    """The steps, newest first, and their picture; ``further`` older ones are not listed."""

    steps: tuple[Step, ...]
    picture: Picture | None
    further: int


def of(key: CellKey, user: User) -> CellHistory:
    """Return every stored version of a comparison, newest first.

    Parameters
    ----------
    key
        The comparison.
    user
        Sees who changed the data and why within their rights.
    """
    from analytics.cells import from_json

    steps = _steps(key)
    shown, further = steps[-MOST:], max(0, len(steps) - MOST)
    stored = Cell.objects.filter(**key._asdict(), run_id__in=[step.run for step in shown])
    results = {run: from_json(result) for run, result in stored.values_list("run_id", "result")}
    why = causes.of([step.run for step in shown], user)
    told = [replace(step, result=results.get(step.run), cause=why.get(step.run)) for step in shown]
    return CellHistory(tuple(reversed(told)), picture(told), further)


def _steps(key: CellKey) -> list[Step]:
    """Walk through everything stored of the family, oldest first, and keep what moved this comparison."""
    from analytics.cells import CellKey
    from analytics.statistics import holm

    newest = (
        Cell.objects.filter(**dict(zip(key._fields[:5], key[:5], strict=True)))
        .order_by("-run_id")
        .values_list("run_id", "revision", "week_from", "week_to", "result__selected")[:MOST_STORED]
    )
    family: dict[CellKey, float | None] = {}
    steps: list[Step] = []
    for (run, revision), rows in groupby(reversed(list(newest)), key=lambda row: row[:2]):
        is_own = False
        for _run, _revision, week_from, week_to, selected in rows:
            member = CellKey(*key[:5], week_from, week_to)
            if member.over_all_weeks == key.over_all_weeks:
                family[member] = _float(selected[1])
                is_own = is_own or member == key
        p_value = family.get(key)
        tested = {member: p for member, p in family.items() if p is not None}
        adjusted = dict(zip(tested, holm(list(tested.values())), strict=True)) if tested else {}
        p_holm = adjusted.get(key)
        before = steps[-1] if steps else None
        if not is_own and (before is None or printed_p(before.p_holm) == printed_p(p_holm)):
            continue
        steps.append(
            Step(
                run=run,
                revision=revision,
                is_own=is_own,
                p_value=p_value,
                p_holm=p_holm,
                holm_size=len(tested) if p_value is not None else 0,
                crossed=before is not None and crossed(before.p_value, p_value),
                crossed_adjusted=before is not None and crossed(before.p_holm, p_holm),
            )
        )
    return steps


def crossed(before: float | None, after: float | None) -> bool:
    """Return whether a p-value went from one side of 0.05 to the other."""
    if before is None or after is None:
        return False
    return (before < THRESHOLD) != (after < THRESHOLD)


def _float(stored: Any) -> float | None:
    return None if stored is None else float(stored)


# --- the picture ----------------------------------------------------------------------------


def picture(steps: Sequence[Step]) -> Picture | None:
    """Return p over steps as lines that keep their height until the next step; None without a p-value.

    Parameters
    ----------
    steps
        Oldest first. Where nothing was tested the line is interrupted.
    """
    if not any(step.p_value is not None for step in steps):
        return None
    apart = (WIDTH - 2 * EDGE) / max(1, len(steps))
    lines: list[str] = []
    marks = []
    path = ""
    for place, step in enumerate(steps):
        if step.p_value is None:
            lines, path = [*lines, path], ""
            continue
        x, y = EDGE + place * apart, height_of(step.p_value)
        path += f"V{y:.1f}" if path else f"M{x:.1f} {y:.1f}"
        path += f"H{x + apart:.1f}"
        marks.append((round(x, 1), round(y, 1), step.revision, printed_p(step.p_value)))
    lines = [line for line in (*lines, path) if line]
    return Picture(WIDTH, HEIGHT, round(height_of(THRESHOLD), 1), tuple(lines), tuple(marks))


def height_of(p_value: float) -> float:
    """Return how far down a p-value stands: 1 at the top, small ones below."""
    decades = -math.log10(min(1.0, max(SMALLEST_P, p_value)))
    return EDGE + (HEIGHT - 2 * EDGE) * decades / -math.log10(SMALLEST_P)
