"""Signatures: who signed what and whether it still stands, and signing by proving who one is."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_safe

from patients import casebook, casebook_rows, locks, marks, selectors
from patients import signatures as signed_by
from patients.actions.signing import demand_meaning, sign
from patients.models import Patient, Visit
from patients.verifications import visits_of
from patients.views.verifying import key_in
from trial import clock, idempotency, reauthentication, trail_words, vocabulary
from trial.refusals import Refused
from trial.roles import Permission, allowed, requires


@requires(Permission.VIEW_CLINICAL)
@require_safe
def signatures(request: HttpRequest, subject_id: str) -> HttpResponse:
    """List what is verified, signed and locked of a subject, and every signature with its state."""
    patient = selectors.patient_or_404(request.user, subject_id)
    visits = visits_of(patient)
    by_visit = marks.of_visits(patient, visits)
    context = {
        "place": "patients",
        "tab": "signatures",
        "patient": patient,
        "header": selectors.header(patient, request.user),
        "marks": marks.of_casebook(patient),
        "lock": locks.lock_on(patient),
        "visits": [{"visit": visit, "marks": by_visit[visit.pk]} for visit in visits],
        "signatures": signed_by.signatures(patient),
        "may_verify": allowed(request.user, Permission.VERIFY),
        "may_sign": allowed(request.user, Permission.SIGN),
        "may_lock": allowed(request.user, Permission.LOCK),
        "format": casebook.FORMAT,
        "zone": clock.zone(patient.site),
    }
    return render(request, "patients/signatures.html", context)


@sensitive_post_parameters("password", "code")
@requires(Permission.SIGN)
def sign_records(request: HttpRequest, subject_id: str) -> HttpResponse:
    """Sign the visit of ``?visit=``, or the whole casebook."""
    patient = selectors.patient_or_404(request.user, subject_id)
    visit = _visit(request, patient)
    if request.method != "POST":
        return _page(request, patient, visit)
    if idempotency.was_saved(request, by=request.user):
        return redirect("patients:signatures", subject_id)
    try:
        _prove(request)
        with idempotency.once(request, by=request.user) as attempt:
            if not attempt.is_repeated:
                sign(
                    patient=patient,
                    visit=visit,
                    meaning=request.POST.get("meaning", ""),
                    digest=request.POST.get("digest", ""),
                    by=request.user,
                )
    except reauthentication.LockedOut:
        return render(request, "429.html", status=429)
    except Refused as refused:
        return _page(request, patient, visit, status=422, refused=refused)
    messages.success(request, _("Signed."))
    return redirect("patients:signatures", subject_id)


def _prove(request: HttpRequest) -> None:
    """Check who signs; a refusal names a meaning that is missing as well, not in a second round."""
    try:
        reauthentication.prove(
            request,
            user=request.user,
            password=request.POST.get("password", ""),
            code=request.POST.get("code", ""),
        )
    except Refused as unproven:
        try:
            demand_meaning(request.POST.get("meaning", ""))
        except Refused as meant:
            raise Refused([*meant.problems, *unproven.problems]) from unproven
        raise


def _visit(request: HttpRequest, patient: Patient) -> Visit | None:
    key = key_in(request, "visit")
    if key is None:
        return None
    found = next((visit for visit in visits_of(patient) if visit.pk == key), None)
    if found is None:
        raise Http404
    return found


def _page(
    request: HttpRequest,
    patient: Patient,
    visit: Visit | None,
    *,
    status: int = 200,
    refused: Refused | None = None,
) -> HttpResponse:
    book = casebook_rows.read(patient, only_visits=visit is not None)
    signed = book.document(visit.pk if visit is not None else None)
    problems: dict[str, list[str]] = {}
    for problem in refused.problems if refused else ():
        place = problem.field if problem.field in ("password", "code", "meaning") else "form"
        problems.setdefault(place, []).append(problem.in_words)
    context = {
        "place": "patients",
        "tab": "signatures",
        "patient": patient,
        "header": selectors.header(patient, request.user),
        "marks": marks.of_visit(patient, visit) if visit is not None else marks.of_casebook(patient),
        "visit": visit,
        "tables": [table for name, rows in signed["tables"].items() if (table := _shown(name, rows))],
        "digest": casebook.digest(signed),
        "meanings": [
            {"code": term.code, "label": term.label, "is_chosen": request.POST.get("meaning") == term.code}
            for term in vocabulary.SIGNATURE_MEANINGS
        ],
        "needs_code": reauthentication.needs_code(request.user),
        "problems": problems,
        "key": idempotency.key_of(request),
        "key_field": idempotency.FIELD,
    }
    return render(request, "patients/sign.html", context, status=status)


def _shown(table: str, rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return a table of what is signed, without columns that are empty everywhere.

    What came after the first signatures is left out of a row while it is empty (see `casebook`).
    """
    fields = [
        field for field in casebook.SIGNED[table] if any(row.get(field) not in (None, "") for row in rows)
    ]
    if not fields:
        return None
    return {
        "label": trail_words.table_label(table),
        "columns": [_column(table, field) for field in fields],
        "rows": [[_text(table, field, row.get(field)) for field in fields] for row in _in_order(table, rows)],
    }


def _in_order(table: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows as a person reads them: in the order in which they happened."""
    if table == trail_words.LABS:
        return sorted(rows, key=lambda row: (row["visit"][1] or "", row["visit"][0] or 0))
    if table == trail_words.VISITS:
        return sorted(rows, key=lambda row: row["visited_on"] or "")
    if table == "infusions_infusion":
        return sorted(rows, key=lambda row: row["number"])
    if table == "infusions_vitalsigns":
        moments = [term.code for term in vocabulary.VITAL_MOMENTS]
        return sorted(rows, key=lambda row: (row["infusion"], moments.index(row["moment"])))
    return rows


def _column(table: str, field: str) -> str:
    """Return what a signed field is called; one that refers to another row is a column ending in ``_id``."""
    shown, referring = (trail_words.column_label(table, column) for column in (field, f"{field}_id"))
    return shown if referring == f"{field}_id".replace("_", " ") else referring


def _text(table: str, field: str, value: object) -> str:
    if field == "visit" and isinstance(value, list):
        week, day = value
        label = trail_words.draw_label({"week": week, "visited_on": day})
        return f"{label} {day}" if week is not None and day else label
    if isinstance(value, list):
        return " ".join(_text(table, field, each) for each in value if each is not None)
    if value is None or value == "":
        return ""
    return trail_words.value_text(table, field, value, trail_words.Names())
