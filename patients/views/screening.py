"""Answering the criteria of a screening, with the verdict while one answers, and enrolling after it."""

from __future__ import annotations

from contextlib import suppress
from datetime import date
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from patients import actions, rule_sets, screenings, selectors
from patients.forms import EnrolForm, ScreeningForm
from patients.forms.screening import fact_in_words
from patients.models import Patient, Screening
from trial import idempotency, protocol, typed, vocabulary
from trial.models import Revision
from trial.protocol import CriterionKind, VerdictState
from trial.refusals import Conflict, Refused
from trial.roles import Permission, requires


@requires(Permission.VIEW_CLINICAL)
@require_safe
def eligibility_of(request: HttpRequest, subject_id: str) -> HttpResponse:
    """List the screenings of a subject with answers, facts, checks, verdict and who wrote them."""
    patient = selectors.patient_or_404(request.user, subject_id)
    return _eligibility_page(request, patient)


@requires(Permission.ENTER_CLINICAL_DATA)
@require_POST
def enrol(request: HttpRequest, subject_id: str) -> HttpResponse:
    """Enrol a subject whose newest screening found it eligible."""
    patient = selectors.patient_or_404(request.user, subject_id)
    form = EnrolForm(request.POST, patient=patient, life=selectors.life(patient))
    if not form.is_valid():
        return _eligibility_page(request, patient, form, status=422)
    try:
        with idempotency.once(request, by=request.user) as attempt:
            if not attempt.is_repeated:
                actions.enrol_screened(
                    patient=patient,
                    by=request.user,
                    recruited_on=form.cleaned_data["recruited_on"],
                    planned_course=form.cleaned_data["planned_course"],
                    version=form.cleaned_data["version"],
                )
    except Refused as refused:
        form.add_problems(refused)
        return _eligibility_page(request, patient, form, status=422)
    except Conflict:
        form.add_error(None, _("Somebody changed this subject meanwhile. Open the page again and look."))
        return _eligibility_page(request, patient, form, status=409)
    messages.success(request, _("%(subject)s is enrolled.") % {"subject": patient.subject_id})
    return redirect("patients:eligibility", patient.subject_id)


def _eligibility_page(
    request: HttpRequest, patient: Patient, form: EnrolForm | None = None, status: int = 200
) -> HttpResponse:
    found = screenings.of(patient)
    written = screenings.trail(patient)
    is_waiting = (
        bool(found)
        and found[0].verdict == VerdictState.ELIGIBLE
        and patient.status != Patient.Status.ENROLLED
        and request.user.may(Permission.ENTER_CLINICAL_DATA)
    )
    if form is None and is_waiting:
        form = EnrolForm(patient=patient, life=selectors.life(patient))
    life = selectors.life(patient)
    context = {
        "place": "patients",
        "tab": "eligibility",
        "patient": patient,
        "header": selectors.header(patient, request.user),
        "screenings": [_as_shown(patient, each, life, written.get(each.pk, [])) for each in found],
        "enrol_form": form,
        "may_raise": request.user.may(Permission.RAISE_QUERIES),
        "has_pending": bool(found) and found[0].verdict == VerdictState.PENDING,
        "key": idempotency.key_of(request),
        "key_field": idempotency.FIELD,
    }
    return render(request, "patients/eligibility.html", context, status=status)


def _as_shown(patient: Patient, screening: Screening, life: Any, written: list[Revision]) -> dict[str, Any]:
    form = ScreeningForm(patient=patient, day=screening.screened_on, life=life, screening=screening)
    sources = vocabulary.by_code(vocabulary.FACT_SOURCES)
    chosen = rule_sets.RULE_SET_AT[screening.rule_set or protocol.RULE_SET]
    return {
        "screening": screening,
        "questions": [question for asked in form.questions().values() for question in asked],
        "facts": [
            {
                "label": line.label,
                "value": fact_in_words(form.stored[line.code]),
                "source": _(sources[line.source].label),
            }
            for _title, lines in form.fact_sections()
            for line in lines
            if line.code in form.stored
        ],
        "verdict": form.verdict(),
        "rule_set": _(chosen.label),
        "rule_version": chosen.version,
        "by_hand": [_(text) for text in chosen.by_hand],
        "written": written,
    }


@requires(Permission.ENTER_CLINICAL_DATA)
def screen(request: HttpRequest, subject_id: str) -> HttpResponse:
    """Answer the criteria; ``?on=`` opens the screening of a day, otherwise the pending one."""
    patient = selectors.patient_or_404(request.user, subject_id)
    form = _form(request, patient)
    if request.method != "POST":
        return _page(request, patient, form)
    if not form.is_valid():
        return _page(request, patient, form, status=422)
    try:
        with idempotency.once(request, by=request.user) as attempt:
            if not attempt.is_repeated:
                actions.record_screening(
                    patient=patient,
                    screened_on=form.cleaned_data["screened_on"],
                    answers=form.answers(),
                    facts=form.facts(),
                    by=request.user,
                    reason=form.reason_given(),
                    # what was open on another day says nothing about a day without a screening
                    version=form.cleaned_data["version"] if form.screening is not None else 0,
                    kept=form.kept(),
                )
    except Refused as refused:
        form.add_problems(refused)
        return _page(request, patient, form, status=422)
    except Conflict as conflict:
        return _page(request, patient, form, status=409, conflict=conflict)
    messages.success(
        request, _("Screening saved: %(verdict)s.") % {"verdict": _verdict_label(form.verdict())}
    )
    return redirect("patients:eligibility", patient.subject_id)


@requires(Permission.ENTER_CLINICAL_DATA)
@require_POST
def verdict(request: HttpRequest, subject_id: str) -> HttpResponse:
    """Judge what is answered so far; nothing is saved."""
    patient = selectors.patient_or_404(request.user, subject_id)
    form = _form(request, patient)
    form.is_valid()
    lines = [line for _title, listed in form.fact_sections() for line in listed]
    return render(
        request, "patients/_verdict.html", _verdict_context(form) | {"is_part": True, "lines": lines}
    )


def _verdict_label(found: protocol.Verdict) -> str:
    return _(protocol.VERDICT_LABELS[VerdictState(found.state)])


def _form(request: HttpRequest, patient: Patient) -> ScreeningForm:
    """Build the form for the screening that is meant: of the day sent or asked for, or a pending last one."""
    today = selectors.today_at(patient.site)
    found = screenings.of(patient)
    data = request.POST if request.method == "POST" else None
    asked = request.POST.get("screened_on", "") or request.GET.get("on", "")
    day, screening = today, None
    if asked:
        # the form says what cannot be read; the findings stay those of today
        with suppress(typed.Unreadable):
            day = typed.read_date(asked, today=today)
            screening = next((each for each in found if each.screened_on == day), None)
    elif found and (found[0].verdict == VerdictState.PENDING or found[0].screened_on == today):
        # there is one screening a day: to screen again on that day is to correct it
        screening = found[0]
        day = screening.screened_on
    return ScreeningForm(
        data,
        patient=patient,
        day=day,
        life=selectors.life(patient),
        screening=screening,
        offers=screenings.offers(patient, day, found),
        labs=selectors.labs_until(patient, day),
        earlier=next((each for each in found if each.screened_on < day), None),
    )


def _verdict_context(form: ScreeningForm) -> dict[str, Any]:
    found = form.verdict()
    questions = form.questions()
    return {
        "verdict": found,
        "verdict_label": _verdict_label(found),
        "questions": [question for asked in questions.values() for question in asked],
        "answered": len(protocol.CRITERIA) - len(found.open),
        "all": len(protocol.CRITERIA),
    }


def _page(
    request: HttpRequest,
    patient: Patient,
    form: ScreeningForm,
    status: int = 200,
    conflict: Conflict | None = None,
) -> HttpResponse:
    questions = form.questions()
    name = form.screening.rule_set if form.screening is not None else ""
    chosen = rule_sets.RULE_SET_AT[name or protocol.RULE_SET]
    context = _verdict_context(form) | {
        "place": "patients",
        "tab": "eligibility",
        "patient": patient,
        "header": selectors.header(patient, request.user),
        "form": form,
        "fact_sections": form.fact_sections(),
        "sections": [
            (_("Inclusion"), _("every one yes"), questions[CriterionKind.INCLUSION]),
            (_("Exclusion"), _("every one no"), questions[CriterionKind.EXCLUSION]),
        ],
        "answers": [(answer.value, protocol.ANSWER_LABELS[answer]) for answer in protocol.Answer],
        "change_reasons": list(enumerate(protocol.CHANGE_REASONS, start=1)),
        "verdict_url": reverse("patients:verdict", args=[patient.subject_id]),
        "conflict": conflict,
        "stored_day": _own_day(request, patient, form) if conflict else None,
        "version": conflict.version if conflict else form.shown("version"),
        "rule_set": _(chosen.label),
        "rule_version": chosen.version,
        "by_hand": [_(text) for text in chosen.by_hand],
        "draft": _draft(patient, form.screening.screened_on if form.screening else None),
        "key": idempotency.key_of(request),
        "key_field": idempotency.FIELD,
    }
    return render(request, "patients/screen.html", context, status=status)


def _own_day(request: HttpRequest, patient: Patient, form: ScreeningForm) -> date | None:
    """Return the day of a screening of one's own that a new one was dated to; None where somebody else was at work."""
    if form.screening is None or form.posted("version") not in {"", "0"}:
        return None
    written = screenings.trail(patient).get(form.screening.pk, [])
    is_own = bool(written) and all(revision.actor_id == request.user.pk for revision in written)
    return form.screening.screened_on if is_own else None


def _draft(patient: Patient, day: date | None) -> str:
    """Return the place under which what is typed is kept until it is saved."""
    return f"screening:{patient.subject_id}:{day.isoformat() if day else 'new'}"
