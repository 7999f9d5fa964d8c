"""Bring the results up to date, or check that they are right."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _

from trial.study_command import StudyCommand


class Command(StudyCommand):
    help = "Computes what the data have moved since the last run. The worker does the same by itself."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--full", action="store_true", help="compute everything again")
        parser.add_argument(
            "--check",
            action="store_true",
            help="store nothing: compute everything in memory, name what is stored otherwise, exit 1 if anything is",
        )

    def handle(self, *args: Any, full: bool, check: bool, **options: Any) -> None:
        from analytics import refresh, selectors

        if check:
            lines = refresh.differences(self._progress)
            for line in lines:
                self.stdout.write(line)
            if lines:
                raise CommandError(_("%(count)s differences") % {"count": len(lines)}, returncode=1)
            self.stdout.write(_("The stored results are those of the data."))
            return
        run = refresh.refresh(full=full, progress=self._progress)
        if run is not None:
            seconds = (run.finished_at - run.started_at).total_seconds()
            self.stdout.write(
                _("r%(revision)s: %(cells)s cells and %(scores)s scores changed, %(seconds).2f s")
                % {
                    "revision": run.revision,
                    "cells": run.cells_changed,
                    "scores": run.scores_changed,
                    "seconds": seconds,
                }
            )
        elif selectors.freshness().current:
            self.stdout.write(_("The results are current."))
        else:
            raise CommandError(_("Another refresh is at work and did not finish in time; try again later."))

    def _progress(self, done: int, total: int, text: str) -> None:
        self.stderr.write(f"{done}/{total} {text}")
