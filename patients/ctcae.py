"""Grades of laboratory values and fever by the CTCAE, version 5.0. Pure.

A grade is proposed from the value, the reference range in force on its day and,
where the criteria say so, the baseline; a person confirms it. The criteria
grade ALT, AST and bilirubin against the baseline when that was abnormal (above
the upper limit of normal), else against the upper limit; which one was used is
said with the grade. Source: NCI, Common Terminology Criteria for Adverse
Events v5.0 (27 November 2017).

Of what the values alone cannot tell, the lower grade is proposed and a note
says what would make it higher.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType

from trial.protocol import Limits
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


VERSION = "5.0"
HIGHEST = 5
SEVERE = 3
"""From this grade on an event counts as severe."""


class Rule(StrEnum):
    """What a value was held against."""

    REFERENCE = "reference"
    BASELINE = "baseline"
    FIXED = "fixed"


@dataclass(frozen=True, slots=True)
class Baseline:
    """The last value before the first infusion, with the reference range that was in force then."""

    value: Decimal
    reference: Limits
    comparator: str = ""

    @property
    def is_abnormal(self) -> bool:
        """Whether it lay above the upper limit of normal."""
        return self.reference.high is not None and _above(self.value, self.reference.high, self.comparator)


@dataclass(frozen=True, slots=True)
class Grade:
    """A proposed grade.

    ``grade`` is 0 when the criteria are not met, None when it cannot be
    determined; ``note`` then says why, and else what the value cannot tell.
    ``limit`` is the limit of normal or the baseline the value was held against.
    """

    term: str
    grade: int | None
    rule: Rule
    limit: Decimal | None = None
    times: Decimal | None = None
    note: Sentence | None = None

    @property
    def is_severe(self) -> bool:
        return self.grade is not None and self.grade >= SEVERE


@dataclass(frozen=True, slots=True)
class _Case:
    value: Decimal
    reference: Limits
    baseline: Baseline | None
    comparator: str


_Criteria = Callable[[str, _Case], Grade]


def propose(
    analyte: str,
    value: Decimal,
    reference: Limits,
    baseline: Baseline | None = None,
    *,
    comparator: str = "",
) -> Grade | None:
    """Propose the grade of a value.

    Parameters
    ----------
    analyte
        Its code in the panel, or ``temperature`` (in degrees Celsius).
    value
        In the standard unit.
    reference
        The range in force where and when it was measured.
    baseline
        None when there is none: then the value is held against the range.
    comparator
        ``<`` or ``>`` for a value beyond a detection limit; the limit itself is
        graded, and a note says so where the grade could be higher.

    Returns
    -------
    Grade or None
        None when the criteria have no term for the analyte.
    """
    found = CRITERIA.get(analyte)
    if found is None:
        return None
    term, criteria = found
    return criteria(term, _Case(value, reference, baseline, comparator))


# --- comparisons ----------------------------------------------------------------------------


def _above(value: Decimal, bound: Decimal, comparator: str) -> bool:
    return value > bound or (value == bound and comparator == ">")


def _below(value: Decimal, bound: Decimal, comparator: str) -> bool:
    return value < bound or (value == bound and comparator == "<")


def _rising(case: _Case, bounds: Sequence[Decimal]) -> int:
    """Return how many of the ascending bounds the value exceeds."""
    return sum(_above(case.value, bound, case.comparator) for bound in bounds)


def _falling(case: _Case, bounds: Sequence[Decimal]) -> int:
    """Return how many of the descending bounds the value lies below."""
    return sum(_below(case.value, bound, case.comparator) for bound in bounds)


def _times(value: Decimal, limit: Decimal) -> Decimal | None:
    return value / limit if limit else None


_AT_LEAST = Sentence(_("The value lies beyond a detection limit; the true grade may be higher."))


def _at_least(case: _Case, grade: int, highest: int, direction: str) -> Sentence | None:
    return _AT_LEAST if case.comparator == direction and grade < highest else None


def _no_limit(term: str) -> Grade:
    return Grade(
        term,
        None,
        Rule.REFERENCE,
        note=Sentence(_("The reference range has no limit on the side that is graded.")),
    )


# --- the terms ------------------------------------------------------------------------------


def _multiples(of_normal: Sequence[str], of_baseline: Sequence[str], *, from_the_first: bool) -> _Criteria:
    """Return the criteria of a term graded by multiples of the upper limit, or of an abnormal baseline.

    ``from_the_first`` when the first multiple of the baseline itself counts as grade 1.
    """
    normal, above = [Decimal(text) for text in of_normal], [Decimal(text) for text in of_baseline]

    def criteria(term: str, case: _Case) -> Grade:
        baseline = case.baseline
        if baseline is not None and baseline.is_abnormal:
            rule, limit, factors = Rule.BASELINE, baseline.value, above
        elif case.reference.high is not None:
            rule, limit, factors = Rule.REFERENCE, case.reference.high, normal
        else:
            return _no_limit(term)
        grade = _rising(case, [factor * limit for factor in factors])
        is_first = from_the_first and rule is Rule.BASELINE and case.value == factors[0] * limit
        grade = max(grade, 1) if is_first else grade
        return Grade(
            term, grade, rule, limit, _times(case.value, limit), _at_least(case, grade, len(factors), ">")
        )

    return criteria


def _creatinine(term: str, case: _Case) -> Grade:
    """Grade by multiples of the upper limit and of any baseline, whichever is higher."""
    limit = case.reference.high
    if limit is None:
        return _no_limit(term)
    grade = _rising(case, [factor * limit for factor in (Decimal(1), Decimal("1.5"), Decimal(3), Decimal(6))])
    rule, against = Rule.REFERENCE, limit
    if case.baseline is not None:
        passed = _rising(case, [factor * case.baseline.value for factor in (Decimal("1.5"), Decimal(3))])
        by_baseline = passed + 1 if passed else 0
        if by_baseline > grade:
            grade, rule, against = by_baseline, Rule.BASELINE, case.baseline.value
    return Grade(term, grade, rule, against, _times(case.value, against), _at_least(case, grade, 4, ">"))


def _inr(term: str, case: _Case) -> Grade:
    grade = _rising(case, [Decimal("1.2"), Decimal("1.5"), Decimal("2.5")])
    return Grade(term, grade, Rule.FIXED, note=_at_least(case, grade, 3, ">"))


def _decreased(bounds: Sequence[str]) -> _Criteria:
    """Return the criteria of a term graded below the lower limit and then by fixed bounds."""
    fixed = [Decimal(text) for text in bounds]

    def criteria(term: str, case: _Case) -> Grade:
        passed = _falling(case, fixed)
        low = case.reference.low
        if passed:
            grade, rule = passed + 1, Rule.FIXED
        elif low is None:
            return _no_limit(term)
        else:
            grade, rule = int(_below(case.value, low, case.comparator)), Rule.REFERENCE
        note = _at_least(case, grade, len(fixed) + 1, "<")
        return Grade(term, grade, rule, low if rule is Rule.REFERENCE else None, note=note)

    return criteria


_plain_sodium = _decreased(["130", "125", "120"])


def _sodium(term: str, case: _Case) -> Grade:
    found = _plain_sodium(term, case)
    if found.grade != 2:
        return found
    note = Sentence(_("Grade 3 when there are symptoms: the form does not ask for them."))
    return Grade(term, 2, found.rule, found.limit, note=note)


def _fever(term: str, case: _Case) -> Grade:
    grade = _rising(case, [Decimal(39), Decimal(40)])
    if case.value >= Decimal(38):
        grade += 1
    note = Sentence(_("Grade 4 when it lasted longer than 24 hours.")) if grade == SEVERE else None
    return Grade(term, grade, Rule.FIXED, note=note)


ALBUMIN_NOTE = _("Grade 4 only when it is life-threatening, which the value cannot tell.")


_plain_albumin = _decreased(["30", "20"])


def _albumin(term: str, case: _Case) -> Grade:
    found = _plain_albumin(term, case)
    if found.grade != SEVERE:
        return found
    return Grade(term, found.grade, found.rule, found.limit, note=Sentence(ALBUMIN_NOTE))


_transaminase = _multiples(["1", "3", "5", "20"], ["1.5", "3", "5", "20"], from_the_first=True)
_bilirubin = _multiples(["1", "1.5", "3", "10"], ["1", "1.5", "3", "10"], from_the_first=False)

FEVER = "temperature"
CRITERIA: Mapping[str, tuple[str, _Criteria]] = MappingProxyType(
    {
        "tbil": (_("Blood bilirubin increased"), _bilirubin),
        "alt": (_("Alanine aminotransferase increased"), _transaminase),
        "ast": (_("Aspartate aminotransferase increased"), _transaminase),
        "inr": (_("INR increased"), _inr),
        "creatinine": (_("Creatinine increased"), _creatinine),
        "albumin": (_("Hypoalbuminaemia"), _albumin),
        "sodium": (_("Hyponatraemia"), _sodium),
        "platelets": (_("Platelet count decreased"), _decreased(["75", "50", "25"])),
        FEVER: (_("Fever"), _fever),
    }
)
"""The term of each analyte and how it is graded."""

TERMS: Mapping[str, str] = MappingProxyType({code: term for code, (term, _how) in CRITERIA.items()})
"""The term of each analyte."""
