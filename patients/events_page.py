"""The page "Events and treatment": what happened to a subject besides visits and infusions, and what was given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone
from django.utils.translation import gettext

from patients import ctcae_terms, selectors, serious, upstairs
from patients.actions.treatments import AT_ONCE, overlapping
from patients.models import AdverseEvent, Outcome, Patient, Treatment
from patients.serious import Clock, Infused
from trial.models import User


@dataclass(frozen=True, slots=True)
class EventLine:
    """One adverse event as the table shows it."""

    event: AdverseEvent
    since: str
    meaning: str
    clock: Clock | None

    @property
    def clock_said(self) -> str:
        return self.clock.sentence.said(gettext) if self.clock else ""


@dataclass(frozen=True, slots=True)
class RunningClock:
    """A serious event whose report is still to be made."""

    event: AdverseEvent
    clock: Clock

    @property
    def said(self) -> str:
        return self.clock.sentence.said(gettext)


@dataclass(frozen=True, slots=True)
class TreatmentLine:
    """One treatment as the table shows it; ``overlaps`` are others of the same agent at the same time."""

    treatment: Treatment
    overlaps: tuple[Treatment, ...]

    @property
    def goes_on(self) -> bool:
        """Whether it has no end and is not over by its nature."""
        return self.treatment.ended_on is None and self.treatment.kind not in AT_ONCE


@dataclass(frozen=True, slots=True)
class Question:
    """Something that does not fit together, in words, with the event it is about."""

    rule: str
    text: str
    event: int | None


@dataclass(frozen=True, slots=True)
class EventsPage:
    """Everything the page shows."""

    events: tuple[EventLine, ...]
    treatments: tuple[TreatmentLine, ...]
    outcomes: Sequence[Outcome]
    questions: tuple[Question, ...]
    end_of_observation: Outcome | None

    @property
    def clocks(self) -> tuple[EventLine, ...]:
        """The serious events whose report is still to be made, the most pressing first."""
        waiting = [line for line in self.events if line.clock is not None and line.clock.is_waiting]
        return tuple(sorted(waiting, key=lambda line: line.clock.due_at if line.clock else line.event.pk))


def page(patient: Patient, *, now: datetime | None = None) -> EventsPage:
    """Return what the page shows, in a constant number of queries."""
    moment = now or timezone.now()
    events, treatments = selectors.events(patient), selectors.treatments(patient)
    outcomes = selectors.outcomes(patient)
    infused = infusions_of(patient)
    return EventsPage(
        events=tuple(_event_line(event, infused, moment) for event in events),
        treatments=tuple(
            TreatmentLine(each, tuple(overlapping(each, treatments, but=each.pk))) for each in treatments
        ),
        outcomes=outcomes,
        questions=tuple(
            Question(found.rule, found.sentence.said(gettext), found.event)
            for found in serious.questions(events, outcomes)
        ),
        end_of_observation=selectors.end_of_observation(outcomes),
    )


def running_clocks(user: User, *, now: datetime | None = None) -> list[RunningClock]:
    """Return the clocks that run for a person's subjects, the most pressing first, in one query."""
    moment = now or timezone.now()
    running = (
        (event, serious.clock(event.aware_at, None, moment)) for event in selectors.serious_waiting(user)
    )
    return [RunningClock(event, clock) for event, clock in running if clock is not None]


def _event_line(event: AdverseEvent, infused: Sequence[Infused], now: datetime) -> EventLine:
    since = serious.since_last_infusion(event.onset_on, event.onset_at, infused)
    return EventLine(
        event,
        since.sentence.said(gettext),
        gettext(ctcae_terms.term_of(event.term).means(event.grade)),
        serious.clock(event.aware_at, event.reported_at, now) if event.serious else None,
    )


def infusions_of(patient: Patient) -> list[Infused]:
    """Return the valid infusions of a subject with their hours."""
    rows = upstairs.infusions().filter(patient=patient, voided_at__isnull=True)
    return [Infused(*row) for row in rows.values_list("number", "given_on", "started_at")]
