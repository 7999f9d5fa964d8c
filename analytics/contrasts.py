"""All comparisons of the study, from arrays to cells.

:func:`compute` fills cells, :func:`adjust` corrects their p-values for how many there
are, :func:`digest` tells whether a cell would come out the same. What several cells
share - a column of differences, its order, its Shapiro-Wilk - is computed once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np

from analytics import choice
from analytics.cells import (
    AGE,
    CELLS_COLUMNS,
    SEX,
    SUBJECTS,
    TESTS_COLUMNS,
    CellKey,
    CellResult,
    GroupResult,
    adjust,
    all_keys,
    as_json,
    cells_row,
    from_json,
    tests_rows,
)
from analytics.samples import (
    MISSING,
    NO_DATA,
    Comparison,
    Ints,
    Normality,
    Sample,
    Sentence,
    Summary,
    _,
    rounded_to_scale,
    say,
    scaled,
)
from analytics.study_arrays import SCORE_PLACES, Bools, Ended, StudyArrays, places_of
from trial import protocol

__all__ = [
    "CELLS_COLUMNS", "MISSING", "SCORE_PLACES", "TESTS_COLUMNS", "CellKey", "CellResult", "Comparison", "Ended",
    "GroupResult", "Normality", "Sentence", "StudyArrays", "Summary", "adjust", "all_keys", "as_json", "cells_row",
    "compute", "digest", "digests", "from_json", "places_of", "scaled", "tests_rows",
]  # fmt: skip

METHODS_VERSION = 1
"""Part of every digest: a new number makes every stored cell be computed again."""

FAILED = _("failed: {analyte}, {weeks}: {error}")
NOT_OBSERVABLE = _("group {group}: {died} died, {transplanted} transplanted, {not_due} not yet due")
AT_A_LIMIT = _("group {group}: {censored} at a detection limit, entered as the limit")


def compute(study: StudyArrays, keys: Iterable[CellKey] | None = None) -> dict[CellKey, CellResult]:
    """Compute cells.

    Parameters
    ----------
    study
        The study as arrays.
    keys
        Which cells; all of them when absent.

    Returns
    -------
    dict
        One result per key, in the order given, its p-value not yet adjusted (:func:`adjust`).
        Where a cell raises, its note names the analyte, the weeks and the error,
        and the other cells are computed all the same.
    """
    desk = _Desk(study)
    results = {}
    for key in all_keys() if keys is None else keys:
        try:
            results[key] = desk.cell(key)
        except Exception as error:  # noqa: BLE001 - one poisonous column must not block the others
            results[key] = CellResult(notes=(_failure(key, error),))
    return results


def _failure(key: CellKey, error: Exception) -> Sentence:
    weeks = "W" + "-".join(str(week) for week in dict.fromkeys((key.week_from, key.week_to)))
    words = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return say(FAILED, analyte=protocol.label_of(key.analyte), weeks=weeks, error=words)


# --- the desk -------------------------------------------------------------------------------

Where = tuple[str, int, int]
"""A column: quantity, week from, week to. Equal weeks mean the value itself."""


@dataclass(frozen=True, slots=True)
class _Column:
    """One number per subject: a value, or a difference earlier - later."""

    numbers: Ints
    present: Bools
    ended_from: np.ndarray[tuple[int, ...], np.dtype[np.int8]]
    ended_to: np.ndarray[tuple[int, ...], np.dtype[np.int8]]
    censored: Bools | None


@dataclass(frozen=True, slots=True)
class _Group:
    """A stratum of a population; two with the same members have the same ``number``."""

    code: str
    number: int
    rows: Ints


@dataclass
class _Desk:
    """Work in progress over one study: whatever two cells share is kept here."""

    study: StudyArrays
    numbers: dict[bytes, int] = field(default_factory=dict)
    groups: dict[tuple[str, str], _Group] = field(default_factory=dict)
    columns: dict[Where, _Column] = field(default_factory=dict)
    samples: dict[tuple[Where, int], tuple[GroupResult, Sample]] = field(default_factory=dict)
    cells: dict[tuple[object, ...], CellResult] = field(default_factory=dict)

    def cell(self, key: CellKey) -> CellResult:
        """Compute a cell, or find it: two populations with the same members share their cells."""
        one = self.group(key.population, key.group1)
        two = self.group(key.population, key.group2) if key.group2 else None
        parts: list[_Group] = []
        if key.omnibus:
            parts = [self.group(key.population, code) for code in protocol.GROUP_CODES]
        same = (
            key.over_all_weeks,
            *key[2:],
            one.number,
            two and two.number,
            *(part.number for part in parts),
        )
        if same not in self.cells:
            self.cells[same] = self.make(key, one, two, parts)
        return self.cells[same]

    def make(self, key: CellKey, one: _Group, two: _Group | None, parts: list[_Group]) -> CellResult:
        if key.analyte == SUBJECTS:
            size = one.rows.size
            return CellResult(GroupResult(size, 0, 0, 0, 0, 0, Summary(size)))
        if key.analyte == SEX:
            return self.sexes(one, two, parts)
        if key.over_all_weeks:
            return self.weeks(key.analyte, one)
        where = (key.analyte, key.week_from, key.week_to)
        first, sample = self.sample(where, one)
        if two is not None:
            second, other = self.sample(where, two)
            empty = not first.n and not second.n
            chosen = _NOTHING if empty else choice.between(sample, other, one.code, two.code)
            return _cell(chosen, (one.code, first), (two.code, second))
        if not first.n:
            return _cell(_NOTHING, (one.code, first))
        if key.week_from != key.week_to:
            return _cell(choice.within(sample), (one.code, first))
        if parts:
            samples = [self.sample(where, part)[1] for part in parts]
            return _cell(choice.omnibus(samples, protocol.GROUP_CODES), (one.code, first))
        return _cell(choice.Choice(()), (one.code, first))

    def group(self, population: str, stratum: str) -> _Group:
        wanted = (population, stratum)
        if wanted not in self.groups:
            rows = self.study.members(population, stratum)
            number = self.numbers.setdefault(rows.tobytes(), len(self.numbers))
            self.groups[wanted] = _Group(stratum, number, rows)
        return self.groups[wanted]

    def column(self, where: Where) -> _Column:
        if where not in self.columns:
            self.columns[where] = _column(self.study, *where)
        return self.columns[where]

    def sample(self, where: Where, group: _Group) -> tuple[GroupResult, Sample]:
        """Return who of a group counts in a column, and their numbers."""
        wanted = (where, group.number)
        if wanted not in self.samples:
            column, rows = self.column(where), group.rows
            present = column.present[rows]
            sample = Sample(column.numbers[rows][present])
            normality = sample.normality if sample.given.size else None
            self.samples[wanted] = _accounted(column, rows, present, sample.summary, normality), sample
        return self.samples[wanted]

    def weeks(self, code: str, group: _Group) -> CellResult:
        """Compare all weeks of a quantity within the subjects who have every one."""
        blocks = np.full((group.rows.size, len(protocol.WEEKS)), MISSING)
        if code in self.study.values:
            blocks = self.study.values[code][group.rows]
        complete = (blocks != MISSING).all(axis=1)
        last = self.column((code, protocol.WEEKS[0], protocol.WEEKS[-1]))
        accounted = _accounted(last, group.rows, complete, Summary(int(complete.sum())), None)
        if not accounted.n:
            return _cell(_NOTHING, (group.code, accounted))
        return _cell(choice.over_weeks(blocks[complete]), (group.code, accounted))

    def sexes(self, one: _Group, two: _Group | None, parts: list[_Group]) -> CellResult:
        """Compare the shares of men."""
        results, table = [], []
        for group in [one, *([two] if two else [])]:
            result, row = self.men(group)
            results.append((group.code, result))
            table.append(row)
        if parts:
            table = [self.men(part)[1] for part in parts]
        if not any(result.n for _code, result in results):
            chosen = _NOTHING
        elif len(table) > 1:
            chosen = choice.counts(table)
        else:
            chosen = choice.Choice(())
        return _cell(chosen, *results)

    def men(self, group: _Group) -> tuple[GroupResult, tuple[int, int]]:
        sex = self.study.sex[group.rows]
        men, women = int((sex == protocol.Sex.MALE).sum()), int((sex == protocol.Sex.FEMALE).sum())
        known = men + women
        summary = Summary(known, mean=100 * men / known if known else None)
        return GroupResult(sex.size, 0, 0, 0, sex.size - known, 0, summary), (men, women)


_NOTHING = choice.Choice((), why_not=NO_DATA)


def _column(study: StudyArrays, code: str, start: int, end: int) -> _Column:
    n = len(study.subject_ids)
    first, last = protocol.WEEKS.index(start), protocol.WEEKS.index(end)
    ended_from, ended_to = study.ended[:, first], study.ended[:, last]
    if code == AGE:
        always = np.zeros(n, np.int8)
        return _Column(study.age, study.age != MISSING, always, always, None)
    if code not in study.values:
        return _Column(np.zeros(n, np.int64), np.zeros(n, np.bool_), ended_from, ended_to, None)
    values, places = study.values[code], places_of(code)
    numbers, present = values[:, first], values[:, first] != MISSING
    if start != end:
        present = present & (values[:, last] != MISSING)
        numbers = np.where(present, numbers - values[:, last], 0)
    limits = study.censored.get(code)
    censored = None if limits is None else limits[:, first] | limits[:, last]
    return _Column(rounded_to_scale(numbers, places), present, ended_from, ended_to, censored)


def _accounted(
    column: _Column, rows: Ints, present: Bools, summary: Summary, normality: Normality | None
) -> GroupResult:
    """Say where the members of a group are who do not count in a column."""
    absent = rows[~present]
    died = transplanted = not_due = censored = 0
    if absent.size:
        later = column.ended_to[absent]
        why = np.where(later != Ended.NO, later, column.ended_from[absent])
        _observable, died, transplanted, not_due = np.bincount(why, minlength=len(Ended)).tolist()
    if column.censored is not None:
        censored = int(column.censored[rows[present]].sum())
    missing = absent.size - died - transplanted - not_due
    return GroupResult(rows.size, died, transplanted, not_due, missing, censored, summary, normality)


def _cell(chosen: choice.Choice, *groups: tuple[str, GroupResult]) -> CellResult:
    """Put the groups, the tests and what a reader has to know into a cell."""
    notes: list[Sentence] = []
    if chosen.why_not is not None:
        notes.append(chosen.why_not)
    for code, group in groups:
        if group.normality is not None and group.normality.note is not None and group.normality.w is not None:
            notes.append(group.normality.note)
        if group.died or group.transplanted or group.not_due:
            notes.append(
                say(
                    NOT_OBSERVABLE,
                    group=code,
                    died=group.died,
                    transplanted=group.transplanted,
                    not_due=group.not_due,
                )
            )
        if group.censored:
            notes.append(say(AT_A_LIMIT, group=code, censored=group.censored))
    test, interval = chosen.selected, chosen.interval
    if test is not None and test.note is not None:
        notes.append(test.note)
    return CellResult(
        group1=groups[0][1],
        group2=groups[1][1] if len(groups) > 1 else None,
        method=test.method if test else "",
        reason=chosen.reason,
        statistic=test.statistic if test else None,
        p_value=test.p_value if test else None,
        estimate=interval.estimate if interval else None,
        ci_low=interval.ci_low if interval else None,
        ci_high=interval.ci_high if interval else None,
        tests=chosen.tests,
        notes=tuple(notes),
    )


# --- what a cell depends on -----------------------------------------------------------------


def digest(study: StudyArrays, key: CellKey) -> str:
    """Return 32 hexadecimal digits that change when, and only when, the input of a cell does.

    Parameters
    ----------
    study
        The study as arrays.
    key
        The cell.

    Returns
    -------
    str
        A hash over the members of its groups, their values, limits and ends of
        observation at its weeks, and the version of the methods.
    """
    parts = [METHODS_VERSION.to_bytes(4, "big"), "/".join(key[1:5]).encode()]
    strata = [key.group1, *([key.group2] if key.group2 else [])]
    if key.omnibus:
        strata += protocol.GROUP_CODES
    for stratum in strata:
        parts.append(_members_digest(study, key.population, stratum))
        if key.analyte != SUBJECTS:
            parts += [_slice_digest(study, key.population, stratum, key.analyte, week) for week in key.weeks]
    return blake2b(b"|".join(parts), digest_size=16).hexdigest()


def digests(study: StudyArrays, keys: Iterable[CellKey] | None = None) -> dict[CellKey, str]:
    """Return the digests of many cells, of all of them when no keys are given."""
    return {key: digest(study, key) for key in (all_keys() if keys is None else keys)}


def _members_digest(study: StudyArrays, population: str, stratum: str) -> bytes:
    wanted = ("members digest", population, stratum)
    if wanted not in study.memo:
        ids = (study.subject_ids[row] for row in study.members(population, stratum))
        study.memo[wanted] = blake2b("\n".join(ids).encode(), digest_size=16).digest()
    found: bytes = study.memo[wanted]
    return found


def _slice_digest(study: StudyArrays, population: str, stratum: str, code: str, week: int) -> bytes:
    """Hash one quantity of one stratum at one week."""
    wanted = ("slice digest", _members_digest(study, population, stratum), code, week)
    if wanted not in study.memo:
        rows = study.members(population, stratum)
        at = protocol.WEEKS.index(week)
        hashed = blake2b(digest_size=16)
        if code == AGE:
            hashed.update(study.age[rows].tobytes())
        elif code == SEX:
            hashed.update("".join(sex or "-" for sex in study.sex[rows].tolist()).encode())
        else:
            hashed.update(study.ended[rows, at].tobytes())
            if code in study.values:
                hashed.update(study.values[code][rows, at].tobytes())
            if code in study.censored:
                hashed.update(study.censored[code][rows, at].tobytes())
        study.memo[wanted] = hashed.digest()
    found: bytes = study.memo[wanted]
    return found
