"""Who writes, and why: every change of study data happens inside ``audit.revision``.

>>> with audit.revision(by=user, reason="typing slip corrected", source="visit entry") as written:
...     ...                        # any number of writes, one revision
>>> written.number                 # known once the transaction is committed
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import connection, transaction

from trial.models import Revision, User

SERVICE_ACCOUNT = "cordline"
_SETTINGS = ("cordline.actor", "cordline.reason", "cordline.source", "cordline.request_id")


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
    """
    written = Written()
    with transaction.atomic():
        before = _read()
        if before[0] and before[0] != str(by.pk):
            raise AnotherActor(f"a revision of user {before[0]} is open; {by.pk} may not write inside it")
        wanted = (str(by.pk), reason or before[1], source or before[2], request_id or before[3])
        _write(wanted)
        yield written
        # an error leaves through the savepoint, which restores the settings by itself
        written.id = _current()
        _write(before)
    # nested contexts share the outer revision; its number comes with the outer commit


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


def _read() -> tuple[str, str, str, str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT " + ", ".join(f"coalesce(current_setting('{name}', true), '')" for name in _SETTINGS))
        actor, reason, source, request_id = cursor.fetchone()
        return actor, reason, source, request_id


def _write(values: tuple[str, str, str, str]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT " + ", ".join(f"set_config('{name}', %s, true)" for name in _SETTINGS), values)


def _current() -> int | None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM trial_revision WHERE number IS NULL AND txid = pg_current_xact_id()::text::bigint"
            " AND id = nullif(current_setting('cordline.revision', true), '')::bigint"
        )
        row = cursor.fetchone()
        return int(row[0]) if row else None
