"""One valid row of every study table, and one valid change of it.

A new table without a sample here fails the audit tests by name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from itertools import count
from typing import Any, TypeVar

from django.db import connection, models, transaction
from psycopg import sql

from infusions.models import CellLot, Infusion
from patients.models import LabResult, Outcome, Patient, PatientIdentity, Screening, ScreeningAnswer, Visit
from tests import factories
from trial import audit, protocol
from trial.models import Site, User
from trial.triggers import audited

Row = TypeVar("Row", bound=models.Model)

_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Sample:
    """How to make an unsaved row, and which column may take which other value."""

    make: Callable[[], models.Model]
    column: str
    value: object


def saved(row: Row) -> Row:
    """Save a row in a revision that is finished before the test writes its own."""
    with audit.revision(by=audit.service_account(), source="tests"):
        row.save(force_insert=True)
    factories.settle()
    return row


def a_patient() -> Patient:
    return Patient(
        subject_id=f"S-{next(_numbers)}",
        site=factories.a_site(),
        sex=protocol.Sex.FEMALE.value,
        birth_date=date(1971, 2, 28),
        age_at_recruitment=Decimal("52.250000"),
        diagnosis=protocol.Diagnosis.LIVER_FAILURE.value,
        recruited_on=date(2024, 2, 29),
        planned_course=protocol.Course.PROLONGED.value,
    )


def a_visit() -> Visit:
    return Visit(patient=saved(a_patient()), week=4, visited_on=date(2024, 4, 1))


def a_result() -> LabResult:
    visit = saved(a_visit())
    return LabResult(
        patient=visit.patient,
        visit=visit,
        analyte="tbil",
        value=Decimal("171.0000"),
        typed_text="171",
        typed_unit="umol/L",
    )


def a_screening() -> Screening:
    return Screening(patient=saved(a_patient()), screened_on=date(2024, 2, 20))


def an_answer() -> ScreeningAnswer:
    screening = saved(a_screening())
    return ScreeningAnswer(
        patient=screening.patient,
        screening=screening,
        criterion="inclusion_a",
        answer="unknown",
        evidence="病历 §3",
    )


def an_infusion() -> Infusion:
    return Infusion(
        patient=saved(a_patient()),
        number=1,
        given_on=date(2024, 3, 7),
        started_at=time(9, 5),
        stopped_at=time(10, 0),
        weight_kg=Decimal("60.5"),
        cells=Decimal(60_500_000),
        volume_ml=Decimal("100.0"),
        lot=saved(a_lot()),
    )


def a_lot() -> CellLot:
    return CellLot(
        code=f"UC-{next(_numbers)}", viability_percent=Decimal("91.20"), expires_on=date(2024, 12, 31)
    )


def a_site() -> Site:
    number = next(_numbers)
    letters = "".join(chr(ord("A") + number // 26**place % 26) for place in range(5))
    return Site(code=f"X{letters}", name="Nanjing “North”", time_zone="Asia/Shanghai")


SAMPLES: Mapping[str, Sample] = {
    "infusions_celllot": Sample(a_lot, "passage", 5),
    "infusions_infusion": Sample(an_infusion, "weight_kg", Decimal("61.0")),
    "patients_labresult": Sample(a_result, "value", Decimal("17.1000")),
    "patients_outcome": Sample(
        lambda: Outcome(patient=saved(a_patient()), kind="death", happened_on=date(2024, 5, 1)),
        "note",
        "O'Brien; 肝衰竭",
    ),
    "patients_patient": Sample(a_patient, "planned_course", "standard"),
    "patients_patientidentity": Sample(
        lambda: PatientIdentity(patient=saved(a_patient()), name="李敏", phone="+86 20 1234"),
        "phone",
        "+86 20 4321",
    ),
    "patients_screening": Sample(a_screening, "verdict", "eligible"),
    "patients_screeninganswer": Sample(an_answer, "answer", "yes"),
    "patients_visit": Sample(a_visit, "visited_on", date(2024, 4, 2)),
    "trial_site": Sample(a_site, "time_zone", "Asia/Urumqi"),
    "trial_user": Sample(lambda: User(username=f"u{next(_numbers)}", password="!"), "last_name", "Ma"),
}

MODELS = [
    model for model in audited() if model._meta.app_label in {"trial", "patients", "infusions", "analytics"}
]


def sample(model: type[models.Model]) -> Sample:
    """Return the sample of a table; every table must have one."""
    assert model._meta.db_table in SAMPLES, (
        f"{model._meta.label} needs a sample row in tests/trial/study_rows.py"
    )
    return SAMPLES[model._meta.db_table]


def as_json(row: models.Model) -> dict[str, Any]:
    """Return what the database holds of a row."""
    query = sql.SQL("SELECT to_jsonb({table}.*)::text FROM {table} WHERE id = %s")
    with connection.cursor() as cursor:
        cursor.execute(query.format(table=sql.Identifier(row._meta.db_table)), [row.pk])
        return dict(json.loads(cursor.fetchone()[0], parse_float=Decimal))


def json_of_a_new_row(model: type[models.Model]) -> dict[str, Any]:
    """Return a row as the database would hold it, without leaving it there."""
    row = sample(model).make()
    try:
        with transaction.atomic(), audit.revision(by=audit.service_account()):
            row.save(force_insert=True)
            found = as_json(row)
            raise _Undone
    except _Undone:
        return found


class _Undone(Exception):
    """Rolls a savepoint back."""
