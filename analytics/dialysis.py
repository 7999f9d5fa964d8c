"""Whether a draw counts as taken under renal replacement, as MELD asks.

Pure. Hours and days are those of the site. Two dialyses, or a day of continuous
haemodialysis, within the seven days before the draw: creatinine then says what the
machine does, and the score takes its upper bound.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

SESSION, CONTINUOUS = "dialysis", "cvvhd"
"""The treatments of :data:`trial.vocabulary.RENAL_REPLACEMENT`; the rule treats them apart."""

WINDOW = timedelta(days=7)
SESSIONS_NEEDED = 2
HOURS_NEEDED = timedelta(hours=24)
ONE_SESSION_AT_MOST = timedelta(hours=24)
NOON = time(12)
"""Stands for an hour that is not recorded, where hours are added up; our assumption."""


@dataclass(frozen=True, slots=True)
class Renal:
    """One row of renal replacement. A session without an end took place on its day; continuous goes on."""

    kind: str
    started_on: date
    started_at: time | None = None
    ended_on: date | None = None
    ended_at: time | None = None

    @property
    def start(self) -> datetime:
        return datetime.combine(self.started_on, self.started_at or NOON)

    @property
    def end(self) -> datetime | None:
        return None if self.ended_on is None else datetime.combine(self.ended_on, self.ended_at or NOON)


@dataclass(frozen=True, slots=True)
class DrawTime:
    """The day of a draw at the site, and its hour if that is known."""

    day: date
    hour: time | None = None

    @property
    def moment(self) -> datetime:
        return datetime.combine(self.day, self.hour or NOON)


def under_dialysis(draw: DrawTime | None, given: Iterable[Renal]) -> bool:
    """Return whether the rule of MELD holds at a draw.

    Parameters
    ----------
    draw
        When the creatinine was drawn; without a day the rule cannot hold.
    given
        Renal replacement of the subject.

    Notes
    -----
    At least two sessions of haemodialysis, or at least 24 hours of continuous
    haemodialysis, in the seven days before the draw, both ends included (OPTN policy
    9.1.D). Sessions count by the hour when both hours are known, otherwise by the day:
    one on the day of the draw counts. A row of haemodialysis longer than a day stands
    for a session on each of its days; our assumption.
    """
    if draw is None:
        return False
    rows = list(given)
    sessions = sum(_sessions(row, draw) for row in rows if row.kind == SESSION)
    if sessions >= SESSIONS_NEEDED:
        return True
    return _continuous([row for row in rows if row.kind == CONTINUOUS], draw.moment) >= HOURS_NEEDED


def _sessions(row: Renal, draw: DrawTime) -> int:
    end = row.end
    if end is None or row.ended_on == row.started_on or end - row.start <= ONE_SESSION_AT_MOST:
        return int(_is_before(row, draw))
    first = max(row.started_on, draw.day - WINDOW)
    last = min(row.ended_on or row.started_on, draw.day)
    return max((last - first).days + 1, 0)


def _is_before(row: Renal, draw: DrawTime) -> bool:
    if draw.hour is not None and row.started_at is not None:
        return timedelta() <= draw.moment - row.start <= WINDOW
    return timedelta() <= draw.day - row.started_on <= WINDOW


def _continuous(rows: list[Renal], until: datetime) -> timedelta:
    """Return for how long it ran within the window; what two rows share counts once."""
    total, reached = timedelta(), until - WINDOW
    for row in sorted(rows, key=lambda row: row.start):
        end = min(row.end or until, until)
        start = max(row.start, reached)
        if end > start:
            total += end - start
            reached = end
    return total
