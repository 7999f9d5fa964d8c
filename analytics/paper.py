"""The numbers of the paper: the stored cells its tables and figures print, as of one run.

Nothing is computed here. Tables, figures and the methods paragraph all read one
:class:`PaperData`, so that they cannot disagree with each other or with the ``cells``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _

from analytics import followed, frames, selectors, whereabouts
from analytics.cells import AGE, SEX, SUBJECTS, CellKey, CellResult
from analytics.landmark import FollowedSubject
from analytics.samples import MISSING
from analytics.study_arrays import StudyArrays, places_of
from trial import marks, protocol, synthetic_label
from trial.protocol import Measure, Population
from trial.templatetags.cordline import count

MELD = protocol.DEFAULT_SCORE
LEVELS: tuple[str, ...] = ("alt", "ast", "tbil", "pta", MELD)
"""What the paper follows week by week (Figures 1 and 2)."""
CHANGES: tuple[str, ...] = ("alt", "ast", "pta", MELD)
"""What Tables 3 and 4 compare; total bilirubin has figures of its own."""
BILIRUBIN = protocol.PRIMARY_ANALYTE
PAIRS = protocol.CONTRASTS[:4]
DIAGNOSES: tuple[str, str] = ("LF", "LC")
FIRST = protocol.BASELINE_WEEK


@dataclass(frozen=True, slots=True)
class Stamp:
    """Where the numbers come from.

    Parameters
    ----------
    revision
        Revision of the data that the results belong to; 0 before the first run.
    made_on
        The day they were computed, or None before the first run.
    population
        Whom they are about.
    synthetic
        Whether no real patient is in the study.
    code_version
        The release that computed them.
    behind
        Revisions of the data that they do not include.
    """

    revision: int
    made_on: date | None
    population: Population
    synthetic: bool
    code_version: str
    behind: int = 0


@dataclass(frozen=True, eq=False)
class PaperData:
    """The cells of the paper set and the values behind the points of its figures.

    ``study`` is absent when the data are newer than the results: points of another
    revision than the boxes around them would mislead, so none are drawn. ``courses``
    tells whose visits were still to come on the day of the results.
    """

    stamp: Stamp
    cells: Mapping[CellKey, CellResult]
    study: StudyArrays | None = None
    run: int = 0
    courses: Mapping[str, FollowedSubject] | None = None
    memo: dict[object, object] = field(default_factory=dict, init=False, repr=False)

    def cell(
        self, measure: Measure, groups: tuple[str, str], analyte: str, span: tuple[int, int]
    ) -> tuple[CellKey, CellResult]:
        """Return a cell by what it is; an empty result where nothing is stored."""
        key = CellKey(self.stamp.population.value, measure.value, *groups, analyte, *span)
        return key, self.cells.get(key, CellResult())

    def subjects(self, stratum: str) -> int:
        """Return how many subjects a stratum has in the population."""
        _key, result = self.cell(Measure.BASELINE, (stratum, ""), SUBJECTS, (FIRST, FIRST))
        return result.group1.n if result.group1 else 0

    def not_due(self, stratum: str, analyte: str, span: tuple[int, int]) -> int | None:
        """Return who lacks a value only because the visit was not over on the day of the results.

        None while that is not known; such subjects are among the missing then.
        """
        study, day = self.study, self.stamp.made_on
        if study is None or day is None or self.courses is None:
            return None
        key = ("whereabouts", analyte)
        if key not in self.memo:
            self.memo[key] = whereabouts.statuses(study, analyte, self.courses, day)
        found: Any = self.memo[key]
        return whereabouts.not_due(found, study.members(self.stamp.population, stratum), span)

    def points(
        self, stratum: str, analyte: str, measure: Measure, span: tuple[int, int]
    ) -> tuple[tuple[str, float], ...]:
        """Return (group, value) of every subject with the value, in the order of the subjects' codes."""
        study = self.study
        if study is None or analyte not in study.values:
            return ()
        members = study.members(self.stamp.population, stratum)
        groups = study.groups(self.stamp.population)[members]
        start, end = (protocol.WEEKS.index(week) for week in span)
        both = study.values[analyte][members][:, [start, end]]
        complete = (both != MISSING).all(axis=1)
        scale = 10.0 ** places_of(analyte)
        found = []
        for group, (a, b) in zip(groups[complete].tolist(), both[complete].tolist(), strict=True):
            value = a if measure is Measure.LEVEL else a - b
            found.append((protocol.GROUP_CODES[group], value / scale))
        return tuple(found)


def read(population: Population) -> PaperData:
    """Read what the paper set prints, as of the newest run; call it inside one snapshot of the database."""
    run, fresh = selectors.latest_run(), selectors.freshness()
    stamp = Stamp(
        revision=run.revision if run else 0,
        made_on=timezone.localdate(run.finished_at) if run else None,
        population=population,
        synthetic=synthetic_label.is_on(),
        code_version=run.code_version if run else settings.CODE_VERSION,
        behind=fresh.behind,
    )
    if run is None:
        return PaperData(stamp, {})
    seconds = {pair[1] for pair in PAIRS}
    filters: tuple[dict[str, Any], ...] = (
        {"measure": Measure.BASELINE.value, "analyte__in": (AGE, SEX, SUBJECTS)},
        {"measure": Measure.LEVEL.value, "group2__in": seconds, "week_from": FIRST, "week_to": FIRST},
        {
            "measure__in": (Measure.LEVEL.value, Measure.CUMULATIVE.value),
            "group1__in": DIAGNOSES,
            "group2": "",
            "analyte__in": LEVELS,
        },
        {
            "measure": Measure.INTERVAL.value,
            "group2__in": {*seconds, DIAGNOSES[1]},
            "analyte__in": (*CHANGES, BILIRUBIN),
        },
        {"measure": Measure.CUMULATIVE.value, "group2__in": seconds, "analyte": BILIRUBIN},
    )
    cells: dict[CellKey, CellResult] = {}
    for asked in filters:
        cells.update(selectors.current_cells(run=run, population=population.value, **asked))
    study, courses = None, None
    if not fresh.behind and any(result.group1 and result.group1.size for result in cells.values()):
        study, courses = frames.study(codes=list(LEVELS)), followed.everybody()
    return PaperData(stamp, cells, study, run.pk, courses)


# --- words ----------------------------------------------------------------------------------


def name_of(analyte: str) -> str:
    """Return the short name of a quantity as the paper prints it."""
    return "MELD" if analyte == MELD else _(protocol.label_of(analyte))


def week_words(span: tuple[int, int]) -> str:
    """Return weeks as the paper writes them: ``W4–W12``, ``W4``."""
    start, end = span
    return f"W{start}" if start == end else f"W{start}\N{EN DASH}W{end}"


def population_words(stamp: Stamp) -> str:
    """Return the population's short name in the language of the reader."""
    return {
        Population.ELIGIBLE: _("eligible population"),
        Population.TREATED: _("treated population"),
        Population.LANDMARK: _("landmark population, day 28"),
    }[stamp.population]


def provenance(data: PaperData) -> str:
    """Return the line that no table or figure leaves the house without."""
    stamp = data.stamp
    words = [
        _("Revision %(revision)s, %(day)s")
        % {"revision": count(stamp.revision), "day": stamp.made_on.isoformat()}
        if stamp.made_on
        else _("Not computed yet"),
        _("%(population)s, n = %(n)s")
        % {"population": population_words(stamp), "n": count(data.subjects("ALL"))},
    ]
    if stamp.synthetic:
        words.append(_("Synthetic data"))
    return marks.semicolon().join(words) + marks.stop()
