"""Geometry: what stands where, and that nothing falls off the paper."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest

from analytics import figures
from analytics.figures import Draw, GroupPoint, GroupSample, InfusionMark, Reading, Series
from trial.protocol import Direction, Limits


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        pytest.param(17, 152, [0, 100, 200], id="hundreds"),
        pytest.param(0.8, 2.1, [0, 1, 2, 3], id="a_ratio"),
        pytest.param(5, 5, [5, 7.5, 10], id="a_single_value"),
        pytest.param(-30, 95, [-100, 0, 100], id="both_sides_of_zero"),
    ],
)
def test_ticks_are_round_and_cover_the_range(low: float, high: float, ticks: list[float]) -> None:
    found = figures.nice_ticks(low, high, 3)
    assert found == ticks
    assert found[0] <= low
    assert found[-1] >= high


def test_log_ticks_cover_the_range() -> None:
    assert figures.log_ticks(17, 152) == [10, 20, 50, 100, 200]


def test_signs_are_typographic_and_zero_has_none() -> None:
    assert figures.with_sign(Decimal("-12.44"), 1) == "\N{MINUS SIGN}12.4"
    assert figures.with_sign(Decimal(24), 0) == "+24"
    assert figures.with_sign(Decimal("-0.04"), 1) == "0.0"


def a_series(*values: tuple[int, str], **fields: object) -> Series:
    given = {
        "code": "tbil",
        "label": "TBIL",
        "unit": "µmol/L",
        "decimals": 1,
        "readings": tuple(Reading(day, Decimal(value), value) for day, value in values),
        "reference": Limits(Decimal("7.3"), Decimal("26.1")),
        "reference_words": "ref 7.3-26.1",
        "direction": Direction.FALLS,
    }
    return Series(**(given | fields))


def a_trend(*series: Series, **fields: object) -> figures.Trend:
    days = sorted({r.day for one in series for r in one.readings})
    given = {"first_day": -3, "last_day": 90, "weeks": [0, 1, 4, 12], "today": 60}
    draws = [Draw(day, f"day {day}", "2026-01-01", ("somebody",)) for day in days]
    marks = [InfusionMark(1, 0, "given", "infusion 1")]
    return figures.trend(series, draws, marks, **(given | fields))


def test_a_fall_goes_down_the_page_and_later_stands_to_the_right() -> None:
    strip = a_trend(a_series((0, "142.6"), (28, "71.5"), (84, "17.1"))).strips[0]
    xs, ys = [dot.x for dot in strip.dots], [dot.y for dot in strip.dots]
    assert xs == sorted(xs)
    assert ys == sorted(ys)
    assert strip.last == "17.1"
    assert strip.change == "\N{MINUS SIGN}125.5 \N{MIDDLE DOT} \N{MINUS SIGN}88 %"


def test_every_dot_stands_inside_its_strip() -> None:
    trend = a_trend(
        a_series((0, "900"), (7, "3")), a_series((0, "1.2"), (7, "1.9"), reference=None), log=True
    )
    for strip in trend.strips:
        assert all(strip.top < dot.y < strip.bottom for dot in strip.dots)
        assert all(trend.left <= dot.x <= trend.right for dot in strip.dots)


def test_a_share_of_week_0_starts_at_100_and_has_no_reference() -> None:
    strip = a_trend(a_series((0, "50"), (28, "25")), relative=True).strips[0]
    texts = {tick.text for tick in strip.ticks}
    assert "100" in texts
    assert strip.bands == ()
    assert strip.unit == "%"


def test_without_a_value_before_day_0_nothing_is_divided_by_nothing() -> None:
    strip = a_trend(a_series((0, "0"), (28, "25")), relative=True).strips[0]
    assert strip.dots == ()
    assert strip.last == "\N{EN DASH}"


def test_an_empty_series_still_has_an_axis() -> None:
    trend = a_trend(a_series(), a_series((0, "10"), (7, "12")))
    assert trend.strips[0].ticks
    assert trend.strips[0].line == ""


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


def test_today_outside_the_axis_is_not_drawn() -> None:
    assert a_trend(a_series((0, "10")), today=400).today is None


def samples(*values: float, code: str = "C") -> GroupSample:
    ordered = sorted(values)
    return GroupSample(code, tuple(ordered), ordered[1], ordered[len(ordered) // 2], ordered[-2])


def test_far_points_are_counted_at_the_edge_not_dropped() -> None:
    far = samples(1, 2, 3, 4, 5, 6, 7, 900)
    figure = figures.contrast([[far, samples(2, 3, 4, 5, 6, code="D")]], [(1.0, -2.0, 4.0)])
    box = figure.rows[0][0]
    assert box.beyond_right == 1
    assert len(box.dots) + box.beyond_left + box.beyond_right == len(far.values)


def test_a_contrast_without_values_draws_an_empty_axis() -> None:
    nothing = GroupSample("C", (), None, None, None)
    figure = figures.contrast([[nothing, nothing]], [None])
    assert figure.rows[0][0].box_x is None
    assert figure.forest == (None,)
    assert len(figure.ticks) >= 2


def test_an_interval_that_runs_off_says_so() -> None:
    figure = figures.contrast(
        [[samples(1, 2, 3, 4)]] * 3, [(1.0, -1.0, 3.0), (0.5, -1.0, 2.0), (900.0, -5000.0, 9000.0)]
    )
    assert figure.forest[2] is not None
    assert figure.forest[2].off_left
    assert figure.forest[2].off_right
    assert 0 <= figure.forest[2].low <= figure.forest[2].high <= figure.forest_width


def spans(*found: tuple[int | None, int | None, str, str]) -> tuple[figures.Span, ...]:
    return tuple(
        figures.Span(first, last, Limits(Decimal(low), Decimal(high))) for first, last, low, high in found
    )


def test_the_reference_band_steps_on_the_day_the_range_changes() -> None:
    series = a_series((0, "60"), (28, "30"), spans=spans((None, 13, "5", "25"), (14, None, "5", "40")))
    trend = a_trend(series)
    before, after = trend.strips[0].bands
    assert (before.x, round(before.x + before.width, 2)) == (trend.left, after.x)
    assert round(after.x + after.width, 2) == trend.right
    assert after.y < before.y, "a wider range reaches higher"
    assert before.x < after.x < trend.strips[0].dots[1].x


def test_a_range_outside_the_drawn_days_is_not_drawn() -> None:
    series = a_series(
        (0, "60"),
        (28, "30"),
        spans=spans((None, -400, "5", "20"), (-399, 900, "5", "40"), (901, None, "5", "50")),
    )
    trend = a_trend(series)
    (band,) = trend.strips[0].bands
    assert (band.x, band.width) == (trend.left, trend.right - trend.left)
