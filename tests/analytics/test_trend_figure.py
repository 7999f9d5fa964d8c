"""Geometry of a subject's trend: nothing falls off the paper, and what cannot be drawn is said."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from analytics import trend_figure, trend_lanes
from analytics.figures import Scale
from analytics.trend_figure import PAPER, SCREEN
from analytics.trend_lanes import InfusionMark, LaneItem
from analytics.trend_terms import Draw, GroupPoint, Happened, Obstacle, Reading, Series, Span, Trend
from trial.protocol import Direction, Limits

MINUS = "\N{MINUS SIGN}"
AT_MOST, AT_LEAST = "\N{LESS-THAN OR EQUAL TO}", "\N{GREATER-THAN OR EQUAL TO}"


def a_series(*values: tuple[float, str], **fields: Any) -> Series:
    """Return a series; what is measured on day 0 is week 0, and every day is a draw of its own."""
    given: dict[str, Any] = {
        "code": "tbil",
        "label": "TBIL",
        "unit": "µmol/L",
        "decimals": 1,
        "readings": tuple(a_reading(day, value) for day, value in values),
        "reference": Limits(Decimal("7.3"), Decimal("26.1")),
        "reference_words": "ref 7.3 to 26.1",
        "direction": Direction.FALLS,
    }
    return Series(**(given | fields))


def a_reading(day: float, value: str, **fields: Any) -> Reading:
    comparator = value[0] if value[0] in "<>" else ""
    given: dict[str, Any] = {"week": 0 if day == 0 else None, "draw": int(day * 10), "comparator": comparator}
    return Reading(day, Decimal(value.lstrip("<>")), value, **(given | fields))


def a_trend(*series: Series, **fields: Any) -> Trend:
    days = sorted({r.day for one in series for r in one.readings})
    given: dict[str, Any] = {
        "first_day": -3,
        "last_day": 90,
        "weeks": [(0, "0"), (1, "1"), (4, "4"), (12, "12")],
        "today": 60,
    }
    draws = [Draw(day, f"day {day}", "2026-01-01", int(day * 10), ("somebody",)) for day in days]
    happened = Happened([InfusionMark(1, 0, "given", "infusion 1")], "Infusions", "1 given")
    return trend_figure.trend(series, draws, happened, **(given | fields))


def test_a_fall_goes_down_the_page_and_later_stands_to_the_right() -> None:
    strip = a_trend(a_series((0, "142.6"), (28, "71.5"), (84, "17.1"))).strips[0]
    xs, ys = [dot.x for dot in strip.dots], [dot.y for dot in strip.dots]
    assert xs == sorted(xs)
    assert ys == sorted(ys)
    assert strip.last == "17.1"
    assert strip.changes == f"{MINUS}125.5 \N{MIDDLE DOT} {MINUS}88 %"


@pytest.mark.parametrize("sheet", [SCREEN, PAPER], ids=["screen", "paper"])
@pytest.mark.parametrize("log", [False, True], ids=["linear", "log"])
@pytest.mark.parametrize(
    "values",
    [
        [(0, "900"), (7, "3")],
        [(0, "1.2"), (7, "1.9")],
        [(28, "171")],
        [(0, "5"), (7, "5"), (28, "5")],
        [(0, "0"), (7, "0")],
        [(0, "0"), (7, "12")],
        [(0, "-4"), (7, "12")],
        [(-20, "<5"), (7, ">400")],
        [],
    ],
    ids=["wide", "narrow", "one_point", "all_equal", "all_zero", "zero", "negative", "limits", "nothing"],
)
def test_every_dot_and_tick_stands_inside_its_strip(values: Any, log: bool, sheet: Any) -> None:
    trend = a_trend(a_series(*values), a_series(*values, reference=None), log=log, first_day=-25, sheet=sheet)
    for strip in trend.strips:
        assert len(strip.dots) == len(values)
        assert all(strip.top < dot.y < strip.bottom for dot in strip.dots)
        assert all(strip.top < tick.at < strip.bottom for tick in strip.ticks)
        assert all(trend.left <= dot.x <= trend.right for dot in strip.dots)
        assert strip.ticks
        assert all(below.at - above.at >= 17 for above, below in pairwise(strip.ticks))


def test_a_single_value_and_equal_values_stand_in_the_middle() -> None:
    for values in ([(28, "171")], [(0, "5"), (28, "5")]):
        for log in (False, True):
            (strip,) = a_trend(a_series(*values, reference=None), log=log).strips
            assert strip.dots[0].y == pytest.approx((strip.top + strip.bottom) / 2, abs=0.5)


@pytest.mark.parametrize("values", [[(0, "0"), (7, "12")], [(0, "-4"), (7, "12")]])
def test_a_logarithm_of_zero_or_less_stays_linear_and_says_so(values: Any) -> None:
    assert a_trend(a_series(*values), log=True).strips[0].obstacle == Obstacle.NOT_POSITIVE
    assert a_trend(a_series(*values)).strips[0].obstacle == ""


def test_equal_ratios_are_equal_steps_on_a_log_axis() -> None:
    (strip,) = a_trend(a_series((0, "400"), (28, "200"), (84, "100")), log=True).strips
    first, second, third = (dot.y for dot in strip.dots)
    assert second - first == pytest.approx(third - second, abs=0.05)


def test_a_share_of_week_0_starts_at_100_and_has_no_reference() -> None:
    trend = a_trend(a_series((-9, "80"), (0, "50"), (28, "25")), relative=True)
    (strip,) = trend.strips
    texts = {tick.text for tick in strip.ticks}
    assert "100" in texts
    assert strip.bands == ()
    assert strip.unit == "%"
    assert strip.dots[1].y == next(tick.at for tick in strip.ticks if tick.text == "100")


@pytest.mark.parametrize(
    ("values", "obstacle"),
    [
        ([(0, "0"), (28, "25")], Obstacle.ZERO_BASELINE),
        ([(-7, "50"), (28, "25")], Obstacle.NO_BASELINE),
        ([], Obstacle.EMPTY),
    ],
    ids=["zero", "missing", "nothing"],
)
def test_without_week_0_no_share_is_drawn_and_the_strip_says_why(values: Any, obstacle: Obstacle) -> None:
    (strip,) = a_trend(a_series(*values), relative=True).strips
    assert strip.dots == ()
    assert strip.line == ""
    assert strip.obstacle == obstacle
    assert "%" not in strip.changes


def test_a_change_needs_the_visit_of_week_0_not_just_an_early_value() -> None:
    (strip,) = a_trend(a_series((-7, "50"), (28, "25"))).strips
    assert strip.lacks_baseline
    assert strip.changes == ""
    assert strip.last == "25"


@pytest.mark.parametrize(
    ("base", "last", "change", "percent"),
    [
        ("100", "<5", f"{AT_MOST} {MINUS}95.0", f"{AT_MOST} {MINUS}95 %"),
        ("100", ">500", f"{AT_LEAST} +400.0", f"{AT_LEAST} +400 %"),
        ("<5", "20", f"{AT_LEAST} +15.0", ""),
        (">500", "20", f"{AT_MOST} {MINUS}480.0", ""),
        ("<5", "<5", "", ""),
        ("0", "20", "+20.0", ""),
    ],
)
def test_a_change_from_or_to_a_limit_is_a_bound(base: str, last: str, change: str, percent: str) -> None:
    found = trend_figure.changes(a_reading(28, last), a_reading(0, base), 1)
    assert found == (change, percent)


def test_values_at_a_limit_after_plasma_and_after_the_end_differ_in_shape() -> None:
    readings = (
        a_reading(0, "90"),
        a_reading(7, "80", hollow=True),
        a_reading(14, "<5"),
        a_reading(21, ">400"),
        a_reading(28, "60", left_out=True),
        a_reading(35, "50", left_out=True),
    )
    (strip,) = a_trend(a_series(readings=readings)).strips
    assert [dot.shape for dot in strip.dots] == ["dot", "hollow", "below", "above", "out", "out"]
    assert len(strip.line.split()) == 4, "what came after the end is no part of the line"
    assert len(strip.after.split()) == 2
    assert strip.last == ">400", "the latest value is the last that is analysed"


def test_an_empty_series_still_has_an_axis() -> None:
    trend = a_trend(a_series(), a_series((0, "10"), (7, "12")))
    assert trend.strips[0].ticks
    assert trend.strips[0].line == ""
    assert trend.strips[0].last == "\N{EN DASH}"
    assert trend.strips[0].obstacle == Obstacle.EMPTY


def test_a_refused_value_is_said_in_its_strip() -> None:
    (strip,) = a_trend(a_series(refused="not drawn, unit unknown: 4 stone")).strips
    assert strip.refused
    assert strip.obstacle == ""


def test_the_group_ribbon_goes_there_and_back() -> None:
    around = (GroupPoint(0, 100, 150, 200), GroupPoint(28, 60, 80, 120))
    strip = a_trend(a_series((0, "142"), (28, "71"), group=around)).strips[0]
    assert len(strip.ribbon.split()) == 4
    assert len(strip.median.split()) == 2


def test_each_moment_belongs_to_one_draw() -> None:
    trend = a_trend(a_series((0, "10"), (7, "12"), (28, "9")))
    edges = [(draw.left, draw.left + draw.width) for draw in trend.draws]
    assert edges[0][0] == trend.left
    assert edges[-1][1] == pytest.approx(trend.right)
    for (_a, end), (start, _b) in pairwise(edges):
        assert end == pytest.approx(start)
    assert all(len(draw.rings) == 1 for draw in trend.draws)


def test_two_draws_of_a_day_keep_their_own_values() -> None:
    trend = a_trend(a_series((7, "12"), (7.4, "15")))
    assert [[ring.shown for ring in draw.rings] for draw in trend.draws] == [["12"], ["15"]]


def test_sixty_draws_keep_their_labels_apart_and_every_card_on_the_sheet() -> None:
    values = tuple((float(day), str(100 - day)) for day in range(-3, 57))
    trend = a_trend(a_series(*values), last_day=60)
    shown = [draw.x for draw in trend.draws if draw.show_date]
    assert 3 < len(shown) < 16
    assert all(b - a >= SCREEN.gap for a, b in pairwise(shown))
    for draw in trend.draws:
        (cell,) = draw.cells
        assert cell.card_x >= 0
        assert cell.card_x + trend_figure.CARD_WIDTH <= trend.width
        assert cell.card_x > draw.x or cell.card_x + trend_figure.CARD_WIDTH < draw.x, "covers its own value"


def test_today_outside_the_axis_is_not_drawn() -> None:
    assert a_trend(a_series((0, "10")), today=400).today is None


def test_a_reference_that_changes_is_a_step() -> None:
    spans = (
        Span(None, 13, Limits(Decimal(7), Decimal(40))),
        Span(14, None, Limits(Decimal(9), Decimal(50))),
    )
    trend = a_trend(a_series((0, "10"), (28, "60"), spans=spans))
    before, after = trend.strips[0].bands
    assert (before.x, round(before.x + before.width, 2)) == (trend.left, after.x)
    assert round(after.x + after.width, 2) == trend.right
    assert after.y < before.y, "the upper limit rose"
    assert before.x < after.x < trend.strips[0].dots[1].x


def test_a_reference_of_another_time_is_no_band() -> None:
    limits = Limits(Decimal(7), Decimal(40))
    series = a_series((0, "10"), (28, "60"), spans=(Span(None, -50, limits), Span(-49, None, limits)))
    trend = a_trend(series)
    (band,) = trend.strips[0].bands
    assert (band.x, band.width) == (trend.left, trend.right - trend.left)


# --- lanes ----------------------------------------------------------------------------------

ACROSS = Scale(0, 100, 200, 1200)


def an_item(
    first: int, last: int | None = None, label: str = "plasma 400 mL", look: str = "plasma"
) -> LaneItem:
    return LaneItem(first, last, label, label, look)


def test_what_happened_at_the_same_time_stands_in_rows_and_is_never_lost() -> None:
    items = [an_item(10, label=f"fever {number}, 6 d after infusion 5") for number in range(9)]
    (lane,), end = trend_lanes.placed({"Events": items}, ACROSS, SCREEN, start=50)
    assert len(lane.items) == 9
    assert len({item.y for item in lane.items}) == trend_lanes.MOST_ROWS
    assert sum(1 for item in lane.items if not item.label) == lane.unlabelled == 9 - trend_lanes.MOST_ROWS
    assert lane.bottom == end > 50 + SCREEN.lane
    assert all(lane.top < item.y < lane.bottom for item in lane.items)


def test_words_stand_apart_and_an_empty_lane_keeps_its_row() -> None:
    lanes, end = trend_lanes.placed({"A": [an_item(5), an_item(60)], "B": []}, ACROSS, SCREEN, start=0)
    first, second = lanes[0].items
    assert first.y == second.y
    assert first.label_x + trend_lanes.text_width(first.label, SCREEN.letter) < second.x
    assert end == 2 * SCREEN.lane


def test_a_bar_is_cut_by_the_axis_and_what_is_over_before_it_is_left_out() -> None:
    items = [an_item(-300, 400, "entecavir", "bar"), an_item(-300, -200, "lamivudine", "bar")]
    (lane,), _end = trend_lanes.placed({"Treatment": items}, ACROSS, SCREEN, start=0)
    (bar,) = lane.items
    assert bar.x == 200
    assert bar.x + bar.width == 1200
    assert bar.label, "the words of a long bar stand on it"


def test_given_infusions_stand_on_top_of_ghosts() -> None:
    marks = [
        InfusionMark(4, 21, "late", "4"),
        InfusionMark(4, 19, "ghost", "was due"),
        InfusionMark(9, 300, "planned", "9"),
    ]
    assert [mark.state for mark in trend_lanes.infusions(marks, ACROSS, SCREEN)] == ["ghost", "late"]


def test_text_is_broken_at_spaces_and_chinese_letters_count_double() -> None:
    assert trend_lanes.wrapped("one two three", 40, 10) == ["one two", "three"]
    assert trend_lanes.wrapped("", 40, 10) == []
    assert trend_lanes.wrapped("中文中文中文", 40, 10) == ["中文中文", "中文"]
    assert "".join(trend_lanes.wrapped("x" * 50, 40, 10)) == "x" * 50
