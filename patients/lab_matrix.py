"""The matrix of a subject's labs: analytes and scores down, draws across."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from patients.actions.panel_merge import shown
from patients.draw_marks import DrawMark, draw_marks
from patients.models import LabResult, Patient, Visit
from patients.patient_header import Clamp, clamps
from patients.printing import in_print, range_text
from patients.reference import Reference, references_for
from trial import protocol
from trial.protocol import Analyte, Limits, Sex
from trial.unit_words import unit_said

_MISSING = {reason.code: reason.label for reason in protocol.MISSING_REASONS}


@dataclass(frozen=True, slots=True)
class Draw:
    """One column: a visit or an unscheduled draw, with the address where it is corrected.

    ``mark`` says whether it came soon after plasma, or after the end of observation.
    """

    visit: Visit
    url: str
    missing_required: tuple[str, ...] = ()
    mark: DrawMark = field(default_factory=DrawMark)

    @property
    def week(self) -> int | None:
        return self.visit.week

    @property
    def drawn_on(self) -> date | None:
        return self.visit.visited_on


@dataclass(frozen=True, slots=True)
class Cell:
    """One value, or why there is none; ``typed`` is what the report said, ``reference`` what held on its day.

    ``plasma`` says how soon after plasma it was drawn.
    """

    value: Decimal | None = None
    comparator: str = ""
    flag: str = ""
    change: Decimal | None = None
    typed: str = ""
    is_converted: bool = False
    why_none: str = ""
    url: str = ""
    visit_id: int | None = None
    result_id: int | None = None
    clamps: tuple[Clamp, ...] = ()
    decimals: int = 0
    change_decimals: int = 0
    reference: Reference | None = None
    plasma: str = ""

    @property
    def range_said(self) -> str:
        """Name the range it is held against, and whose it is."""
        return "" if self.reference is None else said(self.reference)

    @property
    def shown(self) -> str:
        return "" if self.value is None else in_print(self.value, self.decimals)

    @property
    def change_shown(self) -> str:
        """The change with its sign and a true minus."""
        if self.change is None:
            return ""
        size = in_print(abs(self.change), max(self.decimals, self.change_decimals))
        if not self.change:
            return size
        return f"+{size}" if self.change > 0 else f"\N{MINUS SIGN}{size}"


@dataclass(frozen=True, slots=True)
class Line:
    """One row: an analyte, or a score; ``reference`` is the newest where it ``varies`` between draws."""

    code: str
    label: str
    unit: str
    decimals: int
    reference: Limits | None
    cells: tuple[Cell | None, ...]
    is_score: bool = False
    varies: bool = False

    @property
    def reference_text(self) -> str:
        return "" if self.reference is None else range_text(self.reference)


@dataclass(frozen=True, slots=True)
class Matrix:
    """Everything the page shows; ``revision`` is that of the oldest score in it."""

    draws: tuple[Draw, ...]
    lines: tuple[Line, ...]
    revision: int | None

    @property
    def visits(self) -> tuple[Visit, ...]:
        return tuple(draw.visit for draw in self.draws)


def matrix(patient: Patient) -> Matrix:
    """Return a subject's labs and scores by draw, in the order of the days, in six queries."""
    visits = sorted(Visit.objects.valid().filter(patient=patient, not_done=""), key=_order)
    results: dict[tuple[int, str], LabResult] = {
        (result.visit_id, result.analyte): result
        for result in LabResult.objects.filter(patient=patient, visit__voided_at__isnull=True)
    }
    by_pk = {visit.pk: visit for visit in visits}
    for result in results.values():
        result.visit, result.patient = by_pk[result.visit_id], patient
    references = references_for(list(results.values()))
    marks = draw_marks(patient, visits, results.values())
    draws = tuple(
        Draw(visit, _url(patient, visit), _missing_required(visit, results), marks[visit.pk])
        for visit in visits
    )
    sex = Sex(patient.sex)
    lines = [
        _analyte_line(analyte, draws, results, references, Reference(analyte.reference[sex]))
        for analyte in protocol.PANEL
        if analyte.required or any((draw.visit.pk, analyte.code) in results for draw in draws)
    ]
    scores = _newest_scores(patient)
    lines += [_score_line(variant, draws, scores) for variant in protocol.SCORES]
    lines = [_marked(line, draws) for line in lines]
    return Matrix(
        draws,
        tuple(lines),
        max((score.revision for score in scores.values()), default=None),
    )


def _marked(line: Line, draws: Sequence[Draw]) -> Line:
    cells = zip(line.cells, draws, strict=True)
    return replace(
        line,
        cells=tuple(
            replace(cell, plasma=draw.mark.plasma) if cell is not None and draw.mark.after else cell
            for cell, draw in cells
        ),
    )


def _order(visit: Visit) -> tuple[date, int, int]:
    return visit.visited_on or date.max, visit.week if visit.week is not None else -1, visit.pk


def _url(patient: Patient, visit: Visit) -> str:
    if visit.week is not None:
        return reverse("patients:enter_visit", args=[patient.subject_id, visit.week])
    return reverse("patients:edit_unscheduled", args=[patient.subject_id, visit.pk])


def _missing_required(visit: Visit, results: dict[tuple[int, str], LabResult]) -> tuple[str, ...]:
    if visit.week is None:
        return ()
    return tuple(code for code in protocol.REQUIRED_ANALYTES if (visit.pk, code) not in results)


def _analyte_line(
    analyte: Analyte,
    draws: Sequence[Draw],
    results: dict[tuple[int, str], LabResult],
    references: Mapping[int, Reference],
    stands_in: Reference,
) -> Line:
    baseline = next(
        (
            results[draw.visit.pk, analyte.code]
            for draw in draws
            if draw.week == protocol.BASELINE_WEEK and (draw.visit.pk, analyte.code) in results
        ),
        None,
    )
    held = [
        references[results[draw.visit.pk, analyte.code].pk]
        for draw in draws
        if (draw.visit.pk, analyte.code) in results
    ]
    newest = held[-1] if held else stands_in
    return Line(
        analyte.code,
        analyte.label,
        unit_said(analyte.unit),
        analyte.decimals,
        newest.limits,
        tuple(
            _cell(results.get((draw.visit.pk, analyte.code)), draw, baseline, references) for draw in draws
        ),
        varies=any(reference.limits != newest.limits for reference in held),
    )


def _cell(
    result: LabResult | None, draw: Draw, baseline: LabResult | None, references: Mapping[int, Reference]
) -> Cell | None:
    if result is None:
        return None
    reference = references[result.pk]
    url = f"{draw.url}#row-{result.analyte}"
    if result.value is None:
        return Cell(
            why_none=_(_MISSING[result.missing_reason]), url=url, visit_id=draw.visit.pk, result_id=result.pk
        )
    is_baseline = draw.week == protocol.BASELINE_WEEK
    start = None if baseline is None else baseline.value
    return Cell(
        value=result.value,
        comparator=result.comparator,
        flag=reference.flag(result.value),
        reference=reference,
        change=None if start is None or is_baseline else result.value - start,
        change_decimals=max(result.decimals, 0 if baseline is None else baseline.decimals),
        typed=shown(result),
        is_converted=result.is_converted,
        decimals=result.decimals,
        url=url,
        visit_id=draw.visit.pk,
        result_id=result.pk,
    )


def said(reference: Reference) -> str:
    """Name a range and whose it is, with the day since which it is valid."""
    limits = range_text(reference.limits)
    if reference.is_protocols:
        return _("adult range of the protocol %(range)s") % {"range": limits}
    return _("%(laboratory)s %(range)s since %(day)s") % {
        "laboratory": reference.laboratory,
        "range": limits,
        "day": "" if reference.valid_from is None else reference.valid_from.isoformat(),
    }


def _newest_scores(patient: Patient) -> dict[tuple[int, str], Any]:
    newest = (
        patient.scores.filter(visit__voided_at__isnull=True)
        .order_by("visit_id", "variant", "-id")
        .distinct("visit_id", "variant")
    )
    return {(score.visit_id, score.variant): score for score in newest}


def _score_line(
    variant: protocol.ScoreVariant, draws: Sequence[Draw], scores: dict[tuple[int, str], Any]
) -> Line:
    at_baseline = next(
        (scores.get((draw.visit.pk, variant.code)) for draw in draws if draw.week == protocol.BASELINE_WEEK),
        None,
    )
    cells: list[Cell | None] = []
    for draw in draws:
        score = scores.get((draw.visit.pk, variant.code))
        if score is None:
            cells.append(None)
        elif score.value is None:
            cells.append(Cell(why_none=score.why_in_words))
        else:
            before = None if at_baseline is None or draw.week == protocol.BASELINE_WEEK else at_baseline.value
            cells.append(
                Cell(
                    value=score.value,
                    change=None if before is None else score.value - before,
                    clamps=clamps(score.inputs),
                    decimals=protocol.decimals_of(variant.code),
                )
            )
    return Line(
        variant.code,
        variant.label,
        "",
        protocol.decimals_of(variant.code),
        None,
        tuple(cells),
        is_score=True,
    )
