"""ADLB: laboratory values and scores as an analysis dataset of CDISC's shape.

One query, so that PostgreSQL writes it out at any size. What it repeats of the
rules in Python (the range in force, the baseline, the grades) is held against
them by a test, value by value.
"""

from __future__ import annotations

from collections.abc import Iterable

from analytics.adam import FLAGS, GROUP, WHO, day_sql, yes
from analytics.declarations import Column, Dataset, Kind, Show, quoted
from analytics.shared_columns import INPUTS, typed_number
from patients import ctcae
from trial import protocol, vocabulary
from trial.protocol import Clock


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


SCORE_WORDS = "SCORE"
LABORATORY = "LABORATORY"
SCORE_UNIT = "POINTS"

# --- grades ---------------------------------------------------------------------------------


def passed(value: str, comparator: str, way: str, bounds: Iterable[str]) -> str:
    """Return SQL that counts the bounds a value lies beyond; at a bound its comparator decides."""
    return " + ".join(
        f"(coalesce({value} {way} {bound} OR ({value} = {bound} AND {comparator} = '{way}'), false))::int"
        for bound in bounds
    )


def _multiples(of_normal: tuple[str, ...], of_baseline: tuple[str, ...], *, first: bool) -> str:
    beyond_normal = passed("x.value", "x.comparator", ">", [f"({f} * x.high)" for f in of_normal])
    beyond_base = passed("x.value", "x.comparator", ">", [f"({f} * x.base)" for f in of_baseline])
    if first:
        beyond_base = f"greatest({beyond_base}, (x.value = {of_baseline[0]} * x.base)::int)"
    return (
        f"CASE WHEN x.base > x.base_high OR (x.base = x.base_high AND x.base_comparator = '>')"
        f" THEN {beyond_base} WHEN x.high IS NOT NULL THEN {beyond_normal} END"
    )


def _creatinine() -> str:
    by_normal = passed("x.value", "x.comparator", ">", [f"({f} * x.high)" for f in ("1", "1.5", "3", "6")])
    by_base = passed("x.value", "x.comparator", ">", [f"({f} * x.base)" for f in ("1.5", "3")])
    return (
        f"CASE WHEN x.high IS NOT NULL THEN greatest({by_normal},"
        f" CASE WHEN ({by_base}) > 0 THEN {by_base} + 1 ELSE 0 END) END"
    )


def _decreased(bounds: tuple[str, ...]) -> str:
    below = passed("x.value", "x.comparator", "<", bounds)
    return (
        f"CASE WHEN ({below}) > 0 THEN {below} + 1"
        f" WHEN x.low IS NOT NULL THEN {passed('x.value', 'x.comparator', '<', ['x.low'])} END"
    )


_ENZYME = _multiples(("1", "3", "5", "20"), ("1.5", "3", "5", "20"), first=True)
GRADES: dict[str, str] = {
    "tbil": _multiples(("1", "1.5", "3", "10"), ("1", "1.5", "3", "10"), first=False),
    "alt": _ENZYME,
    "ast": _ENZYME,
    "inr": passed("x.value", "x.comparator", ">", ("1.2", "1.5", "2.5")),
    "creatinine": _creatinine(),
    "albumin": _decreased(("30", "20")),
    "sodium": _decreased(("130", "125", "120")),
    "platelets": _decreased(("75", "50", "25")),
}
"""The grade of a row ``x`` with value, comparator, low, high, base, base_high and base_comparator, by analyte."""

GRADE = "CASE x.analyte " + " ".join(f"WHEN '{code}' THEN {sql}" for code, sql in GRADES.items()) + " END"
_TERMS = " ".join(f"WHEN '{code}' THEN '{term}'" for code, term in ctcae.TERMS.items() if code in GRADES)


# --- the rows -------------------------------------------------------------------------------


def _number(limit: object) -> str:
    return "NULL" if limit is None else str(limit)


_PROTOCOL_RANGES = ", ".join(
    f"('{analyte.code}', '{sex.value}', {_number(limits.low)}::numeric, {_number(limits.high)}::numeric)"
    for analyte in protocol.PANEL
    for sex, limits in analyte.reference.items()
)
_START = (
    "p.recruited_on"
    if protocol.VISIT_CLOCK is Clock.RECRUITMENT
    else "coalesce(f.first_on, p.recruited_on + 7)"
)
_AGE_ON = """CASE WHEN v.birth_date IS NOT NULL THEN extract(year FROM age({day}, v.birth_date))
    WHEN v.recruited_on IS NULL THEN trunc(v.age_at_recruitment)
    ELSE trunc(v.age_at_recruitment + ({day} - v.recruited_on) / 365.25) END"""

_VISITS = f"""
SELECT v.id, v.patient_id, v.week, v.visited_on, p.sex, s.time_zone, p.birth_date, p.recruited_on,
    p.age_at_recruitment, coalesce(v.visited_on, {_START} + v.week * 7) AS stood_on,
    ends.ended_on, f.first_on, f.first_at,
    EXISTS (
        SELECT FROM patients_treatment t
        WHERE t.patient_id = v.patient_id AND t.voided_at IS NULL AND t.kind IN ({quoted(sorted(vocabulary.PLASMA))})
        AND coalesce(hours.at, (v.visited_on + time '23:59') AT TIME ZONE s.time_zone)
            >= (t.started_on + coalesce(t.started_at, time '00:00')) AT TIME ZONE s.time_zone
        AND coalesce(hours.at, (v.visited_on + time '00:00') AT TIME ZONE s.time_zone)
            <= (CASE WHEN t.ended_on IS NULL THEN t.started_on + coalesce(t.started_at, time '23:59')
                ELSE t.ended_on + coalesce(t.ended_at, time '23:59') END) AT TIME ZONE s.time_zone
                + interval '{vocabulary.PLASMA_HOURS} hours'
    ) AS after_plasma
FROM patients_visit v
JOIN patients_patient p ON p.id = v.patient_id
JOIN trial_site s ON s.id = p.site_id
LEFT JOIN LATERAL (
    SELECT i.given_on AS first_on, (i.given_on + i.started_at) AT TIME ZONE s.time_zone AS first_at
    FROM infusions_infusion i WHERE i.patient_id = v.patient_id AND i.voided_at IS NULL
    ORDER BY i.given_on, i.number LIMIT 1
) f ON true
CROSS JOIN LATERAL (
    SELECT min(o.happened_on) AS ended_on FROM patients_outcome o WHERE o.patient_id = v.patient_id
    AND o.voided_at IS NULL AND o.kind IN ({quoted(sorted(protocol.ENDS_OBSERVATION))})
) ends
CROSS JOIN LATERAL (SELECT min(d.sampled_at) AS at FROM patients_labresult d WHERE d.visit_id = v.id) hours
WHERE v.voided_at IS NULL
"""

_LABS = f"""
SELECT r.id, v.patient_id, v.id AS visit_id, v.week, v.visited_on, v.after_plasma, r.analyte, r.value,
    r.comparator, r.missing_reason, r.typed_text, r.typed_unit, v.first_on IS NOT NULL AS has_first,
    coalesce((coalesce((r.sampled_at AT TIME ZONE v.time_zone)::date, v.stood_on)) >= v.ended_on, false) AS drawn_late,
    coalesce(v.stood_on >= v.ended_on, false) AS seen_late,
    CASE WHEN g.id IS NULL THEN n.low ELSE g.low END AS low,
    CASE WHEN g.id IS NULL THEN n.high ELSE g.high END AS high,
    v.first_on IS NOT NULL AND coalesce(CASE
        WHEN v.visited_on <> v.first_on THEN v.visited_on < v.first_on
        WHEN v.visited_on IS NOT NULL AND r.sampled_at IS NOT NULL AND v.first_at IS NOT NULL
            THEN r.sampled_at < v.first_at
        ELSE v.week = {protocol.BASELINE_WEEK} END, false) AS is_before,
    row_number() OVER (PARTITION BY v.patient_id, r.analyte
        ORDER BY v.visited_on NULLS FIRST, r.sampled_at NULLS FIRST, r.id) AS turn
FROM patients_labresult r JOIN visit v ON v.id = r.visit_id
JOIN (VALUES {_PROTOCOL_RANGES}) n (analyte, sex, low, high) ON n.analyte = r.analyte AND n.sex = v.sex
CROSS JOIN LATERAL (
    SELECT coalesce(v.visited_on, (r.sampled_at AT TIME ZONE v.time_zone)::date) AS drawn_on
) d
LEFT JOIN LATERAL (
    SELECT h.id, h.low, h.high FROM patients_referencerange h
    WHERE h.laboratory_id = r.laboratory_id AND h.analyte = r.analyte AND h.voided_at IS NULL
    AND h.sex IN ('', v.sex) AND h.valid_from <= d.drawn_on AND (h.valid_to IS NULL OR h.valid_to >= d.drawn_on)
    AND coalesce({_AGE_ON.format(day="d.drawn_on")} BETWEEN h.age_from AND h.age_to,
        h.age_from = 0 AND h.age_to = 150)
    LIMIT 1
) g ON true
"""

_SAME = "OVER (PARTITION BY patient_id, analyte)"
_BASELINES = f"""
SELECT l.*, max(value) FILTER (WHERE turn = base_turn) {_SAME} AS graded_against,
    max(comparator) FILTER (WHERE turn = base_turn) {_SAME} AS base_comparator,
    max(low) FILTER (WHERE turn = base_turn) {_SAME} AS base_low,
    max(high) FILTER (WHERE turn = base_turn) {_SAME} AS base_high
FROM (
    SELECT lab.*, max(turn) FILTER (WHERE is_before AND value IS NOT NULL) {_SAME} AS base_turn FROM ({_LABS}) lab
) l
"""
# looked up by index and never joined with itself, so that no wrong guess of the planner makes it quadratic
_VALUES = f"""
SELECT l.patient_id, l.visit_id, l.week, l.visited_on, l.after_plasma, l.analyte AS code, l.value, l.comparator,
    l.missing_reason, l.typed_text, l.typed_unit, l.low, l.high,
    CASE WHEN l.value IS NOT NULL AND l.has_first AND NOT l.is_before THEN own.grade END AS grade,
    CASE WHEN l.graded_against IS NOT NULL THEN before.grade END AS base_grade,
    l.drawn_late OR l.seen_late AS is_late
FROM ({_BASELINES}) l
CROSS JOIN LATERAL (
    SELECT {GRADE} AS grade FROM (SELECT l.analyte, l.value, l.comparator, l.low, l.high,
        l.graded_against AS base, l.base_high, l.base_comparator) x
) own
CROSS JOIN LATERAL (
    SELECT {GRADE} AS grade FROM (SELECT l.analyte, l.graded_against AS value, l.base_comparator AS comparator,
        l.base_low AS low, l.base_high AS high, NULL::numeric AS base, NULL::numeric AS base_high,
        '' AS base_comparator) x
) before
UNION ALL
SELECT c.patient_id, v.id, v.week, v.visited_on, v.after_plasma, c.variant, c.value, '', '', '', '', NULL, NULL,
    NULL, NULL, v.ended_on IS NOT NULL AND (coalesce(v.stood_on >= v.ended_on, false) OR EXISTS (
        SELECT FROM patients_labresult l WHERE l.visit_id = v.id AND l.value IS NOT NULL
        AND l.analyte = ANY (CASE c.variant {INPUTS} END)
        AND coalesce((l.sampled_at AT TIME ZONE v.time_zone)::date, v.stood_on) >= v.ended_on))
FROM (SELECT DISTINCT ON (visit_id, variant) * FROM analytics_score ORDER BY visit_id, variant, run_id DESC) c
JOIN visit v ON v.id = c.visit_id
"""
_ROWS = f"""
WITH visit AS NOT MATERIALIZED ({_VISITS}), every AS ({_VALUES})
SELECT every.*, max(value) FILTER (WHERE week = {protocol.BASELINE_WEEK}) OVER (PARTITION BY patient_id, code) AS base
FROM every
"""


def _by_code(words: dict[str, str], *, otherwise: str = "NULL") -> str:
    return (
        "CASE b.code "
        + " ".join(f"WHEN '{c}' THEN {word}" for c, word in words.items())
        + f" ELSE {otherwise} END"
    )


PARAMETERS: dict[str, str] = {
    **{
        analyte.code: f"{analyte.name[0].upper()}{analyte.name[1:]} ({analyte.unit})"
        for analyte in protocol.PANEL
    },
    **{score.code: score.label for score in protocol.SCORES},
}
"""PARAM by the code of the study."""
PARAMETER_CODES: dict[str, str] = {
    **{analyte.code: analyte.code.replace("_", "").upper()[:8] for analyte in protocol.PANEL},
    "creatinine": "CREAT",
    "albumin": "ALB",
    "sodium": "SODIUM",
    "platelets": "PLAT",
    "hbv_dna": "HBVDNA",
    **dict(zip(protocol.SCORE_AT, ("MELDUNOS", "MELDRAW", "MELDNA", "MELD30"), strict=True)),
}
"""PARAMCD, at most eight letters and digits, by the code of the study."""

_COUNTS = "b.value IS NOT NULL AND b.week IS NOT NULL AND NOT b.is_late"
_PLACE = _by_code({code: str(place) for place, code in enumerate(PARAMETERS, start=1)})
_SCORED = f"b.code IN ({quoted(list(protocol.SCORE_AT))})"

ADLB = Dataset(
    "adlb",
    _("ADaM-like: one record per subject, visit and laboratory value or score"),
    (
        *WHO,
        *FLAGS,
        GROUP,
        Column(
            "PARCAT1",
            Kind.CODE,
            "Parameter Category 1",
            f"CASE WHEN {_SCORED} THEN '{SCORE_WORDS}' ELSE '{LABORATORY}' END",
        ),
        Column(
            "PARAMCD",
            Kind.CODE,
            "Parameter Code",
            _by_code({c: f"'{w}'" for c, w in PARAMETER_CODES.items()}),
        ),
        Column("PARAM", Kind.CODE, "Parameter", _by_code({c: f"'{w}'" for c, w in PARAMETERS.items()})),
        Column("PARAMN", Kind.WHOLE, "Parameter (N)", _PLACE),
        Column(
            "AVISIT",
            Kind.CODE,
            "Analysis Visit",
            "CASE WHEN b.week IS NULL THEN 'Unscheduled' ELSE 'Week ' || b.week END",
        ),
        Column("AVISITN", Kind.WHOLE, "Analysis Visit (N), Week", "b.week"),
        Column("ADT", Kind.DATE, "Analysis Date", "b.visited_on", Show.IDENTIFIED),
        Column("ADY", Kind.WHOLE, "Analysis Relative Day", day_sql("b.visited_on")),
        Column("AVAL", Kind.NUMBER, "Analysis Value", "trim_scale(b.value)"),
        Column(
            "AVALC",
            Kind.CODE,
            "Analysis Value (C), at Detection Limits",
            "CASE WHEN b.comparator <> '' THEN b.comparator || trim_scale(b.value) END",
        ),
        Column(
            "AVALU",
            Kind.CODE,
            "Analysis Value Unit",
            _by_code({a.code: f"'{a.unit}'" for a in protocol.PANEL}, otherwise=f"'{SCORE_UNIT}'"),
        ),
        Column(
            "ABLFL",
            Kind.CODE,
            "Baseline Record Flag (Week 0)",
            yes(f"b.week = {protocol.BASELINE_WEEK} AND b.value IS NOT NULL"),
        ),
        Column("BASE", Kind.NUMBER, "Baseline Value (Week 0)", "trim_scale(b.base)"),
        Column(
            "CHG",
            Kind.NUMBER,
            "Change from Baseline: AVAL - BASE",
            f"CASE WHEN b.week IS DISTINCT FROM {protocol.BASELINE_WEEK} THEN trim_scale(b.value - b.base) END",
        ),
        Column("ANRLO", Kind.NUMBER, "Analysis Normal Range Lower Limit", "trim_scale(b.low)"),
        Column("ANRHI", Kind.NUMBER, "Analysis Normal Range Upper Limit", "trim_scale(b.high)"),
        Column(
            "ANRIND",
            Kind.CODE,
            "Analysis Reference Range Indicator",
            "CASE WHEN b.value < b.low THEN 'LOW' WHEN b.value > b.high THEN 'HIGH' WHEN b.value IS NOT NULL AND coalesce(b.low, b.high) IS NOT NULL THEN 'NORMAL' END",
        ),
        Column(
            "ATOXDSC",
            Kind.CODE,
            f"CTCAE {ctcae.VERSION} Term",
            _by_code({c: f"'{t}'" for c, t in ctcae.TERMS.items() if c in GRADES}),
        ),
        Column("ATOXGR", Kind.WHOLE, f"CTCAE {ctcae.VERSION} Grade, Proposed", "b.grade"),
        Column("BTOXGR", Kind.WHOLE, f"CTCAE {ctcae.VERSION} Grade before Infusion", "b.base_grade"),
        Column("ANL01FL", Kind.CODE, "Counts in the Analysis", yes(_COUNTS)),
        Column(
            "ANL02FL",
            Kind.CODE,
            "Counts, and Not Soon after Plasma",
            yes(f"{_COUNTS} AND NOT b.after_plasma"),
        ),
        Column("POSTFL", Kind.CODE, "On or after Death or Transplant", yes("b.is_late")),
        Column(
            "PLASMAFL",
            Kind.CODE,
            f"Within {vocabulary.PLASMA_HOURS} h after Plasma, or Perhaps",
            yes("b.after_plasma"),
        ),
        Column(
            "LBSTAT", Kind.CODE, "Completion Status", "CASE WHEN b.missing_reason <> '' THEN 'NOT DONE' END"
        ),
        Column("LBREASND", Kind.CODE, "Reason Not Done", "nullif(b.missing_reason, '')"),
        Column("LBORRES", Kind.TEXT, "Result as Typed", "nullif(b.typed_text, '')", Show.IDENTIFIED),
        Column(
            "LBORRES",
            Kind.TEXT,
            "Result as Typed, Where a Number",
            typed_number("b.value", "b.typed_text"),
            Show.DEIDENTIFIED,
        ),
        Column("LBORRESU", Kind.CODE, "Unit as Typed", "nullif(b.typed_unit, '')"),
        Column(
            "LBLOINC",
            Kind.CODE,
            "LOINC Code of the Standard Unit",
            _by_code({a.code: f"'{a.loinc}'" for a in protocol.PANEL}),
        ),
    ),
    f"({_ROWS}) b JOIN member ON member.id = b.patient_id",
    f"member.subject_id, {_PLACE}, b.week NULLS LAST, b.visited_on, b.visit_id",
)
