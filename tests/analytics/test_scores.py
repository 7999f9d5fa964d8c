"""The MELD family against published and independently computed vectors, and every edge of it."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics import scores
from analytics.samples import MISSING, scaled
from analytics.scores import ScoreResult
from trial import protocol, units

with (Path(__file__).parent / "data" / "meld-vectors.csv").open(encoding="utf-8", newline="") as lines:
    VECTORS = list(csv.DictReader(lines))

FUNCTIONS: dict[str, Callable[..., float]] = {
    "meld_2001_raw": scores.meld_2001,
    "meld_2001_bounded": scores.meld_2001_bounded,
    "meld_aetiology_unos_coef": scores.meld_aetiology,
    "meld_unos_2002": scores.meld_unos_2002,
    "meld_na_optn2016": scores.meld_na_optn2016,
    "meld_na_optn2016_i_int": scores.meld_na_optn2016_reported,
    "meld_na_kim2008": scores.meld_na_kim2008,
    "meld_3_0": scores.meld_3_0,
    "meld_3_0_registered_under_18": scores.meld_3_0,
}


def d(text: str) -> Decimal:
    return Decimal(text)


def arguments(row: dict[str, str]) -> dict[str, float | bool | int]:
    score = row["score"]
    values: dict[str, float | bool | int] = {
        "bilirubin_mg_dl": float(row["bilirubin_mg_dl"]),
        "inr": float(row["inr"]),
        "creatinine_mg_dl": float(row["creatinine_mg_dl"]),
    }
    if score != "meld_2001_raw":
        values["dialysed"] = row["dialysis"] == "1"
    if row["aetiology_term"]:
        values["aetiology"] = int(row["aetiology_term"])
    if row["sodium_mmol_l"]:
        values["sodium_mmol_l"] = float(row["sodium_mmol_l"])
    if row["albumin_g_dl"]:
        values |= {"albumin_g_dl": float(row["albumin_g_dl"]), "female": row["sex"] == "f"}
        values["registered_under_18"] = score.endswith("under_18")
    return values


@pytest.mark.parametrize("row", VECTORS, ids=[f"{i + 2}-{row['score']}" for i, row in enumerate(VECTORS)])
def test_vector(row: dict[str, str]) -> None:
    value = FUNCTIONS[row["score"]](**arguments(row))
    assert value == pytest.approx(float(row["expected_unrounded"]), abs=1e-6)
    assert scores.reported(value, bounded=row["score"] != "meld_2001_raw") == int(row["expected_reported"])


@pytest.mark.parametrize(
    "row",
    [row for row in VECTORS if row["score"] in protocol.SCORE_AT and row["aetiology_term"] != "0"],
    ids=lambda row: f"{row['score']}-{row['expected_unrounded']}",
)
def test_vector_in_standard_units(row: dict[str, str]) -> None:
    result = scores.compute(
        row["score"],
        {
            "tbil": d(row["bilirubin_mg_dl"]) * units.BILIRUBIN_UMOL_PER_MG_DL,
            "inr": d(row["inr"]),
            "creatinine": d(row["creatinine_mg_dl"]) * units.CREATININE_UMOL_PER_MG_DL,
            "sodium": d(row["sodium_mmol_l"]) if row["sodium_mmol_l"] else None,
            "albumin": d(row["albumin_g_dl"]) * 10 if row["albumin_g_dl"] else None,
        },
        sex=row["sex"].upper() or "M",
        age=40,
        dialysed=row["dialysis"] == "1",
    )
    assert result.value is not None, result.why_not
    assert float(result.value) == pytest.approx(float(row["expected_unrounded"]), abs=1e-6)


ORDINARY = {
    "tbil": d("171"),
    "inr": d("1.5"),
    "creatinine": d("106.08"),
    "sodium": d("130"),
    "albumin": d("28"),
}


def score(variant: str, /, **changes: Decimal | None) -> ScoreResult:
    return scores.compute(variant, {**ORDINARY, **changes}, sex="M", age=40)


def test_reported_meld_na_rounds_meld_before_sodium_enters() -> None:
    """Bilirubin 1, INR 1.51, creatinine 1, sodium 125: MELD is 11.046, and the readings are 12 points apart."""
    result = score("meld_na_optn2016", tbil=d("17.1"), inr=d("1.51"), creatinine=d("88.4"), sodium=d("125"))
    assert float(result.value or 0) == pytest.approx(22.511559, abs=1e-6)
    assert result.reported == 11


@pytest.mark.parametrize(
    ("variant", "code", "measured", "used"),
    [
        ("meld_unos_2002", "tbil", "17.0", "17.1"),
        ("meld_unos_2002", "inr", "0.99", "1"),
        ("meld_unos_2002", "creatinine", "88.3", "88.4"),
        ("meld_unos_2002", "creatinine", "353.7", "353.6"),
        ("meld_na_optn2016", "sodium", "118", "125"),
        ("meld_na_optn2016", "sodium", "150", "137"),
        ("meld_3_0", "creatinine", "300", "265.2"),
        ("meld_3_0", "albumin", "12", "15"),
        ("meld_3_0", "albumin", "45", "35"),
    ],
)
def test_beyond_a_bound_the_bound_counts(variant: str, code: str, measured: str, used: str) -> None:
    beyond, at = score(variant, **{code: d(measured)}), score(variant, **{code: d(used)})
    assert beyond.value == at.value is not None
    entry = next(entry for entry in beyond.inputs_used if entry.code == code)
    assert (entry.used, entry.clamped_from) == (d(used), d(measured))
    assert used in str(entry.note)
    kept = next(entry for entry in at.inputs_used if entry.code == code)
    assert (kept.clamped_from, kept.note) == (None, None)


def test_the_raw_score_has_no_bounds() -> None:
    result = score("meld_2001_raw", tbil=d("8.55"), creatinine=d("44.2"), inr=d("0.9"))
    assert result.value is not None and result.value < 0
    assert result.reported is not None and result.reported < 0
    assert all(entry.clamped_from is None for entry in result.inputs_used)


@pytest.mark.parametrize(
    ("variant", "ceiling"),
    [("meld_unos_2002", "353.6"), ("meld_na_optn2016", "353.6"), ("meld_3_0", "265.2")],
)
def test_dialysis_overrides_a_low_creatinine(variant: str, ceiling: str) -> None:
    on_dialysis = scores.compute(variant, ORDINARY, sex="M", age=40, dialysed=True)
    assert on_dialysis.value == score(variant, creatinine=d(ceiling)).value
    entry = next(entry for entry in on_dialysis.inputs_used if entry.code == "creatinine")
    assert str(entry.note) == f"set to {ceiling} because of dialysis"
    at_ceiling = scores.compute(
        variant, {**ORDINARY, "creatinine": d(ceiling)}, sex="M", age=40, dialysed=True
    )
    assert at_ceiling.value == on_dialysis.value
    assert at_ceiling.inputs_used[2].note is None


def test_what_is_missing_is_named() -> None:
    assert score("meld_unos_2002", inr=None).why_not == "not computable: INR missing"
    assert score("meld_3_0", tbil=None, albumin=None).why_not == "not computable: TBIL, Albumin missing"
    assert scores.compute("meld_unos_2002", {}).why_not == "not computable: TBIL, INR, Creatinine missing"
    assert score("meld_unos_2002", sodium=None).value is not None


@pytest.mark.parametrize("absurd", ["-3", "0", "NaN", "Infinity", "-Infinity", "1e30", "0.0000001"])
@pytest.mark.parametrize("variant", [variant.code for variant in protocol.SCORES])
def test_absurd_inputs_give_words(variant: str, absurd: str) -> None:
    for code in protocol.SCORE_AT[variant].inputs:
        result = score(variant, **{code: d(absurd)})
        assert result.value is None and result.reported is None and result.terms == ()
        assert result.why_not.startswith("not computable: ")
        assert protocol.label_of(code) in result.why_not


def test_sex_and_age_where_they_matter() -> None:
    def of(sex: str | None, age: int | None) -> ScoreResult:
        return scores.compute("meld_3_0", ORDINARY, sex=sex, age=age)

    man, woman, boy = of("M", 40), of("F", 40), of("M", 17)
    assert man.value is not None and woman.value is not None and boy.value is not None
    assert woman.value - man.value == d("1.33")
    assert boy.value == woman.value == of("F", 17).value == of("F", None).value
    assert of("M", 18).value == man.value
    assert of(None, 40).why_not == of("", 40).why_not == "not computable: sex missing"
    assert of("M", None).why_not == "not computable: age missing"
    assert of("F", 11).why_not == "not computable: younger than 12 years"
    assert scores.compute("meld_na_optn2016", ORDINARY, age=11).why_not.endswith("younger than 12 years")
    assert scores.compute("meld_na_optn2016", ORDINARY, age=12).value is not None
    assert scores.compute("meld_unos_2002", ORDINARY, age=3).value is not None


@pytest.mark.parametrize("function", FUNCTIONS.values())
@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_formulas_refuse_what_has_no_logarithm(function: Callable[..., float], bad: float) -> None:
    row = {"bilirubin_mg_dl": 2.0, "inr": 1.5, "creatinine_mg_dl": 1.2}
    if function in (scores.meld_na_optn2016, scores.meld_na_optn2016_reported, scores.meld_na_kim2008):
        row["sodium_mmol_l"] = 130.0
    if function is scores.meld_3_0:
        row |= {"sodium_mmol_l": 130.0, "albumin_g_dl": 3.0, "female": False}
    for name in row:
        if name != "female":
            with pytest.raises(ValueError, match=name):
                function(**{**row, name: bad})


@pytest.mark.parametrize(
    ("value", "whole"), [(14.5, 15), (15.5, 16), (-0.5, -1), (15.4999999, 15), (10.499999999999, 11)]
)
def test_halves_round_away_from_zero(value: float, whole: int) -> None:
    assert scores.half_up(value) == whole


measured = st.fixed_dictionaries(
    {
        "tbil": st.integers(0, 17_000).map(lambda n: Decimal(n) / 10),
        "inr": st.integers(0, 2_000).map(lambda n: Decimal(n) / 100),
        "creatinine": st.integers(0, 35_000).map(lambda n: Decimal(n) / 10),
        "sodium": st.integers(100, 200).map(Decimal),
        "albumin": st.integers(50, 990).map(lambda n: Decimal(n) / 10),
    }
)


@settings(max_examples=60, deadline=None)
@given(
    visits=st.lists(
        st.tuples(
            measured,
            st.sampled_from(["F", "M", ""]),
            st.one_of(st.none(), st.integers(10, 70)),
            st.booleans(),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_many_at_once_equal_one_at_a_time(
    visits: list[tuple[dict[str, Decimal], str, int | None, bool]],
) -> None:
    ages = scaled(age for _values, _sex, age, _dialysed in visits)
    sexes = [sex for _values, sex, _age, _dialysed in visits]
    for variant in protocol.SCORES:
        columns = {code: scaled(values[code] for values, *_rest in visits) for code in variant.inputs}
        many = scores.compute_many(
            variant.code, columns, sex=sexes, age=ages, dialysed=[dialysed for *_rest, dialysed in visits]
        )
        for points, (values, sex, age, dialysed) in zip(many.tolist(), visits, strict=True):
            one = scores.compute(variant.code, values, sex=sex, age=age, dialysed=dialysed)
            assert (one.value is None) == (points == MISSING)
            if one.value is not None:
                assert one.value == Decimal(points).scaleb(-10)
                known = scores.compute(
                    variant.code, values, sex=sex, age=age, dialysed=dialysed, points=points
                )
                assert known == one
                assert sum(term.points for term in one.terms) == pytest.approx(float(one.value), abs=1e-9)
                assert [entry.code for entry in one.inputs_used] == list(variant.inputs)


def test_many_at_once_skip_what_is_missing() -> None:
    columns = {code: scaled([None, *[ORDINARY[code]] * 2]) for code in ("tbil", "inr", "creatinine")}
    columns["inr"] = scaled(["1.5", None, "1.5"])
    many = scores.compute_many("meld_unos_2002", columns)
    assert (many == MISSING).tolist() == [True, True, False]
    assert many.shape == np.shape(columns["inr"])
