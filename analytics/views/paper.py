"""The paper set: a page, its files one by one, and all of them as a job."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from analytics import looks, paper_drawing, paper_set, paper_words, selectors
from analytics.paper_figures import Cluster, Picture
from trial import jobs, protocol
from trial.models import User
from trial.protocol import Population
from trial.roles import Permission, requires

CONTENT_TYPES = {
    "svg": "image/svg+xml",
    "pdf": "application/pdf",
    "png": "image/png",
    "html": "text/html; charset=utf-8",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
}
LOOK = "paper"


@requires(Permission.VIEW_ANALYSIS)
def paper(request: HttpRequest) -> HttpResponse:
    """Show Tables 1 to 4, Figures 1 to 5 and the methods paragraph."""
    assert isinstance(request.user, User)
    population = _population(request)
    with selectors.one_moment():
        found = paper_set.read(population)
        freshness = selectors.freshness()
    if found.has_results:
        looks.remember(request.user, LOOK, found.data.stamp.revision)
    query = f"?population={population.value}"
    context = {
        "place": "analysis",
        "found": found,
        "stamp": found.data.stamp,
        "freshness": freshness,
        "figures": [_with_numbers(picture) for picture in found.pictures],
        "methods": [{"language": language, "words": words} for language, words in found.methods.items()],
        "population": population.value,
        "population_label": protocol.POPULATION_LABELS[population],
        "populations": [
            {
                "label": label,
                "on": one is population,
                "url": f"{reverse('analytics:paper')}?population={one.value}",
            }
            for one, label in _populations()
        ],
        "query": query,
        "forms": paper_drawing.FORMATS,
        "documents": tuple(reversed(paper_set.DOCUMENTS)),
        "widths": list(paper_drawing.WIDTHS.items()),
        "recent": jobs.latest(request.user, ["paper"], most=3),
    }
    return render(request, "analytics/paper.html", context)


@requires(Permission.VIEW_ANALYSIS)
def file(request: HttpRequest, paper_name: str, paper_form: str) -> HttpResponse:
    """Send one table or figure, or the whole set as one document."""
    population = _population(request)
    width = request.GET.get("width", "double")
    is_figure = paper_name in paper_set.FIGURES and paper_form in paper_drawing.FORMATS
    is_document = paper_name in (*paper_set.TABLES, paper_set.WHOLE) and paper_form in paper_set.DOCUMENTS
    if not (is_figure or is_document) or width not in paper_drawing.WIDTHS:
        raise Http404
    with selectors.one_moment():
        found = paper_set.read(population)
    if is_figure:
        picture = found.pictures[paper_set.FIGURES.index(paper_name)]
        content = paper_set.drawn(found, picture, width, paper_form)
        stem = f"{paper_name}-{width}"
    else:
        content = paper_set.document(found, paper_name, paper_form)
        stem = paper_name
    answer = HttpResponse(content, content_type=CONTENT_TYPES[paper_form])
    name = f"{stem}-{population.value}-r{found.data.stamp.revision}.{paper_form}"
    # always a download: a page that opened by itself would lie outside the rules for pages
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


@requires(Permission.VIEW_ANALYSIS)
@require_POST
def everything(request: HttpRequest) -> HttpResponse:
    """Start the job that writes every file of the set into one archive."""
    assert isinstance(request.user, User)
    population = _population(request)
    title = _("Paper set, %(population)s") % {"population": _(protocol.POPULATION_LABELS[population])}
    job = jobs.queue("paper", request.user, {"population": population.value, "title": title})
    return redirect("trial:job", job_id=job.pk)


def _population(request: HttpRequest) -> Population:
    asked = request.POST.get("population") or request.GET.get("population", Population.TREATED.value)
    try:
        return Population(asked)
    except ValueError as error:
        raise Http404 from error


def _populations() -> list[tuple[Population, str]]:
    return [
        (Population.ELIGIBLE, _("Eligible")),
        (Population.TREATED, _("Treated")),
        (Population.LANDMARK, _("Landmark, day 28")),
    ]


def _with_numbers(picture: Picture) -> dict[str, object]:
    """Return a figure with the rows of the table that says the same in numbers."""
    rows = [
        {
            "panel": f"{panel.letter} {panel.title}".strip(),
            "cluster": cluster,
            "column": column,
            "first": column is cluster.columns[0],
            "tall": len(cluster.columns),
            "decimals": protocol.decimals_of(column.key.analyte),
            "rows_query": paper_words.rows_query(column.key),
            "contrast": _contrast_of(cluster),
            "p_query": paper_words.rows_query(cluster.key) if cluster.key else "",
        }
        for panel in picture.panels
        for cluster in panel.clusters
        for column in cluster.columns
    ]
    has_letters = any(
        column.letter for panel in picture.panels for c in panel.clusters for column in c.columns
    )
    has_pairs = any(panel.has_pairs for panel in picture.panels)
    return {
        "picture": picture,
        "rows": rows,
        "has_letters": has_letters,
        "has_pairs": has_pairs,
        "has_waiting": any(panel.has_waiting for panel in picture.panels),
    }


def _contrast_of(cluster: Cluster) -> str:
    key = cluster.key
    return protocol.contrast_key((key.group1, key.group2)) if key and key.group2 else ""
