"""Take datasets away: choose, wait, download."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from analytics import export_page
from analytics.datasets import DATASETS
from analytics.export_form import ExportForm
from analytics.exports.formats import FORMATS
from trial import address, idempotency
from trial import selectors as trail
from trial.models import User
from trial.roles import Permission, requires


@requires(Permission.EXPORT_FILES)
def export(request: HttpRequest) -> HttpResponse:
    """Choose what to export; the work itself is a job."""
    assert isinstance(request.user, User)
    named = address.some_of(request.GET, "dataset", DATASETS)
    form = ExportForm(request.POST or None, user=request.user, initial={"datasets": named} if named else None)
    if request.method == "POST" and form.is_valid():
        wanted = {**form.wanted(), "title": _title(form)}
        job = idempotency.queue_once(request, "export", by=request.user, parameters=wanted)
        return redirect("trial:job", job_id=job.pk)
    lines = export_page.lines()
    sizes = export_page.sizes(lines)
    context = {
        "place": "data",
        "form": form,
        "submission_key": idempotency.key_of(request),
        "lines": lines,
        "ticked": form["datasets"].value() or [],
        "formats": [{"format": each, "bytes": sizes[code]} for code, each in FORMATS.items()],
        "format_now": form["format"].value(),
        "recent": [(job, export_page.kept_until(job)) for job in export_page.own_jobs(request.user)],
        "log": list(export_page.log(request.user)),
        "sees_all": request.user.may(Permission.EXPORT_IDENTIFIED),
        "zone": trail.reader(request.user).zone,
    }
    return render(request, "analytics/export.html", context, status=422 if form.is_bound else 200)


def _title(form: ExportForm) -> str:
    said = form.cleaned_data
    if said.get("snapshot"):
        return _("Snapshot %(number)s") % {"number": said["snapshot"].pk}
    names = said["datasets"]
    every = len(names) == len(form.fields["datasets"].choices)  # type: ignore[attr-defined]
    told = {
        "datasets": _("all datasets") if every else ", ".join(names),
        "format": _(FORMATS[said["format"]].label),
    }
    if said.get("identified"):
        return _("%(datasets)s as %(format)s, identified") % told
    return _("%(datasets)s as %(format)s") % told
