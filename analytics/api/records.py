"""Subjects, visits and laboratory values as programs read them: within what the token's owner may see."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db.models import Prefetch
from django.http import Http404, HttpRequest, HttpResponse

from analytics.api import requests
from analytics.api.security import person_of
from patients import selectors
from patients.models import LabResult, Visit
from trial import clock, protocol, units
from trial.models import User

_LONGEST_KEY = 2**63 - 1


def subjects(request: HttpRequest, cursor: str) -> HttpResponse:
    """Return a page of subjects in the order of their codes."""
    requests.refuse_unknown(request, ("limit", "cursor"))
    limit = requests.limit_in(request, "limit")
    found = selectors.with_course(selectors.patients(person_of(request))).order_by("subject_id")
    if cursor:
        found = found.filter(subject_id__gt=requests.read_cursor(cursor, after=str)["after"])
    rows = list(found[: limit + 1])
    link = ""
    if len(rows) > limit:
        rows = rows[:limit]
        link = requests.next_link(request, requests.cursor_of(after=rows[-1].subject_id))
    return requests.answer({"subjects": [subject_json(row) for row in rows]}, Link=link)


def subject(request: HttpRequest, subject_id: str) -> HttpResponse:
    """Return one subject."""
    requests.refuse_unknown(request, ())
    person = person_of(request)
    patient = selectors.patient_or_404(person, subject_id)
    found = selectors.with_course(selectors.patients(person)).get(pk=patient.pk)
    return requests.answer(subject_json(found))


def subject_json(patient: Any) -> dict[str, Any]:
    """Return a subject with ``infusions_given``; who it is stands nowhere here."""
    day = patient.recruited_on or clock.today_at(patient.site)
    return {
        "subject": patient.subject_id,
        "site": patient.site.code,
        "sex": patient.sex,
        "age": patient.age_on(day),
        "diagnosis": patient.diagnosis,
        "status": patient.status,
        "recruited_on": patient.recruited_on,
        "planned_course": patient.planned_course or None,
        "infusions": patient.infusions_given,
        "first_infusion_on": patient.first_infusion_on,
        "version": patient.version,
    }


# --- visits ---------------------------------------------------------------------------------


def with_labs(person: User) -> Any:
    """Return the valid visits a person may see, with their results in a constant number of queries."""
    results = LabResult.objects.select_related("laboratory").order_by("id")
    return (
        Visit.objects.visible_to(person)
        .valid()
        .filter(patient__merged_into__isnull=True)
        .select_related("patient__site")
        .prefetch_related(Prefetch("lab_results", queryset=results))
    )


def visits(request: HttpRequest, subject_id: str) -> HttpResponse:
    """Return every valid visit of a subject."""
    requests.refuse_unknown(request, ())
    person = person_of(request)
    patient = selectors.patient_or_404(person, subject_id)
    found = with_labs(person).filter(patient=patient).order_by("visited_on", "week", "id")
    return requests.answer({"subject": subject_id, "visits": [visit_json(visit) for visit in found]})


def visit(request: HttpRequest, visit_id: int) -> HttpResponse:
    """Return one visit with its tag."""
    requests.refuse_unknown(request, ())
    found = with_labs(person_of(request)).filter(pk=visit_id).first() if visit_id <= _LONGEST_KEY else None
    if found is None:
        raise Http404
    return tagged(request, found)


def visit_of_week(request: HttpRequest, subject_id: str, week: int) -> HttpResponse:
    """Return the visit of a week with its tag."""
    requests.refuse_unknown(request, ())
    person = person_of(request)
    patient = selectors.patient_or_404(person, subject_id)
    found = (
        with_labs(person).filter(patient=patient, week=week).first() if week in protocol.VISIT_AT else None
    )
    if found is None:
        raise Http404
    return tagged(request, found)


def tag_of(visit: Visit | None) -> str:
    """Return what names a visit as it stands: it changes with every save and every lock; empty where there is none."""
    if visit is None or not visit.pk:
        return ""
    # a lock is no save: it leaves the version alone
    return f'"{visit.pk}.{visit.version}{".locked" if visit.locked_at else ""}"'


def tagged(request: HttpRequest, visit: Visit) -> HttpResponse:
    """Return a visit, or that the reader has it already."""
    tag = tag_of(visit)
    if requests.is_known(request, tag):
        return requests.not_modified(tag)
    return requests.answer(visit_json(visit), ETag=tag)


def visit_json(visit: Visit) -> dict[str, Any]:
    """Return a visit with its results in the order of the panel."""
    return {
        "visit": visit.pk,
        "subject": visit.patient.subject_id,
        "week": visit.week,
        "date": visit.visited_on,
        "not_done": visit.not_done or None,
        "ascites": visit.ascites or None,
        "encephalopathy": visit.encephalopathy or None,
        "locked": visit.locked_at is not None,
        "version": visit.version,
        "labs": [lab_json(result) for result in in_order(visit.lab_results.all())],
    }


def in_order(results: Iterable[LabResult]) -> Sequence[LabResult]:
    """Return results in the order of the panel."""
    places = {code: place for place, code in enumerate(protocol.ANALYTES)}
    return sorted(results, key=lambda result: places[result.analyte])


def lab_json(result: LabResult) -> dict[str, Any]:
    """Return one result: in the standard unit, and as it was typed."""
    analyte = protocol.ANALYTES[result.analyte]
    return {
        "observation": result.pk,
        "analyte": result.analyte,
        "loinc": analyte.loinc,
        "value": result.value,
        "comparator": result.comparator or None,
        "unit": analyte.unit,
        "ucum": units.UCUM[analyte.unit],
        "typed": result.typed_text or None,
        "typed_unit": result.typed_unit or None,
        "missing": result.missing_reason or None,
        "laboratory": result.laboratory.code if result.laboratory else None,
        "drawn_at": result.sampled_at,
        "version": result.version,
    }
