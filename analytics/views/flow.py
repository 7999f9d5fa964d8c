"""The flow of subjects through the study, live, and the list behind every box."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from analytics import flow, flow_figure, flow_files, flow_reading, looks, selectors
from analytics.flow import Box, Flow, Part
from patients.models import Patient
from trial import marks, protocol
from trial.roles import Permission, requires

MOST_LISTED = 500


@requires(Permission.VIEW_ANALYSIS)
@require_safe
def flow_diagram(request: HttpRequest) -> HttpResponse:
    """Show the diagram, what does not add up in it, and the same numbers as a table."""
    made = flow_reading.stored(timezone.localdate())
    found = flow_reading.flow_of(made)
    looks.remember(request.user, "flow", made.revision)
    context = {
        "place": "analysis",
        "plan": _plan(found),
        "revision": made.revision,
        "problems": [_problem(found, one) for one in found.problems],
        "registered": found["registered"].n,
        "treated": found["treated"].n,
        "unscreened": made.body["unscreened"],
        "groups": [{"code": code, "n": found[code].n} for code in protocol.GROUP_CODES],
        "weeks": _weeks(found),
        "freshness": selectors.freshness(),
    }
    return render(request, "analytics/flow.html", context)


@requires(Permission.VIEW_ANALYSIS)
@require_safe
def flow_box(request: HttpRequest, box: str) -> HttpResponse:
    """List the subjects of a box; those of other sites are counted, not named."""
    if box not in flow.BOXES:
        raise Http404
    made = flow_reading.stored(timezone.localdate())
    found = flow_reading.flow_of(made)
    here = found[box]
    patients = flow_reading.visible(request.user, here)
    given = flow_reading.infusions_of(patients[:MOST_LISTED])
    context = {
        "place": "analysis",
        "box": here,
        "title": _title(found, here),
        "revision": made.revision,
        "elsewhere": here.n - len(patients),
        "beyond": max(0, len(patients) - MOST_LISTED),
        "rows": [_row(patient, given.get(patient.pk, 0)) for patient in patients[:MOST_LISTED]],
        "below": [
            {"box": one, "words": _words(one)} for one in found.below(box) if one.n and one.week is None
        ],
        "is_screening": here.code == "not_eligible" or here.code.startswith("criterion-"),
    }
    return render(request, "analytics/flow_box.html", context)


@requires(Permission.VIEW_ANALYSIS)
@require_safe
def flow_file(request: HttpRequest, extension: str) -> HttpResponse:
    """Send the diagram as a file a journal accepts."""
    if extension not in flow_files.CONTENT_TYPES:
        raise Http404
    made = flow_reading.stored(timezone.localdate())
    body = flow_files.draw(
        _plan(flow_reading.flow_of(made)),
        extension,
        title=_("Flow of subjects"),
        caption=_caption(made.revision, made.body["unscreened"]),
    )
    response = HttpResponse(body, content_type=flow_files.CONTENT_TYPES[extension])
    name = f"cordline-flow-r{made.revision}.{extension}"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _caption(revision: int, unscreened: int) -> tuple[str, ...]:
    first = _("Flow of subjects as of revision %(number)d of the data.") % {"number": revision}
    if unscreened:
        first += " " + _("%(n)d subjects were enrolled without a screening record.") % {"n": unscreened}
    missed = _(
        "Missed: the window of the visit has passed. Died, transplanted, withdrew, lost: before the visit was due."
    )
    return first, missed


def _plan(found: Flow) -> flow_figure.Plan:
    return flow_figure.draw(found, _words, lambda week: _("Week %(week)d") % {"week": week})


def _words(box: Box) -> str:
    """Say a box in the reader's language."""
    return _(box.words).format(**{name: _(text) for name, text in box.named.items()})


def _title(found: Flow, box: Box) -> str:
    if box.week is not None:
        return _("Group %(group)s, week %(week)d: %(state)s") % {
            "group": box.group, "week": box.week, "state": _words(box),
        }  # fmt: skip
    above = (
        [found[box.parent]]
        if box.part is Part.OUT and box.parent not in ("", "registered", "enrolled")
        else []
    )
    return marks.colon().join(_words(one) for one in [*above, box])


def _problem(found: Flow, one: flow.Problem) -> dict[str, str]:
    places = {code: _title(found, found[code]) for code in one.boxes}
    first, second = places[one.boxes[0]], places[one.boxes[-1]]
    gaps = {"subject": one.subject_id, "first": first, "second": second, "box": first, "parent": second}
    return {"subject_id": one.subject_id, "words": _(one.words).format(**gaps)}


def _weeks(found: Flow) -> list[dict[str, object]]:
    """Return the follow-up as a table: one row per week and state that occurs."""
    rows = []
    for week in protocol.WEEKS:
        for state, words in flow.WEEK_STATES.items():
            boxes = [found[f"{group}-{week}-{state}"] for group in protocol.GROUP_CODES]
            if state == flow.SEEN or any(box.n for box in boxes):
                rows.append({"week": week, "words": _(words), "boxes": boxes, "is_first": state == flow.SEEN})
    return rows


def _row(patient: Patient, given: int) -> dict[str, object]:
    return {
        "patient": patient,
        "given": given,
        "group": protocol.group_of(patient.diagnosis, given) if given else "",
    }
