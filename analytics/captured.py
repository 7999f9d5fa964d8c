"""Datasets of what was recorded besides labs and infusions: visits, screenings, events.

With subjects, infusions and labs they say everything that an import can say, so
that an identified export comes back the same.
"""

from __future__ import annotations

from analytics.declarations import Column, Dataset, Kind, Show, quoted
from analytics.fact_columns import FACT_COLUMNS, FACTS_OF_SCREENING
from analytics.shared_columns import FINDINGS, GROUP, SUBJECT, VISIT, at_site, day, hour
from patients import ctcae_terms
from trial import protocol
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a label for translation; who shows it translates it."""
    return message


VISITS = Dataset(
    "visits",
    _("one row per visit, done or not"),
    (
        SUBJECT,
        GROUP,
        *VISIT,
        Column("not_done", Kind.CODE, _("Why a planned visit did not take place"), "nullif(v.not_done, '')"),
        *FINDINGS,
        Column("note", Kind.TEXT, _("Note"), "nullif(v.note, '')", Show.IDENTIFIED),
    ),
    "patients_visit v JOIN member ON member.id = v.patient_id AND v.voided_at IS NULL",
    "member.subject_id, v.week NULLS LAST, v.visited_on, v.id",
)


def _answer(code: str, what: str) -> str:
    return f"(SELECT {what} FROM patients_screeninganswer a WHERE a.screening_id = c.id AND a.criterion = '{code}')"


SCREENING = Dataset(
    "screening",
    _("one row per subject and screening"),
    (
        SUBJECT,
        *day("screened", _("Screened"), "c.screened_on"),
        Column("verdict", Kind.CODE, _("Verdict"), "c.verdict"),
        Column("rule_set", Kind.CODE, _("Rule set of the automatic checks"), "nullif(c.rule_set, '')"),
        Column("protocol_version", Kind.CODE, _("Version of the protocol"), "nullif(c.protocol_version, '')"),
        *(
            column
            for criterion in protocol.CRITERIA
            for code in (criterion.code,)
            for column in (
                Column(
                    code, Kind.CODE, Sentence(_("%(criterion)s (yes, no, unknown)"), {"criterion": Sentence(criterion.label)}),
                    _answer(code, "a.answer"),
                ),
                Column(
                    f"{code}_evidence", Kind.TEXT, Sentence(_("%(criterion)s: evidence"), {"criterion": Sentence(criterion.label)}),
                    _answer(code, "nullif(a.evidence, '')"), Show.IDENTIFIED,
                ),
                Column(
                    f"{code}_on", Kind.DATE,
                    Sentence(_("%(criterion)s: date of the evidence"), {"criterion": Sentence(criterion.label)}),
                    _answer(code, "a.evidence_on"), Show.IDENTIFIED,
                ),
            )
        ),
        *FACT_COLUMNS,
    ),
    f"patients_screening c JOIN member ON member.id = c.patient_id AND c.voided_at IS NULL {FACTS_OF_SCREENING}",
    "member.subject_id, c.screened_on, c.id",
)  # fmt: skip

_EVENT_COLUMNS = (
    "event", "term", "date", "time", "end_date", "end_time", "grade", "serious", "known_at", "reported_at", "relation",
    "action", "result", "dose", "note", "lab_result_id", "ctcae_version",
)  # fmt: skip
_EVENT_SQL = (
    (
        "patients_adverseevent",
        ("'adverse_event'", "x.term", "x.onset_on", "x.onset_at", "x.ended_on", "NULL::time", "x.grade", "x.serious",
         "x.aware_at", "x.reported_at", "x.relation", "x.action", "x.result", "''", "x.note", "x.lab_result_id",
         "x.ctcae_version"),
    ),
    (
        "patients_treatment",
        ("x.kind", "x.agent", "x.started_on", "x.started_at", "x.ended_on", "x.ended_at", "NULL", "''", "NULL", "NULL",
         "''", "''", "''", "x.dose", "x.note", "NULL", "''"),
    ),
    (
        "patients_outcome",
        ("x.kind", "''", "x.happened_on", "NULL", "NULL", "NULL", "NULL", "''", "NULL", "NULL", "''", "''", "''", "''",
         "x.note", "NULL", "''"),
    ),
)  # fmt: skip
_EVENT_SOURCE = " UNION ALL ".join(
    f"SELECT x.patient_id, {place} AS kind_place, x.id, "
    + ", ".join(f'{sql} AS "{name}"' for name, sql in zip(_EVENT_COLUMNS, columns, strict=True))
    + f" FROM {table} x WHERE x.voided_at IS NULL"
    for place, (table, columns) in enumerate(_EVENT_SQL)
)

_TERMS = quoted(term.name for term in ctcae_terms.TERMS)

EVENTS = Dataset(
    "events",
    _("one row per adverse event, treatment or outcome"),
    (
        SUBJECT,
        GROUP,
        Column("event", Kind.CODE, _("adverse_event, a treatment or an outcome"), "e.event"),
        Column(
            "term",
            Kind.TEXT,
            _("Term of an adverse event, agent of a treatment"),
            "nullif(e.term, '')",
            Show.IDENTIFIED,
        ),
        Column(
            "term",
            Kind.CODE,
            _("Term of an adverse event where it is one of the criteria's; what was typed freely stays at home"),
            f"CASE WHEN e.event = 'adverse_event' AND e.term IN ({_TERMS}) THEN e.term END",
            Show.DEIDENTIFIED,
        ),
        Column("date", Kind.DATE, _("Since"), "e.date", Show.IDENTIFIED),
        Column("time", Kind.CODE, _("Since, hour"), hour("e.time"), Show.IDENTIFIED),
        Column("day", Kind.WHOLE, _("Since, days since the first infusion"), "e.date - member.day_zero", Show.DEIDENTIFIED),
        Column("end_date", Kind.DATE, _("Until; empty while it goes on"), "e.end_date", Show.IDENTIFIED),
        Column("end_time", Kind.CODE, _("Until, hour"), hour("e.end_time"), Show.IDENTIFIED),
        Column(
            "end_day", Kind.WHOLE, _("Until, days since the first infusion"), "e.end_date - member.day_zero", Show.DEIDENTIFIED
        ),
        Column("grade", Kind.WHOLE, _("CTCAE grade"), "e.grade"),
        Column("serious", Kind.CODE, _("Serious because"), "nullif(e.serious, '')"),
        Column("known_at", Kind.TIME, _("Known to the site, site time"), at_site("e.known_at"), Show.IDENTIFIED),
        Column("reported_at", Kind.TIME, _("Reported, site time"), at_site("e.reported_at"), Show.IDENTIFIED),
        Column("relation", Kind.CODE, _("Relation to the infusions"), "nullif(e.relation, '')"),
        Column("action", Kind.CODE, _("Action taken"), "nullif(e.action, '')"),
        Column("result", Kind.CODE, _("Outcome of the event"), "nullif(e.result, '')"),
        Column("dose", Kind.TEXT, _("Dose"), "nullif(e.dose, '')", Show.IDENTIFIED),
        Column("note", Kind.TEXT, _("Note"), "nullif(e.note, '')", Show.IDENTIFIED),
        Column("lab_analyte", Kind.CODE, _("Laboratory value that was graded: analyte"), "r.analyte"),
        Column("lab_week", Kind.WHOLE, _("Laboratory value that was graded: week"), "v.week"),
        Column(
            "lab_date", Kind.DATE, _("Laboratory value that was graded: day of its visit"), "v.visited_on", Show.IDENTIFIED
        ),
        Column(
            "lab_day", Kind.WHOLE, _("Laboratory value that was graded: days since the first infusion"),
            "v.visited_on - member.day_zero", Show.DEIDENTIFIED,
        ),
        Column("ctcae_version", Kind.CODE, _("Version of the criteria of the grade"), "nullif(e.ctcae_version, '')"),
    ),
    f"({_EVENT_SOURCE}) e JOIN member ON member.id = e.patient_id"
    " LEFT JOIN (patients_labresult r JOIN patients_visit v ON v.id = r.visit_id AND v.voided_at IS NULL)"
    " ON r.id = e.lab_result_id",
    "member.subject_id, e.date, e.kind_place, e.event, e.term, e.time NULLS FIRST, e.end_date NULLS FIRST, e.id",
)  # fmt: skip
