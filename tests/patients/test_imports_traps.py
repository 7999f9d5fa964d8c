"""Files whose cells look like something else: they are refused by name, never stored as what they are not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from infusions.imports import Infusions
from patients.imports import cells
from patients.imports.cells import Manner
from patients.imports.columns import recognise
from patients.imports.header_again import HeaderAgain
from patients.imports.options import Options
from patients.imports.problems import FileRefused
from patients.imports.tables import Table, open_table
from patients.imports.visits import Visits
from trial import typed
from trial.typed import Unreadable

TODAY = date(2026, 3, 20)


def table_of(path: Path, *rows: str) -> Table:
    path.write_text("".join(f"{row}\r\n" for row in rows), encoding="utf-8")
    return open_table(path, path.name, Visits().layout, Options())


# --- raised and circled digits ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (cells.read_subject, "S001²"),
        (cells.read_subject, "S00①"),
        (cells.read_subject, "𝐒001"),
        (cells.read_week, "1²"),
        (cells.read_week, "⁴"),
        (cells.read_infusion_number, "⑥"),
        (lambda text: cells.read_age(text, Manner()), "4⁵"),
        (lambda text: cells.read_day(text, Manner(), TODAY), "2015-01-0⁵"),
    ],
)
def test_a_raised_digit_is_the_mark_of_a_note_and_no_digit(read: Callable[[str], object], text: str) -> None:
    with pytest.raises(Unreadable) as refusal:
        read(text)
    assert refusal.value.value == text


@pytest.mark.parametrize("text", ["NaN", "None", "TRUE", "2-Jan", "12-DEC", "2015-01-02"])
def test_what_a_spreadsheet_made_of_a_code_is_no_code(text: str) -> None:
    with pytest.raises(Unreadable) as refusal:
        cells.read_subject(text)
    assert "Type the code again" in str(refusal.value.remedy)


@pytest.mark.parametrize("text", ["JAN-2", "S2-JAN", "2015-1", "NANJING-1"])
def test_a_code_that_only_resembles_a_day_is_a_code(text: str) -> None:
    assert cells.read_subject(text) == text


def test_text_that_a_program_lost_is_not_stored() -> None:
    with pytest.raises(Unreadable, match="FFFD"):
        typed.read_text("\ufffd\ufffd", most=100)


# --- a second table -----------------------------------------------------------------------------

FIRST = ("subject_id,week,alt,tbil (umol/L)", "S001,0,312,285.5")


@pytest.mark.parametrize(
    "header",
    [
        "\ufeffsubject_id,week,tbil (umol/L),alt",
        "受试者编号,访视周,总胆红素,谷丙转氨酶",
        "subject_id,week,alt,tbil (mg/dL)",
        "subject_id,week,alt,tbil,inr",
        "Proband,week,tbil,alt",
    ],
)
def test_rows_below_a_header_with_other_columns_are_never_read(header: str, tmp_path: Path) -> None:
    table = table_of(tmp_path / "visits.csv", *FIRST)
    again, row = HeaderAgain(table, Visits().layout, Options()), header.split(",")
    assert again.is_one(row)
    with pytest.raises(FileRefused) as refusal:
        again.refuse_other_columns(3, row)
    assert "Line 3" in str(refusal.value)
    assert "than line 1" in str(refusal.value)


def test_the_header_of_the_next_page_refuses_no_file(tmp_path: Path) -> None:
    table = table_of(tmp_path / "visits.csv", *FIRST)
    again = HeaderAgain(table, Visits().layout, Options())
    for header in ("subject_id,week,alt,tbil (umol/L)", "受试者编号,访视周,谷丙转氨酶,总胆红素"):
        assert again.is_one(header.split(","))
        again.refuse_other_columns(3, header.split(","))
    assert not any(again.is_one(row.split(",")) for row in ("S001,0,312,285.5", "ALP,0,1,2", ",baseline,5,6"))


# --- units --------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", ["输注量(袋)", "volume (bags)", "细胞数(支)"])
def test_a_number_of_bags_is_no_number_of_millilitres(header: str) -> None:
    with pytest.raises(FileRefused, match="which the study does not take"):
        recognise(["subject_id", header], Infusions().layout.meanings, Options())
