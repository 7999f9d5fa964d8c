"""A synthetic study as the files of the import. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from analytics.synthetic_labs import PANEL, LabCell
from analytics.synthetic_study import Study

SUBJECT_COLUMNS = ("subject_id", "site", "sex", "birth_date", "diagnosis", "recruited_on", "planned_course")
INFUSION_COLUMNS = (
    "subject_id", "number", "given_on", "weight_kg", "cells", "volume_ml", "lot", "started_at", "stopped_at",
    "deviation", "reaction",
)  # fmt: skip


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
    for s in study.enrolled:
        for given in s.infusions:
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
