"""Reads survival of one contrast: as treated from the first infusion, and from the landmark.

The body is what JSON holds, and is kept per revision (:mod:`analytics.reports`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from analytics import follow_up, survival
from analytics.code_version import digest_of
from analytics.follow_up import FollowUp
from analytics.reports import Made, report
from analytics.samples import Floats, Sentence
from analytics.survival import Curve, Difference, End
from trial import protocol
from trial.protocol import Population

CAUSES = (End.DIED, End.TRANSPLANTED)
LATER_WEEKS = (52, 104, 156, 208, 260, 520, 1040)
"""Marks beyond the weeks of the protocol, for a study that was followed longer."""
MOST_MARKS = 8
_CODE = digest_of("survival", "follow_up", "survival_reading")


def stored(pair: tuple[str, str], population: Population) -> Made:
    """Return survival of a contrast for the data as they stand, worked out at most once per revision."""
    key = f"{protocol.contrast_key(pair)}/{population.value}/{_CODE}"
    return report("survival", key, lambda: body(follow_up.courses(), pair, population))


def body(
    courses: Sequence[follow_up.Course], pair: tuple[str, str], population: Population
) -> dict[str, Any]:
    """Return both sides of a contrast as plain values.

    Parameters
    ----------
    courses
        Everybody treated.
    pair
        Two strata, as of :data:`trial.protocol.CONTRASTS`.
    population
        Eligible or treated; the landmark side takes those of them who reached it.
    """
    return {
        "pair": list(pair),
        "sides": [
            _side("treated", follow_up.follow(courses, population), pair),
            _side("landmark", follow_up.follow(courses, population, landmark=True), pair),
        ],
        "unfair": _unfair(courses, pair, population),
    }


def _side(name: str, everybody: FollowUp, pair: tuple[str, str]) -> dict[str, Any]:
    who = everybody.of(pair)
    own = [who.members(code) for code in pair]
    number = np.where(own[0], 0, 1) if who.days.size else np.zeros(0, np.int64)
    longest = max([float(who.alive_days.max()) if who.days.size else 0.0, 0.0])
    marks = marks_for(longest, who.origin)
    panels = []
    for cause in CAUSES:
        curves = [survival.cumulative_incidence(who.days[mine], who.ends[mine], cause) for mine in own]
        test = survival.gray(who.days, who.ends, number, cause)
        risk = [survival.at_risk(who.days[mine], marks) for mine in own]
        panels.append(_panel(cause.name.lower(), pair, curves, test, risk, marks))
    alive = [survival.kaplan_meier(who.alive_days[mine], who.died[mine]) for mine in own]
    test = survival.logrank(who.alive_days, who.died, number)
    risk = [survival.at_risk(who.alive_days[mine], marks) for mine in own]
    panels.append(_panel("alive", pair, alive, test, risk, marks))
    return {
        "name": name,
        "origin": who.origin,
        "unseen": everybody.unseen,
        "marks": [{"day": mark, "week": (mark + who.origin) // 7} for mark in marks],
        "longest": longest,
        "groups": [
            {
                "code": code,
                "n": int(mine.sum()),
                "died": int(who.died[mine].sum()),
                "transplanted": int((who.ends[mine] == End.TRANSPLANTED).sum()),
            }
            for code, mine in zip(pair, own, strict=True)
        ],
        "panels": panels,
    }


def marks_for(longest: float, origin: int) -> list[int]:
    """Return the days, from the origin on, under which numbers at risk stand."""
    weeks = [week for week in protocol.WEEKS if week * 7 >= origin]
    if longest > protocol.WEEKS[-1] * 7 + protocol.VISITS[-1].window.after:
        weeks += [week for week in LATER_WEEKS if week * 7 - origin <= longest]
    return [week * 7 - origin for week in weeks][:MOST_MARKS]


def _panel(
    kind: str,
    pair: tuple[str, str],
    curves: Sequence[Curve],
    test: Difference,
    risk: Sequence[Sequence[int]],
    marks: Sequence[int],
) -> dict[str, Any]:
    return {
        "kind": kind,
        "test": {
            "method": test.method,
            "statistic": test.statistic,
            "df": test.df,
            "p": test.p_value,
            "events": list(test.events),
            "note": sentence(test.note),
        },
        "curves": [
            {
                "code": code,
                "n": curve.n,
                "events": curve.events,
                "start": curve.start,
                "last": curve.last_day,
                "days": curve.days.tolist(),
                "value": curve.value.tolist(),
                "low": _known(curve.low),
                "high": _known(curve.high),
                "at": [curve.at(mark) for mark in marks],
                "at_risk": list(numbers),
            }
            for code, curve, numbers in zip(pair, curves, risk, strict=True)
        ],
    }


def _known(values: Floats) -> list[float | None]:
    return [value if np.isfinite(value) else None for value in values.tolist()]


def _unfair(
    courses: Sequence[follow_up.Course], pair: tuple[str, str], population: Population
) -> dict[str, int] | None:
    """Count the guarantee time of a contrast between courses; nothing where the courses are the same."""
    if not of_courses(pair):
        return None
    everybody = follow_up.follow(courses, population).of(pair)
    short = everybody.members(pair[1])
    early = everybody.days < protocol.LANDMARK_DAY
    ends = everybody.ends
    return {
        "died_early": int((short & early & (ends == End.DIED)).sum()),
        "transplanted_early": int((short & early & (ends == End.TRANSPLANTED)).sum()),
        "gone_early": int((short & early & (ends == End.FOLLOWED)).sum()),
        "late_fifth": int((everybody.fifth > protocol.LANDMARK_DAY).sum()),
    }


def of_courses(pair: tuple[str, str]) -> bool:
    """Return whether a contrast compares the prolonged course with the standard one."""
    groups = {group.code: group for group in protocol.GROUPS}
    if not set(pair) <= groups.keys():
        return False
    return groups[pair[0]].course != groups[pair[1]].course


def sentence(note: Sentence | None) -> dict[str, Any] | None:
    """Return a sentence as JSON holds it."""
    return None if note is None else {"text": note.text, "fields": dict(note.values)}
