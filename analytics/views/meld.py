"""MELD while a visit is being typed: nothing is saved."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST

from analytics import meld_preview
from patients import selectors
from trial import protocol
from trial.roles import Permission, requires


@requires(Permission.ENTER_CLINICAL_DATA)
@require_POST
def preview(request: HttpRequest, subject_id: str) -> HttpResponse:
    """Answer the panel as typed so far with the score it would make.

    ``week`` names the visit of the protocol; without it the draw is unscheduled.
    """
    patient = selectors.patient_or_404(request.user, subject_id)
    asked = request.GET.get("week", "")
    week = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 4 else None
    score = meld_preview.of(patient, week if week in protocol.VISIT_AT else None, request.POST)
    return render(request, "analytics/_meld_preview.html", {"score": score})
