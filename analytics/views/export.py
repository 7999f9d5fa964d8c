"""Take datasets away: choose, wait, download."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from analytics.forms import ExportForm
from trial import jobs
from trial.models import User
from trial.roles import Permission, requires


@requires(Permission.EXPORT_FILES)
def export(request: HttpRequest) -> HttpResponse:
    """Choose what to export; the work itself is a job."""
    assert isinstance(request.user, User)
    form = ExportForm(request.POST or None, user=request.user)
    if request.method == "POST" and form.is_valid():
        names = form.cleaned_data["datasets"]
        title = _("%(datasets)s as CSV") % {"datasets": ", ".join(names)}
        job = jobs.queue("export", request.user, {**form.cleaned_data, "title": title})
        return redirect("trial:job", job_id=job.pk)
    status = 422 if form.is_bound else 200
    context = {"place": "data", "form": form, "recent": jobs.latest(request.user, ["export"])}
    return render(request, "analytics/export.html", context, status=status)
