"""Analysis of covariance: a later value on the log scale, given the earlier one, between two groups.

An interval that begins high can fall far; one that begins normal cannot fall at all.
Holding the earlier value equal answers what comparing the decreases does not.

References
----------
J. G. MacKinnon, H. White, Journal of Econometrics 29 (1985) 305-325 (HC3).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from analytics.samples import Floats, Sentence, _, say

TOO_FEW = _("not estimable (n = {n1} and {n2}): each group needs at least {least} pairs")
EARLIER_CONSTANT = Sentence(_("not estimable: the earlier values are all equal"))
LATER_CONSTANT = Sentence(_("not estimable: the later values are all equal"))
SEPARATED = Sentence(_("not estimable: the earlier value says exactly which group it is"))
NOTHING_LEFT = Sentence(_("not tested: the earlier value and the group explain every later value"))
ONE_APART = Sentence(
    _("not estimable: but for one subject, the earlier values of each group are all equal")
)  # its residual is 0 whatever it is, so that HC3 has no value

LEAST_PER_GROUP = 3
TERMS = ("intercept", "before", "arm")


@dataclass(frozen=True, slots=True)
class Coefficient:
    """A coefficient with classical and heteroscedasticity-consistent (HC3) errors.

    ``low`` and ``high`` are the classical 95 % interval from Student's t.
    """

    name: str
    estimate: float
    se: float
    low: float
    high: float
    p_value: float
    se_hc3: float
    low_hc3: float
    high_hc3: float
    p_hc3: float


@dataclass(frozen=True, slots=True)
class Adjusted:
    """Coefficients of ``log(later) ~ log(earlier) + group``, or the words why there are none."""

    n1: int
    n2: int
    df: int = 0
    coefficients: tuple[Coefficient, ...] = ()
    note: Sentence | None = None

    def __getitem__(self, name: str) -> Coefficient:
        return self.coefficients[TERMS.index(name)]


def ancova(before: ArrayLike, after: ArrayLike, arm: ArrayLike) -> Adjusted:
    """Fit ``log(after) = a + b log(before) + c arm`` by least squares.

    Parameters
    ----------
    before, after
        Positive values of the same subjects, shape (n,), in one unit.
    arm
        1 in the first group, 0 in the second, shape (n,).

    Returns
    -------
    Adjusted
        ``exp(c)`` is the ratio of geometric means at equal earlier values, group 1 over group 2.
        Intervals and p are classical (as R's ``lm``); HC3 stands beside them.
    """
    x1, y = np.log(np.asarray(before, np.float64)), np.log(np.asarray(after, np.float64))
    group = np.asarray(arm, np.float64)
    n1, n2 = int((group == 1).sum()), int((group == 0).sum())
    if min(n1, n2) < LEAST_PER_GROUP:
        return Adjusted(n1, n2, note=say(TOO_FEW, n1=n1, n2=n2, least=LEAST_PER_GROUP))
    if np.ptp(x1) == 0:
        return Adjusted(n1, n2, note=EARLIER_CONSTANT)
    if np.ptp(y) == 0:
        return Adjusted(n1, n2, note=LATER_CONSTANT)
    design = np.column_stack([np.ones_like(y), x1, group])
    if np.linalg.matrix_rank(design) < design.shape[1]:
        return Adjusted(n1, n2, note=SEPARATED)
    df = y.size - design.shape[1]
    q, r = np.linalg.qr(design)
    bread = np.linalg.inv(r)
    estimate: Floats = bread @ (q.T @ y)
    residual = y - design @ estimate
    variance = float(residual @ residual) / df
    leverage = (q**2).sum(axis=1)
    if variance < 1e-20 * float(y.var()):
        return Adjusted(n1, n2, df, note=NOTHING_LEFT)
    if bool((leverage > 1 - 1e-12).any()):
        return Adjusted(n1, n2, df, note=ONE_APART)
    covariance = bread @ bread.T
    meat = design * (residual / (1 - leverage))[:, None]
    robust = covariance @ (meat.T @ meat) @ covariance
    se, se_hc3 = np.sqrt(variance * np.diag(covariance)), np.sqrt(np.diag(robust))
    from scipy.special import stdtr, stdtrit

    reach = float(stdtrit(df, 0.975))
    coefficients = []
    for name, b, s, h in zip(TERMS, estimate.tolist(), se.tolist(), se_hc3.tolist(), strict=True):
        p, p_hc3 = (float(2 * stdtr(df, -abs(b / error))) for error in (s, h))
        coefficients.append(
            Coefficient(name, b, s, b - reach * s, b + reach * s, p, h, b - reach * h, b + reach * h, p_hc3)
        )
    return Adjusted(n1, n2, df, tuple(coefficients))
