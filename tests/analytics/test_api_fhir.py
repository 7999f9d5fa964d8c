"""FHIR R4: what is told is valid, what is taken passes the same checks, and codes are not confused."""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

import pytest

from patients.models import LabResult, Patient, Visit
from tests import factories
from tests.api import Program, a_token, places, rules
from trial import audit, loinc
from trial.models import Revision, Site, User

pytestmark = pytest.mark.django_db

KIND = {"Content_Type": "application/fhir+json"}
UCUM = "http://unitsofmeasure.org"


@pytest.fixture
def patient(sites: dict[str, Site]) -> Patient:
    found = factories.a_patient(site=sites["GE"], subject_id="GE-001", identity={"name": "Wang Wei"})
    factories.an_infusion(found, 1)
    factories.a_visit(found, 0, tbil="171.50", inr="1.8", creatinine="81", hbv_dna="20")
    return found


@pytest.fixture
def program(coordinator: User) -> Program:
    return Program(a_token(coordinator))


def observation(code: str = "1742-6", value: Any = 61, ucum: str = "U/L", **other: Any) -> dict[str, Any]:
    resource = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": loinc.SYSTEM, "code": code}]},
        "subject": {"identifier": {"system": "urn:cordline:subject", "value": "GE-001"}},
        "effectiveDateTime": "2024-02-12",
        "valueQuantity": {"value": value, "unit": ucum, "system": UCUM, "code": ucum},
        **other,
    }
    return {name: part for name, part in resource.items() if part is not None}


def bundle(*resources: dict[str, Any], kind: str = "transaction") -> dict[str, Any]:
    entries = [{"resource": one, "request": {"method": "POST", "url": "Observation"}} for one in resources]
    return {"resourceType": "Bundle", "type": kind, "entry": entries}


def valid(resource: dict[str, Any]) -> dict[str, Any]:
    """Hold a resource to the FHIR library."""
    from fhir.resources.R4B import get_fhir_model_class

    get_fhir_model_class(resource["resourceType"]).model_validate(copy.deepcopy(resource))
    return resource


def test_everything_told_is_valid_and_names_nobody(program: Program, patient: Patient) -> None:
    factories.a_draw(patient, tbil="160")
    told = []
    for path in (
        "/fhir/metadata",
        "/fhir/Patient/GE-001",
        "/fhir/Patient?identifier=urn:cordline:subject|GE-001",
        "/fhir/Patient?identifier=other|GE-001",
        "/fhir/Observation",
        "/fhir/Observation?patient=GE-001&code=http://loinc.org|14631-6&date=ge2024-01-01&date=le2024-12-31",
    ):
        answer = program.get(path)
        assert answer.status_code == 200, (path, answer.content)
        assert answer.headers["Content-Type"] == "application/fhir+json"
        assert "Wang" not in answer.getvalue().decode()
        told.append(valid(answer.json()))
    _metadata, one, found, nobody, everything, bilirubin = told
    assert (one["id"], one["gender"], "name" in one, "birthDate" in one) == ("GE-001", "male", False, False)
    assert len(found["entry"]) == 1
    assert "entry" not in nobody
    assert len(everything["entry"]) == 5
    assert [entry["resource"]["valueQuantity"]["value"] for entry in bilirubin["entry"]] == [171.5, 160]
    first = bilirubin["entry"][0]["resource"]
    assert valid(program.get(f"/fhir/Observation/{first['id']}").json()) == first
    assert first["note"] == [{"text": "reported as 171.50 umol/L"}]

    seen, place = [], "/fhir/Observation?_count=2"
    while place:
        page = valid(program.get(place).json())
        seen += [entry["resource"]["id"] for entry in page["entry"]]
        following = next((link["url"] for link in page["link"] if link["relation"] == "next"), "")
        place = following.partition("/api/v1")[2]
    assert seen == [entry["resource"]["id"] for entry in everything["entry"]]
    for wrong in ("date=x", "date=2024-13-01", "_count=0", "colour=red", "_cursor=x", "_format=xml"):
        answer = program.get(f"/fhir/Observation?{wrong}")
        assert answer.status_code == 400, wrong
        assert valid(answer.json())["resourceType"] == "OperationOutcome"
    assert program.get("/fhir/Patient?code=1742-6").status_code == 400
    assert program.get("/fhir/Observation/0").status_code == 404
    assert program.get("/fhir/Observation/x").status_code == 404


def test_a_transaction_is_one_revision_in_the_units_of_its_codes(program: Program, patient: Patient) -> None:
    at = {"effectiveDateTime": "2024-02-12T23:30:00Z"}
    sent = bundle(
        observation("1975-2", 8.2, "mg/dL", **at),
        observation("2160-0", 1.1, "mg/dL", **at),
        observation("34714-6", 1.8, "{INR}", **at),
        observation("5894-1", 55, "%", **at),
        observation("777-3", 140, "10*9/L", **at),
        observation("42595-9", 20, "[IU]/mL", **at)
        | {"valueQuantity": {"value": 20, "comparator": "<", "system": UCUM, "code": "[IU]/mL"}},
        observation(
            "1742-6",
            **at,
            valueQuantity=None,
            dataAbsentReason={"coding": [{"system": "urn:cordline:missing-reason", "code": "haemolysed"}]},
        ),
    )
    before = Revision.objects.count()
    answer = program.post("/fhir", sent, key="one", **KIND)
    assert answer.status_code == 200, answer.content
    assert [entry["response"]["status"] for entry in valid(answer.json())["entry"]] == ["201 Created"] * 7
    audit.settle()
    assert Revision.objects.count() == before + 1
    draw = Visit.objects.get(patient=patient, week=None)
    assert str(draw.visited_on) == "2024-02-13"
    rows = {row.analyte: row for row in draw.lab_results.all()}
    assert rows["tbil"].value == Decimal("140.22")
    assert rows["creatinine"].value == Decimal("97.24")
    assert (rows["inr"].value, rows["pta"].value, rows["hbv_dna"].comparator) == (Decimal("1.8"), 55, "<")
    assert rows["alt"].missing_reason == "haemolysed"
    assert program.post("/fhir", sent, key="one", **KIND).content == answer.content
    assert Revision.objects.count() == before + 1
    valid(program.get("/fhir/Observation?patient=Patient/GE-001").json())

    changed = observation("5894-1", 60, "%", **at)
    differs = program.post("/fhir", bundle(changed), **KIND)
    assert (differs.status_code, rules(differs)) == (409, ["stored_differs"])
    corrected = program.post("/fhir", bundle({**changed, "status": "corrected"}), **KIND)
    assert corrected.json()["entry"][0]["response"]["status"] == "200 OK"
    assert draw.lab_results.get(analyte="pta").value == 60


def test_what_is_not_meant_is_refused_by_its_path(program: Program, patient: Patient) -> None:
    inr_by_the_wrong_code = observation("5894-1", 1.8, "{INR}")
    cases: list[tuple[dict[str, Any], str, str]] = [
        (inr_by_the_wrong_code, "unit_not_accepted", "valueQuantity.code"),
        (observation("6301-6", 80, "%"), "unit_not_accepted", "valueQuantity.code"),
        (observation("14631-6", 8.2, "mg/dL"), "unit_of_another_code", "valueQuantity.code"),
        (observation("1975-2", 140, "umol/L"), "unit_of_another_code", "valueQuantity.code"),
        (observation("1742-6", 61, "u/l"), "unit_not_accepted", "valueQuantity.code"),
        (observation("1742-6", 61, "MG/DL"), "unit_not_accepted", "valueQuantity.code"),
        (observation("718-7", 140, "g/L"), "unknown_analyte", "code"),
        (observation(valueQuantity=None, valueString="high"), "not_taken", "valueString"),
        (observation(valueQuantity=None), "no_value_and_no_reason", "valueQuantity.value"),
        (observation(valueQuantity={"value": 61, "unit": "U/L"}), "not_ucum", "valueQuantity.system"),
        (observation(status="preliminary"), "status", "status"),
        (observation(effectiveDateTime=None), "no_date", "effectiveDateTime"),
        (observation(effectiveDateTime="2024-02"), "not_a_date", "effectiveDateTime"),
        (observation(subject={"display": "Wang Wei"}), "no_subject", "subject"),
        (observation(subject={"identifier": {"system": "urn:hospital", "value": "1"}}), "identifier", "subject.identifier.system"),
        (observation(subject={"reference": "Patient/GE-777"}), "unknown_subject", "subject"),
        (observation(value=99999), "hard_limit", "valueQuantity.value"),
    ]  # fmt: skip
    for resource, rule, path in cases:
        answer = program.post("/fhir", bundle(resource), **KIND)
        assert (answer.status_code, rules(answer)) == (422, [rule]), (rule, answer.content)
        assert places(answer) == [f"Bundle.entry[0].resource.{path}"]
        valid(answer.json())
    for body, rule in (
        ({"resourceType": "Observation"}, "not_a_bundle"),
        ({"resourceType": "Bundle", "type": "message"}, "bundle_type"),
        ({"resourceType": "Bundle", "type": "batch", "entry": []}, "number_of_entries"),
        (bundle({"resourceType": "Patient"}), "resource"),
        (bundle(observation(wine="red")), "not_fhir"),
        ([], "not_a_bundle"),
    ):
        answer = program.post("/fhir", body, **KIND)
        assert (answer.status_code, rules(answer)) == (422, [rule])
    assert LabResult.objects.filter(patient=patient).count() == 4


def test_a_batch_takes_what_is_right_and_says_what_is_not_kept(program: Program, patient: Patient) -> None:
    answer = program.post(
        "/fhir",
        bundle(
            observation(interpretation=[{"text": "high"}]),
            observation("1975-2", 140, "umol/L"),
            observation("14631-6", 900, "umol/L"),
            observation("777-3", 140, "10*9/L", status="registered"),
            kind="batch",
        ),
        **KIND,
    )
    assert answer.status_code == 200, answer.content
    said = [entry["response"] for entry in valid(answer.json())["entry"]]
    assert [one["status"][:3] for one in said] == ["201", "422", "201", "422"]
    unread = said[0]["outcome"]["issue"]
    assert unread[0]["expression"] == ["Bundle.entry[0].resource.interpretation"]
    doubted = said[2]["outcome"]["issue"]
    assert doubted[0]["severity"] == "warning"
    assert doubted[0]["diagnostics"].startswith("query ")
    assert set(
        Visit.objects.get(patient=patient, week=None).lab_results.values_list("analyte", flat=True)
    ) == {
        "alt",
        "tbil",
    }
