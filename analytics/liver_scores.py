"""Child-Pugh and ALBI of one visit, with what each input adds, or the words why there is none.

Values come in the study's standard units (umol/L, g/L, ratio, seconds) as exact
decimals, and the bounds of the rules are written in those units, so that a value
on a bound falls on the side that the rule names. They are shown beside the MELD
family (:mod:`analytics.scores`) and enter no comparison: nothing here is stored.

Sources
-------
Child-Pugh: Pugh RN et al., Br J Surg 1973;60:646-9, with the INR classes used since
(1.7 and 2.3; some tools take 2.2). ALBI: Johnson PJ et al., J Clin Oncol
2015;33:550-8. Bilirubin of 2 and 3 mg/dL is 34.2 and 51.3 umol/L by the factor 17.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, localcontext

from analytics.samples import Sentence, _, say
from trial import protocol, units, vocabulary

# --- what a result says ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Part:
    """What one input adds to a score.

    Parameters
    ----------
    code
        Analyte, or a field of :data:`trial.vocabulary.FINDINGS`.
    given
        The value in the standard unit, or the code of a grade.
    points
        1 to 3 points of Child-Pugh; the summand of ALBI.
    """

    code: str
    given: Decimal | str
    points: Decimal


@dataclass(frozen=True, slots=True)
class ChildPugh:
    """Points (5 to 15) and class (A, B, C) with their parts, or what stands in the way; never both."""

    points: int | None = None
    grade: str = ""
    parts: tuple[Part, ...] = ()
    obstacles: tuple[Sentence, ...] = field(default=())

    @property
    def why_not(self) -> str:
        """The obstacles in English; empty when there are points."""
        return _in_english(self.obstacles)


@dataclass(frozen=True, slots=True)
class Albi:
    """Unrounded score and grade (1 to 3) with the two summands, or what stands in the way; never both."""

    value: Decimal | None = None
    grade: int | None = None
    parts: tuple[Part, ...] = ()
    obstacles: tuple[Sentence, ...] = field(default=())

    @property
    def why_not(self) -> str:
        """The obstacles in English; empty when there is a value."""
        return _in_english(self.obstacles)


NOT_COMPUTABLE = _("not computable: {what}")
MISSING = _("{inputs} missing")
NO_CONTROL = Sentence(_("INR missing, and PT has no control value"))
NOT_RECORDED: Mapping[str, Sentence] = {
    "ascites": Sentence(_("ascites not recorded")),
    "encephalopathy": Sentence(_("encephalopathy not recorded")),
}
ABSURD = _("{input} of {value} {unit} is outside {low} to {high}")
NOT_POSITIVE = _("{input} of {value} {unit} is not above zero")


def _in_english(obstacles: tuple[Sentence, ...]) -> str:
    return NOT_COMPUTABLE.format(what="; ".join(map(str, obstacles))) if obstacles else ""


# --- Child-Pugh -----------------------------------------------------------------------------

TBIL_2, TBIL_3 = (mg_dl * units.BILIRUBIN_UMOL_PER_MG_DL for mg_dl in (2, 3))
"""34.2 and 51.3 umol/L: from here on 2 points; above it 3."""
ALBUMIN_1, ALBUMIN_2 = Decimal(35), Decimal(28)
"""g/L: above the first 1 point, down to the second 2, below it 3."""
INR_2, INR_3 = Decimal("1.7"), Decimal("2.3")
PROLONGED_2, PROLONGED_3 = Decimal(4), Decimal(6)
"""Seconds beyond the control."""
ASCITES_POINTS: Mapping[str, int] = {"none": 1, "moderate": 2, "severe": 3}
ENCEPHALOPATHY_POINTS: Mapping[str, int] = {"0": 1, "1": 2, "2": 2, "3": 3, "4": 3}
CLASS_A_TO, CLASS_B_TO = 6, 9


def child_pugh(
    *,
    tbil: Decimal | None,
    albumin: Decimal | None,
    inr: Decimal | None,
    ascites: str,
    encephalopathy: str,
    pt: Decimal | None = None,
    pt_control: Decimal | None = None,
) -> ChildPugh:
    """Return points and class of Child-Pugh.

    Parameters
    ----------
    tbil
        umol/L: below 34.2 one point, to 51.3 two, above three.
    albumin
        g/L: above 35 one point, from 28 two, below three.
    inr
        Below 1.7 one point, to 2.3 two, above three.
    ascites
        Code of :data:`trial.vocabulary.ASCITES`; empty where nobody recorded it.
    encephalopathy
        West Haven grade, code of :data:`trial.vocabulary.ENCEPHALOPATHY`: none one
        point, grades 1 and 2 two, 3 and 4 three.
    pt, pt_control
        Seconds; taken when the INR is missing: less than 4 above the control one point,
        to 6 two, above three.

    Returns
    -------
    ChildPugh
        Class A with 5 and 6 points, B with 7 to 9, C from 10.
    """
    values: dict[str, Decimal | None] = {"tbil": tbil, "albumin": albumin}
    values |= {"pt": pt} if inr is None and pt is not None and pt_control is not None else {"inr": inr}
    grades = {"ascites": ascites, "encephalopathy": encephalopathy}
    obstacles = _missing(values, grades, has_pt=pt is not None) or _absurd(values)
    if obstacles:
        return ChildPugh(obstacles=obstacles)
    parts = []
    for code, value in values.items():
        if value is None:  # said above; here for the types
            continue
        above = value - pt_control if code == "pt" and pt_control is not None else value
        parts.append(Part(code, value, Decimal(_lab_points(code, above))))
    parts.append(Part("ascites", ascites, Decimal(ASCITES_POINTS[ascites])))
    parts.append(Part("encephalopathy", encephalopathy, Decimal(ENCEPHALOPATHY_POINTS[encephalopathy])))
    points = int(sum(part.points for part in parts))
    return ChildPugh(points, class_of(points), tuple(parts))


def class_of(points: int) -> str:
    """Return the class of 5 to 15 points."""
    if points <= CLASS_A_TO:
        return "A"
    return "B" if points <= CLASS_B_TO else "C"


def _lab_points(code: str, value: Decimal) -> int:
    """Return 1 to 3; the middle class holds both of its bounds."""
    if code == "albumin":
        return 1 if value > ALBUMIN_1 else 2 if value >= ALBUMIN_2 else 3
    second, third = {
        "tbil": (TBIL_2, TBIL_3),
        "inr": (INR_2, INR_3),
        "pt": (PROLONGED_2, PROLONGED_3),
    }[code]
    return 1 if value < second else 2 if value <= third else 3


# --- ALBI -----------------------------------------------------------------------------------

ALBI_LOG_TBIL, ALBI_ALBUMIN = Decimal("0.66"), Decimal("-0.085")
GRADE_1_TO, GRADE_2_TO = Decimal("-2.60"), Decimal("-1.39")
_DIGITS = 28


def albi(*, tbil: Decimal | None, albumin: Decimal | None) -> Albi:
    """Return the albumin-bilirubin score and its grade.

    Parameters
    ----------
    tbil
        umol/L.
    albumin
        g/L.

    Returns
    -------
    Albi
        0.66 log10(TBIL) - 0.085 albumin, unrounded; grade 1 to -2.60, 2 to -1.39, else 3.
        The grade is that of the unrounded score: -1.387 prints as -1.39 and is grade 3.
    """
    values = {"tbil": tbil, "albumin": albumin}
    obstacles = _missing(values, {}) or _absurd(values)
    if obstacles or tbil is None or albumin is None:
        return Albi(obstacles=obstacles)
    with localcontext(prec=_DIGITS):
        parts = (
            Part("tbil", tbil, ALBI_LOG_TBIL * tbil.log10()),
            Part("albumin", albumin, ALBI_ALBUMIN * albumin),
        )
        value = parts[0].points + parts[1].points
    grade = 1 if value <= GRADE_1_TO else 2 if value <= GRADE_2_TO else 3
    return Albi(value, grade, parts)


# --- obstacles ------------------------------------------------------------------------------


def _missing(
    values: Mapping[str, Decimal | None], grades: Mapping[str, str], *, has_pt: bool = False
) -> tuple[Sentence, ...]:
    """Name what was not measured, then what nobody graded."""
    absent = [code for code, value in values.items() if value is None]
    found = []
    if "inr" in absent and has_pt:
        found.append(NO_CONTROL)
        absent.remove("inr")
    if absent:
        found.insert(0, say(MISSING, inputs=", ".join(protocol.label_of(code) for code in absent)))
    known = vocabulary.FINDINGS
    found += [
        NOT_RECORDED[code] for code, grade in grades.items() if grade not in vocabulary.codes(known[code])
    ]
    return tuple(found)


def _absurd(values: Mapping[str, Decimal | None]) -> tuple[Sentence, ...]:
    found = []
    for code, value in values.items():
        if value is None:
            continue
        analyte = protocol.ANALYTES[code]
        words = {"input": analyte.label, "value": value, "unit": analyte.unit_symbol}
        if not value.is_finite() or not analyte.hard.holds(value):
            found.append(say(ABSURD, **words, low=analyte.hard.low, high=analyte.hard.high))
        elif value <= 0:
            found.append(say(NOT_POSITIVE, **words))
    return tuple(found)
