"""A worked example: how grouping by the infusions received misleads, and a landmark does not.

Subjects of an invented study whose courses cannot differ in anything: a coin decides
whether four or eight infusions are planned, and nothing that happens depends on it.
Death comes early to the severely ill. Whatever difference a comparison finds is made
by the comparison.

References
----------
J. R. Anderson, K. C. Cain, R. D. Gelber, Journal of Clinical Oncology 1 (1983) 710-719.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analytics import contrasts, statistics
from analytics.cells import CellKey, CellResult
from analytics.choice import ALPHA
from analytics.samples import MISSING, SCALE, Comparison
from analytics.study_arrays import Ended, StudyArrays
from trial import protocol
from trial.protocol import Diagnosis, Measure, Population

SUBJECTS, SEED = 400, 2
ANALYTE = "tbil"
COURSES = (4, 8)
POPULATIONS = (Population.TREATED, Population.LANDMARK)
LATE_SHARE, LATE_DAYS = 0.1, 6
"""How many infusions come late, and by how much: some fifth ones miss the landmark day."""


@dataclass(frozen=True, slots=True)
class Deaths:
    """Deaths until the last visit in the two groups of liver failure, and the chance of so large a difference.

    ``prolonged`` and ``standard`` are (died, subjects).
    """

    prolonged: tuple[int, int]
    standard: tuple[int, int]
    test: Comparison


@dataclass(frozen=True)
class Example:
    """The example both ways: by infusions received, and by infusions until the landmark day."""

    study: StudyArrays
    deaths: dict[Population, Deaths]
    baseline: dict[Population, CellResult]
    intervals: dict[Population, dict[tuple[int, int], CellResult]]


def study(*, subjects: int = SUBJECTS, seed: int = SEED) -> StudyArrays:
    """Return an invented study in which nothing depends on the planned course.

    Parameters
    ----------
    subjects
        How many.
    seed
        Of the generator; the same seed gives the same study.
    """
    luck = np.random.default_rng(seed)
    severity = luck.normal(size=subjects)
    planned = luck.choice(COURSES, size=subjects)
    # weeks from the first infusion to death: soon for a worse liver, hardly ever for a better one
    died_on = 7.0 * 60.0 * luck.exponential(size=subjects) * np.exp(-1.1 * severity)
    late = LATE_DAYS * (luck.random((subjects, max(COURSES))) < LATE_SHARE)
    given_on = 7 * np.arange(max(COURSES)) + late
    given = (np.arange(max(COURSES)) < planned[:, None]) & (given_on < died_on[:, None])
    days = 7.0 * np.asarray(protocol.WEEKS)
    # bilirubin falls in everybody, more slowly the worse the liver; scattered by the laboratory
    level = 5.7 + 0.35 * severity[:, None] - (0.09 - 0.05 * severity[:, None]) * np.sqrt(days) / 1.4
    tbil = np.exp(level + luck.normal(scale=0.18, size=(subjects, days.size)))
    ended = np.where(died_on[:, None] <= days, Ended.DEAD, Ended.NO).astype(np.int8)
    values = np.where(ended == Ended.NO, np.rint(tbil * 10).astype(np.int64) * (SCALE // 10), MISSING)
    return StudyArrays.build(
        subject_ids=[f"EX-{number:03d}" for number in range(1, subjects + 1)],
        diagnosis=[Diagnosis.LIVER_FAILURE.value] * subjects,
        sex=[""] * subjects,
        age=np.full(subjects, MISSING),
        valid_infusions=given.sum(axis=1),
        infusions_by_landmark=(given & (given_on <= protocol.LANDMARK_DAY)).sum(axis=1),
        landmark=died_on >= protocol.LANDMARK_DAY,
        values={ANALYTE: values},
        ended=ended,
    )


def example(study_arrays: StudyArrays | None = None) -> Example:
    """Compare the two courses in both populations with the program's own cells and tests."""
    arrays = study() if study_arrays is None else study_arrays
    deaths, baseline, intervals = {}, {}, {}
    for population in POPULATIONS:
        deaths[population] = _deaths(arrays, population)
        level = CellKey(population.value, Measure.LEVEL.value, "A", "B", ANALYTE, 0, 0)
        keys = {weeks: level._replace(measure=Measure.INTERVAL.value, week_from=weeks[0], week_to=weeks[1])
                for weeks in protocol.INTERVALS}  # fmt: skip
        computed = contrasts.compute(arrays, [level, *keys.values()])
        baseline[population] = computed[level]
        intervals[population] = {weeks: computed[key] for weeks, key in keys.items()}
    return Example(arrays, deaths, baseline, intervals)


def how_often_misled(*, studies: int, subjects: int = SUBJECTS) -> dict[Population, int]:
    """Count the studies, of seeds 1 to ``studies``, whose deaths differ with p below 0.05.

    One in twenty is expected of a fair comparison of courses that do not differ.
    """
    found = dict.fromkeys(POPULATIONS, 0)
    for seed in range(1, studies + 1):
        arrays = study(subjects=subjects, seed=seed)
        for population in POPULATIONS:
            p = _deaths(arrays, population).test.p_value
            found[population] += p is not None and p < ALPHA
    return found


def _deaths(arrays: StudyArrays, population: Population) -> Deaths:
    dead = arrays.ended[:, -1] == Ended.DEAD
    prolonged, standard = (dead[arrays.members(population, group)] for group in ("A", "B"))
    (a, b), (c, d) = ((int(side.sum()), int((~side).sum())) for side in (prolonged, standard))
    return Deaths((a, a + b), (c, c + d), statistics.fisher([[a, b], [c, d]]))
