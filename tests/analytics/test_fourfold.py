"""Fisher's p, the odds ratio and its limits against R 4.2's ``fisher.test``."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest

from analytics.fourfold import SEARCH_TOLERANCE, Fourfold, root
from analytics.samples import CONFIDENCE

TABLES = Path(__file__).parent / "data" / "fisher.csv"


def test_fourfold_tables_as_r() -> None:
    with TABLES.open() as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == 300
    for row in rows:
        a, b, c, d = (int(row[cell]) for cell in "abcd")
        table = Fourfold(a, b, c, d)
        low, high = table.limits(CONFIDENCE)
        ours = (table.p_value(), low, math.inf if high is None else high)
        assert ours == pytest.approx([float(row[x]) for x in ("p_value", "ci_low", "ci_high")], rel=1e-9), row
        ratio = table.odds_ratio()
        # Where both ends are equally far from the root, R's first step hangs on its last bit.
        tied = abs((a + b) * (a + c) / (a + b + c + d) - a) in (a - max(0, a - d), min(b, c))
        tolerance = {"abs": SEARCH_TOLERANCE} if tied else {"rel": 1e-9}
        estimate = math.inf if ratio is None else ratio
        assert estimate == pytest.approx(float(row["estimate"]), **tolerance), row


def test_a_root_is_as_near_as_asked() -> None:
    for tolerance in (1e-2, 1e-4, 1e-12):
        assert root(lambda x: x**3 - 2, 0.0, 2.0, tolerance) == pytest.approx(2 ** (1 / 3), abs=tolerance)
    assert root(lambda x: x - 1, 0.0, 1.0, 1e-4) == 1.0
