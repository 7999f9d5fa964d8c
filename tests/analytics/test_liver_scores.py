"""Child-Pugh and ALBI: every bound from both sides, the published vectors, and words for what is missing."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from analytics import liver_scores
from analytics.liver_scores import albi, child_pugh
from trial import vocabulary

BEST: dict[str, Any] = {
    "tbil": Decimal(17),
    "albumin": Decimal(40),
    "inr": Decimal("1.0"),
    "ascites": "none",
    "encephalopathy": "0",
}


@pytest.mark.parametrize(
    ("name", "value", "points"),
    [
        ("tbil", "34.1999", 1), ("tbil", "34.2", 2), ("tbil", "51.3", 2), ("tbil", "51.3001", 3),
        ("albumin", "35.1", 1), ("albumin", "35", 2), ("albumin", "28", 2), ("albumin", "27.9", 3),
        ("inr", "1.69", 1), ("inr", "1.7", 2), ("inr", "2.3", 2), ("inr", "2.31", 3),
        ("ascites", "none", 1), ("ascites", "moderate", 2), ("ascites", "severe", 3),
        ("encephalopathy", "0", 1), ("encephalopathy", "1", 2), ("encephalopathy", "2", 2),
        ("encephalopathy", "3", 3), ("encephalopathy", "4", 3),
    ],
)  # fmt: skip
def test_every_class_holds_its_bounds(name: str, value: str, points: int) -> None:
    given = value if name in vocabulary.FINDINGS else Decimal(value)
    found = child_pugh(**{**BEST, name: given})
    assert {part.code: part.points for part in found.parts}[name] == points
    assert found.points == 4 + points == sum(part.points for part in found.parts)


@pytest.mark.parametrize(("points", "grade"), [(5, "A"), (6, "A"), (7, "B"), (9, "B"), (10, "C"), (15, "C")])
def test_classes_by_points(points: int, grade: str) -> None:
    assert liver_scores.class_of(points) == grade


def test_worst_of_all_is_fifteen_points() -> None:
    worst = child_pugh(
        tbil=Decimal(300), albumin=Decimal(20), inr=Decimal(3), ascites="severe", encephalopathy="4"
    )
    assert (worst.points, worst.grade, worst.why_not) == (15, "C", "")


@pytest.mark.parametrize(("pt", "points"), [("15.9", 1), ("16", 2), ("18", 2), ("18.1", 3)])
def test_prothrombin_time_stands_in_for_a_missing_inr(pt: str, points: int) -> None:
    found = child_pugh(**{**BEST, "inr": None}, pt=Decimal(pt), pt_control=Decimal(12))
    assert found.points == 4 + points
    # a measured INR comes first
    assert child_pugh(**BEST, pt=Decimal(pt), pt_control=Decimal(12)).points == 5


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"ascites": ""}, "not computable: ascites not recorded"),
        ({"inr": None, "tbil": None}, "not computable: TBIL, INR missing"),
        (
            {"albumin": None, "encephalopathy": ""},
            "not computable: Albumin missing; encephalopathy not recorded",
        ),
        ({"inr": None, "pt": Decimal(15)}, "not computable: INR missing, and PT has no control value"),
        ({"tbil": Decimal(0)}, "not computable: TBIL of 0 µmol/L is not above zero"),
        ({"albumin": Decimal("NaN")}, "not computable: Albumin of NaN g/L is outside 5 to 99"),
        ({"ascites": "unheard-of"}, "not computable: ascites not recorded"),
    ],
)
def test_what_is_missing_is_named(given: dict[str, Any], words: str) -> None:
    found = child_pugh(**{**BEST, **given})
    assert (found.points, found.grade, found.parts) == (None, "", ())
    assert found.why_not == words


@pytest.mark.parametrize(
    ("tbil", "albumin", "shown", "grade"),
    [
        (32, 28, "-1.39", 3), (31, 28, "-1.40", 2), (15, 40, "-2.62", 1),
        # 0.66 log10(100) = 1.32: the score is exactly on the bound, and just off it
        (100, "31.882352941176470588235294", "-1.39", 3), (100, "31.8824", "-1.39", 2),
        (10, "38.35294117647058823529411765", "-2.60", 1), (10, "38.3529", "-2.60", 2),
    ],
)  # fmt: skip
def test_albi(tbil: object, albumin: object, shown: str, grade: int) -> None:
    found = albi(tbil=Decimal(str(tbil)), albumin=Decimal(str(albumin)))
    assert found.value is not None
    assert (f"{found.value:.2f}", found.grade) == (shown, grade)
    assert sum(part.points for part in found.parts) == pytest.approx(found.value)


def test_albi_says_what_is_missing() -> None:
    assert albi(tbil=None, albumin=Decimal(30)).why_not == "not computable: TBIL missing"
    assert albi(tbil=Decimal(0), albumin=Decimal(30)).why_not.endswith("is not above zero")
    assert albi(tbil=Decimal(10), albumin=None).value is None
