"""Long work: its progress and its file, for the person who started it."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render

from trial.models import Job, User
from trial.roles import Permission, requires


@requires(Permission.USE_ACCOUNT)
def job(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """Show how far a job is."""
    return render(request, "trial/job.html", {"job": _own(request, job_id)})


@requires(Permission.USE_ACCOUNT)
def job_file(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """Send the file a job made."""
    return render(request, "trial/job.html", {"job": _own(request, job_id)}, status=404)


def _own(request: HttpRequest, job_id: UUID) -> Job:
    assert isinstance(request.user, User)
    return get_object_or_404(Job.objects.visible_to(request.user), pk=job_id)
