"""The form of a screening, grown from the criteria of the protocol and the facts they rest on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from patients import edit_checks, eligibility, facts, rules, screenings
from patients.edit_checks import Doubt, Earlier
from patients.eligibility import Finding
from patients.entries import AnswerEntry
from patients.facts import FACTS, Fact, FactEntry, Kind
from patients.forms.fields import CorrectionForm, named, said, text_field
from patients.models import Patient, Screening
from trial import protocol, typed, units
from trial.protocol import Answer, Criterion, CriterionKind
from trial.typed import Unreadable

EVIDENCE_LENGTH = 300
_PARTS = ("fact_", "unit_", "day_", "take_", "sure_")


@dataclass(frozen=True, slots=True)
class CheckLine:
    """One elementary rule as the page shows it."""

    state: str
    state_label: str
    rule: str
    seen: str
    is_exclusion: bool

    @property
    def is_for(self) -> bool:
        """Whether it speaks for the subject: an inclusion that is met, an exclusion that is not."""
        return self.state == (rules.State.NOT_MET if self.is_exclusion else rules.State.MET)

    @property
    def is_against(self) -> bool:
        return self.state == (rules.State.MET if self.is_exclusion else rules.State.NOT_MET)


@dataclass(frozen=True, slots=True)
class EarlierAnswer:
    """What an earlier screening answered, for context."""

    day: date
    label: str
    evidence: str


@dataclass(slots=True)
class Question:
    """One criterion as the page shows it."""

    criterion: Criterion
    answer: str
    evidence: str
    evidence_on: str
    errors: list[str]
    finding: Finding | None = None
    earlier: EarlierAnswer | None = None

    @property
    def code(self) -> str:
        return self.criterion.code

    @property
    def label(self) -> str:
        return gettext(self.criterion.label)

    @property
    def advice(self) -> str:
        return gettext(self.criterion.advice)

    @property
    def answer_label(self) -> str:
        return gettext(protocol.ANSWER_LABELS[Answer(self.answer or Answer.UNKNOWN)])

    @property
    def is_against(self) -> bool:
        return self.answer not in ("", Answer.UNKNOWN, self.criterion.passes)

    @property
    def finding_said(self) -> str:
        return self.finding.sentence.said(gettext) if self.finding else ""

    @property
    def finding_answer(self) -> str:
        return gettext(protocol.ANSWER_LABELS[self.finding.answer]) if self.finding else ""

    @property
    def warning(self) -> str:
        return self.finding.warning.said(gettext) if self.finding and self.finding.warning else ""

    @property
    def checks(self) -> list[CheckLine]:
        return [
            CheckLine(
                check.state,
                gettext(rules.STATE_LABELS[check.state]),
                check.rule.said(gettext),
                check.seen.said(gettext),
                is_exclusion=self.criterion.passes == Answer.NO,
            )
            for check in (self.finding.checks if self.finding else ())
        ]

    @property
    def disagrees(self) -> bool:
        """Whether the data say something else than the tick."""
        if self.finding is None or self.answer not in {answer.value for answer in Answer}:
            return False
        return eligibility.contradicts(self.finding, Answer(self.answer))

    @property
    def needs_evidence(self) -> bool:
        """Whether the tick stands against the data and nothing says why."""
        return self.disagrees and not self.evidence.strip()


@dataclass(slots=True)
class FactLine:
    """One fact as the page shows it: what was typed, what is offered, what is wrong with it."""

    fact: Fact
    text: str
    unit: str
    day: str
    offer: str = ""
    offer_value: str = ""
    offer_source: str = ""
    is_taken: bool = False
    doubt: Doubt | None = None
    sure: str = ""
    is_sure: bool = False
    errors: list[str] = field(default_factory=list)
    day_errors: list[str] = field(default_factory=list)
    source: str = ""

    @property
    def code(self) -> str:
        return self.fact.code

    @property
    def kind(self) -> str:
        return self.fact.kind.value

    @property
    def label(self) -> str:
        return gettext(self.fact.label)

    @property
    def unit_choices(self) -> list[tuple[str, str]]:
        return [(unit, units.symbol(unit)) for unit in self.fact.units]

    @property
    def choices(self) -> list[tuple[str, str]]:
        if self.fact.kind is Kind.GRADE:
            return [(str(grade), str(grade)) for grade in range(self.fact.most + 1)]
        return [("yes", gettext("yes")), ("no", gettext("no"))]

    @property
    def doubt_said(self) -> str:
        if self.doubt is None:
            return ""
        return f"{self.doubt.sentence.said(gettext)} {self.doubt.detail.said(gettext)}"


class ScreeningForm(CorrectionForm):
    """The facts, then every criterion as yes, no or unknown, with what the answer rests on and its day."""

    screened_on = text_field(_("Screened on"))

    def __init__(
        self,
        data: Any = None,
        *,
        patient: Patient,
        day: date,
        life: edit_checks.Life,
        screening: Screening | None = None,
        offers: Mapping[str, tuple[FactEntry, date | None]] | None = None,
        labs: Mapping[str, Earlier] | None = None,
        earlier: Screening | None = None,
    ) -> None:
        self.patient, self.day, self.life, self.screening = patient, day, life, screening
        self.offers, self.labs, self.earlier = offers or {}, labs or {}, earlier
        self.stored = screenings.entries_of(screening) if screening is not None else {}
        initial: dict[str, Any] = {"screened_on": day.isoformat(), "version": "0"}
        if screening is not None:
            initial |= {"screened_on": screening.screened_on.isoformat(), "version": screening.version}
            for answer in screening.answers.all():
                initial[answer.criterion] = answer.answer
                initial[f"evidence_{answer.criterion}"] = answer.evidence
                initial[f"on_{answer.criterion}"] = (
                    answer.evidence_on.isoformat() if answer.evidence_on else ""
                )
        for code, entry in self.stored.items():
            initial |= _as_typed(code, entry)
        super().__init__(data, initial=initial)
        for criterion in protocol.CRITERIA:
            self.fields[criterion.code] = text_field(_(criterion.label))
            self.fields[f"evidence_{criterion.code}"] = text_field(_("Evidence"))
            self.fields[f"on_{criterion.code}"] = text_field(_("Day of the evidence"))
        for fact in FACTS:
            for part in _PARTS:
                self.fields[f"{part}{fact.code}"] = text_field(_(fact.label))
            if fact.has_value:
                self.fields[f"day_{fact.code}"].label = _day_label(fact)

    # --- reading ----------------------------------------------------------------------------

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        day = self.read_day("screened_on", today=self.life.today, life=self.life)
        cleaned["screened_on"] = day
        self.day = day or self.day
        cleaned["facts"] = {fact.code: self._read_fact(fact) for fact in FACTS}
        self._ask_about_doubts(cleaned["facts"])
        cleaned["answers"] = {c.code: self._read(c) for c in protocol.CRITERIA}
        self.read_reason()
        return cleaned

    def _read(self, criterion: Criterion) -> AnswerEntry:
        text = self.posted(criterion.code) or Answer.UNKNOWN.value
        if text not in {answer.value for answer in Answer}:
            self.add_error(criterion.code, _("The answer is yes, no or unknown. Choose one of them."))
            text = Answer.UNKNOWN.value
        return AnswerEntry(
            Answer(text),
            self.read_text(f"evidence_{criterion.code}", most=EVIDENCE_LENGTH),
            self.read_day(f"on_{criterion.code}", today=self.life.today, life=self.life, needed=False),
        )

    def _read_fact(self, fact: Fact) -> FactEntry:
        """Read one fact; what is typed goes before what is offered and taken."""
        name, nothing = f"fact_{fact.code}", FactEntry(fact=fact.code)
        typed_in = (self.posted(name).strip(), self.posted(f"day_{fact.code}").strip())
        if not any(typed_in):
            return self._taken(fact) or nothing
        entry = self._fact_as_typed(fact, *typed_in)
        if entry is None:
            return nothing
        stored = self.stored.get(fact.code)
        if stored is not None and _same_but_for_source(stored, entry):
            return stored
        for breach in facts.breaches(entry, screened_on=self.day, life=self.life):
            self.add_error(name, said(breach))
        return nothing if name in self.errors else entry

    def _fact_as_typed(self, fact: Fact, text: str, day_text: str) -> FactEntry | None:
        """Read value and day, each with its own message; nothing where one of them cannot be read."""
        if fact.kind is Kind.SINCE and day_text.lower() in facts.NEVER:
            return FactEntry(fact=fact.code, value=facts.NO, typed_text="0")
        day, number = self._fact_day(fact, day_text), None
        if text and fact.has_value and fact.kind is not Kind.SIGN:
            try:
                number = typed.read_number_alone(text)
            except Unreadable as error:
                self.add_error(f"fact_{fact.code}", said(error))
        if any(f"{part}{fact.code}" in self.errors for part in ("fact_", "day_")):
            return None
        if not fact.has_value or not text:
            return FactEntry(fact=fact.code, happened_on=day)
        if fact.kind is Kind.SIGN:
            value = {"yes": facts.YES, "no": facts.NO}.get(text)
            if value is None:
                self.add_error(f"fact_{fact.code}", _("The answer is yes or no. Choose one of them."))
            return FactEntry(fact=fact.code, value=value, typed_text=text[:3], happened_on=day)
        if number is None:
            return None
        if fact.kind is not Kind.LAB:
            if number.comparator or number.unit:
                self.add_error(f"fact_{fact.code}", _("Type the number alone, without a sign or a unit."))
            return FactEntry(
                fact=fact.code,
                value=number.value,
                typed_text=number.text,
                typed_unit=fact.units[0] if fact.units else "",
                happened_on=day,
            )
        chosen = self.posted(f"unit_{fact.code}")
        unit = number.unit or (chosen if chosen in fact.units else fact.units[0])
        return FactEntry(
            fact=fact.code,
            value=number.value,
            comparator=number.comparator,
            typed_text=number.text,
            typed_unit=unit,
            happened_on=day,
        )

    def _fact_day(self, fact: Fact, text: str) -> date | None:
        if not text or not fact.has_day:
            return None
        try:
            return typed.read_date(text, today=self.life.today)
        except Unreadable as error:
            never = gettext("Type 0 if it never was.") if fact.kind is Kind.SINCE else ""
            self.add_error(f"day_{fact.code}", f"{said(error)} {never}".rstrip())
            return None

    def _taken(self, fact: Fact) -> FactEntry | None:
        """Return the offer somebody ticked, if it still is what the page offered."""
        ticked = self.posted(f"take_{fact.code}")
        offer = self.offers.get(fact.code)
        if not ticked:
            return None
        if offer is None and fact.code in self.stored:
            # offered before the day was changed to one whose screening has the fact already
            return self.stored[fact.code]
        if offer is None or ticked != _offer_key(offer[0]):
            self.add_error(
                f"fact_{fact.code}", _("The value offered has changed meanwhile. Look at it again.")
            )
            return None
        return offer[0]

    def _ask_about_doubts(self, entries: Mapping[str, FactEntry]) -> None:
        """Ask once more about a value that is hard to believe; what is stored was asked about."""
        fresh = [entry for code, entry in entries.items() if entry != self.stored.get(code)]
        self.doubts = facts.doubts(
            fresh,
            earlier=self.labs,
            is_liver_failure=self.patient.diagnosis == protocol.Diagnosis.LIVER_FAILURE,
        )
        for code in self.doubts:
            if self.posted(f"sure_{code}") != _sure_key(entries[code]):
                self.add_error(f"fact_{code}", _("Tick that the value is right, or correct it."))

    def kept(self) -> frozenset[str]:
        """Return the facts whose doubt was seen and whose value stays all the same."""
        return frozenset(self.doubts) if self.is_bound else frozenset()

    # --- judging ----------------------------------------------------------------------------

    def answers(self) -> Mapping[str, AnswerEntry]:
        """Return what is answered so far: as sent, or as stored."""
        if self.is_bound:
            self.is_valid()
            answers: Mapping[str, AnswerEntry] = self.cleaned_data["answers"]
            return answers
        if self.screening is None:
            return {}
        return {
            a.criterion: AnswerEntry(Answer(a.answer), a.evidence, a.evidence_on)
            for a in self.screening.answers.all()
        }

    def facts(self) -> Mapping[str, FactEntry]:
        """Return the facts so far: as sent, or as stored."""
        if self.is_bound:
            self.is_valid()
            entries: Mapping[str, FactEntry] = self.cleaned_data["facts"]
            return entries
        return self.stored

    def verdict(self) -> protocol.Verdict:
        """Judge what is answered so far."""
        return protocol.assess({code: entry.answer for code, entry in self.answers().items()})

    def findings(self) -> Mapping[str, Finding]:
        """Return what the data say, by the rule set of the screening."""
        given = self.facts()
        return eligibility.findings(
            screenings.subject_of(
                self.patient,
                self.day,
                given,
                rule_set=self.screening.rule_set if self.screening is not None else "",
            )
        )

    # --- showing ----------------------------------------------------------------------------

    def fact_sections(self) -> list[tuple[str, list[FactLine]]]:
        """Return the facts by section, with what was typed and what is offered."""
        given = self.facts()
        return [
            (gettext(title), [self._fact_line(fact, given) for fact in listed])
            for title, listed in facts.SECTIONS
        ]

    def _fact_line(self, fact: Fact, given: Mapping[str, FactEntry]) -> FactLine:
        code = fact.code
        unit = self.shown(f"unit_{code}")
        entry = given.get(code)
        label = gettext(fact.label)
        stored = self.stored.get(code)
        is_kept = self.is_bound and code not in self.offers and self.posted(f"take_{code}")
        shown = _as_typed(code, stored) if is_kept and stored is not None and entry == stored else {}
        line = FactLine(
            fact,
            shown.get(f"fact_{code}") or self.shown(f"fact_{code}"),
            unit if unit in fact.units else (fact.units[0] if fact.units else ""),
            shown.get(f"day_{code}") or self.shown(f"day_{code}"),
            errors=[named(label, str(error)) for error in self.errors.get(f"fact_{code}", [])],
            day_errors=[
                named(_day_label(fact) if fact.has_value else label, str(error))
                for error in self.errors.get(f"day_{code}", [])
            ],
            source=entry.source if entry is not None else "",
        )
        offer = self.offers.get(code)
        if offer is not None and not self.stored.get(code):
            line.offer, line.offer_source = fact_in_words(offer[0]), _source_in_words(*offer)
            line.offer_value = _offer_key(offer[0])
            line.is_taken = self.is_bound and self.posted(f"take_{code}") == line.offer_value
        doubt = getattr(self, "doubts", {}).get(code) if self.is_bound else None
        if doubt is not None and entry is not None:
            line.doubt, line.sure = doubt, _sure_key(entry)
            line.is_sure = self.posted(f"sure_{code}") == line.sure
        return line

    def questions(self) -> dict[CriterionKind, list[Question]]:
        """Return the criteria by kind, with what was sent and what the data say."""
        found = self.findings()
        past = {a.criterion: a for a in self.earlier.answers.all()} if self.earlier is not None else {}
        asked: dict[CriterionKind, list[Question]] = {kind: [] for kind in CriterionKind}
        for criterion in protocol.CRITERIA:
            code = criterion.code
            question = Question(
                criterion,
                self.shown(code),
                self.shown(f"evidence_{code}"),
                self.shown(f"on_{code}"),
                [
                    str(error)
                    for name in (code, f"evidence_{code}", f"on_{code}")
                    for error in self.errors.get(name, [])
                ],
                found.get(code),
            )
            if self.earlier is not None and code in past:
                question.earlier = EarlierAnswer(
                    self.earlier.screened_on,
                    gettext(protocol.ANSWER_LABELS[Answer(past[code].answer)]),
                    past[code].evidence,
                )
            asked[criterion.kind].append(question)
        return asked


def _day_label(fact: Fact) -> str:
    return gettext("Day of %(label)s") % {"label": gettext(fact.label)}


def _as_typed(code: str, entry: FactEntry) -> dict[str, str]:
    day = entry.happened_on.isoformat() if entry.happened_on else ""
    if facts.FACT_AT[code].kind is Kind.SINCE:
        return {f"day_{code}": day or ("0" if entry.value == 0 else "")}
    return {f"fact_{code}": entry.typed_text, f"unit_{code}": entry.typed_unit, f"day_{code}": day}


def _same_but_for_source(stored: FactEntry, entry: FactEntry) -> bool:
    def content(one: FactEntry) -> tuple[Decimal | None, str, str, date | None]:
        return one.value, one.comparator, one.typed_unit, one.happened_on

    return content(stored) == content(entry)


def _offer_key(entry: FactEntry) -> str:
    return "|".join(
        (
            entry.typed_text,
            entry.typed_unit,
            entry.happened_on.isoformat() if entry.happened_on else "",
            entry.source,
        )
    )


def _sure_key(entry: FactEntry) -> str:
    return f"{entry.typed_text}|{entry.typed_unit}|{entry.happened_on or ''}"


def fact_in_words(entry: FactEntry) -> str:
    """Write a fact as it was typed, with its unit and its day."""
    unit = "" if entry.typed_unit in ("", "ratio") else units.symbol(entry.typed_unit)
    kind = facts.FACT_AT[entry.fact].kind
    text = gettext(entry.typed_text) if kind is Kind.SIGN and entry.typed_text else entry.typed_text
    day = entry.happened_on.isoformat() if entry.happened_on else ""
    if kind in (Kind.DAY, Kind.SINCE):
        return day or gettext("never")
    return ", ".join(part for part in (f"{text} {unit}".strip(), day) if part)


def _source_in_words(entry: FactEntry, screened_on: date | None) -> str:
    if entry.source == "screening" and screened_on is not None:
        return gettext("screening of %(day)s") % {"day": screened_on.isoformat()}
    return gettext("labs")
