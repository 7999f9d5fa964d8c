"""Checks that hold whatever was killed: nothing confirmed is lost, nothing stale is called current."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from django.db import connection
from django.utils import timezone

from analytics import contrasts, frames, refresh, scoring, selectors
from analytics.cells import all_keys
from infusions.models import Infusion
from patients.models import LabResult, Patient, Visit
from tests import processes
from tests.analytics.operations import START, Ward
from trial import audit, protocol
from trial.models import AuditEntry, Revision

Save = tuple[int, str, str]
"""A visit, an analyte, a value."""


def a_study(patients: int = 16) -> Ward:
    """Make a committed study in which every group has subjects with all their visits."""
    ward = Ward(1, patients=0)
    with audit.revision(by=ward.by, reason="for a test", source="tests"):
        for number in range(patients):
            patient = Patient.objects.create(
                subject_id=f"F-{number:03d}",
                site=ward.site,
                sex="FM"[number % 2],
                birth_date=START - timedelta(days=365 * 40 + number),
                diagnosis=list(protocol.Diagnosis)[number % 2],
                recruited_on=START,
            )
            for infusion in range(1, 4 + number // 2 % 2 * 2):
                Infusion.objects.create(
                    patient=patient, number=infusion, given_on=START + timedelta(days=7 * infusion)
                )
            for week in protocol.WEEKS:
                visit = Visit.objects.create(
                    patient=patient, week=week, visited_on=START + timedelta(days=7 + 7 * week)
                )
                LabResult.objects.bulk_create([ward.lab(visit, code) for code in protocol.REQUIRED_ANALYTES])
    return ward


# --- saving ---------------------------------------------------------------------------------


@dataclass
class Saves:
    """What a saver tried and what was confirmed to it."""

    tried: list[Save] = field(default_factory=list)
    done: list[Save] = field(default_factory=list)
    ended: int | None = None

    def read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout
        for line in process.stdout:
            word, visit, analyte, value = line.split()
            (self.tried if word == "try" else self.done).append((int(visit), analyte, value))
        self.ended = process.wait()

    def assert_kept(self) -> None:
        """Every confirmed save is in the trail, and what is stored was tried last or confirmed last."""
        in_trail = {
            (int(new["visit_id"]), new["analyte"], f"{float(new['value']):.6f}")
            for new in AuditEntry.objects.filter(table="patients_labresult").values_list("new", flat=True)
            if new and new["value"] is not None
        }
        lost = [save for save in self.done if (save[0], save[1], f"{float(save[2]):.6f}") not in in_trail]
        assert lost == [], "confirmed and not in the trail"
        last_done = {save[:2]: save[2] for save in self.done}
        last_tried = {save[:2]: save[2] for save in self.tried}
        for (visit, analyte), value in last_done.items():
            stored = LabResult.objects.get(visit=visit, analyte=analyte)
            allowed = {float(value), float(last_tried[visit, analyte])}
            assert float(stored.value) in allowed, (
                f"visit {visit} {analyte}: {stored.value} is neither of {allowed}"
            )
        # wholly there or wholly absent: each number once, no revision without entries
        numbers = list(Revision.objects.order_by("number").values_list("number", flat=True))
        assert numbers == list(range(1, len(numbers) + 1))
        assert not Revision.objects.filter(entries=None).exists()


@contextmanager
def saving(
    at_least: int, *, seed: int = 1, pause: float = 0.05, env: dict[str, str] | None = None
) -> Iterator[Saves]:
    """Save in a process of its own while the block runs, and at least so many times; wait for its end."""
    saves = Saves()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.saver", str(at_least), str(seed), str(pause)],
        cwd=processes.ROOT,
        env=env or processes.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    reader = threading.Thread(target=saves.read, args=(process,))
    reader.start()
    try:
        yield saves
        process.stdin.close()
        reader.join(120)
        assert not reader.is_alive(), "the saver did not end"
    finally:
        if process.poll() is None:
            process.kill()
        reader.join(10)


# --- looking --------------------------------------------------------------------------------


@dataclass
class Checker:
    """Looks again and again whether results that are called current are those of the data."""

    looks: int = 0
    current: int = 0
    wrong: list[str] = field(default_factory=list)
    shown: list[int] = field(default_factory=list)
    halt: threading.Event = field(default_factory=threading.Event)

    def look(self) -> None:
        with selectors.one_moment():
            said = selectors.freshness()
            self.looks += 1
            if self.shown and said.shown < self.shown[-1]:
                self.wrong.append(f"revision shown went from {self.shown[-1]} back to {said.shown}")
            self.shown.append(said.shown)
            if not said.current:
                return
            self.current += 1
            run = selectors.latest_run()
            assert run
            with connection.cursor() as cursor:
                draws = scoring.read_draws(cursor, None)
                stored = scoring.read_stored(cursor, None)
            study = frames.study()
            cells = selectors.stored_cells(all_keys(), run=run.pk, whole=())
        changed = scoring.changed(scoring.computed(draws), stored)
        digests = contrasts.digests(study)
        differing = [
            key for key, digest in digests.items() if key not in cells or cells[key].inputs != digest
        ]
        if changed or differing:
            self.wrong.append(
                f"r{said.shown}: {len(changed)} scores and {len(differing)} cells of older data"
            )

    def run(self) -> None:
        try:
            while not self.halt.is_set():
                self.look()
                self.halt.wait(0.04)
        finally:
            connection.close()


@contextmanager
def checking() -> Iterator[Checker]:
    """Look all the time while the block runs; every label must have been true."""
    checker = Checker()
    thread = threading.Thread(target=checker.run)
    thread.start()
    try:
        yield checker
    finally:
        checker.halt.set()
        thread.join(30)
    checker.look()
    assert checker.wrong == []


def is_current() -> bool:
    return selectors.freshness().current


def wait_until_current(seconds: float = 30.0) -> float:
    """Wait until the results are those of the data; return how long it took."""
    started = timezone.now()
    try:
        processes.wait_until(is_current, "the results are current", seconds=seconds)
    except AssertionError as error:
        run = selectors.latest_run()
        raise AssertionError(f"{error}: {selectors.freshness()}, run by {run and run.code_version}") from None
    return (timezone.now() - started).total_seconds()


def assert_equal_to_a_full_recompute() -> None:
    refresh.forget()
    assert refresh.differences() == []


def somebody_refreshes() -> bool:
    return selectors.freshness().recomputing


def touch(ward: Ward) -> int:
    """Make one change that moves results, and return its revision."""
    result = LabResult.objects.filter(analyte="alt").exclude(value=None).order_by("?").first()
    assert result
    with audit.revision(by=ward.by, reason="typing slip corrected") as written:
        LabResult.objects.filter(pk=result.pk).update(value=result.value + 1, typed_text="x")
    assert written.number
    return written.number
