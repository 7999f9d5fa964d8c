"""The only door from the database to arrays.

One look at the database, in one snapshot, becomes :class:`StudyArrays`. Numbers
travel as integers that count millionths, each column as one binary array, so that no
value is ever a float and no row an object.

Whose observation ended is decided by days: what was drawn on or after the day of
death or transplantation does not count, because only a day is known of either.
A visit without a date stands at the day its week was due. Whether a visit is not
yet due is a question of today, not of the data, and is left to the pages.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from django.db import connection as default_connection
from numpy.typing import NDArray
from psycopg import sql

from analytics.samples import MISSING, SCALE, Ints
from analytics.study_arrays import SCORE_PLACES, Bools, Ended, StudyArrays
from trial import protocol
from trial.protocol import Clock, OutcomeKind, VerdictState

UNKNOWN, NEVER = -(2**31), 2**31
"""Days (counted from 2000-01-01) that are not known, and that never came."""

_WEEKS = len(protocol.WEEKS)
_PANEL = tuple(protocol.ANALYTES)
_SCORES = tuple(protocol.SCORE_AT)


@dataclass(frozen=True, slots=True)
class WeekScore:
    """A computed score of a scheduled visit, on its way into the arrays."""

    patient: int
    week: int
    variant: str
    scaled: int


@dataclass(frozen=True, eq=False)
class Columns:
    """The study as columns, one place per subject, before they are sorted and closed.

    ``patients`` holds primary keys, which the analysis does not know; ``lost``
    marks values that were measured but do not count.
    """

    patients: Ints
    subject_ids: NDArray[np.object_]
    diagnosis: NDArray[np.object_]
    sex: NDArray[np.object_]
    age: Ints
    valid_infusions: Ints
    infusions_by_landmark: Ints
    eligible: Bools
    treated: Bools
    landmark: Bools
    ended: NDArray[np.int8]
    values: Mapping[str, Ints]
    censored: Mapping[str, Bools]
    lost: Mapping[str, Bools]

    def arrays(self) -> StudyArrays:
        """Return the arrays of the analysis."""
        return StudyArrays.build(
            subject_ids=self.subject_ids.tolist(),
            diagnosis=self.diagnosis,
            sex=self.sex,
            age=self.age,
            valid_infusions=self.valid_infusions,
            infusions_by_landmark=self.infusions_by_landmark,
            eligible=self.eligible,
            treated=self.treated,
            landmark=self.landmark,
            values=self.values,
            ended=self.ended,
            censored=self.censored,
        )

    def replaced(self, patients: Collection[int], part: Columns) -> Columns:
        """Return these columns with the given patients taken from ``part``, or gone if it lacks them."""
        keep = ~np.isin(self.patients, np.fromiter(patients, np.int64, len(patients)))
        changed: dict[str, Any] = {}
        for column in fields(self):
            mine, theirs = getattr(self, column.name), getattr(part, column.name)
            if isinstance(mine, Mapping):
                changed[column.name] = {
                    code: np.concatenate([mine[code][keep], theirs[code]]) for code in mine
                }
            else:
                changed[column.name] = np.concatenate([mine[keep], theirs])
        return Columns(**changed)

    def with_scores(self, scores: Iterable[WeekScore]) -> Columns:
        """Return these columns with exactly these scores."""
        values = {code: self.values[code] for code in _PANEL}
        row_of = {patient: row for row, patient in enumerate(self.patients.tolist())}
        for variant in _SCORES:
            values[variant] = np.full(self.ended.shape, MISSING, np.int64)
        for score in scores:
            place = protocol.WEEKS.index(score.week)
            values[score.variant][row_of[score.patient], place] = score.scaled
        _drop_scores_of_lost_values(values, self.lost)
        return replace(self, values=values)


def study(connection: Any = default_connection, *, codes: Collection[str] | None = None) -> StudyArrays:
    """Return the study as it stands, with the scores of the newest run.

    Parameters
    ----------
    connection
        A Django connection. Reads that must agree with one another need a
        repeatable-read transaction around them.
    codes
        Which quantities; all of them when absent.
    """
    with connection.cursor() as cursor:
        return read(cursor, codes=codes).arrays()


def read(
    cursor: Any, patients: Collection[int] | None = None, *, codes: Collection[str] | None = None
) -> Columns:
    """Read subjects with everything the analysis looks at, and the scores of the newest run.

    Parameters
    ----------
    cursor
        A cursor of a repeatable-read transaction.
    patients
        Primary keys; everybody when absent.
    codes
        Which quantities; all of them when absent.
    """
    wanted = None if patients is None else sorted(patients)
    scores = tuple(code for code in _SCORES if codes is None or code in codes)
    inputs = {code for score in scores for code in protocol.SCORE_AT[score].inputs}
    panel = tuple(code for code in _PANEL if codes is None or code in codes or code in inputs)
    rows = _subjects(cursor, wanted)
    keys = rows["patient"]
    shape = (keys.size, _WEEKS)
    died, transplanted = rows["died"], rows["transplanted"]

    nominal = _nominal_days(rows)
    visited = _visit_days(cursor, wanted, keys)
    visited = np.where(visited == UNKNOWN, nominal, visited)
    labs = _labs(cursor, wanted, panel)
    row, place = np.searchsorted(keys, labs["patient"]), labs["slot"] // 2 % _WEEKS
    drawn = np.where(labs["day"] == UNKNOWN, visited[row, place], labs["day"])
    counts = drawn < np.minimum(died, transplanted)[row]

    values, censored, lost = {}, {}, {}
    code_of = labs["slot"] // (2 * _WEEKS)
    for number, code in enumerate(panel):
        here = code_of == number
        values[code] = np.full(shape, MISSING, np.int64)
        values[code][row[here & counts], place[here & counts]] = labs["value"][here & counts]
        censored[code], lost[code] = np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
        limit = here & counts & (labs["slot"] % 2 == 1)
        censored[code][row[limit], place[limit]] = True
        lost[code][row[here & ~counts], place[here & ~counts]] = True
    values |= _stored_scores(cursor, wanted, keys, scores)
    _drop_scores_of_lost_values(values, lost)

    return Columns(
        patients=keys,
        subject_ids=rows["subject_id"],
        diagnosis=rows["diagnosis"],
        sex=rows["sex"],
        age=rows["age"],
        valid_infusions=rows["given"],
        infusions_by_landmark=rows["given_by_landmark"],
        eligible=(rows["given"] > 0) & (rows["verdict"] == VerdictState.ELIGIBLE.value),
        treated=rows["given"] > 0,
        # as analytics.landmark.place has it: an event on the day itself comes after the landmark
        landmark=(rows["given"] > 0)
        & (
            rows["first_given"] + protocol.LANDMARK_DAY
            <= np.minimum.reduce([died, transplanted, rows["left_study"]])
        ),
        ended=_ended(visited, died, transplanted),
        values=values,
        censored=censored,
        lost=lost,
    )


# --- what is derived ------------------------------------------------------------------------


def _nominal_days(rows: Mapping[str, Any]) -> Ints:
    """Return the day each week was due, counted from the clock of the protocol; unknown without its start."""
    planned = np.where(rows["recruited"] == UNKNOWN, UNKNOWN, rows["recruited"] + 7)
    start = np.where(rows["first_given"] == UNKNOWN, planned, rows["first_given"])
    if protocol.VISIT_CLOCK is Clock.RECRUITMENT:
        start = rows["recruited"]
    days = np.array([visit.day for visit in protocol.VISITS], np.int64)
    due: Ints = np.where(start[:, None] == UNKNOWN, UNKNOWN, start[:, None] + days)
    return due


def _ended(visited: Ints, died: Ints, transplanted: Ints) -> NDArray[np.int8]:
    """Say for each week whether observation had ended, and by what came first."""
    first = np.where(died <= transplanted, Ended.DEAD, Ended.TRANSPLANTED)
    over = visited >= np.minimum(died, transplanted)[:, None]
    ended: NDArray[np.int8] = np.where(over, first[:, None], Ended.NO).astype(np.int8)
    return ended


def _drop_scores_of_lost_values(values: dict[str, Ints], lost: Mapping[str, Bools]) -> None:
    for variant in _SCORES:
        for code in protocol.SCORE_AT[variant].inputs if variant in values else ():
            values[variant] = np.where(lost[code], MISSING, values[variant])


# --- what is asked --------------------------------------------------------------------------

_SUBJECTS = """
WITH wanted AS (
    SELECT * FROM patients_patient p WHERE {every} OR p.id = ANY({patients})
), course AS (
    SELECT i.patient_id, count(*) AS given, min(i.given_on) AS first_on
    FROM infusions_infusion i WHERE i.voided_at IS NULL AND ({every} OR i.patient_id = ANY({patients}))
    GROUP BY i.patient_id
), early AS (
    SELECT i.patient_id, count(*) AS given
    FROM infusions_infusion i JOIN course ON course.patient_id = i.patient_id
    WHERE i.voided_at IS NULL AND i.given_on <= course.first_on + {landmark_day}
    GROUP BY i.patient_id
), verdict AS (
    SELECT DISTINCT ON (s.patient_id) s.patient_id, s.verdict
    FROM patients_screening s WHERE s.voided_at IS NULL AND ({every} OR s.patient_id = ANY({patients}))
    ORDER BY s.patient_id, s.screened_on DESC, s.id DESC
), ending AS (
    SELECT o.patient_id,
        min(o.happened_on) FILTER (WHERE o.kind = {death}) AS died_on,
        min(o.happened_on) FILTER (WHERE o.kind = {transplant}) AS transplanted_on,
        min(o.happened_on) FILTER (WHERE o.kind IN ({withdrawal}, {lost})) AS left_on
    FROM patients_outcome o WHERE o.voided_at IS NULL AND ({every} OR o.patient_id = ANY({patients}))
    GROUP BY o.patient_id
)
SELECT
    p.id AS patient, p.subject_id, p.diagnosis, p.sex,
    coalesce(
        (p.age_at_recruitment * {scale})::bigint,
        (extract(year FROM age(p.recruited_on, p.birth_date)) * {scale})::bigint,
        {missing}
    ) AS age,
    coalesce(p.recruited_on - DATE '2000-01-01', {unknown}) AS recruited,
    coalesce(course.given, 0) AS given,
    coalesce(course.first_on - DATE '2000-01-01', {unknown}) AS first_given,
    coalesce(early.given, 0) AS given_by_landmark,
    coalesce(verdict.verdict, '') AS verdict,
    coalesce(ending.died_on - DATE '2000-01-01', {never}) AS died,
    coalesce(ending.transplanted_on - DATE '2000-01-01', {never}) AS transplanted,
    coalesce(ending.left_on - DATE '2000-01-01', {never}) AS left_study
FROM wanted p
LEFT JOIN course ON course.patient_id = p.id
LEFT JOIN early ON early.patient_id = p.id
LEFT JOIN verdict ON verdict.patient_id = p.id
LEFT JOIN ending ON ending.patient_id = p.id
ORDER BY p.id
"""

_VISITS = """
SELECT v.patient_id, array_position({weeks}, v.week) - 1, v.visited_on - DATE '2000-01-01'
FROM patients_visit v
WHERE v.voided_at IS NULL AND v.week IS NOT NULL AND v.visited_on IS NOT NULL
    AND ({every} OR v.patient_id = ANY({patients}))
"""

_LABS = """
SELECT l.patient_id,
    ((array_position({panel}, l.analyte) - 1) * {width} + array_position({weeks}, v.week) - 1) * 2
        + (l.comparator <> '')::int,
    coalesce(
        CASE WHEN l.sampled_at IS NULL THEN v.visited_on ELSE (l.sampled_at AT TIME ZONE s.time_zone)::date END
            - DATE '2000-01-01',
        {unknown}
    ),
    (l.value * {scale})::bigint
FROM patients_labresult l
JOIN patients_visit v ON v.id = l.visit_id
JOIN patients_patient p ON p.id = l.patient_id
JOIN trial_site s ON s.id = p.site_id
WHERE l.value IS NOT NULL AND v.voided_at IS NULL AND v.week IS NOT NULL AND l.analyte = ANY({panel})
    AND ({every} OR l.patient_id = ANY({patients}))
"""

_STORED_SCORES = """
SELECT patient_id, (array_position({scores}, variant) - 1) * {width} + array_position({weeks}, week) - 1,
    (value * 10::numeric ^ {score_places})::bigint
FROM (
    SELECT DISTINCT ON (c.visit_id, c.variant) c.patient_id, c.variant, c.value, v.week
    FROM analytics_score c JOIN patients_visit v ON v.id = c.visit_id
    WHERE v.voided_at IS NULL AND v.week IS NOT NULL AND c.variant = ANY({scores})
        AND ({every} OR c.patient_id = ANY({patients}))
    ORDER BY c.visit_id, c.variant, c.run_id DESC
) AS newest
WHERE value IS NOT NULL
"""


def _asked(
    query: str, patients: list[int] | None, *, panel: Sequence[str] = _PANEL, scores: Sequence[str] = _SCORES
) -> sql.Composed:
    """Fill a query's places; a list of patients lets the planner use their indexes."""
    return sql.SQL(query).format(
        every=sql.SQL("TRUE" if patients is None else "FALSE"),
        patients=sql.SQL("{}::bigint[]").format(sql.Literal(patients or [])),
        panel=sql.SQL("{}::varchar[]").format(sql.Literal(list(panel))),
        scores=sql.SQL("{}::varchar[]").format(sql.Literal(list(scores))),
        weeks=sql.SQL("{}::smallint[]").format(sql.Literal(list(protocol.WEEKS))),
        width=sql.Literal(_WEEKS),
        scale=sql.Literal(SCALE),
        score_places=sql.Literal(SCORE_PLACES),
        missing=sql.Literal(MISSING),
        unknown=sql.Literal(UNKNOWN),
        never=sql.Literal(NEVER),
        landmark_day=sql.Literal(protocol.LANDMARK_DAY),
        death=sql.Literal(OutcomeKind.DEATH.value),
        transplant=sql.Literal(OutcomeKind.TRANSPLANT.value),
        withdrawal=sql.Literal(OutcomeKind.WITHDRAWAL.value),
        lost=sql.Literal(OutcomeKind.LOST.value),
    )


_TEXTS = frozenset({"subject_id", "diagnosis", "sex", "verdict"})


def _subjects(cursor: Any, patients: list[int] | None) -> dict[str, NDArray[Any]]:
    cursor.execute(_asked(_SUBJECTS, patients))
    names = [column.name for column in cursor.description]
    columns = list(zip(*cursor.fetchall(), strict=True)) or [()] * len(names)
    return {
        name: np.array(column, np.object_ if name in _TEXTS else np.int64)
        for name, column in zip(names, columns, strict=True)
    }


def _visit_days(cursor: Any, patients: list[int] | None, keys: Ints) -> Ints:
    days = np.full((keys.size, _WEEKS), UNKNOWN, np.int64)
    visits = _copied(cursor, _asked(_VISITS, patients), patient=8, place=4, day=4)
    days[np.searchsorted(keys, visits["patient"]), visits["place"]] = visits["day"]
    return days


def _labs(cursor: Any, patients: list[int] | None, panel: Sequence[str]) -> dict[str, Ints]:
    return _copied(cursor, _asked(_LABS, patients, panel=panel), patient=8, slot=4, day=4, value=8)


def _stored_scores(
    cursor: Any, patients: list[int] | None, keys: Ints, scores: Sequence[str]
) -> dict[str, Ints]:
    if not scores:
        return {}
    stored = _copied(cursor, _asked(_STORED_SCORES, patients, scores=scores), patient=8, slot=4, value=8)
    row = np.searchsorted(keys, stored["patient"])
    place, variant_of = stored["slot"] % _WEEKS, stored["slot"] // _WEEKS
    values = {}
    for number, variant in enumerate(scores):
        here = variant_of == number
        values[variant] = np.full((keys.size, _WEEKS), MISSING, np.int64)
        values[variant][row[here], place[here]] = stored["value"][here]
    return values


_FILE_HEADER, _ARRAY_HEADER = 19, 20


def _copied(cursor: Any, query: sql.Composed, **columns: int) -> dict[str, Ints]:
    """Run a query of integers that are never null and return its columns; the arguments give their bytes.

    Half a million rows would be half a million messages. Each column comes as one
    array instead, in PostgreSQL's binary format: a header, and for each element its
    length and its bytes, big end first. That is a numpy array as it stands.
    """
    names = [sql.Identifier(name) for name in columns]
    arrays = sql.SQL(", ").join(sql.SQL("array_agg({})").format(name) for name in names)
    asked = sql.SQL("COPY (SELECT {} FROM ({}) AS rows ({})) TO STDOUT (FORMAT binary)")
    with cursor.copy(asked.format(arrays, query, sql.SQL(", ").join(names))) as copy:
        raw = b"".join(copy)
    found = {}
    place = _FILE_HEADER + 2
    for name, size in columns.items():
        length = int.from_bytes(raw[place : place + 4], "big", signed=True)
        place += 4
        found[name] = np.zeros(0, np.int64)
        if length > 0:  # without rows the array is null
            elements = np.dtype([("size", ">i4"), ("value", f">i{size}")])
            many = (length - _ARRAY_HEADER) // elements.itemsize
            array = np.frombuffer(raw, elements, count=many, offset=place + _ARRAY_HEADER)
            found[name] = array["value"].astype(np.int64)
            place += length
    return found
