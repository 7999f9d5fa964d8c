"""Snapshots: freeze, list, verify, compare, take away."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from analytics import looks, selectors, snapshot_diff, snapshots
from analytics.exports import taken
from analytics.models import Snapshot
from patients import selectors as subjects
from trial import address, idempotency, protocol
from trial import selectors as trail
from trial.models import User
from trial.roles import Permission, allowed, requires


class FreezeForm(forms.Form):
    """What a snapshot is called and what it is for."""

    title = forms.CharField(label=_("Title"), max_length=120)
    purpose = forms.CharField(
        label=_("Purpose"),
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("For example: interim analysis for the safety board, manuscript as submitted."),
    )
    paper = forms.BooleanField(
        label=_("Draw the tables and figures of the paper into it"), required=False, initial=True
    )


@requires(Permission.VIEW_ANALYSIS)
@require_safe
def listing(request: HttpRequest) -> HttpResponse:
    """List every snapshot, newest first, and offer to freeze one."""
    return _listing(request, FreezeForm())


@requires(Permission.FREEZE_RESULTS)
def freeze(request: HttpRequest) -> HttpResponse:
    """Freeze the results as they stand: a job does it and leads to the snapshot."""
    assert isinstance(request.user, User)
    form = FreezeForm(request.POST or None)
    if request.method != "POST" or not form.is_valid():
        return _listing(request, form, status=422 if request.method == "POST" else 200)
    job = idempotency.queue_once(request, "snapshot", by=request.user, parameters=form.cleaned_data)
    return redirect("trial:job", job_id=job.pk)


def _listing(request: HttpRequest, form: FreezeForm, status: int = 200) -> HttpResponse:
    freshness = selectors.freshness()
    context = {
        "place": "analysis",
        "snapshots": list(snapshots.every()[:200]),
        "form": form if allowed(request.user, Permission.FREEZE_RESULTS) else None,
        "submission_key": idempotency.key_of(request),
        "freshness": freshness,
        "zone": trail.reader(request.user).zone,
    }
    answer = render(request, "analytics/snapshots.html", context, status=status)
    looks.remember(request.user, "snapshots", freshness.shown)
    return answer


@requires(Permission.VIEW_ANALYSIS)
@require_safe
def snapshot(request: HttpRequest, snapshot_id: int) -> HttpResponse:
    """Show what a snapshot holds; ``check=1`` computes all its hashes again."""
    frozen = _one(snapshot_id)
    manifest = json.loads(frozen.manifest)
    checked = snapshots.verify(frozen) if address.is_on(request.GET, "check") else None
    context = {
        "place": "analysis",
        "snapshot": frozen,
        "checked": checked,
        "files": manifest["files"],
        "environment": manifest["environment"].items(),
        "same": [s for s in snapshots.every().filter(sha256=frozen.sha256) if s.pk != frozen.pk],
        "others": [s for s in snapshots.every()[:200] if s.pk != frozen.pk],
        "other": address.number(request.GET, "with"),
        "is_same_code": snapshots.is_same_code(frozen),
        "may_take": allowed(request.user, Permission.EXPORT_FILES),
        "zone": trail.reader(request.user).zone,
    }
    return render(request, "analytics/snapshot.html", context)


@requires(Permission.VIEW_ANALYSIS)
@require_safe
def compared(request: HttpRequest, snapshot_id: int) -> HttpResponse:
    """Show what differs now, or in the snapshot named by ``with``; a part of the page, or a page."""
    assert isinstance(request.user, User)
    frozen, asked = _one(snapshot_id), address.number(request.GET, "with")
    other = _one(asked) if asked is not None else None
    made = snapshot_diff.since(frozen, other)
    found = made.body
    seen = set(subjects.patients(request.user).values_list("subject_id", flat=True))
    labs = [lab for lab in found["labs"] if lab["subject"] in seen]
    changed = [each for each in found["subjects"] if each["subject"] in seen or request.user.sees_all_sites]
    context = {
        "place": "analysis",
        "snapshot": frozen,
        "other": other,
        "found": found,
        "labs": [
            {**lab, "label": _(protocol.label_of(lab["analyte"])), "unit": protocol.unit_of(lab["analyte"])}
            for lab in labs
        ],
        "labs_further": found["counts"]["labs"] - len(labs),
        "subjects": changed,
        "subjects_further": found["counts"]["subjects"] - len(changed),
        "cells": [_shown(cell) for cell in found["cells"]],
        "cells_further": found["counts"]["cells"] - len(found["cells"]),
        "made": made,
        "behind": 0 if other else selectors.freshness().behind,
    }
    name = "_snapshot_diff" if getattr(request, "htmx", False) else "snapshot_diff"
    return render(request, f"analytics/{name}.html", context)


@requires(Permission.EXPORT_FILES)
@require_safe
def archive(request: HttpRequest, snapshot_id: int) -> HttpResponseBase:
    """Send the archive as it was frozen."""
    assert isinstance(request.user, User)
    frozen = _one(snapshot_id)
    if request.method == "GET":
        taken.note_snapshot(frozen, by=request.user, source="browser")
    answer = StreamingHttpResponse(snapshots.archive(frozen), content_type="application/zip")
    answer.headers["Content-Length"] = str(frozen.size)
    answer.headers["Content-Disposition"] = f'attachment; filename="{snapshots.file_name(frozen)}"'
    return answer


def _shown(cell: Mapping[str, Any]) -> dict[str, Any]:
    """Add the words of a comparison; a change within a group has one n."""
    return {
        **cell,
        "label": _(protocol.label_of(cell["analyte"])),
        "measure_label": _(protocol.MEASURE_LABELS[protocol.Measure(cell["measure"])]),
        "population_label": _(protocol.POPULATION_LABELS[protocol.Population(cell["population"])]),
        "n_old": [n for n in cell["n_old"] if n],
        "n_new": [n for n in cell["n_new"] if n],
    }


def _one(snapshot_id: int) -> Snapshot:
    try:
        return snapshots.by_id(snapshot_id)
    except snapshots.Unknown as error:
        raise Http404 from error
