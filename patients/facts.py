"""The facts of a screening: what each is, how it is typed, and what it cannot be. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType

from patients import edit_checks
from patients.edit_checks import Around, Breach, Doubt, Earlier, Life
from patients.entries import LabEntry
from patients.rules import Facts, Known, analyte_of
from trial import protocol, typed, vocabulary
from trial.protocol import Sex
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


class Kind(StrEnum):
    """How a fact is typed."""

    LAB = "lab"  # value, unit, day
    MEASURE = "measure"  # value in one unit, day
    DAY = "day"  # a day
    SINCE = "since"  # a day, or never
    GRADE = "grade"  # a whole number
    SIGN = "sign"  # yes or no, and the day it was looked for


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of the facts; ``units`` are what it may be reported in, ``most`` its highest grade."""

    code: str
    kind: Kind
    units: tuple[str, ...] = ()
    most: int = 0

    @property
    def label(self) -> str:
        return vocabulary.by_code(vocabulary.SCREENING_FACTS)[self.code].label

    @property
    def has_value(self) -> bool:
        return self.kind not in (Kind.DAY, Kind.SINCE)

    @property
    def has_day(self) -> bool:
        return self.kind is not Kind.GRADE


def _lab(code: str) -> Fact:
    return Fact(code, Kind.LAB, tuple(protocol.ANALYTES[analyte_of(code)].accepted))


SECTIONS: tuple[tuple[str, tuple[Fact, ...]], ...] = (
    (
        _("Laboratory"),
        tuple(map(_lab, ("tbil", "tbil_before", "inr", "pta", "platelets", "albumin", "alt", "afp"))),
    ),
    (
        _("Course of the disease"),
        (
            Fact("hbsag_first_on", Kind.DAY),
            Fact("jaundice_on", Kind.DAY),
            Fact("ascites_on", Kind.SINCE),
            Fact("ascites_grade", Kind.GRADE, most=3),
            Fact("encephalopathy_on", Kind.SINCE),
            Fact("encephalopathy_grade", Kind.GRADE, most=4),
            Fact("rupture_on", Kind.SINCE),
            Fact("septicaemia_on", Kind.SINCE),
        ),
    ),
    (
        _("Signs of cirrhosis"),
        (
            Fact("stiffness", Kind.MEASURE, ("kPa",)),
            Fact("histology", Kind.SIGN),
            Fact("varices", Kind.SIGN),
            Fact("imaging", Kind.SIGN),
        ),
    ),
)
FACTS: tuple[Fact, ...] = tuple(fact for _title, facts in SECTIONS for fact in facts)
FACT_AT: Mapping[str, Fact] = MappingProxyType({fact.code: fact for fact in FACTS})

NEVER = frozenset({"0", "never", "none", "无"})
"""What may stand in place of a day for something that never was."""
YES, NO = Decimal(1), Decimal(0)
STIFFNESS_LIMITS = (Decimal(1), Decimal(75))  # what the device can show
LABS_COUNT_DAYS = 7
"""Labs drawn this many days before a screening are offered for it; our assumption."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FactEntry:
    """One fact as it was handed in; ``value`` is in ``typed_unit``, where it has one."""

    fact: str
    value: Decimal | None = None
    comparator: str = ""
    typed_text: str = ""
    typed_unit: str = ""
    happened_on: date | None = None
    source: str = ""

    @property
    def is_empty(self) -> bool:
        return self.value is None and self.happened_on is None

    @property
    def standard_value(self) -> Decimal | None:
        """The value in the standard unit of its analyte, where it is one."""
        if self.value is None or FACT_AT[self.fact].kind is not Kind.LAB:
            return self.value
        return protocol.ANALYTES[analyte_of(self.fact)].in_standard_unit(self.value, self.typed_unit)

    def as_lab(self) -> LabEntry:
        """Return what the edit checks of the panel look at."""
        return LabEntry(
            analyte=analyte_of(self.fact),
            value=self.value,
            comparator=self.comparator,
            typed_text=self.typed_text,
            typed_unit=self.typed_unit,
        )

    def as_known(self) -> Known:
        """Return what the rules look at."""
        return Known(self.value, self.typed_unit, self.happened_on, self.comparator)


def stored_entry(
    fact: str, value: Decimal | None, typed_text: str, typed_unit: str, happened_on: date | None, source: str
) -> FactEntry:
    """Return a stored fact as it was handed in: the number is read again from what was typed."""
    comparator = ""
    if value is not None and FACT_AT[fact].kind is Kind.LAB:
        number = typed.read_number(typed_text)
        value, comparator = number.value, number.comparator
    return FactEntry(
        fact=fact,
        value=value,
        comparator=comparator,
        typed_text=typed_text,
        typed_unit=typed_unit,
        happened_on=happened_on,
        source=source,
    )


def for_rules(entries: Mapping[str, FactEntry], sex: Sex) -> Facts:
    """Return the facts as the rules look at them; what never was has no grade above none."""
    known = {code: entry.as_known() for code, entry in entries.items() if not entry.is_empty}
    for since, grade in (("ascites_on", "ascites_grade"), ("encephalopathy_on", "encephalopathy_grade")):
        if since in known and known[since].is_none and grade not in known:
            known[grade] = Known(NO)
    return Facts(known, {analyte.code: analyte.reference[sex] for analyte in protocol.PANEL})


# --- what cannot be -------------------------------------------------------------------------


def breaches(entry: FactEntry, *, screened_on: date | None, life: Life) -> Iterator[Breach]:
    """Yield why a fact cannot be saved."""
    fact = FACT_AT[entry.fact]
    if entry.is_empty:
        return
    if fact.kind is Kind.LAB and entry.value is None:
        yield Breach(
            "day_without_value",
            Sentence(_("%(fact)s has a day and no value."), {"fact": Sentence(fact.label)}),
            Sentence(_("Type the value, or empty the day.")),
        )
    elif fact.kind is Kind.LAB and (breach := edit_checks.breach(entry.as_lab())):
        yield breach
    elif fact.kind is Kind.MEASURE and entry.value is not None and not _is_measurable(entry.value):
        yield Breach(
            "hard_limit",
            Sentence(
                _("%(value)s kPa is not possible: the device shows %(low)s to %(high)s kPa."),
                {
                    "value": edit_checks.plain(entry.value),
                    "low": STIFFNESS_LIMITS[0],
                    "high": STIFFNESS_LIMITS[1],
                },
            ),
            Sentence(_("Check the value against the report.")),
        )
    if fact.kind is Kind.GRADE and entry.value not in {Decimal(grade) for grade in range(fact.most + 1)}:
        yield Breach(
            "grade",
            Sentence(_("A grade is a whole number from 0 to %(most)s."), {"most": fact.most}),
            Sentence(_("Choose one of them.")),
        )
    if fact.kind in (Kind.LAB, Kind.MEASURE) and entry.value is not None and entry.happened_on is None:
        yield Breach(
            "no_day",
            Sentence(_("%(fact)s has a value and no day."), {"fact": Sentence(fact.label)}),
            Sentence(_("Give the day of the report.")),
        )
    if entry.happened_on is not None:
        if breach := edit_checks.day_breach(entry.happened_on, life):
            yield breach
        elif screened_on is not None and entry.happened_on > screened_on:
            yield Breach(
                "after_screening",
                Sentence(
                    _("%(day)s is after the day of screening, %(screened)s."),
                    {"day": entry.happened_on.isoformat(), "screened": screened_on.isoformat()},
                ),
                Sentence(_("A screening rests on what is known on its day. Correct one of the dates.")),
            )


def _is_measurable(value: Decimal) -> bool:
    low, high = STIFFNESS_LIMITS
    return low <= value <= high


def doubts(
    entries: Sequence[FactEntry], *, earlier: Mapping[str, Earlier], is_liver_failure: bool = False
) -> Mapping[str, Doubt]:
    """Return the soft checks of the panel that fire on typed values, by fact; what was taken was checked."""
    found: dict[str, Doubt] = {}
    labs = [e for e in entries if FACT_AT[e.fact].kind is Kind.LAB and e.value is not None and not e.source]
    for day in {entry.happened_on for entry in labs}:
        before = {
            code: last
            for code, last in earlier.items()
            if last.drawn_on is not None and day is not None and last.drawn_on < day
        }
        for own in (
            [e for e in labs if e.fact == "tbil_before"],
            [e for e in labs if e.fact != "tbil_before"],
        ):
            same_day = [e for e in own if e.happened_on == day and edit_checks.breach(e.as_lab()) is None]
            of_analyte = {analyte_of(entry.fact): entry.fact for entry in same_day}
            fired = edit_checks.doubts(
                [e.as_lab() for e in same_day],
                Around(drawn_on=day, earlier=before, is_liver_failure=is_liver_failure),
            )
            found |= {of_analyte[doubt.analyte]: doubt for doubt in fired if doubt.analyte in of_analyte}
    return found
