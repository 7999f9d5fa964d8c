"""A subject's course: the tab, planning an infusion, the decision to prolong, the lots it got."""

from __future__ import annotations

import csv
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from infusions import actions, planning, selectors
from infusions.actions.deciding import may_decide
from infusions.course import course as course_of
from infusions.forms import CallOffForm, DecisionForm, PlanForm
from infusions.lot_pages import shown_clashes, traced_rows
from infusions.models import PlannedInfusion
from infusions.views.shared import attempt, repeated
from patients import query_marks, worklist
from patients import selectors as patient_selectors
from patients.models import Patient
from trial import idempotency, protocol
from trial.clock import today_at
from trial.refusals import Conflict
from trial.roles import Permission, requires


@requires(Permission.VIEW_CLINICAL)
@require_safe
def course(request: HttpRequest, subject_id: str) -> HttpResponse:
    """Show a subject's course: timeline, table, vital signs, lots, the decision."""
    patient = patient_selectors.patient_or_404(request.user, subject_id)
    record = worklist.record(patient)
    return render(
        request,
        "infusions/course.html",
        _page(request, patient, record)
        | {
            "course": course_of(patient, record),
            "may_record": request.user.may(Permission.RECORD_INFUSIONS),
            "may_raise": request.user.may(Permission.RAISE_QUERIES),
            "marks": query_marks.open_by_infusion(patient),
            "may_decide": may_decide(request.user),
        },
    )


@requires(Permission.VIEW_CLINICAL)
@require_safe
def patient_lots(request: HttpRequest, subject_id: str) -> HttpResponse:
    """Download which lots a subject got, as CSV."""
    patient = patient_selectors.patient_or_404(request.user, subject_id)
    answer = HttpResponse(content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{patient.subject_id}_lots.csv"'
    # Excel reads UTF-8 only behind this mark
    answer.write("\ufeff")
    csv.writer(answer).writerows(traced_rows(selectors.valid_infusions(patient)))
    return answer


@requires(Permission.RECORD_INFUSIONS)
def plan(request: HttpRequest, subject_id: str, number: int) -> HttpResponse:
    """Plan an infusion, call it off, or take the plan back."""
    if not 1 <= number <= protocol.MOST_INFUSIONS:
        raise Http404
    patient = patient_selectors.patient_or_404(request.user, subject_id)
    stored = next((p for p in selectors.plans(patient) if p.number == number), None)
    intent = request.POST.get("intent", "")
    form = _plan_form(request, patient, number, stored, bound=intent == "plan")
    off = CallOffForm(request.POST if intent == "call_off" else None, plan=stored)
    done, conflict = "", None
    with attempt(request) as tried:
        if tried.earlier:
            return repeated(request, tried.earlier, redirect("infusions:course", patient.subject_id))
        try:
            done = _planned(request, patient, number, stored, form, off, intent)
        except Conflict as clash:
            conflict = clash
            for each in (form, off):
                if each.is_bound:
                    each.accept_version(clash.version)
    if done:
        messages.success(request, done)
        return redirect("infusions:course", patient.subject_id)
    context = _page(request, patient) | {
        "form": form,
        "off": off,
        "number": number,
        "plan": stored,
        "conflict": conflict,
        "clashes": shown_clashes(conflict, off if off.is_bound else form),
        "due_on": _due_on(patient, number),
        "submission_key": idempotency.key_of(request),
    }
    status = 409 if conflict else 422 if form.errors or off.errors else 200
    return render(request, "infusions/plan.html", context, status=status)


def _planned(
    request: HttpRequest,
    patient: Patient,
    number: int,
    stored: PlannedInfusion | None,
    form: PlanForm,
    off: CallOffForm,
    intent: str,
) -> str:
    """Do what was asked; returns what was done, empty when nothing was."""
    if intent == "withdraw" and stored is not None:
        actions.cancel_plan(plan=stored, by=request.user, version=_version(request))
        return _("The plan of infusion %(number)s was withdrawn.") % {"number": number}
    if intent == "plan" and form.is_valid():
        try:
            made = actions.plan_infusion(patient=patient, number=number, by=request.user, **form.cleaned_data)
        except ValidationError as refusal:
            form.refuse(refusal)
            return ""
        wish = selectors.wish(patient, number, form.cleaned_data["planned_on"], made.lot)
        said = [
            _("Infusion %(number)s is planned for %(on)s.") % {"number": number, "on": made.planned_on},
            *(each.said(_) for each in planning.warnings(wish)),
        ]
        return " ".join(said)
    if intent == "call_off" and off.is_valid():
        try:
            actions.call_off(patient=patient, number=number, by=request.user, **off.cleaned_data)
        except ValidationError as refusal:
            off.refuse(refusal)
            return ""
        return _("Infusion %(number)s is recorded as not given.") % {"number": number}
    return ""


def _version(request: HttpRequest) -> int:
    text = request.POST.get("version", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _plan_form(
    request: HttpRequest, patient: Patient, number: int, stored: PlannedInfusion | None, *, bound: bool
) -> PlanForm:
    today = today_at(patient.site)
    lots = selectors.lots_to_plan(request.user, today)
    # a lot of the list may have been recalled since: then the rules say so
    if bound or (stored is not None and stored.lot_id):
        lots = selectors.with_bags(selectors.lots_visible_to(request.user)).order_by("expires_on", "code")
    due = _due_on(patient, number)
    return PlanForm(
        request.POST if bound else None,
        plan=stored,
        due_on=max(due, today) if due else today,
        lots=lots,
    )


def _due_on(patient: Patient, number: int) -> Any:
    return protocol.infusion_due(number, patient.recruited_on) if patient.recruited_on else None


@requires(Permission.VIEW_CLINICAL)
def decide(request: HttpRequest, subject_id: str) -> HttpResponse:
    """Record the decision to prolong the course or to stop; others read it."""
    patient = patient_selectors.patient_or_404(request.user, subject_id)
    may = may_decide(request.user)
    if request.method == "POST" and not may:
        raise PermissionDenied
    stored = selectors.decision_of(patient)
    own_name = request.user.shown_name if request.user.may(Permission.DECIDE_COURSE) else ""
    form = DecisionForm(
        request.POST or None, decision=stored, today=today_at(patient.site), own_name=own_name
    )
    made, conflict = None, None
    with attempt(request) as tried:
        if tried.earlier:
            return repeated(request, tried.earlier, redirect("infusions:course", patient.subject_id))
        if form.is_valid():
            names = ("decision", "decided_on", "decided_by", "grounds", "version")
            try:
                made = actions.decide_course(
                    patient=patient,
                    by=request.user,
                    reason=form.why(),
                    **{name: form.cleaned_data[name] for name in names},
                )
            except ValidationError as refusal:
                form.refuse(refusal)
            except Conflict as clash:
                conflict = clash
                form.accept_version(clash.version)
    if made is not None:
        messages.success(
            request, _("Decision recorded: %(what)s.") % {"what": _(made.get_decision_display())}
        )
        return redirect("infusions:course", patient.subject_id)
    context = _page(request, patient) | {
        "form": form,
        "decision": stored,
        "may_decide": may,
        "conflict": conflict,
        "clashes": shown_clashes(conflict, form),
        "given": len(selectors.valid_infusions(patient)),
        "submission_key": idempotency.key_of(request),
    }
    status = 409 if conflict else 422 if form.errors else 200
    return render(request, "infusions/decide.html", context, status=status)


def _page(request: HttpRequest, patient: Patient, record: worklist.Record | None = None) -> dict[str, Any]:
    return {
        "place": "patients",
        "tab": "course",
        "patient": patient,
        "header": patient_selectors.header(patient, request.user, record),
    }
