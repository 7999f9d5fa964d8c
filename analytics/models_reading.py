"""Reads the models of one contrast: ANCOVA of log TBIL, mixed model over all visits, hazard of the course.

The body is what JSON holds, and is kept per revision (:mod:`analytics.reports`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analytics import cox, follow_up, frames, mixed, regression
from analytics.code_version import digest_of
from analytics.follow_up import FollowUp
from analytics.reports import Made, report
from analytics.samples import MISSING, SCALE, Floats, Sentence, _, say
from analytics.study_arrays import StudyArrays
from analytics.survival import End
from analytics.survival_reading import of_courses, sentence
from trial import protocol
from trial.protocol import Population

ANALYTE = protocol.PRIMARY_ANALYTE
WEEKS_AFTER = (4, 12, 24)
LANDMARK_WEEK = 4
"""The visit of the landmark day: the value from which the landmark version starts."""
SAME_COURSE = Sentence(_("not asked: both groups have the same course"))
NOT_POSITIVE = _("{n} values of 0 or below have no logarithm and were left out")

_CODE = digest_of("regression", "mixed", "cox", "survival", "follow_up", "models_reading")

R_CODE: Mapping[str, str] = {
    "read": """follow <- read.csv("follow_up.csv")
labs   <- read.csv("labs_wide.csv", fileEncoding = "UTF-8-BOM")[c("subject_id", "week", "tbil")]
labs   <- labs[labs$week %in% c(0, 1, 4, 12, 24), ]
wide   <- reshape(labs, idvar = "subject_id", timevar = "week", direction = "wide")
data   <- merge(wide, follow, by = "subject_id")
pair   <- c({groups1}, {groups2})
data   <- data[data$group %in% pair{eligible}, ]
data$arm <- as.integer(data$group %in% c({groups1}))""",
    "ancova": """fit <- lm(log(tbil.12) ~ log(tbil.0) + arm, data)   # also tbil.4, tbil.24
exp(cbind(coef(fit), confint(fit)))["arm", ]; summary(fit)""",
    "ancova_landmark": """reached <- merge(wide, follow, by = "subject_id")
reached <- reached[reached$landmark_group %in% pair{reached_eligible}, ]
reached$arm <- as.integer(reached$landmark_group %in% c({groups1}))
fit <- lm(log(tbil.12) ~ log(tbil.4) + arm, reached)   # also tbil.24
exp(cbind(coef(fit), confint(fit)))["arm", ]; summary(fit)""",
    "mixed": """long <- merge(labs[!is.na(labs$tbil), ], data[c("subject_id", "arm")], by = "subject_id")
long$time <- long$week / 24; long$week <- factor(long$week)
fit <- lme4::lmer(log(tbil) ~ week * arm + ({random} | subject_id), long, REML = TRUE)
summary(fit)   # exp() of week:arm are the ratios""",
    "cox": """library(survival)
half <- function(days) ifelse(days == 0, 0.5, days)
treated <- follow[follow$group %in% pair & !is.na(follow$days){follow_eligible}, ]
treated$arm <- as.integer(treated$group %in% c({groups1}))
coxph(Surv(half(days), end > 0) ~ arm, treated)                       # naive
still <- follow[follow$landmark_group %in% pair & !is.na(follow$landmark_days){follow_eligible}, ]
still$arm <- as.integer(still$landmark_group %in% c({groups1}))
coxph(Surv(half(landmark_days), end > 0) ~ arm, still)                # landmark
late <- !is.na(treated$fifth_day) & treated$fifth_day < treated$days
rows <- rbind(with(treated, data.frame(start = 0, stop = ifelse(late, fifth_day, half(days)),
                                       event = !late & end > 0, arm = 0)),
              with(treated[late, ], data.frame(start = fifth_day, stop = days, event = end > 0, arm = 1)))
coxph(Surv(start, stop, event) ~ arm, rows)                           # the course as it begins""",
}
"""What repeats the numbers in R, from ``follow_up.csv`` of the survival page and ``labs_wide`` of the export."""


def r_code(pair: tuple[str, str], population: Population, *, random_slope: bool) -> dict[str, str]:
    """Return the R code of each model for a contrast."""

    def quoted(stratum: str) -> str:
        return ", ".join(f'"{code}"' for code in protocol.STRATA[stratum])

    eligible = population is Population.ELIGIBLE
    fields = {
        "groups1": quoted(pair[0]),
        "groups2": quoted(pair[1]),
        "eligible": " & data$eligible == 1" if eligible else "",
        "reached_eligible": " & reached$eligible == 1" if eligible else "",
        "follow_eligible": " & follow$eligible == 1" if eligible else "",
        "random": "1 + time" if random_slope else "1",
    }
    return {name: code.format(**fields) for name, code in R_CODE.items()}


def formulas(*, random_slope: bool) -> dict[str, str]:
    """Return what each model is, as a formula."""
    return {
        "ancova": "log(TBIL k) ~ log(TBIL 0) + group",
        "ancova_landmark": "log(TBIL k) ~ log(TBIL 4) + group on day 28",
        "mixed": f"log(TBIL) ~ week * group + ({'1 + time' if random_slope else '1'} | subject)",
        "cox": "hazard(t) ~ prolonged(t)",
    }


def stored(pair: tuple[str, str], population: Population) -> Made:
    """Return the models of a contrast for the data as they stand, worked out at most once per revision."""
    key = f"{protocol.contrast_key(pair)}/{population.value}/{_CODE}"
    return report(
        "models", key, lambda: body(frames.study(codes=[ANALYTE]), follow_up.courses(), pair, population)
    )


def body(
    study: StudyArrays,
    courses: Sequence[follow_up.Course],
    pair: tuple[str, str],
    population: Population,
) -> dict[str, Any]:
    """Return the fitted models as plain values.

    Parameters
    ----------
    study, courses
        Values and dates of everybody.
    pair
        Two strata, as of :data:`trial.protocol.CONTRASTS`.
    population
        Eligible or treated.
    """
    inside, values = _values(study, pair, population, landmark=False)
    reached, later = _values(study, pair, population, landmark=True)
    fit = mixed.mixed(values, inside, protocol.WEEKS)
    zero = _not_positive(study, pair, population)
    return {
        "pair": list(pair),
        "left_out": sentence(say(NOT_POSITIVE, n=zero)) if zero else None,
        "ancova": [_adjusted(values, inside, week, protocol.BASELINE_WEEK) for week in WEEKS_AFTER],
        "ancova_landmark": [
            _adjusted(later, reached, week, LANDMARK_WEEK) for week in WEEKS_AFTER if week > LANDMARK_WEEK
        ],
        "mixed": _mixed(fit),
        "cox": _hazards(courses, pair, population),
    }


def _values(
    study: StudyArrays, pair: tuple[str, str], population: Population, *, landmark: bool
) -> tuple[Floats, Floats]:
    """Return 1 for subjects of the first group and 0 for the second, and their values by week."""
    grouped = Population.LANDMARK if landmark else population
    among = set(study.members(population, "ALL").tolist())
    rows, arm = [], []
    for code, stratum in zip((1, 0), pair, strict=True):
        mine = [row for row in study.members(grouped, stratum).tolist() if row in among]
        rows += mine
        arm += [code] * len(mine)
    grid = study.values.get(ANALYTE, np.full((len(study.subject_ids), len(protocol.WEEKS)), MISSING))[rows]
    scaled = grid.reshape(len(rows), len(protocol.WEEKS))
    found = np.where((scaled == MISSING) | (scaled <= 0), np.nan, scaled / SCALE)
    return np.array(arm, np.float64), found


def _not_positive(study: StudyArrays, pair: tuple[str, str], population: Population) -> int:
    if ANALYTE not in study.values:
        return 0
    rows = np.concatenate([study.members(population, stratum) for stratum in pair])
    grid = study.values[ANALYTE][rows]
    return int(((grid != MISSING) & (grid <= 0)).sum())


def _adjusted(values: Floats, arm: Floats, week: int, before: int) -> dict[str, Any]:
    pair = values[:, [protocol.WEEKS.index(before), protocol.WEEKS.index(week)]]
    both = np.isfinite(pair).all(axis=1)
    fit = regression.ancova(pair[both, 0], pair[both, 1], arm[both])
    found: dict[str, Any] = {
        "week": week, "n1": fit.n1, "n2": fit.n2, "df": fit.df, "note": sentence(fit.note), "ratio": None, "p": None,
    }  # fmt: skip
    if fit.coefficients:
        c, slope = fit["arm"], fit["before"]
        found |= {
            "ratio": [math.exp(x) for x in (c.estimate, c.low, c.high)],
            "p": c.p_value,
            "robust": [math.exp(c.low_hc3), math.exp(c.high_hc3), c.p_hc3],
            "estimate": c.estimate,
            "se": c.se,
            "before": slope.estimate,
        }
    return found


def _mixed(fit: mixed.Mixed) -> dict[str, Any]:
    return {
        "n1": fit.n1,
        "n2": fit.n2,
        "values": fit.values,
        "random_slope": fit.random_slope,
        "notes": [sentence(note) for note in fit.notes],
        "residual": fit.residual,
        "intercept": fit.intercept,
        "slope": fit.slope,
        "covariance": fit.covariance,
        "wald": fit.wald,
        "df": fit.df,
        "p": fit.p_value,
        "log_likelihood": fit.log_likelihood,
        "gradient": fit.gradient,
        "rows": [
            {
                "week": c.week, "n1": c.n1, "n2": c.n2, "ratio": list(c.ratio), "p": c.p_value,
                "estimate": c.estimate, "se": c.se, "note": None,
            }
            for c in fit.changes
        ],
    }  # fmt: skip


def _hazards(
    courses: Sequence[follow_up.Course], pair: tuple[str, str], population: Population
) -> dict[str, Any]:
    if not of_courses(pair):
        return {"note": sentence(SAME_COURSE), "rows": []}
    everybody = follow_up.follow(courses, population).of(pair)
    still = follow_up.follow(courses, population, landmark=True).of(pair)
    tables = {
        "naive": _fixed(everybody, pair[0]),
        "landmark": _fixed(still, pair[0]),
        "time_dependent": cox.switching(everybody.days, everybody.ends != End.FOLLOWED, everybody.fifth),
    }
    return {"note": None, "rows": [_hazard(name, cox.cox(rows)) for name, rows in tables.items()]}


def _fixed(who: FollowUp, prolonged: str) -> cox.Rows:
    return cox.fixed(who.days, who.ends != End.FOLLOWED, who.members(prolonged))


def _hazard(name: str, fit: cox.Hazard) -> dict[str, Any]:
    note = sentence(fit.note)
    return {
        "name": name,
        "n": fit.n,
        "events1": fit.events[1],
        "events2": fit.events[0],
        "days1": fit.person_days[1],
        "days2": fit.person_days[0],
        "ties": fit.ties,
        "steps": fit.steps,
        "ratio": None if fit.ratio is None else list(fit.ratio),
        "estimate": fit.log_ratio,
        "se": fit.se,
        "p": fit.p_value,
        "note": note,
    }


# --- the forest -----------------------------------------------------------------------------

FOREST_WIDTH, EDGE = 260, 14
LEAST_REACH, MOST_REACH = math.log(2), math.log(16)


@dataclass(frozen=True, slots=True)
class Forest:
    """Ratios on a common logarithmic axis, in pixels."""

    width: int
    one: float
    ticks: tuple[tuple[float, str], ...]
    rows: tuple[dict[str, Any] | None, ...]


def forest(ratios: Sequence[Sequence[float] | None]) -> Forest:
    """Return where ratios and their intervals stand; what reaches beyond the axis ends in an arrow."""
    known = [abs(math.log(end)) for ratio in ratios if ratio for end in ratio if end > 0]
    reach = min(max([LEAST_REACH, *known]), MOST_REACH) * 1.02
    middle = FOREST_WIDTH / 2

    def at(value: float) -> float:
        share = max(-1.0, min(1.0, math.log(max(value, 1e-12)) / reach))
        return round(middle + share * (middle - EDGE), 1)

    rows = tuple(
        None
        if not ratio
        else {
            "low": at(ratio[1]),
            "high": at(ratio[2]),
            "estimate": at(ratio[0]),
            "off_left": ratio[1] < math.exp(-reach),
            "off_right": ratio[2] > math.exp(reach),
        }
        for ratio in ratios
    )
    labels = ((1 / 16, "1/16"), (1 / 8, "1/8"), (1 / 4, "1/4"), (1 / 2, "1/2"), (1.0, "1"), (2.0, "2"), (4.0, "4"), (8.0, "8"), (16.0, "16"))  # fmt: skip
    ticks = tuple((at(value), words) for value, words in labels if abs(math.log(value)) <= reach)
    return Forest(FOREST_WIDTH, at(1.0), ticks, rows)
