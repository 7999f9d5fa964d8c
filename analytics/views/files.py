"""Files in: choose one, look at what it would do, decide, commit. Nothing is written before the last step."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from analytics import imports
from analytics.forms import CommitForm, UploadForm
from trial import jobs
from trial.models import Job, User
from trial.roles import Permission, requires

IMPORT_JOBS = ("import_preview", "import_commit")
_TAKE = "take:"
_LEAVE = "leave:"


@requires(Permission.EXPORT_FILES)
def data(request: HttpRequest) -> HttpResponse:
    """Show the ways in and out, and what was brought in or taken away lately."""
    user = _user(request)
    may_import = user.may(Permission.IMPORT_FILES)
    context = {
        "place": "data",
        "form": UploadForm() if may_import else None,
        "imports": jobs.latest(user, IMPORT_JOBS) if may_import else [],
        "exports": jobs.latest(user, ["export"]),
        "most_megabytes": settings.LARGEST_UPLOAD // 2**20,
    }
    return render(request, "analytics/data.html", context)


@requires(Permission.IMPORT_FILES)
def import_file(request: HttpRequest) -> HttpResponse:
    """Take a file; a job reads it and says what importing it would do."""
    user = _user(request)
    form = UploadForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        upload = form.cleaned_data["file"]
        name = "".join(letter if letter.isprintable() else "_" for letter in upload.name)
        job = jobs.queue(
            "import_preview",
            user,
            {
                "kind": form.cleaned_data["kind"],
                "name": name,
                "title": name,
                "site": user.site.code if user.site else "",
                "options": form.options(),
            },
            upload=upload.chunks(),
        )
        return redirect("analytics:import_preview", job_id=job.pk)
    context = {
        "place": "data",
        "form": form,
        "described": imports.described(),
        "imports": jobs.latest(user, IMPORT_JOBS),
        "most_megabytes": settings.LARGEST_UPLOAD // 2**20,
    }
    return render(request, "analytics/import.html", context, status=422 if request.method == "POST" else 200)


@requires(Permission.IMPORT_FILES)
def import_preview(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """Show the piles of a file; a POST commits it with the choices made."""
    user = _user(request)
    job = _own(user, job_id)
    if job.kind not in IMPORT_JOBS:
        return redirect("trial:job", job_id=job.pk)
    form = CommitForm(
        request.POST or None, initial={"reason": imports.default_reason(job.parameters["name"])}
    )
    if request.method == "POST" and _may_be_committed(job) and form.is_valid():
        commit = jobs.queue(
            "import_commit",
            user,
            {
                "preview": str(job.pk),
                "kind": job.parameters["kind"],
                "name": job.parameters["name"],
                "title": job.parameters["name"],
                "site": job.parameters.get("site", ""),
                "options": job.parameters.get("options", {}),
                "reason": form.cleaned_data["reason"],
                "overwrite": form.cleaned_data["overwrite"],
                "consents": _consents(request, job),
                "left_out": _left_out(request, job),
            },
        )
        return redirect("analytics:import_preview", job_id=commit.pk)
    context = {
        "place": "data",
        "job": job,
        "form": form,
        "piles": imports.piles(job),
        "needs": imports.needs(job),
        "may_commit": _may_be_committed(job),
    }
    status = 422 if request.method == "POST" else 200
    answer = render(request, "analytics/import_preview.html", context, status=status)
    if getattr(request, "htmx", False) and job.finished_at:
        answer["HX-Refresh"] = "true"  # the waiting part asked; the finished page is another one
    return answer


@requires(Permission.IMPORT_FILES)
def import_refused(request: HttpRequest, job_id: UUID) -> HttpResponseBase:
    """Send the refused rows as a file to mend."""
    return _file(request, job_id, imports.MEND, _("%(name)s, refused rows.csv"))


@requires(Permission.IMPORT_FILES)
def import_report(request: HttpRequest, job_id: UUID) -> HttpResponseBase:
    """Send the whole report as JSON."""
    return _file(request, job_id, imports.REPORT, _("%(name)s, report.json"))


def _file(request: HttpRequest, job_id: UUID, name: str, shown: str) -> HttpResponseBase:
    job = _own(_user(request), job_id)
    path = jobs.file_of(job, name)
    if path is None or job.kind not in IMPORT_JOBS:
        return redirect("analytics:import_preview", job_id=job.pk)
    stem = str(job.parameters["name"]).rpartition(".")[0] or job.parameters["name"]
    return FileResponse(path.open("rb"), as_attachment=True, filename=shown % {"name": stem})


def _may_be_committed(job: Job) -> bool:
    return (
        job.kind == "import_preview"
        and job.status == Job.Status.DONE
        and "file_refused" not in job.result
        and jobs.file_of(job, jobs.UPLOAD) is not None
    )


def _consents(request: HttpRequest, job: Job) -> list[tuple[int, str]]:
    """Return the conflicts for which the file was chosen; only those that were shown count."""
    shown = [(found["line"], found["field"]) for found in job.result.get("conflict", [])]
    return [(line, field) for line, field in shown if request.POST.get(f"{_TAKE}{line}:{field}") == "file"]


def _left_out(request: HttpRequest, job: Job) -> list[tuple[int, str]]:
    """Return the values in doubt that stay out of the import; only those that were shown count."""
    shown = [(found["line"], found["field"]) for found in job.result.get("warned", [])]
    return [(line, field) for line, field in shown if request.POST.get(f"{_LEAVE}{line}:{field}") == "out"]


def _own(user: User, job_id: UUID) -> Job:
    job = jobs.own(user, job_id)
    if job is None:
        raise Http404
    return job


def _user(request: HttpRequest) -> Any:
    return request.user
