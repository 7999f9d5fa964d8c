"""One valid row of every study table, and one valid change of it.

A new table without a sample here fails the audit tests by name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from itertools import count
from typing import Any, TypeVar

from django.db import connection, models, transaction
from psycopg import sql

from infusions.models import (
    CellLot,
    CourseDecision,
    CustodyEvent,
    Infusion,
    PlannedInfusion,
    ReleaseTest,
    VitalSigns,
)
from patients.models import (
    AdverseEvent,
    ConfirmedGrade,
    DataQuery,
    ImportMapping,
    Laboratory,
    LaboratoryUnit,
    LabResult,
    Outcome,
    Patient,
    PatientIdentity,
    QueryMessage,
    ReferenceRange,
    Screening,
    ScreeningAnswer,
    ScreeningFact,
    Signature,
    Treatment,
    Verification,
    Visit,
)
from tests import factories
from trial import audit, protocol
from trial.models import Site, User
from trial.triggers import audited

Row = TypeVar("Row", bound=models.Model)

NOON = datetime(2024, 3, 8, 12, 0, tzinfo=UTC)

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
    return Visit(
        patient=saved(a_patient()),
        week=4,
        visited_on=date(2024, 4, 1),
        ascites="moderate",
        encephalopathy="1",
    )


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


def a_laboratory() -> Laboratory:
    return Laboratory(code=f"LAB-{next(_numbers)}", name="检验科 “Central”")


def a_range() -> ReferenceRange:
    return ReferenceRange(
        laboratory=saved(a_laboratory()),
        analyte="tbil",
        sex="F",
        valid_from=date(2024, 1, 1),
        low=Decimal("7.3000"),
        high=Decimal("26.1000"),
        typed_unit="umol/L",
    )


def an_event() -> AdverseEvent:
    return AdverseEvent(
        patient=saved(a_patient()),
        term="Fever",
        grade=2,
        onset_on=date(2024, 3, 8),
        onset_at=time(14, 30),
        serious="hospitalisation",
        aware_at=NOON,
        relation="possible",
    )


def a_grade() -> ConfirmedGrade:
    result = saved(a_result())
    return ConfirmedGrade(
        patient=result.patient,
        lab_result=result,
        term="Blood bilirubin increased",
        grade=3,
        proposed=3,
        result_version=1,
        confirmed_by=audit.service_account(),
        confirmed_at=NOON,
    )


def a_query() -> DataQuery:
    visit = saved(a_visit())
    return DataQuery(
        patient=visit.patient,
        topic="visit",
        visit=visit,
        field="tbil",
        check_code="jump",
        opened_by=audit.service_account(),
        opened_at=NOON,
    )


def a_message() -> QueryMessage:
    query = saved(a_query())
    return QueryMessage(
        patient=query.patient,
        query=query,
        step="opened",
        text="171 after 17 µmol/L",
        values='{"value": "171"}',
        author=audit.service_account(),
        written_at=NOON,
    )


def a_signature() -> Signature:
    return Signature(
        patient=saved(a_patient()),
        meaning="approved",
        signed_by=audit.service_account(),
        printed_name="Zhou Hui",
        signed_at=NOON,
        digest="0" * 64,
    )


def a_verification() -> Verification:
    result = saved(a_result())
    return Verification(
        patient=result.patient,
        table="patients_labresult",
        row=result.pk,
        row_version=1,
        verified_by=audit.service_account(),
        verified_at=NOON,
    )


def a_fact() -> ScreeningFact:
    screening = saved(a_screening())
    return ScreeningFact(
        patient=screening.patient,
        screening=screening,
        fact="tbil",
        value=Decimal("85.5000"),
        typed_text="5.0",
        typed_unit="mg/dL",
        happened_on=date(2024, 2, 19),
    )


def some_vitals() -> VitalSigns:
    infusion = saved(an_infusion())
    return VitalSigns(
        patient=infusion.patient, infusion=infusion, moment="m15", temperature_c=Decimal("36.8"), pulse=72
    )


def a_site() -> Site:
    number = next(_numbers)
    letters = "".join(chr(ord("A") + number // 26**place % 26) for place in range(5))
    return Site(code=f"X{letters}", name="Nanjing “North”", time_zone="Asia/Shanghai")


SAMPLES: Mapping[str, Sample] = {
    "infusions_celllot": Sample(a_lot, "passage", 5),
    "infusions_coursedecision": Sample(
        lambda: CourseDecision(
            patient=saved(a_patient()), decided_on=date(2024, 4, 2), decision="prolong", grounds="TBIL falls"
        ),
        "decision",
        "stop",
    ),
    "infusions_custodyevent": Sample(
        lambda: CustodyEvent(
            lot=saved(a_lot()), step="received", happened_at=NOON, temperature_c=Decimal("-80.5")
        ),
        "place",
        "ward 3",
    ),
    "infusions_infusion": Sample(an_infusion, "weight_kg", Decimal("61.0")),
    "infusions_plannedinfusion": Sample(
        lambda: PlannedInfusion(patient=saved(a_patient()), number=2, planned_on=date(2024, 3, 14)),
        "planned_on",
        date(2024, 3, 15),
    ),
    "infusions_releasetest": Sample(
        lambda: ReleaseTest(lot=saved(a_lot()), test="endotoxin", finding="< 0.5 EU/mL"), "result", "pass"
    ),
    "infusions_vitalsigns": Sample(some_vitals, "pulse", 80),
    "patients_adverseevent": Sample(an_event, "grade", 3),
    "patients_confirmedgrade": Sample(a_grade, "grade", 2),
    "patients_dataquery": Sample(a_query, "state", "answered"),
    "patients_importmapping": Sample(
        lambda: ImportMapping(
            laboratory=saved(a_laboratory()), kind="visits", options={"encoding": "gb18030"}
        ),
        "kind",
        "subjects",
    ),
    "patients_laboratory": Sample(a_laboratory, "is_active", False),
    "patients_laboratoryunit": Sample(
        lambda: LaboratoryUnit(laboratory=saved(a_laboratory()), analyte="tbil", unit="mg/dL"),
        "unit",
        "umol/L",
    ),
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
    "patients_querymessage": Sample(a_message, "text", "seen in the report"),
    "patients_referencerange": Sample(a_range, "high", Decimal("27.0000")),
    "patients_screening": Sample(a_screening, "verdict", "eligible"),
    "patients_screeninganswer": Sample(an_answer, "answer", "yes"),
    "patients_screeningfact": Sample(a_fact, "value", Decimal("85.4000")),
    "patients_signature": Sample(a_signature, "meaning", "reviewed"),
    "patients_treatment": Sample(
        lambda: Treatment(
            patient=saved(a_patient()), kind="plasma", dose="400 mL", started_on=date(2024, 3, 8)
        ),
        "ended_on",
        date(2024, 3, 9),
    ),
    "patients_verification": Sample(a_verification, "row_version", 2),
    "patients_visit": Sample(a_visit, "visited_on", date(2024, 4, 2)),
    "trial_site": Sample(a_site, "time_zone", "Asia/Urumqi"),
    "trial_user": Sample(lambda: User(username=f"u{next(_numbers)}", password="!"), "last_name", "Ma"),
}

ADDED_TO_ONLY = frozenset({"infusions_custodyevent", "patients_querymessage"})
"""Tables whose rows the database lets nobody change or delete."""

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
