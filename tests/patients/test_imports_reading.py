"""Reading files: what a hospital's export really looks like is read as meant or refused, never garbled."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

import openpyxl
import pytest
from openpyxl.workbook import Workbook

from infusions.imports import Infusions
from patients.imports import cells, encodings, formats, identifiers
from patients.imports.cells import Manner
from patients.imports.columns import analyte_meanings, letter_of, meanings_of, plain, recognise
from patients.imports.kinds import Kind
from patients.imports.options import DateOrder, Options, options_of, read_options
from patients.imports.problems import FileRefused, packed, unpacked
from patients.imports.second_lines import refuse_units_apart
from patients.imports.side_by_side import refuse_visits_side_by_side
from patients.imports.subjects import Subjects
from patients.imports.tables import Table, open_table
from patients.imports.visits import Visits
from trial import protocol
from trial.sentences import Sentence
from trial.typed import Unreadable

TODAY = date(2026, 3, 20)
HEADER = "subject_id,week,visit_date,alt,tbil"
ROWS = ["S001,0,2015-01-05,312,285.5", "S001,1,2015-01-12,198,241"]
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str | bytes, encoding: str = "utf-8", name: str = "file.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
        return path

    return write


def lines(*rows: str, end: str = "\n") -> str:
    return "".join(row + end for row in rows)


def cut(*rows: str) -> list[tuple[int, list[str]]]:
    return [(line, row.split(",")) for line, row in enumerate(rows, start=1)]


def visits(path: Path, options: Options | None = None) -> Table:
    return open_table(path, path.name, Visits().layout, options or Options())


def refused(path: Path, options: Options | None = None) -> FileRefused:
    with pytest.raises(FileRefused) as refusal:
        list(visits(path, options).rows())
    assert str(refusal.value.remedy), "a refusal says how to mend it"
    return refusal.value


def test_text_that_excel_was_told_not_to_count_with_is_read_as_the_text(write: Write) -> None:
    table = visits(
        write(
            lines('="subject_id","=""week""",alt,note', '="S0012",0,="312",=1+1', 'S1,"=""1""",9,="a" & "b"')
        )
    )
    assert [row for _line, row in table.rows()] == [
        ["S0012", "0", "312", "=1+1"],
        ["S1", "1", "9", '="a" & "b"'],
    ]
    assert [column.code for column in table.columns if column] == ["subject_id", "week", "alt", "note"]


# --- encodings ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "label", "how"),
    [
        ("utf-8", "UTF-8", "detected"),
        ("utf-8-sig", "UTF-8", "marked"),
        ("gb18030", "GB18030", "detected"),
        ("utf-16", "UTF-16", "marked"),
        ("utf-16-le", "UTF-16 LE", "detected"),
        ("utf-16-be", "UTF-16 BE", "detected"),
    ],
)
def test_an_encoding_is_found_and_shown(write: Write, encoding: str, label: str, how: str) -> None:
    path = write(lines("受试者编号,访视周,谷丙转氨酶,备注", "S001,0,312,患者一般情况可"), encoding)
    table = visits(path)
    assert (table.facts.encoding, table.facts.encoding_how) == (label, how)
    assert [row for _line, row in table.rows()] == [["S001", "0", "312", "患者一般情况可"]]
    assert [column.code for column in table.columns if column] == ["subject_id", "week", "alt"]


def test_rare_characters_of_four_bytes_are_chinese(write: Write) -> None:
    table = visits(write(lines("subject_id,week,alt,note", "S001,0,312,姓𠮷㐂𬭎"), "gb18030"))
    assert table.facts.encoding == "GB18030"
    assert [row for _line, row in table.rows()] == [["S001", "0", "312", "姓𠮷㐂𬭎"]]


def test_only_an_encoding_that_may_be_named_is_proposed(write: Write) -> None:
    japanese = refused(write(lines(HEADER + ",note", ROWS[0] + ",患者は良好です。"), "shift_jis"))
    assert "may be" not in str(japanese.remedy)
    western = refused(write(lines(HEADER + ",tbil_unit", ROWS[0] + ",µmol/L"), "cp1252"))
    assert "cp1252" in str(western.remedy)


@pytest.mark.parametrize("name", ["Müller, Jürgen", "Sø Ærø", "5 µmol/L"])
def test_western_letters_are_never_taken_for_chinese(write: Write, name: str) -> None:
    refusal = refused(write(lines(HEADER + ",notes", *[f'{row},"{name}"' for row in ROWS]), "cp1252"))
    assert refusal.rule == "encoding"
    assert refusal.lines == [2]


def test_a_named_encoding_is_taken_and_has_to_fit(write: Write) -> None:
    path = write(lines(HEADER + ",notes", ROWS[0] + ",Müller"), "cp1252")
    table = visits(path, Options(encoding="windows-1252"))
    assert (table.facts.encoding, table.facts.encoding_how) == ("Windows-1252", "chosen")
    assert next(table.rows())[1][-1] == "Müller"
    assert refused(path, Options(encoding="utf-8")).rule == "encoding"
    assert refused(path, Options(encoding="klingon")).rule == "encoding_not_known"


def test_one_bad_byte_in_the_middle_refuses_the_file_and_names_its_line(write: Write) -> None:
    good = lines(HEADER, *ROWS).encode()
    refusal = refused(
        write(good + "S002,0,2015-01-06,145,199,张\n".encode() + b"S003,0,2015-01-07,\xff,54\n")
    )
    assert refusal.rule == "encoding"
    assert refusal.lines == [5]


def test_nul_bytes_refuse_the_file_and_name_their_lines(write: Write) -> None:
    refusal = refused(write(lines(HEADER, ROWS[0], "S0\x0002,0,2015-01-06,145,199", ROWS[1], "S\x003,1,,,")))
    assert (refusal.rule, refusal.lines) == ("nul", [3, 5])


def test_an_empty_file_is_refused(write: Write) -> None:
    assert refused(write(b"")).rule == "empty"
    assert refused(write("\n\n \t\n,,,\n")).rule == "empty"
    assert refused(write("S001,0,312\n")).rule == "no_header"


# --- separators, lines ----------------------------------------------------------------------


@pytest.mark.parametrize(("separator", "end"), [(",", "\r\n"), (";", "\n"), ("\t", "\r"), ("|", "\n")])
def test_separator_and_line_ends_are_found(write: Write, separator: str, end: str) -> None:
    table = visits(write(lines(*(row.replace(",", separator) for row in (HEADER, *ROWS)), end=end)))
    assert table.facts.separator == separator
    assert [(line, row[0]) for line, row in table.rows()] == [(2, "S001"), (3, "S001")]


def test_lines_are_those_of_the_file(write: Write) -> None:
    text = "Report of March\nprinted 2026-04-01\n\n" + lines(
        HEADER + ",notes", ROWS[0] + ',"two\nlines"', "", ROWS[1] + ","
    )
    table = visits(write(text))
    assert table.facts.header_line == 4
    assert [line for line, _row in table.rows()] == [5, 8]
    assert any("line 4" in str(notice) for notice in table.facts.notices)


def test_a_quotation_mark_that_is_not_closed_names_its_record(write: Write) -> None:
    refusal = refused(write(lines(HEADER, ROWS[0], 'S002,0,2015-01-06,"145,199', ROWS[1])))
    assert (refusal.rule, refusal.lines) == ("csv", [3])


def test_a_huge_cell_is_refused_with_its_line(write: Write) -> None:
    assert refused(write(lines(HEADER, ROWS[0], f'S002,0,2015-01-06,"{"9" * 200_000}",1'))).lines == [3]


# --- headers --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "role", "code", "unit"),
    [
        ("受试者编号", "field", "subject_id", ""),
        ("Subject ID", "field", "subject_id", ""),
        ("访视周", "field", "week", ""),
        ("采样日期", "field", "visit_date", ""),
        ("ALT（U/L）", "value", "alt", "U/L"),
        ("总胆红素(μmol/L)", "value", "tbil", "umol/L"),
        ("肌酐 (µmol/L)", "value", "creatinine", "umol/L"),
        ("肌酐 (Cr)", "value", "creatinine", ""),
        ("丙氨酸氨基转移酶测定(ALT)", "value", "alt", ""),
        ("TBIL mg/dL", "value", "tbil", "mg/dL"),
        ("tbil_mg_dl", "value", "tbil", "mg/dL"),
        ("PLT(×10⁹/L)", "value", "platelets", "10^9/L"),
        ("1742-6", "value", "alt", ""),
        ("总胆红素单位", "unit", "tbil", ""),
        ("tbil_unit", "unit", "tbil", ""),
        ("alt_missing", "missing", "alt", ""),
        ("hbv_dna_comparator", "comparator", "hbv_dna", ""),
    ],
)
def test_headers_are_recognised(header: str, role: str, code: str, unit: str) -> None:
    (column,) = recognise([header], meanings_of(Visits.fields, analytes=True), Options())
    assert column is not None
    assert (column.role, column.code, column.unit) == (role, code, unit)


@pytest.mark.parametrize("header", ["notes", "ALT baseline", "", "group", "altitude", "visit_day"])
def test_what_is_not_known_is_ignored_and_said(write: Write, header: str) -> None:
    table = visits(write(lines(f"{HEADER},{header}", ROWS[0] + ",x")))
    assert table.columns[5:] in ([None], [])
    assert bool(table.facts.ignored) == bool(header)


@pytest.mark.parametrize(
    ("header", "code", "unit"),
    [
        ("INR(比值)", "inr", ""), ("PTA（活动度）", "pta", ""), ("PTA（%）", "pta", "%"), ("PTA(活动度)(%)", "pta", "%"),
        ("TBIL(总)", "tbil", ""), ("HBV-DNA(定量)(IU/mL)", "hbv_dna", "IU/mL"), ("Creatinine (serum)", "creatinine", ""),
        ("PT(秒)", "pt", "s"), ("PT(S)", "pt", "s"), ("PLT (K/uL)", "platelets", "10^3/uL"),
        ("活动度(PTA)", "pta", ""), ("PLT计数", "platelets", ""), ("HBV-DNA载量", "hbv_dna", ""), ("INR(0.8-1.2)", "inr", ""),
        ("ALT结果", "alt", ""), ("TBIL Result", "tbil", ""),
        ("总\u3000胆 红\n素", "tbil", ""), ("总胆红素μmol/L", "tbil", "umol/L"), ("总胆红素g/L", "", ""),
        # something else was measured, or it cannot be told
        ("尿肌酐(Cr)", None, ""), ("直接胆红素(TBIL)", None, ""), ("Urine albumin (ALB)", None, ""), ("Cr清除率", None, ""),
        ("PT比值", None, ""), ("胆红素(直接)", "", ""), ("白蛋白(尿)", "", ""), ("PT(活动度)", "", ""), ("PTA(凝血酶原时间)", "", ""),
        ("HBV DNA(log10)", "", ""), ("Creatinine (urine)", "", ""), ("TBIL(umol/L)(mg/dL)", "", ""),
    ],
)  # fmt: skip
def test_what_stands_beside_the_name_of_an_analyte(header: str, code: str | None, unit: str) -> None:
    try:
        column = recognise([header], analyte_meanings(), Options())[0]
    except FileRefused as refusal:
        assert (refusal.rule, code) == ("header_unit", "")
    else:
        assert (column and column.code, column.unit if column else "") == (code, unit)
    if code and not unit and "0.8" not in header:
        assert cells.read_analyte(header) == code


@pytest.mark.parametrize(
    ("kind", "header", "code"),
    [
        (Subjects(), "年龄(岁)", "age"), (Subjects(), "年龄（入组时）", "age"), (Subjects(), "年龄(月)", ""),
        (Visits(), "访视周(0/1/4/12/24)", "week"), (Visits(), "周(天)", ""), (Visits(), "访视日期(天)", "visit_date"),
        (Infusions(), "体重（KG）", "weight_kg"), (Infusions(), "体重(斤)", ""), (Infusions(), "体积(ml)", "volume_ml"),
        (Infusions(), "体积(L)", ""), (Infusions(), "细胞数(×10⁶)", ""), (Infusions(), "细胞数(10^6)", ""),
        (Infusions(), "cells (million)", ""), (Infusions(), "细胞数(个)", "cells"), (Infusions(), "cells/kg (10^6/kg)", "cells_per_kg"),
    ],
)  # fmt: skip
def test_a_number_is_not_read_in_another_unit_than_its_header_says(
    kind: Kind, header: str, code: str
) -> None:
    try:
        column = recognise([header], kind.layout.meanings, Options())[0]
    except FileRefused as refusal:
        assert (refusal.rule, code) == ("header_unit", "")
    else:
        assert column is not None and (column.code, column.unit) == (code, "")


def test_every_analyte_is_known_by_all_its_names() -> None:
    known = analyte_meanings()
    for analyte in protocol.PANEL:
        for name in (analyte.code, analyte.label, analyte.name, analyte.loinc, *analyte.aliases):
            assert known[plain(name)][1] == analyte.code, name
    # reports of Chinese laboratories: the grid takes the same names from the panel
    assert "血清肌酐" in protocol.ANALYTES["creatinine"].aliases


@pytest.mark.parametrize(
    ("header", "named"),
    [
        (HEADER + ",alt", {"alt"}),
        (HEADER + ",谷丙转氨酶", {"alt", "谷丙转氨酶"}),
        (HEADER + ",Notes,notes", {"Notes", "notes"}),
        (HEADER + ",Subject", {"subject_id", "Subject"}),
    ],
)
def test_two_columns_of_one_meaning_refuse_the_file(write: Write, header: str, named: set[str]) -> None:
    refusal = refused(write(lines(header, ROWS[0] + ",9" * (header.count(",") - 4))))
    assert refusal.rule == "header_twice"
    assert set(refusal.columns) == named


def test_a_unit_the_study_does_not_take_refuses_the_file(write: Write) -> None:
    refusal = refused(write(lines("subject_id,week,PT (%)", "S001,0,38")))
    assert refusal.rule == "header_unit"
    assert "PT (%)" in str(refusal)


@pytest.mark.parametrize(
    ("rows", "line", "named"),
    [
        (["编号,项目,第0周,第1周", "S001,ALT,312,198"], 1, "第0周, 第1周"),
        (["subject_id,ALT_W0,ALT_W1,TBIL_W0,TBIL_W1", "S001,1,2,3,4"], 1, "ALT_W0, ALT_W1"),
        (["受试者编号,基线ALT,4周ALT", "S001,312,198"], 1, "基线ALT, 4周ALT"),
        (["检验结果汇总", "项目,基线,4周,12周", "ALT,312,198,80"], 2, "基线, 4周, 12周"),
        ([",,Week 0,,Week 4,", "subject,sex,ALT,AST,ALT2,AST2", "S001,M,1,2,3,4"], 1, "Week 0, Week 4"),
    ],
)
def test_visits_side_by_side_are_refused_with_what_helps(rows: list[str], line: int, named: str) -> None:
    with pytest.raises(FileRefused) as found:
        refuse_visits_side_by_side(cut(*rows))
    assert (found.value.rule, list(found.value.lines)) == ("side_by_side", [line])
    assert named in str(found.value) and "its own row" in str(found.value.remedy)


def test_only_a_file_without_weeks_has_visits_side_by_side(write: Write) -> None:
    assert refused(write(lines("subject_id,ALT_W0,ALT_W1", "S001,312,198"))).rule == "side_by_side"
    assert refused(write(lines("subject_id,moment,alt", "S001,W4,9"))).rule == "column_missing"
    refuse_visits_side_by_side(cut("subject_id,visit_date,alt", "W4,2015-01-05,9", "S001,W4,W4"))


@pytest.mark.parametrize("end", ["\x1a", "\x1a\x1a\r\n"])
def test_the_mark_with_which_dos_ends_a_text_is_no_row(write: Write, end: str) -> None:
    text = "\r\n".join((HEADER, ROWS[0] + "\x1a", *ROWS, end))
    rows = [row for _line, row in visits(write(text)).rows()]
    assert rows == [(ROWS[0] + "\x1a").split(","), *(row.split(",") for row in ROWS)]


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        ([HEADER, ",,,U/L,mg/dL", "S001,0,2015-01-05,312,16.7"], 2),
        ([HEADER, "单位,,,（U/L）,（mg/dL）", "S001,0,2015-01-05,312,16.7"], 2),
        (
            [
                "受试者编号,访视周,日期,ALT,TBIL",
                "subject_id,week,visit_date,alt (U/L),tbil (mg/dL)",
                "S001,0,,3,16.7",
            ],
            2,
        ),
        ([",,,U/L,mg/dL", HEADER, "S001,0,2015-01-05,312,16.7"], 1),
    ],
)
def test_another_unit_in_a_line_of_its_own_refuses_the_file(write: Write, rows: list[str], line: int) -> None:
    refusal = refused(write(lines(*rows)))
    assert (refusal.rule, list(refusal.lines)) == ("units_apart", [line])
    assert "mg/dL" in str(refusal)


@pytest.mark.parametrize(
    "units", ["单位,,,IU/L,mg%", ",,,U/l,mg/100ml", "units,,,mg/mL,umol/L", ",,,(U/L),个/HP"]
)
def test_a_line_with_units_that_cannot_be_read_refuses_the_file_once(units: str) -> None:
    meanings = Visits().layout.meanings
    columns = recognise(HEADER.split(","), meanings, Options())
    with pytest.raises(FileRefused) as found:
        refuse_units_apart(cut(units, *ROWS), columns, meanings)
    assert (found.value.rule, list(found.value.lines)) == ("units_apart", [1])
    assert len(found.value.columns) == 1
    for at, header in enumerate(("alt", "tbil"), start=3):
        assert (units.split(",")[at] in str(found.value)) == (header in found.value.columns)


@pytest.mark.parametrize("above", ["导出日期,,,2024/01/02,", "Report 3/4,,,page 1/2: all,", ",,,无,/"])
def test_a_line_above_that_holds_no_units_is_none(above: str) -> None:
    meanings = Visits().layout.meanings
    refuse_units_apart(cut(above), recognise(HEADER.split(","), meanings, Options()), meanings)


def test_a_line_of_the_same_units_refuses_no_file(write: Write) -> None:
    path = write(lines(HEADER, "单位：,,,U/L,umol/L", *ROWS))
    assert [line for line, _row in visits(path).rows()] == [3, 4]
    assert [column.unit for column in visits(path).columns if column][3:] == ["U/L", "umol/L"]
    assert "Line 2" in str(visits(path).facts.notices[0])
    mapped = Options(units={"tbil": "mg/dL"})
    assert visits(write(lines(HEADER, ",,,U/L,mg/dL", *ROWS)), options=mapped).facts.header_line == 1


def test_a_missing_key_column_is_named(write: Write) -> None:
    refusal = refused(write(lines("subject_id,visit_date,alt", "S001,2015-01-05,312")))
    assert (refusal.rule, refusal.columns) == ("column_missing", ["week"])
    assert "alt" in str(refusal.remedy), "it shows what the header holds"


def test_letters_count_as_spreadsheets_do() -> None:
    assert [letter_of(place) for place in (0, 25, 26, 51, 52, 701, 702)] == [
        "A",
        "Z",
        "AA",
        "AZ",
        "BA",
        "ZZ",
        "AAA",
    ]


# --- mapping --------------------------------------------------------------------------------


def test_a_mapping_goes_before_what_is_recognised(write: Write) -> None:
    path = write(lines("Nr,week,alt,ALT neu", "S001,0,999,312"))
    table = visits(path, options_of({"Nr": "subject_id", "alt": "", "ALT neu": "alt"}))
    assert [column.code if column else None for column in table.columns] == [
        "subject_id",
        "week",
        None,
        "alt",
    ]


def test_a_mapping_gives_units(write: Write) -> None:
    table = visits(write(lines(HEADER, *ROWS)), options_of({"units": {"tbil": "mg/dl"}}))
    assert next(c for c in table.columns if c and c.code == "tbil").unit == "mg/dL"


@pytest.mark.parametrize(
    "text",
    [
        "[1]",
        "{",
        '{"columns": 3}',
        '{"columns": {"a": 1}}',
        '{"dates": "backwards"}',
        '{"columns": {}, "x": 1}',
    ],
)
def test_a_mapping_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(FileRefused) as refusal:
        read_options(text)
    assert refusal.value.rule == "mapping"


def test_a_mapping_to_nowhere_is_refused(write: Write) -> None:
    assert refused(write(lines(HEADER, *ROWS)), options_of({"alt": "altitude"})).columns == ["alt"]


# --- decimals and dates ---------------------------------------------------------------------


def test_a_file_with_decimal_commas_is_read_as_such(write: Write) -> None:
    path = write(lines("subject_id;week;visit_date;tbil", "S001;0;05.01.2015;285,5", "S001;1;12.01.2015;241"))
    table = visits(path)
    assert table.facts.decimal_comma is True
    assert table.manner.dates is DateOrder.DAY_FIRST
    assert cells.read_decimal("285,5", table.manner).value == cells.read_decimal("285.5", Manner()).value


@pytest.mark.parametrize("value", ["1,234", "285.5", "12"])
def test_a_decimal_comma_has_to_be_proven(write: Write, value: str) -> None:
    table = visits(write(lines("subject_id;week;tbil", f"S001;0;{value}")))
    assert table.facts.decimal_comma is False


def test_mixed_decimals_are_not_guessed(write: Write) -> None:
    assert not visits(write(lines("subject_id;week;tbil", "S001;0;12,5", "S001;1;12.5"))).facts.decimal_comma
    with pytest.raises(Unreadable) as refusal:
        cells.read_decimal("12.5", Manner(decimal_comma=True))
    assert refusal.value.rule == "decimal_point"


@pytest.mark.parametrize(
    ("dates", "order"),
    [
        (["13/02/2024", "02/03/2024"], DateOrder.DAY_FIRST),
        (["02/13/2024", "02/03/2024"], DateOrder.MONTH_FIRST),
        (["02/03/2024", "01/02/2024"], None),
        (["13/02/2024", "02/13/2024"], None),
        (["2024-02-13", "2024-03-02"], None),
    ],
)
def test_the_order_of_dates_is_proven_by_the_file(
    write: Write, dates: list[str], order: DateOrder | None
) -> None:
    rows = [f"S{place},0,{day},1" for place, day in enumerate(dates)]
    assert visits(write(lines("subject_id,week,visit_date,alt", *rows))).manner.dates is order


@pytest.mark.parametrize(
    ("text", "manner", "expected"),
    [
        ("2015-01-05", Manner(), date(2015, 1, 5)),
        ("2015/1/5", Manner(), date(2015, 1, 5)),
        ("2015.01.12", Manner(), date(2015, 1, 12)),
        ("2015年2月2日", Manner(), date(2015, 2, 2)),
        ("6-Jan-15", Manner(), date(2015, 1, 6)),
        ("20150107", Manner(), date(2015, 1, 7)),
        ("２０１５－０１－０６", Manner(), date(2015, 1, 6)),
        ("2015-01-12 08:30", Manner(), date(2015, 1, 12)),
        ("2015-01-12T23:59:59", Manner(), date(2015, 1, 12)),
        ("05.01.2015", Manner(dates=DateOrder.DAY_FIRST), date(2015, 1, 5)),
        ("05/01/2015", Manner(dates=DateOrder.MONTH_FIRST), date(2015, 5, 1)),
        ("42012", Manner(serial_days=True), date(2015, 1, 8)),
        ("42012.354", Manner(serial_days=True), date(2015, 1, 8)),
    ],
)
def test_days_are_read(text: str, manner: Manner, expected: date) -> None:
    assert cells.read_day(text, manner, TODAY) == expected


@pytest.mark.parametrize(
    "text",
    [
        "31/02/2015",
        "2015-02-30",
        "2015-13-01",
        "0000-00-00",
        "2115-01-07",
        "1900-01-00",
        "02/03/2015",
        "42012",
    ],
)
def test_days_that_are_none_or_could_be_two_are_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        cells.read_day(text, Manner(), TODAY)


def test_a_day_that_does_not_exist_is_named_as_the_file_has_it() -> None:
    with pytest.raises(Unreadable, match="31/02/2015"):
        cells.read_day("31/02/2015", Manner(dates=DateOrder.DAY_FIRST), TODAY)


# --- words ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "week"),
    [
        ("4", 4),
        ("4.0", 4),
        ("W4", 4),
        ("week 4", 4),
        ("第4周", 4),
        ("第二十四周", 24),
        ("治疗后4周末", 4),
        ("治疗前", 0),
        ("第4周随访", 4),
        ("基线访视", 0),
        ("４", 4),
        ("baseline", 0),
        ("unscheduled", -1),
    ],
)
def test_weeks_are_read(text: str, week: int) -> None:
    assert cells.read_week(text) == week


@pytest.mark.parametrize(
    "text", ["13", "-1", "-4", "4.5", "", "W", "12-24", "1e1", "第周", "V4", "visit 4", "十周"]
)
def test_weeks_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(Unreadable) as refusal:
        cells.read_week(text)
    assert "0, 1, 4, 12, 24" in str(refusal.value)


@pytest.mark.parametrize("text", ["0", "9", "-1", "2.5", "second", ""])
def test_infusion_numbers_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        cells.read_infusion_number(text)


@pytest.mark.parametrize(
    ("text", "code"), [("Ｓ００３", "S003"), (" pbc001 ", "PBC001"), ("GE-001", "GE-001")]
)
def test_codes_of_subjects_have_one_form(text: str, code: str) -> None:
    assert cells.read_subject(text) == code


@pytest.mark.parametrize("text", ["", "合计", "Total:", "审核人：张某某", "A" * 25, "S 1", "-1"])
def test_what_is_no_code_is_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        cells.read_subject(text)


@pytest.mark.parametrize(
    ("read", "text", "expected"),
    [
        (cells.read_sex, "女", "F"),
        (cells.read_sex, "Male", "M"),
        (cells.read_diagnosis, "肝衰竭", "liver_failure"),
        (cells.read_diagnosis, "LC", "cirrhosis"),
        (cells.read_diagnosis, "Liver Failure", "liver_failure"),
        (cells.read_course, "延长", "prolonged"),
        (cells.read_analyte, "总胆红素", "tbil"),
        (cells.read_missing, "not drawn", "not_drawn"),
    ],
)
def test_words_are_read(read: Callable[[str], str], text: str, expected: str) -> None:
    assert read(text) == expected


@pytest.mark.parametrize(
    "read", [cells.read_sex, cells.read_diagnosis, cells.read_course, cells.read_analyte]
)
@pytest.mark.parametrize("text", ["1", "x", "M/F"])
def test_words_that_are_none_are_refused_with_the_list(read: Callable[[str], str], text: str) -> None:
    with pytest.raises(Unreadable) as refusal:
        read(text)
    assert text in str(refusal.value)
    assert "Write one of" in str(refusal.value.remedy)


@pytest.mark.parametrize(
    ("text", "age"), [("58.77", "58.77"), ("45岁", "45"), ("93", "93"), ("16.123456", "16.123456")]
)
def test_ages_are_kept_exactly(text: str, age: str) -> None:
    assert str(cells.read_age(text, Manner())) == age


@pytest.mark.parametrize("text", ["-1", "121", "<60", "forty", "4O"])
def test_ages_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        cells.read_age(text, Manner())


def test_sentences_survive_json() -> None:
    sentence = Sentence(
        "the %(nth)s is %(what)s", {"nth": 3, "what": Sentence("a %(kind)s", {"kind": "comma"})}
    )
    assert str(unpacked(packed(sentence))) == "the 3 is a comma"


# --- workbooks ------------------------------------------------------------------------------


@pytest.fixture
def book(tmp_path: Path) -> Callable[[Workbook], Path]:
    def save(book: Workbook) -> Path:
        path = tmp_path / "book.xlsx"
        book.save(path)
        return path

    return save


def a_book() -> Workbook:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["subject_id", "week", "visit_date", "alt", "tbil"])
    sheet.append(["S001", 0, datetime(2015, 1, 5), 312, 285.5])
    sheet.append(["S001", 1, 42016, "<3", 0.1 + 0.2])
    return book


def test_a_workbook_reads_as_typed(book: Callable[[Workbook], Path]) -> None:
    table = visits(book(a_book()))
    assert list(table.rows()) == [
        (2, ["S001", "0", "2015-01-05", "312", "285.5"]),
        (3, ["S001", "1", "42016", "<3", "0.3"]),
    ]
    assert table.manner.serial_days is True
    assert table.facts.sheet == "Sheet"


def test_an_error_is_never_an_empty_cell_and_a_format_with_text_is_read_as_shown(
    book: Callable[[Workbook], Path],
) -> None:
    workbook_ = a_book()
    sheet = workbook_.active
    for place, error in (("D2", "#DIV/0!"), ("E2", "#N/A")):
        sheet[place] = error
        sheet[place].data_type = "e"
    sheet["D3"].value, sheet["E3"].value = 5, 14.1
    sheet["D3"].number_format, sheet["E3"].number_format = '"<"0', '0.0" mg/dL"'
    sheet["C3"].number_format = 'yyyy"年"m"月"d"日";@'
    assert [row for _line, row in visits(book(workbook_)).rows()] == [
        ["S001", "0", "2015-01-05", "#DIV/0!", "#N/A"],
        ["S001", "1", "2015-01-12", "<5", "14.1 mg/dL"],
    ]


def test_a_hidden_last_row_is_said(book: Callable[[Workbook], Path]) -> None:
    workbook_ = a_book()
    workbook_.active.row_dimensions[3].hidden = True
    assert "3" in str(visits(book(workbook_)).facts.notices[0])


def test_rows_and_columns_keep_their_place(book: Callable[[Workbook], Path]) -> None:
    workbook_ = openpyxl.Workbook()
    sheet = workbook_.active
    for column, text in enumerate(("subject_id", "week", "alt"), start=3):
        sheet.cell(4, column, text)
    for column, text in enumerate(("S001", 4, 76), start=3):
        sheet.cell(6, column, text)
    table = visits(book(workbook_))
    assert list(table.rows()) == [(6, ["", "", "S001", "4", "76"])]
    assert [column.letter for column in table.columns if column] == ["C", "D", "E"]
    assert not table.facts.ignored
    assert table.facts.header_line == 4


def test_only_the_sheet_that_fits_is_read_and_hidden_ones_never(book: Callable[[Workbook], Path]) -> None:
    workbook_ = a_book()
    workbook_.create_sheet("explanations", 0).append(["what the columns mean"])
    hidden = workbook_.create_sheet("old", 0)
    hidden.append(["subject_id", "week", "visit_date", "alt", "tbil", "ast"])
    hidden.sheet_state = "hidden"
    table = visits(book(workbook_))
    assert table.facts.sheet == "Sheet"
    assert "explanations" in str(table.facts.notices[0])


def test_a_formula_without_a_value_is_refused_by_cell(book: Callable[[Workbook], Path]) -> None:
    workbook_ = a_book()
    workbook_.active["E2"] = "=14.1*17.1"
    refusal = refused(book(workbook_))
    assert refusal.rule == "formula"
    assert "E2" in str(refusal)


def test_a_cell_at_the_end_of_the_world_costs_neither_time_nor_memory(
    book: Callable[[Workbook], Path],
) -> None:
    workbook_ = a_book()
    workbook_.active["XFD1048576"] = "x"
    path = book(workbook_)
    try:
        found = [row[0] for _line, row in visits(path).rows()]
    except FileRefused as refusal:
        assert refusal.rule == "too_large"
    else:
        assert found[:2] == ["S001", "S001"]


def test_a_cut_off_workbook_is_refused(book: Callable[[Workbook], Path], write: Write) -> None:
    whole = book(a_book()).read_bytes()
    assert refused(write(whole[: len(whole) * 6 // 10], name="cut.xlsx")).rule == "not_a_workbook"


def test_an_old_workbook_and_another_archive_are_refused(write: Write, tmp_path: Path) -> None:
    assert refused(write(formats.OLD_EXCEL_MARK + b"x" * 600, name="old.xls")).rule == "old_excel"
    path = tmp_path / "letters.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("letter.txt", "hello")
    assert refused(path).rule == "not_a_workbook"


def _with_part(path: Path, name: str, content: bytes) -> Path:
    changed = path.with_name("changed.xlsx")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(changed, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.namelist():
            if part != name:
                new.writestr(part, old.read(part))
        new.writestr(name, content)
    return changed


def test_entities_and_bombs_are_refused_before_anything_is_expanded(book: Callable[[Workbook], Path]) -> None:
    path = book(a_book())
    entity = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa">]><worksheet>&a;</worksheet>'
    assert refused(_with_part(path, "xl/worksheets/sheet1.xml", entity)).rule == "entities"
    assert refused(_with_part(path, "xl/bomb.xml", b" " * (64 * 2**20))).rule == "bomb"


def test_a_workbook_that_counts_from_1904_is_read_so(book: Callable[[Workbook], Path]) -> None:
    workbook_ = a_book()
    workbook_.epoch = openpyxl.utils.datetime.CALENDAR_MAC_1904
    workbook_.active["C3"] = 42016 - 1462
    table = visits(book(workbook_))
    days = [cells.read_day(row[2], table.manner, TODAY) for _line, row in table.rows()]
    assert days == [date(2015, 1, 5), date(2015, 1, 12)]
    assert any("1904" in str(notice) for notice in table.facts.notices)


def test_a_book_of_subjects_is_recognised_too(book: Callable[[Workbook], Path]) -> None:
    workbook_ = openpyxl.Workbook()
    workbook_.active.append(["受试者编号", "性别", "年龄", "诊断", "入组日期"])
    workbook_.active.append(["S001", "男", 45, "肝衰竭", datetime(2014, 12, 29)])
    table = open_table(book(workbook_), "book.xlsx", Subjects().layout, Options())
    assert [column.code for column in table.columns if column] == [
        "subject_id",
        "sex",
        "age",
        "diagnosis",
        "recruited_on",
    ]


def test_inspecting_counts_lines(write: Write) -> None:
    found = encodings.inspect(write(lines("a", "b", "c", end="\r\n")))
    assert (found.newlines, found.newline) == (3, "CRLF")


# --- who a person is, in the middle of a text -----------------------------------------------


@pytest.mark.parametrize(
    ("text", "sort"),
    [
        ("家属王先生已告知", "name"),
        ("李秀英女士来电", "name"),
        ("患者姓名：张伟", "name"),
        ("seen with Mrs Wang", "name"),
        ("patient name: Wei Zhang", "name"),
        ("身份证 11010519491231002X", "card"),
        ("护照号 E12345678", "card"),
        ("医保卡 1234567890", "card"),
        ("微信 wx_12345", "phone"),
        ("电话13812345678", "phone"),
        ("病历号 A12345", "record"),
    ],
)
def test_an_identifier_in_a_text_is_found(text: str, sort: str) -> None:
    watch = identifiers.Watch()
    cells = ["S001", text]
    assert watch.look(2, cells) == [(1, sort)]
    assert identifiers.BAR in cells[1]


@pytest.mark.parametrize(
    "text",
    [
        "患者黄疸加深，白蛋白低",
        "先生化检查，后输注",
        "haemolysed, drug name: Entecavir",
        "MS excluded, ms 12",
        "护士已核对；门诊复查",
        "QQ absent on wave 3, wechat refused",
        "HBV DNA 1234567 IU/mL",
        "lot UC-2024-0012345",
    ],
)
def test_ordinary_words_are_no_identifier(text: str) -> None:
    assert identifiers.Watch().look(2, ["S001", text]) == []
