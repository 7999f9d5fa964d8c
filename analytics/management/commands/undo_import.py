"""``manage.py undo_import REVISION --by ACCOUNT --reason WHY``."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from patients.actions.imports import undo_import
from trial.models import Revision, User
from trial.refusals import Refused
from trial.roles import Permission
from trial.study_command import StudyCommand


class Command(StudyCommand):
    help = "Take a whole import back, as one revision. The file can be imported again after it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("revision", type=int, help="the number of the import's revision")
        parser.add_argument("--by", required=True, help="the account that takes it back")
        parser.add_argument("--reason", required=True, help="why; stands in the trail")

    def handle(self, *args: Any, **options: Any) -> None:
        revision = Revision.objects.filter(number=options["revision"]).first()
        if revision is None:
            raise CommandError(f"There is no revision {options['revision']}.", returncode=2)
        by = User.objects.filter(username=options["by"], is_active=True).first()
        if by is None or not by.may(Permission.IMPORT_FILES):
            raise CommandError(f"There is no account {options['by']} that may import files.", returncode=2)
        try:
            undone = undo_import(revision=revision, by=by, reason=options["reason"])
        except Refused as refusal:
            told = "\n".join(f"  {problem.sentence} {problem.remedy}" for problem in refusal.problems)
            raise CommandError(f"Nothing was undone.\n{told}", returncode=1) from None
        self.stdout.write(
            f"Revision {revision.number} undone in revision {undone.number}: {undone.restored} records as before, "
            f"{undone.voided} voided, {undone.deleted} deleted, {undone.brought_back} brought back."
        )
