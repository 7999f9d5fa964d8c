"""Tables 1 to 4 of the paper as rows of words, each number with the cell it came from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

from django.utils.translation import gettext as _

from analytics import paper, paper_words
from analytics.cells import AGE, SEX, CellKey, CellResult, GroupResult
from analytics.paper import PaperData
from trial import marks, protocol, units
from trial.protocol import Measure
from trial.templatetags.cordline import apart, count, middle, number

Pair = tuple[str, str]
BY_COURSE: tuple[Pair, ...] = (("A", "B"), ("C", "D"))
BY_DIAGNOSIS: tuple[Pair, ...] = (("A", "C"), ("B", "D"))


@dataclass(frozen=True, slots=True)
class Entry:
    """One place of a table: words, the letter of the test, and the cell that a click opens."""

    text: str
    mark: str = ""
    key: CellKey | None = None
    opens_contrast: bool = False
    strong: bool = False

    @property
    def rows_query(self) -> str:
        """The query that opens the rows behind the number."""
        return paper_words.rows_query(self.key) if self.key else ""

    @property
    def contrast(self) -> str:
        """The contrast a p-value belongs to, as it stands in addresses; empty when it has no page."""
        if self.key is None or not self.opens_contrast or self.key.measure == Measure.BASELINE:
            return ""
        return protocol.contrast_key((self.key.group1, self.key.group2))


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table; a heading spans all columns and has no entries."""

    label: str
    entries: tuple[Entry, ...] = ()

    @property
    def is_heading(self) -> bool:
        return not self.entries


@dataclass(frozen=True, slots=True)
class Table:
    """A table ready to print.

    Parameters
    ----------
    number
        1 to 4.
    title
        What stands behind "Table 1." above it.
    spans
        The upper row of the head: words and the number of columns they stand over; the label's column is apart.
    columns
        The lower row of the head, without the label's column.
    label_head
        The head of the first column.
    rows
        What it holds.
    notes
        What stands below it, one sentence group a line.
    """

    number: int
    title: str
    label_head: str
    spans: tuple[tuple[str, int], ...]
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]

    @property
    def name(self) -> str:
        """The number in words: ``Table 1``."""
        return _("Table %(number)s") % {"number": self.number}

    @property
    def stem(self) -> str:
        """The first part of its file names."""
        return f"table{self.number}"

    @property
    def width(self) -> int:
        """The number of its columns, the label's included."""
        return len(self.columns) + 1


@dataclass
class _Marks:
    """Letters for the tests of one table, in the order in which they appear."""

    methods: list[str] = field(default_factory=list)

    def letter(self, method: str) -> str:
        if method not in self.methods:
            self.methods.append(method)
        return "abcdefghijk"[self.methods.index(method)]

    def note(self) -> str:
        if not self.methods:
            return _("No test could be done.")
        tests = marks.semicolon().join(
            f"{self.letter(one)} {paper_words.test_name(one)}" for one in self.methods
        )
        return _("P, two-sided: %(tests)s.") % {"tests": tests}


def tables(data: PaperData) -> tuple[Table, ...]:
    """Return the four tables of the paper."""
    return (
        _baseline(data, 1, BY_COURSE, _("Baseline characteristics of groups A and B and of groups C and D")),
        _baseline(
            data, 2, BY_DIAGNOSIS, _("Baseline characteristics of groups A and C and of groups B and D")
        ),
        _changes(
            data,
            3,
            BY_COURSE,
            _("Observed decrease within each interval, groups A and B and groups C and D"),
        ),
        _changes(
            data,
            4,
            BY_DIAGNOSIS,
            _("Observed decrease within each interval, groups A and C and groups B and D"),
        ),
    )


# --- Tables 1 and 2 -------------------------------------------------------------------------


def baseline_quantities(data: PaperData) -> tuple[str, ...]:
    """Return what Tables 1 and 2 list: the paper's, the rest of the required panel, then what has values."""
    wanted = dict.fromkeys((*paper.LEVELS, *protocol.REQUIRED_ANALYTES))
    for code in protocol.ANALYTES:
        measured = (data.cell(Measure.LEVEL, pair, code, (paper.FIRST,) * 2)[1] for pair in paper.PAIRS)
        if code not in wanted and any(_n(result.group1) or _n(result.group2) for result in measured):
            wanted[code] = None
    return tuple(wanted)


def _baseline(data: PaperData, place: int, pairs: Sequence[Pair], title: str) -> Table:
    marks = _Marks()
    rows = [_baseline_row(data, marks, pairs, code) for code in (AGE, SEX, *baseline_quantities(data))]
    return Table(
        place,
        title,
        _("Characteristic"),
        tuple((_("%(one)s and %(two)s") % {"one": one, "two": two}, 4) for one, two in pairs),
        tuple(chain.from_iterable((*_heads(data, pair), _("P"), _("P, Holm")) for pair in pairs)),
        tuple(rows),
        (
            _("Mean ± SD where both groups look normal (Shapiro-Wilk P ≥ 0.05), otherwise median (Q1–Q3);")
            + " "
            + _("sex as number (%).")
            + " "
            + _("[n], subjects with a value where it is not the whole group."),
            marks.note() + " " + _("Holm: adjusted within one quantity over its weeks."),
            *_common_notes(data),
        ),
    )


def _baseline_row(data: PaperData, marks: _Marks, pairs: Sequence[Pair], code: str) -> Row:
    measure = Measure.BASELINE if code in (AGE, SEX) else Measure.LEVEL
    entries: list[Entry] = []
    for pair in pairs:
        key, result = data.cell(measure, pair, code, (paper.FIRST, paper.FIRST))
        for side in (result.group1, result.group2):
            text = _share(side) if code == SEX else _location(side, code, paper_words.looks_normal(result))
            if side and 0 < side.n != side.size:
                text += f" [{side.n}]"
            entries.append(Entry(text, key=key))
        entries += _p_entries(key, result, marks)
    return Row(_with_unit(code), tuple(entries))


def _share(group: GroupResult | None) -> str:
    if group is None or not group.n or group.summary.mean is None:
        return _("no data")
    return f"{round(group.summary.mean * group.n / 100)} ({number(group.summary.mean, 1)})"


# --- Tables 3 and 4 -------------------------------------------------------------------------


def _changes(data: PaperData, place: int, pairs: Sequence[Pair], title: str) -> Table:
    marks = _Marks()
    rows: list[Row] = []
    for code in paper.CHANGES:
        rows.append(Row(_with_unit(code)))
        for span in protocol.INTERVALS:
            entries: list[Entry] = []
            for pair in pairs:
                key, result = data.cell(Measure.INTERVAL, pair, code, span)
                normal = paper_words.looks_normal(result)
                for side in (result.group1, result.group2):
                    entries.append(Entry(_counted(side), key=key))
                    entries.append(Entry(_location(side, code, normal), key=key))
                entries += _p_entries(key, result, marks)
            rows.append(Row(paper.week_words(span), tuple(entries)))
    rows.append(Row(_("Died, transplanted by the later visit")))
    rows += _ended_rows(data, pairs)
    heads = []
    for pair in pairs:
        for code in pair:
            heads += ["n", code]
        heads += [_("P"), _("P, Holm")]
    return Table(
        place,
        title,
        _("Interval"),
        _spans(data, pairs, 6),
        tuple(heads),
        tuple(rows),
        (
            _("Decrease: earlier value minus later value; below zero the value rose.")
            + " "
            + _("Mean ± SD where both groups look normal (Shapiro-Wilk P ≥ 0.05), otherwise median (Q1–Q3);")
            + " "
            + _("n, subjects with both values; nothing is carried forward."),
            marks.note() + " " + _("Holm: adjusted within one quantity over its four intervals."),
            _("Until week 4 both courses are the same: W0–W4 is no comparison of courses."),
            *_common_notes(data),
        ),
    )


def _ended_rows(data: PaperData, pairs: Sequence[Pair]) -> Iterator[Row]:
    for span in protocol.INTERVALS:
        entries: list[Entry] = []
        for pair in pairs:
            key, result = data.cell(Measure.INTERVAL, pair, paper.CHANGES[0], span)
            for side in (result.group1, result.group2):
                ended = f"{side.died}, {side.transplanted}" if side else "0, 0"
                entries += [Entry(""), Entry(ended, key=key)]
            entries += [Entry(""), Entry("")]
        yield Row(paper.week_words(span), tuple(entries))


# --- what both kinds share ------------------------------------------------------------------


def _n(group: GroupResult | None) -> int:
    return group.n if group else 0


def _counted(group: GroupResult | None) -> str:
    return count(_n(group))


def _heads(data: PaperData, pair: Pair) -> tuple[str, ...]:
    return tuple(f"{code} (n = {count(data.subjects(code))})" for code in pair)


def _spans(data: PaperData, pairs: Sequence[Pair], wide: int) -> tuple[tuple[str, int], ...]:
    return tuple((_pair_words(data, pair), wide) for pair in pairs)


def _pair_words(data: PaperData, pair: Pair) -> str:
    return _("%(one)s (n = %(n1)s) and %(two)s (n = %(n2)s)") % {
        "one": pair[0],
        "n1": count(data.subjects(pair[0])),
        "two": pair[1],
        "n2": count(data.subjects(pair[1])),
    }


def _with_unit(code: str) -> str:
    if code == SEX:
        return _("Male, n (%)")
    if code == AGE:
        return _("Age, years")
    unit = protocol.unit_of(code)
    name = paper.name_of(code)
    return name if unit in ("ratio", "points") else f"{name}{marks.comma()}{units.symbol(unit)}"


def _location(group: GroupResult | None, code: str, normal: bool) -> str:
    if group is None or not group.n or group.summary.median is None:
        return _("no data")
    s, decimals = group.summary, protocol.decimals_of(code)
    if normal and s.sd is not None:
        return f"{_grouped(s.mean, decimals)} ± {_grouped(s.sd, decimals)}"
    return f"{apart(middle(s.median, decimals))} ({quartiles(s.q1, s.q3, decimals)})"


def _grouped(value: float | None, decimals: int) -> str:
    return apart(number(value, decimals))


def quartiles(q1: float | None, q3: float | None, decimals: int) -> str:
    """Return ``20–60``; with a minus in it ``−5 to 60``, because a dash beside a minus misreads."""
    low, high = apart(middle(q1, decimals)), apart(middle(q3, decimals))
    minus = "\N{MINUS SIGN}"
    return f"{low} {_('to')} {high}" if minus in low + high else f"{low}\N{EN DASH}{high}"


def _p_entries(key: CellKey, result: CellResult, marks: _Marks) -> tuple[Entry, Entry]:
    if result.p_value is None:
        return Entry(paper_words.why_not(result), key=key), Entry("")
    strong = paper_words.significant(result.p_value)
    p_value = Entry(
        paper_words.p_alone(result.p_value),
        marks.letter(result.method),
        key,
        opens_contrast=True,
        strong=strong,
    )
    return p_value, Entry(paper_words.p_alone(result.p_holm), key=key, opens_contrast=True)


def _common_notes(data: PaperData) -> tuple[str, ...]:
    groups = marks.semicolon().join(
        f"{group.code}{marks.comma()}{_(group.label)}" for group in protocol.GROUPS
    )
    words = marks.sentences(
        (
            groups,
            _("Groups are defined after baseline by the infusions given: a difference is an association."),
        )
    )
    return words, paper.provenance(data)
