"""From the labs of visits to stored scores: what goes in, what comes out, what changed.

A score is made of the labs of one visit. Inputs that are known to have been drawn
too far apart make none. An error in one record is that record's result, in words,
and stops nobody else.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

from analytics import scores
from analytics.dialysis import CONTINUOUS, SESSION, DrawTime, Renal, under_dialysis
from analytics.frames import WeekScore
from analytics.samples import MISSING, Sentence, _, say, scaled
from analytics.study_arrays import SCORE_PLACES
from trial import protocol

INPUTS: tuple[str, ...] = tuple(dict.fromkeys(code for score in protocol.SCORES for code in score.inputs))
"""Every analyte that enters a score."""

TOO_FAR_APART = _("not computable: inputs drawn more than {hours} hours apart")
FAILED = _("not computable: {error} in the record of {subject}")
VOIDED = Sentence(_("the visit was voided or has no results any more"))

logger = logging.getLogger(__name__)

_MOST_APART = timedelta(hours=protocol.MOST_HOURS_BETWEEN_INPUTS)


class Key(NamedTuple):
    """Names a score."""

    visit: int
    variant: str


@dataclass(frozen=True, slots=True)
class Stored:
    """A score as its row holds it; ``inputs`` and ``obstacle`` are JSON text of one spelling."""

    patient: int
    value: Decimal | None
    reported: int | None
    inputs: str
    why_not: str
    obstacle: str


@dataclass(frozen=True, slots=True)
class Draw:
    """The inputs of one visit and whose they are."""

    visit: int
    patient: int
    subject_id: str
    week: int | None
    sex: str
    age: Decimal | None
    values: Mapping[str, Decimal]
    drawn_at: Mapping[str, datetime]
    dialysed: bool = False


def computed(draws: Sequence[Draw]) -> dict[Key, Stored]:
    """Compute every score of every visit."""
    found = {}
    for variant in protocol.SCORES:
        for draw, points in zip(draws, _points(draws, variant), strict=True):
            found[Key(draw.visit, variant.code)] = _row(draw.patient, _score(draw, variant, points))
    return found


def changed(now: Mapping[Key, Stored], before: Mapping[Key, Stored]) -> dict[Key, Stored]:
    """Return the rows to add: scores that are new or different, and a last row for those that are gone."""
    rows = {key: row for key, row in now.items() if before.get(key) != row}
    for key, row in before.items():
        ended = _row(row.patient, scores.ScoreResult(key.variant, obstacle=VOIDED))
        if key not in now and row != ended:
            rows[key] = ended
    return rows


def by_week(draws: Iterable[Draw], found: Mapping[Key, Stored]) -> Iterator[WeekScore]:
    """Yield the scores of scheduled visits for the arrays of the analysis."""
    for draw in draws:
        if draw.week is None:
            continue
        for variant in protocol.SCORE_AT:
            value = found[Key(draw.visit, variant)].value
            if value is not None:
                yield WeekScore(draw.patient, draw.week, variant, int(value.scaleb(SCORE_PLACES)))


_FEW = 8


def _points(draws: Sequence[Draw], variant: protocol.ScoreVariant) -> list[int | None]:
    """Return the points of every draw at once; None where they are left to be computed one by one."""
    left: list[int | None] = [None] * len(draws)
    if len(draws) < _FEW:
        return left
    try:
        many = scores.compute_many(
            variant.code,
            {code: scaled([draw.values.get(code) for draw in draws]) for code in variant.inputs},
            sex=[draw.sex for draw in draws],
            age=scaled([draw.age for draw in draws]),
            dialysed=[draw.dialysed for draw in draws],
        )
    except Exception as error:  # noqa: BLE001 - one by one the poisonous record names itself
        logger.warning("scores in one go: %s; computing them one by one", type(error).__name__)
        return left
    return [None if points == MISSING else points for points in many.tolist()]


def _score(draw: Draw, variant: protocol.ScoreVariant, points: int | None) -> scores.ScoreResult:
    times = [draw.drawn_at[code] for code in variant.inputs if code in draw.drawn_at]
    if times and max(times) - min(times) > _MOST_APART:
        far = say(TOO_FAR_APART, hours=protocol.MOST_HOURS_BETWEEN_INPUTS)
        return scores.ScoreResult(variant.code, obstacle=far)
    try:
        return scores.compute(
            variant.code, draw.values, sex=draw.sex, age=draw.age, dialysed=draw.dialysed, points=points
        )
    except Exception as error:  # noqa: BLE001 - one poisonous record must not block the others
        where = f"{draw.subject_id}, " + ("unscheduled visit" if draw.week is None else f"week {draw.week}")
        failed = say(FAILED, error=type(error).__name__, subject=where)
        return scores.ScoreResult(variant.code, obstacle=failed)


def _row(patient: int, result: scores.ScoreResult) -> Stored:
    return Stored(
        patient=patient,
        value=result.value,
        reported=result.reported,
        inputs=f"[{', '.join(_input(used) for used in result.inputs_used)}]",
        why_not=result.why_not[:200],
        obstacle=json.dumps(_said(result.obstacle) if result.obstacle else []),
    )


@lru_cache(maxsize=65536)
def _input(used: scores.InputUsed) -> str:
    return json.dumps(
        {
            "code": used.code,
            "used": str(used.used),
            "clamped_from": None if used.clamped_from is None else str(used.clamped_from),
            "note": _said(used.note) if used.note else [],
        }
    )


def _said(sentence: Sentence) -> list[Any]:
    return [sentence.text, *([name, value] for name, value in sentence.values)]


def sentence_of(stored: list[Any]) -> Sentence | None:
    """Return the sentence that a row's ``obstacle`` or an input's ``note`` holds."""
    return Sentence(stored[0], tuple((name, value) for name, value in stored[1:])) if stored else None


# --- in the database ------------------------------------------------------------------------

_DRAWS = """
SELECT v.id, v.patient_id, p.subject_id, v.week, p.sex,
    coalesce(p.age_at_recruitment, extract(year FROM age(p.recruited_on, p.birth_date))) AS age,
    array_agg(l.analyte ORDER BY l.id) FILTER (WHERE l.analyte = ANY(%(inputs)s)),
    array_agg(l.value ORDER BY l.id) FILTER (WHERE l.analyte = ANY(%(inputs)s)),
    array_agg(l.sampled_at ORDER BY l.id) FILTER (WHERE l.analyte = ANY(%(inputs)s)),
    v.visited_on,
    max(l.sampled_at) FILTER (WHERE l.analyte = 'creatinine') AT TIME ZONE s.time_zone
FROM patients_visit v
JOIN patients_patient p ON p.id = v.patient_id
JOIN trial_site s ON s.id = p.site_id
JOIN patients_labresult l ON l.visit_id = v.id
WHERE v.voided_at IS NULL AND (%(everybody)s OR v.patient_id = ANY(%(patients)s))
GROUP BY v.id, p.id, s.id
ORDER BY v.id
"""

_RENAL = """
SELECT t.patient_id, t.kind, t.started_on, t.started_at, t.ended_on, t.ended_at
FROM patients_treatment t
WHERE t.voided_at IS NULL AND t.kind = ANY(%(renal)s) AND (%(everybody)s OR t.patient_id = ANY(%(patients)s))
ORDER BY t.id
"""

_STORED = """
SELECT DISTINCT ON (c.visit_id, c.variant)
    c.visit_id, c.variant, c.patient_id, c.value, c.reported, c.inputs, c.why_not, c.obstacle
FROM analytics_score c
WHERE %(everybody)s OR c.patient_id = ANY(%(patients)s)
ORDER BY c.visit_id, c.variant, c.run_id DESC
"""


def read_draws(cursor: Any, patients: Collection[int] | None) -> list[Draw]:
    """Read the score inputs of every visit that has results."""
    renal: dict[int, list[Renal]] = {}
    cursor.execute(_RENAL, {**_whose(patients), "renal": [SESSION, CONTINUOUS]})
    for patient, *row in cursor.fetchall():
        renal.setdefault(patient, []).append(Renal(*row))
    cursor.execute(_DRAWS, {**_whose(patients), "inputs": list(INPUTS)})
    draws = []
    for visit, patient, subject_id, week, sex, age, codes, values, times, day, drawn in cursor.fetchall():
        known = list(zip(codes or (), values or (), times or (), strict=True))
        draws.append(
            Draw(
                visit=visit,
                patient=patient,
                subject_id=subject_id,
                week=week,
                sex=sex,
                age=age,
                values={code: value for code, value, _at in known if value is not None},
                drawn_at={code: at for code, value, at in known if at is not None and value is not None},
                dialysed=patient in renal and under_dialysis(draw_time(day, drawn), renal[patient]),
            )
        )
    return draws


def draw_time(day: date | None, drawn: datetime | None) -> DrawTime | None:
    """Return when blood was drawn by the clock of the site: its moment, else the day of the visit."""
    if drawn is not None:
        return DrawTime(drawn.date(), drawn.time())
    return None if day is None else DrawTime(day)


def dialysed_at(patient: Any, day: date | None, drawn: datetime | None) -> bool:
    """Return whether a draw of one subject counts as taken under dialysis; ``drawn`` is the site's clock."""
    rows = patient.treatments.filter(voided_at__isnull=True, kind__in=[SESSION, CONTINUOUS])
    fields = ("kind", "started_on", "started_at", "ended_on", "ended_at")
    return under_dialysis(draw_time(day, drawn), [Renal(*row) for row in rows.values_list(*fields)])


def read_stored(cursor: Any, patients: Collection[int] | None) -> dict[Key, Stored]:
    """Read the newest row of every score."""
    cursor.execute(_STORED, _whose(patients))
    return {
        Key(visit, variant): Stored(
            patient, value, reported, _one_spelling(inputs), why_not, _one_spelling(obstacle)
        )
        for visit, variant, patient, value, reported, inputs, why_not, obstacle in cursor.fetchall()
    }


def _one_spelling(stored: Any) -> str:
    # jsonb has an order of keys of its own
    inputs = json.loads(stored) if isinstance(stored, str) else stored
    if inputs and isinstance(inputs[0], dict):
        inputs = [
            {name: entry[name] for name in ("code", "used", "clamped_from", "note")} for entry in inputs
        ]
    return json.dumps(inputs)


def _whose(patients: Collection[int] | None) -> dict[str, Any]:
    return {"everybody": patients is None, "patients": sorted(patients or ())}
