"""What the ward does with subjects, screenings, visits and outcomes: one function per intention.

Each is one transaction under one revision. A refusal is :class:`Refused`, with
every problem by field, value, rule and remedy; two people on one record are a
:class:`Conflict`. Values equal to the stored ones leave no trace.
"""

from patients.actions.eligibility import enrol_screened, record_screening
from patients.actions.events import EventEntry, correct_event, record_event, report_event, void_event
from patients.actions.outcomes import record_outcome, void_outcome
from patients.actions.subjects import enrol, next_subject_id
from patients.actions.treatments import (
    TreatmentEntry,
    correct_treatment,
    record_treatment,
    void_treatment,
)
from patients.actions.visits import WrittenLabs, mark_not_done, record_labs, void_visit
from patients.entries import AnswerEntry, LabEntry
from trial.refusals import Conflict, Refused

__all__ = [
    "AnswerEntry",
    "Conflict",
    "EventEntry",
    "LabEntry",
    "Refused",
    "TreatmentEntry",
    "WrittenLabs",
    "correct_event",
    "correct_treatment",
    "enrol",
    "enrol_screened",
    "mark_not_done",
    "next_subject_id",
    "record_event",
    "record_labs",
    "record_outcome",
    "record_screening",
    "record_treatment",
    "report_event",
    "void_event",
    "void_outcome",
    "void_treatment",
    "void_visit",
]
