"""Exact samples: fixed-point integers instead of floats, so that ties are ties.

A laboratory value is a decimal. The difference of two decimals is a decimal too,
but the difference of their binary approximations is not: 8.4 - 8.1 and 7.3 - 7.0
come out unequal, ranks split, and every rank test moves. Here a value is an
``int64`` that counts millionths of the unit, and only results are floats.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cached_property, lru_cache
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analytics.distributions import normal_below, normal_quantiles
from trial.protocol import DIFFERENCE_PLACES

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

SCALE: int = 10**DIFFERENCE_PLACES
MISSING = int(np.iinfo(np.int64).min)
"""Stands where a subject has no value."""

SHAPIRO_LEAST, SHAPIRO_MOST = 3, 5000
"""Royston's approximation holds from 3 to 5000 values."""


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


# --- words ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence kept apart from its numbers, so that a screen can translate it.

    Parameters
    ----------
    text
        English template with named fields, e.g. ``"not tested (n = {n})"``; also its translation key.
    values
        What the fields hold, already written as text.
    """

    text: str
    values: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return self.text.format(**dict(self.values)) if self.values else self.text

    @property
    def fields(self) -> Mapping[str, str]:
        """The values by field name."""
        return MappingProxyType(dict(self.values))


def say(text: str, **values: object) -> Sentence:
    """Return a sentence from its template and the values of its fields."""
    return Sentence(text, tuple((name, str(value)) for name, value in values.items()))


CONSTANT = Sentence(_("constant"))
NO_DATA = Sentence(_("no data"))
NOT_TESTED = _("not tested (n = {n})")
FIRST_VALUES_ONLY = _("normality judged on the first {most} of {n} values")


# --- what a test says -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Comparison:
    """What one method found, or the words why it was not applied.

    Parameters
    ----------
    method
        Name of the method, as in the ``tests`` export.
    n1, n2
        Subjects that counted; within one group ``n2`` is absent.
    statistic, df
        Test statistic and its degrees of freedom where it has one number of them.
    estimate, ci_low, ci_high
        Size of the difference, group 1 - group 2 or earlier - later, with its 95 % interval.
    p_value
        Two-sided.
    note
        Why it was not done, or what a reader has to know.
    """

    method: str
    n1: int
    n2: int | None = None
    statistic: float | None = None
    df: float | None = None
    estimate: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    p_value: float | None = None
    note: Sentence | None = None

    @classmethod
    def not_done(cls, method: str, why: Sentence, n1: int, n2: int | None = None) -> Comparison:
        """Return a comparison that says why there is none."""
        return cls(method, n1, n2, note=why)

    @property
    def done(self) -> bool:
        """Whether there is a number to show."""
        return self.p_value is not None or self.estimate is not None


MINIMUM = 3
"""Fewest values of a group that are tested; our assumption."""

CONFIDENCE = 0.95


def too_few(*samples: Sample) -> Sentence | None:
    """Return the words why samples are too small to be tested, if they are."""
    least = min(len(sample) for sample in samples)
    return None if least >= MINIMUM else say(NOT_TESTED, n=least)


# --- fixed-point numbers --------------------------------------------------------------------


def scaled(values: Iterable[Decimal | int | str | None], places: int = DIFFERENCE_PLACES) -> Ints:
    """Return decimals as integers that count ``10 ** -places``.

    Parameters
    ----------
    values
        Decimals, integers or their text; ``None`` becomes :data:`MISSING`.
    places
        Decimal places kept, rounded half-even.

    Returns
    -------
    NDArray[np.int64]
        One integer per value.
    """
    return np.array(
        [MISSING if v is None else _fixed(Decimal(v), places) for v in values],
        dtype=np.int64,
    )


def _fixed(value: Decimal, places: int) -> int:
    return int(value.scaleb(places).to_integral_value(rounding=ROUND_HALF_EVEN))


def rounded_to_scale(values: Ints, places: int) -> Ints:
    """Round integers that count ``10 ** -places`` half-even to millionths."""
    if places == DIFFERENCE_PLACES:
        return values
    step = 10 ** (places - DIFFERENCE_PLACES)
    whole, rest = np.divmod(values, step)
    up = (2 * rest > step) | ((2 * rest == step) & (whole % 2 == 1))
    rounded: Ints = whole + up
    return rounded


def exact_sum(values: Ints) -> int:
    """Sum integers without overflow: high and low halves are summed apart."""
    return (int((values >> 32).sum()) << 32) + int((values & 0xFFFFFFFF).sum())


# --- what is known about one column of numbers ----------------------------------------------


@dataclass(frozen=True, slots=True)
class Summary:
    """Location and spread of a sample; ``None`` where it is undefined.

    ``sd`` needs two values. Quartiles are Hyndman and Fan's type 6 (SPSS
    HAVERAGE, numpy ``weibull``): linear interpolation at position p (n + 1).
    """

    n: int
    mean: float | None = None
    sd: float | None = None
    median: float | None = None
    q1: float | None = None
    q3: float | None = None
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True, slots=True)
class Normality:
    """Shapiro-Wilk of one sample, or the words why there is none."""

    w: float | None
    p_value: float | None
    n: int
    note: Sentence | None = None


class Sample:
    """Values of one group, as fixed-point integers, with everything derived from them computed once.

    Parameters
    ----------
    values
        Integers that count millionths of the unit, without missing ones; their order
        matters only for Shapiro-Wilk beyond 5000 values.
    """

    def __init__(self, values: ArrayLike) -> None:
        self.given: Ints = np.ascontiguousarray(values, dtype=np.int64)

    @classmethod
    def of(cls, values: Iterable[Decimal | int | str]) -> Sample:
        """Make a sample from decimals in the unit of the analyte."""
        return cls(scaled(values))

    def __len__(self) -> int:
        return self.given.size

    @cached_property
    def ordered(self) -> Ints:
        return np.sort(self.given)

    @cached_property
    def constant(self) -> bool:
        return self.given.size < 2 or bool(self.ordered[0] == self.ordered[-1])

    @cached_property
    def total(self) -> int:
        return exact_sum(self.given)

    @cached_property
    def mean(self) -> float:
        return self.total / (self.given.size * SCALE)

    @cached_property
    def deviations(self) -> Floats:
        """Distances from the mean in the unit, in ascending order; exact to the last bits."""
        n = self.given.size
        centre, rest = divmod(self.total, n)
        around: Floats = (self.ordered - np.int64(centre)).astype(np.float64)
        around -= rest / n
        around /= SCALE
        return around

    @cached_property
    def squares(self) -> float:
        """Sum of squared deviations from the mean."""
        return 0.0 if self.constant else float(self.deviations @ self.deviations)

    @cached_property
    def variance(self) -> float:
        return self.squares / (self.given.size - 1)

    @cached_property
    def absolute_deviations(self) -> tuple[float, float]:
        """Mean and squared spread of ``|x - mean|``: what Levene's test compares."""
        distances = np.abs(self.deviations)
        mean = float(distances.sum()) / distances.size
        return mean, float(((distances - mean) ** 2).sum())

    @cached_property
    def summary(self) -> Summary:
        x, n = self.ordered, self.given.size
        if n == 0:
            return Summary(0)
        return Summary(
            n=n,
            mean=self.mean,
            sd=math.sqrt(self.variance) if n > 1 else None,
            median=(int(x[(n - 1) // 2]) + int(x[n // 2])) / (2 * SCALE),
            q1=_quarter(x, 1),
            q3=_quarter(x, 3),
            minimum=int(x[0]) / SCALE,
            maximum=int(x[-1]) / SCALE,
        )

    @cached_property
    def normality(self) -> Normality:
        return shapiro(self)


def _quarter(ordered: Ints, quarters: int) -> float:
    """Return the first or third quartile at position ``quarters (n + 1) / 4``, held within the sample."""
    n = ordered.size
    whole, rest = divmod(quarters * (n + 1), 4)
    if whole < 1:
        return int(ordered[0]) / SCALE
    if whole >= n:
        return int(ordered[-1]) / SCALE
    low, high = int(ordered[whole - 1]), int(ordered[whole])
    return (4 * low + rest * (high - low)) / (4 * SCALE)


def summarise(values: Sequence[Decimal] | Sample) -> Summary:
    """Return n, mean, standard deviation, median, quartiles, minimum and maximum."""
    return (values if isinstance(values, Sample) else Sample.of(values)).summary


# --- Shapiro-Wilk ---------------------------------------------------------------------------

# Royston's polynomials, lowest power first.
_LAST = (0.0, 0.221157, -0.147981, -2.07119, 4.434685, -2.706056)
_LAST_BUT_ONE = (0.0, 0.042981, -0.293762, -1.752461, 5.682633, -3.582633)
_SMALL_GAMMA = (-2.273, 0.459)
_SMALL_MEAN = (0.544, -0.39978, 0.025054, -6.714e-4)
_SMALL_LOG_SD = (1.3822, -0.77857, 0.062767, -0.0020322)
_LARGE_MEAN = (-1.5861, -0.31082, -0.083751, 0.0038915)
_LARGE_LOG_SD = (-0.4803, -0.082676, 0.0030302)


def _polynomial(coefficients: Sequence[float], x: float) -> float:
    value = 0.0
    for coefficient in reversed(coefficients):
        value = value * x + coefficient
    return value


@lru_cache(maxsize=8192)
def _shapiro_weights(n: int) -> Floats:
    """Return Royston's weights of the ordered values; they sum to 0, their squares to 1."""
    if n == 3:
        return np.array([-math.sqrt(0.5), 0.0, math.sqrt(0.5)])
    half = n // 2
    m = normal_quantiles((np.arange(1, half + 1) - 0.375) / (n + 0.25))
    norm = 2 * float(m @ m)
    root, u = math.sqrt(norm), 1 / math.sqrt(n)
    weights = np.empty(half)
    weights[0] = _polynomial(_LAST, u) - m[0] / root
    if n > 5:
        weights[1] = _polynomial(_LAST_BUT_ONE, u) - m[1] / root
        kept = 2
        rest = (norm - 2 * m[0] ** 2 - 2 * m[1] ** 2) / (1 - 2 * weights[0] ** 2 - 2 * weights[1] ** 2)
    else:
        kept = 1
        rest = (norm - 2 * m[0] ** 2) / (1 - 2 * weights[0] ** 2)
    weights[kept:] = -m[kept:] / math.sqrt(rest)
    full = np.zeros(n)
    full[:half], full[n - half :] = -weights, weights[::-1]
    return full


def _shapiro_p(w: float, n: int) -> float:
    if n == 3:
        return max(0.0, 6 / math.pi * (math.asin(math.sqrt(w)) - math.asin(math.sqrt(0.75))))
    y, log_n = math.log1p(-w), math.log(n)
    if n <= 11:
        gamma = _polynomial(_SMALL_GAMMA, n)
        # never at or above gamma: W of so few values cannot become that small
        y = -math.log(gamma - y)
        mean, sd = _polynomial(_SMALL_MEAN, n), math.exp(_polynomial(_SMALL_LOG_SD, n))
    else:
        mean, sd = (
            _polynomial(_LARGE_MEAN, log_n),
            math.exp(_polynomial(_LARGE_LOG_SD, log_n)),
        )
    return normal_below(-(y - mean) / sd)


def shapiro(sample: Sample) -> Normality:
    """Test normality by Shapiro and Wilk's W with Royston's p-value.

    Parameters
    ----------
    sample
        At least three values that are not all equal; of more than 5000 the first
        5000 in the order given are used, because the approximation ends there.

    Returns
    -------
    Normality
        W and p, or the words why there are none.

    References
    ----------
    P. Royston, Applied Statistics 44 (1995) 547-551, algorithm AS R94.
    """
    n = len(sample)
    if n < SHAPIRO_LEAST:
        return Normality(None, None, n, say(NOT_TESTED, n=n) if n else NO_DATA)
    if sample.constant:
        return Normality(None, None, n, CONSTANT)
    note = None
    if n > SHAPIRO_MOST:
        note = say(FIRST_VALUES_ONLY, most=SHAPIRO_MOST, n=n)
        sample = Sample(sample.given[:SHAPIRO_MOST])
        if sample.constant:
            return Normality(None, None, n, CONSTANT)
    x = sample.deviations
    span = float(x[-1] - x[0])
    numerator = float(_shapiro_weights(len(sample)) @ x) / span
    w = min(1.0, numerator * numerator / (sample.squares / span / span))
    return Normality(w, _shapiro_p(w, len(sample)) if w < 1.0 else 1.0, n, note)
