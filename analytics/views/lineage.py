"""From a number to what it rests on, and from a revision to what it moved."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from analytics import cell_history, looks, moved, moves, score_history, selectors
from analytics.cells import AGE, SEX
from analytics.views.asked import cell_key
from patients import selectors as subjects
from trial import address, clock, protocol
from trial import selectors as trail
from trial.protocol import Measure, Population
from trial.roles import Permission, requires

PAIRS = {protocol.contrast_key(pair): pair for pair in protocol.CONTRASTS}


@requires(Permission.VIEW_CLINICAL)
@require_safe
def value(request: HttpRequest, subject_id: str, week: int, analyte: str) -> HttpResponse:
    """Go to the history of one measured value; a score has a page of its own with its inputs."""
    if week not in protocol.VISIT_AT or analyte not in protocol.MEASURED:
        raise Http404
    patient = subjects.patient_or_404(request.user, subject_id)
    if analyte in protocol.ANALYTES:
        return redirect("patients:value_history", subject_id=subject_id, week=week, analyte=analyte)
    return render(
        request,
        "analytics/score_history.html",
        {
            "place": "patients",
            "tab": "labs",
            "patient": patient,
            "header": subjects.header(patient, request.user),
            "versions": score_history.of(patient, week, analyte),
            "label": _(protocol.label_of(analyte)),
            "week": week,
            "zone": clock.zone(patient.site),
        },
    )


@requires(Permission.VIEW_ANALYSIS)
@require_safe
def history(request: HttpRequest) -> HttpResponse:
    """Show every stored version of one comparison, and what moved it."""
    key = cell_key(request)
    with selectors.one_moment():
        found = cell_history.of(key, request.user)
        freshness = selectors.freshness()
        answer = render(
            request,
            "analytics/cell_history.html",
            {
                "place": "analysis",
                "key": key,
                "pair": protocol.contrast_key((key.group1, key.group2)) if key.between else "",
                "label": moved.weeks_label(key.week_from, key.week_to),
                "analyte_label": _(protocol.label_of(key.analyte)),
                "measure_label": protocol.MEASURE_LABELS.get(Measure(key.measure), key.measure),
                "population_label": protocol.POPULATION_LABELS[Population(key.population)],
                "decimals": protocol.decimals_of(key.analyte) if key.analyte in protocol.MEASURED else 1,
                "unit": protocol.unit_of(key.analyte),
                "has_rows": key.analyte in (*protocol.MEASURED, AGE, SEX),
                "found": found,
                "freshness": freshness,
                "zone": trail.reader(request.user).zone,
                "query": request.GET.urlencode(),
                "may_compare": key.between and key.measure in (Measure.LEVEL, Measure.INTERVAL, Measure.CUMULATIVE),
            },
        )  # fmt: skip
    looks.remember(request.user, "history", freshness.shown)
    return answer


@requires(Permission.VIEW_ANALYSIS)
@require_safe
def feed(request: HttpRequest) -> HttpResponse:
    """List what each revision moved, newest first."""
    asked = request.GET
    population = asked.get("population", "") or Population.TREATED.value
    contrast, analyte = asked.get("contrast", ""), asked.get("analyte", "")
    unknown_pair = contrast and contrast not in PAIRS
    if unknown_pair or population not in set(Population) or (analyte and analyte not in protocol.MEASURED):
        raise Http404
    group1, group2 = PAIRS.get(contrast, ("", ""))
    only = address.is_on(asked, "only")
    wanted = moves.Wanted(population, group1, group2, analyte, only)
    at = address.number(asked, "at")
    with selectors.one_moment():
        freshness = selectors.freshness()
        context = {
            "place": "analysis",
            "feed": moves.feed(request.user, wanted, before=address.number(asked, "before"), at=at),
            "at": at,
            "before": address.number(asked, "before"),
            "contrast": contrast,
            "analyte": analyte,
            "only": only,
            "population": population,
            "pairs": [(code, " \N{EN DASH} ".join(pair)) for code, pair in PAIRS.items()],
            "analytes": [(code, _(protocol.label_of(code))) for code in protocol.MEASURED],
            "populations": [(one.value, protocol.POPULATION_LABELS[one]) for one in Population],
            "is_narrowed": bool(contrast or analyte or only or population != Population.TREATED),
            "freshness": freshness,
            "zone": trail.reader(request.user).zone,
        }
        answer = render(request, "analytics/moves.html", context)
    looks.remember(request.user, "moves", freshness.shown)
    return answer
