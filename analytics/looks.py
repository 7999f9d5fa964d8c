"""How often results were looked at: once per person, page and revision."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Min
from django.utils import timezone

from analytics.models import Look
from trial.models import User


@dataclass(frozen=True, slots=True)
class Looks:
    """How often a page of results was seen, by how many people, and since when."""

    times: int
    people: int
    since: datetime | None


def remember(user: User, page: str, revision: int) -> None:
    """Remember that ``user`` saw ``page`` as of ``revision`` of the data.

    Must not be called inside a read-only snapshot (:func:`analytics.selectors.one_moment`).
    """
    Look.objects.bulk_create(
        [Look(user=user, page=page, revision=revision, seen_at=timezone.now())], ignore_conflicts=True
    )


def of(page: str) -> Looks:
    """Count the looks at one page."""
    found = Look.objects.filter(page=page).aggregate(
        times=Count("id"), people=Count("user", distinct=True), since=Min("seen_at")
    )
    return Looks(found["times"], found["people"], found["since"])
