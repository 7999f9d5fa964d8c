"""When a person was here before: what "since you were last here" counts from.

Looks that follow each other within half an hour are one sitting. The clock of
the news is the last look of the sitting before, so that reading Today and coming
back to it does not make the news disappear.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from trial.models import LastLook, User

SITTING_ENDS_AFTER = timedelta(minutes=30)
"""A pause of so long begins a new sitting; our choice."""


def before(seen_at: datetime, before_at: datetime | None, now: datetime) -> datetime | None:
    """Return when the sitting before this one ended.

    Parameters
    ----------
    seen_at, before_at
        The last look, and the end of the sitting before that; None when there was none.
    now
        This look.

    Examples
    --------
    >>> from datetime import UTC
    >>> monday = datetime(2026, 3, 16, 9, 0, tzinfo=UTC)
    >>> before(monday, None, monday + timedelta(minutes=29)) is None
    True
    >>> before(monday, None, monday + timedelta(minutes=30)) == monday
    True
    """
    return seen_at if now - seen_at >= SITTING_ENDS_AFTER else before_at


def look(user: User, *, now: datetime | None = None) -> datetime | None:
    """Record that a person looks at Today, and return when the sitting before ended; None at the first."""
    moment = now or timezone.now()
    with transaction.atomic():
        row, is_first = LastLook.objects.select_for_update().get_or_create(
            user=user, defaults={"seen_at": moment}
        )
        if is_first:
            return None
        row.before_at = before(row.seen_at, row.before_at, moment)
        # another window may have looked a moment later
        row.seen_at = max(row.seen_at, moment)
        row.save(update_fields=["seen_at", "before_at"])
    return row.before_at


def last(user: User) -> datetime | None:
    """Return when the sitting before this one ended, without counting as a look."""
    return LastLook.objects.filter(user=user).values_list("before_at", flat=True).first()
