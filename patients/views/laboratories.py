"""Laboratories: the units they report in, and their reference ranges over time."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from patients import laboratory_page, reflagged
from patients.actions import laboratories as actions
from patients.forms import VoidForm
from patients.forms.laboratory import LaboratoryForm, NewLaboratoryForm, RangeForm
from patients.models import Laboratory, ReferenceRange
from trial import clock, idempotency, protocol
from trial.refusals import Conflict, Refused
from trial.roles import Permission, requires


@requires(Permission.VIEW_CLINICAL)
@require_safe
def laboratories(request: HttpRequest) -> HttpResponse:
    """List the laboratories a person may see."""
    context = {
        "place": "data",
        "laboratories": laboratory_page.laboratories(request.user),
        "may_manage": request.user.may(Permission.MANAGE_LABORATORIES),
    }
    return render(request, "patients/laboratories.html", context)


@requires(Permission.MANAGE_LABORATORIES)
def new_laboratory(request: HttpRequest) -> HttpResponse:
    """Add a laboratory."""
    form = NewLaboratoryForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        try:
            with idempotency.once(request, by=request.user) as attempt:
                if not attempt.is_repeated:
                    actions.create_laboratory(
                        code=form.posted("code"),
                        name=form.posted("name"),
                        site=form.site_chosen(),
                        by=request.user,
                    )
            return redirect("patients:laboratory", form.posted("code").strip().upper())
        except Refused as refused:
            form.add_problems(refused)
    context = {"place": "data", "form": form} | _once(request)
    return render(request, "patients/new_laboratory.html", context, status=422 if form.errors else 200)


@requires(Permission.VIEW_CLINICAL)
@require_safe
def laboratory(request: HttpRequest, laboratory_code: str) -> HttpResponse:
    """Show a laboratory: its ranges by analyte, and what was changed."""
    found = laboratory_page.laboratory_or_404(request.user, laboratory_code)
    context = {
        "place": "data",
        "laboratory": found,
        "analytes": laboratory_page.by_analyte(found, _today(found)),
        "changes": laboratory_page.changes(found),
        "may_manage": request.user.may(Permission.MANAGE_LABORATORIES),
    }
    return render(request, "patients/laboratory.html", context)


@requires(Permission.MANAGE_LABORATORIES)
def change_laboratory(request: HttpRequest, laboratory_code: str) -> HttpResponse:
    """Rename a laboratory, set its units, or take it out of use."""
    found = laboratory_page.laboratory_or_404(request.user, laboratory_code)
    form = LaboratoryForm(
        request.POST if request.method == "POST" else None,
        laboratory=found,
        reported=laboratory_page.reported_units(found),
    )
    status, conflict = 200, None
    if form.is_bound:
        status = 422
        if form.is_valid():
            try:
                with idempotency.once(request, by=request.user) as attempt:
                    if not attempt.is_repeated:
                        _save_laboratory(found, form, request)
                return redirect("patients:laboratory", found.code)
            except Refused as refused:
                form.add_problems(refused)
            except Conflict as collided:
                status, conflict = 409, collided
    context = {
        "place": "data",
        "laboratory": found,
        "form": form,
        "conflict": conflict,
        "version": conflict.version if conflict else form.shown("version"),
        "change_reasons": _change_reasons(),
    }
    return render(request, "patients/change_laboratory.html", context | _once(request), status=status)


def _save_laboratory(found: Laboratory, form: LaboratoryForm, request: HttpRequest) -> None:
    actions.change_laboratory(
        laboratory=found,
        name=form.posted("name"),
        site=form.site_chosen(),
        is_active=form.cleaned_data["is_active"],
        by=request.user,
        reason=form.reason_given(),
        version=form.cleaned_data["version"],
    )
    actions.set_units(
        laboratory=found, chosen=form.chosen_units(), by=request.user, reason=form.reason_given()
    )


@requires(Permission.MANAGE_LABORATORIES)
def new_range(request: HttpRequest, laboratory_code: str, analyte: str) -> HttpResponse:
    """Add a reference range of an analyte."""
    found = laboratory_page.laboratory_or_404(request.user, laboratory_code)
    if analyte not in protocol.ANALYTES:
        raise Http404
    return _range(request, found, analyte, None)


@requires(Permission.MANAGE_LABORATORIES)
def change_range(request: HttpRequest, laboratory_code: str, range_id: int) -> HttpResponse:
    """Correct a range, or say on which day it ends."""
    found = laboratory_page.laboratory_or_404(request.user, laboratory_code)
    stored = laboratory_page.range_or_404(found, range_id)
    return _range(request, found, stored.analyte, stored)


def _range(request: HttpRequest, found: Laboratory, code: str, stored: ReferenceRange | None) -> HttpResponse:
    analyte = protocol.ANALYTES[code]
    form = RangeForm(
        request.POST if request.method == "POST" else None,
        analyte=analyte,
        unit=laboratory_page.reported_units(found)[code],
        today=_today(found),
        stored=stored,
    )
    status, conflict = 200, None
    if form.is_bound:
        status = 422
        if form.is_valid():
            try:
                before = reflagged.flags(found, code, request.user)
                with idempotency.once(request, by=request.user) as attempt:
                    if not attempt.is_repeated:
                        _save_range(found, stored, form, request)
                if not attempt.is_repeated:
                    _say_what_moved(request, found, code, before)
                return redirect(f"{reverse('patients:laboratory', args=[found.code])}#analyte-{code}")
            except Refused as refused:
                form.add_problems(refused)
            except Conflict as collided:
                status, conflict = 409, collided
    context = {
        "place": "data",
        "laboratory": found,
        "analyte": analyte,
        "stored": stored,
        "form": form,
        "conflict": conflict,
        "version": conflict.version if conflict else form.shown("version"),
        "change_reasons": _change_reasons(),
    }
    return render(request, "patients/range.html", context | _once(request), status=status)


def _say_what_moved(
    request: HttpRequest, found: Laboratory, analyte: str, before: dict[int, reflagged.Flagged]
) -> None:
    after = reflagged.flags(found, analyte, request.user)
    messages.success(request, reflagged.said(before, after))


def _save_range(
    found: Laboratory, stored: ReferenceRange | None, form: RangeForm, request: HttpRequest
) -> None:
    if stored is None:
        actions.add_range(laboratory=found, entry=form.entry(), by=request.user)
        return
    actions.change_range(
        stored=stored,
        entry=form.entry(),
        by=request.user,
        reason=form.reason_given(),
        version=form.cleaned_data["version"],
    )


@requires(Permission.MANAGE_LABORATORIES)
def void_range(request: HttpRequest, laboratory_code: str, range_id: int) -> HttpResponse:
    """Strike a range that never was the laboratory's."""
    found = laboratory_page.laboratory_or_404(request.user, laboratory_code)
    stored = laboratory_page.range_or_404(found, range_id)
    form = VoidForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        try:
            before = reflagged.flags(found, stored.analyte, request.user)
            with idempotency.once(request, by=request.user) as attempt:
                if not attempt.is_repeated:
                    actions.void_range(stored=stored, by=request.user, reason=form.reason_given())
            if not attempt.is_repeated:
                _say_what_moved(request, found, stored.analyte, before)
            return redirect("patients:laboratory", found.code)
        except Refused as refused:
            form.add_problems(refused)
    context = {
        "place": "data",
        "laboratory": found,
        "line": laboratory_page.line(stored, _today(found)),
        "analyte": protocol.ANALYTES[stored.analyte],
        "form": form,
        "change_reasons": form.reason_keys,
    }
    status = 422 if form.errors else 200
    return render(request, "patients/void_range.html", context | _once(request), status=status)


def _today(found: Laboratory) -> Any:
    return clock.today_at(found.site) if found.site else timezone.localdate()


def _once(request: HttpRequest) -> dict[str, Any]:
    return {"key": idempotency.key_of(request), "key_field": idempotency.FIELD}


def _change_reasons() -> list[Any]:
    return list(enumerate(protocol.CHANGE_REASONS, start=1))
