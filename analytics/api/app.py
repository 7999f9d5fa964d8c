"""The operations of the API, and their description."""

from __future__ import annotations

from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from ninja import Body, Header, NinjaAPI, Path, Query

from analytics.api import bodies, datasets, fhir_read, fhir_write, problems, records, requests, writing
from analytics.api.security import reads_datasets, reads_observations, writes_observations

VERSION = "1.0"
PREFIX = "api/v1/"
DESCRIPTION = (
    "Subjects, laboratory values and the datasets of the exports, by the rules of the pages: "
    "the same rights, the same edit checks, the same trail. Errors are problem details (RFC 9457) with place, value, "
    "rule and remedy in the language of Accept-Language."
)

api = NinjaAPI(
    title="Cordline",
    version=VERSION,
    description=DESCRIPTION,
    docs_url=None,
    openapi_url=None,
    urls_namespace="cordline-api",
    parser=requests.ExactParser(),
)
problems.install(api)

Code = Annotated[str, Path(max_length=64)]
Number = Annotated[int, Path(ge=0, le=2**63 - 1)]
Limit = Annotated[int, Query(ge=1, le=requests.MOST_ROWS)]
Cursor = Annotated[str, Query(max_length=2000)]
Key = Annotated[str, Header(alias="Idempotency-Key", description="a new random text for every new write")]
Match = Annotated[str, Header(alias="If-Match", description="the tag that reading the visit gave")]

_ERRORS: dict[int, Any] = dict.fromkeys((400, 401, 403, 404, 406), bodies.Problem)
_REFUSALS = {**_ERRORS, **dict.fromkeys((409, 413, 415, 422), bodies.Problem)}


def _described(text: str) -> dict[str, Any]:
    """Say that a FHIR operation answers in FHIR."""
    return {
        "responses": {200: {"description": text, "content": {requests.FHIR: {"schema": {"type": "object"}}}}}
    }


@api.get("/openapi.json", tags=["description"], summary="This description", include_in_schema=False)
def openapi(request: HttpRequest) -> HttpResponse:
    return requests.answer(description())


# --- datasets -------------------------------------------------------------------------------


@api.get(
    "/datasets", auth=reads_datasets, tags=["datasets"], summary="List the datasets",
    response={200: bodies.Datasets, **_ERRORS}, operation_id="datasets",
)  # fmt: skip
def list_datasets(request: HttpRequest) -> HttpResponse:
    return datasets.listing(request)


@api.get(
    "/datasets/{name}", auth=reads_datasets, tags=["datasets"], summary="Read a dataset",
    description=(
        "JSON pages that link to the next, or with “Accept: text/csv” everything. De-identified; identified=true needs "
        "the scope datasets:identified and a purpose, and is logged. 304 when the tag of If-None-Match still holds; "
        "409 when data moved between two pages."
    ),
    response={200: bodies.Page, 304: None, **_ERRORS, 409: bodies.Problem}, operation_id="dataset",
)  # fmt: skip
def read_dataset(
    request: HttpRequest,
    name: Code,
    limit: Limit = requests.USUAL_ROWS,
    cursor: Cursor = "",
    population: Annotated[str, Query(max_length=20)] = "",
    identified: bool = False,
    purpose: Annotated[str, Query(max_length=300)] = "",
) -> HttpResponseBase:
    return datasets.dataset(request, name)


# --- subjects and visits --------------------------------------------------------------------


@api.get(
    "/subjects", auth=reads_observations, tags=["subjects"], summary="List subjects",
    response={200: bodies.Subjects, **_ERRORS}, operation_id="subjects",
)  # fmt: skip
def list_subjects(
    request: HttpRequest, limit: Limit = requests.USUAL_ROWS, cursor: Cursor = ""
) -> HttpResponse:
    return records.subjects(request, cursor)


@api.get(
    "/subjects/{subject_id}", auth=reads_observations, tags=["subjects"], summary="Read a subject",
    response={200: bodies.Subject, **_ERRORS}, operation_id="subject",
)  # fmt: skip
def read_subject(request: HttpRequest, subject_id: Code) -> HttpResponse:
    return records.subject(request, subject_id)


@api.get(
    "/subjects/{subject_id}/visits", auth=reads_observations, tags=["visits"], summary="List a subject's visits",
    response={200: bodies.Visits, **_ERRORS}, operation_id="visits",
)  # fmt: skip
def list_visits(request: HttpRequest, subject_id: Code) -> HttpResponse:
    return records.visits(request, subject_id)


@api.get(
    "/visits/{visit_id}", auth=reads_observations, tags=["visits"], summary="Read a visit",
    response={200: bodies.Visit, 304: None, **_ERRORS}, operation_id="visit",
)  # fmt: skip
def read_visit(request: HttpRequest, visit_id: Number) -> HttpResponse:
    return records.visit(request, visit_id)


@api.get(
    "/subjects/{subject_id}/visits/{week}/labs", auth=reads_observations, tags=["visits"],
    summary="Read the visit of a week, with its tag",
    response={200: bodies.Visit, 304: None, **_ERRORS}, operation_id="labs",
)  # fmt: skip
def read_labs(request: HttpRequest, subject_id: Code, week: Number) -> HttpResponse:
    return records.visit_of_week(request, subject_id, week)


@api.put(
    "/subjects/{subject_id}/visits/{week}/labs", auth=writes_observations, tags=["visits"],
    summary="Save the values of a visit",
    description=(
        "All or nothing. A stored visit needs If-Match with its tag (428 without, 412 when it moved). A stored value "
        "that differs is replaced only with overwrite and a coded reason (409 otherwise)."
    ),
    response={200: bodies.Visit, **_REFUSALS, 412: bodies.Problem, 428: bodies.Problem}, operation_id="save_labs",
)  # fmt: skip
def save_labs(
    request: HttpRequest,
    subject_id: Code,
    week: Number,
    panel: Annotated[bodies.Panel, Body()],
    idempotency_key: Key = "",
    if_match: Match = "",
) -> HttpResponse:
    return writing.save_labs(request, subject_id, week, panel)


@api.post(
    "/observations", auth=writes_observations, tags=["observations"], summary="Save laboratory values",
    description=(
        "All or nothing, as one revision. A hard check refuses the request with every problem (422); what a soft check "
        "asks about is stored and opens a data query, listed in the answer."
    ),
    response={200: bodies.Stored, **_REFUSALS}, operation_id="save_observations",
)  # fmt: skip
def save_observations(
    request: HttpRequest,
    items: Annotated[list[bodies.Item], Body(min_length=1, max_length=bodies.MOST_ITEMS)],
    idempotency_key: Key = "",
) -> HttpResponse:
    return writing.save_observations(request, items)


# --- FHIR -----------------------------------------------------------------------------------


@api.get("/fhir/metadata", auth=None, tags=["fhir"], summary="CapabilityStatement", operation_id="metadata",
         openapi_extra=_described("CapabilityStatement"))  # fmt: skip
def metadata(request: HttpRequest) -> HttpResponse:
    return fhir_read.metadata(request)


@api.get("/fhir/Patient", auth=reads_observations, tags=["fhir"], summary="Search Patients",
         description="By identifier; pages link to the next.", operation_id="search_patients",
         openapi_extra=_described("searchset Bundle"))  # fmt: skip
def search_patients(
    request: HttpRequest,
    identifier: Annotated[str, Query(max_length=2000)] = "",
    count: Annotated[int, Query(alias="_count", ge=1, le=requests.MOST_ROWS)] = requests.USUAL_ROWS,
) -> HttpResponse:
    return fhir_read.patients(request)


@api.get("/fhir/Patient/{subject_id}", auth=reads_observations, tags=["fhir"], summary="Read a Patient",
         description="Code, sex and site; never a name.", operation_id="read_patient",
         openapi_extra=_described("Patient"))  # fmt: skip
def read_patient(request: HttpRequest, subject_id: Code) -> HttpResponse:
    return fhir_read.patient(request, subject_id)


@api.get("/fhir/Observation", auth=reads_observations, tags=["fhir"], summary="Search Observations",
         description="By patient, code (LOINC) and date (ge, le, gt, lt).", operation_id="search_observations",
         openapi_extra=_described("searchset Bundle"))  # fmt: skip
def search_observations(
    request: HttpRequest,
    patient: Annotated[str, Query(max_length=2000)] = "",
    code: Annotated[str, Query(max_length=2000)] = "",
    date: Annotated[str, Query(max_length=40)] = "",
    count: Annotated[int, Query(alias="_count", ge=1, le=requests.MOST_ROWS)] = requests.USUAL_ROWS,
) -> HttpResponse:
    return fhir_read.observations(request)


@api.get("/fhir/Observation/{observation_id}", auth=reads_observations, tags=["fhir"], summary="Read an Observation",
         operation_id="read_observation", openapi_extra=_described("Observation"))  # fmt: skip
def read_observation(request: HttpRequest, observation_id: Code) -> HttpResponse:
    return fhir_read.observation(request, observation_id)


@api.post(
    "/fhir", auth=writes_observations, tags=["fhir"], summary="Save a Bundle of Observations",
    description=(
        "A transaction (all or nothing) or a batch (each entry by itself) of Observations with a LOINC code and a "
        "valueQuantity in UCUM, or a dataAbsentReason. The status amended or corrected replaces what is stored."
    ),
    operation_id="save_bundle",
    openapi_extra={
        "requestBody": {"required": True, "content": {requests.FHIR: {"schema": {"type": "object"}}}},
        **_described("transaction-response or batch-response Bundle"),
    },
)  # fmt: skip
def save_bundle(request: HttpRequest, idempotency_key: Key = "") -> HttpResponse:
    return fhir_write.post(request)


def description() -> dict[str, Any]:
    """Return the OpenAPI description."""
    return dict(api.get_openapi_schema(path_prefix=PREFIX))
