"""Who takes part, whether they may, when they were seen, what was measured, what happened."""

from patients.models.event import Outcome
from patients.models.lab import LabResult
from patients.models.patient import Patient, PatientIdentity
from patients.models.screening import Screening, ScreeningAnswer
from patients.models.visit import Visit

__all__ = [
    "LabResult",
    "Outcome",
    "Patient",
    "PatientIdentity",
    "Screening",
    "ScreeningAnswer",
    "Visit",
]
