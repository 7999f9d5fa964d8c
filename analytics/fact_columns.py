"""Columns of the facts of a screening: what its automatic checks look at, with unit, day and source."""

from __future__ import annotations

from collections.abc import Iterator

from analytics.declarations import Column, Kind, Show
from analytics.shared_columns import day, typed_number
from patients import facts
from patients.facts import FACTS, Fact
from patients.imports.screening_facts import column_of, parts_of
from patients.rules import analyte_of
from trial import protocol
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a label for translation; who shows it translates it."""
    return message


_STORED = ("value", "typed_text", "typed_unit", "happened_on", "source")
_YES_AND_NO = "CASE {value} WHEN 1 THEN 'yes' WHEN 0 THEN 'no' END"


def _columns_of(fact: Fact) -> Iterator[Column]:
    value, typed, unit, happened_on, source = (f"f.{fact.code}_{name}" for name in _STORED)
    parts = parts_of(fact)
    if fact.kind is facts.Kind.SIGN:
        yield Column(column_of(fact), Kind.CODE, fact.label, _YES_AND_NO.format(value=value))
    elif fact.kind is facts.Kind.GRADE:
        yield Column(column_of(fact), Kind.WHOLE, fact.label, f"trim_scale({value})")
    elif fact.has_value:
        label = _of(fact, _("%(fact)s, %(unit)s"), unit=_unit_of(fact))
        yield Column(column_of(fact), Kind.NUMBER, label, f"trim_scale({value})")
    if "typed" in parts:
        name, label = column_of(fact, "typed"), _of(fact, _("%(fact)s: as typed"))
        yield Column(name, Kind.TEXT, label, f"nullif({typed}, '')", Show.IDENTIFIED)
        yield Column(name, Kind.TEXT, label, typed_number(value, typed), Show.DEIDENTIFIED)
    if "unit" in parts:
        label = _of(fact, _("%(fact)s: unit as typed"))
        yield Column(column_of(fact, "unit"), Kind.CODE, label, f"nullif({unit}, '')")
    if "on" in parts:
        yield from day(column_of(fact), _of(fact, _("%(fact)s: day")), happened_on)
    if "never" in parts:
        label = _of(fact, _("%(fact)s: yes where it never was"))
        yield Column(column_of(fact, "never"), Kind.CODE, label, f"CASE WHEN {value} = 0 THEN 'yes' END")
    label = _of(fact, _("%(fact)s: where it was taken from"))
    yield Column(column_of(fact, "source"), Kind.CODE, label, f"nullif({source}, '')")


def _of(fact: Fact, pattern: str, **gaps: str) -> Sentence:
    return Sentence(pattern, {"fact": Sentence(fact.label), **gaps})


def _unit_of(fact: Fact) -> str:
    if fact.kind is facts.Kind.LAB:
        return protocol.ANALYTES[analyte_of(fact.code)].unit
    return fact.units[0]


FACT_COLUMNS = tuple(column for fact in FACTS for column in _columns_of(fact))
_PIVOT = ", ".join(
    f"max(x.{name}) FILTER (WHERE x.fact = '{fact.code}') AS {fact.code}_{name}"
    for fact in FACTS
    for name in _STORED
)
FACTS_OF_SCREENING = (
    f"LEFT JOIN LATERAL (SELECT {_PIVOT} FROM patients_screeningfact x WHERE x.screening_id = c.id) f ON true"
)
"""Joins the facts of a screening ``c``."""
