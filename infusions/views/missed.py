"""Recording from a list that an infusion was not given, without leaving it."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, JsonResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from infusions import actions, selectors
from patients import selectors as patient_selectors
from patients.views.missed import recorded, refused
from trial import idempotency, protocol
from trial.refusals import Conflict
from trial.roles import Permission, requires


@requires(Permission.RECORD_INFUSIONS)
@require_POST
def mark_missed(request: HttpRequest, subject_id: str, number: int) -> JsonResponse:
    """Call an infusion off; the answer says what was done and how to take it back."""
    patient = patient_selectors.patient_or_404(request.user, subject_id)
    if not 1 <= number <= protocol.MOST_INFUSIONS:
        raise Http404
    plan = next((plan for plan in selectors.plans(patient) if plan.number == number), None)
    if plan is not None and plan.not_done and not idempotency.was_saved(request, by=request.user):
        return refused(_("Somebody else recorded this infusion as not given meanwhile."), status=409)
    try:
        with idempotency.once(request, by=request.user) as attempt:
            if not attempt.is_repeated:
                actions.call_off(
                    patient=patient,
                    number=number,
                    because=request.POST.get("why", ""),
                    note=request.POST.get("note", ""),
                    by=request.user,
                    version=plan.version if plan else 0,
                )
    except Conflict:
        return refused(_("Somebody else changed the plan meanwhile. Look at it again."), status=409)
    except ValidationError as refusal:
        return refused(" ".join(str(each) for each in refusal.messages))
    said = _("%(subject)s: infusion %(number)s recorded as not given.") % {
        "subject": patient.subject_id,
        "number": number,
    }
    return recorded(request.user, attempt, said)
