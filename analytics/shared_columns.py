"""Columns and pieces of SQL that several datasets of the exports share: subject, group, visit, days, age."""

from __future__ import annotations

from analytics.declarations import Column, Kind, Show
from trial import protocol
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a label for translation; who shows it translates it."""
    return message


OLDEST_AGE_SHOWN = 89
POOLED_AGE = OLDEST_AGE_SHOWN + 1
"""Stands for every age over 89 in a de-identified file."""
AGE = "coalesce(trim_scale(p.age_at_recruitment), extract(year FROM age(p.recruited_on, p.birth_date)))"
"""SQL for the age at recruitment of a patient ``p``."""
INPUTS = " ".join(
    f"WHEN '{score.code}' THEN '{{{','.join(score.inputs)}}}'::text[]" for score in protocol.SCORES
)
"""The branches of a CASE from a score to the analytes that go into it."""


def day(name: str, label: str | Sentence, sql: str) -> tuple[Column, Column]:
    """Return a date, and the study day that stands for it without identifying anybody."""
    return (
        Column(f"{name}_on" if not name.endswith("_date") else name, Kind.DATE, label, sql, Show.IDENTIFIED),
        Column(
            f"{name.removesuffix('_date')}_day",
            Kind.WHOLE,
            Sentence(
                _("%(what)s, days since the first infusion"),
                {"what": Sentence(label) if isinstance(label, str) else label},
            ),
            f"({sql}) - member.day_zero",
            Show.DEIDENTIFIED,
        ),
    )


def typed_number(value: str, typed: str) -> str:
    """Return SQL for what was typed where it is a number and nothing else: a letter may belong to a name."""
    return (
        f"CASE WHEN {value} IS NOT NULL AND length({typed}) < 24 AND {typed} !~ '[[:alpha:]]'"
        f" THEN nullif({typed}, '') END"
    )


def hour(sql: str) -> str:
    """Return SQL for a time of day as it is read."""
    return f"to_char({sql}, 'HH24:MI')"


def at_site(sql: str) -> str:
    """Return SQL for a moment as the clock at the subject's site shows it."""
    return f"date_trunc('second', {sql} AT TIME ZONE member.time_zone)"


def age(name: str, label: str, pooled_label: str | Sentence) -> tuple[Column, Column]:
    """Return the age at recruitment of a patient ``p``, and the one that stands for it where the oldest are pooled."""
    return (
        Column(name, Kind.NUMBER, label, AGE, Show.IDENTIFIED),
        Column(
            name,
            Kind.NUMBER,
            pooled_label,
            f"CASE WHEN {AGE} >= {POOLED_AGE} THEN {POOLED_AGE} ELSE {AGE} END",
            Show.DEIDENTIFIED,
        ),
    )


SUBJECT = Column("subject_id", Kind.CODE, _("Subject"), "member.subject_id")
GROUP = Column("group", Kind.CODE, _("Group, derived from valid infusions"), 'member."group"')
VISIT = (
    Column("week", Kind.WHOLE, _("Week of the protocol; empty for an unscheduled draw"), "v.week"),
    Column(
        "unscheduled",
        Kind.CODE,
        _("yes for a draw outside the weeks"),
        "CASE WHEN v.week IS NULL THEN 'yes' END",
    ),
    *day("visit_date", _("Visit"), "v.visited_on"),
)
FINDINGS = (
    Column("ascites", Kind.CODE, _("Ascites, graded at the bedside"), "nullif(v.ascites, '')"),
    Column(
        "encephalopathy", Kind.CODE, _("Encephalopathy, West Haven grade"), "nullif(v.encephalopathy, '')"
    ),
)
