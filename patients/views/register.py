"""Taking a subject into the study."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from patients import actions, locks, selectors
from patients.actions.identity import see_known_persons
from patients.forms import RegistrationForm
from patients.models import Patient
from trial import idempotency
from trial.refusals import Refused
from trial.roles import Permission, requires


@requires(Permission.REGISTER_SUBJECTS)
def register(request: HttpRequest) -> HttpResponse:
    """Register a subject at the person's site, then go on to its screening."""
    form = RegistrationForm(
        request.POST if request.method == "POST" else None,
        sites=list(selectors.sites_for(request.user)),
        asks_identity=request.user.may(Permission.VIEW_IDENTITY),
    )
    if request.method != "POST":
        return _page(request, form)
    if not form.is_valid():
        return _page(request, form, status=422)
    given: dict[str, Any] = form.cleaned_data
    try:
        with idempotency.once(request, by=request.user) as attempt:
            if attempt.earlier is not None:
                patient = selectors.subject_of(attempt.earlier)
            else:
                patient = actions.enrol(
                    by=request.user,
                    site=given["site"],
                    subject_id=given["subject_id"],
                    sex=given["sex"],
                    birth_date=given["birth_date"],
                    age=given["age"],
                    diagnosis=given["diagnosis"],
                    identity=given.get("identity"),
                    another_than=given["another_than"],
                    status=Patient.Status.SCREENING,
                )
    except Refused as refused:
        form.add_problems(refused)
        see_known_persons(refused=refused, by=request.user)
        return _page(request, form, status=422)
    return redirect("patients:screen", patient.subject_id)


def _page(request: HttpRequest, form: RegistrationForm, status: int = 200) -> HttpResponse:
    only_site = next(iter(form.sites.values())) if len(form.sites) == 1 else None
    context = {
        "place": "patients",
        "form": form,
        "many_sites": len(form.sites) > 1,
        "next_code": actions.next_subject_id(only_site) if only_site else "",
        "site": only_site,
        "site_lock": locks.site_lock(only_site) if only_site else None,
        "key": idempotency.key_of(request),
        "key_field": idempotency.FIELD,
    }
    return render(request, "patients/register.html", context, status=status)
