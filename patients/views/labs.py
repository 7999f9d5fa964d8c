"""What was measured: analytes by visits."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from patients import actions, lab_matrix, query_marks, selectors, upstairs
from patients.views import voiding
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
        # read before the scores: the page may be newer than it says, never older
        "results_revision": upstairs.results_revision(),
        "matrix": lab_matrix.matrix(patient),
        "may_enter": request.user.may(Permission.ENTER_CLINICAL_DATA),
        "may_raise": request.user.may(Permission.RAISE_QUERIES),
        "marks": query_marks.open_queries(patient),
    }
    return render(request, "patients/labs.html", context)


@requires(Permission.ENTER_CLINICAL_DATA)
def void_visit(request: HttpRequest, subject_id: str, visit_id: int) -> HttpResponse:
    """Strike a visit that did not take place or belongs to somebody else."""
    if voiding.was_struck(request):
        return redirect("patients:labs", subject_id)
    visit = selectors.any_visit_or_404(request.user, subject_id, visit_id)
    form = voiding.form_of(request)
    if voiding.strikes(
        request,
        form,
        lambda why, seen: actions.void_visit(visit=visit, by=request.user, reason=why, version=seen),
    ):
        return redirect("patients:labs", subject_id)
    context = {
        "place": "patients",
        "tab": "labs",
        "patient": visit.patient,
        "header": selectors.header(visit.patient, request.user),
        "visit": visit,
        "results": len(selectors.results_of(visit)),
    }
    context |= voiding.about(request, form, visit.version)
    return render(request, "patients/void_visit.html", context, status=422 if form.is_bound else 200)
