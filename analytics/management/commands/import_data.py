"""``manage.py import_data FILE --kind subjects|screening|infusions|visits|events``."""

from __future__ import annotations

import json
import os
import sys
from argparse import ArgumentParser
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from analytics.imports import KINDS, context_for, default_reason
from patients.imports import report
from patients.imports.importing import Busy, Counts, Import, Outcome, opened
from patients.imports.options import Options, read_options
from patients.imports.problems import FileRefused
from patients.imports.visits import Visits
from patients.models import Laboratory
from trial import audit
from trial.models import User
from trial.shell_progress import Printer
from trial.study_command import StudyCommand

FILE_REFUSED = 2
STOPPED = 130
"""What a shell says of a program that Ctrl+C ended."""
_SHOWN_ON_TERMINAL = 20


class Command(StudyCommand):
    help = (
        "Import a CSV or Excel file. Exit status 0: everything is in the study; "
        "1: some rows are not; 2: the file was refused."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--kind", required=True, choices=list(KINDS))
        parser.add_argument(
            "--mapping", type=Path, help="JSON: columns, units, encoding, dates ... of the file"
        )
        parser.add_argument("--encoding", default="", help="when it cannot be found out: gb18030, cp1252 ...")
        parser.add_argument("--dry-run", action="store_true", help="say what would happen, write nothing")
        parser.add_argument("--report", type=Path, help="write the whole report there, as JSON")
        parser.add_argument(
            "--by", default="", help="the account that imports; without it the software's own"
        )
        parser.add_argument("--reason", default="", help="why; needed with --overwrite")
        parser.add_argument(
            "--overwrite", action="store_true", help="let the file replace what is in the study"
        )
        parser.add_argument("--site", default="", help="site of subjects whose file names none")
        parser.add_argument(
            "--laboratory",
            default="",
            metavar="CODE",
            help="who measured what a file of visits names no laboratory for",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["overwrite"] and not options["reason"].strip():
            raise CommandError("--overwrite replaces values: say why with --reason.", returncode=FILE_REFUSED)
        path: Path = options["file"]
        if not path.is_file():
            raise CommandError(f"There is no file {path}.", returncode=FILE_REFUSED)
        if options["report"] and not _may_be_written(options["report"]):
            raise CommandError(
                f"The report cannot be written to {options['report']}. Nothing was imported.",
                returncode=FILE_REFUSED,
            )
        by = self._person(options["by"])
        progress = Printer(self.stderr)
        name, kind = path.name, KINDS[options["kind"]]
        outcome: Outcome | None = None
        try:
            context = context_for(by, site=options["site"].strip(), laboratory=self._laboratory(options, by))
            said = self._said(options)
            with opened(
                path, name=name, kind=kind, context=context, options=said, progress=progress
            ) as staged:
                if options["dry_run"]:
                    outcome = staged.preview()
                else:
                    outcome = staged.commit(
                        reason=options["reason"].strip() or default_reason(name),
                        overwrite=options["overwrite"],
                        progress=progress,
                    )
                progress.end()
                self._tell(name, staged, outcome, options)
                status = report.exit_status(outcome)
        except FileRefused as error:
            progress.end()
            if options["report"]:
                refused = report.refused_file(error, name=name, kind=kind.name, dry_run=options["dry_run"])
                options["report"].write_text(
                    json.dumps(refused, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
                )
            raise CommandError(f"{name} was refused: {error}", returncode=FILE_REFUSED) from None
        except KeyboardInterrupt:
            progress.end()
            was_written = outcome is not None and outcome.written is not None
            stopped = "Stopped. " + ("The file had been imported." if was_written else "Nothing was written.")
            raise CommandError(stopped, returncode=STOPPED) from None
        except Busy:
            raise CommandError(
                "Others are changing the same values just now. Nothing was written; try again.",
                returncode=FILE_REFUSED,
            ) from None
        if status:
            sys.exit(status)

    def _tell(self, name: str, staged: Import, outcome: Outcome, options: dict[str, Any]) -> None:
        if options["report"]:
            with options["report"].open("w", encoding="utf-8") as out:
                report.write(out, staged, outcome, dry_run=options["dry_run"])
        self._say(name, outcome.rows, outcome.values, outcome.revision, options["dry_run"])
        if outcome.to_look_at:
            self.stdout.write(f"  {outcome.to_look_at} values to look at.")
        for notice in staged.facts.notices:
            self.stdout.write(f"  note: {notice}")
        for problem in staged.problems(_SHOWN_ON_TERMINAL):
            self.stderr.write(
                f"  line {problem.line} {problem.column} “{problem.value}”:"
                f" {problem.sentence} {problem.remedy}"
            )

    def _person(self, username: str) -> User:
        if not username:
            return audit.service_account()
        found = User.objects.filter(username=username, is_active=True).first()
        if found is None:
            raise CommandError(f"There is no active account {username}.", returncode=FILE_REFUSED)
        return found

    def _laboratory(self, options: dict[str, Any], by: User) -> str:
        word = options["laboratory"].strip()
        if not word:
            return ""
        if options["kind"] != Visits.name:
            raise CommandError("--laboratory belongs to a file of visits.", returncode=FILE_REFUSED)
        known = list(Laboratory.objects.visible_to(by).values_list("code", flat=True))
        code = next((code for code in known if code.casefold() == word.casefold()), "")
        if not code:
            raise CommandError(
                f"There is no laboratory {word}; there are {', '.join(known) or 'none'}.",
                returncode=FILE_REFUSED,
            )
        return code

    def _said(self, options: dict[str, Any]) -> Options:
        said = Options()
        if options["mapping"]:
            try:
                said = read_options(options["mapping"].read_text(encoding="utf-8"))
            except (OSError, UnicodeDecodeError) as error:
                raise CommandError(f"The mapping cannot be read: {error}", returncode=FILE_REFUSED) from None
        if options["encoding"]:
            said = replace(said, encoding=options["encoding"])
        return said

    def _say(self, name: str, rows: Counts, values: Counts, revision: int | None, dry_run: bool) -> None:
        counts = ", ".join(f"{number} {pile}" for pile, number in rows.as_json().items())
        self.stdout.write(f"{name}: rows {counts}; {values.new + values.changed} values.")
        if dry_run:
            self.stdout.write("Dry run: nothing was written.")
        else:
            self.stdout.write(f"Revision {revision}." if revision else "Nothing was new: no revision.")


def _may_be_written(path: Path) -> bool:
    """Whether a report can be left there; found out before anything is imported."""
    return not path.is_dir() and os.access(path if path.exists() else path.parent, os.W_OK)
