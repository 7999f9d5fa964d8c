"""LOINC and UCUM for the panel: which code means which analyte, and which units it can be reported in. Pure.

A LOINC code says what kind of quantity was measured: bilirubin by mass and by
moles are two codes, so a value in mg/dL under the code for moles is wrong even
though the study accepts mg/dL. Codes beside the standard one are of the same
analyte (domain: S44 to S48). 5894-1 is prothrombin activity in percent; public
tables that give it for INR are wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from trial import protocol, units

SYSTEM = "http://loinc.org"
UCUM_SYSTEM = "http://unitsofmeasure.org"


@dataclass(frozen=True, slots=True)
class Code:
    """One LOINC code: its analyte, and the units of the study that its kind of quantity allows."""

    loinc: str
    analyte: str
    units: tuple[str, ...]


_BY_MOLES: Mapping[str, tuple[str, ...]] = MappingProxyType({"tbil": ("umol/L",), "creatinine": ("umol/L",)})
_OTHERS = (
    Code("1975-2", "tbil", ("mg/dL",)),
    Code("2160-0", "creatinine", ("mg/dL",)),
    Code("34714-6", "inr", ("ratio",)),
)
CODES: Mapping[str, Code] = MappingProxyType(
    {
        code.loinc: code
        for code in (
            *(Code(a.loinc, a.code, _BY_MOLES.get(a.code, tuple(a.accepted))) for a in protocol.PANEL),
            *_OTHERS,
        )
    }
)
"""Every LOINC code that is understood."""

_UCUM: Mapping[str, str] = MappingProxyType(
    {
        **{ucum: unit for unit, ucum in units.UCUM.items()},
        "1": "ratio",
        "[iU]/mL": "IU/mL",
        "k[IU]/L": "IU/mL",
        "k[iU]/L": "IU/mL",
    }
)
"""UCUM codes, as case-sensitive as UCUM is, to the units of the study."""


def unit_of(ucum: str) -> str | None:
    """Return the unit that a UCUM code means, or None when the study knows none."""
    return _UCUM.get(ucum)


def of_analyte(analyte: str) -> str:
    """Return the code under which a value in the standard unit is told."""
    return protocol.ANALYTES[analyte].loinc


def codes_of(analyte: str) -> list[Code]:
    """Return every code of an analyte."""
    return [code for code in CODES.values() if code.analyte == analyte]
