"""The worked example of the documentation holds what this repository computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from analytics import guarantee_time
from analytics.choice import p_words
from analytics.study_arrays import Ended
from trial.protocol import Population

PAGE = Path(__file__).parents[2] / "docs" / "landmark.md"
STUDIES = 200


def rows() -> list[str]:
    """Return the lines of the documented table."""
    example = guarantee_time.example()
    naive, fair = Population.TREATED, Population.LANDMARK
    lines = []

    def line(label: str, *cells: str) -> None:
        lines.append("| " + " | ".join((label, *cells)) + " |")

    def deaths(died: int, subjects: int) -> str:
        return f"{died} of {subjects} ({100 * died / subjects:.0f} %)"

    for population, label in ((naive, "infusions received"), (fair, "infusions until day 28")):
        found = example.deaths[population]
        line(
            f"deaths by week 24, {label}",
            deaths(*found.prolonged),
            deaths(*found.standard),
            p_words(found.test.p_value or 0),
        )
    for population, label in ((naive, "infusions received"), (fair, "infusions until day 28")):
        level = example.baseline[population]
        assert level.group1 is not None and level.group2 is not None and level.p_value is not None
        medians = [f"{side.summary.median:.1f}" for side in (level.group1, level.group2)]
        line(f"median TBIL at week 0, {label}", *medians, p_words(level.p_value))
    return lines


def test_the_documented_numbers_are_computed() -> None:
    page = PAGE.read_text(encoding="utf-8")
    missing = [line for line in rows() if line not in page]
    assert not missing, "\n".join(missing)
    found = guarantee_time.how_often_misled(studies=STUDIES)
    assert f"{found[Population.TREATED]} of {STUDIES}" in page
    assert f"{found[Population.LANDMARK]} of {STUDIES}" in page


def test_nothing_depends_on_the_planned_course() -> None:
    arrays = guarantee_time.study()
    assert arrays.subject_ids == guarantee_time.study().subject_ids
    assert np.array_equal(arrays.values["tbil"], guarantee_time.study().values["tbil"])
    # whoever died before the fifth infusion stands among the standard courses, and only there
    early = arrays.ended[:, 2] == Ended.DEAD
    prolonged = arrays.members(Population.TREATED, "A")
    assert early.any()
    assert not early[prolonged].any()
    assert not early[arrays.members(Population.LANDMARK, "ALL")].any()
