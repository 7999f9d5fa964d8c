"""Adverse events and treatments of a subject, beside the outcomes."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from patients import actions, ctcae_terms, events_page, selectors
from patients.actions import rows
from patients.actions.treatments import overlapping
from patients.forms.event import EventForm, texts_of
from patients.forms.fields import with_theirs
from patients.forms.treatment import TreatmentForm
from patients.forms.treatment import texts_of as treatment_texts
from patients.models import AdverseEvent, Patient, Treatment
from patients.views import voiding
from trial import clock, idempotency, marks, protocol
from trial.refusals import Conflict, Refused
from trial.roles import Permission, allowed, requires

TAB = "events"


@requires(Permission.VIEW_CLINICAL)
@require_safe
def events(request: HttpRequest, subject_id: str) -> HttpResponseBase:
    """Show adverse events, treatments and outcomes of a subject."""
    patient = selectors.patient_or_404(request.user, subject_id)
    return _tab(request, patient)


def _tab(
    request: HttpRequest, patient: Patient, form: TreatmentForm | None = None, status: int = 200
) -> HttpResponse:
    may_enter = allowed(request.user, Permission.ENTER_CLINICAL_DATA)
    if form is None and may_enter:
        form = TreatmentForm(life=selectors.life(patient))
    context = _around(request, patient) | {
        "page": events_page.page(patient),
        "form": form,
        "may_enter": may_enter,
        "may_raise": allowed(request.user, Permission.RAISE_QUERIES),
    }
    return render(request, "patients/events.html", context, status=status)


def _around(request: HttpRequest, patient: Patient) -> dict[str, Any]:
    return {
        "place": "patients",
        "tab": TAB,
        "patient": patient,
        "header": selectors.header(patient, request.user),
        "change_reasons": list(enumerate(protocol.CHANGE_REASONS, start=1)),
        "key": idempotency.key_of(request),
        "key_field": idempotency.FIELD,
    }


def _after(subject_id: str, part: str) -> HttpResponse:
    return redirect(f"{reverse('patients:events', args=[subject_id])}#{part}")


# --- adverse events -------------------------------------------------------------------------


@requires(Permission.ENTER_CLINICAL_DATA)
def new_event(request: HttpRequest, subject_id: str) -> HttpResponse:
    """Record an adverse event; ``?term=&grade=&result=`` fill the form from a lab result and its grade."""
    patient = selectors.patient_or_404(request.user, subject_id)
    life = selectors.life(patient)
    if request.method != "POST":
        form = EventForm(life=life, site=patient.site, initial=_suggested(request, patient))
        return _event_page(request, patient, form)
    form = EventForm(request.POST, life=life, site=patient.site)
    if not form.is_valid():
        return _event_page(request, patient, form, status=422)
    try:
        with idempotency.once(request, by=request.user) as attempt:
            if not attempt.is_repeated:
                idempotency.refuse_second(request, by=request.user)
                actions.record_event(
                    patient=patient, entry=form.entry(), by=request.user, reason=form.reason_given()
                )
    except Refused as refused:
        form.add_problems(refused)
        return _event_page(request, patient, form, status=422)
    messages.success(request, _("Adverse event recorded"))
    return _after(subject_id, "events")


def _suggested(request: HttpRequest, patient: Patient) -> dict[str, str]:
    """Return what the address says about a new event; whatever it says wrongly is left out."""
    asked = request.GET
    suggested = {"term": asked.get("term", "")[:120], "grade": asked.get("grade", "")}
    found = selectors.result_of(patient, asked.get("result", ""))
    if found is not None:
        suggested["lab_result"] = str(found.pk)
        if found.sampled_at is not None:
            local = found.sampled_at.astimezone(clock.zone(patient.site))
            suggested |= {"onset_on": f"{local:%Y-%m-%d}", "onset_at": f"{local:%H:%M}"}
        elif found.visit.visited_on is not None:
            suggested["onset_on"] = found.visit.visited_on.isoformat()
    return suggested


@requires(Permission.ENTER_CLINICAL_DATA)
def edit_event(request: HttpRequest, subject_id: str, event_id: int) -> HttpResponse:
    """Correct or complete an adverse event."""
    event = selectors.event_or_404(request.user, subject_id, event_id)
    patient = event.patient
    life = selectors.life(patient)
    data = request.POST if request.method == "POST" else None
    form = EventForm(data, life=life, site=patient.site, event=event)
    if request.method != "POST":
        return _event_page(request, patient, form)
    if not form.is_valid():
        return _event_page(request, patient, form, status=422)
    try:
        with idempotency.once(request, by=request.user) as attempt:
            if not attempt.is_repeated:
                actions.correct_event(
                    event=event,
                    entry=form.entry(),
                    by=request.user,
                    reason=form.reason_given(),
                    version=form.cleaned_data["version"],
                )
    except Refused as refused:
        form.add_problems(refused)
        return _event_page(request, patient, form, status=422)
    except Conflict as conflict:
        merged = with_theirs(
            request.POST,
            conflict,
            rows.untouched(event, asdict(form.entry()), form.cleaned_data["version"]),
            texts_of(event, patient.site),
            EventForm.TEXTS_OF,
        )
        form = EventForm(merged, life=life, site=patient.site, event=event)
        return _event_page(request, patient, form, status=409, conflict=conflict)
    messages.success(request, _("Adverse event saved"))
    return _after(subject_id, "events")


def _event_page(
    request: HttpRequest,
    patient: Patient,
    form: EventForm,
    status: int = 200,
    conflict: Conflict | None = None,
) -> HttpResponse:
    context = _around(request, patient) | {
        "form": form,
        "event": form.event,
        "terms": ctcae_terms.TERMS,
        "lab_result": selectors.result_of(patient, form.shown("lab_result")),
        "conflict": conflict,
        "labels": {name: field.label for name, field in form.fields.items()}
        | {"aware_at": _("Known to the site since"), "note": form.fields["what"].label},
    }
    return render(request, "patients/event.html", context, status=status)


@requires(Permission.ENTER_CLINICAL_DATA)
@require_safe
def event_grades(request: HttpRequest, subject_id: str) -> HttpResponse:
    """Answer the event form: what each grade means for the term that is typed."""
    patient = selectors.patient_or_404(request.user, subject_id)
    initial = {"term": request.GET.get("term", "")[:120]}
    form = EventForm(life=selectors.life(patient), site=patient.site, initial=initial)
    return render(request, "patients/_event_meanings.html", {"form": form})


@requires(Permission.ENTER_CLINICAL_DATA)
@require_POST
def report_event(request: HttpRequest, subject_id: str, event_id: int) -> HttpResponse:
    """Say that a serious event has been reported."""
    event = selectors.event_or_404(request.user, subject_id, event_id)
    try:
        with idempotency.once(request, by=request.user) as attempt:
            if not attempt.is_repeated:
                actions.report_event(event=event, by=request.user)
    except Refused as refused:
        messages.error(request, " ".join(refused.messages))
    else:
        messages.success(request, _("The report of the serious event is recorded"))
    return _after(subject_id, "events")


@requires(Permission.ENTER_CLINICAL_DATA)
def void_event(request: HttpRequest, subject_id: str, event_id: int) -> HttpResponse:
    """Strike an adverse event that did not happen."""
    if voiding.was_struck(request):
        return _after(subject_id, "events")
    event = selectors.event_or_404(request.user, subject_id, event_id)
    return _void(request, event, f"{_(event.term)}{marks.comma()}{event.onset_on.isoformat()}", "events")


def _void(request: HttpRequest, row: AdverseEvent | Treatment, what: str, part: str) -> HttpResponse:
    def strike(why: str, seen: int | None) -> None:
        if isinstance(row, AdverseEvent):
            actions.void_event(event=row, by=request.user, reason=why, version=seen)
        else:
            actions.void_treatment(treatment=row, by=request.user, reason=why, version=seen)

    form = voiding.form_of(request)
    if voiding.strikes(request, form, strike):
        return _after(row.patient.subject_id, part)
    context = _around(request, row.patient) | {"what": what, "part": part}
    context |= voiding.about(request, form, row.version)
    return render(request, "patients/void_row.html", context, status=422 if form.is_bound else 200)


# --- treatments -----------------------------------------------------------------------------


@requires(Permission.ENTER_CLINICAL_DATA)
@require_POST
def new_treatment(request: HttpRequest, subject_id: str) -> HttpResponse:
    """Record a treatment from the row form of the tab."""
    patient = selectors.patient_or_404(request.user, subject_id)
    form = TreatmentForm(request.POST, life=selectors.life(patient))
    if not form.is_valid():
        return _tab(request, patient, form, status=422)
    try:
        with idempotency.once(request, by=request.user) as attempt:
            # a repetition would meet itself
            if not attempt.is_repeated and _overlaps_confirmed(form, patient):
                actions.record_treatment(patient=patient, entry=form.entry(), by=request.user)
    except Refused as refused:
        form.add_problems(refused)
        return _tab(request, patient, form, status=422)
    if form.asks:
        return _tab(request, patient, form, status=422)
    messages.success(request, _("Treatment recorded"))
    return _after(subject_id, "treatments")


def _overlaps_confirmed(form: TreatmentForm, patient: Patient) -> bool:
    """Look for the same agent at the same time, and ask once whether it is right."""
    but = form.treatment.pk if form.treatment is not None else None
    form.overlaps = overlapping(form.entry(), selectors.treatments(patient), but=but)
    return not form.asks


@requires(Permission.ENTER_CLINICAL_DATA)
def edit_treatment(request: HttpRequest, subject_id: str, treatment_id: int) -> HttpResponse:
    """Correct a treatment, or end one that goes on."""
    treatment = selectors.treatment_or_404(request.user, subject_id, treatment_id)
    patient = treatment.patient
    life = selectors.life(patient)
    form = TreatmentForm(request.POST if request.method == "POST" else None, life=life, treatment=treatment)
    if request.method != "POST":
        return _treatment_page(request, patient, form)
    if not form.is_valid():
        return _treatment_page(request, patient, form, status=422)
    try:
        with idempotency.once(request, by=request.user) as attempt:
            if not attempt.is_repeated and _overlaps_confirmed(form, patient):
                actions.correct_treatment(
                    treatment=treatment,
                    entry=form.entry(),
                    by=request.user,
                    reason=form.reason_given(),
                    version=form.cleaned_data["version"],
                )
    except Refused as refused:
        form.add_problems(refused)
        return _treatment_page(request, patient, form, status=422)
    except Conflict as conflict:
        merged = with_theirs(
            request.POST,
            conflict,
            rows.untouched(treatment, asdict(form.entry()), form.cleaned_data["version"]),
            treatment_texts(treatment),
            TreatmentForm.TEXTS_OF,
        )
        form = TreatmentForm(merged, life=life, treatment=treatment)
        return _treatment_page(request, patient, form, status=409, conflict=conflict)
    if form.asks:
        return _treatment_page(request, patient, form, status=422)
    messages.success(request, _("Treatment saved"))
    return _after(subject_id, "treatments")


def _treatment_page(
    request: HttpRequest,
    patient: Patient,
    form: TreatmentForm,
    status: int = 200,
    conflict: Conflict | None = None,
) -> HttpResponse:
    context = _around(request, patient) | {
        "form": form,
        "treatment": form.treatment,
        "conflict": conflict,
        "labels": {name: field.label for name, field in form.fields.items()}
        | {"note": form.fields["what"].label, "started_at": _("From, hour"), "ended_at": _("To, hour")},
    }
    return render(request, "patients/treatment.html", context, status=status)


@requires(Permission.ENTER_CLINICAL_DATA)
def void_treatment(request: HttpRequest, subject_id: str, treatment_id: int) -> HttpResponse:
    """Strike a treatment that was not given."""
    if voiding.was_struck(request):
        return _after(subject_id, "treatments")
    treatment = selectors.treatment_or_404(request.user, subject_id, treatment_id)
    what = f"{_(treatment.get_kind_display())} {treatment.agent}".strip()
    return _void(request, treatment, f"{what}{marks.comma()}{treatment.started_on.isoformat()}", "treatments")
