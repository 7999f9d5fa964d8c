"""``manage.py export``: take datasets away as files."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from analytics import selectors, snapshots
from analytics.datasets import DATASETS
from analytics.exports import bundle
from analytics.models import Snapshot
from trial import protocol
from trial.shell_progress import Printer


class Command(BaseCommand):
    help = "Write datasets as files, de-identified unless asked otherwise."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "datasets", nargs="*", metavar="DATASET", help=", ".join(DATASETS) + "; all when none"
        )
        parser.add_argument("--format", choices=list(bundle.FORMATS), default="csv")
        parser.add_argument(
            "--out", required=True, metavar="DIR", help="a directory, or - for standard output"
        )
        parser.add_argument("--population", choices=[p.value for p in protocol.Population], default="")
        parser.add_argument(
            "--snapshot",
            type=int,
            metavar="ID",
            help="what was frozen, byte for byte: --out a directory, a .zip, or - for the archive",
        )
        parser.add_argument(
            "--identified", action="store_true", help="dates and free text instead of study days"
        )
        parser.add_argument("--no-bom", action="store_true", help="leave out the mark that spreadsheets want")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["snapshot"] is not None:
            self._hand_out(options)
            return
        try:
            datasets = bundle.chosen(options["datasets"])
        except bundle.UnknownDataset as error:
            raise CommandError(str(error), returncode=2) from error
        wanted = {"identified": options["identified"], "population": options["population"]}
        if options["out"] == "-":
            if len(datasets) != 1:
                raise CommandError(
                    "standard output takes one dataset; give --out a directory for more", returncode=2
                )
            bundle.bring_up_to_date(datasets)
            with selectors.one_moment():
                for block in bundle.blocks(datasets[0], **wanted):
                    sys.stdout.buffer.write(block)
            sys.stdout.buffer.flush()
            return
        progress = Printer(self.stderr)
        files = bundle.write(
            Path(options["out"]),
            datasets,
            byte_order_mark=not options["no_bom"],
            progress=progress,
            **wanted,
        )
        progress.end()
        for file in files:
            self.stderr.write(f"{file.path.name}: {file.rows} rows")

    def _hand_out(self, options: dict[str, Any]) -> None:
        """Write a snapshot: the archive as it was frozen, or its files."""
        if options["identified"] or options["population"] or options["no_bom"]:
            raise CommandError(
                "A snapshot leaves as it was frozen; --snapshot takes no such option.", returncode=2
            )
        try:
            frozen = snapshots.by_id(options["snapshot"])
        except snapshots.Unknown as error:
            raise CommandError(str(error), returncode=2) from None
        names = [f"{name}.csv" for name in options["datasets"]]
        unknown = [
            name for name in names if name not in {file["file"] for file in snapshots.files_of(frozen)}
        ]
        if unknown:
            raise CommandError(f"Snapshot {frozen.pk} has no {', '.join(unknown)}.", returncode=2)
        out = Path(options["out"])
        if options["out"] == "-" or out.suffix == ".zip":
            if names and options["out"] != "-":
                raise CommandError(
                    "An archive holds the whole snapshot; give --out a directory.", returncode=2
                )
            self._stream(frozen, names, out)
            return
        out.mkdir(parents=True, exist_ok=True)
        with snapshots.opened(frozen) as archive:
            for name in names or archive.namelist():
                archive.extract(name, out)
                self.stderr.write(name)

    def _stream(self, frozen: Snapshot, names: list[str], out: Path) -> None:
        if len(names) > 1:
            raise CommandError(
                "standard output takes one dataset; give --out a directory for more", returncode=2
            )
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
