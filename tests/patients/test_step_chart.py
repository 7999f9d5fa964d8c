"""The enrolment chart: lines that end where the counts are, labels that do not cover one another."""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest

from patients import step_chart

START = date(2025, 1, 10)


def days(*after: int) -> list[date]:
    return [START + timedelta(days=n) for n in after]


def drawn(entered: dict[str, list[date]], today: date | None = None) -> step_chart.StepChart:
    chart = step_chart.draw(entered, today or START + timedelta(days=400))
    assert chart is not None
    return chart


def heights(path: str) -> list[float]:
    return [float(y) for y in re.findall(r"V([\d.]+)", path)]


def test_nobody_entered_nothing_is_drawn() -> None:
    assert step_chart.draw({"A": [], "B": []}, START) is None


def test_lines_end_at_their_count_and_groups_without_subjects_have_none() -> None:
    chart = drawn({"A": days(0, 30, 60), "B": days(5), "C": [], "D": days(1, 2)})
    assert [(line.code, line.count) for line in chart.lines] == [("A", 3), ("B", 1), ("D", 2)]
    by_code = {line.code: line for line in chart.lines}
    assert by_code["A"].end_y < by_code["D"].end_y < by_code["B"].end_y
    for line in chart.lines:
        assert heights(line.path)[-1] == line.end_y


def test_a_line_never_falls() -> None:
    chart = drawn({"A": days(*range(0, 390, 3))})
    steps = heights(chart.lines[0].path)
    assert steps == sorted(steps, reverse=True)
    assert len(steps) <= step_chart.MOST_STEPS + 3


@pytest.mark.parametrize(
    "counts", [(37, 27, 28, 31), (1, 1, 1, 1), (40, 40, 40, 40), (0, 0, 0, 9), (90, 1, 1, 1)]
)
def test_labels_keep_apart_and_inside(counts: tuple[int, ...]) -> None:
    chart = drawn({code: days(*range(n)) for code, n in zip("ABCD", counts, strict=True)})
    places = sorted(line.label_y for line in chart.lines)
    gaps = [below - above for above, below in zip(places, places[1:], strict=False)]
    assert all(gap >= step_chart.LABEL_STEP for gap in gaps)
    assert all(0 < place <= step_chart.HEIGHT for place in places)


@pytest.mark.parametrize(
    ("most", "top", "levels"), [(1, 1, 2), (4, 4, 5), (37, 40, 5), (123, 150, 4), (9000, 10000, 5)]
)
def test_levels_are_round_and_few(most: int, top: int, levels: int) -> None:
    chart = drawn({"A": days(*([3] * most))})
    values = [level.value for level in chart.levels]
    assert values[0] == 0
    assert values[-1] == top
    assert len(values) == levels


def test_months_are_named_in_order_without_crowding() -> None:
    chart = drawn({"A": days(0, 700)}, START + timedelta(days=701))
    labels = [month.label for month in chart.months]
    assert labels == sorted(labels)
    assert 2 <= len(labels) <= 5


def test_one_subject_today_is_enough() -> None:
    chart = drawn({"B": days(0)}, START)
    assert chart.lines[0].count == 1
