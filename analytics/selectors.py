"""What is read of the results: always as of one run, always with the revision it belongs to.

Results of a run are the newest row per key that is not younger than the run, so a
reader who has asked which run is shown keeps seeing that run, whatever is
computed meanwhile. Adjusted p-values belong to whole families and are worked out
here, from the family as of the same run.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.db import connection, transaction

from analytics.code_version import CURRENT
from analytics.locks import PUMP, RESULTS
from analytics.models import Run, Score
from patients.models import Patient

if TYPE_CHECKING:
    from analytics.cells import CellKey, CellResult

SOON = timedelta(seconds=60)
"""How long results may be behind before pages say that something is wrong."""


@contextmanager
def one_moment(*, long: bool = False) -> Iterator[None]:
    """Let every query inside see the same moment, so that numbers and their label agree.

    Parameters
    ----------
    long
        Whether files are drawn or written between the queries: the database then waits for the
        next one for up to an hour, as long as a job may last, and not the minutes of a page.
    """
    outermost = not connection.in_atomic_block
    with transaction.atomic():
        if outermost:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                if long:
                    cursor.execute("SET LOCAL idle_in_transaction_session_timeout = '1h'")
        yield


# --- freshness ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Freshness:
    """How the results stand to the data, in one look at the database.

    Parameters
    ----------
    latest
        Newest revision of the data.
    shown
        Revision of the results, 0 before the first run.
    run_at
        When they were computed.
    same_code
        Whether the code that runs now computed them.
    waiting_since
        When the oldest revision that is not included was made.
    recomputing
        Whether a refresh is at work.
    worker
        Whether any worker is there to start one.
    failures
        Refreshes that failed since the last run.
    """

    latest: int
    shown: int
    run_at: datetime | None
    same_code: bool
    waiting_since: datetime | None
    recomputing: bool
    worker: bool
    failures: int
    now: datetime

    @property
    def behind(self) -> int:
        """Revisions that the results do not include."""
        return max(0, self.latest - self.shown)

    @property
    def current(self) -> bool:
        """Whether the results are those of the data as they stand, by this code."""
        return self.run_at is not None and self.shown == self.latest and self.same_code

    @property
    def state(self) -> str:
        """One word: ``current``, ``failing``, ``recomputing``, ``waiting`` or ``stopped``."""
        if self.current:
            return "current"
        if self.failures:
            return "failing"
        if self.recomputing:
            return "recomputing"
        late = self.waiting_since is None or self.now - self.waiting_since > SOON
        return "stopped" if late and not self.worker else "waiting"


_FRESHNESS = """
SELECT latest.number, run.revision, run.finished_at, run.code_version,
    (SELECT made_at FROM trial_revision WHERE number = coalesce(run.revision, 0) + 1),
    EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND classid = 0 AND granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND objid = %s),
    EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND classid = 0 AND granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND objid = %s),
    (SELECT count(*) FROM analytics_failure WHERE failed_at > coalesce(run.finished_at, '-infinity')),
    statement_timestamp()
FROM (SELECT coalesce(max(number), 0) AS number FROM trial_revision) AS latest
LEFT JOIN (SELECT * FROM analytics_run ORDER BY id DESC LIMIT 1) AS run ON true
"""


def freshness() -> Freshness:
    """Return how the results stand to the data; one query."""
    with connection.cursor() as cursor:
        cursor.execute(_FRESHNESS, [RESULTS, PUMP])
        latest, shown, run_at, code, since, recomputing, worker, failures, now = cursor.fetchone()
    return Freshness(
        latest=latest,
        shown=shown or 0,
        run_at=run_at,
        same_code=code == CURRENT,
        waiting_since=since,
        recomputing=recomputing,
        worker=worker,
        failures=failures,
        now=now,
    )


def latest_run() -> Run | None:
    """Return the run whose results are shown."""
    return Run.objects.first()


# --- cells ----------------------------------------------------------------------------------

_NEWEST = """
SELECT asked.place, cell.run_id, cell.revision, cell.inputs,
    CASE WHEN asked.whole THEN cell.result ELSE cell.result #> '{selected,1}' END
FROM unnest(
    %(population)s::text[], %(measure)s::text[], %(group1)s::text[], %(group2)s::text[], %(analyte)s::text[],
    %(week_from)s::smallint[], %(week_to)s::smallint[], %(whole)s::boolean[]
) WITH ORDINALITY AS asked (population, measure, group1, group2, analyte, week_from, week_to, whole, place)
CROSS JOIN LATERAL (
    SELECT c.run_id, c.revision, c.inputs, c.result FROM analytics_cell c
    WHERE c.population = asked.population AND c.measure = asked.measure
        AND c.group1 = asked.group1 AND c.group2 = asked.group2 AND c.analyte = asked.analyte
        AND c.week_from = asked.week_from AND c.week_to = asked.week_to AND c.run_id + 0 <= %(run)s
    ORDER BY c.run_id + 0 DESC LIMIT 1
) AS cell
ORDER BY asked.place
"""
# "+ 0": a table that the planner has no statistics of yet must not be walked run by run, once for each key


@dataclass(frozen=True, slots=True)
class StoredCell:
    """A cell as its row holds it; ``result`` is its JSON."""

    run: int
    revision: int
    inputs: str
    result: Any


def stored_cells(
    keys: Collection[CellKey], *, run: int, whole: Collection[CellKey] | None = None
) -> dict[CellKey, StoredCell]:
    """Return the newest rows of keys as of a run.

    Parameters
    ----------
    keys
        Cells to look for; those without a row are left out.
    run
        Primary key of the run.
    whole
        The keys whose whole result is wanted, all by default; of the others only the p-value.
    """
    asked = list(keys)
    columns = list(zip(*asked, strict=True)) or [()] * 7
    fields = ("population", "measure", "group1", "group2", "analyte", "week_from", "week_to")
    parameters: dict[str, Any] = {name: list(column) for name, column in zip(fields, columns, strict=True)}
    wanted = None if whole is None else set(whole)
    parameters |= {"run": run, "whole": [wanted is None or key in wanted for key in asked]}
    with connection.cursor() as cursor:
        cursor.execute(_NEWEST, parameters)
        return {
            asked[place - 1]: StoredCell(row_run, revision, inputs, parsed(result))
            for place, row_run, revision, inputs, result in cursor
        }


def current_cells(
    *, run: Run | None = None, places: slice = slice(None), **filters: Any
) -> list[tuple[CellKey, CellResult]]:
    """Return cells with their adjusted p-values, in the order of the study.

    Parameters
    ----------
    run
        As of which run; the newest by default.
    places
        Which of the keys that match, by their place among them.
    **filters
        Fields of the key, as ``group1="C"`` or ``analyte__in=("tbil", "alt")``; an empty
        ``population`` means all of them.
    """
    from analytics.cells import adjust, from_json

    run = run or latest_run()
    if run is None:
        return []
    wanted = keys_of(**filters)[places]
    found = stored_cells(_with_families(wanted), run=run.pk, whole=wanted)
    asked = set(wanted)
    results = {
        key: from_json(cell.result) if key in asked else _only_p(cell.result) for key, cell in found.items()
    }
    adjusted = adjust(results)
    return [(key, adjusted[key]) for key in wanted if key in adjusted]


def cells(
    population: str, measure: str, group1: str, group2: str, analyte: str
) -> list[tuple[CellKey, CellResult]]:
    """Return the cells of one quantity of one group or pair over its weeks."""
    return current_cells(
        population=population, measure=measure, group1=group1, group2=group2, analyte=analyte
    )


def keys_of(**filters: Any) -> list[CellKey]:
    """Return the keys whose fields are, or are among, what is wanted, as :func:`current_cells` takes it."""
    from analytics.cells import CellKey, all_keys

    wanted = []
    for name, value in filters.items():
        if name == "population" and not value:
            continue
        field, _, how = name.partition("__")
        wanted.append((CellKey._fields.index(field), value if how == "in" else (value,)))
    return [key for key in all_keys() if all(key[place] in values for place, values in wanted)]


def _with_families(keys: Iterable[CellKey]) -> list[CellKey]:
    """Return the keys and all those whose p-values are adjusted together with theirs."""
    members = _families()
    return [member for family in dict.fromkeys(key[:4] for key in keys) for member in members[family]]


@lru_cache(maxsize=1)
def _families() -> Mapping[tuple[Any, ...], list[CellKey]]:
    """Return the keys by what their p-values are adjusted within: population, measure and groups."""
    from analytics.cells import all_keys

    families: dict[tuple[Any, ...], list[CellKey]] = {}
    for key in all_keys():
        families.setdefault(key[:4], []).append(key)
    return families


def _only_p(p_value: Any) -> CellResult:
    from analytics.cells import CellResult

    return CellResult(p_value=None if p_value is None else float(p_value))


def parsed(stored: Any) -> Any:
    """Return stored JSON, which a cursor gives as text."""
    return json.loads(stored) if isinstance(stored, str) else stored


# --- history --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PastCell:
    """What a cell was from a revision on; the p-values are not adjusted."""

    revision: int
    run: int
    result: CellResult


def history(key: CellKey, limit: int = 50) -> list[PastCell]:
    """Return what a cell has been, newest first."""
    from analytics.cells import from_json

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT revision, run_id, result FROM analytics_cell"
            " WHERE population = %s AND measure = %s AND group1 = %s AND group2 = %s AND analyte = %s"
            " AND week_from = %s AND week_to = %s ORDER BY run_id DESC LIMIT %s",
            [*key, limit],
        )
        return [PastCell(revision, run, from_json(parsed(result))) for revision, run, result in cursor]


# --- scores ---------------------------------------------------------------------------------


def scores_of_patient(patient: Patient) -> dict[tuple[int, str], Score]:
    """Return the newest score of each of the patient's visits and each variant."""
    scores = Score.objects.filter(patient=patient).select_related("visit")
    newest = scores.order_by("visit_id", "variant", "-run_id").distinct("visit_id", "variant")
    return {(score.visit_id, score.variant): score for score in newest}
