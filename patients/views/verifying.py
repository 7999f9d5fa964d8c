"""The monitor's page: comparing what is stored with its source, value by value or all at once."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext_lazy, ngettext
from django.utils.translation import gettext_noop as _

from patients import marks, selectors, verifications
from patients.actions.verification import Claim, unverify, verify
from patients.models import Patient, Visit
from patients.verifications import visits_of
from trial import clock, idempotency
from trial.refusals import Conflict, Refused, refuse
from trial.roles import Permission, requires
from trial.sentences import Sentence

KIND_LABELS = {
    "screenings": gettext_lazy("Screening"),
    "infusions": gettext_lazy("Infusions"),
    "events": gettext_lazy("Adverse events"),
    "treatments": gettext_lazy("Treatment"),
    "outcomes": gettext_lazy("Outcomes"),
}
MOST_ROWS = 500
_LONGEST_KEY = 18


@requires(Permission.VERIFY)
def verify_records(request: HttpRequest, subject_id: str) -> HttpResponse:
    """Show what there is to compare at ``?visit=`` or ``?of=``, and mark what was compared."""
    patient = selectors.patient_or_404(request.user, subject_id)
    visits = visits_of(patient)
    shares = verifications.shares(patient)
    visit, kind = _asked(request, visits, shares)
    if request.method != "POST":
        return _page(request, patient, visits, shares, visit, kind)
    try:
        shown, ticked = _claims(request, "shown"), _claims(request, "row")
        with idempotency.once(request, by=request.user) as attempt:
            if not attempt.is_repeated:
                _write(request, patient, shown, ticked)
    except Refused as refused:
        return _page(request, patient, visits, shares, visit, kind, status=422, refused=refused)
    except Conflict as conflict:
        return _page(request, patient, visits, shares, visit, kind, status=409, conflict=conflict)
    return redirect(_address(patient, visit, kind))


def _write(request: HttpRequest, patient: Patient, shown: list[Claim], ticked: list[Claim]) -> None:
    match request.POST.get("do"):
        case "unverify":
            done = unverify(
                patient=patient, rows=ticked, by=request.user, reason=request.POST.get("reason", "")
            )
            text = ngettext("%(n)s mark taken back.", "%(n)s marks taken back.", done.marked)
        case "except":
            left = [row for row in shown if row not in ticked]
            if not left:
                raise _nothing(_("Nothing is left to verify: all of it is ticked, or verified already."))
            done = verify(patient=patient, rows=left, by=request.user)
            text = ngettext("%(n)s verified.", "%(n)s verified.", done.marked)
        case _:
            if not ticked:
                raise _nothing(_("Nothing is ticked."))
            done = verify(patient=patient, rows=ticked, by=request.user)
            text = ngettext("%(n)s verified.", "%(n)s verified.", done.marked)
    messages.success(request, text % {"n": done.marked})


def _nothing(sentence: str) -> Refused:
    return refuse(
        "", "", "nothing_chosen", Sentence(sentence), Sentence(_("Tick what agrees with its source."))
    )


def key_in(request: HttpRequest, name: str) -> int | None:
    """Return the key that an address names, None when it names none; what is no key is nowhere."""
    text = request.GET.get(name, "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > _LONGEST_KEY:
        raise Http404
    return int(text)


def _asked(request: HttpRequest, visits: list[Visit], shares: Any) -> tuple[Visit | None, str]:
    """Return the visit or the kind of records that is meant; without a word the first that is not complete."""
    kind = request.GET.get("of", "")
    if kind and kind not in verifications.KINDS:
        raise Http404
    key = key_in(request, "visit")
    if key is not None:
        found = next((visit for visit in visits if visit.pk == key), None)
        if found is None:
            raise Http404
        return found, ""
    if kind:
        return None, kind
    for visit in visits:
        share = shares.get(visit.pk)
        if share and not share.is_complete:
            return visit, ""
    open_kinds = [name for name in verifications.KINDS if name in shares and not shares[name].is_complete]
    if open_kinds:
        return None, open_kinds[0]
    return (visits[0], "") if visits else (None, "screenings")


def _claims(request: HttpRequest, name: str) -> list[Claim]:
    found = []
    for text in request.POST.getlist(name)[:MOST_ROWS]:
        table, _colon, rest = text.partition(":")
        row, _colon, version = rest.partition(":")
        for number in (row, version):
            if not (number.isascii() and number.isdigit() and len(number) <= _LONGEST_KEY):
                raise Http404
        found.append(Claim(table, int(row), int(version)))
    return found


def _address(patient: Patient, visit: Visit | None, kind: str) -> str:
    place = f"?visit={visit.pk}" if visit is not None else f"?of={kind}"
    return reverse("patients:verify", args=[patient.subject_id]) + place


def _page(
    request: HttpRequest,
    patient: Patient,
    visits: list[Visit],
    shares: Any,
    visit: Visit | None,
    kind: str,
    *,
    status: int = 200,
    refused: Refused | None = None,
    conflict: Conflict | None = None,
) -> HttpResponse:
    sections = [
        {
            "url": _address(patient, each, ""),
            "visit": each,
            "share": shares.get(each.pk),
            "is_here": each == visit,
        }
        for each in visits
    ] + [
        {
            "url": _address(patient, None, name),
            "label": str(KIND_LABELS[name]),
            "share": shares.get(name),
            "is_here": visit is None and name == kind,
        }
        for name in verifications.KINDS
    ]
    ticked = set(request.POST.getlist("row"))
    zone = clock.zone(patient.site)
    items = verifications.items(patient, visit=visit, kind=kind)
    context = {
        "place": "patients",
        "tab": "signatures",
        "patient": patient,
        "header": selectors.header(patient, request.user),
        "marks": marks.of_casebook(patient),
        "sections": sections,
        "visit": visit,
        "kind_label": "" if visit is not None else str(KIND_LABELS[kind]),
        "rows": [
            {
                "item": item,
                "is_ticked": item.claim in ticked,
                "mark": item.mark.words(zone) if item.mark else "",
            }
            for item in items
        ],
        "total": verifications.total(shares.values()),
        "problems": [problem.in_words for problem in refused.problems] if refused else [],
        "conflict": conflict,
        "reason": request.POST.get("reason", ""),
        "takes_back": request.POST.get("do") == "unverify",
        "key": idempotency.key_of(request),
        "key_field": idempotency.FIELD,
    }
    return render(request, "patients/verify.html", context, status=status)
