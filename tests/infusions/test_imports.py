"""Importing infusions: what the file tells is kept, what it does not tell stays empty."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.utils import timezone

from infusions.actions.agreement import ask_about_course
from infusions.imports import Infusions
from infusions.models import CellLot, Infusion
from patients import actions
from patients.imports.importing import Counts, Outcome, opened
from patients.imports.kinds import Context
from patients.imports.problems import Problem
from patients.models import DataQuery, Patient
from tests import factories
from trial import audit
from trial.models import AuditEntry, Site, User
from trial.protocol import OutcomeKind

pytestmark = pytest.mark.django_db
HEADER = "subject_id,number,given_on"
Run = Callable[..., tuple[Outcome, list[Problem]]]


@pytest.fixture
def patient(sites: dict[str, Site]) -> Patient:
    return factories.a_patient(site=sites["GE"], subject_id="S001")


@pytest.fixture
def run(tmp_path: Path, data_manager: User) -> Run:
    def run(*rows: str, header: str = HEADER, overwrite: bool = False) -> tuple[Outcome, list[Problem]]:
        path = tmp_path / "infusions.csv"
        path.write_text("\n".join((header, *rows)) + "\n", encoding="utf-8")
        context = Context(by=data_manager, today=timezone.localdate())
        with opened(path, name=path.name, kind=Infusions(), context=context) as staged:
            outcome = staged.commit(reason="test", overwrite=overwrite)
            problems = list(staged.problems())
        audit.settle()
        return outcome, problems

    return run


def test_three_columns_are_enough(run: Run, patient: Patient) -> None:
    outcome, _problems = run("S001,1,2015-01-05", "S001,第2次,2015-01-12", "S001,3.0,2015-01-19")
    assert outcome.rows == Counts(new=3)
    given = Infusion.objects.order_by("number")
    assert [(i.number, i.given_on.isoformat()) for i in given] == [
        (1, "2015-01-05"),
        (2, "2015-01-12"),
        (3, "2015-01-19"),
    ]
    assert {(i.weight_kg, i.cells, i.volume_ml, i.lot) for i in given} == {(None, None, None, None)}
    assert run("S001,1,2015-01-05", "S001,2,2015-01-12", "S001,3,2015-01-19")[0].rows == Counts(same=3)


def test_everything_a_ward_book_tells_is_kept(run: Run, patient: Patient) -> None:
    header = HEADER + ",体重,cells,volume_ml,批号,started_at,stopped_at,deviation,deviation_note,reaction"
    run("S001,1,2015-01-05,64.5,64500000,100,uc-15-01,09:10,0950,other,bag leaked,fever 38.4", header=header)
    given = Infusion.objects.get()
    assert (given.weight_kg, given.cells, given.volume_ml) == (Decimal("64.5"), 64_500_000, 100)
    assert given.lot == CellLot.objects.get(code="UC-15-01")
    assert (given.started_at, given.stopped_at) == (time(9, 10), time(9, 50))
    assert (given.deviation, given.deviation_note, given.reaction) == ("other", "bag leaked", "fever 38.4")


BEDSIDE = "reaction,reaction_grade,vein,bag,interruption,observed_until,checked_by,before_temperature_c,m15_systolic,m15_diastolic"


def test_the_bedside_comes_with_the_infusion(run: Run, patient: Patient) -> None:
    header = f"{HEADER},started_at,{BEDSIDE}"
    row = "S001,1,2015-01-05,23:40,fever,2,左前臂,b 07,10 min,2015-01-06 23:50,Nurse A.,36.60,118,76"
    assert run(row, header=header)[0].rows == Counts(new=1)
    given = Infusion.objects.get()
    assert (given.reaction, given.reaction_grade, given.vein, given.bag) == (
        "fever",
        2,
        "forearm_left",
        "b 07",
    )
    assert (given.interruption, given.checked_by, given.version) == ("10 min", "Nurse A.", 1)
    assert given.observed_until == datetime(2015, 1, 6, 15, 50, tzinfo=UTC)  # Guangzhou is eight hours ahead
    signs = {s.moment: (s.temperature_c, s.systolic, s.diastolic, s.pulse) for s in given.vitals.all()}
    assert signs == {"before": (Decimal("36.6"), None, None, None), "m15": (None, 118, 76, None)}
    assert run(row, header=header)[0].rows == Counts(same=1)

    later = f"{HEADER},m15_pulse,h24_pulse,before_temperature_c"
    outcome, _problems = run("S001,1,2015-01-05,88,72,37.1", header=later)
    assert (outcome.rows.conflict, outcome.values.new) == (1, 2)
    signs = {s.moment: (s.temperature_c, s.systolic, s.pulse) for s in given.vitals.all()}
    assert signs == {"before": (Decimal("36.6"), None, None), "m15": (None, 118, 88), "h24": (None, None, 72)}
    run("S001,1,2015-01-05,88,72,37.1", header=later, overwrite=True)
    assert given.vitals.get(moment="before").temperature_c == Decimal("37.1")
    assert Infusion.objects.get().version == 3


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("reaction_grade", "6", "grade"),
        ("reaction_grade", "1", "grade_alone"),
        ("vein", "toe", "vein"),
        ("observed_until", "2015-01-04 23:59", "observed_until"),
        ("observed_until", "2015-01-20 00:00", "observed_until"),
        ("observed_until", "2015-01-05", "no_hour"),
        ("bag", "b" * 25, "too_long"),
        ("m15_pulse", "7", "limit"),
        ("h24_temperature_c", "36.65", "too_many_decimals"),
        ("end_saturation", "<98", "plain"),
    ],
)
def test_a_bedside_that_cannot_be_is_refused(
    run: Run, patient: Patient, column: str, value: str, rule: str
) -> None:
    outcome, problems = run(f"S001,1,2015-01-05,{value}", header=f"{HEADER},{column}")
    assert outcome.rows == Counts(refused=1)
    assert [(p.line, p.column, p.rule) for p in problems] == [(2, column, rule)]


def test_pressures_are_held_against_each_other(run: Run, patient: Patient) -> None:
    _outcome, problems = run("S001,1,2015-01-05,76,118", header=f"{HEADER},before_systolic,before_diastolic")
    assert [(p.column, p.value, p.rule) for p in problems] == [
        ("before_diastolic", "76/118", "pressure_order")
    ]


@pytest.mark.parametrize(
    ("column", "value", "cells"),
    [("cells_per_kg", "1000000", 60_000_000), ("cells_per_kg (10^6/kg)", "1.05", 63_000_000)],
)
def test_cells_per_kg_become_cells(run: Run, patient: Patient, column: str, value: str, cells: int) -> None:
    run(f"S001,1,2015-01-05,60,{value}", header=f"{HEADER},weight_kg,{column}")
    assert Infusion.objects.get().cells == cells


def test_a_dose_written_in_millions_is_not_taken_for_cells(run: Run, patient: Patient) -> None:
    outcome, problems = run("S001,1,2015-01-05,60,1.0", header=f"{HEADER},weight_kg,cells_per_kg")
    assert outcome.rows == Counts(refused=1)
    assert "10^6/kg" in str(problems[0].remedy)


@pytest.mark.parametrize(
    ("said", "rule"),
    [(",,1000000", "no_weight"), ("65,65000000,2000000", "other_count"), ("65,65000000,1000000", "")],
)
def test_cells_per_kg_are_never_passed_over(run: Run, patient: Patient, said: str, rule: str) -> None:
    _outcome, problems = run(f"S001,1,2015-01-05,{said}", header=f"{HEADER},weight_kg,cells,cells_per_kg")
    assert [(p.column, p.rule) for p in problems] == ([("cells_per_kg", rule)] if rule else [])


def test_a_lot_is_founded_once_and_used_again(run: Run, patient: Patient) -> None:
    run("S001,1,2015-01-05,L1", "S001,2,2015-01-12,L1", header=HEADER + ",lot")
    run("S001,3,2015-01-19,L1", "S001,4,2015-01-26,L2", header=HEADER + ",lot")
    assert list(CellLot.objects.values_list("code", flat=True)) == ["L1", "L2"]
    assert Infusion.objects.filter(lot__code="L1").count() == 3


def test_what_differs_waits_for_consent(run: Run, patient: Patient) -> None:
    run("S001,1,2015-01-05,60", header=HEADER + ",weight_kg")
    outcome, _problems = run("S001,1,2015-01-06,60,80000000", header=HEADER + ",weight_kg,cells")
    assert outcome.rows == Counts(conflict=1)
    assert outcome.values == Counts(new=1, same=1, conflict=1)
    given = Infusion.objects.get()
    assert (given.given_on, given.cells) == (date(2015, 1, 5), 80_000_000)
    assert run("S001,1,2015-01-06", overwrite=True)[0].rows == Counts(changed=1)
    given.refresh_from_db()
    assert (given.given_on, given.weight_kg) == (date(2015, 1, 6), 60)


def test_a_voided_infusion_may_be_given_again(run: Run, patient: Patient, data_manager: User) -> None:
    from infusions import actions as infusion_actions

    infusion_actions.void_infusion(
        infusion=factories.an_infusion(patient, 1),
        by=data_manager,
        reason="belonged to another subject or visit",
    )
    assert run("S001,1,2015-01-05")[0].rows == Counts(new=1)
    assert Infusion.objects.filter(voided_at=None).get().given_on == date(2015, 1, 5)


@pytest.mark.parametrize(
    ("header", "row", "rule"),
    [
        (HEADER, "S001,9,2015-01-05", "number"),
        (HEADER, "S001,0,2015-01-05", "number"),
        (HEADER, "S001,,2015-01-05", "empty_cell"),
        (HEADER, "S001,1,", "empty_cell"),
        (HEADER, "S001,1,05/01/2015", "ambiguous_date"),
        (HEADER, "S009,1,2015-01-05", "unknown_subject"),
        (HEADER + ",weight_kg", "S001,1,2015-01-05,6", "limit"),
        (HEADER + ",weight_kg", "S001,1,2015-01-05,64.55", "too_many_decimals"),
        (HEADER + ",weight_kg", "S001,1,2015-01-05,<60", "exact"),
        (HEADER + ",cells", "S001,1,2015-01-05,0", "limit"),
        (HEADER + ",lot", "S001,1,2015-01-05,=1+1", "lot"),
        (HEADER + ",deviation", "S001,1,2015-01-05,bad luck", "deviation"),
        (HEADER + ",deviation_note", "S001,1,2015-01-05,why", "note_alone"),
        (HEADER + ",started_at,stopped_at", "S001,1,2015-01-05,10:00,09:00", "stopped_first"),
        (HEADER + ",started_at", "S001,1,2015-01-05,25:00", "not_a_time"),
    ],
)
def test_what_cannot_be_is_refused_by_rule(
    run: Run, patient: Patient, header: str, row: str, rule: str
) -> None:
    outcome, problems = run(row, header=header)
    assert outcome.rows == Counts(refused=1)
    assert [(problem.line, problem.rule) for problem in problems] == [(2, rule)]
    assert not Infusion.objects.exists()


def test_days_that_cannot_be_and_numbers_twice(run: Run, patient: Patient, data_manager: User) -> None:
    actions.record_outcome(
        patient=patient, kind=OutcomeKind.DEATH, happened_on=date(2024, 3, 1), by=data_manager, note=""
    )
    ahead = timezone.localdate() + timedelta(days=3)
    _outcome, problems = run("S001,1,2024-01-15", f"S001,2,{ahead}", "S001,3,2024-03-02", "S001,1,2024-01-16")
    assert {(problem.line, problem.rule) for problem in problems} == {
        (2, "twice"),
        (3, "future"),
        (4, "after_death"),
        (5, "twice"),
    }
    assert "given_on 2024-01-15 / 2024-01-16" in str(problems[0].sentence)


def test_a_file_whose_count_and_time_disagree_opens_one_query(run: Run, patient: Patient) -> None:
    first = date(2015, 1, 5)
    rows = [f"S001,{k + 1},{first + timedelta(days=d)}" for k, d in enumerate((0, 7, 14, 70))]
    outcome, _problems = run(*rows)
    query = DataQuery.objects.get()
    assert (query.topic, query.field, query.check_code, query.state) == (
        "infusion",
        "course",
        "count_short_time_long",
        "open",
    )
    entry = AuditEntry.objects.get(table=DataQuery._meta.db_table, row=query.pk)
    assert outcome.written is not None and entry.revision_id == outcome.written.id
    run(*rows)
    assert DataQuery.objects.count() == 1
    ask_about_course_again(patient)
    run(*rows[:3], f"S001,4,{first + timedelta(days=21)}", overwrite=True)
    query.refresh_from_db()
    assert query.state == "closed"
    assert [message.step for message in query.messages.all()] == ["opened", "closed"]


def test_a_weight_in_a_file_is_asked_about_as_in_the_form(run: Run, patient: Patient) -> None:
    head = "subject_id,number,given_on,weight_kg"
    run("S001,1,2015-01-05,39.9", "S001,2,2015-01-12,45.0", header=head)
    query = DataQuery.objects.get()
    assert (query.field, query.check_code, query.state) == ("course", "weight", "open")
    asked = query.messages.get()
    assert json.loads(asked.values)["values"]["number"] == 2, "the newest of them"
    run("S001,1,2015-01-05,44.0", "S001,2,2015-01-12,45.0", header=head, overwrite=True)
    query.refresh_from_db()
    assert query.state == "closed"


def ask_about_course_again(patient: Patient) -> None:
    """A form that comes after the file finds its question asked."""
    with audit.revision(by=audit.service_account(), reason="test", source="test"):
        ask_about_course(patient, by=audit.service_account())
    assert DataQuery.objects.filter(state="open").count() == 1
