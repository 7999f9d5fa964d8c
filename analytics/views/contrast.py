"""One contrast as figure and table, what it hangs on, and the rows behind any of its numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from analytics import contrast_page, contrast_sensitivity, contrast_tables, family, looks, selectors
from analytics.cells import AGE, SEX, CellKey
from analytics.contrast_source import Question
from analytics.contrast_words import span_label
from analytics.rows_behind import question_of, rows_behind
from analytics.views.moment import at_one_moment
from trial import protocol
from trial.models import User
from trial.protocol import Measure, Population
from trial.roles import Permission, requires

PAIRS = {protocol.contrast_key(pair): pair for pair in protocol.CONTRASTS}
TABLES = WITHIN, BASELINE = "within", "baseline"
"""Measures that are a table without a figure."""
TABLE_KINDS = ("csv",)
MEASURES = {
    Measure.LEVEL.value: gettext_lazy("Level"),
    Measure.INTERVAL.value: gettext_lazy("Interval"),
    Measure.CUMULATIVE.value: gettext_lazy("Cumulative"),
    WITHIN: gettext_lazy("Within group"),
    BASELINE: gettext_lazy("Baseline"),
}
POPULATIONS = {
    Population.ELIGIBLE: gettext_lazy("Eligible"),
    Population.TREATED: gettext_lazy("Treated"),
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
@require_safe
def contrast(request: HttpRequest, contrast: str, analyte: str, measure: str) -> HttpResponse:
    """Show a contrast of one quantity over its weeks."""
    question = asked(request, contrast, analyte, measure)
    page = f"contrast {contrast} {analyte} {measure}"
    with selectors.one_moment():
        context = _switches(question, measure) | {
            "place": "analysis",
            "analyte_label": _(protocol.label_of(analyte)),
            "measure": measure,
            "population_label": protocol.POPULATION_LABELS[question.grouping],
            "question": question,
            "looks": looks.of(page),
        }
        if measure in TABLES:
            is_within = measure == WITHIN
            table = (
                contrast_tables.within(question, timezone.localdate())
                if is_within
                else contrast_tables.baseline(question)
            )
            context |= {
                "page": table,
                "is_within": is_within,
                "files": _files(question, measure),
                "measure_label": _("change since week 0 within each group") if is_within else _("baseline"),
            }
            template = "analytics/contrast_tables.html"
        else:
            context |= {
                "page": contrast_page.contrast(question, timezone.localdate()),
                "measure_label": _(protocol.MEASURE_LABELS[question.measure]),
                "paper_tests": family.PAPER_TESTS,
                "by_chance": family.BY_CHANCE,
                "files": _files(question, measure),
                "sensitivity_url": _address("analytics:sensitivity", question, measure),
            }
            template = "analytics/contrast.html"
        answer = render(request, template, context)
        revision = context["page"].freshness.shown
    assert isinstance(request.user, User)
    looks.remember(request.user, page, revision)
    return answer


@requires(Permission.VIEW_ANALYSIS)
@require_safe
def sensitivity(request: HttpRequest, contrast: str, analyte: str, measure: str) -> HttpResponse:
    """Show a contrast asked again in other ways: a part of its page, or a page of its own."""
    question = asked(request, contrast, analyte, measure)
    if measure in TABLES:
        raise Http404
    made = contrast_sensitivity.read(question)
    context = {
        "place": "analysis",
        "analyte_label": _(protocol.label_of(analyte)),
        "measure_label": _(protocol.MEASURE_LABELS[question.measure]),
        "question": question,
        "made": made,
        "back": _address("analytics:contrast", question, measure),
        "decimals": protocol.decimals_of(analyte),
    }
    part = request.headers.get("HX-Request") == "true"
    template = "analytics/_sensitivity.html" if part else "analytics/sensitivity.html"
    return render(request, template, context)


@requires(Permission.VIEW_ANALYSIS)
@at_one_moment
@require_safe
def contrast_file(request: HttpRequest, contrast: str, analyte: str, measure: str, kind: str) -> HttpResponse:
    """Download the figure or the table of a contrast."""
    from analytics import contrast_files, contrast_table_files

    question = asked(request, contrast, analyte, measure)
    page: contrast_page.ContrastPage | contrast_tables.TablePage
    if kind not in (contrast_files.KINDS if measure not in TABLES else TABLE_KINDS):
        raise Http404
    if measure == WITHIN:
        page = contrast_tables.within(question, timezone.localdate())
        made = contrast_table_files.within(page)
    elif measure == BASELINE:
        page = contrast_tables.baseline(question)
        made = contrast_table_files.baseline(page)
    else:
        page = contrast_page.contrast(question, timezone.localdate())
        made = contrast_files.made(page, kind)
    what = contrast if measure == BASELINE else f"{contrast}_{analyte}"
    name = f"{what}_{measure}_r{page.revision}.{kind}"
    return HttpResponse(
        made,
        content_type=contrast_files.KINDS[kind],
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@requires(Permission.VIEW_ANALYSIS)
@at_one_moment
def rows(request: HttpRequest) -> HttpResponse:
    """List the subjects whose values a cell is made of."""
    given = request.GET
    try:
        key = CellKey(
            Population(given.get("population", "")).value,
            Measure(given.get("measure", "")).value,
            given.get("group1", ""),
            given.get("group2", ""),
            given.get("analyte", ""),
            int(given.get("week_from", "")),
            int(given.get("week_to", "")),
        )
    except ValueError as error:
        raise Http404 from error
    groups = {key.group1, key.group2} - {""}
    weeks_known = {key.week_from, key.week_to} <= set(protocol.WEEKS)
    is_of_subject = key.analyte in (AGE, SEX) and key.measure == Measure.BASELINE
    if not groups or not groups <= set(protocol.STRATA):
        raise Http404
    if key.analyte not in protocol.MEASURED and not is_of_subject:
        raise Http404
    if not weeks_known or key.week_from > key.week_to:
        raise Http404
    assert isinstance(request.user, User)
    question = question_of(
        key,
        without_plasma=_one_of(request, "plasma", ("", "out")) == "out",
        among_eligible=_one_of(request, "among", ("", "eligible")) == "eligible",
    )
    pair = protocol.contrast_key((key.group1, key.group2))
    back = (
        _address("analytics:contrast", question, question.measure.value)
        if pair in PAIRS and question.measure is not Measure.BASELINE
        else reverse("analytics:analysis")
    )
    context = {
        "place": "analysis",
        "key": key,
        "back": back,
        "label": span_label((key.week_from, key.week_to)),
        "analyte_label": _(protocol.label_of(key.analyte)),
        "measure_label": protocol.MEASURE_LABELS[Measure(key.measure)],
        "population_label": protocol.POPULATION_LABELS[question.grouping],
        "without_plasma": question.without_plasma,
        "is_difference": key.measure in (Measure.INTERVAL, Measure.CUMULATIVE),
        "is_measured": key.analyte in protocol.ANALYTES,
        "is_of_subject": is_of_subject,
        "prolonged_from": protocol.PROLONGED_FROM,
        "decimals": protocol.decimals_of(key.analyte),
        "behind": rows_behind(question, key, request.user, timezone.localdate()),
        "freshness": selectors.freshness(),
    }
    context["rows"] = context["behind"].rows  # type: ignore[attr-defined]
    return render(request, "analytics/rows.html", context)


# --- what is asked --------------------------------------------------------------------------


def asked(request: HttpRequest, contrast: str, analyte: str, measure: str) -> Question:
    """Return the question of an address; whatever it does not know is not found."""
    if contrast not in PAIRS or analyte not in protocol.MEASURED or measure not in MEASURES:
        raise Http404
    words = _one_of(request, "population", ("", *(population.value for population in Population)))
    grouping = _one_of(request, "grouping", ("", "treated", "landmark"))
    # an address of before the switches were two says landmark where it says who
    at_landmark = grouping == "landmark" or words == Population.LANDMARK
    population = Population.ELIGIBLE if words == Population.ELIGIBLE else Population.TREATED
    counted = {WITHIN: Measure.CUMULATIVE, BASELINE: Measure.LEVEL}.get(measure)
    return Question(
        PAIRS[contrast],
        analyte,
        counted or Measure(measure),
        population,
        at_landmark,
        _one_of(request, "plasma", ("", "out")) == "out",
    )


def _one_of(request: HttpRequest, name: str, known: tuple[str, ...]) -> str:
    given = request.GET.get(name, "")
    if given not in known:
        raise Http404
    return given


# --- where else one could go ----------------------------------------------------------------


def _address(route: str, question: Question, measure: str, **more: str) -> str:
    place = {
        "contrast": protocol.contrast_key(question.pair),
        "analyte": question.analyte,
        "measure": measure,
    }
    address = reverse(route, kwargs=place | more)
    return f"{address}?{question.query}" if question.query else address


def _switches(question: Question, measure: str) -> dict[str, Any]:
    def link(label: Any, changed: Question, *, on: bool, to: str = "") -> dict[str, Any]:
        return {"label": label, "on": on, "url": _address("analytics:contrast", changed, to or measure)}

    pairs = list(PAIRS.values())
    place = pairs.index(question.pair)
    variants = [
        link(
            _(protocol.label_of(code)) + (" \N{MIDDLE DOT} " + _("study default") if default else ""),
            replace(question, analyte=code),
            on=code == question.analyte,
        )
        for code in protocol.SCORE_AT
        for default in (code == protocol.DEFAULT_SCORE,)
    ]
    return {
        "contrasts": [
            link(" \N{EN DASH} ".join(pair), replace(question, pair=pair), on=pair == question.pair)
            for pair in pairs
        ],
        "before": _address("analytics:contrast", replace(question, pair=pairs[place - 1]), measure),
        "after": _address(
            "analytics:contrast", replace(question, pair=pairs[(place + 1) % len(pairs)]), measure
        ),
        "analytes": [
            link(_(protocol.label_of(code)), replace(question, analyte=code), on=code == question.analyte)
            for code in protocol.ANALYTES
        ],
        "variants": variants,
        "is_score": question.analyte in protocol.SCORE_AT,
        "measures": [
            link(label, question, on=value == measure, to=value) for value, label in MEASURES.items()
        ],
        "populations": [
            link(label, replace(question, population=one), on=one is question.population)
            for one, label in POPULATIONS.items()
        ],
        "groupings": [
            link(_("As treated"), replace(question, at_landmark=False), on=not question.at_landmark),
            link(
                _("Landmark, day %(day)s") % {"day": protocol.LANDMARK_DAY},
                replace(question, at_landmark=True),
                on=question.at_landmark,
            ),
        ],
        "plasma": link(
            _("Leave out draws after plasma"),
            replace(question, without_plasma=not question.without_plasma),
            on=question.without_plasma,
        ),
    }


def _files(question: Question, measure: str) -> list[dict[str, str]]:
    return [
        {"kind": kind.upper(), "url": _address("analytics:contrast_file", question, measure, kind=kind)}
        for kind in (TABLE_KINDS if measure in TABLES else ("svg", "pdf", "png", "csv", "docx"))
    ]
