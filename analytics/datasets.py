"""What can be taken away: every dataset of the exports, declared once.

Writers, the command, the page, the codebook and the tests read these
declarations. A dataset is either a query that PostgreSQL writes out itself
(COPY, constant memory) or rows made from stored results.

De-identified is the rule: days are counted from the first infusion instead of
being dates, ages over 89 are pooled, free text stays at home.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from analytics import contrasts
from analytics.adam import ADSL, ADTTE
from analytics.adlb import ADLB
from analytics.bedside import BEDSIDE, SIGNS_OF_INFUSION
from analytics.captured import EVENTS, SCREENING, VISITS
from analytics.declarations import Column, Dataset, Kind, Show
from analytics.shared_columns import (
    FINDINGS,
    GROUP,
    INPUTS,
    OLDEST_AGE_SHOWN,
    POOLED_AGE,
    SUBJECT,
    VISIT,
    age,
    at_site,
    day,
    hour,
    typed_number,
)
from trial import protocol
from trial.sentences import Sentence

__all__ = ["DATASETS", "FROM_RESULTS", "RESULTS", "Column", "Dataset", "Kind", "Show"]


def _(message: str) -> str:
    """Mark a label for translation; who shows it translates it."""
    return message


SUBJECTS = Dataset(
    "subjects",
    _("one row per subject"),
    (
        SUBJECT,
        Column("site", Kind.CODE, _("Site"), "s.code"),
        Column("sex", Kind.CODE, _("Sex (F, M)"), "p.sex"),
        Column("birth_date", Kind.DATE, _("Date of birth"), "p.birth_date", Show.IDENTIFIED),
        *age(
            "age",
            _("Age at recruitment, years"),
            Sentence(
                _("Age at recruitment, years; %(pooled)s stands for all over %(oldest)s"),
                {"pooled": POOLED_AGE, "oldest": OLDEST_AGE_SHOWN},
            ),
        ),
        Column("diagnosis", Kind.CODE, _("Diagnosis"), "p.diagnosis"),
        *day("recruited", _("Recruited"), "p.recruited_on"),
        Column("planned_course", Kind.CODE, _("Planned course"), "nullif(p.planned_course, '')"),
        Column("status", Kind.CODE, _("Status"), "p.status"),
        Column("verdict", Kind.CODE, _("Verdict of the last screening"), "member.verdict"),
        GROUP,
        Column("infusions", Kind.WHOLE, _("Valid infusions"), "member.given"),
        *day("first_infusion", _("First infusion"), "member.first_on"),
        Column("eligible", Kind.CODE, _("In the eligible population"), "member.eligible"),
        Column("treated", Kind.CODE, _("In the treated population"), "member.treated"),
        Column("landmark", Kind.CODE, _("In the landmark population"), "member.landmark"),
        Column("outcome", Kind.CODE, _("First outcome that ended follow-up"), "member.ending"),
        *day("outcome", _("Day of that outcome"), "member.ended_on"),
    ),
    "patients_patient p JOIN member ON member.id = p.id JOIN trial_site s ON s.id = p.site_id",
    "member.subject_id",
)

INFUSIONS = Dataset(
    "infusions",
    _("one row per valid infusion"),
    (
        SUBJECT,
        GROUP,
        Column("number", Kind.WHOLE, _("Number of the infusion"), "i.number"),
        *day("given", _("Given"), "i.given_on"),
        Column("started_at", Kind.CODE, _("Started, hour"), hour("i.started_at"), Show.IDENTIFIED),
        Column("stopped_at", Kind.CODE, _("Stopped, hour"), hour("i.stopped_at"), Show.IDENTIFIED),
        Column("weight_kg", Kind.NUMBER, _("Body weight used, kg"), "i.weight_kg"),
        Column("cells", Kind.NUMBER, _("Cells given"), "i.cells"),
        Column("cells_per_kg", Kind.NUMBER, _("Cells per kg"), "round(i.cells / i.weight_kg, 0)"),
        Column("volume_ml", Kind.NUMBER, _("Volume, mL"), "i.volume_ml"),
        Column("lot", Kind.CODE, _("Lot"), "l.code", Show.IDENTIFIED),
        Column(
            "lot",
            Kind.CODE,
            _("Lot, by a number instead of the maker's"),
            "'L' || (SELECT count(*) FROM infusions_celllot earlier WHERE earlier.id <= l.id)",
            Show.DEIDENTIFIED,
        ),
        Column("deviation", Kind.CODE, _("Why it left the protocol, coded"), "nullif(i.deviation, '')"),
        Column("deviation_note", Kind.TEXT, _("Note on it"), "nullif(i.deviation_note, '')", Show.IDENTIFIED),
        Column("reaction", Kind.TEXT, _("Reaction"), "nullif(i.reaction, '')", Show.IDENTIFIED),
        *BEDSIDE,
    ),
    "infusions_infusion i JOIN member ON member.id = i.patient_id AND i.voided_at IS NULL"
    f" LEFT JOIN infusions_celllot l ON l.id = i.lot_id {SIGNS_OF_INFUSION}",
    "member.subject_id, i.number",
)

_UNIT_OF = " ".join(f"WHEN '{a.code}' THEN '{a.unit}'" for a in protocol.PANEL)
_LOINC_OF = " ".join(f"WHEN '{a.code}' THEN '{a.loinc}'" for a in protocol.PANEL)
_PLACE_OF = " ".join(f"WHEN '{a.code}' THEN {place}" for place, a in enumerate(protocol.PANEL))

_AFTER_END = _("On or after death or transplant: kept, and left out of the analysis")
# as analytics.frames has it: a visit without a date stands at the day its week was due, and both the day
# of the visit and the day of the draw have to come before the end
_VISIT_DAY = "coalesce(v.visited_on, member.day_zero + 7 * v.week)"
_LAST_DAY = (
    f"greatest({_VISIT_DAY}, CASE WHEN r.sampled_at IS NOT NULL"
    " THEN (r.sampled_at AT TIME ZONE member.time_zone)::date END)"
)
LABS_LONG = Dataset(
    "labs_long",
    _("one row per subject, visit and analyte"),
    (
        SUBJECT,
        GROUP,
        *VISIT,
        Column("analyte", Kind.CODE, _("Analyte"), "r.analyte"),
        Column("value", Kind.NUMBER, _("Value in the standard unit"), "trim_scale(r.value)"),
        Column(
            "comparator",
            Kind.CODE,
            _("< or > where the value is a detection limit"),
            "nullif(r.comparator, '')",
        ),
        Column("unit", Kind.CODE, _("Standard unit"), f"CASE r.analyte {_UNIT_OF} END"),
        Column("missing", Kind.CODE, _("Why there is no value"), "nullif(r.missing_reason, '')"),
        Column("typed", Kind.TEXT, _("As typed"), "nullif(r.typed_text, '')", Show.IDENTIFIED),
        Column(
            "typed",
            Kind.TEXT,
            _("As typed, where it is a number and nothing else"),
            typed_number("r.value", "r.typed_text"),
            Show.DEIDENTIFIED,
        ),
        Column("typed_unit", Kind.CODE, _("Unit as typed"), "nullif(r.typed_unit, '')"),
        Column("laboratory", Kind.CODE, _("Laboratory that measured it"), "b.code"),
        Column("drawn_at", Kind.TIME, _("Drawn at, site time"), at_site("r.sampled_at"), Show.IDENTIFIED),
        Column("loinc", Kind.CODE, _("LOINC code of the standard unit"), f"CASE r.analyte {_LOINC_OF} END"),
        Column("after_end", Kind.CODE, _AFTER_END, f"coalesce({_LAST_DAY} >= member.closed_on, false)"),
    ),
    "patients_labresult r JOIN patients_visit v ON v.id = r.visit_id AND v.voided_at IS NULL"
    " JOIN member ON member.id = r.patient_id LEFT JOIN patients_laboratory b ON b.id = r.laboratory_id",
    f"member.subject_id, v.week NULLS LAST, v.visited_on, v.id, CASE r.analyte {_PLACE_OF} END",
)


_WIDE_PARTS = (
    ("", Kind.NUMBER, _("%(analyte)s, %(unit)s"), "value", "trim_scale(w.{name})"),
    (
        "_comparator",
        Kind.CODE,
        _("%(analyte)s: < or > at a detection limit"),
        "comparator",
        "nullif(w.{name}, '')",
    ),
    (
        "_missing",
        Kind.CODE,
        _("%(analyte)s: why there is no value"),
        "missing_reason",
        "nullif(w.{name}, '')",
    ),
)
_PIVOT = ", ".join(
    f"max(r.{field}) FILTER (WHERE r.analyte = '{analyte.code}') AS {analyte.code}{suffix}"
    for analyte in protocol.PANEL
    for suffix, _kind, _label, field, _sql in _WIDE_PARTS
)
_WIDE_COLUMNS = tuple(
    Column(
        f"{analyte.code}{suffix}",
        kind,
        Sentence(label, {"analyte": analyte.label, "unit": analyte.unit}),
        sql.format(name=f"{analyte.code}{suffix}"),
    )
    for analyte in protocol.PANEL
    for suffix, kind, label, _field, sql in _WIDE_PARTS
)

LABS_WIDE = Dataset(
    "labs_wide",
    _("one row per subject and visit"),
    (SUBJECT, GROUP, *VISIT, *FINDINGS, *_WIDE_COLUMNS),
    f"patients_visit v JOIN member ON member.id = v.patient_id AND v.voided_at IS NULL AND v.not_done = ''"
    f" LEFT JOIN LATERAL (SELECT {_PIVOT} FROM patients_labresult r WHERE r.visit_id = v.id) w ON true",
    "member.subject_id, v.week NULLS LAST, v.visited_on, v.id",
)

SCORES = Dataset(
    "scores",
    _("one row per subject, visit and score"),
    (
        SUBJECT,
        GROUP,
        *VISIT,
        Column("score", Kind.CODE, _("Score"), "c.variant"),
        Column("value", Kind.NUMBER, _("Unrounded"), "trim_scale(c.value)"),
        Column("reported", Kind.WHOLE, _("As it is reported"), "c.reported"),
        Column(
            "after_end",
            Kind.CODE,
            _(
                "On or after death or transplant: kept, and left out of the analysis;"
                " a score counts only when all its inputs do"
            ),
            f"coalesce({_VISIT_DAY} >= member.closed_on OR EXISTS (SELECT 1 FROM patients_labresult r"
            f" WHERE r.visit_id = v.id AND r.analyte::text = ANY(CASE c.variant {INPUTS} END)"
            f" AND r.sampled_at IS NOT NULL AND {_LAST_DAY} >= member.closed_on), false)",
        ),
        Column("inputs", Kind.TEXT, _("What went in, as JSON"), "c.inputs::text"),
        Column("why_not", Kind.TEXT, _("Why there is no value"), "nullif(c.why_not, '')"),
        Column("revision", Kind.WHOLE, _("Revision that last changed it"), "c.revision"),
    ),
    "(SELECT DISTINCT ON (visit_id, variant) * FROM analytics_score ORDER BY visit_id, variant, run_id DESC) c"
    " JOIN patients_visit v ON v.id = c.visit_id AND v.voided_at IS NULL JOIN member ON member.id = c.patient_id",
    "member.subject_id, v.week NULLS LAST, v.visited_on, v.id, c.variant",
)

AUDIT = Dataset(
    "audit",
    _("one row per row written, in the order of the revisions"),
    (
        Column("revision", Kind.WHOLE, _("Revision"), "n.number"),
        Column("made_at", Kind.TIME, _("When, UTC"), "n.made_at AT TIME ZONE 'UTC'", Show.IDENTIFIED),
        Column("actor", Kind.CODE, _("Who"), "u.username", Show.IDENTIFIED),
        Column("role", Kind.CODE, _("Role of who wrote"), "nullif(u.role, '')"),
        Column("reason", Kind.TEXT, _("Why"), "n.reason", Show.IDENTIFIED),
        Column("source", Kind.TEXT, _("From where"), "n.source", Show.IDENTIFIED),
        Column("table", Kind.CODE, _("Table"), 'e."table"'),
        Column("row", Kind.WHOLE, _("Row"), 'e."row"'),
        Column("subject_id", Kind.CODE, _("Subject"), "p.subject_id"),
        Column("op", Kind.CODE, _("I entered, U changed, D deleted"), "e.op"),
        Column(
            "changed",
            Kind.TEXT,
            _("Columns that changed"),
            "(SELECT string_agg(a.key, ' ' ORDER BY a.key) FROM jsonb_each(coalesce(e.new, e.old)) a"
            " WHERE e.op <> 'U' OR e.old -> a.key IS DISTINCT FROM e.new -> a.key)",
        ),
        Column(
            "old", Kind.TEXT, _("Before"), "CASE WHEN e.\"table\" NOT IN ('patients_patientidentity', 'trial_user')"
            " THEN e.old::text END", Show.IDENTIFIED,
        ),
        Column(
            "new", Kind.TEXT, _("After"), "CASE WHEN e.\"table\" NOT IN ('patients_patientidentity', 'trial_user')"
            " THEN e.new::text END", Show.IDENTIFIED,
        ),
    ),
    "trial_auditentry e JOIN trial_revision n ON n.id = e.revision_id AND n.number IS NOT NULL"
    " JOIN trial_user u ON u.id = n.actor_id LEFT JOIN patients_patient p ON p.id = e.patient_id"
    " LEFT JOIN member ON member.id = p.id",
    "n.number, e.id",
)  # fmt: skip

_RESULT_LABELS = {
    "population": _("Population"),
    "measure": _("baseline, level, interval or cumulative"),
    "group1": _("Group, or the first of two"),
    "group2": _("The second group; empty within a group"),
    "analyte": _("Analyte, score, age, sex or subjects"),
    "unit": _("Unit"),
    "week_from": _("Earlier week"),
    "week_to": _("Later week; equal for a level"),
    "method": _("Test"),
    "revision": _("Revision of the data the result is valid for"),
    "note": _("What a reader has to know"),
}
_RESULT_KINDS = {
    "week_from": Kind.WHOLE,
    "week_to": Kind.WHOLE,
    "n1": Kind.WHOLE,
    "n2": Kind.WHOLE,
    "missing1": Kind.WHOLE,
    "missing2": Kind.WHOLE,
    "revision": Kind.WHOLE,
    "note": Kind.TEXT,
    **dict.fromkeys(("population", "measure", "group1", "group2", "analyte", "unit", "method"), Kind.CODE),
}


def _result_columns(names: Iterable[str]) -> tuple[Column, ...]:
    return tuple(
        Column(name, _RESULT_KINDS.get(name, Kind.NUMBER), _RESULT_LABELS.get(name, name)) for name in names
    )


CELLS = Dataset("cells", _("one row per comparison or description"), _result_columns(contrasts.CELLS_COLUMNS))
TESTS = Dataset("tests", _("one row per comparison and method"), _result_columns(contrasts.TESTS_COLUMNS))

DATASETS: dict[str, Dataset] = {
    dataset.name: dataset
    for dataset in (
        SUBJECTS,
        SCREENING,
        INFUSIONS,
        VISITS,
        LABS_LONG,
        LABS_WIDE,
        EVENTS,
        SCORES,
        CELLS,
        TESTS,
        AUDIT,
        ADSL,
        ADLB,
        ADTTE,
    )
}

RESULTS: dict[str, Callable[..., Iterable[tuple[object, ...]]]] = {
    "cells": lambda key, result, revision: [contrasts.cells_row(key, result, revision)],
    "tests": lambda key, result, revision: contrasts.tests_rows(key, result),
}
"""How a stored cell becomes rows of the two datasets of results."""

FROM_RESULTS = frozenset({"cells", "tests", "scores", "adlb"})
"""Datasets that are only right when the results are current."""
