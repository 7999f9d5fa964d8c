"""Conversion between the units laboratories report and the units the study stores.

The only place in the project where a conversion factor is written. A factor
states how many standard units one reported unit is:
``standard value = reported value x factor``.

Sources: bilirubin 17.1 and creatinine 88.4 are the factors of the MELD
literature (exact molar masses give 17.104 and 88.402; the difference moves MELD
by less than 0.001). Codes on the right are UCUM.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from types import MappingProxyType

BILIRUBIN_UMOL_PER_MG_DL = Decimal("17.1")
CREATININE_UMOL_PER_MG_DL = Decimal("88.4")
GRAMS_PER_LITRE_IN_G_DL = Decimal(10)
UNITS_PER_MICROKATAL = Decimal(60)

STORED_PLACES = 6
_QUANTUM = Decimal(1).scaleb(-STORED_PLACES)

UCUM: Mapping[str, str] = MappingProxyType(
    {
        "U/L": "U/L",
        "ukat/L": "ukat/L",
        "umol/L": "umol/L",
        "mg/dL": "mg/dL",
        "g/L": "g/L",
        "g/dL": "g/dL",
        "mmol/L": "mmol/L",
        "mEq/L": "meq/L",
        "%": "%",
        "ratio": "{INR}",
        "s": "s",
        "10^9/L": "10*9/L",
        "10^3/uL": "10*3/uL",
        "IU/mL": "[IU]/mL",
        "ng/mL": "ng/mL",
        "ug/L": "ug/L",
    }
)
"""Every unit the study knows, by its code on screens and in files, with its UCUM code."""

SYMBOLS: Mapping[str, str] = MappingProxyType(
    {
        "umol/L": "\N{MICRO SIGN}mol/L",
        "ukat/L": "\N{MICRO SIGN}kat/L",
        "ug/L": "\N{MICRO SIGN}g/L",
        "10^9/L": "\N{MULTIPLICATION SIGN}10\N{SUPERSCRIPT NINE}/L",
        "10^3/uL": "\N{MULTIPLICATION SIGN}10\N{SUPERSCRIPT THREE}/\N{MICRO SIGN}L",
        "10^6/kg": "\N{MULTIPLICATION SIGN}10\N{SUPERSCRIPT SIX}/kg",
    }
)


def symbol(unit: str) -> str:
    """Return the unit as people read it, e.g. ``µmol/L`` for ``umol/L``."""
    return SYMBOLS.get(unit, unit)


def to_standard(value: Decimal, factor: Decimal) -> Decimal:
    """Convert a reported value into the standard unit of its analyte.

    Parameters
    ----------
    value
        What was reported, in a unit that the analyte accepts.
    factor
        Standard units in one reported unit (:attr:`trial.protocol.Analyte.accepted`).

    Returns
    -------
    Decimal
        The value in the standard unit, rounded half-even to six places.
    """
    return (value * factor).quantize(_QUANTUM, rounding=ROUND_HALF_EVEN)


def bilirubin_mg_dl(umol_l: float) -> float:
    """Return bilirubin in mg/dL for a value in umol/L."""
    return umol_l / float(BILIRUBIN_UMOL_PER_MG_DL)


def creatinine_mg_dl(umol_l: float) -> float:
    """Return creatinine in mg/dL for a value in umol/L."""
    return umol_l / float(CREATININE_UMOL_PER_MG_DL)


def albumin_g_dl(g_l: float) -> float:
    """Return albumin in g/dL for a value in g/L."""
    return g_l / float(GRAMS_PER_LITRE_IN_G_DL)
