"""Answering the criteria of a screening, with the verdict while one answers."""

from __future__ import annotations

from contextlib import suppress
from datetime import date
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from patients import actions, eligibility, selectors
from patients.forms import ScreeningForm
from patients.models import Patient, Screening
from trial import idempotency, protocol, typed
from trial.protocol import CriterionKind, Diagnosis, Sex, VerdictState
from trial.refusals import Conflict, Refused
from trial.roles import Permission, requires


@requires(Permission.VIEW_CLINICAL)
@require_safe
def eligibility_of(request: HttpRequest, subject_id: str) -> HttpResponse:
    """List the screenings of a subject with every answer and the verdict."""
    patient = selectors.patient_or_404(request.user, subject_id)
    found = [_as_shown(patient, screening) for screening in selectors.screenings(patient)]
    context = {
        "place": "patients",
        "tab": "eligibility",
        "patient": patient,
        "header": selectors.header(patient, request.user),
        "screenings": found,
    }
    return render(request, "patients/eligibility.html", context)


def _as_shown(patient: Patient, screening: Screening) -> dict[str, Any]:
    form = _form(None, patient, screening, screening.screened_on)
    return {
        "screening": screening,
        "questions": [question for asked in form.questions().values() for question in asked],
        "verdict": form.verdict(),
    }


@requires(Permission.ENTER_CLINICAL_DATA)
def screen(request: HttpRequest, subject_id: str) -> HttpResponse:
    """Answer the criteria; ``?on=`` opens the screening of a day, otherwise the pending one."""
    patient = selectors.patient_or_404(request.user, subject_id)
    screening = _screening(request, patient)
    form = _posted_form(request, patient, screening)
    if request.method != "POST":
        return _page(request, patient, form)
    if not form.is_valid():
        return _page(request, patient, form, status=422)
    try:
        with idempotency.once(request, by=request.user) as attempt:
            if not attempt.is_repeated:
                actions.record_screening(
                    patient=patient,
                    screened_on=form.cleaned_data["screened_on"],
                    answers=form.answers(),
                    by=request.user,
                    reason=form.reason_given(),
                    version=form.cleaned_data["version"],
                )
    except Refused as refused:
        form.add_problems(refused)
        return _page(request, patient, form, status=422)
    except Conflict as conflict:
        return _page(request, patient, form, status=409, conflict=conflict)
    messages.success(
        request, _("Screening saved: %(verdict)s.") % {"verdict": _verdict_label(form.verdict())}
    )
    return redirect("patients:eligibility", patient.subject_id)


@requires(Permission.ENTER_CLINICAL_DATA)
@require_POST
def verdict(request: HttpRequest, subject_id: str) -> HttpResponse:
    """Judge what is answered so far; nothing is saved."""
    patient = selectors.patient_or_404(request.user, subject_id)
    form = _posted_form(request, patient, None)
    form.is_valid()
    return render(request, "patients/_verdict.html", _verdict_context(form) | {"is_part": True})


def _verdict_label(found: protocol.Verdict) -> str:
    return _(protocol.VERDICT_LABELS[VerdictState(found.state)])


def _screening(request: HttpRequest, patient: Patient) -> Screening | None:
    """Return the screening that is meant: of the day that is sent or in the address, or a pending last one."""
    asked = request.POST.get("screened_on", "") or request.GET.get("on", "")
    if asked:
        try:
            day = typed.read_date(asked, today=selectors.today_at(patient.site))
        except typed.Unreadable:
            return None
        return selectors.screening_on(patient, day)
    newest = next(iter(selectors.screenings(patient)), None)
    return newest if newest is not None and newest.verdict == VerdictState.PENDING else None


def _posted_form(request: HttpRequest, patient: Patient, screening: Screening | None) -> ScreeningForm:
    """Build the form for the day of screening that was sent, or the one that is shown."""
    today = selectors.today_at(patient.site)
    day = screening.screened_on if screening else today
    data = None
    if request.method == "POST":
        data = request.POST
        # the form says what cannot be read; the findings stay those of the day it was opened for
        with suppress(typed.Unreadable):
            day = typed.read_date(request.POST.get("screened_on", ""), today=today)
    return _form(data, patient, screening, day)


def _form(data: Any, patient: Patient, screening: Screening | None, day: date) -> ScreeningForm:
    subject = eligibility.Subject(
        screened_on=day,
        age=patient.age_on(day),
        sex=Sex(patient.sex),
        diagnosis=Diagnosis(patient.diagnosis),
        labs=selectors.labs_until(patient, day),
    )
    return ScreeningForm(data, life=selectors.life(patient), subject=subject, screening=screening)


def _verdict_context(form: ScreeningForm) -> dict[str, Any]:
    found = form.verdict()
    questions = form.questions()
    return {
        "verdict": found,
        "verdict_label": _verdict_label(found),
        "questions": [question for asked in questions.values() for question in asked],
        "answered": len(protocol.CRITERIA) - len(found.open),
        "all": len(protocol.CRITERIA),
    }


def _page(
    request: HttpRequest,
    patient: Patient,
    form: ScreeningForm,
    status: int = 200,
    conflict: Conflict | None = None,
) -> HttpResponse:
    questions = form.questions()
    context = _verdict_context(form) | {
        "place": "patients",
        "tab": "eligibility",
        "patient": patient,
        "header": selectors.header(patient, request.user),
        "form": form,
        "sections": [
            (_("Inclusion"), _("every one yes"), questions[CriterionKind.INCLUSION]),
            (_("Exclusion"), _("every one no"), questions[CriterionKind.EXCLUSION]),
        ],
        "answers": [(answer.value, protocol.ANSWER_LABELS[answer]) for answer in protocol.Answer],
        "change_reasons": list(enumerate(protocol.CHANGE_REASONS, start=1)),
        "verdict_url": reverse("patients:verdict", args=[patient.subject_id]),
        "conflict": conflict,
        "version": conflict.version if conflict else form.shown("version"),
        "key": idempotency.key_of(request),
        "key_field": idempotency.FIELD,
    }
    return render(request, "patients/screen.html", context, status=status)
