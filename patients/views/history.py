"""A subject's history: every revision that touched it, in words, and one of them as a diff."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from patients import selectors
from trial import clock
from trial import selectors as trail
from trial.forms import HistoryForm
from trial.roles import Permission, requires
from trial.views.audit import moved_url


@requires(Permission.VIEW_AUDIT)
@require_safe
def history(request: HttpRequest, subject_id: str) -> HttpResponse:
    """List the revisions that touched a subject; show the newest or the one asked for."""
    patient = selectors.patient_or_404(request.user, subject_id)
    form = HistoryForm(request.GET)
    form.is_valid()
    asked = form.cleaned_data
    eyes = trail.reader(request.user)
    found = trail.history(
        eyes, patient.pk, kind=asked.get("show", ""), who=asked.get("who"), before=asked.get("before")
    )
    number = asked.get("revision") or (found.revisions[0].revision.number if found.revisions else None)
    shown = trail.revision_or_404(eyes, number, patient=patient.pk) if number else None
    zone, who = clock.zone(patient.site), asked.get("who")
    return render(
        request,
        "patients/history.html",
        {
            "place": "patients",
            "tab": "history",
            "patient": patient,
            "header": selectors.header(patient, request.user),
            "history": found,
            "days": _by_day(found.revisions, zone, clock.today_at(patient.site)),
            "zone": zone,
            "show": asked.get("show", ""),
            "who": who,
            "who_name": next((person.shown_name for person in found.people if person.pk == who), ""),
            "before": asked.get("before"),
            "shown": shown,
            "moved_url": moved_url(number) if number else "",
            "elsewhere": _("%(n)s more rows are not of this subject.") % {"n": f"{shown.rows_elsewhere:,}"}
            if shown
            else "",
        },
    )


@dataclass(frozen=True, slots=True)
class Day:
    """The revisions of one day at the site."""

    day: date
    is_today: bool
    revisions: tuple[trail.Listed, ...]


def _by_day(revisions: Sequence[trail.Listed], zone: ZoneInfo, today: date) -> list[Day]:
    by_day = groupby(revisions, key=lambda listed: listed.revision.made_at.astimezone(zone).date())
    return [Day(day, day == today, tuple(those)) for day, those in by_day]
