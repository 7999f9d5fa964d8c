"""The soft checks over the visits of a file, held against the study as it will be after the import.

The database finds the draws on which a check may fire: a condition that lets
too many through, never too few. :mod:`patients.edit_checks` then decides on
each of them, as it does for a form. What fires is a warning, never a refusal.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from django.db import connection
from django.db.models import Min

from patients import draws, edit_checks, upstairs
from patients.actions.bulk_queries import Held, sync_in_bulk
from patients.actions.queries import Asked, rests_on
from patients.edit_checks import DAY_FIELD, Around, Course, Doubt, Earlier
from patients.edit_checks.changes import JUMPS, Jump
from patients.edit_checks.panel import COPIED_AT_LEAST, INR_LONG, INR_NORMAL, PTA_LOW, PTA_NORMAL
from patients.edit_checks.slips import SMALL, SMALL_IN_LIVER_FAILURE, UNIT_SLIP_APART
from patients.imports.kinds import Pile, Warned
from patients.imports.staging import copied
from patients.models import LabResult, Outcome, Patient, Treatment
from trial import protocol
from trial.models import User
from trial.protocol import Diagnosis, OutcomeKind
from trial.sentences import Sentence

VISITS = "import_after_visit"
VALUES = "import_after_value"
SUSPECTS = "import_suspect"
DOUBTS = "import_doubt"
TABLES = (DOUBTS, SUSPECTS, VALUES, VISITS)
_DRAWS_PER_PAGE = 2000
_WRITTEN = (Pile.CHANGED.value, Pile.NEW.value)
_PANEL = {analyte.code: place for place, analyte in enumerate(protocol.PANEL)}


def look(judged: str, judged_values: str) -> int:
    """Hold the judged rows against every soft check; return how many values of the file are to be looked at.

    Makes :data:`DOUBTS`, which stands until the rows are judged again.
    """
    with connection.cursor() as cursor:
        for name in TABLES:
            cursor.execute(f"DROP TABLE IF EXISTS pg_temp.{name} CASCADE")
        cursor.execute(_after_visits(judged))
        cursor.execute(f"CREATE UNIQUE INDEX ON {VISITS} (place)")
        cursor.execute(f"CREATE INDEX ON {VISITS} (patient_id)")
        cursor.execute(f"ANALYZE {VISITS}")
        cursor.execute(_after_values(judged_values))
        cursor.execute(f"CREATE INDEX ON {VALUES} (place)")
        cursor.execute(f"ANALYZE {VALUES}")
        cursor.execute(f"CREATE TEMPORARY TABLE {SUSPECTS} (place integer PRIMARY KEY)")
        for query, parameters in (_suspect_values(), _suspect_pairs(), _suspect_days(), _with_queries()):
            cursor.execute(f"INSERT INTO {SUSPECTS} {query} ON CONFLICT DO NOTHING", parameters)
        cursor.execute(f"ANALYZE {SUSPECTS}")
        cursor.execute(
            f"CREATE TEMPORARY TABLE {DOUBTS} (place integer, field text, rule text, asks boolean, line integer,"
            " value text, sentence text, detail text, entered text)"
        )
        for page in _pages(cursor):
            _doubt(page)
        cursor.execute(f"ANALYZE {DOUBTS}")
        cursor.execute(f"SELECT count(*) FROM {DOUBTS} WHERE asks")
        return int(cursor.fetchone()[0])


def warned(most: int | None = None) -> Iterator[Warned]:
    """Yield the values to look at, in the order of the file."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s)", [f"pg_temp.{DOUBTS}"])
        if cursor.fetchone()[0] is None:
            return
        cursor.execute(
            "SELECT d.line, p.subject_id, coalesce('W' || v.week, v.visited_on::text), d.field, d.value, d.rule,"
            f" d.sentence, d.detail FROM {DOUBTS} d JOIN {VISITS} v USING (place)"
            " JOIN patients_patient p ON p.id = v.patient_id WHERE d.asks ORDER BY d.line, d.field, d.rule LIMIT %s",
            [most],
        )
        rows = cursor.fetchall()
    for *told, sentence, detail in rows:
        line, subject, place, name, value, rule = told
        yield Warned(line, subject, place, name, value, rule, _sentence(sentence), _sentence(detail))


def ask(by: User) -> None:
    """Open a query for every value to look at, and close those that the file mended; in the caller's revision."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {VISITS} a SET visit_id = v.id FROM patients_visit v WHERE a.visit_id IS NULL"
            " AND v.patient_id = a.patient_id AND v.voided_at IS NULL AND v.week IS NOT DISTINCT FROM a.week"
            " AND (a.week IS NOT NULL OR v.visited_on = a.visited_on)"
            f" AND a.place IN (SELECT place FROM {DOUBTS} WHERE asks)"
        )
        for page in _pages(cursor):
            sync_in_bulk(topic="visit", held=list(_held(page)), by=by)


# --- the study as it will be ----------------------------------------------------------------


def _after_visits(judged: str) -> str:
    """Return the SQL of all visits of the file's subjects, in the order in which a subject's draws follow."""
    return (
        f"CREATE TEMPORARY TABLE {VISITS} AS SELECT row_number() OVER (ORDER BY patient_id,"
        " coalesce(visited_on, '-infinity'), coalesce(week, -1), visit_id)::integer AS place, * FROM ("
        "SELECT patient_id, week::integer AS week, max(visit_id) AS visit_id,"
        f" coalesce(max(visited_on) FILTER (WHERE date_pile IN {_WRITTEN}), max(here_on)) AS visited_on,"
        f" min(line) FILTER (WHERE date_pile IN {_WRITTEN}) AS dated_in FROM {judged}"
        " GROUP BY patient_id, week, CASE WHEN week IS NULL THEN visited_on END"
        " UNION ALL SELECT v.patient_id, v.week, v.id, v.visited_on, NULL FROM patients_visit v"
        f" WHERE v.voided_at IS NULL AND v.patient_id IN (SELECT patient_id FROM {judged})"
        f" AND v.id NOT IN (SELECT visit_id FROM {judged} WHERE visit_id IS NOT NULL)) AS of_subjects"
    )


def _after_values(judged_values: str) -> str:
    columns = "value, comparator, typed_text, typed_unit"
    return (
        f"CREATE TEMPORARY TABLE {VALUES} AS SELECT a.place, a.patient_id, a.visited_on, n.analyte, n.lab_id, n.line,"
        f" {', '.join(f'n.{name}' for name in columns.split(', '))} FROM {judged_values} n JOIN {VISITS} a"
        " ON a.patient_id = n.patient_id AND a.week IS NOT DISTINCT FROM n.week"
        " AND (n.week IS NOT NULL OR a.visited_on = n.visited_on)"
        f" WHERE n.pile IN {_WRITTEN} AND n.value IS NOT NULL"
        f" UNION ALL SELECT a.place, a.patient_id, a.visited_on, l.analyte, l.id, NULL, {columns} FROM patients_labresult l"
        f" JOIN {VISITS} a ON a.visit_id = l.visit_id WHERE l.value IS NOT NULL AND NOT EXISTS"
        f" (SELECT FROM {judged_values} n WHERE n.lab_id = l.id AND n.pile IN {_WRITTEN})"
    )


# --- where a check may fire -----------------------------------------------------------------


def _suspect_values() -> tuple[str, dict[str, Any]]:
    """Return draws with a written value that is rare, small, or far from the one before; and copied panels.

    It asks nearly what the checks ask, as every draw let through costs a second look.
    """
    limits: list[tuple[Any, ...]] = []
    parameters: dict[str, Any] = {"copied": COPIED_AT_LEAST, "failing": Diagnosis.LIVER_FAILURE.value}
    for code, analyte in protocol.ANALYTES.items():
        jump = JUMPS.get(code, Jump())
        # a unit of the same factor is no other unit
        slip = UNIT_SLIP_APART if len(set(analyte.accepted.values())) > 1 else None
        limits.append(
            (
                code,
                analyte.soft.low,
                analyte.soft.high,
                SMALL.get(code),
                slip,
                jump.times,
                jump.points,
                jump.days,
            )
        )
    parameters["of_failing"] = sorted(SMALL_IN_LIVER_FAILURE)
    for row, limit in enumerate(limits):
        parameters |= {f"l{row}_{column}": value for column, value in enumerate(limit)}
    values = ", ".join(
        f"(%(l{row}_0)s::text, {', '.join(f'%(l{row}_{column})s::numeric' for column in range(1, 8))})"
        for row in range(len(limits))
    )
    apart = "greatest(value, before) >= least(value, before) *"
    # an undated draw has no value before it
    is_small = (
        "value <= small AND comparator = '' AND (before IS NULL OR before > small OR visited_on IS NULL)"
        " AND (analyte <> ALL(%(of_failing)s) OR patient_id IN"
        " (SELECT id FROM patients_patient WHERE diagnosis = %(failing)s))"
    )
    is_jump = f"({apart} times OR abs(value - before) > points) AND (days IS NULL OR visited_on - before_on <= days)"
    return (
        (
            "SELECT place FROM (SELECT place, patient_id, visited_on, analyte, line, value, comparator,"
            f" lag(value) OVER w AS before, lag(visited_on) OVER w AS before_on FROM {VALUES}"
            " WINDOW w AS (PARTITION BY patient_id, analyte ORDER BY place)) s"
            f" JOIN (VALUES {values}) AS t (analyte, low, high, small, slip, times, points, days) USING (analyte)"
            " GROUP BY place HAVING count(line) > 0 AND (bool_or(line IS NOT NULL AND (value < low OR value > high"
            f" OR ({is_small}) OR {apart} slip OR ({is_jump})))"
            " OR count(*) FILTER (WHERE value = before) >= %(copied)s)"
            # what follows on the same day, or on an undated draw, has another value before it than the one in front
            f" UNION SELECT a.place FROM {VISITS} a JOIN {VISITS} b ON b.patient_id = a.patient_id AND b.place <> a.place"
            " AND (b.visited_on = a.visited_on OR (b.visited_on IS NULL AND a.visited_on IS NOT NULL))"
        ),
        parameters,
    )


def _suspect_pairs() -> tuple[str, dict[str, Any]]:
    return (
        (
            f"SELECT place FROM {VALUES} pta JOIN {VALUES} inr USING (place) WHERE pta.analyte = 'pta'"
            " AND inr.analyte = 'inr' AND (pta.line IS NOT NULL OR inr.line IS NOT NULL)"
            " AND ((pta.value > %(pta_normal)s AND inr.value > %(inr_long)s)"
            " OR (pta.value < %(pta_low)s AND inr.value < %(inr_normal)s))"
        ),
        {"pta_normal": PTA_NORMAL, "inr_long": INR_LONG, "pta_low": PTA_LOW, "inr_normal": INR_NORMAL},
    )


def _suspect_days() -> tuple[str, dict[str, Any]]:
    """Return draws whose written day lies outside its window, before the recruitment, or not in order."""
    infusion = upstairs.infusions().model._meta.db_table
    windows: list[str] = []
    parameters: dict[str, Any] = {"ends": [OutcomeKind.DEATH.value, OutcomeKind.TRANSPLANT.value]}
    for row, planned in enumerate(protocol.VISITS):
        windows.append(f"(%(w{row})s::integer, %(f{row})s::integer, %(u{row})s::integer)")
        parameters |= {
            f"w{row}": planned.week,
            f"f{row}": planned.day - planned.window.before,
            f"u{row}": planned.day + planned.window.after,
        }
    return (
        (
            "SELECT a.place FROM (SELECT *, max(visited_on) OVER (PARTITION BY patient_id, week IS NULL ORDER BY week"
            " ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS last_earlier, min(visited_on) OVER (PARTITION BY"
            " patient_id, week IS NULL ORDER BY week ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) AS first_later"
            f" FROM {VISITS}) a JOIN patients_patient p ON p.id = a.patient_id"
            f" LEFT JOIN (SELECT patient_id, min(given_on) AS day FROM {infusion} WHERE voided_at IS NULL GROUP BY 1) i"
            " ON i.patient_id = a.patient_id"
            " LEFT JOIN (SELECT patient_id, min(happened_on) AS day FROM patients_outcome WHERE voided_at IS NULL"
            " AND kind = ANY(%(ends)s) GROUP BY 1) x ON x.patient_id = a.patient_id"
            f" LEFT JOIN (VALUES {', '.join(windows)}) AS w (week, opens, closes) ON w.week = a.week"
            " WHERE a.dated_in IS NOT NULL AND (a.visited_on < p.recruited_on OR a.visited_on > x.day"
            " OR a.visited_on - i.day < w.opens OR a.visited_on - i.day > w.closes OR (a.week = %(baseline)s AND"
            " a.visited_on > i.day) OR (a.week IS NOT NULL AND (a.visited_on <= a.last_earlier"
            " OR a.visited_on >= a.first_later)))"
        ),
        {**parameters, "baseline": protocol.BASELINE_WEEK},
    )


def _with_queries() -> tuple[str, dict[str, Any]]:
    """Return the draws about which a check asked before: the file may have mended them."""
    return (
        (
            f"SELECT a.place FROM {VISITS} a JOIN patients_dataquery q ON q.visit_id = a.visit_id"
            " AND q.topic = 'visit' AND q.check_code <> '' AND q.state <> 'closed'"
        ),
        {},
    )


# --- deciding -------------------------------------------------------------------------------


@dataclass(slots=True)
class _Draw:
    """One draw to be decided on: what it will hold, and in which line of the file its values stand."""

    patient_id: int
    week: int | None
    visited_on: date | None
    dated_in: int | None
    results: list[LabResult] = field(default_factory=list)
    lines: dict[str, int] = field(default_factory=dict)
    earlier: dict[str, Earlier] = field(default_factory=dict)


def _pages(cursor: Any) -> Iterator[list[int]]:
    cursor.execute(f"SELECT place FROM {SUSPECTS} ORDER BY place")
    places = [place for (place,) in cursor.fetchall()]
    for start in range(0, len(places), _DRAWS_PER_PAGE):
        yield places[start : start + _DRAWS_PER_PAGE]


def _doubt(places: Sequence[int]) -> None:
    """Let the checks decide on a page of draws, and write down what fires."""
    found = _draws(places)
    around = _Surroundings.of({draw.patient_id for draw in found.values()})
    lines = []
    for place, draw in found.items():
        results = {result.analyte: result for result in draw.results}
        entries = [draws.entered(result) for result in draw.results]
        fired = edit_checks.doubts(entries, around.of_draw(draw))
        lines += [_row(place, draw, results.get(doubt.analyte), doubt) for doubt in fired]
    with connection.cursor() as cursor, cursor.copy(f"COPY {DOUBTS} FROM STDIN") as copy:
        copy.write("".join(lines))


def _row(place: int, draw: _Draw, result: LabResult | None, doubt: Doubt) -> str:
    written = [draw.lines[name] for name in doubt.fields if name in draw.lines]
    if doubt.analyte == DAY_FIELD and draw.dated_in is not None:
        written.append(draw.dated_in)
    day = "" if draw.visited_on is None else draw.visited_on.isoformat()
    # what was typed has its sign in it
    value = day if result is None else f"{result.typed_text} {result.typed_unit}".strip()
    columns = (
        place,
        doubt.analyte,
        doubt.rule,
        "t" if written else "f",
        written[0] if written else None,
        value,
        json.dumps(doubt.sentence.kept(), ensure_ascii=False),
        json.dumps(doubt.detail.kept(), ensure_ascii=False),
        rests_on(result, doubt),
    )
    return "\t".join(map(copied, columns)) + "\n"


def _draws(places: Sequence[int]) -> dict[int, _Draw]:
    found: dict[int, _Draw] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT place, patient_id, week, visited_on, dated_in FROM {VISITS} WHERE place = ANY(%s)"
            " ORDER BY place",
            [list(places)],
        )
        for place, *rest in cursor.fetchall():
            found[place] = _Draw(*rest)
        cursor.execute(
            "SELECT place, analyte, value, comparator, typed_text, typed_unit, lab_id, line"
            f" FROM {VALUES} WHERE place = ANY(%s)",
            [list(places)],
        )
        rows = cursor.fetchall()
        # the order in which the results will be stored: so the checks meet them again
        rows.sort(key=lambda row: (row[6] is None, row[6] or 0, row[7] or 0, _PANEL[row[1]]))
        for place, analyte, value, comparator, text, unit, _lab, line in rows:
            draw = found[place]
            draw.results.append(
                LabResult(
                    analyte=analyte, value=value, comparator=comparator, typed_text=text, typed_unit=unit
                )
            )
            if line is not None:
                draw.lines[analyte] = line
        cursor.execute(
            f"SELECT DISTINCT ON (c.place, e.analyte) c.place, e.analyte, e.value, b.visited_on FROM {VISITS} c"
            f" JOIN {VISITS} b ON b.patient_id = c.patient_id AND b.place <> c.place"
            " AND (b.visited_on < c.visited_on OR (b.visited_on IS NULL AND b.week < c.week))"
            f" JOIN {VALUES} e ON e.place = b.place WHERE c.place = ANY(%s) AND c.visited_on IS NOT NULL"
            " ORDER BY c.place, e.analyte, b.place DESC",
            [list(places)],
        )
        for place, analyte, value, day in cursor.fetchall():
            found[place].earlier[analyte] = Earlier(value, day)
    return found


@dataclass(slots=True)
class _Surroundings:
    """What the draws of some subjects are held against, read at once."""

    patients: Mapping[int, tuple[str, date | None]]
    albumin: Mapping[int, list[Course]]
    infused: Mapping[int, date]
    died: Mapping[int, date]
    transplanted: Mapping[int, date]
    visits: Mapping[int, dict[int, date]]

    @classmethod
    def of(cls, patients: set[int]) -> _Surroundings:
        albumin: dict[int, list[Course]] = defaultdict(list)
        courses = Treatment.objects.filter(patient__in=patients, kind=draws.ALBUMIN, voided_at__isnull=True)
        for patient, since, to in courses.values_list("patient", "started_on", "ended_on"):
            albumin[patient].append(Course(since, to))
        given = upstairs.infusions().filter(patient__in=patients, voided_at__isnull=True)
        ended: dict[str, dict[int, date]] = {OutcomeKind.DEATH.value: {}, OutcomeKind.TRANSPLANT.value: {}}
        ends = Outcome.objects.valid().filter(patient__in=patients, kind__in=list(ended))
        for kind, pk, day in ends.order_by().values_list("kind", "patient").annotate(day=Min("happened_on")):
            ended[kind][pk] = day
        visits: dict[int, dict[int, date]] = defaultdict(dict)
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT patient_id, week, visited_on FROM {VISITS} WHERE patient_id = ANY(%s)"
                " AND week IS NOT NULL AND visited_on IS NOT NULL",
                [list(patients)],
            )
            for patient, week, day in cursor.fetchall():
                visits[patient][week] = day
        rows = Patient.objects.filter(pk__in=patients).values_list("pk", "diagnosis", "recruited_on")
        return cls(
            {pk: (diagnosis, recruited) for pk, diagnosis, recruited in rows},
            albumin,
            dict(given.order_by().values_list("patient").annotate(day=Min("given_on"))),
            ended[OutcomeKind.DEATH.value],
            ended[OutcomeKind.TRANSPLANT.value],
            visits,
        )

    def of_draw(self, draw: _Draw) -> Around:
        """Return what one draw is held against, as :func:`patients.draws.around` reads it for a form."""
        diagnosis, recruited_on = self.patients[draw.patient_id]
        others = self.visits.get(draw.patient_id, {})
        return Around(
            drawn_on=draw.visited_on,
            week=draw.week,
            earlier=draw.earlier,
            is_liver_failure=diagnosis == Diagnosis.LIVER_FAILURE,
            albumin=self.albumin.get(draw.patient_id, ()),
            recruited_on=recruited_on,
            first_infusion_on=self.infused.get(draw.patient_id),
            died_on=self.died.get(draw.patient_id),
            transplanted_on=self.transplanted.get(draw.patient_id),
            other_visits={week: day for week, day in others.items() if week != draw.week},
        )


# --- asking ---------------------------------------------------------------------------------


def _held(places: Sequence[int]) -> Iterator[Held]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT a.patient_id, a.visit_id, d.field, d.rule, d.asks, d.sentence, d.detail, d.entered"
            f" FROM {VISITS} a LEFT JOIN {DOUBTS} d USING (place) WHERE a.place = ANY(%s)"
            " AND a.visit_id IS NOT NULL ORDER BY a.place, d.line, d.field",
            [list(places)],
        )
        by_visit: dict[int, Held] = {}
        for patient, visit, name, rule, asks, sentence, detail, entered in cursor.fetchall():
            held = by_visit.setdefault(visit, Held(patient_id=patient, visit_id=visit))
            if name is not None:
                held.asked.append(Asked(name, rule, _sentence(sentence), _sentence(detail), entered))
                if asks:
                    held.confirmed.add(name)
    yield from by_visit.values()


def _sentence(kept: str) -> Sentence:
    return Sentence.of_kept(json.loads(kept))
