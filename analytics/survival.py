"""Time to death and to transplantation: curves, their uncertainty, and tests between groups.

Death and transplantation compete: who was transplanted can no longer die of the
untreated liver, so neither may be shown by one minus Kaplan-Meier with the other
censored. The cumulative incidence (Aalen-Johansen) adds up to at most one.

Days count from the first infusion or from the landmark. What happens on the day of
origin counts half a day after it, so that everybody starts at risk.

References
----------
O. O. Aalen, S. Johansen, Scandinavian Journal of Statistics 5 (1978) 141-150.
R. J. Gray, Annals of Statistics 16 (1988) 1141-1154.
J. D. Kalbfleisch, R. L. Prentice, The Statistical Analysis of Failure Time Data, 2nd ed., 2002.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analytics.samples import Floats, Ints, Sentence, _, say

NO_SUBJECTS = Sentence(_("no subjects"))
ONE_GROUP = Sentence(_("not tested: only one group has subjects"))
NO_EVENTS = Sentence(_("not tested: no events in either group"))
ONE_EVENT = Sentence(_("not tested (1 event)"))
NO_SPREAD = Sentence(_("not tested: at every event only one group was still at risk"))
FEW_EVENTS = _("few events ({n}): the p-value is a rough approximation")

LEAST_EVENTS, ENOUGH_EVENTS = 2, 10
FIRST_DAY = 0.5
"""Where an event on the day of origin is put."""
Z95 = 1.959963984540054
ROUNDING = 1e-12
"""By how much a sum of shares may miss 1."""


class End(IntEnum):
    """How the observation of a subject ended."""

    FOLLOWED = 0
    DIED = 1
    TRANSPLANTED = 2


@dataclass(frozen=True, eq=False)
class Curve:
    """A step function of time with its standard error and 95 % interval.

    Parameters
    ----------
    days
        Days of the events, ascending, each once.
    value
        The estimate from that day on (the curve steps on the day itself).
    se
        Standard error.
    low, high
        95 % interval on the complementary log-log scale, ``value ** exp(-+ z se / (value log value))``;
        not a number where the estimate is 0 or 1, where there is none.
    start
        The value before the first event: 0 of an incidence, 1 of survival.
    n, events
        Subjects, and how many had the event.
    last_day
        The longest observation; the curve says nothing beyond it.
    """

    days: Floats
    value: Floats
    se: Floats
    low: Floats
    high: Floats
    start: float
    n: int
    events: int
    last_day: float

    def at(self, day: float) -> tuple[float, float | None, float | None] | None:
        """Return estimate and 95 % interval on a day; ``None`` beyond the longest observation."""
        if self.n == 0 or day > self.last_day:
            return None
        place = int(np.searchsorted(self.days, day, side="right")) - 1
        if place < 0:
            return self.start, None, None
        low, high = float(self.low[place]), float(self.high[place])
        known = np.isfinite(low) and np.isfinite(high)
        return float(self.value[place]), low if known else None, high if known else None


@dataclass(frozen=True, slots=True)
class Difference:
    """A test between groups, or the words why there is none.

    Parameters
    ----------
    method
        ``gray`` or ``logrank``.
    statistic, df, p_value
        Chi-squared with its degrees of freedom, two-sided p.
    events
        Events of the kind that is compared, by group.
    note
        Why it was not done, or what a reader has to know.
    """

    method: str
    events: tuple[int, ...]
    statistic: float | None = None
    df: int | None = None
    p_value: float | None = None
    note: Sentence | None = None


def from_first_day(days: ArrayLike) -> Floats:
    """Return observation times with those that ended on the day of origin put half a day after it."""
    days = np.asarray(days, np.float64)
    return np.where(days <= 0, FIRST_DAY, days)


def at_risk(days: ArrayLike, marks: Sequence[float]) -> list[int]:
    """Return how many subjects were still observed on each of some days, before the events of that day."""
    days = from_first_day(days)
    return [int((days >= mark).sum()) for mark in marks]


def cumulative_incidence(days: ArrayLike, ends: ArrayLike, cause: End) -> Curve:
    """Estimate the probability that ``cause`` has come first, by day (Aalen-Johansen).

    Parameters
    ----------
    days
        Length of observation of each subject, shape (n,), days.
    ends
        :class:`End` of each subject, shape (n,).
    cause
        Death or transplantation.

    Returns
    -------
    Curve
        With the variance of Gray 1988 as R's ``cmprsk::cuminc`` has it: each event time adds
        what its binomial (ties: hypergeometric) error moves in the value of that day.
    """
    time, end = from_first_day(days), np.asarray(ends, np.int64)
    events = end != End.FOLLOWED
    when = np.unique(time[events])
    mine, other, risk = _counts(time, end == cause, events & (end != cause), when)
    free_before, free = _event_free(mine + other, risk)
    value = np.cumsum(free_before * mine / risk)
    variance = np.zeros_like(value)
    # how far an error at time s carries to the value at t: the part of those still free that had it by then
    share = np.divide(1.0, free, out=np.zeros_like(free), where=free > 0)
    error = free_before**2 / risk**2
    for t in range(when.size):
        fallen = (value[: t + 1] - value[t]) * share[: t + 1]
        variance[t] = float(
            (error[: t + 1] * mine[: t + 1] * _tied(mine, risk)[: t + 1] * (1 + fallen) ** 2).sum()
            + (error[: t + 1] * other[: t + 1] * _tied(other, risk)[: t + 1] * fallen**2).sum()
        )
    steps = mine > 0
    return _curve(when[steps], value[steps], np.sqrt(variance[steps]), 0.0, time, int((end == cause).sum()))


def kaplan_meier(days: ArrayLike, died: ArrayLike) -> Curve:
    """Estimate the probability of being alive, by day (Kaplan-Meier, Greenwood's variance).

    Parameters
    ----------
    days
        Length of observation of each subject, shape (n,), days.
    died
        Whether it ended with death, shape (n,). Transplantation is no end here.
    """
    time, event = from_first_day(days), np.asarray(died, np.bool_)
    when = np.unique(time[event])
    deaths, _none, risk = _counts(time, event, np.zeros_like(event), when)
    _before, value = _event_free(deaths, risk)
    left = risk * (risk - deaths)
    greenwood = np.cumsum(np.divide(deaths, left, out=np.zeros_like(left), where=left > 0))
    return _curve(when, value, value * np.sqrt(greenwood), 1.0, time, int(event.sum()))


def gray(days: ArrayLike, ends: ArrayLike, groups: ArrayLike, cause: End) -> Difference:
    """Compare cumulative incidences between groups (Gray 1988, rho = 0).

    Parameters
    ----------
    days, ends
        As for :func:`cumulative_incidence`.
    groups
        Number of the group of each subject, 0, 1, ..., shape (n,).
    cause
        The event that is compared.
    """
    time, end, group = from_first_day(days), np.asarray(ends, np.int64), np.asarray(groups, np.int64)
    refused = _refused("gray", end == cause, group)
    if refused is not None:
        return refused
    many = int(group.max()) + 1
    when = np.unique(time[end != End.FOLLOWED])
    own = [group == k for k in range(many)]
    tables = [_counts(time[g], end[g] == cause, ~np.isin(end[g], (End.FOLLOWED, cause)), when) for g in own]
    mine, other, risk = (np.stack(column, axis=1) for column in zip(*tables, strict=True))
    before, after = zip(
        *(_event_free(mine[:, k] + other[:, k], risk[:, k]) for k in range(many)), strict=True
    )
    free_before, free = np.stack(before, axis=1), np.stack(after, axis=1)
    jumps = np.divide(free_before * mine, risk, out=np.zeros_like(risk), where=risk > 0)
    incidence = np.cumsum(jumps, axis=0) - jumps
    here = risk > 0
    # subdistribution weight: at risk, as if nobody had left by the other event
    weight = np.divide(risk, free_before, out=np.zeros_like(risk), where=here & (free_before > 0))
    exposed = weight * (1 - incidence)
    total, all_exposed = weight.sum(axis=1), exposed.sum(axis=1)
    events = mine.sum(axis=1)
    pooled = np.cumsum(np.divide(events, total, out=np.zeros_like(total), where=total > 0))
    pooled_before = pooled - np.divide(events, total, out=np.zeros_like(total), where=total > 0)
    expected = np.divide(
        exposed, all_exposed[:, None], out=np.zeros_like(exposed), where=all_exposed[:, None] > 0
    )
    score = (mine - events[:, None] * expected).sum(axis=0)

    part = np.divide(weight, total[:, None], out=np.zeros_like(weight), where=total[:, None] > 0)
    spread = np.stack([np.diag(w) - np.outer(w, p) for w, p in zip(weight, part, strict=True)])
    rate = np.divide(
        events, total * (1 - pooled_before), out=np.zeros_like(total), where=(total > 0) & (pooled_before < 1)
    )
    carried = np.cumsum(spread * rate[:, None, None], axis=0)
    still = carried[-1] - carried
    variance = np.zeros((many, many))
    for t in range(when.size):
        for k in range(many):
            if not here[t, k]:
                continue
            ratio = (1 - pooled[t]) / free[t, k] if free[t, k] > 0 else 0.0
            if events[t] > 0:
                fewer = total[t] * free_before[t, k] - 1
                tied = 1 - (events[t] - 1) / fewer if events[t] > 1 and fewer != 0 else 1.0
                own_ratio = 1 - ratio if free[t, k] > 0 else 1.0
                error = tied * free_before[t, k] * events[t] / (total[t] * risk[t, k])
                moved = spread[t][:, k] + own_ratio * still[t][:, k]
                variance += error * np.outer(moved, moved)
            if other[t, k] > 0 and free[t, k] > 0:
                tied = float(_tied(other[t, k], risk[t, k]))
                error = tied * free_before[t, k] ** 2 * other[t, k] / risk[t, k] ** 2
                moved = ratio * still[t][:, k]
                variance += error * np.outer(moved, moved)
    return _tested("gray", score, variance, end == cause, group)


def logrank(days: ArrayLike, died: ArrayLike, groups: ArrayLike) -> Difference:
    """Compare survival between groups (log-rank with the hypergeometric variance).

    Parameters
    ----------
    days, died
        As for :func:`kaplan_meier`.
    groups
        Number of the group of each subject, 0, 1, ..., shape (n,).
    """
    time, event, group = from_first_day(days), np.asarray(died, np.bool_), np.asarray(groups, np.int64)
    refused = _refused("logrank", event, group)
    if refused is not None:
        return refused
    many = int(group.max()) + 1
    when = np.unique(time[event])
    own = [group == k for k in range(many)]
    tables = [_counts(time[g], event[g], np.zeros_like(event[g]), when) for g in own]
    deaths, risk = np.stack([t[0] for t in tables], axis=1), np.stack([t[2] for t in tables], axis=1)
    all_deaths, everybody = deaths.sum(axis=1), risk.sum(axis=1)
    part = risk / everybody[:, None]
    score = (deaths - all_deaths[:, None] * part).sum(axis=0)
    factor = all_deaths * _tied(all_deaths, everybody)
    variance = np.einsum("t,tk->k", factor, part) * np.eye(many) - np.einsum(
        "t,tk,tl->kl", factor, part, part
    )
    return _tested("logrank", score, variance, event, group)


# --- what they share ------------------------------------------------------------------------


def _counts(
    time: Floats, mine: NDArray[np.bool_], other: NDArray[np.bool_], when: Floats
) -> tuple[Floats, Floats, Floats]:
    """Return events of interest, other events and subjects at risk at each of some times."""

    def on(which: NDArray[np.bool_]) -> Floats:
        found = np.zeros(when.size)
        np.add.at(found, np.searchsorted(when, time[which]), 1.0)
        return found

    ordered = np.sort(time)
    return on(mine), on(other), (ordered.size - np.searchsorted(ordered, when)).astype(np.float64)


def _event_free(events: Floats, risk: Floats) -> tuple[Floats, Floats]:
    """Return the probability of being free of any event before and after each time."""
    stays = 1 - np.divide(events, risk, out=np.zeros_like(risk), where=risk > 0)
    after = np.cumprod(stays)
    return np.concatenate([[1.0], after[:-1]])[: after.size], after


def _tied(events: Any, risk: Any) -> Any:
    """Return how much smaller the variance is for several events at once, (n - d) / (n - 1) at d > 1."""
    fewer = np.where(np.asarray(risk) > 1, np.asarray(risk) - 1.0, 1.0)
    return np.where(np.asarray(events) > 1, 1 - (np.asarray(events) - 1) / fewer, 1.0)


def _curve(days: Floats, value: Floats, se: Floats, start: float, time: Floats, events: int) -> Curve:
    inside = (value > 0) & (value < 1 - ROUNDING)
    low, high = np.full(value.size, np.nan), np.full(value.size, np.nan)
    v, s = value[inside], se[inside]
    reach = Z95 * s / (v * np.log(v))
    ends = np.sort(np.stack([v ** np.exp(reach), v ** np.exp(-reach)]), axis=0)
    low[inside], high[inside] = ends
    last = float(time.max()) if time.size else 0.0
    return Curve(days, value, se, low, high, start, int(time.size), events, last)


def _events_by_group(event: NDArray[np.bool_], group: Ints) -> tuple[int, ...]:
    many = int(group.max()) + 1 if group.size else 0
    return tuple(int(count) for count in np.bincount(group[event], minlength=many))


def _refused(method: str, event: NDArray[np.bool_], group: Ints) -> Difference | None:
    counts = _events_by_group(event, group)
    if not group.size:
        return Difference(method, counts, note=NO_SUBJECTS)
    if np.unique(group).size < int(group.max()) + 1 or np.unique(group).size < 2:
        return Difference(method, counts, note=ONE_GROUP)
    if not event.any():
        return Difference(method, counts, note=NO_EVENTS)
    if event.sum() < LEAST_EVENTS:
        return Difference(method, counts, note=ONE_EVENT)
    return None


def _tested(
    method: str, score: Floats, variance: Floats, event: NDArray[np.bool_], group: Ints
) -> Difference:
    from scipy.special import chdtrc

    counts = _events_by_group(event, group)
    score, variance = score[:-1], variance[:-1, :-1]
    if np.linalg.matrix_rank(variance) < score.size or variance.trace() < 1e-12:
        return Difference(method, counts, note=NO_SPREAD)
    statistic = float(score @ np.linalg.solve(variance, score))
    note = say(FEW_EVENTS, n=sum(counts)) if sum(counts) < ENOUGH_EVENTS else None
    return Difference(method, counts, statistic, score.size, float(chdtrc(score.size, statistic)), note)
