"""MELD while a visit is being typed, and once it is saved."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from analytics import meld_preview
from analytics import selectors as results
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


@requires(Permission.VIEW_CLINICAL)
@never_cache
@require_safe
def read_back(request: HttpRequest, subject_id: str, visit_id: int, number: int) -> HttpResponse:
    """Say the score of a visit as the database has it, and whether the results hold revision ``number``."""
    visit = selectors.any_visit_or_404(request.user, subject_id, visit_id)
    now = results.freshness()
    return render(
        request,
        "analytics/_read_back.html",
        {
            "score": meld_preview.stored(visit),
            "is_current": now.run_at is not None and now.shown >= number,
            "state": now.state,
        },
    )
