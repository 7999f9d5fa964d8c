"""Reads one cell of a file into a value of the study, or says why not.

Numbers and dates are read as the forms read them (:mod:`trial.typed`). What a
whole file has shown to be its way of writing (a decimal comma, the day before
the month) is applied first.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from types import MappingProxyType

from patients.imports import columns
from patients.imports.options import DateOrder
from patients.imports.words import narrow
from trial import protocol, typed
from trial.protocol import Course, Diagnosis, Sex
from trial.sentences import Sentence
from trial.typed import Unreadable


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


NOTHING_WORDS = frozenset(
    {"na", "n/a", "n.a.", "#n/a", "null", "-", "--", "---", "\N{EN DASH}", "\N{EM DASH}", "\N{EM DASH}" * 2,
     "\N{MINUS SIGN}", "\N{FULLWIDTH HYPHEN-MINUS}", "/", "\N{FULLWIDTH SOLIDUS}", "."}
)  # fmt: skip
"""What programs and people write into a cell that says nothing; case does not count."""
NO_VALUE_WORDS = frozenset(
    {"无", "无数据", "无结果", "未查", "未检", "未测", "未检测", "未检查", "未做", "未行", "未报", "缺", "缺失", "空", "空白",
     "未知", "不详", "not done", "not available", "not recorded", "unknown", "missing", "none", "blank", "nil"}
)  # fmt: skip
"""What stands in place of a result and does not say why there is none: not recorded, no reason is made up."""

SUBJECT_ID = re.compile(r"[A-Z0-9][A-Z0-9_.-]{0,23}")
_NO_CODE = re.compile(
    r"NAN|NONE|TRUE|FALSE|[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"|[0-9]{1,2}-(JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC)"
)
"""What programs make of a code or of an empty cell, as a spreadsheet makes 2-Jan of 1-2."""
_TOTAL_WORDS = frozenset(
    {"合计", "总计", "小计", "total", "subtotal", "sum", "grand total", "平均", "平均值", "average", "mean"}
)
_TIME_OF_DAY = re.compile(
    r"(?P<day>.*[0-9日号])(?:[T ]+|(?<=[日号]))[0-9]{1,2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?"
)
_YEAR_LAST = re.compile(r"([0-9]{1,2})([-/.])([0-9]{1,2})\2([0-9]{4})")
_DIGITS = "〇一二三四五六七八九"
_THREE_BEHIND = re.compile(r"[<>≤≥＜＞]? *[0-9]{1,3}\.[0-9]{3}( *[^\d\s].*)?")
_SERIAL = re.compile(r"[0-9]{5}(\.[0-9]+)?")
_SERIAL_DAY_ZERO, _SERIAL_DAY_ZERO_1904 = date(1899, 12, 30), date(1904, 1, 1)
# not V4 and not visit 4: that may be the fourth visit
_WEEK = re.compile(
    r"(?:治疗后 *(?=.*周))?(?:(?:w|wk|week|第)[ _]*)?([0-9]{1,3})(?:\.0+)? *(?:周末?|w|wk|weeks?)?"
)
_NUMERAL = re.compile(f"(?P<tens>[{_DIGITS}]?十)?(?P<ones>[{_DIGITS}])?(?=[周次])")
_WHOLE = re.compile(r"(?:(?:第|#|no\.?) *)?([0-9]{1,3})(?:\.0+)? *次?")
UNSCHEDULED = -1


@dataclass(frozen=True, slots=True)
class Manner:
    """How a file writes numbers and dates."""

    decimal_comma: bool = False
    dates: DateOrder | None = None
    serial_days: bool = False
    days_from_1904: bool = False
    points_in_doubt: bool = False


@dataclass(slots=True)
class NotRead:
    """What readers of values passed over without a refusal; the report of the file says it."""

    blanks: set[str] = field(default_factory=set)
    """Words that were read as no result."""
    marks: set[str] = field(default_factory=set)
    """Arrows of the laboratory behind values."""


def is_nothing(text: str) -> bool:
    """Return whether a cell says nothing: it is empty or holds a word for that."""
    return not text or text.isspace() or (len(text) < 8 and text.strip().casefold() in NOTHING_WORDS)


def is_no_value(text: str) -> bool:
    """Return whether a cell for a result says that there is none, and not why."""
    return is_nothing(text) or _folded(text) in NO_VALUE_WORDS


def is_total(text: str) -> bool:
    """Return whether a row that begins like this sums up the others."""
    return unicodedata.normalize("NFKC", text).strip(" :").casefold() in _TOTAL_WORDS


def _words(pairs: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType({_word(name): code for name, code in pairs.items()})


def _folded(text: str) -> str:
    """Drop case and width, and nothing else: a minus sign stays one."""
    return narrow(text).casefold()


def _word(text: str) -> str:
    return re.sub(r"[\s_-]+", " ", unicodedata.normalize("NFKC", text).casefold()).strip()


_SEXES = _words(
    {
        **{sex.value: sex.value for sex in Sex},
        **{str(label): sex.value for sex, label in protocol.SEX_LABELS.items()},
        "woman": Sex.FEMALE.value,
        "man": Sex.MALE.value,
        "女": Sex.FEMALE.value,
        "男": Sex.MALE.value,
        "女性": Sex.FEMALE.value,
        "男性": Sex.MALE.value,
    }
)
_DIAGNOSES = _words(
    {
        **{d.value: d.value for d in Diagnosis},
        **{label: d.value for d, label in protocol.DIAGNOSIS_LABELS.items()},
        **{code: d.value for d, code in protocol.DIAGNOSIS_CODES.items()},
        "cirrhosis": Diagnosis.CIRRHOSIS.value,
        "肝衰竭": Diagnosis.LIVER_FAILURE.value,
        "肝功能衰竭": Diagnosis.LIVER_FAILURE.value,
        "肝硬化": Diagnosis.CIRRHOSIS.value,
    }
)
_COURSES = _words(
    {
        **{c.value: c.value for c in Course},
        **{label: c.value for c, label in protocol.COURSE_LABELS.items()},
        "标准": Course.STANDARD.value,
        "标准疗程": Course.STANDARD.value,
        "延长": Course.PROLONGED.value,
        "延长疗程": Course.PROLONGED.value,
    }
)
_ANALYTES = _words(
    {
        name: analyte.code
        for analyte in protocol.PANEL
        for name in (analyte.code, analyte.label, analyte.name, analyte.loinc, *analyte.aliases)
    }
)
_MISSING = _words(
    {
        **{name: reason.code for reason in protocol.MISSING_REASONS for name in (reason.code, reason.label)},
        **{
            name: code
            for code, names in {
                "not_drawn": ("未采血", "未抽血", "未采", "未采样", "未采集", "未留样", "not collected", "not sampled"),
                "refused": ("拒绝", "拒查", "拒检", "患者拒绝", "病人拒绝", "拒绝检查", "patient refused"),
                "haemolysed": ("溶血", "标本溶血", "样本溶血", "hemolysed", "hemolyzed", "haemolyzed", "haemolysis",
                               "hemolysis"),
                "too_little": ("量少", "量不足", "标本量少", "标本不足", "标本量不足", "样本量不足", "样本不足",
                               "insufficient", "insufficient sample", "quantity not sufficient", "qns"),
                "lost": ("丢失", "标本丢失", "样本丢失", "遗失", "标本遗失", "sample lost"),
                "not_ordered": ("未开", "未申请", "未开单", "未开医嘱", "not requested"),
            }.items()
            for name in names
        },
    }
)  # fmt: skip


def _one_of(rule: str, text: str, words: Mapping[str, str], what: str, list_of: str) -> str:
    code = words.get(_word(text))
    if code is None:
        raise Unreadable(
            rule,
            text,
            Sentence(
                _("“%(value)s” is not %(what)s."), {"value": typed.printable(text), "what": Sentence(what)}
            ),
            Sentence(_("Write one of: %(words)s."), {"words": list_of}),
        )
    return code


def read_sex(text: str) -> str:
    """Read F or M, in words or in Chinese."""
    return _one_of("sex", text, _SEXES, _("a sex"), "F, M")


def read_diagnosis(text: str) -> str:
    """Read the diagnosis by name or as LF, LC."""
    return _one_of("diagnosis", text, _DIAGNOSES, _("a diagnosis of the study"), ", ".join(Diagnosis))


def read_course(text: str) -> str:
    """Read the planned course."""
    return _one_of("planned_course", text, _COURSES, _("a planned course"), ", ".join(Course))


def read_analyte(text: str) -> str:
    """Read the name of an analyte in a long file, as a header may give it."""
    if code := columns.analyte_named(text):
        return code
    return _one_of("analyte", text, _ANALYTES, _("an analyte of the panel"), ", ".join(protocol.ANALYTES))


def read_missing(text: str) -> str:
    """Read a coded reason why there is no value."""
    return _one_of(
        "missing_reason",
        text,
        _MISSING,
        _("a reason why there is no value"),
        ", ".join(reason.code for reason in protocol.MISSING_REASONS),
    )


def missing_code(text: str) -> str:
    """Return the code of a reason written in place of a value, or nothing."""
    return _MISSING.get(_word(text), "") if text[:1].isalpha() else ""


def read_subject(text: str) -> str:
    """Read a subject's code; full-width letters and lower case are the same code."""
    code = narrow(text).upper()
    if not code:
        raise Unreadable(
            "no_subject",
            text,
            Sentence(_("There is no subject.")),
            Sentence(_("Write the code of a subject.")),
        )
    if not SUBJECT_ID.fullmatch(code) or _NO_CODE.fullmatch(code):
        strange = next((c for c in code if not c.isascii() and not "\u4e00" <= c <= "\u9fff"), "")
        if strange:
            # it looks like a letter of the code, or like nothing at all: only its name tells
            raise Unreadable(
                "subject_code",
                text,
                Sentence(
                    _("“%(value)s” is not a code of a subject: it holds %(name)s (U+%(number)s)."),
                    {
                        "value": typed.printable(text),
                        "name": unicodedata.name(strange, "").lower() or "?",
                        "number": f"{ord(strange):04X}",
                    },
                ),
                Sentence(_("Type the code again with the letters A to Z and the digits 0 to 9.")),
            )
        raise Unreadable(
            "subject_code",
            text,
            Sentence(_("“%(value)s” is not a code of a subject."), {"value": typed.printable(text)}),
            Sentence(_("Type the code again with the letters A to Z and the digits 0 to 9."))
            if _NO_CODE.fullmatch(code)
            else Sentence(_("A code has up to 24 letters A to Z, digits, points and dashes.")),
        )
    return code


def _with_digits(text: str) -> str:
    """Write the Chinese numeral of a week or an infusion in digits: ``第十二周`` is ``第12周``."""

    def digits(numeral: re.Match[str]) -> str:
        tens, ones = numeral["tens"], numeral["ones"]
        if not numeral[0]:
            return ""
        ten = (_DIGITS.index(tens[0]) if len(tens) > 1 else 1) if tens else 0
        return str(10 * ten + (_DIGITS.index(ones) if ones else 0))

    return _NUMERAL.sub(digits, text)


def read_week(text: str) -> int:
    """Read a week of the protocol: ``4``, ``W4``, ``week 4``, ``4.0``, ``第4周``, ``第四周``.

    Returns
    -------
    int
        The week, or :data:`UNSCHEDULED` for the word that says so.
    """
    name = re.sub("(访视|随访)$", "", _folded(text)) or text
    word = _word(name)
    if word in {"unscheduled", "计划外"}:
        return UNSCHEDULED
    if word in {"baseline", "基线", "治疗前"}:
        return protocol.BASELINE_WEEK
    found = _WEEK.fullmatch(_with_digits(_folded(name)))
    if found and int(found[1]) in protocol.WEEKS:
        return int(found[1])
    weeks = ", ".join(map(str, protocol.WEEKS))
    if is_nothing(text):
        raise Unreadable(
            "no_week",
            text,
            Sentence(_("There is no week.")),
            Sentence(
                _("Write a week of the protocol (%(weeks)s), or “unscheduled” with a date."), {"weeks": weeks}
            ),
        )
    raise Unreadable(
        "week",
        text,
        Sentence(
            _("“%(value)s” is not a week of the protocol (%(weeks)s)."),
            {"value": typed.printable(text), "weeks": weeks},
        ),
        Sentence(_("Correct the week, or write “unscheduled” and give the date.")),
    )


def read_infusion_number(text: str) -> int:
    """Read the place of an infusion in its course: ``3``, ``3.0``, ``第3次``."""
    found = _WHOLE.fullmatch(_with_digits(_folded(text)))
    if found and 1 <= int(found[1]) <= protocol.MOST_INFUSIONS:
        return int(found[1])
    raise Unreadable(
        "number",
        text,
        Sentence(_("“%(value)s” is not the number of an infusion."), {"value": typed.printable(text)}),
        Sentence(_("Infusions are numbered 1 to %(most)s."), {"most": protocol.MOST_INFUSIONS}),
    )


def read_day(text: str, manner: Manner, today: date) -> date:
    """Read a date as a form does, after what the file has shown about its dates.

    A time of day behind the date is dropped: days of the study are days at the
    site, as the file writes them.
    """
    plain = narrow(text)
    if found := _TIME_OF_DAY.fullmatch(plain):
        plain = found["day"]
    if manner.serial_days and _SERIAL.fullmatch(plain):
        zero = _SERIAL_DAY_ZERO_1904 if manner.days_from_1904 else _SERIAL_DAY_ZERO
        return typed.read_date((zero + timedelta(days=int(Decimal(plain)))).isoformat(), today=today)
    if manner.dates is not None and (found := _YEAR_LAST.fullmatch(plain)):
        first, _separator, second, year = found.groups()
        day, month = (first, second) if manner.dates is DateOrder.DAY_FIRST else (second, first)
        try:
            return typed.read_date(f"{year}-{month:0>2}-{day:0>2}", today=today)
        except Unreadable:
            raise Unreadable(
                "impossible_date",
                text,
                Sentence(
                    _("“%(value)s” is not a day: there is no %(day)s in month %(month)s of %(year)s."),
                    {"value": typed.printable(text), "day": int(day), "month": int(month), "year": year},
                ),
                Sentence(_("Type the date as year-month-day, for example 2015-01-12.")),
            ) from None
    return typed.read_date(plain, today=today)


def read_decimal(text: str, manner: Manner) -> typed.Typed:
    """Read a number as a form does, after what the file has shown about its decimals."""
    if manner.points_in_doubt and _THREE_BEHIND.fullmatch(text.strip()):
        raise _other_decimals(text)
    return typed.read_number(_with_point(text) if manner.decimal_comma else text)


def _other_decimals(text: str) -> Unreadable:
    return Unreadable(
        "decimal_point",
        text,
        Sentence(
            _("“%(value)s” has a decimal point, but this file writes decimals with a comma."),
            {"value": typed.printable(text)},
        ),
        Sentence(_("Write all decimals of the file in one way.")),
    )


def _with_point(text: str) -> str:
    if "," not in text:
        if "." in text:
            raise _other_decimals(text)
        return text
    if text.count(",") == 1 and "." not in text:
        return text.replace(",", ".")
    return text


def read_age(text: str, manner: Manner) -> Decimal:
    """Read an age in years; outside the study's range it is a fact, outside 0 to 120 an error."""
    plain = re.sub(r"(岁|years?|yrs?|y)\s*$", "", narrow(text).casefold()).strip()
    age = read_exact(plain, manner)
    if not 0 <= age <= 120:
        raise Unreadable(
            "age",
            text,
            Sentence(_("An age of %(value)s years is not possible."), {"value": typed.printable(text)}),
            Sentence(_("An age lies between 0 and 120 years.")),
        )
    return age


def read_exact(text: str, manner: Manner) -> Decimal:
    """Read a number that may not be a limit: an age, a weight, a volume."""
    not_plain = Unreadable(
        "exact",
        text,
        Sentence(_("“%(value)s” is not a plain number."), {"value": typed.printable(text)}),
        Sentence(_("Write the number alone; its unit belongs into the header.")),
    )
    try:
        found = read_decimal(text, manner)
    except Unreadable as refusal:
        # the L of 0.1L is a unit here, and no mark of a laboratory
        if refusal.rule in ("mark", "unknown_unit"):
            raise not_plain from None
        raise
    if found.comparator or found.unit:
        raise not_plain
    return found.value
