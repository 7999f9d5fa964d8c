"""Migrate as the role that owns the tables, then give the application's role its rights."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser
from django.core.management.commands import migrate
from django.db import connections

from trial import database_roles


class Command(migrate.Command):
    """Django's command, under the owner's role unless told otherwise."""

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.set_defaults(database="owner")

    def handle(self, *args: Any, **options: Any) -> None:
        super().handle(*args, **options)
        if options["database"] == "owner" and not (options["plan"] or options["check_unapplied"]):
            if database_roles.has_two_roles():
                database_roles.grant(connections["owner"], settings.DATABASES["default"]["USER"])
            elif options["verbosity"]:
                self.stdout.write(self.style.WARNING(database_roles.check_two_roles()[0].msg))
