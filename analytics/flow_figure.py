"""Where the boxes of the flow diagram stand: geometry only, no markup, no database.

Lengths are pixels, y downwards. The page and the files for a journal draw the same plan.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trial import protocol

if TYPE_CHECKING:
    from analytics.flow import Box, Flow

WIDTH = 1040.0
GAP, LINE, PAD, TITLE = 26.0, 18.0, 9.0, 20.0
MAIN_X, MAIN_WIDTH = 60.0, 330.0
SIDE_X, SIDE_WIDTH = 470.0, 540.0
LABEL_WIDTH = 64.0


@dataclass(frozen=True, slots=True)
class Row:
    """A line inside a box: its words, how many, and the address of its own list."""

    code: str
    words: str
    n: int
    y: float


@dataclass(frozen=True, slots=True)
class Place:
    """A box on the plan; ``group`` gives it its colour, ``y_title`` is the base line of its title."""

    code: str
    title: str
    n: int
    x: float
    y: float
    width: float
    height: float
    rows: tuple[Row, ...]
    group: str = ""

    @property
    def middle(self) -> float:
        return self.x + self.width / 2

    @property
    def x_text(self) -> float:
        return self.x + 12

    @property
    def x_number(self) -> float:
        return self.x + self.width - 10

    @property
    def bottom(self) -> float:
        return self.y + self.height

    @property
    def y_title(self) -> float:
        return self.y + PAD + 12


@dataclass(frozen=True, slots=True)
class Arrow:
    """A line through points, with a head at its end."""

    points: tuple[tuple[float, float], ...]

    @property
    def path(self) -> str:
        return "M" + "L".join(f"{x:g},{y:g}" for x, y in self.points)


@dataclass(frozen=True, slots=True)
class WeekLabel:
    """The name of a row of follow-up boxes."""

    words: str
    y: float


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole diagram."""

    width: float
    height: float
    places: tuple[Place, ...]
    arrows: tuple[Arrow, ...]
    weeks: tuple[WeekLabel, ...]


def _height(rows: int) -> float:
    return 2 * PAD + TITLE - 4 + rows * LINE


def draw(flow: Flow, words: Callable[[Box], str], week_words: Callable[[int], str]) -> Plan:
    """Lay the diagram out.

    Parameters
    ----------
    flow
        The boxes with their subjects.
    words
        Says a box in the reader's language.
    week_words
        Says a week.

    Returns
    -------
    Plan
        Empty reasons are left out; a box of the trunk and a group stays even when empty.
    """
    places: list[Place] = []
    arrows: list[Arrow] = []

    def put(code: str, x: float, y: float, width: float, inside: Sequence[Box] = ()) -> Place:
        box = flow[code]
        shown = [one for one in inside if one.n]
        rows = tuple(
            Row(one.code, words(one), one.n, y + PAD + TITLE + 10 + place * LINE)
            for place, one in enumerate(shown)
        )
        made = Place(code, words(box), box.n, x, y, width, _height(len(rows)), rows, box.group)
        places.append(made)
        return made

    def beside(trunk: Place, codes: Sequence[str]) -> float:
        """Put what leaves the trunk to its right; return where the trunk goes on."""
        y = trunk.bottom + GAP / 2
        for code in codes:
            side = put(code, SIDE_X, y, SIDE_WIDTH, flow.below(code))
            middle = side.y + side.height / 2
            arrows.append(Arrow(((trunk.middle, middle), (SIDE_X, middle))))
            y = side.bottom + GAP / 2
        return y + GAP / 2

    registered = put("registered", MAIN_X, GAP / 2, MAIN_WIDTH)
    enrolled = put("enrolled", MAIN_X, beside(registered, ("not_eligible", "screening")), MAIN_WIDTH)
    treated = put("treated", MAIN_X, beside(enrolled, ("untreated",)), MAIN_WIDTH)
    for above, below in ((registered, enrolled), (enrolled, treated)):
        arrows.append(Arrow(((above.middle, above.bottom), (below.middle, below.y))))

    wide = (WIDTH - LABEL_WIDTH - GAP / 2) / len(protocol.GROUP_CODES)
    column = {code: LABEL_WIDTH + number * wide for number, code in enumerate(protocol.GROUP_CODES)}
    y = treated.bottom + 1.5 * GAP
    branch = treated.bottom + 0.75 * GAP
    last = y
    for diagnosis in protocol.DIAGNOSIS_CODES.values():
        groups = protocol.STRATA[diagnosis]
        left, right = column[groups[0]], column[groups[-1]] + wide
        box = put(diagnosis, (left + right) / 2 - MAIN_WIDTH / 2, y, MAIN_WIDTH)
        arrows.append(
            Arrow(
                (
                    (treated.middle, treated.bottom),
                    (treated.middle, branch),
                    (box.middle, branch),
                    (box.middle, y),
                )
            )
        )
        fork = box.bottom + GAP / 2
        for group in groups:
            place = put(group, column[group] + 6, box.bottom + GAP, wide - 12)
            arrows.append(
                Arrow(
                    (
                        (box.middle, box.bottom),
                        (box.middle, fork),
                        (place.middle, fork),
                        (place.middle, place.y),
                    )
                )
            )
            last = place.bottom

    y = last
    weeks = []
    for week in protocol.WEEKS:
        y += GAP
        inside = {
            group: [box for box in flow.below(group) if box.week == week and box.n]
            for group in protocol.GROUP_CODES
        }
        tall = 2 * PAD - 3 + LINE * max(1, *(len(rows) for rows in inside.values()))
        weeks.append(WeekLabel(week_words(week), y + PAD + 12))
        for group, boxes in inside.items():
            rows = tuple(
                Row(box.code, words(box), box.n, y + PAD + 12 + place * LINE)
                for place, box in enumerate(boxes)
            )
            place = Place(f"{group}-{week}", "", 0, column[group] + 6, y, wide - 12, tall, rows, group)
            places.append(place)
            arrows.append(Arrow(((place.middle, y - GAP), (place.middle, y))))
        y += tall
    return Plan(WIDTH, y + GAP / 2, tuple(places), tuple(arrows), tuple(weeks))
