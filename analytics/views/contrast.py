"""One contrast as figure and table, and the rows behind any of its numbers."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from analytics import contrast_page, selectors
from analytics.contrasts import CellKey
from analytics.views.moment import at_one_moment
from trial import protocol
from trial.protocol import Measure, Population
from trial.roles import Permission, requires

PAIRS = {protocol.contrast_key(pair): pair for pair in protocol.CONTRASTS}
MEASURES = {
    Measure.LEVEL: _("Level"),
    Measure.INTERVAL: _("Interval"),
    Measure.CUMULATIVE: _("Cumulative"),
}
POPULATIONS = {
    Population.ELIGIBLE: _("Eligible"),
    Population.TREATED: _("Treated"),
    Population.LANDMARK: _("Landmark, day 28"),
}


@requires(Permission.VIEW_ANALYSIS)
def analysis(request: HttpRequest) -> HttpResponse:
    """Go to the primary contrast."""
    return redirect(
        "analytics:contrast",
        contrast=protocol.contrast_key(protocol.PRIMARY_CONTRAST),
        analyte=protocol.PRIMARY_ANALYTE,
        measure=Measure.INTERVAL.value,
    )


@requires(Permission.VIEW_ANALYSIS)
@at_one_moment
def contrast(request: HttpRequest, contrast: str, analyte: str, measure: str) -> HttpResponse:
    """Show a contrast of one quantity over its weeks."""
    if contrast not in PAIRS or analyte not in protocol.MEASURED or measure not in MEASURES:
        raise Http404
    population = _population(request)
    here = {"contrast": contrast, "analyte": analyte, "measure": measure}
    context = {
        "place": "analysis",
        "page": contrast_page.contrast(PAIRS[contrast], analyte, Measure(measure), population),
        "analyte_label": protocol.label_of(analyte),
        "measure_label": protocol.MEASURE_LABELS[Measure(measure)],
        "population": population.value,
        "population_label": protocol.POPULATION_LABELS[population],
        "contrasts": [
            {
                "label": " \N{EN DASH} ".join(pair),
                "on": key == contrast,
                "url": _url(here, population, contrast=key),
            }
            for key, pair in PAIRS.items()
        ],
        "analytes": [
            {
                "label": protocol.label_of(code),
                "on": code == analyte,
                "url": _url(here, population, analyte=code),
            }
            for code in protocol.MEASURED
        ],
        "measures": [
            {
                "value": one.value,
                "label": label,
                "on": one == measure,
                "url": _url(here, population, measure=one.value),
            }
            for one, label in MEASURES.items()
        ],
        "populations": [
            {"value": one.value, "label": POPULATIONS[one], "on": one is population, "url": _url(here, one)}
            for one in Population
        ],
    }
    return render(request, "analytics/contrast.html", context)


@requires(Permission.VIEW_ANALYSIS)
@at_one_moment
def rows(request: HttpRequest) -> HttpResponse:
    """List the subjects whose values a cell is made of."""
    asked = request.GET
    try:
        key = CellKey(
            Population(asked.get("population", "")).value,
            Measure(asked.get("measure", "")).value,
            asked.get("group1", ""),
            asked.get("group2", ""),
            asked.get("analyte", ""),
            int(asked.get("week_from", "")),
            int(asked.get("week_to", "")),
        )
    except ValueError as error:
        raise Http404 from error
    groups = {key.group1, key.group2} - {""}
    weeks_known = {key.week_from, key.week_to} <= set(protocol.WEEKS)
    if not groups <= set(protocol.STRATA) or key.analyte not in protocol.MEASURED or not weeks_known:
        raise Http404
    context = {
        "place": "analysis",
        "key": key,
        "label": contrast_page.span_label(key),
        "analyte_label": protocol.label_of(key.analyte),
        "measure_label": protocol.MEASURE_LABELS[Measure(key.measure)],
        "is_difference": key.measure != Measure.LEVEL,
        "decimals": protocol.decimals_of(key.analyte),
        "rows": contrast_page.rows_behind(key),
        "freshness": selectors.freshness(),
    }
    return render(request, "analytics/rows.html", context)


def _population(request: HttpRequest) -> Population:
    asked = request.GET.get("population", Population.TREATED.value)
    try:
        return Population(asked)
    except ValueError as error:
        raise Http404 from error


def _url(here: dict[str, str], population: Population, **changed: str) -> str:
    address = reverse("analytics:contrast", kwargs={**here, **changed})
    return address if population is Population.TREATED else f"{address}?population={population.value}"
