"""Where days lie on a drawn time axis, in percent of its width. Pure geometry.

Positions are text with two decimals, fit for an SVG attribute, so that a drawing
grows with its page and its letters do not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from patients.schedule import Appointment, Kind, State


def percent(share: float) -> str:
    """Write a share as an SVG length."""
    return f"{100 * share:.2f}%"


@dataclass(frozen=True, slots=True)
class DayScale:
    """An axis from the start of its first day to the end of its last; a day's mark stands at its middle."""

    first: date
    last: date

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    def share(self, day: date) -> float:
        """Return the middle of a day as a share of the width; beyond 0 to 1 when it is off the axis."""
        return ((day - self.first).days + 0.5) / self.days

    def at(self, day: date) -> str:
        """Return the middle of a day."""
        return percent(self.share(day))

    def shows(self, day: date) -> bool:
        return self.first <= day <= self.last

    def span(self, first: date, last: date) -> Span | None:
        """Return the bar over whole days, cut at the ends of the axis; None when it lies beyond."""
        if last < self.first or first > self.last or last < first:
            return None
        shown_first, shown_last = max(first, self.first), min(last, self.last)
        start = (shown_first - self.first).days / self.days
        length = ((shown_last - shown_first).days + 1) / self.days
        return Span(percent(start), percent(length), first < self.first, last > self.last)

    def mondays(self) -> Iterator[date]:
        """Yield the Mondays on the axis."""
        day = self.first + timedelta(days=-self.first.weekday() % 7)
        while day <= self.last:
            yield day
            day += timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Span:
    """A bar: where it starts, how long it is, and at which end it runs off the axis."""

    x: str
    width: str
    cut_left: bool
    cut_right: bool


@dataclass(frozen=True, slots=True)
class Line:
    """A stretch between two positions."""

    start: str
    end: str


@dataclass(frozen=True, slots=True)
class WindowMark:
    """One row of the queue on the shared calendar.

    ``window`` is the grey bar, ``due`` where the diamond or the drop stands,
    ``late`` the red line from the closed window to today.
    """

    is_infusion: bool
    window: Span | None
    due: str
    late: Line | None


def queue_scale(today: date) -> DayScale:
    """Return the calendar of the queue: 17 days back, 10 ahead."""
    return DayScale(today - timedelta(days=17), today + timedelta(days=10))


def window_mark(appointment: Appointment, scale: DayScale, today: date) -> WindowMark | None:
    """Draw an appointment on the shared calendar; None when it has no dates."""
    if appointment.due_on is None or appointment.opens_on is None or appointment.closes_on is None:
        return None
    late = None
    if appointment.state is State.OVERDUE:
        start = max((appointment.closes_on - scale.first).days + 1, 0) / scale.days
        late = Line(percent(start), scale.at(today))
    return WindowMark(
        appointment.kind is Kind.INFUSION,
        scale.span(appointment.opens_on, appointment.closes_on),
        scale.at(appointment.due_on) if scale.shows(appointment.due_on) else "",
        late,
    )
