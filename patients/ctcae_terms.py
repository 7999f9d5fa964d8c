"""Terms of the criteria for adverse events (CTCAE v5) that matter in this study, and what a grade means.

Pure. A term is stored in English under the criteria's name, in the spelling of this project; whatever is not in the
list is typed freely. Grades have a meaning of their own for some terms and a
general one for the others; both are shortened here, the criteria decide.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


VERSION = "5.0"
GRADES: tuple[int, ...] = (1, 2, 3, 4, 5)
FATAL_GRADE = 5

GENERAL: Mapping[int, str] = MappingProxyType(
    {
        1: _("mild, no treatment needed"),
        2: _("moderate, needs little or local treatment"),
        3: _("severe, hospital or a longer stay"),
        4: _("life-threatening, urgent treatment"),
        5: _("death because of the event"),
    }
)
"""What each grade means where a term does not say it."""


_NOTHING: Mapping[int, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class EventTerm:
    """One term; ``name`` is stored, and translated where it is shown; ``meaning`` holds the grades it defines."""

    name: str
    meaning: Mapping[int, str] = field(default_factory=lambda: _NOTHING)

    def means(self, grade: int) -> str:
        """Return what a grade means, to be translated."""
        return self.meaning.get(grade) or GENERAL[grade]


_TRANSAMINASE: Mapping[int, str] = MappingProxyType(
    {
        1: _("up to 3 × ULN; abnormal baseline: 1.5 to 3 × baseline"),
        2: _("above 3 to 5 × ULN, or × an abnormal baseline"),
        3: _("above 5 to 20 × ULN, or × an abnormal baseline"),
        4: _("above 20 × ULN, or × an abnormal baseline"),
    }
)

TERMS: tuple[EventTerm, ...] = (
    EventTerm(
        _("Fever"),
        MappingProxyType(
            {
                1: _("38.0 to 39.0 °C"),
                2: _("above 39.0 to 40.0 °C"),
                3: _("above 40.0 °C for at most 24 h"),
                4: _("above 40.0 °C for longer than 24 h"),
            }
        ),
    ),
    EventTerm(
        _("Infusion related reaction"),
        MappingProxyType(
            {
                1: _("mild and passing, the infusion goes on"),
                2: _("infusion interrupted, settles soon with treatment"),
                3: _("prolonged or comes back, or hospital"),
                4: _("life-threatening, urgent treatment"),
            }
        ),
    ),
    EventTerm(_("Chills")),
    EventTerm(_("Allergic reaction")),
    EventTerm(_("Anaphylaxis")),
    EventTerm(_("Headache")),
    EventTerm(_("Fatigue")),
    EventTerm(_("Nausea")),
    EventTerm(_("Vomiting")),
    EventTerm(_("Diarrhoea")),
    EventTerm(_("Abdominal pain")),
    EventTerm(_("Rash maculo-papular")),
    EventTerm(_("Pruritus")),
    EventTerm(_("Dyspnoea")),
    EventTerm(_("Hypotension")),
    EventTerm(_("Thromboembolic event")),
    EventTerm(_("Portal vein thrombosis")),
    EventTerm(_("Ascites")),
    EventTerm(_("Hepatic encephalopathy")),
    EventTerm(_("Hepatic failure")),
    EventTerm(_("Portal hypertension")),
    EventTerm(_("Oesophageal varices haemorrhage")),
    EventTerm(_("Upper gastrointestinal haemorrhage")),
    EventTerm(_("Acute kidney injury")),
    EventTerm(_("Hepatic infection")),
    EventTerm(_("Peritoneal infection")),
    EventTerm(_("Lung infection")),
    EventTerm(_("Sepsis")),
    EventTerm(_("Hepatitis B reactivation")),
    EventTerm(_("Multi-organ failure")),
    EventTerm(_("Disseminated intravascular coagulation")),
    EventTerm(_("Treatment related secondary malignancy")),
    EventTerm(_("Alanine aminotransferase increased"), _TRANSAMINASE),
    EventTerm(_("Aspartate aminotransferase increased"), _TRANSAMINASE),
    EventTerm(
        _("Blood bilirubin increased"),
        MappingProxyType(
            {
                1: _("up to 1.5 × ULN; abnormal baseline: up to 1.5 × baseline"),
                2: _("above 1.5 to 3 × ULN, or × an abnormal baseline"),
                3: _("above 3 to 10 × ULN, or × an abnormal baseline"),
                4: _("above 10 × ULN, or × an abnormal baseline"),
            }
        ),
    ),
    EventTerm(
        _("Creatinine increased"),
        MappingProxyType(
            {
                1: _("up to 1.5 × ULN"),
                2: _("above 1.5 to 3 × baseline or ULN"),
                3: _("above 3 × baseline, or above 3 to 6 × ULN"),
                4: _("above 6 × ULN"),
            }
        ),
    ),
    EventTerm(
        _("INR increased"),
        MappingProxyType(
            {1: _("above 1.2 to 1.5"), 2: _("above 1.5 to 2.5"), 3: _("above 2.5")},
        ),
    ),
    EventTerm(
        _("Platelet count decreased"),
        MappingProxyType(
            {
                1: _("below normal to 75 × 10⁹/L"),
                2: _("below 75 to 50 × 10⁹/L"),
                3: _("below 50 to 25 × 10⁹/L"),
                4: _("below 25 × 10⁹/L"),
            }
        ),
    ),
    EventTerm(_("White blood cell decreased")),
    EventTerm(_("Anaemia")),
    EventTerm(
        _("Hypoalbuminaemia"),
        MappingProxyType(
            {1: _("below normal to 30 g/L"), 2: _("below 30 to 20 g/L"), 3: _("below 20 g/L")},
        ),
    ),
    EventTerm(
        _("Hyponatraemia"),
        MappingProxyType(
            {
                1: _("below normal to 130 mmol/L"),
                2: _("125 to 129 mmol/L without symptoms"),
                3: _("125 to 129 mmol/L with symptoms, or 120 to 124"),
                4: _("below 120 mmol/L"),
            }
        ),
    ),
    EventTerm(_("Hypoglycaemia")),
    EventTerm(_("Hyperkalaemia")),
)
"""Offered while typing, those of an infusion first."""

_BY_NAME: Mapping[str, EventTerm] = MappingProxyType({term.name.casefold(): term for term in TERMS})


def term_of(text: str) -> EventTerm:
    """Return the term with this name in any case; free text is a term without meanings of its own."""
    name = " ".join(text.split())
    return _BY_NAME.get(name.casefold()) or EventTerm(name)
