"""A stored score, for pages of the lower floors that show one without knowing how it came about."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from patients.models import Patient, Visit
from trial import protocol
from trial.models import Revision


def score(visit: Visit, reported: int | None, *, revision: int = 1, **fields: Any) -> None:
    """Store a score as a refresh would."""
    made_at = Revision.objects.values_list("made_at", flat=True)[0]
    model = Patient.scores.rel.related_model  # type: ignore[attr-defined]
    run = model._meta.get_field("run").related_model
    when = {
        "started_at": made_at,
        "finished_at": made_at,
    }
    value = (
        {"value": Decimal(reported), "reported": reported}
        if reported is not None
        else {"why_not": "INR missing"}
    )
    made = run.objects.create(revision=revision, full=True, code_version="test", **when)
    model.objects.create(
        patient_id=visit.patient_id,
        visit=visit,
        variant=protocol.DEFAULT_SCORE,
        run=made,
        revision=revision,
        **(value | fields),
    )
