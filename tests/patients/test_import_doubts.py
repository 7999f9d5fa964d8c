"""Soft checks over files: the same that a form makes, warned of in the preview, asked about on commit."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from patients import draws
from patients.actions import queries as query_actions
from patients.edit_checks import DAY_FIELD
from patients.imports import report
from patients.imports.doubts import DOUBTS, VISITS
from patients.imports.importing import Import, Outcome, opened
from patients.imports.kinds import Context, Warned
from patients.imports.visits import Visits
from patients.models import DataQuery, LabResult, Patient, Visit
from tests import factories
from trial import audit, protocol
from trial.models import AuditEntry, Site, User
from trial.protocol import Diagnosis

pytestmark = pytest.mark.django_db
HEADER = "subject_id,week,visit_date,alt,tbil,creatinine"
FIRST = date(2024, 3, 4)
Run = Callable[..., Outcome]


@pytest.fixture
def patient(sites: dict[str, Site]) -> Patient:
    return factories.a_patient(
        site=sites["GE"], subject_id="S001", recruited_on=FIRST, diagnosis=Diagnosis.LIVER_FAILURE
    )


class Desk:
    """Imports visits as one person, and keeps what was warned of."""

    def __init__(self, folder: Path, by: User) -> None:
        self.folder, self.by = folder, by
        self.warned: list[Warned] = []
        self.report: dict[str, Any] = {}

    def __call__(
        self,
        *rows: str,
        header: str = HEADER,
        commit: bool = True,
        look: Callable[[Import], None] = lambda staged: None,
        **how: Any,
    ) -> Outcome:
        path = self.folder / "visits.csv"
        path.write_text("\n".join((header, *rows)) + "\n", encoding="utf-8")
        context = Context(by=self.by, today=timezone.localdate())
        with opened(path, name=path.name, kind=Visits(), context=context) as staged:
            outcome = staged.commit(reason="test", **how) if commit else staged.preview()
            self.warned = list(staged.warned())
            out = io.StringIO()
            report.write(out, staged, outcome, dry_run=not commit)
            self.report = json.loads(out.getvalue())
            look(staged)
        audit.settle()
        return outcome


@pytest.fixture
def desk(tmp_path: Path, data_manager: User) -> Desk:
    return Desk(tmp_path, data_manager)


def queries() -> list[tuple[str, str, str]]:
    return sorted(DataQuery.objects.values_list("field", "check_code", "state"))


def test_a_preview_warns_and_writes_nothing(desk: Desk, patient: Patient) -> None:
    outcome = desk("S001,0,2024-03-04,120,8.2,70", "S001,1,2024-03-11,110,9,71", commit=False)
    assert (outcome.to_look_at, outcome.all_accepted) == (1, True)
    [found] = desk.warned
    assert (found.line, found.subject, found.place, found.field) == (2, "S001", "W0", "tbil")
    assert (found.rule, found.value.split()[0]) == ("unit_slip", "8.2")
    assert desk.report["to_look_at"] == 1
    [told] = desk.report["to_look_at_cells"]
    assert (told["column"], told["letter"], told["code"]) == ("tbil", "E", "unit_slip")
    assert told["rule"] and told["suggestion"]
    assert not DataQuery.objects.exists() and not Visit.objects.exists()


def test_a_commit_asks_in_its_own_revision(desk: Desk, patient: Patient, data_manager: User) -> None:
    outcome = desk("S001,0,2024-03-04,120,8.2,70")
    query = DataQuery.objects.get()
    assert (query.field, query.check_code, query.state) == ("tbil", "unit_slip", "open")
    assert query.opened_by == data_manager and query.visit == Visit.objects.get()
    assert query.messages.get().author == data_manager
    entry = AuditEntry.objects.get(table=DataQuery._meta.db_table, row=query.pk)
    assert outcome.written is not None and entry.revision_id == outcome.written.id


def test_the_same_file_again_asks_nothing_new(desk: Desk, patient: Patient) -> None:
    desk("S001,0,2024-03-04,120,8.2,70")
    outcome = desk("S001,0,2024-03-04,120,8.2,70")
    assert outcome.to_look_at == 0
    assert DataQuery.objects.count() == 1 and DataQuery.objects.get().messages.count() == 1


def test_mended_data_close_their_queries(desk: Desk, patient: Patient) -> None:
    desk("S001,0,2024-03-04,120,8.2,70")
    desk("S001,0,2024-03-04,120,142,70", overwrite=True)
    assert queries() == [("tbil", "unit_slip", "closed")]
    assert [message.step for message in DataQuery.objects.get().messages.all()] == ["opened", "closed"]


def test_a_value_still_in_doubt_is_asked_about_anew(desk: Desk, patient: Patient) -> None:
    desk("S001,0,2024-03-04,120,8.2,70")
    desk("S001,0,2024-03-04,120,8.4,70", overwrite=True)
    assert queries() == [("tbil", "unit_slip", "open")]
    assert [message.step for message in DataQuery.objects.get().messages.all()] == ["opened", "reopened"]


def test_a_conflict_that_stays_here_is_not_in_doubt(desk: Desk, patient: Patient) -> None:
    desk("S001,0,2024-03-04,120,142,70")
    outcome = desk("S001,0,2024-03-04,120,8.2,70")
    assert (outcome.rows.conflict, outcome.to_look_at, queries()) == (1, 0, [])


def test_what_is_left_out_is_not_written(desk: Desk, patient: Patient) -> None:
    outcome = desk("S001,0,2024-03-04,120,8.2,70", left_out=frozenset({(2, "tbil")}))
    assert (outcome.to_look_at, outcome.left_out, desk.report["left_out"]) == (0, 1, 1)
    assert set(LabResult.objects.values_list("analyte", flat=True)) == {"alt", "creatinine"}
    assert not DataQuery.objects.exists()


def test_a_demonstration_asks_nobody(desk: Desk, patient: Patient) -> None:
    assert desk("S001,0,2024-03-04,120,8.2,70", asks=False).to_look_at == 0
    assert not DataQuery.objects.exists()


def test_a_form_finds_the_questions_of_a_file_asked(desk: Desk, patient: Patient, data_manager: User) -> None:
    desk("S001,0,2024-03-04,120,8.2,70")
    visit = Visit.objects.get()
    with audit.revision(by=data_manager, reason="test", source="test"):
        query_actions.sync_check_queries(
            patient=patient, visit=visit, doubts=draws.standing_doubts(visit), by=data_manager
        )
    assert DataQuery.objects.get().messages.count() == 1


@pytest.mark.parametrize("seed", range(4))
def test_files_are_held_against_what_a_form_is(desk: Desk, sites: dict[str, Site], seed: int) -> None:
    """After any import, each doubt of a written draw is what the form would say of it, and none is missing."""
    dice = random.Random(seed)
    rows = [row for number in range(12) for row in _course(dice, sites["GE"], f"S{number:03}")]
    dice.shuffle(rows)
    header = f"subject_id,week,visit_date,{','.join(BASES)}"
    desk(*rows[:20], header=header, asks=False)
    in_bulk: set[tuple[int, str, str]] = set()

    def keep(staged: Import) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT a.visit_id, d.field, d.rule FROM {VISITS} a JOIN {DOUBTS} d USING (place) WHERE d.asks"
            )
            in_bulk.update(cursor.fetchall())

    desk(*rows[20:], header=header, look=keep)
    written = _written_last()
    by_form = {
        (visit.pk, doubt.analyte, doubt.rule)
        for visit in Visit.objects.filter(pk__in=written)
        for doubt in draws.standing_doubts(visit)
        if set(doubt.fields) & written[visit.pk]
    }
    assert len(by_form) > 20
    assert in_bulk == by_form


BASES = {
    "alt": "120",
    "tbil": "142",
    "pta": "45",
    "inr": "1.8",
    "creatinine": "75",
    "albumin": "32",
    "sodium": "138",
}


def _course(dice: random.Random, site: Site, code: str) -> list[str]:
    """Make a subject, and return the rows of a file on it."""
    patient = factories.a_patient(
        site=site,
        subject_id=code,
        recruited_on=FIRST + timedelta(days=dice.choice([-9, 0, 3])),
        diagnosis=dice.choice([Diagnosis.CIRRHOSIS, Diagnosis.LIVER_FAILURE]),
    )
    if dice.random() < 0.6:
        factories.an_infusion(patient, 1, FIRST + timedelta(days=1))
    if dice.random() < 0.3:
        factories.a_treatment(patient, "albumin", started_on=FIRST + timedelta(days=5))
    rows = []
    for week in [*dice.sample(list(protocol.WEEKS), 4), None]:
        at = dice.choice([0, 1, 7, 14, 28]) if week is None else 7 * week
        day = FIRST + timedelta(days=at + dice.choice([-8, 0, 0, 0, 0, 1, 12]))
        written = "" if week is not None and dice.random() < 0.1 else day.isoformat()
        is_copied = dice.random() < 0.2
        values = [base if is_copied else _slipped(dice, analyte, base) for analyte, base in BASES.items()]
        rows.append(f"{code},{'unscheduled' if week is None else week},{written},{','.join(values)}")
    return rows


def _slipped(dice: random.Random, analyte: str, base: str) -> str:
    """Return a value near, or as a slip of the hand makes it; sometimes none."""
    if dice.random() < 0.05:
        return ""
    limits = protocol.ANALYTES[analyte].hard
    value = Decimal(base) * Decimal(dice.choice(["1", "1", "1.02", "0.9", "1.1", "2.5", "0.1", "0.06"]))
    inside = min(max(value, limits.low or Decimal(0)), limits.high or value)
    return str(inside.quantize(Decimal("0.01")))


def _written_last() -> dict[int, set[str]]:
    """Return the fields of each visit that the newest revision wrote."""
    found: dict[int, set[str]] = {}
    newest = AuditEntry.objects.latest("revision_id").revision_id
    entries = AuditEntry.objects.filter(revision_id=newest)
    for new in entries.filter(table=LabResult._meta.db_table).values_list("new", flat=True):
        assert new is not None
        found.setdefault(new["visit_id"], set()).add(new["analyte"])
    for row, old, new in entries.filter(table=Visit._meta.db_table).values_list("row", "old", "new"):
        if old is None or "visited_on" in (new or {}):
            found.setdefault(row, set()).add(DAY_FIELD)
    return found
