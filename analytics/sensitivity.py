"""One comparison, asked again in other ways: does what it says hang on a choice that was ours?

The rule of the paper picks a test by looking at the data, compares survivors only and
takes every value at its word. Each row here undoes one of these choices. Rows that
agree make a result firmer; rows that do not say what it rests on.

References
----------
J. M. Lachin, Controlled Clinical Trials 20 (1999) 408-422: worst-rank scores.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from analytics import choice, statistics
from analytics.samples import (
    MISSING,
    NO_DATA,
    SCALE,
    Comparison,
    Ints,
    Sample,
    Sentence,
    _,
    rounded_to_scale,
    say,
)
from analytics.study_arrays import Bools, Ended, StudyArrays, places_of
from trial import protocol
from trial.protocol import Direction, Measure, Population

AS_SHOWN = _("as shown: the test that the rule of the paper picks")
POOLED = _("t-test, one variance for both groups")
WELCH = _("t-test, a variance for each group")
RANKS = _("Mann-Whitney test")
EXACT = _("Mann-Whitney test, exact")
WITHOUT_PLASMA = _("without draws within 48 h after plasma")
COMPLETE = _("only subjects with every week")
WORST = _("death and transplantation take the worst rank")

NO_DIRECTION = Sentence(_("not computed: neither a rise nor a fall of this quantity is the worse"))
TOO_WIDE = Sentence(_("not computed: the values lie too far apart"))
NOBODY_ENDED = Sentence(_("nobody had died or been transplanted; same as the ranks above"))
NO_PLASMA = Sentence(_("no value of this comparison was drawn soon after plasma; same as shown"))
LEFT_OUT = _("left out for a draw that was, or may have been, soon after plasma: {values}")
RANKED_WORST = _("subjects with the worst rank: {one} and {two}")
UNBOUNDED = Sentence(_("the shift has no finite size: it would reach into the worst ranks"))
OPEN_BELOW = Sentence(_("the interval has no lower end: it reaches into the worst ranks"))
OPEN_ABOVE = Sentence(_("the interval has no upper end: it reaches into the worst ranks"))

ALPHA = choice.ALPHA
_WIDEST = 2**58


@dataclass(frozen=True, slots=True)
class SensitivityRow:
    """One way of asking again.

    Parameters
    ----------
    code
        ``shown``, ``pooled``, ``welch``, ``ranks``, ``exact``, ``plasma``, ``complete`` or ``worst``.
    label
        What is done otherwise.
    method
        The test, by its name in the ``tests`` export; empty when nothing was tested.
    n1, n2
        Subjects that count.
    estimate, ci_low, ci_high
        Group 1 - group 2 in the unit of the values, with the 95 % interval.
    p_value
        Two-sided, not adjusted.
    note
        What a reader has to know, or why there is no number.
    """

    code: str
    label: str
    method: str
    n1: int
    n2: int
    estimate: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    p_value: float | None = None
    note: Sentence | None = None


def rows(
    study: StudyArrays,
    population: Population,
    pair: tuple[str, str],
    analyte: str,
    measure: Measure,
    span: tuple[int, int],
    *,
    after_plasma: Bools | None = None,
) -> list[SensitivityRow]:
    """Ask one comparison of two groups again in every way.

    Parameters
    ----------
    study
        The study as arrays.
    population, pair, analyte, measure, span
        The cell, as its key names it.
    after_plasma
        By subject and week, in the order of ``study``: whether the draw was, or may have
        been, soon after plasma; nobody's when absent.

    Returns
    -------
    list of SensitivityRow
        Always the same rows in the same order.
    """
    one, two = (study.members(population, code) for code in pair)
    numbers, present = differences(study, analyte, measure, span)
    a, b = _samples(numbers, present, one, two)
    found = [_chosen("shown", AS_SHOWN, a, b, pair)]
    shift = statistics.hodges_lehmann(a, b)
    ranks, _corrected, exact = statistics.mann_whitney(a, b)
    found += [
        _row("pooled", POOLED, statistics.t_pooled(a, b), None, a, b),
        _row("welch", WELCH, statistics.t_welch(a, b), None, a, b),
        _row("ranks", RANKS, ranks, shift, a, b),
        _row("exact", EXACT, exact, shift, a, b),
        _without_plasma(numbers, present, one, two, span, after_plasma, pair),
        _complete(study, analyte, numbers, present, one, two, pair),
        _worst(study, analyte, measure, span, numbers, present, one, two),
    ]
    return found


def differences(
    study: StudyArrays, analyte: str, measure: Measure, span: tuple[int, int]
) -> tuple[Ints, Bools]:
    """Return one number per subject in millionths (a level, or earlier - later), and who has one."""
    if analyte not in study.values:
        n = len(study.subject_ids)
        return np.zeros(n, np.int64), np.zeros(n, np.bool_)
    first, last = (protocol.WEEKS.index(week) for week in span)
    values = study.values[analyte]
    present = values[:, first] != MISSING
    numbers = np.where(present, values[:, first], 0)
    if measure is not Measure.LEVEL:
        present = present & (values[:, last] != MISSING)
        numbers = np.where(present, values[:, first] - values[:, last], 0)
    return rounded_to_scale(numbers, places_of(analyte)), present


def masked(study: StudyArrays, left_out: Bools) -> StudyArrays:
    """Return the study without every value of the draws marked, by subject and week."""
    values = {code: np.where(left_out, MISSING, array) for code, array in study.values.items()}
    censored = {code: array & ~left_out for code, array in study.censored.items()}
    return replace(study, values=MappingProxyType(values), censored=MappingProxyType(censored))


def _samples(numbers: Ints, counts: Bools, one: Ints, two: Ints) -> tuple[Sample, Sample]:
    return Sample(numbers[one][counts[one]]), Sample(numbers[two][counts[two]])


def _row(
    code: str,
    label: str,
    test: Comparison,
    interval: Comparison | None,
    a: Sample,
    b: Sample,
    note: Sentence | None = None,
) -> SensitivityRow:
    if not len(a) and not len(b):
        return SensitivityRow(code, label, "", 0, 0, note=NO_DATA)
    size = interval or test
    return SensitivityRow(
        code,
        label,
        test.method if test.done else "",
        len(a),
        len(b),
        size.estimate,
        size.ci_low,
        size.ci_high,
        test.p_value,
        test.note or note,
    )


def _chosen(
    code: str, label: str, a: Sample, b: Sample, pair: tuple[str, str], note: Sentence | None = None
) -> SensitivityRow:
    if not len(a) and not len(b):
        return SensitivityRow(code, label, "", 0, 0, note=NO_DATA)
    chosen = choice.between(a, b, *pair)
    if chosen.selected is None:
        return SensitivityRow(code, label, "", len(a), len(b), note=chosen.why_not or note)
    return _row(code, label, chosen.selected, chosen.interval, a, b, note)


def _without_plasma(
    numbers: Ints,
    present: Bools,
    one: Ints,
    two: Ints,
    span: tuple[int, int],
    after_plasma: Bools | None,
    pair: tuple[str, str],
) -> SensitivityRow:
    marks = np.zeros(present.shape, np.bool_)
    if after_plasma is not None:
        for week in set(span):
            marks |= after_plasma[:, protocol.WEEKS.index(week)]
    a, b = _samples(numbers, present & ~marks, one, two)
    leave = int((present & marks)[np.concatenate([one, two])].sum())
    return _chosen("plasma", WITHOUT_PLASMA, a, b, pair, say(LEFT_OUT, values=leave) if leave else NO_PLASMA)


def _complete(
    study: StudyArrays,
    analyte: str,
    numbers: Ints,
    present: Bools,
    one: Ints,
    two: Ints,
    pair: tuple[str, str],
) -> SensitivityRow:
    every = present
    if analyte in study.values:
        every = present & (study.values[analyte] != MISSING).all(axis=1)
    return _chosen("complete", COMPLETE, *_samples(numbers, every, one, two), pair)


def _worst(
    study: StudyArrays,
    analyte: str,
    measure: Measure,
    span: tuple[int, int],
    numbers: Ints,
    present: Bools,
    one: Ints,
    two: Ints,
) -> SensitivityRow:
    """Give whoever died or was transplanted by the later week one shared rank below everybody."""
    better = _better(analyte, measure)
    if better == 0:
        return SensitivityRow("worst", WORST, "", 0, 0, note=NO_DIRECTION)
    ended = study.ended[:, protocol.WEEKS.index(span[1])]
    # whoever had no value at the start and ended later is ranked too: the end is known, the start is not needed
    over = ~present & ((ended == Ended.DEAD) | (ended == Ended.TRANSPLANTED))
    known = numbers[np.concatenate([one, two])][present[np.concatenate([one, two])]]
    low, high = (int(known.min()), int(known.max())) if known.size else (0, 0)
    spread = max(high - low, 1)
    if max(spread, abs(low), abs(high)) > _WIDEST:
        return SensitivityRow("worst", WORST, "", 0, 0, note=TOO_WIDE)
    # far enough that half the way into the worst ranks already lies beyond every true difference
    far = low - 8 * spread if better > 0 else high + 8 * spread
    scored = np.where(over, far, numbers)
    a, b = _samples(scored, present | over, one, two)
    ranked = (int(over[one].sum()), int(over[two].sum()))
    note = say(RANKED_WORST, one=ranked[0], two=ranked[1]) if any(ranked) else NOBODY_ENDED
    ranks, _corrected, exact = statistics.mann_whitney(a, b)
    test = exact if choice.too_few_to_approximate(math.comb(len(a) + len(b), len(a))) else ranks
    row = _row("worst", WORST, test, statistics.hodges_lehmann(a, b), a, b, note)
    reach = spread / SCALE * (1 + 1e-9)
    if row.estimate is not None and abs(row.estimate) > reach:
        return replace(row, estimate=None, ci_low=None, ci_high=None, note=UNBOUNDED)
    if row.ci_low is not None and row.ci_low < -reach:
        row = replace(row, ci_low=None, note=OPEN_BELOW)
    if row.ci_high is not None and row.ci_high > reach:
        row = replace(row, ci_high=None, note=row.note if row.note is OPEN_BELOW else OPEN_ABOVE)
    return row


def _better(analyte: str, measure: Measure) -> int:
    """Return 1 when larger numbers of the measure are better, -1 when smaller ones are, 0 when neither."""
    direction = Direction.FALLS
    if analyte in protocol.ANALYTES:
        direction = protocol.ANALYTES[analyte].direction
    if direction is Direction.NEITHER:
        return 0
    falls = direction is Direction.FALLS
    if measure is Measure.LEVEL:
        return -1 if falls else 1
    return 1 if falls else -1
