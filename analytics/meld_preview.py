"""What MELD would be with the values typed so far, term by term."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _

from analytics import selectors as results
from analytics.words import said
from patients import selectors
from patients.forms import LabPanelForm, Row
from patients.models import Patient, Visit
from trial import clock, marks, protocol, units

if TYPE_CHECKING:
    from analytics.scores import ScoreResult


@dataclass(frozen=True, slots=True)
class Term:
    """One summand: what it comes from, and its points."""

    label: str
    used: Decimal | None
    unit: str
    clamped_from: Decimal | None
    is_raised: bool
    doubtful: bool
    points: float
    by_dialysis: bool = False


@dataclass(frozen=True, slots=True)
class Preview:
    """The score of what is typed.

    Parameters
    ----------
    variant
        Name of the formula.
    value
        Unrounded score; None when there is none, and ``why_not`` says why.
    last, last_week
        The subject's score before this draw.
    terms
        Summands of the score.
    doubtful
        Labels of inputs whose soft check nobody has confirmed yet.
    otherwise
        What the score would be if a doubtful value were in the unit that was perhaps meant.
    """

    variant: str
    value: Decimal | None
    why_not: str
    last: Decimal | None
    last_week: int | None
    terms: tuple[Term, ...]
    doubtful: tuple[str, ...]
    otherwise: tuple[Otherwise, ...]


@dataclass(frozen=True, slots=True)
class Otherwise:
    """The score if one value had another unit."""

    label: str
    text: str
    unit: str
    value: Decimal


def of(patient: Patient, week: int | None, posted: Mapping[str, Any]) -> Preview:
    """Compute the score of a posted panel; it need not be complete or right."""
    from analytics import scores

    visit = (selectors.visit_of_week(patient, week) if week is not None else None) or Visit(
        patient=patient, week=week
    )
    today = clock.today_at(patient.site)
    form = LabPanelForm(
        posted,
        patient=patient,
        visit=visit,
        stored=selectors.results_of(visit),
        last=selectors.last_values(patient, visit=visit, drawn_on=visit.visited_on or today),
        today=today,
    )
    form.is_valid()
    variant = protocol.SCORE_AT[protocol.DEFAULT_SCORE]
    rows = {row.code: row for row in form.rows if row.code in variant.inputs}
    typed = {code: row.value for code, row in rows.items()}

    dialysed = _dialysed(patient, visit, form)

    def score(values: Mapping[str, Decimal | None]) -> scores.ScoreResult:
        return scores.compute(variant.code, values, sex=patient.sex, age=_age(patient), dialysed=dialysed)

    result = score(typed)
    otherwise = []
    for code, row in rows.items():
        if (
            row.state != "warned"
            or not row.doubt
            or not row.doubt.unit
            or row.entry is None
            or row.entry.value is None
        ):
            continue
        meant = protocol.ANALYTES[code].in_standard_unit(row.entry.value, row.doubt.unit)
        other = score(typed | {code: meant})
        if other.value is not None:
            otherwise.append(
                Otherwise(_(row.analyte.label), row.text.strip(), units.symbol(row.doubt.unit), other.value)
            )
    last, last_week = _last(patient, visit)
    return Preview(
        variant=variant.label,
        value=result.value,
        why_not=_why_not(result, rows),
        last=last,
        last_week=last_week,
        terms=tuple(_terms(result, rows)),
        doubtful=tuple(_(row.analyte.label) for row in rows.values() if row.state == "warned"),
        otherwise=tuple(otherwise),
    )


def stored(visit: Visit) -> Decimal | None:
    """Return the score of a visit from what is stored now; None when it has none."""
    from analytics import scores

    patient, variant = visit.patient, protocol.SCORE_AT[protocol.DEFAULT_SCORE]
    values = dict.fromkeys(variant.inputs) | dict(
        visit.lab_results.filter(analyte__in=variant.inputs).values_list("analyte", "value")
    )
    return scores.compute(variant.code, values, sex=patient.sex, age=_age(patient)).value


def _why_not(result: ScoreResult, rows: Mapping[str, Row]) -> str:
    """Say why there is no score; a value that was refused is not called missing: it is there, and is not stored."""
    refused = [_(row.analyte.label) for row in rows.values() if row.state == "wrong"]
    if result.obstacle is None:
        return ""
    if not refused:
        return said(result.obstacle)
    sentences = [_("%(labels)s refused: not stored.") % {"labels": marks.listed(refused)}]
    missing = [_(row.analyte.label) for row in rows.values() if row.value is None and row.state != "wrong"]
    if missing:
        sentences.append(_("%(labels)s missing.") % {"labels": marks.listed(missing)})
    return " ".join(sentences)


def _terms(result: Any, rows: Mapping[str, Row]) -> list[Term]:
    """Return the summands in the order of the panel, the constant last."""
    from analytics import scores

    used = {entry.code: entry for entry in result.inputs_used}
    found: list[Term] = []
    for code, row in rows.items():
        for term in result.terms:
            if f"({row.analyte.label.lower()})" not in term.label.lower():
                continue
            entry = used[code]
            found.append(
                Term(
                    label=_(row.analyte.label),
                    used=entry.used,
                    unit=row.analyte.unit_symbol if row.analyte.unit != "ratio" else "",
                    clamped_from=entry.clamped_from,
                    is_raised=entry.clamped_from is not None and entry.used > entry.clamped_from,
                    doubtful=row.state == "warned",
                    points=term.points,
                    by_dialysis=entry.note is not None and entry.note.text == scores.DIALYSED,
                )
            )
    rest = sum(term.points for term in result.terms) - sum(term.points for term in found)
    if found:
        found.append(Term("", None, "", None, is_raised=False, doubtful=False, points=rest))
    return found


def _dialysed(patient: Patient, visit: Visit, form: LabPanelForm) -> bool:
    """Return whether the draw on screen counts as taken under dialysis."""
    from analytics import scoring

    day, hour = form.cleaned_data.get("visited_on") or visit.visited_on, form.cleaned_data.get("drawn_at")
    at = datetime.combine(day, hour) if day and hour else None
    return scoring.dialysed_at(patient, day, at)


def _age(patient: Patient) -> Decimal | int | None:
    if patient.age_at_recruitment is not None:
        return patient.age_at_recruitment
    return patient.age_on(patient.recruited_on) if patient.recruited_on else None


def _last(patient: Patient, visit: Visit) -> tuple[Decimal | None, int | None]:
    """Return the newest score of a draw before this one."""
    before = visit.visited_on or date.max
    scored = [
        (score.visit.visited_on or date.min, score.visit.week or 0, score)
        for (_visit, variant), score in results.scores_of_patient(patient).items()
        if variant == protocol.DEFAULT_SCORE and score.value is not None and score.visit_id != visit.pk
    ]
    earlier = [
        entry
        for entry in scored
        if entry[0] < before and (visit.week is None or entry[2].visit.week is None or entry[1] < visit.week)
    ]
    if not earlier:
        return None, None
    newest = max(earlier, key=lambda entry: entry[:2])[2]
    return newest.value, newest.visit.week
