"""Marks and numbers as the pages show them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from django.template import Context, Template
from django.test import RequestFactory
from django.utils import translation

from trial import protocol
from trial.templatetags import cordline

ROOT = Path(__file__).resolve().parent.parent.parent
SPRITE = ROOT / "trial" / "static" / "cordline" / "icons.svg"


def rendered(source: str, **values: Any) -> str:
    return Template("{% load cordline %}" + source).render(Context(values))


# --- numbers --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "decimals", "shown"),
    [
        (Decimal("-125.54"), 1, "−125.5"),
        (Decimal("17.10"), None, "17.10"),
        (Decimal("1E+3"), 0, "1000"),
        (Decimal("-0.04"), 1, "0.0"),
        (0, 0, "0"),
        (2.5, 0, "2"),
        (None, 1, "–"),
        ("", 1, "–"),
        (Decimal("NaN"), 1, "–"),
        ("no number", 1, "–"),
    ],
)
def test_a_number_has_a_true_minus_and_no_negative_zero(value: Any, decimals: int | None, shown: str) -> None:
    assert cordline.number(value, decimals) == shown


@pytest.mark.parametrize(
    ("value", "decimals", "shown"),
    [
        (Decimal(12), 0, "+12"),
        (Decimal("-12.54"), 1, "−12.5"),
        (Decimal("0.04"), 1, "0.0"),
        (Decimal(0), None, "0"),
        (None, 0, "–"),
    ],
)
def test_a_change_has_its_sign(value: Any, decimals: int | None, shown: str) -> None:
    assert cordline.signed(value, decimals) == shown


@pytest.mark.parametrize(
    ("value", "decimals", "limit", "difference"),
    [
        (-0.4, 0, "−0.4", "−0.4"),
        (3.04, 0, "3.0", "+3.0"),
        (-0.04, 0, "−0.04", "−0.04"),
        (0.0004, 1, "0.0004", "+0.0004"),
        (12.345, 1, "12.34", "+12.34"),
        (Decimal("-1234.56"), 0, "−1234.6", "−1234.6"),
        (0.0, 2, "0", "0"),
        (-1e-17, 0, "0", "0"),
        (None, 1, "–", "–"),
    ],
)
def test_no_limit_of_an_interval_hides_its_sign(
    value: Any, decimals: int, limit: str, difference: str
) -> None:
    assert cordline.limit(value, decimals) == limit
    assert cordline.difference(value, decimals) == difference


@pytest.mark.parametrize(
    ("value", "decimals", "shown"),
    [
        (-0.5, 0, "−0.5"),
        (2.5, 0, "2.5"),
        (Decimal("-3.0"), 0, "−3"),
        (4.75, 0, "5"),
        (2.56, 1, "2.6"),
        (2.5, 1, "2.5"),
        (None, 0, "–"),
    ],
)
def test_a_median_midway_between_whole_numbers_keeps_its_half(value: Any, decimals: int, shown: str) -> None:
    assert cordline.middle(value, decimals) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.4012, "0.40"),
        (1.0, "1.00"),
        (0.0187, "0.019"),
        (0.00101, "0.001"),
        (0.00099, "< 0.001"),
        (0.0, "< 0.001"),
        (0.04996, "0.04996"),
        (0.0499, "0.0499"),
        (0.0501, "0.0501"),
        (0.05, "0.050"),
        (0.0504999, "0.0505"),
        (None, "–"),
        (float("nan"), "–"),
    ],
)
def test_a_p_keeps_its_side_of_the_threshold(value: float | None, shown: str) -> None:
    assert cordline.p_value(value) == shown
    if value is not None and value == value and not shown.startswith("<"):
        assert (Decimal(shown) < Decimal("0.05")) == (value < 0.05)


def test_thousands_are_set_apart_only_in_counts() -> None:
    assert cordline.count(1234567) == "1,234,567"
    assert cordline.number(1234567, 0) == "1234567"
    for shown, apart in (
        ("407193766", "407,193,766"),
        ("+88000", "+88,000"),
        ("\u22121442.12345", "\u22121442.12345"),
        ("\u2013", "\u2013"),
    ):
        assert cordline.apart(shown) == apart
    assert cordline.count(None) == "–"


def test_units_are_printed_with_their_signs() -> None:
    assert cordline.unit("umol/L") == "µmol/L"
    assert cordline.unit("U/L") == "U/L"
    assert cordline.unit(None) == ""


# --- days and times -------------------------------------------------------------------------


def test_days_are_iso_and_counted_from_the_first_infusion() -> None:
    assert cordline.iso_date(date(2026, 3, 9)) == "2026-03-09"
    assert cordline.iso_date(None) == "–"
    assert cordline.study_day(date(2026, 3, 10), date(2026, 3, 3)) == "day 7"
    assert cordline.study_day(date(2026, 3, 2), date(2026, 3, 3)) == "day −1"
    assert cordline.study_day(None, date(2026, 3, 3)) == ""
    assert cordline.weeks(4) == "week 4"
    assert cordline.weeks(None) == "unscheduled"
    assert (cordline.days_apart(1), cordline.days_apart(-5)) == ("1 day", "5 days")


def test_an_instant_is_shown_at_the_site_with_utc_behind_it() -> None:
    late = datetime(2026, 3, 18, 17, 30, 5, tzinfo=UTC)
    shown = str(cordline.local_time(late, "Asia/Shanghai"))
    assert (
        shown
        == '<time datetime="2026-03-18T17:30:05Z" title="2026-03-18 17:30:05 UTC">2026-03-19 01:30</time>'
    )
    assert ">01:30</time>" in cordline.local_time(late, "Asia/Shanghai", "clock")
    assert cordline.local_time(None) == "–"


# --- marks ----------------------------------------------------------------------------------


def test_a_group_is_a_letter_before_it_is_a_colour() -> None:
    for code in protocol.GROUP_CODES:
        mark = rendered("{% group_mark code %}", code=code)
        assert f">{code}<" in mark
        assert f'aria-label="group {code}"' in mark
    assert rendered("{% group_mark code %}", code="") == ""
    assert rendered("{% group_mark code %}", code="<b>") == ""


def test_a_mark_escapes_what_it_is_given() -> None:
    assert "<script" not in rendered("{% key text %}", text="<script>")
    assert "<script" not in rendered('{% icon name "x" label %}', name="<script>", label="<script>")


def test_a_glyph_speaks_only_when_it_has_words() -> None:
    assert 'aria-hidden="true"' in rendered('{% glyph "overdue" %}')
    assert 'aria-label="late"' in rendered('{% glyph "overdue" "late" %}')


def test_every_symbol_that_a_page_asks_for_is_in_the_sprite() -> None:
    drawn = {
        element.get("id", "").removeprefix("i-")
        for element in ET.parse(SPRITE).iter("{http://www.w3.org/2000/svg}symbol")
    }
    asked = set()
    for template in (ROOT / "templates").rglob("*.html"):
        text = template.read_text()
        for tag, prefix in (("icon", ""), ("glyph", "glyph-")):
            for piece in text.split("{% " + tag + ' "')[1:]:
                asked.add(prefix + piece.split('"')[0])
    assert len(asked) > 10
    assert not asked - drawn


# --- addresses ------------------------------------------------------------------------------


def test_a_filter_changes_one_parameter_and_starts_at_the_first_page() -> None:
    request = RequestFactory().get("/patients/?site=GE&group=A&after=GE-041")
    text = '{% url_with group="C" %}|{% url_with group="" %}|{% url_with after="GE-050" %}|{% url_with q=q %}'
    shown = Template("{% load cordline %}" + text).render(
        Context({"request": request, "q": "a&b=c"}, autoescape=False)
    )
    changed, dropped, paged, typed = shown.split("|")
    assert changed == "?site=GE&group=C"
    assert dropped == "?site=GE"
    assert paged == "?site=GE&group=A&after=GE-050"
    assert typed == "?site=GE&group=A&q=a%26b%3Dc"


def test_the_words_follow_the_language_and_the_numbers_do_not() -> None:
    with translation.override("zh-hans"):
        assert cordline.number(Decimal("-1.5"), 1) == "−1.5"
        assert cordline.iso_date(date(2026, 3, 9)) == "2026-03-09"
