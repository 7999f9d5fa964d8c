"""Correcting what a subject was registered with."""

from __future__ import annotations

from dataclasses import asdict

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from patients import screenings, selectors
from patients.actions import rows
from patients.actions.details import correct_details
from patients.forms.details import DetailsForm, texts_of
from patients.forms.fields import with_theirs
from patients.models import Patient
from trial import idempotency, protocol
from trial.refusals import Conflict, Refused
from trial.roles import Permission, requires


@requires(Permission.REGISTER_SUBJECTS)
def details(request: HttpRequest, subject_id: str) -> HttpResponse:
    """Correct date of birth or age, sex, diagnosis, day of recruitment and planned course of a subject."""
    patient = selectors.patient_or_404(request.user, subject_id)
    life = selectors.life(patient)
    form = DetailsForm(request.POST if request.method == "POST" else None, patient=patient, life=life)
    if request.method != "POST":
        return _page(request, patient, form)
    if not form.is_valid():
        return _page(request, patient, form, status=422)
    try:
        with idempotency.once(request, by=request.user) as attempt:
            if not attempt.is_repeated and not form.asks:
                correct_details(
                    patient=patient,
                    details=form.details(),
                    by=request.user,
                    reason=form.reason_given(),
                    version=form.cleaned_data["version"],
                )
    except Refused as refused:
        form.add_problems(refused)
        return _page(request, patient, form, status=422)
    except Conflict as conflict:
        untouched = rows.untouched(patient, asdict(form.details()), form.cleaned_data["version"])
        merged = with_theirs(request.POST, conflict, untouched, texts_of(patient), {})
        form = DetailsForm(merged, patient=patient, life=life)
        return _page(request, patient, form, status=409, conflict=conflict)
    if form.asks and not attempt.is_repeated:
        return _page(request, patient, form, status=422)
    messages.success(request, _("Details saved"))
    patient.refresh_from_db()
    against = screenings.contradicted(patient)
    if against:
        messages.warning(
            request,
            _("The newest screening now says something else than the data: %(criteria)s. Look at it again.")
            % {"criteria": ", ".join(against)},
        )
        return redirect("patients:eligibility", subject_id)
    return redirect("patients:details", subject_id)


def _page(
    request: HttpRequest,
    patient: Patient,
    form: DetailsForm,
    status: int = 200,
    conflict: Conflict | None = None,
) -> HttpResponse:
    context = {
        "place": "patients",
        "patient": patient,
        "header": selectors.header(patient, request.user),
        "form": form,
        "conflict": conflict,
        "labels": {name: field.label for name, field in form.fields.items()},
        "change_reasons": list(enumerate(protocol.CHANGE_REASONS, start=1)),
        "key": idempotency.key_of(request),
        "key_field": idempotency.FIELD,
    }
    return render(request, "patients/details.html", context, status=status)
