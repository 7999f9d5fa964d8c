"""What to know about a draw before reading its values: soon after plasma, or after the end of observation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from django.utils.translation import gettext as _

from patients import selectors
from patients.models import LabResult, Outcome, Patient, Visit
from patients.plasma import AfterPlasma, after_plasma
from trial.protocol import OutcomeKind


@dataclass(frozen=True, slots=True)
class DrawMark:
    """The marks of one draw; both may be absent."""

    after: AfterPlasma | None = None
    left_out: str = ""

    @property
    def plasma(self) -> str:
        """How soon after plasma it was drawn, in words; empty when it was not."""
        return self.after.sentence.said(_) if self.after else ""


def draw_marks(
    patient: Patient, visits: Iterable[Visit], results: Iterable[LabResult]
) -> Mapping[int, DrawMark]:
    """Return the marks of each draw by the key of its visit, in two queries.

    The hour of a draw is the earliest of its results; without one its day counts.
    """
    hours: dict[int, datetime] = {}
    for result in results:
        if result.sampled_at is not None:
            hours[result.visit_id] = min(result.sampled_at, hours.get(result.visit_id, result.sampled_at))
    given = selectors.plasma_hours(patient)
    end = selectors.end_of_observation(selectors.outcomes(patient))
    return {
        visit.pk: DrawMark(
            after_plasma(selectors.drawn_at(patient.site, visit, hours.get(visit.pk)), given)
            if given
            else None,
            left_out(visit.visited_on, end),
        )
        for visit in visits
    }


def left_out(drawn_on: date | None, end: Outcome | None) -> str:
    """Return why the analysis does not look at what was drawn on a day; empty when it does."""
    if end is None or drawn_on is None or drawn_on < end.happened_on:
        return ""
    if end.kind == OutcomeKind.TRANSPLANT:
        return _("after transplant, not analysed")
    return _("on the day of death or later, not analysed")
