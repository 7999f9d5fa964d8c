"""``manage.py export``: take datasets away as files."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from analytics import selectors
from analytics.datasets import DATASETS
from analytics.exports import bundle
from trial import protocol


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
            "--identified", action="store_true", help="dates and free text instead of study days"
        )
        parser.add_argument("--no-bom", action="store_true", help="leave out the mark that spreadsheets want")

    def handle(self, *args: Any, **options: Any) -> None:
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
        files = bundle.write(
            Path(options["out"]),
            datasets,
            byte_order_mark=not options["no_bom"],
            progress=lambda done, total, text: self.stderr.write(f"{done}/{total} {text}"),
            **wanted,
        )
        for file in files:
            self.stderr.write(f"{file.path.name}: {file.rows} rows")
