"""The two tables beside a contrast as CSV: the change within each group, and the groups at baseline."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.utils.translation import gettext as _

from analytics.contrast_files import among_words, csv_of, notes_of
from analytics.contrast_page import GroupRow
from analytics.contrast_tables import TablePage, TableRow
from trial import protocol
from trial.unit_words import unit_said


def within(page: TablePage) -> bytes:
    """Return the change since week 0 within each group, a line for each group and week."""
    unit = unit_said(protocol.unit_of(page.question.analyte))
    what = {
        "one": page.group1,
        "two": page.group2,
        "what": _(protocol.label_of(page.question.analyte)),
    }
    heads = [
        _("Group"), _("Weeks"), _("in group"), "n", _("not due"), _("missing"), _("died"), _("transplanted"),
        _("mean") + f", {unit}", "SD", _("median") + f", {unit}", "Q1", "Q3", _("test"), _("why"),
        _("change") + f", {unit}", _("95 % CI, low"), _("95 % CI, high"), "p", "p (Holm)", "p (BH)",
        _("tests of the Holm family"), _("tests of the BH family"), _("note"),
    ]  # fmt: skip
    return csv_of(
        [
            [_("%(one)s and %(two)s: %(what)s, change since week 0 within each group") % what],
            [_caption(page, _("Decreases are positive. There is no comparison group."))],
            heads,
            *_within_lines(page),
        ]
    )


def _within_lines(page: TablePage) -> Iterator[list[Any]]:
    for part in page.parts:
        for row in part.rows:
            for group in row.groups:
                yield [
                    group.code, row.label, group.size, group.n, group.not_due, group.missing, group.died,
                    group.transplanted, *_described(group), *_tested(row), row.p_holm, row.p_bh,
                    part.holm_size, part.bh_size, "; ".join(filter(None, (row.note_label, row.note))),
                ]  # fmt: skip


def baseline(page: TablePage) -> bytes:
    """Return age, sex and every quantity at week 0, a line for each quantity and group."""
    heads = [
        _("Quantity"), _("unit"), _("Group"), _("in group"), "n", _("missing"), _("mean"), "SD", _("median"), "Q1",
        "Q3", _("test"), _("why"), f"{page.group1} \N{MINUS SIGN} {page.group2}", _("95 % CI, low"),
        _("95 % CI, high"), "p", _("note"),
    ]  # fmt: skip
    title = _("%(one)s and %(two)s: baseline") % {"one": page.group1, "two": page.group2}
    caption = _caption(page, _("Week 0, before the first infusion. p is not adjusted."))
    return csv_of([[title], [caption], heads, *_baseline_lines(page)])


def _baseline_lines(page: TablePage) -> Iterator[list[Any]]:
    for part in page.parts:
        for row in part.rows:
            for place, group in enumerate(row.groups):
                yield [
                    row.label, _("% men") if row.is_share else row.unit, group.code, group.size, group.n,
                    group.missing, *_described(group), *(_tested(row) if place == 0 else [None] * 6),
                    row.note if place == 0 else "",
                ]  # fmt: skip


def _described(group: GroupRow) -> list[Any]:
    return [group.mean, group.sd, group.median, group.q1, group.q3]


def _tested(row: TableRow) -> list[Any]:
    return [row.method, row.reason, row.estimate, row.ci_low, row.ci_high, row.p_value]


def _caption(page: TablePage, what: str) -> str:
    return " ".join(
        [
            _("Population: %(among)s.") % {"among": among_words(page.question)},
            what,
            *notes_of(page.question, page.revision),
        ]
    )
