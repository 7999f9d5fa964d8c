"""One cell of the analysis: its key, its result, and how both stand in files and in the database.

A cell is one quantity, one measure and one pair of weeks in one group or between
two. Its key names it; its result says what was done, on whom, and why.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

from analytics.samples import Normality, Sentence, Summary
from analytics.statistics import Comparison, benjamini_hochberg, holm
from trial import protocol
from trial.protocol import Measure, Population

AGE, SEX, SUBJECTS = "age", "sex", "subjects"
EVERYBODY = "ALL"
FIRST, LAST = protocol.WEEKS[0], protocol.WEEKS[-1]

Cell = str | int | float | None
"""What one field of an exported row holds."""


class CellKey(NamedTuple):
    """Names a cell.

    Attributes
    ----------
    population
        ``eligible``, ``treated`` or ``landmark``.
    measure
        ``baseline``, ``level``, ``interval`` or ``cumulative``.
    group1, group2
        A stratum of :data:`trial.protocol.STRATA`; ``group2`` is empty within a group.
    analyte
        A code of :data:`trial.protocol.MEASURED`, or ``age``, ``sex``, ``subjects`` at baseline.
    week_from, week_to
        Equal for a level. A level from the first to the last week is Friedman's test
        over all weeks.
    """

    population: str
    measure: str
    group1: str
    group2: str
    analyte: str
    week_from: int
    week_to: int

    @property
    def between(self) -> bool:
        """Whether two groups are compared."""
        return bool(self.group2)

    @property
    def over_all_weeks(self) -> bool:
        """Whether this is the comparison of all weeks within a group."""
        return self.measure == Measure.LEVEL and self.week_from != self.week_to

    @property
    def omnibus(self) -> bool:
        """Whether the four groups are compared at once: everybody, at one time."""
        return self.group1 == EVERYBODY and self.measure in _AT_ONE_TIME and not self.over_all_weeks

    @property
    def weeks(self) -> tuple[int, ...]:
        """The weeks whose values the cell needs."""
        if self.over_all_weeks:
            return protocol.WEEKS
        return tuple(dict.fromkeys((self.week_from, self.week_to)))


_AT_ONE_TIME = (Measure.LEVEL, Measure.BASELINE)


@lru_cache(maxsize=1)
def all_keys() -> tuple[CellKey, ...]:
    """Return every cell of the study, in the order in which they are listed and exported."""
    return tuple(_keys())


def _keys() -> Iterator[CellKey]:
    within = [(stratum, "") for stratum in protocol.STRATA]
    pairs = [*within, *protocol.CONTRASTS]
    for population in Population:
        p = population.value
        base = Measure.BASELINE.value
        for stratum, nobody in within:
            yield CellKey(p, base, stratum, nobody, SUBJECTS, FIRST, FIRST)
        for code in (AGE, SEX):
            for group1, group2 in pairs:
                yield CellKey(p, base, group1, group2, code, FIRST, FIRST)
        for code in protocol.MEASURED:
            for measure in (Measure.LEVEL, Measure.INTERVAL, Measure.CUMULATIVE):
                for group1, group2 in pairs:
                    for start, end in protocol.cells_of(measure):
                        yield CellKey(p, measure.value, group1, group2, code, start, end)
            for stratum, nobody in within:
                yield CellKey(p, Measure.LEVEL.value, stratum, nobody, code, FIRST, LAST)


# --- results --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GroupResult:
    """One group of a cell: how many there are, how many count, and where the others went.

    ``size = summary.n + died + transplanted + not_due + missing``. For ``sex`` the
    summary's mean is the percentage of men.
    """

    size: int
    died: int
    transplanted: int
    not_due: int
    missing: int
    censored: int
    summary: Summary
    normality: Normality | None = None

    @property
    def n(self) -> int:
        """Subjects that count: with a value, or with both values of a difference."""
        return self.summary.n


@dataclass(frozen=True, slots=True)
class CellResult:
    """What a cell says.

    Parameters
    ----------
    group1, group2
        The groups; ``group2`` is absent within a group, both when the cell failed.
    method
        The test that the paper's rule selects; empty when there is none.
    reason
        Why that one.
    statistic, p_value, estimate, ci_low, ci_high
        Of the selected test; a rank test takes its estimate and interval from Hodges and Lehmann.
    tests
        Every test of the cell, selected or not, done or not.
    notes
        What a reader has to know: why nothing was tested, who could not be observed, values at a limit.
    p_holm, holm_size, p_bh, bh_size
        Adjusted p-values and the number of p-values they were adjusted for (:func:`adjust`).
    """

    group1: GroupResult | None = None
    group2: GroupResult | None = None
    method: str = ""
    reason: Sentence | None = None
    statistic: float | None = None
    p_value: float | None = None
    estimate: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    tests: tuple[Comparison, ...] = ()
    notes: tuple[Sentence, ...] = ()
    p_holm: float | None = None
    holm_size: int = 0
    p_bh: float | None = None
    bh_size: int = 0

    @property
    def note(self) -> str:
        """The notes as one line of English."""
        return "; ".join(str(note) for note in self.notes)

    def test(self, method: str) -> Comparison | None:
        """Return one of the tests by its name."""
        return next((test for test in self.tests if test.method == method), None)


# --- multiplicity ---------------------------------------------------------------------------


def adjust(results: Mapping[CellKey, CellResult]) -> dict[CellKey, CellResult]:
    """Adjust the p-values of the selected tests for how many there are.

    Parameters
    ----------
    results
        All cells of the study; a cell without a p-value belongs to no family.

    Returns
    -------
    dict
        The same cells. ``p_holm`` is adjusted within one quantity over its weeks
        (population, measure, groups, analyte), ``p_bh`` over all quantities
        (population, measure, groups). The comparisons of all weeks at once form
        families of their own.
    """
    narrow: dict[tuple[object, ...], list[CellKey]] = {}
    wide: dict[tuple[object, ...], list[CellKey]] = {}
    for key, result in results.items():
        if result.p_value is not None:
            family = (
                key.population,
                key.measure,
                key.group1,
                key.group2,
                key.over_all_weeks,
            )
            wide.setdefault(family, []).append(key)
            narrow.setdefault((*family, key.analyte), []).append(key)
    by_holm = _adjusted(results, narrow.values(), holm)
    by_bh = _adjusted(results, wide.values(), benjamini_hochberg)
    adjusted = {}
    for key, result in results.items():
        p_holm, holm_size = by_holm.get(key, (None, 0))
        p_bh, bh_size = by_bh.get(key, (None, 0))
        now = (p_holm, holm_size, p_bh, bh_size)
        if now != (result.p_holm, result.holm_size, result.p_bh, result.bh_size):
            adjusted[key] = replace(result, p_holm=p_holm, holm_size=holm_size, p_bh=p_bh, bh_size=bh_size)
        else:
            adjusted[key] = result
    return adjusted


def _adjusted(
    results: Mapping[CellKey, CellResult],
    families: Iterable[list[CellKey]],
    method: Any,
) -> dict[CellKey, tuple[float, int]]:
    found: dict[CellKey, tuple[float, int]] = {}
    for keys in families:
        p_values = [results[key].p_value for key in keys]
        for key, p_value in zip(keys, method(p_values), strict=True):
            found[key] = (p_value, len(keys))
    return found


# --- rows of the exports --------------------------------------------------------------------

KEY_COLUMNS = ("population", "measure", "group1", "group2", "analyte", "unit", "week_from", "week_to")
_OF_GROUP = (
    "mean{}",
    "sd{}",
    "median{}",
    "q1_{}",
    "q3_{}",
    "min{}",
    "max{}",
    "shapiro_w{}",
    "shapiro_p{}",
)

CELLS_COLUMNS: tuple[str, ...] = (
    *KEY_COLUMNS, "n1", "n2", "missing1", "missing2",
    *(name.format(1) for name in _OF_GROUP), *(name.format(2) for name in _OF_GROUP),
    "method", "statistic", "p_value", "p_holm", "p_bh", "estimate", "ci_low", "ci_high", "revision", "note",
)  # fmt: skip
TESTS_COLUMNS: tuple[str, ...] = (
    *KEY_COLUMNS, "method", "statistic", "estimate", "ci_low", "ci_high", "p_value",
)  # fmt: skip


def cells_row(key: CellKey, result: CellResult, revision: int | None = None) -> tuple[Cell, ...]:
    """Return the row of the ``cells`` export, in the order of :data:`CELLS_COLUMNS`.

    ``missing`` counts every member of the group without the value, whatever the
    cause; the note says how many of them died, were transplanted or were not yet due.
    """
    one, two = result.group1, result.group2
    return (
        *_key_fields(key),
        one.n if one else None,
        two.n if two else None,
        one.size - one.n if one else None,
        two.size - two.n if two else None,
        *_group_fields(one),
        *_group_fields(two),
        result.method or None,
        result.statistic,
        result.p_value,
        result.p_holm,
        result.p_bh,
        result.estimate,
        result.ci_low,
        result.ci_high,
        revision,
        result.note or None,
    )


def _key_fields(key: CellKey) -> tuple[Cell, ...]:
    return (*key[:5], protocol.unit_of(key.analyte), key.week_from, key.week_to)


def _group_fields(group: GroupResult | None) -> tuple[Cell, ...]:
    if group is None:
        return (None,) * len(_OF_GROUP)
    s, normality = group.summary, group.normality
    w, p = (normality.w, normality.p_value) if normality else (None, None)
    return (s.mean, s.sd, s.median, s.q1, s.q3, s.minimum, s.maximum, w, p)


def tests_rows(key: CellKey, result: CellResult) -> Iterator[tuple[Cell, ...]]:
    """Yield the rows of the ``tests`` export: one for each test that was done."""
    for test in result.tests:
        if test.done:
            yield (
                *_key_fields(key),
                test.method,
                test.statistic,
                test.estimate,
                test.ci_low,
                test.ci_high,
                test.p_value,
            )


# --- in the database ------------------------------------------------------------------------


def as_json(result: CellResult) -> dict[str, Any]:
    """Return the result as JSON types; floats survive unchanged because JSON writes their repr.

    Lists stand for the records inside, so that thousands of cells stay small.
    """
    return {
        "groups": [_group_as_json(group) for group in (result.group1, result.group2)],
        "method": result.method,
        "reason": _said_as_json(result.reason),
        "selected": [
            result.statistic,
            result.p_value,
            result.estimate,
            result.ci_low,
            result.ci_high,
        ],
        "adjusted": [result.p_holm, result.holm_size, result.p_bh, result.bh_size],
        "tests": [_test_as_json(test) for test in result.tests],
        "notes": [_said_as_json(note) for note in result.notes],
    }


def from_json(stored: Mapping[str, Any]) -> CellResult:
    """Return the result that :func:`as_json` wrote."""
    group1, group2 = (_group_from_json(group) for group in stored["groups"])
    statistic, p_value, estimate, ci_low, ci_high = (_float(x) for x in stored["selected"])
    p_holm, holm_size, p_bh, bh_size = stored["adjusted"]
    return CellResult(
        group1=group1,
        group2=group2,
        method=stored["method"],
        reason=_said_from_json(stored["reason"]),
        statistic=statistic,
        p_value=p_value,
        estimate=estimate,
        ci_low=ci_low,
        ci_high=ci_high,
        tests=tuple(_test_from_json(test) for test in stored["tests"]),
        notes=tuple(note for note in map(_said_from_json, stored["notes"]) if note is not None),
        p_holm=_float(p_holm),
        holm_size=int(holm_size),
        p_bh=_float(p_bh),
        bh_size=int(bh_size),
    )


def tests_done(stored: Mapping[str, Any]) -> int:
    """Return how many rows :func:`tests_rows` makes of a stored result."""
    return sum(_test_from_json(test).done for test in stored["tests"])


def _float(number: Any) -> float | None:
    # jsonb writes 1e16 as an integer, so what comes back is not always a float
    return None if number is None else float(number)


def _said_as_json(sentence: Sentence | None) -> list[Any] | None:
    return None if sentence is None else [sentence.text, *([name, value] for name, value in sentence.values)]


def _said_from_json(stored: Sequence[Any] | None) -> Sentence | None:
    return None if stored is None else Sentence(stored[0], tuple((name, value) for name, value in stored[1:]))


def _group_as_json(group: GroupResult | None) -> list[Any] | None:
    if group is None:
        return None
    s, normality = group.summary, group.normality
    return [
        [
            group.size,
            group.died,
            group.transplanted,
            group.not_due,
            group.missing,
            group.censored,
        ],
        [s.n, s.mean, s.sd, s.median, s.q1, s.q3, s.minimum, s.maximum],
        normality
        and [
            normality.n,
            normality.w,
            normality.p_value,
            _said_as_json(normality.note),
        ],
    ]


_COUNTS = ("size", "died", "transplanted", "not_due", "missing", "censored")


def _group_from_json(stored: Sequence[Any] | None) -> GroupResult | None:
    if stored is None:
        return None
    counts, (n, *summary), normality = stored
    return GroupResult(
        **dict(zip(_COUNTS, (int(count) for count in counts), strict=True)),
        summary=Summary(int(n), *(_float(x) for x in summary)),
        normality=normality
        and Normality(
            w=_float(normality[1]),
            p_value=_float(normality[2]),
            n=int(normality[0]),
            note=_said_from_json(normality[3]),
        ),
    )


def _test_as_json(test: Comparison) -> list[Any]:
    return [
        test.method,
        [test.n1, test.n2],
        [
            test.statistic,
            test.df,
            test.estimate,
            test.ci_low,
            test.ci_high,
            test.p_value,
        ],
        _said_as_json(test.note),
    ]


def _test_from_json(stored: Sequence[Any]) -> Comparison:
    method, (n1, n2), numbers, note = stored
    statistic, df, estimate, ci_low, ci_high, p_value = (_float(x) for x in numbers)
    return Comparison(
        method=method,
        n1=int(n1),
        n2=None if n2 is None else int(n2),
        statistic=statistic,
        df=df,
        estimate=estimate,
        ci_low=ci_low,
        ci_high=ci_high,
        p_value=p_value,
        note=_said_from_json(note),
    )
