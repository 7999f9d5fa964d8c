"""Files as hospitals and attackers send them, made on the spot, each with what must become of it.

All of them say the same six visits of four subjects in one way or another; what
they are to leave in the study is said by the lines that come in, and by the
values that differ from the plain file.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import openpyxl
from openpyxl.utils.datetime import CALENDAR_MAC_1904
from openpyxl.worksheet.worksheet import Worksheet

HEADER = ["subject_id", "week", "visit_date", "alt", "tbil", "tbil_unit", "inr", "notes"]
CHINESE = [
    "受试者编号",
    "访视周",
    "访视日期",
    "谷丙转氨酶",
    "总胆红素",
    "总胆红素单位",
    "国际标准化比值",
    "备注",
]
ROWS = [
    ["S001", "0", "2015-01-05", "312", "285.5", "umol/L", "2.11", ""],
    ["S001", "1", "2015-01-12", "198", "241", "umol/L", "1.98", ""],
    ["S001", "4", "2015-02-02", "76", "150.4", "umol/L", "1.72", ""],
    ["S002", "0", "2015-01-06", "145", "198.7", "umol/L", "2.2", ""],
    ["S003", "0", "2015-01-07", "61", "54.3", "umol/L", "1.44", ""],
    ["S004", "0", "2015-01-08", "49.5", "47.9", "umol/L", "1.39", ""],
]
ALL = (2, 3, 4, 5, 6, 7)
"""The lines of the rows below a header in line 1."""

CARD, OLD_CARD = "11010519491231002X", "110105491231002"
PHONE, MAIL, RECORD = "13812345678", "zhang.san@example.invalid", "0012345678"
NAMES = ("张伟", "王芳", "李秀英", "刘洋", "陈静", "杨丽")
LABS = {"alt": 3, "tbil": 4, "inr": 6}


@dataclass(frozen=True, slots=True)
class Hostile:
    """A file and what must become of it.

    ``accepted`` are the lines that come in, ``refused`` those that do not; a file
    with a ``rule`` is refused as a whole under it. ``stored`` are results that
    differ from the plain rows, by line and analyte, None where there is none.
    ``named`` must stand in what is said, ``noticed`` in what is noted, and
    ``never`` in nothing that is kept or said.
    """

    name: str
    make: Callable[[], bytes]
    ending: str = ".csv"
    rule: str = ""
    accepted: tuple[int, ...] = ()
    refused: tuple[int, ...] = ()
    stored: Mapping[tuple[int, str], str | None] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    named: tuple[str, ...] = ()
    noticed: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    first_line: int = 2

    def __str__(self) -> str:
        return self.name


# --- making texts ---------------------------------------------------------------------------


def rows(changes: Mapping[tuple[int, str], str] | None = None) -> list[list[str]]:
    """Return the rows with some cells replaced, by line and column."""
    changed = [list(row) for row in ROWS]
    for (line, column), text in (changes or {}).items():
        changed[line - 2][HEADER.index(column)] = text
    return changed


def with_column(header: str, cells: list[str]) -> list[list[str]]:
    """Return header and rows with one column more."""
    return [[*HEADER, header], *([*row, cell] for row, cell in zip(ROWS, cells, strict=True))]


def joined(table: list[list[str]], separator: str = ",", end: str = "\r\n") -> str:
    return "".join(separator.join(row) + end for row in table)


def text(
    changes: Mapping[tuple[int, str], str] | None = None,
    *,
    header: list[str] | None = None,
    encoding: str = "utf-8",
    separator: str = ",",
    end: str = "\r\n",
) -> Callable[[], bytes]:
    return lambda: joined([header or HEADER, *rows(changes)], separator, end).encode(encoding)


def _comma(table: list[list[str]]) -> list[list[str]]:
    return [
        [cell.replace(".", ",") if at in (3, 4, 6) else cell for at, cell in enumerate(row)] for row in table
    ]


def _long() -> bytes:
    names = {"alt": ("谷丙转氨酶", "U/L"), "tbil": ("总胆红素", "μmol/L"), "inr": ("INR", "")}
    table = [["受试者", "访视", "采样日期", "检验项目", "结果", "单位"]]
    for row in ROWS:
        table += [[*row[:3], name, row[LABS[code]], unit] for code, (name, unit) in names.items()]
    return joined(table).encode("gb18030")


def _of_one(*more: str, alt: str = "谷丙转氨酶(ALT)", tbil: str = "总胆红素TBIL(μmol/L)") -> list[list[str]]:
    """Return a table as laboratories of Guangdong export it, and the same cells behind each row."""
    header = ["受试者编号", "访视周", "采样时间", alt, tbil, "国际标准化比值(INR)"]
    return [
        [*header, *more[::2]],
        *([*row[:2], f"{row[2]} 08:30", row[3], row[4], row[6], *more[1::2]] for row in ROWS),
    ]


def _only_tbil(*more: str) -> list[list[str]]:
    return [[*row[:3], row[4], *row[6:]] for row in _of_one(*more, tbil="总胆红素")]


def _long_as_reports_say() -> bytes:
    names = {"alt": "丙氨酸氨基转移酶(速率法)", "tbil": "★总胆红素TBIL", "inr": "国际标准化比率（INR）"}
    units = {"alt": "U/L", "tbil": "μmol/L", "inr": ""}
    table = [["受试者编号", "访视周", "采集时间", "项目名称", "结果值", "单位", "参考范围", "提示"]]
    for row in ROWS:
        day = row[2].replace("-", "/")
        table += [
            [*row[:2], day, names[code], f"{row[LABS[code]]}↑", units[code], "0-1", "↑"] for code in names
        ]
    return joined(table, "\t").encode("gb18030")


# --- making workbooks -----------------------------------------------------------------------


def typed(row: list[str]) -> list[object]:
    """Return a row as a laboratory system types it into a workbook."""
    day = datetime.strptime(row[2], "%Y-%m-%d")  # noqa: DTZ007 - a day without a clock
    return [row[0], int(row[1]), day, float(row[3]), float(row[4]), row[5], float(row[6]), row[7] or None]


def book(
    edit: Callable[[openpyxl.Workbook, Worksheet], None] = lambda book, sheet: None,
) -> Callable[[], bytes]:
    def make() -> bytes:
        made = openpyxl.Workbook()
        sheet = made.active
        sheet.title = "results"
        sheet.append(HEADER)
        for row in ROWS:
            sheet.append(typed(row))
        edit(made, sheet)
        saved = io.BytesIO()
        made.save(saved)
        return saved.getvalue()

    return make


def repacked(
    add: Mapping[str, bytes] | None = None, replace: Callable[[str, bytes], bytes] = lambda name, data: data
) -> Callable[[], bytes]:
    """Return a workbook with parts added or changed behind the back of the library."""

    def make() -> bytes:
        saved = io.BytesIO()
        with (
            zipfile.ZipFile(io.BytesIO(book()())) as old,
            zipfile.ZipFile(saved, "w", zipfile.ZIP_DEFLATED) as new,
        ):
            for name in old.namelist():
                new.writestr(name, replace(name, old.read(name)))
            for name, data in (add or {}).items():
                new.writestr(name, data)
        return saved.getvalue()

    return make


def archive(parts: Mapping[str, bytes]) -> Callable[[], bytes]:
    def make() -> bytes:
        saved = io.BytesIO()
        with zipfile.ZipFile(saved, "w", zipfile.ZIP_DEFLATED) as new:
            for name, data in parts.items():
                new.writestr(name, data)
        return saved.getvalue()

    return make


_SHEET = "xl/worksheets/sheet1.xml"


def _other(name: str, old: bytes, new: bytes) -> Callable[[str, bytes], bytes]:
    return lambda part, data: data.replace(old, new, 1) if part == name else data


def _merge_subject(made: openpyxl.Workbook, sheet: Worksheet) -> None:
    sheet.merge_cells("A2:A4")


def _merge_result(made: openpyxl.Workbook, sheet: Worksheet) -> None:
    sheet.merge_cells("D2:D3")


def _merge_header(made: openpyxl.Workbook, sheet: Worksheet) -> None:
    sheet.merge_cells("D1:E1")


def _sheets(made: openpyxl.Workbook, sheet: Worksheet) -> None:
    made.create_sheet("readme", 0).append(["what the columns mean"])
    for name, state in (("old", "hidden"), ("older", "veryHidden")):
        other = made.create_sheet(name)
        other.append([*HEADER, "ast"])
        other.append([*typed(ROWS[0])[:3], 999, 999, "umol/L", 9, None, 999])
        other.sheet_state = state


def _months(made: openpyxl.Workbook, sheet: Worksheet) -> None:
    other = made.create_sheet("January", 0)
    other.append(HEADER)
    other.append([*typed(ROWS[0])[:3], 999, 999, "umol/L", 9, None])


def _hide(made: openpyxl.Workbook, sheet: Worksheet) -> None:
    sheet.row_dimensions[4].hidden = True
    sheet.column_dimensions["E"].hidden = True


def _from_1904(made: openpyxl.Workbook, sheet: Worksheet) -> None:
    made.epoch = CALENDAR_MAC_1904
    sheet["C3"] = 42016 - 1462


def _formula(made: openpyxl.Workbook, sheet: Worksheet) -> None:
    sheet["E3"] = "=14.1*17.1"


def _percents(made: openpyxl.Workbook, sheet: Worksheet) -> None:
    sheet["I1"], sheet["J1"] = "PTA（%）", "PT"
    for line in ALL:
        sheet.cell(line, 9, 0.382).number_format = "0.0%"
    sheet["I3"], sheet["I3"].number_format = 41.5, "0.0"
    sheet["J2"], sheet["J2"].number_format = 0.15, "0%"


def _formula_elsewhere(made: openpyxl.Workbook, sheet: Worksheet) -> None:
    made.create_sheet("sums")["A1"] = "=SUM(results!D2:D7)"


def _end_of_the_world(made: openpyxl.Workbook, sheet: Worksheet) -> None:
    sheet["XFD1048576"] = "x"


def _names(made: openpyxl.Workbook, sheet: Worksheet) -> None:
    sheet["I1"], sheet["J1"] = "Patient name", "MRN"
    for line, name in zip(ALL, NAMES, strict=True):
        sheet.cell(line, 9, name)
        sheet.cell(line, 10, RECORD)


def _numbers_for_codes(made: openpyxl.Workbook, sheet: Worksheet) -> None:
    for line in ALL:
        sheet.cell(line, 1, int(ROWS[line - 2][0][1:])).number_format = '"S"000' if line > 4 else "General"


def _moved(made: openpyxl.Workbook, sheet: Worksheet) -> None:
    sheet.insert_rows(1, 3)
    sheet.insert_cols(1, 2)
    sheet["C1"] = "中山某医院检验科"
    sheet["C11"] = "合计"
    sheet["F11"] = 841.5


def _nul(name: str, data: bytes) -> bytes:
    return data.replace(b"<sheetData>", b"\0<sheetData>") if name == _SHEET else data


def _wide_xml(name: str, data: bytes) -> bytes:
    hidden = (
        '<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE a [<!ENTITY b "bbbb">]><worksheet>&b;</worksheet>'
    )
    return hidden.encode("utf-16") if name == _SHEET else data


_XML_2003 = '<?xml version="1.0"?><?mso-application progid="Excel.Sheet"?><Workbook><Row/></Workbook>'
_TOKENS = {
    (2, "alt"): "-",
    (3, "alt"): "N/A",
    (4, "alt"): "未查",
    (5, "alt"): "无",
    (6, "alt"): "—",
    (7, "alt"): "溶血",
    (2, "inr"): "未抽血",
    (3, "inr"): "拒查",
    (4, "inr"): "QNS",
    (5, "inr"): "未做",
}
_NOTE = "联系家属 138 1234 5678 后复查"


def _full_width(cell: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if (c.isascii() and c.isalnum()) or c == "." else c for c in cell)


FILES: tuple[Hostile, ...] = (
    # encodings
    Hostile("utf-8 with a mark, Chinese headers", text(header=CHINESE, encoding="utf-8-sig"), accepted=ALL),
    Hostile("utf-16 big endian, tabs", lambda: b"\xfe\xff" + text(separator="\t", encoding="utf-16-be")(), ".txt",
            accepted=ALL),
    Hostile("utf-16 little endian without a mark", text(encoding="utf-16-le"), accepted=ALL),
    Hostile("utf-16 big endian without a mark", text(encoding="utf-16-be"), accepted=ALL),
    Hostile("gb18030 with a letter of four bytes",
            text({(2, "notes"): "患者㐀姓氏少见一般情况可"}, header=CHINESE, encoding="gb18030"), accepted=ALL),
    Hostile("latin-1, not said", text({(4, "notes"): "M\xfcller"}, encoding="latin-1"), rule="encoding",
            named=("line 4",)),
    Hostile("latin-1, said", text({(4, "notes"): "M\xfcller"}, encoding="latin-1"), accepted=ALL,
            options={"encoding": "latin-1"}),
    Hostile("utf-8 said, utf-8 with a mark sent", text(encoding="utf-8-sig"), accepted=ALL,
            options={"encoding": "utf-8"}),
    Hostile("utf-8 with one line of gbk",
            lambda: text({(2, "notes"): "一般情况可"})().replace(b"54.3", "54.3,好转".encode("gbk")),
            rule="encoding", named=("line 6",)),
    Hostile("gbk with one line of utf-8",
            lambda: text({(2, "notes"): "一般情况可"}, header=CHINESE, encoding="gbk")()
            .replace(b"1.44,", b"1.44," + "黄疸好转".encode()), rule="encoding", named=("line 1",)),
    Hostile("utf-16 cut in the middle of a letter", lambda: text(encoding="utf-16")()[:-1], rule="encoding"),
    # lines and separators
    Hostile("old Mac line ends", text(end="\r"), accepted=ALL),
    Hostile("bars", text(separator="|"), accepted=ALL),
    Hostile("semicolons, decimal comma", lambda: joined([HEADER, *_comma(ROWS)], ";").encode(), accepted=ALL),
    Hostile("tabs, decimal comma, days with points",
            lambda: joined([HEADER, *([r[0], r[1], ".".join(reversed(r[2].split("-"))), *r[3:]] for r in _comma(ROWS))],
                           "\t").encode(), ".txt", accepted=ALL),
    Hostile("a quotation mark that is never closed", text({(4, "notes"): '"worse'}), rule="csv", named=("line 4",)),
    Hostile("a million empty lines", lambda: b"\n" * 1_000_000 + text(end="\n")(), accepted=tuple(range(1_000_002, 1_000_008)),
            first_line=1_000_002),
    Hostile("a million empty lines below", lambda: text(end="\n")() + b"\n" * 1_000_000, accepted=ALL),
    Hostile("spaces alone", " \t\r\n\u3000\r\n,,,\r\n".encode, rule="empty"),
    Hostile("a header alone", lambda: joined([HEADER]).encode()),
    Hostile("a column twice under two names", lambda: joined(with_column("ALT（U/L）", ["999"] * 6)).encode(),
            rule="header_twice", named=("alt", "ALT（U/L）", "D", "I"), never=("999",)),
    Hostile("sixteen thousand columns", lambda: joined([HEADER + ["x"] * 16_376, *rows()]).encode(), rule="too_wide",
            named=("line 1",)),
    Hostile("a cell of a megabyte", text({(4, "notes"): "x" * 2**20}), rule="huge_cell", named=("line 4",)),
    Hostile("a cell of ten megabytes in quotes", text({(5, "notes"): '"' + "y,\n" * (10 * 2**20 // 3) + '"'}),
            rule="huge_cell", named=("line 5",)),
    # values
    Hostile("long, in Chinese, gbk", _long, accepted=tuple(range(2, 20)), first_line=0),
    Hostile("names with abbreviations, a draw in place of a day",
            lambda: joined(_of_one("参考范围", "9-50", "提示", "↑"), "\t").encode("gb18030"), ".txt", accepted=ALL,
            noticed=("参考范围, 提示",)),
    Hostile("long, as reports say it", _long_as_reports_say, accepted=tuple(range(2, 20)), first_line=0,
            noticed=("参考范围, 提示", "↑")),
    Hostile("one analyte, and a unit beside it", lambda: joined(_only_tbil("单位", "mmol/L")).encode(), refused=ALL,
            named=("单位", "mmol/L")),
    Hostile("one analyte, and a sign beside it", lambda: joined(_only_tbil("comparator", "<")).encode(), accepted=ALL,
            stored={(line, code): f"<{row[4]}" if code == "tbil" else None
                    for line, row in zip(ALL, ROWS, strict=True) for code in LABS}),
    Hostile("a unit beside several analytes", lambda: joined(_of_one("单位", "mg/dL")).encode(), rule="of_which",
            named=("单位", "G", "TBIL 单位")),
    Hostile("one row per value, and a column of values, too",
            lambda: joined([["subject_id", "week", "analyte", "value", "tbil"], *([*r[:2], "alt", *r[3:5]] for r in ROWS)])
            .encode(), rule="two_ways", named=("tbil", "E")),
    Hostile("blocks of results with their ranges",
            lambda: joined(_of_one("单位", "U/L", "参考范围", "9-50", "单位", "μmol/L", "参考范围", "3-20")).encode(),
            rule="header_twice", named=("单位",)),
    Hostile("words for no result", text(_TOKENS), accepted=ALL,
            stored=dict.fromkeys(_TOKENS) | {(7, "alt"): "haemolysed", (2, "inr"): "not_drawn",
                                                     (3, "inr"): "refused", (4, "inr"): "too_little"}),
    Hostile("limits in every width", text({(2, "alt"): "≥1000", (3, "alt"): "＜3", (4, "alt"): "> 500", (5, "alt"): "⩽5"}),
            accepted=ALL, stored={(2, "alt"): ">1000", (3, "alt"): "<3", (4, "alt"): ">500", (5, "alt"): "<5"}),
    Hostile("arrows of a laboratory", text({(2, "alt"): "312↑", (3, "alt"): "198 ↑↑", (4, "tbil"): "150.4 umol/L ↑",
                                              (5, "alt"): "＞1000↑", (6, "inr"): "1.44↓"}, encoding="gb18030"),
            accepted=ALL, stored={(5, "alt"): ">1000"}, noticed=("marks of the laboratory: ↑, ↓",)),
    Hostile("other marks of a laboratory", text({(2, "alt"): "312H", (3, "alt"): "198*", (4, "alt"): "↑76", (5, "alt"): "145（高）",
                                                 (6, "alt"): "未检出", (7, "alt"): "<1.0E+02"}),
            refused=ALL, named=("312H", "198*", "↑76", "145（高）", "Type 145 if", "未检出", "such as <20", "Type <100 if")),
    Hostile("units in cells and in a column", text({(2, "tbil"): "16.7 mg/dL", (2, "tbil_unit"): "",
                                                     (3, "tbil"): "14.1", (3, "tbil_unit"): "mg/dl",
                                                     (4, "tbil_unit"): "μmol／L", (5, "tbil_unit"): "g/L",
                                                     (6, "tbil"): "3 mg/dL"}),
            accepted=(2, 3, 4, 7), refused=(5, 6), stored={(2, "tbil"): "285.57", (3, "tbil"): "241.11"},
            named=("g/L", "mg/dL")),
    Hostile("full width throughout", lambda: joined([HEADER, *([*map(_full_width, r[:2]), r[2],
            *map(_full_width, r[3:5]), *r[5:]] for r in ROWS)]).encode(), accepted=ALL),
    Hostile("days that could be two", text({(2, "visit_date"): "02/03/2015", (3, "visit_date"): "03/04/15"}),
            accepted=(4, 5, 6, 7), refused=(2, 3), named=("02/03/2015", "03/04/15", "visit_date")),
    Hostile("codes that are not what they look like",
            text({(2, "subject_id"): "S001\u200b", (3, "subject_id"): "\u202eS001", (4, "subject_id"): "\u0405001",
                  (5, "subject_id"): "S0\u043e2"}),
            accepted=(6, 7), refused=(2, 3, 4, 5),
            named=("U+200B", "U+202E", "cyrillic capital letter dze", "cyrillic")),
    Hostile("markup in place of a result",
            text({(2, "alt"): "<script>alert(1)</script>", (3, "notes"): "<img src=x onerror=alert(1)>"}),
            accepted=(3, 4, 5, 6, 7), refused=(2,), named=("alt",)),
    Hostile("formulas in the key", text({(2, "subject_id"): "=S001", (3, "week"): "=1", (4, "alt"): "=76"}),
            accepted=(5, 6, 7), refused=(2, 3, 4), named=("=S001", "=1", "=76")),
    # workbooks
    Hostile("one subject beside three rows", book(_merge_subject), ".xlsx", accepted=ALL, noticed=("A2:A4",)),
    Hostile("one result beside two rows", book(_merge_result), ".xlsx", rule="merged", named=("D2:D3",)),
    Hostile("one header above two columns", book(_merge_header), ".xlsx", rule="header_twice", named=("alt",)),
    Hostile("a readme and hidden sheets", book(_sheets), ".xlsx", accepted=ALL,
            noticed=("readme", "old, older"), never=("999",)),
    Hostile("the sheet that was said", book(_months), ".xlsx", accepted=ALL, options={"sheet": "results"},
            noticed=("January",), never=("999",)),
    Hostile("a sheet that is not there", book(_months), ".xlsx", rule="no_sheet", options={"sheet": "May"},
            named=("May", "January, results")),
    Hostile("hidden rows and columns", book(_hide), ".xlsx", accepted=ALL, noticed=("rows were read like the others: 4",
                                                                                    "like the others: E")),
    Hostile("days counted from 1904", book(_from_1904), ".xlsx", accepted=ALL, noticed=("1904",)),
    Hostile("a table that begins at C4, and a total", book(_moved), ".xlsx", accepted=(5, 6, 7, 8, 9, 10),
            refused=(11,), named=("合计",), noticed=("line 4",), first_line=5),
    Hostile("codes that a spreadsheet took for numbers", book(_numbers_for_codes), ".xlsx", accepted=(5, 6, 7),
            refused=(2, 3, 4), named=("no subject 1. Is S001 meant",)),
    Hostile("a formula without a result", book(_formula), ".xlsx", rule="formula", named=("E3",)),
    Hostile("a formula on a sheet that is not read", book(_formula_elsewhere), ".xlsx", accepted=ALL),
    Hostile("per cent as Excel keeps it", book(_percents), ".xlsx", accepted=(3, 4, 5, 6, 7), refused=(2,),
            named=("PT 15%",),
            stored={(line, "pta"): "41.5" if line == 3 else "38.2" for line in ALL}),
    Hostile("a cell of almost a megabyte in a sheet",
            repacked(replace=_other(_SHEET, b">umol/L<", b">" + b"u" * 900_000 + b"<")), ".xlsx",
            rule="huge_cell", named=("line 2",)),
    Hostile("macros and links to other files",
            repacked({"xl/vbaProject.bin": b"\0macro", "xl/externalLinks/externalLink1.xml": b"<externalLink/>"}),
            ".xlsm", accepted=ALL, noticed=("macros", "other files")),
    Hostile("a cell at the end of the world", book(_end_of_the_world), ".xlsx", rule="too_large", named=("512 MB",)),
    Hostile("a part that unpacks to forty megabytes", repacked({"xl/media/a.xml": b" " * (40 * 2**20)}), ".xlsx",
            rule="bomb"),
    Hostile("three hundred parts", repacked({f"xl/a{n}.xml": b"<a/>" for n in range(300)}), ".xlsx",
            rule="too_large", named=("100 parts",)),
    Hostile("a part that leads out", repacked({"../../../tmp/evil.xml": b"<a/>"}), ".xlsx", rule="path"),
    Hostile("entities that hide in utf-16", repacked(replace=_wide_xml), ".xlsx", rule="not_a_workbook"),
    Hostile("two values of one cell",
            repacked(replace=_other(_SHEET, b'<c r="E2"', b'<c r="D2" t="n"><v>999</v></c><c r="E2"')), ".xlsx",
            rule="not_a_workbook", never=("999",)),
    Hostile("a NUL in a sheet", repacked(replace=_nul), ".xlsx", rule="not_a_workbook"),
    Hostile("a sheet that is no XML", repacked(replace=lambda name, data: data[:400] if name == _SHEET else data),
            ".xlsx"),
    # what is no table
    Hostile("old Excel", lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 4096, ".xls", rule="old_excel",
            named=(".xlsx",)),
    Hostile("a workbook with a password",
            lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 512 + "EncryptedPackage".encode("utf-16-le"), ".xlsx",
            rule="password", named=("password",)),
    Hostile("a web page called .xls", lambda: b"\xef\xbb\xbf\r\n<html><table><tr><td>S001</td></tr></table>", ".xls",
            rule="html", named=("web page",)),
    Hostile("an XML spreadsheet called .xls", _XML_2003.encode, ".xls", rule="xml_spreadsheet"),
    Hostile("a PDF", lambda: b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", ".pdf", rule="pdf"),
    Hostile("an SPSS file", lambda: b"$FL2@(#) SPSS DATA FILE" + b"\0" * 200, ".sav", rule="statistics_file",
            named=("SPSS",)),
    Hostile("a table in a zip", archive({"visits.csv": b"subject_id,week\n"}), ".zip", rule="not_a_workbook",
            named=("Unpack",)),
    Hostile("a file of Numbers", archive({"Index/Document.iwa": b"\0"}), ".numbers", rule="not_a_workbook",
            named=("Numbers",)),
    Hostile("a picture called .csv", lambda: b"\x89PNG\r\n\x1a\n" + b"\0" * 64, rule="picture", named=("PNG",)),
    # identifiers
    Hostile("a column of names", lambda: joined(with_column("姓名", list(NAMES))).encode(), rule="identifiers",
            named=("column I", "姓名", "names", "leave out"), never=NAMES),
    Hostile("names and hospital numbers in a workbook", book(_names), ".xlsx", rule="identifiers",
            named=("I", "Patient name", "J", "MRN", "hospital numbers"), never=(*NAMES, RECORD)),
    Hostile("card numbers under another header", lambda: joined(with_column("extra", [CARD] * 6)).encode(),
            rule="identifiers", named=("column I", "extra", "identity card"), never=(CARD,)),
    Hostile("card numbers far down",
            lambda: joined([[*HEADER, "extra"], *([*ROWS[0], ""] for _n in range(400)), *([*ROWS[1], CARD] for _n in range(9))])
            .encode(), rule="identifiers", named=("extra",), never=(CARD,)),
    Hostile("phones under another header", lambda: joined(with_column("备注2", [PHONE, "", PHONE, "", PHONE, ""]))
            .encode(), rule="identifiers", named=("备注2", "phone"), never=(PHONE,)),
    Hostile("names in place of codes", text({(line, "subject_id"): name for line, name in zip(ALL, NAMES, strict=True)}),
            rule="identifiers", named=("column A", "subject_id"), never=NAMES),
    Hostile("card numbers in place of codes", text({(line, "subject_id"): CARD for line in ALL}),
            rule="identifiers", named=("column A",), never=(CARD,)),
    Hostile("one in a note",
            text({(2, "notes"): _NOTE, (3, "notes"): f"身份证{OLD_CARD}", (4, "notes"): MAIL, (5, "notes"): "住院号：ZY123456",
                  (6, "notes"): "广东省广州市天河区体育西路103号", (7, "alt"): PHONE}),
            refused=(2, 3, 4, 5, 6, 7), named=("phone number", "identity card", "e-mail", "hospital number", "address"),
            never=("1234 5678", PHONE, OLD_CARD, MAIL, "ZY123456", "体育西路")),
    Hostile("left out as a person said", lambda: joined(with_column("姓名", list(NAMES))).encode(), accepted=ALL,
            options={"columns": {"姓名": ""}}, never=NAMES),
    Hostile("numbers that name nobody",
            lambda: joined(with_column("条码", ["202401050000123456", "20240105123456", "138123456", "110105194913310021",
                                                "2015-01-05 08:30:00", "1.3812345678"])).encode(), accepted=ALL),
)  # fmt: skip
