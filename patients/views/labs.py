"""What was measured: analytes by visits."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from patients import actions, lab_matrix, query_marks, selectors
from patients.forms import VoidForm
from trial import protocol
from trial.refusals import Refused
from trial.roles import Permission, requires


@requires(Permission.VIEW_CLINICAL)
@require_safe
def labs(request: HttpRequest, subject_id: str) -> HttpResponse:
    """Show every value of a subject, what is out of range, and the change since week 0."""
    patient = selectors.patient_or_404(request.user, subject_id)
    context = {
        "place": "patients",
        "tab": "labs",
        "patient": patient,
        "header": selectors.header(patient, request.user),
        "matrix": lab_matrix.matrix(patient),
        "may_enter": request.user.may(Permission.ENTER_CLINICAL_DATA),
        "may_raise": request.user.may(Permission.RAISE_QUERIES),
        "marks": query_marks.open_queries(patient),
    }
    return render(request, "patients/labs.html", context)


@requires(Permission.ENTER_CLINICAL_DATA)
def void_visit(request: HttpRequest, subject_id: str, visit_id: int) -> HttpResponse:
    """Strike a visit that did not take place or belongs to somebody else."""
    visit = selectors.any_visit_or_404(request.user, subject_id, visit_id)
    form = VoidForm(request.POST if request.method == "POST" else None)
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                actions.void_visit(visit=visit, by=request.user, reason=form.reason_given())
            except Refused as refused:
                form.add_problems(refused)
            else:
                return redirect("patients:labs", subject_id)
    context = {
        "place": "patients",
        "tab": "labs",
        "patient": visit.patient,
        "header": selectors.header(visit.patient, request.user),
        "visit": visit,
        "results": len(selectors.results_of(visit)),
        "form": form,
        "change_reasons": list(enumerate(protocol.CHANGE_REASONS, start=1)),
    }
    return render(request, "patients/void_visit.html", context, status=status)
