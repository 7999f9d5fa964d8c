"""The scores of a subject visit by visit: the MELD family as stored, Child-Pugh and ALBI, each with its parts.

The MELD variants are read as the last run stored them; their summands are worked
out again from the inputs of the row, and shown only when they give its value.
Child-Pugh, ALBI and the grades of the criteria come straight from the visit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from analytics import liver_scores, scores, scoring
from analytics import selectors as results
from analytics.liver_scores import Part
from analytics.models import Score
from analytics.samples import say
from analytics.study_arrays import SCORE_PLACES
from analytics.words import said, why_not
from patients import grading
from patients.draw_marks import DrawMark, draw_marks
from patients.grading import Proposal
from patients.models import LabResult, Patient, Visit
from trial import marks, protocol, units, vocabulary

LIVER_INPUTS = ("tbil", "albumin", "inr", "pt")
_CONVENTIONAL: Mapping[str, str] = {"tbil": "mg/dL", "creatinine": "mg/dL", "albumin": "g/dL"}
"""The unit in which the formulas of the MELD family take an analyte, where it is not the study's."""


@dataclass(frozen=True, slots=True)
class Column:
    """A score of the page; the study's statistics use the one that ``is_default``."""

    code: str
    label: str
    is_default: bool = False


@dataclass(frozen=True, slots=True)
class InputShown:
    """What went in: as measured, what it counts as in the formula's unit, and why (``note``); or its words."""

    code: str
    label: str
    measured: Decimal | None
    unit: str
    note: str = ""
    used: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Summand:
    """What one term adds; a whole number of points for Child-Pugh."""

    label: str
    points: Decimal
    decimals: int = 3


@dataclass(frozen=True, slots=True)
class Scored:
    """One score of one visit: its value, or ``why_not``.

    Parameters
    ----------
    value
        Unrounded.
    whole
        What is reported: the integer of a MELD, the points of Child-Pugh.
    grade
        Class of Child-Pugh, grade of ALBI.
    revision
        Since which revision a stored score is what it is.
    """

    column: Column
    value: Decimal | None = None
    whole: int | None = None
    grade: str = ""
    why_not: str = ""
    inputs: tuple[InputShown, ...] = ()
    summands: tuple[Summand, ...] = ()
    revision: int | None = None

    @property
    def replaced(self) -> tuple[InputShown, ...]:
        """The inputs that a bound or dialysis replaced, and those that only a limit is known of."""
        return tuple(one for one in self.inputs if one.note)

    @property
    def has_value(self) -> bool:
        return self.value is not None or self.whole is not None


@dataclass(frozen=True, slots=True)
class Row:
    """One visit."""

    visit: Visit
    scores: tuple[Scored, ...]
    grades: tuple[Proposal, ...]
    mark: DrawMark
    is_graded: bool

    @property
    def explained(self) -> tuple[Scored, ...]:
        """The scores that have a value to explain."""
        return tuple(one for one in self.scores if one.has_value)


@dataclass(frozen=True, slots=True)
class Table:
    """Everything the page shows; ``revision`` is that of the MELD scores, ``latest`` that of the rest."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    revision: int
    latest: int


VARIANTS: tuple[Column, ...] = tuple(
    Column(score.code, score.label, score.code == protocol.DEFAULT_SCORE) for score in protocol.SCORES
)
CHILD_PUGH, ALBI = Column("child_pugh", "Child-Pugh"), Column("albi", "ALBI")
COLUMNS = (*VARIANTS, CHILD_PUGH, ALBI)


def of(patient: Patient, *, first_infusion_on: date | None) -> Table:
    """Return the scores of each visit of a subject, by day; a constant number of queries.

    Parameters
    ----------
    patient
        Must be visible to the reader; this function does not ask.
    first_infusion_on
        Grades of the criteria begin after it.
    """
    freshness = results.freshness()
    visits = sorted(Visit.objects.valid().filter(patient=patient, not_done=""), key=_order)
    measured: dict[int, dict[str, LabResult]] = defaultdict(dict)
    for result in LabResult.objects.filter(patient=patient, visit__voided_at__isnull=True):
        measured[result.visit_id][result.analyte] = result
    drawn = [result for of_visit in measured.values() for result in of_visit.values()]
    marks = draw_marks(patient, visits, drawn)
    stored = results.scores_of_patient(patient)
    grades: dict[int, list[Proposal]] = defaultdict(list)
    for one in grading.proposals(patient):
        grades[one.result.visit_id].append(one)
    rows = []
    for visit in visits:
        found = measured.get(visit.pk, {})
        meld = tuple(_meld(column, stored.get((visit.pk, column.code)), patient) for column in VARIANTS)
        rows.append(
            Row(
                visit,
                (*meld, _child_pugh(visit, found), _albi(found)),
                tuple(grades.get(visit.pk, ())),
                marks[visit.pk],
                is_graded=_is_after(visit, first_infusion_on),
            )
        )
    return Table(COLUMNS, tuple(rows), freshness.shown, freshness.latest)


def _order(visit: Visit) -> tuple[date, int, int]:
    return visit.visited_on or date.max, -1 if visit.week is None else visit.week, visit.pk


def _is_after(visit: Visit, first: date | None) -> bool:
    if first is None or visit.week == protocol.BASELINE_WEEK:
        return False
    return visit.visited_on is None or visit.visited_on >= first


# --- the MELD family ------------------------------------------------------------------------


def _meld(column: Column, score: Score | None, patient: Patient) -> Scored:
    if score is None:
        return Scored(column, why_not=_("not computed yet"))
    inputs = tuple(_input(used) for used in score.inputs)
    if score.value is None:
        return Scored(column, why_not=why_not(score), revision=score.revision)
    return Scored(
        column,
        score.value,
        score.reported,
        inputs=inputs,
        summands=_summands(column.code, score, patient),
        revision=score.revision,
    )


def _input(stored: Mapping[str, Any]) -> InputShown:
    code, used = str(stored["code"]), Decimal(str(stored["used"]))
    analyte = protocol.ANALYTES[code]
    note = scoring.sentence_of(stored.get("note") or [])
    unit = _CONVENTIONAL.get(code)
    conventional = "" if unit is None else f"{used / analyte.accepted[unit]:.3f} {unit}"
    measured = stored.get("clamped_from")
    return InputShown(
        code,
        _(analyte.label),
        _plain(used if measured is None else Decimal(str(measured))),
        analyte.unit_symbol if analyte.unit != "ratio" else "",
        "" if note is None else said(note),
        conventional or ("" if measured is None else f"{_plain(used):f}"),
    )


def _summands(variant: str, score: Score, patient: Patient) -> tuple[Summand, ...]:
    """Work out the terms of a stored score; none when they would give another value than it has."""
    measured = {
        used["code"]: Decimal(str(used["used"] if used.get("clamped_from") is None else used["clamped_from"]))
        for used in score.inputs
    }
    dialysed = any(note[0] == scores.DIALYSED for used in score.inputs if (note := used.get("note")))
    found = scores.compute(
        variant,
        measured,
        sex=patient.sex,
        age=_age(patient),
        dialysed=dialysed,
        points=int(score.value.scaleb(SCORE_PLACES)) if score.value is not None else None,
    )
    total = sum(term.points for term in found.terms)
    if found.value is None or abs(Decimal(total) - found.value) > _SAME:
        return ()
    return tuple(Summand(_(term.label), Decimal(term.points)) for term in found.terms)


_IN_WORDS = (gettext_noop("female, or younger than 18"), gettext_noop("6.4 x aetiology"))
"""Summands that are more than a formula, marked here for translation."""

_SAME = Decimal("0.000001")
"""Summands that miss the stored score by more are not its summands."""


def _age(patient: Patient) -> Decimal | int | None:
    if patient.age_at_recruitment is not None:
        return patient.age_at_recruitment
    return patient.age_on(patient.recruited_on) if patient.recruited_on else None


# --- Child-Pugh and ALBI --------------------------------------------------------------------


def _child_pugh(visit: Visit, measured: Mapping[str, LabResult]) -> Scored:
    values = {code: measured[code].value if code in measured else None for code in LIVER_INPUTS}
    # the study records no control of the prothrombin time
    found = liver_scores.child_pugh(**values, ascites=visit.ascites, encephalopathy=visit.encephalopathy)
    if found.points is None:
        return Scored(CHILD_PUGH, why_not=_why_not(found.obstacles))
    return Scored(
        CHILD_PUGH,
        whole=found.points,
        grade=found.grade,
        inputs=_shown(found.parts, measured),
        summands=tuple(Summand(_name(part.code), part.points, 0) for part in found.parts),
    )


def _albi(measured: Mapping[str, LabResult]) -> Scored:
    values = {code: measured[code].value if code in measured else None for code in ("tbil", "albumin")}
    found = liver_scores.albi(**values)
    if found.value is None:
        return Scored(ALBI, why_not=_why_not(found.obstacles))
    log_tbil, albumin = (part.points for part in found.parts)
    return Scored(
        ALBI,
        found.value,
        grade=str(found.grade),
        inputs=_shown(found.parts, measured),
        summands=(Summand("0.66 log10(TBIL)", log_tbil), Summand("-0.085 albumin", albumin)),
    )


def _why_not(obstacles: Sequence[Any]) -> str:
    what = marks.semicolon().join(said(one) for one in obstacles)
    return said(say(liver_scores.NOT_COMPUTABLE, what=what))


def _shown(parts: Sequence[Part], measured: Mapping[str, LabResult]) -> tuple[InputShown, ...]:
    found = []
    for part in parts:
        if isinstance(part.given, str):
            term = vocabulary.by_code(vocabulary.FINDINGS[part.code])[part.given]
            found.append(InputShown(part.code, _name(part.code), None, "", text=_(term.label)))
            continue
        analyte, result = protocol.ANALYTES[part.code], measured[part.code]
        limit = _("reported as %(text)s") % {"text": result.typed_text} if result.comparator else ""
        unit = units.symbol(analyte.unit) if analyte.unit != "ratio" else ""
        found.append(InputShown(part.code, _(analyte.label), _plain(part.given), unit, limit))
    return tuple(found)


def _plain(value: Decimal) -> Decimal:
    """Return a value without the zeros that only fill its column."""
    return value.quantize(Decimal(1)) if value == value.to_integral_value() else value.normalize()


def _name(code: str) -> str:
    if code in vocabulary.FINDINGS:
        labels = {"ascites": _("ascites"), "encephalopathy": _("encephalopathy")}
        return labels[code]
    return _(protocol.label_of(code))
