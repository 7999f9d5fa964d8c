"""Number and duration of a course, and the decision about it: where they disagree, a query asks, once."""

from __future__ import annotations

import json

from infusions import dosing, selectors
from infusions.particulars import facts
from patients.actions.queries import About, Asked, sync_queries
from patients.models import Patient
from trial.models import User

FIELD = "course"


def ask_about_course(patient: Patient, *, by: User) -> None:
    """Open a query for every disagreement of a course, and close those that are gone; in the caller's revision."""
    given = [facts(infusion) for infusion in selectors.valid_infusions(patient)]
    decision = selectors.decision_of(patient)
    found = dosing.disagreements(given, decision.decision if decision else "")
    rests_on = json.dumps(
        [[(each.number, each.given_on.isoformat()) for each in given], decision.decision if decision else ""]
    )
    sync_queries(
        patient=patient,
        about=About(topic="infusion"),
        asked=[
            Asked(field=FIELD, rule=breach.rule.value, sentence=breach.sentence, entered=rests_on)
            for breach in found
        ],
        by=by,
    )
