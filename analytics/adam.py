"""The study in the shape of CDISC's analysis datasets: ADSL, ADLB and ADTTE.

ADaM-like: names, labels and meanings follow ADaM where the study has what ADaM asks
for; what it has not stays empty and is never invented. Three things differ from a
trial with arms, and the labels say so:

- the planned treatment is the planned course, and the actual one is derived from the
  valid infusions (groups are observational, nobody was allocated);
- ``CHG`` is ``AVAL - BASE`` as everywhere in ADaM, the paper's decrease is ``-CHG``;
- ``ADY`` has no day 0, as ADaM wants: the day of the first infusion is 1. ``AVAL`` of ADTTE
  counts from 0, as :mod:`analytics.survival` does.

Each number has one source: ``AVAL`` is the value of labs_long and of scores, ``ANL01FL`` says
what :mod:`analytics.frames` reads, times are those of :mod:`analytics.follow_up`, and
grades those of :mod:`patients.grading`. Tests hold them to it.

References
----------
CDISC, Analysis Data Model Implementation Guide 1.3; Basic Data Structure for Time-to-Event 1.0.
"""

from __future__ import annotations

from analytics.declarations import Column, Dataset, Kind, Show
from analytics.shared_columns import POOLED_AGE, age
from trial import protocol
from trial.protocol import Course, OutcomeKind


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


STUDY = "UCMSC-HBV"
"""STUDYID of every file in a CDISC format."""

DAYS = "DAYS"


def yes(condition: str) -> str:
    return f"CASE WHEN {condition} THEN 'Y' END"


def day_sql(day: str) -> str:
    """Return a date as ADaM's relative day, which has no 0."""
    return f"({day}) - member.day_zero + (({day}) >= member.day_zero)::int"


def _dated(stem: str, label: str, sql: str) -> tuple[Column, Column]:
    """Return a date for identified exports, and its relative day for all."""
    return (
        Column(f"{stem}DT", Kind.DATE, f"Date of {label}", sql, Show.IDENTIFIED),
        Column(f"{stem}DY", Kind.WHOLE, f"Relative day of {label}", day_sql(sql)),
    )


_COURSE_WORDS = " ".join(
    f"WHEN '{course.value}' THEN '{protocol.COURSE_LABELS[course]}'" for course in Course
)
_STUDY = Column("STUDYID", Kind.CODE, "Study Identifier", f"'{STUDY}'")
_UNIQUE = Column("USUBJID", Kind.CODE, "Unique Subject Identifier", f"'{STUDY}-' || member.subject_id")
_SUBJECT = Column("SUBJID", Kind.CODE, "Subject Identifier for the Study", "member.subject_id")
WHO = (_STUDY, _UNIQUE, _SUBJECT)
FLAGS = (
    Column("TRTFL", Kind.CODE, "Treated Population Flag", yes("member.treated")),
    Column("ELIGFL", Kind.CODE, "Eligible Population Flag", yes("member.eligible")),
    Column("LANDFL", Kind.CODE, "Landmark Population Flag", yes("member.landmark")),
)
GROUP = Column("GRPCD", Kind.CODE, "Group, Derived from Valid Infusions", 'member."group"')


# --- ADSL -----------------------------------------------------------------------------------

_OUTCOMES = ", ".join(
    f"min(happened_on) FILTER (WHERE kind = '{kind.value}') AS {kind.value}_on" for kind in OutcomeKind
)
_OUTCOME_DAYS = (
    f"(SELECT patient_id, {_OUTCOMES} FROM patients_outcome WHERE voided_at IS NULL GROUP BY patient_id)"
)
_COMPLETED = "o.completed_on IS NOT NULL AND (member.ended_on IS NULL OR o.completed_on < member.ended_on)"
_REASONS = " ".join(
    f"WHEN '{kind.value}' THEN '{kind.name}'" for kind in OutcomeKind if kind is not OutcomeKind.COMPLETED
)
_ENDED_ON = f"CASE WHEN {_COMPLETED} THEN o.completed_on ELSE member.ended_on END"

ADSL = Dataset(
    "adsl",
    _("ADaM-like: one record per subject"),
    (
        *WHO,
        Column("SITEID", Kind.CODE, "Study Site Identifier", "s.code"),
        *age("AGE", "Age at Recruitment", f"Age at Recruitment, {POOLED_AGE} for All Older"),
        Column("AGEU", Kind.CODE, "Age Units", "'YEARS'"),
        Column("SEX", Kind.CODE, "Sex", "p.sex"),
        Column("DIAGCD", Kind.CODE, "Diagnosis", "p.diagnosis"),
        *FLAGS,
        Column(
            "TRT01P",
            Kind.CODE,
            "Planned Course (not allocated)",
            f"CASE p.planned_course {_COURSE_WORDS} END",
        ),
        Column(
            "TRT01A",
            Kind.CODE,
            "Course Given, from Valid Infusions",
            f"CASE WHEN member.given >= {protocol.PROLONGED_FROM}"
            f" THEN '{protocol.COURSE_LABELS[Course.PROLONGED]}'"
            f" WHEN member.given > 0 THEN '{protocol.COURSE_LABELS[Course.STANDARD]}' END",
        ),
        GROUP,
        Column("NINF", Kind.WHOLE, "Number of Valid Infusions", "member.given"),
        *_dated("RECR", "Recruitment", "p.recruited_on"),
        Column("TRTSDT", Kind.DATE, "Date of First Infusion", "member.first_on", Show.IDENTIFIED),
        Column("TRTEDT", Kind.DATE, "Date of Last Infusion", "given.last_on", Show.IDENTIFIED),
        Column("TRTSDY", Kind.WHOLE, "Relative Day of First Infusion", day_sql("member.first_on")),
        Column("TRTEDY", Kind.WHOLE, "Relative Day of Last Infusion", day_sql("given.last_on")),
        Column("DTHFL", Kind.CODE, "Subject Death Flag", yes("o.death_on IS NOT NULL")),
        *_dated("DTH", "Death", "o.death_on"),
        Column("LTXFL", Kind.CODE, "Liver Transplant Flag", yes("o.transplant_on IS NOT NULL")),
        *_dated("LTX", "Liver Transplant", "o.transplant_on"),
        Column(
            "EOSSTT",
            Kind.CODE,
            "End of Study Status",
            f"CASE WHEN {_COMPLETED} THEN 'COMPLETED' WHEN member.ended_on IS NOT NULL THEN 'DISCONTINUED'"
            " WHEN p.status = 'enrolled' THEN 'ONGOING' END",
        ),
        Column(
            "DCSREAS",
            Kind.CODE,
            "Reason for Discontinuation from Study",
            f"CASE WHEN NOT ({_COMPLETED}) THEN CASE member.ending {_REASONS} END END",
        ),
        *_dated("EOS", "End of Study", _ENDED_ON),
    ),
    "patients_patient p JOIN member ON member.id = p.id JOIN trial_site s ON s.id = p.site_id"
    f" LEFT JOIN {_OUTCOME_DAYS} o ON o.patient_id = p.id"
    " LEFT JOIN (SELECT patient_id, max(given_on) AS last_on FROM infusions_infusion"
    " WHERE voided_at IS NULL GROUP BY patient_id) given ON given.patient_id = p.id",
    "member.subject_id",
)


# --- ADTTE ----------------------------------------------------------------------------------

_TIMES = f"""
SELECT p.id AS patient_id, p.diagnosis, given.first_on, given.many, given.early,
    o.death_on, o.transplant_on, least(o.withdrawal_on, o.lost_on) AS left_on,
    greatest(given.last_on, seen.last_on, o.completed_on, o.withdrawal_on) AS seen_on,
    o.withdrawal_on, o.lost_on
FROM patients_patient p
JOIN (
    SELECT i.patient_id, f.first_on, count(*) AS many, max(i.given_on) AS last_on,
        count(*) FILTER (WHERE i.given_on <= f.first_on + {protocol.LANDMARK_DAY}) AS early
    FROM infusions_infusion i
    JOIN (SELECT patient_id, min(given_on) AS first_on FROM infusions_infusion WHERE voided_at IS NULL
        GROUP BY patient_id) f ON f.patient_id = i.patient_id
    WHERE i.voided_at IS NULL GROUP BY i.patient_id, f.first_on
) given ON given.patient_id = p.id
LEFT JOIN {_OUTCOME_DAYS} o ON o.patient_id = p.id
LEFT JOIN (SELECT patient_id, max(visited_on) AS last_on FROM patients_visit WHERE voided_at IS NULL
    GROUP BY patient_id) seen ON seen.patient_id = p.id
"""
# what is recorded after withdrawal or loss is left out: of the others nobody would have heard
_HEARD_OF = f"""
SELECT t.*, least(t.left_on, t.seen_on) AS watched_on,
    CASE WHEN t.left_on IS NULL OR t.death_on <= t.left_on THEN t.death_on END AS died_on,
    CASE WHEN t.left_on IS NULL OR t.transplant_on <= t.left_on THEN t.transplant_on END AS grafted_on
FROM ({_TIMES}) t
"""
_LAST_WORDS = (
    "CASE WHEN {on} = t.withdrawal_on THEN 'WITHDRAWAL' WHEN {on} = t.lost_on THEN 'LOST TO FOLLOW-UP'"
    " ELSE 'LAST SEEN' END"
)
_ENDPOINTS = f"""
SELECT t.*, e.parameter, e.on_day, e.event FROM ({_HEARD_OF}) t CROSS JOIN LATERAL (
    SELECT least(t.died_on, t.grafted_on) AS first_on
) one CROSS JOIN LATERAL (VALUES
    ('DTH', coalesce(t.died_on, greatest(t.watched_on, one.first_on)),
        CASE WHEN t.died_on IS NOT NULL THEN 'DEATH' END),
    ('DTHLTX', coalesce(one.first_on, t.watched_on),
        CASE WHEN t.died_on <= coalesce(t.grafted_on, t.died_on) THEN 'DEATH'
            WHEN t.grafted_on IS NOT NULL THEN 'TRANSPLANT' END)
) e (parameter, on_day, event)
"""
_ORIGINS = f"""
SELECT t.*, origin.day AS origin, origin.suffix,
    CASE WHEN origin.day = 0 THEN t.many ELSE t.early END AS infusions,
    coalesce(t.event, {_LAST_WORDS.format(on="t.on_day")}) AS said
FROM ({_ENDPOINTS}) t CROSS JOIN (VALUES (0, ''), ({protocol.LANDMARK_DAY}, 'L')) origin (day, suffix)
WHERE coalesce(least(t.died_on, t.grafted_on), t.watched_on) - t.first_on >= origin.day
    AND (origin.day = 0 OR coalesce(least(t.death_on, t.transplant_on, t.left_on) >= t.first_on + origin.day, true))
"""
PARAMETERS = {
    "DTH": "Time to Death",
    "DTHLTX": "Time to Death or Transplant",
    "DTHL": "Time to Death from the Landmark",
    "DTHLTXL": "Time to Death or Transplant from the Landmark",
}
_PARAMETER_WORDS = " ".join(f"WHEN '{code}' THEN '{label}'" for code, label in PARAMETERS.items())
_PARAMETER_PLACES = " ".join(f"WHEN '{code}' THEN {place}" for place, code in enumerate(PARAMETERS, start=1))
_GROUPS_AT_ORIGIN = " ".join(
    f"WHEN t.diagnosis = '{group.diagnosis.value}' AND t.infusions"
    f" {'>=' if group.course is Course.PROLONGED else '<'} {protocol.PROLONGED_FROM} THEN '{group.code}'"
    for group in protocol.GROUPS
)

ADTTE = Dataset(
    "adtte",
    _("ADaM-like: one record per treated subject, endpoint and origin"),
    (
        *WHO,
        *FLAGS,
        Column("PARAMCD", Kind.CODE, "Parameter Code", "t.parameter || t.suffix"),
        Column("PARAM", Kind.CODE, "Parameter", f"CASE t.parameter || t.suffix {_PARAMETER_WORDS} END"),
        Column(
            "PARAMN", Kind.WHOLE, "Parameter (N)", f"CASE t.parameter || t.suffix {_PARAMETER_PLACES} END"
        ),
        Column("GRPCD", Kind.CODE, "Group, by Infusions until the Landmark", f"CASE {_GROUPS_AT_ORIGIN} END"),
        Column(
            "AVAL", Kind.WHOLE, "Analysis Value, Days from the Origin", "t.on_day - t.first_on - t.origin"
        ),
        Column("AVALU", Kind.CODE, "Analysis Value Unit", f"'{DAYS}'"),
        Column("CNSR", Kind.WHOLE, "Censor: 0 Event, 1 Censored", "(t.event IS NULL)::int"),
        Column("EVNTDESC", Kind.CODE, "Event or Censoring Description", "t.said"),
        Column(
            "STARTDT",
            Kind.DATE,
            "Time-to-Event Origin Date for Subject",
            "t.first_on + t.origin",
            Show.IDENTIFIED,
        ),
        Column("ADT", Kind.DATE, "Analysis Date", "t.on_day", Show.IDENTIFIED),
        Column("STARTDY", Kind.WHOLE, "Relative Day of the Origin", "t.origin + 1"),
        Column("ADY", Kind.WHOLE, "Analysis Relative Day", day_sql("t.on_day")),
    ),
    f"({_ORIGINS}) t JOIN member ON member.id = t.patient_id",
    f"member.subject_id, CASE t.parameter || t.suffix {_PARAMETER_PLACES} END",
)
