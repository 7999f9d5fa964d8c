"""Two hospitals with a patient each: enough for every route to name something."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from tests import factories
from trial import jobs
from trial.models import Revision, User

WHO = ("name", "hospital_number", "phone")
PERSON = ("Canary Kanarienvogel", "CANARY-4711", "555-CANARY")
"""Who the patients are: read nowhere but on the page whose every view is logged."""
DONOR = "DONOR-CANARY"


@dataclass(frozen=True, slots=True)
class World:
    """A patient of each site with everything a route can name."""

    own: dict[str, Any]
    elsewhere: dict[str, Any]
    missing: dict[str, Any]


def a_world(sites: dict[str, Any], data_manager: User) -> World:
    def everything(site: str) -> dict[str, Any]:
        patient = factories.a_patient(
            site=sites[site],
            subject_id=f"{site}-001",
            identity=dict(zip(WHO, PERSON, strict=True)),
        )
        factories.a_visit(patient, 0, tbil="171", inr="1.8", creatinine="81")
        lot = factories.a_lot(f"UC-{site}", site=sites[site], donor_code=DONOR)
        factories.an_infusion(patient, 1, lot=lot)
        outcome = factories.an_outcome(patient)
        draw = factories.a_draw(patient, tbil="160")
        revision = Revision.objects.filter(entries__patient_id=patient.pk).order_by("-number").first()
        assert revision is not None
        query = factories.a_query(patient, by=data_manager, visit=draw, field="tbil")
        laboratory = factories.a_laboratory(f"{site}-LAB", site=sites[site])
        factories.a_range(laboratory, "tbil", "5", "21")
        return {
            "subject_id": patient.subject_id,
            "lot_code": lot.code,
            "laboratory_code": laboratory.code,
            "range_id": laboratory.ranges.get().pk,
            "result_id": draw.lab_results.get(analyte="tbil").pk,
            "query_id": query.pk,
            "visit_id": draw.pk,
            "trial:revision.number": revision.number,
            "outcome_id": outcome.pk,
            "event_id": factories.an_event(patient).pk,
            "treatment_id": factories.a_treatment(patient).pk,
            "site_code": site,
            "account_id": data_manager.pk,
            "week": 4,
            "number": 1,
            "code": f"{site}-900",
            "contrast": "C-D",
            "analyte": "tbil",
            "measure": "interval",
            "paper_name": "figure4",
            "analytics:contrast_file.kind": "csv",
            "box": "A-24-seen",
            "analytics:flow_file.extension": "svg",
            "paper_form": "svg",
            "job_id": jobs.queue("export", data_manager, {"datasets": ["subjects"], "title": "x"}).pk,
        }

    own, elsewhere = everything("GE"), everything("GS")
    gone = {
        **own,
        "subject_id": "GE-999",
        "lot_code": "NONE",
        "laboratory_code": "NONE",
        "range_id": 10**9,
        "result_id": 10**9,
        "query_id": 10**9,
        "visit_id": 10**9,
        "outcome_id": 10**9,
        "event_id": 10**9,
        "treatment_id": 10**9,
        "account_id": 10**9,
        "trial:revision.number": 10**9,
        "job_id": uuid.uuid4(),
        "site_code": "NOWHERE",
    }
    return World(own, elsewhere, gone)
