"""Bring the results up to date with the data.

One refresh at a time, under an advisory lock of the session. It reads everything
in one repeatable-read snapshot, whose newest revision N names the result; computes
without any transaction, so that nothing waits for it; and stores scores, cells and
the run in one transaction. Whoever sees ``Run(revision=N)`` sees results of exactly
the data of revision N.

An incremental refresh re-reads the patients that the trail names since the last
run, and compares the cells that can have moved. It must leave the same rows as a
full one: ``check`` computes everything again and says where it does not.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from analytics import contrasts, frames, scoring, selectors
from analytics.cells import CellKey, all_keys, as_json
from analytics.code_version import CURRENT, READ_AT
from analytics.frames import Columns
from analytics.locks import RESULTS
from analytics.models import Failure, Run
from analytics.touched import EVERYTHING, NOTHING, Entry, Touched, touched
from trial import audit
from trial.failpoints import passing
from trial.trail_functions import CHANNEL

PATIENCE = timedelta(minutes=5)
MOST_ENTRIES = 20_000
"""Beyond this many audit entries everything is read again."""

logger = logging.getLogger(__name__)

Progress = Callable[[int, int, str], None]


def _quietly(done: int, total: int, text: str) -> None:
    """Tell nobody."""


class Overtaken(RuntimeError):
    """Another run was stored although this one held the lock."""


def refresh(
    *, full: bool = False, patience: timedelta = PATIENCE, progress: Progress = _quietly
) -> Run | None:
    """Compute what the data have moved since the last run, and store it.

    Parameters
    ----------
    full
        Compute everything again, whatever is stored; rows are added only where they differ.
    patience
        How long to wait while another refresh is at work.
    progress
        Told the finished steps, all steps, and what comes next.

    Returns
    -------
    Run or None
        None when the results were current, or another refresh went on beyond ``patience``.
    """
    started_at = timezone.now()
    with _alone(patience) as alone:
        if not alone:
            return None
        try:
            with selectors.one_moment():
                look = _look(full, progress)
            if look is None:
                return None
            passing("refresh_after_read")
            found = _work_out(look, progress)
            passing("refresh_before_store")
            return _store(look, found, started_at, progress)
        except Exception as error:
            _record_failure(error)
            raise


def differences(progress: Progress = _quietly) -> list[str]:
    """Compute everything in memory and name what is stored otherwise.

    Returns
    -------
    list of str
        One line per score or cell that is missing, too much or different; empty when all agree.
    """
    with selectors.one_moment():
        run = selectors.latest_run()
        look = _look(True, progress)
        assert look is not None
        if run is None or run.revision != look.revision or run.code_version != CURRENT:
            shown = f"r{run.revision} by code {run.code_version}" if run else "never computed"
            return [f"results are {shown}, data are r{look.revision} and code is {CURRENT}: refresh first"]
    found = _work_out(look, progress)
    lines = [f"score: visit {key.visit} {key.variant}" for key in found.scores]
    return lines + ["cell: " + " ".join(str(part) for part in key if part != "") for key in found.cells]


# --- one at a time --------------------------------------------------------------------------


@contextmanager
def _alone(patience: timedelta) -> Iterator[bool]:
    """Hold the lock of the results; yield False when somebody else keeps it."""
    until = time.monotonic() + patience.total_seconds()
    while not (held := _ask("pg_try_advisory_lock")) and time.monotonic() < until:
        time.sleep(0.05)
    try:
        yield held
    finally:
        if held:
            # a connection that broke has lost the lock already
            with suppress(DatabaseError):
                _ask("pg_advisory_unlock")


def _ask(function: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {function}(%s)", [RESULTS])
        return bool(cursor.fetchone()[0])


def _record_failure(error: Exception) -> None:
    """Remember a failure by its kind and place; its message may quote a patient."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = f"{place.tb_frame.f_globals.get('__name__')}:{place.tb_lineno}" if place else "?"
    logger.error("refresh failed: %s at %s", type(error).__name__, where)
    with suppress(DatabaseError):
        Failure.objects.create(
            revision=audit.latest_revision(),
            code_version=CURRENT,
            failed_at=timezone.now(),
            error=f"{type(error).__name__} at {where}"[:200],
        )


# --- look -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Look:
    """Everything a refresh has read in its snapshot."""

    revision: int
    last: Run | None
    full: bool
    touched: Touched
    rest: Columns | None
    part: Columns | None
    draws: list[scoring.Draw]
    scores: dict[scoring.Key, scoring.Stored]
    keys: list[CellKey]
    cells: Mapping[CellKey, selectors.StoredCell]


def _look(full: bool, progress: Progress) -> _Look | None:
    progress(0, 4, "read")
    revision, last = audit.latest_revision(), selectors.latest_run()
    same_code = last is not None and last.code_version == CURRENT
    if last is not None and not full:
        if last.revision == revision and same_code:
            return None
        if not same_code and last.finished_at > READ_AT:
            logger.warning("results are computed by %s now; this process is %s", last.code_version, CURRENT)
            return None
    everything = full or last is None or not same_code or last.revision > revision
    with connection.cursor() as cursor:
        now, rest = EVERYTHING, None
        if not everything and last is not None:
            now, rest = _since(cursor, last, revision)
        everything = everything or now.patients is None
        part = None if now == NOTHING else frames.read(cursor, now.patients)
        if rest is None and not everything and part is not None:
            rest = frames.read(cursor)
        keys = [key for key in all_keys() if now.cell(key)]
        return _Look(
            revision=revision,
            last=last,
            full=everything,
            touched=now,
            rest=rest,
            part=part,
            draws=scoring.read_draws(cursor, now.patients),
            scores=scoring.read_stored(cursor, now.patients),
            keys=keys,
            cells=selectors.stored_cells(keys, run=last.pk, whole=keys if everything else ()) if last else {},
        )


def _since(cursor: Any, last: Run, revision: int) -> tuple[Touched, Columns | None]:
    """Return what the revisions since the last run touch, and the columns known from before, if still true."""
    known = _memory.known()
    start = last.revision if known is None else min(known.revision, last.revision)
    entries = _entries(cursor, start, revision)
    if entries is None:
        return EVERYTHING, None
    week_of = _weeks(cursor, (entry for _number, entry in entries))
    now = touched((entry for number, entry in entries if number > last.revision), week_of)
    if known is None or now.patients is None:
        return now, None
    missed = touched((entry for number, entry in entries if number > known.revision), week_of)
    if missed.patients is None:
        return now, None
    if missed.patients - now.patients:
        # another process ran meanwhile: catch up with what it has stored
        behind = missed.patients - now.patients
        return now, known.columns.replaced(behind, frames.read(cursor, behind))
    return now, known.columns


def _entries(cursor: Any, after: int, until: int) -> list[tuple[int, Entry]] | None:
    """Return the audit entries of revisions, None when there are too many to look at."""
    cursor.execute(
        'SELECT r.number, e."table", e.old, e.new FROM trial_auditentry e JOIN trial_revision r ON r.id = e.revision_id'
        " WHERE r.number > %s AND r.number <= %s ORDER BY e.id LIMIT %s",
        [after, until, MOST_ENTRIES + 1],
    )
    rows = cursor.fetchall()
    if len(rows) > MOST_ENTRIES:
        return None
    return [(number, Entry(table, _parsed(old), _parsed(new))) for number, table, old, new in rows]


def _parsed(stored: Any) -> Any:
    return json.loads(stored) if isinstance(stored, str) else stored


def _weeks(cursor: Any, entries: Iterator[Entry]) -> dict[int, int | None]:
    visits = {
        int(row["visit_id"])
        for entry in entries
        if entry.table == "patients_labresult"
        for row in entry.versions
    }
    cursor.execute("SELECT id, week FROM patients_visit WHERE id = ANY(%s)", [sorted(visits)])
    return dict(cursor.fetchall())


# --- work out -------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Found:
    """What a refresh is about to store."""

    scores_computed: int
    scores: dict[scoring.Key, scoring.Stored]
    cells_computed: int
    cells: dict[CellKey, tuple[str, str]]
    columns: Columns | None


def _work_out(look: _Look, progress: Progress) -> _Found:
    progress(1, 4, "scores")
    now = scoring.computed(look.draws)
    scores = scoring.changed(now, look.scores)
    columns = look.rest
    if look.part is not None:
        part = look.part.with_scores(scoring.by_week(look.draws, now))
        columns = part if look.rest is None else look.rest.replaced(look.touched.patients or (), part)
    if columns is None or not look.keys:
        return _Found(len(now), scores, 0, {}, columns)

    progress(2, 4, "cells")
    study = columns.arrays()
    digests = contrasts.digests(study, look.keys)
    moved = [key for key in look.keys if look.full or _inputs(look, key) != digests[key]]
    results = contrasts.compute(study, moved)
    cells = {}
    for key, result in results.items():
        text = json.dumps(as_json(result))
        before = look.cells.get(key)
        if (
            before is None
            or before.inputs != digests[key]
            or (look.full and before.result != json.loads(text))
        ):
            cells[key] = (digests[key], text)
    return _Found(len(now), scores, len(moved), cells, columns)


def _inputs(look: _Look, key: CellKey) -> str:
    return look.cells[key].inputs if key in look.cells else ""


# --- store ----------------------------------------------------------------------------------

_SCORE_COLUMNS = (
    "patient_id", "visit_id", "variant", "run_id", "revision", "value", "reported", "inputs", "why_not", "obstacle",
)  # fmt: skip
_CELL_COLUMNS = (
    "population", "measure", "group1", "group2", "analyte", "week_from", "week_to", "run_id", "revision",
    "inputs", "result",
)  # fmt: skip


def _store(look: _Look, found: _Found, started_at: datetime, progress: Progress) -> Run:
    progress(3, 4, "store")
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("LOCK TABLE analytics_run IN SHARE ROW EXCLUSIVE MODE")
        if selectors.latest_run() != look.last:
            raise Overtaken
        run = Run.objects.create(
            revision=look.revision,
            full=look.full,
            code_version=CURRENT,
            started_at=started_at,
            finished_at=timezone.now(),
            scores_computed=found.scores_computed,
            scores_changed=len(found.scores),
            cells_computed=found.cells_computed,
            cells_changed=len(found.cells),
        )
        scores = (
            (row.patient, key.visit, key.variant, run.pk, run.revision, row.value, row.reported, row.inputs, row.why_not, row.obstacle)
            for key, row in found.scores.items()
        )  # fmt: skip
        _copy(cursor, "analytics_score", _SCORE_COLUMNS, scores)
        cells = (
            (*key, run.pk, run.revision, inputs, result) for key, (inputs, result) in found.cells.items()
        )
        _copy(cursor, "analytics_cell", _CELL_COLUMNS, cells)
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, f"run {run.revision}"])
        passing("refresh_before_commit")
    passing("refresh_after_commit")
    _memory.keep(run, found.columns)
    progress(4, 4, "done")
    return run


def _copy(cursor: Any, table: str, columns: Collection[str], rows: Iterator[tuple[Any, ...]]) -> None:
    with cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


# --- what a warm process remembers ----------------------------------------------------------


@dataclass(frozen=True)
class _Known:
    """The columns as of a run, with its fingerprint: a restored database has other runs."""

    run: int
    finished_at: datetime
    revision: int
    columns: Columns


@dataclass
class _Memory:
    """The columns of the last run of this process, so that the next reads only what changed."""

    kept: _Known | None = field(default=None)

    def keep(self, run: Run, columns: Columns | None) -> None:
        if columns is not None:
            self.kept = _Known(run.pk, run.finished_at, run.revision, columns)

    def known(self) -> _Known | None:
        """Return what is kept if its run is in the database, otherwise nothing."""
        if self.kept is None:
            return None
        there = Run.objects.filter(pk=self.kept.run, finished_at=self.kept.finished_at, code_version=CURRENT)
        return self.kept if there.exists() else None

    def forget(self) -> None:
        self.kept = None


_memory = _Memory()


def forget() -> None:
    """Let the next refresh read the database afresh."""
    _memory.forget()
