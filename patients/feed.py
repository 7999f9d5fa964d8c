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
from trial.templatetags.cordline import count as shown

NEWEST, MOST_COUNTED = 8, 1000
QUERIES, MERGES = "queries", "merge"
"""Sources of revisions that say by themselves why they were made, or whom they are about."""
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


@dataclass(frozen=True, slots=True)
class News:
    """What was written since a person was last here; everything when they never were.

    ``count`` stops at ``MOST_COUNTED``.
    """

    since: datetime | None
    lines: tuple[Line, ...]
    count: int
    zone: ZoneInfo

    @property
    def count_words(self) -> str:
        """How many revisions there are; ``1,000+`` where counting stopped."""
        return f"{shown(self.count)}{'+' if self.count == MOST_COUNTED else ''}"

    @property
    def since_words(self) -> str:
        """The moment the news begins, at the reader's site: ``03-18 17:20``."""
        return f"{self.since.astimezone(self.zone):%m-%d %H:%M}" if self.since else ""


def news(user: User, since: datetime | None) -> News:
    """Return what this person may see of what was written since a moment, in words."""
    eyes = trail.reader(user)
    count = 0
    if since is not None:
        newer = trail.revisions(eyes).filter(made_at__gt=since)
        count = newer.order_by()[:MOST_COUNTED].count()
    lines = latest(user, since=since) if since is None or count else []
    return News(since, tuple(lines), count, eyes.zone)


def latest(user: User, *, most: int = NEWEST, since: datetime | None = None) -> list[Line]:
    """Return the newest revisions this person may see, with a constant number of queries."""
    eyes = trail.reader(user)
    found = trail.revisions(eyes)
    if since is not None:
        found = found.filter(made_at__gt=since)
    newest = list(found.select_related("actor").order_by("-number")[:most])
    return [
        Line(
            number=each.revision.number,
            made_at=each.revision.made_at,
            who=_who(each),
            told=each.told[:MOST_TOLD],
            # the steps of a query say themselves what they are
            why="" if each.revision.source == QUERIES else each.why,
            zone=eyes.zone,
        )
        for each in trail.listed(eyes, newest)
        if each.revision.number is not None
    ]


def _who(each: trail.Listed) -> str:
    if each.subject:
        # "GE-031 registered" names the subject by itself
        return "" if each.told and each.told[0].text.startswith(each.subject) else each.subject
    if not each.subject_count or each.revision.source == MERGES:
        return ""
    return ngettext("%(n)s subject:", "%(n)s subjects:", each.subject_count) % {"n": each.subject_count}
