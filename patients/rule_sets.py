"""What counts as liver failure and as cirrhosis, as data: every rule with its version. Pure.

A rule answers met, not met, or cannot be determined, and says what it looked at.
A threshold is compared in the unit it is written in: 85.0 umol/L are 4.97 mg/dL,
which is not 5 mg/dL, and yet at least 85 umol/L. What is not known is never "not
met". A rule set is never edited once a screening was judged by it: it gets a new
version beside the old one, and a screening keeps the name of its own.

Sources: the definitions of APASL (2009, kept in 2014 and 2019), of the Chinese
Medical Association (2012, 2018) and of COSSH, and two protocols of the paper's
own university. EASL-CLIF needs vasopressors and blood gases, which a screening
does not hold; it is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType

from patients.rules import (
    AllOf,
    AnyOf,
    Check,
    DailyRise,
    Facts,
    Not,
    Present,
    Rule,
    State,
    Threshold,
    Times,
    WithinFourWeeks,
    any_of,
)
from trial import protocol


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


MARKED_ASCITES = Decimal(3)  # "marked" as the third of three grades: our reading

# --- the rule sets of liver failure ---------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RuleSet:
    """One definition of liver failure in one version; ``by_hand`` is what only a clinician can judge."""

    code: str
    version: str
    label: str
    rule: Rule
    by_hand: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """How a screening keeps it, such as ``apasl/1``."""
        return f"{self.code}/{self.version}"


def _at_least(fact: str, limit: str, unit: str = "") -> Threshold:
    return Threshold(fact, ">=", Decimal(limit), unit)


_INR = _at_least("inr", "1.5", "ratio")
_PTA_BELOW_40 = Threshold("pta", "<", Decimal(40), "%")
_PTA_AT_MOST_40 = Threshold("pta", "<=", Decimal(40), "%")
_PTA_AT_MOST_30 = Threshold("pta", "<=", Decimal(30), "%")
_PTA_AT_MOST_20 = Threshold("pta", "<=", Decimal(20), "%")
_RISE = DailyRise(Decimal("17.1"))
_CMA_BILIRUBIN = AnyOf((_at_least("tbil", "171", "umol/L"), _RISE))
_MARKED_ASCITES = Threshold("ascites_grade", ">=", MARKED_ASCITES)
_ENCEPHALOPATHY = Threshold("encephalopathy_grade", ">=", Decimal(1))
_DEEP_ENCEPHALOPATHY = Threshold("encephalopathy_grade", ">=", Decimal(3))
_CHRONIC = _("chronic liver disease or cirrhosis, known before or not")
_BLEEDING = _("bleeding tendency, severe gastrointestinal symptoms")

LIVER_FAILURE: tuple[RuleSet, ...] = (
    RuleSet(
        "apasl",
        "1",
        _("APASL"),
        AllOf((_at_least("tbil", "5", "mg/dL"), AnyOf((_INR, _PTA_BELOW_40)), WithinFourWeeks())),
        (_CHRONIC,),
    ),
    RuleSet(
        "sysu-85",
        "1",
        _("Sun Yat-sen, 85 µmol/L"),
        AllOf((AnyOf((_at_least("tbil", "85", "umol/L"), _RISE)), _INR, WithinFourWeeks())),
        (_CHRONIC,),
    ),
    RuleSet(
        "sysu-rct",
        "1",
        _("Sun Yat-sen, trial of two courses"),
        AllOf((Times("tbil", ">=", Decimal(10)), AnyOf((_INR, _PTA_BELOW_40)), WithinFourWeeks())),
        (_("MELD from 17 to 30"), _("18 to 65 years old")),
    ),
    RuleSet(
        "cma12-early",
        "1",
        _("CMA 2012, early stage"),
        AllOf(
            (
                _CMA_BILIRUBIN,
                Threshold("pta", ">", Decimal(30), "%"),
                _PTA_AT_MOST_40,
                Not(_ENCEPHALOPATHY),
                Not(_MARKED_ASCITES),
            )
        ),
        (_BLEEDING,),
    ),
    RuleSet(
        "cma12-middle",
        "1",
        _("CMA 2012, middle stage"),
        # the later stage goes before: PTA above 20 % and encephalopathy below grade III, our reading
        AllOf(
            (
                _CMA_BILIRUBIN,
                Threshold("pta", ">", Decimal(20), "%"),
                _PTA_AT_MOST_40,
                Not(_DEEP_ENCEPHALOPATHY),
                AnyOf((_PTA_AT_MOST_30, _ENCEPHALOPATHY, _MARKED_ASCITES)),
            )
        ),
        (_BLEEDING,),
    ),
    RuleSet(
        "cma12-late",
        "1",
        _("CMA 2012, late stage"),
        AllOf((_CMA_BILIRUBIN, _PTA_AT_MOST_40, AnyOf((_PTA_AT_MOST_20, _DEEP_ENCEPHALOPATHY)))),
        (_("hepatorenal syndrome, severe bleeding or infection"),),
    ),
    RuleSet(
        "cma18",
        "1",
        _("CMA 2018"),
        AllOf((AnyOf((Times("tbil", ">=", Decimal(10)), _RISE)), AnyOf((_INR, _PTA_AT_MOST_40)))),
        (_CHRONIC,),
    ),
    RuleSet(
        "cossh",
        "1",
        _("COSSH"),
        AllOf((_at_least("tbil", "12", "mg/dL"), _INR)),
        (_("failure of a single organ"),),
    ),
)
RULE_SET_AT: Mapping[str, RuleSet] = MappingProxyType({each.name: each for each in LIVER_FAILURE})

# --- cirrhosis ------------------------------------------------------------------------------

CIRRHOSIS_VERSION = "cirrhosis/1"
CIRRHOSIS = AnyOf(
    (
        Present("histology"),
        Present("varices"),
        Present("imaging"),
        AllOf((Threshold("stiffness", ">", Decimal("12.0"), "kPa"), Times("alt", "<", Decimal(5)))),
        AllOf(
            (
                Times("platelets", "<", Decimal(1), end="low"),
                AnyOf(
                    (
                        Threshold("albumin", "<", Decimal(35), "g/L"),
                        Threshold("inr", ">", Decimal("1.3"), "ratio"),
                    )
                ),
            )
        ),
    )
)
"""HBV cirrhosis by any one sign, compensated or not."""

DECOMPENSATION = AnyOf(
    (
        Present("rupture_on"),
        Present("ascites_on", graded="ascites_grade"),
        Present("encephalopathy_on", graded="encephalopathy_grade"),
    )
)
"""An event after which cirrhosis no longer counts as compensated; jaundice is left to the clinician."""


@dataclass(frozen=True, slots=True)
class Diagnoses:
    """Both flags, kept side by side; liver failure goes before cirrhosis."""

    rule_set: RuleSet
    liver_failure: State
    cirrhosis: State
    decompensated: State
    liver_failure_checks: tuple[Check, ...]
    cirrhosis_checks: tuple[Check, ...]

    @property
    def either(self) -> State:
        """Whether the subject has one of the two."""
        return any_of([self.liver_failure, self.cirrhosis])

    @property
    def counts_as(self) -> protocol.Diagnosis | None:
        """The diagnosis that goes first; None while it cannot be told."""
        if self.liver_failure is State.MET:
            return protocol.Diagnosis.LIVER_FAILURE
        if self.liver_failure is State.NOT_MET and self.cirrhosis is State.MET:
            return protocol.Diagnosis.CIRRHOSIS
        return None


def diagnose(facts: Facts, rule_set: str = protocol.RULE_SET) -> Diagnoses:
    """Judge liver failure by a rule set, and cirrhosis; ``KeyError`` for a set that never was.

    Parameters
    ----------
    facts
        What is known of the subject.
    rule_set
        Name and version, as a screening keeps them.
    """
    chosen = RULE_SET_AT[rule_set]
    return Diagnoses(
        chosen,
        liver_failure=chosen.rule.state(facts),
        cirrhosis=CIRRHOSIS.state(facts),
        decompensated=DECOMPENSATION.state(facts),
        liver_failure_checks=tuple(chosen.rule.checks(facts)),
        cirrhosis_checks=tuple(CIRRHOSIS.checks(facts)),
    )
