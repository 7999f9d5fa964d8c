"""Safety by group, and the lists behind its numbers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from analytics import looks, safety, safety_reading, selectors
from analytics.safety import Event, LabGrade
from patients import ctcae
from trial import protocol
from trial.roles import Permission, requires
from trial.vocabulary import RELATIONS, by_code

MOST_LISTED = 500


@requires(Permission.VIEW_ANALYSIS)
@require_safe
def safety_page(request: HttpRequest) -> HttpResponse:
    """Show adverse events by group, when they came, grades of laboratory values, and the liver's peaks."""
    made = safety_reading.stored()
    looks.remember(request.user, "safety", made.revision)
    events, grades = safety_reading.events_of(made), safety_reading.grades_of(made)
    peaks = safety_reading.peaks_of(made)
    visible = _visible(request, (peak.patient for peak in peaks))
    context = {
        "place": "analysis",
        "revision": made.revision,
        "freshness": selectors.freshness(),
        "groups": [{"code": code, "n": made.body["sizes"][code]} for code in protocol.GROUP_CODES],
        "treated": sum(made.body["sizes"].values()),
        "events": len(events),
        "kinds": [
            {
                "row": row,
                "words": _(safety.KINDS[row.kind][0]) if row.kind else _(row.term),
                "is_first_term": place == len(safety.KINDS),
            }
            for place, row in enumerate(safety.event_rows(events, made.body["sizes"]))
        ],
        "spans": [{"row": row, "words": _(row.words)} for row in safety.since_infusion(events)],
        "terms": [
            {"term": row.term, "words": _(row.term), "counts": _by_group(row)}
            for row in safety.lab_rows(grades)
        ],
        "counted": [{"code": code, "words": _(words)} for code, (words, _rule) in safety.LAB_COUNTS.items()],
        "figure": safety.peak_figure(peaks),
        "peaks": len(peaks),
        "both": sum(peak.is_both for peak in peaks),
        "visible": visible,
        "bounds": {"alt": safety.ALT_TIMES, "tbil": safety.TBIL_TIMES},
    }
    return render(request, "analytics/safety.html", context)


def _by_group(row: safety.LabRow) -> list[dict[str, object]]:
    return [
        {"kind": kind, "group": group, "n": n, "is_first": group == protocol.GROUP_CODES[0]}
        for kind, numbers in row.counts
        for group, n in zip(protocol.GROUP_CODES, numbers, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class Listed:
    """A line of a list: who, what, and where it is looked at."""

    subject_id: str
    group: str
    words: str
    grade: int | None
    notes: tuple[str, ...]


@requires(Permission.VIEW_ANALYSIS)
@require_safe
def safety_events(request: HttpRequest) -> HttpResponse:
    """List the adverse events behind a number; those at other sites are counted, not named."""
    asked = request.GET
    kind, group, term = asked.get("kind", "any"), asked.get("group", ""), asked.get("term", "")
    if kind not in safety.KINDS or group not in ("", *protocol.GROUP_CODES):
        raise Http404
    made = safety_reading.stored()
    words, rule = safety.KINDS[kind]
    held = [
        event
        for event in safety_reading.events_of(made)
        if rule(event) and group in ("", event.group) and term in ("", event.term)
    ]
    seen = _visible(request, (event.patient for event in held))
    title = _(term) if term else _(words)
    rows = [_event(event) for event in held if event.patient in seen]
    return _list(request, made.revision, title, group, rows, len(held))


@requires(Permission.VIEW_ANALYSIS)
@require_safe
def safety_grades(request: HttpRequest) -> HttpResponse:
    """List the subjects behind a count of laboratory grades."""
    asked = request.GET
    kind, group, term = asked.get("kind", "graded"), asked.get("group", ""), asked.get("term", "")
    known = {name for name, _criteria in ctcae.CRITERIA.values()}
    if kind not in safety.LAB_COUNTS or group not in ("", *protocol.GROUP_CODES) or term not in known:
        raise Http404
    made = safety_reading.stored()
    words, rule = safety.LAB_COUNTS[kind]
    held = [
        one
        for one in safety_reading.grades_of(made)
        if one.term == term and rule(one) and group in ("", one.group)
    ]
    seen = _visible(request, (one.patient for one in held))
    rows = [_grade(one) for one in held if one.patient in seen]
    return _list(request, made.revision, f"{_(term)}: {_(words)}", group, rows, len(held))


def _list(
    request: HttpRequest, revision: int, title: str, group: str, rows: list[Listed], n: int
) -> HttpResponse:
    context = {
        "place": "analysis",
        "title": title,
        "group": group,
        "revision": revision,
        "n": n,
        "rows": rows[:MOST_LISTED],
        "beyond": max(0, len(rows) - MOST_LISTED),
        "elsewhere": n - len(rows),
    }
    return render(request, "analytics/safety_list.html", context)


def _event(event: Event) -> Listed:
    notes = []
    if event.serious:
        notes.append(_("serious"))
    if event.relation:
        notes.append(_(by_code(RELATIONS)[event.relation].label))
    if event.number is None:
        notes.append(_("before any infusion"))
    else:
        notes.append(_("%(days)s d after infusion %(number)s") % {"days": event.days, "number": event.number})
    return Listed(event.subject_id, event.group, _(event.term), event.grade, tuple(notes))


def _grade(one: LabGrade) -> Listed:
    notes = (
        _("baseline: no grade") if one.baseline is None else _("baseline grade %(n)s") % {"n": one.baseline},
        _("not determined by the range alone")
        if one.plain is None
        else _("by the range alone grade %(n)s") % {"n": one.plain},
    )
    return Listed(one.subject_id, one.group, _(one.term), one.worst, notes)


def _visible(request: HttpRequest, patients: Iterable[int]) -> set[int]:
    return safety_reading.visible(request.user, set(patients))
