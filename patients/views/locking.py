"""The data manager's pages: locking visits and casebooks, freezing sites."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from patients import locks, marks, selectors, site_progress
from patients.actions import locking
from patients.models import Patient, Visit
from patients.verifications import visits_of
from trial import clock, idempotency
from trial.refusals import Refused
from trial.roles import Permission, requires
from trial.templatetags.cordline import weeks

CASEBOOK = "casebook"


@requires(Permission.LOCK)
def lock_records(request: HttpRequest, subject_id: str) -> HttpResponse:
    """Show what is locked of a subject, by whom and why; a POST locks or unlocks one thing."""
    patient = selectors.patient_or_404(request.user, subject_id)
    visits = visits_of(patient)
    if request.method != "POST":
        return _page(request, patient, visits)
    target, reason = request.POST.get("target", ""), request.POST.get("reason", "")
    visit = next((each for each in visits if str(each.pk) == target), None)
    try:
        with idempotency.once(request, by=request.user) as attempt:
            if attempt.is_repeated:
                pass
            elif visit is not None:
                act = locking.unlock_visit if _was_locked(request, target, visit) else locking.lock_visit
                act(visit=visit, by=request.user, reason=reason)
            elif target == CASEBOOK:
                is_locked = _was_locked(request, target, patient)
                turn = locking.unlock_casebook if is_locked else locking.lock_casebook
                turn(patient=patient, by=request.user, reason=reason)
            else:
                return _page(request, patient, visits, status=422, missing=True)
    except Refused as refused:
        return _page(request, patient, visits, status=422, refused=refused)
    messages.success(request, _said(patient, visit))
    return redirect("patients:lock", subject_id)


def _was_locked(request: HttpRequest, target: str, record: Visit | Patient) -> bool:
    """Say whether a record was locked when the page was made: sent twice, a lock does not open again."""
    if "locked" in request.POST:
        return target in request.POST["locked"].split()
    return record.locked_at is not None


def _said(patient: Patient, visit: Visit | None) -> str:
    """Return what stands now: the visit, or the casebook, is locked or open again."""
    found = visit or patient
    found.refresh_from_db(fields=["locked_at"])
    if found.locked_at:
        said = _("%(site)s is locked. The reason is in the history.")
    else:
        said = _("%(site)s is open again. The reason is in the history.")
    return capfirst(said % {"site": weeks(visit.week) if visit else _("the whole casebook")})


def _page(
    request: HttpRequest,
    patient: Patient,
    visits: list[Visit],
    *,
    status: int = 200,
    refused: Refused | None = None,
    missing: bool = False,
) -> HttpResponse:
    by_visit = marks.of_visits(patient, visits)
    problems = [problem.in_words for problem in refused.problems] if refused else []
    if missing:
        problems.append(_("Nothing is chosen. Choose a visit or the casebook."))
    context = {
        "place": "patients",
        "tab": "signatures",
        "patient": patient,
        "header": selectors.header(patient, request.user),
        "marks": marks.of_casebook(patient),
        "casebook_lock": locks.lock_on(patient) if patient.locked_at else None,
        "site_lock": locks.site_lock(patient.site),
        "visits": [
            {
                "visit": visit,
                "marks": by_visit[visit.pk],
                "lock": locks.lock_on(patient, visit) if visit.locked_at else None,
                "is_chosen": request.POST.get("target") == str(visit.pk),
            }
            for visit in visits
        ],
        "casebook_chosen": request.POST.get("target") == CASEBOOK,
        "reason": request.POST.get("reason", ""),
        "problems": problems,
        "zone": clock.zone(patient.site),
        "key": idempotency.key_of(request),
        "key_field": idempotency.FIELD,
    }
    return render(request, "patients/lock.html", context, status=status)


@requires(Permission.LOCK)
@require_safe
def sites(request: HttpRequest) -> HttpResponse:
    """List the sites with how far they are verified, signed and locked."""
    context = {"place": "patients", "rows": site_progress.of_sites(request.user)}
    return render(request, "patients/sites.html", context)


@requires(Permission.LOCK)
def freeze(request: HttpRequest, site_code: str) -> HttpResponse:
    """Freeze a site, or open it again; asked for its reason on a page of its own."""
    site = site_progress.site_or_404(request.user, site_code)
    problems: list[str] = []
    if request.method == "POST":
        was_frozen = bool(request.POST.get("frozen", site.frozen_at))
        act = locking.unfreeze_site if was_frozen else locking.freeze_site
        try:
            with idempotency.once(request, by=request.user) as attempt:
                if not attempt.is_repeated:
                    act(site=site, by=request.user, reason=request.POST.get("reason", ""))
        except Refused as refused:
            problems = [problem.in_words for problem in refused.problems]
        else:
            site.refresh_from_db(fields=["frozen_at"])
            said = (
                _("%(site)s is frozen. The reason is in the history.")
                if site.frozen_at
                else _("%(site)s is open again. The reason is in the history.")
            )
            messages.success(request, said % {"site": site.name})
            return redirect("patients:sites")
    context = {
        "place": "patients",
        "site": site,
        "lock": locks.site_lock(site),
        "patients": site_progress.subjects_at(request.user, site),
        "zone": clock.zone(site),
        "problems": problems,
        "reason": request.POST.get("reason", ""),
        "key": idempotency.key_of(request),
        "key_field": idempotency.FIELD,
    }
    return render(request, "patients/freeze.html", context, status=422 if problems else 200)
