"""A subject's trend: the page a hepatologist reads between two beds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from analytics import selectors as results
from analytics import trend as reads
from analytics import trend_figure, trend_group
from analytics.trend import TrendPage, Wanted
from patients import selectors
from patients.models import Patient
from trial import address, synthetic_label
from trial.protocol import POPULATION_LABELS
from trial.roles import Permission, requires

CONTENT_TYPES: Mapping[str, str] = {"png": "image/png", "pdf": "application/pdf", "svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class Switch:
    """One switch of the page: whether it is on, and the address that turns it."""

    name: str
    on: bool
    url: str


@requires(Permission.VIEW_CLINICAL)
@require_safe
def trend(request: HttpRequest, subject_id: str) -> HttpResponse:
    """Show small multiples of one subject on one time axis, and the same values as a table."""
    patient = selectors.patient_or_404(request.user, subject_id)
    wanted = _wanted(request)
    shares = _shares(patient, wanted)
    with results.one_moment():
        page = reads.trend(patient, today=selectors.today_at(patient.site), wanted=wanted, shares=shares)
        context = {
            "place": "patients",
            "tab": "trend",
            "patient": patient,
            "header": selectors.header(patient, request.user),
            "page": page,
            "on": wanted,
            "switches": {name: _switch(request, name, wanted) for name in asdict(wanted)},
            "query": _query(asdict(wanted)),
            "population": _(POPULATION_LABELS[trend_group.POPULATION]),
            "may_history": request.user.may(Permission.VIEW_AUDIT),
        }
        return render(request, "analytics/trend.html", context)


@requires(Permission.VIEW_CLINICAL)
@require_safe
def download(request: HttpRequest, subject_id: str, form: str) -> HttpResponse:
    """Return the figure as a file, drawn as the page's address says."""
    from analytics import trend_paper

    patient = selectors.patient_or_404(request.user, subject_id)
    wanted = _wanted(request)
    shares = _shares(patient, wanted)
    with results.one_moment():
        page = reads.trend(
            patient,
            today=selectors.today_at(patient.site),
            wanted=wanted,
            shares=shares,
            sheet=trend_figure.PAPER,
        )
    content = trend_paper.drawn(page, _labels(patient, page, wanted), form)
    response = HttpResponse(content, content_type=CONTENT_TYPES[form])
    name = f"{patient.subject_id}_trend_r{page.revision}.{form}"
    safe = "".join(
        letter if letter.isascii() and (letter.isalnum() or letter in "-_.") else "_" for letter in name
    )
    response["Content-Disposition"] = f'attachment; filename="{safe}"'
    return response


def _labels(patient: Patient, page: TrendPage, wanted: Wanted) -> dict[str, str]:
    """Return the sentences around a figure that leaves the page."""
    group = ""
    if page.group_n and not wanted.bare:
        group = _("group %(group)s, median and quartiles (n = %(n)s)") % {
            "group": page.group,
            "n": f"{page.group_from}\N{EN DASH}{page.group_n}"
            if page.group_from != page.group_n
            else page.group_n,
        }
    scale = _("%% of week 0") % {} if wanted.relative else ""
    return {
        "title": patient.subject_id,
        "axis": _("date") if wanted.dates else page.axis,
        "group": group,
        "scale": scale,
        "is_dated": "1" if wanted.dates else "",
        "reference": "" if wanted.relative or wanted.unbanded else page.reference,
        "hollow": _("drawn within 48 h after plasma") if page.has_hollow else "",
        "limit": _("reported below or above a limit") if page.has_limits else "",
        "left_out": _("after the end of observation, not analysed") if page.has_left_out else "",
        "empty": _("Nothing measured yet."),
        "dates": _("study day of draw") if wanted.dates else _("date of draw"),
        "baseline": _("no value at week 0"),
        "today": _("today"),
        "latest": _("%(latest)s, vs week 0") % {"latest": page.figure.latest} if page.figure else "",
        "infusions": _("Infusions"),
        "revision": _("as of revision %(number)s") % {"number": page.revision},
        "synthetic": _("Synthetic data, no real patient") if synthetic_label.is_on() else "",
    }


def _wanted(request: HttpRequest) -> Wanted:
    return Wanted(**{name: address.is_on(request.GET, name) for name in asdict(Wanted())})


def _shares(patient: Patient, wanted: Wanted) -> trend_group.Around | None:
    # outside the snapshot of the page, because what is worked out is kept
    if not wanted.relative:
        return None
    if wanted.bare:
        return trend_group.Around({}, 0)
    group = reads.group_of(patient)
    return trend_group.shares(group) if group else trend_group.Around({}, 0)


def _switch(request: HttpRequest, name: str, wanted: Wanted) -> Switch:
    turned = {**asdict(wanted), name: not getattr(wanted, name)}
    return Switch(name, getattr(wanted, name), request.path + _query(turned))


def _query(on: Mapping[str, bool]) -> str:
    query = "&".join(f"{key}=1" for key, value in on.items() if value)
    return f"?{query}" if query else ""
