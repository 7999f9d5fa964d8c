"""Two roles: one owns the tables and migrates, the other runs the application.

The application may read the trail and nothing else: it writes there only
through the triggers, whose functions belong to the owner.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import checks
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

READ_ONLY = ("trial_revision", "trial_auditentry", "django_migrations")
"""Tables that the application reads and never writes."""

_RIGHTS = (
    "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC, {role}",
    "REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM PUBLIC, {role}",
    "REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC, {role}",
    "GRANT USAGE ON SCHEMA public TO {role}",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}",
    "GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {role}",
)


def has_two_roles() -> bool:
    """Return whether migrations and the application connect as different roles."""
    return bool(settings.DATABASES["owner"]["USER"] != settings.DATABASES["default"]["USER"])


def grant(owner: BaseDatabaseWrapper, application: str) -> None:
    """Give the application's role what it needs, and take from it what it must not have.

    Parameters
    ----------
    owner
        A connection of the role that owns the tables.
    application
        Name of the role that runs the application.
    """
    role = sql.Identifier(application)
    # one transaction: an application that runs meanwhile never lacks a right
    with transaction.atomic(using=owner.alias), owner.cursor() as cursor:
        for right in _RIGHTS:
            cursor.execute(sql.SQL(right).format(role=role))
        for table in READ_ONLY:
            cursor.execute(
                sql.SQL("REVOKE INSERT, UPDATE, DELETE ON {table} FROM {role}").format(
                    table=sql.Identifier(table), role=role
                )
            )
            cursor.execute("SELECT pg_get_serial_sequence(%s, 'id')", [table])
            (sequence,) = cursor.fetchone()
            cursor.execute(
                sql.SQL("REVOKE ALL ON SEQUENCE {sequence} FROM {role}").format(
                    sequence=sql.Identifier(*sequence.split(".")), role=role
                )
            )


def check_two_roles(**_options: Any) -> list[checks.CheckMessage]:
    """Warn when the application could change its own trail."""
    if has_two_roles():
        return []
    return [
        checks.Warning(
            "one database role both owns the tables and runs the application, so the application could change the trail",
            hint="Create a second role and set DATABASE_OWNER_URL for migrations, DATABASE_URL for everything else.",
            id="trial.W001",
        )
    ]
