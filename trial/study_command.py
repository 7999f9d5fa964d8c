"""What all commands on the study share: a database of another release is named with its remedy."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import ProgrammingError, connection

from trial.checks import waiting_migrations

NOT_MIGRATED = 2


class StudyCommand(BaseCommand):
    """A command that reads or writes the study."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run the command; where a table is missing because migrations wait, say so."""
        try:
            return super().execute(*args, **options)
        except ProgrammingError as error:
            if not waiting_migrations(connection):
                raise
            raise CommandError(
                "The database lacks tables of this release. Run manage.py migrate, then this again.",
                returncode=NOT_MIGRATED,
            ) from error
