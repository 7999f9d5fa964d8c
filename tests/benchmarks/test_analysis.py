"""All cells in memory: against one scipy call per test, and against merely sorting the samples."""

from __future__ import annotations

import numpy as np

from analytics import contrasts, exact, frames, pairs, refresh
from analytics.cells import AGE, SEX, SUBJECTS, CellKey, all_keys
from analytics.study_arrays import StudyArrays
from tests.benchmarks import naive
from tests.benchmarks.stopwatch import MakeTable, Way
from trial import protocol

POPULATION = protocol.Population.TREATED.value
KEYS = [key for key in all_keys() if key.population == POPULATION]


def forget() -> None:
    """Empty what the exact tests remember from the last time."""
    for module in (exact, pairs):
        for entry in vars(module).values():
            if hasattr(entry, "cache_clear"):
                entry.cache_clear()


def sort_every_sample(study: StudyArrays) -> None:
    """Do what no rank test can do without: put each group's numbers of each column in order, once."""
    done = set()
    for key in KEYS:
        if key.analyte in (AGE, SEX, SUBJECTS) or key.over_all_weeks:
            continue
        for group in filter(None, (key.group1, key.group2)):
            where = (key.analyte, key.week_from, key.week_to, group)
            if where not in done:
                done.add(where)
                np.sort(naive._column(study, CellKey(POPULATION, key.measure, group, "", *key[4:]), group))


def test_all_cells(study: int, table: MakeTable) -> None:
    refresh.refresh()
    columns = frames.study()

    def anew() -> None:
        forget()
        columns.memo.clear()

    results = table(f"{len(KEYS)} cells of one population in memory, {study} patients")
    results.measure(
        {
            "one scipy call per test": Way(lambda: naive.compute(columns, KEYS)),
            "cordline, every method": Way(lambda: contrasts.compute(columns, KEYS), anew),
            "cordline, again in a warm process": Way(lambda: contrasts.compute(columns, KEYS)),
            "cordline, all populations": Way(lambda: contrasts.compute(columns), anew),
            "sorting each sample once": Way(lambda: sort_every_sample(columns)),
        }
    )
    results.note("scipy has neither exact tests for ties nor Hodges-Lehmann: it does less than the others")
