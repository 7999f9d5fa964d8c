"""Grades of a subject's results: proposed by the criteria, confirmed by a person."""

from __future__ import annotations

from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from patients import ctcae, grading, locks, selectors
from patients.actions.grades import confirm_grade
from patients.forms.grade import GradeForm
from patients.grading import Proposal, State
from patients.models import Patient
from trial import idempotency
from trial.refusals import Conflict, Refused
from trial.roles import Permission, requires


@requires(Permission.VIEW_CLINICAL)
@require_safe
def grades(request: HttpRequest, subject_id: str) -> HttpResponse:
    """List the graded results after the first infusion; who may confirm does it from the keyboard."""
    return _page(request, selectors.patient_or_404(request.user, subject_id))


@requires(Permission.CONFIRM_GRADES)
def grade(request: HttpRequest, subject_id: str, result_id: int) -> HttpResponse:
    """Confirm the grade of one result, or give it another with a reason."""
    result = grading.result_or_404(request.user, subject_id, result_id)
    proposal = grading.proposal_of(result)
    if proposal is None:
        raise Http404
    form = GradeForm(
        request.POST if request.method == "POST" else None,
        initial={
            "grade": request.GET.get("grade") or (proposal.confirmed or proposal.grade).grade,
            "version": result.version,
        },
    )
    status, changed = 200, False
    if form.is_bound:
        status = 422
        if form.is_valid():
            try:
                with idempotency.once(request, by=request.user) as attempt:
                    if not attempt.is_repeated:
                        confirm_grade(
                            result=result,
                            grade=form.cleaned_data["grade"],
                            by=request.user,
                            reason=form.cleaned_data["reason"],
                            version=form.cleaned_data["version"],
                        )
                return redirect("patients:grades", subject_id)
            except Refused as refused:
                form.add_problems(refused)
            except Conflict:
                status, changed = 409, True
    return _page(request, result.patient, form=form, chosen=proposal, changed=changed, status=status)


def _page(
    request: HttpRequest,
    patient: Patient,
    *,
    form: GradeForm | None = None,
    chosen: Proposal | None = None,
    changed: bool = False,
    status: int = 200,
) -> HttpResponse:
    found = grading.proposals(patient)
    rows = [(one, _event_url(patient, one)) for one in found]
    is_open = not locks.rule_of(patient)
    context = {
        "place": "patients",
        "tab": "labs",
        "patient": patient,
        "header": selectors.header(patient, request.user),
        "waiting": [row for row in rows if row[0].state is not State.CONFIRMED],
        "confirmed": [row for row in rows if row[0].state is State.CONFIRMED],
        "ctcae_version": ctcae.VERSION,
        "form": form,
        "chosen": chosen,
        "chosen_grade": form.shown("grade") if form is not None else "",
        "changed": changed,
        # the head of the page says why nothing is offered
        "may_confirm": is_open and request.user.may(Permission.CONFIRM_GRADES),
        "may_enter": is_open and request.user.may(Permission.ENTER_CLINICAL_DATA),
        "key": idempotency.key_of(request),
        "key_field": idempotency.FIELD,
    }
    return render(request, "patients/grades.html", context, status=status)


def _event_url(patient: Patient, one: Proposal) -> str:
    """Return the form of an adverse event with what the result says filled in."""
    grade = one.proposed if one.confirmed is None else one.confirmed.grade
    asked = {"term": one.term, "grade": grade, "result": one.result.pk}
    return f"{reverse('patients:new_event', args=[patient.subject_id])}?{urlencode(asked)}"
