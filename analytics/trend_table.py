"""The table under a subject's trend: the same values, and the same events, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from analytics import trend_words as words
from analytics.trend_figure import baseline, changes
from analytics.trend_lanes import InfusionMark, LaneItem
from analytics.trend_terms import Series
from patients.draw_marks import DrawMark
from patients.models import Visit

MOST_COLUMNS = 12
"""Draws that stand side by side; more of them go down the page instead."""


@dataclass(frozen=True, slots=True)
class Value:
    """One value of the table: printed, flagged, where it came from, and the revision that wrote it."""

    shown: str
    flag: str
    typed: str
    plasma: str = ""
    note: str = ""
    revision: int | None = None
    why_none: str = ""
    head: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """One draw of the table."""

    head: str
    date: str
    day: str
    url_week: int | None
    visit_id: int
    left_out: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One quantity of the table over all draws."""

    label: str
    unit: str
    values: tuple[Value | None, ...]
    change: str
    change_percent: str = ""
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Happening:
    """An infusion, a treatment or an event, for those who cannot point at its mark."""

    day: str
    kind: str
    words: str


@dataclass(frozen=True, slots=True)
class Table:
    """Columns and rows; ``turned`` has a draw in every row instead."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]

    @property
    def is_long(self) -> bool:
        return len(self.columns) > MOST_COLUMNS

    @property
    def turned(self) -> list[tuple[Column, list[Value | None]]]:
        """Every draw with its values, in the order of the rows."""
        return [
            (column, [row.values[place] for row in self.rows]) for place, column in enumerate(self.columns)
        ]


def column(visit: Visit, day: int, mark: DrawMark) -> Column:
    """Return the head of a draw."""
    return Column(
        head=words.short_head(visit),
        date=visit.visited_on.isoformat() if visit.visited_on else _("not recorded"),
        day=words.study_day(day),
        url_week=visit.week,
        visit_id=visit.pk,
        left_out=mark.left_out,
    )


def row(series: Series, values: Sequence[Value | None]) -> Row:
    """Return a quantity with its values and its change since week 0."""
    kept = [reading for reading in series.readings if not reading.left_out]
    change, percent = changes(kept[-1] if kept else None, baseline(series.readings), series.decimals)
    return Row(
        series.label,
        series.unit,
        tuple(values),
        change,
        percent if series.has_percent else "",
        series.refused,
    )


def happenings(
    infusions: Sequence[InfusionMark],
    treatments: Sequence[LaneItem],
    events: Sequence[LaneItem],
    ended: Sequence[tuple[int, str]] = (),
) -> list[Happening]:
    """Return everything that stands above the strips, and what ended the follow-up, by day."""
    found = [
        (mark.day, _("Infusion"), mark.words) for mark in infusions if mark.state not in ("ghost", "planned")
    ]
    found += [(item.first, _("Treatment"), item.words) for item in treatments]
    found += [(item.first, _("Adverse event"), item.words) for item in events]
    found += [(day, _("Outcome"), text) for day, text in ended]
    return [
        Happening(words.study_day(day), kind, text)
        for day, kind, text in sorted(found, key=lambda one: one[0])
    ]
