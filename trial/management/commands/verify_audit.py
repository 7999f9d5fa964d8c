"""``manage.py verify_audit``: prove that the tables are what the trail says."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError

from trial import replay
from trial.study_command import StudyCommand


class Command(StudyCommand):
    help = (
        "Rebuild every table from the trail alone and compare, both ways; look for gaps, broken chains,"
        " and triggers that are missing, switched off or changed. Exit status 0: all equal; 1: findings."
    )

    requires_system_checks: list[str] = []  # it looks at the database itself, whatever else may be wrong

    def handle(self, *args: Any, **options: Any) -> None:
        report = replay.verify(self._progress if options["verbosity"] else None)
        for finding in report.findings:
            self.stderr.write(self.style.ERROR(f"  {finding.rule}: {finding}"))
        if report.unnamed:
            self.stderr.write(f"  and {report.unnamed:,} more of the same kinds")
        rows = sum(table.rows for table in report.tables)
        entries = sum(table.entries for table in report.tables)
        summary = f"{len(report.tables)} tables, {rows:,} rows, {entries:,} entries as of revision {report.revision:,}"
        if not report.is_clean:
            raise CommandError(
                f"the trail and the tables differ: {report.count:,} findings in {summary}",
                returncode=1,
            )
        self.stdout.write(self.style.SUCCESS(f"the trail is whole: {summary}, all equal"))

    def _progress(self, place: int, of: int, table: replay.TableReplayed) -> None:
        verdict = f"{table.findings:,} findings" if table.findings else "equal"
        self.stdout.write(
            f"[{place:>{len(str(of))}}/{of}] {table.table:<32} {table.rows:>10,} rows from"
            f" {table.entries:>10,} entries  {verdict}"
        )
        self.stdout.flush()
