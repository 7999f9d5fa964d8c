"""What the ward does with subjects, screenings, visits and outcomes: one function per intention.

Each is one transaction under one revision. A refusal is :class:`Refused`, with
every problem by field, value, rule and remedy; two people on one record are a
:class:`Conflict`. Values equal to the stored ones leave no trace.
"""

from patients.actions.eligibility import record_screening
from patients.actions.outcomes import record_outcome, void_outcome
from patients.actions.subjects import enrol, next_subject_id
from patients.actions.visits import WrittenLabs, record_labs, void_visit
from patients.entries import AnswerEntry, LabEntry
from trial.refusals import Conflict, Refused

__all__ = [
    "AnswerEntry",
    "Conflict",
    "LabEntry",
    "Refused",
    "WrittenLabs",
    "enrol",
    "next_subject_id",
    "record_labs",
    "record_outcome",
    "record_screening",
    "void_outcome",
    "void_visit",
]
