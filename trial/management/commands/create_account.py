"""Create an account, and its site if there is none yet."""

from __future__ import annotations

import secrets
import sys
from getpass import getpass
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser
from django.db import transaction

from trial import actions, audit
from trial.models import Site, User
from trial.roles import Role
from trial.study_command import StudyCommand

SOURCE = "manage.py create_account"


class Command(StudyCommand):
    """The way in for the first account admin; later ones can be named with ``--by``."""

    help = (
        "Create an account; at a terminal its password is asked for, otherwise one is made and printed once."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--role", required=True, choices=[role.value for role in Role])
        parser.add_argument("--site", default="", help="code of the site of a coordinator or hepatologist")
        parser.add_argument(
            "--site-name", default="", help="creates the site under this name if its code is new"
        )
        parser.add_argument(
            "--time-zone", default=settings.TIME_ZONE, help="of a new site (default: %(default)s)"
        )
        parser.add_argument("--first-name", default="")
        parser.add_argument("--last-name", default="")
        parser.add_argument("--by", default=audit.SERVICE_ACCOUNT, help="account admin who creates it")

    def handle(self, *args: Any, **options: Any) -> None:
        by = User.objects.filter(username=options["by"]).first()
        if by is None:
            raise CommandError(f"--by {options['by']}: there is no such account")
        password = _asked_for() if sys.stdin.isatty() else secrets.token_urlsafe(15)
        try:
            with transaction.atomic():
                user = actions.create_account(
                    by=by,
                    username=options["username"],
                    role=Role(options["role"]),
                    site=_site(by, options),
                    password=password,
                    first_name=options["first_name"],
                    last_name=options["last_name"],
                    source=SOURCE,
                )
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        self.stdout.write(
            f"{user.username}: {user.get_role_display()}{f', {user.site}' if user.site else ''}"
        )
        if not sys.stdin.isatty():
            self.stdout.write(f"Password, shown only now: {password}")


def _site(by: User, options: dict[str, Any]) -> Site | None:
    code, name = options["site"], options["site_name"]
    if not code:
        return None
    found = Site.objects.filter(code=code).first()
    if found is not None or not name:
        if found is None:
            raise CommandError(f"--site {code}: there is no such site. Give --site-name to create it.")
        return found
    return actions.open_site(by=by, code=code, name=name, time_zone=options["time_zone"], source=SOURCE)


def _asked_for() -> str:
    password = getpass("Password: ")
    if password != getpass("Again: "):
        raise CommandError("The two passwords differ.")
    return password
