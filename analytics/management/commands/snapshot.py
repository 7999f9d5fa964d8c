"""``manage.py snapshot create|list|diff|verify``: freeze results, and see what became of them."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from analytics import selectors, snapshot_diff, snapshots
from analytics.models import Snapshot
from trial import audit
from trial.models import User
from trial.roles import Permission
from trial.shell_progress import Printer
from trial.study_command import StudyCommand


class Command(StudyCommand):
    help = "Freeze data and results under one SHA-256, list, verify or compare what was frozen."

    def add_arguments(self, parser: ArgumentParser) -> None:
        what = parser.add_subparsers(dest="what", required=True)
        create = what.add_parser("create", help="freeze the newest revision")
        create.add_argument("--title", required=True)
        create.add_argument("--purpose", required=True, help="what it is for")
        create.add_argument("--by", default="", help="the account; without it the software's own")
        create.add_argument(
            "--without-paper", action="store_true", help="leave out the paper's tables and figures"
        )
        what.add_parser("list", help="every snapshot, newest first")
        verify = what.add_parser("verify", help="compute all hashes again; exit status 1 if a byte differs")
        verify.add_argument("ids", nargs="*", type=int, metavar="ID", help="all when none is named")
        diff = what.add_parser("diff", help="what differs now, or in a second snapshot")
        diff.add_argument("id", type=int, metavar="ID")
        diff.add_argument("other", nargs="?", type=int, metavar="OTHER")

    def handle(self, *args: Any, what: str, **options: Any) -> None:
        {"create": self._create, "list": self._list, "verify": self._verify, "diff": self._diff}[what](
            options
        )

    def _create(self, options: dict[str, Any]) -> None:
        by = self._person(options["by"])
        if not options["title"].strip() or not options["purpose"].strip():
            raise CommandError("--title and --purpose say what it is and what it is for.", returncode=2)
        progress = Printer(self.stderr)
        try:
            kept = snapshots.freeze(
                title=options["title"][:120],
                purpose=options["purpose"][:500],
                by=by,
                paper=not options["without_paper"],
                progress=progress,
            )
        except snapshots.NotCurrent as error:
            raise CommandError(str(error)) from None
        progress.end()
        self.stdout.write(f"{kept.pk}\t{kept.sha256}\trevision {kept.revision}")

    def _person(self, username: str) -> User:
        if not username:
            return audit.service_account()
        found = User.objects.filter(username=username, is_active=True).first()
        if found is None or not found.may(Permission.FREEZE_RESULTS):
            raise CommandError(f"{username}: no active account that may freeze results.", returncode=2)
        return found

    def _list(self, options: dict[str, Any]) -> None:
        for each in snapshots.every():
            self.stdout.write(
                f"{each.pk}\t{each.made_at:%Y-%m-%d %H:%M}\trevision {each.revision}\t{each.sha256}\t{each.made_by}\t{each.title}"
            )

    def _verify(self, options: dict[str, Any]) -> None:
        chosen = [self._one(number) for number in options["ids"]] or list(Snapshot.objects.all())
        faulty = 0
        for each in chosen:
            found = snapshots.verify(each)
            faulty += not found.is_sound
            said = (
                "damaged: " + ", ".join(found.damaged)
                if found.damaged
                else f"{found.files} files, all as frozen"
            )
            self.stdout.write(f"{each.pk}\t{each.sha256}\t{said}")
        if faulty:
            raise CommandError(f"{faulty} of {len(chosen)} damaged", returncode=1)

    def _diff(self, options: dict[str, Any]) -> None:
        other = self._one(options["other"]) if options["other"] else None
        with selectors.one_moment():
            found = snapshot_diff.compare(self._one(options["id"]), other)
        counts = found["counts"]
        self.stdout.write(
            f"revision {found['from']} to {found['until']}: {counts['labs']} values, {counts['subjects']} subjects, "
            f"{counts['cells']} cells, {counts['crossed']} crossed 0.05"
        )
        for lab in found["labs"]:
            self.stdout.write(
                f"value\t{lab['subject']}\tW{lab['week']}\t{lab['analyte']}\t{lab['old']} -> {lab['new']}\tr{lab['revision']}\t{lab['who']}\t{lab['why']}"
            )
        for subject in found["subjects"]:
            fields = "; ".join(f"{name} {old} -> {new}" for name, old, new in subject["fields"])
            self.stdout.write(f"subject\t{subject['subject']}\t{subject['state']}\t{fields}")
        for cell in found["cells"]:
            mark = "crossed 0.05" if cell["crossed"] or cell["crossed_adjusted"] else ""
            name = " ".join(
                cell[part]
                for part in ("population", "measure", "group1", "group2", "analyte", "week_from", "week_to")
            )
            self.stdout.write(
                f"cell\t{name}\tp {cell['p_old']} -> {cell['p_new']}\tHolm {cell['holm_old']} -> {cell['holm_new']}\t{mark}"
            )

    def _one(self, number: int) -> Snapshot:
        try:
            return snapshots.by_id(number)
        except snapshots.Unknown as error:
            raise CommandError(str(error), returncode=2) from None
