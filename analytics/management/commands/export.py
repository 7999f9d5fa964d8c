"""``manage.py export``: take datasets away as files."""

from __future__ import annotations

import shutil
import sys
from argparse import ArgumentParser
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.core.management.base import CommandError

from analytics import selectors, snapshots
from analytics.datasets import DATASETS
from analytics.exports import bundle, taken
from analytics.exports.asked import Asked
from analytics.exports.formats import FORMATS
from analytics.models import Snapshot
from trial import audit, protocol
from trial.models import User
from trial.study_command import StudyCommand

REFUSED = 2
"""Exit status when nothing was written."""


class Command(StudyCommand):
    help = "Write datasets as files, de-identified unless asked otherwise."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "datasets", nargs="*", metavar="DATASET", help=", ".join(DATASETS) + "; all when none"
        )
        parser.add_argument(
            "--format",
            choices=list(FORMATS),
            default="csv",
            help="; ".join(f"{form.code}: {form.holds}" for form in FORMATS.values()),
        )
        parser.add_argument(
            "--out", required=True, metavar="DIR", help="a directory, or - for one dataset to standard output"
        )
        parser.add_argument("--population", choices=[p.value for p in protocol.Population], default="")
        parser.add_argument(
            "--snapshot",
            type=int,
            metavar="ID",
            help="what was frozen, byte for byte: --out a directory, a .zip, or - for the archive",
        )
        parser.add_argument(
            "--identified",
            action="store_true",
            help="dates and free text instead of study days; needs --by and --purpose",
        )
        parser.add_argument("--purpose", default="", metavar="TEXT", help="what it is for; kept in the log")
        parser.add_argument("--by", default="", metavar="USER", help="the account that takes it away")
        parser.add_argument("--no-bom", action="store_true", help="leave out the mark that spreadsheets want")

    def handle(self, *args: Any, **options: Any) -> None:
        by = self._person(options)
        if options["snapshot"] is not None:
            self._hand_out(options, by)
            return
        try:
            datasets = bundle.chosen(options["datasets"])
        except bundle.UnknownDataset as error:
            raise CommandError(str(error), returncode=REFUSED) from error
        streamed = options["out"] == "-"
        if streamed and len(datasets) != 1:
            raise CommandError(
                "standard output takes one dataset; give --out a directory for more", returncode=REFUSED
            )
        asked = Asked(
            options["format"],
            options["identified"],
            options["population"],
            # a pipe is read by programs, and the mark is for spreadsheets
            not options["no_bom"] and not streamed,
        )
        try:
            if streamed:
                self._stream(datasets[0], asked, by, options["purpose"])
            else:
                self._write(Path(options["out"]), datasets, asked, by, options["purpose"])
        except bundle.TooLarge as error:
            raise CommandError(str(error), returncode=REFUSED) from error
        except OSError as error:
            raise CommandError(f"{options['out']}: {error.strerror or error}", returncode=REFUSED) from error

    def _person(self, options: dict[str, Any]) -> User:
        """Return who takes it away; de-identified files need no account, for schedules and pipes."""
        if not options["by"]:
            if options["identified"]:
                raise CommandError(
                    "--identified needs --by with an account that may, and --purpose.", returncode=REFUSED
                )
            return audit.service_account()
        found = User.objects.filter(username=options["by"], is_active=True).first()
        if found is None:
            raise CommandError(f"There is no active account {options['by']}.", returncode=REFUSED)
        try:
            taken.check(found, identified=options["identified"], purpose=options["purpose"])
        except taken.Refused as refusal:
            raise CommandError(str(refusal), returncode=REFUSED) from refusal
        return found

    def _write(self, out: Path, datasets: list[Any], asked: Asked, by: User, purpose: str) -> None:
        files = bundle.write(
            out,
            datasets,
            identified=asked.identified,
            population=asked.population,
            byte_order_mark=asked.byte_order_mark,
            format=asked.format,
            progress=lambda done, total, text: self.stderr.write(f"{done}/{total} {text}"),
        )
        taken.note_files(out, files, by=by, source="command", asked=asked, purpose=purpose)
        for file in files:
            if file.path.stem == file.dataset:
                self.stderr.write(f"{file.path.name}: {file.rows} rows")
            else:  # one file for all: say what of each dataset is in it
                rows = f"{file.path.name}: {file.dataset}: {file.rows} rows"
                self.stderr.write("; ".join((rows, *file.notes)))

    def _stream(self, dataset: Any, asked: Asked, by: User, purpose: str) -> None:
        """Write one dataset to standard output: the whole file first, so that half a file is never taken for one."""
        form = FORMATS[asked.format]
        bundle.bring_up_to_date([dataset])
        with TemporaryDirectory() as folder:
            path = Path(folder) / f"{dataset.name}.{form.extension}"
            with selectors.one_moment():
                table = bundle.table_of(dataset, asked)
                if form.together:
                    form.check([table])
                    form.module().write_together([table], path)
                    rows, digest = table.count(), bundle.digest_of(path)
                else:
                    written = bundle.write_table(path, table, form)
                    rows, digest = written.rows, written.sha256
            taken.note(
                by=by,
                source="command",
                asked=asked,
                rows={dataset.name: rows},
                sha256=digest,
                purpose=purpose,
            )
            with path.open("rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.buffer.flush()

    def _hand_out(self, options: dict[str, Any], by: User) -> None:
        """Write a snapshot: the archive as it was frozen, or its files."""
        if options["identified"] or options["population"] or options["no_bom"] or options["format"] != "csv":
            raise CommandError(
                "A snapshot leaves as it was frozen; --snapshot takes no such option.", returncode=REFUSED
            )
        try:
            frozen = snapshots.by_id(options["snapshot"])
        except snapshots.Unknown as error:
            raise CommandError(str(error), returncode=REFUSED) from None
        names = [f"{name}.csv" for name in options["datasets"]]
        unknown = [
            name for name in names if name not in {file["file"] for file in snapshots.files_of(frozen)}
        ]
        if unknown:
            raise CommandError(f"Snapshot {frozen.pk} has no {', '.join(unknown)}.", returncode=REFUSED)
        out = Path(options["out"])
        to_archive = options["out"] == "-" or out.suffix == ".zip"
        if to_archive and names and options["out"] != "-":
            raise CommandError(
                "An archive holds the whole snapshot; give --out a directory.", returncode=REFUSED
            )
        if to_archive and len(names) > 1:
            raise CommandError(
                "standard output takes one dataset; give --out a directory for more", returncode=REFUSED
            )
        taken.note_snapshot(frozen, by=by, source="command", purpose=options["purpose"])
        if to_archive:
            self._stream_archive(frozen, names, out)
            return
        out.mkdir(parents=True, exist_ok=True)
        with snapshots.opened(frozen) as archive:
            # files of a snapshot never travel without what names the snapshot
            for name in [*names, snapshots.MANIFEST] if names else archive.namelist():
                archive.extract(name, out)
                self.stderr.write(name)

    def _stream_archive(self, frozen: Snapshot, names: list[str], out: Path) -> None:
        if names:
            with snapshots.opened(frozen) as archive:
                sys.stdout.buffer.write(archive.read(names[0]))
        elif str(out) == "-":
            for block in snapshots.archive(frozen):
                sys.stdout.buffer.write(block)
        else:
            with out.open("wb") as file:
                for block in snapshots.archive(frozen):
                    file.write(block)
        sys.stdout.buffer.flush()
