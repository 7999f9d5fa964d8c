"""A synthetic study as the files of the import. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta

from analytics.synthetic_labs import PANEL, LabCell
from analytics.synthetic_study import GivenInfusion, Study

SUBJECT_COLUMNS = ("subject_id", "site", "sex", "birth_date", "diagnosis", "recruited_on", "planned_course")
INFUSION_COLUMNS = (
    "subject_id", "number", "given_on", "weight_kg", "cells", "volume_ml", "lot", "started_at", "stopped_at",
    "deviation", "reaction", "reaction_grade", "vein", "bag", "interruption", "observed_until", "checked_by",
)  # fmt: skip
VEINS = ("forearm_left", "forearm_right", "forearm_left", "other")
NURSES = ("Nurse A.", "Nurse B.", "Nurse C.")
"""Who checked the identity with the first nurse; nobody of them exists."""


def subject_rows(study: Study) -> Iterator[tuple[str, ...]]:
    """Yield header and rows of a ``subjects`` file: the enrolled."""
    yield SUBJECT_COLUMNS
    for s in study.enrolled:
        recruited = s.recruited_on.isoformat() if s.recruited_on else ""
        yield (
            s.subject_id,
            s.site,
            s.sex,
            s.birth_date.isoformat(),
            s.diagnosis.value,
            recruited,
            s.planned_course,
        )


def infusion_rows(study: Study) -> Iterator[tuple[str, ...]]:
    """Yield header and rows of an ``infusions`` file."""
    yield INFUSION_COLUMNS
    bags: Counter[str] = Counter()
    for s in study.enrolled:
        for given in s.infusions:
            bags[given.lot] += 1
            yield (
                s.subject_id,
                str(given.number),
                given.given_on.isoformat(),
                given.weight_kg,
                str(given.cells),
                given.volume_ml,
                given.lot,
                given.started_at,
                given.stopped_at,
                given.deviation,
                given.reaction,
                *_at_the_bedside(given, bags[given.lot], study.today),
            )


def _at_the_bedside(given: GivenInfusion, bag: int, today: date) -> tuple[str, ...]:
    """Return grade, vein, bag, interruption, end of observation and second nurse of an infusion."""
    watched = given.given_on + timedelta(days=1)
    return (
        "1" if given.reaction else "",
        VEINS[(given.number + bag) % len(VEINS)],
        f"{bag:02}",
        "stopped before the bag was empty: pain at the vein" if given.deviation == "partly_given" else "",
        f"{watched.isoformat()} {given.stopped_at}" if watched < today else "",
        NURSES[bag % len(NURSES)],
    )


def visit_rows(study: Study, *, site: str = "") -> Iterator[tuple[str, ...]]:
    """Yield header and rows of a ``visits`` file, of one site or of all."""
    columns = [f"{code}{part}" for code in PANEL for part in ("", "_unit", "_missing")]
    yield ("subject_id", "week", "visit_date", *columns)
    nothing = LabCell()
    for s in study.enrolled:
        if site and s.site != site:
            continue
        for visit in s.visits:
            row = [
                s.subject_id,
                "unscheduled" if visit.week is None else str(visit.week),
                visit.visited_on.isoformat(),
            ]
            for code in PANEL:
                cell = visit.labs.get(code, nothing)
                row += [cell.text, cell.unit, cell.missing]
            yield tuple(row)
