"""Death and transplantation as competing events, and the models a referee asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from analytics import (
    follow_up,
    looks,
    models_reading,
    selectors,
    survival_figure,
    survival_files,
    survival_reading,
)
from analytics.survival import End
from trial import address, audit, protocol
from trial.protocol import Population
from trial.roles import Permission, requires

PAIRS = {protocol.contrast_key(pair): pair for pair in protocol.CONTRASTS}
POPULATIONS = {Population.ELIGIBLE: gettext_lazy("Eligible"), Population.TREATED: gettext_lazy("Treated")}
SIDES = {
    "treated": gettext_lazy("as treated, from the first infusion"),
    "landmark": gettext_lazy("landmark, from day 28"),
}
KINDS = {
    "died": gettext_lazy("Death"),
    "transplanted": gettext_lazy("Transplantation"),
    "alive": gettext_lazy("Alive"),
}
ENDS = {
    End.FOLLOWED: gettext_lazy("still followed"),
    End.DIED: gettext_lazy("died"),
    End.TRANSPLANTED: gettext_lazy("transplanted"),
}
HAZARDS = {
    "naive": gettext_lazy("Naive: prolonged from the first day on"),
    "landmark": gettext_lazy("Landmark: by infusions until day 28, time from day 28"),
    "time_dependent": gettext_lazy("As it begins: prolonged from the fifth infusion on"),
}
MOST_LISTED = 500


@requires(Permission.VIEW_ANALYSIS)
@require_safe
def survival(request: HttpRequest) -> HttpResponse:
    """Show the frame of the page; its curves come when they are worked out."""
    return render(request, "analytics/survival.html", _frame(request, "survival"))


@requires(Permission.VIEW_ANALYSIS)
@require_safe
def survival_sheet(request: HttpRequest) -> HttpResponse:
    """Show the curves, numbers at risk and tests; a whole page for a browser without scripts."""
    context = _frame(request, "survival")
    made = survival_reading.stored(context["pair"], context["population"])
    looks.remember(request.user, "survival", made.revision)
    body = made.body
    bands = address.is_on(request.GET, "bands", otherwise=True)
    highest = survival_figure.highest_of(
        [panel for side in body["sides"] for panel in side["panels"] if panel["kind"] != "alive"]
    )
    kinds = []
    for place, panel in enumerate(body["sides"][0]["panels"]):
        top = 1.0 if panel["kind"] == "alive" else highest
        views = [_panel_view(side, side["panels"][place], top) for side in body["sides"]]
        kinds.append({"kind": panel["kind"], "label": KINDS[panel["kind"]], "sides": views})
    context |= {
        "revision": made.revision,
        "kinds": kinds,
        "sides": [{**side, "label": SIDES[side["name"]]} for side in body["sides"]],
        "unfair": body["unfair"],
        "bands": bands,
        "bands_url": _address("survival", context, bands="0" if bands else ""),
        "nobody": not any(group["n"] for side in body["sides"] for group in side["groups"]),
        "looks": looks.of("survival"),
    }
    whole = not request.headers.get("HX-Request")
    return render(
        request,
        "analytics/survival.html" if whole else "analytics/_survival_sheet.html",
        context | {"ready": True},
    )


@requires(Permission.VIEW_ANALYSIS)
@require_safe
def survival_figure_file(request: HttpRequest, kind: str) -> HttpResponse:
    """Send the curves as SVG, PDF or PNG."""
    if kind not in survival_files.KINDS:
        raise Http404
    context = _frame(request, "survival")
    made = survival_reading.stored(context["pair"], context["population"])
    titles = {name: str(words) for name, words in {**SIDES, **KINDS}.items()}
    content = survival_files.figure(made.body, kind, titles, caption=_caption(context, made.revision))
    response = HttpResponse(content, content_type=survival_files.KINDS[kind])
    name = f"cordline-survival-{context['contrast']}-r{made.revision}.{kind}"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@requires(Permission.VIEW_ANALYSIS)
@require_safe
def survival_rows(request: HttpRequest) -> HttpResponse:
    """List the subjects behind the curves and hazards; those of other sites are counted, not named."""
    context = _frame(request, "survival")
    landmark = request.GET.get("side", "treated")
    if landmark not in SIDES:
        raise Http404
    with selectors.one_moment():
        revision = audit.latest_revision()
        who = follow_up.follow(follow_up.courses(), context["population"], landmark=landmark == "landmark")
        who = who.of(context["pair"])
        visible = follow_up.visible(request.user)
    rows = [
        {
            "subject_id": subject,
            "group": who.group[k],
            "days": int(who.days[k]),
            "week": int(who.days[k] + who.origin) // 7,
            "end": ENDS[End(int(who.ends[k]))],
            "is_event": bool(who.ends[k] != End.FOLLOWED),
            "fifth": None if who.fifth[k] != who.fifth[k] else int(who.fifth[k] + who.origin),
        }
        for k, subject in enumerate(who.subject_ids)
        if subject in visible
    ]
    context |= {
        "side": landmark,
        "side_label": SIDES[landmark],
        "revision": revision,
        "rows": rows[:MOST_LISTED],
        "beyond": max(0, len(rows) - MOST_LISTED),
        "elsewhere": len(who.subject_ids) - len(rows),
        "unseen": who.unseen,
    }
    return render(request, "analytics/survival_rows.html", context)


@requires(Permission.EXPORT_FILES)
@require_safe
def follow_up_file(request: HttpRequest) -> HttpResponse:
    """Send the dates behind curves and hazards as CSV, for the subjects the person may see."""
    with selectors.one_moment():
        courses = follow_up.courses()
        visible = follow_up.visible(request.user)
        content = survival_files.table(courses, visible)
    response = HttpResponse(content, content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = 'attachment; filename="follow_up.csv"'
    return response


@requires(Permission.VIEW_ANALYSIS)
@require_safe
def models(request: HttpRequest) -> HttpResponse:
    """Show the frame of the page; the models come when they are fitted."""
    return render(request, "analytics/models.html", _frame(request, "models"))


@requires(Permission.VIEW_ANALYSIS)
@require_safe
def models_sheet(request: HttpRequest) -> HttpResponse:
    """Show the fitted models; a whole page for a browser without scripts."""
    context = _frame(request, "models")
    made = models_reading.stored(context["pair"], context["population"])
    looks.remember(request.user, "models", made.revision)
    body = made.body
    hazards = [{**row, "label": HAZARDS[row["name"]]} for row in body["cox"]["rows"]]
    context |= {
        "revision": made.revision,
        "body": body,
        "left_out": survival_files.said(body["left_out"]),
        "ancova": _with_forest(body["ancova"]),
        "ancova_landmark": _with_forest(body["ancova_landmark"]),
        "mixed": _with_forest(body["mixed"]["rows"]),
        "mixed_notes": [survival_files.said(note) for note in body["mixed"]["notes"]],
        "cox": _with_forest(hazards),
        "cox_note": survival_files.said(body["cox"]["note"]),
        "code": models_reading.r_code(
            context["pair"], context["population"], random_slope=body["mixed"]["random_slope"]
        ),
        "formulas": models_reading.formulas(random_slope=body["mixed"]["random_slope"]),
        "looks": looks.of("models"),
    }
    whole = not request.headers.get("HX-Request")
    return render(
        request,
        "analytics/models.html" if whole else "analytics/_models_sheet.html",
        context | {"ready": True},
    )


# --- what the pages share -------------------------------------------------------------------


def _frame(request: HttpRequest, page: str) -> dict[str, Any]:
    """Return what is compared, from the address; what does not exist is a 404."""
    contrast = request.GET.get("contrast", protocol.contrast_key(protocol.PRIMARY_CONTRAST))
    try:
        population = Population(request.GET.get("population", Population.TREATED.value))
    except ValueError as error:
        raise Http404 from error
    if contrast not in PAIRS or population not in POPULATIONS:
        raise Http404
    context: dict[str, Any] = {
        "place": "analysis",
        "contrast": contrast,
        "pair": PAIRS[contrast],
        "group1": PAIRS[contrast][0],
        "group2": PAIRS[contrast][1],
        "population": population,
        "population_label": protocol.POPULATION_LABELS[population],
        "of_courses": survival_reading.of_courses(PAIRS[contrast]),
        "query": request.GET.urlencode(),
    }
    context["contrasts"] = [
        {
            "label": " \N{EN DASH} ".join(pair),
            "on": key == contrast,
            "url": _address(page, context, contrast=key),
        }
        for key, pair in PAIRS.items()
    ]
    context["populations"] = [
        {"label": label, "on": one is population, "url": _address(page, context, population=one.value)}
        for one, label in POPULATIONS.items()
    ]
    return context


def _address(page: str, context: Mapping[str, Any], **changed: str) -> str:
    asked = {"contrast": context["contrast"], "population": context["population"].value, **changed}
    query = "&".join(f"{name}={value}" for name, value in asked.items() if value)
    return f"{reverse(f'analytics:{page}')}?{query}"


def _panel_view(side: Mapping[str, Any], panel: Mapping[str, Any], highest: float) -> dict[str, Any]:
    curves = [
        {**curve, "shown": [_shown(at) if curve["n"] else None for at in curve["at"]]}
        for curve in panel["curves"]
    ]
    return {
        "name": side["name"],
        "label": SIDES[side["name"]],
        "picture": survival_figure.picture(panel, side["marks"], highest),
        "test": panel["test"],
        "note": survival_files.said(panel["test"]["note"]),
        "curves": curves,
        "table": side["marks"],
        "empty": not any(curve["n"] for curve in panel["curves"]),
    }


def _shown(at: list[float | None] | None) -> dict[str, str] | None:
    """Return a share and its interval in per cent, as a table shows them."""
    if at is None or at[0] is None:
        return None
    low, high = at[1], at[2]
    interval = "" if low is None or high is None else f"{100 * low:.0f}\N{EN DASH}{100 * high:.0f}"
    return {"value": f"{100 * at[0]:.1f} %", "interval": interval}


def _with_forest(rows: list[dict[str, Any]]) -> dict[str, Any]:
    forest = models_reading.forest([row["ratio"] for row in rows])
    return {
        "forest": forest,
        "rows": [
            {**row, "note": survival_files.said(row["note"]), "mark": mark}
            for row, mark in zip(rows, forest.rows, strict=True)
        ],
    }


def _caption(context: Mapping[str, Any], revision: int) -> str:
    return _(
        "Cumulative incidence of death and of transplantation as competing events (Aalen-Johansen; Gray's test)"
        " and survival (Kaplan-Meier; log-rank), groups %(one)s and %(two)s. Bands: 95 %% intervals, complementary"
        " log-log. Left, grouped by all infusions: a subject had to live until the fifth infusion to belong to the"
        " prolonged course. Right, those alive, not transplanted and followed on day 28, grouped by infusions until"
        " then. Population: %(population)s. Revision %(revision)d."
    ) % {
        "one": context["group1"],
        "two": context["group2"],
        "population": _(context["population_label"]),
        "revision": revision,
    }
