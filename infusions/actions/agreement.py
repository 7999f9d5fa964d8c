"""Number and duration of a course, and the decision about it: where they disagree, a query asks, once."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Sequence

from infusions import dosing, selectors
from infusions.dosing import Given
from infusions.models import CourseDecision, Infusion
from infusions.particulars import facts
from patients.actions.bulk_queries import Held, sync_in_bulk
from patients.actions.queries import About, Asked, sync_queries
from patients.models import Patient
from trial.models import User

FIELD = "course"
TOPIC = "infusion"


def ask_about_course(patient: Patient, *, by: User) -> None:
    """Open a query for every disagreement of a course, and close those that are gone; in the caller's revision."""
    given = [facts(infusion) for infusion in selectors.valid_infusions(patient)]
    decision = selectors.decision_of(patient)
    sync_queries(
        patient=patient,
        about=About(topic=TOPIC),
        asked=_disagreements(given, decision.decision if decision else ""),
        by=by,
    )


def ask_about_courses(patients: Collection[int], *, by: User) -> None:
    """Do the same for many subjects in a constant number of queries, in the caller's revision."""
    given: dict[int, list[Given]] = defaultdict(list)
    rows = Infusion.objects.valid().filter(patient__in=patients).order_by("patient", "number")
    for patient, *each in rows.values_list("patient", "number", "given_on", "weight_kg", "cells"):
        given[patient].append(Given(*each))
    decisions = CourseDecision.objects.valid().filter(patient__in=patients)
    decided = dict(decisions.values_list("patient", "decision"))
    held = []
    for patient in sorted(patients):
        asked = _disagreements(given.get(patient, []), decided.get(patient, ""))
        held.append(Held(patient_id=patient, asked=asked, confirmed={FIELD}))
    sync_in_bulk(topic=TOPIC, held=held, by=by)


def _disagreements(given: Sequence[Given], decision: str) -> list[Asked]:
    entered = json.dumps([[(each.number, each.given_on.isoformat()) for each in given], decision])
    return [
        Asked(FIELD, breach.rule.value, breach.sentence, entered=entered)
        for breach in dosing.disagreements(given, decision)
    ]
