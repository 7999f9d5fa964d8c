"""A subject's trend: the page a hepatologist reads between two beds."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from analytics import trend as reads
from analytics.views.moment import at_one_moment
from patients import selectors
from trial.roles import Permission, requires

SWITCHES = ("log", "relative", "whole", "bare")
"""What the page can be asked for in its address: each is on when it says 1."""


@requires(Permission.VIEW_CLINICAL)
@at_one_moment
def trend(request: HttpRequest, subject_id: str) -> HttpResponse:
    """Show small multiples of one subject on one time axis, and the same values as a table."""
    patient = selectors.patient_or_404(request.user, subject_id)
    on = {name: request.GET.get(name) == "1" for name in SWITCHES}
    today = selectors.today_at(patient.site)
    page = reads.trend(patient, today=today, log=on["log"], relative=on["relative"], whole_study=on["whole"])
    context = {
        "place": "patients",
        "tab": "trend",
        "patient": patient,
        "header": selectors.header(patient, request.user),
        "page": page,
        "on": on,
        "switches": [
            {"name": name, "on": on[name], "url": _switched(request, name, on)} for name in SWITCHES
        ],
    }
    return render(request, "analytics/trend.html", context)


def _switched(request: HttpRequest, name: str, on: dict[str, bool]) -> str:
    wanted = {**on, name: not on[name]}
    query = "&".join(f"{key}=1" for key, value in wanted.items() if value)
    return f"{request.path}?{query}" if query else request.path
