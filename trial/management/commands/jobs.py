"""``manage.py jobs``: what long work there is, cancel one, delete files that were kept long enough."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError

from trial import jobs
from trial.models import Job
from trial.study_command import StudyCommand

NOT_DONE = 1
MISUSED = 2
MOST_ROWS = 10_000


def _rows(text: str) -> int:
    """Return how many rows are wanted."""
    if text.isascii() and text.isdigit() and len(text) < 7 and 1 <= int(text) <= MOST_ROWS:
        return int(text)
    raise ArgumentTypeError(f"“{text}” is not a number of jobs. Write one from 1 to {MOST_ROWS}.")


class Command(StudyCommand):
    help = (
        "List long work (imports, exports, snapshots), cancel one, or delete the files of what ended"
        " 24 hours ago. Exit status 0: done; 1: it cannot be cancelled any more; 2: there is no such job."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action")
        listing = actions.add_parser("list", help="the newest work (what happens without a word)")
        listing.add_argument("--most", type=_rows, default=20, metavar="N")
        cancelling = actions.add_parser("cancel", help="stop one; what it wrote goes")
        cancelling.add_argument("job", type=UUID, metavar="ID")
        actions.add_parser("purge", help="delete files that were kept long enough")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["action"] == "cancel":
            self._cancel(options["job"])
        elif options["action"] == "purge":
            self.stdout.write(f"Files of {jobs.purge()} jobs deleted.")
        else:
            self._list(options.get("most", 20))

    def _list(self, most: int) -> None:
        for job in Job.objects.select_related("started_by")[:most]:
            state = f"{job.status} {job.percent} %" if job.status == Job.Status.RUNNING else job.status
            if job.cancel_asked_at and not job.finished_at:
                state += ", cancelling"
            self.stdout.write(
                f"{job.pk}  {job.queued_at:%Y-%m-%d %H:%M}  {job.kind:<14}  {job.started_by.username:<14}  {state}"
            )

    def _cancel(self, job_id: UUID) -> None:
        job = Job.objects.filter(pk=job_id).first()
        if job is None:
            raise CommandError(f"There is no job {job_id}.", returncode=MISUSED)
        try:
            at_once = jobs.cancel(job)
        except jobs.TooLate as reason:
            raise CommandError(f"Not cancelled: {reason}", returncode=NOT_DONE) from None
        self.stdout.write("Cancelled." if at_once else "Asked to stop; it does at its next step.")
