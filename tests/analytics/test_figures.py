"""Geometry: what stands where, and that nothing falls off the paper."""

from __future__ import annotations

from decimal import Decimal

import pytest

from analytics import figures
from analytics.figures import GroupSample


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


def samples(*values: float, code: str = "C") -> GroupSample:
    ordered = sorted(values)
    return GroupSample(code, tuple(ordered), ordered[1], ordered[len(ordered) // 2], ordered[-2])


def test_far_points_are_counted_at_the_edge_not_dropped() -> None:
    far = samples(1, 2, 3, 4, 5, 6, 7, 900)
    figure = figures.contrast([[far, samples(2, 3, 4, 5, 6, code="D")]], [(1.0, -2.0, 4.0)])
    box = figure.rows[0][0]
    assert box.beyond_right == 1
    assert len(box.dots) + box.beyond_left + box.beyond_right == len(far.values)


def test_a_contrast_without_values_has_no_scale() -> None:
    nothing = GroupSample("C", (), None, None, None)
    figure = figures.contrast([[nothing, nothing]], [None])
    assert figure.rows[0][0].box_x is None
    assert figure.forest == (None,)
    assert (figure.ticks, figure.zero, figure.forest_ticks) == ((), None, ())
    assert figures.contrast([[samples(2, 3, 4), nothing]], [None]).ticks


def test_an_interval_that_runs_off_says_so() -> None:
    figure = figures.contrast(
        [[samples(1, 2, 3, 4)]] * 3, [(1.0, -1.0, 3.0), (0.5, -1.0, 2.0), (900.0, -5000.0, 9000.0)]
    )
    assert figure.forest[2] is not None
    assert figure.forest[2].off_left
    assert figure.forest[2].off_right
    assert 0 <= figure.forest[2].low <= figure.forest[2].high <= figure.forest_width
