"""Marking a visit as not done from a list, without leaving it, and taking that back from the notice."""

from __future__ import annotations

from django.http import Http404, HttpRequest, JsonResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from patients import missed, selectors
from patients.actions import visits as actions
from trial import idempotency, protocol
from trial.models import User
from trial.refusals import Conflict, Refused
from trial.roles import Permission, requires
from trial.undo import undo

_SLIP = protocol.CHANGE_REASONS[0].label


@requires(Permission.ENTER_CLINICAL_DATA)
@require_POST
def mark_missed(request: HttpRequest, subject_id: str, week: int) -> JsonResponse:
    """Record that a visit did not take place; the answer says what was done and how to take it back."""
    patient = selectors.patient_or_404(request.user, subject_id)
    if week not in protocol.VISIT_AT:
        raise Http404
    visit = selectors.visit_of_week(patient, week)
    if visit is not None and visit.not_done and not idempotency.was_saved(request, by=request.user):
        # a list does not offer it: somebody said it meanwhile, and another cause is a correction
        return refused(_("Somebody else recorded this visit as not done meanwhile."), status=409)
    try:
        with idempotency.once(request, by=request.user) as attempt:
            if not attempt.is_repeated:
                actions.mark_not_done(
                    by=request.user,
                    patient=patient,
                    week=week,
                    why=request.POST.get("why", ""),
                    note=request.POST.get("note", ""),
                )
    except Refused as problem:
        return refused(" ".join(each.in_words for each in problem.problems))
    except Conflict:
        return refused(_("Somebody else saved this visit meanwhile. Look at it again."), status=409)
    said = _("%(subject)s: visit of week %(week)s recorded as not done.") % {
        "subject": patient.subject_id,
        "week": week,
    }
    return recorded(request.user, attempt, said)


def recorded(by: User, attempt: idempotency.Attempt, said: str) -> JsonResponse:
    """Answer what was done, with the address and the revision that take it back."""
    written = missed.written(by, attempt.request_id)
    way_back = {"url": reverse("patients:take_back"), "revision": written.pk} if written else None
    return JsonResponse({"said": said, "undo": way_back})


def refused(said: str, *, status: int = 422) -> JsonResponse:
    """Answer why nothing was recorded."""
    return JsonResponse({"said": said}, status=status)


@requires(Permission.ENTER_CLINICAL_DATA)
@require_POST
def take_back(request: HttpRequest) -> JsonResponse:
    """Take back what this person marked as not done a moment ago."""
    revision = missed.own_mark(request.user, request.POST.get("revision", ""))
    if revision is None:
        raise Http404
    try:
        with idempotency.once(request, by=request.user) as attempt:
            if not attempt.is_repeated:
                undo(revision=revision, by=request.user, reason=_SLIP)
    except Refused as problem:
        return refused(" ".join(each.in_words for each in problem.problems), status=409)
    return JsonResponse({"said": _("Taken back. It waits again.")})
