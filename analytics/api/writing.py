"""The two ways to write laboratory values as JSON: a list of them, or the panel of one visit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse

from analytics.api import records, requests
from analytics.api.bodies import Item, Panel, Value
from analytics.api.observations import Recorded, Said, record, specimens_said
from analytics.api.problems import Changed, VersionNeeded
from analytics.api.retries import once
from analytics.api.security import person_of
from patients import selectors
from patients.models import Visit
from patients.reported import Reported
from trial import protocol


def save_observations(request: HttpRequest, items: Sequence[Item]) -> HttpResponse:
    """Save a list of values."""
    requests.refuse_unknown(request, ())
    by = person_of(request)
    sent = [_said_item(item, f"/{place}") for place, item in enumerate(items)]

    def save() -> HttpResponse:
        recorded = record(sent, by=by)
        return requests.answer({"observations": [_told(one) for one in recorded]})

    return once(request, save, about=specimens_said(sent))


def save_labs(request: HttpRequest, subject_id: str, week: int, panel: Panel) -> HttpResponse:
    """Save the values of the visit of a week; the version that was read has to be the one that is stored."""
    requests.refuse_unknown(request, ())
    by = person_of(request)
    patient = selectors.patient_or_404(by, subject_id)
    if week not in protocol.VISIT_AT:
        raise Http404
    given = requests.tags(request.headers.get("If-Match", ""))
    sent = [
        Said(
            subject=patient.subject_id,
            reported=_reported(code, value),
            week=str(week),
            date=panel.date,
            laboratory=panel.laboratory,
            specimen=panel.specimen,
            overwrite=panel.overwrite,
            reason=panel.reason,
            note=panel.note,
            place=_in_panel(code),
        )
        for code, value in panel.values.items()
    ]

    def check(visit: Visit | None) -> None:
        tag = records.tag_of(visit)
        if visit is not None and not given:
            raise VersionNeeded(tag)
        if given and tag not in given and not (visit is not None and "*" in given):
            raise Changed(tag)

    def save() -> HttpResponse:
        recorded = record(sent, by=by, check=check)
        visit = records.with_labs(by).get(pk=recorded[0].visit.pk)
        told = {**records.visit_json(visit), "queries": _queries(recorded)}
        return requests.answer(told, ETag=records.tag_of(visit))

    return once(request, save, about=specimens_said(sent))


def _reported(analyte: str, value: Value) -> Reported:
    return Reported(
        analyte=analyte,
        value=value.value,
        unit=value.unit,
        comparator=value.comparator,
        missing=value.missing,
    )


def _said_item(item: Item, at: str) -> Said:
    return Said(
        subject=item.subject,
        reported=_reported(item.analyte, item),
        week=item.week,
        date=item.date,
        laboratory=item.laboratory,
        specimen=item.specimen,
        overwrite=item.overwrite,
        reason=item.reason,
        note=item.note,
        place=lambda part: f"{at}/{part}",
    )


_OF_A_VALUE = ("value", "unit", "comparator", "missing")


def _in_panel(code: str) -> Any:
    def place(part: str) -> str:
        if part == "analyte":
            return f"/values/{code}"
        return f"/values/{code}/{part}" if part in _OF_A_VALUE else f"/{part}"

    return place


def _told(one: Recorded) -> dict[str, Any]:
    return {
        "subject": one.said.subject,
        "visit": one.visit.pk,
        "week": one.visit.week,
        "date": one.visit.visited_on,
        "visit_version": one.visit.version,
        "state": one.state,
        "specimen": one.said.specimen or None,
        **records.lab_json(one.result),
        "queries": one.queries,
    }


def _queries(recorded: Sequence[Recorded]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for one in recorded:
        found += [query for query in one.queries if query not in found]
    return found
