"""The patient list and the box that jumps to one."""

from __future__ import annotations

from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from patients import listing
from trial.roles import Permission, requires


@requires(Permission.VIEW_CLINICAL)
@require_safe
def patient_list(request: HttpRequest) -> HttpResponse:
    """Show one page of the subjects this person may see."""
    context = {
        "place": "patients",
        "page": listing.page(request.user, request.GET),
        "sorts": listing.SORTS,
        "may_enter": request.user.may(Permission.ENTER_CLINICAL_DATA),
        "may_register": request.user.may(Permission.REGISTER_SUBJECTS),
    }
    return render(request, "patients/list.html", context)


@requires(Permission.VIEW_CLINICAL)
@require_safe
def jump(request: HttpRequest) -> HttpResponse:
    """Go to the subject whose code begins with what was typed; show the list when several do."""
    text = request.GET.get("q", "")
    found = listing.jump(request.user, text)
    if "HX-Request" in request.headers:
        return render(request, "patients/_jump.html", {"found": found, "text": text.strip()})
    if len(found) == 1:
        return redirect("analytics:trend", found[0].subject_id)
    query = text.strip()[: listing.LONGEST_SEARCH]
    address = reverse("patients:list")
    return redirect(f"{address}?{urlencode({'q': query})}" if query else address)
