"""Direct identifiers where a study file has none to hold: names, card, phone and record numbers, addresses.

A column is recognised by its header, or because most of its cells are such
numbers; a single one in a note is found by itself. What is found is named by
its place and its sort and never repeated: a message, a report and a file of
rows to mend hold a bar in its place.

Card numbers follow GB 11643-1999 (ISO 7064 MOD 11-2); those of 15 digits were
given out before 2000.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date

from patients.imports.problems import FileRefused, Problem
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


BAR = "█████"
"""Stands in place of what was found."""

SORTS = {
    "name": _("names"),
    "card": _("numbers of identity cards"),
    "record": _("hospital numbers"),
    "phone": _("phone numbers"),
    "address": _("addresses"),
    "email": _("e-mail addresses"),
}
"""What is recognised, as a message names it."""

_ONE = {
    "name": _("a name"),
    "card": _("the number of an identity card"),
    "record": _("a hospital number"),
    "phone": _("a phone number"),
    "address": _("an address"),
    "email": _("an e-mail address"),
}
MOST_ROWS = 1000
"""With more rows than this the file as a whole is refused."""
_MOST_LINES_NAMED = 5

# --- by header ------------------------------------------------------------------------------

_HEADER_PARTS = {
    "name": ("姓名", "名字", "患者名", "联系人"),
    "card": ("身份证", "证件号", "公民身份", "护照", "医保号", "医保卡", "社保号", "社会保障", "银行卡"),
    "record": ("住院号", "病案号", "病历号", "门诊号", "就诊号", "就诊卡", "登记号", "住院流水号"),
    "phone": ("电话", "手机", "联系方式", "微信"),
    "address": ("地址", "住址", "工作单位"),
    "email": ("邮箱", "电子邮件"),
}
_HEADER_WORDS = {
    "name": re.compile(
        r"names?|surnames?|forenames?|(the )?(patient|subject|participant|person|full|first|last|family|given|middle"
        r"|legal)( ?s)?( (first|last|full|family|given))? ?names?"
    ),
    "card": re.compile(
        r"(patient )?(national|citizen|identity|resident|chinese)? ?(id|identity) ?(card|number|no)( (number|no))?"
        r"|(national|citizen|resident) ?(id|identity)|ssn|social security( (number|no))?|passport( (number|no))?"
        r"|(health )?insurance (number|no|id)|nhs (number|no)"
    ),
    "record": re.compile(
        r"mrn|(medical|health|patient|hospital) record( (number|no|id))?|hospital patient id"
        r"|(hospital|admission|inpatient|outpatient|chart|patient chart) (number|no)"
    ),
    "phone": re.compile(
        r"(patient |home |work |contact |cell |mobile )?(phone|mobile|telephone|tel|cellphone)( (number|no))?"
        r"|contact (number|no)|wechat( id)?|qq( ?号)?|fax"
    ),
    "address": re.compile(r"((patient|home|postal|street|mailing|residential) )?address|street"),
    "email": re.compile(r"((patient|contact) )?e ?mail( address)?"),
}
_BRACKETS = re.compile(r"[(\[【].*?[)\]】]")
_BETWEEN_WORDS = re.compile(r"[\s_\-./:#*']+")


def sort_of_header(header: str) -> str:
    """Return which direct identifier a header announces, or nothing.

    Examples
    --------
    >>> sort_of_header("姓 名"), sort_of_header("MRN"), sort_of_header("Test name"), sort_of_header("ALT")
    ('name', 'record', '', '')
    """
    text = unicodedata.normalize("NFKC", header).casefold()
    # names of columns are spaced out, and break in their cell
    together = "".join(text.split())
    for sort, parts in _HEADER_PARTS.items():
        if any(part in together for part in parts):
            return sort
    words = _BETWEEN_WORDS.sub(" ", _BRACKETS.sub(" ", text)).strip()
    return next((sort for sort, form in _HEADER_WORDS.items() if form.fullmatch(words)), "")


# --- by content -----------------------------------------------------------------------------

_CARD_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CARD_CHECKS = "10X98765432"
# first two digits: the provinces of GB/T 2260, and cards of foreign residents
_PROVINCES = "11|12|13|14|15|21|22|23|31|32|33|34|35|36|37|41|42|43|44|45|46|50|51|52|53|54|61|62|63|64|65|71|81|82|83|91"
SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林罗郑梁谢宋唐许韩邓冯曹彭曾肖田董潘袁蔡蒋余于杜叶程魏苏吕丁任卢姚沈钟姜崔谭陆范汪廖石"
    "金韦贾夏付方邹熊白孟秦邱侯江尹薛闫段雷龙黎史陶贺毛郝顾龚邵万覃武钱戴严莫孔向常汤康易乔赖文欧"
)
"""The commonest Chinese family names of one character."""
_FINDS = re.compile(
    r"(?P<card>(?<![0-9.])[0-9]{6}[ -]?[0-9]{8}[ -]?[0-9]{3}[0-9Xx](?![0-9.])|(?<![0-9.])[0-9]{15}(?![0-9.]))"
    r"|(?P<phone>(?<![0-9.])(?:(?:\+|00)?86[- ]?)?1[3-9][0-9][- ]?[0-9]{4}[- ]?[0-9]{4}(?![0-9.])"
    r"|(?<![0-9.])\(?0[1-9][0-9]{1,2}\)?[- ][1-9][0-9]{6,7}(?![0-9.-]))"
    r"|(?P<email>[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,})"
    r"|(?P<record>(?:住院号|病案号|病历号|门诊号|就诊卡号|登记号|MRN|mrn)[:# ]*(?:为|是)?[A-Za-z]{0,3}[0-9][A-Za-z0-9-]{3,})"
    r"|(?P<document>(?:护照|通行证|居住证|医保卡|社保卡|银行卡)(?:号码|号)?[:# ]*(?:为|是)?[A-Z]{0,2}[0-9]{7,19})"
    r"|(?P<chat>QQ(?:号码|号)?[:# ]*[1-9][0-9]{4,10}"
    r"|(?:微信号?|[Ww]e[Cc]hat)[:# ]*(?:为|是)?(?=[A-Za-z-]*[0-9_])[A-Za-z][A-Za-z0-9_-]{4,})"
    r"|(?P<name>(?:姓名|患者名|病人名)[: ]*(?:为|是)?[: ]*[\u4e00-\u9fff·]{2,4}"
    rf"|[{SURNAMES}高][\u4e00-\u9fff]{{0,2}}(?:先生|女士|小姐)"
    r"|\b(?:Mr|Mrs|Ms)\.? [A-Z][a-z]+(?: [A-Z][a-z]+)?"
    r"|\b(?:[Pp]atient|[Ff]ull|[Ff]irst|[Ll]ast|[Ff]amily)(?:'s)? [Nn]ame *[:=] *[A-Z][A-Za-z'-]+(?: [A-Z][A-Za-z'-]+)*)"
    r"|(?P<address>(?:省|市|自治区|自治州|区|县|[\u4e00-\u9fff]{2,}镇)[\u4e00-\u9fff]{1,12}(?:路|街|大道|巷|弄|胡同|村|小区|新村)"
    r"[\u4e00-\u9fff]{0,6}[0-9]+ *(?:号|弄|栋|幢|室|组|单元))"
)
_MAY_FIND = re.compile(
    r"[0-9]{4}[- ]?[0-9]{3}|@|[Mm][Rr][Nn]|[名号路街道巷弄同村区生士姐微]|M(?:rs?|s)\.? [A-Z]|[Nn]ame|e[Cc]hat|QQ"
)
"""What every find has in it, quick to look for: hardly a row of results holds it."""
_SORT_OF = {"document": "card", "chat": "phone"}
_NAME = re.compile(r"[\u4e00-\u9fff]{2,4}|[\u4e00-\u9fff]{2,8}·[\u4e00-\u9fff]{2,8}")
_NAMES_SHARE, _FEWEST_NAMES, _FEWEST_DIFFERENT = 0.8, 4, 3
_MOST_CELLS = 0.5
_BETWEEN = "\x1f"
_STAFF = (
    "医生",
    "医师",
    "检验者",
    "审核",
    "操作",
    "报告者",
    "采集者",
    "录入",
    "doctor",
    "physician",
    "technician",
    "by",
)


def is_card_number(digits: str) -> bool:
    """Return whether 15 or 18 digits can be the number of an identity card.

    Examples
    --------
    >>> is_card_number("11010519491231002X"), is_card_number("110105194912310021"), is_card_number("110105491231002")
    (True, False, True)
    """
    digits = digits.upper()
    if digits[:2] not in _PROVINCES.split("|"):
        return False
    born = digits[6:14] if len(digits) == 18 else f"19{digits[6:12]}"
    try:
        year = date(int(born[:4]), int(born[4:6]), int(born[6:])).year
    except ValueError:
        return False
    if not 1890 <= year <= 2100:
        return False
    if len(digits) == 15:
        return True
    total = sum(int(digit) * weight for digit, weight in zip(digits, _CARD_WEIGHTS, strict=False))
    return digits[17] == _CARD_CHECKS[total % 11]


def found_in(text: str) -> list[tuple[str, int, int]]:
    """Return the sort and the place of every identifier in a text of normal width."""
    found = []
    for match in _FINDS.finditer(text):
        form = match.lastgroup or ""
        if form == "card" and not is_card_number(match[0].replace(" ", "").replace("-", "")):
            continue
        found.append((_SORT_OF.get(form, form), match.start(), match.end()))
    return found


def _normal(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFKC", text)


def is_name(text: str) -> bool:
    """Return whether a whole cell reads as a Chinese name."""
    return bool(_NAME.fullmatch(text)) and text[0] in SURNAMES


@dataclass(slots=True)
class Watch:
    """Looks through rows for identifiers, and puts a bar in their place.

    ``numbers`` are columns of plain numbers, in which eleven digits are no phone;
    ``left_out`` are columns a person left out: they are emptied and not looked at.
    """

    numbers: Collection[int] = ()
    left_out: Sequence[int] = ()
    filled: Counter[int] = field(default_factory=Counter)
    hits: dict[tuple[int, str], int] = field(default_factory=dict)
    lines: dict[int, list[int]] = field(default_factory=dict)
    rows: int = 0

    def look(self, line: int, cells: list[str]) -> list[tuple[int, str]]:
        """Return column and sort of what a row holds; the row is changed in place."""
        for position in self.left_out:
            if position < len(cells):
                cells[position] = ""
        whole = _normal(_BETWEEN.join(cells))
        if not _MAY_FIND.search(whole) or not _FINDS.search(whole):
            return []
        found = []
        for position, cell in enumerate(cells):
            text = _normal(cell)
            places = [
                place for place in found_in(text) if place[0] != "phone" or position not in self.numbers
            ]
            if not places:
                continue
            for _sort, start, end in reversed(places):
                text = text[:start] + BAR + text[end:]
            cells[position] = text
            found += [(position, sort) for sort in dict.fromkeys(place[0] for place in places)]
            self._note(line, position, places[0][0])
        self.rows += bool(found)
        return found

    def _note(self, line: int, position: int, sort: str) -> None:
        self.hits[position, sort] = self.hits.get((position, sort), 0) + 1
        lines = self.lines.setdefault(position, [])
        if len(lines) < _MOST_LINES_NAMED:
            lines.append(line)

    def count(self, cells: Sequence[str]) -> None:
        """Count the cells that say something, to know later what most of them hold."""
        filled, numbers = self.filled, self.numbers
        for position, cell in enumerate(cells):
            if cell and position not in numbers:
                filled[position] += 1

    def columns(self) -> dict[int, str]:
        """Return the columns most of whose cells hold an identifier, by place, with their sort."""
        return {
            position: sort
            for (position, sort), hits in self.hits.items()
            if hits > 1 and hits > _MOST_CELLS * self.filled[position] and position not in self.numbers
        }


def columns_of_names(rows: Iterable[tuple[int, Sequence[str]]], places: Collection[int]) -> dict[int, str]:
    """Return the columns that hold Chinese names, judged by a sample of rows."""
    filled: Counter[int] = Counter()
    names: dict[int, Counter[str]] = {place: Counter() for place in places}
    for _line, cells in rows:
        for place in places:
            text = cells[place].strip() if place < len(cells) else ""
            if text:
                filled[place] += 1
                if is_name(text):
                    names[place][text] += 1
    return {
        place: "name"
        for place, found in names.items()
        if found.total() >= max(_FEWEST_NAMES, _NAMES_SHARE * filled[place])
        and len(found) >= _FEWEST_DIFFERENT
    }


def names_staff(header: str) -> bool:
    """Return whether a header says that people of the hospital stand below it."""
    text = unicodedata.normalize("NFKC", header).casefold()
    return any(word in text for word in _STAFF)


# --- what is said about them ----------------------------------------------------------------


class IdentifiersFound(FileRefused):
    """A file with columns of identifiers, each by letter and header: it is not to be kept."""

    def __init__(self, sentence: Sentence, places: Sequence[tuple[str, str]], lines: Sequence[int]) -> None:
        self.places = list(places)
        super().__init__(
            "identifiers",
            sentence,
            Sentence(
                _(
                    "Remove the column from the file, or map it to “leave out”: it is then dropped while the file is read, "
                    "before anything is kept. Subjects are known by their code alone."
                )
            ),
            columns=[header or letter for letter, header in places],
            lines=lines,
        )


def refusal(columns: Sequence[tuple[str, str, str]], lines: Sequence[int] = ()) -> IdentifiersFound:
    """Return the refusal of a file with columns of identifiers.

    Parameters
    ----------
    columns
        Letter, header and sort of each.
    lines
        Where the first of them stand, if that is known.
    """
    places: Sentence | None = None
    for letter, header, sort in columns:
        one = Sentence(
            _("column %(letter)s “%(header)s” (%(sort)s)"),
            {"letter": letter, "header": header, "sort": Sentence(SORTS[sort])},
        )
        places = one if places is None else Sentence(_("%(first)s, %(next)s"), {"first": places, "next": one})
    return IdentifiersFound(
        Sentence(
            _("The file holds what names a person: %(places)s. Nothing of it was stored."), {"places": places}
        ),
        [(letter, header) for letter, header, _sort in columns],
        lines,
    )


def problem(line: int, letter: str, header: str, sort: str) -> Problem:
    """Return why a row is refused in which one cell holds an identifier."""
    return Problem(
        line,
        header or letter,
        BAR,
        "identifier",
        Sentence(
            _("Column %(letter)s “%(header)s” holds %(what)s."),
            {"letter": letter, "header": header, "what": Sentence(_ONE[sort])},
        ),
        Sentence(_("Take it out of the cell, or leave the column out in the mapping.")),
    )
