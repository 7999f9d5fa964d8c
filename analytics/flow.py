"""Who came how far: the flow of subjects from registration to the last visit.

Pure. Every box says by a rule of its own who belongs to it, so that the arithmetic is
a check and not a construction: a subject in two boxes, or in none, is found and named.

References
----------
E. von Elm et al., The STROBE statement, Lancet 370 (2007) 1453-1457, item 13.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from patients import schedule
from patients.schedule import Facts, State
from trial import protocol
from trial.protocol import Course, CriterionKind, OutcomeKind, VerdictState


def _(message: str) -> str:
    """Mark a sentence for translation; pages translate it when they show it."""
    return message


class Part(StrEnum):
    """What kind of place a box is."""

    MAIN = "main"
    OUT = "out"
    GROUP = "group"
    WEEK = "week"


ENROLLED, SCREENING, FAILED = "enrolled", "screening", "screen_failed"

ENDED_EARLY: Mapping[OutcomeKind, str] = {
    **protocol.OUTCOME_LABELS,
    OutcomeKind.COMPLETED: _("completed before"),
}


@dataclass(frozen=True, slots=True)
class FlowSubject:
    """What the flow has to know of one subject.

    Parameters
    ----------
    patient, subject_id
        Primary key and code.
    diagnosis
        Liver failure or cirrhosis.
    status
        ``screening``, ``enrolled`` or ``screen_failed``, as the ward keeps it.
    verdict
        Of the newest valid screening; empty without one.
    against
        Codes of the criteria that spoke against the subject, in the protocol's order.
    given
        Valid infusions.
    ended_by
        The outcome that ended follow-up first.
    weeks
        How the subject stands at each week (:func:`standing`).
    """

    patient: int
    subject_id: str
    diagnosis: str
    status: str
    verdict: str
    against: tuple[str, ...]
    given: int
    ended_by: OutcomeKind | None
    weeks: Mapping[int, frozenset[str]]

    @property
    def is_treated(self) -> bool:
        return self.given > 0

    @property
    def group(self) -> str:
        return protocol.group_of(self.diagnosis, self.given) if self.is_treated else ""


@dataclass(frozen=True, slots=True)
class Box:
    """A place of the diagram and everybody in it.

    ``code`` is its address, ``words`` its label with ``named`` filled in, ``parent``
    the box whose subjects it divides; ``week`` and ``group`` place a follow-up box.
    """

    code: str
    words: str
    part: Part
    parent: str = ""
    named: Mapping[str, str] = field(default_factory=dict)
    week: int | None = None
    group: str = ""
    patients: tuple[int, ...] = ()

    @property
    def n(self) -> int:
        return len(self.patients)


TWICE = _("{subject} is in two boxes: “{first}” and “{second}”")
NOWHERE = _("{subject} is in “{parent}” and in none of the boxes below it")
STRANGER = _("{subject} is in “{box}” and not in “{parent}” above it")


@dataclass(frozen=True, slots=True)
class Problem:
    """A subject whose records contradict each other: a sentence with gaps, what fills them, and who."""

    words: str
    patient: int
    subject_id: str
    boxes: tuple[str, ...]


@dataclass(frozen=True)
class Flow:
    """The boxes in the order of the diagram, and what does not add up."""

    boxes: tuple[Box, ...]
    problems: tuple[Problem, ...]

    def __getitem__(self, code: str) -> Box:
        return self._at[code]

    @property
    def _at(self) -> Mapping[str, Box]:
        return {box.code: box for box in self.boxes}

    def below(self, code: str) -> tuple[Box, ...]:
        """Return the boxes that divide a box."""
        return tuple(box for box in self.boxes if box.parent == code)


Rule = Callable[[FlowSubject], bool]


def _failed(who: FlowSubject) -> bool:
    return who.status == FAILED or who.verdict == VerdictState.NOT_ELIGIBLE


def _first_reason(code: str) -> Rule:
    return lambda who: _failed(who) and (who.against[0] if who.against else "") == code


def _before_treatment(kind: OutcomeKind | None) -> Rule:
    return lambda who: who.status == ENROLLED and not who.is_treated and who.ended_by is kind


def _in_group(code: str) -> Rule:
    return lambda who: who.group == code


def _with_diagnosis(diagnosis: str) -> Rule:
    return lambda who: who.is_treated and who.diagnosis == diagnosis


def _at_week(group: str, week: int, state: str) -> Rule:
    return lambda who: who.group == group and state in who.weeks.get(week, ())


SEEN, MISSED, NOT_YET = "seen", "missed", "not_yet"
WEEK_STATES: Mapping[str, str] = {
    SEEN: _("seen"),
    MISSED: _("missed"),
    NOT_YET: _("not yet"),
    **{kind.value: words for kind, words in ENDED_EARLY.items()},
}


KIND_WORDS: Mapping[CriterionKind, str] = {
    CriterionKind.INCLUSION: _("inclusion"),
    CriterionKind.EXCLUSION: _("exclusion"),
}
GROUP_WORDS: Mapping[Course, str] = {
    Course.PROLONGED: _("{group}: more than {most}"),
    Course.STANDARD: _("{group}: {most} or fewer"),
}
Outcomes = Sequence[tuple[OutcomeKind, date]]


def ended_by(outcomes: Outcomes) -> OutcomeKind | None:
    """Return the outcome that came first."""
    first = min(outcomes, key=lambda outcome: (outcome[1], outcome[0].value), default=None)
    return first[0] if first else None


def standing(facts: Facts, outcomes: Outcomes, today: date) -> Mapping[int, frozenset[str]]:
    """Return how a subject stands at each week; two states mean that the records disagree.

    Seen and dead on an earlier day, for example: such a visit cannot have taken place.
    """
    died_on = min((on for kind, on in outcomes if kind is OutcomeKind.DEATH), default=date.max)
    left = ended_by(outcomes)
    found = {}
    for visit in schedule.visits(facts, today):
        states = {NOT_YET}
        if visit.number in facts.seen:
            states = {SEEN}
            if visit.done_on is not None and died_on < visit.done_on:
                states.add(OutcomeKind.DEATH.value)
        elif visit.state is State.MISSED or (visit.state not in schedule.WAITING and left is None):
            states = {MISSED}
        elif visit.state not in schedule.WAITING and left is not None:
            states = {left.value}
        found[visit.number] = frozenset(states)
    return found


def _rules() -> list[tuple[Box, Rule]]:
    """Return every box with the rule that says who is in it, in the order of the diagram."""
    rules: list[tuple[Box, Rule]] = [
        (Box("registered", _("registered"), Part.MAIN), lambda who: True),
        (Box("not_eligible", _("not eligible"), Part.OUT, "registered"), _failed),
        (
            Box("screening", _("in screening"), Part.OUT, "registered"),
            lambda who: who.status == SCREENING and not _failed(who),
        ),
        (
            Box("enrolled", _("enrolled"), Part.MAIN, "registered"),
            lambda who: who.status == ENROLLED or who.is_treated,
        ),
    ]
    for criterion in protocol.CRITERIA:
        box = Box(f"criterion-{criterion.code}", "{kind} {letter}: {label}", Part.OUT, "not_eligible",
                  {"kind": KIND_WORDS[criterion.kind], "letter": criterion.letter, "label": criterion.label})  # fmt: skip
        rules.append((box, _first_reason(criterion.code)))
    rules.append(
        (Box("criterion-none", _("no criterion recorded"), Part.OUT, "not_eligible"), _first_reason(""))
    )
    rules.append(
        (
            Box("untreated", _("no infusion"), Part.OUT, "enrolled"),
            lambda who: who.status == ENROLLED and not who.is_treated,
        )
    )
    rules.append(
        (Box("treated", _("at least one infusion"), Part.MAIN, "enrolled"), lambda who: who.is_treated)
    )
    rules.append(
        (Box("untreated-waiting", _("waiting for the first"), Part.OUT, "untreated"), _before_treatment(None))
    )
    for kind, words in ENDED_EARLY.items():
        rules.append((Box(f"untreated-{kind.value}", words, Part.OUT, "untreated"), _before_treatment(kind)))
    for diagnosis in protocol.Diagnosis:
        code = protocol.DIAGNOSIS_CODES[diagnosis]
        label = protocol.DIAGNOSIS_LABELS[diagnosis]
        rules.append(
            (Box(code, "{label}", Part.MAIN, "treated", {"label": label}), _with_diagnosis(diagnosis))
        )
        rules += [
            (
                Box(
                    group,
                    GROUP_WORDS[protocol.GROUPS[protocol.GROUP_CODES.index(group)].course],
                    Part.GROUP,
                    code,
                    {"group": group, "most": str(protocol.PROLONGED_FROM - 1)},
                    group=group,
                ),
                _in_group(group),
            )
            for group in protocol.STRATA[code]
        ]
    for group in protocol.GROUP_CODES:
        for week in protocol.WEEKS:
            for state, words in WEEK_STATES.items():
                box = Box(f"{group}-{week}-{state}", words, Part.WEEK, group, week=week, group=group)
                rules.append((box, _at_week(group, week, state)))
    return rules


def empty_boxes() -> tuple[Box, ...]:
    """Return every box without its subjects, in the order of the diagram."""
    return tuple(box for box, _rule in _rules())


BOXES: tuple[str, ...] = tuple(box.code for box in empty_boxes())
"""The address of every box, in the order of the diagram."""


def flow(subjects: Iterable[FlowSubject]) -> Flow:
    """Put everybody into their boxes and check that the numbers add up.

    Parameters
    ----------
    subjects
        Everybody who was ever registered and not merged into another code.

    Returns
    -------
    Flow
        All boxes, empty ones included, and every subject who is in two boxes that
        exclude each other, or in a box and in none of those that divide it.
    """
    everybody = list(subjects)
    boxes = [
        Box(
            box.code, box.words, box.part, box.parent, box.named, box.week, box.group,
            tuple(who.patient for who in everybody if rule(who)),
        )
        for box, rule in _rules()
    ]  # fmt: skip
    return Flow(tuple(boxes), tuple(_problems(boxes, {who.patient: who.subject_id for who in everybody})))


def _problems(boxes: Sequence[Box], codes: Mapping[int, str]) -> Iterable[Problem]:
    parents = {box.code: box for box in boxes}
    families: dict[tuple[str, int | None], list[Box]] = {}
    for box in boxes:
        if box.parent:
            families.setdefault((box.parent, box.week), []).append(box)
    for (code, _week), family in families.items():
        parent = parents[code]
        members = {box.code: frozenset(box.patients) for box in family}
        held = frozenset(parent.patients)
        for patient in sorted(held.union(*members.values()), key=codes.__getitem__):
            inside = [box.code for box in family if patient in members[box.code]]
            if len(inside) > 1:
                yield Problem(TWICE, patient, codes[patient], tuple(inside[:2]))
            elif patient in held and not inside:
                yield Problem(NOWHERE, patient, codes[patient], (code,))
            elif patient not in held:
                yield Problem(STRANGER, patient, codes[patient], (inside[0], code))
