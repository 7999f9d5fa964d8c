"""Queries: the list, those of a subject, one as a thread, and asking a new one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from patients import query_list, query_thread, query_words, selectors
from patients.actions import queries as actions
from patients.forms.query import AskForm, StepForm
from patients.models import DataQuery, Patient
from patients.query_life import Step
from trial import clock, idempotency, protocol
from trial.refusals import Conflict, Refused
from trial.roles import Permission, allowed, requires

UNCHANGED = 204
"""What a page that looks again is told when there is nothing new: keep what you show."""


@requires(Permission.VIEW_CLINICAL)
@require_GET
def queries(request: HttpRequest) -> HttpResponse:
    """Show one page of the queries this person may see."""
    if _looks_again(request) and request.GET.get("as_of") == query_list.stamp(request.user):
        return HttpResponse(status=UNCHANGED)
    context = {
        "place": "patients",
        "page": query_list.page(request.user, request.GET),
        "old_days": query_list.OLD_DAYS,
        "again_url": _again_url(request),
    }
    return render(request, "patients/queries.html", context)


@requires(Permission.VIEW_CLINICAL)
@require_GET
def patient_queries(request: HttpRequest, subject_id: str) -> HttpResponse:
    """Show every query on a subject."""
    patient = selectors.patient_or_404(request.user, subject_id)
    stamp = query_list.stamp(request.user, patient)
    if _looks_again(request) and request.GET.get("as_of") == stamp:
        return HttpResponse(status=UNCHANGED)
    rows = query_list.of_patient(request.user, patient)
    context = {
        "place": "patients",
        "tab": "queries",
        "patient": patient,
        "header": selectors.header(patient, request.user),
        "rows": rows,
        "not_closed": sum(row.query.state != "closed" for row in rows),
        "stamp": stamp,
        "again_url": _again_url(request),
        "may_raise": allowed(request.user, Permission.RAISE_QUERIES),
    }
    return render(request, "patients/patient_queries.html", context)


def _looks_again(request: HttpRequest) -> bool:
    return "HX-Request" in request.headers


def _again_url(request: HttpRequest) -> str:
    """Return the address of this page without the stamp of what an earlier look showed."""
    asked = request.GET.copy()
    asked.pop("as_of", None)
    return f"?{asked.urlencode()}"


# --- one query ------------------------------------------------------------------------------


@requires(Permission.VIEW_CLINICAL)
def query(request: HttpRequest, subject_id: str, query_id: int) -> HttpResponseBase:
    """Show a query as a thread, with the value it is about; take its next step."""
    found = query_thread.query_or_404(request.user, subject_id, query_id)
    if request.method == "POST":
        return step(request, subject_id, query_id)
    return _thread(request, found, None)


@requires(Permission.VIEW_CLINICAL)
@require_POST
def step(request: HttpRequest, subject_id: str, query_id: int) -> HttpResponse:
    """Answer, close, reopen or pass on a query; the action says who may."""
    found = query_thread.query_or_404(request.user, subject_id, query_id)
    form = StepForm(request.POST, site=found.patient.site, owners=query_thread.owners(found.patient))
    if not form.is_valid():
        return _thread(request, found, form, status=422)
    try:
        with idempotency.once(request, by=request.user) as attempt:
            if not attempt.is_repeated:
                _take(form, found, request.user)
    except Refused as refused:
        form.add_problems(refused)
        return _thread(request, found, form, status=422)
    except Conflict:
        return _thread(request, found, form, status=409, overtaken=True)
    _say(request, Step(form.cleaned_data["step"]))
    return redirect("patients:query", subject_id, query_id)


def _say(request: HttpRequest, step: Step) -> None:
    messages.success(request, capfirst(_(actions.REASONS[step])))


def _take(form: StepForm, found: DataQuery, by: Any) -> None:
    given = {"query": found, "text": form.cleaned_data["text"], "version": form.cleaned_data["version"]}
    match Step(form.cleaned_data["step"]):
        case Step.ANSWERED:
            actions.answer_query(by=by, **given)
        case Step.CLOSED:
            actions.close_query(by=by, **given)
        case Step.REOPENED:
            actions.reopen_query(by=by, **given)
        case _:
            actions.assign_query(by=by, to=form.passed_to, **given)


def _thread(
    request: HttpRequest,
    found: DataQuery,
    form: StepForm | None,
    status: int = 200,
    *,
    overtaken: bool = False,
) -> HttpResponse:
    # after a conflict the thread shows what the other person did, and the next try has seen it
    shown = query_thread.query_or_404(request.user, found.patient.subject_id, found.pk)
    thread = query_thread.thread(shown, request.user)
    may_enter = allowed(request.user, Permission.ENTER_CLINICAL_DATA)
    context = {
        "place": "patients",
        "tab": "queries",
        "patient": shown.patient,
        "query": shown,
        "thread": thread,
        "form": form,
        "text": form.shown("text") if form else "",
        "owners": [(person.pk, query_words.person(person)) for person in thread.owners],
        "source_url": query_words.source_url(shown) if may_enter else "",
        "record_url": query_words.record_url(shown),
        "overtaken": overtaken,
        "zone": clock.zone(shown.patient.site),
        "key": idempotency.key_of(request),
        "key_field": idempotency.FIELD,
    }
    return render(request, "patients/query.html", context, status=status)


# --- a new one ------------------------------------------------------------------------------


@requires(Permission.RAISE_QUERIES)
def raise_query(request: HttpRequest, subject_id: str) -> HttpResponse:
    """Ask about a value, a visit, an infusion, another record or the subject."""
    patient = selectors.patient_or_404(request.user, subject_id)
    things = query_thread.choices(patient)
    form = AskForm(
        request.POST if request.method == "POST" else None,
        choices=things,
        site=patient.site,
        owners=query_thread.owners(patient),
        initial={name: request.GET.get(name, "")[:40] for name in ("about", "field")},
    )
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                asked_at = _ask(request, patient, form)
            except Refused as refused:
                form.add_problems(refused)
            else:
                _say(request, Step.OPENED)
                return redirect(asked_at)
    context = {
        "place": "patients",
        "tab": "queries",
        "patient": patient,
        "header": selectors.header(patient, request.user),
        "form": form,
        "key": idempotency.key_of(request),
        "key_field": idempotency.FIELD,
        "history_url": _history_url(request, patient, things),
    }
    return render(request, "patients/raise_query.html", context, status=status)


def _history_url(request: HttpRequest, patient: Patient, things: Sequence[query_thread.Choice]) -> str:
    """Return where the versions of the value are that one came from; empty without one."""
    about, analyte = request.GET.get("about"), request.GET.get("field")
    weeks = [thing.about.visit.week for thing in things if thing.code == about and thing.about.visit]
    if (
        analyte not in protocol.ANALYTES
        or weeks in ([], [None])
        or not allowed(request.user, Permission.VIEW_AUDIT)
    ):
        return ""
    return reverse("patients:value_history", args=[patient.subject_id, weeks[0], analyte])


def _ask(request: HttpRequest, patient: Patient, form: AskForm) -> str:
    """Ask once, and return the address of the thread."""
    with idempotency.once(request, by=request.user) as attempt:
        if attempt.earlier is not None:
            asked = query_thread.asked_in(attempt.earlier)
        else:
            idempotency.refuse_second(request, by=request.user)
            asked = actions.open_query(
                patient=patient,
                about=form.thing.about,
                field=form.cleaned_data["field"],
                text=form.cleaned_data["text"],
                assigned_to=form.asked_of,
                by=request.user,
            )
    return reverse("patients:query", args=[patient.subject_id, asked.pk])
