"""The history of one laboratory value."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from patients import selectors, value_history
from trial import clock, protocol
from trial.roles import Permission, requires


@requires(Permission.VIEW_AUDIT)
@require_safe
def value(request: HttpRequest, subject_id: str, week: int, analyte: str) -> HttpResponse:
    """Show every version of an analyte of one week: as typed, by whom, when and why."""
    if week not in protocol.VISIT_AT or analyte not in protocol.ANALYTES:
        raise Http404
    patient = selectors.patient_or_404(request.user, subject_id)
    return render(
        request,
        "patients/value_history.html",
        {
            "place": "patients",
            "tab": "labs",
            "patient": patient,
            "header": selectors.header(patient, request.user),
            "draws": value_history.of(patient, week, analyte),
            "week": week,
            "label": _(protocol.label_of(analyte)),
            "unit": protocol.unit_of(analyte),
            "zone": clock.zone(patient.site),
        },
    )
