"""Pages of infusions: the place, a subject's course, giving, correcting, striking, lots."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from infusions import actions, dosing, pages, particulars, selectors
from infusions.course import course as course_of
from infusions.forms import CorrectionForm, InfusionForm, LotForm, VoidForm
from infusions.models import Infusion
from patients import selectors as patient_selectors
from patients.models import Patient
from trial import idempotency, protocol
from trial.models import Revision
from trial.refusals import Conflict
from trial.roles import Permission, requires
from trial.templatetags.cordline import count


@requires(Permission.VIEW_CLINICAL)
@require_safe
def place(request: HttpRequest) -> HttpResponse:
    """Show what is due, what was given lately and which lots there are."""
    return render(request, "infusions/list.html", pages.place(request.user, request.GET))


@requires(Permission.VIEW_CLINICAL)
@require_safe
def course(request: HttpRequest, subject_id: str) -> HttpResponse:
    """Show a subject's course: timeline and table."""
    patient = patient_selectors.patient_or_404(request.user, subject_id)
    return render(
        request,
        "infusions/course.html",
        {
            "place": "patients",
            "tab": "course",
            "patient": patient,
            "header": patient_selectors.header(patient, request.user),
            "course": course_of(patient),
            "may_record": request.user.may(Permission.RECORD_INFUSIONS),
        },
    )


@requires(Permission.RECORD_INFUSIONS)
def give(request: HttpRequest, subject_id: str, number: int) -> HttpResponse:
    """Record an infusion that was given; one that is recorded already opens for correction."""
    patient = _patient(request, subject_id, number)
    if "version" in request.POST:
        return _correct(request, patient, number)
    with _attempt(request) as attempt:
        if attempt.earlier:
            return _repeated(request, attempt.earlier, redirect("infusions:course", patient.subject_id))
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
                    **{name: getattr(given, name) for name in particulars.Particulars.__slots__},
                )
            except ValidationError as refusal:
                form.refuse(refusal)
    if recorded is None:
        return _infusion_page(request, form, patient, number)
    messages.success(
        request,
        _said(
            _("Infusion %(number)s recorded") % {"number": number}, recorded.written.number, recorded.group
        ),
    )
    return redirect("infusions:course", patient.subject_id)


def _correct(request: HttpRequest, patient: Patient, number: int) -> HttpResponse:
    with _attempt(request) as attempt:
        if attempt.earlier:
            return _repeated(request, attempt.earlier, redirect("infusions:course", patient.subject_id))
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
            _said(
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
    return render(request, "infusions/_check.html", {"assessment": form.assessment})


@requires(Permission.RECORD_INFUSIONS)
def void(request: HttpRequest, subject_id: str, number: int) -> HttpResponse:
    """Strike an infusion that did not take place."""
    patient = _patient(request, subject_id, number)
    with _attempt(request) as attempt:
        if attempt.earlier:
            return _repeated(request, attempt.earlier, redirect("infusions:course", patient.subject_id))
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
        _said(_("Infusion %(number)s voided") % {"number": number}, voided.written.number, voided.group),
    )
    return redirect("infusions:course", patient.subject_id)


@requires(Permission.RECORD_INFUSIONS)
def new_lot(request: HttpRequest) -> HttpResponse:
    """Register a lot."""
    with _attempt(request) as attempt:
        if attempt.earlier:
            return _repeated(request, attempt.earlier, redirect("infusions:list"))
        form = LotForm(request.POST or None)
        lot = None
        if form.is_valid():
            try:
                lot = actions.register_lot(by=request.user, **form.cleaned_data)
            except ValidationError as refusal:
                form.refuse(refusal)
    if lot is None:
        context = {"place": "infusions", "form": form, "submission_key": idempotency.key_of(request)}
        return render(request, "infusions/lot.html", context, status=422 if form.errors else 200)
    messages.success(request, _("Lot %(lot)s registered.") % {"lot": lot.code})
    return redirect("infusions:list")


def _attempt(request: HttpRequest) -> AbstractContextManager[idempotency.Attempt]:
    if request.method == "POST":
        return idempotency.once(request, by=request.user, source=actions.SOURCE)
    return nullcontext(idempotency.Attempt(""))


def _repeated(request: HttpRequest, earlier: Revision, answer: HttpResponse) -> HttpResponse:
    """Answer a form that was sent twice as the first time."""
    messages.success(request, _("Saved already, revision %(number)s.") % {"number": count(earlier.number)})
    return answer


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
    return particulars.assess(particulars.Particulars.of(form.infusion), form.around)


def _said(what: str, revision: int | None, group: dosing.GroupChange) -> str:
    """Join what was done, its revision and what it did to the group."""
    parts = [what]
    if revision is not None:
        parts.append(_("revision %(number)s") % {"number": count(revision)})
    sentence = ", ".join(parts)
    if group.happens:
        return _("%(sentence)s; group %(before)s → %(after)s.") % {
            "sentence": sentence,
            "before": group.group_before,
            "after": group.group_after,
        }
    return f"{sentence}."
