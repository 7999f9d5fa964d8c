"""The study, said once: visits, infusions, groups, contrasts, criteria and the laboratory panel.

Models, forms, pages, files and tests derive their lists from here. Where the
paper (Jia et al., Stem Cell Res Ther 2020;11:277) is silent, the choice is ours
and a comment says "our assumption".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise
from types import MappingProxyType

from trial import units
from trial.analyte_names import FURTHER_NAMES


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


VERSION = "1.0"
TITLE = _("UC-MSC infusions in HBV-related liver failure and cirrhosis")


# --- words ----------------------------------------------------------------------------------


class Sex(StrEnum):
    FEMALE = "F"
    MALE = "M"


class Diagnosis(StrEnum):
    LIVER_FAILURE = "liver_failure"
    CIRRHOSIS = "cirrhosis"


class Course(StrEnum):
    STANDARD = "standard"
    PROLONGED = "prolonged"


class Answer(StrEnum):
    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Direction(StrEnum):
    """Which way an analyte moves when the liver recovers."""

    FALLS = "falls"
    RISES = "rises"
    NEITHER = "neither"


SEX_LABELS: Mapping[Sex, str] = MappingProxyType({Sex.FEMALE: _("female"), Sex.MALE: _("male")})
DIAGNOSIS_LABELS: Mapping[Diagnosis, str] = MappingProxyType(
    {Diagnosis.LIVER_FAILURE: _("liver failure"), Diagnosis.CIRRHOSIS: _("liver cirrhosis")}
)
DIAGNOSIS_CODES: Mapping[Diagnosis, str] = MappingProxyType(
    {Diagnosis.LIVER_FAILURE: "LF", Diagnosis.CIRRHOSIS: "LC"}
)
COURSE_LABELS: Mapping[Course, str] = MappingProxyType(
    {Course.STANDARD: _("standard course"), Course.PROLONGED: _("prolonged course")}
)
ANSWER_LABELS: Mapping[Answer, str] = MappingProxyType(
    {Answer.YES: _("yes"), Answer.NO: _("no"), Answer.UNKNOWN: _("unknown")}
)


# --- the two clocks -------------------------------------------------------------------------


class Clock(StrEnum):
    """The day a week is counted from."""

    RECRUITMENT = "recruitment"
    FIRST_INFUSION = "first_infusion"


VISIT_CLOCK = Clock.FIRST_INFUSION  # our assumption: the paper says "after therapy"
INFUSION_CLOCK = Clock.RECRUITMENT  # the paper: "weeks after recruitment"


@dataclass(frozen=True, slots=True)
class Window:
    """Days before and after the target day that still count as on time."""

    before: int
    after: int

    def around(self, target: date) -> tuple[date, date]:
        """Return the first and the last day of the window around ``target``."""
        return target - timedelta(days=self.before), target + timedelta(days=self.after)


@dataclass(frozen=True, slots=True)
class ScheduledVisit:
    """A visit of the protocol; ``day`` counts from the first infusion (day 0)."""

    week: int
    window: Window  # our assumption; the paper gives none
    analysis_days: tuple[int, int]  # our assumption: contiguous midpoints

    @property
    def day(self) -> int:
        return self.week * 7


VISITS: tuple[ScheduledVisit, ...] = (
    ScheduledVisit(0, Window(3, 0), (-28, 0)),
    ScheduledVisit(1, Window(2, 2), (2, 17)),
    ScheduledVisit(4, Window(4, 4), (18, 55)),
    ScheduledVisit(12, Window(7, 7), (56, 125)),
    ScheduledVisit(24, Window(14, 14), (126, 210)),
)
WEEKS: tuple[int, ...] = tuple(visit.week for visit in VISITS)
BASELINE_WEEK = WEEKS[0]
VISIT_AT: Mapping[int, ScheduledVisit] = MappingProxyType({v.week: v for v in VISITS})

INTERVALS: tuple[tuple[int, int], ...] = tuple(pairwise(WEEKS))
CUMULATIVE: tuple[tuple[int, int], ...] = tuple((BASELINE_WEEK, week) for week in WEEKS[1:])

STUDY_STARTED_ON = date(2014, 2, 1)  # the paper's data begin in February 2014


# --- infusions ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Dose:
    """What one infusion should hold."""

    cells_per_kg: Decimal
    volume_ml: Decimal
    tolerance: Decimal  # share of the target; our assumption

    def target(self, weight_kg: Decimal) -> Decimal:
        """Return the number of cells meant for a body weight in kg."""
        return self.cells_per_kg * weight_kg


DOSE = Dose(cells_per_kg=Decimal("1.0e6"), volume_ml=Decimal(100), tolerance=Decimal("0.20"))
COURSES: Mapping[Course, int] = MappingProxyType({Course.STANDARD: 4, Course.PROLONGED: 8})
MOST_INFUSIONS = max(COURSES.values())
PROLONGED_FROM = COURSES[Course.STANDARD] + 1
"""The infusion with which a course counts as prolonged."""
INFUSION_WINDOW = Window(2, 2)  # our assumption
MINIMUM_DAYS_BETWEEN_INFUSIONS = 5  # our assumption
LANDMARK_DAY = 28
"""Days after the first infusion at which the fifth is due."""


def infusion_due(number: int, recruited_on: date) -> date:
    """Return the day infusion ``number`` (1, 2, ...) is due."""
    return recruited_on + timedelta(days=7 * number)


def visit_due(week: int, first_infusion_on: date) -> date:
    """Return the day the visit of ``week`` is due."""
    return first_infusion_on + timedelta(days=7 * week)


# --- groups and contrasts -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Group:
    """Subjects of one diagnosis and one course; derived from infusions given, never typed."""

    code: str
    diagnosis: Diagnosis
    course: Course
    label: str


GROUPS: tuple[Group, ...] = (
    Group("A", Diagnosis.LIVER_FAILURE, Course.PROLONGED, _("liver failure, more than 4 infusions")),
    Group("B", Diagnosis.LIVER_FAILURE, Course.STANDARD, _("liver failure, 4 or fewer infusions")),
    Group("C", Diagnosis.CIRRHOSIS, Course.PROLONGED, _("cirrhosis, more than 4 infusions")),
    Group("D", Diagnosis.CIRRHOSIS, Course.STANDARD, _("cirrhosis, 4 or fewer infusions")),
)
GROUP_CODES: tuple[str, ...] = tuple(group.code for group in GROUPS)

STRATA: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        **{group.code: (group.code,) for group in GROUPS},
        "LF": tuple(g.code for g in GROUPS if g.diagnosis is Diagnosis.LIVER_FAILURE),
        "LC": tuple(g.code for g in GROUPS if g.diagnosis is Diagnosis.CIRRHOSIS),
        "ALL": GROUP_CODES,
    }
)
"""Every key a result may carry for its group, and the groups it holds."""

CONTRASTS: tuple[tuple[str, str], ...] = (
    ("A", "B"),
    ("C", "D"),
    ("A", "C"),
    ("B", "D"),
    ("LF", "LC"),
)
PRIMARY_CONTRAST, PRIMARY_ANALYTE, PRIMARY_INTERVAL = ("C", "D"), "tbil", (4, 12)  # our assumption


def course_of(valid_infusions: int) -> Course:
    """Return the course a number of valid infusions amounts to."""
    return Course.PROLONGED if valid_infusions >= PROLONGED_FROM else Course.STANDARD


def group_of(diagnosis: Diagnosis | str, valid_infusions: int) -> str:
    """Return the group code for a diagnosis and the infusions given and not voided."""
    wanted = (Diagnosis(diagnosis), course_of(valid_infusions))
    return next(g.code for g in GROUPS if (g.diagnosis, g.course) == wanted)


# --- populations and measures ---------------------------------------------------------------


class Population(StrEnum):
    ELIGIBLE = "eligible"
    TREATED = "treated"
    LANDMARK = "landmark"


POPULATION_LABELS: Mapping[Population, str] = MappingProxyType(
    {
        Population.ELIGIBLE: _("met the criteria and had at least one infusion"),
        Population.TREATED: _("at least one infusion"),
        Population.LANDMARK: _(
            "alive, not transplanted and followed on day 28; grouped by infusions until then"
        ),
    }
)


class Measure(StrEnum):
    BASELINE = "baseline"
    LEVEL = "level"
    INTERVAL = "interval"
    CUMULATIVE = "cumulative"


MEASURE_LABELS: Mapping[Measure, str] = MappingProxyType(
    {
        Measure.BASELINE: _("baseline"),
        Measure.LEVEL: _("level"),
        Measure.INTERVAL: _("decrease within the interval"),
        Measure.CUMULATIVE: _("decrease since week 0"),
    }
)
DIFFERENCE_PLACES = 6
"""Decimal places to which differences are rounded before they are ranked."""


# --- the laboratory panel -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Limits:
    """A closed range in the standard unit; ``None`` leaves a side open."""

    low: Decimal | None
    high: Decimal | None

    def holds(self, value: Decimal) -> bool:
        """Return whether ``value`` lies within the range, its ends included."""
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)


def _limits(low: str | None, high: str | None) -> Limits:
    return Limits(None if low is None else Decimal(low), None if high is None else Decimal(high))


@dataclass(frozen=True, slots=True)
class Analyte:
    """One laboratory quantity of the panel.

    ``hard`` limits cannot be passed, ``soft`` ones ask for a second look;
    ``reference`` is the adult range by sex where no laboratory gives its own
    (our assumption until a site enters its ranges). ``accepted`` maps a unit to
    its factor into ``unit``. ``aliases`` are headings found in files, from
    :mod:`trial.analyte_names`.
    """

    code: str
    label: str
    name: str
    unit: str
    decimals: int
    loinc: str
    accepted: Mapping[str, Decimal]
    hard: Limits
    soft: Limits
    reference: Mapping[Sex, Limits]
    direction: Direction
    required: bool = False
    aliases: tuple[str, ...] = field(init=False)
    unit_symbol: str = field(init=False)
    ucum: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "aliases", FURTHER_NAMES.get(self.code, ()))
        object.__setattr__(self, "unit_symbol", units.symbol(self.unit))
        object.__setattr__(self, "ucum", units.UCUM[self.unit])

    def in_standard_unit(self, value: Decimal, unit: str) -> Decimal:
        """Convert ``value`` from an accepted ``unit``; ``KeyError`` if it is not accepted."""
        return units.to_standard(value, self.accepted[unit])


def _both(low: str | None, high: str | None) -> Mapping[Sex, Limits]:
    return MappingProxyType(dict.fromkeys(Sex, _limits(low, high)))


def _by_sex(female: tuple[str, str], male: tuple[str, str]) -> Mapping[Sex, Limits]:
    return MappingProxyType({Sex.FEMALE: _limits(*female), Sex.MALE: _limits(*male)})


_ONE = Decimal(1)
_ENZYME = MappingProxyType({"U/L": _ONE, "ukat/L": units.UNITS_PER_MICROKATAL})
_COUNT = MappingProxyType({"10^9/L": _ONE, "10^3/uL": _ONE})

PANEL: tuple[Analyte, ...] = (
    Analyte(
        "tbil",
        "TBIL",
        _("total bilirubin"),
        "umol/L",
        1,
        "14631-6",
        MappingProxyType({"umol/L": _ONE, "mg/dL": units.BILIRUBIN_UMOL_PER_MG_DL}),
        _limits("0", "1700"),
        _limits("5", "850"),
        _by_sex(("7.3", "26.1"), ("7.8", "30.6")),
        Direction.FALLS,
        required=True,
    ),
    Analyte(
        "alt",
        "ALT",
        _("alanine aminotransferase"),
        "U/L",
        0,
        "1742-6",
        _ENZYME,
        _limits("1", "10000"),
        _limits("4", "4000"),
        _by_sex(("7", "40"), ("9", "50")),
        Direction.FALLS,
        required=True,
    ),
    Analyte(
        "ast",
        "AST",
        _("aspartate aminotransferase"),
        "U/L",
        0,
        "1920-8",
        _ENZYME,
        _limits("1", "10000"),
        _limits("4", "4000"),
        _by_sex(("13", "35"), ("15", "40")),
        Direction.FALLS,
        required=True,
    ),
    Analyte(
        "pta",
        "PTA",
        _("prothrombin activity"),
        "%",
        0,
        "5894-1",
        MappingProxyType({"%": _ONE}),
        _limits("1", "200"),
        _limits("10", "130"),
        _both("70", "130"),
        Direction.RISES,
        required=True,
    ),
    Analyte(
        "inr",
        "INR",
        _("international normalised ratio"),
        "ratio",
        2,
        "6301-6",
        MappingProxyType({"ratio": _ONE}),
        _limits("0.5", "20"),
        _limits("0.8", "8"),
        _both("0.8", "1.2"),
        Direction.FALLS,
        required=True,
    ),
    Analyte(
        "creatinine",
        _("Creatinine"),
        _("serum creatinine"),
        "umol/L",
        0,
        "14682-9",
        MappingProxyType({"umol/L": _ONE, "mg/dL": units.CREATININE_UMOL_PER_MG_DL}),
        _limits("1", "3500"),
        _limits("30", "450"),
        _by_sex(("41", "73"), ("57", "97")),
        Direction.FALLS,
        required=True,
    ),
    Analyte(
        "albumin",
        _("Albumin"),
        _("serum albumin"),
        "g/L",
        1,
        "1751-7",
        MappingProxyType({"g/L": _ONE, "g/dL": units.GRAMS_PER_LITRE_IN_G_DL}),
        _limits("5", "99"),
        _limits("18", "52"),
        _both("40", "55"),
        Direction.RISES,
    ),
    Analyte(
        "sodium",
        _("Sodium"),
        _("serum sodium"),
        "mmol/L",
        0,
        "2951-2",
        MappingProxyType({"mmol/L": _ONE, "mEq/L": _ONE}),
        _limits("100", "200"),
        _limits("120", "155"),
        _both("137", "147"),
        Direction.NEITHER,
    ),
    Analyte(
        "platelets",
        _("Platelets"),
        _("platelet count"),
        "10^9/L",
        0,
        "777-3",
        _COUNT,
        _limits("1", "3200"),
        _limits("10", "400"),
        _both("125", "350"),
        Direction.RISES,
    ),
    Analyte(
        "wbc",
        "WBC",
        _("white cell count"),
        "10^9/L",
        1,
        "6690-2",
        _COUNT,
        _limits("0.01", "500"),
        _limits("0.5", "50"),
        _both("3.5", "9.5"),
        Direction.NEITHER,
    ),
    Analyte(
        "hbv_dna",
        "HBV DNA",
        _("HBV DNA, real-time PCR"),
        "IU/mL",
        0,
        "42595-9",
        MappingProxyType({"IU/mL": _ONE}),
        _limits("0", "1000000000000"),
        _limits(None, "10000000000"),
        _both(None, "20"),
        Direction.FALLS,
    ),
    Analyte(
        "afp",
        "AFP",
        _("alpha-fetoprotein"),
        "ng/mL",
        1,
        "1834-1",
        MappingProxyType({"ng/mL": _ONE, "ug/L": _ONE}),
        _limits("0", "1000000"),
        _limits(None, "1000"),
        _both(None, "7"),
        Direction.NEITHER,
    ),
    Analyte(
        "pt",
        "PT",
        _("prothrombin time"),
        "s",
        1,
        "5902-2",
        MappingProxyType({"s": _ONE}),
        _limits("5", "200"),
        _limits("9", "60"),
        _both("11", "14.5"),
        Direction.FALLS,
    ),
)
ANALYTES: Mapping[str, Analyte] = MappingProxyType({a.code: a for a in PANEL})
REQUIRED_ANALYTES: tuple[str, ...] = tuple(a.code for a in PANEL if a.required)
TREND: tuple[str, ...] = ("tbil", "alt", "ast", "pta", "inr", "creatinine")
"""The strips of a patient's trend, above MELD."""

CENSORED_VALUE_RULE = _("a value at a detection limit enters the analysis as the limit")  # our assumption


@dataclass(frozen=True, slots=True)
class MissingReason:
    code: str
    label: str


MISSING_REASONS: tuple[MissingReason, ...] = (
    MissingReason("not_drawn", _("not drawn")),
    MissingReason("refused", _("refused")),
    MissingReason("haemolysed", _("haemolysed")),
    MissingReason("too_little", _("too little")),
    MissingReason("lost", _("lost")),
    MissingReason("not_ordered", _("not ordered")),
)


@dataclass(frozen=True, slots=True)
class ChangeReason:
    """Why an entered value is changed; the key that picks it is its place in the list."""

    code: str
    label: str


CHANGE_REASONS: tuple[ChangeReason, ...] = (
    ChangeReason("typing_slip", _("typing slip corrected")),
    ChangeReason("unit_corrected", _("unit corrected")),
    ChangeReason("report_amended", _("laboratory amended its report")),
    ChangeReason("wrong_subject", _("belonged to another subject or visit")),
    ChangeReason("source_checked", _("checked against the source")),
    ChangeReason("other", _("other, said in the note")),
)


# --- scores ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ScoreVariant:
    """A member of the MELD family that the study computes."""

    code: str
    label: str
    inputs: tuple[str, ...]
    year: int


SCORES: tuple[ScoreVariant, ...] = (
    ScoreVariant("meld_unos_2002", "MELD (UNOS 2002)", ("tbil", "inr", "creatinine"), 2002),
    ScoreVariant("meld_2001_raw", "MELD (2001, unbounded)", ("tbil", "inr", "creatinine"), 2001),
    ScoreVariant("meld_na_optn2016", "MELD-Na (OPTN 2016)", ("tbil", "inr", "creatinine", "sodium"), 2016),
    ScoreVariant("meld_3_0", "MELD 3.0", ("tbil", "inr", "creatinine", "sodium", "albumin"), 2022),
)
SCORE_AT: Mapping[str, ScoreVariant] = MappingProxyType({s.code: s for s in SCORES})
DEFAULT_SCORE = SCORES[0].code  # our assumption: the paper names no variant
AETIOLOGY_TERM = 1  # viral hepatitis counts as "other" in the 2001 formula
MOST_HOURS_BETWEEN_INPUTS = 48  # our assumption
YOUNGEST_AGE_MELD_NA = 12

MEASURED: tuple[str, ...] = (*ANALYTES, *SCORE_AT)
"""Every quantity that has a value per subject and week: the panel, then the scores."""


def label_of(code: str) -> str:
    """Return how an analyte, a score, ``age`` or ``sex`` is written on screen."""
    if code in ANALYTES:
        return ANALYTES[code].label
    if code in SCORE_AT:
        return SCORE_AT[code].label
    return {"age": _("age"), "sex": _("sex"), "subjects": _("subjects")}[code]


def unit_of(code: str) -> str:
    """Return the standard unit of an analyte; points for a score, years for age."""
    if code in ANALYTES:
        return ANALYTES[code].unit
    if code in SCORE_AT:
        return "points"
    return {"age": "years", "sex": "%", "subjects": "subjects"}[code]


def decimals_of(code: str) -> int:
    """Return with how many decimals a value is shown."""
    return ANALYTES[code].decimals if code in ANALYTES else 1


# --- eligibility ----------------------------------------------------------------------------

AGE_AT_LEAST, AGE_AT_MOST = 16, 60  # both ends included: our assumption
HBSAG_DAYS = 183  # "more than 6 months"
COMPLICATION_FREE_DAYS = 60  # "in the last 2 months"
RULE_SET = "apasl/1"  # our assumption: the paper names APASL; the sets are in patients/rule_sets.py


class CriterionKind(StrEnum):
    INCLUSION = "inclusion"
    EXCLUSION = "exclusion"


@dataclass(frozen=True, slots=True)
class Criterion:
    """One question of the screening; ``passes`` is the answer that lets the subject in."""

    code: str
    kind: CriterionKind
    letter: str
    label: str
    advice: str

    @property
    def passes(self) -> Answer:
        return Answer.YES if self.kind is CriterionKind.INCLUSION else Answer.NO


def _include(letter: str, label: str, advice: str) -> Criterion:
    return Criterion(f"inclusion_{letter.lower()}", CriterionKind.INCLUSION, letter, label, advice)


def _exclude(letter: str, label: str, advice: str) -> Criterion:
    return Criterion(f"exclusion_{letter.lower()}", CriterionKind.EXCLUSION, letter, label, advice)


CRITERIA: tuple[Criterion, ...] = (
    _include(
        "A", _("HBsAg positive for more than 6 months"), _("first positive result at least 183 days ago")
    ),
    _include(
        "B",
        _("HBV-related liver failure or cirrhosis by APASL"),
        _("by the rule set of the study; liver failure goes before cirrhosis"),
    ),
    _include("C", _("16 to 60 years old"), _("age on the day of screening; both ends included")),
    _exclude(
        "A",
        _("severe complication in the last 2 months"),
        _("variceal rupture and bleeding, septicaemia: give its date"),
    ),
    _exclude("B", _("another autoimmune disease"), _("history and autoantibodies")),
    _exclude("C", _("another hepatitis virus"), _("hepatitis A, C, D or E serology")),
    _exclude("D", _("other important organs impaired"), _("heart, lung, kidney, brain")),
    _exclude("E", _("pregnant or lactating"), _("pregnancy test for women of childbearing age")),
    _exclude("F", _("liver transplanted"), _("history")),
    _exclude("G", _("alcoholic liver disease"), _("history of drinking")),
    _exclude("H", _("liver cancer"), _("imaging, AFP")),
)
CRITERION_AT: Mapping[str, Criterion] = MappingProxyType({c.code: c for c in CRITERIA})


class VerdictState(StrEnum):
    ELIGIBLE = "eligible"
    NOT_ELIGIBLE = "not_eligible"
    PENDING = "pending"


VERDICT_LABELS: Mapping[VerdictState, str] = MappingProxyType(
    {
        VerdictState.ELIGIBLE: _("eligible"),
        VerdictState.NOT_ELIGIBLE: _("not eligible"),
        VerdictState.PENDING: _("pending"),
    }
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the answers amount to, and the criteria that decided it."""

    state: VerdictState
    against: tuple[Criterion, ...]
    open: tuple[Criterion, ...]


def assess(answers: Mapping[str, Answer]) -> Verdict:
    """Judge all criteria.

    Parameters
    ----------
    answers
        Answer by criterion code; an absent criterion counts as unknown.

    Returns
    -------
    Verdict
        Not eligible as soon as one answer speaks against it, pending while one
        is unknown, eligible only when every criterion is answered and passes.
    """
    given = {c.code: Answer(answers.get(c.code, Answer.UNKNOWN)) for c in CRITERIA}
    unknown = tuple(c for c in CRITERIA if given[c.code] is Answer.UNKNOWN)
    against = tuple(c for c in CRITERIA if given[c.code] not in (Answer.UNKNOWN, c.passes))
    if against:
        return Verdict(VerdictState.NOT_ELIGIBLE, against, unknown)
    if unknown:
        return Verdict(VerdictState.PENDING, (), unknown)
    return Verdict(VerdictState.ELIGIBLE, (), ())


# --- outcomes -------------------------------------------------------------------------------


class OutcomeKind(StrEnum):
    DEATH = "death"
    TRANSPLANT = "transplant"
    WITHDRAWAL = "withdrawal"
    LOST = "lost"
    COMPLETED = "completed"


OUTCOME_LABELS: Mapping[OutcomeKind, str] = MappingProxyType(
    {
        OutcomeKind.DEATH: _("died"),
        OutcomeKind.TRANSPLANT: _("transplanted"),
        OutcomeKind.WITHDRAWAL: _("withdrew"),
        OutcomeKind.LOST: _("lost to follow-up"),
        OutcomeKind.COMPLETED: _("completed"),
    }
)
ENDS_OBSERVATION: frozenset[OutcomeKind] = frozenset({OutcomeKind.DEATH, OutcomeKind.TRANSPLANT})
"""After these, values are kept but leave the analysis."""


# --- what the interface walks over ----------------------------------------------------------


def contrast_key(pair: tuple[str, str]) -> str:
    """Return a contrast as it stands in addresses and files: ``A-B``."""
    return "-".join(pair)


def cells_of(measure: Measure) -> Iterator[tuple[int, int]]:
    """Yield the ``(week_from, week_to)`` pairs a measure has."""
    match measure:
        case Measure.LEVEL:
            yield from ((week, week) for week in WEEKS)
        case Measure.INTERVAL:
            yield from INTERVALS
        case Measure.CUMULATIVE:
            yield from CUMULATIVE
        case Measure.BASELINE:
            yield (BASELINE_WEEK, BASELINE_WEEK)
