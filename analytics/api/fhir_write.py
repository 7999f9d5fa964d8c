"""FHIR R4 write: a bundle of laboratory Observations, through the same checks as every other way in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext

from analytics.api import fhir_read, requests
from analytics.api.observations import Recorded, Said, record, specimens_said
from analytics.api.problems import Standing, differs
from analytics.api.retries import once
from analytics.api.security import person_of
from patients.reported import Reported
from trial import loinc, problem_details, typed
from trial.models import User
from trial.refusals import Problem, Refused
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; it is translated when it is said."""
    return message


MOST_ENTRIES = 500
_FINAL, _CORRECTED = ("final",), ("amended", "corrected")
_READ = frozenset(
    {
        "resourceType", "status", "code", "subject", "effectiveDateTime", "effectiveInstant", "valueQuantity",
        "dataAbsentReason", "specimen", "performer", "id", "meta", "category",
    }
)  # fmt: skip
_VALUES = (
    "valueString", "valueCodeableConcept", "valueBoolean", "valueInteger", "valueRange", "valueRatio",
    "valueSampledData", "valueTime", "valueDateTime", "valuePeriod",
)  # fmt: skip
_REFUSED = (
    "component",
    "hasMember",
    "derivedFrom",
    "modifierExtension",
    "effectivePeriod",
    "effectiveTiming",
)
_ABSENT_AS = {"asked-declined": "refused", "not-asked": "not_ordered"}


@dataclass(frozen=True, slots=True)
class _Entry:
    """One entry of a bundle, read: what it says, and which of its parts are not kept."""

    said: Said
    unread: tuple[str, ...]


class _Problems(Exception):
    """Why an entry cannot be read."""

    def __init__(self, *problems: Problem) -> None:
        self.problems = problems
        super().__init__(len(problems))


def post(request: HttpRequest) -> HttpResponse:
    """Save a bundle: all of it (transaction), or each entry by itself (batch)."""
    fhir_read.acceptable(request)
    requests.refuse_unknown(request, ("_format",))
    by = person_of(request)
    bundle = requests.body_of(request)
    kind, entries = _entries_of(bundle)
    read = [_entry(entry, place) for place, entry in enumerate(entries)]
    _refuse_strange_structure(bundle)
    good = [entry.said for entry in read if isinstance(entry, _Entry)]
    work = partial(_transaction if kind == "transaction" else _batch, request, by, read)
    return once(request, work, about=specimens_said(good))


def _transaction(request: HttpRequest, by: User, read: list[_Entry | list[Problem]]) -> HttpResponse:
    problems = [problem for entry in read if isinstance(entry, list) for problem in entry]
    if problems:
        raise Refused(problems)
    entries = [entry for entry in read if isinstance(entry, _Entry)]
    recorded = record([entry.said for entry in entries], by=by)
    answers = [_answered(request, one, entry) for one, entry in zip(recorded, entries, strict=True)]
    return fhir_read.fhir({"resourceType": "Bundle", "type": "transaction-response", "entry": answers})


def _batch(request: HttpRequest, by: User, read: list[_Entry | list[Problem]]) -> HttpResponse:
    answers = []
    for entry in read:
        if isinstance(entry, list):
            answers.append(_failed(422, entry))
            continue
        try:
            with transaction.atomic():
                (recorded,) = record([entry.said], by=by)
        except Refused as refused:
            answers.append(_failed(422, list(refused.problems)))
        except Standing as standing:
            remedy = _("Send it with the status “corrected” if it replaces what is here.")
            answers.append(_failed(409, [differs(place, clash, remedy) for place, clash in standing.clashes]))
        else:
            answers.append(_answered(request, recorded, entry))
    return fhir_read.fhir({"resourceType": "Bundle", "type": "batch-response", "entry": answers})


def _failed(status: int, problems: list[Problem]) -> dict[str, Any]:
    words = {409: "409 Conflict", 422: "422 Unprocessable Entity"}
    return {"response": {"status": words[status], "outcome": problem_details.outcome(status, problems)}}


def _answered(request: HttpRequest, recorded: Recorded, entry: _Entry) -> dict[str, Any]:
    base = request.build_absolute_uri("/api/v1/fhir/Observation/")
    issues = [
        {
            "severity": "warning",
            "code": "business-rule",
            "details": {
                "coding": [{"system": problem_details.RULES, "code": query["rule"]}],
                "text": f"{query['message']} {query['detail']}".strip(),
            },
            **({"diagnostics": f"query {query['query']}"} if query["query"] else {}),
        }
        for query in recorded.queries
    ] + [
        {
            "severity": "information",
            "code": "not-supported",
            "details": {"text": gettext("This part is not kept.")},
            "expression": [path],
        }
        for path in entry.unread
    ]
    return {
        "response": {
            "status": "201 Created" if recorded.state == "entered" else "200 OK",
            "location": f"{base}{recorded.result.pk}",
            "etag": f'W/"{recorded.result.version}"',
            **({"outcome": {"resourceType": "OperationOutcome", "issue": issues}} if issues else {}),
        }
    }


# --- reading --------------------------------------------------------------------------------


def _refuse(place: str, value: object, rule: str, sentence: str, remedy: str, **gaps: Any) -> NoReturn:
    shown = typed.printable(str(value)) if not isinstance(value, dict | list) else ""
    gaps = {"value": shown, **gaps}
    raise _Problems(Problem(place, shown, rule, Sentence(sentence, gaps), Sentence(remedy, gaps)))


def _entries_of(bundle: Any) -> tuple[str, list[Any]]:
    try:
        if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
            _refuse(
                "Bundle",
                "",
                "not_a_bundle",
                _("The body is not a Bundle."),
                _("Send a Bundle of Observations."),
            )
        kind = bundle.get("type")
        if kind not in ("transaction", "batch"):
            _refuse(
                "Bundle.type",
                kind,
                "bundle_type",
                _("A Bundle of the type “%(value)s” is not taken."),
                _("Send transaction (all or nothing) or batch (each by itself)."),
            )
        entries = bundle.get("entry")
        if not isinstance(entries, list) or not 1 <= len(entries) <= MOST_ENTRIES:
            _refuse(
                "Bundle.entry",
                "",
                "number_of_entries",
                _("A Bundle has 1 to %(most)s entries."),
                _("Send the rest in another one."),
                most=MOST_ENTRIES,
            )
    except _Problems as found:
        raise Refused(found.problems) from None
    return kind, entries


def _refuse_strange_structure(bundle: Any) -> None:
    """Let the FHIR library refuse what is no FHIR, once our own reading has said what it could in its words."""
    from fhir.resources.R4B.bundle import Bundle
    from pydantic import ValidationError

    try:
        Bundle.model_validate(bundle)
    except ValidationError as error:
        raise Refused(
            [
                Problem(
                    _path(found["loc"]),
                    "",
                    "not_fhir",
                    Sentence(_("It is not valid FHIR R4: %(what)s."), {"what": str(found["msg"])[:300]}),
                    Sentence(_("Correct it as the specification has it.")),
                )
                for found in error.errors(include_url=False, include_input=False)[:50]
            ]
        ) from None
    # the library's own readers of dates and numbers raise whatever their parts raise
    except (ValueError, TypeError, OverflowError, ArithmeticError, RecursionError) as error:
        raise Refused(
            [
                Problem(
                    "Bundle",
                    "",
                    "not_fhir",
                    Sentence(_("It is not valid FHIR R4: %(what)s."), {"what": type(error).__name__}),
                    Sentence(_("Correct it as the specification has it.")),
                )
            ]
        ) from None


def _path(location: tuple[Any, ...]) -> str:
    text = "Bundle"
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{typed.printable(str(part))}"
    return text


def _entry(entry: Any, number: int) -> _Entry | list[Problem]:
    at = f"Bundle.entry[{number}]"
    try:
        if not isinstance(entry, dict):
            _refuse(at, "", "not_an_entry", _("The entry is not an object."), _("Send resource and request."))
        wish = entry.get("request")
        wish = wish if isinstance(wish, dict) else {}
        if wish.get("method") != "POST" or wish.get("url") != "Observation" or len(wish) != 2:
            _refuse(
                f"{at}.request",
                wish.get("method", ""),
                "request",
                _("Only new Observations are taken: method POST, url Observation, no conditions."),
                _("Leave everything else out."),
            )
        resource = entry.get("resource")
        if not isinstance(resource, dict) or resource.get("resourceType") != "Observation":
            kind = resource.get("resourceType", "") if isinstance(resource, dict) else ""
            _refuse(
                f"{at}.resource", kind, "resource", _("The resource is not an Observation."), _("Send one.")
            )
        return _observation(resource, f"{at}.resource")
    except _Problems as found:
        return list(found.problems)


def _observation(resource: Mapping[str, Any], at: str) -> _Entry:
    status = resource.get("status")
    if status not in (*_FINAL, *_CORRECTED):
        _refuse(
            f"{at}.status",
            status,
            "status",
            _("A result with the status “%(value)s” is not taken."),
            _("Send it when it is final, amended or corrected."),
        )
    for name in (*_VALUES, *_REFUSED):
        if name in resource:
            _refuse(
                f"{at}.{name}",
                "",
                "not_taken",
                _("%(name)s is not taken."),
                _("Send a valueQuantity with a UCUM code, or a dataAbsentReason."),
                name=name,
            )
    value, unit, comparator = _quantity(resource.get("valueQuantity"), f"{at}.valueQuantity")
    absent = resource.get("dataAbsentReason")
    paths = {
        "analyte": "code", "value": "valueQuantity.value", "unit": "valueQuantity.code",
        "comparator": "valueQuantity.comparator", "missing": "dataAbsentReason", "date": "effectiveDateTime",
        "week": "effectiveDateTime", "laboratory": "performer", "specimen": "specimen", "subject": "subject",
        "reason": "status", "note": "status",
    }  # fmt: skip
    is_corrected = status in _CORRECTED
    said = Said(
        subject=_subject(resource.get("subject"), f"{at}.subject"),
        reported=Reported(
            analyte=_code(resource.get("code"), f"{at}.code"),
            value=value,
            unit=unit,
            comparator=comparator,
            missing=_missing(absent, f"{at}.dataAbsentReason") if absent is not None else "",
        ),
        date=_moment(resource, at),
        laboratory=_identifier_in(resource.get("performer"), fhir_read.LABORATORIES),
        specimen=_identifier_in(resource.get("specimen"), ""),
        overwrite=is_corrected,
        reason="report_amended" if is_corrected else "",
        place=lambda part: f"{at}.{paths.get(part, part)}",
    )
    unread = [f"{at}.{name}" for name in resource if name not in _READ]
    if resource.get("performer") and not said.laboratory:
        unread.append(f"{at}.performer")
    if resource.get("specimen") and not said.specimen:
        unread.append(f"{at}.specimen")
    return _Entry(said, tuple(unread))


def _quantity(found: Any, at: str) -> tuple[str, str, str]:
    if found is None:
        return "", "", ""
    if not isinstance(found, dict):
        _refuse(at, "", "not_a_quantity", _("It is not a quantity."), _("Send value, system and code."))
    value, code, comparator = found.get("value"), found.get("code", ""), found.get("comparator", "")
    if not isinstance(value, str) or not isinstance(code, str) or not isinstance(comparator, str):
        _refuse(at, "", "not_a_quantity", _("It is not a quantity."), _("Send value, system and code."))
    if found.get("system") != loinc.UCUM_SYSTEM or not code:
        _refuse(
            f"{at}.system",
            found.get("system", ""),
            "not_ucum",
            _("The unit is not coded in UCUM."),
            _("Send the system %(system)s and a code."),
            system=loinc.UCUM_SYSTEM,
        )
    unit = loinc.unit_of(code)
    if unit is None:
        # passed on as it is: the check of the form says which units the analyte has
        return value, code if typed.read_unit(code) is None else f"UCUM {code}", comparator
    return value, unit, comparator


def _code(found: Any, at: str) -> str:
    codings = found.get("coding") if isinstance(found, dict) else None
    codes = [
        coding["code"]
        for coding in (codings if isinstance(codings, list) else [])
        if isinstance(coding, dict)
        and coding.get("system") == loinc.SYSTEM
        and isinstance(coding.get("code"), str)
    ]
    if not codes:
        _refuse(
            at,
            "",
            "no_loinc",
            _("It has no LOINC code."),
            _("Add a coding of %(system)s."),
            system=loinc.SYSTEM,
        )
    known = {loinc.CODES[code].analyte for code in codes if code in loinc.CODES}
    if len(set(codes)) > 1 and (len(known) != 1 or any(code not in loinc.CODES for code in codes)):
        _refuse(
            at, ", ".join(codes), "two_codes", _("It has several LOINC codes: %(value)s."), _("Keep one.")
        )
    if codes[0] not in loinc.CODES:
        _refuse(
            at,
            codes[0],
            "unknown_analyte",
            _("LOINC %(value)s is not of the panel."),
            _("The panel has %(panel)s."),
            panel=", ".join(loinc.CODES),
        )
    return str(codes[0])


def _subject(found: Any, at: str) -> str:
    if isinstance(found, dict):
        reference = found.get("reference")
        if isinstance(reference, str) and reference.startswith("Patient/"):
            return reference.removeprefix("Patient/")
        identifier = found.get("identifier")
        if isinstance(identifier, dict) and isinstance(identifier.get("value"), str):
            if identifier.get("system") in (None, fhir_read.SUBJECTS):
                return str(identifier["value"])
            _refuse(
                f"{at}.identifier.system",
                identifier.get("system"),
                "identifier",
                _("“%(value)s” is not the system of the study's codes."),
                _("Send %(system)s with the code of the subject, never a hospital number."),
                system=fhir_read.SUBJECTS,
            )
    _refuse(
        at,
        "",
        "no_subject",
        _("It does not say whose it is."),
        _("Send subject.reference as Patient/ with the code, or subject.identifier."),
    )


def _moment(resource: Mapping[str, Any], at: str) -> str:
    for name in ("effectiveDateTime", "effectiveInstant"):
        text = resource.get(name)
        if isinstance(text, str) and text:
            return text
    _refuse(
        f"{at}.effectiveDateTime",
        "",
        "no_date",
        _("It does not say when blood was drawn."),
        _("Send effectiveDateTime: a day, or a moment with its offset."),
    )


def _missing(found: Any, at: str) -> str:
    codings = found.get("coding") if isinstance(found, dict) else None
    for coding in codings if isinstance(codings, list) else []:
        if not isinstance(coding, dict) or not isinstance(coding.get("code"), str):
            continue
        if coding.get("system") == fhir_read.MISSING:
            return str(coding["code"])
        if coding.get("system") == fhir_read.ABSENT and coding["code"] in _ABSENT_AS:
            return _ABSENT_AS[coding["code"]]
    _refuse(
        at,
        "",
        "missing_reason",
        _("It does not say in a code of the study why there is no value."),
        _("Add a coding of %(system)s, for example haemolysed."),
        system=fhir_read.MISSING,
    )


def _identifier_in(found: Any, system: str) -> str:
    """Return the identifier of a reference, or of the first of several; nothing where there is none."""
    for reference in found if isinstance(found, list) else [found]:
        identifier = reference.get("identifier") if isinstance(reference, dict) else None
        if not isinstance(identifier, dict) or not isinstance(identifier.get("value"), str):
            continue
        if not system or identifier.get("system") == system:
            return str(identifier["value"])
    return ""
