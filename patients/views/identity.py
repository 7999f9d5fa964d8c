"""Who a subject is, and joining one that was registered twice."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from patients import identities, selectors
from patients.actions import identity as actions
from patients.actions import merge as merging
from patients.forms.identity import IdentityForm, MergeForm
from patients.forms.registration import IDENTITY
from patients.models import IdentityView, Outcome, Patient, Screening, Visit
from trial import idempotency, marks, protocol, trail_words
from trial.refusals import Refused
from trial.roles import Permission, requires

MOST_VIEWS = 50


@requires(Permission.VIEW_IDENTITY)
def identity(request: HttpRequest, subject_id: str) -> HttpResponse:
    """Show who a subject is, and who looked; the look itself is logged. POST corrects it."""
    patient = selectors.patient_or_404(request.user, subject_id)
    if request.method != "POST":
        asked = request.GET.get("for", "")
        purpose = IdentityView.Purpose(asked) if asked in IdentityView.Purpose.values else None
        known = actions.see_identity(
            patient=patient, by=request.user, purpose=purpose or IdentityView.Purpose.CARE
        )
        return _identity_page(request, patient, IdentityForm(identity=known))
    known = identities.stored(request.user, patient)
    form = IdentityForm(request.POST, identity=known)
    if not form.is_valid():
        return _refused_page(request, patient, form)
    try:
        with idempotency.once(request, by=request.user) as attempt:
            if not attempt.is_repeated:
                actions.change_identity(
                    patient=patient,
                    by=request.user,
                    reason=form.reason_given(),
                    **{name: form.cleaned_data[name] for name, _label, _most in IDENTITY},
                )
    except Refused as refused:
        form.add_problems(refused)
        actions.see_known_persons(refused=refused, by=request.user)
        return _refused_page(request, patient, form)
    messages.success(request, _("Saved."))
    return redirect("patients:identity", subject_id)


def _refused_page(request: HttpRequest, patient: Patient, form: IdentityForm) -> HttpResponse:
    """Show the page again with what is wrong: it says who a subject is as much as before, so it is logged."""
    actions.see_identity(patient=patient, by=request.user, purpose=IdentityView.Purpose.CHECK)
    return _identity_page(request, patient, form, status=422)


def _identity_page(
    request: HttpRequest, patient: Patient, form: IdentityForm, status: int = 200
) -> HttpResponse:
    views = identities.views(request.user, subject=patient.subject_id)
    context = {
        "place": "patients",
        "patient": patient,
        "header": selectors.header(patient, request.user),
        "form": form,
        "fields": [form[name] for name, _label, _most in IDENTITY],
        "views": views[:MOST_VIEWS],
        "merged": patient.merged.order_by("subject_id"),
        "change_reasons": list(enumerate(protocol.CHANGE_REASONS, start=1)),
        "key": idempotency.key_of(request),
        "key_field": idempotency.FIELD,
    }
    return render(request, "patients/identity.html", context, status=status)


@requires(Permission.MERGE_SUBJECTS)
def merge(request: HttpRequest, subject_id: str) -> HttpResponse:
    """Join the subject of ``?with=`` into this one: what moves, what collides, and a reason."""
    first = selectors.patient_or_404(request.user, subject_id)
    code = (request.POST.get("with") or request.GET.get("with") or "").strip().upper()
    second = selectors.patients(request.user).filter(subject_id=code).exclude(pk=first.pk).first()
    found = merging.collisions(first, second) if second else []
    form = MergeForm(request.POST if request.method == "POST" and second else None, collisions=found)
    status = 200
    if request.method == "POST":
        status = 422
        if second is not None and form.is_valid():
            try:
                with idempotency.once(request, by=request.user) as attempt:
                    if not attempt.is_repeated:
                        merging.merge(
                            first=first,
                            second=second,
                            choices=form.choices(),
                            by=request.user,
                            reason=form.reason_given(),
                        )
            except Refused as refused:
                form.add_problems(refused)
            else:
                messages.success(
                    request,
                    _("%(second)s is now part of %(first)s.")
                    % {"second": second.subject_id, "first": first.subject_id},
                )
                return redirect("patients:merge", subject_id)
    context = {
        "place": "patients",
        "patient": first,
        "header": selectors.header(first, request.user),
        "second": second,
        "code": code,
        "is_unknown": bool(code) and second is None,
        "form": form,
        "collisions": [_shown(collision, form) for collision in found],
        "given_up": first.merged.order_by("subject_id"),
        "change_reasons": form.reason_keys,
        "key": idempotency.key_of(request),
        "key_field": idempotency.FIELD,
    }
    return render(request, "patients/merge.html", context, status=status)


def _shown(collision: merging.Collision, form: MergeForm) -> dict[str, Any]:
    def words(row: Any) -> str:
        if isinstance(row, Screening):
            answered = row.answers.exclude(answer=protocol.Answer.UNKNOWN).count()
            return _("%(verdict)s, %(answered)s of %(all)s criteria answered") % {
                "verdict": _(row.get_verdict_display()),
                "answered": answered,
                "all": len(protocol.CRITERIA),
            }
        if isinstance(row, Outcome):
            return f"{_(row.get_kind_display())}{marks.comma()}{row.happened_on}"
        if collision.table == trail_words.INFUSIONS:
            return _("infusion %(number)s, %(day)s") % {"number": row.number, "day": row.given_on}
        if not isinstance(row, Visit):
            return str(row)
        results = row.lab_results.order_by("id")
        told = marks.listed(
            f"{_(protocol.label_of(r.analyte))} {r.typed_text or _(r.get_missing_reason_display())}"
            for r in results
        )
        return f"{row.visited_on or '–'}{marks.colon()}{told}"

    return {
        "key": collision.key,
        "what": f"{trail_words.table_label(collision.table)} {collision.place}",
        "first": words(collision.first),
        "second": words(collision.second),
        "chosen": form.shown(collision.key),
        "errors": form.errors.get(collision.key, []) if form.is_bound else [],
    }


@requires(Permission.MERGE_SUBJECTS)
@require_POST
def undo_merge(request: HttpRequest, subject_id: str, code: str) -> HttpResponse:
    """Give a code back that was merged into this subject."""
    first = selectors.patient_or_404(request.user, subject_id)
    second = identities.given_up_for(request.user, first, code)
    if second is None:
        messages.error(
            request,
            _("%(code)s is not part of %(subject)s.") % {"code": code, "subject": first.subject_id},
        )
        return redirect("patients:merge", subject_id)
    try:
        with idempotency.once(request, by=request.user) as attempt:
            if not attempt.is_repeated:
                merging.undo_merge(
                    second=second,
                    by=request.user,
                    reason=request.POST.get("note", "").strip()[:200] or _("merged by mistake"),
                )
    except Refused as refused:
        for problem in refused.problems:
            messages.error(request, problem.in_words)
    else:
        messages.success(request, _("%(code)s stands for itself again.") % {"code": code})
    return redirect("patients:merge", subject_id)


@requires(Permission.VIEW_AUDIT)
@require_safe
def identity_views(request: HttpRequest) -> HttpResponse:
    """List who looked at which subject's identity, newest first."""
    subject, who = request.GET.get("subject", "").strip().upper(), request.GET.get("who", "").strip()
    views = identities.views(request.user, subject=subject, who=who)
    context = {"place": "audit", "views": views[:500], "subject": subject, "who": who}
    return render(request, "patients/identity_views.html", context)
