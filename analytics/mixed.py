"""A mixed model over all visits: every value counts, also of subjects whose later visits are missing.

``log(value) ~ week * group`` with a random intercept and a random slope of time by
subject, by restricted maximum likelihood. The likelihood is profiled down to the
covariance of the random part (three numbers), as Bates et al. 2015 do; its gradient
comes exactly by complex steps, so that the optimum is found to the last digits.

What it cannot do: the residuals of one subject have no correlation of their own
beyond the random part (no unstructured covariance), and a value that death or
transplantation prevented is treated as if it were merely unseen.

References
----------
N. M. Laird, J. H. Ware, Biometrics 38 (1982) 963-974.
D. Bates et al., Journal of Statistical Software 67 (2015) 1, 1-48.
W. Squire, G. Trapp, SIAM Review 40 (1998) 110-112.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analytics.samples import Floats, Sentence, _, say
from analytics.survival import Z95

TOO_FEW = _("not estimable (subjects {n1} and {n2}): each group needs at least {least}")
ONE_WEEK = Sentence(_("not estimable: fewer than two weeks have values in both groups"))
NO_REPEATS = Sentence(_("not estimable: no subject has two values"))
CONSTANT = Sentence(_("not estimable: all values are equal"))
NOTHING_LEFT = Sentence(_("not tested: the weeks and groups explain every value"))
NOT_CONVERGED = Sentence(_("not estimable: the likelihood did not reach its maximum"))
SLOPE_LEFT_OUT = Sentence(
    _("random intercept only: the data do not support a random slope (its variance is 0 or not determined)")
)
NO_SUBJECT_VARIANCE = Sentence(
    _("subjects differ no more than their values do (variance of the intercept 0)")
)

LEAST_PER_GROUP = 3
SINGULAR = 1e-4
FLAT = 1e-6


@dataclass(frozen=True, slots=True)
class Change:
    """The change since the first week in group 1 over that in group 2, on the log scale."""

    week: int
    n1: int
    n2: int
    estimate: float
    se: float
    p_value: float

    @property
    def ratio(self) -> tuple[float, float, float]:
        """Ratio of the changes with its 95 % interval (Wald)."""
        low, high = self.estimate - Z95 * self.se, self.estimate + Z95 * self.se
        return float(np.exp(self.estimate)), float(np.exp(low)), float(np.exp(high))


@dataclass(frozen=True, slots=True)
class Mixed:
    """The fitted model, or the words why there is none.

    Parameters
    ----------
    n1, n2, values
        Subjects by group, and values.
    fixed
        All fixed terms: name, estimate, standard error.
    changes
        One per later week.
    residual, intercept, slope, covariance
        Variances of the parts, and the covariance of intercept and slope; time counts in 24 weeks.
    wald, df, p_value
        Joint test that no change differs between the groups (chi-squared).
    log_likelihood
        Restricted.
    gradient
        Largest derivative left at the optimum.
    """

    n1: int
    n2: int
    values: int
    random_slope: bool = False
    fixed: tuple[tuple[str, float, float], ...] = ()
    changes: tuple[Change, ...] = ()
    residual: float | None = None
    intercept: float | None = None
    slope: float | None = None
    covariance: float | None = None
    wald: float | None = None
    df: int | None = None
    p_value: float | None = None
    log_likelihood: float | None = None
    gradient: float | None = None
    notes: tuple[Sentence, ...] = ()


@dataclass(frozen=True, eq=False)
class _Pattern:
    """Subjects who were measured in the same weeks: responses (n, m), designs (n, m, p) and (m, q)."""

    y: Floats
    x: Floats
    z: Floats


def mixed(values: ArrayLike, arm: ArrayLike, weeks: Sequence[int], *, random_slope: bool = True) -> Mixed:
    """Fit the model to the values of two groups.

    Parameters
    ----------
    values
        Positive values, not a number where missing, shape (subjects, weeks).
    arm
        1 in the first group, 0 in the second, shape (subjects,).
    weeks
        The weeks of the columns; the first is the reference.
    random_slope
        Whether to try a random slope; without support in the data it is left out, and the notes say so.
    """
    grid, group = np.log(np.asarray(values, np.float64)), np.asarray(arm, np.int64)
    measured = np.isfinite(grid)
    useful = np.array(
        [all(measured[group == g, k].any() for g in (0, 1)) for k in range(len(weeks))], np.bool_
    )
    grid, measured = grid[:, useful], measured[:, useful]
    kept = measured.any(axis=1)
    grid, measured, group = grid[kept], measured[kept], group[kept]
    used = [week for week, use in zip(weeks, useful.tolist(), strict=True) if use]
    n1, n2, many = int((group == 1).sum()), int((group == 0).sum()), int(measured.sum())

    def without(note: Sentence) -> Mixed:
        return Mixed(n1, n2, many, notes=(note,))

    if min(n1, n2) < LEAST_PER_GROUP:
        return without(say(TOO_FEW, n1=n1, n2=n2, least=LEAST_PER_GROUP))
    if len(used) < 2 or used[0] != weeks[0]:
        return without(ONE_WEEK)
    if np.ptp(grid[measured]) == 0:
        return without(CONSTANT)
    if not (measured.sum(axis=1) > 1).any() or many <= 2 * len(used) + 1:
        return without(NO_REPEATS)

    names = [
        "(Intercept)",
        *(f"week{week}" for week in used[1:]),
        "arm",
        *(f"week{week}:arm" for week in used[1:]),
    ]
    patterns, start = _patterns(grid, measured, group, used)
    if start is None:
        return without(NOTHING_LEFT)
    notes: list[Sentence] = []
    found = None
    if random_slope and int((measured.sum(axis=1) > 2).sum()) >= LEAST_PER_GROUP:
        found = _optimum(patterns, np.array([1.0, 0.0, 1.0]))
    slope = found is not None and bool(min(abs(found[0]), abs(found[2])) > SINGULAR)
    if not slope:
        if random_slope:
            notes.append(SLOPE_LEFT_OUT)
        patterns = [_Pattern(p.y, p.x, p.z[:, :1]) for p in patterns]
        found = _optimum(patterns, np.array([1.0]))
        if found is None:
            return without(NOT_CONVERGED)
        if abs(found[0]) < SINGULAR:
            notes.append(NO_SUBJECT_VARIANCE)
    assert found is not None
    theta = found
    deviance, beta, unscaled, sigma2 = _profiled(patterns, theta)
    _value, gradient = _with_gradient(theta, patterns)
    beta = np.real(beta) + start
    covariance = float(np.real(sigma2)) * np.linalg.inv(np.real(unscaled))
    se = np.sqrt(np.diag(covariance))
    factor = _factor(theta)
    parts = float(np.real(sigma2)) * (factor @ factor.T)

    from scipy.special import chdtrc, ndtr

    last = len(used) - 1
    inner, outer = beta[-last:], covariance[-last:, -last:]
    wald = float(inner @ np.linalg.solve(outer, inner))
    changes = tuple(
        Change(
            week,
            int((measured[:, k] & (group == 1)).sum()),
            int((measured[:, k] & (group == 0)).sum()),
            float(beta[-last + k - 1]),
            float(se[-last + k - 1]),
            float(2 * ndtr(-abs(beta[-last + k - 1] / se[-last + k - 1]))),
        )
        for k, week in enumerate(used)
        if k
    )
    return Mixed(
        n1, n2, many,
        random_slope=slope,
        fixed=tuple(zip(names, beta.tolist(), se.tolist(), strict=True)),
        changes=changes,
        residual=float(np.real(sigma2)),
        intercept=float(parts[0, 0]),
        slope=float(parts[1, 1]) if slope else None,
        covariance=float(parts[0, 1]) if slope else None,
        wald=wald,
        df=last,
        p_value=float(chdtrc(last, wald)),
        log_likelihood=float(-np.real(deviance) / 2),
        gradient=float(np.abs(gradient).max()),
        notes=tuple(notes),
    )  # fmt: skip


def _patterns(
    grid: Floats, measured: NDArray[np.bool_], group: NDArray[np.int64], weeks: Sequence[int]
) -> tuple[list[_Pattern], Floats | None]:
    """Return the data by pattern of weeks, less a first least-squares fit, and that fit."""
    wide = len(weeks)
    cells = np.concatenate([np.ones((wide, 1)), np.eye(wide)[:, 1:]], axis=1)
    time = np.column_stack([np.ones(wide), np.array(weeks, np.float64) / 24])
    designs = [np.concatenate([cells, cells * g], axis=1) for g in (0, 1)]
    rows = np.concatenate([designs[g][m] for g, m in zip(group.tolist(), measured, strict=True)])
    start, *_rest = np.linalg.lstsq(rows, grid[measured], rcond=None)
    left = grid[measured] - rows @ start
    if float(left @ left) < 1e-20 * float(grid[measured].var() * left.size):
        return [], None
    found = []
    for seen in np.unique(measured, axis=0):
        who = np.flatnonzero((measured == seen).all(axis=1))
        x = np.stack([designs[g][seen] for g in group[who].tolist()])
        found.append(_Pattern(grid[who][:, seen] - x @ start, x, time[seen]))
    return found, start


def _factor(theta: NDArray[Any]) -> NDArray[Any]:
    """Return the lower triangle whose square is the covariance of the random part over that of residuals."""
    if theta.size == 1:
        return theta.reshape(1, 1)
    a, b, c = theta
    return np.array([[a, 0 * a], [b, c]])


def _profiled(patterns: list[_Pattern], theta: NDArray[Any]) -> tuple[Any, Any, Any, Any]:
    """Return minus twice the restricted log-likelihood, fixed terms, their information, residual variance.

    Analytic in ``theta`` throughout (no absolute value, no conjugate), so that complex steps differentiate it.
    """
    factor = _factor(theta)
    size = patterns[0].x.shape[2]
    information, right = np.zeros((size, size), factor.dtype), np.zeros(size, factor.dtype)
    squares: Any = 0.0
    log_det: Any = 0.0
    many = 0
    for p in patterns:
        half = p.z @ factor
        inverse = np.linalg.inv(np.eye(half.shape[0]) + half @ half.T)
        log_det = log_det - p.y.shape[0] * _log_det(inverse)
        weighted = np.einsum("ij,njk->nik", inverse, p.x)
        information = information + np.einsum("nik,nil->kl", p.x, weighted)
        right = right + np.einsum("nik,ni->k", weighted, p.y)
        squares = squares + np.einsum("ni,ij,nj->", p.y, inverse, p.y)
        many += p.y.size
    beta = np.linalg.solve(information, right)
    left = squares - beta @ right
    df = many - size
    sigma2 = left / df
    deviance = log_det + _log_det(information) + df * (1 + np.log(2 * np.pi * sigma2))
    return deviance, beta, information, sigma2


def _log_det(matrix: NDArray[Any]) -> Any:
    sign, size = np.linalg.slogdet(matrix)
    return size + np.log(sign) if np.iscomplexobj(matrix) else size


def _with_gradient(theta: Floats, patterns: list[_Pattern]) -> tuple[float, Floats]:
    tiny = 1e-30
    gradient = np.empty(theta.size)
    value = 0.0
    for k in range(theta.size):
        stepped = theta.astype(np.complex128)
        stepped[k] += tiny * 1j
        deviance = _profiled(patterns, stepped)[0]
        gradient[k], value = float(deviance.imag) / tiny, float(deviance.real)
    return value, gradient


def _optimum(patterns: list[_Pattern], start: Floats) -> Floats | None:
    """Return the covariance parameters at the maximum: BFGS to its neighbourhood, then Newton."""
    from scipy.optimize import minimize

    theta: Floats = minimize(
        _with_gradient,
        start,
        args=(patterns,),
        jac=True,
        method="BFGS",
        options={"gtol": 1e-5, "maxiter": 200},
    ).x
    for _step in range(8):
        _value, gradient = _with_gradient(theta, patterns)
        if not np.isfinite(gradient).all():
            return None
        wide = 1e-5
        hessian = np.stack(
            [
                (
                    _with_gradient(theta + wide * e, patterns)[1]
                    - _with_gradient(theta - wide * e, patterns)[1]
                )
                / (2 * wide)
                for e in np.eye(theta.size)
            ]
        )
        hessian = (hessian + hessian.T) / 2
        if np.linalg.eigvalsh(hessian).min() <= FLAT:  # flat: a variance of 0, or not determined
            break
        step = np.linalg.solve(hessian, gradient)
        if np.abs(step).max() > 0.5:
            break
        theta = theta - step
        if np.abs(step).max() < 1e-11:
            break
    value, gradient = _with_gradient(theta, patterns)
    if not np.isfinite(value) or np.abs(gradient).max() > 1e-3:
        return None
    signs = np.sign(theta[0]) or 1.0
    if theta.size == 1:
        return np.abs(theta)
    return np.array([theta[0] * signs, theta[1] * signs, abs(theta[2])])
