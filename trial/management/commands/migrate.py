"""Migrate as the role that owns the tables, then give the application's role its rights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser
from django.core.management.commands import migrate
from django.db import connections
from django.db.migrations.state import ProjectState
from pgtrigger.migrations import AddTrigger, RemoveTrigger

from trial import database_roles


class Command(migrate.Command):
    """Django's command, under the owner's role unless told otherwise."""

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.set_defaults(database="owner")

    def handle(self, *args: Any, **options: Any) -> None:
        with _triggers_build_no_models():
            super().handle(*args, **options)
        if options["database"] == "owner" and not (options["plan"] or options["check_unapplied"]):
            if database_roles.has_two_roles():
                database_roles.grant(connections["owner"], settings.DATABASES["default"]["USER"])
            elif options["verbosity"]:
                self.stdout.write(self.style.WARNING(database_roles.check_two_roles()[0].msg))


@contextmanager
def _triggers_build_no_models() -> Iterator[None]:
    """Leave the models of a migration as they are while its triggers come and go.

    No migration reads a trigger from a model, and building all models anew for each
    of two hundred triggers is a third of the time that a new database takes.
    """
    usual = {operation: operation.state_forwards for operation in (AddTrigger, RemoveTrigger)}

    def patched(state_forwards: Any) -> Any:
        def quick(self: Any, app_label: str, state: ProjectState) -> None:
            state.reload_model = lambda *_model, **_how: None  # type: ignore[method-assign]
            try:
                state_forwards(self, app_label, state)
            finally:
                del state.reload_model

        return quick

    for operation, state_forwards in usual.items():
        operation.state_forwards = patched(state_forwards)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for operation, state_forwards in usual.items():
            operation.state_forwards = state_forwards  # type: ignore[method-assign]
