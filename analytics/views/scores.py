"""A subject's scores, side by side and term by term."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from analytics import score_table
from analytics import selectors as results
from patients import ctcae, selectors
from trial.roles import Permission, requires


@requires(Permission.VIEW_CLINICAL)
@require_safe
def scores(request: HttpRequest, subject_id: str) -> HttpResponse:
    """Show every score of every visit, what was clamped, and how each is worked out."""
    patient = selectors.patient_or_404(request.user, subject_id)
    with results.one_moment():
        header = selectors.header(patient, request.user)
        context = {
            "place": "patients",
            "tab": "scores",
            "patient": patient,
            "header": header,
            "table": score_table.of(patient, first_infusion_on=header.first_infusion_on),
            "ctcae_version": ctcae.VERSION,
            "may_enter": request.user.may(Permission.ENTER_CLINICAL_DATA),
        }
        return render(request, "analytics/scores.html", context)
