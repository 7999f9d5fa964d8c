"""Long work: its progress and its file, for the person who started it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from trial import jobs
from trial.models import Job, User
from trial.roles import Permission, requires

_ASKED_FOR_AT: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "import_preview": ("data", "analytics:import"),
        "import_commit": ("data", "analytics:import"),
        "export": ("data", "analytics:export"),
        "snapshot": ("analysis", "analytics:snapshots"),
        "paper": ("analysis", "analytics:paper"),
    }
)
"""Place in the bar and page where work of each kind is asked for: the way back from it."""

_SAID_IN_MINUTES = 90
"""Seconds from which on minutes say enough."""


@requires(Permission.USE_ACCOUNT)
def job(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """Show how far a job is; a request for the fragment gets the bar alone."""
    found = _own(request, job_id)
    left = jobs.seconds_left(found)
    place, page = _ASKED_FOR_AT.get(found.kind, ("data", "analytics:data"))
    context = {
        "job": found,
        "file": jobs.file_of(found),
        "title": jobs.TITLES.get(found.kind, found.kind),
        "seconds_left": left if left is not None and left > jobs.WORTH_SAYING else None,
        "minutes_left": round(left / 60) if left is not None and left >= _SAID_IN_MINUTES else None,
        "kept_until": jobs.kept_until(found),
        "place": place,
        "back_url": reverse(page),
    }
    if getattr(request, "htmx", False):
        return render(request, "trial/_job_progress.html", context)
    return render(request, "trial/job.html", context)


@requires(Permission.USE_ACCOUNT)
def job_file(request: HttpRequest, job_id: UUID) -> HttpResponseBase:
    """Send the file a job made, always as a download."""
    found = _own(request, job_id)
    if not jobs.may_take_files(found.started_by, found):
        raise PermissionDenied
    path = jobs.file_of(found)
    if path is None:
        return redirect("trial:job", job_id=found.pk)  # which says why there is none
    return FileResponse(
        path.open("rb"),
        as_attachment=True,
        filename=str(found.result.get("download_name") or path.name),
    )


@requires(Permission.USE_ACCOUNT)
@require_POST
def cancel_job(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """Stop a job, or say why it cannot be stopped; asked twice, it is the same."""
    found = _own(request, job_id)
    try:
        jobs.cancel(found)
    except jobs.TooLate as reason:
        messages.warning(request, _("Not cancelled: %(reason)s") % {"reason": reason})
    return redirect("trial:job", job_id=found.pk)


def _own(request: HttpRequest, job_id: UUID) -> Job:
    assert isinstance(request.user, User)
    found = jobs.own(request.user, job_id)
    if found is None:
        raise Http404
    return found
