"""Who takes part, whether they may, when they were seen, what was measured, what happened."""

from patients.models.event import AdverseEvent, ConfirmedGrade, Outcome
from patients.models.import_mapping import ImportMapping
from patients.models.lab import LabResult
from patients.models.laboratory import Laboratory, LaboratoryUnit, ReferenceRange
from patients.models.patient import IdentityView, Patient, PatientIdentity
from patients.models.query import DataQuery, QueryMessage
from patients.models.screening import Screening, ScreeningAnswer, ScreeningFact
from patients.models.signature import Signature, Verification
from patients.models.treatment import Treatment
from patients.models.visit import Visit

__all__ = [
    "AdverseEvent",
    "ConfirmedGrade",
    "DataQuery",
    "IdentityView",
    "ImportMapping",
    "LabResult",
    "Laboratory",
    "LaboratoryUnit",
    "Outcome",
    "Patient",
    "PatientIdentity",
    "QueryMessage",
    "ReferenceRange",
    "Screening",
    "ScreeningAnswer",
    "ScreeningFact",
    "Signature",
    "Treatment",
    "Verification",
    "Visit",
]
