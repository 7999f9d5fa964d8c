"""Kinds of rules that a clinical definition is written with: thresholds, rises, presences, all of, any of. Pure.

A rule answers met, not met, or cannot be determined, and says what it looked at.
What is not known is never "not met".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType

from trial import protocol, units
from trial.protocol import Limits
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


class State(StrEnum):
    MET = "met"
    NOT_MET = "not_met"
    OPEN = "open"


STATE_LABELS: Mapping[State, str] = MappingProxyType(
    {State.MET: _("met"), State.NOT_MET: _("not met"), State.OPEN: _("cannot be determined")}
)

FOUR_WEEKS = 28  # "within 4 weeks", both ends included: our reading


# --- what is known --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Known:
    """A value or a day as it was reported; ``comparator`` is ``<`` or ``>`` beyond a detection limit.

    A yes or no is the value 1 or 0; for something that begins on a day, 0 says
    that it never did.
    """

    value: Decimal | None = None
    unit: str = ""
    day: date | None = None
    comparator: str = ""

    @property
    def is_none(self) -> bool:
        """Whether it is known that there is nothing."""
        return self.value == 0 and self.day is None


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything the rules look at, and the reference range of each analyte for the subject."""

    known: Mapping[str, Known] = field(default_factory=dict)
    reference: Mapping[str, Limits] = field(default_factory=dict)

    def in_unit(self, fact: str, unit: str) -> Known | None:
        """Return a measured fact in the unit of a rule, exact where it was reported in it."""
        found = self.known.get(fact)
        if found is None or found.value is None:
            return None
        if found.unit == unit:
            return found
        accepted = protocol.ANALYTES[analyte_of(fact)].accepted
        value = found.value * accepted[found.unit] / accepted[unit]
        return Known(value, unit, found.day, found.comparator)

    def as_reported(self, fact: str) -> str:
        """Write a fact with its unit, or nothing."""
        found = self.known.get(fact)
        if found is None or found.value is None:
            return ""
        unit = "" if found.unit == "ratio" else f" {units.symbol(found.unit)}" if found.unit else ""
        return f"{found.comparator}{_plain(found.value)}{unit}"


def analyte_of(fact: str) -> str:
    """Return the analyte of the panel that a fact is a value of."""
    return "tbil" if fact == "tbil_before" else fact


# --- what a rule says -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Check:
    """One rule against the facts: its wording, what it says, and the value and day it rests on."""

    rule: Sentence
    state: State
    seen: Sentence


class Rule:
    """Something that is met, not met, or cannot be determined."""

    def state(self, facts: Facts) -> State:
        """Judge the facts."""
        raise NotImplementedError

    def checks(self, facts: Facts) -> Iterator[Check]:
        """Yield each elementary rule with what it saw."""
        raise NotImplementedError


def all_of(states: list[State]) -> State:
    """Return whether all are met; one that is not met decides, whatever is unknown."""
    if State.NOT_MET in states:
        return State.NOT_MET
    return State.OPEN if State.OPEN in states else State.MET


def any_of(states: list[State]) -> State:
    """Return whether one is met; one that is met decides, whatever is unknown."""
    if State.MET in states:
        return State.MET
    return State.OPEN if State.OPEN in states else State.NOT_MET


def opposite(state: State) -> State:
    """Return the contrary; of what is unknown it is unknown too."""
    return {State.MET: State.NOT_MET, State.NOT_MET: State.MET}.get(state, State.OPEN)


def _plain(value: Decimal) -> str:
    rounded = round(value, 2)
    return f"{rounded:f}".rstrip("0").rstrip(".") if "." in f"{rounded:f}" else f"{rounded:f}"


@dataclass(frozen=True, slots=True)
class AllOf(Rule):
    """Every part is met."""

    parts: tuple[Rule, ...]

    def state(self, facts: Facts) -> State:
        return all_of([part.state(facts) for part in self.parts])

    def checks(self, facts: Facts) -> Iterator[Check]:
        for part in self.parts:
            yield from part.checks(facts)


@dataclass(frozen=True, slots=True)
class AnyOf(Rule):
    """At least one part is met."""

    parts: tuple[Rule, ...]

    def state(self, facts: Facts) -> State:
        return any_of([part.state(facts) for part in self.parts])

    def checks(self, facts: Facts) -> Iterator[Check]:
        for part in self.parts:
            yield from part.checks(facts)


def _met(sign: str, value: Decimal, limit: Decimal, comparator: str) -> State:
    """Compare; a value known only as below or above something may not decide."""
    if comparator == "<" and not (value <= limit):
        return State.OPEN
    if comparator == ">" and not (value >= limit):
        return State.OPEN
    if comparator:
        # the true value lies strictly beyond what was reported
        is_above = comparator == ">"
        return State.MET if (sign in (">=", ">")) == is_above else State.NOT_MET
    holds = {">=": value >= limit, ">": value > limit, "<=": value <= limit, "<": value < limit}[sign]
    return State.MET if holds else State.NOT_MET


SIGNS: Mapping[str, str] = MappingProxyType({">=": "≥", ">": ">", "<=": "≤", "<": "<"})


@dataclass(frozen=True, slots=True)
class Threshold(Rule):
    """A value against a limit, in the unit in which the rule is written."""

    fact: str
    sign: str
    limit: Decimal
    unit: str = ""

    def state(self, facts: Facts) -> State:
        found = facts.in_unit(self.fact, self.unit)
        if found is None or found.value is None:
            return State.OPEN
        return _met(self.sign, found.value, self.limit, found.comparator)

    def checks(self, facts: Facts) -> Iterator[Check]:
        unit = "" if self.unit in ("", "ratio") else f" {units.symbol(self.unit)}"
        wording = Sentence(
            "%(label)s %(sign)s %(limit)s%(unit)s",
            {
                "label": Sentence(_label(self.fact)),
                "sign": SIGNS[self.sign],
                "limit": _plain(self.limit),
                "unit": unit,
            },
        )
        yield Check(wording, self.state(facts), _seen(facts, self.fact, self.unit))


@dataclass(frozen=True, slots=True)
class Times(Rule):
    """A value against so many times the end of its reference range."""

    fact: str
    sign: str
    times: Decimal
    end: str = "high"

    def _limit(self, facts: Facts) -> Decimal | None:
        limits = facts.reference.get(self.fact)
        found: Decimal | None = None if limits is None else getattr(limits, self.end)
        return found

    def state(self, facts: Facts) -> State:
        limit = self._limit(facts)
        found = facts.in_unit(self.fact, protocol.ANALYTES[self.fact].unit)
        if limit is None or found is None or found.value is None:
            return State.OPEN
        return _met(self.sign, found.value, self.times * limit, found.comparator)

    def checks(self, facts: Facts) -> Iterator[Check]:
        limit = self._limit(facts)
        # upper and lower limit of normal, as laboratories write them
        name = "ULN" if self.end == "high" else "LLN"
        wording = Sentence(
            "%(label)s %(sign)s %(times)s%(name)s%(limit)s",
            {
                "label": Sentence(_label(self.fact)),
                "sign": SIGNS[self.sign],
                "times": "" if self.times == 1 else f"{_plain(self.times)} × ",
                "name": name,
                "limit": "" if limit is None else f" ({_plain(limit)})",
            },
        )
        yield Check(wording, self.state(facts), _seen(facts, self.fact, ""))


@dataclass(frozen=True, slots=True)
class DailyRise(Rule):
    """Bilirubin rises by at least so much a day, between two dated results a day or more apart."""

    limit: Decimal
    unit: str = "umol/L"

    def _rise(self, facts: Facts) -> tuple[Decimal, int] | None:
        last, before = facts.in_unit("tbil", self.unit), facts.in_unit("tbil_before", self.unit)
        if last is None or before is None or last.value is None or before.value is None:
            return None
        if last.day is None or before.day is None or last.comparator or before.comparator:
            return None
        days = (last.day - before.day).days
        return ((last.value - before.value) / days, days) if days >= 1 else None

    def state(self, facts: Facts) -> State:
        found = self._rise(facts)
        if found is None:
            return State.OPEN
        return State.MET if found[0] >= self.limit else State.NOT_MET

    def checks(self, facts: Facts) -> Iterator[Check]:
        found = self._rise(facts)
        wording = Sentence(
            _("TBIL rises ≥ %(limit)s %(unit)s a day"),
            {"limit": _plain(self.limit), "unit": units.symbol(self.unit)},
        )
        seen = Sentence(_("two dated values at least one day apart are needed"))
        if found is not None:
            seen = Sentence(
                _("%(rise)s %(unit)s a day over %(days)s days"),
                {"rise": _plain(found[0]), "unit": units.symbol(self.unit), "days": found[1]},
            )
        yield Check(wording, self.state(facts), seen)


@dataclass(frozen=True, slots=True)
class WithinFourWeeks(Rule):
    """Ascites or encephalopathy begins within four weeks after jaundice with coagulopathy."""

    def _one(self, facts: Facts, fact: str) -> State:
        begun, jaundice = facts.known.get(fact), facts.known.get("jaundice_on")
        if begun is None:
            return State.OPEN
        if begun.is_none:
            return State.NOT_MET
        if begun.day is None or jaundice is None or jaundice.day is None:
            return State.OPEN
        return State.MET if 0 <= (begun.day - jaundice.day).days <= FOUR_WEEKS else State.NOT_MET

    def state(self, facts: Facts) -> State:
        return any_of([self._one(facts, fact) for fact in ("ascites_on", "encephalopathy_on")])

    def checks(self, facts: Facts) -> Iterator[Check]:
        jaundice = facts.known.get("jaundice_on")
        for fact in ("ascites_on", "encephalopathy_on"):
            begun = facts.known.get(fact)
            if begun is not None and begun.is_none:
                seen = Sentence(_("none"))
            elif begun is None or begun.day is None:
                seen = Sentence(_("its first day is not given"))
            elif jaundice is None or jaundice.day is None:
                seen = Sentence(_("the first day of jaundice is not given"))
            else:
                seen = Sentence(
                    _("%(days)s days after jaundice, on %(day)s"),
                    {"days": (begun.day - jaundice.day).days, "day": begun.day.isoformat()},
                )
            wording = Sentence(
                _("%(what)s within 4 weeks of jaundice"), {"what": Sentence(_BEGINNINGS[fact])}
            )
            yield Check(wording, self._one(facts, fact), seen)


@dataclass(frozen=True, slots=True)
class Present(Rule):
    """A finding is there: answered yes, graded above none, or dated."""

    fact: str
    graded: str = ""

    def state(self, facts: Facts) -> State:
        states = [self._of(facts.known.get(fact)) for fact in (self.fact, self.graded) if fact]
        if State.MET in states:
            return State.MET
        return State.NOT_MET if State.NOT_MET in states else State.OPEN

    @staticmethod
    def _of(found: Known | None) -> State:
        if found is None:
            return State.OPEN
        if found.value is None:
            return State.MET if found.day is not None else State.OPEN
        return State.MET if found.value > 0 else State.NOT_MET

    def checks(self, facts: Facts) -> Iterator[Check]:
        state = self.state(facts)
        words = {State.MET: _("yes"), State.NOT_MET: _("no"), State.OPEN: _("not given")}
        day = next(
            (f.day for f in (facts.known.get(self.fact), facts.known.get(self.graded)) if f and f.day), None
        )
        seen = Sentence(words[state])
        if day is not None and state is not State.OPEN:
            seen = Sentence(_("%(what)s, %(day)s"), {"what": seen, "day": day.isoformat()})
        yield Check(Sentence(_PRESENCES[self.fact]), state, seen)


@dataclass(frozen=True, slots=True)
class Not(Rule):
    """The rule is known not to be met."""

    rule: Rule

    def state(self, facts: Facts) -> State:
        return opposite(self.rule.state(facts))

    def checks(self, facts: Facts) -> Iterator[Check]:
        for check in self.rule.checks(facts):
            wording = Sentence(_("not: %(rule)s"), {"rule": check.rule})
            yield Check(wording, opposite(check.state), check.seen)


_BEGINNINGS: Mapping[str, str] = MappingProxyType(
    {"ascites_on": _("ascites"), "encephalopathy_on": _("encephalopathy")}
)
_PRESENCES: Mapping[str, str] = MappingProxyType(
    {
        "histology": _("cirrhosis by histology"),
        "varices": _("varices on endoscopy"),
        "imaging": _("cirrhosis by imaging"),
        "rupture_on": _("variceal bleeding"),
        "ascites_on": _("ascites"),
        "encephalopathy_on": _("encephalopathy"),
    }
)


def _label(fact: str) -> str:
    if fact == "stiffness":
        return _("liver stiffness")
    if fact == "encephalopathy_grade":
        return _("encephalopathy grade")
    if fact == "ascites_grade":
        return _("ascites grade")
    return protocol.ANALYTES[analyte_of(fact)].label


def _seen(facts: Facts, fact: str, unit: str) -> Sentence:
    """Say the value as it was reported, in the unit of the rule where that is another, and the day."""
    found = facts.known.get(fact)
    if found is None or found.value is None:
        return Sentence(_("not given"))
    values = {"value": facts.as_reported(fact), "day": found.day.isoformat() if found.day else ""}
    if unit and found.unit != unit:
        converted = facts.in_unit(fact, unit)
        if converted is not None and converted.value is not None:
            values["value"] += f" = {_plain(converted.value)} {units.symbol(unit)}"
    if found.day is None:
        return Sentence("%(value)s", values)
    return Sentence(_("%(value)s on %(day)s"), values)
