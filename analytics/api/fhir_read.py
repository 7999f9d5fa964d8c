"""FHIR R4 read: subjects as pseudonymous Patients, laboratory values as Observations."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any

from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext

from analytics.api import requests
from analytics.api.problems import bad
from analytics.api.security import person_of
from patients import selectors
from patients.models import LabResult, Patient
from trial import clock, loinc, protocol, typed, units
from trial.models import User
from trial.strict_json import plain
from trial.typed import Unreadable


def _(message: str) -> str:
    """Mark a sentence for translation; it is translated when it is said."""
    return message


SUBJECTS = "urn:cordline:subject"
"""The system of the identifier that a subject has here: the code, never a name or a hospital number."""
SITES = "urn:cordline:site"
MISSING = "urn:cordline:missing-reason"
ABSENT = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
LABORATORIES = "urn:cordline:laboratory"
ABSENT_AS = {"refused": "asked-declined", "not_ordered": "not-asked", "not_drawn": "not-performed"}
GENDERS = {protocol.Sex.FEMALE.value: "female", protocol.Sex.MALE.value: "male"}
_LONGEST_KEY = 2**63 - 1
_DAY = re.compile(r"(?P<how>eq|ge|le|gt|lt)?(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})")
_HOW = {"": "", "eq": "", "ge": "__gte", "le": "__lte", "gt": "__gt", "lt": "__lt"}


def fhir(value: Any, *, tag: str = "") -> HttpResponse:
    """Return a resource."""
    return requests.answer(value, kind=requests.FHIR, ETag=tag)


def acceptable(request: HttpRequest) -> None:
    """Refuse to answer in a form that is not FHIR's JSON."""
    requests.wanted(request, requests.FHIR, requests.JSON)
    if request.GET.get("_format", "json") not in ("json", requests.JSON, requests.FHIR):
        raise bad(
            "_format",
            request.GET["_format"],
            "format",
            _("“%(value)s” is not spoken here."),
            _("Ask for json."),
        )


# --- Patient --------------------------------------------------------------------------------


def patient_resource(patient: Patient) -> dict[str, Any]:
    """Return a subject without anything of the person: code, sex, site."""
    return {
        "resourceType": "Patient",
        "id": patient.subject_id,
        "meta": {"versionId": str(patient.version)},
        "identifier": [{"use": "official", "system": SUBJECTS, "value": patient.subject_id}],
        "active": True,
        "gender": GENDERS[patient.sex],
        "managingOrganization": {
            "identifier": {"system": SITES, "value": patient.site.code},
            "display": patient.site.name,
        },
    }


def patient(request: HttpRequest, subject_id: str) -> HttpResponse:
    """Return one Patient."""
    acceptable(request)
    requests.refuse_unknown(request, ("_format",))
    return fhir(patient_resource(selectors.patient_or_404(person_of(request), subject_id)))


def patients(request: HttpRequest) -> HttpResponse:
    """Search Patients by identifier."""
    acceptable(request)
    requests.refuse_unknown(request, ("identifier", "_id", "_count", "_cursor", "_format"))
    found = selectors.patients(person_of(request)).order_by("subject_id")
    for name in ("identifier", "_id"):
        if name in request.GET:
            found = found.filter(subject_id__in=[_identifier(part) for part in request.GET[name].split(",")])
    count = requests.limit_in(request, "_count")
    if cursor := request.GET.get("_cursor"):
        found = found.filter(subject_id__gt=requests.read_cursor(cursor, after=str)["after"])
    rows = list(found[: count + 1])
    after = requests.cursor_of(after=rows[count - 1].subject_id) if len(rows) > count else ""
    return _bundle(request, [patient_resource(row) for row in rows[:count]], after)


def _identifier(text: str) -> str:
    system, bar, value = text.strip().rpartition("|")
    return value if not bar or system in ("", SUBJECTS) else ""


# --- Observation ----------------------------------------------------------------------------


def results(person: User) -> QuerySet[LabResult]:
    """Return the results that a person may see, of visits that stand."""
    found: QuerySet[LabResult] = (
        LabResult.objects.visible_to(person)
        .filter(visit__voided_at__isnull=True, patient__merged_into__isnull=True)
        .select_related("patient__site", "visit", "laboratory")
    )
    return found


def observation_resource(result: LabResult) -> dict[str, Any]:
    """Return one result in the standard unit; what the report said stands in a note."""
    analyte = protocol.ANALYTES[result.analyte]
    visit, site = result.visit, result.patient.site
    resource: dict[str, Any] = {
        "resourceType": "Observation",
        "id": str(result.pk),
        "meta": {"versionId": str(result.version)},
        "status": "final",
        "category": [{"coding": [{"system": CATEGORY, "code": "laboratory"}]}],
        "code": {
            "coding": [{"system": loinc.SYSTEM, "code": analyte.loinc}],
            "text": analyte.label,
        },
        "subject": {
            "reference": f"Patient/{result.patient.subject_id}",
            "identifier": {"system": SUBJECTS, "value": result.patient.subject_id},
        },
    }
    if result.sampled_at is not None:
        resource["effectiveDateTime"] = result.sampled_at.astimezone(clock.zone(site)).isoformat()
    elif visit.visited_on is not None:
        resource["effectiveDateTime"] = visit.visited_on.isoformat()
    if result.laboratory is not None:
        resource["performer"] = [
            {
                "identifier": {"system": LABORATORIES, "value": result.laboratory.code},
                "display": result.laboratory.name,
            }
        ]
    if result.value is None:
        codings = [{"system": MISSING, "code": result.missing_reason}]
        if result.missing_reason in ABSENT_AS:
            codings.append({"system": ABSENT, "code": ABSENT_AS[result.missing_reason]})
        resource["dataAbsentReason"] = {"coding": codings}
        return resource
    resource["valueQuantity"] = {
        "value": result.value.normalize() + 0,
        **({"comparator": result.comparator} if result.comparator else {}),
        "unit": analyte.unit,
        "system": loinc.UCUM_SYSTEM,
        "code": units.UCUM[analyte.unit],
    }
    if result.typed_unit != analyte.unit or result.typed_text != plain(result.value):
        resource["note"] = [{"text": f"reported as {result.typed_text} {result.typed_unit}"}]
    return resource


def observation(request: HttpRequest, observation_id: str) -> HttpResponse:
    """Return one Observation."""
    acceptable(request)
    requests.refuse_unknown(request, ("_format",))
    is_ours = observation_id.isascii() and observation_id.isdigit() and len(observation_id) < 19
    found = results(person_of(request)).filter(pk=observation_id).first() if is_ours else None
    if found is None:
        raise Http404
    return fhir(observation_resource(found), tag=f'W/"{found.version}"')


def observations(request: HttpRequest) -> HttpResponse:
    """Search Observations by patient, code and date."""
    acceptable(request)
    known = ("patient", "subject", "code", "date", "category", "_count", "_cursor", "_format")
    requests.refuse_unknown(request, known)
    found = results(person_of(request)).order_by("pk")
    for name in ("patient", "subject"):
        if name in request.GET:
            codes = [_identifier(part.removeprefix("Patient/")) for part in request.GET[name].split(",")]
            found = found.filter(patient__subject_id__in=codes)
    if "code" in request.GET:
        found = found.filter(analyte__in=_analytes(request.GET["code"]))
    if request.GET.get("category", "laboratory").rpartition("|")[2] != "laboratory":
        found = found.none()
    for text in request.GET.getlist("date"):
        found = found.filter(**_days(text))
    if cursor := request.GET.get("_cursor"):
        after = requests.read_cursor(cursor, after=int)["after"]
        if not 0 <= after <= _LONGEST_KEY:
            raise bad("_cursor", cursor, "cursor", _("“%(value)s” is not a cursor."), _("Take it from the link to the next page."))  # fmt: skip
        found = found.filter(pk__gt=after)
    count = requests.limit_in(request, "_count")
    rows = list(found[: count + 1])
    after_last = requests.cursor_of(after=rows[count - 1].pk) if len(rows) > count else ""
    return _bundle(request, [observation_resource(row) for row in rows[:count]], after_last)


def _analytes(text: str) -> list[str]:
    found = []
    for part in text.split(","):
        system, bar, code = part.strip().rpartition("|")
        known = loinc.CODES.get(code)
        if known is not None and (not bar or system in ("", loinc.SYSTEM)):
            found.append(known.analyte)
    return found


def _days(text: str) -> dict[str, date]:
    read = _DAY.fullmatch(text)
    if read is not None:
        try:
            # the study's own limits of dates, held against a day that is always known
            day = typed.read_date(read["day"], today=date.max - timedelta(days=366))
        except Unreadable:
            read = None
        else:
            return {f"visit__visited_on{_HOW[read['how'] or '']}": day}
    raise bad(
        "date",
        text,
        "date",
        _("“%(value)s” is not a day to search for."),
        _("Send it as ge2015-01-12, with eq, ge, le, gt, lt or nothing in front."),
    )


def _bundle(request: HttpRequest, resources: list[dict[str, Any]], after: str) -> HttpResponse:
    here = request.build_absolute_uri(request.path)
    base = request.build_absolute_uri("/api/v1/fhir/")
    query = request.GET.copy()
    links = [{"relation": "self", "url": f"{here}?{query.urlencode()}" if query else here}]
    if after:
        query["_cursor"] = after
        links.append({"relation": "next", "url": f"{here}?{query.urlencode()}"})
    return fhir(
        {
            "resourceType": "Bundle",
            "type": "searchset",
            "link": links,
            "entry": [
                {
                    "fullUrl": f"{base}{resource['resourceType']}/{resource['id']}",
                    "resource": resource,
                    "search": {"mode": "match"},
                }
                for resource in resources
            ],
        }
        if resources
        else {"resourceType": "Bundle", "type": "searchset", "link": links}
    )


# --- what is offered ------------------------------------------------------------------------


def metadata(request: HttpRequest) -> HttpResponse:
    """Return the CapabilityStatement."""
    acceptable(request)
    token, reference, day = "token", "reference", "date"  # kinds of search parameters

    def resource(name: str, interactions: tuple[str, ...], parameters: dict[str, str]) -> dict[str, Any]:
        return {
            "type": name,
            "interaction": [{"code": code} for code in interactions],
            "searchParam": [{"name": name, "type": kind} for name, kind in parameters.items()],
        }

    return fhir(
        {
            "resourceType": "CapabilityStatement",
            "status": "active",
            "date": "2026-01-01",
            "kind": "instance",
            "software": {"name": "Cordline"},
            "implementation": {"description": gettext(protocol.TITLE)},
            "fhirVersion": "4.0.1",
            "format": ["json"],
            "rest": [
                {
                    "mode": "server",
                    "security": {"description": "Bearer token of an account, made on its page."},
                    "resource": [
                        resource("Patient", ("read", "search-type"), {"identifier": token, "_id": token}),
                        resource(
                            "Observation",
                            ("read", "search-type", "create"),
                            {
                                "patient": reference,
                                "subject": reference,
                                "code": token,
                                "date": day,
                                "category": token,
                            },
                        ),
                    ],
                    "interaction": [{"code": "transaction"}, {"code": "batch"}],
                }
            ],
        }
    )
