"""Incremental equals full, whatever was done in between, twice, in any order, or not at all."""

from __future__ import annotations

import threading
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from random import Random
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from analytics import refresh, scores, selectors
from analytics.cells import CellKey, all_keys
from analytics.models import Cell, Failure, Run, Score
from analytics.scoring import VOIDED
from patients.models import LabResult, Patient
from tests import factories
from tests.analytics.operations import Ward
from trial import audit

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _forget() -> None:
    refresh.forget()


def newest_cells() -> dict[CellKey, tuple[str, Any]]:
    run = selectors.latest_run()
    assert run is not None
    stored = selectors.stored_cells(all_keys(), run=run.pk)
    return {key: (cell.inputs, cell.result) for key, cell in stored.items()}


def newest_scores() -> dict[tuple[int, str], tuple[Any, ...]]:
    newest = Score.objects.order_by("visit_id", "variant", "-run_id").distinct("visit_id", "variant")
    return {
        (s.visit_id, s.variant): (s.patient_id, s.value, s.reported, s.inputs, s.why_not, s.obstacle)
        for s in newest
        if s.why_not != str(VOIDED)
    }


def from_scratch() -> None:
    """Throw all results away and compute them again."""
    Score.objects.all().delete()
    Cell.objects.all().delete()
    Run.objects.all().delete()
    refresh.forget()
    refresh.refresh()


def assert_equal_to_a_full_recompute() -> None:
    assert refresh.differences() == []
    cells, scored = newest_cells(), newest_scores()
    from_scratch()
    assert newest_scores() == scored
    assert newest_cells() == cells


@pytest.mark.slow
@pytest.mark.parametrize("seed", [20200706])
def test_incremental_equals_full_after_a_thousand_random_operations(seed: int) -> None:
    ward, chance = Ward(seed, patients=12), Random(seed)
    operations = runs = 0
    while operations < 1000:
        step = chance.randint(1, 60)
        ward.work(step)
        operations += step
        if chance.random() < 0.3:
            refresh.forget()
        runs += refresh.refresh() is not None
        if chance.random() < 0.1:
            assert refresh.differences() == []

    refresh.refresh()
    assert len(ward.done) >= 20, "some kind of operation never succeeded"
    assert runs > 20
    assert not Failure.objects.exists()
    incremental = Run.objects.filter(full=False)
    assert incremental.exists()
    assert max(run.cells_computed for run in incremental) < len(all_keys())
    assert_equal_to_a_full_recompute()


def test_one_value_recomputes_its_visit_and_its_columns_only() -> None:
    ward = Ward(3, patients=20)
    ward.work(150)
    refresh.refresh()
    result = LabResult.objects.filter(visit__week=12, visit__voided_at=None).exclude(value=None).first()
    assert result is not None
    with audit.revision(by=ward.by, reason="typing slip"):
        LabResult.objects.filter(pk=result.pk).update(value=result.value + 1, typed_text="1")
    audit.settle()

    run = refresh.refresh()

    assert run is not None
    assert not run.full
    changed = Cell.objects.filter(run=run)
    measured = {result.analyte, *scores_with(result.analyte)}
    assert {cell.analyte for cell in changed} <= measured
    assert all(
        12 in (cell.week_from, cell.week_to) or cell.week_to - cell.week_from == 24 for cell in changed
    )
    assert set(Score.objects.filter(run=run).values_list("visit", flat=True)) <= {result.visit_id}
    assert refresh.differences() == []


def scores_with(analyte: str) -> set[str]:
    from trial import protocol

    return {score.code for score in protocol.SCORES if analyte in score.inputs}


def test_what_no_result_depends_on_makes_a_run_without_cells() -> None:
    ward = Ward(4)
    ward.work(30)
    refresh.refresh()
    ward.once(ward.change_nothing_that_counts)

    run = refresh.refresh()

    assert run is not None
    assert (run.revision, run.cells_computed, run.scores_changed) == (audit.latest_revision(), 0, 0)
    assert selectors.freshness().current


def test_current_results_are_left_alone() -> None:
    ward = Ward(5)
    ward.work(10)

    assert refresh.refresh() is not None
    assert refresh.refresh() is None
    assert Run.objects.count() == 1


def test_a_full_refresh_of_current_results_adds_no_rows() -> None:
    ward = Ward(6)
    ward.work(60)
    refresh.refresh()
    before = (Cell.objects.count(), Score.objects.count())

    run = refresh.refresh(full=True)

    assert run is not None
    assert run.full
    assert run.cells_computed == len(all_keys())
    assert (Cell.objects.count(), Score.objects.count()) == before


def test_other_code_computes_everything_again(monkeypatch: pytest.MonkeyPatch) -> None:
    ward = Ward(7)
    ward.work(40)
    first = refresh.refresh()
    assert first is not None
    # made by another version, before this process started
    Run.objects.filter(pk=first.pk).update(
        code_version="0.0.9+old", finished_at=refresh.READ_AT - timedelta(hours=1)
    )
    assert not selectors.freshness().current

    run = refresh.refresh()

    assert run is not None
    assert run.full
    assert run.revision == first.revision
    assert selectors.freshness().current


def test_a_process_of_old_code_leaves_newer_results_alone() -> None:
    ward = Ward(8)
    ward.work(10)
    refresh.refresh()
    Run.objects.update(code_version="9.9.9+new")

    assert refresh.refresh() is None
    assert not selectors.freshness().current


def test_a_poisonous_record_blocks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    ward = Ward(9)
    ward.work(80)
    poisoned = LabResult.objects.filter(analyte="tbil", visit__voided_at=None).exclude(value=None).first()
    assert poisoned is not None
    poison = Decimal("333.333")
    with audit.revision(by=ward.by, reason="poison"):
        LabResult.objects.filter(pk=poisoned.pk).update(value=poison, typed_text="x")
    audit.settle()
    real = scores.compute

    def compute(variant: str, inputs: Any, **person: Any) -> Any:
        if inputs.get("tbil") == poison:
            raise ZeroDivisionError("secret")
        return real(variant, inputs, **person)

    monkeypatch.setattr(scores, "compute", compute)

    assert refresh.refresh() is not None

    mine = Score.objects.filter(visit=poisoned.visit)
    assert {score.value for score in mine} == {None}
    patient = Patient.objects.get(pk=poisoned.patient_id)
    assert all("ZeroDivisionError" in s.why_not and patient.subject_id in s.why_not for s in mine)
    assert not any("secret" in s.why_not for s in mine)
    assert Score.objects.exclude(value=None).exists()


def test_scores_of_a_voided_visit_end_and_come_back(sites: dict[str, Any]) -> None:
    patient = factories.a_patient(site=sites["GE"])
    visit = factories.a_visit(patient, 4, tbil="171", inr="1.8", creatinine="80")
    refresh.refresh()

    def newest() -> Score:
        return selectors.scores_of_patient(patient)[visit.pk, "meld_unos_2002"]

    value = newest().value
    assert value is not None
    for voided_at, expected in (("2024-05-01T00:00Z", None), (None, value)):
        with audit.revision(by=audit.service_account(), reason="wrong subject"):
            type(visit).objects.filter(pk=visit.pk).update(voided_at=voided_at)
        audit.settle()
        refresh.refresh()
        assert newest().value == expected
    assert Score.objects.filter(visit=visit, variant="meld_unos_2002").count() == 3


def test_inputs_drawn_more_than_two_days_apart_make_no_score(sites: dict[str, Any]) -> None:
    patient = factories.a_patient(site=sites["GE"])
    visit = factories.a_visit(patient, 4, tbil="171", inr="1.8", creatinine="80", alt="40")
    with audit.revision(by=audit.service_account(), reason="times added"):
        for code, at in (
            ("tbil", "2024-02-12T08:00Z"),
            ("inr", "2024-02-14T08:01Z"),
            ("alt", "2024-02-20T08:00Z"),
        ):
            LabResult.objects.filter(visit=visit, analyte=code).update(sampled_at=at)
    audit.settle()

    refresh.refresh()

    score = selectors.scores_of_patient(visit.patient)[visit.pk, "meld_unos_2002"]
    assert score.value is None
    assert score.why_not == "not computable: inputs drawn more than 48 hours apart"


def test_a_failed_refresh_is_remembered_without_what_it_said(monkeypatch: pytest.MonkeyPatch) -> None:
    Ward(10).work(5)

    def fail(*args: Any) -> Any:
        raise ValueError("patient P00-0001 has 17")

    monkeypatch.setattr(refresh.contrasts, "compute", fail)
    with pytest.raises(ValueError, match="P00"):
        refresh.refresh()

    failure = Failure.objects.get()
    assert failure.error.startswith("ValueError at ")
    assert "P00" not in failure.error
    assert selectors.freshness().state == "failing"
    monkeypatch.undo()
    refresh.refresh()
    assert selectors.freshness().state == "current"


def test_a_run_that_was_overtaken_stores_nothing() -> None:
    ward = Ward(11)
    ward.work(20)
    with selectors.one_moment():
        look = refresh._look(False, refresh._quietly)
    assert look is not None
    found = refresh._work_out(look, refresh._quietly)
    ward.work(5)
    newer = refresh.refresh()
    assert newer is not None

    with pytest.raises(refresh.Overtaken), transaction.atomic():
        refresh._store(look, found, newer.started_at, refresh._quietly)

    assert selectors.latest_run() == newer


def test_check_names_what_was_tampered_with() -> None:
    ward = Ward(12)
    ward.work(60)
    refresh.refresh()
    call_command("refresh", check=True, stdout=StringIO())
    cell = Cell.objects.filter(measure="level", analyte="alt", week_from=0, week_to=0, group1="ALL").first()
    assert cell is not None
    Cell.objects.filter(pk=cell.pk).update(result=cell.result | {"method": "guessed"})
    score = Score.objects.exclude(value=None).first()
    assert score is not None
    Score.objects.filter(pk=score.pk).update(value=1)

    lines = refresh.differences()

    assert f"cell: {cell.population} level ALL alt 0 0" in lines
    assert f"score: visit {score.visit_id} {score.variant}" in lines
    with pytest.raises(CommandError) as refused:
        call_command("refresh", check=True)
    assert refused.value.returncode == 1
    refresh.refresh(full=True)
    assert refresh.differences() == []


def test_check_does_not_compare_results_that_are_behind() -> None:
    ward = Ward(13)
    refresh.refresh()
    ward.work(3)

    assert "refresh first" in refresh.differences()[0]


# --- for real: commits, threads, other processes' work ---------------------------------------


def in_thread(work: Any) -> threading.Thread:
    def run() -> None:
        try:
            work()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.mark.committed
def test_two_refreshes_at_once_store_one_run() -> None:
    Ward(14).work(40)
    results: list[Any] = []
    threads = [in_thread(lambda: results.append(refresh.refresh())) for _ in range(4)]
    for thread in threads:
        thread.join(60)

    assert len([run for run in results if run is not None]) == 1
    assert Run.objects.count() == 1
    assert Cell.objects.count() == len(all_keys())
    assert refresh.differences() == []


@pytest.mark.committed
def test_who_will_not_wait_leaves_a_refresh_at_work_alone() -> None:
    Ward(15).work(5)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [refresh.RESULTS])
        refused: list[Any] = []
        in_thread(lambda: refused.append(refresh.refresh(patience=timedelta(0)))).join(30)
        seen = selectors.freshness()
        cursor.execute("SELECT pg_advisory_unlock(%s)", [refresh.RESULTS])

    assert refused == [None]
    assert seen.state == "recomputing"


@pytest.mark.committed
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.exhaustive) for seed in (1, 2))])
def test_tasks_doubled_lost_and_reordered_leave_the_same_rows(seed: int) -> None:
    from analytics import tasks

    chance, ward = Random(seed), Ward(seed)
    for _ in range(8):
        ward.work(6)
        # a message may lead to no task, to one, or to several, on whichever process
        for _ in range(chance.choice([0, 1, 1, 3])):
            if chance.random() < 0.5:
                refresh.forget()
            tasks.refresh.apply()
    threads = [in_thread(tasks.refresh.apply) for _ in range(3)]
    for thread in threads:
        thread.join(60)
    tasks.refresh.apply()

    runs = list(Run.objects.order_by("id").values_list("revision", flat=True))
    assert runs == sorted(set(runs)), "a run is never older than the one before, and never the same again"
    assert selectors.freshness().current
    assert_equal_to_a_full_recompute()


@pytest.mark.committed
def test_a_refresh_reads_exactly_its_revision_while_others_write() -> None:
    ward = Ward(16)
    ward.work(60)
    real = refresh.frames.read

    def write_meanwhile(*args: Any, **kwargs: Any) -> Any:
        in_thread(lambda: ward.work(12)).join(60)
        return real(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(refresh.frames, "read", write_meanwhile)
        at = audit.latest_revision()
        first = refresh.refresh()
    assert first is not None
    assert first.revision == at < audit.latest_revision()
    early = newest_cells()

    # the same data again: everything after revision `at` is in the trail, so the next run must find it
    second = refresh.refresh()

    assert second is not None
    assert second.revision == audit.latest_revision()
    assert newest_cells() != early
    assert_equal_to_a_full_recompute()


@pytest.mark.committed
def test_a_rolled_back_save_moves_nothing() -> None:
    ward = Ward(17)
    ward.work(30)
    refresh.refresh()
    ward.once(ward.roll_back)

    assert selectors.freshness().current
    assert refresh.refresh() is None
