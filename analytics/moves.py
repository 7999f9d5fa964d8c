"""The feed of what moved: run by run, the comparisons that changed, before and after adjustment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import connection

from analytics import causes, moved
from analytics.causes import Cause
from analytics.cell_history import crossed
from analytics.models import Run
from analytics.moved import MovedCell
from trial.protocol import Population

if TYPE_CHECKING:
    from analytics.cells import CellKey
    from trial.models import User

PER_PAGE, SHOWN, MOST = 12, 8, 400


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the feed is narrowed to; an empty field means everything."""

    population: str = Population.TREATED.value
    group1: str = ""
    group2: str = ""
    analyte: str = ""
    only_crossings: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """One comparison that a run moved, with its p-values by Holm before and after.

    ``is_own`` is False where only the adjustment crossed 0.05, because another week
    of the family moved.
    """

    key: CellKey
    cell: MovedCell
    holm_before: float | None
    holm_after: float | None
    is_own: bool = True

    @property
    def crossed_adjusted(self) -> bool:
        """Whether p by Holm went from one side of 0.05 to the other."""
        return crossed(self.holm_before, self.holm_after)

    @property
    def query(self) -> str:
        """The address of its history, as a query."""
        return "&".join(f"{name}={value}" for name, value in self.key._asdict().items())


@dataclass(frozen=True, slots=True)
class Move:
    """One run: what it included, and the comparisons it moved, those that crossed 0.05 first."""

    cause: Cause
    lines: tuple[Line, ...]
    further: int
    crossings: int


@dataclass(frozen=True, slots=True)
class Feed:
    """Some runs, newest first, and where to go on."""

    moves: tuple[Move, ...]
    older_before: int | None


def feed(user: User, wanted: Wanted, *, before: int | None = None, at: int | None = None) -> Feed:
    """Return the newest runs that moved something; the number of queries does not grow with the study.

    Parameters
    ----------
    user
        Sees who changed the data and why within their rights.
    wanted
        Which comparisons.
    before
        Runs older than this one only.
    at
        Only the run that included this revision first, with all its lines.
    """
    if at is not None:
        run = Run.objects.filter(revision__gte=at).order_by("pk").values_list("pk", flat=True).first()
        runs = [run] if run is not None else []
        by_run = lines(runs, wanted)
    else:
        by_run = _moving(wanted, before)
        runs = list(by_run)
    more = len(runs) > PER_PAGE
    runs = runs[:PER_PAGE]
    why = causes.of(runs, user)
    moves = []
    for run in runs:
        found = by_run.get(run, [])
        shown = found[: MOST if at is not None else SHOWN]
        if found or at is not None:
            crossings = sum(line.cell.crossed or line.crossed_adjusted for line in found)
            moves.append(Move(why[run], tuple(shown), len(found) - len(shown), crossings))
    return Feed(tuple(moves), runs[-1] if more else None)


_LOOK_BACK = 400
"""Runs that one page of the feed looks through for something that moved."""
_AT_ONCE = 4 * PER_PAGE


def _moving(wanted: Wanted, before: int | None) -> dict[int, list[Line]]:
    """Return the newest runs that moved something wanted with their lines, at least one more than a page."""
    older = Run.objects.order_by("-pk").filter(cells_changed__gt=0)
    if before is not None:
        older = older.filter(pk__lt=before)
    found: dict[int, list[Line]] = {}
    candidates = list(older.values_list("pk", flat=True)[:_LOOK_BACK])
    for start in range(0, len(candidates), _AT_ONCE):
        part = candidates[start : start + _AT_ONCE]
        moving = lines(part, wanted)
        found |= {run: moving[run] for run in part if run in moving}
        if len(found) > PER_PAGE:
            break
    return found


# --- the lines of runs ----------------------------------------------------------------------

_CHANGED = """
SELECT now.run_id, now.population, now.measure, now.group1, now.group2, now.analyte, now.week_from, now.week_to,
    before.result -> 'selected', now.result -> 'selected'
FROM analytics_cell now
CROSS JOIN LATERAL (
    SELECT c.result FROM analytics_cell c
    WHERE c.population = now.population AND c.measure = now.measure
        AND c.group1 = now.group1 AND c.group2 = now.group2 AND c.analyte = now.analyte
        AND c.week_from = now.week_from AND c.week_to = now.week_to AND c.run_id < now.run_id
    ORDER BY c.run_id DESC LIMIT 1
) AS before
WHERE now.run_id = ANY(%(runs)s) AND now.group2 <> '' AND now.population = %(population)s
    AND (%(group1)s = '' OR (now.group1 = %(group1)s AND now.group2 = %(group2)s))
    AND (%(analyte)s = '' OR now.analyte = %(analyte)s)
    AND before.result -> 'selected' <> now.result -> 'selected'
"""

_AS_OF = """
SELECT asked.place, asked.run, before.selected, upto.selected
FROM unnest(
    %(population)s::text[], %(measure)s::text[], %(group1)s::text[], %(group2)s::text[], %(analyte)s::text[],
    %(week_from)s::smallint[], %(week_to)s::smallint[], %(run)s::bigint[]
) WITH ORDINALITY AS asked (population, measure, group1, group2, analyte, week_from, week_to, run, place)
CROSS JOIN LATERAL (
    SELECT c.result -> 'selected' AS selected FROM analytics_cell c
    WHERE c.population = asked.population AND c.measure = asked.measure
        AND c.group1 = asked.group1 AND c.group2 = asked.group2 AND c.analyte = asked.analyte
        AND c.week_from = asked.week_from AND c.week_to = asked.week_to AND c.run_id < asked.run
    ORDER BY c.run_id DESC LIMIT 1
) AS before
CROSS JOIN LATERAL (
    SELECT c.result -> 'selected' AS selected FROM analytics_cell c
    WHERE c.population = asked.population AND c.measure = asked.measure
        AND c.group1 = asked.group1 AND c.group2 = asked.group2 AND c.analyte = asked.analyte
        AND c.week_from = asked.week_from AND c.week_to = asked.week_to AND c.run_id <= asked.run
    ORDER BY c.run_id DESC LIMIT 1
) AS upto
"""


def lines(runs: Sequence[int], wanted: Wanted) -> dict[int, list[Line]]:
    """Return the comparisons that each run moved, by run; two queries whatever the number of runs.

    A comparison is listed when its statistic, p-value, estimate or interval changed, or
    when its p-value by Holm crossed 0.05 because another week of its family moved.
    """
    changed = _changed(runs, wanted)
    before, after = _families(changed)
    by_run: dict[int, list[Line]] = {}
    for (run, key), cell in _with_relatives(changed, before, after).items():
        line = Line(
            key, cell, before[run].adjusted(key), after[run].adjusted(key), is_own=(run, key) in changed
        )
        if not line.is_own and not line.crossed_adjusted:
            continue
        if wanted.only_crossings and not (line.cell.crossed or line.crossed_adjusted):
            continue
        by_run.setdefault(run, []).append(line)
    for found in by_run.values():
        found.sort(key=lambda line: (not line.crossed_adjusted, *moved.by_interest(line.cell)))
    return by_run


def _changed(runs: Sequence[int], wanted: Wanted) -> dict[tuple[int, CellKey], MovedCell]:
    from analytics.cells import CellKey

    asked: dict[str, Any] = {
        "runs": list(runs),
        "population": wanted.population,
        "group1": wanted.group1,
        "group2": wanted.group2,
        "analyte": wanted.analyte,
    }
    with connection.cursor() as cursor:
        cursor.execute(_CHANGED, asked)
        rows = cursor.fetchall()
    found = {}
    for run, *names, week_from, week_to, before, after in rows:
        population, measure, group1, group2, analyte = names
        key = CellKey(population, measure, group1, group2, analyte, week_from, week_to)
        found[run, key] = moved.cell_of(*key, before, after)
    return found


class _Family:
    """The stored numbers of the families a run touched, and their adjustment."""

    def __init__(self) -> None:
        self.selected: dict[CellKey, Any] = {}
        self._adjusted: dict[CellKey, float] | None = None

    def adjusted(self, key: CellKey) -> float | None:
        """Return p by Holm within the weeks of one quantity, as :func:`analytics.cells.adjust` does."""
        from analytics.cells import CellResult, adjust

        if self._adjusted is None:
            results = {
                member: CellResult(p_value=None if p is None else float(p))
                for member, (_statistic, p, *_rest) in self.selected.items()
            }
            done = adjust(results)
            self._adjusted = {
                member: result.p_holm for member, result in done.items() if result.p_holm is not None
            }
        return self._adjusted.get(key)


def _families(
    changed: Iterable[tuple[int, CellKey]],
) -> tuple[Mapping[int, _Family], Mapping[int, _Family]]:
    """Return the families of what changed before and as of each run; one query."""
    from analytics.cells import all_keys
    from analytics.selectors import parsed

    members: dict[tuple[Any, ...], list[CellKey]] = {}
    for member in all_keys():
        members.setdefault(member[:5], []).append(member)
    wanted = list(dict.fromkeys((run, member) for run, key in changed for member in members[key[:5]]))
    fields = ("population", "measure", "group1", "group2", "analyte", "week_from", "week_to")
    columns = list(zip(*(key for _run, key in wanted), strict=True)) or [()] * len(fields)
    asked: dict[str, Any] = {name: list(column) for name, column in zip(fields, columns, strict=True)}
    asked["run"] = [run for run, _key in wanted]
    before: dict[int, _Family] = {}
    after: dict[int, _Family] = {}
    with connection.cursor() as cursor:
        cursor.execute(_AS_OF, asked)
        for place, run, earlier, later in cursor:
            key = wanted[place - 1][1]
            before.setdefault(run, _Family()).selected[key] = parsed(earlier)
            after.setdefault(run, _Family()).selected[key] = parsed(later)
    return before, after


def _with_relatives(
    changed: dict[tuple[int, CellKey], MovedCell], before: Mapping[int, _Family], after: Mapping[int, _Family]
) -> dict[tuple[int, CellKey], MovedCell]:
    """Return what changed and, beside it, the other weeks of the same families."""
    found = dict(changed)
    for run, family in before.items():
        for key, earlier in family.selected.items():
            if (run, key) not in found and key.between:
                found[run, key] = moved.cell_of(*key, earlier, after[run].selected[key])
    return found
