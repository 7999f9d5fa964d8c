"""The coded lists of the forms: what a field may hold besides numbers, dates and text.

Pure. Codes are stored and exported, labels are shown. Where the paper is silent
the choice is ours; the lists follow the usual ones of the field (ICH E2A, CTCAE).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


@dataclass(frozen=True, slots=True)
class Term:
    """One entry of a coded list."""

    code: str
    label: str


def labels(terms: Sequence[Term]) -> list[tuple[str, str]]:
    """Return a list as Django takes choices."""
    return [(term.code, term.label) for term in terms]


def codes(terms: Sequence[Term]) -> list[str]:
    """Return the codes of a list."""
    return [term.code for term in terms]


def by_code(terms: Sequence[Term]) -> Mapping[str, Term]:
    """Return a list by its codes."""
    return MappingProxyType({term.code: term for term in terms})


# --- visits ---------------------------------------------------------------------------------

NOT_DONE_REASONS: tuple[Term, ...] = (
    Term("no_show", _("did not come")),
    Term("refused", _("refused")),
    Term("too_ill", _("too ill")),
    Term("elsewhere", _("was seen at another hospital")),
    Term("staff", _("the ward could not")),
    Term("other", _("other, said in the note")),
)
"""Why a planned visit or infusion did not take place."""

ASCITES: tuple[Term, ...] = (
    Term("none", _("none")),
    Term("moderate", _("mild or moderate")),
    Term("severe", _("severe")),
)
"""Ascites at a visit, in the three classes that Child and Pugh tell apart."""

ENCEPHALOPATHY: tuple[Term, ...] = (
    Term("0", _("none")),
    Term("1", _("grade 1")),
    Term("2", _("grade 2")),
    Term("3", _("grade 3")),
    Term("4", _("grade 4")),
)
"""Hepatic encephalopathy at a visit by the West Haven criteria: the grade itself, which no score rounds away."""

FINDINGS: Mapping[str, tuple[Term, ...]] = MappingProxyType(
    {"ascites": ASCITES, "encephalopathy": ENCEPHALOPATHY}
)
"""What a physician grades at a visit, by the field of the visit; empty where nobody recorded it."""


# --- adverse events -------------------------------------------------------------------------

RELATIONS: tuple[Term, ...] = (
    Term("unrelated", _("unrelated")),
    Term("unlikely", _("unlikely")),
    Term("possible", _("possible")),
    Term("probable", _("probable")),
    Term("definite", _("definite")),
)
"""How an event relates to the infusions, as the investigator judges."""

SERIOUSNESS: tuple[Term, ...] = (
    Term("death", _("resulted in death")),
    Term("life_threatening", _("life-threatening")),
    Term("hospitalisation", _("hospital admission, or a longer stay")),
    Term("disability", _("lasting disability")),
    Term("anomaly", _("congenital anomaly")),
    Term("important", _("another important medical event")),
)
"""What makes an event serious."""

EVENT_OUTCOMES: tuple[Term, ...] = (
    Term("ongoing", _("not recovered")),
    Term("recovering", _("recovering")),
    Term("recovered", _("recovered")),
    Term("sequelae", _("recovered with sequelae")),
    Term("fatal", _("fatal")),
    Term("unknown", _("unknown")),
)

EVENT_ACTIONS: tuple[Term, ...] = (
    Term("none", _("nothing changed")),
    Term("interrupted", _("infusion interrupted")),
    Term("postponed", _("next infusion postponed")),
    Term("stopped", _("course stopped")),
)
"""What was done about the infusions because of an event."""


# --- treatment ------------------------------------------------------------------------------

TREATMENTS: tuple[Term, ...] = (
    Term("antiviral", _("antiviral")),
    Term("albumin", _("albumin")),
    Term("plasma", _("plasma")),
    Term("plasma_exchange", _("plasma exchange")),
    Term("dialysis", _("haemodialysis")),
    Term("cvvhd", _("continuous haemodialysis")),
    Term("transfusion", _("transfusion of other blood products")),
    Term("steroid", _("corticosteroid")),
    Term("anticoagulant", _("anticoagulant")),
    Term("other", _("other")),
)
PLASMA: frozenset[str] = frozenset({"plasma", "plasma_exchange"})
"""Treatments after which coagulation and bilirubin say little about the liver."""
PLASMA_HOURS = 48  # our assumption
RENAL_REPLACEMENT: frozenset[str] = frozenset({"dialysis", "cvvhd"})
"""Treatments by which MELD takes creatinine at its upper bound."""


# --- voiding and merging --------------------------------------------------------------------

VOID_REASONS: tuple[Term, ...] = (
    Term("void_wrong_subject", _("entered for the wrong subject")),
    Term("void_twice", _("entered twice")),
    Term("void_not_done", _("did not take place after all")),
    Term("void_wrong_place", _("entered in the wrong place")),
    Term("void_source", _("not in the source")),
    Term("other", _("other, said in the note")),
)
"""Why a record no longer counts. Those of a changed value stay readable where they were given before."""

MERGE_REASONS: tuple[Term, ...] = (
    Term("merge_same_number", _("same hospital number")),
    Term("merge_same_person", _("same name and date of birth")),
    Term("merge_ward", _("confirmed by the ward")),
    Term("merge_patient", _("confirmed by the patient")),
    Term("other", _("other, said in the note")),
)
"""Why two subjects are one person."""


# --- screening ------------------------------------------------------------------------------

SCREENING_FACTS: tuple[Term, ...] = (
    Term("hbsag_first_on", _("HBsAg first positive")),
    Term("tbil", _("TBIL")),
    Term("tbil_before", _("TBIL of an earlier day")),
    Term("inr", _("INR")),
    Term("pta", _("PTA")),
    Term("platelets", _("Platelets")),
    Term("albumin", _("Albumin")),
    Term("alt", _("ALT")),
    Term("afp", _("AFP")),
    Term("stiffness", _("liver stiffness")),
    Term("jaundice_on", _("jaundice and coagulopathy since")),
    Term("ascites_on", _("ascites since")),
    Term("ascites_grade", _("ascites, grade")),
    Term("encephalopathy_on", _("encephalopathy since")),
    Term("encephalopathy_grade", _("encephalopathy, West Haven grade")),
    Term("histology", _("cirrhosis by histology")),
    Term("varices", _("varices on endoscopy")),
    Term("imaging", _("cirrhosis by imaging")),
    Term("rupture_on", _("variceal rupture and bleeding")),
    Term("septicaemia_on", _("septicaemia")),
)
"""What the automatic checks of a screening look at: values and days."""

FACT_SOURCES: tuple[Term, ...] = (
    Term("", _("typed")),
    Term("labs", _("taken from the labs")),
    Term("screening", _("taken from an earlier screening")),
)
"""Where a fact of a screening came from."""


# --- verification ---------------------------------------------------------------------------

SIGNATURE_MEANINGS: tuple[Term, ...] = (
    Term("reviewed", _("I have reviewed these data")),
    Term("approved", _("I confirm that these data are complete and correct")),
)


# --- queries --------------------------------------------------------------------------------

QUERY_STATES: tuple[Term, ...] = (
    Term("open", _("open")),
    Term("answered", _("answered")),
    Term("closed", _("closed")),
)
QUERY_STEPS: tuple[Term, ...] = (
    Term("opened", _("opened")),
    Term("answered", _("answered")),
    Term("closed", _("closed")),
    Term("reopened", _("reopened")),
    Term("assigned", _("passed on")),
)
QUERY_TOPICS: tuple[Term, ...] = (
    Term("visit", _("visit")),
    Term("infusion", _("infusion")),
    Term("screening", _("screening")),
    Term("event", _("adverse event")),
    Term("treatment", _("treatment")),
    Term("outcome", _("outcome")),
    Term("subject", _("subject")),
)


# --- infusions ------------------------------------------------------------------------------

RELEASE_TESTS: tuple[Term, ...] = (
    Term("bacteria", _("bacteria")),
    Term("fungi", _("fungi")),
    Term("mycoplasma", _("mycoplasma")),
    Term("endotoxin", _("endotoxin")),
    Term("hbv", _("HBV")),
    Term("hcv", _("HCV")),
    Term("hiv", _("HIV")),
    Term("cmv", _("CMV")),
    Term("viability", _("viability")),
    Term("phenotype", _("phenotype")),
)
RELEASE_RESULTS: tuple[Term, ...] = (
    Term("pending", _("pending")),
    Term("pass", _("passed")),
    Term("fail", _("failed")),
)
RELEASE_STATES: tuple[Term, ...] = (
    Term("quarantine", _("in quarantine")),
    Term("conditional", _("released while sterility is pending")),
    Term("released", _("released")),
    Term("rejected", _("rejected")),
    Term("recalled", _("recalled")),
)
CUSTODY_STEPS: tuple[Term, ...] = (
    Term("collected", _("cord collected")),
    Term("banked", _("banked")),
    Term("thawed", _("thawed")),
    Term("packed", _("filled into bags")),
    Term("shipped", _("handed to the courier")),
    Term("received", _("received on the ward")),
    Term("checked", _("identity checked by a second person")),
    Term("discarded", _("discarded")),
)
VITAL_MOMENTS: tuple[Term, ...] = (
    Term("before", _("before")),
    Term("m15", _("+15 min")),
    Term("m30", _("+30 min")),
    Term("m60", _("+60 min")),
    Term("end", _("end")),
    Term("h24", _("+24 h")),
)
VEINS: tuple[Term, ...] = (
    Term("forearm_left", _("left forearm")),
    Term("forearm_right", _("right forearm")),
    Term("other", _("another vein")),
)
COURSE_DECISIONS: tuple[Term, ...] = (
    Term("prolong", _("prolong the course")),
    Term("stop", _("stop after the standard course")),
)
