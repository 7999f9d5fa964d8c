"""Pages of one infusion: recording, checking while it is typed, correcting, striking."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from infusions import actions, dosing, pages, particulars, selectors
from infusions.forms import CorrectionForm, InfusionForm, VoidForm
from infusions.models import Infusion
from infusions.views.shared import attempt, repeated, said
from patients import selectors as patient_selectors
from patients.models import Patient
from trial import idempotency, protocol
from trial.refusals import Conflict
from trial.roles import Permission, requires


@requires(Permission.RECORD_INFUSIONS)
def give(request: HttpRequest, subject_id: str, number: int) -> HttpResponse:
    """Record an infusion that was given; one that is recorded already opens for correction."""
    patient = _patient(request, subject_id, number)
    if "version" in request.POST:
        return _correct(request, patient, number)
    with attempt(request) as tried:
        if tried.earlier:
            return repeated(request, tried.earlier, redirect("infusions:course", patient.subject_id))
        around = selectors.circumstances(patient, number)
        if request.method != "POST" and any(other.number == number for other in around.others):
            return _correct(request, patient, number)
        form = InfusionForm(request.POST or None, around=around)
        recorded = None
        if form.is_valid():
            given = form.particulars()
            try:
                recorded = actions.give_infusion(
                    patient=patient,
                    number=number,
                    by=request.user,
                    vitals=form.vitals(),
                    **{name: getattr(given, name) for name in particulars.Particulars.__slots__},
                )
            except ValidationError as refusal:
                form.refuse(refusal)
    if recorded is None:
        return _infusion_page(request, form, patient, number)
    messages.success(
        request,
        said(_("Infusion %(number)s recorded") % {"number": number}, recorded.written.number, recorded.group),
    )
    return redirect("infusions:course", patient.subject_id)


def _correct(request: HttpRequest, patient: Patient, number: int) -> HttpResponse:
    with attempt(request) as tried:
        if tried.earlier:
            return repeated(request, tried.earlier, redirect("infusions:course", patient.subject_id))
        infusion = selectors.infusion_or_404(request.user, patient.subject_id, number)
        form = CorrectionForm(
            request.POST or None,
            around=selectors.circumstances(patient, number, correcting=infusion),
            infusion=infusion,
        )
        recorded, conflict = None, None
        if form.is_valid():
            try:
                recorded = actions.correct_infusion(
                    infusion=infusion,
                    version=form.cleaned_data["version"],
                    given=form.particulars(),
                    by=request.user,
                    reason=form.why(),
                    vitals=form.vitals(),
                    vitals_seen=form.seen(),
                )
            except ValidationError as refusal:
                form.refuse(refusal)
            except Conflict as clash:
                conflict = clash
                form.accept_version(clash.version)
    if recorded is None:
        return _infusion_page(request, form, patient, number, infusion=infusion, conflict=conflict)
    if recorded.written.id is None:
        messages.info(
            request, _("Infusion %(number)s is as it was; nothing was written.") % {"number": number}
        )
    else:
        messages.success(
            request,
            said(
                _("Infusion %(number)s corrected") % {"number": number},
                recorded.written.number,
                recorded.group,
            ),
        )
    return redirect("infusions:course", patient.subject_id)


@requires(Permission.RECORD_INFUSIONS)
@require_POST
def check(request: HttpRequest, subject_id: str, number: int) -> HttpResponse:
    """Say what the typed infusion amounts to, without writing anything."""
    patient = _patient(request, subject_id, number)
    infusion = None
    if "version" in request.POST:
        infusion = selectors.infusion_or_404(request.user, subject_id, number)
    around = selectors.circumstances(patient, number, correcting=infusion)
    form = InfusionForm(request.POST, around=around, infusion=infusion, is_typing=True)
    form.is_valid()
    context = {"assessment": form.assessment, "subject_id": patient.subject_id}
    return render(request, "infusions/_check.html", context)


@requires(Permission.RECORD_INFUSIONS)
def void(request: HttpRequest, subject_id: str, number: int) -> HttpResponse:
    """Strike an infusion that did not take place."""
    patient = _patient(request, subject_id, number)
    with attempt(request) as tried:
        if tried.earlier:
            return repeated(request, tried.earlier, redirect("infusions:course", patient.subject_id))
        infusion = selectors.infusion_or_404(request.user, patient.subject_id, number)
        form = VoidForm(request.POST or None, initial={"version": infusion.version})
        voided, conflict = None, False
        if form.is_valid():
            try:
                voided = actions.void_infusion(
                    infusion=infusion,
                    version=form.cleaned_data["version"],
                    by=request.user,
                    reason=form.why(),
                )
            except ValidationError as refusal:
                form.add_error(None, refusal.messages)
            except Conflict:
                conflict = True
                form = VoidForm(initial={"version": infusion.version})
    if voided is None:
        context = {
            "place": "patients",
            "tab": "course",
            "patient": patient,
            "header": patient_selectors.header(patient, request.user),
            "form": form,
            "infusion": infusion,
            "conflict": conflict,
            "consequence": pages.void_consequence(patient, infusion),
            "submission_key": idempotency.key_of(request),
        }
        status = 409 if conflict else 422 if form.errors else 200
        return render(request, "infusions/void.html", context, status=status)
    messages.success(
        request,
        said(_("Infusion %(number)s voided") % {"number": number}, voided.written.number, voided.group),
    )
    return redirect("infusions:course", patient.subject_id)


def _patient(request: HttpRequest, subject_id: str, number: int) -> Patient:
    if not 1 <= number <= protocol.MOST_INFUSIONS:
        raise Http404
    return patient_selectors.patient_or_404(request.user, subject_id)


def _infusion_page(
    request: HttpRequest,
    form: InfusionForm,
    patient: Patient,
    number: int,
    *,
    infusion: Infusion | None = None,
    conflict: Conflict | None = None,
) -> HttpResponse:
    context: dict[str, Any] = {
        "place": "patients",
        "tab": "course",
        "patient": patient,
        "header": patient_selectors.header(patient, request.user),
        "form": form,
        "number": number,
        "infusion": infusion,
        "conflict": conflict,
        "clashes": pages.clashes(conflict, form) if conflict else (),
        "introduction": pages.introduction(form.around),
        "assessment": _assessment(form),
        "draft": f"infusion:{patient.subject_id}:{number}",
        "consequence": particulars.consequence(particulars.group_change(form.around, is_new=True))
        if infusion is None
        else "",
        "cells_per_kg": f"{protocol.DOSE.cells_per_kg / dosing.MILLION:f}",
        "submission_key": idempotency.key_of(request),
    }
    status = 409 if conflict else 422 if form.errors else 200
    return render(request, "infusions/give.html", context, status=status)


def _assessment(form: InfusionForm) -> particulars.Assessment:
    """Return what the form found, or what the stored infusion amounts to while nothing is typed."""
    if form.is_bound or form.infusion is None:
        return form.assessment
    return particulars.assess(
        particulars.Particulars.of(form.infusion), form.around, is_stored=True, vitals=form.stored_vitals
    )
