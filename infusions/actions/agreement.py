"""Number, duration and weights of a course, and the decision about it: where they are in doubt, a query asks, once."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Sequence

from infusions import dosing, selectors, weights
from infusions.dosing import Given
from infusions.models import CourseDecision, Infusion
from infusions.particulars import facts
from patients.actions.bulk_queries import Held, sync_in_bulk
from patients.actions.queries import About, Asked, sync_queries
from patients.models import Patient
from trial.models import User
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


FIELD = "course"
WEIGHT = "weight"
TOPIC = "infusion"


def ask_about_course(patient: Patient, *, by: User) -> None:
    """Open a query for every doubt about a course, and close those that are gone; in the caller's revision."""
    given = [facts(infusion) for infusion in selectors.valid_infusions(patient)]
    decision = selectors.decision_of(patient)
    sync_queries(
        patient=patient,
        about=About(topic=TOPIC),
        asked=_asked(given, decision.decision if decision else ""),
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
        asked = _asked(given.get(patient, []), decided.get(patient, ""))
        held.append(Held(patient_id=patient, asked=asked, confirmed={FIELD}))
    sync_in_bulk(topic=TOPIC, held=held, by=by)


def _asked(given: Sequence[Given], decision: str) -> list[Asked]:
    entered = json.dumps([[(each.number, each.given_on.isoformat()) for each in given], decision])
    return [
        *(
            Asked(FIELD, breach.rule.value, breach.sentence, entered=entered)
            for breach in dosing.disagreements(given, decision)
        ),
        *_weights(given),
    ]


def _weights(given: Sequence[Given]) -> list[Asked]:
    """Ask about the weights of a course in one query, which names the newest and rests on all of them."""
    found = weights.doubted(given)
    if not found:
        return []
    newest, why = found[-1]
    sentence = Sentence(_("Infusion %(number)s: %(why)s"), {"number": newest.number, "why": why})
    entered = json.dumps([(each.number, str(each.weight_kg)) for each, _why in found])
    return [Asked(FIELD, WEIGHT, sentence, entered=entered)]
