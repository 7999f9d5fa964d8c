"""Files whose cells look like something else: they are refused by name, never stored as what they are not."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path

import openpyxl
import pytest
from openpyxl.comments import Comment

from infusions.imports import Infusions
from patients.imports import cells, workbook
from patients.imports.cells import Manner, NotRead
from patients.imports.columns import recognise, recognised
from patients.imports.header_again import HeaderAgain
from patients.imports.importing import opened
from patients.imports.kinds import Context
from patients.imports.lab_cells import Wrong, lab_cells
from patients.imports.options import Options
from patients.imports.problems import FileRefused
from patients.imports.shown import shown_cells
from patients.imports.side_by_side import (
    refuse_columns_in_one_cell,
    refuse_infusions_side_by_side,
    refuse_table_on_its_side,
)
from patients.imports.subjects import Subjects
from patients.imports.tables import Table, open_table
from patients.imports.visits import Visits
from patients.models import Patient
from trial import audit, typed
from trial.models import Site, User
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


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Table:
    """A table of one subject."""
    path = tmp_path_factory.mktemp("first") / "visits.csv"
    return table_of(path, "subject_id,week,alt,tbil (umol/L)", "S001,0,312,285.5")


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
def test_rows_below_a_header_with_other_columns_are_never_read(header: str, first: Table) -> None:
    again, row = HeaderAgain(first, Visits().layout, Options()), header.split(",")
    assert again.is_one(row)
    with pytest.raises(FileRefused) as refusal:
        again.refuse_other_columns(3, row)
    assert "Line 3" in str(refusal.value)
    assert "than line 1" in str(refusal.value)


def test_the_header_of_the_next_page_refuses_no_file(first: Table) -> None:
    again = HeaderAgain(first, Visits().layout, Options())
    for header in ("subject_id,week,alt,tbil (umol/L)", "受试者编号,访视周,谷丙转氨酶,总胆红素"):
        assert again.is_one(header.split(","))
        again.refuse_other_columns(3, header.split(","))
    assert not any(again.is_one(row.split(",")) for row in ("S001,0,312,285.5", "ALP,0,1,2", ",baseline,5,6"))


# --- what a sheet shows -------------------------------------------------------------------------

STYLES = (
    b'<styleSheet><numFmts><numFmt numFmtId="164" formatCode="000"/>'
    b'<numFmt numFmtId="165" formatCode="[&lt;5]&quot;&lt;5&quot;;0.0"/>'
    b'<numFmt numFmtId="166" formatCode="&quot;S&quot;000"/></numFmts>'
    b'<fonts><font/><font><strike/></font><font><strike val="0"/></font></fonts>'
    b'<dxfs><dxf><font><strike/></font></dxf></dxfs><cellXfs><xf/><xf numFmtId="164"/><xf numFmtId="165"/>'
    b'<xf numFmtId="166"/><xf fontId="1"/><xf fontId="2"/></cellXfs></styleSheet>'
)
STRINGS = (
    b'<sst><si><t>plain</t></si><si><r><t>31</t></r><r><rPr><vertAlign val="superscript"/></rPr><t>2</t></r></si>'
    b"<si><r><rPr><strike/></rPr><t>28</t></r><r><t>5</t></r><rPh><t>9</t></rPh></si></sst>"
)


@pytest.mark.parametrize(
    ("cell", "own", "as_shown"),
    [
        (b't="s"><v>1</v>', "312", "31²"),
        (b't="s"><v>2</v>', "285", "~~28~~5"),
        (b't="s"><v>0</v>', "plain", "plain"),
        (b's="1"><v>7</v>', "7", "007"),
        (b's="1"><v>7.5</v>', "7.5", "7.5"),
        (b's="2"><v>3</v>', "3", "<5"),
        (b's="2"><v>8</v>', "8", "8"),
        (b's="3"><v>12</v>', "12", "S012"),
        (b's="4"><v>312</v>', "312", "~~312~~"),
        (b's="4" t="s"><v>0</v>', "plain", "~~plain~~"),
        (b's="5"><v>312</v>', "312", "312"),
        (b't="e"><v>#REF!</v>', "", "#REF!"),
        (
            b't="inlineStr"><is><r><t>24</t></r><r><rPr><vertAlign val="superscript"/></rPr><t>a</t></r></is>',
            "24a",
            "24^a",
        ),
    ],
)
@pytest.mark.parametrize("place", [b'r="B3" ', b""], ids=["placed", "counted"])
def test_a_cell_is_read_as_it_is_shown(place: bytes, cell: bytes, own: str, as_shown: str) -> None:
    rows = b"<row/><row/><row><c/><c " if not place else b'<row r="3"><c r="A3"/><c '
    sheet = b"<worksheet><sheetData>" + rows + place + cell + b"</c></row></sheetData></worksheet>"
    way = shown_cells(sheet, STYLES, STRINGS).get(2, {}).get(1)
    assert (way(own) if way else own) == as_shown


def test_a_number_of_more_digits_than_a_spreadsheet_keeps_is_not_filled_up() -> None:
    assert workbook.text_of(1234567890123456.0) == "1.23456789012346E+15"
    assert workbook.text_of(123456789012345.0) == "123456789012345"
    assert workbook.text_of(1e308) == "1E+308"


def test_comments_on_cells_are_named(tmp_path: Path) -> None:
    made = openpyxl.Workbook()
    sheet = made.active
    for row in (["subject_id", "week", "alt"], ["S001", 0, 312]):
        sheet.append(row)
    sheet["C2"].comment = Comment("haemolysed", "laboratory")
    made.save(tmp_path / "visits.xlsx")
    table = open_table(tmp_path / "visits.xlsx", "visits.xlsx", Visits().layout, Options())
    assert "Comments on cells were not read: C2." in map(str, table.facts.notices)


# --- units --------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", ["输注量(袋)", "volume (bags)", "细胞数(支)"])
def test_a_number_of_bags_is_no_number_of_millilitres(header: str) -> None:
    with pytest.raises(FileRefused, match="which the study does not take"):
        recognise(["subject_id", header], Infusions().layout.meanings, Options())


@pytest.mark.parametrize("header", ["访视(第几天)", "visit (study day)", "随访（第几次）", "visit (months)"])
def test_a_visit_counted_in_days_is_no_week(header: str) -> None:
    with pytest.raises(FileRefused, match="which the study does not take"):
        recognise(["subject_id", header, "alt"], Visits().layout.meanings, Options())


def test_a_week_may_say_more_of_itself() -> None:
    for header in ("访视(第几周)", "week (of the protocol)", "访视（周）"):
        found = recognise(["subject_id", header], Visits().layout.meanings, Options())[1]
        assert found is not None
        assert found.code == "week"


@pytest.mark.parametrize("text", ["0.1L", "130斤", "100 cc", "65kg(130斤)"])
def test_a_unit_behind_a_volume_is_no_mark_of_a_laboratory(text: str) -> None:
    with pytest.raises(Unreadable) as refusal:
        cells.read_exact(text, Manner())
    assert "Type 0.1" not in str(refusal.value.remedy)


@pytest.mark.parametrize("text", ["16.7毫克/分升", "16.7 mg%", "312 nmol/L"])
def test_a_unit_that_is_not_known_is_refused_with_those_that_are(text: str) -> None:
    found = lab_cells("tbil", "", Manner(), NotRead()).read(text, "", "", "")
    assert isinstance(found, Wrong)
    assert "is not a unit the study knows" in str(found.refusal.sentence)
    assert str(found.refusal.remedy) == "Units of TBIL: µmol/L, mg/dL."


@pytest.mark.parametrize(
    ("rows", "in_doubt"),
    [
        (("S001;0;1.285.000;1", "S001;1;12.500;1"), True),
        (("S001;0;285,5;1", "S001;1;12.5;1"), True),
        (("S001;0;1.44;1", "S001;1;12.500;1"), False),
    ],
)
def test_a_point_may_stand_for_thousands_where_the_file_shows_it(
    rows: tuple[str, ...], in_doubt: bool, tmp_path: Path
) -> None:
    table = table_of(tmp_path / "visits.csv", "subject_id;week;hbv_dna;alt", *rows)
    assert (table.manner.decimal_comma, table.manner.points_in_doubt) == (False, in_doubt)
    if in_doubt:
        with pytest.raises(Unreadable, match="decimal point"):
            cells.read_decimal("12.500", table.manner)
    else:
        assert cells.read_decimal("12.500", table.manner).value == Decimal("12.5")
    assert cells.read_decimal("12.5", table.manner).value == Decimal("12.5")


# --- tables that lie or are written otherwise ---------------------------------------------------

NAMES = "subject_id,week,visit_date,alt,tbil"


def named(cells: Sequence[str]) -> set[str]:
    return recognised(cells, Visits().layout.meanings, Options())


@pytest.mark.parametrize(
    "cell", [NAMES.replace(",", mark) for mark in ("，", "；", "、", "^", "   ")] + [NAMES]
)
def test_a_line_in_one_cell_is_refused_with_the_separators_there_are(cell: str) -> None:
    with pytest.raises(FileRefused, match="Line 2 holds several columns in one cell: “subject_id") as refusal:
        refuse_columns_in_one_cell([(1, ["report of May"]), (2, [cell])], named)
    assert "quotation marks around whole lines" in str(refusal.value.remedy)


@pytest.mark.parametrize("names", [("subject_id", "week", "alt"), ("项目", "谷丙转氨酶", "总胆红素(μmol/L)")])
def test_a_table_on_its_side_is_refused_with_what_helps(names: tuple[str, ...]) -> None:
    with pytest.raises(FileRefused, match=", ".join(map(re.escape, names))) as refusal:
        refuse_table_on_its_side([(line, [name, "312", "198"]) for line, name in enumerate(names, 1)], named)
    assert "Transpose" in str(refusal.value.remedy)


@pytest.mark.parametrize(
    ("rows", "rule"),
    [
        (("subject_id,S001,S001", "week,0,1", "alt,312,198"), "on_its_side"),
        # one row per value, without its weeks
        (("analyte,subject_id,value", "ALT,S001,312", "TBIL,S001,285"), "column_missing"),
    ],
)
def test_only_a_file_without_a_header_lies_on_its_side(
    rows: tuple[str, ...], rule: str, tmp_path: Path
) -> None:
    with pytest.raises(FileRefused) as refusal:
        table_of(tmp_path / "visits.csv", *rows)
    assert refusal.value.rule == rule


@pytest.mark.parametrize(
    "headers", ["第1次,第2次,第3次", "infusion 1,infusion 2", "第一次输注日期,第二次输注日期", "输注1,输注2"]
)
def test_infusions_side_by_side_are_refused_with_what_helps(headers: str) -> None:
    with pytest.raises(FileRefused, match="Line 1 has infusions side by side"):
        refuse_infusions_side_by_side(1, ["subject_id", *headers.split(",")])


def test_other_columns_are_no_infusions() -> None:
    refuse_infusions_side_by_side(1, ["subject_id", "infusion date", "dose", "65", "100", "infusion"])


# --- codes that look alike ----------------------------------------------------------------------


def test_new_codes_that_look_like_others_and_ages_that_do_not_fit_are_said(
    sites: dict[str, Site], coordinator: User, tmp_path: Path
) -> None:
    with audit.revision(by=coordinator, reason="roster", source="test"):
        for code, site in (("S001", "GE"), ("T-001", "GS"), ("10-1", "GE")):
            Patient.objects.create(
                subject_id=code,
                site=sites[site],
                sex="M",
                age_at_recruitment=45,
                diagnosis="cirrhosis",
                status="enrolled",
            )
    path = tmp_path / "subjects.csv"
    codes = ("S-001", "S0O1", "007", "07", "T001", "1-01", "S002")
    rows = [f"{code},M,45,LC,2015-01-05,{1990 if code == 'S002' else 1969}-05-01" for code in codes]
    path.write_text("\n".join(["subject_id,sex,age,diagnosis,recruited_on,birth_date", *rows]))
    context = Context(by=coordinator, today=TODAY, site="GE")
    with opened(path, name=path.name, kind=Subjects(), context=context) as staged:
        staged.preview()
        staged.preview()
        notices = list(map(str, staged.facts.notices))
    assert len(notices) == 2
    assert "do not fit each other: S002." in notices[1]
    assert "007 / 07, S-001 / S001 / S0O1." in notices[0]
    assert "T-001" not in notices[0]
