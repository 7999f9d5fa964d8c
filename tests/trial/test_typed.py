"""What people type: every reading that is documented, every refusal with its rule and place."""

from __future__ import annotations

from datetime import date, time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trial import typed, units
from trial.sentences import Sentence
from trial.typed import Unreadable

TODAY = date(2026, 3, 19)


@pytest.mark.parametrize(
    ("text", "value", "comparator", "unit"),
    [
        ("140", "140", "", None),
        ("140.25", "140.25", "", None),
        (" 7 ", "7", "", None),
        ("007", "7", "", None),
        ("0.000001", "0.000001", "", None),
        ("9" * 14, "9" * 14, "", None),
        ("<5", "5", "<", None),
        ("< 5", "5", "<", None),
        (">500", "500", ">", None),
        ("≤20", "20", "<", None),
        ("<=20", "20", "<", None),
        ("≥20", "20", ">", None),
        ("８．２", "8.2", "", None),
        ("8。2", "8.2", "", None),
        ("＜２０", "20", "<", None),
        ("《20", "20", "<", None),
        ("》 500", "500", ">", None),
        ("\u30007\u00a0", "7", "", None),
        ("8.2 mg/dL", "8.2", "", "mg/dL"),
        ("8.2mg/dl", "8.2", "", "mg/dL"),
        ("140 µmol/L", "140", "", "umol/L"),
        ("140 μmol/L", "140", "", "umol/L"),
        ("140umol/l", "140", "", "umol/L"),
        ("48%", "48", "", "%"),
        ("48％", "48", "", "%"),
        ("5.1×10⁹/L", "5.1", "", "10^9/L"),
        ("5.1 x10^9/L", "5.1", "", "10^9/L"),
        ("5.1 10*9/L", "5.1", "", "10^9/L"),
        ("12.5 s", "12.5", "", "s"),
        ("1.68 INR", "1.68", "", "ratio"),
        ("<20 IU/mL", "20", "<", "IU/mL"),
    ],
)
def test_what_can_be_read(text: str, value: str, comparator: str, unit: str | None) -> None:
    read = typed.read_number(text)
    assert (read.value, read.comparator, read.unit) == (Decimal(value), comparator, unit)
    assert read.text == text.strip()


def test_a_limit_with_an_equals_sign_says_what_it_is_kept_as() -> None:
    assert typed.read_number("5").notice is None
    assert typed.read_number("<5").notice is None
    assert str(typed.read_number("≤5").notice) == "≤5 is kept as < 5; the analysis uses the limit itself."


@pytest.mark.parametrize(
    ("text", "value", "comparator", "unit"),
    [
        ("85.5↑", "85.5", "", None),
        ("85.5 ↓", "85.5", "", None),
        ("85.5⬆️", "85.5", "", None),
        ("85.5↑↑", "85.5", "", None),
        ("＞1000 ↑", "1000", ">", None),
        ("85.5 U/L ↑", "85.5", "", "U/L"),
    ],
)
def test_arrows_behind_a_value_are_the_laboratorys(
    text: str, value: str, comparator: str, unit: str | None
) -> None:
    found = typed.read_number(text)
    assert (found.value, found.comparator, found.unit) == (Decimal(value), comparator, unit)
    assert found.text == text
    assert "the study marks values by its own ranges" in str(found.notice)


@pytest.mark.parametrize(
    ("text", "rule", "says"),
    [
        ("", "empty", "There is no number."),
        ("   ", "empty", "choose a reason"),
        ("NaN", "no_digits", "“NaN” is not a number."),
        ("Infinity", "no_digits", "is not a number"),
        ("<", "no_digits", "is not a number"),
        ("偏高", "no_digits", "choose a reason"),
        ("阴性", "not_found", "Type < and the limit of the method"),
        ("未检出", "not_found", "does not say below which limit"),
        ("TND", "not_found", "such as <20"),
        ("-5", "sign", "has a sign"),
        ("-0", "sign", "has a sign"),
        ("−5", "sign", "has a sign"),
        ("+5", "sign", "has a sign"),
        ("1e3", "exponent", "Type 1000 if"),
        ("1E+3", "exponent", "Type 1000 if"),
        ("1.4×10^3 IU/mL", "exponent", "Type 1400 IU/mL if"),
        ("<1.0E+02", "exponent", "Type <100 if"),
        (">1.7×10⁸", "exponent", "Type >170000000 if"),
        ("10^5", "exponent", "Type 100000 if"),
        ("1.0×10⁵ IU/mL", "exponent", "Type 100000 IU/mL if"),
        ("1e-3", "exponent", "Write the number out"),
        ("1e12", "exponent", "Type 1000000000000 if"),
        ("1e13", "exponent", "Write the number out"),
        ("1e99999", "exponent", "Write the number out"),
        ("1,5", "comma", "Type 1.5 or 15"),
        ("1,5 mg/dL", "comma", "Type 1.5 mg/dL or 15 mg/dL"),
        ("1,234", "comma", "Type 1.234 or 1234"),
        ("１，５", "comma", "Type 1.5 or 15"),
        ("1.234,5", "comma", "Type 1234.5 if"),
        ("1,234.5", "comma", "Type 1234.5 if"),
        ("1,234,567", "comma", "Type 1234567 if"),
        ("1.2.3", "two_points", "more than one point"),
        (".5", "bare_point", "Type 0.5 if"),
        ("<.5", "bare_point", "Type <0.5 if"),
        ("5.", "bare_point", "Type 5 if"),
        ("9" * 15, "too_many_digits", "15 digits before the point"),
        ("1.1234567", "too_many_decimals", "7 decimals"),
        ("9" * 64, "too_many_digits", "64 digits"),
        ("9" * 65, "too_long", "65 characters"),
        ("9" * 5000, "too_long", "5000 characters"),
        ("8.2 mg/L", "unknown_unit", "“mg/L” is not a unit"),
        ("8.2 foo", "unknown_unit", "“foo” is not a unit"),
        ("1_0", "character", "the second character is an underscore"),
        ("12O", "character", "the third character is the letter O. Type 120"),
        ("1l", "character", "the second character is the letter l. Type 11"),
        ("12S", "character", "the third character is the letter S. Type 125"),
        ("12*", "mark", "a mark beside the number: *. Type 12 if"),
        ("↓ 85.5", "mark", "Type 85.5 if"),
        ("↑", "no_digits", "is not a number"),
        ("85,5↑", "comma", "Type 85.5 or 855,"),
        ("↑1000", "mark", "Type 1000 if"),
        ("85.5↑ U/L", "character", "the character ↑"),
        ("85.5H", "mark", "Type 85.5 if"),
        ("85.5 (LL)", "mark", "Type 85.5 if"),
        ("85.5（偏高）", "mark", "Type 85.5 if"),
        ("85.5 h", "space", "the fifth character is a space"),
        ("12*3", "character", "the third character is an asterisk"),
        ("<<5", "character", "the second character is the character <"),
        ("5<", "character", "the second character is the character <"),
        ("1'000", "character", "an apostrophe"),
        ("1/2", "character", "a slash"),
        ("1-2", "character", "a hyphen"),
        ("12\x07", "character", "cannot be seen (U+0007)"),
        ("1234567890A", "character", "character 11 is the letter A"),
        ("1 2", "space", "Type 12 if"),
        ("1 2 x", "space", "choose a reason"),
        ("١٢", "foreign_digits", "the first character is a digit other than 0 to 9"),
        ("12²", "foreign_digits", "the third character is a digit other than 0 to 9"),
    ],
)
def test_what_is_refused(text: str, rule: str, says: str) -> None:
    with pytest.raises(Unreadable) as refusal:
        typed.read_number(text)
    assert refusal.value.rule == rule
    assert says in str(refusal.value)


@given(st.text(max_size=80))
def test_any_text_is_read_as_it_stands_or_refused(text: str) -> None:
    try:
        read = typed.read_number(text)
    except Unreadable as refusal:
        assert refusal.value.isprintable() or refusal.value == ""
        assert str(refusal)
        return
    digits = "".join(c for c in text if c.isdigit())
    assert read.value >= 0
    assert read.unit in {None, *units.UCUM}
    if read.unit is None:
        ascii_digits = digits.translate({0xFF10 + n: str(n) for n in range(10)})
        assert "".join(c for c in str(f"{read.value:f}") if c.isdigit()).strip("0") == ascii_digits.strip("0")


@given(st.decimals(min_value=0, max_value=10**13, places=6, allow_nan=False, allow_infinity=False))
def test_what_is_written_plainly_comes_back(value: Decimal) -> None:
    assert typed.read_number(f"{value:f}").value == value


@pytest.mark.parametrize("unit", sorted(units.UCUM))
def test_every_unit_of_the_study_is_read_in_each_of_its_spellings(unit: str) -> None:
    for spelling in (unit, units.UCUM[unit], units.symbol(unit), f" {unit} "):
        assert typed.read_unit(spelling) == unit
    assert typed.read_unit("stone") is None


# --- dates ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2015-01-05", (2015, 1, 5)),
        ("2015-1-5", (2015, 1, 5)),
        ("２０１５－０１－０５", (2015, 1, 5)),
        ("2015/1/5", (2015, 1, 5)),
        ("2015.01.12", (2015, 1, 12)),
        ("20150107", (2015, 1, 7)),
        ("2015年2月2日", (2015, 2, 2)),
        ("2015 年 2 月 2 号", (2015, 2, 2)),
        ("6-Jan-15", (2015, 1, 6)),
        ("06JAN2015", (2015, 1, 6)),
        ("6 January 2015", (2015, 1, 6)),
        ("Jan 6, 2015", (2015, 1, 6)),
        ("13/02/2024", (2024, 2, 13)),
        ("02/13/2024", (2024, 2, 13)),
        ("31.12.2015", (2015, 12, 31)),
        ("02/02/2024", (2024, 2, 2)),
        ("2016-02-29", (2016, 2, 29)),
        ("2015-01-05 00:00:00", (2015, 1, 5)),
        ("2015-01-05T00:00:00Z", (2015, 1, 5)),
        ("1900-01-01", (1900, 1, 1)),
        ("2027-03-19", (2027, 3, 19)),
        ("6-Jan-27", (2027, 1, 6)),
    ],
)
def test_days_that_can_only_be_one(text: str, day: tuple[int, int, int]) -> None:
    assert typed.read_date(text, today=TODAY) == date(*day)


@pytest.mark.parametrize(
    ("text", "rule", "says"),
    [
        ("", "empty", "There is no date."),
        ("02/03/2024", "ambiguous_date", "Type 2024-02-03 or 2024-03-02."),
        ("02.03.2024", "ambiguous_date", "Type 2024-02-03 or 2024-03-02."),
        ("2015-02-29", "impossible_date", "no day 29 in month 2 of 2015"),
        ("31/02/2024", "impossible_date", "no day 31 in month 2 of 2024"),
        ("2015-13-01", "impossible_date", "there is no month 13."),
        ("0/0/2015", "impossible_date", "there is no month 0."),
        ("0/5/2015", "impossible_date", "there is no month 0."),
        ("0000-01-01", "impossible_date", "does not exist"),
        ("15/01/06", "two_digit_year", "its year has two digits"),
        ("6-Jan-28", "two_digit_year", "1928 or 2028"),
        ("6-Jan-70", "two_digit_year", "1970 or 2070"),
        ("1899-12-31", "date_out_of_range", "between 1900-01-01 and 2027-03-19"),
        ("2027-03-20", "date_out_of_range", "between 1900-01-01 and 2027-03-19"),
        ("0001-01-01", "date_out_of_range", "between"),
        ("9999-12-31", "date_out_of_range", "between"),
        ("2558-01-05", "date_out_of_range", "Buddhist calendar, type 2015-01-05"),
        ("2559-02-28", "date_out_of_range", "type 2016-02-28"),
        ("42009", "serial_date", "type 2015-01-05"),
        ("2015-01-05 07:40", "not_a_date", "year-month-day"),
        ("2015-1/5", "not_a_date", "is not a date"),
        ("5 Foo 2015", "not_a_date", "is not a date"),
        ("tomorrow", "not_a_date", "is not a date"),
        ("x" * 5000, "not_a_date", "…"),
    ],
)
def test_days_that_are_refused(text: str, rule: str, says: str) -> None:
    with pytest.raises(Unreadable) as refusal:
        typed.read_date(text, today=TODAY)
    assert refusal.value.rule == rule
    assert says in str(refusal.value)


@given(st.dates(min_value=date(1900, 1, 1), max_value=TODAY))
def test_every_iso_day_comes_back(day: date) -> None:
    assert typed.read_date(day.isoformat(), today=TODAY) == day
    assert typed.read_date(f"{day:%d-%b-%Y}", today=TODAY) == day


@given(st.text(max_size=40))
def test_any_text_is_a_day_or_a_refusal(text: str) -> None:
    try:
        assert date(1900, 1, 1) <= typed.read_date(text, today=TODAY) <= date(2027, 3, 19)
    except Unreadable as refusal:
        assert str(refusal)


@pytest.mark.parametrize(
    ("text", "hour"),
    [("07:40", (7, 40)), ("7:40", (7, 40)), ("0740", (7, 40)), ("07:40:30", (7, 40)), ("９：４０", (9, 40))],
)
def test_times(text: str, hour: tuple[int, int]) -> None:
    assert typed.read_time(text) == time(*hour)


@pytest.mark.parametrize("text", ["", "24:00", "7:60", "7", "740", "noon", "7" * 500])
def test_times_that_are_refused(text: str) -> None:
    with pytest.raises(Unreadable) as refusal:
        typed.read_time(text)
    assert refusal.value.rule == "not_a_time"


# --- text -----------------------------------------------------------------------------------


def test_text_is_composed_and_trimmed() -> None:
    assert typed.read_text("  Ame\u0301lie\n  Li ", most=20) == "Am\u00e9lie   Li"
    assert typed.read_text("阿丽 😀 O'Brien", most=20) == "阿丽 😀 O'Brien"
    assert typed.read_text("", most=5) == ""


@pytest.mark.parametrize("length", [5, 6])
def test_text_has_a_length(length: int) -> None:
    if length == 5:
        assert typed.read_text("x" * length, most=5) == "xxxxx"
        return
    with pytest.raises(Unreadable) as refusal:
        typed.read_text("x" * length, most=5)
    assert (refusal.value.rule, "6 characters" in str(refusal.value)) == ("too_long", True)


@pytest.mark.parametrize("character", ["\x00", "\x1b", "\x7f", "\ud800"])
def test_control_characters_are_refused_with_their_place(character: str) -> None:
    with pytest.raises(Unreadable) as refusal:
        typed.read_text(f"ab{character}", most=9)
    assert refusal.value.rule == "control_character"
    assert f"Character 3 of “ab<U+{ord(character):04X}>”" in str(refusal.value)


# --- sentences ------------------------------------------------------------------------------


def test_a_sentence_is_said_in_another_language_with_what_stands_in_it() -> None:
    words = {"the first character is %(what)s": "第一个字符是%(what)s", "a comma": "逗号"}
    sentence = Sentence("the first character is %(what)s", {"what": Sentence("a comma")})
    assert sentence.said(words.__getitem__) == "第一个字符是逗号"
    assert str(sentence) == "the first character is a comma"
