"""Pages of lots: the list, one lot with its tests, release, custody and recipients."""

from __future__ import annotations

import csv
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from infusions import actions, lot_pages, selectors
from infusions.forms import CustodyForm, LotEditForm, LotForm, ReleaseForm, ReleaseTestsForm
from infusions.models import CellLot
from infusions.views.shared import attempt, repeated
from trial import idempotency
from trial.refusals import Conflict
from trial.roles import Permission, requires


@requires(Permission.VIEW_CLINICAL)
@require_safe
def lots(request: HttpRequest) -> HttpResponse:
    """Show the lots, filtered by the address."""
    return render(request, "infusions/lots.html", lot_pages.lots(request.user, request.GET))


@requires(Permission.RECORD_INFUSIONS)
def new_lot(request: HttpRequest) -> HttpResponse:
    """Register a lot."""
    with attempt(request) as tried:
        if tried.earlier:
            code = request.POST.get("code", "")
            known = selectors.lots_visible_to(request.user).filter(code=code).exists()
            back = redirect("infusions:lot", code) if known else redirect("infusions:lots")
            return repeated(request, tried.earlier, back)
        form = LotForm(request.POST or None)
        form.for_user(request.user)
        made = None
        if form.is_valid():
            try:
                made = actions.register_lot(by=request.user, **form.cleaned_data)
            except ValidationError as refusal:
                form.refuse(refusal)
    if made is None:
        context = {"place": "infusions", "form": form, "submission_key": idempotency.key_of(request)}
        return render(request, "infusions/lot_new.html", context, status=422 if form.errors else 200)
    messages.success(request, _("Lot %(lot)s registered.") % {"lot": made.code})
    return redirect("infusions:lot", made.code)


@requires(Permission.VIEW_CLINICAL)
def lot(request: HttpRequest, lot_code: str) -> HttpResponse:
    """Show one lot: tests, bags, custody, who got it; who may decides about its release here."""
    found = selectors.lot_or_404(request.user, lot_code)
    if request.method == "POST" and not request.user.may(Permission.RELEASE_LOTS):
        raise PermissionDenied
    form = ReleaseForm(request.POST or None, lot=found)
    decided, conflict = None, None
    with attempt(request) as tried:
        if tried.earlier:
            return repeated(request, tried.earlier, redirect("infusions:lot", found.code))
        if form.is_valid():
            try:
                decided = actions.decide_release(lot=found, by=request.user, **form.cleaned_data)
            except ValidationError as refusal:
                form.refuse(refusal)
            except Conflict as clash:
                conflict = clash
                form.accept_version(clash.version)
    if decided is not None:
        messages.success(
            request,
            _("Lot %(lot)s is now %(state)s.")
            % {"lot": found.code, "state": _(decided.get_release_display())},
        )
        return redirect("infusions:lot", found.code)
    return _lot_page(request, found, decision=form, conflict=conflict)


@requires(Permission.RECORD_INFUSIONS)
def release_tests(request: HttpRequest, lot_code: str) -> HttpResponse:
    """Record the release tests of a lot."""
    found = selectors.lot_or_404(request.user, lot_code)
    if not selectors.may_change(request.user, found):
        raise PermissionDenied
    stored = selectors.release_tests([found]).get(found.pk, {})
    form = ReleaseTestsForm(request.POST or None, stored=stored)
    written, conflict = None, None
    with attempt(request) as tried:
        if tried.earlier:
            return repeated(request, tried.earlier, redirect("infusions:lot", found.code))
        if form.is_valid():
            try:
                written = actions.record_release_tests(
                    lot=found, tests=form.results(), by=request.user, reason=form.why()
                )
            except ValidationError as refusal:
                form.refuse(refusal)
            except Conflict as clash:
                conflict = clash
                form.accept_versions(selectors.release_tests([found]).get(found.pk, {}))
    if written is not None:
        messages.success(
            request,
            _("Release tests of lot %(lot)s recorded: %(count)s.")
            % {"lot": found.code, "count": len(written)},
        )
        return redirect("infusions:lot", found.code)
    context = {
        "place": "infusions",
        "lot": found,
        "form": form,
        "rows": list(form.rows()),
        "has_results": bool(stored),
        "conflict": conflict,
        "clashes": lot_pages.shown_clashes(conflict, form),
        "submission_key": idempotency.key_of(request),
    }
    status = 409 if conflict else 422 if form.errors else 200
    return render(request, "infusions/lot_tests.html", context, status=status)


@requires(Permission.RECORD_INFUSIONS)
def edit_lot(request: HttpRequest, lot_code: str) -> HttpResponse:
    """Change what is known of a lot."""
    found = selectors.lot_or_404(request.user, lot_code)
    if not selectors.may_change(request.user, found):
        raise PermissionDenied
    form = LotEditForm(request.POST or None, lot=found)
    form.for_user(request.user)
    saved, conflict = None, None
    with attempt(request) as tried:
        if tried.earlier:
            return repeated(request, tried.earlier, redirect("infusions:lot", found.code))
        if form.is_valid():
            try:
                saved = actions.edit_lot(
                    lot=found,
                    version=form.cleaned_data["version"],
                    by=request.user,
                    reason=form.why(),
                    **form.values(),
                )
            except ValidationError as refusal:
                form.refuse(refusal)
            except Conflict as clash:
                conflict = clash
                form.accept_version(clash.version)
    if saved is not None:
        messages.success(request, _("Lot %(lot)s saved.") % {"lot": found.code})
        return redirect("infusions:lot", found.code)
    context = {
        "place": "infusions",
        "lot": found,
        "form": form,
        "conflict": conflict,
        "clashes": lot_pages.shown_clashes(conflict, form),
        "submission_key": idempotency.key_of(request),
    }
    status = 409 if conflict else 422 if form.errors else 200
    return render(request, "infusions/lot_edit.html", context, status=status)


@requires(Permission.RECORD_INFUSIONS)
def add_custody(request: HttpRequest, lot_code: str) -> HttpResponse:
    """Add a step to the chain of custody."""
    found = selectors.lot_or_404(request.user, lot_code)
    form = CustodyForm(request.POST or None, user=request.user)
    added = None
    with attempt(request) as tried:
        if tried.earlier:
            return repeated(request, tried.earlier, redirect("infusions:lot", found.code))
        if form.is_valid():
            try:
                idempotency.refuse_second(request, by=request.user)
                added = actions.add_custody(lot=found, by=request.user, **form.values())
            except ValidationError as refusal:
                form.refuse(refusal)
    if added is not None:
        messages.success(request, _("Step added to the custody of lot %(lot)s.") % {"lot": found.code})
        return redirect("infusions:lot", found.code)
    context = {
        "place": "infusions",
        "lot": found,
        "form": form,
        "submission_key": idempotency.key_of(request),
    }
    return render(request, "infusions/custody.html", context, status=422 if form.errors else 200)


@requires(Permission.VIEW_CLINICAL)
@require_safe
def recipients(request: HttpRequest, lot_code: str) -> HttpResponse:
    """Download who got a lot, as CSV."""
    found = selectors.lot_or_404(request.user, lot_code)
    answer = HttpResponse(content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{found.code}_recipients.csv"'
    # Excel reads UTF-8 only behind this mark
    answer.write("\ufeff")
    csv.writer(answer).writerows(lot_pages.traced_rows(selectors.recipients(request.user, found)))
    return answer


def _lot_page(
    request: HttpRequest, found: CellLot, *, decision: ReleaseForm, conflict: Conflict | None
) -> HttpResponse:
    context: dict[str, Any] = lot_pages.lot(request.user, found) | {
        "decision": decision,
        "conflict": conflict,
        "submission_key": idempotency.key_of(request),
    }
    status = 409 if conflict else 422 if decision.errors else 200
    return render(request, "infusions/lot.html", context, status=status)
