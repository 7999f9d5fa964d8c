"""What the page of a contrast is asked, and where its numbers come from.

The comparisons of the protocol are stored cells. Two switches ask for others:
without the draws soon after plasma, and the landmark among those who met the
criteria. Those are computed when they are asked for, from the data as they stand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from django.db import connection

from analytics import contrasts, followed, frames, selectors, sensitivity
from analytics.cells import CellKey, CellResult, adjust
from analytics.study_arrays import StudyArrays
from trial import protocol
from trial.protocol import Measure, Population

Cells = Mapping[tuple[int, int], tuple[CellKey, CellResult]]
"""Cells of one quantity by their weeks."""


@dataclass(frozen=True, slots=True)
class Question:
    """One contrast of one quantity, among whom, grouped how, and with which draws."""

    pair: tuple[str, str]
    analyte: str
    measure: Measure
    population: Population = Population.TREATED
    at_landmark: bool = False
    without_plasma: bool = False

    @property
    def grouping(self) -> Population:
        """The population of the cells."""
        return Population.LANDMARK if self.at_landmark else self.population

    @property
    def is_stored(self) -> bool:
        """Whether the worker computes it after every revision."""
        return not self.without_plasma and not (self.at_landmark and self.population is Population.ELIGIBLE)

    @property
    def query(self) -> str:
        """The switches as they stand in an address, without those at rest."""
        parts = []
        if self.population is not Population.TREATED:
            parts.append(f"population={self.population.value}")
        if self.at_landmark:
            parts.append("grouping=landmark")
        if self.without_plasma:
            parts.append("plasma=out")
        return "&".join(parts)

    def key(self, group1: str, group2: str, span: tuple[int, int], analyte: str = "") -> CellKey:
        """Return the key of a cell of this question."""
        return CellKey(
            self.grouping.value, self.measure.value, group1, group2, analyte or self.analyte, *span
        )


def study_of(question: Question, *, every_quantity: bool = False) -> StudyArrays:
    """Return the data as they stand, changed as the question wants them."""
    whole = every_quantity or not question.is_stored
    study = frames.study(connection, codes=None if whole else [question.analyte])
    if question.at_landmark and question.population is Population.ELIGIBLE:
        study = replace(study, landmark=study.landmark & study.eligible)
    if question.without_plasma:
        study = sensitivity.masked(study, followed.after_plasma_mask(study))
    return study


def cells_of(
    question: Question, study: StudyArrays, group1: str, group2: str, measure: Measure | None = None
) -> Cells:
    """Return the cells of the question's quantity for two groups, or one, with adjusted p-values."""
    asked = question if measure is None else replace(question, measure=measure)
    if asked.is_stored:
        found = selectors.current_cells(
            population=asked.grouping.value,
            measure=asked.measure.value,
            group1=group1,
            group2=group2,
            analyte=asked.analyte,
        )
        return {(key.week_from, key.week_to): (key, result) for key, result in found}
    # the false discovery rate looks at all quantities, so all of them are compared again
    family = [
        asked.key(group1, group2, span, analyte)
        for analyte in protocol.MEASURED
        for span in protocol.cells_of(asked.measure)
    ]
    adjusted = adjust(contrasts.compute(study, family))
    return {
        (key.week_from, key.week_to): (key, result)
        for key, result in adjusted.items()
        if key.analyte == asked.analyte
    }


def landmark_beside(question: Question) -> dict[Population, Cells]:
    """Return the interval cells of a quantity as treated and at the landmark, for those after the landmark."""
    found: dict[Population, dict[tuple[int, int], tuple[CellKey, CellResult]]] = {
        Population.TREATED: {},
        Population.LANDMARK: {},
    }
    group1, group2 = question.pair
    for key, result in selectors.current_cells(
        population__in=tuple(population.value for population in found),
        measure=Measure.INTERVAL.value,
        group1=group1,
        group2=group2,
        analyte=question.analyte,
    ):
        if not before_courses_differ((key.week_from, key.week_to)):
            found[Population(key.population)][key.week_from, key.week_to] = (key, result)
    return {population: dict(cells) for population, cells in found.items()}


def before_courses_differ(span: tuple[int, int]) -> bool:
    """Return whether a span ends before the courses can differ: everybody is treated alike until then."""
    return span[1] <= protocol.COURSES[protocol.Course.STANDARD]
