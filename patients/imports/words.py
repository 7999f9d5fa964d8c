"""Reads coded words of a file: the codes of the protocol, their labels, and how Chinese hospitals write them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, time
from types import MappingProxyType

from trial import protocol, typed, vocabulary
from trial.protocol import Answer, OutcomeKind
from trial.sentences import Sentence
from trial.typed import Unreadable
from trial.vocabulary import Term


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


ADVERSE_EVENT = "adverse_event"
NOT_SERIOUS = ""
_MOMENT = re.compile(
    r"(?P<day>.*[0-9日号])(?:[T ]+|(?<=[日号]))(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})"
    r"(?::(?P<second>[0-9]{2})(?:\.[0-9]+)?)?"
)
_FORMULA_GUARD = re.compile(r"'+[=+@\-\t\r]")
_OTHER_SIGNS = ("<super>", "<sub>", "<circle>", "<font>", "<fraction>", "<square>")
"""Signs that are no width of a letter or digit: a raised 2 behind a code is the mark of a note, and no 2."""


def narrow(text: str) -> str:
    """Write full-width signs as narrow ones; raised and circled digits stay what they are.

    Examples
    --------
    >>> narrow("Ｓ００１"), narrow("S001²")
    ('S001', 'S001²')
    """
    if text.isascii():
        return text.strip()
    signs = (
        sign
        if unicodedata.decomposition(sign).startswith(_OTHER_SIGNS)
        else unicodedata.normalize("NFKC", sign)
        for sign in text
    )
    return unicodedata.normalize("NFC", "".join(signs)).strip()


def word(text: str) -> str:
    """Reduce a word to what counts: no case, no width, one space for all separators."""
    return re.sub(r"[\s_-]+", " ", unicodedata.normalize("NFKC", text).casefold()).strip()


def free_text(text: str, *, most: int) -> str:
    """Read free text; the quotation mark that keeps a spreadsheet from taking it for a formula is taken away."""
    return typed.read_text(text[1:] if _FORMULA_GUARD.match(text) else text, most=most)


def moment(text: str, read_day: Callable[[str], date]) -> datetime:
    """Read a day with its hour, to the second, as the clock at the site shows it.

    Raises
    ------
    Unreadable
        If it has no hour, or one that there is not.
    """
    found = _MOMENT.fullmatch(narrow(text))
    if found is None:
        raise Unreadable(
            "no_hour",
            text,
            Sentence(_("“%(value)s” is not a day with its hour."), {"value": typed.printable(text)}),
            Sentence(_("Write it as 2015-01-12 07:40, by the clock of the site.")),
        )
    day = read_day(found["day"])
    hour, minute, second = int(found["hour"]), int(found["minute"]), int(found["second"] or 0)
    if hour > 23 or minute > 59 or second > 59:
        raise Unreadable(
            "not_a_time",
            text,
            Sentence(_("“%(value)s” is not a time of day."), {"value": typed.printable(text)}),
            Sentence(_("Type the hour as 07:40.")),
        )
    return datetime.combine(day, time(hour, minute, second))


class Words:
    """One coded list with every word a file may use for an entry."""

    def __init__(self, rule: str, what: str, words: Mapping[str, str], codes: Iterable[str]) -> None:
        self.rule, self.what, self.codes = rule, what, tuple(codes)
        self._codes: Mapping[str, str] = MappingProxyType({word(name): code for name, code in words.items()})

    def read(self, text: str) -> str:
        """Return the code.

        Raises
        ------
        Unreadable
            Naming the codes there are.
        """
        code = self._codes.get(word(text))
        if code is None:
            raise Unreadable(
                self.rule,
                text,
                Sentence(
                    _("“%(value)s” is not %(what)s."),
                    {"value": typed.printable(text), "what": Sentence(self.what)},
                ),
                Sentence(_("Write one of: %(words)s."), {"words": ", ".join(self.codes)}),
            )
        return code


def _listed(rule: str, what: str, terms: Sequence[Term], others: Mapping[str, str]) -> Words:
    known = {name: term.code for term in terms for name in (term.code, term.label)}
    return Words(rule, what, {**others, **known}, vocabulary.codes(terms))


ANSWERS = Words(
    "answer",
    _("an answer"),
    {
        **dict.fromkeys(("yes", "y", "1", "true", "是", "有", "√", "符合", "阳性"), Answer.YES.value),
        **dict.fromkeys(("no", "n", "0", "false", "否", "无", "×", "不符合", "阴性"), Answer.NO.value),
        **dict.fromkeys(
            ("unknown", "unk", "?", "not known", "not recorded", "未知", "不详", "不明", "不清楚", "未记录"),
            Answer.UNKNOWN.value,
        ),
    },
    (answer.value for answer in Answer),
)
VERDICTS = Words(
    "verdict_word",
    _("a verdict"),
    {
        **{name: v.value for v, label in protocol.VERDICT_LABELS.items() for name in (v.value, label)},
        "合格": protocol.VerdictState.ELIGIBLE.value,
        "不合格": protocol.VerdictState.NOT_ELIGIBLE.value,
        "待定": protocol.VerdictState.PENDING.value,
    },
    (verdict.value for verdict in protocol.VerdictState),
)

TREATMENTS = frozenset(vocabulary.codes(vocabulary.TREATMENTS))
OUTCOMES = frozenset(kind.value for kind in OutcomeKind)
EVENTS = Words(
    "event",
    _("an event of the study"),
    {

            "adverse event": ADVERSE_EVENT, "ae": ADVERSE_EVENT, "不良事件": ADVERSE_EVENT, "other treatment": "other",
            "抗病毒": "antiviral", "抗病毒治疗": "antiviral", "白蛋白": "albumin", "人血白蛋白": "albumin",
            "血浆": "plasma", "输血浆": "plasma", "血浆置换": "plasma_exchange", "人工肝": "plasma_exchange",
            "血液透析": "dialysis", "透析": "dialysis", "hemodialysis": "dialysis", "连续血液净化": "cvvhd",
            "输血": "transfusion", "激素": "steroid", "糖皮质激素": "steroid", "抗凝": "anticoagulant", "其他治疗": "other",
            "died": "death", "死亡": "death", "liver transplant": "transplant", "transplantation": "transplant",
            "肝移植": "transplant", "移植": "transplant", "withdrawn": "withdrawal", "退出": "withdrawal",
            "loss": "lost", "失访": "lost", "completion": "completed", "完成": "completed"
        ,
        **{name: t.code for t in vocabulary.TREATMENTS for name in (t.code, t.label)},
        **{name: kind.value for kind, label in protocol.OUTCOME_LABELS.items() for name in (kind.value, label)},
    },
    (ADVERSE_EVENT, *vocabulary.codes(vocabulary.TREATMENTS), *(kind.value for kind in OutcomeKind)),
)  # fmt: skip
SERIOUS = _listed(
    "serious",
    _("a reason why an event is serious"),
    vocabulary.SERIOUSNESS,
    {
        **dict.fromkeys(("no", "n", "0", "not serious", "否", "非严重"), NOT_SERIOUS),
        "死亡": "death", "危及生命": "life_threatening", "住院": "hospitalisation", "延长住院": "hospitalisation",
        "hospitalization": "hospitalisation", "hospitalised": "hospitalisation", "残疾": "disability",
        "先天异常": "anomaly", "重要医学事件": "important",
    },
)  # fmt: skip
RELATIONS = _listed(
    "relation",
    _("a relation to the infusions"),
    vocabulary.RELATIONS,
    {
        "无关": "unrelated", "可能无关": "unlikely", "可能有关": "possible", "很可能有关": "probable",
        "肯定有关": "definite", "not related": "unrelated",
    },
)  # fmt: skip
ACTIONS = _listed(
    "action",
    _("an action taken"),
    vocabulary.EVENT_ACTIONS,
    {"无": "none", "中断": "interrupted", "推迟": "postponed", "停止": "stopped"},
)
RESULTS = _listed(
    "result",
    _("an outcome of an event"),
    vocabulary.EVENT_OUTCOMES,
    {
        "持续": "ongoing", "未恢复": "ongoing", "好转": "recovering", "恢复": "recovered", "痊愈": "recovered",
        "后遗症": "sequelae", "死亡": "fatal", "不详": "unknown", "resolved": "recovered",
    },
)  # fmt: skip
ASCITES = _listed(
    "ascites",
    _("a class of ascites"),
    vocabulary.ASCITES,
    {"无": "none", "no": "none", "absent": "none", "轻度": "moderate", "轻中度": "moderate", "中度": "moderate",
     "mild": "moderate", "重度": "severe", "大量": "severe"},
)  # fmt: skip
ENCEPHALOPATHY = _listed(
    "encephalopathy",
    _("a West Haven grade of encephalopathy"),
    vocabulary.ENCEPHALOPATHY,
    {
        "无": "0", "no": "0", "absent": "0",
        **{f"{numeral}{unit}": str(grade) for grade, numerals in enumerate((("1", "i"), ("2", "ii"), ("3", "iii"),
           ("4", "iv")), start=1) for numeral in numerals for unit in ("", "级", "期")},
        **{f"{grade}.0": str(grade) for grade in range(5)},
    },
)  # fmt: skip
NOT_DONE = _listed(
    "not_done",
    _("a reason why a visit did not take place"),
    vocabulary.NOT_DONE_REASONS,
    {
        "未到": "no_show",
        "未来": "no_show",
        "拒绝": "refused",
        "病重": "too_ill",
        "外院": "elsewhere",
        "其他": "other",
    },
)
VEINS = _listed(
    "vein",
    _("a vein of the list"),
    vocabulary.VEINS,
    {"左前臂": "forearm_left", "右前臂": "forearm_right", "其他": "other"},
)
FACT_SOURCES = Words(
    "source",
    _("where a fact was taken from"),
    {name: t.code for t in vocabulary.FACT_SOURCES for name in (t.code or "typed", t.label)},
    (t.code or "typed" for t in vocabulary.FACT_SOURCES),
)
STATUSES = Words(
    "status",
    _("a status of a subject"),
    {
        "screening": "screening", "in screening": "screening", "筛选中": "screening", "enrolled": "enrolled",
        "已入组": "enrolled", "入组": "enrolled", "screen failed": "screen_failed", "screen failure": "screen_failed",
        "筛选失败": "screen_failed",
    },
    ("screening", "enrolled", "screen_failed"),
)  # fmt: skip
