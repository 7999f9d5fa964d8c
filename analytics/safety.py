"""Safety by group: adverse events, grades of laboratory values, and the liver relative to its baseline.

Pure. Ratios are exact decimals. What is drawn is laid out here, in pixels, y downwards.

References
----------
Common Terminology Criteria for Adverse Events, version 5.0.
J. R. Senior, evaluation of drug-induced serious hepatotoxicity (eDISH): Watkins et al.,
Drug Safety 34 (2011) 243-252. There the axes count upper limits of normal; subjects of this
study begin far above them, so here they count each subject's own baseline.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from analytics.figures import Scale, Tick
from trial import protocol


def _(message: str) -> str:
    """Mark a sentence for translation; pages translate it when they show it."""
    return message


SEVERE = 3
RELATED = ("possible", "probable", "definite")

# --- adverse events -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Event:
    """One valid adverse event of a treated subject.

    ``days`` counts from the last infusion before it, ``number`` is that infusion;
    both are None when it began before the first.
    """

    event: int
    patient: int
    subject_id: str
    group: str
    term: str
    grade: int
    serious: bool
    relation: str
    days: int | None
    number: int | None

    @property
    def is_related(self) -> bool:
        return self.relation in RELATED


@dataclass(frozen=True, slots=True)
class Count:
    """Subjects with at least one event, and events, of one group."""

    group: str
    subjects: int
    events: int
    of: int

    @property
    def percent(self) -> int | None:
        return round(100 * self.subjects / self.of) if self.of else None


KINDS: dict[str, tuple[str, Callable[[Event], bool]]] = {
    "any": (_("any adverse event"), lambda event: True),
    "severe": (_("grade 3 or higher"), lambda event: event.grade >= SEVERE),
    "serious": (_("serious"), lambda event: event.serious),
    "related": (_("possibly, probably or definitely related"), lambda event: event.is_related),
    "fatal": (_("fatal (grade 5)"), lambda event: event.grade == 5),
}
"""What the first rows of the table count."""


@dataclass(frozen=True, slots=True)
class EventRow:
    """One row of the table: a kind or a term, counted by group."""

    kind: str
    term: str
    highest: int
    counts: tuple[Count, ...]


def event_rows(events: Sequence[Event], sizes: dict[str, int]) -> list[EventRow]:
    """Count events: first by what they were, then by term, the commonest first.

    Parameters
    ----------
    events
        Events of treated subjects.
    sizes
        Treated subjects by group.
    """
    rows = [_row(kind, "", [e for e in events if rule(e)], sizes) for kind, (_words, rule) in KINDS.items()]
    by_term: dict[str, list[Event]] = {}
    for event in events:
        by_term.setdefault(event.term, []).append(event)
    terms = [_row("", term, held, sizes) for term, held in by_term.items()]
    return rows + sorted(terms, key=lambda row: (-sum(c.subjects for c in row.counts), row.term))


def _row(kind: str, term: str, events: Sequence[Event], sizes: dict[str, int]) -> EventRow:
    counts = []
    for group in protocol.GROUP_CODES:
        here = [event for event in events if event.group == group]
        counts.append(Count(group, len({event.patient for event in here}), len(here), sizes.get(group, 0)))
    return EventRow(kind, term, max((event.grade for event in events), default=0), tuple(counts))


# --- time since the last infusion -----------------------------------------------------------

SPANS: tuple[tuple[str, int | None, int | None], ...] = (
    (_("before the first infusion"), None, None),
    (_("same day"), 0, 0),
    (_("1 to 7 days"), 1, 7),
    (_("8 to 28 days"), 8, 28),
    (_("29 to 84 days"), 29, 84),
    (_("later"), 85, 10**6),
)
"""How long after the last infusion an event began: label, first and last day."""


@dataclass(frozen=True, slots=True)
class SpanRow:
    """Events of one span by group: one dot each, by grade; the highest first."""

    words: str
    grades: tuple[tuple[str, tuple[int, ...]], ...]

    @property
    def total(self) -> int:
        return sum(len(grades) for _group, grades in self.grades)


def since_infusion(events: Sequence[Event]) -> list[SpanRow]:
    """Put events into spans of time since the last infusion."""
    rows = []
    for words, first, last in SPANS:
        held = [
            event
            for event in events
            if (event.days is None and first is None)
            or (
                event.days is not None
                and first is not None
                and last is not None
                and first <= event.days <= last
            )
        ]
        grades = tuple(
            (group, tuple(sorted((e.grade for e in held if e.group == group), reverse=True)))
            for group in protocol.GROUP_CODES
        )
        rows.append(SpanRow(words, grades))
    return rows


# --- grades of laboratory values ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LabGrade:
    """The worst grade of one term in one subject after the first infusion.

    ``worst`` follows the criteria with the abnormal-baseline rule, ``plain`` holds every
    value against the reference range alone, ``baseline`` is the grade of the baseline.
    """

    patient: int
    subject_id: str
    group: str
    term: str
    baseline: int | None
    worst: int | None
    plain: int | None

    @property
    def is_worse(self) -> bool:
        return (self.worst or 0) > (self.baseline or 0)


LAB_COUNTS: dict[str, tuple[str, Callable[[LabGrade], bool]]] = {
    "graded": (_("graded"), lambda one: one.worst is not None),
    "worse": (_("worse than baseline"), lambda one: one.is_worse),
    "severe": (_("grade ≥ 3"), lambda one: (one.worst or 0) >= SEVERE),
    "severe_worse": (
        _("grade ≥ 3 and worse than baseline"),
        lambda one: (one.worst or 0) >= SEVERE and one.is_worse,
    ),
    "severe_plain": (_("grade ≥ 3 by the reference range alone"), lambda one: (one.plain or 0) >= SEVERE),
}
"""What is counted of each term, by group."""


@dataclass(frozen=True, slots=True)
class LabRow:
    """One term: for each thing counted, the subjects by group."""

    term: str
    counts: tuple[tuple[str, tuple[int, ...]], ...]


def lab_rows(grades: Sequence[LabGrade]) -> list[LabRow]:
    """Count subjects by term, what is counted, and group."""
    return [
        LabRow(
            term,
            tuple(
                (
                    kind,
                    tuple(
                        sum(one.term == term and one.group == group and rule(one) for one in grades)
                        for group in protocol.GROUP_CODES
                    ),
                )
                for kind, (_words, rule) in LAB_COUNTS.items()
            ),
        )
        for term in sorted({one.term for one in grades})
    ]


# --- the liver relative to its baseline -----------------------------------------------------

ALT_TIMES, TBIL_TIMES = Decimal(3), Decimal(2)
"""The bounds of Hy's law, here multiples of the baseline: our reading, for subjects who begin abnormal."""


@dataclass(frozen=True, slots=True)
class Peak:
    """The highest ALT and TBIL after the first infusion, as multiples of the subject's baseline."""

    patient: int
    subject_id: str
    group: str
    alt: Decimal
    tbil: Decimal

    @property
    def is_both(self) -> bool:
        """Whether both are at or above their bounds."""
        return self.alt >= ALT_TIMES and self.tbil >= TBIL_TIMES


@dataclass(frozen=True, slots=True)
class Dot:
    """A subject on the plane; ``left`` and ``top`` are the corner of its square."""

    peak: Peak
    x: float
    y: float

    @property
    def left(self) -> float:
        return self.x - 4

    @property
    def top(self) -> float:
        return self.y - 4


@dataclass(frozen=True, slots=True)
class PeakFigure:
    """The plane of peaks, placed: dots, logarithmic ticks and the two bounds."""

    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float
    dots: tuple[Dot, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    x_bound: float
    y_bound: float

    @property
    def y_x_ticks(self) -> float:
        return self.bottom + 16

    @property
    def y_x_label(self) -> float:
        return self.bottom + 34

    @property
    def x_y_ticks(self) -> float:
        return self.left - 6

    @property
    def x_label(self) -> float:
        return self.left + 6

    @property
    def y_y_label(self) -> float:
        return self.top + 12


_TICKS = (
    Decimal("0.1"),
    Decimal("0.2"),
    Decimal("0.5"),
    Decimal(1),
    Decimal(2),
    Decimal(3),
    Decimal(5),
    Decimal(10),
    Decimal(20),
    Decimal(50),
)


def peak_figure(peaks: Sequence[Peak]) -> PeakFigure:
    """Lay out the peaks of ALT (across) and TBIL (upwards), both logarithmic."""
    width, height, left, top = 560.0, 380.0, 56.0, 14.0
    right, bottom = width - 14.0, height - 44.0

    def scale(
        values: Iterable[Decimal], bound: Decimal, begin: float, end: float
    ) -> tuple[Scale, tuple[Tick, ...]]:
        seen = [bound * 2, Decimal("0.4"), *(value for value in values if value > 0)]
        across = Scale(float(min(seen)) * 0.9, float(max(seen)) * 1.1, begin, end, log=True)
        ticks = tuple(Tick(across(t), f"{t}×") for t in _TICKS if across.low <= t <= across.high)
        return across, ticks

    x, x_ticks = scale((peak.alt for peak in peaks), ALT_TIMES, left, right)
    y, y_ticks = scale((peak.tbil for peak in peaks), TBIL_TIMES, bottom, top)
    dots = tuple(Dot(peak, x.clipped(peak.alt), y.clipped(peak.tbil)) for peak in peaks)
    return PeakFigure(
        width, height, left, right, top, bottom, dots, x_ticks, y_ticks, x(ALT_TIMES), y(TBIL_TIMES)
    )
