"""Figures 1 to 5 of the paper as panels of columns: what is drawn, not yet how."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from analytics import paper, paper_words
from analytics.cells import CellKey, CellResult, GroupResult
from analytics.figures import MOST_DOTS
from analytics.paper import PaperData
from trial import marks, protocol, units
from trial.protocol import Measure
from trial.templatetags.cordline import count
from trial.unit_words import unit_said


@dataclass(frozen=True, slots=True)
class Column:
    """One box with its points and what is printed under it.

    Parameters
    ----------
    letter
        The group over the n; empty where the cluster's label says enough.
    points
        (group, value) of each subject; empty when there are too many to draw, or none.
    n, missing, died, transplanted
        Subjects with the value, without it for another reason, dead or transplanted by then.
    not_due
        Subjects whose visit was not over on the day of the results; None where that is not
        known, and they are among the missing.
    pairs
        Subjects with this value and that of week 0, where the column is compared with week 0.
    """

    letter: str
    points: tuple[tuple[str, float], ...]
    n: int
    missing: int
    died: int
    transplanted: int
    q1: float | None
    median: float | None
    q3: float | None
    key: CellKey
    pairs: int | None = None
    not_due: int | None = None


@dataclass(frozen=True, slots=True)
class Cluster:
    """The columns that one p-value compares: two groups, or one week against week 0."""

    label: str
    columns: tuple[Column, ...]
    words: str
    strong: bool
    key: CellKey | None


@dataclass(frozen=True, slots=True)
class Panel:
    """One set of axes."""

    letter: str
    title: str
    axis: str
    clusters: tuple[Cluster, ...]
    has_pairs: bool = False

    @property
    def has_waiting(self) -> bool:
        """Whether those not yet due are told from the missing."""
        return any(column.not_due is not None for cluster in self.clusters for column in cluster.columns)

    @property
    def row_names(self) -> list[str]:
        """The heads of the rows of numbers under the axis."""
        return [
            "n",
            *([_("pairs")] if self.has_pairs else []),
            *([_("not due")] if self.has_waiting else []),
            _("missing"),
            _("died, tx"),
        ]

    def under(self, column: Column) -> list[str]:
        """Return the numbers of a column in the order of :attr:`row_names`."""
        return [
            f"{column.n:,}",
            *(["" if column.pairs is None else f"{column.pairs:,}"] if self.has_pairs else []),
            *([f"{column.not_due or 0:,}"] if self.has_waiting else []),
            f"{column.missing:,}",
            f"{column.died}, {column.transplanted}",
        ]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not any(column.n for cluster in self.clusters for column in cluster.columns)


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure of the paper.

    Parameters
    ----------
    number
        1 to 5.
    title
        Its first sentence, without a full stop.
    caption
        The sentences after it.
    groups
        Groups whose points it shows, for the legend.
    panels
        In reading order.
    provenance
        Revision, date and population: printed inside the picture.
    """

    number: int
    title: str
    caption: tuple[str, ...]
    groups: tuple[str, ...]
    panels: tuple[Panel, ...]
    provenance: str

    @property
    def name(self) -> str:
        """The number in words: ``Figure 4``."""
        return _("Figure %(number)s") % {"number": self.number}

    @property
    def stem(self) -> str:
        """The first part of its file names."""
        return f"figure{self.number}"


def pictures(data: PaperData) -> tuple[Picture, ...]:
    """Return the five figures of the paper."""
    return (
        _by_week(data, 1, "LF", _("Liver failure")),
        _by_week(data, 2, "LC", _("Liver cirrhosis")),
        _by_diagnosis(data),
        _by_pairs(data, 4, (("A", "B"), ("C", "D")), (_("Liver failure"), _("Liver cirrhosis"))),
        _by_pairs(data, 5, (("A", "C"), ("B", "D")), (_("More than 4 infusions"), _("4 or fewer infusions"))),
    )


# --- the five figures -----------------------------------------------------------------------


def _by_week(data: PaperData, number: int, stratum: str, where: str) -> Picture:
    panels = []
    for letter, code in zip("abcde", paper.LEVELS, strict=True):
        clusters = []
        for week in protocol.WEEKS:
            key, level = data.cell(Measure.LEVEL, (stratum, ""), code, (week, week))
            change_key, change = data.cell(Measure.CUMULATIVE, (stratum, ""), code, (paper.FIRST, week))
            first = week == paper.FIRST
            pairs = None if first else (change.group1.n if change.group1 else 0)
            column = _column(data, "", stratum, code, Measure.LEVEL, key, level.group1, pairs)
            words, strong = ("", False) if first else _p_words(change)
            clusters.append(Cluster(f"W{week}", (column,), words, strong, None if first else change_key))
        panels.append(Panel(letter, paper.name_of(code), _axis(code), tuple(clusters), has_pairs=True))
    named = marks.listed(
        f"{p.letter} {paper.name_of(code)}" for p, code in zip(panels, paper.LEVELS, strict=True)
    )
    return Picture(
        number,
        _("%(where)s: observed values by week against week 0") % {"where": where},
        (
            named + marks.stop(),
            *_reading(data, panels),
            _("n, subjects with a value; pairs, subjects who also have one at week 0;"),
            _("P, two-sided, each week against week 0 within these pairs, not adjusted:"),
            _tests(data, panels),
            _("There is no untreated group: a change against week 0 is not evidence of a cause."),
            *_missing(data),
        ),
        protocol.STRATA[stratum],
        tuple(panels),
        paper.provenance(data),
    )


def _by_diagnosis(data: PaperData) -> Picture:
    panel = _paired(data, "", _("Decrease per interval"), paper.DIAGNOSES, Measure.INTERVAL)
    return Picture(
        3,
        _(
            "Observed decrease in total bilirubin (TBIL) between visits, liver failure (LF) and liver cirrhosis (LC)"
        ),
        (
            *_reading(data, [panel]),
            *_compared(data, [panel]),
            _("Baseline differs by definition between LF and LC; the comparison is not adjusted for it."),
            *_missing(data),
        ),
        protocol.GROUP_CODES,
        (panel,),
        paper.provenance(data),
    )


def _by_pairs(
    data: PaperData, number: int, pairs: Sequence[tuple[str, str]], where: Sequence[str]
) -> Picture:
    panels, letters = [], iter("abcd")
    for pair, place in zip(pairs, where, strict=True):
        for measure, title in (
            (Measure.INTERVAL, _("%(where)s: per interval") % {"where": place}),
            (Measure.CUMULATIVE, _("%(where)s: cumulative") % {"where": place}),
        ):
            panels.append(_paired(data, next(letters), title, pair, measure))
    (one, two), (three, four) = pairs
    return Picture(
        number,
        _("Observed decrease in total bilirubin (TBIL) between visits, and since week 0"),
        (
            _("a, b Groups %(one)s and %(two)s; c, d groups %(three)s and %(four)s.")
            % {"one": one, "two": two, "three": three, "four": four},
            *_reading(data, panels),
            *_compared(data, panels),
            _("Groups are defined after baseline by the infusions given: the comparison is an association."),
            *_missing(data),
        ),
        protocol.GROUP_CODES,
        tuple(panels),
        paper.provenance(data),
    )


# --- panels and columns ---------------------------------------------------------------------


def _paired(data: PaperData, letter: str, title: str, pair: tuple[str, str], measure: Measure) -> Panel:
    code = paper.BILIRUBIN
    clusters = []
    for span in protocol.cells_of(measure):
        key, result = data.cell(measure, pair, code, span)
        words, strong = _p_words(result)
        columns = tuple(
            _column(data, stratum, stratum, code, measure, key, group, None)
            for stratum, group in zip(pair, (result.group1, result.group2), strict=True)
        )
        clusters.append(Cluster(f"W{span[0]}\N{EN DASH}{span[1]}", columns, words, strong, key))
    unit = unit_said(protocol.unit_of(code))
    axis = (
        _("Decrease in TBIL, %(unit)s")
        if measure is Measure.INTERVAL
        else _("Cumulative decrease in TBIL, %(unit)s")
    )
    return Panel(letter, title, axis % {"unit": unit}, tuple(clusters))


def _column(
    data: PaperData,
    letter: str,
    stratum: str,
    code: str,
    measure: Measure,
    key: CellKey,
    group: GroupResult | None,
    pairs: int | None,
) -> Column:
    waiting = data.not_due(stratum, code, (key.week_from, key.week_to))
    if group is None or group.n == 0:
        size = group.size if group else 0
        died, moved = (group.died, group.transplanted) if group else (0, 0)
        missing = size - died - moved - (waiting or 0)
        return Column(letter, (), 0, missing, died, moved, None, None, None, key, pairs, waiting)
    points = data.points(stratum, code, measure, (key.week_from, key.week_to))
    s = group.summary
    return Column(
        letter,
        points if len(points) <= MOST_DOTS and len(points) == s.n else (),
        s.n,
        group.size - s.n - group.died - group.transplanted - (waiting or 0),
        group.died,
        group.transplanted,
        s.q1,
        s.median,
        s.q3,
        key,
        pairs,
        waiting,
    )


def _p_words(result: CellResult) -> tuple[str, bool]:
    if result.p_value is None:
        # the n below the axis says how many there are
        return re.split(r"\s*[(（]", paper_words.why_not(result))[0], False
    return paper_words.p_text(result.p_value), paper_words.significant(result.p_value)


def _axis(code: str) -> str:
    unit = protocol.unit_of(code)
    name = paper.name_of(code)
    return name if unit in ("ratio", "points") else f"{name}{marks.comma()}{units.symbol(unit)}"


# --- captions -------------------------------------------------------------------------------


def _reading(data: PaperData, panels: Sequence[Panel]) -> tuple[str, ...]:
    columns = [column for panel in panels for cluster in panel.clusters for column in cluster.columns]
    boxes = _("Boxes, quartiles (weighted average, type 6); thick line, median.")
    if any(column.points for column in columns):
        return _("One point is one subject; a triangle lies beyond the axis."), boxes
    if data.stamp.behind:
        return _("Points are left out: the data are newer than these results."), boxes
    return (boxes,)


def _compared(data: PaperData, panels: Sequence[Panel]) -> tuple[str, ...]:
    return (
        _("A value below zero is a rise."),
        _("n, subjects with both values;"),
        _("P, two-sided, not adjusted:"),
        _tests(data, panels),
    )


def _tests(data: PaperData, panels: Sequence[Panel]) -> str:
    used: dict[str, int] = {}
    for panel in panels:
        for cluster in panel.clusters:
            method = data.cells[cluster.key].method if cluster.key and cluster.key in data.cells else ""
            if method:
                used[method] = used.get(method, 0) + 1
    if not used:
        return _("no test could be done.")
    words = marks.listed(
        f"{paper_words.test_name(method)} ({count(times)})" for method, times in used.items()
    )
    return _("%(tests)s; bold, P < 0.05.") % {"tests": words}


def _missing(data: PaperData) -> tuple[str, ...]:
    if data.study is not None and data.courses is not None:
        return (
            _("Not due, visit to come or its window open on the day of the results;"),
            _("missing, no value of a visit that is over;"),
            _("died, tx, subjects dead or transplanted by that visit."),
        )
    return (
        _(
            "Missing, value absent or visit not yet due; died, tx, subjects dead or transplanted by that visit."
        ),
    )
