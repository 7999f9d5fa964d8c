"""What happened to a subject: death, transplant, withdrawal, loss, completion."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from patients import actions, selectors
from patients.forms import OutcomeForm
from patients.models import Outcome, Patient
from patients.views import voiding
from trial import address, idempotency, protocol
from trial.refusals import Conflict, Refused
from trial.roles import Permission, allowed, requires


@requires(Permission.VIEW_CLINICAL)
def outcomes(request: HttpRequest, subject_id: str) -> HttpResponseBase:
    """List the outcomes of a subject; who enters data records one, or corrects that of ``?kind=``."""
    patient = selectors.patient_or_404(request.user, subject_id)
    found = selectors.outcomes(patient)
    may_enter = allowed(request.user, Permission.ENTER_CLINICAL_DATA)
    if request.method != "POST":
        kind = address.one_of(request.GET, "kind", list(protocol.OutcomeKind))
        chosen = next((o for o in found if o.kind == kind), None) if may_enter else None
        form = OutcomeForm(life=selectors.life(patient), outcome=chosen)
        return _page(request, patient, found, form)
    return record(request, subject_id)


@requires(Permission.ENTER_CLINICAL_DATA)
@require_POST
def record(request: HttpRequest, subject_id: str) -> HttpResponse:
    """Record an outcome, or correct the one of its kind."""
    patient = selectors.patient_or_404(request.user, subject_id)
    found = selectors.outcomes(patient)
    chosen = next((o for o in found if o.kind == request.POST.get("kind")), None)
    form = OutcomeForm(request.POST, life=selectors.life(patient), outcome=chosen)
    if not form.is_valid():
        return _page(request, patient, found, form, status=422)
    try:
        with idempotency.once(request, by=request.user) as attempt:
            if not attempt.is_repeated:
                actions.record_outcome(
                    patient=patient,
                    kind=form.cleaned_data["kind"],
                    happened_on=form.cleaned_data["happened_on"],
                    note=form.cleaned_data["what"],
                    by=request.user,
                    reason=form.reason_given(),
                    version=form.cleaned_data["version"],
                )
    except Refused as refused:
        form.add_problems(refused)
        return _page(request, patient, found, form, status=422)
    except Conflict as conflict:
        return _page(request, patient, found, form, status=409, conflict=conflict)
    messages.success(request, _("Outcome recorded"))
    return redirect("patients:outcomes", subject_id)


@requires(Permission.ENTER_CLINICAL_DATA)
def void(request: HttpRequest, subject_id: str, outcome_id: int) -> HttpResponse:
    """Strike an outcome that did not happen."""
    if voiding.was_struck(request):
        return redirect("patients:outcomes", subject_id)
    outcome = selectors.outcome_or_404(request.user, subject_id, outcome_id)
    form = voiding.form_of(request)
    if voiding.strikes(
        request,
        form,
        lambda why, seen: actions.void_outcome(outcome=outcome, by=request.user, reason=why, version=seen),
    ):
        return redirect("patients:outcomes", subject_id)
    context = {
        "place": "patients",
        "tab": "events",
        "patient": outcome.patient,
        "header": selectors.header(outcome.patient, request.user),
        "outcome": outcome,
    }
    context |= voiding.about(request, form, outcome.version)
    return render(request, "patients/void_outcome.html", context, status=422 if form.is_bound else 200)


def _page(
    request: HttpRequest,
    patient: Patient,
    found: list[Outcome],
    form: OutcomeForm,
    status: int = 200,
    conflict: Conflict | None = None,
) -> HttpResponse:
    context = {
        "place": "patients",
        "tab": "events",
        "patient": patient,
        "header": selectors.header(patient, request.user),
        "outcomes": found,
        "form": form,
        "may_enter": allowed(request.user, Permission.ENTER_CLINICAL_DATA),
        "may_raise": allowed(request.user, Permission.RAISE_QUERIES),
        "change_reasons": list(enumerate(protocol.CHANGE_REASONS, start=1)),
        "conflict": conflict,
        "version": conflict.version if conflict else form.shown("version"),
        "key": idempotency.key_of(request),
        "key_field": idempotency.FIELD,
    }
    return render(request, "patients/outcomes.html", context, status=status)
