"""Vital signs in files of infusions: a column for each moment and sign, kept in the table of vital signs."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from functools import partial

from django.db import connection

from infusions import vitals
from infusions.vitals import MOMENTS, SIGNS
from patients.imports.columns import Field
from patients.imports.kinds import Pile
from patients.imports.records import JUDGED, RecordColumn, RecordReader

_WRITTEN = (Pile.CHANGED.value, Pile.NEW.value)


def column_of(moment: str, sign: str) -> str:
    """Return the column of a file that holds one sign at one moment.

    Examples
    --------
    >>> column_of("m15", "pulse")
    'm15_pulse'
    """
    return f"{moment}_{sign}"


PLACES: tuple[tuple[str, str, str], ...] = tuple(
    (column_of(moment, sign), moment, sign) for moment in MOMENTS for sign in SIGNS
)
"""Column, moment and sign of every cell of the grid, in its order."""
FIELDS = tuple(Field(column) for column, _moment, _sign in PLACES)
STAGED_COLUMNS = ", ".join(f"{column} numeric" for column, _moment, _sign in PLACES)
COLUMNS = tuple(RecordColumn(column, "numeric", "", here=f"g.{column}") for column, _moment, _sign in PLACES)
STORED = (
    "LEFT JOIN LATERAL (SELECT "
    + ", ".join(f"max(x.{sign}) FILTER (WHERE x.moment = '{moment}') AS {column}" for column, moment, sign in PLACES)
    + " FROM infusions_vitalsigns x WHERE x.infusion_id = t.id) g ON true"
)  # fmt: skip
"""Joins what the study has of an infusion ``t``."""


def read(reader: RecordReader, line: int, row: list[str]) -> Iterable[Decimal | None]:
    """Return what a row says of the signs; both pressures have to fit, as in the grid."""
    found: dict[tuple[str, str], Decimal | None] = {
        (moment, sign): reader.cell(line, row, column, partial(vitals.read_sign, sign))
        for column, moment, sign in PLACES
    }
    for moment in MOMENTS:
        systolic, diastolic = found[moment, "systolic"], found[moment, "diastolic"]
        if systolic is not None and diastolic is not None:
            wrong = vitals.pressure_order(systolic, diastolic)
            if wrong is not None:
                reader.refuse(line, column_of(moment, "diastolic"), f"{systolic}/{diastolic}", wrong)
    return found.values()


def write() -> None:
    """Write the signs that are new or replaced, a row a moment; the infusions are written before."""
    rows = ", ".join(
        f"('{moment}', {', '.join(_final(column_of(moment, sign)) for sign in SIGNS)},"
        f" coalesce({' OR '.join(f'j.pile_{column_of(moment, sign)} IN {_WRITTEN}' for sign in SIGNS)}, false))"
        for moment in MOMENTS
    )
    signs = ", ".join(SIGNS)
    # the infusion is looked up row by row: a join would be planned for the table before its first rows came
    source = (
        "(SELECT j.*, p.id AS patient_pk, (SELECT i.id FROM infusions_infusion i WHERE i.patient_id = p.id"
        " AND i.number = j.number AND i.voided_at IS NULL) AS infusion_pk"
        f" FROM {JUDGED} j JOIN patients_patient p ON p.subject_id = j.subject OFFSET 0) j,"
        f" LATERAL (VALUES {rows}) AS v(moment, {signs}, differs)"
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE infusions_vitalsigns t SET {', '.join(f'{sign} = v.{sign}' for sign in SIGNS)} FROM {source}"
            " WHERE v.differs AND t.infusion_id = j.infusion_pk AND t.moment = v.moment"
        )
        cursor.execute(
            f"INSERT INTO infusions_vitalsigns (patient_id, infusion_id, moment, {signs})"
            f" SELECT j.patient_pk, j.infusion_pk, v.moment, {', '.join(f'v.{sign}' for sign in SIGNS)} FROM {source}"
            " WHERE v.differs AND j.infusion_pk IS NOT NULL AND NOT EXISTS (SELECT FROM infusions_vitalsigns x"
            " WHERE x.infusion_id = j.infusion_pk AND x.moment = v.moment) ORDER BY j.line"
        )


def _final(column: str) -> str:
    """Return SQL over ``j`` for what a cell holds after the import."""
    return f"CASE WHEN j.pile_{column} IN {_WRITTEN} THEN j.{column} ELSE j.here_{column}::numeric END"
