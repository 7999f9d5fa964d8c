"""Entering and correcting what was measured at a visit, and saying that it was not done."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext

from patients import actions, draws, plasma, query_marks, reference, schedule, screenings, selectors, worklist
from patients.actions import panel_merge
from patients.forms import LabPanelForm
from patients.forms.not_done import NotDoneForm
from patients.models import Laboratory, LabResult, Patient, Visit
from patients.schedule import Appointment
from trial import idempotency, protocol, typed
from trial.protocol import Limits
from trial.refusals import Conflict, Refused
from trial.roles import Permission, requires
from trial.typed import Unreadable

USE_UNIT = "use_"
NEXT_SUBJECT = "next"
_LONGEST_VERSION = 9


@requires(Permission.ENTER_CLINICAL_DATA)
def enter_visit(request: HttpRequest, subject_id: str, week: int) -> HttpResponse:
    """Enter or correct the panel of a visit of the protocol."""
    patient = selectors.patient_or_404(request.user, subject_id)
    if week not in protocol.VISIT_AT:
        raise Http404
    visit = selectors.visit_of_week(patient, week) or Visit(patient=patient, week=week)
    return _panel(request, patient, visit)


@requires(Permission.ENTER_CLINICAL_DATA)
def enter_unscheduled(request: HttpRequest, subject_id: str) -> HttpResponse:
    """Enter the panel of a draw outside the schedule."""
    patient = selectors.patient_or_404(request.user, subject_id)
    return _panel(request, patient, Visit(patient=patient, week=None))


@requires(Permission.ENTER_CLINICAL_DATA)
def edit_unscheduled(request: HttpRequest, subject_id: str, visit_id: int) -> HttpResponse:
    """Correct the panel of a draw outside the schedule."""
    visit = selectors.draw_or_404(request.user, subject_id, visit_id)
    return _panel(request, visit.patient, visit)


@requires(Permission.ENTER_CLINICAL_DATA)
def mark_not_done(request: HttpRequest, subject_id: str, week: int) -> HttpResponse:
    """Say why a visit of the protocol did not take place."""
    patient = selectors.patient_or_404(request.user, subject_id)
    if week not in protocol.VISIT_AT:
        raise Http404
    visit = selectors.visit_of_week(patient, week)
    form = NotDoneForm(request.POST if request.method == "POST" else None, visit=visit)
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                with idempotency.once(request, by=request.user) as attempt:
                    if not attempt.is_repeated:
                        actions.mark_not_done(
                            by=request.user,
                            patient=patient,
                            week=week,
                            why=form.posted("why"),
                            note=form.posted("said"),
                            reason=form.reason_given(),
                            version=form.cleaned_data["version"],
                        )
                return redirect("patients:enter_visit", patient.subject_id, week)
            except Refused as refused:
                form.add_problems(refused)
            except Conflict:
                form.add_error(None, form.SOMEBODY_ELSE)
                status = 409
    context = {
        "place": "patients",
        "patient": patient,
        "week": week,
        "visit": visit,
        "form": form,
        "change_reasons": list(enumerate(protocol.CHANGE_REASONS, start=1)),
        "key": idempotency.key_of(request),
        "key_field": idempotency.FIELD,
    }
    return render(request, "patients/not_done.html", context, status=status)


def _panel(request: HttpRequest, patient: Patient, visit: Visit) -> HttpResponse:
    entry = _Entry(request, patient, visit)
    if request.method != "POST":
        return entry.page()
    if "check" in request.POST:
        return entry.checked()
    if entry.use_unit or not entry.form.is_valid():
        return entry.page(status=422)
    try:
        with idempotency.once(request, by=request.user) as attempt:
            if not attempt.is_repeated:
                if visit._state.adding and visit.week is None:
                    idempotency.refuse_second(request, by=request.user)
                saved = actions.record_labs(
                    entries=entry.form.entries(),
                    by=request.user,
                    visit=None if visit._state.adding else visit,
                    patient=patient,
                    week=visit.week,
                    visited_on=entry.form.day(),
                    sampled_at=entry.form.moment(),
                    laboratory=entry.form.measured_by(),
                    findings=entry.form.findings(),
                    reason=entry.form.reason_given(),
                    version=entry.form.cleaned_data["version"],
                    decided=entry.form.decided(),
                    kept=entry.form.kept(),
                )
                visit = saved.visit or visit
    except Refused as refused:
        entry.form.add_problems(refused)
        return entry.page(status=422)
    except Conflict as conflict:
        return entry.page(status=409, conflict=conflict)
    is_empty = not entry.form.filled and not attempt.is_repeated
    if visit._state.adding and is_empty and request.POST.get("then") != NEXT_SUBJECT:
        entry.form.add_error(
            None, gettext("Nothing was saved: no value is typed. Type one, or choose why there is none.")
        )
        return entry.page(status=422)
    if visit._state.adding:
        # sent twice, or the same as what that day holds: it is stored already
        visit = selectors.visit_at(patient, visit.week, entry.form.day()) or visit
    return redirect(_after(request, patient, visit, entry.form))


class _Entry:
    """One showing of the entry page: its form, and what stands beside it."""

    def __init__(self, request: HttpRequest, patient: Patient, visit: Visit) -> None:
        self.request, self.patient, self.visit = request, patient, visit
        record = worklist.records([patient])[0]
        self.facts, self.today = record.facts, record.today
        self.group = record.group
        self.stored = selectors.results_of(visit)
        self.use_unit = {
            name.removeprefix(USE_UNIT): value
            for name, value in request.POST.items()
            if name.startswith(USE_UNIT) and name.removeprefix(USE_UNIT) in protocol.ANALYTES
        }
        self.appointment = self._appointment()
        is_open = self.appointment is not None and self.appointment.state is schedule.State.OPEN
        is_new = visit._state.adding and (is_open or visit.week is None)
        self.suggested_day = self.today if is_new else None
        day = self._day_typed()
        self.last = selectors.last_values(patient, visit=visit, drawn_on=day)
        laboratories = draws.laboratories_for(request.user, patient, self.stored)
        self.form = LabPanelForm(
            request.POST if request.method == "POST" else None,
            patient=patient,
            visit=visit,
            stored=self.stored,
            last=self.last,
            today=self.today,
            use_unit=self.use_unit,
            suggested_day=self.suggested_day,
            around=draws.around(patient, visit, drawn_on=day, last=self.last),
            laboratories=laboratories,
            usual_laboratory=draws.usual_laboratory(patient, laboratories),
            references=self._references,
            seen=self._seen(),
        )

    def _seen(self) -> Mapping[str, LabResult]:
        """Return the values that the page was opened with, where somebody has written since."""
        version = self.request.POST.get("version", "")
        if "check" in self.request.POST or not version.isdecimal() or len(version) > _LONGEST_VERSION:
            return {}
        return panel_merge.seen_at(self.visit, self.stored, int(version))

    def _day_typed(self) -> date:
        """Return the day that the draw is held against before the form is read."""
        try:
            return typed.read_date(self.request.POST.get(panel_merge.DAY, ""), today=self.today)
        except Unreadable:
            return self.visit.visited_on or self._about()

    def _references(self, laboratory: Laboratory | None, day: date | None) -> Mapping[str, Limits]:
        found = reference.references(self.patient, laboratory=laboratory, day=day)
        return {analyte: one.limits for analyte, one in found.items()}

    @property
    def place(self) -> str:
        """What names this form among everybody's drafts."""
        if self.visit.week is not None:
            return f"visit:{self.patient.subject_id}:{self.visit.week}"
        return f"visit:{self.patient.subject_id}:draw-{self.visit.pk or 'new'}"

    def _after_plasma(self, day: date | None, hour: Any) -> str:
        """Say which plasma the draw came soon after; nothing when there was none."""
        if day is None:
            return ""
        drawn = selectors.moment_of(self.patient.site, day, hour)
        found = plasma.after_plasma(drawn, selectors.plasma_hours(self.patient))
        return "" if found is None else found.sentence.said(gettext)

    def _appointment(self) -> Appointment | None:
        if self.visit.week is None:
            return None
        appointments = schedule.visits(self.facts, self.today)
        return next(a for a in appointments if a.number == self.visit.week)

    def _about(self) -> Any:
        """Return the day that stands in for a date not typed yet."""
        due = self.appointment.due_on if self.appointment else None
        return min(due, self.today) if due else self.today

    def context(self) -> dict[str, Any]:
        form, visit = self.form, self.visit
        if form.is_bound:
            form.is_valid()
            day, hour = form.cleaned_data.get("visited_on"), form.cleaned_data.get("drawn_at")
        else:
            day, hour = visit.visited_on or self.suggested_day, form.stored_hour
        return {
            "place": "patients",
            "patient": self.patient,
            "visit": visit,
            "week": visit.week,
            "form": form,
            "group": self.group,
            "is_eligible": screenings.is_eligible(self.patient),
            "age": self.patient.age_on(self.today),
            "appointment": self.appointment,
            "day": day,
            "window": self._window(day),
            "after_plasma": self._after_plasma(day, hour),
            "also_open": draws.also_open(self.place, self.request.user),
            "draft_place": self.place,
            "first_infusion_on": self.facts.first_infusion_on,
            "marks": {} if visit._state.adding else query_marks.open_queries(self.patient).get(visit.pk, {}),
            "may_raise": self.request.user.may(Permission.RAISE_QUERIES),
            "missing_reasons": list(enumerate(protocol.MISSING_REASONS, start=1)),
            "change_reasons": list(enumerate(protocol.CHANGE_REASONS, start=1)),
            "check_url": self.request.path,
            "key": idempotency.key_of(self.request),
            "key_field": idempotency.FIELD,
        }

    def _window(self, day: Any) -> dict[str, Any] | None:
        appointment = self.appointment
        if appointment is None or appointment.due_on is None or appointment.opens_on is None:
            return None
        planned = protocol.VISIT_AT[appointment.number]
        off = (day - appointment.due_on).days if day else None
        return {
            "day": planned.day,
            "before": planned.window.before,
            "after": planned.window.after,
            "off": off,
            "is_inside": off is not None and -planned.window.before <= off <= planned.window.after,
        }

    def checked(self) -> HttpResponse:
        """Answer a page that asks about what is typed so far; nothing is saved."""
        self.form.is_valid()
        return render(self.request, "patients/_panel.html", self.context())

    def page(self, status: int = 200, conflict: Conflict | None = None) -> HttpResponse:
        context = self.context()
        context["conflict"] = conflict
        context["settled"] = self.form.settled({each.field for each in conflict.clashes} if conflict else ())
        if not self.form.is_bound and self.stored:
            context["saved"] = selectors.last_saved(self.visit)
            context["just_saved"] = self.request.GET.get("saved", "")[:3]
        return render(self.request, "patients/enter_visit.html", context, status=status)


def _after(request: HttpRequest, patient: Patient, visit: Visit, form: LabPanelForm) -> str:
    """Return where a save leads: back to the visit as the database has it, or to the next subject."""
    if request.POST.get("then") == NEXT_SUBJECT:
        return _next_subject(request, patient)
    if visit.week is not None:
        here = reverse("patients:enter_visit", args=[patient.subject_id, visit.week])
    elif not visit._state.adding:
        here = reverse("patients:edit_unscheduled", args=[patient.subject_id, visit.pk])
    else:
        here = reverse("patients:labs", args=[patient.subject_id])
    return f"{here}?saved={form.filled}"


def _next_subject(request: HttpRequest, patient: Patient) -> str:
    """Return the entry page of the next subject whose visit waits, or the queue."""
    for task in worklist.tasks(request.user):
        appointment = task.appointment
        if appointment is None or task.is_infusion or task.patient.pk == patient.pk:
            continue
        if appointment.state in (schedule.State.OVERDUE, schedule.State.OPEN):
            return reverse("patients:enter_visit", args=[task.patient.subject_id, appointment.number])
    return reverse("patients:today")
