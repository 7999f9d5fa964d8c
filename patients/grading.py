"""Grades of a subject's results after the first infusion: proposed, and what a person confirmed.

The baseline is the last value drawn before the first infusion. A draw on that
very day counts as before when its hour says so or, where an hour is missing,
when it is the visit of week 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from django.db.models import Exists, F, Min, OuterRef, Q
from django.http import Http404
from django.utils.translation import gettext as _

from patients import ctcae, upstairs
from patients.ctcae import Baseline, Grade, Rule
from patients.models import ConfirmedGrade, LabResult, Patient, ReferenceRange
from patients.printing import in_print
from patients.reference import Reference, references_for
from trial import clock, protocol, units
from trial.models import User

MOST_NEW = 200
"""Results that are looked at for a person's list of new severe grades, the newest first."""


class State(StrEnum):
    """How far a grade is."""

    OPEN = "open"
    CONFIRMED = "confirmed"
    OUTDATED = "outdated"


@dataclass(frozen=True, slots=True)
class Proposal:
    """One result, its proposed grade, and the grade a person confirmed for it."""

    result: LabResult
    grade: Grade
    reference: Reference
    baseline: LabResult | None
    baseline_grade: int | None
    confirmed: ConfirmedGrade | None

    @property
    def term(self) -> str:
        return self.grade.term

    @property
    def term_said(self) -> str:
        return _(self.grade.term)

    @property
    def proposed(self) -> int:
        return self.grade.grade or 0

    @property
    def state(self) -> State:
        """Open, confirmed, or out of date since the value or its range changed."""
        if self.confirmed is None:
            return State.OPEN
        same = (self.confirmed.result_version, self.confirmed.proposed) == (
            self.result.version,
            self.proposed,
        )
        return State.CONFIRMED if same else State.OUTDATED

    @property
    def is_severe(self) -> bool:
        return self.proposed >= ctcae.SEVERE

    @property
    def is_worse_than_baseline(self) -> bool:
        return self.baseline_grade is None or self.proposed > self.baseline_grade

    @property
    def day(self) -> date | None:
        return self.result.visit.visited_on

    @property
    def week(self) -> int | None:
        return self.result.visit.week

    @property
    def analyte(self) -> protocol.Analyte:
        return protocol.ANALYTES[self.result.analyte]

    @property
    def unit(self) -> str:
        return units.symbol(self.analyte.unit)

    @property
    def shown(self) -> str:
        return _printed(self.result)

    @property
    def baseline_shown(self) -> str:
        return "" if self.baseline is None else _printed(self.baseline)

    @property
    def grade_change(self) -> int | None:
        """How many grades it is above the baseline's."""
        return None if self.baseline_grade is None else self.proposed - self.baseline_grade

    @property
    def change(self) -> str:
        """The change of the value since the baseline, with its sign."""
        if self.baseline is None or self.baseline.value is None or self.result.value is None:
            return ""
        difference = self.result.value - self.baseline.value
        sign = "+" if difference > 0 else "\N{MINUS SIGN}" if difference < 0 else ""
        decimals = max(self.result.decimals, self.baseline.decimals)
        return f"{sign}{in_print(abs(difference), decimals)}"

    @property
    def rule_said(self) -> str:
        """Say what the value was held against."""
        grade = self.grade
        limit = "" if grade.limit is None else f"{grade.limit.normalize():f}"
        if grade.rule is Rule.FIXED:
            return _("fixed bounds of the criteria")
        values = {"times": "" if grade.times is None else f"{grade.times:.1f}", "limit": limit}
        if grade.rule is Rule.BASELINE:
            if self.result.analyte == "creatinine":
                return _("%(times)s × baseline %(limit)s") % values
            return _("%(times)s × abnormal baseline %(limit)s") % values
        if grade.times is not None:
            said: str = _("%(times)s × upper limit %(limit)s") % values
            return said if self.baseline is not None else _("%(said)s; no baseline") % {"said": said}
        return _("lower limit %(limit)s") % values

    @property
    def note_said(self) -> str:
        return "" if self.grade.note is None else self.grade.note.said(_)


def _printed(result: LabResult) -> str:
    if result.value is None:
        return ""
    return f"{result.comparator}{in_print(result.value, result.decimals)}"


# --- baselines ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FirstInfusion:
    """When the first infusion was given; the hour in UTC where it is known."""

    day: date
    moment: datetime | None = None


def is_before(result: LabResult, first: FirstInfusion) -> bool:
    """Return whether a result was drawn before the first infusion."""
    visit = result.visit
    if visit.visited_on is None:
        return bool(visit.week == protocol.BASELINE_WEEK)
    if visit.visited_on != first.day:
        return bool(visit.visited_on < first.day)
    if result.sampled_at is not None and first.moment is not None:
        return bool(result.sampled_at < first.moment)
    return bool(visit.week == protocol.BASELINE_WEEK)


def _first_infusions(patients: Iterable[Patient]) -> dict[int, FirstInfusion]:
    subjects = {patient.pk: patient for patient in patients}
    given = upstairs.infusions().filter(patient__in=list(subjects), voided_at__isnull=True)
    found: dict[int, FirstInfusion] = {}
    for infusion in given.order_by("given_on", "number"):
        if infusion.patient_id in found:
            continue
        moment = None
        if infusion.started_at is not None:
            site = subjects[infusion.patient_id].site
            moment = clock.moment_at(site, infusion.given_on, infusion.started_at)
        found[infusion.patient_id] = FirstInfusion(infusion.given_on, moment)
    return found


def _order(result: LabResult) -> tuple[date, str, int]:
    drawn = result.sampled_at.isoformat() if result.sampled_at else ""
    return result.visit.visited_on or date.min, drawn, result.pk


# --- proposals ------------------------------------------------------------------------------


def proposals(patient: Patient) -> list[Proposal]:
    """Return every graded result of a subject, and those confirmed before: the severe first, then by day.

    In a constant number of queries. Before the first infusion there are none.
    """
    return _proposals([patient])


def every_grade(patients: Sequence[Patient]) -> list[Proposal]:
    """Return the graded results of many subjects, those of grade 0 too. A constant number of queries."""
    return _proposals(patients, with_none=True)


def result_or_404(user: User, subject_id: str, result_id: int) -> LabResult:
    """Return a result of a valid visit of a visible subject."""
    found: LabResult | None = (
        LabResult.objects.visible_to(user)
        .filter(patient__subject_id=subject_id, pk=result_id, visit__voided_at__isnull=True)
        .select_related("visit", "patient__site")
        .first()
    )
    if found is None:
        raise Http404
    return found


def proposal_of(result: LabResult) -> Proposal | None:
    """Return the proposal of one result, of grade 0 too; None when it is not graded."""
    found = _proposals([result.patient], of={result.pk}, with_none=True)
    return found[0] if found else None


def _proposals(
    patients: Sequence[Patient], *, of: set[int] | None = None, with_none: bool = False
) -> list[Proposal]:
    subjects = {patient.pk: patient for patient in patients}
    first = _first_infusions(patients)
    results = list(
        LabResult.objects.filter(
            patient__in=list(first),
            analyte__in=list(ctcae.TERMS),
            value__isnull=False,
            visit__voided_at__isnull=True,
        ).select_related("visit")
    )
    for result in results:
        result.patient = subjects[result.patient_id]
    held = references_for(results)
    confirmed: dict[tuple[int, str], ConfirmedGrade] = {
        (row.lab_result_id, row.term): row
        for row in ConfirmedGrade.objects.valid()
        .filter(patient__in=list(first))
        .select_related("confirmed_by")
    }
    baselines: dict[tuple[int, str], LabResult] = {}
    after: list[LabResult] = []
    for result in sorted(results, key=_order):
        if is_before(result, first[result.patient_id]):
            baselines[result.patient_id, result.analyte] = result
        else:
            after.append(result)
    found = []
    for result in after:
        if of is not None and result.pk not in of:
            continue
        one = _proposal(result, baselines.get((result.patient_id, result.analyte)), held, confirmed)
        if one is not None and (with_none or one.proposed or one.confirmed or one.grade.grade is None):
            found.append(one)
    return sorted(found, key=lambda one: (one.state is State.CONFIRMED, -one.proposed, _order(one.result)))


def _proposal(
    result: LabResult,
    baseline: LabResult | None,
    held: Mapping[int, Reference],
    confirmed: Mapping[tuple[int, str], ConfirmedGrade],
) -> Proposal | None:
    before = None
    baseline_grade = None
    if baseline is not None and baseline.value is not None:
        before = Baseline(baseline.value, held[baseline.pk].limits, baseline.comparator)
        own = ctcae.propose(
            result.analyte, baseline.value, held[baseline.pk].limits, comparator=baseline.comparator
        )
        baseline_grade = None if own is None else own.grade
    if result.value is None:
        return None
    grade = ctcae.propose(
        result.analyte, result.value, held[result.pk].limits, before, comparator=result.comparator
    )
    if grade is None:
        return None
    return Proposal(
        result, grade, held[result.pk], baseline, baseline_grade, confirmed.get((result.pk, grade.term))
    )


# --- for a person's day ---------------------------------------------------------------------


def new_severe_grades(user: User) -> list[Proposal]:
    """Return the severe grades, above that of the baseline, that nobody confirmed yet; the newest first.

    Looks at the newest results that could be severe at all and are not confirmed
    as they stand. A constant number of queries, whatever the number of subjects.
    """
    lowest = dict(
        ReferenceRange.objects.filter(voided_at__isnull=True, high__isnull=False)
        .order_by("analyte")
        .values_list("analyte")
        .annotate(least=Min("high"))
    )
    severe = Q(pk__in=[])
    for code, (factor, bound) in _SEVERE_FROM.items():
        if bound is not None:
            severe |= Q(analyte=code, **{f"value__{'gte' if factor else 'lte'}": bound})
            continue
        highs = [limits.high for limits in protocol.ANALYTES[code].reference.values() if limits.high]
        least = min([*highs, *([lowest[code]] if code in lowest else [])])
        severe |= Q(analyte=code, value__gte=factor * least)
    as_it_stands = ConfirmedGrade.objects.valid().filter(
        lab_result=OuterRef("pk"), result_version=OuterRef("version")
    )
    candidates = (
        LabResult.objects.visible_to(user)
        .filter(severe, ~Exists(as_it_stands), visit__voided_at__isnull=True, value__isnull=False)
        .exclude(visit__week=protocol.BASELINE_WEEK)
        .order_by(F("visit__visited_on").desc(nulls_last=True), "-pk")
    )
    wanted = dict(candidates.values_list("pk", "patient_id")[:MOST_NEW])
    subjects: list[Patient] = list(Patient.objects.filter(pk__in=set(wanted.values())).select_related("site"))
    found = [
        one
        for one in _proposals(subjects, of=set(wanted))
        if one.is_severe and one.is_worse_than_baseline and one.state is not State.CONFIRMED
    ]
    return sorted(found, key=lambda one: _order(one.result), reverse=True)


_SEVERE_FROM: Mapping[str, tuple[Any, Decimal | None]] = {
    "tbil": (Decimal(3), None),
    "alt": (Decimal(5), None),
    "ast": (Decimal(5), None),
    # also above three times a baseline: within the normal range it is left to the page of grades
    "creatinine": (Decimal(1), None),
    "inr": (True, Decimal("2.5")),
    "platelets": (False, Decimal(50)),
    "albumin": (False, Decimal(20)),
    "sodium": (False, Decimal(125)),
}
"""From where a value can be severe at all: a multiple of the lowest upper limit, or a bound and its side."""
