"""``manage.py seed_demo``: a synthetic study to look at, and people to look at it with."""

from __future__ import annotations

import csv
import time
from argparse import ArgumentParser
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.utils import timezone

from analytics import (
    demonstration,
    demonstration_ward,
    demonstration_work,
    synthetic,
    synthetic_bedside,
    synthetic_ward,
)
from analytics.imports import KINDS
from analytics.synthetic_files import infusion_rows, subject_rows, visit_rows
from analytics.synthetic_study import SITES, Study
from patients.imports.importing import opened
from patients.imports.kinds import Context
from trial import synthetic_label
from trial.models import Site, User
from trial.study_command import StudyCommand

IMPORTER = "huang.lei"


class Command(StudyCommand):
    help = "Fill an empty database with a synthetic study and the demonstration accounts. No real patient is in it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--patients", type=int, default=synthetic.DEFAULT_PATIENTS, help="treated subjects"
        )
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument(
            "--today", type=date.fromisoformat, help="day follow-up has reached (default: today)"
        )
        parser.add_argument(
            "--password", default="", help="of all demonstration accounts; without it they cannot log in"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.SYNTHETIC:
            raise CommandError(
                "This installation does not label its data as synthetic; set CORDLINE_SYNTHETIC=1 if it is for trying out."
            )
        names = [person.username for person in demonstration.PEOPLE]
        if Site.objects.exists() or User.objects.filter(username__in=names).exists():
            raise CommandError(
                "There are sites, or accounts of the same names, already. The synthetic study needs an empty database."
            )
        if options["patients"] < 1:
            raise CommandError("--patients: at least 1.")
        synthetic_label.put_on()
        begun = time.monotonic()
        today = options["today"] or timezone.localdate()
        study = synthetic.generate(patients=options["patients"], seed=options["seed"], today=today)
        self._step(f"{len(study.subjects)} synthetic subjects made up, {study.groups}")
        people = demonstration.people(password=options["password"])
        importer = people[IMPORTER]
        demonstration_ward.open_laboratories(by=importer)
        demonstration.register_lots(study, by=importer)
        demonstration_ward.release_lots(study, by=importer)
        self._import(study, importer, today)
        demonstration_ward.record_grades(synthetic_bedside.grades(study), by=importer)
        demonstration.record_screenings(study, by=importer)
        demonstration.record_outcomes(study, by=importer)
        self._step("screenings and outcomes")
        ward = synthetic_ward.generate(study)
        demonstration_ward.record_facts(ward, by=importer)
        demonstration_ward.record_ward(ward, by=importer)
        self._step("treatments, events and vital signs")
        demonstration.a_day_on_the_ward(study, people)
        demonstration_work.recent_work(study, people)
        self._step(f"a day on the ward; {time.monotonic() - begun:.1f} s in all")
        self.stdout.write("The synthetic study is ready. No real patient is in it.")

    def _import(self, study: Study, by: User, today: date) -> None:
        """Bring the study in as a hospital would: by files, each one revision."""
        with TemporaryDirectory() as directory:
            files = [
                ("subjects", "subjects.csv", subject_rows(study), ""),
                ("infusions", "infusions.csv", infusion_rows(study), ""),
                *(
                    (
                        "visits",
                        f"laboratory_{site.code}.csv",
                        visit_rows(study, site=site.code),
                        demonstration_ward.laboratory_of(site.code),
                    )
                    for site in SITES
                ),
            ]
            for kind, name, rows, laboratory in files:
                path = Path(directory) / name
                _write(path, rows)
                context = Context(by=by, today=max(today, timezone.localdate()), laboratory=laboratory)
                with opened(path, name=name, kind=KINDS[kind], context=context) as staged:
                    outcome = staged.commit(reason=f"synthetic study, {name}", asks=False)
                    if not outcome.all_accepted:
                        problem = next(staged.problems(1), None)
                        raise CommandError(f"{name}: {outcome.rows}; {problem}")
                self._step(f"{name}: {outcome.rows.new} rows")

    def _step(self, text: str) -> None:
        self.stderr.write(f"  {text}")


def _write(path: Path, rows: Iterable[tuple[str, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
