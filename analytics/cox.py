"""Hazard ratio of the prolonged course: naive, from the landmark, and as an exposure that begins.

Nobody is exposed to a prolonged course before the fifth infusion. Counted as exposed
from the first day, subjects get time in which they could not die (immortal time) for
the course they only lived to reach. With start and stop rows each subject is
unexposed until the day of the fifth infusion, and exposed after it.

References
----------
D. R. Cox, Journal of the Royal Statistical Society B 34 (1972) 187-220.
B. Efron, Journal of the American Statistical Association 72 (1977) 557-565.
S. Suissa, American Journal of Epidemiology 167 (2008) 492-499.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analytics.samples import Floats, Sentence, _, say
from analytics.survival import Z95, from_first_day

NO_SUBJECTS = Sentence(_("not estimable: no subjects"))
ONE_STATE = Sentence(_("not estimable: every row has the same course"))
NO_EVENTS = Sentence(_("not estimable: no events"))
NO_EVENTS_IN = _("not estimable: no events in the {course}")
NO_MEETING = Sentence(_("not estimable: at no event were both courses at risk"))
NOT_CONVERGED = Sentence(_("not estimable: the likelihood has no maximum (the courses separate the events)"))
FEW_EVENTS = _("few events ({n}): the interval is a rough approximation")
STANDARD, PROLONGED = _("standard course"), _("prolonged course")

ENOUGH_EVENTS = 10
MOST_STEPS, CLOSE = 50, 1e-12
MOST_LOG_RATIO = 15.0
"""A ratio beyond e^15 is no estimate but a likelihood without a maximum."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Time under observation in rows: exposed or not from ``start`` (open) to ``stop`` (closed).

    Parameters
    ----------
    start, stop
        Days, shape (rows,).
    event
        Whether the row ended with the event.
    exposed
        Whether the course was prolonged in it.
    subjects
        How many subjects the rows come from.
    """

    start: Floats
    stop: Floats
    event: NDArray[np.bool_]
    exposed: NDArray[np.bool_]
    subjects: int


@dataclass(frozen=True, slots=True)
class Hazard:
    """A hazard ratio, prolonged over standard, or the words why there is none.

    ``events`` and ``person_days`` are those of the standard and of the prolonged course.
    """

    n: int
    events: tuple[int, int]
    person_days: tuple[float, float]
    ties: str
    log_ratio: float | None = None
    se: float | None = None
    p_value: float | None = None
    steps: int = 0
    note: Sentence | None = None

    @property
    def ratio(self) -> tuple[float, float, float] | None:
        """Ratio with its 95 % interval (Wald, on the log scale)."""
        if self.log_ratio is None or self.se is None:
            return None
        low, high = self.log_ratio - Z95 * self.se, self.log_ratio + Z95 * self.se
        return float(np.exp(self.log_ratio)), float(np.exp(low)), float(np.exp(high))


def fixed(days: ArrayLike, event: ArrayLike, exposed: ArrayLike) -> Rows:
    """Return one row per subject: the same course from the first day on."""
    stop = from_first_day(days)
    return Rows(
        np.zeros_like(stop), stop, np.asarray(event, np.bool_), np.asarray(exposed, np.bool_), stop.size
    )


def switching(days: ArrayLike, event: ArrayLike, fifth: ArrayLike) -> Rows:
    """Return rows in which the course becomes prolonged with the fifth infusion.

    Parameters
    ----------
    days
        Length of observation, shape (n,).
    event
        Whether it ended with the event, shape (n,).
    fifth
        Day of the fifth infusion, not a number where there was none, shape (n,). An end on
        that very day still belongs to the standard course.
    """
    stop, ended = from_first_day(days), np.asarray(event, np.bool_)
    fifth = np.asarray(fifth, np.float64)
    changes = np.isfinite(fifth) & (fifth < stop) & (fifth > 0)
    at_once = np.isfinite(fifth) & (fifth <= 0)
    return Rows(
        np.concatenate([np.zeros(stop.size), fifth[changes]]),
        np.concatenate([np.where(changes, fifth, stop), stop[changes]]),
        np.concatenate([ended & ~changes, ended[changes]]),
        np.concatenate([at_once, np.ones(int(changes.sum()), np.bool_)]),
        stop.size,
    )


def cox(rows: Rows, *, ties: Literal["efron", "breslow"] = "efron") -> Hazard:
    """Fit a proportional hazards model of one exposure by Newton's method.

    Parameters
    ----------
    rows
        From :func:`fixed` or :func:`switching`.
    ties
        Events of one day: Efron's approximation (R's default) or Breslow's.
    """
    length = rows.stop - rows.start
    counts = tuple(int((rows.event & (rows.exposed == x)).sum()) for x in (False, True))
    days = tuple(float(length[rows.exposed == x].sum()) for x in (False, True))
    facts = Hazard(rows.subjects, (counts[0], counts[1]), (days[0], days[1]), ties)

    def without(note: Sentence) -> Hazard:
        return Hazard(facts.n, facts.events, facts.person_days, ties, note=note)

    if not rows.subjects:
        return without(NO_SUBJECTS)
    if rows.exposed.all() or not rows.exposed.any():
        return without(ONE_STATE)
    if not sum(counts):
        return without(NO_EVENTS)
    for course, count in zip((STANDARD, PROLONGED), counts, strict=True):
        if not count:
            return without(say(NO_EVENTS_IN, course=course))
    tables = _tables(rows)
    if not any(risk[0] and risk[1] for risk, _events in tables):
        return without(NO_MEETING)
    beta, steps = 0.0, 0
    while steps < MOST_STEPS:
        steps += 1
        score, information = _score(tables, beta, ties)
        if information <= 0:
            return without(NOT_CONVERGED)
        step = float(np.clip(score / information, -2.0, 2.0))
        beta += step
        if abs(beta) > MOST_LOG_RATIO:
            return without(NOT_CONVERGED)
        if abs(step) < CLOSE * max(1.0, abs(beta)):
            break
    else:
        return without(NOT_CONVERGED)
    from scipy.special import ndtr

    _zero, information = _score(tables, beta, ties)
    se = float(information**-0.5)
    note = say(FEW_EVENTS, n=sum(counts)) if sum(counts) < ENOUGH_EVENTS else None
    p_value = float(2 * ndtr(-abs(beta / se)))
    return Hazard(facts.n, facts.events, facts.person_days, ties, beta, se, p_value, steps, note)


Table = tuple[tuple[int, int], tuple[int, int]]


def _tables(rows: Rows) -> list[Table]:
    """Return, for each day with an event, (at risk, with the event) unexposed and exposed."""
    found = []
    for day in np.unique(rows.stop[rows.event]):
        at_risk = (rows.start < day) & (rows.stop >= day)
        ended = rows.event & (rows.stop == day)
        risk = int((at_risk & ~rows.exposed).sum()), int((at_risk & rows.exposed).sum())
        events = int((ended & ~rows.exposed).sum()), int((ended & rows.exposed).sum())
        found.append((risk, events))
    return found


def _score(tables: list[Table], beta: float, ties: str) -> tuple[float, float]:
    """Return the first derivative of the partial log-likelihood and minus the second."""
    weight = float(np.exp(beta))
    score = information = 0.0
    for (standard, prolonged), (events0, events1) in tables:
        many = events0 + events1
        # Efron: the events of a day leave the risk set one after the other, each by its share
        gone = np.arange(many) / many if ties == "efron" else np.zeros(many)
        exposed = weight * (prolonged - gone * events1)
        share = exposed / (exposed + standard - gone * events0)
        score += events1 - float(share.sum())
        information += float((share * (1 - share)).sum())
    return score, information
