"""What was written lately about the subjects a person looks after, in words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from django.utils import timezone
from django.utils.translation import ngettext

from trial import selectors as trail
from trial.models import User
from trial.story import Told

NEWEST = 8
MOST_TOLD = 2
"""Things of one revision that a line tells; its page tells the rest."""


@dataclass(frozen=True, slots=True)
class Line:
    """One revision in a sentence: whom it is about, what it did, and why."""

    number: int
    made_at: datetime
    who: str
    told: tuple[Told, ...]
    why: str
    zone: ZoneInfo

    @property
    def when(self) -> str:
        """The time of day for what was written today, else the day."""
        here = self.made_at.astimezone(self.zone)
        if here.date() == timezone.now().astimezone(self.zone).date():
            return f"{here:%H:%M}"
        return f"{here:%m-%d}"


def latest(user: User, *, most: int = NEWEST) -> list[Line]:
    """Return the newest revisions this person may see, with a constant number of queries."""
    eyes = trail.reader(user)
    newest = list(trail.revisions(eyes).select_related("actor").order_by("-number")[:most])
    return [
        Line(
            number=each.revision.number,
            made_at=each.revision.made_at,
            who=_who(each),
            told=each.told[:MOST_TOLD],
            why=each.why,
            zone=eyes.zone,
        )
        for each in trail.listed(eyes, newest)
        if each.revision.number is not None
    ]


def _who(each: trail.Listed) -> str:
    if each.subject:
        # "GE-031 registered" names the subject by itself
        return "" if each.told and each.told[0].text.startswith(each.subject) else each.subject
    if not each.subject_count:
        return ""
    return ngettext("%(n)s subject:", "%(n)s subjects:", each.subject_count) % {"n": each.subject_count}
