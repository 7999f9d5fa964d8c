"""Which results were drawn soon after plasma, and so say little about the liver.

Pure. A moment of which only the day is known is a span; what depends on where in
the span it lay is said to be open, never guessed. Moments are UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from trial import vocabulary
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


LAG = timedelta(hours=vocabulary.PLASMA_HOURS)


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment, or the day within which it lay; ``label`` is how the site writes it."""

    earliest: datetime
    latest: datetime
    label: str

    @property
    def is_exact(self) -> bool:
        """Whether the hour is known."""
        return self.earliest == self.latest


@dataclass(frozen=True, slots=True)
class Given:
    """One time that plasma was given, or exchanged, from its start to its end."""

    kind: str
    start: Moment
    end: Moment

    @property
    def label(self) -> str:
        """What it was, to be translated."""
        return _LABELS[self.kind]


_LABELS = {code: term.label for code, term in vocabulary.by_code(vocabulary.TREATMENTS).items()}


@dataclass(frozen=True, slots=True)
class AfterPlasma:
    """A draw soon after plasma.

    Parameters
    ----------
    given
        The plasma, the last one before the draw.
    is_certain
        Whether it was within the hours for sure; False when only days are known
        and they leave it open.
    hours
        Whole hours from the end of the plasma to the draw; None when one of the two is a day.
    """

    given: Given
    is_certain: bool
    hours: int | None = None

    @property
    def sentence(self) -> Sentence:
        """Say it in words."""
        # the name of the treatment is part of the sentence, so that each language can inflect it
        is_exchange = self.given.kind == "plasma_exchange"
        values = {"when": self.given.start.label, "hours": self.hours, "most": vocabulary.PLASMA_HOURS}
        if not self.is_certain:
            return Sentence(
                _(
                    "perhaps within %(most)s h after the plasma exchange of %(when)s: cannot tell without the hours"
                )
                if is_exchange
                else _(
                    "perhaps within %(most)s h after the plasma of %(when)s: cannot tell without the hours"
                ),
                values,
            )
        if self.hours is None:
            return Sentence(
                _("within %(most)s h after the plasma exchange of %(when)s")
                if is_exchange
                else _("within %(most)s h after the plasma of %(when)s"),
                values,
            )
        return Sentence(
            _("%(hours)s h after the plasma exchange of %(when)s")
            if is_exchange
            else _("%(hours)s h after the plasma of %(when)s"),
            values,
        )


def after_plasma(draw: Moment | None, given: Sequence[Given]) -> AfterPlasma | None:
    """Return the plasma a draw came soon after, or None.

    A draw counts from the start of the plasma until exactly the hours of the
    protocol after its end. Of several, a certain one comes before an open one,
    and the last before the others.
    """
    if draw is None:
        return None
    found = [after for one in given if (after := _after(draw, one)) is not None]
    return max(found, key=lambda after: (after.is_certain, after.given.end.latest), default=None)


def _after(draw: Moment, one: Given) -> AfterPlasma | None:
    if draw.latest < one.start.earliest or draw.earliest > one.end.latest + LAG:
        return None
    is_certain = draw.earliest >= one.start.latest and draw.latest <= one.end.earliest + LAG
    hours = None
    if draw.is_exact and one.end.is_exact:
        hours = max(draw.earliest - one.end.earliest, timedelta()) // timedelta(hours=1)
    return AfterPlasma(one, is_certain, hours if is_certain else None)
