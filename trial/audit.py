"""Who writes, and why: every change of study data happens inside ``audit.revision``.

>>> with audit.revision(by=user, reason="typing slip corrected", source="visit entry") as written:
...     ...                        # any number of writes, one revision
>>> written.number                 # known once the transaction is committed
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction

from trial import locks
from trial.failpoints import passing
from trial.models import Revision, User

SERVICE_ACCOUNT = "cordline"
# what is said in a nested revision counts there; what is not said is taken over from the outer one
_BEGIN = """
WITH before AS MATERIALIZED (
    SELECT coalesce(current_setting('cordline.actor', true), '') AS actor,
        coalesce(current_setting('cordline.reason', true), '') AS reason,
        coalesce(current_setting('cordline.source', true), '') AS source,
        coalesce(current_setting('cordline.request_id', true), '') AS request_id,
        coalesce(current_setting('cordline.wrote', true), '') AS wrote
)
SELECT actor, reason, source, request_id, wrote,
    set_config('cordline.actor', %s, true),
    set_config('cordline.reason', coalesce(nullif(%s, ''), reason), true),
    set_config('cordline.source', coalesce(nullif(%s, ''), source), true),
    set_config('cordline.request_id', coalesce(nullif(%s, ''), request_id), true),
    set_config('cordline.wrote', '', true)
FROM before
"""
_END = """
WITH hint AS MATERIALIZED (SELECT coalesce(current_setting('cordline.wrote', true), '') AS wrote)
SELECT (
    SELECT id FROM trial_revision
    WHERE id = CASE WHEN wrote ~ '^[0-9]{1,18}$' THEN wrote::bigint END
        AND txid = pg_current_xact_id_if_assigned()::text::bigint
), set_config('cordline.actor', %s, true), set_config('cordline.reason', %s, true),
    set_config('cordline.source', %s, true), set_config('cordline.request_id', %s, true),
    set_config('cordline.wrote', coalesce(nullif(wrote, ''), %s), true)
FROM hint
"""


class AnotherActor(RuntimeError):
    """A write on behalf of one person was nested in a write of another."""


@dataclass(slots=True)
class Written:
    """What a revision context wrote; ``id`` is None when nothing changed."""

    id: int | None = None

    @property
    def number(self) -> int | None:
        """The revision's number; None before the commit or when nothing changed."""
        if self.id is None:
            return None
        return Revision.objects.values_list("number", flat=True).get(pk=self.id)


def service_account() -> User:
    """Return the account under which the software itself writes."""
    return User.objects.get(username=SERVICE_ACCOUNT)


@contextmanager
def revision(*, by: User, reason: str = "", source: str = "", request_id: str = "") -> Iterator[Written]:
    """Open a transaction whose writes form one revision.

    Parameters
    ----------
    by
        The person who writes; the service account for the software itself.
    reason
        Why; the database refuses a change or a deletion without one.
    source
        Where it came from: a screen, a file, a command.
    request_id
        Ties the revision to the web request or the job that made it.

    Raises
    ------
    AnotherActor
        If an enclosing revision belongs to somebody else.
    Refused
        If the database refuses a write to something locked.
    """
    if by.pk is None:
        raise ValueError("a revision needs a person whose account is saved")
    written = Written()
    with _refused_when_locked(), transaction.atomic():
        before = _begin(str(by.pk), reason.strip(), source, request_id)
        if before[0] not in ("", str(by.pk)):
            raise AnotherActor(f"a revision of user {before[0]} is open; {by.pk} may not write inside it")
        passing("record_before_write")
        yield written
        passing("record_after_write")
        # an error leaves through the savepoint, which restores the settings by itself
        written.id = _end(before)
        passing("record_before_commit")
    # nested contexts share the outer revision; its number comes with the outer commit
    if not connection.in_atomic_block:
        passing("record_after_commit")


@contextmanager
def _refused_when_locked() -> Iterator[None]:
    """Say what the database refused because of a lock the way every form can show it."""
    try:
        yield
    except (IntegrityError, ValidationError) as error:
        # an action that knows its own constraints may have made something else of it
        said = error if isinstance(error, IntegrityError) else error.__cause__
        refusal = locks.refusal_of(said) if isinstance(said, IntegrityError) else None
        if refusal is None:
            raise
        raise refusal from said


def settle() -> None:
    """Give the open revision its number now. For tests, which never commit."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")


def latest_revision() -> int:
    """Return the number of the newest revision, 0 when there is none."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(number), 0) FROM trial_revision")
        return int(cursor.fetchone()[0])


def _begin(*values: str) -> tuple[str, ...]:
    """Say who writes and why from here on, and return what stood there before; one round trip."""
    with connection.cursor() as cursor:
        cursor.execute(_BEGIN, values)
        return tuple(cursor.fetchone()[:5])


def _end(before: tuple[str, ...]) -> int | None:
    """Return the revision that was written, if any, and put back what stood there before."""
    with connection.cursor() as cursor:
        cursor.execute(_END, before)
        written = cursor.fetchone()[0]
        return None if written is None else int(written)
